// SPDX-License-Identifier: GPL-2.0
/*
 * ballastd.conf
 *
 * DOC: The first thing that is wrong is said with its line, and nothing of the
 * file is used: half a configuration is worse than the one before.
 */
#include <errno.h>
#include <ini.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/number.h"
#include "config.h"

struct reader {
	struct config *config;
	char *why;
	size_t room;
};

static int compare_vm(const void *a, const void *b)
{
	const struct config_vm *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static void free_vm(void *vm)
{
	free(((struct config_vm *)vm)->name);
	free(vm);
}

/** config_init() - the defaults; -ENOMEM */
int config_init(struct config *config)
{
	static const struct pressure_rules rules = PRESSURE_RULES_DEFAULT;

	memset(config, 0, sizeof(*config));
	config->libvirt_uri = strdup("qemu:///system");
	config->find_qmp = true;
	config->stats_period_s = 10;
	config->rules = rules;
	return config->libvirt_uri ? 0 : -ENOMEM;
}

/** config_free() - what @config owns */
void config_free(struct config *config)
{
	while (config->qmp_count)
		free(config->qmp_paths[--config->qmp_count]);
	free(config->qmp_paths);
	free(config->libvirt_uri);
	tdestroy(config->vms, free_vm);
	memset(config, 0, sizeof(*config));
}

/** config_add_qmp() - one more socket to connect to; -ENOMEM */
int config_add_qmp(struct config *config, const char *path)
{
	char **paths = reallocarray(config->qmp_paths, config->qmp_count + 1,
				    sizeof(*paths));

	if (!paths)
		return -ENOMEM;
	config->qmp_paths = paths;
	paths[config->qmp_count] = strdup(path);
	if (!paths[config->qmp_count])
		return -ENOMEM;
	config->qmp_count++;
	return 0;
}

/** config_find_vm() - the section [vm @name], or NULL */
const struct config_vm *config_find_vm(const struct config *config, const char *name)
{
	struct config_vm key = { .name = (char *)name }, **found;

	found = tfind(&key, &config->vms, compare_vm);
	return found ? *found : NULL;
}

static struct config_vm *get_vm(struct config *config, const char *name)
{
	struct config_vm *vm = (struct config_vm *)config_find_vm(config, name);

	if (vm)
		return vm;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return NULL;
	vm->name = strdup(name);
	if (!vm->name || !tsearch(vm, &config->vms, compare_vm)) {
		free_vm(vm);
		return NULL;
	}
	return vm;
}

static int number(const char *text, uint64_t least, uint64_t most, uint64_t *value)
{
	if (ballast_parse_u64(text, value))
		return -EINVAL;
	return *value < least || *value > most ? -ERANGE : 0;
}

static int yes_or_no(const char *text, bool *value)
{
	*value = !strcmp(text, "yes");
	return *value || !strcmp(text, "no") ? 0 : -EINVAL;
}

static int take_daemon(struct config *config, const char *name, const char *value)
{
	uint64_t n;
	int err;

	if (!strcmp(name, "qmp"))
		return config_add_qmp(config, value);
	if (!strcmp(name, "find_qmp"))
		return yes_or_no(value, &config->find_qmp);
	if (!strcmp(name, "stats_period_s")) {
		err = number(value, 1, 3600, &n);
		if (!err)
			config->stats_period_s = (unsigned int)n;
		return err;
	}
	if (strcmp(name, "libvirt"))
		return -ENOENT;
	free(config->libvirt_uri);
	config->libvirt_uri = strdup(strcmp(value, "none") ? value : "");
	return config->libvirt_uri ? 0 : -ENOMEM;
}

static int take_bp(const char *value, uint32_t *bp)
{
	uint64_t n;
	int err = number(value, 0, 10000, &n);

	if (!err)
		*bp = (uint32_t)n;
	return err;
}

static int take_pressure(struct pressure_rules *rules, const char *name,
			 const char *value)
{
	uint64_t n;
	int err;

	if (!strcmp(name, "available_low_bp"))
		return take_bp(value, &rules->available_low_bp);
	if (!strcmp(name, "step_bp"))
		return take_bp(value, &rules->step_bp);
	if (!strcmp(name, "ceiling_bp"))
		return take_bp(value, &rules->ceiling_bp);
	if (!strcmp(name, "decay_bp_per_min"))
		return take_bp(value, &rules->decay_bp_per_min);
	if (!strcmp(name, "swap_in_bytes_per_s"))
		return ballast_parse_size(value, &rules->swap_in_bytes_per_s);
	if (!strcmp(name, "major_faults_per_s"))
		return number(value, 0, UINT64_MAX, &rules->major_faults_per_s);
	if (strcmp(name, "hold_s"))
		return -ENOENT;
	err = number(value, 0, 86400, &n);
	if (!err)
		rules->hold_ms = n * 1000;
	return err;
}

static int take_vm(struct config *config, const char *section, const char *name,
		   const char *value, char *why, size_t room)
{
	static const char *const drivers[] = {
		[BALLOON_DRIVER_FIND_OUT] = "auto",
		[BALLOON_DRIVER_ASSUME] = "yes",
		[BALLOON_DRIVER_IGNORE] = "no",
	};
	struct config_vm *vm = get_vm(config, section);
	unsigned int i;

	if (!vm)
		return -ENOMEM;
	if (strcmp(name, "balloon"))
		return ballast_settings_parse(&vm->settings, name, value, why, room);
	for (i = 0; i < sizeof(drivers) / sizeof(*drivers); i++)
		if (!strcmp(value, drivers[i])) {
			vm->driver = i;
			return 0;
		}
	return -EINVAL;
}

/* inih's: 1 is good, 0 is not */
static int take(void *context, const char *section, const char *name, const char *value)
{
	struct reader *reader = context;
	char why[160] = "";
	int err;

	if (!strcmp(section, "daemon"))
		err = take_daemon(reader->config, name, value);
	else if (!strcmp(section, "pressure"))
		err = take_pressure(&reader->config->rules, name, value);
	else if (!strncmp(section, "vm ", 3) && section[3])
		err = take_vm(reader->config, section + 3, name, value, why, sizeof(why));
	else
		err = -ENOTDIR;
	if (!err || *reader->why)
		return !err;
	if (err == -ENOTDIR)
		snprintf(reader->why, reader->room,
			 "no section [%s] (daemon, pressure, vm NAME)", section);
	else if (*why)
		snprintf(reader->why, reader->room, "%s", why);
	else if (err == -ENOENT)
		snprintf(reader->why, reader->room, "[%s] has no \"%s\"", section, name);
	else
		snprintf(reader->why, reader->room, "%s: \"%s\" cannot be (%s)", name,
			 value, strerror(-err));
	return 0;
}

/* -1 not opened, -2 no memory, else the first bad line */
static int conclude(int result, char *why, size_t room)
{
	char words[256];

	if (!result)
		return 0;
	if (result < 0) {
		snprintf(why, room, "cannot be read");
		return -EIO;
	}
	snprintf(words, sizeof(words), "%s", *why ? why : "not \"name = value\"");
	snprintf(why, room, "line %d: %s", result, words);
	return -EINVAL;
}

/**
 * config_read() - add what a file says
 * @config: initialised
 * @path: of the file
 * @why: on error, what is wrong and where
 * @room: of @why
 */
int config_read(struct config *config, const char *path, char *why, size_t room)
{
	struct reader reader = { config, why, room };

	*why = '\0';
	return conclude(ini_parse(path, take, &reader), why, room);
}

/** config_read_text() - as config_read(), of the text itself */
int config_read_text(struct config *config, const char *text, char *why, size_t room)
{
	struct reader reader = { config, why, room };

	*why = '\0';
	return conclude(ini_parse_string(text, take, &reader), why, room);
}
