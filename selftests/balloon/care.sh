# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2086,SC2154	# names are plain; the files share them
#
# What the guest keeps and takes back: the floor, its own target, pressure, and the moment
# before a process is killed, which the kernel's driver lets pass.

test_careful_guest_runs()
{
	start ranges ,free-page-reporting=on --module $module
	guest_wait_ready ranges 400
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

# Of 217 MiB about 30 are committed; what is beyond that and 100 more goes by itself.
test_guest_keeps_itself_lean()
{
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
	set_parameter ranges self_balloon N
	arrives ranges $memory
	guest_verify ranges
}

holds()
{
	[ "$(value "$1" actual_bytes)" -ge $(($2 * mib)) ]
}

settles_at_own_target()
{
	local own
	own=$(value "$1" self_target_bytes)
	[ "$own" -ge $((50 * mib)) ] && [ "$(value "$1" actual_bytes)" = $((own / 4096 * 4096)) ]
}

# With the balloon about 30 MiB (6.1) or 40 are available; the hog wants 100, and gets them
# out of the balloon.
test_hog_lives()
{
	local given
	move ranges 132
	guest_command ranges hog 100
	[ "$(actual ranges)" -gt $((160 * mib)) ]
	given=$(($(value ranges oom_give_backs) + $(value ranges vetoes)))
	echo "reasons: $given, last $(value ranges last_reason), hold-off $(value ranges hold_off_ms) ms"
	[ "$given" -ge 1 ]
	guest_verify ranges
	guest_command ranges drop
	if grep -a 'Out of memory' "$(guest_log ranges)"; then
		return 1
	fi
	# after the hold-off the host gets what it asked for
	arrives ranges 132 120
	guest_check ranges
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
	guest_command stock unload virtio_balloon
	move stock 200
	# and back
	guest_command stock write $driver/unbind virtio0
	[ "$(actual stock)" = $((memory * mib)) ]
	guest_command stock write $driver/bind virtio0
	arrives stock 200
}

part_care()
{
	ktap_run "a careful guest runs" test_careful_guest_runs
	ktap_run "the floor refuses" test_floor_refuses
	ktap_run "a guest keeps itself lean" test_guest_keeps_itself_lean
	ktap_run "a hog lives" test_hog_lives
	guest_stop ranges
	ktap_run "a hog dies with the stock driver" test_hog_dies_with_the_stock_driver
	ktap_run "takeover" test_takeover
}
