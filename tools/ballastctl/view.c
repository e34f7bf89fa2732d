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
#include "ctl.h"

static const struct {
	const char *file;
	size_t offset;
} vm_numbers[] = {
#define NUMBER(name)	{ #name, offsetof(struct vm_view, name) }
	NUMBER(size_bytes), NUMBER(resident_bytes), NUMBER(shared_bytes),
	NUMBER(unreclaimable_bytes), NUMBER(running), NUMBER(shares), NUMBER(min_bytes),
	NUMBER(max_bytes), NUMBER(tax_bp), NUMBER(floor_bytes), NUMBER(balloon_bytes),
	NUMBER(active_bp), NUMBER(active_error_bp), NUMBER(target_bytes),
	NUMBER(balloon_target_bytes),
#undef NUMBER
};

#define NUMBERS	(sizeof(vm_numbers) / sizeof(*vm_numbers))

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
	size_t i;

	memset(vm, 0, sizeof(*vm));
	vm->pid = pid;
	for (i = 0; i < NUMBERS; i++)
		ballast_sysfs_vm_read_u64(&ctl->sysfs, pid, vm_numbers[i].file,
					  (uint64_t *)((char *)vm + vm_numbers[i].offset));
	if (!vm->size_bytes)
		return -ENOENT;
	read_text(ctl, pid, "pool", vm->pool, sizeof(vm->pool));
	read_text(ctl, pid, "reason", vm->reason, sizeof(vm->reason));
	read_text(ctl, pid, "rho", vm->rho, sizeof(vm->rho));
	read_text(ctl, pid, "balloon_state", vm->balloon_state, sizeof(vm->balloon_state));
	read_text(ctl, pid, "name", vm->name, sizeof(vm->name));
	if (!ballast_cmdline_read(pid, &cmdline) && *cmdline.name)
		snprintf(vm->name, sizeof(vm->name), "%s", cmdline.name);
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

static void collect_pool(const char *name, void *context)
{
	static const struct {
		const char *file;
		size_t offset;
	} numbers[] = {
		{ "size_bytes", offsetof(struct pool_view, size_bytes) },
		{ "used_bytes", offsetof(struct pool_view, used_bytes) },
		{ "free_bytes", offsetof(struct pool_view, free_bytes) },
		{ "vms_available_bytes", offsetof(struct pool_view, vms_available_bytes) },
		{ "vms_target_bytes", offsetof(struct pool_view, vms_target_bytes) },
	};
	struct collected *all = context;
	struct pool_view *pool = next_item(all, sizeof(*pool));
	char file[160], value[BALLAST_VALUE_MAX];
	size_t i;

	if (!pool)
		return;
	memset(pool, 0, sizeof(*pool));
	snprintf(pool->name, sizeof(pool->name), "%s", name);
	for (i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		snprintf(file, sizeof(file), "pools/%s/%s", name, numbers[i].file);
		ballast_sysfs_read_u64(&all->ctl->sysfs, file,
				       (uint64_t *)((char *)pool + numbers[i].offset));
	}
	snprintf(file, sizeof(file), "pools/%s/state", name);
	ballast_sysfs_read(&all->ctl->sysfs, file, value);
	snprintf(pool->state, sizeof(pool->state), "%s", value);
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

/** view_vm_json() - @vm with the names of its files */
struct json_object *view_vm_json(const struct vm_view *vm)
{
	struct json_object *object = json_object_new_object();
	size_t i;

	add_number(object, "pid", vm->pid);
	add_text(object, "name", vm->name);
	add_text(object, "pool", vm->pool);
	for (i = 0; i < NUMBERS; i++)
		add_number(object, vm_numbers[i].file,
			   *(uint64_t *)((char *)vm + vm_numbers[i].offset));
	add_text(object, "rho", vm->rho);
	add_text(object, "balloon_state", vm->balloon_state);
	add_text(object, "reason", vm->reason);
	return object;
}

/** view_pool_json() - @pool with the names of its files */
struct json_object *view_pool_json(const struct pool_view *pool)
{
	struct json_object *object = json_object_new_object();

	add_text(object, "name", pool->name);
	add_text(object, "state", pool->state);
	add_number(object, "size_bytes", pool->size_bytes);
	add_number(object, "used_bytes", pool->used_bytes);
	add_number(object, "free_bytes", pool->free_bytes);
	add_number(object, "vms_available_bytes", pool->vms_available_bytes);
	add_number(object, "vms_target_bytes", pool->vms_target_bytes);
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
