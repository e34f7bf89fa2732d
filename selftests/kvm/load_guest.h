/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest of "minivm --guest load": it knows what it wrote.
 *
 * DOC: It goes over the pages of a list, checks each word of each page against
 * what it wrote there last, writes some anew, and keeps the time that the first
 * access to a page took and the longest time without a page done.  The content of
 * a page follows from a seed, its number and its generation; generations are in a
 * table of the guest's own.  Generation 0 was never written, or has been
 * given to a balloon since: all zero.
 *
 * This is C, but it runs in the VM: the section is copied to its address CODE.
 * So it calls nothing outside, has no data, and uses no vector registers.
 */
#ifndef LOAD_GUEST_H
#define LOAD_GUEST_H

#include <stdint.h>

#define IN_GUEST	__attribute__((section("guest_text"), noinline, used, \
				       target("general-regs-only")))
#define INLINED		static inline __attribute__((always_inline, target("general-regs-only")))
#define GUEST_PAGE	4096UL
#define GUEST_WORDS	(GUEST_PAGE / 8)
#define TIMES		512	/* eight to each power of two */

/*
 * struct load - shared by guest and VMM, at PARAMETERS
 * @count: pages in the list.  Written by the VMM
 * @passes: how often the list was gone over
 * @checked: pages found right
 * @seed, @write_every, @soft: which content; each so-manieth page is written anew;
 *	so many of sixteen pages compress to an eighth.  Written by the VMM
 * @same: so many of sixteen pages have what they have in every VM, and are written
 *	once.  Written by the VMM
 * @bad: pages that were not what they should be; of the last one:
 * @bad_page, @bad_generation, @bad_word, @bad_found, @bad_wanted
 * @longest: most ticks from one page done to the next, rests not counted
 * @time: how often a first access took so long, by time_index()
 */
struct load {
	volatile uint64_t count, passes, checked;
	volatile uint64_t seed, write_every, soft, same;
	volatile uint64_t bad, bad_page, bad_generation, bad_word, bad_found, bad_wanted;
	volatile uint64_t longest;
	volatile uint32_t time[TIMES];
};

INLINED uint64_t ticks(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

INLINED unsigned int time_index(uint64_t t)
{
	unsigned int top;

	if (t < 8)
		return t;
	top = 63 - __builtin_clzl(t);
	return (top - 2) * 8 + (t >> (top - 3) & 7);
}

INLINED uint64_t mixed(uint64_t x)
{
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return x;
}

/* Of 0 all VMs have the same. */
INLINED uint64_t own_seed(struct load *l, uint32_t page)
{
	return page % 16 < 16 - l->same ? l->seed : 0;
}

INLINED uint64_t content_start(struct load *l, uint32_t page, uint32_t generation)
{
	uint64_t x = own_seed(l, page) << 48 ^ (uint64_t)generation << 32 ^ page;

	return x * 0x9e3779b97f4a7c15ULL | 1;
}

/* Each eighth word of a soft page differs, the others are zero. */
INLINED uint64_t content_word(uint64_t *x, bool soft, unsigned int i)
{
	if (soft && i & 7)
		return 0;
	*x = mixed(*x);
	return *x;
}

IN_GUEST void load_guest(struct load *l, uint32_t *list, uint32_t *generations);
IN_GUEST void load_check(struct load *l, uint32_t page, uint32_t generation);
IN_GUEST void load_fill(struct load *l, uint32_t page, uint32_t generation);

/* Where the vCPU starts. */
IN_GUEST void load_guest(struct load *l, uint32_t *list, uint32_t *generations)
{
	uint64_t last, begin, now;
	uint32_t page;

	for (;;) {
		last = ticks();
		for (uint64_t i = 0; i < l->count; i++) {
			page = list[i];
			begin = ticks();
			(void)*(volatile uint64_t *)(page * GUEST_PAGE);
			l->time[time_index(ticks() - begin) % TIMES]++;
			load_check(l, page, generations[page]);
			if (!generations[page] ||
			    (l->write_every && own_seed(l, page) &&
			     (i + l->passes) % l->write_every == 0))
				load_fill(l, page, ++generations[page]);
			now = ticks();
			if (now - last > l->longest)
				l->longest = now - last;
			last = now;
		}
		l->passes++;
		__asm__ volatile("outb %al, $0x10");
	}
}

IN_GUEST void load_check(struct load *l, uint32_t page, uint32_t generation)
{
	volatile uint64_t *word = (uint64_t *)(page * GUEST_PAGE);
	uint64_t x = content_start(l, page, generation), wanted, found;
	bool soft = page % 16 < l->soft;

	for (unsigned int i = 0; i < GUEST_WORDS; i++) {
		wanted = generation ? content_word(&x, soft, i) : 0;
		found = word[i];
		if (found == wanted)
			continue;
		l->bad_page = page;
		l->bad_generation = generation;
		l->bad_word = i;
		l->bad_found = found;
		l->bad_wanted = wanted;
		l->bad++;
		return;
	}
	l->checked++;
}

IN_GUEST void load_fill(struct load *l, uint32_t page, uint32_t generation)
{
	volatile uint64_t *word = (uint64_t *)(page * GUEST_PAGE);
	uint64_t x = content_start(l, page, generation);
	bool soft = page % 16 < l->soft;

	for (unsigned int i = 0; i < GUEST_WORDS; i++)
		word[i] = content_word(&x, soft, i);
}

#endif
