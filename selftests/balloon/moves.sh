# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2086,SC2154	# names are plain; the files share them
#
# Sizes, exact: by page numbers ("plain", all its memory touched) and by ranges ("ranges").
# In the end the module goes, and all memory comes back.

test_guests_run()
{
	start plain '' --module $module --prealloc
	guest_wait_ready plain 400
	start ranges ,free-page-reporting=on --module $module
	guest_wait_ready ranges 400
	[ "$(value plain ranges_reported)" = 0 ]
	[ "$(value ranges ranges_reported)" = 1 ]
	[ "$(actual ranges)" = $((memory * mib)) ]
}

# Every step exact, also those that are no multiple of a block.
sweep()
{
	local guest=$1 bytes
	for bytes in $((192 * mib)) $((191 * mib - 4096)) $((124 * mib)) $((125 * mib + 12288)) \
		$((memory * mib)) $((memory * mib - 4096)) $((124 * mib)); do
		move_bytes "$guest" "$bytes"
		[ "$(value "$guest" actual_bytes)" = $((memory * mib - bytes)) ]
	done
	guest_verify "$guest"
}

test_sweep_of_page_numbers()
{
	local before
	before=$(host_mib plain)
	[ "$before" -ge $memory ]
	sweep plain
	echo "host: $before MiB before, $(host_mib plain) MiB with 124 of the guest"
	[ "$(host_mib plain)" -le $((before - 125)) ]
	[ "$(value plain huge_units)" -ge 60 ]
}

# What is in the balloon was zeroed by the allocator (init_on_alloc is Debian's
# default): had the host not discarded it, it would have it all.
test_sweep_of_ranges()
{
	sweep ranges
	echo "host: $(host_mib ranges) MiB with 124 of the guest"
	[ "$(host_mib ranges)" -le 160 ]
	[ "$(value ranges huge_units)" -ge 60 ]
}

# No target is waited for; the last one counts.  At once most are lost in the next; then each
# is seen, and the balloon goes up and down all the time.
test_flapping_target()
{
	local guest targets=() i before
	for i in {1..40}; do
		targets+=($(((124 + i * 37 % 132) * mib)))
	done
	for guest in ranges plain; do
		target $guest "${targets[@]}" $((130 * mib))
		arrives $guest 130 60
		[ "$(value $guest actual_bytes)" = $((126 * mib)) ]
		before=$(moved_mib $guest)
		flap $guest "${targets[@]:0:20}" $((140 * mib))
		arrives $guest 140 60
		[ "$(value $guest actual_bytes)" = $((116 * mib)) ]
		echo "$guest: moved $(($(moved_mib $guest) - before)) MiB to be 10 smaller"
		[ $(($(moved_mib $guest) - before)) -ge 500 ]
		guest_verify $guest
	done
}

# moved_mib GUEST: all that ever came into the balloon, or left it
moved_mib()
{
	echo $((($(event "$1" balloon_inflate) + $(event "$1" balloon_deflate)) / 256))
}

# turn GUEST NEXT: from all its memory to 124 MiB, and to NEXT as soon as it is seen on the way.  A
# driver that has just taken the device begins with a step of 64 MiB, later they are larger.
turn()
{
	move $1 $memory
	guest_command $1 write $driver/unbind virtio0
	guest_command $1 write $driver/bind virtio0
	targets "turn $(guests_seconds 60)" $1 $((124 * mib)) $(($2 * mib))
}

test_target_changes_while_inflating()
{
	local guest
	for guest in ranges plain; do
		turn $guest 170
		arrives $guest 170
		[ "$(value $guest actual_bytes)" = $((86 * mib)) ]
		turn $guest $memory
		arrives $guest $memory
		[ "$(value $guest actual_bytes)" = 0 ]
		guest_verify $guest
	done
}

# A parameter that concerns all balloons is written all the while.
test_unbound_while_a_parameter_is_written()
{
	move plain 124
	guest_command plain nag /sys/module/ballast_balloon/parameters/self_balloon N
	for _ in {1..10}; do
		guest_command plain write $driver/unbind virtio0
		guest_command plain write $driver/bind virtio0
	done
	guest_command plain hush
	arrives plain 124
	guest_verify plain
	move plain $memory
}

test_statistics()
{
	local stats updated total
	guest_qmp plain '{"execute":"qom-list","arguments":{"path":"/machine/peripheral-anon"}}' >$scratch/qom
	device=$(grep -o '"device\[[0-9]*\]", "type": "child<virtio-balloon-pci>"' $scratch/qom | cut -d'"' -f2)
	[ "$device" ]
	guest_qmp plain "{\"execute\":\"qom-set\",\"arguments\":{\"path\":\"/machine/peripheral-anon/$device\",\
\"property\":\"guest-stats-polling-interval\",\"value\":1}}"
	guests_wait_until 30 stats_are_there
	stats=$(cat $scratch/stats)
	echo "$stats"
	[ "$(stat_of total-memory)" -ge $((60 * mib)) ]
	[ "$(stat_of total-memory)" -lt $((memory * mib)) ]
	[ "$(stat_of free-memory)" -gt 0 ]
	[ "$(stat_of available-memory)" -gt 0 ]
	[ "$(stat_of minor-faults)" -gt 0 ]
	# QEMU shows what the guest has not told as -1
	! grep -E ': 18446744073709551615' $scratch/stats || false
	# and goes on asking
	updated=$(last_update)
	guests_wait_until 30 stats_are_newer $((updated + 2))
	# each time for new numbers
	total=$(stat_of total-memory)
	move plain 150
	guests_wait_until 30 total_is_told $((total - (memory - 150) * mib)) || { cat $scratch/stats; return 1; }
	move plain $memory
	guests_wait_until 30 total_is_told $total || { cat $scratch/stats; return 1; }
}

total_is_told()
{
	stats_are_there && [ "$(stat_of total-memory)" = "$1" ]
}

last_update()
{
	grep -o '"last-update": [0-9]*' $scratch/stats | grep -o '[0-9]*$'
}

stats_are_newer()
{
	stats_are_there && [ "$(last_update)" -ge "$1" ]
}

stat_of()
{
	grep -o "\"stat-$1\": [0-9]*" $scratch/stats | grep -o '[0-9]*$'
}

stats_are_there()
{
	guest_qmp plain "{\"execute\":\"qom-get\",\"arguments\":{\"path\":\"/machine/peripheral-anon/$device\",\
\"property\":\"guest-stats\"}}" >$scratch/stats
	grep -qE '"last-update": [1-9]' $scratch/stats
}

# take_pages: sixteen steps that are smaller than a block; sets bytes
take_pages()
{
	local i
	for i in {1..16}; do
		bytes=$((bytes - 15 * 4096))
		move_bytes plain $bytes
	done
}

# Pages of 4 KiB do not stand in the way of huge pages.  Compaction moves what lies below
# memory that is free in parts; where a page comes to lie nobody can say, so there are
# more and more of them until some had to be moved.
test_pages_move()
{
	local before kept moved=0 round bytes=$((134 * mib))
	move_bytes plain $bytes
	before=$(event plain balloon_migrate)
	for round in {1..8}; do
		take_pages
		guest_command plain write /proc/sys/vm/compact_memory 1
		moved=$(($(event plain balloon_migrate) - before))
		echo "movable: $(value plain movable_bytes) bytes, moved: $moved pages"
		[ $moved = 0 ] || break
	done
	[ $moved -gt 0 ]
	[ "$(value plain actual_bytes)" = $((memory * mib - bytes)) ]
	guest_verify plain
	# whole blocks go back first: the pages stay
	kept=$(value plain movable_bytes)
	bytes=$((bytes + 64 * mib))
	move_bytes plain $bytes
	[ "$(value plain movable_bytes)" = "$kept" ]
	move plain $memory
	[ "$(value plain movable_bytes)" = 0 ]
	guest_verify plain
}

# What the host has in huge pages is not split: it is given whole ones, and keeps the others.
test_huge_pages_stay_whole()
{
	start huge ,free-page-reporting=on --module $module --prealloc
	guest_wait_ready huge 400
	is_huge 90 || skip "this host has no huge pages to spare"
	move huge 124
	is_huge 80
	move huge $memory
	move huge 130
	is_huge 80
	guest_verify huge
	guest_stop huge
}

# is_huge PERCENT: so much of what the host has of its memory
is_huge()
{
	local has huge
	has=$(host_mib huge)
	huge=$(host_mib huge AnonHugePages)
	echo "of $has MiB $huge are in huge pages"
	[ $((huge * 100)) -ge $((has * $1)) ]
}

# The guest's memory is a file of ballastfs, all of it touched: what the balloon takes, zeroed by the
# guest's allocator, the pool has.
test_on_ballastfs()
{
	local dir=/run/balloon-test pool=/sys/kernel/ballast/pools/balloon
	[ "${BALLAST_GUESTS_ACCEL:-kvm}" = kvm ] || skip "without a lab host, nor the module in it"
	modprobe ballast
	mkdir -p $dir
	mount -t ballastfs -o size=$((memory + 16))m,sharing=off,name=balloon none $dir
	start filed ,free-page-reporting=on --module $module --prealloc --backing file:$dir
	guest_wait_ready filed 400
	echo "private: $(<$pool/private_bytes) bytes, without what it has reported as free"
	move filed 124
	echo "private: $(<$pool/private_bytes) bytes with 124 MiB of the guest"
	[ "$(<$pool/private_bytes)" -le $((124 * mib)) ]
	guest_verify filed
	move filed $memory
	guest_verify filed
	guest_stop filed
	rm $dir/filed
	umount $dir
	rmmod ballast
}

# All memory back with the module.
test_unload()
{
	local guest free
	for guest in plain ranges; do
		move $guest $memory
		free=$(guest_mib $guest MemFree)
		move $guest 130
		[ "$(guest_mib $guest MemFree)" -le $((free - 110)) ]
		guest_command $guest unload ballast_balloon
		[ "$(actual $guest)" = $((memory * mib)) ]
		echo "free: $free MiB before, $(guest_mib $guest MemFree) MiB after"
		[ "$(guest_mib $guest MemFree)" -ge $((free - 6)) ]
		guest_verify $guest
	done
	# and again, as if nothing had been
	guest_command ranges load ballast_balloon.ko floor_mib=24
	arrives ranges 130
	guest_verify ranges
}

# The debug kernel's kmemleak; two scans, since what is in flight looks leaked in one.
test_no_leaks()
{
	local file=/sys/kernel/debug/kmemleak
	if ! guest_command ranges read $file >/dev/null; then
		skip "this kernel has no kmemleak"
	fi
	guest_command ranges unload ballast_balloon
	guest_command ranges write $file clear
	guest_command ranges load ballast_balloon.ko floor_mib=24
	move ranges 130
	move ranges 200
	guest_command ranges unload ballast_balloon
	GUEST_COMMAND_SECONDS=300 guest_command ranges write $file scan
	sleep 6
	GUEST_COMMAND_SECONDS=300 guest_command ranges write $file scan
	guest_command ranges read $file | tee $scratch/leaks
	! grep . $scratch/leaks || false
}

part_moves()
{
	ktap_run "guests run" test_guests_run
	ktap_run "sweep of page numbers" test_sweep_of_page_numbers
	ktap_run "sweep of ranges" test_sweep_of_ranges
	ktap_run "flapping target" test_flapping_target
	ktap_run "target changes while inflating" test_target_changes_while_inflating
	ktap_run "unbound while a parameter is written" test_unbound_while_a_parameter_is_written
	ktap_run "pages move" test_pages_move
	ktap_run "statistics" test_statistics
	ktap_run "huge pages stay whole" test_huge_pages_stay_whole
	ktap_run "on ballastfs" test_on_ballastfs
	ktap_run "all comes back with the module" test_unload
	ktap_run "no leaks" test_no_leaks
}
