// SPDX-License-Identifier: GPL-2.0
/*
 * Loses memory, for a test of what looks for leaks.
 *
 * DOC: By a process that is not called after ballast, and the module is gone when one
 * looks: as with a leak by ballast.ko, the place that allocated has no name then.
 */
#include <linux/module.h>
#include <linux/slab.h>

static int __init leak_init(void)
{
	unsigned int i;

	/* the last one's address may stand somewhere for a while */
	for (i = 0; i < 10; i++)
		if (!kzalloc(200, GFP_KERNEL))
			return -ENOMEM;
	return 0;
}

static void __exit leak_exit(void)
{
}

module_init(leak_init);
module_exit(leak_exit);

MODULE_DESCRIPTION("test: a leak");
MODULE_LICENSE("GPL");
