/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pressure: what PSI says, and when it is too much.
 */
#ifndef BALLAST_BALLOON_PRESSURE_H
#define BALLAST_BALLOON_PRESSURE_H

#include "env.h"

/**
 * enum ballast_reason - why a step is what it is
 * @BALLAST_REASON_NONE: nothing to say
 * @BALLAST_REASON_HOST: the host's target
 * @BALLAST_REASON_SELF: the guest's own target
 * @BALLAST_REASON_FLOOR: refused, available memory would fall below the floor
 * @BALLAST_REASON_SHORT: the guest had not as much to give
 * @BALLAST_REASON_PSI_SOME: veto, some tasks wait for memory
 * @BALLAST_REASON_PSI_FULL: veto, all tasks wait for memory
 * @BALLAST_REASON_SWAP_IN: veto, the guest reads from swap what it needs
 * @BALLAST_REASON_OOM: given back because the guest was out of memory
 * @BALLAST_REASON_DEVICE: the device does not answer any more
 * @BALLAST_REASON_NR: number of reasons
 */
enum ballast_reason {
	BALLAST_REASON_NONE,
	BALLAST_REASON_HOST,
	BALLAST_REASON_SELF,
	BALLAST_REASON_FLOOR,
	BALLAST_REASON_SHORT,
	BALLAST_REASON_PSI_SOME,
	BALLAST_REASON_PSI_FULL,
	BALLAST_REASON_SWAP_IN,
	BALLAST_REASON_OOM,
	BALLAST_REASON_DEVICE,
	BALLAST_REASON_NR
};

/**
 * struct ballast_psi - the text of a memory.pressure file
 * @some_avg10_bp: share of the last 10 s in which some task waited, 1/100 %
 * @full_avg10_bp: the same for all tasks at once
 * @some_total_us: time some task waited, since boot
 * @full_total_us: the same for all
 */
struct ballast_psi {
	u32 some_avg10_bp;
	u32 full_avg10_bp;
	u64 some_total_us;
	u64 full_total_us;
};

/**
 * struct ballast_pressure - the guest's pressure, as judged
 * @some_avg10_bp: as in struct ballast_psi
 * @full_avg10_bp: as in struct ballast_psi
 * @some_now_bp: share of the time since the last look in which some task waited
 * @full_now_bp: the same for all
 * @swap_in_bytes_per_s: read from swap since the last look
 */
struct ballast_pressure {
	u32 some_avg10_bp;
	u32 full_avg10_bp;
	u32 some_now_bp;
	u32 full_now_bp;
	u64 swap_in_bytes_per_s;
};

/**
 * struct ballast_own_wait - what PSI counted in steps in which the driver waited
 * @some_us: time some task waited
 * @full_us: time all tasks waited
 * @elapsed_ms: how long these steps were
 *
 * PSI counts the driver's reclaim as it counts that of any task.  That is what a
 * balloon is for, not what hurts the guest.
 */
struct ballast_own_wait {
	u64 some_us;
	u64 full_us;
	u64 elapsed_ms;
};

/**
 * struct ballast_pressure_limits - what is too much
 * @some_bp: of some, both avg10 and now; 0: no limit
 * @full_bp: of full, the same
 * @swap_in_bytes_per_s: 0: no limit
 */
struct ballast_pressure_limits {
	u32 some_bp;
	u32 full_bp;
	u64 swap_in_bytes_per_s;
};

bool ballast_psi_parse(const char *text, struct ballast_psi *psi);
u32 ballast_pressure_share_bp(u64 before_us, u64 now_us, u64 elapsed_ms);
u32 ballast_pressure_average_bp(u32 avg10_bp, u32 share_bp, u64 elapsed_ms);
void ballast_pressure_since(struct ballast_pressure *p, const struct ballast_psi *before,
			    const struct ballast_psi *now, u64 elapsed_ms,
			    const struct ballast_own_wait *own);
void ballast_pressure_without_own(struct ballast_pressure *p, u32 some_avg10_bp, u32 full_avg10_bp);
enum ballast_reason ballast_pressure_now(const struct ballast_pressure *p,
					 const struct ballast_pressure_limits *limits);
enum ballast_reason ballast_pressure_lasting(const struct ballast_pressure *p,
					     const struct ballast_pressure_limits *limits);
const char *ballast_reason_token(enum ballast_reason reason);

#endif /* BALLAST_BALLOON_PRESSURE_H */
