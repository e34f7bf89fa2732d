// SPDX-License-Identifier: GPL-2.0
/*
 * Pressure: reading PSI's text, and comparing with limits.
 *
 * DOC: Two views of the same thing.  avg10 tells what lasts, but it still tells
 * it ten seconds after it is over: it stops inflation.  What happened since
 * the last look is what memory is given back for.
 */
#include "pressure.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* A decimal number at *@text, which moves behind it; false: none, or too large. */
static bool number(const char **text, u64 *value)
{
	const char *p = *text;

	if (!is_digit(*p))
		return false;
	for (*value = 0; is_digit(*p); p++) {
		if (*value > (~(u64)0 - 9) / 10)
			return false;
		*value = *value * 10 + (u64)(*p - '0');
	}
	*text = p;
	return true;
}

/* "12.34" as 1234. */
static bool hundredths(const char *text, u32 *value)
{
	u64 whole, part;

	if (!number(&text, &whole) || whole > 100 || text[0] != '.' ||
	    !is_digit(text[1]) || !is_digit(text[2]))
		return false;
	part = (u64)(text[1] - '0') * 10 + (u64)(text[2] - '0');
	*value = (u32)(whole * 100 + part);
	return true;
}

/* What follows @key in the line @line; never looks into the next line. */
static const char *value_of(const char *line, const char *key)
{
	const size_t length = strlen(key);

	for (; *line && *line != '\n'; line++)
		if (!strncmp(line, key, length))
			return line + length;
	return NULL;
}

static bool parse_line(const char *line, u32 *avg10_bp, u64 *total_us)
{
	const char *avg10 = value_of(line, "avg10=");
	const char *total = value_of(line, "total=");

	return avg10 && total && hundredths(avg10, avg10_bp) && number(&total, total_us);
}

/**
 * ballast_psi_parse - read the text of a memory.pressure file
 * @text: ends with NUL
 * @psi: filled in, valid if true is returned
 *
 * Return: whether both lines were there and could be read.
 */
bool ballast_psi_parse(const char *text, struct ballast_psi *psi)
{
	bool some = false, full = false;

	while (text && *text) {
		if (!strncmp(text, "some ", 5))
			some = parse_line(text, &psi->some_avg10_bp, &psi->some_total_us);
		else if (!strncmp(text, "full ", 5))
			full = parse_line(text, &psi->full_avg10_bp, &psi->full_total_us);
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	return some && full;
}

/**
 * ballast_pressure_share_bp - share of a time that was waited
 * @before_us: total at its beginning
 * @now_us: total at its end
 * @elapsed_ms: how long it was
 *
 * Return: hundredths of a percent, at most 10000; 0 for no time at all.
 */
u32 ballast_pressure_share_bp(u64 before_us, u64 now_us, u64 elapsed_ms)
{
	const u64 waited_us = ballast_less(now_us, before_us);

	if (!elapsed_ms)
		return 0;
	/* 1 ms waited of 1 ms is 1000 us and 10000 bp */
	return (u32)ballast_min(ballast_min(waited_us, ~(u64)0 / 10) * 10 / elapsed_ms, 10000);
}

/**
 * ballast_pressure_average_bp - a share over the last 10 s, decaying as PSI's does
 * @avg10_bp: as it was
 * @share_bp: of the time since
 * @elapsed_ms: how long that is
 *
 * Return: as it is now.
 */
u32 ballast_pressure_average_bp(u32 avg10_bp, u32 share_bp, u64 elapsed_ms)
{
	/* of a longer time than this nothing is left of what was before */
	const u64 weight_ms = ballast_min(elapsed_ms, 3600000);

	return (u32)((avg10_bp * 10000ULL + share_bp * weight_ms) / (10000 + weight_ms));
}

static u32 beside_bp(u64 waited_us, u64 own_us, u64 elapsed_ms, u64 own_ms)
{
	return ballast_pressure_share_bp(0, ballast_less(waited_us, own_us),
					 ballast_less(elapsed_ms, own_ms));
}

/**
 * ballast_pressure_since - the guest's pressure since the last look
 * @p: set in part
 * @before: totals then
 * @now: totals now
 * @elapsed_ms: how long it was
 * @own: of that time, what were steps in which the driver waited
 *
 * While the driver waits nobody can tell who waits besides, nor by how much a task's waiting
 * counts on a guest of several CPUs.  So that time is left out, with all that was counted in it.
 */
void ballast_pressure_since(struct ballast_pressure *p, const struct ballast_psi *before,
			    const struct ballast_psi *now, u64 elapsed_ms,
			    const struct ballast_own_wait *own)
{
	p->some_now_bp = beside_bp(ballast_less(now->some_total_us, before->some_total_us),
				   own->some_us, elapsed_ms, own->elapsed_ms);
	p->full_now_bp = beside_bp(ballast_less(now->full_total_us, before->full_total_us),
				   own->full_us, elapsed_ms, own->elapsed_ms);
}

/**
 * ballast_pressure_without_own - what is left of the average is the guest's
 * @p: changed
 * @some_avg10_bp: of it, in steps in which the driver waited
 * @full_avg10_bp: the same
 */
void ballast_pressure_without_own(struct ballast_pressure *p, u32 some_avg10_bp, u32 full_avg10_bp)
{
	p->some_avg10_bp = (u32)ballast_less(p->some_avg10_bp, some_avg10_bp);
	p->full_avg10_bp = (u32)ballast_less(p->full_avg10_bp, full_avg10_bp);
}

static bool above(u64 value, u64 limit)
{
	return limit && value > limit;
}

/**
 * ballast_pressure_now - is it too much at this moment?
 * @p: the guest's pressure
 * @limits: what is too much
 *
 * Return: the graver of the reasons to give memory back, or NONE.
 */
enum ballast_reason ballast_pressure_now(const struct ballast_pressure *p,
					 const struct ballast_pressure_limits *limits)
{
	if (above(p->full_now_bp, limits->full_bp))
		return BALLAST_REASON_PSI_FULL;
	if (above(p->some_now_bp, limits->some_bp))
		return BALLAST_REASON_PSI_SOME;
	if (above(p->swap_in_bytes_per_s, limits->swap_in_bytes_per_s))
		return BALLAST_REASON_SWAP_IN;
	return BALLAST_REASON_NONE;
}

/**
 * ballast_pressure_lasting - was it too much over the last ten seconds?
 * @p: the guest's pressure
 * @limits: what is too much
 *
 * Return: the graver of the reasons not to inflate, or NONE.
 */
enum ballast_reason ballast_pressure_lasting(const struct ballast_pressure *p,
					     const struct ballast_pressure_limits *limits)
{
	if (above(p->full_avg10_bp, limits->full_bp))
		return BALLAST_REASON_PSI_FULL;
	if (above(p->some_avg10_bp, limits->some_bp))
		return BALLAST_REASON_PSI_SOME;
	return BALLAST_REASON_NONE;
}

/**
 * ballast_reason_token - a reason's name, as in sysfs
 * @reason: any
 *
 * Return: a word.
 */
const char *ballast_reason_token(enum ballast_reason reason)
{
	static const char *const tokens[BALLAST_REASON_NR] = {
		[BALLAST_REASON_NONE] = "none",
		[BALLAST_REASON_HOST] = "host",
		[BALLAST_REASON_SELF] = "self",
		[BALLAST_REASON_FLOOR] = "floor",
		[BALLAST_REASON_SHORT] = "short",
		[BALLAST_REASON_PSI_SOME] = "psi_some",
		[BALLAST_REASON_PSI_FULL] = "psi_full",
		[BALLAST_REASON_SWAP_IN] = "swap_in",
		[BALLAST_REASON_OOM] = "oom",
		[BALLAST_REASON_DEVICE] = "device",
	};

	return (unsigned int)reason < BALLAST_REASON_NR ? tokens[reason] : "?";
}
