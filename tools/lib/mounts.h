/* SPDX-License-Identifier: GPL-2.0 */
/* Which ballastfs are mounted, and whether libvirt puts guest memory on one. */
#ifndef BALLAST_TOOLS_MOUNTS_H
#define BALLAST_TOOLS_MOUNTS_H

#include <stddef.h>

/* where libvirt puts guest memory if qemu.conf does not say */
#define BALLAST_MEMORY_BACKING_DIR	"/var/lib/libvirt/qemu/ram"

/**
 * struct ballast_mount - a ballastfs
 * @directory: where it is mounted
 * @pool: its name in sysfs; "" if that is too long to be one
 */
struct ballast_mount {
	char directory[512];
	char pool[64];
};

int ballast_memory_backing_dir(char *directory, size_t room);
int ballast_mount_find(const char *directory, struct ballast_mount *mount);
int ballast_mount_first(struct ballast_mount *mount);

#endif /* BALLAST_TOOLS_MOUNTS_H */
