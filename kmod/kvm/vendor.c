// SPDX-License-Identifier: GPL-2.0
/*
 * The module whose code takes a VM down: kvm_intel or kvm_amd.
 *
 * DOC: Whoever drops the last reference to a struct kvm runs KVM's teardown, part of
 * which is that module's.  The VM's files keep the module; a reference to the struct
 * alone does not (from Linux 6.7 on).  So none is taken here but while /dev/kvm is
 * held open, which keeps the module as well.
 *
 * States: free -> (somebody has seen a VM) wanted -> (the engine has opened it) held
 * -> (no VM is left) free.  Where it cannot be opened: wanted -> (the engine looks for
 * VMs itself, once in a while) free, so that who sees one is not heard more often than
 * that.  free -> wanted by anybody, all else under ballast_vms_lock.  Who takes a
 * reference does it in the RCU section in which he saw that it is held, or under that
 * lock.  Who saw a VM before may not see it again: after wanted, the engine looks for
 * VMs itself.
 */
#include <linux/atomic.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>

#include "vendor.h"

enum { VENDOR_FREE, VENDOR_WANTED, VENDOR_HELD };

static atomic_t state = ATOMIC_INIT(VENDOR_FREE);
static struct file *device;
static unsigned long retry_at;	/* jiffies; 0: it has not failed; under ballast_vms_lock */

#define RETRY_JIFFIES	HZ

/* ballast_vendor_is_held() - a reference to a struct kvm may be taken now */
bool ballast_vendor_is_held(void)
{
	return atomic_read_acquire(&state) == VENDOR_HELD;
}

/* ballast_vendor_want() - there is a VM.  True: the engine does not know that yet */
bool ballast_vendor_want(void)
{
	return atomic_read(&state) == VENDOR_FREE &&
	       atomic_cmpxchg(&state, VENDOR_FREE, VENDOR_WANTED) == VENDOR_FREE;
}

/* ballast_vendor_is_wanted() - ballast_vendor_hold() is to be called */
bool ballast_vendor_is_wanted(void)
{
	return atomic_read(&state) == VENDOR_WANTED;
}

/* ballast_vendor_ask_again() - who sees a VM is to tell the engine: it has not opened it */
void ballast_vendor_ask_again(void)
{
	if (!device)
		atomic_cmpxchg(&state, VENDOR_WANTED, VENDOR_FREE);
}

/* False, and not tried anew for a while, if it cannot be opened. */
static bool open_device(void)
{
	struct file *file;

	if (device)
		return true;
	if (retry_at && time_before(jiffies, retry_at))
		return false;
	file = filp_open("/dev/kvm", O_RDONLY | O_CLOEXEC, 0);
	if (IS_ERR(file)) {
		pr_warn_once("ballast: /dev/kvm cannot be opened (%pe): VMs are left alone until it can\n",
			     file);
		retry_at = (jiffies + RETRY_JIFFIES) | 1;
		return false;
	}
	retry_at = 0;
	device = file;
	return true;
}

/**
 * ballast_vendor_hold() - keep the module
 *
 * Context: under ballast_vms_lock; sleeps.
 * Return: false if /dev/kvm cannot be opened: who called looks for VMs later.
 */
bool ballast_vendor_hold(void)
{
	if (!open_device())
		return false;
	atomic_set_release(&state, VENDOR_HELD);
	return true;
}

/**
 * ballast_vendor_let_go() - no VM is held any more, or so it seems
 * @is_needed: have references been taken until now?  Called when nobody takes one
 *
 * Context: under ballast_vms_lock; sleeps.
 */
void ballast_vendor_let_go(bool (*is_needed)(void))
{
	atomic_set(&state, VENDOR_FREE);
	synchronize_rcu();
	if (is_needed() || ballast_vendor_is_wanted()) {
		/* wanted stays: the engine has been told, and will look */
		atomic_cmpxchg(&state, VENDOR_FREE, VENDOR_HELD);
		return;
	}
	fput(device);
	device = NULL;
}

/* ballast_vendor_exit() - all VMs have been let go, and nobody looks for more */
void ballast_vendor_exit(void)
{
	if (device)
		fput(device);
	device = NULL;
}
