// SPDX-License-Identifier: GPL-2.0
/*
 * Slots: the state of one guest page, its lock, and every change of state.
 *
 * DOC: A slot's word is written by whoever holds the slot's lock, a bit of the
 * word itself, through set_word() alone, which keeps the counts.  The lock may
 * be held while sleeping, but never while waiting for room in the pool: whoever
 * needs a frame has it in hand before locking.  (Page tables may be allocated
 * under it, by vm_insert_page().)
 *
 * "Look up, then set the PTE" is one step against a change of state, in one of
 * two ways.  Read-only frames (shared, zero) are mapped by ->fault() itself
 * under the slot lock.  A private frame is returned by ->fault() and
 * ->page_mkwrite() with its page lock held, which the core drops after the PTE
 * is set; who takes a frame from its slot takes the page lock first.
 *
 * Lock order: map->scan_lock, slot (a second one by trylock only), page lock,
 * then what unmap_mapping_pages() takes (i_mmap_rwsem, KVM's MMU lock) and,
 * separately, the index's chunk lock.  mmap_lock may be held outside all.
 */
#include <linux/wait_bit.h>

#include <trace/events/ballast.h>

#include "slot.h"

#ifdef CONFIG_LOCKDEP
static struct lock_class_key slot_lock_key;
struct lockdep_map ballast_slot_dep_map =
	STATIC_LOCKDEP_MAP_INIT("ballast_slot", &slot_lock_key);
#define slot_dep_acquire(trylock) \
	lock_acquire_exclusive(&ballast_slot_dep_map, 0, trylock, NULL, _THIS_IP_)
#define slot_dep_release() lock_release(&ballast_slot_dep_map, _THIS_IP_)
#else
#define slot_dep_acquire(trylock) do { } while (0)
#define slot_dep_release() do { } while (0)
#endif

/**
 * ballast_slot_lock() - have a slot to oneself
 * @slot: found in the SRCU section that the caller is in
 *
 * Context: process; sleeps.  No other slot locked.
 * Return: the word.
 */
unsigned long ballast_slot_lock(struct ballast_slot *slot)
{
	slot_dep_acquire(0);
	wait_on_bit_lock(slot->word, BALLAST_SLOT_LOCK_BIT, TASK_UNINTERRUPTIBLE);
	return READ_ONCE(*slot->word);
}

/**
 * ballast_slot_trylock() - have a slot to oneself if that is possible at once
 * @slot: as for ballast_slot_lock(); another slot may be locked
 */
bool ballast_slot_trylock(struct ballast_slot *slot)
{
	if (test_and_set_bit_lock(BALLAST_SLOT_LOCK_BIT, slot->word))
		return false;
	slot_dep_acquire(1);
	return true;
}

void ballast_slot_unlock(struct ballast_slot *slot)
{
	struct wait_queue_head *waiters;

	ballast_assert_slot_locked(slot);
	slot_dep_release();
	clear_bit_unlock(BALLAST_SLOT_LOCK_BIT, slot->word);
	smp_mb__after_atomic();	/* the bit is clear before we look for waiters */
	waiters = bit_waitqueue(slot->word, BALLAST_SLOT_LOCK_BIT);
	if (unlikely(waitqueue_active(waiters)))
		wake_up_bit(slot->word, BALLAST_SLOT_LOCK_BIT);
}

static void count_word(struct ballast_map *map, unsigned long word, long n)
{
	switch (ballast_word_state(word)) {
	case BALLAST_PRIVATE:
		this_cpu_add(map->counts->private_slots, n);
		break;
	case BALLAST_SHARED:
		this_cpu_add(map->counts->shared_slots, n);
		break;
	case BALLAST_HOLE:
		if (word & BALLAST_SLOT_ZEROED)
			this_cpu_add(map->counts->zero_slots, n);
		break;
	case BALLAST_COMPRESSED:
		this_cpu_add(map->counts->compressed_slots, n);
		break;
	case BALLAST_SWAPPED:
		this_cpu_add(map->counts->swapped_slots, n);
		break;
	case BALLAST_GONE:
		break;
	}
}

/* The one place where a slot changes. */
static void set_word(struct ballast_slot *slot, unsigned long word)
{
	ballast_assert_slot_locked(slot);
	count_word(slot->block->map, *slot->word, -1);
	WRITE_ONCE(*slot->word, word | BALLAST_SLOT_LOCKED);
	count_word(slot->block->map, word, 1);
}

static void set_private(struct ballast_slot *slot, struct page *frame,
			unsigned long flags)
{
	WRITE_ONCE(frame->index, ballast_slot_location(slot));
	set_word(slot, ballast_word(BALLAST_PRIVATE, frame, flags));
}

/**
 * ballast_slot_set_flags() - set or clear flags, the state stays
 * @slot: locked
 * @flags: BALLAST_SLOT_MAPPED, _FALSE, _BROKEN, _RECENT, _LOST
 * @on: which of the two
 */
void ballast_slot_set_flags(struct ballast_slot *slot, unsigned long flags,
			    bool on)
{
	unsigned long word = *slot->word;

	ballast_assert_slot_locked(slot);
	WRITE_ONCE(*slot->word, on ? word | flags : word & ~flags);
}

/**
 * ballast_slot_set_age() - how long a page's content has been the same
 * @slot: locked, private
 * @age: 0 to BALLAST_SLOT_AGE_MAX, in looks of the scanner
 */
void ballast_slot_set_age(struct ballast_slot *slot, unsigned int age)
{
	ballast_assert_slot_locked(slot);
	WRITE_ONCE(*slot->word, (*slot->word & ~BALLAST_SLOT_AGE) |
		   (unsigned long)age << BALLAST_SLOT_AGE_SHIFT);
}

/* Every PTE and EPT entry of this guest page, in whatever process. */
static void unmap_slot(struct ballast_slot *slot)
{
	unmap_mapping_pages(slot->block->map->inode->i_mapping, slot->pgoff, 1,
			    false);
}

/**
 * ballast_slot_revoke() - unmap what is mapped read-only; the state stays
 * @slot: locked, a hole or shared
 */
void ballast_slot_revoke(struct ballast_slot *slot)
{
	unmap_slot(slot);
	ballast_slot_set_flags(slot, BALLAST_SLOT_MAPPED, false);
}

/**
 * ballast_frame_unshare() - one sharer less
 * @pool: of @frame
 * @frame: shared; the caller is (or counts as) one of its sharers
 *
 * Frees the frame with its last sharer.  O(1) however many there are.
 *
 * Return: true if that was the last one.
 */
bool ballast_frame_unshare(struct ballast_pool *pool, struct page *frame)
{
	if (atomic_add_unless(ballast_frame_sharers(frame), -1, 1) ||
	    !pool->share_ops->release(pool, frame))
		return false;
	atomic_long_dec(&pool->shared_frames);
	ballast_frame_free(pool, frame);
	return true;
}

/**
 * ballast_slot_fill() - hole -> private
 * @slot: locked, a hole
 * @frame: becomes the slot's
 */
void ballast_slot_fill(struct ballast_slot *slot, struct page *frame)
{
	if (*slot->word & BALLAST_SLOT_MAPPED)
		unmap_slot(slot);
	set_private(slot, frame, BALLAST_SLOT_RECENT);
}

/*
 * The slot is the only sharer: the frame is its own, without a copy.  Not if
 * somebody reads it still, by direct I/O say: a slot that has left the share
 * would have its reader see what is written here.
 */
static struct page *take_over(struct ballast_slot *slot, struct page *frame,
			      int extra)
{
	struct ballast_pool *pool = ballast_slot_pool(slot);

	if (atomic_read(ballast_frame_sharers(frame)) != 1 ||
	    !pool->share_ops->claim(pool, frame, extra))
		return NULL;
	atomic_long_dec(&pool->shared_frames);
	ballast_pool_count(pool, BALLAST_EVENT_TAKEOVERS);
	trace_ballast_break(slot->block->map->id, slot->pgoff, true);
	set_private(slot, frame, BALLAST_SLOT_BROKEN | BALLAST_SLOT_RECENT);
	return frame;
}

/**
 * ballast_slot_break() - shared -> private (copy on write)
 * @slot: locked, shared
 * @spare: a charged frame to copy to, or NULL; set to NULL if it was used
 * @extra: references to the shared frame that the caller knows of
 *
 * The last sharer keeps the frame: it may stay mapped read-only where it is.
 *
 * Return: the slot's frame; NULL if a spare is needed; ERR_PTR(-EHWPOISON) if the
 * content is lost: nothing has changed.
 */
struct page *ballast_slot_break(struct ballast_slot *slot, struct page **spare,
				int extra)
{
	struct ballast_pool *pool = ballast_slot_pool(slot);
	unsigned long word = *slot->word;
	struct page *old = ballast_word_frame(word), *frame = *spare;

	if (ballast_frame_is_poisoned(old))
		return ERR_PTR(-EHWPOISON);
	if (take_over(slot, old, extra))
		return old;
	if (!frame)
		return NULL;
	if (ballast_frame_copy(frame, old))
		return ERR_PTR(-EHWPOISON);
	if (word & BALLAST_SLOT_MAPPED)
		unmap_slot(slot);
	set_private(slot, frame, BALLAST_SLOT_BROKEN | BALLAST_SLOT_RECENT);
	ballast_frame_unshare(pool, old);
	trace_ballast_break(slot->block->map->id, slot->pgoff, false);
	*spare = NULL;
	return frame;
}

/**
 * ballast_slot_empty() - any state -> hole or gone
 * @slot: locked
 * @to: BALLAST_HOLE, or BALLAST_GONE if the block leaves the file
 *
 * Nothing, not even the zero frame, is mapped there afterwards.
 */
void ballast_slot_empty(struct ballast_slot *slot, enum ballast_slot_state to)
{
	struct ballast_pool *pool = ballast_slot_pool(slot);
	unsigned long word = *slot->word;
	struct page *frame;

	switch (ballast_word_state(word)) {
	case BALLAST_PRIVATE:
		frame = ballast_word_frame(word);
		lock_page(frame);
		if (page_mapped(frame))
			unmap_slot(slot);
		ballast_frame_detach(frame);
		unlock_page(frame);
		set_word(slot, ballast_word(to, NULL, 0));
		ballast_frame_free(pool, frame);
		break;
	case BALLAST_SHARED:
		if (word & BALLAST_SLOT_MAPPED)
			unmap_slot(slot);
		set_word(slot, ballast_word(to, NULL, 0));
		ballast_frame_unshare(pool, ballast_word_frame(word));
		break;
	case BALLAST_HOLE:
		if (word & BALLAST_SLOT_MAPPED)
			unmap_slot(slot);
		set_word(slot, ballast_word(to, NULL, 0));
		break;
	case BALLAST_COMPRESSED:
	case BALLAST_SWAPPED:
		set_word(slot, ballast_word(to, NULL, 0));
		pool->store_ops->release(slot, word);
		break;
	case BALLAST_GONE:
		break;
	}
}

/**
 * ballast_slot_isolate() - make a private frame unreachable, for now
 * @slot: locked, private; map->scan_lock held
 *
 * On success the frame is unmapped everywhere, its page lock is held and its
 * reference count frozen: its content does not change until
 * ballast_slot_putback(), ballast_slot_share(), ballast_slot_zero() or
 * ballast_slot_store().
 *
 * Return: false if somebody uses the frame; it is counted, nothing changed but
 * that the frame may be unmapped.
 */
bool ballast_slot_isolate(struct ballast_slot *slot)
{
	struct ballast_pool *pool = ballast_slot_pool(slot);
	struct page *frame = ballast_word_frame(*slot->word);

	ballast_assert_slot_locked(slot);
	/* a pin that is there already makes unmapping pointless; racy, a hint */
	if (!ballast_frame_has_no_pins(frame, 0) || ballast_frame_is_poisoned(frame)) {
		ballast_pool_count(pool, BALLAST_EVENT_SKIPPED_PINNED);
		return false;
	}
	if (!trylock_page(frame)) {
		ballast_pool_count(pool, BALLAST_EVENT_SKIPPED_BUSY);
		return false;
	}
	if (page_mapped(frame))
		unmap_slot(slot);
	if (ballast_frame_freeze(frame))
		return true;
	unlock_page(frame);
	ballast_pool_count(pool, BALLAST_EVENT_SKIPPED_PINNED);
	return false;
}

static void thaw(struct page *frame)
{
	ballast_frame_unfreeze(frame);
	unlock_page(frame);
}

/* ballast_slot_putback() - undo ballast_slot_isolate(); faults map it again */
void ballast_slot_putback(struct ballast_slot *slot)
{
	thaw(ballast_word_frame(*slot->word));
}

/**
 * ballast_slot_share() - private -> shared
 * @slot: locked, isolated
 * @shared: has the same content; the slot is counted among its sharers already
 */
void ballast_slot_share(struct ballast_slot *slot, struct page *shared)
{
	struct page *old = ballast_word_frame(*slot->word);

	set_word(slot, ballast_word(BALLAST_SHARED, shared, BALLAST_SLOT_RECENT));
	ballast_frame_detach(old);
	thaw(old);
	ballast_frame_free(ballast_slot_pool(slot), old);
}

/**
 * ballast_slot_zero() - private -> hole
 * @slot: locked, isolated, all zero
 */
void ballast_slot_zero(struct ballast_slot *slot)
{
	struct page *old = ballast_word_frame(*slot->word);

	set_word(slot, ballast_word(BALLAST_HOLE, NULL, BALLAST_SLOT_ZEROED));
	ballast_frame_detach(old);
	thaw(old);
	ballast_frame_free(ballast_slot_pool(slot), old);
}

/**
 * ballast_slot_store() - private -> compressed
 * @slot: locked, isolated
 * @stored: what the store finds the content by, BALLAST_STORED_BITS wide
 * @keep_frame: the frame itself is the content: it is the store's from now on,
 *	charged as before
 */
void ballast_slot_store(struct ballast_slot *slot, u64 stored, bool keep_frame)
{
	struct page *old = ballast_word_frame(*slot->word);

	set_word(slot, ballast_word_of(BALLAST_COMPRESSED, stored));
	ballast_frame_detach(old);
	thaw(old);
	if (!keep_frame)
		ballast_frame_free(ballast_slot_pool(slot), old);
}

/**
 * ballast_slot_swap() - compressed -> swapped
 * @slot: locked, compressed
 * @stored: what the store finds the content by in the swap file
 */
void ballast_slot_swap(struct ballast_slot *slot, u64 stored)
{
	set_word(slot, ballast_word_of(BALLAST_SWAPPED, stored));
}

/**
 * ballast_slot_swap_shared() - shared -> swapped
 * @slot: locked, shared, not mapped
 * @stored: what the store finds the content by in the swap file
 *
 * Return: true if it was the frame's last sharer: a page is free.
 */
bool ballast_slot_swap_shared(struct ballast_slot *slot, u64 stored)
{
	struct page *frame = ballast_word_frame(*slot->word);

	set_word(slot, ballast_word_of(BALLAST_SWAPPED, stored));
	return ballast_frame_unshare(ballast_slot_pool(slot), frame);
}

/**
 * ballast_slot_unstore() - compressed or swapped -> private
 * @slot: locked, stored
 * @frame: has its content, becomes the slot's
 */
void ballast_slot_unstore(struct ballast_slot *slot, struct page *frame)
{
	set_private(slot, frame, BALLAST_SLOT_RECENT);
}

/**
 * ballast_slot_load() - have a stored page in a frame again
 * @slot: locked, compressed or swapped
 * @spare: a charged frame, or NULL; set to NULL if it was used
 *
 * A swapped page is read from the swap file: sleeps for as long as that takes.
 *
 * Return: the slot's frame, which is private now; NULL if a spare is needed;
 * ERR_PTR(-EHWPOISON) if the content is lost; ERR_PTR(-EAGAIN) if it cannot be had now.
 */
struct page *ballast_slot_load(struct ballast_slot *slot, struct page **spare)
{
	return ballast_slot_pool(slot)->store_ops->load(slot, spare);
}

/**
 * ballast_map_spare() - a page is in use: reclaim is to pass it over once
 * @map: of which
 * @pgoff: which page; nothing happens if it is not private, or somebody works on it
 *
 * Context: process.
 */
void ballast_map_spare(struct ballast_map *map, pgoff_t pgoff)
{
	int srcu = ballast_map_enter();
	struct ballast_block *block = ballast_map_block(map, pgoff >> BALLAST_BLOCK_SHIFT);
	struct ballast_slot slot;

	if (block) {
		ballast_slot_init(&slot, block, pgoff);
		if (ballast_slot_trylock(&slot)) {
			if (ballast_word_state(*slot.word) == BALLAST_PRIVATE)
				ballast_slot_set_flags(&slot, BALLAST_SLOT_RECENT, true);
			ballast_slot_unlock(&slot);
		}
	}
	ballast_map_leave(srcu);
}
