// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/ballast: its root, and the numbers that several files show.
 *
 * DOC: One value a file, all documented in
 * Documentation/ABI/testing/sysfs-kernel-ballast.
 */
#include <linux/uaccess.h>

#include "../sharing/index.h"
#include "../sharing/sharing.h"
#include "control.h"

static struct kobject *root;

static ssize_t show_root_abi_version(struct kobject *kobj,
				     struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", BALLAST_ABI_VERSION);
}
BALLAST_ATTR_RO(root, abi_version);

static ssize_t show_root_map_bytes(struct kobject *kobj,
				   struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", ballast_maps_bytes());
}
BALLAST_ATTR_RO(root, map_bytes);

static const struct attribute *root_attributes[] = {
	&root_abi_version.attr,
	&root_map_bytes.attr,
	NULL
};

/**
 * ballast_stat_slots() - slots of a pool by state
 * @pool: NULL: of all pools
 * @sum: result
 */
void ballast_stat_slots(struct ballast_pool *pool, struct ballast_map_counts *sum)
{
	struct ballast_map_counts one;
	struct ballast_map *map;
	unsigned long id = 0;

	memset(sum, 0, sizeof(*sum));
	while ((map = ballast_map_next(&id))) {
		if (!pool || map->pool == pool) {
			ballast_map_sum(map, &one);
			sum->private_slots += one.private_slots;
			sum->shared_slots += one.shared_slots;
			sum->zero_slots += one.zero_slots;
			sum->compressed_slots += one.compressed_slots;
			sum->swapped_slots += one.swapped_slots;
		}
		ballast_map_put(map);
	}
}

static u64 saved_bytes(struct ballast_pool *pool)
{
	struct ballast_map_counts sum;
	long saved;

	ballast_stat_slots(pool, &sum);
	saved = sum.shared_slots + sum.zero_slots -
		atomic_long_read(&pool->shared_frames);
	return (u64)max(saved, 0L) << PAGE_SHIFT;
}

static u64 slots_of(struct ballast_pool *pool, bool zero)
{
	struct ballast_map_counts sum;

	ballast_stat_slots(pool, &sum);
	return zero ? sum.zero_slots : sum.shared_slots;
}

static const enum ballast_pool_event event_of[] = {
	[BALLAST_STAT_PAGES_SCANNED] = BALLAST_EVENT_SCANNED,
	[BALLAST_STAT_PAGES_MERGED] = BALLAST_EVENT_MERGED,
	[BALLAST_STAT_PAGES_ZEROED] = BALLAST_EVENT_ZEROED,
	[BALLAST_STAT_HINTS_LOST] = BALLAST_EVENT_HINTS_LOST,
	[BALLAST_STAT_INDEX_FULL] = BALLAST_EVENT_INDEX_FULL,
	[BALLAST_STAT_COW_BREAKS] = BALLAST_EVENT_COW_BREAKS,
	[BALLAST_STAT_TAKEOVERS] = BALLAST_EVENT_TAKEOVERS,
	[BALLAST_STAT_FALSE_MATCHES] = BALLAST_EVENT_FALSE_MATCHES,
	[BALLAST_STAT_VOLATILE] = BALLAST_EVENT_VOLATILE,
	[BALLAST_STAT_SKIPPED_PINNED] = BALLAST_EVENT_SKIPPED_PINNED,
	[BALLAST_STAT_SKIPPED_BUSY] = BALLAST_EVENT_SKIPPED_BUSY,
	[BALLAST_STAT_SKIPPED_UNCHANGED] = BALLAST_EVENT_SKIPPED_UNCHANGED,
};

/**
 * ballast_stat_pool() - one number of a pool
 * @pool: whose
 * @stat: which
 */
u64 ballast_stat_pool(struct ballast_pool *pool, enum ballast_stat stat)
{
	switch (stat) {
	case BALLAST_STAT_HINTS:
		return ballast_index_hints(pool->index);
	case BALLAST_STAT_INDEX_BYTES:
		return ballast_index_bytes(pool->index);
	case BALLAST_STAT_SHARED_FRAMES:
		return atomic_long_read(&pool->shared_frames);
	case BALLAST_STAT_SHARING_SLOTS:
		return slots_of(pool, false);
	case BALLAST_STAT_ZERO_SLOTS:
		return slots_of(pool, true);
	case BALLAST_STAT_SAVED_BYTES:
		return saved_bytes(pool);
	default:
		return ballast_pool_events(pool, event_of[stat]);
	}
}

/**
 * ballast_stat_all() - the sum over the pools that are mounted now
 * @stat: of which number
 */
u64 ballast_stat_all(enum ballast_stat stat)
{
	struct ballast_pool *pool;
	u64 sum = 0;

	mutex_lock(&ballast_pools_lock);
	list_for_each_entry(pool, &ballast_pools, node)
		sum += ballast_stat_pool(pool, stat);
	mutex_unlock(&ballast_pools_lock);
	return sum;
}

int __init ballast_control_init(void)
{
	int err;

	root = kobject_create_and_add("ballast", kernel_kobj);
	if (!root)
		return -ENOMEM;
	err = sysfs_create_files(root, root_attributes);
	if (err)
		goto put_root;
	err = ballast_control_sharing_init(root);
	if (err)
		goto put_root;
	err = ballast_control_pools_init(root);
	if (err)
		goto exit_sharing;
	err = ballast_control_policy_init(root);
	if (err)
		goto exit_pools;
	err = ballast_control_vms_init(root);
	if (err)
		goto exit_policy;
	ballast_control_debugfs_init();
	return 0;

exit_policy:
	ballast_control_policy_exit();
exit_pools:
	ballast_control_pools_exit();
exit_sharing:
	ballast_control_sharing_exit();
put_root:
	kobject_put(root);
	return err;
}

void ballast_control_exit(void)
{
	ballast_control_debugfs_exit();
	ballast_control_vms_exit();
	ballast_control_policy_exit();
	ballast_control_pools_exit();
	ballast_control_sharing_exit();
	kobject_put(root);
}
