// SPDX-License-Identifier: GPL-2.0
/*
 * A remount that a signal ends.
 *
 *	interrupt MOUNTPOINT OPTIONS
 *
 * Signals come every millisecond, so that the first one is there long before
 * the remount has made thousands of pages private.  It must return EINTR.
 */
#include <sys/mount.h>
#include <sys/time.h>

#include "lib/selftest.h"

static void ignore_signal(int signal)
{
	(void)signal;
}

int main(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = ignore_signal };
	struct itimerval often = { { 0, 1000 }, { 0, 1000 } };

	CHECK(argc == 3);
	CHECK(!sigaction(SIGALRM, &action, NULL));
	CHECK(!setitimer(ITIMER_REAL, &often, NULL));
	CHECK_FAILS(mount("none", argv[1], "ballastfs", MS_REMOUNT, argv[2]), EINTR);
	return 0;
}
