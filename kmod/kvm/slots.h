/* SPDX-License-Identifier: GPL-2.0 */
/* KVM's memslots, as far as they are the guest's memory. */
#ifndef BALLAST_KVM_SLOTS_H
#define BALLAST_KVM_SLOTS_H

#include <linux/kvm_host.h>

#include "vm.h"

/*
 * Memory, not ROM nor a device's; of the ordinary address space: SMM's is the
 * same memory once more.  KVM's own slots (APIC page, TSS) have ids above the
 * user's.
 */
static inline bool ballast_slot_is_memory(const struct ballast_guest *guest,
					  const struct kvm_memory_slot *slot)
{
	unsigned int i;

	if (!slot->npages || slot->id >= KVM_USER_MEM_SLOTS ||
	    slot->flags & BALLAST_SLOT_FLAGS_NO_MEMORY)
		return false;
	for (i = 0; i < guest->devices_nr; i++)
		if (guest->devices[i] == slot->id)
			return false;
	return true;
}

/*
 * @slots is one snapshot, a variable: the walk looks into it at each step, and
 * what kvm->memslots points to may be another set at the next.  Hold kvm->srcu.
 */
#define ballast_for_each_slot(slot, bucket, slots, guest) \
	kvm_for_each_memslot(slot, bucket, slots) \
		if (!ballast_slot_is_memory(guest, slot)) {} else

static inline struct kvm_memslots *ballast_slots(const struct ballast_guest *guest)
{
	return __kvm_memslots(guest->kvm, 0);
}

static inline unsigned long ballast_slot_hva(const struct kvm_memory_slot *slot,
					     u64 gfn)
{
	return slot->userspace_addr + ((gfn - slot->base_gfn) << PAGE_SHIFT);
}

#endif /* BALLAST_KVM_SLOTS_H */
