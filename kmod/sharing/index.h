/* SPDX-License-Identifier: GPL-2.0 */
/* The index of a pool: where content has been seen. */
#ifndef BALLAST_SHARING_INDEX_H
#define BALLAST_SHARING_INDEX_H

#include "../memory/slot.h"
#include "chunk.h"

#define BALLAST_INDEX_HINTS_MAX	(2 * BALLAST_BUCKET_ENTRIES)

/* Sharing domains: who may share.  Those of sharing=vm are map ids, 2 and up. */
#define BALLAST_DOMAIN_NONE	0
#define BALLAST_DOMAIN_POOL	1

/**
 * struct ballast_index_match - what a look-up found
 * @shared: a frame with the wanted hash and domain, the caller counted among
 *	its sharers; or NULL
 * @hints: locations of pages that may have it
 * @hint_count: how many
 */
struct ballast_index_match {
	struct page *shared;
	u64 hints[BALLAST_INDEX_HINTS_MAX];
	unsigned int hint_count;
};

struct ballast_index *ballast_index_create(void);
void ballast_index_destroy(struct ballast_index *index);
bool ballast_index_move(struct ballast_pool *pool);
void ballast_index_fit(struct ballast_pool *pool, unsigned long pages);
u64 ballast_index_bytes(struct ballast_index *index);
u64 ballast_index_hints(struct ballast_index *index);

void ballast_index_lookup(struct ballast_pool *pool, u64 hash, u32 domain,
			  u64 own, struct ballast_index_match *match);
void ballast_index_put_hint(struct ballast_pool *pool, u64 hash, u64 location);
void ballast_index_drop_hint(struct ballast_pool *pool, u64 hash, u64 location);
bool ballast_index_publish(struct ballast_pool *pool, u64 hint, struct page *frame);

extern const struct ballast_share_ops ballast_index_share_ops;

#endif /* BALLAST_SHARING_INDEX_H */
