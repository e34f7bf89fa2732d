// SPDX-License-Identifier: GPL-2.0
/*
 * Pools: limits and accounts of one mount's memory.
 *
 * DOC: A pool is created by a mount and goes with it.  Every frame is charged
 * to it before it is allocated.  A fault that finds no room waits; whoever
 * gives a page back wakes it.  A guest is never told that memory is short.
 *
 * Locks: ballast_pools_lock (mutex) protects the list of pools and their
 * names; under it is taken what the watcher takes (sysfs), and the references
 * of maps by who sums over a pool's files.
 * The charge is one atomic word, see Documentation/design/memory.md for why.
 */
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "frame.h"
#include "pool.h"

LIST_HEAD(ballast_pools);
DEFINE_MUTEX(ballast_pools_lock);

static const struct ballast_pool_watcher no_watcher;
static const struct ballast_pool_watcher *the_watcher = &no_watcher;

/**
 * ballast_pool_watch() - set the one watcher
 * @watcher: NULL for none
 *
 * Context: module init and exit only, when no pool exists.
 */
void ballast_pool_watch(const struct ballast_pool_watcher *watcher)
{
	the_watcher = watcher ?: &no_watcher;
}

/* ballast_pool_watcher() - whom to tell; its functions may be NULL */
const struct ballast_pool_watcher *ballast_pool_watcher(void)
{
	return the_watcher;
}

/**
 * ballast_pool_create() - a pool that nobody sees yet
 * @name: at most BALLAST_POOL_NAME_MAX bytes
 * @limit_pages: its size
 * @sharing: enum ballast_sharing_mode
 *
 * Return: the pool with one reference, or an ERR_PTR: -ENOMEM.
 */
struct ballast_pool *ballast_pool_create(const char *name,
					 unsigned long limit_pages, int sharing)
{
	struct ballast_pool *pool = kzalloc(sizeof(*pool), GFP_KERNEL);

	if (!pool)
		return ERR_PTR(-ENOMEM);
	pool->events = __alloc_percpu(BALLAST_EVENT_NR * sizeof(u64), sizeof(u64));
	if (!pool->events)
		goto free_pool;
	pool->zero_frame = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (!pool->zero_frame)
		goto free_events;
	ballast_frame_set_of_many(pool->zero_frame);
	kref_init(&pool->kref);
	strscpy(pool->name, name, sizeof(pool->name));
	pool->limit_pages = limit_pages;
	pool->reclaim_at_pages = ULONG_MAX;
	pool->sharing = sharing;
	init_waitqueue_head(&pool->wait);
	xa_init_flags(&pool->blocks, XA_FLAGS_ALLOC1);
	INIT_LIST_HEAD(&pool->node);
	return pool;

free_events:
	free_percpu(pool->events);
free_pool:
	kfree(pool);
	return ERR_PTR(-ENOMEM);
}

static bool name_is_taken(const char *name)
{
	struct ballast_pool *other;

	list_for_each_entry(other, &ballast_pools, node)
		if (!strcmp(other->name, name))
			return true;
	return false;
}

/**
 * ballast_pool_publish() - list a pool and tell the watcher
 * @pool: from ballast_pool_create()
 *
 * Return: 0, -EEXIST if a pool has that name, or the watcher's error.
 */
int ballast_pool_publish(struct ballast_pool *pool)
{
	int err = 0;

	mutex_lock(&ballast_pools_lock);
	if (name_is_taken(pool->name))
		err = -EEXIST;
	else if (the_watcher->pool_added)
		err = the_watcher->pool_added(pool);
	if (!err)
		list_add_tail(&pool->node, &ballast_pools);
	mutex_unlock(&ballast_pools_lock);
	return err;
}

/**
 * ballast_pool_withdraw() - undo ballast_pool_publish()
 * @pool: listed or not
 */
void ballast_pool_withdraw(struct ballast_pool *pool)
{
	mutex_lock(&ballast_pools_lock);
	if (!list_empty(&pool->node)) {
		list_del_init(&pool->node);
		if (the_watcher->pool_removed)
			the_watcher->pool_removed(pool);
	}
	mutex_unlock(&ballast_pools_lock);
}

static void free_pool(struct kref *kref)
{
	struct ballast_pool *pool = container_of(kref, struct ballast_pool, kref);

	WARN_ON_ONCE(atomic_long_read(&pool->used_pages));
	WARN_ON_ONCE(atomic_long_read(&pool->shared_frames));
	WARN_ON_ONCE(!xa_empty(&pool->blocks));
	xa_destroy(&pool->blocks);
	pool->zero_frame->mapping = NULL;
	__free_page(pool->zero_frame);
	free_percpu(pool->events);
	kfree(pool);
}

void ballast_pool_get(struct ballast_pool *pool)
{
	kref_get(&pool->kref);
}

void ballast_pool_put(struct ballast_pool *pool)
{
	kref_put(&pool->kref, free_pool);
}

static bool limit_exceeded(struct ballast_pool *pool)
{
	return atomic_long_read(&pool->used_pages) > READ_ONCE(pool->limit_pages);
}

/**
 * ballast_pool_set_limit() - resize a pool
 * @pool: which
 * @limit_pages: new size
 *
 * Context: remount, which the superblock's s_umount serialises.
 * Return: 0, or -EBUSY if more than that is used: nothing has changed then.
 */
int ballast_pool_set_limit(struct ballast_pool *pool, unsigned long limit_pages)
{
	unsigned long old = pool->limit_pages;
	int err = 0;

	WRITE_ONCE(pool->limit_pages, limit_pages);
	/*
	 * Most charges that read the old limit are seen here; one that is just
	 * between reading and charging may leave the pool a frame over.
	 */
	smp_mb();
	if (limit_pages < old && limit_exceeded(pool)) {
		WRITE_ONCE(pool->limit_pages, old);
		err = -EBUSY;
	}
	/* in either case: a fault may have seen the smaller limit and sleep */
	wake_up_all(&pool->wait);
	return err;
}

/**
 * ballast_pool_force_limit() - the size that a pool had before, used up or not
 * @pool: which
 * @limit_pages: its size again
 *
 * Where more is used nothing is charged until enough has been given back.
 *
 * Context: as ballast_pool_set_limit().
 */
void ballast_pool_force_limit(struct ballast_pool *pool, unsigned long limit_pages)
{
	WRITE_ONCE(pool->limit_pages, limit_pages);
	wake_up_all(&pool->wait);
}

/**
 * ballast_pool_try_charge() - account pages about to be allocated
 * @pool: to whom
 * @pages: how many
 * @reserve: so many pages more than the limit are allowed.  For who brings a page back
 *	from the store: where pool and swap file are both full that comes first, for it
 *	makes the room there that another page needs to leave
 *
 * Context: any.  Return: false if there is no room.
 */
bool ballast_pool_try_charge(struct ballast_pool *pool, unsigned long pages,
			     unsigned long reserve)
{
	long used = atomic_long_read(&pool->used_pages);
	unsigned long limit;

	do {
		limit = READ_ONCE(pool->limit_pages) + reserve;
		if (pages > limit || used > (long)(limit - pages)) {
			ballast_pool_need_memory(pool);
			return false;
		}
	} while (!atomic_long_try_cmpxchg(&pool->used_pages, &used, used + pages));
	if (unlikely(READ_ONCE(pool->full)) && used < limit - limit / 16)
		clear_bit(0, &pool->full);
	if (unlikely(used + pages > READ_ONCE(pool->reclaim_at_pages)))
		ballast_pool_need_memory(pool);
	return true;
}

/*
 * ballast_pool_charge_over() - pages, room or not.  A merge needs a third frame
 * for a moment and gives two back, and to compress a page takes store before it
 * frees a frame: refusing it in a full pool would keep the pool full.
 */
void ballast_pool_charge_over(struct ballast_pool *pool, unsigned long pages)
{
	atomic_long_add(pages, &pool->used_pages);
}

/**
 * ballast_pool_uncharge() - pages have been given back
 * @pool: to whom
 * @pages: how many
 *
 * Context: any; wakes faults that wait.
 */
void ballast_pool_uncharge(struct ballast_pool *pool, unsigned long pages)
{
	atomic_long_sub_return(pages, &pool->used_pages);	/* full barrier */
	if (waitqueue_active(&pool->wait))
		wake_up(&pool->wait);
}

/* ballast_pool_wake() - what faults wait for may have come */
void ballast_pool_wake(struct ballast_pool *pool)
{
	wake_up_all(&pool->wait);
}

/* ballast_pool_has_room() - a frame could be charged now, so much of the reserve open */
bool ballast_pool_has_room(struct ballast_pool *pool, unsigned long reserve)
{
	return atomic_long_read(&pool->used_pages) <
	       (long)(READ_ONCE(pool->limit_pages) + reserve);
}

static void log_full(struct ballast_pool *pool)
{
	/* reclaim says when it can do no more */
	if (!pool->need_memory && !test_and_set_bit(0, &pool->full))
		pr_warn("ballast: pool %s is full (%lu MiB): guests that need memory wait\n",
			pool->name, READ_ONCE(pool->limit_pages) >> (20 - PAGE_SHIFT));
}

/**
 * ballast_pool_wait() - wait until there is room
 * @pool: in which
 * @excess_pages: of the file that waits
 * @reserve: pages above the limit that it may have
 * @state: TASK_KILLABLE, TASK_INTERRUPTIBLE, TASK_UNINTERRUPTIBLE, or'ed with
 *	TASK_FREEZABLE where no lock is held
 * @timeout: jiffies, or MAX_SCHEDULE_TIMEOUT
 *
 * Somebody else may have taken the room by the time this returns: the caller
 * tries again.
 *
 * Context: process; sleeps.  No slot locked, no SRCU section entered.
 * Return: 0, -EINTR on a signal that ends a wait in @state, -ETIME.
 */
int ballast_pool_wait(struct ballast_pool *pool, const atomic_long_t *excess_pages,
		      unsigned long reserve, unsigned int state, long timeout)
{
	DEFINE_WAIT(wait);
	int err = 0;

	if (ballast_pool_has_room(pool, reserve))
		ballast_pool_count(pool, BALLAST_EVENT_HELD_BACK);
	else
		log_full(pool);
	ballast_pool_count(pool, BALLAST_EVENT_WAITS);
	atomic_inc(&pool->waiting);
	while (!err) {
		prepare_to_wait(&pool->wait, &wait, state);
		if (ballast_pool_lets(pool, excess_pages, reserve))
			break;
		if (signal_pending_state(state, current))
			err = -EINTR;
		else if (!timeout)
			err = -ETIME;
		else
			timeout = schedule_timeout(timeout);
	}
	finish_wait(&pool->wait, &wait);
	atomic_dec(&pool->waiting);
	return err;
}

/**
 * ballast_pool_events() - how often something happened
 * @pool: where
 * @event: what
 */
u64 ballast_pool_events(struct ballast_pool *pool, enum ballast_pool_event event)
{
	u64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu_ptr(pool->events, cpu)[event];
	return sum;
}
