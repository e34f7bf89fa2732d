// SPDX-License-Identifier: GPL-2.0
/*
 * Free-memory states: thresholds, and the way from state to state.
 * sources: policy/state.c
 */
#include "unit.h"
#include "policy/state.h"

#define GIB_PAGES	(1ULL << 18)
#define HIGH		BALLAST_STATE_HIGH
#define SOFT		BALLAST_STATE_SOFT
#define HARD		BALLAST_STATE_HARD
#define LOW		BALLAST_STATE_LOW

static const struct ballast_thresholds paper = { 600, 400, 200, 100 };

static void assert_thresholds(const struct ballast_thresholds *t, u64 high, u64 soft,
			      u64 hard, u64 low)
{
	assert_int_equal(t->high_pages, high);
	assert_int_equal(t->soft_pages, soft);
	assert_int_equal(t->hard_pages, hard);
	assert_int_equal(t->low_pages, low);
}

static void assert_ordered(const struct ballast_thresholds *t, u64 pool_pages)
{
	assert_true(pool_pages >= t->high_pages);
	assert_true(t->high_pages >= t->soft_pages);
	assert_true(t->soft_pages >= t->hard_pages);
	assert_true(t->hard_pages >= t->low_pages);
}

static void shares_of_the_pool(void **state)
{
	static const u32 bp[] = { 600, 400, 200, 100 };
	struct ballast_thresholds t;

	(void)state;
	ballast_thresholds_set(&t, 10000, bp);
	assert_thresholds(&t, 600, 400, 200, 100);
	ballast_thresholds_set(&t, 10000ULL * 10000 + 9999, bp);
	assert_thresholds(&t, 6000599, 4000399, 2000199, 1000099);
	ballast_thresholds_set(&t, 16, bp);	/* 0.96 of a page */
	assert_thresholds(&t, 0, 0, 0, 0);
	ballast_thresholds_set(&t, 17, bp);
	assert_thresholds(&t, 1, 0, 0, 0);
}

static void wrong_shares_are_cut(void **state)
{
	static const u32 rising[] = { 100, 200, 300, 400 };
	static const u32 huge[] = { (u32)-1, 20000, 10001, 10000 };
	struct ballast_thresholds t;

	(void)state;
	ballast_thresholds_set(&t, 10000, rising);
	assert_thresholds(&t, 100, 100, 100, 100);
	ballast_thresholds_set(&t, (u64)-1, huge);
	assert_thresholds(&t, (u64)-1, (u64)-1, (u64)-1, (u64)-1);
}

/* 6 % of 4 GiB, 4 % of 8, 2 % of 16, 1 % of the rest, computed in another way. */
static double min_free_gib(double gib)
{
	double high = gib * .01;

	high += (gib < 28 ? gib : 28) * .01;
	high += (gib < 12 ? gib : 12) * .02;
	high += (gib < 4 ? gib : 4) * .02;
	return high;
}

static void sliding_min_free(void **state)
{
	static const u64 gib[] = { 1, 4, 8, 12, 20, 28, 29, 100, 1024, 24 * 1024 };
	struct ballast_thresholds t;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(gib); i++) {
		double high = min_free_gib((double)gib[i]) * GIB_PAGES;

		ballast_thresholds_sliding(&t, gib[i] * GIB_PAGES, 4096);
		/* four bands, each rounded down */
		assert_in_range(t.high_pages, (u64)(high - 4), (u64)(high + 1e-6));
		assert_in_range(t.soft_pages, (u64)(high * .64 - 4), (u64)(high * .64 + 1e-6));
		assert_in_range(t.hard_pages, (u64)(high * .32 - 4), (u64)(high * .32 + 1e-6));
		assert_in_range(t.low_pages, (u64)(high * .16 - 4), (u64)(high * .16 + 1e-6));
	}
	/* the size of a page is no matter: 64 KiB are sixteen of 4 */
	ballast_thresholds_sliding(&t, 28 * GIB_PAGES / 16, 65536);
	assert_in_range(t.high_pages, (u64)(min_free_gib(28) * GIB_PAGES / 16) - 4,
			(u64)(min_free_gib(28) * GIB_PAGES / 16));
}

static void any_pool_has_ordered_thresholds(void **state)
{
	struct ballast_thresholds t, larger;
	unsigned int n;
	u64 seed = 1;

	(void)state;
	for (n = 0; n < 100000; n++) {
		u64 pages = unit_random(&seed) >> (20 + unit_random_below(&seed, 44));
		u32 bp[BALLAST_STATE_NR], i;

		for (i = 0; i < BALLAST_STATE_NR; i++)
			bp[i] = (u32)unit_random_below(&seed, 12000);
		ballast_thresholds_set(&t, pages, bp);
		assert_ordered(&t, pages);
		ballast_thresholds_sliding(&t, pages, 4096);
		assert_ordered(&t, pages);
		ballast_thresholds_sliding(&larger, pages + 1 +
					   unit_random_below(&seed, pages + 1), 4096);
		assert_true(larger.high_pages >= t.high_pages);
	}
}

/* Every state at every threshold and a page below it. */
static void each_way(void **state)
{
	static const struct {
		u64 free;
		enum ballast_state to[BALLAST_STATE_NR];	/* from high, soft, ... */
	} way[] = {
		{ 1000, { HIGH, HIGH, HIGH, HIGH } },
		{ 600, { HIGH, HIGH, HIGH, HIGH } },
		{ 599, { HIGH, SOFT, SOFT, SOFT } },
		{ 400, { HIGH, SOFT, SOFT, SOFT } },
		{ 399, { SOFT, SOFT, HARD, HARD } },
		{ 200, { SOFT, SOFT, HARD, HARD } },
		{ 199, { HARD, HARD, HARD, LOW } },
		{ 100, { HARD, HARD, HARD, LOW } },
		{ 99, { LOW, LOW, LOW, LOW } },
		{ 0, { LOW, LOW, LOW, LOW } },
	};
	enum ballast_state from;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(way); i++)
		for (from = 0; from < BALLAST_STATE_NR; from++)
			assert_int_equal(ballast_state_next(from, way[i].free, &paper),
					 way[i].to[from]);
}

/* A second look at the same free memory changes nothing. */
static void a_state_lasts(void **state)
{
	struct ballast_thresholds t;
	unsigned int n;
	u64 seed = 2;

	(void)state;
	for (n = 0; n < 100000; n++) {
		enum ballast_state from = unit_random_below(&seed, BALLAST_STATE_NR), to;
		u64 free;

		t.high_pages = unit_random_below(&seed, 50);
		t.soft_pages = unit_random_below(&seed, t.high_pages + 1);
		t.hard_pages = unit_random_below(&seed, t.soft_pages + 1);
		t.low_pages = unit_random_below(&seed, t.hard_pages + 1);
		free = unit_random_below(&seed, 60);
		to = ballast_state_next(from, free, &t);
		assert_int_equal(ballast_state_next(to, free, &t), to);
		/* more memory is never a graver state */
		assert_true(ballast_state_next(from, free + 1, &t) <= to);
	}
}

/* Free memory that trembles at a threshold does not make the state tremble. */
static void trembling_changes_once(void **state)
{
	const u64 thresholds[] = { 400, 200, 100 };
	unsigned int n, changes;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(thresholds); i++) {
		enum ballast_state s = HIGH, next;

		for (n = 0, changes = 0; n < 100; n++, s = next) {
			next = ballast_state_next(s, thresholds[i] - n % 2, &paper);
			changes += next != s;
		}
		/* from high down to the state next to the threshold, then no more */
		assert_in_range(changes, 1, 2);
		assert_int_equal(s, SOFT + i);
	}
}

static void a_pool_without_thresholds_is_high(void **state)
{
	const struct ballast_thresholds none = { 0, 0, 0, 0 };
	enum ballast_state from;

	(void)state;
	for (from = 0; from < BALLAST_STATE_NR; from++)
		assert_int_equal(ballast_state_next(from, 0, &none), HIGH);
}

static void tokens(void **state)
{
	(void)state;
	assert_string_equal(ballast_state_token(HIGH), "high");
	assert_string_equal(ballast_state_token(SOFT), "soft");
	assert_string_equal(ballast_state_token(HARD), "hard");
	assert_string_equal(ballast_state_token(LOW), "low");
	assert_string_equal(ballast_state_token(BALLAST_STATE_NR), "?");
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(shares_of_the_pool),
	cmocka_unit_test(wrong_shares_are_cut),
	cmocka_unit_test(sliding_min_free),
	cmocka_unit_test(any_pool_has_ordered_thresholds),
	cmocka_unit_test(each_way),
	cmocka_unit_test(a_state_lasts),
	cmocka_unit_test(trembling_changes_once),
	cmocka_unit_test(a_pool_without_thresholds_is_high),
	cmocka_unit_test(tokens),
};

unit_main(tests)
