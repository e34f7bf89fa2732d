/* SPDX-License-Identifier: GPL-2.0 */
/* ballastd.conf */
#ifndef BALLASTD_CONFIG_H
#define BALLASTD_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "../lib/settings.h"
#include "balloon.h"
#include "pressure.h"

#define BALLASTD_CONFIG_PATH	"/etc/ballast/ballastd.conf"

/**
 * struct config_vm - a section [vm NAME]
 * @name: of the domain, or QEMU's -name
 * @settings: shares and so on
 * @driver: balloon=
 */
struct config_vm {
	char *name;
	struct ballast_settings settings;
	enum balloon_driver driver;
};

/**
 * struct config - all of the file
 * @libvirt_uri: to connect to; "" for none
 * @find_qmp: look for QMP sockets in command lines
 * @stats_period_s: how often guests report
 * @rules: of pressure
 * @qmp_paths: sockets given
 * @qmp_count: how many
 * @vms: tsearch(3) tree of struct config_vm by name
 */
struct config {
	char *libvirt_uri;
	bool find_qmp;
	unsigned int stats_period_s;
	struct pressure_rules rules;
	char **qmp_paths;
	size_t qmp_count;
	void *vms;
};

int config_init(struct config *config);
void config_free(struct config *config);
int config_read(struct config *config, const char *path, char *why, size_t room);
int config_read_text(struct config *config, const char *text, char *why, size_t room);
int config_add_qmp(struct config *config, const char *path);
const struct config_vm *config_find_vm(const struct config *config, const char *name);

#endif /* BALLASTD_CONFIG_H */
