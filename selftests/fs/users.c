// SPDX-License-Identifier: GPL-2.0
/*
 * Users of ballastfs in several threads, and one that takes all it can get.
 *
 *	users first_touch DIRECTORY MIB
 *	users punch_race DIRECTORY MILLISECONDS
 *	users truncate_race DIRECTORY MILLISECONDS
 *	users fill DIRECTORY FILE PAGES unique|equal|read
 *	users hold DIRECTORY FILE PAGES
 *	users churn DIRECTORY PAGES MILLISECONDS
 *
 * "fill" writes PAGES pages through a mapping (read: by read(2) into one),
 * which may take as long as the pool is full, and verifies them all before it
 * exits.  "hold" writes, says "ready", waits for a line on stdin, verifies.
 * "churn" touches four times the PAGES that the pool has, while pages are given
 * back as fast as they can be.
 *
 * A race that is not seen here may still be there: the lab's two CPUs are
 * emulated in turns.  --thread-multi of selftests/vm/run is harder on them.
 */
#include <pthread.h>
#include <sys/prctl.h>

#include "lib/selftest.h"

static int fd;
static char *map;
static long pages;
static volatile bool stop;

static pthread_t start_thread(void *(*run)(void *), void *argument)
{
	pthread_t thread;

	CHECK(!pthread_create(&thread, NULL, run, argument));
	return thread;
}

static uint64_t load_word(const char *at)
{
	return __atomic_load_n((const uint64_t *)at, __ATOMIC_RELAXED);
}

static void store_word(char *at, uint64_t value)
{
	__atomic_store_n((uint64_t *)at, value, __ATOMIC_RELAXED);
}

/* ---- four threads, each its own word of every page, in its own order */

#define TOUCHERS	4

static long touched_page(long thread, long i)
{
	switch (thread) {
	case 0: return i;
	case 1: return pages - 1 - i;
	case 2: return i ^ 1;
	default: return (i * 4097 + 512) % pages;	/* pages is a power of two */
	}
}

static void *touch(void *argument)
{
	long thread = (long)argument, i, page;

	for (i = 0; i < pages; i++) {
		page = touched_page(thread, i);
		store_word(map + page * PAGE + thread * 8, pattern(page, thread));
	}
	return NULL;
}

static void test_first_touch(int argc, char **argv)
{
	pthread_t threads[TOUCHERS];
	long base = used_pages(), i, t;

	CHECK(argc == 1);
	pages = atol(argv[0]) * MIB / PAGE;
	fd = open_file("first-touch", O_RDWR | O_CREAT | O_EXCL);
	set_size(fd, pages * PAGE);
	map = map_file(fd, pages * PAGE);
	for (t = 0; t < TOUCHERS; t++)
		threads[t] = start_thread(touch, (void *)t);
	for (t = 0; t < TOUCHERS; t++)
		pthread_join(threads[t], NULL);
	for (i = 0; i < pages; i++) {
		for (t = 0; t < TOUCHERS; t++)
			if (load_word(map + i * PAGE + t * 8) != pattern(i, t))
				die("thread %ld's word of page %ld was lost", t, i);
		check_zero(map + i * PAGE + TOUCHERS * 8, PAGE - TOUCHERS * 8);
	}
	CHECK_EQUAL(held_pages(fd), pages);
	CHECK_EQUAL(used_pages() - base, pages);
	CHECK(!unlink("first-touch"));
}

/*
 * ---- faults against punched holes
 *
 * Each page belongs to one of two writers.  A word read is 0 or what is written
 * there; a page of another place, or one of the kernel's, would show.
 */

#define RACE_PAGES	96

static void check_racy_page(long page)
{
	long word;
	uint64_t found;

	for (word = 0; word < PAGE_WORDS; word += 16) {
		found = load_word(map + page * PAGE + word * 8);
		if (found && found != pattern(page, word))
			die("page %ld word %ld is %llx", page, word,
			    (unsigned long long)found);
	}
}

static void *write_and_look(void *argument)
{
	long writer = (long)argument, page, word;
	uint64_t chance = 100 + writer;

	while (!stop) {
		page = (long)random_below(&chance, RACE_PAGES / 2) * 2 + writer;
		for (word = 0; word < PAGE_WORDS; word += 16)
			store_word(map + page * PAGE + word * 8, pattern(page, word));
		check_racy_page(random_below(&chance, RACE_PAGES));
	}
	return NULL;
}

/* In the middle of what is mapped lies the border of two blocks. */
#define RACE_START	((512 - RACE_PAGES / 2) * PAGE)

static void punch_some(uint64_t *chance)
{
	long first = random_below(chance, RACE_PAGES);
	long count = 1 + random_below(chance, RACE_PAGES - first);

	CHECK(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 RACE_START + first * PAGE, count * PAGE));
}

static void end_race(pthread_t threads[2], long base)
{
	stop = true;
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	CHECK_EQUAL(held_pages(fd), used_pages() - base);
	set_size(fd, 0);
	CHECK_EQUAL(held_pages(fd), 0);
	CHECK_EQUAL(used_pages(), base);
	CHECK(!unlink("race"));
}

/* For some time, and until it has proved something: not all machines are as fast. */
static bool goes_on(int64_t began, const char *ms, long done, long enough)
{
	int64_t took = now_ms() - began;

	CHECK(took < atol(ms) + 60000);
	return took < atol(ms) || done < enough;
}

static void test_punch_race(int argc, char **argv)
{
	uint64_t chance = 5;
	pthread_t threads[2];
	long base = used_pages(), punched = 0;
	int64_t began;

	CHECK(argc == 1);
	fd = open_file("race", O_RDWR | O_CREAT | O_EXCL);
	set_size(fd, RACE_START + RACE_PAGES * PAGE);
	map = map_at(fd, RACE_PAGES * PAGE, RACE_START, PROT_READ | PROT_WRITE);
	threads[0] = start_thread(write_and_look, (void *)0);
	threads[1] = start_thread(write_and_look, (void *)1);
	for (began = now_ms(); goes_on(began, argv[0], punched, 100); punched++)
		punch_some(&chance);
	end_race(threads, base);
}

/* ---- the same against truncate: SIGBUS is right, too */

static __thread sigjmp_buf race_jump;

static void race_signal(int signal)
{
	siglongjmp(race_jump, signal);
}

static void *write_and_survive(void *argument)
{
	sigsetjmp(race_jump, 1);
	return write_and_look(argument);
}

static void test_truncate_race(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = race_signal };
	uint64_t chance = 6;
	pthread_t threads[2];
	long base = used_pages(), cut = 0;
	int64_t began;

	CHECK(argc == 1);
	sigaction(SIGBUS, &action, NULL);
	fd = open_file("race", O_RDWR | O_CREAT | O_EXCL);
	map = map_file(fd, RACE_PAGES * PAGE);
	threads[0] = start_thread(write_and_survive, (void *)0);
	threads[1] = start_thread(write_and_survive, (void *)1);
	for (began = now_ms(); goes_on(began, argv[0], cut, 20); cut++) {
		set_size(fd, random_below(&chance, RACE_PAGES) * PAGE);
		set_size(fd, RACE_PAGES * PAGE);
		sleep_ms(random_below(&chance, 3));
	}
	end_race(threads, base);
}

/* ---- one that takes all */

static uint64_t content_of(bool equal, long page)
{
	return equal ? page % 4 : 1000000 + page;
}

static void map_new(const char *name, long count)
{
	pages = count;
	fd = open_file(name, O_RDWR | O_CREAT | O_EXCL);
	set_size(fd, pages * PAGE);
	map = map_file(fd, pages * PAGE);
}

static void fill_and_verify(bool equal)
{
	long i;

	for (i = 0; i < pages; i++)
		fill_page(map + i * PAGE, content_of(equal, i));
	for (i = 0; i < pages; i++)
		check_pages(map + i * PAGE, 1, content_of(equal, i));
}

/* The kernel is who faults here, in copy_to_user(). */
static void read_and_verify(void)
{
	int from = open_file("/dev/zero", O_RDONLY);
	ssize_t n;
	long done;

	for (done = 0; done < pages * PAGE; done += n) {
		n = read(from, map + done, pages * PAGE - done);
		if (n <= 0)
			die("read returned %zd at %ld", n, done);
	}
	check_zero(map, pages * PAGE);
}

static void test_fill(int argc, char **argv)
{
	CHECK(argc == 3);
	map_new(argv[0], atol(argv[1]));
	if (!strcmp(argv[2], "read"))
		read_and_verify();
	else
		fill_and_verify(!strcmp(argv[2], "equal"));
}

static void test_hold(int argc, char **argv)
{
	CHECK(argc == 2);
	map_new(argv[0], atol(argv[1]));
	fill_and_verify(false);
	CHECK(!close(fd));
	puts("ready");
	getchar();
	check_pages(map, pages, content_of(false, 0));
}

/* ---- a pool that is full and not full from one moment to the next */

static void *touch_any(void *argument)
{
	uint64_t chance = 10 + (long)argument;

	while (!stop)
		store_word(map + random_below(&chance, pages) * PAGE, 1);
	return NULL;
}

static volatile bool joined;

/* Until the last toucher is gone: it may wait for what is given back here. */
static void *give_back(void *argument)
{
	uint64_t chance = 9;

	/* apart from those that touch, for who looks by name */
	CHECK(!prctl(PR_SET_NAME, "giver"));
	while (!joined)
		CHECK(!fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				 random_below(&chance, pages) * PAGE, PAGE));
	return argument;
}

static void test_churn(int argc, char **argv)
{
	pthread_t threads[TOUCHERS], giver;
	long t;

	CHECK(argc == 2);
	pages = 4 * atol(argv[0]);
	fd = open_file("churn", O_RDWR | O_CREAT | O_EXCL);
	set_size(fd, pages * PAGE);
	map = map_file(fd, pages * PAGE);
	giver = start_thread(give_back, NULL);
	for (t = 0; t < TOUCHERS; t++)
		threads[t] = start_thread(touch_any, (void *)t);
	sleep_ms(atol(argv[1]));
	stop = true;
	for (t = 0; t < TOUCHERS; t++)
		pthread_join(threads[t], NULL);
	joined = true;
	pthread_join(giver, NULL);
	CHECK(!unlink("churn"));
}

static const struct test_case cases[] = {
	{ "first_touch", test_first_touch },
	{ "punch_race", test_punch_race },
	{ "truncate_race", test_truncate_race },
	{ "fill", test_fill },
	{ "hold", test_hold },
	{ "churn", test_churn },
	{}
};

int main(int argc, char **argv)
{
	return run_case(cases, argc, argv);
}
