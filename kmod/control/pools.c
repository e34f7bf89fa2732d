// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/ballast/pools/NAME and its files/INODE.
 *
 * DOC: A directory's kobject is removed before the pool or file it shows goes;
 * removal waits for readers, so that they need no reference of their own.
 */
#include <linux/dcache.h>
#include <linux/slab.h>
#include <linux/string_helpers.h>

#include "../engine/engine.h"
#include "../memory/promise.h"
#include "../policy/state.h"
#include "../sharing/sharing.h"
#include "../store/store.h"
#include "control.h"

/**
 * struct pool_directory - pools/NAME
 * @kobj: it
 * @files: its files/
 * @pool: what it shows
 */
struct pool_directory {
	struct kobject kobj;
	struct kobject *files;
	struct ballast_pool *pool;
};

/**
 * struct file_directory - files/INODE
 * @kobj: it
 * @map: what it shows
 */
struct file_directory {
	struct kobject kobj;
	struct ballast_map *map;
};

static struct kobject *pools;

static struct ballast_pool *pool_of(struct kobject *kobj)
{
	return container_of(kobj, struct pool_directory, kobj)->pool;
}

static struct ballast_map *map_of(struct kobject *kobj)
{
	return container_of(kobj, struct file_directory, kobj)->map;
}

static u64 free_bytes(struct ballast_pool *pool)
{
	unsigned long limit = READ_ONCE(pool->limit_pages);
	unsigned long used = ballast_pool_used_pages(pool);

	return ballast_pages_to_bytes(limit > used ? limit - used : 0);
}

static u64 compressed_bytes(struct ballast_pool *pool)
{
	struct ballast_map_counts sum;

	ballast_stat_slots(pool, &sum);
	return ballast_pages_to_bytes(sum.compressed_slots);
}

static u64 swapped_bytes(struct ballast_pool *pool)
{
	struct ballast_map_counts sum;

	ballast_stat_slots(pool, &sum);
	return ballast_pages_to_bytes(sum.swapped_slots);
}

static u64 swap_size_pages(struct ballast_pool *pool)
{
	return pool->store->swap ? ballast_swap_size_pages(pool->store->swap) : 0;
}

static u64 private_bytes(struct ballast_pool *pool)
{
	struct ballast_map_counts sum;

	ballast_stat_slots(pool, &sum);
	return ballast_pages_to_bytes(sum.private_slots);
}

static ssize_t show_pool_sharing(struct kobject *kobj, struct kobj_attribute *attr,
				 char *buf)
{
	static const char * const modes[] = { "off", "vm", "pool" };

	return sysfs_emit(buf, "%s\n", modes[READ_ONCE(pool_of(kobj)->sharing)]);
}
BALLAST_ATTR_RO(pool, sharing);

#define NUMBER(name, value) \
static ssize_t show_pool_##name(struct kobject *kobj, \
				struct kobj_attribute *attr, char *buf) \
{ \
	struct ballast_pool *pool = pool_of(kobj); \
	return sysfs_emit(buf, "%llu\n", (unsigned long long)(value)); \
}
#define STAT(name, stat) NUMBER(name, ballast_stat_pool(pool, stat))
#define EVENT(name, event) NUMBER(name, ballast_pool_events(pool, event))

NUMBER(size_bytes, ballast_pages_to_bytes(READ_ONCE(pool->limit_pages)))
BALLAST_ATTR_RO(pool, size_bytes);
NUMBER(used_bytes, ballast_pages_to_bytes(ballast_pool_used_pages(pool)))
BALLAST_ATTR_RO(pool, used_bytes);
NUMBER(free_bytes, free_bytes(pool))
BALLAST_ATTR_RO(pool, free_bytes);
NUMBER(private_bytes, private_bytes(pool))
BALLAST_ATTR_RO(pool, private_bytes);
NUMBER(waiting, atomic_read(&pool->waiting))
BALLAST_ATTR_RO(pool, waiting);
EVENT(waits, BALLAST_EVENT_WAITS)
BALLAST_ATTR_RO(pool, waits);
EVENT(host_short, BALLAST_EVENT_HOST_SHORT)
BALLAST_ATTR_RO(pool, host_short);
EVENT(faults, BALLAST_EVENT_FAULTS)
BALLAST_ATTR_RO(pool, faults);
STAT(pages_scanned, BALLAST_STAT_PAGES_SCANNED)
BALLAST_ATTR_RO(pool, pages_scanned);
STAT(pages_merged, BALLAST_STAT_PAGES_MERGED)
BALLAST_ATTR_RO(pool, pages_merged);
STAT(pages_zeroed, BALLAST_STAT_PAGES_ZEROED)
BALLAST_ATTR_RO(pool, pages_zeroed);
STAT(hints, BALLAST_STAT_HINTS)
BALLAST_ATTR_RO(pool, hints);
STAT(hints_lost, BALLAST_STAT_HINTS_LOST)
BALLAST_ATTR_RO(pool, hints_lost);
STAT(index_full, BALLAST_STAT_INDEX_FULL)
BALLAST_ATTR_RO(pool, index_full);
STAT(index_bytes, BALLAST_STAT_INDEX_BYTES)
BALLAST_ATTR_RO(pool, index_bytes);
STAT(shared_frames, BALLAST_STAT_SHARED_FRAMES)
BALLAST_ATTR_RO(pool, shared_frames);
STAT(sharing_slots, BALLAST_STAT_SHARING_SLOTS)
BALLAST_ATTR_RO(pool, sharing_slots);
STAT(zero_slots, BALLAST_STAT_ZERO_SLOTS)
BALLAST_ATTR_RO(pool, zero_slots);
STAT(saved_bytes, BALLAST_STAT_SAVED_BYTES)
BALLAST_ATTR_RO(pool, saved_bytes);
STAT(cow_breaks, BALLAST_STAT_COW_BREAKS)
BALLAST_ATTR_RO(pool, cow_breaks);
STAT(takeovers, BALLAST_STAT_TAKEOVERS)
BALLAST_ATTR_RO(pool, takeovers);
STAT(false_matches, BALLAST_STAT_FALSE_MATCHES)
BALLAST_ATTR_RO(pool, false_matches);
STAT(volatile, BALLAST_STAT_VOLATILE)
BALLAST_ATTR_RO(pool, volatile);
STAT(skipped_pinned, BALLAST_STAT_SKIPPED_PINNED)
BALLAST_ATTR_RO(pool, skipped_pinned);
STAT(skipped_busy, BALLAST_STAT_SKIPPED_BUSY)
BALLAST_ATTR_RO(pool, skipped_busy);
STAT(skipped_unchanged, BALLAST_STAT_SKIPPED_UNCHANGED)
BALLAST_ATTR_RO(pool, skipped_unchanged);

NUMBER(compressed_bytes, compressed_bytes(pool))
BALLAST_ATTR_RO(pool, compressed_bytes);
NUMBER(swapped_bytes, swapped_bytes(pool))
BALLAST_ATTR_RO(pool, swapped_bytes);
NUMBER(store_bytes, ballast_pages_to_bytes(READ_ONCE(pool->store->charged_pages)))
BALLAST_ATTR_RO(pool, store_bytes);
NUMBER(swap_size_bytes, ballast_pages_to_bytes(swap_size_pages(pool)))
BALLAST_ATTR_RO(pool, swap_size_bytes);
NUMBER(swap_free_bytes, ballast_pages_to_bytes(ballast_store_swap_free(pool->store)))
BALLAST_ATTR_RO(pool, swap_free_bytes);
EVENT(pages_compressed, BALLAST_EVENT_COMPRESSED)
BALLAST_ATTR_RO(pool, pages_compressed);
EVENT(pages_same_filled, BALLAST_EVENT_SAME_FILLED)
BALLAST_ATTR_RO(pool, pages_same_filled);
EVENT(pages_decompressed, BALLAST_EVENT_DECOMPRESSED)
BALLAST_ATTR_RO(pool, pages_decompressed);
EVENT(pages_incompressible, BALLAST_EVENT_INCOMPRESSIBLE)
BALLAST_ATTR_RO(pool, pages_incompressible);
EVENT(pages_swapped_out, BALLAST_EVENT_SWAPPED_OUT)
BALLAST_ATTR_RO(pool, pages_swapped_out);
EVENT(shared_swapped_out, BALLAST_EVENT_SHARED_SWAPPED)
BALLAST_ATTR_RO(pool, shared_swapped_out);
EVENT(pages_swapped_in, BALLAST_EVENT_SWAPPED_IN)
BALLAST_ATTR_RO(pool, pages_swapped_in);
EVENT(pages_lost, BALLAST_EVENT_LOST)
BALLAST_ATTR_RO(pool, pages_lost);
EVENT(swap_full, BALLAST_EVENT_SWAP_FULL)
BALLAST_ATTR_RO(pool, swap_full);
EVENT(swap_write_errors, BALLAST_EVENT_WRITE_ERRORS)
BALLAST_ATTR_RO(pool, swap_write_errors);
EVENT(held_back, BALLAST_EVENT_HELD_BACK)
BALLAST_ATTR_RO(pool, held_back);
EVENT(reclaim_spared, BALLAST_EVENT_RECLAIM_SPARED)
BALLAST_ATTR_RO(pool, reclaim_spared);
EVENT(reclaim_stuck, BALLAST_EVENT_RECLAIM_STUCK)
BALLAST_ATTR_RO(pool, reclaim_stuck);

static ssize_t show_pool_compress(struct kobject *kobj, struct kobj_attribute *attr,
				  char *buf)
{
	struct ballast_codec *codec = pool_of(kobj)->store->codec;

	return sysfs_emit(buf, "%s\n", codec ? ballast_codec_name(ballast_codec_kind(codec)) :
			  "off");
}
BALLAST_ATTR_RO(pool, compress);

static ssize_t show_pool_compressed_max_bp(struct kobject *kobj,
					   struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(pool_of(kobj)->store->ceiling_bp));
}

static ssize_t store_pool_compressed_max_bp(struct kobject *kobj,
					    struct kobj_attribute *attr,
					    const char *buf, size_t count)
{
	return ballast_store_u32(buf, count, &pool_of(kobj)->store->ceiling_bp, 0, 10000);
}
BALLAST_ATTR_RW(pool, compressed_max_bp);

static ssize_t show_pool_admission(struct kobject *kobj, struct kobj_attribute *attr,
				   char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(pool_of(kobj)->admission));
}

static ssize_t store_pool_admission(struct kobject *kobj, struct kobj_attribute *attr,
				    const char *buf, size_t count)
{
	return ballast_store_u32(buf, count, &pool_of(kobj)->admission, 0, 1);
}
BALLAST_ATTR_RW(pool, admission);
NUMBER(promised_bytes, ballast_pages_to_bytes(atomic64_read(&pool->promised_pages)))
BALLAST_ATTR_RO(pool, promised_bytes);
NUMBER(admissible_bytes, ballast_pages_to_bytes(ballast_promise_left(pool)))
BALLAST_ATTR_RO(pool, admissible_bytes);
NUMBER(vms_min_bytes, ballast_pages_to_bytes(atomic64_read(&pool->min_pages)))
BALLAST_ATTR_RO(pool, vms_min_bytes);
NUMBER(min_admissible_bytes, ballast_pages_to_bytes(ballast_promise_min_left(pool)))
BALLAST_ATTR_RO(pool, min_admissible_bytes);

NUMBER(vms_available_bytes, ballast_pages_to_bytes(READ_ONCE(pool->vms_available_pages)))
BALLAST_ATTR_RO(pool, vms_available_bytes);
NUMBER(vms_target_bytes, ballast_pages_to_bytes(READ_ONCE(pool->vms_target_pages)))
BALLAST_ATTR_RO(pool, vms_target_bytes);

static ssize_t show_pool_state(struct kobject *kobj, struct kobj_attribute *attr,
			       char *buf)
{
	return sysfs_emit(buf, "%s\n", ballast_state_token(READ_ONCE(pool_of(kobj)->state)));
}
BALLAST_ATTR_RO(pool, state);

static struct attribute *pool_attrs[] = {
	&pool_state.attr,
	&pool_vms_available_bytes.attr,
	&pool_vms_target_bytes.attr,
	&pool_sharing.attr,
	&pool_size_bytes.attr,
	&pool_used_bytes.attr,
	&pool_free_bytes.attr,
	&pool_private_bytes.attr,
	&pool_waiting.attr,
	&pool_waits.attr,
	&pool_host_short.attr,
	&pool_faults.attr,
	&pool_pages_scanned.attr,
	&pool_pages_merged.attr,
	&pool_pages_zeroed.attr,
	&pool_hints.attr,
	&pool_hints_lost.attr,
	&pool_index_full.attr,
	&pool_index_bytes.attr,
	&pool_shared_frames.attr,
	&pool_sharing_slots.attr,
	&pool_zero_slots.attr,
	&pool_saved_bytes.attr,
	&pool_cow_breaks.attr,
	&pool_takeovers.attr,
	&pool_false_matches.attr,
	&pool_volatile.attr,
	&pool_skipped_pinned.attr,
	&pool_skipped_busy.attr,
	&pool_skipped_unchanged.attr,
	&pool_admission.attr,
	&pool_promised_bytes.attr,
	&pool_admissible_bytes.attr,
	&pool_vms_min_bytes.attr,
	&pool_min_admissible_bytes.attr,
	&pool_compress.attr,
	&pool_compressed_max_bp.attr,
	&pool_compressed_bytes.attr,
	&pool_store_bytes.attr,
	&pool_swap_size_bytes.attr,
	&pool_swap_free_bytes.attr,
	&pool_swapped_bytes.attr,
	&pool_pages_compressed.attr,
	&pool_pages_same_filled.attr,
	&pool_pages_incompressible.attr,
	&pool_pages_decompressed.attr,
	&pool_pages_swapped_out.attr,
	&pool_shared_swapped_out.attr,
	&pool_pages_swapped_in.attr,
	&pool_pages_lost.attr,
	&pool_swap_full.attr,
	&pool_swap_write_errors.attr,
	&pool_held_back.attr,
	&pool_reclaim_spared.attr,
	&pool_reclaim_stuck.attr,
	NULL
};
ATTRIBUTE_GROUPS(pool);

/* As /proc/mounts does: one line, which tells names apart.  0 if it has no name. */
static ssize_t emit_name(struct dentry *dentry, char *buf)
{
	ssize_t len = 0;

	BUILD_BUG_ON(4 * NAME_MAX >= PAGE_SIZE);
	spin_lock(&dentry->d_lock);
	if (!d_unhashed(dentry)) {
		len = string_escape_mem(dentry->d_name.name, dentry->d_name.len,
					buf, PAGE_SIZE - 1, ESCAPE_OCTAL, " \t\n\\");
		buf[len++] = '\n';
	}
	spin_unlock(&dentry->d_lock);
	return len;
}

static ssize_t show_file_name(struct kobject *kobj, struct kobj_attribute *attr,
			      char *buf)
{
	struct inode *inode = map_of(kobj)->inode;
	struct dentry *dentry;
	ssize_t len = 0;

	/*
	 * No reference to the dentry: dropping it might evict the inode, which
	 * waits for us.
	 */
	spin_lock(&inode->i_lock);
	hlist_for_each_entry(dentry, &inode->i_dentry, d_u.d_alias) {
		len = emit_name(dentry, buf);
		if (len)
			break;
	}
	spin_unlock(&inode->i_lock);
	/* unlinked, still open */
	return len ?: sysfs_emit(buf, "\n");
}
BALLAST_ATTR_RO(file, name);

#define FILE_NUMBER(name, value) \
static ssize_t show_file_##name(struct kobject *kobj, \
				struct kobj_attribute *attr, char *buf) \
{ \
	struct ballast_map *map = map_of(kobj); \
	struct ballast_map_counts sum; \
	ballast_map_sum(map, &sum); \
	return sysfs_emit(buf, "%llu\n", (unsigned long long)(value)); \
}

FILE_NUMBER(size_bytes, i_size_read(map->inode))
BALLAST_ATTR_RO(file, size_bytes);
FILE_NUMBER(private_bytes, ballast_pages_to_bytes(sum.private_slots))
BALLAST_ATTR_RO(file, private_bytes);
FILE_NUMBER(shared_bytes, ballast_pages_to_bytes(sum.shared_slots))
BALLAST_ATTR_RO(file, shared_bytes);
FILE_NUMBER(compressed_bytes, ballast_pages_to_bytes(sum.compressed_slots))
BALLAST_ATTR_RO(file, compressed_bytes);
FILE_NUMBER(store_bytes, READ_ONCE(map->stored_bytes))
BALLAST_ATTR_RO(file, store_bytes);
FILE_NUMBER(swapped_bytes, ballast_pages_to_bytes(sum.swapped_slots))
BALLAST_ATTR_RO(file, swapped_bytes);
FILE_NUMBER(zero_bytes, ballast_pages_to_bytes(sum.zero_slots))
BALLAST_ATTR_RO(file, zero_bytes);

static struct attribute *file_attrs[] = {
	&file_name.attr,
	&file_size_bytes.attr,
	&file_private_bytes.attr,
	&file_shared_bytes.attr,
	&file_zero_bytes.attr,
	&file_compressed_bytes.attr,
	&file_store_bytes.attr,
	&file_swapped_bytes.attr,
	NULL
};
ATTRIBUTE_GROUPS(file);

static void release_pool_directory(struct kobject *kobj)
{
	kfree(container_of(kobj, struct pool_directory, kobj));
}

static void release_file_directory(struct kobject *kobj)
{
	kfree(container_of(kobj, struct file_directory, kobj));
}

static const struct kobj_type pool_type = {
	.release = release_pool_directory,
	.sysfs_ops = &kobj_sysfs_ops,
	.default_groups = pool_groups,
};

static const struct kobj_type file_type = {
	.release = release_file_directory,
	.sysfs_ops = &kobj_sysfs_ops,
	.default_groups = file_groups,
};

static int pool_added(struct ballast_pool *pool)
{
	struct pool_directory *d = kzalloc(sizeof(*d), GFP_KERNEL);
	int err;

	if (!d)
		return -ENOMEM;
	d->pool = pool;
	err = kobject_init_and_add(&d->kobj, &pool_type, pools, "%s", pool->name);
	if (err)
		goto put;
	d->files = kobject_create_and_add("files", &d->kobj);
	if (!d->files) {
		err = -ENOMEM;
		goto put;
	}
	pool->control = d;
	ballast_engine_kick();
	return 0;
put:
	kobject_put(&d->kobj);
	return err;
}

static void pool_removed(struct ballast_pool *pool)
{
	struct pool_directory *d = pool->control;

	pool->control = NULL;
	kobject_put(d->files);
	kobject_del(&d->kobj);	/* waits for readers */
	kobject_put(&d->kobj);
}

/* A file without a directory here works as well; it is only not seen. */
static void map_added(struct ballast_map *map)
{
	struct pool_directory *pool = map->pool->control;
	struct file_directory *d;

	ballast_sharing_kick();
	d = pool ? kzalloc(sizeof(*d), GFP_KERNEL) : NULL;
	if (!d)
		return;
	d->map = map;
	if (kobject_init_and_add(&d->kobj, &file_type, pool->files, "%lu",
				 map->inode->i_ino)) {
		kobject_put(&d->kobj);
		return;
	}
	map->control = d;
}

static void map_removed(struct ballast_map *map)
{
	struct file_directory *d = map->control;

	if (!d)
		return;
	map->control = NULL;
	kobject_del(&d->kobj);	/* waits for readers */
	kobject_put(&d->kobj);
}

static const struct ballast_pool_watcher watcher = {
	.pool_added = pool_added,
	.pool_removed = pool_removed,
	.map_added = map_added,
	.map_removed = map_removed,
};

/* ballast_control_state_changed() - a pool's; NULL: "host"; the pool is listed */
void ballast_control_state_changed(struct ballast_pool *pool)
{
	struct pool_directory *d;

	if (!pool) {
		ballast_control_host_notify();
		return;
	}
	d = pool->control;
	if (d)
		sysfs_notify(&d->kobj, NULL, "state");
}

int __init ballast_control_pools_init(struct kobject *root)
{
	int err;

	pools = kobject_create_and_add("pools", root);
	if (!pools)
		return -ENOMEM;
	err = ballast_control_host_init(pools);
	if (err) {
		ballast_control_pools_exit();
		return err;
	}
	ballast_pool_watch(&watcher);
	return 0;
}

void ballast_control_pools_exit(void)
{
	ballast_pool_watch(NULL);
	ballast_control_host_exit();
	kobject_put(pools);
}
