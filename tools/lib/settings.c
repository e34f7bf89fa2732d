// SPDX-License-Identifier: GPL-2.0
/*
 * What an admin may say about one VM.
 *
 * DOC: The same four words stand in a domain's metadata, in ballastd.conf and
 * on ballastctl's command line; they are read here, once.  "default" gives a
 * setting back to the module.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "number.h"
#include "settings.h"

static const struct {
	const char *name;
	const char *file;
	uint64_t most;
	bool bytes;
} table[BALLAST_SETTINGS] = {
	[BALLAST_SET_SHARES] = { "shares", "shares", 1000000000, false },
	[BALLAST_SET_MIN] = { "min", "min_bytes", INT64_MAX, true },
	[BALLAST_SET_MAX] = { "max", "max_bytes", INT64_MAX, true },
	[BALLAST_SET_TAX] = { "tax", "tax_bp", 9900, false },
};

/**
 * ballast_settings_find() - a setting by its name
 * @name: "shares", "min", "max" or "tax"
 *
 * Return: an enum ballast_setting, or -ENOENT.
 */
int ballast_settings_find(const char *name)
{
	int i;

	for (i = 0; i < BALLAST_SETTINGS; i++)
		if (!strcmp(name, table[i].name))
			return i;
	return -ENOENT;
}

/** ballast_settings_name() - what people call @setting */
const char *ballast_settings_name(enum ballast_setting setting)
{
	return table[setting].name;
}

/** ballast_settings_file() - the sysfs file of @setting in a VM's directory */
const char *ballast_settings_file(enum ballast_setting setting)
{
	return table[setting].file;
}

/**
 * ballast_settings_parse() - take one
 * @settings: where to; unchanged on error
 * @name: of the setting
 * @text: its value: a number, a size for min and max, or "default"
 * @why: on error, what is wrong with it, in words
 * @room: of @why
 *
 * Return: 0, -ENOENT for an unknown name, -EINVAL or -ERANGE.
 */
int ballast_settings_parse(struct ballast_settings *settings, const char *name,
			   const char *text, char *why, size_t room)
{
	int setting = ballast_settings_find(name), err;
	uint64_t value = 0;

	if (setting < 0) {
		snprintf(why, room, "no setting \"%s\" (shares, min, max, tax)", name);
		return setting;
	}
	if (!strcmp(text, "default")) {
		settings->is_default |= 1U << setting;
	} else {
		err = table[setting].bytes ? ballast_parse_size(text, &value) :
					     ballast_parse_u64(text, &value);
		if (err) {
			snprintf(why, room, "%s: \"%s\" is not a %s", name, text,
				 table[setting].bytes ? "size (4G, 512M)" : "number");
			return err;
		}
		if (value > table[setting].most) {
			snprintf(why, room, "%s: %s is more than %" PRIu64, name, text,
				 table[setting].most);
			return -ERANGE;
		}
		settings->is_default &= ~(1U << setting);
	}
	settings->given |= 1U << setting;
	settings->value[setting] = value;
	return 0;
}

/** ballast_settings_assign() - as ballast_settings_parse(), of NAME=VALUE */
int ballast_settings_assign(struct ballast_settings *settings, const char *argument,
			    char *why, size_t room)
{
	const char *equals = strchr(argument, '=');
	char name[32];

	if (!equals || equals - argument >= (int)sizeof(name)) {
		snprintf(why, room, "\"%s\" is not NAME=VALUE", argument);
		return -EINVAL;
	}
	snprintf(name, sizeof(name), "%.*s", (int)(equals - argument), argument);
	return ballast_settings_parse(settings, name, equals + 1, why, room);
}

/**
 * ballast_settings_merge() - what is given in @over replaces what is in @to
 * @to: changed
 * @over: has the last word
 */
void ballast_settings_merge(struct ballast_settings *to,
			    const struct ballast_settings *over)
{
	int i;

	for (i = 0; i < BALLAST_SETTINGS; i++)
		if (over->given & 1U << i)
			to->value[i] = over->value[i];
	to->is_default = (to->is_default & ~over->given) | over->is_default;
	to->given |= over->given;
}

/**
 * ballast_settings_order() - the order in which the module takes them
 * @settings: what is to be written
 * @min_now: the VM's min as it is, bytes
 * @order: result: all settings, given or not
 *
 * A min above the max is refused, whichever is written; and a max that is lowered may
 * leave the room that a min needs.
 */
void ballast_settings_order(const struct ballast_settings *settings, uint64_t min_now,
			    enum ballast_setting order[BALLAST_SETTINGS])
{
	const unsigned int max = 1U << BALLAST_SET_MAX;
	bool min_first = settings->given & max && !(settings->is_default & max) &&
			 settings->value[BALLAST_SET_MAX] < min_now;

	order[0] = BALLAST_SET_SHARES;
	order[1] = BALLAST_SET_TAX;
	order[2] = min_first ? BALLAST_SET_MIN : BALLAST_SET_MAX;
	order[3] = min_first ? BALLAST_SET_MAX : BALLAST_SET_MIN;
}

/** ballast_settings_only() - one of them, if it is given, and nothing else */
struct ballast_settings ballast_settings_only(const struct ballast_settings *settings,
					      enum ballast_setting setting)
{
	struct ballast_settings one = *settings;

	one.given &= 1U << setting;
	one.is_default &= 1U << setting;
	return one;
}

/** ballast_settings_equal() - do @a and @b say the same? */
bool ballast_settings_equal(const struct ballast_settings *a,
			    const struct ballast_settings *b)
{
	int i;

	if (a->given != b->given || a->is_default != b->is_default)
		return false;
	for (i = 0; i < BALLAST_SETTINGS; i++)
		if (a->given & 1U << i && a->value[i] != b->value[i])
			return false;
	return true;
}

/**
 * ballast_settings_format() - a setting as sysfs takes it
 * @settings: has it
 * @setting: which
 * @text: result
 * @room: of @text
 */
void ballast_settings_format(const struct ballast_settings *settings,
			     enum ballast_setting setting, char *text, size_t room)
{
	if (!(settings->is_default & 1U << setting))
		snprintf(text, room, "%" PRIu64, settings->value[setting]);
	else	/* min has no other default than none */
		snprintf(text, room, "%s", setting == BALLAST_SET_MIN ? "0" : "default");
}
