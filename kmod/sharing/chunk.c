// SPDX-License-Identifier: GPL-2.0
/*
 * One page of the sharing index: a small hash table of packed entries.
 *
 * DOC: A chunk has 64 buckets of one cache line, ten entries of 48 bits each:
 * 34 bits of location, one bit hint or shared frame, 13 bits of the hash.  A
 * hash names one bucket, and with its 13 bits a second one; its entry lies in
 * either.  From an entry and the bucket it is in the other bucket follows, so
 * that an insertion that finds both full can move one entry on (as a cuckoo
 * filter does); chunks fill to 95 % and more, on average, before that fails.  The
 * 13 bits keep most wrong entries from being looked at; the whole hash is compared
 * by the caller, with what is known of the page that the entry names.
 *
 * Hints may be lost: one that is in the way of an insertion is overwritten,
 * which costs at worst a match found one pass later.  Which one, the hash and
 * the caller's turn say: no place is spared and keeps an old hint for ever, and
 * two passes over the same pages do not lose the same hints.  Shared frames are
 * never lost.
 */
#include "chunk.h"

#define SHARED_BIT	BALLAST_LOCATION_BITS
#define TAG_SHIFT	(BALLAST_LOCATION_BITS + 1)
#define TAG_BITS	13
#define TAG_FROM_HASH	6	/* below: the first bucket's number */
#define VICTIM_FROM_HASH (TAG_FROM_HASH + TAG_BITS)

static u64 tag_of(u64 hash)
{
	return (hash >> TAG_FROM_HASH) & ((1ULL << TAG_BITS) - 1);
}

/* The other bucket of an entry with @tag that is in @bucket; never the same. */
static unsigned int other_bucket(unsigned int bucket, u64 tag)
{
	return bucket ^ (1 + tag % (BALLAST_CHUNK_BUCKETS - 1));
}

static unsigned int bucket_of(u64 hash, unsigned int which)
{
	unsigned int first = hash % BALLAST_CHUNK_BUCKETS;

	return which ? other_bucket(first, tag_of(hash)) : first;
}

static u64 pack(u64 hash, struct ballast_entry entry)
{
	return entry.location | (u64)entry.shared << SHARED_BIT |
	       tag_of(hash) << TAG_SHIFT;
}

static struct ballast_entry unpack(u64 packed)
{
	return (struct ballast_entry) {
		.location = packed & BALLAST_LOCATION_MAX,
		.shared = packed >> SHARED_BIT & 1,
	};
}

static u64 load(const u8 *entry)
{
	u32 low;
	u16 high;

	memcpy(&low, entry, sizeof(low));
	memcpy(&high, entry + sizeof(low), sizeof(high));
	return low | (u64)high << 32;
}

static void store(u8 *entry, u64 packed)
{
	u32 low = (u32)packed;
	u16 high = (u16)(packed >> 32);

	memcpy(entry, &low, sizeof(low));
	memcpy(entry + sizeof(low), &high, sizeof(high));
}

/* Place @n of the 20 that @hash may lie in. */
static const u8 *place_of(const struct ballast_chunk *chunk, u64 hash,
			  unsigned int n)
{
	unsigned int which = n / BALLAST_BUCKET_ENTRIES;

	return chunk->bucket[bucket_of(hash, which)]
		.entry[n % BALLAST_BUCKET_ENTRIES];
}

static u8 *exact_place(struct ballast_chunk *chunk, u64 hash,
		       struct ballast_entry entry)
{
	u64 wanted = pack(hash, entry);
	unsigned int n;

	for (n = 0; n < 2 * BALLAST_BUCKET_ENTRIES; n++) {
		const u8 *place = place_of(chunk, hash, n);

		if (load(place) == wanted)
			return (u8 *)place;
	}
	return NULL;
}

/**
 * ballast_chunk_find() - the next entry that may be @hash's
 * @chunk: where to look
 * @hash: whose
 * @cursor: zeroed before the first call of a search
 * @found: the entry
 *
 * An entry found has 13 bits of @hash in common; the rest is the caller's to
 * compare.
 *
 * Context: the caller keeps the chunk from changing.
 * Return: false if there is none left.
 */
bool ballast_chunk_find(const struct ballast_chunk *chunk, u64 hash,
			struct ballast_chunk_cursor *cursor,
			struct ballast_entry *found)
{
	u64 tag = tag_of(hash);

	while (cursor->next < 2 * BALLAST_BUCKET_ENTRIES) {
		u64 packed = load(place_of(chunk, hash, cursor->next++));

		if (packed && packed >> TAG_SHIFT == tag) {
			*found = unpack(packed);
			return true;
		}
	}
	return false;
}

/* A free place of a bucket, or NULL; @free counts them. */
static u8 *free_place(struct ballast_chunk *chunk, unsigned int bucket,
		      unsigned int *free)
{
	u8 *found = NULL;
	unsigned int i;

	*free = 0;
	for (i = 0; i < BALLAST_BUCKET_ENTRIES; i++) {
		u8 *place = chunk->bucket[bucket].entry[i];

		if (load(place))
			continue;
		(*free)++;
		found = place;
	}
	return found;
}

/* Move one entry of the bucket to its other one; returns the place it left. */
static u8 *make_room(struct ballast_chunk *chunk, unsigned int bucket)
{
	unsigned int i, free;

	for (i = 0; i < BALLAST_BUCKET_ENTRIES; i++) {
		u8 *from = chunk->bucket[bucket].entry[i], *to;
		u64 packed = load(from);

		to = free_place(chunk, other_bucket(bucket, packed >> TAG_SHIFT), &free);
		if (!to)
			continue;
		store(to, packed);
		store(from, 0);
		return from;
	}
	return NULL;
}

/* A hint of either bucket, or NULL. */
static u8 *hint_place(struct ballast_chunk *chunk, u64 hash, unsigned int turn)
{
	unsigned int places = 2 * BALLAST_BUCKET_ENTRIES;
	unsigned int n, start = ((hash >> VICTIM_FROM_HASH) + turn) % places;

	for (n = 0; n < places; n++) {
		u8 *place = (u8 *)place_of(chunk, hash, (start + n) % places);

		if (!unpack(load(place)).shared)
			return place;
	}
	return NULL;
}

/* Where to put an entry: the emptier bucket, else room made, else a hint's. */
static u8 *victim_place(struct ballast_chunk *chunk, u64 hash, unsigned int turn)
{
	unsigned int buckets[2] = { bucket_of(hash, 0), bucket_of(hash, 1) };
	unsigned int free[2];
	u8 *place[2];

	place[0] = free_place(chunk, buckets[0], &free[0]);
	place[1] = free_place(chunk, buckets[1], &free[1]);
	if (free[0] || free[1])
		return place[free[1] > free[0]];
	return make_room(chunk, buckets[0]) ?: make_room(chunk, buckets[1]) ?:
	       hint_place(chunk, hash, turn);
}

/**
 * ballast_chunk_insert() - add an entry
 * @chunk: to which
 * @hash: of the content
 * @entry: where the content is
 * @turn: if a hint is to be overwritten: another number takes another one
 *
 * Context: the caller has the chunk to itself.
 * Return: 0; 1 if a hint was overwritten for it; -ENOSPC if there are shared
 * frames in every place.
 */
int ballast_chunk_insert(struct ballast_chunk *chunk, u64 hash,
			 struct ballast_entry entry, unsigned int turn)
{
	u8 *place = victim_place(chunk, hash, turn);
	bool overwritten;

	if (!place)
		return -ENOSPC;
	overwritten = load(place) != 0;
	store(place, pack(hash, entry));
	return overwritten;
}

/**
 * ballast_chunk_remove() - take an entry out
 * @chunk: of which
 * @hash: it was inserted with
 * @entry: exactly as inserted
 *
 * Context: the caller has the chunk to itself.
 * Return: false if it is not there.
 */
bool ballast_chunk_remove(struct ballast_chunk *chunk, u64 hash,
			  struct ballast_entry entry)
{
	u8 *place = exact_place(chunk, hash, entry);

	if (!place)
		return false;
	store(place, 0);
	return true;
}

/**
 * ballast_chunk_replace() - put @new in @old's place
 * @chunk: of which
 * @hash: of both
 * @old: exactly as inserted
 * @new: what to have there
 *
 * Context: the caller has the chunk to itself.
 * Return: false if @old is not there.
 */
bool ballast_chunk_replace(struct ballast_chunk *chunk, u64 hash,
			   struct ballast_entry old, struct ballast_entry new)
{
	u8 *place = exact_place(chunk, hash, old);

	if (!place)
		return false;
	store(place, pack(hash, new));
	return true;
}

/**
 * ballast_chunk_at() - walk a chunk
 * @chunk: which
 * @place: 0 to BALLAST_CHUNK_ENTRIES - 1
 * @entry: what is there
 *
 * Context: the caller keeps the chunk from changing.
 * Return: false if the place is empty.
 */
bool ballast_chunk_at(const struct ballast_chunk *chunk, unsigned int place,
		      struct ballast_entry *entry)
{
	const struct ballast_bucket *b =
		&chunk->bucket[place / BALLAST_BUCKET_ENTRIES];
	u64 packed = load(b->entry[place % BALLAST_BUCKET_ENTRIES]);

	*entry = unpack(packed);
	return packed != 0;
}

/**
 * ballast_chunk_keep() - take an entry out if it is not @hash's
 * @chunk: which
 * @place: as for ballast_chunk_at()
 * @hash: what the entry's page has now
 *
 * Context: the caller has the chunk to itself.
 * Return: true if the entry could have been inserted with @hash, and stays.
 */
bool ballast_chunk_keep(struct ballast_chunk *chunk, unsigned int place, u64 hash)
{
	unsigned int bucket = place / BALLAST_BUCKET_ENTRIES;
	u8 *at = chunk->bucket[bucket].entry[place % BALLAST_BUCKET_ENTRIES];

	if (load(at) >> TAG_SHIFT == tag_of(hash) &&
	    (bucket == bucket_of(hash, 0) || bucket == bucket_of(hash, 1)))
		return true;
	store(at, 0);
	return false;
}

/**
 * ballast_chunk_alike() - would a search for one hash find the other's entry?
 * @hash: of the search
 * @other: of an entry in the same chunk
 *
 * One in some thousands does; such an entry is not the wanted one, and right
 * where it is.
 */
bool ballast_chunk_alike(u64 hash, u64 other)
{
	return tag_of(hash) == tag_of(other) &&
	       (bucket_of(other, 0) == bucket_of(hash, 0) ||
		bucket_of(other, 0) == bucket_of(hash, 1));
}
