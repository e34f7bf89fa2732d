// SPDX-License-Identifier: GPL-2.0
/*
 * Shared frames as victims, where little else is left.
 *
 * DOC: A shared frame is free when its last sharer has left it, and its sharers are
 * counted, not listed: to find them means to look at every slot.  But all find one
 * hash in their frame.  So the slots of the pool are walked over, file by file, and
 * each walk takes the frames of one part of all hashes, a 64th: each of their
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
 * zeal; the last take what is in use, but not by many: they would all have it back at once.
 *
 * Locks: map->scan_lock, which keeps the inode, and one slot lock at a time by
 * trylock; none while the batch is written; then the slots one by one (write.c).
 */
#include "../store/store.h"
#include "reclaim.h"

#define PARTS_SHIFT	6	/* a part is not more than is wanted at once: 2 % of a pool */
#define PARTS		(1U << PARTS_SHIFT)
#define FEW_SHARERS	16
/* of a round, for which map->scan_lock is held: */
#define ROUND_BLOCKS	16	/* looked at */
#define ROUND_SLOTS	64	/* unmapped or put into the batch */

enum zeal {
	ZEAL_FEW,	/* frames with few sharers, not in use */
	ZEAL_MANY,	/* any that are not in use */
	ZEAL_IN_USE,	/* in use or not; few sharers */
};

/* What a walk does with a part; in this order before @turn */
enum stage {
	STAGE_TAKE,
	STAGE_MARK,
	STAGE_UNMAP,
	STAGE_NR,
};

#define WALKS_BEFORE	(STAGE_NR - 1)	/* before there are frames to take */
#define PATIENCE	(5 * HZ)	/* without a frame that becomes free */
#define VAIN_REST	(10 * HZ)	/* after a cycle with all zeal */
/* For private pages, each of which frees a frame and then a place when it comes back. */
#define PLACES_KEPT	(BALLAST_POOL_RESERVE + BALLAST_SWAP_BATCH)

/* What a round may still do. */
struct budget {
	unsigned int blocks;
	unsigned int slots;
};

/* In the swap file, for shared slots */
static long places(struct ballast_store *store)
{
	return (long)ballast_store_swap_free(store) - PLACES_KEPT -
	       atomic_long_read(&store->unwritten_nr);
}

/* ballast_reclaim_may_sweep() - there are shared frames, and a place to put them */
bool ballast_reclaim_may_sweep(struct ballast_reclaim *reclaim)
{
	struct ballast_store *store = reclaim->pool->store;

	return atomic_long_read(&reclaim->pool->shared_frames) > 0 && places(store) > 0 &&
	       !ballast_store_writes_rest(store);
}

static bool is_in_vain(const struct ballast_sweep *sweep)
{
	return sweep->vain && time_before(jiffies, sweep->vain_until);
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

	return !is_in_vain(&reclaim->sweep) && shared > both / 2 &&
	       mul_u64_u64_shr(prandom_u32_state(&reclaim->random), both, 32) < shared;
}

static void begin_walk(struct ballast_sweep *sweep)
{
	sweep->file = 0;
	sweep->pgoff = 0;
	sweep->met = false;
}

/* ballast_reclaim_calm() - there is enough for now; it goes on where it was, but in peace */
void ballast_reclaim_calm(struct ballast_reclaim *reclaim)
{
	struct ballast_sweep *sweep = &reclaim->sweep;

	sweep->hurried = false;
	sweep->vain = false;
	if (sweep->zeal != ZEAL_IN_USE)
		return;
	sweep->zeal = ZEAL_MANY;
	sweep->walks = 0;
	begin_walk(sweep);
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

/* Without the slot's lock: of a frame that may be another's by now */
static enum stage stage_of_slot(struct ballast_sweep *sweep, unsigned long word)
{
	struct page *frame;

	if (ballast_word_state(word) != BALLAST_SHARED)
		return STAGE_NR;
	frame = ballast_word_frame(word);
	if (sweep->zeal != ZEAL_MANY &&
	    atomic_read(ballast_frame_sharers(frame)) > FEW_SHARERS)
		return STAGE_NR;
	sweep->met = true;
	return ballast_frame_is_poisoned(frame) ? STAGE_NR : stage_of(sweep, frame);
}

/* Back to what a slot is that nobody has touched; the slot is locked. */
static void unmap(struct ballast_slot *slot, unsigned long word)
{
	if (word & BALLAST_SLOT_MAPPED)
		ballast_slot_revoke(slot);
	ballast_slot_set_flags(slot, BALLAST_SLOT_RECENT, false);
}

/* A frame is not to be taken for which there are not as many places as sharers. */
static bool is_spared(struct ballast_reclaim *reclaim, struct page *frame, bool in_use)
{
	struct ballast_store *store = reclaim->pool->store;

	if (atomic_read(ballast_frame_sharers(frame)) > places(store) - (long)store->batch.count)
		return true;
	if (reclaim->sweep.zeal == ZEAL_IN_USE)
		return false;
	/* nor what was used after its slots were looked at for that */
	if (in_use)
		SetPageChecked(frame);
	return PageChecked(frame);
}

/* The slot is locked.  False if the batch is full. */
static bool take(struct ballast_reclaim *reclaim, struct ballast_slot *slot,
		 unsigned long word, bool in_use)
{
	if (is_spared(reclaim, ballast_word_frame(word), in_use)) {
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

/* All parts have had their turn, or there is nothing for this zeal: what next? */
static void end_cycle(struct ballast_sweep *sweep)
{
	unsigned int before = sweep->zeal;

	if (sweep->freed && sweep->zeal > ZEAL_FEW)
		sweep->zeal--;
	else if (!sweep->freed && sweep->zeal < ZEAL_IN_USE)
		sweep->zeal++;
	else if (!sweep->freed)
		sweep->vain = true;
	sweep->vain_until = jiffies + VAIN_REST;
	/* what the last walks have unmapped and marked serves those who take no more */
	sweep->walks = sweep->zeal <= before && before < ZEAL_IN_USE ? WALKS_BEFORE : 0;
	sweep->freed = false;
}

static void end_walk(struct ballast_sweep *sweep)
{
	unsigned int before = sweep->zeal == ZEAL_IN_USE ? 0 : WALKS_BEFORE;

	sweep->turn = (sweep->turn + 1) & (PARTS - 1);
	if (++sweep->walks >= PARTS + before || !sweep->met)
		end_cycle(sweep);
	begin_walk(sweep);
}

/* It may take minutes to find out that there is nothing: who waits is told before. */
static long no_frame(struct ballast_sweep *sweep)
{
	return is_in_vain(sweep) || time_after(jiffies, sweep->patient_until) ? -EBUSY : 0;
}

/**
 * ballast_reclaim_sweep() - go on looking for shared frames to take
 * @reclaim: of the pool
 *
 * Context: the pool's reclaim thread.
 * Return: how many frames were freed; 0: none, but it gets on; -EBUSY: none for long, or
 * all were tried with all zeal.
 */
long ballast_reclaim_sweep(struct ballast_reclaim *reclaim)
{
	struct ballast_sweep *sweep = &reclaim->sweep;
	struct ballast_map *map = find_file(reclaim);
	unsigned long freed = 0;

	if (map) {
		freed = work_on(reclaim, map);
		ballast_map_put(map);
	} else {
		end_walk(sweep);
	}
	if (freed) {
		sweep->freed = true;
		sweep->vain = false;
	}
	if (freed || !sweep->hurried)
		sweep->patient_until = jiffies + PATIENCE;
	sweep->hurried = true;
	return freed ?: no_frame(sweep);
}
