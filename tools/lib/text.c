// SPDX-License-Identifier: GPL-2.0
/*
 * Text that others have written: who starts a VM names it.
 */
#include <locale.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "text.h"

static void clean(char *text)
{
	size_t left = strlen(text), length;
	mbstate_t state;
	wchar_t c;

	while (left) {
		memset(&state, 0, sizeof(state));
		length = mbrtowc(&c, text, left, &state);
		/* no character, or part of one: errors are larger than any text */
		if (length > left || !iswprint(c)) {
			*text = '?';
			length = 1;
		}
		text += length;
		left -= length;
	}
}

/**
 * ballast_text_clean() - make a text fit for a terminal, and for JSON
 * @text: its bytes that are not UTF-8, or no character to be printed, become '?'
 */
void ballast_text_clean(char *text)
{
	locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	locale_t before = uselocale(utf8);	/* 0 changes nothing: ASCII then */

	clean(text);
	uselocale(before);
	if (utf8)
		freelocale(utf8);
}
