/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The decision: what the balloon does next, and why.
 */
#ifndef BALLAST_BALLOON_STEP_H
#define BALLAST_BALLOON_STEP_H

#include "hold.h"
#include "pace.h"
#include "pressure.h"

/* How often a balloon that is not empty, or not where it should be, looks around. */
#define BALLAST_STEP_LOOK_MS	500
#define BALLAST_STEP_NEVER_MS	(~(u64)0)

/**
 * struct ballast_view - the guest as the decision sees it
 * @now_ms: a clock that only goes forward
 * @guest_bytes: the guest's size, the balloon included
 * @host_target_bytes: what the host asks for
 * @self_target_bytes: what the guest asks of itself
 * @held_bytes: what is in the balloon
 * @available_bytes: what the guest could use without swapping
 * @floor_bytes: what it keeps of that
 * @pressure: since the last look
 * @pressure_is_old: that of the step before: nothing new is known
 * @limits: on the pressure
 * @page_bytes: the smallest step
 * @may_give_back: whether it may hold less than the host asks for
 */
struct ballast_view {
	u64 now_ms;
	u64 guest_bytes;
	u64 host_target_bytes;
	u64 self_target_bytes;
	u64 held_bytes;
	u64 available_bytes;
	u64 floor_bytes;
	struct ballast_pressure pressure;
	bool pressure_is_old;
	struct ballast_pressure_limits limits;
	u64 page_bytes;
	bool may_give_back;
};

/**
 * struct ballast_decider - what is remembered from step to step; zero it, then init
 * @pace: of inflation
 * @hold: after pressure
 * @next_inflate_ms: the pace's pause is over then
 * @give_back_bytes: the last give-back under a pressure that lasts; 0: there is none
 */
struct ballast_decider {
	struct ballast_pace pace;
	struct ballast_hold hold;
	u64 next_inflate_ms;
	u64 give_back_bytes;
};

/**
 * enum ballast_move - what to do
 * @BALLAST_MOVE_REST: nothing
 * @BALLAST_MOVE_INFLATE: take memory from the guest
 * @BALLAST_MOVE_DEFLATE: give it memory
 */
enum ballast_move {
	BALLAST_MOVE_REST,
	BALLAST_MOVE_INFLATE,
	BALLAST_MOVE_DEFLATE,
};

/**
 * struct ballast_step - one step
 * @move: what to do
 * @bytes: how much, whole pages
 * @refused_bytes: what was asked for and is not given now
 * @reason: why
 * @veto: whether this step is one against the host's wish
 * @look_ms: when to look again if nothing happens; BALLAST_STEP_NEVER_MS: not at all
 */
struct ballast_step {
	enum ballast_move move;
	u64 bytes;
	u64 refused_bytes;
	enum ballast_reason reason;
	bool veto;
	u64 look_ms;
};

void ballast_decider_init(struct ballast_decider *decider);
struct ballast_step ballast_step_decide(struct ballast_decider *decider,
					const struct ballast_view *view);
void ballast_step_done(struct ballast_decider *decider, u64 now_ms,
		       enum ballast_outcome outcome, u64 waited_ms);
u64 ballast_step_oom_bytes(struct ballast_decider *decider, u64 now_ms, u64 guest_bytes,
			   u64 held_bytes, u64 taking_bytes);

#endif /* BALLAST_BALLOON_STEP_H */
