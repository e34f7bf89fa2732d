/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one seam of the pure code: kernel types in the module, stdint in the
 * unit tests.
 *
 * DOC: Pure code is arithmetic on plain structures: no clocks, no locks, no
 * allocation.  All amounts are bytes, so that it does not matter how large a
 * page is.  The driver is packaged without the rest of Ballast, so this is its own.
 */
#ifndef BALLAST_BALLOON_ENV_H
#define BALLAST_BALLOON_ENV_H

#ifdef __KERNEL__
#include <linux/string.h>
#include <linux/types.h>
#else
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
typedef uint32_t u32;
typedef uint64_t u64;
#endif

#define BALLAST_MIB	((u64)1 << 20)
/* what give-back is counted in: a huge page, of the guest and of the host */
#define BALLAST_UNIT_BYTES	(2 * BALLAST_MIB)

static inline u64 ballast_min(u64 a, u64 b)
{
	return a < b ? a : b;
}

static inline u64 ballast_max(u64 a, u64 b)
{
	return a > b ? a : b;
}

/* @a - @b, or nothing. */
static inline u64 ballast_less(u64 a, u64 b)
{
	return a > b ? a - b : 0;
}

#endif /* BALLAST_BALLOON_ENV_H */
