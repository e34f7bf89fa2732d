// SPDX-License-Identifier: GPL-2.0
/*
 * Changes of a tunable while the scanner falls asleep.
 *
 *   kicker SECONDS
 *
 * A pass ends and the scanner computes from pass_min_ms, a day, how long to
 * sleep; at a random moment of that pass_min_ms becomes 0.  The next pass must
 * begin without anybody touching a tunable again.  Needs a file to scan.
 *
 * The moment that counts is a fraction of a microsecond long, and this tries
 * ten times a second: it needs the scanner made slow at that moment (lab_races.sh).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROOT		"/sys/kernel/ballast/sharing/"
#define PATIENCE_MS	10000
#define SPREAD_US	1200	/* of a pass with the scanner made slow */

static int pass_min_ms, full_scans;

static void fail(const char *what)
{
	printf("kicker: %s\n", what);
	exit(1);
}

static int open_attribute(const char *path, int flags)
{
	int fd = open(path, flags);

	if (fd < 0)
		fail(path);
	return fd;
}

static void set_pass_min(const char *ms)
{
	if (pwrite(pass_min_ms, ms, strlen(ms), 0) < 0)
		fail("pass_min_ms cannot be written");
}

static unsigned long passes(void)
{
	char text[32] = "";

	if (pread(full_scans, text, sizeof(text) - 1, 0) <= 0)
		fail("full_scans cannot be read");
	return strtoul(text, NULL, 10);
}

static long long now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void rest_us(long us)
{
	struct timespec t = { .tv_nsec = us * 1000 };

	nanosleep(&t, NULL);
}

/* Two: the one that the scanner was at says nothing. */
static void wait_for_passes(unsigned long before)
{
	long long end = now_us() + PATIENCE_MS * 1000LL;

	while (passes() < before + 2) {
		if (now_us() > end)
			fail("no pass begins though pass_min_ms is 0: a kick was lost");
		rest_us(1000);
	}
}

int main(int argc, char **argv)
{
	unsigned long before, tries = 0;
	long long end;

	if (argc != 2)
		fail("SECONDS");
	pass_min_ms = open_attribute(ROOT "pass_min_ms", O_WRONLY);
	full_scans = open_attribute(ROOT "full_scans", O_RDONLY);
	end = now_us() + atol(argv[1]) * 1000000LL;
	srand(now_us());
	for (; now_us() < end; tries++) {
		before = passes();
		set_pass_min("86400000");
		rest_us(rand() % SPREAD_US);
		set_pass_min("0");
		wait_for_passes(before);
	}
	printf("kicks: %lu tries\n", tries);
	return 0;
}
