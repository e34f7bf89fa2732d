// SPDX-License-Identifier: GPL-2.0
/*
 * ballastctl adopt, release: a libvirt domain's memory on ballastfs.
 *
 * DOC: Only the domain's definition changes, never the running guest: it holds
 * from the next start.  Where the file lies is a setting of the host
 * (memory_backing_dir in qemu.conf), which adopt looks at and does not touch.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../lib/domain_xml.h"
#include "../lib/mounts.h"
#include "../lib/virt.h"
#include "ctl.h"

typedef int (*change_fn)(const char *xml, char **changed, char *why, size_t room);

static bool agreed(const struct ctl *ctl)
{
	char line[16];

	if (ctl->yes)
		return true;
	if (!isatty(STDIN_FILENO)) {
		complain("nothing was changed: --yes would");
		return false;
	}
	fputs("Define the domain so? [y/N] ", stderr);
	return fgets(line, sizeof(line), stdin) && (*line == 'y' || *line == 'Y');
}

static int define(virConnectPtr conn, const char *xml)
{
	virDomainPtr domain = virDomainDefineXML(conn, xml);

	if (!domain) {
		complain("libvirt refuses: %s", ballast_virt_error());
		return CTL_FAILED;
	}
	virDomainFree(domain);
	return CTL_OK;
}

static int show_and_define(const struct ctl *ctl, virConnectPtr conn, const char *name,
			   const char *before, const char *after, bool running)
{
	char *difference = ballast_xml_difference(before, after);
	struct json_object *object;
	int status;

	if (!difference)
		return CTL_FAILED;
	/* who is asked must see it; what is printed is for a program */
	if (!ctl->json || !ctl->yes)
		fputs(difference, ctl->json ? stderr : stdout);
	status = agreed(ctl) ? define(conn, after) : CTL_FAILED;
	if (ctl->json) {
		object = json_object_new_object();
		json_object_object_add(object, "domain", json_object_new_string(name));
		json_object_object_add(object, "difference",
				       json_object_new_string(difference));
		json_object_object_add(object, "changed",
				       json_object_new_boolean(status == CTL_OK));
		json_object_object_add(object, "restart_needed",
				       json_object_new_boolean(running));
		print_json(object);
	} else if (status == CTL_OK) {
		printf("%s: done%s\n", name, running ?
		       "; it holds when the domain is started the next time" : "");
	}
	free(difference);
	return status;
}

static int change_domain(const struct ctl *ctl, virConnectPtr conn, virDomainPtr domain,
			 change_fn change)
{
	const char *name = virDomainGetName(domain);
	char *xml, *before = NULL, *after = NULL, why[256] = "out of memory";
	int status = CTL_FAILED, err;

	xml = virDomainGetXMLDesc(domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE);
	if (!xml) {
		complain("%s: %s", name, ballast_virt_error());
		return CTL_FAILED;
	}
	err = change(xml, &after, why, sizeof(why));
	before = ballast_xml_normal(xml);
	if (err || !before)
		complain("%s: %s", name, why);
	else
		status = show_and_define(ctl, conn, name, before, after,
					 virDomainIsActive(domain) == 1);
	free(before);
	free(after);
	free(xml);
	return status;
}

static int with_domain(const struct ctl *ctl, const char *name, change_fn change)
{
	virDomainPtr domain = NULL;
	virConnectPtr conn;
	int status = CTL_FAILED;

	ballast_virt_init();
	conn = virConnectOpen(ctl->uri);
	if (conn)
		domain = virDomainLookupByName(conn, name);
	if (domain) {
		status = change_domain(ctl, conn, domain, change);
		virDomainFree(domain);
	} else {
		complain("%s", ballast_virt_error());
	}
	if (conn)
		virConnectClose(conn);
	return status;
}

/* Would a file of libvirt's lie where it should? */
static int check_mount(const struct ctl *ctl)
{
	struct ballast_mount on, first;
	char backing[512] = "";

	if (ctl->force)
		return CTL_OK;
	if (ballast_memory_backing_dir(backing, sizeof(backing))) {
		ballast_mount_first(&first);
		complain("libvirt's memory_backing_dir is not set: guest memory would lie on "
			 "disk.  In /etc/libvirt/qemu.conf: memory_backing_dir = \"%s\", then "
			 "systemctl restart libvirtd (or --force)",
			 ctl->mount ? ctl->mount : *first.directory ? first.directory : "/run/ballast/vms");
		return CTL_FAILED;
	}
	if (ctl->mount && strcmp(ctl->mount, backing)) {
		complain("libvirt's memory_backing_dir is %s, not %s: it is one for the host "
			 "(/etc/libvirt/qemu.conf)", backing, ctl->mount);
		return CTL_FAILED;
	}
	if (ballast_mount_find(backing, &on)) {
		complain("%s is not on a ballastfs: mount -t ballastfs -o size=50%% none %s "
			 "(or --force)", backing, backing);
		return CTL_FAILED;
	}
	return CTL_OK;
}

/** ctl_adopt() - ballastctl adopt DOMAIN */
int ctl_adopt(struct ctl *ctl, int argc, char **argv)
{
	if (argc != 1)
		return CTL_USAGE;
	if (check_mount(ctl))
		return CTL_FAILED;
	return with_domain(ctl, argv[0], ballast_xml_adopt);
}

/** ctl_release() - ballastctl release DOMAIN */
int ctl_release(struct ctl *ctl, int argc, char **argv)
{
	if (argc != 1)
		return CTL_USAGE;
	return with_domain(ctl, argv[0], ballast_xml_release);
}
