/* SPDX-License-Identifier: GPL-2.0 */
/* KVM's page faults, tapped at the tracepoint kvm_page_fault. */
#ifndef BALLAST_KVM_TAP_H
#define BALLAST_KVM_TAP_H

#include "vm.h"

/**
 * struct ballast_newcomer - a VM that faulted and is not known
 * @kvm: with a reference
 * @pid: of its process
 * @comm: name of its process
 */
struct ballast_newcomer {
	struct kvm *kvm;
	pid_t pid;
	char comm[TASK_COMM_LEN];
};

void ballast_tap_init(void (*kick)(void));
int ballast_tap_open(void);
void ballast_tap_close(void);
bool ballast_tap_is_open(void);
bool ballast_tap_newcomer(struct ballast_newcomer *newcomer);
bool ballast_tap_has_newcomer(void);
bool ballast_tap_overlooked(void);
void ballast_tap_will_look(void);
void ballast_tap_watch(struct ballast_guest *guest);
void ballast_tap_forget(struct ballast_guest *guest);
bool ballast_tap_knows(struct kvm *kvm);

#endif /* BALLAST_KVM_TAP_H */
