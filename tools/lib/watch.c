// SPDX-License-Identifier: GPL-2.0
/*
 * Waiting for many files at once.
 *
 * DOC: One epoll descriptor holds all that is waited for: a wake-up costs what has
 * happened, not what is watched.  The program's event loop waits for that one.
 *
 * A sysfs file announces a change by EPOLLPRI until it is read again.  A file of
 * an ordinary directory, which stands for sysfs in tests, cannot be in an epoll
 * set (EPERM); inotify stands in for it.
 *
 * A callback may remove watches whose events lie in the same batch: a removed
 * watch is wiped from the batch before it could be called.
 */
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "watch.h"

#define BATCH	64

struct ballast_watcher {
	int epoll_fd;
	struct ballast_watch inotify;	/* fd -1 until it is needed */
	void *by_wd;			/* tsearch(3) tree */
	struct epoll_event batch[BATCH];
	int batch_count;
};

static int compare_wd(const void *a, const void *b)
{
	const struct ballast_watch *x = a, *y = b;

	return (x->wd > y->wd) - (x->wd < y->wd);
}

static void inotify_ready(struct ballast_watch *watch, uint32_t events)
{
	char buffer[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	struct ballast_watcher *watcher = watch->context;
	const struct inotify_event *event;
	struct ballast_watch key, **found;
	ssize_t n, at;

	(void)events;
	n = read(watch->fd, buffer, sizeof(buffer));
	for (at = 0; at < n; at += sizeof(*event) + event->len) {
		event = (const struct inotify_event *)(buffer + at);
		key.wd = event->wd;
		found = tfind(&key, &watcher->by_wd, compare_wd);
		if (found)
			(*found)->ready(*found, EPOLLPRI);
	}
}

/** ballast_watcher_new() - a set of watches; NULL with errno */
struct ballast_watcher *ballast_watcher_new(void)
{
	struct ballast_watcher *watcher = calloc(1, sizeof(*watcher));

	if (!watcher)
		return NULL;
	watcher->inotify.fd = -1;
	watcher->inotify.wd = -1;
	watcher->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (watcher->epoll_fd < 0) {
		free(watcher);
		return NULL;
	}
	return watcher;
}

static void forget(void *watch)
{
	(void)watch;
}

/** ballast_watcher_free() - the set, not the descriptors in it */
void ballast_watcher_free(struct ballast_watcher *watcher)
{
	if (!watcher)
		return;
	if (watcher->inotify.fd >= 0)
		close(watcher->inotify.fd);
	tdestroy(watcher->by_wd, forget);
	close(watcher->epoll_fd);
	free(watcher);
}

/** ballast_watcher_fd() - readable when ballast_watcher_dispatch() has work */
int ballast_watcher_fd(const struct ballast_watcher *watcher)
{
	return watcher->epoll_fd;
}

/**
 * ballast_watch_add() - wait for a descriptor
 * @watcher: the set
 * @watch: with fd, ready and context; stays where it is until it is removed
 * @events: EPOLLIN and so on
 */
int ballast_watch_add(struct ballast_watcher *watcher, struct ballast_watch *watch,
		      uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	watch->wd = -1;
	if (epoll_ctl(watcher->epoll_fd, EPOLL_CTL_ADD, watch->fd, &event))
		return -errno;
	return 0;
}

static int add_inotify(struct ballast_watcher *watcher, struct ballast_watch *watch,
		       const char *path)
{
	int err;

	if (watcher->inotify.fd < 0) {
		watcher->inotify.fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		if (watcher->inotify.fd < 0)
			return -errno;
		watcher->inotify.ready = inotify_ready;
		watcher->inotify.context = watcher;
		err = ballast_watch_add(watcher, &watcher->inotify, EPOLLIN);
		if (err)
			return err;
	}
	watch->wd = inotify_add_watch(watcher->inotify.fd, path, IN_CLOSE_WRITE);
	if (watch->wd < 0)
		return -errno;
	return tsearch(watch, &watcher->by_wd, compare_wd) ? 0 : -ENOMEM;
}

/**
 * ballast_watch_add_file() - wait for the value of a sysfs file to change
 * @watcher: the set
 * @watch: with ready and context; its fd is opened here, and closed by
 *	ballast_watch_remove()
 * @path: of the file
 *
 * The file must be read through @watch->fd, from 0, after each event and once
 * before the first.
 */
int ballast_watch_add_file(struct ballast_watcher *watcher, struct ballast_watch *watch,
			   const char *path)
{
	int err;

	watch->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (watch->fd < 0)
		return -errno;
	err = ballast_watch_add(watcher, watch, EPOLLPRI | EPOLLERR);
	if (err == -EPERM)
		err = add_inotify(watcher, watch, path);
	if (err) {
		close(watch->fd);
		watch->fd = -1;
	}
	return err;
}

/** ballast_watch_change() - wait for other @events of @watch from now on */
int ballast_watch_change(struct ballast_watcher *watcher, struct ballast_watch *watch,
			 uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	if (epoll_ctl(watcher->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event))
		return -errno;
	return 0;
}

/** ballast_watch_remove() - wait for @watch no more, and close its descriptor */
void ballast_watch_remove(struct ballast_watcher *watcher, struct ballast_watch *watch)
{
	int i;

	if (watch->fd < 0)
		return;
	for (i = 0; i < watcher->batch_count; i++)
		if (watcher->batch[i].data.ptr == watch)
			watcher->batch[i].data.ptr = NULL;
	if (watch->wd >= 0) {
		tdelete(watch, &watcher->by_wd, compare_wd);
		inotify_rm_watch(watcher->inotify.fd, watch->wd);
		watch->wd = -1;
	} else {
		epoll_ctl(watcher->epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
	}
	close(watch->fd);
	watch->fd = -1;
}

/** ballast_watcher_dispatch() - call whom something happened to; never waits */
void ballast_watcher_dispatch(struct ballast_watcher *watcher)
{
	struct ballast_watch *watch;
	int i;

	watcher->batch_count = epoll_wait(watcher->epoll_fd, watcher->batch, BATCH, 0);
	for (i = 0; i < watcher->batch_count; i++) {
		watch = watcher->batch[i].data.ptr;
		if (watch)
			watch->ready(watch, watcher->batch[i].events);
	}
	watcher->batch_count = 0;
}
