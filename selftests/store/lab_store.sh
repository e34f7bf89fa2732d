#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Pages that have no frame: that they come back as they were, that the accounts are
# right, and what becomes of a full or failing swap file.
#
#   lab_store.sh [FUNCTION...]	all tests, or those named (see the end)
#
# Mappers stand for VMs (sharing/mapper.c): they know what they wrote.  Content:
# ids from 1000000000 on compress to an eighth, from 2000000000 on are one repeated word,
# others do not compress.

# shellcheck disable=SC2317	# in the whole file: ktap_run calls the functions
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/sharing/lib.sh
. "$here/../sharing/lib.sh"
# shellcheck source=selftests/store/devices.sh
. "$here/devices.sh"
# shellcheck source=selftests/lib/probes.sh
. "$here/../lib/probes.sh"

only=" $* "
mib=$((1 << 20))
soft=1000000000
flat=2000000000

test_ended()
{
	fs_remove
	disk_remove
}

# Over its size by no more than the documented reserve.
within_size()
{
	local used size
	used=$(pool "$1" used_bytes)
	size=$(pool "$1" size_bytes)
	[ "$used" -le $((size + 64 * 4096)) ] ||
		{ echo "used $used of $size"; return 1; }
}

# All is given back when the files are gone.
empty_pool()
{
	local name=$1
	rm -f "$work/$name"/*
	expect "used_bytes without files" "$(pool "$name" used_bytes)" 0
	expect "store_bytes without files" "$(pool "$name" store_bytes)" 0
	expect "compressed_bytes without files" "$(pool "$name" compressed_bytes)" 0
	expect "swapped_bytes without files" "$(pool "$name" swapped_bytes)" 0
	expect "swap_free_bytes without files" "$(pool "$name" swap_free_bytes)" \
		"$(pool "$name" swap_size_bytes)"
}

# 24 MiB in a pool of 16
squeeze()
{
	local compressor=$1
	pool_mount p 16m off "compress=$compressor"
	mapper_start a "$work/p/a" 6144
	watch_use p
	mapper a write 0 "$soft+6144"
	within_size p
	[ "$(pool p compressed_bytes)" -ge $((8 * mib)) ]
	expect "compress" "$(pool p compress)" "$compressor"
	# an eighth, as zsmalloc has it
	[ "$(pool p store_bytes)" -lt $(($(pool p compressed_bytes) / 4)) ]
	counts_what_zsmalloc_has p
	mapper a check 0 "$soft+6144"
	mapper a check 0 "$soft+6144"
	never_over p
	[ "$(pool p pages_decompressed)" -ge 2048 ]
	expect pages_lost "$(pool p pages_lost)" 0
	mapper_stop a
	empty_pool p
}

# counts_what_zsmalloc_has POOL: whose pages are all that it has in this host, and the
# entries, 40 bytes for each page
counts_what_zsmalloc_has()
{
	local pages
	wait_until 20 rests "$1"
	echo 1 >/proc/sys/vm/stat_refresh
	pages=$(awk '$1 == "nr_zspages" { print $2 }' /proc/vmstat)
	expect_range "store_bytes" "$(pool "$1" store_bytes)" $((pages * 4096)) \
		$((pages * 4096 + $(pool "$1" compressed_bytes) * 40 / 4096 + 4096))
	[ "$pages" -gt 0 ]
	# and the pool's account has it
	expect used_bytes "$(pool "$1" used_bytes)" \
		$(($(pool "$1" private_bytes) + $(pool "$1" store_bytes)))
}

lz4_keeps_content()
{
	trap test_end EXIT
	squeeze lz4
}

zstd_keeps_content()
{
	trap test_end EXIT
	squeeze zstd
}

lzo_keeps_content()
{
	trap test_end EXIT
	squeeze lzo
}

same_filled_pages_take_no_store()
{
	trap test_end EXIT
	pool_mount p 8m off compress=lz4
	mapper_start a "$work/p/a" 8192
	mapper a write 0 "$flat+8192"
	within_size p
	expect "pages_same_filled" "$(pool p pages_same_filled)" "$(pool p pages_compressed)"
	expect "store of the file" "$(attribute "$root"/pools/p/files/*/store_bytes)" 0
	# the entries alone: 40 bytes each
	[ "$(pool p store_bytes)" -le $(($(pool p compressed_bytes) / 80)) ]
	mapper a check 0 "$flat+8192"
	mapper_stop a
	empty_pool p
}

# What does not compress, and a swap file three times the pool.
swap_keeps_content()
{
	trap test_end EXIT
	local disk
	disk=$(disk_make 48)
	pool_mount p 16m off "swap=$disk"
	mapper_start a "$work/p/a" 10240
	watch_use p
	mapper a write 0 1+10240
	within_size p
	[ "$(pool p swapped_bytes)" -ge $((20 * mib)) ]
	echo "swapped of each 2560: $(swapped_before 2560) $(swapped_before 5120)" \
		"$(swapped_before 7680) $(swapped_before 10240)"
	# which pages go is a lot's: in their order the second quarter would be gone as a whole
	# before the third
	expect_range "swapped of the second 2560" \
		$(($(swapped_before 5120) - $(swapped_before 2560))) 1000 2500
	expect_range "swapped of the third 2560" \
		$(($(swapped_before 7680) - $(swapped_before 5120))) 500 2500
	expect "swap accounts" $(($(pool p swap_size_bytes) - $(pool p swap_free_bytes))) \
		"$(pool p swapped_bytes)"
	mapper a check 0 1+10240
	mapper a check 0 1+10240
	within_size p
	never_over p
	[ "$(pool p pages_swapped_in)" -ge 5120 ]
	# pages that had just come back
	[ "$(pool p reclaim_spared)" -gt 0 ]
	expect pages_lost "$(pool p pages_lost)" 0
	mapper_stop a
	empty_pool p
	umount "$work/p"
	keeps_nothing "$disks/memory/backing"
}

# Disks are not alike in what they can give up.  A mapped one with a delay discards, and
# does not zero; a loop device on that does neither.
disk_is_discarded()
{
	trap discards_end EXIT
	local disk loop
	disk=$(disk_delayed 48 0)
	pool_mount p 8m off "swap=$disk,compress=off"
	fill_and_umount
	keeps_nothing "$disks/memory/backing"
	# by its header it is known again
	loop=$(losetup -f --show --direct-io=on "$disk")
	echo "$loop" >"$work/loop"
	pool_mount p 8m off "swap=$loop,compress=off"
	dmesg -C
	fill_and_umount
	[ "$(stat -c %b "$disks/memory/backing")" -gt 8000 ]
	expect "lines of the log" "$(dmesg_lines "swap file ${loop##*/}: content not discarded")" 1
}

fill_and_umount()
{
	mapper_start a "$work/p/a" 4096
	mapper a write 0 1+4096
	mapper_stop a
	[ "$(stat -c %b "$disks/memory/backing")" -gt 8000 ]
	umount "$work/p"
}

discards_end()
{
	local status=$?
	! mountpoint -q "$work/p" || umount "$work/p" || status=1
	[ ! -e "$work/loop" ] || losetup -d "$(<"$work/loop")" || status=1
	rm -f "$work/loop"
	test_end "$status"
}

# swapped_before PAGE: how many of those are
swapped_before()
{
	dump p | awk -v end="$1" '$4 == "swapped" && $3 < end { n++ } END { print n + 0 }'
}

# keeps_nothing FILE: blocks of it, but for the header's
keeps_nothing()
{
	expect_range "512-byte blocks that $1 keeps" "$(stat -c %b "$1")" 0 8
}

# watch_use POOL: from now on, fifty times a second at most, until never_over
watch_use()
{
	(
		pool=$1
		used=0
		trap 'echo "$used" >"$work/used.$pool"; exit' TERM
		while read -r now <"$root/pools/$pool/used_bytes"; do
			[ "$now" -le "$used" ] || used=$now
			nap 0.02
		done
	) &
	watcher=$!
	echo "$watcher" >"$work/watcher.pid"
}

# never_over POOL: by more than what design/store.md has under Accounts: pages that come
# back, what one page's compression takes and a page of entries
never_over()
{
	kill "$watcher"
	wait "$watcher" || true
	rm "$work/watcher.pid"
	echo "most used: $(<"$work/used.$1") of $(pool "$1" size_bytes)"
	expect_range "the most used" "$(<"$work/used.$1")" $(($(pool "$1" size_bytes) * 9 / 10)) \
		$(($(pool "$1" size_bytes) + (32 + 8 + 1) * 4096))
	rm "$work/used.$1"
}

# A limit on a device: nothing is written behind it.
swap_no_larger_than_told()
{
	trap test_end EXIT
	local disk
	disk=$(disk_make 24)
	pool_mount p 8m off "swap=$disk,swapsize=8m,compress=off"
	expect swap_size_bytes "$(pool p swap_size_bytes)" $((8 * mib - 4096))
	echo 0 >"$root/pools/p/admission"
	mapper_start a "$work/p/a" 8192
	says "No space left" mapper a pwrite 0 1+8192
	[ "$(pool p swapped_bytes)" -ge $((7 * mib)) ]
	cmp -n $((16 * mib)) -i $((8 * mib)):0 "$disks/memory/backing" /dev/zero
	mapper_stop a
	empty_pool p
}

# Below 2 % free it begins, and it goes on to 4 %.
reclaim_has_hysteresis()
{
	trap test_end EXIT
	local disk at
	disk=$(disk_make 48)
	pool_mount p 16m off "swap=$disk,compress=off"
	mapper_start a "$work/p/a" 8192
	# 146 pages left: between 81, 2 %, and 163, 4 %
	mapper a write 0 1+3950
	expect "swapped above 2 %" "$(pool p pages_swapped_out)" 0
	for ((at = 3950; at < 4096; at++)); do
		mapper a write "$at" "$((at + 1))+1"
		[ "$(pool p pages_swapped_out)" = 0 ] || break
	done
	wait_until 20 rests p
	echo "begins with $((4096 - at)) pages left, ends with $(($(pool p free_bytes) / 4096))"
	expect_range "pages left when it began" $((4096 - at)) 40 82
	expect_range "pages left when it ended" $(($(pool p free_bytes) / 4096)) 163 230
	mapper_stop a
	empty_pool p
}

# disk_did FIELD: of the disk since it was made, see Documentation/block/stat.rst
disk_did()
{
	local fields device
	device=$(<"$disks/loop")
	read -ra fields <"/sys/block/${device#/dev/}/stat"
	echo "${fields[$1]}"
}

disk_pages_read()
{
	echo $(($(disk_did 2) / 8))
}

disk_pages_written()
{
	echo $(($(disk_did 6) / 8))
}

# Many pages with each write; with a read the one that is wanted.
batches_out_single_pages_in()
{
	trap test_end EXIT
	local disk requests pages before
	disk=$(disk_make 48)
	pool_mount p 16m off "swap=$disk,compress=off"
	mapper_start a "$work/p/a" 8192
	requests=$(disk_did 4)
	pages=$(disk_pages_written)
	mapper a write 0 1+8192
	wait_until 20 rests p
	requests=$(($(disk_did 4) - requests))
	pages=$(($(disk_pages_written) - pages))
	echo "$pages pages in $requests writes"
	expect_range "pages written" "$pages" "$(pool p pages_swapped_out)" \
		$(($(pool p pages_swapped_out) + 1))
	[ $((requests * 8)) -le "$pages" ]
	pages=$(disk_pages_read)
	before=$(pool p pages_swapped_in)
	mapper a check 0 1+8192
	expect "pages read" $(($(disk_pages_read) - pages)) \
		$(($(pool p pages_swapped_in) - before))
	mapper_stop a
	empty_pool p
}

a_file_on_ext4_serves_as_swap()
{
	trap test_end EXIT
	local dir
	dir=$(fs_make 64)
	pool_mount p 8m off "swap=$dir/swap,swapsize=24m"
	expect "mode of the file" "$(stat -c %a "$dir/swap")" 600
	expect "owner of the file" "$(stat -c %u "$dir/swap")" 0
	# the first page is a header
	expect "swap_size_bytes" "$(pool p swap_size_bytes)" $((24 * mib - 4096))
	mapper_start a "$work/p/a" 6000
	mapper a write 0 1+6000
	mapper a check 0 1+6000
	[ "$(pool p pages_swapped_out)" -ge 3800 ]
	mapper_stop a
	empty_pool p
	umount "$work/p"
	expect "blocks after umount" "$(stat -c %b "$dir/swap")" 0
	# one that is there must be as private
	chmod 640 "$dir/swap"
	dmesg -C
	refute "a file that others may read" pool_mount p 8m off "swap=$dir/swap,swapsize=24m"
	dmesg | grep "swap.*others than its owner may open it: chmod 600 it"
	chmod 600 "$dir/swap"
	chown 1 "$dir/swap"
	refute "somebody's file" pool_mount p 8m off "swap=$dir/swap,swapsize=24m"
	dmesg | grep "swap.*it is not owned by root: chown root it"
	chown 0 "$dir/swap"
	pool_mount p 8m off "swap=$dir/swap,swapsize=24m"
	mapper_start a "$work/p/a" 6000
	mapper a write 0 1+6000
	[ "$(pool p pages_swapped_out)" -ge 3800 ]
	mapper_stop a
	rm "$work/p/a"
	umount "$work/p"
	keeps_nothing "$dir/swap"
}

holds_nothing()
{
	[ "$(stat -c %b "$1")" = 0 ]
}

runs_as_nobody()
{
	[ "$(stat -c %u "/proc/$1")" = 65534 ] && [ "$(<"/proc/$1/comm")" = sleep ]
}

# A pool that was unmounted lazily goes with its last VM, which runs as somebody else.
last_user_is_not_root()
{
	trap test_end EXIT
	local dir last
	dir=$(fs_make 64)
	pool_mount p 8m off "swap=$dir/swap,swapsize=24m"
	mapper_start a "$work/p/a" 6000
	mapper a write 0 1+6000
	[ "$(pool p pages_swapped_out)" -ge 3800 ]
	setpriv --reuid 65534 --regid 65534 --clear-groups sleep 1000 <"$work/p/a" &
	last=$!
	echo "$last" >"$work/last.pid"
	wait_until 5 runs_as_nobody "$last"
	umount -l "$work/p"
	mapper_stop a
	[ "$(stat -c %b "$dir/swap")" -gt 30000 ]
	kill "$last"
	wait_until 20 holds_nothing "$dir/swap"
}

# Who named the wrong file finds it as it was.
refused_file_is_as_it_was()
{
	trap test_end EXIT
	local dir sum
	dir=$(fs_make 64)
	head -c 100000 /dev/urandom >"$dir/dear"
	printf 'abc' >"$dir/small"
	truncate -s 2m "$dir/zeroes"
	chmod 600 "$dir"/*
	sum=$(cat "$dir/dear" "$dir/small" "$dir/zeroes" | md5sum)
	dmesg -C
	refute "what is dear" pool_mount p 8m off "swap=$dir/dear,swapsize=24m"
	dmesg | grep "swap.*something else is in it"
	refute "what is small" pool_mount p 8m off "swap=$dir/small,swapsize=24m"
	dmesg | grep "swap.*it has less than 4 KiB"
	refute "more than there is room for" pool_mount p 8m off "swap=$dir/zeroes,swapsize=1g"
	dmesg | grep "swap.*zeroes: its filesystem has no room for that size"
	refute "a new one of that size" pool_mount p 8m off "swap=$dir/new,swapsize=1g"
	dmesg | grep "swap.*new: its filesystem has no room for that size"
	expect sum "$(cat "$dir/dear" "$dir/small" "$dir/zeroes" | md5sum)" "$sum"
	expect "bytes of zeroes" "$(stat -c %s "$dir/zeroes")" $((2 * mib))
	expect "bytes and blocks of the new one" "$(stat -c "%s %b" "$dir/new")" "0 0"
}

# has_at_most PERCENT: of its size, each file in the store; a round of reclaim may be above
has_at_most()
{
	local file
	for file in "$root"/pools/p/files/*; do
		expect_range "store of $(attribute "$file/name")" "$(attribute "$file/store_bytes")" \
			1 $(($(attribute "$file/size_bytes") * $1 / 100 + 32 * 2048))
	done
}

# The oldest compressed pages go to the swap file when they take too much of their VM's.
ceiling()
{
	trap test_end EXIT
	local disk
	disk=$(disk_make 64)
	pool_mount p 16m off "swap=$disk"
	expect "compressed_max_bp" "$(pool p compressed_max_bp)" 1000
	echo 0 >"$root/pools/p/admission"
	echo 200 >"$root/pools/p/compressed_max_bp"
	mapper_start a "$work/p/a" 8192
	mapper_start b "$work/p/b" 4096
	mapper a write 0 "$soft+8192"
	mapper b write 0 "$((soft + 10000))+4096"
	wait_until 20 rests p
	has_at_most 2
	[ "$(pool p swapped_bytes)" -ge $((8 * mib)) ]
	mapper a check 0 "$soft+8192"
	mapper b check 0 "$((soft + 10000))+4096"
	mapper_stop a
	mapper_stop b
	empty_pool p
}

# Without a swap file no more is compressed, then.
ceiling_without_swap()
{
	trap test_end EXIT
	pool_mount p 16m off compress=lz4
	echo 200 >"$root/pools/p/compressed_max_bp"
	mapper_start a "$work/p/a" 8192
	says "No space left" mapper a pwrite 0 "$soft+8192"
	has_at_most 2
	[ "$(pool p compressed_bytes)" -ge $((4 * mib)) ]
	mapper a check 0 "$soft+4096"
	mapper_stop a
	empty_pool p
}

# ... but what takes no room in the store still goes: pages of one word, pages like others.
ceiling_is_no_end()
{
	trap test_end EXIT
	local flat=2000000000
	pool_mount p 16m off compress=lz4
	echo 200 >"$root/pools/p/compressed_max_bp"
	mapper_start a "$work/p/a" 8192
	mapper a pwrite 0 "$flat+3000" "$soft+5000"
	has_at_most 2
	mapper a check 0 "$flat+3000" "$soft+5000"
	mapper_stop a
	empty_pool p
	umount "$work/p"
	pool_mount p 16m vm compress=lz4
	# by reclaim, and next to nothing by the scanner
	sharing rate_pages_per_s 1
	sharing run 1
	echo 200 >"$root/pools/p/compressed_max_bp"
	mapper_start a "$work/p/a" 8192
	mapper a pwrite 0 "100%100*3000" "$soft+5000"
	has_at_most 2
	[ "$(pool p sharing_slots)" -ge 2000 ]
	mapper a check 0 "100%100*3000" "$soft+5000"
	mapper_stop a
	empty_pool p
}

pages_that_are()
{
	dump p | awk -v state="$1" '$4 == state { print $3 }' | sort
}

# Who was compressed first goes first.
oldest_go_to_swap()
{
	trap test_end EXIT
	local disk first swapped
	disk=$(disk_make 48)
	pool_mount p 16m off "swap=$disk"
	# 640 KiB, 1280 pages of an eighth
	echo 200 >"$root/pools/p/compressed_max_bp"
	mapper_start a "$work/p/a" 8192
	mapper a write 0 "$soft+4800"
	wait_until 20 rests p
	expect "pages swapped below the ceiling" "$(pool p swapped_bytes)" 0
	first=$(pages_that_are compressed)
	expect_range "compressed first" "$(wc -l <<<"$first")" 500 1200
	mapper a write 4800 "$((soft + 4800))+800"
	wait_until 20 rests p
	swapped=$(pages_that_are swapped)
	expect_range "swapped then" "$(grep -c . <<<"$swapped")" 50 "$(wc -l <<<"$first")"
	expect "swapped of later ones" "$(comm -13 <(echo "$first") <(echo "$swapped") | wc -l)" 0
	expect_range "compressed later" \
		"$(comm -13 <(echo "$first") <(pages_that_are compressed) | wc -l)" 50 8192
	mapper a check 0 "$soft+5600"
	mapper_stop a
	empty_pool p
}

# pages_of BYTES: 16 MiB of pages that begin with so many which do not compress
pages_of()
{
	python3 -c "
import random, sys
some, random = int(sys.argv[1]), random.Random(1)
for page in range(4096):
    sys.stdout.buffer.write(random.randbytes(some) + bytes(4096 - some))" "$1"
}

# What takes more than half a page is better off in the swap file.
kept_if_half_a_page()
{
	trap test_end EXIT
	local disk
	disk=$(disk_make 48)
	pool_mount p 8m off "swap=$disk"
	pages_of 2100 >"$work/pages"
	cp "$work/pages" "$work/p/a"
	wait_until 20 rests p
	expect "pages compressed to more" "$(pool p pages_compressed)" 0
	[ "$(pool p swapped_bytes)" -ge $((8 * mib)) ]
	cmp "$work/pages" "$work/p/a"
	rm "$work/p/a"
	pages_of 1900 >"$work/pages"
	cp "$work/pages" "$work/p/a"
	[ "$(pool p pages_compressed)" -ge 1000 ]
	cmp "$work/pages" "$work/p/a"
	rm "$work/pages"
	empty_pool p
}

# Who waits for a page to be read has nobody else wait: not in that page's file, nor in
# its 2 MiB.
slow_reads_hold_up_nobody()
{
	trap test_end EXIT
	local disk before at reader
	disk=$(disk_failing 64)
	pool_mount p 16m off "swap=$disk,compress=off"
	mapper_start a "$work/p/a" 6144
	mapper_start b "$work/p/a" 6144
	mapper a write 0 1+6144
	mount -o remount,size=64m "$work/p"
	wait_until 20 rests p
	for ((at = 256; at < 6144; at += 512)); do
		mapper a punch "$at" 256
	done
	disk_slow $((300 * slow)) 0
	before=$(pool p pages_swapped_in)
	for at in $(pages_that_are swapped | shuf -n 30 --random-source=<(yes)); do
		mapper a check "$at" "$((at + 1))+1"
	done &
	reader=$!
	wait_until 10 have_come $((before + 1))
	for ((at = 256; at < 6144; at += 512)); do
		mapper b write "$at" "$((at + 10001))+256"
		mapper b check "$at" "$((at + 10001))+256"
	done
	expect_range "pages read meanwhile" $(($(pool p pages_swapped_in) - before)) 1 25
	wait "$reader"
	expect "pages read" $(($(pool p pages_swapped_in) - before)) 30
	disk_fails nothing
	mapper_stop a
	mapper_stop b
	empty_pool p
}

have_come()
{
	[ "$(pool p pages_swapped_in)" -ge "$1" ]
}

# Whoever reads a file sees what is stored, and leaves it where it is.
read_leaves_pages_stored()
{
	trap test_end EXIT
	local disk stored
	disk=$(disk_make 48)
	pool_mount p 16m off "swap=$disk"
	mapper_start a "$work/p/a" 8192
	mapper a write 0 1+4096 "$soft+4096"
	wait_until 20 rests p
	stored=$(($(pool p swapped_bytes) + $(pool p compressed_bytes)))
	[ "$stored" -ge $((16 * mib)) ]
	mapper a pread 0 1+4096 "$soft+4096"
	expect "stored after reading" \
		$(($(pool p swapped_bytes) + $(pool p compressed_bytes))) "$stored"
	expect "holes" "$(python3 -c "
import os
fd = os.open('$work/p/a', os.O_RDONLY)
print(os.lseek(fd, 0, os.SEEK_HOLE))")" $((32 * mib))
	mapper a pwrite 0 20001+100
	mapper a check 0 20001+100 101+3996 "$soft+4096"
	mapper_stop a
	empty_pool p
}

# Reclaim has what it wants.  It stops at the soft threshold, and begins below the hard
# one: where the last page left it between the two, it sleeps.
rests()
{
	local state
	[ "$(pool "$1" free_bytes)" -ge $(($(pool "$1" size_bytes) / 50 - 4096)) ] || return 1
	read -r _ _ state _ <"/proc/$(pgrep -x ballast_reclaim)/stat"
	[ "$state" = S ]
}

# pieces FILE: FIRST-END of those with data, in pages
pieces()
{
	python3 -c "
import os, sys
fd, end, found = os.open(sys.argv[1], os.O_RDONLY), 0, []
try:
    while True:
        at = os.lseek(fd, end, os.SEEK_DATA)
        end = os.lseek(fd, at, os.SEEK_HOLE)
        found.append(f'{at / 4096:g}-{end / 4096:g}')
except OSError:
    print(*found)" "$1"
}

stored_pages()
{
	dump p | awk '$4 == "compressed" || $4 == "swapped" { print $3, $4 }'
}

# Holes, ends of file and parts of pages that are stored.
holes_in_what_is_stored()
{
	trap test_end EXIT
	local disk stored
	disk=$(disk_make 48)
	pool_mount p 16m off "swap=$disk"
	mapper_start a "$work/p/a" 8192
	mapper a write 0 1+4096 "$soft+4096"
	mapper a punch 1000 2000
	mapper a punch 5000 2000
	wait_until 20 rests p
	stored=$(stored_pages)
	grep -c ' compressed' <<<"$stored"
	grep -c ' swapped' <<<"$stored"
	expect "pieces with data" "$(pieces "$work/p/a")" "0-1000 3000-5000 7000-8192"
	[ "$(stored_pages)" = "$stored" ] || { echo "others are stored now"; return 1; }
	mapper a check 0 1+1000 '0*2000' 3001+1096 "$soft+904" '0*2000' "$((soft + 2904))+1192"
	mapper a resize 3500
	mapper a resize 8192
	mapper a check 0 1+1000 '0*2000' 3001+500 '0*4692'
	mapper_stop a
	empty_pool p
}

# No room anywhere: who can be told is told, who cannot waits, nothing is lost.
swap_file_full()
{
	trap test_end EXIT
	local disk lines why="pool p: .* nothing can be taken: its swap file is full"
	disk=$(disk_make 4)
	pool_mount p 8m off "swap=$disk,compress=off"
	echo 0 >"$root/pools/p/admission"
	mapper_start a "$work/p/a" 8192
	mapper a write 0 1+2900
	expect "swap_full with places left" "$(pool p swap_full)" 0
	lines=$(dmesg_lines "$why")
	# 12 MiB
	says "No space left" mapper a pwrite 2900 3001+2000
	wait_until 10 is_stuck p
	echo "swap_full $(pool p swap_full)"
	[ "$(pool p swap_full)" -gt 0 ]
	expect "lines in the log" "$(dmesg_lines "$why")" $((lines + 1))
	mapper a check 0 1+2900
	# a balloon
	mapper a punch 0 1000
	mapper a write 3000 9001+500
	mapper a check 1000 1001+1900
	mapper a check 3000 9001+500
	mapper_stop a
	empty_pool p
}

writes_fail()
{
	trap test_end EXIT
	local disk lines refused
	local why="pool p: .* nothing can be taken: its swap file cannot be written"
	disk=$(disk_failing 64)
	pool_mount p 16m off "swap=$disk,compress=off"
	mapper_start a "$work/p/a" 8192
	mapper a write 0 1+3500
	expect "swapped with room" "$(pool p swapped_bytes)" 0
	disk_fails all
	lines=$(dmesg_lines "$why")
	refused=$(dmesg_lines "pool p: cannot write to the swap file")
	says "No space left" mapper a pwrite 3500 3501+2000
	wait_until 20 has_write_errors p
	expect "swap_full with places left" "$(pool p swap_full)" 0
	[ "$(dmesg_lines "$why")" -gt "$lines" ]
	[ "$(dmesg_lines "pool p: cannot write to the swap file")" -gt "$refused" ]
	mapper a check 0 1+3500
	disk_fails nothing
	# it is tried again ten seconds after an error
	wait_until 30 mapper a pwrite 3500 3501+2000
	mapper a check 0 1+5500
	[ "$(pool p swapped_bytes)" -gt 0 ]
	expect pages_lost "$(pool p pages_lost)" 0
	mapper_stop a
	empty_pool p
}

# Its filesystem is frozen: nothing is written, nobody waits for it who need not, what
# is there can be read.
frozen_filesystem()
{
	trap thawed_at_end EXIT
	local stored
	frozen=$(fs_make 96)
	pool_mount p 16m off "swap=$frozen/swap,swapsize=40m,compress=off"
	mapper_start a "$work/p/a" 8192
	mapper a write 0 1+6000
	wait_until 20 rests p
	stored=$(pool p swapped_bytes)
	truncate -s 8M "$frozen/other"
	chmod 600 "$frozen/other"
	fsfreeze -f "$frozen"
	dmesg -C
	# one that is there, and one that would have to be made
	says "busy\|already mounted" pool_mount q 8m off "swap=$frozen/other"
	says "busy\|already mounted" pool_mount q 8m off "swap=$frozen/new,swapsize=8m"
	expect "lines in the log" "$(dmesg_lines "swap.*its filesystem is frozen")" 2
	says "No space left" mapper a pwrite 6000 6001+1000
	wait_until 20 has_write_errors p
	expect_range "swapped while it was frozen" "$(pool p swapped_bytes)" 1 "$stored"
	mapper a pread 0 1+6000
	expect pages_lost "$(pool p pages_lost)" 0
	fsfreeze -u "$frozen"
	# it is tried again ten seconds after an error
	wait_until 30 mapper a pwrite 6000 6001+1000 >"$work/said"
	mapper a check 0 1+7000
	[ "$(pool p swapped_bytes)" -gt "$stored" ]
	mapper_stop a
	empty_pool p
	fsfreeze -f "$frozen"
	umount "$work/p"
	dmesg | grep "swap file .*: content not discarded"
	expect_range "blocks that are left" "$(stat -c %b "$frozen/swap")" 1 $((40 * 2048 + 64))
	fsfreeze -u "$frozen"
}

thawed_at_end()
{
	local status=$?
	fsfreeze -u "$frozen" 2>/dev/null || true
	test_end "$status"
}

is_stuck()
{
	[ "$(pool "$1" reclaim_stuck)" -gt 0 ]
}

has_write_errors()
{
	[ "$(pool "$1" swap_write_errors)" -gt 0 ]
}

# gets_sigbus NAME PAGE: the mapper dies of touching it
gets_sigbus()
{
	local status=0
	says "has died" mapper "$1" check "$2" "1*1"
	wait "$(<"$work/mapper.$1.pid")" || status=$?
	expect "status of who touched page $2" "$status" $((128 + $(kill -l BUS)))
	mapper_stop "$1"
}

# log_tells_of PAGE WHY: one line does
log_tells_of()
{
	expect "lines about page $1" "$(dmesg_lines \
		"pool p: page $1 of file $(stat -c %i "$work/p/a") is lost: $2")" 1
}

# The swap file has other content than was written: here another page's.
other_content()
{
	trap test_end EXIT
	local disk lost
	disk=$(disk_make 48)
	pool_mount p 16m off "swap=$disk,compress=off"
	mapper_start a "$work/p/a" 8192
	mapper_start b "$work/p/a" 8192
	mapper a write 0 1+8192
	# they are given out in their order, and none is free again
	expect_range "places in use" $(($(pool p swapped_bytes) / 4096)) 400 8192
	dmesg -C
	disk_copy 300 200
	says "Input/output error" mapper a pread 0 1+8192
	lost=$(sed -n 's/.*page \([0-9]*\).*/\1/p' "$work/said")
	gets_sigbus b "$lost"
	log_tells_of "$lost" "the swap file has other content"
	# all others are well
	mapper a check 0 "1+$lost"
	mapper a check $((lost + 1)) "$((lost + 2))+$((8191 - lost))"
	expect pages_lost "$(pool p pages_lost)" 1
	mapper_stop a
}

# keeps_some_free POOL: the engine has seen it
keeps_some_free()
{
	[ "$(pool "$1" admissible_bytes)" -lt \
		$(($(pool "$1" size_bytes) + $(pool "$1" swap_size_bytes))) ]
}

# A page that cannot be read is lost, for whoever asks for it; no other.
reads_fail()
{
	trap test_end EXIT
	local disk lost admissible
	disk=$(disk_failing 64)
	pool_mount p 16m off "swap=$disk,compress=off"
	wait_until 5 keeps_some_free p
	admissible=$(pool p admissible_bytes)
	mapper_start a "$work/p/a" 8192
	mapper_start b "$work/p/a" 8192
	mapper_start c "$work/p/a" 8192
	mapper a write 0 1+6000
	dmesg -C
	disk_fails all
	says "Input/output error" mapper a pread 0 1+6000
	disk_fails nothing
	lost=$(pool p pages_lost)
	expect "pages_lost" "$lost" 1
	# the page after it is well; the lost one stays lost, until it is given back
	lost=$(sed -n 's/.*page \([0-9]*\).*/\1/p' "$work/said")
	mapper a pread $((lost + 1)) $((lost + 2))+100
	! mapper a pread "$lost" $((lost + 1)) >/dev/null || return 1
	gets_sigbus b "$lost"
	log_tells_of "$lost" "it cannot be read"
	mapper a punch "$lost" 1
	mapper a pread "$lost" '0*1' $((lost + 2))+100
	# one that is touched first through a mapping
	lost=$(dump p | awk '$4 == "swapped" { print $3; exit }')
	disk_fails all
	gets_sigbus c "$lost"
	disk_fails nothing
	log_tells_of "$lost" "it cannot be read"
	expect "pages_lost" "$(pool p pages_lost)" 2
	says "page $lost: Input/output error" mapper a pread "$lost" $((lost + 1))+1
	mapper a check $((lost + 1)) $((lost + 2))+100
	mapper_stop a
	rm "$work/p/a"
	expect "used_bytes without files" "$(pool p used_bytes)" 0
	# the places in the swap file are not used again
	expect "swap that is left" "$(pool p swap_free_bytes)" \
		$(($(pool p swap_size_bytes) - 2 * 4096))
	expect "admissible_bytes" "$(pool p admissible_bytes)" $((admissible - 2 * 4096))
}

# The pool becomes smaller than what is in it.
remount_smaller()
{
	trap test_end EXIT
	local disk missing least
	disk=$(disk_make 14)
	pool_mount p 24m off "swap=$disk,compress=off"
	mapper_start a "$work/p/a" 5632
	mapper a write 0 1+5000
	mount -o remount,size=12m "$work/p"
	expect "size_bytes" "$(pool p size_bytes)" $((12 * mib))
	expect_range "used_bytes" "$(pool p used_bytes)" $((10 * mib)) $((12 * mib))
	mapper a check 0 1+5000
	within_size p
	# not smaller than was promised; with what is missing it can be
	says "No space left" mount -o remount,size=4m "$work/p"
	missing=$(dmesg | sed -n 's/.*size=: 4096 KiB asked, \([0-9]*\) KiB missing .*/\1/p' |
		tail -n 1)
	expect "KiB missing" "$missing" \
		$((($(pool p size_bytes) - $(pool p admissible_bytes)) / 1024 - 4096))
	least=$((4096 + missing))
	says "No space left" mount -o "remount,size=$((least - 4))k" "$work/p"
	mount -o "remount,size=${least}k" "$work/p"
	expect "size_bytes" "$(pool p size_bytes)" $((least * 1024))
	# nor than can be
	echo 0 >"$root/pools/p/admission"
	says "busy" mount -o remount,size=4m "$work/p"
	expect "size_bytes" "$(pool p size_bytes)" $((least * 1024))
	dmesg | tail -n 5 | grep "size=: 4096 KiB asked, $(($(pool p used_bytes) / 1024)) KiB in use"
	mapper a check 0 1+5000
	mapper_stop a
	empty_pool p
}

# All that could be taken is in use for a moment: who makes the pool smaller waits.
in_use_for_a_moment()
{
	trap test_end EXIT
	local remount
	pool_mount p 4m off compress=lz4
	mapper_start a "$work/p/a" 240
	mapper a write 0 "$soft+240"
	mapper a pin 0 240
	mount -o remount,size=640k "$work/p" &
	remount=$!
	wait_until 10 is_stuck p
	mapper a unpin "$soft+240"
	wait "$remount"
	expect size_bytes "$(pool p size_bytes)" $((640 * 1024))
	expect_range used_bytes "$(pool p used_bytes)" 1 $((640 * 1024))
	mapper a check 0 "$soft+240"
	# but not for ever
	mount -o remount,size=4m "$work/p"
	mapper a check 0 "$soft+240"
	mapper a pin 0 240
	says "busy" mount -o remount,size=640k "$work/p"
	expect size_bytes "$(pool p size_bytes)" $((4 * mib))
	# nor by so little that the reserve would hold it: that is for what comes back
	says "busy" mount -o "remount,size=$(($(pool p used_bytes) / 1024 - 64))k" "$work/p"
	expect size_bytes "$(pool p size_bytes)" $((4 * mib))
	mapper a unpin "$soft+240"
	mapper_stop a
	empty_pool p
}

# says TEXT COMMAND...: it fails, with that text
says()
{
	local text=$1
	shift
	if "$@" >"$work/said" 2>&1; then
		echo "succeeded: $*"
		return 1
	fi
	grep -q "$text" "$work/said" || { echo "said:"; cat "$work/said"; dmesg | tail -5; return 1; }
}

# What could be shared is, before it is stored: by reclaim, for the scanner sleeps.
shared_before_stored()
{
	trap test_end EXIT
	local disk merged
	disk=$(disk_make 48)
	pool_mount p 16m pool "swap=$disk,compress=off"
	mapper_start a "$work/p/a" 1500
	mapper_start b "$work/p/b" 6000
	mapper a write 0 1+1500
	# where it has seen what
	one_pass
	sharing rate_pages_per_s 1
	sharing run 1
	watch_use p
	mapper b write 0 1+1500 5001+4500
	never_over p
	merged=$(pool p pages_merged)
	[ "$merged" -ge 200 ] || { echo "merged $merged"; return 1; }
	mapper a check 0 1+1500
	mapper b check 0 1+1500 5001+4500
	expect pages_lost "$(pool p pages_lost)" 0
	mapper_stop a
	mapper_stop b
	empty_pool p
}

# The pool becomes smaller than what its VMs share with one another.
shared_frames_are_taken()
{
	trap test_end EXIT
	local disk
	disk=$(disk_make 48)
	pool_mount p 32m pool "swap=$disk,compress=off"
	mapper_start a "$work/p/a" 3200
	mapper_start b "$work/p/b" 3200
	mapper a write 0 1+3000
	mapper b write 0 1+3000
	one_pass
	expect shared_frames "$(pool p shared_frames)" 3000
	# in every page table
	mapper a check 0 1+3000
	mapper b check 0 1+3000
	mount -o remount,size=8m "$work/p"
	expect_range used_bytes "$(pool p used_bytes)" 1 $((8 * mib))
	expect_range shared_frames "$(pool p shared_frames)" 1 2048
	echo "$(pool p shared_frames) frames left of 3000, $(pool p pages_swapped_out) pages written"
	mapper a check 0 1+3000
	mapper b check 0 1+3000
	mapper b write 0 5000+3000
	mapper a check 0 1+3000
	mapper b check 0 5000+3000
	expect reclaim_stuck "$(pool p reclaim_stuck)" 0
	expect pages_lost "$(pool p pages_lost)" 0
	mapper_stop a
	mapper_stop b
	empty_pool p
}

# Whose sharers are many is taken whole: no more is written than that is for.
frames_of_many_sharers()
{
	trap test_end EXIT
	local disk left file
	disk=$(disk_make 48)
	pool_mount p 32m vm "swap=$disk,compress=off"
	# files that share nothing are walked past
	for ((file = 0; file < 80; file++)); do
		truncate -s 4096 "$work/p/empty.$file"
	done
	mapper_start a "$work/p/a" 8000
	mapper a write 0 "1%400*8000"
	one_pass
	expect shared_frames "$(pool p shared_frames)" 400
	mapper a check 0 "1%400*8000"
	mount -o remount,size=1m "$work/p"
	left=$(pool p shared_frames)
	expect_range shared_frames "$left" 1 256
	# of the part that has its turn some may have been written, and not yet all
	expect_range shared_swapped_out "$(pool p shared_swapped_out)" $((20 * (400 - left))) \
		$((20 * (400 - left + 400 / 8)))
	mapper a check 0 "1%400*8000"
	expect reclaim_stuck "$(pool p reclaim_stuck)" 0
	expect pages_lost "$(pool p pages_lost)" 0
	mapper_stop a
	empty_pool p
}

# available_below KIB: by what the kernel keeps for itself, a little more each time
available_below()
{
	local free part
	sync
	echo 3 >/proc/sys/vm/drop_caches
	free=$(awk '$1 == "MemFree:" { print $2 }' /proc/meminfo)
	for ((part = 500; part < 900; part += 10)); do
		echo $((free * part / 1000)) >/proc/sys/vm/min_free_kbytes
		[ "$(awk '$1 == "MemAvailable:" { print $2 }' /proc/meminfo)" -ge "$1" ] || return 0
	done
	grep Mem /proc/meminfo
	return 1
}

# A host that is short asks the pools; one that is not is given nothing.
host_asks()
{
	trap host_has_asked EXIT
	min_free=$(attribute /proc/sys/vm/min_free_kbytes)
	pool_mount p 64m off compress=lz4
	mapper_start a "$work/p/a" 10000
	mapper a write 0 "$soft+10000"
	echo 2 >/proc/sys/vm/drop_caches
	expect "compressed with a host that has enough" "$(pool p compressed_bytes)" 0
	# which is a 32nd of the host's memory
	available_below $(($(awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo) / 40))
	wait_until 20 asked_has_compressed "$mib"
	echo "$min_free" >/proc/sys/vm/min_free_kbytes
	echo "$(($(pool p compressed_bytes) / mib)) MiB compressed"
	mapper a check 0 "$soft+10000"
	mapper_stop a
	empty_pool p
}

host_has_asked()
{
	local status=$?
	echo "$min_free" >/proc/sys/vm/min_free_kbytes
	test_end "$status"
}

# the kernel asks a pool for 128 pages each time
asked_has_compressed()
{
	echo 2 >/proc/sys/vm/drop_caches
	has_compressed "$1"
}

has_compressed()
{
	[ "$(pool p compressed_bytes)" -ge "$1" ]
}

# The host has next to nothing left: a pool that is not short itself gives some.
host_is_short()
{
	trap test_end EXIT
	local hog=$work/hog min_free
	[ "${BALLAST_PRESSURE:-}" = all ] || skip "with make check-pressure: it fills the host"
	pool_mount p 400m off compress=lz4
	mapper_start a "$work/p/a" 80000
	mapper a write 0 "$soft+80000"
	expect "compressed with room" "$(pool p compressed_bytes)" 0
	mkdir -p "$hog"
	mount -t tmpfs -o size=95% hog "$hog"
	# the kernel asks before it is too late
	min_free=$(attribute /proc/sys/vm/min_free_kbytes)
	echo 65536 >/proc/sys/vm/min_free_kbytes
	# a little more each time, until the host is short enough to ask
	while [ "$(pool p compressed_bytes)" -lt $((16 * mib)) ]; do
		[ "$(du -sm "$hog" | cut -f 1)" -lt 3300 ] || { echo "the host was left alone"
			grep -E "MemFree|MemAvail" /proc/meminfo; umount "$hog"; return 1; }
		dd if=/dev/zero bs=1M count=$(($(available_mib) > 400 ? 200 : 8)) \
			status=none >>"$hog/memory" || { umount "$hog"; return 1; }
	done
	umount "$hog"
	rmdir "$hog"
	echo "$min_free" >/proc/sys/vm/min_free_kbytes
	mapper a check 0 "$soft+80000"
	mapper_stop a
	empty_pool p
}

available_mib()
{
	awk '$1 == "MemAvailable:" { print int($2 / 1024) }' /proc/meminfo
}

# What cannot be promised is refused, with what is missing.
admission()
{
	trap test_end EXIT
	local disk missing
	disk=$(disk_make 17)
	pool_mount p 16m off "swap=$disk"
	expect admission "$(pool p admission)" 1
	# 16 MiB less 4 % that stay free, and 17 less the header
	truncate -s 16m "$work/p/a"
	expect promised_bytes "$(pool p promised_bytes)" $((16 * mib))
	dmesg -C
	missing=$((17 * mib - $(pool p admissible_bytes)))
	says "No space left" truncate_file "$work/p/b" $((17 * mib))
	expect "lines" "$(dmesg | wc -l)" 1
	expect "lines with the bytes" "$(dmesg_lines \
		"pool p: no room for a file of 17 MiB: $missing bytes .* missing")" 1
	truncate -s "$(pool p admissible_bytes)" "$work/p/b"
	expect admissible_bytes "$(pool p admissible_bytes)" 0
	says "No space left" truncate_file "$work/p/b" $((33 * mib))
	# QEMU does not heed that, and maps it all the same
	says "\[Errno 28\]" map_file "$work/p/b" $((33 * mib))
	map_file "$work/p/b" $((16 * mib))
	says "No space left" dd if=/dev/zero of="$work/p/c" bs=4096 count=1 status=none
	says "No space left" fallocate -l 4096 "$work/p/c"
	rm "$work/p/b"
	fallocate -l $((4 * mib)) "$work/p/c"
	expect promised_bytes "$(pool p promised_bytes)" $((20 * mib))
	echo 0 >"$root/pools/p/admission"
	truncate -s 1t "$work/p/c"
	rm "$work/p/a" "$work/p/c"
	expect promised_bytes "$(pool p promised_bytes)" 0
	empty_pool p
}

map_file()
{
	python3 -c "
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
fd = os.open(sys.argv[1], os.O_RDWR)
if libc.mmap(None, ctypes.c_size_t(int(sys.argv[2])), 3, 1, fd, ctypes.c_long(0)) == ctypes.c_void_p(-1).value:
    raise OSError(ctypes.get_errno(), 'mmap')
" "$@"
}

truncate_file()
{
	truncate -s "$2" "$1"
}

bad_options()
{
	trap test_end EXIT
	local disk option
	disk=$(disk_make 8)
	for option in compress=none compress=lz5 swap=relative swap=/nowhere/at/all \
		swap=/proc/self/mem swap=/tmp swapsize=8m "swap=$disk,swapsize=4k" \
		"swap=$disk,swapsize=1x"; do
		! pool_mount p 8m off "$option" 2>/dev/null ||
			{ echo "taken: $option"; return 1; }
	done
	# what is somebody's is not taken
	printf 'GNU' | dd of="$disk" bs=4096 conv=notrunc,fsync status=none
	! pool_mount p 8m off "swap=$disk" 2>/dev/null || return 1
	dd if=/dev/zero of="$disk" bs=4096 count=1 conv=fsync status=none
	pool_mount p 8m off "swap=$disk"
	# one pool's swap is not another's
	! pool_mount q 8m off "swap=$disk" 2>/dev/null || return 1
	! mount -o remount,compress=zstd "$work/p" 2>/dev/null || return 1
	! mount -o remount,swap=/dev/null "$work/p" 2>/dev/null || return 1
	mount -o remount,size=9m "$work/p"
	for option in mode=0700 uid=1 gid=1 swapsize=4m; do
		! mount -o "remount,$option" "$work/p" 2>/dev/null ||
			{ echo "taken at remount: $option"; return 1; }
	done
	mount -o remount,mode=0755,uid=0,size=8m "$work/p"
	mount -o remount,size=9m "$work/p"
	grep -q " $work/p ballastfs .*compress=lz4,swap=$disk" /proc/mounts
}

meeting_ends()
{
	local status=$?
	probes_end
	test_end "$status"
}

# A write gets a frame to load the page into, not a zeroed one; then the page is punched.
# From its look at the slot until it has the slot locked it asks the pool for the frame.
write_meets_punch()
{
	trap meeting_ends EXIT
	local pages met written
	grep -q 'init_on_alloc=0' /proc/cmdline || lacks "the kernel zeroes what it gives out"
	pool_mount p 16m off compress=lz4
	mapper_start a "$work/p/a" 6144
	mapper a write 0 "$soft+6144"
	mapper_stop a
	wait_until 20 rests p
	mount -o remount,size=64m "$work/p"
	mapfile -t pages < <(pages_that_are compressed | head -n 300)
	[ "${#pages[@]}" = 300 ]
	probe_slow ballast:ballast_pool_try_charge 'comm == "meet"'
	met=$("$work/meet" "$work/p/a" "${pages[@]}") || { echo "$met"; return 1; }
	echo "$met"
	read -r _ _ _ written _ <<<"$met"
	expect_range "pages written last" "$written" 30 270
	empty_pool p
}

ktap_suite "store"
ktap_on 6.1 frozen_filesystem writes_fail
lib_start
build "$here/meet.c" || exit 1
sharing_stop
for test in lz4_keeps_content zstd_keeps_content lzo_keeps_content \
	same_filled_pages_take_no_store kept_if_half_a_page swap_keeps_content \
	batches_out_single_pages_in a_file_on_ext4_serves_as_swap last_user_is_not_root \
	disk_is_discarded refused_file_is_as_it_was swap_no_larger_than_told \
	reclaim_has_hysteresis ceiling ceiling_without_swap ceiling_is_no_end oldest_go_to_swap \
	slow_reads_hold_up_nobody read_leaves_pages_stored holes_in_what_is_stored swap_file_full \
	writes_fail frozen_filesystem reads_fail write_meets_punch other_content remount_smaller in_use_for_a_moment \
	shared_before_stored shared_frames_are_taken frames_of_many_sharers admission host_asks host_is_short bad_options; do
	[ "$only" = "  " ] || [[ $only == *" $test "* ]] || continue
	ktap_run "$test" "$test"
done
ktap_run "module unloads" lib_end
ktap_end
