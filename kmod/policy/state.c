// SPDX-License-Identifier: GPL-2.0
/*
 * Free-memory states of a pool (ESX paper, section 6.2).
 *
 * DOC: A state has two thresholds: it is entered from above when free memory
 * falls below the lower one, and left when it is back at the upper one, which
 * is where the state before it is entered.  Between the two the state stays
 * what it was, so that a pool whose free memory trembles at a threshold does
 * not tremble with it.
 */
#include "bp.h"
#include "state.h"

/* ESXi's sliding minFree: so much of what lies between two sizes of a host. */
struct band {
	u32 until_gib;	/* 0: no end */
	u32 bp;
};

static const struct band bands[] = {
	{ 4, 600 }, { 12, 400 }, { 28, 200 }, { 0, 100 },
};

/* Of minFree. */
static const u32 sliding_bp[BALLAST_STATE_NR] = { 10000, 6400, 3200, 1600 };

static const char *const tokens[BALLAST_STATE_NR] = { "high", "soft", "hard", "low" };

static u64 at_most(u64 pages, u64 limit)
{
	return pages < limit ? pages : limit;
}

/**
 * ballast_thresholds_set() - thresholds as shares of a pool
 * @thresholds: result, in pages, rounded down
 * @pool_pages: all of the pool's memory
 * @bp: by state; a share above the one before it, or above BALLAST_BP, is cut
 *
 * ESX has 6, 4, 2 and 1 % (section 6.2).
 *
 * Context: any.
 */
void ballast_thresholds_set(struct ballast_thresholds *thresholds, u64 pool_pages,
			    const u32 bp[BALLAST_STATE_NR])
{
	u64 pages[BALLAST_STATE_NR], limit = pool_pages;
	unsigned int i;

	for (i = 0; i < BALLAST_STATE_NR; i++) {
		u32 share = bp[i] < BALLAST_BP ? bp[i] : BALLAST_BP;

		pages[i] = at_most(ballast_part_bp(pool_pages, share), limit);
		limit = pages[i];
	}
	*thresholds = (struct ballast_thresholds) {
		.high_pages = pages[BALLAST_STATE_HIGH],
		.soft_pages = pages[BALLAST_STATE_SOFT],
		.hard_pages = pages[BALLAST_STATE_HARD],
		.low_pages = pages[BALLAST_STATE_LOW],
	};
}

static u64 min_free_pages(u64 pool_pages, u64 pages_per_gib)
{
	u64 from = 0, sum = 0;
	unsigned int i;

	for (i = 0; i < sizeof(bands) / sizeof(bands[0]) && from < pool_pages; i++) {
		u64 until = bands[i].until_gib ?
			at_most(bands[i].until_gib * pages_per_gib, pool_pages) : pool_pages;

		sum += ballast_part_bp(until - from, bands[i].bp);
		from = until;
	}
	return sum;
}

/**
 * ballast_thresholds_sliding() - thresholds that grow slower than the pool
 * @thresholds: result, in pages, rounded down
 * @pool_pages: all of the pool's memory
 * @page_bytes: size of a page, at most 1 GiB and not 0
 *
 * One percent of a terabyte is much to leave unused.  ESXi keeps 6 % of the
 * first 4 GiB free, 4 % of the next 8, 2 % of the next 16 and 1 % of the rest
 * (minFree); the states are at 100, 64, 32 and 16 % of that.
 *
 * Context: any.
 */
void ballast_thresholds_sliding(struct ballast_thresholds *thresholds,
				u64 pool_pages, u32 page_bytes)
{
	ballast_thresholds_set(thresholds,
			       min_free_pages(pool_pages, (1ULL << 30) / page_bytes),
			       sliding_bp);
}

/* The mildest state that so little free memory allows. */
static enum ballast_state mildest(u64 free_pages, const struct ballast_thresholds *t)
{
	if (free_pages < t->low_pages)
		return BALLAST_STATE_LOW;
	if (free_pages < t->hard_pages)
		return BALLAST_STATE_HARD;
	if (free_pages < t->soft_pages)
		return BALLAST_STATE_SOFT;
	return BALLAST_STATE_HIGH;
}

/* The gravest state that can last with so much free memory. */
static enum ballast_state gravest(u64 free_pages, const struct ballast_thresholds *t)
{
	if (free_pages >= t->high_pages)
		return BALLAST_STATE_HIGH;
	if (free_pages >= t->soft_pages)
		return BALLAST_STATE_SOFT;
	if (free_pages >= t->hard_pages)
		return BALLAST_STATE_HARD;
	return BALLAST_STATE_LOW;
}

/**
 * ballast_state_next() - the state after a look at free memory
 * @state: until now; BALLAST_STATE_HIGH for a new pool
 * @free_pages: of the pool
 * @thresholds: of the pool
 *
 * Any number of states may be passed at once, either way.
 *
 * Context: any.
 */
enum ballast_state ballast_state_next(enum ballast_state state, u64 free_pages,
				      const struct ballast_thresholds *thresholds)
{
	enum ballast_state mild = mildest(free_pages, thresholds);
	enum ballast_state grave = gravest(free_pages, thresholds);

	if (state < mild)
		return mild;
	return state > grave ? grave : state;
}

/**
 * ballast_state_token() - the state's name in sysfs
 * @state: which
 *
 * Context: any.
 * Return: one word; "?" if it is none.
 */
const char *ballast_state_token(enum ballast_state state)
{
	return (unsigned int)state < BALLAST_STATE_NR ? tokens[state] : "?";
}
