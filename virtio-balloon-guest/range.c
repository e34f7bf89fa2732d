// SPDX-License-Identifier: GPL-2.0
/*
 * The balloon's memory by the block: the largest the allocator has.
 *
 * DOC: A block is what alloc_pages() gave, without __GFP_COMP: one reference on its
 * first page.  It is given back whole, or split once into single pages when a
 * target lies within it.  The largest go back first, these "loose" pages last.
 */
#include "balloon.h"

#include <linux/sched.h>
#include <linux/vmstat.h>

#include "policy/floor.h"

/*
 * Free memory or none: no reclaim, no compaction, no reserves, no OOM killer.
 * Not movable: nobody could move a block.
 */
#define BLOCK_GFP (((GFP_HIGHUSER) & ~__GFP_RECLAIM) | __GFP_NORETRY | __GFP_NOMEMALLOC | \
		   __GFP_NOWARN)

/**
 * ballast_ranges_init - no memory
 * @ranges: to be set
 */
void ballast_ranges_init(struct ballast_ranges *ranges)
{
	unsigned int order;

	memset(ranges, 0, sizeof(*ranges));
	for (order = 0; order <= BALLAST_ORDER_MAX; order++)
		INIT_LIST_HEAD(&ranges->blocks[order]);
}

static void add_block(struct ballast_ranges *ranges, struct page *page, unsigned int order)
{
	list_add_tail(&page->lru, &ranges->blocks[order]);
	ranges->count[order]++;
	ranges->pages += 1ULL << order;
}

static struct page *pop_block(struct ballast_ranges *ranges, unsigned int order)
{
	struct page *page = list_first_entry_or_null(&ranges->blocks[order], struct page, lru);

	if (page) {
		list_del(&page->lru);
		ranges->count[order]--;
		ranges->pages -= 1ULL << order;
	}
	return page;
}

/* The largest block of at most @pages. */
static struct page *pop_within(struct ballast_ranges *ranges, u64 pages, unsigned int *order)
{
	struct page *page;
	int i;

	for (i = BALLAST_ORDER_MAX; i >= 0; i--) {
		if ((1ULL << i) > pages)
			continue;
		page = pop_block(ranges, i);
		if (page) {
			*order = i;
			return page;
		}
	}
	return NULL;
}

/* Free pages where blocks come from, and how large that and the rest is, ballooned or not. */
struct zones {
	u64 free;
	u64 here;
	u64 movable;
};

static void add_zone(struct zones *sum, struct zone *zone)
{
	if (zone_idx(zone) > ZONE_MOVABLE)
		return;
	if (zone_idx(zone) == ZONE_MOVABLE) {
		sum->movable += zone->present_pages;
	} else {
		sum->here += zone->present_pages;
		sum->free += zone_page_state(zone, NR_FREE_PAGES);
	}
}

/**
 * ballast_ranges_room_pages - how much may be taken by the block
 * @floor_bytes: what the guest keeps available
 * @held_pages: blocks that are as good as free
 *
 * A block cannot be moved, so none lies in ZONE_MOVABLE; but what is available there, and
 * counts for the floor, is of no use to what the kernel cannot move either.  So where there
 * is such a zone the others keep their part of the floor free of blocks; the rest of the
 * balloon is taken by the page.
 *
 * Return: pages; of a guest without such a zone: no limit.
 */
u64 ballast_ranges_room_pages(u64 floor_bytes, u64 held_pages)
{
	struct zones sum = { 0 };
	int node, i;

	for_each_online_node(node)
		for (i = 0; i < MAX_NR_ZONES; i++)
			add_zone(&sum, &NODE_DATA(node)->node_zones[i]);
	if (!sum.movable)
		return ~0ULL;
	return ballast_less(sum.free + held_pages,
			    ballast_floor_part_bytes(floor_bytes, sum.here,
						     sum.here + sum.movable) >> PAGE_SHIFT);
}

/**
 * ballast_ranges_allocate - take free blocks from the guest, largest first
 * @ranges: they are added here
 * @pages: how many it may have then
 * @order_min: of the smallest block
 *
 * Sleeps.  Return: pages that it has.
 */
u64 ballast_ranges_allocate(struct ballast_ranges *ranges, u64 pages, unsigned int order_min)
{
	int order = BALLAST_ORDER_MAX;
	struct page *page;

	might_sleep();
	while (order >= (int)order_min) {
		page = (1ULL << order) <= pages - ranges->pages ?
		       alloc_pages(BLOCK_GFP, order) : NULL;
		if (page)
			add_block(ranges, page, order);
		else
			order--;
		cond_resched();
	}
	return ranges->pages;
}

/**
 * ballast_ranges_free - blocks that never came into the balloon
 * @ranges: empty afterwards
 */
void ballast_ranges_free(struct ballast_ranges *ranges)
{
	unsigned int order;
	struct page *page;

	while ((page = pop_within(ranges, ~0ULL, &order)))
		__free_pages(page, order);
}

/**
 * ballast_ranges_move - blocks of one go to another, the largest first
 * @from: has them no more
 * @to: has them as well
 * @pages: at most so many
 *
 * Return: pages moved.
 */
u64 ballast_ranges_move(struct ballast_ranges *from, struct ballast_ranges *to, u64 pages)
{
	unsigned int order;
	struct page *page;
	u64 done = 0;

	while ((page = pop_within(from, pages - done, &order))) {
		add_block(to, page, order);
		done += 1ULL << order;
	}
	return done;
}

/**
 * ballast_ranges_pop - one block, the largest
 * @ranges: has it no more
 * @order: set to the block's, if there is one
 *
 * Return: its first page, or NULL.
 */
struct page *ballast_ranges_pop(struct ballast_ranges *ranges, unsigned int *order)
{
	return pop_within(ranges, ~0ULL, order);
}

/* Dumps and hibernation need not look at what is in the balloon. */
static void enter(struct ballast_balloon *balloon, struct page *page, unsigned int order)
{
	const long pages = 1L << order;
	long i;

	for (i = 0; i < pages; i++)
		__SetPageOffline(page + i);
	if (balloon->adjust_managed)
		adjust_managed_page_count(page, -pages);
	count_vm_events(BALLOON_INFLATE, pages);
	add_block(&balloon->ranges, page, order);
}

static void leave(struct ballast_balloon *balloon, struct page *page, unsigned int order)
{
	const long pages = 1L << order;
	long i;

	for (i = 0; i < pages; i++)
		__ClearPageOffline(page + i);
	if (balloon->adjust_managed)
		adjust_managed_page_count(page, pages);
	count_vm_events(BALLOON_DEFLATE, pages);
	__free_pages(page, order);
}

static int tell_block(struct ballast_balloon *balloon, struct page *page, unsigned int order)
{
	const u64 pages = 1ULL << order;
	int err = 0;

	if (balloon->use_reporting)
		return ballast_queue_add_range(balloon, page, pages);
	if (!ballast_queue_has_room(balloon, pages))
		err = ballast_queue_send_page_numbers(balloon, balloon->inflate_vq);
	ballast_queue_add_page_numbers(balloon, page, pages);
	return err;
}

static int send_blocks(struct ballast_balloon *balloon)
{
	return balloon->use_reporting ?
	       ballast_queue_send_ranges(balloon) :
	       ballast_queue_send_page_numbers(balloon, balloon->inflate_vq);
}

/**
 * ballast_ranges_hand_over - give blocks to the host, and keep them in the balloon
 * @balloon: the device
 * @from: the blocks; empty afterwards
 *
 * Return: 0, or an error: the device is broken, the blocks are back with the guest.
 */
int ballast_ranges_hand_over(struct ballast_balloon *balloon, struct ballast_ranges *from)
{
	unsigned int order;
	struct page *page;
	int err = 0, sent;

	lockdep_assert_held(&balloon->lock);
	for (order = 0; order <= BALLAST_ORDER_MAX; order++)
		list_for_each_entry(page, &from->blocks[order], lru)
			err = tell_block(balloon, page, order) ?: err;
	sent = send_blocks(balloon);
	err = err ?: sent;
	if (err) {
		ballast_ranges_free(from);
		return err;
	}
	while ((page = pop_within(from, ~0ULL, &order)))
		enter(balloon, page, order);
	return 0;
}

/* A target within a block: the smallest block becomes loose pages. */
static void split_smallest(struct ballast_ranges *ranges)
{
	struct page *page;
	unsigned int order;
	long i;

	for (order = 1; order <= BALLAST_ORDER_MAX; order++) {
		page = pop_block(ranges, order);
		if (!page)
			continue;
		split_page(page, order);
		for (i = 0; i < 1L << order; i++)
			add_block(ranges, page + i, 0);
		return;
	}
}

static u64 give_back_reported(struct ballast_balloon *balloon, u64 pages)
{
	unsigned int order;
	struct page *page;
	u64 done = 0;

	while ((page = pop_within(&balloon->ranges, pages - done, &order))) {
		leave(balloon, page, order);
		done += 1ULL << order;
		cond_resched();
	}
	return done;
}

/* One buffer full of page numbers.  A device that broke does not keep guest memory. */
static u64 give_back_told(struct ballast_balloon *balloon, u64 pages)
{
	struct ballast_ranges going;
	unsigned int order;
	struct page *page;
	u64 done;

	ballast_ranges_init(&going);
	pages = min_t(u64, pages, BALLAST_PFNS_MAX / BALLAST_UNITS_PER_PAGE);
	while ((page = pop_within(&balloon->ranges, pages - going.pages, &order))) {
		ballast_queue_add_page_numbers(balloon, page, 1ULL << order);
		add_block(&going, page, order);
	}
	done = going.pages;
	(void)ballast_queue_send_page_numbers(balloon, balloon->deflate_vq);
	while ((page = pop_within(&going, ~0ULL, &order)))
		leave(balloon, page, order);
	return done;
}

/**
 * ballast_ranges_give_back - blocks back to the guest
 * @balloon: the device
 * @pages: how many, at most
 * @split: whether to split a block if all are larger
 *
 * Return: pages given back; fewer than @pages if no more fit, or if another call is
 * needed for the rest; 0 only if none fit.
 */
u64 ballast_ranges_give_back(struct ballast_balloon *balloon, u64 pages, bool split)
{
	u64 done;

	lockdep_assert_held(&balloon->lock);
	done = balloon->use_reporting ? give_back_reported(balloon, pages) :
					give_back_told(balloon, pages);
	if (done || !split || !pages || !balloon->ranges.pages)
		return done;
	split_smallest(&balloon->ranges);
	return balloon->use_reporting ? give_back_reported(balloon, pages) :
					give_back_told(balloon, pages);
}

/**
 * ballast_ranges_huge_units - how much of it is whole 2 MiB units
 * @ranges: the balloon's; read without its lock, for people
 *
 * Return: their number.
 */
u64 ballast_ranges_huge_units(const struct ballast_ranges *ranges)
{
	u64 units = 0;
	int order;

	for (order = BALLAST_ORDER_MAX; order >= 0; order--)
		if (PAGE_SIZE << order >= BALLAST_UNIT_BYTES)
			units += ranges->count[order] *
				 ((PAGE_SIZE << order) / BALLAST_UNIT_BYTES);
	return units;
}
