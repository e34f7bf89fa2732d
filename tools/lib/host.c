// SPDX-License-Identifier: GPL-2.0
/*
 * Files of the host that are not Ballast's: libvirt's, the kernel's.
 *
 * DOC: BALLAST_HOST_ROOT in the environment is put before their paths, for tests.
 * /proc/PID is always the real one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "host.h"

/** ballast_host_path() - where @path of the host lies: @full */
void ballast_host_path(const char *path, char *full, size_t room)
{
	const char *root = getenv("BALLAST_HOST_ROOT");

	snprintf(full, room, "%s%s", root ? root : "", path);
}

/**
 * ballast_host_read() - the beginning of a file
 * @path: on the host
 * @text: result, with an end; "" on error
 * @room: of @text
 *
 * Return: length, or -errno.
 */
int ballast_host_read(const char *path, char *text, size_t room)
{
	size_t length = 0;
	char full[512];
	ssize_t n = 0;
	int fd;

	*text = '\0';
	ballast_host_path(path, full, sizeof(full));
	fd = open(full, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (length < room - 1 && (n = read(fd, text + length, room - 1 - length)) > 0)
		length += n;
	close(fd);
	text[length] = '\0';
	return n < 0 ? -EIO : (int)length;
}
