// SPDX-License-Identifier: GPL-2.0
/*
 * VMs under KVM against a scanner that runs flat out: guests write to shared
 * pages and check what they wrote, their VMMs fork, and are killed at any moment
 * with their memory file unlinked, so that the last mapping, the struct kvm and
 * the file go while the scanner works on them.
 *
 *   vmracer DIRECTORY SECONDS MIN-MERGED [LIFE-MS]
 *
 * A VM lives LIFE-MS (300) before one is killed, and up to twice that.
 *
 * A guest is a loop in 32-bit code over all pages of its memory: the first word
 * of each must be what the round before left there; it becomes the round's
 * number.  All other words never change and are the same in every fourth page of
 * all VMs, so pages of one round can be shared within a VM and among VMs of the
 * same round.  The VMM compares them from time to time, through its mapping.
 *
 * A process is a VM; the parent starts them, kills one at a time at a random
 * moment and starts another.  It fails if a VM found wrong content, if nothing
 * was killed, or if less was merged than it takes for all this to prove anything.
 */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "content.h"

#define VMS		4
#define PAGES		512UL
#define CONTENTS	4
#define CODE_GPA	0xf0000000UL
#define WRONG_PORT	0x11
#define REST_MS		20
#define CHECK_EVERY	8	/* rounds */
#define FORK_EVERY	5

struct vm {
	uint8_t *memory, *code;
	int fd, vcpu;
	struct kvm_run *run;
};

static const char *directory;

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static void rest_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

static void path_of(int number, char *path, size_t size)
{
	snprintf(path, size, "%s/vm%d", directory, number);
}

/* ---- one VM */

static uint8_t *map_memory(int number)
{
	char path[200];
	uint8_t *memory;
	int fd;

	path_of(number, path, sizeof(path));
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, PAGES * CONTENT_PAGE))
		err(1, "%s", path);
	memory = mmap(NULL, PAGES * CONTENT_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap %s", path);
	close(fd);
	return memory;
}

static uint32_t *first_word(struct vm *vm, unsigned long page)
{
	return (uint32_t *)(vm->memory + page * CONTENT_PAGE);
}

static void fill(struct vm *vm)
{
	unsigned long page;

	for (page = 0; page < PAGES; page++) {
		content_fill((uint64_t *)first_word(vm, page), 1 + page % CONTENTS);
		*first_word(vm, page) = 0;
	}
}

static void set_slot(struct vm *vm, int slot, uint64_t gpa, void *at, uint64_t size)
{
	struct kvm_userspace_memory_region r = {
		.slot = slot, .guest_phys_addr = gpa, .memory_size = size,
		.userspace_addr = (uintptr_t)at,
	};

	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &r))
		err(1, "memory slot");
}

static void flat(struct kvm_segment *s, int type)
{
	*s = (struct kvm_segment) {
		.limit = 0xffffffff, .type = type, .present = 1, .s = 1, .db = 1,
		.g = 1, .selector = type == 11 ? 8 : 16,
	};
}

static void vm_create(struct vm *vm)
{
	/* ebx: what is there, edx: what it becomes; stops at the first wrong one */
	static const uint8_t code[] = {
		0x39, 0x1f,				/* 1: cmp [edi], ebx */
		0x75, 0x0c,				/* jne 2f */
		0x89, 0x17,				/* mov [edi], edx */
		0x81, 0xc7, 0x00, 0x10, 0x00, 0x00,	/* add edi, 4096 */
		0xe2, 0xf2,				/* loop 1b */
		0xe6, 0x10,				/* out 0x10, al */
		0xe6, WRONG_PORT,			/* 2: out 0x11, al */
	};
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	struct kvm_sregs s;

	if (kvm < 0)
		err(1, "/dev/kvm");
	vm->fd = ioctl(kvm, KVM_CREATE_VM, 0);
	vm->code = mmap(NULL, CONTENT_PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm->fd < 0 || vm->code == MAP_FAILED)
		err(1, "VM");
	memcpy(vm->code, code, sizeof(code));
	set_slot(vm, 0, 0, vm->memory, PAGES * CONTENT_PAGE);
	set_slot(vm, 1, CODE_GPA, vm->code, CONTENT_PAGE);
	vm->vcpu = ioctl(vm->fd, KVM_CREATE_VCPU, 0);
	vm->run = mmap(NULL, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0),
		       PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu, 0);
	if (vm->vcpu < 0 || vm->run == MAP_FAILED || ioctl(vm->vcpu, KVM_GET_SREGS, &s))
		err(1, "vCPU");
	s.cr0 |= 1;
	flat(&s.cs, 11);
	flat(&s.ds, 3);
	s.es = s.fs = s.gs = s.ss = s.ds;
	if (ioctl(vm->vcpu, KVM_SET_SREGS, &s))
		err(1, "registers");
	close(kvm);
}

/* Over all pages: @round - 1 becomes @round. */
static void run_round(struct vm *vm, uint32_t round)
{
	struct kvm_regs r = {
		.rip = CODE_GPA, .rbx = round - 1, .rdx = round, .rcx = PAGES, .rflags = 2,
	};

	if (ioctl(vm->vcpu, KVM_SET_REGS, &r))
		err(1, "registers");
	do {
		if (ioctl(vm->vcpu, KVM_RUN, 0) && errno != EINTR && errno != EAGAIN)
			err(1, "KVM_RUN");
	} while (vm->run->exit_reason == KVM_EXIT_INTR);
	if (vm->run->exit_reason != KVM_EXIT_IO)
		errx(1, "the guest stopped: reason %u", vm->run->exit_reason);
	if (vm->run->io.port != WRONG_PORT)
		return;
	if (ioctl(vm->vcpu, KVM_GET_REGS, &r))
		err(1, "registers");
	errx(1, "round %u: page %llu is not as the guest left it: %u", round,
	     r.rdi / CONTENT_PAGE, *first_word(vm, r.rdi / CONTENT_PAGE));
}

static void check_all(struct vm *vm, uint32_t round)
{
	unsigned long page;
	unsigned int i;

	for (page = 0; page < PAGES; page++) {
		uint64_t *p = (uint64_t *)first_word(vm, page);

		if (*first_word(vm, page) != round)
			errx(1, "round %u: page %lu says %u", round, page,
			     *first_word(vm, page));
		for (i = 1; i < CONTENT_WORDS; i++)
			if (p[i] != content_word(1 + page % CONTENTS, i))
				errx(1, "round %u: page %lu, word %u is wrong", round, page, i);
	}
}

/*
 * A fork of a VMM has its memory and no guest; it looks, writes nothing, goes: each
 * second one by becoming another program.
 */
static void fork_and_check(struct vm *vm, uint32_t round)
{
	pid_t child = fork();
	int status;

	if (child < 0)
		err(1, "fork");
	if (!child) {
		check_all(vm, round);
		if (round / FORK_EVERY % 2)
			execl("/bin/true", "true", NULL);
		_exit(round / FORK_EVERY % 2);
	}
	if (waitpid(child, &status, 0) != child || status)
		errx(1, "round %u: the fork saw something else", round);
}

static void __attribute__((noreturn)) be_a_vm(int number)
{
	struct vm vm;
	uint32_t round;

	vm.memory = map_memory(number);
	fill(&vm);
	vm_create(&vm);
	for (round = 1; ; round++) {
		run_round(&vm, round);
		if (round % CHECK_EVERY == 0)
			check_all(&vm, round);
		if (round % FORK_EVERY == 0)
			fork_and_check(&vm, round);
		rest_ms(REST_MS);
	}
}

/* ---- all of them */

static pid_t vm_start(int number)
{
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		setpgid(0, 0);
		be_a_vm(number);
	}
	/* in both: whoever kills it must not be earlier than the child */
	setpgid(pid, pid);
	return pid;
}

/* With its fork, if it has one now; the file goes first, the mapping is its last user. */
static bool vm_kill(pid_t pid, int number)
{
	char path[200];
	int status;

	path_of(number, path, sizeof(path));
	/* killed before it made one */
	if (unlink(path) && errno != ENOENT)
		err(1, "unlink %s", path);
	kill(-pid, SIGKILL);
	if (waitpid(pid, &status, 0) != pid)
		err(1, "waitpid");
	/* it may have made its file just after we looked */
	unlink(path);
	return WIFSIGNALED(status);
}

static long pool_number(const char *name)
{
	char path[200];
	long number;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/ballast/pools/%s/%s",
		 strrchr(directory, '/') + 1, name);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%ld", &number) != 1)
		err(1, "%s", path);
	fclose(f);
	return number;
}

int main(int argc, char **argv)
{
	long merged, broken, min, life_ms, kills = 0;
	double seconds, start = now_s();
	pid_t vms[VMS];
	bool good = true;
	int i;

	if (argc < 4 || !strchr(argv[1], '/'))
		errx(2, "usage: vmracer DIRECTORY SECONDS MIN-MERGED [LIFE-MS]");
	directory = argv[1];
	seconds = strtod(argv[2], NULL);
	min = atol(argv[3]);
	life_ms = argc > 4 ? atol(argv[4]) : 300;
	srandom(getpid());
	merged = pool_number("pages_merged");
	broken = pool_number("cow_breaks");
	for (i = 0; i < VMS; i++)
		vms[i] = vm_start(i);
	while (good && now_s() - start < seconds) {
		rest_ms(life_ms + random() % life_ms);
		i = kills++ % VMS;
		good = vm_kill(vms[i], i);
		vms[i] = good ? vm_start(i) : 0;
	}
	for (i = 0; i < VMS; i++)
		if (vms[i] && !vm_kill(vms[i], i))
			good = false;
	merged = pool_number("pages_merged") - merged;
	broken = pool_number("cow_breaks") - broken;
	printf("%ld VMs killed, %ld pages merged, %ld broken\n", kills, merged, broken);
	if (!good)
		errx(1, "a VM ended by itself");
	if (kills < 2 || merged < min || broken < min / 10)
		errx(1, "less than 2 kills, %ld merged, %ld broken proves nothing", min, min / 10);
	return 0;
}
