/* SPDX-License-Identifier: GPL-2.0 */
/* How much of its memory a VM uses: statistical sampling (ESX paper, section 5.3). */
#ifndef BALLAST_KVM_SAMPLE_H
#define BALLAST_KVM_SAMPLE_H

#include "vm.h"

/**
 * enum ballast_sampling_method - how a touch is seen
 * @BALLAST_SAMPLING_OFF: not at all
 * @BALLAST_SAMPLING_FAULT: the page's mapping is taken away, its fault counts
 * @BALLAST_SAMPLING_ACCESSED: the mapping's accessed bit is cleared and read
 */
enum ballast_sampling_method {
	BALLAST_SAMPLING_OFF,
	BALLAST_SAMPLING_FAULT,
	BALLAST_SAMPLING_ACCESSED,
	BALLAST_SAMPLING_NR,
};

/**
 * struct ballast_sampling_tunables - written by sysfs, one word each
 * @method: enum ballast_sampling_method
 * @pages_per_period: sample size, 10 to BALLAST_SAMPLES_MAX
 * @period_ms: of the VM's run time
 */
struct ballast_sampling_tunables {
	unsigned int method;
	unsigned int pages_per_period;
	unsigned int period_ms;
};

extern struct ballast_sampling_tunables ballast_sampling_tunables;

void ballast_sample_touch(struct ballast_guest *guest, u64 gfn);
void ballast_sample_tick(struct ballast_vm *vm, unsigned int elapsed_ms);
void ballast_sample_drop(struct ballast_vm *vm);
void ballast_sample_forget(struct ballast_guest *guest);
u64 ballast_sample_faults(struct ballast_vm *vm, bool neighbours);

#endif /* BALLAST_KVM_SAMPLE_H */
