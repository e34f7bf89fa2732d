// SPDX-License-Identifier: GPL-2.0
/*
 * Names of VMs, as their owners may have chosen them.
 * tools: lib/text.c
 */
#include "unit.h"
#include "tools/lib/text.h"

static void becomes(const char *text, const char *wanted)
{
	/* on the heap: one byte too far is seen */
	char *copy = strdup(text);

	ballast_text_clean(copy);
	assert_string_equal(copy, wanted);
	free(copy);
}

static void names_stay(void **state)
{
	(void)state;
	becomes("", "");
	becomes("web-1 (old)", "web-1 (old)");
	becomes("b\xc3\xbcro", "b\xc3\xbcro");
	becomes("\xe6\x97\xa5\xe6\x9c\xac", "\xe6\x97\xa5\xe6\x9c\xac");
	becomes("\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80");
}

static void what_is_not_utf8_goes(void **state)
{
	(void)state;
	becomes("a\xff" "b", "a?b");
	becomes("\x80", "?");
	/* cut off, too long a form, half of a pair, beyond the last */
	becomes("a\xc3", "a?");
	becomes("\xe6\x97", "??");
	becomes("\xc0\xaf", "??");
	becomes("\xed\xa0\x80", "???");
	becomes("\xf4\x90\x80\x80", "????");
	becomes("\xc3\xc3\xbc", "?\xc3\xbc");
}

static void what_steers_a_terminal_goes(void **state)
{
	(void)state;
	becomes("a\nb\tc\r", "a?b?c?");
	becomes("\x1b[2J", "?[2J");
	becomes("\x7f", "?");
	/* in two bytes: the same as ESC [ */
	becomes("\xc2\x9b" "2J", "??2J");
}

static void any_bytes_end_as_text(void **state)
{
	u64 seed = 11;
	char text[24];
	unsigned int i, k;

	(void)state;
	for (i = 0; i < 100000; i++) {
		for (k = 0; k < sizeof(text) - 1; k++)
			text[k] = unit_random(&seed) >> 8;
		text[k] = '\0';
		k = strlen(text);
		ballast_text_clean(text);
		assert_int_equal(strlen(text), k);
		becomes(text, text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_stay),
		cmocka_unit_test(what_is_not_utf8_goes),
		cmocka_unit_test(what_steers_a_terminal_goes),
		cmocka_unit_test(any_bytes_end_as_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
