// SPDX-License-Identifier: GPL-2.0
/*
 * Pages whose memory is broken: what they hold is to be handed to nobody.
 *
 *	poison private DIRECTORY
 *	poison shared DIRECTORY		the scanner runs in the pool
 *
 * The kernel marks a page as it would after a machine check (MADV_HWPOISON).  The
 * memory is in order: that a copy of really broken memory is survived is not
 * tested here.
 */
#include "lib/selftest.h"

#define PAGES	4
#define PART	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)

static char page[PAGE] __attribute__((aligned(8)));
static int fd;
static char *map;

static void make_file(const char *name, bool alike)
{
	long i;

	fd = open_file(name, O_RDWR | O_CREAT | O_EXCL);
	set_size(fd, PAGES * PAGE);
	map = map_file(fd, PAGES * PAGE);
	for (i = 0; i < PAGES; i++)
		fill_page(map + i * PAGE, alike ? 7 : i);
}

/*
 * The kernel cannot recover such a page and may say so (EBUSY), or send SIGBUS;
 * marked it is all the same.
 */
static void poison(long which)
{
	signal(SIGBUS, SIG_IGN);
	if (madvise(map + which * PAGE, PAGE, MADV_HWPOISON) && errno == EINVAL) {
		/* the lab's kernels have it */
		CHECK(!getenv("BALLAST_LAB"));
		skip_case("no MADV_HWPOISON");
	}
	signal(SIGBUS, SIG_DFL);
}

static void expect_lost(long which)
{
	char *again;

	CHECK_FAILS(pread(fd, page, PAGE, which * PAGE), EIO);
	CHECK_FAILS(pread(fd, page, 1, which * PAGE + 17), EIO);
	CHECK_FAILS(pwrite(fd, page, PAGE, which * PAGE), EIO);
	CHECK_FAILS(pwrite(fd, page, 1, which * PAGE + 17), EIO);
	CHECK_FAILS(fallocate(fd, PART, which * PAGE + 10, 100), EIO);
	CHECK_FAILS(fallocate(fd, FALLOC_FL_ZERO_RANGE, which * PAGE, 10), EIO);
	CHECK_FAILS(ftruncate(fd, which * PAGE + 10), EIO);
	CHECK_EQUAL(size_of(fd), PAGES * PAGE);
	again = map_file(fd, PAGES * PAGE);
	CHECK_EQUAL(try_access(again + which * PAGE, LOAD), SIGBUS);
	CHECK_EQUAL(try_access(again + which * PAGE, STORE), SIGBUS);
	CHECK(!munmap(again, PAGES * PAGE));
}

/* A new page is there, and the file is as good as ever. */
static void expect_mended(long which)
{
	char *again;

	CHECK(!fallocate(fd, PART, which * PAGE, PAGE));
	CHECK_EQUAL(pread(fd, page, PAGE, which * PAGE), PAGE);
	check_zero(page, PAGE);
	again = map_file(fd, PAGES * PAGE);
	fill_page(again + which * PAGE, 99);
	check_pages(map + which * PAGE, 1, 99);
	CHECK(!munmap(again, PAGES * PAGE));
	/* each another one: two that are alike would be shared */
	fill_page(page, 100 + which);
	CHECK_EQUAL(pwrite(fd, page, PAGE, which * PAGE), PAGE);
	check_pages(map + which * PAGE, 1, 100 + which);
}

static void test_private(int argc, char **argv)
{
	char all[PAGES * PAGE] __attribute__((aligned(8)));

	(void)argc; (void)argv;
	make_file("poison-private", false);
	poison(1);
	expect_lost(1);
	/* the pages before it are read and written */
	CHECK_EQUAL(pread(fd, all, sizeof(all), 0), PAGE);
	check_pages(all, 1, 0);
	CHECK_EQUAL(pwrite(fd, all, sizeof(all), 0), PAGE);
	CHECK_EQUAL(pread(fd, page, PAGE, 2 * PAGE), PAGE);
	check_pages(page, 1, 2);
	expect_mended(1);
	check_pages(map, 1, 0);
	check_pages(map + 2 * PAGE, 2, 2);
	CHECK_EQUAL(held_pages(fd), PAGES);
}

static void wait_until_shared(void)
{
	int64_t end = now_ms() + 60000;

	while (pool_number("sharing_slots") != PAGES) {
		CHECK(now_ms() < end);
		sleep_ms(20);
	}
}

/* Leaves the file "poison-shared": two of its pages are lost. */
static void test_shared(int argc, char **argv)
{
	(void)argc; (void)argv;
	make_file("poison-shared", true);
	wait_until_shared();
	/* mapped read-only, so that a store comes by way of page_mkwrite */
	check_pages(map, 1, 7);
	check_pages(map + PAGE, 1, 7);
	poison(0);
	expect_lost(0);
	expect_lost(2);
	CHECK_EQUAL(try_access(map + PAGE, STORE), SIGBUS);
	expect_mended(1);
	expect_mended(3);
	expect_lost(2);
}

static const struct test_case cases[] = {
	{ "private", test_private },
	{ "shared", test_shared },
	{}
};

int main(int argc, char **argv)
{
	return run_case(cases, argc, argv);
}
