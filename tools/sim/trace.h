/* SPDX-License-Identifier: GPL-2.0 */
/* The trace: one line of CSV for each VM and tick. */
#ifndef BALLAST_SIM_TRACE_H
#define BALLAST_SIM_TRACE_H

#include <stdio.h>

#include "policy/allocation.h"

#define PAGE_BYTES	4096ULL

/* The columns, named by the trace's first line; see trace.c. */
enum column {
	TRACE_TICK,
	TRACE_VM,
	TRACE_SIZE,
	TRACE_SHARES,
	TRACE_MIN,
	TRACE_MAX,
	TRACE_ACTIVE,
	TRACE_TAX,
	TRACE_FLOOR,
	TRACE_HELD,
	TRACE_REQUIRED,		/* those above are in every trace */
	TRACE_RESIDENT = TRACE_REQUIRED,
	TRACE_BALLOON,
	TRACE_BALLOON_STATE,
	TRACE_POOL,
	TRACE_FREE,
	TRACE_AVAILABLE,
	TRACE_COLUMNS,
};

/* What the module knows of a VM's balloon, as in sysfs. */
enum balloon_state {
	BALLOON_UNKNOWN,
	BALLOON_OK,
	BALLOON_NONE,
	BALLOON_STUCK,
	BALLOON_UNCOOPERATIVE,
	BALLOON_FROZEN,
	BALLOON_STATES,
};

#define NOT_GIVEN	((u64)-1)

/**
 * struct row - one VM in one tick
 * @value: by column, in the trace's units; a column that is not there, or is
 *	empty, is NOT_GIVEN; TRACE_BALLOON_STATE is an enum balloon_state
 */
struct row {
	u64 value[TRACE_COLUMNS];
};

/**
 * struct trace - a trace that is being read
 * @file: from where
 * @name: for messages
 * @line: number of the line read last
 * @text: that line, of @room bytes
 * @room: see @text
 * @column: by position in a line, the column it is
 * @columns: positions in a line
 * @ahead: the first row of the next tick, if @has_ahead
 * @has_ahead: see @ahead
 */
struct trace {
	FILE *file;
	const char *name;
	unsigned long line;
	char *text;
	size_t room;
	enum column column[TRACE_COLUMNS];
	size_t columns;
	struct row ahead;
	bool has_ahead;
};

/**
 * struct rows - the VMs of one tick
 * @row: of which
 * @count: so many
 * @room: there is memory for
 */
struct rows {
	struct row *row;
	size_t count;
	size_t room;
};

void trace_open(struct trace *trace, const char *name);
bool trace_read_tick(struct trace *trace, struct rows *rows);
void trace_close(struct trace *trace);
struct row *rows_add(struct rows *rows);
void row_init(struct row *row);
const char *column_name(enum column column);
u64 column_limit(enum column column);
bool parse_number(const char **text, u64 *number);
void trace_generate(u64 vms, u64 ticks, u64 seed);

__attribute__((noreturn, format(printf, 2, 3)))
void die(int status, const char *format, ...);

#endif /* BALLAST_SIM_TRACE_H */
