/* SPDX-License-Identifier: GPL-2.0 */
/* QEMU's machine protocol, without waiting. */
#ifndef BALLAST_TOOLS_QMP_H
#define BALLAST_TOOLS_QMP_H

#include <json-c/json.h>
#include <stdint.h>
#include <sys/types.h>

#include "guest_stats.h"
#include "watch.h"

struct ballast_qmp;

/**
 * typedef ballast_qmp_reply - the answer to a command
 * @context: of the connection
 * @value: what it returned, the caller's; NULL on error
 * @error: NULL, or the class of the error
 * @token: as given with the command
 */
typedef void (*ballast_qmp_reply)(void *context, struct json_object *value,
				  const char *error, unsigned long token);

/**
 * struct ballast_qmp_ops - what a user of a connection is told
 * @ready: commands may be sent
 * @event: QEMU says that something happened
 * @closed: the connection is over, the object is gone when this returns;
 *	commands that were under way get no reply
 *
 * Each is called from the watcher's dispatch.  ballast_qmp_close() may be called
 * in @ready, @event and in replies.
 */
struct ballast_qmp_ops {
	void (*ready)(void *context);
	void (*event)(void *context, const char *name, struct json_object *data);
	void (*closed)(void *context, const char *why);
};

int ballast_qmp_open(struct ballast_qmp **qmp, struct ballast_watcher *watcher,
		     const char *path, const struct ballast_qmp_ops *ops, void *context);
pid_t ballast_qmp_pid(const struct ballast_qmp *qmp);
int ballast_qmp_command(struct ballast_qmp *qmp, const char *name,
			struct json_object *arguments, ballast_qmp_reply reply,
			unsigned long token);
void ballast_qmp_close(struct ballast_qmp *qmp);

/* what is in answers */
int ballast_json_u64(struct json_object *object, const char *key, uint64_t *value);
const char *ballast_json_text(struct json_object *object, const char *key);
void ballast_qmp_guest_stats(struct json_object *value, struct ballast_guest_stats *stats);

#endif /* BALLAST_TOOLS_QMP_H */
