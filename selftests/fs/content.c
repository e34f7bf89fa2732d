// SPDX-License-Identifier: GPL-2.0
/*
 * Random operations on one ballastfs file, each done to a buffer in ordinary
 * memory too; the two must never differ.
 *
 *	content random DIRECTORY OPERATIONS SEED
 *
 * All ways to change a file meet in it: write, store through two mappings,
 * truncate, punch, zero, allocate, MADV_REMOVE, copy within the file.  What is
 * written is chosen so that a scanner at work meanwhile finds much to do: a
 * third zero pages, a third copies of few pages, a third like nothing else.
 *
 * One thread: it proves that contents are kept, not that races are right.
 */
#include <sys/uio.h>

#include "lib/selftest.h"

/* A block of slots and a half, so that truncate takes whole ones too. */
#define MAX_SIZE	(3 * MIB)

static int fd;
static char *shadow, *buffer, *map[2];
static off_t size;
static uint64_t chance;

static off_t below(off_t limit)
{
	return limit > 0 ? (off_t)random_below(&chance, limit) : 0;
}

/* Half of all places and lengths are whole pages, most lengths are short. */
static off_t place(off_t limit)
{
	off_t at = below(limit);

	return below(2) ? at : at & ~(PAGE - 1);
}

static off_t length(off_t limit)
{
	off_t n = below(8) ? 1 + below(4 * PAGE) : 1 + below(512 * 1024);

	if (below(2))
		n = (n + PAGE - 1) & ~(PAGE - 1);
	return n < limit ? n : limit;
}

/* Content for [at, at + n): by page of the file, so that pages become equal. */
static void make_content(off_t at, off_t n)
{
	static uint64_t unique = 1000;
	off_t done, part;
	char page[PAGE] __attribute__((aligned(8)));

	for (done = 0; done < n; done += part) {
		off_t in_page = (at + done) % PAGE;

		part = PAGE - in_page < n - done ? PAGE - in_page : n - done;
		switch (below(3)) {
		case 0:
			memset(page, 0, PAGE);
			break;
		case 1:
			fill_page(page, below(4));
			break;
		default:
			fill_page(page, unique++);
			break;
		}
		memcpy(buffer + done, page + in_page, part);
	}
}

static void compare(const char *how, const char *found, off_t at, off_t n)
{
	off_t i;

	if (!memcmp(found, shadow + at, n))
		return;
	for (i = 0; found[i] == shadow[at + i]; i++)
		;
	die("%s of %lld bytes at %lld, size %lld: byte %lld is %#x, not %#x", how,
	    (long long)n, (long long)at, (long long)size, (long long)(at + i),
	    (unsigned char)found[i], (unsigned char)shadow[at + i]);
}

static void grown(off_t end)
{
	if (end > size)
		size = end;
}

static void do_read(void)
{
	off_t at = place(MAX_SIZE), n = length(MAX_SIZE - at), expected;

	expected = at >= size ? 0 : n < size - at ? n : size - at;
	CHECK_EQUAL(pread(fd, buffer, n, at), expected);
	compare("read", buffer, at, expected);
}

static void do_write(void)
{
	off_t at = place(MAX_SIZE), n = length(MAX_SIZE - at);
	struct iovec parts[2];

	make_content(at, n);
	parts[0].iov_base = buffer;
	parts[0].iov_len = below(n + 1);
	parts[1].iov_base = buffer + parts[0].iov_len;
	parts[1].iov_len = n - parts[0].iov_len;
	CHECK_EQUAL(pwritev(fd, parts, 2, at), n);
	memcpy(shadow + at, buffer, n);
	grown(at + n);
}

static void do_load(void)
{
	off_t at = place(size), n = length(size - at);

	if (n > 0)
		compare("load", map[below(2)] + at, at, n);
}

static void do_store(void)
{
	off_t at = place(size), n = length(size - at);

	if (n <= 0)
		return;
	make_content(at, n);
	memcpy(map[below(2)] + at, buffer, n);
	memcpy(shadow + at, buffer, n);
}

static void do_truncate(void)
{
	off_t new = place(MAX_SIZE + 1);

	/* most of the time the file is to have something in it */
	if (below(4))
		new = size + below(16 * PAGE) - 8 * PAGE;
	if (new < 0 || new > MAX_SIZE)
		return;
	set_size(fd, new);
	if (new < size)
		memset(shadow + new, 0, size - new);
	size = new;
}

static void do_fallocate(int mode)
{
	off_t at = place(MAX_SIZE), n = length(MAX_SIZE - at);

	if (fallocate(fd, mode, at, n))
		die("fallocate mode %d, %lld bytes at %lld", mode, (long long)n,
		    (long long)at);
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		memset(shadow + at, 0, n);
	if (!(mode & FALLOC_FL_KEEP_SIZE))
		grown(at + n);
}

static void do_madvise(int advice)
{
	off_t pages = size / PAGE, at, n;

	if (!pages)
		return;
	at = below(pages);
	n = 1 + below(pages - at < 32 ? pages - at : 32);
	CHECK(!madvise(map[below(2)] + at * PAGE, n * PAGE, advice));
	if (advice == MADV_REMOVE)
		memset(shadow + at * PAGE, 0, n * PAGE);
}

static void do_copy(void)
{
	loff_t from = place(size), to = place(size);
	off_t n = length(size - (from > to ? from : to));
	ssize_t copied;

	/* the same file, so the ranges may not overlap */
	if (n <= 0 || (from < to + n && to < from + n))
		return;
	while (n > 0) {
		loff_t source = from, target = to;

		copied = copy_file_range(fd, &from, fd, &to, n, 0);
		CHECK(copied > 0);
		memcpy(shadow + target, shadow + source, copied);
		n -= copied;
	}
}

/* What is said to be a hole must be zero; what is said to be data need not. */
static void do_seek(void)
{
	off_t at = place(size), data;

	if (at >= size) {
		CHECK_FAILS(lseek(fd, at, SEEK_HOLE), ENXIO);
		return;
	}
	data = lseek(fd, at, SEEK_DATA);
	if (data < 0) {
		CHECK(errno == ENXIO);
		data = size;
	}
	CHECK(data >= at && data <= size);
	check_zero(shadow + at, data - at);
	CHECK(lseek(fd, at, SEEK_HOLE) >= at);
}

static void do_msync(void)
{
	CHECK(!msync(map[0], MAX_SIZE, MS_SYNC));
	CHECK(!fsync(fd));
}

static void check_all(void)
{
	CHECK_EQUAL(size_of(fd), size);
	CHECK_EQUAL(pread(fd, buffer, MAX_SIZE, 0), size);
	compare("read of all", buffer, 0, size);
	compare("load of all", map[1], 0, size);
	CHECK(held_pages(fd) <= MAX_SIZE / PAGE);
}

static void operate(void)
{
	int what = below(100);

	if (what < 16)
		do_read();
	else if (what < 36)
		do_write();
	else if (what < 50)
		do_load();
	else if (what < 68)
		do_store();
	else if (what < 74)
		do_truncate();
	else if (what < 80)
		do_fallocate(FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
	else if (what < 83)
		do_fallocate(FALLOC_FL_ZERO_RANGE | (below(2) ? FALLOC_FL_KEEP_SIZE : 0));
	else if (what < 86)
		do_fallocate(below(2) ? FALLOC_FL_KEEP_SIZE : 0);
	else if (what < 89)
		do_madvise(MADV_REMOVE);
	else if (what < 91)
		do_madvise(MADV_DONTNEED);
	else if (what < 95)
		do_copy();
	else if (what < 99)
		do_seek();
	else
		do_msync();
}

static void test_random(int argc, char **argv)
{
	long i, operations;

	CHECK(argc == 2);
	operations = atol(argv[0]);
	chance = strtoull(argv[1], NULL, 0);
	fd = open_file("content", O_RDWR | O_CREAT | O_EXCL);
	shadow = calloc(1, MAX_SIZE);
	buffer = malloc(MAX_SIZE);
	CHECK(shadow && buffer);
	map[0] = map_file(fd, MAX_SIZE);
	map[1] = map_file(fd, MAX_SIZE);
	for (i = 0; i < operations; i++) {
		operate();
		if (i % 500 == 0)
			check_all();
	}
	check_all();
	CHECK(!unlink("content"));
}

static const struct test_case cases[] = {
	{ "random", test_random },
	{}
};

int main(int argc, char **argv)
{
	return run_case(cases, argc, argv);
}
