// SPDX-License-Identifier: GPL-2.0
/*
 * The one seam to /sys/kernel/ballast.
 *
 * DOC: Every tool reads and writes the module's files through here, so that all
 * of them can be let loose on an ordinary directory that holds the same files
 * (--sysfs, or BALLAST_SYSFS_ROOT in the environment): that is how they are
 * tested without the kernel.  Errors are -errno; ENOENT and ENODEV both mean
 * that the module, or the VM, has gone.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "number.h"
#include "sysfs.h"

/**
 * ballast_sysfs_init() - choose the tree
 * @sysfs: to set up
 * @root: given by option; NULL: BALLAST_SYSFS_ROOT, else the real one
 *
 * Return: 0, or -ENAMETOOLONG.
 */
int ballast_sysfs_init(struct ballast_sysfs *sysfs, const char *root)
{
	if (!root)
		root = getenv("BALLAST_SYSFS_ROOT");
	if (!root || !*root)
		root = BALLAST_SYSFS_ROOT;
	sysfs->dry_run = false;
	if (strlen(root) >= sizeof(sysfs->root))
		return -ENAMETOOLONG;
	strcpy(sysfs->root, root);
	return 0;
}

/**
 * ballast_sysfs_present() - is the module there, with VMs to manage?
 * @sysfs: the tree
 */
bool ballast_sysfs_present(const struct ballast_sysfs *sysfs)
{
	char path[512];

	ballast_sysfs_path(sysfs, "vms_generation", path, sizeof(path));
	return access(path, R_OK) == 0;
}

/**
 * ballast_sysfs_path() - where a file lies
 * @sysfs: the tree
 * @file: relative to it
 * @path: result; cut short if @room is not enough, and then not found
 * @room: of @path
 */
void ballast_sysfs_path(const struct ballast_sysfs *sysfs, const char *file,
			char *path, size_t room)
{
	snprintf(path, room, "%s/%s", sysfs->root, file);
}

/**
 * ballast_sysfs_read() - a value, without its newline
 * @sysfs: the tree
 * @file: relative to it
 * @value: result; "" on error
 */
int ballast_sysfs_read(const struct ballast_sysfs *sysfs, const char *file,
		       char value[BALLAST_VALUE_MAX])
{
	char path[512];
	ssize_t n;
	int fd, err;

	*value = '\0';
	ballast_sysfs_path(sysfs, file, path, sizeof(path));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, value, BALLAST_VALUE_MAX - 1);
	err = n < 0 ? -errno : 0;
	close(fd);
	if (n < 0)
		n = 0;
	while (n > 0 && value[n - 1] == '\n')
		n--;
	value[n] = '\0';
	return err;
}

/**
 * ballast_sysfs_read_u64() - a value that is a number
 * @sysfs: the tree
 * @file: relative to it
 * @value: result; 0 on error
 */
int ballast_sysfs_read_u64(const struct ballast_sysfs *sysfs, const char *file,
			   uint64_t *value)
{
	char text[BALLAST_VALUE_MAX];
	int err;

	*value = 0;
	err = ballast_sysfs_read(sysfs, file, text);
	return err ? err : ballast_parse_u64(text, value);
}

/**
 * ballast_sysfs_write() - set a value
 * @sysfs: the tree
 * @file: relative to it
 * @value: without a newline
 */
int ballast_sysfs_write(const struct ballast_sysfs *sysfs, const char *file,
			const char *value)
{
	char path[512], line[BALLAST_VALUE_MAX];
	int fd, length, err = 0;

	if (sysfs->dry_run) {
		log_notice("would write %s to %s", value, file);
		return 0;
	}
	length = snprintf(line, sizeof(line), "%s\n", value);
	if (length >= (int)sizeof(line))
		return -EINVAL;
	ballast_sysfs_path(sysfs, file, path, sizeof(path));
	/* O_TRUNC is for the trees of tests; sysfs does not care */
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, line, length) < 0)
		err = -errno;
	close(fd);
	return err;
}

/**
 * ballast_sysfs_write_u64() - set a value that is a number
 * @sysfs: the tree
 * @file: relative to it
 * @value: to write
 */
int ballast_sysfs_write_u64(const struct ballast_sysfs *sysfs, const char *file,
			    uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return ballast_sysfs_write(sysfs, file, text);
}

/**
 * ballast_sysfs_list() - the directories in a directory
 * @sysfs: the tree
 * @directory: relative to it
 * @found: called with each name
 * @context: for @found
 */
int ballast_sysfs_list(const struct ballast_sysfs *sysfs, const char *directory,
		       void (*found)(const char *name, void *context), void *context)
{
	struct dirent *entry;
	char path[512];
	DIR *dir;

	ballast_sysfs_path(sysfs, directory, path, sizeof(path));
	dir = opendir(path);
	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			found(entry->d_name, context);
	closedir(dir);
	return 0;
}

struct vms_context {
	void (*found)(pid_t pid, void *context);
	void *context;
};

static void found_directory(const char *name, void *context)
{
	struct vms_context *vms = context;
	uint64_t pid;

	if (!ballast_parse_u64(name, &pid) && pid > 0 && pid <= INT32_MAX)
		vms->found((pid_t)pid, vms->context);
}

/**
 * ballast_sysfs_vms() - all VMs
 * @sysfs: the tree
 * @found: called with the PID of each
 * @context: for @found
 */
int ballast_sysfs_vms(const struct ballast_sysfs *sysfs,
		      void (*found)(pid_t pid, void *context), void *context)
{
	struct vms_context vms = { found, context };

	return ballast_sysfs_list(sysfs, "vms", found_directory, &vms);
}

/**
 * ballast_sysfs_vm_file() - the name of a VM's file
 * @pid: of the VM
 * @name: of the file
 * @file: result, relative to the tree
 * @room: of @file
 */
void ballast_sysfs_vm_file(pid_t pid, const char *name, char *file, size_t room)
{
	snprintf(file, room, "vms/%d/%s", (int)pid, name);
}

/** ballast_sysfs_vm_read() - as ballast_sysfs_read(), of the VM @pid */
int ballast_sysfs_vm_read(const struct ballast_sysfs *sysfs, pid_t pid,
			  const char *name, char value[BALLAST_VALUE_MAX])
{
	char file[96];

	ballast_sysfs_vm_file(pid, name, file, sizeof(file));
	return ballast_sysfs_read(sysfs, file, value);
}

/** ballast_sysfs_vm_read_u64() - as ballast_sysfs_read_u64(), of the VM @pid */
int ballast_sysfs_vm_read_u64(const struct ballast_sysfs *sysfs, pid_t pid,
			      const char *name, uint64_t *value)
{
	char file[96];

	ballast_sysfs_vm_file(pid, name, file, sizeof(file));
	return ballast_sysfs_read_u64(sysfs, file, value);
}

/** ballast_sysfs_vm_write() - as ballast_sysfs_write(), of the VM @pid */
int ballast_sysfs_vm_write(const struct ballast_sysfs *sysfs, pid_t pid,
			   const char *name, const char *value)
{
	char file[96];

	ballast_sysfs_vm_file(pid, name, file, sizeof(file));
	return ballast_sysfs_write(sysfs, file, value);
}

/** ballast_sysfs_vm_write_u64() - as ballast_sysfs_write_u64(), of the VM @pid */
int ballast_sysfs_vm_write_u64(const struct ballast_sysfs *sysfs, pid_t pid,
			       const char *name, uint64_t value)
{
	char file[96];

	ballast_sysfs_vm_file(pid, name, file, sizeof(file));
	return ballast_sysfs_write_u64(sysfs, file, value);
}
