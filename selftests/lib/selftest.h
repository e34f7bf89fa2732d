/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the C programs of the lab tests share: checks that end the program,
 * page patterns, a repeatable random number generator, numbers of a pool.
 *
 * Compiled with _GNU_SOURCE.  A program is a table of cases, run as
 *
 *	PROGRAM CASE DIRECTORY [ARGUMENT...]
 *	PROGRAM CASE,CASE,... DIRECTORY [ARGUMENT...]
 *
 * with DIRECTORY on a ballastfs whose pool BALLAST_TEST_POOL names.  A list is
 * run each in a process and a directory of its own; "ok CASE", "not ok CASE" or
 * "skip CASE" follows what each says.  A new process of a script costs ten times as much.
 */
#ifndef BALLAST_SELFTEST_H
#define BALLAST_SELFTEST_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096L
#define PAGE_WORDS	(PAGE / (long)sizeof(uint64_t))
#define MIB		(1L << 20)
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

__attribute__((noreturn, format(printf, 1, 2)))
static inline void die(const char *format, ...)
{
	int err = errno;
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf(" (errno %d: %s)\n", err, strerror(err));
	fflush(stdout);
	_exit(1);
}

/* What the kernel lacks is not tested. */
#define SKIPPED	4

__attribute__((noreturn))
static inline void skip_case(const char *why)
{
	printf("SKIP %s\n", why);
	fflush(stdout);
	_exit(SKIPPED);
}

#define CHECK(condition) do { \
	if (!(condition)) \
		die("%s:%d: not true: %s", __FILE__, __LINE__, #condition); \
} while (0)

/* Two integers; both are shown if they differ. */
#define CHECK_EQUAL(a, b) do { \
	long long value_a = (a), value_b = (b); \
	if (value_a != value_b) \
		die("%s:%d: %s is %lld, not %s (%lld)", __FILE__, __LINE__, \
		    #a, value_a, #b, value_b); \
} while (0)

/* A call that must fail, with this errno. */
#define CHECK_FAILS(call, error) do { \
	errno = 0; \
	if ((call) != -1) \
		die("%s:%d: succeeded: %s", __FILE__, __LINE__, #call); \
	if (errno != (error)) \
		die("%s:%d: not %s: %s", __FILE__, __LINE__, #error, #call); \
} while (0)

/* ---- time and chance */

static inline int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static inline void sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&t, &t) && errno == EINTR)
		;
}

/* splitmix64: every seed is a good one, two threads need two of them. */
static inline uint64_t random_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static inline uint64_t random_below(uint64_t *state, uint64_t limit)
{
	return random_next(state) % limit;
}

/* ---- pages: each word of one says which tag it is of and where it stands */

static inline uint64_t pattern(uint64_t tag, long word)
{
	return (tag + 1) * 0x9e3779b97f4a7c15ULL + (uint64_t)word;
}

static inline void fill_page(void *page, uint64_t tag)
{
	uint64_t *words = page;
	long i;

	for (i = 0; i < PAGE_WORDS; i++)
		words[i] = pattern(tag, i);
}

static inline void fill_pages(void *start, long count, uint64_t tag)
{
	long i;

	for (i = 0; i < count; i++)
		fill_page((char *)start + i * PAGE, tag + i);
}

static inline bool page_is(const void *page, uint64_t tag)
{
	const uint64_t *words = page;
	long i;

	for (i = 0; i < PAGE_WORDS; i++)
		if (words[i] != pattern(tag, i))
			return false;
	return true;
}

static inline bool is_zero(const void *start, size_t length)
{
	const char *c = start;

	return !length || (!*c && !memcmp(c, c + 1, length - 1));
}

static inline void check_pages(const void *start, long count, uint64_t tag)
{
	const char *page = start;
	long i;

	for (i = 0; i < count; i++)
		if (!page_is(page + i * PAGE, tag + i))
			die("page %ld of %ld is not of tag %llu: first word %llx", i,
			    count, (unsigned long long)tag + i,
			    *(const unsigned long long *)(page + i * PAGE));
}

static inline void check_zero(const void *start, size_t length)
{
	const char *c = start;
	size_t i;

	if (is_zero(start, length))
		return;
	for (i = 0; !c[i]; i++)
		;
	die("byte %zu of %zu is %#x, not zero", i, length, (unsigned char)c[i]);
}

/* ---- files and mappings */

static inline int open_file(const char *path, int flags)
{
	int fd = open(path, flags, 0600);

	if (fd < 0)
		die("open %s", path);
	return fd;
}

static inline void *map_at(int fd, size_t length, off_t offset, int prot)
{
	void *p = mmap(NULL, length, prot, MAP_SHARED, fd, offset);

	if (p == MAP_FAILED)
		die("mmap of %zu bytes at %lld", length, (long long)offset);
	return p;
}

static inline void *map_file(int fd, size_t length)
{
	return map_at(fd, length, 0, PROT_READ | PROT_WRITE);
}

static inline void set_size(int fd, off_t size)
{
	if (ftruncate(fd, size))
		die("ftruncate to %lld", (long long)size);
}

static inline struct stat stat_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		die("fstat");
	return st;
}

static inline off_t size_of(int fd)
{
	return stat_of(fd).st_size;
}

/* What a file holds, in pages. */
static inline long held_pages(int fd)
{
	return stat_of(fd).st_blocks / (PAGE / 512);
}

static inline void wait_for_child(pid_t child)
{
	int status;

	CHECK(waitpid(child, &status, 0) == child);
	if (status)
		die("child: wait status %#x", status);
}

/* ---- what a signal handler catches: one access, tried */

static sigjmp_buf caught_jump;
static volatile sig_atomic_t caught_armed;

static inline void catch_signal(int signal)
{
	if (!caught_armed)
		_exit(128 + signal);
	siglongjmp(caught_jump, signal);
}

enum access { LOAD, STORE };

/* The signal that one access gets; 0 if none.  One thread only. */
static inline int try_access(volatile void *address, enum access access)
{
	struct sigaction action = { .sa_handler = catch_signal };
	volatile char *byte = address;
	int signal;

	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	signal = sigsetjmp(caught_jump, 1);
	if (!signal) {
		caught_armed = 1;
		if (access == STORE)
			*byte = *byte + 1;
		else
			(void)*byte;
	}
	caught_armed = 0;
	action.sa_handler = SIG_DFL;
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	return signal;
}

/* ---- sysfs */

static inline long long read_number(const char *path)
{
	FILE *f = fopen(path, "r");
	long long value;

	if (!f || fscanf(f, "%lld", &value) != 1)
		die("no number in %s", path);
	fclose(f);
	return value;
}

/* A file of the pool under test. */
static inline long long pool_number(const char *name)
{
	const char *pool = getenv("BALLAST_TEST_POOL");
	char path[256];

	if (!pool)
		die("BALLAST_TEST_POOL is not set");
	snprintf(path, sizeof(path), "/sys/kernel/ballast/pools/%s/%s", pool, name);
	return read_number(path);
}

static inline long used_pages(void)
{
	return pool_number("used_bytes") / PAGE;
}

/* ---- cases */

/**
 * struct test_case - one test of a program
 * @name: on the command line
 * @run: called in DIRECTORY; returns if the test passed
 */
struct test_case {
	const char *name;
	void (*run)(int argc, char **argv);
};

static inline const struct test_case *find_case(const struct test_case *cases,
						const char *name)
{
	for (; cases->name; cases++)
		if (!strcmp(cases->name, name))
			return cases;
	die("no case %s", name);
}

/* Remove the directory NAME and the files in it. */
static inline void remove_directory(const char *name)
{
	DIR *dir = opendir(name);
	struct dirent *entry;

	CHECK(dir);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			CHECK(!unlinkat(dirfd(dir), entry->d_name, 0));
	closedir(dir);
	CHECK(!rmdir(name));
}

/* One case in its own process and directory; its exit status. */
static inline int run_alone(const struct test_case *c, int argc, char **argv)
{
	long before = used_pages();
	int status = 0;
	pid_t child;

	CHECK(!mkdir(c->name, 0700));
	fflush(stdout);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		CHECK(!chdir(c->name));
		c->run(argc, argv);
		fflush(stdout);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	if (WIFSIGNALED(status)) {
		printf("killed by signal %d\n", WTERMSIG(status));
		status = 1;
	} else {
		status = WEXITSTATUS(status);
	}
	remove_directory(c->name);
	/* who failed may have left a child behind */
	if (status || used_pages() == before)
		return status;
	printf("%ld pages are held by no file\n", used_pages() - before);
	return 1;
}

static inline int run_list(const struct test_case *cases, char *names, int argc,
			   char **argv)
{
	int status, worst = 0;
	char *name;

	for (name = strtok(names, ","); name; name = strtok(NULL, ",")) {
		status = run_alone(find_case(cases, name), argc, argv);
		printf("%s %s\n", !status ? "ok" : status == SKIPPED ? "skip" : "not ok",
		       name);
		if (status && worst != 1)
			worst = status == SKIPPED ? SKIPPED : 1;
	}
	return worst;
}

static inline int run_case(const struct test_case *cases, int argc, char **argv)
{
	const struct test_case *c;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 3) {
		for (c = cases; c->name; c++)
			puts(c->name);
		return 2;
	}
	if (chdir(argv[2]))
		die("chdir %s", argv[2]);
	if (strchr(argv[1], ','))
		return run_list(cases, argv[1], argc - 3, argv + 3);
	find_case(cases, argv[1])->run(argc - 3, argv + 3);
	return 0;
}

#endif /* BALLAST_SELFTEST_H */
