// SPDX-License-Identifier: GPL-2.0
/*
 * await FILE SECONDS: print what a sysfs file says now, and once more when its
 * next change is notified.  Exit status 1 if none is.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void say(int fd)
{
	char text[256];
	ssize_t bytes = pread(fd, text, sizeof(text) - 1, 0);

	if (bytes < 0) {
		perror("await: read");
		exit(2);
	}
	text[bytes] = 0;
	fputs(text, stdout);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	struct pollfd p = { .events = POLLPRI };

	if (argc != 3)
		return 2;
	p.fd = open(argv[1], O_RDONLY);
	if (p.fd < 0)
		return perror(argv[1]), 2;
	say(p.fd);
	if (poll(&p, 1, atoi(argv[2]) * 1000) != 1 || !(p.revents & POLLPRI))
		return 1;
	say(p.fd);
	return 0;
}
