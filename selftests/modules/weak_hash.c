// SPDX-License-Identifier: GPL-2.0
/*
 * Makes pages collide, for a test of what sharing does with a false match.
 *
 * DOC: The hash of a page is keyed with a secret, so no test can make two pages
 * that collide.  While this module is loaded, a page's hash depends on its first
 * byte and its sharing domain only.  The function is probed, ballast.ko
 * knows nothing of it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/ptrace.h>

static int remember(struct kretprobe_instance *call, struct pt_regs *regs)
{
	const u8 *page = (const u8 *)regs_get_kernel_argument(regs, 1);
	u32 domain = regs_get_kernel_argument(regs, 2);

	*(u64 *)call->data = (u64)domain << 8 | *page;
	return 0;
}

static int weaken(struct kretprobe_instance *call, struct pt_regs *regs)
{
	/* any odd factor keeps them apart; the upper bits must differ too */
	regs_set_return_value(regs, *(u64 *)call->data * 0x9e3779b97f4a7c15ULL);
	return 0;
}

static struct kretprobe probe = {
	.kp.symbol_name = "ballast_hash_page",
	.entry_handler = remember,
	.handler = weaken,
	.data_size = sizeof(u64),
	.maxactive = 64,
};

static int __init weak_hash_init(void)
{
	int err = register_kretprobe(&probe);

	if (err)
		pr_err("no probe of ballast_hash_page: %d\n", err);
	return err;
}

static void __exit weak_hash_exit(void)
{
	unregister_kretprobe(&probe);
	if (probe.nmissed)
		pr_err("%d hashes were not weakened\n", probe.nmissed);
}

module_init(weak_hash_init);
module_exit(weak_hash_exit);
MODULE_DESCRIPTION("Weak page hashes, for tests of Ballast");
MODULE_LICENSE("GPL");
