// SPDX-License-Identifier: GPL-2.0
/*
 * program.c - a test's own program runs beside what init.c does.
 *
 * It is /program (guests.sh: --program).  A shell script comes with busybox, whose
 * commands are then in /bin.  Each line that it says, on either output, is reported as
 * "program LINE", at last "program-ended STATUS": 128 and the number if a signal ended it.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "program.h"

#define BUSYBOX "/bin/busybox"

static commands_report *report;

static int status_of(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void install_busybox(void)
{
	pid_t pid = fork();

	if (!pid) {
		execl(BUSYBOX, "busybox", "--install", "-s", "/bin", NULL);
		_exit(127);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

static void __attribute__((noreturn)) be_program(int out)
{
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	setenv("PATH", "/bin", 1);
	execl(PROGRAM, PROGRAM, NULL);
	perror(PROGRAM);
	_exit(127);
}

static void *run(void *unused)
{
	char line[300];
	int ends[2], status = 0;
	FILE *said;
	pid_t pid;

	(void)unused;
	if (!access(BUSYBOX, X_OK))
		install_busybox();
	if (pipe2(ends, O_CLOEXEC)) {
		report("program-ended 127");
		return NULL;
	}
	pid = fork();
	if (!pid)
		be_program(ends[1]);
	close(ends[1]);
	said = fdopen(ends[0], "r");
	while (said && fgets(line, sizeof(line), said)) {
		line[strcspn(line, "\n")] = 0;
		report("program %s", line);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		status = 127 << 8;
	report("program-ended %d", status_of(status));
	return NULL;
}

/* program_begin() - start it; its outputs go to @say */
int program_begin(commands_report *say)
{
	pthread_t thread;

	report = say;
	mkdir("/tmp", 0755);
	return pthread_create(&thread, NULL, run, NULL);
}
