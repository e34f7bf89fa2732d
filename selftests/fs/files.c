// SPDX-License-Identifier: GPL-2.0
/*
 * ballastfs through file descriptors: read, write, seek, fallocate, truncate,
 * and what is held afterwards.
 *
 *	files CASE DIRECTORY
 *
 * Accounts are compared to the page, so the scanner must not be at work in the
 * pool (sharing=off) and nobody else may use it.
 */
#include <limits.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/vfs.h>

#include "lib/selftest.h"
#include "../../include/uapi/linux/ballast.h"

#define PUNCH	(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define KEEP	FALLOC_FL_KEEP_SIZE

static int new_file(const char *name)
{
	return open_file(name, O_RDWR | O_CREAT | O_EXCL);
}

static void write_pages(int fd, long first, long count, uint64_t tag)
{
	char page[PAGE] __attribute__((aligned(8)));
	long i;

	for (i = 0; i < count; i++) {
		fill_page(page, tag + i);
		if (pwrite(fd, page, PAGE, (first + i) * PAGE) != PAGE)
			die("write of page %ld", first + i);
	}
}

static void verify_pages(int fd, long first, long count, uint64_t tag)
{
	char page[PAGE] __attribute__((aligned(8)));
	long i;

	for (i = 0; i < count; i++) {
		CHECK(pread(fd, page, PAGE, (first + i) * PAGE) == PAGE);
		if (!page_is(page, tag + i))
			die("page %ld is not of tag %llu", first + i,
			    (unsigned long long)tag + i);
	}
}

static void verify_zero(int fd, off_t at, size_t n)
{
	char *buffer = malloc(n);

	CHECK(buffer);
	memset(buffer, 0xff, n);
	CHECK_EQUAL(pread(fd, buffer, n, at), (long long)n);
	check_zero(buffer, n);
	free(buffer);
}

/* The pool and the file agree on what is held. */
static void expect_held(int fd, long base, long pages)
{
	CHECK_EQUAL(used_pages() - base, pages);
	CHECK_EQUAL(held_pages(fd), pages);
}

static void test_read_write(int argc, char **argv)
{
	char big[3 * PAGE], back[3 * PAGE];
	int fd = new_file("rw");
	struct iovec parts[3] = {
		{ big, 1 }, { big + 1, 0 }, { big + 1, sizeof(big) - 1 },
	};
	uint64_t chance = 1;
	size_t i;

	(void)argc; (void)argv;
	for (i = 0; i < sizeof(big); i++)
		big[i] = random_next(&chance);
	CHECK_EQUAL(pread(fd, back, 1, 0), 0);
	CHECK_EQUAL(pwritev(fd, parts, 3, 4001), (long)sizeof(big));
	CHECK_EQUAL(size_of(fd), 4001 + (long)sizeof(big));
	verify_zero(fd, 0, 4001);
	CHECK_EQUAL(pread(fd, back, sizeof(back), 4001), (long)sizeof(back));
	CHECK(!memcmp(big, back, sizeof(big)));
	/* short at the end, nothing behind it */
	CHECK_EQUAL(pread(fd, back, sizeof(back), 4001 + 2 * PAGE), PAGE);
	CHECK(!memcmp(big + 2 * PAGE, back, PAGE));
	CHECK_EQUAL(pread(fd, back, 1, size_of(fd)), 0);
	CHECK_EQUAL(pread(fd, back, 1, 1L << 40), 0);
	CHECK_EQUAL(pwrite(fd, big, 0, 1L << 40), 0);
	CHECK_EQUAL(size_of(fd), 4001 + (long)sizeof(big));
	CHECK_EQUAL(held_pages(fd), 4);
}

static void test_append(int argc, char **argv)
{
	int fd = open_file("append", O_WRONLY | O_CREAT | O_EXCL | O_APPEND);
	char line[100], text[100 * 100];
	int i, other = open_file("append", O_RDONLY);

	(void)argc; (void)argv;
	for (i = 0; i < 100; i++) {
		memset(line, 'A' + i % 26, sizeof(line));
		/* O_APPEND knows better than the offset */
		CHECK_EQUAL(pwrite(fd, line, sizeof(line), 3), (long)sizeof(line));
	}
	CHECK_EQUAL(read(other, text, sizeof(text)), (long)sizeof(text));
	for (i = 0; i < 100 * 100; i++)
		CHECK_EQUAL(text[i], 'A' + i / 100 % 26);
	CHECK_EQUAL(read(other, text, 1), 0);
}

static void test_bad_buffer(int argc, char **argv)
{
	int fd = new_file("bad"), reader;
	char *two = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)argc; (void)argv;
	CHECK(two != MAP_FAILED);
	CHECK(!munmap(two + PAGE, PAGE));
	memset(two, 'x', PAGE);
	CHECK_FAILS(pwrite(fd, two + PAGE, 10, 0), EFAULT);
	CHECK_EQUAL(size_of(fd), 0);
	/* what could be taken was taken */
	CHECK_EQUAL(pwrite(fd, two + PAGE - 100, 200, 0), 100);
	CHECK_EQUAL(size_of(fd), 100);
	CHECK_EQUAL(pwrite(fd, two, PAGE, 0), PAGE);
	CHECK_FAILS(pread(fd, two + PAGE, 10, 0), EFAULT);
	CHECK_EQUAL(pread(fd, two + PAGE - 100, 200, 0), 100);
	reader = open_file("bad", O_RDONLY);
	CHECK_FAILS(pwrite(reader, two, 1, 0), EBADF);
}

/* The source or target of a write or read is a mapping of the same file. */
static void test_own_mapping(int argc, char **argv)
{
	int fd = new_file("own");
	char *p;

	(void)argc; (void)argv;
	set_size(fd, 16 * PAGE);
	p = map_file(fd, 16 * PAGE);
	fill_pages(p, 2, 10);
	/* private to hole, across a page */
	CHECK_EQUAL(pwrite(fd, p, 2 * PAGE, 4 * PAGE), 2 * PAGE);
	check_pages(p + 4 * PAGE, 2, 10);
	/* to itself; a hole never touched to private; a hole to itself */
	CHECK_EQUAL(pwrite(fd, p, PAGE, 0), PAGE);
	check_pages(p, 1, 10);
	CHECK_EQUAL(pwrite(fd, p + 8 * PAGE, PAGE, PAGE), PAGE);
	check_zero(p + PAGE, PAGE);
	CHECK_EQUAL(pwrite(fd, p + 9 * PAGE, PAGE, 9 * PAGE), PAGE);
	check_zero(p + 9 * PAGE, PAGE);
	/* read into a hole, from private and from a hole */
	CHECK_EQUAL(pread(fd, p + 12 * PAGE, PAGE, 5 * PAGE), PAGE);
	check_pages(p + 12 * PAGE, 1, 11);
	CHECK_EQUAL(pread(fd, p + 12 * PAGE, PAGE, 13 * PAGE), PAGE);
	check_zero(p + 12 * PAGE, PAGE);
}

static void test_limits(int argc, char **argv)
{
	int fd = new_file("limits");
	struct statfs st;

	(void)argc; (void)argv;
	CHECK(!fstatfs(fd, &st));
	CHECK_EQUAL((long)st.f_type, BALLASTFS_MAGIC);
	CHECK_FAILS(pwrite(fd, "x", 1, LLONG_MAX), EINVAL);
	CHECK_FAILS(ftruncate(fd, -1), EINVAL);
	CHECK_FAILS(fallocate(fd, 0, LLONG_MAX - 10, 100), EFBIG);
	set_size(fd, LLONG_MAX);
	CHECK_EQUAL(pwrite(fd, "x", 1, LLONG_MAX - 1), 1);
	CHECK_EQUAL(held_pages(fd), 1);
	set_size(fd, 0);
	CHECK_EQUAL(held_pages(fd), 0);
}

/* ---- SEEK_HOLE, SEEK_DATA */

static void expect_seek(int fd, off_t from, off_t data, off_t hole)
{
	if (data < 0)
		CHECK_FAILS(lseek(fd, from, SEEK_DATA), ENXIO);
	else if (lseek(fd, from, SEEK_DATA) != data)
		die("data from %lld: at %lld, not %lld", (long long)from,
		    (long long)lseek(fd, 0, SEEK_CUR), (long long)data);
	if (lseek(fd, from, SEEK_HOLE) != hole)
		die("hole from %lld: at %lld, not %lld", (long long)from,
		    (long long)lseek(fd, 0, SEEK_CUR), (long long)hole);
}

static void test_seek(int argc, char **argv)
{
	int fd = new_file("seek");
	const off_t size = 1024 * PAGE + 100, block = 512 * PAGE;

	(void)argc; (void)argv;
	CHECK_FAILS(lseek(fd, 0, SEEK_DATA), ENXIO);
	CHECK_FAILS(lseek(fd, 0, SEEK_HOLE), ENXIO);
	set_size(fd, size);
	expect_seek(fd, 0, -1, 0);
	expect_seek(fd, 12345, -1, 12345);
	CHECK_FAILS(lseek(fd, size, SEEK_DATA), ENXIO);
	CHECK_FAILS(lseek(fd, size, SEEK_HOLE), ENXIO);
	CHECK_FAILS(lseek(fd, -1, SEEK_DATA), ENXIO);
	CHECK_FAILS(lseek(fd, -1, SEEK_HOLE), ENXIO);

	write_pages(fd, 1, 1, 1);
	write_pages(fd, 3, 2, 3);
	write_pages(fd, 511, 2, 11);
	expect_seek(fd, 0, PAGE, 0);
	expect_seek(fd, PAGE - 1, PAGE, PAGE - 1);
	expect_seek(fd, PAGE, PAGE, 2 * PAGE);
	expect_seek(fd, PAGE + 1, PAGE + 1, 2 * PAGE);
	expect_seek(fd, 2 * PAGE - 1, 2 * PAGE - 1, 2 * PAGE);
	expect_seek(fd, 2 * PAGE + 77, 3 * PAGE, 2 * PAGE + 77);
	expect_seek(fd, 3 * PAGE + 77, 3 * PAGE + 77, 5 * PAGE);
	expect_seek(fd, 5 * PAGE, 511 * PAGE, 5 * PAGE);
	/* across the border of two blocks */
	expect_seek(fd, block - 1, block - 1, 513 * PAGE);
	expect_seek(fd, 513 * PAGE, -1, 513 * PAGE);
	expect_seek(fd, size - 1, -1, size - 1);

	/* data up to the end: the end counts as a hole */
	CHECK_EQUAL(pwrite(fd, "x", 1, size - 1), 1);
	expect_seek(fd, 513 * PAGE, 1024 * PAGE, 513 * PAGE);
	expect_seek(fd, size - 1, size - 1, size);
	CHECK(!fallocate(fd, PUNCH, PAGE, PAGE));
	expect_seek(fd, 0, 3 * PAGE, 0);
	/* a truncated part of a block is no data when the file grows again */
	set_size(fd, 4 * PAGE);
	expect_seek(fd, 3 * PAGE, 3 * PAGE, 4 * PAGE);
	set_size(fd, size);
	expect_seek(fd, 4 * PAGE, -1, 4 * PAGE);
}

static void test_seek_1tib(int argc, char **argv)
{
	int fd = new_file("big");
	const off_t size = 1L << 40;
	char *p;

	(void)argc; (void)argv;
	/* the largest offset lies within a page; a walk over all below it would not end */
	set_size(fd, LLONG_MAX);
	expect_seek(fd, 0, -1, 0);
	expect_seek(fd, LLONG_MAX - 1, -1, LLONG_MAX - 1);
	set_size(fd, size);
	expect_seek(fd, 0, -1, 0);
	CHECK_EQUAL(pwrite(fd, "x", 1, size - 1), 1);
	expect_seek(fd, 5, size - PAGE, 5);
	CHECK_EQUAL(pwrite(fd, "x", 1, size / 2), 1);
	expect_seek(fd, 5, size / 2, 5);
	expect_seek(fd, size / 2, size / 2, size / 2 + PAGE);
	p = map_file(fd, size);
	CHECK_EQUAL(p[size / 2], 'x');
	CHECK_EQUAL(p[size / 2 + PAGE], 0);
	CHECK(!fallocate(fd, PUNCH, 0, size));
	expect_seek(fd, 5, -1, 5);
	CHECK_EQUAL(p[size / 2] + p[size - 1], 0);
	CHECK(!munmap(p, size));
	set_size(fd, 0);
}

/* ---- fallocate */

static void test_allocate(int argc, char **argv)
{
	int fd = new_file("allocate");
	long base = used_pages();

	(void)argc; (void)argv;
	write_pages(fd, 1, 1, 5);
	CHECK(!fallocate(fd, 0, 100, 4 * PAGE));
	CHECK_EQUAL(size_of(fd), 4 * PAGE + 100);
	expect_held(fd, base, 5);
	verify_pages(fd, 1, 1, 5);
	verify_zero(fd, 0, PAGE);
	verify_zero(fd, 2 * PAGE, 2 * PAGE + 100);
	expect_seek(fd, 0, 0, 4 * PAGE + 100);
	CHECK(!fallocate(fd, KEEP, 8 * PAGE, 2 * PAGE));
	CHECK_EQUAL(size_of(fd), 4 * PAGE + 100);
	expect_held(fd, base, 7);
	/* they are there when the file reaches them */
	set_size(fd, 10 * PAGE);
	expect_held(fd, base, 7);
	verify_zero(fd, 2 * PAGE, 8 * PAGE);
	/* not smaller by an allocation further down */
	CHECK(!fallocate(fd, 0, 0, PAGE));
	CHECK_EQUAL(size_of(fd), 10 * PAGE);
	set_size(fd, 0);
	expect_held(fd, base, 0);
}

/* argv: how many MiB the pool has */
static void test_allocate_too_much(int argc, char **argv)
{
	int fd = new_file("too-much");
	off_t limit;

	CHECK(argc == 1);
	limit = atol(argv[0]) * MIB;
	write_pages(fd, 0, 3, 1);
	CHECK_FAILS(fallocate(fd, 0, 0, 2 * limit), ENOSPC);
	CHECK_EQUAL(size_of(fd), 3 * PAGE);
	CHECK_FAILS(fallocate(fd, KEEP, PAGE, 1L << 40), ENOSPC);
	CHECK_EQUAL(size_of(fd), 3 * PAGE);
	verify_pages(fd, 0, 3, 1);
	set_size(fd, 0);
	CHECK(!fallocate(fd, 0, 0, limit));
	CHECK_FAILS(fallocate(fd, 0, limit, 1), ENOSPC);
	CHECK_EQUAL(held_pages(fd), limit / PAGE);
}

/* A refused allocation must not leave the pool full: guests would wait. */
static void test_refused_gives_back(int argc, char **argv)
{
	int fd = new_file("refused");
	long base = used_pages();

	CHECK(argc == 1);
	write_pages(fd, 2, 1, 1);
	CHECK_FAILS(fallocate(fd, 0, 0, 2 * atol(argv[0]) * MIB), ENOSPC);
	verify_pages(fd, 2, 1, 1);
	expect_held(fd, base, 1);
}

static void test_punch(int argc, char **argv)
{
	int fd = new_file("punch");
	long base = used_pages(), pages = 1030;
	char page[PAGE] __attribute__((aligned(8)));
	char *p;

	(void)argc; (void)argv;
	write_pages(fd, 0, pages, 0);
	p = map_file(fd, pages * PAGE);
	check_pages(p, pages, 0);
	/* inside one page, at its start, at its end: nothing is given back */
	CHECK(!fallocate(fd, PUNCH, 2 * PAGE + 10, 100));
	CHECK(!fallocate(fd, PUNCH, 4 * PAGE, 10));
	CHECK(!fallocate(fd, PUNCH, 6 * PAGE - 10, 10));
	expect_held(fd, base, pages);
	fill_page(page, 2);
	CHECK(!memcmp(p + 2 * PAGE, page, 10));
	check_zero(p + 2 * PAGE + 10, 100);
	CHECK(!memcmp(p + 2 * PAGE + 110, page + 110, PAGE - 110));
	check_zero(p + 4 * PAGE, 10);
	check_zero(p + 6 * PAGE - 10, 10);
	/* two parts without a whole page between them */
	CHECK(!fallocate(fd, PUNCH, 8 * PAGE - 5, 10));
	check_zero(p + 8 * PAGE - 5, 10);
	expect_held(fd, base, pages);
	/* whole pages between two parts */
	CHECK(!fallocate(fd, PUNCH, 10 * PAGE - 5, 2 * PAGE + 10));
	expect_held(fd, base, pages - 2);
	check_zero(p + 10 * PAGE - 5, 2 * PAGE + 10);
	verify_zero(fd, 10 * PAGE - 5, 2 * PAGE + 10);
	CHECK(p[10 * PAGE - 6] || p[10 * PAGE - 7]);
	/* across blocks */
	CHECK(!fallocate(fd, PUNCH, 500 * PAGE, 520 * PAGE));
	expect_held(fd, base, pages - 2 - 520);
	check_pages(p + 490 * PAGE, 10, 490);
	check_zero(p + 500 * PAGE, 520 * PAGE);
	check_pages(p + 1020 * PAGE, 10, 1020);
	/* again; and from a place that was never written, beyond the end */
	CHECK(!fallocate(fd, PUNCH, 500 * PAGE, 520 * PAGE));
	CHECK(!fallocate(fd, PUNCH, 5000 * PAGE, 1L << 40));
	expect_held(fd, base, pages - 2 - 520);
	CHECK_EQUAL(size_of(fd), pages * PAGE);
	/* the end of the file lies in it; so does what was allocated behind */
	CHECK(!fallocate(fd, KEEP, pages * PAGE, 4 * PAGE));
	expect_held(fd, base, pages - 2 - 520 + 4);
	CHECK(!fallocate(fd, PUNCH, (pages - 2) * PAGE, 1L << 40));
	expect_held(fd, base, pages - 2 - 520 - 2);
	CHECK_EQUAL(size_of(fd), pages * PAGE);
	/* a hole can be filled again */
	fill_pages(p + 10 * PAGE, 2, 77);
	verify_pages(fd, 10, 2, 77);
	expect_held(fd, base, pages - 520 - 2);
	set_size(fd, 0);
	expect_held(fd, base, 0);
}

static void test_zero_range(int argc, char **argv)
{
	int fd = new_file("zero");

	(void)argc; (void)argv;
	write_pages(fd, 0, 8, 0);
	CHECK(!fallocate(fd, FALLOC_FL_ZERO_RANGE, PAGE + 100, 3 * PAGE));
	verify_pages(fd, 0, 1, 0);
	verify_zero(fd, PAGE + 100, 3 * PAGE);
	verify_pages(fd, 5, 3, 5);
	CHECK_EQUAL(size_of(fd), 8 * PAGE);
	CHECK(!fallocate(fd, FALLOC_FL_ZERO_RANGE | KEEP, 7 * PAGE, 10 * PAGE));
	CHECK_EQUAL(size_of(fd), 8 * PAGE);
	verify_zero(fd, 7 * PAGE, PAGE);
	CHECK(!fallocate(fd, FALLOC_FL_ZERO_RANGE, 7 * PAGE, 10 * PAGE + 7));
	CHECK_EQUAL(size_of(fd), 17 * PAGE + 7);
	verify_zero(fd, 7 * PAGE, 10 * PAGE + 7);
	verify_pages(fd, 6, 1, 6);
}

static void test_unsupported(int argc, char **argv)
{
	int fd = new_file("unsupported"), reader;

	(void)argc; (void)argv;
	write_pages(fd, 0, 8, 0);
	CHECK_FAILS(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE), EOPNOTSUPP);
	CHECK_FAILS(fallocate(fd, FALLOC_FL_INSERT_RANGE, 0, PAGE), EOPNOTSUPP);
	CHECK_FAILS(fallocate(fd, FALLOC_FL_UNSHARE_RANGE, 0, PAGE), EOPNOTSUPP);
	CHECK_FAILS(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, PAGE), EOPNOTSUPP);
	CHECK_FAILS(fallocate(fd, 0, 0, 0), EINVAL);
	CHECK_FAILS(fallocate(fd, PUNCH, -PAGE, PAGE), EINVAL);
	reader = open_file("unsupported", O_RDONLY);
	CHECK_FAILS(fallocate(reader, PUNCH, 0, PAGE), EBADF);
	CHECK_FAILS(ftruncate(reader, 0), EINVAL);
	verify_pages(fd, 0, 8, 0);
	CHECK_EQUAL(size_of(fd), 8 * PAGE);
	CHECK_EQUAL(held_pages(fd), 8);
}

/* ---- truncate, and what unlink leaves */

static void test_truncate(int argc, char **argv)
{
	int fd = new_file("truncate");
	long base = used_pages();

	(void)argc; (void)argv;
	write_pages(fd, 0, 1100, 0);
	expect_held(fd, base, 1100);
	set_size(fd, 1024 * PAGE);	/* on a block's border */
	expect_held(fd, base, 1024);
	set_size(fd, 600 * PAGE + 1);
	expect_held(fd, base, 601);
	set_size(fd, 600 * PAGE);
	expect_held(fd, base, 600);
	set_size(fd, 1100 * PAGE);
	verify_pages(fd, 590, 10, 590);
	verify_zero(fd, 600 * PAGE, 500 * PAGE);
	expect_held(fd, base, 600);
	/* the tail of a page that stays */
	set_size(fd, 10 * PAGE + 1000);
	set_size(fd, 20 * PAGE);
	verify_zero(fd, 10 * PAGE + 1000, 10 * PAGE - 1000);
	verify_pages(fd, 0, 10, 0);
	expect_held(fd, base, 11);
	CHECK(close(open_file("truncate", O_WRONLY | O_TRUNC)) == 0);
	CHECK_EQUAL(size_of(fd), 0);
	expect_held(fd, base, 0);
}

static void test_unlinked(int argc, char **argv)
{
	int fd = new_file("unlinked"), again;
	long base = used_pages();
	char *p;

	(void)argc; (void)argv;
	write_pages(fd, 0, 4, 0);
	CHECK(!link("unlinked", "second"));
	CHECK_EQUAL(stat_of(fd).st_nlink, 2);
	CHECK(!unlink("unlinked"));
	again = open_file("second", O_RDWR);
	verify_pages(again, 0, 4, 0);
	CHECK(!unlink("second"));
	CHECK_EQUAL(stat_of(fd).st_nlink, 0);
	/* without a name it is a file like any other */
	write_pages(fd, 4, 4, 4);
	verify_pages(again, 0, 8, 0);
	p = map_file(fd, 16 * PAGE);
	set_size(fd, 16 * PAGE);
	fill_page(p + 15 * PAGE, 15);
	CHECK(!close(fd));
	CHECK(!close(again));
	/* the mapping is the last who holds it */
	check_pages(p, 8, 0);
	check_pages(p + 15 * PAGE, 1, 15);
	CHECK_EQUAL(used_pages() - base, 9);
	CHECK(!munmap(p, 16 * PAGE));
	CHECK_EQUAL(used_pages() - base, 0);
}

static bool later(struct timespec a, struct timespec b)
{
	return a.tv_sec > b.tv_sec || (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

/* Changes of a file that fallocate() makes, and one that it refuses. */
static void check_times_of_fallocate(int fd)
{
	static const int modes[] = {
		0, KEEP, PUNCH, FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | KEEP,
	};
	struct stat before, after;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		before = stat_of(fd);
		sleep_ms(20);
		if (fallocate(fd, modes[i], 0, (5 + i) * PAGE))
			die("fallocate mode %d", modes[i]);
		after = stat_of(fd);
		if (!later(after.st_mtim, before.st_mtim) ||
		    !later(after.st_ctim, before.st_ctim))
			die("fallocate mode %d left the times as they were", modes[i]);
	}
	sleep_ms(20);
	CHECK_FAILS(fallocate(fd, 0, 0, 1L << 40), ENOSPC);
	before = stat_of(fd);
	CHECK(!later(before.st_mtim, after.st_mtim));
	CHECK(!later(before.st_ctim, after.st_ctim));
}

static void test_times(int argc, char **argv)
{
	int fd = new_file("times");
	struct stat before = stat_of(fd), after;

	(void)argc; (void)argv;
	sleep_ms(20);
	CHECK(write(fd, "x", 1) == 1);
	after = stat_of(fd);
	CHECK(later(after.st_mtim, before.st_mtim));
	CHECK(later(after.st_ctim, before.st_ctim));
	before = after;
	sleep_ms(20);
	set_size(fd, 2 * PAGE);
	after = stat_of(fd);
	CHECK(later(after.st_mtim, before.st_mtim));
	check_times_of_fallocate(fd);
	before = stat_of(fd);
	sleep_ms(20);
	CHECK(!fchmod(fd, 0644));
	after = stat_of(fd);
	CHECK(!later(after.st_mtim, before.st_mtim));
	CHECK(later(after.st_ctim, before.st_ctim));
}

/* ---- copies that the kernel makes */

static void send_all(int to, int from, size_t n)
{
	ssize_t sent;

	while (n) {
		sent = sendfile(to, from, NULL, n);
		if (sent <= 0)
			die("sendfile returned %zd, %zu left", sent, n);
		n -= sent;
	}
}

/* argv: a file elsewhere */
static void test_sendfile(int argc, char **argv)
{
	int fd = new_file("sendfile"), copy = new_file("sendfile-copy"), other;

	CHECK(argc == 1);
	other = open_file(argv[0], O_RDWR | O_CREAT | O_TRUNC);
	write_pages(fd, 0, 20, 0);
	write_pages(fd, 40, 5, 40);
	send_all(other, fd, 45 * PAGE);
	verify_pages(other, 0, 20, 0);
	verify_zero(other, 20 * PAGE, 20 * PAGE);
	verify_pages(other, 40, 5, 40);
	CHECK(!lseek(other, 0, SEEK_SET));
	send_all(copy, other, 45 * PAGE);
	verify_pages(copy, 0, 20, 0);
	verify_pages(copy, 40, 5, 40);
	CHECK_EQUAL(size_of(copy), 45 * PAGE);
	CHECK(!unlink(argv[0]));
}

static void splice_all(int from, int to, size_t n)
{
	ssize_t in, out;
	int ends[2];

	CHECK(!pipe(ends));
	while (n) {
		in = splice(from, NULL, ends[1], NULL, n, 0);
		if (in <= 0)
			die("splice into the pipe returned %zd, %zu left", in, n);
		for (n -= in; in; in -= out) {
			out = splice(ends[0], NULL, to, NULL, in, 0);
			if (out <= 0)
				die("splice from the pipe returned %zd", out);
		}
	}
	close(ends[0]);
	close(ends[1]);
}

/* argv: a file elsewhere */
static void test_splice(int argc, char **argv)
{
	int fd = new_file("splice"), copy = new_file("splice-copy"), other;

	CHECK(argc == 1);
	other = open_file(argv[0], O_RDWR | O_CREAT | O_TRUNC);
	write_pages(fd, 0, 33, 0);
	CHECK_EQUAL(lseek(fd, 0, SEEK_SET), 0);
	splice_all(fd, other, 33 * PAGE);
	verify_pages(other, 0, 33, 0);
	CHECK(!lseek(other, 0, SEEK_SET));
	splice_all(other, copy, 33 * PAGE);
	verify_pages(copy, 0, 33, 0);
	CHECK(!unlink(argv[0]));
}

/* What lies in a pipe is the content when it was put there. */
static void test_splice_keeps(int argc, char **argv)
{
	int fd = new_file("splice-keeps"), ends[2];
	char page[PAGE] __attribute__((aligned(8)));
	long base;

	(void)argc; (void)argv;
	write_pages(fd, 0, 1, 1);
	base = used_pages();
	CHECK(!pipe(ends));
	CHECK(!lseek(fd, 0, SEEK_SET));
	CHECK_EQUAL(splice(fd, NULL, ends[1], NULL, PAGE, 0), PAGE);
	CHECK(!fallocate(fd, PUNCH, 0, PAGE));
	CHECK_EQUAL(base - used_pages(), 1);
	write_pages(fd, 0, 1, 2);
	CHECK_EQUAL(read(ends[0], page, PAGE), PAGE);
	CHECK(page_is(page, 1));
	verify_pages(fd, 0, 1, 2);
}

static void test_copy_file_range(int argc, char **argv)
{
	int fd = new_file("range"), copy = new_file("range-copy");
	loff_t from = 5 * PAGE + 100, to = 7;
	off_t n = 30 * PAGE;
	ssize_t copied;
	char *a, *b;

	(void)argc; (void)argv;
	write_pages(fd, 0, 40, 0);
	while (n) {
		copied = copy_file_range(fd, &from, copy, &to, n, 0);
		if (copied <= 0)
			die("returned %zd, %lld left", copied, (long long)n);
		n -= copied;
	}
	CHECK_EQUAL(size_of(copy), 30 * PAGE + 7);
	a = map_file(fd, 40 * PAGE);
	b = map_file(copy, 31 * PAGE);
	CHECK(!memcmp(a + 5 * PAGE + 100, b + 7, 30 * PAGE));
}

static const struct test_case cases[] = {
	{ "read_write", test_read_write },
	{ "append", test_append },
	{ "bad_buffer", test_bad_buffer },
	{ "own_mapping", test_own_mapping },
	{ "limits", test_limits },
	{ "seek", test_seek },
	{ "seek_1tib", test_seek_1tib },
	{ "allocate", test_allocate },
	{ "allocate_too_much", test_allocate_too_much },
	{ "refused_gives_back", test_refused_gives_back },
	{ "punch", test_punch },
	{ "zero_range", test_zero_range },
	{ "unsupported", test_unsupported },
	{ "truncate", test_truncate },
	{ "unlinked", test_unlinked },
	{ "times", test_times },
	{ "sendfile", test_sendfile },
	{ "splice", test_splice },
	{ "splice_keeps", test_splice_keeps },
	{ "copy_file_range", test_copy_file_range },
	{}
};

int main(int argc, char **argv)
{
	return run_case(cases, argc, argv);
}
