// SPDX-License-Identifier: GPL-2.0
/*
 * The registry of VMs: every process that has a KVM VM, whatever its memory.
 *
 * DOC: A VM is found by its first fault (tap.c), or, if it is the first after a while,
 * was there before the module, nothing is tapped or it could not be adopted then, by a
 * walk over all processes' open files.  It is kept by mm: one record, however many
 * struct kvm its process has.
 *
 * References: a record holds the mm by mm_count, which keeps the structure and
 * no memory, and each struct kvm, with the module that takes it down (vendor.c).  The
 * engine looks each tick whether it is the
 * last to hold one, or the process has gone, and lets go: KVM's own teardown of
 * a VM may be that much later than without the module.
 *
 * Locks: ballast_vms_lock (mutex) for the list, the guests of each VM and the
 * tap's table.  The engine holds it for a tick; whoever only reads numbers of
 * a VM that he holds by its sysfs directory does not need it.
 */
#include <linux/fdtable.h>
#include <linux/kthread.h>
#include <linux/kvm_host.h>
#include <linux/mutex.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "../memory/promise.h"
#include "sample.h"
#include "tap.h"
#include "vendor.h"

#define GENERATION_UNKNOWN	U64_MAX

LIST_HEAD(ballast_vms);
DEFINE_MUTEX(ballast_vms_lock);

/* There may be a VM that could not be adopted; looked at without the lock. */
static bool missed;
static struct workqueue_struct *farewells;
static atomic_t farewells_nr;
static const struct ballast_vm_watcher no_watcher;
static const struct ballast_vm_watcher *the_watcher = &no_watcher;

/**
 * ballast_vms_watch() - set the one watcher
 * @watcher: NULL for none
 *
 * Context: module init and exit, when there is no VM.
 */
void ballast_vms_watch(const struct ballast_vm_watcher *watcher)
{
	the_watcher = watcher ?: &no_watcher;
}

/*
 * ballast_vm_shares() - in force: what was written, or ESX's "normal" by size.  A VM may
 * say that it is larger than the host: that buys it nothing.
 */
u32 ballast_vm_shares(const struct ballast_vm *vm)
{
	u32 shares = READ_ONCE(vm->settings.shares);
	u64 mib = min_t(u64, READ_ONCE(vm->usage.size_pages), totalram_pages()) >>
		  (20 - PAGE_SHIFT);

	if (shares != BALLAST_DEFAULT_U32)
		return shares;
	return min_t(u64, max_t(u64, mib, 1) * BALLAST_SHARES_PER_MIB, BALLAST_SHARES_MAX);
}

/* ballast_vm_max_pages() - in force: never above the VM's size */
u64 ballast_vm_max_pages(const struct ballast_vm *vm)
{
	u64 size = READ_ONCE(vm->usage.size_pages);
	u64 max = READ_ONCE(vm->settings.max_pages);

	return max ? min(max, size) : size;
}

/**
 * ballast_vm_pool_name() - of the pool its memory is in
 * @vm: whose
 * @name: BALLAST_POOL_NAME_MAX + 1 bytes
 */
void ballast_vm_pool_name(struct ballast_vm *vm, char *name)
{
	spin_lock(&vm->pool_lock);
	strscpy(name, vm->pool ? vm->pool->name : BALLAST_POOL_HOST,
		BALLAST_POOL_NAME_MAX + 1);
	spin_unlock(&vm->pool_lock);
}

/* ballast_vm_set_pool() - the engine has found where its memory is */
void ballast_vm_set_pool(struct ballast_vm *vm, struct ballast_pool *pool)
{
	struct ballast_pool *old = vm->pool;

	if (pool == old)
		return;
	if (pool)
		ballast_pool_get(pool);
	spin_lock(&vm->pool_lock);
	if (old)
		ballast_promise_min(old, vm->settings.min_pages, 0, true);
	if (pool)
		ballast_promise_min(pool, 0, vm->settings.min_pages, true);
	vm->pool = pool;
	spin_unlock(&vm->pool_lock);
	if (old)
		ballast_pool_put(old);
}

/**
 * ballast_vm_set_min() - memory that a VM is to be sure of
 * @vm: which
 * @pages: how much
 *
 * Return: 0; -ENOSPC if its pool cannot promise that.
 */
int ballast_vm_set_min(struct ballast_vm *vm, u64 pages)
{
	int err = 0;

	spin_lock(&vm->pool_lock);
	if (vm->pool)
		err = ballast_promise_min(vm->pool, vm->settings.min_pages, pages, false);
	if (!err)
		WRITE_ONCE(vm->settings.min_pages, pages);
	spin_unlock(&vm->pool_lock);
	return err;
}

static struct ballast_vm *vm_of(struct mm_struct *mm)
{
	struct ballast_vm *vm;

	list_for_each_entry(vm, &ballast_vms, node)
		if (vm->mm == mm)
			return vm;
	return NULL;
}

static struct ballast_vm *vm_create(const struct ballast_newcomer *newcomer)
{
	struct ballast_vm *vm = kzalloc(sizeof(*vm), GFP_KERNEL);

	if (!vm)
		return NULL;
	vm->mm = newcomer->kvm->mm;
	mmgrab(vm->mm);
	vm->pid = newcomer->pid;
	strscpy(vm->comm, newcomer->comm, sizeof(vm->comm));
	spin_lock_init(&vm->pool_lock);
	INIT_LIST_HEAD(&vm->guests);
	vm->settings.shares = BALLAST_DEFAULT_U32;
	vm->settings.tax_bp = BALLAST_DEFAULT_U32;
	list_add_tail(&vm->node, &ballast_vms);
	return vm;
}

/* Its guests are gone. */
static void vm_drop(struct ballast_vm *vm)
{
	list_del(&vm->node);
	if (vm->shown)
		the_watcher->vm_removed(vm);	/* waits for readers */
	ballast_usage_forget(vm);
	mmdrop(vm->mm);
	kfree(vm);
}

/**
 * struct farewell - the engine's last reference to a VM, to be dropped
 * @work: where
 * @kvm: whose
 *
 * Tearing a VM down takes long, and is done in its process's address space if
 * that is still there, for KVM takes its own mappings out of it.  So it is left
 * to a workqueue: nobody but the VM's own process waits for its mmap_lock.
 */
struct farewell {
	struct work_struct work;
	struct kvm *kvm;
};

static void say_farewell(struct kvm *kvm)
{
	struct mm_struct *mm = kvm->mm;
	bool entered = mmget_not_zero(mm);

	if (entered)
		kthread_use_mm(mm);
	kvm_put_kvm(kvm);
	if (entered) {
		kthread_unuse_mm(mm);
		mmput_async(mm);
	}
}

static void farewell_work(struct work_struct *work)
{
	struct farewell *farewell = container_of(work, struct farewell, work);

	say_farewell(farewell->kvm);
	kfree(farewell);
	atomic_dec(&farewells_nr);
}

static void put_later(struct kvm *kvm)
{
	struct farewell *farewell = kmalloc(sizeof(*farewell), GFP_KERNEL);

	if (!farewell) {
		kvm_put_kvm(kvm);
		return;
	}
	INIT_WORK(&farewell->work, farewell_work);
	farewell->kvm = kvm;
	atomic_inc(&farewells_nr);
	queue_work(farewells, &farewell->work);
}

static void guest_drop(struct ballast_vm *vm, struct ballast_guest *guest)
{
	ballast_sample_forget(guest);
	ballast_tap_forget(guest);
	list_del_rcu(&guest->node);
	WRITE_ONCE(vm->gone_sampled_faults, vm->gone_sampled_faults +
		   atomic64_read(&guest->sampled_faults));
	WRITE_ONCE(vm->gone_neighbour_faults, vm->gone_neighbour_faults +
		   atomic64_read(&guest->neighbour_faults));
	put_later(guest->kvm);
	vm->generation = GENERATION_UNKNOWN;
	kfree_rcu(guest, rcu);
}

/* Nobody but us holds the VM, or its process has no memory any more. */
static bool is_gone(struct ballast_vm *vm, struct ballast_guest *guest)
{
	return refcount_read(&guest->kvm->users_count) == 1 ||
	       !atomic_read(&vm->mm->mm_users);
}

/*
 * Takes over the newcomer's reference.  Return: false if there was no memory for
 * it: its next fault tries again, or a walk if it has all its memory and never faults.
 */
static bool adopt(const struct ballast_newcomer *newcomer)
{
	struct ballast_guest *guest;
	struct ballast_vm *vm;

	if (ballast_tap_knows(newcomer->kvm)) {
		put_later(newcomer->kvm);
		return true;
	}
	guest = kzalloc(sizeof(*guest), GFP_KERNEL);
	if (!guest)
		goto put_kvm;
	vm = vm_of(newcomer->kvm->mm) ?: vm_create(newcomer);
	if (!vm)
		goto free_guest;
	guest->kvm = newcomer->kvm;
	list_add_tail_rcu(&guest->node, &vm->guests);
	ballast_tap_watch(guest);
	vm->generation = GENERATION_UNKNOWN;
	ballast_usage_update(vm);
	return true;

free_guest:
	kfree(guest);
put_kvm:
	put_later(newcomer->kvm);
	WRITE_ONCE(missed, true);
	return false;
}

static bool pid_is_listed(const struct ballast_vm *but)
{
	struct ballast_vm *vm;

	list_for_each_entry(vm, &ballast_vms, node)
		if (vm->pid == but->pid && vm != but)
			return true;
	return false;
}

/* A PID may be another process's before we have let go of the first. */
static bool show_newcomers(void)
{
	struct ballast_vm *vm;
	bool any = false;

	list_for_each_entry(vm, &ballast_vms, node) {
		if (vm->shown || pid_is_listed(vm))
			continue;
		vm->shown = the_watcher->vm_added(vm);
		any = true;
	}
	return any;
}

#define VENDOR_HELD_MS	1000

/* Who starts one VM after the other need not wait for us each time. */
static void let_go_of_vendor(void)
{
	static unsigned long idle_since;
	bool idle = ballast_vendor_is_held() && list_empty(&ballast_vms) &&
		    !atomic_read(&farewells_nr);

	if (!idle)
		idle_since = 0;
	else if (!idle_since)
		idle_since = jiffies ?: 1;
	if (!idle_since || time_before(jiffies, idle_since + msecs_to_jiffies(VENDOR_HELD_MS)))
		return;
	idle_since = 0;
	ballast_vendor_let_go(ballast_tap_has_newcomer);
}

/**
 * ballast_vms_update() - adopt who came, let go who went
 *
 * Context: the engine, under ballast_vms_lock; sleeps.
 * Return: true if any did.
 */
bool ballast_vms_update(void)
{
	struct ballast_guest *guest, *next_guest;
	struct ballast_newcomer newcomer;
	struct ballast_vm *vm, *next;
	bool changed = false;

	if (ballast_vendor_is_wanted()) {	/* who was seen may not fault again */
		if (ballast_vendor_hold())
			ballast_vms_find();
		else
			WRITE_ONCE(missed, true);
	}
	while (ballast_tap_newcomer(&newcomer))
		adopt(&newcomer);
	list_for_each_entry_safe(vm, next, &ballast_vms, node) {
		list_for_each_entry_safe(guest, next_guest, &vm->guests, node) {
			if (is_gone(vm, guest)) {
				guest_drop(vm, guest);
				changed = true;
			}
		}
		if (list_empty(&vm->guests))
			vm_drop(vm);
	}
	let_go_of_vendor();
	return show_newcomers() || changed;
}

#define WALKS_MAX	64

/**
 * struct walk - a walk over all processes' open files
 * @found: VMs to adopt
 * @nr: how many
 * @refused: there was one, and no reference may be taken
 * @task: whose files these are
 */
struct walk {
	struct ballast_newcomer found[64];
	unsigned int nr;
	bool refused;
	struct task_struct *task;
};

/* Under the file table's lock. */
static int look_at_file(const void *arg, struct file *file, unsigned int fd)
{
	struct walk *walk = (struct walk *)arg;
	struct kvm *kvm = file->private_data;

	if (walk->nr == ARRAY_SIZE(walk->found))
		return 1;
	/* one VM's file many times over is still one VM */
	if (walk->nr && walk->found[walk->nr - 1].kvm == kvm)
		return 0;
	/* a file that was handed on is not that process's VM */
	if (!file_is_kvm(file) || kvm->mm != walk->task->mm || ballast_tap_knows(kvm))
		return 0;
	if (!ballast_vendor_is_held()) {
		walk->refused = true;
		return 1;
	}
	if (kvm_get_kvm_safe(kvm)) {
		walk->found[walk->nr].kvm = kvm;
		walk->found[walk->nr].pid = task_tgid_nr(walk->task);
		strscpy(walk->found[walk->nr].comm, walk->task->comm, TASK_COMM_LEN);
		walk->nr++;
	}
	return 0;
}

/*
 * Let others run.  False if the process has ended meanwhile, or another thread of it
 * has taken its place by exec: what comes after it is not to be had from it.
 */
static bool breathe(struct task_struct *task)
{
	bool alive;

	get_task_struct(task);
	rcu_read_unlock();
	cond_resched();
	rcu_read_lock();
	alive = pid_alive(task) && thread_group_leader(task);
	put_task_struct(task);
	return alive;
}

/* All processes, as far as @walk has room.  False if it broke off. */
static bool walk_processes(struct walk *walk)
{
	bool whole = true;

	walk->nr = 0;
	walk->refused = false;
	rcu_read_lock();
	for_each_process(walk->task) {
		task_lock(walk->task);
		if (walk->task->files && walk->task->mm)
			iterate_fd(walk->task->files, 0, look_at_file, walk);
		task_unlock(walk->task);
		if (walk->refused || walk->nr == ARRAY_SIZE(walk->found))
			break;
		if (need_resched() && !breathe(walk->task)) {
			whole = false;
			break;
		}
	}
	rcu_read_unlock();
	return whole && !walk->refused && walk->nr < ARRAY_SIZE(walk->found);
}

/**
 * ballast_vms_find() - adopt VMs that have been there before us
 *
 * A walk that breaks off, or finds more than it has room for, is made again, up to
 * WALKS_MAX times; what is not found then is found by its faults or the next time, see
 * ballast_vms_missed().
 *
 * Context: the engine or init, under ballast_vms_lock; sleeps.
 */
void ballast_vms_find(void)
{
	struct walk *walk = kzalloc(sizeof(*walk), GFP_KERNEL);
	bool whole, adopted = true;
	unsigned int i, walks = 0;

	WRITE_ONCE(missed, !walk);
	if (!walk)
		return;
	ballast_tap_will_look();
	ballast_vendor_ask_again();
	do {
		whole = walk_processes(walk);
		if (walk->refused && !ballast_vendor_hold())
			break;
		for (i = 0; i < walk->nr; i++)
			adopted &= adopt(&walk->found[i]);
	} while (!whole && adopted && ++walks < WALKS_MAX);
	/* not where processes that end broke it off each time: that may go on for long */
	if (walk->refused || walk->nr == ARRAY_SIZE(walk->found))
		WRITE_ONCE(missed, true);
	kfree(walk);
}

/**
 * ballast_vms_missed() - may there be a VM that could not be adopted?
 *
 * For want of memory, of /dev/kvm or of a slot, or since there were too many.  Who asks
 * calls ballast_vms_find() in a while: such a VM may never fault again.
 *
 * Context: any.
 */
bool ballast_vms_missed(void)
{
	return READ_ONCE(missed) || ballast_tap_overlooked();
}

/**
 * ballast_vms_init() - be told of VMs from now on
 * @kick: have ballast_vms_update() called soon; any context
 *
 * Return: 0, -ENOMEM or an error of the tracepoint.
 */
int ballast_vms_init(void (*kick)(void))
{
	int err;

	farewells = alloc_workqueue("ballast_farewell", WQ_UNBOUND, 0);
	if (!farewells)
		return -ENOMEM;
	ballast_tap_init(kick);
	mutex_lock(&ballast_vms_lock);
	err = ballast_tap_open();
	if (!err)
		ballast_vms_find();
	mutex_unlock(&ballast_vms_lock);
	if (err)
		destroy_workqueue(farewells);
	return err;
}

/* ballast_vms_exit() - let go of all VMs; the engine has stopped */
void ballast_vms_exit(void)
{
	struct ballast_guest *guest, *next_guest;
	struct ballast_newcomer newcomer;
	struct ballast_vm *vm, *next;

	mutex_lock(&ballast_vms_lock);
	ballast_tap_close();
	while (ballast_tap_newcomer(&newcomer))
		put_later(newcomer.kvm);
	list_for_each_entry_safe(vm, next, &ballast_vms, node) {
		list_for_each_entry_safe(guest, next_guest, &vm->guests, node)
			guest_drop(vm, guest);
		vm_drop(vm);
	}
	mutex_unlock(&ballast_vms_lock);
	destroy_workqueue(farewells);	/* when all is said */
	ballast_vendor_exit();
}
