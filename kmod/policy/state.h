/* SPDX-License-Identifier: GPL-2.0 */
/* Free-memory states of a pool. */
#ifndef BALLAST_POLICY_STATE_H
#define BALLAST_POLICY_STATE_H

#include "env.h"

/**
 * enum ballast_state - how short of memory a pool is (ESX paper, section 6.2)
 * @BALLAST_STATE_HIGH: enough; nothing is taken
 * @BALLAST_STATE_SOFT: balloons
 * @BALLAST_STATE_HARD: also compress and swap
 * @BALLAST_STATE_LOW: also stop VMs above their target
 */
enum ballast_state {
	BALLAST_STATE_HIGH,
	BALLAST_STATE_SOFT,
	BALLAST_STATE_HARD,
	BALLAST_STATE_LOW,
	BALLAST_STATE_NR,
};

/**
 * struct ballast_thresholds - free pages of a pool where states change
 * @high_pages: at or above: high again
 * @soft_pages: below: soft.  At or above: back from hard
 * @hard_pages: below: hard.  At or above: back from low
 * @low_pages: below: low
 *
 * high >= soft >= hard >= low.
 */
struct ballast_thresholds {
	u64 high_pages;
	u64 soft_pages;
	u64 hard_pages;
	u64 low_pages;
};

void ballast_thresholds_set(struct ballast_thresholds *thresholds, u64 pool_pages,
			    const u32 bp[BALLAST_STATE_NR]);
void ballast_thresholds_sliding(struct ballast_thresholds *thresholds,
				u64 pool_pages, u32 page_bytes);
enum ballast_state ballast_state_next(enum ballast_state state, u64 free_pages,
				      const struct ballast_thresholds *thresholds);
const char *ballast_state_token(enum ballast_state state);

#endif /* BALLAST_POLICY_STATE_H */
