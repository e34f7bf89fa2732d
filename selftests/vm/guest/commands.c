// SPDX-License-Identifier: GPL-2.0
/*
 * commands.c - what a test can tell a running guest to do, by its second serial
 * port.  A line is "NUMBER COMMAND ARGUMENT..."; the answer on the console is
 * "answer NUMBER TEXT", TEXT beginning with "ok" or "error".
 *
 *   read PATH              the file's text, lines joined by "|"
 *   number PATH WORD       what follows WORD at the beginning of a line
 *   write PATH TEXT        as one write
 *   nag PATH TEXT          a process that writes that again and again
 *   hush                   its end
 *   load FILE [PARAMETERS] a module of /modules
 *   unload NAME
 *   hog MIB [busy]         a process that fills so much memory, and keeps it, or reads
 *                          it all the time; answers "ok", or "killed" if it did not
 *                          live to the end
 *   drop                   that process checks what it wrote, and ends
 *   fill PATH MIB          write a file of so much: page cache
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "commands.h"

#define MIB 1048576u
#define PAGE 4096u

static commands_report *report;
static pid_t hog_pid;
static int hog_pipe = -1;
static pid_t nag_pid;

static void answer(const char *number, const char *text)
{
	report("answer %s %s", number, text);
}

static void answer_error(const char *number)
{
	report("answer %s error %s", number, strerror(errno));
}

static void do_read(const char *number, const char *path)
{
	char text[300];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	char *p;

	if (fd >= 0)
		close(fd);
	if (n < 0) {
		answer_error(number);
		return;
	}
	text[n] = 0;
	for (p = text; *p; p++)
		if (*p == '\n')
			*p = p[1] ? '|' : 0;
	report("answer %s ok %s", number, text);
}

static void do_number(const char *number, const char *path, const char *word)
{
	size_t length = strlen(word);
	FILE *f = fopen(path, "re");
	unsigned long long value;
	char line[300];

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, word, length) && sscanf(line + length, " %llu", &value) == 1) {
			report("answer %s ok %llu", number, value);
			fclose(f);
			return;
		}
	if (f) {
		fclose(f);
		errno = ENODATA;
	}
	answer_error(number);
}

static void do_write(const char *number, const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		answer_error(number);
	else
		answer(number, "ok");
	if (fd >= 0)
		close(fd);
}

static void do_nag(const char *number, const char *path, const char *text)
{
	int fd;

	nag_pid = nag_pid ?: fork();
	while (!nag_pid) {
		fd = open(path, O_WRONLY | O_CLOEXEC);
		if (fd < 0 || write(fd, text, strlen(text)) < 0)
			_exit(1);
		close(fd);
	}
	if (nag_pid > 0) {
		answer(number, "ok");
	} else {
		answer_error(number);
		nag_pid = 0;
	}
}

static void do_hush(const char *number)
{
	int status = 0;

	kill(nag_pid, SIGKILL);
	waitpid(nag_pid, &status, 0);
	nag_pid = 0;
	answer(number, WIFSIGNALED(status) ? "ok" : "error could not write");
}

static void do_fill(const char *number, const char *path, unsigned int mib)
{
	static char page[PAGE];
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	unsigned int i;

	for (i = 0; fd >= 0 && i < mib * (MIB / PAGE); i++)
		if (write(fd, page, PAGE) != PAGE)
			break;
	if (fd < 0 || i < mib * (MIB / PAGE))
		answer_error(number);
	else
		answer(number, "ok");
	if (fd >= 0)
		close(fd);
}

/*
 * Every page different, so that it must be there.  In pieces, as programs ask: what is more than
 * the guest has the kernel would refuse at once.  Each piece counts as committed (Committed_AS).
 */
static void __attribute__((noreturn)) be_hog(size_t bytes, int busy, int in, int out)
{
	struct pollfd dropped = { .fd = in };
	volatile uint64_t *p;
	size_t i;

	p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		_exit(2);
	for (i = 0; i < bytes; i += MIB)
		if (mmap((char *)p + i, MIB, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
			_exit(2);
	for (i = 0; i < bytes / PAGE; i++)
		p[i * (PAGE / 8)] = i * 0x9e3779b97f4a7c15ull;
	if (write(out, "f", 1) != 1)
		_exit(3);
	/* nothing is ever written there: it hangs up */
	while (!poll(&dropped, 1, busy ? 0 : -1))
		for (i = 0; i < bytes / PAGE; i++)
			(void)p[i * (PAGE / 8)];
	for (i = 0; i < bytes / PAGE; i++)
		if (p[i * (PAGE / 8)] != i * 0x9e3779b97f4a7c15ull)
			_exit(4);
	_exit(0);
}

static void do_hog(const char *number, unsigned int mib, int busy)
{
	int to[2], from[2];
	char c;

	if (hog_pid || pipe(to) || pipe(from)) {
		answer(number, "error busy");
		return;
	}
	hog_pid = fork();
	if (!hog_pid) {
		close(to[1]);
		close(from[0]);
		be_hog((size_t)mib * MIB, busy, to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	hog_pipe = to[1];
	if (read(from[0], &c, 1) == 1) {
		answer(number, "ok");
	} else {
		waitpid(hog_pid, NULL, 0);
		close(hog_pipe);
		hog_pid = 0;
		answer(number, "killed");
	}
	close(from[0]);
}

static void do_drop(const char *number)
{
	int status = 0;

	if (!hog_pid) {
		answer(number, "error no hog");
		return;
	}
	close(hog_pipe);
	waitpid(hog_pid, &status, 0);
	hog_pid = 0;
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		answer(number, "ok");
	else if (WIFEXITED(status))
		report("answer %s error exit %d", number, WEXITSTATUS(status));
	else
		answer(number, "killed");
}

/* Loads a module of /modules; "already there" is good. */
int commands_load(const char *file, const char *parameters)
{
	char path[128];
	int fd, status;

	snprintf(path, sizeof(path), "/modules/%s", file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	status = syscall(SYS_finit_module, fd, parameters, 0);
	if (status && errno == EEXIST)
		status = 0;
	close(fd);
	return status;
}

static void obey(char *line)
{
	char *save, *number = strtok_r(line, " ", &save), *verb = strtok_r(NULL, " ", &save);
	char *first = strtok_r(NULL, " ", &save), *rest = strtok_r(NULL, "", &save);

	if (!number || !verb)
		return;
	if (!strcmp(verb, "read") && first)
		do_read(number, first);
	else if (!strcmp(verb, "number") && first && rest)
		do_number(number, first, rest);
	else if (!strcmp(verb, "write") && first && rest)
		do_write(number, first, rest);
	else if (!strcmp(verb, "nag") && first && rest)
		do_nag(number, first, rest);
	else if (!strcmp(verb, "hush") && nag_pid)
		do_hush(number);
	else if (!strcmp(verb, "hog") && first)
		do_hog(number, atoi(first), rest && !strcmp(rest, "busy"));
	else if (!strcmp(verb, "fill") && first && rest)
		do_fill(number, first, atoi(rest));
	else if (!strcmp(verb, "drop"))
		do_drop(number);
	else if (!strcmp(verb, "load") && first && !commands_load(first, rest ? rest : ""))
		answer(number, "ok");
	else if (!strcmp(verb, "unload") && first &&
		 !syscall(SYS_delete_module, first, O_NONBLOCK))
		answer(number, "ok");
	else
		answer_error(number);
}

static void *listen_to(void *port)
{
	FILE *lines = port;
	char line[400];

	while (fgets(line, sizeof(line), lines)) {
		line[strcspn(line, "\r\n")] = 0;
		obey(line);
	}
	return NULL;
}

/* Obeys what comes from the second serial port, if there is one. */
int commands_begin(commands_report *say)
{
	struct termios raw;
	pthread_t thread;
	FILE *port;
	int fd = open("/dev/ttyS1", O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || tcgetattr(fd, &raw))
		return -1;
	cfmakeraw(&raw);
	tcsetattr(fd, TCSANOW, &raw);
	port = fdopen(fd, "r");
	report = say;
	return port ? pthread_create(&thread, NULL, listen_to, port) : -1;
}
