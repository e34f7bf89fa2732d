// SPDX-License-Identifier: GPL-2.0
/*
 * Logging: one line a message on stderr.
 *
 * DOC: Under systemd (JOURNAL_STREAM is set) each line begins with "<LEVEL>",
 * which the journal takes for its priority; else with the name of the program.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "log.h"

static const char *program = "ballast";
static enum ballast_log_level most = BALLAST_LOG_NOTICE;

/**
 * ballast_log_open() - who speaks, and how much
 * @name: of the program; kept
 * @level: what is less urgent than this is not said
 */
void ballast_log_open(const char *name, enum ballast_log_level level)
{
	program = name;
	most = level;
}

/**
 * ballast_log() - say one line
 * @level: how urgent
 * @format: as for printf(3), without a newline
 */
void ballast_log(enum ballast_log_level level, const char *format, ...)
{
	char line[1024];
	va_list args;
	char *c;

	if (level > most)
		return;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	/* names come from others: they may not forge a line */
	for (c = line; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = ' ';
	if (getenv("JOURNAL_STREAM"))
		fprintf(stderr, "<%d>%s\n", level, line);
	else
		fprintf(stderr, "%s: %s\n", program, line);
}
