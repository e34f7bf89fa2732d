/* SPDX-License-Identifier: GPL-2.0 */
/* The seam to libvirt: what the daemon and the tool both ask of it. */
#ifndef BALLAST_TOOLS_VIRT_H
#define BALLAST_TOOLS_VIRT_H

#include <libvirt/libvirt.h>
#include <sys/types.h>

#include "guest_stats.h"
#include "settings.h"

/**
 * struct ballast_virt_report - one domain, in virConnectGetAllDomainStats()
 * @ram_bytes: all its memory; 0: not said
 * @present_bytes: what the balloon leaves it; 0: not said
 * @running: neither paused nor migrating
 * @stats: the guest's word
 */
struct ballast_virt_report {
	uint64_t ram_bytes;
	uint64_t present_bytes;
	bool running;
	struct ballast_guest_stats stats;
};

void ballast_virt_init(void);
const char *ballast_virt_error(void);
int ballast_virt_pid(virDomainPtr domain, pid_t *pid, char *why, size_t room);
int ballast_virt_settings(virDomainPtr domain, struct ballast_settings *settings,
			  char *why, size_t room);
int ballast_virt_save_settings(virDomainPtr domain,
			       const struct ballast_settings *settings);
void ballast_virt_read_report(virDomainStatsRecordPtr record,
			      struct ballast_virt_report *report);
int ballast_virt_set_ram(virDomainPtr domain, uint64_t bytes);

#endif /* BALLAST_TOOLS_VIRT_H */
