// SPDX-License-Identifier: GPL-2.0
/*
 * Does a balloon obey?
 *
 * DOC: Movement is measured from a mark, in steps: a guest that gives a page now
 * and then is as stuck as one that gives none.  When a balloon has failed, the
 * module plans without it and asks for what it holds already; that is no
 * obedience.  Only movement clears a failure, and QEMU keeps the old request
 * meanwhile, so that a driver that wakes up has something to do.
 *
 * A guest that is short of memory cannot give, and is excused: what it still owes is
 * not asked for any more.  And who takes from its balloon what nobody gave it (drivers
 * do when the guest is out of memory) is not asked to give that back at once.
 *
 * Pure: no clock, no input or output.
 */
#include <string.h>

#include "balloon.h"

/**
 * balloon_init() - begin to look at a balloon
 * @balloon: to set up
 * @driver: what the admin says
 * @now_ms: the time
 */
void balloon_init(struct balloon *balloon, enum balloon_driver driver, uint64_t now_ms)
{
	memset(balloon, 0, sizeof(*balloon));
	balloon->driver = driver;
	balloon->device = true;
	balloon->seen = driver == BALLOON_DRIVER_ASSUME;
	balloon->born_ms = now_ms;
	balloon->mark_ms = now_ms;
}

/** balloon_set_device() - QEMU says whether there is a device */
void balloon_set_device(struct balloon *balloon, bool present)
{
	balloon->device = present;
}

/** balloon_driver_seen() - the guest sent statistics */
void balloon_driver_seen(struct balloon *balloon)
{
	balloon->seen = true;
}

/**
 * balloon_freeze() - the VM stops or goes on, migrates or is done
 * @balloon: its balloon
 * @frozen: it must not be asked
 * @now_ms: the time
 *
 * Time that a VM stands still is not held against it.
 */
void balloon_freeze(struct balloon *balloon, bool frozen, uint64_t now_ms)
{
	if (balloon->frozen && !frozen)
		balloon->mark_ms = now_ms;
	balloon->frozen = frozen;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/**
 * balloon_has_failed() - it was uncooperative when somebody last looked
 * @balloon: its balloon, nothing asked yet
 */
void balloon_has_failed(struct balloon *balloon)
{
	balloon->seen = true;
	balloon->failed = true;
}

/**
 * balloon_is_to_be_probed() - has it failed in what nobody here knows?
 * @balloon: the balloon
 *
 * QEMU may have no request at all then, and a driver that works again nothing to do.  So
 * it is asked for BALLOON_PROBE_BYTES more than it holds, or less at its ceiling, once.
 */
bool balloon_is_to_be_probed(const struct balloon *balloon)
{
	return balloon->failed && !balloon->knows_request;
}

static void moved(struct balloon *balloon, uint64_t bytes, uint64_t now_ms)
{
	balloon->seen = true;
	balloon->failed = false;
	balloon->mark_bytes = bytes;
	balloon->mark_ms = now_ms;
}

/* What is asked for is not known: to move at all is to obey. */
static void look_at_unasked(struct balloon *balloon, uint64_t bytes, uint64_t now_ms)
{
	if (!balloon->failed)
		balloon->mark_bytes = bytes;
	else if (distance(bytes, balloon->mark_bytes) >= BALLOON_STEP_BYTES)
		moved(balloon, bytes, now_ms);
}

static void look_at_asked(struct balloon *balloon, uint64_t bytes, uint64_t now_ms)
{
	uint64_t before = distance(balloon->mark_bytes, balloon->asked_bytes);
	uint64_t after = distance(bytes, balloon->asked_bytes);

	if (after < BALLOON_STEP_BYTES)
		balloon->asked = false;
	else if (after + BALLOON_STEP_BYTES > before)
		return;
	moved(balloon, bytes, now_ms);
}

/* The most that it has held of what it was asked for: what is missing of that was taken. */
static uint64_t most_of_asked(struct balloon *balloon, uint64_t bytes)
{
	if (bytes > balloon->held_bytes ||
	    distance(bytes, balloon->asked_bytes) < BALLOON_STEP_BYTES)
		balloon->falling = false;
	if (balloon->falling || bytes > balloon->most_bytes)
		balloon->most_bytes = bytes;
	return balloon->knows_request && balloon->asked_bytes < balloon->most_bytes ?
	       balloon->asked_bytes : balloon->most_bytes;
}

/*
 * A guest that boots begins with an empty balloon, or nearly: it has taken nothing.  But it
 * is left alone for a while, too.
 */
static bool shrinks_by_itself(struct balloon *balloon, uint64_t bytes, uint64_t now_ms)
{
	if (bytes + BALLOON_STEP_BYTES > most_of_asked(balloon, bytes))
		return false;
	balloon->most_bytes = bytes;
	balloon->shrank_ms = now_ms;
	balloon->resting = true;
	if (!balloon->failed) {
		balloon->mark_bytes = bytes;
		balloon->mark_ms = now_ms;
	}
	return bytes > BALLOON_STEP_BYTES;
}

/**
 * balloon_holds() - what the balloon holds now
 * @balloon: the balloon
 * @bytes: what QEMU says
 * @now_ms: the time
 *
 * Return: true if the guest has taken memory from it that nobody gave it.
 */
bool balloon_holds(struct balloon *balloon, uint64_t bytes, uint64_t now_ms)
{
	bool taken = shrinks_by_itself(balloon, bytes, now_ms);

	if (bytes && !balloon->held_bytes)
		balloon->seen = true;
	balloon->held_bytes = bytes;
	if (balloon->asked)
		look_at_asked(balloon, bytes, now_ms);
	else
		look_at_unasked(balloon, bytes, now_ms);
	return taken;
}

static bool has_driver(const struct balloon *balloon)
{
	return balloon->device && balloon->seen && balloon->driver != BALLOON_DRIVER_IGNORE;
}

static bool grows(const struct balloon *balloon)
{
	return balloon->asked && balloon->asked_bytes > balloon->held_bytes;
}

/*
 * A driver that is at work is stopped.  One that rests is not woken, for what is known of the
 * balloon may be a second old; but who is short of memory is worth it where it may be at work.
 */
static bool is_to_be_stopped(const struct balloon *balloon, bool pressed)
{
	return grows(balloon) ? pressed || balloon->resting : pressed && !balloon->knows_request;
}

/**
 * balloon_should_ask() - is a target worth to be passed on to QEMU?
 * @balloon: the balloon
 * @bytes: what it should hold
 * @pressed: the guest is short of memory
 * @now_ms: the time
 *
 * For a guest that is short of memory, or has just taken some (@balloon->resting), @bytes is
 * no more than it holds, and what it still owes is withdrawn.
 */
bool balloon_should_ask(const struct balloon *balloon, uint64_t bytes, bool pressed,
			uint64_t now_ms)
{
	bool stuck = balloon->failed || (balloon->asked &&
		     now_ms - balloon->mark_ms >= BALLOON_STUCK_MS);

	if (!has_driver(balloon) || balloon->frozen)
		return false;
	if (is_to_be_stopped(balloon, pressed))
		return true;
	if (balloon->resting && bytes >= balloon->held_bytes)
		return false;
	if (stuck && distance(bytes, balloon->held_bytes) < BALLOON_STEP_BYTES)
		return false;
	return bytes != (balloon->asked ? balloon->asked_bytes : balloon->held_bytes);
}

/**
 * balloon_ask() - QEMU has been asked
 * @balloon: the balloon
 * @bytes: what it should hold
 * @now_ms: the time
 *
 * A balloon that is late does not get more time by being asked for more.  One that is
 * asked for what it holds, or less, owes nothing any more.
 */
void balloon_ask(struct balloon *balloon, uint64_t bytes, uint64_t now_ms)
{
	bool same_way = balloon->asked && (bytes > balloon->held_bytes) ==
					  (balloon->asked_bytes > balloon->held_bytes);

	if (balloon->asked && balloon->asked_bytes < balloon->held_bytes &&
	    bytes > balloon->asked_bytes)
		balloon->falling = true;
	balloon->most_bytes = balloon->held_bytes;
	balloon->asked_bytes = bytes;
	balloon->knows_request = true;
	if (!same_way) {
		balloon->mark_bytes = balloon->held_bytes;
		balloon->mark_ms = now_ms;
	}
	balloon->asked = distance(bytes, balloon->held_bytes) >= BALLOON_STEP_BYTES;
	if (!balloon->asked)
		balloon->failed = false;	/* what remains is to obey */
}

/**
 * balloon_state() - what to tell the module
 * @balloon: the balloon
 * @now_ms: the time
 */
enum balloon_state balloon_state(struct balloon *balloon, uint64_t now_ms)
{
	uint64_t late_ms = balloon->asked ? now_ms - balloon->mark_ms : 0;

	if (balloon->resting && now_ms - balloon->shrank_ms >= BALLOON_REST_MS)
		balloon->resting = false;
	if (!balloon->device || balloon->driver == BALLOON_DRIVER_IGNORE)
		return BALLOON_NONE;
	if (balloon->frozen)
		return BALLOON_FROZEN;
	if (!balloon->seen)
		return now_ms - balloon->born_ms >= BALLOON_GRACE_MS ? BALLOON_NONE :
								       BALLOON_UNKNOWN;
	if (late_ms >= BALLOON_UNCOOPERATIVE_MS)
		balloon->failed = true;
	if (balloon->failed)
		return BALLOON_UNCOOPERATIVE;
	return late_ms >= BALLOON_STUCK_MS ? BALLOON_STUCK : BALLOON_OK;
}

/** balloon_waits() - may the state change by time alone? */
bool balloon_waits(const struct balloon *balloon)
{
	return balloon->device && !balloon->frozen &&
	       (!balloon->seen || balloon->resting || (balloon->asked && !balloon->failed));
}

/** balloon_state_token() - @state as sysfs has it */
const char *balloon_state_token(enum balloon_state state)
{
	static const char *const tokens[BALLOON_STATES] = {
		[BALLOON_UNKNOWN] = "unknown",
		[BALLOON_OK] = "ok",
		[BALLOON_NONE] = "none",
		[BALLOON_STUCK] = "stuck",
		[BALLOON_UNCOOPERATIVE] = "uncooperative",
		[BALLOON_FROZEN] = "frozen",
	};

	return tokens[state];
}
