// SPDX-License-Identifier: GPL-2.0
/* Facts of the host that more than one command needs: mounts, libvirt's settings. */
#include <errno.h>
#include <mntent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/host.h"
#include "ctl.h"

/**
 * host_memory_backing_dir() - where libvirt puts guest memory
 * @directory: result
 * @room: of @directory
 *
 * Return: 0; -ENODATA: qemu.conf does not say; other -errno: no qemu.conf.
 */
int host_memory_backing_dir(char *directory, size_t room)
{
	char path[512], line[1024], value[512];
	int err = -ENODATA;
	FILE *f;

	ballast_host_path("/etc/libvirt/qemu.conf", path, sizeof(path));
	f = fopen(path, "r");
	if (!f)
		return -errno;
	while (fgets(line, sizeof(line), f))
		/* the last one counts */
		if (sscanf(line, " memory_backing_dir = \"%511[^\"]\"", value) == 1) {
			snprintf(directory, room, "%s", value);
			err = 0;
		}
	fclose(f);
	return err;
}

/* The longest mount point that @directory lies under; "" if none is ballastfs. */
static bool find_mount(const char *directory, char *first, size_t room)
{
	size_t longest = 0, length;
	struct mntent *mount;
	bool ballast = false, is;
	char path[512];
	FILE *f;

	*first = '\0';
	ballast_host_path("/proc/self/mounts", path, sizeof(path));
	f = setmntent(path, "r");
	if (!f)
		return false;
	while ((mount = getmntent(f))) {
		is = !strcmp(mount->mnt_type, "ballastfs");
		if (is && !*first)
			snprintf(first, room, "%s", mount->mnt_dir);
		length = strlen(mount->mnt_dir);
		if (!strcmp(mount->mnt_dir, "/"))
			length = 0;
		if (!directory || strncmp(directory, mount->mnt_dir, length) ||
		    (directory[length] && directory[length] != '/') || length < longest)
			continue;
		longest = length;
		ballast = is;
	}
	endmntent(f);
	return ballast;
}

/** host_is_ballastfs() - does @directory lie on a ballastfs? */
bool host_is_ballastfs(const char *directory)
{
	char first[512];

	return find_mount(directory, first, sizeof(first));
}

/** host_first_ballastfs() - some ballastfs; -ENOENT */
int host_first_ballastfs(char *directory, size_t room)
{
	find_mount(NULL, directory, room);
	return *directory ? 0 : -ENOENT;
}
