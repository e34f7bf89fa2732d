// SPDX-License-Identifier: GPL-2.0
/* The one file that makes the tracepoints. */
#include <linux/module.h>

#define CREATE_TRACE_POINTS
#include <trace/events/ballast.h>
