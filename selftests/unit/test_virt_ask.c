// SPDX-License-Identifier: GPL-2.0
/*
 * Questions that are not answered, with a libvirt that is in this file.
 * tools: ballastd/virt_ask.c lib/watch.c lib/log.c
 */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include <libvirt/virterror.h>

#include "tools/ballastd/virt_ask.h"
#include "tools/lib/log.h"

#define PATIENCE_MS	20000
#define MANY		20

/* ---- libvirt */

struct _virDomain {
	const char *name;
	atomic_bool hangs;	/* its QEMU */
	atomic_int called;
	atomic_int job;		/* enum, or -1: not supported, -2: another error */
	atomic_int operation;	/* of the job */
	atomic_ulong ram;
	atomic_int period;
	bool no_stats;
	atomic_int references;
};

struct _virConnect {
	struct _virDomain *domains;
	int count;
	atomic_int references;
};

static __thread int error;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moves = PTHREAD_COND_INITIALIZER;

static void wait_for(struct _virDomain *domain)
{
	pthread_mutex_lock(&lock);
	domain->called++;
	while (domain->hangs)
		pthread_cond_wait(&moves, &lock);
	pthread_mutex_unlock(&lock);
}

static void hang(struct _virDomain *domain, bool hangs)
{
	pthread_mutex_lock(&lock);
	domain->hangs = hangs;
	pthread_cond_broadcast(&moves);
	pthread_mutex_unlock(&lock);
}

const char *virDomainGetName(virDomainPtr domain)
{
	return domain->name;
}

int virDomainFree(virDomainPtr domain)
{
	domain->references--;
	return 0;
}

int virDomainGetJobStats(virDomainPtr domain, int *type, virTypedParameterPtr *params, int *count,
			 unsigned int flags)
{
	(void)flags;
	wait_for(domain);
	error = domain->job == -1 ? VIR_ERR_NO_SUPPORT : VIR_ERR_OPERATION_TIMEOUT;
	if (domain->job < 0)
		return -1;
	*type = domain->job;
	*params = calloc(1, sizeof(**params));
	strcpy((*params)->field, VIR_DOMAIN_JOB_OPERATION);
	(*params)->type = VIR_TYPED_PARAM_INT;
	(*params)->value.i = domain->operation;
	*count = 1;
	return 0;
}

int virTypedParamsGetInt(virTypedParameterPtr params, int count, const char *name, int *value)
{
	if (!count || strcmp(params->field, name))
		return 0;
	*value = params->value.i;
	return 1;
}

void virTypedParamsFree(virTypedParameterPtr params, int count)
{
	(void)count;
	free(params);
}

char *virDomainGetXMLDesc(virDomainPtr domain, unsigned int flags)
{
	(void)flags;
	return strdup(domain->name);
}

bool ballast_xml_has_balloon(const char *xml)
{
	return !strcmp(xml, "balloon");
}

int ballast_virt_settings(virDomainPtr domain, struct ballast_settings *settings, char *why,
			  size_t room)
{
	snprintf(why, room, "unreadable");
	settings->given = 1;
	return strcmp(domain->name, "balloon") ? -EINVAL : 0;
}

int virDomainGetInfo(virDomainPtr domain, virDomainInfoPtr info)
{
	info->state = VIR_DOMAIN_BLOCKED;
	info->maxMem = 64;
	info->memory = domain->ram >> 10;
	return 0;
}

int virConnectListAllDomains(virConnectPtr conn, virDomainPtr **list, unsigned int flags)
{
	int i;

	assert_int_equal(flags, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
	if (conn->count < 0)
		return -1;
	*list = calloc(conn->count + 1, sizeof(**list));
	for (i = 0; i < conn->count; i++) {
		conn->domains[i].references++;
		(*list)[i] = &conn->domains[i];
	}
	return conn->count;
}

int virConnectClose(virConnectPtr conn)
{
	conn->references--;
	return 0;
}

int virGetLastErrorCode(void)
{
	return error;
}

int virDomainSetMemoryStatsPeriod(virDomainPtr domain, int period, unsigned int flags)
{
	assert_int_equal(flags, VIR_DOMAIN_AFFECT_LIVE);
	domain->period = period;
	return 0;
}

int virDomainListGetStats(virDomainPtr *list, unsigned int stats,
			  virDomainStatsRecordPtr **records, unsigned int flags)
{
	static virDomainStatsRecord record;
	static virDomainStatsRecordPtr all[] = { &record, NULL };

	(void)stats;
	(void)flags;
	if (list[0]->no_stats)
		return -1;
	*records = all;
	return 1;
}

void virDomainStatsRecordListFree(virDomainStatsRecordPtr *stats)
{
	(void)stats;
}

void ballast_virt_read_report(virDomainStatsRecordPtr record, struct ballast_virt_report *report)
{
	(void)record;
	report->ram_bytes = 4711;
	report->present_bytes = 4710;
}

const char *ballast_virt_error(void)
{
	return "no reason";
}

int ballast_virt_set_ram(virDomainPtr domain, uint64_t bytes)
{
	domain->ram = bytes;
	return bytes == 13 ? -EIO : 0;
}

/* ---- the daemon */

static struct ballast_watcher *watcher;
static struct virt_asker *asker;
static struct virt_question last;
static void *order[4 * MANY];
static int answers;
static int others;

static void answer(struct virt_question *question)
{
	int i;

	for (i = 0; i < question->count; i++)
		assert_non_null(question->list[i]);

	last = *question;
	order[answers++] = question->about;
	virt_question_free(question);
}

static struct virt_question *ask(struct _virDomain *domain, unsigned int what, uint64_t bytes)
{
	struct virt_question *question = calloc(1, sizeof(*question));

	domain->references++;
	question->handle = domain;
	question->about = domain;
	question->what = what | VIRT_ASK_JOB;
	question->ram_bytes = bytes;
	question->period_s = 7;
	virt_asker_ask(asker, question);
	return question;
}

/* Time passes, as the event loop has it, until so many answers have come. */
static void expect_answers(int count)
{
	struct pollfd fd = { .fd = ballast_watcher_fd(watcher), .events = POLLIN };

	while (answers < count) {
		assert_int_equal(poll(&fd, 1, PATIENCE_MS), 1);
		ballast_watcher_dispatch(watcher);
	}
	assert_int_equal(answers, count);
}

static void until_called(struct _virDomain *domain)
{
	while (!domain->called)
		usleep(1000);
}

static int all_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	int count = 0;

	while (readdir(dir))
		count++;
	closedir(dir);
	return count - 2;
}

/* The asker's; a sanitizer may have one too. */
static int threads(void)
{
	return all_threads() - others;
}

static void expect_threads(int most)
{
	int ms;

	for (ms = 0; threads() > most && ms < PATIENCE_MS; ms++)
		usleep(1000);
	assert_true(threads() <= most);
}

static int before(void **state)
{
	(void)state;
	ballast_log_open("test", BALLAST_LOG_ERROR);
	answers = 0;
	watcher = ballast_watcher_new();
	asker = virt_asker_new(watcher, answer);
	return !watcher || !asker;
}

static int after(void **state)
{
	(void)state;
	if (asker)
		virt_asker_free(asker);
	asker = NULL;
	expect_threads(0);
	ballast_watcher_free(watcher);
	return 0;
}

static void asks_all_that_is_wanted(void **state)
{
	struct _virDomain domain = { .name = "balloon", .job = VIR_DOMAIN_JOB_NONE };
	unsigned int all = VIRT_ASK_JOB | VIRT_ASK_DEVICE | VIRT_ASK_METADATA | VIRT_ASK_PERIOD |
			   VIRT_ASK_RAM | VIRT_ASK_STATS;

	(void)state;
	ask(&domain, all, 4096);
	expect_answers(1);
	assert_int_equal(last.answered, all);
	assert_true(last.device);
	assert_int_equal(last.settings.given, 1);
	assert_int_equal(last.settings_err, 0);
	assert_false(last.job);
	assert_int_equal(domain.ram, 4096);
	assert_int_equal(domain.period, 7);
	assert_int_equal(last.report.ram_bytes, 4711);
	/* and nothing else */
	ask(&domain, VIRT_ASK_STATS, 8192);
	expect_answers(2);
	assert_int_equal(last.answered, VIRT_ASK_JOB | VIRT_ASK_STATS);
	assert_int_equal(domain.ram, 4096);
	assert_int_equal(domain.references, 0);
}

static void balloon_rests_during_a_job(void **state)
{
	struct _virDomain domain = { .name = "a", .job = VIR_DOMAIN_JOB_UNBOUNDED };

	(void)state;
	ask(&domain, VIRT_ASK_RAM | VIRT_ASK_STATS, 4096);
	expect_answers(1);
	assert_true(last.job);
	assert_int_equal(last.answered, VIRT_ASK_JOB | VIRT_ASK_STATS);
	assert_int_equal(domain.ram, 0);
	domain.operation = VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT;
	ask(&domain, VIRT_ASK_RAM, 4096);
	expect_answers(2);
	assert_true(last.job);
	/* a backup of its disks is none of the balloon's business */
	domain.operation = VIR_DOMAIN_JOB_OPERATION_BACKUP;
	ask(&domain, VIRT_ASK_RAM, 4096);
	expect_answers(3);
	assert_false(last.job);
	assert_int_equal(domain.ram, 4096);
	/* a driver that knows no jobs has none */
	domain.job = -1;
	ask(&domain, VIRT_ASK_RAM, 8192);
	expect_answers(4);
	assert_int_equal(domain.ram, 8192);
}

static void errors_are_told(void **state)
{
	struct _virDomain domain = { .name = "a" };
	struct _virConnect conn = { .count = -1, .references = 1 };
	struct virt_question *question = calloc(1, sizeof(*question));

	(void)state;
	ask(&domain, VIRT_ASK_RAM | VIRT_ASK_METADATA, 13);
	expect_answers(1);
	assert_int_equal(last.answered, VIRT_ASK_JOB | VIRT_ASK_METADATA);
	assert_string_equal(last.why, "no reason");
	assert_int_equal(last.settings_err, -EINVAL);
	assert_string_equal(last.settings_why, "unreadable");
	/* without knowing of a job the balloon is left alone */
	domain.job = -2;
	ask(&domain, VIRT_ASK_RAM, 4096);
	expect_answers(2);
	assert_int_equal(last.answered, 0);
	assert_int_equal(domain.ram, 13);
	question->conn = &conn;
	question->what = VIRT_ASK_LIST;
	virt_asker_ask(asker, question);
	expect_answers(3);
	assert_int_equal(last.answered, 0);
	assert_int_equal(last.count, 0);
	assert_int_equal(conn.references, 0);
}

/* What a driver without statistics knows. */
static void statistics_or_what_there_is(void **state)
{
	struct _virDomain domain = { .name = "a", .no_stats = true, .ram = 8192 };

	(void)state;
	ask(&domain, VIRT_ASK_STATS, 0);
	expect_answers(1);
	assert_int_equal(last.answered, VIRT_ASK_JOB | VIRT_ASK_STATS);
	assert_int_equal(last.report.ram_bytes, 65536);
	assert_int_equal(last.report.present_bytes, 8192);
	assert_int_equal(last.report.stats.updated_s, 0);
	assert_true(last.report.running);
}

static void list_is_taken_and_freed(void **state)
{
	struct _virDomain domains[3] = { 0 };
	struct _virConnect conn = { .domains = domains, .count = 3, .references = 1 };
	struct virt_question *question = calloc(1, sizeof(*question));
	int i;

	(void)state;
	question->conn = &conn;
	question->what = VIRT_ASK_LIST;
	virt_asker_ask(asker, question);
	expect_answers(1);
	assert_int_equal(last.count, 3);
	for (i = 0; i < 3; i++)
		assert_int_equal(domains[i].references, 0);
	assert_int_equal(conn.references, 0);
}

/* Nobody waits for it any more: neither done, if it can be helped, nor answered to anybody. */
static void dropped_ones_do_nothing(void **state)
{
	struct _virDomain mute = { .name = "mute", .hangs = true }, domain = { .name = "a" };
	struct virt_question *under_way, *queued[3];
	int i;

	(void)state;
	under_way = ask(&mute, VIRT_ASK_RAM, 4096);
	until_called(&mute);
	for (i = 0; i < 3; i++)
		queued[i] = ask(&domain, VIRT_ASK_RAM, 4096 * (i + 1));
	virt_asker_drop(asker, queued[2]);
	virt_asker_drop(asker, queued[0]);
	assert_int_equal(domain.references, 1);
	virt_asker_drop(asker, under_way);
	hang(&mute, false);
	expect_answers(2);
	assert_null(order[0]);
	assert_ptr_equal(order[1], &domain);
	assert_int_equal(domain.called, 1);
	assert_int_equal(domain.ram, 8192);
	assert_int_equal(mute.ram, 0);
	/* the queue is whole */
	ask(&domain, VIRT_ASK_RAM, 4096);
	expect_answers(3);
	assert_int_equal(domain.ram, 4096);
}

static void who_answers_is_answered_in_order(void **state)
{
	struct _virDomain domains[MANY] = { 0 };
	int i;

	(void)state;
	for (i = 0; i < MANY; i++)
		ask(&domains[i], VIRT_ASK_STATS, 0);
	expect_answers(MANY);
	for (i = 0; i < MANY; i++)
		assert_ptr_equal(order[i], &domains[i]);
	assert_int_equal(threads(), 1);
}

static void one_that_hangs_holds_up_nobody(void **state)
{
	struct _virDomain mute = { .name = "mute", .hangs = true };
	struct _virDomain domain = { .name = "a" };

	(void)state;
	ask(&mute, VIRT_ASK_STATS, 0);
	until_called(&mute);
	ask(&domain, VIRT_ASK_RAM, 4096);
	/* not yet late */
	virt_asker_tick(asker, 1000);
	virt_asker_tick(asker, 2999);
	assert_int_equal(threads(), 1);
	assert_int_equal(answers, 0);
	virt_asker_tick(asker, 3000);
	expect_answers(1);
	assert_ptr_equal(order[0], &domain);
	/* the next ones too, and no more threads than are needed */
	virt_asker_tick(asker, 10000);
	ask(&domain, VIRT_ASK_RAM, 8192);
	expect_answers(2);
	assert_int_equal(threads(), 2);
	hang(&mute, false);
	expect_answers(3);
	assert_ptr_equal(order[2], &mute);
	expect_threads(1);
	ask(&domain, VIRT_ASK_RAM, 4096);
	ask(&mute, VIRT_ASK_RAM, 4096);
	expect_answers(5);
}

/* All of the threads wait: whoever comes next does too, until one answers. */
static void so_many_hang_that_no_thread_is_left(void **state)
{
	struct _virDomain mute[MANY] = { 0 }, domain = { .name = "a" };
	uint64_t now_ms = 1000;
	int i;

	(void)state;
	for (i = 0; i < MANY; i++) {
		mute[i].name = "mute";
		mute[i].hangs = true;
		ask(&mute[i], VIRT_ASK_STATS, 0);
	}
	/* each tick finds one more that waits, sooner or later */
	for (i = 0; threads() < 4 && i < PATIENCE_MS; i++) {
		usleep(1000);
		virt_asker_tick(asker, now_ms += 2000);
	}
	assert_int_equal(threads(), 4);
	usleep(20000);
	virt_asker_tick(asker, now_ms += 2000);
	virt_asker_tick(asker, now_ms += 2000);
	assert_int_equal(threads(), 4);
	ask(&domain, VIRT_ASK_RAM, 4096);
	usleep(20000);
	assert_int_equal(answers, 0);
	for (i = 0; i < MANY; i++)
		hang(&mute[i], false);
	expect_answers(MANY + 1);
	assert_int_equal(domain.ram, 4096);
	virt_asker_tick(asker, now_ms + 2000);
	expect_threads(1);
}

static void ends_though_one_hangs(void **state)
{
	static struct _virDomain mute = { .name = "mute", .hangs = true };
	static struct _virDomain domain = { .name = "a" };

	(void)state;
	ask(&mute, VIRT_ASK_STATS, 0);
	until_called(&mute);
	virt_asker_tick(asker, 1000);
	virt_asker_tick(asker, 5000);
	hang(&domain, true);
	ask(&domain, VIRT_ASK_STATS, 0);
	until_called(&domain);
	virt_asker_free(asker);
	asker = NULL;
	assert_int_equal(mute.references, 1);
	/* what is left of it goes when it answers */
	hang(&mute, false);
	hang(&domain, false);
	expect_threads(0);
	assert_int_equal(mute.references, 0);
	assert_int_equal(domain.references, 0);
	assert_int_equal(answers, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(asks_all_that_is_wanted, before, after),
		cmocka_unit_test_setup_teardown(balloon_rests_during_a_job, before, after),
		cmocka_unit_test_setup_teardown(errors_are_told, before, after),
		cmocka_unit_test_setup_teardown(statistics_or_what_there_is, before, after),
		cmocka_unit_test_setup_teardown(list_is_taken_and_freed, before, after),
		cmocka_unit_test_setup_teardown(dropped_ones_do_nothing, before, after),
		cmocka_unit_test_setup_teardown(who_answers_is_answered_in_order, before, after),
		cmocka_unit_test_setup_teardown(one_that_hangs_holds_up_nobody, before, after),
		cmocka_unit_test_setup_teardown(so_many_hang_that_no_thread_is_left, before, after),
		cmocka_unit_test_setup_teardown(ends_though_one_hangs, before, after),
	};

	others = all_threads();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
