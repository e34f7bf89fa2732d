// SPDX-License-Identifier: GPL-2.0
/*
 * What Ballast costs, against KSM and tmpfs, in one boot of the lab host.
 *
 *	bench COUNT		COUNT interleaved repetitions of everything
 *	bench COUNT compressed	of row 17 alone
 *
 * Prints lines "CSV,row,variant,value,unit".  Meant for one CPU and -icount:
 * time is then instructions, and a kernel thread's run time is exact whenever
 * this program runs.  The same pages are given to both; KSM runs without sleeps
 * and with smart_scan off and on.  Guests are 32-bit loops under KVM, so that
 * what a guest's access costs includes the nested page fault.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <lz4.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096UL
#define PAGES		8192UL
#define MOUNT		"/run/ballast-bench"
#define BALLAST		"/sys/kernel/ballast/"
#define POOL		BALLAST "pools/bench/"
#define KSM		"/sys/kernel/mm/ksm/"

/* ---- sysfs */

static void write_file(const char *path, long value)
{
	char text[32];
	int fd = open(path, O_WRONLY), n = snprintf(text, sizeof(text), "%ld\n", value);

	if (fd < 0 || write(fd, text, n) != n)
		err(1, "writing %ld to %s", value, path);
	close(fd);
}

static long read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	long value;

	if (!f || fscanf(f, "%ld", &value) != 1)
		err(1, "reading %s", path);
	fclose(f);
	return value;
}

static long thread_pid(const char *name)
{
	char path[300], comm[64];
	struct dirent *d;
	DIR *proc = opendir("/proc");
	long pid = 0;
	FILE *f;

	while (!pid && (d = readdir(proc))) {
		snprintf(path, sizeof(path), "/proc/%s/comm", d->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (fgets(comm, sizeof(comm), f) && !strncmp(comm, name, strlen(name)))
			pid = atol(d->d_name);
		fclose(f);
	}
	closedir(proc);
	if (!pid)
		errx(1, "no thread %s", name);
	return pid;
}

/* CPU time of a thread that is not running now (there is one CPU). */
static long thread_ns(long pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/schedstat", pid);
	return read_file(path);
}

static double now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void sleep_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static void result(const char *row, const char *variant, double value, const char *unit)
{
	printf("CSV,%s,%s,%.4f,%s\n", row, variant, value, unit);
	fflush(stdout);
}

/* ---- who does the sharing */

enum who { KSM_PLAIN, KSM_SMART, BALLAST_POOL, WHO_NR };
static const char * const who_name[] = { "ksm", "ksm-smart", "ballast" };
static long ksmd, scanner;

static long engine_ns(enum who who)
{
	return thread_ns(who == BALLAST_POOL ? scanner : ksmd);
}

static void engine_run(enum who who, bool on)
{
	if (who == BALLAST_POOL) {
		write_file(BALLAST "sharing/run", on);
		return;
	}
	if (on)
		write_file(KSM "smart_scan", who == KSM_SMART);
	write_file(KSM "run", on);
}

/* Pages that need no frame of their own any more. */
static long engine_freed(enum who who)
{
	if (who == BALLAST_POOL)
		return read_file(POOL "saved_bytes") / PAGE;
	return read_file(KSM "pages_sharing") + read_file(KSM "ksm_zero_pages");
}

static long engine_passes(enum who who)
{
	return read_file(who == BALLAST_POOL ? BALLAST "sharing/full_scans" :
			 KSM "full_scans");
}

/* ---- memory */

struct memory {
	enum who who;
	char *at;
	unsigned long pages;
	char path[64];
};

static char *map_file(const char *path, unsigned long pages)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	char *at;

	if (fd < 0 || ftruncate(fd, pages * PAGE))
		err(1, "%s", path);
	at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		err(1, "mmap %s", path);
	close(fd);
	return at;
}

static struct memory memory_new(enum who who, unsigned long pages)
{
	static int number;
	struct memory m = { .who = who, .pages = pages };

	if (who == BALLAST_POOL) {
		snprintf(m.path, sizeof(m.path), MOUNT "/%d", number++);
		m.at = map_file(m.path, pages);
		return m;
	}
	m.at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m.at == MAP_FAILED)
		err(1, "mmap");
	madvise(m.at, pages * PAGE, MADV_NOHUGEPAGE);
	if (madvise(m.at, pages * PAGE, MADV_MERGEABLE))
		err(1, "MADV_MERGEABLE");
	return m;
}

static void memory_free(struct memory *m)
{
	munmap(m->at, m->pages * PAGE);
	if (m->path[0])
		unlink(m->path);
}

/* ---- contents */

static void fill(struct memory *m, unsigned long n, uint64_t id)
{
	uint64_t *word = (uint64_t *)(m->at + n * PAGE);
	uint64_t x = id * 0x9e3779b97f4a7c15ULL | 1;
	int i;

	for (i = 0; i < 512; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		word[i] = x;
	}
}

typedef void (*content_fn)(struct memory *m, unsigned long n);

static uint64_t unique_id;

static void unique(struct memory *m, unsigned long n)
{
	fill(m, n, ++unique_id << 20);
}

/* Copies far apart: the second half repeats the first. */
static void pairs(struct memory *m, unsigned long n)
{
	fill(m, n, 1 + n % (m->pages / 2));
}

static void eight(struct memory *m, unsigned long n)
{
	fill(m, n, 1 + n % (m->pages / 8));
}

static void identical(struct memory *m, unsigned long n)
{
	fill(m, n, 1);
}

static void tail_diff(struct memory *m, unsigned long n)
{
	fill(m, n, 1);
	((uint64_t *)(m->at + n * PAGE))[511] = ++unique_id;
}

/* As in a VM: half its own, a third with copies, a sixth zero. */
static void mixed(struct memory *m, unsigned long n)
{
	switch (n % 6) {
	case 0: case 1: case 2:
		unique(m, n);
		break;
	case 3: case 4:
		fill(m, n, 1 + n % (m->pages / 4));
		break;
	default:
		memset(m->at + n * PAGE, 0, PAGE);
		*(volatile char *)(m->at + n * PAGE) = 0;
	}
}

/* Pages that need no frame if all is shared that can be. */
static long oracle(content_fn content, unsigned long pages)
{
	char *seen;
	unsigned long n, distinct = 0, freed = 0;

	if (content == pairs)
		return pages / 2;
	if (content == eight)
		return pages - pages / 8;
	if (content == identical)
		return pages - 1;
	if (content != mixed)
		return 0;
	seen = calloc(pages, 1);
	for (n = 0; n < pages; n++) {
		if (n % 6 == 5)
			freed++;
		if (n % 6 != 3 && n % 6 != 4)
			continue;
		freed++;
		if (!seen[n % (pages / 4)]++)
			distinct++;
	}
	free(seen);
	return freed - distinct;
}

static struct memory filled(enum who who, unsigned long pages, content_fn content)
{
	struct memory m = memory_new(who, pages);
	unsigned long n;

	for (n = 0; n < pages; n++)
		content(&m, n);
	return m;
}

/* ---- rows 1, 7: until so much is shared */

static void wait_freed(enum who who, long target)
{
	int tries;

	for (tries = 0; engine_freed(who) < target; tries++) {
		if (tries > 60000)
			errx(1, "%s: %ld of %ld freed, no end in sight",
			     who_name[who], engine_freed(who), target);
		sleep_ms(2);
	}
}

static void until_shared(const char *row, enum who who, content_fn content,
			 double part, bool per_page)
{
	struct memory m = filled(who, PAGES, content);
	long target = oracle(content, PAGES) * part, before = engine_ns(who), ns;

	engine_run(who, true);
	wait_freed(who, target);
	engine_run(who, false);
	ns = engine_ns(who) - before;
	result(row, who_name[who], per_page ? (double)ns / engine_freed(who) / 1000 :
	       ns / 1e6, per_page ? "us per page freed" : "ms of CPU");
	memory_free(&m);
	if (who != BALLAST_POOL)
		write_file(KSM "run", 2);
}

/* ---- rows 2, 3: passes over what cannot be shared */

static void wait_passes(enum who who, long passes)
{
	long until = engine_passes(who) + passes;

	while (engine_passes(who) < until)
		sleep_ms(2);
}

static void steady(const char *row, enum who who, content_fn content, bool smart)
{
	struct memory m = filled(who, PAGES, content);
	/* smart_scan skips more the longer nothing changes: let it */
	long settle = smart ? 16 : 3, passes = smart ? 16 : 4;
	char variant[32];
	long ns, from;

	if (who == BALLAST_POOL)
		write_file(BALLAST "sharing/smart_scan", smart);
	snprintf(variant, sizeof(variant), "%s%s", who_name[who],
		 who == BALLAST_POOL && smart ? "-smart" : "");
	engine_run(who, true);
	wait_passes(who, settle);
	from = engine_passes(who);
	ns = engine_ns(who);
	wait_passes(who, passes);
	engine_run(who, false);
	ns = engine_ns(who) - ns;
	passes = engine_passes(who) - from;
	result(row, variant, (double)ns / passes / PAGES / 1000, "us per page and pass");
	memory_free(&m);
	if (who == BALLAST_POOL)
		write_file(BALLAST "sharing/smart_scan", 1);
	else
		write_file(KSM "run", 2);
}

/* ---- row 4: how often a page is looked at until nearly all is shared */

/*
 * The first pass looks at all pages, a further one at those that are still private:
 * half of them and more.
 */
static void passes_to_oracle(void)
{
	struct memory m = filled(BALLAST_POOL, PAGES, mixed);
	long target = (oracle(mixed, PAGES) * 95 + 99) / 100;
	long scanned = read_file(POOL "pages_scanned");

	/* with it a further pass would look at fewer */
	write_file(BALLAST "sharing/smart_scan", 0);
	engine_run(BALLAST_POOL, true);
	wait_freed(BALLAST_POOL, target);
	engine_run(BALLAST_POOL, false);
	result("4 passes to 95 % of oracle", "ballast",
	       (double)(read_file(POOL "pages_scanned") - scanned) / PAGES, "passes");
	write_file(BALLAST "sharing/smart_scan", 1);
	memory_free(&m);
}

/* ---- rows 5, 6, 8: metadata, many sharers, completeness */

/* The blocks of a file that is gone count until an SRCU grace period is over. */
static void wait_no_maps(void)
{
	int tries;

	for (tries = 0; read_file(BALLAST "map_bytes"); tries++) {
		if (tries > 1000)
			errx(1, "map_bytes is %ld without a file",
			     read_file(BALLAST "map_bytes"));
		sleep_ms(10);
	}
}

/* Have the index fit two pages: it moves two chunks in each pass, some of them empty. */
static void shrink_index(void)
{
	struct memory m = filled(BALLAST_POOL, 2, identical);
	long before;

	engine_run(BALLAST_POOL, true);
	do {
		before = read_file(POOL "index_bytes");
		wait_passes(BALLAST_POOL, 50);
	} while (read_file(POOL "index_bytes") != before);
	engine_run(BALLAST_POOL, false);
	memory_free(&m);
}

static void metadata_of(const char *variant, unsigned long pages)
{
	struct memory m;

	wait_no_maps();
	m = filled(BALLAST_POOL, pages, unique);
	engine_run(BALLAST_POOL, true);
	wait_passes(BALLAST_POOL, 3);
	engine_run(BALLAST_POOL, false);
	result("5 metadata per scanned page", variant,
	       (double)(read_file(BALLAST "map_bytes") +
			read_file(POOL "index_bytes")) / m.pages, "bytes");
	memory_free(&m);
}

/* From nothing the index is made to fit; one that grows gets room to grow more. */
static void metadata(void)
{
	shrink_index();
	metadata_of("ballast", 2 * PAGES);
	metadata_of("ballast grown", 3 * PAGES);
}

static long slab_bytes(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	long kib = -1;
	char line[128];

	while (f && kib < 0 && fgets(line, sizeof(line), f))
		sscanf(line, "Slab: %ld kB", &kib);
	if (kib < 0)
		err(1, "Slab in /proc/meminfo");
	fclose(f);
	return kib * 1024;
}

/*
 * Metadata, and whatever else lies in slabs, whoever's it is.  Read until it stays as
 * it is, or for ten seconds: what was freed is given back later.
 */
static long kernel_bytes(void)
{
	long bytes = 0, before;
	int tries = 0;

	do {
		before = bytes;
		sleep_ms(500);
		bytes = read_file(BALLAST "map_bytes") + read_file(POOL "index_bytes") +
			slab_bytes();
	} while (bytes != before && ++tries < 20);
	return bytes;
}

/* What the kernel takes for it that pages of one content become one frame. */
static long merge_bytes(enum who who, struct memory *m)
{
	long before = kernel_bytes();

	engine_run(who, true);
	/* KSM has copies for so many sharers each */
	wait_freed(who, m->pages * 95 / 100);
	wait_passes(who, 3);
	engine_run(who, false);
	return kernel_bytes() - before;
}

/*
 * The same for two sharers and for many: the difference is the further sharers'.
 * Slots are there before.  KSM's structures show that there is something to see.
 */
static void sharer_bytes(enum who who)
{
	const unsigned long count[2] = { 2, 100000 };
	struct memory m;
	long bytes[2];
	int i;

	if (who == BALLAST_POOL)
		shrink_index();
	for (i = 0; i < 2; i++) {
		m = filled(who, count[i], identical);
		bytes[i] = merge_bytes(who, &m);
		memory_free(&m);
		if (who != BALLAST_POOL)
			write_file(KSM "run", 2);
	}
	result("6 bytes beside slots per further sharer", who_name[who],
	       (double)(bytes[1] - bytes[0]) / (count[1] - count[0]), "bytes");
}

static double punch_cost(struct memory *m, unsigned long from, unsigned long count)
{
	int fd = open(m->path, O_RDWR);
	double t = now_ns(CLOCK_THREAD_CPUTIME_ID);
	unsigned long n;

	for (n = from; n < from + count; n++)
		if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      n * PAGE, PAGE))
			err(1, "punch");
	t = now_ns(CLOCK_THREAD_CPUTIME_ID) - t;
	close(fd);
	return t / count / 1000;
}

static void many_sharers(void)
{
	const unsigned long pages = 100000, count = 500;
	struct memory few = filled(BALLAST_POOL, 4 * count, pairs), many;

	many = memory_new(BALLAST_POOL, pages);
	for (unsigned long n = 0; n < pages; n++)
		fill(&many, n, 1UL << 40);
	engine_run(BALLAST_POOL, true);
	wait_freed(BALLAST_POOL, 2 * count + pages - 1);
	engine_run(BALLAST_POOL, false);
	result("6 sharers of one frame", "ballast",
	       read_file(POOL "sharing_slots") - 4 * (long)count, "sharers");
	result("6 drop a share", "2 sharers", punch_cost(&few, 0, count), "us");
	result("6 drop a share", "100000 sharers", punch_cost(&many, 0, count), "us");
	memory_free(&few);
	memory_free(&many);
}

static void completeness(void)
{
	struct memory m = filled(BALLAST_POOL, PAGES, mixed);

	engine_run(BALLAST_POOL, true);
	wait_passes(BALLAST_POOL, 3);
	engine_run(BALLAST_POOL, false);
	result("8 steady sharing against the oracle", "ballast",
	       100.0 * engine_freed(BALLAST_POOL) / oracle(mixed, PAGES), "%");
	memory_free(&m);
}

/* ---- a guest: 32-bit code that goes over pages */

#define CODE_GPA	0xf0000000UL
#define STORED		0x5a17edU

struct guest {
	int vm, vcpu;
	struct kvm_run *run;
	size_t run_size;
	uint8_t *code;
};

static void set_slot(struct guest *g, int slot, uint64_t gpa, void *at, uint64_t size)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot, .guest_phys_addr = gpa, .memory_size = size,
		.userspace_addr = (uintptr_t)at,
	};

	if (ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &r))
		err(1, "memory slot");
}

static void flat(struct kvm_segment *s, int type)
{
	*s = (struct kvm_segment) {
		.base = 0, .limit = 0xffffffff, .type = type, .present = 1,
		.s = 1, .db = 1, .g = 1, .selector = type == 11 ? 8 : 16,
	};
}

static struct guest guest_new(struct memory *m)
{
	int kvm = open("/dev/kvm", O_RDWR);
	struct guest g;
	struct kvm_sregs s;

	if (kvm < 0)
		err(1, "/dev/kvm");
	g.vm = ioctl(kvm, KVM_CREATE_VM, 0);
	set_slot(&g, 0, 0, m->at, m->pages * PAGE);
	g.code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	set_slot(&g, 1, CODE_GPA, g.code, PAGE);
	g.vcpu = ioctl(g.vm, KVM_CREATE_VCPU, 0);
	g.run_size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	g.run = mmap(NULL, g.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, g.vcpu, 0);
	if (g.vcpu < 0 || g.run == MAP_FAILED || ioctl(g.vcpu, KVM_GET_SREGS, &s))
		err(1, "vcpu");
	s.cr0 |= 1;
	flat(&s.cs, 11);
	flat(&s.ds, 3);
	s.es = s.fs = s.gs = s.ss = s.ds;
	if (ioctl(g.vcpu, KVM_SET_SREGS, &s))
		err(1, "sregs");
	close(kvm);
	return g;
}

static void guest_free(struct guest *g)
{
	munmap(g->code, PAGE);
	munmap(g->run, g->run_size);	/* it holds the VM */
	close(g->vcpu);
	close(g->vm);
}

/*
 * Touch one word of each page.  A plain store, no read-modify-write: the
 * emulated CPU would fault for the read first.  Returns us of this thread's CPU time
 * per page.
 */
static double guest_touch(struct guest *g, unsigned long pages, bool write)
{
	static const uint8_t code[] = {
		0x89, 0x07,				/* mov [edi], eax */
		0x81, 0xc7, 0x00, 0x10, 0x00, 0x00,	/* add edi, 4096 */
		0xe2, 0xf6,				/* loop */
		0xe6, 0x10,				/* out 0x10, al */
	};
	struct kvm_regs r = {
		.rip = CODE_GPA, .rax = STORED, .rcx = pages, .rflags = 2,
	};
	double t;

	memcpy(g->code, code, sizeof(code));
	if (!write)
		g->code[0] = 0x8b;			/* mov eax, [edi] */
	if (ioctl(g->vcpu, KVM_SET_REGS, &r))
		err(1, "regs");
	t = now_ns(CLOCK_THREAD_CPUTIME_ID);
	do {
		if (ioctl(g->vcpu, KVM_RUN, 0) && errno != EINTR)
			err(1, "KVM_RUN");
	} while (g->run->exit_reason == KVM_EXIT_INTR);
	t = now_ns(CLOCK_THREAD_CPUTIME_ID) - t;
	if (g->run->exit_reason != KVM_EXIT_IO)
		errx(1, "guest stopped: reason %u", g->run->exit_reason);
	return t / pages / 1000;
}

/* ---- row 11: a guest writes to a shared page */

static void cow(enum who who, bool read_first)
{
	struct memory m = filled(who, PAGES, pairs);
	struct guest g = guest_new(&m);
	uint32_t before[8], after;
	int i;

	engine_run(who, true);
	wait_freed(who, oracle(pairs, PAGES));
	engine_run(who, false);
	for (i = 0; i < 8; i++)
		before[i] = *(uint32_t *)(m.at + i * 500 * PAGE);
	if (read_first)
		guest_touch(&g, PAGES / 2, false);
	/* the first half: each page has a second sharer, so each is copied */
	result("11 guest write to a shared page", who == BALLAST_POOL ?
	       (read_first ? "ballast, read before" : "ballast") :
	       (read_first ? "ksm, read before" : "ksm"),
	       guest_touch(&g, PAGES / 2, true), "us");
	for (i = 0; i < 8; i++) {
		after = *(uint32_t *)(m.at + i * 500 * PAGE);
		if (after != STORED)
			errx(1, "page %d: guest's write is lost", i * 500);
		if (*(uint32_t *)(m.at + (PAGES / 2 + i * 500) * PAGE) != before[i])
			errx(1, "page %d: write seen by the other sharer", i * 500);
	}
	guest_free(&g);
	memory_free(&m);
	if (who != BALLAST_POOL)
		write_file(KSM "run", 2);
}

/* ---- row 10: a guest at work while the scanner is */

static double guest_work(struct guest *g)
{
	double us = 0;
	int i;

	for (i = 0; i < 400; i++)
		us += guest_touch(g, PAGES, i & 1 ? false : true);
	return us / 400;
}

static void slowdown(void)
{
	struct memory m = filled(BALLAST_POOL, PAGES, unique), other;
	struct guest g = guest_new(&m);
	double off, on;

	/* something else to share: the guest's own pages are in use */
	other = filled(BALLAST_POOL, PAGES, pairs);
	/* the defaults, but no pause between passes */
	write_file(BALLAST "sharing/cpu_percent", 10);
	write_file(BALLAST "sharing/rate_pages_per_s", 51200);
	write_file(BALLAST "sharing/vm_rate_pages_per_s", 25600);
	guest_touch(&g, PAGES, true);
	off = guest_work(&g);
	engine_run(BALLAST_POOL, true);
	on = guest_work(&g);
	engine_run(BALLAST_POOL, false);
	result("10 guest slowdown with sharing on", "ballast", 100 * (on - off) / off, "%");
	write_file(BALLAST "sharing/cpu_percent", 100);
	write_file(BALLAST "sharing/rate_pages_per_s", 0);
	write_file(BALLAST "sharing/vm_rate_pages_per_s", 0);
	guest_free(&g);
	memory_free(&m);
	memory_free(&other);
}

/* ---- row 18: first touch */

static void first_touch(const char *variant, const char *dir, bool guest)
{
	struct memory m = { .pages = PAGES };
	struct guest g;
	unsigned long n;
	double us;

	snprintf(m.path, sizeof(m.path), "%s/touch", dir);
	m.at = map_file(m.path, m.pages);
	if (guest) {
		g = guest_new(&m);
		us = guest_touch(&g, m.pages, true);
		guest_free(&g);
	} else {
		us = now_ns(CLOCK_THREAD_CPUTIME_ID);
		for (n = 0; n < m.pages; n++)
			m.at[n * PAGE] = 1;
		us = (now_ns(CLOCK_THREAD_CPUTIME_ID) - us) / m.pages / 1000;
	}
	result(guest ? "18 first touch by a guest" : "18 first touch by a process",
	       variant, us, "us");
	memory_free(&m);
}

/* ---- row 17: a page that is compressed */

#define ZIP_MOUNT	"/run/ballast-bench-zip"
#define ZIP		BALLAST "pools/bench-zip/"

/*
 * As memory is that compresses to a third or so: words that resemble each other,
 * and some that do not.
 */
static void structures(struct memory *m, unsigned long n)
{
	uint64_t *word = (uint64_t *)(m->at + n * PAGE);
	uint64_t x = ++unique_id * 0x9e3779b97f4a7c15ULL | 1;
	int i;

	for (i = 0; i < 512; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		word[i] = i % 8 == 0 ? x : i % 8 < 4 ? 0xffff888100000000ULL + (x & 0x3ffc0) :
			  (uint64_t)i % 8;
	}
}

/* Take all that there is: a size that cannot be, so that the old one comes back. */
static void compress_all(struct memory *m)
{
	long pages;

	write_file(ZIP "compressed_max_bp", 10000);
	if (!system("mount -o remount,size=1m " ZIP_MOUNT " 2>/dev/null"))
		errx(1, "what was to fail has not: 1 MiB for all pages");
	pages = read_file(ZIP "compressed_bytes") / PAGE;
	if (pages < (long)m->pages * 99 / 100)
		errx(1, "%ld of %lu pages compressed", pages, m->pages);
}

/* us a page, for a write by a guest or by this process */
static double write_all(struct memory *m, bool guest)
{
	struct guest g;
	unsigned long n;
	double us;

	if (guest) {
		g = guest_new(m);
		us = guest_touch(&g, m->pages, true);
		guest_free(&g);
		return us;
	}
	us = now_ns(CLOCK_THREAD_CPUTIME_ID);
	for (n = 0; n < m->pages; n++)
		m->at[n * PAGE] = 1;
	return (now_ns(CLOCK_THREAD_CPUTIME_ID) - us) / m->pages / 1000;
}

/* liblz4 in this process, the same pages: us a page, and how small they are. */
static double bare_decompress(struct memory *m, double *ratio)
{
	char (*packed)[PAGE] = malloc(m->pages * PAGE), *page = malloc(PAGE);
	int *size = malloc(m->pages * sizeof(*size));
	unsigned long n, sum = 0;
	double us;

	for (n = 0; n < m->pages; n++) {
		size[n] = LZ4_compress_default(m->at + n * PAGE, packed[n], PAGE, PAGE);
		if (!size[n])
			errx(1, "page %lu does not compress", n);
		sum += size[n];
	}
	us = now_ns(CLOCK_THREAD_CPUTIME_ID);
	for (n = 0; n < m->pages; n++)
		if (LZ4_decompress_safe(packed[n], page, size[n], PAGE) != (int)PAGE)
			errx(1, "page %lu: not as it was", n);
	us = now_ns(CLOCK_THREAD_CPUTIME_ID) - us;
	*ratio = (double)m->pages * PAGE / sum;
	free(packed);
	free(page);
	free(size);
	return us / m->pages / 1000;
}

static void compressed_page(bool guest)
{
	const char *row = guest ? "17 compressed page by a guest" :
				  "17 compressed page by a process";
	struct memory m = { .pages = PAGES, .path = ZIP_MOUNT "/zip" };
	double ratio, bare;
	unsigned long n;

	m.at = map_file(m.path, m.pages);
	result(row, "first touch", write_all(&m, guest), "us");
	for (n = 0; n < m.pages; n++)
		structures(&m, n);
	bare = bare_decompress(&m, &ratio);
	result(row, "bare decompress", bare, "us");
	result("17 compressed page", "ratio", ratio, "of 1");
	compress_all(&m);
	result(row, "ballastfs", write_all(&m, guest), "us");
	memory_free(&m);
}

/* ---- all of it */

static void repetition(int n)
{
	int w;

	for (w = 0; w < WHO_NR; w++) {
		/* who begins changes from repetition to repetition */
		enum who who = (w + n) % WHO_NR;

		until_shared("1 CPU per merged page, pairs", who, pairs, 0.95, true);
		until_shared("1 CPU per merged page, 8 copies", who, eight, 0.95, true);
		until_shared("1 CPU per merged page, identical", who, identical, 0.95, true);
		until_shared("7 CPU to 90 % of possible sharing", who, mixed, 0.90, false);
		steady("2 unique page", who, unique, who == KSM_SMART);
		steady("3 page differing in its last word", who, tail_diff, who == KSM_SMART);
		if (who == BALLAST_POOL)
			steady("2 unique page", who, unique, true);
	}
	for (w = 0; w < 2; w++) {
		enum who who = (w + n) % 2 ? BALLAST_POOL : KSM_PLAIN;
		bool ours = (w + n) % 2;

		cow(who, false);
		cow(who, true);
		first_touch(ours ? "ballastfs" : "tmpfs", ours ? MOUNT : "/dev/shm", false);
		first_touch(ours ? "ballastfs" : "tmpfs", ours ? MOUNT : "/dev/shm", true);
	}
	compressed_page(n & 1);
	compressed_page(!(n & 1));
	passes_to_oracle();
	completeness();
	metadata();
	slowdown();
}

int main(int argc, char **argv)
{
	int n, count = argc > 1 ? atoi(argv[1]) : 3;
	bool only = argc > 2;

	ksmd = thread_pid("ksmd");
	scanner = thread_pid("ballast_share");
	write_file(KSM "sleep_millisecs", 0);
	write_file(KSM "pages_to_scan", 1000);
	write_file(KSM "use_zero_pages", 1);
	write_file(BALLAST "sharing/run", 0);
	write_file(BALLAST "sharing/cpu_percent", 100);
	write_file(BALLAST "sharing/rate_pages_per_s", 0);
	write_file(BALLAST "sharing/vm_rate_pages_per_s", 0);
	write_file(BALLAST "sharing/pass_min_ms", 0);
	for (n = 0; n < count; n++) {
		if (only) {
			compressed_page(n & 1);
			compressed_page(!(n & 1));
		} else {
			repetition(n);
		}
	}
	if (!only) {
		sharer_bytes(KSM_PLAIN);
		sharer_bytes(BALLAST_POOL);
		many_sharers();
	}
	return 0;
}
