// SPDX-License-Identifier: GPL-2.0
/* /sys/kernel/ballast/policy and sampling: how memory is divided, idleness measured. */
#include <linux/mutex.h>

#include "../engine/engine.h"
#include "../kvm/sample.h"
#include "../policy/allocation.h"
#include "control.h"

#define DAY_MS	(24 * 3600 * 1000)

static struct kobject *policy, *sampling;
/* The four thresholds are checked against each other. */
static DEFINE_MUTEX(thresholds_lock);

static const char * const modes[] = { "observe", "enforce" };
static const char * const presets[] = { "classic", "sliding" };
static const char * const methods[] = { "off", "fault", "accessed" };

static ssize_t kicked(ssize_t stored)
{
	if (stored > 0)
		ballast_engine_kick();
	return stored;
}

#define SHOW(dir, name, format, value) \
static ssize_t show_##dir##_##name(struct kobject *kobj, \
				   struct kobj_attribute *attr, char *buf) \
{ \
	return sysfs_emit(buf, format "\n", value); \
}
#define STORE(dir, name, expression) \
static ssize_t store_##dir##_##name(struct kobject *kobj, \
				    struct kobj_attribute *attr, \
				    const char *buf, size_t count) \
{ \
	return kicked(expression); \
}
#define NUMBER(dir, tunables, name, min, max) \
	SHOW(dir, name, "%u", READ_ONCE(tunables.name)) \
	STORE(dir, name, ballast_store_u32(buf, count, &tunables.name, min, max))
#define TOKEN(dir, name, word, tokens) \
	SHOW(dir, name, "%s", tokens[READ_ONCE(word)]) \
	STORE(dir, name, ballast_store_token(buf, count, &word, tokens, \
					     ARRAY_SIZE(tokens)))

TOKEN(policy, mode, ballast_policy_tunables.mode, modes)
BALLAST_ATTR_RW(policy, mode);
TOKEN(policy, thresholds, ballast_policy_tunables.sliding, presets)
BALLAST_ATTR_RW(policy, thresholds);
NUMBER(policy, ballast_policy_tunables, tax_bp, 0, BALLAST_TAX_BP_MAX)
BALLAST_ATTR_RW(policy, tax_bp);
NUMBER(policy, ballast_policy_tunables, balance_period_ms, 1000, 3600 * 1000)
BALLAST_ATTR_RW(policy, balance_period_ms);
NUMBER(policy, ballast_policy_tunables, balloon_max_bp, 0, 9900)
BALLAST_ATTR_RW(policy, balloon_max_bp);
NUMBER(policy, ballast_policy_tunables, step_bp, 1, BALLAST_BP)
BALLAST_ATTR_RW(policy, step_bp);
NUMBER(policy, ballast_policy_tunables, dead_band_bp, 0, 2000)
BALLAST_ATTR_RW(policy, dead_band_bp);
NUMBER(policy, ballast_policy_tunables, soft_wait_ms, 0, DAY_MS)
BALLAST_ATTR_RW(policy, soft_wait_ms);

/* high >= soft >= hard >= low, always. */
static ssize_t store_threshold(const char *buf, size_t count, unsigned int which)
{
	u32 *bp = ballast_policy_tunables.state_bp;
	u32 min, max;
	ssize_t stored;

	mutex_lock(&thresholds_lock);
	min = which + 1 < BALLAST_STATE_NR ? bp[which + 1] : 0;
	max = which ? bp[which - 1] : BALLAST_BP / 2;
	stored = ballast_store_u32(buf, count, &bp[which], min, max);
	mutex_unlock(&thresholds_lock);
	return stored;
}

#define THRESHOLD(name, which) \
	SHOW(policy, name, "%u", READ_ONCE(ballast_policy_tunables.state_bp[which])) \
	STORE(policy, name, store_threshold(buf, count, which))

THRESHOLD(high_bp, BALLAST_STATE_HIGH)
BALLAST_ATTR_RW(policy, high_bp);
THRESHOLD(soft_bp, BALLAST_STATE_SOFT)
BALLAST_ATTR_RW(policy, soft_bp);
THRESHOLD(hard_bp, BALLAST_STATE_HARD)
BALLAST_ATTR_RW(policy, hard_bp);
THRESHOLD(low_bp, BALLAST_STATE_LOW)
BALLAST_ATTR_RW(policy, low_bp);

static const struct attribute *policy_attributes[] = {
	&policy_mode.attr,
	&policy_thresholds.attr,
	&policy_tax_bp.attr,
	&policy_balance_period_ms.attr,
	&policy_balloon_max_bp.attr,
	&policy_step_bp.attr,
	&policy_dead_band_bp.attr,
	&policy_soft_wait_ms.attr,
	&policy_high_bp.attr,
	&policy_soft_bp.attr,
	&policy_hard_bp.attr,
	&policy_low_bp.attr,
	NULL
};

TOKEN(sampling, method, ballast_sampling_tunables.method, methods)
BALLAST_ATTR_RW(sampling, method);
NUMBER(sampling, ballast_sampling_tunables, pages_per_period, 10, BALLAST_SAMPLES_MAX)
BALLAST_ATTR_RW(sampling, pages_per_period);
NUMBER(sampling, ballast_sampling_tunables, period_ms, 500, DAY_MS)
BALLAST_ATTR_RW(sampling, period_ms);

static const struct attribute *sampling_attributes[] = {
	&sampling_method.attr,
	&sampling_pages_per_period.attr,
	&sampling_period_ms.attr,
	NULL
};

int __init ballast_control_policy_init(struct kobject *root)
{
	int err = -ENOMEM;

	policy = kobject_create_and_add("policy", root);
	sampling = kobject_create_and_add("sampling", root);
	if (policy && sampling)
		err = sysfs_create_files(policy, policy_attributes) ?:
		      sysfs_create_files(sampling, sampling_attributes);
	if (err)
		ballast_control_policy_exit();
	return err;
}

void ballast_control_policy_exit(void)
{
	kobject_put(policy);
	kobject_put(sampling);
}
