/* SPDX-License-Identifier: GPL-2.0 */
/* Does a balloon obey?  The state machine behind balloon_state. */
#ifndef BALLASTD_BALLOON_H
#define BALLASTD_BALLOON_H

#include <stdbool.h>
#include <stdint.h>

#define BALLOON_STUCK_MS		5000
#define BALLOON_UNCOOPERATIVE_MS	20000
#define BALLOON_REST_MS		20000	/* after the guest has taken from it */
#define BALLOON_GRACE_MS		30000	/* for a driver to show itself */
#define BALLOON_STEP_BYTES		(1U << 20)	/* less is no movement */
#define BALLOON_PROBE_BYTES		(2U << 20)

enum balloon_state {
	BALLOON_UNKNOWN,	/* no driver has shown itself, it still may */
	BALLOON_OK,		/* is where it should be, or is moving there */
	BALLOON_NONE,		/* no device, or no driver in the guest */
	BALLOON_STUCK,		/* should move, has not for 5 s */
	BALLOON_UNCOOPERATIVE,	/* nor for 20 s */
	BALLOON_FROZEN,		/* the VM migrates or stands still: not to be asked */
	BALLOON_STATES,
};

enum balloon_driver {
	BALLOON_DRIVER_FIND_OUT,
	BALLOON_DRIVER_ASSUME,
	BALLOON_DRIVER_IGNORE,
};

/**
 * struct balloon - one VM's balloon
 * @driver: what the admin says about the driver
 * @device: QEMU has a balloon device
 * @seen: a driver has shown itself, by statistics or by moving
 * @frozen: the VM migrates or stands still
 * @knows_request: @asked_bytes is what QEMU has been asked for; else nobody here knows
 * @asked: it has been asked for @asked_bytes, and has not been there since
 * @failed: it has been uncooperative and has not moved since
 * @resting: the guest has taken from it by itself, a moment ago
 * @falling: it was to shrink when it was asked for more, and may not have heard of that yet
 * @held_bytes: what it holds, as far as known
 * @asked_bytes: what it should hold
 * @most_bytes: the most it has held since it was asked, or shrank by itself
 * @mark_bytes: what it held at @mark_ms
 * @mark_ms: when it last moved, or was asked, or thawed
 * @shrank_ms: when it last shrank by itself
 * @born_ms: when it was first looked at
 *
 * All times are of one monotonic clock and given by the caller.
 */
struct balloon {
	enum balloon_driver driver;
	bool device;
	bool seen;
	bool frozen;
	bool knows_request;
	bool asked;
	bool failed;
	bool resting;
	bool falling;
	uint64_t held_bytes;
	uint64_t asked_bytes;
	uint64_t most_bytes;
	uint64_t mark_bytes;
	uint64_t mark_ms;
	uint64_t shrank_ms;
	uint64_t born_ms;
};

void balloon_init(struct balloon *balloon, enum balloon_driver driver, uint64_t now_ms);
void balloon_set_device(struct balloon *balloon, bool present);
void balloon_driver_seen(struct balloon *balloon);
void balloon_freeze(struct balloon *balloon, bool frozen, uint64_t now_ms);
void balloon_has_failed(struct balloon *balloon);
bool balloon_is_to_be_probed(const struct balloon *balloon);
bool balloon_holds(struct balloon *balloon, uint64_t bytes, uint64_t now_ms);
bool balloon_should_ask(const struct balloon *balloon, uint64_t bytes, bool pressed,
			uint64_t now_ms);
void balloon_ask(struct balloon *balloon, uint64_t bytes, uint64_t now_ms);
enum balloon_state balloon_state(struct balloon *balloon, uint64_t now_ms);
bool balloon_waits(const struct balloon *balloon);
const char *balloon_state_token(enum balloon_state state);

#endif /* BALLASTD_BALLOON_H */
