// SPDX-License-Identifier: GPL-2.0
/*
 * Merge, break, compress, swap, punch, truncate and fault, all at once, in a pool
 * that holds less than half of what is written to it.
 *
 *   store-stress POOL-DIRECTORY [CYCLES [SECONDS [MIN [STALL-SECONDS [CONTENTS]]]]]
 *
 * Ends after CYCLES (default 20000; 1000000 for a long run) or SECONDS (default 20;
 * 0: no limit).  A cycle is a page merged and broken again, compressed and
 * decompressed, swapped out and in, each by the pool's counters, or a hole punched or
 * an end cut off.  Fails at the first page that is not what was written to it; if a
 * page was lost; with fewer than MIN (default 100) cycles of any kind, which would prove
 * nothing; or if a thread has not moved for STALL-SECONDS (default 60): then it prints
 * the pool's files and the stacks of its own threads and ballast's, to the kernel log too.
 *
 * CONTENTS: most pages have one of so many contents.  With more of these than the pool has
 * frames it must take shared ones too, MIN of them at least.  By default 16 contents are a
 * quarter of the pages'.
 *
 * Owners have a file each, and are the only ones to change it: by store, by pwrite(),
 * by process_vm_writev(), whole pages or a word, by punching, cutting and growing.  They
 * know what each page must be, the checksum of it too, and look at random pages in
 * between.  An onlooker reads the same files by a second mapping, also beyond
 * their end; a sequence counter for each page says if it was changed meanwhile.  A
 * changer remounts, moves the ceiling of what is compressed, stops the
 * scanner, and makes the kernel drop and populate mappings.
 *
 * The pages are of all kinds: from a few contents (they are merged), compressible or
 * not, one repeated word, zero.  Half of what is done is one word only, so that a page
 * is shared again when that is undone.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/uio.h>

#include "stress.h"

#define OWNERS		2
#define PAGES		3840U	/* of each: 30 MiB in all */
#define PAGES_CUT_MAX	64U
#define IDS		16	/* contents that many pages have, by default */
#define PASSES_MS	3	/* between two kicks of the scanner */
#define POOL_MIB	12	/* what remounts vary by a sixth */

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ	22
#define MADV_POPULATE_WRITE	23
#endif

/**
 * struct page - what is known of a page; its owner changes it, the onlooker reads
 * @seq: odd while the page changes
 * @sum: its checksum
 * @id: its content, before the following
 * @word: which is changed in one bit, or -1
 * @zero_from: words from here
 * @zero_to: up to here, exclusive, are zero
 * @beyond: the file ends before it
 */
struct page {
	unsigned int seq;
	uint64_t sum;
	uint64_t id;
	int word;
	unsigned int zero_from, zero_to;
	bool beyond;
};

/**
 * struct owner - a thread, and the file that is its own
 * @fd: the file
 * @memory: where the owner has it mapped
 * @memory_of_others: where the onlooker and the changer have
 * @size_pages: what has not been cut off
 * @pages: what they hold
 * @random: its numbers' state
 * @next_id: of content that no other page has
 */
struct owner {
	int fd;
	volatile uint64_t *memory;
	volatile uint64_t *memory_of_others;
	unsigned int size_pages;
	struct page pages[PAGES];
	uint64_t random;
	uint64_t next_id;
};

enum cycle { MERGE, COMPRESS, SWAP, PUNCH, CUT, CYCLES_NR };

static const char * const counters[][2] = {
	[MERGE] = { "pages_merged", "cow_breaks" },
	[COMPRESS] = { "pages_compressed", "pages_decompressed" },
	[SWAP] = { "pages_swapped_out", "pages_swapped_in" },
};

enum { ONLOOKER = OWNERS, CHANGER, THREADS };

static const char * const names[THREADS] = { "owner 0", "owner 1", "onlooker", "changer" };

static const char *directory;
static int own_memory;
static unsigned long contents;		/* that most pages have, if not 0 */
static struct owner owners[OWNERS];
static atomic_ulong steps[THREADS];	/* a step is progress */
static atomic_ulong punched, cut, looked, remounts, refused_io, refused_cuts;
static atomic_bool over;
static _Thread_local sigjmp_buf *volatile beyond_end;	/* of the onlooker */

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state * 0x2545f4914f6cdd1dULL >> 16;
}

static unsigned int below(uint64_t *state, unsigned int end)
{
	return next_random(state) % end;
}

static volatile uint64_t *page_at(struct owner *o, unsigned int n)
{
	return o->memory + n * CONTENT_WORDS;
}

static uint64_t word_of(const struct page *page, unsigned int i)
{
	uint64_t word = content_word(page->id, i);

	if (i >= page->zero_from && i < page->zero_to)
		word = 0;
	return word ^ ((int)i == page->word);
}

/* ---- what is wrong */

static void wrong(struct owner *o, unsigned int n, const volatile uint64_t *found,
		  const char *how)
{
	const struct page *page = &o->pages[n];
	unsigned int i, words = 0;

	fprintf(stderr, "store-stress: owner %d page %u by %s: id %lu, word %d, zero %u to %u, size %u: sum %016lx, should be %016lx\n",
		(int)(o - owners), n, how, page->id, page->word, page->zero_from,
		page->zero_to, o->size_pages, sum_of(found), page->sum);
	for (i = 0; i < CONTENT_WORDS; i++) {
		if (found[i] == word_of(page, i))
			continue;
		if (words++ < 8)
			fprintf(stderr, "store-stress: word %u: %016lx, should be %016lx\n",
				i, found[i], word_of(page, i));
	}
	fprintf(stderr, "store-stress: %u words are wrong\n", words);
	_exit(1);
}

static void failed(struct owner *o, unsigned int n, const char *how)
{
	fprintf(stderr, "store-stress: owner %d page %u of %u: %s: %s\n",
		(int)(o - owners), n, o->size_pages, how, strerror(errno));
	_exit(1);
}

static void on_bus_error(int signal, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;
	struct owner *o;

	(void)signal;
	(void)context;
	if (beyond_end)
		siglongjmp(*beyond_end, 1);
	for (o = owners; o < owners + OWNERS; o++)
		if (at - (uintptr_t)o->memory < PAGES * CONTENT_PAGE)
			fprintf(stderr, "store-stress: owner %d page %lu of %u\n",
				(int)(o - owners), (at - (uintptr_t)o->memory) / CONTENT_PAGE,
				o->size_pages);
	fprintf(stderr, "store-stress: bus error at %p, code %d\n", info->si_addr,
		info->si_code);
	_exit(1);
}

/* ---- owners */

static void begin(struct page *page)
{
	__atomic_store_n(&page->seq, page->seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static void end(struct page *page)
{
	__atomic_store_n(&page->seq, page->seq + 1, __ATOMIC_RELEASE);
}

static void set_content(struct page *page, uint64_t id, uint64_t sum)
{
	page->id = id;
	page->sum = sum;
	page->word = -1;
	page->zero_from = 0;
	page->zero_to = 0;
	page->beyond = false;
}

static void sum_up(struct page *page)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < CONTENT_WORDS; i++)
		sum += word_of(page, i) * weights[i];
	page->sum = sum;
}

static void step(unsigned int thread)
{
	atomic_fetch_add_explicit(&steps[thread], 1, memory_order_relaxed);
}

/* A pool that is small for a moment may refuse; it must not do so for good. */
static bool may_repeat(atomic_ulong *refusals)
{
	if (errno != ENOSPC && errno != ENOMEM && errno != EINTR)
		return false;
	atomic_fetch_add(refusals, 1);
	rest_ms(1);
	return true;
}

static void check_by_pread(struct owner *o, unsigned int n)
{
	uint64_t buffer[CONTENT_WORDS];

	while (pread(o->fd, buffer, CONTENT_PAGE, n * CONTENT_PAGE) != (ssize_t)CONTENT_PAGE)
		if (!may_repeat(&refused_io))
			failed(o, n, "pread");
	if (sum_of(buffer) != o->pages[n].sum)
		wrong(o, n, buffer, "pread");
}

/*
 * Between a page and @content by way of what KVM takes too, get_user_pages(): it holds
 * the page meanwhile.  /proc/self/mem is for kernels that have not the other calls.
 */
static bool transfer_held(volatile uint64_t *page, void *content, size_t bytes, bool write)
{
	struct iovec here = { content, bytes }, there = { (void *)page, bytes };
	ssize_t done = write ? process_vm_writev(getpid(), &here, 1, &there, 1, 0) :
			       process_vm_readv(getpid(), &here, 1, &there, 1, 0);

	if (done < 0 && errno == ENOSYS)
		done = write ? pwrite(own_memory, content, bytes, (off_t)(uintptr_t)page) :
			       pread(own_memory, content, bytes, (off_t)(uintptr_t)page);
	return done == (ssize_t)bytes;
}

static void check_held(struct owner *o, unsigned int n)
{
	uint64_t buffer[CONTENT_WORDS];

	if (!transfer_held(page_at(o, n), buffer, CONTENT_PAGE, false))
		failed(o, n, "read of own memory");
	if (sum_of(buffer) != o->pages[n].sum)
		wrong(o, n, buffer, "read of own memory");
}

static void check(struct owner *o, unsigned int n)
{
	switch (below(&o->random, 8)) {
	case 0:
		return check_by_pread(o, n);
	case 1:
		return check_held(o, n);
	}
	if (sum_of(page_at(o, n)) != o->pages[n].sum)
		wrong(o, n, page_at(o, n), "mapping");
}

/* Words from @from on, one way or another. */
static void put(struct owner *o, unsigned int n, unsigned int from, unsigned int words,
		const uint64_t *content)
{
	size_t bytes = words * sizeof(*content), offset = n * CONTENT_PAGE +
		from * sizeof(*content);
	unsigned int i;

	switch (below(&o->random, 6)) {
	case 0:
		while (pwrite(o->fd, content, bytes, offset) != (ssize_t)bytes)
			if (!may_repeat(&refused_io))
				failed(o, n, "pwrite");
		return;
	case 1:
		if (!transfer_held(page_at(o, n) + from, (void *)content, bytes, true))
			failed(o, n, "write to own memory");
		return;
	}
	for (i = 0; i < words; i++)
		page_at(o, n)[from + i] = content[i];
}

/* Make a page differ from all, or like the others again. */
static void flip(struct owner *o, unsigned int n)
{
	struct page *page = &o->pages[n];
	unsigned int word = page->word >= 0 ? (unsigned int)page->word :
					      below(&o->random, CONTENT_WORDS);
	uint64_t before = word_of(page, word), after = before ^ 1;

	begin(page);
	put(o, n, word, 1, &after);
	page->sum += (after - before) * weights[word];
	page->word = page->word < 0 ? (int)word : -1;
	end(page);
}

static uint64_t choose_id(struct owner *o)
{
	if (contents && below(&o->random, 8))
		return 1 + below(&o->random, contents);
	switch (below(&o->random, 8)) {
	case 0:
		return 0;
	case 1:
		return CONTENT_FLAT + o->next_id++;
	case 2:
	case 3:
		return CONTENT_SOFT + o->next_id++;
	case 4:
		return CONTENT_SOFT + below(&o->random, IDS);
	case 5:
		return 1 + below(&o->random, IDS);
	default:
		return o->next_id++;
	}
}

static void rewrite(struct owner *o, unsigned int n)
{
	struct page *page = &o->pages[n];
	uint64_t content[CONTENT_WORDS], id = choose_id(o);

	content_fill(content, id);
	begin(page);
	put(o, n, 0, CONTENT_WORDS, content);
	set_content(page, id, sum_of(content));
	end(page);
}

static void punch(struct owner *o, unsigned int n)
{
	unsigned int count = 1 + below(&o->random, 8), i;
	int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	if (count > o->size_pages - n)
		count = o->size_pages - n;
	for (i = 0; i < count; i++)
		begin(&o->pages[n + i]);
	if (below(&o->random, 2)) {
		if (madvise((void *)page_at(o, n), count * CONTENT_PAGE, MADV_REMOVE))
			failed(o, n, "MADV_REMOVE");
	} else if (fallocate(o->fd, mode, n * CONTENT_PAGE, count * CONTENT_PAGE)) {
		failed(o, n, "punch");
	}
	for (i = 0; i < count; i++) {
		set_content(&o->pages[n + i], 0, 0);
		end(&o->pages[n + i]);
	}
	atomic_fetch_add(&punched, 1);
}

static void make_zero(struct page *page, unsigned int from, unsigned int to)
{
	page->zero_from = from;
	page->zero_to = to;
	if (page->word >= (int)from && page->word < (int)to)
		page->word = -1;
	sum_up(page);
}

static void punch_part(struct owner *o, unsigned int n)
{
	struct page *page = &o->pages[n];
	unsigned int from = below(&o->random, CONTENT_WORDS);
	unsigned int to = from + 1 + below(&o->random, CONTENT_WORDS - from);

	if (page->zero_to)
		return punch(o, n);
	begin(page);
	while (fallocate(o->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 n * CONTENT_PAGE + from * 8, (to - from) * 8UL))
		if (!may_repeat(&refused_cuts))
			failed(o, n, "punch part");
	make_zero(page, from, to);
	end(page);
	atomic_fetch_add(&punched, 1);
}

/* Sometimes in the middle of a page. */
static void cut_off(struct owner *o)
{
	unsigned int size = o->size_pages - 1 - below(&o->random, PAGES_CUT_MAX);
	struct page *last = &o->pages[size - 1];
	unsigned int words = last->zero_to || below(&o->random, 2) ? CONTENT_WORDS :
			     1 + below(&o->random, CONTENT_WORDS - 1);
	unsigned int n;

	for (n = size - 1; n < o->size_pages; n++)
		begin(&o->pages[n]);
	while (ftruncate(o->fd, size * CONTENT_PAGE - (CONTENT_WORDS - words) * 8))
		if (!may_repeat(&refused_cuts))
			failed(o, size, "truncate");
	if (words < CONTENT_WORDS)
		make_zero(last, words, CONTENT_WORDS);
	for (n = size; n < o->size_pages; n++)
		o->pages[n].beyond = true;
	for (n = size - 1; n < o->size_pages; n++)
		end(&o->pages[n]);
	/* a page that the end is in has no whole page to be read */
	if (words < CONTENT_WORDS && ftruncate(o->fd, size * CONTENT_PAGE))
		failed(o, size, "grow by part of a page");
	o->size_pages = size;
	atomic_fetch_add(&cut, 1);
}

static void grow(struct owner *o)
{
	unsigned int n;

	for (n = o->size_pages; n < PAGES; n++)
		begin(&o->pages[n]);
	while (ftruncate(o->fd, PAGES * CONTENT_PAGE))
		if (!may_repeat(&refused_cuts))
			failed(o, PAGES, "grow");
	for (n = o->size_pages; n < PAGES; n++) {
		set_content(&o->pages[n], 0, 0);
		end(&o->pages[n]);
	}
	o->size_pages = PAGES;
}

static void work_on(struct owner *o, unsigned int n)
{
	unsigned int dice = below(&o->random, 1000);
	struct page *page = &o->pages[n];

	/* a write to a page that was not read before is another way in */
	if (dice & 1)
		check(o, n);
	if (dice < 10)
		o->size_pages < PAGES ? grow(o) : cut_off(o);
	else if (dice < 32)
		punch(o, n);
	else if (dice < 47)
		punch_part(o, n);
	else if (dice < 140 || (!page->id && dice < 700))
		rewrite(o, n);
	else if (dice < 600 || page->word >= 0)
		flip(o, n);
	if (dice & 2 && n < o->size_pages)
		check(o, n);
}

/* Mostly at random; now and then pages in a row, as who reads a file does. */
static void *own(void *arg)
{
	struct owner *o = arg;
	unsigned int n = 0, row = 0;

	while (!over) {
		n = row ? n + 1 : below(&o->random, o->size_pages);
		row = row ? row - 1 : below(&o->random, 20) ? 0 : below(&o->random, 40);
		if (n >= o->size_pages)
			n = 0;
		work_on(o, n);
		step(o - owners);
	}
	for (n = 0; n < o->size_pages; n++) {
		if (sum_of(page_at(o, n)) != o->pages[n].sum)
			wrong(o, n, page_at(o, n), "mapping, at the end");
		check_by_pread(o, n);
		step(o - owners);
	}
	return NULL;
}

/* ---- the onlooker */

static void look(struct owner *o, unsigned int n, uint64_t *content)
{
	const volatile uint64_t *memory = o->memory_of_others + n * CONTENT_WORDS;
	volatile bool is_beyond = false;
	struct page *page = &o->pages[n];
	volatile uint64_t should;
	volatile unsigned int seq;
	volatile bool beyond;
	sigjmp_buf here;
	unsigned int i;

	seq = __atomic_load_n(&page->seq, __ATOMIC_ACQUIRE);
	should = page->sum;
	beyond = page->beyond;
	if (sigsetjmp(here, 1)) {
		is_beyond = true;
	} else {
		beyond_end = &here;
		for (i = 0; i < CONTENT_WORDS; i++)
			content[i] = memory[i];
	}
	beyond_end = NULL;
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (seq & 1 || __atomic_load_n(&page->seq, __ATOMIC_RELAXED) != seq)
		return;
	if (is_beyond != beyond)
		failed(o, n, beyond ? "was there, beyond the end" : "was not there");
	if (!beyond && sum_of(content) != should)
		wrong(o, n, content, "the onlooker");
	atomic_fetch_add(&looked, 1);
}

static void *look_on(void *arg)
{
	uint64_t random = 99, content[CONTENT_WORDS];

	(void)arg;
	while (!over) {
		/* more often where files end */
		unsigned int from = below(&random, 8) ? 0 : PAGES - PAGES_CUT_MAX;

		look(&owners[below(&random, OWNERS)], from + below(&random, PAGES - from),
		     content);
		step(ONLOOKER);
		if (!below(&random, 4))
			rest_ms(1);
	}
	return NULL;
}

/* ---- the changer */

static void remount(const char *options)
{
	/* too small for what is promised or cannot be taken; no room to unshare */
	if (mount("none", directory, NULL, MS_REMOUNT, options) == 0)
		atomic_fetch_add(&remounts, 1);
	else if (errno != ENOSPC && errno != EBUSY)
		die("remount");
}

static void remount_to_size(uint64_t *random)
{
	char options[40];

	snprintf(options, sizeof(options), "size=%uk",
		 POOL_MIB * 1024 * 5 / 6 + below(random, POOL_MIB * 1024 / 3));
	remount(options);
}

static void move_ceiling(uint64_t *random)
{
	static const char * const ceilings[] = { "0", "100", "500", "1000", "3000", "10000" };
	char path[300];

	snprintf(path, sizeof(path), "/sys/kernel/ballast/pools/%s/compressed_max_bp",
		 pool_name(directory));
	set_attribute(path, ceilings[below(random, 6)]);
}

static void stop_scanner(uint64_t *random)
{
	static const char run[] = "/sys/kernel/ballast/sharing/run";

	set_attribute(run, "0");
	rest_ms(below(random, 20));
	set_attribute(run, "1");
}

/* All pages become private, or none but those of the same file may stay shared. */
static void change_sharing(uint64_t *random)
{
	remount(below(random, 2) ? "sharing=vm" : "sharing=off");
	rest_ms(below(random, 20));
	remount("sharing=pool");
}

/* What the kernel does to mappings when it is told to; errors are of no interest. */
static void advise(uint64_t *random)
{
	static const int advices[] = {
		MADV_DONTNEED, MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_WILLNEED,
		MADV_COLD, MADV_PAGEOUT,
	};
	struct owner *o = &owners[below(random, OWNERS)];
	unsigned int n = below(random, PAGES - 64);
	void *memory = (void *)(o->memory_of_others + n * CONTENT_WORDS);
	size_t bytes = (1 + below(random, 64)) * CONTENT_PAGE;

	switch (below(random, 8)) {
	case 0:
		msync(memory, bytes, MS_SYNC);
		break;
	case 1:
		if (!mlock(memory, bytes))
			munlock(memory, bytes);
		break;
	default:
		madvise(memory, bytes, advices[below(random, 6)]);
	}
}

static void *change(void *arg)
{
	uint64_t random = 7;

	(void)arg;
	while (!over) {
		unsigned int dice = below(&random, 64);

		if (dice < 16)
			remount_to_size(&random);
		else if (dice < 24)
			move_ceiling(&random);
		else if (dice < 28)
			stop_scanner(&random);
		else if (dice < 29)
			change_sharing(&random);
		else
			advise(&random);
		step(CHANGER);
		rest_ms(below(&random, 40));
	}
	return NULL;
}

/* ---- the watchdog */

static void say(FILE *log, const char *head, const char *line)
{
	fprintf(stderr, "store-stress: %s: %s", head, line);
	if (log) {
		fprintf(log, "store-stress: %s: %s", head, line);
		fflush(log);
	}
}

static void say_file(FILE *log, const char *head, const char *path)
{
	FILE *f = fopen(path, "r");
	char line[200];

	while (f && fgets(line, sizeof(line), f))
		say(log, head, line);
	if (f)
		fclose(f);
}

static void say_directory(FILE *log, const char *path)
{
	struct dirent *entry;
	DIR *d = opendir(path);
	char file[600];

	while (d && (entry = readdir(d))) {
		snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
		if (entry->d_type == DT_REG)
			say_file(log, entry->d_name, file);
	}
	if (d)
		closedir(d);
}

static bool is_ballast(const char *pid)
{
	char path[300], name[40] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	f = fopen(path, "r");
	if (f && !fgets(name, sizeof(name), f))
		name[0] = 0;
	if (f)
		fclose(f);
	return strstr(name, "ballast");
}

static void say_stacks(FILE *log, const char *tasks, bool all)
{
	struct dirent *entry;
	DIR *d = opendir(tasks);
	char path[600];

	while (d && (entry = readdir(d))) {
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9' ||
		    (!all && !is_ballast(entry->d_name)))
			continue;
		snprintf(path, sizeof(path), "%s/%s/comm", tasks, entry->d_name);
		say_file(log, entry->d_name, path);
		snprintf(path, sizeof(path), "%s/%s/stack", tasks, entry->d_name);
		say_file(log, entry->d_name, path);
	}
	if (d)
		closedir(d);
}

static void report_stall(unsigned int thread)
{
	FILE *log = fopen("/dev/kmsg", "w");
	char path[300];

	say(log, names[thread], "does not move\n");
	snprintf(path, sizeof(path), "/sys/kernel/ballast/pools/%s", pool_name(directory));
	say_directory(log, path);
	say_stacks(log, "/proc", false);
	say_stacks(log, "/proc/self/task", true);
	_exit(1);
}

/* To be called again and again. */
static void watch(double limit)
{
	static unsigned long seen[THREADS];
	static double since[THREADS];
	unsigned int i;

	for (i = 0; i < THREADS; i++) {
		unsigned long at = atomic_load(&steps[i]);

		if (at != seen[i] || !since[i]) {
			seen[i] = at;
			since[i] = now();
		} else if (now() - since[i] > limit && !(over && i >= OWNERS)) {
			report_stall(i);
		}
	}
}

/* ---- main */

static void set_up(struct owner *o, int number)
{
	char path[300];
	unsigned int n;

	o->random = number + 1;
	o->next_id = 1000 + number * 100000000UL;
	o->size_pages = PAGES;
	snprintf(path, sizeof(path), "%s/stress%d", directory, number);
	o->fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (o->fd < 0 || ftruncate(o->fd, PAGES * CONTENT_PAGE))
		die(path);
	o->memory = mmap(NULL, PAGES * CONTENT_PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED, o->fd, 0);
	o->memory_of_others = mmap(NULL, PAGES * CONTENT_PAGE, PROT_READ | PROT_WRITE,
				   MAP_SHARED, o->fd, 0);
	if (o->memory == MAP_FAILED || o->memory_of_others == MAP_FAILED)
		die("mmap");
	for (n = 0; n < PAGES; n++)
		set_content(&o->pages[n], 0, 0);
	for (n = 0; n < PAGES; n++)
		rewrite(o, n);
}

static void read_counters(unsigned long found[CYCLES_NR][2])
{
	unsigned int i;

	for (i = 0; i < PUNCH; i++) {
		found[i][0] = pool_number(directory, counters[i][0]);
		found[i][1] = pool_number(directory, counters[i][1]);
	}
	found[PUNCH][0] = found[PUNCH][1] = punched;
	found[CUT][0] = found[CUT][1] = cut;
}

/* Since @from, of each kind; returns their sum. */
static unsigned long count_cycles(unsigned long from[CYCLES_NR][2],
				  unsigned long cycles[CYCLES_NR])
{
	unsigned long found[CYCLES_NR][2], sum = 0;
	unsigned int i;

	read_counters(found);
	for (i = 0; i < CYCLES_NR; i++) {
		unsigned long there = found[i][0] - from[i][0];
		unsigned long back = found[i][1] - from[i][1];

		cycles[i] = there < back ? there : back;
		sum += cycles[i];
	}
	return sum;
}

static void start_threads(pthread_t *threads)
{
	int i, err = 0;

	for (i = 0; i < OWNERS; i++)
		err |= pthread_create(&threads[i], NULL, own, &owners[i]);
	err |= pthread_create(&threads[ONLOOKER], NULL, look_on, NULL);
	err |= pthread_create(&threads[CHANGER], NULL, change, NULL);
	if (err)
		die("threads");
}

/* The watchdog is needed for as long as there are threads. */
static void join_threads(pthread_t *threads, double stall)
{
	int i;

	over = true;
	for (i = 0; i < THREADS; i++) {
		while (pthread_tryjoin_np(threads[i], NULL)) {
			watch(stall);
			rest_ms(20);
		}
	}
}

static bool enough(const unsigned long *cycles, unsigned long min)
{
	static const char * const kinds[] = { "merge", "compression", "swap", "punch",
					     "cut" };
	bool all = true;
	int i;

	for (i = 0; i < CYCLES_NR; i++) {
		/* a cut is of many pages */
		unsigned long least = i == CUT ? min / 10 : min;

		if (cycles[i] >= least)
			continue;
		fprintf(stderr, "store-stress: %s: fewer than %lu cycles prove nothing\n",
			kinds[i], least);
		all = false;
	}
	return all;
}

/* Where shared pages have to be taken they were. */
static bool enough_shared(unsigned long min)
{
	unsigned long taken = pool_number(directory, "shared_swapped_out");

	if (!contents)
		return true;
	printf("%lu shared pages swapped out\n", taken);
	if (taken < min)
		fprintf(stderr, "store-stress: fewer than %lu shared pages prove nothing\n", min);
	return taken >= min;
}

int main(int argc, char **argv)
{
	unsigned long wanted = argc > 2 ? strtoul(argv[2], NULL, 10) : 20000;
	double seconds = argc > 3 ? strtod(argv[3], NULL) : 20, start, told;
	unsigned long min = argc > 4 ? strtoul(argv[4], NULL, 10) : 100;
	double stall = argc > 5 ? strtod(argv[5], NULL) : 60;
	struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO };
	unsigned long from[CYCLES_NR][2], cycles[CYCLES_NR], sum;
	pthread_t threads[THREADS];
	int i;

	if (argc < 2 || !strchr(argv[1], '/')) {
		fprintf(stderr, "usage: store-stress POOL-DIRECTORY [CYCLES [SECONDS [MIN [STALL-SECONDS [CONTENTS]]]]]\n");
		return 2;
	}
	directory = argv[1];
	contents = argc > 6 ? strtoul(argv[6], NULL, 10) : 0;
	setvbuf(stdout, NULL, _IOLBF, 0);
	weights_init();
	own_memory = open("/proc/self/mem", O_RDWR);
	if (own_memory < 0)
		die("/proc/self/mem");
	sigaction(SIGBUS, &action, NULL);
	for (i = 0; i < OWNERS; i++)
		set_up(&owners[i], i);
	read_counters(from);
	start = told = now();
	start_threads(threads);
	while ((sum = count_cycles(from, cycles)) < wanted &&
	       (!seconds || now() - start < seconds)) {
		kick_scanner();
		watch(stall);
		rest_ms(PASSES_MS);
		if (now() - told < 60)
			continue;
		told = now();
		printf("%lu cycles after %.0f s\n", sum, told - start);
	}
	join_threads(threads, stall);
	seconds = now() - start;
	sum = count_cycles(from, cycles);
	printf("%lu cycles (%lu merge, %lu compression, %lu swap, %lu punch, %lu cut) in %.1f s, %.0f a second\n",
	       sum, cycles[MERGE], cycles[COMPRESS], cycles[SWAP], cycles[PUNCH], cycles[CUT],
	       seconds, sum / seconds);
	printf("%lu and %lu steps of owners, %lu looks, %lu changes, %lu remounts; refused %lu reads and writes, %lu cuts; %lu one word, %lu zero, %lu times stuck\n",
	       steps[0], steps[1], looked, steps[CHANGER], remounts, refused_io, refused_cuts,
	       pool_number(directory, "pages_same_filled"),
	       pool_number(directory, "pages_zeroed"),
	       pool_number(directory, "reclaim_stuck"));
	if (pool_number(directory, "pages_lost")) {
		fprintf(stderr, "store-stress: pages were lost\n");
		return 1;
	}
	return enough(cycles, min) && enough_shared(min) ? 0 : 1;
}
