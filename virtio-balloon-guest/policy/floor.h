/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a guest keeps for itself, whatever the host asks for.
 */
#ifndef BALLAST_BALLOON_FLOOR_H
#define BALLAST_BALLOON_FLOOR_H

#include "env.h"

u64 ballast_floor_default_bytes(u64 guest_bytes);
u64 ballast_floor_part_bytes(u64 floor_bytes, u64 part, u64 whole);
u64 ballast_floor_room_bytes(u64 available_bytes, u64 floor_bytes);

#endif /* BALLAST_BALLOON_FLOOR_H */
