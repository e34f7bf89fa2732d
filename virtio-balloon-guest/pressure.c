// SPDX-License-Identifier: GPL-2.0
/*
 * Pressure on the guest: PSI, swap-in, and the call before a process is killed.
 *
 * DOC: What PSI knows of the whole system is in no exported symbol.  The root
 * cgroup's memory.pressure shows it and can be read from the kernel;
 * /proc/pressure/memory cannot (it has no read_iter).
 */
#include "balloon.h"

#include <linux/fs.h>
#include <linux/vmstat.h>

/*
 * Two looks closer than this tell nothing: PSI counts in scheduler ticks.  Steps in which the
 * driver waits do not count; the pauses after them do.
 */
#define LOOK_LEAST_MS	250
/* What a direct reclaim counts as on a guest without PSI. */
#define STALL_US	1000
#define PSI_TEXT_BYTES	256

static bool read_file(const char *path, char *text, size_t size)
{
	struct file *file = filp_open(path, O_RDONLY, 0);
	loff_t position = 0;
	ssize_t length;

	if (IS_ERR(file))
		return false;
	length = kernel_read(file, text, size - 1, &position);
	filp_close(file, NULL);
	if (length <= 0)
		return false;
	text[length] = 0;
	return true;
}

#ifdef CONFIG_VM_EVENT_COUNTERS
static void read_events(u64 *swap_in_pages, u64 *stalls)
{
	unsigned long events[NR_VM_EVENT_ITEMS];
	unsigned int zone;

	all_vm_events(events);
	*swap_in_pages = events[PSWPIN];
	*stalls = 0;
	for (zone = 0; zone < MAX_NR_ZONES; zone++)
		*stalls += events[ALLOCSTALL_NORMAL - ZONE_NORMAL + zone];
}
#else
static void read_events(u64 *swap_in_pages, u64 *stalls)
{
	*swap_in_pages = 0;
	*stalls = 0;
}
#endif

/* Returns which source it was; totals of two sources have nothing to do with each other. */
static unsigned int read_psi(struct ballast_psi *psi, u64 stalls)
{
	static const char *const paths[] = {
		"/sys/fs/cgroup/memory.pressure",
		"/sys/fs/cgroup/unified/memory.pressure",
	};
	char text[PSI_TEXT_BYTES];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(paths); i++)
		if (read_file(paths[i], text, sizeof(text)) && ballast_psi_parse(text, psi))
			return i;
	memset(psi, 0, sizeof(*psi));
	psi->some_total_us = stalls * STALL_US;
	return i;
}

static void average_own(struct ballast_gauge *gauge, u64 elapsed_ms)
{
	const u32 some_bp = ballast_pressure_share_bp(0, gauge->own.some_us, elapsed_ms);
	const u32 full_bp = ballast_pressure_share_bp(0, gauge->own.full_us, elapsed_ms);

	gauge->own_some_avg10_bp = ballast_pressure_average_bp(gauge->own_some_avg10_bp, some_bp,
							       elapsed_ms);
	gauge->own_full_avg10_bp = ballast_pressure_average_bp(gauge->own_full_avg10_bp, full_bp,
							       elapsed_ms);
}

/**
 * ballast_pressure_look - how is the guest?
 * @gauge: remembers the last look
 * @now_ms: the time
 * @pressure: filled in
 *
 * Return: false if that is what was seen last, which was a moment ago.
 */
bool ballast_pressure_look(struct ballast_gauge *gauge, u64 now_ms,
			   struct ballast_pressure *pressure)
{
	const u64 elapsed_ms = now_ms - gauge->last_ms, own_ms = gauge->own_ns / NSEC_PER_MSEC;
	u64 swap_in_pages, stalls;
	struct ballast_psi psi;
	unsigned int source;

	if (gauge->last_ms && elapsed_ms < LOOK_LEAST_MS + own_ms) {
		*pressure = gauge->last;
		return false;
	}
	read_events(&swap_in_pages, &stalls);
	source = read_psi(&psi, stalls);
	if (source != gauge->source)
		gauge->psi = psi;
	memset(pressure, 0, sizeof(*pressure));
	pressure->some_avg10_bp = psi.some_avg10_bp;
	pressure->full_avg10_bp = psi.full_avg10_bp;
	if (gauge->last_ms) {
		gauge->own.elapsed_ms = own_ms;
		ballast_pressure_since(pressure, &gauge->psi, &psi, elapsed_ms, &gauge->own);
		pressure->swap_in_bytes_per_s = div64_u64((swap_in_pages - gauge->swap_in_pages) *
							  PAGE_SIZE * MSEC_PER_SEC, elapsed_ms);
		average_own(gauge, elapsed_ms);
		ballast_pressure_without_own(pressure, gauge->own_some_avg10_bp,
					     gauge->own_full_avg10_bp);
	}
	memset(&gauge->own, 0, sizeof(gauge->own));
	gauge->own_ns = 0;
	gauge->psi = psi;
	gauge->source = source;
	gauge->swap_in_pages = swap_in_pages;
	gauge->last_ms = now_ms;
	gauge->last = *pressure;
	return true;
}

/**
 * ballast_pressure_own_begin - a step begins
 * @step: filled in
 *
 * Allocates, as ballast_pressure_own_end() does.
 */
void ballast_pressure_own_begin(struct ballast_own_step *step)
{
	u64 swap_in_pages, stalls;

	read_events(&swap_in_pages, &stalls);
	step->source = read_psi(&step->psi, stalls);
	step->start_ns = ktime_get_ns();
}

/**
 * ballast_pressure_own_end - a step has ended in which the driver waited for memory
 * @gauge: leaves that time out of account
 * @step: as it began
 */
void ballast_pressure_own_end(struct ballast_gauge *gauge, const struct ballast_own_step *step)
{
	struct ballast_own_step now;

	ballast_pressure_own_begin(&now);
	gauge->own_ns += now.start_ns - step->start_ns;
	if (now.source != step->source)
		return;
	gauge->own.some_us += ballast_less(now.psi.some_total_us, step->psi.some_total_us);
	gauge->own.full_us += ballast_less(now.psi.full_total_us, step->psi.full_total_us);
}

/**
 * ballast_oom_notify - the kernel is about to kill a process
 * @nb: the balloon's
 * @unused: unused
 * @freed: pages that have become free or are about to, added to; the kernel kills nobody
 *	if there are any
 *
 * Return: NOTIFY_OK.
 */
int ballast_oom_notify(struct notifier_block *nb, unsigned long unused, void *freed)
{
	struct ballast_balloon *balloon = container_of(nb, struct ballast_balloon, oom);
	u64 bytes, pages;

	if (!READ_ONCE(ballast_tunables.give_back) &&
	    !virtio_has_feature(balloon->vdev, VIRTIO_BALLOON_F_DEFLATE_ON_OOM))
		return NOTIFY_OK;
	atomic_inc(&balloon->ooms);
	mutex_lock(&balloon->lock);
	/* a step that has not handed them over sees it now, and frees them */
	pages = READ_ONCE(balloon->taking_pages);
	bytes = ballast_step_oom_bytes(&balloon->decider, ballast_now_ms(),
				       ballast_guest_bytes(balloon),
				       ballast_held_pages(balloon) << PAGE_SHIFT,
				       pages << PAGE_SHIFT);
	if (bytes || pages) {
		pages += ballast_resize_deflate_locked(balloon, bytes >> PAGE_SHIFT);
		balloon->counters.oom_give_backs++;
		balloon->last_reason = BALLAST_REASON_OOM;
	}
	mutex_unlock(&balloon->lock);
	*(unsigned long *)freed += pages;
	if (pages)
		ballast_device_kick(balloon);
	return NOTIFY_OK;
}
