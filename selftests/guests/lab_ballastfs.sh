#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2317,SC2086,SC2231	# ktap_run calls the functions; paths are plain
#
# Real guests on ballastfs, as an admin would run them: they share, balloon,
# report free pages, use disks with cache=none, are saved and restored, and check
# all their memory throughout while the scanner works.  What runs in them is
# vm/guest/init.c.  Proves nothing about how fast any of it is.

here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/vm/guests.sh
. "$here/../vm/guests.sh"

dir=/run/ballast-guests-test
pool=/sys/kernel/ballast/pools/guests
sharing=/sys/kernel/ballast/sharing
work=seed=7,identical=12,unique=6,zero=8,hot=4,dirty=20
memory=128
balloon=()
# The debug kernel takes six minutes to boot a guest: two of them for all tests,
# with less memory and less to do; the second has the balloon.
debug=${BALLAST_LAB_DEBUG:-}
if [ -n "$debug" ]; then
	work=seed=7,identical=6,unique=2,zero=4,hot=2,dirty=5
	memory=104
	balloon=(--qemu-arg -device --qemu-arg virtio-balloon-pci)
fi

# file_bytes GUEST KIND: private, shared or zero bytes of a guest's memory
file_bytes()
{
	local d
	for d in $pool/files/*; do
		if [ "$(cat "$d/name" 2>/dev/null)" = "$1" ]; then
			cat "$d/$2_bytes"
			return
		fi
	done
	echo "no file of guest $1" >&2
	return 1
}

# wait_until SECONDS COMMAND...: until it succeeds
wait_until()
{
	guests_wait_until "$@" && return
	shift
	echo "waited in vain: $*"
	return 1
}

less_than()	{ [ "$(file_bytes "$1" "$2")" -lt "$3" ]; }
at_least()	{ [ "$(file_bytes "$1" "$2")" -ge "$3" ]; }

# guest_start_two OPTION...: the guest with a disk
guest_start_two()
{
	guest_start two --memory $memory --backing file:$dir --workload "$work,disk=1" \
		--qemu-arg -drive --qemu-arg file=$disk,if=none,id=d,format=raw,cache=none,aio=threads \
		--qemu-arg -device --qemu-arg virtio-blk-pci,drive=d "${balloon[@]}" "$@"
}

test_guests_run()
{
	guest_start one --memory $memory --backing file:$dir --workload "$work"
	guest_start_two --prealloc
	guest_wait_ready one 200
	guest_wait_ready two 200
	guest_verify one
	guest_verify two
}

test_they_share()
{
	# 12 MiB alike by the workload, and as much again of kernel
	wait_until 90 at_least one shared $((16 << 20))
	wait_until 90 at_least two shared $((16 << 20))
	[ "$(cat $pool/saved_bytes)" -ge $((24 << 20)) ]
	guest_verify one
	guest_verify two
	[ "$(cat $pool/cow_breaks)" -gt 0 ]
}

test_prealloc_comes_back()
{
	# all 128 MiB were touched; what the guest never used was zero
	wait_until 90 at_least two zero $((16 << 20))
}

test_disk_without_cache()
{
	local from
	readlink "/proc/$(guest_pid two)/fd"/* | grep disk.img
	# from and to guest memory that the scanner shares meanwhile, compared there
	from=$(guest_counter two disk_checks)
	wait_until 90 disk_has_checked $((from + 512))
	guest_check two
}

disk_has_checked()
{
	[ "$(guest_counter two disk_checks)" -ge "$1" ]
}

test_balloon()
{
	guest_stop two
	guest_stop one
	rm -f $dir/one $dir/two
	# with the scanner off and all memory touched, the balloon alone gives back
	echo 0 >$sharing/run
	guest_start three --memory 128 --backing file:$dir --prealloc --workload seed=3,unique=4 \
		--qemu-arg -device --qemu-arg virtio-balloon-pci
	guest_wait_ready three 200
	[ "$(file_bytes three private)" = $((128 << 20)) ]
	guest_hmp three balloon 104
	balloon_gets_to 104
	[ "$(file_bytes three private)" -le $((105 << 20)) ]
	guest_verify three
	guest_hmp three balloon 128
	balloon_gets_to 128
	guest_verify three
	guest_stop three
	rm $dir/three
	echo 1 >$sharing/run
}

# With what is there: all that the guest has, shared or zero or its own, was
# touched (--prealloc); what the balloon takes is none of it.
test_balloon_of_two()
{
	local has
	guest_hmp two balloon $((memory - 24))
	balloon_gets_to $((memory - 24)) two
	# one after the other: a page that the scanner shares meanwhile would be in two of them
	echo 0 >$sharing/run
	has=$(($(file_bytes two private) + $(file_bytes two shared) + $(file_bytes two zero)))
	echo 1 >$sharing/run
	[ $has -le $(((memory - 23) << 20)) ] || { echo "two has $has bytes"; return 1; }
	guest_verify two
	guest_hmp two balloon $memory
	balloon_gets_to $memory two
	guest_verify two
}

# balloon_is MIB [GUEST]
balloon_is()
{
	guest_hmp "${2:-three}" info balloon | grep "actual=$1"
}

# balloon_gets_to MIB [GUEST]
balloon_gets_to()
{
	wait_until 90 balloon_is "$@" && return
	guest_hmp "${2:-three}" info balloon
	return 1
}

test_save_and_restore()
{
	local image=/tmp/two.state
	# QEMU forks and executes cat with all guest memory mapped
	guest_save two $image 120
	[ "$(stat -c %s $image)" -gt $((16 << 20)) ]
	guest_stop two
	[ ! -e $dir/two ] || rm $dir/two
	guest_start_two --qemu-arg -incoming --qemu-arg "exec:cat $image"
	wait_until 120 guest_goes_on two
	if grep -a MISMATCH "$(guest_log two)"; then
		return 1
	fi
}

test_free_page_reporting()
{
	guest_start four --memory 224 --backing file:$dir --prealloc --workload seed=3,unique=4 \
		--qemu-arg -device --qemu-arg virtio-balloon-pci,free-page-reporting=on
	# with the scanner off, only the guest can give memory back; Linux reports
	# what it has free beyond 64 MiB
	echo 0 >$sharing/run
	guest_wait_ready four 200
	wait_until 60 less_than four private $((176 << 20))
	guest_verify four
	echo 1 >$sharing/run
	guest_stop four
}

test_private_mapping_is_refused()
{
	dmesg -C
	if qemu-system-x86_64 -accel kvm -nodefaults -display none -m 64 -S -daemonize \
		-object memory-backend-file,id=mem,size=64M,mem-path=$dir/private,share=off,prealloc=off \
		-machine pc,memory-backend=mem 2>/run/refused; then
		echo "QEMU started with share=off"
		return 1
	fi
	cat /run/refused
	dmesg | grep 'MAP_PRIVATE.*share=on'
	rm -f $dir/private
}

# What the pool could not keep is refused when QEMU sizes the file, and when it maps it.
test_too_large_a_guest_is_refused()
{
	local status=0
	echo 1 >$pool/admission
	dmesg -C
	qemu-system-x86_64 -accel kvm -nodefaults -display none -m 512 -S -daemonize \
		-object memory-backend-file,id=mem,size=512M,mem-path=$dir/large,share=on,prealloc=off \
		-machine pc,memory-backend=mem 2>/run/refused || status=$?
	cat /run/refused
	[ "$status" = 1 ]
	grep -q "No space left" /run/refused
	dmesg | grep 'pool guests: no room for a file of 512 MiB: [0-9]* bytes of memory or swap are missing'
	rm -f $dir/large
	echo 0 >$pool/admission
}

test_all_is_given_back()
{
	guests_stop_all
	rm -f $dir/*
	wait_until 20 nothing_used
	umount $dir
	rmmod ballast
}

nothing_used()
{
	[ "$(cat $pool/used_bytes)" = 0 ]
}

ktap_suite guests
modprobe ballast || exit 1
mkdir -p $dir /run/disk
mount -t ballastfs -o size=300m,sharing=pool,name=guests none $dir
echo 2000 >$sharing/pass_min_ms
echo 20 >$sharing/cpu_percent
# cache=none needs a filesystem that takes O_DIRECT
truncate -s 16M /run/disk.ext4
disk=/run/disk/disk.img
modprobe -q loop
if ! mkfs.ext4 -q /run/disk.ext4 || ! mount -o loop /run/disk.ext4 /run/disk ||
   ! truncate -s 4M $disk; then
	ktap_fail "a disk on ext4"
fi

ktap_on 6.1 "balloon inflates and deflates" "free page reporting gives memory back"
ktap_on 6.12 "disk with cache=none" "save and restore through exec"
ktap_run "guests run" test_guests_run
ktap_run "they share" test_they_share
ktap_run "preallocated zero pages come back" test_prealloc_comes_back
ktap_run "disk with cache=none" test_disk_without_cache
[ -z "$debug" ] || ktap_run "balloon inflates and deflates" test_balloon_of_two
ktap_run "save and restore through exec" test_save_and_restore
if [ -z "$debug" ]; then
	ktap_run "balloon inflates and deflates" test_balloon
	ktap_run "free page reporting gives memory back" test_free_page_reporting
else
	ktap_skip "free page reporting gives memory back" "two guests for all tests, not a third"
fi
ktap_run "share=off is refused with a reason" test_private_mapping_is_refused
ktap_run "too large a guest is refused with a reason" test_too_large_a_guest_is_refused
ktap_run "all is given back" test_all_is_given_back
ktap_end
