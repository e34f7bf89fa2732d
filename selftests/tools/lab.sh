# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034	# variables are for who sources this
#
# ballastd with the real module, in the lab; to be sourced after vm/guests.sh.
#
#   module_load			as after boot; balances every second
#   value NAME FILE		of a VM in sysfs
#   is NAME FILE VALUE, over NAME FILE NUMBER	conditions
#   pool POOL FILE		prints it
#   knob FILE VALUE		below /sys/kernel/ballast
#   until_true SECONDS COMMAND...	wait; says how things stand when it fails
#   daemon_start, daemon_end SIGNAL, daemon_reload
#   managed NAME		how often the daemon that runs, and those before it, took it
#   near A B			bytes, as good as equal
#   has_enough POOL		as good as what its state high wants is free
#   holds_what_is_wanted NAME POOL	its balloon, as far as the pool needs it
#
# Redefined by who sources this and needs something else: pid_of NAME, if the VM is
# none of guests.sh, and say_more, what else to say when a wait fails.

mib=1048576
top=/sys/kernel/ballast
tools=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)/.build/tools
daemon_log=/tmp/ballastd.log

# The test before this one may have left it with other settings.
module_load()
{
	! grep -q '^ballast ' /proc/modules || rmmod ballast || return 1
	modprobe ballast
	knob policy/balance_period_ms 1000
}

pid_of()
{
	guest_pid "$1"
}

value()
{
	cat "$top/vms/$(pid_of "$1")/$2" 2>/dev/null
}

is()
{
	[ "$(value "$1" "$2")" = "$3" ]
}

over()
{
	[ "$(value "$1" "$2")" -gt "$3" ] 2>/dev/null
}

pool()
{
	cat "$top/pools/$1/$2"
}

knob()
{
	echo "$2" >"$top/$1"
}

near()
{
	local apart=$(($1 - $2))
	[ "${apart#-}" -le $((2 * mib)) ]
}

# A pool that has enough free moves no balloon, whatever the targets are.
holds_what_is_wanted()
{
	local held
	held=$(value "$1" balloon_bytes)
	[ "$held" = "$(value "$1" balloon_target_bytes)" ] || return 1
	near "$held" $(($(value "$1" size_bytes) - $(value "$1" target_bytes))) ||
		has_enough "$2"
}

# has_enough POOL: as much is free as the state high wants, as good as.  The targets
# leave just that, and a change too small to be made may be missing.
has_enough()
{
	local wanted
	wanted=$(($(pool "$1" size_bytes) * $(cat "$top/policy/high_bp") / 10000))
	[ "$(pool "$1" free_bytes)" -ge $((wanted - 3 * mib)) ]
}

say_more()
{
	:
}

say_how_it_stands()
{
	"$tools/ballastctl" status
	grep -s . "$top"/pools/*/{state,size_bytes,used_bytes,free_bytes,vms_target_bytes} \
		"$top"/vms/*/{balloon_bytes,balloon_target_bytes,balloon_state,floor_bytes,reason} || true
	tail -n 20 "$daemon_log"
	say_more
}

until_true()
{
	local limit end
	limit=$(guests_seconds "$1")
	end=$((SECONDS + limit))
	shift
	until "$@"; do
		if [ "$SECONDS" -ge "$end" ]; then
			echo "never true in $limit s: $*"
			say_how_it_stands
			return 1
		fi
		sleep 0.3
	done
}

# It outlives the test that starts it, whose output ktap_run may read to the end.
daemon_start()
{
	"$tools/ballastd" -v -v --config /tmp/ballastd.conf >>"$daemon_log" 2>&1 3>&- &
	echo $! >/tmp/ballastd.pid
}

daemon_end()
{
	local pid
	pid=$(cat /tmp/ballastd.pid) || return 0
	kill "-$1" "$pid" 2>/dev/null
	until_true 30 eval "! kill -0 $pid 2>/dev/null"
}

daemon_reload()
{
	kill -HUP "$(cat /tmp/ballastd.pid)"
}

managed()
{
	grep -c ": $1 ([0-9]*) is managed" "$daemon_log" || true
}
