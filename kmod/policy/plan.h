/* SPDX-License-Identifier: GPL-2.0 */
/* From targets to balloons: what moves now, how far. */
#ifndef BALLAST_POLICY_PLAN_H
#define BALLAST_POLICY_PLAN_H

#include "env.h"
#include "state.h"

/**
 * struct ballast_pace - limits to how balloons move
 * @step_bp: a balloon grows by at most this share of its VM's size in one
 *	call: the guest has to find the pages.  What it gives back it has at once
 * @dead_band_bp: less than this share of its size is not worth a move, unless
 *	the balloon is to be empty or the pool's state is hard or low
 * @balloon_max_bp: no balloon above this share of its VM's size
 */
struct ballast_pace {
	u32 step_bp;
	u32 dead_band_bp;
	u32 balloon_max_bp;
};

/**
 * struct ballast_move - one VM's balloon
 * @id: unique
 * @size_pages: the VM's memory
 * @target_pages: from ballast_divide()
 * @balloon_pages: what its balloon holds now
 * @movable: the balloon obeys; if not, the result is @balloon_pages
 * @pressed: the guest is short of memory: never squeezed, served first
 * @balloon_target_pages: result
 */
struct ballast_move {
	u64 id;
	u64 size_pages;
	u64 target_pages;
	u64 balloon_pages;
	bool movable;
	bool pressed;
	u64 balloon_target_pages;
};

/**
 * struct ballast_plan_pool - the pool that the balloons are moved for
 * @free_pages: free now.  What a guest was given back and has not touched yet is
 *	in it: plan.c says what that means
 * @thresholds: of the pool
 * @state: of the pool, after ballast_state_next() with @free_pages
 * @settled: result: no balloon target differs from its balloon
 */
struct ballast_plan_pool {
	u64 free_pages;
	struct ballast_thresholds thresholds;
	enum ballast_state state;
	bool settled;
};

void ballast_plan(struct ballast_move *moves, size_t count,
		  struct ballast_plan_pool *pool, const struct ballast_pace *pace);
u64 ballast_balloon_max_pages(u64 size_pages, u32 balloon_max_bp);

#endif /* BALLAST_POLICY_PLAN_H */
