/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between the guest kernels the driver builds for; included before
 * every source file.
 */
#ifndef BALLAST_BALLOON_COMPAT_H
#define BALLAST_BALLOON_COMPAT_H

#include <linux/mmzone.h>
#include <linux/virtio.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_config.h>

/* 6.11: name and callback of a queue are given together. */
#ifndef BALLAST_HAVE_VIRTQUEUE_INFO
struct virtqueue_info {
	const char *name;
	vq_callback_t *callback;
};
#endif

#define BALLAST_QUEUES_MAX 5

static inline int ballast_find_vqs(struct virtio_device *vdev, unsigned int count,
				   struct virtqueue **queues, struct virtqueue_info *info)
{
#ifdef BALLAST_HAVE_VIRTQUEUE_INFO
	return virtio_find_vqs(vdev, count, queues, info, NULL);
#else
	vq_callback_t *callbacks[BALLAST_QUEUES_MAX];
	const char *names[BALLAST_QUEUES_MAX];
	unsigned int i;

	for (i = 0; i < count; i++) {
		callbacks[i] = info[i].callback;
		names[i] = info[i].name;
	}
	return virtio_find_vqs(vdev, count, queues, callbacks, names, NULL);
#endif
}

/* 6.8: MAX_ORDER was the first order that is none (until 6.3), then the last that is one. */
#ifdef BALLAST_HAVE_MAX_PAGE_ORDER
#define BALLAST_ALLOCATOR_ORDER_MAX MAX_PAGE_ORDER
#else
#define BALLAST_ALLOCATOR_ORDER_MAX (MAX_ORDER - 1)
#endif

/* 6.12: statistics that older headers do not name.  The numbers are virtio's. */
#ifndef VIRTIO_BALLOON_S_OOM_KILL
#define VIRTIO_BALLOON_S_OOM_KILL	10
#define VIRTIO_BALLOON_S_ALLOC_STALL	11
#define VIRTIO_BALLOON_S_ASYNC_SCAN	12
#define VIRTIO_BALLOON_S_DIRECT_SCAN	13
#define VIRTIO_BALLOON_S_ASYNC_RECLAIM	14
#define VIRTIO_BALLOON_S_DIRECT_RECLAIM	15
#endif
#define BALLAST_STATS_NR		16

#endif /* BALLAST_BALLOON_COMPAT_H */
