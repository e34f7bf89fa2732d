/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The store: guest pages that have no frame.
 *
 * What a slot's word holds of a stored page (BALLAST_SLOT_STORED, 56 bits):
 *	compressed	the address of its struct ballast_stored, shifted right by 3;
 *			kernel addresses are the sign extension of 56 bits
 *	swapped		bits 0-31: slot of the swap file; bits 32-55: check of the
 *			content
 */
#ifndef BALLAST_STORE_STORE_H
#define BALLAST_STORE_STORE_H

#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/mempool.h>

#include "../memory/slot.h"
#include "codec.h"
#include "swap.h"

/* A page is kept compressed if that halves it. */
#define BALLAST_STORE_LENGTH_MAX	(PAGE_SIZE / 2)

/**
 * struct ballast_stored - one compressed page
 * @node: in map->stored or map->unwritten, or on its way to the swap file: in the
 *	writer's list; under map->stored_lock
 * @block: of its slot
 * @handle: @length from 1 to BALLAST_STORE_LENGTH_MAX: zsmalloc's
 * @fill: @length 0: the word that the page is filled with
 * @frame: @length PAGE_SIZE: the frame itself, that waits to be written
 * @index: its slot in @block
 * @length: in bytes
 *
 * Made by the pool's reclaim thread alone, with the slot locked; gone when the
 * slot's state is another one, by whoever changes it.
 */
struct ballast_stored {
	struct list_head node;
	struct ballast_block *block;
	union {
		unsigned long handle;
		unsigned long fill;
		struct page *frame;
	};
	u16 index;
	u16 length;
};

/**
 * struct ballast_batch_item - one page of a batch
 * @slot: its slot
 * @entry: what it was when the batch was gathered; not to be looked into unless the
 *	slot is locked and names it still.  NULL: the slot was shared
 * @page: what is written: @entry's or the shared frame, with a reference, or a buffer
 * @is_frame: which of the two
 * @swap_slot: where to
 * @check: of the content
 */
struct ballast_batch_item {
	struct ballast_slot slot;
	struct ballast_stored *entry;
	struct page *page;
	bool is_frame;
	u32 swap_slot;
	u32 check;
};

/**
 * struct ballast_batch - what is written at once; the reclaim thread's
 * @map: of all
 * @store: of its pool
 * @freed: shared frames that went with their last sharer
 * @count: of @items
 * @items: the batch
 */
struct ballast_batch {
	struct ballast_map *map;
	struct ballast_store *store;
	unsigned long freed;
	unsigned int count;
	struct ballast_batch_item items[BALLAST_SWAP_BATCH];
};

/**
 * struct ballast_store - what a pool keeps without frames
 * @pool: whose
 * @codec: NULL: nothing is compressed
 * @swap: NULL: nothing is swapped
 * @zs: compressed pages; NULL without @codec
 * @name: of @zs
 * @entries: struct ballast_stored, with some in reserve: to reclaim takes one
 * @entries_nr: how many there are
 * @charge_lock: for @charged_pages, innermost but for the pool's wait queue
 * @charged_pages: what the store takes, as charged to the pool
 * @unwritten_nr: frames that wait to be written
 * @ceiling_bp: how much of a file's size its compressed pages may take
 * @retry_writes: jiffies before which nothing is written, after an error
 * @scratch: the reclaim thread's, for what it compresses
 * @batch: the reclaim thread's
 * @buffers: the reclaim thread's, for what it writes; allocated with @swap
 */
struct ballast_store {
	struct ballast_pool *pool;
	struct ballast_codec *codec;
	struct ballast_swap *swap;
	struct zs_pool *zs;
	char name[32];
	mempool_t *entries;
	atomic_long_t entries_nr;
	spinlock_t charge_lock;
	unsigned long charged_pages;
	atomic_long_t unwritten_nr;
	u32 ceiling_bp;
	unsigned long retry_writes;
	void *scratch;
	struct ballast_batch batch;
	struct page *buffers[BALLAST_SWAP_BATCH];
};

static inline struct ballast_stored *ballast_stored_entry(unsigned long word)
{
	return (struct ballast_stored *)((long)(ballast_word_stored(word) << 8) >> 5);
}

static inline u64 ballast_entry_stored(struct ballast_stored *entry)
{
	return ((unsigned long)entry >> 3) & GENMASK(BALLAST_STORED_BITS - 1, 0);
}

static inline u32 ballast_stored_swap_slot(unsigned long word)
{
	return ballast_word_stored(word);
}

static inline u32 ballast_stored_check(unsigned long word)
{
	return ballast_word_stored(word) >> 32;
}

static inline u64 ballast_swap_stored(u32 swap_slot, u32 check)
{
	return (u64)check << 32 | swap_slot;
}

/* Pages of the swap file that are free. */
static inline u64 ballast_store_swap_free(struct ballast_store *store)
{
	return store->swap ? ballast_swap_free_pages(store->swap) : 0;
}

/* After an error nothing is written for a while. */
static inline bool ballast_store_writes_rest(const struct ballast_store *store)
{
	return time_before(jiffies, READ_ONCE(store->retry_writes));
}

int ballast_store_init(void);
void ballast_store_exit(void);
int ballast_store_add_pool(struct ballast_pool *pool, int codec,
			   struct ballast_swap *swap);
void ballast_store_remove_pool(struct ballast_pool *pool);

bool ballast_store_takes_no_room(struct ballast_slot *slot);
int ballast_store_put(struct ballast_slot *slot, bool nothing);
int ballast_store_copy(struct ballast_slot *slot, struct page *to);
void ballast_store_settle(struct ballast_store *store);
void ballast_store_drop(struct ballast_map *map, struct ballast_stored *entry);
int ballast_store_fetch(struct ballast_store *store, struct ballast_stored *entry,
			struct page *to);
bool ballast_store_is_over(struct ballast_map *map);

/* write.c */
unsigned long ballast_store_write(struct ballast_map *map, unsigned long most);
void ballast_store_begin_shared(struct ballast_map *map);
bool ballast_store_add_shared(struct ballast_map *map, struct ballast_slot *slot);
unsigned long ballast_store_write_shared(struct ballast_map *map, unsigned long *freed);

#endif /* BALLAST_STORE_STORE_H */
