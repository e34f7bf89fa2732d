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
 *   ballast.modules=NAME,...      loaded, each with what it needs
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
 *     corrupt=1      flip one byte after filling: the harness must notice
 *
 * On the serial console (for guests.sh): "BALLAST-GUEST name" followed by
 * "ready", "ok key=value...", "MISMATCH key=value..." or "error ...".
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
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096
#define WORDS (PAGE / sizeof(uint64_t))
#define PAGES_PER_MIB (1048576 / PAGE)
#define TICK_MS 20
#define REPORT_MS 2000
#define HOT_MS 100

enum kind { IDENTICAL, UNIQUE, TEXT, ZERO, KINDS };

static const char *const kind_names[KINDS] = { "identical", "unique", "text", "zero" };

static struct {
	char name[64];
	uint64_t pages[KINDS];
	uint64_t hot_pages;
	uint64_t dirty_per_s;
	uint64_t rate;
	uint64_t gap_s;
	uint64_t seed;
	int corrupt;
} conf = { .name = "?", .rate = 5000, .seed = 1 };

static uint64_t *memory;	/* all regions, one after the other */
static uint32_t *generation;	/* of each page; 0 is as filled */
static uint64_t total_pages;
static uint64_t guest_seed;	/* of what differs between guests */
static int console = -1;

static struct {
	uint64_t passes;
	uint64_t verified;
	uint64_t dirtied;
} count;

static volatile uint64_t hot_reads;

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
	uint64_t changeable = total_pages - conf.pages[ZERO];
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

static void work(void)
{
	uint64_t last = now_ms(), reported = 0, now;

	for (;;) {
		sleep_ms(TICK_MS);
		now = now_ms();
		dirty_some(now - last);
		verify_some(now - last);
		last = now;
		if (now - reported < REPORT_MS)
			continue;
		reported = now;
		report("ok pass=%llu verified_pages=%llu dirtied_pages=%llu hot_reads=%llu uptime_ms=%llu",
		       (unsigned long long)count.passes, (unsigned long long)count.verified,
		       (unsigned long long)count.dirtied, (unsigned long long)hot_reads,
		       (unsigned long long)now);
	}
}

/* ---- setting up */

static void fail(const char *what)
{
	report("error %s: %s", what, strerror(errno));
	stand_still();
}

static void fill(void)
{
	uint64_t page;
	int k;

	for (k = 0; k < KINDS; k++)
		total_pages += conf.pages[k];
	if (!total_pages)
		return;
	memory = mmap(NULL, total_pages * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	generation = calloc(total_pages, sizeof(*generation));
	if (memory == MAP_FAILED || !generation)
		fail("memory");
	for (page = 0; page < total_pages; page++)
		write_page(page);
	if (conf.hot_pages > total_pages)
		conf.hot_pages = total_pages;
	if (conf.corrupt)
		((unsigned char *)page_at(total_pages / 2))[1234] ^= 1;
}

static void load_module(const char *file)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/modules/%s", file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) && errno != EEXIST))
		report("error module %s: %s", file, strerror(errno));
	if (fd >= 0)
		close(fd);
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
	else if (!strcmp(key, "dirty"))
		conf.dirty_per_s = value;
	else if (!strcmp(key, "rate"))
		conf.rate = value;
	else if (!strcmp(key, "gap"))
		conf.gap_s = value;
	else if (!strcmp(key, "seed"))
		conf.seed = value;
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

static void read_command_line(char **workload, char **modules)
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
	pthread_t hot;

	mkdir("/dev", 0755);
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	console = open("/dev/ttyS0", O_WRONLY | O_NOCTTY | O_CLOEXEC);

	read_command_line(&workload, &modules);
	if (modules)
		load_modules(modules);
	if (workload)
		parse_workload(workload);
	fill();
	if (conf.hot_pages && pthread_create(&hot, NULL, keep_hot, NULL))
		fail("thread");
	report("ready pages=%llu free_kib=%llu uptime_ms=%llu", (unsigned long long)total_pages,
	       free_kib(),
	       (unsigned long long)now_ms());
	work();
}
