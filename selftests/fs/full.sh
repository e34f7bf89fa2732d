# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# A full pool: who touches guest memory waits, and goes on when there is some;
# who writes by system calls is told ENOSPC; nobody is killed for it.
#
# Each test has a pool "full" of 16 MiB (4096 pages), 4 MiB of which a file
# "other" holds, and a process that wants 13 MiB through a mapping.

# shellcheck source=selftests/fs/common.sh
. "${BASH_SOURCE[0]%/*}/common.sh"
# shellcheck source=selftests/lib/probes.sh
. "${BASH_SOURCE[0]%/*}/../lib/probes.sh"

other_mib=4
wanted_pages=3328

# fill_pool FILE PAGES WHAT: in the background; $filler
fill_pool()
{
	BALLAST_TEST_POOL=full "$bin/users" fill $work/full "$@" >$work/scratch/"$1".log 2>&1 &
	filler=$!
}

make_full()
{
	mount_pool full size=16m,sharing=off
	random_file $work/full/other $other_mib
	cp $work/full/other $work/scratch/other
	full_lines=$(dmesg_lines 'pool full is full')
	fill_pool wanting $wanted_pages "${1:-unique}"
	wait_until 60 pool_is full waiting 1
}

# In a state that only a fatal signal ends, with nothing of what it maps locked.
check_waiting()
{
	local state
	pool_must full used_bytes 16777216
	pool_must full free_bytes 0
	pool_has full waits 1
	equal "$(dmesg_lines 'pool full is full')" $((full_lines + 1)) "lines in the log"
	read -r _ _ state _ <"/proc/$filler/stat"
	case $state in
	D|S) ;;
	*) echo "process in state $state"; return 1 ;;
	esac
	# its mmap_lock is free
	timeout 10 cat "/proc/$filler/maps" "/proc/$filler/smaps" >/dev/null
	nap 0.3
	pool_is full waiting 1
}

# The filler ends well: it has verified all that it wrote.
check_filled()
{
	local status=0
	wait "$filler" || status=$?
	cat $work/scratch/*.log
	equal $status 0 "status of the process that waited"
	pool_must full waiting 0
}

check_other()
{
	cmp $work/scratch/other $work/full/other
}

test_full_waits_until_punch()
{
	make_full
	check_waiting
	# not enough the first time: it waits again
	fallocate --punch-hole --offset 0 --length 65536 $work/full/other
	wait_until 30 pool_is full free_bytes 0
	wait_until 30 pool_is full waiting 1
	fallocate --punch-hole --offset 65536 --length 2097152 $work/full/other
	check_filled
	command cmp -i 2162688 $work/scratch/other $work/full/other
	equal "$(dmesg_lines 'pool full is full')" $((full_lines + 1)) "lines in the log"
}

test_full_waits_until_unlink()
{
	make_full
	check_waiting
	rm $work/full/other
	check_filled
	pool_must full used_bytes $((wanted_pages * 4096))
}

test_full_waits_until_truncate()
{
	make_full
	truncate -s 1M $work/full/other
	check_filled
	cmp -n 1048576 $work/scratch/other $work/full/other
}

test_full_waits_until_remount()
{
	make_full
	check_waiting
	mount -o remount,size=32m $work/full
	check_filled
	check_other
}

test_full_waits_until_shared()
{
	mount_pool full size=16m,sharing=pool
	echo 0 >$sys/sharing/run
	random_file $work/full/other $other_mib
	cp $work/full/other $work/scratch/other
	full_lines=$(dmesg_lines 'pool full is full')
	fill_pool wanting $wanted_pages equal
	wait_until 60 pool_is full waiting 1
	check_waiting
	flat_out
	check_filled
	check_other
	pool_has full pages_merged 1
}

test_full_kill()
{
	make_full
	check_waiting
	kill -KILL $filler
	wait_until 10 gone /proc/$filler/exe
	pool_must full waiting 0
	# what it had is the file's still
	pool_must full free_bytes 0
	rm $work/full/wanting
	pool_must full used_bytes 4194304
	check_other
	fill_pool second 3000 unique
	check_filled
}

# The kernel itself faults, in read(2).
test_full_in_system_call()
{
	make_full read
	check_waiting
	rm $work/full/other
	check_filled
}

test_full_kill_in_system_call()
{
	make_full read
	kill -KILL $filler
	wait_until 10 gone /proc/$filler/exe
	pool_must full waiting 0
	check_other
}

test_full_many_wait()
{
	local fillers="" status
	make_full
	fillers=$filler
	for n in 1 2 3; do
		fill_pool "more$n" 100 unique
		fillers+=" $filler"
	done
	wait_until 30 pool_is full waiting 4
	pool_has full waits 4
	rm $work/full/other
	for filler in $fillers; do
		status=0
		wait "$filler" || status=$?
		cat $work/scratch/*.log
		equal $status 0 "status of one that waited"
	done
	pool_must full waiting 0
}

test_full_write_gets_enospc()
{
	make_full
	fails dd if=/dev/zero of=$work/full/third bs=64k count=1 status=none
	grep -q 'No space left' $work/fails
	fails fallocate -l 1M $work/full/third
	grep -q 'No space left' $work/fails
	fails cp $work/scratch/other $work/full/third
	# over what is there a write needs nothing, nor does a new name
	dd if=$work/scratch/other of=$work/full/other conv=notrunc bs=4k count=16 status=none
	touch $work/full/new
	mkdir $work/full/dir
	# a part of a page can be punched without a page to spare
	cp $work/scratch/other $work/scratch/reference
	for file in $work/scratch/reference $work/full/other; do
		fallocate --punch-hole --offset 100 --length 10000 "$file"
	done
	cmp $work/scratch/reference $work/full/other
	pool_is full waiting 1
	rm -r $work/full/other
	check_filled
}

# A fault is refused a page, and before it waits somebody gives one back: it must
# take that, and not believe that the host is short of memory and sleep.  After
# it was refused it unlocks its slot.
test_full_room_comes_meanwhile()
{
	local slept
	mount_pool full size=256k,sharing=off
	probe_slow ballast:ballast_slot_unlock 'comm == "users"'
	probe_count schedule_timeout_killable
	BALLAST_TEST_POOL=full "$bin/users" churn $work/full 64 3000
	slept=$(probe_calls)
	probes_end
	echo "waits $(pool full waits), faults $(pool full faults)"
	pool_has full waits 1
	pool_must full host_short 0
	equal "$slept" 0 "times a fault slept for want of host memory"
	pool_must full used_bytes 0
}
