// SPDX-License-Identifier: GPL-2.0
/*
 * The way by libvirt.
 *
 * DOC: Domains come and go by lifecycle events.  The list is read with a connection, and
 * each statistics period: an event that was lost costs one period.  When libvirtd goes,
 * its domains go on running; they are found again, as they are then, when it is back.
 *
 * What needs an answer is asked by a thread (virt_ask.c): it may be long in coming.  A
 * domain has one question under way, and what comes up meanwhile is the next one; the
 * list is one more.  Connecting waits for libvirtd, and for the first list: what libvirt
 * has is not to be found by way of QMP before.
 */
#include <errno.h>
#include <inttypes.h>
#include <search.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libvirt/virterror.h>

#include "../lib/domain_xml.h"
#include "../lib/log.h"
#include "../lib/virt.h"
#include "daemon.h"
#include "virt_ask.h"

#define BACKOFF_FIRST_MS	1000
#define BACKOFF_MOST_MS		30000
#define KEEPALIVE_S		5
#define KEEPALIVE_COUNT		3
#define EVENTS			4
#define READY_AFTER_MS		5000

/* what libvirt knows without QEMU */
#define MEET	(VIRT_ASK_DEVICE | VIRT_ASK_METADATA | VIRT_ASK_BALLOON)

/**
 * struct domain - one that runs
 * @uuid: key
 * @next: in link->domains
 * @back: what points to this one
 * @link: all of them
 * @handle: libvirt's
 * @pid: of QEMU
 * @job: a migration, a save or a dump is under way
 * @running: neither paused nor shut off
 * @met_ms: when libvirt first knew of its balloon; 0: not yet
 * @ready: its VM is
 * @owes_ram: it has not been told @ram_bytes yet
 * @asked: what it is asked now; NULL: nothing
 * @wanted: VIRT_ASK_..., what is to be asked next
 * @ram_bytes: for VIRT_ASK_RAM
 * @period_s: that it was told; 0: not yet
 */
struct domain {
	unsigned char uuid[VIR_UUID_BUFLEN];
	struct domain *next, **back;
	struct virt_link *link;
	virDomainPtr handle;
	pid_t pid;
	bool job;
	bool running;
	bool ready;
	bool owes_ram;
	struct virt_question *asked;
	unsigned int wanted;
	uint64_t ram_bytes;
	uint64_t met_ms;
	unsigned int period_s;
};

struct virt_link {
	struct daemon *daemon;
	struct virt_asker *asker;
	struct virt_question *listing;
	virConnectPtr conn;
	atomic_bool lost;	/* a thread said so; closed at the next tick */
	int events[EVENTS];
	void *by_uuid;
	struct domain *domains;
	uint64_t retry_ms;
	uint64_t backoff_ms;
};

static int compare_uuid(const void *a, const void *b)
{
	const struct domain *x = a, *y = b;

	return memcmp(x->uuid, y->uuid, VIR_UUID_BUFLEN);
}

static struct domain *find(struct virt_link *link, virDomainPtr handle)
{
	struct domain key, **found;

	if (virDomainGetUUID(handle, key.uuid) < 0)
		return NULL;
	found = tfind(&key, &link->by_uuid, compare_uuid);
	return found ? *found : NULL;
}

static struct vm *vm_of(const struct domain *domain)
{
	struct vm *vm = vm_find(domain->link->daemon, domain->pid);

	return vm && vm->link_context == domain ? vm : NULL;
}

/* A request that is owed may have been made in other circumstances. */
static bool may_ask_ram(const struct domain *domain)
{
	const struct vm *vm = vm_of(domain);

	return vm && vm_is_driven(vm);
}

/* Without memory it is asked with the next statistics. */
static void ask_next(struct domain *domain)
{
	struct virt_question *question = calloc(1, sizeof(*question));

	if (!question)
		return;
	if (!may_ask_ram(domain))
		domain->wanted &= ~VIRT_ASK_RAM;
	if (virDomainRef(domain->handle) < 0) {
		free(question);
		return;
	}
	question->handle = domain->handle;
	question->about = domain;
	question->what = domain->wanted | VIRT_ASK_JOB;
	question->period_s = domain->period_s;
	question->ram_bytes = domain->ram_bytes;
	domain->wanted = 0;
	domain->asked = question;
	virt_asker_ask(domain->link->asker, question);
}

static void ask(struct domain *domain, unsigned int what)
{
	domain->wanted |= what;
	if (!domain->asked)
		ask_next(domain);
}

/* What libvirt would not do the last time is tried again. */
static void ask_statistics(struct domain *domain)
{
	const struct daemon *daemon = domain->link->daemon;
	unsigned int what = VIRT_ASK_STATS;

	if (!domain->met_ms)
		what |= MEET;
	if (domain->owes_ram)
		what |= VIRT_ASK_RAM;
	if (domain->period_s != daemon->config.stats_period_s) {
		domain->period_s = daemon->config.stats_period_s;
		if (daemon->dry_run)
			log_notice("would have %s send statistics",
				   virDomainGetName(domain->handle));
		else
			what |= VIRT_ASK_PERIOD;
	}
	ask(domain, what);
}

static void freeze(const struct domain *domain)
{
	struct vm *vm = vm_of(domain);

	if (vm)
		vm_freeze(vm, domain->job || !domain->running);
}

static int set_ram(struct vm *vm, uint64_t bytes)
{
	struct domain *domain = vm->link_context;

	domain->ram_bytes = bytes;
	domain->owes_ram = true;
	ask(domain, VIRT_ASK_RAM);
	return 0;
}

/* Who has not answered the last time is not asked again. */
static void refresh(struct vm *vm)
{
	struct domain *domain = vm->link_context;

	if (!domain->asked)
		ask(domain, VIRT_ASK_BALLOON);
}

static const struct link_ops ops = { .set_ram = set_ram, .refresh = refresh };

static void take_metadata(const struct virt_question *question, struct vm *vm)
{
	if (question->settings_err)
		log_warning("%s: its metadata: %s", vm->name, question->settings_why);
	if (question->settings_err != -EIO)
		vm_set_metadata(vm, &question->settings);
}

/* Did it do what it was told? */
static void take_deeds(struct domain *domain, const struct virt_question *question,
		       const struct vm *vm)
{
	unsigned int failed = question->what & ~question->answered;

	if (failed & VIRT_ASK_PERIOD) {
		log_info("%s: no statistics of the guest: %s", vm->name, question->why);
		if (vm->balloon.device && question->period_s == domain->period_s)
			domain->period_s = 0;
	}
	if ((question->answered & VIRT_ASK_RAM) && question->ram_bytes == domain->ram_bytes)
		domain->owes_ram = false;
	if ((failed & VIRT_ASK_RAM) && !question->job)
		log_warning("%s: its balloon cannot be asked: %s", vm->name, question->why);
}

static void take_report(struct vm *vm, const struct virt_question *question)
{
	const struct ballast_virt_report *report = &question->report;

	if (report->ram_bytes && report->present_bytes)
		vm_balloon_is(vm, report->ram_bytes, report->present_bytes);
	if (question->answered & VIRT_ASK_STATS)
		vm_guest_says(vm, &report->stats);
}

/* An event that came meanwhile is newer, and has asked again. */
static void take_state(struct domain *domain, const struct virt_question *question)
{
	if (domain->wanted & VIRT_ASK_STATS)
		return;
	if (question->answered & VIRT_ASK_JOB)
		domain->job = question->job;
	if (question->answered & (VIRT_ASK_BALLOON | VIRT_ASK_STATS))
		domain->running = question->report.running;
	freeze(domain);
}

/* Statistics come first: they may make a floor.  A QEMU that hangs has none. */
static void make_ready(struct domain *domain, struct vm *vm)
{
	domain->ready = true;
	vm_ready(vm);
	freeze(domain);
}

static void take_answer(struct domain *domain, const struct virt_question *question)
{
	struct vm *vm = vm_of(domain);

	take_state(domain, question);
	if (!vm)
		return;
	if (question->answered & VIRT_ASK_DEVICE)
		balloon_set_device(&vm->balloon, question->device);
	if (question->what & VIRT_ASK_METADATA)
		take_metadata(question, vm);
	take_deeds(domain, question, vm);
	if (question->answered & (VIRT_ASK_BALLOON | VIRT_ASK_STATS))
		take_report(vm, question);
	if (!domain->met_ms && (question->answered & VIRT_ASK_BALLOON)) {
		domain->met_ms = daemon_now_ms();
		ask_statistics(domain);
	} else if (!domain->ready && (question->answered & VIRT_ASK_STATS)) {
		make_ready(domain, vm);
	}
}

static void forget(struct domain *domain)
{
	struct vm *vm = vm_of(domain);

	if (vm)
		vm_unlink(vm);
	if (domain->asked)
		virt_asker_drop(domain->link->asker, domain->asked);
	tdelete(domain, &domain->link->by_uuid, compare_uuid);
	*domain->back = domain->next;
	if (domain->next)
		domain->next->back = domain->back;
	virDomainFree(domain->handle);
	free(domain);
}

static struct domain *add(struct virt_link *link, virDomainPtr handle, pid_t pid)
{
	struct domain *domain = calloc(1, sizeof(*domain));

	if (!domain)
		return NULL;
	if (virDomainGetUUID(handle, domain->uuid) < 0 || virDomainRef(handle) < 0) {
		free(domain);
		return NULL;
	}
	domain->link = link;
	domain->handle = handle;
	domain->pid = pid;
	domain->running = true;
	if (!tsearch(domain, &link->by_uuid, compare_uuid)) {
		virDomainFree(handle);
		free(domain);
		return NULL;
	}
	domain->next = link->domains;
	domain->back = &link->domains;
	if (domain->next)
		domain->next->back = &domain->next;
	link->domains = domain;
	return domain;
}

/* A domain runs: find its process. */
static void started(struct virt_link *link, virDomainPtr handle)
{
	struct domain *domain = find(link, handle);
	char why[256];
	struct vm *vm;
	pid_t pid;

	/* an ID is not given twice; a list may be older than an event */
	if (domain && (int)virDomainGetID(handle) <= (int)virDomainGetID(domain->handle))
		return;
	if (ballast_virt_pid(handle, &pid, why, sizeof(why))) {
		log_info("%s: %s", virDomainGetName(handle), why);
		return;
	}
	if (domain)
		forget(domain);
	vm = vm_get(link->daemon, pid);
	domain = vm ? add(link, handle, pid) : NULL;
	if (!domain)
		return;
	if (vm->link)
		log_warning("%s: libvirt's, but a QMP socket led to it first", vm->name);
	vm_link(vm, virDomainGetName(handle), &ops, domain);
	ask(domain, MEET);
}

static void take_list(struct virt_link *link, const struct virt_question *question)
{
	int i;

	link->listing = NULL;
	for (i = 0; i < question->count; i++)
		started(link, question->list[i]);
}

static void take_domain(struct domain *domain, const struct virt_question *question)
{
	domain->asked = NULL;
	take_answer(domain, question);
	if (domain->wanted && !domain->asked)
		ask_next(domain);
}

/* The event loop calls it, for each question that has been asked. */
static void answer(struct virt_question *question)
{
	if (question->about && question->conn)
		take_list(question->about, question);
	else if (question->about)
		take_domain(question->about, question);
	virt_question_free(question);
}

static void ask_list(struct virt_link *link)
{
	struct virt_question *question = link->listing ? NULL : calloc(1, sizeof(*question));

	if (!question)
		return;
	if (virConnectRef(link->conn) < 0) {
		free(question);
		return;
	}
	question->conn = link->conn;
	question->about = link;
	question->what = VIRT_ASK_LIST;
	link->listing = question;
	virt_asker_ask(link->asker, question);
}

static int on_lifecycle(virConnectPtr conn, virDomainPtr handle, int event, int detail,
			void *context)
{
	struct virt_link *link = context;
	struct domain *domain = find(link, handle);

	(void)conn;
	(void)detail;
	switch (event) {
	case VIR_DOMAIN_EVENT_STARTED:
		started(link, handle);
		break;
	case VIR_DOMAIN_EVENT_STOPPED:
	case VIR_DOMAIN_EVENT_CRASHED:
		if (domain)
			forget(domain);
		break;
	case VIR_DOMAIN_EVENT_SUSPENDED:
	case VIR_DOMAIN_EVENT_RESUMED:
		if (!domain)
			break;
		domain->running = event == VIR_DOMAIN_EVENT_RESUMED;
		freeze(domain);
		ask_statistics(domain);
		break;
	}
	return 0;
}

static void on_balloon(virConnectPtr conn, virDomainPtr handle, unsigned long long kib,
		       void *context)
{
	struct domain *domain = find(context, handle);
	struct vm *vm = domain ? vm_of(domain) : NULL;

	(void)conn;
	if (vm)
		vm_balloon_is(vm, 0, (uint64_t)kib << 10);
}

static void on_metadata(virConnectPtr conn, virDomainPtr handle, int type,
			const char *namespace, void *context)
{
	struct domain *domain = find(context, handle);
	struct vm *vm = domain ? vm_of(domain) : NULL;

	(void)conn;
	(void)type;
	if (vm && (!namespace || !strcmp(namespace, BALLAST_XMLNS)))
		ask(domain, VIRT_ASK_METADATA);
}

static void on_job(virConnectPtr conn, virDomainPtr handle, virTypedParameterPtr params,
		   int count, void *context)
{
	struct domain *domain = find(context, handle);

	(void)conn;
	(void)params;
	(void)count;
	if (!domain)
		return;
	domain->job = false;
	freeze(domain);
	/* an answer that is on its way may be older */
	ask_statistics(domain);
}

static void on_close(virConnectPtr conn, int reason, void *context)
{
	struct virt_link *link = context;

	(void)conn;
	(void)reason;
	link->lost = true;
}

static void register_events(struct virt_link *link)
{
	static const struct {
		int id;
		virConnectDomainEventGenericCallback callback;
	} wanted[EVENTS] = {
		{ VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_CALLBACK(on_lifecycle) },
		{ VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_balloon) },
		{ VIR_DOMAIN_EVENT_ID_METADATA_CHANGE, VIR_DOMAIN_EVENT_CALLBACK(on_metadata) },
		{ VIR_DOMAIN_EVENT_ID_JOB_COMPLETED, VIR_DOMAIN_EVENT_CALLBACK(on_job) },
	};
	int i;

	for (i = 0; i < EVENTS; i++) {
		link->events[i] = virConnectDomainEventRegisterAny(link->conn, NULL,
				wanted[i].id, wanted[i].callback, link, NULL);
		if (link->events[i] < 0)
			log_warning("libvirt has no event %d: %s", wanted[i].id,
				    ballast_virt_error());
	}
}

static void take_all(struct virt_link *link)
{
	virDomainPtr *list = NULL;
	int count, i;

	count = virConnectListAllDomains(link->conn, &list, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
	for (i = 0; i < count; i++) {
		started(link, list[i]);
		virDomainFree(list[i]);
	}
	free(list);
}

static void disconnect(struct virt_link *link)
{
	int i;

	while (link->domains)
		forget(link->domains);
	if (link->listing)
		virt_asker_drop(link->asker, link->listing);
	link->listing = NULL;
	for (i = 0; i < EVENTS; i++)
		if (link->events[i] >= 0)
			virConnectDomainEventDeregisterAny(link->conn, link->events[i]);
	virConnectUnregisterCloseCallback(link->conn, on_close);
	virConnectClose(link->conn);
	link->conn = NULL;
}

static void connect_to_libvirt(struct virt_link *link)
{
	const char *uri = link->daemon->config.libvirt_uri;

	link->conn = virConnectOpen(uri);
	if (!link->conn) {
		if (link->backoff_ms == BACKOFF_FIRST_MS)
			log_warning("libvirt (%s): %s; trying again", uri,
				    ballast_virt_error());
		link->retry_ms = daemon_now_ms() + link->backoff_ms;
		link->backoff_ms *= 2;
		if (link->backoff_ms > BACKOFF_MOST_MS)
			link->backoff_ms = BACKOFF_MOST_MS;
		return;
	}
	log_notice("connected to libvirt (%s)", uri);
	link->backoff_ms = BACKOFF_FIRST_MS;
	/* the connection before may have said so once more */
	link->lost = false;
	virConnectRegisterCloseCallback(link->conn, on_close, link, NULL);
	virConnectSetKeepAlive(link->conn, KEEPALIVE_S, KEEPALIVE_COUNT);
	/* first the events, then the list: nothing falls between */
	register_events(link);
	take_all(link);
}

/** virt_link_new() - connect, now or later; NULL without memory */
struct virt_link *virt_link_new(struct daemon *daemon)
{
	struct virt_link *link = calloc(1, sizeof(*link));

	if (!link)
		return NULL;
	link->daemon = daemon;
	link->backoff_ms = BACKOFF_FIRST_MS;
	link->asker = virt_asker_new(daemon->watcher, answer);
	if (!link->asker) {
		free(link);
		return NULL;
	}
	ballast_virt_init();
	connect_to_libvirt(link);
	return link;
}

/* Who has no statistics to give is managed without. */
static void look_for_late(struct virt_link *link, uint64_t now_ms)
{
	struct domain *domain;
	struct vm *vm;

	for (domain = link->domains; domain; domain = domain->next) {
		vm = vm_of(domain);
		if (vm && domain->met_ms && !domain->ready &&
		    now_ms - domain->met_ms >= READY_AFTER_MS)
			make_ready(domain, vm);
	}
}

/** virt_link_tick() - time has passed: see who is still there, and who is late */
void virt_link_tick(struct virt_link *link)
{
	virt_asker_tick(link->asker, daemon_now_ms());
	look_for_late(link, daemon_now_ms());
	if (link->conn && (link->lost || virConnectIsAlive(link->conn) == 0)) {
		log_warning("libvirt is gone: waiting for it");
		disconnect(link);
		link->retry_ms = daemon_now_ms() + link->backoff_ms;
	}
	if (!link->conn && daemon_now_ms() >= link->retry_ms)
		connect_to_libvirt(link);
}

/**
 * virt_link_statistics() - a statistics period is over
 * @link: all of it
 *
 * Who has not answered the last time is not asked again.
 */
void virt_link_statistics(struct virt_link *link)
{
	struct domain *domain;

	if (!link->conn)
		return;
	ask_list(link);
	for (domain = link->domains; domain; domain = domain->next)
		if (!domain->asked)
			ask_statistics(domain);
}

/** virt_link_free() - at the end */
void virt_link_free(struct virt_link *link)
{
	if (!link)
		return;
	if (link->conn)
		disconnect(link);
	virt_asker_free(link->asker);
	free(link);
}
