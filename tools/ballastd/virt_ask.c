// SPDX-License-Identifier: GPL-2.0
/*
 * Questions whose answer may be long in coming.
 *
 * DOC: libvirt passes many on to QEMU and waits, without a limit: a QEMU that hangs holds
 * whoever asks until it is killed, and who asks the next question of that domain for half
 * a minute.  While it is being killed even what libvirt knows itself has to wait, and so
 * has the list of all domains.  So a thread asks.  One is enough, until a question takes
 * longer than LATE_MS: then the thread that waits for it is late, and another one goes
 * on with the questions of other domains, up to THREADS_MOST.  A late one that comes
 * back ends, for its place is taken.
 *
 * Five requests of a client that are not answered are all that libvirtd reads
 * (max_client_requests): THREADS_MOST and the event loop's own.
 *
 * That a domain has one question under way at most is up to who asks: so a domain takes
 * one thread, whatever it does.
 *
 * Locks: asker->lock, for everything in it but what only the event loop uses, and never
 * held while libvirt is called.  A question belongs to the thread that has taken it, but
 * for @dropped.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <libvirt/virterror.h>

#include "../lib/domain_xml.h"
#include "../lib/log.h"
#include "virt_ask.h"

#define LATE_MS		2000
#define THREADS_MOST	4

/**
 * struct thread - one that asks
 * @asker: whose
 * @question: what it asks now; NULL: nothing
 * @since_ms: when the event loop first saw it ask that; 0: not yet
 * @late: for too long
 * @there: it runs
 */
struct thread {
	struct virt_asker *asker;
	struct virt_question *question;
	uint64_t since_ms;
	bool late;
	bool there;
};

/**
 * struct virt_asker - questions and who asks them
 * @watcher: of the event loop
 * @done: an eventfd: there are answers
 * @answer: the event loop's, for each answer
 * @lock: see above
 * @wake: there is a question, or it is the end
 * @gone: a thread has ended
 * @first: question not yet asked
 * @last: where the next one goes
 * @answers: the newest first
 * @threads: they
 * @running: how many are there
 * @late: how many are late
 * @ends: no more questions
 * @left_alone: the event loop has gone; the last thread frees it
 */
struct virt_asker {
	struct ballast_watcher *watcher;
	struct ballast_watch done;
	virt_answer_fn answer;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_cond_t gone;
	struct virt_question *first, **last;
	struct virt_question *answers;
	struct thread threads[THREADS_MOST];
	unsigned int running;
	unsigned int late;
	bool ends;
	bool left_alone;
};

/** virt_question_free() - it has been answered, or will not be asked */
void virt_question_free(struct virt_question *question)
{
	int i;

	for (i = 0; i < question->count; i++)
		virDomainFree(question->list[i]);
	free(question->list);
	if (question->handle)
		virDomainFree(question->handle);
	if (question->conn)
		virConnectClose(question->conn);
	free(question);
}

static bool well(struct virt_question *question, int result)
{
	if (result < 0)
		snprintf(question->why, sizeof(question->why), "%s", ballast_virt_error());
	return result >= 0;
}

static bool ask_list(struct virt_question *question)
{
	int count = virConnectListAllDomains(question->conn, &question->list,
					     VIR_CONNECT_LIST_DOMAINS_ACTIVE);

	if (!well(question, count))
		return false;
	question->count = count;
	return true;
}

/* A backup, which may take hours, is no reason to leave a balloon alone. */
static bool holds_up(int type, virTypedParameterPtr params, int count)
{
	int operation = VIR_DOMAIN_JOB_OPERATION_UNKNOWN;

	virTypedParamsGetInt(params, count, VIR_DOMAIN_JOB_OPERATION, &operation);
	return (type == VIR_DOMAIN_JOB_BOUNDED || type == VIR_DOMAIN_JOB_UNBOUNDED) &&
	       operation != VIR_DOMAIN_JOB_OPERATION_BACKUP;
}

static bool ask_job(struct virt_question *question)
{
	virTypedParameterPtr params = NULL;
	int type, count = 0;

	if (virDomainGetJobStats(question->handle, &type, &params, &count, 0) < 0) {
		/* who knows of no jobs has none */
		if (virGetLastErrorCode() == VIR_ERR_NO_SUPPORT)
			return true;
		return well(question, -1);
	}
	question->job = holds_up(type, params, count);
	virTypedParamsFree(params, count);
	return true;
}

static bool ask_device(struct virt_question *question)
{
	char *xml = virDomainGetXMLDesc(question->handle, 0);

	if (!xml)
		return well(question, -1);
	question->device = ballast_xml_has_balloon(xml);
	free(xml);
	return true;
}

static bool ask_metadata(struct virt_question *question)
{
	question->settings_err = ballast_virt_settings(question->handle, &question->settings,
			question->settings_why, sizeof(question->settings_why));
	return question->settings_err != -EIO;
}

/* libvirt knows it from QEMU's events */
static bool ask_balloon(struct virt_question *question)
{
	virDomainInfo info;

	if (!well(question, virDomainGetInfo(question->handle, &info)))
		return false;
	question->report.running = info.state == VIR_DOMAIN_RUNNING ||
				   info.state == VIR_DOMAIN_BLOCKED;
	question->report.ram_bytes = (uint64_t)info.maxMem << 10;
	question->report.present_bytes = (uint64_t)info.memory << 10;
	return true;
}

/* A driver may have no statistics, or not all. */
static bool ask_stats(struct virt_question *question)
{
	virDomainPtr list[] = { question->handle, NULL };
	virDomainStatsRecordPtr *records = NULL;
	struct ballast_virt_report *report = &question->report;
	int count = virDomainListGetStats(list, VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_BALLOON,
					  &records, VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT);

	if (count > 0)
		ballast_virt_read_report(records[0], report);
	virDomainStatsRecordListFree(records);
	if (report->ram_bytes && report->present_bytes)
		return true;
	return ask_balloon(question);
}

static bool ask_one(struct virt_question *question, unsigned int what)
{
	switch (what) {
	case VIRT_ASK_LIST:
		return ask_list(question);
	case VIRT_ASK_JOB:
		return ask_job(question);
	case VIRT_ASK_DEVICE:
		return ask_device(question);
	case VIRT_ASK_METADATA:
		return ask_metadata(question);
	case VIRT_ASK_PERIOD:
		return well(question, virDomainSetMemoryStatsPeriod(question->handle,
				(int)question->period_s, VIR_DOMAIN_AFFECT_LIVE));
	case VIRT_ASK_RAM:
		/* a migration may have begun since the last look */
		return (question->answered & VIRT_ASK_JOB) && !question->job &&
		       well(question, ballast_virt_set_ram(question->handle,
							   question->ram_bytes));
	case VIRT_ASK_BALLOON:
		return ask_balloon(question);
	default:
		return ask_stats(question);
	}
}

static void ask_all(struct virt_question *question)
{
	unsigned int what;

	for (what = 1; what < VIRT_ASK_END; what <<= 1) {
		if (__atomic_load_n(&question->dropped, __ATOMIC_RELAXED))
			return;
		if ((question->what & what) && ask_one(question, what))
			question->answered |= what;
	}
}

static struct virt_question *take(struct virt_asker *asker)
{
	struct virt_question *question = asker->first;

	asker->first = question->next;
	if (!asker->first)
		asker->last = &asker->first;
	return question;
}

/* One that waits for a question is enough. */
static bool is_one_too_many(const struct virt_asker *asker)
{
	return asker->ends || asker->running - asker->late > 1;
}

/* Returns it if nobody is left who would read the answer. */
static struct virt_question *give_back(struct thread *thread)
{
	struct virt_asker *asker = thread->asker;
	struct virt_question *question = thread->question;
	uint64_t one = 1;

	thread->question = NULL;
	thread->since_ms = 0;
	asker->late -= thread->late;
	thread->late = false;
	if (asker->ends)
		return question;
	question->next = asker->answers;
	asker->answers = question;
	/* its counter does not overflow */
	if (write(asker->done.fd, &one, sizeof(one)) < 0)
		log_warning("answers of libvirt: %s", strerror(errno));
	return NULL;
}

/* asker->lock is held, but not meanwhile. */
static void ask_next(struct thread *thread)
{
	struct virt_question *unread;

	thread->question = take(thread->asker);
	pthread_mutex_unlock(&thread->asker->lock);
	ask_all(thread->question);
	pthread_mutex_lock(&thread->asker->lock);
	unread = give_back(thread);
	if (!unread)
		return;
	pthread_mutex_unlock(&thread->asker->lock);
	virt_question_free(unread);
	pthread_mutex_lock(&thread->asker->lock);
}

static void *work(void *context)
{
	struct thread *thread = context;
	struct virt_asker *asker = thread->asker;
	bool is_last;

	pthread_mutex_lock(&asker->lock);
	while (!is_one_too_many(asker)) {
		if (asker->first)
			ask_next(thread);
		else
			pthread_cond_wait(&asker->wake, &asker->lock);
	}
	thread->there = false;
	asker->running--;
	is_last = asker->left_alone && !asker->running;
	pthread_cond_signal(&asker->gone);
	pthread_mutex_unlock(&asker->lock);
	if (is_last)
		free(asker);
	return NULL;
}

/* asker->lock is held. */
static void start_thread(struct virt_asker *asker)
{
	struct thread *thread = asker->threads;
	pthread_t id;
	int err;

	while (thread->there)
		thread++;
	thread->asker = asker;
	err = pthread_create(&id, NULL, work, thread);
	if (err) {
		log_warning("no thread to ask libvirt: %s", strerror(err));
		return;
	}
	pthread_detach(id);
	thread->there = true;
	asker->running++;
}

static void look_at(struct thread *thread, uint64_t now_ms)
{
	struct virt_question *question = thread->question;

	if (!question || thread->late)
		return;
	if (!thread->since_ms)
		thread->since_ms = now_ms;
	if (now_ms - thread->since_ms < LATE_MS)
		return;
	thread->late = true;
	thread->asker->late++;
	log_warning("libvirt has no answer about %s%s", question->handle ?
		    virDomainGetName(question->handle) : "its domains",
		    thread->asker->late < THREADS_MOST ? "" :
		    "; that is so often so that nothing else is asked");
}

/**
 * virt_asker_tick() - time has passed: see who waits too long
 * @asker: all of it
 * @now_ms: the time
 */
void virt_asker_tick(struct virt_asker *asker, uint64_t now_ms)
{
	unsigned int i;

	pthread_mutex_lock(&asker->lock);
	for (i = 0; i < THREADS_MOST; i++)
		look_at(&asker->threads[i], now_ms);
	if (asker->running == asker->late && asker->running < THREADS_MOST)
		start_thread(asker);
	pthread_mutex_unlock(&asker->lock);
}

/* Runs in the event loop. */
static void answers_are_there(struct ballast_watch *watch, uint32_t events)
{
	struct virt_asker *asker = watch->context;
	struct virt_question *question, *next, *in_order = NULL;
	uint64_t count;

	(void)events;
	if (read(watch->fd, &count, sizeof(count)) < 0)
		return;
	pthread_mutex_lock(&asker->lock);
	question = asker->answers;
	asker->answers = NULL;
	pthread_mutex_unlock(&asker->lock);
	for (; question; question = next) {
		next = question->next;
		question->next = in_order;
		in_order = question;
	}
	for (question = in_order; question; question = next) {
		next = question->next;
		asker->answer(question);
	}
}

/**
 * virt_asker_new() - with its first thread
 * @watcher: of the event loop, which calls @answer
 * @answer: has a question that has been asked, to read and to free; may ask the next
 *
 * Return: NULL without memory, or a descriptor.
 */
struct virt_asker *virt_asker_new(struct ballast_watcher *watcher, virt_answer_fn answer)
{
	struct virt_asker *asker = calloc(1, sizeof(*asker));

	if (!asker)
		return NULL;
	asker->watcher = watcher;
	asker->answer = answer;
	asker->last = &asker->first;
	pthread_mutex_init(&asker->lock, NULL);
	pthread_cond_init(&asker->wake, NULL);
	pthread_cond_init(&asker->gone, NULL);
	asker->done.wd = -1;
	asker->done.ready = answers_are_there;
	asker->done.context = asker;
	asker->done.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (asker->done.fd < 0 || ballast_watch_add(watcher, &asker->done, EPOLLIN)) {
		free(asker);
		return NULL;
	}
	virt_asker_tick(asker, 0);
	return asker;
}

/**
 * virt_asker_ask() - its answer comes by the event loop, in a moment or never
 * @asker: all of it
 * @question: filled in; none about the same domain is under way
 */
void virt_asker_ask(struct virt_asker *asker, struct virt_question *question)
{
	pthread_mutex_lock(&asker->lock);
	question->next = NULL;
	*asker->last = question;
	asker->last = &question->next;
	pthread_cond_signal(&asker->wake);
	pthread_mutex_unlock(&asker->lock);
}

/**
 * virt_asker_drop() - nobody waits for the answer any more
 * @asker: all of it
 * @question: has been asked; not to be used from now on
 *
 * What is not under way is not done.  An answer, if one comes, has no @about.
 */
void virt_asker_drop(struct virt_asker *asker, struct virt_question *question)
{
	struct virt_question **at;
	bool queued;

	question->about = NULL;
	__atomic_store_n(&question->dropped, true, __ATOMIC_RELAXED);
	pthread_mutex_lock(&asker->lock);
	for (at = &asker->first; *at && *at != question; at = &(*at)->next)
		;
	queued = *at;
	if (queued)
		*at = question->next;
	if (queued && !*at)
		asker->last = at;
	pthread_mutex_unlock(&asker->lock);
	if (queued)
		virt_question_free(question);
}

static void free_list(struct virt_question *question)
{
	struct virt_question *next;

	for (; question; question = next) {
		next = question->next;
		virt_question_free(question);
	}
}

/**
 * virt_asker_free() - at the end of the program
 * @asker: all of it
 *
 * Waits for who is asking, but not for who is late: that one keeps what it uses.
 */
void virt_asker_free(struct virt_asker *asker)
{
	struct timespec until;
	struct virt_question *unasked, *unread;
	bool all_gone;
	int err = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += LATE_MS / 1000;
	pthread_mutex_lock(&asker->lock);
	asker->ends = true;
	pthread_cond_broadcast(&asker->wake);
	while (asker->running > asker->late && !err)
		err = pthread_cond_timedwait(&asker->gone, &asker->lock, &until);
	unasked = asker->first;
	unread = asker->answers;
	asker->first = NULL;
	asker->answers = NULL;
	/* closes it too */
	ballast_watch_remove(asker->watcher, &asker->done);
	all_gone = !asker->running;
	asker->left_alone = !all_gone;
	pthread_mutex_unlock(&asker->lock);
	free_list(unasked);
	free_list(unread);
	if (all_gone)
		free(asker);
}
