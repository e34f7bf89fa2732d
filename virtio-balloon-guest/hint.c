// SPDX-License-Identifier: GPL-2.0
/*
 * Hints: free memory that a migration need not send.
 *
 * DOC: The host asks with a number, the driver answers with it, shows free blocks, and
 * keeps them until the host says that the migration is over, or the guest wants
 * them.  A block may be used again from the moment that the host has taken it,
 * never before: then the host's dirty log sees what is written to it.
 */
#include "balloon.h"

#include <linux/sched.h>
#include <linux/virtio_config.h>

/* At a time: that a host which says stop is heard. */
#define BATCH_PAGES	((u64)BALLAST_HINT_BLOCKS << BALLAST_ORDER_HINT)

static struct ballast_balloon *balloon_of(struct ballast_hinter *hint)
{
	return container_of(hint, struct ballast_balloon, hint);
}

/*
 * What the host asks with.  Read once for each change: while QEMU takes hints it shows
 * "stop" to whoever reads again.
 */
static u32 asked_id(struct ballast_hinter *hint)
{
	if (xchg(&hint->news, false))
		virtio_cread_le(balloon_of(hint)->vdev, struct virtio_balloon_config,
				free_page_hint_cmd_id, &hint->asked_id);
	return hint->asked_id;
}

static int say(struct ballast_hinter *hint, u32 id)
{
	struct ballast_balloon *balloon = balloon_of(hint);

	hint->word = cpu_to_virtio32(balloon->vdev, id);
	return ballast_queue_say(hint->vq, &hint->word);
}

static struct page *pop_held(struct ballast_hinter *hint, unsigned int *order, bool shrink)
{
	struct page *page;

	spin_lock(&hint->lock);
	page = ballast_ranges_pop(&hint->held, order);
	if (page && shrink)
		hint->shrunk_pages += 1ULL << *order;
	spin_unlock(&hint->lock);
	return page;
}

static void give_back_all(struct ballast_hinter *hint)
{
	unsigned int order;
	struct page *page;

	while ((page = pop_held(hint, &order, false))) {
		__free_pages(page, order);
		cond_resched();
	}
}

/* What looks at MemAvailable, in the guest, must not see a shortage that is none. */
static u64 room_pages(struct ballast_balloon *balloon)
{
	const long available = si_mem_available();
	const u64 floor = ballast_floor_bytes(balloon) >> PAGE_SHIFT;

	return available > 0 && available > floor ? available - floor : 0;
}

/* One batch.  Returns whether there may be more. */
static bool offer_some(struct ballast_hinter *hint)
{
	const u64 pages = min(room_pages(balloon_of(hint)), BATCH_PAGES);
	struct ballast_ranges blocks;

	ballast_ranges_init(&blocks);
	if (!ballast_ranges_allocate(&blocks, pages, BALLAST_ORDER_HINT))
		return false;
	if (ballast_queue_offer(hint->vq, &blocks)) {
		ballast_ranges_free(&blocks);
		return false;
	}
	spin_lock(&hint->lock);
	hint->offered_pages += ballast_ranges_move(&blocks, &hint->held, ~0ULL);
	spin_unlock(&hint->lock);
	return true;
}

static u64 lost_pages(const struct ballast_hinter *hint)
{
	return READ_ONCE(hint->shrunk_pages) + READ_ONCE(hint->ballooned_pages);
}

/*
 * A host that accepts the id shows "stop" from then on.  The id can be read before the host
 * tells of it: what is read for that late telling is no stop.
 */
static int begin_round(struct ballast_hinter *hint, u32 id)
{
	const int err = say(hint, id);

	if (asked_id(hint) == VIRTIO_BALLOON_CMD_ID_STOP)
		hint->asked_id = id;
	return err;
}

/* A round.  A guest that wants memory back keeps what is left. */
static void answer(struct ballast_hinter *hint, u32 id)
{
	const u64 lost = lost_pages(hint);

	hint->answered_id = id;
	if (begin_round(hint, id))
		return;
	while (asked_id(hint) == id && lost_pages(hint) == lost && offer_some(hint))
		;
	(void)say(hint, VIRTIO_BALLOON_CMD_ID_STOP);
}

static void hint_work(struct work_struct *work)
{
	struct ballast_hinter *hint = container_of(work, struct ballast_hinter, work);
	const u32 id = asked_id(hint);

	if (id == VIRTIO_BALLOON_CMD_ID_DONE)
		give_back_all(hint);
	else if (id != VIRTIO_BALLOON_CMD_ID_STOP && id != hint->answered_id)
		answer(hint, id);
}

static unsigned long count_held(struct shrinker *shrinker, struct shrink_control *control)
{
	struct ballast_hinter *hint = ballast_shrinker_data(shrinker);

	return READ_ONCE(hint->held.pages) ?: SHRINK_EMPTY;
}

static unsigned long shrink_held(struct shrinker *shrinker, struct shrink_control *control)
{
	struct ballast_hinter *hint = ballast_shrinker_data(shrinker);
	unsigned long freed = 0;
	unsigned int order;
	struct page *page;

	while (freed < control->nr_to_scan && (page = pop_held(hint, &order, true))) {
		__free_pages(page, order);
		freed += 1UL << order;
	}
	return freed ?: SHRINK_STOP;
}

/**
 * ballast_hint_take - blocks for the balloon, which is free memory as well
 * @balloon: the device
 * @ranges: they are added here
 * @pages: at most so many
 *
 * Return: pages taken.
 */
u64 ballast_hint_take(struct ballast_balloon *balloon, struct ballast_ranges *ranges, u64 pages)
{
	struct ballast_hinter *hint = &balloon->hint;
	u64 taken;

	spin_lock(&hint->lock);
	taken = ballast_ranges_move(&hint->held, ranges, pages);
	hint->ballooned_pages += taken;
	spin_unlock(&hint->lock);
	return taken;
}

/**
 * ballast_hint_create - once for a device, before anything runs
 * @balloon: the device, new
 *
 * Return: 0 or an error.
 */
int ballast_hint_create(struct ballast_balloon *balloon)
{
	struct ballast_hinter *hint = &balloon->hint;

	spin_lock_init(&hint->lock);
	INIT_WORK(&hint->work, hint_work);
	ballast_ranges_init(&hint->held);
	return ballast_shrinker_begin(&hint->shrinker, "ballast-balloon-hints", count_held,
				      shrink_held, hint);
}

/**
 * ballast_hint_destroy - the reverse of ballast_hint_create()
 * @balloon: the device, that holds no hints
 */
void ballast_hint_destroy(struct ballast_balloon *balloon)
{
	ballast_shrinker_end(&balloon->hint.shrinker);
}

/**
 * ballast_hint_begin - the device has queues, and nothing runs yet
 * @balloon: the device
 */
void ballast_hint_begin(struct ballast_balloon *balloon)
{
	struct ballast_hinter *hint = &balloon->hint;

	/* a batch has to fit */
	if (hint->vq && virtqueue_get_vring_size(hint->vq) < BALLAST_HINT_BLOCKS)
		hint->vq = NULL;
	hint->asked_id = VIRTIO_BALLOON_CMD_ID_STOP;
	hint->answered_id = VIRTIO_BALLOON_CMD_ID_STOP;
}

/**
 * ballast_hint_note_config - the host has changed the configuration, or may have
 * @balloon: the device, its stop_lock held, not stopped
 */
void ballast_hint_note_config(struct ballast_balloon *balloon)
{
	struct ballast_hinter *hint = &balloon->hint;

	lockdep_assert_held(&balloon->stop_lock);
	if (!hint->vq)
		return;
	WRITE_ONCE(hint->news, true);
	queue_work(balloon->wq, &hint->work);
}

/**
 * ballast_hint_end - the device is stopped: everything back to the guest
 * @balloon: the device, its queues still there
 */
void ballast_hint_end(struct ballast_balloon *balloon)
{
	cancel_work_sync(&balloon->hint.work);
	give_back_all(&balloon->hint);
}
