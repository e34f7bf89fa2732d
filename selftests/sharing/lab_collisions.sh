#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Pages of one hash and different content: each costs one compare, until it hashes
# differently, and nothing is ever shared by its hash alone.  The hash is weakened for
# that (modules/weak_hash.c): the first byte of a page, its class here, is all it sees.

# shellcheck disable=SC2317	# in the whole file: ktap_run calls the functions
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/sharing/lib.sh
. "$here/lib.sh"

page=4096

begin()
{
	trap test_end EXIT
	sharing_stop
	pool_mount p 4m pool
	: >"$work/wanted"
}

# put PAGE CLASS FILL: a class and a fill are a letter each
put()
{
	local file
	for file in "$work/p/a" "$work/wanted"; do
		{ printf %s "$2"; head -c $((page - 1)) /dev/zero | tr '\0' "$3"; } |
			dd of="$file" bs="$page" seek="$1" conv=notrunc iflag=fullblock status=none
	done
}

# after_pass FALSE-MATCHES FRAMES SLOTS: in all, and what is shared
after_pass()
{
	one_pass
	expect "false_matches" "$(pool p false_matches)" "$1"
	expect "shared_frames" "$(pool p shared_frames)" "$2"
	expect "sharing_slots" "$(pool p sharing_slots)" "$3"
	cmp "$work/p/a" "$work/wanted"
}

# traced REASON: skips for it since the trace was emptied
traced()
{
	grep -c "ballast_skip: .*reason=$1\$" /sys/kernel/tracing/trace || true
}

trace_end()
{
	local status=$?
	echo 0 >/sys/kernel/tracing/events/ballast/ballast_skip/enable
	test_end "$status"
}

test_of_a_hint()
{
	begin
	trap trace_end EXIT
	[ -e /sys/kernel/tracing/trace ] || mount -t tracefs none /sys/kernel/tracing
	echo >/sys/kernel/tracing/trace
	echo 1 >/sys/kernel/tracing/events/ballast/ballast_skip/enable
	local i fills=bcdefgh
	for ((i = 0; i < 7; i++)); do
		put "$i" A "${fills:i:1}"
	done
	after_pass 6 0 0
	expect "false matches in the trace" "$(traced false-match)" 6
	# known to be in vain
	after_pass 6 0 0
	after_pass 6 0 0
	# it has changed, and its hash says no such thing
	put 3 A x
	after_pass 6 0 0
	# now it does: tried, and like no other
	put 3 B y
	after_pass 6 0 0
	# one that was ineligible finds that
	put 5 B y
	after_pass 6 1 2
	# ineligible is who was compared, not who was there first
	put 8 A b
	after_pass 6 2 4
}

test_of_a_shared_frame()
{
	begin
	put 0 A b
	put 1 A b
	put 2 A c
	after_pass 1 1 2
	after_pass 1 1 2
	put 3 A d
	after_pass 2 1 2
	put 4 A b
	after_pass 2 1 3
	# who only looked at it holds no share of it
	for i in 0 1 4; do
		put "$i" "C" "$i"
	done
	expect "shared_frames without a sharer" "$(pool p shared_frames)" 0
	expect "used_bytes" "$(pool p used_bytes)" $((5 * page))
	cmp "$work/p/a" "$work/wanted"
}

# Many of two contents that throw out each other's hints: all find their like.
test_two_contents()
{
	begin
	local i
	for ((i = 0; i < 16; i++)); do
		if ((i % 2)); then put "$i" A b; else put "$i" A c; fi
	done
	one_pass
	cmp "$work/p/a" "$work/wanted"
	expect_range "false_matches" "$(pool p false_matches)" 1 15
	expect_range "sharing_slots" "$(pool p sharing_slots)" 2 16
	i=$(pool p false_matches)
	one_pass
	one_pass
	expect "false_matches later" "$(pool p false_matches)" "$i"
	cmp "$work/p/a" "$work/wanted"
}

# It is built with ballast.ko, and all kernels of the lab have kretprobes.
load()
{
	modprobe ballast_weak_hash || lacks "no ballast_weak_hash.ko, or no kretprobes"
}

unload()
{
	rmmod ballast_weak_hash
	lib_end
}

lib_start
ktap_suite "pages that collide"
ktap_run "the module that weakens the hash loads" load
ktap_run "of a hint: one compare, until the page changes" test_of_a_hint
ktap_run "of a shared frame: one compare, and no share taken" test_of_a_shared_frame
ktap_run "two contents of one hash" test_two_contents
ktap_run "modules unload" unload
ktap_end
