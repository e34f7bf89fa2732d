/* SPDX-License-Identifier: GPL-2.0 */
/* A pool: the memory of one mount, its limit and its accounts. */
#ifndef BALLAST_MEMORY_POOL_H
#define BALLAST_MEMORY_POOL_H

#include <linux/atomic.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/percpu.h>
#include <linux/wait.h>
#include <linux/xarray.h>
#include <uapi/linux/ballast.h>

struct ballast_index;
struct ballast_map;
struct ballast_pool;
struct ballast_reclaim;
struct ballast_slot;
struct ballast_store;

/* Pages above its size that a pool may have for those that come back from the store. */
#define BALLAST_POOL_RESERVE	32UL

/**
 * enum ballast_sharing_mode - who may share with whom
 * @BALLAST_SHARING_OFF: nobody
 * @BALLAST_SHARING_VM: each file with itself
 * @BALLAST_SHARING_POOL: all files of the pool
 */
enum ballast_sharing_mode {
	BALLAST_SHARING_OFF,
	BALLAST_SHARING_VM,
	BALLAST_SHARING_POOL,
};

/**
 * enum ballast_pool_event - what happened, how often, since the mount
 *
 * Counted per CPU, without locks; read with ballast_pool_events().
 */
enum ballast_pool_event {
	BALLAST_EVENT_FAULTS,		/* faults that reached the slot map */
	BALLAST_EVENT_WAITS,		/* faults that waited for memory */
	BALLAST_EVENT_HOST_SHORT,	/* allocations the host refused */
	BALLAST_EVENT_SCANNED,		/* slots looked at by the scanner */
	BALLAST_EVENT_MERGED,		/* slots that became shared */
	BALLAST_EVENT_ZEROED,		/* slots found zero, now holes */
	BALLAST_EVENT_COW_BREAKS,	/* shared slots made private by a write */
	BALLAST_EVENT_TAKEOVERS,	/* of these, last sharers: no copy */
	BALLAST_EVENT_FALSE_MATCHES,	/* hash equal, content not */
	BALLAST_EVENT_VOLATILE,		/* hints whose page had changed */
	BALLAST_EVENT_SKIPPED_PINNED,	/* not given away: somebody holds a reference */
	BALLAST_EVENT_SKIPPED_BUSY,	/* not given away: locked by a fault */
	BALLAST_EVENT_SKIPPED_UNCHANGED,/* not looked at in this pass: smart_scan */
	BALLAST_EVENT_HINTS_LOST,	/* hints overwritten in a full bucket */
	BALLAST_EVENT_INDEX_FULL,	/* matches lost: no place in the index */
	BALLAST_EVENT_HELD_BACK,	/* faults of VMs above their target that waited */
	BALLAST_EVENT_COMPRESSED,	/* pages that were compressed */
	BALLAST_EVENT_SAME_FILLED,	/* of these, one repeated word */
	BALLAST_EVENT_DECOMPRESSED,	/* pages that came back from the store */
	BALLAST_EVENT_INCOMPRESSIBLE,	/* pages that did not become small enough */
	BALLAST_EVENT_SWAPPED_OUT,	/* pages written to the swap file */
	BALLAST_EVENT_SHARED_SWAPPED,	/* of these, shared ones that left their frame */
	BALLAST_EVENT_SWAPPED_IN,	/* pages read from it */
	BALLAST_EVENT_SWAP_FULL,	/* pages that stayed since it had no place */
	BALLAST_EVENT_WRITE_ERRORS,	/* pages that stayed since they could not be written */
	BALLAST_EVENT_LOST,		/* pages whose content could not be read again */
	BALLAST_EVENT_RECLAIM_SPARED,	/* pages passed over: just come, or in use */
	BALLAST_EVENT_RECLAIM_STUCK,	/* times that reclaim found nothing to take */
	BALLAST_EVENT_NR,
};

/**
 * struct ballast_share_ops - what the sharing layer gives to this one
 * @release: one sharer less of @frame, which perhaps has no other; true if it was the
 *	last, the frame is then out of the index and the caller's alone
 * @claim: @frame may have one sharer; true if that is the caller, and nobody but it and
 *	@extra known holders has a reference: the frame is then out of the index and
 *	the caller's alone, to write to
 *
 * Called with the sharer's slot locked; must not sleep.
 */
struct ballast_share_ops {
	bool (*release)(struct ballast_pool *pool, struct page *frame);
	bool (*claim)(struct ballast_pool *pool, struct page *frame, int extra);
};

/**
 * struct ballast_store_ops - what the store gives to this layer
 * @release: the content that @word, which @slot had, stands for is not needed any
 *	more; must not sleep
 * @load: see ballast_slot_load()
 *
 * Called with the slot locked.
 */
struct ballast_store_ops {
	void (*release)(struct ballast_slot *slot, unsigned long word);
	struct page *(*load)(struct ballast_slot *slot, struct page **spare);
};

/**
 * struct ballast_pool - one mount's memory
 * @kref: the superblock's reference, one of each map, one of each sysfs dir
 * @name: unique among pools; fixed when it is published
 * @limit_pages: size= of the mount; written by mount and remount only
 * @used_pages: frames and store charged.  At most @limit_pages but for one frame that a
 *	merge in progress may take, for one for each file cut in the middle of a
 *	shared or stored page, for what compressing a page takes before it gives its frame
 *	back, for BALLAST_POOL_RESERVE, and for what a remount that failed has left
 * @full: set while faults find no room; one log line each time it is set
 * @sharing: enum ballast_sharing_mode; written by mount and remount only
 * @look_at_all: the last pass of the scanner that skips no page, since there is
 *	a new mode; written by remount only
 * @waiting: faults waiting now
 * @wait: woken when pages are given back or the limit grows
 * @events: enum ballast_pool_event, per CPU
 * @zero_frame: what a read of a hole maps, read-only; never written
 * @mapping: page->mapping of all frames: the root inode's, so that the
 *	kernel's lockless GUP accepts them.  Set once, before the first frame
 * @share_ops: set once, before the first frame
 * @store_ops: the same
 * @store: the store's; constant from the mount to its end
 * @reclaim: the reclaim layer's; NULL where nothing can be reclaimed
 * @holding_back: VMs above their target wait; reclaim's, see
 *	ballast_pool_holds_back()
 * @need_memory: wakes reclaim; any context
 * @reclaim_at_pages: wake reclaim when more than this is used; written by
 *	reclaim
 * @index: the sharing layer's; NULL while that has nothing
 * @blocks: block id -> struct ballast_block, for hints
 * @control: the control layer's; set while the pool is published
 * @node: in the list of pools, under ballast_pools_lock
 * @files: its maps, those among them that nobody sees any more
 * @shared_frames: frames with state shared; one each whatever its sharers
 * @admission: 1: files may not grow beyond what can be promised
 * @swap_pages: size of its swap file, without the places that are bad
 * @keep_free_pages: what is not to be promised; reclaim's
 * @promised_pages: sum of its files' sizes
 * @min_pages: sum of its VMs' mins
 * @state: enum ballast_state, the engine's
 * @high_until: jiffies when it last left state high, the engine's
 * @vms_available_pages: what its VMs divide, the engine's
 * @vms_target_pages: sum of the targets of its VMs, the engine's
 */
struct ballast_pool {
	struct kref kref;
	char name[BALLAST_POOL_NAME_MAX + 1];
	unsigned long limit_pages;
	unsigned long reclaim_at_pages;
	bool holding_back;
	void (*need_memory)(struct ballast_pool *pool);
	atomic_long_t used_pages ____cacheline_aligned_in_smp;
	unsigned long full;
	int sharing;
	u64 look_at_all;
	atomic_t waiting;
	wait_queue_head_t wait;
	u64 __percpu *events;
	struct page *zero_frame;
	struct address_space *mapping;
	const struct ballast_share_ops *share_ops;
	const struct ballast_store_ops *store_ops;
	struct ballast_store *store;
	struct ballast_reclaim *reclaim;
	struct ballast_index *index;
	struct xarray blocks;
	void *control;
	struct list_head node;
	atomic_long_t files;
	atomic_long_t shared_frames;
	u32 admission;
	atomic_long_t swap_pages;
	unsigned long keep_free_pages;
	atomic64_t promised_pages;
	atomic64_t min_pages;
	u32 state;
	unsigned long high_until;
	u64 vms_available_pages;
	u64 vms_target_pages;
};

/**
 * struct ballast_pool_watcher - told of pools and files that come and go
 * @pool_added: a pool is mounted; an error refuses the mount
 * @pool_removed: its last file is gone
 * @map_added: a file is created
 * @map_removed: a file goes; its pages are still there
 *
 * One watcher, the control layer.  Called in process context, no locks held.
 */
struct ballast_pool_watcher {
	int (*pool_added)(struct ballast_pool *pool);
	void (*pool_removed)(struct ballast_pool *pool);
	void (*map_added)(struct ballast_map *map);
	void (*map_removed)(struct ballast_map *map);
};

struct ballast_pool *ballast_pool_create(const char *name,
					 unsigned long limit_pages, int sharing);
int ballast_pool_publish(struct ballast_pool *pool);
void ballast_pool_withdraw(struct ballast_pool *pool);
void ballast_pool_get(struct ballast_pool *pool);
void ballast_pool_put(struct ballast_pool *pool);

int ballast_pool_set_limit(struct ballast_pool *pool, unsigned long limit_pages);
void ballast_pool_force_limit(struct ballast_pool *pool, unsigned long limit_pages);
bool ballast_pool_try_charge(struct ballast_pool *pool, unsigned long pages,
			     unsigned long reserve);
void ballast_pool_charge_over(struct ballast_pool *pool, unsigned long pages);
void ballast_pool_uncharge(struct ballast_pool *pool, unsigned long pages);
void ballast_pool_wake(struct ballast_pool *pool);
bool ballast_pool_has_room(struct ballast_pool *pool, unsigned long reserve);
int ballast_pool_wait(struct ballast_pool *pool, const atomic_long_t *excess_pages,
		      unsigned long reserve, unsigned int state, long timeout);
u64 ballast_pool_events(struct ballast_pool *pool, enum ballast_pool_event event);

void ballast_pool_watch(const struct ballast_pool_watcher *watcher);
const struct ballast_pool_watcher *ballast_pool_watcher(void);

/**
 * ballast_pool_count() - count an event
 * @pool: where
 * @event: what
 *
 * Context: any.
 */
static inline void ballast_pool_count(struct ballast_pool *pool,
				      enum ballast_pool_event event)
{
	this_cpu_inc(pool->events[event]);
}

/* The same for @n at once. */
static inline void ballast_pool_count_many(struct ballast_pool *pool,
					   enum ballast_pool_event event, u64 n)
{
	this_cpu_add(pool->events[event], n);
}

/* Somebody finds the pool short of memory: wake reclaim, where there is one. */
static inline void ballast_pool_need_memory(struct ballast_pool *pool)
{
	if (pool->need_memory)
		pool->need_memory(pool);
}

/*
 * Is a VM to wait for what it is given to have been taken from it first?  Reclaim
 * says so in state low, for VMs above their target, while it gets on.
 */
static inline bool ballast_pool_holds_back(struct ballast_pool *pool,
					   const atomic_long_t *excess_pages)
{
	return unlikely(READ_ONCE(pool->holding_back)) &&
	       atomic_long_read(excess_pages) > 0;
}

/* May a VM take a frame now? */
static inline bool ballast_pool_lets(struct ballast_pool *pool,
				     const atomic_long_t *excess_pages,
				     unsigned long reserve)
{
	return ballast_pool_has_room(pool, reserve) && !ballast_pool_holds_back(pool, excess_pages);
}

static inline unsigned long ballast_pool_used_pages(struct ballast_pool *pool)
{
	return atomic_long_read(&pool->used_pages);
}

/* All pools; hold ballast_pools_lock (a mutex) to walk. */
extern struct list_head ballast_pools;
extern struct mutex ballast_pools_lock;

#endif /* BALLAST_MEMORY_POOL_H */
