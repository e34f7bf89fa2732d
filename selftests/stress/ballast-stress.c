// SPDX-License-Identifier: GPL-2.0
/*
 * Merge and break, over and over: pages are shared by the scanner and taken
 * apart by writes, one word each, that race with every phase of a merge.
 *
 *   ballast-stress POOL-DIRECTORY [BREAKS [SECONDS [MIN-CYCLES]]]
 *
 * Ends after BREAKS copy-on-write breaks (default 20000; 1000000 for a long
 * run) or SECONDS (default 20; 0: no limit).  Fails at the first page that is
 * not what was written to it, or with fewer than MIN-CYCLES (default 1000)
 * cycles: pages that were merged and broken again.
 *
 * The pages have a few contents, so that they are shared; each writer owns some,
 * and changes a word of one, so that it differs from all others, or changes that
 * back, so that it can be merged again.  What a page must be is kept as a
 * checksum, in which each word has its own weight: a word that was lost, that
 * came too late, or that is in another page, shows.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>

#include "stress.h"

#define WRITERS		2
#define PAGES		1024	/* of each writer */
#define IDS		8
#define PASSES_MS	3	/* between two kicks of the scanner */

/**
 * struct page - what is known of a page
 * @sum: its checksum
 * @word: which is changed, or -1
 */
struct page {
	uint64_t sum;
	int word;
};

/**
 * struct writer - a thread and the pages that it owns
 * @fd: their file
 * @memory: its mapping
 * @pages: what they hold
 * @seed: of its random numbers
 * @writes: done
 */
struct writer {
	int fd;
	volatile uint64_t *memory;
	struct page pages[PAGES];
	unsigned int seed;
	unsigned long writes;
};

static const char *directory;
static struct writer writers[WRITERS];
static atomic_bool over;

static volatile uint64_t *page_at(struct writer *w, unsigned int n)
{
	return w->memory + n * CONTENT_WORDS;
}

static void check(struct writer *w, unsigned int n, const volatile uint64_t *found)
{
	const struct page *page = &w->pages[n];
	unsigned int i, wrong = 0;

	if (sum_of(found) == page->sum)
		return;
	fprintf(stderr, "ballast-stress: writer %d page %u: checksum %016lx, should be %016lx\n",
		(int)(w - writers), n, sum_of(found), page->sum);
	for (i = 0; i < CONTENT_WORDS && wrong < 8; i++) {
		uint64_t should = content_word(1 + n % IDS, i) ^ ((int)i == page->word);

		if (found[i] == should)
			continue;
		fprintf(stderr, "ballast-stress: word %u: %016lx, should be %016lx\n",
			i, found[i], should);
		wrong++;
	}
	_exit(1);
}

static void check_by_pread(struct writer *w, unsigned int n)
{
	uint64_t buffer[CONTENT_WORDS];

	if (pread(w->fd, buffer, CONTENT_PAGE, n * CONTENT_PAGE) != (ssize_t)CONTENT_PAGE)
		die("pread");
	check(w, n, buffer);
}

/* Make a page differ from all, or like the others again. */
static void flip(struct writer *w, unsigned int n)
{
	volatile uint64_t *memory = page_at(w, n);
	struct page *page = &w->pages[n];
	int word = page->word;
	uint64_t before;

	if (word < 0)
		word = rand_r(&w->seed) % CONTENT_WORDS;
	before = content_word(1 + n % IDS, word) ^ (page->word >= 0);
	memory[word] = before ^ 1;
	page->sum += ((before ^ 1) - before) * weights[word];
	page->word = page->word < 0 ? word : -1;
	w->writes++;
}

/*
 * A page is changed and changed back within a few steps, then it rests until
 * the writer has been round: long enough for two passes of the scanner.
 */
static void *write_pages(void *arg)
{
	struct writer *w = arg;
	unsigned int n, i;

	for (n = 0; !over; n = (n + 1) % PAGES) {
		check(w, n, page_at(w, n));
		for (i = 1 + rand_r(&w->seed) % 2; i > 0; i--) {
			flip(w, n);
			if (rand_r(&w->seed) % 8 == 0)
				rest_ms(1);
		}
		check(w, n, page_at(w, n));
		/* some page, at any phase of what the scanner does to it */
		i = rand_r(&w->seed) % PAGES;
		check_by_pread(w, i);
		if (w->pages[i].word >= 0)
			flip(w, i);
	}
	for (n = 0; n < PAGES; n++) {
		check(w, n, page_at(w, n));
		check_by_pread(w, n);
	}
	return NULL;
}

static void set_up(struct writer *w, int number)
{
	char path[300];
	unsigned int n;

	w->seed = number + 1;
	snprintf(path, sizeof(path), "%s/stress%d", directory, number);
	w->fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	if (w->fd < 0 || ftruncate(w->fd, PAGES * CONTENT_PAGE))
		die(path);
	w->memory = mmap(NULL, PAGES * CONTENT_PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED, w->fd, 0);
	if (w->memory == MAP_FAILED)
		die("mmap");
	for (n = 0; n < PAGES; n++) {
		content_fill(page_at(w, n), 1 + n % IDS);
		w->pages[n].sum = sum_of(page_at(w, n));
		w->pages[n].word = -1;
	}
}

int main(int argc, char **argv)
{
	unsigned long wanted = argc > 2 ? strtoul(argv[2], NULL, 10) : 20000;
	double seconds = argc > 3 ? strtod(argv[3], NULL) : 20, start;
	unsigned long min = argc > 4 ? strtoul(argv[4], NULL, 10) : 1000;
	unsigned long merged, broken, writes = 0, cycles;
	pthread_t threads[WRITERS];
	int i;

	if (argc < 2 || !strchr(argv[1], '/')) {
		fprintf(stderr, "usage: ballast-stress POOL-DIRECTORY [BREAKS [SECONDS [MIN-CYCLES]]]\n");
		return 2;
	}
	directory = argv[1];
	weights_init();
	for (i = 0; i < WRITERS; i++)
		set_up(&writers[i], i);
	merged = pool_number(directory, "pages_merged");
	broken = pool_number(directory, "cow_breaks");
	start = now();
	for (i = 0; i < WRITERS; i++)
		if (pthread_create(&threads[i], NULL, write_pages, &writers[i]))
			die("thread");
	while (pool_number(directory, "cow_breaks") - broken < wanted &&
	       (!seconds || now() - start < seconds)) {
		kick_scanner();
		rest_ms(PASSES_MS);
	}
	over = true;
	for (i = 0; i < WRITERS; i++) {
		pthread_join(threads[i], NULL);
		writes += writers[i].writes;
	}
	seconds = now() - start;
	merged = pool_number(directory, "pages_merged") - merged;
	broken = pool_number(directory, "cow_breaks") - broken;
	cycles = merged < broken ? merged : broken;
	printf("%lu cycles (%lu merged, %lu broken, %lu takeovers, %lu writes) in %.1f s, %.0f a second\n",
	       cycles, merged, broken, pool_number(directory, "takeovers"), writes, seconds,
	       cycles / seconds);
	if (cycles < min) {
		fprintf(stderr, "ballast-stress: fewer than %lu cycles prove nothing\n", min);
		return 1;
	}
	return 0;
}
