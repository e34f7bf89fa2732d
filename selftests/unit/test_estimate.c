// SPDX-License-Identifier: GPL-2.0
/*
 * The estimate of activity: averages and the error of a sample.
 * sources: policy/estimate.c
 *
 * DOC: The averages are held against the same averages in doubles, the error
 * against the equation that defines Wilson's limits.
 */
#include <math.h>

#include "unit.h"
#include "policy/bp.h"
#include "policy/estimate.h"

static void period(struct ballast_estimate *e, u32 sampled, u32 touched)
{
	ballast_estimate_begin(e, sampled);
	ballast_estimate_end(e, touched);
}

static void nothing_known_is_fully_active(void **state)
{
	struct ballast_estimate e = { 0 };

	(void)state;
	assert_int_equal(ballast_estimate_active_bp(&e), BALLAST_BP);
	assert_int_equal(ballast_estimate_error_bp(&e, 100), BALLAST_BP);
	ballast_estimate_begin(&e, 100);
	ballast_estimate_progress(&e, 3);
	assert_int_equal(ballast_estimate_active_bp(&e), BALLAST_BP);
	assert_int_equal(ballast_estimate_running_bp(&e), BALLAST_BP);
}

static void first_period_is_all_that_is_known(void **state)
{
	struct ballast_estimate e = { 0 };

	(void)state;
	period(&e, 100, 20);
	assert_int_equal(e.periods, 1);
	assert_int_equal(ballast_estimate_slow_bp(&e), 2000);
	assert_int_equal(ballast_estimate_fast_bp(&e), 2000);
	assert_int_equal(ballast_estimate_running_bp(&e), 2000);
	assert_int_equal(ballast_estimate_active_bp(&e), 2000);
}

static void weights_of_the_newest(void **state)
{
	struct ballast_estimate e = { 0 };

	(void)state;
	period(&e, 100, 0);
	period(&e, 100, 80);
	assert_int_equal(ballast_estimate_slow_bp(&e), 4000);
	assert_int_equal(ballast_estimate_fast_bp(&e), 7500);
	period(&e, 100, 0);
	assert_int_equal(ballast_estimate_slow_bp(&e), 2000);
	assert_int_equal(ballast_estimate_fast_bp(&e), (7500 + 8) / 16);
}

/* Up at once, down slowly: what the three averages are for. */
static void rises_quickly_decays_slowly(void **state)
{
	struct ballast_estimate e = { 0 };
	u32 before, after;
	int n;

	(void)state;
	for (n = 0; n < 10; n++)
		period(&e, 100, 0);
	assert_int_equal(ballast_estimate_active_bp(&e), 0);
	ballast_estimate_begin(&e, 100);
	ballast_estimate_progress(&e, 50);	/* not even complete */
	assert_int_equal(ballast_estimate_active_bp(&e), (5000 * 15 + 8) / 16);
	ballast_estimate_end(&e, 100);
	assert_int_equal(ballast_estimate_active_bp(&e), 10000 * 15 / 16);
	for (n = 0; n < 10; n++) {
		before = ballast_estimate_active_bp(&e);
		period(&e, 100, 0);
		after = ballast_estimate_active_bp(&e);
		assert_true(after < before);
		assert_true(n == 0 || after + 1 >= before / 2);	/* no faster than the slow */
	}
}

/* Few pages touched so far say nothing: the period may still touch more. */
static void running_period_only_raises(void **state)
{
	struct ballast_estimate e = { 0 };
	u32 touched, last;

	(void)state;
	period(&e, 100, 40);
	ballast_estimate_begin(&e, 100);
	last = ballast_estimate_running_bp(&e);
	assert_int_equal(last, 4000);
	for (touched = 0; touched <= 100; touched++) {
		ballast_estimate_progress(&e, touched);
		assert_true(ballast_estimate_running_bp(&e) >= last);
		assert_int_equal(ballast_estimate_running_bp(&e) > 4000, touched > 40);
		assert_int_equal(ballast_estimate_fast_bp(&e), 4000);
		last = ballast_estimate_running_bp(&e);
	}
	assert_int_equal(last, (4000 + 15 * 10000 + 8) / 16);
}

static void a_steady_guest_is_seen_exactly(void **state)
{
	struct ballast_estimate e = { 0 };
	u32 touched;
	int n;

	(void)state;
	for (touched = 0; touched <= 100; touched++) {
		for (n = 0; n < 40; n++)
			period(&e, 100, touched);
		assert_int_equal(ballast_estimate_slow_bp(&e), touched * 100);
		assert_int_equal(ballast_estimate_fast_bp(&e), touched * 100);
	}
}

static void nonsense_is_cut(void **state)
{
	struct ballast_estimate e = { 0 }, before;

	(void)state;
	period(&e, 100, 1000);
	assert_int_equal(ballast_estimate_active_bp(&e), BALLAST_BP);
	before = e;
	period(&e, 0, 50);		/* no page, no period */
	ballast_estimate_end(&e, 50);	/* none under way */
	assert_memory_equal(&e, &before, sizeof(e));
	ballast_estimate_progress(&e, 50);
	assert_int_equal(e.touched, 0);
	e.periods = (u32)-1;
	period(&e, 100, 0);
	assert_int_equal(e.periods, (u32)-1);
}

/* By how much a new sample differs from the average, 1: as much as by chance. */
static double surprise(double fast, double f, u32 sampled)
{
	double p = (fast + f) / 2;

	if (fast == f)
		return 0;
	return (f - fast) * (f - fast) * fmin(sampled, 1 << 20) / (7 * p * (1 - p));
}

static double follow(double fast, double f, double surprise)
{
	return surprise > 1 ? fast / 16 + f * 15 / 16 : fast / 2 + f / 2;
}

static void follows_the_averages_in_doubles(void **state)
{
	u64 seed = 1;
	int vm, n;

	(void)state;
	for (vm = 0; vm < 1000; vm++) {
		struct ballast_estimate e = { 0 };
		double slow = 0, fast = 0, running;
		bool near;

		for (n = 0; n < 100; n++) {
			u32 sampled = 1 + (u32)(unit_random(&seed) >>
						(32 + unit_random_below(&seed, 32)));
			u32 touched = (u32)unit_random_below(&seed, (u64)sampled + 1);
			double f = (double)touched / sampled;

			ballast_estimate_begin(&e, sampled);
			ballast_estimate_progress(&e, touched);
			running = fmax(fast, follow(fast, f, surprise(fast, f, sampled)));
			/* 16 bits may see what is nearly chance as the other */
			near = fabs(surprise(fast, f, sampled) - 1) < .1;
			if (n && !near)
				assert_true(fabs(ballast_estimate_running_bp(&e) -
						 running * 1e4) < 1.5);
			ballast_estimate_end(&e, touched);
			slow = n ? slow / 2 + f / 2 : f;
			fast = n ? follow(fast, f, surprise(fast, f, sampled)) : f;
			if (near)
				fast = e.fast / 65536.;
			/* half a basis point, and what the 16 bits lose */
			assert_true(fabs(ballast_estimate_slow_bp(&e) - slow * 1e4) < 1);
			assert_true(fabs(ballast_estimate_fast_bp(&e) - fast * 1e4) < 1);
			assert_true(fabs(ballast_estimate_active_bp(&e) -
					 fmax(slow, fast) * 1e4) < 1);
		}
		assert_int_equal(e.periods, 100);
	}
}

/* Is a true fraction @p, at a sample of n, still likely to give @a? */
static bool likely(double p, double a, double n)
{
	return (p - a) * (p - a) * n <= 1.96 * 1.96 * p * (1 - p);
}

/* The error reaches the farther of the limits, and less than 3 bp beyond. */
static void assert_error(u32 active_bp, u32 sampled)
{
	struct ballast_estimate e = { .periods = 1 };
	double a, error, wide;

	e.slow = e.fast = (u32)(((u64)active_bp << 16) / BALLAST_BP);
	a = ballast_estimate_active_bp(&e) / 1e4;
	error = ballast_estimate_error_bp(&e, sampled) / 1e4;
	wide = a <= .5 ? a + error : a - error;	/* the interval leans to the middle */
	assert_false(wide > 0 && wide < 1 && likely(wide, a, sampled) &&
		     likely(wide + (a <= .5 ? 1e-6 : -1e-6), a, sampled));
	wide += a <= .5 ? -3e-4 : 3e-4;
	assert_true(error <= 3e-4 || likely(wide, a, sampled));
}

static void error_is_wilsons(void **state)
{
	static const u32 sampled[] = { 1, 2, 10, 100, 1000, 100000, 10000000 };
	u32 active;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sampled); i++)
		for (active = 0; active <= BALLAST_BP; active += 25)
			assert_error(active, sampled[i]);
}

static void error_of_the_usual_sample(void **state)
{
	struct ballast_estimate e = { 0 };
	u32 none, half;

	(void)state;
	period(&e, 100, 0);
	none = ballast_estimate_error_bp(&e, 100);
	period(&e, 100, 100);
	half = ballast_estimate_error_bp(&e, 100);
	unit_note("100 pages: +- %u bp at none touched, +- %u at %u", none, half,
		  ballast_estimate_active_bp(&e));
	/* z^2 / (n + z^2): nothing seen is not nothing there */
	assert_in_range(none, 369, 372);
	assert_int_equal(ballast_estimate_error_bp(&e, 0), BALLAST_BP);
	assert_true(ballast_estimate_error_bp(&e, (u32)-1) <= 2);
	assert_true(ballast_estimate_error_bp(&e, 1000) < half);
}

/* How often it is right: all samples that chance can give, @p up to a half. */
static double coverage(u32 sampled, double p)
{
	double probability = pow(1 - p, sampled), right = 0;
	u32 touched;

	for (touched = 0; touched <= sampled; touched++) {
		struct ballast_estimate e = { 0 };
		double error;

		period(&e, sampled, touched);
		error = ballast_estimate_error_bp(&e, sampled) / 1e4;
		if (fabs(ballast_estimate_active_bp(&e) / 1e4 - p) <= error)
			right += probability;
		probability *= (double)(sampled - touched) / (touched + 1) * p / (1 - p);
	}
	return right;
}

static void error_covers_95_percent(void **state)
{
	static const u32 sampled[] = { 30, 100, 400 };
	double p, covered, sum = 0, least = 1;
	unsigned int n = 0;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sampled); i++)
		for (p = .005; p < .5001; p += .005, n++) {
			covered = coverage(sampled[i], p);
			sum += covered;
			least = fmin(least, covered);
		}
	unit_note("right in %.2f %% of all samples, in %.2f %% at the worst fraction",
		  sum / n * 100, least * 100);
	assert_true(sum / n >= .95);
	assert_true(least >= .92);	/* whole pages: no interval is exact */
}

/*
 * Pages in use lie all over the memory, which is the worst case: what the sample
 * finds is chance.  The greatest of three averages must not make too much of it.
 */
static void chance_is_not_taken_for_change(void **state)
{
	double errors = 0, bias = 0, error;
	u32 n, i, percent, touched, count = 0, far_off = 0;
	u64 seed = 7;

	(void)state;
	for (percent = 5; percent <= 95; percent += 5) {
		struct ballast_estimate e = { 0 };

		for (n = 0; n < 500; n++, count++) {
			touched = 0;
			for (i = 0; i < 100; i++)
				touched += unit_random_below(&seed, 100) < percent;
			period(&e, 100, touched);
			error = ballast_estimate_active_bp(&e) / 100. - percent;
			errors += fabs(error);
			bias += error;
			far_off += fabs(error) > 8;
		}
	}
	unit_note("mean error %.2f points, bias %.2f, more than 8 off: %.2f %%",
		  errors / count, bias / count, far_off * 100. / count);
	assert_true(errors / count < 2.5);
	assert_true(fabs(bias / count) < .5);
	assert_true(far_off * 20 < count);	/* 95 % within 8 points */
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(chance_is_not_taken_for_change),
	cmocka_unit_test(nothing_known_is_fully_active),
	cmocka_unit_test(first_period_is_all_that_is_known),
	cmocka_unit_test(weights_of_the_newest),
	cmocka_unit_test(rises_quickly_decays_slowly),
	cmocka_unit_test(running_period_only_raises),
	cmocka_unit_test(a_steady_guest_is_seen_exactly),
	cmocka_unit_test(nonsense_is_cut),
	cmocka_unit_test(follows_the_averages_in_doubles),
	cmocka_unit_test(error_is_wilsons),
	cmocka_unit_test(error_of_the_usual_sample),
	cmocka_unit_test(error_covers_95_percent),
};

unit_main(tests)
