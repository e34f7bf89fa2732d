#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2016,SC2317	# ktap_run calls the functions; conditions are evaluated
#
# ballastd with the real module, real guests and their balloon driver, by QMP.
#
# The host's memory is limited for the pool of ordinary memory, so that targets
# are below sizes; what matters here is that balloons get to where the module
# wants them, whatever that is, and that guests live through it.

here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/vm/guests.sh
. "$here/../vm/guests.sh"

mib=1048576
top=/sys/kernel/ballast
tools=$here/../../.build/tools
balloon=(--qemu-arg -device --qemu-arg virtio-balloon-pci)

value()
{
	cat "$top/vms/$(guest_pid "$1")/$2" 2>/dev/null
}

is()
{
	[ "$(value "$1" "$2")" = "$3" ]
}

over()
{
	[ "$(value "$1" "$2")" -gt "$3" ] 2>/dev/null
}

# until_true SECONDS COMMAND...
until_true()
{
	local limit end
	limit=$(guests_seconds "$1")
	end=$((SECONDS + limit))
	shift
	until "$@"; do
		if [ "$SECONDS" -ge "$end" ]; then
			echo "never true in $limit s: $*"
			"$tools/ballastctl" status
			tail -n 20 /tmp/ballastd.log
			return 1
		fi
		sleep 0.3
	done
}

daemon_start()
{
	"$tools/ballastd" -v -v --config /tmp/ballastd.conf 2>>/tmp/ballastd.log &
	echo $! >/tmp/ballastd.pid
}

daemon_end()
{
	local pid
	pid=$(cat /tmp/ballastd.pid) || return 0
	kill "-$1" "$pid" 2>/dev/null
	until_true 30 eval "! kill -0 $pid 2>/dev/null"
}

# where QEMU says that the balloon is, in MiB of the guest's
present_mib()
{
	guest_hmp "$1" info balloon | sed -n 's/.*actual=\([0-9]*\).*/\1/p'
}

resident_mib()
{
	awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$(guest_pid "$1")/status"
}

test_guests_are_found()
{
	guest_start a "${balloon[@]}" --workload identical=8,dirty=20
	guest_start none --workload identical=4
	daemon_start
	guest_wait_ready a 180
	guest_wait_ready none 180
	until_true 60 is a balloon_state ok
	until_true 60 is none balloon_state none
	is a balloon_bytes 0
	"$tools/ballastctl" list | grep -qx "$(guest_pid a) a"
}

test_observe_moves_nothing()
{
	echo observe >"$top/policy/mode"
	echo $((160 * mib)) >"$top/pools/host/limit_bytes"
	until_true 60 eval '[ "$(value a reason)" = observe ] || [ "$(value a target_bytes)" -lt "$(value a size_bytes)" ]'
	is a balloon_bytes 0
	[ "$(present_mib a)" = 128 ]
}

test_enforce_moves_the_balloon()
{
	local before
	before=$(resident_mib a)
	echo enforce >"$top/policy/mode"
	until_true 120 over a balloon_bytes $((8 * mib))
	# it gets to where the module wants it
	until_true 120 eval '[ "$(value a balloon_bytes)" = "$(value a balloon_target_bytes)" ]'
	[ "$(present_mib a)" -le 120 ]
	is none balloon_bytes 0
	guest_verify a
	guest_check none
	echo "resident: $before MiB before, $(resident_mib a) MiB after"
	"$tools/ballastctl" explain a
	"$tools/ballastctl" explain a | grep -q "^Its balloon holds"
}

test_daemon_dies_and_begins_anew()
{
	local held
	held=$(value a balloon_bytes)
	daemon_end KILL
	daemon_start
	until_true 60 eval 'grep -c "a .* is managed" /tmp/ballastd.log | grep -qx 2'
	is a balloon_state ok
	[ "$(value a balloon_bytes)" -ge $((held / 2)) ]
}

test_module_is_loaded_anew()
{
	rmmod ballast
	until_true 30 grep -q "waiting for it" /tmp/ballastd.log
	modprobe ballast
	echo 1000 >"$top/policy/balance_period_ms"
	# with no limit the guest gets everything back; what it holds is told first
	until_true 60 is a balloon_state ok
	echo enforce >"$top/policy/mode"
	until_true 120 is a balloon_bytes 0
	[ "$(present_mib a)" = 128 ]
	guest_verify a
}

test_stopped_guest_is_frozen()
{
	guest_hmp a stop
	until_true 60 is a balloon_state frozen
	guest_hmp a cont
	until_true 60 is a balloon_state ok
}

test_trace_is_what_the_simulator_reads()
{
	"$tools/ballastctl" --count 2 --targets /tmp/targets record /tmp/trace
	[ "$(wc -l </tmp/trace)" = 5 ]
	[ "$(wc -l </tmp/targets)" = 5 ]
	"$tools/ballast-sim" /tmp/trace >/tmp/simulated
	[ "$(wc -l </tmp/simulated)" = 5 ]
}

test_doctor_knows_the_host()
{
	"$tools/ballastctl" doctor >/tmp/doctor || true
	cat /tmp/doctor
	for line in "ok       module" "ok       abi" "ok       kvm" "ok       ballastd" \
		"wrong    balloon" "ok       balloon"; do
		grep -q "^$line" /tmp/doctor
	done
}

test_guest_that_ends_is_forgotten()
{
	local pid
	pid=$(guest_pid a)
	guest_stop a
	until_true 30 grep -q "a ($pid) has left the module" /tmp/ballastd.log
	daemon_end TERM
}

if [ -z "${BALLAST_LAB:-}" ] || [ ! -e /dev/kvm ]; then
	echo "1..0 # SKIP needs the lab host (selftests/vm/run)"
	exit 4
fi
"$here/build" || { echo "1..0 # SKIP the tools cannot be built"; exit 4; }
trap 'daemon_end TERM; guests_stop_all' EXIT
printf '[daemon]\nlibvirt = none\nstats_period_s = 2\n' >/tmp/ballastd.conf
: >/tmp/ballastd.log
modprobe ballast
echo 1000 >"$top/policy/balance_period_ms"
echo 1000 >"$top/sampling/period_ms"
ktap_suite ballastd
ktap_plan 9
ktap_run guests_are_found test_guests_are_found
ktap_run observe_moves_nothing test_observe_moves_nothing
ktap_run enforce_moves_the_balloon test_enforce_moves_the_balloon
ktap_run daemon_dies_and_begins_anew test_daemon_dies_and_begins_anew
ktap_run module_is_loaded_anew test_module_is_loaded_anew
ktap_run stopped_guest_is_frozen test_stopped_guest_is_frozen
ktap_run trace_is_what_the_simulator_reads test_trace_is_what_the_simulator_reads
ktap_run doctor_knows_the_host test_doctor_knows_the_host
ktap_run guest_that_ends_is_forgotten test_guest_that_ends_is_forgotten
ktap_end
