// SPDX-License-Identifier: GPL-2.0
/*
 * Unsharing: giving shared pages back to each of their owners.
 *
 * DOC: Asked for by run=2 (everything) and by a remount that narrows who may
 * share (what is no longer allowed).  It needs memory, for each frame that is
 * given up one for each sharer but the last, which keeps it.  Where the pool has
 * not that much room it is refused before it starts.  It may still fail half way:
 * if guests take the room meanwhile, or if a last sharer may not keep the frame
 * because somebody reads it (direct I/O, or reclaim to write it to the swap file)
 * and it is the last page there is.
 *
 * The caller has stopped the scanner from making more of what is broken here,
 * and then waited for the block it is at.
 */
#include <linux/sched/signal.h>

#include "merge.h"
#include "unshare.h"

/*
 * May a slot of @map stay a sharer of @frame?  With itself unless sharing=off.
 * The answer is the same for all sharers of a frame: it has one domain.
 */
static bool allowed(const struct ballast_map *map, struct page *frame,
		    enum ballast_sharing_mode mode)
{
	u32 domain = ballast_sharing_domain(map, mode);

	return domain == ballast_frame_domain(frame) ||
	       (domain != BALLAST_DOMAIN_NONE &&
		ballast_frame_domain(frame) == map->id);
}

static int break_slot(struct ballast_slot *slot, bool everything)
{
	struct ballast_map *map = slot->block->map;
	struct page *spare, *frame;
	unsigned long word;
	int err = 0;

	if (ballast_word_state(ballast_slot_peek(slot)) != BALLAST_SHARED)
		return 0;
	spare = ballast_frame_alloc(map->pool, BALLAST_FRAME_COPY);
	if (IS_ERR(spare))
		spare = NULL;	/* a last sharer needs none */
	word = ballast_slot_lock(slot);
	if (ballast_word_state(word) == BALLAST_SHARED &&
	    (everything || !allowed(map, ballast_word_frame(word),
				    READ_ONCE(map->pool->sharing)))) {
		frame = ballast_slot_break(slot, &spare, 0);
		if (!frame)
			err = -ENOSPC;
		else if (IS_ERR(frame))
			err = -EIO;
	}
	ballast_slot_unlock(slot);
	if (spare)
		ballast_frame_free(map->pool, spare);
	return err;
}

static int break_block(struct ballast_block *block, bool everything)
{
	pgoff_t base = block->index << BALLAST_BLOCK_SHIFT;
	struct ballast_slot slot;
	unsigned long i;
	int err = 0;

	for (i = 0; i < BALLAST_BLOCK_SLOTS && !err; i++) {
		ballast_slot_init(&slot, block, base + i);
		err = break_slot(&slot, everything);
	}
	return err;
}

/*
 * The first block at *@index or behind; sets *@index to what comes after it, *@more to
 * whether there was one.  One at a time, for the scanner waits for the map's
 * scan_lock, and who waits for the scanner, or ends the file, waits with it.
 */
static int break_next(struct ballast_map *map, unsigned long *index, bool everything,
		      bool *more)
{
	struct ballast_block *block = NULL;
	int srcu, err = 0;

	mutex_lock(&map->scan_lock);
	srcu = ballast_map_enter();
	if (!map->dead)
		block = xa_find(&map->blocks, index, ULONG_MAX, XA_PRESENT);
	if (block)
		err = break_block(block, everything);
	ballast_map_leave(srcu);
	mutex_unlock(&map->scan_lock);
	*more = block;
	(*index)++;
	return err;
}

static int break_map(struct ballast_map *map, bool everything)
{
	unsigned long index = 0;
	bool more = true;
	int err = 0;

	while (!err && more) {
		err = break_next(map, &index, everything, &more);
		if (!err && more && signal_pending(current) &&
		    xa_find(&map->blocks, &index, ULONG_MAX, XA_PRESENT))
			err = -EINTR;
		cond_resched();
	}
	return err;
}

/**
 * ballast_unshare() - break shares
 * @pool: of this pool, or NULL for all
 * @everything: all of them, not only those that the pool's mode forbids
 *
 * Context: process; sleeps.
 * Return: 0; -ENOSPC if a pool is too full; -EINTR; -EIO if a shared page is
 * broken memory, which nobody can be given a copy of.
 */
int ballast_unshare(struct ballast_pool *pool, bool everything)
{
	struct ballast_map *map;
	unsigned long id = 0;
	int err = 0;

	while (!err && (map = ballast_map_next(&id))) {
		if (!pool || map->pool == pool)
			err = break_map(map, everything);
		ballast_map_put(map);
	}
	return err;
}

/* Parts of a frame, so that its sharers, one part each, make up a whole one. */
#define FRAME_PARTS	(1ULL << 32)

/**
 * struct broken - what is to be broken, counted
 * @slots: sharers of frames that are given up
 * @parts: of these frames, FRAME_PARTS each, one sharer's part at a time.  Rounded,
 *	which comes to less than half a frame for 2^32 slots
 */
struct broken {
	u64 slots;
	u64 parts;
};

static void count_slot(struct ballast_slot *slot, enum ballast_sharing_mode mode,
		       struct broken *broken)
{
	unsigned long word;
	struct page *frame;
	int sharers;

	if (ballast_word_state(ballast_slot_peek(slot)) != BALLAST_SHARED)
		return;
	word = ballast_slot_lock(slot);
	frame = ballast_word_frame(word);
	if (ballast_word_state(word) == BALLAST_SHARED &&
	    !allowed(slot->block->map, frame, mode)) {
		sharers = max(atomic_read(ballast_frame_sharers(frame)), 1);
		broken->slots++;
		broken->parts += DIV_ROUND_CLOSEST_ULL(FRAME_PARTS, sharers);
	}
	ballast_slot_unlock(slot);
}

static void count_map(struct ballast_map *map, enum ballast_sharing_mode mode,
		      struct broken *broken)
{
	struct ballast_block *block;
	struct ballast_slot slot;
	unsigned long index, i;
	int srcu = ballast_map_enter();

	xa_for_each(&map->blocks, index, block) {
		for (i = 0; i < BALLAST_BLOCK_SLOTS; i++) {
			ballast_slot_init(&slot, block,
					  (index << BALLAST_BLOCK_SHIFT) + i);
			count_slot(&slot, mode, broken);
		}
		cond_resched();
	}
	ballast_map_leave(srcu);
}

/* Frames for what a mode between off and the pool's own forbids. */
static u64 needed_for_mode(struct ballast_pool *pool, enum ballast_sharing_mode mode)
{
	struct broken broken = { 0 };
	struct ballast_map *map;
	unsigned long id = 0;

	while ((map = ballast_map_next(&id))) {
		if (map->pool == pool)
			count_map(map, mode, &broken);
		ballast_map_put(map);
	}
	return broken.slots - min(broken.slots, (broken.parts + FRAME_PARTS / 2) / FRAME_PARTS);
}

/* Frames for all that is shared: that is counted already. */
static u64 needed_for_all(struct ballast_pool *pool)
{
	long frames = atomic_long_read(&pool->shared_frames), slots = 0;
	struct ballast_map_counts sum;
	struct ballast_map *map;
	unsigned long id = 0;

	while ((map = ballast_map_next(&id))) {
		if (map->pool == pool) {
			ballast_map_sum(map, &sum);
			slots += sum.shared_slots;
		}
		ballast_map_put(map);
	}
	return max(slots - frames, 0L);
}

static bool has_room_for(struct ballast_pool *pool, u64 pages)
{
	unsigned long limit = READ_ONCE(pool->limit_pages);
	unsigned long used = ballast_pool_used_pages(pool);

	return pages <= (limit > used ? limit - used : 0);
}

/**
 * ballast_unshare_fits() - is there room for what a mode forbids to be made private?
 * @pool: in this pool
 * @mode: that it is to have
 *
 * Exact while nothing moves.  A check beforehand, for a clear error; guests may
 * take the room meanwhile.
 *
 * Context: process; may look at every slot, as ballast_unshare() will.
 */
bool ballast_unshare_fits(struct ballast_pool *pool,
			  enum ballast_sharing_mode mode)
{
	return has_room_for(pool, mode == BALLAST_SHARING_OFF ?
			    needed_for_all(pool) : needed_for_mode(pool, mode));
}

/* ballast_unshare_all_fits() - the same for everything in all pools */
bool ballast_unshare_all_fits(void)
{
	struct ballast_pool *pool;
	bool fits = true;

	mutex_lock(&ballast_pools_lock);
	list_for_each_entry(pool, &ballast_pools, node)
		fits = fits && has_room_for(pool, needed_for_all(pool));
	mutex_unlock(&ballast_pools_lock);
	return fits;
}
