/* SPDX-License-Identifier: GPL-2.0 */
/* Waiting for many files at once. */
#ifndef BALLAST_TOOLS_WATCH_H
#define BALLAST_TOOLS_WATCH_H

#include <stdint.h>

struct ballast_watch;
struct ballast_watcher;

typedef void (*ballast_watch_fn)(struct ballast_watch *watch, uint32_t events);

/**
 * struct ballast_watch - one descriptor that is waited for
 * @fd: the descriptor, owned by who added it; -1: not watched
 * @wd: inotify's, where that stands in; -1
 * @ready: called when something happened; may remove any watch
 * @context: for @ready
 */
struct ballast_watch {
	int fd;
	int wd;
	ballast_watch_fn ready;
	void *context;
};

struct ballast_watcher *ballast_watcher_new(void);
void ballast_watcher_free(struct ballast_watcher *watcher);
int ballast_watcher_fd(const struct ballast_watcher *watcher);
int ballast_watch_add(struct ballast_watcher *watcher, struct ballast_watch *watch,
		      uint32_t events);
int ballast_watch_add_file(struct ballast_watcher *watcher, struct ballast_watch *watch,
			   const char *path);
int ballast_watch_change(struct ballast_watcher *watcher, struct ballast_watch *watch,
			 uint32_t events);
void ballast_watch_remove(struct ballast_watcher *watcher, struct ballast_watch *watch);
void ballast_watcher_dispatch(struct ballast_watcher *watcher);

#endif /* BALLAST_TOOLS_WATCH_H */
