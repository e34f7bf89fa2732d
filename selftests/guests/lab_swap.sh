#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2317	# ktap_run calls the functions
# Whatever the host's kernel: 6.12
#
# A Linux guest with more memory than its pool: all it has is right, throughout; and
# while a page of one of its tasks is read from a slow disk, its other tasks go on
# (KVM's async page faults).
#
# Of the stock kernels: the debug kernel takes minutes to boot a guest, and sees the
# same fault path in store/lab_pressure.sh.

here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/vm/guests.sh
. "$here/../vm/guests.sh"
# shellcheck source=selftests/store/devices.sh
. "$here/../store/devices.sh"

dir=/run/ballast-guests-swap
pool=/sys/kernel/ballast/pools/swap
memory=128
read_ms=300

pool()
{
	local value
	read -r value <"$pool/$1" && echo "$value"
}

# pulse KEY: what the guest said of it last
pulse()
{
	local value
	value=$(guest_said a | grep -a '^BALLAST-GUEST a pulse ' | tail -n 1 | grep -o " $1=[0-9]*")
	echo "${value#*=}" | grep .
}

say()
{
	echo "# $*" >&3
}

# start_a OPTION...
start_a()
{
	guest_start a --memory "$memory" --backing "file:$dir" \
		--workload seed=5,unique=24,text=16,dirty=20,rate=3000,pulse=1 "$@"
}

test_guest_runs()
{
	start_a
	guest_wait_ready a 200
	guest_verify a
	[ "$(pulse times)" -gt 0 ]
}

# Less than half of what it has: pages go and come all the time.
test_less_memory_than_it_uses()
{
	mount -o "remount,size=40m" "$dir"
	guest_verify a 300
	[ "$(pool pages_swapped_out)" -gt 1000 ]
	[ "$(pool pages_swapped_in)" -gt 1000 ]
	[ "$(pool pages_lost)" = 0 ]
	[ "$(pool used_bytes)" -le $((41 << 20)) ]
	say "swapped out $(pool pages_swapped_out) pages, in $(pool pages_swapped_in)," \
		"now in swap $(($(pool swapped_bytes) >> 20)) MiB"
}

# its_turn PAGES FAULTS: so many pages have come since, and so many async page faults
its_turn()
{
	swapped_in_since "$1" 20 && [ "$(pulse async_faults)" -ge $(($2 + 3)) ]
}

swapped_in_since()
{
	guest_check a || return 2
	[ "$(pool pages_swapped_in)" -ge $(($1 + $2)) ]
}

# While the next 40 pages come, one after the other, so that the disk is always read from:
# did the other task have five turns a page?
goes_on()
{
	local from pages times faults ms
	from=$(pool pages_swapped_in)
	times=$(pulse times)
	faults=$(pulse async_faults)
	ms=$(pulse uptime_ms)
	guests_wait_until 120 swapped_in_since "$from" 40 || return 2
	pages=$(($(pool pages_swapped_in) - from))
	times=$(($(pulse times) - times))
	faults=$(($(pulse async_faults) - faults))
	ms=$(($(pulse uptime_ms) - ms))
	say "$pages pages of $read_ms ms each: the other task had $times turns in" \
		"$ms ms, the guest $faults async page faults"
	# not all are the guest's: what its kernel needs at once, and what QEMU reads
	[ "$times" -ge $((5 * pages)) ] && [ "$ms" -le $((pages * read_ms * 3 / 2)) ] &&
		[ "$faults" -ge $((pages / 8)) ]
}

# Nothing is taken any more; what comes back takes long.  A task that waits for such
# a page does not keep the CPU: one that does a little every 10 ms goes on.  If it
# could not, it would have one turn between two pages, or two, however often one looks.
# At times it is that task itself that waits, or the guest's kernel: then one looks again.
test_others_go_on()
{
	local status=0
	mount -o "remount,size=$((memory + 8))m" "$dir"
	disk_slow "$read_ms" 0
	guests_wait_until 120 its_turn "$(pool pages_swapped_in)" "$(pulse async_faults)"
	guests_wait_until 240 goes_on || status=1
	disk_fails nothing
	return "$status"
}

test_all_is_right()
{
	guest_verify a 300
	[ "$(pool pages_lost)" = 0 ]
}

# is_restored IMAGE: goes on from there, with all its memory right
is_restored()
{
	guest_stop a
	rm "$dir/a"
	start_a --qemu-arg -incoming --qemu-arg "exec:cat $1"
	guests_wait_until 300 guest_goes_on a || stands_still
	if grep -a MISMATCH "$(guest_log a)"; then
		return 1
	fi
	[ "$(pool pages_lost)" = 0 ]
	rm "$1"
}

# Migration reads what is compressed, and what lies in the swap file, and leaves it there.
test_saved_and_restored()
{
	local image=/tmp/a.state
	mount -o "remount,size=40m" "$dir"
	[ "$(pool compressed_bytes)" -gt $((1 << 20)) ]
	guest_save a "$image" 300
	[ "$(pool swapped_bytes)" -gt $((16 << 20)) ]
	[ "$(pool compressed_bytes)" -gt $((1 << 20)) ]
	say "saved with $(($(pool compressed_bytes) >> 20)) MiB compressed and" \
		"$(($(pool swapped_bytes) >> 20)) MiB in swap"
	[ "$(stat -c %s "$image")" -gt $((40 << 20)) ]
	is_restored "$image"
}

# What a guest does that does not go on.
stands_still()
{
	local thread
	guest_hmp a info status
	guest_hmp a info registers | head -n 5
	guest_hmp a info lapic
	guest_said a | tail -n 3
	for thread in "/proc/$(guest_pid a)/task"/*; do
		cat "$thread/comm" "$thread/stack"
	done
	return 1
}

# The same of a guest that runs and writes meanwhile, pass after pass over what it has written:
# what QEMU reads in the midst of it comes from the swap file, and other pages go there.
test_saved_while_it_runs()
{
	local image=/tmp/a.live out in passes
	mount -o "remount,size=40m" "$dir"
	out=$(pool pages_swapped_out)
	in=$(pool pages_swapped_in)
	# what is dirtied in so long it may send when the guest stands still
	guest_hmp a migrate_set_parameter downtime-limit 3000 >/dev/null
	guest_hmp a "migrate -d \"exec:cat > $image\"" >/dev/null
	guests_wait_until 400 guest_is_saved a || { guest_hmp a info migrate; return 1; }
	passes=$(guest_hmp a info migrate | sed -n 's/^dirty sync count: //p')
	out=$(($(pool pages_swapped_out) - out))
	in=$(($(pool pages_swapped_in) - in))
	say "saved while it ran: $passes passes, $out pages swapped out, $in in;" \
		"$(($(pool compressed_bytes) >> 20)) MiB compressed and" \
		"$(($(pool swapped_bytes) >> 20)) MiB in swap"
	[ "$(pool compressed_bytes)" -gt $((1 << 20)) ]
	[ "$(pool swapped_bytes)" -gt $((16 << 20)) ]
	[ "$(stat -c %s "$image")" -gt $((40 << 20)) ]
	[ "$passes" -ge 2 ]
	[ "$out" -ge 256 ]
	[ "$in" -ge 256 ]
	is_restored "$image"
}

test_all_is_given_back()
{
	guests_stop_all
	rm -f "$dir"/*
	[ "$(pool used_bytes)" = 0 ]
	[ "$(pool swap_free_bytes)" = "$(pool swap_size_bytes)" ]
	umount "$dir"
	rmmod ballast
	disk_remove
}

ktap_suite "a guest in swap"
if [ -n "${BALLAST_LAB_DEBUG:-}" ]; then
	ktap_skip "a guest in swap" "on the stock kernels"
	ktap_end
fi
exec 3>&1
trap guests_stop_all EXIT
modprobe ballast || exit 1
mkdir -p "$dir"
disk=$(disk_failing $memory) || exit 1
mount -t ballastfs -o "size=$((memory + 8))m,sharing=off,name=swap,compress=lz4,swap=$disk" \
	none "$dir" || exit 1
ktap_run "guest runs" test_guest_runs
ktap_run "less memory than it uses" test_less_memory_than_it_uses
ktap_run "its other tasks go on while a page is read" test_others_go_on
ktap_run "all is right" test_all_is_right
ktap_run "it is saved, and restored" test_saved_and_restored
ktap_run "it is saved while it runs" test_saved_while_it_runs
ktap_run "all is given back" test_all_is_given_back
ktap_end
