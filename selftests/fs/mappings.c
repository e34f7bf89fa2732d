// SPDX-License-Identifier: GPL-2.0
/*
 * ballastfs through mappings: what a VMM, and whoever handles its memory, may
 * do with guest memory.
 *
 *	mappings CASE DIRECTORY [ARGUMENT]
 *
 * Accounts are compared to the page, so the scanner must not be at work in the
 * pool (sharing=off) and nobody else may use it.
 */
#include <spawn.h>
#include <sys/uio.h>

#include "lib/selftest.h"

#define RW	(PROT_READ | PROT_WRITE)

static int new_file(const char *name, long pages)
{
	int fd = open_file(name, O_RDWR | O_CREAT | O_EXCL);

	set_size(fd, pages * PAGE);
	return fd;
}

static void verify_file(int fd, long first, long count, uint64_t tag)
{
	char page[PAGE] __attribute__((aligned(8)));
	long i;

	for (i = 0; i < count; i++) {
		CHECK(pread(fd, page, PAGE, (first + i) * PAGE) == PAGE);
		check_pages(page, 1, tag + i);
	}
}

static void test_private_refused(int argc, char **argv)
{
	int fd = new_file("private", 4);

	(void)argc; (void)argv;
	errno = 0;
	CHECK(mmap(NULL, PAGE, RW, MAP_PRIVATE, fd, 0) == MAP_FAILED);
	CHECK(errno == EINVAL);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED);
	CHECK(errno == EINVAL);
}

static void test_read_only(int argc, char **argv)
{
	int fd = new_file("read-only", 4), reader;
	char *p;

	(void)argc; (void)argv;
	fill_pages(map_file(fd, 4 * PAGE), 2, 1);
	reader = open_file("read-only", O_RDONLY);
	p = map_at(reader, 4 * PAGE, 0, PROT_READ);
	check_pages(p, 2, 1);
	check_zero(p + 2 * PAGE, 2 * PAGE);
	CHECK_EQUAL(try_access(p, STORE), SIGSEGV);
	CHECK_FAILS(mprotect(p, PAGE, RW), EACCES);
	CHECK(mmap(NULL, PAGE, RW, MAP_SHARED, reader, 0) == MAP_FAILED);
	CHECK(errno == EACCES);
	/* a writer's change is seen through it */
	CHECK(pwrite(fd, "x", 1, 3 * PAGE) == 1);
	CHECK_EQUAL(p[3 * PAGE], 'x');
}

/* 64 MiB of holes read through a mapping cost nothing. */
static void test_hole_read(int argc, char **argv)
{
	const long pages = 64 * MIB / PAGE;
	int fd = new_file("holes", pages);
	volatile char *p = map_file(fd, pages * PAGE);
	volatile char *q = map_at(fd, pages * PAGE, 0, PROT_READ);
	long base = used_pages(), sum = 0, i;

	(void)argc; (void)argv;
	for (i = 0; i < pages; i++)
		sum |= p[i * PAGE + i % PAGE];
	CHECK_EQUAL(sum, 0);
	CHECK_EQUAL(q[7 * PAGE], 0);
	CHECK_EQUAL(used_pages(), base);
	CHECK_EQUAL(held_pages(fd), 0);
	p[7 * PAGE + 5] = 'x';
	CHECK_EQUAL(used_pages(), base + 1);
	CHECK_EQUAL(held_pages(fd), 1);
	/* both had the zero frame there, and no other page has changed */
	CHECK_EQUAL(p[7 * PAGE + 5], 'x');
	CHECK_EQUAL(q[7 * PAGE + 5], 'x');
	CHECK_EQUAL(p[8 * PAGE + 5] | q[6 * PAGE + 5] | q[7 * PAGE], 0);
	/* write() replaces the zero frame too */
	CHECK_EQUAL(p[9 * PAGE], 0);
	CHECK(pwrite(fd, "y", 1, 9 * PAGE) == 1);
	CHECK_EQUAL(p[9 * PAGE], 'y');
	/* and so does one long write over pages that were only read */
	memset((void *)(p + 16 * PAGE), 'z', 16 * PAGE);
	CHECK_EQUAL(used_pages(), base + 18);
}

static void test_mprotect(int argc, char **argv)
{
	int fd = new_file("mprotect", 8);
	char *p = map_at(fd, 8 * PAGE, 0, PROT_READ);
	long base = used_pages();

	(void)argc; (void)argv;
	check_zero(p, 4 * PAGE);
	CHECK_EQUAL(try_access(p, STORE), SIGSEGV);
	CHECK(!mprotect(p, 8 * PAGE, RW));
	fill_pages(p, 2, 1);		/* was the zero frame */
	fill_pages(p + 5 * PAGE, 1, 5);	/* was not mapped */
	CHECK_EQUAL(used_pages() - base, 3);
	CHECK(!mprotect(p, 8 * PAGE, PROT_READ));
	CHECK_EQUAL(try_access(p, STORE), SIGSEGV);
	CHECK_EQUAL(try_access(p, LOAD), 0);
	CHECK(!mprotect(p, 8 * PAGE, PROT_NONE));
	CHECK_EQUAL(try_access(p, LOAD), SIGSEGV);
	verify_file(fd, 0, 2, 1);
	CHECK(!mprotect(p + PAGE, PAGE, RW));
	fill_page(p + PAGE, 9);
	CHECK(!mprotect(p, 8 * PAGE, RW));
	check_pages(p, 1, 1);
	check_pages(p + PAGE, 1, 9);
	check_pages(p + 5 * PAGE, 1, 5);
	check_zero(p + 2 * PAGE, 3 * PAGE);
	CHECK_EQUAL(used_pages() - base, 3);
}

static void test_mremap(int argc, char **argv)
{
	int fd = new_file("mremap", 64);
	char *p = map_file(fd, 16 * PAGE), *q, *r;

	(void)argc; (void)argv;
	fill_pages(p, 16, 0);
	q = mremap(p, 16 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED);
	check_pages(q, 16, 0);
	fill_pages(q + 16 * PAGE, 48, 16);
	/* to a place of our choice */
	r = mmap(NULL, 64 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(r != MAP_FAILED);
	CHECK(mremap(q, 64 * PAGE, 64 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, r) == r);
	CHECK_EQUAL(try_access(q, LOAD), SIGSEGV);
	check_pages(r, 64, 0);
	fill_pages(r, 8, 100);
	verify_file(fd, 0, 8, 100);
	verify_file(fd, 8, 56, 8);
	/* an old size of nothing duplicates a shared mapping */
	q = mremap(r, 0, 64 * PAGE, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED);
	fill_page(q + 63 * PAGE, 200);
	check_pages(r + 63 * PAGE, 1, 200);
	CHECK(mremap(r, 64 * PAGE, 8 * PAGE, 0) == r);
	CHECK_EQUAL(try_access(r + 8 * PAGE, LOAD), SIGSEGV);
	check_pages(r, 8, 100);
	CHECK(!munmap(q + PAGE, PAGE));
	CHECK_EQUAL(try_access(q + PAGE, LOAD), SIGSEGV);
	check_pages(q + 2 * PAGE, 6, 102);
	CHECK_EQUAL(held_pages(fd), 64);
}

static void test_madvise(int argc, char **argv)
{
	int fd = new_file("madvise", 16);
	char *p = map_file(fd, 16 * PAGE), *q = map_file(fd, 16 * PAGE);
	long base = used_pages();

	(void)argc; (void)argv;
	fill_pages(p, 16, 0);
	CHECK(!madvise(p, 16 * PAGE, MADV_DONTNEED));
	CHECK_EQUAL(used_pages() - base, 16);
	check_pages(p, 16, 0);
	check_pages(q, 16, 0);
	CHECK(!madvise(p + 4 * PAGE, 8 * PAGE, MADV_REMOVE));
	CHECK_EQUAL(used_pages() - base, 8);
	check_pages(p, 4, 0);
	check_zero(p + 4 * PAGE, 8 * PAGE);
	check_zero(q + 4 * PAGE, 8 * PAGE);
	check_pages(q + 12 * PAGE, 4, 12);
	CHECK_EQUAL(size_of(fd), 16 * PAGE);
	CHECK_EQUAL(used_pages() - base, 8);
	/* no guest memory is lost by what a VMM or an allocator may also try */
	madvise(p, 16 * PAGE, MADV_FREE);
	madvise(p, 16 * PAGE, MADV_PAGEOUT);
	madvise(p, 16 * PAGE, MADV_COLD);
	madvise(p, 16 * PAGE, MADV_HUGEPAGE);
	madvise(p, 16 * PAGE, MADV_MERGEABLE);
	madvise(p, 16 * PAGE, MADV_DONTDUMP);
	mlock(p, 16 * PAGE);
	munlock(p, 16 * PAGE);
	msync(p, 16 * PAGE, MS_SYNC | MS_INVALIDATE);
	check_pages(p, 4, 0);
	check_pages(p + 12 * PAGE, 4, 12);
}

static void test_populate(int argc, char **argv)
{
	int fd = new_file("populate", 64);
	char *p = map_file(fd, 64 * PAGE);
	long base = used_pages();

	(void)argc; (void)argv;
	CHECK(!madvise(p, 64 * PAGE, MADV_POPULATE_READ));
	CHECK_EQUAL(used_pages() - base, 0);
	CHECK(!madvise(p, 32 * PAGE, MADV_POPULATE_WRITE));
	CHECK_EQUAL(used_pages() - base, 32);
	check_zero(p, 64 * PAGE);
	CHECK(mmap(p, 64 * PAGE, RW, MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, 0) == p);
	check_zero(p, 64 * PAGE);
	fill_pages(p, 64, 0);
	CHECK_EQUAL(used_pages() - base, 64);
	verify_file(fd, 0, 64, 0);
}

static void test_fork(int argc, char **argv)
{
	int fd = new_file("fork", 64);
	char *p = map_file(fd, 64 * PAGE);
	pid_t child;

	(void)argc; (void)argv;
	fill_pages(p, 16, 0);
	check_zero(p + 16 * PAGE, 16 * PAGE);	/* 16 to 31 map the zero frame */
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		check_pages(p, 16, 0);
		fill_pages(p + 8 * PAGE, 40, 100);
		_exit(0);
	}
	wait_for_child(child);
	check_pages(p, 8, 0);
	check_pages(p + 8 * PAGE, 40, 100);
	check_zero(p + 48 * PAGE, 16 * PAGE);
	CHECK_EQUAL(held_pages(fd), 48);

	/* what the parent takes away is away in the child */
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		while (!__atomic_load_n((int *)(p + 63 * PAGE), __ATOMIC_ACQUIRE))
			sleep_ms(5);
		check_zero(p, 16 * PAGE);
		_exit(0);
	}
	sleep_ms(20);
	CHECK(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 16 * PAGE));
	__atomic_store_n((int *)(p + 63 * PAGE), 1, __ATOMIC_RELEASE);
	wait_for_child(child);
}

static void test_vm_readv(int argc, char **argv)
{
	int fd = new_file("vm-readv", 16), ends[2];
	char *p = map_file(fd, 16 * PAGE), *buffer = malloc(16 * PAGE), c;
	struct iovec local = { buffer, 16 * PAGE }, remote = { p, 16 * PAGE };
	pid_t child;

	(void)argc; (void)argv;
	CHECK(buffer && !pipe(ends));
	if (process_vm_readv(getpid(), &local, 1, &local, 1, 0) < 0 && errno == ENOSYS)
		skip_case("no process_vm_readv");
	fill_pages(p, 8, 0);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		close(ends[1]);
		_exit(read(ends[0], &c, 1) != 0);
	}
	CHECK(!munmap(p, 16 * PAGE));
	CHECK_EQUAL(process_vm_readv(child, &local, 1, &remote, 1, 0), 16 * PAGE);
	check_pages(buffer, 8, 0);
	check_zero(buffer + 8 * PAGE, 8 * PAGE);
	CHECK_EQUAL(held_pages(fd), 8);
	/* into content and into holes */
	fill_pages(buffer, 16, 50);
	CHECK_EQUAL(process_vm_writev(child, &local, 1, &remote, 1, 0), 16 * PAGE);
	verify_file(fd, 0, 16, 50);
	close(ends[1]);
	wait_for_child(child);
}

static void test_exec(int argc, char **argv)
{
	int fd = new_file("exec", 32), i;
	char *p = map_file(fd, 32 * PAGE);
	char *const arguments[] = { "true", NULL };
	pid_t child;

	(void)argc; (void)argv;
	fill_pages(p, 16, 0);
	for (i = 0; i < 5; i++) {
		child = fork();
		CHECK(child >= 0);
		if (!child) {
			fill_page(p + (16 + i) * PAGE, 16 + i);
			execv("/bin/true", arguments);
			_exit(127);
		}
		fill_page(p + (24 + i) * PAGE, 24 + i);
		wait_for_child(child);
	}
	CHECK(!posix_spawn(&child, "/bin/true", NULL, NULL, arguments, NULL));
	wait_for_child(child);
	check_pages(p, 21, 0);
	check_pages(p + 24 * PAGE, 5, 24);
}

/* ---- beyond the end */

static void test_sigbus(int argc, char **argv)
{
	int fd = new_file("sigbus", 0);
	char *p = map_file(fd, 8 * PAGE);

	(void)argc; (void)argv;
	CHECK_EQUAL(try_access(p, LOAD), SIGBUS);
	CHECK_EQUAL(try_access(p, STORE), SIGBUS);
	set_size(fd, 2 * PAGE + 100);
	CHECK_EQUAL(try_access(p, STORE), 0);
	CHECK_EQUAL(try_access(p + 2 * PAGE, STORE), 0);
	CHECK_EQUAL(try_access(p + 3 * PAGE - 1, LOAD), 0);
	CHECK_EQUAL(try_access(p + 3 * PAGE, LOAD), SIGBUS);
	CHECK_EQUAL(try_access(p + 3 * PAGE, STORE), SIGBUS);
	CHECK_EQUAL(held_pages(fd), 2);
	set_size(fd, 8 * PAGE);
	CHECK_EQUAL(try_access(p + 3 * PAGE, LOAD), 0);
	CHECK_EQUAL(try_access(p + 7 * PAGE, STORE), 0);
	/* what was only read, and what was written, go alike */
	set_size(fd, PAGE);
	CHECK_EQUAL(try_access(p + 3 * PAGE, LOAD), SIGBUS);
	CHECK_EQUAL(try_access(p + 7 * PAGE, LOAD), SIGBUS);
	CHECK_EQUAL(try_access(p + PAGE, STORE), SIGBUS);
	CHECK_EQUAL(try_access(p, STORE), 0);
	/* allocated beyond the end is still beyond the end */
	CHECK(!fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 8 * PAGE));
	CHECK_EQUAL(try_access(p + PAGE, LOAD), SIGBUS);
}

static void test_truncate_mapped(int argc, char **argv)
{
	int fd = new_file("truncate-mapped", 1032);
	char *p = map_file(fd, 1032 * PAGE), *q = map_file(fd, 1032 * PAGE);
	long base = used_pages();

	(void)argc; (void)argv;
	fill_pages(p, 1032, 0);
	check_pages(q, 1032, 0);
	set_size(fd, 2 * PAGE + 1234);
	CHECK_EQUAL(used_pages() - base, 3);
	check_zero(p + 2 * PAGE + 1234, PAGE - 1234);
	CHECK_EQUAL(try_access(p + 3 * PAGE, LOAD), SIGBUS);
	CHECK_EQUAL(try_access(q + 1031 * PAGE, STORE), SIGBUS);
	set_size(fd, 1032 * PAGE);
	check_pages(q, 2, 0);
	check_zero(p + 2 * PAGE + 1234, 1030 * PAGE - 1234);
	check_zero(q + 2 * PAGE + 1234, 1030 * PAGE - 1234);
	CHECK_EQUAL(used_pages() - base, 3);
	fill_pages(p, 1032, 5000);
	check_pages(q, 1032, 5000);
	CHECK_EQUAL(used_pages() - base, 1032);
}

/* ---- pinned by the kernel; argv: a file on a filesystem with direct I/O */

#define DIRECT_PAGES	64

static void test_direct_write(int argc, char **argv)
{
	int fd = new_file("direct-write", DIRECT_PAGES), out, in;
	char *p = map_file(fd, DIRECT_PAGES * PAGE);
	char *back = malloc(DIRECT_PAGES * PAGE);

	CHECK(argc == 1 && back);
	fill_pages(p, DIRECT_PAGES / 2, 0);	/* the rest are holes */
	out = open_file(argv[0], O_WRONLY | O_CREAT | O_TRUNC | O_DIRECT);
	CHECK_EQUAL(pwrite(out, p, DIRECT_PAGES * PAGE, 0), DIRECT_PAGES * PAGE);
	CHECK(!close(out));
	in = open_file(argv[0], O_RDONLY);
	CHECK_EQUAL(pread(in, back, DIRECT_PAGES * PAGE, 0), DIRECT_PAGES * PAGE);
	check_pages(back, DIRECT_PAGES / 2, 0);
	check_zero(back + DIRECT_PAGES / 2 * PAGE, DIRECT_PAGES / 2 * PAGE);
	CHECK_EQUAL(held_pages(fd), DIRECT_PAGES / 2);
	CHECK(!unlink(argv[0]));
}

static void write_whole(const char *path, const char *content, long pages)
{
	int fd = open_file(path, O_WRONLY | O_CREAT | O_TRUNC);

	CHECK_EQUAL(write(fd, content, pages * PAGE), pages * PAGE);
	CHECK(!fsync(fd));
	CHECK(!close(fd));
}

static void test_direct_read(int argc, char **argv)
{
	int fd = new_file("direct-read", DIRECT_PAGES), in;
	char *p = map_file(fd, DIRECT_PAGES * PAGE);
	char *content = malloc(DIRECT_PAGES * PAGE);
	long i;

	CHECK(argc == 1 && content);
	fill_pages(content, DIRECT_PAGES, 7);
	write_whole(argv[0], content, DIRECT_PAGES);
	fill_pages(p, 16, 0);			/* private */
	check_zero(p + 16 * PAGE, 16 * PAGE);	/* the zero frame */
	in = open_file(argv[0], O_RDONLY | O_DIRECT);
	CHECK_EQUAL(pread(in, p, DIRECT_PAGES * PAGE, 0), DIRECT_PAGES * PAGE);
	check_pages(p, DIRECT_PAGES, 7);
	verify_file(fd, 0, DIRECT_PAGES, 7);
	CHECK_EQUAL(held_pages(fd), DIRECT_PAGES);
	/* into pages that go between two reads */
	for (i = 0; i < 20; i++) {
		CHECK(!madvise(p, DIRECT_PAGES * PAGE, MADV_REMOVE));
		CHECK_EQUAL(pread(in, p + i * PAGE, 4 * PAGE, i * PAGE), 4 * PAGE);
		check_pages(p + i * PAGE, 4, 7 + i);
		CHECK_EQUAL(held_pages(fd), 4);
	}
	CHECK(!unlink(argv[0]));
}

/*
 * As above while the scanner shares: pages that are equal before and after are
 * read over and over.  argv: file, rounds
 */
static void test_direct_rounds(int argc, char **argv)
{
	int fd = new_file("direct-rounds", DIRECT_PAGES), in;
	char *p = map_file(fd, DIRECT_PAGES * PAGE);
	char *content = malloc(DIRECT_PAGES * PAGE);
	long i, rounds;

	CHECK(argc == 2 && content);
	rounds = atol(argv[1]);
	for (i = 0; i < DIRECT_PAGES; i++)
		fill_page(content + i * PAGE, i % 4);
	memset(content + 8 * PAGE, 0, 8 * PAGE);
	write_whole(argv[0], content, DIRECT_PAGES);
	in = open_file(argv[0], O_RDONLY | O_DIRECT);
	while (rounds--) {
		memset(p, rounds & 1 ? 0 : 0x55, DIRECT_PAGES * PAGE);
		sleep_ms(rounds % 8);	/* the scanner's turn */
		CHECK_EQUAL(pread(in, p, DIRECT_PAGES * PAGE, 0), DIRECT_PAGES * PAGE);
		if (memcmp(p, content, DIRECT_PAGES * PAGE))
			die("%ld rounds before the end: not what was read", rounds);
	}
	CHECK(!unlink(argv[0]));
}

static void test_vmsplice(int argc, char **argv)
{
	int fd = new_file("vmsplice", 16), ends[2];
	char *p = map_file(fd, 16 * PAGE);
	char page[PAGE] __attribute__((aligned(8)));
	struct iovec iov = { p, 8 * PAGE };
	long base, i;

	(void)argc; (void)argv;
	fill_pages(p, 6, 0);
	base = used_pages();
	CHECK(!pipe(ends));
	CHECK_EQUAL(vmsplice(ends[1], &iov, 1, 0), 8 * PAGE);
	/* the pipe keeps its pages; the pool does not count them any more */
	CHECK(!madvise(p, 4 * PAGE, MADV_REMOVE));
	CHECK_EQUAL(base - used_pages(), 4);
	fill_pages(p, 4, 100);
	for (i = 0; i < 6; i++) {
		CHECK_EQUAL(read(ends[0], page, PAGE), PAGE);
		check_pages(page, 1, i);
	}
	CHECK_EQUAL(read(ends[0], page, PAGE), PAGE);
	check_zero(page, PAGE);
	check_pages(p, 4, 100);
}

/*
 * Frames that have just held something else.  The lab's kernel does not zero what it
 * gives out (init_on_alloc=0, selftests/run), so that it is seen who does.
 */
static void test_recycled(int argc, char **argv)
{
	const long pages = 512;
	int fd = new_file("recycled", pages), way;
	char *p = map_file(fd, pages * PAGE);
	long i;

	(void)argc; (void)argv;
	for (way = 0; way < 3; way++) {
		fill_pages(p, pages, way);
		CHECK(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				 pages * PAGE));
		if (way == 2)
			CHECK(!fallocate(fd, 0, 0, pages * PAGE));
		for (i = 0; i < pages; i++) {
			char *page = p + i * PAGE;

			if (way == 1)
				CHECK_EQUAL(pwrite(fd, "x", 1, i * PAGE + i), 1);
			else
				page[i] = 'x';
			CHECK_EQUAL(page[i], 'x');
			check_zero(page, i);
			check_zero(page + i + 1, PAGE - i - 1);
		}
	}
}

/* /proc/PID/smaps and pagemap walk the page tables. */
static void test_proc(int argc, char **argv)
{
	int fd = new_file("proc", 64), map_fd;
	char *p = map_file(fd, 64 * PAGE), line[256];
	uint64_t entries[64];
	long rss = -1;
	bool ours = false;
	FILE *f;

	(void)argc; (void)argv;
	fill_pages(p, 16, 0);
	f = fopen("/proc/self/smaps", "r");
	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		unsigned long start, end;

		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			ours = start == (unsigned long)p;
		else if (ours)
			sscanf(line, "Rss: %ld kB", &rss);
	}
	fclose(f);
	CHECK_EQUAL(rss, 16 * PAGE / 1024);
	map_fd = open_file("/proc/self/pagemap", O_RDONLY);
	CHECK_EQUAL(pread(map_fd, entries, sizeof(entries), (long)p / PAGE * 8),
		    (long)sizeof(entries));
	CHECK(entries[15] >> 63);
	CHECK(!(entries[16] >> 63));
}

static const struct test_case cases[] = {
	{ "private_refused", test_private_refused },
	{ "read_only", test_read_only },
	{ "hole_read", test_hole_read },
	{ "mprotect", test_mprotect },
	{ "mremap", test_mremap },
	{ "madvise", test_madvise },
	{ "populate", test_populate },
	{ "fork", test_fork },
	{ "vm_readv", test_vm_readv },
	{ "exec", test_exec },
	{ "sigbus", test_sigbus },
	{ "truncate_mapped", test_truncate_mapped },
	{ "direct_write", test_direct_write },
	{ "direct_read", test_direct_read },
	{ "direct_rounds", test_direct_rounds },
	{ "vmsplice", test_vmsplice },
	{ "proc", test_proc },
	{ "recycled", test_recycled },
	{}
};

int main(int argc, char **argv)
{
	return run_case(cases, argc, argv);
}
