/* SPDX-License-Identifier: GPL-2.0 */
/* Tracepoints: what happens to a guest page, and why something did not. */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ballast

#if !defined(_TRACE_BALLAST_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_BALLAST_H

#include <linux/tracepoint.h>

/*
 * ballast_share: a private page became shared (pfn: the shared frame), or a
 * hole because it was all zero (pfn 0).
 */
TRACE_EVENT(ballast_share,
	TP_PROTO(u32 map, unsigned long pgoff, unsigned long pfn),
	TP_ARGS(map, pgoff, pfn),
	TP_STRUCT__entry(
		__field(u32, map)
		__field(unsigned long, pgoff)
		__field(unsigned long, pfn)
	),
	TP_fast_assign(
		__entry->map = map;
		__entry->pgoff = pgoff;
		__entry->pfn = pfn;
	),
	TP_printk("map=%u page=%lu pfn=%lu", __entry->map, __entry->pgoff,
		  __entry->pfn)
);

/*
 * ballast_break: a shared page became private, by a write, run=2 or a narrower
 * sharing mode; took_over: without a copy.
 */
TRACE_EVENT(ballast_break,
	TP_PROTO(u32 map, unsigned long pgoff, bool took_over),
	TP_ARGS(map, pgoff, took_over),
	TP_STRUCT__entry(
		__field(u32, map)
		__field(unsigned long, pgoff)
		__field(bool, took_over)
	),
	TP_fast_assign(
		__entry->map = map;
		__entry->pgoff = pgoff;
		__entry->took_over = took_over;
	),
	TP_printk("map=%u page=%lu took_over=%d", __entry->map, __entry->pgoff,
		  __entry->took_over)
);

#ifndef _BALLAST_SKIP_ENUM
#define _BALLAST_SKIP_ENUM
/* enum ballast_skip - why a page that could have been shared was not */
enum ballast_skip {
	BALLAST_SKIP_PINNED,
	BALLAST_SKIP_BUSY,
	BALLAST_SKIP_FALSE_MATCH,
	BALLAST_SKIP_VOLATILE,
	BALLAST_SKIP_WRITTEN,
};
#endif

TRACE_DEFINE_ENUM(BALLAST_SKIP_PINNED);
TRACE_DEFINE_ENUM(BALLAST_SKIP_BUSY);
TRACE_DEFINE_ENUM(BALLAST_SKIP_FALSE_MATCH);
TRACE_DEFINE_ENUM(BALLAST_SKIP_VOLATILE);
TRACE_DEFINE_ENUM(BALLAST_SKIP_WRITTEN);

/* ballast_skip: the scanner left a page as it is. */
TRACE_EVENT(ballast_skip,
	TP_PROTO(u32 map, unsigned long pgoff, enum ballast_skip reason),
	TP_ARGS(map, pgoff, reason),
	TP_STRUCT__entry(
		__field(u32, map)
		__field(unsigned long, pgoff)
		__field(int, reason)
	),
	TP_fast_assign(
		__entry->map = map;
		__entry->pgoff = pgoff;
		__entry->reason = reason;
	),
	TP_printk("map=%u page=%lu reason=%s", __entry->map, __entry->pgoff,
		  __print_symbolic(__entry->reason,
			{ BALLAST_SKIP_PINNED, "pinned" },
			{ BALLAST_SKIP_BUSY, "busy" },
			{ BALLAST_SKIP_FALSE_MATCH, "false-match" },
			{ BALLAST_SKIP_VOLATILE, "volatile" },
			{ BALLAST_SKIP_WRITTEN, "written" }))
);

#endif /* _TRACE_BALLAST_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH trace/events
#define TRACE_INCLUDE_FILE ballast
#include <trace/define_trace.h>
