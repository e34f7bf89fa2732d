#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2317	# ktap_run calls the test functions
# Whatever the host's kernel: 6.1
#
# The guests that other tests rely on: they boot, they check their memory, and
# they would notice if it were wrong.  Anonymous memory, ballast not loaded.

here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/vm/guests.sh
. "$here/../vm/guests.sh"

work=identical=8,unique=8,text=4,zero=4,hot=4,dirty=50,seed=7

test_two_guests_become_ready()
{
	guest_start one --workload "$work"
	guest_start two --workload "$work" --cpus 2
	guest_wait_ready one 120
	guest_wait_ready two 120
}

test_they_verify_all_memory()
{
	guest_verify one
	guest_verify two
	[ "$(guest_counter one verified_pages)" -ge 6144 ]
	[ "$(guest_counter two dirtied_pages)" -gt 0 ]
	[ "$(guest_counter two hot_reads)" -gt 0 ]
}

# Overwritten pages in a time, by the guest's own count; what it is late with by more
# than a second it leaves out, so on a busy host there are fewer.
test_dirty_rate_is_what_was_asked()
{
	local before after ms
	before=$(guest_counter one dirtied_pages)
	ms=${EPOCHREALTIME/[.,]/}
	sleep 10
	after=$(guest_counter one dirtied_pages)
	ms=$(((${EPOCHREALTIME/[.,]/} - ms) / 1000))
	echo "$((after - before)) pages in $ms ms"
	[ $((after - before)) -ge $((10 * ms / 1000)) ]
	# it reports each second
	[ $((after - before)) -le $((50 * (ms + 2000) / 1000)) ]
}

# what a log ends with may be half a line, and a half number is a wrong number
test_half_a_line_counts_for_nothing()
{
	(
		guests_dir=/tmp/half-a-line
		mkdir -p "$guests_dir/g"
		printf 'BALLAST-GUEST g ok pass=3 hot_reads=70\r\nBALLAST-GUEST g ok pass=4' >"$guests_dir/g/serial"
		[ "$(guest_counter g pass)" = 3 ]
		[ "$(guest_counter g hot_reads)" = 70 ]
		printf ' hot_reads=9' >>"$guests_dir/g/serial"
		[ "$(guest_counter g hot_reads)" = 70 ]
		printf '9\r\n' >>"$guests_dir/g/serial"
		[ "$(guest_counter g hot_reads)" = 99 ]
	)
}

test_monitor_answers()
{
	guest_hmp one info status | grep -q running
	guest_qmp two '{"execute":"query-status"}' | grep -q '"running": true'
}

test_stop_ends_the_process()
{
	local pid
	pid=$(guest_pid two)
	guest_stop two
	[ ! -e "/proc/$pid" ]
	if guest_check two; then
		echo "a stopped guest was called well"
		return 1
	fi
}

# What it has not read when a connection ends, it forgets.
test_slow_monitor_loses_nothing()
{
	local pid
	pid=$(guest_pid one)
	kill -STOP "$pid"
	(sleep 5; kill -CONT "$pid") &
	guest_hmp one stop
	guest_hmp one info status | grep -q paused
	guest_hmp one cont
	wait $!
}

test_paused_guest_is_noticed()
{
	guest_hmp one stop
	sleep 4
	if guest_check one 2; then
		echo "a guest that stands still was called well"
		return 1
	fi
	guest_hmp one cont
	sleep 3
	guest_check one
}

test_corrupted_byte_is_caught()
{
	guest_start bad --workload "$work,corrupt=1"
	# it may be caught before "ready" is seen
	if guest_wait_ready bad 120 && guest_verify bad; then
		echo "a flipped byte went unnoticed"
		return 1
	fi
	grep -a 'MISMATCH page=3072 ' "$(guest_log bad)"
}

balloon_is_small()
{
	guest_hmp full info balloon | grep -q 'actual=112'
}

test_balloon_takes_memory()
{
	guest_start full --workload identical=4 \
		--qemu-arg -device --qemu-arg virtio-balloon-pci,free-page-reporting=on
	guest_wait_ready full 120
	guest_hmp full balloon 112
	guests_wait_until 30 balloon_is_small
	guest_hmp full info balloon
	guest_verify full
}

# A test's own workload: a script, with busybox, and a program in C, each of which checks its
# own data and says how that ended.
test_a_script_runs_in_a_guest()
{
	local out status=0
	cat >/tmp/script <<-'END'
		#!/bin/sh
		dd if=/dev/urandom of=/tmp/data bs=64k count=32 2>/dev/null
		sum=$(sha256sum </tmp/data)
		for i in 1 2 3; do
			cp /tmp/data /tmp/copy
			[ "$(sha256sum </tmp/copy)" = "$sum" ] || exit 1
			echo "copy $i is right"
		done
		exit 7
	END
	guest_start shell --workload identical=4 --program /tmp/script
	guest_wait_ready shell 120
	out=$(guest_program shell 60) || status=$?
	echo "$out, status $status"
	[ "$status" = 7 ]
	[ "$out" = "copy 1 is right
copy 2 is right
copy 3 is right" ]
	guest_verify shell
	guest_stop shell
}

test_a_program_runs_in_a_guest()
{
	cat >/tmp/program.c <<-'END'
		#include <signal.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>

		int main(void)
		{
			char *memory = malloc(4 << 20);

			memset(memory, 7, 4 << 20);
			printf("%d\n", memory[(4 << 20) - 1]);
			fflush(stdout);
			raise(SIGKILL);
		}
	END
	gcc -O1 -static -o /tmp/program /tmp/program.c
	guest_start c --workload identical=4 --program /tmp/program
	guest_wait_ready c 120
	[ "$(guest_program c 60; echo $?)" = "7
137" ]
	guest_stop c
}

if [ -z "${BALLAST_LAB:-}" ] || [ ! -e /dev/kvm ]; then
	echo "1..0 # SKIP needs the lab host (selftests/vm/run)"
	exit 4
fi
# six minutes a boot, to test what is the same on every kernel and has no ballast
if [ -n "${BALLAST_LAB_DEBUG:-}" ]; then
	echo "1..0 # SKIP on the stock kernels"
	exit 4
fi
trap guests_stop_all EXIT
ktap_suite guest-harness
ktap_plan 12
ktap_run two_guests_become_ready test_two_guests_become_ready
ktap_run they_verify_all_memory test_they_verify_all_memory
ktap_run dirty_rate_is_what_was_asked test_dirty_rate_is_what_was_asked
ktap_run half_a_line_counts_for_nothing test_half_a_line_counts_for_nothing
ktap_run monitor_answers test_monitor_answers
ktap_run slow_monitor_loses_nothing test_slow_monitor_loses_nothing
ktap_run paused_guest_is_noticed test_paused_guest_is_noticed
ktap_run stop_ends_the_process test_stop_ends_the_process
ktap_run corrupted_byte_is_caught test_corrupted_byte_is_caught
ktap_run balloon_takes_memory test_balloon_takes_memory
ktap_run a_script_runs_in_a_guest test_a_script_runs_in_a_guest
ktap_run a_program_runs_in_a_guest test_a_program_runs_in_a_guest
ktap_end
