/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Differences between the guest kernels the driver builds for; included before
 * every source file.
 */
#ifndef BALLAST_BALLOON_COMPAT_H
#define BALLAST_BALLOON_COMPAT_H

#include <linux/mmzone.h>
#include <linux/shrinker.h>
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

typedef unsigned long ballast_shrink_fn(struct shrinker *shrinker, struct shrink_control *control);

/* 6.7: the kernel allocates shrinkers, and they carry a pointer of their owner's. */
struct ballast_shrinker {
#ifdef BALLAST_HAVE_SHRINKER_ALLOC
	struct shrinker *kernel;
#else
	struct shrinker kernel;
	void *data;
#endif
};

static inline int ballast_shrinker_begin(struct ballast_shrinker *shrinker, const char *name,
					 ballast_shrink_fn *count, ballast_shrink_fn *scan,
					 void *data)
{
#ifdef BALLAST_HAVE_SHRINKER_ALLOC
	shrinker->kernel = shrinker_alloc(0, "%s", name);
	if (!shrinker->kernel)
		return -ENOMEM;
	shrinker->kernel->count_objects = count;
	shrinker->kernel->scan_objects = scan;
	shrinker->kernel->private_data = data;
	shrinker_register(shrinker->kernel);
	return 0;
#else
	shrinker->kernel.count_objects = count;
	shrinker->kernel.scan_objects = scan;
	shrinker->kernel.seeks = DEFAULT_SEEKS;
	shrinker->data = data;
	return register_shrinker(&shrinker->kernel, "%s", name);
#endif
}

static inline void ballast_shrinker_end(struct ballast_shrinker *shrinker)
{
#ifdef BALLAST_HAVE_SHRINKER_ALLOC
	shrinker_free(shrinker->kernel);
#else
	unregister_shrinker(&shrinker->kernel);
#endif
}

/* What ballast_shrinker_begin() was given, in one of its functions. */
static inline void *ballast_shrinker_data(struct shrinker *shrinker)
{
#ifdef BALLAST_HAVE_SHRINKER_ALLOC
	return shrinker->private_data;
#else
	return container_of(shrinker, struct ballast_shrinker, kernel)->data;
#endif
}

#endif /* BALLAST_BALLOON_COMPAT_H */
