// SPDX-License-Identifier: GPL-2.0
/*
 * ballastctl doctor: pools that compress and swap.
 *
 * DOC: A module that does not (abi_version 2) has no such pools, and nothing is said.
 * Counters count since the mount: what has happened once stays a finding until then,
 * for pages that are lost stay lost.  Only reclaim that was stuck once, and is no
 * longer, is well; so that one is read twice.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl.h"

#define NEARLY_FULL	10	/* a tenth of the swap file is left */
#define LOOK_AGAIN_MS	1200	/* faults that wait ask for memory once a second */

static const char remount[] =
	"umount DIR && mount -t ballastfs -o size=...,swap=FILE,swapsize=SIZE none DIR  # VMs off";

static void examine_swap(struct doctor *doctor, const struct pool_view *pool)
{
	if (pool->swap_free_bytes > pool->swap_size_bytes / NEARLY_FULL)
		return;
	if (pool->swap_free_bytes)
		doctor_find(doctor, "pool", WRONG, remount,
			    "%s: of %s of swap file %s are left", pool->name,
			    size_text(pool->swap_size_bytes), size_text(pool->swap_free_bytes));
	else
		doctor_find(doctor, "pool", WRONG, remount,
			    "%s: the swap file (%s) is full", pool->name,
			    size_text(pool->swap_size_bytes));
}

static void examine_errors(struct doctor *doctor, const struct pool_view *pool)
{
	char mend[128];

	snprintf(mend, sizeof(mend), "journalctl -k | grep 'ballast: pool %s:'", pool->name);
	if (pool->pages_lost)
		doctor_find(doctor, "pool", WRONG, mend,
			    "%s: %" PRIu64 " page(s) of guests' memory lost: the swap file did not "
			    "give back what was written", pool->name, pool->pages_lost);
	if (pool->swap_write_errors)
		doctor_find(doctor, "pool", WRONG, mend,
			    "%s: %" PRIu64 " page(s) could not be written to the swap file",
			    pool->name, pool->swap_write_errors);
}

/* Memory and swap file, less what reclaim keeps free: what is promised and what may be. */
static void examine_promises(struct doctor *doctor, const struct pool_view *pool)
{
	char mend[160];

	snprintf(mend, sizeof(mend), "echo 1 >/sys/kernel/ballast/pools/%s/admission",
		 pool->name);
	if (!pool->swap_size_bytes && pool->promised_bytes > pool->size_bytes)
		doctor_find(doctor, "pool", WRONG, remount,
			    "%s: VMs have %s, the pool %s and no swap file: where sharing and "
			    "balloons are not enough they stand still", pool->name,
			    size_text(pool->promised_bytes), size_text(pool->size_bytes));
	else if (pool->swap_size_bytes && !pool->admission && pool->promised_bytes &&
		 !pool->admissible_bytes)
		doctor_find(doctor, "pool", WRONG, mend,
			    "%s: VMs have %s, all that the pool (%s) and its swap file (%s) can "
			    "hold or more, and admission is off", pool->name,
			    size_text(pool->promised_bytes), size_text(pool->size_bytes),
			    size_text(pool->swap_size_bytes));
}

static void examine_stuck(struct doctor *doctor, const struct pool_view *before,
			  const struct pool_view *now)
{
	if (now->reclaim_stuck <= before->reclaim_stuck)
		return;
	doctor_find(doctor, "pool", WRONG, "ballastctl status  # which VM could be stopped or moved",
		    "%s: memory is short and nothing can be taken (%" PRIu64 " times, and going on)",
		    now->name, now->reclaim_stuck);
}

static const struct pool_view *same_pool(const struct pool_view *pools, size_t count,
					 const char *name)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!strcmp(pools[i].name, name))
			return &pools[i];
	return NULL;
}

static void examine_pool(struct doctor *doctor, const struct pool_view *before,
			 const struct pool_view *pool)
{
	int wrong = doctor_wrong(doctor);

	if (pool->swap_size_bytes)
		examine_swap(doctor, pool);
	examine_errors(doctor, pool);
	examine_promises(doctor, pool);
	if (before)
		examine_stuck(doctor, before, pool);
	if (doctor_wrong(doctor) == wrong)
		doctor_find(doctor, "pool", WELL, NULL, "%s: %s free, compress=%s, swap file %s",
			    pool->name, size_text(pool->free_bytes), pool->compress,
			    pool->swap_size_bytes ? size_text(pool->swap_size_bytes) : "none");
}

/* Whoever was never stuck is not waited for. */
static void wait_if_stuck(const struct pool_view *pools, size_t count)
{
	struct timespec time = { LOOK_AGAIN_MS / 1000, LOOK_AGAIN_MS % 1000 * 1000000L };
	size_t i;

	for (i = 0; i < count; i++)
		if (pools[i].reclaim_stuck) {
			nanosleep(&time, NULL);
			return;
		}
}

/** doctor_examine_pools() - those that have a store */
void doctor_examine_pools(struct doctor *doctor)
{
	struct pool_view *before, *now;
	size_t count, count_now, i;

	view_pools(doctor_ctl(doctor), &before, &count);
	wait_if_stuck(before, count);
	view_pools(doctor_ctl(doctor), &now, &count_now);
	for (i = 0; i < count_now; i++)
		if (now[i].has_store)
			examine_pool(doctor, same_pool(before, count, now[i].name), &now[i]);
	free(before);
	free(now);
}
