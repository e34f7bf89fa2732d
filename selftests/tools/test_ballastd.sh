#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2016,SC2317	# run_tests calls the functions; conditions are evaluated
#
# ballastd against a directory that stands for sysfs, a QEMU without a guest, and
# libvirt's test driver.
#
#	[SUBSTRING...]	default: all tests
#
# Run by selftests/tools/run, which says where the programs are.
# What this cannot prove: that the kernel notifies as inotify does, and that QEMU
# and libvirtd answer so.  The tests of the lab do.

here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/tools/common.sh
. "$here/common.sh"

quick=$'[daemon]\nlibvirt = none\nstats_period_s = 1\n'

# a daemon that looks for QEMU itself, and one that is managed: $qemu_pid
managed_qemu()
{
	scene
	echo "$quick" >"$work/conf"
	qemu_start web
	vm_add "$qemu_pid"
	daemon_start --config "$work/conf"
	until_true asked web "qom-set /machine/peripheral-anon/device[0] guest-stats-polling-interval 1"
	qemu_say web "stats total=$((128 * mib)) available=$((100 * mib)) swap-in=0 major-faults=0"
	until_true is "$qemu_pid" balloon_state ok
}

# twice, from now on
statistics_are_read()
{
	local before
	before=$(grep -c '^qom-get' "$work/web.out")
	until_true eval "[ \"\$(grep -c '^qom-get' '$work/web.out')\" -ge $((before + 2)) ]"
}

test_finds_qemu_and_follows_target()
{
	managed_qemu
	[ "$(vm_value "$qemu_pid" balloon_bytes)" = 0 ]
	vm_set "$qemu_pid" balloon_target_bytes $((32 * mib))
	until_true asked web "balloon $((96 * mib))"
	until_true is "$qemu_pid" balloon_bytes $((32 * mib))
	vm_set "$qemu_pid" balloon_target_bytes 0
	until_true asked web "balloon $((128 * mib))"
	until_true is "$qemu_pid" balloon_bytes 0
	daemon_stop
}

test_chardev_socket_is_found()
{
	scene
	echo "$quick" >"$work/conf"
	qemu_start web
	# the same socket, said the long way
	exec {in}<>"$work/$(mkfifo "$work/idle"; echo idle)"
	"$fake_qemu" -name other -chardev "socket,id=m,path=$work/web.qmp,server=on" \
		-mon chardev=m,mode=control <&"$in" >"$work/other.out" &
	other=$!
	vm_add "$other"
	daemon_start --config "$work/conf"
	# it stands in another process's command line: not to be believed
	until_true logged "process $qemu_pid answers, not $other: left alone"
	is "$other" balloon_state unknown
	daemon_stop
}

test_given_socket_is_mapped_by_its_process()
{
	scene
	printf '[daemon]\nlibvirt = none\nfind_qmp = no\n' >"$work/conf"
	qemu_start web
	vm_add "$qemu_pid"
	daemon_start --config "$work/conf" --qmp "$work/web.qmp"
	until_true is "$qemu_pid" balloon_state unknown
	until_true logged "web ($qemu_pid) is managed"
	daemon_stop
}

test_observe_asks_for_nothing()
{
	mode=observe managed_qemu
	vm_set "$qemu_pid" balloon_target_bytes $((32 * mib))
	qemu_say web "stats available=$((90 * mib))"
	# a later question has been answered: the target was seen
	until_true eval '[ "$(grep -c "^qom-get" "$work/web.out")" -ge 4 ]'
	if grep '^balloon' "$work/web.out"; then
		return 1
	fi
	daemon_stop
}

test_dry_run_changes_nothing()
{
	scene
	echo "$quick" >"$work/conf"
	qemu_start web
	vm_add "$qemu_pid"
	qemu_say web "actual $((120 * mib))"
	vm_set "$qemu_pid" balloon_target_bytes $((32 * mib))
	daemon_start --config "$work/conf" --dry-run
	until_true logged "would leave web $((96 * mib))"
	until_true logged "would write ok to vms/$qemu_pid/balloon_state"
	is "$qemu_pid" balloon_state unknown
	if grep -E '^(balloon|qom-set)' "$work/web.out"; then
		return 1
	fi
	daemon_stop
}

test_settings_of_the_file()
{
	scene
	printf '%s\n[vm web]\nshares = 2000\nmin = 32M\nmax = 96M\ntax = 0\n' "$quick" >"$work/conf"
	qemu_start web
	vm_add "$qemu_pid"
	daemon_start --config "$work/conf"
	until_true is "$qemu_pid" tax_bp 0
	until_true is "$qemu_pid" shares 2000
	is "$qemu_pid" min_bytes $((32 * mib))
	is "$qemu_pid" max_bytes $((96 * mib))
	# what is taken out of the file goes back to the default
	printf '%s\n[vm web]\nshares = 3000\n' "$quick" >"$work/conf"
	kill -HUP "$daemon_pid"
	until_true is "$qemu_pid" shares 3000
	until_true is "$qemu_pid" tax_bp default
	is "$qemu_pid" min_bytes 0
	# guests are told of another period
	printf '[daemon]\nlibvirt = none\nstats_period_s = 2\n[vm web]\nshares = 3000\n' >"$work/conf"
	kill -HUP "$daemon_pid"
	until_true asked web "qom-set /machine/peripheral-anon/device[0] guest-stats-polling-interval 2"
	# a bad file changes nothing
	printf '[vm web]\nshares = many\n' >"$work/conf"
	kill -HUP "$daemon_pid"
	until_true logged "line 2: shares: \"many\" is not a number"
	is "$qemu_pid" shares 3000
	daemon_stop
}

test_pressure_makes_a_floor()
{
	managed_qemu
	[ "$(vm_value "$qemu_pid" floor_bytes)" = 0 ]
	vm_set "$qemu_pid" balloon_target_bytes $((64 * mib))
	until_true is "$qemu_pid" balloon_bytes $((64 * mib))
	qemu_say web "stats total=$((60 * mib)) available=$((1 * mib))"
	# what it has and a tenth of its size, in whole bytes
	until_true is "$qemu_pid" floor_bytes $((64 * mib + 128 * mib / 10))
	daemon_stop
}

# what it still owes is not asked for any more, and its balloon counts again
test_short_of_memory_is_excused()
{
	managed_qemu
	qemu_say web "obey 0"
	vm_set "$qemu_pid" balloon_target_bytes $((64 * mib))
	until_true asked web "balloon $((64 * mib))"
	qemu_say web "actual $((96 * mib))"
	until_true is "$qemu_pid" balloon_state stuck
	qemu_say web "stats total=$((90 * mib)) available=$((1 * mib))"
	until_true asked web "balloon $((96 * mib))"
	until_true is "$qemu_pid" balloon_state ok
	# the module has not taken in the floor yet: it is not squeezed meanwhile
	vm_set "$qemu_pid" balloon_target_bytes $((80 * mib))
	statistics_are_read
	# and gets what is given to it
	vm_set "$qemu_pid" balloon_target_bytes $((16 * mib))
	until_true asked web "balloon $((112 * mib))"
	[ "$(grep -c '^balloon' "$work/web.out")" = 3 ]
	daemon_stop
}

# as drivers do that deflate when the guest is out of memory
test_what_the_guest_takes_it_keeps()
{
	managed_qemu
	vm_set "$qemu_pid" balloon_target_bytes $((64 * mib))
	until_true is "$qemu_pid" balloon_bytes $((64 * mib))
	qemu_say web "actual $((104 * mib))"
	until_true is "$qemu_pid" floor_bytes $((104 * mib))
	logged "web has taken memory from its balloon"
	qemu_say web "stats available=$((90 * mib))"
	statistics_are_read
	is "$qemu_pid" balloon_bytes $((24 * mib))
	is "$qemu_pid" balloon_state ok
	# the driver is not woken, neither by the old request nor by another
	[ "$(grep -c '^balloon' "$work/web.out")" = 1 ]
	# a daemon that has not asked for anything notices it, too
	daemon_stop
	vm_set "$qemu_pid" balloon_target_bytes $((24 * mib))
	daemon_start --config "$work/conf"
	until_true is "$qemu_pid" balloon_state ok
	qemu_say web "actual $((112 * mib))"
	until_true is "$qemu_pid" floor_bytes $((112 * mib))
	daemon_stop
	[ "$(grep -c '^balloon' "$work/web.out")" = 1 ]
}

# one that is at work is told to stop
test_what_the_guest_takes_on_the_way_it_keeps()
{
	managed_qemu
	qemu_say web "obey 0"
	vm_set "$qemu_pid" balloon_target_bytes $((64 * mib))
	until_true asked web "balloon $((64 * mib))"
	qemu_say web "actual $((96 * mib))"
	until_true is "$qemu_pid" balloon_bytes $((32 * mib))
	qemu_say web "actual $((104 * mib))"
	until_true is "$qemu_pid" floor_bytes $((104 * mib))
	until_true asked web "balloon $((104 * mib))"
	statistics_are_read
	[ "$(grep -c '^balloon' "$work/web.out")" = 2 ]
	is "$qemu_pid" balloon_state ok
	daemon_stop
}

test_plugged_memory_counts()
{
	managed_qemu
	vm_set "$qemu_pid" size_bytes $((256 * mib))
	qemu_say web "stats total=$((120 * mib)) available=$((1 * mib))"
	until_true is "$qemu_pid" floor_bytes $((256 * mib))
	daemon_stop
}

test_hostile_statistics_are_harmless()
{
	local huge=18446744073709551614 floor
	managed_qemu
	qemu_say web "stats total=$huge available=0 swap-in=$huge major-faults=$huge"
	until_true eval '! is "$qemu_pid" floor_bytes 0'
	floor=$(vm_value "$qemu_pid" floor_bytes)
	[ "$floor" -le $((128 * mib)) ]
	qemu_say web "stats total=0 available=$huge swap-in=0 major-faults=0 oom-kills=$huge"
	qemu_say web 'say {"event":"BALLOON_CHANGE","data":{"actual":-5}}'
	qemu_say web 'say {"event":"BALLOON_CHANGE","data":{"actual":"no"}}'
	qemu_say web 'say {"event":7} {"event":"BALLOON_CHANGE"} [1,2] null 5'
	vm_set "$qemu_pid" balloon_target_bytes $((32 * mib))
	until_true is "$qemu_pid" balloon_bytes $((32 * mib))
	# more than it has
	qemu_say web "obey 0"
	qemu_say web "actual $((500 * mib))"
	until_true is "$qemu_pid" balloon_bytes 0
	daemon_stop
}

test_monitor_that_talks_nonsense()
{
	managed_qemu
	qemu_say web 'say }{ this is not JSON'
	until_true logged "what it says is not JSON"
	# it comes back and is managed anew
	until_true eval '[ "$(grep -c "^connected" "$work/web.out")" -ge 2 ]'
	vm_set "$qemu_pid" balloon_target_bytes $((16 * mib))
	until_true is "$qemu_pid" balloon_bytes $((16 * mib))
	daemon_stop
}

test_stuck_uncooperative_and_back()
{
	managed_qemu
	qemu_say web "obey 0"
	vm_set "$qemu_pid" balloon_target_bytes $((32 * mib))
	until_true is "$qemu_pid" balloon_state stuck
	until_true is "$qemu_pid" balloon_state uncooperative
	# what the module then wants is no obedience
	vm_set "$qemu_pid" balloon_target_bytes 0
	qemu_say web "stats available=$((99 * mib))"
	until_true eval '[ "$(tail -n 5 "$work/web.out" | grep -c qom-get)" -ge 1 ]'
	is "$qemu_pid" balloon_state uncooperative
	[ "$(grep -c '^balloon' "$work/web.out")" = 1 ]
	# nor is another connection, or another daemon
	qemu_say web "hang up"
	until_true eval '[ "$(grep -c "^connected" "$work/web.out")" -ge 2 ]'
	statistics_are_read
	is "$qemu_pid" balloon_state uncooperative
	# but it has something to do
	[ "$(grep -c "^balloon $((126 * mib))" "$work/web.out")" = 1 ]
	daemon_stop
	is "$qemu_pid" balloon_state uncooperative
	daemon_start --config "$work/conf"
	statistics_are_read
	[ "$(grep -c "^balloon $((126 * mib))" "$work/web.out")" = 2 ]
	is "$qemu_pid" balloon_state uncooperative
	# the driver wakes up
	qemu_say web "actual $((126 * mib))"
	until_true is "$qemu_pid" balloon_state ok
	daemon_stop
}

test_migration_freezes()
{
	managed_qemu
	qemu_say web "migrate active"
	until_true is "$qemu_pid" balloon_state frozen
	vm_set "$qemu_pid" balloon_target_bytes $((32 * mib))
	qemu_say web "stats available=$((98 * mib))"
	qemu_say web "migrate none"
	until_true is "$qemu_pid" balloon_state ok
	until_true is "$qemu_pid" balloon_bytes $((32 * mib))
	qemu_say web stop
	until_true is "$qemu_pid" balloon_state frozen
	qemu_say web cont
	until_true is "$qemu_pid" balloon_state ok
	daemon_stop
}

# ... at once, by what QEMU tells, and not when statistics are due: in a minute.
test_migration_is_told()
{
	scene
	printf '[daemon]\nlibvirt = none\nstats_period_s = 60\n' >"$work/conf"
	qemu_start web
	qemu_say web "stats total=$((128 * mib)) available=$((100 * mib)) swap-in=0 major-faults=0"
	vm_add "$qemu_pid"
	daemon_start --config "$work/conf"
	until_true asked web "migrate-set-capabilities "
	until_true is "$qemu_pid" balloon_state ok
	qemu_say web "migrate active"
	until_true is "$qemu_pid" balloon_state frozen
	qemu_say web "migrate completed"
	until_true is "$qemu_pid" balloon_state ok
	daemon_stop
}

test_no_device_is_none()
{
	scene
	echo "$quick" >"$work/conf"
	qemu_start web
	qemu_say web "device 0"
	vm_add "$qemu_pid"
	daemon_start --config "$work/conf"
	until_true is "$qemu_pid" balloon_state none
	daemon_stop
}

test_silent_guest_is_none()
{
	scene
	echo "$quick" >"$work/conf"
	qemu_start web
	vm_add "$qemu_pid"
	daemon_start --config "$work/conf"
	until_true is "$qemu_pid" balloon_state none
	vm_set "$qemu_pid" balloon_target_bytes $((32 * mib))
	# its driver appears
	qemu_say web "stats available=$((100 * mib)) total=$((128 * mib))"
	until_true is "$qemu_pid" balloon_state ok
	until_true is "$qemu_pid" balloon_bytes $((32 * mib))
	daemon_stop
}

test_restart_of_the_daemon_reads_reality()
{
	managed_qemu
	vm_set "$qemu_pid" balloon_target_bytes $((32 * mib))
	until_true is "$qemu_pid" balloon_bytes $((32 * mib))
	daemon_stop
	# what happens while it is away
	qemu_say web "actual $((80 * mib))"
	vm_set "$qemu_pid" balloon_target_bytes $((48 * mib))
	daemon_start --config "$work/conf"
	until_true is "$qemu_pid" balloon_bytes $((48 * mib))
	[ "$(grep -c '^balloon' "$work/web.out")" = 1 ]
	daemon_stop
}

test_restart_of_the_daemon_keeps_the_floor()
{
	local floor=$((128 * mib))
	managed_qemu
	qemu_say web "stats total=$((120 * mib)) available=$((1 * mib))"
	until_true is "$qemu_pid" floor_bytes "$floor"
	daemon_stop
	is "$qemu_pid" floor_bytes "$floor"
	# nobody can move it now
	is "$qemu_pid" balloon_state unknown
	qemu_say web "stats total=$((120 * mib)) available=$((100 * mib))"
	daemon_start --config "$work/conf"
	until_true is "$qemu_pid" balloon_state ok
	statistics_are_read
	is "$qemu_pid" floor_bytes "$floor"
	daemon_stop
}

test_killed_daemon_leaves_no_lock()
{
	managed_qemu
	# who could open it could lock it
	[ "$(stat -c %a "$work/lock")" = 600 ]
	kill -KILL "$daemon_pid"
	wait "$daemon_pid" || true
	daemon_start --config "$work/conf"
	until_true eval '[ "$(grep -c "^connected" "$work/web.out")" = 2 ]'
	daemon_stop
}

test_module_goes_and_comes_back()
{
	managed_qemu
	module_unload
	until_true logged "waiting for it"
	module_load
	vm_add "$qemu_pid"
	vm_set "$qemu_pid" balloon_target_bytes $((32 * mib))
	until_true is "$qemu_pid" balloon_bytes $((32 * mib))
	is "$qemu_pid" balloon_state ok
	daemon_stop
}

test_module_comes_after_the_daemon()
{
	scene
	echo "$quick" >"$work/conf"
	module_unload
	qemu_start web
	daemon_start --config "$work/conf"
	until_true logged "the module is not loaded: waiting"
	module_load
	vm_add "$qemu_pid"
	until_true asked web "query-balloon"
	daemon_stop
}

test_vms_come_and_go()
{
	local i pids=()
	scene
	echo "$quick" >"$work/conf"
	daemon_start --config "$work/conf"
	for i in 1 2 3 4 5; do
		qemu_start "g$i"
		vm_add "$qemu_pid"
		qemu_say "g$i" "stats available=$((100 * mib)) total=$((128 * mib))"
		pids+=("$qemu_pid")
	done
	for i in "${pids[@]}"; do
		until_true is "$i" balloon_state ok
	done
	qemu_kill "${pids[0]}"
	vm_remove "${pids[0]}"
	until_true logged "(${pids[0]}) has left the module"
	vm_set "${pids[4]}" balloon_target_bytes $((32 * mib))
	until_true is "${pids[4]}" balloon_bytes $((32 * mib))
	daemon_stop
}

test_connection_lost_and_found()
{
	managed_qemu
	printf '%s\n[vm web]\nshares = 2000\n' "$quick" >"$work/conf"
	kill -HUP "$daemon_pid"
	until_true is "$qemu_pid" shares 2000
	# by hand
	vm_set "$qemu_pid" shares 5555
	qemu_say web "hang up"
	until_true eval '[ "$(grep -c "^connected" "$work/web.out")" -ge 2 ]'
	vm_set "$qemu_pid" balloon_target_bytes $((32 * mib))
	until_true is "$qemu_pid" balloon_bytes $((32 * mib))
	is "$qemu_pid" shares 5555
	# nobody is to count on what nobody can move
	qemu_kill "$qemu_pid"
	until_true is "$qemu_pid" balloon_state unknown
	daemon_stop
}

test_only_one_daemon()
{
	local status=0
	managed_qemu
	"$ballastd" --no-libvirt 2>"$work/second" || status=$?
	[ "$status" = 4 ]
	grep -q "another ballastd runs" "$work/second"
	daemon_stop
}

test_daemon_options_and_errors()
{
	scene
	expect 0 "$ballastd" --help
	said "usage: ballastd"
	expect 0 "$ballastd" --version
	said "^ballastd [0-9]+"
	expect 2 "$ballastd" --nonsense
	expect 2 "$ballastd" word
	expect 3 "$ballastd" --config "$work/none"
	said "none: cannot be read"
	printf '[daemon]\nstats_period_s = 0\n' >"$work/conf"
	expect 3 "$ballastd" --config "$work/conf"
	said 'line 2: stats_period_s: "0" cannot be'
	printf '[memory]\na = 1\n' >"$work/conf"
	expect 3 "$ballastd" --config "$work/conf"
	said 'no section \[memory\]'
}

# the example is what people begin with
test_example_configuration_is_valid()
{
	scene
	sed 's/^#\([a-z]\)/\1/; s/^#\[/[/' "$tools_root/tools/ballastd/ballastd.conf" >"$work/conf"
	grep -q '^shares' "$work/conf"
	sed -i 's/^libvirt *=.*/libvirt = none/; /^qmp/d' "$work/conf"
	daemon_start --config "$work/conf"
	until_true logged "the module is loaded"
	daemon_stop
}

# libvirt's test driver has one domain, "test", and no process: the one here
# is where the pid file says.
test_libvirt_domain_is_followed()
{
	scene
	printf '[daemon]\nlibvirt = test:///default\nfind_qmp = no\nstats_period_s = 1\n[vm test]\nballoon = yes\nshares = 77\n' >"$work/conf"
	qemu_start test
	mkdir -p "$work/host/run/libvirt/qemu"
	echo "$qemu_pid" >"$work/host/run/libvirt/qemu/test.pid"
	vm_add "$qemu_pid" $((8192 * mib))
	daemon_start --config "$work/conf"
	until_true logged "connected to libvirt"
	until_true is "$qemu_pid" balloon_state ok
	is "$qemu_pid" shares 77
	# it has 8 GiB and 2 GiB of them now
	until_true is "$qemu_pid" balloon_bytes $((6144 * mib))
	vm_set "$qemu_pid" balloon_target_bytes $((4096 * mib))
	until_true is "$qemu_pid" balloon_bytes $((4096 * mib))
	daemon_stop
}

test_pid_file_of_another_is_not_believed()
{
	scene
	printf '[daemon]\nlibvirt = test:///default\nfind_qmp = no\n' >"$work/conf"
	qemu_start web
	mkdir -p "$work/host/run/libvirt/qemu"
	echo "$qemu_pid" >"$work/host/run/libvirt/qemu/test.pid"
	vm_add "$qemu_pid"
	daemon_start --config "$work/conf"
	until_true logged "process $qemu_pid of its pid file is not this guest"
	is "$qemu_pid" balloon_state unknown
	daemon_stop
}

# a service manager that only listens
test_tells_systemd_when_ready()
{
	scene
	echo "$quick" >"$work/conf"
	socat -u "UNIX-RECV:$work/notify" "CREATE:$work/notified" &
	until_true test -S "$work/notify"
	NOTIFY_SOCKET=$work/notify daemon_start --config "$work/conf"
	until_true grep -qs READY=1 "$work/notified"
	daemon_stop
	until_true grep -q STOPPING=1 "$work/notified"
}

# What systemd does not know it ignores: a slip in the sandbox would go unseen.
test_unit_is_understood()
{
	command -v systemd-analyze >/dev/null || skip "no systemd-analyze"
	scene
	sed "s|^ExecStart=.*|ExecStart=$ballastd|" "$tools_root/tools/ballastd/ballastd.service" \
		>"$work/ballastd.service"
	expect 0 systemd-analyze verify --man=no "$work/ballastd.service"
	[ ! -s "$work/said" ] || { cat "$work/said"; return 1; }
}

ktap_suite ballastd
run_tests "$@"
ktap_end
