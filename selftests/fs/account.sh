# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What is held, until when, and that all of it comes back.

# shellcheck source=selftests/fs/common.sh
. "${BASH_SOURCE[0]%/*}/common.sh"

no_tables()
{
	local bytes
	read -r bytes <$sys/map_bytes
	[ "$bytes" = 0 ]
}

test_nothing_left_after_unlink()
{
	mount_pool left size=64m,sharing=pool
	flat_out
	cd $work/left || return
	random_file one 3
	cp one two
	cp one three
	truncate -s 1G sparse
	fallocate -l 5M allocated
	dd if=/dev/zero of=zeroes bs=1M count=4 status=none
	wait_until 60 pool_has left zero_slots 1024
	pool_has left sharing_slots 1
	rm -- *
	cd /
	pool_must left used_bytes 0
	pool_must left private_bytes 0
	pool_must left shared_frames 0
	pool_must left sharing_slots 0
	pool_must left zero_slots 0
	pool_must left saved_bytes 0
	equal "$(ls $sys/pools/left/files)" "" files
	# the tables go after a grace period
	wait_until 20 no_tables
	umount_pool left
}

# hold PAGES: a process that maps a file "held" of pool "busy" without having it
# open; "let_go" ends it.
hold()
{
	mkfifo $work/scratch/go
	BALLAST_TEST_POOL=busy "$bin/users" hold $work/busy held "$1" \
		<>$work/scratch/go >$work/scratch/hold.log &
	holder=$!
	wait_until 60 grep -q ready $work/scratch/hold.log
}

let_go()
{
	echo >$work/scratch/go
	wait "$holder"
}

test_busy_while_used()
{
	mount_pool busy size=16m
	fails rmmod ballast
	exec 9>$work/busy/open
	fails umount $work/busy
	exec 9>&-
	rm $work/busy/open
	hold 100
	# the process's working directory is there, too
	fails umount $work/busy
	fails rmmod ballast
	let_go
	pool_must busy used_bytes 409600
	umount_pool busy
	gone $sys/pools/busy
}

test_lazy_umount()
{
	mount_pool busy size=16m
	random_file $work/busy/unused 4
	hold 1000
	umount -l $work/busy
	fails is_mounted busy
	# the pool lives as long as its last user
	pool_has busy used_bytes 4096000
	fails rmmod ballast
	mkdir -p $work/busy
	fails mount -t ballastfs -o name=busy,size=1m none $work/busy
	let_go
	wait_until 10 gone $sys/pools/busy
	mount_pool busy size=1m
	umount_pool busy
}

# Free and nobody's: what the CPUs' free lists hold is not in MemFree.
mem_free_kib()
{
	sync
	echo 3 >/proc/sys/vm/drop_caches
	awk '$1 == "MemFree:" { free = $2 } $1 == "count:" { free += $2 * 4 } END { print free }' \
		/proc/meminfo /proc/zoneinfo
}

test_host_memory_comes_back()
{
	local before during after size=$((scale > 1 ? 32 : 128)) slack=$((12 * 1024))
	before=$(mem_free_kib)
	mount_pool memory size=200m
	dd if=/dev/urandom of=$work/memory/file bs=1M count=$size status=none
	during=$(mem_free_kib)
	echo "free: $before KiB before, $during during"
	[ $((before - during)) -ge $((size * 1024 - slack)) ]
	umount_pool memory
	# what tables and inodes held goes after grace periods
	for _ in 1 2 3 4 5 6 7 8; do
		after=$(mem_free_kib)
		[ $((before - after)) -gt $slack ] || break
		sleep 0.5
	done
	echo "$after after"
	[ $((before - after)) -le $slack ]
}

# A second of life with everything in it, unloaded, loaded again.
test_unload_and_load_again()
{
	for _ in 1 2; do
		mount_pool reload size=32m,sharing=pool
		flat_out
		random_file $work/reload/one 2
		cp $work/reload/one $work/reload/two
		dd if=/dev/zero of=$work/reload/zero bs=1M count=2 status=none
		wait_until 60 pool_has reload pages_merged 100
		umount_pool reload
		rmmod ballast
		[ ! -e $sys ]
		fails grep -q ballastfs /proc/filesystems
		modprobe ballast
		reads $sys/sharing/pages_merged 0
	done
	restore_tunables
}
