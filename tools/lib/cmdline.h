/* SPDX-License-Identifier: GPL-2.0 */
/* What QEMU's command line says about it. */
#ifndef BALLAST_TOOLS_CMDLINE_H
#define BALLAST_TOOLS_CMDLINE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/**
 * struct ballast_cmdline - what was found
 * @name: of the guest (-name), "" if none
 * @uuid: -uuid, "" if none
 * @qmp_path: a listening QMP socket in the file system, "" if none
 * @libvirt: started by libvirt, whose monitor is libvirt's alone
 */
struct ballast_cmdline {
	char name[128];
	char uuid[64];
	char qmp_path[256];
	bool libvirt;
};

void ballast_cmdline_parse(const char *text, size_t length,
			   struct ballast_cmdline *found);
int ballast_cmdline_read(pid_t pid, struct ballast_cmdline *found);

#endif /* BALLAST_TOOLS_CMDLINE_H */
