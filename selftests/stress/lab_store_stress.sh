#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Merge, break, punch, truncate, compress, swap and fault against each other, in a
# pool of 12 MiB for 30 MiB of pages, each of them with a checksum (store-stress.c), and
# a VM beside it in the same pool, whose guest checks each page that it has.  Then again where
# most of the pages are like some other.
# BALLAST_STRESS_STORE_CYCLES=1000000 for a long run, which then has no limit in time.

# shellcheck disable=SC2317	# in the whole file: ktap_run calls the functions
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/sharing/lib.sh
. "$here/../sharing/lib.sh"
# shellcheck source=selftests/store/devices.sh
. "$here/../store/devices.sh"

figures=

test_ended()
{
	disk_remove
}

# The figures as they come, for a run of hours; the whole output if it is watched.
stress()
{
	"$work/store-stress" "$@" | tee -a "$figures"
	return "${PIPESTATUS[0]}"
}

vm_start()
{
	[ -e /dev/kvm ] || modprobe kvm_amd
	mkfifo "$work/vm.in" "$work/vm.out"
	# the others' turns on the CPU are what is measured
	"$work/minivm" --guest load --memory 8 --nice 10 --backing "file:$work/s/vm" \
		<"$work/vm.in" >"$work/vm.out" 2>"$work/vm.err" &
	echo $! >"$work/vm.pid"
	exec {vm_in}>"$work/vm.in"
	exec {vm_out}<"$work/vm.out"
	read -r line <&"$vm_out"
	[ "${line%% *}" = ready ] || { cat "$work/vm.err"; return 1; }
	vm write 4
	vm touch 100
}

# vm REQUEST...: its answer in $answer
vm()
{
	echo "$*" >&"$vm_in"
	read -ra answer <&"$vm_out" || { echo "the VM has died: $(<"$work/vm.err")"; return 1; }
}

# What it has read is what it had written; it went on all the time.
vm_end()
{
	vm load
	figure "the VM beside: ${answer[1]} passes, ${answer[2]} pages checked, ${answer[3]} wrong"
	[ "${answer[2]}" -ge 100 ]
	expect "pages wrong in the VM" "${answer[3]}" 0
	echo exit >&"$vm_in"
	wait "$(<"$work/vm.pid")" || true
	rm -f "$work"/vm.*
}

figure()
{
	echo "$*" >>"$figures"
}

empty_pool()
{
	local name
	for name in used_bytes private_bytes shared_frames sharing_slots store_bytes \
		compressed_bytes swapped_bytes; do
		expect "$name without a file" "$(pool s "$name")" 0
	done
	expect "swap_free_bytes without a file" "$(pool s swap_free_bytes)" \
		"$(pool s swap_size_bytes)"
}

# all_at_once SECONDS [CONTENTS], see store-stress.c
all_at_once()
{
	local min=100 seconds=$1 disk line answer vm_in vm_out
	[ "$slow" = 1 ] || min=10
	[ -z "${BALLAST_STRESS_STORE_CYCLES:-}" ] || seconds=0
	trap test_end EXIT
	disk=$(disk_make 40)
	pool_mount s 12m pool "compress=lz4,swap=$disk"
	vm_start
	flat_out
	stress "$work/s" "${BALLAST_STRESS_STORE_CYCLES:-100000000}" "$seconds" "$min" \
		$((60 * slow)) "${@:2}"
	vm_end
	expect pages_lost "$(pool s pages_lost)" 0
	expect swap_write_errors "$(pool s swap_write_errors)" 0
	mount -o remount,size=12m "$work/s"
	rm "$work"/s/*
	empty_pool
}

test_stress()
{
	all_at_once 20
}

# More contents that many pages have than the pool has frames
test_shared()
{
	all_at_once 12 3200
}

ktap_suite "store-stress"
lib_start
build "$here/store-stress.c" "$here/../kvm/minivm.c" || exit 1
figures=$work/figures
ktap_run "all at once" test_stress
ktap_run "mostly shared" test_shared
! [ -s "$figures" ] || sed 's/^/# /' "$figures"
ktap_run "module unloads" lib_end
ktap_end
