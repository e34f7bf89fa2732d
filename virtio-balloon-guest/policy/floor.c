// SPDX-License-Identifier: GPL-2.0
/*
 * The floor: memory that stays available to the guest.
 *
 * DOC: The default follows Hyper-V's driver, whose guests have lived with it for long: a
 * constant and a share of the guest's size, the share smaller for larger
 * guests.  The constants make it a line without steps.
 */
#include "floor.h"

static const struct {
	u64 below_mib;
	u64 constant_mib;
	unsigned int shift;
} bands[] = {
	{ 128, 8, 1 },
	{ 512, 40, 2 },
	{ 2048, 104, 3 },
	{ 8192, 232, 4 },
	{ ~(u64)0, 488, 5 },
};

/**
 * ballast_floor_default_bytes - the floor of a guest for which nobody set one
 * @guest_bytes: its size, the balloon included
 *
 * Return: bytes that should stay available.
 */
u64 ballast_floor_default_bytes(u64 guest_bytes)
{
	const u64 mib = guest_bytes / BALLAST_MIB;
	unsigned int i = 0;

	while (mib >= bands[i].below_mib && i < sizeof(bands) / sizeof(bands[0]) - 1)
		i++;
	return bands[i].constant_mib * BALLAST_MIB + (guest_bytes >> bands[i].shift);
}

/**
 * ballast_floor_part_bytes - what of the floor a part of the guest's memory answers for
 * @floor_bytes: of the guest
 * @part: how large the part is
 * @whole: how large the guest is, in the same unit
 *
 * Return: the floor's part, to 1 KiB or to a thousandth.
 */
u64 ballast_floor_part_bytes(u64 floor_bytes, u64 part, u64 whole)
{
	const unsigned int shift = whole >> 20 ? 10 : 0;

	if (!whole || part >= whole)
		return floor_bytes;
	/* 2^34 pages and a floor of 2^46 bytes stay within 64 bits */
	floor_bytes = ballast_min(floor_bytes, (u64)1 << 46);
	return ((floor_bytes >> 10) * (part >> shift) / (whole >> shift)) << 10;
}

/**
 * ballast_floor_room_bytes - what may still go into the balloon
 * @available_bytes: what the guest could use without swapping
 * @floor_bytes: what it keeps
 *
 * Return: the difference, or 0.
 */
u64 ballast_floor_room_bytes(u64 available_bytes, u64 floor_bytes)
{
	return ballast_less(available_bytes, floor_bytes);
}
