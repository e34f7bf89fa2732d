// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/debug/ballast: dumps for tests and for the curious.
 *
 * DOC: "slots" has a line for each slot that is not a plain hole: pool, inode,
 * page, state, flags, page frame number, sharers, references, mappings.  A
 * snapshot it is not: slots
 * change while it is read.  Nothing here is an interface.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/seq_file.h>

#include "../memory/slot.h"
#include "control.h"

static struct dentry *directory;

/* The position: map id above, block index below. */
#define INDEX_BITS	31
#define INDEX_MASK	((1ULL << INDEX_BITS) - 1)

/* The map with at least this id, referenced, and the position it is at. */
static struct ballast_map *map_at(loff_t *pos)
{
	unsigned long id = *pos >> INDEX_BITS, wanted = id;
	struct ballast_map *map;

	if (id)
		id--;
	map = ballast_map_next(&id);
	if (map && id != wanted)
		*pos = (loff_t)id << INDEX_BITS;
	return map;
}

static void *start(struct seq_file *m, loff_t *pos)
{
	struct ballast_map *map;
	unsigned long index;
	bool found;
	int srcu;

	while ((map = map_at(pos))) {
		index = *pos & INDEX_MASK;
		srcu = ballast_map_enter();
		found = xa_find(&map->blocks, &index, INDEX_MASK, XA_PRESENT);
		ballast_map_leave(srcu);
		*pos = (*pos & ~INDEX_MASK) | index;
		if (found) {
			m->private = (void *)index;
			return map;
		}
		*pos = (*pos | INDEX_MASK) + 1;
		ballast_map_put(map);
	}
	return NULL;
}

static void stop(struct seq_file *m, void *v)
{
	if (v)
		ballast_map_put(v);
}

static void *next(struct seq_file *m, void *v, loff_t *pos)
{
	stop(m, v);
	(*pos)++;
	return start(m, pos);
}

static void show_slot(struct seq_file *m, struct ballast_map *map,
		      struct ballast_slot *slot, unsigned long ino)
{
	static const char * const names[] = {
		"hole", "private", "shared", "gone", "compressed", "swapped"
	};
	unsigned long word = ballast_slot_peek(slot);
	enum ballast_slot_state state = ballast_word_state(word);
	unsigned long pfn = ballast_word_is_stored(word) ? 0 : ballast_word_pfn(word);
	int sharers = 0, references = 0, mappings = 0;

	if (state == BALLAST_HOLE && !(word & BALLAST_SLOT_ZEROED))
		return;
	if (pfn) {
		references = page_count(pfn_to_page(pfn));
		mappings = ballast_page_mapcount(pfn_to_page(pfn));
	}
	if (state == BALLAST_SHARED)
		sharers = atomic_read(ballast_frame_sharers(pfn_to_page(pfn)));
	seq_printf(m, "%s %lu %lu %s %lx %lx %d %d %d\n", map->pool->name, ino,
		   slot->pgoff, names[state],
		   word & (BALLAST_SLOT_MAPPED | BALLAST_SLOT_ZEROED), pfn, sharers,
		   references, mappings);
}

static int show(struct seq_file *m, void *v)
{
	unsigned long i, index = (unsigned long)m->private, ino;
	struct ballast_map *map = v;
	struct ballast_block *block;
	struct ballast_slot slot;
	int srcu;

	mutex_lock(&map->scan_lock);
	ino = map->dead ? 0 : map->inode->i_ino;
	mutex_unlock(&map->scan_lock);
	srcu = ballast_map_enter();
	block = ballast_map_block(map, index);
	for (i = 0; block && i < BALLAST_BLOCK_SLOTS; i++) {
		ballast_slot_init(&slot, block, (index << BALLAST_BLOCK_SHIFT) + i);
		show_slot(m, map, &slot, ino);
	}
	ballast_map_leave(srcu);
	return 0;
}

static const struct seq_operations slots_sops = {
	.start = start,
	.next = next,
	.stop = stop,
	.show = show,
};
DEFINE_SEQ_ATTRIBUTE(slots);

void __init ballast_control_debugfs_init(void)
{
	directory = debugfs_create_dir("ballast", NULL);
	debugfs_create_file("slots", 0400, directory, NULL, &slots_fops);
}

void ballast_control_debugfs_exit(void)
{
	debugfs_remove_recursive(directory);
}
