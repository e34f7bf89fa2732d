/* SPDX-License-Identifier: GPL-2.0 */
/* The periodic tick: look, divide, publish. */
#ifndef BALLAST_ENGINE_ENGINE_H
#define BALLAST_ENGINE_ENGINE_H

#include "../kvm/vm.h"
#include "../policy/state.h"

/**
 * enum ballast_mode - what becomes of the targets
 * @BALLAST_MODE_OBSERVE: computed and shown
 * @BALLAST_MODE_ENFORCE: balloons follow them
 */
enum ballast_mode {
	BALLAST_MODE_OBSERVE,
	BALLAST_MODE_ENFORCE,
	BALLAST_MODE_NR,
};

/**
 * struct ballast_policy_tunables - written by sysfs, one word each
 * @mode: enum ballast_mode
 * @tax_bp: idle memory tax of VMs that have none of their own
 * @balance_period_ms: targets are divided anew at least this often
 * @balloon_max_bp: of a VM's size
 * @step_bp: a balloon moves at most this share of its VM's size a second
 * @dead_band_bp: less of a VM's size is not worth a move
 * @soft_wait_ms: how long state soft waits for balloons before pages are taken
 * @sliding: thresholds as ESXi's sliding minFree, not @state_bp
 * @state_bp: thresholds, in basis points of the pool; [0] for high
 * @host_limit_pages: what VMs on ordinary memory may have in all; 0: no limit
 */
struct ballast_policy_tunables {
	u32 mode;
	u32 tax_bp;
	u32 balance_period_ms;
	u32 balloon_max_bp;
	u32 step_bp;
	u32 dead_band_bp;
	u32 soft_wait_ms;
	u32 sliding;
	u32 state_bp[BALLAST_STATE_NR];
	u64 host_limit_pages;
};

/**
 * struct ballast_host - the pool "host"; written by the engine
 * @size_pages: what its VMs may have
 * @used_pages: what they have
 * @free_pages: what there is left for them
 * @vms_available_pages: what its VMs divide
 * @vms_target_pages: sum of their targets
 * @state: enum ballast_state
 */
struct ballast_host {
	u64 size_pages;
	u64 used_pages;
	u64 free_pages;
	u64 vms_available_pages;
	u64 vms_target_pages;
	u32 state;
};

/**
 * struct ballast_engine_watcher - told of what the engine has changed
 * @balloon_moved: a VM's balloon target is another one
 * @state_changed: a pool's state is; NULL: the pool "host"
 * @vms_changed: a VM has come or gone
 *
 * One watcher, the control layer.  Called under ballast_vms_lock, and
 * @state_changed also under ballast_pools_lock; must not wait for readers.
 */
struct ballast_engine_watcher {
	void (*balloon_moved)(struct ballast_vm *vm);
	void (*state_changed)(struct ballast_pool *pool);
	void (*vms_changed)(void);
};

extern struct ballast_policy_tunables ballast_policy_tunables;
extern struct ballast_host ballast_host;

int ballast_engine_init(const struct ballast_engine_watcher *watcher);
void ballast_engine_exit(void);
void ballast_engine_kick(void);

/* balance.c */
void ballast_balance(bool do_divide, bool do_plan,
		     const struct ballast_engine_watcher *watcher);
bool ballast_balance_states(const struct ballast_engine_watcher *watcher);
int ballast_balance_reserve(size_t vms);
void ballast_balance_exit(void);

#endif /* BALLAST_ENGINE_ENGINE_H */
