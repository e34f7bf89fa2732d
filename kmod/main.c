// SPDX-License-Identifier: GPL-2.0
/*
 * Ballast: VMware ESX's memory manager for Linux/KVM.
 *
 * DOC: Loading and unloading.  Layers come up from the bottom and go down from
 * the top.  Mounts hold the module, so on exit there is no pool and no file;
 * what may be left is memory waiting for a grace period.
 */
#include <linux/init.h>
#include <linux/module.h>

#include "control/control.h"
#include "engine/engine.h"
#include "fs/ballastfs.h"
#include "memory/map.h"
#include "sharing/sharing.h"
#include "store/store.h"

static int __init ballast_init(void)
{
	int err;

	err = ballast_store_init();
	if (err)
		return err;
	err = ballast_sharing_init();
	if (err)
		goto exit_store;
	err = ballast_control_init();
	if (err)
		goto exit_sharing;
	err = ballast_engine_init(&ballast_control_engine_watcher);
	if (err)
		goto exit_control;
	err = ballast_fs_init();
	if (err)
		goto exit_engine;
	return 0;

exit_engine:
	ballast_engine_exit();
exit_control:
	ballast_control_exit();
exit_sharing:
	ballast_sharing_exit();
exit_store:
	ballast_store_exit();
	return err;
}

static void __exit ballast_exit(void)
{
	ballast_fs_exit();
	ballast_engine_exit();
	ballast_control_exit();
	ballast_sharing_exit();
	ballast_store_exit();
	ballast_maps_exit();
	rcu_barrier();	/* index tables */
}

module_init(ballast_init);
module_exit(ballast_exit);

MODULE_DESCRIPTION("Memory manager for KVM hosts: sharing, ballooning, idle memory tax");
MODULE_LICENSE("GPL");
