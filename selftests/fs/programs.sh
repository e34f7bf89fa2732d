# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Cases of the C programs that need more than a pool: a disk, the log, the
# scanner at work.

# shellcheck source=selftests/fs/common.sh
. "${BASH_SOURCE[0]%/*}/common.sh"

test_private_mapping_logs()
{
	local before
	before=$(dmesg_lines 'MAP_PRIVATE of .*share=on')
	program mappings private_refused
	equal "$(dmesg_lines 'MAP_PRIVATE of .*share=on')" $((before + 2)) "lines in the log"
	dmesg | grep 'MAP_PRIVATE of' | tail -n 1 | grep -q "private refused: use share=on"
}

# A filesystem on a block device, for direct I/O; a tmpfs would only pretend.
mount_disk()
{
	local device
	modprobe -q loop || true
	modprobe -q ext4 || true
	grep -q ext4 /proc/filesystems || lacks "no ext4"
	truncate -s 32M $work/scratch/disk
	mkfs.ext4 -q -O ^has_journal $work/scratch/disk
	mkdir -p $work/disk
	device=$(losetup -f --show $work/scratch/disk) || lacks "no loop device"
	mount -t ext4 "$device" $work/disk
	losetup -d "$device"	# when it is unmounted
}

test_direct()
{
	mount_disk
	program mappings "$1" $work/disk/file
}

test_direct_while_sharing()
{
	mount_disk
	mount_pool s size=16m,sharing=pool
	flat_out
	BALLAST_TEST_POOL=s "$bin/mappings" direct_rounds $work/s $work/disk/file $((300 / scale))
	pool_has s pages_merged 1
	pool_has s pages_zeroed 1
}

# content_under OPERATIONS SEED MODE: random operations while the scanner runs
content_under()
{
	mount_pool s "size=16m,sharing=$3"
	flat_out
	# a second file, so that pages are shared between two
	dd if=/dev/zero of=$work/s/zeroes bs=1M count=1 status=none
	BALLAST_TEST_POOL=s "$bin/content" random $work/s $(($1 / scale)) "$2"
	for n in pages_scanned pages_merged pages_zeroed cow_breaks takeovers skipped_pinned skipped_busy; do
		echo "$n $(pool s $n)"
	done
	pool_has s pages_merged 1
	pool_has s pages_zeroed 1
	pool_has s cow_breaks 1
	rm $work/s/zeroes
	pool_must s used_bytes 0
	pool_must s shared_frames 0
	umount_pool s
}

test_race_while_sharing()
{
	mount_pool s size=16m,sharing=pool
	flat_out
	BALLAST_TEST_POOL=s "$bin/users" "$1" $work/s $((3000 / (scale > 1 ? 2 : 1)))
	umount_pool s
}

# An error that says so, nothing done, and again as soon as the page is gone.
test_poison_shared()
{
	local status=0
	mount_pool s size=16m,sharing=vm
	flat_out
	BALLAST_TEST_POOL=s "$bin/poison" shared $work/s || status=$?
	[ $status != 4 ] || exit 4
	equal $status 0 "status"
	echo 0 >$sys/sharing/run
	fails command mount -o remount,sharing=off $work/s
	pool_must s sharing vm
	pool_must s sharing_slots 2
	fails eval "echo 2 >$sys/sharing/run"
	grep -q 'Input/output error' $work/fails
	reads $sys/sharing/run 0
	fallocate --punch-hole --offset 0 --length 16384 $work/s/poison-shared
	pool_must s used_bytes 0
	pool_must s shared_frames 0
	mount -o remount,sharing=off $work/s
	umount_pool s
}
