#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What sharing does, to the page: who shares with whom, what is counted, what
# breaks a share, what the controls do.  The numbers that must be found come
# from what was written (an oracle over mapper's specs), not from the module.
#
#   lab_functional.sh [FUNCTION...]	all tests, or those named (see the end)
#
# Races are in lab_races.sh; this runs on content that does not change unless
# the test says so.

# shellcheck disable=SC2317	# in the whole file: ktap_run calls the functions
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/sharing/lib.sh
. "$here/lib.sh"
# shellcheck source=selftests/lib/probes.sh
. "$here/../lib/probes.sh"

page=4096
only=" $* "
figures=

figure()
{
	echo "$*" >>"$figures"
}

# ---- expectations

# oracle SPECS...: the specs of a file are one word.  Prints what one pass makes
# of files that share with each other: frames, sharing slots, zero slots, single
# shellcheck disable=SC2048,SC2086	# they are split
oracle()
{
	"$work/mapper" --ids $* | awk '
		$1 == 0 { zeros++; next }
		{ count[$1]++ }
		END {
			for (id in count) {
				if (count[id] > 1) { frames++; slots += count[id] }
				else single++
			}
			print frames + 0, slots + 0, zeros + 0, single + 0
		}'
}

# oracle_apart SPECS...: the same of files that share with themselves only
oracle_apart()
{
	local specs
	for specs in "$@"; do oracle "$specs"; done |
		awk '{ f += $1; s += $2; z += $3; p += $4 } END { print f, s, z, p }'
}

# The same four numbers of a pool, and of debugfs' dump.
counts_of()
{
	echo "$(pool "$1" shared_frames) $(pool "$1" sharing_slots)" \
		"$(pool "$1" zero_slots) $(($(pool "$1" private_bytes) / page))"
}

# Sharers: what each frame says must be what there is.
counts_of_dump()
{
	awk -v pool="$1" '
		$1 != pool { next }
		$4 == "private" { private++ }
		$4 == "hole" { zeros++ }
		$4 == "shared" { slots++; sharers[$6] = $7; found[$6]++ }
		END {
			for (pfn in found) {
				frames++
				if (found[pfn] != sharers[pfn])
					print "frame", pfn, "says", sharers[pfn], "has", found[pfn]
			}
			print frames + 0, slots + 0, zeros + 0, private + 0
		}' /sys/kernel/debug/ballast/slots
}

# expect_counts POOL "FRAMES SLOTS ZEROS PRIVATE": in all places that say it
expect_counts()
{
	local name=$1 frames slots zeros private
	read -r frames slots zeros private <<<"$2"
	expect "shared, sharing, zero, private of $name" "$(counts_of "$name")" "$2"
	expect "the same in debugfs" "$(counts_of_dump "$name")" "$2"
	expect "saved_bytes" "$(pool "$name" saved_bytes)" \
		$(((slots - frames + zeros) * page))
	expect "used_bytes" "$(pool "$name" used_bytes)" $(((frames + private) * page))
}

# start NAME FILE SPECS: a mapper with all its pages written
start()
{
	local spec pages=0
	for spec in $3; do
		pages=$((pages + ${spec##*[*+]}))
	done
	mapper_start "$1" "$work/$2" "$pages"
	mapper "$1" write 0 "$3"
}

# intact NAME SPECS: by both ways to read
intact()
{
	mapper "$1" check 0 "$2"
	mapper "$1" pread 0 "$2"
}

begin()
{
	trap test_end EXIT
	sharing_stop
}

ino()
{
	stat -c %i "$work/$1"
}

# slot POOL FILE PAGE: its state and frame
slot()
{
	dump "$1" | awk -v ino="$(ino "$1/$2")" -v page="$3" '
		$2 == ino && $3 == page { print $4, $6; found = 1 }
		END { if (!found) print "hole 0" }'
}

remount()
{
	mount -o "remount,sharing=$2" "$work/$1"
}

uptime_ms()
{
	local seconds
	read -r seconds _ </proc/uptime
	echo $((10#${seconds/./} * 10))
}

# ---- who shares with whom

mixed_a="1%8*64 100+40 0*24 90*1"
mixed_b="1%8*32 5*7 140+50 0*9 90*1 1%2*5"

mixed()
{
	begin
	pool_mount p 16m "$1"
	start a p/a "$mixed_a"
	start b p/b "$mixed_b"
	if [ "$1" = off ]; then
		no_pass
	else
		one_pass
	fi
}

# The scanner may, and has no reason to.
no_pass()
{
	local before
	before=$(sharing full_scans)
	sharing pass_min_ms 0
	sharing run 1
	sleep 1
	sharing run 0
	expect "passes where nothing may be shared" "$(sharing full_scans)" "$before"
}

mixed_intact()
{
	intact a "$mixed_a"
	intact b "$mixed_b"
}

test_pool()
{
	mixed pool
	expect_counts p "$(oracle "$mixed_a" "$mixed_b")"
	expect "ids 1 to 8, 90 and 140 up to what overlaps" \
		"$(pool p shared_frames)" 9
	# All pages with ids of their own, and no others, are private.
	expect "private pages of a" "$(dump p | awk -v i="$(ino p/a)" \
		'$2 == i && $4 == "private" { n++; s += $3 } END { print n, s }')" \
		"40 $((40 * 64 + 39 * 40 / 2))"
	expect "false matches" "$(pool p false_matches)" 0
	expect "pages_scanned" "$(pool p pages_scanned)" $((129 + 104))
	mixed_intact
	expect_counts p "$(oracle "$mixed_a" "$mixed_b")"
}

test_vm()
{
	local pfns
	mixed vm
	expect_counts p "$(oracle_apart "$mixed_a" "$mixed_b")"
	pfns=$(dump p | awk '$4 == "shared" { print $2, $6 }' | sort -u |
		awk '{ print $2 }' | sort | uniq -d)
	expect "frames that two files have" "$pfns" ""
	mixed_intact
}

test_off()
{
	mixed off
	expect_counts p "0 0 0 $((129 + 104))"
	expect "pages_scanned" "$(pool p pages_scanned)" 0
	mixed_intact
}

test_two_pools()
{
	local both file
	local -A gone	# of pools that were there before
	begin
	for file in "$root"/sharing/*; do
		gone[${file##*/}]=$(attribute "$file")
	done
	pool_mount p 16m pool
	pool_mount q 16m pool
	start a p/a "$mixed_a"
	start b q/b "$mixed_a"
	one_pass
	expect_counts p "$(oracle "$mixed_a")"
	expect_counts q "$(oracle "$mixed_a")"
	both=$(awk '$4 != "hole" { print $1, $6 }' /sys/kernel/debug/ballast/slots |
		sort -u | awk '{ print $2 }' | sort | uniq -d)
	expect "frames in both pools" "$both" ""
	# so that none of them is nothing
	mapper a poke 5 100 1
	mapper b pin 9 2
	mapper b poke 20 100 1
	one_pass
	one_pass
	sums_over_pools p q
	[ "$(pool p cow_breaks)" -ge 1 ]
}

# Each statistic of sharing/ that pools have too.
sums_over_pools()
{
	local file name some=0
	for file in "$root"/sharing/*; do
		name=${file##*/}
		[ -e "$root/pools/$1/$name" ] || continue
		expect "$name over pools" "$(sharing "$name")" \
			$((gone[$name] + $(pool "$1" "$name") + $(pool "$2" "$name")))
		[ "$(pool "$1" "$name")" = 0 ] || some=$((some + 1))
	done
	echo "$some statistics are not 0"
	[ "$some" -ge 8 ]
}

# A tebibyte of nothing with a page at each end: whoever goes through all of it finds two.
test_sparse_file()
{
	local begun
	begin
	pool_mount p 16m pool
	truncate -s 1T "$work/p/a"
	# alike, 2^28 pages apart
	python3 -c "
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
for at in 0, (1 << 40) - 4096:
    os.pwrite(fd, b'ballast!' * 512, at)" "$work/p/a"
	begun=$SECONDS
	one_pass
	expect "pages_scanned" "$(pool p pages_scanned)" 2
	expect_counts p "1 2 0 0"
	expect "blocks of the file, of 512 bytes" "$(stat -c %b "$work/p/a")" 16
	sharing run 2
	expect_counts p "0 0 0 2"
	one_pass
	mount -o remount,sharing=off "$work/p"
	expect_counts p "0 0 0 2"
	expect_range "seconds" $((SECONDS - begun)) 0 $((30 * slow))
}

# ---- breaking shares

test_write_breaks_one()
{
	local frame
	begin
	pool_mount p 16m pool
	start a p/a "1%4*16"
	start b p/b "1%4*16"
	one_pass
	expect_counts p "4 32 0 0"
	frame=$(slot p a 6)
	mapper a check 0 "1%4*16"
	mapper a poke 5 100 1
	expect "cow_breaks" "$(pool p cow_breaks)" 1
	expect_counts p "4 31 0 1"
	expect "state of page 5" "$(slot p a 5 | cut -d' ' -f1)" private
	expect "page 6" "$(slot p a 6)" "$frame"
	mapper a write 5 "77*1"
	expect "cow_breaks of a private page" "$(pool p cow_breaks)" 1
	expect_counts p "4 31 0 1"
	intact a "1%4*5 77*1 3%2*2 1%4*8"
	intact b "1%4*16"
}

# breaks_in_one_fault MAPPER FILE PAGE: a write to a page that MAPPER has not mapped
breaks_in_one_fault()
{
	local faults breaks
	expect "state of $2's page $3 before" "$(slot p "$2" "$3" | cut -d' ' -f1)" shared
	faults=$(pool p faults)
	breaks=$(pool p cow_breaks)
	mapper "$1" poke "$3" 100 1
	expect "faults for $2's page $3" "$(pool p faults)" $((faults + 1))
	expect "cow_breaks for it" "$(pool p cow_breaks)" $((breaks + 1))
	expect "its state" "$(slot p "$2" "$3" | cut -d' ' -f1)" private
}

# It need not be mapped read-only first.
test_write_of_unmapped_page()
{
	begin
	pool_mount p 16m pool
	start a p/a "1%4*16 9*1"
	start b p/b "1%4*16 9*1"
	one_pass
	expect_counts p "5 34 0 0"
	# as the merge left it
	breaks_in_one_fault a a 0
	mapper a check 1 "2*1 3*1 4*1 1%4*12"
	mapper a remap
	breaks_in_one_fault a a 5
	# not mapped here, and mapped read-only there
	mapper_start c "$work/p/a" 17
	mapper a check 6 "3*1"
	breaks_in_one_fault c a 6
	mapper c write 6 "77*1"
	mapper a check 6 "77*1"
	# a copy, and the last sharer's own frame
	breaks_in_one_fault a a 16
	breaks_in_one_fault b b 16
	expect "takeovers" "$(pool p takeovers)" 1
	expect_counts p "4 29 0 5"
	intact b "1%4*16"
}

test_system_call_breaks_one()
{
	begin
	pool_mount p 16m pool
	start a p/a "1%4*16"
	one_pass
	mapper a pwrite 5 "77*1"
	expect_counts p "4 15 0 1"
	intact a "1%4*5 77*1 3%2*2 1%4*8"
	expect "cow_breaks" "$(pool p cow_breaks)" 1
}

test_broken_page_waits()
{
	begin
	pool_mount p 16m pool
	start a p/a "1%2*8"
	start b p/b "1%2*8"
	one_pass
	expect_counts p "2 16 0 0"
	mapper a write 0 "2*1"
	one_pass
	expect_counts p "2 15 0 1"	# first look after the break
	mapper a write 0 "1*1"
	one_pass
	expect_counts p "2 15 0 1"	# it has changed
	one_pass
	expect_counts p "2 16 0 0"	# it has not
	intact a "1*1 2*1 1%2*6"
}

# passes N: and what they looked at and passed over, into $looked and $passed
passes()
{
	local n=$1
	looked=$(pool p pages_scanned)
	passed=$(pool p skipped_unchanged)
	while [ "$n" -gt 0 ]; do
		one_pass
		n=$((n - 1))
	done
	looked=$(($(pool p pages_scanned) - looked))
	passed=$(($(pool p skipped_unchanged) - passed))
}

# 256 pages that stay as they are and are like no other: in eight passes each is
# looked at once.  What one of them has is found though it is not looked at, and
# what they change to is found when they are due.
test_smart_scan()
{
	local looked passed
	begin
	pool_mount p 16m pool
	start a p/a "1000+256"
	sharing smart_scan 1
	# a look leaves the hint; then one in 1, 2 and 4 passes at most
	passes 8
	passes 8
	expect "pages looked at in eight passes" "$looked" 256
	expect "pages passed over" "$passed" $((7 * 256))
	start b p/b "1000+256"
	passes 1
	expect_counts p "256 512 0 0"
	# the same pages, old again, and then alike in pairs
	mapper_stop b
	rm "$work/p/b"
	sharing run 2
	passes 16
	mapper a write 0 "5000%128*256"
	passes 9
	expect_counts p "128 256 0 0"
	intact a "5000%128*256"
}

test_smart_scan_off()
{
	local looked passed
	begin
	pool_mount p 16m pool
	start a p/a "1000+256"
	passes 8
	expect "pages looked at in eight passes" "$looked" $((8 * 256))
	expect "pages passed over" "$passed" 0
}

# A new mode asks other questions: old pages have to answer them too.
test_smart_scan_new_mode()
{
	local looked passed
	begin
	pool_mount p 16m vm
	start a p/a "1000+256"
	start b p/b "1000+256"
	sharing smart_scan 1
	passes 16
	expect_counts p "0 0 0 512"
	remount p pool
	passes 1
	expect "pages passed over" "$passed" 0
	expect_counts p "256 512 0 0"
}

test_zero_page()
{
	begin
	pool_mount p 16m pool
	start a p/a "0*4 9*1"
	expect "used_bytes" "$(pool p used_bytes)" $((5 * page))
	one_pass
	expect_counts p "0 0 4 1"
	expect "pages_zeroed" "$(pool p pages_zeroed)" 4
	expect "blocks of the file, of 512 bytes" "$(stat -c %b "$work/p/a")" 8
	intact a "0*4 9*1"
	expect_counts p "0 0 4 1"	# to read takes nothing
	mapper a write 1 "7*1"
	mapper a pwrite 2 "8*1"
	expect_counts p "0 0 2 3"
	intact a "0*1 7*1 8*1 0*1 9*1"
	mapper a write 1 "0*2"
	one_pass
	expect_counts p "0 0 4 1"
}

test_pinned()
{
	begin
	pool_mount p 16m pool
	start a p/a "1+4 0*1"
	start b p/b "1+4 0*1"
	mapper a pin 0 5
	one_pass
	expect_counts p "0 0 1 9"
	expect_range "skipped_pinned" "$(pool p skipped_pinned)" 5 20
	mapper b write 0 "11+4"
	mapper a unpin "1+4 0*1"
	mapper b write 0 "1+4"
	one_pass
	expect_counts p "4 8 2 0"
	intact a "1+4 0*1"
	intact b "1+4 0*1"
}

# Not that of either of the two candidates; some other page's may come again.
test_fresh_frame()
{
	begin
	pool_mount p 16m pool
	start a p/a "1+64"
	start b p/b "1+64"
	dump p >"$work/before"
	one_pass
	expect_counts p "64 128 0 0"
	dump p | awk '
		NR == FNR { had[$3, $6] = 1; pages++; next }
		($3, $6) in had { print "page", $3, "in a frame of its own"; bad = 1 }
		END { exit bad || pages != 128 }' "$work/before" -
}

# ---- tracepoints

trace_end()
{
	local status=$?
	echo 0 >/sys/kernel/tracing/events/ballast/enable
	echo >/sys/kernel/tracing/trace
	test_end "$status"
}

# traced EVENT [REGEX]: how many there were
traced()
{
	grep -cE " ballast_$1: .*${2:-}" /sys/kernel/tracing/trace || true
}

test_tracepoints()
{
	local slots frames
	[ -e /sys/kernel/tracing/trace ] || mount -t tracefs none /sys/kernel/tracing
	begin
	trap trace_end EXIT
	echo >/sys/kernel/tracing/trace
	echo 1 >/sys/kernel/tracing/events/ballast/enable
	pool_mount p 16m pool
	start a p/a "1+4 0*2"
	start b p/b "1+4 30+1"
	start c p/c "1*1 40*1"
	mapper c pin 0 1
	one_pass
	expect_counts p "4 8 2 3"
	expect "pages shared" "$(traced share 'pfn=[1-9]')" 8
	expect "pages found zero" "$(traced share 'pfn=0$')" 2
	expect "pages skipped for a pin" "$(traced skip 'reason=pinned$')" "$(pool p skipped_pinned)"
	expect_range "of them" "$(traced skip 'reason=pinned$')" 1 1000
	expect "breaks" "$(traced break)" 0
	mapper a poke 1 100 1
	mapper b poke 1 100 1
	expect "breaks by a copy" "$(traced break 'page=1 took_over=0')" 1
	expect "breaks by the last sharer" "$(traced break 'page=1 took_over=1')" 1
	mapper a poke 1 100 2
	expect "breaks of a private page" "$(traced break)" 2
	# broken, and changed since: left alone for a pass
	one_pass
	expect "skips of pages written to" "$(traced skip 'page=1 reason=written')" 2
	# a hint that is out of date, followed before its page is looked at again
	mapper c write 1 "41*1"
	mapper a write 4 "40*1"
	one_pass
	expect "skips for a hint out of date" "$(traced skip 'page=1 reason=volatile')" 1
	# all breaks, not only those by a write
	slots=$(pool p sharing_slots)
	frames=$(pool p shared_frames)
	expect_range "slots that share" "$slots" 2 100
	echo >/sys/kernel/tracing/trace
	sharing run 2
	expect "breaks by run=2" "$(traced break)" "$slots"
	expect "of them the last sharer's" "$(traced break 'took_over=1')" "$frames"
}

# ---- run

test_run()
{
	local scanned
	begin
	pool_mount p 32m pool
	start a p/a "1%16*256 1000+800"
	start b p/b "1%16*256 2000+800"
	flat_out
	wait_until 10 test_run_shared
	scanned=$(pool p pages_scanned)
	wait_until 5 more_than "$scanned" pool p pages_scanned
	sharing run 0
	scanned=$(pool p pages_scanned)
	sleep 0.5
	expect "pages_scanned while stopped" "$(pool p pages_scanned)" "$scanned"
	expect_counts p "16 512 0 1600"
	sharing run 2
	expect "run" "$(sharing run)" 2
	expect_counts p "0 0 0 2112"
	sleep 0.3
	expect_counts p "0 0 0 2112"
	expect "pages_scanned after run=2" "$(pool p pages_scanned)" "$scanned"
	intact a "1%16*256 1000+800"
	intact b "1%16*256 2000+800"
	sharing run 1
	wait_until 10 test_run_shared
	sharing run 0
	expect_counts p "16 512 0 1600"
	intact a "1%16*256 1000+800"
}

test_run_shared()
{
	[ "$(pool p sharing_slots)" = 512 ]
}

# more_than NUMBER COMMAND...
more_than()
{
	local than=$1
	shift
	[ "$("$@")" -gt "$than" ]
}

# run_error VALUE: why run does not take it, or nothing
run_error()
{
	local message
	message=$( (echo "$1" >"$root/sharing/run") 2>&1) || echo "${message##*: }"
}

# A pool of 64 pages, where 80 pages share a frame, or one of each file.
crowded()
{
	begin
	pool_mount p 256k "$1"
	start a p/a "1*40"
	one_pass
	start b p/b "1*40"
	one_pass
}

test_run_2_refused()
{
	crowded pool
	expect_counts p "1 80 0 0"
	expect "run=2" "$(run_error 2)" "No space left on device"
	expect "run" "$(sharing run)" 0
	expect_counts p "1 80 0 0"
	sharing run 1
	expect "run=2 while scanning" "$(run_error 2)" "No space left on device"
	expect "run" "$(sharing run)" 1
	expect_counts p "1 80 0 0"
	# It says so while there is no room, and not for ever.
	mount -o remount,size=320k "$work/p"
	sharing run 2
	expect_counts p "0 0 0 80"
	intact a "1*40"
	intact b "1*40"
}

test_run_invalid()
{
	local value
	begin
	for value in 3 -1 abc "" 1x 99999999999 99999999999999999999; do
		expect "run='$value'" "$(run_error "$value")" "Invalid argument"
		expect "run" "$(sharing run)" 0
	done
}

# ---- remount

test_remount_narrower()
{
	local both
	mixed pool
	remount p vm
	both=$(dump p | awk '$4 == "shared" { print $2, $6 }' | sort -u |
		awk '{ print $2 }' | sort | uniq -d)
	expect "frames that two files have" "$both" ""
	expect "sharing" "$(pool p sharing)" vm
	mixed_intact
	# what was broken is not shared before a pass found it unchanged
	one_pass
	one_pass
	expect_counts p "$(oracle_apart "$mixed_a" "$mixed_b")"
	mixed_intact
	remount p off
	expect "shared_frames" "$(pool p shared_frames)" 0
	expect "sharing_slots" "$(pool p sharing_slots)" 0
	mixed_intact
	no_pass
	expect "shared_frames after a second" "$(pool p shared_frames)" 0
}

test_remount_pool_to_off()
{
	mixed pool
	remount p off
	expect "shared_frames" "$(pool p shared_frames)" 0
	expect "sharing_slots" "$(pool p sharing_slots)" 0
	expect "used_bytes" "$(pool p used_bytes)" $(((129 + 104 - 33) * page))
	mixed_intact
}

# remount_refused POOL MODE
remount_refused()
{
	local before
	before=$(counts_of "$1")
	refute "remount to $2" remount "$1" "$2"
	expect "counts" "$(counts_of "$1")" "$before"
	expect "debugfs" "$(counts_of_dump "$1")" "$before"
}

test_remount_refused()
{
	local mode
	for mode in vm off; do
		(
			crowded pool
			remount_refused p "$mode"
			expect "sharing" "$(pool p sharing)" pool
			intact a "1*40"
			intact b "1*40"
		)
	done
	crowded vm
	expect_counts p "2 80 0 0"
	remount_refused p off
	expect "sharing" "$(pool p sharing)" vm
	intact a "1*40"
}

# Room is needed for what the new mode forbids, and for no more: 80 pages that
# two files share each with itself stay so, 20 that they share with each other
# in one frame need 19.
test_remount_narrower_just_fits()
{
	crowded vm
	expect_counts p "2 80 0 0"
	remount p pool
	remount p vm
	expect_counts p "2 80 0 0"
	remount p pool
	start c p/c "3*10"
	start d p/d "3*10"
	one_pass
	expect_counts p "3 100 0 0"
	mount -o remount,size=84k "$work/p"
	remount_refused p vm
	expect "sharing" "$(pool p sharing)" pool
	mount -o remount,size=88k "$work/p"
	remount p vm
	expect_counts p "2 80 0 20"
	expect "free_bytes" "$(pool p free_bytes)" 0
	intact a "1*40"
	intact c "3*10"
	intact d "3*10"
}

test_remount_wider()
{
	local frames
	begin
	pool_mount p 16m vm
	start a p/a "1%4*16 50+8"
	start b p/b "1%4*16 50+8"
	one_pass
	expect_counts p "8 32 0 16"
	frames=$(dump p | awk '$4 == "shared"')
	remount p pool
	one_pass
	# what each shared with itself stays so; what was single is joined
	expect_counts p "16 48 0 0"
	expect "frames that were shared" "$(dump p | awk '$3 < 16')" "$frames"
	mapper a write 0 "1%4*16"
	mapper b write 0 "1%4*16"
	one_pass
	one_pass
	expect_counts p "12 48 0 0"
	intact a "1%4*16 50+8"
	intact b "1%4*16 50+8"
}

# ---- how much, how fast

# scanned_in MS: what is scanned in that time, scaled to exactly that time
scanned_in()
{
	local start before
	start=$(uptime_ms)
	before=$(pool p pages_scanned)
	sharing run 1
	sleep "$(($1 / 1000)).$(($1 % 1000))"
	echo $((($(pool p pages_scanned) - before) * $1 / ($(uptime_ms) - start)))
	sharing run 0
}

# A rate is a limit: never more.  Less is the host's doing if it is late now and
# then, ours if it is so three times.
# expect_rate WHAT PAGES-A-SECOND
expect_rate()
{
	local try scanned
	for try in 1 2 3; do
		scanned=$(scanned_in 3000)
		figure "$1: $scanned in 3 s (try $try)"
		expect_range "$1, in 3 s" "$scanned" 1 $(($2 * 39 / 10))
		[ "$scanned" -lt $(($2 * 21 / 10)) ] || return 0
	done
	echo "$1: less than 70 % of the rate, three times"
	return 1
}

test_rates()
{
	begin
	pool_mount p 128m pool
	start a p/a "1000+10000"
	start b p/b "20000+6000"
	sharing rate_pages_per_s 1000
	expect_rate "rate_pages_per_s=1000" 1000
	sharing rate_pages_per_s 0
	sharing vm_rate_pages_per_s 500
	expect_rate "vm_rate_pages_per_s=500, two files" 1000
}

# zeroed_in MS: what is found zero of the files a and b in that time, scaled to it
zeroed_in()
{
	local start a b
	a=$(zeroed a)
	b=$(zeroed b)
	start=$(uptime_ms)
	sharing run 1
	sleep "$(($1 / 1000)).$(($1 % 1000))"
	sharing run 0
	start=$(($(uptime_ms) - start))
	echo $((($(zeroed a) - a) * $1 / start)) $((($(zeroed b) - b) * $1 / start))
}

# Each file's own pages, which the pool's sum does not tell: those that are zero are
# counted by file.
test_vm_rate()
{
	local try a b
	begin
	pool_mount p 128m pool
	start a p/a "0*8000"
	start b p/b "0*8000"
	sharing vm_rate_pages_per_s 500
	for try in 1 2 3; do
		read -r a b <<<"$(zeroed_in 3000)"
		figure "vm_rate_pages_per_s=500: $a and $b in 3 s (try $try)"
		expect_range "a's pages in 3 s" "$a" 1 1950
		expect_range "b's pages in 3 s" "$b" 1 1950
		if [ "$a" -ge 1050 ] && [ "$b" -ge 1050 ]; then
			return 0
		fi
	done
	echo "less than 70 % of the rate, three times"
	return 1
}

zeroed()
{
	local file bytes
	file=$(ino "p/$1")
	read -r bytes <"$root/pools/p/files/$file/zero_bytes"
	echo $((bytes / page))
}

# Both at the same pace, as long as both have something left.
test_fairness()
{
	local big small
	begin
	pool_mount p 64m pool
	start big p/big "0*6000"
	start small p/small "0*1500"
	sharing rate_pages_per_s 1000
	sharing run 1
	wait_until 10 more_than 600 zeroed small
	sharing run 0
	big=$(zeroed big)
	small=$(zeroed small)
	expect_range "small file's pages" "$small" 600 1400
	expect_range "big file's pages, of the small one's $small" "$big" \
		$((small - 520)) $((small + 520))
}

# The thread's time on a CPU, in ms; its context switches
scanner()
{
	if [ -z "${scanner_pid:-}" ] || [ ! -d "/proc/$scanner_pid" ]; then
		scanner_pid=$(pgrep -x ballast_share)
	fi
	case $1 in
	cpu) read -r ns _ <"/proc/$scanner_pid/schedstat"; echo $((ns / 1000000)) ;;
	switches) awk '/ctxt_switches/ { n += $2 } END { print n }' "/proc/$scanner_pid/status" ;;
	esac
}

test_cpu_percent()
{
	local start used scanned
	begin
	pool_mount p 64m pool
	start a p/a "1000+5000"
	sharing pass_min_ms 0
	sharing cpu_percent 5
	sharing run 1
	sleep 0.5
	scanned=$(pool p pages_scanned)
	start=$(uptime_ms)
	used=$(scanner cpu)
	sleep 5
	used=$((($(scanner cpu) - used) * 1000 / ($(uptime_ms) - start)))
	sharing run 0
	scanned=$(($(pool p pages_scanned) - scanned))
	figure "cpu_percent 5: $scanned pages, $used per mille of a CPU"
	expect_range "per mille of a CPU" "$used" 1 80
	expect_range "pages scanned meanwhile" "$scanned" 100 100000000
}

# sleeps WHEN: fewer than five context switches in 3 s
sleeps()
{
	local before
	sleep 0.3	# what was under way may end
	before=$(scanner switches)
	sleep 3
	expect_range "context switches $1" $(($(scanner switches) - before)) 0 4
}

test_sleeps_without_files()
{
	begin
	flat_out
	pool_mount p 16m pool
	sleeps "without a file"
}

test_sleeps_where_nothing_may_be_shared()
{
	begin
	flat_out
	pool_mount p 16m off
	start a p/a "1*500"
	sleeps "with sharing=off"
	remount p pool
	wait_until 10 more_than 0 pool p sharing_slots
	remount p off
	sleeps "with sharing=off again"
}

test_sleeps_when_stopped()
{
	begin
	flat_out
	pool_mount p 16m pool
	start a p/a "1000+500"
	sharing run 0
	sleeps "with run=0"
}

test_freezer()
{
	local scanned
	grep -q freezer /sys/power/pm_test || lacks "no pm_test"
	grep -q mem /sys/power/state || lacks "no suspend to memory"
	begin
	pool_mount p 64m pool
	start a p/a "1%8*200 1000+4000"
	flat_out
	echo freezer >/sys/power/pm_test
	echo mem >/sys/power/state
	echo none >/sys/power/pm_test
	scanned=$(pool p pages_scanned)
	wait_until 5 more_than "$scanned" pool p pages_scanned
	sharing run 0
	intact a "1%8*200"
}

test_unload_while_scanning()
{
	local i
	begin
	for ((i = 0; i < (slow > 1 ? 1 : 3); i++)); do
		pool_mount p 64m pool
		start a p/a "1%8*400 1000+3000"
		flat_out
		mapper_stop a
		more_than 0 pool p pages_scanned || sleep 0.1
		umount "$work/p"
		rmmod ballast
		modprobe ballast
	done
}

# ---- the index

test_index_size()
{
	local bytes
	begin
	pool_mount p 96m pool
	start a p/a "100000+16384"
	one_pass
	bytes=$(pool p index_bytes)
	figure "index_bytes $bytes: $((bytes * 100 / 16384)) hundredths a page," \
		"hints $(pool p hints), lost $(pool p hints_lost)"
	expect_range "index_bytes" "$bytes" 1 $((16384 * 73 / 10 + 20 * 1024))
	# Chunks are not filled alike; a full one loses a hint now and then.
	expect_range "hints" "$(pool p hints)" $((16384 * 99 / 100)) 16384
	expect "hints and hints_lost" $(($(pool p hints) + $(pool p hints_lost))) 16384
}

# few_bytes PAGES [BYTES]: slots and index, 16 a page, and what is left over of the last
# block and chunk
few_bytes()
{
	local slots index left_over=${2:-6000}
	slots=$(attribute "$root/map_bytes")
	index=$(pool p index_bytes)
	figure "$1 pages: slots $slots, index $index bytes, $(((slots + index) * 100 / $1)) hundredths a page"
	expect_range "bytes for $1 pages" $((slots + index)) 1 $(($1 * 16 + left_over))
}

test_index_grows()
{
	local i bytes now
	begin
	pool_mount p 128m pool
	mapper_start a "$work/p/a" 10000
	bytes=$(pool p index_bytes)
	for i in 0 1 2 3 4 5 6 7 8 9; do
		mapper a write $((i * 1000)) "$((100000 + i * 1000))+1000"
		one_pass
		# it has just grown, and may not have moved all
		if [ "$i" = 4 ] || [ "$i" = 8 ]; then
			one_pass
			few_bytes $(((i + 1) * 1000))
		fi
	done
	few_bytes 10000 0
	expect_range "index_bytes" "$(pool p index_bytes)" $((bytes + 1)) $((10000 * 9))
	start b p/b "100000+10000"
	one_pass
	figure "of 20000 shared in one pass: $(pool p sharing_slots)," \
		"hints_lost $(pool p hints_lost)"
	# a hint that was lost costs a match one pass later
	expect_range "shared after a pass" "$(pool p sharing_slots)" 19800 20000
	one_pass
	one_pass
	expect_counts p "10000 20000 0 0"
	expect "index_full" "$(pool p index_full)" 0
	now=$(pool p index_bytes)
	mapper_stop a
	mapper_stop b
	rm "$work/p/a" "$work/p/b"
	start c p/c "1*1 2*1"
	flat_out
	wait_until 20 less_than $((now / 3)) pool p index_bytes
	sharing run 0
	expect "used_bytes" "$(pool p used_bytes)" $((2 * page))
}

# What is done to each other sharer of a frame when one is punched, or written: nothing.
test_many_sharers()
{
	local few many
	begin
	trap sharers_end EXIT
	pool_mount p 128m pool
	start a p/a "1*2 2*20000"
	one_pass
	one_pass
	expect "sharing_slots" "$(pool p sharing_slots)" 20002
	# mapped where they share, all of them
	mapper a check 0 '1*2' '2*20000'
	probe_count unmap_mapping_pages
	mapper a punch 0 1
	few=$(probe_calls)
	mapper a punch 2 1
	many=$(($(probe_calls) - few))
	expect_range "unmapped for a punch" "$few" 1 4
	expect "of 20000 that share" "$many" "$few"
	mapper a write 3 3+1
	expect_range "for a write" $(($(probe_calls) - few - many)) 0 2
	expect "sharing_slots" "$(pool p sharing_slots)" 19999
}

sharers_end()
{
	local status=$?
	probes_end
	test_end "$status"
}

less_than()
{
	local than=$1
	shift
	[ "$("$@")" -lt "$than" ]
}

run_test()
{
	if [ "$only" = "  " ] || [[ $only == *" $2 "* ]]; then
		ktap_run "$1" "$2"
	fi
}

# run_test_stock NAME FUNCTION: does nothing that another test does not do in the
# kernel, or measures time: the debug kernel has nothing to say about it, and
# needs half a minute to.
run_test_stock()
{
	if [ "$slow" = 1 ]; then
		run_test "$@"
	elif [ "$only" = "  " ]; then
		ktap_skip "$1" "on the stock kernels"
	fi
}

ktap_suite "sharing"
lib_start
figures=$work/figures
run_test "sharing=pool: all files of a pool" test_pool
run_test "sharing=vm: each file with itself" test_vm
run_test_stock "sharing=off: nothing, not even zero pages" test_off
run_test_stock "two pools never share" test_two_pools
run_test "a tebibyte with two pages" test_sparse_file
run_test "a write breaks one share" test_write_breaks_one
run_test "a write of a page that is not mapped is one fault" test_write_of_unmapped_page
run_test "write() breaks one share" test_system_call_breaks_one
run_test_stock "a broken page waits for a pass without a change" test_broken_page_waits
run_test "smart_scan: unchanged pages are passed over, and found" test_smart_scan
run_test_stock "smart_scan=0: they are not" test_smart_scan_off
run_test "smart_scan: a new mode looks at all pages" test_smart_scan_new_mode
run_test "a zero page becomes a hole" test_zero_page
run_test "a pinned page is left alone" test_pinned
run_test "tracepoints say what happens, and why not" test_tracepoints
run_test "the shared frame is neither candidate's" test_fresh_frame
run_test "run: stop, unshare, go on" test_run
run_test "run=2 refused where it does not fit" test_run_2_refused
run_test_stock "run: what it does not take" test_run_invalid
run_test "remount, pool to vm to off" test_remount_narrower
run_test_stock "remount, pool to off" test_remount_pool_to_off
run_test "remount refused where it does not fit" test_remount_refused
run_test "remount to a narrower mode that just fits" test_remount_narrower_just_fits
run_test "remount, vm to pool" test_remount_wider
run_test_stock "rate_pages_per_s and vm_rate_pages_per_s" test_rates
run_test_stock "vm_rate_pages_per_s: each file's own pages" test_vm_rate
run_test_stock "a big file does not starve a small one" test_fairness
run_test_stock "cpu_percent" test_cpu_percent
run_test_stock "the scanner sleeps without files" test_sleeps_without_files
run_test_stock "the scanner sleeps when stopped" test_sleeps_when_stopped
run_test_stock "the scanner sleeps with sharing=off" test_sleeps_where_nothing_may_be_shared
run_test "the freezer while scanning" test_freezer
run_test_stock "index: bytes a page" test_index_size
run_test_stock "many that share cost what few do" test_many_sharers
run_test "index: grows and shrinks, all matches found" test_index_grows
run_test "unload right after umount while scanning" test_unload_while_scanning
! [ -s "$figures" ] || sed 's/^/# /' "$figures"
ktap_run "module unloads" lib_end
ktap_end
