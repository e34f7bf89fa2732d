/* SPDX-License-Identifier: GPL-2.0 */
/* Scanning one slot. */
#ifndef BALLAST_SHARING_MERGE_H
#define BALLAST_SHARING_MERGE_H

#include "../memory/slot.h"
#include "hash.h"
#include "index.h"

/**
 * struct ballast_scan - the scanner's own, while it works on one map
 * @pool: of the map
 * @domain: of the map now; never BALLAST_DOMAIN_NONE
 * @spare: a page for the next shared copy, charged to nobody; or NULL
 * @match: room for a look-up's result
 */
struct ballast_scan {
	struct ballast_pool *pool;
	u32 domain;
	struct page *spare;
	struct ballast_index_match match;
};

u32 ballast_sharing_domain(const struct ballast_map *map,
			   enum ballast_sharing_mode mode);

/* With whom a map may share now. */
static inline u32 ballast_sharing_domain_now(const struct ballast_map *map)
{
	return ballast_sharing_domain(map, READ_ONCE(map->pool->sharing));
}

void ballast_scan_slot(struct ballast_scan *scan, struct ballast_slot *slot);
void ballast_merge_init(void);

#endif /* BALLAST_SHARING_MERGE_H */
