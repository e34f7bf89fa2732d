// SPDX-License-Identifier: GPL-2.0
/*
 * Mounts that must be refused.
 *
 *	refused MOUNTPOINT OPTIONS...
 *
 * mount(8) would do, at a tenth of a second each in the lab.
 */
#include <dirent.h>
#include <string.h>
#include <sys/mount.h>

#include "lib/selftest.h"

static int count_pools(void)
{
	DIR *dir = opendir("/sys/kernel/ballast/pools");
	struct dirent *entry;
	int count = 0;

	CHECK(dir);
	while ((entry = readdir(dir)))
		count += entry->d_name[0] != '.' && strcmp(entry->d_name, "host");
	closedir(dir);
	return count;
}

int main(int argc, char **argv)
{
	int i, taken = 0;

	CHECK(argc > 2);
	for (i = 2; i < argc; i++) {
		if (!mount("none", argv[1], "ballastfs", 0, argv[i])) {
			printf("mounted with '%s'\n", argv[i]);
			CHECK(!umount(argv[1]));
			taken++;
		} else if (errno != EINVAL) {
			printf("'%s': %s\n", argv[i], strerror(errno));
			taken++;
		}
		CHECK_EQUAL(count_pools(), 0);
	}
	return taken > 0;
}
