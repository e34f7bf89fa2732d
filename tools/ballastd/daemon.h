/* SPDX-License-Identifier: GPL-2.0 */
/* The daemon's parts, and what they know of one another. */
#ifndef BALLASTD_DAEMON_H
#define BALLASTD_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../lib/cmdline.h"
#include "../lib/sysfs.h"
#include "../lib/watch.h"
#include "balloon.h"
#include "config.h"
#include "pressure.h"

struct daemon;
struct vm;
struct virt_link;
struct qmp_link;

/**
 * struct link_ops - a way to a VM's balloon
 * @set_ram: leave the guest so much, now or as soon as that can be; 0 or -errno
 * @refresh: ask what the balloon holds; the answer may come later
 */
struct link_ops {
	int (*set_ram)(struct vm *vm, uint64_t bytes);
	void (*refresh)(struct vm *vm);
};

/**
 * struct vm - one process with a KVM VM
 * @daemon: whose it is
 * @next: in daemon->vms
 * @back: what points to this one
 * @pid: its process
 * @name: of the guest
 * @in_sysfs: the module knows it
 * @seen: mark of a pass over the VMs of sysfs
 * @link: way to its balloon; NULL: none yet
 * @link_context: the link's
 * @ready: what the link leads to has been read
 * @size_bytes: as the module has it
 * @ram_bytes: as QEMU has it: what a balloon target is taken from
 * @metadata: settings of the domain's metadata
 * @written: settings that were written to sysfs
 * @balloon: does it obey
 * @pressure: what the guest says
 * @target: balloon_target_bytes of sysfs
 * @told_state: in sysfs; BALLOON_STATES: nothing
 * @told_held: in sysfs, or UINT64_MAX
 * @told_floor: in sysfs, or UINT64_MAX
 * @told_target: in the log of a dry run, or UINT64_MAX
 */
struct vm {
	struct daemon *daemon;
	struct vm *next, **back;
	pid_t pid;
	char name[128];
	bool in_sysfs;
	unsigned int seen;
	const struct link_ops *link;
	void *link_context;
	bool ready;
	uint64_t size_bytes;
	uint64_t ram_bytes;
	struct ballast_settings metadata;
	struct ballast_settings written;
	struct balloon balloon;
	struct pressure pressure;
	struct ballast_watch target;
	enum balloon_state told_state;
	uint64_t told_held;
	uint64_t told_floor;
	uint64_t told_target;
};

/**
 * struct daemon - all of it
 * @sysfs: the module
 * @config: what the admin says
 * @watcher: descriptors of the daemon
 * @by_pid: tsearch(3) tree of all VMs
 * @vms: list of all VMs
 * @vm_count: how many the module knows
 * @generation: vms_generation of sysfs
 * @pass: of vms_sync()
 * @module_present: when last looked at
 * @dry_run: log, do not do
 * @virt: way to libvirt; NULL: none wanted
 * @qmp: ways to QEMU without libvirt
 */
struct daemon {
	struct ballast_sysfs sysfs;
	struct config config;
	struct ballast_watcher *watcher;
	void *by_pid;
	struct vm *vms;
	unsigned int vm_count;
	struct ballast_watch generation;
	unsigned int pass;
	bool module_present;
	bool dry_run;
	struct virt_link *virt;
	struct qmp_link *qmp;
};

uint64_t daemon_now_ms(void);

/* vms.c */
void vms_init(struct daemon *daemon);
void vms_check_module(struct daemon *daemon);
void vms_look(struct daemon *daemon);
void vms_tick(struct daemon *daemon);
void vms_configure(struct daemon *daemon);
void vms_free(struct daemon *daemon);
struct vm *vm_find(struct daemon *daemon, pid_t pid);
struct vm *vm_get(struct daemon *daemon, pid_t pid);
void vm_link(struct vm *vm, const char *name, const struct link_ops *link, void *context);
void vm_ready(struct vm *vm);
void vm_unlink(struct vm *vm);
void vm_set_metadata(struct vm *vm, const struct ballast_settings *settings);
void vm_balloon_is(struct vm *vm, uint64_t ram_bytes, uint64_t present_bytes);
void vm_has_device(struct vm *vm, bool present);
void vm_freeze(struct vm *vm, bool frozen);
bool vm_is_driven(const struct vm *vm);
void vm_guest_says(struct vm *vm, const struct ballast_guest_stats *stats);

/* virt_link.c */
struct virt_link *virt_link_new(struct daemon *daemon);
void virt_link_tick(struct virt_link *link);
void virt_link_statistics(struct virt_link *link);
void virt_link_free(struct virt_link *link);

/* qmp_link.c */
struct qmp_link *qmp_link_new(struct daemon *daemon);
void qmp_link_consider(struct qmp_link *link, struct vm *vm);
void qmp_link_tick(struct qmp_link *link);
void qmp_link_statistics(struct qmp_link *link);
void qmp_link_free(struct qmp_link *link);

#endif /* BALLASTD_DAEMON_H */
