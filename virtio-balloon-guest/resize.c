// SPDX-License-Identifier: GPL-2.0
/*
 * The work: looks at the guest, has the decision made, makes the step.
 *
 * DOC: One step a run, then the work queues itself, so that a target that
 * changes while a large balloon inflates is seen at the next step.
 */
#include "balloon.h"

#include <linux/delay.h>
#include <linux/mman.h>
#include <linux/sched.h>

#include "policy/floor.h"
#include "policy/self.h"

/* At most so much in one step: ranges are quick, page numbers are not. */
#define STEP_BYTES		(1024 * BALLAST_MIB)
#define STEP_TOLD_BYTES		(128 * BALLAST_MIB)
/* How much is taken before it is looked whether the guest is out of memory. */
#define TAKE_BYTES		(16 * BALLAST_MIB)

static u64 to_bytes(u64 pages)
{
	return pages << PAGE_SHIFT;
}

static u64 to_pages(u64 bytes)
{
	return bytes >> PAGE_SHIFT;
}

/**
 * ballast_guest_bytes - the guest's size
 * @balloon: the device
 *
 * Return: what the kernel manages, and what is in the balloon.
 */
u64 ballast_guest_bytes(const struct ballast_balloon *balloon)
{
	return to_bytes(totalram_pages() +
			(balloon->adjust_managed ? ballast_held_pages(balloon) : 0));
}

/**
 * ballast_floor_bytes - what the guest keeps available
 * @balloon: the device
 *
 * Return: the parameter, or a default by the guest's size.
 */
u64 ballast_floor_bytes(const struct ballast_balloon *balloon)
{
	const u64 mib = READ_ONCE(ballast_tunables.floor_mib);

	return mib ? mib * BALLAST_MIB : ballast_floor_default_bytes(ballast_guest_bytes(balloon));
}

/* Its own target, once a period. */
static void think_of_self(struct ballast_balloon *balloon, u64 now_ms)
{
	const u64 last_ms = balloon->self_last_ms;
	u64 target = 0;

	balloon->self_last_ms = 0;
	if (READ_ONCE(ballast_tunables.self_balloon)) {
		balloon->self_last_ms = last_ms;
		if (last_ms && now_ms < last_ms + READ_ONCE(ballast_tunables.self_period_ms))
			return;
		balloon->self_last_ms = now_ms;
		target = ballast_self_target_bytes(balloon->self_target_bytes,
						   ballast_guest_bytes(balloon),
						   to_bytes(vm_memory_committed()),
						   READ_ONCE(ballast_tunables.self_reserve_mib) *
						   BALLAST_MIB);
	}
	WRITE_ONCE(balloon->self_target_bytes, target);
}

/* What the guest could use without swapping; what is hinted is free memory as well. */
static u64 available_bytes(const struct ballast_balloon *balloon)
{
	const long available = si_mem_available();

	return to_bytes(max(available, 0L) + READ_ONCE(balloon->hint.held.pages));
}

static bool is_above_target(struct ballast_balloon *balloon)
{
	const u64 target = max(ballast_device_target_bytes(balloon), balloon->self_target_bytes);
	u64 held;

	mutex_lock(&balloon->lock);
	held = to_bytes(ballast_held_pages(balloon));
	mutex_unlock(&balloon->lock);
	return held > target;
}

/* Looks for pressure unless the guest is to have memory back: to look allocates, and may wait. */
static void take_view(struct ballast_balloon *balloon, struct ballast_view *view)
{
	memset(view, 0, sizeof(*view));
	view->now_ms = ballast_now_ms();
	think_of_self(balloon, view->now_ms);
	view->pressure = balloon->gauge.last;
	view->pressure_is_old = is_above_target(balloon) ||
		!ballast_pressure_look(&balloon->gauge, view->now_ms, &view->pressure);
	view->host_target_bytes = ballast_device_target_bytes(balloon);	/* after the wait */
	view->self_target_bytes = balloon->self_target_bytes;
	view->guest_bytes = ballast_guest_bytes(balloon);
	view->available_bytes = available_bytes(balloon);
	view->floor_bytes = ballast_floor_bytes(balloon);
	view->limits.some_bp = READ_ONCE(ballast_tunables.psi_some_limit_bp);
	view->limits.full_bp = READ_ONCE(ballast_tunables.psi_full_limit_bp);
	view->limits.swap_in_bytes_per_s =
		READ_ONCE(ballast_tunables.swap_in_limit_bytes_per_s);
	view->page_bytes = PAGE_SIZE;
	view->may_give_back = READ_ONCE(ballast_tunables.give_back) ||
		virtio_has_feature(balloon->vdev, VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
}

/* What people read in sysfs, and the log.  The log only when it is news. */
static void note_step(struct ballast_balloon *balloon, const struct ballast_step *step)
{
	const bool news = step->reason != balloon->last_reason;

	lockdep_assert_held(&balloon->lock);
	balloon->refused_bytes = step->refused_bytes;
	if (step->reason == BALLAST_REASON_NONE)
		return;
	balloon->last_reason = step->reason;
	balloon->counters.vetoes += step->veto;
	balloon->counters.vetoes_by[step->reason] += step->veto;
	if (step->reason == BALLAST_REASON_FLOOR && news) {
		balloon->counters.refusals++;
		dev_info_ratelimited(&balloon->vdev->dev,
				     "refusing %llu MiB: no more than the floor is available\n",
				     step->refused_bytes >> 20);
	} else if (step->veto && news) {
		dev_info_ratelimited(&balloon->vdev->dev,
				     "memory pressure (%s): inflation stops for %llu ms\n",
				     ballast_reason_token(step->reason),
				     balloon->decider.hold.length_ms);
	}
}

static void give_up_locked(struct ballast_balloon *balloon)
{
	if (!balloon->is_silent)
		dev_err(&balloon->vdev->dev, "the device does not answer\n");
	balloon->is_silent = true;
	balloon->last_reason = BALLAST_REASON_DEVICE;
}

static u64 step_pages(const struct ballast_balloon *balloon, u64 pages)
{
	return min(pages, to_pages(balloon->use_reporting ? STEP_BYTES : STEP_TOLD_BYTES));
}

static bool is_out_of_memory(struct ballast_balloon *balloon, int ooms)
{
	return atomic_read(&balloon->ooms) != ooms;
}

/* What the OOM notifier counts as free, for it is about to be; one is on its way, perhaps. */
static void say_taken(struct ballast_balloon *balloon, u64 pages)
{
	WRITE_ONCE(balloon->taking_pages, pages + 1);
}

/* What may be taken now: others take memory during a step, too. */
static u64 room_pages(const struct ballast_balloon *balloon)
{
	return to_pages(ballast_floor_room_bytes(available_bytes(balloon),
						 ballast_floor_bytes(balloon)));
}

/* Blocks that are hinted, which are free memory as well. */
static void take_hints(struct ballast_balloon *balloon, struct ballast_ranges *blocks, u64 pages)
{
	const u64 held = READ_ONCE(balloon->hint.held.pages);
	const u64 floor = ballast_floor_bytes(balloon);

	/* on their way here they are in no list: the notifier is to see that there is a step */
	say_taken(balloon, 0);
	ballast_hint_take(balloon, blocks, min3(pages, room_pages(balloon),
						ballast_ranges_room_pages(floor, held)));
}

/* Free blocks, until the guest is at its floor or out of memory. */
static void take_blocks(struct ballast_balloon *balloon, struct ballast_ranges *blocks,
			u64 pages, int ooms)
{
	const u64 floor = ballast_floor_bytes(balloon);
	u64 before, some;

	do {
		before = blocks->pages;
		say_taken(balloon, before);
		if (is_out_of_memory(balloon, ooms))
			break;
		some = min3(pages - before, to_pages(TAKE_BYTES), room_pages(balloon));
		some = min(some, ballast_ranges_room_pages(floor, 0));
		ballast_ranges_allocate(blocks, before + some, BALLAST_ORDER_MIN);
	} while (blocks->pages > before && blocks->pages < pages);
	say_taken(balloon, blocks->pages);
}

/* Single pages, the same.  Return: how many. */
static u64 take_pages(struct ballast_balloon *balloon, struct list_head *small, u64 pages,
		      u64 *reclaim_us, int ooms)
{
	const u64 blocks = balloon->taking_pages;
	u64 done = 0, want, got;

	do {
		want = min3(pages - done, to_pages(BALLAST_MIB), room_pages(balloon));
		if (!want || is_out_of_memory(balloon, ooms))
			break;
		got = ballast_pages_allocate(small, want, reclaim_us);
		done += got;
		WRITE_ONCE(balloon->taking_pages, blocks + done);
	} while (got == want && done < pages);
	return done;
}

/* What was taken goes to the host, or back if the guest has run out of memory meanwhile. */
static int hand_over_locked(struct ballast_balloon *balloon, struct ballast_ranges *blocks,
			    struct list_head *small, bool is_out)
{
	int err;

	lockdep_assert_held(&balloon->lock);
	if (is_out)
		ballast_ranges_free(blocks);
	err = ballast_ranges_hand_over(balloon, blocks);
	if (err || is_out)
		ballast_pages_free(small);
	else
		err = ballast_pages_hand_over(balloon, small);
	WRITE_ONCE(balloon->taking_pages, 0);
	return err;
}

/*
 * Blocks first; what they cannot give in pages, of which a step takes few: they
 * are what reclaim is made for, and the pace has to see how it went.
 */
static void inflate(struct ballast_balloon *balloon, u64 pages, int ooms)
{
	const u64 pages_max = to_pages(BALLAST_PACE_RECLAIM_BYTES);
	enum ballast_outcome outcome = BALLAST_OUTCOME_EASY;
	struct ballast_own_step own;
	struct ballast_ranges blocks;
	u64 left, want, done, waited_ms = 0, reclaim_us = 0;
	LIST_HEAD(small);
	bool is_out;
	int err;

	/*
	 * To read allocates, and may wait as long as somebody reclaims: not while the notifier
	 * counts on what has been taken.
	 */
	ballast_pressure_own_begin(&own);
	ballast_ranges_init(&blocks);
	take_hints(balloon, &blocks, pages);
	take_blocks(balloon, &blocks, pages, ooms);
	left = pages - blocks.pages;
	want = min(left, pages_max);
	done = take_pages(balloon, &small, want, &reclaim_us, ooms);
	if (done < want)
		outcome = BALLAST_OUTCOME_SHORT;
	else if (reclaim_us || left > want)
		outcome = BALLAST_OUTCOME_RECLAIM;

	mutex_lock(&balloon->lock);
	is_out = is_out_of_memory(balloon, ooms);
	err = hand_over_locked(balloon, &blocks, &small, is_out);
	if (err || is_out)
		outcome = BALLAST_OUTCOME_SHORT;
	if (err) {
		give_up_locked(balloon);
	} else if (is_out) {
		balloon->counters.short_steps++;	/* the reason is the notifier's */
	} else if (outcome == BALLAST_OUTCOME_SHORT) {
		balloon->counters.short_steps++;
		balloon->last_reason = BALLAST_REASON_SHORT;
	}
	if (reclaim_us)
		waited_ms = (ktime_get_ns() - own.start_ns) / NSEC_PER_MSEC;
	ballast_step_done(&balloon->decider, ballast_now_ms(), outcome, waited_ms);
	mutex_unlock(&balloon->lock);
	if (reclaim_us)
		ballast_pressure_own_end(&balloon->gauge, &own);
}

/**
 * ballast_resize_deflate_locked - give memory back to the guest
 * @balloon: the device, locked
 * @pages: how many, at most
 *
 * Return: how many; fewer if that is all, or compaction has the rest just now.
 */
u64 ballast_resize_deflate_locked(struct ballast_balloon *balloon, u64 pages)
{
	u64 done = 0, some;

	lockdep_assert_held(&balloon->lock);
	while (done < pages) {
		/* whole blocks first, and none is split while there are pages */
		some = ballast_ranges_give_back(balloon, pages - done, false) ?:
		       ballast_pages_give_back(balloon, pages - done) ?:
		       ballast_ranges_give_back(balloon, pages - done, true);
		if (!some)
			break;
		done += some;
	}
	return done;
}

/* Returns how many pages. */
static u64 deflate(struct ballast_balloon *balloon, u64 pages)
{
	u64 done;

	mutex_lock(&balloon->lock);
	done = ballast_resize_deflate_locked(balloon, step_pages(balloon, pages));
	mutex_unlock(&balloon->lock);
	return done;
}

/* When to look again: at once after a step that the host wished for. */
static unsigned long delay_after(const struct ballast_step *step)
{
	if (step->move != BALLAST_MOVE_REST && !step->veto)
		return 0;
	return msecs_to_jiffies(step->look_ms) ?: 1;
}

static unsigned long self_period(void)
{
	return msecs_to_jiffies(READ_ONCE(ballast_tunables.self_period_ms));
}

/**
 * ballast_resize_work - one step
 * @work: the balloon's
 */
void ballast_resize_work(struct work_struct *work)
{
	struct ballast_balloon *balloon = container_of(to_delayed_work(work),
						       struct ballast_balloon, resize_work);
	const int ooms = atomic_read(&balloon->ooms);	/* before it is decided */
	struct ballast_view view;
	struct ballast_step step;
	bool in_use = false;

	take_view(balloon, &view);
	mutex_lock(&balloon->lock);
	view.held_bytes = to_bytes(ballast_held_pages(balloon));
	step = ballast_step_decide(&balloon->decider, &view);
	note_step(balloon, &step);
	mutex_unlock(&balloon->lock);

	if (step.move == BALLAST_MOVE_INFLATE)
		inflate(balloon, step_pages(balloon, to_pages(step.bytes)), ooms);
	else if (step.move == BALLAST_MOVE_DEFLATE)
		in_use = !deflate(balloon, to_pages(step.bytes));	/* by compaction */
	ballast_device_show_actual(balloon);
	/* what pressed before it had memory back is not held against what comes now */
	if (step.move == BALLAST_MOVE_DEFLATE && view.pressure_is_old && !is_above_target(balloon))
		ballast_pressure_look(&balloon->gauge, ballast_now_ms(), &view.pressure);
	if (step.look_ms != BALLAST_STEP_NEVER_MS || step.move != BALLAST_MOVE_REST)
		ballast_device_look_again(balloon, delay_after(&step) ?: in_use);
	else if (READ_ONCE(ballast_tunables.self_balloon))
		ballast_device_look_again(balloon, self_period());
}

/**
 * ballast_resize_drain - everything back to the guest
 * @balloon: the device, stopped
 *
 * Waits for pages that compaction has isolated: it puts them back or migrates
 * them, and gives up migrating while the lock is taken.
 */
void ballast_resize_drain(struct ballast_balloon *balloon)
{
	bool empty;

	for (;;) {
		mutex_lock(&balloon->lock);
		ballast_resize_deflate_locked(balloon, ballast_held_pages(balloon));
		empty = !ballast_held_pages(balloon);
		mutex_unlock(&balloon->lock);
		if (empty)
			break;
		msleep(1);
	}
	ballast_device_show_actual(balloon);
}
