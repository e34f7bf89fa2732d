// SPDX-License-Identifier: GPL-2.0
/*
 * The decision, in order of what matters: give the guest what the host gives,
 * heed pressure, then pace and floor, and only then take.
 */
#include "step.h"

#include "floor.h"

#define OOM_LEAST_BYTES	(64 * BALLAST_MIB)
#define OOM_SHIFT	3	/* an eighth of the guest */
/* Room above the floor that is not worth a step: it is noise of the guest's own. */
#define ROOM_LEAST_BYTES	BALLAST_UNIT_BYTES

/**
 * ballast_decider_init - begin
 * @decider: to be set
 */
void ballast_decider_init(struct ballast_decider *decider)
{
	memset(decider, 0, sizeof(*decider));
	ballast_pace_init(&decider->pace);
}

static u64 whole_pages(const struct ballast_view *view, u64 bytes)
{
	return bytes - bytes % view->page_bytes;
}

static u64 target_bytes(const struct ballast_view *view)
{
	return whole_pages(view, ballast_max(view->host_target_bytes, view->self_target_bytes));
}

static enum ballast_reason whose_target(const struct ballast_view *view)
{
	return view->host_target_bytes >= view->self_target_bytes ? BALLAST_REASON_HOST :
								    BALLAST_REASON_SELF;
}

/* One huge page first, then twice as much each time while the pressure lasts. */
static u64 give_back_bytes(struct ballast_decider *decider, u64 held_bytes)
{
	if (!decider->give_back_bytes)
		decider->give_back_bytes = BALLAST_UNIT_BYTES;
	else if (decider->give_back_bytes < held_bytes)
		decider->give_back_bytes *= 2;
	return ballast_min(decider->give_back_bytes, held_bytes);
}

/* Pressure: whether it decides this step.  Fills in @step if so. */
static bool heed_pressure(struct ballast_decider *decider, const struct ballast_view *view,
			  u64 want, struct ballast_step *step)
{
	const enum ballast_reason now = ballast_pressure_now(&view->pressure, &view->limits);
	const enum ballast_reason lasting = ballast_pressure_lasting(&view->pressure,
								     &view->limits);

	if (now == BALLAST_REASON_NONE)
		decider->give_back_bytes = 0;
	/* a balloon that wants nothing and holds nothing is not what presses */
	if ((now == BALLAST_REASON_NONE && (lasting == BALLAST_REASON_NONE || !want)) ||
	    (!want && !view->held_bytes))
		return false;
	step->reason = now != BALLAST_REASON_NONE ? now : lasting;
	step->refused_bytes = want;
	/* Once for each look: a host whose target flutters is no more pressure. */
	if (view->pressure_is_old)
		return true;
	ballast_hold_begin(&decider->hold, view->now_ms);
	ballast_pace_init(&decider->pace);
	step->veto = true;
	if (now != BALLAST_REASON_NONE && view->held_bytes && view->may_give_back) {
		step->move = BALLAST_MOVE_DEFLATE;
		step->bytes = give_back_bytes(decider, view->held_bytes);
	}
	return true;
}

/* Take @want, or as much of it as floor and pace allow. */
static void take(const struct ballast_decider *decider, const struct ballast_view *view,
		 u64 want, struct ballast_step *step)
{
	const u64 room = whole_pages(view, ballast_floor_room_bytes(view->available_bytes,
								    view->floor_bytes));

	step->refused_bytes = ballast_less(want, room);
	if (room < want && room < ROOM_LEAST_BYTES) {
		step->reason = BALLAST_REASON_FLOOR;
		step->refused_bytes = want;
		return;
	}
	step->move = BALLAST_MOVE_INFLATE;
	step->reason = whose_target(view);
	step->bytes = whole_pages(view, ballast_min(ballast_min(want, room),
						    decider->pace.step_bytes));
}

/**
 * ballast_step_decide - what to do now
 * @decider: remembers
 * @view: the guest
 *
 * Return: the step.
 */
struct ballast_step ballast_step_decide(struct ballast_decider *decider,
					const struct ballast_view *view)
{
	const u64 target = target_bytes(view);
	const u64 want = ballast_less(target, view->held_bytes);
	struct ballast_step step = {
		.look_ms = target || view->held_bytes ? BALLAST_STEP_LOOK_MS :
							BALLAST_STEP_NEVER_MS,
	};
	u64 wait;

	if (view->held_bytes > target) {
		step.move = BALLAST_MOVE_DEFLATE;
		step.reason = whose_target(view);
		step.bytes = view->held_bytes - target;
		return step;
	}
	if (heed_pressure(decider, view, want, &step) || !want)
		return step;
	wait = ballast_max(ballast_hold_left_ms(&decider->hold, view->now_ms),
			   ballast_less(decider->next_inflate_ms, view->now_ms));
	if (wait) {
		step.refused_bytes = want;
		/* pressure is looked for while it waits */
		step.look_ms = ballast_min(wait, BALLAST_STEP_LOOK_MS);
		return step;
	}
	take(decider, view, want, &step);
	return step;
}

/**
 * ballast_step_done - a step of inflation has been made
 * @decider: learns
 * @now_ms: when it ended
 * @outcome: how it ended
 * @waited_ms: how long it was, if it had to wait for reclaim; else 0
 */
void ballast_step_done(struct ballast_decider *decider, u64 now_ms, enum ballast_outcome outcome,
		       u64 waited_ms)
{
	ballast_pace_note(&decider->pace, outcome, waited_ms);
	decider->next_inflate_ms = now_ms + decider->pace.pause_ms;
}

/**
 * ballast_step_oom_bytes - the guest is about to kill a process for want of memory
 * @decider: begins a hold-off
 * @now_ms: the time
 * @guest_bytes: the guest's size, the balloon included
 * @held_bytes: what is in the balloon
 * @taking_bytes: what a step under way has taken, and gives up by itself
 *
 * Return: what to give back of what is held.
 */
u64 ballast_step_oom_bytes(struct ballast_decider *decider, u64 now_ms, u64 guest_bytes,
			   u64 held_bytes, u64 taking_bytes)
{
	if (!held_bytes && !taking_bytes)
		return 0;
	ballast_hold_begin(&decider->hold, now_ms);
	ballast_pace_init(&decider->pace);
	return ballast_min(held_bytes, ballast_max(OOM_LEAST_BYTES, guest_bytes >> OOM_SHIFT));
}
