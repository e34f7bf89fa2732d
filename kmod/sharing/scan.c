// SPDX-License-Identifier: GPL-2.0
/*
 * The scanner: which slots are looked at, when, and at what cost.
 *
 * DOC: One kernel thread serves all pools.  It works in slices of 100 ms: in
 * each it goes round the maps (VMs), a block of 512 slots at a time, until the
 * budget in pages (all, and each VM's) or its share of the CPU is used up, and
 * sleeps for the rest.  Going round in blocks gives every VM the same rate
 * whatever its size.
 *
 * A pass is complete when every map has been scanned once; the next one starts
 * not before pass_min_ms after the start of this one.  With no file, no pool
 * that shares, or run other than 1 the thread sleeps until it is kicked.
 *
 * Pages that were the same for some looks are passed over in some passes
 * (smart_scan): a page of age a is looked at in one pass of 2^a, which one
 * depends on the page, so that each pass has its share.  The slot's word says
 * enough, nothing is written.  What such a page has for others is found all the
 * same, by its hint; what waits is that a change of it is noticed.
 *
 * Locks: scan_lock (mutex) is held for one block; who must know that no
 * merge is under way takes it.  Inside: map->scan_lock.
 */
#include <linux/freezer.h>
#include <linux/kthread.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/wait.h>

#include "merge.h"
#include "sharing.h"
#include "unshare.h"

#define SLICE_MS	100
#define SLICES_PER_S	(1000 / SLICE_MS)

struct ballast_sharing_tunables ballast_sharing_tunables = {
	/* 200 MiB/s: 64 GiB in five and a half minutes, at about 5 % of a CPU */
	.rate_pages_per_s = 51200,
	.vm_rate_pages_per_s = 25600,
	.cpu_percent = 10,
	/* a small host is not scanned over and over */
	.pass_min_ms = 10000,
	/* most pages of a VM that are not shared will not be in the next pass */
	.smart_scan = 1,
};

static DEFINE_MUTEX(scan_lock);
static DECLARE_WAIT_QUEUE_HEAD(scan_wait);
static struct task_struct *scan_task;
/* Under run_lock for writing. */
static DEFINE_MUTEX(run_lock);
static int run = BALLAST_RUN_SCAN;
static unsigned int run_writes;
static atomic_t kicks;
/* Pools with a sharing mode other than off. */
static atomic_t sharing_pools;

/* The scanner's own; others read the statistics. */
static struct ballast_scan scan;
static u64 pass = 1, slice_nr;
static ktime_t pass_start;
static u64 full_scans, cpu_ns;

/* A round gives every map one turn; it may take several slices. */
static struct {
	unsigned long next_id;	/* the last map that had its turn */
	bool worked;		/* a map was scanned */
	bool pending;		/* a map is not done in this pass */
} round;

/* A rate, read once, in slots a slice. */
static unsigned int slots_per_slice(const unsigned int *per_s)
{
	unsigned int rate = READ_ONCE(*per_s);

	return rate ? max(rate / SLICES_PER_S, 1U) : UINT_MAX;
}

/* May pages be passed over?  Not before a new mode has looked at each. */
static bool may_skip(struct ballast_pool *pool)
{
	return READ_ONCE(ballast_sharing_tunables.smart_scan) &&
	       pass > READ_ONCE(pool->look_at_all);
}

static bool is_due(unsigned long word, pgoff_t pgoff)
{
	return !((pass + pgoff) & ((1U << ballast_word_age(word)) - 1));
}

/* With the locks held nobody waits for memory: the reclaim threads wait for the locks. */
static bool have_spare(void)
{
	if (!scan.spare)
		scan.spare = alloc_page(GFP_NOWAIT | __GFP_HIGHMEM | __GFP_NOWARN);
	return scan.spare;
}

/* Scan up to @budget populated slots of one block; returns how many. */
static unsigned long scan_block(struct ballast_map *map,
				struct ballast_block *block, unsigned long budget)
{
	pgoff_t base = block->index << BALLAST_BLOCK_SHIFT;
	pgoff_t end = base + BALLAST_BLOCK_SLOTS;
	unsigned long word, done = 0, skipped = 0;
	bool skip = may_skip(map->pool);
	struct ballast_slot slot;
	pgoff_t pgoff;

	for (pgoff = max(map->scan_next, base); pgoff < end && done < budget; pgoff++) {
		ballast_slot_init(&slot, block, pgoff);
		word = ballast_slot_peek(&slot);
		if (ballast_word_state(word) != BALLAST_PRIVATE)
			continue;
		if (skip && !is_due(word, pgoff)) {
			skipped++;
			continue;
		}
		if (unlikely(!have_spare()))
			break;	/* the host is short: not now */
		ballast_scan_slot(&scan, &slot);
		ballast_pool_count(scan.pool, BALLAST_EVENT_SCANNED);
		done++;
	}
	map->scan_next = pgoff;
	ballast_pool_count_many(map->pool, BALLAST_EVENT_SKIPPED_UNCHANGED, skipped);
	return done;
}

/* The block at the cursor or the next one; NULL ends the map's pass. */
static struct ballast_block *next_block(struct ballast_map *map)
{
	unsigned long index = map->scan_next >> BALLAST_BLOCK_SHIFT;

	return xa_find(&map->blocks, &index, ULONG_MAX, XA_PRESENT);
}

static void end_map_pass(struct ballast_map *map)
{
	map->scan_next = 0;
	map->scan_pass = pass;
}

/* One block's worth of work on a map; returns the slots scanned. */
static unsigned long scan_map(struct ballast_map *map, unsigned long budget)
{
	struct ballast_block *block;
	struct page *spare = NULL;
	unsigned long done = 0;
	int srcu;

	if (unlikely(!READ_ONCE(scan.spare)))
		spare = alloc_page(GFP_HIGHUSER | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	mutex_lock(&scan_lock);
	if (!scan.spare)
		swap(scan.spare, spare);
	mutex_lock(&map->scan_lock);
	srcu = ballast_map_enter();
	scan.pool = map->pool;
	scan.domain = ballast_sharing_domain_now(map);
	block = next_block(map);
	if (READ_ONCE(run) != BALLAST_RUN_SCAN) {
		/* stopped since we looked: whoever did so relies on it */
	} else if (map->dead || scan.domain == BALLAST_DOMAIN_NONE || !block) {
		end_map_pass(map);
	} else {
		ballast_index_fit(map->pool, ballast_pool_used_pages(map->pool));
		done = scan_block(map, block, budget);
	}
	ballast_map_leave(srcu);
	mutex_unlock(&map->scan_lock);
	mutex_unlock(&scan_lock);
	if (unlikely(spare))
		__free_page(spare);
	return done;
}

/* The locks are held, the map is alive and may share. */
static unsigned int try_slots(struct ballast_block *block, unsigned long *slots)
{
	struct ballast_slot slot;
	unsigned int gone = 0;
	unsigned long at;

	for_each_set_bit(at, slots, BALLAST_BLOCK_SLOTS) {
		if (!have_spare())
			break;
		ballast_slot_init(&slot, block, (block->index << BALLAST_BLOCK_SHIFT) + at);
		if (ballast_word_state(ballast_slot_peek(&slot)) == BALLAST_PRIVATE)
			ballast_scan_slot(&scan, &slot);
		if (ballast_word_state(ballast_slot_peek(&slot)) == BALLAST_PRIVATE)
			continue;
		__clear_bit(at, slots);
		gone++;
	}
	return gone;
}

/**
 * ballast_sharing_try() - share pages that are about to be taken, if that can be
 * @block: found in the SRCU section that the caller is in
 * @slots: which of its slots; those that are private no longer are cleared
 *
 * As the scanner does it, where it may: not with run 0 or 2, nor with sharing=off.
 *
 * Context: process; waits for the scanner to finish a block.
 * Return: how many were cleared.
 */
unsigned int ballast_sharing_try(struct ballast_block *block, unsigned long *slots)
{
	struct ballast_map *map = block->map;
	unsigned int gone = 0;

	mutex_lock(&scan_lock);
	mutex_lock(&map->scan_lock);
	scan.pool = map->pool;
	scan.domain = ballast_sharing_domain_now(map);
	if (READ_ONCE(run) == BALLAST_RUN_SCAN && !map->dead &&
	    scan.domain != BALLAST_DOMAIN_NONE) {
		ballast_index_move(map->pool);
		gone = try_slots(block, slots);
	}
	mutex_unlock(&map->scan_lock);
	mutex_unlock(&scan_lock);
	return gone;
}

/* What is left of a map's budget in this slice. */
static unsigned long map_budget(struct ballast_map *map, unsigned long per_slice)
{
	if (map->scan_slice != slice_nr) {
		map->scan_slice = slice_nr;
		map->scan_done = 0;
	}
	return per_slice - min(per_slice, map->scan_done);
}

static bool should_stop(void)
{
	return kthread_should_stop() || freezing(current) ||
	       READ_ONCE(run) != BALLAST_RUN_SCAN;
}

/* What a slice came to */
enum slice_end {
	SLICE_BUDGET,		/* pages or time used up */
	SLICE_VM_BUDGETS,	/* VMs are left in this pass, their budgets are not */
	SLICE_PASS_DONE,	/* every map has been scanned in this pass */
};

static enum slice_end end_round(void)
{
	enum slice_end end = SLICE_BUDGET;

	if (!round.worked)
		end = round.pending ? SLICE_VM_BUDGETS : SLICE_PASS_DONE;
	round.next_id = 0;
	round.worked = round.pending = false;
	return end;
}

/* A map's turn; returns the slots scanned. */
static unsigned long visit_map(struct ballast_map *map, unsigned long left,
			       unsigned long each)
{
	unsigned long done, budget = min(map_budget(map, each), left);

	if (map->scan_pass >= pass)
		return 0;
	round.pending = true;
	if (!budget)
		return 0;
	round.worked = true;
	done = scan_map(map, budget);
	map->scan_done += done;
	return done;
}

static enum slice_end run_slice(ktime_t start)
{
	const struct ballast_sharing_tunables *tunables = &ballast_sharing_tunables;
	unsigned long left = slots_per_slice(&tunables->rate_pages_per_s);
	unsigned long each = slots_per_slice(&tunables->vm_rate_pages_per_s);
	unsigned int percent = READ_ONCE(tunables->cpu_percent);
	ktime_t until = ktime_add_us(start, SLICE_MS * 10 * percent);
	enum slice_end end = SLICE_BUDGET;

	slice_nr++;
	while (left && !should_stop() && ktime_before(ktime_get(), until)) {
		struct ballast_map *map = ballast_map_next(&round.next_id);

		if (map) {
			left -= visit_map(map, left, each);
			ballast_map_put(map);
		} else {
			end = end_round();
			if (end != SLICE_BUDGET)
				break;
		}
		cond_resched();
	}
	return end;
}

static bool may_scan(void)
{
	return READ_ONCE(run) == BALLAST_RUN_SCAN && atomic_read(&sharing_pools) &&
	       ballast_maps_exist();
}

/*
 * Kicks so far.  Asked for before the tunables are read that a sleep is computed
 * from: a kick that comes later than this ends the sleep, and one that came
 * before it has its tunable read.
 */
static int kicks_seen(void)
{
	return atomic_read_acquire(&kicks);
}

/* Sleep, unless there was a kick since @seen, and until there is one. */
static void sleep_ms(unsigned long ms, int seen)
{
	if (ms)
		wait_event_freezable_timeout(scan_wait, kthread_should_stop() ||
					     atomic_read(&kicks) != seen,
					     msecs_to_jiffies(ms) ?: 1);
}

/*
 * The pass is over: sleep until the next one may start.  Stopped and started again it
 * starts at once, however short the time in between.
 */
static void wait_for_pass(void)
{
	/* before anybody sees that it is over */
	unsigned int writes = READ_ONCE(run_writes);
	s64 rest;
	int seen;

	smp_store_release(&full_scans, full_scans + 1);
	WRITE_ONCE(pass, pass + 1);
	/* a kick may have brought another pass_min_ms */
	while (seen = kicks_seen(), !kthread_should_stop() && may_scan() &&
	       READ_ONCE(run_writes) == writes) {
		rest = READ_ONCE(ballast_sharing_tunables.pass_min_ms) -
		       ktime_ms_delta(ktime_get(), pass_start);
		if (rest <= 0)
			break;
		sleep_ms(rest, seen);
	}
	pass_start = ktime_get();
}

/* Sleep for what is left of the slice, and as long as cpu_percent asks for. */
static void wait_for_slice(u64 worked_ns)
{
	int seen = kicks_seen();
	unsigned int percent = READ_ONCE(ballast_sharing_tunables.cpu_percent);
	s64 rest = SLICE_MS - (s64)div_u64(worked_ns, NSEC_PER_MSEC);
	s64 share = div_u64(worked_ns * (100 - percent), percent * NSEC_PER_MSEC);

	sleep_ms(max3(rest, share, (s64)0), seen);
}

static int scan_thread(void *unused)
{
	enum slice_end end;
	ktime_t start;
	u64 worked;

	set_freezable();
	pass_start = ktime_get();
	while (!kthread_should_stop()) {
		wait_event_freezable(scan_wait, kthread_should_stop() || may_scan());
		start = ktime_get();
		end = run_slice(start);
		worked = ktime_to_ns(ktime_sub(ktime_get(), start));
		WRITE_ONCE(cpu_ns, cpu_ns + worked);
		if (end == SLICE_PASS_DONE)
			wait_for_pass();
		/* passes may be short: budgets hold over them too */
		wait_for_slice(worked);
	}
	return 0;
}

/* ballast_sharing_kick() - something to scan, or a tunable, has changed */
void ballast_sharing_kick(void)
{
	/* what has changed is to be seen by who sees the kick */
	smp_mb__before_atomic();
	atomic_inc(&kicks);
	wake_up(&scan_wait);
}

/* No merge that began under an older mode or run is under way on return. */
static void wait_for_scanner(void)
{
	mutex_lock(&scan_lock);
	mutex_unlock(&scan_lock);
}

int ballast_sharing_run(void)
{
	return READ_ONCE(run);
}

/**
 * ballast_sharing_set_run() - start, stop, or stop and unshare
 * @value: enum ballast_sharing_run
 *
 * Return: 0; -EINVAL; -ENOSPC if unsharing does not fit into a pool: nothing
 * is changed if that is known beforehand, scanning has stopped if a pool
 * filled up on the way; -EINTR or -EIO: as in ballast_unshare().
 */
int ballast_sharing_set_run(int value)
{
	int err = 0;

	if (value < BALLAST_RUN_STOP || value > BALLAST_RUN_UNSHARE)
		return -EINVAL;
	if (mutex_lock_interruptible(&run_lock))
		return -EINTR;
	if (value == BALLAST_RUN_UNSHARE && !ballast_unshare_all_fits()) {
		err = -ENOSPC;
		goto unlock;
	}
	WRITE_ONCE(run, value == BALLAST_RUN_SCAN ? value : BALLAST_RUN_STOP);
	WRITE_ONCE(run_writes, run_writes + 1);
	wait_for_scanner();
	if (value == BALLAST_RUN_UNSHARE)
		err = ballast_unshare(NULL, true);
	if (!err)
		WRITE_ONCE(run, value);
unlock:
	mutex_unlock(&run_lock);
	ballast_sharing_kick();
	return err;
}

/* No merge that began under the older mode is under way on return. */
static void set_pool_mode(struct ballast_pool *pool, int mode)
{
	if (mode == pool->sharing)
		return;
	mutex_lock(&scan_lock);
	atomic_add((mode != BALLAST_SHARING_OFF) - (pool->sharing != BALLAST_SHARING_OFF),
		   &sharing_pools);
	WRITE_ONCE(pool->sharing, mode);
	/* the pass under way has looked at some pages for the old mode */
	WRITE_ONCE(pool->look_at_all, READ_ONCE(pass) + 1);
	mutex_unlock(&scan_lock);
}

/**
 * ballast_sharing_set_mode() - who may share in a pool from now on
 * @pool: in which
 * @mode: enum ballast_sharing_mode
 *
 * What the new mode forbids is made private before this returns.
 *
 * Context: remount.
 * Return: 0; -ENOSPC if that takes more memory than the pool has left; -EINTR or
 * -EIO, as in ballast_unshare();
 * the mode is then the old one.
 */
int ballast_sharing_set_mode(struct ballast_pool *pool, int mode)
{
	int old = pool->sharing, err = 0;

	if (mode < old && !ballast_unshare_fits(pool, mode))
		return -ENOSPC;
	set_pool_mode(pool, mode);
	if (mode < old)
		err = ballast_unshare(pool, false);
	if (err)
		set_pool_mode(pool, old);
	ballast_sharing_kick();
	return err;
}

/* ballast_sharing_full_scans() - passes completed since the module was loaded */
u64 ballast_sharing_full_scans(void)
{
	return READ_ONCE(full_scans);
}

/* ballast_sharing_cpu_ns() - time the scanner was at work, sleeps not counted */
u64 ballast_sharing_cpu_ns(void)
{
	return READ_ONCE(cpu_ns);
}

u64 ballast_sharing_index_bytes(struct ballast_pool *pool)
{
	return ballast_index_bytes(pool->index);
}

/**
 * ballast_sharing_add_pool() - a mount is being made
 * @pool: its pool, without a frame yet
 *
 * Return: 0 or -ENOMEM.
 */
int ballast_sharing_add_pool(struct ballast_pool *pool)
{
	pool->share_ops = &ballast_index_share_ops;
	pool->index = ballast_index_create();
	if (!pool->index)
		return -ENOMEM;
	if (pool->sharing != BALLAST_SHARING_OFF)
		atomic_inc(&sharing_pools);
	return 0;
}

/* ballast_sharing_remove_pool() - its last file is gone, the scanner with it */
void ballast_sharing_remove_pool(struct ballast_pool *pool)
{
	wait_for_scanner();
	/* without an index it was not added: a mount that failed */
	if (pool->index && pool->sharing != BALLAST_SHARING_OFF)
		atomic_dec(&sharing_pools);
	ballast_index_destroy(pool->index);
	pool->index = NULL;
}

int __init ballast_sharing_init(void)
{
	ballast_merge_init();
	scan_task = kthread_run(scan_thread, NULL, "ballast_share");
	return PTR_ERR_OR_ZERO(scan_task);
}

void ballast_sharing_exit(void)
{
	kthread_stop(scan_task);
	if (scan.spare)
		__free_page(scan.spare);
}
