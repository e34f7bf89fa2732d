// SPDX-License-Identifier: GPL-2.0
/*
 * ballastctl: looks at Ballast and sets it.
 *
 * DOC: The exit status: 0 well, 1 failed (or doctor found something wrong),
 * 2 wrong usage.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/log.h"
#include "../lib/number.h"
#include "ctl.h"

static const struct {
	const char *name;
	int (*run)(struct ctl *ctl, int argc, char **argv);
	const char *usage;
} commands[] = {
	{ "status", ctl_status, "status                  host, pools and VMs" },
	{ "list", ctl_list, "list                    PID and name of each VM" },
	{ "explain", ctl_explain, "explain VM              why its target is what it is" },
	{ "set", ctl_set, "set VM NAME=VALUE...    shares=N min=SIZE max=SIZE tax=BP; or =default" },
	{ "mode", ctl_mode, "mode [observe|enforce]  show, or change" },
	{ "adopt", ctl_adopt, "adopt DOMAIN            its memory on ballastfs, from the next start" },
	{ "release", ctl_release, "release DOMAIN          undo adopt" },
	{ "record", ctl_record, "record FILE             a trace as CSV, once a balance period" },
	{ "doctor", ctl_doctor, "doctor                  what is wrong, and what mends it" },
};

static void usage(FILE *f)
{
	size_t i;

	fputs("usage: ballastctl [options] COMMAND\n\n", f);
	for (i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		fprintf(f, "  %s\n", commands[i].usage);
	fputs("\nVM is a PID or the name of a guest.  Options:\n"
	      "  --json         output for programs\n"
	      "  --yes          adopt, release: do not ask\n"
	      "  --mount DIR    adopt: the ballastfs that is meant\n"
	      "  --force        adopt: although libvirt is set otherwise\n"
	      "  --save         set: also in the libvirt domain's metadata\n"
	      "  --count N      record: N periods\n"
	      "  --pool NAME    record: of which pool\n"
	      "  --targets FILE record: what the module made of it, as ballast-sim prints it\n"
	      "  --connect URI  libvirt (qemu:///system)\n"
	      "  --sysfs DIR    instead of " BALLAST_SYSFS_ROOT "\n"
	      "  --version, --help\n", f);
}

static int parse_options(int argc, char **argv, struct ctl *ctl)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "yes", no_argument, NULL, 'y' },
		{ "mount", required_argument, NULL, 'm' },
		{ "force", no_argument, NULL, 'f' },
		{ "save", no_argument, NULL, 'S' },
		{ "count", required_argument, NULL, 'n' },
		{ "pool", required_argument, NULL, 'p' },
		{ "targets", required_argument, NULL, 't' },
		{ "connect", required_argument, NULL, 'c' },
		{ "sysfs", required_argument, NULL, 's' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *root = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "jym:fSn:p:t:c:s:Vh", options, NULL)) != -1) {
		switch (c) {
		case 'j':
			ctl->json = true;
			break;
		case 'y':
			ctl->yes = true;
			break;
		case 'm':
			ctl->mount = optarg;
			break;
		case 'f':
			ctl->force = true;
			break;
		case 'S':
			ctl->save = true;
			break;
		case 'n':
			if (!ballast_parse_u64(optarg, &ctl->count) && ctl->count)
				break;
			complain("--count: \"%s\" is no number of periods", optarg);
			return CTL_USAGE;
		case 'p':
			ctl->pool = optarg;
			break;
		case 't':
			ctl->targets = optarg;
			break;
		case 'c':
			ctl->uri = optarg;
			break;
		case 's':
			root = optarg;
			break;
		case 'V':
			puts("ballastctl " BALLAST_VERSION);
			exit(CTL_OK);
		case 'h':
			usage(stdout);
			exit(CTL_OK);
		default:
			return CTL_USAGE;
		}
	}
	if (!ballast_sysfs_init(&ctl->sysfs, root))
		return CTL_OK;
	complain("the name of the sysfs directory is too long");
	return CTL_USAGE;
}

int main(int argc, char **argv)
{
	struct ctl ctl = { .uri = "qemu:///system" };
	int status;
	size_t i;

	ballast_log_open("ballastctl", BALLAST_LOG_NOTICE);
	status = parse_options(argc, argv, &ctl);
	if (status == CTL_OK && optind == argc)
		status = CTL_USAGE;
	for (i = 0; status == CTL_OK; i++) {
		if (i == sizeof(commands) / sizeof(*commands)) {
			complain("no command \"%s\"", argv[optind]);
			status = CTL_USAGE;
		} else if (!strcmp(argv[optind], commands[i].name)) {
			status = commands[i].run(&ctl, argc - optind - 1, argv + optind + 1);
			if (status != CTL_USAGE)
				return status;
		}
	}
	usage(stderr);
	return status;
}
