/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the stress programs have in common: checksums, clocks, sysfs.
 */
#ifndef BALLAST_STRESS_H
#define BALLAST_STRESS_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../sharing/content.h"

static inline void die(const char *what)
{
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what, strerror(errno));
	_exit(2);
}

static uint64_t weights[CONTENT_WORDS];

/* Before the first checksum, and before there are threads. */
static inline void weights_init(void)
{
	unsigned int i;

	for (i = 0; i < CONTENT_WORDS; i++)
		weights[i] = content_mix(i + 1) | 1;
}

/* In it each word has its own weight: one in the wrong place shows too. */
static inline uint64_t sum_of(const volatile uint64_t *page)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < CONTENT_WORDS; i++)
		sum += page[i] * weights[i];
	return sum;
}

static inline void rest_ms(unsigned int ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&t, NULL);
}

static inline double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* The pool is named like the directory that it is mounted at. */
static inline const char *pool_name(const char *directory)
{
	return strrchr(directory, '/') + 1;
}

static inline unsigned long pool_number(const char *directory, const char *name)
{
	unsigned long number = 0;
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/ballast/pools/%s/%s",
		 pool_name(directory), name);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%lu", &number) != 1)
		die(path);
	fclose(f);
	return number;
}

static inline void set_attribute(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		die(path);
	close(fd);
}

/* A short pass leaves the scanner asleep for the rest of its slice. */
static inline void kick_scanner(void)
{
	set_attribute("/sys/kernel/ballast/sharing/pass_min_ms", "0");
}

#endif /* BALLAST_STRESS_H */
