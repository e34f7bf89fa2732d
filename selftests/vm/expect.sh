# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What tests in the lab expect, and wait for; to be sourced.
#
#   attribute FILE		prints its line
#   expect WHAT FOUND WANTED	equal numbers or words
#   expect_range WHAT FOUND MIN MAX
#   refute WHAT COMMAND...	it must fail
#   dmesg_lines PATTERN		how many the kernel log has
#   nap SECONDS		a sleep without a process
#   wait_until SECONDS COMMAND...	until it succeeds; fails when it never does

# A process for nothing is dear in an emulated host: on the debug kernel, while VMs
# run, seconds.  So numbers are read without one, and a wait is a read of a pipe that
# nobody writes to.
exec {expect_nothing}<> <(:)

slow=1
[ -z "${BALLAST_LAB_DEBUG:-}" ] || slow=4

attribute()
{
	local value
	read -r value <"$1" && echo "$value"
}

expect()
{
	[ "$2" = "$3" ] || { echo "$1: $2, expected $3"; return 1; }
}

expect_range()
{
	if [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then
		echo "$1: $2, expected $3 to $4"
		return 1
	fi
}

refute()
{
	local what=$1
	shift
	if "$@" 2>/dev/null; then
		echo "$what: was not refused"
		return 1
	fi
}

dmesg_lines()
{
	dmesg | grep -c -- "$1" || true
}

nap()
{
	read -r -t "$1" _ <&"$expect_nothing" || true
}

# Twice the seconds, for the host may be busy; four times that on the debug kernel.
wait_until()
{
	local tries=$(($1 * 20 * slow))
	shift
	while ! "$@"; do
		[ $((tries--)) -gt 0 ] || return 1
		nap 0.1
	done
}
