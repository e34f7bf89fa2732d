// SPDX-License-Identifier: GPL-2.0
/*
 * Shared frames as victims, where little else is left.
 *
 * DOC: A shared frame is free when its last sharer has left it, and its sharers are
 * counted, not listed: to find them means to look at every slot.  But all find one
 * hash in their frame.  So the slots of the pool are walked over, file by file, and
 * each walk takes the frames of one part of all hashes, a sixteenth: each of their
 * slots is written to a place of its own in the swap file.  The hash has a secret in it,
 * so no guest chooses which frames these are: it is the lot that ESX draws.
 *
 * To write needs no memory: nobody writes to a shared frame, it is written as it is.
 *
 * A frame that one sharer uses would not be free for all that is written of the others.
 * So a part has three walks, each of which does the second for the part before and the
 * third for the one before that: mapped slots are unmapped; frames of slots that are
 * mapped again are marked as in use; the others are taken.  A slot that has become
 * shared since is as one that is mapped.
 *
 * A page with many sharers costs many writes and places, so it is left out at first.
 * When all parts were walked over and no frame has become free the next walks have more
 * zeal; the last do not spare what is in use.
 *
 * Locks: map->scan_lock, which keeps the inode, and one slot lock at a time by
 * trylock; none while the batch is written; then the slots one by one (write.c).
 */
#include "../store/store.h"
#include "reclaim.h"

#define PARTS_SHIFT	4
#define PARTS		(1U << PARTS_SHIFT)
#define FEW_SHARERS	16
/* of a round, for which map->scan_lock is held: */
#define ROUND_BLOCKS	16	/* looked at */
#define ROUND_SLOTS	64	/* unmapped or put into the batch */

enum zeal {
	ZEAL_FEW,	/* frames with few sharers, not in use */
	ZEAL_MANY,	/* any that are not in use */
	ZEAL_IN_USE,	/* any */
};

/* What a walk does with a part; in this order before @turn */
enum stage {
	STAGE_TAKE,
	STAGE_MARK,
	STAGE_UNMAP,
	STAGE_NR,
};

#define WALKS_BEFORE	(STAGE_NR - 1)	/* before there are frames to take */

/* What a round may still do. */
struct budget {
	unsigned int blocks;
	unsigned int slots;
};

/* ballast_reclaim_may_sweep() - there are shared frames, and a place to put them */
bool ballast_reclaim_may_sweep(struct ballast_reclaim *reclaim)
{
	return atomic_long_read(&reclaim->pool->shared_frames) > 0 &&
	       ballast_store_has_place(reclaim->pool->store);
}

/**
 * ballast_reclaim_is_mostly_shared() - draw a lot between shared frames and the rest
 * @reclaim: of the pool
 *
 * A shared frame serves several pages, so none is taken while there are as many others.
 * With fewer it would be these few, in use or not, that went out and came back
 * all the time, for the sake of shared frames that nobody touches.
 */
bool ballast_reclaim_is_mostly_shared(struct ballast_reclaim *reclaim)
{
	u64 used = ballast_pool_used_pages(reclaim->pool);
	u64 shared = atomic_long_read(&reclaim->pool->shared_frames);
	u64 both = used - min_t(u64, used, READ_ONCE(reclaim->pool->store->charged_pages));

	return !reclaim->sweep.in_vain && shared > both / 2 &&
	       mul_u64_u64_shr(prandom_u32_state(&reclaim->random), both, 32) < shared;
}

/* ballast_reclaim_calm() - there is enough for now */
void ballast_reclaim_calm(struct ballast_reclaim *reclaim)
{
	struct ballast_sweep *sweep = &reclaim->sweep;

	sweep->zeal = ZEAL_FEW;
	sweep->walks = 0;
	sweep->freed = false;
	sweep->in_vain = false;
}

/* Of the frame's part; STAGE_NR: nothing. */
static enum stage stage_of(const struct ballast_sweep *sweep, struct page *frame)
{
	unsigned int part = ballast_frame_hash(frame) >> (64 - PARTS_SHIFT);
	enum stage stage = min_t(unsigned int, (part - sweep->turn) & (PARTS - 1), STAGE_NR);

	if (sweep->zeal == ZEAL_IN_USE && stage != STAGE_TAKE)
		return STAGE_NR;
	/* what nobody has unmapped and marked before */
	if (sweep->zeal != ZEAL_IN_USE && sweep->walks + stage < WALKS_BEFORE)
		return STAGE_NR;
	return stage;
}

/* Without the slot's lock: of a frame that may be another's by now. */
static enum stage stage_of_slot(const struct ballast_sweep *sweep, unsigned long word)
{
	struct page *frame;

	if (ballast_word_state(word) != BALLAST_SHARED)
		return STAGE_NR;
	frame = ballast_word_frame(word);
	if (sweep->zeal == ZEAL_FEW && atomic_read(ballast_frame_sharers(frame)) > FEW_SHARERS)
		return STAGE_NR;
	return ballast_frame_is_poisoned(frame) ? STAGE_NR : stage_of(sweep, frame);
}

/* Back to what a slot is that nobody has touched; the slot is locked. */
static void unmap(struct ballast_slot *slot, unsigned long word)
{
	if (word & BALLAST_SLOT_MAPPED)
		ballast_slot_revoke(slot);
	ballast_slot_set_flags(slot, BALLAST_SLOT_RECENT, false);
}

/* The slot is locked.  False if the batch is full. */
static bool take(struct ballast_reclaim *reclaim, struct ballast_slot *slot,
		 unsigned long word, bool in_use)
{
	bool spare = in_use || PageChecked(ballast_word_frame(word));

	if (spare && reclaim->sweep.zeal < ZEAL_IN_USE) {
		ballast_pool_count(reclaim->pool, BALLAST_EVENT_RECLAIM_SPARED);
		return true;
	}
	if (in_use)
		unmap(slot, word);
	return ballast_store_add_shared(slot->block->map, slot);
}

/* The slot is locked and shared.  False if the batch is full. */
static bool treat_slot(struct ballast_reclaim *reclaim, struct ballast_slot *slot,
		       unsigned long word, enum stage stage)
{
	bool in_use = word & (BALLAST_SLOT_MAPPED | BALLAST_SLOT_RECENT);
	struct page *frame = ballast_word_frame(word);

	switch (stage) {
	case STAGE_UNMAP:
		if (PageChecked(frame))
			ClearPageChecked(frame);
		if (in_use)
			unmap(slot, word);
		return true;
	case STAGE_MARK:
		if (in_use)
			SetPageChecked(frame);
		return true;
	default:
		return take(reclaim, slot, word, in_use);
	}
}

/* False if the batch is full. */
static bool try_slot(struct ballast_reclaim *reclaim, struct ballast_slot *slot,
		     struct budget *left)
{
	struct ballast_sweep *sweep = &reclaim->sweep;
	bool goes_on = true;
	unsigned long word;
	enum stage stage;

	if (stage_of_slot(sweep, ballast_slot_peek(slot)) == STAGE_NR ||
	    !ballast_slot_trylock(slot))
		return true;
	word = ballast_slot_peek(slot);
	stage = stage_of_slot(sweep, word);
	if (stage != STAGE_NR) {
		goes_on = treat_slot(reclaim, slot, word, stage);
		left->slots--;
	}
	ballast_slot_unlock(slot);
	return goes_on;
}

/* False if the round has done its part: it is at sweep->pgoff then. */
static bool sweep_block(struct ballast_reclaim *reclaim, struct ballast_block *block,
			struct budget *left)
{
	struct ballast_sweep *sweep = &reclaim->sweep;
	pgoff_t end = (block->index + 1) << BALLAST_BLOCK_SHIFT;
	struct ballast_slot slot;

	sweep->pgoff = max_t(pgoff_t, sweep->pgoff, block->index << BALLAST_BLOCK_SHIFT);
	for (; sweep->pgoff < end; sweep->pgoff++) {
		ballast_slot_init(&slot, block, sweep->pgoff);
		if (!left->slots || !try_slot(reclaim, &slot, left))
			return false;
	}
	left->blocks--;
	return true;
}

/* Under map->scan_lock.  True if the file is done. */
static bool sweep_file(struct ballast_reclaim *reclaim, struct ballast_map *map,
		       struct budget *left)
{
	struct ballast_block *block;
	unsigned long index;

	while (left->blocks && !map->dead) {
		index = reclaim->sweep.pgoff >> BALLAST_BLOCK_SHIFT;
		block = xa_find(&map->blocks, &index, ULONG_MAX, XA_PRESENT);
		if (!block)
			return true;
		if (!sweep_block(reclaim, block, left))
			return false;
	}
	return map->dead;
}

static bool shares(struct ballast_map *map)
{
	struct ballast_map_counts sum;

	ballast_map_sum(map, &sum);
	return sum.shared_slots > 0;
}

/* The file where the walk is, referenced, or NULL: it is through. */
static struct ballast_map *find_file(struct ballast_reclaim *reclaim)
{
	struct ballast_sweep *sweep = &reclaim->sweep;
	unsigned long id = sweep->file ? sweep->file - 1 : 0;
	struct ballast_map *map;

	while ((map = ballast_map_next(&id))) {
		if (id != sweep->file)
			sweep->pgoff = 0;
		sweep->file = id;
		if (map->pool == reclaim->pool && shares(map))
			break;
		ballast_map_put(map);
		cond_resched();
	}
	return map;
}

/* Gather in one file, and write.  Returns how many frames are free. */
static unsigned long work_on(struct ballast_reclaim *reclaim, struct ballast_map *map)
{
	struct budget left = { ROUND_BLOCKS, ROUND_SLOTS };
	struct ballast_sweep *sweep = &reclaim->sweep;
	int srcu = ballast_map_enter();
	unsigned long freed;
	bool done;

	ballast_store_begin_shared(map);
	mutex_lock(&map->scan_lock);
	done = sweep_file(reclaim, map, &left);
	mutex_unlock(&map->scan_lock);
	if (done) {
		sweep->file++;
		sweep->pgoff = 0;
	}
	freed = ballast_store_write_shared(map);
	ballast_map_leave(srcu);
	return freed;
}

/* All parts have had their turn, or none is left that could: what next? */
static void end_cycle(struct ballast_sweep *sweep)
{
	if (!sweep->freed && sweep->zeal == ZEAL_IN_USE)
		sweep->in_vain = true;
	else if (!sweep->freed)
		sweep->zeal++;
	else if (sweep->zeal > ZEAL_FEW)
		sweep->zeal--;
	sweep->freed = false;
	sweep->walks = 0;
}

static void end_walk(struct ballast_sweep *sweep)
{
	unsigned int before = sweep->zeal == ZEAL_IN_USE ? 0 : WALKS_BEFORE;

	sweep->turn = (sweep->turn + 1) & (PARTS - 1);
	sweep->file = 0;
	sweep->pgoff = 0;
	if (++sweep->walks >= PARTS + before)
		end_cycle(sweep);
}

/**
 * ballast_reclaim_sweep() - go on looking for shared frames to take
 * @reclaim: of the pool
 *
 * Context: the pool's reclaim thread.
 * Return: how many frames were freed; 0: none, but it gets on; -EBUSY: all were tried,
 * with all zeal, in vain.
 */
long ballast_reclaim_sweep(struct ballast_reclaim *reclaim)
{
	struct ballast_sweep *sweep = &reclaim->sweep;
	struct ballast_map *map = find_file(reclaim);
	unsigned long freed;

	if (!map) {
		end_walk(sweep);
		return sweep->in_vain ? -EBUSY : 0;
	}
	freed = work_on(reclaim, map);
	ballast_map_put(map);
	if (freed) {
		sweep->freed = true;
		sweep->in_vain = false;
		return freed;
	}
	return sweep->in_vain ? -EBUSY : 0;
}
