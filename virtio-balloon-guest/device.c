// SPDX-License-Identifier: GPL-2.0
/*
 * The virtio-balloon device: taking it, leaving it, sleeping and waking.
 *
 * DOC: States, locks and lifetimes: Documentation/design/balloon.md.  Everything
 * that runs is stopped before the balloon is emptied, and the balloon is empty
 * before the device is reset.
 */
#include "balloon.h"

#include <linux/module.h>
#include <linux/oom.h>
#include <linux/slab.h>
#include <linux/suspend.h>
#include <linux/virtio_config.h>
#include <uapi/linux/virtio_ring.h>

/* Where the kernel's driver is: before what frees less, or is dearer to free. */
#define OOM_PRIORITY 80

struct ballast_tunables ballast_tunables = {
	.give_back = true,
	.psi_some_limit_bp = 1000,
	.psi_full_limit_bp = 500,
	.swap_in_limit_bytes_per_s = BALLAST_MIB,
	.self_reserve_mib = 128,
	.self_period_ms = 5000,
};

#define PARAMETER(name, type, text)						\
	module_param_named(name, ballast_tunables.name, type, 0644);		\
	MODULE_PARM_DESC(name, text)

PARAMETER(floor_mib, uint, "memory that stays available to the guest, MiB; 0: by its size");
PARAMETER(give_back, bool, "hold less than the host asks for under memory pressure");
PARAMETER(psi_some_limit_bp, uint, "PSI some above which inflation stops, 1/100 %; 0: none");
PARAMETER(psi_full_limit_bp, uint, "PSI full above which inflation stops, 1/100 %; 0: none");
PARAMETER(swap_in_limit_bytes_per_s, ulong, "swap-in above which inflation stops; 0: none");
PARAMETER(self_reserve_mib, uint, "what self-ballooning keeps beside what is committed, MiB");

/**
 * ballast_device_kick - have a step made now
 * @balloon: the device; nothing happens if it is stopped
 */
void ballast_device_kick(struct ballast_balloon *balloon)
{
	unsigned long flags;

	spin_lock_irqsave(&balloon->stop_lock, flags);
	if (!balloon->stopped)
		mod_delayed_work(balloon->wq, &balloon->resize_work, 0);
	spin_unlock_irqrestore(&balloon->stop_lock, flags);
}

/**
 * ballast_device_look_again - the work, of itself
 * @balloon: the device; nothing happens if it is stopped
 * @delay: in jiffies; who has kicked while it ran is not made to wait for that
 */
void ballast_device_look_again(struct ballast_balloon *balloon, unsigned long delay)
{
	unsigned long flags;

	spin_lock_irqsave(&balloon->stop_lock, flags);
	if (!balloon->stopped)
		queue_delayed_work(balloon->wq, &balloon->resize_work, delay);
	spin_unlock_irqrestore(&balloon->stop_lock, flags);
}

/**
 * ballast_device_target_bytes - what the host asks for
 * @balloon: the device, not reset
 *
 * Return: the size that the balloon should have.
 */
u64 ballast_device_target_bytes(struct ballast_balloon *balloon)
{
	u32 units;

	virtio_cread_le(balloon->vdev, struct virtio_balloon_config, num_pages, &units);
	return (u64)units << VIRTIO_BALLOON_PFN_SHIFT;
}

/**
 * ballast_device_show_actual - tell the host how large the balloon is, if it is news
 * @balloon: the device; called by the work, or when it is stopped
 */
void ballast_device_show_actual(struct ballast_balloon *balloon)
{
	u32 units;

	mutex_lock(&balloon->lock);
	units = ballast_held_pages(balloon) * BALLAST_UNITS_PER_PAGE;
	mutex_unlock(&balloon->lock);
	if (units == balloon->shown_units)
		return;
	balloon->shown_units = units;
	virtio_cwrite_le(balloon->vdev, struct virtio_balloon_config, actual, &units);
}

static void config_changed(struct virtio_device *vdev)
{
	struct ballast_balloon *balloon = vdev->priv;
	unsigned long flags;

	spin_lock_irqsave(&balloon->stop_lock, flags);
	if (!balloon->stopped)
		ballast_hint_note_config(balloon);
	spin_unlock_irqrestore(&balloon->stop_lock, flags);
	ballast_device_kick(balloon);
}

/* The host must know what free pages hold; returns whether that is zero. */
static bool tell_poison(struct virtio_device *vdev)
{
	u32 poison = 0;

	if (!virtio_has_feature(vdev, VIRTIO_BALLOON_F_PAGE_POISON))
		return true;
	if (!want_init_on_free())
		memset(&poison, PAGE_POISON, sizeof(poison));
	virtio_cwrite_le(vdev, struct virtio_balloon_config, poison_val, &poison);
	return !poison;
}

static void go(struct ballast_balloon *balloon)
{
	spin_lock_irq(&balloon->stop_lock);
	balloon->stopped = false;
	/* the host may have asked before it could be heard */
	if (balloon->stats_vq)
		queue_work(balloon->wq, &balloon->stats_work);
	ballast_hint_note_config(balloon);
	spin_unlock_irq(&balloon->stop_lock);
	ballast_device_kick(balloon);
}

/* Afterwards the balloon is empty, and stays so. */
static void stop(struct ballast_balloon *balloon)
{
	spin_lock_irq(&balloon->stop_lock);
	balloon->stopped = true;
	spin_unlock_irq(&balloon->stop_lock);
	cancel_delayed_work_sync(&balloon->resize_work);
	cancel_work_sync(&balloon->stats_work);
	ballast_hint_end(balloon);
	ballast_resize_drain(balloon);
}

/* Free page reporting goes on, whatever the device does, and kicks none that is not ready. */
static void allow_reports(struct ballast_balloon *balloon, bool allow)
{
	mutex_lock(&balloon->report_lock);
	balloon->may_report = allow;
	mutex_unlock(&balloon->report_lock);
}

static int begin(struct ballast_balloon *balloon)
{
	struct virtio_device *vdev = balloon->vdev;
	int err;

	err = ballast_queue_find(balloon);
	if (err)
		return err;
	balloon->use_reporting = tell_poison(vdev) && balloon->report_vq;
	ballast_hint_begin(balloon);
	/* what another driver held is gone, whatever the device remembers: say so at once */
	balloon->shown_units = ~0U;
	ballast_device_show_actual(balloon);
	balloon->is_silent = false;
	err = ballast_stats_begin(balloon);
	if (err) {
		vdev->config->del_vqs(vdev);
		return err;
	}
	virtio_device_ready(vdev);
	allow_reports(balloon, balloon->report_vq);
	balloon->begun = true;
	if (!balloon->asleep)
		go(balloon);
	return 0;
}

/* The reverse of begin().  A device that was not restored is reset, but has no queues any more. */
static void end(struct ballast_balloon *balloon)
{
	struct virtio_device *vdev = balloon->vdev;

	stop(balloon);
	allow_reports(balloon, false);
	virtio_reset_device(vdev);
	if (balloon->begun)
		vdev->config->del_vqs(vdev);
	balloon->begun = false;
}

/*
 * The kernel reckons before it freezes devices how large the image of a hibernating guest may
 * be: half of the memory that it sees.  What is in a balloon is no part of that.
 */
static int sleep_notify(struct notifier_block *nb, unsigned long event, void *unused)
{
	struct ballast_balloon *balloon = container_of(nb, struct ballast_balloon, sleep);

	switch (event) {
	case PM_HIBERNATION_PREPARE:
	case PM_RESTORE_PREPARE:
		balloon->asleep = true;
		stop(balloon);
		break;
	case PM_POST_HIBERNATION:
	case PM_POST_RESTORE:
		balloon->asleep = false;
		/* not if it could not be restored */
		if (balloon->begun)
			go(balloon);
		break;
	}
	return NOTIFY_DONE;
}

static int create(struct virtio_device *vdev)
{
	struct ballast_balloon *balloon = kzalloc(sizeof(*balloon), GFP_KERNEL);

	if (!balloon)
		return -ENOMEM;
	balloon->vdev = vdev;
	balloon->stopped = true;
	balloon->adjust_managed = !virtio_has_feature(vdev, VIRTIO_BALLOON_F_DEFLATE_ON_OOM);
	balloon->oom.notifier_call = ballast_oom_notify;
	balloon->oom.priority = OOM_PRIORITY;
	balloon->sleep.notifier_call = sleep_notify;
	balloon->reporting.report = ballast_queue_report;
	init_waitqueue_head(&balloon->acked);
	spin_lock_init(&balloon->stop_lock);
	mutex_init(&balloon->lock);
	mutex_init(&balloon->report_lock);
	INIT_DELAYED_WORK(&balloon->resize_work, ballast_resize_work);
	INIT_WORK(&balloon->stats_work, ballast_stats_work);
	ballast_ranges_init(&balloon->ranges);
	ballast_pages_init(balloon);
	ballast_decider_init(&balloon->decider);
	balloon->pfns = kmalloc_array(BALLAST_PFNS_MAX, sizeof(balloon->pfns[0]), GFP_KERNEL);
	balloon->wq = alloc_workqueue("ballast_balloon", WQ_FREEZABLE | WQ_UNBOUND, 0);
	if (!balloon->pfns || !balloon->wq || ballast_hint_create(balloon)) {
		if (balloon->wq)
			destroy_workqueue(balloon->wq);
		kfree(balloon->pfns);
		kfree(balloon);
		return -ENOMEM;
	}
	vdev->priv = balloon;
	return 0;
}

static void destroy(struct ballast_balloon *balloon)
{
	ballast_hint_destroy(balloon);
	destroy_workqueue(balloon->wq);
	kfree(balloon->pfns);
	kfree(balloon);
}

/* Those that are there, for parameters that concern them all. */
static LIST_HEAD(balloons);
static DEFINE_MUTEX(balloons_lock);

static void list_balloon(struct ballast_balloon *balloon)
{
	mutex_lock(&balloons_lock);
	list_add_tail(&balloon->node, &balloons);
	mutex_unlock(&balloons_lock);
}

static void unlist_balloon(struct ballast_balloon *balloon)
{
	mutex_lock(&balloons_lock);
	list_del(&balloon->node);
	mutex_unlock(&balloons_lock);
}

/* Another device's reporting is no reason to do without the balloon. */
static void begin_reporting(struct ballast_balloon *balloon)
{
	if (!balloon->report_vq)
		return;
	if (balloon->report_max < PAGE_REPORTING_CAPACITY ||
	    page_reporting_register(&balloon->reporting))
		dev_info(&balloon->vdev->dev, "free pages are not reported\n");
	else
		balloon->reporting_registered = true;
}

static int probe(struct virtio_device *vdev)
{
	struct ballast_balloon *balloon;
	int err;

	if (!vdev->config->get)
		return -EINVAL;
	err = create(vdev);
	if (err)
		return err;
	balloon = vdev->priv;
	err = register_oom_notifier(&balloon->oom);
	if (err)
		goto free_balloon;
	err = begin(balloon);
	if (err)
		goto unregister_oom;
	err = register_pm_notifier(&balloon->sleep);
	if (err)
		goto end_balloon;
	begin_reporting(balloon);
	list_balloon(balloon);
	ballast_device_kick(balloon);	/* for what was written before it was listed */
	return 0;

end_balloon:
	end(balloon);
unregister_oom:
	unregister_oom_notifier(&balloon->oom);
free_balloon:
	destroy(balloon);
	return err;
}

static void remove(struct virtio_device *vdev)
{
	struct ballast_balloon *balloon = vdev->priv;

	unlist_balloon(balloon);
	if (balloon->reporting_registered)
		page_reporting_unregister(&balloon->reporting);
	unregister_pm_notifier(&balloon->sleep);
	unregister_oom_notifier(&balloon->oom);
	end(balloon);
	destroy(balloon);
}

#ifdef CONFIG_PM_SLEEP
/* The memory image, or a sleeping guest, holds no balloon: the host forgets it. */
static int freeze(struct virtio_device *vdev)
{
	end(vdev->priv);
	return 0;
}

static int restore(struct virtio_device *vdev)
{
	return begin(vdev->priv);
}
#endif

static void kick_all(void)
{
	struct ballast_balloon *balloon;

	mutex_lock(&balloons_lock);
	list_for_each_entry(balloon, &balloons, node)
		ballast_device_kick(balloon);
	mutex_unlock(&balloons_lock);
}

/* A balloon that holds nothing does not look around by itself. */
static int set_self_balloon(const char *text, const struct kernel_param *param)
{
	const int err = param_set_bool(text, param);

	if (!err)
		kick_all();
	return err;
}

/* Nor does one that has a long time to wait. */
static int set_period(const char *text, const struct kernel_param *param)
{
	/* more often than this it would be work for nothing */
	const int err = param_set_uint_minmax(text, param, 100, 3600000);

	if (!err)
		kick_all();
	return err;
}

static const struct kernel_param_ops period_ops = { .set = set_period, .get = param_get_uint };
module_param_cb(self_period_ms, &period_ops, &ballast_tunables.self_period_ms, 0644);
MODULE_PARM_DESC(self_period_ms, "how often self-ballooning thinks, 100 to 3600000 ms");

static const struct kernel_param_ops self_balloon_ops = {
	.set = set_self_balloon,
	.get = param_get_bool,
};
module_param_cb(self_balloon, &self_balloon_ops, &ballast_tunables.self_balloon, 0644);
MODULE_PARM_DESC(self_balloon, "give what is not committed to the host unasked");

static int validate(struct virtio_device *vdev)
{
	/* Free pages that have to hold something may not come back zeroed. */
	if (!want_init_on_free() && !page_poisoning_enabled_static())
		__virtio_clear_bit(vdev, VIRTIO_BALLOON_F_PAGE_POISON);
	else if (!virtio_has_feature(vdev, VIRTIO_BALLOON_F_PAGE_POISON))
		__virtio_clear_bit(vdev, VIRTIO_BALLOON_F_REPORTING);
	/* with event indices a device may interrupt once for a queue that wants none: queue.c */
	if (virtio_has_feature(vdev, VIRTIO_BALLOON_F_FREE_PAGE_HINT))
		__virtio_clear_bit(vdev, VIRTIO_RING_F_EVENT_IDX);
	/* an indirect descriptor is memory allocated when there may be none */
	__virtio_clear_bit(vdev, VIRTIO_RING_F_INDIRECT_DESC);
	/* page numbers are physical, whatever an IOMMU says */
	__virtio_clear_bit(vdev, VIRTIO_F_ACCESS_PLATFORM);
	return 0;
}

static const struct virtio_device_id ids[] = {
	{ VIRTIO_ID_BALLOON, VIRTIO_DEV_ANY_ID },
	{ 0 },
};

static unsigned int features[] = {
	VIRTIO_BALLOON_F_MUST_TELL_HOST,
	VIRTIO_BALLOON_F_STATS_VQ,
	VIRTIO_BALLOON_F_DEFLATE_ON_OOM,
	VIRTIO_BALLOON_F_FREE_PAGE_HINT,
	VIRTIO_BALLOON_F_PAGE_POISON,
	VIRTIO_BALLOON_F_REPORTING,
};

static struct virtio_driver ballast_driver = {
	.feature_table = features,
	.feature_table_size = ARRAY_SIZE(features),
	.driver.name = KBUILD_MODNAME,
	.driver.owner = THIS_MODULE,
	.driver.dev_groups = ballast_device_groups,
	.id_table = ids,
	.validate = validate,
	.probe = probe,
	.remove = remove,
	.config_changed = config_changed,
#ifdef CONFIG_PM_SLEEP
	.freeze = freeze,
	.restore = restore,
#endif
};

module_virtio_driver(ballast_driver);
MODULE_DEVICE_TABLE(virtio, ids);
MODULE_DESCRIPTION("Ballast's guest balloon driver");
MODULE_LICENSE("GPL");
