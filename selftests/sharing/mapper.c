// SPDX-License-Identifier: GPL-2.0
/*
 * A stand-in for a VM: maps a file once, keeps the mapping, and writes and
 * checks pages in it as it is told on standard input.
 *
 *   mapper FILE PAGES
 *
 * The mapping is kept because a guest keeps its own: that the module takes away
 * what is mapped when a page changes hands is what is tested.  One request a
 * line, one reply a line: "ok [NUMBER]" or "bad REASON".
 *
 *   write FIRST SPEC...	through the mapping
 *   pwrite FIRST SPEC...	by system calls
 *   check FIRST SPEC...	reads through the mapping, and compares
 *   pread FIRST SPEC...	by system calls
 *   punch FIRST COUNT		fallocate(PUNCH_HOLE)
 *   resize PAGES		ftruncate(); the mapping stays as it is
 *   remap			unmap it, map it again
 *   pin FIRST COUNT		vmsplice() into a pipe: references to the pages
 *   unpin SPEC...		read the pipe, and compare
 *   poke FIRST OFFSET VALUE	one byte, through the mapping
 *
 * SPEC is pages one after the other by their id (content.h): 7*10 ten times
 * id 7, 7+10 ids 7 to 16, 7%3*10 ids 7, 8, 9, 7, 8...  0 is a page of zeroes.
 *
 *   mapper --ids SPEC...	prints the ids, a line each; for oracles
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "content.h"

static const char *path;
static int fd;
static unsigned long pages;
static uint8_t *memory;
static int pin_pipe[2] = { -1, -1 };

static void reply(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
	fflush(stdout);
}

static void die(const char *what)
{
	fprintf(stderr, "mapper: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Calls each(page number, id) for all pages of the specs; stops at an error. */
typedef int (*each_page)(unsigned long page, uint64_t id);

static int for_spec(const char *spec, unsigned long *page, each_page each)
{
	unsigned long id, count, modulus = 0, i;
	char *rest;

	id = strtoul(spec, &rest, 10);
	if (*rest == '%') {
		modulus = strtoul(rest + 1, &rest, 10);
		if (!modulus || *rest != '*')
			return -1;
	}
	if (*rest == '+')
		modulus = ~0UL;
	else if (*rest == '*')
		modulus = modulus ?: 1;
	else
		return -1;
	count = strtoul(rest + 1, &rest, 10);
	if (*rest)
		return -1;
	for (i = 0; i < count; i++, (*page)++)
		if (each(*page, id + i % modulus))
			return -2;
	return 0;
}

static uint64_t *page_at(unsigned long page)
{
	return (uint64_t *)(memory + page * CONTENT_PAGE);
}

static int write_page(unsigned long page, uint64_t id)
{
	content_fill(page_at(page), id);
	return 0;
}

static int pwrite_page(unsigned long page, uint64_t id)
{
	uint64_t buffer[CONTENT_WORDS];

	content_fill(buffer, id);
	if (pwrite(fd, buffer, CONTENT_PAGE, page * CONTENT_PAGE) == CONTENT_PAGE)
		return 0;
	reply("bad pwrite of page %lu: %s", page, strerror(errno));
	return -1;
}

static int compare(const char *what, unsigned long page, const uint64_t *found,
		   uint64_t id)
{
	int word = content_check(found, id);

	if (word < 0)
		return 0;
	reply("bad %s: page %lu word %d: %016lx, not %016lx of id %lu", what, page,
	      word, found[word], content_word(id, word), id);
	return -1;
}

static int check_page(unsigned long page, uint64_t id)
{
	return compare("mapping", page, page_at(page), id);
}

static int pread_page(unsigned long page, uint64_t id)
{
	uint64_t buffer[CONTENT_WORDS];

	if (pread(fd, buffer, CONTENT_PAGE, page * CONTENT_PAGE) == CONTENT_PAGE)
		return compare("pread", page, buffer, id);
	reply("bad pread of page %lu: %s", page, strerror(errno));
	return -1;
}

static int unpin_page(unsigned long page, uint64_t id)
{
	uint64_t buffer[CONTENT_WORDS];
	size_t done = 0;
	ssize_t n;

	while (done < CONTENT_PAGE) {
		n = read(pin_pipe[0], (char *)buffer + done, CONTENT_PAGE - done);
		if (n <= 0) {
			reply("bad pipe ends in page %lu", page);
			return -1;
		}
		done += n;
	}
	return compare("pipe", page, buffer, id);
}

static int print_id(unsigned long page, uint64_t id)
{
	(void)page;
	printf("%lu\n", id);
	return 0;
}

static void do_specs(unsigned long page, each_page each)
{
	char *spec;
	int err = 0;

	while (!err && (spec = strtok(NULL, " \n")))
		err = for_spec(spec, &page, each);
	if (!err)
		reply("ok");
	else if (err == -1)
		reply("bad spec %s", spec);
}

static void map(void)
{
	memory = mmap(NULL, pages * CONTENT_PAGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		die("mmap");
}

static void pin(unsigned long first, unsigned long count)
{
	struct iovec iov = {
		.iov_base = page_at(first),
		.iov_len = count * CONTENT_PAGE,
	};

	if (pin_pipe[0] >= 0) {
		close(pin_pipe[0]);
		close(pin_pipe[1]);
	}
	if (pipe(pin_pipe) || fcntl(pin_pipe[1], F_SETPIPE_SZ, (int)iov.iov_len) < 0)
		die("pipe");
	if (vmsplice(pin_pipe[1], &iov, 1, SPLICE_F_NONBLOCK) != (ssize_t)iov.iov_len)
		reply("bad vmsplice: %s", strerror(errno));
	else
		reply("ok");
}

static unsigned long number(void)
{
	const char *word = strtok(NULL, " \n");

	return word ? strtoul(word, NULL, 10) : 0;
}

static void result(int failed)
{
	if (failed)
		reply("bad %s", strerror(errno));
	else
		reply("ok");
}

static void obey(char *line)
{
	const char *verb = strtok(line, " \n");
	unsigned long first, second;

	if (!verb) {
		reply("bad empty request");
	} else if (!strcmp(verb, "write")) {
		do_specs(number(), write_page);
	} else if (!strcmp(verb, "pwrite")) {
		do_specs(number(), pwrite_page);
	} else if (!strcmp(verb, "check")) {
		do_specs(number(), check_page);
	} else if (!strcmp(verb, "pread")) {
		do_specs(number(), pread_page);
	} else if (!strcmp(verb, "unpin")) {
		do_specs(0, unpin_page);
	} else if (!strcmp(verb, "pin")) {
		first = number();
		pin(first, number());
	} else if (!strcmp(verb, "punch")) {
		first = number() * CONTENT_PAGE;
		second = number() * CONTENT_PAGE;
		result(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				 first, second));
	} else if (!strcmp(verb, "resize")) {
		result(ftruncate(fd, number() * CONTENT_PAGE));
	} else if (!strcmp(verb, "remap")) {
		munmap(memory, pages * CONTENT_PAGE);
		map();
		reply("ok");
	} else if (!strcmp(verb, "poke")) {
		first = number() * CONTENT_PAGE;
		first += number();
		memory[first] = number();
		reply("ok");
	} else {
		reply("bad request %s", verb);
	}
}

int main(int argc, char **argv)
{
	unsigned long page = 0;
	char *line = NULL;
	size_t room = 0;
	int i;

	if (argc >= 2 && !strcmp(argv[1], "--ids")) {
		for (i = 2; i < argc; i++)
			if (for_spec(argv[i], &page, print_id))
				return 2;
		return 0;
	}
	if (argc != 3) {
		fprintf(stderr, "usage: mapper FILE PAGES | mapper --ids SPEC...\n");
		return 2;
	}
	path = argv[1];
	pages = strtoul(argv[2], NULL, 10);
	fd = open(path, O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		die(path);
	if (ftruncate(fd, pages * CONTENT_PAGE))
		die("ftruncate");
	map();
	while (getline(&line, &room, stdin) > 0)
		obey(line);
	return 0;
}
