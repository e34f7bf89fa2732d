#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2317	# ktap_run calls the functions
#
# Memory of five overcommitted VMs after their boot, as figure 8 of the ESX paper shows
# it, in small: at first all touch all they have, and the pool, which has not as much, is
# saved by compressing and swapping; then balloons and sharing have time, all are idle
# but one, and what was swapped comes back or stays where nobody wants it.
#
# VMs are minivm.c's, --guest load, and check what they read.  Their balloons are the
# test's, which obeys.  A quarter of the pages is the same in all.  make fig8
# (fig8-run) runs it and keeps its figures; it is a measurement and no part of make check.

here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/kvm/lib.sh
. "$here/../kvm/lib.sh"
# shellcheck source=selftests/store/devices.sh
. "$here/../store/devices.sh"

mib=$((1 << 20))
memory=12	# MiB of a VM; the first four are not in its list
pool_mib=32
idle_s=${BALLAST_FIG8_IDLE_S:-60}
names="a b c d e"

test_ended()
{
	disk_remove
}

ask()
{
	local in=vm_in_$1 out=vm_out_$1
	shift
	echo "$*" >&"${!in}"
	read -r -a said <&"${!out}"
}

# What ballastd and the guests do.
obey()
{
	local name percent
	for name in $names; do
		percent=$(($(get "$name" balloon_target_bytes) * 100 / (memory * mib)))
		[ "$((percent * memory * mib / 100))" = "$(get "$name" balloon_bytes)" ] && continue
		ask "$name" balloon "$percent"
		set_ "$name" balloon_bytes $((percent * memory * mib / 100))
	done
}

# reading PHASE: a row for each VM and one for the pool
reading()
{
	local name at=$(((${EPOCHREALTIME/./} - begin) / 1000))
	for name in $names; do
		echo "CSV,$at,$1,$name,$(get "$name" active_bp),$(get "$name" resident_bytes),$(get "$name" shared_bytes),$(get "$name" balloon_bytes),$(get "$name" compressed_bytes),$(get "$name" swapped_bytes),$(get "$name" target_bytes)" >&3
	done
	echo "CSV,$at,$1,pool,0,$(knob pools/p/used_bytes),$(knob pools/p/saved_bytes),0,$(knob pools/p/compressed_bytes),$(knob pools/p/swapped_bytes),$(knob pools/p/vms_target_bytes)" >&3
}

# second PHASE: one of it
second()
{
	local until=$((${EPOCHREALTIME/./} + 1000000))
	reading "$1"
	obey
	while [ "${EPOCHREALTIME/./}" -lt "$until" ]; do
		sleep 0.1
	done
}

# All have gone over all their memory, once.
have_booted()
{
	local name
	for name in $names; do
		ask "$name" load
		[ "${said[1]}" -ge "${from[$name]}" ] || return 1
	done
}

five_vms_boot_and_rest()
{
	trap test_end EXIT
	local name disk i swapped
	local -A from
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
		set_ "$name" balloon_state ok
	done
	begin=${EPOCHREALTIME/./}
	for name in $names; do
		ask "$name" touch 100
		ask "$name" load
		from[$name]=$((said[1] + 2))
	done
	while ! have_booted; do
		second boot
	done
	for name in $names; do
		ask "$name" touch 5
	done
	ask a touch 70
	for ((i = 0; i < idle_s; i++)); do
		second idle
	done
	swapped=$(knob pools/p/pages_swapped_out)
	echo "# note: $swapped pages written to swap, $(knob pools/p/pages_compressed) put in the store," \
		"$(knob pools/p/pages_merged) shared, $(knob pools/p/pages_lost) lost" >&3
	# the pages that no balloon has
	for name in $names; do
		ask "$name" touch 100
		ask "$name" load
		from[$name]=$((said[1] + 2))
	done
	wait_until 120 have_booted
	for name in $names; do
		ask "$name" load
		[ "${said[3]}" = 0 ] || { vm "$name" bad; return 1; }
	done
	expect pages_lost "$(knob pools/p/pages_lost)" 0
}

kvm_start
exec 3>&1
echo "CSV,ms,phase,vm,active_bp,resident_bytes,shared_bytes,balloon_bytes,compressed_bytes,swapped_bytes,target_bytes"
ktap_suite "five VMs after their boot"
ktap_run five_vms_boot_and_rest five_vms_boot_and_rest
ktap_run unloads kvm_end
ktap_end
