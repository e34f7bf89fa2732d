/* SPDX-License-Identifier: GPL-2.0 */
/* Which slots of a swap file are in use (pure code; see swapmap.c). */
#ifndef BALLAST_STORE_SWAPMAP_H
#define BALLAST_STORE_SWAPMAP_H

#include "../policy/env.h"

#define BALLAST_SWAPMAP_MAX	0xffffffffU	/* slots */
#define BALLAST_SWAPMAP_LEVELS	6		/* 64^6 slots, more than there may be */

/**
 * struct ballast_swapmap - the slots of a swap file
 * @slots: how many there are
 * @free: of these, how many may be had
 * @bad: of these, how many are out of use for ever
 * @next: where the next search begins
 * @levels: of @full that are used
 * @bits: of each level of @full; what is above them in its last word is set
 * @full: level 0: the slot is in use, or bad; level n: the word of level n - 1
 *	has no clear bit
 * @broken: the slot is bad; as long as level 0
 */
struct ballast_swapmap {
	u32 slots;
	u32 free;
	u32 bad;
	u32 next;
	unsigned int levels;
	u32 bits[BALLAST_SWAPMAP_LEVELS];
	u64 *full[BALLAST_SWAPMAP_LEVELS];
	u64 *broken;
};

size_t ballast_swapmap_bytes(u32 slots);
void ballast_swapmap_init(struct ballast_swapmap *map, u32 slots, void *memory);
u32 ballast_swapmap_alloc(struct ballast_swapmap *map, u32 want, u32 *first);
int ballast_swapmap_free(struct ballast_swapmap *map, u32 slot);
int ballast_swapmap_mark_bad(struct ballast_swapmap *map, u32 slot);

/* Slots that hold something. */
static inline u32 ballast_swapmap_used(const struct ballast_swapmap *map)
{
	return map->slots - map->free - map->bad;
}

#endif /* BALLAST_STORE_SWAPMAP_H */
