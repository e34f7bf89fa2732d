/* SPDX-License-Identifier: GPL-2.0 */
/* Files of the host that are not Ballast's. */
#ifndef BALLAST_TOOLS_HOST_H
#define BALLAST_TOOLS_HOST_H

#include <stddef.h>

void ballast_host_path(const char *path, char *full, size_t room);
int ballast_host_read(const char *path, char *text, size_t room);

#endif /* BALLAST_TOOLS_HOST_H */
