/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The division of a pool, solved exactly in rational numbers.
 *
 * DOC: A reference for kmod/policy/allocation.c that has nothing in common with
 * it but the question.  As a function of lambda (pages of price a share) each
 * VM's target is made of straight pieces that meet where it leaves its lower
 * bound, where its pages in use end, and where it reaches its upper bound.  So
 * the sum is made of straight pieces as well.  All these points are sorted; two
 * neighbours have the wanted sum between them, and between neighbours every
 * target is a straight line.
 *
 * Call exact_divide(), ask exact_rounds_to(), and exact_free() at the end.
 */
#ifndef BALLAST_UNIT_EXACT_H
#define BALLAST_UNIT_EXACT_H

#include <gmp.h>

#include "unit.h"
#include "policy/allocation.h"

struct exact_bounds {
	u64 guaranteed;
	u64 needed;
	u64 ceiling;
	u64 lower;
	u64 upper;
};

static struct {
	size_t room;		/* VMs that there is memory for */
	struct exact_bounds *bounds;
	mpq_t *target;
	mpq_t *point;		/* three a VM */
	mpq_t **sorted;
	u64 sum_guaranteed;
	u64 sum_upper;
	mpq_t x, y, sum;	/* for intermediate results */
} exact;

static inline void exact_free(void)
{
	size_t i;

	if (!exact.room)
		return;
	for (i = 0; i < exact.room; i++)
		mpq_clear(exact.target[i]);
	for (i = 0; i < 3 * exact.room; i++)
		mpq_clear(exact.point[i]);
	mpq_clears(exact.x, exact.y, exact.sum, NULL);
	free(exact.bounds);
	free(exact.target);
	free(exact.point);
	free(exact.sorted);
	memset(&exact, 0, sizeof(exact));
}

static inline void exact_reserve(size_t count)
{
	size_t i;

	if (count <= exact.room)
		return;
	exact_free();
	exact.room = count;
	exact.bounds = calloc(count, sizeof(*exact.bounds));
	exact.target = calloc(count, sizeof(*exact.target));
	exact.point = calloc(3 * count, sizeof(*exact.point));
	exact.sorted = calloc(3 * count, sizeof(*exact.sorted));
	assert_true(exact.bounds && exact.target && exact.point && exact.sorted);
	for (i = 0; i < count; i++)
		mpq_init(exact.target[i]);
	for (i = 0; i < 3 * count; i++)
		mpq_init(exact.point[i]);
	mpq_inits(exact.x, exact.y, exact.sum, NULL);
}

static inline u64 exact_min(u64 a, u64 b) { return a < b ? a : b; }
static inline u64 exact_max(u64 a, u64 b) { return a > b ? a : b; }

static inline u64 exact_shares(const struct ballast_claim *c)
{
	return c->shares ? c->shares : 1;
}

static inline u64 exact_tax(const struct ballast_claim *c)
{
	return exact_min(c->tax_bp, BALLAST_TAX_BP_MAX);
}

static inline void exact_set_bounds(const struct ballast_claim *claims, size_t count,
				    u64 available)
{
	u64 needed = 0;
	size_t i;

	exact.sum_guaranteed = exact.sum_upper = 0;
	for (i = 0; i < count; i++) {
		const struct ballast_claim *c = &claims[i];
		struct exact_bounds *b = &exact.bounds[i];
		u64 max = c->max_pages ? c->max_pages : c->size_pages;

		b->guaranteed = exact_min(exact_max(c->min_pages, c->held_pages),
					  c->size_pages);
		b->ceiling = exact_max(b->guaranteed, exact_min(max, c->size_pages));
		b->needed = exact_max(b->guaranteed,
				      exact_min(c->floor_pages, b->ceiling));
		exact.sum_guaranteed += b->guaranteed;
		needed += b->needed;
	}
	for (i = 0; i < count; i++) {
		struct exact_bounds *b = &exact.bounds[i];

		b->lower = needed <= available ? b->needed : b->guaranteed;
		b->upper = needed <= available && claims[i].shares ? b->ceiling : b->needed;
		exact.sum_upper += b->upper;
	}
}

/* The lambda at which a VM's price for @pages is met. */
static inline void exact_point(mpq_t point, const struct ballast_claim *c, u64 pages)
{
	u64 idle = pages > c->active_pages ? pages - c->active_pages : 0;

	/* used + idle * 10000 / (10000 - tax), over the shares */
	mpq_set_ui(point, idle * BALLAST_BP, BALLAST_BP - exact_tax(c));
	mpq_canonicalize(point);
	mpq_set_ui(exact.y, pages - idle, 1);
	mpq_add(point, point, exact.y);
	mpq_set_ui(exact.y, exact_shares(c), 1);
	mpq_div(point, point, exact.y);
}

static inline void exact_clamp(mpq_t value, u64 lower, u64 upper)
{
	if (mpq_cmp_ui(value, lower, 1) < 0)
		mpq_set_ui(value, lower, 1);
	if (mpq_cmp_ui(value, upper, 1) > 0)
		mpq_set_ui(value, upper, 1);
}

/* What @lambda gives a VM. */
static inline void exact_target_at(mpq_t target, const struct ballast_claim *c,
				   const struct exact_bounds *b, const mpq_t lambda)
{
	mpq_set_ui(exact.y, exact_shares(c), 1);
	mpq_mul(target, lambda, exact.y);
	if (mpq_cmp_ui(target, c->active_pages, 1) > 0) {
		mpq_set_ui(exact.y, c->active_pages, 1);
		mpq_sub(target, target, exact.y);
		mpq_set_ui(exact.x, BALLAST_BP - exact_tax(c), BALLAST_BP);
		mpq_canonicalize(exact.x);
		mpq_mul(target, target, exact.x);
		mpq_add(target, target, exact.y);
	}
	exact_clamp(target, b->lower, b->upper);
}

/* exact.sum and all targets at @lambda. */
static inline void exact_sum_at(const struct ballast_claim *claims, size_t count,
				const mpq_t lambda)
{
	size_t i;

	mpq_set_ui(exact.sum, 0, 1);
	for (i = 0; i < count; i++) {
		exact_target_at(exact.target[i], &claims[i], &exact.bounds[i], lambda);
		mpq_add(exact.sum, exact.sum, exact.target[i]);
	}
}

static inline int exact_compare(const void *a, const void *b)
{
	return mpq_cmp(**(mpq_t *const *)a, **(mpq_t *const *)b);
}

static inline void exact_sort_points(const struct ballast_claim *claims, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		mpq_t *point = &exact.point[3 * i];

		exact_point(point[0], &claims[i], exact.bounds[i].lower);
		exact_point(point[1], &claims[i], claims[i].active_pages);
		exact_point(point[2], &claims[i], exact.bounds[i].upper);
	}
	for (i = 0; i < 3 * count; i++)
		exact.sorted[i] = &exact.point[i];
	qsort(exact.sorted, 3 * count, sizeof(*exact.sorted), exact_compare);
}

/* The last point with a sum of at most @wanted; there is one with more. */
static inline size_t exact_search(const struct ballast_claim *claims, size_t count,
				  u64 wanted)
{
	size_t low = 0, high = 3 * count - 1;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		exact_sum_at(claims, count, *exact.sorted[middle]);
		if (mpq_cmp_ui(exact.sum, wanted, 1) <= 0)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* Between two neighbours all lines are straight. */
static inline void exact_interpolate(const struct ballast_claim *claims, size_t count,
				     size_t low, u64 wanted)
{
	mpq_t part, lambda;

	mpq_inits(part, lambda, NULL);
	exact_sum_at(claims, count, *exact.sorted[low]);
	mpq_set_ui(part, wanted, 1);
	mpq_sub(part, part, exact.sum);
	mpq_set(lambda, exact.sum);
	exact_sum_at(claims, count, *exact.sorted[low + 1]);
	mpq_sub(lambda, exact.sum, lambda);
	mpq_div(part, part, lambda);
	mpq_sub(lambda, *exact.sorted[low + 1], *exact.sorted[low]);
	mpq_mul(lambda, lambda, part);
	mpq_add(lambda, lambda, *exact.sorted[low]);
	exact_sum_at(claims, count, lambda);
	assert_int_equal(mpq_cmp_ui(exact.sum, wanted, 1), 0);
	mpq_clears(part, lambda, NULL);
}

/**
 * exact_divide() - what ballast_divide() should come to, but for whole pages
 *
 * Sets exact.target, exact.bounds and the sums of the bounds.
 */
static inline void exact_divide(const struct ballast_claim *claims, size_t count,
				u64 available)
{
	bool none, all;
	size_t i;

	exact_reserve(count);
	exact_set_bounds(claims, count, available);
	none = exact.sum_guaranteed >= available;
	all = exact.sum_upper <= available;
	for (i = 0; (none || all) && i < count; i++)
		mpq_set_ui(exact.target[i], none ? exact.bounds[i].guaranteed :
			   exact.bounds[i].upper, 1);
	if (none || all)
		return;
	exact_sort_points(claims, count);
	exact_interpolate(claims, count, exact_search(claims, count, available), available);
}

/*
 * Is @pages a way to round VM @i's target to whole pages?  @slack_e6 more, in
 * millionths of a page, is granted for the fixed point of the other side.
 */
static inline bool exact_rounds_to(size_t i, u64 pages, unsigned int slack_e6)
{
	mpq_set_ui(exact.x, pages, 1);
	mpq_sub(exact.x, exact.x, exact.target[i]);
	mpq_abs(exact.x, exact.x);
	return mpq_cmp_ui(exact.x, 1000000 + slack_e6, 1000000) <= 0;
}

#endif /* BALLAST_UNIT_EXACT_H */
