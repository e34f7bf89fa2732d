// SPDX-License-Identifier: GPL-2.0
/*
 * The engine: a kthread that looks at all VMs about once a second.
 *
 * DOC: A tick adopts VMs that came, lets go those that went, updates what each
 * has, lets the sampling go on and finds the pools' states.  Targets are divided
 * every balance_period_ms, and at once when a VM came or went, a pool changed
 * its state, or somebody wrote a setting; the balloons' next step is planned
 * once a second.  A fault of an unknown VM and every write to a setting wake it.
 *
 * Locks: a tick runs under ballast_vms_lock.  The kthread is the only one that
 * changes the list of VMs and what is in it.
 */
#include <linux/freezer.h>
#include <linux/kthread.h>
#include <linux/wait.h>

#include "../kvm/sample.h"
#include "../kvm/tap.h"
#include "../kvm/vendor.h"
#include "engine.h"

#define TICK_MAX_MS	1000U
#define TICK_MIN_MS	100U

struct ballast_policy_tunables ballast_policy_tunables = {
	.mode = BALLAST_MODE_OBSERVE,
	.tax_bp = 7500,
	.balance_period_ms = 15000,
	.balloon_max_bp = 6500,
	.step_bp = 1000,
	.dead_band_bp = 100,
	.soft_wait_ms = 20000,
	.state_bp = { 600, 400, 200, 100 },
};

static struct task_struct *engine;
static const struct ballast_engine_watcher *the_watcher;
static DECLARE_WAIT_QUEUE_HEAD(engine_wait);
static atomic_t kicked;

/* Of the engine's thread alone. */
static ktime_t last_tick;
static ktime_t last_division;
static ktime_t last_plan;
static ktime_t last_look;
static bool want_division;

/* ballast_engine_kick() - something has changed; any context */
void ballast_engine_kick(void)
{
	atomic_set(&kicked, 1);
	wake_up(&engine_wait);
}

static unsigned int tick_ms(void)
{
	return clamp(READ_ONCE(ballast_sampling_tunables.period_ms) / 10,
		     TICK_MIN_MS, TICK_MAX_MS);
}

static bool is_due(ktime_t now, ktime_t last, unsigned int ms)
{
	return ktime_ms_delta(now, last) >= ms;
}

/* Without sampling nothing is tapped: VMs run as if we were not there. */
static void follow_method(void)
{
	if (READ_ONCE(ballast_sampling_tunables.method) != BALLAST_SAMPLING_OFF) {
		if (ballast_tap_open())
			pr_warn_once("ballast: kvm_page_fault cannot be tapped: VMs are found late\n");
	} else {
		ballast_tap_close();
	}
}

/*
 * VMs that no fault tells of: while nothing is tapped, when it was not a moment ago, and
 * those that could not be adopted.
 */
static void find_vms(ktime_t now)
{
	static bool was_open = true;
	bool is_open = ballast_tap_is_open(), opened = is_open && !was_open;
	unsigned int period_ms = READ_ONCE(ballast_policy_tunables.balance_period_ms);

	was_open = is_open;
	if (ballast_vms_missed())
		period_ms = TICK_MAX_MS;
	else if (is_open && !opened)
		return;
	if (opened || is_due(now, last_look, period_ms)) {
		ballast_vms_find();
		last_look = now;
	}
}

static size_t look_at_vms(unsigned int elapsed_ms)
{
	struct ballast_vm *vm;
	size_t count = 0;

	list_for_each_entry(vm, &ballast_vms, node) {
		ballast_usage_update(vm);
		ballast_sample_tick(vm, elapsed_ms);
		count++;
		cond_resched();
	}
	return count;
}

static void tick(bool was_kicked)
{
	ktime_t now = ktime_get();
	unsigned int elapsed_ms = min_t(s64, ktime_ms_delta(now, last_tick), 10 * TICK_MAX_MS);
	bool due, plan, changed;
	size_t count;

	due = is_due(now, last_division, READ_ONCE(ballast_policy_tunables.balance_period_ms));
	plan = is_due(now, last_plan, TICK_MAX_MS);
	last_tick = ktime_add_ms(last_tick, ktime_ms_delta(now, last_tick));

	mutex_lock(&ballast_vms_lock);
	follow_method();
	find_vms(now);
	want_division |= due | was_kicked;
	changed = ballast_vms_update();
	count = look_at_vms(elapsed_ms);
	want_division |= changed;
	if (!ballast_balance_reserve(count)) {
		want_division |= ballast_balance_states(the_watcher);
		ballast_balance(want_division, plan, the_watcher);
		if (want_division)
			last_division = now;
		want_division = false;
	}
	if (changed)
		the_watcher->vms_changed();
	mutex_unlock(&ballast_vms_lock);

	if (plan)
		last_plan = now;
}

/* What is left of the shortest time between two ticks. */
static unsigned int rest_ms(void)
{
	s64 since = ktime_ms_delta(ktime_get(), last_tick);

	return since < TICK_MIN_MS ? TICK_MIN_MS - since : 0;
}

static bool is_idle(void)
{
	/* looked at without locks: who changes these kicks us, or it was ourselves */
	return list_empty(&ballast_vms) && list_empty(&ballast_pools) &&
	       ballast_tap_is_open() && !ballast_vendor_is_held() && !ballast_vms_missed();
}

/* No page of any VM is watched any more; its mappings become large again. */
static void stop_sampling(void)
{
	struct ballast_vm *vm;

	mutex_lock(&ballast_vms_lock);
	list_for_each_entry(vm, &ballast_vms, node)
		ballast_sample_drop(vm);
	mutex_unlock(&ballast_vms_lock);
}

static int engine_thread(void *unused)
{
	bool was_kicked;
	long timeout;

	set_freezable();
	while (!kthread_should_stop()) {
		timeout = is_idle() ? MAX_SCHEDULE_TIMEOUT : msecs_to_jiffies(tick_ms());
		wait_event_freezable_timeout(engine_wait, kthread_should_stop() ||
					     atomic_read(&kicked), timeout);
		/* kicks come from whoever can make a VM: not more ticks than these */
		wait_event_freezable_timeout(engine_wait, kthread_should_stop(),
					     msecs_to_jiffies(rest_ms()));
		if (kthread_should_stop())
			break;
		was_kicked = atomic_xchg(&kicked, 0);
		tick(was_kicked);
	}
	stop_sampling();
	return 0;
}

/**
 * ballast_engine_init() - find the VMs and look after them from now on
 * @watcher: whom to tell
 *
 * Return: 0 or an error.
 */
int ballast_engine_init(const struct ballast_engine_watcher *watcher)
{
	int err;

	the_watcher = watcher;
	last_tick = last_plan = last_look = ktime_get();
	err = ballast_vms_init(ballast_engine_kick);
	if (err)
		return err;
	engine = kthread_run(engine_thread, NULL, "ballast_engine");
	if (IS_ERR(engine)) {
		ballast_vms_exit();
		return PTR_ERR(engine);
	}
	ballast_engine_kick();
	return 0;
}

/* ballast_engine_exit() - let go of all VMs: they go on as they are */
void ballast_engine_exit(void)
{
	kthread_stop(engine);
	ballast_vms_exit();
	ballast_balance_exit();
}
