// SPDX-License-Identifier: GPL-2.0
/*
 * How much of its memory a VM uses, from samples of its pages (ESX paper,
 * section 5.3).
 *
 * DOC: A period watches n pages of the guest and counts the t that it touches;
 * t / n estimates the fraction in use.  Two averages are kept: a slow one, half
 * of it the newest period, and a fast one, 15/16 of it where it differs by more
 * than a sample of that size does by chance, half of it otherwise: the greatest
 * of values that chance moves is too great.  A third value is the fast average
 * as if the running period ended now; what is touched so far is only a lower
 * bound of what will be, so it counts where it raises.  The estimate is the
 * greatest of the three: a VM that wakes up is believed within the period, one
 * that falls asleep keeps its memory for some periods more.
 *
 * Fractions are Q16.16: WHOLE is all of the VM's memory.
 */
#include "bp.h"
#include "estimate.h"

#define WHOLE		(1u << 16)
#define SLOW_NEWEST	8u	/* sixteenths */
#define FAST_NEWEST	15u
#define SIXTEENTHS	16u
#define MANY		(1u << 20)
#define CHANCE_SQUARED	7u	/* 2.3^2 * 4 / 3 */

/* 1.96, the normal distribution's 95 %, and its square, in 10^-4 */
#define Z_E4		19600u
#define Z2_E4		38416u

static u32 fraction(u32 touched, u32 sampled)
{
	return (u32)(((u64)touched * WHOLE) / sampled);
}

/* Weights of whole sixteenths, rounded to the nearest. */
static u32 average(u32 old, u32 newest, u32 sixteenths)
{
	return (old * (SIXTEENTHS - sixteenths) + newest * sixteenths +
		SIXTEENTHS / 2) / SIXTEENTHS;
}

/*
 * Is the difference of a new sample and an average more than chance?  Chance is
 * 2.3 standard deviations, 4/3 of the variance p (1 - p) / n for the difference
 * of the two, with p in the middle; squared, in Q32.  More pages than any sample
 * has make no difference.
 */
static bool is_a_change(u32 average, u32 newest, u32 sampled)
{
	u64 p = ((u64)average + newest) / 2;
	u64 difference = average > newest ? average - newest : newest - average;

	if (sampled > MANY)
		sampled = MANY;
	return difference * difference * sampled > CHANCE_SQUARED * p * (WHOLE - p);
}

static u32 average_fast(u32 old, u32 newest, u32 sampled)
{
	return average(old, newest, is_a_change(old, newest, sampled) ?
				    FAST_NEWEST : SLOW_NEWEST);
}

static u32 to_bp(u32 value)
{
	return (u32)(((u64)value * BALLAST_BP + WHOLE / 2) / WHOLE);
}

/**
 * ballast_estimate_begin() - a sampling period begins
 * @estimate: of the VM
 * @sampled: pages watched in it; 0: no period after all
 *
 * What a period under way had counted is forgotten.
 *
 * Context: the caller keeps the estimate from changing, here and below.
 */
void ballast_estimate_begin(struct ballast_estimate *estimate, u32 sampled)
{
	estimate->sampled = sampled;
	estimate->touched = 0;
}

/**
 * ballast_estimate_progress() - what the running period has counted so far
 * @estimate: of the VM
 * @touched: of the watched pages, all since the period's begin
 *
 * Context: see ballast_estimate_begin().
 */
void ballast_estimate_progress(struct ballast_estimate *estimate, u32 touched)
{
	estimate->touched = touched < estimate->sampled ? touched : estimate->sampled;
}

/**
 * ballast_estimate_end() - a sampling period is complete
 * @estimate: of the VM
 * @touched: of the watched pages, all since the period's begin
 *
 * The first period is all that is known: both averages start from it.
 * Without a period under way nothing happens.
 *
 * Context: see ballast_estimate_begin().
 */
void ballast_estimate_end(struct ballast_estimate *estimate, u32 touched)
{
	u32 newest;

	if (!estimate->sampled)
		return;
	ballast_estimate_progress(estimate, touched);
	newest = fraction(estimate->touched, estimate->sampled);
	if (!estimate->periods) {
		estimate->slow = newest;
		estimate->fast = newest;
	} else {
		estimate->slow = average(estimate->slow, newest, SLOW_NEWEST);
		estimate->fast = average_fast(estimate->fast, newest, estimate->sampled);
	}
	if (estimate->periods != (u32)-1)
		estimate->periods++;
	ballast_estimate_begin(estimate, 0);
}

/**
 * ballast_estimate_slow_bp() - the slow average
 * @estimate: of the VM
 *
 * Context: see ballast_estimate_begin().
 * Return: basis points of the VM's memory; BALLAST_BP before the first period
 * is complete.
 */
u32 ballast_estimate_slow_bp(const struct ballast_estimate *estimate)
{
	return estimate->periods ? to_bp(estimate->slow) : BALLAST_BP;
}

/**
 * ballast_estimate_fast_bp() - the fast average
 * @estimate: of the VM
 *
 * Context: see ballast_estimate_begin().
 * Return: as ballast_estimate_slow_bp().
 */
u32 ballast_estimate_fast_bp(const struct ballast_estimate *estimate)
{
	return estimate->periods ? to_bp(estimate->fast) : BALLAST_BP;
}

/**
 * ballast_estimate_running_bp() - the fast average with the running period
 * @estimate: of the VM
 *
 * Context: see ballast_estimate_begin().
 * Return: as ballast_estimate_slow_bp(); never below the fast average.
 */
u32 ballast_estimate_running_bp(const struct ballast_estimate *estimate)
{
	u32 running;

	if (!estimate->periods || !estimate->sampled)
		return ballast_estimate_fast_bp(estimate);
	running = average_fast(estimate->fast,
			       fraction(estimate->touched, estimate->sampled),
			       estimate->sampled);
	return to_bp(running > estimate->fast ? running : estimate->fast);
}

/**
 * ballast_estimate_active_bp() - the estimate
 * @estimate: of the VM
 *
 * Context: see ballast_estimate_begin().
 * Return: the greatest of the three averages, basis points of the VM's memory;
 * BALLAST_BP before the first period is complete.
 */
u32 ballast_estimate_active_bp(const struct ballast_estimate *estimate)
{
	u32 slow = ballast_estimate_slow_bp(estimate);
	u32 running = ballast_estimate_running_bp(estimate);

	return slow > running ? slow : running;
}

/* Rounded down. */
static u64 square_root(u64 square)
{
	u64 root = 0, bit;

	for (bit = 1ULL << 31; bit; bit >>= 1)
		if ((root | bit) * (root | bit) <= square)
			root |= bit;
	return root;
}

/**
 * ballast_estimate_error_bp() - how far off the estimate may be
 * @estimate: of the VM
 * @sampled: pages watched in a period; 0: none, nothing is known
 *
 * With 95 % confidence, if the estimate a came from one period of n pages:
 * the greater distance from a to the two limits of Wilson's interval, which
 * holds for fractions near 0 and 1 as well,
 *
 *	(z * sqrt(n a (1 - a) + z^2 / 4) + z^2 |1/2 - a|) / (n + z^2)
 *
 * Averaging makes the true error smaller, never greater.
 *
 * Context: see ballast_estimate_begin().
 * Return: basis points of the VM's memory, rounded up.
 */
u32 ballast_estimate_error_bp(const struct ballast_estimate *estimate, u32 sampled)
{
	u64 active = ballast_estimate_active_bp(estimate), variance, width, shift, scale;

	if (!sampled || !estimate->periods)
		return BALLAST_BP;
	/* n a (1 - a) + z^2 / 4, in 10^-8; its root is in 10^-4 */
	variance = sampled * active * (BALLAST_BP - active) + Z2_E4 / 4 * (u64)BALLAST_BP;
	width = Z_E4 * (square_root(variance) + 1);
	shift = Z2_E4 * (active < BALLAST_BP / 2 ? BALLAST_BP / 2 - active :
						   active - BALLAST_BP / 2);
	scale = sampled * (u64)BALLAST_BP + Z2_E4;
	return (u32)((width + shift + scale - 1) / scale);
}
