// SPDX-License-Identifier: GPL-2.0
/*
 * Keyed 64-bit hash of one page's content.
 *
 * DOC: The function is NH, the universal hash of UMAC (RFC 4418), on 64-bit
 * words, its 128-bit sum folded to 64 by one more keyed product.  NH is chosen
 * for its cost, one multiplication for 16 bytes, and for its proof: without
 * the key two different pages collide with a probability of about 2^-64,
 * whatever their authors choose.  A collision costs a compare, never data:
 * pages are always compared in full before they are shared.
 *
 * The sharing domain enters in the last step, so that one content in a
 * thousand VMs that may not share it spreads over the whole index.
 */
#include "hash.h"

typedef unsigned __int128 ballast_u128;

static u64 avalanche(u64 x)
{
	/* the 64-bit finaliser published with MurmurHash3 */
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	return x ^ (x >> 33);
}

/**
 * ballast_hash_page() - hash 4 KiB
 * @key: the secret
 * @page: 512 words; they may change meanwhile, the result is then no more
 *	than a hash of neither content
 * @domain: who may share with whom; equal content in two domains hashes apart
 *
 * Context: any; touches nothing but its arguments.
 */
u64 ballast_hash_page(const struct ballast_hash_key *key, const u64 *page,
		      u64 domain)
{
	const u64 *k = key->words;
	ballast_u128 even = 0, odd = 0;
	u64 lo, hi;
	int i;

	for (i = 0; i < BALLAST_HASH_WORDS; i += 4) {
		even += (ballast_u128)(page[i] + k[i]) *
			(page[i + 1] + k[i + 1]);
		odd += (ballast_u128)(page[i + 2] + k[i + 2]) *
		       (page[i + 3] + k[i + 3]);
	}
	even += odd;
	lo = (u64)even + key->fold[0];
	hi = (u64)(even >> 64) + key->fold[1];
	even = (ballast_u128)lo * hi;
	return avalanche((u64)even ^ (u64)(even >> 64) ^
			 (domain * 0x9e3779b97f4a7c15ULL));
}
