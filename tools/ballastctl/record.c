// SPDX-License-Identifier: GPL-2.0
/*
 * ballastctl record: what the policy saw, a row for each VM and balance period.
 *
 * DOC: The rows are what ballast-sim reads: what the module took in, in its
 * units, of one pool.  held_bytes is what cannot be taken from the VM whatever
 * its price (unreclaimable_bytes).  --targets keeps what the module made of it, in
 * the form in which ballast-sim prints it.
 *
 * Whether the pool has a swap file, and so no VM holds what its balloon cannot give, is
 * not in a trace.  One thing is not in sysfs: which pages of a VM on ballastfs are holes because
 * they were all zero.  The module counts them as had where a balloon does not
 * move; of such a VM, and only there, a replay may hold less than the module did.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ctl.h"

static const char trace_head[] =
	"tick,vm,size_bytes,shares,min_bytes,max_bytes,active_bp,tax_bp,floor_bytes,"
	"held_bytes,balloon_bytes,balloon_state,resident_bytes,pool_bytes,free_bytes,"
	"available_bytes\n";

static const char targets_head[] =
	"tick,vm,target_bytes,rho,reason,balloon_target_bytes,state\n";

/**
 * struct recorder - what is written where
 * @ctl: the options
 * @pool: whose VMs
 * @trace: what the module took in
 * @targets: what it made of it; NULL: not wanted
 */
struct recorder {
	const struct ctl *ctl;
	char pool[64];
	FILE *trace;
	FILE *targets;
};

static void print_row(FILE *f, uint64_t tick, const struct vm_view *vm,
		      const struct pool_view *pool)
{
	fprintf(f, "%" PRIu64 ",%d,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
		",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%s,%" PRIu64 ",%" PRIu64
		",%" PRIu64 ",%" PRIu64 "\n",
		tick, (int)vm->pid, vm->size_bytes, vm->shares, vm->min_bytes, vm->max_bytes,
		vm->active_bp, vm->tax_bp, vm->floor_bytes, vm->unreclaimable_bytes,
		vm->balloon_bytes, vm->balloon_state, vm->resident_bytes, pool->size_bytes,
		pool->free_bytes, pool->vms_available_bytes);
}

static void print_target(FILE *f, uint64_t tick, const struct vm_view *vm,
			 const struct pool_view *pool)
{
	fprintf(f, "%" PRIu64 ",%d,%" PRIu64 ",%s,%s,%" PRIu64 ",%s\n", tick, (int)vm->pid,
		vm->target_bytes, vm->rho, vm->reason, vm->balloon_target_bytes, pool->state);
}

static struct pool_view pool_of(const struct recorder *recorder)
{
	struct pool_view *pools, found = { 0 };
	size_t count, i;

	view_pools(recorder->ctl, &pools, &count);
	for (i = 0; i < count; i++)
		if (!strcmp(pools[i].name, recorder->pool))
			found = pools[i];
	free(pools);
	return found;
}

static int record_tick(const struct recorder *recorder, uint64_t tick)
{
	struct pool_view pool = pool_of(recorder);
	struct vm_view *vms;
	size_t count, i;

	view_vms(recorder->ctl, &vms, &count);
	for (i = 0; i < count; i++) {
		if (strcmp(vms[i].pool, recorder->pool))
			continue;
		print_row(recorder->trace, tick, &vms[i], &pool);
		if (recorder->targets)
			print_target(recorder->targets, tick, &vms[i], &pool);
	}
	free(vms);
	if (fflush(recorder->trace) || (recorder->targets && fflush(recorder->targets)))
		return -errno;
	return 0;
}

/* The period may be changed meanwhile. */
static void wait_for_next(const struct ctl *ctl, struct timespec *next)
{
	uint64_t period_ms;

	if (ballast_sysfs_read_u64(&ctl->sysfs, "policy/balance_period_ms", &period_ms) ||
	    !period_ms)
		period_ms = 15000;
	next->tv_sec += (time_t)(period_ms / 1000);
	next->tv_nsec += (long)(period_ms % 1000) * 1000000;
	if (next->tv_nsec >= 1000000000) {
		next->tv_nsec -= 1000000000;
		next->tv_sec++;
	}
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, next, NULL) == EINTR)
		;
}

/* The one that has VMs: a trace is of one pool. */
static int choose_pool(struct recorder *recorder)
{
	struct vm_view *vms;
	size_t count, i;
	int status = CTL_OK;

	if (recorder->ctl->pool) {
		snprintf(recorder->pool, sizeof(recorder->pool), "%s", recorder->ctl->pool);
		return CTL_OK;
	}
	view_vms(recorder->ctl, &vms, &count);
	snprintf(recorder->pool, sizeof(recorder->pool), "%s", count ? vms[0].pool : "host");
	for (i = 1; i < count && status == CTL_OK; i++)
		if (strcmp(vms[i].pool, recorder->pool)) {
			complain("there are VMs in %s and in %s: --pool says which to record",
				 recorder->pool, vms[i].pool);
			status = CTL_FAILED;
		}
	free(vms);
	return status;
}

/* Opened to be added to; a new one gets its first line. */
static FILE *open_csv(const char *name, const char *head)
{
	FILE *f = strcmp(name, "-") ? fopen(name, "ae") : stdout;

	if (!f)
		complain("%s: %s", name, strerror(errno));
	else if (f == stdout || (!fseek(f, 0, SEEK_END) && ftell(f) == 0))
		fputs(head, f);
	return f;
}

static int close_csv(FILE *f)
{
	if (!f || f == stdout)
		return 0;
	return fclose(f) ? -errno : 0;
}

static int record(const struct recorder *recorder)
{
	const struct ctl *ctl = recorder->ctl;
	struct timespec next;
	uint64_t tick = 0;
	int err;

	clock_gettime(CLOCK_MONOTONIC, &next);
	for (;;) {
		err = record_tick(recorder, tick++);
		if (err || (ctl->count && tick >= ctl->count) ||
		    !ballast_sysfs_present(&ctl->sysfs))
			return err;
		wait_for_next(ctl, &next);
	}
}

/** ctl_record() - ballastctl record FILE */
int ctl_record(struct ctl *ctl, int argc, char **argv)
{
	struct recorder recorder = { .ctl = ctl };
	int err, closed;

	if (ctl->json)
		complain("record writes what ballast-sim reads, CSV: not with --json");
	if (argc != 1 || ctl->json)
		return CTL_USAGE;
	if (no_module(ctl) || choose_pool(&recorder))
		return CTL_FAILED;
	recorder.trace = open_csv(argv[0], trace_head);
	if (!recorder.trace)
		return CTL_FAILED;
	if (ctl->targets) {
		recorder.targets = open_csv(ctl->targets, targets_head);
		if (!recorder.targets) {
			close_csv(recorder.trace);
			return CTL_FAILED;
		}
	}
	err = record(&recorder);
	closed = close_csv(recorder.trace);
	if (!err)
		err = closed;
	closed = close_csv(recorder.targets);
	if (!err)
		err = closed;
	if (!err)
		return CTL_OK;
	complain("%s: %s", argv[0], strerror(-err));
	return CTL_FAILED;
}
