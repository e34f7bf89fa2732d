// SPDX-License-Identifier: GPL-2.0
/*
 * The VMs: what the module knows, what QEMU knows, brought together by PID.
 *
 * DOC: A VM is here as long as the module shows it or a link (libvirt, QMP)
 * leads to it, and is managed while both are true.  Nothing is assumed: when
 * either side comes (back), sizes, balloon and settings are read and written
 * anew.  What was last written to sysfs is remembered only to not write it twice.
 */
#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../lib/log.h"
#include "../lib/number.h"
#include "daemon.h"

static void show(struct vm *vm);

/** daemon_now_ms() - time that only goes on, never 0 */
uint64_t daemon_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + 1;
}

static int compare_pid(const void *a, const void *b)
{
	const struct vm *x = a, *y = b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

/** vm_find() - the VM of process @pid, or NULL */
struct vm *vm_find(struct daemon *daemon, pid_t pid)
{
	struct vm key = { .pid = pid }, **found;

	found = tfind(&key, &daemon->by_pid, compare_pid);
	return found ? *found : NULL;
}

static void forget_told(struct vm *vm)
{
	memset(&vm->written, 0, sizeof(vm->written));
	vm->told_state = BALLOON_STATES;
	vm->told_held = UINT64_MAX;
	vm->told_floor = UINT64_MAX;
	vm->told_target = UINT64_MAX;
}

/** vm_get() - the same, made if there is none; NULL without memory */
struct vm *vm_get(struct daemon *daemon, pid_t pid)
{
	struct vm *vm = vm_find(daemon, pid);

	if (vm)
		return vm;
	vm = calloc(1, sizeof(*vm));
	if (!vm)
		return NULL;
	vm->daemon = daemon;
	vm->pid = pid;
	snprintf(vm->name, sizeof(vm->name), "%d", (int)pid);
	vm->target.fd = -1;
	vm->target.wd = -1;
	balloon_init(&vm->balloon, BALLOON_DRIVER_FIND_OUT, daemon_now_ms());
	forget_told(vm);
	if (!tsearch(vm, &daemon->by_pid, compare_pid)) {
		free(vm);
		return NULL;
	}
	vm->next = daemon->vms;
	vm->back = &daemon->vms;
	if (vm->next)
		vm->next->back = &vm->next;
	daemon->vms = vm;
	return vm;
}

/* It goes when nobody has it any more. */
static void release(struct vm *vm)
{
	if (vm->in_sysfs || vm->link)
		return;
	tdelete(vm, &vm->daemon->by_pid, compare_pid);
	*vm->back = vm->next;
	if (vm->next)
		vm->next->back = vm->back;
	free(vm);
}

static bool managed(const struct vm *vm)
{
	return vm->in_sysfs && vm->ready;
}

/* Logs an error once a change: a VM that goes is nobody's fault. */
static bool wrote(const struct vm *vm, const char *file, int err)
{
	if (err && err != -ENOENT && err != -ENODEV)
		log_warning("%s (%d): %s: %s", vm->name, (int)vm->pid, file, strerror(-err));
	return !err;
}

/* What the module has refused is no setting of ours: it is tried again with the next. */
static void write_setting(struct vm *vm, const struct ballast_settings *wanted,
			  enum ballast_setting setting)
{
	struct ballast_settings one = ballast_settings_only(wanted, setting);
	struct ballast_settings old = ballast_settings_only(&vm->written, setting);
	const char *file = ballast_settings_file(setting);
	char text[32];
	int err;

	if (!one.given || ballast_settings_equal(&one, &old))
		return;
	ballast_settings_format(wanted, setting, text, sizeof(text));
	err = ballast_sysfs_vm_write(&vm->daemon->sysfs, vm->pid, file, text);
	if (!wrote(vm, file, err))
		return;
	log_info("%s: %s is %s", vm->name, file, text);
	ballast_settings_merge(&vm->written, &one);
}

static void write_settings(struct vm *vm)
{
	const struct config_vm *section = config_find_vm(&vm->daemon->config, vm->name);
	struct ballast_settings wanted = vm->metadata;
	enum ballast_setting order[BALLAST_SETTINGS];
	uint64_t min_now = 0;
	int i;

	if (section)
		ballast_settings_merge(&wanted, &section->settings);
	/* what we set and nobody wants any more goes back */
	wanted.is_default |= vm->written.given & ~wanted.given;
	wanted.given |= vm->written.given;
	if (ballast_settings_equal(&wanted, &vm->written))
		return;
	ballast_sysfs_vm_read_u64(&vm->daemon->sysfs, vm->pid, "min_bytes", &min_now);
	ballast_settings_order(&wanted, min_now, order);
	for (i = 0; i < BALLAST_SETTINGS; i++)
		write_setting(vm, &wanted, order[i]);
}

static void write_state(struct vm *vm)
{
	enum balloon_state state = balloon_state(&vm->balloon, daemon_now_ms());
	const char *token = balloon_state_token(state);
	int err;

	if (state == vm->told_state)
		return;
	err = ballast_sysfs_vm_write(&vm->daemon->sysfs, vm->pid, "balloon_state", token);
	if (!wrote(vm, "balloon_state", err))
		return;
	if (state == BALLOON_STUCK || state == BALLOON_UNCOOPERATIVE)
		log_warning("%s: its balloon is %s: holds %" PRIu64 ", should hold %" PRIu64,
			    vm->name, token, vm->balloon.held_bytes, vm->balloon.asked_bytes);
	else
		log_info("%s: its balloon is %s", vm->name, token);
	vm->told_state = state;
}

static void write_number(struct vm *vm, const char *file, uint64_t value, uint64_t *told)
{
	int err;

	if (value == *told)
		return;
	err = ballast_sysfs_vm_write_u64(&vm->daemon->sysfs, vm->pid, file, value);
	if (wrote(vm, file, err))
		*told = value;
}

/*
 * The module counts all memslots as the VM's memory, the video's and what is not
 * plugged in among them; the balloon has its RAM alone.  So the ceiling is held
 * once more, of the RAM.
 */
static uint64_t left_of(const struct vm *vm, uint64_t balloon_bytes)
{
	uint64_t max_bp, least, left;

	if (ballast_sysfs_read_u64(&vm->daemon->sysfs, "policy/balloon_max_bp", &max_bp) ||
	    max_bp > 9900)
		max_bp = 6500;
	least = vm->ram_bytes / 10000 * (10000 - max_bp);

	left = ballast_sub(vm->ram_bytes, balloon_bytes);
	return left < least ? least : left;
}

static int read_target(const struct vm *vm, uint64_t *bytes)
{
	char text[32];
	ssize_t n = pread(vm->target.fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	return ballast_parse_u64(text, bytes);
}

static bool enforcing(const struct daemon *daemon)
{
	char mode[BALLAST_VALUE_MAX];

	return !ballast_sysfs_read(&daemon->sysfs, "policy/mode", mode) &&
	       !strcmp(mode, "enforce");
}

/** vm_is_driven() - may its balloon be asked for something now? */
bool vm_is_driven(const struct vm *vm)
{
	return managed(vm) && !vm->balloon.frozen && !vm->daemon->dry_run &&
	       enforcing(vm->daemon);
}

static uint64_t size_of(const struct vm *vm)
{
	return vm->size_bytes ? vm->size_bytes : vm->ram_bytes;
}

static uint64_t present_of(const struct vm *vm)
{
	return ballast_sub(size_of(vm), vm->balloon.held_bytes);
}

/* A little more than it holds; at its ceiling, less. */
static uint64_t probe_of(const struct vm *vm)
{
	uint64_t held = vm->balloon.held_bytes, more = held + BALLOON_PROBE_BYTES;

	return vm->ram_bytes - left_of(vm, more) < more ?
	       ballast_sub(held, BALLOON_PROBE_BYTES) : more;
}

static void follow_target(struct vm *vm)
{
	bool pressed = vm->pressure.floor_bytes > present_of(vm);
	uint64_t target, left, now_ms = daemon_now_ms();
	int err;

	if (!managed(vm) || vm->target.fd < 0 || read_target(vm, &target) ||
	    !vm->ram_bytes)
		return;
	/* the module's target may be older than the floor */
	if (pressed || vm->balloon.resting)
		target = ballast_min(target, vm->balloon.held_bytes);
	else if (balloon_is_to_be_probed(&vm->balloon))
		target = probe_of(vm);
	left = left_of(vm, target);
	target = vm->ram_bytes - left;
	if (!balloon_should_ask(&vm->balloon, target, pressed, now_ms) || !enforcing(vm->daemon))
		return;
	if (vm->daemon->dry_run) {
		if (vm->told_target != target)
			log_notice("would leave %s %" PRIu64 " of %" PRIu64 " bytes", vm->name,
				   left, vm->ram_bytes);
		vm->told_target = target;
		return;
	}
	log_debug("%s: leave %" PRIu64 " of %" PRIu64 " bytes", vm->name, left, vm->ram_bytes);
	err = vm->link->set_ram(vm, left);
	if (err) {
		log_warning("%s: its balloon cannot be asked: %s", vm->name, strerror(-err));
		return;
	}
	balloon_ask(&vm->balloon, target, now_ms);
}

static void target_changed(struct ballast_watch *watch, uint32_t events)
{
	struct vm *vm = watch->context;
	uint64_t target;

	(void)events;
	/* the file has gone with the VM: its end is announced elsewhere */
	if (read_target(vm, &target) == -ENODEV)
		ballast_watch_remove(vm->daemon->watcher, watch);
	else
		follow_target(vm);
}

/* Tell the module all that has changed, and do what it wants. */
static void show(struct vm *vm)
{
	if (!managed(vm))
		return;
	if (vm->ram_bytes)
		write_number(vm, "balloon_bytes", vm->balloon.held_bytes, &vm->told_held);
	write_number(vm, "floor_bytes", vm->pressure.floor_bytes, &vm->told_floor);
	write_state(vm);
	follow_target(vm);
}

static void choose_driver(struct vm *vm)
{
	const struct config_vm *section = config_find_vm(&vm->daemon->config, vm->name);
	enum balloon_driver driver = section ? section->driver : BALLOON_DRIVER_FIND_OUT;

	vm->balloon.driver = driver;
	if (driver == BALLOON_DRIVER_ASSUME)
		vm->balloon.seen = true;
}

/*
 * What who looked after the VM before has found out: another ballastd, or, of a balloon, this
 * one.  A floor without a balloon is of no use, and nobody would let it sink.
 */
static void adopt(struct vm *vm)
{
	const struct ballast_sysfs *sysfs = &vm->daemon->sysfs;
	char file[96], state[BALLAST_VALUE_MAX];
	uint64_t floor_bytes;

	if (vm->balloon.device && vm->told_floor == UINT64_MAX &&
	    !ballast_sysfs_vm_read_u64(sysfs, vm->pid, "floor_bytes", &floor_bytes))
		pressure_adopt(&vm->pressure, &vm->daemon->config.rules, size_of(vm),
			       floor_bytes, daemon_now_ms());
	ballast_sysfs_vm_file(vm->pid, "balloon_state", file, sizeof(file));
	if (!ballast_sysfs_read(sysfs, file, state) &&
	    !strcmp(state, balloon_state_token(BALLOON_UNCOOPERATIVE)))
		balloon_has_failed(&vm->balloon);
}

/* Both sides are there. */
static void manage(struct vm *vm)
{
	struct daemon *daemon = vm->daemon;
	uint64_t target;
	char file[96], path[512];
	int err;

	if (!managed(vm))
		return;
	ballast_sysfs_vm_read_u64(&daemon->sysfs, vm->pid, "size_bytes", &vm->size_bytes);
	adopt(vm);
	if (vm->target.fd < 0) {
		vm->target.ready = target_changed;
		vm->target.context = vm;
		ballast_sysfs_vm_file(vm->pid, "balloon_target_bytes", file, sizeof(file));
		ballast_sysfs_path(&daemon->sysfs, file, path, sizeof(path));
		err = ballast_watch_add_file(daemon->watcher, &vm->target, path);
		if (err && err != -ENOENT)
			log_error("%s: %s", path, strerror(-err));
		if (!err)	/* arms the notification */
			read_target(vm, &target);
	}
	choose_driver(vm);
	write_settings(vm);
	show(vm);
	log_info("%s (%d) is managed", vm->name, (int)vm->pid);
}

/**
 * vm_link() - a way to its balloon has been found
 * @vm: the VM
 * @name: of the guest
 * @link: the way; replaces another one
 * @context: for @link
 *
 * The link then says what it finds, and vm_ready() at the end: nothing is told
 * to the module before.
 */
void vm_link(struct vm *vm, const char *name, const struct link_ops *link, void *context)
{
	if (*name)
		snprintf(vm->name, sizeof(vm->name), "%s", name);
	vm->link = link;
	vm->link_context = context;
	balloon_init(&vm->balloon, BALLOON_DRIVER_FIND_OUT, daemon_now_ms());
	vm->ready = false;
	choose_driver(vm);
}

/** vm_ready() - what the link leads to has been read: manage it */
void vm_ready(struct vm *vm)
{
	vm->ready = true;
	manage(vm);
}

/* Nobody can move it now, so nobody is to count on it. */
static void give_up(struct vm *vm)
{
	const char *token = balloon_state_token(BALLOON_UNKNOWN);
	int err;

	if (!managed(vm) || (vm->told_state != BALLOON_OK && vm->told_state != BALLOON_STUCK))
		return;
	err = ballast_sysfs_vm_write(&vm->daemon->sysfs, vm->pid, "balloon_state", token);
	if (wrote(vm, "balloon_state", err))
		vm->told_state = BALLOON_UNKNOWN;
}

/** vm_unlink() - the way has gone; @vm may be gone when this returns */
void vm_unlink(struct vm *vm)
{
	give_up(vm);
	vm->link = NULL;
	vm->ready = false;
	vm->link_context = NULL;
	ballast_watch_remove(vm->daemon->watcher, &vm->target);
	release(vm);
}

/** vm_set_metadata() - the domain says @settings; NULL: nothing */
void vm_set_metadata(struct vm *vm, const struct ballast_settings *settings)
{
	static const struct ballast_settings nothing;

	vm->metadata = settings ? *settings : nothing;
	if (managed(vm))
		write_settings(vm);
}

/* Else it may be on its way to what somebody has asked for before. */
static bool is_less_than_wanted(const struct vm *vm)
{
	uint64_t target;

	return managed(vm) && vm->target.fd >= 0 && !read_target(vm, &target) &&
	       target >= vm->balloon.held_bytes + BALLOON_STEP_BYTES;
}

/* By itself, out of its balloon: see balloon.c. */
static void has_taken(struct vm *vm)
{
	pressure_took(&vm->pressure, &vm->daemon->config.rules, size_of(vm), present_of(vm),
		      daemon_now_ms());
	log_info("%s %s; its floor is %" PRIu64, vm->name,
		 pressure_sign_words(vm->pressure.sign), vm->pressure.floor_bytes);
}

/**
 * vm_balloon_is() - QEMU says how large the balloon is
 * @vm: the VM
 * @ram_bytes: all that the guest has; 0: as before
 * @present_bytes: what the balloon leaves of it
 */
void vm_balloon_is(struct vm *vm, uint64_t ram_bytes, uint64_t present_bytes)
{
	if (ram_bytes)
		vm->ram_bytes = ram_bytes;
	if (!vm->ram_bytes)
		return;
	if (balloon_holds(&vm->balloon, ballast_sub(vm->ram_bytes, present_bytes),
			  daemon_now_ms()) && is_less_than_wanted(vm))
		has_taken(vm);
	show(vm);
}

/** vm_has_device() - QEMU says whether there is a balloon device */
void vm_has_device(struct vm *vm, bool present)
{
	balloon_set_device(&vm->balloon, present);
	if (!present)
		memset(&vm->pressure, 0, sizeof(vm->pressure));
	show(vm);
}

/** vm_freeze() - the VM migrates or stands still, or does no more */
void vm_freeze(struct vm *vm, bool frozen)
{
	if (vm->balloon.frozen == frozen)
		return;
	balloon_freeze(&vm->balloon, frozen, daemon_now_ms());
	show(vm);
}

/** vm_guest_says() - statistics have been read, new or not */
void vm_guest_says(struct vm *vm, const struct ballast_guest_stats *stats)
{
	const struct pressure_rules *rules = &vm->daemon->config.rules;
	enum pressure_sign before = vm->pressure.sign;
	uint64_t size, now_ms = daemon_now_ms();

	/* memory may have been plugged in */
	if (managed(vm))
		ballast_sysfs_vm_read_u64(&vm->daemon->sysfs, vm->pid, "size_bytes",
					  &vm->size_bytes);
	size = size_of(vm);
	if (!size)
		return;
	if (stats->updated_s)
		balloon_driver_seen(&vm->balloon);
	if (stats->updated_s && stats->updated_s != vm->pressure.last.updated_s) {
		pressure_report(&vm->pressure, rules, stats, size,
				present_of(vm), now_ms);
		if (vm->pressure.sign != before)
			log_info("%s %s; its floor is %" PRIu64, vm->name,
				 pressure_sign_words(vm->pressure.sign),
				 vm->pressure.floor_bytes);
	} else {
		pressure_decay(&vm->pressure, rules, size, now_ms);
	}
	show(vm);
}

static void left_sysfs(struct vm *vm)
{
	vm->in_sysfs = false;
	vm->daemon->vm_count--;
	ballast_watch_remove(vm->daemon->watcher, &vm->target);
	log_info("%s (%d) has left the module", vm->name, (int)vm->pid);
	release(vm);
}

static void found_in_sysfs(pid_t pid, void *context)
{
	struct daemon *daemon = context;
	struct vm *vm = vm_get(daemon, pid);

	if (!vm)
		return;
	vm->seen = daemon->pass;
	if (vm->in_sysfs)
		return;
	vm->in_sysfs = true;
	forget_told(vm);
	daemon->vm_count++;
	log_info("process %d has a VM", (int)pid);
	if (vm->link)
		manage(vm);
	else
		qmp_link_consider(daemon->qmp, vm);
}

/* Brings the list up to date with the module's. */
static void sync_vms(struct daemon *daemon)
{
	struct vm *vm, *next;

	daemon->pass++;
	ballast_sysfs_vms(&daemon->sysfs, found_in_sysfs, daemon);
	for (vm = daemon->vms; vm; vm = next) {
		next = vm->next;
		if (vm->in_sysfs && vm->seen != daemon->pass)
			left_sysfs(vm);
	}
}

/* Reading also arms the next notification. */
static int read_generation(struct daemon *daemon)
{
	char text[32];
	ssize_t n = pread(daemon->generation.fd, text, sizeof(text), 0);

	return n < 0 ? -errno : 0;
}

static void generation_changed(struct ballast_watch *watch, uint32_t events)
{
	struct daemon *daemon = watch->context;

	(void)events;
	if (read_generation(daemon))
		vms_check_module(daemon);
	else
		sync_vms(daemon);
}

static void module_came(struct daemon *daemon)
{
	char path[512];
	int err;

	ballast_sysfs_path(&daemon->sysfs, "vms_generation", path, sizeof(path));
	err = ballast_watch_add_file(daemon->watcher, &daemon->generation, path);
	if (err) {
		log_error("%s: %s", path, strerror(-err));
		return;
	}
	read_generation(daemon);
	daemon->module_present = true;
	log_notice("the module is loaded");
	sync_vms(daemon);
}

static void module_went(struct daemon *daemon)
{
	struct vm *vm, *next;

	ballast_watch_remove(daemon->watcher, &daemon->generation);
	daemon->module_present = false;
	log_warning("the module is not loaded (any more): waiting for it");
	for (vm = daemon->vms; vm; vm = next) {
		next = vm->next;
		if (vm->in_sysfs)
			left_sysfs(vm);
	}
}

/** vms_init() - no VMs yet */
void vms_init(struct daemon *daemon)
{
	daemon->generation.fd = -1;
	daemon->generation.wd = -1;
	daemon->generation.ready = generation_changed;
	daemon->generation.context = daemon;
}

/**
 * vms_check_module() - is it still there, is it there again?
 * @daemon: all of it
 *
 * sysfs says nothing when a directory appears.  A module that was unloaded and
 * loaded between two looks is found out by the old file, which is dead.
 */
void vms_check_module(struct daemon *daemon)
{
	bool present = ballast_sysfs_present(&daemon->sysfs);

	if (daemon->module_present && (!present || read_generation(daemon)))
		module_went(daemon);
	if (!daemon->module_present && present)
		module_came(daemon);
}

/**
 * vms_look() - see which VMs there are, whether or not that was announced
 * @daemon: all of it
 */
void vms_look(struct daemon *daemon)
{
	if (daemon->module_present)
		sync_vms(daemon);
}

/** vms_tick() - time has passed */
void vms_tick(struct daemon *daemon)
{
	struct vm *vm, *next;

	for (vm = daemon->vms; vm; vm = next) {
		next = vm->next;
		if (!managed(vm) || !balloon_waits(&vm->balloon))
			continue;
		if (vm->balloon.asked)
			vm->link->refresh(vm);
		show(vm);
	}
}

/** vms_configure() - the configuration is another one */
void vms_configure(struct daemon *daemon)
{
	struct vm *vm;

	for (vm = daemon->vms; vm; vm = vm->next) {
		choose_driver(vm);
		if (managed(vm)) {
			write_settings(vm);
			show(vm);
		}
	}
}

/** vms_free() - at the end; links have gone already */
void vms_free(struct daemon *daemon)
{
	struct vm *vm, *next;

	ballast_watch_remove(daemon->watcher, &daemon->generation);
	for (vm = daemon->vms; vm; vm = next) {
		next = vm->next;
		vm->link = NULL;
		vm->ready = false;
		vm->in_sysfs = false;
		ballast_watch_remove(daemon->watcher, &vm->target);
		release(vm);
	}
}
