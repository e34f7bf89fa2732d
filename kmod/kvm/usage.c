// SPDX-License-Identifier: GPL-2.0
/*
 * What a VM has: the size of its memslots, what of it is in host memory, what
 * of that is shared or held.
 *
 * DOC: On ordinary memory the kernel's own counters of the process serve: they
 * cost nothing, and include the VMM's heap.  On ballastfs the files' counters
 * are exact.  Which files those are is looked up when the memslots change.
 */
#include <linux/hugetlb.h>
#include <linux/sched/mm.h>

#include "../memory/slot.h"
#include "slots.h"
#include "vm.h"

/* ballast_guest_pages() - memory of one guest, in pages; sleeps not */
u64 ballast_guest_pages(const struct ballast_guest *guest)
{
	struct kvm_memory_slot *slot;
	struct kvm_memslots *slots;
	u64 pages = 0;
	int bucket, srcu;

	srcu = srcu_read_lock(&guest->kvm->srcu);
	slots = ballast_slots(guest);
	ballast_for_each_slot(slot, bucket, slots, guest)
		pages += slot->npages;
	srcu_read_unlock(&guest->kvm->srcu, srcu);
	return pages;
}

static u64 generation_of(struct ballast_vm *vm)
{
	struct ballast_guest *guest;
	u64 sum = 0;
	int srcu;

	list_for_each_entry(guest, &vm->guests, node) {
		srcu = srcu_read_lock(&guest->kvm->srcu);
		/* 1: no memslot is unlike no guest */
		sum += 1 + kvm_memslots(guest->kvm)->generation;
		srcu_read_unlock(&guest->kvm->srcu, srcu);
	}
	return sum;
}

static void forget_maps(struct ballast_vm *vm)
{
	vm->ranges_nr = 0;
	while (vm->maps_nr) {
		vm->maps_nr--;
		atomic_long_set(&vm->maps[vm->maps_nr]->excess_pages, 0);
		ballast_map_put(vm->maps[vm->maps_nr]);
	}
}

static bool has_map(struct ballast_vm *vm, struct ballast_map *map)
{
	unsigned int i;

	for (i = 0; i < vm->maps_nr; i++)
		if (vm->maps[i] == map)
			return true;
	return false;
}

/* The pool is that of the first file found; under mmap_lock. */
static void add_map(struct ballast_vm *vm, struct ballast_map *map)
{
	struct ballast_pool *pool = vm->maps_nr ? vm->maps[0]->pool : map->pool;

	if (map->pool != pool || has_map(vm, map) || vm->maps_nr == BALLAST_VM_MAPS_MAX)
		return;
	ballast_map_get(map);
	vm->maps[vm->maps_nr++] = map;
}

static void note_range(struct ballast_vm *vm, struct ballast_map *map,
		      const struct kvm_memory_slot *slot, const struct vm_area_struct *vma)
{
	if (vm->ranges_nr == BALLAST_VM_RANGES_MAX)
		return;
	vm->ranges[vm->ranges_nr++] = (struct ballast_vm_range) {
		.hva = slot->userspace_addr,
		.pages = slot->npages,
		.pgoff = vma->vm_pgoff + ((slot->userspace_addr - vma->vm_start) >> PAGE_SHIFT),
		.map = map,
	};
}

/**
 * ballast_usage_spare() - a page of the VM was touched: reclaim passes it over once
 * @vm: which
 * @hva: where its VMM has the page
 *
 * If the VMM has mapped something else there since, another page is spared.
 *
 * Context: the engine, under ballast_vms_lock.
 */
void ballast_usage_spare(struct ballast_vm *vm, unsigned long hva)
{
	const struct ballast_vm_range *range;
	unsigned int i;

	for (i = 0; i < vm->ranges_nr; i++) {
		range = &vm->ranges[i];
		if (hva < range->hva || (hva - range->hva) >> PAGE_SHIFT >= range->pages)
			continue;
		ballast_map_spare(range->map,
				  range->pgoff + ((hva - range->hva) >> PAGE_SHIFT));
		return;
	}
}

/* Which file a memslot's memory is in, or that it is a device's. */
static void look_at_slot(struct ballast_vm *vm, struct ballast_guest *guest,
			 const struct kvm_memory_slot *slot)
{
	struct vm_area_struct *vma = find_vma(vm->mm, slot->userspace_addr);
	struct ballast_map *map;

	if (!vma || vma->vm_start > slot->userspace_addr)
		return;
	if (vma->vm_flags & (VM_PFNMAP | VM_IO)) {
		if (guest->devices_nr < BALLAST_DEVICE_SLOTS_MAX)
			guest->devices[guest->devices_nr++] = slot->id;
		return;
	}
	map = vma->vm_file ? ballast_map_of_file(vma->vm_file) : NULL;
	if (map)
		add_map(vm, map);
	if (map && has_map(vm, map))
		note_range(vm, map, slot, vma);
}

static void find_maps_of(struct ballast_vm *vm, struct ballast_guest *guest)
{
	struct kvm_memory_slot *slot;
	struct kvm_memslots *slots;
	int bucket, srcu;

	srcu = srcu_read_lock(&guest->kvm->srcu);
	slots = ballast_slots(guest);
	guest->devices_nr = 0;
	ballast_for_each_slot(slot, bucket, slots, guest)
		look_at_slot(vm, guest, slot);
	srcu_read_unlock(&guest->kvm->srcu, srcu);
}

/*
 * Which files the VM's memory lies in.  Not when a VM's mmap_lock is taken: the
 * engine waits for nobody, it asks again at its next tick.
 */
static void find_maps(struct ballast_vm *vm, u64 generation)
{
	struct ballast_guest *guest;
	struct ballast_pool *pool;

	if (!mmget_not_zero(vm->mm))
		return;
	if (mmap_read_trylock(vm->mm)) {
		forget_maps(vm);
		list_for_each_entry(guest, &vm->guests, node)
			find_maps_of(vm, guest);
		mmap_read_unlock(vm->mm);
		vm->generation = generation;
		pool = vm->maps_nr ? vm->maps[0]->pool : NULL;
		ballast_vm_set_pool(vm, pool);
	}
	mmput_async(vm->mm);
}

static u64 hugetlb_pages(struct mm_struct *mm)
{
#ifdef CONFIG_HUGETLB_PAGE
	return atomic_long_read(&mm->hugetlb_usage);
#else
	return 0;
#endif
}

static u64 ksm_pages(struct mm_struct *mm)
{
#ifdef CONFIG_KSM
	return READ_ONCE(mm->ksm_merging_pages);
#else
	return 0;
#endif
}

/*
 * What the process has locked, or a device holds: VFIO counts in locked_vm, RDMA,
 * io_uring and iommufd in pinned_vm.  mlock() of a mapping of ballastfs does
 * nothing and is not counted; other memory of its VMM may be.
 */
static u64 locked_pages(struct mm_struct *mm)
{
	return READ_ONCE(mm->locked_vm) + atomic64_read(&mm->pinned_vm);
}

static void usage_of_process(struct ballast_vm *vm)
{
	u64 hugetlb = hugetlb_pages(vm->mm);
	u64 held = hugetlb + locked_pages(vm->mm);
	u64 resident = get_mm_rss(vm->mm) + hugetlb;

	WRITE_ONCE(vm->usage.resident_pages, resident);
	WRITE_ONCE(vm->usage.shared_pages, ksm_pages(vm->mm));
	WRITE_ONCE(vm->usage.zero_pages, 0);
	WRITE_ONCE(vm->usage.compressed_pages, 0);
	WRITE_ONCE(vm->usage.swapped_pages, 0);
	WRITE_ONCE(vm->usage.held_pages, min(held, vm->usage.size_pages));
}

static void usage_of_maps(struct ballast_vm *vm)
{
	u64 private = 0, shared = 0, zero = 0, compressed = 0, swapped = 0;
	struct ballast_map_counts one;
	unsigned int i;

	for (i = 0; i < vm->maps_nr; i++) {
		ballast_map_sum(vm->maps[i], &one);
		private += one.private_slots;
		shared += one.shared_slots;
		zero += one.zero_slots;
		compressed += one.compressed_slots;
		swapped += one.swapped_slots;
	}
	WRITE_ONCE(vm->usage.resident_pages, private + shared);
	WRITE_ONCE(vm->usage.shared_pages, shared);
	WRITE_ONCE(vm->usage.zero_pages, zero);
	WRITE_ONCE(vm->usage.compressed_pages, compressed);
	WRITE_ONCE(vm->usage.swapped_pages, swapped);
	WRITE_ONCE(vm->usage.held_pages, min(locked_pages(vm->mm), vm->usage.size_pages));
}

/**
 * ballast_usage_update() - look again
 * @vm: at which
 *
 * Context: the engine, under ballast_vms_lock; sleeps.
 */
void ballast_usage_update(struct ballast_vm *vm)
{
	u64 generation = generation_of(vm);
	struct ballast_guest *guest;
	u64 pages = 0;

	if (generation != vm->generation) {
		find_maps(vm, generation);
		list_for_each_entry(guest, &vm->guests, node)
			pages += ballast_guest_pages(guest);
		WRITE_ONCE(vm->usage.size_pages, pages);
	}
	if (vm->pool)
		usage_of_maps(vm);
	else
		usage_of_process(vm);
}

/* ballast_usage_forget() - the VM goes */
void ballast_usage_forget(struct ballast_vm *vm)
{
	forget_maps(vm);
	ballast_vm_set_pool(vm, NULL);
}
