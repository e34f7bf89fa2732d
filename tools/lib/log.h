/* SPDX-License-Identifier: GPL-2.0 */
/* What a tool says: to the journal with a level, to a terminal as a line. */
#ifndef BALLAST_TOOLS_LOG_H
#define BALLAST_TOOLS_LOG_H

#include <stdbool.h>

/* the numbers of syslog(3), which the journal reads from "<N>" */
enum ballast_log_level {
	BALLAST_LOG_ERROR = 3,
	BALLAST_LOG_WARNING = 4,
	BALLAST_LOG_NOTICE = 5,
	BALLAST_LOG_INFO = 6,
	BALLAST_LOG_DEBUG = 7,
};

void ballast_log_open(const char *name, enum ballast_log_level level);
void ballast_log(enum ballast_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#define log_error(...)		ballast_log(BALLAST_LOG_ERROR, __VA_ARGS__)
#define log_warning(...)	ballast_log(BALLAST_LOG_WARNING, __VA_ARGS__)
#define log_notice(...)		ballast_log(BALLAST_LOG_NOTICE, __VA_ARGS__)
#define log_info(...)		ballast_log(BALLAST_LOG_INFO, __VA_ARGS__)
#define log_debug(...)		ballast_log(BALLAST_LOG_DEBUG, __VA_ARGS__)

#endif /* BALLAST_TOOLS_LOG_H */
