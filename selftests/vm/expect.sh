# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What tests in the lab expect, and wait for; to be sourced.
#
#   attribute FILE		prints its line
#   expect WHAT FOUND WANTED	equal numbers or words
#   expect_range WHAT FOUND MIN MAX
#   refute WHAT COMMAND...	it must fail
#   wait_until SECONDS COMMAND...	until it succeeds; fails when it never does

slow=1
[ -z "${BALLAST_LAB_DEBUG:-}" ] || slow=4

# Without a process for each number: they are dear in an emulated host.
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

# Tenths of a second, twice as many on the debug kernel.
wait_until()
{
	local tries=$(($1 * 10 * slow))
	shift
	while ! "$@"; do
		[ $((tries--)) -gt 0 ] || return 1
		sleep 0.1
	done
}
