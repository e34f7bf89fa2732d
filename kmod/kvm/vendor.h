/* SPDX-License-Identifier: GPL-2.0 */
/* kvm_intel or kvm_amd, kept while a VM is held. */
#ifndef BALLAST_KVM_VENDOR_H
#define BALLAST_KVM_VENDOR_H

#include <linux/types.h>

bool ballast_vendor_is_held(void);
bool ballast_vendor_want(void);
bool ballast_vendor_is_wanted(void);
void ballast_vendor_ask_again(void);
bool ballast_vendor_hold(void);
void ballast_vendor_let_go(bool (*is_needed)(void));
void ballast_vendor_exit(void);

#endif /* BALLAST_KVM_VENDOR_H */
