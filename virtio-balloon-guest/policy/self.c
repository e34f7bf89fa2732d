// SPDX-License-Identifier: GPL-2.0
/*
 * Self-ballooning: what the guest has not committed itself to, and no reserve,
 * goes to the host.
 *
 * DOC: Down at once, up slowly: a guest that begins to use memory must have
 * it, one that stopped may begin again.  Between the two lies a dead band, so that a
 * guest that breathes does not move the balloon with each breath.
 */
#include "self.h"

#define DEAD_BAND_SHIFT	6	/* a 64th of the guest */
#define STEP_SHIFT	4	/* up by a 16th of the guest a period */

/**
 * ballast_self_target_bytes - the guest's own target, once a period
 * @last_bytes: what it was
 * @guest_bytes: the guest's size, the balloon included
 * @committed_bytes: Committed_AS
 * @reserve_bytes: on top of that, for the page cache and for growth
 *
 * Return: bytes that the balloon should hold at least; below @guest_bytes.
 */
u64 ballast_self_target_bytes(u64 last_bytes, u64 guest_bytes, u64 committed_bytes,
			      u64 reserve_bytes)
{
	const u64 spare = ballast_less(ballast_less(guest_bytes, committed_bytes),
				       reserve_bytes);

	if (spare <= last_bytes)
		return spare;
	if (spare - last_bytes < guest_bytes >> DEAD_BAND_SHIFT)
		return last_bytes;
	return ballast_min(spare, last_bytes + (guest_bytes >> STEP_SHIFT));
}
