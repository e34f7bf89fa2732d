// SPDX-License-Identifier: GPL-2.0
/*
 * Maps: the memory of one file, in blocks of 512 slots.
 *
 * DOC: Lifetimes.  A map is created with its inode and killed when the inode
 * is evicted; who got it from ballast_map_next() may hold its memory longer,
 * but sees it dead.  A block is added by the first fault in its 2 MiB and
 * leaves when the file is truncated below it or evicted; never by a punched
 * hole, which a balloon may undo at once.  Both are freed a grace period of
 * ballast_map_srcu after nobody can find them.  SRCU, for its readers are
 * faults: they may sleep and must not write to a cache line that all vCPUs of
 * a VM share, as a lock or a reference count would have them do.
 *
 * A fault that found a block just before truncate took it out sees slots that
 * are BALLAST_GONE, and looks again.
 */
#include <linux/highmem.h>
#include <linux/slab.h>

#include "map.h"
#include "slot.h"

#define FILES_MIN	256	/* any pool may have so many */
/* As for a frame (frame.c): nobody is killed for a guest's fault, which tries again. */
#define BLOCK_GFP	(GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)
#define NODE_GFP	(GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

DEFINE_SRCU(ballast_map_srcu);
/* All maps, by id; ids are of 2 and up, 1 is the domain of sharing=pool. */
static DEFINE_XARRAY_FLAGS(maps, XA_FLAGS_ALLOC);
static u32 next_map_id;
static const struct file_operations *our_fops;
static atomic_long_t block_bytes;

#define BLOCK_BYTES	(sizeof(struct ballast_block) + \
			 BALLAST_BLOCK_SLOTS * sizeof(unsigned long))

/*
 * An empty file takes no page of the pool, but some kilobytes of the kernel's, most
 * of them in sysfs: as many as the pool has pages are enough.
 */
static bool try_count_file(struct ballast_pool *pool)
{
	long most = max_t(unsigned long, READ_ONCE(pool->limit_pages), FILES_MIN);
	long files = atomic_long_read(&pool->files);

	do {
		if (files >= most)
			return false;
	} while (!atomic_long_try_cmpxchg(&pool->files, &files, files + 1));
	return true;
}

static int count_file(struct ballast_pool *pool)
{
	if (try_count_file(pool))
		return 0;
	/* those that have gone are counted until their grace period is over */
	srcu_barrier(&ballast_map_srcu);
	return try_count_file(pool) ? 0 : -ENOSPC;
}

/**
 * ballast_map_create() - the memory of a new file
 * @pool: of the mount
 * @inode: the file
 *
 * Return: the map with one reference, or an ERR_PTR: -ENOMEM, or -ENOSPC if there
 * are too many files.
 */
struct ballast_map *ballast_map_create(struct ballast_pool *pool,
				       struct inode *inode)
{
	struct ballast_map *map = kzalloc(sizeof(*map), GFP_KERNEL_ACCOUNT);
	int err = -ENOMEM;

	if (!map)
		return ERR_PTR(-ENOMEM);
	map->counts = alloc_percpu_gfp(struct ballast_map_counts, GFP_KERNEL_ACCOUNT);
	if (!map->counts)
		goto free_map;
	err = count_file(pool);
	if (err)
		goto free_counts;
	kref_init(&map->kref);
	map->pool = pool;
	map->inode = inode;
	xa_init_flags(&map->blocks, XA_FLAGS_ACCOUNT);
	mutex_init(&map->scan_lock);
	spin_lock_init(&map->stored_lock);
	INIT_LIST_HEAD(&map->stored);
	INIT_LIST_HEAD(&map->unwritten);
	ballast_pool_get(pool);
	err = xa_alloc_cyclic(&maps, &map->id, map, XA_LIMIT(2, U32_MAX),
			      &next_map_id, GFP_KERNEL);
	if (err < 0)
		goto put_pool;
	if (ballast_pool_watcher()->map_added)
		ballast_pool_watcher()->map_added(map);
	return map;

put_pool:
	ballast_pool_put(pool);
	atomic_long_dec(&pool->files);
free_counts:
	free_percpu(map->counts);
free_map:
	kfree(map);
	return ERR_PTR(err);
}

static void free_map(struct rcu_head *head)
{
	struct ballast_map *map = container_of(head, struct ballast_map, srcu);

	xa_destroy(&map->blocks);
	free_percpu(map->counts);
	atomic_long_dec(&map->pool->files);
	ballast_pool_put(map->pool);
	kfree(map);
}

static void release_map(struct kref *kref)
{
	struct ballast_map *map = container_of(kref, struct ballast_map, kref);

	call_srcu(&ballast_map_srcu, &map->srcu, free_map);
}

void ballast_map_get(struct ballast_map *map)
{
	kref_get(&map->kref);
}

void ballast_map_put(struct ballast_map *map)
{
	kref_put(&map->kref, release_map);
}

/* ballast_map_set_file_operations() - files with these are ours; at init */
void ballast_map_set_file_operations(const struct file_operations *fops)
{
	our_fops = fops;
}

/**
 * ballast_map_of_file() - the memory of a file, if it is one of ours
 * @file: open, and open as long as the caller uses the result without a
 *	reference
 *
 * Return: NULL if it is some other file.
 */
struct ballast_map *ballast_map_of_file(const struct file *file)
{
	return file->f_op == our_fops ? file_inode(file)->i_private : NULL;
}

/**
 * ballast_map_kill() - the inode goes
 * @map: its memory; all of it is given back
 *
 * Context: eviction of the inode: no mapping, no open file.  Waits for the
 * scanner to leave the map.
 */
void ballast_map_kill(struct ballast_map *map)
{
	if (ballast_pool_watcher()->map_removed)
		ballast_pool_watcher()->map_removed(map);
	xa_erase(&maps, map->id);
	mutex_lock(&map->scan_lock);
	map->dead = true;
	mutex_unlock(&map->scan_lock);
	ballast_map_truncate(map, 0);
	ballast_map_put(map);
}

/**
 * ballast_map_next() - walk all maps of all pools
 * @id: 0 at first; the map's id afterwards
 *
 * Return: the map with the next id, to be put by the caller, or NULL.
 */
struct ballast_map *ballast_map_next(unsigned long *id)
{
	struct ballast_map *map;

	xa_lock(&maps);
	do {
		map = xa_find_after(&maps, id, ULONG_MAX, XA_PRESENT);
	} while (map && !kref_get_unless_zero(&map->kref));
	xa_unlock(&maps);
	return map;
}

bool ballast_maps_exist(void)
{
	return !xa_empty(&maps);
}

/**
 * ballast_map_block() - a block that is there
 * @map: of which
 * @index: page offset >> BALLAST_BLOCK_SHIFT
 *
 * Context: between ballast_map_enter() and _leave().
 */
struct ballast_block *ballast_map_block(struct ballast_map *map,
					unsigned long index)
{
	return xa_load(&map->blocks, index);
}

/* A hint's block; NULL if it has gone.  Context as ballast_map_block(). */
struct ballast_block *ballast_pool_block(struct ballast_pool *pool, u32 id)
{
	return xa_load(&pool->blocks, id);
}

static void free_block(struct ballast_block *block)
{
	free_page((unsigned long)block->slots);
	kfree(block);
	atomic_long_sub(BLOCK_BYTES, &block_bytes);
}

static void free_block_srcu(struct rcu_head *head)
{
	free_block(container_of(head, struct ballast_block, srcu));
}

static struct ballast_block *alloc_block(struct ballast_map *map,
					 unsigned long index)
{
	struct ballast_block *block = kzalloc(sizeof(*block), BLOCK_GFP);

	if (!block)
		return NULL;
	block->slots = (unsigned long *)__get_free_page(BLOCK_GFP);
	if (!block->slots) {
		kfree(block);
		return NULL;
	}
	block->map = map;
	block->index = index;
	atomic_long_add(BLOCK_BYTES, &block_bytes);
	return block;
}

/**
 * ballast_map_add_block() - a block, made if it is not there
 * @map: of which
 * @index: page offset >> BALLAST_BLOCK_SHIFT
 *
 * The block's memory is charged to the caller's memory cgroup: a sparse file
 * touched all over is its owner's cost.
 *
 * Context: between ballast_map_enter() and _leave(); allocates.
 * Return: the block, or an ERR_PTR: -ENOMEM.
 */
struct ballast_block *ballast_map_add_block(struct ballast_map *map,
					    unsigned long index)
{
	struct ballast_block *old, *block = xa_load(&map->blocks, index);

	if (likely(block))
		return block;
	block = alloc_block(map, index);
	if (!block)
		return ERR_PTR(-ENOMEM);
	if (xa_alloc(&map->pool->blocks, &block->id, block, xa_limit_31b, NODE_GFP) < 0)
		goto free;
	old = xa_cmpxchg(&map->blocks, index, NULL, block, NODE_GFP);
	if (!old)
		return block;
	/* hints name blocks that are in a map only; this one never was */
	xa_erase(&map->pool->blocks, block->id);
	call_srcu(&ballast_map_srcu, &block->srcu, free_block_srcu);
	return xa_is_err(old) ? ERR_PTR(xa_err(old)) : old;
free:
	free_block(block);
	return ERR_PTR(-ENOMEM);
}

/*
 * Nothing to give back, seen without the lock: if a fault is about to fill the
 * slot, that is as good as a fault that comes after the hole was punched.
 */
static bool is_plain_hole(const struct ballast_slot *slot)
{
	unsigned long word = ballast_slot_peek(slot);

	return ballast_word_state(word) == BALLAST_HOLE &&
	       !(word & BALLAST_SLOT_ZEROED);
}

static void empty_slots(struct ballast_block *block, unsigned long first,
			unsigned long last, enum ballast_slot_state to)
{
	pgoff_t base = block->index << BALLAST_BLOCK_SHIFT;
	struct ballast_slot slot;
	unsigned long i;

	for (i = first; i <= last; i++) {
		ballast_slot_init(&slot, block, base + i);
		if (to == BALLAST_HOLE && is_plain_hole(&slot))
			continue;
		ballast_slot_lock(&slot);
		ballast_slot_empty(&slot, to);
		ballast_slot_unlock(&slot);
	}
}

static void remove_block(struct ballast_block *block)
{
	struct ballast_map *map = block->map;

	empty_slots(block, 0, BALLAST_BLOCK_SLOTS - 1, BALLAST_GONE);
	xa_erase(&map->blocks, block->index);
	xa_erase(&map->pool->blocks, block->id);
	call_srcu(&ballast_map_srcu, &block->srcu, free_block_srcu);
}

/* Slots beyond the end of a block that stays: nothing may be mapped there. */
static void truncate_slots(struct ballast_block *block, unsigned long first)
{
	pgoff_t base = block->index << BALLAST_BLOCK_SHIFT;
	struct ballast_slot slot;
	unsigned long i;

	for (i = first; i < BALLAST_BLOCK_SLOTS; i++) {
		ballast_slot_init(&slot, block, base + i);
		ballast_slot_lock(&slot);
		ballast_slot_empty(&slot, BALLAST_HOLE);
		ballast_slot_unlock(&slot);
	}
}

/**
 * ballast_map_truncate() - give back all beyond the end of file
 * @map: of which
 * @size: the new end, set in the inode already: faults beyond it fail
 *
 * The tail of a page that @size is in the middle of is not touched here.
 *
 * Context: process; under the inode's lock, or its eviction.
 */
void ballast_map_truncate(struct ballast_map *map, loff_t size)
{
	unsigned long end = DIV_ROUND_UP(size, PAGE_SIZE);
	unsigned long index = end >> BALLAST_BLOCK_SHIFT;
	unsigned long first = end & (BALLAST_BLOCK_SLOTS - 1);
	struct ballast_block *block;
	int srcu = ballast_map_enter();

	if (first) {
		block = ballast_map_block(map, index);
		if (block)
			truncate_slots(block, first);
		index++;
	}
	xa_for_each_start(&map->blocks, index, block, index) {
		remove_block(block);
		cond_resched();
	}
	ballast_map_leave(srcu);
}

/*
 * The frame of a locked slot, to be written to; NULL if it is a hole.  ERR_PTR:
 * -EAGAIN, a spare frame is needed; -EIO, the content is lost; -ENOMEM, not now.
 */
static struct page *writable_frame(struct ballast_slot *slot, unsigned long word,
				   struct page **spare)
{
	struct page *frame;

	switch (ballast_word_state(word)) {
	case BALLAST_PRIVATE:
		frame = ballast_word_frame(word);
		return ballast_frame_is_poisoned(frame) ? ERR_PTR(-EIO) : frame;
	case BALLAST_SHARED:
		frame = ballast_slot_break(slot, spare, 0);
		if (IS_ERR(frame))
			return ERR_PTR(-EIO);
		return frame ?: ERR_PTR(-EAGAIN);
	case BALLAST_COMPRESSED:
	case BALLAST_SWAPPED:
		frame = ballast_slot_load(slot, spare);
		if (IS_ERR(frame))	/* its -EAGAIN: not now */
			return ERR_PTR(frame == ERR_PTR(-EAGAIN) ? -ENOMEM : -EIO);
		return frame ?: ERR_PTR(-EAGAIN);
	default:
		return NULL;
	}
}

/*
 * Zero part of one page; what is a hole stays one.  @over: a full pool must not
 * keep a file from being cut.
 */
static int zero_part(struct ballast_map *map, loff_t start, loff_t end, bool over)
{
	unsigned int offset = offset_in_page(start), len = end - start;
	struct page *spare = NULL, *frame;
	pgoff_t pgoff = start >> PAGE_SHIFT;
	struct ballast_block *block;
	struct ballast_slot slot;
	unsigned long word;
	int err = 0;

	block = ballast_map_block(map, pgoff >> BALLAST_BLOCK_SHIFT);
	if (!block)
		return 0;
	ballast_slot_init(&slot, block, pgoff);
	do {
		if (err)
			spare = over ? ballast_frame_alloc_over(map->pool) :
				       ballast_frame_alloc(map->pool, BALLAST_FRAME_LOAD);
		if (err && IS_ERR_OR_NULL(spare))
			return spare ? PTR_ERR(spare) : -ENOMEM;
		word = ballast_slot_lock(&slot);
		frame = writable_frame(&slot, word, &spare);
		err = PTR_ERR_OR_ZERO(frame);
		if (!IS_ERR_OR_NULL(frame))
			memzero_page(frame, offset, len);
		ballast_slot_unlock(&slot);
	} while (err == -EAGAIN);	/* once more, with a spare frame */
	if (spare)
		ballast_frame_free(map->pool, spare);
	return err;
}

/**
 * ballast_map_zero_tail() - zero the last page behind the end of file
 * @map: of which
 * @size: the new end
 *
 * May take the pool a page over its limit: a file must not be refused to become
 * smaller.  Mostly truncate gives back more.
 *
 * Return: 0; -ENOMEM; -EIO if the last page is broken memory.
 */
int ballast_map_zero_tail(struct ballast_map *map, loff_t size)
{
	int srcu, err;

	if (!offset_in_page(size))
		return 0;
	srcu = ballast_map_enter();
	err = zero_part(map, size, round_up(size, PAGE_SIZE), true);
	ballast_map_leave(srcu);
	return err;
}

/* Give back whole pages first to last - 1. */
static void punch(struct ballast_map *map, pgoff_t first, pgoff_t last)
{
	unsigned long index = first >> BALLAST_BLOCK_SHIFT;
	unsigned long last_index = (last - 1) >> BALLAST_BLOCK_SHIFT;
	struct ballast_block *block;

	/* all at once; what is touched again meanwhile is unmapped below */
	unmap_mapping_pages(map->inode->i_mapping, first, last - first, false);
	xa_for_each_range(&map->blocks, index, block, index, last_index) {
		pgoff_t base = block->index << BALLAST_BLOCK_SHIFT;
		pgoff_t from = max(first, base) - base;
		pgoff_t to = min(last - base, BALLAST_BLOCK_SLOTS) - 1;

		empty_slots(block, from, to, BALLAST_HOLE);
		cond_resched();
	}
}

/**
 * ballast_map_zero() - punch a hole
 * @map: in which
 * @start: first byte
 * @end: first byte behind
 *
 * Whole pages are given back, parts of pages overwritten.  Against faults each
 * slot is on its own: there is no file-wide lock.
 *
 * Context: process; sleeps.
 * Return: 0; -ENOSPC if part of a shared page is to be zeroed and the pool is
 * full; -EIO if part of a page of broken memory is.
 */
int ballast_map_zero(struct ballast_map *map, loff_t start, loff_t end)
{
	pgoff_t first = DIV_ROUND_UP(start, PAGE_SIZE), last = end >> PAGE_SHIFT;
	int srcu = ballast_map_enter(), err = 0;

	if (offset_in_page(start))
		err = zero_part(map, start, min_t(loff_t, end,
						  (loff_t)first << PAGE_SHIFT), false);
	if (!err && offset_in_page(end) && last >= first)
		err = zero_part(map, (loff_t)last << PAGE_SHIFT, end, false);
	if (!err && last > first)
		punch(map, first, last);
	ballast_map_leave(srcu);
	return err;
}

/**
 * ballast_map_sum() - a file's slots by state
 * @map: of which
 * @sum: result; not below zero
 */
void ballast_map_sum(struct ballast_map *map, struct ballast_map_counts *sum)
{
	int cpu;

	memset(sum, 0, sizeof(*sum));
	for_each_possible_cpu(cpu) {
		struct ballast_map_counts *c = per_cpu_ptr(map->counts, cpu);

		sum->private_slots += READ_ONCE(c->private_slots);
		sum->shared_slots += READ_ONCE(c->shared_slots);
		sum->zero_slots += READ_ONCE(c->zero_slots);
		sum->compressed_slots += READ_ONCE(c->compressed_slots);
		sum->swapped_slots += READ_ONCE(c->swapped_slots);
	}
	sum->private_slots = max(sum->private_slots, 0L);
	sum->shared_slots = max(sum->shared_slots, 0L);
	sum->zero_slots = max(sum->zero_slots, 0L);
	sum->compressed_slots = max(sum->compressed_slots, 0L);
	sum->swapped_slots = max(sum->swapped_slots, 0L);
}

/* ballast_maps_bytes() - memory that all blocks take */
u64 ballast_maps_bytes(void)
{
	return atomic_long_read(&block_bytes);
}

/* ballast_maps_exit() - wait for what is freed by SRCU; no map is left */
void ballast_maps_exit(void)
{
	srcu_barrier(&ballast_map_srcu);
	WARN_ON_ONCE(!xa_empty(&maps));
	xa_destroy(&maps);
}
