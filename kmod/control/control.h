/* SPDX-License-Identifier: GPL-2.0 */
/* sysfs and debugfs. */
#ifndef BALLAST_CONTROL_CONTROL_H
#define BALLAST_CONTROL_CONTROL_H

#include <linux/kobject.h>
#include <linux/sysfs.h>

#include "../memory/map.h"
#include "../memory/pool.h"

/*
 * Attributes are declared by these two alone, so that selftests/lint can hold
 * them against Documentation/ABI.  @dir: root (/sys/kernel/ballast), sharing,
 * pool (pools/NAME), file (pools/NAME/files/INODE), host (pools/host), vm
 * (vms/PID), policy, sampling.
 */
#define BALLAST_ATTR_RO(dir, name) \
	static struct kobj_attribute dir##_##name = \
		__ATTR(name, 0444, show_##dir##_##name, NULL)
#define BALLAST_ATTR_RW(dir, name) \
	static struct kobj_attribute dir##_##name = \
		__ATTR(name, 0644, show_##dir##_##name, store_##dir##_##name)

int ballast_control_init(void);
void ballast_control_exit(void);

int ballast_control_sharing_init(struct kobject *root);
void ballast_control_sharing_exit(void);
int ballast_control_pools_init(struct kobject *root);
void ballast_control_pools_exit(void);
int ballast_control_policy_init(struct kobject *root);
void ballast_control_policy_exit(void);
int ballast_control_vms_init(struct kobject *root);
void ballast_control_vms_exit(void);
int ballast_control_host_init(struct kobject *pools);
void ballast_control_host_exit(void);
void ballast_control_host_notify(void);
void ballast_control_state_changed(struct ballast_pool *pool);

struct ballast_engine_watcher;
extern const struct ballast_engine_watcher ballast_control_engine_watcher;

ssize_t ballast_store_u32(const char *buf, size_t count, u32 *word, u32 min, u32 max);
ssize_t ballast_store_pages(const char *buf, size_t count, u64 *word);
ssize_t ballast_store_token(const char *buf, size_t count, u32 *word,
			    const char * const *tokens, size_t nr);
u64 ballast_pages_to_bytes(u64 pages);

void ballast_control_debugfs_init(void);
void ballast_control_debugfs_exit(void);

/**
 * enum ballast_stat - numbers that a pool has and sharing/ has the sum of
 */
enum ballast_stat {
	BALLAST_STAT_PAGES_SCANNED,
	BALLAST_STAT_PAGES_MERGED,
	BALLAST_STAT_PAGES_ZEROED,
	BALLAST_STAT_HINTS,
	BALLAST_STAT_HINTS_LOST,
	BALLAST_STAT_INDEX_FULL,
	BALLAST_STAT_INDEX_BYTES,
	BALLAST_STAT_SHARED_FRAMES,
	BALLAST_STAT_SHARING_SLOTS,
	BALLAST_STAT_ZERO_SLOTS,
	BALLAST_STAT_SAVED_BYTES,
	BALLAST_STAT_COW_BREAKS,
	BALLAST_STAT_TAKEOVERS,
	BALLAST_STAT_FALSE_MATCHES,
	BALLAST_STAT_VOLATILE,
	BALLAST_STAT_SKIPPED_PINNED,
	BALLAST_STAT_SKIPPED_BUSY,
	BALLAST_STAT_SKIPPED_UNCHANGED,
};

u64 ballast_stat_pool(struct ballast_pool *pool, enum ballast_stat stat);
u64 ballast_stat_all(enum ballast_stat stat);
void ballast_stat_slots(struct ballast_pool *pool, struct ballast_map_counts *sum);

#endif /* BALLAST_CONTROL_CONTROL_H */
