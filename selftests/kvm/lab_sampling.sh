#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# How well the estimate of active memory follows the truth, which minivm.c knows
# to the page.
#
#   lab_sampling.sh [FUNCTION...]	all tests, or those named (see the end)
#
# BALLAST_SAMPLING_FRACTIONS="5 20 ..." measures more of them; BALLAST_CSV=FILE
# keeps every reading.  Errors are in hundredths of a point of the VM's memory.

# shellcheck disable=SC2317	# in the whole file: ktap_run calls the functions
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/kvm/lib.sh
. "$here/lib.sh"
vm_nice=10

only=" $* "
fractions=${BALLAST_SAMPLING_FRACTIONS:-5 50 90}
memory=64	# MiB, of which the first 4 are not in the piece that is used
csv=${BALLAST_CSV:-/dev/null}

# after NAME PERIODS: so many whole periods from now
after()
{
	local now
	now=$(get "$1" active_periods)
	wait_until 60 periods_begun "$1" $((now + $2 + 1))
}

# What it really uses: the pages asked for, the list of them, tables and code.
truth_bp()
{
	local pages=$((memory * 256)) touched
	touched=$((pages * $1 / 100))
	echo $(((touched + touched * 4 / 4096 + 5) * 10000 / pages))
}

# steady NAME PERIODS: that many in a row in each of which the VM comes round.  Where its host
# was held up (the lab's is emulated, by a process among others) and a period went by without,
# what the VM uses was nothing, and the averages know of that for five periods.
steady()
{
	local left=$2 held_up=0 before
	before=$(passes_of "$1")
	while [ "$left" -gt 0 ]; do
		after "$1" 0
		left=$((left - 1))
		if [ "$(passes_of "$1")" = "$before" ]; then
			echo "a period went by in which it did not come round"
			left=$((left > 5 ? left : 5))
			held_up=$((held_up + 1))
			[ "$held_up" -le 5 ] || return 1
		fi
		before=$(passes_of "$1")
	done
}

# measure BACKING METHOD HOW: readings of all fractions into $work/readings
measure()
{
	local backing=$1 method=$2 how=$3 percent truth
	vm_start a --memory "$memory" --backing "$backing"
	wait_until 5 vm_shown a
	: >"$work/readings"
	for percent in $fractions; do
		[ -n "$how" ] || [ "$percent" -le $((100 - 400 / memory)) ] || continue
		vm a touch "$percent" "$how"
		come_round a
		steady a 6
		truth=$(truth_bp "$percent")
		for _ in 1 2 3; do
			steady a 1
			echo "$truth $(get a active_bp)" >>"$work/readings"
			echo "$backing,$method,${how:-piece},$percent,$truth,$(get a active_bp),$(get a active_error_bp)" >>"$csv"
		done
	done
}

# judge MEAN P95: of the readings
judge()
{
	awk '{ e = $2 - $1; bias += e; if (e < 0) e = -e; sum += e; err[NR] = e }
	     END {
		n = asort_(err, NR)
		printf "n=%d mean_abs=%d p95=%d bias=%d\n", NR, sum / NR,
			err[int(NR * 0.95 + 0.999)], bias / NR
	     }
	     function asort_(a, n,   i, j, t) {
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && a[j - 1] > a[j]; j--) {
				t = a[j]; a[j] = a[j - 1]; a[j - 1] = t
			}
		return n
	     }' "$work/readings" | tee "$work/judged"
	echo "$1: $(<"$work/judged")" >>"$work/table"
	local mean p95
	mean=$(grep -o 'mean_abs=[0-9]*' "$work/judged")
	p95=$(grep -o 'p95=[0-9]*' "$work/judged")
	cat "$work/readings"
	expect_range "mean error of $1" "${mean#*=}" 0 "$2"
	expect_range "p95 of $1" "${p95#*=}" 0 "$3"
}

accuracy()
{
	trap test_end EXIT
	quick
	knob sampling/method "$2"
	# Where 2 MiB pages are split, each page of the region faults once a
	# period: that takes an emulated guest its time.
	if [ "$1" = thp ]; then
		memory=32
		knob sampling/period_ms 2000
	fi
	case $1 in
	file)
		mkdir -p "$work/pool"
		mount -t ballastfs -o size=256m,name=web none "$work/pool"
		measure "file:$work/pool/vm" "$2" "$3" ;;
	*)	measure "$1" "$2" "$3" ;;
	esac
	# Where pages in use lie all over, each of 100 sampled ones is touched by
	# chance.  At 50 % a period's standard deviation is 5 points, that of the
	# averages, which know about three periods, 2.9.  The readings of a fraction
	# are of nearly the same periods: three independent errors, not nine, and p95
	# is the greatest of all.  So here only what is grossly wrong fails, such as a
	# page in six that is counted wrongly.  The target is held against independent
	# readings: make bench-sampling, and the unit test of the estimate.
	if [ -n "$3" ]; then
		judge "$1 $2 $3" 500 1700
	else
		judge "$1 $2 piece" 300 800
	fi
	vm_kill a
	wait_until 5 vm_gone a
}

rises_in_one_period_falls_in_four()
{
	trap test_end EXIT
	quick
	vm_start a --memory "$memory"
	wait_until 5 vm_shown a
	# once all of it, for first touches take longer than a period
	vm a touch 95
	after a 5
	vm a touch 10
	after a 5
	vm a touch 90
	after a 1
	expect_range "a period after 10 -> 90" "$(get a active_bp)" 8200 9800
	vm a touch 10
	after a 4
	expect_range "four periods after 90 -> 10" "$(get a active_bp)" 0 1800
}

# The estimate counts what has been touched so far in the running period.
rises_within_the_period()
{
	trap test_end EXIT
	quick
	local periods
	vm_start a --memory "$memory"
	wait_until 5 vm_shown a
	# once all of it: first touches are slow
	vm a touch 90
	after a 1
	vm a touch 5
	after a 5
	# the period that runs becomes a long one, in which it wakes up
	knob sampling/period_ms 600000
	periods=$(get a active_periods)
	expect_range before "$(get a active_bp)" 0 1300
	vm a touch 90
	wait_until 30 is_above a 8200
	# one may have been about to end when it was made long, none ends after it
	expect_range "periods" "$(get a active_periods)" "$periods" $((periods + 1))
}

is_above()
{
	[ "$(get "$1" active_bp)" -ge "$2" ]
}

at_most_n_faults()
{
	trap test_end EXIT
	local from periods faults fixed
	quick
	vm_start a --memory "$memory"
	vm a touch 90
	wait_until 5 vm_shown a
	come_round a
	after a 1
	fixed=$(faults_fixed)
	from=$(get a sampled_faults)
	periods=$(get a active_periods)
	after a 9
	faults=$(($(get a sampled_faults) - from))
	fixed=$(($(faults_fixed) - fixed))
	periods=$(($(get a active_periods) - periods))
	echo "$faults faults in $periods periods; KVM counts $fixed"
	# one more may be under way at each end
	expect_range faults "$faults" $((periods * 60)) $(((periods + 1) * 100))
	# the guest has no others than those
	expect_range "KVM's count" "$fixed" "$faults" $(((periods + 1) * 100))
	expect neighbours "$(get a neighbour_faults)" 0
}

# Entries that KVM made for faults, of all VMs that there are: one.  pf_taken counts more: a
# fault that meets an entry's taking is taken again until that is over, however often.
faults_fixed()
{
	cat /sys/kernel/debug/kvm/*-*/pf_fixed | grep .
}

# Sampling splits 2 MiB mappings only while it watches.
large_mappings_come_back()
{
	trap test_end EXIT
	local before
	quick
	vm_start a --memory "$memory" --backing thp
	vm a touch 100
	wait_until 5 vm_shown a
	before=$(awk '/AnonHugePages/ { sum += $2 } END { print sum / 1024 }' "/proc/$(vm_pid a)/smaps")
	[ "$before" -ge $((memory - 4)) ] || skip "no transparent huge pages: $before MiB"
	after a 4
	knob sampling/method off
	wait_until 10 is_all_large || {
		cat /sys/kernel/debug/kvm/pages_4k /sys/kernel/debug/kvm/pages_2m
		return 1
	}
	knob sampling/method fault
	after a 1
	[ "$(get a neighbour_faults)" -gt 0 ]
}

# KVM's count of its 2 MiB mappings, of all VMs.
is_all_large()
{
	[ "$(cat /sys/kernel/debug/kvm/pages_2m)" -ge $((memory / 2 - 4)) ]
}

is_shared()
{
	[ "$(attribute "$root/pools/web/sharing_slots")" -ge "$1" ]
}

# A frame that a thousand slots share and the VMM has mapped has a reference for each
# mapping, as a page that is pinned has a thousand.  It is not pinned: a VM that leaves
# such pages alone is idle.
shared_pages_are_not_pinned()
{
	trap test_end EXIT
	quick
	mkdir -p "$work/pool"
	mount -t ballastfs -o size=256m,name=web none "$work/pool"
	knob sharing/pass_min_ms 0
	knob sharing/cpu_percent 100
	vm_start a --memory "$memory" --backing "file:$work/pool/vm"
	vm a touch 2
	wait_until 30 is_shared $((memory * 128))
	knob sharing/run 0
	vm a read
	wait_until 5 vm_shown a
	after a 5
	expect_range active "$(get a active_bp)" 0 2000
	vm_kill a
	wait_until 5 vm_gone a
}

kvm_start
ktap_suite "idle memory sampling"
ktap_on 6.1 accuracy_thp_scattered
ktap_on 6.12 accuracy_anon_scattered accuracy_accessed_bits
# How good the estimate is does not depend on the kernel's debugging, and takes it ten
# minutes to say.
run_stock()
{
	if [ -n "${BALLAST_LAB_DEBUG:-}" ] && [ "$only" = "  " ]; then
		ktap_skip "$1" "on the stock kernels"
	else
		run "$@"
	fi
}
# only when asked for by name
named()
{
	[ "$only" = "  " ] || run "$@"
}
run()
{
	[ "$only" = "  " ] || [[ $only == *" $1 "* ]] || return 0
	ktap_run "$@"
}
# make bench-sampling measures the others
named accuracy_anon accuracy anon fault ""
run_stock accuracy_anon_scattered accuracy anon fault scatter
named accuracy_thp accuracy thp fault ""
run accuracy_thp_scattered accuracy thp fault scatter
run accuracy_ballastfs accuracy file fault ""
run accuracy_accessed_bits accuracy anon accessed ""
run_stock rises_in_one_period_falls_in_four rises_in_one_period_falls_in_four
run_stock rises_within_the_period rises_within_the_period
run at_most_n_faults at_most_n_faults
run large_mappings_come_back large_mappings_come_back
run shared_pages_are_not_pinned shared_pages_are_not_pinned
[ ! -e "$work/table" ] || sed 's/^/# /' "$work/table"
run unloads kvm_end
ktap_end
