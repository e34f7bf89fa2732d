// SPDX-License-Identifier: GPL-2.0
/*
 * What lies in a swap file is guest memory, and nobody's once the pool is gone.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/cred.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/fs.h>

#include "discard.h"

/* blkdev_issue_discard() calls it success if the device refuses. */
static int issue_discard(struct block_device *bdev, sector_t from, sector_t sectors)
{
	struct bio *bio = NULL;
	int err;

	if (!bdev_max_discard_sectors(bdev))
		return -EOPNOTSUPP;
	err = __blkdev_issue_discard(bdev, from, sectors, GFP_KERNEL, &bio);
	if (bio) {
		err = submit_bio_wait(bio) ?: err;
		bio_put(bio);
	}
	return err;
}

/*
 * Zeroes, if it can make them without writing all of them.  Else it is told that nobody
 * needs the content, from the second page on: what is read then may be anything, and
 * by the first one the next mount knows that the device is ours.
 */
static int discard_device(struct file *file, struct inode *inode, loff_t bytes)
{
	int err = vfs_fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, bytes);

	if (err != -EOPNOTSUPP)
		return err;
	return issue_discard(I_BDEV(inode), PAGE_SIZE >> SECTOR_SHIFT,
			     (bytes - PAGE_SIZE) >> SECTOR_SHIFT);
}

static int discard(struct file *file, struct inode *inode, loff_t bytes, bool created)
{
	if (S_ISBLK(inode->i_mode))
		return discard_device(file, inode, bytes);
	if (created)
		return vfs_truncate(&file->f_path, 0);
	return vfs_fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, bytes);
}

/**
 * ballast_discard() - give up what lies in a swap file
 * @file: open for writing, on a filesystem that is not frozen
 * @inode: the one that has the content
 * @bytes: how much of it was used, at least a page
 * @created: the file was made for this: it is left empty, another one is left as
 *	large as it is
 *
 * As who has opened it: the last to leave a pool may be a VM, which may not write
 * there.  If it cannot be done the log says so: an admin may want to wipe it.
 *
 * Context: process; waits for I/O.
 */
void ballast_discard(struct file *file, struct inode *inode, loff_t bytes, bool created)
{
	const struct cred *mine = override_creds(file->f_cred);
	int err = discard(file, inode, bytes, created);

	revert_creds(mine);
	if (err)
		pr_warn("ballast: swap file %pD: content not discarded (error %d): wipe it if that matters\n",
			file, err);
}
