// SPDX-License-Identifier: GPL-2.0
/* /sys/kernel/ballast/sharing: the scanner's controls and what it has done. */
#include "../sharing/sharing.h"
#include "control.h"

static struct kobject *directory;

static ssize_t show_sharing_run(struct kobject *kobj, struct kobj_attribute *attr,
				char *buf)
{
	return sysfs_emit(buf, "%d\n", ballast_sharing_run());
}

static ssize_t store_sharing_run(struct kobject *kobj, struct kobj_attribute *attr,
				 const char *buf, size_t count)
{
	u32 value;
	int err;

	if (ballast_store_u32(buf, count, &value, BALLAST_RUN_STOP, BALLAST_RUN_UNSHARE) < 0)
		return -EINVAL;
	err = ballast_sharing_set_run(value);
	if (err == -ENOSPC)
		pr_warn("ballast: run=2: a pool has no room to give shared pages to each VM\n");
	return err ?: count;
}
BALLAST_ATTR_RW(sharing, run);

static ssize_t store_tunable(const char *buf, size_t count, unsigned int *tunable,
			     unsigned int min, unsigned int max)
{
	ssize_t ret = ballast_store_u32(buf, count, tunable, min, max);

	if (ret > 0)
		ballast_sharing_kick();
	return ret;
}

#define TUNABLE(name, min, max) \
static ssize_t show_sharing_##name(struct kobject *kobj, \
				   struct kobj_attribute *attr, char *buf) \
{ \
	return sysfs_emit(buf, "%u\n", READ_ONCE(ballast_sharing_tunables.name)); \
} \
static ssize_t store_sharing_##name(struct kobject *kobj, \
				    struct kobj_attribute *attr, \
				    const char *buf, size_t count) \
{ \
	return store_tunable(buf, count, &ballast_sharing_tunables.name, min, max); \
}

TUNABLE(rate_pages_per_s, 0, 1U << 30)
BALLAST_ATTR_RW(sharing, rate_pages_per_s);
TUNABLE(vm_rate_pages_per_s, 0, 1U << 30)
BALLAST_ATTR_RW(sharing, vm_rate_pages_per_s);
TUNABLE(cpu_percent, 1, 100)
BALLAST_ATTR_RW(sharing, cpu_percent);
TUNABLE(pass_min_ms, 0, 24 * 3600 * 1000)
BALLAST_ATTR_RW(sharing, pass_min_ms);
TUNABLE(smart_scan, 0, 1)
BALLAST_ATTR_RW(sharing, smart_scan);

#define NUMBER(name, value) \
static ssize_t show_sharing_##name(struct kobject *kobj, \
				   struct kobj_attribute *attr, char *buf) \
{ \
	return sysfs_emit(buf, "%llu\n", (unsigned long long)(value)); \
}

NUMBER(full_scans, ballast_sharing_full_scans())
BALLAST_ATTR_RO(sharing, full_scans);
NUMBER(cpu_time_ns, ballast_sharing_cpu_ns())
BALLAST_ATTR_RO(sharing, cpu_time_ns);
NUMBER(pages_scanned, ballast_stat_all(BALLAST_STAT_PAGES_SCANNED))
BALLAST_ATTR_RO(sharing, pages_scanned);
NUMBER(pages_merged, ballast_stat_all(BALLAST_STAT_PAGES_MERGED))
BALLAST_ATTR_RO(sharing, pages_merged);
NUMBER(pages_zeroed, ballast_stat_all(BALLAST_STAT_PAGES_ZEROED))
BALLAST_ATTR_RO(sharing, pages_zeroed);
NUMBER(hints, ballast_stat_all(BALLAST_STAT_HINTS))
BALLAST_ATTR_RO(sharing, hints);
NUMBER(shared_frames, ballast_stat_all(BALLAST_STAT_SHARED_FRAMES))
BALLAST_ATTR_RO(sharing, shared_frames);
NUMBER(sharing_slots, ballast_stat_all(BALLAST_STAT_SHARING_SLOTS))
BALLAST_ATTR_RO(sharing, sharing_slots);
NUMBER(zero_slots, ballast_stat_all(BALLAST_STAT_ZERO_SLOTS))
BALLAST_ATTR_RO(sharing, zero_slots);
NUMBER(saved_bytes, ballast_stat_all(BALLAST_STAT_SAVED_BYTES))
BALLAST_ATTR_RO(sharing, saved_bytes);
NUMBER(cow_breaks, ballast_stat_all(BALLAST_STAT_COW_BREAKS))
BALLAST_ATTR_RO(sharing, cow_breaks);
NUMBER(false_matches, ballast_stat_all(BALLAST_STAT_FALSE_MATCHES))
BALLAST_ATTR_RO(sharing, false_matches);
NUMBER(volatile, ballast_stat_all(BALLAST_STAT_VOLATILE))
BALLAST_ATTR_RO(sharing, volatile);
NUMBER(skipped_pinned, ballast_stat_all(BALLAST_STAT_SKIPPED_PINNED))
BALLAST_ATTR_RO(sharing, skipped_pinned);
NUMBER(skipped_unchanged, ballast_stat_all(BALLAST_STAT_SKIPPED_UNCHANGED))
BALLAST_ATTR_RO(sharing, skipped_unchanged);
NUMBER(index_bytes, ballast_stat_all(BALLAST_STAT_INDEX_BYTES))
BALLAST_ATTR_RO(sharing, index_bytes);

static const struct attribute *attributes[] = {
	&sharing_run.attr,
	&sharing_rate_pages_per_s.attr,
	&sharing_vm_rate_pages_per_s.attr,
	&sharing_cpu_percent.attr,
	&sharing_pass_min_ms.attr,
	&sharing_smart_scan.attr,
	&sharing_full_scans.attr,
	&sharing_cpu_time_ns.attr,
	&sharing_pages_scanned.attr,
	&sharing_pages_merged.attr,
	&sharing_pages_zeroed.attr,
	&sharing_hints.attr,
	&sharing_shared_frames.attr,
	&sharing_sharing_slots.attr,
	&sharing_zero_slots.attr,
	&sharing_saved_bytes.attr,
	&sharing_cow_breaks.attr,
	&sharing_false_matches.attr,
	&sharing_volatile.attr,
	&sharing_skipped_pinned.attr,
	&sharing_skipped_unchanged.attr,
	&sharing_index_bytes.attr,
	NULL
};

int __init ballast_control_sharing_init(struct kobject *root)
{
	int err;

	directory = kobject_create_and_add("sharing", root);
	if (!directory)
		return -ENOMEM;
	err = sysfs_create_files(directory, attributes);
	if (err)
		kobject_put(directory);
	return err;
}

void ballast_control_sharing_exit(void)
{
	kobject_put(directory);
}
