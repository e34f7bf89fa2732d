/* SPDX-License-Identifier: GPL-2.0 */
/* Keyed 64-bit hash of one page's content (pure code). */
#ifndef BALLAST_SHARING_HASH_H
#define BALLAST_SHARING_HASH_H

#include "../policy/env.h"

#define BALLAST_HASH_WORDS	512	/* one 4 KiB page in u64 */

/**
 * struct ballast_hash_key - the secret of the hash
 * @words: added to the page's words, one each
 * @fold: used once a page, to fold 128 bits to 64
 *
 * Filled with random bytes once at module load, never written again.
 */
struct ballast_hash_key {
	u64 words[BALLAST_HASH_WORDS];
	u64 fold[2];
};

u64 ballast_hash_page(const struct ballast_hash_key *key, const u64 *page,
		      u64 domain);

#endif /* BALLAST_SHARING_HASH_H */
