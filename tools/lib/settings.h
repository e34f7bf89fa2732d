/* SPDX-License-Identifier: GPL-2.0 */
/* What an admin may say about one VM: shares, min, max, tax. */
#ifndef BALLAST_TOOLS_SETTINGS_H
#define BALLAST_TOOLS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ballast_setting {
	BALLAST_SET_SHARES,
	BALLAST_SET_MIN,
	BALLAST_SET_MAX,
	BALLAST_SET_TAX,
	BALLAST_SETTINGS,
};

/**
 * struct ballast_settings - some of them
 * @given: bit 1 << setting for each that was given
 * @is_default: bit for each that was given as "default"
 * @value: bytes for min and max, basis points for tax
 */
struct ballast_settings {
	unsigned int given;
	unsigned int is_default;
	uint64_t value[BALLAST_SETTINGS];
};

int ballast_settings_find(const char *name);
const char *ballast_settings_name(enum ballast_setting setting);
const char *ballast_settings_file(enum ballast_setting setting);
int ballast_settings_parse(struct ballast_settings *settings, const char *name,
			   const char *text, char *why, size_t room);
int ballast_settings_assign(struct ballast_settings *settings, const char *argument,
			    char *why, size_t room);
void ballast_settings_merge(struct ballast_settings *to,
			    const struct ballast_settings *over);
bool ballast_settings_equal(const struct ballast_settings *a,
			    const struct ballast_settings *b);
void ballast_settings_order(const struct ballast_settings *settings, uint64_t min_now,
			    enum ballast_setting order[BALLAST_SETTINGS]);
struct ballast_settings ballast_settings_only(const struct ballast_settings *settings,
					      enum ballast_setting setting);
void ballast_settings_format(const struct ballast_settings *settings,
			     enum ballast_setting setting, char *text, size_t room);

#endif /* BALLAST_TOOLS_SETTINGS_H */
