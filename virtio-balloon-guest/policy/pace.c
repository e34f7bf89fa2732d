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
}

/* Each step that comes short in a row waits twice as long for memory to become free. */
static u32 longer_pause(u32 pause_ms)
{
	if (pause_ms < BALLAST_PACE_SHORT_MS)
		return BALLAST_PACE_SHORT_MS;
	return (u32)ballast_min((u64)pause_ms * 2, BALLAST_PACE_LONGEST_MS);
}

/**
 * ballast_pace_note - learn from a step
 * @pace: updated
 * @outcome: how the step ended
 */
void ballast_pace_note(struct ballast_pace *pace, enum ballast_outcome outcome)
{
	switch (outcome) {
	case BALLAST_OUTCOME_EASY:
		pace->step_bytes = ballast_min(pace->step_bytes * 2, BALLAST_PACE_MAX_BYTES);
		pace->pause_ms = 0;
		break;
	case BALLAST_OUTCOME_RECLAIM:
		pace->step_bytes = ballast_max(ballast_min(pace->step_bytes / 2,
							   BALLAST_PACE_RECLAIM_BYTES),
					       BALLAST_PACE_MIN_BYTES);
		pace->pause_ms = BALLAST_PACE_RECLAIM_MS;
		break;
	case BALLAST_OUTCOME_SHORT:
		pace->step_bytes = BALLAST_PACE_MIN_BYTES;
		pace->pause_ms = longer_pause(pace->pause_ms);
		break;
	}
}
