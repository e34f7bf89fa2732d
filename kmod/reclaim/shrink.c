// SPDX-License-Identifier: GPL-2.0
/*
 * When the host itself is short: the kernel asks every cache for memory, and a pool too.
 *
 * DOC: Guests' memory is no cache, and is not given up for one: only when the host has
 * next to nothing available does a pool offer any, and then the kernel is made to think
 * that it is dear, though less so the longer it asks: what it is not given it remembers.
 * The reclaim thread takes it, from VMs above their target first.  Who asks (in direct
 * reclaim) waits a moment for it: long enough for some pages, and not for a thread that
 * may be waiting for a lock that he holds.
 */
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/shrinker.h>
#include <linux/swap.h>

#include "../store/store.h"
#include "reclaim.h"

#define SHORT_PART	32			/* of the host's memory: available */
#define DEAR		(16 * DEFAULT_SEEKS)	/* to bring a page back */
#define WAIT		msecs_to_jiffies(10)
#define STUCK_WAIT	(10 * HZ)		/* nothing could be taken */

/* ballast_reclaim_host_is_short() - next to nothing is available on the host */
bool ballast_reclaim_host_is_short(void)
{
	return si_mem_available() < (long)(totalram_pages() / SHORT_PART);
}

/* Pages that might be taken; not exact, and not counted one by one. */
static unsigned long takeable_pages(struct ballast_reclaim *reclaim)
{
	struct ballast_pool *pool = reclaim->pool;
	struct ballast_store *store = pool->store;
	long have = (long)ballast_pool_used_pages(pool) - (long)READ_ONCE(store->charged_pages);

	if (!ballast_reclaim_may_sweep(reclaim))
		have -= atomic_long_read(&pool->shared_frames);
	if (!store->codec)
		have = min_t(long, have, ballast_store_swap_free(store));
	return max(have, 0L);
}

static unsigned long count(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct ballast_reclaim *reclaim = ballast_shrinker_data(shrinker);

	if (READ_ONCE(reclaim->stuck) &&
	    time_before(jiffies, READ_ONCE(reclaim->stuck_at) + STUCK_WAIT))
		return 0;
	if (!ballast_reclaim_host_is_short())
		return 0;
	return takeable_pages(reclaim);
}

static unsigned long scan(struct shrinker *shrinker, struct shrink_control *sc)
{
	struct ballast_reclaim *reclaim = ballast_shrinker_data(shrinker);
	unsigned long before = READ_ONCE(reclaim->taken_pages), taken;

	ballast_reclaim_ask_for_host(reclaim->pool, sc->nr_to_scan);
	if (current_is_kswapd() || !(sc->gfp_mask & __GFP_DIRECT_RECLAIM) ||
	    current == reclaim->task)
		return SHRINK_STOP;
	wait_event_timeout(reclaim->progress,
			   READ_ONCE(reclaim->taken_pages) - before >= sc->nr_to_scan, WAIT);
	taken = min(READ_ONCE(reclaim->taken_pages) - before, sc->nr_to_scan);
	/* who sees no progress looks for a process to kill; half of a page may be in the store */
	ballast_account_reclaimed(DIV_ROUND_UP(taken, 2));
	/* asked once, he waits once; and the kernel does not heed what is returned here */
	return SHRINK_STOP;
}

/* ballast_reclaim_add_shrinker() - from now on the host may ask; 0 or -ENOMEM */
int ballast_reclaim_add_shrinker(struct ballast_reclaim *reclaim)
{
	return ballast_shrinker_add(&reclaim->shrinker, count, scan, DEAR, reclaim);
}

/* ballast_reclaim_remove_shrinker() - nobody asks any more on return */
void ballast_reclaim_remove_shrinker(struct ballast_reclaim *reclaim)
{
	ballast_shrinker_remove(&reclaim->shrinker);
}
