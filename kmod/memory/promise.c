// SPDX-License-Identifier: GPL-2.0
/*
 * Promises: that what VMs were given they can have (ESX paper, section 6: admission
 * control).
 *
 * DOC: A pool promises each file its size, in memory or in the swap file, and
 * each VM its min, in memory.  What does not fit is refused when a file grows, which
 * is when a VM is made, or when min is written, with one line in the log that says
 * how much is missing; nothing changes then.  Without it a VM would wait for ever
 * for what nobody has.
 *
 * It is for pools with a swap file, unless the admin says otherwise
 * (pools/NAME/admission): a pool without one cannot keep such a promise, and is
 * made larger than its memory on purpose, trusting in balloons and sharing.
 * Mins are held to in either.
 *
 * Locks: none; both sums are single atomic words, and only grow while they fit.
 */
#include <linux/pagemap.h>
#include <linux/ratelimit.h>

#include "promise.h"

/* What reclaim keeps free is nobody's. */
static u64 memory_pages(struct ballast_pool *pool, unsigned long limit_pages)
{
	unsigned long keep_free = READ_ONCE(pool->keep_free_pages);

	return limit_pages > keep_free ? limit_pages - keep_free : 0;
}

static u64 capacity_pages(struct ballast_pool *pool, unsigned long limit_pages)
{
	return memory_pages(pool, limit_pages) + atomic_long_read(&pool->swap_pages);
}

/* Add to a sum if it stays within @most; returns what is missing. */
static u64 add_within(atomic64_t *sum, u64 pages, u64 most)
{
	s64 old = atomic64_read(sum);

	do {
		if (old + pages > most)
			return old + pages - most;
	} while (!atomic64_try_cmpxchg(sum, &old, old + pages));
	return 0;
}

/**
 * ballast_promise_size() - a file is to have another size
 * @map: its memory
 * @from: its size in bytes
 * @to: its size from now on
 *
 * Context: under the inode's lock, or its eviction; sleeps not.
 * Return: 0; -ENOSPC if it grows and that cannot be promised.
 */
int ballast_promise_size(struct ballast_map *map, loff_t from, loff_t to)
{
	u64 before = DIV_ROUND_UP_ULL(from, PAGE_SIZE);
	u64 after = DIV_ROUND_UP_ULL(to, PAGE_SIZE), missing;
	struct ballast_pool *pool = map->pool;

	if (after <= before) {
		atomic64_sub(before - after, &pool->promised_pages);
		return 0;
	}
	if (!READ_ONCE(pool->admission))
		return add_within(&pool->promised_pages, after - before, S64_MAX) ?
		       -ENOSPC : 0;
	missing = add_within(&pool->promised_pages, after - before,
			     capacity_pages(pool, READ_ONCE(pool->limit_pages)));
	if (!missing)
		return 0;
	pr_warn_ratelimited("ballast: pool %s: no room for a file of %llu MiB: %llu bytes of memory or swap are missing\n",
			    pool->name, after >> (20 - PAGE_SHIFT), missing << PAGE_SHIFT);
	return -ENOSPC;
}

/**
 * ballast_promise_min() - a VM is to be sure of another amount of memory
 * @pool: where its memory is
 * @from: its min in pages
 * @to: its min from now on
 * @force: it has it already, and came to this pool with it
 *
 * Return: 0; -ENOSPC if it grows and that cannot be promised.
 */
int ballast_promise_min(struct ballast_pool *pool, u64 from, u64 to, bool force)
{
	u64 missing;

	if (to <= from || force) {
		atomic64_add(to - from, &pool->min_pages);
		return 0;
	}
	missing = add_within(&pool->min_pages, to - from,
			     memory_pages(pool, READ_ONCE(pool->limit_pages)));
	if (!missing)
		return 0;
	pr_warn_ratelimited("ballast: pool %s: a min of %llu MiB cannot be kept: %llu bytes of memory are missing\n",
			    pool->name, to >> (20 - PAGE_SHIFT), missing << PAGE_SHIFT);
	return -ENOSPC;
}

/* ballast_promise_left() - pages that a new file may have */
u64 ballast_promise_left(struct ballast_pool *pool)
{
	u64 capacity = capacity_pages(pool, READ_ONCE(pool->limit_pages));
	s64 promised = atomic64_read(&pool->promised_pages);

	return promised < (s64)capacity ? capacity - promised : 0;
}

/* ballast_promise_min_left() - pages that the mins of further VMs may be in all */
u64 ballast_promise_min_left(struct ballast_pool *pool)
{
	u64 memory = memory_pages(pool, READ_ONCE(pool->limit_pages));
	s64 mins = atomic64_read(&pool->min_pages);

	return mins < (s64)memory ? memory - mins : 0;
}

/* ballast_promise_least_pages() - the smallest limit that all promises can be kept with */
u64 ballast_promise_least_pages(struct ballast_pool *pool)
{
	s64 pages = atomic64_read(&pool->min_pages);

	if (READ_ONCE(pool->admission))
		pages = max_t(s64, pages, atomic64_read(&pool->promised_pages) -
					  atomic_long_read(&pool->swap_pages));
	return pages > 0 ? pages + READ_ONCE(pool->keep_free_pages) : 0;
}
