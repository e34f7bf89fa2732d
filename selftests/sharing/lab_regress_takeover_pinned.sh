#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The last sharer of a frame may keep it without a copy only if nobody else
# holds a reference.  A VM whose page was shared may have the frame in flight,
# for direct I/O or in a pipe; it leaves the share, and what the last sharer
# writes from then on must not be seen there: it is another VM's secret.
#
# A pipe holds the reference here (vmsplice); it stands for all who do.  What
# this cannot prove: the same against a reference taken during the takeover.

# shellcheck disable=SC2317	# in the whole file: ktap_run calls the functions
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/sharing/lib.sh
. "$here/lib.sh"

# shared_pair: a and b share page 0 (id 5)
shared_pair()
{
	trap test_end EXIT
	sharing_stop
	pool_mount p 16m pool
	mapper_start a "$work/p/a" 8
	mapper_start b "$work/p/b" 8
	mapper a write 0 "5*1"
	mapper b write 0 "5*1"
	one_pass
	expect "shared frames" "$(pool p shared_frames)" 1
}

# Prints the page frame number of page 0 of a file.
pfn_of()
{
	dump p | awk -v ino="$(stat -c %i "$work/p/$1")" '$2 == ino && $3 == 0 { print $6 }'
}

# leak PREPARE-B LEAVE-A WRITE-B: requests, as words
# shellcheck disable=SC2086	# they are split
leak()
{
	shared_pair
	[ -z "$1" ] || mapper b $1
	mapper a pin 0 1
	mapper a $2
	mapper b $3 0 "7*1"
	mapper a unpin "5*1"
	mapper b check 0 "7*1"
	mapper b pread 0 "7*1"
	expect "takeovers" "$(pool p takeovers)" 0
}

test_write_of_unmapped_page()
{
	leak "" "write 0 6*1" write
}

# By way of ->page_mkwrite() instead of ->fault()
test_write_of_page_mapped_readonly()
{
	leak "check 0 5*1" "write 0 6*1" write
}

test_write_by_system_call()
{
	leak "" "write 0 6*1" pwrite
}

test_sharer_left_by_punched_hole()
{
	leak "" "punch 0 1" write
}

test_unshared_by_run_2()
{
	shared_pair
	mapper a pin 0 1
	sharing run 2
	mapper a write 0 "6*1"
	mapper b write 0 "7*1"
	mapper a unpin "5*1"
	mapper b check 0 "7*1"
}

test_without_a_pin_nothing_is_copied()
{
	local how before
	for how in "" check; do
		(
			shared_pair
			before=$(pfn_of b)
			mapper a write 0 "6*1"
			[ -z "$how" ] || mapper b check 0 "5*1"
			mapper b write 0 "7*1"
			expect "frame of b after ${how:-nothing}" "$(pfn_of b)" "$before"
			expect "takeovers" "$(pool p takeovers)" 1
		)
	done
}

ktap_suite "takeover of a pinned frame"
lib_start
ktap_run "write of an unmapped page" test_write_of_unmapped_page
ktap_run "write of a page that is mapped read-only" test_write_of_page_mapped_readonly
ktap_run "write by system call" test_write_by_system_call
ktap_run "sharer left by a punched hole" test_sharer_left_by_punched_hole
ktap_run "unshared by run=2" test_unshared_by_run_2
ktap_run "without a pin nothing is copied" test_without_a_pin_nothing_is_copied
ktap_run "module unloads" lib_end
ktap_end
