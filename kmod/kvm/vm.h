/* SPDX-License-Identifier: GPL-2.0 */
/* The VMs of the host: who they are, what they have. */
#ifndef BALLAST_KVM_VM_H
#define BALLAST_KVM_VM_H

#include <linux/atomic.h>
#include <linux/list.h>
#include <linux/rcupdate.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "../memory/map.h"
#include "../memory/pool.h"
#include "../policy/allocation.h"
#include "../policy/estimate.h"

struct kvm;
struct mm_struct;

#define BALLAST_DEFAULT_U32	U32_MAX		/* not set: the default holds */
#define BALLAST_SHARES_MAX	1000000000U
#define BALLAST_SHARES_PER_MIB	10		/* ESX's "normal" */
#define BALLAST_VM_MAPS_MAX	8		/* files one VM's memory may be */
#define BALLAST_VM_RANGES_MAX	16	/* memslots on files of ours */
#define BALLAST_SAMPLES_MAX	1000
#define BALLAST_DEVICE_SLOTS_MAX 32

/**
 * enum ballast_balloon_state - what the daemon says of a VM's balloon
 * @BALLAST_BALLOON_UNKNOWN: nobody has said anything
 * @BALLAST_BALLOON_OK: it obeys
 * @BALLAST_BALLOON_NONE: no device, or no driver in the guest
 * @BALLAST_BALLOON_STUCK: it has not moved for a while
 * @BALLAST_BALLOON_UNCOOPERATIVE: it has not moved for long
 * @BALLAST_BALLOON_FROZEN: it must not be moved now
 */
enum ballast_balloon_state {
	BALLAST_BALLOON_UNKNOWN,
	BALLAST_BALLOON_OK,
	BALLAST_BALLOON_NONE,
	BALLAST_BALLOON_STUCK,
	BALLAST_BALLOON_UNCOOPERATIVE,
	BALLAST_BALLOON_FROZEN,
	BALLAST_BALLOON_NR,
};

/**
 * struct ballast_sample - a guest page under observation
 * @gfn: guest physical page
 * @hva: where the VMM has it
 */
struct ballast_sample {
	u64 gfn;
	unsigned long hva;
};

/**
 * struct ballast_samples - the sample of one guest in one period
 * @rcu: to free it by
 * @count: pages in it
 * @large: one of the pages was in a large mapping
 * @touched: bits set in @bitmap
 * @bitmap: page i was touched; set by the tap, atomically
 * @sample: sorted by gfn; constant once published
 */
struct ballast_samples {
	struct rcu_head rcu;
	u32 count;
	bool large;
	atomic_t touched;
	unsigned long bitmap[BITS_TO_LONGS(BALLAST_SAMPLES_MAX)];
	struct ballast_sample sample[];
};

/**
 * struct ballast_guest - one struct kvm
 * @node: in vm->guests; RCU, written by the engine
 * @hash: in the tap's table; RCU
 * @rcu: to free it by
 * @kvm: holds a reference, dropped within a tick of its being the last
 * @devices: ids of memslots that are a device's memory (PCI BARs); the engine's
 * @devices_nr: how many; further ones count as the guest's
 * @exits: exits of all its vCPUs when last looked at; the engine's
 * @samples: RCU; replaced by the engine, marked by the tap
 * @sampled_faults: faults on sampled pages, each page once a period
 * @neighbour_faults: faults beside a sampled page that the sampling caused
 */
struct ballast_guest {
	struct list_head node;
	struct hlist_node hash;
	struct rcu_head rcu;
	struct kvm *kvm;
	struct ballast_samples __rcu *samples;
	short devices[BALLAST_DEVICE_SLOTS_MAX];
	unsigned int devices_nr;
	u64 exits;
	/* written by all vCPUs, unlike what is above */
	atomic64_t sampled_faults ____cacheline_aligned_in_smp;
	atomic64_t neighbour_faults;
};

/**
 * struct ballast_vm_settings - what is asked for a VM; written by sysfs
 * @shares: BALLAST_DEFAULT_U32: by its size
 * @tax_bp: BALLAST_DEFAULT_U32: the host's
 * @balloon_state: enum ballast_balloon_state
 * @min_pages: never less
 * @max_pages: never more; 0: its size
 * @floor_pages: what the guest needs, so the daemon
 * @balloon_pages: what its balloon holds, so the daemon
 *
 * Single words, READ_ONCE and WRITE_ONCE, no lock.
 */
struct ballast_vm_settings {
	u32 shares;
	u32 tax_bp;
	u32 balloon_state;
	u64 min_pages;
	u64 max_pages;
	u64 floor_pages;
	u64 balloon_pages;
};

/**
 * struct ballast_vm_usage - what a VM has; written by the engine
 * @size_pages: all its memslots
 * @resident_pages: backed by host memory
 * @shared_pages: of these, backed by a page that others use too
 * @zero_pages: not resident because they were found to be all zero
 * @compressed_pages: in their pool's store
 * @swapped_pages: in their pool's swap file
 * @held_pages: of the resident ones, what nobody can take: locked, hugetlb, pinned
 * @running: it ran since the last look
 */
struct ballast_vm_usage {
	u64 size_pages;
	u64 resident_pages;
	u64 shared_pages;
	u64 zero_pages;
	u64 compressed_pages;
	u64 swapped_pages;
	u64 held_pages;
	bool running;
};

/**
 * struct ballast_vm_result - what the policy decided; written by the engine
 * @rho_micro: see struct ballast_claim
 * @target_pages: memory it may have
 * @balloon_target_pages: what its balloon should hold
 * @reason: enum ballast_reason
 */
struct ballast_vm_result {
	u64 rho_micro;
	u64 target_pages;
	u64 balloon_target_pages;
	u32 reason;
};

/**
 * struct ballast_vm_activity - what is shown of a VM's estimate
 * @active_bp: the estimate
 * @error_bp: how far off it may be
 * @slow_bp: slow average
 * @fast_bp: fast average
 * @running_bp: fast average with the running period
 * @periods: periods that are over
 */
struct ballast_vm_activity {
	u32 active_bp;
	u32 error_bp;
	u32 slow_bp;
	u32 fast_bp;
	u32 running_bp;
	u32 periods;
};

/**
 * struct ballast_vm_range - where a memslot's memory is in a file
 * @hva: its first address in the VMM
 * @pages: how many
 * @pgoff: its first page in the file
 * @map: the file's memory, one of the VM's
 */
struct ballast_vm_range {
	unsigned long hva;
	u64 pages;
	pgoff_t pgoff;
	struct ballast_map *map;
};

/**
 * struct ballast_vm - one process with KVM VMs
 * @node: in the list of VMs, under ballast_vms_lock
 * @mm: its memory, by mm_count: may be empty already
 * @pid: thread group id in the initial namespace
 * @comm: name of the process when it was found
 * @guests: its struct kvm's
 * @control: the control layer's
 * @shown: the watcher has been told of it
 * @pool_lock: for @pool, against readers of its name
 * @pool: where its memory is; NULL: on ordinary memory, pool "host".
 *	A reference
 * @maps: files of @pool that its memory lies in; references
 * @maps_nr: how many
 * @ranges: memslots on @maps
 * @ranges_nr: how many
 * @generation: sum of the memslot generations when @pool and @maps were found
 * @settings: single words, written by sysfs
 * @usage: written by the engine, read without a lock
 * @result: the same
 * @activity: single words of @estimate, for readers
 * @divided: the pool that @result's target is of, only to compare with @pool
 * @has_target: @result has a target
 * @division_reason: why the target; the engine's
 * @estimate: the same
 * @samples_nr: pages under observation in the running period; 0: none runs
 * @sampled_ms: how long the running period has run
 * @sampling_method: enum ballast_sampling_method of the running period
 * @gone_sampled_faults: of guests that are gone
 * @gone_neighbour_faults: the same
 *
 * States: listed (from adoption until the engine drops it), gone.  Created and
 * dropped by the engine's tick alone, under ballast_vms_lock; its sysfs
 * directory is removed, with all its readers, before it is freed.
 */
struct ballast_vm {
	struct list_head node;
	struct mm_struct *mm;
	pid_t pid;
	char comm[TASK_COMM_LEN];
	struct list_head guests;
	void *control;
	bool shown;
	spinlock_t pool_lock;
	struct ballast_pool *pool;
	struct ballast_map *maps[BALLAST_VM_MAPS_MAX];
	unsigned int maps_nr;
	struct ballast_vm_range ranges[BALLAST_VM_RANGES_MAX];
	unsigned int ranges_nr;
	u64 generation;
	struct ballast_vm_settings settings;
	struct ballast_vm_usage usage;
	struct ballast_vm_result result;
	struct ballast_vm_activity activity;
	const struct ballast_pool *divided;
	bool has_target;
	u32 division_reason;
	struct ballast_estimate estimate;
	u32 samples_nr;
	u32 sampled_ms;
	u32 sampling_method;
	u64 gone_sampled_faults;
	u64 gone_neighbour_faults;
};

/**
 * struct ballast_vm_watcher - told of VMs that come and go
 * @vm_added: false: not this time; asked again at the next tick
 * @vm_removed: before it is freed
 *
 * One watcher, the control layer.  Called under ballast_vms_lock, may sleep.
 */
struct ballast_vm_watcher {
	bool (*vm_added)(struct ballast_vm *vm);
	void (*vm_removed)(struct ballast_vm *vm);
};

extern struct list_head ballast_vms;
extern struct mutex ballast_vms_lock;

int ballast_vms_init(void (*kick)(void));
void ballast_vms_exit(void);
void ballast_vms_watch(const struct ballast_vm_watcher *watcher);
bool ballast_vms_update(void);
void ballast_vms_find(void);
bool ballast_vms_missed(void);
u32 ballast_vm_shares(const struct ballast_vm *vm);
u64 ballast_vm_max_pages(const struct ballast_vm *vm);
void ballast_vm_pool_name(struct ballast_vm *vm, char *name);
int ballast_vm_set_min(struct ballast_vm *vm, u64 pages);
void ballast_vm_set_pool(struct ballast_vm *vm, struct ballast_pool *pool);

/* usage.c */
void ballast_usage_update(struct ballast_vm *vm);
void ballast_usage_forget(struct ballast_vm *vm);
void ballast_usage_spare(struct ballast_vm *vm, unsigned long hva);
u64 ballast_guest_pages(const struct ballast_guest *guest);

#endif /* BALLAST_KVM_VM_H */
