/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/* What user space and the module agree on. */
#ifndef _UAPI_LINUX_BALLAST_H
#define _UAPI_LINUX_BALLAST_H

/* f_type of statfs(2): "bala" */
#define BALLASTFS_MAGIC		0x62616c61

/*
 * Version of everything under /sys/kernel/ballast; read abi_version there.
 * It grows when a file is added, and the meaning of a file never changes.
 */
#define BALLAST_ABI_VERSION	3

#define BALLAST_POOL_NAME_MAX	63

/* The pool of VMs whose memory is not on ballastfs; no mount may have the name. */
#define BALLAST_POOL_HOST	"host"

#endif /* _UAPI_LINUX_BALLAST_H */
