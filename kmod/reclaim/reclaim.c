// SPDX-License-Identifier: GPL-2.0
/*
 * Reclaim: a thread for each pool that brings free memory back.
 *
 * DOC: It sets to work when less than the hard threshold is free and goes on until
 * the soft one is (ESX paper, 6.2).  A charge that takes the pool below the
 * threshold wakes it at once; the engine wakes it when balloons were too slow.
 * Without a file above its target, and only below the hard threshold, anybody's pages
 * are taken: what there is must go round.
 *
 * Free first, then grant: a fault that found no room waits until the thread, or
 * a balloon, has given pages back.  In state low the thread also has VMs above
 * their target wait, as long as it gets on; if there is nothing left to take
 * (the swap file is full, or there is none) it says so and lets them go on.
 *
 * Locks: none held while it sleeps.  See victim.c for a round's.
 */
#include <linux/freezer.h>
#include <linux/kthread.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>

#include "../store/store.h"
#include "reclaim.h"

#define STUCK_WAIT	msecs_to_jiffies(200)
#define TO_LIMIT_WAIT	(30 * HZ)
#define TO_LIMIT_STUCK	15U	/* times stuck without a page in between: three seconds */

static long pages_left(struct ballast_pool *pool)
{
	return (long)READ_ONCE(pool->limit_pages) - (long)ballast_pool_used_pages(pool);
}

static long pages_above(struct ballast_pool *pool, unsigned long pages)
{
	return (long)ballast_pool_used_pages(pool) - (long)pages;
}

static void kick(struct ballast_pool *pool)
{
	struct ballast_reclaim *reclaim = pool->reclaim;

	if (atomic_read(&reclaim->kicked) || atomic_xchg(&reclaim->kicked, 1))
		return;
	wake_up(&reclaim->wait);
}

/* What the host has asked for, if it is short still. */
static long host_pages(struct ballast_reclaim *reclaim)
{
	long pages = atomic_long_read(&reclaim->host_pages);

	if (pages > 0 && !ballast_reclaim_host_is_short()) {
		atomic_long_set(&reclaim->host_pages, 0);
		pages = 0;
	}
	return pages;
}

/* How much is short; 0: nothing to do.  *anybody: even from who is at his target. */
static long wanted_pages(struct ballast_reclaim *reclaim, bool *anybody)
{
	long free = pages_left(reclaim->pool);
	long asked = atomic_long_read(&reclaim->asked_pages);
	long host = host_pages(reclaim);

	if (free < (long)READ_ONCE(reclaim->hard_pages))
		reclaim->striving = true;
	else if (free >= (long)READ_ONCE(reclaim->soft_pages))
		reclaim->striving = false;
	*anybody = reclaim->striving || host > 0;
	asked = max3(asked, host, 0L);
	if (reclaim->striving)
		return max3(asked, (long)READ_ONCE(reclaim->soft_pages) - free, 1L);
	return asked;
}

/* As the pool's state low: once begun it ends where hard would begin. */
static bool is_low(const struct ballast_reclaim *reclaim)
{
	struct ballast_pool *pool = reclaim->pool;

	return pages_left(pool) < (long)(pool->holding_back ? READ_ONCE(reclaim->hard_pages) :
							      READ_ONCE(reclaim->low_pages));
}

static void hold_back(struct ballast_reclaim *reclaim, bool hold)
{
	struct ballast_pool *pool = reclaim->pool;

	if (pool->holding_back == hold)
		return;
	WRITE_ONCE(pool->holding_back, hold);
	if (!hold)
		ballast_pool_wake(pool);
}

static const char *why_stuck(struct ballast_reclaim *reclaim)
{
	struct ballast_store *store = reclaim->pool->store;

	if (!store->swap)
		return "it has no swap file";
	if (ballast_reclaim_swap_is_full(reclaim))
		return "its swap file is full";
	if (ballast_store_writes_rest(store))
		return "its swap file cannot be written";
	if (reclaim->late)
		return "none of the shared pages is found unused so far";
	return "pages are in use";
}

static void report_stuck(struct ballast_reclaim *reclaim)
{
	ballast_pool_count(reclaim->pool, BALLAST_EVENT_RECLAIM_STUCK);
	WRITE_ONCE(reclaim->stuck_times, reclaim->stuck_times + 1);
	WRITE_ONCE(reclaim->stuck_at, jiffies);
	if (reclaim->stuck)
		return;
	WRITE_ONCE(reclaim->stuck, true);
	pr_warn_ratelimited("ballast: pool %s: %ld pages free, and nothing can be taken: %s\n",
			    reclaim->pool->name, pages_left(reclaim->pool),
			    why_stuck(reclaim));
}

/* Who waits is not to wait for what may not be found.  The thread goes on. */
static void tell_stuck(struct ballast_reclaim *reclaim)
{
	reclaim->late = true;
	report_stuck(reclaim);
	hold_back(reclaim, false);
	wake_up_all(&reclaim->progress);
}

static void take_off(atomic_long_t *pages, long taken)
{
	if (atomic_long_sub_return(taken, pages) < 0)
		atomic_long_set(pages, 0);
}

/* One round; false if there is no more to be done now. */
static bool work(struct ballast_reclaim *reclaim)
{
	bool anybody;
	long wanted = wanted_pages(reclaim, &anybody), taken;

	if (!anybody)
		reclaim->late = false;
	hold_back(reclaim, wanted && is_low(reclaim) && !reclaim->late);
	if (!wanted) {
		reclaim->fruitless = 0;
		return false;
	}
	taken = ballast_reclaim_round(reclaim, anybody);
	if (taken > 0) {
		reclaim->fruitless = 0;
		reclaim->late = false;
		ballast_reclaim_be_patient(reclaim);
		WRITE_ONCE(reclaim->stuck, false);
		WRITE_ONCE(reclaim->taken_pages, reclaim->taken_pages + taken);
		take_off(&reclaim->asked_pages, taken);
		take_off(&reclaim->host_pages, taken);
		return true;
	}
	if (!taken) {
		if (ballast_reclaim_is_late(reclaim))
			tell_stuck(reclaim);
		return true;
	}
	/* nobody is above his target any more: that was all */
	if (taken == -ENOENT && !anybody) {
		atomic_long_set(&reclaim->asked_pages, 0);
		return false;
	}
	return ++reclaim->fruitless < BALLAST_RECLAIM_FRUITLESS_MAX;
}

static void rest(struct ballast_reclaim *reclaim)
{
	if (reclaim->fruitless < BALLAST_RECLAIM_FRUITLESS_MAX)
		return;
	reclaim->fruitless = 0;
	atomic_long_set(&reclaim->asked_pages, 0);
	atomic_long_set(&reclaim->host_pages, 0);
	report_stuck(reclaim);
	hold_back(reclaim, false);
	wake_up_all(&reclaim->progress);
	/* kicks do not end this: waiting faults send many */
	schedule_timeout_interruptible(STUCK_WAIT);
}

static int reclaim_thread(void *data)
{
	struct ballast_reclaim *reclaim = data;

	set_freezable();
	while (!kthread_should_stop()) {
		wait_event_freezable(reclaim->wait, kthread_should_stop() ||
				     atomic_read(&reclaim->kicked));
		atomic_xchg(&reclaim->kicked, 0);	/* full barrier */
		while (!kthread_should_stop() && !freezing(current) && work(reclaim)) {
			wake_up_all(&reclaim->progress);
			cond_resched();
		}
		wake_up_all(&reclaim->progress);
		if (freezing(current)) {
			atomic_set(&reclaim->kicked, 1);	/* go on afterwards */
			try_to_freeze();
		} else {
			rest(reclaim);
		}
	}
	hold_back(reclaim, false);
	return 0;
}

/**
 * ballast_reclaim_set_thresholds() - when to set to work
 * @pool: which
 * @soft_pages: free pages to stop at
 * @hard_pages: free pages to start below
 * @low_pages: free pages below which VMs above their target wait
 *
 * A pool too small for a difference between them gets one of a few pages.
 */
void ballast_reclaim_set_thresholds(struct ballast_pool *pool, u64 soft_pages,
				    u64 hard_pages, u64 low_pages)
{
	struct ballast_reclaim *reclaim = pool->reclaim;
	unsigned long limit = READ_ONCE(pool->limit_pages);

	if (!reclaim)
		return;
	hard_pages = max_t(u64, hard_pages, 1);
	soft_pages = max_t(u64, soft_pages, hard_pages + 1);
	WRITE_ONCE(reclaim->soft_pages, soft_pages);
	WRITE_ONCE(reclaim->hard_pages, hard_pages);
	WRITE_ONCE(reclaim->low_pages, low_pages);
	WRITE_ONCE(pool->keep_free_pages, soft_pages);
	WRITE_ONCE(pool->reclaim_at_pages, limit > hard_pages ? limit - hard_pages : 0);
}

/* ballast_reclaim_can_swap() - there is a swap file, full or not */
bool ballast_reclaim_can_swap(struct ballast_pool *pool)
{
	return pool->store && pool->store->swap;
}

/**
 * ballast_reclaim_ask() - take pages though the pool is not that short
 * @pool: from its VMs above their target
 * @pages: how many; in the place of what was asked for before
 */
void ballast_reclaim_ask(struct ballast_pool *pool, unsigned long pages)
{
	if (!pool->reclaim)
		return;
	atomic_long_set(&pool->reclaim->asked_pages, pages);
	smp_mb();	/* kick() may find that it need not: who is awake then sees this */
	if (pages)
		kick(pool);
}

/**
 * ballast_reclaim_ask_for_host() - the host is short of memory
 * @pool: which has some
 * @pages: how many more; forgotten when the host is not short any more
 *
 * Context: any that may wake somebody.
 */
void ballast_reclaim_ask_for_host(struct ballast_pool *pool, unsigned long pages)
{
	atomic_long_add(pages, &pool->reclaim->host_pages);
	kick(pool);
}

/* ballast_reclaim_forget_thresholds() - the size has changed: as by default, until told */
void ballast_reclaim_forget_thresholds(struct ballast_pool *pool)
{
	unsigned long limit = READ_ONCE(pool->limit_pages);

	ballast_reclaim_set_thresholds(pool, limit / 25, limit / 50, limit / 100);
}

/**
 * ballast_reclaim_to_limit() - wait until a pool has no more than so much
 * @pool: its limit has become smaller than what is used
 * @pages: its limit and its reserve, so that nothing is charged above: pages that come back
 *	would keep the reserve in use, and who looks from outside might never see less
 *
 * Context: process; sleeps.
 * Return: 0; -EBUSY if what is above cannot be taken; -EINTR.
 */
int ballast_reclaim_to_limit(struct ballast_pool *pool, unsigned long pages)
{
	struct ballast_reclaim *reclaim = pool->reclaim;
	unsigned int seen, last;
	long left = 1, over;

	if (!reclaim)
		return -EBUSY;
	seen = READ_ONCE(reclaim->stuck_times);
	/* as long as it gets on; what it finds may all be in use for a moment */
	while ((over = pages_above(pool, pages)) > 0 && left > 0) {
		last = READ_ONCE(reclaim->stuck_times);
		if (last - seen >= TO_LIMIT_STUCK)
			break;
		kick(pool);
		left = wait_event_interruptible_timeout(reclaim->progress,
							pages_above(pool, pages) < over ||
							READ_ONCE(reclaim->stuck_times) != last,
							TO_LIMIT_WAIT);
		if (pages_above(pool, pages) < over)
			seen = READ_ONCE(reclaim->stuck_times);
	}
	if (over <= 0)
		return 0;
	return left < 0 ? -EINTR : -EBUSY;
}

/**
 * ballast_reclaim_makes_room() - wait for a full pool to have room
 * @pool: which
 *
 * For who can be refused: faults wait in ballast_pool_wait().
 *
 * Context: process; sleeps, not longer than reclaim gets on.
 * Return: true: try again; false if reclaim does not get on, there is none, or a signal
 * came.
 */
bool ballast_reclaim_makes_room(struct ballast_pool *pool)
{
	struct ballast_reclaim *reclaim = pool->reclaim;
	unsigned int seen;

	if (!reclaim)
		return false;
	seen = READ_ONCE(reclaim->stuck_times);
	kick(pool);
	return wait_event_interruptible_timeout(reclaim->progress,
						ballast_pool_has_room(pool, 0) ||
						READ_ONCE(reclaim->stuck_times) != seen,
						TO_LIMIT_WAIT) > 0 &&
	       (READ_ONCE(reclaim->stuck_times) == seen || ballast_pool_has_room(pool, 0));
}

/**
 * ballast_reclaim_add_pool() - a mount is being made
 * @pool: its pool, with its store
 *
 * Return: 0 or an error; ballast_reclaim_remove_pool() does no harm then.
 */
int ballast_reclaim_add_pool(struct ballast_pool *pool)
{
	struct ballast_reclaim *reclaim;
	int err;

	if (!pool->store->codec && !pool->store->swap)
		return 0;
	reclaim = kzalloc(sizeof(*reclaim), GFP_KERNEL);
	if (!reclaim)
		return -ENOMEM;
	reclaim->pool = pool;
	init_waitqueue_head(&reclaim->wait);
	init_waitqueue_head(&reclaim->progress);
	prandom_seed_state(&reclaim->random, get_random_u64());
	reclaim->task = kthread_create(reclaim_thread, reclaim, "ballast_reclaim");
	err = PTR_ERR_OR_ZERO(reclaim->task);
	if (err)
		goto free;
	pool->reclaim = reclaim;
	err = ballast_reclaim_add_shrinker(reclaim);
	if (err)
		goto stop;
	ballast_reclaim_forget_thresholds(pool);
	pool->need_memory = kick;
	wake_up_process(reclaim->task);
	return 0;

stop:
	pool->reclaim = NULL;
	kthread_stop(reclaim->task);
free:
	kfree(reclaim);
	return err;
}

/* ballast_reclaim_remove_pool() - its files are gone, or it was never published */
void ballast_reclaim_remove_pool(struct ballast_pool *pool)
{
	struct ballast_reclaim *reclaim = pool->reclaim;

	if (!reclaim)
		return;
	pool->need_memory = NULL;
	ballast_reclaim_remove_shrinker(reclaim);
	kthread_stop(reclaim->task);
	pool->reclaim = NULL;
	kfree(reclaim);
}
