# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2086,SC2154	# names are plain; the files share them
#
# What the guest keeps and takes back: the floor, its own target, pressure, and the moment
# before a process is killed, which the kernel's driver lets pass.

# What is in the balloon is no part of the guest's total.  Two CPUs: what the guest's processes do to
# a step under way they do on another.
test_careful_guest_runs()
{
	local total
	start ranges ,free-page-reporting=on --module $module --cpus 2
	guest_wait_ready ranges 400
	total=$(total_kib ranges)
	move ranges 132
	[ "$(total_kib ranges)" = $((total - 124 * 1024)) ]
}

test_floor_refuses()
{
	local available refused
	move ranges $memory
	available=$(guest_mib ranges MemAvailable)
	# 40 MiB of room, 126 asked for
	set_parameter ranges floor_mib $((available - 40))
	target ranges $(((memory - 126) * mib))
	guests_wait_until 30 has_refused ranges
	[ "$(value ranges last_reason)" = floor ]
	[ "$(value ranges refusals)" -ge 1 ]
	refused=$(value ranges refused_bytes)
	echo "refuses $((refused / mib)) MiB of 126, $(guest_mib ranges MemAvailable) MiB available"
	[ "$refused" -ge $((80 * mib)) ]
	[ "$(guest_mib ranges MemAvailable)" -ge $((available - 50)) ]
	# the floor goes, and the balloon follows by itself
	set_parameter ranges floor_mib 24
	arrives ranges $((memory - 126))
	guest_verify ranges
	move ranges $memory
}

has_refused()
{
	[ "$(value "$1" refused_bytes)" -gt 0 ] && [ "$(value "$1" last_reason)" = floor ]
}

# Nobody set one: policy/floor.c's, for a guest between 128 and 512 MiB, and inflation stops there.
test_default_floor()
{
	local total floor held available
	start floored ,free-page-reporting=on --module $module --append "$loud"
	guest_wait_ready floored 400
	total=$(total_kib floored)
	[ $total -ge $((128 * 1024)) ]
	[ $total -lt $((512 * 1024)) ]
	floor=$((40 * mib + total * 1024 / 4))
	[ "$(value floored floor_bytes)" = $floor ]
	# what it says of that is no warning
	guest_command floored write /proc/sys/kernel/printk 7
	target floored $(((memory - 126) * mib))
	guests_wait_until 60 has_refused floored || explain floored
	guests_wait_until 30 says_that_it_refuses floored
	guest_verify floored
	held=$(value floored actual_bytes)
	available=$(guest_mib floored MemAvailable)
	echo "floor $((floor / mib)) MiB of $((total / 1024)), $available available," \
		"$((held / mib)) in the balloon, refused $(value floored refused_bytes) bytes"
	has_refused floored
	[ $held -ge $((16 * mib)) ]
	[ $available -ge $((floor / mib - 8)) ]
	[ $available -le $((floor / mib + 8)) ]
	# the guest is as large as it was
	[ "$(value floored floor_bytes)" = $floor ]
	guest_stop floored
}

# free_mib GUEST: in zones of memory that need not be movable
free_mib()
{
	guest_command "$1" read /proc/buddyinfo | tr '|' '\n' | awk '
		$3 == "zone" && $4 != "Movable" { for (i = 5; i <= NF; i++) pages += $i * 2 ^ (i - 5) }
		END { print int(pages / 256) }'
}

# Of 256 MiB 96 are for what can be moved, and count for the floor of 48; blocks lie in the 160 others,
# and leave these their part of it, 30.  By blocks alone the balloon would have more.
test_blocks_leave_what_cannot_be_moved_its_part()
{
	local before after held part=$((48 * 160 / (memory + beside)))
	start zoned ,free-page-reporting=on --module $module --append "movablecore=$((96 + beside))M $loud"
	guest_wait_ready zoned 400
	set_parameter zoned floor_mib 48
	before=$(free_mib zoned)
	held=$(($(guest_mib zoned MemAvailable) - 48 - 4))
	echo "free: $before MiB where blocks come from, available: $((held + 52))"
	[ $((before - held)) -lt 20 ]
	move zoned $((memory - held))
	after=$(free_mib zoned)
	echo "free there with $held MiB in the balloon: $after of $part"
	[ $after -ge $((part - 3)) ]
	guest_verify zoned
	move zoned $memory
	guest_stop zoned
}

says_that_it_refuses()
{
	grep -aE 'refusing [1-9][0-9]* MiB: no more than the floor' "$(guest_log "$1")"
}

# Of 217 MiB about 30 are committed; what is beyond that and 100 more goes by itself.
test_guest_keeps_itself_lean()
{
	local own calls
	move ranges $memory
	set_parameter ranges self_reserve_mib 100
	set_parameter ranges self_period_ms 100
	set_parameter ranges self_balloon Y
	guests_wait_until 60 holds ranges 50
	[ "$(value ranges last_reason)" = self ]
	# the host may ask for more, and gets no less
	move ranges 150
	target ranges $((memory * mib))
	guests_wait_until 60 settles_at_own_target ranges
	# who commits to memory has it, and nobody is out of memory for it
	own=0
	guests_wait_until 30 own_target_rests
	calls=$(value ranges oom_give_backs)
	guest_command ranges hog 60
	guests_wait_until 60 settles_at_own_target ranges $((own - 50 * mib))
	guest_command ranges drop
	[ "$(value ranges oom_give_backs)" = $calls ]
	# and no more when it is done
	guests_wait_until 60 holds ranges 50
	set_parameter ranges self_balloon N
	arrives ranges $memory
	guest_verify ranges
}

holds()
{
	[ "$(value "$1" actual_bytes)" -ge $(($2 * mib)) ]
}

# sets the test's own
own_target_rests()
{
	local last=$own
	own=$(value ranges self_target_bytes)
	[ "$own" = "$last" ]
}

# settles_at_own_target GUEST [BYTES]: which is no more than that, or 50 MiB and more
settles_at_own_target()
{
	local own
	own=$(value "$1" self_target_bytes)
	if [ $# = 2 ]; then
		[ "$own" -le "$2" ] || return 1
	else
		[ "$own" -ge $((50 * mib)) ] || return 1
	fi
	[ "$(value "$1" actual_bytes)" = $((own / 4096 * 4096)) ]
}

# With the balloon about 30 MiB (6.1) or 40 are available; the hog wants 100, and gets them
# out of the balloon.  hog_lives GUEST
hog_lives()
{
	local guest=$1 given
	move $guest 132
	given=$(given_back $guest)
	guest_command $guest hog 100
	[ "$(actual $guest)" -gt $((160 * mib)) ]
	given=$(($(given_back $guest) - given))
	echo "reasons: $given, last $(value $guest last_reason), hold-off $(value $guest hold_off_ms) ms"
	[ "$given" -ge 1 ]
	guest_verify $guest
	guest_command $guest drop
	if grep -a 'Out of memory' "$(guest_log $guest)"; then
		return 1
	fi
	# after the hold-off the host gets what it asked for
	arrives $guest 132 120
	guest_check $guest
}

# given_back GUEST: how often, for any reason
given_back()
{
	echo $(($(value "$1" oom_give_backs) + $(value "$1" vetoes)))
}

test_hog_lives()
{
	hog_lives ranges
}

# Without limits there are no vetoes: what is given back is by the last call before the kill.
test_hog_lives_by_the_last_call()
{
	local calls vetoes deflated least
	limits ranges 0 0 0
	move ranges 132
	calls=$(value ranges oom_give_backs)
	vetoes=$(value ranges vetoes)
	deflated=$(event ranges balloon_deflate)
	hog_lives ranges
	calls=$(($(value ranges oom_give_backs) - calls))
	deflated=$((($(event ranges balloon_deflate) - deflated) / 256))
	echo "calls: $calls, given back: $deflated MiB"
	[ $calls -ge 1 ]
	[ "$(value ranges vetoes)" = $vetoes ]
	# an eighth of the guest is less than 64 MiB, two calls' are more than all
	least=$((calls > 1 ? 124 : 64))
	[ $deflated -ge $least ]
}

# A driver that has just taken the device begins to inflate by 126 MiB at the moment at which a
# hog wants 100: there are not so many, and no floor worth the name.  It happens in the midst of a
# step, which gives up, or ends at that floor.
test_hog_lives_while_the_balloon_inflates()
{
	local round calls short status=0
	limits ranges 0 0 0
	set_parameter ranges floor_mib 1
	for round in {1..8}; do
		move ranges $memory
		# forgets the hold-off of the round before
		guest_command ranges write $driver/unbind virtio0
		guest_command ranges write $driver/bind virtio0
		short=$(value ranges short_steps)
		calls=$(value ranges oom_give_backs)
		guest_command ranges hog 100 >$scratch/hog &
		target ranges $((130 * mib))
		wait $! || status=$?
		cat $scratch/hog
		[ $status = 0 ]
		guest_command ranges drop
		short=$(($(value ranges short_steps) - short))
		calls=$(($(value ranges oom_give_backs) - calls))
		echo "round $round: calls $calls, steps that got less $short," \
			"last $(value ranges last_reason), hold-off $(value ranges hold_off_ms) ms"
		[ $short = 0 ] || [ $calls = 0 ] || break
	done
	[ $calls -ge 1 ]
	[ $short -ge 1 ]
	if grep -a 'Out of memory' "$(guest_log ranges)"; then
		return 1
	fi
	set_parameter ranges floor_mib 24
	arrives ranges 130 120
	guest_verify ranges
}

# Neither under pressure, the least of which counts here, nor before the kill.
test_nothing_is_given_back()
{
	local said calls vetoes deflated
	set_parameter ranges give_back N
	move ranges 132
	limits ranges 1 1 1
	calls=$(value ranges oom_give_backs)
	vetoes=$(value ranges vetoes)
	deflated=$(event ranges balloon_deflate)
	said=$(guest_command ranges hog 100) && return 1
	[ "$said" = killed ]
	grep -a 'Out of memory' "$(guest_log ranges)"
	guests_wait_until 30 has_vetoed ranges $((vetoes + 1))
	[ "$(value ranges oom_give_backs)" = $calls ]
	[ "$(event ranges balloon_deflate)" = $deflated ]
	[ "$(actual ranges)" = $((132 * mib)) ]
}

# has_vetoed GUEST VETOES: so often at least
has_vetoed()
{
	[ "$(value "$1" vetoes)" -ge "$2" ]
}

# With deflate-on-oom the host may be given less than it asked for, whatever give_back says, and
# what is in the balloon stays part of the guest's total.
test_deflate_on_oom()
{
	local total
	start letter ,free-page-reporting=on,deflate-on-oom=on --module $module \
		--append "$low_floor $loud ballast_balloon.give_back=0"
	guest_wait_ready letter 400
	[ "$(feature letter 2)" = 1 ]
	[ "$(guest_command letter read /sys/module/ballast_balloon/parameters/give_back)" = N ]
	total=$(total_kib letter)
	move letter 132
	[ "$(value letter actual_bytes)" = $((124 * mib)) ]
	[ "$(total_kib letter)" = $total ]
	hog_lives letter
	[ "$(total_kib letter)" = $total ]
	move letter $memory
	[ "$(total_kib letter)" = $total ]
	guest_stop letter
}

# The same with the kernel's driver: what our test is worth.
test_hog_dies_with_the_stock_driver()
{
	local said
	start stock ,free-page-reporting=on,free-page-hint=on,iothread=io \
		--qemu-arg -object --qemu-arg iothread,id=io --module virtio_balloon --file $module
	guest_wait_ready stock 400
	move stock 124
	said=$(guest_command stock hog 100) && return 1
	[ "$said" = killed ]
	grep -a 'Out of memory' "$(guest_log stock)"
}

# all_is_right GUEST: guest_verify, which takes it amiss that a process was killed before
all_is_right()
{
	local first
	first=$(guest_counter "$1" pass)
	guests_wait_until 120 is_at_pass "$1" $((first + 3))
	! grep -a MISMATCH "$(guest_log "$1")" || false
}

is_at_pass()
{
	[ "$(guest_counter "$1" pass)" -ge "$2" ]
}

# On a running guest: the device is unbound from one driver and bound to the other.  With
# free-page-hint QEMU has one more queue before the reporting queue; that ranges go to
# the right one shows in what the host has.
test_takeover()
{
	[ "$(actual stock)" = $((124 * mib)) ]
	guest_command stock load ballast_balloon.ko floor_mib=24
	guest_command stock write /sys/bus/virtio/drivers/virtio_balloon/unbind virtio0
	[ "$(actual stock)" = $((memory * mib)) ]
	guest_command stock write $driver/bind virtio0
	arrives stock 124
	[ "$(value stock actual_bytes)" = $((132 * mib)) ]
	[ "$(value stock ranges_reported)" = 1 ]
	echo "host: $(host_mib stock) MiB with 124 of the guest"
	[ "$(host_mib stock)" -le 160 ]
	all_is_right stock
	guest_command stock unload virtio_balloon
	move stock 200
	# and back
	guest_command stock write $driver/unbind virtio0
	[ "$(actual stock)" = $((memory * mib)) ]
	guest_command stock write $driver/bind virtio0
	arrives stock 200
	all_is_right stock
}

part_care()
{
	ktap_run "a careful guest runs" test_careful_guest_runs
	ktap_run "the floor refuses" test_floor_refuses
	ktap_run "a guest keeps itself lean" test_guest_keeps_itself_lean
	ktap_run "a hog lives" test_hog_lives
	ktap_run "a hog lives by the last call" test_hog_lives_by_the_last_call
	ktap_run "a hog lives while the balloon inflates" test_hog_lives_while_the_balloon_inflates
	ktap_run "a hog dies, and nothing is given back" test_nothing_is_given_back
	guest_stop ranges
	ktap_run "the default floor" test_default_floor
	ktap_run "blocks leave what cannot be moved its part" \
		test_blocks_leave_what_cannot_be_moved_its_part
	ktap_run "deflate-on-oom" test_deflate_on_oom
	ktap_run "a hog dies with the stock driver" test_hog_dies_with_the_stock_driver
	ktap_run "takeover" test_takeover
}
