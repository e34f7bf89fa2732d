#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2016,SC2317	# run_tests calls the functions; conditions are evaluated
#
# ballastctl against a directory that stands for sysfs, and libvirt's test driver.
#
#	[SUBSTRING...]	default: all tests
#
# Run by selftests/tools/run, which says where the programs are.

here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/tools/common.sh
. "$here/common.sh"

two_vms()
{
	scene
	qemu_start web
	web=$qemu_pid
	qemu_start db
	db=$qemu_pid
	vm_add "$web"
	vm_add "$db" $((256 * mib))
}

test_status_and_list()
{
	two_vms
	expect 0 "$ballastctl" status
	said "^mode enforce, idle memory tax 75.00 %, balanced every 0.2 s, 2 VMs"
	said "^host +high +1.00 GiB +256 MiB +768 MiB"
	said "^db +$db host +256 MiB +256 MiB +25.0 +0 B +0 B unknown +tax"
	expect 0 "$ballastctl" list
	said "^$web web"
	expect 0 "$ballastctl" --json status
	[ "$(json 'd["vms"][0]["name"], d["vms"][1]["pid"], d["pools"][0]["free_bytes"]')" = "db $web $((768 * mib))" ]
	expect 0 "$ballastctl" list --json
	[ "$(json 'd[1]["size_bytes"]')" = $((128 * mib)) ]
}

# a pool of this version, beside two VMs
pool_with_swap()
{
	two_vms
	mkdir "$sysfs/pools/web"
	local name value
	while read -r name value; do
		put "pools/web/$name" "$value"
	done <<-END
		state hard
		size_bytes $((64 * mib))
		used_bytes $((60 * mib))
		free_bytes $((4 * mib))
		vms_available_bytes $((60 * mib))
		vms_target_bytes $((60 * mib))
		compress lz4
		compressed_bytes $((20 * mib))
		store_bytes $((7 * mib))
		swapped_bytes $((30 * mib))
		swap_size_bytes $((100 * mib))
		swap_free_bytes $((70 * mib))
		pages_lost 0
		swap_full 0
		swap_write_errors 0
		held_back 3
		reclaim_stuck 0
		admission 1
		promised_bytes $((110 * mib))
		admissible_bytes $((50 * mib))
		vms_min_bytes $((16 * mib))
	END
	vm_set "$web" pool web
	echo $((20 * mib)) >"$sysfs/vms/$web/compressed_bytes"
	echo $((30 * mib)) >"$sysfs/vms/$web/swapped_bytes"
	echo 0 | tee "$sysfs/vms/$db/compressed_bytes" >"$sysfs/vms/$db/swapped_bytes"
}

test_status_of_compressed_and_swapped()
{
	pool_with_swap
	put pools/web/reclaim_stuck 5
	put pools/web/pages_lost 2
	expect 0 "$ballastctl" status
	said "^host +high +1.00 GiB"
	said "^web +20.0 MiB +7.00 MiB +30.0 MiB +70.0 MiB +110 MiB +50.0 MiB +5 +2$"
	said "^web +$web web .* 0 B +0 B +20.0 MiB +30.0 MiB unknown +tax"
	said "^db +$db host .* 0 B +0 B +0 B +0 B unknown +tax"
	expect 0 "$ballastctl" --json status
	[ "$(json 'map { @$_{qw(compress store_bytes swap_free_bytes reclaim_stuck admissible_bytes)} } grep { $_->{name} eq "web" } @{d["pools"]}')" = "lz4 $((7 * mib)) $((70 * mib)) 5 $((50 * mib))" ]
	[ "$(json 'd["vms"][1]["swapped_bytes"], scalar grep { exists $_->{compress} } @{d["pools"]}')" = "$((30 * mib)) 1" ]
	expect 0 "$ballastctl" explain web
	said "20.0 MiB is compressed and 30.0 MiB in the swap file"
	expect 0 "$ballastctl" --json explain web
	[ "$(json 'd["compressed_bytes"]')" = $((20 * mib)) ]
	expect 0 "$ballastctl" explain db
	if grep -q "swap file" "$work/said"; then
		return 1
	fi
	# nobody is refused, nothing is swapped
	put pools/web/admission 0
	put pools/web/swap_size_bytes 0
	expect 0 "$ballastctl" status
	said "^web +20.0 MiB +7.00 MiB +30.0 MiB +- +110 MiB +- +5 +2$"
}

# a module of abi_version 2: not a word of what it does not know
test_an_older_module()
{
	good_host
	put abi_version 2
	mkdir "$sysfs/pools/web"
	put pools/web/state high
	put pools/web/size_bytes $((64 * mib))
	qemu_start vm
	vm_add "$qemu_pid"
	vm_set "$qemu_pid" balloon_state ok
	expect 0 "$ballastctl" status
	if grep -qE "COMPRESSED|SWAP|LOST" "$work/said"; then
		return 1
	fi
	expect 0 "$ballastctl" --json status
	[ "$(json 'exists d["vms"][0]{swapped_bytes} ? 1 : 0, scalar grep { exists $_->{admission} } @{d["pools"]}')" = "0 0" ]
	expect 0 "$ballastctl" --connect nonsense:///x doctor
	said "^ok +abi +version 2, of the 3 that these tools know"
	if grep -qE "^[a-z]+ +pool " "$work/said"; then
		return 1
	fi
}

test_set()
{
	two_vms
	expect 0 "$ballastctl" set web shares=5000 min=16M max=64MiB tax=0
	is "$web" shares 5000
	is "$web" min_bytes $((16 * mib))
	is "$web" max_bytes $((64 * mib))
	is "$web" tax_bp 0
	expect 0 "$ballastctl" set "$db" shares=default
	is "$db" shares default
	# nothing is written if one of them is wrong
	expect 1 "$ballastctl" set web shares=1 min=lots
	said 'min: "lots" is not a size'
	expect 1 "$ballastctl" set web shares=1 colour=red
	said 'no setting "colour"'
	expect 1 "$ballastctl" set web tax=9901
	said "more than 9900"
	is "$web" shares 5000
	expect 1 "$ballastctl" set nobody shares=1
	said "no VM nobody"
	expect 2 "$ballastctl" set web
	expect 0 "$ballastctl" --json set web shares=9
	[ "$(json 'd["shares"]')" = 9 ]
}

test_same_name_twice_needs_a_pid()
{
	two_vms
	exec {in}<>"$work/$(mkfifo "$work/idle"; echo idle)"
	"$fake_qemu" -name web <&"$in" >"$work/third.out" &
	vm_add $!
	expect 1 "$ballastctl" set web shares=1
	said "2 VMs are called web"
	expect 0 "$ballastctl" set "$web" shares=1
}

test_explain_has_words_for_every_reason()
{
	local reason
	two_vms
	for reason in at-max at-min shares tax pressure balloon-limit no-balloon pinned \
		frozen observe; do
		vm_set "$web" reason "$reason"
		expect 0 "$ballastctl" explain web
		said "^Its target is 128 MiB: $reason\.$"
		if grep -q "does not know" "$work/said"; then
			return 1
		fi
	done
	vm_set "$web" reason new-one
	expect 0 "$ballastctl" explain web
	said "does not know the reason"
	vm_set "$web" balloon_target_bytes $((32 * mib))
	vm_set "$web" balloon_state stuck
	vm_set "$web" floor_bytes $((40 * mib))
	expect 0 "$ballastctl" explain "$web"
	said "25.0 % is active, give or take 4.0; its idle memory is taxed at 75.00 %"
	said "1280 shares, which is 0.031250 shares a page"
	said "on its way to 32.0 MiB"
	said "does not move \(stuck\)"
	said "keeps at least 40.0 MiB"
	expect 0 "$ballastctl" --json explain web
	[ "$(json 'd["floor_bytes"]')" = $((40 * mib)) ]
}

test_mode()
{
	scene
	expect 0 "$ballastctl" mode
	said '^enforce$'
	expect 0 "$ballastctl" mode observe
	[ "$(cat "$sysfs/policy/mode")" = observe ]
	expect 2 "$ballastctl" mode both
	expect 0 "$ballastctl" mode --json
	[ "$(json 'd["mode"]')" = observe ]
}

test_record()
{
	two_vms
	vm_set "$web" balloon_state ok
	vm_set "$web" floor_bytes 4096
	vm_set "$web" unreclaimable_bytes 8192
	expect 0 "$ballastctl" --count 3 --targets "$work/targets" record "$work/trace"
	[ "$(head -n 1 "$work/trace")" = tick,vm,size_bytes,shares,min_bytes,max_bytes,active_bp,tax_bp,floor_bytes,held_bytes,balloon_bytes,balloon_state,resident_bytes,pool_bytes,free_bytes,available_bytes ]
	[ "$(wc -l <"$work/trace")" = 7 ]
	grep -qx "2,$web,$((128 * mib)),1280,0,$((128 * mib)),2500,7500,4096,8192,0,ok,0,$((1024 * mib)),$((768 * mib)),$((256 * mib))" "$work/trace"
	grep -qx "2,$web,$((128 * mib)),0.031250,tax,0,high" "$work/targets"
	# the simulator takes it, and prints the same columns
	"$tools_bin/ballast-sim" "$work/trace" >"$work/simulated"
	[ "$(wc -l <"$work/simulated")" = 7 ]
	[ "$(head -n 1 "$work/simulated")" = "$(head -n 1 "$work/targets")" ]
	# appended to, without a second head
	expect 0 "$ballastctl" --count 1 record "$work/trace"
	[ "$(wc -l <"$work/trace")" = 9 ]
	[ "$(grep -c tick "$work/trace")" = 1 ]
	# a trace is of one pool
	vm_set "$db" pool other
	expect 1 "$ballastctl" --count 1 record "$work/trace"
	said "in other and in host: --pool says"
	expect 0 "$ballastctl" --count 1 --pool host record "$work/host.csv"
	[ "$(wc -l <"$work/host.csv")" = 2 ]
	expect 2 "$ballastctl" record
	expect 2 "$ballastctl" --json record "$work/json"
	said "CSV: not with --json"
	[ ! -e "$work/json" ]
	expect 1 "$ballastctl" --count 1 record "$work/no/trace"
}

test_without_the_module()
{
	scene
	module_unload
	for command in status list "explain x" "set x shares=1" mode "record -"; do
		# shellcheck disable=SC2086	# words
		expect 1 "$ballastctl" $command
		said "is the module loaded"
	done
}

# the host as it should be, in $work/host
good_host()
{
	scene
	host_files
}

host_files()
{
	mkdir -p "$work"/host/{etc/libvirt,proc/self,sys/module/kvm,sys/kernel/mm/ksm,sys/kernel/security}
	echo 'memory_backing_dir = "/run/ballast/vms"' >"$work/host/etc/libvirt/qemu.conf"
	printf '/dev/sda / ext4 rw 0 0\nnone /run/ballast/vms ballastfs rw 0 0\n' >"$work/host/proc/self/mounts"
	echo '0000 r __tracepoint_kvm_page_fault' >"$work/host/proc/kallsyms"
	echo 0 >"$work/host/sys/kernel/mm/ksm/run"
	echo '[none] integrity confidentiality' >"$work/host/sys/kernel/security/lockdown"
	exec {lock}>"$work/lock"
	flock -n "$lock"
}

doctor_of_test()
{
	"$ballastctl" --connect test:///default "$@" doctor
}

test_doctor_of_a_good_host()
{
	good_host
	# the test driver has no balloons: its domain is the one thing wrong
	expect 1 doctor_of_test --json
	[ "$(json 'd["wrong"]')" = 1 ]
	expect 1 doctor_of_test
	said "^ok +module"
	said "^ok +abi +version 9"
	said "^ok +mode +enforce"
	said "^ok +kvm"
	said "^ok +mount +ballastfs at /run/ballast/vms"
	said "^ok +libvirt"
	said "^wrong +stats +test sends no statistics"
	said "virsh dommemstat test --period 10 --live"
	said "^ok +lockdown"
	said "^ok +ksm"
	said "^ok +ballastd +runs"
	# without libvirt nothing is wrong
	expect 0 "$ballastctl" --connect nonsense:///x doctor
	said "^unknown +stats"
}

# one thing after the other goes wrong; each is found, with what mends it
test_doctor_finds_what_is_wrong()
{
	good_host
	local doctor=("$ballastctl" --connect nonsense:///x doctor)
	echo 1 >"$work/host/sys/kernel/mm/ksm/run"
	expect 1 "${doctor[@]}"
	said "^wrong +ksm"
	said "systemctl disable --now ksmtuned"
	echo 0 >"$work/host/sys/kernel/mm/ksm/run"
	echo '#memory_backing_dir = "/var"' >"$work/host/etc/libvirt/qemu.conf"
	expect 1 "${doctor[@]}"
	said "^wrong +libvirt +memory_backing_dir is not set"
	said "memory_backing_dir = \"/run/ballast/vms\""
	echo 'memory_backing_dir = "/var"' >"$work/host/etc/libvirt/qemu.conf"
	expect 1 "${doctor[@]}"
	said "^wrong +libvirt +memory_backing_dir /var is not on a ballastfs"
	said "sed -i .*memory_backing_dir"
	# of several libvirt takes the first
	echo 'memory_backing_dir = "/run/ballast/vms"' >>"$work/host/etc/libvirt/qemu.conf"
	expect 1 "${doctor[@]}"
	said "^wrong +libvirt +memory_backing_dir /var is not on a ballastfs"
	echo 'memory_backing_dir = "/run/ballast/vms"' >"$work/host/etc/libvirt/qemu.conf"
	flock -u "$lock"
	expect 1 "${doctor[@]}"
	said "^wrong +ballastd"
	flock -n "$lock"
	: >"$work/host/proc/kallsyms"
	expect 1 "${doctor[@]}"
	said "^wrong +kvm +.*tracepoint"
	echo '0000 r __tracepoint_kvm_page_fault' >"$work/host/proc/kallsyms"
	rmdir "$work/host/sys/module/kvm"
	expect 1 "${doctor[@]}"
	said "^wrong +kvm +KVM is not there"
	said "modprobe -a kvm_intel kvm_amd"
	mkdir "$work/host/sys/module/kvm"
	echo '/dev/sda / ext4 rw 0 0' >"$work/host/proc/self/mounts"
	expect 1 "${doctor[@]}"
	said "^wrong +mount +no ballastfs is mounted"
	said "mount -t ballastfs"
	said "^wrong +libvirt +.* is not on a ballastfs"
	printf '/dev/sda / ext4 rw 0 0\nnone /run/ballast/vms ballastfs rw 0 0\n' >"$work/host/proc/self/mounts"
	expect 0 "${doctor[@]}"
	qemu_start web
	vm_add "$qemu_pid"
	vm_set "$qemu_pid" balloon_state none
	expect 1 "${doctor[@]}"
	said "^wrong +balloon +web \($qemu_pid\)"
	said "modprobe virtio_balloon"
	vm_set "$qemu_pid" balloon_state uncooperative
	expect 1 "${doctor[@]}"
	said "^wrong +balloon .*uncooperative"
	vm_set "$qemu_pid" balloon_state ok
	put abi_version 0
	expect 1 "${doctor[@]}"
	said "^wrong +abi"
	put abi_version 9
	expect 0 "${doctor[@]}"
	echo 'none [integrity] confidentiality' >"$work/host/sys/kernel/security/lockdown"
	module_unload
	expect 1 "${doctor[@]}"
	said "^wrong +module"
	said "sign-file"
}

# pool_finds PATTERN FILE VALUE...: doctor says so, and that it is wrong; all well again after FILE VALUE...
pool_finds()
{
	local pattern=$1
	expect 1 "$ballastctl" --connect nonsense:///x doctor
	said "^wrong +pool +web: $pattern"
	shift
	while [ $# -gt 0 ]; do
		put "pools/web/$1" "$2"
		shift 2
	done
	expect 0 "$ballastctl" --connect nonsense:///x doctor
	said "^ok +pool +web: 4.00 MiB free, compress=lz4, swap file 100 MiB"
}

test_doctor_of_pools()
{
	pool_with_swap
	host_files
	vm_set "$web" balloon_state ok
	vm_set "$db" balloon_state ok
	put pools/web/swap_free_bytes $((9 * mib))
	pool_finds "of 100 MiB of swap file 9.00 MiB are left" swap_free_bytes $((11 * mib))
	put pools/web/swap_free_bytes 0
	pool_finds "the swap file \(100 MiB\) is full" swap_free_bytes $((70 * mib))
	put pools/web/pages_lost 2
	pool_finds "2 page\(s\) of guests' memory lost" pages_lost 0
	put pools/web/swap_write_errors 3
	pool_finds "3 page\(s\) could not be written" swap_write_errors 0
	put pools/web/admission 0
	expect 0 "$ballastctl" --connect nonsense:///x doctor
	put pools/web/admissible_bytes 0
	pool_finds "VMs have 110 MiB, all that the pool \(64.0 MiB\) and its swap file" admission 1
	put pools/web/admission 0
	put pools/web/swap_size_bytes 0
	put pools/web/swap_free_bytes 0
	pool_finds "VMs have 110 MiB, the pool 64.0 MiB and no swap file" \
		admission 1 swap_size_bytes $((100 * mib)) swap_free_bytes $((70 * mib))
	# not overcommitted: no swap file is missed
	put pools/web/promised_bytes $((60 * mib))
	put pools/web/swap_size_bytes 0
	expect 0 "$ballastctl" --connect nonsense:///x doctor
	said "^ok +pool +web: .* swap file none"
	expect 0 "$ballastctl" --connect nonsense:///x --json doctor
	[ "$(json 'd["wrong"]')" = 0 ]
}

# what was stuck once and is no longer is well
test_doctor_of_stuck_reclaim()
{
	local counter=7
	pool_with_swap
	host_files
	vm_set "$web" balloon_state ok
	vm_set "$db" balloon_state ok
	put pools/web/reclaim_stuck 7
	expect 0 "$ballastctl" --connect nonsense:///x doctor
	(
		while :; do
			counter=$((counter + 1))
			echo "$counter" >"$work/count"
			mv "$work/count" "$sysfs/pools/web/reclaim_stuck"
			sleep 0.1
		done
	) &
	expect 1 "$ballastctl" --connect nonsense:///x doctor
	said "^wrong +pool +web: memory is short and nothing can be taken"
}

test_adopt_shows_and_checks()
{
	good_host
	local adopt=("$ballastctl" --connect test:///default adopt test)
	# asked nobody: nothing is changed
	expect 1 "${adopt[@]}"
	said "^\+ +<source type=\"file\"/>"
	said "^\+ +<access mode=\"shared\"/>"
	said "nothing was changed: --yes would"
	expect 0 "${adopt[@]}" --yes
	said "^test: done; it holds when"
	expect 0 "${adopt[@]}" --yes --mount /run/ballast/vms --json
	[ "$(json 'd["changed"], d["restart_needed"]')" = "1 1" ]
	expect 1 "${adopt[@]}" --yes --mount /elsewhere
	said "is /run/ballast/vms, not /elsewhere"
	echo 'memory_backing_dir = "/var"' >"$work/host/etc/libvirt/qemu.conf"
	expect 1 "${adopt[@]}" --yes
	said "/var is not on a ballastfs"
	expect 0 "${adopt[@]}" --yes --force
	: >"$work/host/etc/libvirt/qemu.conf"
	expect 1 "${adopt[@]}" --yes
	said "memory_backing_dir is not set"
	# each connection to the test driver begins anew: nothing to release
	expect 1 "$ballastctl" --connect test:///default release test --yes
	said "not adopted"
	expect 1 "$ballastctl" --connect test:///default adopt nobody --force
	expect 2 "$ballastctl" adopt
}

test_ctl_options_and_errors()
{
	scene
	expect 0 "$ballastctl" --help
	for command in status list explain set mode adopt release record doctor; do
		said "^  $command "
	done
	expect 0 "$ballastctl" --version
	expect 2 "$ballastctl"
	expect 2 "$ballastctl" fly
	said 'no command "fly"'
	expect 2 "$ballastctl" --count 0 record -
	expect 2 "$ballastctl" status more
	expect 0 "$ballastctl" --sysfs "$sysfs" mode
	BALLAST_SYSFS_ROOT=/nonexistent expect 0 "$ballastctl" --sysfs "$sysfs" list
}

ktap_suite ballastctl
run_tests "$@"
ktap_end
