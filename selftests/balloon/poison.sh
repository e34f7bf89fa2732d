# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2086,SC2154	# names are plain; the files share them
#
# Guests whose free pages hold something: ranges may go by the reporting queue only where
# what comes back is what free pages have to hold.

# The negotiated bits 4 (PAGE_POISON) and 5 (REPORTING), and what the driver makes of them.
poisoned_guest()
{
	local append=$1 device=$2 poison=$3 reporting=$4 ranges=$5
	start poison ",free-page-reporting=on$device" --module $module --append "$low_floor $loud $append"
	guest_wait_ready poison 400
	echo "features $(feature poison 4) $(feature poison 5), ranges $(value poison ranges_reported)"
	[ "$(feature poison 4)" = "$poison" ]
	[ "$(feature poison 5)" = "$reporting" ]
	[ "$(value poison ranges_reported)" = "$ranges" ]
	move poison 150
	move poison 220
	move poison 130
	guest_verify poison
	guest_command poison unload ballast_balloon
	[ "$(actual poison)" = $((memory * mib)) ]
	# what was free is used: the kernel looks whether the poison is still there
	guest_command poison hog 120
	guest_command poison drop
	guest_verify poison
	! grep -aE 'pagealloc: (memory corruption|single bit error)' "$(guest_log poison)" || false
	guest_stop poison
}

test_zero_on_free()
{
	poisoned_guest init_on_free=1 '' 1 1 1
}

test_poison()
{
	[ -z "${BALLAST_GUESTS_DEBUG:-}" ] || skip "the debug kernel has no page poisoning"
	poisoned_guest page_poison=1 '' 1 1 0
}

test_poison_the_host_does_not_know()
{
	[ -z "${BALLAST_GUESTS_DEBUG:-}" ] || skip "the debug kernel has no page poisoning"
	poisoned_guest page_poison=1 ,page-poison=off 0 0 0
}

part_poison()
{
	ktap_run "free pages are zero" test_zero_on_free
	ktap_run "free pages are poisoned" test_poison
	ktap_run "free pages are poisoned, unknown to the host" test_poison_the_host_does_not_know
	guest_stop poison
}
