// SPDX-License-Identifier: GPL-2.0
/*
 * The smallest VMM: KVM guests whose working set is known to the page.
 *
 *   minivm [--memory MiB] [--backing anon|thp|ksm|shm|hugetlb|file:PATH] [--vms N]
 *          [--pause US] [--mlock yes] [--irqchip yes] [--nice N]
 *   minivm --cycles N [--live-every N --live-ms MS] [...]
 *          make, run and destroy VMs, N times; each N-th runs for so long.
 *          --processes N: the same, each in a process of its own
 *
 * A guest rests --pause after each pass.  --nice is its vCPU's, not that of the thread
 * that answers.  With --mlock its memory is locked.  With --irqchip the kernel has its
 * interrupt controllers, and KVM has others wait for the pages that the vCPU needs.
 *
 *   --guest load	a guest that writes its memory and checks it (load_guest.h);
 *			its memory is not touched before it does.  --soft N: so
 *			many of sixteen pages compress (8).  --same N: so many are
 *			what they are in every such VM
 *
 * The guest is a dozen instructions in long mode: it reads one word of every
 * page in a list, tells the VMM that it has passed, and begins again.  The list
 * is the VMM's to write, so the fraction of its memory that the guest uses is
 * exact.  All VMs of one process have the same list.
 *
 * Commands on stdin, one a line, each answered by one line:
 *   touch PERCENT [scatter]   use that share: one piece, or pages all over
 *   stop | run                no vCPU runs | all do
 *   churn on|off              add and delete a memslot all the time
 *   passes                    how often the list was walked, all VMs
 *   work                      the same, CPU time of this process, time: ns
 *   read                      the VMM reads all memory, as a dump does
 *   started                   when the first guest was run first: ns of the clock
 *   drop                      destroy the VMs; the process stays
 * and with --guest load, of the first VM:
 *   balloon PERCENT           the last pages of its memory are a balloon's: given
 *                             back (punched), and zero when it shrinks
 *   write N                   each N-th page is written anew in a pass; 0: none
 *   load                      load PASSES CHECKED BAD GAP-us P50-us P99-us P999-us: pages
 *                             found right and wrong; the longest time between two
 *                             pages, and times of a page's first access, since
 *   forget                    those times
 *   bad                       what was wrong with the last page that was
 *   mmaps MS                  mmaps COUNT LONGEST-us: map and unmap memory for so long
 *   later touch|balloon|write ...	answered at once; a thread does these, in their order
 *   state                     state BALLOON-BYTES LEFT PASSES: what the balloon holds, how many
 *                             of those are not done, how often the guest came round; at
 *                             once, for it does not look into the guest's memory
 *   exit
 * "ready SIZE_BYTES" is said first.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "load_guest.h"

#define PAGE		4096UL
#define HUGE		(2UL << 20)
#define CODE		0x1000UL
#define PML4		0x2000UL
#define PDPT		0x3000UL
#define PD		0x4000UL
#define PARAMETERS	0x5000UL	/* u64 count, u64 passes */
#define STACK		0x8000UL	/* downwards */
#define LIST		0x100000UL	/* u32 page numbers */
#define GENERATIONS	0x200000UL	/* u32 for each page */
#define CHURN_GPA	(4UL << 30)
#define PAUSE_US	2000

struct vm {
	int fd, vcpu;
	struct kvm_run *run;
	uint8_t *memory;
	int file;			/* -1: none */
	int tsc_khz;
	uint64_t balloon;	/* pages */
	_Atomic uint64_t given;	/* of them, given back */
	_Atomic uint64_t rounds;	/* as load.passes, in the VMM's memory */
	pthread_t thread, churner;
	bool has_churner;
};

static unsigned long memory_bytes = 64UL << 20;
static const char *backing = "anon";
static atomic_bool running = true, churning, leaving;
static unsigned long pause_us = PAUSE_US;
static unsigned long live_every, live_ms;
static bool locked, loads, irqchip;
static unsigned long soft = 8, same;
static uint8_t *first_memory;	/* of the first VM, for on_bus_error() */
static _Atomic uint64_t started_ns;
static int kvm, vcpu_nice;
static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *later_in, *later_out;	/* a pipe */
static atomic_int later_left;

/* mov r8,[count]; for (rcx = 0; rcx < r8; rcx++) read page list[rcx]; */
static const uint8_t code[] = {
	0x4c, 0x8b, 0x04, 0x25, 0x00, 0x50, 0x00, 0x00,	/* mov 0x5000,%r8 */
	0x31, 0xc9,					/* xor %ecx,%ecx */
	0x4c, 0x39, 0xc1,				/* 1: cmp %r8,%rcx */
	0x73, 0x13,					/* jae 2f */
	0x8b, 0x04, 0x8d, 0x00, 0x00, 0x10, 0x00,	/* mov 0x100000(,%rcx,4),%eax */
	0x48, 0xc1, 0xe0, 0x0c,				/* shl $12,%rax */
	0x48, 0x8b, 0x10,				/* mov (%rax),%rdx */
	0x48, 0xff, 0xc1,				/* inc %rcx */
	0xeb, 0xe8,					/* jmp 1b */
	0x48, 0xff, 0x04, 0x25, 0x08, 0x50, 0x00, 0x00,	/* 2: incq 0x5008 */
	0xe6, 0x10,					/* out %al,$0x10 */
	0xeb, 0xd2,					/* jmp 0 */
};

static void die(const char *what)
{
	fprintf(stderr, "minivm: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int check(int result, const char *what)
{
	if (result < 0)
		die(what);
	return result;
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static uint8_t *map_file(struct vm *vm, int fd)
{
	void *memory;

	check(ftruncate(fd, memory_bytes), "size");
	memory = mmap(NULL, memory_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		die("mmap");
	vm->file = fd;
	return memory;
}

static uint8_t *map_anonymous(bool huge)
{
	uint8_t *memory = mmap(NULL, memory_bytes + HUGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		die("mmap");
	memory += -(uintptr_t)memory & (HUGE - 1);
	check(madvise(memory, memory_bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE),
	      "madvise");
	if (!strcmp(backing, "ksm"))
		check(madvise(memory, memory_bytes, MADV_MERGEABLE), "madvise");
	return memory;
}

static uint8_t *map_memory(struct vm *vm, int number)
{
	char path[PATH_MAX];

	vm->file = -1;
	if (!strcmp(backing, "anon") || !strcmp(backing, "thp") || !strcmp(backing, "ksm"))
		return map_anonymous(backing[0] == 't');
	if (!strcmp(backing, "shm"))
		return map_file(vm, check(memfd_create("minivm", 0), "memfd"));
	if (!strcmp(backing, "hugetlb"))
		return map_file(vm, check(memfd_create("minivm", MFD_HUGETLB), "memfd"));
	if (strncmp(backing, "file:", 5)) {
		errno = EINVAL;
		die(backing);
	}
	snprintf(path, sizeof(path), "%s.%d", backing + 5, number);
	return map_file(vm, check(open(path, O_RDWR | O_CREAT, 0600), path));
}

static uint64_t *word(struct vm *vm, unsigned long address)
{
	return (uint64_t *)(vm->memory + address);
}

/* Identity, 1 GiB in 2 MiB pages, all marked accessed so that nothing is written. */
static void write_page_tables(struct vm *vm)
{
	*word(vm, PML4) = PDPT | 0x23;
	*word(vm, PDPT) = PD | 0x23;
	for (unsigned long i = 0; i < 512; i++)
		*word(vm, PD + 8 * i) = i * HUGE | 0xe3;
}

/* All that KVM can give; without it a vCPU has no long mode. */
static void set_cpuid(struct vm *vm)
{
	enum { ENTRIES = 256 };
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) +
					  ENTRIES * sizeof(cpuid->entries[0]));

	cpuid->nent = ENTRIES;
	check(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid), "KVM_GET_SUPPORTED_CPUID");
	check(ioctl(vm->vcpu, KVM_SET_CPUID2, cpuid), "KVM_SET_CPUID2");
	free(cpuid);
}

extern const uint8_t __start_guest_text[], __stop_guest_text[];

static uint64_t address_in_guest(void *function)
{
	return CODE + ((uintptr_t)function - (uintptr_t)__start_guest_text);
}

static void set_registers(struct vm *vm)
{
	struct kvm_regs regs = {
		.rip = loads ? address_in_guest(load_guest) : CODE,
		/* nothing interrupts it; for KVM it must be possible, to wait for a page */
		.rflags = irqchip ? 0x202 : 2, .rsp = STACK - 8,
		.rdi = PARAMETERS, .rsi = LIST, .rdx = GENERATIONS,
	};
	struct kvm_sregs sregs;

	check(ioctl(vm->vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cr3 = PML4;
	sregs.cr4 = 1 << 5;			/* PAE */
	sregs.cr0 = 1u << 31 | 1;		/* PG, PE */
	sregs.efer = 1 << 10 | 1 << 8;		/* LMA, LME */
	sregs.cs = (struct kvm_segment) {
		.limit = ~0u, .selector = 8, .type = 11, .present = 1, .s = 1, .l = 1, .g = 1,
	};
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = (struct kvm_segment) {
		.limit = ~0u, .selector = 16, .type = 3, .present = 1, .s = 1, .db = 1, .g = 1,
	};
	check(ioctl(vm->vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	check(ioctl(vm->vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

static void set_slot(struct vm *vm, unsigned int slot, unsigned long gpa,
		     unsigned long bytes, void *memory)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot, .guest_phys_addr = gpa, .memory_size = bytes,
		.userspace_addr = (uintptr_t)memory,
	};

	check(ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region), "memslot");
}

static struct load *load_of(struct vm *vm)
{
	return (struct load *)(vm->memory + PARAMETERS);
}

static void set_load(struct vm *vm, int number)
{
	struct load *load = load_of(vm);

	if (__stop_guest_text - __start_guest_text > (long)PAGE) {
		errno = E2BIG;
		die("the guest's code");
	}
	memcpy(vm->memory + CODE, __start_guest_text, __stop_guest_text - __start_guest_text);
	load->seed = getpid() + number;
	load->soft = soft;
	load->same = same;
}

static void vm_create(struct vm *vm, int number)
{
	int run_bytes = check(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "vCPU size");

	vm->fd = check(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
	check(ioctl(vm->fd, KVM_SET_TSS_ADDR, 0xfffbd000UL), "KVM_SET_TSS_ADDR");
	if (irqchip)
		check(ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
	vm->memory = map_memory(vm, number);
	vm->balloon = vm->given = vm->rounds = 0;
	if (!loads)
		memset(vm->memory, 1 + number, memory_bytes);
	if (locked)
		check(mlock(vm->memory, memory_bytes), "mlock");
	set_slot(vm, 0, 0, memory_bytes, vm->memory);
	if (loads)
		set_load(vm, number);
	else
		memcpy(vm->memory + CODE, code, sizeof(code));
	write_page_tables(vm);
	*word(vm, PARAMETERS) = *word(vm, PARAMETERS + 8) = 0;
	vm->vcpu = check(ioctl(vm->fd, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
	vm->run = mmap(NULL, run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu, 0);
	if (vm->run == MAP_FAILED)
		die("vCPU");
	/* later the vCPU thread has it to itself */
	vm->tsc_khz = check(ioctl(vm->vcpu, KVM_GET_TSC_KHZ, 0), "KVM_GET_TSC_KHZ");
	set_cpuid(vm);
	set_registers(vm);
}

static void vm_destroy(struct vm *vm)
{
	munmap(vm->run, check(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "vCPU size"));
	close(vm->vcpu);
	close(vm->fd);
	munmap(vm->memory, memory_bytes);
	if (vm->file >= 0)
		close(vm->file);
}

/* As an emulator without a way to tell its guest: it says which page, and dies. */
static void on_bus_error(int signal, siginfo_t *info, void *context)
{
	char text[80];
	int length;

	(void)signal; (void)context;
	length = snprintf(text, sizeof(text), "minivm: SIGBUS, code %d, page %lu\n", info->si_code,
			  (unsigned long)((uint8_t *)info->si_addr - first_memory) / PAGE);
	if (write(STDERR_FILENO, text, length) != length)
		_exit(1);
	_exit(3);
}

static void run_once(struct vm *vm)
{
	uint64_t never = 0;

	if (!started_ns)
		atomic_compare_exchange_strong(&started_ns, &never, now_ns(CLOCK_REALTIME));
	if (ioctl(vm->vcpu, KVM_RUN, 0) < 0 && errno != EINTR)
		die("KVM_RUN");
	if (vm->run->exit_reason != KVM_EXIT_IO && vm->run->exit_reason != KVM_EXIT_INTR) {
		fprintf(stderr, "minivm: exit %u\n", vm->run->exit_reason);
		exit(1);
	}
	vm->rounds += vm->run->exit_reason == KVM_EXIT_IO;
}

/* What stops or ends it is seen after a pass, also by one that never rests. */
static void *vcpu_thread(void *arg)
{
	/* of this thread, on Linux */
	check(setpriority(PRIO_PROCESS, 0, vcpu_nice), "setpriority");
	while (!leaving) {
		if (running)
			run_once(arg);
		if (!running || pause_us)
			usleep(running ? pause_us : PAUSE_US);
	}
	return NULL;
}

static void *churn_thread(void *arg)
{
	struct vm *vm = arg;

	while (!leaving) {
		if (churning) {
			set_slot(vm, 1, CHURN_GPA, memory_bytes, vm->memory);
			usleep(PAUSE_US);
			set_slot(vm, 1, CHURN_GPA, 0, vm->memory);
		}
		usleep(PAUSE_US);
	}
	return NULL;
}

/* Threads that only wait would have a slow host's time: they begin when needed. */
static void churn(struct vm *vms, int count, bool on)
{
	churning = on;
	for (int i = 0; on && !leaving && i < count; i++) {
		if (vms[i].has_churner)
			continue;
		vms[i].has_churner = !pthread_create(&vms[i].churner, NULL, churn_thread, &vms[i]);
	}
}

/* Pages in an order that depends on nothing but their number. */
static uint32_t shuffled(uint32_t i, uint32_t pages)
{
	return (uint64_t)i * 2654435761u % pages;
}

/* Nothing is in its list: once it has come round twice it uses none of it. */
static void load_settle(struct vm *vm)
{
	uint64_t before = load_of(vm)->passes;

	while (running && !leaving && load_of(vm)->passes < before + 2)
		usleep(PAUSE_US);
}

static void touch(struct vm *vm, double percent, bool scatter)
{
	uint32_t pages = memory_bytes / PAGE, first = 2 * HUGE / PAGE;
	/* what is only read may be the guest's own, too */
	uint32_t most = scatter && !loads ? pages : pages - first - vm->balloon;
	uint32_t *list = (uint32_t *)(vm->memory + LIST);
	uint64_t count = pages * percent / 100;

	if (count > most)
		count = most;
	*(volatile uint64_t *)word(vm, PARAMETERS) = 0;
	atomic_thread_fence(memory_order_seq_cst);
	if (loads)
		load_settle(vm);
	else
		usleep(2 * PAUSE_US + 2 * pause_us);
	/* 2654435761 is prime to any number of pages that it does not divide */
	for (uint32_t i = 0; i < count; i++)
		list[i] = scatter ? shuffled(i, pages) : first + i;
	atomic_thread_fence(memory_order_seq_cst);
	*(volatile uint64_t *)word(vm, PARAMETERS) = count;
}

static uint64_t passes(struct vm *vms, int count)
{
	uint64_t sum = 0;

	for (int i = 0; i < count; i++)
		sum += *(volatile uint64_t *)word(&vms[i], PARAMETERS + 8);
	return sum;
}

static void read_all(struct vm *vm)
{
	for (unsigned long at = 0; at < memory_bytes; at += PAGE)
		(void)*(volatile uint8_t *)(vm->memory + at);
}

static void say_work(struct vm *vms, int count)
{
	printf("work %llu %llu %llu\n", (unsigned long long)passes(vms, count),
	       (unsigned long long)now_ns(CLOCK_PROCESS_CPUTIME_ID),
	       (unsigned long long)now_ns(CLOCK_MONOTONIC));
}

/* A balloon takes pages that the guest then does not use: their content is gone. */
static void set_balloon(struct vm *vm, double percent)
{
	uint64_t pages = memory_bytes / PAGE, after = pages * percent / 100, old = vm->balloon;
	uint32_t *generations = (uint32_t *)(vm->memory + GENERATIONS);
	double used = load_of(vm)->count * 100.0 / pages;

	vm->balloon = after;
	if (after <= old) {
		vm->given = after;
		return;
	}
	touch(vm, used, false);
	memset(generations + pages - after, 0, 4 * (after - old));
	check(fallocate(vm->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			(pages - after) * PAGE, (after - old) * PAGE), "punch");
	vm->given = after;
}

static uint64_t us_of(struct vm *vm, uint64_t of_ticks)
{
	return of_ticks * 1000 / vm->tsc_khz;
}

/* The time that so many of 1000 first accesses were not above, to an eighth. */
static uint64_t time_of(struct vm *vm, unsigned int permille)
{
	struct load *load = load_of(vm);
	uint64_t all = 0, seen = 0;
	unsigned int i;

	for (i = 0; i < TIMES; i++)
		all += load->time[i];
	for (i = 0; i < TIMES - 1; i++) {
		seen += load->time[i];
		if (seen * 1000 >= all * permille)
			break;
	}
	return us_of(vm, i < 8 ? i : (9ULL + i % 8) << (i / 8 - 1));
}

static void say_load(struct vm *vm)
{
	struct load *load = load_of(vm);

	printf("load %llu %llu %llu %llu %llu %llu %llu\n", (unsigned long long)load->passes,
	       (unsigned long long)load->checked, (unsigned long long)load->bad,
	       (unsigned long long)us_of(vm, load->longest),
	       (unsigned long long)time_of(vm, 500), (unsigned long long)time_of(vm, 990),
	       (unsigned long long)time_of(vm, 999));
}

static void say_bad(struct vm *vm)
{
	struct load *load = load_of(vm);

	printf("bad page %llu generation %llu word %llu is %#llx, not %#llx\n",
	       (unsigned long long)load->bad_page, (unsigned long long)load->bad_generation,
	       (unsigned long long)load->bad_word, (unsigned long long)load->bad_found,
	       (unsigned long long)load->bad_wanted);
}

static void say_mmaps(unsigned long ms)
{
	uint64_t end = now_ns(CLOCK_MONOTONIC) + ms * 1000000ULL, from, took, longest = 0;
	unsigned long count = 0;
	void *at;

	while ((from = now_ns(CLOCK_MONOTONIC)) < end) {
		at = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		munmap(at, PAGE);
		took = now_ns(CLOCK_MONOTONIC) - from;
		if (took > longest)
			longest = took;
		count++;
		usleep(1000);
	}
	printf("mmaps %lu %llu\n", count, (unsigned long long)longest / 1000);
}

/* Returns false if it is none of these; true once it is answered, if it says more than ok. */
static bool load_question(struct vm *vm, char *line)
{
	if (!strncmp(line, "load", 4))
		say_load(vm);
	else if (!strncmp(line, "bad", 3))
		say_bad(vm);
	else if (!strncmp(line, "mmaps ", 6))
		say_mmaps(strtoul(line + 6, NULL, 10));
	else if (!strncmp(line, "state", 5))
		printf("state %llu %d %llu\n", (unsigned long long)vm->given * PAGE, later_left,
		       (unsigned long long)vm->rounds);
	else
		return false;
	return true;
}

static bool load_command(struct vm *vm, char *line)
{
	struct load *load = load_of(vm);

	if (!strncmp(line, "balloon ", 8)) {
		set_balloon(vm, strtod(line + 8, NULL));
	} else if (!strncmp(line, "write ", 6)) {
		load->write_every = strtoul(line + 6, NULL, 10);
	} else if (!strncmp(line, "forget", 6)) {
		load->longest = 0;
		memset((void *)load->time, 0, sizeof(load->time));
	} else {
		return false;
	}
	return true;
}

static bool touch_command(struct vm *vms, int count, char *line)
{
	char how[16] = "";
	double percent;

	if (sscanf(line, "touch %lf %15s", &percent, how) < 1)
		return false;
	for (int i = 0; i < count; i++)
		touch(&vms[i], percent, !strcmp(how, "scatter"));
	return true;
}

/* What changes the list, one at a time. */
static bool list_command(struct vm *vms, int count, char *line)
{
	bool known;

	pthread_mutex_lock(&list_lock);
	known = leaving || (loads && load_command(vms, line)) ||
		touch_command(vms, count, line);
	pthread_mutex_unlock(&list_lock);
	return known;
}

/* A guest that waits for memory comes round late, and who asks has other VMs to look after. */
static void *later_thread(void *arg)
{
	char line[128];

	while (fgets(line, sizeof(line), later_out)) {
		if (!list_command(arg, 1, line)) {
			errno = EINVAL;
			die(line);
		}
		later_left--;
	}
	return NULL;
}

static void later_begin(struct vm *vm, pthread_t *thread)
{
	int ends[2];

	check(pipe(ends), "pipe");
	later_out = fdopen(ends[0], "r");
	later_in = fdopen(ends[1], "w");
	pthread_create(thread, NULL, later_thread, vm);
}

static void later_end(pthread_t thread)
{
	fclose(later_in);
	pthread_join(thread, NULL);
	fclose(later_out);
}

static void later_put(const char *line)
{
	later_left++;
	fputs(line, later_in);
	fflush(later_in);
}

static bool command(struct vm *vms, int count, char *line)
{
	char what[16] = "";

	if (loads && load_question(vms, line))
		return true;
	if (loads && !strncmp(line, "later ", 6))
		return later_put(line + 6), puts("ok"), true;
	if (list_command(vms, count, line))
		return puts("ok"), true;
	if (sscanf(line, "churn %15s", what) == 1) {
		churn(vms, count, !strcmp(what, "on"));
	} else if (!strncmp(line, "stop", 4)) {
		running = false;
	} else if (!strncmp(line, "run", 3)) {
		running = true;
	} else if (!strncmp(line, "read", 4)) {
		for (int i = 0; i < count; i++)
			read_all(&vms[i]);
	} else if (!strncmp(line, "passes", 6)) {
		printf("passes %llu\n", (unsigned long long)passes(vms, count));
		return true;
	} else if (!strncmp(line, "work", 4)) {
		say_work(vms, count);
		return true;
	} else if (!strncmp(line, "started", 7)) {
		printf("started %llu\n", (unsigned long long)started_ns);
		return true;
	} else {
		return false;
	}
	puts("ok");
	return true;
}

static void drop(struct vm *vms, int count)
{
	if (leaving)
		return;
	leaving = true;
	pthread_mutex_lock(&list_lock);	/* who is at it comes to an end */
	pthread_mutex_unlock(&list_lock);
	for (int i = 0; i < count; i++) {
		pthread_join(vms[i].thread, NULL);
		if (vms[i].has_churner)
			pthread_join(vms[i].churner, NULL);
		vm_destroy(&vms[i]);
	}
}

static void serve(int count)
{
	struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO };
	struct vm *vms = calloc(count, sizeof(*vms));
	pthread_t later;
	char line[128];

	check(sigaction(SIGBUS, &action, NULL), "sigaction");
	for (int i = 0; i < count; i++) {
		vm_create(&vms[i], i);
		first_memory = vms[0].memory;
		pthread_create(&vms[i].thread, NULL, vcpu_thread, &vms[i]);
	}
	later_begin(vms, &later);
	printf("ready %lu\n", memory_bytes * count);
	while (fgets(line, sizeof(line), stdin)) {
		if (!strncmp(line, "drop", 4)) {
			drop(vms, count);
			puts("ok");
		} else if (!command(vms, count, line)) {
			break;
		}
	}
	later_end(later);
	drop(vms, count);
	free(vms);
}

/* One of so many lives, the others run once. */
static void live(struct vm *vm, int number)
{
	uint64_t end;

	run_once(vm);
	if (!live_every || number % live_every)
		return;
	touch(vm, 50, false);
	for (end = now_ns(CLOCK_MONOTONIC) + live_ms * 1000000ULL;
	     now_ns(CLOCK_MONOTONIC) < end; usleep(pause_us))
		run_once(vm);
}

static void cycle(int cycles)
{
	struct vm vm;

	for (int i = 0; i < cycles; i++) {
		vm_create(&vm, 0);
		live(&vm, i);
		vm_destroy(&vm);
	}
	printf("cycles %d\n", cycles);
}

/* A process for each: what knows the VM has its mm and its task to let go too. */
static void cycle_processes(int cycles)
{
	int status, bad = 0;
	struct vm vm;

	for (int i = 0; i < cycles; i++) {
		pid_t child = check(fork(), "fork");

		if (!child) {
			vm_create(&vm, 0);
			live(&vm, i);
			/* every second one leaves it to the kernel */
			if (i & 1)
				vm_destroy(&vm);
			_exit(0);
		}
		check(waitpid(child, &status, 0), "wait");
		bad += status != 0;
	}
	printf("cycles %d\n", cycles - bad);
}

int main(int argc, char **argv)
{
	int vms = 1, cycles = 0, processes = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--memory"))
			memory_bytes = strtoul(argv[i + 1], NULL, 10) << 20;
		else if (!strcmp(argv[i], "--backing"))
			backing = argv[i + 1];
		else if (!strcmp(argv[i], "--vms"))
			vms = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--cycles"))
			cycles = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--processes"))
			processes = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--live-every"))
			live_every = strtoul(argv[i + 1], NULL, 10);
		else if (!strcmp(argv[i], "--live-ms"))
			live_ms = strtoul(argv[i + 1], NULL, 10);
		else if (!strcmp(argv[i], "--pause"))
			pause_us = strtoul(argv[i + 1], NULL, 10);
		else if (!strcmp(argv[i], "--mlock"))
			locked = !strcmp(argv[i + 1], "yes");
		else if (!strcmp(argv[i], "--irqchip"))
			irqchip = !strcmp(argv[i + 1], "yes");
		else if (!strcmp(argv[i], "--nice"))
			vcpu_nice = atoi(argv[i + 1]);
		else if (!strcmp(argv[i], "--guest"))
			loads = !strcmp(argv[i + 1], "load");
		else if (!strcmp(argv[i], "--soft"))
			soft = strtoul(argv[i + 1], NULL, 10);
		else if (!strcmp(argv[i], "--same"))
			same = strtoul(argv[i + 1], NULL, 10);
		else
			return fprintf(stderr, "minivm: unknown option %s\n", argv[i]), 2;
	}
	if (memory_bytes < 8UL << 20 || memory_bytes > 1UL << 30 || vms < 1 || vms > 64)
		return fprintf(stderr, "minivm: 8 to 1024 MiB, 1 to 64 VMs\n"), 2;
	kvm = check(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
	if (cycles)
		cycle(cycles);
	else if (processes)
		cycle_processes(processes);
	else
		serve(vms);
	return 0;
}
