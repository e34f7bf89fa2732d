// SPDX-License-Identifier: GPL-2.0
/*
 * Statistics for the host.
 *
 * DOC: The host takes a buffer when it wants numbers; the driver fills it anew
 * then, so they are as old as the host's question.
 */
#include "balloon.h"

#include <linux/swap.h>
#include <linux/vmstat.h>

/**
 * struct collection - statistics being collected
 * @balloon: whose buffer it is
 * @count: how many there are
 */
struct collection {
	struct ballast_balloon *balloon;
	unsigned int count;
};

static void add(struct collection *c, u16 tag, u64 value)
{
	struct ballast_balloon *balloon = c->balloon;

	if (c->count == BALLAST_STATS_NR)
		return;
	balloon->stats[c->count].tag = cpu_to_virtio16(balloon->vdev, tag);
	balloon->stats[c->count].val = cpu_to_virtio64(balloon->vdev, value);
	c->count++;
}

static void add_bytes_of(struct collection *c, u16 tag, u64 pages)
{
	add(c, tag, pages << PAGE_SHIFT);
}

#ifdef CONFIG_VM_EVENT_COUNTERS
static u64 stalls(const unsigned long *events)
{
	unsigned int zone;
	u64 sum = 0;

	for (zone = 0; zone < MAX_NR_ZONES; zone++)
		sum += events[ALLOCSTALL_NORMAL - ZONE_NORMAL + zone];
	return sum;
}

static void add_events(struct collection *c)
{
	unsigned long events[NR_VM_EVENT_ITEMS];

	all_vm_events(events);
	add_bytes_of(c, VIRTIO_BALLOON_S_SWAP_IN, events[PSWPIN]);
	add_bytes_of(c, VIRTIO_BALLOON_S_SWAP_OUT, events[PSWPOUT]);
	add(c, VIRTIO_BALLOON_S_MAJFLT, events[PGMAJFAULT]);
	add(c, VIRTIO_BALLOON_S_MINFLT, events[PGFAULT]);
#ifdef CONFIG_HUGETLB_PAGE
	add(c, VIRTIO_BALLOON_S_HTLB_PGALLOC, events[HTLB_BUDDY_PGALLOC]);
	add(c, VIRTIO_BALLOON_S_HTLB_PGFAIL, events[HTLB_BUDDY_PGALLOC_FAIL]);
#endif
	add(c, VIRTIO_BALLOON_S_OOM_KILL, events[OOM_KILL]);
	add(c, VIRTIO_BALLOON_S_ALLOC_STALL, stalls(events));
	add_bytes_of(c, VIRTIO_BALLOON_S_ASYNC_SCAN, events[PGSCAN_KSWAPD]);
	add_bytes_of(c, VIRTIO_BALLOON_S_DIRECT_SCAN, events[PGSCAN_DIRECT]);
	add_bytes_of(c, VIRTIO_BALLOON_S_ASYNC_RECLAIM, events[PGSTEAL_KSWAPD]);
	add_bytes_of(c, VIRTIO_BALLOON_S_DIRECT_RECLAIM, events[PGSTEAL_DIRECT]);
}
#else
static void add_events(struct collection *c)
{
}
#endif

static unsigned int collect(struct ballast_balloon *balloon)
{
	struct collection c = { .balloon = balloon };
	const long available = si_mem_available();
	struct sysinfo info;

	si_meminfo(&info);
	add_bytes_of(&c, VIRTIO_BALLOON_S_MEMFREE, info.freeram);
	add_bytes_of(&c, VIRTIO_BALLOON_S_MEMTOT, info.totalram);
	add_bytes_of(&c, VIRTIO_BALLOON_S_AVAIL, max(available, 0L));
	add_bytes_of(&c, VIRTIO_BALLOON_S_CACHES, global_node_page_state(NR_FILE_PAGES));
	add_events(&c);
	return c.count;
}

static int send(struct ballast_balloon *balloon)
{
	struct scatterlist sg;
	int err;

	sg_init_one(&sg, balloon->stats, sizeof(balloon->stats[0]) * collect(balloon));
	err = virtqueue_add_outbuf(balloon->stats_vq, &sg, 1, balloon, GFP_KERNEL);
	if (!err)
		virtqueue_kick(balloon->stats_vq);
	return err;
}

/**
 * ballast_stats_work - the host has taken the last numbers and wants new ones
 * @work: the balloon's
 */
void ballast_stats_work(struct work_struct *work)
{
	struct ballast_balloon *balloon = container_of(work, struct ballast_balloon, stats_work);
	unsigned int length;

	/* nothing else fills the queue; full means that the host has it still */
	if (virtqueue_get_buf(balloon->stats_vq, &length))
		(void)send(balloon);
}

/**
 * ballast_stats_begin - put the first numbers into the queue
 * @balloon: the device, with queues, not yet ready
 *
 * Return: 0 or an error.
 */
int ballast_stats_begin(struct ballast_balloon *balloon)
{
	return balloon->stats_vq ? send(balloon) : 0;
}
