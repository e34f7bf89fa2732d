#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# ballastfs as a filesystem: mounts, names, contents, mappings, accounts, what
# happens when a pool is full, and sysfs.  For selftests/vm/run.
#
#   lab_ballastfs.sh [TEST...]
#
# With names only these tests are run.
#
# Guest memory is what it holds, so most of this asks one question in many
# ways: is a byte that was written there, and is memory held for nothing else?
# Contents are compared to copies kept elsewhere, accounts are compared exactly.
#
# It does not prove that races are right: they are tried (users.c), on two
# emulated CPUs.  KVM as a user of the memory is not here but in selftests/sharing
# (vmracer.c) and selftests/guests, nor is the quality of sharing; the scanner runs
# here to be in the way.

here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/fs/mount.sh
. "$here/mount.sh"
# shellcheck source=selftests/fs/tree.sh
. "$here/tree.sh"
# shellcheck source=selftests/fs/programs.sh
. "$here/programs.sh"
# shellcheck source=selftests/fs/full.sh
. "$here/full.sh"
# shellcheck source=selftests/fs/account.sh
. "$here/account.sh"
# shellcheck source=selftests/fs/control.sh
. "$here/control.sh"

if [ -z "${BALLAST_LAB:-}" ]; then
	echo "1..0 # SKIP needs the lab host (selftests/vm/run)"
	exit 4
fi

only=" $* "

# chosen TEST: is it to be run?
chosen()
{
	[ "$only" = "  " ] || [[ $only = *" $1 "* ]]
}

# The slow ones say so: all together are to take less than 90 s.
run()
{
	local start=$SECONDS
	chosen "$1" || return 0
	ktap_run "$1" test_in_lab "${@:2}"
	[ $((SECONDS - start)) -lt 5 ] || echo "# that took $((SECONDS - start)) s"
}

# cases PREFIX OPTIONS PROGRAM CASES ARGUMENT...: one after the other in one
# pool, a result for each.
cases()
{
	local prefix=$1 options=$2 program=$3 name names="" reason="" line
	results=()
	for name in $4; do
		chosen "$prefix$name" || continue
		results[$name]=missing
		names+=$name,
	done
	[ -n "$names" ] || return 0
	mount_pool t "size=96m,sharing=off,$options"
	while IFS= read -r line; do
		name=${line##* }
		case $line in
		"ok "*) ktap_pass "$prefix$name" ;;
		"skip "*) ktap_skip "$prefix$name" "$reason" ;;
		"not ok "*) ktap_fail "$prefix$name" ;;
		"SKIP "*) reason=${line#SKIP }; continue ;;
		*) echo "# $line"; continue ;;
		esac
		unset "results[$name]"
	done < <(BALLAST_TEST_POOL=t "$bin/$program" "$names" $work/t "${@:5}" 2>&1)
	for name in "${!results[@]}"; do
		ktap_fail "$prefix$name" "there was no result"
	done
	umount_pool t
}

"$here/build" || { echo "Bail out! the programs do not build"; exit 1; }
modprobe ballast || { echo "Bail out! no module"; exit 1; }
prepare
declare -A results
ktap_suite fs

for name in size_units size_percent size_default_is_half_of_ram \
	bad_options_mount_nothing absurd_sizes \
	long_and_odd_names duplicate_name default_names_are_unique default_name_is_taken mount_helper owner_and_mode \
	shown_options_mount_again remount_size remount_refusals remount_read_only \
	remount_sharing remount_sharing_without_room remount_interrupted \
	names rename_over permissions many_files statfs sparse_stat cp dd_odd_offsets; do
	run $name test_$name
done

cases "" rw files "read_write append bad_buffer own_mapping limits seek seek_1tib \
allocate punch zero_range unsupported truncate unlinked times splice_keeps copy_file_range"
cases "" size=8m files "allocate_too_much refused_gives_back" 8
cases "" rw files "sendfile splice" $work/other

cases poison_ rw poison private
run poison_shared test_poison_shared
run private_refused test_private_mapping_logs
cases map_ rw mappings "read_only hole_read mprotect mremap madvise populate fork vm_readv \
exec sigbus truncate_mapped vmsplice proc recycled"
for name in direct_write direct_read; do
	run map_$name test_direct $name
done
run map_direct_while_sharing test_direct_while_sharing

run content_random program content random $((20000 / scale)) 1
run content_random_sharing_vm content_under 20000 2 vm
run content_random_sharing_pool content_under 10000 3 pool
run first_touch program users first_touch $((scale > 1 ? 8 : 64))
run punch_race program users punch_race 2000
run truncate_race program users truncate_race 2000
run punch_race_while_sharing test_race_while_sharing punch_race

for name in full_waits_until_punch full_waits_until_unlink full_waits_until_truncate \
	full_waits_until_remount full_waits_until_shared full_kill full_in_system_call \
	full_kill_in_system_call full_many_wait full_write_gets_enospc full_room_comes_meanwhile \
	nothing_left_after_unlink busy_while_used lazy_umount host_memory_comes_back \
	sysfs_is_readable sysfs_is_documented sysfs_refuses_bad_values \
	sysfs_takes_good_values sysfs_read_only_files sysfs_of_a_file sysfs_of_odd_names \
	unload_and_load_again; do
	run $name test_$name
done
ktap_end
