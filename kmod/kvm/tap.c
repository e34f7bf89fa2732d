// SPDX-License-Identifier: GPL-2.0
/*
 * The fault tap: every EPT or NPT violation of every VM passes here.
 *
 * DOC: KVM's tracepoint kvm_page_fault is exported for modules.  Its handler
 * runs in the vCPU's thread with preemption off: it looks the VM up, marks a
 * sampled page as touched (ESX paper, section 5.3), and goes.  A VM that is not
 * known is put, with a reference, into one of a few slots, for the engine to
 * adopt; if the slot is another's, or no reference may be taken yet (vendor.c), the VM's
 * next fault tries again, and the engine is told to look for it, for there may be none.
 *
 * A slot's states: free -> (by cmpxchg) filling -> full -> (by the engine)
 * free.  The table of known VMs is written under ballast_vms_lock and read
 * under RCU.
 */
#include <linux/hashtable.h>
#include <linux/kvm_host.h>
#include <linux/tracepoint.h>

#include "sample.h"
#include "tap.h"
#include "vendor.h"

#define TABLE_BITS	12
#define NEWCOMERS_BITS	5

extern struct tracepoint __tracepoint_kvm_page_fault;

enum newcomer_state { FREE, FILLING, FULL };

static struct newcomer {
	atomic_t state;
	struct ballast_newcomer who;
} newcomers[1 << NEWCOMERS_BITS];

static DEFINE_HASHTABLE(known, TABLE_BITS);
static void (*kick_engine)(void);
static bool is_open;
static bool overlooked;

static struct ballast_guest *find(struct kvm *kvm)
{
	struct ballast_guest *guest;

	hash_for_each_possible_rcu(known, guest, hash, (unsigned long)kvm)
		if (guest->kvm == kvm)
			return guest;
	return NULL;
}

/* The engine looks, and once too often where it was the same VM on another CPU. */
static void overlook(void)
{
	if (!READ_ONCE(overlooked) && !xchg(&overlooked, true))
		kick_engine();
}

static void announce(struct kvm *kvm)
{
	struct newcomer *n = &newcomers[hash_ptr(kvm, NEWCOMERS_BITS)];

	if (!ballast_vendor_is_held()) {
		if (ballast_vendor_want())
			kick_engine();
		return;
	}
	if (atomic_read(&n->state) != FREE ||
	    atomic_cmpxchg(&n->state, FREE, FILLING) != FREE) {
		if (atomic_read_acquire(&n->state) != FULL || n->who.kvm != kvm)
			overlook();
		return;
	}
	if (!kvm_get_kvm_safe(kvm)) {
		atomic_set(&n->state, FREE);
		return;
	}
	n->who.kvm = kvm;
	n->who.pid = task_tgid_nr(current);
	strscpy(n->who.comm, current->group_leader->comm, TASK_COMM_LEN);
	atomic_set_release(&n->state, FULL);
	kick_engine();
}

/*
 * Is the address that the tracepoint gives a guest physical one?  With shadow
 * paging, and for a guest of the guest, it is not.
 */
static bool is_guest_physical(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.mmu->root_role.direct;
}

static void on_fault(void *unused, struct kvm_vcpu *vcpu, u64 address, u64 error_code)
{
	struct ballast_guest *guest;

	rcu_read_lock();
	guest = find(vcpu->kvm);
	if (!guest)
		announce(vcpu->kvm);
	else if (is_guest_physical(vcpu))
		ballast_sample_touch(guest, address >> PAGE_SHIFT);
	rcu_read_unlock();
}

/**
 * ballast_tap_newcomer() - a VM that faulted and is not known yet
 * @newcomer: result; the reference is the caller's
 *
 * Context: the engine.  Return: false if there is none.
 */
bool ballast_tap_newcomer(struct ballast_newcomer *newcomer)
{
	struct newcomer *n;

	for (n = newcomers; n < newcomers + ARRAY_SIZE(newcomers); n++) {
		if (atomic_read_acquire(&n->state) != FULL)
			continue;
		*newcomer = n->who;
		atomic_set_release(&n->state, FREE);
		return true;
	}
	return false;
}

/* ballast_tap_has_newcomer() - ballast_tap_newcomer() would find one */
bool ballast_tap_has_newcomer(void)
{
	struct newcomer *n;

	for (n = newcomers; n < newcomers + ARRAY_SIZE(newcomers); n++)
		if (atomic_read(&n->state) == FULL)
			return true;
	return false;
}

/* ballast_tap_overlooked() - has a VM found its slot another's?  Any context */
bool ballast_tap_overlooked(void)
{
	return READ_ONCE(overlooked);
}

/* ballast_tap_will_look() - from now on it matters if one does */
void ballast_tap_will_look(void)
{
	xchg(&overlooked, false);	/* before the look */
}

/* ballast_tap_watch() - @guest is known from now on; under ballast_vms_lock */
void ballast_tap_watch(struct ballast_guest *guest)
{
	hash_add_rcu(known, &guest->hash, (unsigned long)guest->kvm);
}

/* ballast_tap_forget() - the reverse; free @guest after a grace period */
void ballast_tap_forget(struct ballast_guest *guest)
{
	hash_del_rcu(&guest->hash);
}

/* ballast_tap_knows() - under ballast_vms_lock */
bool ballast_tap_knows(struct kvm *kvm)
{
	struct ballast_guest *guest;

	hash_for_each_possible(known, guest, hash, (unsigned long)kvm)
		if (guest->kvm == kvm)
			return true;
	return false;
}

void ballast_tap_init(void (*kick)(void))
{
	kick_engine = kick;
}

bool ballast_tap_is_open(void)
{
	return is_open;
}

/**
 * ballast_tap_open() - have the faults of all VMs from now on
 *
 * Context: under ballast_vms_lock, as ballast_tap_close().
 * Return: 0 or an error of the tracepoint.
 */
int ballast_tap_open(void)
{
	int err;

	if (is_open)
		return 0;
	err = tracepoint_probe_register(&__tracepoint_kvm_page_fault, on_fault, NULL);
	is_open = !err;
	return err;
}

/* ballast_tap_close() - no handler runs any more on return */
void ballast_tap_close(void)
{
	if (!is_open)
		return;
	tracepoint_probe_unregister(&__tracepoint_kvm_page_fault, on_fault, NULL);
	tracepoint_synchronize_unregister();
	is_open = false;
}
