// SPDX-License-Identifier: GPL-2.0
/*
 * Writing: entries of the store go to the swap file.
 *
 * DOC: In batches, oldest first, by the pool's reclaim thread alone.  The slots
 * are not locked while the batch is written: whoever touches such a page takes it
 * back meanwhile, and what was written of it is forgotten.  A slot becomes
 * swapped when its batch is on disk and its word still names the entry.  That
 * it is the same entry, not another one in the same place: only this thread
 * makes entries in this pool.
 *
 * Nothing is written from a frame that its guest can write to: a frame on its way
 * is in no page table.  One that is taken back in the middle of it is written
 * as it may be by then, and that is forgotten.
 *
 * An entry's block stays, for it was seen in the list and in an SRCU section:
 * a block is freed a grace period after its entries are gone.
 *
 * A batch may be of shared slots instead, which have no entry.  Nobody writes to a
 * shared frame, and the batch's reference keeps its last sharer from making it its
 * own.  A slot that is mapped when its batch is on disk was in use meanwhile, and
 * stays shared.
 */
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/ratelimit.h>

#include "store.h"

#define RETRY_AFTER	(10 * HZ)	/* a write error */

static bool names(struct ballast_slot *slot, struct ballast_stored *entry)
{
	unsigned long word = ballast_slot_peek(slot);

	return ballast_word_state(word) == BALLAST_COMPRESSED &&
	       ballast_stored_entry(word) == entry;
}

/*
 * The oldest entry, frames first: they are what frees a whole page.  It goes to
 * the list's end, not to be found again in this batch.  False: there is none.
 */
static bool next_entry(struct ballast_batch *batch, bool frames, struct ballast_batch_item *item)
{
	struct ballast_map *map = batch->map;
	struct list_head *list = frames ? &map->unwritten : &map->stored;
	struct ballast_stored *entry;

	spin_lock(&map->stored_lock);
	entry = list_first_entry_or_null(list, struct ballast_stored, node);
	if (entry) {
		list_move_tail(&entry->node, list);
		item->entry = entry;
		ballast_slot_init(&item->slot, entry->block,
				  (entry->block->index << BALLAST_BLOCK_SHIFT) + entry->index);
	}
	spin_unlock(&map->stored_lock);
	return entry;
}

/* Have the content in hand.  The slot is locked and names the entry. */
static int take_content(struct ballast_batch *batch, struct ballast_batch_item *item)
{
	struct ballast_stored *entry = item->entry;

	item->is_frame = entry->length == PAGE_SIZE;
	if (item->is_frame) {
		item->page = entry->frame;
		if (ballast_frame_is_poisoned(item->page))
			return -EIO;
		get_page(item->page);
		return 0;
	}
	item->page = batch->store->buffers[batch->count];
	return ballast_store_fetch(batch->store, entry, item->page);
}

static bool gather_one(struct ballast_batch *batch, bool frames)
{
	struct ballast_batch_item *item = &batch->items[batch->count];
	unsigned int i;

	if (!next_entry(batch, frames, item))
		return false;
	/* the list has come round */
	for (i = 0; i < batch->count; i++)
		if (batch->items[i].entry == item->entry)
			return false;
	if (!ballast_slot_trylock(&item->slot))
		return true;
	if (names(&item->slot, item->entry) && !(*item->slot.word & BALLAST_SLOT_LOST) &&
	    !take_content(batch, item))
		batch->count++;
	ballast_slot_unlock(&item->slot);
	return true;
}

/* Up to @most entries; some may be busy, or gone: not more looks than twice that. */
static void gather(struct ballast_batch *batch, bool frames, unsigned int most)
{
	unsigned int looks;

	batch->count = 0;
	for (looks = 0; looks < 2 * most && batch->count < most; looks++)
		if (!gather_one(batch, frames))
			break;
}

/* Who has a shared slot locked uses it: it stays, and is not waited for. */
static bool lock_item(struct ballast_batch_item *item)
{
	if (!item->entry)
		return ballast_slot_trylock(&item->slot);
	ballast_slot_lock(&item->slot);
	return true;
}

/* Is the slot what it was when the batch was gathered? */
static bool is_as_it_was(struct ballast_batch_item *item)
{
	if (item->entry)
		return names(&item->slot, item->entry);
	return (ballast_slot_peek(&item->slot) & ~BALLAST_SLOT_LOCKED) ==
	       ballast_word(BALLAST_SHARED, item->page, 0);
}

/* Compressed or shared -> swapped. */
static void swap_item(struct ballast_batch *batch, struct ballast_batch_item *item)
{
	u64 stored = ballast_swap_stored(item->swap_slot, item->check);

	if (item->entry) {
		ballast_slot_swap(&item->slot, stored);
		ballast_store_drop(batch->map, item->entry);
	} else {
		batch->freed += ballast_slot_swap_shared(&item->slot, stored);
		ballast_pool_count(batch->store->pool, BALLAST_EVENT_SHARED_SWAPPED);
	}
}

/* The page is in the swap file, or is not: then it stays what it is. */
static bool settle_item(struct ballast_batch *batch, struct ballast_batch_item *item, bool written)
{
	bool done = false;

	if (lock_item(item)) {
		done = written && is_as_it_was(item);
		if (done)
			swap_item(batch, item);
		ballast_slot_unlock(&item->slot);
	}
	if (item->is_frame)
		put_page(item->page);
	if (!done)
		ballast_swap_free(batch->store->swap, item->swap_slot);
	return done;
}

static void report_error(struct ballast_store *store, unsigned int count, int err)
{
	ballast_pool_count_many(store->pool, BALLAST_EVENT_WRITE_ERRORS, count);
	WRITE_ONCE(store->retry_writes, jiffies + RETRY_AFTER);
	pr_err_ratelimited("ballast: pool %s: cannot write to the swap file (error %d): %u pages stay in memory\n",
			   store->pool->name, err, count);
}

/* Items from @first on, in one piece of the swap file; returns how many that were. */
static unsigned int write_run(struct ballast_batch *batch, unsigned int first,
			      unsigned long *moved)
{
	struct ballast_store *store = batch->store;
	struct page *pages[BALLAST_SWAP_BATCH];
	unsigned int i, count;
	u32 swap_slot;
	int err;

	count = ballast_swap_alloc(store->swap, batch->count - first, &swap_slot);
	for (i = 0; i < count; i++) {
		struct ballast_batch_item *item = &batch->items[first + i];

		item->swap_slot = swap_slot + i;
		item->check = ballast_swap_check(store->swap, item->swap_slot, item->page);
		pages[i] = item->page;
	}
	if (!count)
		return 0;
	err = ballast_swap_write(store->swap, swap_slot, pages, count);
	if (err)
		report_error(store, count, err);
	else
		ballast_pool_count_many(store->pool, BALLAST_EVENT_SWAPPED_OUT, count);
	for (i = 0; i < count; i++)
		*moved += settle_item(batch, &batch->items[first + i], !err);
	return count;
}

/* What found no place: it stays. */
static void leave(struct ballast_batch *batch, unsigned int first)
{
	unsigned int i;

	for (i = first; i < batch->count; i++)
		if (batch->items[i].is_frame)
			put_page(batch->items[i].page);
	ballast_pool_count_many(batch->store->pool, BALLAST_EVENT_SWAP_FULL,
				batch->count - first);
}

static unsigned long write_batch(struct ballast_batch *batch)
{
	unsigned long moved = 0;
	unsigned int done = 0, count;

	while (done < batch->count) {
		count = write_run(batch, done, &moved);
		if (!count)
			break;
		done += count;
	}
	if (done < batch->count)
		leave(batch, done);
	return moved;
}

static bool may_write(struct ballast_store *store)
{
	return store->swap && !ballast_store_writes_rest(store) &&
	       ballast_store_swap_free(store);
}

/**
 * ballast_store_write() - move a file's entries to the swap file
 * @map: whose
 * @most: not more compressed ones than this; frames that wait are all written
 *
 * Context: the pool's reclaim thread.  No slot locked.
 * Return: how many were moved.
 */
unsigned long ballast_store_write(struct ballast_map *map, unsigned long most)
{
	struct ballast_batch *batch = &map->pool->store->batch;
	unsigned long moved = 0, done;
	bool frames = true;
	int srcu;

	batch->map = map;
	while (may_write(batch->store)) {
		srcu = ballast_map_enter();
		gather(batch, frames, frames ? BALLAST_SWAP_BATCH :
		       min_t(unsigned long, most, BALLAST_SWAP_BATCH));
		done = write_batch(batch);
		ballast_map_leave(srcu);
		moved += done;
		if (!frames)
			most -= min(done, most);
		/* a batch that moves nothing: busy, or an error */
		if (!done && !frames)
			break;
		if (!done)
			frames = false;
		if (!frames && !most)
			break;
	}
	return moved;
}

/* ballast_store_begin_shared() - a new batch, of shared slots of one file */
void ballast_store_begin_shared(struct ballast_map *map)
{
	struct ballast_batch *batch = &map->pool->store->batch;

	batch->map = map;
	batch->count = 0;
	batch->freed = 0;
}

/**
 * ballast_store_add_shared() - one slot more to be written
 * @map: whose
 * @slot: locked, shared, with no flag set
 *
 * What waits to be written has its places in the swap file before it.
 *
 * Context: the pool's reclaim thread, in the SRCU section in which the batch is written.
 * Return: false if there is no room in the batch or the swap file: write first.
 */
bool ballast_store_add_shared(struct ballast_map *map, struct ballast_slot *slot)
{
	struct ballast_store *store = map->pool->store;
	struct ballast_batch *batch = &store->batch;
	struct ballast_batch_item *item = &batch->items[batch->count];

	if (batch->count == BALLAST_SWAP_BATCH || ballast_store_swap_free(store) <=
	    atomic_long_read(&store->unwritten_nr) + batch->count)
		return false;
	item->slot = *slot;
	item->entry = NULL;
	item->page = ballast_word_frame(ballast_slot_peek(slot));
	item->is_frame = true;
	get_page(item->page);
	batch->count++;
	return true;
}

/**
 * ballast_store_write_shared() - write the batch
 * @map: whose slots are in it
 * @freed: result: how many frames had no other sharer, and are free
 *
 * Context: as for ballast_store_add_shared(); no slot locked.
 * Return: how many slots are swapped now.
 */
unsigned long ballast_store_write_shared(struct ballast_map *map, unsigned long *freed)
{
	struct ballast_batch *batch = &map->pool->store->batch;
	unsigned long moved = write_batch(batch);

	*freed = batch->freed;
	return moved;
}
