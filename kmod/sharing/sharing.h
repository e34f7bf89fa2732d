/* SPDX-License-Identifier: GPL-2.0 */
/* Content-based page sharing: what other layers may ask of it. */
#ifndef BALLAST_SHARING_SHARING_H
#define BALLAST_SHARING_SHARING_H

#include "../memory/map.h"
#include "../memory/pool.h"

/**
 * enum ballast_sharing_run - as KSM's run file
 * @BALLAST_RUN_STOP: no scanning; what is shared stays shared
 * @BALLAST_RUN_SCAN: scan
 * @BALLAST_RUN_UNSHARE: no scanning, and every page was made private
 */
enum ballast_sharing_run {
	BALLAST_RUN_STOP,
	BALLAST_RUN_SCAN,
	BALLAST_RUN_UNSHARE,
};

/**
 * struct ballast_sharing_tunables - how much work the scanner may do
 * @rate_pages_per_s: slots scanned a second, all VMs together; 0: no limit
 * @vm_rate_pages_per_s: the same for each VM (file); 0: no limit
 * @cpu_percent: of one CPU, 1 to 100
 * @pass_min_ms: a pass over all memory starts no sooner than this after the
 *	start of the one before it
 * @smart_scan: 1: pages whose content stays the same are looked at in every
 *	second, fourth, eighth pass only; 0: all in every pass
 *
 * Written by sysfs, one word each; the scanner reads each once a slice.
 */
struct ballast_sharing_tunables {
	unsigned int rate_pages_per_s;
	unsigned int vm_rate_pages_per_s;
	unsigned int cpu_percent;
	unsigned int pass_min_ms;
	unsigned int smart_scan;
};

extern struct ballast_sharing_tunables ballast_sharing_tunables;

int ballast_sharing_init(void);
void ballast_sharing_exit(void);
int ballast_sharing_add_pool(struct ballast_pool *pool);
void ballast_sharing_remove_pool(struct ballast_pool *pool);

int ballast_sharing_set_mode(struct ballast_pool *pool, int mode);
int ballast_sharing_set_run(int run);
int ballast_sharing_run(void);
void ballast_sharing_kick(void);
unsigned int ballast_sharing_try(struct ballast_block *block, unsigned long *slots);
u64 ballast_sharing_full_scans(void);
u64 ballast_sharing_cpu_ns(void);
u64 ballast_sharing_index_bytes(struct ballast_pool *pool);

#endif /* BALLAST_SHARING_SHARING_H */
