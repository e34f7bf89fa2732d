// SPDX-License-Identifier: GPL-2.0
/* Numbers as people write them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "number.h"

/**
 * ballast_parse_u64() - a decimal number and nothing else
 * @text: digits; white space at the end is sysfs's newline
 * @value: result
 *
 * Return: 0, -EINVAL or -ERANGE.
 */
int ballast_parse_u64(const char *text, uint64_t *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	*value = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
	return end[strspn(end, " \t\n")] ? -EINVAL : 0;
}

/**
 * ballast_parse_size() - bytes, with k, m, g or t for 1024 and its powers
 * @text: "4G", "4GiB", "512 MiB", "1048576"
 * @bytes: result
 *
 * Return: 0, -EINVAL or -ERANGE.
 */
int ballast_parse_size(const char *text, uint64_t *bytes)
{
	static const char units[] = "kmgt";
	const char *unit;
	unsigned int shift = 0;
	uint64_t value;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
	end += strspn(end, " \t");
	unit = *end ? strchr(units, *end | 0x20) : NULL;
	if (unit) {
		shift = 10 * (unsigned int)(unit - units + 1);
		end++;
		if (!strncasecmp(end, "ib", 2))
			end += 2;
	} else if (!strcasecmp(end, "b") || !strcasecmp(end, "bytes")) {
		end = "";
	}
	if (end[strspn(end, " \t\n")])
		return -EINVAL;
	if (value > UINT64_MAX >> shift)
		return -ERANGE;
	*bytes = value << shift;
	return 0;
}

/**
 * ballast_format_size() - bytes for a reader: three digits and a unit
 * @bytes: how many
 * @text: result, "1.50 GiB"
 * @room: of @text; 16 are enough
 */
void ballast_format_size(uint64_t bytes, char *text, size_t room)
{
	static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	unsigned int unit = 0;

	while (value >= 1023.5 && unit < 6) {
		value /= 1024;
		unit++;
	}
	snprintf(text, room, "%.*f %s", unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2,
		 value, units[unit]);
}
