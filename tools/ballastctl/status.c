// SPDX-License-Identifier: GPL-2.0
/* ballastctl status, list: host, pools and VMs in tables. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"

struct all {
	struct pool_view *pools;
	size_t pool_count;
	struct vm_view *vms;
	size_t vm_count;
	char mode[BALLAST_VALUE_MAX];
	uint64_t tax_bp, period_ms;
};

static void read_all(const struct ctl *ctl, struct all *all)
{
	memset(all, 0, sizeof(*all));
	ballast_sysfs_read(&ctl->sysfs, "policy/mode", all->mode);
	ballast_sysfs_read_u64(&ctl->sysfs, "policy/tax_bp", &all->tax_bp);
	ballast_sysfs_read_u64(&ctl->sysfs, "policy/balance_period_ms", &all->period_ms);
	view_pools(ctl, &all->pools, &all->pool_count);
	view_vms(ctl, &all->vms, &all->vm_count);
}

static void free_all(struct all *all)
{
	free(all->pools);
	free(all->vms);
}

static struct json_object *vms_json(const struct all *all)
{
	struct json_object *list = json_object_new_array();
	size_t i;

	for (i = 0; i < all->vm_count; i++)
		json_object_array_add(list, view_vm_json(&all->vms[i]));
	return list;
}

static struct json_object *all_json(const struct all *all)
{
	struct json_object *object = json_object_new_object();
	struct json_object *list = json_object_new_array();
	size_t i;

	json_object_object_add(object, "mode", json_object_new_string(all->mode));
	json_object_object_add(object, "tax_bp", json_object_new_uint64(all->tax_bp));
	json_object_object_add(object, "balance_period_ms",
			       json_object_new_uint64(all->period_ms));
	for (i = 0; i < all->pool_count; i++)
		json_object_array_add(list, view_pool_json(&all->pools[i]));
	json_object_object_add(object, "pools", list);
	json_object_object_add(object, "vms", vms_json(all));
	return object;
}

static void print_pools(const struct all *all)
{
	const struct pool_view *pool;
	size_t i;

	printf("%-16s %-6s %10s %10s %10s %10s\n", "POOL", "STATE", "SIZE", "USED", "FREE",
	       "TARGETS");
	for (i = 0; i < all->pool_count; i++) {
		pool = &all->pools[i];
		printf("%-16s %-6s %10s %10s %10s %10s\n", pool->name,
		       *pool->state ? pool->state : "-", size_text(pool->size_bytes),
		       size_text(pool->used_bytes), size_text(pool->free_bytes),
		       size_text(pool->vms_target_bytes));
	}
}

/* What has no frame, and what was promised; of mounts only. */
static void print_stores(const struct all *all)
{
	const struct pool_view *pool;
	bool head = false;
	size_t i;

	for (i = 0; i < all->pool_count; i++) {
		pool = &all->pools[i];
		if (!pool->has_store)
			continue;
		if (!head)
			printf("\n%-16s %10s %10s %10s %10s %10s %10s %6s %6s\n", "POOL",
			       "COMPRESSED", "STORE", "SWAPPED", "SWAP FREE", "PROMISED",
			       "ADMISSIBLE", "STUCK", "LOST");
		head = true;
		printf("%-16s %10s %10s %10s %10s %10s %10s %6" PRIu64 " %6" PRIu64 "\n",
		       pool->name, size_text(pool->compressed_bytes),
		       size_text(pool->store_bytes), size_text(pool->swapped_bytes),
		       pool->swap_size_bytes ? size_text(pool->swap_free_bytes) : "-",
		       size_text(pool->promised_bytes),
		       pool->admission ? size_text(pool->admissible_bytes) : "-",
		       pool->reclaim_stuck, pool->pages_lost);
	}
}

static bool any_has_store(const struct all *all)
{
	size_t i;

	for (i = 0; i < all->vm_count; i++)
		if (all->vms[i].has_store)
			return true;
	return false;
}

static void print_vm_stores(const struct vm_view *vm)
{
	printf(" %10s %9s", vm->has_store ? size_text(vm->compressed_bytes) : "-",
	       vm->has_store ? size_text(vm->swapped_bytes) : "-");
}

static void print_vms(const struct all *all)
{
	bool stores = any_has_store(all);
	const struct vm_view *vm;
	size_t i;

	printf("%-16s %8s %-10s %9s %9s %6s %9s %9s", "VM", "PID", "POOL", "SIZE", "TARGET",
	       "%ACTV", "BALLOON", "TO");
	if (stores)
		printf(" %10s %9s", "COMPRESSED", "SWAPPED");
	printf(" %-13s %s\n", "DRIVER", "WHY");
	for (i = 0; i < all->vm_count; i++) {
		vm = &all->vms[i];
		printf("%-16s %8d %-10s %9s %9s %6.1f %9s %9s", vm->name, (int)vm->pid,
		       vm->pool, size_text(vm->size_bytes), size_text(vm->target_bytes),
		       vm->active_bp / 100.0, size_text(vm->balloon_bytes),
		       size_text(vm->balloon_target_bytes));
		if (stores)
			print_vm_stores(vm);
		printf(" %-13s %s\n", vm->balloon_state, vm->reason);
	}
	if (!all->vm_count)
		puts("no VMs");
}

/** ctl_status() - ballastctl status */
int ctl_status(struct ctl *ctl, int argc, char **argv)
{
	struct all all;
	int status = CTL_OK;

	(void)argv;
	if (argc)
		return CTL_USAGE;
	if (no_module(ctl))
		return CTL_FAILED;
	read_all(ctl, &all);
	if (ctl->json) {
		status = print_json(all_json(&all));
	} else {
		printf("mode %s, idle memory tax %.2f %%, balanced every %.1f s, %zu VM%s\n\n",
		       *all.mode ? all.mode : "-", all.tax_bp / 100.0,
		       all.period_ms / 1000.0, all.vm_count, all.vm_count == 1 ? "" : "s");
		print_pools(&all);
		print_stores(&all);
		putchar('\n');
		print_vms(&all);
	}
	free_all(&all);
	return status;
}

/** ctl_list() - ballastctl list */
int ctl_list(struct ctl *ctl, int argc, char **argv)
{
	struct all all;
	size_t i;

	(void)argv;
	if (argc)
		return CTL_USAGE;
	if (no_module(ctl))
		return CTL_FAILED;
	read_all(ctl, &all);
	if (ctl->json)
		print_json(vms_json(&all));
	for (i = 0; !ctl->json && i < all.vm_count; i++)
		printf("%d %s\n", (int)all.vms[i].pid, all.vms[i].name);
	free_all(&all);
	return CTL_OK;
}
