#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2317	# ktap_run calls the functions
#
# The idle memory tax, as figure 7 of the ESX paper shows it: two equal guests
# share a pool that is too small for both; one uses its memory and is in need of
# more, one does not use it.  Without a tax each gets half, and the busy one
# swaps.  With a tax of 75 % it gets most, by the formula; balloons follow within
# seconds, and it runs the faster.
#
# Both have touched all their memory when the pool is made short: it is to keep 30 %
# free.  make fig7 (fig7-run) runs it and keeps its figures; it is a measurement
# and no part of make check.
#
#   BALLAST_FIG7_CSV=1	a reading each half second, as lines "CSV,…"
#   BALLAST_FIG7_LIVE=1	says every two seconds how it stands: lines "# …"

here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/vm/guests.sh
. "$here/../vm/guests.sh"

mib=1048576
top=/sys/kernel/ballast
tools=$here/../../.build/tools
dir=/run/ballast/fig7
pool=$top/pools/fig7
memory=192
pool_mib=400
# What the busy guest goes over, more than fits into half, and how much of it is in use
# all the time: a guest that only waited for its swap disk would look idle.
work_mib=92
hot_mib=64
limit_s=90	# of an emulated guest on a busy machine; how long it took is printed
speed_s=${BALLAST_FIG7_SPEED_S:-20}	# of guest time, over which speed is measured
[ -z "${BALLAST_LAB_DEBUG:-}" ] || limit_s=400
table=/tmp/fig7.table
notes=/tmp/fig7.notes
over=/tmp/fig7.over
speeds=/tmp/fig7.speeds

value()
{
	local line
	read -r line <"$top/vms/$(guest_pid "$1")/$2" && echo "$line"
}

knob()
{
	echo "$2" >"$top/$1"
}

has_mib()
{
	echo $((($(value "$1" size_bytes) - $(value "$1" balloon_bytes)) / mib))
}

# formula TAX_BP: "idle busy" in MiB, from the estimates, by the paper's formula
# solved for two: the price at which both fill what the pool has for them
formula()
{
	awk -v tax="$1" -v size="$(($(value idle size_bytes) / mib))" \
		-v idle="$(value idle active_bp)" -v busy="$(value busy active_bp)" \
		-v all="$(($(cat "$pool"/vms_target_bytes) / mib))" '
	function got(active, price,   t) {
		active *= size / 10000
		t = price <= active ? price : (price * (10000 - tax) + tax * active) / 10000
		return t > size ? size : t < size * 0.35 ? size * 0.35 : t
	}
	BEGIN {
		high = size * 100
		for (i = 0; i < 60; i++) {
			price = (low + high) / 2
			if (got(idle, price) + got(busy, price) > all)
				high = price
			else
				low = price
		}
		printf "%d %d\n", got(idle, low), got(busy, low)
	}'
}

# near A B: within 5 %
near()
{
	[ $(($1 * 100)) -ge $(($2 * 95)) ] && [ $(($1 * 100)) -le $(($2 * 105)) ]
}

# squeezed: by how much, in basis points, the guest that has to give has less than its
# target now
squeezed()
{
	local target has
	target=$(value idle target_bytes)
	has=$(($(value idle size_bytes) - $(value idle balloon_bytes)))
	[ "$has" -lt "$target" ] && echo $(((target - has) * 10000 / target)) || echo 0
}

said_last=0

# Descriptor 3 is the script's own output: the tests' is kept until they end.
reading()
{
	[ -z "${BALLAST_FIG7_CSV:-}" ] ||
		echo "CSV,$SECONDS,$1,$(value idle active_bp),$(value busy active_bp),$(value idle target_bytes),$(value busy target_bytes),$(value idle balloon_bytes),$(value busy balloon_bytes),$(cat "$pool"/free_bytes),$(guest_counter busy verified_pages)" >&3
	if [ -n "${BALLAST_FIG7_LIVE:-}" ] && [ $((SECONDS - said_last)) -ge 2 ]; then
		said_last=$SECONDS
		echo "# tax $(($1 / 100)) %: idle has $(has_mib idle) of $memory MiB, busy $(has_mib busy); pages checked by busy: $(guest_counter busy verified_pages)" >&3
	fi
}

# gives MIB: the idle guest has that, or more because the pool has enough free: the
# busy one may have all that the formula gives it and does not touch it all
gives()
{
	local has
	has=$(has_mib idle)
	near "$has" "$1" || { [ "$has" -gt "$1" ] &&
		[ "$(cat "$pool"/free_bytes)" -ge $(((pool_mib * 3 / 10 - 3) * mib)) ]; }
}

# reach TAX_BP [SINCE]: until both have what the formula says
reach()
{
	local tax=$1 begin=${2:-$SECONDS} wanted
	knob policy/tax_bp "$tax"
	while :; do
		reading "$tax"
		read -r -a wanted < <(formula "$tax")
		if near "$(has_mib busy)" "${wanted[1]}" && gives "${wanted[0]}"; then
			break
		fi
		if [ $((SECONDS - begin)) -ge "$limit_s" ]; then
			echo "not there in $limit_s s: idle has $(has_mib idle) of ${wanted[0]}, busy $(has_mib busy) of ${wanted[1]} MiB"
			"$tools/ballastctl" status
			tail -n 30 /tmp/ballastd.log
			return 1
		fi
		sleep 0.5
	done
	row "$tax" $((SECONDS - begin)) "${wanted[@]}"
}

# row TAX_BP SECONDS IDLE-MIB BUSY-MIB: how it stands beside what the formula says
row()
{
	printf '%-6s %6d %6d %8d %8d %8d %8d %5d s\n' "$(($1 / 100)) %" \
		"$(value idle active_bp)" "$(value busy active_bp)" "$3" "$4" \
		"$(has_mib idle)" "$(has_mib busy)" "$2" >>"$table"
}

# speed TAX_BP: pages a second that the busy guest checks, by its own clock, once
# what it lacked when it had less is back: when it has gone over all of it
speed()
{
	local from to all=$((work_mib * 256))
	from="$(counters)"
	echo 0 >"$over"
	guests_wait_until 240 later "$1" "${from% *}" $((${from#* } + all))
	from="$(counters)"
	guests_wait_until 240 later "$1" $((${from% *} + speed_s * 1000)) $((${from#* } + all))
	to="$(counters)"
	echo $(((${to#* } - ${from#* }) * 1000 / (${to% *} - ${from% *}))) >>"$speeds"
	echo "tax $(($1 / 100)) %: at most $(cat "$over") bp below its target meanwhile" >>"$notes"
}

# both of one report
counters()
{
	guest_said busy | sed -n 's/^BALLAST-GUEST busy ok .*verified_pages=\([0-9]*\) .*uptime_ms=\([0-9]*\).*/\2 \1/p' |
		tail -n 1
}

# later TAX_BP MS PAGES: by the busy guest's clock, and with so many pages checked
later()
{
	local now
	reading "$1"
	now=$(squeezed)
	[ "$now" -le "$(cat "$over")" ] || echo "$now" >"$over"
	[ "$(guest_counter busy uptime_ms)" -ge "$2" ] &&
		[ "$(guest_counter busy verified_pages)" -ge "$3" ]
}

test_guests_are_ready()
{
	local swap
	mapfile -t swap < <(guest_swap_disk /tmp/fig7.swap 128)
	# filled and checked once, then left alone
	guest_start idle --memory "$memory" --backing "file:$dir" --workload "seed=1,unique=24,rate=20000,gap=100000" \
		--append memtest=1 --qemu-arg -device --qemu-arg virtio-balloon-pci
	guest_start busy --memory "$memory" --backing "file:$dir" --workload "seed=2,unique=$work_mib,hot=$hot_mib,rate=100000,swap=1" \
		--append memtest=1 --qemu-arg -device --qemu-arg virtio-balloon-pci "${swap[@]}"
	guest_wait_ready idle 180
	guest_wait_ready busy 180
	guests_wait_until 150 is_known || { echo "no estimate of both"; "$tools/ballastctl" status; return 1; }
}

# Booting has touched everything: until that is forgotten the formula moves, and a
# pool that has enough free meanwhile moves no balloon after it.
is_known()
{
	[ "$(value idle balloon_state)" = ok ] && [ "$(value busy balloon_state)" = ok ] &&
		[ "$(value idle active_bp)" -lt 300 ] && [ "$(value busy active_bp)" -gt 3300 ] &&
		[ "$(value busy active_bp)" -lt 6700 ]
}

test_no_tax_is_half_each()
{
	knob policy/high_bp 3000
	knob policy/soft_bp 2900
	knob policy/mode enforce
	reach 0
	near "$(has_mib idle)" "$(has_mib busy)"
	speed 0
}

# A guest that waits for its swap disk looks idle.  What it is given makes it busy, and
# that gives it more: the formula's answer moves, and the first one is not the last.
test_tax_gives_to_who_uses_it()
{
	local begin=$SECONDS
	knob policy/tax_bp 7500
	guests_wait_until "$limit_s" busy_has_more
	reach 7500 "$begin"
	[ "$(has_mib busy)" -gt $(($(has_mib idle) * 5 / 4)) ]
	speed 7500
}

busy_has_more()
{
	reading 7500
	[ $(($(has_mib busy) * 4)) -gt $(($(has_mib idle) * 5)) ]
}

test_who_uses_it_is_faster()
{
	local slow fast
	{ read -r slow; read -r fast; } <"$speeds"
	echo "busy guest: $slow pages a second without the tax, $fast with it"
	[ $((fast * 100)) -ge $((slow * 130)) ]
}

# The idle one may have its half again.  It does not need it, so nothing is taken
# from the other for it: a pool that has enough free moves no balloon.
test_idle_gets_its_half_again()
{
	local begin=$SECONDS wanted
	knob policy/tax_bp 0
	guests_wait_until "$limit_s" has_its_half
	read -r -a wanted < <(formula 0)
	row 0 $((SECONDS - begin)) "${wanted[@]}"
}

has_its_half()
{
	local wanted
	reading 0
	read -r -a wanted < <(formula 0)
	near "$(has_mib idle)" "${wanted[0]}" && [ $(($(has_mib busy) * 20)) -ge $((wanted[1] * 19)) ]
}

test_nobody_is_harmed()
{
	guest_check busy
	guest_verify busy
	guest_check idle 1000000
}

if [ -z "${BALLAST_LAB:-}" ] || [ ! -e /dev/kvm ]; then
	echo "1..0 # SKIP needs the lab host (selftests/vm/run)"
	exit 4
fi
"$here/build" || { echo "1..0 # SKIP the tools cannot be built"; exit 4; }
trap 'kill "$daemon"; guests_stop_all; umount $dir 2>/dev/null' EXIT
exec 3>&1
# Floors would give the guest that swaps what the tax is to give it.
cat >/tmp/ballastd.conf <<END
[daemon]
libvirt = none
stats_period_s = 2
[pressure]
available_low_bp = 0
swap_in_bytes_per_s = 0
major_faults_per_s = 0
END
[ -z "${BALLAST_FIG7_CSV:-}" ] ||
	echo "CSV,second,tax_bp,idle_active_bp,busy_active_bp,idle_target_bytes,busy_target_bytes,idle_balloon_bytes,busy_balloon_bytes,pool_free_bytes,busy_verified_pages"
echo "tax     active bp: idle, busy   formula MiB: idle, busy   has MiB: idle, busy   after" >"$table"
: >"$speeds"
: >"$notes"
modprobe ballast
mkdir -p $dir
mount -t ballastfs -o size=${pool_mib}m,sharing=off,compress=off,name=fig7 none $dir
knob policy/balance_period_ms 1000
knob sampling/period_ms 3000
"$tools/ballastd" -v -v --config /tmp/ballastd.conf 2>/tmp/ballastd.log 3>&- &
daemon=$!
ktap_suite "idle memory tax"
ktap_plan 6
ktap_run guests_are_ready test_guests_are_ready
ktap_run no_tax_is_half_each test_no_tax_is_half_each
ktap_run tax_gives_to_who_uses_it test_tax_gives_to_who_uses_it
ktap_run who_uses_it_is_faster test_who_uses_it_is_faster
ktap_run idle_gets_its_half_again test_idle_gets_its_half_again
ktap_run nobody_is_harmed test_nobody_is_harmed
sed 's/^/# /' "$table"
sed 's/^/# idle guest, /' "$notes"
awk 'NR == 1 { slow = $1 } NR == 2 { printf "# busy guest: %d pages a second without the tax, %d with it: %.2f times\n", slow, $1, $1 / (slow ? slow : 1) }' "$speeds"
ktap_end
