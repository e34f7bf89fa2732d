# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# For tests of sharing, in the lab; to be sourced after ktap.sh.
#
#   lib_start			builds mapper, loads the module afresh, sets work
#   lib_end			unloads it; returns an error if that fails
#   build PROGRAM...		C programs into $work; as "build" beside this made
#				them, or compiled now
#   pool_mount NAME SIZE MODE [OPTIONS]	mounts at $work/NAME; OPTIONS are by default
#				compress=off: a full pool is full
#   test_end			undoes a test: mappers, mounts, tunables; to be
#				trapped on EXIT by each test function; calls test_ended
#				at last, if there is one
#   mapper_start NAME FILE PAGES	a mapper.c, to be asked things by
#   mapper NAME REQUEST...	an error, with what was found, if it says "bad"
#   mapper_stop NAME
#   pool NAME ATTRIBUTE		prints it
#   sharing ATTRIBUTE [VALUE]	prints or sets it
#   sharing_stop		no scanning, and no pass begins by itself; each then
#				looks at all pages (smart_scan is 0)
#   flat_out			as fast as it goes, pass after pass
#   one_pass			a whole pass from its start, flat out, and only one
#   dump POOL			its lines of debugfs' slots
# and what vm/expect.sh has.

lib_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=selftests/vm/expect.sh
. "$lib_dir/../vm/expect.sh"
root=/sys/kernel/ballast
work=

# is_newest FILE OTHERS...
is_newest()
{
	local file=$1 other
	shift
	for other in "$@"; do
		[ "$file" -nt "$other" ] || return 1
	done
}

build()
{
	local program made
	for program in "$@"; do
		made=$lib_dir/../../.build/selftests/sharing/$(basename "$program" .c)
		if is_newest "$made" "$program" "${program%/*}"/*.h "$lib_dir/content.h"; then
			ln -s "$made" "$work/"
			continue
		fi
		gcc -O2 -Wall -Wextra -Werror -pthread -I"$lib_dir" \
			-o "$work/$(basename "$program" .c)" "$program"
	done
}

lib_start()
{
	[ -n "${BALLAST_LAB:-}" ] || { echo "run me in the lab: selftests/vm/run"; exit 2; }
	work=$(mktemp -d /tmp/sharing.XXXXXX) || exit 1
	build "$lib_dir/mapper.c" || exit 1
	mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug
	! grep -q '^ballast ' /proc/modules || rmmod ballast || exit 1
	modprobe ballast || exit 1
}

lib_end()
{
	rmmod ballast
}

pool_mount()
{
	mkdir -p "$work/$1"
	mount -t ballastfs -o "size=$2,sharing=$3,name=$1,${4:-compress=off}" none "$work/$1"
}

mapper_start()
{
	local name=$1 file=$2 pages=$3 channel=$work/mapper.$1
	mkfifo "$channel.in" "$channel.out"
	"$work/mapper" "$file" "$pages" <"$channel.in" >"$channel.out" &
	echo $! >"$channel.pid"
	# Descriptors by name: this shell's and its children's.
	exec {mapper_fd}>"$channel.in"
	declare -g "mapper_in_$name=$mapper_fd"
	exec {mapper_fd}<"$channel.out"
	declare -g "mapper_out_$name=$mapper_fd"
}

mapper()
{
	local name=$1 in=mapper_in_$1 out=mapper_out_$1 line
	shift
	echo "$*" >&"${!in}"
	read -r line <&"${!out}" || line="bad mapper $name has died"
	[ "${line%% *}" = ok ] || { echo "mapper $name: $1: $line"; return 1; }
}

mapper_stop()
{
	local name=$1 in=mapper_in_$1 out=mapper_out_$1 fd pid
	pid=$(<"$work/mapper.$name.pid")
	fd=${!in}
	exec {fd}>&-
	fd=${!out}
	exec {fd}<&-
	# mappers started later hold its descriptors too: no end of file comes; if there
	# are none it may have ended by itself
	kill "$pid" 2>/dev/null || true
	wait "$pid" || true
	rm -f "$work/mapper.$name".*
}

# test_end [STATUS]: tells of a mount that stays, with the reason; says so by
# its status, which is that of the test otherwise.
test_end()
{
	local status=${1:-$?} file
	set +e
	for file in "$work"/*.pid; do
		[ ! -e "$file" ] || kill "$(<"$file")" 2>/dev/null
	done
	wait
	rm -f "$work"/mapper.* "$work"/*.pid
	for file in "$work"/*; do
		[ -d "$file" ] || continue
		mountpoint -q "$file" || continue
		find "$file" -mindepth 1 -delete
		umount "$file" || status=1
	done
	sharing_stop
	! declare -F test_ended >/dev/null || test_ended || status=1
	exit "$status"
}

pool()
{
	attribute "$root/pools/$1/$2"
}

sharing()
{
	if [ $# = 1 ]; then
		attribute "$root/sharing/$1"
	else
		echo "$2" >"$root/sharing/$1"
	fi 2>&1
}

sharing_stop()
{
	sharing run 0
	sharing pass_min_ms 86400000
	sharing cpu_percent 100
	sharing rate_pages_per_s 0
	sharing vm_rate_pages_per_s 0
	sharing smart_scan 0
}

flat_out()
{
	sharing_stop
	sharing pass_min_ms 0
	sharing run 1
}

passes_are()
{
	[ "$(sharing full_scans)" -ge "$1" ]
}

# pass_min_ms is a day: a pass begins only because run is written.  Whoever
# stops the scanner in the middle of a pass must not use this afterwards, for it
# goes on where it was.
one_pass()
{
	local before
	before=$(sharing full_scans)
	sharing run 1
	wait_until 60 passes_are $((before + 1)) || { echo "no end of a pass"; return 1; }
	sharing run 0
	expect "passes that were one" "$(sharing full_scans)" $((before + 1))
}

dump()
{
	awk -v pool="$1" '$1 == pool' /sys/kernel/debug/ballast/slots
}
