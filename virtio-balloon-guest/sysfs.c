// SPDX-License-Identifier: GPL-2.0
/*
 * What people in the guest can see: the directory "balloon" of the device.
 *
 * DOC: Documentation/ABI/testing/sysfs-bus-virtio-ballast-balloon has the words.
 */
#include "balloon.h"

#include <linux/device.h>
#include <linux/sysfs.h>

static struct ballast_balloon *balloon_of(struct device *dev)
{
	return dev_to_virtio(dev)->priv;
}

/* Each attribute is one number or word; @value is an expression of "balloon". */
#define BALLAST_SHOW(name, format, value)						\
	static ssize_t name##_show(struct device *dev, struct device_attribute *attr,	\
				   char *text)						\
	{										\
		struct ballast_balloon *balloon = balloon_of(dev);			\
		ssize_t length;								\
											\
		mutex_lock(&balloon->lock);						\
		length = sysfs_emit(text, format "\n", value);				\
		mutex_unlock(&balloon->lock);						\
		return length;								\
	}
#define BALLAST_ATTR_RO(directory, name) static DEVICE_ATTR_RO(name)

BALLAST_SHOW(target_bytes, "%llu", ballast_device_target_bytes(balloon))
BALLAST_ATTR_RO(balloon, target_bytes);
BALLAST_SHOW(self_target_bytes, "%llu", READ_ONCE(balloon->self_target_bytes))
BALLAST_ATTR_RO(balloon, self_target_bytes);
BALLAST_SHOW(actual_bytes, "%llu", ballast_held_pages(balloon) << PAGE_SHIFT)
BALLAST_ATTR_RO(balloon, actual_bytes);
BALLAST_SHOW(movable_bytes, "%llu", balloon->movable_pages << PAGE_SHIFT)
BALLAST_ATTR_RO(balloon, movable_bytes);
BALLAST_SHOW(huge_units, "%llu", ballast_ranges_huge_units(&balloon->ranges))
BALLAST_ATTR_RO(balloon, huge_units);
BALLAST_SHOW(floor_bytes, "%llu", ballast_floor_bytes(balloon))
BALLAST_ATTR_RO(balloon, floor_bytes);
BALLAST_SHOW(refused_bytes, "%llu", balloon->refused_bytes)
BALLAST_ATTR_RO(balloon, refused_bytes);
BALLAST_SHOW(refusals, "%llu", balloon->counters.refusals)
BALLAST_ATTR_RO(balloon, refusals);
BALLAST_SHOW(vetoes, "%llu", balloon->counters.vetoes)
BALLAST_ATTR_RO(balloon, vetoes);
BALLAST_SHOW(vetoes_psi_some, "%llu", balloon->counters.vetoes_by[BALLAST_REASON_PSI_SOME])
BALLAST_ATTR_RO(balloon, vetoes_psi_some);
BALLAST_SHOW(vetoes_psi_full, "%llu", balloon->counters.vetoes_by[BALLAST_REASON_PSI_FULL])
BALLAST_ATTR_RO(balloon, vetoes_psi_full);
BALLAST_SHOW(vetoes_swap_in, "%llu", balloon->counters.vetoes_by[BALLAST_REASON_SWAP_IN])
BALLAST_ATTR_RO(balloon, vetoes_swap_in);
BALLAST_SHOW(oom_give_backs, "%llu", balloon->counters.oom_give_backs)
BALLAST_ATTR_RO(balloon, oom_give_backs);
BALLAST_SHOW(short_steps, "%llu", balloon->counters.short_steps)
BALLAST_ATTR_RO(balloon, short_steps);
BALLAST_SHOW(last_reason, "%s", ballast_reason_token(balloon->last_reason))
BALLAST_ATTR_RO(balloon, last_reason);
BALLAST_SHOW(hold_off_ms, "%llu", ballast_hold_left_ms(&balloon->decider.hold, ballast_now_ms()))
BALLAST_ATTR_RO(balloon, hold_off_ms);
BALLAST_SHOW(ranges_reported, "%d", balloon->use_reporting)
BALLAST_ATTR_RO(balloon, ranges_reported);
BALLAST_SHOW(hinted_bytes, "%llu", READ_ONCE(balloon->hint.held.pages) << PAGE_SHIFT)
BALLAST_ATTR_RO(balloon, hinted_bytes);
BALLAST_SHOW(hinted_total_bytes, "%llu", READ_ONCE(balloon->hint.offered_pages) << PAGE_SHIFT)
BALLAST_ATTR_RO(balloon, hinted_total_bytes);
BALLAST_SHOW(hints_shrunk_bytes, "%llu", READ_ONCE(balloon->hint.shrunk_pages) << PAGE_SHIFT)
BALLAST_ATTR_RO(balloon, hints_shrunk_bytes);

static struct attribute *attributes[] = {
	&dev_attr_target_bytes.attr,
	&dev_attr_self_target_bytes.attr,
	&dev_attr_actual_bytes.attr,
	&dev_attr_movable_bytes.attr,
	&dev_attr_huge_units.attr,
	&dev_attr_floor_bytes.attr,
	&dev_attr_refused_bytes.attr,
	&dev_attr_refusals.attr,
	&dev_attr_vetoes.attr,
	&dev_attr_vetoes_psi_some.attr,
	&dev_attr_vetoes_psi_full.attr,
	&dev_attr_vetoes_swap_in.attr,
	&dev_attr_oom_give_backs.attr,
	&dev_attr_short_steps.attr,
	&dev_attr_last_reason.attr,
	&dev_attr_hold_off_ms.attr,
	&dev_attr_ranges_reported.attr,
	&dev_attr_hinted_bytes.attr,
	&dev_attr_hinted_total_bytes.attr,
	&dev_attr_hints_shrunk_bytes.attr,
	NULL
};

static const struct attribute_group group = {
	.name = "balloon",
	.attrs = attributes,
};

const struct attribute_group *ballast_device_groups[] = { &group, NULL };
