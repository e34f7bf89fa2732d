// SPDX-License-Identifier: GPL-2.0
/* Which ballastfs are mounted, and whether libvirt puts guest memory on one. */
#include <errno.h>
#include <mntent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host.h"
#include "mounts.h"

/**
 * ballast_memory_backing_dir() - where libvirt puts guest memory
 * @directory: result
 * @room: of @directory
 *
 * Return: 0; -ENODATA: qemu.conf does not say; other -errno: no qemu.conf.
 */
int ballast_memory_backing_dir(char *directory, size_t room)
{
	char path[512], line[1024], value[512];
	int err = -ENODATA;
	FILE *f;

	ballast_host_path("/etc/libvirt/qemu.conf", path, sizeof(path));
	f = fopen(path, "r");
	if (!f)
		return -errno;
	/* of several libvirt takes the first */
	while (err && fgets(line, sizeof(line), f))
		if (sscanf(line, " memory_backing_dir = \"%511[^\"]\"", value) == 1 ||
		    sscanf(line, " memory_backing_dir = '%511[^']'", value) == 1) {
			snprintf(directory, room, "%s", value);
			err = 0;
		}
	fclose(f);
	return err;
}

static void fill(const struct mntent *entry, struct ballast_mount *mount)
{
	const char *name = hasmntopt(entry, "name");
	size_t length;

	memset(mount, 0, sizeof(*mount));
	snprintf(mount->directory, sizeof(mount->directory), "%s", entry->mnt_dir);
	name = name ? strchr(name, '=') : NULL;
	if (!name)
		return;
	length = strcspn(++name, ",");
	if (length < sizeof(mount->pool))
		memcpy(mount->pool, name, length);
}

/* Does @directory lie in what is mounted at @point?  How long that is, or -1. */
static int covers(const char *point, const char *directory)
{
	size_t length = strlen(point);

	if (!strcmp(point, "/"))
		return 0;
	if (strncmp(directory, point, length) ||
	    (directory[length] && directory[length] != '/'))
		return -1;
	return (int)length;
}

/* The mount that @directory lies on, or any ballastfs if it is NULL. */
static int look_up(const char *directory, struct ballast_mount *mount)
{
	int longest = -1, length, err = -ENOENT;
	struct mntent *entry;
	bool is_ballast;
	char path[512];
	FILE *f;

	memset(mount, 0, sizeof(*mount));
	ballast_host_path("/proc/self/mounts", path, sizeof(path));
	f = setmntent(path, "r");
	if (!f)
		return -errno;
	while ((entry = getmntent(f))) {
		is_ballast = !strcmp(entry->mnt_type, "ballastfs");
		if (!directory && is_ballast && err) {
			fill(entry, mount);
			err = 0;
		}
		length = directory ? covers(entry->mnt_dir, directory) : -1;
		/* of several at one place the last one is seen */
		if (length < 0 || length < longest)
			continue;
		longest = length;
		err = is_ballast ? 0 : -ENOENT;
		if (is_ballast)
			fill(entry, mount);
	}
	endmntent(f);
	return err;
}

/* Links in the way are followed, but for tests, whose links would lead elsewhere. */
static void resolve(const char *directory, char *path, size_t room)
{
	const char *root = getenv("BALLAST_HOST_ROOT");
	char *real = root && *root ? NULL : realpath(directory, NULL);

	snprintf(path, room, "%s", real ? real : directory);
	free(real);
}

/**
 * ballast_mount_find() - the ballastfs that a directory lies on
 * @directory: absolute
 * @mount: result
 *
 * Return: 0; -ENOENT: it lies on none.
 */
int ballast_mount_find(const char *directory, struct ballast_mount *mount)
{
	char path[4096];

	resolve(directory, path, sizeof(path));
	return look_up(path, mount);
}

/** ballast_mount_first() - some ballastfs; -ENOENT if there is none */
int ballast_mount_first(struct ballast_mount *mount)
{
	return look_up(NULL, mount);
}
