#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Everything that users do with guest memory, each against a scanner that runs
# flat out, with all that is read compared to what was written (racer.c).  These
# find what the order of two steps breaks: a mapping of a frame that is not the
# slot's any more, a write lost in a merge, a frame freed twice.
#
#   lab_races.sh [RACE...]	all, or those named (see the end)
#
# Time, not work, is what each gets, on every kernel; how much must have been
# merged for a race to count depends on the kernel.

# shellcheck disable=SC2317	# in the whole file: ktap_run calls the functions
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/sharing/lib.sh
. "$here/lib.sh"
# shellcheck source=selftests/lib/probes.sh
. "$here/../lib/probes.sh"

seconds=${RACE_SECONDS:-4}
only=" $* "
figures=
disk=

# race NAME MIN-MERGED [DIRECTORY]: a tenth of that is asked of the debug kernel
race()
{
	local name=$1 min=$2
	shift 2
	[ "$slow" = 1 ] || min=$((min / 10))
	trap race_end EXIT
	pool_mount r 128m pool
	flat_out
	"$work/racer" "$name" "$work/r" "$seconds" "$min" "$@" >"$work/figures.new" ||
		{ cat "$work/figures.new"; return 1; }
	cat "$work/figures.new" >>"$figures"
	rm -f "$work"/r/*
	wait_until 5 all_given_back || pool r used_bytes
	expect "used_bytes without a file" "$(pool r used_bytes)" 0
	expect "shared_frames without a file" "$(pool r shared_frames)" 0
	expect "sharing_slots without a file" "$(pool r sharing_slots)" 0
	expect "index_full" "$(pool r index_full)" 0
}

# run_race TITLE NAME MIN-MERGED [FUNCTION]
run_race()
{
	if [ "$only" = "  " ] || [[ $only == *" $2 "* ]]; then
		ktap_run "$1" "${4:-race}" "$2" "$3"
	fi
}

all_given_back()
{
	[ "$(pool r used_bytes)" = 0 ]
}

race_end()
{
	local status=$?
	set +e
	if mountpoint -q "$work/disk"; then
		umount "$work/disk" || status=1
	fi
	[ -z "$disk" ] || losetup --detach "$disk"
	test_end "$status"
}

# race_longer NAME MIN-MERGED: what it does meanwhile takes seconds
race_longer()
{
	seconds=$((2 * slow * seconds))
	race "$@"
}

# race_direct NAME MIN-MERGED
race_direct()
{
	modprobe -qa loop ext4 || true
	truncate -s 32m "$work/image"
	mkfs.ext4 -q -O ^has_journal "$work/image"
	mkdir -p "$work/disk"
	# "mount -o loop" keeps the device open: EBUSY without BLK_DEV_WRITE_MOUNTED
	disk=$(losetup --find --show "$work/image")
	mount "$disk" "$work/disk"
	race "$1" "$2" "$work/disk"
}

# race_vms NAME MIN-MERGED: VMMs and guests; a process of its own does the racing
race_vms()
{
	local min=$2
	[ -e /dev/kvm ] || lacks "no /dev/kvm"
	[ "$slow" = 1 ] || min=$((min / 10))
	trap race_end EXIT
	pool_mount r 128m pool
	flat_out
	"$work/vmracer" "$work/r" $((2 * slow * seconds)) "$min" $((300 * slow * slow)) >"$work/figures.new" ||
		{ cat "$work/figures.new"; return 1; }
	sed 's/^/VMs: /' "$work/figures.new" >>"$figures"
	wait_until 5 all_given_back || pool r used_bytes
	expect "used_bytes without a VM" "$(pool r used_bytes)" 0
	expect "shared_frames without a VM" "$(pool r shared_frames)" 0
	expect "sharing_slots without a VM" "$(pool r sharing_slots)" 0
}

kicks_end()
{
	local status=$?
	probes_end
	test_end "$status"
}

# Between the look at pass_min_ms and the sleep the scanner calls ktime_get().
test_kicks()
{
	local scanner
	trap kicks_end EXIT
	scanner=$(pgrep -x ballast_share)
	probe_slow ktime_get "common_pid == $scanner"
	pool_mount r 16m pool
	head -c 4096 /dev/urandom >"$work/r/file"
	flat_out
	"$work/kicker" $((2 * seconds)) >"$work/figures.new" ||
		{ cat "$work/figures.new"; return 1; }
	cat "$work/figures.new" >>"$figures"
}

# a step of either side takes longer there, and a race needs some of both
[ "$slow" = 1 ] || seconds=$((2 * seconds))

ktap_suite "races with the scanner"
lib_start
build "$here/racer.c" "$here/vmracer.c" "$here/kicker.c" || exit 1
figures=$work/figures
run_race "writes" write 1000
run_race "holes punched" punch 1000
run_race "files cut and grown" truncate 1000
run_race "files unlinked and created" create 1000
run_race "parts unmapped and mapped" remap 1000
run_race "mappings moved" mremap 500
run_race "forks, children verify and write" fork 500
run_race "children killed while they write" kill 300
run_race "read() and write()" syscalls 1000
run_race "direct I/O from and to shared pages" direct 100 race_direct
run_race "umount attempted" umount 1000
run_race "run=2 and run=1" run 1000
run_race "sharing=vm and sharing=pool" mode 1000
run_race "the index grows and shrinks" resize 500 race_longer
run_race "VMs write, fork, and are killed" vms 2000 race_vms
if [ "$only" = "  " ] || [[ $only == *" kicks "* ]]; then
	ktap_run "a tunable written as the scanner falls asleep" test_kicks
fi
! [ -s "$figures" ] || sed 's/^/# /' "$figures"
ktap_run "module unloads" lib_end
ktap_end
