// SPDX-License-Identifier: GPL-2.0
/*
 * The division of a pool, against the paper, against its promises and against
 * an exact solution.
 * sources: policy/allocation.c
 * libraries: gmp
 *
 * DOC: exact.h solves the same question in rational numbers by another way.
 * Random pools are made to be awkward: sizes and shares of all magnitudes, bounds
 * that contradict each other, pools that are just as large as the bounds.
 */
#include "exact.h"

#define MIB_PAGES	256ULL
#define TIB_PAGES	(1ULL << 28)
#define MOST_VMS	24

struct pool {
	struct ballast_claim claims[MOST_VMS];
	size_t count;
	u64 available;
	struct ballast_division division;
};

static void divide(struct pool *p)
{
	ballast_divide(p->claims, p->count, p->available, &p->division);
}

static u64 least(u64 a, u64 b) { return a < b ? a : b; }

/* ---- random pools ---- */

/* Of any magnitude up to @bits bits, small ones as often as large ones. */
static u64 any_size(u64 *seed, unsigned int bits)
{
	return unit_random(seed) >> (64 - 1 - unit_random_below(seed, bits));
}

/* Nothing, everything, something, too much. */
static u64 some_of(u64 *seed, u64 whole)
{
	switch (unit_random_below(seed, 6)) {
	case 0:
		return 0;
	case 1:
		return whole;
	case 2:
		return whole + any_size(seed, 40);
	default:
		return unit_random_below(seed, whole + 1);
	}
}

static u64 rarely(u64 *seed, u64 value)
{
	return unit_random_below(seed, 3) ? 0 : value;
}

static u32 some_shares(u64 *seed)
{
	static const u32 often[] = { 0, 1, 1000, 2000, 1000000000, (u32)-1 };

	if (unit_random_below(seed, 2))
		return often[unit_random_below(seed, ARRAY_SIZE(often))];
	return (u32)any_size(seed, 32);
}

static u32 some_tax(u64 *seed)
{
	static const u32 often[] = { 0, 7500, 9900, 20000 };

	if (unit_random_below(seed, 2))
		return often[unit_random_below(seed, ARRAY_SIZE(often))];
	return (u32)unit_random_below(seed, 10000);
}

static void random_claim(u64 *seed, struct ballast_claim *c, unsigned int bits)
{
	*c = (struct ballast_claim) {
		.id = unit_random(seed),
		.size_pages = any_size(seed, bits),
		.shares = some_shares(seed),
		.tax_bp = some_tax(seed),
		.held_reason = BALLAST_REASON_BALLOON_LIMIT +
			(u32)unit_random_below(seed, 4),
	};
	c->active_pages = some_of(seed, c->size_pages);
	c->min_pages = rarely(seed, some_of(seed, c->size_pages));
	c->max_pages = rarely(seed, some_of(seed, c->size_pages));
	c->floor_pages = rarely(seed, some_of(seed, c->size_pages));
	c->held_pages = rarely(seed, some_of(seed, c->size_pages));
}

/* Some pools are as large as the sum of a bound, or a page off. */
static u64 random_available(u64 *seed, const struct pool *p)
{
	u64 sizes = 0, guaranteed = 0, needed = 0;
	size_t i;

	for (i = 0; i < p->count; i++) {
		sizes += p->claims[i].size_pages;
		guaranteed += exact.bounds[i].guaranteed;
		needed += exact.bounds[i].needed;
	}
	switch (unit_random_below(seed, 8)) {
	case 0:
		return guaranteed + unit_random_below(seed, 3);
	case 1:
		return needed + 1 - least(needed, unit_random_below(seed, 3));
	case 2:
		return sizes + unit_random_below(seed, 3);
	case 3:
		return unit_random_below(seed, sizes / 8 + 1);
	default:
		return unit_random_below(seed, sizes + 1);
	}
}

static void random_pool(u64 *seed, struct pool *p, size_t most)
{
	unsigned int bits = 1 + (unsigned int)unit_random_below(seed, 36);
	size_t i;

	p->count = 1 + unit_random_below(seed, most);
	for (i = 0; i < p->count; i++) {
		random_claim(seed, &p->claims[i], bits);
		/* twins find what is unfair among equals */
		if (i && !unit_random_below(seed, 4)) {
			p->claims[i] = p->claims[i - 1];
			p->claims[i].id = unit_random(seed);
		}
	}
	exact_reserve(most);
	exact_set_bounds(p->claims, p->count, 0);
	p->available = random_available(seed, p);
}

/* ---- what holds for every division ---- */

static void assert_within_bounds(const struct ballast_claim *c,
				 const struct exact_bounds *b)
{
	assert_true(c->target_pages >= b->guaranteed);
	assert_true(c->target_pages <= b->ceiling);
	assert_int_equal(c->lower_pages, b->lower);
	assert_int_equal(c->upper_pages, b->upper);
	assert_true(c->target_pages >= b->lower && c->target_pages <= b->upper);
}

static void assert_reason(const struct ballast_claim *c, const struct exact_bounds *b)
{
	u64 idle = c->target_pages > c->active_pages;

	switch (c->reason) {
	case BALLAST_REASON_SHARES:
		assert_true(c->target_pages >= b->lower && (!idle || !c->tax_bp));
		break;
	case BALLAST_REASON_TAX:
		assert_true(idle && c->tax_bp);
		break;
	case BALLAST_REASON_AT_MAX:
		assert_int_equal(c->target_pages, c->max_pages ?
				 least(c->max_pages, c->size_pages) : c->size_pages);
		break;
	case BALLAST_REASON_AT_MIN:
		assert_int_equal(c->target_pages, least(c->min_pages, c->size_pages));
		break;
	case BALLAST_REASON_PRESSURE:
		assert_int_equal(c->target_pages, b->needed);
		assert_true(b->needed > b->guaranteed);
		break;
	default:
		assert_int_equal(c->reason, c->held_reason);
		assert_int_equal(c->target_pages, least(c->held_pages, c->size_pages));
		assert_true(c->held_pages > c->min_pages);
	}
}

/* Nothing ungiven, nothing given twice; what is short is said. */
static void assert_conserved(const struct pool *p)
{
	u64 sum = 0, due = least(p->available, exact.sum_upper);
	size_t i;

	for (i = 0; i < p->count; i++)
		sum += p->claims[i].target_pages;
	assert_int_equal(p->division.granted_pages, sum);
	if (exact.sum_guaranteed > p->available) {
		assert_int_equal(sum, exact.sum_guaranteed);
		assert_int_equal(p->division.short_pages, sum - p->available);
	} else {
		assert_int_equal(sum, due);
		assert_int_equal(p->division.short_pages, 0);
	}
}

static void assert_divided_well(const struct pool *p)
{
	size_t i;

	exact_divide(p->claims, p->count, p->available);
	for (i = 0; i < p->count; i++) {
		assert_within_bounds(&p->claims[i], &exact.bounds[i]);
		assert_reason(&p->claims[i], &exact.bounds[i]);
		assert_true(exact_rounds_to(i, p->claims[i].target_pages,
					    3 * (unsigned int)p->count));
	}
	assert_conserved(p);
}

static void many_random_pools(size_t most, unsigned int rounds, u64 seed)
{
	unsigned int n, shortages = 0, reasons[BALLAST_REASON_NR] = { 0 };
	static struct pool p;
	size_t i;

	unit_note("%u pools of up to %zu VMs, seed %llu", rounds, most,
		  (unsigned long long)seed);
	for (n = 0; n < rounds; n++) {
		random_pool(&seed, &p, most);
		divide(&p);
		assert_divided_well(&p);
		shortages += p.division.short_pages > 0;
		for (i = 0; i < p.count; i++)
			reasons[p.claims[i].reason]++;
	}
	/* the pools were worth it: every way out was taken, often */
	assert_true(shortages > rounds / 200);
	for (i = BALLAST_REASON_AT_MAX; i < BALLAST_REASON_OBSERVE; i++)
		assert_true(reasons[i] > rounds / 200);
	exact_free();
}

static void agrees_with_the_exact_solution_few(void **state)
{
	(void)state;
	many_random_pools(3, 70000, 1);
}

static void agrees_with_the_exact_solution_many(void **state)
{
	(void)state;
	many_random_pools(MOST_VMS, 30000, 2);
}

/* ---- the paper ---- */

/* Section 5.4: two VMs of 256 MB, one idle, one active, and 358 MB for both. */
static struct pool papers_pool(u32 tax_bp)
{
	return (struct pool) {
		.claims = {
			{ .id = 1, .size_pages = 256 * MIB_PAGES, .shares = 1000,
			  .tax_bp = tax_bp },
			{ .id = 2, .size_pages = 256 * MIB_PAGES, .shares = 1000,
			  .tax_bp = tax_bp, .active_pages = 256 * MIB_PAGES },
		},
		.count = 2,
		.available = 358 * MIB_PAGES,
	};
}

static void paper_without_tax(void **state)
{
	struct pool p = papers_pool(0);

	(void)state;
	divide(&p);
	assert_int_equal(p.claims[0].target_pages, 179 * MIB_PAGES);
	assert_int_equal(p.claims[1].target_pages, 179 * MIB_PAGES);
	assert_int_equal(p.claims[0].reason, BALLAST_REASON_SHARES);
	assert_int_equal(p.claims[1].reason, BALLAST_REASON_SHARES);
}

static void paper_with_tax(void **state)
{
	struct pool p = papers_pool(7500);

	(void)state;
	divide(&p);
	/* 4 T = 256 + what is left over: the active one has all it can have */
	assert_int_equal(p.claims[0].target_pages, 102 * MIB_PAGES);
	assert_int_equal(p.claims[1].target_pages, 256 * MIB_PAGES);
	assert_int_equal(p.claims[0].reason, BALLAST_REASON_TAX);
	assert_int_equal(p.claims[1].reason, BALLAST_REASON_AT_MAX);

	/* less memory: both at one price, an idle page at four times a used one */
	p.available = 250 * MIB_PAGES;
	divide(&p);
	assert_int_equal(p.claims[0].target_pages, 50 * MIB_PAGES);
	assert_int_equal(p.claims[1].target_pages, 200 * MIB_PAGES);
	assert_int_equal(p.claims[0].rho_micro, p.claims[1].rho_micro);
}

/* Without tax and bounds memory is divided as the shares are (section 5.1). */
static void shares_divide_in_proportion(void **state)
{
	struct pool p = {
		.claims = {
			{ .id = 1, .size_pages = TIB_PAGES, .shares = 3 },
			{ .id = 2, .size_pages = TIB_PAGES, .shares = 2 },
			{ .id = 3, .size_pages = TIB_PAGES, .shares = 1 },
		},
		.count = 3,
		.available = 6000,
	};

	(void)state;
	divide(&p);
	assert_int_equal(p.claims[0].target_pages, 3000);
	assert_int_equal(p.claims[1].target_pages, 2000);
	assert_int_equal(p.claims[2].target_pages, 1000);
	assert_int_equal(p.claims[0].rho_micro, 1000);
}

static void price_is_the_papers(void **state)
{
	const u32 tax[] = { 0, 1, 5000, 7500, 9900 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(tax); i++) {
		const u64 pages = 1000000, active = 250000;
		double f = (double)active / pages, k = 1 / (1 - tax[i] / 10000.);
		double price = pages * (f + k * (1 - f));

		/* the product of doubles may be just below the whole number */
		assert_in_range(ballast_price_pages(pages, active, tax[i]),
				(u64)(price - 1e-3), (u64)(price + 1e-3));
	}
	assert_int_equal(ballast_price_pages(100, 100, 7500), 100);
	assert_int_equal(ballast_price_pages(100, (u64)-1, 7500), 100);
	assert_int_equal(ballast_price_pages(101, 100, 7500), 104);
	/* beyond the limits is at the limit: k = 100 */
	assert_int_equal(ballast_price_pages(1, 0, (u32)-1), 100);
	assert_int_equal(ballast_price_pages((u64)-1, 0, 9900), BALLAST_VM_PAGES_MAX * 100);
}

/* ---- monotony, order ---- */

static const struct ballast_claim *claim_of(const struct pool *p, u64 id)
{
	size_t i;

	for (i = 0; i < p->count; i++)
		if (p->claims[i].id == id)
			return &p->claims[i];
	fail_msg("no claim %llu", (unsigned long long)id);
	return NULL;
}

/* @id gains, all others lose; a page either way is rounding. */
static void assert_gains(const struct pool *before, const struct pool *after, u64 id)
{
	size_t i;

	for (i = 0; i < before->count; i++) {
		const struct ballast_claim *a = &before->claims[i];
		const struct ballast_claim *b = claim_of(after, a->id);

		if (a->id == id)
			assert_true(b->target_pages + 1 >= a->target_pages);
		else
			assert_true(b->target_pages <= a->target_pages + 1);
	}
}

/* @raise one VM's claim: it has no less for it; more than @least_moved have more. */
static void assert_more_is_more(void (*raise)(u64 *seed, struct ballast_claim *c),
				u64 seed, unsigned int least_moved)
{
	unsigned int n, moved = 0;
	static struct pool p, q;

	for (n = 0; n < 40000; n++) {
		struct ballast_claim *c;

		random_pool(&seed, &p, MOST_VMS);
		q = p;
		c = &q.claims[unit_random_below(&seed, q.count)];
		raise(&seed, c);
		divide(&p);
		divide(&q);
		assert_gains(&p, &q, c->id);
		moved += c->target_pages > claim_of(&p, c->id)->target_pages;
	}
	unit_note("%u of %u gained", moved, n);
	assert_true(moved > least_moved);
	exact_free();
}

static void raise_shares(u64 *seed, struct ballast_claim *c)
{
	c->shares += (u32)unit_random_below(seed, (u64)(u32)-1 - c->shares + 1);
}

static void raise_activity(u64 *seed, struct ballast_claim *c)
{
	c->active_pages += unit_random_below(seed, c->size_pages + 1);
}

static void more_shares_are_never_less_memory(void **state)
{
	(void)state;
	assert_more_is_more(raise_shares, 3, 2000);
}

/* Counts only for those that the tax reaches: fewer. */
static void more_activity_is_never_less_memory(void **state)
{
	(void)state;
	assert_more_is_more(raise_activity, 4, 400);
}

static void more_memory_is_less_for_nobody(void **state)
{
	static struct pool p, q;
	unsigned int n;
	u64 seed = 5;
	size_t i;

	(void)state;
	for (n = 0; n < 40000; n++) {
		random_pool(&seed, &p, MOST_VMS);
		q = p;
		q.available += any_size(&seed, 36);
		divide(&p);
		divide(&q);
		for (i = 0; i < p.count; i++)
			assert_true(q.claims[i].target_pages + 1 >=
				    p.claims[i].target_pages);
	}
	exact_free();
}

static void shuffle(u64 *seed, struct pool *p)
{
	size_t i;

	for (i = p->count; i > 1; i--) {
		size_t k = unit_random_below(seed, i);
		struct ballast_claim swap = p->claims[i - 1];

		p->claims[i - 1] = p->claims[k];
		p->claims[k] = swap;
	}
}

static void order_does_not_matter(void **state)
{
	static struct pool p, q;
	unsigned int n;
	u64 seed = 6;
	size_t i;

	(void)state;
	for (n = 0; n < 40000; n++) {
		random_pool(&seed, &p, MOST_VMS);
		q = p;
		shuffle(&seed, &q);
		divide(&p);
		divide(&q);
		assert_memory_equal(&p.division, &q.division, sizeof(p.division));
		for (i = 0; i < p.count; i++) {
			const struct ballast_claim *c = claim_of(&q, p.claims[i].id);

			assert_int_equal(c->target_pages, p.claims[i].target_pages);
			assert_int_equal(c->reason, p.claims[i].reason);
			assert_int_equal(c->rho_micro, p.claims[i].rho_micro);
		}
	}
	exact_free();
}

static void order_of_the_array_stays(void **state)
{
	static struct pool p, q;
	u64 seed = 7;
	size_t i;

	(void)state;
	random_pool(&seed, &p, MOST_VMS);
	q = p;
	divide(&p);
	for (i = 0; i < p.count; i++)
		assert_int_equal(p.claims[i].id, q.claims[i].id);
	exact_free();
}

/* The last pages go to the lowest ids, whatever they look like. */
static void remainder_by_id(void **state)
{
	const u64 ids[] = { 7, 0, (u64)-1, 1ULL << 40, 3 };
	const u64 order[] = { 0, 3, 7, 1ULL << 40, (u64)-1 };
	struct pool p = { .count = ARRAY_SIZE(ids) };
	u64 rest;
	size_t i;

	(void)state;
	for (rest = 0; rest < ARRAY_SIZE(ids); rest++) {
		p.available = 500 + rest;
		for (i = 0; i < p.count; i++)
			p.claims[i] = (struct ballast_claim) {
				.id = ids[i], .size_pages = 1000, .shares = 10,
			};
		divide(&p);
		for (i = 0; i < p.count; i++)
			assert_int_equal(claim_of(&p, order[i])->target_pages,
					 100 + (i < rest));
	}
}

/* ---- fixed cases ---- */

#define AT_MAX	BALLAST_REASON_AT_MAX
#define AT_MIN	BALLAST_REASON_AT_MIN
#define SHARES	BALLAST_REASON_SHARES
#define TAX	BALLAST_REASON_TAX
#define PRESS	BALLAST_REASON_PRESSURE
#define PINNED	BALLAST_REASON_PINNED

struct fixed {
	const char *what;
	u64 available;
	u64 short_pages;
	struct {
		u64 size, min, max, floor, held, active;
		u32 shares, tax;
		u64 target;
		enum ballast_reason reason;
	} vm[4];	/* up to the first without size */
};

static const struct fixed corpus[] = {
	{ "room for all", 1000, 0, {
		{ 100, .shares = 1, .target = 100, .reason = AT_MAX },
		{ 200, .shares = 9, .max = 150, .target = 150, .reason = AT_MAX } } },
	{ "exactly room for all", 250, 0, {
		{ 100, .shares = 1, .target = 100, .reason = AT_MAX },
		{ 150, .shares = 9, .target = 150, .reason = AT_MAX } } },
	{ "a page too few", 249, 0, {
		{ 100, .shares = 1, .target = 99, .reason = SHARES },
		{ 150, .shares = 9, .target = 150, .reason = AT_MAX } } },
	{ "nothing to divide", 0, 0, {
		{ 100, .shares = 1, .target = 0, .reason = AT_MIN },
		{ 100, .shares = 9, .target = 0, .reason = AT_MIN } } },
	{ "mins exceed the pool", 100, 30, {
		{ 100, .min = 70, .shares = 1, .target = 70, .reason = AT_MIN },
		{ 100, .min = 60, .shares = 9, .target = 60, .reason = AT_MIN } } },
	{ "mins are the pool", 130, 0, {
		{ 100, .min = 70, .shares = 1, .target = 70, .reason = AT_MIN },
		{ 100, .min = 60, .shares = 9, .target = 60, .reason = AT_MIN } } },
	{ "min against a strong neighbour", 100, 0, {
		{ 100, .min = 30, .shares = 1, .target = 30, .reason = AT_MIN },
		{ 100, .shares = 99, .target = 70, .reason = SHARES } } },
	{ "max hands on to the neighbour", 100, 0, {
		{ 100, .max = 20, .shares = 99, .target = 20, .reason = AT_MAX },
		{ 100, .shares = 1, .target = 80, .reason = SHARES } } },
	{ "no shares, no more than min", 100, 0, {
		{ 100, .min = 10, .shares = 0, .target = 10, .reason = AT_MIN },
		{ 80, .shares = 1, .target = 80, .reason = AT_MAX } } },
	{ "no shares, but a floor", 100, 0, {
		{ 100, .min = 10, .floor = 25, .target = 25, .reason = PRESS },
		{ 80, .shares = 1, .target = 75, .reason = SHARES } } },
	{ "no shares, min is all", 100, 0, {
		{ 40, .min = 40, .target = 40, .reason = AT_MAX },
		{ 80, .shares = 1, .target = 60, .reason = SHARES } } },
	{ "held stands above max", 100, 0, {
		{ 100, .max = 20, .held = 50, .shares = 1, .target = 50, .reason = PINNED },
		{ 100, .shares = 1, .target = 50, .reason = SHARES } } },
	{ "held, and room for all", 500, 0, {
		{ 100, .max = 20, .held = 50, .shares = 1, .target = 50, .reason = PINNED },
		{ 100, .held = 60, .shares = 1, .target = 100, .reason = AT_MAX } } },
	{ "held below what the price gives", 100, 0, {
		{ 100, .held = 40, .shares = 1, .target = 50, .reason = SHARES },
		{ 100, .shares = 1, .target = 50, .reason = SHARES } } },
	{ "min above max", 100, 0, {
		{ 100, .min = 70, .max = 20, .shares = 1, .target = 70, .reason = AT_MIN },
		{ 100, .shares = 1, .target = 30, .reason = SHARES } } },
	{ "min and held above the size", 100, 0, {
		{ 30, .min = 70, .held = 80, .shares = 1, .target = 30, .reason = AT_MIN },
		{ 100, .shares = 99, .target = 70, .reason = SHARES } } },
	{ "a floor before any price", 100, 0, {
		{ 100, .floor = 60, .shares = 1, .target = 60, .reason = PRESS },
		{ 100, .shares = 99, .target = 40, .reason = SHARES } } },
	{ "a floor below the price's share", 100, 0, {
		{ 100, .floor = 40, .shares = 1, .target = 50, .reason = SHARES },
		{ 100, .shares = 1, .target = 50, .reason = SHARES } } },
	{ "a floor not above max", 100, 0, {
		{ 100, .floor = 60, .max = 10, .shares = 1, .target = 10, .reason = PRESS },
		{ 100, .shares = 99, .target = 90, .reason = SHARES } } },
	{ "floors that do not fit", 100, 0, {
		{ 100, .floor = 90, .shares = 1, .target = 40, .reason = SHARES },
		{ 100, .floor = 60, .shares = 2, .target = 60, .reason = PRESS },
		{ 100, .shares = 99, .target = 0, .reason = AT_MIN } } },
	{ "floors that do not fit, and a min", 100, 0, {
		{ 100, .floor = 90, .shares = 1, .target = 30, .reason = SHARES },
		{ 100, .floor = 90, .shares = 1, .target = 30, .reason = SHARES },
		{ 100, .min = 40, .shares = 9, .target = 40, .reason = AT_MIN } } },
	{ "floors that do not fit, one without shares", 100, 0, {
		{ 100, .floor = 90, .target = 10, .reason = SHARES },
		{ 100, .floor = 90, .shares = 100, .target = 90, .reason = PRESS } } },
	{ "tax in full: an idle page costs a hundred", 202, 0, {
		{ 1000, .shares = 1, .tax = 9900, .target = 2, .reason = TAX },
		{ 1000, .shares = 1, .tax = 9900, .active = 1000, .target = 200,
		  .reason = SHARES } } },
	{ "tax beyond its limit", 202, 0, {
		{ 1000, .shares = 1, .tax = 10000, .target = 2, .reason = TAX },
		{ 1000, .shares = 1, .tax = 99999, .active = 1000, .target = 200,
		  .reason = SHARES } } },
	{ "half idle", 200, 0, {
		{ 1000, .shares = 1, .tax = 7500, .active = 40, .target = 64, .reason = TAX },
		{ 1000, .shares = 1, .tax = 7500, .active = 1000, .target = 136,
		  .reason = SHARES } } },
	{ "more active than large", 100, 0, {
		{ 100, .shares = 1, .tax = 7500, .active = 999, .target = 80,
		  .reason = SHARES },
		{ 100, .shares = 1, .tax = 7500, .target = 20, .reason = TAX } } },
	{ "one page for two", 1, 0, {
		{ 10, .shares = 1, .target = 1, .reason = SHARES },
		{ 10, .shares = 1, .target = 0, .reason = SHARES } } },
	{ "a third and two thirds of a page: the id decides", 1, 0, {
		{ 1, .shares = 1, .target = 1, .reason = SHARES },
		{ 1, .shares = 2, .target = 0, .reason = SHARES } } },
	{ "shares at both ends", 1ULL << 30, 0, {
		{ 1ULL << 36, .shares = 1, .target = 1, .reason = SHARES },
		{ 1ULL << 36, .shares = (u32)-1, .target = (1ULL << 30) - 1,
		  .reason = SHARES } } },
	{ "larger than any machine", (u64)-1, 0, {
		{ (u64)-1, .shares = 1, .target = 1ULL << 36, .reason = AT_MAX },
		{ (u64)-1, .min = (u64)-1, .shares = 1, .held = (u64)-1,
		  .target = 1ULL << 36, .reason = AT_MAX } } },
};

static void load_fixed(struct pool *p, const struct fixed *f)
{
	p->available = f->available;
	for (p->count = 0; f->vm[p->count].size; p->count++) {
		size_t i = p->count;

		p->claims[i] = (struct ballast_claim) {
			.id = i, .size_pages = f->vm[i].size,
			.min_pages = f->vm[i].min, .max_pages = f->vm[i].max,
			.floor_pages = f->vm[i].floor, .held_pages = f->vm[i].held,
			.active_pages = f->vm[i].active, .shares = f->vm[i].shares,
			.tax_bp = f->vm[i].tax, .held_reason = PINNED,
		};
	}
}

static void fixed_cases(void **state)
{
	size_t n, i, wrong = 0;

	(void)state;
	for (n = 0; n < ARRAY_SIZE(corpus); n++) {
		const struct fixed *f = &corpus[n];
		struct pool p;

		load_fixed(&p, f);
		divide(&p);
		for (i = 0; i < p.count; i++) {
			if (p.claims[i].target_pages == f->vm[i].target &&
			    p.claims[i].reason == f->vm[i].reason &&
			    p.division.short_pages == f->short_pages)
				continue;
			unit_note("%s: VM %zu: %llu %s, short %llu", f->what, i,
				  (unsigned long long)p.claims[i].target_pages,
				  ballast_reason_token(p.claims[i].reason),
				  (unsigned long long)p.division.short_pages);
			wrong++;
		}
	}
	assert_int_equal(wrong, 0);
}

static void nobody_there(void **state)
{
	struct ballast_division division = { 1, 1 };

	(void)state;
	ballast_divide(NULL, 0, 1000, &division);
	assert_int_equal(division.granted_pages, 0);
	assert_int_equal(division.short_pages, 0);
}

static void tokens_are_words(void **state)
{
	enum ballast_reason a, b;

	(void)state;
	for (a = 0; a < BALLAST_REASON_NR; a++)
		for (b = 0; b < a; b++)
			assert_string_not_equal(ballast_reason_token(a),
						ballast_reason_token(b));
	assert_string_equal(ballast_reason_token(BALLAST_REASON_BALLOON_LIMIT),
			    "balloon-limit");
	assert_string_equal(ballast_reason_token(BALLAST_REASON_NR), "?");
}

/* ---- large pools ---- */

enum { LARGE = 10000 };

static struct ballast_claim large[LARGE];

/* 10,000 VMs of 24 TiB, equal but for who they are, must get the same. */
static void ten_thousand_equal_giants(void **state)
{
	const u64 size = 24 * TIB_PAGES, available = size * LARGE / 3 + 17;
	struct ballast_division division;
	size_t i;

	(void)state;
	for (i = 0; i < LARGE; i++)
		large[i] = (struct ballast_claim) {
			.id = i, .size_pages = size, .active_pages = size / 10,
			.shares = 1000000000, .tax_bp = BALLAST_TAX_BP_MAX,
		};
	ballast_divide(large, LARGE, available, &division);
	assert_int_equal(division.granted_pages, available);
	for (i = 0; i < LARGE; i++)
		assert_int_equal(large[i].target_pages, available / LARGE +
				 (i < available % LARGE));
}

static void large_random_pool(u64 *seed)
{
	size_t i;

	for (i = 0; i < LARGE; i++) {
		struct ballast_claim *c = &large[i];

		*c = (struct ballast_claim) {
			.id = unit_random(seed),
			.size_pages = 24 * TIB_PAGES,
			.shares = 1 + (u32)unit_random_below(seed, 1000000000),
			.tax_bp = (u32)unit_random_below(seed, 2) * 7500,
		};
		if (!unit_random_below(seed, 10))
			c->shares = 1;
		c->active_pages = unit_random_below(seed, c->size_pages);
		c->min_pages = rarely(seed, unit_random_below(seed, c->size_pages / 4));
		c->floor_pages = rarely(seed, unit_random_below(seed, c->size_pages / 4));
	}
}

/* Sums are beyond 2^45 pages, rounding errors of all VMs come together. */
static void ten_thousand_different_giants(void **state)
{
	struct ballast_division division;
	unsigned int n;
	u64 seed = 8;
	size_t i;

	(void)state;
	for (n = 1; n <= 3; n++) {
		u64 available = 24 * TIB_PAGES / 4 * n * LARGE + n;

		large_random_pool(&seed);
		ballast_divide(large, LARGE, available, &division);
		assert_int_equal(division.granted_pages, available);
		exact_divide(large, LARGE, available);
		for (i = 0; i < LARGE; i++) {
			assert_within_bounds(&large[i], &exact.bounds[i]);
			assert_true(exact_rounds_to(i, large[i].target_pages, 3 * LARGE));
		}
	}
	exact_free();
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(paper_without_tax),
	cmocka_unit_test(paper_with_tax),
	cmocka_unit_test(shares_divide_in_proportion),
	cmocka_unit_test(price_is_the_papers),
	cmocka_unit_test(fixed_cases),
	cmocka_unit_test(nobody_there),
	cmocka_unit_test(tokens_are_words),
	cmocka_unit_test(remainder_by_id),
	cmocka_unit_test(order_does_not_matter),
	cmocka_unit_test(order_of_the_array_stays),
	cmocka_unit_test(more_shares_are_never_less_memory),
	cmocka_unit_test(more_activity_is_never_less_memory),
	cmocka_unit_test(more_memory_is_less_for_nobody),
	cmocka_unit_test(agrees_with_the_exact_solution_few),
	cmocka_unit_test(agrees_with_the_exact_solution_many),
	cmocka_unit_test(ten_thousand_equal_giants),
	cmocka_unit_test(ten_thousand_different_giants),
};

unit_main(tests)
