// SPDX-License-Identifier: GPL-2.0
/*
 * QEMU's machine protocol.
 *
 * DOC: A connection is a state (greeting awaited, negotiating, ready), a JSON
 * parser that takes bytes as they come, bytes not yet written, and a queue of
 * commands without an answer: QEMU answers in order.  A monitor has one
 * client; whoever comes second gets no greeting and waits.
 *
 * QEMU runs with the guest at its back, so it is not trusted: a message may have
 * 4 MiB, and who it is is known from the socket, not from what it says.
 */
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "qmp.h"

#define MESSAGE_MAX	(4u << 20)

struct pending {
	struct pending *next;
	ballast_qmp_reply reply;
	unsigned long token;
};

struct ballast_qmp {
	struct ballast_watcher *watcher;
	struct ballast_watch watch;
	const struct ballast_qmp_ops *ops;
	void *context;
	pid_t pid;
	struct json_tokener *parser;
	size_t message_bytes;
	char *out;
	size_t out_bytes;
	struct pending *first, **last;
	bool negotiating, ready;
	bool busy;	/* in a callback: closing only marks */
	bool dead;
};

static void destroy(struct ballast_qmp *qmp)
{
	struct pending *pending;

	while ((pending = qmp->first)) {
		qmp->first = pending->next;
		free(pending);
	}
	ballast_watch_remove(qmp->watcher, &qmp->watch);
	json_tokener_free(qmp->parser);
	free(qmp->out);
	free(qmp);
}

/**
 * ballast_qmp_close() - end a connection
 * @qmp: the connection; NULL is none
 *
 * @closed is not called.
 */
void ballast_qmp_close(struct ballast_qmp *qmp)
{
	if (!qmp)
		return;
	if (qmp->busy)
		qmp->dead = true;
	else
		destroy(qmp);
}

static void fail(struct ballast_qmp *qmp, const char *why)
{
	const struct ballast_qmp_ops *ops = qmp->ops;
	void *context = qmp->context;

	if (qmp->dead)
		return;
	qmp->dead = true;
	ops->closed(context, why);
}

static int flush(struct ballast_qmp *qmp)
{
	ssize_t n;

	while (qmp->out_bytes) {
		n = send(qmp->watch.fd, qmp->out, qmp->out_bytes, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -errno;
		if (n < 0)
			break;
		qmp->out_bytes -= n;
		memmove(qmp->out, qmp->out + n, qmp->out_bytes);
	}
	return ballast_watch_change(qmp->watcher, &qmp->watch,
				    qmp->out_bytes ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static int queue_bytes(struct ballast_qmp *qmp, const char *text)
{
	size_t length = strlen(text);
	char *out = realloc(qmp->out, qmp->out_bytes + length + 1);

	if (!out)
		return -ENOMEM;
	memcpy(out + qmp->out_bytes, text, length);
	out[qmp->out_bytes + length] = '\n';
	qmp->out = out;
	qmp->out_bytes += length + 1;
	return 0;
}

/**
 * ballast_qmp_command() - send a command
 * @qmp: the connection, which is ready
 * @name: of the command
 * @arguments: NULL for none; given away
 * @reply: called with the answer; may be NULL
 * @token: for @reply
 *
 * Return: 0 or -errno.
 */
int ballast_qmp_command(struct ballast_qmp *qmp, const char *name,
			struct json_object *arguments, ballast_qmp_reply reply,
			unsigned long token)
{
	struct json_object *message = json_object_new_object();
	struct pending *pending = calloc(1, sizeof(*pending));
	int err = message && pending ? 0 : -ENOMEM;

	if (!err) {
		json_object_object_add(message, "execute", json_object_new_string(name));
		if (arguments)
			json_object_object_add(message, "arguments", arguments);
		arguments = NULL;
		err = queue_bytes(qmp, json_object_to_json_string_ext(message,
							JSON_C_TO_STRING_PLAIN));
	}
	json_object_put(message);
	json_object_put(arguments);
	if (err) {
		free(pending);
		return err;
	}
	pending->reply = reply;
	pending->token = token;
	*qmp->last = pending;
	qmp->last = &pending->next;
	return flush(qmp);
}

static void negotiated(struct ballast_qmp *qmp)
{
	qmp->negotiating = false;
	qmp->ready = true;
	qmp->ops->ready(qmp->context);
}

static void take_answer(struct ballast_qmp *qmp, struct json_object *value,
			const char *error)
{
	struct pending *pending = qmp->first;

	if (!pending) {
		fail(qmp, "an answer that nobody asked for");
		return;
	}
	qmp->first = pending->next;
	if (!qmp->first)
		qmp->last = &qmp->first;
	if (qmp->negotiating && !error)
		negotiated(qmp);
	else if (qmp->negotiating)
		fail(qmp, "it refuses to negotiate");
	else if (pending->reply)
		pending->reply(qmp->context, value, error, pending->token);
	free(pending);
}

static void take_message(struct ballast_qmp *qmp, struct json_object *message)
{
	struct json_object *value, *error;
	const char *event = ballast_json_text(message, "event");
	const char *class;

	if (event) {
		json_object_object_get_ex(message, "data", &value);
		if (qmp->ready)
			qmp->ops->event(qmp->context, event, value);
	} else if (json_object_object_get_ex(message, "QMP", &value)) {
		if (!qmp->negotiating && !qmp->ready) {
			qmp->negotiating = true;
			ballast_qmp_command(qmp, "qmp_capabilities", NULL, NULL, 0);
		}
	} else if (json_object_object_get_ex(message, "error", &error)) {
		class = ballast_json_text(error, "class");
		take_answer(qmp, NULL, class ? class : "GenericError");
	} else if (json_object_object_get_ex(message, "return", &value)) {
		take_answer(qmp, value, NULL);
	}
}

static void take_bytes(struct ballast_qmp *qmp, const char *bytes, size_t length)
{
	struct json_object *message;
	enum json_tokener_error err;
	size_t used;

	while (length && !qmp->dead) {
		message = json_tokener_parse_ex(qmp->parser, bytes, (int)length);
		err = json_tokener_get_error(qmp->parser);
		if (err == json_tokener_continue) {
			qmp->message_bytes += length;
			if (qmp->message_bytes > MESSAGE_MAX)
				fail(qmp, "a message of more than 4 MiB");
			return;
		}
		if (err != json_tokener_success) {
			fail(qmp, "what it says is not JSON");
			return;
		}
		used = json_tokener_get_parse_end(qmp->parser);
		json_tokener_reset(qmp->parser);
		bytes += used;
		length -= used;
		qmp->message_bytes = 0;
		if (json_object_is_type(message, json_type_object))
			take_message(qmp, message);
		json_object_put(message);
		while (length && strchr(" \r\n\t", *bytes))
			bytes++, length--;
	}
}

static void ready(struct ballast_watch *watch, uint32_t events)
{
	struct ballast_qmp *qmp = watch->context;
	char bytes[16384];
	ssize_t n;

	qmp->busy = true;
	if (events & EPOLLOUT && flush(qmp))
		fail(qmp, "it takes no more commands");
	if (events & ~EPOLLOUT && !qmp->dead) {
		n = read(watch->fd, bytes, sizeof(bytes));
		if (n > 0)
			take_bytes(qmp, bytes, n);
		else if (n == 0 || errno != EAGAIN)
			fail(qmp, "it closed the connection");
	}
	qmp->busy = false;
	if (qmp->dead)
		destroy(qmp);
}

/* The path may be longer than a socket address holds: go by its descriptor. */
static int connect_to(int fd, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int at = open(path, O_PATH | O_CLOEXEC), err = 0;

	if (at < 0)
		return -errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", at);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
		err = -errno;
	close(at);
	return err;
}

/**
 * ballast_qmp_open() - connect to a monitor
 * @qmp: result
 * @watcher: whose dispatch drives the connection
 * @path: of the socket
 * @ops: whom to tell
 * @context: for @ops and replies
 *
 * Return: 0 or -errno.
 */
int ballast_qmp_open(struct ballast_qmp **qmp, struct ballast_watcher *watcher,
		     const char *path, const struct ballast_qmp_ops *ops, void *context)
{
	struct ballast_qmp *new = calloc(1, sizeof(*new));
	struct ucred peer;
	socklen_t length = sizeof(peer);
	int err = -ENOMEM;

	if (!new)
		return err;
	new->watcher = watcher;
	new->ops = ops;
	new->context = context;
	new->last = &new->first;
	new->watch.ready = ready;
	new->watch.context = new;
	new->watch.wd = -1;
	new->watch.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	new->parser = json_tokener_new();
	if (new->watch.fd < 0 || !new->parser)
		goto fail;
	err = connect_to(new->watch.fd, path);
	if (err)
		goto fail;
	if (!getsockopt(new->watch.fd, SOL_SOCKET, SO_PEERCRED, &peer, &length))
		new->pid = peer.pid;
	err = ballast_watch_add(watcher, &new->watch, EPOLLIN);
	if (err)
		goto fail;
	*qmp = new;
	return 0;

fail:
	if (new->watch.fd >= 0)
		close(new->watch.fd);
	if (new->parser)
		json_tokener_free(new->parser);
	free(new);
	return err;
}

/** ballast_qmp_pid() - the process that listens, by the kernel's word */
pid_t ballast_qmp_pid(const struct ballast_qmp *qmp)
{
	return qmp->pid;
}

/**
 * ballast_json_u64() - a number in an object
 * @object: may be NULL or anything
 * @key: of the number
 * @value: result, unchanged on error
 *
 * Return: 0, -ENOENT, or -EINVAL for what is no number or less than 0.
 */
int ballast_json_u64(struct json_object *object, const char *key, uint64_t *value)
{
	struct json_object *number;

	if (!json_object_is_type(object, json_type_object) ||
	    !json_object_object_get_ex(object, key, &number))
		return -ENOENT;
	if (!json_object_is_type(number, json_type_int))
		return -EINVAL;
	if (json_object_get_int64(number) < 0)
		return -EINVAL;
	*value = json_object_get_uint64(number);
	return 0;
}

/** ballast_json_text() - the string @key of @object, or NULL; the object's */
const char *ballast_json_text(struct json_object *object, const char *key)
{
	struct json_object *text;

	if (!json_object_is_type(object, json_type_object) ||
	    !json_object_object_get_ex(object, key, &text) ||
	    !json_object_is_type(text, json_type_string))
		return NULL;
	return json_object_get_string(text);
}

/* QEMU has all ones for what the guest has not said. */
static uint64_t stat_of(struct json_object *stats, const char *key)
{
	uint64_t value = BALLAST_STAT_UNSAID;

	ballast_json_u64(stats, key, &value);
	return value;
}

/**
 * ballast_qmp_guest_stats() - the property guest-stats of a balloon
 * @value: what qom-get returned
 * @stats: result
 */
void ballast_qmp_guest_stats(struct json_object *value, struct ballast_guest_stats *stats)
{
	struct json_object *list = NULL;

	if (json_object_is_type(value, json_type_object))
		json_object_object_get_ex(value, "stats", &list);
	stats->available_bytes = stat_of(list, "stat-available-memory");
	stats->total_bytes = stat_of(list, "stat-total-memory");
	stats->swap_in_bytes = stat_of(list, "stat-swap-in");
	stats->major_faults = stat_of(list, "stat-major-faults");
	stats->oom_kills = stat_of(list, "stat-oom-kills");
	stats->updated_s = 0;
	ballast_json_u64(value, "last-update", &stats->updated_s);
}
