// SPDX-License-Identifier: GPL-2.0
/*
 * Which slots of a swap file are in use.
 *
 * DOC: A bit for each slot, and above that a tree: a bit of a level says that a
 * word of the level below has no clear bit.  The next free slot from any place on
 * is found in as many steps up and down as there are levels, at most six, however
 * full the map is and wherever that slot lies.
 *
 * A search goes on where the last one ended: what is written together lies
 * together, and what was freed is taken again only when the end has been reached.
 * It wants all its slots in one run, since a run is one write.  In a fragmented
 * map it looks at a fixed number of runs and takes the longest of them: a batch in
 * two pieces costs a request, a long search costs everybody who waits for the lock.
 *
 * A bad slot stays in use for ever.  A second bit tells it from one that holds
 * something, so that nobody can free it by mistake.
 */
#include "swapmap.h"

#define BITS		64U
#define RUNS_LOOKED_AT	32

static u32 words_for(u32 bits)
{
	return bits / BITS + (bits % BITS != 0);
}

/**
 * ballast_swapmap_bytes() - memory that a map needs
 * @slots: of so many slots
 */
size_t ballast_swapmap_bytes(u32 slots)
{
	u32 words = words_for(slots);
	size_t sum = words;	/* the bad ones */

	sum += words;
	while (words > 1) {
		words = words_for(words);
		sum += words;
	}
	return sum * sizeof(u64);
}

static bool get(const u64 *bits, u32 n)
{
	return bits[n / BITS] >> n % BITS & 1;
}

static void set(u64 *bits, u32 n)
{
	bits[n / BITS] |= 1ULL << n % BITS;
}

static void clear(u64 *bits, u32 n)
{
	bits[n / BITS] &= ~(1ULL << n % BITS);
}

/* The bits of the last word that stand for nothing are never free. */
static void set_beyond(u64 *bits, u32 n)
{
	if (n % BITS)
		bits[n / BITS] |= ~0ULL << n % BITS;
}

/**
 * ballast_swapmap_init() - all slots free
 * @map: to be made
 * @slots: how many
 * @memory: ballast_swapmap_bytes(@slots) of it, all zero, aligned for u64; the
 *	map's as long as that is used
 */
void ballast_swapmap_init(struct ballast_swapmap *map, u32 slots, void *memory)
{
	u64 *at = memory;
	u32 bits = slots;

	*map = (struct ballast_swapmap) { .slots = slots, .free = slots };
	map->broken = at;
	at += words_for(slots);
	do {
		u32 words = words_for(bits);

		map->bits[map->levels] = bits;
		map->full[map->levels++] = at;
		set_beyond(at, bits);
		at += words;
		bits = words;
	} while (bits > 1);
}

/* The first free slot from @from on; map->slots if there is none. */
static u32 next_free(const struct ballast_swapmap *map, u32 from)
{
	unsigned int level = 0;
	u32 at = from;
	u64 clear_bits;

	/* up, until a word has a clear bit at or behind the place */
	for (;;) {
		if (at >= map->bits[level])
			return map->slots;
		clear_bits = ~map->full[level][at / BITS] & ~0ULL << at % BITS;
		at /= BITS;
		if (clear_bits)
			break;
		at++;
		if (++level == map->levels)
			return map->slots;
	}
	/* and down: the bit is clear, so the word that it stands for has a clear one */
	at = at * BITS + __builtin_ctzll(clear_bits);
	while (level--)
		at = at * BITS + __builtin_ctzll(~map->full[level][at]);
	return at;
}

/* Free slots from @first on, which is free; no more than @want are counted. */
static u32 run_length(const struct ballast_swapmap *map, u32 first, u32 want)
{
	u32 slot = first, left = map->slots - first;

	if (want > left)
		want = left;
	while (slot - first < want) {
		u64 in_use = map->full[0][slot / BITS] >> slot % BITS;

		if (in_use) {
			slot += __builtin_ctzll(in_use);
			break;
		}
		slot += BITS - slot % BITS;
	}
	return slot - first < want ? slot - first : want;
}

/* A search: for how many, what was found, how many more runs it may look at. */
struct search {
	u32 want;
	u32 first;
	u32 count;
	unsigned int runs;
};

/* Runs that begin in @from to @end: the first that is long enough, or the longest. */
static void find_run(const struct ballast_swapmap *map, struct search *search,
		     u32 from, u32 end)
{
	u32 slot = next_free(map, from);

	while (slot < end && search->count < search->want && search->runs) {
		u32 count = run_length(map, slot, search->want);

		if (count > search->count) {
			search->count = count;
			search->first = slot;
		}
		search->runs--;
		slot = next_free(map, slot + count);
	}
}

static void take(struct ballast_swapmap *map, u32 slot)
{
	unsigned int level;

	for (level = 0; level < map->levels; level++) {
		set(map->full[level], slot);
		slot /= BITS;
		if (map->full[level][slot] != ~0ULL)
			break;
	}
	map->free--;
}

/**
 * ballast_swapmap_alloc() - take slots that lie together
 * @map: of which
 * @want: how many at most
 * @first: result: the first of them; nothing if there is none
 *
 * Return: how many; 0 only if none is free, or none is wanted.
 */
u32 ballast_swapmap_alloc(struct ballast_swapmap *map, u32 want, u32 *first)
{
	struct search search = { .want = want, .runs = RUNS_LOOKED_AT };
	u32 n;

	find_run(map, &search, map->next, map->slots);
	find_run(map, &search, 0, map->next);
	if (!search.count)
		return 0;
	for (n = 0; n < search.count; n++)
		take(map, search.first + n);
	map->next = search.first + search.count;
	*first = search.first;
	return search.count;
}

/* It holds something: its place may be given back, or found to be bad. */
static int check_used(const struct ballast_swapmap *map, u32 slot)
{
	if (slot >= map->slots)
		return -ERANGE;
	return get(map->full[0], slot) && !get(map->broken, slot) ? 0 : -EINVAL;
}

/**
 * ballast_swapmap_free() - give a slot back
 * @map: of which
 * @slot: which
 *
 * Return: 0; -ERANGE: there is no such slot; -EINVAL: it is free, or bad.
 * Nothing has changed then.
 */
int ballast_swapmap_free(struct ballast_swapmap *map, u32 slot)
{
	int err = check_used(map, slot);
	unsigned int level;

	if (err)
		return err;
	for (level = 0; level < map->levels; level++) {
		bool was_full = map->full[level][slot / BITS] == ~0ULL;

		clear(map->full[level], slot);
		if (!was_full)
			break;
		slot /= BITS;
	}
	map->free++;
	return 0;
}

/**
 * ballast_swapmap_mark_bad() - what a slot holds is given up, and its place too
 * @map: of which
 * @slot: which
 *
 * Return: as ballast_swapmap_free().
 */
int ballast_swapmap_mark_bad(struct ballast_swapmap *map, u32 slot)
{
	int err = check_used(map, slot);

	if (err)
		return err;
	set(map->broken, slot);
	map->bad++;
	return 0;
}
