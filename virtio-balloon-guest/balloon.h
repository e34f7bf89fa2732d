/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's balloon driver: its device, and what its files do for one another.
 *
 * DOC: Documentation/design/balloon.md has states, locks and lifetimes.  Amounts
 * are guest pages (PAGE_SIZE) here, bytes in policy/, 4 KiB units in the device.
 */
#ifndef BALLAST_BALLOON_H
#define BALLAST_BALLOON_H

#include <linux/balloon_compaction.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/page_reporting.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>
#include <linux/virtio.h>
#include <linux/virtio_balloon.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "policy/step.h"

/* The largest block: 4 MiB, or what the allocator has. */
#define BALLAST_ORDER_4MIB	(22 - PAGE_SHIFT)
#define BALLAST_ORDER_MAX	(BALLAST_ALLOCATOR_ORDER_MAX < BALLAST_ORDER_4MIB ? \
				 BALLAST_ALLOCATOR_ORDER_MAX : BALLAST_ORDER_4MIB)
/* The smallest block that is worth a range: QEMU's cost is by range. */
#define BALLAST_ORDER_MIN	(PAGE_SHIFT < 16 ? 16 - PAGE_SHIFT : 0)
/* What is hinted: whole huge pages, so many at a time. */
#define BALLAST_ORDER_HINT	(21 - PAGE_SHIFT)
#define BALLAST_HINT_BLOCKS	32
/* Page numbers a kick: 32 MiB of 4 KiB pages. */
#define BALLAST_PFNS_MAX	8192
#define BALLAST_UNITS_PER_PAGE	(1U << (PAGE_SHIFT - VIRTIO_BALLOON_PFN_SHIFT))

/**
 * struct ballast_ranges - memory by the block
 * @blocks: by order, linked by page->lru of the first page.  blocks[0] are loose pages
 * @count: of blocks, by order
 * @pages: in all of them
 *
 * Protected by the owner: the balloon's lock, or nobody else knows it.
 */
struct ballast_ranges {
	struct list_head blocks[BALLAST_ORDER_MAX + 1];
	u64 count[BALLAST_ORDER_MAX + 1];
	u64 pages;
};

/**
 * struct ballast_counters - what was refused and given back, since the driver came
 * @refusals: times that the floor made the driver refuse
 * @vetoes: steps against the host's wish for pressure
 * @vetoes_by: the same, by reason
 * @oom_give_backs: times that memory was given back rather than a process killed
 * @short_steps: steps that got less than they asked for
 *
 * Protected by the balloon's lock; read without.
 */
struct ballast_counters {
	u64 refusals;
	u64 vetoes;
	u64 vetoes_by[BALLAST_REASON_NR];
	u64 oom_give_backs;
	u64 short_steps;
};

/**
 * struct ballast_gauge - pressure, from look to look
 * @last_ms: when it was looked at; 0: never
 * @psi: totals then
 * @source: where they came from
 * @swap_in_pages: counter then
 * @own: what PSI counted since then in steps that had to reclaim
 * @own_ns: how long these were
 * @own_some_avg10_bp: the same over the last 10 s
 * @own_full_avg10_bp: the same over the last 10 s
 * @last: what was found then, to be told again in between
 *
 * Only the work touches it.
 */
struct ballast_gauge {
	u64 last_ms;
	struct ballast_psi psi;
	unsigned int source;
	u64 swap_in_pages;
	struct ballast_own_wait own;
	u64 own_ns;
	u32 own_some_avg10_bp;
	u32 own_full_avg10_bp;
	struct ballast_pressure last;
};

/**
 * struct ballast_own_step - a step, in which the driver may wait for memory
 * @psi: totals when it began
 * @source: where they came from
 * @start_ns: when that was
 */
struct ballast_own_step {
	struct ballast_psi psi;
	unsigned int source;
	u64 start_ns;
};

/**
 * struct ballast_hinter - free memory that the host need not migrate
 * @vq: takes numbers and blocks; NULL: no hints.  Only the work, once it is set
 * @work: answers the host
 * @news: the configuration has changed since @asked_id was read
 * @asked_id: what the host asked with; only the work
 * @answered_id: of the last round; only the work
 * @word: a number on its way to the host; only the work
 * @shrinker: gives @held back
 * @lock: innermost, and taken in reclaim
 * @held: blocks that the host knows of.  Protected by @lock
 * @offered_pages: all that ever came into @held.  Protected by @lock
 * @shrunk_pages: what the shrinker gave back of it.  Protected by @lock
 * @ballooned_pages: what went to the balloon of it.  Protected by @lock
 */
struct ballast_hinter {
	struct virtqueue *vq;
	struct work_struct work;
	bool news;
	u32 asked_id;
	u32 answered_id;
	__virtio32 word;
	struct ballast_shrinker shrinker;
	spinlock_t lock;
	struct ballast_ranges held;
	u64 offered_pages;
	u64 shrunk_pages;
	u64 ballooned_pages;
};

/**
 * struct ballast_balloon - one device
 * @node: in the list of balloons
 * @vdev: it
 * @inflate_vq: takes page numbers.  Protected by @lock
 * @deflate_vq: the same
 * @stats_vq: takes statistics when the host has taken the last; NULL without the feature
 * @report_vq: takes ranges; NULL without the feature.  Set before @may_report is, then
 *	protected by @report_lock
 * @may_report: there is @report_vq, and the device is ready.  Protected by @report_lock
 * @acked: the host has taken something from a queue
 * @use_reporting: whether blocks go through @report_vq; set by probe
 * @adjust_managed: whether the guest's total is without the balloon; set by probe
 * @wq: where all work runs; freezes with user space
 * @resize_work: makes one step; queues itself
 * @stats_work: answers the host
 * @stop_lock: innermost
 * @stopped: nobody may queue work.  Protected by @stop_lock
 * @lock: see each field.  Nothing may be allocated under it
 * @report_lock: inside @lock
 * @ranges: the blocks.  Protected by @lock
 * @movable: the 4 KiB pages, those isolated by compaction not in its list.  See its lock
 * @movable_pages: those isolated included.  Protected by @lock
 * @pfns: page numbers on their way to the host, room for BALLAST_PFNS_MAX.  Protected by @lock
 * @pfn_count: of them.  Protected by @lock
 * @report_sg: ranges on their way to the host.  Protected by @lock
 * @report_count: of them.  Protected by @lock
 * @report_max: how many fit into the queue; set by probe and restore
 * @ooms: how often the guest was out of memory; a step that sees it change gives up
 * @taking_pages: what the step under way has taken and not handed over, and one more; written
 *	by the work, without @lock while it takes
 * @decider: Protected by @lock
 * @counters: Protected by @lock
 * @last_reason: of the last step that did or refused something.  Protected by @lock
 * @is_silent: the device has not answered, until it is begun anew.  Protected by @lock
 * @refused_bytes: what the host wants and does not get now.  Protected by @lock
 * @shown_units: what the host was last told; only the work, and who stopped it
 * @gauge: pressure; only the work
 * @self_target_bytes: own target; written by the work only
 * @self_last_ms: when it was computed; 0: not yet; only the work
 * @stats: on their way to the host; only the stats work
 * @hint: see there
 * @reporting: free page reporting
 * @reporting_registered: whether @reporting is; probe and remove
 * @oom: called before a process is killed
 * @sleep: called before and after hibernation
 * @begun: whether there are queues.  Changed by probe, remove, freeze and restore
 * @asleep: hibernation has begun: stay stopped.  Changed by @sleep
 */
struct ballast_balloon {
	struct list_head node;
	struct virtio_device *vdev;
	struct virtqueue *inflate_vq;
	struct virtqueue *deflate_vq;
	struct virtqueue *stats_vq;
	struct virtqueue *report_vq;
	bool may_report;
	wait_queue_head_t acked;
	bool use_reporting;
	bool adjust_managed;

	struct workqueue_struct *wq;
	struct delayed_work resize_work;
	struct work_struct stats_work;
	spinlock_t stop_lock;
	bool stopped;

	struct mutex lock;
	struct mutex report_lock;
	struct ballast_ranges ranges;
	struct balloon_dev_info movable;
	u64 movable_pages;
	__virtio32 *pfns;
	unsigned int pfn_count;
	struct scatterlist report_sg[PAGE_REPORTING_CAPACITY];
	unsigned int report_count;
	unsigned int report_max;

	atomic_t ooms;
	u64 taking_pages;
	struct ballast_decider decider;
	struct ballast_counters counters;
	enum ballast_reason last_reason;
	bool is_silent;
	u64 refused_bytes;

	u32 shown_units;
	struct ballast_gauge gauge;
	u64 self_target_bytes;
	u64 self_last_ms;
	struct virtio_balloon_stat stats[BALLAST_STATS_NR];

	struct ballast_hinter hint;
	struct page_reporting_dev_info reporting;
	bool reporting_registered;
	struct notifier_block oom;
	struct notifier_block sleep;
	bool begun;
	bool asleep;
};

/**
 * struct ballast_tunables - the module's parameters
 * @floor_mib: what stays available to the guest; 0: by its size
 * @give_back: whether to hold less than the host asks for under pressure
 * @psi_some_limit_bp: hundredths of a percent, 0: no limit
 * @psi_full_limit_bp: the same
 * @swap_in_limit_bytes_per_s: 0: no limit
 * @self_balloon: whether the guest has a target of its own
 * @self_reserve_mib: what it keeps beside what is committed
 * @self_period_ms: how often it thinks about it
 */
struct ballast_tunables {
	unsigned int floor_mib;
	bool give_back;
	unsigned int psi_some_limit_bp;
	unsigned int psi_full_limit_bp;
	unsigned long swap_in_limit_bytes_per_s;
	bool self_balloon;
	unsigned int self_reserve_mib;
	unsigned int self_period_ms;
};

extern struct ballast_tunables ballast_tunables;

static inline u64 ballast_held_pages(const struct ballast_balloon *balloon)
{
	return balloon->ranges.pages + balloon->movable_pages;
}

static inline u64 ballast_now_ms(void)
{
	return ktime_get_ns() / NSEC_PER_MSEC;
}

/* device.c */
void ballast_device_kick(struct ballast_balloon *balloon);
void ballast_device_look_again(struct ballast_balloon *balloon, unsigned long delay);
u64 ballast_device_target_bytes(struct ballast_balloon *balloon);
void ballast_device_show_actual(struct ballast_balloon *balloon);

/* queue.c */
int ballast_queue_find(struct ballast_balloon *balloon);
bool ballast_queue_has_room(const struct ballast_balloon *balloon, u64 pages);
void ballast_queue_add_page_numbers(struct ballast_balloon *balloon, struct page *page,
				    u64 pages);
int ballast_queue_send_page_numbers(struct ballast_balloon *balloon, struct virtqueue *vq);
int ballast_queue_add_range(struct ballast_balloon *balloon, struct page *page, u64 pages);
int ballast_queue_send_ranges(struct ballast_balloon *balloon);
int ballast_queue_report(struct page_reporting_dev_info *info, struct scatterlist *sg,
			 unsigned int count);
int ballast_queue_say(struct virtqueue *vq, __virtio32 *word);
int ballast_queue_offer(struct virtqueue *vq, struct ballast_ranges *blocks);

/* range.c */
void ballast_ranges_init(struct ballast_ranges *ranges);
u64 ballast_ranges_room_pages(u64 floor_bytes, u64 held_pages);
u64 ballast_ranges_allocate(struct ballast_ranges *ranges, u64 pages, unsigned int order_min);
void ballast_ranges_free(struct ballast_ranges *ranges);
u64 ballast_ranges_move(struct ballast_ranges *from, struct ballast_ranges *to, u64 pages);
struct page *ballast_ranges_pop(struct ballast_ranges *ranges, unsigned int *order);
int ballast_ranges_hand_over(struct ballast_balloon *balloon, struct ballast_ranges *from);
u64 ballast_ranges_give_back(struct ballast_balloon *balloon, u64 pages, bool split);
u64 ballast_ranges_huge_units(const struct ballast_ranges *ranges);

/* page.c */
void ballast_pages_init(struct ballast_balloon *balloon);
u64 ballast_pages_allocate(struct list_head *list, u64 pages, u64 *reclaim_us);
void ballast_pages_free(struct list_head *list);
int ballast_pages_hand_over(struct ballast_balloon *balloon, struct list_head *list);
u64 ballast_pages_give_back(struct ballast_balloon *balloon, u64 pages);

/* resize.c */
void ballast_resize_work(struct work_struct *work);
u64 ballast_resize_deflate_locked(struct ballast_balloon *balloon, u64 pages);
void ballast_resize_drain(struct ballast_balloon *balloon);
u64 ballast_guest_bytes(const struct ballast_balloon *balloon);
u64 ballast_floor_bytes(const struct ballast_balloon *balloon);

/* hint.c */
int ballast_hint_create(struct ballast_balloon *balloon);
void ballast_hint_destroy(struct ballast_balloon *balloon);
void ballast_hint_begin(struct ballast_balloon *balloon);
void ballast_hint_note_config(struct ballast_balloon *balloon);
u64 ballast_hint_take(struct ballast_balloon *balloon, struct ballast_ranges *ranges, u64 pages);
void ballast_hint_end(struct ballast_balloon *balloon);

/* pressure.c */
bool ballast_pressure_look(struct ballast_gauge *gauge, u64 now_ms,
			   struct ballast_pressure *pressure);
void ballast_pressure_own_begin(struct ballast_own_step *step);
void ballast_pressure_own_end(struct ballast_gauge *gauge, const struct ballast_own_step *step);
int ballast_oom_notify(struct notifier_block *nb, unsigned long unused, void *freed);

/* stats.c */
void ballast_stats_work(struct work_struct *work);
int ballast_stats_begin(struct ballast_balloon *balloon);

/* sysfs.c */
extern const struct attribute_group *ballast_device_groups[];

#endif /* BALLAST_BALLOON_H */
