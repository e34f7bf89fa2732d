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

# The kernel's own test of suspend: devices are frozen, and restored after a second.  The balloon
# was empty in between, and goes on.
test_suspend_and_resume()
{
	local pages=$(((memory - 150) * 256)) inflated deflated
	if ! guest_command sleeper read /sys/power/pm_test >/dev/null; then
		skip "this kernel has no pm_test"
	fi
	move sleeper 150
	inflated=$(event sleeper balloon_inflate)
	deflated=$(event sleeper balloon_deflate)
	guest_command sleeper write /sys/module/suspend/parameters/pm_test_delay 1
	guest_command sleeper write /sys/power/pm_test devices
	guest_command sleeper write /sys/power/state freeze
	arrives sleeper 150
	[ "$(value sleeper actual_bytes)" = $(((memory - 150) * mib)) ]
	inflated=$(($(event sleeper balloon_inflate) - inflated))
	deflated=$(($(event sleeper balloon_deflate) - deflated))
	echo "of $pages pages $deflated left the balloon, and $inflated came"
	[ $deflated -ge $pages ]
	[ $inflated -ge $pages ]
	guest_command sleeper write /sys/power/pm_test none
	guest_verify sleeper
	move sleeper 200
	[ "$(value sleeper actual_bytes)" = $(((memory - 200) * mib)) ]
	move sleeper 150
	[ "$(value sleeper actual_bytes)" = $(((memory - 150) * mib)) ]
	guest_verify sleeper
}

# hibernate: all of it but the power: the image is written to swap, read again, and restored.
# Linux 6.1 cannot read it while it swaps there ("exclusively in test_resume mode", mended in
# 6.4): devices are frozen, thawed to write the image, and restored, but not from it.
hibernate()
{
	local answer
	answer=$(GUEST_COMMAND_SECONDS=400 guest_command sleeper write /sys/power/state disk) && return
	echo "hibernation: $answer"
	[[ $BALLAST_LAB_KERNEL == 6.1.* && $answer == *busy* ]]
}

test_hibernation()
{
	if ! guest_command sleeper read /sys/power/disk >/dev/null; then
		skip "this kernel does not hibernate"
	fi
	# what comes back from swap is pressure, and another test's
	limits sleeper 0 0 0
	move sleeper 150
	guest_command sleeper write /sys/power/disk test_resume
	hibernate
	arrives sleeper 150
	[ "$(value sleeper actual_bytes)" = $(((memory - 150) * mib)) ]
	[ "$(value sleeper ranges_reported)" = 1 ]
	guest_verify sleeper
	move sleeper $memory
}

# Given up before devices are frozen: the balloon was emptied for it, and inflates again.
test_hibernation_given_up()
{
	if ! guest_command sleeper read /sys/power/pm_test >/dev/null; then
		skip "this kernel has no pm_test"
	fi
	move sleeper 150
	guest_command sleeper write /sys/power/pm_test freezer
	GUEST_COMMAND_SECONDS=400 guest_command sleeper write /sys/power/state disk
	arrives sleeper 150
	guests_wait_until 60 holds_again
	guest_command sleeper write /sys/power/pm_test none
	guest_verify sleeper
}

holds_again()
{
	[ "$(value sleeper actual_bytes)" = $(((memory - 150) * mib)) ]
}

# An image is made in memory, and a debug kernel's swap space is there, too.
part_sleep()
{
	local beside=$((beside ? 640 : 0))
	ktap_run "a sleepy guest runs" test_sleepy_guest_runs
	ktap_run "suspend and resume" test_suspend_and_resume
	ktap_run "hibernation" test_hibernation
	ktap_run "hibernation given up" test_hibernation_given_up
	guest_stop sleeper
}
