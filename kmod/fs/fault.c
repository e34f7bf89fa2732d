// SPDX-License-Identifier: GPL-2.0
/*
 * Faults: what a guest page is when somebody touches it.
 *
 * DOC: An EPT or NPT violation of a guest arrives here through KVM and GUP, an
 * access of QEMU's through the page fault handler.  What may be read but not
 * written, a shared frame or the zero frame, is mapped here, under the slot
 * lock.  A private frame goes back to the core locked; the core then calls
 * ->page_mkwrite() if it is to be writable.
 *
 * A write to a slot that is not mapped makes it private at once, in ->fault().
 * A write to one that is mapped read-only arrives in ->page_mkwrite(), which
 * unmaps what was there and has the access repeated, as a fault of the first
 * kind; unless the writer is the last sharer and the frame becomes its own.
 *
 * Where memory is short a fault waits, with mmap_lock dropped if the caller
 * allows it.  It does not return VM_FAULT_OOM, which KVM_RUN would hand to
 * QEMU as a reason to abort.
 */
#include <linux/file.h>
#include <linux/freezer.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>

#include "../memory/slot.h"
#include "ballastfs.h"

/* Not the kernel's own: what a fault lacks to go on. */
#define NEED_FRAME	((__force vm_fault_t)(1U << 31))	/* has not asked for one */
#define NEED_ROOM	((__force vm_fault_t)(1U << 30))	/* the pool was full */
#define NEED_HOST	((__force vm_fault_t)(1U << 29))	/* the host has no page */
#define NEED_READ	((__force vm_fault_t)(1U << 28))	/* to wait for the swap file */
#define NEEDS		(NEED_FRAME | NEED_ROOM | NEED_HOST | NEED_READ)

/* How long a fault that the host refused memory waits before it asks again. */
#define HOST_SHORT_WAIT	msecs_to_jiffies(50)
/* How long a worker of KVM's async page faults waits before it gives up. */
#define WORKER_WAIT	msecs_to_jiffies(100)
/*
 * How long any other fault waits before it looks at its slot again: another
 * vCPU may have filled it, or a pin may have gone, which wakes nobody.  Kernel
 * threads look then whether their VM is dying.
 */
#define LOOK_AGAIN	HZ

/**
 * struct fault - what is known of one fault
 * @vmf: the core's
 * @map: the file's memory
 * @write: the slot is to become private
 * @ask: a frame is to be asked for whatever the slot looks like
 * @zeroed: @spare is
 * @reserve: of the pool, that the frame may come from
 * @spare: a frame in hand, charged; given back at the end if not needed
 * @lacks: why there is no @spare: NEED_FRAME, NEED_ROOM or NEED_HOST
 */
struct fault {
	struct vm_fault *vmf;
	struct ballast_map *map;
	bool write;
	bool ask;
	bool zeroed;
	unsigned long reserve;
	struct page *spare;
	vm_fault_t lacks;
};

static bool beyond_end(struct fault *f)
{
	loff_t size = i_size_read(f->map->inode);

	return f->vmf->pgoff >= DIV_ROUND_UP(size, PAGE_SIZE);
}

/* Map a frame that is not to be written; the slot is locked. */
static vm_fault_t map_readonly(struct fault *f, struct ballast_slot *slot,
			       struct page *frame)
{
	int err;

	ballast_slot_set_flags(slot, BALLAST_SLOT_MAPPED, true);
	err = vm_insert_page(f->vmf->vma, f->vmf->address & PAGE_MASK, frame);
	/* -EBUSY: another thread was quicker */
	if (!err || err == -EBUSY)
		return VM_FAULT_NOPAGE;
	return err == -ENOMEM ? NEED_HOST : VM_FAULT_SIGBUS;
}

/*
 * May the frame be mapped once more?  A reference count has 31 bits; 2^30
 * mappings of one frame are 4 TiB, and then some slots get frames of their own.
 */
static bool may_map(struct fault *f, struct page *frame)
{
	if (likely(page_count(frame) < (1 << 30)))
		return true;
	f->write = true;
	return false;
}

static vm_fault_t return_locked(struct fault *f, struct page *frame)
{
	if (ballast_frame_is_poisoned(frame))
		return VM_FAULT_HWPOISON;
	get_page(frame);
	lock_page(frame);
	f->vmf->page = frame;
	return VM_FAULT_LOCKED;
}

static vm_fault_t fault_hole(struct fault *f, struct ballast_slot *slot)
{
	struct page *zero = f->map->pool->zero_frame, *frame = f->spare;

	if (!f->write && may_map(f, zero))
		return map_readonly(f, slot, zero);
	if (!frame)
		return f->lacks;
	if (!f->zeroed)
		clear_highpage(frame);
	f->spare = NULL;
	ballast_slot_fill(slot, frame);
	return return_locked(f, frame);
}

static vm_fault_t fault_shared(struct fault *f, struct ballast_slot *slot,
			       unsigned long word)
{
	struct page *frame = ballast_word_frame(word);

	if (!f->write && ballast_frame_is_poisoned(frame))
		return VM_FAULT_HWPOISON;
	if (!f->write && may_map(f, frame))
		return map_readonly(f, slot, frame);
	frame = ballast_slot_break(slot, &f->spare, 0);
	if (!frame)
		return f->lacks;
	if (IS_ERR(frame))
		return VM_FAULT_HWPOISON;
	ballast_pool_count(f->map->pool, BALLAST_EVENT_COW_BREAKS);
	return return_locked(f, frame);
}

/* Compressed, or swapped and the fault may wait for that where it is. */
static vm_fault_t fault_stored(struct fault *f, struct ballast_slot *slot)
{
	struct page *frame = ballast_slot_load(slot, &f->spare);

	if (!frame)
		return f->lacks;
	if (IS_ERR(frame))
		return VM_FAULT_HWPOISON;
	return return_locked(f, frame);
}

/* The slot is locked. */
static vm_fault_t fault_slot(struct fault *f, struct ballast_slot *slot,
			     unsigned long word)
{
	if (ballast_word_state(word) == BALLAST_GONE)
		return VM_FAULT_NOPAGE;
	/* truncate sets the size first and looks at the slot afterwards */
	if (beyond_end(f))
		return VM_FAULT_SIGBUS;
	switch (ballast_word_state(word)) {
	case BALLAST_HOLE:
		return fault_hole(f, slot);
	case BALLAST_SHARED:
		return fault_shared(f, slot, word);
	case BALLAST_COMPRESSED:
		return fault_stored(f, slot);
	case BALLAST_SWAPPED:
		/* not with mmap_lock held, and where that cannot be, not from here */
		if (word & BALLAST_SLOT_LOST)
			return VM_FAULT_HWPOISON;
		return f->spare ? NEED_READ : f->lacks;
	default:
		return return_locked(f, ballast_word_frame(word));
	}
}

/* Have a frame in hand, or know why not; a last sharer needs none. */
static void get_spare(struct fault *f, enum ballast_frame_use use)
{
	struct page *frame = ballast_frame_alloc_vma(f->map->pool, f->vmf->vma,
						     f->vmf->address, use);

	f->zeroed = use == BALLAST_FRAME_ZEROED;
	f->reserve = ballast_frame_reserve(use);
	f->spare = IS_ERR(frame) ? NULL : frame;
	f->lacks = frame == ERR_PTR(-ENOSPC) ? NEED_ROOM : NEED_HOST;
}

/* What for? */
static enum ballast_frame_use use_of(unsigned long word)
{
	if (ballast_word_is_stored(word))
		return BALLAST_FRAME_LOAD;
	return ballast_word_state(word) == BALLAST_HOLE ? BALLAST_FRAME_ZEROED :
							  BALLAST_FRAME_COPY;
}

static bool is_swapped(unsigned long word)
{
	return ballast_word_state(word) == BALLAST_SWAPPED && !(word & BALLAST_SLOT_LOST);
}

/* Will the fault need a frame?  Seen without the lock. */
static bool needs_frame(struct fault *f, unsigned long word)
{
	switch (ballast_word_state(word)) {
	case BALLAST_PRIVATE:
		return false;
	case BALLAST_COMPRESSED:
	case BALLAST_SWAPPED:
		return true;
	default:
		return f->write;
	}
}

static vm_fault_t fault_once(struct fault *f)
{
	pgoff_t pgoff = f->vmf->pgoff;
	struct ballast_block *block;
	struct ballast_slot slot;
	unsigned long word;
	vm_fault_t ret;

	block = ballast_map_block(f->map, pgoff >> BALLAST_BLOCK_SHIFT);
	if (unlikely(!block)) {
		if (beyond_end(f))
			return VM_FAULT_SIGBUS;
		block = ballast_map_add_block(f->map, pgoff >> BALLAST_BLOCK_SHIFT);
		if (IS_ERR(block)) {
			ballast_pool_count(f->map->pool, BALLAST_EVENT_HOST_SHORT);
			return NEED_HOST;
		}
	}
	ballast_slot_init(&slot, block, pgoff);
	word = ballast_slot_peek(&slot);
	f->lacks = NEED_FRAME;
	if (f->ask || needs_frame(f, word)) {
		/* who will be told so is not to wait for room first */
		if (beyond_end(f))
			return VM_FAULT_SIGBUS;
		if (is_swapped(word) && (f->vmf->flags & FAULT_FLAG_RETRY_NOWAIT))
			return VM_FAULT_RETRY;
		if (ballast_pool_holds_back(f->map->pool, &f->map->excess_pages))
			return NEED_ROOM;
		get_spare(f, use_of(word));
	}
	/* who reads the page has its slot locked: wait for that without mmap_lock too */
	if (f->spare && is_swapped(word))
		return NEED_READ;
	ret = fault_slot(f, &slot, ballast_slot_lock(&slot));
	ballast_slot_unlock(&slot);
	return ret;
}

/* Is the VM that this memory is of being killed?  Kernel threads get no signal. */
static bool owner_is_dying(struct mm_struct *mm)
{
	bool dying = false;
#ifdef CONFIG_MEMCG
	struct task_struct *owner;

	rcu_read_lock();
	owner = rcu_dereference(mm->owner);
	dying = !owner || fatal_signal_pending(owner) || (owner->flags & PF_EXITING);
	rcu_read_unlock();
#endif
	return dying;
}

static int wait_in_pool(struct fault *f, unsigned int state, long timeout)
{
	struct ballast_map *map = f->map;

	ballast_pool_need_memory(map->pool);
	return ballast_pool_wait(map->pool, &map->excess_pages, f->reserve, state, timeout);
}

/* mmap_lock is to stay held: nobody allows it to be dropped. */
static vm_fault_t wait_locked(struct fault *f)
{
	int err = wait_in_pool(f, TASK_KILLABLE, LOOK_AGAIN);

	return err == -EINTR ? VM_FAULT_SIGBUS : 0;
}

static vm_fault_t wait_as_worker(struct fault *f)
{
	int err = wait_in_pool(f, TASK_KILLABLE, WORKER_WAIT);

	return err ? VM_FAULT_SIGBUS : 0;
}

/* In what state to wait, and how long, with mmap_lock dropped. */
static unsigned int wait_state(unsigned int flags, long *timeout)
{
	*timeout = LOOK_AGAIN;
	if (current->flags & PF_KTHREAD)
		return TASK_UNINTERRUPTIBLE;
	if (!(flags & FAULT_FLAG_INTERRUPTIBLE))
		return TASK_KILLABLE | TASK_FREEZABLE;
	/*
	 * KVM and user space handle the signal and come again.  A fault in the
	 * kernel comes again at once: it must not spin on a pending signal.
	 */
	if (!signal_pending(current) || (flags & FAULT_FLAG_USER))
		return TASK_INTERRUPTIBLE | TASK_FREEZABLE;
	*timeout = HOST_SHORT_WAIT;
	return TASK_KILLABLE | TASK_FREEZABLE;
}

/* mmap_lock may be dropped; the VMA may go with it, the file keeps the pool. */
static vm_fault_t wait_unlocked(struct fault *f)
{
	struct file *file = get_file(f->vmf->vma->vm_file);
	unsigned int state;
	long timeout;

	state = wait_state(f->vmf->flags, &timeout);
	ballast_release_fault_lock(f->vmf);
	wait_in_pool(f, state, timeout);
	fput(file);
	return VM_FAULT_RETRY;
}

/*
 * Wait for room in the pool, if there is none still.  Returns 0 if the fault may
 * go on (mmap_lock still held), or what to return from it.
 *
 * A worker of KVM's async page faults gives up after a moment: whoever kills
 * the VM waits for it, and the guest's next access asks again.
 */
static vm_fault_t wait_for_room(struct fault *f)
{
	unsigned int flags = f->vmf->flags;

	/* somebody gave pages back since we were refused one */
	if (ballast_pool_lets(f->map->pool, &f->map->excess_pages, f->reserve))
		return 0;
	if (flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;	/* KVM has it done by such a worker */
	if (current->flags & PF_WQ_WORKER)
		return wait_as_worker(f);
	if ((current->flags & PF_KTHREAD) && owner_is_dying(f->vmf->vma->vm_mm))
		return VM_FAULT_SIGBUS;
	if (!(flags & FAULT_FLAG_ALLOW_RETRY))
		return wait_locked(f);
	return wait_unlocked(f);
}

/*
 * The host is short of memory: give it a moment, without mmap_lock if that may
 * be dropped.  Who cannot be killed gives up as in wait_for_room().
 */
static vm_fault_t wait_for_host(struct fault *f)
{
	unsigned int flags = f->vmf->flags;
	struct file *file;

	if (flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	if ((flags & FAULT_FLAG_ALLOW_RETRY) && !(current->flags & PF_KTHREAD)) {
		file = get_file(f->vmf->vma->vm_file);
		ballast_release_fault_lock(f->vmf);
		schedule_timeout_killable(HOST_SHORT_WAIT);
		fput(file);
		return VM_FAULT_RETRY;
	}
	schedule_timeout_killable(HOST_SHORT_WAIT);
	if ((current->flags & PF_WQ_WORKER) || fatal_signal_pending(current) ||
	    ((current->flags & PF_KTHREAD) && owner_is_dying(f->vmf->vma->vm_mm)))
		return VM_FAULT_SIGBUS;
	return 0;
}

/* Returns 0 if the fault is to be tried again, or what to return from it. */
static vm_fault_t wait_for(struct fault *f, vm_fault_t need)
{
	switch (need) {
	case NEED_FRAME:
		/* the slot has changed since we looked at it */
		f->ask = true;
		return 0;
	case NEED_ROOM:
		return wait_for_room(f);
	default:
		return wait_for_host(f);
	}
}

static void drop_spare(struct fault *f)
{
	if (unlikely(f->spare))
		ballast_frame_free(f->map->pool, f->spare);
	f->spare = NULL;
}

/* Bring a swapped page into the spare frame, if it is swapped still. */
static void swap_in(struct fault *f, pgoff_t pgoff)
{
	struct page *frame = NULL;
	struct ballast_block *block;
	struct ballast_slot slot;
	int srcu = ballast_map_enter();

	block = ballast_map_block(f->map, pgoff >> BALLAST_BLOCK_SHIFT);
	if (block) {
		ballast_slot_init(&slot, block, pgoff);
		/* an error leaves a mark in the slot, which the fault finds next time */
		if (ballast_word_state(ballast_slot_lock(&slot)) == BALLAST_SWAPPED)
			frame = ballast_slot_load(&slot, &f->spare);
		ballast_slot_unlock(&slot);
	}
	ballast_map_leave(srcu);
	/* the host has no memory for the request: as in wait_for_host() */
	if (frame == ERR_PTR(-EAGAIN))
		schedule_timeout_killable(HOST_SHORT_WAIT);
}

/*
 * The swap file is waited for without mmap_lock, if the caller allows it.  The
 * frame is in the slot then, in no page table; the fault comes again for it.
 */
static vm_fault_t read_in(struct fault *f)
{
	pgoff_t pgoff = f->vmf->pgoff;
	struct file *file;

	/* KVM has it done by somebody who can wait, and keeps mmap_lock */
	if (f->vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;
	if (!(f->vmf->flags & FAULT_FLAG_ALLOW_RETRY)) {
		swap_in(f, pgoff);
		return fatal_signal_pending(current) ? VM_FAULT_SIGBUS : 0;
	}
	file = get_file(f->vmf->vma->vm_file);
	ballast_release_fault_lock(f->vmf);
	swap_in(f, pgoff);
	drop_spare(f);	/* before the file, which keeps the pool */
	fput(file);
	return VM_FAULT_RETRY;
}

static vm_fault_t ballast_fault(struct vm_fault *vmf)
{
	struct fault f = {
		.vmf = vmf,
		.map = ballast_map_of(file_inode(vmf->vma->vm_file)),
		.write = vmf->flags & FAULT_FLAG_WRITE,
	};

	vm_fault_t ret;
	int srcu;

	ballast_pool_count(f.map->pool, BALLAST_EVENT_FAULTS);
	do {
		srcu = ballast_map_enter();
		ret = fault_once(&f);
		ballast_map_leave(srcu);
		if (unlikely(ret == NEED_READ))
			ret = read_in(&f);
		drop_spare(&f);
		if (unlikely(ret & NEEDS))
			ret = wait_for(&f, ret);
	} while (!ret);
	return ret;
}

/* The slot is locked; @mapped is what was mapped when the write came. */
static vm_fault_t mkwrite_slot(struct ballast_slot *slot, unsigned long word,
			       struct page *mapped)
{
	struct page *frame = NULL, *no_spare = NULL;

	switch (ballast_word_state(word)) {
	case BALLAST_PRIVATE:
		frame = ballast_word_frame(word);
		break;
	case BALLAST_SHARED:
		/* the core holds a reference to what is mapped */
		frame = ballast_slot_break(slot, &no_spare,
					   ballast_word_frame(word) == mapped);
		if (IS_ERR(frame))
			return VM_FAULT_HWPOISON;
		if (frame)
			ballast_pool_count(ballast_slot_pool(slot),
					   BALLAST_EVENT_COW_BREAKS);
		else
			ballast_slot_revoke(slot);
		break;
	case BALLAST_HOLE:
		ballast_slot_revoke(slot);
		break;
	case BALLAST_COMPRESSED:
	case BALLAST_SWAPPED:
	case BALLAST_GONE:
		break;
	}
	if (frame != mapped)
		return VM_FAULT_NOPAGE;
	if (ballast_frame_is_poisoned(frame))
		return VM_FAULT_HWPOISON;
	lock_page(frame);
	return VM_FAULT_LOCKED;
}

/* Most often the frame came from ->fault() a moment ago: its slot is not looked at then. */
static bool lock_private(struct page *mapped)
{
	/* not in the queue for a lock that all sharers, or all readers of holes, would have */
	if (ballast_frame_is_of_many(mapped))
		return false;
	lock_page(mapped);
	if (likely(ballast_frame_is_private(mapped) && !PageHWPoison(mapped)))
		return true;
	unlock_page(mapped);
	return false;
}

/*
 * No memory is taken here: the core does not let this function drop mmap_lock,
 * so it must not wait.  What needs a frame is unmapped, and the access comes
 * again by way of ->fault().
 */
static vm_fault_t ballast_page_mkwrite(struct vm_fault *vmf)
{
	struct ballast_map *map = ballast_map_of(file_inode(vmf->vma->vm_file));
	vm_fault_t ret = VM_FAULT_NOPAGE;
	struct ballast_block *block;
	struct ballast_slot slot;
	int srcu;

	if (lock_private(vmf->page))
		return VM_FAULT_LOCKED;
	srcu = ballast_map_enter();
	block = ballast_map_block(map, vmf->pgoff >> BALLAST_BLOCK_SHIFT);
	if (block) {
		ballast_slot_init(&slot, block, vmf->pgoff);
		ret = mkwrite_slot(&slot, ballast_slot_lock(&slot), vmf->page);
		ballast_slot_unlock(&slot);
	}
	ballast_map_leave(srcu);
	return ret;
}

const struct vm_operations_struct ballast_vm_operations = {
	.fault = ballast_fault,
	.page_mkwrite = ballast_page_mkwrite,
};
