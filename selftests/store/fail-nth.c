// SPDX-License-Identifier: GPL-2.0
/*
 * Every allocation of a system call fails, one after the other.
 *
 *   fail-nth mount DIRECTORY OPTIONS [STEP]	mount -t ballastfs, and unmount what was
 *			mounted; with STEP, only each so-many-th
 *   fail-nth remount DIRECTORY OPTIONS
 *   fail-nth create DIRECTORY		make a file, and remove it
 *   fail-nth touch FILE PAGES		each page through a mapping, from its last on
 *   fail-nth read FILE PAGES		read()
 *   fail-nth write FILE PAGES		write() what is there
 *   fail-nth punch FILE PAGES		punch out half a page, and write it again
 *   fail-nth map FILE PAGES		map it, and unmap it
 *   fail-nth allocate FILE PAGES	fallocate() behind them, and cut that off
 *   fail-nth load MODULE FILE [STEP]	finit_module(), and unload what was loaded
 *			when FILE is there, a VM's
 *
 * Repeats it with the first allocation failing, then the second, and so on, until a
 * call makes fewer than that.  Prints how many failed, and how many calls in spite of
 * that had success.  Needs a kernel with fault injection, set up by lab_faults.sh.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE	4096UL
#define MOST	2000
#define MOST_SMALL	600		/* of calls that allocate a few times only */

static const char *path, *options;
static unsigned long pages, step = 1;
static int nth_fd, fd = -1;
static char *memory;

static void die(const char *what)
{
	fprintf(stderr, "fail-nth: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void arm(int nth)
{
	char text[16];
	int n = snprintf(text, sizeof(text), "%d", nth);

	if (pwrite(nth_fd, text, n, 0) != n)
		die("fail-nth");
}

/* Did the allocation fail that was to? */
static int disarm(void)
{
	char text[16] = "";

	if (pread(nth_fd, text, sizeof(text) - 1, 0) <= 0)
		die("fail-nth");
	arm(0);
	return atoi(text) == 0;
}

static int do_mount(void)
{
	return mount("none", path, "ballastfs", 0, options);
}

static void undo_mount(void)
{
	if (umount(path))
		die("umount");
}

static int do_remount(void)
{
	return mount("none", path, "ballastfs", MS_REMOUNT, options);
}

static char new_file[300];

static int do_create(void)
{
	int new_fd = open(new_file, O_RDWR | O_CREAT | O_EXCL, 0600);

	if (new_fd < 0)
		return -1;
	close(new_fd);
	return 0;
}

static void undo_create(void)
{
	if (unlink(new_file))
		die("unlink");
}

static int do_touch(void)
{
	static unsigned long page;
	volatile char *byte;

	page = page ? page - 1 : pages - 1;
	byte = memory + page * PAGE;
	*byte = *byte;
	return 0;
}

/* Some of it, and the error for the rest next time: that is what a short count means. */
static int all_of(ssize_t done, size_t wanted)
{
	if (done >= 0 && (size_t)done < wanted)
		errno = ENOMEM;
	return done == (ssize_t)wanted ? 0 : -1;
}

static int do_read(void)
{
	static char buffer[16 * PAGE];
	static unsigned long page;

	page = (page + 16) % (pages - 15);
	return all_of(pread(fd, buffer, sizeof(buffer), page * PAGE), sizeof(buffer));
}

/* What cannot be read is not written. */
static int do_write(void)
{
	static unsigned long page;
	char buffer[PAGE];

	page = (page + 1) % pages;
	memcpy(buffer, memory + page * PAGE, PAGE);
	return all_of(pwrite(fd, buffer, PAGE, page * PAGE), PAGE);
}

/* Without touching it, and whatever fails: again until it does not. */
static void get(char *page, off_t at)
{
	int i;

	for (i = 0; i < 1000; i++)
		if (pread(fd, page, PAGE, at) == (ssize_t)PAGE)
			return;
	die("read");
}

static void put(const char *page, off_t at)
{
	int i;

	for (i = 0; i < 1000; i++)
		if (pwrite(fd, page, PAGE, at) == (ssize_t)PAGE)
			return;
	die("write");
}

/* All of it or nothing: half of the page is zero then, or it is as it was. */
static int do_punch(void)
{
	static char was[PAGE], now[PAGE], wanted[PAGE];
	static unsigned long page;
	int err, error;
	off_t at;

	page = (page + 1) % pages;
	at = page * PAGE;
	get(was, at);
	memcpy(wanted, was, PAGE);
	err = fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at + PAGE / 2, PAGE / 2);
	error = errno;
	if (!err)
		memset(wanted + PAGE / 2, 0, PAGE / 2);
	get(now, at);
	errno = EIO;
	if (memcmp(now, wanted, PAGE))
		die(err ? "a punch that failed has changed the page" : "punched");
	if (!err)
		put(was, at);
	errno = error;
	return err;
}

static void *mapping;

static int do_map(void)
{
	mapping = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return mapping == MAP_FAILED ? -1 : 0;
}

static void undo_map(void)
{
	if (munmap(mapping, pages * PAGE))
		die("munmap");
}

/* Of more than one allocation of each kind, if they lie across a block's end. */
static int do_allocate(void)
{
	return fallocate(fd, 0, pages * PAGE, 40 * PAGE);
}

static void undo_allocate(void)
{
	if (ftruncate(fd, pages * PAGE))
		die("ftruncate");
}

static int do_load(void)
{
	int module = open(path, O_RDONLY), err, error;

	if (module < 0)
		die(path);
	err = syscall(SYS_finit_module, module, "", 0);
	error = errno;
	close(module);
	errno = error;
	return err;
}

static void undo_load(void)
{
	int i;

	for (i = 0; access(options, F_OK); i++) {
		if (i == 600)
			die(options);
		usleep(100 * 1000);
	}
	if (syscall(SYS_delete_module, "ballast", 0))
		die("unload");
}

static void nothing(void)
{
}

static const struct {
	const char *name;
	int (*call)(void);
	void (*undo)(void);
	int rounds;	/* after the last failure: calls differ in what they allocate */
	bool file;
} actions[] = {
	{ "mount", do_mount, undo_mount, 1, false },
	{ "remount", do_remount, nothing, 1, false },
	{ "create", do_create, undo_create, 1, false },
	{ "load", do_load, undo_load, 1, false },
	{ "touch", do_touch, nothing, 3000, true },
	{ "read", do_read, nothing, 3000, true },
	{ "write", do_write, nothing, 3000, true },
	{ "punch", do_punch, nothing, 3000, true },
	{ "map", do_map, undo_map, 1, true },
	{ "allocate", do_allocate, undo_allocate, 1, true },
};

static void open_memory(void)
{
	fd = open(path, O_RDWR);
	if (fd < 0)
		die(path);
	memory = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		die("mmap");
}

static void run(unsigned int a)
{
	int nth, failed, injected = 0, quiet = 0, succeeded = 0;

	for (nth = 1; nth < MOST && quiet < actions[a].rounds; nth += step) {
		int err;

		arm(nth);
		err = actions[a].call();
		if (err && errno != ENOMEM && errno != ENOSPC)
			die(actions[a].name);
		failed = disarm();
		injected += failed;
		quiet = failed ? 0 : quiet + 1;
		if (!err) {
			succeeded += failed;
			actions[a].undo();
		} else if (!failed) {
			die("failed without a failing allocation");
		}
		/* of small calls each is tried with its first few failing */
		if (actions[a].rounds > 1 && nth >= 12)
			nth = 0;
		if (injected >= (actions[a].rounds > 1 ? MOST_SMALL : MOST))
			break;
	}
	printf("%s: %d allocations failed, %d calls succeeded in spite of it\n",
	       actions[a].name, injected, succeeded);
	if (!injected)
		exit(1);
}

int main(int argc, char **argv)
{
	unsigned int a;

	for (a = 0; a < sizeof(actions) / sizeof(actions[0]); a++)
		if (argc > 2 && !strcmp(argv[1], actions[a].name))
			break;
	if (a == sizeof(actions) / sizeof(actions[0]))
		return 2;
	path = argv[2];
	options = argc > 3 ? argv[3] : "";
	if (argc > 4)
		step = strtoul(argv[4], NULL, 10);
	snprintf(new_file, sizeof(new_file), "%s/new", path);
	if (actions[a].file) {
		pages = strtoul(options, NULL, 10);
		open_memory();
	}
	nth_fd = open("/proc/thread-self/fail-nth", O_RDWR);
	if (nth_fd < 0)
		die("fail-nth");
	run(a);
	return 0;
}
