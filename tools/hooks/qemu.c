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
 * A min that the module would refuse, once ballastd writes it, is refused here too, with
 * admission or without: the VM would run without what its admin relies on.
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
#include <unistd.h>

#include "../ballastd/config.h"
#include "../lib/domain_xml.h"
#include "../lib/host.h"
#include "../lib/log.h"
#include "../lib/mounts.h"
#include "../lib/sysfs.h"

#define XML_BYTES_MAX	(16U << 20)
#define MIN_TRIES	15
#define MIN_TRY_US	100000

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

/* A number of the pool; false if this kernel has it not. */
static bool read_pool(const struct ballast_sysfs *sysfs, const char *pool, const char *name,
		      uint64_t *value)
{
	char file[128];

	snprintf(file, sizeof(file), "pools/%s/%s", pool, name);
	return !ballast_sysfs_read_u64(sysfs, file, value);
}

/* ballastd complains of what it cannot read, so this does not. */
static void merge_section(struct ballast_settings *settings, const char *domain)
{
	const struct config_vm *section;
	struct config config;
	char path[4096], why[256];

	if (config_init(&config))
		return;
	ballast_host_path(BALLASTD_CONFIG_PATH, path, sizeof(path));
	if (!config_read(&config, path, why, sizeof(why))) {
		section = config_find_vm(&config, domain);
		if (section)
			ballast_settings_merge(settings, &section->settings);
	}
	config_free(&config);
}

/* The min that ballastd will write: its own file wins over the domain's metadata. */
static uint64_t min_of(const char *domain, const char *xml)
{
	const unsigned int bit = 1U << BALLAST_SET_MIN;
	struct ballast_settings settings;
	char why[160];

	ballast_xml_metadata(xml, &settings, why, sizeof(why));
	merge_section(&settings, domain);
	return settings.given & ~settings.is_default & bit ? settings.value[BALLAST_SET_MIN] : 0;
}

/* A VM that has just ended keeps its own min until the module has seen that. */
static bool lacks_min(const struct ballast_sysfs *sysfs, const char *pool, uint64_t min,
		      uint64_t *most)
{
	int tries;

	for (tries = MIN_TRIES; tries; tries--) {
		if (!read_pool(sysfs, pool, "min_admissible_bytes", most) || min <= *most)
			return false;
		usleep(MIN_TRY_US);
	}
	return true;
}

static int refuse(const char *domain, const char *pool, uint64_t bytes, uint64_t most)
{
	log_error("pool %s has no room for %s: %" PRIu64 " bytes of memory or swap are missing "
		  "(it takes %" PRIu64 ", %" PRIu64 " are left)", pool, domain, bytes - most,
		  bytes, most);
	return 1;
}

static int refuse_min(const char *domain, const char *pool, uint64_t min, uint64_t most)
{
	log_error("pool %s cannot keep the min of %s: %" PRIu64 " bytes of memory are missing "
		  "(it is %" PRIu64 ", %" PRIu64 " are left)", pool, domain, min - most, min,
		  most);
	return 1;
}

/* Returns the status to exit with. */
static int judge(const struct ballast_sysfs *sysfs, const char *pool, const char *domain,
		 const char *xml)
{
	uint64_t bytes, admission, most, min;

	if (ballast_xml_file_memory(xml, &bytes)) {
		log_warning("%s: its memory cannot be read from the XML: not checked", domain);
		return 0;
	}
	/* none of it is the pool's */
	if (!bytes)
		return 0;
	if (read_pool(sysfs, pool, "admission", &admission) && admission &&
	    read_pool(sysfs, pool, "admissible_bytes", &most) && bytes > most)
		return refuse(domain, pool, bytes, most);
	min = min_of(domain, xml);
	if (min && lacks_min(sysfs, pool, min, &most))
		return refuse_min(domain, pool, min, most);
	return 0;
}

int main(int argc, char **argv)
{
	struct ballast_sysfs sysfs;
	struct ballast_mount mount;
	char *xml;
	int status;

	if (argc < 4 || strcmp(argv[2], "prepare") || strcmp(argv[3], "begin"))
		return 0;
	/* libvirt reads it, not the journal */
	unsetenv("JOURNAL_STREAM");
	ballast_log_open("ballast", BALLAST_LOG_WARNING);
	if (ballast_sysfs_init(&sysfs, NULL) || !ballast_sysfs_present(&sysfs) ||
	    !find_pool(&mount))
		return 0;
	xml = read_input();
	status = judge(&sysfs, mount.pool, argv[1], xml ? xml : "");
	free(xml);
	return status;
}
