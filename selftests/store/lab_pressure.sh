#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# VMs with more memory in all than their pool has: nothing is lost, nobody dies, all
# get on, and who has more than his target pays.
#
#   lab_pressure.sh [FUNCTION...]	the shorter tests, or those named (see the end);
#					all with BALLAST_PRESSURE=all
#
# VMs are minivm.c's with --guest load: the guest knows what it wrote, checks each
# word of each page, and keeps the longest time that it was without a page done.
# Half of the pages compress to an eighth, half do not compress.
#
# A guest with an operating system of its own, which asks for KVM's async page faults, is
# in guests/lab_swap.sh.  Guests and host share an emulated CPU, so times are bounds, not
# what hardware takes.

# shellcheck disable=SC2317	# in the whole file: ktap_run calls the functions
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/kvm/lib.sh
. "$here/../kvm/lib.sh"
# shellcheck source=selftests/store/devices.sh
. "$here/devices.sh"

only=" $* "
mib=$((1 << 20))
# How long a VM may be without a page done.  With a swap disk in memory the emulated
# host's CPU is what is waited for, by four VMs and what serves them.
gap_max_ms=$((5000 * slow))
# MiB of a VM, and those in its list at most: before them is what the guest itself needs
memory=8
used=4
names="a b c d"

test_ended()
{
	[ ! -e /dev/mapper/ballast-disk ] || disk_fails nothing
	fs_remove
	disk_remove
}

pool()
{
	attribute "$root/pools/p/$1"
}

# pool_mount MIB OPTIONS
pool_mount()
{
	mkdir -p "$work/p"
	mount -t ballastfs -o "size=$1m,sharing=off,name=p,$2" none "$work/p"
}

load_start()
{
	local name=$1
	shift
	vm_start "$name" --guest load --memory "$memory" --backing "file:$work/p/$name" "$@"
}

# four: VMs whose balloons, if any, are the test's
four()
{
	local name
	quick
	for name in $names; do
		load_start "$name" "$@"
		wait_until 5 vm_shown "$name"
	done
}

all()
{
	local name
	for name in $names; do
		vm "$name" "$@"
	done
}

# of the answer to "load": passes, pages right, pages wrong, longest gap in us, p50...
PASSES=1 CHECKED=2 BAD=3 GAP=4

has_passed()
{
	ask "$1" load
	[ "${said[PASSES]}" -ge "$2" ]
}

# pass N NAME...: N whole passes from now, at least
pass()
{
	local passes=$1 name
	local -A from
	shift
	for name in "$@"; do
		ask "$name" load
		from[$name]=$((said[PASSES]))
	done
	for name in "$@"; do
		wait_until 60 has_passed "$name" $((from[$name] + passes + 1)) ||
			{ echo "$name does not get on: $(vm "$name" load)"; report; return 1; }
	done
}

report()
{
	local name
	for name in $names; do
		[ ! -e "$work/vm.$name.pid" ] || vm_gone "$name" ||
			echo "$name: target $(get "$name" target_bytes) resident $(get "$name" resident_bytes)" \
				"compressed $(get "$name" compressed_bytes) swapped $(get "$name" swapped_bytes)" \
				"active $(get "$name" active_bp) $(get "$name" reason)"
	done
	grep . "$root"/pools/p/* 2>/dev/null || :
}

say()
{
	echo "# $*" >&3
}

is_right()
{
	ask "$1" load
	[ "${said[BAD]}" = 0 ] || { vm "$1" bad; return 1; }
	[ "${said[CHECKED]}" -gt 0 ]
}

# all_right NAME...: what was read was what had been written, and in time
all_right()
{
	local name gap longest=0
	for name in "$@"; do
		kill -0 "$(vm_pid "$name")"
		is_right "$name"
		gap=$((said[GAP] / 1000))
		[ "$gap" -le "$longest" ] || longest=$gap
	done
	expect pages_lost "$(pool pages_lost)" 0
	say "${FUNCNAME[1]}: longest time without a page done $longest ms (at most $gap_max_ms)"
	[ "$longest" -le "$gap_max_ms" ]
}

within_size()
{
	local have size
	have=$(pool used_bytes)
	size=$(pool size_bytes)
	[ "$have" -le $((size + 64 * 4096)) ] || { echo "used $have of $size"; return 1; }
}

nothing_stays()
{
	local name
	for name in $names; do
		[ ! -e "$work/vm.$name.pid" ] || { vm_kill "$name"; wait_until 5 vm_gone "$name"; }
	done
	rm -f "$work"/p/*
	expect "used_bytes without files" "$(pool used_bytes)" 0
	expect "store_bytes without files" "$(pool store_bytes)" 0
	expect "swap in use without files" "$(pool swap_free_bytes)" "$(pool swap_size_bytes)"
}

# ---- twice the pool's memory

# With interrupt controllers in the kernel KVM's workers wait for the pages, and the
# fault of the vCPU itself must not.
twice_the_memory()
{
	trap test_end EXIT
	local disk event=/sys/kernel/tracing/events/kvm/kvm_async_pf_completed
	mountpoint -q /sys/kernel/tracing || mount -t tracefs none /sys/kernel/tracing
	echo 1 >"$event/enable"
	disk=$(disk_make $((4 * memory)))
	pool_mount $((2 * used)) "compress=lz4,swap=$disk"
	knob policy/mode enforce
	four --irqchip yes
	all write 4
	all touch 100
	# shellcheck disable=SC2086	# a list of names
	pass 1 $names
	within_size
	echo 0 >"$event/enable"
	expect_range "async page faults" "$(grep -c kvm_async_pf_completed /sys/kernel/tracing/trace)" \
		10 1000000
	echo >/sys/kernel/tracing/trace
	[ "$(pool compressed_bytes)" -gt 0 ]
	[ "$(pool pages_swapped_in)" -gt 0 ]
	# shellcheck disable=SC2086	# a list of names
	all_right $names
	# equal VMs that do the same: none has what another lacks
	nothing_stays
}

# ---- who has more than his target pays

stored()
{
	echo $(($(get "$1" compressed_bytes) + $(get "$1" swapped_bytes)))
}

# idle_and_busy: a and b idle, with all their memory written; c and d then want theirs
idle_and_busy()
{
	local disk name
	disk=$(disk_make $((4 * memory)))
	pool_mount $((5 * used / 2)) "compress=lz4,swap=$disk"
	knob policy/mode enforce
	knob policy/soft_wait_ms 2000
	four
	for name in a b; do
		vm "$name" touch 100
	done
	pass 1 a b
	for name in a b; do
		vm "$name" touch 5
	done
	wait_until 60 are_idle a b
}

are_idle()
{
	local name
	for name in "$@"; do
		[ "$(get "$name" active_bp)" -lt 2500 ] || return 1
	done
}

above_target_pays()
{
	trap test_end EXIT
	local name idle=0 busy=0
	idle_and_busy
	for name in c d; do
		vm "$name" touch 50
	done
	pass 2 c d
	wait_until 30 targets_differ
	pass 2 c d
	for name in a b; do idle=$((idle + $(stored "$name"))); done
	for name in c d; do busy=$((busy + $(stored "$name"))); done
	say "stored of the idle $((idle / mib)) MiB, of the busy $((busy / mib)) MiB;" \
		"targets $(($(get a target_bytes) / mib)) and $(($(get c target_bytes) / mib)) MiB"
	[ $((busy * 3)) -lt "$idle" ] || { report; return 1; }
	within_size
	# what was taken of them is right
	for name in a b; do
		vm "$name" touch 100
	done
	pass 1 a b
	# shellcheck disable=SC2086	# a list of names
	all_right $names
	nothing_stays
}

targets_differ()
{
	[ "$(get a target_bytes)" -lt "$(get c target_bytes)" ] &&
		[ "$(get b target_bytes)" -lt "$(get d target_bytes)" ]
}

# a, whose target is next to nothing while b has a use for it, and b
poor_and_rich()
{
	quick
	load_start a --soft 0
	load_start b --soft 0
	wait_until 5 vm_shown a
	wait_until 5 vm_shown b
	set_ a shares 1
	set_ b shares 1000000
}

# In state low, made to last by a slow disk: a waits though there is room, b does not.
above_target_waits()
{
	trap test_end EXIT
	local disk held rounds free came
	disk=$(disk_failing $((2 * memory)))
	pool_mount $((2 * used)) "compress=off,swap=$disk"
	knob policy/mode enforce
	knob policy/high_bp 5000
	knob policy/soft_bp 4500
	knob policy/hard_bp 4000
	knob policy/low_bp 3500
	poor_and_rich
	vm a touch 50
	pass 1 a
	wait_until 10 is_above a
	expect "held_back with memory free" "$(pool held_back)" 0
	disk_slow 0 $((3000 * slow))
	vm b touch 30
	wait_until 30 is_held_back
	ask a state
	rounds=${said[3]}
	# pages that it has not had
	vm b touch 40
	pass 1 b
	refute "b above its target" is_above b
	held=$(pool held_back)
	wait_until 10 is_held_back "$held"
	ask a state
	expect "rounds of a" "${said[3]}" "$rounds"
	expect state "$(pool state)" low
	[ "$(pool free_bytes)" -gt 0 ]
	say "held back $(pool held_back) times with $(($(pool free_bytes) / 4096)) pages free"
	# until state low ends, not just until as much is free as it began below
	free=$(pool free_bytes)
	knob policy/low_bp $((free * 5000 / $(pool size_bytes)))
	wait_until 30 takes_more_than $(($(pool pages_swapped_out) + 32))
	[ "$(pool free_bytes)" -ge "$free" ]
	ask a state
	expect "rounds of a with more free" "${said[3]}" "$rounds"
	expect "state with more free" "$(pool state)" low
	# until it is below, whatever the state; it alone has pages to come back
	came=$(pool pages_swapped_in)
	set_ a min_bytes $(($(get a resident_bytes) + 25 * 4096))
	wait_until 20 more_have_come "$came" || { report; return 1; }
	expect "state when it goes on" "$(pool state)" low
	disk_fails nothing
	# some are refused at first, for their order
	knobs_restore || true
	pass 1 a
	is_right a
	is_right b
	expect pages_lost "$(pool pages_lost)" 0
	nothing_stays
}

# soft_takes_after STATE-OF-THE-BALLOON: milliseconds from state soft to the first page
# taken of a, which has what b is entitled to, and hard is far
soft_takes_after()
{
	local begin
	vm a touch 100
	pass 1 a
	# what is taken stays away
	vm a touch 1
	pass 1 a
	set_ a balloon_state "$1"
	expect "state before" "$(pool state)" high
	taken=$(pool pages_swapped_out)
	missing=$(pages_missing)
	above=$(pages_above a)
	knob policy/high_bp 5000
	knob policy/soft_bp 4900
	begin=${EPOCHREALTIME/[.,]/}
	wait_until 60 takes_more_than "$taken"
	after_ms=$(((${EPOCHREALTIME/[.,]/} - begin) / 1000))
	# or high again, by what was taken
	[[ $(pool state) = @(soft|high) ]] || { echo "state then: $(pool state)"; return 1; }
}

# What is missing to high, and no more, though a has more than that above its target.
takes_what_is_missing()
{
	local missing=$1 above=$2
	wait_until 20 state_is high
	taken=$(($(pool pages_swapped_out) - taken))
	say "$missing pages were missing, $above above the target, $taken taken"
	[ "$above" -gt $((missing * 3 / 2)) ]
	# a round at a time, and a look each second
	expect_range "pages taken" "$taken" $((missing - 32)) $(((missing + 3 * above) / 4))
	knob policy/soft_bp 400
	knob policy/high_bp 600
}

# pages_missing: to a half of the pool; pages_above NAME: its target
pages_missing()
{
	echo $((($(pool size_bytes) / 2 - $(pool free_bytes)) / 4096))
}

pages_above()
{
	echo $((($(get "$1" resident_bytes) - $(get "$1" target_bytes)) / 4096))
}

takes_more_than()
{
	[ "$(pool pages_swapped_out)" -gt "$1" ]
}

state_is()
{
	[ "$(pool state)" = "$1" ]
}

# In state soft a balloon has its time; then, or where there is none, pages are taken.
soft_waits_for_balloons()
{
	trap test_end EXIT
	local disk after_ms taken missing above wait_ms=$((6000 * slow))
	disk=$(disk_make $((4 * memory)))
	pool_mount $((2 * used)) "compress=off,swap=$disk"
	knob policy/mode enforce
	knob policy/soft_wait_ms "$wait_ms"
	poor_and_rich
	vm b touch 30
	pass 1 b
	soft_takes_after none
	say "without a balloon pages are taken after $after_ms ms"
	[ "$after_ms" -lt $((wait_ms / 2)) ]
	takes_what_is_missing "$missing" "$above"
	soft_takes_after ok
	say "with one that does not move, after $after_ms ms of $wait_ms"
	# counted from when the engine saw the pool leave state high, which the last knob makes
	expect_range "ms that a balloon has" "$after_ms" $((wait_ms - 500 * slow)) $((2 * wait_ms))
	is_right a
	is_right b
	nothing_stays
}

more_have_come()
{
	[ "$(pool pages_swapped_in)" -gt "$1" ]
}

is_above()
{
	[ "$(get "$1" resident_bytes)" -gt "$(get "$1" target_bytes)" ]
}

# is_held_back [TIMES]: more often, in state low
is_held_back()
{
	[ "$(pool held_back)" -gt "${1:-0}" ] && [ "$(pool state)" = low ]
}

# As fast as it can, without a rest; all others idle.
idle_pay_for_one_that_runs_wild()
{
	trap test_end EXIT
	local disk name idle=0
	disk=$(disk_make $((4 * memory)))
	pool_mount $((3 * used)) "compress=lz4,swap=$disk"
	knob policy/mode enforce
	knob policy/soft_wait_ms 2000
	quick
	for name in a b c; do
		load_start "$name"
		vm "$name" touch 100
	done
	load_start d --pause 0
	pass 1 a b c
	for name in a b c; do
		wait_until 5 vm_shown "$name"
		vm "$name" touch 5
	done
	wait_until 60 are_idle a b c
	vm d write 2
	vm d touch 100
	pass 3 d
	for name in a b c; do idle=$((idle + $(stored "$name"))); done
	say "stored of the idle $((idle / mib)) MiB, of the wild one $(($(stored d) / mib)) MiB"
	[ $(($(stored d) * 4)) -lt "$idle" ] || { report; return 1; }
	pass 1 a b c
	# shellcheck disable=SC2086	# a list of names
	all_right $names
	nothing_stays
}

# ---- what was just used

# shrink_by PAGES: what is taken until then, and what is missing to soft, is anybody's
shrink_by()
{
	mount -o "remount,size=$((($(pool used_bytes) - $1 * 4096) / 1024))k" "$work/p"
}

# sampled METHOD: all that a uses, by then
sampled()
{
	[ "$1" != off ] || return 0
	knob sampling/method "$1"
	come_round a
	wait_until 90 periods_begun a $(($(get a active_periods) + 12))
	knob sampling/method off
	wait_until 10 knows_nothing a
}

# hot_taken METHOD: how many pages come back of what a uses all the time, a tenth of its
# list, when some of its memory is taken: nine times, for which block they are taken of is
# a lot's, and all that is hot lies in one.
hot_taken()
{
	taken=0
	back=0
	for _ in 1 2 3; do
		hot_taken_thrice "$1"
	done
}

hot_taken_thrice()
{
	local disk pages
	disk=$(disk_make $((4 * memory)))
	pool_mount $((2 * used)) "compress=off,swap=$disk"
	quick
	knob sampling/pages_per_period 1000
	knob sampling/method off
	load_start a --soft 0
	wait_until 5 vm_shown a
	vm a touch 100
	pass 1 a
	pages=$(($(pool used_bytes) / 4096))
	vm a touch 1
	pass 1 a
	# a page is spared for having come, too: once each
	while [ "$(pool reclaim_spared)" -lt $((pages * 9 / 10)) ]; do
		shrink_by 8
	done
	vm a touch 5
	for _ in 1 2 3; do
		mount -o "remount,size=$((2 * used))m" "$work/p"
		pass 2 a
		sampled "$1"
		taken=$((taken - $(pool pages_swapped_out)))
		back=$((back - $(pool pages_swapped_in)))
		shrink_by $((pages / 32))
		pass 2 a
		taken=$((taken + $(pool pages_swapped_out)))
		back=$((back + $(pool pages_swapped_in)))
	done
	vm a touch 100
	pass 1 a
	all_right a
	nothing_stays
	umount "$work/p"
	disk_remove
	knobs_restore
}

# Pages that sampling saw touched since reclaim last passed are not taken.
what_was_sampled_is_spared()
{
	trap test_end EXIT
	local taken back all without method
	hot_taken off
	without=$back
	all=$taken
	say "without sampling $without of $taken pages taken come back at once"
	[ "$without" -ge 10 ]
	for method in fault accessed; do
		hot_taken "$method"
		say "with it, by $method, $back of $taken"
		[ $((2 * back * all)) -lt $((without * taken)) ]
	done
}

# ---- balloons

# obey: what ballastd and the guest do: the balloon is what was asked for, to the page
obey()
{
	local name pages percent
	for name in $names; do
		pages=$(($(get "$name" balloon_target_bytes) / 4096))
		# half a page more, in millionths: minivm rounds down
		percent=$(((2 * pages + 1) * 50000000 / (memory * 256)))
		vm "$name" balloon "$((percent / 1000000)).$(printf %06d $((percent % 1000000)))"
		set_ "$name" balloon_bytes $((pages * 4096))
	done
}

# work_for PASSES OBEY: of the busy, until they are done
work_for()
{
	local passes=$1 obeys=$2 name
	local -A end
	for name in c d; do
		ask "$name" load
		end[$name]=$((said[PASSES] + passes))
	done
	while ! has_passed c "${end[c]}" || ! has_passed d "${end[d]}"; do
		[ "$obeys" = no ] || obey
		sleep 0.2
	done
}

# swapped_with no|yes: sets swapped and compressed, bytes while the busy do their work
swapped_with()
{
	local obeys=$1 name
	idle_and_busy
	# time for a balloon
	knob policy/soft_wait_ms 10000
	if [ "$obeys" = yes ]; then
		for name in $names; do
			set_ "$name" balloon_state ok
		done
	fi
	# half, then all: the balloons of the others see it coming
	for name in c d; do
		vm "$name" touch 30
	done
	work_for 5 "$obeys"
	for name in c d; do
		vm "$name" touch 50
	done
	work_for 10 "$obeys"
	swapped=$(($(pool pages_swapped_out) * 4096))
	compressed=$(($(pool pages_compressed) * 4096))
	for name in a b; do
		vm "$name" touch 100
	done
	pass 1 a b
	# shellcheck disable=SC2086	# a list of names
	all_right $names
	[ "$obeys" = no ] || [ "$(get a balloon_bytes)" -gt 0 ]
	nothing_stays
	umount "$work/p"
	disk_remove
	knobs_restore
}

balloons_save_swapping()
{
	trap test_end EXIT
	local swapped compressed without
	swapped_with no
	without=$swapped
	say "without balloons $swapped bytes swapped, $compressed compressed"
	swapped_with yes
	say "with balloons $swapped bytes swapped, $compressed compressed"
	[ "$swapped" -lt "$without" ]
}

# ---- what goes wrong under VMs that run

# A page that cannot be read is a machine check of that VM, at that page; others go on.
lost_page_is_one_vms()
{
	trap test_end EXIT
	local disk page
	disk=$(disk_failing $((4 * memory)))
	pool_mount $((used / 2)) "compress=off,swap=$disk"
	quick
	load_start a --soft 0
	load_start b --soft 0
	vm a touch 50
	pass 1 a
	vm b touch 50
	pass 1 b
	vm a touch 1
	vm b touch 1
	pass 2 a b
	mount -o "remount,size=$((4 * used))m" "$work/p"
	pass 2 a b
	dmesg -C
	disk_fails reads
	vm a touch 50
	wait_until 20 is_dead a
	disk_fails nothing
	cat "$work/vm.a.err"
	# BUS_MCEERR_AR
	page=$(sed -n 's/^minivm: SIGBUS, code 4, page \([0-9]*\)$/\1/p' "$work/vm.a.err")
	expect "lines in the log" "$(dmesg_lines \
		"pool p: page ${page:-none} of file [0-9]* is lost: it cannot be read")" 1
	vm b touch 50
	pass 1 b
	is_right b
	expect pages_lost "$(pool pages_lost)" 1
}

is_dead()
{
	! kill -0 "$(vm_pid "$1")" 2>/dev/null
}

shrunk_while_they_run()
{
	trap test_end EXIT
	local disk size
	disk=$(disk_make $((5 * memory)))
	pool_mount $((4 * used)) "compress=lz4,swap=$disk"
	four
	all write 4
	all touch 50
	# shellcheck disable=SC2086	# a list of names
	pass 0 $names
	for size in 2 4 2; do
		mount -o "remount,size=$((size * used))m" "$work/p" ||
			{ report; dmesg | grep 'ballast: pool' | tail; return 1; }
		expect size_bytes "$(pool size_bytes)" $((size * used * mib))
		within_size
		# shellcheck disable=SC2086	# a list of names
		pass 0 $names
	done
	# shellcheck disable=SC2086	# a list of names
	all_right $names
	nothing_stays
}

# No other test's pool has anything to scan.
scan_flat_out()
{
	local knob
	for knob in "pass_min_ms 0" "cpu_percent 100" "rate_pages_per_s 0" "vm_rate_pages_per_s 0" \
		"smart_scan 0" "run 1"; do
		echo "${knob#* }" >"$root/sharing/${knob% *}"
	done
}

shares_pages()
{
	[ "$(pool shared_frames)" -ge "$1" ]
}

# What the VMs have in common is more than the pool has; they go on all the time.
more_shared_than_the_pool_holds()
{
	trap test_end EXIT
	local disk
	disk=$(disk_make $((5 * memory)))
	pool_mount $((5 * used)) "compress=lz4,swap=$disk"
	mount -o remount,sharing=pool "$work/p"
	scan_flat_out
	four --same 14
	all write 8
	all touch 100
	wait_until 60 shares_pages $((used * 256 * 3 / 4))
	mount -o "remount,size=$((used / 2))m" "$work/p" ||
		{ report; dmesg | grep 'ballast: pool' | tail; return 1; }
	within_size
	# shellcheck disable=SC2086	# a list of names
	pass 1 $names
	within_size
	[ "$(pool shared_swapped_out)" -ge $((used * 256 / 4)) ] || { report; return 1; }
	say "${FUNCNAME[0]}: $(pool shared_swapped_out) shared pages swapped out," 		"$(pool pages_merged) merged"
	# shellcheck disable=SC2086	# a list of names
	all_right $names
	nothing_stays
}

# The swap file has no place for what does not compress: who writes more than there
# is room for waits, and goes on when the admin gives some.
swap_file_full()
{
	trap test_end EXIT
	local disk name
	disk=$(disk_make 2)
	pool_mount $((2 * used)) "compress=lz4,swap=$disk"
	echo 0 >"$root/pools/p/admission"
	four --soft 0
	all touch 100
	wait_until 60 is_stuck
	sleep 2
	for name in $names; do
		kill -0 "$(vm_pid "$name")"
	done
	# nobody was told of it, nobody was harmed: with room they go on
	mount -o "remount,size=$((4 * used + 4))m" "$work/p"
	# shellcheck disable=SC2086	# a list of names
	pass 1 $names
	for name in $names; do
		is_right "$name"
	done
	expect pages_lost "$(pool pages_lost)" 0
	nothing_stays
}

is_stuck()
{
	[ "$(pool reclaim_stuck)" -gt 0 ]
}

# Writes end in errors while memory is short: those who need more wait, the others run.
disk_that_fails()
{
	trap test_end EXIT
	local disk
	disk=$(disk_failing $((4 * memory)))
	pool_mount $((2 * used)) "compress=lz4,swap=$disk"
	four --soft 4
	all touch 30
	# shellcheck disable=SC2086	# a list of names
	pass 1 $names
	disk_fails writes
	all write 4
	all touch 100
	wait_until 30 has_write_errors
	sleep 1
	disk_fails nothing
	# ten seconds after an error it is tried again
	# shellcheck disable=SC2086	# a list of names
	pass 2 $names
	gap_max_ms=$((gap_max_ms + 20000 * slow))
	# shellcheck disable=SC2086	# a list of names
	all_right $names
	nothing_stays
}

has_write_errors()
{
	[ "$(pool swap_write_errors)" -gt 0 ]
}

# Who can never have enough, and is the one to be killed: again and again.
eats_the_hosts_memory()
{
	while :; do
		(
			echo 1000 >/proc/self/oom_score_adj
			exec python3 -c "
have = []
while True:
    have.append(b'x' * (8 << 20))"
		) 2>/dev/null || true
	done
}

# processes_killed: for want of memory, since the host began.  Without a program: it would
# have to be read from disk again, as all else.
processes_killed()
{
	local event times
	while read -r event times; do
		[ "$event" != oom_kill ] || echo "$times"
	done </proc/vmstat
}

# a wait for the kernel, which tries long before it kills
until_killed()
{
	local limit=$((SECONDS + 400))
	while [ "$(processes_killed)" -lt "$1" ]; do
		[ "$SECONDS" -lt "$limit" ] || { echo "nobody was killed"; return 1; }
		nap 1
	done
}

# out_of_memory SWAP: the pool is full, its disk slow, and the host has no memory left,
# all at once.
out_of_memory()
{
	local killed begin
	killed=$(processes_killed)
	pool_mount $((2 * used)) "compress=lz4,swap=$1"
	four --soft 4
	all write 4
	all touch 100
	# shellcheck disable=SC2086	# a list of names
	pass 1 $names
	disk_slow 20 50
	dmesg -C
	eats_the_hosts_memory &
	hog=$!
	begin=$SECONDS
	until_killed $((killed + 1))
	# shellcheck disable=SC2086	# a list of names
	pass 1 $names
	until_killed $((killed + 2))
	# shellcheck disable=SC2086	# a list of names
	pass 1 $names
	hog_ends
	killed=$(($(processes_killed) - killed))
	say "$killed hogs killed in $((SECONDS - begin)) s, $(pool pages_swapped_out) pages swapped out," \
		"$(pool pages_swapped_in) in"
	expect "of them those to be killed" \
		"$(dmesg_lines "Out of memory: Killed process [0-9]* (python3)")" "$killed"
	within_size
	disk_fails nothing
	gap_max_ms=$((gap_max_ms * 4))
	# shellcheck disable=SC2086	# a list of names
	all_right $names
	expect swap_write_errors "$(pool swap_write_errors)" 0
	nothing_stays
}

host_out_of_memory()
{
	trap hog_ended EXIT
	local disk
	disk=$(disk_failing $((4 * memory)))
	out_of_memory "$disk"
}

# A filesystem is between the pool and the disk, which may want memory of its own.
host_out_of_memory_and_a_swap_file()
{
	trap hog_ended EXIT
	local disk dir
	disk=$(disk_failing $((6 * memory)))
	dir=$(fs_on "$disk")
	out_of_memory "$dir/swap,swapsize=$((4 * memory))m"
}

hog_ends()
{
	kill -KILL "$hog" 2>/dev/null || true
	pkill -KILL -x python3 || true
	wait "$hog" 2>/dev/null || true
}

hog_ended()
{
	local status=$?
	hog_ends
	test_end "$status"
}

# ---- a page that waits for the disk

# slow_vm: VM a with more memory than its pool, and a swap disk that takes
# half a second
slow_vm()
{
	local disk
	disk=$(disk_failing $((2 * memory)))
	pool_mount $((used / 2)) "compress=off,swap=$disk"
	quick
	load_start a --soft 0
	vm a touch 50
	pass 1 a
	disk_slow 500 0
	vm a forget
}

# While the guest waits for the disk, the VMM maps memory and the host reads its maps.
mmap_lock_is_not_held()
{
	trap test_end EXIT
	local words from to i maps=0 pid gap lines
	slow_vm
	pid=$(vm_pid a)
	ask a mmaps 4000
	words=("${said[@]}")
	for ((i = 0; i < 30; i++)); do
		from=${EPOCHREALTIME/./}
		# by the shell itself: a program takes longer to start than this may take
		mapfile -t lines <"/proc/$pid/maps"
		to=${EPOCHREALTIME/./}
		[ $((to - from)) -le "$maps" ] || maps=$((to - from))
		sleep 0.05
	done
	ask a load
	gap=$((said[GAP] / 1000))
	say "guest's page waits for the disk $gap ms; longest mmap and munmap" \
		"meanwhile ${words[2]} us (${words[1]} times), maps read in $maps us"
	[ "$gap" -ge 400 ]
	[ "${#lines[@]}" -gt 0 ]
	[ "${words[1]}" -gt 100 ]
	[ "${words[2]}" -lt $((250000 * slow)) ]
	[ "$maps" -lt $((250000 * slow)) ]
	disk_fails nothing
	all_right a
	nothing_stays
}

kvm_start
exec 3>&1
ktap_suite "pressure"
ktap_on 6.12 soft_waits_for_balloons above_target_waits
tests="twice_the_memory soft_waits_for_balloons above_target_waits lost_page_is_one_vms swap_file_full mmap_lock_is_not_held
	more_shared_than_the_pool_holds"
[ "${BALLAST_PRESSURE:-}" != all ] && [ "$only" = "  " ] ||
	tests+=" above_target_pays idle_pay_for_one_that_runs_wild balloons_save_swapping
		shrunk_while_they_run disk_that_fails what_was_sampled_is_spared host_out_of_memory
		host_out_of_memory_and_a_swap_file"
# races there, beside the shorter ones
[ "$slow" = 1 ] || [[ $tests == *disk_that_fails* ]] || tests+=" shrunk_while_they_run disk_that_fails"
for test in $tests; do
	[ "$only" = "  " ] || [[ $only == *" $test "* ]] || continue
	begin=$SECONDS
	ktap_run "$test" "$test"
	echo "# $test: $((SECONDS - begin)) s"
done
ktap_run "unloads" kvm_end
ktap_end
