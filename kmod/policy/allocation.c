// SPDX-License-Identifier: GPL-2.0
/*
 * Who gets how much of a pool (ESX paper, sections 5.1 and 5.2).
 *
 * DOC: A page in use costs a VM one, an idle page k = 1 / (1 - tax).  With A
 * pages active, T pages have the price
 *
 *	price(T) = T			if T <= A
 *		   T + (k - 1)(T - A)	else, which is k T - (k - 1) A
 *
 * and shares / price is the paper's adjusted ratio of shares to pages, rho.
 * Min-funding revocation takes from the VM with the least rho and gives to the
 * one with the greatest; where it comes to rest, all VMs that are not held by a
 * bound have one rho.  So that one is looked for: with lambda = 1 / rho
 *
 *	target = clamp(inverse price(shares * lambda), lower, upper)
 *
 * grows with lambda, and so does the sum.  The lambda at which the targets fill
 * the pool is bracketed and closed in on; nothing is sorted, nothing is taken
 * page by page.
 *
 * Targets are summed with FRACTION_BITS and end as whole pages: rounded down,
 * then a page each to those with the lowest ids among the VMs that the price
 * decided, until none is left.  A target is within a page of the exact solution,
 * and which VM it is does not depend on the order of the array.
 *
 * Pure arithmetic; the array is the only memory it needs.
 */
#include "allocation.h"

/* A target as it is summed: pages with a binary fraction.  2^36 * 2^20 < 2^64. */
#define FRACTION_BITS	20

/*
 * lambda: pages (of price) a share, with a binary fraction that is worth one
 * unit of a target's even to 2^32 shares.  No price exceeds 2^43 pages,
 * BALLAST_VM_PAGES_MAX at k = 100, so shares * lambda has at most 127 bits, and
 * a price in a target's units has 63.
 */
#define LAMBDA_BITS	52
#define PRICE_BITS	43
#define LAMBDA_END	((ballast_u128)1 << (PRICE_BITS + LAMBDA_BITS))

_Static_assert(BALLAST_VM_PAGES_MAX * (BALLAST_BP / (BALLAST_BP - BALLAST_TAX_BP_MAX)) <
	       1ULL << PRICE_BITS, "every price is below LAMBDA_END for one share");
_Static_assert(PRICE_BITS + FRACTION_BITS < 64, "a price in a target's units");
_Static_assert(PRICE_BITS + LAMBDA_BITS + 32 < 128, "shares * lambda");

#define MICRO		1000000u

static const char *const tokens[BALLAST_REASON_NR] = {
	[BALLAST_REASON_AT_MAX] = "at-max",
	[BALLAST_REASON_AT_MIN] = "at-min",
	[BALLAST_REASON_SHARES] = "shares",
	[BALLAST_REASON_TAX] = "tax",
	[BALLAST_REASON_PRESSURE] = "pressure",
	[BALLAST_REASON_BALLOON_LIMIT] = "balloon-limit",
	[BALLAST_REASON_NO_BALLOON] = "no-balloon",
	[BALLAST_REASON_PINNED] = "pinned",
	[BALLAST_REASON_FROZEN] = "frozen",
	[BALLAST_REASON_OBSERVE] = "observe",
};

/**
 * ballast_reason_token() - the reason's name in sysfs
 * @reason: which
 *
 * Context: any.
 * Return: one word; "?" if it is none.
 */
const char *ballast_reason_token(enum ballast_reason reason)
{
	return (unsigned int)reason < BALLAST_REASON_NR ? tokens[reason] : "?";
}

static u64 lesser(u64 a, u64 b)
{
	return a < b ? a : b;
}

static u64 greater(u64 a, u64 b)
{
	return a > b ? a : b;
}

static u64 size_of(const struct ballast_claim *claim)
{
	return lesser(claim->size_pages, BALLAST_VM_PAGES_MAX);
}

static u64 min_of(const struct ballast_claim *claim)
{
	return lesser(claim->min_pages, size_of(claim));
}

static u64 max_of(const struct ballast_claim *claim)
{
	return claim->max_pages ? lesser(claim->max_pages, size_of(claim)) : size_of(claim);
}

static u64 held_of(const struct ballast_claim *claim)
{
	return lesser(claim->held_pages, size_of(claim));
}

/* What it has whatever happens. */
static u64 guaranteed(const struct ballast_claim *claim)
{
	return greater(min_of(claim), held_of(claim));
}

static u64 ceiling(const struct ballast_claim *claim)
{
	return greater(max_of(claim), guaranteed(claim));
}

/* What it should have before others get more than that. */
static u64 needed(const struct ballast_claim *claim)
{
	return lesser(greater(claim->floor_pages, guaranteed(claim)), ceiling(claim));
}

static u32 tax_of(const struct ballast_claim *claim)
{
	return (u32)lesser(claim->tax_bp, BALLAST_TAX_BP_MAX);
}

/**
 * ballast_price_pages() - what an allocation costs, in pages in use
 * @pages: allocated, at most BALLAST_VM_PAGES_MAX
 * @active_pages: how many of them are in use; more than @pages is all
 * @tax_bp: idle memory tax, at most BALLAST_TAX_BP_MAX
 *
 * The paper's P * (f + k * (1 - f)) with f = active / P (section 5.2).
 * Arguments above their limits count as the limit.
 *
 * Context: any.
 * Return: the price, rounded down.
 */
u64 ballast_price_pages(u64 pages, u64 active_pages, u32 tax_bp)
{
	u64 tax = lesser(tax_bp, BALLAST_TAX_BP_MAX);

	pages = lesser(pages, BALLAST_VM_PAGES_MAX);
	if (pages <= active_pages)
		return pages;
	/* k - 1 = tax / (1 - tax) */
	return pages + (pages - active_pages) * tax / (BALLAST_BP - tax);
}

/*
 * What @lambda buys, in a target's units: the price turned round.  Without
 * shares it counts as one share: that matters only among floors that do not all
 * fit, for its bounds are one otherwise.
 */
static u64 affordable(const struct ballast_claim *claim, ballast_u128 lambda)
{
	u32 shares = claim->shares ? claim->shares : 1;
	ballast_u128 price = shares * lambda >> (LAMBDA_BITS - FRACTION_BITS);
	u64 active = lesser(claim->active_pages, BALLAST_VM_PAGES_MAX) << FRACTION_BITS;

	if (price >> (PRICE_BITS + FRACTION_BITS))
		return (u64)-1;
	if (price <= active)
		return (u64)price;
	return active + ballast_part_bp((u64)price - active, BALLAST_BP - tax_of(claim));
}

static u64 bounded(const struct ballast_claim *claim, ballast_u128 lambda)
{
	return lesser(greater(affordable(claim, lambda), claim->lower_pages << FRACTION_BITS),
		      claim->upper_pages << FRACTION_BITS);
}

/* A VM has up to 57 bits, so the sum of many is longer than a word. */
static ballast_u128 total(const struct ballast_claim *claims, size_t count,
			  ballast_u128 lambda)
{
	ballast_u128 sum = 0;
	size_t i;

	for (i = 0; i < count; i++)
		sum += bounded(&claims[i], lambda);
	return sum;
}

/**
 * struct bracket - where lambda must be
 * @wanted: the sum that is looked for
 * @slack: a sum that is less by up to this will do; half of it is aimed at
 * @low: at it the sum of targets is at most @wanted
 * @high: at it the sum is more
 * @missing: from the sum at @low to @wanted
 * @below: the weight of @low in the next guess: how far it is off, or less
 * @above: the weight of @high
 * @went_up: the last to move was @low
 * @went_down: the last to move was @high
 */
struct bracket {
	ballast_u128 wanted;
	ballast_u128 slack;
	ballast_u128 low;
	ballast_u128 high;
	ballast_u128 missing;
	ballast_u128 below;
	ballast_u128 above;
	bool went_up;
	bool went_down;
};

static unsigned int bits_of(ballast_u128 value)
{
	u64 high = (u64)(value >> 64), low = (u64)value;

	if (high)
		return 128 - (unsigned int)__builtin_clzll(high);
	return low ? 64 - (unsigned int)__builtin_clzll(low) : 0;
}

/* Where a straight line between the ends of the bracket meets what is wanted. */
static ballast_u128 on_the_line(const struct bracket *b)
{
	ballast_u128 whole = b->below + b->above;
	unsigned int bits = bits_of(whole), drop = bits > 32 ? bits - 32 : 0;
	u64 ratio = ((u64)(b->below >> drop) << 32) / (u64)((whole >> drop) + 1);

	return b->low + ((b->high - b->low) * ratio >> 32);
}

/*
 * The next lambda to try, within the bracket.  The sum is made of straight
 * pieces, so a straight line is a good guess; each eighth is the middle, for
 * sums that mislead it.  While the ends are powers of two apart, the middle is
 * between the powers.
 */
static ballast_u128 guess(const struct bracket *b, unsigned int step)
{
	unsigned int low = bits_of(b->low), high = bits_of(b->high);
	ballast_u128 lambda;

	if (high > low + 1)
		lambda = (ballast_u128)1 << (low + high) / 2;
	else if (step % 8 == 7)
		lambda = b->low + (b->high - b->low) / 2;
	else
		lambda = on_the_line(b);
	if (lambda <= b->low)
		return b->low + 1;
	return lambda < b->high ? lambda : b->high - 1;
}

/*
 * Move one end of the bracket to @lambda.  The other one loses half its weight
 * if it stays for the second time, or it would stay for ever (Illinois method).
 */
static void narrow(struct bracket *b, ballast_u128 lambda, ballast_u128 sum)
{
	bool up = sum <= b->wanted;

	if (up) {
		b->low = lambda;
		b->missing = b->wanted - sum;
		b->below = b->missing - b->slack / 2;
		b->above >>= b->went_up;
	} else {
		b->high = lambda;
		b->above = sum - b->wanted + b->slack / 2;
		b->below >>= b->went_down;
	}
	b->went_up = up;
	b->went_down = !up;
}

/*
 * The lambda at which the targets fill the pool, from below: @wanted_pages is
 * more than the sum of the lower bounds and less than that of the upper ones.
 *
 * Each target is rounded down to a unit, so a sum that lacks a unit a VM is as
 * good as exact; with the last bit of lambda it lacks no more than twice that.
 * For BALLAST_VMS_MAX this is an eighth of a page in all.
 */
static ballast_u128 common_lambda(const struct ballast_claim *claims, size_t count,
				  u64 wanted_pages)
{
	struct bracket b = {
		.wanted = (ballast_u128)wanted_pages << FRACTION_BITS,
		.slack = count,
	};
	unsigned int step;

	narrow(&b, 0, total(claims, count, 0));
	narrow(&b, LAMBDA_END, total(claims, count, LAMBDA_END));
	for (step = 0; b.missing > b.slack && b.high - b.low > 1; step++) {
		ballast_u128 lambda = guess(&b, step);

		narrow(&b, lambda, total(claims, count, lambda));
	}
	return b.low;
}

/* Why a bound is not below @pages. */
static enum ballast_reason bound_reason(const struct ballast_claim *claim, u64 pages)
{
	if (pages > guaranteed(claim))
		return BALLAST_REASON_PRESSURE;
	return held_of(claim) > min_of(claim) ? claim->held_reason : BALLAST_REASON_AT_MIN;
}

/*
 * Whole pages at @lambda, and what decided them.  SHARES is the price; whether it
 * is TAX is seen when the last pages are given.
 */
static void settle(struct ballast_claim *claim, ballast_u128 lambda)
{
	u64 units = affordable(claim, lambda);

	if (units <= claim->lower_pages << FRACTION_BITS) {
		claim->target_pages = claim->lower_pages;
		claim->reason = bound_reason(claim, claim->lower_pages);
	} else if (units < claim->upper_pages << FRACTION_BITS) {
		claim->target_pages = units >> FRACTION_BITS;
		claim->reason = BALLAST_REASON_SHARES;
	} else {
		claim->target_pages = claim->upper_pages;
		claim->reason = claim->upper_pages == max_of(claim) ?
			BALLAST_REASON_AT_MAX : bound_reason(claim, claim->upper_pages);
	}
}

static u64 settle_all(struct ballast_claim *claims, size_t count, ballast_u128 lambda)
{
	u64 sum = 0;
	size_t i;

	for (i = 0; i < count; i++) {
		settle(&claims[i], lambda);
		sum += claims[i].target_pages;
	}
	return sum;
}

static bool takes_a_page(const struct ballast_claim *claim, u64 last_id)
{
	return claim->reason == BALLAST_REASON_SHARES && claim->id <= last_id &&
	       claim->target_pages < claim->upper_pages;
}

static size_t takers(const struct ballast_claim *claims, size_t count, u64 last_id)
{
	size_t i, n = 0;

	for (i = 0; i < count; i++)
		n += takes_a_page(&claims[i], last_id);
	return n;
}

static u64 greatest_id(const struct ballast_claim *claims, size_t count)
{
	u64 id = 0;
	size_t i;

	for (i = 0; i < count; i++)
		id = greater(id, claims[i].id);
	return id;
}

/*
 * A page each to the @pages lowest ids: their highest is found by bisection.
 * There are as many takers as pages: rounding down took less than a page of
 * each, and the sum lacked less than one in all.
 */
static u64 give_the_rest(struct ballast_claim *claims, size_t count, u64 pages)
{
	u64 low = 0, high = greatest_id(claims, count), given = 0;
	size_t i;

	while (low < high) {
		u64 middle = low + (high - low) / 2;

		if (takers(claims, count, middle) < pages)
			low = middle + 1;
		else
			high = middle;
	}
	for (i = 0; i < count && given < pages; i++) {
		if (!takes_a_page(&claims[i], low))
			continue;
		claims[i].target_pages++;
		given++;
	}
	return given;
}

static void explain(struct ballast_claim *claim)
{
	u64 price = ballast_price_pages(claim->target_pages, claim->active_pages,
					claim->tax_bp);

	if (claim->reason == BALLAST_REASON_SHARES && claim->tax_bp &&
	    claim->target_pages > claim->active_pages)
		claim->reason = BALLAST_REASON_TAX;
	if (!claim->shares)
		claim->rho_micro = 0;
	else if (!price)
		claim->rho_micro = (u64)-1;
	else
		claim->rho_micro = (u64)claim->shares * MICRO / price;
}

/**
 * struct sums - what the VMs of a pool have or want together, in pages
 * @guaranteed: by min or because it is held
 * @needed: with the floors
 * @upper: what they could take with the bounds that were chosen
 */
struct sums {
	u64 guaranteed;
	u64 needed;
	u64 upper;
};

/*
 * The bounds between which the price decides.  Floors that all fit raise the
 * lower ones; those that do not are all that is divided.
 */
static struct sums set_bounds(struct ballast_claim *claims, size_t count,
			      u64 available_pages)
{
	struct sums sums = { 0 };
	size_t i;

	for (i = 0; i < count; i++) {
		sums.guaranteed += guaranteed(&claims[i]);
		sums.needed += needed(&claims[i]);
	}
	for (i = 0; i < count; i++) {
		struct ballast_claim *claim = &claims[i];

		if (sums.needed > available_pages) {
			claim->lower_pages = guaranteed(claim);
			claim->upper_pages = needed(claim);
		} else {
			claim->lower_pages = needed(claim);
			claim->upper_pages = claim->shares ? ceiling(claim) : needed(claim);
		}
		sums.upper += claim->upper_pages;
	}
	return sums;
}

/**
 * ballast_divide() - divide a pool among its VMs
 * @claims: the VMs; results are written to them, their order stays
 * @count: how many, at most BALLAST_VMS_MAX
 * @available_pages: what there is to divide
 * @division: result, for the pool
 *
 * In this order:
 *
 * 1. Each VM has its min, and what cannot be taken from it, even if the pool is
 *    too small for that.
 * 2. Floors.  If not all fit, VMs without one get nothing more, and the price
 *    decides how much of the floors is met.
 * 3. The price decides on the rest, up to each VM's max.
 *
 * Memory is left over only if every VM with shares has its upper bound.
 * Targets are whole pages and within one of the exact solution; the result
 * does not depend on the order of @claims.
 *
 * ESX paper, sections 5.1 (min-funding revocation) and 5.2 (idle memory tax).
 *
 * Context: the caller has @claims to itself.  Takes some 20 passes over
 * them, and one for each bit of the greatest id.
 */
void ballast_divide(struct ballast_claim *claims, size_t count,
		    u64 available_pages, struct ballast_division *division)
{
	struct sums sums = set_bounds(claims, count, available_pages);
	u64 granted;
	size_t i;

	if (sums.guaranteed >= available_pages) {
		granted = settle_all(claims, count, 0);
	} else if (sums.upper <= available_pages) {
		granted = settle_all(claims, count, LAMBDA_END);
	} else {
		granted = settle_all(claims, count,
				     common_lambda(claims, count, available_pages));
		granted += give_the_rest(claims, count, available_pages - granted);
	}
	for (i = 0; i < count; i++)
		explain(&claims[i]);
	division->granted_pages = granted;
	division->short_pages = granted > available_pages ? granted - available_pages : 0;
}
