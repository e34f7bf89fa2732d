#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The registry of VMs: who is found, what is said of it, when it goes.
#
#   lab_vms.sh [FUNCTION...]	all tests, or those named (see the end)

# shellcheck disable=SC2317	# in the whole file: ktap_run calls the functions
here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/kvm/lib.sh
. "$here/lib.sh"
vm_nice=10
# shellcheck source=selftests/lib/probes.sh
. "$here/../lib/probes.sh"

only=" $* "
mib=$((1 << 20))

vms_listed()
{
	find "$root/vms" -mindepth 1 -maxdepth 1 -printf '%f\n'
}

appears_within_a_second()
{
	trap test_end EXIT
	local generation shown started
	generation=$(knob vms_generation)
	vm_start a --memory 16
	wait_until 5 vm_shown a
	shown=$(date +%s%N)
	started=$(vm a started)
	# its first fault is what it does first
	local took_ms=$(((shown - ${started#started }) / 1000000))
	echo "shown at most $took_ms ms after its first run"
	# a second, and one more for the processes of this test on a busy machine
	[ "$took_ms" -le $((2000 * slow)) ]
	expect name "$(get a name)" minivm
	expect pool "$(get a pool)" host
	expect size "$(get a size_bytes)" $((16 * mib))
	expect unreclaimable "$(get a unreclaimable_bytes)" 0
	expect shares "$(get a shares)" 160
	expect max "$(get a max_bytes)" $((16 * mib))
	expect_range resident "$(get a resident_bytes)" $((16 * mib)) $((24 * mib))
	[ "$(knob vms_generation)" -gt "$generation" ]
}

goes_with_its_process()
{
	trap test_end EXIT
	local before
	before=$(kvm_vms)
	vm_start a --memory 16
	wait_until 5 vm_shown a
	vm_kill a
	wait_until 5 vm_gone a
	wait_until 5 kvm_vms_are "$before"
}

goes_with_its_last_reference()
{
	trap test_end EXIT
	local before
	before=$(kvm_vms)
	vm_start a --memory 16
	wait_until 5 vm_shown a
	vm a drop
	wait_until 5 vm_gone a
	wait_until 5 kvm_vms_are "$before"
	kill -0 "$(vm_pid a)"
}

was_there_before_the_module()
{
	trap test_end EXIT
	rmmod ballast
	vm_start a --memory 16
	vm a stop
	modprobe ballast
	# it has all its memory and does not run: no fault tells of it
	wait_until 5 vm_shown a
	expect name "$(get a name)" minivm
	expect size "$(get a size_bytes)" $((16 * mib))
}

every_backing()
{
	trap test_end EXIT
	local pages
	vm_start anon --memory 32 --backing anon
	vm_start thp --memory 32 --backing thp
	vm_start shm --memory 32 --backing shm
	mkdir -p "$work/pool"
	mount -t ballastfs -o size=128m,name=web none "$work/pool"
	vm_start file --memory 32 --backing "file:$work/pool/vm"
	for name in anon thp shm file; do
		wait_until 5 vm_shown "$name"
		expect "size of $name" "$(get "$name" size_bytes)" $((32 * mib))
		expect_range "resident of $name" "$(get "$name" resident_bytes)" \
			$((32 * mib)) $((40 * mib))
		expect "unreclaimable of $name" "$(get "$name" unreclaimable_bytes)" 0
	done
	wait_until 5 is_in_pool file web
	expect "resident of file" "$(get file resident_bytes)" $((32 * mib))
	expect "pool of shm" "$(get shm pool)" host
	for name in anon thp shm file; do
		vm_kill "$name"
		wait_until 5 vm_gone "$name"
	done
	umount "$work/pool"

	pages=$(cat /proc/sys/vm/nr_hugepages)
	echo 16 >/proc/sys/vm/nr_hugepages
	[ "$(cat /proc/sys/vm/nr_hugepages)" = 16 ] || skip "no huge pages to be had"
	vm_start huge --memory 32 --backing hugetlb
	wait_until 5 vm_shown huge
	expect "unreclaimable of huge" "$(get huge unreclaimable_bytes)" $((32 * mib))
	expect "reason of huge" "$(get huge reason)" at-max
	vm_kill huge
	wait_until 5 vm_gone huge
	echo "$pages" >/proc/sys/vm/nr_hugepages
}

# What KSM has merged of anonymous memory is told, as long as it has.
what_ksm_shares()
{
	trap ksm_ended EXIT
	local ksm=/sys/kernel/mm/ksm
	[ -e "$ksm/run" ] || skip "no KSM"
	vm_start a --memory 16 --backing ksm
	vm_start b --memory 16 --backing ksm
	wait_until 5 vm_shown a
	expect "shared before" "$(get a shared_bytes)" 0
	echo 10000 >"$ksm/pages_to_scan"
	echo 0 >"$ksm/sleep_millisecs"
	echo 1 >"$ksm/run"
	wait_until 60 shares_at_least a $((8 * mib))
	echo 2 >"$ksm/run"
	wait_until 10 shares_nothing a
}

ksm_ended()
{
	local status=$?
	[ ! -e /sys/kernel/mm/ksm/run ] || echo 2 >/sys/kernel/mm/ksm/run
	test_end "$status"
}

shares_at_least()
{
	[ "$(get "$1" shared_bytes)" -ge "$2" ]
}

shares_nothing()
{
	[ "$(get "$1" shared_bytes)" = 0 ]
}

many_in_one_process()
{
	trap test_end EXIT
	local before
	before=$(kvm_vms)
	quick
	knob sampling/period_ms $((1000 * slow))
	vm_start a --memory 8 --vms 16
	vm a touch 20
	wait_until 5 vm_shown a
	wait_until 10 size_is a $((16 * 8 * mib))
	expect "directories" "$(vms_listed | wc -l)" 1
	# each comes round, several times
	wait_until 60 has_passes a 160
	settled a
	# a list page and tables in each, next to 20 % of 8 MiB
	expect_range active "$(get a active_bp)" 1000 3300
	vm a drop
	wait_until 5 vm_gone a
	wait_until 5 kvm_vms_are "$before"
}

size_is()
{
	[ "$(get "$1" size_bytes)" = "$2" ]
}

# Address spaces that exist.  Objects in the slab's caches of each CPU count as
# used: so what is free there is given back first.
mm_structs()
{
	echo 1 >/sys/kernel/slab/mm_struct/shrink
	awk '$1 == "mm_struct" { print $2 }' /proc/slabinfo
}

no_mm_structs_beyond()
{
	[ "$(mm_structs)" -le "$1" ]
}

vendor_is_free()
{
	[ "$(kvm_refcount)" = 0 ]
}

references()
{
	echo "$(kvm_refcount) $(attribute /sys/module/ballast/refcnt)"
}

references_are()
{
	[ "$(references)" = "$1" ]
}

# come_and_go OPTION COUNT EACH: so many VMs, in four queues, each EACH-th of a
# queue living through a period.  All that was adopted is let go.
come_and_go()
{
	local option=$1 count=$2 before held generation adopted queue queues=()
	wait_until 10 vendor_is_free
	before=$(kvm_vms)
	held=$(references)
	generation=$(knob vms_generation)
	knob sampling/period_ms 500
	probe_count ballast:ballast_tap_watch
	for queue in 1 2 3 4; do
		"$work/minivm" --memory 8 "$option" $((count / 4)) \
			--live-every "$3" --live-ms 1200 >"$work/queue$queue" &
		queues+=($!)
	done
	for queue in 1 2 3 4; do
		wait "${queues[queue - 1]}"
		expect cycles "$(<"$work/queue$queue")" "cycles $((count / 4))"
	done
	adopted=$(probe_calls)
	wait_until 5 kvm_vms_are "$before"
	wait_until 10 references_are "$held" ||
		{ echo "references: $held before, $(references) now"; return 1; }
	expect "directories" "$(vms_listed | wc -l)" 0
	generation=$(($(knob vms_generation) - generation))
	echo "$adopted of $count adopted, $generation steps of the generation"
	expect_range adopted "$adopted" $((count * 9 / 10)) "$count"
	[ "$generation" -ge $((2 * 4 * (count / 4 / $3))) ]
}

counting_ends()
{
	local status=$?
	probes_end
	test_end "$status"
}

thousand_cycles()
{
	trap counting_ends EXIT
	local cycles=1000
	[ -z "${BALLAST_LAB_DEBUG:-}" ] || cycles=200
	[ "${BALLAST_SHORT:-}" != 6.1 ] || cycles=200
	come_and_go --cycles "$cycles" 50
}

# A process for each: what knows of it has its address space to let go too.
processes_come_and_go()
{
	trap counting_ends EXIT
	local mms processes=100
	[ -z "${BALLAST_LAB_DEBUG:-}" ] || processes=40
	[ -w /sys/kernel/slab/mm_struct/shrink ] || skip "address spaces cannot be counted"
	mms=$(mm_structs)
	come_and_go --processes "$processes" 10
	# one kept of ten would be ten; the processes of a pipe come and go
	wait_until 10 no_mm_structs_beyond $((mms + 3)) ||
		{ echo "mm_struct: $mms before, $(mm_structs) now"; return 1; }
}

destroyed_while_sampled()
{
	trap test_end EXIT
	local before i
	before=$(kvm_vms)
	knob sampling/period_ms 500
	knob sampling/pages_per_period 1000
	for i in 1 2 3 4 5 6 7 8; do
		vm_start "a$i" --memory 16 --backing thp
		wait_until 5 vm_shown "a$i"
		wait_until 5 is_sampled "a$i"
		[ $((i % 2)) = 0 ] && vm "a$i" drop
		vm_kill "a$i"
	done
	wait_until 5 kvm_vms_are "$before"
	expect "directories" "$(vms_listed | wc -l)" 0
}

is_sampled()
{
	[ "$(get "$1" active_samples)" -gt 0 ]
}

memslots_come_and_go()
{
	trap test_end EXIT
	quick
	vm_start a --memory 16 --backing thp
	vm a touch 50
	vm a churn on
	wait_until 5 vm_shown a
	wait_until 20 periods_begun a 8
	wait_until 10 has_passes a $(($(passes_of a) + 1))
	vm a churn off
	wait_until 5 size_is a $((16 * mib))
	# a slow host's VM does not use all it has in half a second
	come_round a
	wait_until 60 periods_begun a $(($(get a active_periods) + 6))
	expect_range active "$(get a active_bp)" 4000 6300
}

stopped_vm_has_no_time()
{
	trap test_end EXIT
	local periods
	quick
	vm_start a --memory 16
	vm a touch 20
	wait_until 5 vm_shown a
	wait_until 10 periods_begun a 2
	vm a stop
	wait_until 5 does_not_run a
	periods=$(get a active_periods)
	sleep 3
	expect "periods while stopped" "$(get a active_periods)" "$periods"
	vm a run
	wait_until 10 periods_begun a $((periods + 2))
	expect running "$(get a running)" 1
}

unload_while_vms_run()
{
	trap test_end EXIT
	quick
	vm_start a --memory 16 --backing thp
	vm a touch 50
	wait_until 5 vm_shown a
	wait_until 10 is_sampled a
	rmmod ballast
	wait_until 5 has_passes a $(($(passes_of a) + 1))
	modprobe ballast
	wait_until 5 vm_shown a
}

vendor_test_ends()
{
	local status=$?
	modprobe kvm_amd
	test_end "$status"
}

# KVM's files keep kvm_amd, which takes a VM down; our reference, which is the last, must.
vendor_module_outlives_its_vms()
{
	trap vendor_test_ends EXIT
	vm_start a --memory 16
	wait_until 5 vm_shown a
	vm_kill a
	wait_until 20 rmmod kvm_amd
	vm_gone a
	modprobe kvm_amd
	# one that is found by the walk
	knob sampling/method off
	knob policy/balance_period_ms 1000
	vm_start b --memory 16
	wait_until 5 vm_shown b
	! rmmod kvm_amd 2>/dev/null || return 1
	vm_kill b
	wait_until 20 rmmod kvm_amd
	vm_gone b
}

off_means_off()
{
	trap test_end EXIT
	knob sampling/method off
	knob policy/balance_period_ms 3600000
	# the engine closes the tap at its next tick, which this wakes
	sleep 2
	vm_start a --memory 16
	# its faults tell nobody of it
	sleep 3
	vm_gone a
	# it is found by the walk, at the next balance
	knob policy/balance_period_ms 1000
	wait_until 5 vm_shown a
	sleep 2
	expect samples "$(get a active_samples)" 0
	expect faults "$(get a sampled_faults)" 0
	expect active "$(get a active_bp)" 10000
	knob sampling/method accessed
	wait_until 5 is_sampled a
	expect faults "$(get a sampled_faults)" 0
}

# FILE VALUE...: each is refused, and changes nothing.
refuses()
{
	local file=$1 before value
	shift
	before=$(attribute "$file")
	for value in "$@"; do
		if echo "$value" 2>/dev/null >"$file"; then
			echo "$file: took '$value'"
			return 1
		fi
		expect "$file after '$value'" "$(attribute "$file")" "$before"
	done
}

bad_input_changes_nothing()
{
	trap test_end EXIT
	local file dir
	vm_start a --memory 16
	wait_until 5 vm_shown a
	dir=$root/vms/$(vm_pid a)
	for file in policy/tax_bp policy/balance_period_ms policy/balloon_max_bp \
		policy/step_bp policy/dead_band_bp policy/high_bp policy/soft_bp \
		policy/hard_bp policy/low_bp sampling/pages_per_period sampling/period_ms; do
		refuses "$root/$file" "" x -1 99999999 99999999999999999999999 "1 2"
	done
	refuses "$root/policy/tax_bp" 9901 10000
	refuses "$root/policy/high_bp" 399
	refuses "$root/policy/soft_bp" 601 199
	refuses "$root/policy/low_bp" 201
	refuses "$root/policy/mode" enforced 1 ""
	refuses "$root/policy/thresholds" old
	refuses "$root/sampling/method" on
	refuses "$root/pools/host/limit_bytes" x -1 99999999999999999999999 1 4095
	refuses "$dir/shares" x -1 1000000001 4294967295 4294967296
	refuses "$dir/tax_bp" x 9901
	refuses "$dir/min_bytes" x $((17 * mib)) -4096
	set_ a max_bytes $((8 * mib))
	expect max "$(get a max_bytes)" $((8 * mib))
	refuses "$dir/min_bytes" $((9 * mib))
	set_ a min_bytes $((4 * mib))
	refuses "$dir/max_bytes" $((3 * mib)) x
	set_ a max_bytes default
	expect max "$(get a max_bytes)" $((16 * mib))
	refuses "$dir/balloon_state" dead 7
	refuses "$dir/floor_bytes" x
	refuses "$dir/balloon_bytes" x
	set_ a shares 77
	expect shares "$(get a shares)" 77
	set_ a shares default
	expect shares "$(get a shares)" 160
}

# What the pool's memory cannot keep beside the others' mins, less what stays free.
mins_beyond_the_pool_are_refused()
{
	trap test_end EXIT
	local line="pool web: a min of 16 MiB cannot be kept" lines missing most kept
	mkdir -p "$work/pool"
	mount -t ballastfs -o size=24m,name=web none "$work/pool"
	vm_start a --memory 16 --guest load --backing "file:$work/pool/a"
	vm_start b --memory 16 --guest load --backing "file:$work/pool/b"
	wait_until 5 is_in_pool a web
	wait_until 5 is_in_pool b web
	set_ a min_bytes $((12 * mib))
	expect "sum of mins" "$(knob pools/web/vms_min_bytes)" $((12 * mib))
	lines=$(dmesg_lines "$line")
	has_no_space b $((16 * mib))
	expect "lines in the log" "$(dmesg_lines "$line")" $((lines + 1))
	missing=$(dmesg | sed -n "s/.*$line: \([0-9]*\) bytes of memory are missing/\1/p" |
		tail -n 1)
	echo "missing $missing bytes"
	# all but that can be had, and no page more
	most=$((16 * mib - missing))
	expect min_admissible_bytes "$(knob pools/web/min_admissible_bytes)" "$most"
	has_no_space b $((most + 4096))
	set_ b min_bytes "$most"
	expect "sum of mins" "$(knob pools/web/vms_min_bytes)" $((12 * mib + most))
	expect min_admissible_bytes "$(knob pools/web/min_admissible_bytes)" 0
	kept=$((24 * 256 * $(knob policy/soft_bp) / 10000))
	expect "pages that stay free" $(((12 * mib - most) / 4096)) "$kept"
	vm_kill b
	wait_until 5 mins_are web $((12 * mib))
}

mins_are()
{
	[ "$(knob "pools/$1/vms_min_bytes")" = "$2" ]
}

# has_no_space NAME BYTES: no such min, and nothing has changed
has_no_space()
{
	local min sum said
	min=$(get "$1" min_bytes)
	sum=$(knob pools/web/vms_min_bytes)
	said=$(set_ "$1" min_bytes "$2" 2>&1) && { echo "taken: $2"; return 1; }
	[[ $said == *"No space left"* ]] || { echo "said: $said"; return 1; }
	expect "min of $1" "$(get "$1" min_bytes)" "$min"
	expect "sum of mins" "$(knob pools/web/vms_min_bytes)" "$sum"
}

files_are_those_of_the_document()
{
	trap test_end EXIT
	vm_start a --memory 16
	wait_until 5 vm_shown a
	find "$root/vms/$(vm_pid a)" -type f -printf '%f\n' | sort >"$work/running"
	sed -n 's|^What:.*/vms/<pid>/||p' "$here/../../Documentation/ABI/testing/sysfs-kernel-ballast" |
		sort >"$work/documented"
	[ "$(wc -l <"$work/running")" -gt 20 ]
	diff "$work/running" "$work/documented"
}

kvm_start
ktap_suite "VM registry"
for test in appears_within_a_second goes_with_its_process goes_with_its_last_reference \
	was_there_before_the_module every_backing what_ksm_shares many_in_one_process thousand_cycles \
	processes_come_and_go destroyed_while_sampled memslots_come_and_go stopped_vm_has_no_time \
	unload_while_vms_run vendor_module_outlives_its_vms off_means_off bad_input_changes_nothing \
	mins_beyond_the_pool_are_refused files_are_those_of_the_document; do
	[ "$only" = "  " ] || [[ $only == *" $test "* ]] || continue
	ktap_run "$test" "$test"
done
ktap_run "unloads" kvm_end
ktap_end
