/* SPDX-License-Identifier: GPL-2.0 */
/* Who gets how much of a pool: shares, idle memory tax, min and max. */
#ifndef BALLAST_POLICY_ALLOCATION_H
#define BALLAST_POLICY_ALLOCATION_H

#include "bp.h"

#define BALLAST_TAX_BP_MAX	9900u	/* k = 100 */
#define BALLAST_VMS_MAX		65536u	/* in one call */
#define BALLAST_VM_PAGES_MAX	(1ULL << 36)	/* 256 TiB of 4 KiB pages */

/**
 * enum ballast_reason - why a target is what it is; one token each in sysfs
 * @BALLAST_REASON_AT_MAX: "at-max": it has all it may have, there is room
 * @BALLAST_REASON_AT_MIN: "at-min": at the common price it would have less, or
 *	it has no shares; min holds it
 * @BALLAST_REASON_SHARES: "shares": the common price, no idle memory taxed
 * @BALLAST_REASON_TAX: "tax": the common price, part of it for idle memory
 * @BALLAST_REASON_PRESSURE: "pressure": the guest said that it needs this much
 * @BALLAST_REASON_BALLOON_LIMIT: "balloon-limit": no balloon may take more
 * @BALLAST_REASON_NO_BALLOON: "no-balloon": nothing can be taken from it
 * @BALLAST_REASON_PINNED: "pinned": locked, hugetlb or pinned for devices
 * @BALLAST_REASON_FROZEN: "frozen": left alone, it migrates or is stopped
 * @BALLAST_REASON_OBSERVE: "observe": the target would move its balloon, the
 *	mode forbids; set by the engine alone
 */
enum ballast_reason {
	BALLAST_REASON_AT_MAX,
	BALLAST_REASON_AT_MIN,
	BALLAST_REASON_SHARES,
	BALLAST_REASON_TAX,
	BALLAST_REASON_PRESSURE,
	BALLAST_REASON_BALLOON_LIMIT,
	BALLAST_REASON_NO_BALLOON,
	BALLAST_REASON_PINNED,
	BALLAST_REASON_FROZEN,
	BALLAST_REASON_OBSERVE,
	BALLAST_REASON_NR,
};

/**
 * struct ballast_claim - one VM in the division of a pool
 * @id: unique; settles who gets the last pages, so that order does not matter
 * @size_pages: the VM's memory, at most BALLAST_VM_PAGES_MAX
 * @min_pages: never less, but for @size_pages.  Stands above @max_pages
 * @max_pages: never more; 0 is @size_pages
 * @floor_pages: what the guest says it needs; honoured before any price, if
 *	all floors of the pool fit, and else what is divided first; 0: nothing
 *	said.  Not above @max_pages
 * @held_pages: what cannot be taken from it, for @held_reason.  Stands above
 *	@max_pages
 * @active_pages: estimate of what it uses, of @size_pages
 * @shares: 0: it gets its min (or floor, or what is held) and nothing else
 * @tax_bp: idle memory tax in basis points, at most BALLAST_TAX_BP_MAX
 * @held_reason: why @held_pages
 * @target_pages: result
 * @rho_micro: result: shares per page at the adjusted price of the target,
 *	times 10^6, saturating; 0 without shares
 * @reason: result
 * @lower_pages: result: what the division had to leave it
 * @upper_pages: result: what the division could give it at most
 *
 * Bad combinations (min > size, active > size, ...) are clamped: the numbers
 * come from VMs that change while they are read.
 */
struct ballast_claim {
	u64 id;
	u64 size_pages;
	u64 min_pages;
	u64 max_pages;
	u64 floor_pages;
	u64 held_pages;
	u64 active_pages;
	u32 shares;
	u32 tax_bp;
	enum ballast_reason held_reason;
	u64 target_pages;
	u64 rho_micro;
	enum ballast_reason reason;
	u64 lower_pages;
	u64 upper_pages;
};

/**
 * struct ballast_division - the outcome for a pool
 * @granted_pages: sum of all targets
 * @short_pages: what the mins (and what is held) exceed the pool by; 0 else
 */
struct ballast_division {
	u64 granted_pages;
	u64 short_pages;
};

void ballast_divide(struct ballast_claim *claims, size_t count,
		    u64 available_pages, struct ballast_division *division);
u64 ballast_price_pages(u64 pages, u64 active_pages, u32 tax_bp);
const char *ballast_reason_token(enum ballast_reason reason);

#endif /* BALLAST_POLICY_ALLOCATION_H */
