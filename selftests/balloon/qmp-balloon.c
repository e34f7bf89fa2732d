// SPDX-License-Identifier: GPL-2.0
/*
 * qmp-balloon - move a guest's balloon by QMP, and time it.
 *
 *   qmp-balloon SOCKET get                   bytes that QEMU says the guest has
 *   qmp-balloon SOCKET set BYTES...          one target after the other, none waited for
 *   qmp-balloon SOCKET flap SECONDS BYTES... each when the guest has moved for the one before
 *   qmp-balloon SOCKET turn SECONDS BYTES NEXT
 *      set BYTES, and NEXT when the guest is on its way there; prints what it had then
 *   qmp-balloon SOCKET move BYTES SECONDS    set, and wait until the guest has exactly that
 *   qmp-balloon SOCKET wait BYTES SECONDS    the same, without setting
 *   qmp-balloon SOCKET watch SECONDS         print each size that the guest has meanwhile
 *   qmp-balloon SOCKET time BYTES SECONDS PID
 *      move, and print "MICROSECONDS CPU_NS GUEST_TICKS TICKS": what passed, the CPU
 *      time of all threads of PID, and of that in clock ticks: in the guest, in all
 *
 * Exits with 1 if it did not come to that in time, and says what it was.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* A question costs an emulated host a millisecond: a thirtieth of the time is asked for. */
#define POLL_US 2000
#define POLL_SHARE 32
#define WATCH_US 20000
#define TICKS_FIELD 14	/* utime in /proc/PID/stat, counted from 1 */
#define GUEST_FIELD 43

static FILE *from_qmp, *to_qmp;

static void __attribute__((noreturn)) die(const char *what)
{
	perror(what);
	exit(2);
}

static unsigned long long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ull + t.tv_nsec / 1000;
}

/* One command; its answer, events left out. */
static const char *ask(const char *command)
{
	static char line[4096];

	if (command && fprintf(to_qmp, "%s\n", command) < 0)
		die("qmp");
	fflush(to_qmp);
	do {
		if (!fgets(line, sizeof(line), from_qmp))
			die("qmp ended");
	} while (strstr(line, "\"event\""));
	return line;
}

static unsigned long long actual_bytes(void)
{
	const char *answer = ask("{\"execute\":\"query-balloon\"}");
	const char *value = strstr(answer, "\"actual\":");

	if (!value) {
		fprintf(stderr, "query-balloon: %s", answer);
		exit(2);
	}
	return strtoull(value + strlen("\"actual\":"), NULL, 10);
}

static void set_bytes(unsigned long long bytes)
{
	char command[100];
	const char *answer;

	snprintf(command, sizeof(command), "{\"execute\":\"balloon\",\"arguments\":{\"value\":%llu}}",
		 bytes);
	answer = ask(command);
	if (strstr(answer, "\"error\"")) {
		fprintf(stderr, "balloon %llu: %s", bytes, answer);
		exit(2);
	}
}

static void open_qmp(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)))
		die(path);
	from_qmp = fdopen(fd, "r");
	to_qmp = fdopen(dup(fd), "w");
	if (!from_qmp || !to_qmp)
		die("fdopen");
	ask(NULL);
	ask("{\"execute\":\"qmp_capabilities\"}");
}

static int wait_for(unsigned long long bytes, unsigned long long limit_s)
{
	const unsigned long long start = now_us(), end = start + limit_s * 1000000;
	unsigned long long actual, pause;

	while ((actual = actual_bytes()) != bytes) {
		if (now_us() > end) {
			fprintf(stderr, "the guest has %llu bytes after %llu s, not %llu\n", actual,
				limit_s, bytes);
			return 1;
		}
		pause = (now_us() - start) / POLL_SHARE;
		usleep(pause > POLL_US ? pause : POLL_US);
	}
	return 0;
}

/* What the guest has as soon as that is no more @was; 0 if it stays so until @end_us. */
static unsigned long long leaves(unsigned long long was, unsigned long long end_us)
{
	unsigned long long actual;

	while ((actual = actual_bytes()) == was) {
		if (now_us() > end_us) {
			fprintf(stderr, "the guest still has %llu bytes\n", was);
			return 0;
		}
		usleep(POLL_US);
	}
	return actual;
}

/* No target is lost in the next. */
static int flap(unsigned long long limit_s, char **targets)
{
	const unsigned long long end = now_us() + limit_s * 1000000;
	unsigned long long bytes, was;

	for (; *targets; targets++) {
		bytes = strtoull(*targets, NULL, 0);
		was = actual_bytes();
		set_bytes(bytes);
		if (bytes != was && !leaves(was, end))
			return 1;
	}
	return 0;
}

static int turn(unsigned long long limit_s, unsigned long long bytes, unsigned long long next)
{
	const unsigned long long was = actual_bytes();
	unsigned long long actual;

	set_bytes(bytes);
	actual = leaves(was, now_us() + limit_s * 1000000);
	set_bytes(next);
	printf("%llu\n", actual);
	if ((was > actual && actual > bytes) || (was < actual && actual < bytes))
		return 0;
	fprintf(stderr, "%llu is not on the way from %llu to %llu\n", actual, was, bytes);
	return 1;
}

/* Until it is told to end, if that comes first. */
static int watch(unsigned long long limit_s)
{
	const unsigned long long end = now_us() + limit_s * 1000000;
	unsigned long long actual, last = 0;

	while (now_us() < end) {
		actual = actual_bytes();
		if (actual != last)
			printf("%llu\n", actual);
		fflush(stdout);
		last = actual;
		usleep(WATCH_US);
	}
	return 0;
}

/* The number after @skip spaces. */
static unsigned long long field(const char *text, int skip)
{
	while (skip-- && text) {
		text = strchr(text, ' ');
		if (text)
			text++;
	}
	return text ? strtoull(text, NULL, 10) : 0;
}

static void read_text(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(text, 1, size - 1, f) : 0;

	text[n] = 0;
	if (f)
		fclose(f);
}

struct cpu {
	unsigned long long ns, guest_ticks, ticks;
};

/* Of threads that are there: QEMU's helpers that come and go are left out. */
static struct cpu cpu_of(const char *pid)
{
	char path[300], text[1024];
	struct cpu cpu = { 0 };
	struct dirent *task;
	const char *after;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%s/task", pid);
	tasks = opendir(path);
	if (!tasks)
		die(path);
	while ((task = readdir(tasks))) {
		if (task->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%s/task/%s/schedstat", pid, task->d_name);
		read_text(path, text, sizeof(text));
		cpu.ns += field(text, 0);
		snprintf(path, sizeof(path), "/proc/%s/task/%s/stat", pid, task->d_name);
		read_text(path, text, sizeof(text));
		after = strrchr(text, ')');	/* ends field 2 */
		if (!after)
			continue;
		cpu.ticks += field(after, TICKS_FIELD - 2) + field(after, TICKS_FIELD - 1);
		cpu.guest_ticks += field(after, GUEST_FIELD - 2);
	}
	closedir(tasks);
	return cpu;
}

static int time_move(unsigned long long bytes, unsigned long long limit_s, const char *pid)
{
	struct cpu before = cpu_of(pid), after;
	unsigned long long start = now_us(), end;
	int status;

	set_bytes(bytes);
	status = wait_for(bytes, limit_s);
	end = now_us();
	after = cpu_of(pid);
	printf("%llu %llu %llu %llu\n", end - start, after.ns - before.ns,
	       after.guest_ticks - before.guest_ticks, after.ticks - before.ticks);
	return status;
}

int main(int argc, char **argv)
{
	const char *verb = argc > 2 ? argv[2] : "";
	unsigned long long bytes = argc > 3 ? strtoull(argv[3], NULL, 0) : 0;
	int i;

	if (argc < 3)
		return 2;
	open_qmp(argv[1]);
	if (!strcmp(verb, "get"))
		return printf("%llu\n", actual_bytes()) < 0;
	if (!strcmp(verb, "set")) {
		for (i = 3; i < argc; i++)
			set_bytes(strtoull(argv[i], NULL, 0));
		return 0;
	}
	if (!strcmp(verb, "flap") && argc > 4)
		return flap(bytes, argv + 4);
	if (!strcmp(verb, "turn") && argc == 6)
		return turn(bytes, strtoull(argv[4], NULL, 0), strtoull(argv[5], NULL, 0));
	if (!strcmp(verb, "move") && argc == 5) {
		set_bytes(bytes);
		return wait_for(bytes, strtoull(argv[4], NULL, 0));
	}
	if (!strcmp(verb, "wait") && argc == 5)
		return wait_for(bytes, strtoull(argv[4], NULL, 0));
	if (!strcmp(verb, "watch") && argc == 4)
		return watch(bytes);
	if (!strcmp(verb, "time") && argc == 6)
		return time_move(bytes, strtoull(argv[4], NULL, 0), argv[5]);
	fprintf(stderr, "qmp-balloon: %s?\n", verb);
	return 2;
}
