// SPDX-License-Identifier: GPL-2.0
/*
 * ballastfs: inodes and directories.
 *
 * DOC: Names live in the dentry cache alone, as in every memory filesystem: a
 * created dentry holds one reference of its own until it is unlinked or the
 * filesystem goes.  A regular file has its memory (struct ballast_map) from
 * creation to eviction.
 */
#include <linux/namei.h>
#include <linux/pagemap.h>
#include <linux/slab.h>

#include "../memory/promise.h"
#include "ballastfs.h"

static void set_file_ops(struct inode *inode)
{
	inode->i_op = &ballast_file_inode_operations;
	inode->i_fop = &ballast_file_operations;
	inode->i_mapping->a_ops = &ballast_aops;
}

static void set_dir_ops(struct inode *inode)
{
	inode->i_op = &ballast_dir_inode_operations;
	inode->i_fop = &simple_dir_operations;
	inode->i_mapping->a_ops = &ballast_aops;
	inc_nlink(inode);	/* "." */
}

/**
 * ballast_inode_new() - a new regular file, directory or symbolic link
 * @idmap: of the mount it is created through
 * @sb: filesystem
 * @dir: parent, or NULL for the root
 * @mode: type and permissions
 *
 * Return: the inode, or an ERR_PTR.
 */
struct inode *ballast_inode_new(ballast_idmap_t *idmap, struct super_block *sb,
				const struct inode *dir, umode_t mode)
{
	struct inode *inode = new_inode(sb);
	struct ballast_map *map;

	if (!inode)
		return ERR_PTR(-ENOMEM);
	inode->i_ino = get_next_ino();
	inode_init_owner(idmap, inode, dir, mode);
	ballast_inode_init_times(inode);
	mapping_set_unevictable(inode->i_mapping);
	if (S_ISDIR(mode)) {
		set_dir_ops(inode);
	} else if (S_ISREG(mode)) {
		map = ballast_map_create(ballast_mount_of(sb)->pool, inode);
		if (IS_ERR(map)) {
			iput(inode);
			return ERR_CAST(map);
		}
		inode->i_private = map;
		set_file_ops(inode);
	}
	return inode;
}

static int add_entry(struct inode *dir, struct dentry *dentry, struct inode *inode)
{
	if (IS_ERR(inode))
		return PTR_ERR(inode);
	d_instantiate(dentry, inode);
	dget(dentry);	/* the name holds the inode */
	ballast_inode_touch(dir);
	return 0;
}

static int create(ballast_idmap_t *idmap, struct inode *dir,
		  struct dentry *dentry, umode_t mode, bool excl)
{
	return add_entry(dir, dentry,
			 ballast_inode_new(idmap, dir->i_sb, dir, mode | S_IFREG));
}

static int make_dir(ballast_idmap_t *idmap, struct inode *dir,
		    struct dentry *dentry, umode_t mode)
{
	int err = add_entry(dir, dentry,
			    ballast_inode_new(idmap, dir->i_sb, dir, mode | S_IFDIR));

	if (!err)
		inc_nlink(dir);
	return err;
}

static int make_symlink(ballast_idmap_t *idmap, struct inode *dir,
			struct dentry *dentry, const char *target)
{
	struct inode *inode;
	char *link = kstrdup(target, GFP_KERNEL_ACCOUNT);

	if (!link)
		return -ENOMEM;
	inode = ballast_inode_new(idmap, dir->i_sb, dir, S_IFLNK | 0777);
	if (IS_ERR(inode)) {
		kfree(link);
		return PTR_ERR(inode);
	}
	inode->i_op = &simple_symlink_inode_operations;
	inode->i_link = link;	/* freed with the inode */
	inode->i_size = strlen(link);
	return add_entry(dir, dentry, inode);
}

static int set_size(struct inode *inode, loff_t size)
{
	struct ballast_map *map = ballast_map_of(inode);
	loff_t old = i_size_read(inode);
	int err = 0;

	/* what is cut from the last page must read as zero if it comes back */
	if (size < old)
		err = ballast_map_zero_tail(map, size);
	if (!err)
		err = ballast_promise_size(map, old, size);
	if (err)
		return err;
	i_size_write(inode, size);
	/* equal: there may be pages beyond, of fallocate(KEEP_SIZE) */
	if (size <= old) {
		unmap_mapping_range(inode->i_mapping, round_up(size, PAGE_SIZE),
				    0, 1);
		ballast_map_truncate(map, size);
	}
	return 0;
}

static int set_attr(ballast_idmap_t *idmap, struct dentry *dentry,
		    struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	int err = setattr_prepare(idmap, dentry, attr);

	if (err)
		return err;
	if (attr->ia_valid & ATTR_SIZE) {
		bool changed = attr->ia_size != i_size_read(inode);

		err = set_size(inode, attr->ia_size);
		if (err)
			return err;
		if (changed)
			ballast_inode_touch(inode);
	}
	setattr_copy(idmap, inode, attr);
	return 0;
}

/* st_blocks is what the file holds, wherever: no holes. */
static int get_attr(ballast_idmap_t *idmap, const struct path *path,
		    struct kstat *stat, u32 request_mask, unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);
	struct ballast_map_counts sum;

	ballast_fillattr(idmap, request_mask, inode, stat);
	ballast_map_sum(ballast_map_of(inode), &sum);
	stat->blocks = (u64)(sum.private_slots + sum.shared_slots +
			     sum.compressed_slots + sum.swapped_slots)
		       << (PAGE_SHIFT - 9);	/* of 512 bytes */
	return 0;
}

const struct inode_operations ballast_file_inode_operations = {
	.setattr = set_attr,
	.getattr = get_attr,
};

const struct inode_operations ballast_dir_inode_operations = {
	.create = create,
	.lookup = simple_lookup,
	.link = simple_link,
	.unlink = simple_unlink,
	.symlink = make_symlink,
	.mkdir = make_dir,
	.rmdir = simple_rmdir,
	.rename = simple_rename,
};

/* No page cache: frames are not in any mapping's tree, they only name one. */
const struct address_space_operations ballast_aops = {
	.dirty_folio = noop_dirty_folio,
};
