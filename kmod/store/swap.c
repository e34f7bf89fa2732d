// SPDX-License-Identifier: GPL-2.0
/*
 * A pool's swap file: a regular file or a block device.
 *
 * DOC: Its content means nothing without the slots of guest memory that name it, and
 * is given up when it is closed.  So nothing of ours is written to the file but
 * pages, and a header by which it is known: no map, no journal, and nothing is ever flushed.
 *
 * All I/O is direct.  Through the page cache a page on its way out would take
 * another one first, just when there is none, and guest memory would take room on
 * the host that no pool's size limits.
 *
 * Locks: swaps_lock (mutex) for the list of swap files alone, with nothing inside;
 * swap->lock (spinlock) for the map of slots alone, inside whatever the caller has.
 * What lies in a slot belongs to whoever was given it.
 */
#include <linux/blkdev.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/magic.h>
#include <linux/namei.h>
#include <linux/pagemap.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uio.h>
#include <linux/xxhash.h>
#include <uapi/linux/ballast.h>

#include "discard.h"
#include "swap.h"
#include "swapmap.h"

#define SWAP_BYTES_MIN		SZ_1M
/* no atime either: a fault that reads may not wait for a journal */
#define OPEN_FLAGS		(O_RDWR | O_LARGEFILE | O_DIRECT | O_NOATIME)
#define GOLDEN_RATIO		0x9e3779b97f4a7c15ULL

/**
 * struct ballast_swap - a swap file that is open
 * @file: for direct I/O
 * @inode: the one that has the content: a device's own whatever node it was opened
 *	by, the file below of one on an overlay.  @file keeps it
 * @node: in the list of swap files, under swaps_lock
 * @class_key: lockdep's, of the inode's i_rwsem before it was a swap file's
 * @class_name: of that
 * @created: the file did not exist
 * @seed: of ballast_swap_check()
 * @lock: protects @map
 * @map: which slots are in use; @map.slots is constant
 * @memory: of @map
 */
struct ballast_swap {
	struct file *file;
	struct inode *inode;
	struct list_head node;
	struct lock_class_key *class_key;
	const char *class_name;
	bool created;
	u64 seed;
	spinlock_t lock;
	struct ballast_swapmap map;
	void *memory;
};

static DEFINE_MUTEX(swaps_lock);
static LIST_HEAD(swaps);
static struct lock_class_key swap_rwsem_key;

static int refuse(const char **why, int err, const char *sentence)
{
	*why = sentence;
	return err;
}

static bool is_device(const struct ballast_swap *swap)
{
	return S_ISBLK(swap->inode->i_mode);
}

static loff_t size_bytes(const struct ballast_swap *swap)
{
	return (loff_t)swap->map.slots << PAGE_SHIFT;
}

/*
 * Nothing is written to a frozen filesystem.  Who would wait for it to be thawed
 * holds up a mount, an unmount or the thread that makes room; so nobody waits.  If
 * it is frozen just after we looked, vfs_fallocate() and vfs_truncate() do wait.
 */
static bool is_frozen(struct file *file)
{
	if (!file_start_write_trylock(file))
		return true;
	file_end_write(file);
	return false;
}

/* The directory of a file that is not there yet: where creating one would wait. */
static int check_directory(const char *path, const char **why)
{
	char *name = kstrdup(path, GFP_KERNEL);
	struct path dir;
	int err;

	if (!name)
		return refuse(why, -ENOMEM, "no memory");
	*strrchr(name, '/') = 0;
	err = kern_path(*name ? name : "/", LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &dir);
	kfree(name);
	if (err)
		return refuse(why, err, "there is no such directory");
	if (sb_start_write_trylock(dir.dentry->d_sb))
		sb_end_write(dir.dentry->d_sb);
	else
		err = refuse(why, -EBUSY, "its filesystem is frozen");
	path_put(&dir);
	return err;
}

/* With which flags to open it: a device for ourselves, a new file as a new one. */
static int find_flags(const char *path, u64 limit_bytes, int *flags, const char **why)
{
	struct path found;
	umode_t mode;
	int err;

	*flags = OPEN_FLAGS;
	if (*path != '/')
		return refuse(why, -EINVAL, "the path must begin with /");
	err = kern_path(path, LOOKUP_FOLLOW, &found);
	if (err == -ENOENT && !limit_bytes)
		return refuse(why, err, "there is no such file, and no size to create it with");
	if (err == -ENOENT) {
		*flags |= O_CREAT | O_EXCL;
		return check_directory(path, why);
	}
	if (err)
		return refuse(why, err, "the path cannot be followed");
	mode = d_backing_inode(found.dentry)->i_mode;
	path_put(&found);
	/* opening a FIFO or a character device may do things: find out before */
	if (!S_ISREG(mode) && !S_ISBLK(mode))
		return refuse(why, -EINVAL, "it is neither a regular file nor a block device");
	if (S_ISBLK(mode))
		*flags |= O_EXCL;
	return 0;
}

static int explain_open(int err, const char **why)
{
	switch (err) {
	case -EINVAL:
		return refuse(why, err, "its filesystem has no direct I/O");
	case -EBUSY:
		return refuse(why, err, "the device is in use: mounted, swapped to, or part of another");
	case -EEXIST:
		return refuse(why, err, "it came into being just now, or is a link that leads nowhere");
	case -EROFS:
		return refuse(why, err, "it is read-only");
	default:
		return refuse(why, err, "it cannot be opened for reading and writing");
	}
}

static int open_file(struct ballast_swap *swap, const char *path, u64 limit_bytes,
		     const char **why)
{
	struct file *file;
	umode_t mode;
	int flags, err;

	err = find_flags(path, limit_bytes, &flags, why);
	if (err)
		return err;
	file = filp_open(path, flags, 0600);
	if (IS_ERR(file))
		return explain_open(PTR_ERR(file), why);
	mode = file_inode(file)->i_mode;
	/* what the path named when it was looked up may have been replaced */
	if (S_ISBLK(mode) ? (flags & (O_CREAT | O_EXCL)) != O_EXCL : !S_ISREG(mode)) {
		fput(file);
		return refuse(why, -EINVAL, "it was replaced while it was opened");
	}
	swap->file = file;
	swap->created = flags & O_CREAT;
	swap->inode = S_ISBLK(mode) ? file->f_mapping->host :
				      d_real_inode(file->f_path.dentry);
	return 0;
}

/* Guest memory is in it: it must be root's, and nobody else's to read. */
static int check_regular(const struct ballast_swap *swap, const char **why)
{
	const struct inode *inode = swap->inode;

	if (inode->i_sb->s_magic == BALLASTFS_MAGIC)
		return refuse(why, -EINVAL, "it is on a ballastfs itself");
	/* which takes O_DIRECT since 6.6, and means nothing by it */
	if (inode->i_sb->s_magic == TMPFS_MAGIC)
		return refuse(why, -EINVAL, "it is on a tmpfs, which is memory");
	if (!uid_eq(inode->i_uid, GLOBAL_ROOT_UID))
		return refuse(why, -EPERM, "it is not owned by root: chown root it");
	if (inode->i_mode & 0077)
		return refuse(why, -EPERM, "others than its owner may open it: chmod 600 it");
	return 0;
}

static int check_file(const struct ballast_swap *swap, const char **why)
{
	const struct file_operations *ops = swap->file->f_op;

	if (!ops->read_iter || !ops->write_iter)
		return refuse(why, -EINVAL, "it has no I/O that the kernel could use");
	if (IS_SWAPFILE(swap->inode))
		return refuse(why, -EBUSY, "the host swaps to it");
	if (!is_device(swap))
		return check_regular(swap, why);
	if (bdev_read_only(I_BDEV(swap->inode)))
		return refuse(why, -EROFS, "the device is read-only");
	return 0;
}

/*
 * QEMU writes guest memory to a disk image by direct I/O, with the image's i_rwsem
 * held; a fault there reads from the swap file, which takes that one's.  A swap file
 * is no image and its I/O meets no fault, so there is an order between them: tell
 * lockdep, which knows files of one filesystem as one lock.
 */
static void set_lock_class(struct ballast_swap *swap)
{
	if (is_device(swap))
		return;
#ifdef CONFIG_LOCKDEP
	swap->class_key = swap->inode->i_rwsem.dep_map.key;
	swap->class_name = swap->inode->i_rwsem.dep_map.name;
#endif
	lockdep_set_class(&swap->inode->i_rwsem, &swap_rwsem_key);
}

/* lockdep wants each key with the very name that it was seen with. */
static void restore_lock_class(struct ballast_swap *swap)
{
	if (!is_device(swap))
		lockdep_set_class_and_name(&swap->inode->i_rwsem, swap->class_key,
					   swap->class_name);
}

/* From here on nobody else may open it, until leave_list(). */
static int enter_list(struct ballast_swap *swap, const char **why)
{
	const struct ballast_swap *other;
	int err = 0;

	mutex_lock(&swaps_lock);
	list_for_each_entry(other, &swaps, node)
		if (other->inode == swap->inode)
			err = refuse(why, -EBUSY, "it is another pool's swap file");
	if (!err) {
		list_add(&swap->node, &swaps);
		set_lock_class(swap);
	}
	mutex_unlock(&swaps_lock);
	return err;
}

static void leave_list(struct ballast_swap *swap)
{
	mutex_lock(&swaps_lock);
	restore_lock_class(swap);
	list_del(&swap->node);
	mutex_unlock(&swaps_lock);
}

static int explain_reserve(int err, const char **why)
{
	switch (err) {
	case -EOPNOTSUPP:
		return refuse(why, err, "its filesystem cannot reserve space (fallocate)");
	case -ENOSPC:
	case -EDQUOT:
		return refuse(why, err, "its filesystem has no room for that size");
	case -EFBIG:
		return refuse(why, err, "that is larger than a file may be there");
	default:
		return refuse(why, err, "space cannot be reserved for it");
	}
}

/*
 * Reserve the space of a regular file, whatever its size was: it may have holes, if
 * only those that the last pool has left.
 */
static int reserve(struct ballast_swap *swap, const char **why)
{
	int err;

	if (is_device(swap))
		return 0;
	if (is_frozen(swap->file))
		return refuse(why, -EBUSY, "its filesystem is frozen");
	err = vfs_fallocate(swap->file, 0, 0, size_bytes(swap));
	return err ? explain_reserve(err, why) : 0;
}

static int make_map(struct ballast_swap *swap, u64 limit_bytes, const char **why)
{
	u64 have_bytes = i_size_read(swap->inode);
	u64 bytes = limit_bytes ?: have_bytes, pages;
	u32 first;

	if (is_device(swap))
		bytes = min(bytes, have_bytes);
	pages = min_t(u64, bytes >> PAGE_SHIFT, BALLAST_SWAPMAP_MAX);
	if (pages < SWAP_BYTES_MIN >> PAGE_SHIFT)
		return refuse(why, -EINVAL, "it has less than 1 MiB");
	swap->memory = kvzalloc(ballast_swapmap_bytes(pages), GFP_KERNEL);
	if (!swap->memory)
		return refuse(why, -ENOMEM, "no memory for the map of its pages");
	ballast_swapmap_init(&swap->map, pages, swap->memory);
	/* of the header */
	ballast_swapmap_alloc(&swap->map, 1, &first);
	return 0;
}

/* In the first slot of a file that was swapped to; any other may be dear to somebody. */
static const char header[] = "ballast: swap file; its content is lost at each mount\n";

static void write_header(void *content)
{
	memset(content, 0, PAGE_SIZE);
	memcpy(content, header, sizeof(header));
}

/* Nothing but zeroes, or what write_header() writes. */
static bool is_header(const void *content)
{
	return !memchr_inv(content, 0, PAGE_SIZE) ||
	       (!memcmp(content, header, sizeof(header)) &&
		!memchr_inv(content + sizeof(header), 0, PAGE_SIZE - sizeof(header)));
}

static int read_header(struct ballast_swap *swap, struct page *page)
{
	void *content = kmap_local_page(page);
	int err = ballast_swap_read(swap, 0, page);

	if (!err && !is_header(content))
		err = -EEXIST;
	kunmap_local(content);
	return err;
}

/* Write the header, and read it again. */
static int write_and_read(struct ballast_swap *swap, struct page *page)
{
	void *content = kmap_local_page(page);
	int err;

	write_header(content);
	err = ballast_swap_write(swap, 0, &page, 1);
	memset(content, 0xff, PAGE_SIZE);
	if (!err)
		err = ballast_swap_read(swap, 0, page);
	if (!err && !is_header(content))
		err = -EIO;
	kunmap_local(content);
	return err;
}

static int try_header(struct ballast_swap *swap,
		      int (*try)(struct ballast_swap *swap, struct page *page),
		      const char **why)
{
	struct page *page = alloc_page(GFP_KERNEL);
	int err = page ? try(swap, page) : -ENOMEM;

	if (page)
		__free_page(page);
	switch (err) {
	case 0:
		return 0;
	case -EEXIST:
		return refuse(why, err, "something else is in it; if that is of no use, write zeroes to its first 4 KiB");
	case -EINVAL:
		return refuse(why, err, "it has no direct I/O in blocks of 4 KiB");
	default:
		return refuse(why, err, "it cannot be written and read");
	}
}

static int leave_page_cache(struct ballast_swap *swap, const char **why)
{
	struct address_space *mapping = swap->inode->i_mapping;
	int err = 0;

	if (!is_device(swap))
		err = filemap_write_and_wait(mapping) ?: invalidate_inode_pages2(mapping);
	return err ? refuse(why, err, "its pages cannot be dropped from the page cache: somebody uses it") : 0;
}

/* Before anything of it is changed. */
static int check_content(struct ballast_swap *swap, const char **why)
{
	loff_t size = i_size_read(swap->inode);
	int err = leave_page_cache(swap, why);

	if (err || !size)
		return err;
	if (size < PAGE_SIZE)
		return refuse(why, -EEXIST, "it has less than 4 KiB, which may be dear to somebody; remove it");
	return try_header(swap, read_header, why);
}

/*
 * Not every filesystem that takes O_DIRECT keeps its word: some go through the page
 * cache for files that are compressed, encrypted or journalled.  It is seen from what
 * lies there afterwards.  Of a device that says nothing: udev may have read it.
 */
static int try_direct(struct ballast_swap *swap, const char **why)
{
	int err = leave_page_cache(swap, why) ?: try_header(swap, write_and_read, why);

	if (err)
		return err;
	if (!is_device(swap) && swap->inode->i_mapping->nrpages)
		return refuse(why, -EINVAL, "I/O to it goes through the page cache");
	return 0;
}

static void discard_content(struct ballast_swap *swap)
{
	if (is_frozen(swap->file))
		pr_warn("ballast: swap file %pD: content not discarded: its filesystem is frozen\n",
			swap->file);
	else
		ballast_discard(swap->file, swap->inode, size_bytes(swap), swap->created);
}

/* If it cannot be used it gets its old size back, and gives space behind its end back. */
static int reserve_and_try(struct ballast_swap *swap, const char **why)
{
	const loff_t old_bytes = i_size_read(swap->inode);
	int err = reserve(swap, why) ?: try_direct(swap, why);

	if (err && !is_device(swap) && !is_frozen(swap->file))
		vfs_truncate(&swap->file->f_path, old_bytes);
	return err;
}

/* It is open and checked: make it ready.  On error the caller closes the file. */
static int set_up(struct ballast_swap *swap, u64 limit_bytes, const char **why)
{
	int err = make_map(swap, limit_bytes, why);

	if (err)
		return err;
	err = check_content(swap, why) ?: reserve_and_try(swap, why);
	if (err)
		kvfree(swap->memory);
	return err;
}

/**
 * ballast_swap_open() - open a swap file; what it contains is lost
 * @path: absolute, of a regular file or a block device
 * @limit_bytes: how much of it to use, rounded down to pages; 0: all that is there.  A
 *	regular file that is smaller is made larger, one that does not exist is created;
 *	of a device no more is used than it has
 * @why: if it is refused: a sentence for the admin, without a full stop
 *
 * Context: process; waits for I/O.  The path is looked up as the current task sees it.
 * Return: the swap file, or an ERR_PTR with @why set.
 */
struct ballast_swap *ballast_swap_open(const char *path, u64 limit_bytes,
				       const char **why)
{
	struct ballast_swap *swap = kzalloc(sizeof(*swap), GFP_KERNEL);
	int err;

	if (!swap)
		return ERR_PTR(refuse(why, -ENOMEM, "no memory"));
	spin_lock_init(&swap->lock);
	get_random_bytes(&swap->seed, sizeof(swap->seed));
	err = open_file(swap, path, limit_bytes, why);
	if (err)
		goto free;
	err = check_file(swap, why);
	if (err)
		goto close;
	err = enter_list(swap, why);
	if (err)
		goto close;
	err = set_up(swap, limit_bytes, why);
	if (err)
		goto leave;
	return swap;

leave:
	leave_list(swap);
close:
	fput(swap->file);
free:
	kfree(swap);
	return ERR_PTR(err);
}

/**
 * ballast_swap_close() - give up a swap file and all that is in it
 * @swap: nobody uses it any more
 *
 * Context: process; waits for I/O.  If the task is a kernel thread a device may stay
 * in use for a moment longer: that is how fput() is.
 */
void ballast_swap_close(struct ballast_swap *swap)
{
	discard_content(swap);
	leave_list(swap);
	fput(swap->file);
	kvfree(swap->memory);
	kfree(swap);
}

/**
 * ballast_swap_alloc() - slots that lie together
 * @swap: of which
 * @want: how many at most
 * @first: result: the first of them
 *
 * Context: process or atomic, not interrupts.
 * Return: how many; 0 only if none is free.
 */
unsigned int ballast_swap_alloc(struct ballast_swap *swap, unsigned int want, u32 *first)
{
	unsigned int count;

	spin_lock(&swap->lock);
	count = ballast_swapmap_alloc(&swap->map, want, first);
	spin_unlock(&swap->lock);
	return count;
}

/**
 * ballast_swap_free() - a slot's content is not needed any more
 * @swap: of which
 * @slot: the caller's until now; no I/O to it is under way
 *
 * Context: process or atomic, not interrupts.
 */
void ballast_swap_free(struct ballast_swap *swap, u32 slot)
{
	int err;

	spin_lock(&swap->lock);
	err = ballast_swapmap_free(&swap->map, slot);
	spin_unlock(&swap->lock);
	WARN_ON_ONCE(err);
}

/**
 * ballast_swap_mark_bad() - the same, and its place is not to be used again
 * @swap: of which
 * @slot: as for ballast_swap_free(), instead of which this is called
 *
 * Context: process or atomic, not interrupts.
 */
void ballast_swap_mark_bad(struct ballast_swap *swap, u32 slot)
{
	int err;

	spin_lock(&swap->lock);
	err = ballast_swapmap_mark_bad(&swap->map, slot);
	spin_unlock(&swap->lock);
	WARN_ON_ONCE(err);
}

/* @n slots from @first on, in one request; @vec names the pages. */
static int transfer(struct ballast_swap *swap, unsigned int direction, u32 first,
		    const struct bio_vec *vec, unsigned int n)
{
	size_t bytes = (size_t)n << PAGE_SHIFT;
	const struct file_operations *ops = swap->file->f_op;
	struct iov_iter iter;
	struct kiocb kiocb;
	unsigned int noio;
	ssize_t done;

	init_sync_kiocb(&kiocb, swap->file);
	kiocb.ki_pos = (loff_t)first << PAGE_SHIFT;
	iov_iter_bvec(&iter, direction, vec, n, bytes);
	/*
	 * The filesystem may allocate for this, when memory is short and with its own
	 * locks held.  Reclaim that then writes dirty pages could enter it again and
	 * wait for those locks, or for memory that only this I/O would have freed.
	 */
	noio = memalloc_noio_save();
	done = direction == ITER_SOURCE ? ops->write_iter(&kiocb, &iter) :
					  ops->read_iter(&kiocb, &iter);
	memalloc_noio_restore(noio);
	if (done < 0)
		return done;
	/* the file was cut behind our back, or its filesystem is full */
	return done == bytes ? 0 : -EIO;
}

static bool is_in(const struct ballast_swap *swap, u32 first, unsigned int n)
{
	return first < swap->map.slots && n <= swap->map.slots - first;
}

/**
 * ballast_swap_write() - write pages to slots that lie together, in one request
 * @swap: to which
 * @first: the first slot; all @n are the caller's
 * @pages: what to write; does not change meanwhile
 * @n: 1 to BALLAST_SWAP_BATCH
 *
 * Context: process; waits for I/O.
 * Return: 0; -EBUSY: the filesystem is frozen; else the filesystem's or device's error.
 * On error each of the slots may have the new content or not.
 */
int ballast_swap_write(struct ballast_swap *swap, u32 first, struct page **pages,
		       unsigned int n)
{
	struct bio_vec vec[BALLAST_SWAP_BATCH];
	unsigned int i;
	int err;

	if (WARN_ON_ONCE(!n || n > BALLAST_SWAP_BATCH || !is_in(swap, first, n)))
		return -EINVAL;
	for (i = 0; i < n; i++)
		vec[i] = (struct bio_vec) { .bv_page = pages[i], .bv_len = PAGE_SIZE };
	if (!file_start_write_trylock(swap->file))
		return -EBUSY;
	err = transfer(swap, ITER_SOURCE, first, vec, n);
	file_end_write(swap->file);
	return err;
}

/* Nothing was found out about what is in the slot. */
static bool is_passing(int err)
{
	return err == -ENOMEM || err == -EINTR || err == -ERESTARTSYS;
}

/**
 * ballast_swap_read() - read a slot
 * @swap: from which
 * @slot: the caller's
 * @page: where to
 *
 * Context: process; waits for I/O.
 * Return: 0; -EAGAIN: it could not be read now (no memory, a signal), the content is
 * not lost by that; else the filesystem's or device's error.
 */
int ballast_swap_read(struct ballast_swap *swap, u32 slot, struct page *page)
{
	struct bio_vec vec = { .bv_page = page, .bv_len = PAGE_SIZE };
	int err;

	if (WARN_ON_ONCE(!is_in(swap, slot, 1)))
		return -EINVAL;
	err = transfer(swap, ITER_DEST, slot, &vec, 1);
	return is_passing(err) ? -EAGAIN : err;
}

/**
 * ballast_swap_check() - what tells a slot's content from another's
 * @swap: of which
 * @slot: where the page is written to, or was read from
 * @page: the content
 *
 * The slot's number enters, so that a page from another place does not pass.  Against
 * disks that err, not against people.
 *
 * Return: BALLAST_SWAP_CHECK_BITS.
 */
u32 ballast_swap_check(struct ballast_swap *swap, u32 slot, struct page *page)
{
	const void *content = kmap_local_page(page);
	u64 hash = xxh64(content, PAGE_SIZE, swap->seed ^ slot * GOLDEN_RATIO);

	kunmap_local(content);
	return hash >> (64 - BALLAST_SWAP_CHECK_BITS);
}

/* ballast_swap_size_pages() - how many pages it has room for, those of bad slots too */
u64 ballast_swap_size_pages(const struct ballast_swap *swap)
{
	return swap->map.slots - 1;	/* the header */
}

/* ballast_swap_free_pages() - how many are free; may change at once */
u64 ballast_swap_free_pages(const struct ballast_swap *swap)
{
	return READ_ONCE(swap->map.free);
}
