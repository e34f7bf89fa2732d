#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The disks that other tests swap to (devices.sh): that they keep what is written,
# fail when told to and only then, and leave nothing behind.  For selftests/vm/run.
#
# It needs no ballast, and says nothing about it.

# shellcheck disable=SC2317	# in the whole file: ktap_run calls the functions
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/store/devices.sh
. "$here/devices.sh"

if [ -z "${BALLAST_LAB:-}" ]; then
	echo "1..0 # SKIP needs the lab host (selftests/vm/run)"
	exit 4
fi
# lab_store.sh would show a disk that does not work; this says which, and takes its time
if [ -z "${BALLAST_LAB_DEBUG:-}${BALLAST_TEST_DEVICES:-}" ]; then
	echo "1..0 # SKIP on the stock kernels, unless BALLAST_TEST_DEVICES is set"
	exit 4
fi

scratch=/dev/shm/lab-devices
mib=$((1 << 20))

now_ms()
{
	local t=${EPOCHREALTIME/[.,]/}
	echo "${t%???}"
}

# write_direct PATH / read_direct PATH: a MiB from, to $scratch, past all caches
write_direct()
{
	dd if="$scratch/written" of="$1" bs=64k oflag=direct conv=notrunc,fsync status=none
}

read_direct()
{
	dd if="$1" of="$scratch/read" bs=64k count=16 iflag=direct status=none
}

# new_content: what is written next
new_content()
{
	head -c "$mib" /dev/urandom >"$scratch/written"
}

keeps_content()
{
	new_content
	write_direct "$1"
	read_direct "$1"
	cmp "$scratch/written" "$scratch/read"
}

# fails COMMAND...: with EIO; all else is no pass
fails()
{
	local status=0
	"$@" 2>"$scratch/said" || status=$?
	cat "$scratch/said"
	[ "$status" != 0 ] || { echo "$* worked"; return 1; }
	grep -q 'Input/output error' "$scratch/said"
}

swaps()
{
	mkswap "$1" >/dev/null
	swapon "$1"
	grep -q "^$(readlink -f "$1")[[:space:]]" /proc/swaps
	swapoff "$1"
}

# A test that leaves something behind has failed, whatever it found out.
test_end()
{
	local status=$?
	disk_remove || status=1
	zram_remove || status=1
	exit "$status"
}

disk()
{
	local disk
	trap test_end EXIT
	disk=$(disk_make 16)
	[ "$(blockdev --getsize64 "$disk")" = $((16 * mib)) ]
	keeps_content "$disk"
	swaps "$disk"
}

filesystem()
{
	local dir
	trap test_end EXIT
	dir=$(fs_make 32)
	fallocate -l $((4 * mib)) "$dir/file"
	keeps_content "$dir/file"
	# its blocks are all there before they are written, as a swap file's are
	[ "$(stat -c %b "$dir/file")" -ge $((4 * mib / 512)) ]
}

fails_all()
{
	local disk
	trap test_end EXIT
	disk=$(disk_failing 16)
	keeps_content "$disk"
	disk_fails all
	fails write_direct "$disk"
	fails read_direct "$disk"
	disk_fails nothing
	read_direct "$disk"
	cmp "$scratch/written" "$scratch/read"
	keeps_content "$disk"
}

fails_writes()
{
	local disk
	trap test_end EXIT
	disk=$(disk_failing 16)
	keeps_content "$disk"
	mv "$scratch/written" "$scratch/kept"
	new_content
	disk_fails writes
	fails write_direct "$disk"
	read_direct "$disk"
	cmp "$scratch/kept" "$scratch/read"
	disk_fails nothing
	keeps_content "$disk"
}

fails_reads()
{
	local disk
	trap test_end EXIT
	disk=$(disk_failing 16)
	new_content
	disk_fails reads
	write_direct "$disk"
	fails read_direct "$disk"
	disk_fails nothing
	read_direct "$disk"
	cmp "$scratch/written" "$scratch/read"
}

# Seconds are the kernel's: some of forty tries at 0.25 s work, some do not.
fails_sometimes()
{
	local disk worked=0 failed=0 i
	trap test_end EXIT
	disk=$(disk_failing 16)
	disk_fails sometimes || skip "no dm-flakey"
	for ((i = 0; i < 40; i++)); do
		if read_direct "$disk"; then
			worked=$((worked + 1))
		else
			failed=$((failed + 1))
		fi
		[ "$worked" = 0 ] || [ "$failed" = 0 ] || break
		sleep 0.25
	done
	echo "$worked worked, $failed failed"
	[ "$worked" != 0 ] && [ "$failed" != 0 ]
}

# write_until_error DISK: or for a minute, with a message then.
write_until_error()
{
	local end=$((SECONDS + 60))
	while dd if=/dev/zero of="$1" bs=4k count=64 oflag=direct status=none; do
		[ "$SECONDS" -lt "$end" ] || { echo "no error"; return; }
	done
}

# Somebody writes, again and again, while the disk is changed below.
fails_in_use()
{
	local disk writer
	trap test_end EXIT
	disk=$(disk_failing 16)
	write_until_error "$disk" 2>"$scratch/writer" &
	writer=$!
	sleep 1
	kill -0 "$writer"
	disk_fails writes
	wait "$writer"
	grep 'Input/output error' "$scratch/writer"
	disk_fails nothing
	keeps_content "$disk"
}

# The filesystem's own blocks are spared: they were written when all was well.
fails_below_filesystem()
{
	local disk dir
	trap test_end EXIT
	disk=$(disk_failing 32)
	dir=$(fs_on "$disk")
	keeps_content "$dir/file"
	sync -f "$dir"
	disk_fails reads
	fails read_direct "$dir/file"
	disk_fails nothing
	read_direct "$dir/file"
	cmp "$scratch/written" "$scratch/read"
}

# read_ms DISK: how long eight single blocks take
read_ms()
{
	local start
	start=$(now_ms)
	dd if="$1" of=/dev/null bs=4k count=8 iflag=direct status=none
	echo $(($(now_ms) - start))
}

# Slow is a lower limit.  That it is not slow any more needs a wide one.
delayed()
{
	local disk slow fast
	trap test_end EXIT
	disk=$(disk_delayed 16 300)
	slow=$(read_ms "$disk")
	disk_fails nothing
	fast=$(read_ms "$disk")
	echo "slow: $slow ms, then: $fast ms"
	[ "$slow" -ge 2400 ]
	[ "$fast" -lt 2400 ]
	disk_slow 50
	keeps_content "$disk"
}

zram()
{
	local disk
	trap test_end EXIT
	disk=$(zram_make 16)
	[ "$(blockdev --getsize64 "$disk")" = $((16 * mib)) ]
	keeps_content "$disk"
	swaps "$disk"
}

nothing_left()
{
	local left
	left=$(losetup -a; grep -s "$disks" /proc/mounts; DM_DISABLE_UDEV=1 dmsetup ls | grep ballast || true)
	[ -z "$left" ] || { echo "$left"; return 1; }
}

mkdir -p "$scratch"
trap 'rm -rf "$scratch"' EXIT
ktap_suite store/devices
for test in disk filesystem fails_all fails_writes fails_reads fails_sometimes fails_in_use \
	fails_below_filesystem delayed zram nothing_left; do
	ktap_run $test $test
done
ktap_end
