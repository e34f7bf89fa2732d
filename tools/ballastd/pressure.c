// SPDX-License-Identifier: GPL-2.0
/*
 * What a guest's statistics say about how much memory it must keep.
 *
 * DOC: A guest under pressure gets a floor above what it has; while pressure
 * lasts, each report lifts the floor again as memory arrives.  Gone, the floor
 * stays for a while and then sinks at a steady pace: down to where pressure
 * begins again, or to nothing.
 *
 * The numbers are the guest's word.  Whatever they are, the result lies between
 * 0 and ceiling_bp of the VM's size, and a counter that goes back, or a total
 * that no guest of that size can have, says nothing.
 *
 * Pure: no clock, no input or output.
 */
#include "../lib/number.h"
#include "pressure.h"

/* Per second, of a counter; 0 if it cannot be told. */
static uint64_t rate(uint64_t before, uint64_t now, uint64_t elapsed_ms)
{
	if (before == BALLAST_STAT_UNSAID || now == BALLAST_STAT_UNSAID || now < before)
		return 0;
	if (elapsed_ms < 1000)
		elapsed_ms = 1000;
	return (uint64_t)((unsigned __int128)(now - before) * 1000 / elapsed_ms);
}

static bool available_is_low(const struct pressure_rules *rules,
			     const struct ballast_guest_stats *stats,
			     uint64_t size_bytes, uint64_t present_bytes)
{
	uint64_t total = stats->total_bytes;

	if (stats->available_bytes == BALLAST_STAT_UNSAID)
		return false;
	if (!total || total > size_bytes)
		total = present_bytes;
	if (stats->available_bytes > total)
		return false;
	return stats->available_bytes < ballast_share(total, rules->available_low_bp);
}

static enum pressure_sign sign_of(const struct pressure *pressure,
				  const struct pressure_rules *rules,
				  const struct ballast_guest_stats *stats,
				  uint64_t size_bytes, uint64_t present_bytes,
				  uint64_t now_ms)
{
	const struct ballast_guest_stats *last = &pressure->last;
	uint64_t elapsed_ms = now_ms - pressure->last_ms;

	if (available_is_low(rules, stats, size_bytes, present_bytes))
		return PRESSURE_AVAILABLE;
	if (!pressure->last_ms)
		return PRESSURE_NO;
	if (rate(last->oom_kills, stats->oom_kills, 1000))
		return PRESSURE_OOM;
	if (rules->swap_in_bytes_per_s && rate(last->swap_in_bytes, stats->swap_in_bytes,
					       elapsed_ms) >= rules->swap_in_bytes_per_s)
		return PRESSURE_SWAP_IN;
	if (rules->major_faults_per_s && rate(last->major_faults, stats->major_faults,
					      elapsed_ms) >= rules->major_faults_per_s)
		return PRESSURE_MAJOR_FAULTS;
	return PRESSURE_NO;
}

/* The floor is no lower than @bytes, and sinks no sooner than it would from now on. */
static uint64_t lift(struct pressure *pressure, const struct pressure_rules *rules,
		     uint64_t size_bytes, uint64_t bytes, uint64_t now_ms)
{
	if (bytes > pressure->floor_bytes)
		pressure->floor_bytes = bytes;
	pressure->floor_bytes = ballast_min(pressure->floor_bytes,
					    ballast_share(size_bytes, rules->ceiling_bp));
	pressure->sunk_ms = ballast_add(now_ms, rules->hold_ms);
	return pressure->floor_bytes;
}

/**
 * pressure_report() - the guest has sent a new report
 * @pressure: of the VM
 * @rules: what counts
 * @stats: the report
 * @size_bytes: the VM's memory
 * @present_bytes: what of it the balloon does not hold
 * @now_ms: the time, not 0
 *
 * Return: the floor.
 */
uint64_t pressure_report(struct pressure *pressure, const struct pressure_rules *rules,
			 const struct ballast_guest_stats *stats, uint64_t size_bytes,
			 uint64_t present_bytes, uint64_t now_ms)
{
	present_bytes = ballast_min(present_bytes, size_bytes);
	pressure->sign = sign_of(pressure, rules, stats, size_bytes, present_bytes, now_ms);
	pressure->last = *stats;
	pressure->last_ms = now_ms;
	if (pressure->sign == PRESSURE_NO)
		return pressure_decay(pressure, rules, size_bytes, now_ms);
	return lift(pressure, rules, size_bytes,
		    ballast_add(present_bytes, ballast_share(size_bytes, rules->step_bp)), now_ms);
}

/**
 * pressure_took() - the guest has taken memory from its balloon that nobody gave it
 * @pressure: of the VM
 * @rules: what counts
 * @size_bytes: the VM's memory
 * @present_bytes: what of it the balloon does not hold now
 * @now_ms: the time, not 0
 *
 * It needed just that, so there is no step more.
 *
 * Return: the floor.
 */
uint64_t pressure_took(struct pressure *pressure, const struct pressure_rules *rules,
		       uint64_t size_bytes, uint64_t present_bytes, uint64_t now_ms)
{
	pressure->sign = PRESSURE_TOOK;
	return lift(pressure, rules, size_bytes, present_bytes, now_ms);
}

/**
 * pressure_adopt() - the VM has a floor, from who looked after it before
 * @pressure: of the VM
 * @rules: what counts
 * @size_bytes: the VM's memory
 * @floor_bytes: as it is
 * @now_ms: the time, not 0
 *
 * A lower one than is known here changes nothing.
 *
 * Return: the floor.
 */
uint64_t pressure_adopt(struct pressure *pressure, const struct pressure_rules *rules,
			uint64_t size_bytes, uint64_t floor_bytes, uint64_t now_ms)
{
	if (floor_bytes <= pressure->floor_bytes)
		return pressure->floor_bytes;
	return lift(pressure, rules, size_bytes, floor_bytes, now_ms);
}

/**
 * pressure_decay() - time passes without pressure
 * @pressure: of the VM
 * @rules: how fast
 * @size_bytes: the VM's memory
 * @now_ms: the time
 *
 * To be called also when the guest sends nothing: a guest that has gone silent
 * does not keep a floor for ever.
 *
 * Return: the floor.
 */
uint64_t pressure_decay(struct pressure *pressure, const struct pressure_rules *rules,
			uint64_t size_bytes, uint64_t now_ms)
{
	uint64_t per_min = ballast_share(size_bytes, rules->decay_bp_per_min);
	uint64_t sunk;

	if (!pressure->floor_bytes || now_ms <= pressure->sunk_ms)
		return pressure->floor_bytes;
	sunk = (uint64_t)((unsigned __int128)per_min * (now_ms - pressure->sunk_ms) / 60000);
	pressure->floor_bytes = ballast_sub(pressure->floor_bytes, sunk);
	pressure->sunk_ms = now_ms;
	return pressure->floor_bytes;
}

/** pressure_sign_words() - @sign for the log */
const char *pressure_sign_words(enum pressure_sign sign)
{
	switch (sign) {
	case PRESSURE_AVAILABLE:
		return "has little memory available";
	case PRESSURE_SWAP_IN:
		return "swaps in";
	case PRESSURE_MAJOR_FAULTS:
		return "has many major faults";
	case PRESSURE_OOM:
		return "killed a process for want of memory";
	case PRESSURE_TOOK:
		return "has taken memory from its balloon";
	default:
		return "is under no pressure";
	}
}
