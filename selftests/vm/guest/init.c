// SPDX-License-Identifier: GPL-2.0
/*
 * init.c - process 1 of a test guest: fills memory with content it can predict,
 * changes some of it, and checks all of it for as long as the guest runs.
 *
 * Every page's content follows from (seed, page number, generation), and the
 * generation each page should have is kept in a table, so a page that was lost,
 * became stale, or came back as somebody else's is found and named.  The host
 * sees only memory: what is identical across guests is found by it or not.
 *
 * The kernel command line says what to do:
 *
 *   ballast.name=NAME
 *   ballast.modules=NAME,...      loaded, each with what it needs; NAME.KEY=VALUE
 *                                 on the command line is a parameter of a file NAME.ko
 *   ballast.commands=1            obey commands.c's commands
 *   ballast.program=1             run /program, see program.c
 *   ballast.workload=KEY=VALUE,...
 *     identical=MiB  the same in every guest with the same seed=
 *     unique=MiB     different in every guest, incompressible
 *     text=MiB       different in every guest, compresses to about a third
 *     zero=MiB       touched, then zero
 *     hot=MiB        of the above (from the start), read all the time
 *     dirty=N        pages of identical, unique and text rewritten a second
 *     rate=N         pages checked a second (5000)
 *     gap=S          seconds between two passes of checking (0)
 *     seed=N         (1)
 *     disk=MiB       written to /dev/vda and read again, by direct I/O, all the time
 *     swap=1         /dev/vda is swap space (guests.sh: guest_swap_disk); what was
 *                    swapped, and OOM kills, are then reported
 *     zram=MiB       the same, in compressed memory (where zram is built in)
 *     grow=MiB       as unique, but filled only when a line comes in on /dev/ttyS1,
 *                    as fast as it goes; from then on checked like the rest
 *     pulse=1        a thread that does a little every 10 ms, and says each second how
 *                    often it could, its longest wait in that second, and how
 *                    often KVM told this guest that a page it waited for is there
 *     corrupt=1      flip one byte after filling: the harness must notice
 *
 * On the serial console (for guests.sh): "BALLAST-GUEST name" followed by
 * "ready", "grows", "grown", "ok key=value...", "pulse key=value...", "program LINE",
 * "MISMATCH key=value..." or "error ...".
 * After a MISMATCH the guest stands still, so that its memory can be looked at.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#include "commands.h"
#include "program.h"

#define PAGE 4096
#define WORDS (PAGE / sizeof(uint64_t))
#define PAGES_PER_MIB (1048576 / PAGE)
#define TICK_MS 20
#define REPORT_MS 2000
#define HOT_MS 100
#define DISK_MS 10
#define PULSE_MS 10
#define PULSE_REPORT_MS 1000
#define GROW_PAGES PAGES_PER_MIB	/* a tick, so that it goes on reporting */

/* In the order in which they lie: the last is not there from the start. */
enum kind { IDENTICAL, UNIQUE, TEXT, ZERO, GROWN, KINDS };

static const char *const kind_names[KINDS] = { "identical", "unique", "text", "zero", "grow" };

static struct {
	char name[64];
	uint64_t pages[KINDS];
	uint64_t hot_pages;
	uint64_t dirty_per_s;
	uint64_t rate;
	uint64_t gap_s;
	uint64_t seed;
	uint64_t disk_pages;
	int swap;
	int pulse;
	uint64_t zram_mib;
	int corrupt;
} conf = { .name = "?", .rate = 5000, .seed = 1 };

static uint64_t *memory;	/* all regions, one after the other */
static uint32_t *generation;	/* of each page; 0 is as filled */
static uint64_t total_pages;	/* filled */
static uint64_t first_pages;	/* filled from the start */
static uint64_t guest_seed;	/* of what differs between guests */
static int console = -1;

static struct {
	uint64_t passes;
	uint64_t verified;
	uint64_t dirtied;
} count;

static volatile uint64_t hot_reads, disk_checks;
static volatile int grow_ordered;

static void report(const char *format, ...)
{
	char line[400];
	int n = snprintf(line, sizeof(line), "BALLAST-GUEST %s ", conf.name);
	va_list args;

	va_start(args, format);
	n += vsnprintf(line + n, sizeof(line) - n - 2, format, args);
	va_end(args);
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (write(console, line, n) < 0)
		console = -1;
}

static void __attribute__((noreturn)) stand_still(void)
{
	for (;;)
		pause();
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ull + t.tv_nsec / 1000000;
}

static void sleep_ms(unsigned int ms)
{
	struct timespec t = { ms / 1000, (ms % 1000) * 1000000l };

	nanosleep(&t, NULL);
}

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static enum kind kind_of(uint64_t page)
{
	enum kind k = IDENTICAL;

	while (page >= conf.pages[k])
		page -= conf.pages[k++];
	return k;
}

/*
 * The first generation of an identical page depends on the shared seed alone;
 * a rewritten one is this guest's own, so that it cannot be shared any more.
 */
static uint64_t start_of(enum kind kind, uint64_t page, uint32_t gen)
{
	uint64_t seed = kind == IDENTICAL && !gen ? mix(conf.seed) : guest_seed;

	return mix(seed ^ mix(page * KINDS + kind) ^ ((uint64_t)gen << 40));
}

/* Word i of a page. Text repeats three quarters of its words. */
static uint64_t word_of(enum kind kind, uint64_t start, unsigned int i)
{
	if (kind == ZERO)
		return 0;
	if (kind == TEXT && i % 4)
		return start;
	/* an odd multiplier: 512 different words, no two pages in step */
	start += i * 0x9e3779b97f4a7c15ull;
	start = (start ^ (start >> 29)) * 0xbf58476d1ce4e5b9ull;
	return start ^ (start >> 32);
}

static uint64_t *page_at(uint64_t page)
{
	return memory + page * WORDS;
}

static void write_page(uint64_t page)
{
	enum kind kind = kind_of(page);
	uint64_t start = start_of(kind, page, generation[page]);
	uint64_t *p = page_at(page);
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		p[i] = word_of(kind, start, i);
}

/* The first word that is not what it should be, or WORDS. */
static unsigned int first_difference(const uint64_t *p, enum kind kind, uint64_t page,
				     uint32_t gen)
{
	uint64_t start = start_of(kind, page, gen);
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		if (p[i] != word_of(kind, start, i))
			break;
	return i;
}

/* Where the guest's page lies in guest-physical memory, to find it in the host. */
static uint64_t gpa_of(uint64_t page)
{
	uint64_t entry = 0, addr = (uint64_t)(uintptr_t)page_at(page);
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (fd < 0)
		return 0;
	if (pread(fd, &entry, sizeof(entry), addr / PAGE * 8) != sizeof(entry))
		entry = 0;
	close(fd);
	return (entry & ((1ull << 55) - 1)) * PAGE;
}

/* Whose content a wrong page has: says what kind of bug it is. */
static void say_origin(uint64_t page, char *text, size_t size)
{
	const uint64_t *p = page_at(page);
	enum kind kind = kind_of(page);
	uint64_t other;
	unsigned int i;
	uint32_t gen;

	for (i = 0; i < WORDS && !p[i]; i++)
		;
	if (i == WORDS) {
		snprintf(text, size, "zero-page");
		return;
	}
	for (gen = 0; gen <= generation[page] + 1; gen++)
		if (gen != generation[page] && first_difference(p, kind, page, gen) == WORDS) {
			snprintf(text, size, "generation-%u", gen);
			return;
		}
	for (other = 0; other < total_pages; other++)
		if (other != page && kind_of(other) != ZERO &&
		    first_difference(p, kind_of(other), other, generation[other]) == WORDS) {
			snprintf(text, size, "page-%llu", (unsigned long long)other);
			return;
		}
	snprintf(text, size, "unknown");
}

static void verify_page(uint64_t page)
{
	enum kind kind = kind_of(page);
	unsigned int i = first_difference(page_at(page), kind, page, generation[page]);
	uint64_t want, got, again;
	char origin[64];

	if (i == WORDS)
		return;
	got = page_at(page)[i];
	want = word_of(kind, start_of(kind, page, generation[page]), i);
	again = first_difference(page_at(page), kind, page, generation[page]);
	say_origin(page, origin, sizeof(origin));
	report("MISMATCH page=%llu region=%s generation=%u offset=%u expected=%016llx got=%016llx origin=%s gpa=%llx again=%s",
	       (unsigned long long)page, kind_names[kind], generation[page],
	       (unsigned int)(i * sizeof(uint64_t)), (unsigned long long)want,
	       (unsigned long long)got, origin, (unsigned long long)gpa_of(page),
	       again == WORDS ? "right" : "wrong");
	stand_still();
}

/* ---- work, in ticks */

static void dirty_some(uint64_t elapsed_ms)
{
	static uint64_t owed;	/* thousandths of a page */
	static uint64_t random_state;
	uint64_t changeable = first_pages - conf.pages[ZERO];
	uint64_t page;

	if (!changeable)
		return;
	owed += conf.dirty_per_s * elapsed_ms;
	/* after a long stop, do not make up for all of it at once */
	if (owed > conf.dirty_per_s * 1000)
		owed = conf.dirty_per_s * 1000;
	for (; owed >= 1000; owed -= 1000) {
		random_state = mix(random_state + guest_seed);
		page = random_state % changeable;
		/* what is overwritten must have been right */
		verify_page(page);
		generation[page]++;
		write_page(page);
		count.dirtied++;
	}
}

static void verify_some(uint64_t elapsed_ms)
{
	static uint64_t next, resume_ms;
	static uint64_t owed;

	if (!total_pages || now_ms() < resume_ms)
		return;
	owed += conf.rate * elapsed_ms;
	if (owed > conf.rate * 200)
		owed = conf.rate * 200;
	for (; owed >= 1000; owed -= 1000) {
		verify_page(next);
		count.verified++;
		if (++next < total_pages)
			continue;
		next = 0;
		count.passes++;
		if (conf.gap_s) {
			resume_ms = now_ms() + conf.gap_s * 1000;
			owed = 0;
			return;
		}
	}
}

static void *keep_hot(void *unused)
{
	volatile const uint64_t *p;
	uint64_t page;

	for (;;) {
		for (page = 0; page < conf.hot_pages; page++) {
			p = page_at(page);
			(void)p[page % WORDS];
			hot_reads++;
		}
		sleep_ms(HOT_MS);
	}
	return unused;
}

/* The next page to write from, to read into, and to use of the disk. */
static void check_disk(int fd, uint64_t *from, uint64_t *into, uint64_t page, uint64_t place)
{
	uint64_t start = start_of(IDENTICAL, page, 0);
	unsigned int i;

	if (pwrite(fd, from + page * WORDS, PAGE, place * PAGE) != PAGE ||
	    pread(fd, into + place * WORDS, PAGE, place * PAGE) != PAGE) {
		report("error disk page %llu: %s", (unsigned long long)place, strerror(errno));
		stand_still();
	}
	for (i = 0; i < WORDS; i++) {
		if (into[place * WORDS + i] == word_of(IDENTICAL, start, i))
			continue;
		report("MISMATCH disk page=%llu from=%llu word=%u", (unsigned long long)place,
		       (unsigned long long)page, i);
		stand_still();
	}
	disk_checks++;
}

/*
 * What is written is the same in every guest and what is read is a copy of it: the
 * host may have shared either when the device comes to it.
 */
static void *use_disk(void *unused)
{
	size_t size = conf.disk_pages * PAGE;
	int fd = open("/dev/vda", O_RDWR | O_DIRECT | O_CLOEXEC);
	uint64_t *from = mmap(NULL, 2 * size, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t page, round, i;

	if (fd < 0 || from == MAP_FAILED) {
		report("error /dev/vda: %s", strerror(errno));
		stand_still();
	}
	for (page = 0; page < conf.disk_pages; page++)
		for (i = 0; i < WORDS; i++)
			from[page * WORDS + i] = word_of(IDENTICAL,
				start_of(IDENTICAL, page, 0), i);
	for (round = 0; ; round++)
		for (page = 0; page < conf.disk_pages; page++) {
			check_disk(fd, from, from + conf.disk_pages * WORDS, page,
				   (page + round) % conf.disk_pages);
			sleep_ms(DISK_MS);
		}
	return unused;
}

/* What KVM's async page faults end with: a line of /proc/interrupts, all CPUs'. */
static unsigned long long async_faults(void)
{
	FILE *interrupts = fopen("/proc/interrupts", "re");
	unsigned long long sum = 0;
	char line[400], *at, *end;

	while (interrupts && fgets(line, sizeof(line), interrupts)) {
		at = strstr(line, "HYP:");
		if (!at)
			continue;
		for (at += 4; sum += strtoull(at, &end, 10), end != at; at = end)
			;
	}
	if (interrupts)
		fclose(interrupts);
	return sum;
}

static void *keep_pulse(void *unused)
{
	uint64_t times = 0, longest = 0, reported = now_ms(), last = reported, now;

	for (;;) {
		sleep_ms(PULSE_MS);
		now = now_ms();
		times++;
		if (now - last > longest)
			longest = now - last;
		last = now;
		if (now - reported < PULSE_REPORT_MS)
			continue;
		report("pulse times=%llu longest_ms=%llu async_faults=%llu uptime_ms=%llu",
		       (unsigned long long)times, (unsigned long long)longest, async_faults(),
		       (unsigned long long)now);
		reported = now;
		longest = 0;
	}
	return unused;
}

static void *await_order(void *unused)
{
	int fd = open("/dev/ttyS1", O_RDONLY | O_NOCTTY | O_CLOEXEC);
	char line[16];

	if (fd < 0 || read(fd, line, sizeof(line)) <= 0) {
		report("error /dev/ttyS1: %s", strerror(errno));
		stand_still();
	}
	grow_ordered = 1;
	return unused;
}

static void grow_some(void)
{
	uint64_t all = first_pages + conf.pages[GROWN], i;

	if (!grow_ordered || total_pages == all)
		return;
	if (total_pages == first_pages)
		report("grows uptime_ms=%llu", (unsigned long long)now_ms());
	for (i = 0; i < GROW_PAGES && total_pages < all; i++)
		write_page(total_pages++);
	if (total_pages == all)
		report("grown uptime_ms=%llu", (unsigned long long)now_ms());
}

/* A line of /proc/vmstat, since boot. */
static unsigned long long event(const char *vmstat, const char *name)
{
	const char *line = strstr(vmstat, name);

	return line ? strtoull(line + strlen(name), NULL, 10) : 0;
}

/* " key=value..." of what swapping has done, or nothing */
static const char *swapping(void)
{
	static char vmstat[16384], text[120];
	int fd = conf.swap ? open("/proc/vmstat", O_RDONLY | O_CLOEXEC) : -1;
	ssize_t n = 0, got;

	if (fd < 0)
		return "";
	while ((got = read(fd, vmstat + n, sizeof(vmstat) - 1 - n)) > 0)
		n += got;
	close(fd);
	vmstat[n] = 0;
	snprintf(text, sizeof(text), " swap_in_pages=%llu swap_out_pages=%llu oom_kills=%llu",
		 event(vmstat, "\npswpin "), event(vmstat, "\npswpout "),
		 event(vmstat, "\noom_kill "));
	return text;
}

static void work(void)
{
	uint64_t last = now_ms(), reported = 0, now;

	for (;;) {
		sleep_ms(TICK_MS);
		now = now_ms();
		dirty_some(now - last);
		verify_some(now - last);
		grow_some();
		last = now;
		if (now - reported < REPORT_MS)
			continue;
		reported = now;
		report("ok pass=%llu verified_pages=%llu dirtied_pages=%llu hot_reads=%llu disk_checks=%llu uptime_ms=%llu%s",
		       (unsigned long long)count.passes, (unsigned long long)count.verified,
		       (unsigned long long)count.dirtied, (unsigned long long)hot_reads,
		       (unsigned long long)disk_checks,
		       (unsigned long long)now, swapping());
	}
}

/* ---- setting up */

static void fail(const char *what)
{
	report("error %s: %s", what, strerror(errno));
	stand_still();
}

/* What mkswap writes: version, last page, and the signature at the end of the page. */
static void make_zram(void)
{
	static char header[PAGE];
	uint32_t *word = (uint32_t *)(header + 1024);
	char text[32];
	int fd;

	fd = open("/sys/block/zram0/disksize", O_WRONLY | O_CLOEXEC);
	snprintf(text, sizeof(text), "%lluM", (unsigned long long)conf.zram_mib);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail("zram0/disksize");
	close(fd);
	word[0] = 1;
	word[1] = conf.zram_mib * PAGES_PER_MIB - 1;
	memcpy(header + PAGE - 10, "SWAPSPACE2", 10);
	fd = open("/dev/zram0", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, header, PAGE) != PAGE || close(fd) || swapon("/dev/zram0", 0))
		fail("swapon /dev/zram0");
	conf.swap = 1;
}

static void fill(void)
{
	uint64_t page, all;
	int k;

	for (k = 0; k < GROWN; k++)
		first_pages += conf.pages[k];
	total_pages = first_pages;
	all = first_pages + conf.pages[GROWN];
	if (!all)
		return;
	memory = mmap(NULL, all * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	generation = calloc(all, sizeof(*generation));
	if (memory == MAP_FAILED || !generation)
		fail("memory");
	for (page = 0; page < total_pages; page++)
		write_page(page);
	if (conf.hot_pages > total_pages)
		conf.hot_pages = total_pages;
	if (conf.corrupt)
		((unsigned char *)page_at(total_pages / 2))[1234] ^= 1;
}

/* As modprobe does: what is on the command line for this module. */
static void parameters_of(const char *file, char *parameters, size_t size)
{
	const size_t length = strcspn(file, ".");
	char line[4096], *word, *save;
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
	size_t used = 0;

	if (fd >= 0)
		close(fd);
	line[n < 0 ? 0 : n] = parameters[0] = 0;
	for (word = strtok_r(line, " \n", &save); word; word = strtok_r(NULL, " \n", &save))
		if (!strncmp(word, file, length) && word[length] == '.' && used < size)
			used += snprintf(parameters + used, size - used, "%s ",
					 word + length + 1);
}

static void load_module(const char *file)
{
	char parameters[512];

	parameters_of(file, parameters, sizeof(parameters));
	if (commands_load(file, parameters))
		report("error module %s: %s", file, strerror(errno));
}

/* NAME.order lists what NAME needs, and itself; without one NAME is a file. */
static void load_modules(char *list)
{
	char path[128], file[128], *name;
	FILE *order;

	for (name = strtok(list, ","); name; name = strtok(NULL, ",")) {
		snprintf(path, sizeof(path), "/modules/%s.order", name);
		order = fopen(path, "re");
		if (!order) {
			load_module(name);
			continue;
		}
		while (fscanf(order, "%127s", file) == 1)
			load_module(file);
		fclose(order);
	}
}

static void set_option(const char *key, uint64_t value)
{
	int k;

	for (k = 0; k < KINDS; k++)
		if (!strcmp(key, kind_names[k])) {
			conf.pages[k] = value * PAGES_PER_MIB;
			return;
		}
	if (!strcmp(key, "hot"))
		conf.hot_pages = value * PAGES_PER_MIB;
	else if (!strcmp(key, "disk"))
		conf.disk_pages = value * PAGES_PER_MIB;
	else if (!strcmp(key, "dirty"))
		conf.dirty_per_s = value;
	else if (!strcmp(key, "rate"))
		conf.rate = value;
	else if (!strcmp(key, "gap"))
		conf.gap_s = value;
	else if (!strcmp(key, "seed"))
		conf.seed = value;
	else if (!strcmp(key, "swap"))
		conf.swap = value;
	else if (!strcmp(key, "pulse"))
		conf.pulse = value;
	else if (!strcmp(key, "zram"))
		conf.zram_mib = value;
	else if (!strcmp(key, "corrupt"))
		conf.corrupt = value;
	else if (strcmp(key, "verify"))
		report("error unknown workload option %s", key);
}

static void parse_workload(char *spec)
{
	char *save, *item, *value;

	for (item = strtok_r(spec, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
		value = strchr(item, '=');
		if (value)
			*value++ = 0;
		set_option(item, value ? strtoull(value, NULL, 0) : 1);
	}
}

static void read_command_line(char **workload, char **modules, int *commands, int *program)
{
	static char line[4096];
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);
	const char *p;
	char *word;

	if (n < 0)
		fail("/proc/cmdline");
	close(fd);
	for (word = strtok(line, " \n"); word; word = strtok(NULL, " \n")) {
		if (!strncmp(word, "ballast.name=", 13))
			snprintf(conf.name, sizeof(conf.name), "%s", word + 13);
		else if (!strncmp(word, "ballast.workload=", 17))
			*workload = word + 17;
		else if (!strncmp(word, "ballast.modules=", 16))
			*modules = word + 16;
		else if (!strcmp(word, "ballast.commands=1"))
			*commands = 1;
		else if (!strcmp(word, "ballast.program=1"))
			*program = 1;
	}
	for (p = conf.name; *p; p++)
		guest_seed = mix(guest_seed ^ (unsigned char)*p);
}

/* What a test could still have asked for. */
static unsigned long long free_kib(void)
{
	struct sysinfo info;

	return sysinfo(&info) ? 0 : (unsigned long long)info.freeram * info.mem_unit / 1024;
}

int main(void)
{
	char *workload = NULL, *modules = NULL;
	pthread_t hot, disk, order, pulse;
	int commands = 0, program = 0;

	mkdir("/dev", 0755);
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL);
	console = open("/dev/ttyS0", O_WRONLY | O_NOCTTY | O_CLOEXEC);

	read_command_line(&workload, &modules, &commands, &program);
	if (modules)
		load_modules(modules);
	if (workload)
		parse_workload(workload);
	if (conf.zram_mib)
		make_zram();
	else if (conf.swap && swapon("/dev/vda", 0))
		fail("swapon /dev/vda");
	fill();
	if (conf.hot_pages && pthread_create(&hot, NULL, keep_hot, NULL))
		fail("thread");
	if (conf.disk_pages && pthread_create(&disk, NULL, use_disk, NULL))
		fail("thread");
	if (conf.pages[GROWN] && pthread_create(&order, NULL, await_order, NULL))
		fail("thread");
	if (conf.pulse && pthread_create(&pulse, NULL, keep_pulse, NULL))
		fail("thread");
	if (commands && commands_begin(report))
		fail("commands");
	report("ready pages=%llu free_kib=%llu uptime_ms=%llu", (unsigned long long)total_pages,
	       free_kib(),
	       (unsigned long long)now_ms());
	if (program && program_begin(report))
		fail("program");
	work();
}
