#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Allocations that fail, on the debug kernel: each of a mount and of other calls in turn,
# and at random those of the reclaim thread.  Nothing is lost, nothing is left behind.

# shellcheck disable=SC2317	# in the whole file: ktap_run calls the functions
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/sharing/lib.sh
. "$here/../sharing/lib.sh"
# shellcheck source=selftests/store/devices.sh
. "$here/devices.sh"
# shellcheck source=selftests/lib/faults.sh
. "$here/../lib/faults.sh"

soft=1000000000

test_ended()
{
	faults_end
	fs_remove
	disk_remove
}

each_of_a_mount()
{
	trap test_end EXIT
	local disk compressor step=1
	disk=$(disk_make 16)
	mkdir -p "$work/p"
	for compressor in lz4 zstd lzo; do
		# what it allocates is mostly the same
		[ "$compressor" != lzo ] || step=7
		"$work/fail-nth" mount "$work/p" \
			"size=8m,name=p,compress=$compressor,swap=$disk" "$step"
	done
	if mountpoint -q "$work/p"; then
		return 1
	fi
	expect "mounts left" "$(ls "$root/pools")" host
	# all is well afterwards
	pool_mount p 8m off "swap=$disk"
	"$work/fail-nth" create "$work/p"
	"$work/fail-nth" remount "$work/p" "size=9m,name=p,sharing=pool,swap=$disk"
	truncate -s $((500 * 4096)) "$work/p/b"
	"$work/fail-nth" allocate "$work/p/b" 500
	expect "used_bytes, all cut off again" "$(pool p used_bytes)" 0
}

# the end of each: no page lost, no memory kept
nothing_lost_or_kept()
{
	expect pages_lost "$(pool p pages_lost)" 0
	mapper_stop a
	rm "$work/p/a"
	expect used_bytes "$(pool p used_bytes)" 0
	expect swap_free_bytes "$(pool p swap_free_bytes)" "$(pool p swap_size_bytes)"
}

each_of_a_touch()
{
	trap test_end EXIT
	local disk
	disk=$(disk_make 64)
	pool_mount p 8m off "swap=$disk"
	mapper_start a "$work/p/a" 6000
	mapper a write 0 1+3000 "$soft+3000"
	"$work/fail-nth" touch "$work/p/a" 6000
	"$work/fail-nth" read "$work/p/a" 6000
	"$work/fail-nth" write "$work/p/a" 6000
	"$work/fail-nth" punch "$work/p/a" 6000
	"$work/fail-nth" map "$work/p/a" 6000
	mapper a check 0 1+3000 "$soft+3000"
	nothing_lost_or_kept
}

# The first of the reclaim thread's allocations from now on fails, then the second, and
# so on: entries, room in zsmalloc, what a batch's writing takes.
each_of_reclaim()
{
	trap test_end EXIT
	local disk thread nth at=0
	disk=$(disk_make 64)
	pool_mount p 8m off "swap=$disk"
	mapper_start a "$work/p/a" 6000
	mapper a write 0 1+3000 "$soft+3000"
	thread=/proc/$(pgrep -x ballast_reclaim)/fail-nth
	for ((nth = 1; nth <= 50; nth++)); do
		echo "$nth" >"$thread"
		wait_until 20 reclaim_has_failed
	done
	mapper a check 0 1+3000 "$soft+3000"
	nothing_lost_or_kept
}

# Without a swap file: what cannot be stored stays.
each_of_reclaim_without_swap()
{
	trap test_end EXIT
	local thread nth at=0
	pool_mount p 8m off compress=lz4
	echo 5000 >"$root/pools/p/compressed_max_bp"
	mapper_start a "$work/p/a" 6000
	mapper a write 0 "$soft+4000"
	thread=/proc/$(pgrep -x ballast_reclaim)/fail-nth
	for ((nth = 1; nth <= 30; nth++)); do
		echo "$nth" >"$thread"
		wait_until 20 reclaim_of_soft_has_failed
	done
	mapper a check 0 "$soft+4000"
	nothing_lost_or_kept
}

reclaim_of_soft_has_failed()
{
	at=$(((at + 200) % 3900))
	mapper a write "$at" "$((soft + at))+100"
	[ "$(attribute "$thread")" = 0 ]
}

# The same pages again, half of which compress, bring others to the store.
reclaim_has_failed()
{
	at=$(((at + 100) % 2900))
	mapper a write "$at" "$((at + 1))+100"
	mapper a write $((at + 3000)) "$((soft + at))+100"
	[ "$(attribute "$thread")" = 0 ]
}

some_of_reclaim()
{
	trap test_end EXIT
	local disk thread percent kind failed
	disk=$(disk_make 64)
	sharing run 1
	pool_mount p 8m pool "swap=$disk"
	mapper_start a "$work/p/a" 6000
	for thread in $(pgrep ballast_reclaim) $(pgrep ballast_share); do
		echo 1 >"/proc/$thread/make-it-fail"
	done
	echo 1000000000 | tee "$faults"/{failslab,fail_page_alloc}/times
	for percent in 10 50 90; do
		faults_at_random "$percent"
		mapper a write 0 "$percent"1+3000 "$((soft + percent))+3000"
		mapper a check 0 "$percent"1+3000 "$((soft + percent))+3000"
	done
	faults_at_random 0
	for kind in failslab fail_page_alloc; do
		failed=$((1000000000 - $(attribute "$faults/$kind/times")))
		echo "$kind: $failed allocations of reclaim and the scanner failed"
		[ "$failed" -ge 100 ]
		echo -1 >"$faults/$kind/times"
	done
	mapper a check 0 901+3000 "$((soft + 90))+3000"
	nothing_lost_or_kept
}

ktap_suite "store, allocations failing"
faults_needed
lib_start
sharing_stop
build "$here/fail-nth.c" || exit 1
faults_begin || exit 1
for test in each_of_a_mount each_of_a_touch each_of_reclaim each_of_reclaim_without_swap some_of_reclaim; do
	ktap_run "$test" "$test"
done
ktap_run "module unloads" lib_end
ktap_end
