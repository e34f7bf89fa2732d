// SPDX-License-Identifier: GPL-2.0
/* Reading what was written to a file, once for all files. */
#include <linux/kstrtox.h>
#include <linux/mm.h>

#include "control.h"

/* A number that no word holds is as bad as one beyond the limit of its file. */
static int einval(int err)
{
	return err == -ERANGE ? -EINVAL : err;
}

/**
 * ballast_store_u32() - a number within limits
 * @buf: what was written
 * @count: its length
 * @word: where it goes; untouched on error
 * @min: smallest
 * @max: largest
 *
 * Return: @count or -EINVAL.
 */
ssize_t ballast_store_u32(const char *buf, size_t count, u32 *word, u32 min, u32 max)
{
	u32 value;
	int err = kstrtou32(buf, 10, &value);

	if (err)
		return einval(err);
	if (value < min || value > max)
		return -EINVAL;
	WRITE_ONCE(*word, value);
	return count;
}

/**
 * ballast_store_pages() - a number of bytes, kept in pages
 * @buf: what was written
 * @count: its length
 * @word: where it goes, rounded down; untouched on error
 *
 * Return: @count or -EINVAL.
 */
ssize_t ballast_store_pages(const char *buf, size_t count, u64 *word)
{
	u64 value;
	int err = kstrtou64(buf, 10, &value);

	if (err)
		return einval(err);
	WRITE_ONCE(*word, value >> PAGE_SHIFT);
	return count;
}

/**
 * ballast_store_token() - one word of a list
 * @buf: what was written
 * @count: its length
 * @word: where its number goes; untouched on error
 * @tokens: the list
 * @nr: its length
 *
 * Return: @count or -EINVAL.
 */
ssize_t ballast_store_token(const char *buf, size_t count, u32 *word,
			    const char * const *tokens, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		if (sysfs_streq(buf, tokens[i])) {
			WRITE_ONCE(*word, i);
			return count;
		}
	}
	return -EINVAL;
}

u64 ballast_pages_to_bytes(u64 pages)
{
	return pages << PAGE_SHIFT;
}
