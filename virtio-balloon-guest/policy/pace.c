// SPDX-License-Identifier: GPL-2.0
/*
 * The pace of inflation: fast while it costs the guest nothing.
 */
#include "pace.h"

/**
 * ballast_pace_init - begin
 * @pace: to be set
 */
void ballast_pace_init(struct ballast_pace *pace)
{
	pace->step_bytes = BALLAST_PACE_START_BYTES;
	pace->pause_ms = 0;
	pace->short_ms = 0;
}

/* Each step that comes short in a row waits twice as long for memory to become free. */
static u32 longer_pause(u32 short_ms)
{
	if (!short_ms)
		return BALLAST_PACE_SHORT_MS;
	return (u32)ballast_min((u64)short_ms * 2, BALLAST_PACE_LONGEST_MS);
}

static u32 after_waiting(u32 pause_ms, u64 waited_ms)
{
	return (u32)ballast_min(ballast_max(pause_ms, waited_ms >> BALLAST_PACE_RECLAIM_SHIFT),
				BALLAST_PACE_LONGEST_MS);
}

/**
 * ballast_pace_note - learn from a step
 * @pace: updated
 * @outcome: how the step ended
 * @waited_ms: how long it was, if it had to wait for reclaim; else 0
 *
 * Between two steps that wait for reclaim the guest has a fifth of the time to itself, as long
 * as that is less than the longest pause; that is also when its own pressure can be seen.
 */
void ballast_pace_note(struct ballast_pace *pace, enum ballast_outcome outcome, u64 waited_ms)
{
	switch (outcome) {
	case BALLAST_OUTCOME_EASY:
		pace->step_bytes = ballast_min(pace->step_bytes * 2, BALLAST_PACE_MAX_BYTES);
		pace->pause_ms = 0;
		pace->short_ms = 0;
		break;
	case BALLAST_OUTCOME_RECLAIM:
		pace->step_bytes = ballast_max(ballast_min(pace->step_bytes / 2,
							   BALLAST_PACE_RECLAIM_BYTES),
					       BALLAST_PACE_MIN_BYTES);
		pace->pause_ms = after_waiting(BALLAST_PACE_RECLAIM_MS, waited_ms);
		pace->short_ms = 0;
		break;
	case BALLAST_OUTCOME_SHORT:
		pace->step_bytes = BALLAST_PACE_MIN_BYTES;
		pace->short_ms = longer_pause(pace->short_ms);
		pace->pause_ms = after_waiting(pace->short_ms, waited_ms);
		break;
	}
}
