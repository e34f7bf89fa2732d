# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Disks in the lab host, for what swaps: in memory, and failing or slow when told to.
# To be sourced.  One disk and one zram at a time; nothing is remembered in variables,
# so that "disk=$(disk_make 48)" can be written.
#
#   disk_make MIB		a block device; prints it
#   disk_failing MIB		one that can be told to fail, or to be slow; prints it
#   disk_delayed MIB MS		the same, slow from the beginning
#   disk_fails WHAT		from now on these requests of it end with EIO: reads,
#				writes (and flushes), all, sometimes (all, in every
#				other second), nothing
#   disk_slow MS [MS]		from now on a read, a write, takes this much longer
#   disk_copy FROM TO		a page of it over another, behind the back of its user
#   disk_remove			whatever there is, what is mounted on it first
#   fs_make MIB			ext4 on a new disk, mounted; prints the directory
#   fs_on DEVICE		ext4 on this one
#   fs_remove			unmounts it; the disk stays
#   zram_make MIB [ALGORITHM]	a compressed disk in memory; prints it
#   zram_bytes			memory that it takes
#   zram_remove
#
# All return 1 if they cannot.  A disk takes memory for what was written to it.  What
# it does can be changed while it is in use: requests that are under way end first (at
# once if they were delayed), new ones wait for the change.

disks=/run/ballast-disk

# Without udev, which is not there: it makes /dev/mapper/ itself, and waits for nobody.
disk_dm()
{
	DM_DISABLE_UDEV=1 dmsetup "$@"
}

# Its own tmpfs: as large as it must be, and never swapped out to the disk in it.
# (Kernels before 6.4 do not know "noswap", where a test has to see to that.)
disk_make()
{
	local device size=$(($1 + 1))
	[ ! -e $disks/loop ] || { echo "disk_make: there is one already" >&2; return 1; }
	mkdir -p $disks/memory || return 1
	mount -t tmpfs -o "size=${size}m,noswap" tmpfs $disks/memory 2>/dev/null ||
		mount -t tmpfs -o "size=${size}m" tmpfs $disks/memory || return 1
	truncate -s "$1M" $disks/memory/backing || return 1
	modprobe -q loop || true
	device=$(losetup -f --show $disks/memory/backing) || return 1
	echo "$device" >$disks/loop
	echo "$device"
}

# disk_table BEHAVIOUR [MS MS]: dm's.  Reads or writes alone fail by way of "delay",
# which can send them to different devices, here to one that fails.  "flakey" could do
# that only from 6.5 on.
disk_table()
{
	local device sectors error=/dev/mapper/ballast-error
	device=$(<$disks/loop) || return 1
	sectors=$(blockdev --getsz "$device") || return 1
	case $1 in
	nothing) echo "0 $sectors linear $device 0" ;;
	all) echo "0 $sectors error" ;;
	reads) echo "0 $sectors delay $error 0 0 $device 0 0" ;;
	writes) echo "0 $sectors delay $device 0 0 $error 0 0" ;;
	sometimes) echo "0 $sectors flakey $device 0 1 1" ;;
	slow) echo "0 $sectors delay $device 0 $2 $device 0 $3" ;;
	*) echo "disk_table: what is '$1'?" >&2; return 1 ;;
	esac
}

# disk_behave BEHAVIOUR [MS MS]
disk_behave()
{
	local table
	table=$(disk_table "$@") || return 1
	disk_dm reload ballast-disk <<<"$table" &&
		disk_dm suspend --noflush --nolockfs ballast-disk &&
		disk_dm resume ballast-disk
}

disk_failing()
{
	local module table
	for module in dm-mod dm-delay dm-flakey; do
		modprobe -q $module || true	# or built in
	done
	disk_make "$1" >/dev/null || return 1
	table=$(disk_table all) || return 1
	disk_dm create ballast-error <<<"$table" >&2 || return 1
	table=$(disk_table nothing) || return 1
	disk_dm create ballast-disk <<<"$table" >&2 || return 1
	echo /dev/mapper/ballast-disk
}

disk_delayed()
{
	disk_failing "$1" && disk_slow "$2"
}

disk_fails()
{
	disk_behave "$1"
}

disk_slow()
{
	disk_behave slow "$1" "${2:-$1}"
}

disk_copy()
{
	dd if=$disks/memory/backing of=$disks/memory/backing bs=4096 count=1 \
		skip="$1" seek="$2" conv=notrunc status=none
}

disk_remove()
{
	local name failed=0
	fs_remove || failed=1
	for name in ballast-disk ballast-error; do
		[ ! -e /dev/mapper/$name ] || disk_dm remove --retry $name || failed=1
	done
	[ ! -e $disks/loop ] || losetup -d "$(<$disks/loop)" || failed=1
	# the loop device lets go of its file a moment later
	! mountpoint -q $disks/memory || umount -l $disks/memory || failed=1
	rm -f $disks/loop
	return $failed
}

fs_on()
{
	modprobe -q ext4 || true
	mkfs.ext4 -q -F "$1" >&2 || return 1
	mkdir -p $disks/fs || return 1
	mount -t ext4 "$1" $disks/fs || return 1
	echo $disks/fs
}

fs_make()
{
	local device
	device=$(disk_make "$1") && fs_on "$device"
}

fs_remove()
{
	! mountpoint -q $disks/fs || umount $disks/fs
}

zram_make()
{
	local number
	modprobe -q zram || true
	number=$(cat /sys/class/zram-control/hot_add) || return 1
	mkdir -p $disks || return 1
	echo "$number" >$disks/zram
	[ $# = 1 ] || echo "$2" >"/sys/block/zram$number/comp_algorithm" || return 1
	echo "$1M" >"/sys/block/zram$number/disksize" || return 1
	echo "/dev/zram$number"
}

zram_bytes()
{
	awk '{ print $3 }' "/sys/block/zram$(<$disks/zram)/mm_stat"
}

zram_remove()
{
	local number
	[ -e $disks/zram ] || return 0
	number=$(<$disks/zram)
	echo "$number" >/sys/class/zram-control/hot_remove || return 1
	rm -f $disks/zram
}
