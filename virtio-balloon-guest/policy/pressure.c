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
 * ballast_own_wait_note - the driver waited for memory
 * @own: updated
 * @waited_us: how long, since the last look
 * @elapsed_ms: how long that is
 */
void ballast_own_wait_note(struct ballast_own_wait *own, u64 waited_us, u64 elapsed_ms)
{
	/* of a longer time than this nothing is left of what was before */
	const u64 weight_ms = ballast_min(elapsed_ms, 3600000);

	own->now_bp = ballast_pressure_share_bp(0, waited_us, elapsed_ms);
	own->avg10_bp = (u32)((own->avg10_bp * 10000ULL + own->now_bp * weight_ms) /
			      (10000 + weight_ms));
}

/**
 * ballast_pressure_without_own - what is left is the guest's
 * @p: changed
 * @own: what the driver waited
 */
void ballast_pressure_without_own(struct ballast_pressure *p, const struct ballast_own_wait *own)
{
	p->some_now_bp = (u32)ballast_less(p->some_now_bp, own->now_bp);
	p->full_now_bp = (u32)ballast_less(p->full_now_bp, own->now_bp);
	p->some_avg10_bp = (u32)ballast_less(p->some_avg10_bp, own->avg10_bp);
	p->full_avg10_bp = (u32)ballast_less(p->full_avg10_bp, own->avg10_bp);
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
