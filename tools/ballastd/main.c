// SPDX-License-Identifier: GPL-2.0
/*
 * ballastd: has the balloons of guests follow what the module computes.
 *
 * DOC: One thread, one loop: libvirt's default event loop, which waits for
 * libvirt's connection, for two timers and for one epoll descriptor with all
 * that is the daemon's own (watch.c).
 *
 * The exit status: 0 asked to end, 1 an error while running, 2 wrong usage, 3 a
 * wrong configuration, 4 another ballastd runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libvirt/libvirt.h>
#include <systemd/sd-daemon.h>

#include "../lib/log.h"
#include "../lib/virt.h"
#include "daemon.h"

#define TICK_MS		1000

enum { EXIT_USAGE = 2, EXIT_CONFIG = 3, EXIT_TWICE = 4 };

/**
 * struct options - what the command line says
 * @config_path: NULL: the usual one, if it is there
 * @sysfs: NULL: the usual one
 * @no_libvirt: not even if the configuration wants it
 * @dry_run: log, do not do
 * @level: what to log
 * @qmp: sockets
 * @qmp_count: how many
 */
struct options {
	const char *config_path;
	const char *sysfs;
	bool no_libvirt;
	bool dry_run;
	enum ballast_log_level level;
	const char *qmp[256];
	size_t qmp_count;
};

struct program {
	struct daemon daemon;
	struct options options;
	struct ballast_watch signals;
	int stats_timer;
	bool ends;
};

static void usage(FILE *f)
{
	fputs("usage: ballastd [options]\n"
	      "Has the balloons of guests follow /sys/kernel/ballast.\n\n"
	      "  --config FILE   instead of " BALLASTD_CONFIG_PATH "\n"
	      "  --qmp PATH      one more QMP socket; may be given again\n"
	      "  --no-libvirt    leave libvirt alone\n"
	      "  --dry-run       log what would be done, do nothing\n"
	      "  --foreground    stay in the foreground (always does; for old habits)\n"
	      "  --sysfs DIR     instead of " BALLAST_SYSFS_ROOT "\n"
	      "  --verbose       say more; twice: all\n"
	      "  --version, --help\n", f);
}

static int parse_options(int argc, char **argv, struct options *options)
{
	static const struct option long_options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "qmp", required_argument, NULL, 'q' },
		{ "no-libvirt", no_argument, NULL, 'L' },
		{ "dry-run", no_argument, NULL, 'n' },
		{ "foreground", no_argument, NULL, 'f' },
		{ "sysfs", required_argument, NULL, 's' },
		{ "verbose", no_argument, NULL, 'v' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:q:nfs:vVh", long_options, NULL)) != -1) {
		switch (c) {
		case 'c':
			options->config_path = optarg;
			break;
		case 'q':
			if (options->qmp_count == sizeof(options->qmp) / sizeof(*options->qmp)) {
				fputs("ballastd: more than 256 sockets: put them into "
				      "the configuration\n", stderr);
				return EXIT_USAGE;
			}
			options->qmp[options->qmp_count++] = optarg;
			break;
		case 'L':
			options->no_libvirt = true;
			break;
		case 'n':
			options->dry_run = true;
			break;
		case 'f':
			break;
		case 's':
			options->sysfs = optarg;
			break;
		case 'v':
			options->level = options->level < BALLAST_LOG_INFO ?
				BALLAST_LOG_INFO : BALLAST_LOG_DEBUG;
			break;
		case 'V':
			puts("ballastd " BALLAST_VERSION);
			exit(0);
		case 'h':
			usage(stdout);
			exit(0);
		default:
			usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (optind == argc)
		return 0;
	fprintf(stderr, "ballastd: what is \"%s\"?\n", argv[optind]);
	usage(stderr);
	return EXIT_USAGE;
}

/* Defaults, then the file, then the command line. */
static int read_config(const struct options *options, struct config *config)
{
	const char *path = options->config_path;
	char why[512];
	size_t i;

	if (config_init(config))
		return -ENOMEM;
	if (!path && !access(BALLASTD_CONFIG_PATH, F_OK))
		path = BALLASTD_CONFIG_PATH;
	if (path && config_read(config, path, why, sizeof(why))) {
		log_error("%s: %s", path, why);
		return -EINVAL;
	}
	for (i = 0; i < options->qmp_count; i++)
		if (config_add_qmp(config, options->qmp[i]))
			return -ENOMEM;
	if (options->no_libvirt)
		*config->libvirt_uri = '\0';
	return 0;
}

/* Two daemons at one knob would pull against each other. */
static int be_alone(void)
{
	const char *directory = getenv("BALLAST_STATE_DIR");
	char path[512], text[32];
	int fd, n;

	if (!directory || !*directory)
		directory = "/run/ballastd";
	mkdir(directory, 0755);
	snprintf(path, sizeof(path), "%s/lock", directory);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		log_error("%s: %s", path, strerror(errno));
		return 1;
	}
	/* who may open it may lock it: one that an older version made, too */
	fchmod(fd, 0600);
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		log_error("another ballastd runs (%s is locked)", path);
		return EXIT_TWICE;
	}
	n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) || write(fd, text, n) != n)
		log_warning("%s: %s", path, strerror(errno));
	return 0;	/* held open until the end */
}

/* One descriptor a VM, one more for each monitor. */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		return;
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		log_warning("no more than %lu files: %s", (unsigned long)limit.rlim_cur,
			    strerror(errno));
}

static void reload(struct program *program)
{
	struct daemon *daemon = &program->daemon;
	struct config config;

	if (read_config(&program->options, &config)) {
		log_error("the configuration stays as it was");
		config_free(&config);
		return;
	}
	config_free(&daemon->config);
	daemon->config = config;
	log_notice("the configuration has been read");
	virEventUpdateTimeout(program->stats_timer, (int)config.stats_period_s * 1000);
	vms_configure(daemon);
}

static void on_signal(struct ballast_watch *watch, uint32_t events)
{
	struct program *program = watch->context;
	struct signalfd_siginfo info;

	(void)events;
	if (read(watch->fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGHUP)
		reload(program);
	else
		program->ends = true;
}

static int watch_signals(struct program *program)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	program->signals.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (program->signals.fd < 0)
		return -errno;
	program->signals.ready = on_signal;
	program->signals.context = program;
	return ballast_watch_add(program->daemon.watcher, &program->signals, EPOLLIN);
}

static void on_watcher(int watch, int fd, int events, void *context)
{
	struct daemon *daemon = context;

	(void)watch;
	(void)fd;
	(void)events;
	ballast_watcher_dispatch(daemon->watcher);
}

static void on_tick(int timer, void *context)
{
	struct daemon *daemon = context;
	static unsigned int told = ~0U;

	(void)timer;
	vms_check_module(daemon);
	if (daemon->virt)
		virt_link_tick(daemon->virt);
	qmp_link_tick(daemon->qmp);
	vms_tick(daemon);
	if (daemon->vm_count != told)
		sd_notifyf(0, "STATUS=%u VMs%s", daemon->vm_count,
			   daemon->module_present ? "" : ", the module is not loaded");
	told = daemon->vm_count;
}

static void on_statistics(int timer, void *context)
{
	struct daemon *daemon = context;

	(void)timer;
	vms_look(daemon);
	if (daemon->virt)
		virt_link_statistics(daemon->virt);
	qmp_link_statistics(daemon->qmp);
}

static int start(struct program *program)
{
	struct daemon *daemon = &program->daemon;

	if (virInitialize() < 0 || virEventRegisterDefaultImpl() < 0)
		return -ENOMEM;
	daemon->watcher = ballast_watcher_new();
	if (!daemon->watcher)
		return -errno;
	if (watch_signals(program))
		return -errno;
	vms_init(daemon);
	daemon->qmp = qmp_link_new(daemon);
	if (!daemon->qmp)
		return -ENOMEM;
	/* libvirt first: what it has is its own */
	if (*daemon->config.libvirt_uri) {
		daemon->virt = virt_link_new(daemon);
		if (!daemon->virt)
			return -ENOMEM;
	}
	vms_check_module(daemon);
	if (!daemon->module_present)
		log_warning("the module is not loaded: waiting for it (modprobe ballast)");
	program->stats_timer = virEventAddTimeout((int)daemon->config.stats_period_s * 1000,
						  on_statistics, daemon, NULL);
	if (program->stats_timer < 0 || virEventAddTimeout(TICK_MS, on_tick, daemon, NULL) < 0 ||
	    virEventAddHandle(ballast_watcher_fd(daemon->watcher), VIR_EVENT_HANDLE_READABLE,
			      on_watcher, daemon, NULL) < 0)
		return -ENOMEM;
	return 0;
}

static void stop(struct program *program)
{
	struct daemon *daemon = &program->daemon;

	virt_link_free(daemon->virt);
	qmp_link_free(daemon->qmp);
	if (daemon->watcher) {
		vms_free(daemon);
		ballast_watch_remove(daemon->watcher, &program->signals);
		ballast_watcher_free(daemon->watcher);
	}
	config_free(&daemon->config);
}

int main(int argc, char **argv)
{
	static struct program program = {
		.options.level = BALLAST_LOG_NOTICE,
		.signals.fd = -1,
	};
	struct daemon *daemon = &program.daemon;
	int status, err;

	ballast_log_open("ballastd", BALLAST_LOG_NOTICE);
	status = parse_options(argc, argv, &program.options);
	if (status)
		return status;
	ballast_log_open("ballastd", program.options.level);
	if (ballast_sysfs_init(&daemon->sysfs, program.options.sysfs)) {
		log_error("the name of the sysfs directory is too long");
		return EXIT_USAGE;
	}
	daemon->dry_run = daemon->sysfs.dry_run = program.options.dry_run;
	if (read_config(&program.options, &daemon->config))
		return EXIT_CONFIG;
	status = daemon->dry_run ? 0 : be_alone();
	if (status)
		return status;
	raise_file_limit();
	err = start(&program);
	if (err)
		log_error("cannot start: %s", strerror(-err));
	else
		sd_notify(0, "READY=1");
	while (!err && !program.ends) {
		if (virEventRunDefaultImpl() < 0) {
			log_error("the event loop: %s", ballast_virt_error());
			err = -EIO;
		}
	}
	sd_notify(0, "STOPPING=1");
	stop(&program);
	return err ? 1 : 0;
}
