/* SPDX-License-Identifier: GPL-2.0 */
/* Numbers as people write them, and sums that cannot overflow. */
#ifndef BALLAST_TOOLS_NUMBER_H
#define BALLAST_TOOLS_NUMBER_H

#include <stddef.h>
#include <stdint.h>

int ballast_parse_u64(const char *text, uint64_t *value);
int ballast_parse_size(const char *text, uint64_t *bytes);
void ballast_format_size(uint64_t bytes, char *text, size_t room);

static inline uint64_t ballast_add(uint64_t a, uint64_t b)
{
	return a + b < a ? UINT64_MAX : a + b;
}

static inline uint64_t ballast_sub(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static inline uint64_t ballast_min(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* @bp basis points of @whole */
static inline uint64_t ballast_share(uint64_t whole, uint64_t bp)
{
	return (uint64_t)((unsigned __int128)whole * bp / 10000);
}

#endif /* BALLAST_TOOLS_NUMBER_H */
