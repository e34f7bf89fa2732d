/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one seam of the pure code: kernel types in the module, stdint in the
 * unit tests and the simulator.
 *
 * DOC: Pure code is arithmetic and data structures on plain memory: no clocks,
 * no locks, no allocation.  It includes this file and its own headers only.
 */
#ifndef BALLAST_POLICY_ENV_H
#define BALLAST_POLICY_ENV_H

#ifdef __KERNEL__
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/string.h>
#include <linux/types.h>
#else
#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int64_t s64;
#endif

/* for products of 64-bit numbers; every 64-bit compiler has it */
typedef unsigned __int128 ballast_u128;

#endif /* BALLAST_POLICY_ENV_H */
