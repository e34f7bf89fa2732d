#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Allocations of the engine that fail, on the debug kernel: each in turn, while VMs come,
# are sampled and go, and those of loading the module.  Each VM is found in the end, and none is kept.
#
#   lab_faults.sh [FUNCTION...]	all tests, or those named
# BALLAST_FAULTS_STEP=1 for each; by default, of those that are alike, one of a few.

# shellcheck disable=SC2317	# in the whole file: ktap_run calls the functions
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/kvm/lib.sh
. "$here/lib.sh"
# shellcheck source=selftests/lib/faults.sh
. "$here/../lib/faults.sh"
vm_nice=10
step=${BALLAST_FAULTS_STEP:-10}

say()
{
	echo "# $*" >&3
}

test_ended()
{
	faults_end
}

# a_vm_lives [OPTIONS]: found, sampled, and gone; KVM's module is held no longer, so that the
# next one's life begins with taking it
a_vm_lives()
{
	vm_start a --memory 8 "$@"
	wait_until 20 vm_shown a
	wait_until 20 periods_begun a 2
	vm_kill a
	wait_until 20 vm_gone a
	wait_until 20 kvm_vms_are 0
	wait_until 20 kvm_users_are 0
}

kvm_users_are()
{
	[ "$(kvm_refcount)" = "$1" ]
}

has_failed()
{
	[ "$(attribute "$thread")" = 0 ]
}

# The first allocation of a VM's life fails, then the second, and so on until a life has
# fewer.  Past a dozen they are mostly those of files in sysfs, one like the other.
each_of_a_life()
{
	trap test_end EXIT
	local thread nth=1 lives=0
	quick
	thread=/proc/$(pgrep -x ballast_engine)/fail-nth
	mkdir -p "$work/pool"
	mount -t ballastfs -o size=64m,name=p none "$work/pool"
	while [ "$nth" -lt 1000 ]; do
		echo "$nth" >"$thread"
		a_vm_lives --backing "file:$work/pool/vm"
		has_failed || break
		lives=$((lives + 1))
		nth=$((nth + (nth < 12 ? 1 : step)))
	done
	echo 0 >"$thread"
	say "an allocation failed in each of $lives lives of a VM, the last one their number $nth or before"
	expect_range "lives" "$lives" 13 1000
	a_vm_lives
	rm "$work"/pool/*
	expect used_bytes "$(attribute "$root/pools/p/used_bytes")" 0
}

# Of what loading takes, the part that is the module's own doing; there is a VM already,
# which has all its memory and does not run: no fault will tell of it.  It is found by each
# load that did not fail.
each_of_a_load()
{
	trap test_end EXIT
	local users said
	vm_start a --memory 8
	wait_until 20 vm_shown a
	vm a stop
	rmmod ballast
	users=$(kvm_refcount)
	faults_in_modules_only
	said=$("$work/fail-nth" load "$(modinfo -n ballast)" "$root/vms/$(vm_pid a)" "$step")
	say "$said"
	faults_end
	[ ! -e "$root" ]
	expect "KVM's users" "$(kvm_refcount)" "$users"
	vm_kill a
	wait_until 20 kvm_vms_are 0
	modprobe ballast
}

ktap_suite "VMs, allocations failing"
faults_needed
exec 3>&1
kvm_start
kvm_build ../store/fail-nth || exit 1
faults_begin || exit 1
tests=${*:-each_of_a_load each_of_a_life}
for test in $tests; do
	ktap_run "$test" "$test"
done
ktap_run "module unloads" kvm_end
ktap_end
