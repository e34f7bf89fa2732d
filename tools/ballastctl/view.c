// SPDX-License-Identifier: GPL-2.0
/*
 * Reading the module's numbers, once for all commands.
 *
 * DOC: A VM may end while it is read: what is missing is 0 or "", and a VM
 * without a size has gone and is left out.
 */
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/cmdline.h"
#include "../lib/number.h"
#include "../lib/text.h"
#include "ctl.h"

/* Files of a directory, and where they go. */
struct number {
	const char *file;
	size_t offset;
};

#define COUNT(array)	(sizeof(array) / sizeof(*(array)))
#define NUMBER(name)	{ #name, offsetof(struct vm_view, name) }
static const struct number vm_numbers[] = {
	NUMBER(size_bytes), NUMBER(resident_bytes), NUMBER(shared_bytes),
	NUMBER(unreclaimable_bytes), NUMBER(running), NUMBER(shares), NUMBER(min_bytes),
	NUMBER(max_bytes), NUMBER(tax_bp), NUMBER(floor_bytes), NUMBER(balloon_bytes),
	NUMBER(active_bp), NUMBER(active_error_bp), NUMBER(target_bytes),
	NUMBER(balloon_target_bytes),
};
/* since abi_version 3 */
static const struct number vm_store_numbers[] = {
	NUMBER(compressed_bytes), NUMBER(swapped_bytes),
};
#undef NUMBER

#define NUMBER(name)	{ #name, offsetof(struct pool_view, name) }
static const struct number pool_numbers[] = {
	NUMBER(size_bytes), NUMBER(used_bytes), NUMBER(free_bytes),
	NUMBER(vms_available_bytes), NUMBER(vms_target_bytes),
};
static const struct number pool_store_numbers[] = {
	NUMBER(compressed_bytes), NUMBER(store_bytes), NUMBER(swapped_bytes),
	NUMBER(swap_size_bytes), NUMBER(swap_free_bytes), NUMBER(pages_lost),
	NUMBER(swap_full), NUMBER(swap_write_errors), NUMBER(held_back),
	NUMBER(reclaim_stuck), NUMBER(admission), NUMBER(promised_bytes),
	NUMBER(admissible_bytes), NUMBER(vms_min_bytes),
};
#undef NUMBER

static uint64_t *field(void *view, const struct number *number)
{
	return (uint64_t *)((char *)view + number->offset);
}

static void read_vm_numbers(const struct ctl *ctl, struct vm_view *vm,
			    const struct number *numbers, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		ballast_sysfs_vm_read_u64(&ctl->sysfs, vm->pid, numbers[i].file,
					  field(vm, &numbers[i]));
}

static void read_text(const struct ctl *ctl, pid_t pid, const char *file, char *text,
		      size_t room)
{
	char value[BALLAST_VALUE_MAX];

	ballast_sysfs_vm_read(&ctl->sysfs, pid, file, value);
	snprintf(text, room, "%s", value);
}

/**
 * view_vm() - read one
 * @ctl: where
 * @pid: which
 * @vm: result
 *
 * Return: 0 or -ENOENT.
 */
int view_vm(const struct ctl *ctl, pid_t pid, struct vm_view *vm)
{
	struct ballast_cmdline cmdline;
	uint64_t ignored;

	memset(vm, 0, sizeof(*vm));
	vm->pid = pid;
	read_vm_numbers(ctl, vm, vm_numbers, COUNT(vm_numbers));
	if (!vm->size_bytes)
		return -ENOENT;
	vm->has_store = !ballast_sysfs_vm_read_u64(&ctl->sysfs, pid, "swapped_bytes", &ignored);
	if (vm->has_store)
		read_vm_numbers(ctl, vm, vm_store_numbers, COUNT(vm_store_numbers));
	read_text(ctl, pid, "pool", vm->pool, sizeof(vm->pool));
	read_text(ctl, pid, "reason", vm->reason, sizeof(vm->reason));
	read_text(ctl, pid, "rho", vm->rho, sizeof(vm->rho));
	read_text(ctl, pid, "balloon_state", vm->balloon_state, sizeof(vm->balloon_state));
	read_text(ctl, pid, "name", vm->name, sizeof(vm->name));
	if (!ballast_cmdline_read(pid, &cmdline) && *cmdline.name)
		snprintf(vm->name, sizeof(vm->name), "%s", cmdline.name);
	ballast_text_clean(vm->name);
	return 0;
}

struct collected {
	const struct ctl *ctl;
	void *items;
	size_t count, room;
	int err;
};

/* Room for one more; NULL without memory. */
static void *next_item(struct collected *all, size_t size)
{
	void *items;

	if (all->count == all->room) {
		all->room = all->room ? all->room * 2 : 16;
		items = reallocarray(all->items, all->room, size);
		if (!items) {
			all->err = -ENOMEM;
			all->room = all->count;
			return NULL;
		}
		all->items = items;
	}
	return (char *)all->items + all->count * size;
}

static void collect_vm(pid_t pid, void *context)
{
	struct collected *all = context;
	struct vm_view *vm = next_item(all, sizeof(*vm));

	if (vm && !view_vm(all->ctl, pid, vm))
		all->count++;
}

static int compare_names(const void *a, const void *b)
{
	const struct vm_view *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : (x->pid > y->pid) - (x->pid < y->pid);
}

/**
 * view_vms() - read all, by name
 * @ctl: where
 * @vms: result, to be freed
 * @count: how many
 */
int view_vms(const struct ctl *ctl, struct vm_view **vms, size_t *count)
{
	struct collected all = { .ctl = ctl };
	int err = ballast_sysfs_vms(&ctl->sysfs, collect_vm, &all);

	if (all.count)
		qsort(all.items, all.count, sizeof(**vms), compare_names);
	*vms = all.items;
	*count = all.count;
	return err ? err : all.err;
}

static int read_pool_text(const struct ctl *ctl, const struct pool_view *pool,
			  const char *name, char *text, size_t room)
{
	char file[160], value[BALLAST_VALUE_MAX];
	int err;

	snprintf(file, sizeof(file), "pools/%s/%s", pool->name, name);
	err = ballast_sysfs_read(&ctl->sysfs, file, value);
	snprintf(text, room, "%s", value);
	return err;
}

static void read_pool_numbers(const struct ctl *ctl, struct pool_view *pool,
			      const struct number *numbers, size_t count)
{
	char file[160];
	size_t i;

	for (i = 0; i < count; i++) {
		snprintf(file, sizeof(file), "pools/%s/%s", pool->name, numbers[i].file);
		ballast_sysfs_read_u64(&ctl->sysfs, file, field(pool, &numbers[i]));
	}
}

static void collect_pool(const char *name, void *context)
{
	struct collected *all = context;
	struct pool_view *pool = next_item(all, sizeof(*pool));

	if (!pool)
		return;
	memset(pool, 0, sizeof(*pool));
	snprintf(pool->name, sizeof(pool->name), "%s", name);
	read_pool_numbers(all->ctl, pool, pool_numbers, COUNT(pool_numbers));
	read_pool_text(all->ctl, pool, "state", pool->state, sizeof(pool->state));
	pool->has_store = !read_pool_text(all->ctl, pool, "compress", pool->compress,
					  sizeof(pool->compress));
	if (pool->has_store)
		read_pool_numbers(all->ctl, pool, pool_store_numbers,
				  COUNT(pool_store_numbers));
	all->count++;
}

/** view_pools() - read all pools; @pools is to be freed */
int view_pools(const struct ctl *ctl, struct pool_view **pools, size_t *count)
{
	struct collected all = { .ctl = ctl };
	int err = ballast_sysfs_list(&ctl->sysfs, "pools", collect_pool, &all);

	*pools = all.items;
	*count = all.count;
	return err ? err : all.err;
}

static int find_name(const struct ctl *ctl, const char *who, struct vm_view *vm)
{
	struct vm_view *vms;
	size_t count, i, found = 0;

	view_vms(ctl, &vms, &count);
	for (i = 0; i < count; i++)
		if (!strcmp(vms[i].name, who)) {
			*vm = vms[i];
			found++;
		}
	free(vms);
	if (found > 1)
		complain("%zu VMs are called %s: use a PID", found, who);
	else if (!found)
		complain("no VM %s (ballastctl list shows them)", who);
	return found == 1 ? 0 : -ENOENT;
}

/**
 * view_find() - the VM that somebody means; says so if there is none
 * @ctl: where
 * @who: PID or name
 * @vm: result
 *
 * Return: 0 or -ENOENT.
 */
int view_find(const struct ctl *ctl, const char *who, struct vm_view *vm)
{
	uint64_t pid;

	if (!ballast_parse_u64(who, &pid) && pid <= INT32_MAX &&
	    !view_vm(ctl, (pid_t)pid, vm))
		return 0;
	return find_name(ctl, who, vm);
}

static void add_text(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, json_object_new_string(text));
}

static void add_number(struct json_object *object, const char *key, uint64_t number)
{
	json_object_object_add(object, key, json_object_new_uint64(number));
}

static void add_numbers(struct json_object *object, const void *view,
			const struct number *numbers, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		add_number(object, numbers[i].file, *field((void *)view, &numbers[i]));
}

/** view_vm_json() - @vm with the names of its files; those that the module has */
struct json_object *view_vm_json(const struct vm_view *vm)
{
	struct json_object *object = json_object_new_object();

	add_number(object, "pid", vm->pid);
	add_text(object, "name", vm->name);
	add_text(object, "pool", vm->pool);
	add_numbers(object, vm, vm_numbers, COUNT(vm_numbers));
	if (vm->has_store)
		add_numbers(object, vm, vm_store_numbers, COUNT(vm_store_numbers));
	add_text(object, "rho", vm->rho);
	add_text(object, "balloon_state", vm->balloon_state);
	add_text(object, "reason", vm->reason);
	return object;
}

/** view_pool_json() - @pool with the names of its files; those that the module has */
struct json_object *view_pool_json(const struct pool_view *pool)
{
	struct json_object *object = json_object_new_object();

	add_text(object, "name", pool->name);
	add_text(object, "state", pool->state);
	add_numbers(object, pool, pool_numbers, COUNT(pool_numbers));
	if (pool->has_store) {
		add_text(object, "compress", pool->compress);
		add_numbers(object, pool, pool_store_numbers, COUNT(pool_store_numbers));
	}
	return object;
}

/** size_text() - @bytes for a reader; good for eight calls */
const char *size_text(uint64_t bytes)
{
	static char texts[8][24];
	static unsigned int at;

	at = (at + 1) % 8;
	ballast_format_size(bytes, texts[at], sizeof(texts[at]));
	return texts[at];
}

/** print_json() - @object, which is given away, on stdout; CTL_OK */
int print_json(struct json_object *object)
{
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_SPACED |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
	return CTL_OK;
}

/** no_module() - says so if the module is not there; CTL_FAILED then, else 0 */
int no_module(const struct ctl *ctl)
{
	if (ballast_sysfs_present(&ctl->sysfs))
		return 0;
	complain("%s is not there: is the module loaded? (modprobe ballast; "
		 "ballastctl doctor)", ctl->sysfs.root);
	return CTL_FAILED;
}

/** complain() - one line on stderr */
void complain(const char *format, ...)
{
	va_list args;

	fputs("ballastctl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}
