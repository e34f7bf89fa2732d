/* SPDX-License-Identifier: GPL-2.0 */
/* Slots: the state of one guest page, and what may happen to it. */
#ifndef BALLAST_MEMORY_SLOT_H
#define BALLAST_MEMORY_SLOT_H

#include <linux/bits.h>
#include <linux/lockdep.h>

#include "frame.h"
#include "map.h"

/**
 * enum ballast_slot_state - what stands behind a guest page
 * @BALLAST_HOLE: nothing: never written, given back, or found to be zero.
 *	Reads map the pool's zero frame
 * @BALLAST_PRIVATE: a frame that is this slot's alone
 * @BALLAST_SHARED: a frame with one sharer or more, this one among them;
 *	mapped read-only
 * @BALLAST_GONE: the slot's block has left the file; look the block up again
 * @BALLAST_COMPRESSED: content in the pool's store: compressed, one repeated
 *	word, or a frame that waits to be written to the swap file
 * @BALLAST_SWAPPED: content in the pool's swap file
 */
enum ballast_slot_state {
	BALLAST_HOLE,
	BALLAST_PRIVATE,
	BALLAST_SHARED,
	BALLAST_GONE,
	BALLAST_COMPRESSED,
	BALLAST_SWAPPED,
};

/*
 * A slot is one word:
 *
 *	bit 0		locked
 *	bits 1-3	state
 *	bit 4		of a hole or shared slot: may be mapped read-only
 *			of a private slot: false match, see sharing/merge.c
 *			of a compressed or swapped slot: its content is lost
 *	bit 5		of a hole: the scanner made it, of a page of zeroes
 *			of a private slot: was shared until a write
 *	bits 6-60	of a private or shared slot: page frame number
 *	bit 61		of a private or shared slot: reclaim has not passed it since it came
 *	bits 6-61	of a compressed or swapped slot: the store's, see store/store.h
 *	bits 62-63	of a private slot: its age, see sharing/merge.c
 */
#define BALLAST_SLOT_LOCK_BIT	0
#define BALLAST_SLOT_LOCKED	BIT(BALLAST_SLOT_LOCK_BIT)
#define BALLAST_SLOT_STATE	GENMASK(3, 1)
#define BALLAST_SLOT_MAPPED	BIT(4)
#define BALLAST_SLOT_FALSE	BIT(4)
#define BALLAST_SLOT_ZEROED	BIT(5)
#define BALLAST_SLOT_BROKEN	BIT(5)
#define BALLAST_SLOT_LOST	BIT(4)
#define BALLAST_SLOT_PFN_SHIFT	6
#define BALLAST_SLOT_PFN	GENMASK(60, BALLAST_SLOT_PFN_SHIFT)
#define BALLAST_SLOT_RECENT	BIT(61)
#define BALLAST_SLOT_STORED	GENMASK(61, BALLAST_SLOT_PFN_SHIFT)
#define BALLAST_STORED_BITS	56
#define BALLAST_SLOT_AGE_SHIFT	62
#define BALLAST_SLOT_AGE	GENMASK(63, BALLAST_SLOT_AGE_SHIFT)
#define BALLAST_SLOT_AGE_MAX	3U

/**
 * struct ballast_slot - one slot, found
 * @block: of the slot; valid in the SRCU section it was found in
 * @word: the slot itself
 * @pgoff: which page of the file
 */
struct ballast_slot {
	struct ballast_block *block;
	unsigned long *word;
	pgoff_t pgoff;
};

static inline enum ballast_slot_state ballast_word_state(unsigned long word)
{
	return (word & BALLAST_SLOT_STATE) >> 1;
}

/* Of a private or shared slot; 0 of others. */
static inline unsigned long ballast_word_pfn(unsigned long word)
{
	return (word & BALLAST_SLOT_PFN) >> BALLAST_SLOT_PFN_SHIFT;
}

/* Of a compressed or swapped slot: what the store finds the content by. */
static inline u64 ballast_word_stored(unsigned long word)
{
	return (word & BALLAST_SLOT_STORED) >> BALLAST_SLOT_PFN_SHIFT;
}

/* Compressed or swapped. */
static inline bool ballast_word_is_stored(unsigned long word)
{
	return ballast_word_state(word) >= BALLAST_COMPRESSED;
}

static inline struct page *ballast_word_frame(unsigned long word)
{
	return pfn_to_page(ballast_word_pfn(word));
}

/* Of a private slot: up to BALLAST_SLOT_AGE_MAX; 0 whenever it becomes one. */
static inline unsigned int ballast_word_age(unsigned long word)
{
	return word >> BALLAST_SLOT_AGE_SHIFT;
}

static inline unsigned long ballast_word(enum ballast_slot_state state,
					 struct page *frame, unsigned long flags)
{
	unsigned long pfn = frame ? page_to_pfn(frame) : 0;

	return pfn << BALLAST_SLOT_PFN_SHIFT | (unsigned long)state << 1 | flags;
}

static inline unsigned long ballast_word_of(enum ballast_slot_state state, u64 stored)
{
	return stored << BALLAST_SLOT_PFN_SHIFT | (unsigned long)state << 1;
}

static inline void ballast_slot_init(struct ballast_slot *slot,
				     struct ballast_block *block, pgoff_t pgoff)
{
	slot->block = block;
	slot->pgoff = pgoff;
	slot->word = &block->slots[pgoff & (BALLAST_BLOCK_SLOTS - 1)];
}

/* Unlocked: may change at once. */
static inline unsigned long ballast_slot_peek(const struct ballast_slot *slot)
{
	return READ_ONCE(*slot->word);
}

/* The block's id and the slot's number in it: unique in the pool, never 0. */
static inline unsigned long ballast_slot_location(const struct ballast_slot *slot)
{
	return (unsigned long)slot->block->id << BALLAST_BLOCK_SHIFT |
	       (slot->pgoff & (BALLAST_BLOCK_SLOTS - 1));
}

static inline struct ballast_pool *ballast_slot_pool(const struct ballast_slot *slot)
{
	return slot->block->map->pool;
}

#ifdef CONFIG_LOCKDEP
extern struct lockdep_map ballast_slot_dep_map;
#define ballast_assert_slot_locked(slot) \
	WARN_ON_ONCE(!(READ_ONCE(*(slot)->word) & BALLAST_SLOT_LOCKED))
#else
#define ballast_assert_slot_locked(slot) do { } while (0)
#endif

unsigned long ballast_slot_lock(struct ballast_slot *slot);
bool ballast_slot_trylock(struct ballast_slot *slot);
void ballast_slot_unlock(struct ballast_slot *slot);

void ballast_slot_fill(struct ballast_slot *slot, struct page *frame);
struct page *ballast_slot_break(struct ballast_slot *slot, struct page **spare,
				int extra);
void ballast_slot_empty(struct ballast_slot *slot, enum ballast_slot_state to);
void ballast_slot_revoke(struct ballast_slot *slot);
void ballast_slot_set_flags(struct ballast_slot *slot, unsigned long flags,
			    bool on);
void ballast_slot_set_age(struct ballast_slot *slot, unsigned int age);

bool ballast_slot_isolate(struct ballast_slot *slot);
void ballast_slot_putback(struct ballast_slot *slot);
void ballast_slot_share(struct ballast_slot *slot, struct page *shared);
void ballast_slot_zero(struct ballast_slot *slot);
void ballast_slot_store(struct ballast_slot *slot, u64 stored, bool keep_frame);
void ballast_slot_swap(struct ballast_slot *slot, u64 stored);
bool ballast_slot_swap_shared(struct ballast_slot *slot, u64 stored);
void ballast_slot_unstore(struct ballast_slot *slot, struct page *frame);
struct page *ballast_slot_load(struct ballast_slot *slot, struct page **spare);

void ballast_map_spare(struct ballast_map *map, pgoff_t pgoff);
bool ballast_frame_unshare(struct ballast_pool *pool, struct page *frame);

#endif /* BALLAST_MEMORY_SLOT_H */
