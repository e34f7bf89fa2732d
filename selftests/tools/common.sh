# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034	# variables are for who sources this
#
# A module that is a directory, and a QEMU without a guest; to be sourced.
#
#   scene                   in a test, first: a directory $work, cleaned up at the end
#   module_load             $sysfs looks as after insmod; module_unload
#   vm_add PID [SIZE]       the module sees a VM; vm_remove PID
#   vm_value PID FILE, vm_set PID FILE VALUE
#   qemu_start NAME [ARGUMENT...]   fills in $qemu_pid; $work/NAME.out has what it is asked
#   qemu_say NAME ORDER     see fake-qemu.c
#   daemon_start [ARGUMENT...]      fills in $daemon_pid; log in $work/log
#   daemon_stop             and fail if it did not end well
#   until_true COMMAND...   wait, at most $limit seconds
#   is PID FILE VALUE, asked NAME LINE, logged TEXT   conditions
#   expect STATUS COMMAND...        it ends so; then said PATTERN, json EXPRESSION
#   run_tests SUBSTRING...          all functions test_*, or those

tools_bin=${BALLAST_TOOLS:?run by selftests/tools/run}
ballastd=$tools_bin/ballastd
ballastctl=$tools_bin/ballastctl
fake_qemu=$tools_bin/fake-qemu
tools_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
tools_root=$(cd "$tools_here/../.." && pwd -P)
limit=40
mib=1048576

export ASAN_OPTIONS=exitcode=99 UBSAN_OPTIONS=print_stacktrace=1
unset NOTIFY_SOCKET JOURNAL_STREAM

# shellcheck disable=SC2317	# called by trap
scene_end()
{
	local status=$? pid
	for pid in $(jobs -p); do
		kill "$pid" 2>/dev/null
	done
	wait 2>/dev/null
	if [ $status != 0 ] && [ $status != 4 ] && [ -s "$work/log" ]; then
		sed 's/^/ballastd said: /' "$work/log"
	fi
	rm -rf "$work"
	exit $status
}

scene()
{
	work=$(mktemp -d)
	sysfs=$work/sysfs
	mkdir "$work/host"
	export BALLAST_SYSFS_ROOT=$sysfs BALLAST_STATE_DIR=$work BALLAST_HOST_ROOT=$work/host
	trap scene_end EXIT
	module_load
}

# put FILE VALUE, below $sysfs
put()
{
	echo "$2" >"$sysfs/$1"
}

module_load()
{
	mkdir -p "$sysfs"/{policy,vms,pools/host}
	put abi_version 9
	put policy/mode "${mode:-enforce}"
	put policy/tax_bp 7500
	put policy/balance_period_ms 200
	put pools/host/state high
	put pools/host/size_bytes $((1024 * mib))
	put pools/host/used_bytes $((256 * mib))
	put pools/host/free_bytes $((768 * mib))
	put pools/host/vms_available_bytes $((256 * mib))
	put pools/host/vms_target_bytes $((256 * mib))
	put vms_generation 1
}

module_unload()
{
	rm -r "$sysfs"
}

generation()
{
	put vms_generation $(($(cat "$sysfs/vms_generation") + 1))
}

vm_add()
{
	local pid=$1 size=${2:-$((128 * mib))} file
	# all of it at once, as sysfs does
	mkdir "$work/new"
	for file in resident_bytes unreclaimable_bytes shared_bytes min_bytes floor_bytes \
		balloon_bytes balloon_target_bytes; do
		echo 0 >"$work/new/$file"
	done
	echo fake >"$work/new/name"
	echo host >"$work/new/pool"
	echo "$size" | tee "$work/new/size_bytes" "$work/new/max_bytes" >"$work/new/target_bytes"
	echo 1 >"$work/new/running"
	echo 1280 >"$work/new/shares"
	echo 7500 >"$work/new/tax_bp"
	echo 2500 >"$work/new/active_bp"
	echo 400 >"$work/new/active_error_bp"
	echo 0.031250 >"$work/new/rho"
	echo unknown >"$work/new/balloon_state"
	echo tax >"$work/new/reason"
	mv "$work/new" "$sysfs/vms/$pid"
	generation
}

vm_remove()
{
	rm -r "${sysfs:?}/vms/$1"
	generation
}

vm_value()
{
	cat "$sysfs/vms/$1/$2"
}

vm_set()
{
	put "vms/$1/$2" "$3"
}

is()
{
	[ "$(vm_value "$1" "$2" 2>/dev/null)" = "$3" ]
}

asked()
{
	grep -qxF -- "$2" "$work/$1.out"
}

logged()
{
	grep -qF -- "$1" "$work/log"
}

until_true()
{
	local end=$((SECONDS + limit))
	until "$@"; do
		if [ $SECONDS -ge $end ]; then
			echo "never true: $*"
			return 1
		fi
		sleep 0.05
	done
}

qemu_start()
{
	local name=$1 fd
	shift
	mkfifo "$work/$name.in"
	"$fake_qemu" -name "$name" -m 128 -qmp "unix:$work/$name.qmp,server=on,wait=off" "$@" \
		<"$work/$name.in" >"$work/$name.out" 2>&1 &
	qemu_pid=$!
	exec {fd}>"$work/$name.in"
	eval "qemu_fd_$name=$fd"
	until_true asked "$name" listening
}

qemu_say()
{
	local fd=qemu_fd_$1
	echo "$2" >&"${!fd}"
}

# SIGKILL: the end of a process, not of a test
qemu_kill()
{
	kill -KILL "$1"
	wait "$1" 2>/dev/null || true
}

daemon_start()
{
	"$ballastd" -v -v "$@" 2>>"$work/log" &
	daemon_pid=$!
}

daemon_stop()
{
	local status=0
	kill -TERM "$daemon_pid"
	wait "$daemon_pid" || status=$?
	[ "$status" = 0 ] || { echo "ballastd ended with $status"; return 1; }
}

# expect STATUS COMMAND...: it ends so
expect()
{
	local want=$1 status=0
	shift
	"$@" >"$work/said" 2>&1 || status=$?
	[ "$status" = "$want" ] || { echo "$*: status $status, not $want:"; cat "$work/said"; return 1; }
}

said()
{
	grep -qE -- "$1" "$work/said" || { echo "no $1 in:"; cat "$work/said"; return 1; }
}

# json EXPRESSION: of d, what was said.  awk has no JSON; the tool's own library
# has, by way of the interpreter that Debian always has.
json()
{
	perl -MJSON::PP -0777 -ne '
		BEGIN { $e = shift @ARGV }
		$d = decode_json($_);
		$e =~ s/\bd(?=\[)/\$d->/g;
		$e =~ s/\["(\w+)"\]/->{$1}/g; $e =~ s/\[(\d+)\]/->[$1]/g; $e =~ s/->->/->/g;
		@v = eval $e; die $@ if $@; print join(" ", @v), "\n"' "$1" "$work/said"
}

run_tests()
{
	local name wanted
	for name in $(declare -F | awk '$3 ~ /^test_/ { print substr($3, 6) }'); do
		for wanted in "${@:-}"; do
			[[ $name == *$wanted* ]] || continue
			ktap_run "$name" "test_$name"
			break
		done
	done
}
