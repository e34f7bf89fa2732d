// SPDX-License-Identifier: GPL-2.0
/*
 * The device's queues: page numbers, ranges, and waiting for the host.
 *
 * DOC: A queue has one buffer on its way at a time (the hint queue a batch), and its lock
 * is held until the host has taken it; the hint queue has one user, no lock and no interrupt.
 * Indirect descriptors are refused (device.c), so adding a buffer allocates nothing.  A
 * host that breaks the device ends every wait.
 */
#include "balloon.h"

#include <linux/delay.h>
#include <linux/virtio_config.h>

/* How long the host's answer is waited for on the hint queue before it is looked for again. */
#define LOOK_FIRST_US	50U
#define LOOK_LAST_US	10000U

/* A joined range stays below what a descriptor's 32 bit length can say. */
#define RANGE_MAX_BYTES	(1U << 30)

enum { INFLATE, DEFLATE, STATS, HINT, REPORT, QUEUES };

static void host_has_answered(struct virtqueue *vq)
{
	struct ballast_balloon *balloon = vq->vdev->priv;

	wake_up(&balloon->acked);
}

static void host_wants_stats(struct virtqueue *vq)
{
	struct ballast_balloon *balloon = vq->vdev->priv;
	unsigned long flags;

	spin_lock_irqsave(&balloon->stop_lock, flags);
	if (!balloon->stopped)
		queue_work(balloon->wq, &balloon->stats_work);
	spin_unlock_irqrestore(&balloon->stop_lock, flags);
}

/**
 * ballast_queue_find - set up the queues that were negotiated
 * @balloon: the device, reset or new
 *
 * Return: 0 or an error; nothing is left then.
 */
int ballast_queue_find(struct ballast_balloon *balloon)
{
	struct virtqueue_info info[QUEUES] = {
		[INFLATE] = { .name = "inflate", .callback = host_has_answered },
		[DEFLATE] = { .name = "deflate", .callback = host_has_answered },
	};
	struct virtio_device *vdev = balloon->vdev;
	struct virtqueue *vqs[QUEUES] = {};
	int err;

	BUILD_BUG_ON(QUEUES > BALLAST_QUEUES_MAX);
	if (virtio_has_feature(vdev, VIRTIO_BALLOON_F_STATS_VQ)) {
		info[STATS].name = "stats";
		info[STATS].callback = host_wants_stats;
	}
	if (virtio_has_feature(vdev, VIRTIO_BALLOON_F_REPORTING)) {
		info[REPORT].name = "reporting";
		info[REPORT].callback = host_has_answered;
	}
	if (virtio_has_feature(vdev, VIRTIO_BALLOON_F_FREE_PAGE_HINT))
		info[HINT].name = "hint";
	err = ballast_find_vqs(vdev, QUEUES, vqs, info);
	if (err)
		return err;
	balloon->inflate_vq = vqs[INFLATE];
	balloon->deflate_vq = vqs[DEFLATE];
	balloon->stats_vq = vqs[STATS];
	balloon->hint.vq = vqs[HINT];
	balloon->report_max = vqs[REPORT] ? min_t(unsigned int, PAGE_REPORTING_CAPACITY,
						  virtqueue_get_vring_size(vqs[REPORT])) : 0;
	balloon->report_vq = vqs[REPORT];	/* nobody may use it yet */
	return 0;
}

static bool answered_or_broken(struct virtqueue *vq, bool *answered)
{
	unsigned int length;

	*answered = virtqueue_get_buf(vq, &length);
	return *answered || virtqueue_is_broken(vq);
}

static int wait_for_host(struct ballast_balloon *balloon, struct virtqueue *vq)
{
	bool answered;

	/* Nobody wakes us for a device that breaks: look again every second, and kick again. */
	while (!wait_event_timeout(balloon->acked, answered_or_broken(vq, &answered), HZ))
		virtqueue_notify(vq);
	return answered ? 0 : -EIO;
}

/*
 * For the hint queue.  QEMU serves it in an I/O thread, which raises the device's INTx (QEMU
 * 7.2 has no MSI-X for it) without the lock under which it is lowered for the guest: the line
 * may stay up, and the guest does nothing but answer it.  So nobody asks for an interrupt.
 *
 * And kicks once a second: QEMU ends a round by asking for kicks, and does not look whether
 * something came just before.
 */
static int look_for_answer(struct virtqueue *vq)
{
	unsigned long kick = jiffies + HZ;
	unsigned int us = LOOK_FIRST_US;
	bool answered;

	while (!answered_or_broken(vq, &answered)) {
		usleep_range(us, 2 * us);
		us = min(2 * us, LOOK_LAST_US);
		if (time_before(jiffies, kick))
			continue;
		virtqueue_notify(vq);
		kick = jiffies + HZ;
	}
	return answered ? 0 : -EIO;
}

static int kick_and_wait(struct ballast_balloon *balloon, struct virtqueue *vq)
{
	virtqueue_kick(vq);
	return wait_for_host(balloon, vq);
}

/**
 * ballast_queue_has_room - whether more page numbers can be noted
 * @balloon: the device
 * @pages: how many
 *
 * Return: false if what is noted has to be sent first.
 */
bool ballast_queue_has_room(const struct ballast_balloon *balloon, u64 pages)
{
	lockdep_assert_held(&balloon->lock);
	return balloon->pfn_count + pages * BALLAST_UNITS_PER_PAGE <= BALLAST_PFNS_MAX;
}

/**
 * ballast_queue_add_page_numbers - note pages for the host
 * @balloon: the device, with room for them
 * @page: the first
 * @pages: how many
 */
void ballast_queue_add_page_numbers(struct ballast_balloon *balloon, struct page *page,
				    u64 pages)
{
	/* the device's page numbers have 32 bits: 16 TiB */
	u32 pfn = page_to_pfn(page) * BALLAST_UNITS_PER_PAGE;
	u64 left = pages * BALLAST_UNITS_PER_PAGE;

	lockdep_assert_held(&balloon->lock);
	while (left--)
		balloon->pfns[balloon->pfn_count++] = cpu_to_virtio32(balloon->vdev, pfn++);
}

/**
 * ballast_queue_send_page_numbers - tell the host what was noted, and wait
 * @balloon: the device
 * @vq: its inflate or deflate queue
 *
 * Return: 0, or -EIO if the device is broken.
 */
int ballast_queue_send_page_numbers(struct ballast_balloon *balloon, struct virtqueue *vq)
{
	struct scatterlist sg;
	int err;

	lockdep_assert_held(&balloon->lock);
	if (!balloon->pfn_count)
		return 0;
	sg_init_one(&sg, balloon->pfns, balloon->pfn_count * sizeof(balloon->pfns[0]));
	balloon->pfn_count = 0;
	err = virtqueue_add_outbuf(vq, &sg, 1, balloon, GFP_NOWAIT | __GFP_NOWARN);
	return err ?: kick_and_wait(balloon, vq);
}

static int report(struct ballast_balloon *balloon, struct scatterlist *sg, unsigned int count)
{
	int err = -ENODEV;

	mutex_lock(&balloon->report_lock);
	if (balloon->may_report) {
		err = virtqueue_add_inbuf(balloon->report_vq, sg, count, balloon,
					  GFP_NOWAIT | __GFP_NOWARN);
		err = err ?: kick_and_wait(balloon, balloon->report_vq);
	}
	mutex_unlock(&balloon->report_lock);
	return err;
}

/**
 * ballast_queue_report - free pages that the kernel shows us on their way past
 * @info: the balloon's
 * @sg: the pages
 * @count: of them
 *
 * Return: 0, or an error: the pages are not marked as reported then.
 */
int ballast_queue_report(struct page_reporting_dev_info *info, struct scatterlist *sg,
			 unsigned int count)
{
	return report(container_of(info, struct ballast_balloon, reporting), sg, count);
}

/* Whole units of 2 MiB, and nothing else. */
static bool is_whole(unsigned long pfn, u64 pages)
{
	return !(((pfn | pages) << PAGE_SHIFT) % BALLAST_UNIT_BYTES);
}

/*
 * The allocator often hands out neighbours, upwards or downwards.  What is whole is joined to
 * what is whole: QEMU passes over a range that is not, where the guest's memory is huge pages.
 */
static bool join(struct scatterlist *last, struct page *page, u64 pages)
{
	const unsigned long pfn = page_to_pfn(page), last_pfn = page_to_pfn(sg_page(last));
	const u64 bytes = (pages << PAGE_SHIFT) + last->length;

	if (bytes > RANGE_MAX_BYTES ||
	    is_whole(pfn, pages) != is_whole(last_pfn, last->length >> PAGE_SHIFT))
		return false;
	if (pfn == last_pfn + (last->length >> PAGE_SHIFT)) {
		last->length = bytes;
		return true;
	}
	if (pfn + pages == last_pfn) {
		sg_set_page(last, page, bytes, 0);
		return true;
	}
	return false;
}

/**
 * ballast_queue_add_range - note a range for the host; sends what does not fit any more
 * @balloon: the device
 * @page: its first page
 * @pages: how many
 *
 * Return: 0, or -EIO if the device is broken.
 */
int ballast_queue_add_range(struct ballast_balloon *balloon, struct page *page, u64 pages)
{
	int err = 0;

	lockdep_assert_held(&balloon->lock);
	if (balloon->report_count &&
	    join(&balloon->report_sg[balloon->report_count - 1], page, pages))
		return 0;
	if (balloon->report_count == balloon->report_max)
		err = ballast_queue_send_ranges(balloon);
	if (!balloon->report_count)
		sg_init_table(balloon->report_sg, PAGE_REPORTING_CAPACITY);
	sg_set_page(&balloon->report_sg[balloon->report_count++], page, pages << PAGE_SHIFT, 0);
	return err;
}

/**
 * ballast_queue_send_ranges - give the host the ranges that were noted, and wait
 * @balloon: the device
 *
 * Return: 0, or -EIO if the device is broken.
 */
int ballast_queue_send_ranges(struct ballast_balloon *balloon)
{
	const unsigned int count = balloon->report_count;

	lockdep_assert_held(&balloon->lock);
	if (!count)
		return 0;
	sg_mark_end(&balloon->report_sg[count - 1]);
	balloon->report_count = 0;
	return report(balloon, balloon->report_sg, count);
}

/**
 * ballast_queue_say - give the host a number, and wait
 * @vq: the hint queue
 * @word: the number, not on the stack
 *
 * Return: 0, or -EIO if the device is broken.
 */
int ballast_queue_say(struct virtqueue *vq, __virtio32 *word)
{
	struct scatterlist sg;
	int err;

	sg_init_one(&sg, word, sizeof(*word));
	err = virtqueue_add_outbuf(vq, &sg, 1, word, GFP_NOWAIT | __GFP_NOWARN);
	if (err)
		return err;
	virtqueue_kick(vq);
	return look_for_answer(vq);
}

/* QEMU looks at the first range of a buffer only. */
static int add_hint(struct virtqueue *vq, struct page *page, unsigned int order)
{
	struct scatterlist sg;

	sg_init_table(&sg, 1);
	sg_set_page(&sg, page, PAGE_SIZE << order, 0);
	return virtqueue_add_inbuf(vq, &sg, 1, page, GFP_NOWAIT | __GFP_NOWARN);
}

/**
 * ballast_queue_offer - show the host free blocks, and wait
 * @vq: the hint queue, empty, with room for all of them
 * @blocks: nobody else knows them
 *
 * Return: 0, or an error: the host may have seen some of them.
 */
int ballast_queue_offer(struct virtqueue *vq, struct ballast_ranges *blocks)
{
	unsigned int order, waiting = 0;
	struct page *page;
	int err = 0, broken = 0;

	for (order = 0; order <= BALLAST_ORDER_MAX; order++) {
		list_for_each_entry(page, &blocks->blocks[order], lru) {
			err = err ?: add_hint(vq, page, order);
			waiting += !err;
		}
	}
	virtqueue_kick(vq);
	while (waiting-- && !broken)
		broken = look_for_answer(vq);
	return err ?: broken;
}
