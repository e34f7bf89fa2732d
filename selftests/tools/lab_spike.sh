#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2016,SC2317	# ktap_run calls the functions; conditions are evaluated
# Whatever the host's kernel: 6.1
#
# A guest whose need grows at once, while its balloon and its neighbour's hold what
# the pool is short of: it says so by its statistics, gets a floor, and memory back.
#
# It has swap space, so that it lives until then.  How long that takes and what it
# swaps is printed; the times are those of an emulated host, where a tenth of a
# second is hardly more than a look at the clock.

here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/vm/guests.sh
. "$here/../vm/guests.sh"
# shellcheck source=selftests/tools/lab.sh
. "$here/lab.sh"

dir=/run/ballast/spike
memory=160
grow=64		# more than the balloon leaves it, less than it has without
order=/tmp/spiker.order
measured=/tmp/spike.measured

# What they have touched all fits; then 23 % of the pool are to be free.  Shares
# leave the spiker 112 MiB; idle could give it what it lacks then.
test_both_have_balloons()
{
	local swap name balloon=(--qemu-arg -device --qemu-arg virtio-balloon-pci)
	mapfile -t swap < <(guest_swap_disk /tmp/spiker.swap 128)
	guest_start spiker --memory "$memory" --backing "file:$dir" --append memtest=1 \
		--workload "unique=8,grow=$grow,rate=8000,swap=1" "${balloon[@]}" "${swap[@]}" \
		--qemu-arg -serial --qemu-arg "unix:$order,server=on,wait=off"
	guest_start idle --memory "$memory" --backing "file:$dir" --append memtest=1 \
		--workload unique=8,rate=1000 "${balloon[@]}"
	daemon_start
	for name in spiker idle; do
		guest_wait_ready "$name" 240
		until_true 60 is "$name" balloon_state ok
	done
	knob policy/high_bp 2300
	knob policy/soft_bp 2200
	knob policy/mode enforce
	until_true 120 over spiker balloon_bytes $((32 * mib))
	until_true 120 over idle balloon_bytes $((8 * mib))
	until_true 120 has_enough spike
	until_true 60 holds_what_is_wanted spiker spike
	for name in spiker idle; do
		is "$name" floor_bytes 0
		guest_check "$name"
	done
}

spiker_said()
{
	grep -aq "^BALLAST-GUEST spiker $1 " "$(guest_log spiker)"
}

# tenths of a second since boot
tenths()
{
	local up
	read -r up _ </proc/uptime
	up=${up%?}
	echo "${up/./}"
}

since()
{
	local apart=$(($(tenths) - $1))
	echo "$((apart / 10)).$((apart % 10)) s"
}

below()
{
	[ "$(value "$1" "$2")" -lt "$3" ]
}

test_spike_gets_memory_back()
{
	local held neighbour begin floor shrinks back
	held=$(value spiker balloon_bytes)
	neighbour=$(value idle balloon_bytes)
	echo grow | socat -t 0 - "UNIX-CONNECT:$order"
	guests_wait_until 30 spiker_said grows
	begin=$(tenths)
	until_true 60 over spiker floor_bytes 0
	floor=$(since "$begin")
	until_true 60 below spiker balloon_bytes $((held - mib))
	shrinks=$(since "$begin")
	until_true 60 below spiker balloon_bytes $((held - 16 * mib))
	back=$(since "$begin")
	until_true 60 spiker_said grown
	echo "balloon $((held / mib)) MiB; after growth: floor $floor, balloon shrinks $shrinks," \
		"16 MiB back $back, all filled $(since "$begin")" | tee "$measured"
	grep -q ": spiker .*; its floor is [1-9]" "$daemon_log"
	# from what the pool had free, not from a neighbour that is as short as it was
	[ "$(value idle balloon_bytes)" -ge $((neighbour - 2 * mib)) ]
}

swapped()
{
	guest_counter spiker "$1"
}

# over some passes of all its memory, which are checked
swaps_no_more()
{
	local before
	before=$(swapped swap_in_pages)
	guest_verify spiker || return 2
	[ $(($(swapped swap_in_pages) - before)) -lt 256 ]
}

test_it_stops_swapping()
{
	guests_wait_until 180 swaps_no_more
	printf 'swapped out %d MiB, in %d MiB\n' $(($(swapped swap_out_pages) / 256)) \
		$(($(swapped swap_in_pages) / 256)) | tee -a "$measured"
	[ "$(swapped oom_kills)" = 0 ]
}

test_nobody_is_harmed()
{
	guest_check spiker
	guest_verify idle
	is spiker balloon_state ok
	is idle balloon_state ok
}

if [ -z "${BALLAST_LAB:-}" ] || [ ! -e /dev/kvm ]; then
	echo "1..0 # SKIP needs the lab host (selftests/vm/run)"
	exit 4
fi
if [ -n "${BALLAST_LAB_DEBUG:-}" ]; then
	echo "1..0 # SKIP there a guest is ready after minutes, and what is measured here is no time"
	exit 4
fi
"$here/build" || { echo "1..0 # SKIP the tools cannot be built"; exit 4; }
trap 'daemon_end TERM; guests_stop_all; umount $dir' EXIT
cat >/tmp/ballastd.conf <<END
[daemon]
libvirt = none
stats_period_s = 1
[vm spiker]
shares = 1600
[vm idle]
shares = 2100
END
: >"$daemon_log"
: >"$measured"
module_load
mkdir -p "$dir"
mount -t ballastfs -o size=$((2 * memory + 16))m,sharing=off,compress=off,name=spike none "$dir"
knob policy/tax_bp 0
ktap_suite spike
ktap_plan 4
ktap_run both_have_balloons test_both_have_balloons
ktap_run spike_gets_memory_back test_spike_gets_memory_back
ktap_run it_stops_swapping test_it_stops_swapping
ktap_run nobody_is_harmed test_nobody_is_harmed
sed 's/^/# /' "$measured"
ktap_end
