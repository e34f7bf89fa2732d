#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Load, mount, fill until pages are merged, compressed and swapped, unmount, unload; again.
# BALLAST_RELOADS=1000 for a long run.

# shellcheck disable=SC2317	# in the whole file: ktap_run calls the functions
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/sharing/lib.sh
. "$here/../sharing/lib.sh"
# shellcheck source=selftests/store/devices.sh
. "$here/../store/devices.sh"

reloads=${BALLAST_RELOADS:-5}

test_ended()
{
	disk_remove
}

# 2 MiB that compress, 2 MiB that do not, and the first again
make_content()
{
	local i
	for ((i = 0; i < 512; i++)); do
		printf "%04096d" "$i"
	done >"$work/easy"
	head -c 2M /dev/urandom >"$work/hard"
	cat "$work/easy" "$work/hard" "$work/easy" >"$work/content"
}

one_life()
{
	modprobe ballast
	mount -t ballastfs -o "size=3m,sharing=vm,name=r,compress=lz4,swap=$1" none "$work/r"
	flat_out
	cp "$work/content" "$work/r/a"
	cmp "$work/content" "$work/r/a"
	compressed=$((compressed + $(pool r pages_compressed)))
	swapped=$((swapped + $(pool r pages_swapped_out)))
	merged=$((merged + $(sharing pages_merged)))
	umount "$work/r"
	rmmod ballast
	[ ! -e "$root" ]
}

# One may stay under our name when another module's has been merged with it; what has
# objects when it goes the kernel reports.
caches_left()
{
	awk '/^ballast/ { n++ } END { print n + 0 }' /proc/slabinfo
}

test_reload()
{
	trap test_end EXIT
	local disk i caches compressed=0 swapped=0 merged=0
	disk=$(disk_make 16)
	mkdir "$work/r"
	make_content
	rmmod ballast
	caches=$(caches_left)
	for ((i = 0; i < reloads; i++)); do
		one_life "$disk"
	done
	echo "$reloads lives: $compressed pages compressed, $swapped swapped out, $merged merged" |
		tee "$work/figures"
	[ "$compressed" -ge "$reloads" ]
	[ "$swapped" -ge "$reloads" ]
	[ "$merged" -ge "$reloads" ]
	expect "caches left" "$(caches_left)" "$caches"
	expect "users of kvm" "$(awk '$1 == "kvm" { print $3 }' /proc/modules)" "$kvm_users"
	modprobe ballast
}

ktap_suite "reload"
lib_start
[ -e /dev/kvm ] || modprobe kvm_amd
kvm_users=$(awk '$1 == "kvm" { print $3 - 1 }' /proc/modules)
ktap_run "each life is as the first" test_reload
! [ -s "$work/figures" ] || sed 's/^/# /' "$work/figures"
ktap_run "module unloads" lib_end
ktap_end
