// SPDX-License-Identifier: GPL-2.0
/*
 * From targets to balloons: what moves now, how far (ESX paper, sections 3.2
 * and 6.2).
 *
 * DOC: A VM at its target has a balloon of size - target, the balloon it is
 * wanted to have.  A balloon above that is memory owed to the VM; it is paid
 * from what the pool has free.  A balloon below it grows only while the pool is
 * short, that is, not in the state high once all that is owed is paid.  Both
 * go towards the wanted balloon and never past it, so that with unchanging
 * targets no balloon turns round.
 *
 * A guest that is short of memory itself (pressed) comes first: it is paid from
 * all that is free above the threshold of the state low, others from what is
 * free above that of soft and left by the pressed.  So in the states hard and
 * low only the pressed are paid.
 *
 * What a guest was given back and does not touch stays free, and is there to pay
 * the debts of others with.  Nobody is promised more than its target, and the
 * targets divide the free memory once; so what all may use is above what there
 * is by no more than what some VMs hold above their targets, because nobody was
 * short.  If all use it at once the pool may come to the state low, until the
 * balloons of those VMs have grown.  The other way, to take memory from a VM
 * that uses it for one that may never, would cost more and more often.
 */
#include "bp.h"
#include "plan.h"

/**
 * struct ratio - a part of something
 * @part: at most @whole
 * @whole: not 0, below 2^32
 */
struct ratio {
	u64 part;
	u64 whole;
};

/**
 * struct debts - what balloons hold above what is wanted, and what is paid
 * @pressed_pages: owed to VMs that are pressed
 * @other_pages: owed to others
 * @pressed_paid: the part of each debt to a pressed VM that is paid now
 * @other_paid: the same for others
 */
struct debts {
	u64 pressed_pages;
	u64 other_pages;
	struct ratio pressed_paid;
	struct ratio other_paid;
};

static u64 beyond(u64 pages, u64 threshold)
{
	return pages > threshold ? pages - threshold : 0;
}

static u64 distance(u64 a, u64 b)
{
	return a > b ? a - b : b - a;
}

/**
 * ballast_balloon_max_pages() - the largest balloon
 * @size_pages: of the VM
 * @balloon_max_bp: at most this share of it; above BALLAST_BP is all
 *
 * Context: any.
 * Return: pages, rounded down.
 */
u64 ballast_balloon_max_pages(u64 size_pages, u32 balloon_max_bp)
{
	return ballast_part_bp(size_pages,
			       balloon_max_bp < BALLAST_BP ? balloon_max_bp : BALLAST_BP);
}

/* The balloon of a VM that is at its target, as far as a balloon may go. */
static u64 ideal(const struct ballast_move *move, const struct ballast_pace *pace)
{
	u64 most = ballast_balloon_max_pages(move->size_pages, pace->balloon_max_bp);
	u64 above = beyond(move->size_pages, move->target_pages);

	return above < most ? above : most;
}

static bool worth_a_move(const struct ballast_move *move, u64 balloon_pages,
			 enum ballast_state state, const struct ballast_pace *pace)
{
	return !balloon_pages || state >= BALLAST_STATE_HARD ||
	       distance(move->balloon_pages, balloon_pages) >=
	       ballast_part_bp(move->size_pages, pace->dead_band_bp);
}

/* The balloon to go to now, or the one there is. */
static u64 wanted(const struct ballast_move *move, enum ballast_state state,
		  const struct ballast_pace *pace)
{
	u64 balloon = ideal(move, pace);

	if (!move->movable || (move->pressed && balloon > move->balloon_pages) ||
	    !worth_a_move(move, balloon, state, pace))
		return move->balloon_pages;
	return balloon;
}

static u64 owed(const struct ballast_move *move, enum ballast_state state,
		const struct ballast_pace *pace)
{
	return beyond(move->balloon_pages, wanted(move, state, pace));
}

/* The part of @debt that @budget pays; a little less if the debt is above 2^32. */
static struct ratio payable(u64 budget, u64 debt)
{
	if (budget >= debt)
		return (struct ratio) { 1, 1 };
	for (; debt >> 32; debt = debt / 2 + 1)
		budget /= 2;
	return (struct ratio) { budget, debt };
}

/* Rounded down; no product is above 64 bits. */
static u64 part_of(u64 pages, struct ratio ratio)
{
	return pages / ratio.whole * ratio.part +
	       pages % ratio.whole * ratio.part / ratio.whole;
}

static struct debts sum_debts(const struct ballast_move *moves, size_t count,
			      const struct ballast_plan_pool *pool,
			      const struct ballast_pace *pace)
{
	struct debts debts = { 0 };
	size_t i;

	for (i = 0; i < count; i++) {
		u64 pages = owed(&moves[i], pool->state, pace);

		if (moves[i].pressed)
			debts.pressed_pages += pages;
		else
			debts.other_pages += pages;
	}
	return debts;
}

/* How much of its debts the pool can pay now. */
static void share_out(struct debts *debts, const struct ballast_plan_pool *pool)
{
	u64 budget = beyond(pool->free_pages, pool->thresholds.low_pages), left;

	debts->pressed_paid = payable(budget, debts->pressed_pages);
	left = beyond(pool->free_pages, part_of(debts->pressed_pages, debts->pressed_paid));
	budget = beyond(left, pool->thresholds.soft_pages);
	if (pool->state >= BALLAST_STATE_HARD)
		budget = 0;
	debts->other_paid = payable(budget, debts->other_pages);
}

/* Would the pool be short of memory if it had paid all its debts? */
static bool must_take(const struct debts *debts, const struct ballast_plan_pool *pool)
{
	u64 rest = beyond(pool->free_pages, debts->pressed_pages + debts->other_pages);

	return ballast_state_next(pool->state, rest, &pool->thresholds) != BALLAST_STATE_HIGH;
}

/* How far a balloon may grow in this call; a VM too small for a share has a page. */
static u64 step_of(const struct ballast_move *move, const struct ballast_pace *pace)
{
	u64 pages = ballast_part_bp(move->size_pages, pace->step_bp);

	return pages || !pace->step_bp ? pages : 1;
}

/* The balloon of one VM after this call. */
static u64 next_balloon(const struct ballast_move *move, const struct debts *debts,
			bool take, enum ballast_state state, const struct ballast_pace *pace)
{
	u64 balloon = wanted(move, state, pace), step = step_of(move, pace), grows;

	if (balloon < move->balloon_pages)
		return move->balloon_pages -
		       part_of(move->balloon_pages - balloon,
			       move->pressed ? debts->pressed_paid : debts->other_paid);
	grows = take ? balloon - move->balloon_pages : 0;
	return move->balloon_pages + (grows < step ? grows : step);
}

/**
 * ballast_plan() - say how large each balloon of a pool is to be
 * @moves: the VMs; results are written to them, their order stays
 * @count: how many
 * @pool: the pool; @pool->settled is a result
 * @pace: limits to the moves
 *
 * Debts that cannot be paid in full are paid in proportion, each rounded down
 * to a page; what that leaves is paid by a later call.  Called again and again
 * with the same targets, each balloon moves in one direction until it is as
 * wanted, within the dead band of it, or there is nothing to take or pay from.
 *
 * Context: the caller has @moves to itself.  The result does not depend on the
 * order of @moves.
 */
void ballast_plan(struct ballast_move *moves, size_t count,
		  struct ballast_plan_pool *pool, const struct ballast_pace *pace)
{
	struct debts debts = sum_debts(moves, count, pool, pace);
	bool take = must_take(&debts, pool);
	size_t i;

	share_out(&debts, pool);
	pool->settled = true;
	for (i = 0; i < count; i++) {
		struct ballast_move *move = &moves[i];

		move->balloon_target_pages = next_balloon(move, &debts, take, pool->state,
							  pace);
		pool->settled &= move->balloon_target_pages == move->balloon_pages;
	}
}
