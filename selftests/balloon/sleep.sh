# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2086,SC2154	# names are plain; the files share them
#
# Sleeping and waking: the balloon is empty in between, and inflates again.

test_sleepy_guest_runs()
{
	local disk swap
	swap_space sleeper 256
	start sleeper ,free-page-reporting=on,free-page-hint=on,iothread=io \
		--qemu-arg -object --qemu-arg iothread,id=io --module $module "${disk[@]}" \
		--append "$low_floor $loud hibernate=nocompress" --workload identical=16,unique=8,dirty=50,$swap
	guest_wait_ready sleeper 400
}

# The kernel's own test of suspend: devices are frozen, and restored after a second.
test_suspend_and_resume()
{
	if ! guest_command sleeper read /sys/power/pm_test >/dev/null; then
		skip "this kernel has no pm_test"
	fi
	move sleeper 150
	guest_command sleeper write /sys/module/suspend/parameters/pm_test_delay 1
	guest_command sleeper write /sys/power/pm_test devices
	guest_command sleeper write /sys/power/state freeze
	arrives sleeper 150
	[ "$(value sleeper actual_bytes)" = $(((memory - 150) * mib)) ]
	guest_command sleeper write /sys/power/pm_test none
	guest_verify sleeper
}

# All of it but the power: the image is written to swap, read again, and restored.
test_hibernation()
{
	if ! guest_command sleeper read /sys/power/disk >/dev/null; then
		skip "this kernel does not hibernate"
	fi
	move sleeper 150
	guest_command sleeper write /sys/power/disk test_resume
	GUEST_COMMAND_SECONDS=400 guest_command sleeper write /sys/power/state disk
	arrives sleeper 150
	[ "$(value sleeper actual_bytes)" = $(((memory - 150) * mib)) ]
	[ "$(value sleeper ranges_reported)" = 1 ]
	guest_verify sleeper
	move sleeper $memory
}

part_sleep()
{
	ktap_run "a sleepy guest runs" test_sleepy_guest_runs
	ktap_run "suspend and resume" test_suspend_and_resume
	ktap_run "hibernation" test_hibernation
	guest_stop sleeper
}
