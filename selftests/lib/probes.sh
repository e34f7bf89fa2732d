# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Probes in the running kernel, for tests of races; to be sourced after ktap.sh.
#
#   probe_slow FUNCTION FILTER	the function takes 50 us longer, or more
#   probe_count FUNCTION		its calls are counted from now on
#   probe_calls			prints how many there were
#   probes_end			undoes both; to be called when the test ends
#
# FILTER is one of trace events: 'comm == "users"', "common_pid == 5".  A window
# of a few instructions is not hit by chance, least of all on emulated CPUs that
# take turns: a function that is called in it makes it wide.  What makes it slow
# are stack traces, which nobody reads.

probes=/sys/kernel/tracing
probes_many=16

probes_mounted()
{
	[ -e "$probes/trace" ] || command mount -t tracefs none "$probes" || lacks "no tracefs"
	[ -e "$probes/kprobe_events" ] || lacks "no kprobe_events"
}

probe_slow()
{
	local i
	probes_mounted
	echo 1 >"$probes/options/stacktrace"
	for ((i = 0; i < probes_many; i++)); do
		echo "p:probes/slow$i $1" >>"$probes/kprobe_events"
		echo "$2" >"$probes/events/probes/slow$i/filter"
		echo 1 >"$probes/events/probes/slow$i/enable"
	done
}

probe_count()
{
	probes_mounted
	echo "p:probes/counted $1" >>"$probes/kprobe_events"
	echo 1 >"$probes/events/probes/counted/enable"
}

probe_calls()
{
	awk '$1 == "counted" { print $2 }' "$probes/kprobe_profile"
}

probes_end()
{
	[ -e "$probes/events/probes" ] || return 0
	echo 0 >"$probes/options/stacktrace"
	echo 0 >"$probes/events/probes/enable"
	echo >"$probes/kprobe_events"
	echo >"$probes/trace"
}
