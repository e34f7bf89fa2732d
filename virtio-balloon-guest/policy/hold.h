/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The hold-off: how long a guest under pressure is left alone.
 */
#ifndef BALLAST_BALLOON_HOLD_H
#define BALLAST_BALLOON_HOLD_H

#include "env.h"

#define BALLAST_HOLD_FIRST_MS	2000
#define BALLAST_HOLD_LONGEST_MS	256000

/**
 * struct ballast_hold - the hold-off; all zero is one that never was
 * @until_ms: no inflation before this time
 * @length_ms: how long the last one was
 */
struct ballast_hold {
	u64 until_ms;
	u64 length_ms;
};

void ballast_hold_begin(struct ballast_hold *hold, u64 now_ms);
u64 ballast_hold_left_ms(const struct ballast_hold *hold, u64 now_ms);

#endif /* BALLAST_BALLOON_HOLD_H */
