/* SPDX-License-Identifier: GPL-2.0 */
/* Basis points: the fractions that people write, as integers. */
#ifndef BALLAST_POLICY_BP_H
#define BALLAST_POLICY_BP_H

#include "env.h"

#define BALLAST_BP		10000u	/* basis points in a whole */

/**
 * ballast_part_bp() - a share of something
 * @whole: of what, any number
 * @bp: how much of it, at most BALLAST_BP
 *
 * Context: any.
 * Return: @whole * @bp / BALLAST_BP, rounded down, without overflow.
 */
static inline u64 ballast_part_bp(u64 whole, u32 bp)
{
	return whole / BALLAST_BP * bp + whole % BALLAST_BP * bp / BALLAST_BP;
}

#endif /* BALLAST_POLICY_BP_H */
