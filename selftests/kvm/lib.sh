# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# For tests with the VMs of minivm.c, in the lab; to be sourced after ktap.sh.
#
#   kvm_start			builds minivm, loads the module afresh
#   kvm_end			unloads it
#   vm_start NAME [OPTIONS]	one process of minivm, ready on return
#   vm NAME REQUEST...		asks it; prints its answer, but not "ok"
#   ask NAME REQUEST...		the same, its answer's words in $said: no process is made
#   vm_kill NAME		as kill -9 does
#   vm_pid NAME
#   vm_shown NAME, vm_gone NAME	is its directory there?
#   get NAME FILE, set_ NAME FILE VALUE	of its directory
#   kvm_refcount		of the vendor's module
#   kvm_vms, kvm_vms_are N	VMs that KVM has
#   knob DIRECTORY/FILE [VALUE]	prints or sets it
#   quick			periods of half a second
#   periods_begun NAME COUNT	so many periods of sampling, or more
#   passes_of NAME, has_passes NAME COUNT
#   does_not_run NAME
#   come_round NAME		makes periods so long that the VM goes over what it uses
#				four times in one: a slow host's VM uses less in less
#   settled NAME...		their estimates know what they use now
#   test_end			to be trapped on EXIT by each test: kills all VMs,
#				gives every knob its default; calls test_ended at
#				last, if there is one
# and what vm/expect.sh has.

lib_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=selftests/vm/expect.sh
. "$lib_dir/../vm/expect.sh"
root=/sys/kernel/ballast
work=
# Their vCPUs': above 0 where a test that shares the host's CPU is to come to its turn.
vm_nice=0

# kvm_build PROGRAM: into $work, as sharing/build made it, or compiled now
kvm_build()
{
	local source=$lib_dir/$1.c made=$lib_dir/../../.build/selftests/sharing/${1##*/}
	if [ "$made" -nt "$source" ] && [ "$made" -nt "$lib_dir/load_guest.h" ]; then
		ln -s "$made" "$work/"
	else
		gcc -O2 -Wall -Wextra -Werror -pthread -o "$work/${1##*/}" "$source"
	fi
}

kvm_start()
{
	[ -n "${BALLAST_LAB:-}" ] || { echo "run me in the lab: selftests/vm/run"; exit 2; }
	[ -e /dev/kvm ] || modprobe kvm_amd
	work=$(mktemp -d /tmp/kvm.XXXXXX) || exit 1
	kvm_build minivm || exit 1
	mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug
	! grep -q '^ballast ' /proc/modules || rmmod ballast || exit 1
	modprobe ballast || exit 1
	kvm_defaults=$(knobs_print)
}

kvm_end()
{
	rmmod ballast
}

knobs_print()
{
	local file
	for file in "$root"/policy/* "$root"/sampling/*; do
		echo "$file $(attribute "$file")"
	done
}

# Thresholds have an order: twice, so that each finds its place.
knobs_restore()
{
	local file value
	for _ in 1 2; do
		while read -r file value; do
			echo "$value" 2>/dev/null >"$file"
		done <<<"$kvm_defaults"
	done
	echo 0 >"$root/pools/host/limit_bytes"
}

vm_start()
{
	local name=$1 channel=$work/vm.$1 line
	shift
	mkfifo "$channel.in" "$channel.out"
	"$work/minivm" --nice "$vm_nice" "$@" <"$channel.in" >"$channel.out" 2>"$channel.err" &
	declare -g "vm_pid_$name=$!"
	echo $! >"$channel.pid"
	exec {vm_fd}>"$channel.in"
	declare -g "vm_in_$name=$vm_fd"
	exec {vm_fd}<"$channel.out"
	declare -g "vm_out_$name=$vm_fd"
	read -r line <&"$vm_fd" || { cat "$channel.err"; return 1; }
	[ "${line%% *}" = ready ] || { echo "vm $name: $line"; return 1; }
}

vm()
{
	local name=$1 in=vm_in_$1 out=vm_out_$1 line
	shift
	echo "$*" >&"${!in}"
	read -r line <&"${!out}" || { echo "vm $name has died: $(<"$work/vm.$name.err")"; return 1; }
	[ "$line" = ok ] || echo "$line"
}

vm_pid()
{
	local pid=vm_pid_$1
	echo "${!pid}"
}

ask()
{
	local in=vm_in_$1 out=vm_out_$1 name=$1
	shift
	echo "$*" >&"${!in}"
	# shellcheck disable=SC2034	# for the caller
	read -r -a said <&"${!out}" ||
		{ echo "vm $name has died: $(<"$work/vm.$name.err")"; return 1; }
}

vm_kill()
{
	local in=vm_in_$1 out=vm_out_$1 pid=vm_pid_$1 fd
	kill -KILL "${!pid}"
	wait "${!pid}" 2>/dev/null || true
	fd=${!in}
	exec {fd}>&-
	fd=${!out}
	exec {fd}<&-
	rm -f "$work/vm.$1.in" "$work/vm.$1.out"
}

vm_shown()
{
	local pid=vm_pid_$1
	[ -e "$root/vms/${!pid}/reason" ]
}

# is_in_pool NAME POOL: where its files are is not asked while the VM's mmap_lock is taken, but at
# the next tick then
is_in_pool()
{
	vm_shown "$1" && [ "$(get "$1" pool)" = "$2" ]
}

vm_gone()
{
	local pid=vm_pid_$1
	[ ! -e "$root/vms/${!pid}" ]
}

kvm_refcount()
{
	attribute /sys/module/kvm_amd/refcnt
}

# KVM has a debugfs directory for each VM that exists.
kvm_vms()
{
	find /sys/kernel/debug/kvm -mindepth 1 -maxdepth 1 -type d | wc -l
}

kvm_vms_are()
{
	[ "$(kvm_vms)" = "$1" ]
}

get()
{
	local pid=vm_pid_$1
	attribute "$root/vms/${!pid}/$2"
}

set_()
{
	local pid=vm_pid_$1
	echo "$3" >"$root/vms/${!pid}/$2"
}

knob()
{
	if [ $# = 1 ]; then
		attribute "$root/$1"
	else
		echo "$2" >"$root/$1"
	fi
}

quick()
{
	knob sampling/period_ms 500
	knob policy/balance_period_ms 1000
}

passes_of()
{
	ask "$1" passes
	echo "${said[1]}"
}

has_passes()
{
	ask "$1" passes && [ "${said[1]}" -ge "$2" ]
}

periods_begun()
{
	[ "$(get "$1" active_periods)" -ge "$2" ]
}

does_not_run()
{
	[ "$(get "$1" running)" = 0 ]
}

# next_period NAME MS: wait until its next one, of that length, begins
next_period()
{
	wait_until $((60 + 2 * $2 / 1000)) periods_begun "$1" $(($(get "$1" active_periods) + 1))
}

# Counted in a whole period, from one's begin to the next one's, for being watched makes
# it slower: where a fault takes a millisecond, samples of each half second would have the
# time that it needs; and what a period begins with takes its time itself.
come_round()
{
	local name=$1 method ms=$((500 * slow)) passes
	method=$(knob sampling/method)
	knob sampling/method off
	wait_until 60 has_passes "$name" $(($(passes_of "$name") + 1))
	wait_until 10 knows_nothing "$name"
	[ "$(knob sampling/period_ms)" -ge "$ms" ] || knob sampling/period_ms "$ms"
	knob sampling/method "$method"
	for _ in 1 2 3 4 5 6 7 8; do
		ms=$(knob sampling/period_ms)
		next_period "$name" "$ms"
		passes=$(passes_of "$name")
		next_period "$name" "$ms"
		passes=$(($(passes_of "$name") - passes))
		[ "$passes" -lt 4 ] || return 0
		knob sampling/period_ms $((ms * 4 / (passes < 1 ? 1 : passes)))
	done
	echo "$name: $passes passes in a period of $ms ms"
	return 1
}

# Nothing of what was before: a change of the method makes them forget it.
settled()
{
	local name method
	method=$(knob sampling/method)
	knob sampling/method off
	for name in "$@"; do
		wait_until 10 knows_nothing "$name"
	done
	knob sampling/method "$method"
	for name in "$@"; do
		wait_until 60 periods_begun "$name" 2
	done
}

knows_nothing()
{
	[ "$(get "$1" active_periods)" = 0 ]
}

test_end()
{
	local status=${1:-$?} file
	set +e
	for file in "$work"/vm.*.pid; do
		[ ! -e "$file" ] || kill -KILL "$(<"$file")" 2>/dev/null
	done
	wait 2>/dev/null
	rm -f "$work"/vm.*
	for file in "$work"/*; do
		[ -d "$file" ] || continue
		mountpoint -q "$file" || continue
		find "$file" -mindepth 1 -delete
		umount "$file" || status=1
	done
	[ ! -e "$root" ] || knobs_restore
	! declare -F test_ended >/dev/null || test_ended || status=1
	exit "$status"
}
