// SPDX-License-Identifier: GPL-2.0
/*
 * Reading a trace.
 *
 * DOC: The first line names the columns, in any order; a line for each VM and
 * tick follows, ticks in rising order.  Lines that are empty or begin with #
 * are passed over.  What is wrong is told with the number of its line, and
 * nothing is guessed.  A tick is in memory as a whole, a trace never is.
 */
#include <stdarg.h>
#include <stdlib.h>

#include "trace.h"

static const struct {
	const char *name;
	u64 limit;
} columns[TRACE_COLUMNS] = {
	[TRACE_TICK] = { "tick", NOT_GIVEN - 1 },
	[TRACE_VM] = { "vm", NOT_GIVEN - 1 },
	[TRACE_SIZE] = { "size_bytes", BALLAST_VM_PAGES_MAX * PAGE_BYTES },
	[TRACE_SHARES] = { "shares", (u32)-1 },
	[TRACE_MIN] = { "min_bytes", NOT_GIVEN - 1 },
	[TRACE_MAX] = { "max_bytes", NOT_GIVEN - 1 },
	[TRACE_ACTIVE] = { "active_bp", BALLAST_BP },
	[TRACE_TAX] = { "tax_bp", BALLAST_TAX_BP_MAX },
	[TRACE_FLOOR] = { "floor_bytes", NOT_GIVEN - 1 },
	[TRACE_HELD] = { "held_bytes", NOT_GIVEN - 1 },
	[TRACE_RESIDENT] = { "resident_bytes", NOT_GIVEN - 1 },
	[TRACE_BALLOON] = { "balloon_bytes", NOT_GIVEN - 1 },
	[TRACE_BALLOON_STATE] = { "balloon_state", BALLOON_STATES - 1 },
	[TRACE_POOL] = { "pool_bytes", NOT_GIVEN - 1 },
	[TRACE_FREE] = { "free_bytes", NOT_GIVEN - 1 },
	[TRACE_AVAILABLE] = { "available_bytes", NOT_GIVEN - 1 },
};

static const char *const balloon_states[BALLOON_STATES] = {
	"unknown", "ok", "none", "stuck", "uncooperative", "frozen",
};

/* Say what is wrong and end. */
void die(int status, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("ballast-sim: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(status);
}

#define die_at(trace, format, ...) \
	die(1, "%s:%lu: " format, (trace)->name, (trace)->line, ##__VA_ARGS__)

const char *column_name(enum column column)
{
	return columns[column].name;
}

/* The greatest value a column may have. */
u64 column_limit(enum column column)
{
	return columns[column].limit;
}

/* Digits up to what is none; false if there are none, or too many. */
bool parse_number(const char **text, u64 *number)
{
	const char *p = *text;
	u64 n = 0;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, (u64)(*p - '0'), &n))
			return false;
	*number = n;
	if (p == *text)
		return false;
	*text = p;
	return true;
}

/* The next line that says something, without its end; false at the end. */
static bool next_line(struct trace *t)
{
	ssize_t length;

	while ((length = getline(&t->text, &t->room, t->file)) >= 0) {
		t->line++;
		if (strlen(t->text) != (size_t)length)
			die_at(t, "a zero byte");
		while (length && strchr("\r\n", t->text[length - 1]))
			t->text[--length] = '\0';
		if (length && t->text[0] != '#')
			return true;
	}
	if (ferror(t->file))
		die(1, "%s: cannot be read", t->name);
	return false;
}

static enum column find_column(const struct trace *t, const char *name)
{
	enum column c;

	for (c = 0; c < TRACE_COLUMNS; c++)
		if (!strcmp(columns[c].name, name))
			return c;
	die_at(t, "\"%s\" is no column", name);
}

static void read_header(struct trace *t)
{
	bool named[TRACE_COLUMNS] = { false };
	char *name, *rest;
	enum column c;

	if (!next_line(t))
		die(1, "%s: is empty; the first line names the columns", t->name);
	for (rest = t->text; (name = strsep(&rest, ",")); t->columns++) {
		c = find_column(t, name);
		if (named[c])
			die_at(t, "column %s is named twice", name);
		named[c] = true;
		t->column[t->columns] = c;
	}
	for (c = 0; c < TRACE_REQUIRED; c++)
		if (!named[c])
			die_at(t, "there is no column %s", columns[c].name);
}

static const char *parse_balloon_state(const struct trace *t, const char *text, u64 *state)
{
	size_t length = strcspn(text, ",");
	enum balloon_state s;

	for (s = 0; s < BALLOON_STATES; s++)
		if (strlen(balloon_states[s]) == length &&
		    !memcmp(balloon_states[s], text, length)) {
			*state = s;
			return text + length;
		}
	die_at(t, "balloon_state: \"%.*s\" is none", (int)length, text);
}

static const char *parse_field(const struct trace *t, enum column c, const char *text,
			       u64 *value)
{
	const char *start = text;

	if ((*text == ',' || !*text) && c >= TRACE_REQUIRED)
		return text;
	if (c == TRACE_BALLOON_STATE)
		return parse_balloon_state(t, text, value);
	if (!parse_number(&text, value) || (*text && *text != ','))
		die_at(t, "%s: \"%.*s\" is no whole number that fits", columns[c].name,
		       (int)strcspn(start, ","), start);
	if (*value > columns[c].limit)
		die_at(t, "%s: %llu is above %llu", columns[c].name,
		       (unsigned long long)*value, (unsigned long long)columns[c].limit);
	return text;
}

/* Nothing given. */
void row_init(struct row *row)
{
	enum column c;

	for (c = 0; c < TRACE_COLUMNS; c++)
		row->value[c] = NOT_GIVEN;
}

static bool read_row(struct trace *t, struct row *row)
{
	const char *text;
	size_t i;

	if (!next_line(t))
		return false;
	row_init(row);
	text = t->text;
	for (i = 0; i < t->columns; i++) {
		text = parse_field(t, t->column[i], text, &row->value[t->column[i]]);
		if (i + 1 < t->columns && *text++ != ',')
			die_at(t, "%zu fields, there are %zu columns", i + 1, t->columns);
	}
	if (*text)
		die_at(t, "more fields than the %zu columns", t->columns);
	return true;
}

/**
 * trace_open() - begin to read
 * @trace: result
 * @name: of the file; "-" is the standard input
 *
 * Ends the program if it cannot be read.
 */
void trace_open(struct trace *trace, const char *name)
{
	memset(trace, 0, sizeof(*trace));
	trace->name = strcmp(name, "-") ? name : "standard input";
	trace->file = strcmp(name, "-") ? fopen(name, "r") : stdin;
	if (!trace->file)
		die(1, "%s: %s", name, strerror(errno));
	read_header(trace);
	trace->has_ahead = read_row(trace, &trace->ahead);
}

/* A place for one more; its content is anything. */
struct row *rows_add(struct rows *rows)
{
	if (rows->count == rows->room) {
		rows->room = rows->room ? 2 * rows->room : 1024;
		rows->row = realloc(rows->row, rows->room * sizeof(*rows->row));
		if (!rows->row)
			die(1, "out of memory");
	}
	return &rows->row[rows->count++];
}

/**
 * trace_read_tick() - the VMs of the next tick
 * @trace: from which
 * @rows: result; what was there is gone
 *
 * Return: false at the end of the trace.
 */
bool trace_read_tick(struct trace *trace, struct rows *rows)
{
	u64 tick = trace->ahead.value[TRACE_TICK];

	rows->count = 0;
	while (trace->has_ahead && trace->ahead.value[TRACE_TICK] == tick) {
		*rows_add(rows) = trace->ahead;
		if (rows->count > BALLAST_VMS_MAX)
			die_at(trace, "more than %u VMs in a tick", BALLAST_VMS_MAX);
		trace->has_ahead = read_row(trace, &trace->ahead);
		if (trace->has_ahead && trace->ahead.value[TRACE_TICK] < tick)
			die_at(trace, "tick %llu after tick %llu",
			       (unsigned long long)trace->ahead.value[TRACE_TICK],
			       (unsigned long long)tick);
	}
	return rows->count;
}

void trace_close(struct trace *trace)
{
	if (trace->file != stdin)
		fclose(trace->file);
	free(trace->text);
}
