/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What test pages hold: all of a page follows from its id.
 *
 * Id 0 is the page of zeroes.  Ids from CONTENT_SOFT on are of pages that compress to
 * an eighth, from CONTENT_FLAT on of pages that repeat one word; others do not
 * compress.  Pages of different ids differ in every word,
 * so that a page made of two others is never taken for a third.
 */
#ifndef BALLAST_TEST_CONTENT_H
#define BALLAST_TEST_CONTENT_H

#include <stdint.h>

#define CONTENT_PAGE	4096UL
#define CONTENT_WORDS	(CONTENT_PAGE / sizeof(uint64_t))
#define CONTENT_SOFT	1000000000ULL
#define CONTENT_FLAT	2000000000ULL

/* Invertible, and 0 for 0 only. */
static inline uint64_t content_mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x7fb5d329728ea185ULL;
	x ^= x >> 27;
	x *= 0x81dadef4bc2dd44dULL;
	return x ^ x >> 33;
}

/* The id is in the upper bits: it can be read out of any word. */
static inline uint64_t content_word(uint64_t id, unsigned int word)
{
	if (id >= CONTENT_FLAT)
		word = 0;
	else if (id >= CONTENT_SOFT)
		word %= CONTENT_WORDS / 8;
	return id ? content_mix(id << 9 | word) : 0;
}

static inline void content_fill(volatile uint64_t *page, uint64_t id)
{
	unsigned int i;

	for (i = 0; i < CONTENT_WORDS; i++)
		page[i] = content_word(id, i);
}

/* The first word that is not as it should be, or -1. */
static inline int content_check(const volatile uint64_t *page, uint64_t id)
{
	unsigned int i;

	for (i = 0; i < CONTENT_WORDS; i++)
		if (page[i] != content_word(id, i))
			return i;
	return -1;
}

#endif /* BALLAST_TEST_CONTENT_H */
