// SPDX-License-Identifier: GPL-2.0
/*
 * The way to QEMU without libvirt.
 *
 * DOC: A socket is given (configuration, --qmp) or found in the command line of a
 * process that the module shows.  A given one is of whatever process listens; a
 * found one must be of the process in whose command line it stands, else a
 * guest's owner could point at another guest's monitor.
 *
 * A connection asks for everything once, in order, and is ready with the last
 * answer.  After that events tell, and each statistics period asks again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/log.h"
#include "../lib/qmp.h"
#include "daemon.h"

#define BACKOFF_FIRST_MS	1000
#define BACKOFF_MOST_MS		30000
#define GREETING_MS		10000

/**
 * struct monitor - one QEMU
 * @link: all of them
 * @next: in link->monitors
 * @path: of the socket
 * @given: by configuration; else found, and forgotten when the process ends
 * @pid: of QEMU; 0: not known yet
 * @qmp: the connection; NULL: none
 * @linked: vm_link() was called with this
 * @balloon_path: of the device in QEMU's object tree
 * @period_s: of statistics, that it was told; 0: not yet
 * @ram_bytes: QEMU's
 * @stopped: it says so
 * @migrating: it says so
 * @asking: answers that a round still waits for
 * @opened_ms: when the connection was opened; 0: complained about already
 * @retry_ms: when to connect again
 * @backoff_ms: how long to wait the next time
 */
struct monitor {
	struct qmp_link *link;
	struct monitor *next;
	char *path;
	bool given;
	pid_t pid;
	struct ballast_qmp *qmp;
	bool linked;
	char balloon_path[256];
	unsigned int period_s;
	uint64_t ram_bytes;
	bool stopped, migrating;
	unsigned int asking;
	uint64_t opened_ms;
	uint64_t retry_ms;
	uint64_t backoff_ms;
};

struct qmp_link {
	struct daemon *daemon;
	struct monitor *monitors;
};

static struct vm *vm_of(struct monitor *monitor)
{
	struct vm *vm = monitor->linked ? vm_find(monitor->link->daemon, monitor->pid) : NULL;

	return vm && vm->link_context == monitor ? vm : NULL;
}

/* What is asked; the answers are taken by the function of the same name. */
enum question {
	ASK_EVENTS,
	ASK_SIZE,
	ASK_STATUS,
	ASK_MIGRATION,
	ASK_BALLOON,
	ASK_STATISTICS,
	ASK_PERIOD,
	ASK_DEVICES,
	ASK_UNNAMED_DEVICES,
};

static void answered(void *context, struct json_object *value, const char *error,
		     unsigned long question);

static void ask(struct monitor *monitor, enum question question, const char *command,
		struct json_object *arguments)
{
	if (ballast_qmp_command(monitor->qmp, command, arguments, answered, question))
		log_debug("%s: %s cannot be sent", monitor->path, command);
	else
		monitor->asking++;
}

static struct json_object *property(const char *path, const char *name)
{
	struct json_object *arguments = json_object_new_object();

	json_object_object_add(arguments, "path", json_object_new_string(path));
	if (name)
		json_object_object_add(arguments, "property", json_object_new_string(name));
	return arguments;
}

static void got_size(struct monitor *monitor, struct json_object *value)
{
	uint64_t base = 0, plugged = 0;

	if (!ballast_json_u64(value, "base-memory", &base)) {
		ballast_json_u64(value, "plugged-memory", &plugged);
		monitor->ram_bytes = base + plugged;
	}
}

static void got_balloon(struct monitor *monitor, struct json_object *value,
			const char *error)
{
	struct vm *vm = vm_of(monitor);
	uint64_t actual;

	if (!vm)
		return;
	if (error)
		vm_has_device(vm, false);
	else if (!ballast_json_u64(value, "actual", &actual)) {
		balloon_set_device(&vm->balloon, true);
		vm_balloon_is(vm, monitor->ram_bytes, actual);
	}
}

static void freeze(struct monitor *monitor)
{
	struct vm *vm = vm_of(monitor);

	if (vm)
		vm_freeze(vm, monitor->stopped || monitor->migrating);
}

static void got_status(struct monitor *monitor, struct json_object *value)
{
	struct json_object *running;

	if (json_object_is_type(value, json_type_object) &&
	    json_object_object_get_ex(value, "running", &running))
		monitor->stopped = !json_object_get_boolean(running);
	freeze(monitor);
}

static bool is_migrating(const char *status)
{
	static const char *const over[] = { "none", "completed", "failed", "cancelled" };
	size_t i;

	for (i = 0; status && i < sizeof(over) / sizeof(*over); i++)
		if (!strcmp(status, over[i]))
			return false;
	return status;
}

static void got_migration(struct monitor *monitor, struct json_object *value)
{
	monitor->migrating = is_migrating(ballast_json_text(value, "status"));
	freeze(monitor);
}

static void got_statistics(struct monitor *monitor, struct json_object *value)
{
	struct vm *vm = vm_of(monitor);
	struct ballast_guest_stats stats;

	if (!vm)
		return;
	ballast_qmp_guest_stats(value, &stats);
	vm_guest_says(vm, &stats);
}

static void set_period(struct monitor *monitor)
{
	struct json_object *arguments = property(monitor->balloon_path,
						 "guest-stats-polling-interval");

	monitor->period_s = monitor->link->daemon->config.stats_period_s;
	json_object_object_add(arguments, "value",
			       json_object_new_int64(monitor->period_s));
	if (monitor->link->daemon->dry_run) {
		log_notice("would have %s send statistics", monitor->path);
		json_object_put(arguments);
		return;
	}
	ask(monitor, ASK_PERIOD, "qom-set", arguments);
}

static void ask_state(struct monitor *monitor)
{
	if (*monitor->balloon_path &&
	    monitor->period_s != monitor->link->daemon->config.stats_period_s)
		set_period(monitor);
	ask(monitor, ASK_SIZE, "query-memory-size-summary", NULL);
	ask(monitor, ASK_STATUS, "query-status", NULL);
	ask(monitor, ASK_MIGRATION, "query-migrate", NULL);
	ask(monitor, ASK_BALLOON, "query-balloon", NULL);
	if (*monitor->balloon_path)
		ask(monitor, ASK_STATISTICS, "qom-get",
		    property(monitor->balloon_path, "guest-stats"));
}

/* QEMU tells of migrations only if it is asked to, and of nothing else by that. */
static void ask_for_events(struct monitor *monitor)
{
	struct json_object *arguments = json_object_new_object();
	struct json_object *list = json_object_new_array();
	struct json_object *capability = json_object_new_object();

	json_object_object_add(capability, "capability", json_object_new_string("events"));
	json_object_object_add(capability, "state", json_object_new_boolean(true));
	json_object_array_add(list, capability);
	json_object_object_add(arguments, "capabilities", list);
	ask(monitor, ASK_EVENTS, "migrate-set-capabilities", arguments);
}

static const char *const object_directories[] = {
	"/machine/peripheral", "/machine/peripheral-anon",
};

static void got_devices(struct monitor *monitor, struct json_object *value,
			unsigned int directory)
{
	struct json_object *device;
	const char *type, *name;
	size_t i, count = 0;

	if (json_object_is_type(value, json_type_array))
		count = json_object_array_length(value);
	for (i = 0; i < count && !*monitor->balloon_path; i++) {
		device = json_object_array_get_idx(value, i);
		type = ballast_json_text(device, "type");
		name = ballast_json_text(device, "name");
		if (type && name && !strncmp(type, "child<virtio-balloon", 20))
			snprintf(monitor->balloon_path, sizeof(monitor->balloon_path),
				 "%s/%s", object_directories[directory], name);
	}
	if (directory == 0)
		return;
	ask_state(monitor);
}

static void answered(void *context, struct json_object *value, const char *error,
		     unsigned long question)
{
	struct monitor *monitor = context;
	struct vm *vm;

	monitor->asking--;
	switch ((enum question)question) {
	case ASK_EVENTS:
		if (error)
			log_info("%s: it will not tell of migrations: %s", monitor->path,
				 error);
		break;
	case ASK_SIZE:
		got_size(monitor, value);
		break;
	case ASK_STATUS:
		got_status(monitor, value);
		break;
	case ASK_MIGRATION:
		got_migration(monitor, value);
		break;
	case ASK_BALLOON:
		got_balloon(monitor, value, error);
		break;
	case ASK_STATISTICS:
		got_statistics(monitor, value);
		break;
	case ASK_PERIOD:
		if (error)
			log_warning("%s: no statistics of the guest: %s", monitor->path,
				    error);
		break;
	case ASK_DEVICES:
	case ASK_UNNAMED_DEVICES:
		got_devices(monitor, value, question == ASK_UNNAMED_DEVICES);
		break;
	}
	vm = vm_of(monitor);
	/* the first round is over */
	if (vm && !vm->ready && !monitor->asking)
		vm_ready(vm);
}

static int set_ram(struct vm *vm, uint64_t bytes)
{
	struct monitor *monitor = vm->link_context;
	struct json_object *arguments = json_object_new_object();

	json_object_object_add(arguments, "value", json_object_new_int64((int64_t)bytes));
	return ballast_qmp_command(monitor->qmp, "balloon", arguments, NULL, 0);
}

static void refresh(struct vm *vm)
{
	struct monitor *monitor = vm->link_context;

	ask(monitor, ASK_BALLOON, "query-balloon", NULL);
}

static const struct link_ops ops = { .set_ram = set_ram, .refresh = refresh };

static void drop(struct monitor *monitor)
{
	struct vm *vm = vm_of(monitor);

	monitor->linked = false;
	if (vm)
		vm_unlink(vm);
	ballast_qmp_close(monitor->qmp);
	monitor->qmp = NULL;
	monitor->asking = 0;
	monitor->retry_ms = daemon_now_ms() + monitor->backoff_ms;
	monitor->backoff_ms *= 2;
	if (monitor->backoff_ms > BACKOFF_MOST_MS)
		monitor->backoff_ms = BACKOFF_MOST_MS;
}

static void ready(void *context)
{
	struct monitor *monitor = context;
	struct daemon *daemon = monitor->link->daemon;
	pid_t pid = ballast_qmp_pid(monitor->qmp);
	struct ballast_cmdline cmdline;
	struct vm *vm;

	if (monitor->pid && monitor->pid != pid && !monitor->given) {
		if (monitor->backoff_ms == BACKOFF_FIRST_MS)
			log_warning("%s: process %d answers, not %d: left alone",
				    monitor->path, (int)pid, (int)monitor->pid);
		drop(monitor);
		return;
	}
	vm = vm_get(daemon, pid);
	if (!vm || vm->link) {
		log_info("%s: process %d is managed already", monitor->path, (int)pid);
		drop(monitor);
		return;
	}
	monitor->pid = pid;
	monitor->linked = true;
	monitor->backoff_ms = BACKOFF_FIRST_MS;
	monitor->opened_ms = 0;
	*monitor->balloon_path = '\0';
	monitor->period_s = 0;
	ballast_cmdline_read(pid, &cmdline);
	vm_link(vm, cmdline.name, &ops, monitor);
	if (!daemon->dry_run)
		ask_for_events(monitor);
	ask(monitor, ASK_DEVICES, "qom-list", property(object_directories[0], NULL));
	ask(monitor, ASK_UNNAMED_DEVICES, "qom-list", property(object_directories[1], NULL));
}

static void event(void *context, const char *name, struct json_object *data)
{
	struct monitor *monitor = context;
	struct vm *vm = vm_of(monitor);
	uint64_t actual;

	if (!vm)
		return;
	if (!strcmp(name, "BALLOON_CHANGE") && !ballast_json_u64(data, "actual", &actual)) {
		vm_balloon_is(vm, 0, actual);
	} else if (!strcmp(name, "STOP") || !strcmp(name, "RESUME")) {
		monitor->stopped = *name == 'S';
		freeze(monitor);
	} else if (!strcmp(name, "MIGRATION")) {
		monitor->migrating = is_migrating(ballast_json_text(data, "status"));
		freeze(monitor);
	}
}

static void closed(void *context, const char *why)
{
	struct monitor *monitor = context;

	log_info("%s: %s", monitor->path, why);
	monitor->qmp = NULL;	/* it frees itself */
	drop(monitor);
}

static const struct ballast_qmp_ops qmp_ops = {
	.ready = ready, .event = event, .closed = closed,
};

/* As the process sees it: it may have another root, or a relative path. */
static void seen_path(const struct monitor *monitor, char *path, size_t room)
{
	if (monitor->given)
		snprintf(path, room, "%s", monitor->path);
	else if (*monitor->path == '/')
		snprintf(path, room, "/proc/%d/root%s", (int)monitor->pid, monitor->path);
	else
		snprintf(path, room, "/proc/%d/cwd/%s", (int)monitor->pid, monitor->path);
}

static void open_monitor(struct monitor *monitor)
{
	char path[512];
	int err;

	seen_path(monitor, path, sizeof(path));
	err = ballast_qmp_open(&monitor->qmp, monitor->link->daemon->watcher, path, &qmp_ops,
			       monitor);
	monitor->opened_ms = daemon_now_ms();
	if (!err)
		return;
	if (monitor->backoff_ms == BACKOFF_FIRST_MS)
		log_warning("%s: %s; trying again", monitor->path, strerror(-err));
	monitor->qmp = NULL;
	drop(monitor);
}

static struct monitor *add(struct qmp_link *link, const char *path, pid_t pid)
{
	struct monitor *monitor = calloc(1, sizeof(*monitor));

	if (!monitor)
		return NULL;
	monitor->path = strdup(path);
	if (!monitor->path) {
		free(monitor);
		return NULL;
	}
	monitor->link = link;
	monitor->pid = pid;
	monitor->given = !pid;
	monitor->backoff_ms = BACKOFF_FIRST_MS;
	monitor->next = link->monitors;
	link->monitors = monitor;
	open_monitor(monitor);
	return monitor;
}

/** qmp_link_new() - connect to the sockets that are given; NULL without memory */
struct qmp_link *qmp_link_new(struct daemon *daemon)
{
	struct qmp_link *link = calloc(1, sizeof(*link));
	size_t i;

	if (!link)
		return NULL;
	link->daemon = daemon;
	for (i = 0; i < daemon->config.qmp_count; i++)
		add(link, daemon->config.qmp_paths[i], 0);
	return link;
}

/**
 * qmp_link_consider() - a VM has come that nothing leads to yet
 * @link: all monitors
 * @vm: the VM
 */
void qmp_link_consider(struct qmp_link *link, struct vm *vm)
{
	struct ballast_cmdline cmdline;

	if (ballast_cmdline_read(vm->pid, &cmdline))
		return;
	if (*cmdline.name)
		snprintf(vm->name, sizeof(vm->name), "%s", cmdline.name);
	if (cmdline.libvirt || !link->daemon->config.find_qmp)
		return;
	if (!*cmdline.qmp_path) {
		log_info("%s (%d) has no QMP socket", vm->name, (int)vm->pid);
		return;
	}
	add(link, cmdline.qmp_path, vm->pid);
}

static bool needed(const struct monitor *monitor)
{
	const struct vm *vm;

	if (monitor->given || monitor->qmp)
		return true;
	vm = vm_find(monitor->link->daemon, monitor->pid);
	return vm && vm->in_sysfs && !vm->link;
}

static void free_monitor(struct monitor *monitor)
{
	free(monitor->path);
	free(monitor);
}

/** qmp_link_tick() - time has passed: connect again, forget what is over */
void qmp_link_tick(struct qmp_link *link)
{
	struct monitor **at = &link->monitors, *monitor;
	uint64_t now_ms = daemon_now_ms();

	while ((monitor = *at)) {
		if (!needed(monitor)) {
			*at = monitor->next;
			free_monitor(monitor);
			continue;
		}
		if (!monitor->qmp && now_ms >= monitor->retry_ms) {
			open_monitor(monitor);
		} else if (monitor->qmp && monitor->opened_ms &&
			   now_ms - monitor->opened_ms > GREETING_MS) {
			log_warning("%s: no answer: is another client connected to it?",
				    monitor->path);
			monitor->opened_ms = 0;
		}
		at = &monitor->next;
	}
}

/** qmp_link_statistics() - a statistics period is over: ask all of them */
void qmp_link_statistics(struct qmp_link *link)
{
	struct monitor *monitor;

	for (monitor = link->monitors; monitor; monitor = monitor->next)
		if (monitor->linked && !monitor->asking)
			ask_state(monitor);
}

/** qmp_link_free() - at the end */
void qmp_link_free(struct qmp_link *link)
{
	struct monitor *monitor;

	if (!link)
		return;
	while ((monitor = link->monitors)) {
		link->monitors = monitor->next;
		drop(monitor);
		free_monitor(monitor);
	}
	free(link);
}
