// SPDX-License-Identifier: GPL-2.0
/*
 * What QEMU's command line says about it: name, UUID, QMP socket.
 *
 * DOC: QEMU's options are lists KEY=VALUE,KEY=VALUE in which ",," is a comma.
 * A monitor is a chardev and a -mon that refers to it, in either order, or
 * the short -qmp.  The text is the process's to change: nothing found here is
 * believed further than that a socket of that name may be tried.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmdline.h"

#define CHARDEVS_MAX	64	/* sockets of one QEMU that are looked at */

struct chardev {
	char id[64];
	char path[256];
};

struct scan {
	struct chardev chardevs[CHARDEVS_MAX];
	unsigned int chardev_count;
	char monitors[CHARDEVS_MAX][64];
	unsigned int monitor_count;
};

/* Copies up to the next single comma; returns what is behind it. */
static const char *next_item(const char *text, char *item, size_t room)
{
	size_t n = 0;

	while (*text) {
		if (*text == ',' && *++text != ',')
			break;
		if (n + 1 < room)
			item[n++] = *text;
		text++;
	}
	item[n] = '\0';
	return text;
}

/*
 * Copies the value of @key from an option list.  @first stands for a key that is
 * left out before the first value, as in "-name web".
 */
static bool option(const char *list, const char *key, bool first, char *value,
		   size_t room)
{
	size_t length = strlen(key);
	char item[512];
	bool begins = true;

	while (*list) {
		list = next_item(list, item, sizeof(item));
		if (!strncmp(item, key, length) && item[length] == '=') {
			snprintf(value, room, "%s", item + length + 1);
			return true;
		}
		if (begins && first && !strchr(item, '=')) {
			snprintf(value, room, "%s", item);
			return true;
		}
		begins = false;
	}
	return false;
}

/* unix:PATH,server=on,... */
static void take_short(const char *list, struct ballast_cmdline *found)
{
	char item[512];

	next_item(list, item, sizeof(item));
	if (!strncmp(item, "unix:", 5) && !*found->qmp_path)
		snprintf(found->qmp_path, sizeof(found->qmp_path), "%.255s", item + 5);
}

static void take_chardev(const char *list, struct scan *scan)
{
	struct chardev *chardev;

	if (strncmp(list, "socket,", 7) || scan->chardev_count == CHARDEVS_MAX)
		return;
	chardev = &scan->chardevs[scan->chardev_count];
	if (option(list, "id", false, chardev->id, sizeof(chardev->id)) &&
	    option(list, "path", false, chardev->path, sizeof(chardev->path)))
		scan->chardev_count++;
}

static void take_monitor(const char *list, struct scan *scan)
{
	char mode[32] = "";

	option(list, "mode", false, mode, sizeof(mode));
	if (strcmp(mode, "control") || scan->monitor_count == CHARDEVS_MAX)
		return;
	if (option(list, "chardev", true, scan->monitors[scan->monitor_count], 64))
		scan->monitor_count++;
}

static void join(const struct scan *scan, struct ballast_cmdline *found)
{
	unsigned int m, c;

	for (m = 0; m < scan->monitor_count; m++) {
		if (!strcmp(scan->monitors[m], "charmonitor"))
			found->libvirt = true;
		for (c = 0; c < scan->chardev_count && !*found->qmp_path; c++)
			if (!strcmp(scan->monitors[m], scan->chardevs[c].id))
				snprintf(found->qmp_path, sizeof(found->qmp_path), "%s",
					 scan->chardevs[c].path);
	}
}

static void take_option(const char *name, const char *value, struct scan *scan,
			struct ballast_cmdline *found)
{
	name += name[0] == '-' && name[1] == '-' ? 2 : 1;
	if (!strcmp(name, "name"))
		option(value, "guest", true, found->name, sizeof(found->name));
	else if (!strcmp(name, "uuid"))
		snprintf(found->uuid, sizeof(found->uuid), "%s", value);
	else if (!strcmp(name, "qmp") || !strcmp(name, "qmp-pretty"))
		take_short(value, found);
	else if (!strcmp(name, "chardev"))
		take_chardev(value, scan);
	else if (!strcmp(name, "mon"))
		take_monitor(value, scan);
}

/**
 * ballast_cmdline_parse() - read a command line
 * @text: arguments, each ended by a 0, as in /proc/PID/cmdline
 * @length: of @text; what follows the last 0 is ignored
 * @found: result
 */
void ballast_cmdline_parse(const char *text, size_t length,
			   struct ballast_cmdline *found)
{
	const char *end = text + length, *argument, *previous = NULL;
	struct scan *scan = calloc(1, sizeof(*scan));

	memset(found, 0, sizeof(*found));
	if (!scan)
		return;
	for (argument = text; argument < end; argument += strlen(argument) + 1) {
		if (!memchr(argument, '\0', end - argument))
			break;
		if (previous && *previous == '-')
			take_option(previous, argument, scan, found);
		previous = argument;
	}
	join(scan, found);
	free(scan);
}

/**
 * ballast_cmdline_read() - read that of a process
 * @pid: of the process
 * @found: result
 *
 * Return: 0 or -errno.
 */
int ballast_cmdline_read(pid_t pid, struct ballast_cmdline *found)
{
	static char text[256 * 1024];	/* libvirt writes long ones */
	size_t length = 0;
	char path[64];
	ssize_t n;
	int fd;

	memset(found, 0, sizeof(*found));
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (length < sizeof(text)) {
		n = read(fd, text + length, sizeof(text) - length);
		if (n <= 0)
			break;
		length += n;
	}
	close(fd);
	ballast_cmdline_parse(text, length, found);
	return 0;
}
