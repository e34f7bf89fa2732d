/* SPDX-License-Identifier: GPL-2.0 */
/* Admission: what a pool has promised, and whether it can promise more. */
#ifndef BALLAST_MEMORY_PROMISE_H
#define BALLAST_MEMORY_PROMISE_H

#include "map.h"

int ballast_promise_size(struct ballast_map *map, loff_t from, loff_t to);
int ballast_promise_min(struct ballast_pool *pool, u64 from, u64 to, bool force);
u64 ballast_promise_left(struct ballast_pool *pool);
u64 ballast_promise_min_left(struct ballast_pool *pool);
u64 ballast_promise_least_pages(struct ballast_pool *pool);

#endif /* BALLAST_MEMORY_PROMISE_H */
