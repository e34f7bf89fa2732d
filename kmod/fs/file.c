// SPDX-License-Identifier: GPL-2.0
/*
 * ballastfs: regular files.
 *
 * DOC: mmap is what guests use; read, write, copy and seek are for snapshots.
 * Only faults wait for memory as long as it takes: write() and fallocate() have a way
 * to say ENOSPC, and they hold the inode's lock; they wait while reclaim gets on, and
 * fallocate() does not begin if what it lacks is not free.
 * Punching a hole takes no file-wide lock, so that it gets through while everybody
 * else waits.
 */
#include <linux/falloc.h>
#include <linux/highmem.h>
#include <linux/huge_mm.h>
#include <linux/uio.h>

#include "../memory/promise.h"
#include "../memory/slot.h"
#include "../reclaim/reclaim.h"
#include "../store/store.h"
#include "ballastfs.h"

/*
 * QEMU takes a file that was refused its size for one that is large enough, and dies
 * of its first touch.  Where sizes may be refused, so are mappings beyond the end.
 */
static bool is_admitted(struct inode *inode, struct vm_area_struct *vma)
{
	pgoff_t end = vma->vm_pgoff + vma_pages(vma);

	return !READ_ONCE(ballast_map_of(inode)->pool->admission) ||
	       end <= DIV_ROUND_UP_ULL(i_size_read(inode), PAGE_SIZE);
}

static int mmap_file(struct file *file, struct vm_area_struct *vma)
{
	if (!(vma->vm_flags & VM_MAYSHARE)) {
		pr_info_ratelimited("ballast: %s[%d]: MAP_PRIVATE of %pD refused: use share=on (QEMU), <access mode='shared'/> (libvirt)\n",
				    current->comm, task_pid_nr(current), file);
		return -EINVAL;
	}
	if (!is_admitted(file_inode(file), vma)) {
		pr_info_ratelimited("ballast: %s[%d]: mapping beyond the end of %pD refused: the file was not let grow\n",
				    current->comm, task_pid_nr(current), file);
		return -ENOSPC;
	}
	file_accessed(file);
	vma->vm_ops = &ballast_vm_operations;
	/*
	 * Lets ->fault() map read-only frames by itself, and keeps the kernel
	 * from locking, migrating or collapsing pages that are ours to move.
	 */
	ballast_vm_flags_set(vma, VM_MIXEDMAP);
	return 0;
}

/*
 * A copy of a stored page, which stays where it is: a reader's copy is its own.
 * ERR_PTR: -EAGAIN, a page for it is needed.
 */
static struct page *copy_stored(struct ballast_slot *slot, struct page **copy)
{
	struct page *page;
	int err;

	if (!*copy)
		return ERR_PTR(-EAGAIN);
	err = ballast_store_copy(slot, *copy);
	if (err)
		return ERR_PTR(err == -EAGAIN ? -ENOMEM : -EIO);
	page = *copy;
	*copy = NULL;
	return page;
}

static struct page *try_get_content(struct ballast_map *map, pgoff_t pgoff,
				    struct page **copy)
{
	struct ballast_block *block;
	struct ballast_slot slot;
	struct page *frame = NULL;
	unsigned long word;
	int srcu = ballast_map_enter();

	block = ballast_map_block(map, pgoff >> BALLAST_BLOCK_SHIFT);
	if (!block)
		goto leave;
	ballast_slot_init(&slot, block, pgoff);
	word = ballast_slot_lock(&slot);
	if (ballast_word_state(word) == BALLAST_PRIVATE ||
	    ballast_word_state(word) == BALLAST_SHARED) {
		frame = ballast_word_frame(word);
		get_page(frame);
	} else if (ballast_word_is_stored(word)) {
		frame = copy_stored(&slot, copy);
	}
	ballast_slot_unlock(&slot);
leave:
	ballast_map_leave(srcu);
	return frame;
}

/*
 * A reference to what is at @pgoff; NULL for a hole, or an ERR_PTR.  Nobody asks for
 * memory with the slot locked: the reclaim thread may wait for that.
 */
static struct page *get_content(struct ballast_map *map, pgoff_t pgoff)
{
	struct page *copy = NULL, *frame;

	frame = try_get_content(map, pgoff, &copy);
	if (frame != ERR_PTR(-EAGAIN))
		return frame;
	copy = alloc_page(GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	if (!copy)
		return ERR_PTR(-ENOMEM);
	frame = try_get_content(map, pgoff, &copy);
	if (copy)
		__free_page(copy);
	return frame;
}

/*
 * Copy from a frame, into a pipe too: it must not keep our frame.  Returns what
 * was copied, or an error if that is nothing.
 */
static ssize_t read_frame(struct page *frame, size_t offset, size_t n,
			  struct iov_iter *to)
{
	size_t copied = 0;
	char *addr;

	if (!ballast_frame_is_poisoned(frame)) {
		addr = kmap_local_page(frame);
		copied = _copy_mc_to_iter(addr + offset, n, to);
		kunmap_local(addr);
	}
	if (copied)
		return copied;
	/* the machine check has marked it, if it was one */
	return ballast_frame_is_poisoned(frame) ? -EIO : -EFAULT;
}

/* One page's part of a read; returns the bytes read or an error. */
static ssize_t read_page(struct ballast_map *map, loff_t pos, size_t n,
			 struct iov_iter *to)
{
	struct page *frame = get_content(map, pos >> PAGE_SHIFT);
	ssize_t copied;

	if (!frame)
		return iov_iter_zero(n, to) ?: -EFAULT;
	if (IS_ERR(frame))
		return PTR_ERR(frame);
	copied = read_frame(frame, offset_in_page(pos), n, to);
	put_page(frame);
	return copied;
}

static ssize_t read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t done = 0, copied = 0;

	while (iov_iter_count(to)) {
		loff_t size = i_size_read(inode);
		size_t offset = offset_in_page(iocb->ki_pos), n;

		if (iocb->ki_pos >= size)
			break;
		n = min_t(loff_t, PAGE_SIZE - offset, size - iocb->ki_pos);
		n = min(n, iov_iter_count(to));
		copied = read_page(ballast_map_of(inode), iocb->ki_pos, n, to);
		if (copied < 0)
			break;
		iocb->ki_pos += copied;
		done += copied;
		if (copied < n)
			break;
		if (fatal_signal_pending(current))
			break;
		cond_resched();
	}
	file_accessed(iocb->ki_filp);
	return done ?: copied;
}

/*
 * Make the slot private: it is locked.  NULL: a spare frame is needed.  ERR_PTR:
 * its content is lost.  @use: what the spare is of; what was to be loaded may have been
 * punched meanwhile.
 */
static struct page *make_private(struct ballast_slot *slot, unsigned long word,
				 struct page **spare, enum ballast_frame_use use)
{
	struct page *frame;

	switch (ballast_word_state(word)) {
	case BALLAST_PRIVATE:
		frame = ballast_word_frame(word);
		if (ballast_frame_is_poisoned(frame))
			return ERR_PTR(-EHWPOISON);
		return frame;
	case BALLAST_SHARED:
		frame = ballast_slot_break(slot, spare, 0);
		if (!IS_ERR_OR_NULL(frame))
			ballast_pool_count(ballast_slot_pool(slot),
					   BALLAST_EVENT_COW_BREAKS);
		return frame;
	case BALLAST_COMPRESSED:
	case BALLAST_SWAPPED:
		return ballast_slot_load(slot, spare);
	default:
		WARN_ON_ONCE(ballast_word_state(word) == BALLAST_GONE);
		frame = *spare;
		if (!frame)
			return NULL;
		if (use != BALLAST_FRAME_ZEROED)
			clear_highpage(frame);
		*spare = NULL;
		ballast_slot_fill(slot, frame);
		return frame;
	}
}

/* What a frame for the slot is for, seen without the lock: never less than it takes. */
static enum ballast_frame_use use_of(struct ballast_slot *slot)
{
	return ballast_word_is_stored(ballast_slot_peek(slot)) ? BALLAST_FRAME_LOAD :
								 BALLAST_FRAME_ZEROED;
}

/*
 * A reference to a private frame at @pgoff, or an ERR_PTR.  The reference keeps
 * the scanner off; i_rwsem keeps truncate away.
 */
static struct page *try_get_private(struct ballast_map *map, pgoff_t pgoff)
{
	enum ballast_frame_use use = BALLAST_FRAME_ZEROED;
	struct page *frame, *spare = NULL;
	struct ballast_block *block;
	struct ballast_slot slot;
	int no_spare = 0;
	bool needed;
	unsigned long word;
	int srcu = ballast_map_enter();

	block = ballast_map_add_block(map, pgoff >> BALLAST_BLOCK_SHIFT);
	if (IS_ERR(block)) {
		frame = ERR_CAST(block);
		goto leave;
	}
	ballast_slot_init(&slot, block, pgoff);
	needed = ballast_word_state(ballast_slot_peek(&slot)) != BALLAST_PRIVATE;
	do {
		if (needed && !spare) {
			use = use_of(&slot);
			spare = ballast_frame_alloc(map->pool, use);
			no_spare = PTR_ERR_OR_ZERO(spare);
			if (no_spare)
				spare = NULL;
		}
		word = ballast_slot_lock(&slot);
		frame = make_private(&slot, word, &spare, use);
		if (!IS_ERR_OR_NULL(frame))
			get_page(frame);
		ballast_slot_unlock(&slot);
		/* the scanner may have taken the frame since we looked */
		needed = true;
	} while (!frame && !no_spare);
	if (!frame)
		frame = ERR_PTR(no_spare);
	else if (IS_ERR(frame))
		frame = ERR_PTR(frame == ERR_PTR(-EAGAIN) ? -ENOMEM : -EIO);
	if (spare)
		ballast_frame_free(map->pool, spare);
leave:
	ballast_map_leave(srcu);
	return frame;
}

/* The same; where the pool is full reclaim may make room. */
static struct page *get_private(struct ballast_map *map, pgoff_t pgoff)
{
	struct page *frame;

	do {
		frame = try_get_private(map, pgoff);
	} while (frame == ERR_PTR(-ENOSPC) && !signal_pending(current) &&
		 ballast_reclaim_makes_room(map->pool));
	if (frame == ERR_PTR(-ENOSPC) && map->pool->reclaim && signal_pending(current))
		return ERR_PTR(-EINTR);
	return frame;
}

/* One page's part of a write; returns the bytes written or an error. */
static ssize_t write_page(struct inode *inode, loff_t pos, struct iov_iter *from)
{
	size_t offset = offset_in_page(pos);
	size_t n = min(PAGE_SIZE - offset, iov_iter_count(from)), copied = 0;
	loff_t size = i_size_read(inode), wanted = max_t(loff_t, size, pos + n), end;
	struct ballast_map *map = ballast_map_of(inode);
	struct page *frame;
	int err;

	if (fault_in_iov_iter_readable(from, n) == n)
		return -EFAULT;
	err = ballast_promise_size(map, size, wanted);
	if (err)
		return err;
	frame = get_private(map, pos >> PAGE_SHIFT);
	if (IS_ERR(frame)) {
		err = PTR_ERR(frame);
	} else {
		/* nothing, if the buffer was unmapped meanwhile */
		copied = copy_page_from_iter_atomic(frame, offset, n, from);
		put_page(frame);
	}
	end = copied ? max_t(loff_t, size, pos + copied) : size;
	if (end > size)
		i_size_write(inode, end);
	ballast_promise_size(map, wanted, end);
	return copied ?: err;
}

static ssize_t write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t done = 0, n;

	inode_lock(inode);
	n = generic_write_checks(iocb, from);
	if (n <= 0)
		goto unlock;
	n = file_remove_privs(iocb->ki_filp);
	if (n)
		goto unlock;
	ballast_inode_touch(inode);
	while (iov_iter_count(from)) {
		n = write_page(inode, iocb->ki_pos, from);
		if (n < 0)
			break;
		iocb->ki_pos += n;
		done += n;
		if (fatal_signal_pending(current)) {
			n = -EINTR;
			break;
		}
		cond_resched();
	}
unlock:
	inode_unlock(inode);
	return done ?: n;
}

static bool has_content(struct ballast_block *block, pgoff_t pgoff)
{
	struct ballast_slot slot;

	ballast_slot_init(&slot, block, pgoff);
	switch (ballast_word_state(ballast_slot_peek(&slot))) {
	case BALLAST_HOLE:
	case BALLAST_GONE:
		return false;
	default:
		return true;
	}
}

/* The first page at @pgoff or behind that is @data or not; @end if none. */
static pgoff_t seek_page(struct ballast_map *map, pgoff_t pgoff, pgoff_t end,
			 bool data)
{
	struct ballast_block *block;
	unsigned long index;
	int srcu = ballast_map_enter();

	while (pgoff < end) {
		index = pgoff >> BALLAST_BLOCK_SHIFT;
		block = ballast_map_block(map, index);
		if (!block && !data)
			break;
		if (!block) {
			/* skip all that was never touched in one step */
			block = xa_find_after(&map->blocks, &index, ULONG_MAX,
					      XA_PRESENT);
			if (!block)
				pgoff = end;
			else
				pgoff = index << BALLAST_BLOCK_SHIFT;
			continue;
		}
		if (has_content(block, pgoff) == data)
			break;
		if (!(++pgoff & (BALLAST_BLOCK_SLOTS - 1)))
			cond_resched();
	}
	ballast_map_leave(srcu);
	return min(pgoff, end);
}

static loff_t seek_file(struct file *file, loff_t offset, int whence)
{
	struct inode *inode = file_inode(file);
	loff_t size = i_size_read(inode), found;
	pgoff_t pgoff, end;

	if (whence != SEEK_DATA && whence != SEEK_HOLE)
		return generic_file_llseek(file, offset, whence);
	if (offset < 0 || offset >= size)
		return -ENXIO;
	/* the end of the last page may be more than an offset can be */
	end = (pgoff_t)((size - 1) >> PAGE_SHIFT) + 1;
	pgoff = seek_page(ballast_map_of(inode), offset >> PAGE_SHIFT, end,
			  whence == SEEK_DATA);
	if (pgoff < end)
		found = max((loff_t)pgoff << PAGE_SHIFT, offset);
	else if (whence == SEEK_DATA)
		return -ENXIO;
	else
		found = size;
	return vfs_setpos(file, found, inode->i_sb->s_maxbytes);
}

/* Would frames for all holes of the range fit?  Nothing is taken if not. */
static bool fits(struct ballast_map *map, pgoff_t first, pgoff_t last)
{
	unsigned long used = ballast_pool_used_pages(map->pool), missing = 0;
	unsigned long limit = READ_ONCE(map->pool->limit_pages);
	pgoff_t hole, data = first;

	while (data < last && missing <= limit) {
		hole = seek_page(map, data, last, false);
		data = seek_page(map, hole, last, true);
		missing += data - hole;
	}
	return used <= limit && missing <= limit - used;
}

/* Not a hole, now. */
static bool is_allocated(struct ballast_map *map, pgoff_t pgoff)
{
	int srcu = ballast_map_enter();
	struct ballast_block *block = ballast_map_block(map, pgoff >> BALLAST_BLOCK_SHIFT);
	bool allocated = block && has_content(block, pgoff);

	ballast_map_leave(srcu);
	return allocated;
}

/*
 * Frames for all holes of a range.  If guests take the room meanwhile what was
 * allocated stays, up to the end of the file.
 */
static int allocate(struct inode *inode, loff_t start, loff_t end)
{
	pgoff_t pgoff, last = DIV_ROUND_UP(end, PAGE_SIZE);
	struct ballast_map *map = ballast_map_of(inode);
	struct page *frame;

	if (!fits(map, start >> PAGE_SHIFT, last))
		return -ENOSPC;
	ballast_inode_touch(inode);
	for (pgoff = start >> PAGE_SHIFT; pgoff < last; pgoff++) {
		if (!is_allocated(map, pgoff)) {
			frame = get_private(map, pgoff);
			if (IS_ERR(frame))
				return PTR_ERR(frame);
			put_page(frame);
		}
		if (signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/* An error may come when part of the range is zero already: it has changed. */
static int zero_range(struct inode *inode, loff_t start, loff_t end)
{
	int err = ballast_map_zero(ballast_map_of(inode), start, end);

	ballast_inode_touch(inode);
	return err;
}

static long allocate_or_zero(struct inode *inode, int mode, loff_t start, loff_t end)
{
	struct ballast_map *map = ballast_map_of(inode);
	loff_t size, grown;
	long err = 0;

	inode_lock(inode);
	size = i_size_read(inode);
	grown = mode & FALLOC_FL_KEEP_SIZE ? size : max(size, end);
	if (grown > size)
		err = inode_newsize_ok(inode, grown);
	else if (end > size && READ_ONCE(map->pool->admission))
		err = -ENOSPC;	/* what is beyond the end was not promised */
	if (!err)
		err = ballast_promise_size(map, size, grown);
	if (err)
		goto unlock;
	if (mode & FALLOC_FL_ZERO_RANGE)
		err = zero_range(inode, start, end);
	else
		err = allocate(inode, start, end);
	if (grown > size && !err) {
		i_size_write(inode, grown);
	} else if (grown > size) {
		ballast_map_truncate(map, size);
		ballast_promise_size(map, grown, size);
	}
unlock:
	inode_unlock(inode);
	return err;
}

static long fallocate_file(struct file *file, int mode, loff_t offset, loff_t len)
{
	struct inode *inode = file_inode(file);
	loff_t end = offset + len;

	if (!S_ISREG(inode->i_mode))
		return -EOPNOTSUPP;
	switch (mode) {
	case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
		return zero_range(inode, offset, end);
	case 0:
	case FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_ZERO_RANGE:
	case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
		return allocate_or_zero(inode, mode, offset, end);
	default:
		return -EOPNOTSUPP;
	}
}

const struct file_operations ballast_file_operations = {
	.owner = THIS_MODULE,
	.mmap = mmap_file,
	/* 2 MiB aligned, so that a block could be mapped by one entry */
	.get_unmapped_area = thp_get_unmapped_area,
	.read_iter = read_iter,
	.write_iter = write_iter,
	.llseek = seek_file,
	.fallocate = fallocate_file,
	.fsync = noop_fsync,
	.splice_read = ballast_splice_read,
	.splice_write = iter_file_splice_write,
};
