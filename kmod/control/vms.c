// SPDX-License-Identifier: GPL-2.0
/*
 * /sys/kernel/ballast/vms/PID.
 *
 * DOC: A directory is removed, with all who read or write its files, before the
 * VM it shows is freed: they need no lock and no reference.  They must not take
 * ballast_vms_lock, under which it is removed.
 */
#include <linux/slab.h>
#include <linux/string_helpers.h>

#include "../engine/engine.h"
#include "../kvm/sample.h"
#include "../policy/allocation.h"
#include "control.h"

/**
 * struct vm_directory - vms/PID
 * @kobj: it
 * @vm: what it shows
 */
struct vm_directory {
	struct kobject kobj;
	struct ballast_vm *vm;
};

static struct kobject *vms, *vms_root;
static atomic64_t generation;

static const char * const balloon_states[] = {
	"unknown", "ok", "none", "stuck", "uncooperative", "frozen",
};

static struct ballast_vm *vm_of(struct kobject *kobj)
{
	return container_of(kobj, struct vm_directory, kobj)->vm;
}

static ssize_t kicked(ssize_t stored)
{
	if (stored > 0)
		ballast_engine_kick();
	return stored;
}

#define SHOW(name, format, value) \
static ssize_t show_vm_##name(struct kobject *kobj, \
			      struct kobj_attribute *attr, char *buf) \
{ \
	struct ballast_vm *vm = vm_of(kobj); \
	return sysfs_emit(buf, format "\n", value); \
}
#define STORE(name, expression) \
static ssize_t store_vm_##name(struct kobject *kobj, \
			       struct kobj_attribute *attr, \
			       const char *buf, size_t count) \
{ \
	struct ballast_vm *vm = vm_of(kobj); \
	return expression; \
}
#define BYTES(name, pages) \
	SHOW(name, "%llu", ballast_pages_to_bytes(READ_ONCE(vm->pages)))

/* A process may call itself anything; here it is one line. */
static ssize_t show_vm_name(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct ballast_vm *vm = vm_of(kobj);
	int len = string_escape_mem(vm->comm, strnlen(vm->comm, sizeof(vm->comm)), buf,
				    PAGE_SIZE - 1, ESCAPE_OCTAL, " \t\n\\");

	buf[len++] = '\n';
	return len;
}
BALLAST_ATTR_RO(vm, name);

static ssize_t show_vm_pool(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	char name[BALLAST_POOL_NAME_MAX + 1];

	ballast_vm_pool_name(vm_of(kobj), name);
	return sysfs_emit(buf, "%s\n", name);
}
BALLAST_ATTR_RO(vm, pool);

BYTES(size_bytes, usage.size_pages)
BALLAST_ATTR_RO(vm, size_bytes);
BYTES(resident_bytes, usage.resident_pages)
BALLAST_ATTR_RO(vm, resident_bytes);
BYTES(compressed_bytes, usage.compressed_pages)
BALLAST_ATTR_RO(vm, compressed_bytes);
BYTES(swapped_bytes, usage.swapped_pages)
BALLAST_ATTR_RO(vm, swapped_bytes);
BYTES(shared_bytes, usage.shared_pages)
BALLAST_ATTR_RO(vm, shared_bytes);
BYTES(unreclaimable_bytes, usage.held_pages)
BALLAST_ATTR_RO(vm, unreclaimable_bytes);
SHOW(running, "%u", READ_ONCE(vm->usage.running))
BALLAST_ATTR_RO(vm, running);

/* A number, or "default": not set. */
static ssize_t store_or_default(const char *buf, size_t count, u32 *word, u32 max)
{
	if (sysfs_streq(buf, "default")) {
		WRITE_ONCE(*word, BALLAST_DEFAULT_U32);
		return count;
	}
	return ballast_store_u32(buf, count, word, 0, max);
}

SHOW(shares, "%u", ballast_vm_shares(vm))
STORE(shares, kicked(store_or_default(buf, count, &vm->settings.shares,
				      BALLAST_SHARES_MAX)))
BALLAST_ATTR_RW(vm, shares);

static u32 tax_bp(struct ballast_vm *vm)
{
	u32 own = READ_ONCE(vm->settings.tax_bp);

	return own == BALLAST_DEFAULT_U32 ? READ_ONCE(ballast_policy_tunables.tax_bp) : own;
}

SHOW(tax_bp, "%u", tax_bp(vm))
STORE(tax_bp, kicked(store_or_default(buf, count, &vm->settings.tax_bp,
				      BALLAST_TAX_BP_MAX)))
BALLAST_ATTR_RW(vm, tax_bp);

BYTES(min_bytes, settings.min_pages)

/* What can never be kept is refused: a min above the size or above max. */
static ssize_t store_vm_min_bytes(struct kobject *kobj, struct kobj_attribute *attr,
				  const char *buf, size_t count)
{
	struct ballast_vm *vm = vm_of(kobj);
	u64 pages;
	ssize_t stored = ballast_store_pages(buf, count, &pages);
	int err;

	if (stored < 0)
		return stored;
	if (pages > ballast_vm_max_pages(vm))
		return -EINVAL;
	err = ballast_vm_set_min(vm, pages);
	return err ?: kicked(stored);
}
BALLAST_ATTR_RW(vm, min_bytes);

static ssize_t show_vm_max_bytes(struct kobject *kobj, struct kobj_attribute *attr,
				 char *buf)
{
	return sysfs_emit(buf, "%llu\n",
			  ballast_pages_to_bytes(ballast_vm_max_pages(vm_of(kobj))));
}

static ssize_t store_vm_max_bytes(struct kobject *kobj, struct kobj_attribute *attr,
				  const char *buf, size_t count)
{
	struct ballast_vm *vm = vm_of(kobj);
	ssize_t stored = count;
	u64 pages = 0;

	if (!sysfs_streq(buf, "default") && !sysfs_streq(buf, "0")) {
		stored = ballast_store_pages(buf, count, &pages);
		if (stored < 0)
			return stored;
		if (!pages)	/* 0 would be no maximum */
			return -EINVAL;
	}
	if (pages && pages < READ_ONCE(vm->settings.min_pages))
		return -EINVAL;
	WRITE_ONCE(vm->settings.max_pages, pages);
	return kicked(stored);
}
BALLAST_ATTR_RW(vm, max_bytes);

BYTES(floor_bytes, settings.floor_pages)
STORE(floor_bytes, kicked(ballast_store_pages(buf, count, &vm->settings.floor_pages)))
BALLAST_ATTR_RW(vm, floor_bytes);
/* not a reason to divide anew: the next step takes it into account */
BYTES(balloon_bytes, settings.balloon_pages)
STORE(balloon_bytes, ballast_store_pages(buf, count, &vm->settings.balloon_pages))
BALLAST_ATTR_RW(vm, balloon_bytes);
SHOW(balloon_state, "%s", balloon_states[READ_ONCE(vm->settings.balloon_state)])
STORE(balloon_state, kicked(ballast_store_token(buf, count, &vm->settings.balloon_state,
						balloon_states,
						ARRAY_SIZE(balloon_states))))
BALLAST_ATTR_RW(vm, balloon_state);

SHOW(active_bp, "%u", READ_ONCE(vm->activity.active_bp))
BALLAST_ATTR_RO(vm, active_bp);
SHOW(active_slow_bp, "%u", READ_ONCE(vm->activity.slow_bp))
BALLAST_ATTR_RO(vm, active_slow_bp);
SHOW(active_fast_bp, "%u", READ_ONCE(vm->activity.fast_bp))
BALLAST_ATTR_RO(vm, active_fast_bp);
SHOW(active_running_bp, "%u", READ_ONCE(vm->activity.running_bp))
BALLAST_ATTR_RO(vm, active_running_bp);
SHOW(active_samples, "%u", READ_ONCE(vm->samples_nr))
BALLAST_ATTR_RO(vm, active_samples);
SHOW(active_error_bp, "%u", READ_ONCE(vm->activity.error_bp))
BALLAST_ATTR_RO(vm, active_error_bp);
SHOW(active_periods, "%u", READ_ONCE(vm->activity.periods))
BALLAST_ATTR_RO(vm, active_periods);
SHOW(sampled_faults, "%llu", ballast_sample_faults(vm, false))
BALLAST_ATTR_RO(vm, sampled_faults);
SHOW(neighbour_faults, "%llu", ballast_sample_faults(vm, true))
BALLAST_ATTR_RO(vm, neighbour_faults);

static ssize_t show_vm_rho(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	u64 micro = READ_ONCE(vm_of(kobj)->result.rho_micro);

	return sysfs_emit(buf, "%llu.%06llu\n", micro / 1000000, micro % 1000000);
}
BALLAST_ATTR_RO(vm, rho);

BYTES(target_bytes, result.target_pages)
BALLAST_ATTR_RO(vm, target_bytes);
BYTES(balloon_target_bytes, result.balloon_target_pages)
BALLAST_ATTR_RO(vm, balloon_target_bytes);
SHOW(reason, "%s", ballast_reason_token(READ_ONCE(vm->result.reason)))
BALLAST_ATTR_RO(vm, reason);

static struct attribute *vm_attrs[] = {
	&vm_name.attr,
	&vm_pool.attr,
	&vm_size_bytes.attr,
	&vm_resident_bytes.attr,
	&vm_compressed_bytes.attr,
	&vm_swapped_bytes.attr,
	&vm_shared_bytes.attr,
	&vm_unreclaimable_bytes.attr,
	&vm_running.attr,
	&vm_shares.attr,
	&vm_tax_bp.attr,
	&vm_min_bytes.attr,
	&vm_max_bytes.attr,
	&vm_floor_bytes.attr,
	&vm_balloon_bytes.attr,
	&vm_balloon_state.attr,
	&vm_active_bp.attr,
	&vm_active_slow_bp.attr,
	&vm_active_fast_bp.attr,
	&vm_active_running_bp.attr,
	&vm_active_samples.attr,
	&vm_active_error_bp.attr,
	&vm_active_periods.attr,
	&vm_sampled_faults.attr,
	&vm_neighbour_faults.attr,
	&vm_rho.attr,
	&vm_target_bytes.attr,
	&vm_balloon_target_bytes.attr,
	&vm_reason.attr,
	NULL
};
ATTRIBUTE_GROUPS(vm);

static void release_vm_directory(struct kobject *kobj)
{
	kfree(container_of(kobj, struct vm_directory, kobj));
}

static const struct kobj_type vm_type = {
	.release = release_vm_directory,
	.sysfs_ops = &kobj_sysfs_ops,
	.default_groups = vm_groups,
};

/* A VM without a directory is managed as well; it is only not seen. */
static bool vm_added(struct ballast_vm *vm)
{
	struct vm_directory *d = kzalloc(sizeof(*d), GFP_KERNEL);

	if (!d)
		return false;
	d->vm = vm;
	if (kobject_init_and_add(&d->kobj, &vm_type, vms, "%d", vm->pid)) {
		kobject_put(&d->kobj);
		return false;
	}
	vm->control = d;
	return true;
}

static void vm_removed(struct ballast_vm *vm)
{
	struct vm_directory *d = vm->control;

	if (!d)
		return;
	vm->control = NULL;
	kobject_del(&d->kobj);	/* waits for readers */
	kobject_put(&d->kobj);
}

static const struct ballast_vm_watcher vm_watcher = {
	.vm_added = vm_added,
	.vm_removed = vm_removed,
};

static void balloon_moved(struct ballast_vm *vm)
{
	struct vm_directory *d = vm->control;

	if (d)
		sysfs_notify(&d->kobj, NULL, "balloon_target_bytes");
}

static void vms_changed(void)
{
	atomic64_inc(&generation);
	sysfs_notify(vms_root, NULL, "vms_generation");
}

const struct ballast_engine_watcher ballast_control_engine_watcher = {
	.balloon_moved = balloon_moved,
	.state_changed = ballast_control_state_changed,
	.vms_changed = vms_changed,
};

static ssize_t show_root_vms_generation(struct kobject *kobj,
					struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", (u64)atomic64_read(&generation));
}
BALLAST_ATTR_RO(root, vms_generation);

int __init ballast_control_vms_init(struct kobject *root)
{
	int err = sysfs_create_file(root, &root_vms_generation.attr);

	if (err)
		return err;
	vms = kobject_create_and_add("vms", root);
	if (!vms)
		return -ENOMEM;
	vms_root = root;
	ballast_vms_watch(&vm_watcher);
	return 0;
}

void ballast_control_vms_exit(void)
{
	ballast_vms_watch(NULL);
	kobject_put(vms);
}
