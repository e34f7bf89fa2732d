// SPDX-License-Identifier: GPL-2.0
/*
 * The keyed hash of a page against schoolbook arithmetic, and what it is for.
 * sources: sharing/hash.c
 *
 * DOC: The reference multiplies 32-bit limbs, carries by hand and walks the
 * page word pair by word pair, as RFC 4418 writes NH; one result was computed
 * by a third way (Python's integers) and stands below as a constant.  The
 * statistics have fixed seeds and bounds of six standard deviations: they pass
 * or fail for good.
 *
 * What this cannot prove: the bound on collisions, which is about all keys.
 */
#include <math.h>

#include "unit.h"
#include "sharing/hash.h"

_Static_assert(BALLAST_HASH_WORDS * sizeof(u64) == 4096, "a page");

struct page {
	u64 word[BALLAST_HASH_WORDS];
};

struct wide {
	u64 low, high;
};

static struct wide wide_add(struct wide a, struct wide b)
{
	struct wide sum = { a.low + b.low, a.high + b.high };

	sum.high += sum.low < a.low;
	return sum;
}

static struct wide wide_multiply(u64 a, u64 b)
{
	u32 x[2] = { (u32)a, a >> 32 }, y[2] = { (u32)b, b >> 32 };
	u32 digit[4] = { 0 };
	int i, j;

	for (i = 0; i < 2; i++) {
		u64 carry = 0;

		for (j = 0; j < 2; j++) {
			carry += (u64)x[i] * y[j] + digit[i + j];
			digit[i + j] = (u32)carry;
			carry >>= 32;
		}
		digit[i + 2] = (u32)carry;
	}
	return (struct wide){ digit[0] | (u64)digit[1] << 32,
			      digit[2] | (u64)digit[3] << 32 };
}

static u64 slow_hash(const struct ballast_hash_key *key, const struct page *p,
		     u64 domain)
{
	struct wide sum = { 0, 0 };
	u64 h;
	int pair;

	for (pair = 0; pair < BALLAST_HASH_WORDS / 2; pair++) {
		u64 left = p->word[2 * pair] + key->words[2 * pair];
		u64 right = p->word[2 * pair + 1] + key->words[2 * pair + 1];

		sum = wide_add(sum, wide_multiply(left, right));
	}
	sum = wide_multiply(sum.low + key->fold[0], sum.high + key->fold[1]);
	h = sum.low ^ sum.high ^ wide_multiply(domain, 0x9e3779b97f4a7c15ULL).low;
	/* fmix64 */
	h = wide_multiply(h ^ (h >> 33), 0xff51afd7ed558ccdULL).low;
	h = wide_multiply(h ^ (h >> 33), 0xc4ceb9fe1a85ec53ULL).low;
	return h ^ (h >> 33);
}

static void random_words(u64 *words, unsigned int n, u64 seed)
{
	while (n--)
		*words++ = unit_random(&seed);
}

static struct ballast_hash_key key_of(u64 seed)
{
	struct ballast_hash_key key;

	random_words(key.words, BALLAST_HASH_WORDS, seed);
	random_words(key.fold, 2, ~seed);
	return key;
}

static struct page random_page(u64 seed)
{
	struct page p;

	random_words(p.word, BALLAST_HASH_WORDS, seed);
	return p;
}

/* Room for what a test collects, not allocated: one that fails leaks nothing. */
static u64 hashes[100000];

static u64 hash(const struct ballast_hash_key *key, const struct page *p)
{
	return ballast_hash_page(key, p->word, 0);
}

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return (x > y) - (x < y);
}

static void assert_all_distinct(unsigned int n)
{
	unsigned int i;

	qsort(hashes, n, sizeof(*hashes), compare);
	for (i = 1; i < n; i++)
		assert_true(hashes[i - 1] != hashes[i]);
}

static void same_as_schoolbook(void **state)
{
	static const u64 fills[] = { 0, ~0ULL, 1, 1ULL << 63, 0xffffffff, ~0ULL << 32 };
	struct ballast_hash_key key = key_of(1);
	struct page p;
	u64 domain, seed = 2;
	unsigned int i, w;

	(void)state;
	for (i = 0; i < 2000; i++) {
		p = random_page(i);
		domain = unit_random(&seed);
		assert_true(ballast_hash_page(&key, p.word, domain) ==
			    slow_hash(&key, &p, domain));
	}
	/* the ends of the ranges: carries out of every sum */
	for (i = 0; i < ARRAY_SIZE(fills) * ARRAY_SIZE(fills); i++) {
		for (w = 0; w < BALLAST_HASH_WORDS; w++) {
			p.word[w] = fills[i % ARRAY_SIZE(fills)];
			key.words[w] = w % 2 ? 0 : fills[i / ARRAY_SIZE(fills)];
		}
		key.fold[0] = key.fold[1] = fills[i % ARRAY_SIZE(fills)];
		assert_true(ballast_hash_page(&key, p.word, i) == slow_hash(&key, &p, i));
	}
}

/*
 * By Python, from the definition in hash.c:
 *	k[i] = i * 0x0123456789abcdef + 1, page[i] = ~(i * i) mod 2^64,
 *	fold = 0xfedcba9876543210, 0x0f1e2d3c4b5a6978, domain = 42
 */
static void same_as_python(void **state)
{
	struct ballast_hash_key key;
	struct page p;
	u64 i;

	(void)state;
	for (i = 0; i < BALLAST_HASH_WORDS; i++) {
		key.words[i] = i * 0x0123456789abcdefULL + 1;
		p.word[i] = ~(i * i);
	}
	key.fold[0] = 0xfedcba9876543210ULL;
	key.fold[1] = 0x0f1e2d3c4b5a6978ULL;
	assert_int_equal(ballast_hash_page(&key, p.word, 42), 0x989411b817ccff89ULL);
}

static void every_bit_of_the_page_counts(void **state)
{
	const unsigned int flips = 4096 * 8;
	u64 base, changed = 0;
	struct ballast_hash_key key = key_of(3);
	struct page p = random_page(4);
	unsigned int bit;

	(void)state;
	base = hashes[flips] = hash(&key, &p);
	for (bit = 0; bit < flips; bit++) {
		p.word[bit / 64] ^= 1ULL << bit % 64;
		hashes[bit] = hash(&key, &p);
		p.word[bit / 64] ^= 1ULL << bit % 64;
		assert_true(hashes[bit] != base);
		changed += __builtin_popcountll(hashes[bit] ^ base);
	}
	assert_true(hash(&key, &p) == base);
	assert_all_distinct(flips + 1);
	unit_note("one bit of the page changes %.3f of 64 bits of the hash",
		  (double)changed / flips);
	/* 32, the average of 32768 flips deviates by 4 / sqrt(32768) */
	assert_true(fabs((double)changed / flips - 32) < 6 * 4 / sqrt(flips));
}

static void every_bit_of_the_key_counts(void **state)
{
	struct ballast_hash_key key = key_of(5);
	u64 *words = (u64 *)&key, base;
	struct page p = random_page(6);
	unsigned int bit, bits = sizeof(key) * 8;

	(void)state;
	base = hash(&key, &p);
	for (bit = 0; bit < bits; bit++) {
		words[bit / 64] ^= 1ULL << bit % 64;
		assert_true(hash(&key, &p) != base);
		words[bit / 64] ^= 1ULL << bit % 64;
	}
	assert_true(hash(&key, &p) == base);
}

static void domains_hash_apart(void **state)
{
	const unsigned int domains = 20000;
	struct ballast_hash_key key = key_of(7);
	struct page p = random_page(8);
	unsigned int i, chunk_bits_equal = 0;

	(void)state;
	for (i = 0; i < domains; i++) {
		/* small numbers and pointers alike */
		u64 domain = i % 2 ? i : 0xffff888000000000ULL + i * 4096ULL;

		hashes[i] = ballast_hash_page(&key, p.word, domain);
	}
	for (i = 1; i < domains; i++)
		chunk_bits_equal += hashes[i] >> 48 == hashes[i - 1] >> 48;
	assert_true(chunk_bits_equal <= 6);	/* expected: 0.3 */
	assert_all_distinct(domains);
}

static void place_of_a_word_counts(void **state)
{
	struct ballast_hash_key key = key_of(9);
	struct page p = random_page(10);
	u64 base = hash(&key, &p), seed = 11;
	unsigned int n;

	(void)state;
	/* each with its neighbour, its pair's twin, the next group, and far ones */
	for (n = 0; n < 4 * BALLAST_HASH_WORDS; n++) {
		unsigned int a = n % BALLAST_HASH_WORDS, b, size = BALLAST_HASH_WORDS;
		struct page q = p;

		switch (n / BALLAST_HASH_WORDS) {
		case 0: b = a ^ 1; break;
		case 1: b = a ^ 2; break;
		case 2: b = (a + 4) % size; break;
		default: b = (a + 1 + unit_random_below(&seed, size - 1)) % size;
		}
		q.word[a] = p.word[b];
		q.word[b] = p.word[a];
		assert_true(hash(&key, &q) != base);
	}
	/* whole pairs */
	for (n = 0; n + 3 < BALLAST_HASH_WORDS; n += 2) {
		struct page q = p;

		memcpy(&q.word[n], &p.word[n + 2], 16);
		memcpy(&q.word[n + 2], &p.word[n], 16);
		assert_true(hash(&key, &q) != base);
	}
}

static void plain_pages_hash_apart(void **state)
{
	struct ballast_hash_key key = key_of(12);
	struct page p;
	int fill;

	(void)state;
	for (fill = 0; fill < 256; fill++) {	/* zero and all ones among them */
		memset(&p, fill, sizeof(p));
		hashes[fill] = hash(&key, &p);
		assert_true(hashes[fill] == slow_hash(&key, &p, 0));
	}
	memset(&p, 0, sizeof(p));
	p.word[0] = 1;
	hashes[256] = hash(&key, &p);
	p.word[0] = 0;
	p.word[BALLAST_HASH_WORDS - 1] = 1;
	hashes[257] = hash(&key, &p);
	assert_all_distinct(256 + 2);
	/* the zero page is no special value, whatever the key */
	memset(&p, 0, sizeof(p));
	for (fill = 0; fill < 256; fill++) {
		key = key_of(1000 + fill);
		hashes[fill] = hash(&key, &p);
	}
	assert_all_distinct(256);
}

/* An odd address is the caller's error; any u64 boundary will do. */
static void page_need_not_be_page_aligned(void **state)
{
	struct ballast_hash_key key = key_of(13);
	struct page p = random_page(14);
	static u64 words[BALLAST_HASH_WORDS + 1];

	(void)state;
	memcpy(words + 1, &p, sizeof(p));
	assert_true(ballast_hash_page(&key, words + 1, 0) == hash(&key, &p));
}

/* Do the @bits bits of the hash from @shift on look thrown by fair dice? */
static void assert_even(unsigned int n, unsigned int shift, unsigned int bits)
{
	static unsigned int bin[1 << 16];
	unsigned int i, bins = 1U << bits;
	double expected = (double)n / bins, chi2 = 0, freedom = bins - 1;

	assert_true(bins <= ARRAY_SIZE(bin) && n <= ARRAY_SIZE(hashes));
	memset(bin, 0, sizeof(bin));
	for (i = 0; i < n; i++)
		bin[hashes[i] >> shift & (bins - 1)]++;
	for (i = 0; i < bins; i++)
		chi2 += (bin[i] - expected) * (bin[i] - expected) / expected;
	unit_note("bits %u to %u: chi-square %.0f, of %.0f +- %.0f", shift,
		  shift + bits - 1, chi2, freedom, sqrt(2 * freedom));
	/* too even is as wrong as too uneven */
	assert_true(fabs(chi2 - freedom) < 6 * sqrt(2 * freedom));
}

/* Pages that differ by a counter in one word, as a guest's real ones may. */
static void structured_pages_spread(const struct page *base, unsigned int word,
				    u64 step)
{
	const unsigned int n = ARRAY_SIZE(hashes);
	struct ballast_hash_key key = key_of(15);
	struct page p = *base;
	unsigned int i;

	for (i = 0; i < n; i++) {
		p.word[word] = i * step;
		hashes[i] = hash(&key, &p);
	}
	assert_even(n, 48, 16);
	assert_even(n, 0, 6);	/* an entry's first bucket */
	assert_even(n, 6, 13);	/* its tag, and so its second one */
	assert_even(n, 19, 12);	/* the hint it overwrites */
	assert_all_distinct(n);
}

static void counters_in_zero_pages_spread(void **state)
{
	static const struct page zero;

	(void)state;
	structured_pages_spread(&zero, 17, 1);
}

static void counters_in_high_bits_spread(void **state)
{
	struct page p = random_page(16);

	(void)state;
	structured_pages_spread(&p, 511, 1ULL << 47);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(same_as_schoolbook),
	cmocka_unit_test(same_as_python),
	cmocka_unit_test(every_bit_of_the_page_counts),
	cmocka_unit_test(every_bit_of_the_key_counts),
	cmocka_unit_test(domains_hash_apart),
	cmocka_unit_test(place_of_a_word_counts),
	cmocka_unit_test(plain_pages_hash_apart),
	cmocka_unit_test(page_need_not_be_page_aligned),
	cmocka_unit_test(counters_in_zero_pages_spread),
	cmocka_unit_test(counters_in_high_bits_spread),
};

unit_main(tests)
