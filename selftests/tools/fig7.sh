#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2317	# ktap_run calls the functions
#
# The idle memory tax, as figure 7 of the ESX paper shows it: two equal guests
# share a pool that is too small for both; one uses its memory, one does not.
# Without a tax each gets half.  With a tax of 75 % the one that uses it gets
# most, by the formula; balloons follow within seconds.
#
# Both have touched all their memory when the pool is made short: it is to keep 30 %
# free.  make fig7 runs it; it is a measurement and no part of make check.  Prints a table; BALLAST_CSV=FILE keeps a reading each half second.

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
limit_s=90	# of an emulated guest on a busy machine; how long it took is printed
[ -z "${BALLAST_LAB_DEBUG:-}" ] || limit_s=400
csv=${BALLAST_CSV:-/tmp/fig7.csv}
table=/tmp/fig7.table

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

reading()
{
	echo "$SECONDS,$1,$(value idle active_bp),$(value busy active_bp),$(value idle target_bytes),$(value busy target_bytes),$(value idle balloon_bytes),$(value busy balloon_bytes),$(cat "$pool"/free_bytes)" >>"$csv"
}

# reach TAX_BP: until both have what the formula says
reach()
{
	local tax=$1 begin=$SECONDS wanted
	knob policy/tax_bp "$tax"
	while :; do
		reading "$tax"
		read -r -a wanted < <(formula "$tax")
		if near "$(has_mib idle)" "${wanted[0]}" && near "$(has_mib busy)" "${wanted[1]}"; then
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
	printf '%-6s %6d %6d %8d %8d %8d %8d %5d s\n' "$((tax / 100)) %" \
		"$(value idle active_bp)" "$(value busy active_bp)" "${wanted[0]}" "${wanted[1]}" \
		"$(has_mib idle)" "$(has_mib busy)" $((SECONDS - begin)) >>"$table"
}

test_guests_are_ready()
{
	# filled and checked once, then left alone
	guest_start idle --memory "$memory" --backing "file:$dir" --workload "seed=1,unique=24,rate=20000,gap=100000" \
		--append memtest=1 --qemu-arg -device --qemu-arg virtio-balloon-pci
	guest_start busy --memory "$memory" --backing "file:$dir" --workload "seed=2,unique=64,hot=64,rate=20000" \
		--append memtest=1 --qemu-arg -device --qemu-arg virtio-balloon-pci
	guest_wait_ready idle 180
	guest_wait_ready busy 180
	guests_wait_until 150 is_known || { echo "no estimate of both"; return 1; }
}

# Booting has touched everything: until that is forgotten the formula moves, and a
# pool that has enough free meanwhile moves no balloon after it.
is_known()
{
	[ "$(value idle balloon_state)" = ok ] && [ "$(value busy balloon_state)" = ok ] &&
		[ "$(value idle active_bp)" -lt 300 ] && [ "$(value busy active_bp)" -gt 2500 ] &&
		[ "$(value busy active_bp)" -lt 4000 ]
}

test_no_tax_is_half_each()
{
	knob policy/high_bp 3000
	knob policy/soft_bp 2900
	knob policy/mode enforce
	reach 0
	near "$(has_mib idle)" "$(has_mib busy)"
}

test_tax_gives_to_who_uses_it()
{
	reach 7500
	[ "$(has_mib busy)" -gt $(($(has_mib idle) * 5 / 4)) ]
}

# The idle one may have its half again.  It does not need it, so nothing is taken
# from the other for it: a pool that has enough free moves no balloon.
test_idle_gets_its_half_again()
{
	local begin=$SECONDS wanted
	knob policy/tax_bp 0
	guests_wait_until "$limit_s" has_its_half
	read -r -a wanted < <(formula 0)
	printf '%-6s %6d %6d %8d %8d %8d %8d %5d s\n' "0 %" \
		"$(value idle active_bp)" "$(value busy active_bp)" "${wanted[0]}" "${wanted[1]}" \
		"$(has_mib idle)" "$(has_mib busy)" $((SECONDS - begin)) >>"$table"
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
printf '[daemon]\nlibvirt = none\nstats_period_s = 2\n' >/tmp/ballastd.conf
echo "second,tax_bp,idle_active_bp,busy_active_bp,idle_target_bytes,busy_target_bytes,idle_balloon_bytes,busy_balloon_bytes,pool_free_bytes" >"$csv"
echo "tax     active bp: idle, busy   formula MiB: idle, busy   has MiB: idle, busy   after" >"$table"
modprobe ballast
mkdir -p $dir
mount -t ballastfs -o size=${pool_mib}m,sharing=off,name=fig7 none $dir
knob policy/balance_period_ms 1000
knob sampling/period_ms 3000
"$tools/ballastd" -v -v --config /tmp/ballastd.conf 2>/tmp/ballastd.log &
daemon=$!
ktap_suite "idle memory tax"
ktap_plan 5
ktap_run guests_are_ready test_guests_are_ready
ktap_run no_tax_is_half_each test_no_tax_is_half_each
ktap_run tax_gives_to_who_uses_it test_tax_gives_to_who_uses_it
ktap_run idle_gets_its_half_again test_idle_gets_its_half_again
ktap_run nobody_is_harmed test_nobody_is_harmed
sed 's/^/# /' "$table"
ktap_end
