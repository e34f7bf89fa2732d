// SPDX-License-Identifier: GPL-2.0
/*
 * The seam to libvirt.
 *
 * DOC: libvirt has no call for a domain's PID: it is in the pid file that
 * libvirt writes, which is believed only if the command line of that process
 * names the same guest.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libvirt/virterror.h>

#include "cmdline.h"
#include "domain_xml.h"
#include "host.h"
#include "number.h"
#include "virt.h"

static void nothing(void *context, virErrorPtr error)
{
	(void)context;
	(void)error;
}

/** ballast_virt_init() - once: libvirt's own words on stderr are not ours */
void ballast_virt_init(void)
{
	virSetErrorFunc(NULL, nothing);
}

/** ballast_virt_error() - the last error, in words */
const char *ballast_virt_error(void)
{
	virErrorPtr error = virGetLastError();

	return error && error->message ? error->message : "no reason given";
}

static int read_pid(const char *directory, const char *name, pid_t *pid)
{
	char path[512], text[32];
	uint64_t number;
	int n;

	snprintf(path, sizeof(path), "%s/%s.pid", directory, name);
	n = ballast_host_read(path, text, sizeof(text));
	if (n < 0)
		return n;
	if (ballast_parse_u64(text, &number) || number < 1 || number > INT32_MAX)
		return -EINVAL;
	*pid = (pid_t)number;
	return 0;
}

/**
 * ballast_virt_pid() - the process of a domain that runs
 * @domain: the domain
 * @pid: result
 * @why: on error, in words
 * @room: of @why
 *
 * Return: 0; -ENOENT: no pid file; -ESRCH: it is another guest's, or nobody's.
 */
int ballast_virt_pid(virDomainPtr domain, pid_t *pid, char *why, size_t room)
{
	const char *name = virDomainGetName(domain);
	char uuid[VIR_UUID_STRING_BUFLEN] = "";
	struct ballast_cmdline cmdline;

	if (!name || virDomainGetUUIDString(domain, uuid) < 0) {
		snprintf(why, room, "%s", ballast_virt_error());
		return -ENOENT;
	}
	if (read_pid("/run/libvirt/qemu", name, pid) &&
	    read_pid("/var/run/libvirt/qemu", name, pid)) {
		snprintf(why, room, "no pid file in /run/libvirt/qemu");
		return -ENOENT;
	}
	if (ballast_cmdline_read(*pid, &cmdline) ||
	    (strcmp(cmdline.uuid, uuid) && strcmp(cmdline.name, name))) {
		snprintf(why, room, "process %d of its pid file is not this guest", (int)*pid);
		return -ESRCH;
	}
	return 0;
}

/**
 * ballast_virt_settings() - what the domain's metadata says
 * @domain: the domain
 * @settings: result; none, if there is no metadata of ours
 * @why: on error, in words
 * @room: of @why
 *
 * Return: 0; -EINVAL or -ERANGE if it is not readable; -EIO.
 */
int ballast_virt_settings(virDomainPtr domain, struct ballast_settings *settings,
			  char *why, size_t room)
{
	char *xml = virDomainGetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT,
					 BALLAST_XMLNS, 0);
	int err;

	memset(settings, 0, sizeof(*settings));
	if (!xml) {
		virErrorPtr error = virGetLastError();

		if (error && error->code == VIR_ERR_NO_DOMAIN_METADATA)
			return 0;
		snprintf(why, room, "%s", ballast_virt_error());
		return -EIO;
	}
	err = ballast_xml_metadata(xml, settings, why, room);
	free(xml);
	return err;
}

/**
 * ballast_virt_save_settings() - write them to the metadata
 * @domain: the domain; of the running one too, if it runs
 * @settings: all of them, not only what changes
 *
 * Return: 0, -ENOMEM or -EIO (then see ballast_virt_error()).
 */
int ballast_virt_save_settings(virDomainPtr domain,
			       const struct ballast_settings *settings)
{
	unsigned int flags = 0;
	char *xml;
	int err;

	if (virDomainIsActive(domain) == 1)
		flags |= VIR_DOMAIN_AFFECT_LIVE;
	if (virDomainIsPersistent(domain) == 1)
		flags |= VIR_DOMAIN_AFFECT_CONFIG;
	xml = ballast_xml_memory_element(settings);
	if (!xml)
		return -ENOMEM;
	err = virDomainSetMetadata(domain, VIR_DOMAIN_METADATA_ELEMENT, xml, "ballast",
				   BALLAST_XMLNS, flags);
	free(xml);
	return err < 0 ? -EIO : 0;
}

static uint64_t parameter(virDomainStatsRecordPtr record, const char *name,
			  uint64_t unsaid)
{
	unsigned long long value = 0;

	if (virTypedParamsGetULLong(record->params, record->nparams, name, &value) != 1)
		return unsaid;
	return value;
}

/* libvirt counts memory in KiB; the guest may have said anything */
static uint64_t bytes_parameter(virDomainStatsRecordPtr record, const char *name,
				uint64_t unsaid)
{
	uint64_t kib = parameter(record, name, BALLAST_STAT_UNSAID);

	if (kib == BALLAST_STAT_UNSAID)
		return unsaid;
	return kib > UINT64_MAX >> 10 ? UINT64_MAX - 1 : kib << 10;
}

static bool is_running(virDomainStatsRecordPtr record)
{
	int state = VIR_DOMAIN_RUNNING;

	virTypedParamsGetInt(record->params, record->nparams, "state.state", &state);
	return state == VIR_DOMAIN_RUNNING || state == VIR_DOMAIN_BLOCKED;
}

/**
 * ballast_virt_read_report() - take out of a record what matters here
 * @record: with groups STATE and BALLOON
 * @report: result
 */
void ballast_virt_read_report(virDomainStatsRecordPtr record,
			      struct ballast_virt_report *report)
{
	struct ballast_guest_stats *stats = &report->stats;

	report->ram_bytes = bytes_parameter(record, "balloon.maximum", 0);
	report->present_bytes = bytes_parameter(record, "balloon.current", 0);
	report->running = is_running(record);
	stats->available_bytes = bytes_parameter(record, "balloon.usable",
						 BALLAST_STAT_UNSAID);
	stats->total_bytes = bytes_parameter(record, "balloon.available",
					     BALLAST_STAT_UNSAID);
	stats->swap_in_bytes = bytes_parameter(record, "balloon.swap_in",
					       BALLAST_STAT_UNSAID);
	stats->major_faults = parameter(record, "balloon.major_fault",
					BALLAST_STAT_UNSAID);
	stats->oom_kills = BALLAST_STAT_UNSAID;
	stats->updated_s = parameter(record, "balloon.last-update", 0);
}

/**
 * ballast_virt_set_ram() - leave a running guest so much
 * @domain: the domain
 * @bytes: its memory less its balloon
 *
 * Return: 0 or -EIO (then see ballast_virt_error()).
 */
int ballast_virt_set_ram(virDomainPtr domain, uint64_t bytes)
{
	return virDomainSetMemoryFlags(domain, bytes >> 10, VIR_DOMAIN_AFFECT_LIVE) < 0 ?
		-EIO : 0;
}
