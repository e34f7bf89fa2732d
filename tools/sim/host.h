/* SPDX-License-Identifier: GPL-2.0 */
/* The simulated host: what the module would decide, tick by tick. */
#ifndef BALLAST_SIM_HOST_H
#define BALLAST_SIM_HOST_H

#include "policy/plan.h"
#include "trace.h"

/**
 * struct settings - what the host is like; the rest is in the trace
 * @pool_bytes: instead of the trace's; NOT_GIVEN: the trace's
 * @tax_bp: instead of the trace's, for every VM; NOT_GIVEN: the trace's
 * @sliding: thresholds grow slower than the pool, not @threshold_bp
 * @threshold_bp: by state
 * @pace: of the balloons
 * @enforce: a balloon that nobody speaks for does not move
 * @own_balloons: balloons obey this host; recorded ones are not looked at
 */
struct settings {
	u64 pool_bytes;
	u64 tax_bp;
	bool sliding;
	u32 threshold_bp[BALLAST_STATE_NR];
	struct ballast_pace pace;
	bool enforce;
	bool own_balloons;
};

struct balloon;

/**
 * struct host - one pool and its VMs
 * @settings: as given
 * @claims: of the tick's VMs, in the order of its rows
 * @moves: the same VMs' balloons
 * @room: VMs that there is memory for
 * @plan: the pool
 * @balloons: what is known of each VM from the tick before; a hash table
 * @balloon_slots: its size, a power of two
 * @balloon_count: used of it
 * @ticks: simulated so far
 */
struct host {
	struct settings settings;
	struct ballast_claim *claims;
	struct ballast_move *moves;
	size_t room;
	struct ballast_plan_pool plan;
	struct balloon *balloons;
	size_t balloon_slots;
	size_t balloon_count;
	u64 ticks;
};

void host_tick(struct host *host, const struct rows *rows);
void host_free(struct host *host);

#endif /* BALLAST_SIM_HOST_H */
