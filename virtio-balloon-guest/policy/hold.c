// SPDX-License-Identifier: GPL-2.0
/*
 * The hold-off doubles while inflating brings the pressure back.
 */
#include "hold.h"

/* Calm for so many times the last hold-off: what was is forgotten. */
#define FORGET_AFTER 4

static u64 next_length_ms(const struct ballast_hold *hold, u64 now_ms)
{
	/* pressure that lasts only makes the same hold-off begin anew */
	if (now_ms < hold->until_ms)
		return hold->length_ms;
	if (!hold->length_ms || now_ms - hold->until_ms > hold->length_ms * FORGET_AFTER)
		return BALLAST_HOLD_FIRST_MS;
	return ballast_min(hold->length_ms * 2, BALLAST_HOLD_LONGEST_MS);
}

/**
 * ballast_hold_begin - there is pressure
 * @hold: updated
 * @now_ms: a clock that only goes forward
 */
void ballast_hold_begin(struct ballast_hold *hold, u64 now_ms)
{
	hold->length_ms = next_length_ms(hold, now_ms);
	hold->until_ms = now_ms + hold->length_ms;
}

/**
 * ballast_hold_left_ms - how long until inflation may go on
 * @hold: the hold-off
 * @now_ms: the same clock
 *
 * Return: milliseconds, 0 if it may now.
 */
u64 ballast_hold_left_ms(const struct ballast_hold *hold, u64 now_ms)
{
	return ballast_less(hold->until_ms, now_ms);
}
