/* SPDX-License-Identifier: GPL-2.0 */
/* A program of the test's own in the guest. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "commands.h"

#define PROGRAM	"/program"

int program_begin(commands_report *say);

#endif /* PROGRAM_H */
