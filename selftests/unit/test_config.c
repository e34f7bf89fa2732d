// SPDX-License-Identifier: GPL-2.0
/*
 * ballastd.conf, and numbers as people write them.
 * tools: ballastd/config.c lib/settings.c lib/number.c
 * libraries: inih
 */
#include "unit.h"
#include "tools/ballastd/config.h"
#include "tools/lib/number.h"

static struct config config;
static char why[256];

static int fresh(void **state)
{
	(void)state;
	return config_init(&config);
}

static int done(void **state)
{
	(void)state;
	config_free(&config);
	return 0;
}

static void good(const char *text)
{
	if (config_read_text(&config, text, why, sizeof(why)))
		fail_msg("%s", why);
}

static void bad(const char *text, const char *words)
{
	assert_int_not_equal(config_read_text(&config, text, why, sizeof(why)), 0);
	if (!strstr(why, words))
		fail_msg("\"%s\" does not say \"%s\"", why, words);
}

static void empty_is_the_defaults(void **state)
{
	(void)state;
	good("");
	good("# only\n; comments\n\n");
	assert_string_equal(config.libvirt_uri, "qemu:///system");
	assert_true(config.find_qmp);
	assert_int_equal(config.stats_period_s, 10);
	assert_int_equal(config.rules.available_low_bp, 500);
	assert_int_equal(config.qmp_count, 0);
	assert_null(config_find_vm(&config, "web"));
}

static void everything(void **state)
{
	const struct config_vm *vm;

	(void)state;
	good("[daemon]\nlibvirt = none\nfind_qmp = no\nqmp = /a\nqmp = /b ; two\n"
	     "stats_period_s = 3600\n[pressure]\navailable_low_bp = 1\n"
	     "swap_in_bytes_per_s = 2M\nmajor_faults_per_s = 3\nstep_bp = 4\n"
	     "ceiling_bp = 5\nhold_s = 6\ndecay_bp_per_min = 7\n"
	     "[vm web server]\nshares = 8\nmin = 9k\nmax = default\ntax = 10\nballoon = yes\n"
	     "[vm db]\nballoon = no\n");
	assert_string_equal(config.libvirt_uri, "");
	assert_false(config.find_qmp);
	assert_int_equal(config.qmp_count, 2);
	assert_string_equal(config.qmp_paths[1], "/b");
	assert_int_equal(config.stats_period_s, 3600);
	assert_int_equal(config.rules.available_low_bp, 1);
	assert_int_equal(config.rules.swap_in_bytes_per_s, 2 << 20);
	assert_int_equal(config.rules.major_faults_per_s, 3);
	assert_int_equal(config.rules.step_bp, 4);
	assert_int_equal(config.rules.ceiling_bp, 5);
	assert_int_equal(config.rules.hold_ms, 6000);
	assert_int_equal(config.rules.decay_bp_per_min, 7);
	vm = config_find_vm(&config, "web server");
	assert_non_null(vm);
	assert_int_equal(vm->settings.given, 0xf);
	assert_int_equal(vm->settings.is_default, 1 << BALLAST_SET_MAX);
	assert_int_equal(vm->settings.value[BALLAST_SET_MIN], 9 << 10);
	assert_int_equal(vm->driver, BALLOON_DRIVER_ASSUME);
	assert_int_equal(config_find_vm(&config, "db")->driver, BALLOON_DRIVER_IGNORE);
}

static void what_is_wrong_is_said_with_its_line(void **state)
{
	(void)state;
	bad("[daemon]\n\nspeed = 1\n", "line 3: [daemon] has no \"speed\"");
	bad("[pressure]\nspeed = 1\n", "line 2: [pressure] has no \"speed\"");
	bad("[vm a]\nspeed = 1\n", "no setting \"speed\"");
	bad("[vm ]\nshares = 1\n", "no section");
	bad("[host]\nx = 1\n", "no section [host]");
	bad("x = 1\n", "line 1");
	bad("[daemon]\nnonsense\n", "line 2: not \"name = value\"");
	bad("[daemon]\nstats_period_s = 0\n", "cannot be");
	bad("[daemon]\nstats_period_s = 3601\n", "cannot be");
	bad("[daemon]\nfind_qmp = maybe\n", "cannot be");
	bad("[pressure]\nstep_bp = 10001\n", "cannot be");
	bad("[pressure]\nstep_bp = -1\n", "cannot be");
	bad("[vm a]\ntax = 9901\n", "more than 9900");
	bad("[vm a]\nmin = -4M\n", "is not a size");
	bad("[vm a]\nballoon = perhaps\n", "cannot be");
	/* the first thing, not the last */
	bad("[vm a]\nshares = x\nshares = y\n", "line 2: shares: \"x\"");
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		u64 bytes;
	} ok[] = {
		{ "0", 0 }, { "4096", 4096 }, { "1k", 1024 }, { "2K", 2048 }, { "3KiB", 3072 },
		{ "1m", 1 << 20 }, { "1 GiB", 1 << 30 }, { "2T", 2ULL << 40 }, { "5\n", 5 },
		{ "7b", 7 }, { "16777215T", 16777215ULL << 40 },
		{ "18446744073709551615", UINT64_MAX },
	};
	static const char *const wrong[] = {
		"", "-1", "+1", " 1", "1x", "1 k b", "k", "0x10", "1.5G", "16777216T",
		"18446744073709551616", "1KiBs", "1kk",
	};
	u64 bytes;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(ok); i++) {
		assert_int_equal(ballast_parse_size(ok[i].text, &bytes), 0);
		assert_int_equal(bytes, ok[i].bytes);
	}
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_int_not_equal(ballast_parse_size(wrong[i], &bytes), 0);
}

static void sizes_for_readers(void **state)
{
	static const struct {
		u64 bytes;
		const char *text;
	} cases[] = {
		{ 0, "0 B" }, { 1023, "1023 B" }, { 1024, "1.00 KiB" }, { 10239, "10.0 KiB" },
		{ 1536 << 20, "1.50 GiB" }, { 100ULL << 30, "100 GiB" },
		{ (1 << 20) - 1, "1.00 MiB" }, { UINT64_MAX, "16.0 EiB" },
	};
	char text[24];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ballast_format_size(cases[i].bytes, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
	}
}

static void settings_merge(void **state)
{
	struct ballast_settings a = { 0 }, b = { 0 };
	char text[32];

	(void)state;
	assert_int_equal(ballast_settings_assign(&a, "shares=1", why, sizeof(why)), 0);
	assert_int_equal(ballast_settings_assign(&a, "min=default", why, sizeof(why)), 0);
	assert_int_equal(ballast_settings_assign(&b, "shares=default", why, sizeof(why)), 0);
	assert_int_equal(ballast_settings_assign(&b, "min=2", why, sizeof(why)), 0);
	assert_int_not_equal(ballast_settings_assign(&b, "shares", why, sizeof(why)), 0);
	ballast_settings_merge(&a, &b);
	assert_true(ballast_settings_equal(&a, &b));
	ballast_settings_format(&a, BALLAST_SET_SHARES, text, sizeof(text));
	assert_string_equal(text, "default");
	ballast_settings_format(&a, BALLAST_SET_MIN, text, sizeof(text));
	assert_string_equal(text, "2");
}

/* Each is taken by a module that refuses a min above the max, from 1G..2G on. */
static void taken_in_order(const char *min_text, const char *max_text)
{
	uint64_t min = 1ULL << 30, max = 2ULL << 30, value;
	enum ballast_setting order[BALLAST_SETTINGS];
	struct ballast_settings s = { 0 };
	unsigned int seen = 0;
	int i;

	assert_int_equal(ballast_settings_assign(&s, min_text, why, sizeof(why)), 0);
	assert_int_equal(ballast_settings_assign(&s, max_text, why, sizeof(why)), 0);
	ballast_settings_order(&s, min, order);
	for (i = 0; i < BALLAST_SETTINGS; i++) {
		value = s.value[order[i]];
		seen |= 1U << order[i];
		if (order[i] == BALLAST_SET_MIN)
			min = value;
		if (order[i] == BALLAST_SET_MAX)
			max = s.is_default & 1U << BALLAST_SET_MAX ? 8ULL << 30 : value;
		assert_true(min <= max);
	}
	assert_int_equal(seen, (1U << BALLAST_SETTINGS) - 1);
}

static void settings_order(void **state)
{
	(void)state;
	taken_in_order("min=4G", "max=6G");
	taken_in_order("min=256M", "max=512M");
	taken_in_order("min=1536M", "max=1536M");
	taken_in_order("min=512M", "max=512M");
	taken_in_order("min=4G", "max=default");
	taken_in_order("min=default", "max=512M");
}

static void settings_only(void **state)
{
	struct ballast_settings all = { 0 }, one;

	(void)state;
	assert_int_equal(ballast_settings_assign(&all, "shares=7", why, sizeof(why)), 0);
	assert_int_equal(ballast_settings_assign(&all, "min=default", why, sizeof(why)), 0);
	one = ballast_settings_only(&all, BALLAST_SET_SHARES);
	assert_int_equal(one.given, 1U << BALLAST_SET_SHARES);
	assert_int_equal(one.is_default, 0);
	assert_int_equal(one.value[BALLAST_SET_SHARES], 7);
	one = ballast_settings_only(&all, BALLAST_SET_MAX);
	assert_int_equal(one.given | one.is_default, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(empty_is_the_defaults, fresh, done),
		cmocka_unit_test_setup_teardown(everything, fresh, done),
		cmocka_unit_test_setup_teardown(what_is_wrong_is_said_with_its_line, fresh, done),
		cmocka_unit_test(sizes),
		cmocka_unit_test(sizes_for_readers),
		cmocka_unit_test(settings_merge),
		cmocka_unit_test(settings_order),
		cmocka_unit_test(settings_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
