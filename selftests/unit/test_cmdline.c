// SPDX-License-Identifier: GPL-2.0
/*
 * What is read out of QEMU's command line.
 * tools: lib/cmdline.c
 */
#include "unit.h"
#include "tools/lib/cmdline.h"

static struct ballast_cmdline found;

/* "a" "b" is how arguments are written here; the last 0 is the literal's own. */
#define PARSE(...) do { \
	static const char *const arguments[] = { __VA_ARGS__ }; \
	parse(arguments, ARRAY_SIZE(arguments)); \
} while (0)

static void parse(const char *const *arguments, size_t count)
{
	size_t length = 0, i;
	char *text;

	for (i = 0; i < count; i++)
		length += strlen(arguments[i]) + 1;
	/* on the heap: one byte too far is seen */
	text = malloc(length);
	for (i = 0, length = 0; i < count; i++) {
		strcpy(text + length, arguments[i]);
		length += strlen(arguments[i]) + 1;
	}
	ballast_cmdline_parse(text, length, &found);
	free(text);
}

static void short_monitor(void **state)
{
	(void)state;
	PARSE("qemu", "-name", "web", "-qmp", "unix:/run/web.qmp,server=on,wait=off");
	assert_string_equal(found.name, "web");
	assert_string_equal(found.qmp_path, "/run/web.qmp");
	assert_false(found.libvirt);
}

static void long_monitor_in_any_order(void **state)
{
	(void)state;
	PARSE("qemu", "-mon", "chardev=m,mode=control", "-chardev",
	      "socket,id=hmp,path=/run/hmp", "-chardev", "socket,server=on,path=/run/q,id=m",
	      "-mon", "chardev=hmp,mode=readline");
	assert_string_equal(found.qmp_path, "/run/q");
}

static void monitor_for_people_is_none(void **state)
{
	(void)state;
	PARSE("qemu", "-chardev", "socket,id=hmp,path=/run/hmp", "-mon",
	      "chardev=hmp,mode=readline", "-monitor", "unix:/run/m,server=on",
	      "-qmp", "tcp:localhost:4444,server=on");
	assert_string_equal(found.qmp_path, "");
}

static void libvirt_is_known_by_its_monitor(void **state)
{
	(void)state;
	PARSE("qemu", "-name", "guest=db,debug-threads=on", "-uuid",
	      "c7a5fdbd-edaf-9455-926a-d65c16db1809", "-chardev",
	      "socket,id=charmonitor,fd=26,server=on,wait=off", "-mon",
	      "chardev=charmonitor,id=monitor,mode=control");
	assert_true(found.libvirt);
	assert_string_equal(found.name, "db");
	assert_string_equal(found.uuid, "c7a5fdbd-edaf-9455-926a-d65c16db1809");
	assert_string_equal(found.qmp_path, "");
}

static void two_commas_are_one(void **state)
{
	(void)state;
	PARSE("qemu", "-name", "a,,b,process=x", "--qmp", "unix:/run/a,,b,server");
	assert_string_equal(found.name, "a,b");
	assert_string_equal(found.qmp_path, "/run/a,b");
}

static void value_that_looks_like_an_option(void **state)
{
	(void)state;
	PARSE("qemu", "-append", "-qmp unix:/run/no", "-name", "x");
	assert_string_equal(found.qmp_path, "");
	assert_string_equal(found.name, "x");
}

static void nothing_and_half_of_something(void **state)
{
	(void)state;
	ballast_cmdline_parse("", 0, &found);
	assert_string_equal(found.name, "");
	ballast_cmdline_parse("qemu\0-name", 10, &found);
	assert_string_equal(found.name, "");
	ballast_cmdline_parse("qemu\0-name\0web", 14, &found);
	assert_string_equal(found.name, "");
	PARSE("qemu", "-name");
	assert_string_equal(found.name, "");
}

/* The text is the process's own: any bytes, and more than fits. */
static void any_bytes(void **state)
{
	static const char *const words[] = { "-qmp", "unix:", "-chardev", "socket,", "id=", "path=",
					     "-mon", "mode=control", "chardev=", ",", ",,", "=",
					     "-name", "guest=", "x", "\xff", "-" };
	u64 seed = 5;
	unsigned int i;

	(void)state;
	for (i = 0; i < 20000; i++) {
		size_t room = 1 + unit_random_below(&seed, 3000), length = 0;
		char *text = malloc(room);

		while (length < room) {
			const char *word = words[unit_random_below(&seed, ARRAY_SIZE(words))];
			size_t n = strlen(word) + !unit_random_below(&seed, 3);

			if (n > room - length)
				n = room - length;
			memcpy(text + length, word, n);
			length += n;
		}
		ballast_cmdline_parse(text, length, &found);
		assert_true(strlen(found.qmp_path) < sizeof(found.qmp_path));
		assert_true(strlen(found.name) < sizeof(found.name));
		free(text);
	}
}

static void more_sockets_than_are_looked_at(void **state)
{
	static const char *arguments[2 * 100 + 2];
	unsigned int i;

	(void)state;
	for (i = 0; i < 100; i++) {
		arguments[2 * i] = "-chardev";
		arguments[2 * i + 1] = "socket,id=x,path=/y";
	}
	arguments[200] = "-mon";
	arguments[201] = "x,mode=control";
	parse(arguments, ARRAY_SIZE(arguments));
	assert_string_equal(found.qmp_path, "/y");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_monitor),
		cmocka_unit_test(long_monitor_in_any_order),
		cmocka_unit_test(monitor_for_people_is_none),
		cmocka_unit_test(libvirt_is_known_by_its_monitor),
		cmocka_unit_test(two_commas_are_one),
		cmocka_unit_test(value_that_looks_like_an_option),
		cmocka_unit_test(nothing_and_half_of_something),
		cmocka_unit_test(any_bytes),
		cmocka_unit_test(more_sockets_than_are_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
