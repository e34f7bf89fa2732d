// SPDX-License-Identifier: GPL-2.0
/*
 * Victims: whose pages are taken, and which.
 *
 * DOC: A round takes up to 32 pages of one file.  Which file is drawn by lot,
 * each with the weight of what it has above its target; which pages too (ESX
 * chooses at random, for any other order can be a guest's worst).  A page that has
 * come since reclaim last passed it, by a first touch or back from the store, is
 * spared once.
 *
 * Each victim is first tried for sharing, with all that the scanner does for a
 * page, then stored.  In a file whose compressed pages take all that they may
 * the oldest make room first; where they cannot, only what takes none is taken.
 * Where little but shared frames is left, they are taken too (sweep.c).
 *
 * Locks: for sharing, those of the scanner (sharing/scan.c); then, for storing,
 * map->scan_lock, which keeps the inode, and one slot lock at a time by trylock.
 * A slot that somebody uses is passed over.
 */
#include <linux/bitmap.h>
#include <linux/sched/mm.h>

#include "../sharing/sharing.h"
#include "../store/store.h"
#include "reclaim.h"

#define ROUND_PAGES	BALLAST_SWAP_BATCH
#define BLOCKS_MAX	16	/* to look at for them */

static u32 below(struct ballast_reclaim *reclaim, u32 end)
{
	return (u64)prandom_u32_state(&reclaim->random) * end >> 32;
}

/* What a lot is worth: what may be taken of the file. */
static unsigned long weight(struct ballast_map *map, bool anybody)
{
	long excess = atomic_long_read(&map->excess_pages), have;
	struct ballast_map_counts sum;

	if (!anybody && excess <= 0)
		return 0;
	ballast_map_sum(map, &sum);
	have = sum.private_slots;
	if (map->pool->store->swap)
		have += sum.compressed_slots;
	return anybody ? have : min(excess, have);
}

/* A file of the pool, referenced, or NULL. */
static struct ballast_map *draw_map(struct ballast_reclaim *reclaim, bool anybody)
{
	struct ballast_map *map, *drawn = NULL;
	unsigned long id = 0, mine;
	u64 sum = 0;

	while ((map = ballast_map_next(&id))) {
		cond_resched();	/* there may be very many */
		mine = map->pool == reclaim->pool && !xa_empty(&map->blocks) ?
		       weight(map, anybody) : 0;
		sum += mine;
		if (mine && mul_u64_u64_shr(prandom_u32_state(&reclaim->random), sum, 32) < mine) {
			if (drawn)
				ballast_map_put(drawn);
			drawn = map;
		} else {
			ballast_map_put(map);
		}
	}
	return drawn;
}

/* Spared once: whoever came since we last passed.  The slot is locked. */
static bool is_spared(struct ballast_reclaim *reclaim, struct ballast_slot *slot)
{
	if (!(ballast_slot_peek(slot) & BALLAST_SLOT_RECENT))
		return false;
	ballast_slot_set_flags(slot, BALLAST_SLOT_RECENT, false);
	ballast_pool_count(reclaim->pool, BALLAST_EVENT_RECLAIM_SPARED);
	return true;
}

static bool may_take(struct ballast_reclaim *reclaim, struct ballast_slot *slot,
		     struct ballast_round *round)
{
	bool may = false;

	if (ballast_word_state(ballast_slot_peek(slot)) != BALLAST_PRIVATE ||
	    !ballast_slot_trylock(slot))
		return false;
	if (ballast_word_state(ballast_slot_peek(slot)) == BALLAST_PRIVATE) {
		may = !is_spared(reclaim, slot);
		round->spared += !may;
	}
	ballast_slot_unlock(slot);
	return may;
}

/*
 * Mark the victims of a block: from some slot on, in steps of some odd number, so
 * that each slot comes once, @looks of them.  Returns how many.
 */
static unsigned int choose(struct ballast_reclaim *reclaim, struct ballast_block *block,
			   struct ballast_round *round, unsigned int looks)
{
	u32 at = below(reclaim, BALLAST_BLOCK_SLOTS);
	u32 step = below(reclaim, BALLAST_BLOCK_SLOTS) | 1;
	unsigned int i, count = 0;
	struct ballast_slot slot;

	bitmap_zero(round->victims, BALLAST_BLOCK_SLOTS);
	for (i = 0; i < looks && count < ROUND_PAGES; i++) {
		at = (at + step) & (BALLAST_BLOCK_SLOTS - 1);
		ballast_slot_init(&slot, block, (block->index << BALLAST_BLOCK_SHIFT) + at);
		if (!may_take(reclaim, &slot, round))
			continue;
		__set_bit(at, round->victims);
		count++;
	}
	return count;
}

/*
 * A block of the file with victims in it, from one drawn by lot on; NULL if there is
 * none within BLOCKS_MAX.  Pages are drawn, not blocks: of the first one no more slots are
 * looked at than a block full of pages would take, else the few pages of a sparse block
 * were passed far more often than others, and spared to no end.
 * Under map->scan_lock, in an SRCU section.
 */
static struct ballast_block *find_victims(struct ballast_reclaim *reclaim,
					  struct ballast_map *map,
					  struct ballast_round *round)
{
	unsigned long blocks = (i_size_read(map->inode) >> (BALLAST_BLOCK_SHIFT + PAGE_SHIFT)) + 1;
	unsigned long index = below(reclaim, min(blocks, (unsigned long)U32_MAX));
	struct ballast_block *block;
	unsigned int looks;

	block = xa_find(&map->blocks, &index, ULONG_MAX, XA_PRESENT);
	if (block && choose(reclaim, block, round, 2 * ROUND_PAGES))
		return block;
	/* a file may have little of what its size says: then each block has its turn */
	for (looks = 1; looks < BLOCKS_MAX; looks++) {
		block = xa_find(&map->blocks, &map->reclaim_next, ULONG_MAX, XA_PRESENT);
		map->reclaim_next = block ? map->reclaim_next + 1 : 0;
		if (block && choose(reclaim, block, round, BALLAST_BLOCK_SLOTS))
			return block;
	}
	return NULL;
}

/* Returns true if the page is in the store now. */
static bool store_slot(struct ballast_slot *slot, bool over)
{
	bool stored = false;

	if (!ballast_slot_trylock(slot))
		return false;
	if (ballast_word_state(ballast_slot_peek(slot)) == BALLAST_PRIVATE &&
	    (!over || ballast_store_takes_no_room(slot)) && ballast_slot_isolate(slot)) {
		stored = !ballast_store_put(slot, over);
		if (!stored)
			ballast_slot_putback(slot);
	}
	ballast_slot_unlock(slot);
	return stored;
}

static unsigned int store_victims(struct ballast_block *block, const unsigned long *victims,
				  bool over)
{
	unsigned int noreclaim = memalloc_noreclaim_save(), stored = 0;
	struct ballast_slot slot;
	unsigned long at;

	for_each_set_bit(at, victims, BALLAST_BLOCK_SLOTS) {
		ballast_slot_init(&slot, block, (block->index << BALLAST_BLOCK_SHIFT) + at);
		stored += store_slot(&slot, over);
	}
	memalloc_noreclaim_restore(noreclaim);
	return stored;
}

/* The file's compressed pages take as much as they may: there is no room for more. */
static bool is_over(struct ballast_map *map)
{
	bool over;

	mutex_lock(&map->scan_lock);
	over = !map->dead && ballast_store_is_over(map);
	mutex_unlock(&map->scan_lock);
	return over;
}

/* What the victims of one block come to: pages shared, zero or stored. */
static unsigned int take_from_block(struct ballast_reclaim *reclaim,
				    struct ballast_map *map, struct ballast_round *round,
				    bool over)
{
	struct ballast_block *block;
	unsigned int taken = 0;
	int srcu;

	srcu = ballast_map_enter();
	mutex_lock(&map->scan_lock);
	block = map->dead ? NULL : find_victims(reclaim, map, round);
	mutex_unlock(&map->scan_lock);
	if (block) {
		taken = ballast_sharing_try(block, round->victims);
		mutex_lock(&map->scan_lock);
		if (!map->dead)
			taken += store_victims(block, round->victims, over);
		mutex_unlock(&map->scan_lock);
	}
	ballast_map_leave(srcu);
	return taken;
}

/* Nothing of ours is held while pages are written: the swap file may be slow. */
static unsigned long work_on(struct ballast_reclaim *reclaim, struct ballast_map *map,
			     struct ballast_round *round)
{
	unsigned long taken = 0, moved = 0;
	bool over = is_over(map);

	if (over) {
		moved = ballast_store_write(map, 2 * ROUND_PAGES);
		over = is_over(map);
	}
	if (!over || !moved)
		taken = take_from_block(reclaim, map, round, over);
	if (over)
		round->spared = 0;	/* most of these cannot be taken next time either */
	/* frames on their way to the swap file are in memory until they are there */
	moved += ballast_store_write(map, taken || moved ? 0 : ROUND_PAGES);
	return taken ?: moved;
}

/* Private and compressed pages: of files above their target, or of any. */
static long take_from_file(struct ballast_reclaim *reclaim, bool anybody, bool in_vain)
{
	struct ballast_round *round = &reclaim->round;
	struct ballast_map *map;
	long taken;

	map = anybody && in_vain ? NULL : draw_map(reclaim, false);
	if (!map && anybody)
		map = draw_map(reclaim, true);
	if (!map)
		return -ENOENT;
	round->spared = 0;
	taken = work_on(reclaim, map, round);
	if (taken && atomic_long_sub_return(taken, &map->excess_pages) < 0)
		atomic_long_set(&map->excess_pages, 0);
	ballast_map_put(map);
	return taken || round->spared ? taken : -EBUSY;
}

/**
 * ballast_reclaim_round() - take some pages of some file
 * @reclaim: of the pool
 * @anybody: if no file has more than its target, or nothing could be taken of those
 *	that have for a while, of any; shared frames too
 *
 * Context: the pool's reclaim thread.
 * Return: how many pages were taken; 0: none, but it gets on; -EBUSY: bad luck, or
 * nothing is left to take; -ENOENT: no file is to be taken from.
 */
long ballast_reclaim_round(struct ballast_reclaim *reclaim, bool anybody)
{
	bool in_vain = reclaim->fruitless >= BALLAST_RECLAIM_FRUITLESS_MAX / 2;
	bool may_sweep = anybody && ballast_reclaim_may_sweep(reclaim);
	long taken;

	ballast_store_settle(reclaim->pool->store);
	if (may_sweep && ballast_reclaim_is_mostly_shared(reclaim))
		return ballast_reclaim_sweep(reclaim);
	taken = take_from_file(reclaim, anybody, in_vain);
	/* nothing but shared frames, or nothing else for a while */
	if (may_sweep && (taken == -ENOENT || (taken < 0 && in_vain)))
		return ballast_reclaim_sweep(reclaim);
	return taken;
}
