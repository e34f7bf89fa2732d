// SPDX-License-Identifier: GPL-2.0
/*
 * Users of guest memory against a scanner that runs flat out.
 *
 *   racer RACE POOL-DIRECTORY SECONDS MIN-MERGED [DIRECTORY-FOR-DIRECT-IO]
 *
 * Each worker thread owns pages, knows what is in each, looks before and after
 * everything it does, and ends the program at the first byte that is wrong.
 * There are only a few contents and zero, so that the pages of all workers are
 * shared all the time, and each step of the scanner meets some step of a user.
 *
 * A short pass leaves the scanner asleep for the rest of its slice, and it could
 * not race with anybody: one thread keeps kicking it, by writing a tunable.
 *
 * The race proves nothing unless MIN-MERGED pages were merged meanwhile, a tenth as
 * many parted again by writes, and the workers disturbed three times: on a slow host it
 * goes on until then, and fails after ten times as long.  What this cannot do: find a
 * race that needs two CPUs in the same nanosecond, in a lab whose CPUs take turns
 * (selftests/vm/run --thread-multi).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "content.h"

#define IDS		4	/* and 0 */
#define WORKERS		3
#define DISTURBANCES	3	/* at least */
#define BROKEN_PART	10	/* of MIN-MERGED at least */
#define PAGES		384	/* of each worker */
#define PAGE		((size_t)CONTENT_PAGE)
#define PENDING_NONE	-1
#define BIG_PAGES	4000	/* the index's first table is for 2400 */

/**
 * struct worker - a thread and what it owns
 * @number: 0 to WORKERS - 1
 * @seed: of its random numbers
 * @path: its file
 * @fd: the file
 * @pages: in it
 * @memory: where that is mapped
 * @expected: id of each page; shared with children
 * @pending: the page that a child writes to, and PENDING_NONE
 * @pending_id: what it writes there
 * @steps: done
 * @buffer: one page of its own, aligned
 * @direct_fd: a file on a disk, opened for direct I/O
 */
struct worker {
	int number;
	unsigned int seed;
	char path[300];
	int fd;
	unsigned long pages;
	uint8_t *memory;
	volatile uint8_t *expected;
	volatile long *pending;
	volatile long *pending_id;
	unsigned long steps;
	uint8_t *buffer;
	int direct_fd;
};

struct race {
	const char *name;
	void (*step)(struct worker *worker);
	void (*disturber)(void);	/* a step of one more thread; or NULL */
};

static const char *directory, *pool_name, *direct_directory;
static uint8_t templates[IDS + 1][CONTENT_PAGE] __attribute__((aligned(4096)));
static struct worker workers[WORKERS];
static atomic_bool over;
static atomic_ulong disturbances;
static atomic_ulong resizes;

static void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "racer: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	/* children too: their parent sees the status */
	_exit(1);
}

static void must(bool done, const char *what)
{
	if (!done)
		fail("%s: %s", what, strerror(errno));
}

static unsigned int below(struct worker *w, unsigned int limit)
{
	return rand_r(&w->seed) % limit;
}

static unsigned int some_id(struct worker *w)
{
	return below(w, IDS + 1);
}

static unsigned long some_page(struct worker *w)
{
	return below(w, w->pages);
}

/* ---- what is there, and what should be */

static int id_of(const uint8_t *page)
{
	int id;

	for (id = 0; id <= IDS; id++)
		if (!memcmp(page, templates[id], PAGE))
			return id;
	return -1;
}

static void compare(struct worker *w, const char *how, unsigned long page,
		    const uint8_t *found)
{
	unsigned int id = w->expected[page], i = 0;

	if (!memcmp(found, templates[id], PAGE))
		return;
	while (found[i] == templates[id][i])
		i++;
	fail("%s: worker %d page %lu byte %u: %02x, should be %02x of id %u; it is id %d now",
	     how, w->number, page, i, found[i], templates[id][i], id, id_of(found));
}

static uint8_t *at(struct worker *w, unsigned long page)
{
	return w->memory + page * PAGE;
}

static void look(struct worker *w, unsigned long page)
{
	compare(w, "mapping", page, at(w, page));
}

static void look_by_pread(struct worker *w, unsigned long page)
{
	must(pread(w->fd, w->buffer, PAGE, page * PAGE) == (ssize_t)PAGE, "pread");
	compare(w, "pread", page, w->buffer);
}

static void put(struct worker *w, unsigned long page, unsigned int id)
{
	memcpy(at(w, page), templates[id], PAGE);
	w->expected[page] = id;
}

static void look_at_all(struct worker *w)
{
	unsigned long page;

	for (page = 0; page < w->pages; page++) {
		look(w, page);
		look_by_pread(w, page);
	}
}

static void *map_pages(struct worker *w)
{
	void *memory = mmap(NULL, w->pages * PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED, w->fd, 0);

	must(memory != MAP_FAILED, "mmap");
	return memory;
}

static void open_file(struct worker *w)
{
	unsigned long page;

	w->fd = open(w->path, O_RDWR | O_CREAT | O_EXCL, 0600);
	must(w->fd >= 0, w->path);
	must(!ftruncate(w->fd, w->pages * PAGE), "ftruncate");
	w->memory = map_pages(w);
	for (page = 0; page < w->pages; page++)
		put(w, page, some_id(w));
}

static void close_file(struct worker *w)
{
	munmap(w->memory, w->pages * PAGE);
	close(w->fd);
}

/* ---- the races: one step each */

/* All kinds of writes through the mapping: a page, a word, nothing new. */
static void write_something(struct worker *w)
{
	unsigned long page = some_page(w);
	uint64_t *word;

	look(w, page);
	switch (below(w, 4)) {
	case 0:
		/* the page differs for a moment only */
		word = (uint64_t *)at(w, page) + below(w, CONTENT_WORDS);
		*(volatile uint64_t *)word ^= 1;
		*(volatile uint64_t *)word ^= 1;
		break;
	case 1:
		word = (uint64_t *)at(w, page) + below(w, CONTENT_WORDS);
		*(volatile uint64_t *)word = *word;
		break;
	default:
		put(w, page, some_id(w));
	}
	look(w, page);
}

static void race_write(struct worker *w)
{
	write_something(w);
}

static void race_punch(struct worker *w)
{
	unsigned long page = some_page(w), count = 1 + below(w, 8), i;

	if (count > w->pages - page)
		count = w->pages - page;
	must(!fallocate(w->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			page * PAGE, count * PAGE), "punch hole");
	for (i = page; i < page + count; i++) {
		w->expected[i] = 0;
		if (below(w, 2))
			look(w, i);
		if (below(w, 8))
			put(w, i, some_id(w));
	}
	write_something(w);
	write_something(w);
}

/* The tail of the page that the file is cut in reads zero afterwards. */
static void look_at_cut(struct worker *w, unsigned long page, unsigned int cut)
{
	const uint8_t *template = templates[w->expected[page]];
	const uint8_t *found = at(w, page);

	if (memcmp(found, template, cut) ||
	    memcmp(found + cut, templates[0], PAGE - cut))
		fail("page %lu, cut at %u, is not what was left of it", page, cut);
}

static void race_truncate(struct worker *w)
{
	unsigned long page = w->pages / 2 + below(w, w->pages / 2), i;
	unsigned int cut = below(w, 2) ? 1 + below(w, PAGE - 1) : 0;

	look(w, page);
	must(!ftruncate(w->fd, page * PAGE + cut), "truncate down");
	must(!ftruncate(w->fd, w->pages * PAGE), "truncate up");
	if (cut)
		look_at_cut(w, page, cut);
	for (i = page + !!cut; i < w->pages; i++) {
		w->expected[i] = 0;
		if (below(w, 4) == 0)
			look(w, i);
	}
	for (i = page; i < w->pages; i++)
		put(w, i, some_id(w));
	for (i = 0; i < 16; i++)
		write_something(w);
}

static void race_create(struct worker *w)
{
	unsigned long i;
	bool first = below(w, 2);

	if (first)
		must(!unlink(w->path), "unlink");
	for (i = 0; i < w->pages; i++)
		look(w, i);
	close_file(w);
	if (!first)
		must(!unlink(w->path), "unlink");
	w->pages = 64;
	open_file(w);
	for (i = 0; i < 32; i++)
		write_something(w);
}

static void race_remap(struct worker *w)
{
	unsigned long first = some_page(w), count = 1 + below(w, 32);
	void *wanted = at(w, first);

	if (count > w->pages - first)
		count = w->pages - first;
	must(!munmap(wanted, count * PAGE), "munmap");
	must(mmap(wanted, count * PAGE, PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_FIXED, w->fd, first * PAGE) == wanted, "mmap");
	look(w, first);
	look(w, first + count - 1);
	put(w, first, some_id(w));
	write_something(w);
}

static void *room_for(size_t size)
{
	void *room = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(room != MAP_FAILED, "mmap of room");
	return room;
}

/*
 * The whole mapping goes elsewhere; half of it goes away, and comes back as it
 * moves again.  (To grow where it is the core refuses with ENOMEM: it calls
 * vma_merge(), which takes no VM_MIXEDMAP.)
 */
static void race_mremap(struct worker *w)
{
	size_t size = w->pages * PAGE, half = size / 2;
	uint8_t *room = room_for(size);
	unsigned int i;

	must(mremap(w->memory, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
		    room) == room, "mremap");
	w->memory = room;
	for (i = 0; i < 4; i++)
		write_something(w);
	must(mremap(w->memory, size, half, 0) == room, "mremap to less");
	room = room_for(size);
	must(mremap(w->memory, half, size, MREMAP_MAYMOVE | MREMAP_FIXED,
		    room) == room, "mremap to more");
	w->memory = room;
	for (i = 0; i < 4; i++)
		write_something(w);
}

/* Even pages stay the parent's; the child looks at and writes to the odd ones. */
static void child_of_fork(struct worker *w)
{
	unsigned int i;

	for (i = 1; i < w->pages; i += 2) {
		look(w, i);
		if (below(w, 4) == 0)
			put(w, i, some_id(w));
	}
	for (i = 1; i < w->pages; i += 2)
		look(w, i);
	_exit(0);
}

static void race_fork(struct worker *w)
{
	unsigned long page;
	int status, i;
	pid_t child;

	w->seed++;
	child = fork();
	must(child >= 0, "fork");
	if (!child)
		child_of_fork(w);
	for (i = 0; i < 64; i++) {
		page = some_page(w) & ~1UL;
		look(w, page);
		put(w, page, some_id(w));
		look(w, page);
	}
	must(waitpid(child, &status, 0) == child, "waitpid");
	if (status)
		fail("a child found what it should not: status %x", status);
	for (page = 1; page < w->pages; page += 2)
		look(w, page);
}

/* Says what it is about to write, so that who finds it half done can tell. */
static void child_to_kill(struct worker *w)
{
	for (;;) {
		unsigned long page = some_page(w);
		unsigned int id = some_id(w);

		look(w, page);
		*w->pending_id = id;
		atomic_signal_fence(memory_order_seq_cst);
		*w->pending = page;
		atomic_signal_fence(memory_order_seq_cst);
		memcpy(at(w, page), templates[id], PAGE);
		atomic_signal_fence(memory_order_seq_cst);
		w->expected[page] = id;
		*w->pending = PENDING_NONE;
	}
}

/* Every byte is the old or the new one; afterwards the page is whole again. */
static void repair(struct worker *w, unsigned long page, unsigned int id)
{
	const uint8_t *old = templates[w->expected[page]], *new = templates[id];
	const uint8_t *found = at(w, page);
	unsigned int i;

	for (i = 0; i < PAGE; i++)
		if (found[i] != old[i] && found[i] != new[i])
			fail("page %lu byte %u: neither the old nor the new", page, i);
	put(w, page, id);
}

static void race_kill(struct worker *w)
{
	struct timespec moment = { .tv_nsec = below(w, 30000000) };
	unsigned long page;
	int status;
	pid_t child;

	*w->pending = PENDING_NONE;
	w->seed++;
	child = fork();
	must(child >= 0, "fork");
	if (!child)
		child_to_kill(w);
	nanosleep(&moment, NULL);
	kill(child, SIGKILL);
	must(waitpid(child, &status, 0) == child, "waitpid");
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail("a child found what it should not: status %x", status);
	if (*w->pending != PENDING_NONE)
		repair(w, *w->pending, *w->pending_id);
	for (page = 0; page < w->pages; page++)
		look(w, page);
}

static void race_syscalls(struct worker *w)
{
	unsigned long page = some_page(w);
	unsigned int id = some_id(w), offset = below(w, PAGE);
	ssize_t rest = PAGE - offset;

	look_by_pread(w, page);
	if (below(w, 2)) {
		/* in two parts: the page is half old, half new in between */
		must(pwrite(w->fd, templates[id], offset, page * PAGE) ==
		     (ssize_t)offset, "pwrite");
		must(pwrite(w->fd, templates[id] + offset, rest,
			    page * PAGE + offset) == rest, "pwrite");
		w->expected[page] = id;
	} else {
		id = w->expected[page];
		must(pwrite(w->fd, templates[id] + offset, rest,
			    page * PAGE + offset) == rest, "pwrite");
	}
	look_by_pread(w, page);
	look(w, page);
}

/* From guest memory to a disk and back, past the page cache. */
static void race_direct(struct worker *w)
{
	unsigned long page = some_page(w), to = some_page(w);
	off_t place = (off_t)below(w, 64) * PAGE;

	look(w, page);
	must(pwrite(w->direct_fd, at(w, page), PAGE, place) == (ssize_t)PAGE,
	     "direct write");
	if (below(w, 2)) {
		must(pread(w->direct_fd, w->buffer, PAGE, place) == (ssize_t)PAGE,
		     "direct read");
		compare(w, "disk", page, w->buffer);
	}
	must(pread(w->direct_fd, at(w, to), PAGE, place) == (ssize_t)PAGE,
	     "direct read to guest memory");
	w->expected[to] = w->expected[page];
	look(w, to);
	put(w, to, some_id(w));
	write_something(w);
}

/* ---- what one more thread does meanwhile */

static void set_attribute(const char *name, const char *value, bool may_fail)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/ballast/sharing/%s", name);
	fd = open(path, O_WRONLY);
	must(fd >= 0, path);
	if (write(fd, value, strlen(value)) < 0 && !may_fail)
		fail("%s to %s: %s", value, path, strerror(errno));
	close(fd);
}

static unsigned long pool_number(const char *name)
{
	unsigned long number;
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/ballast/pools/%s/%s", pool_name, name);
	f = fopen(path, "r");
	must(f, path);
	must(fscanf(f, "%lu", &number) == 1, path);
	fclose(f);
	return number;
}

static void rest_ms(unsigned int ms)
{
	struct timespec t = {
		.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L,
	};

	nanosleep(&t, NULL);
}

static void try_umount(void)
{
	if (!umount2(directory, 0))
		fail("unmounted, with files open and mapped");
	if (errno != EBUSY)
		fail("umount: %s, should be EBUSY", strerror(errno));
	rest_ms(1);
}

static void toggle_run(void)
{
	set_attribute("run", "2", false);
	rest_ms(5);
	set_attribute("run", "1", false);
	rest_ms(150);
}

static void toggle_mode(void)
{
	must(!mount(NULL, directory, NULL, MS_REMOUNT, "sharing=vm"), "remount");
	rest_ms(100);
	must(!mount(NULL, directory, NULL, MS_REMOUNT, "sharing=pool"), "remount");
	rest_ms(100);
}

/* A file with pages that nobody else has: the table grows, then shrinks. */
static void grow_and_shrink(void)
{
	static uint64_t next = IDS + 1;
	struct worker w = { .pages = BIG_PAGES };
	unsigned long before = pool_number("index_bytes"), page, now;
	uint64_t first = next;
	int i;

	snprintf(w.path, sizeof(w.path), "%s/big", directory);
	w.fd = open(w.path, O_RDWR | O_CREAT | O_EXCL, 0600);
	must(w.fd >= 0, w.path);
	must(!ftruncate(w.fd, BIG_PAGES * PAGE), "ftruncate");
	w.memory = map_pages(&w);
	for (page = 0; page < BIG_PAGES && !over; page++)
		content_fill((uint64_t *)at(&w, page), next++);
	rest_ms(250);
	now = pool_number("index_bytes");
	while (page-- > 0)
		if (content_check((uint64_t *)at(&w, page), first + page) >= 0)
			fail("page %lu of the big file is not what it was", page);
	close_file(&w);
	must(!unlink(w.path), "unlink");
	for (i = 0; i < 30 && !over && pool_number("index_bytes") >= now; i++)
		rest_ms(10);
	if (now > before && pool_number("index_bytes") < now)
		resizes++;
}

static const struct race races[] = {
	{ "write", race_write, NULL },
	{ "punch", race_punch, NULL },
	{ "truncate", race_truncate, NULL },
	{ "create", race_create, NULL },
	{ "remap", race_remap, NULL },
	{ "mremap", race_mremap, NULL },
	{ "fork", race_fork, NULL },
	{ "kill", race_kill, NULL },
	{ "syscalls", race_syscalls, NULL },
	{ "direct", race_direct, NULL },
	{ "umount", race_write, try_umount },
	{ "run", race_write, toggle_run },
	{ "mode", race_write, toggle_mode },
	{ "resize", race_write, grow_and_shrink },
};

static const struct race *race;

/* ---- threads */

static void *work(void *arg)
{
	struct worker *w = arg;

	while (!over) {
		race->step(w);
		/* pages must rest for two passes, or nothing would be merged */
		if (++w->steps % 16 == 0)
			rest_ms(1);
	}
	look_at_all(w);
	return NULL;
}

static void *disturb(void *unused)
{
	while (!over) {
		race->disturber();
		disturbances++;
	}
	return unused;
}

static void *kick(void *unused)
{
	while (!over) {
		set_attribute("pass_min_ms", "0", false);
		rest_ms(3);
	}
	return unused;
}

static void *shared_memory(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	must(memory != MAP_FAILED, "mmap");
	return memory;
}

static void set_up(struct worker *w, int number)
{
	uint8_t *shared = shared_memory(PAGES + 64);
	char path[320];

	w->number = number;
	w->seed = 1 + number;
	w->pages = PAGES;
	w->pending = (long *)shared;
	w->pending_id = (long *)shared + 1;
	w->expected = shared + 64;
	*w->pending = PENDING_NONE;
	must(!posix_memalign((void **)&w->buffer, PAGE, PAGE), "memory");
	snprintf(w->path, sizeof(w->path), "%s/file%d", directory, number);
	open_file(w);
	if (!direct_directory)
		return;
	snprintf(path, sizeof(path), "%s/disk%d", direct_directory, number);
	w->direct_fd = open(path, O_RDWR | O_CREAT | O_DIRECT, 0600);
	must(w->direct_fd >= 0, path);
}

static void find_race(const char *name)
{
	unsigned int i;

	for (i = 0; i < sizeof(races) / sizeof(*races); i++)
		if (!strcmp(races[i].name, name))
			race = &races[i];
	if (!race)
		fail("no race %s", name);
}

/* Has it come to what is to be proved? */
static bool proves(unsigned long merged_at_least, unsigned long broken_at_least)
{
	if (pool_number("pages_merged") < merged_at_least ||
	    pool_number("cow_breaks") < broken_at_least)
		return false;
	if (race->disturber == grow_and_shrink)
		return resizes;
	return !race->disturber || disturbances >= DISTURBANCES;
}

static void run(unsigned int seconds, unsigned long merged_at_least,
		unsigned long broken_at_least)
{
	pthread_t threads[WORKERS], kicker, disturber;
	int i;

	for (i = 0; i < WORKERS; i++)
		must(!pthread_create(&threads[i], NULL, work, &workers[i]), "thread");
	must(!pthread_create(&kicker, NULL, kick, NULL), "thread");
	if (race->disturber)
		must(!pthread_create(&disturber, NULL, disturb, NULL), "thread");
	rest_ms(seconds * 1000);
	for (i = 0; i < 9 && !proves(merged_at_least, broken_at_least); i++)
		rest_ms(seconds * 1000);
	over = true;
	for (i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	pthread_join(kicker, NULL);
	if (race->disturber)
		pthread_join(disturber, NULL);
}

int main(int argc, char **argv)
{
	unsigned long merged, broken, pinned, wanted, steps = 0;
	int i;

	if (argc < 5)
		fail("RACE POOL-DIRECTORY SECONDS MIN-MERGED [DIRECTORY]");
	find_race(argv[1]);
	directory = argv[2];
	pool_name = strrchr(directory, '/') + 1;
	wanted = strtoul(argv[4], NULL, 10);
	direct_directory = argv[5];
	for (i = 1; i <= IDS; i++)
		content_fill((uint64_t *)templates[i], i);
	for (i = 0; i < WORKERS; i++)
		set_up(&workers[i], i);
	merged = pool_number("pages_merged");
	broken = pool_number("cow_breaks");
	pinned = pool_number("skipped_pinned");
	run(strtoul(argv[3], NULL, 10), merged + wanted, broken + wanted / BROKEN_PART);
	merged = pool_number("pages_merged") - merged;
	broken = pool_number("cow_breaks") - broken;
	pinned = pool_number("skipped_pinned") - pinned;
	for (i = 0; i < WORKERS; i++)
		steps += workers[i].steps;
	printf("%s: %lu steps, %lu disturbances, %lu resizes, %lu merged, %lu broken, %lu pinned\n",
	       race->name, steps, disturbances, resizes, merged, broken, pinned);
	if (merged < wanted)
		fail("proves nothing: %lu pages merged, not even %lu", merged, wanted);
	if (broken < wanted / BROKEN_PART)
		fail("proves nothing: %lu pages broken, not even %lu", broken,
		     wanted / BROKEN_PART);
	if (race->disturber == grow_and_shrink && !resizes)
		fail("proves nothing: the index kept its size");
	if (race->disturber && race->disturber != grow_and_shrink &&
	    disturbances < DISTURBANCES)
		fail("proves nothing: disturbed %lu times only", disturbances);
	return 0;
}
