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
 * When all parts were walked over and no frame has become free, or there was none for it,
 * the next walks have more zeal; the last take what is in use, but not by many: they would
 * all have it back at once.  Was that in vain too there is a rest, and it begins again.
 *
 * Where the swap file has fewer places than a part has slots a smaller part is taken, by
 * further bits of the hash: what is begun is to be ended.
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
#define PATIENCE	(5 * HZ)	/* without a slot that leaves its frame */
#define TELL_EVERY	(HZ / 5)	/* when that is over */
#define VAIN_REST	HZ		/* after a cycle with all zeal */
/* Memory was not wanted for so long: */
#define NEW_PATIENCE	(2 * HZ)	/* patience is as at first */
#define NEW_SWEEP	(10 * HZ)	/* what was prepared is too old */
#define ALL_OF_PART	BIT(16)
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

/* How much of a part there are places for */
static u32 narrowed(const struct ballast_sweep *sweep)
{
	u64 places = sweep->places / 2;	/* chance, and private pages that take some meanwhile */

	if (places >= sweep->need)
		return ALL_OF_PART;
	return div64_u64(places << 16, sweep->need);
}

static void begin_walk(struct ballast_reclaim *reclaim)
{
	struct ballast_sweep *sweep = &reclaim->sweep;

	sweep->file = 0;
	sweep->pgoff = 0;
	sweep->need = sweep->met >> PARTS_SHIFT;
	sweep->met = 0;
	sweep->places = max(places(reclaim->pool->store), 0L);
	sweep->narrowed = narrowed(sweep);
}

/* ballast_reclaim_be_patient() - it gets on, by whatever it has taken */
void ballast_reclaim_be_patient(struct ballast_reclaim *reclaim)
{
	reclaim->sweep.patient_until = jiffies + PATIENCE;
}

/* Memory is wanted: again, or still? */
static void resume(struct ballast_reclaim *reclaim)
{
	struct ballast_sweep *sweep = &reclaim->sweep;

	if (!sweep->begun || time_after(jiffies, sweep->last + NEW_SWEEP)) {
		/* what was taken last was perhaps not taken to the end */
		sweep->turn = (sweep->turn - WALKS_BEFORE) & (PARTS - 1);
		sweep->begun = true;
		sweep->zeal = ZEAL_FEW;
		sweep->walks = 0;
		sweep->freed = false;
		sweep->met = 0;
		begin_walk(reclaim);
		ballast_reclaim_be_patient(reclaim);
	} else if (time_after(jiffies, sweep->last + NEW_PATIENCE)) {
		ballast_reclaim_be_patient(reclaim);
	}
	/* this walk would leave all out */
	if (!sweep->places)
		begin_walk(reclaim);
	sweep->last = jiffies;
}

/**
 * ballast_reclaim_is_late() - sweeping has brought nothing for a while
 * @reclaim: of the pool
 *
 * It may take minutes to find out that there is nothing: who waits is told before.
 *
 * Return: true now and then from when patience is over.
 */
bool ballast_reclaim_is_late(struct ballast_reclaim *reclaim)
{
	struct ballast_sweep *sweep = &reclaim->sweep;

	if (!sweep->begun || time_after(jiffies, sweep->last + NEW_PATIENCE) ||
	    time_before_eq(jiffies, sweep->patient_until))
		return false;
	sweep->patient_until = jiffies + TELL_EVERY;
	return true;
}

/* ballast_reclaim_swap_is_full() - as far as this layer may fill it */
bool ballast_reclaim_swap_is_full(struct ballast_reclaim *reclaim)
{
	struct ballast_pool *pool = reclaim->pool;

	return !ballast_store_swap_free(pool->store) ||
	       (atomic_long_read(&pool->shared_frames) && places(pool->store) <= 0);
}

/* Of the frame's part; STAGE_NR: nothing. */
static enum stage stage_of(const struct ballast_sweep *sweep, struct page *frame)
{
	u64 hash = ballast_frame_hash(frame);
	unsigned int part = hash >> (64 - PARTS_SHIFT);
	enum stage stage = min_t(unsigned int, (part - sweep->turn) & (PARTS - 1), STAGE_NR);

	if (sweep->zeal == ZEAL_IN_USE && stage != STAGE_TAKE)
		return STAGE_NR;
	/* what nobody has unmapped and marked before */
	if (sweep->zeal != ZEAL_IN_USE && sweep->walks + stage < WALKS_BEFORE)
		return STAGE_NR;
	if (stage == STAGE_TAKE && hash << PARTS_SHIFT >> 48 >= sweep->narrowed)
		return STAGE_NR;
	return stage;
}

/* Does the sweep look at the frame?  Without the slot's lock it may be another's by now. */
static bool is_for_zeal(const struct ballast_sweep *sweep, unsigned long word)
{
	struct page *frame;
	int sharers;

	if (ballast_word_state(word) != BALLAST_SHARED)
		return false;
	frame = ballast_word_frame(word);
	sharers = atomic_read(ballast_frame_sharers(frame));
	return sharers <= sweep->places && !ballast_frame_is_poisoned(frame) &&
	       (sharers <= FEW_SHARERS || sweep->zeal == ZEAL_MANY);
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
	unsigned long word = ballast_slot_peek(slot);
	enum stage stage;

	if (!is_for_zeal(sweep, word))
		return true;
	sweep->met++;
	if (stage_of(sweep, ballast_word_frame(word)) == STAGE_NR || !ballast_slot_trylock(slot))
		return true;
	word = ballast_slot_peek(slot);
	stage = is_for_zeal(sweep, word) ? stage_of(sweep, ballast_word_frame(word)) : STAGE_NR;
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

/* Gather in one file, and write.  Returns how many frames have become free. */
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
	if (ballast_store_write_shared(map, &freed))
		ballast_reclaim_be_patient(reclaim);
	ballast_map_leave(srcu);
	return freed;
}

/* All parts have had their turn, or there is nothing for this zeal: what next? */
static void end_cycle(struct ballast_sweep *sweep)
{
	unsigned int before = sweep->zeal;

	if (sweep->freed && sweep->zeal > ZEAL_FEW) {
		sweep->zeal--;
	} else if (!sweep->freed && sweep->zeal < ZEAL_IN_USE) {
		sweep->zeal++;
	} else if (!sweep->freed) {
		sweep->zeal = ZEAL_FEW;
		sweep->vain = true;
		sweep->vain_until = jiffies + VAIN_REST;
	}
	/* what the last walks have unmapped and marked serves those who take no more */
	sweep->walks = sweep->zeal <= before && before < ZEAL_IN_USE ? WALKS_BEFORE : 0;
	sweep->freed = false;
}

static void end_walk(struct ballast_reclaim *reclaim)
{
	struct ballast_sweep *sweep = &reclaim->sweep;
	unsigned int before = sweep->zeal == ZEAL_IN_USE ? 0 : WALKS_BEFORE;

	sweep->turn = (sweep->turn + 1) & (PARTS - 1);
	if (++sweep->walks >= PARTS + before || !sweep->met)
		end_cycle(sweep);
	begin_walk(reclaim);
}

/**
 * ballast_reclaim_sweep() - go on looking for shared frames to take
 * @reclaim: of the pool
 *
 * Context: the pool's reclaim thread.
 * Return: how many frames have become free; 0: none, but it gets on; -EBUSY: all were
 * tried with all zeal, a moment ago.
 */
long ballast_reclaim_sweep(struct ballast_reclaim *reclaim)
{
	struct ballast_sweep *sweep = &reclaim->sweep;
	struct ballast_map *map;
	unsigned long freed;

	resume(reclaim);
	if (is_in_vain(sweep))
		return -EBUSY;
	map = find_file(reclaim);
	if (!map) {
		end_walk(reclaim);
		return 0;
	}
	freed = work_on(reclaim, map);
	ballast_map_put(map);
	if (freed) {
		sweep->freed = true;
		sweep->vain = false;
	}
	sweep->last = jiffies;
	return freed;
}
