/* SPDX-License-Identifier: GPL-2.0 */
#ifndef GUEST_COMMANDS_H
#define GUEST_COMMANDS_H

/* Prints one line to the console, after the guest's name. */
typedef void commands_report(const char *format, ...);

int commands_load(const char *file, const char *parameters);
int commands_begin(commands_report *report);

#endif
