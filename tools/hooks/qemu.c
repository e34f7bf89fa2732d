// SPDX-License-Identifier: GPL-2.0
/*
 * A hook of libvirt's QEMU driver: a domain that its pool cannot keep does not start.
 *
 *	qemu DOMAIN OPERATION STAGE EXTRA	the domain's XML on standard input
 *
 * DOC: With admission on the module refuses the file of such a domain its size, and to be
 * mapped.  QEMU says "No space left on device" and ends, which tells nobody what is
 * missing.  Here it is said before QEMU is there.  Of what libvirt asks only "prepare begin" counts: it comes
 * before each start, restore and incoming migration.
 *
 * It is no lock: of two domains that start at once, and fit one by one, the module
 * refuses the second.  And it refuses nothing that it does not understand.
 *
 * A hook must not call libvirt, which waits for it.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lib/domain_xml.h"
#include "../lib/log.h"
#include "../lib/mounts.h"
#include "../lib/sysfs.h"

#define XML_BYTES_MAX	(16U << 20)

/* All of standard input, to be freed; NULL without memory, or if it does not end. */
static char *read_input(void)
{
	size_t length = 0, room = 65536, n;
	char *text = malloc(room), *more;

	while (text && (n = fread(text + length, 1, room - 1 - length, stdin)) > 0) {
		length += n;
		if (length < room - 1)
			continue;
		room *= 2;
		more = room <= XML_BYTES_MAX ? realloc(text, room) : NULL;
		if (!more)
			free(text);
		text = more;
	}
	if (text)
		text[length] = '\0';
	return text;
}

/* The pool that libvirt's guest memory lies in; false if it is in none. */
static bool find_pool(struct ballast_mount *mount)
{
	char directory[512];

	if (ballast_memory_backing_dir(directory, sizeof(directory)))
		strcpy(directory, BALLAST_MEMORY_BACKING_DIR);
	return !ballast_mount_find(directory, mount) && *mount->pool;
}

/* What a new file may have there; false if it may be of any size. */
static bool is_limited(const struct ballast_sysfs *sysfs, const char *pool, uint64_t *most)
{
	uint64_t admission;
	char file[128];

	snprintf(file, sizeof(file), "pools/%s/admission", pool);
	if (ballast_sysfs_read_u64(sysfs, file, &admission) || !admission)
		return false;
	snprintf(file, sizeof(file), "pools/%s/admissible_bytes", pool);
	return !ballast_sysfs_read_u64(sysfs, file, most);
}

/* Returns the status to exit with. */
static int judge(const char *domain, const char *pool, uint64_t most)
{
	char *xml = read_input();
	uint64_t bytes;
	int err = xml ? ballast_xml_file_memory(xml, &bytes) : -1;

	free(xml);
	if (err) {
		log_warning("%s: its memory cannot be read from the XML: not checked", domain);
		return 0;
	}
	if (bytes <= most)
		return 0;
	log_error("pool %s has no room for %s: %" PRIu64 " bytes of memory or swap are missing "
		  "(it takes %" PRIu64 ", %" PRIu64 " are left)", pool, domain, bytes - most,
		  bytes, most);
	return 1;
}

int main(int argc, char **argv)
{
	struct ballast_sysfs sysfs;
	struct ballast_mount mount;
	uint64_t most;

	if (argc < 4 || strcmp(argv[2], "prepare") || strcmp(argv[3], "begin"))
		return 0;
	/* libvirt reads it, not the journal */
	unsetenv("JOURNAL_STREAM");
	ballast_log_open("ballast", BALLAST_LOG_WARNING);
	if (ballast_sysfs_init(&sysfs, NULL) || !ballast_sysfs_present(&sysfs) ||
	    !find_pool(&mount) || !is_limited(&sysfs, mount.pool, &most))
		return 0;
	return judge(argv[1], mount.pool, most);
}
