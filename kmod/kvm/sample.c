// SPDX-License-Identifier: GPL-2.0
/*
 * Idle memory sampling.
 *
 * DOC: In each period of a VM's run time n of its guest physical pages are
 * watched.  Method "fault": their EPT or NPT entries are taken away through
 * KVM's own MMU notifier; the first touch faults and passes the tap.  Method
 * "accessed": the entries' accessed bits are cleared at the beginning and read
 * at the end, through the same notifier; no fault, but a bit per mapping: 2 MiB
 * where KVM maps 2 MiB.  The averages are policy/estimate.c's.
 *
 * The sample is stratified: the memory is cut into n pieces and a page taken at
 * random from each.  Every page is as likely as with n independent draws, and
 * the error is never larger; where used memory lies together it is far smaller.
 *
 * Large mappings, method "fault": taking one page's entry away takes the 2 MiB
 * entry, and the next touch of any of its 512 pages would map all of them again
 * unseen.  So the region is marked as not to be mapped large (lpage_info of the
 * memslot, a bit beside KVM's own count, under mmu_lock) while the page is
 * watched, and is taken away as a whole once more when the mark goes, so that
 * it is mapped large again.  The mark is set and cleared without reading it: a
 * memslot that was deleted and made again in between has none and wants none.
 * Where the VMM has no large page behind it there is nothing to take away.
 *
 * Lifetime of a sample: published by the engine before the first entry is
 * taken away, marked by the tap under RCU, withdrawn and freed after a grace
 * period by the engine, under ballast_vms_lock throughout.  The VM may lose its
 * memory, its memslots and its process meanwhile: every step looks its memslot
 * up again under kvm->srcu.  The notifier works on what KVM has mapped, which
 * lives as long as the struct kvm that we hold, whatever becomes of the process.
 */
#include <linux/kthread.h>
#include <linux/mmu_notifier.h>
#include <linux/random.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "sample.h"
#include "slots.h"

/* Beside the count of reasons that KVM keeps, and its own flag in bit 31. */
#define NOT_LARGE	BIT(28)

struct ballast_sampling_tunables ballast_sampling_tunables = {
	.method = BALLAST_SAMPLING_FAULT,
	.pages_per_period = 100,
	.period_ms = 30000,
};

/* First sample with a gfn not below @gfn; set->count if there is none. */
static u32 lower_bound(const struct ballast_samples *set, u64 gfn)
{
	u32 low = 0, high = set->count, middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (set->sample[middle].gfn < gfn)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool same_region(u64 a, u64 b)
{
	return a >> (PMD_SHIFT - PAGE_SHIFT) == b >> (PMD_SHIFT - PAGE_SHIFT);
}

static bool has_neighbour(const struct ballast_samples *set, u32 at, u64 gfn)
{
	return (at < set->count && same_region(set->sample[at].gfn, gfn)) ||
	       (at && same_region(set->sample[at - 1].gfn, gfn));
}

/**
 * ballast_sample_touch() - the guest has faulted on a page
 * @guest: which
 * @gfn: the page
 *
 * Context: the tap: a vCPU's thread, preemption off, under RCU.
 */
void ballast_sample_touch(struct ballast_guest *guest, u64 gfn)
{
	struct ballast_samples *set = rcu_dereference(guest->samples);
	u32 at;

	if (!set)
		return;
	at = lower_bound(set, gfn);
	if (at < set->count && set->sample[at].gfn == gfn) {
		if (!test_and_set_bit(at, set->bitmap)) {
			atomic_inc(&set->touched);
			atomic64_inc(&guest->sampled_faults);
		}
	} else if (set->large && has_neighbour(set, at, gfn)) {
		atomic64_inc(&guest->neighbour_faults);
	}
}

static void invalidate(struct kvm *kvm, unsigned long start, unsigned long end)
{
	const struct mmu_notifier_ops *ops = kvm->mmu_notifier.ops;
	struct mmu_notifier_range range;

	ballast_range_init(&range, kvm->mm, start, end);
	ops->invalidate_range_start(&kvm->mmu_notifier, &range);
	ops->invalidate_range_end(&kvm->mmu_notifier, &range);
}

/* Under kvm->srcu, and the slot of it. */
static void mark_not_large(struct kvm *kvm, struct kvm_memory_slot *slot, u64 gfn,
			   bool on)
{
	struct kvm_lpage_info *info;
	int level;

	write_lock(&kvm->mmu_lock);
	for (level = PG_LEVEL_2M; level <= KVM_MAX_HUGEPAGE_LEVEL; level++) {
		info = slot->arch.lpage_info[level - PG_LEVEL_2M];
		if (!info)
			continue;
		info += (gfn >> KVM_HPAGE_GFN_SHIFT(level)) -
			(slot->base_gfn >> KVM_HPAGE_GFN_SHIFT(level));
		if (on)
			info->disallow_lpage |= NOT_LARGE;
		else
			info->disallow_lpage &= ~NOT_LARGE;
	}
	write_unlock(&kvm->mmu_lock);
}

/*
 * Small folios count their pins in the reference count, where each mapping counts
 * too: a page that many share looks pinned to folio_maybe_dma_pinned().
 */
static bool is_pinned(struct page *page)
{
	struct folio *folio = page_folio(page);

	if (!folio_maybe_dma_pinned(folio))
		return false;
	return folio_test_large(folio) ||
	       folio_ref_count(folio) - ballast_page_mapcount(page) >= GUP_PIN_COUNTING_BIAS;
}

/*
 * Has the VMM a large page there?  Of the current mm, without a lock: what is not
 * mapped, or is being changed, counts as small.
 */
static bool is_large(unsigned long hva, bool *pinned)
{
	struct page *page;
	bool large;

	*pinned = false;
	if (get_user_pages_fast_only(hva, 1, 0, &page) != 1)
		return false;
	large = folio_order(page_folio(page)) >= PMD_SHIFT - PAGE_SHIFT;
	*pinned = is_pinned(page);
	put_page(page);
	return large;
}

/* The 2 MiB around @gfn, as far as they are in @slot. */
static void invalidate_region(struct kvm *kvm, struct kvm_memory_slot *slot, u64 gfn)
{
	u64 pages = PMD_SIZE >> PAGE_SHIFT;
	u64 first = max_t(u64, gfn & ~(pages - 1), slot->base_gfn);
	u64 end = min_t(u64, (gfn | (pages - 1)) + 1, slot->base_gfn + slot->npages);

	invalidate(kvm, ballast_slot_hva(slot, first),
		   ballast_slot_hva(slot, first) + ((end - first) << PAGE_SHIFT));
}

static void count_touched(struct ballast_samples *set, u32 at)
{
	if (!test_and_set_bit(at, set->bitmap))
		atomic_inc(&set->touched);
}

/*
 * What is pinned for a device, or for a guest that is encrypted, cannot be taken
 * from the VM: it counts as in use and is left alone.  To take an encrypted
 * page's mapping away would flush the caches of all CPUs.
 */
static void begin_faults(struct kvm *kvm, struct ballast_samples *set)
{
	struct ballast_sample *sample;
	struct kvm_memory_slot *slot;
	bool pinned;

	for (sample = set->sample; sample < set->sample + set->count; sample++) {
		slot = __gfn_to_memslot(__kvm_memslots(kvm, 0), sample->gfn);
		if (!slot)
			continue;
		if (is_large(sample->hva, &pinned))
			WRITE_ONCE(set->large, true);
		if (pinned) {
			count_touched(set, sample - set->sample);
			continue;
		}
		mark_not_large(kvm, slot, sample->gfn, true);
		invalidate(kvm, sample->hva, sample->hva + PAGE_SIZE);
		cond_resched();
	}
}

/* All marks go first: a region may have several. */
static void end_faults(struct kvm *kvm, struct ballast_samples *set)
{
	struct ballast_sample *sample, *end = set->sample + set->count;
	struct kvm_memory_slot *slot;
	bool pinned;

	for (sample = set->sample; sample < end; sample++) {
		slot = __gfn_to_memslot(__kvm_memslots(kvm, 0), sample->gfn);
		if (slot)
			mark_not_large(kvm, slot, sample->gfn, false);
	}
	for (sample = set->sample; sample < end; sample++) {
		slot = __gfn_to_memslot(__kvm_memslots(kvm, 0), sample->gfn);
		if (slot && is_large(sample->hva, &pinned) && !pinned)
			invalidate_region(kvm, slot, sample->gfn);
		cond_resched();
	}
}

static void begin_accessed(struct kvm *kvm, struct ballast_samples *set)
{
	struct mmu_notifier *mn = &kvm->mmu_notifier;
	u32 i;

	for (i = 0; i < set->count; i++) {
		mn->ops->clear_flush_young(mn, kvm->mm, set->sample[i].hva,
					   set->sample[i].hva + PAGE_SIZE);
		cond_resched();
	}
}

static void end_accessed(struct kvm *kvm, struct ballast_samples *set)
{
	struct mmu_notifier *mn = &kvm->mmu_notifier;
	u32 i;

	for (i = 0; i < set->count; i++) {
		if (mn->ops->test_young(mn, kvm->mm, set->sample[i].hva))
			count_touched(set, i);
		cond_resched();
	}
}

static int by_gfn(const void *a, const void *b)
{
	const struct ballast_sample *x = a, *y = b;

	return x->gfn < y->gfn ? -1 : x->gfn > y->gfn;
}

/**
 * struct strata - the memory of a VM, cut into pieces of equal size
 * @pages: of the VM
 * @count: pieces
 * @next: the piece that the next page is drawn from
 * @draw: that page, counted from the VM's first one
 */
struct strata {
	u64 pages;
	u32 count;
	u32 next;
	u64 draw;
};

static void draw(struct strata *s)
{
	u64 first, end;

	if (s->next >= s->count) {
		s->draw = U64_MAX;
		return;
	}
	first = mul_u64_u32_div(s->pages, s->next, s->count);
	end = mul_u64_u32_div(s->pages, s->next + 1, s->count);
	s->draw = first + mul_u64_u64_shr(get_random_u64(), end - first, 64);
	s->next++;
}

/*
 * The draws that fall into this guest, whose memory begins at @base of the VM.
 * Memslots may have come or gone since they were counted: then there are fewer.
 */
static void choose(const struct ballast_guest *guest, struct ballast_samples *set,
		   struct strata *s, u64 base, u32 room)
{
	struct kvm_memslots *slots = ballast_slots(guest);
	struct kvm_memory_slot *slot;
	int bucket;

	while (s->draw < base)
		draw(s);
	ballast_for_each_slot(slot, bucket, slots, guest) {
		while (set->count < room && s->draw >= base &&
		       s->draw - base < slot->npages) {
			u64 gfn = slot->base_gfn + (s->draw - base);

			set->sample[set->count].gfn = gfn;
			set->sample[set->count].hva = ballast_slot_hva(slot, gfn);
			set->count++;
			draw(s);
		}
		base += slot->npages;
	}
}

static struct ballast_samples *samples_of(struct ballast_guest *guest)
{
	return rcu_dereference_protected(guest->samples,
					 lockdep_is_held(&ballast_vms_lock));
}

/* Withdraws the sample before, whose pages are watched no more. */
static void replace(struct ballast_guest *guest, struct ballast_samples *set)
{
	struct ballast_samples *old = samples_of(guest);

	rcu_assign_pointer(guest->samples, set);
	if (old)
		kvfree_rcu(old, rcu);
}

static void begin_guest(struct ballast_guest *guest, struct strata *s, u64 base,
			u64 pages, unsigned int method)
{
	struct ballast_samples *set = NULL;
	int srcu;

	if (s->draw < base + pages)
		set = kvzalloc(struct_size(set, sample, s->count), GFP_KERNEL);
	if (!set) {
		replace(guest, NULL);
		return;
	}
	srcu = srcu_read_lock(&guest->kvm->srcu);
	choose(guest, set, s, base, s->count);
	sort(set->sample, set->count, sizeof(set->sample[0]), by_gfn, NULL);
	replace(guest, set);
	if (method == BALLAST_SAMPLING_FAULT)
		begin_faults(guest->kvm, set);
	else
		begin_accessed(guest->kvm, set);
	srcu_read_unlock(&guest->kvm->srcu, srcu);
}

static u32 touched(struct ballast_vm *vm)
{
	struct ballast_guest *guest;
	u32 sum = 0;

	list_for_each_entry(guest, &vm->guests, node)
		if (samples_of(guest))
			sum += atomic_read(&samples_of(guest)->touched);
	return sum;
}

static void begin(struct ballast_vm *vm, unsigned int method)
{
	struct strata s = { .count = READ_ONCE(ballast_sampling_tunables.pages_per_period) };
	struct ballast_guest *guest;
	u64 base = 0, pages;
	u32 sampled = 0;

	list_for_each_entry(guest, &vm->guests, node)
		s.pages += ballast_guest_pages(guest);
	s.count = min_t(u64, s.count, s.pages);
	draw(&s);
	list_for_each_entry(guest, &vm->guests, node) {
		pages = ballast_guest_pages(guest);
		begin_guest(guest, &s, base, pages, method);
		if (samples_of(guest))
			sampled += samples_of(guest)->count;
		base += pages;
	}
	vm->sampling_method = method;
	vm->sampled_ms = 0;
	vm->samples_nr = sampled;
	ballast_estimate_begin(&vm->estimate, sampled);
}

/* Its pages are watched no more; what was touched can still be read.  Entered. */
static void unwatch(struct ballast_vm *vm, struct ballast_guest *guest)
{
	int srcu;

	if (!samples_of(guest))
		return;
	srcu = srcu_read_lock(&guest->kvm->srcu);
	if (vm->sampling_method == BALLAST_SAMPLING_FAULT)
		end_faults(guest->kvm, samples_of(guest));
	else
		end_accessed(guest->kvm, samples_of(guest));
	srcu_read_unlock(&guest->kvm->srcu, srcu);
}

/**
 * ballast_sample_forget() - a guest goes, and what was learned of it
 * @guest: which; nobody runs it any more, or no page of it is watched
 *
 * Context: under ballast_vms_lock.
 */
void ballast_sample_forget(struct ballast_guest *guest)
{
	replace(guest, NULL);
}

static void spare_touched(struct ballast_vm *vm, const struct ballast_samples *set)
{
	unsigned long i;

	if (!set || !vm->ranges_nr)
		return;
	for_each_set_bit(i, set->bitmap, set->count)
		ballast_usage_spare(vm, set->sample[i].hva);
}

static void end(struct ballast_vm *vm)
{
	struct ballast_guest *guest;

	list_for_each_entry(guest, &vm->guests, node) {
		unwatch(vm, guest);
		spare_touched(vm, samples_of(guest));
	}
	ballast_estimate_end(&vm->estimate, touched(vm));
	list_for_each_entry(guest, &vm->guests, node)
		replace(guest, NULL);
	vm->samples_nr = 0;
}

/* In the VM's address space; false if its process has none any more. */
static bool enter(struct ballast_vm *vm)
{
	if (!mmget_not_zero(vm->mm))
		return false;
	kthread_use_mm(vm->mm);
	return true;
}

static void leave(struct ballast_vm *vm)
{
	kthread_unuse_mm(vm->mm);
	/* the last reference tears the memory down: not here, not now */
	mmput_async(vm->mm);
}

/**
 * ballast_sample_drop() - give up the running period, learn nothing from it
 * @vm: whose
 *
 * Context: the engine's thread, under ballast_vms_lock; sleeps.
 */
void ballast_sample_drop(struct ballast_vm *vm)
{
	struct ballast_guest *guest;
	bool entered;

	if (!vm->samples_nr)
		return;
	entered = enter(vm);
	list_for_each_entry(guest, &vm->guests, node) {
		if (entered)
			unwatch(vm, guest);
		replace(guest, NULL);
	}
	if (entered)
		leave(vm);
	vm->samples_nr = 0;
	ballast_estimate_begin(&vm->estimate, 0);
}

static bool vcpu_ran(struct kvm_vcpu *vcpu, u64 *exits)
{
	*exits += READ_ONCE(vcpu->stat.exits);
	return READ_ONCE(vcpu->stat.generic.blocking);
}

/* Has the VM run since the last look?  Halted vCPUs run: they wait for work. */
static bool has_run(struct ballast_vm *vm)
{
	struct ballast_guest *guest;
	struct kvm_vcpu *vcpu;
	unsigned long i;
	bool ran = false;

	list_for_each_entry(guest, &vm->guests, node) {
		u64 exits = 0;

		if (!atomic_read(&guest->kvm->online_vcpus))
			continue;
		kvm_for_each_vcpu(i, vcpu, guest->kvm)
			ran |= vcpu_ran(vcpu, &exits);
		ran |= exits != guest->exits;
		guest->exits = exits;
	}
	return ran;
}

static void sample(struct ballast_vm *vm, unsigned int elapsed_ms, unsigned int method,
		   bool ran)
{
	if (vm->samples_nr && method != vm->sampling_method) {
		ballast_sample_drop(vm);
		memset(&vm->estimate, 0, sizeof(vm->estimate));
	}
	if (!ran || method == BALLAST_SAMPLING_OFF)
		return;
	if (vm->samples_nr) {
		vm->sampled_ms += elapsed_ms;
		ballast_estimate_progress(&vm->estimate, touched(vm));
		if (vm->sampled_ms < READ_ONCE(ballast_sampling_tunables.period_ms))
			return;
	}
	if (!enter(vm))
		return;
	if (vm->samples_nr)
		end(vm);
	begin(vm, method);
	leave(vm);
}

/* Readers see single words, never an estimate that is being changed. */
static void publish(struct ballast_vm *vm)
{
	const struct ballast_estimate *estimate = &vm->estimate;
	struct ballast_vm_activity *shown = &vm->activity;

	WRITE_ONCE(shown->active_bp, ballast_estimate_active_bp(estimate));
	WRITE_ONCE(shown->error_bp, ballast_estimate_error_bp(estimate, vm->samples_nr));
	WRITE_ONCE(shown->slow_bp, ballast_estimate_slow_bp(estimate));
	WRITE_ONCE(shown->fast_bp, ballast_estimate_fast_bp(estimate));
	WRITE_ONCE(shown->running_bp, ballast_estimate_running_bp(estimate));
	WRITE_ONCE(shown->periods, estimate->periods);
}

/**
 * ballast_sample_tick() - let a VM's period go on, end it, begin the next
 * @vm: which
 * @elapsed_ms: since the last tick
 *
 * Context: the engine, under ballast_vms_lock; sleeps.
 */
void ballast_sample_tick(struct ballast_vm *vm, unsigned int elapsed_ms)
{
	bool ran = has_run(vm);

	WRITE_ONCE(vm->usage.running, ran);
	sample(vm, elapsed_ms, READ_ONCE(ballast_sampling_tunables.method), ran);
	publish(vm);
}

/**
 * ballast_sample_faults() - faults that sampling has caused in a VM
 * @vm: in which; sysfs, no lock: guests come and go under ballast_vms_lock
 * @neighbours: of pages beside the sampled ones
 */
u64 ballast_sample_faults(struct ballast_vm *vm, bool neighbours)
{
	struct ballast_guest *guest;
	u64 sum;

	sum = neighbours ? READ_ONCE(vm->gone_neighbour_faults) :
			   READ_ONCE(vm->gone_sampled_faults);
	rcu_read_lock();
	list_for_each_entry_rcu(guest, &vm->guests, node)
		sum += atomic64_read(neighbours ? &guest->neighbour_faults :
						  &guest->sampled_faults);
	rcu_read_unlock();
	return sum;
}
