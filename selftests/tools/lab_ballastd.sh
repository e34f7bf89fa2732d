#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2016,SC2317	# ktap_run calls the functions; conditions are evaluated
# Whatever the host's kernel: 6.1
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
# shellcheck source=selftests/tools/lab.sh
. "$here/lab.sh"

balloon=(--qemu-arg -device --qemu-arg virtio-balloon-pci)
# Of the guest whose balloon is to move: it needs 80 MiB itself, and its balloon comes
# to 110 before the pool has enough for the last time.
memory=224

# where QEMU says that the balloon is, in MiB of the guest's
present_mib()
{
	guest_hmp "$1" info balloon | sed -n 's/.*actual=\([0-9]*\).*/\1/p'
}

resident_mib()
{
	awk '/^VmRSS/ { print int($2 / 1024) }' "/proc/$(guest_pid "$1")/status"
}

# limit_by MIB: the host's memory for VMs is so much less than they use now
limit_by()
{
	knob pools/host/limit_bytes $(($(pool host used_bytes) - $1 * mib))
}

configure()
{
	printf '[daemon]\nlibvirt = none\nstats_period_s = 2\n%b' "$*" >/tmp/ballastd.conf
}

# a: touches all its memory when it boots, so that what its balloon takes was there;
# none: has no balloon; deaf: has one, and no driver.
test_guests_are_found()
{
	guest_start a --memory "$memory" "${balloon[@]}" --workload identical=8,dirty=20 \
		--append memtest=1
	guest_start none --workload identical=4
	guest_start deaf "${balloon[@]}" --no-drivers --workload identical=4
	daemon_start
	guest_wait_ready a 240
	guest_wait_ready none 240
	guest_wait_ready deaf 240
	until_true 60 is a balloon_state ok
	until_true 60 is none balloon_state none
	until_true 60 is deaf balloon_state none
	is a balloon_bytes 0
	"$tools/ballastctl" list | grep -qx "$(guest_pid a) a"
}

test_observe_moves_nothing()
{
	knob policy/mode observe
	limit_by 16
	until_true 60 eval 'is a reason observe && over a size_bytes "$(value a target_bytes)"'
	is a balloon_bytes 0
	[ "$(present_mib a)" = "$memory" ]
}

# Memory of a VM is back with the host: what the module counts, and the kernel.
test_enforce_moves_the_balloon()
{
	local counted resident held
	counted=$(($(value a resident_bytes) / mib))
	resident=$(resident_mib a)
	knob policy/mode enforce
	until_true 120 over a balloon_bytes $((16 * mib))
	until_true 120 has_enough host
	until_true 60 holds_what_is_wanted a host
	held=$((memory - $(present_mib a)))
	near "$(value a balloon_bytes)" $((held * mib))
	echo "counted: $counted MiB before, $(($(value a resident_bytes) / mib)) after;" \
		"resident: $resident before, $(resident_mib a) after; balloon $held"
	[ $(($(value a resident_bytes) / mib)) -le $((counted - held + 8)) ]
	[ "$(resident_mib a)" -le $((resident - held + 8)) ]
	guest_verify a
	"$tools/ballastctl" explain a
	"$tools/ballastctl" explain a | grep -q "^Its balloon holds"
}

# What a VM without a balloon has: its process has a little more, QEMU's own.
has()
{
	local resident size
	resident=$(value "$1" resident_bytes)
	size=$(value "$1" size_bytes)
	echo $((resident < size ? resident : size))
}

keeps_what_it_has()
{
	near "$(value "$1" target_bytes)" "$(has "$1")"
}

# The VMs and the pool are read one after the other: at some moment they say the same.
all_is_planned()
{
	local all
	all=$(($(value a target_bytes) + $(value none target_bytes) + $(value deaf target_bytes)))
	near "$all" "$(pool host vms_target_bytes)" &&
		near "$all" "$(pool host vms_available_bytes)"
}

# Those who have no balloon, or no driver for it, keep what they have; who has one
# has the rest.
test_others_are_planned_as_they_are()
{
	local name
	for name in none deaf; do
		is "$name" balloon_bytes 0
		is "$name" balloon_target_bytes 0
		until_true 10 is "$name" reason no-balloon
		until_true 10 keeps_what_it_has "$name"
		guest_check "$name"
	done
	guest_hmp deaf info balloon | grep "actual=128"
	until_true 10 all_is_planned
}

# The same guest, of which the admin says that it has a driver: asked, it does not
# move, and its part falls to its neighbour.
test_balloon_that_does_not_move_is_given_up()
{
	local held
	held=$(value a balloon_bytes)
	configure '[vm deaf]\nballoon = yes\n'
	daemon_reload
	limit_by 8
	# what does not last is looked for in the log
	until_true 60 grep -q ": deaf: leave [0-9]* of" "$daemon_log"
	until_true 60 grep -q ": deaf: its balloon is stuck" "$daemon_log"
	until_true 60 is deaf balloon_state uncooperative
	until_true 30 is deaf reason no-balloon
	is deaf balloon_bytes 0
	until_true 10 keeps_what_it_has deaf
	until_true 120 over a balloon_bytes $((held + 4 * mib))
	until_true 120 has_enough host
	is deaf balloon_target_bytes 0
	"$tools/ballastctl" doctor | grep -q "^wrong    balloon .*deaf .*uncooperative"
	guest_check deaf
	configure
}

as_qemu_says()
{
	near "$(value "$1" balloon_bytes)" $(((memory - $(present_mib "$1")) * mib))
}

# Nothing is given back because the daemon went.  A target that rises meanwhile would
# be a good reason; what the guest has now is its most, so that none does.
test_daemon_dies_and_begins_anew()
{
	local present before line most
	until_true 60 holds_what_is_wanted a host
	present=$(present_mib a)
	knob "vms/$(pid_of a)/max_bytes" $((present * mib))
	before=$(managed a)
	line=$(wc -l <"$daemon_log")
	daemon_end KILL
	daemon_start
	until_true 60 eval "[ \$(managed a) -gt $before ]"
	until_true 60 is a balloon_state ok
	most=$(tail -n "+$((line + 1))" "$daemon_log" | sed -n 's/.*: a: leave \([0-9]*\) of .*/\1/p' |
		sort -n | tail -n 1)
	echo "present: $present MiB before, $(present_mib a) now; told to leave ${most:-nothing}"
	[ "${most:-0}" -le $(((present + 4) * mib)) ]
	[ "$(present_mib a)" -le $((present + 4)) ]
	until_true 30 as_qemu_says a
}

test_module_is_loaded_anew()
{
	rmmod ballast
	until_true 30 grep -q "waiting for it" "$daemon_log"
	module_load
	# with no limit the guest gets everything back; what it holds is told first
	until_true 60 is a balloon_state ok
	knob policy/mode enforce
	until_true 120 is a balloon_bytes 0
	[ "$(present_mib a)" = "$memory" ]
	guest_verify a
}

test_stopped_guest_is_frozen()
{
	guest_hmp a stop
	until_true 60 is a balloon_state frozen
	guest_hmp a cont
	until_true 60 is a balloon_state ok
}

# Memory is short, and the guest, which runs, is not asked for any; when QEMU has given up it is.
test_migrating_guest_is_frozen()
{
	guest_hmp a "migrate_set_parameter max-bandwidth 100k"
	guest_hmp a 'migrate -d "exec:cat >/dev/null"'
	until_true 60 is a balloon_state frozen
	limit_by 16
	until_true 60 eval '[ "$(pool host state)" != high ]'
	until_true 60 is a reason frozen
	guest_check a
	guest_hmp a info migrate | grep "Migration status: active"
	guest_hmp a info status | grep "VM status: running"
	[ "$(present_mib a)" = "$memory" ]
	guest_hmp a migrate_cancel
	until_true 60 is a balloon_state ok
	until_true 120 over a balloon_bytes $((4 * mib))
	knob pools/host/limit_bytes 0
	until_true 120 is a balloon_bytes 0
	guest_verify a
}

test_trace_is_what_the_simulator_reads()
{
	"$tools/ballastctl" --count 2 --targets /tmp/targets record /tmp/trace
	[ "$(wc -l </tmp/trace)" = 7 ]
	[ "$(wc -l </tmp/targets)" = 7 ]
	"$tools/ballast-sim" /tmp/trace >/tmp/simulated
	[ "$(wc -l </tmp/simulated)" = 7 ]
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

# between MIN MAX: so says the module of "none", in MiB
between()
{
	is none min_bytes $(($1 * mib)) && is none max_bytes $(($2 * mib))
}

# The module refuses a min above the max, on the way too: up, down, and past each other.
test_min_and_max_go_together()
{
	local range min max
	for range in "8 16" "32 64" "8 16" "2 4"; do
		read -r min max <<<"$range"
		"$tools/ballastctl" set none "min=${min}M" "max=${max}M"
		between "$min" "$max"
	done
	"$tools/ballastctl" set none min=default max=default
	for range in "8 16" "32 64" "2 4"; do
		read -r min max <<<"$range"
		configure "[vm none]\nmin = ${min}M\nmax = ${max}M\n"
		daemon_reload
		until_true 10 between "$min" "$max"
	done
	configure
	daemon_reload
	until_true 10 is none min_bytes 0
}

test_guest_that_ends_is_forgotten()
{
	local pid
	pid=$(guest_pid a)
	guest_stop a
	until_true 30 grep -q "a ($pid) has left the module" "$daemon_log"
	daemon_end TERM
}

if [ -z "${BALLAST_LAB:-}" ] || [ ! -e /dev/kvm ]; then
	echo "1..0 # SKIP needs the lab host (selftests/vm/run)"
	exit 4
fi
# Six minutes a boot, and what the kernel does here it does for kvm/lab_policy.sh too.
if [ -n "${BALLAST_LAB_DEBUG:-}" ]; then
	echo "1..0 # SKIP on the stock kernels"
	exit 4
fi
"$here/build" || { echo "1..0 # SKIP the tools cannot be built"; exit 4; }
trap 'daemon_end TERM; guests_stop_all' EXIT
configure
: >"$daemon_log"
module_load
ktap_suite ballastd
ktap_plan 13
ktap_run guests_are_found test_guests_are_found
ktap_run observe_moves_nothing test_observe_moves_nothing
ktap_run enforce_moves_the_balloon test_enforce_moves_the_balloon
ktap_run others_are_planned_as_they_are test_others_are_planned_as_they_are
ktap_run balloon_that_does_not_move_is_given_up test_balloon_that_does_not_move_is_given_up
ktap_run daemon_dies_and_begins_anew test_daemon_dies_and_begins_anew
ktap_run module_is_loaded_anew test_module_is_loaded_anew
ktap_run stopped_guest_is_frozen test_stopped_guest_is_frozen
ktap_run migrating_guest_is_frozen test_migrating_guest_is_frozen
ktap_run trace_is_what_the_simulator_reads test_trace_is_what_the_simulator_reads
ktap_run doctor_knows_the_host test_doctor_knows_the_host
ktap_run min_and_max_go_together test_min_and_max_go_together
ktap_run guest_that_ends_is_forgotten test_guest_that_ends_is_forgotten
ktap_end
