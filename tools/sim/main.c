// SPDX-License-Identifier: GPL-2.0
/*
 * ballast-sim: what would the module decide?
 *
 * DOC: Reads a trace of a host's VMs and prints the targets that the module's
 * own code, compiled for userspace, comes to.  With the settings of the host
 * that the trace was recorded on these are its targets; with others they are
 * an answer to "what if".
 */
#include <getopt.h>
#include <stdlib.h>

#include "host.h"

#define ADDED_MAX	256
#define ADDED_VM	(1ULL << 63)	/* the id of the first VM that is added */
#define COPY_SHIFT	32		/* above it an id says which copy it is of */

static const char usage[] =
	"usage: ballast-sim [OPTION...] [TRACE]\n"
	"       ballast-sim --generate VMS,TICKS,SEED\n"
	"\n"
	"Print the memory targets that ballast comes to for the VMs in TRACE, a CSV\n"
	"file (\"-\" or none: standard input).  ballast-sim(1) describes the columns.\n"
	"\n"
	"  --pool-bytes N        size of the pool, instead of the trace's pool_bytes\n"
	"  --tax-bp N            idle memory tax of every VM, in basis points\n"
	"  --add-vm KEY=N,...    one more VM in every tick; keys: size, shares, active_bp\n"
	"                        and, if wanted: min, max, floor, held, tax_bp, vm\n"
	"  --scale-vms N         every VM of the trace N times\n"
	"  --threshold-bp H,S,H,L  free memory of the states high, soft, hard and low in\n"
	"                        basis points of the pool (600,400,200,100), or \"sliding\"\n"
	"  --step-bp N           growth of a balloon in a tick, of the VM's size (1000)\n"
	"  --dead-band-bp N      smaller moves are not made (100)\n"
	"  --balloon-max-bp N    largest balloon, of the VM's size (6500)\n"
	"  --enforce             a balloon whose state is unknown does not move\n"
	"  --own-balloons        balloons and free memory as they follow from the targets,\n"
	"                        not as recorded\n"
	"  --generate VMS,TICKS,SEED  print a trace made by chance\n"
	"  --help                print this\n"
	"\n"
	"Sizes take K, M, G, T.  Exit status: 0, 1 (bad trace), 2 (bad usage).\n";

/**
 * struct options - the command line
 * @settings: of the host
 * @added: VMs that are there in every tick, @added_count of them
 * @added_count: see @added
 * @copies: of every VM of the trace
 * @trace: name of the file
 */
struct options {
	struct settings settings;
	struct row added[ADDED_MAX];
	size_t added_count;
	u64 copies;
	const char *trace;
};

/* A number, if @sized with a unit, that ends with @text; at most @limit. */
static u64 number(const char *option, const char *text, bool sized, u64 limit)
{
	static const char units[] = "KMGT";
	const char *p = text, *unit;
	u64 n;

	if (!parse_number(&p, &n))
		die(2, "%s: \"%s\" is no whole number that fits", option, text);
	if (sized && *p && (unit = strchr(units, *p))) {
		unsigned int shift = 10 * (unsigned int)(unit - units + 1);

		p++;
		if (n >> (64 - shift))
			die(2, "%s: \"%s\" is too large", option, text);
		n <<= shift;
	}
	if (*p)
		die(2, "%s: \"%s\" is no number", option, text);
	if (n > limit)
		die(2, "%s: %s is above %llu", option, text, (unsigned long long)limit);
	return n;
}

/* COUNT numbers with commas between them. */
static void numbers(const char *option, char *text, u64 *result, size_t count, u64 limit)
{
	char *field, *rest = text;
	size_t n = 0;

	while ((field = strsep(&rest, ","))) {
		if (n == count)
			die(2, "%s: takes %zu numbers", option, count);
		result[n++] = number(option, field, false, limit);
	}
	if (n < count)
		die(2, "%s: takes %zu numbers", option, count);
}

/* What a VM can be given on the command line; the first three it must be. */
static const struct {
	const char *key;
	enum column column;
} keys[] = {
	{ "size", TRACE_SIZE }, { "shares", TRACE_SHARES }, { "active_bp", TRACE_ACTIVE },
	{ "min", TRACE_MIN }, { "max", TRACE_MAX }, { "floor", TRACE_FLOOR },
	{ "held", TRACE_HELD }, { "tax_bp", TRACE_TAX }, { "vm", TRACE_VM },
};

#define KEYS		(sizeof(keys) / sizeof(keys[0]))
#define KEYS_NEEDED	3

static enum column key_column(const char *key)
{
	size_t i;

	for (i = 0; i < KEYS; i++)
		if (!strcmp(keys[i].key, key))
			return keys[i].column;
	die(2, "--add-vm: there is no key \"%s\"", key);
}

static void add_vm(struct options *o, char *text)
{
	struct row *row = &o->added[o->added_count];
	char *field, *value;
	size_t i;

	if (o->added_count == ADDED_MAX)
		die(2, "--add-vm: at most %d", ADDED_MAX);
	row_init(row);
	while ((field = strsep(&text, ","))) {
		enum column c;

		value = strchr(field, '=');
		if (!value)
			die(2, "--add-vm: \"%s\" is not KEY=NUMBER", field);
		*value++ = '\0';
		c = key_column(field);
		row->value[c] = number("--add-vm", value, true, column_limit(c));
	}
	for (i = 0; i < KEYS_NEEDED; i++)
		if (row->value[keys[i].column] == NOT_GIVEN)
			die(2, "--add-vm: %s= is missing", keys[i].key);
	if (row->value[TRACE_VM] == NOT_GIVEN)
		row->value[TRACE_VM] = ADDED_VM + o->added_count;
	if (row->value[TRACE_TAX] == NOT_GIVEN)
		row->value[TRACE_TAX] = 7500;
	for (i = 0; i < TRACE_REQUIRED; i++)
		if (row->value[i] == NOT_GIVEN)
			row->value[i] = 0;
	o->added_count++;
}

static void set_thresholds(struct settings *s, char *text)
{
	u64 bp[BALLAST_STATE_NR];
	size_t i;

	s->sliding = !strcmp(text, "sliding");
	if (s->sliding)
		return;
	numbers("--threshold-bp", text, bp, BALLAST_STATE_NR, BALLAST_BP);
	for (i = 0; i < BALLAST_STATE_NR; i++) {
		if (i && bp[i] > bp[i - 1])
			die(2, "--threshold-bp: %llu after %llu, none may be larger than the one before it",
			    (unsigned long long)bp[i], (unsigned long long)bp[i - 1]);
		s->threshold_bp[i] = (u32)bp[i];
	}
}

static void generate(char *text)
{
	u64 of[3];

	numbers("--generate", text, of, 3, NOT_GIVEN - 1);
	if (!of[0] || of[0] > BALLAST_VMS_MAX || !of[1] || of[1] > (u32)-1)
		die(2, "--generate: 1 to %u VMs, 1 to %u ticks", BALLAST_VMS_MAX, (u32)-1);
	trace_generate(of[0], of[1], of[2]);
}

static void finish_output(void)
{
	if (fflush(stdout) || ferror(stdout))
		die(1, "the output cannot be written: %s", strerror(errno));
}

enum { POOL = 256, TAX, ADD, SCALE, THRESHOLD, STEP, DEAD_BAND, BALLOON_MAX, ENFORCE, OWN,
       GENERATE, HELP };

static const struct option long_options[] = {
	{ "pool-bytes", required_argument, NULL, POOL },
	{ "tax-bp", required_argument, NULL, TAX },
	{ "add-vm", required_argument, NULL, ADD },
	{ "scale-vms", required_argument, NULL, SCALE },
	{ "threshold-bp", required_argument, NULL, THRESHOLD },
	{ "step-bp", required_argument, NULL, STEP },
	{ "dead-band-bp", required_argument, NULL, DEAD_BAND },
	{ "balloon-max-bp", required_argument, NULL, BALLOON_MAX },
	{ "enforce", no_argument, NULL, ENFORCE },
	{ "own-balloons", no_argument, NULL, OWN },
	{ "generate", required_argument, NULL, GENERATE },
	{ "help", no_argument, NULL, HELP },
	{ NULL, 0, NULL, 0 },
};

static u32 share_option(const char *option)
{
	return (u32)number(option, optarg, false, BALLAST_BP);
}

/* False: the option was all there is to do. */
static bool take_option(struct options *o, int option)
{
	struct settings *s = &o->settings;

	switch (option) {
	case POOL:
		s->pool_bytes = number("--pool-bytes", optarg, true, NOT_GIVEN - 1);
		return true;
	case TAX:
		s->tax_bp = number("--tax-bp", optarg, false, BALLAST_TAX_BP_MAX);
		return true;
	case ADD:
		add_vm(o, optarg);
		return true;
	case SCALE:
		o->copies = number("--scale-vms", optarg, false, BALLAST_VMS_MAX);
		if (!o->copies)
			die(2, "--scale-vms: at least 1");
		return true;
	case THRESHOLD:
		set_thresholds(s, optarg);
		return true;
	case STEP:
		s->pace.step_bp = share_option("--step-bp");
		return true;
	case DEAD_BAND:
		s->pace.dead_band_bp = share_option("--dead-band-bp");
		return true;
	case BALLOON_MAX:
		s->pace.balloon_max_bp = share_option("--balloon-max-bp");
		return true;
	case ENFORCE:
		s->enforce = true;
		return true;
	case OWN:
		s->own_balloons = true;
		return true;
	case GENERATE:
		generate(optarg);
		return false;
	case HELP:
		fputs(usage, stdout);
		return false;
	default:
		fputs("ballast-sim --help tells the options\n", stderr);
		exit(2);
	}
}

static bool read_options(struct options *o, int argc, char **argv)
{
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		if (!take_option(o, option))
			return false;
	if (argc - optind > 1)
		die(2, "one trace at a time");
	o->trace = optind < argc ? argv[optind] : "-";
	return true;
}

/* Every VM of the trace once more for each copy wanted. */
static void copy_vms(struct rows *rows, u64 copies)
{
	size_t i, count = rows->count;
	u64 copy;

	if (copies == 1)
		return;
	if (count * copies > BALLAST_VMS_MAX)
		die(1, "--scale-vms: more than %u VMs in tick %llu", BALLAST_VMS_MAX,
		    (unsigned long long)rows->row[0].value[TRACE_TICK]);
	for (i = 0; i < count; i++)
		if (rows->row[i].value[TRACE_VM] >> COPY_SHIFT)
			die(1, "--scale-vms: VM %llu: only ids below 2^%d can be told from their copies",
			    (unsigned long long)rows->row[i].value[TRACE_VM], COPY_SHIFT);
	for (copy = 1; copy < copies; copy++)
		for (i = 0; i < count; i++) {
			struct row *row = rows_add(rows);

			*row = rows->row[i];
			row->value[TRACE_VM] |= copy << COPY_SHIFT;
		}
}

static void add_vms(struct rows *rows, const struct options *o)
{
	u64 tick = rows->row[0].value[TRACE_TICK];
	size_t i;

	if (rows->count + o->added_count > BALLAST_VMS_MAX)
		die(1, "--add-vm: more than %u VMs in tick %llu", BALLAST_VMS_MAX,
		    (unsigned long long)tick);
	for (i = 0; i < o->added_count; i++) {
		struct row *row = rows_add(rows);

		*row = o->added[i];
		row->value[TRACE_TICK] = tick;
	}
}

static void simulate(const struct options *o)
{
	struct host host = { .settings = o->settings };
	struct rows rows = { NULL, 0, 0 };
	struct trace trace;

	trace_open(&trace, o->trace);
	puts("tick,vm,target_bytes,rho,reason,balloon_target_bytes,state");
	while (trace_read_tick(&trace, &rows)) {
		copy_vms(&rows, o->copies);
		add_vms(&rows, o);
		host_tick(&host, &rows);
	}
	trace_close(&trace);
	host_free(&host);
	free(rows.row);
}

int main(int argc, char **argv)
{
	static struct options options = {
		.settings = {
			.pool_bytes = NOT_GIVEN,
			.tax_bp = NOT_GIVEN,
			.threshold_bp = { 600, 400, 200, 100 },
			.pace = { .step_bp = 1000, .dead_band_bp = 100, .balloon_max_bp = 6500 },
		},
		.copies = 1,
	};

	if (read_options(&options, argc, argv))
		simulate(&options);
	finish_output();
	return 0;
}
