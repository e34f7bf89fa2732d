// SPDX-License-Identifier: GPL-2.0
/*
 * ballastctl set, mode: the knobs.
 *
 * DOC: All arguments are read before anything is written.  A VM's own files change
 * at once and until it ends; --save also writes the domain's metadata, where
 * ballastd finds them the next time.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../lib/settings.h"
#include "../lib/virt.h"
#include "ctl.h"

static const char *words(int err)
{
	switch (-err) {
	case ENOSPC:
		return "the pool cannot reserve that much";
	case EINVAL:
	case ERANGE:
		return "the module refuses this value";
	case EACCES:
	case EPERM:
		return "only root may";
	default:
		return strerror(-err);
	}
}

static int write_one(const struct ctl *ctl, const struct vm_view *vm,
		     const struct ballast_settings *settings, enum ballast_setting setting)
{
	char text[32];
	int err;

	ballast_settings_format(settings, setting, text, sizeof(text));
	err = ballast_sysfs_vm_write(&ctl->sysfs, vm->pid, ballast_settings_file(setting),
				     text);
	if (err)
		complain("%s of %s: %s", ballast_settings_name(setting), vm->name, words(err));
	return err;
}

/* What the metadata has, with what changes. */
static int save(const struct ctl *ctl, const struct vm_view *vm,
		const struct ballast_settings *settings)
{
	struct ballast_settings all;
	virDomainPtr domain = NULL;
	virConnectPtr conn;
	char why[256];
	int status = CTL_FAILED;

	ballast_virt_init();
	conn = virConnectOpen(ctl->uri);
	if (conn)
		domain = virDomainLookupByName(conn, vm->name);
	if (!domain) {
		complain("not saved: %s", ballast_virt_error());
	} else if (ballast_virt_settings(domain, &all, why, sizeof(why)) == -EIO) {
		complain("not saved: %s", why);
	} else {
		ballast_settings_merge(&all, settings);
		if (ballast_virt_save_settings(domain, &all))
			complain("not saved: %s", ballast_virt_error());
		else
			status = CTL_OK;
	}
	if (domain)
		virDomainFree(domain);
	if (conn)
		virConnectClose(conn);
	return status;
}

static int parse_all(int argc, char **argv, struct ballast_settings *settings)
{
	char why[160];
	int i;

	memset(settings, 0, sizeof(*settings));
	for (i = 0; i < argc; i++)
		if (ballast_settings_assign(settings, argv[i], why, sizeof(why))) {
			complain("%s", why);
			return CTL_USAGE;
		}
	return 0;
}

/** ctl_set() - ballastctl set VM NAME=VALUE... */
int ctl_set(struct ctl *ctl, int argc, char **argv)
{
	enum ballast_setting order[BALLAST_SETTINGS];
	struct ballast_settings settings;
	uint64_t min_now = 0;
	struct vm_view vm;
	size_t i;

	if (argc < 2)
		return CTL_USAGE;
	if (parse_all(argc - 1, argv + 1, &settings))
		return CTL_FAILED;
	if (no_module(ctl) || view_find(ctl, argv[0], &vm))
		return CTL_FAILED;
	ballast_sysfs_vm_read_u64(&ctl->sysfs, vm.pid, "min_bytes", &min_now);
	ballast_settings_order(&settings, min_now, order);
	for (i = 0; i < BALLAST_SETTINGS; i++)
		if (settings.given & 1U << order[i] &&
		    write_one(ctl, &vm, &settings, order[i]))
			return CTL_FAILED;
	if (ctl->save && save(ctl, &vm, &settings))
		return CTL_FAILED;
	if (!ctl->json)
		return CTL_OK;
	view_vm(ctl, vm.pid, &vm);
	return print_json(view_vm_json(&vm));
}

/** ctl_mode() - ballastctl mode [observe|enforce] */
int ctl_mode(struct ctl *ctl, int argc, char **argv)
{
	char mode[BALLAST_VALUE_MAX];
	struct json_object *object;
	int err = 0;

	if (argc > 1 || (argc && strcmp(argv[0], "observe") && strcmp(argv[0], "enforce")))
		return CTL_USAGE;
	if (no_module(ctl))
		return CTL_FAILED;
	if (argc)
		err = ballast_sysfs_write(&ctl->sysfs, "policy/mode", argv[0]);
	if (!err)
		err = ballast_sysfs_read(&ctl->sysfs, "policy/mode", mode);
	if (err) {
		complain("mode: %s", words(err));
		return CTL_FAILED;
	}
	if (!ctl->json) {
		if (!argc)
			puts(mode);
		return CTL_OK;
	}
	object = json_object_new_object();
	json_object_object_add(object, "mode", json_object_new_string(mode));
	return print_json(object);
}
