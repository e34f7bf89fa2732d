/* SPDX-License-Identifier: GPL-2.0 */
/* The memory of one file: blocks of slots. */
#ifndef BALLAST_MEMORY_MAP_H
#define BALLAST_MEMORY_MAP_H

#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/srcu.h>
#include <linux/xarray.h>

#include "pool.h"

#define BALLAST_BLOCK_SHIFT	9
#define BALLAST_BLOCK_SLOTS	(1UL << BALLAST_BLOCK_SHIFT)

/**
 * struct ballast_map_counts - slots of one file by state, per CPU
 * @private_slots: state private
 * @shared_slots: state shared
 * @zero_slots: holes that the scanner made of pages of zeroes
 * @compressed_slots: state compressed
 * @swapped_slots: state swapped
 *
 * One CPU's numbers may be negative; the sums are right when nothing moves.
 * Written by the slot state setter alone.
 */
struct ballast_map_counts {
	long private_slots;
	long shared_slots;
	long zero_slots;
	long compressed_slots;
	long swapped_slots;
};

/**
 * struct ballast_map - the memory of one file
 * @kref: one of the inode, one of whoever got it from ballast_map_next()
 * @pool: holds a reference
 * @inode: valid until ballast_map_kill() returns; others look at it only under
 *	@scan_lock, after they saw that @dead is not set
 * @id: in the list of maps, 2 and up; the sharing domain of sharing=vm
 * @blocks: block index -> struct ballast_block; blocks are freed after a
 *	grace period of ballast_map_srcu
 * @counts: slots by state
 * @scan_lock: keeps @inode alive for the scanner; taken before slot locks
 * @dead: the inode is going; set once, under @scan_lock
 * @scan_pass: last pass of the scanner that is complete here; the scanner's own
 * @scan_next: where the scanner goes on; the scanner's own
 * @scan_slice: the slice that @scan_done counts for; the scanner's own
 * @scan_done: slots scanned in it; the scanner's own
 * @stored_lock: protects the two lists and @stored_bytes; innermost, see store.c
 * @stored: its compressed pages, the oldest first
 * @unwritten: its frames that wait to be written to the swap file
 * @stored_bytes: what its compressed pages take
 * @reclaim_next: block where reclaim goes on; under @scan_lock
 * @excess_pages: what its VM has above its target, for reclaim: set by the
 *	engine, counted down by reclaim
 * @control: the control layer's
 * @srcu: to free it by
 */
struct ballast_map {
	struct kref kref;
	struct ballast_pool *pool;
	struct inode *inode;
	u32 id;
	struct xarray blocks;
	struct ballast_map_counts __percpu *counts;
	struct mutex scan_lock;
	bool dead;
	u64 scan_pass;
	pgoff_t scan_next;
	u64 scan_slice;
	unsigned long scan_done;
	spinlock_t stored_lock;
	struct list_head stored;
	struct list_head unwritten;
	unsigned long stored_bytes;
	unsigned long reclaim_next;
	atomic_long_t excess_pages;
	void *control;
	struct rcu_head srcu;
};

/**
 * struct ballast_block - 512 slots, 2 MiB of guest memory
 * @map: whose
 * @index: block number in the file
 * @id: in pool->blocks, for hints
 * @slots: one word each, see slot.h
 * @srcu: to free it by
 */
struct ballast_block {
	struct ballast_map *map;
	unsigned long index;
	u32 id;
	unsigned long *slots;
	struct rcu_head srcu;
};

extern struct srcu_struct ballast_map_srcu;

/* Blocks found between enter and leave stay valid; may sleep in between. */
static inline int ballast_map_enter(void)
{
	return srcu_read_lock(&ballast_map_srcu);
}

static inline void ballast_map_leave(int srcu)
{
	srcu_read_unlock(&ballast_map_srcu, srcu);
}

struct ballast_map *ballast_map_create(struct ballast_pool *pool,
				       struct inode *inode);
void ballast_map_kill(struct ballast_map *map);
void ballast_map_get(struct ballast_map *map);
void ballast_map_put(struct ballast_map *map);
void ballast_map_set_file_operations(const struct file_operations *fops);
struct ballast_map *ballast_map_of_file(const struct file *file);
struct ballast_map *ballast_map_next(unsigned long *id);
bool ballast_maps_exist(void);

struct ballast_block *ballast_map_block(struct ballast_map *map,
					unsigned long index);
struct ballast_block *ballast_map_add_block(struct ballast_map *map,
					    unsigned long index);
struct ballast_block *ballast_pool_block(struct ballast_pool *pool, u32 id);

void ballast_map_truncate(struct ballast_map *map, loff_t size);
int ballast_map_zero_tail(struct ballast_map *map, loff_t size);
int ballast_map_zero(struct ballast_map *map, loff_t start, loff_t end);
void ballast_map_sum(struct ballast_map *map, struct ballast_map_counts *sum);
u64 ballast_maps_bytes(void);
void ballast_maps_exit(void);

#endif /* BALLAST_MEMORY_MAP_H */
