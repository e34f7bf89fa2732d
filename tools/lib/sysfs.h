/* SPDX-License-Identifier: GPL-2.0 */
/* The one seam to /sys/kernel/ballast. */
#ifndef BALLAST_TOOLS_SYSFS_H
#define BALLAST_TOOLS_SYSFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BALLAST_SYSFS_ROOT	"/sys/kernel/ballast"
#define BALLAST_VALUE_MAX	256	/* bytes of a value, with its end */

/**
 * struct ballast_sysfs - a tree
 * @root: directory that stands for /sys/kernel/ballast
 * @dry_run: writes are logged, not done
 */
struct ballast_sysfs {
	char root[256];
	bool dry_run;
};

int ballast_sysfs_init(struct ballast_sysfs *sysfs, const char *root);
bool ballast_sysfs_present(const struct ballast_sysfs *sysfs);
int ballast_sysfs_read(const struct ballast_sysfs *sysfs, const char *file,
		       char value[BALLAST_VALUE_MAX]);
int ballast_sysfs_read_u64(const struct ballast_sysfs *sysfs, const char *file,
			   uint64_t *value);
int ballast_sysfs_write(const struct ballast_sysfs *sysfs, const char *file,
			const char *value);
int ballast_sysfs_write_u64(const struct ballast_sysfs *sysfs, const char *file,
			    uint64_t value);
void ballast_sysfs_path(const struct ballast_sysfs *sysfs, const char *file,
			char *path, size_t room);
int ballast_sysfs_list(const struct ballast_sysfs *sysfs, const char *directory,
		       void (*found)(const char *name, void *context), void *context);
int ballast_sysfs_vms(const struct ballast_sysfs *sysfs,
		      void (*found)(pid_t pid, void *context), void *context);

/* one file of one VM */
void ballast_sysfs_vm_file(pid_t pid, const char *name, char *file, size_t room);
int ballast_sysfs_vm_read(const struct ballast_sysfs *sysfs, pid_t pid,
			  const char *name, char value[BALLAST_VALUE_MAX]);
int ballast_sysfs_vm_read_u64(const struct ballast_sysfs *sysfs, pid_t pid,
			      const char *name, uint64_t *value);
int ballast_sysfs_vm_write(const struct ballast_sysfs *sysfs, pid_t pid,
			   const char *name, const char *value);
int ballast_sysfs_vm_write_u64(const struct ballast_sysfs *sysfs, pid_t pid,
			       const char *name, uint64_t value);

#endif /* BALLAST_TOOLS_SYSFS_H */
