/* SPDX-License-Identifier: GPL-2.0 */
/* One page of the sharing index (pure code; see chunk.c). */
#ifndef BALLAST_SHARING_CHUNK_H
#define BALLAST_SHARING_CHUNK_H

#include "../policy/env.h"

#define BALLAST_CHUNK_BYTES		4096
#define BALLAST_CHUNK_BUCKETS		64
#define BALLAST_BUCKET_ENTRIES		10
#define BALLAST_CHUNK_ENTRIES	(BALLAST_CHUNK_BUCKETS * BALLAST_BUCKET_ENTRIES)
#define BALLAST_ENTRY_BYTES		6
#define BALLAST_LOCATION_BITS		34
#define BALLAST_LOCATION_MAX		((1ULL << BALLAST_LOCATION_BITS) - 1)

/**
 * struct ballast_bucket - one cache line of entries
 * @entry: 48 bits each, native order; all zero is an empty one
 * @unused: fills the line
 */
struct ballast_bucket {
	u8 entry[BALLAST_BUCKET_ENTRIES][BALLAST_ENTRY_BYTES];
	u8 unused[4];
};

/**
 * struct ballast_chunk - 4 KiB of the index
 * @bucket: an entry lies in one of the two that its hash names
 */
struct ballast_chunk {
	struct ballast_bucket bucket[BALLAST_CHUNK_BUCKETS];
};

/**
 * struct ballast_entry - one entry, unpacked
 * @location: of a hint the guest page (block id and slot), of a shared frame
 *	its page frame number; 1 to BALLAST_LOCATION_MAX
 * @shared: a shared frame, not a hint
 */
struct ballast_entry {
	u64 location;
	bool shared;
};

/**
 * struct ballast_chunk_cursor - where a search stands
 * @next: the next place to look at, 0 to 2 * BALLAST_BUCKET_ENTRIES
 */
struct ballast_chunk_cursor {
	unsigned int next;
};

bool ballast_chunk_find(const struct ballast_chunk *chunk, u64 hash,
			struct ballast_chunk_cursor *cursor,
			struct ballast_entry *found);
int ballast_chunk_insert(struct ballast_chunk *chunk, u64 hash,
			 struct ballast_entry entry, unsigned int turn);
bool ballast_chunk_remove(struct ballast_chunk *chunk, u64 hash,
			  struct ballast_entry entry);
bool ballast_chunk_replace(struct ballast_chunk *chunk, u64 hash,
			   struct ballast_entry old, struct ballast_entry new);
bool ballast_chunk_at(const struct ballast_chunk *chunk, unsigned int place,
		      struct ballast_entry *entry);
bool ballast_chunk_keep(struct ballast_chunk *chunk, unsigned int place, u64 hash);
bool ballast_chunk_alike(u64 hash, u64 other);

#endif /* BALLAST_SHARING_CHUNK_H */
