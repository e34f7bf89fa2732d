/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Self-ballooning: the guest's own target.
 */
#ifndef BALLAST_BALLOON_SELF_H
#define BALLAST_BALLOON_SELF_H

#include "env.h"

u64 ballast_self_target_bytes(u64 last_bytes, u64 guest_bytes, u64 committed_bytes,
			      u64 reserve_bytes);

#endif /* BALLAST_BALLOON_SELF_H */
