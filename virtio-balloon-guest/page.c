// SPDX-License-Identifier: GPL-2.0
/*
 * The balloon's memory by the page: movable, for what blocks cannot give.
 *
 * DOC: The kernel's balloon_compaction keeps the list and isolates pages; the
 * host is told of each page by number.  A page that is isolated is not in the
 * list but in the balloon; movable_pages counts it.
 */
#include "balloon.h"

#include <linux/migrate.h>
#include <linux/sched.h>
#include <linux/vmstat.h>

#define NO_RECLAIM_GFP ((balloon_mapping_gfp_mask() & ~__GFP_RECLAIM) | __GFP_NORETRY | \
			__GFP_NOMEMALLOC | __GFP_NOWARN)

static void adjust_managed(struct ballast_balloon *balloon, struct page *page, long pages)
{
	if (balloon->adjust_managed)
		adjust_managed_page_count(page, pages);
}

#ifdef CONFIG_BALLOON_COMPACTION
static int tell_one(struct ballast_balloon *balloon, struct page *page, struct virtqueue *vq)
{
	ballast_queue_add_page_numbers(balloon, page, 1);
	return ballast_queue_send_page_numbers(balloon, vq);
}

/*
 * Compaction wants @page and offers @newpage.  Called with both locked.  The
 * lock is only tried: its holder may wait for the host, and what inflates may
 * be what compacts.
 */
static int migrate(struct balloon_dev_info *info, struct page *newpage, struct page *page,
		   enum migrate_mode mode)
{
	struct ballast_balloon *balloon = container_of(info, struct ballast_balloon, movable);
	unsigned long flags;

	if (!mutex_trylock(&balloon->lock))
		return -EAGAIN;
	/* without a device to tell, and whenever it says no, the page stays */
	if (tell_one(balloon, newpage, balloon->inflate_vq)) {
		mutex_unlock(&balloon->lock);
		return -EAGAIN;
	}
	get_page(newpage);
	if (page_zone(page) != page_zone(newpage)) {
		adjust_managed(balloon, page, 1);
		adjust_managed(balloon, newpage, -1);
	}
	spin_lock_irqsave(&info->pages_lock, flags);
	balloon_page_insert(info, newpage);
	info->isolated_pages--;
	__count_vm_event(BALLOON_MIGRATE);
	spin_unlock_irqrestore(&info->pages_lock, flags);
	(void)tell_one(balloon, page, balloon->deflate_vq);
	mutex_unlock(&balloon->lock);
	balloon_page_finalize(page);
	put_page(page);
	return MIGRATEPAGE_SUCCESS;
}
#endif

/**
 * ballast_pages_init - no pages
 * @balloon: to be set
 */
void ballast_pages_init(struct ballast_balloon *balloon)
{
	balloon_devinfo_init(&balloon->movable);
#ifdef CONFIG_BALLOON_COMPACTION
	balloon->movable.migratepage = migrate;
#endif
	balloon->movable_pages = 0;
}

/**
 * ballast_pages_allocate - take pages from the guest
 * @list: they are added here
 * @pages: at most so many
 * @reclaim_us: the time that reclaim took is added; 0 is none
 *
 * Sleeps.  Return: pages taken.
 */
u64 ballast_pages_allocate(struct list_head *list, u64 pages, u64 *reclaim_us)
{
	struct page *page;
	u64 done, start;

	might_sleep();
	for (done = 0; done < pages; done++) {
		page = alloc_page(NO_RECLAIM_GFP);
		if (!page) {
			start = ktime_get_ns();
			page = balloon_page_alloc();
			*reclaim_us += (ktime_get_ns() - start) / NSEC_PER_USEC + 1;
		}
		if (!page)
			break;
		balloon_page_push(list, page);
		cond_resched();
	}
	return done;
}

/**
 * ballast_pages_free - pages that never came into the balloon
 * @list: empty afterwards
 */
void ballast_pages_free(struct list_head *list)
{
	struct page *page;

	while ((page = balloon_page_pop(list)))
		__free_page(page);
}

static int tell_pages(struct ballast_balloon *balloon, struct list_head *list,
		      struct virtqueue *vq)
{
	struct page *page;
	int err = 0;

	list_for_each_entry(page, list, lru) {
		if (!ballast_queue_has_room(balloon, 1))
			err = ballast_queue_send_page_numbers(balloon, vq) ?: err;
		ballast_queue_add_page_numbers(balloon, page, 1);
	}
	return ballast_queue_send_page_numbers(balloon, vq) ?: err;
}

/**
 * ballast_pages_hand_over - give pages to the host, and keep them in the balloon
 * @balloon: the device
 * @list: the pages; empty afterwards
 *
 * Return: 0, or an error: the device is broken, the pages are back with the guest.
 */
int ballast_pages_hand_over(struct ballast_balloon *balloon, struct list_head *list)
{
	struct page *page;
	int err;

	lockdep_assert_held(&balloon->lock);
	err = tell_pages(balloon, list, balloon->inflate_vq);
	if (err) {
		ballast_pages_free(list);
		return err;
	}
	list_for_each_entry(page, list, lru)
		adjust_managed(balloon, page, -1);
	balloon->movable_pages += balloon_page_list_enqueue(&balloon->movable, list);
	return 0;
}

/**
 * ballast_pages_give_back - pages back to the guest
 * @balloon: the device
 * @pages: how many, at most
 *
 * Return: pages given back; fewer if there are no more, if some are isolated by
 * compaction at the moment, or if another call is needed for the rest.
 */
u64 ballast_pages_give_back(struct ballast_balloon *balloon, u64 pages)
{
	struct page *page;
	LIST_HEAD(going);
	u64 done;

	lockdep_assert_held(&balloon->lock);
	pages = min_t(u64, pages, BALLAST_PFNS_MAX / BALLAST_UNITS_PER_PAGE);
	done = balloon_page_list_dequeue(&balloon->movable, &going, pages);
	balloon->movable_pages -= done;
	/* a device that broke does not keep guest memory */
	(void)tell_pages(balloon, &going, balloon->deflate_vq);
	while ((page = balloon_page_pop(&going))) {
		adjust_managed(balloon, page, 1);
		put_page(page);
	}
	return done;
}
