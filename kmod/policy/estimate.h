/* SPDX-License-Identifier: GPL-2.0 */
/* How much of its memory a VM uses: averages of samples (ESX paper, section 5.3). */
#ifndef BALLAST_POLICY_ESTIMATE_H
#define BALLAST_POLICY_ESTIMATE_H

#include "env.h"

/**
 * struct ballast_estimate - what is known of one VM's activity
 * @slow: slow moving average of the fraction touched, Q16.16 of a whole
 * @fast: fast moving average
 * @periods: sampling periods completed
 * @touched: sampled pages touched in the running period
 * @sampled: pages sampled in the running period; 0: none under way
 *
 * Zeroed: nothing is known, the VM counts as fully active.
 */
struct ballast_estimate {
	u32 slow;
	u32 fast;
	u32 periods;
	u32 touched;
	u32 sampled;
};

void ballast_estimate_begin(struct ballast_estimate *estimate, u32 sampled);
void ballast_estimate_progress(struct ballast_estimate *estimate, u32 touched);
void ballast_estimate_end(struct ballast_estimate *estimate, u32 touched);
u32 ballast_estimate_active_bp(const struct ballast_estimate *estimate);
u32 ballast_estimate_slow_bp(const struct ballast_estimate *estimate);
u32 ballast_estimate_fast_bp(const struct ballast_estimate *estimate);
u32 ballast_estimate_running_bp(const struct ballast_estimate *estimate);
u32 ballast_estimate_error_bp(const struct ballast_estimate *estimate,
			      u32 sampled);

#endif /* BALLAST_POLICY_ESTIMATE_H */
