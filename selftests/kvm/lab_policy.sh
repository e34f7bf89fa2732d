#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Whatever the host's kernel: 6.1
#
# The engine: from real VMs to targets.  The arithmetic has unit tests; here it
# is whether the right numbers go in and come out, and what follows when.
#
#   lab_policy.sh [FUNCTION...]	all tests, or those named (see the end)
#
# VMs are minivm.c's, on ordinary memory under a limit, or on ballastfs.  Their
# balloons are the test's: it writes what ballastd would.

# shellcheck disable=SC2317	# in the whole file: ktap_run calls the functions
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/kvm/lib.sh
. "$here/lib.sh"
vm_nice=10

only=" $* "
mib=$((1 << 20))

# pair [DIRECTORY]: VMs "idle" and "busy" of 64 MiB, their memory in files there
pair()
{
	quick
	vm_start idle --memory 64 ${1:+--backing "file:$1/idle"}
	vm_start busy --memory 64 ${1:+--backing "file:$1/busy"}
	vm idle touch 2
	vm busy touch 90
	wait_until 5 vm_shown idle
	wait_until 5 vm_shown busy
	set_ idle balloon_state ok
	set_ busy balloon_state ok
	come_round busy
	settled idle busy
}

# Targets at one moment: while the sum is the same before and after.
targets_sum()
{
	echo $(($(get idle target_bytes) + $(get busy target_bytes)))
}

# price NAME TAX_BP: of its target, in bytes, by the formula of the paper
price()
{
	awk -v target="$(get "$1" target_bytes)" -v size="$(get "$1" size_bytes)" \
		-v active="$(get "$1" active_bp)" -v tax="$2" 'BEGIN {
		active *= size / 10000; k = 10000 / (10000 - tax)
		printf "%d", target < active ? target : k * target - (k - 1) * active
	}'
}

# within PERCENT A B
within()
{
	[ $(($2 * 100)) -le $(($3 * (100 + $1))) ] && [ $(($3 * 100)) -le $(($2 * (100 + $1))) ]
}

same_price()
{
	within 3 "$(price idle "$1")" "$(price busy "$1")" ||
		{ echo "prices $(price idle "$1") and $(price busy "$1")"; return 1; }
}

# divided BYTES: wait until the targets share that out, or say what they are
divided()
{
	wait_until 10 divided_is "$1" || { echo "expected $1"; say_targets; return 1; }
}

say_targets()
{
	local name
	for name in idle busy; do
		echo "$name: target $(get "$name" target_bytes) active $(get "$name" active_bp)" \
			"balloon $(get "$name" balloon_bytes), its target" \
			"$(get "$name" balloon_target_bytes), $(get "$name" reason)"
	done
	grep . "$root"/pools/host/*
}

# $1, less what the VMMs themselves use where their memory counts
divided_is()
{
	local sum=0 vmm=0 name resident size
	for name in idle busy; do
		resident=$(get "$name" resident_bytes)
		size=$(get "$name" size_bytes)
		[ "$resident" -le "$size" ] || vmm=$((vmm + resident - size))
	done
	sum=$(targets_sum)
	[ "$sum" -ge $(($1 - vmm - mib)) ] && [ "$sum" -le $(($1 - vmm + mib)) ]
}

no_tax_divides_by_shares()
{
	trap test_end EXIT
	pair
	knob policy/tax_bp 0
	knob pools/host/limit_bytes $((100 * mib))
	divided $((94 * mib))
	within 2 "$(get idle target_bytes)" "$(get busy target_bytes)"
	reason_becomes idle observe
	expect "balloon target in mode observe" "$(get idle balloon_target_bytes)" 0
	set_ idle shares 1000
	set_ busy shares 2000
	wait_until 10 is_twice busy idle
	divided $((94 * mib))
	knob policy/mode enforce
	reason_becomes idle shares
	reason_becomes busy shares
}

is_twice()
{
	within 3 "$(get "$1" target_bytes)" $((2 * $(get "$2" target_bytes)))
}

tax_takes_from_the_idle()
{
	trap test_end EXIT
	pair
	knob policy/tax_bp 7500
	knob pools/host/limit_bytes $((100 * mib))
	divided $((94 * mib))
	[ "$(get busy target_bytes)" -gt $((55 * mib)) ]
	reason_becomes busy at-max
	[ "$(get idle target_bytes)" -lt $((40 * mib)) ]
	divided $((94 * mib))
	# so tight that both pay the same price
	knob policy/balloon_max_bp 9000
	knob pools/host/limit_bytes $((72 * mib))
	stand_still
	divides_again
	divided $((67 * mib))
	same_price 7500
	# one that is not taxed pays for what it has, used or not
	set_ idle tax_bp 0
	wait_until 10 is_above idle $((30 * mib))
	expect tax "$(get idle tax_bp)" 0
}

# What does not run changes nothing between the kernel's look and the test's.
stand_still()
{
	vm idle stop
	vm busy stop
	wait_until 5 does_not_run idle
	wait_until 5 does_not_run busy
}

# divides_again: a division that began after this was asked for is over.  Nothing
# but a min gives idle all its memory where there is too little.
divides_again()
{
	set_ idle min_bytes $((64 * mib))
	wait_until 5 target_is idle $((64 * mib)) || return 1
	set_ idle min_bytes 0
	wait_until 5 is_below idle $((64 * mib))
}

is_above()
{
	[ "$(get "$1" target_bytes)" -gt "$2" ]
}

min_max_and_no_shares()
{
	trap test_end EXIT
	pair
	knob pools/host/limit_bytes $((80 * mib))
	set_ idle min_bytes $((40 * mib))
	wait_until 10 target_is idle $((40 * mib))
	set_ idle min_bytes 0
	set_ busy max_bytes $((32 * mib))
	wait_until 10 target_is busy $((32 * mib))
	set_ busy max_bytes default
	set_ idle shares 0
	# 65 % of it at most are a balloon's
	wait_until 10 is_below idle $((23 * mib))
	[ "$(get idle target_bytes)" -ge $((22 * mib)) ]
	knob policy/mode enforce
	reason_becomes idle balloon-limit
}

target_is()
{
	[ "$(get "$1" target_bytes)" = "$2" ]
}

is_below()
{
	[ "$(get "$1" target_bytes)" -lt "$2" ]
}

# What ballastd does, at once: the balloon is what was asked for.
obey()
{
	local name
	for name in "$@"; do
		set_ "$name" balloon_bytes "$(get "$name" balloon_target_bytes)"
	done
}

# These balloons free no memory: the pool gets as much instead, before they have it.
obey_and_free()
{
	local name balloon
	for name in "$@"; do
		balloon=$(get "$name" balloon_target_bytes)
		knob pools/host/limit_bytes $(($(knob pools/host/limit_bytes) + balloon -
			$(get "$name" balloon_bytes)))
		set_ "$name" balloon_bytes "$balloon"
	done
}

both_are_at_target()
{
	obey_and_free idle busy
	has_its_target idle && has_its_target busy
}

has_its_target()
{
	within 2 $((64 * mib - $(get "$1" balloon_bytes))) "$(get "$1" target_bytes)"
}

enforce_moves_balloons()
{
	trap test_end EXIT
	local step
	pair
	# above what they have, but by less than state high wants
	limit_to 103 "$(knob pools/host/used_bytes)"
	wait_until 10 state_is soft || { say_targets; return 1; }
	expect "balloon target in mode observe" "$(get idle balloon_target_bytes)" 0
	reason_becomes idle observe
	knob policy/mode enforce
	wait_until 10 has_balloon_target idle || { say_targets; return 1; }
	step=$(get idle balloon_target_bytes)
	expect_range "first step" "$step" 1 $((64 * mib / 10 + 4096))
	reason_becomes idle tax
	wait_until 20 both_are_at_target || { say_targets; return 1; }
	[ "$(get idle balloon_bytes)" -gt 0 ]
	expect "balloon of the busy" "$(get busy balloon_bytes)" 0
	knob policy/mode observe
	wait_until 5 target_is_balloon idle || { say_targets; return 1; }
}

has_balloon_target()
{
	[ "$(get "$1" balloon_target_bytes)" -gt 0 ]
}

target_is_balloon()
{
	[ "$(get "$1" balloon_target_bytes)" = "$(get "$1" balloon_bytes)" ]
}

state_is()
{
	[ "$(knob pools/host/state)" = "$1" ]
}

states_follow_free_memory()
{
	trap test_end EXIT
	local used
	quick
	vm_start a --memory 64
	wait_until 5 vm_shown a
	used=$(knob pools/host/used_bytes)
	expect_limit_state 110 high "$used"
	expect_limit_state 103 soft "$used"
	expect_limit_state 105 soft "$used"
	expect_limit_state 101.5 hard "$used"
	expect_limit_state 103 hard "$used"
	expect_limit_state 100.5 low "$used"
	expect_limit_state 107 high "$used"
}

# ESXi's minFree of 100 GiB is 6 % of 4, 4 % of 8, 2 % of 16 and 1 % of 72, not 6 % of all;
# and then it does not matter what the shares of the four states are.
thresholds_slide()
{
	trap test_end EXIT
	local gib=$((1024 * mib)) used
	quick
	mkdir -p "$work/pool"
	mount -t ballastfs -o size=100g,name=web,sharing=off none "$work/pool"
	vm_start a --memory 32 --backing "file:$work/pool/a"
	vm_start b --memory 64
	wait_until 5 vm_shown a
	wait_until 5 vm_shown b
	expect thresholds "$(knob policy/thresholds)" classic
	wait_until 5 vms_are_left $((94 * gib))
	knob policy/thresholds sliding
	wait_until 5 vms_are_left $((100 * gib - (24 + 32 + 32 + 72) * gib / 100))
	knob policy/thresholds classic
	used=$(knob pools/host/used_bytes)
	knob policy/high_bp 5000
	knob policy/soft_bp 4000
	expect_limit_state 130 soft "$used"
	knob policy/thresholds sliding
	wait_until 5 state_is high
	knob policy/thresholds classic
	wait_until 5 state_is soft
	vm_kill a
	wait_until 5 vm_gone a
}

# vms_are_left BYTES: of pool web; each band of minFree is whole pages
vms_are_left()
{
	local off=$(($1 - $(knob pools/web/vms_available_bytes)))
	[ "$off" -ge -16384 ] && [ "$off" -le 16384 ]
}

# What a user has who has only loaded the module.
defaults_are_as_documented()
{
	local line file value
	while read -r file value; do
		line=$(echo "$kvm_defaults" | grep "/$file ") || { echo "no $file"; return 1; }
		expect "$file" "${line##* }" "$value"
	done <<-END
		policy/mode observe
		policy/thresholds classic
		policy/high_bp 600
		policy/soft_bp 400
		policy/hard_bp 200
		policy/low_bp 100
		policy/tax_bp 7500
		policy/balloon_max_bp 6500
		sampling/method fault
		sampling/pages_per_period 100
		sampling/period_ms 30000
	END
}

# limit_to PERCENT USED: of what is used
limit_to()
{
	knob pools/host/limit_bytes \
		"$(awk -v used="$2" -v percent="$1" 'BEGIN { printf "%d", used * percent / 100 }')"
}

# expect_limit_state PERCENT STATE USED
expect_limit_state()
{
	limit_to "$1" "$3"
	wait_until 5 state_is "$2" ||
		{ echo "limit $1 % of what is used: $(knob pools/host/state), expected $2"; return 1; }
}

who_does_not_obey_is_left_alone()
{
	trap test_end EXIT
	local state
	pair
	knob pools/host/limit_bytes $((100 * mib))
	for state in none stuck uncooperative; do
		set_ idle balloon_state "$state"
		wait_until 5 reason_is idle no-balloon
		[ "$(get idle target_bytes)" = $((64 * mib)) ]
		set_ idle balloon_state ok
		wait_until 5 reason_is idle observe
	done
	set_ idle balloon_state frozen
	wait_until 5 reason_is idle frozen
	# nobody speaks for it: in mode observe it is thought to obey
	set_ idle balloon_state unknown
	wait_until 5 reason_is idle observe
	knob policy/mode enforce
	wait_until 5 reason_is idle no-balloon
}

# The reason follows the target within a tick.
reason_becomes()
{
	wait_until 5 reason_is "$1" "$2" ||
		{ echo "reason of $1: $(get "$1" reason), expected $2"; return 1; }
}

reason_is()
{
	[ "$(get "$1" reason)" = "$2" ]
}

pressure_is_a_floor()
{
	trap test_end EXIT
	pair
	knob policy/mode enforce
	knob pools/host/limit_bytes $((100 * mib))
	wait_until 10 is_below idle $((45 * mib))
	set_ idle floor_bytes $((56 * mib))
	wait_until 5 target_is idle $((56 * mib))
	reason_becomes idle pressure
	wait_until 5 all_is_divided
	set_ idle floor_bytes 0
	wait_until 5 is_below idle $((45 * mib))
}

comes_and_goes()
{
	trap test_end EXIT
	local alone
	quick
	knob pools/host/limit_bytes $((100 * mib))
	vm_start idle --memory 64
	wait_until 5 vm_shown idle
	set_ idle balloon_state ok
	vm idle touch 10
	settled idle
	alone=$(get idle target_bytes)
	expect "target alone" "$alone" $((64 * mib))
	vm_start busy --memory 64
	vm busy touch 90
	wait_until 5 vm_shown busy
	set_ busy balloon_state ok
	wait_until 10 is_below idle $((50 * mib))
	vm_kill busy
	wait_until 10 target_is idle "$alone"
}

# three: VMs a, b and c of 64 MiB whose balloons obey
three()
{
	local name
	quick
	for name in a b c; do
		vm_start "$name" --memory 64
		wait_until 5 vm_shown "$name"
		set_ "$name" balloon_state ok
	done
}

shares_of_three()
{
	trap test_end EXIT
	three
	knob policy/tax_bp 0
	knob policy/balloon_max_bp 9000
	knob pools/host/limit_bytes $((104 * mib))
	set_ a shares 4000
	set_ b shares 2000
	set_ c shares 1000
	wait_until 10 are_four_two_one || {
		echo "targets $(get a target_bytes) $(get b target_bytes) $(get c target_bytes)"
		return 1
	}
	# it is their shares that count, not who they are
	set_ a shares 1000
	set_ c shares 4000
	wait_until 10 is_twice c b
	wait_until 10 is_twice b a
	wait_until 5 all_is_divided
}

all_is_divided()
{
	[ "$(knob pools/host/vms_available_bytes)" = "$(knob pools/host/vms_target_bytes)" ]
}

are_four_two_one()
{
	is_twice a b && is_twice b c
}

# The pool has less than the mins, and one VM's shares are a billion times the
# other's: each has its min, to the page, and no balloon ever takes more.
mins_are_kept_in_the_worst_case()
{
	trap test_end EXIT
	local i
	pair
	set_ idle min_bytes $((40 * mib))
	set_ busy min_bytes $((48 * mib))
	set_ idle shares 1
	set_ busy shares 1000000000
	knob pools/host/limit_bytes $((60 * mib))
	knob policy/mode enforce
	wait_until 10 state_is low
	wait_until 10 target_is idle $((40 * mib))
	wait_until 10 target_is busy $((48 * mib))
	for ((i = 0; i < 60; i++)); do
		obey idle busy
		expect_range "balloon of idle" "$(get idle balloon_bytes)" 0 $((24 * mib))
		expect_range "balloon of busy" "$(get busy balloon_bytes)" 0 $((16 * mib))
		are_at_their_mins && break
		nap 0.2
	done
	are_at_their_mins
	reason_becomes idle at-min
	reason_becomes busy at-min
	# neither more shares nor the other's tax change that
	set_ idle shares 0
	set_ busy tax_bp 0
	nap 1.5
	expect "target of idle" "$(get idle target_bytes)" $((40 * mib))
	expect "target of busy" "$(get busy target_bytes)" $((48 * mib))
	are_at_their_mins
	expect state "$(knob pools/host/state)" low
}

are_at_their_mins()
{
	[ "$(get idle balloon_bytes)" = $((24 * mib)) ] &&
		[ "$(get busy balloon_bytes)" = $((16 * mib)) ]
}

# Who comes is made room for, who goes leaves it: balloons, not only targets.
comes_and_goes_enforced()
{
	trap test_end EXIT
	quick
	knob policy/mode enforce
	knob pools/host/limit_bytes $((100 * mib))
	vm_start idle --memory 64
	wait_until 5 vm_shown idle
	set_ idle balloon_state ok
	vm idle touch 10
	settled idle
	expect "balloon alone" "$(get idle balloon_target_bytes)" 0
	vm_start busy --memory 64
	vm busy touch 90
	wait_until 5 vm_shown busy
	set_ busy balloon_state ok
	wait_until 30 has_made_room || {
		echo "balloon $(get idle balloon_bytes), target $(get idle target_bytes)"
		return 1
	}
	vm_kill busy
	wait_until 20 has_all_again || {
		echo "balloon $(get idle balloon_bytes), target $(get idle target_bytes)"
		return 1
	}
	expect "target alone" "$(get idle target_bytes)" $((64 * mib))
}

# Step by step, to the target.
has_made_room()
{
	obey idle busy
	[ "$(get idle balloon_bytes)" -ge $((20 * mib)) ] &&
		within 2 $((64 * mib - $(get idle balloon_bytes))) "$(get idle target_bytes)"
}

has_all_again()
{
	obey idle
	[ "$(get idle balloon_bytes)" = 0 ]
}

# What is locked is nobody's to take.  A mapping of ballastfs cannot be locked.
locked_memory_is_held()
{
	trap test_end EXIT
	quick
	knob policy/mode enforce
	vm_start locked --memory 32 --mlock yes
	vm_start busy --memory 64
	wait_until 5 vm_shown locked
	wait_until 5 vm_shown busy
	set_ locked balloon_state ok
	set_ busy balloon_state ok
	expect unreclaimable "$(get locked unreclaimable_bytes)" $((32 * mib))
	knob pools/host/limit_bytes $((60 * mib))
	wait_until 10 target_is locked $((32 * mib))
	reason_becomes locked pinned
	expect "balloon of what is locked" "$(get locked balloon_target_bytes)" 0
	wait_until 10 has_balloon_target busy
	mkdir -p "$work/pool"
	mount -t ballastfs -o size=64m,name=web none "$work/pool"
	vm_start file --memory 32 --backing "file:$work/pool/file" --mlock yes
	wait_until 5 is_in_pool file web
	expect "unreclaimable of file" "$(get file unreclaimable_bytes)" 0
	vm_kill file
	wait_until 5 vm_gone file
}

pool_on_ballastfs()
{
	trap test_end EXIT
	mkdir -p "$work/pool"
	mount -t ballastfs -o size=132m,name=web,sharing=off none "$work/pool"
	pair "$work/pool"
	wait_until 5 is_in_pool idle web
	divided $((124 * mib))
	wait_until 5 pool_adds_up
	wait_until 5 pool_state_is soft
	knob policy/mode enforce
	wait_until 10 has_balloon_target idle
	expect "balloon of busy" "$(get busy balloon_target_bytes)" 0
	# the other pool has nothing to do with it
	expect "host's targets" "$(knob pools/host/vms_target_bytes)" 0
	vm_kill idle
	vm_kill busy
	wait_until 5 vm_gone idle
	wait_until 5 vm_gone busy
}

pool_adds_up()
{
	[ "$(knob pools/web/vms_target_bytes)" = "$(targets_sum)" ]
}

pool_state_is()
{
	[ "$(knob pools/web/state)" = "$1" ]
}

# poll(2) tells of each balloon target.
targets_are_told()
{
	trap test_end EXIT
	local file
	pair
	file=$root/vms/$(vm_pid idle)/balloon_target_bytes
	kvm_build await
	"$work/await" "$file" 20 >"$work/told" &
	await=$!
	wait_until 5 test -s "$work/told"
	knob policy/mode enforce
	knob pools/host/limit_bytes $((133 * mib))
	wait "$await"
	cat "$work/told"
	[ "$(tail -n1 "$work/told")" -gt 0 ]
}

# The simulator is the policy's own source: from what was recorded it must come
# to the kernel's targets, to the page.
recorded_trace_replays()
{
	trap test_end EXIT
	local tools=$here/../../.build/tools tax
	pair
	limit_to 103 "$(knob pools/host/used_bytes)"
	stand_still
	for tax in 0 2500 7500 9900; do
		knob policy/tax_bp "$tax"
		divides_again
		rm -f "$work/trace" "$work/targets"
		"$tools/ballastctl" --count 1 --targets "$work/targets" record "$work/trace"
		"$tools/ballast-sim" "$work/trace" >"$work/simulated"
		cut -d, -f2-4 "$work/targets" >"$work/of_kernel"
		cut -d, -f2-4 "$work/simulated" >"$work/of_simulator"
		cat "$work/trace" "$work/targets" "$work/simulated"
		[ "$(wc -l <"$work/of_kernel")" = 3 ]
		diff "$work/of_kernel" "$work/of_simulator"
	done
}

# record_tick N: what the module sees and says now, as tick N
record_tick()
{
	local file
	rm -f "$work/one" "$work/one.targets"
	"$here/../../.build/tools/ballastctl" --count 1 --targets "$work/one.targets" record "$work/one"
	for file in one one.targets; do
		[ "$1" != 0 ] || head -n 1 "$work/$file" >"$work/all.$file"
		sed "1d; s/^0,/$1,/" "$work/$file" >>"$work/all.$file"
	done
}

has_planned()
{
	[ "$(get "$1" balloon_target_bytes)" != "$(get "$1" balloon_bytes)" ]
}

# replays N: what the module sees now, as tick N after those before it, makes the
# simulator say what the module says.  Targets are computed once a second: a look
# between a change and that finds what followed from the numbers before.
replays()
{
	local file
	for file in one one.targets; do
		[ ! -e "$work/all.$file" ] || cp "$work/all.$file" "$work/before.$file"
	done
	record_tick "$1"
	"$here/../../.build/tools/ballast-sim" --enforce "$work/all.one" >"$work/simulated"
	if cmp -s "$work/all.one.targets" "$work/simulated"; then
		return 0
	fi
	diff "$work/all.one.targets" "$work/simulated" >"$work/difference"
	for file in one one.targets; do
		[ ! -e "$work/before.$file" ] || cp "$work/before.$file" "$work/all.$file"
	done
	return 1
}

# Over several steps of a balloon: its target, the reason and the state too.
recorded_steps_replay()
{
	trap test_end EXIT
	local tick
	pair
	stand_still
	knob policy/mode enforce
	limit_to 80 "$(knob pools/host/used_bytes)"
	wait_until 5 state_is low
	for tick in 0 1 2 3 4; do
		# the balloon is as it was told to be: the next step is asked for
		obey idle
		wait_until 5 has_planned idle
		wait_until 10 replays "$tick" || { cat "$work/difference"; return 1; }
	done
	# one that does not move: what it has is held, the other has to give
	set_ idle balloon_state frozen
	reason_becomes idle frozen
	wait_until 5 has_planned busy
	wait_until 10 replays 5 || { cat "$work/difference"; return 1; }
	cat "$work/all.one" "$work/all.one.targets"
	[ "$(wc -l <"$work/simulated")" = 13 ]
	# steps, not the same all the time
	[ "$(cut -d, -f6 "$work/all.one.targets" | sort -u | wc -l)" -ge 6 ]
	cmp "$work/all.one.targets" "$work/simulated"
}

kvm_start
"$here/../tools/build" || exit 1
ktap_suite "targets"
for test in defaults_are_as_documented no_tax_divides_by_shares tax_takes_from_the_idle \
	min_max_and_no_shares enforce_moves_balloons states_follow_free_memory \
	thresholds_slide who_does_not_obey_is_left_alone shares_of_three \
	mins_are_kept_in_the_worst_case comes_and_goes_enforced locked_memory_is_held \
	pressure_is_a_floor comes_and_goes pool_on_ballastfs targets_are_told \
	recorded_trace_replays recorded_steps_replay; do
	[ "$only" = "  " ] || [[ $only == *" $test "* ]] || continue
	ktap_run "$test" "$test"
done
ktap_run "unloads" kvm_end
ktap_end
