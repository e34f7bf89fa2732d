// SPDX-License-Identifier: GPL-2.0
/*
 * A write of one byte meets the hole that is punched where it writes.
 *
 *   meet FILE PAGE...	for each of these pages
 *
 * Afterwards the rest of the page is zeroes, whoever came first: the hole's, as no
 * content before it outlives it.  Prints how many pages were otherwise, and how many have
 * the byte; exit status 1 if any was.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE		4096L
#define LITTER_BYTES	(64L << 20)
#define LEAST_US	10	/* to sleep: it takes longer anyway */

static atomic_int *turn;	/* the page, by its argument, that both are to go for */
static int fd;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* What the kernel gives out next has been something else's. */
static void litter(void)
{
	char *memory = mmap(NULL, LITTER_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("mmap");
	memset(memory, 0xa5, LITTER_BYTES);
	munmap(memory, LITTER_BYTES);
}

static int write_all(char **pages, int nr)
{
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 1; i < nr; i++) {
		while (atomic_load(turn) < i)
			;
		if (pwrite(fd, "x", 1, atol(pages[i]) * PAGE) != 1)
			return 1;
		atomic_store(turn + 1, i);
	}
	return 0;
}

static int is_wrong(long page, int *written)
{
	char content[PAGE];
	long i;

	if (pread(fd, content, PAGE, page * PAGE) != PAGE)
		die("read");
	*written += content[0] == 'x';
	for (i = 1; i < PAGE; i++)
		if (content[i])
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	int i, wrong = 0, written = 0, before, late_us = 0, status;
	pid_t writer;

	fd = open(argv[1], O_RDWR);
	turn = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || turn == MAP_FAILED)
		die(argv[1]);
	litter();
	writer = fork();
	if (writer < 0)
		die("fork");
	if (!writer)
		return write_all(argv + 1, argc - 1);
	for (i = 1; i < argc - 1; i++) {
		long page = atol(argv[i + 1]);

		atomic_store(turn, i);
		if (late_us > 0)
			usleep(late_us);
		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page * PAGE, PAGE))
			die("punch");
		while (atomic_load(turn + 1) < i)
			if (waitpid(writer, &status, WNOHANG) == writer && status)
				die("write");
		before = written;
		wrong += is_wrong(page, &written);
		/* towards where either may be the last */
		if (written > before)
			late_us += late_us / 8 + LEAST_US;
		else
			late_us = late_us > 2 * LEAST_US ? late_us * 7 / 8 : 0;
	}
	printf("%d pages wrong, %d written last, of %d\n", wrong, written, argc - 2);
	return wrong != 0;
}
