/* SPDX-License-Identifier: GPL-2.0 */
/* ballastfs: what its files share. */
#ifndef BALLAST_FS_BALLASTFS_H
#define BALLAST_FS_BALLASTFS_H

#include <linux/fs.h>
#include <linux/mm.h>

#include "../memory/map.h"
#include "../memory/pool.h"

/**
 * struct ballast_shown - what a mount was last told, for show_options
 * @limit_pages: size=, in pages
 * @percent: size= was given as this percentage of RAM; 0: in bytes
 * @sharing: enum ballast_sharing_mode
 */
struct ballast_shown {
	unsigned long limit_pages;
	unsigned int percent;
	int sharing;
};

/**
 * struct ballast_mount - s_fs_info
 * @pool: the mount's memory; one reference
 * @uid: owner of the root directory, for show_options
 * @gid: its group
 * @mode: its mode
 * @codec: compress=, enum ballast_codec_kind
 * @swap: swap=, for show_options; or NULL
 * @swap_bytes: swapsize=, or 0
 * @shown: changes when a mount or remount has succeeded, all of it at once
 * @shown_lock: protects @shown; /proc/mounts is read during a remount
 */
struct ballast_mount {
	struct ballast_pool *pool;
	kuid_t uid;
	kgid_t gid;
	umode_t mode;
	int codec;
	char *swap;
	u64 swap_bytes;
	struct ballast_shown shown;
	spinlock_t shown_lock;
};

static inline struct ballast_mount *ballast_mount_of(const struct super_block *sb)
{
	return sb->s_fs_info;
}

/* The memory of a regular file: i_private, from creation to eviction. */
static inline struct ballast_map *ballast_map_of(const struct inode *inode)
{
	return inode->i_private;
}

extern const struct inode_operations ballast_file_inode_operations;
extern const struct inode_operations ballast_dir_inode_operations;
extern const struct file_operations ballast_file_operations;
extern const struct address_space_operations ballast_aops;
extern const struct vm_operations_struct ballast_vm_operations;

struct inode *ballast_inode_new(ballast_idmap_t *idmap, struct super_block *sb,
				const struct inode *dir, umode_t mode);

int ballast_fs_init(void);
void ballast_fs_exit(void);

#endif /* BALLAST_FS_BALLASTFS_H */
