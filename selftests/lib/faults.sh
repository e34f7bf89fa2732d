# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Allocations that fail, on the debug kernel; to be sourced after ktap.sh.
#
#   faults_needed		ends the suite where the kernel cannot have them fail
#   faults_begin		or an error: /proc/TASK/fail-nth may be written from now on; nothing fails yet
#   faults_at_random PERCENT	of the allocations of tasks whose make-it-fail is 1
#   faults_in_modules_only	only allocations by functions of modules, and what those call
#   faults_end		undoes the last two; to be called when the test ends

faults=/sys/kernel/debug

faults_needed()
{
	mountpoint -q $faults || mount -t debugfs none $faults
	[ ! -d $faults/failslab ] || return 0
	echo "1..0 # SKIP on the stock kernels, which cannot have allocations fail"
	exit 4
}

# faults_set FILE VALUE: of both kinds of allocations
faults_set()
{
	echo "$2" >"$faults/failslab/$1" && echo "$2" >"$faults/fail_page_alloc/$1"
}

faults_begin()
{
	faults_set task-filter Y && faults_set ignore-gfp-wait N && faults_set interval 1 &&
		faults_set times -1 && faults_set space 0 && faults_set verbose 0 &&
		faults_set probability 0 && echo N >$faults/fail_page_alloc/ignore-gfp-highmem &&
		echo 0 >$faults/fail_page_alloc/min-order
}

faults_at_random()
{
	faults_set probability "$1"
}

# Where modules are, with and without a kernel that lies at random.
faults_in_modules_only()
{
	faults_set require-start 0xffffffffa0000000 && faults_set require-end 0xffffffffff000000
}

faults_end()
{
	faults_set probability 0 && faults_set require-start 0 &&
		faults_set require-end 0xffffffffffffffff
}
