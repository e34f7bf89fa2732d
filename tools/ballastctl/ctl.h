/* SPDX-License-Identifier: GPL-2.0 */
/* What ballastctl's commands share. */
#ifndef BALLASTCTL_CTL_H
#define BALLASTCTL_CTL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "../lib/sysfs.h"

enum { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

/**
 * struct ctl - what the command line says, beside the command
 * @sysfs: the module
 * @uri: of libvirt
 * @json: output for programs
 * @yes: do not ask
 * @save: set: into the domain's metadata too
 * @force: adopt: although the mount looks wrong
 * @mount: adopt: where guest memory shall lie; NULL: find out
 * @pool: record: whose VMs; NULL: the only one that has any
 * @targets: record: file for what the module made of it; NULL: none
 * @count: record: rows of how many periods; 0: no end
 */
struct ctl {
	struct ballast_sysfs sysfs;
	const char *uri;
	bool json;
	bool yes;
	bool save;
	bool force;
	const char *mount;
	const char *pool;
	const char *targets;
	uint64_t count;
};

/**
 * struct vm_view - a VM as sysfs shows it at a moment
 *
 * Fields have the names of their files.  @name is the guest's (-name), or the
 * process's if that says none.  @has_store: the module knows compressed and
 * swapped memory (abi_version 3).
 */
struct vm_view {
	pid_t pid;
	char name[128];
	char pool[64];
	char reason[32];
	char balloon_state[32];
	char rho[32];
	uint64_t size_bytes, resident_bytes, shared_bytes, unreclaimable_bytes;
	uint64_t running, shares, min_bytes, max_bytes, tax_bp, floor_bytes;
	uint64_t balloon_bytes, active_bp, active_error_bp, target_bytes;
	uint64_t balloon_target_bytes;
	bool has_store;
	uint64_t compressed_bytes, swapped_bytes;
};

/**
 * struct pool_view - a pool as sysfs shows it at a moment
 *
 * Fields have the names of their files.  @has_store: it is a mount, of a module that
 * knows what comes after it (abi_version 3).
 */
struct pool_view {
	char name[64];
	char state[16];
	uint64_t size_bytes, used_bytes, free_bytes, vms_available_bytes, vms_target_bytes;
	bool has_store;
	char compress[16];
	uint64_t compressed_bytes, store_bytes, swapped_bytes, swap_size_bytes;
	uint64_t swap_free_bytes, pages_lost, swap_full, swap_write_errors, held_back;
	uint64_t reclaim_stuck, admission, promised_bytes, admissible_bytes, vms_min_bytes;
};

/* view.c */
int view_vm(const struct ctl *ctl, pid_t pid, struct vm_view *vm);
int view_vms(const struct ctl *ctl, struct vm_view **vms, size_t *count);
int view_pools(const struct ctl *ctl, struct pool_view **pools, size_t *count);
int view_find(const struct ctl *ctl, const char *who, struct vm_view *vm);
struct json_object *view_vm_json(const struct vm_view *vm);
struct json_object *view_pool_json(const struct pool_view *pool);
const char *size_text(uint64_t bytes);
int print_json(struct json_object *object);
int no_module(const struct ctl *ctl);
void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* one command each */
int ctl_status(struct ctl *ctl, int argc, char **argv);
int ctl_list(struct ctl *ctl, int argc, char **argv);
int ctl_explain(struct ctl *ctl, int argc, char **argv);
int ctl_set(struct ctl *ctl, int argc, char **argv);
int ctl_mode(struct ctl *ctl, int argc, char **argv);
int ctl_adopt(struct ctl *ctl, int argc, char **argv);
int ctl_release(struct ctl *ctl, int argc, char **argv);
int ctl_record(struct ctl *ctl, int argc, char **argv);
int ctl_doctor(struct ctl *ctl, int argc, char **argv);

/* doctor.c, for those that examine */
enum verdict { WELL, WRONG, UNSEEN };
struct doctor;
const struct ctl *doctor_ctl(const struct doctor *doctor);
int doctor_wrong(const struct doctor *doctor);
void doctor_find(struct doctor *doctor, const char *what, enum verdict verdict,
		 const char *mend, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

/* doctor_pools.c */
void doctor_examine_pools(struct doctor *doctor);

#endif /* BALLASTCTL_CTL_H */
