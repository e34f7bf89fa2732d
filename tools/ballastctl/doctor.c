// SPDX-License-Identifier: GPL-2.0
/*
 * ballastctl doctor: what is wrong, and the one command that mends it.
 *
 * DOC: Each examination says one finding: well, wrong, or not to be seen from
 * here (which is not wrong).  Nothing is changed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <uapi/linux/ballast.h>

#include "../lib/domain_xml.h"
#include "../lib/host.h"
#include "../lib/mounts.h"
#include "../lib/virt.h"
#include "ctl.h"

/* the version that has VMs: without them there is nothing to manage */
#define ABI_LEAST	2

struct doctor {
	const struct ctl *ctl;
	struct json_object *findings;
	int wrong;
};

/* doctor_ctl() - the options */
const struct ctl *doctor_ctl(const struct doctor *doctor)
{
	return doctor->ctl;
}

/* doctor_wrong() - how much was found wrong so far */
int doctor_wrong(const struct doctor *doctor)
{
	return doctor->wrong;
}

/* doctor_find() - @mend: a command, or NULL; then what is found, in words */
void doctor_find(struct doctor *doctor, const char *what, enum verdict verdict,
		 const char *mend, const char *format, ...)
{
	static const char *const words[] = { "ok", "wrong", "unknown" };
	struct json_object *finding = json_object_new_object();
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	doctor->wrong += verdict == WRONG;
	json_object_object_add(finding, "check", json_object_new_string(what));
	json_object_object_add(finding, "verdict", json_object_new_string(words[verdict]));
	json_object_object_add(finding, "finding", json_object_new_string(text));
	if (mend && verdict == WRONG)
		json_object_object_add(finding, "mend", json_object_new_string(mend));
	json_object_array_add(doctor->findings, finding);
	if (doctor->ctl->json)
		return;
	printf("%-8s %-16s %s\n", words[verdict], what, text);
	if (mend && verdict == WRONG)
		printf("%-8s %-16s   %s\n", "", "", mend);
}

static bool host_has(const char *path)
{
	char full[512];

	ballast_host_path(path, full, sizeof(full));
	return !access(full, F_OK);
}

static bool module_is_there(const struct doctor *doctor)
{
	return !access(doctor->ctl->sysfs.root, F_OK);
}

static void examine_module(struct doctor *doctor)
{
	uint64_t version;

	if (!module_is_there(doctor)) {
		doctor_find(doctor, "module", WRONG, "modprobe ballast", "it is not loaded");
		return;
	}
	doctor_find(doctor, "module", WELL, NULL, "loaded");
	if (ballast_sysfs_read_u64(&doctor->ctl->sysfs, "abi_version", &version))
		doctor_find(doctor, "abi", WRONG, "make install && modprobe -r ballast && modprobe ballast",
			    "the module does not tell its version");
	else if (version < ABI_LEAST || !ballast_sysfs_present(&doctor->ctl->sysfs))
		doctor_find(doctor, "abi", WRONG, "make install && modprobe -r ballast && modprobe ballast",
			    "the module (version %" PRIu64 ") is older than these tools (%d)", version,
			    BALLAST_ABI_VERSION);
	else if (version < BALLAST_ABI_VERSION)
		doctor_find(doctor, "abi", WELL, NULL,
			    "version %" PRIu64 ", of the %d that these tools know", version,
			    BALLAST_ABI_VERSION);
	else
		doctor_find(doctor, "abi", WELL, NULL, "version %" PRIu64, version);
}

static void examine_mode(struct doctor *doctor)
{
	char mode[BALLAST_VALUE_MAX];

	if (!ballast_sysfs_read(&doctor->ctl->sysfs, "policy/mode", mode))
		doctor_find(doctor, "mode", WELL, NULL, "%s%s", mode, strcmp(mode, "observe") ? "" :
			    ": targets are computed, nothing is moved");
}

static bool file_has_line(const char *path, const char *word)
{
	char full[512], *line = NULL;
	bool found = false;
	size_t room = 0;
	FILE *f;

	ballast_host_path(path, full, sizeof(full));
	f = fopen(full, "r");
	while (f && !found && getline(&line, &room, f) > 0)
		found = strstr(line, word);
	free(line);
	if (f)
		fclose(f);
	return found;
}

static void examine_kvm(struct doctor *doctor)
{
	if (!host_has("/sys/module/kvm")) {
		doctor_find(doctor, "kvm", WRONG, "modprobe -a kvm_intel kvm_amd",
			    "KVM is not there: no VM, and nothing to measure");
		return;
	}
	if (!file_has_line("/proc/kallsyms", "kvm_page_fault"))
		doctor_find(doctor, "kvm", WRONG, "apt-get install linux-image-amd64",
			    "this kernel's KVM lacks the tracepoint kvm_page_fault: idle memory "
			    "cannot be measured");
	else
		doctor_find(doctor, "kvm", WELL, NULL, "loaded, with the tracepoint kvm_page_fault");
}

static void examine_mount(struct doctor *doctor)
{
	struct ballast_mount mount;

	if (ballast_mount_first(&mount))
		doctor_find(doctor, "mount", WRONG, "mkdir -p /run/ballast/vms && mount -t ballastfs "
			    "-o size=50% none /run/ballast/vms",
			    "no ballastfs is mounted: VMs are measured and ballooned, nothing is shared");
	else
		doctor_find(doctor, "mount", WELL, NULL, "ballastfs at %s", mount.directory);
}

static void examine_backing(struct doctor *doctor)
{
	char directory[512] = "", mend[1200];
	struct ballast_mount on, first;
	int err = ballast_memory_backing_dir(directory, sizeof(directory));

	ballast_mount_first(&first);
	/* of several libvirt takes the first: to add one is of no use where there is one */
	snprintf(mend, sizeof(mend), err ?
		 "echo 'memory_backing_dir = \"%s\"' >>/etc/libvirt/qemu.conf "
		 "&& systemctl restart libvirtd" :
		 "sed -i 's|^ *memory_backing_dir.*|memory_backing_dir = \"%s\"|' "
		 "/etc/libvirt/qemu.conf && systemctl restart libvirtd",
		 *first.directory ? first.directory : "/run/ballast/vms");
	if (err && err != -ENODATA)
		doctor_find(doctor, "libvirt", UNSEEN, NULL, "no /etc/libvirt/qemu.conf to read");
	else if (err)
		doctor_find(doctor, "libvirt", WRONG, mend,
			    "memory_backing_dir is not set: adopted domains' memory would lie on disk");
	else if (ballast_mount_find(directory, &on))
		doctor_find(doctor, "libvirt", WRONG, mend,
			    "memory_backing_dir %s is not on a ballastfs", directory);
	else
		doctor_find(doctor, "libvirt", WELL, NULL, "memory_backing_dir is %s", directory);
}

static void examine_period(struct doctor *doctor, virDomainPtr domain)
{
	const char *name = virDomainGetName(domain);
	char *xml = virDomainGetXMLDesc(domain, 0), mend[256];
	unsigned int period = xml ? ballast_xml_stats_period(xml) : 0;

	snprintf(mend, sizeof(mend), "virsh dommemstat %s --period 10 --live", name);
	if (xml && !ballast_xml_has_balloon(xml))
		doctor_find(doctor, "stats", WRONG, "virsh edit DOMAIN  # <memballoon model='virtio'/>",
			    "%s has no balloon device", name);
	else if (xml && !period)
		doctor_find(doctor, "stats", WRONG, mend, "%s sends no statistics", name);
	else if (xml)
		doctor_find(doctor, "stats", WELL, NULL, "%s sends statistics every %u s", name, period);
	free(xml);
}

static void examine_domains(struct doctor *doctor)
{
	virDomainPtr *list = NULL;
	virConnectPtr conn;
	int count, i;

	ballast_virt_init();
	conn = virConnectOpenReadOnly(doctor->ctl->uri);
	if (!conn) {
		doctor_find(doctor, "stats", UNSEEN, NULL, "libvirt (%s): %s", doctor->ctl->uri,
			    ballast_virt_error());
		return;
	}
	count = virConnectListAllDomains(conn, &list, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
	for (i = 0; i < count; i++) {
		examine_period(doctor, list[i]);
		virDomainFree(list[i]);
	}
	free(list);
	virConnectClose(conn);
}

static void examine_balloon(struct doctor *doctor, const struct vm_view *vm)
{
	const char *state = vm->balloon_state;

	if (!strcmp(state, "none"))
		doctor_find(doctor, "balloon", WRONG, "modprobe virtio_balloon  # in the guest",
			    "%s (%d): no device, or no driver in the guest", vm->name, (int)vm->pid);
	else if (!strcmp(state, "stuck") || !strcmp(state, "uncooperative"))
		doctor_find(doctor, "balloon", WRONG,
			    "modprobe -r virtio_balloon && modprobe virtio_balloon  # in the guest",
			    "%s (%d): %s, holds %s", vm->name, (int)vm->pid, state,
			    size_text(vm->balloon_bytes));
	else if (!strcmp(state, "unknown"))
		doctor_find(doctor, "balloon", UNSEEN, NULL, "%s (%d): nobody has looked yet", vm->name,
			    (int)vm->pid);
	else
		doctor_find(doctor, "balloon", WELL, NULL, "%s (%d): %s", vm->name, (int)vm->pid, state);
}

static void examine_balloons(struct doctor *doctor)
{
	struct vm_view *vms;
	size_t count, i;

	view_vms(doctor->ctl, &vms, &count);
	for (i = 0; i < count; i++)
		examine_balloon(doctor, &vms[i]);
	free(vms);
}

static void examine_lockdown(struct doctor *doctor)
{
	char text[128];

	if (ballast_host_read("/sys/kernel/security/lockdown", text, sizeof(text)) < 0) {
		doctor_find(doctor, "lockdown", UNSEEN, NULL, "the kernel does not tell");
		return;
	}
	if (strstr(text, "[none]"))
		doctor_find(doctor, "lockdown", WELL, NULL, "none");
	else if (module_is_there(doctor))
		doctor_find(doctor, "lockdown", WELL, NULL, "on, and the module is signed");
	else
		doctor_find(doctor, "lockdown", WRONG, "/usr/src/linux-headers-$(uname -r)/scripts/sign-file "
			    "sha256 MOK.priv MOK.der $(modinfo -n ballast)",
			    "on (Secure Boot): the module must be signed with an enrolled key");
}

static void examine_ksm(struct doctor *doctor)
{
	char text[16];

	if (ballast_host_read("/sys/kernel/mm/ksm/run", text, sizeof(text)) < 0)
		doctor_find(doctor, "ksm", WELL, NULL, "the kernel has none");
	else if (*text == '1')
		doctor_find(doctor, "ksm", WRONG, "systemctl disable --now ksmtuned ksm; "
			    "echo 2 >/sys/kernel/mm/ksm/run",
			    "it runs as well: two that merge pages work against each other");
	else
		doctor_find(doctor, "ksm", WELL, NULL, "does not run");
}

/*
 * By the kernel's list: to try the lock would be to have it for a moment, in which the daemon
 * could not start; and who is not root may not open the file.
 */
static bool is_locked(const struct stat *file)
{
	char *line = NULL, of_it[64];
	bool found = false;
	size_t room = 0;
	FILE *f = fopen("/proc/locks", "re");

	snprintf(of_it, sizeof(of_it), " %02x:%02x:%ju ", major(file->st_dev), minor(file->st_dev),
		 (uintmax_t)file->st_ino);
	while (f && !found && getline(&line, &room, f) > 0)
		found = strstr(line, " FLOCK ") && strstr(line, " WRITE ") && strstr(line, of_it);
	free(line);
	if (f)
		fclose(f);
	return found;
}

static void examine_daemon(struct doctor *doctor)
{
	const char *directory = getenv("BALLAST_STATE_DIR");
	struct stat file;
	char path[512];

	snprintf(path, sizeof(path), "%s/lock",
		 directory && *directory ? directory : "/run/ballastd");
	if (stat(path, &file) || !is_locked(&file))
		doctor_find(doctor, "ballastd", WRONG, "systemctl enable --now ballastd",
			    "it does not run: nobody moves balloons");
	else
		doctor_find(doctor, "ballastd", WELL, NULL, "runs");
}

/** ctl_doctor() - ballastctl doctor */
int ctl_doctor(struct ctl *ctl, int argc, char **argv)
{
	struct doctor doctor = { .ctl = ctl };
	struct json_object *object;

	(void)argv;
	if (argc)
		return CTL_USAGE;
	doctor.findings = json_object_new_array();
	examine_module(&doctor);
	examine_mode(&doctor);
	examine_kvm(&doctor);
	examine_mount(&doctor);
	examine_backing(&doctor);
	examine_domains(&doctor);
	examine_balloons(&doctor);
	doctor_examine_pools(&doctor);
	examine_lockdown(&doctor);
	examine_ksm(&doctor);
	examine_daemon(&doctor);
	if (ctl->json) {
		object = json_object_new_object();
		json_object_object_add(object, "wrong", json_object_new_int(doctor.wrong));
		json_object_object_add(object, "findings", doctor.findings);
		print_json(object);
	} else {
		json_object_put(doctor.findings);
	}
	return doctor.wrong ? CTL_FAILED : CTL_OK;
}
