// SPDX-License-Identifier: GPL-2.0
/*
 * Making a trace: VMs that come and go, sleep and wake up.
 *
 * DOC: The same numbers make the same trace, on every machine.  Sizes, shares
 * and bounds stay for a VM's life; activity walks, and jumps now and then.
 */
#include <stdlib.h>

#include "trace.h"

#define GIB	(1ULL << 30)

struct guest {
	u64 size_bytes;
	u64 min_bytes;
	u32 shares;
	u64 first_tick;
	u64 last_tick;
	u64 active_bp;
};

/* An LCG of 64 bits, its upper half. */
static u64 draw(u64 *seed, u64 below)
{
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (*seed >> 32) * below >> 32;
}

static void make_guest(struct guest *g, u64 ticks, u64 *seed)
{
	g->size_bytes = GIB << draw(seed, 7);
	g->min_bytes = draw(seed, 4) ? 0 : g->size_bytes / 4;
	g->shares = 500u << draw(seed, 4);
	g->first_tick = draw(seed, 2) ? 0 : draw(seed, ticks);
	g->last_tick = draw(seed, 2) ? ticks : g->first_tick + draw(seed, ticks);
	g->active_bp = draw(seed, BALLAST_BP + 1);
}

static void live(struct guest *g, u64 *seed)
{
	u64 step = draw(seed, 401);

	if (!draw(seed, 50))
		g->active_bp = draw(seed, BALLAST_BP + 1);
	else if (step <= 200)
		g->active_bp -= step < g->active_bp ? step : g->active_bp;
	else
		g->active_bp += step - 200;
	if (g->active_bp > BALLAST_BP)
		g->active_bp = BALLAST_BP;
}

static void print_guest(const struct guest *g, u64 tick, u64 vm)
{
	printf("%llu,%llu,%llu,%u,%llu,0,%llu,7500,0,0\n", (unsigned long long)tick,
	       (unsigned long long)vm, (unsigned long long)g->size_bytes, g->shares,
	       (unsigned long long)g->min_bytes, (unsigned long long)g->active_bp);
}

/**
 * trace_generate() - print a synthetic trace
 * @vms: so many in all, half of them all the time; at most BALLAST_VMS_MAX
 * @ticks: so many
 * @seed: which trace of that size
 */
void trace_generate(u64 vms, u64 ticks, u64 seed)
{
	struct guest *guests = calloc(vms, sizeof(*guests));
	enum column c;
	u64 tick, i;

	if (!guests)
		die(1, "out of memory");
	for (i = 0; i < vms; i++)
		make_guest(&guests[i], ticks, &seed);
	for (c = 0; c < TRACE_REQUIRED; c++)
		printf("%s%s", c ? "," : "", column_name(c));
	putchar('\n');
	for (tick = 0; tick < ticks; tick++)
		for (i = 0; i < vms; i++) {
			struct guest *g = &guests[i];

			if (tick < g->first_tick || tick > g->last_tick)
				continue;
			live(g, &seed);
			print_guest(g, tick, i + 1);
		}
	free(guests);
}
