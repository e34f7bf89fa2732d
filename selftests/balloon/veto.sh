# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2086,SC2154	# names are plain; the files share them
#
# Each kind of pressure alone: with the others' limits off, what stops inflation and gives
# memory back can only be that one.  The guest swaps, so nobody is about to be killed.

test_swapping_guest_runs()
{
	local disk swap
	swap_space veto 256
	start veto ,free-page-reporting=on --module $module "${disk[@]}" \
		--workload identical=16,unique=8,dirty=50,$swap
	guest_wait_ready veto 400
}

# veto_by REASON SOME FULL SWAP_IN: with these limits a hog makes the balloon smaller,
# for that reason and no other.  It fills more than there is, and then reads all
# of it, from swap.
veto_by()
{
	local reason=$1 before others round status
	limits veto "$2" "$3" "$4"
	move veto 134
	before=$(value veto "vetoes_$reason")
	others=$(vetoes_but "$reason")
	# a hold-off may be over before it is seen; the next one is longer
	for round in {1..4}; do
		GUEST_COMMAND_SECONDS=400 guest_command veto hog 110
		guests_wait_until 60 gives_back || explain veto
		GUEST_COMMAND_SECONDS=400 guest_command veto drop
		status=0
		nothing_is_taken || status=$?
		[ $status = 1 ] || break
		arrives veto 134 300
	done
	[ $status = 0 ]
	echo "vetoes: $(value veto vetoes), of them $reason $(value veto "vetoes_$reason")," \
		"swapped in $(guest_counter veto swap_in_pages) pages"
	[ "$(value veto "vetoes_$reason")" -gt "$before" ]
	[ "$(vetoes_but "$reason")" = "$others" ]
	[ "$(value veto oom_give_backs)" = 0 ]
	# when it is over, the host gets what it asked for
	arrives veto 134 300
	guest_verify veto
	move veto $memory
}

gives_back()
{
	[ "$(value veto actual_bytes)" -lt $(((memory - 134) * mib)) ]
}

# There is memory again, and the host wants it, but the hold-off lasts for so long at least.
# 0: it was seen, 1: it was not
nothing_is_taken()
{
	local over left least=$((134 * mib + 1)) looks=0
	# the answer may take as long as it lasts
	until [ $looks -gt 0 ]; do
		over=${EPOCHREALTIME/[.,]/}
		left=$(value veto hold_off_ms) || return 2
		[ "$left" -gt 0 ] || return 1
		over=$((over + left * 1000))
		guests_wait_until 300 hold_off_is_over || return 2
		echo "hold-off: $left ms, $looks looks, $((least / mib)) MiB"
	done
}

hold_off_is_over()
{
	local now
	now=$(actual veto) || return 2
	[ "${EPOCHREALTIME/[.,]/}" -lt $over ] || return 0
	looks=$((looks + 1))
	[ "$now" -ge $least ] || { echo "$now bytes, from $least"; return 2; }
	least=$now
	return 1
}

# vetoes_but REASON: those for the other reasons
vetoes_but()
{
	local reason sum=0
	for reason in psi_some psi_full swap_in; do
		[ $reason = "$1" ] || sum=$((sum + $(value veto vetoes_$reason)))
	done
	echo $sum
}

test_veto_by_swap_in()
{
	veto_by swap_in 0 0 65536
}

test_veto_by_psi_some()
{
	veto_by psi_some 100 0 0
}

test_veto_by_psi_full()
{
	veto_by psi_full 0 100 0
}

# While the pressure lasts the guest is given 2 MiB, then twice as much each time, and 2 again after a
# look without.  Each hold-off is announced: 2 s, and twice as long when inflation brought it on: the
# hog reads all of its memory all the time, and leaves the guest 20 MiB beside it.
test_give_back_doubles()
{
	local watch hog status=0
	[ -z "${BALLAST_GUESTS_DEBUG:-}" ] || skip "a debug kernel's swap space is what the hog wants, too"
	guest_command veto write /proc/sys/kernel/printk 7
	limits veto 100 0 0
	move veto $memory
	# forgets the hold-offs of the tests before
	guest_command veto write $driver/unbind virtio0
	guest_command veto write $driver/bind virtio0
	hog=$(($(guest_mib veto MemAvailable) - 20))
	set_parameter veto floor_mib 1
	move veto 134
	# QEMU listens to one at a time
	"$built/qmp-balloon" "$guests_dir/veto/qmp" watch 3000 >$scratch/sizes &
	watch=$!
	GUEST_COMMAND_SECONDS=400 guest_command veto hog $hog busy
	guests_wait_until 200 a_hold_off_is_longer || status=1
	GUEST_COMMAND_SECONDS=400 guest_command veto drop
	kill $watch
	wait $watch || :
	set_parameter veto floor_mib 24
	arrives veto 134 300
	awk -v least=$((2 * mib)) -v all=$(((memory + beside) * mib)) '
		NR > 1 && $1 > last {
			step = $1 - last
			ok = step == least || step == 2 * before || $1 == all
			doubled += step == 2 * before
			print "+" step / 1048576 " MiB" (ok ? "" : ": after " before / 1048576)
			bad += !ok
			before = step
		}
		NR > 1 && $1 < last { before = 0 }
		{ last = $1 }
		END { exit bad || !doubled }' $scratch/sizes
	hold_offs | tee $scratch/hold_offs
	[ $status = 0 ]
	! grep wrong $scratch/hold_offs || false
	guest_command veto write /proc/sys/kernel/printk 4
	[ "$(value veto oom_give_backs)" = 0 ]
	guest_verify veto
	move veto $memory
}

a_hold_off_is_longer()
{
	hold_offs | grep -q longer
}

# hold_offs: each that the driver has told of, in ms, and how it compares with the last
hold_offs()
{
	tr -d '\r' <"$(guest_log veto)" | sed -n 's/.*inflation stops for \([0-9]*\) ms.*/\1/p' |
		awk '{ print $1, ($1 == 2000 ? "first" : ($1 == 2 * last ? "longer" : \
			($1 == last ? "same" : "wrong"))); last = $1 }'
}

# Without limits there is no veto: the guest swaps, and the balloon stays.
test_no_veto_without_limits()
{
	local before
	limits veto 0 0 0
	move veto 134
	before=$(value veto vetoes)
	GUEST_COMMAND_SECONDS=400 guest_command veto hog 110
	GUEST_COMMAND_SECONDS=400 guest_command veto drop
	[ "$(value veto vetoes)" = "$before" ]
	[ "$(value veto actual_bytes)" = $(((memory - 134) * mib)) ]
	guest_verify veto
}

part_veto()
{
	ktap_run "a swapping guest runs" test_swapping_guest_runs
	ktap_run "veto by swap-in" test_veto_by_swap_in
	ktap_run "veto by PSI some" test_veto_by_psi_some
	ktap_run "veto by PSI full" test_veto_by_psi_full
	ktap_run "give-backs and hold-offs double" test_give_back_doubles
	ktap_run "no veto without limits" test_no_veto_without_limits
	guest_stop veto
}
