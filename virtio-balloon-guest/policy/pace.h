/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How much to ask the guest for at once, and how long to leave it alone after.
 */
#ifndef BALLAST_BALLOON_PACE_H
#define BALLAST_BALLOON_PACE_H

#include "env.h"

#define BALLAST_PACE_MIN_BYTES		(2 * BALLAST_MIB)
#define BALLAST_PACE_START_BYTES	(64 * BALLAST_MIB)
#define BALLAST_PACE_RECLAIM_BYTES	(16 * BALLAST_MIB)
#define BALLAST_PACE_MAX_BYTES		(1024 * BALLAST_MIB)
#define BALLAST_PACE_RECLAIM_MS		10	/* at least; and a quarter of the step */
#define BALLAST_PACE_RECLAIM_SHIFT	2
#define BALLAST_PACE_SHORT_MS		200
#define BALLAST_PACE_LONGEST_MS		10000

/**
 * enum ballast_outcome - how the guest took a step
 * @BALLAST_OUTCOME_EASY: all of it was free memory
 * @BALLAST_OUTCOME_RECLAIM: some of it had to be reclaimed
 * @BALLAST_OUTCOME_SHORT: not all of it came
 */
enum ballast_outcome {
	BALLAST_OUTCOME_EASY,
	BALLAST_OUTCOME_RECLAIM,
	BALLAST_OUTCOME_SHORT,
};

/**
 * struct ballast_pace - the pace of inflation
 * @step_bytes: the most that the next step may ask for
 * @pause_ms: what has to pass between the last step and the next
 * @short_ms: the same, before it is lengthened by what the step waited; 0: it did not come short
 */
struct ballast_pace {
	u64 step_bytes;
	u32 pause_ms;
	u32 short_ms;
};

void ballast_pace_init(struct ballast_pace *pace);
void ballast_pace_note(struct ballast_pace *pace, enum ballast_outcome outcome, u64 waited_ms);

#endif /* BALLAST_BALLOON_PACE_H */
