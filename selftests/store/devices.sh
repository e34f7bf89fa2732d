# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Disks to swap to, in the lab: loop devices on files in memory.  One at a time.
#
#   disk_make MIB	a block device; prints it
#   disk_failing MIB	one that can be made to fail; prints it
#   disk_fails all|nothing	from now on every request of it fails, or none
#   fs_make MIB		ext4 on such a device, mounted; prints where
#   fs_remove		unmounts it
#   disk_remove		whatever there is

disks=/run/ballast-disk

disk_make()
{
	local device
	mkdir -p $disks
	truncate -s "$1M" $disks/backing
	modprobe -q loop || true
	device=$(losetup -f --show $disks/backing) || return 1
	echo "$device" >$disks/loop
	echo "$device"
}

failing_table()
{
	local device sectors
	device=$(<$disks/loop)
	sectors=$(blockdev --getsz "$device")
	case $1 in
	all) echo "0 $sectors error" ;;
	nothing) echo "0 $sectors linear $device 0" ;;
	esac
}

disk_failing()
{
	modprobe -q dm-mod || true
	disk_make "$1" >/dev/null || return 1
	failing_table nothing | dmsetup create --noudevsync --noudevrules ballast-disk || return 1
	dmsetup mknodes ballast-disk
	touch $disks/dm
	echo /dev/mapper/ballast-disk
}

disk_fails()
{
	failing_table "$1" | dmsetup reload ballast-disk &&
		dmsetup suspend --noflush --noudevsync ballast-disk &&
		dmsetup resume --noudevsync ballast-disk
}

fs_make()
{
	local device
	device=$(disk_make "$1") || return 1
	modprobe -q ext4 || true
	mkfs.ext4 -q "$device" >&2 || return 1
	mkdir -p $disks/fs
	mount -t ext4 "$device" $disks/fs || return 1
	echo $disks/fs
}

fs_remove()
{
	! mountpoint -q $disks/fs || umount $disks/fs
}

disk_remove()
{
	[ ! -e $disks/dm ] || dmsetup remove --noudevsync ballast-disk
	[ ! -e $disks/loop ] || losetup -d "$(<$disks/loop)"
	rm -rf $disks
}
