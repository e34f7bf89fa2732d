/* SPDX-License-Identifier: GPL-2.0 */
/* A pool's swap file. */
#ifndef BALLAST_STORE_SWAP_H
#define BALLAST_STORE_SWAP_H

#include <linux/types.h>

struct ballast_swap;
struct page;

#define BALLAST_SWAP_BATCH	32	/* pages in one write: 128 KiB */
#define BALLAST_SWAP_CHECK_BITS	24	/* of ballast_swap_check() */

struct ballast_swap *ballast_swap_open(const char *path, u64 limit_bytes,
				       const char **why);
void ballast_swap_close(struct ballast_swap *swap);

unsigned int ballast_swap_alloc(struct ballast_swap *swap, unsigned int want, u32 *first);
void ballast_swap_free(struct ballast_swap *swap, u32 slot);
void ballast_swap_mark_bad(struct ballast_swap *swap, u32 slot);

int ballast_swap_write(struct ballast_swap *swap, u32 first, struct page **pages,
		       unsigned int n);
int ballast_swap_read(struct ballast_swap *swap, u32 slot, struct page *page);
u32 ballast_swap_check(struct ballast_swap *swap, u32 slot, struct page *page);

u64 ballast_swap_size_pages(const struct ballast_swap *swap);
u64 ballast_swap_free_pages(const struct ballast_swap *swap);

#endif /* BALLAST_STORE_SWAP_H */
