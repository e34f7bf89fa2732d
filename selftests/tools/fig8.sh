#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2317	# ktap_run calls the functions
#
# Memory of five overcommitted VMs after their boot, as figure 8 of the ESX paper shows
# it, in small: at first all touch all they have, and the pool, which has not as much, is
# saved by sharing, compressing and swapping.  Then their balloon drivers are there, two go
# on and three rest, and what was swapped comes back where it is wanted, goes with a balloon,
# or stays.  At last balloons are empty and all look at all of their memory once more.
#
# VMs are minivm.c's, --guest load, and check what they read.  Their balloons are the
# test's, which obeys.  A quarter of the pages is the same in all.  make fig8
# (fig8-run) runs it and keeps its figures; it is a measurement and no part of make check.
#
#   BALLAST_FIG8_REST_S	how long they rest (90)
#   BALLAST_FIG8_SPOIL=1	writes to a guest's page behind its back: must fail

here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/kvm/lib.sh
. "$here/../kvm/lib.sh"
# shellcheck source=selftests/store/devices.sh
. "$here/../store/devices.sh"

mib=$((1 << 20))
memory=24	# MiB of a VM; the first four are not in its list
pool_mib=64
rest_s=${BALLAST_FIG8_REST_S:-90}
period_ms=500	# from one reading to the next
gap_max_ms=2000	# one a second at least, on a machine that does nothing else
limit_s=400	# for a boot, and for the last look
busy="a b"
idle="c d e"
names="$busy $idle"
busy_percent=80	# of their memory; the others use
idle_percent=4
said=()
declare -A directory balloon left passes aim uses from
longest_ms=0
readings=0
last_ms=

test_ended()
{
	disk_remove
}

# attributes PLACE NAME...: their values in $values, with commas; no process is made
attributes()
{
	local place=$1 file value
	shift
	values=
	for file in "$@"; do
		read -r value <"$place/$file"
		values+=,$value
	done
}

# reading PHASE: a row for each VM and one for the pool
reading()
{
	local name values now=$(((${EPOCHREALTIME/./} - begin) / 1000))
	[ -z "$last_ms" ] || [ $((now - last_ms)) -le "$longest_ms" ] || longest_ms=$((now - last_ms))
	last_ms=$now
	readings=$((readings + 1))
	for name in $names; do
		ask "$name" state
		balloon[$name]=${said[1]}
		left[$name]=${said[2]}
		passes[$name]=${said[3]}
		attributes "${directory[$name]}" active_bp resident_bytes shared_bytes
		echo -n "CSV,$now,$1,$name$values,${balloon[$name]}" >&3
		attributes "${directory[$name]}" compressed_bytes swapped_bytes target_bytes
		echo "$values" >&3
	done
	attributes "$root/pools/p" used_bytes saved_bytes
	echo -n "CSV,$now,$1,pool,0$values,0" >&3
	attributes "$root/pools/p" compressed_bytes swapped_bytes vms_target_bytes
	echo "$values" >&3
}

# What ballastd and the guests do: balloons go where they should, and tell where they are.
obey()
{
	local name target millionths
	for name in $names; do
		echo "${balloon[$name]}" >"${directory[$name]}/balloon_bytes"
		[ "${left[$name]}" = 0 ] || continue
		read -r target <"${directory[$name]}/balloon_target_bytes"
		[ "$target" != "${aim[$name]}" ] || continue
		# half a page more: minivm rounds down
		millionths=$(((target + 2048) * 100000 / (memory * mib / 1000)))
		ask "$name" later balloon "$((millionths / 1000000)).$(printf '%06d' $((millionths % 1000000)))"
		# what comes back is used again
		[ "$target" -gt "${aim[$name]}" ] || ask "$name" later touch "${uses[$name]}"
		aim[$name]=$target
	done
}

# pause MS: no process is made for it either
pause()
{
	local ms
	printf -v ms '%03d' "$1"
	read -r -t "0.$ms" <&"$nothing_comes" || true
}

# step PHASE [COMMAND]: a reading, the command, and a pause until it is time for the next
step()
{
	local rest
	reading "$1"
	[ $# = 1 ] || "$2"
	rest=$((begin / 1000 + last_ms + period_ms - ${EPOCHREALTIME/./} / 1000))
	[ "$rest" -le 0 ] || pause "$rest"
}

# use PERCENT NAME...: of its memory, from now on
use()
{
	local percent=$1 name
	shift
	for name in "$@"; do
		uses[$name]=$percent
		ask "$name" later touch "$percent"
		from[$name]=
	done
}

# Each has gone over all of its list once since it was told to use it.
have_passed()
{
	local name all=1
	for name in $names; do
		if [ "${left[$name]}" != 0 ]; then
			all=
		elif [ -z "${from[$name]}" ]; then
			from[$name]=${passes[$name]}
			all=
		elif [ "${passes[$name]}" -lt $((${from[$name]} + 2)) ]; then
			all=
		fi
	done
	[ -n "$all" ]
}

# steps_until_passed PHASE
steps_until_passed()
{
	local end=$((SECONDS + limit_s))
	step "$1"
	while ! have_passed; do
		[ "$SECONDS" -lt "$end" ] || { echo "$1: not all have gone over their memory"; return 1; }
		step "$1"
	done
}

note()
{
	local values words
	attributes "$root/pools/p" pages_merged pages_compressed pages_decompressed \
		pages_swapped_out pages_swapped_in pages_lost
	IFS=, read -r -a words <<<"$values"
	echo "# note: $1 $((last_ms / 1000)) s: ${words[1]} pages shared, ${words[2]} put in the store," \
		"${words[3]} taken back from it, ${words[4]} written to swap, ${words[5]} read from it," \
		"${words[6]} lost" >&3
}

# answers_first THREAD: before the guests, whose CPU it has
answers_first()
{
	renice -n -15 -p "$1" >/dev/null
}

pool_start()
{
	local name disk
	mkfifo "$work/nothing"
	exec {nothing_comes}<>"$work/nothing"
	disk=$(disk_make $((5 * memory)))
	mkdir -p "$work/p"
	mount -t ballastfs -o "size=${pool_mib}m,sharing=pool,name=p,compress=lz4,swap=$disk" \
		none "$work/p"
	quick
	knob policy/mode enforce
	knob sharing/pass_min_ms 1000
	for name in $names; do
		vm_start "$name" --guest load --memory "$memory" --same 4 --soft 8 \
			--backing "file:$work/p/$name"
		wait_until 5 vm_shown "$name"
		directory[$name]=$root/vms/$(vm_pid "$name")
		aim[$name]=0
		balloon_is none "$name"
		answers_first "$(vm_pid "$name")"
	done
	answers_first "$BASHPID"
	begin=${EPOCHREALTIME/./}
}

# balloon_is STATE NAME...: is there a driver in the guest?
balloon_is()
{
	local state=$1 name
	shift
	for name in "$@"; do
		echo "$state" >"${directory[$name]}/balloon_state"
	done
}

spoil()
{
	printf 'not what the guest wrote' |
		dd of="$work/p/b.0" bs=4096 seek=$((5 * mib / 4096)) conv=notrunc status=none
}

# all_right: each word of each page that a guest has was what it had written, or zero where
# a balloon had been
all_right()
{
	local name
	for name in $names; do
		kill -0 "$(vm_pid "$name")"
		ask "$name" load
		[ "${said[3]}" = 0 ] || { echo "$name: ${said[3]} pages wrong: $(vm "$name" bad)"; return 1; }
		[ "${said[2]}" -gt $(((memory - 4) * 256)) ]
	done
	expect pages_lost "$(knob pools/p/pages_lost)" 0
}

five_vms_boot_and_rest()
{
	trap test_end EXIT
	local end name sum=0
	pool_start
	# shellcheck disable=SC2086	# a list of names
	use 100 $names
	steps_until_passed boot
	note "boot, until"
	[ "$(knob pools/p/pages_compressed)" -gt 0 ]
	[ "$(knob pools/p/pages_swapped_out)" -gt 0 ]
	# shellcheck disable=SC2086	# a list of names
	balloon_is ok $names
	# shellcheck disable=SC2086	# a list of names
	use "$idle_percent" $idle
	# shellcheck disable=SC2086	# a list of names
	use "$busy_percent" $busy
	end=$((last_ms + rest_s * 1000))
	while [ "$last_ms" -lt "$end" ]; do
		step rest obey
	done
	note "rest, until"
	for name in $names; do sum=$((sum + balloon[$name])); done
	[ "$sum" -gt 0 ] || { echo "no balloon has anything"; return 1; }
	[ -z "${BALLAST_FIG8_SPOIL:-}" ] || spoil
	# shellcheck disable=SC2086	# a list of names
	balloon_is none $names
	for name in $names; do
		ask "$name" later balloon 0
	done
	# shellcheck disable=SC2086	# a list of names
	use 100 $names
	steps_until_passed look
	note "look, until"
	all_right
	echo "# note: five VMs, all their pages right; $readings readings, $longest_ms ms at most from one to the next" >&3
	[ $((readings * 1000)) -ge "$last_ms" ]
	[ "$longest_ms" -le "$gap_max_ms" ] || { echo "$longest_ms ms without a reading"; return 1; }
}

kvm_start
exec 3>&1
echo "CSV,ms,phase,vm,active_bp,resident_bytes,shared_bytes,balloon_bytes,compressed_bytes,swapped_bytes,target_bytes"
ktap_suite "five VMs after their boot"
ktap_run five_vms_boot_and_rest five_vms_boot_and_rest
ktap_run unloads kvm_end
ktap_end
