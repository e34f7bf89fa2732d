// SPDX-License-Identifier: GPL-2.0
/*
 * A QEMU without a guest: the part of its machine protocol that ballastd speaks.
 *
 *	fake-qemu -name NAME -m MiB -qmp unix:PATH,server=on,wait=off [...]
 *
 * DOC: Its command line is read by the daemon as a real one's is.  What it is
 * asked is printed, a line each: "balloon 1048576", "qom-set PATH PROPERTY 10".
 * What its guest does is said to it, a line each, on stdin:
 *
 *	obey 0|1		the balloon moves when asked (1)
 *	device 0|1		there is a balloon device (1)
 *	actual BYTES		the balloon moves by itself
 *	stats KEY=N ...		a report: available total swap-in major-faults
 *	migrate STATUS		"active", "completed", "none"; told, if it was asked to
 *	stop, cont
 *	hang up			close the connection
 *	say TEXT		to the client, as it is
 *
 * Ends with its stdin.  It stands for QEMU in what needs no guest; that QEMU
 * really answers so is for the tests in the lab.
 */
#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int listener = -1, client = -1;
static bool obeys = true, has_device = true, running = true;
static char migration[32] = "none";
static bool tells_of_migrations;
static uint64_t ram_bytes = 128 << 20, actual_bytes;
static struct json_object *stats;
static int64_t updated;

static void say(struct json_object *message)
{
	const char *text = json_object_to_json_string_ext(message, JSON_C_TO_STRING_PLAIN);

	if (client >= 0)
		dprintf(client, "%s\r\n", text);
	json_object_put(message);
}

static struct json_object *object(const char *key, struct json_object *value)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, key, value);
	return o;
}

static void answer(struct json_object *value)
{
	say(object("return", value ? value : json_object_new_object()));
}

static void refuse(const char *class)
{
	struct json_object *error = object("class", json_object_new_string(class));

	json_object_object_add(error, "desc", json_object_new_string("no"));
	say(object("error", error));
}

static void event(const char *name, struct json_object *data)
{
	struct json_object *o = object("event", json_object_new_string(name));

	if (data)
		json_object_object_add(o, "data", data);
	say(o);
}

static void move(uint64_t bytes)
{
	actual_bytes = bytes;
	event("BALLOON_CHANGE", object("actual", json_object_new_int64((int64_t)bytes)));
}

static struct json_object *devices(const char *path)
{
	struct json_object *list = json_object_new_array(), *o;

	if (!strcmp(path, "/machine/peripheral-anon") && has_device) {
		o = object("name", json_object_new_string("device[0]"));
		json_object_object_add(o, "type",
			json_object_new_string("child<virtio-balloon-pci>"));
		json_object_array_add(list, o);
	}
	return list;
}

static const char *text_of(struct json_object *o, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(o, key, &value);
	return value ? json_object_get_string(value) : "";
}

static bool is_events(struct json_object *arguments)
{
	struct json_object *list = NULL, *first = NULL;

	json_object_object_get_ex(arguments, "capabilities", &list);
	if (json_object_is_type(list, json_type_array))
		first = json_object_array_get_idx(list, 0);
	return first && !strcmp(text_of(first, "capability"), "events") &&
	       !strcmp(text_of(first, "state"), "true");
}

static void do_command(const char *name, struct json_object *arguments)
{
	struct json_object *o;

	if (!strcmp(name, "query-balloon") && has_device) {
		answer(object("actual", json_object_new_int64((int64_t)actual_bytes)));
	} else if (!strcmp(name, "query-balloon") || (!strcmp(name, "balloon") && !has_device)) {
		refuse("DeviceNotActive");
	} else if (!strcmp(name, "balloon")) {
		answer(NULL);
		if (obeys)
			move(strtoull(text_of(arguments, "value"), NULL, 10));
	} else if (!strcmp(name, "query-memory-size-summary")) {
		answer(object("base-memory", json_object_new_int64((int64_t)ram_bytes)));
	} else if (!strcmp(name, "query-status")) {
		answer(object("running", json_object_new_boolean(running)));
	} else if (!strcmp(name, "query-migrate")) {
		answer(strcmp(migration, "none") ?
		       object("status", json_object_new_string(migration)) : NULL);
	} else if (!strcmp(name, "migrate-set-capabilities")) {
		tells_of_migrations = is_events(arguments);
		answer(NULL);
	} else if (!strcmp(name, "qom-list")) {
		answer(devices(text_of(arguments, "path")));
	} else if (!strcmp(name, "qom-get")) {
		o = object("stats", json_object_get(stats));
		json_object_object_add(o, "last-update", json_object_new_int64(updated));
		answer(o);
	} else if (!strcmp(name, "qom-set") || !strcmp(name, "qmp_capabilities")) {
		answer(NULL);
	} else {
		refuse("CommandNotFound");
	}
}

static void take_command(struct json_object *message)
{
	struct json_object *arguments = NULL;
	const char *name = text_of(message, "execute");

	json_object_object_get_ex(message, "arguments", &arguments);
	printf("%s", name);
	if (arguments && !strcmp(name, "qom-set"))
		printf(" %s %s", text_of(arguments, "path"), text_of(arguments, "property"));
	if (arguments)
		printf(" %s", text_of(arguments, "value"));
	putchar('\n');
	do_command(name, arguments);
}

/* Commands are objects, one behind the other. */
static void read_client(void)
{
	static struct json_tokener *parser;
	struct json_object *message;
	size_t used;
	char bytes[4096], *at = bytes;
	ssize_t n = read(client, bytes, sizeof(bytes));

	if (n <= 0) {
		close(client);
		client = -1;
		puts("disconnected");
		return;
	}
	if (!parser)
		parser = json_tokener_new();
	while (n > 0) {
		message = json_tokener_parse_ex(parser, at, (int)n);
		if (!message)
			return;
		used = json_tokener_get_parse_end(parser);
		at += used;
		n -= used;
		take_command(message);
		json_object_put(message);
		while (n > 0 && strchr("\r\n ", *at))
			at++, n--;
	}
}

static void take_client(void)
{
	client = accept(listener, NULL, NULL);
	puts("connected");
	say(json_tokener_parse("{\"QMP\":{\"version\":{},\"capabilities\":[]}}"));
}

static void take_stats(char *line)
{
	char *word, *equals, key[64];

	for (word = strtok(line, " "); word; word = strtok(NULL, " ")) {
		equals = strchr(word, '=');
		if (!equals)
			continue;
		*equals++ = '\0';
		snprintf(key, sizeof(key), "stat-%s", word);
		if (!strcmp(word, "available") || !strcmp(word, "total"))
			strcat(key, "-memory");
		json_object_object_add(stats, key, json_object_new_uint64(
				       strtoull(equals, NULL, 10)));
	}
	updated++;
}

static void take_order(char *line)
{
	line[strcspn(line, "\n")] = '\0';
	if (!strncmp(line, "obey ", 5)) {
		obeys = line[5] == '1';
	} else if (!strncmp(line, "device ", 7)) {
		has_device = line[7] == '1';
	} else if (!strncmp(line, "actual ", 7)) {
		move(strtoull(line + 7, NULL, 10));
	} else if (!strncmp(line, "stats ", 6)) {
		take_stats(line + 6);
	} else if (!strncmp(line, "migrate ", 8)) {
		snprintf(migration, sizeof(migration), "%s", line + 8);
		if (tells_of_migrations)
			event("MIGRATION", object("status", json_object_new_string(migration)));
	} else if (!strcmp(line, "stop") || !strcmp(line, "cont")) {
		running = *line == 'c';
		event(running ? "RESUME" : "STOP", NULL);
	} else if (!strcmp(line, "hang up")) {
		close(client);
		client = -1;
	} else if (!strncmp(line, "say ", 4)) {
		dprintf(client, "%s\r\n", line + 4);
	}
}

static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%.*s",
		 (int)strcspn(path, ","), path);
	unlink(address.sun_path);
	listener = socket(AF_UNIX, SOCK_STREAM, 0);
	return bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
	       listen(listener, 4);
}

int main(int argc, char **argv)
{
	struct pollfd fds[3];
	char line[4096];
	int i;

	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0);
	signal(SIGPIPE, SIG_IGN);
	stats = json_object_new_object();
	for (i = 1; i + 1 < argc; i++) {
		if (!strcmp(argv[i], "-m"))
			ram_bytes = strtoull(argv[i + 1], NULL, 10) << 20;
		if (!strcmp(argv[i], "-qmp") && listen_at(argv[i + 1] + strlen("unix:"))) {
			perror(argv[i + 1]);
			return 1;
		}
	}
	actual_bytes = ram_bytes;
	puts("listening");
	for (;;) {
		fds[0] = (struct pollfd){ .fd = 0, .events = POLLIN };
		/* one client, as QEMU: the next waits */
		fds[1] = (struct pollfd){ .fd = client < 0 ? listener : -1, .events = POLLIN };
		fds[2] = (struct pollfd){ .fd = client, .events = POLLIN };
		if (poll(fds, 3, -1) < 0)
			return 1;
		if (fds[0].revents) {
			if (!fgets(line, sizeof(line), stdin))
				return 0;
			take_order(line);
		}
		if (fds[1].revents)
			take_client();
		if (client >= 0 && fds[2].revents)
			read_client();
	}
}
