#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Thousands of merges and breaks with a writer in every phase of both, and a
# checksum over each page (ballast-stress.c).  BALLAST_STRESS_BREAKS=1000000
# for a long run, which then has no limit in time.

# shellcheck disable=SC2317	# in the whole file: ktap_run calls the functions
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/sharing/lib.sh
. "$here/../sharing/lib.sh"

figures=

test_stress()
{
	local min=1000 seconds=20
	[ "$slow" = 1 ] || min=100
	[ -z "${BALLAST_STRESS_BREAKS:-}" ] || seconds=0
	trap test_end EXIT
	pool_mount s 64m pool
	flat_out
	"$work/ballast-stress" "$work/s" "${BALLAST_STRESS_BREAKS:-20000}" \
		"$seconds" "$min" >"$figures"
	expect "index_full" "$(pool s index_full)" 0
	rm "$work"/s/*
	expect "used_bytes without a file" "$(pool s used_bytes)" 0
	expect "shared_frames without a file" "$(pool s shared_frames)" 0
}

ktap_suite "stress"
lib_start
build "$here/ballast-stress.c" || exit 1
figures=$work/figures
ktap_run "merge and break" test_stress
! [ -s "$figures" ] || sed 's/^/# /' "$figures"
ktap_run "module unloads" lib_end
ktap_end
