// SPDX-License-Identifier: GPL-2.0
/* /sys/kernel/ballast/pools/host: VMs whose memory is not on ballastfs. */
#include "../engine/engine.h"
#include "../policy/state.h"
#include "control.h"

static struct kobject *host;

#define BYTES(name, pages) \
static ssize_t show_host_##name(struct kobject *kobj, \
				struct kobj_attribute *attr, char *buf) \
{ \
	return sysfs_emit(buf, "%llu\n", ballast_pages_to_bytes(READ_ONCE(pages))); \
}

BYTES(size_bytes, ballast_host.size_pages)
BALLAST_ATTR_RO(host, size_bytes);
BYTES(used_bytes, ballast_host.used_pages)
BALLAST_ATTR_RO(host, used_bytes);
BYTES(free_bytes, ballast_host.free_pages)
BALLAST_ATTR_RO(host, free_bytes);
BYTES(vms_available_bytes, ballast_host.vms_available_pages)
BALLAST_ATTR_RO(host, vms_available_bytes);
BYTES(vms_target_bytes, ballast_host.vms_target_pages)
BALLAST_ATTR_RO(host, vms_target_bytes);
BYTES(limit_bytes, ballast_policy_tunables.host_limit_pages)

static ssize_t store_host_limit_bytes(struct kobject *kobj, struct kobj_attribute *attr,
				      const char *buf, size_t count)
{
	u64 pages;
	ssize_t stored = ballast_store_pages(buf, count, &pages);

	if (stored < 0)
		return stored;
	if (!pages && !sysfs_streq(buf, "0"))	/* 0 would be no limit */
		return -EINVAL;
	WRITE_ONCE(ballast_policy_tunables.host_limit_pages, pages);
	ballast_engine_kick();
	return stored;
}
BALLAST_ATTR_RW(host, limit_bytes);

static ssize_t show_host_state(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", ballast_state_token(READ_ONCE(ballast_host.state)));
}
BALLAST_ATTR_RO(host, state);

static const struct attribute *host_attributes[] = {
	&host_size_bytes.attr,
	&host_used_bytes.attr,
	&host_free_bytes.attr,
	&host_vms_available_bytes.attr,
	&host_vms_target_bytes.attr,
	&host_limit_bytes.attr,
	&host_state.attr,
	NULL
};

/* ballast_control_host_notify() - its state has changed */
void ballast_control_host_notify(void)
{
	sysfs_notify(host, NULL, "state");
}

int __init ballast_control_host_init(struct kobject *pools)
{
	host = kobject_create_and_add(BALLAST_POOL_HOST, pools);
	if (!host)
		return -ENOMEM;
	return sysfs_create_files(host, host_attributes);
}

void ballast_control_host_exit(void)
{
	kobject_put(host);
}
