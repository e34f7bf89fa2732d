/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every unit test has: cmocka, the seam, a fixed source of chance.
 *
 * DOC: A test is one program, test_NAME.c.  A line " * sources: sharing/x.c"
 * in its head names the files under kmod/ that it is linked with; they are
 * compiled as they are, against kmod/policy/env.h.  Random numbers come from
 * seeds written in the tests: a failure is the same failure the next time.
 */
#ifndef BALLAST_UNIT_H
#define BALLAST_UNIT_H

#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "policy/env.h"

#include <cmocka.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

/* A crash may not take with it what was already said. */
__attribute__((constructor)) static void unit_flush_lines(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
}

/* The numbers of splitmix64: any seed is good, 0 too. */
static inline u64 unit_random(u64 *seed)
{
	u64 z = *seed += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* Uniform enough: @n is small beside 2^64. */
static inline u64 unit_random_below(u64 *seed, u64 n)
{
	return unit_random(seed) % n;
}

/* A figure for the reader of the log; KTAP takes it for a diagnostic. */
#define unit_note(fmt, ...)	print_message("# " fmt "\n", ##__VA_ARGS__)

#define unit_main(tests)						\
	int main(void)							\
	{								\
		return cmocka_run_group_tests(tests, NULL, NULL);	\
	}

#endif /* BALLAST_UNIT_H */
