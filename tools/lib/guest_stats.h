/* SPDX-License-Identifier: GPL-2.0 */
/* What a guest says about its memory, by whichever way it came. */
#ifndef BALLAST_TOOLS_GUEST_STATS_H
#define BALLAST_TOOLS_GUEST_STATS_H

#include <stdint.h>

#define BALLAST_STAT_UNSAID	UINT64_MAX

/**
 * struct ballast_guest_stats - one report of a balloon driver
 * @available_bytes: could be had without swapping
 * @total_bytes: all that the guest has
 * @swap_in_bytes: read back from swap since it booted
 * @major_faults: since it booted
 * @oom_kills: since it booted
 * @updated_s: when the guest said so (wall clock); 0: it never has
 *
 * Each may be BALLAST_STAT_UNSAID.  All of it is a guest's word: any number.
 */
struct ballast_guest_stats {
	uint64_t available_bytes;
	uint64_t total_bytes;
	uint64_t swap_in_bytes;
	uint64_t major_faults;
	uint64_t oom_kills;
	uint64_t updated_s;
};

#define BALLAST_GUEST_STATS_NONE { \
	BALLAST_STAT_UNSAID, BALLAST_STAT_UNSAID, BALLAST_STAT_UNSAID, \
	BALLAST_STAT_UNSAID, BALLAST_STAT_UNSAID, 0 }

#endif /* BALLAST_TOOLS_GUEST_STATS_H */
