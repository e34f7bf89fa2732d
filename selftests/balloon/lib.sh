# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2034,SC2086,SC2154	# names are plain; the files share them
#
# What the parts of the balloon's test share; sourced by in-lab.  Sizes are those of a guest of
# $memory MiB; one with a kernel that takes more for itself has $beside beside.

# explain GUEST: what the driver says of itself
explain()
{
	local name
	for name in actual_bytes target_bytes refused_bytes last_reason vetoes hinted_bytes refusals \
		oom_give_backs short_steps hold_off_ms; do
		echo "$name $(value "$1" $name)"
	done
	guest_command "$1" read /sys/fs/cgroup/memory.pressure
	echo "available: $(guest_mib "$1" MemAvailable) MiB"
	return 1
}

# move_bytes GUEST BYTES [SECONDS]: have it get there, exactly
move_bytes()
{
	"$built/qmp-balloon" "$guests_dir/$1/qmp" move $(($2 + beside * mib)) "$(guests_seconds "${3:-120}")" ||
		explain "$1"
}

move()
{
	move_bytes "$1" $(($2 * mib)) ${3:-}
}

arrives()
{
	"$built/qmp-balloon" "$guests_dir/$1/qmp" wait $((($2 + beside) * mib)) "$(guests_seconds "${3:-120}")" ||
		explain "$1"
}

# target GUEST BYTES...: one after the other, none waited for
target()
{
	local guest=$1
	shift
	targets set $guest "$@"
}

# flap GUEST BYTES...: the same, but each only when the guest has moved for the one before
flap()
{
	local guest=$1
	shift
	targets "flap $(guests_seconds 300)" $guest "$@" || explain $guest
}

# targets VERB GUEST BYTES...: of qmp-balloon
targets()
{
	local verb=$1 guest=$2 bytes targets=()
	shift 2
	for bytes in "$@"; do
		targets+=($((bytes + beside * mib)))
	done
	"$built/qmp-balloon" "$guests_dir/$guest/qmp" $verb "${targets[@]}"
}

actual()
{
	echo $(($("$built/qmp-balloon" "$guests_dir/$1/qmp" get) - beside * mib))
}

# value GUEST NAME: from the guest's sysfs
value()
{
	guest_command "$1" read $driver/virtio0/balloon/"$2"
}

# host_mib GUEST [FIELD]: what the host has of its memory, by the mapping of that size
host_mib()
{
	awk -v size="$((memory + beside))" -v field="${2:-Rss}:" '
		/^[0-9a-f]+-/ { this = 0 }
		/^Size:/ { this = $2 / 1024 == size }
		$1 == field && this { print int($2 / 1024) - beside }' beside=$beside \
		"/proc/$(guest_pid "$1")/smaps" | grep .
}

# guest_mib GUEST NAME: number from its /proc/meminfo, in MiB
guest_mib()
{
	guest_command "$1" read /proc/meminfo | tr '|' '\n' |
		awk -v name="$2:" '$1 == name { print int($2 / 1024) }' | grep .
}

# total_kib GUEST: its MemTotal
total_kib()
{
	guest_command "$1" number /proc/meminfo MemTotal:
}

# feature GUEST BIT: 1 if it was negotiated
feature()
{
	local bits
	bits=$(guest_command "$1" read /sys/bus/virtio/devices/virtio0/features)
	echo "${bits:$2:1}"
}

# start NAME DEVICE-OPTIONS [OPTION...]: the balloon is virtio0
start()
{
	local name=$1 device=$2
	shift 2
	guest_start "$name" --memory $((memory + beside)) "${kernel_option[@]}" --commands \
		--module virtio_pci --append "$low_floor $loud" \
		--workload identical=16,unique=8,dirty=50 "$@" \
		--qemu-arg -device --qemu-arg "virtio-balloon-pci$device"
}

# event GUEST NAME: a counter of its /proc/vmstat
event()
{
	guest_command "$1" number /proc/vmstat "$2"
}

# set_parameter GUEST NAME VALUE: of the module
set_parameter()
{
	guest_command "$1" write /sys/module/ballast_balloon/parameters/"$2" "$3"
}

# limits GUEST SOME FULL SWAP_IN: of pressure; 0 is none
limits()
{
	set_parameter "$1" psi_some_limit_bp "$2"
	set_parameter "$1" psi_full_limit_bp "$3"
	set_parameter "$1" swap_in_limit_bytes_per_s "$4"
}

# Warnings, lockdep, KASAN, hung tasks: of every guest that there was since the last look.
# One was to run out of memory, which is no report.
nothing_reported()
{
	local name reports bad=0
	for name in $(guests_list); do
		[ ! -e "$guests_dir/$name/looked_at" ] || continue
		touch "$guests_dir/$name/looked_at"
		reports=$(tr -d '\r' <"$(guest_log "$name")" | awk -f "$here/../vm/kernel-reports.awk")
		[ -z "$reports" ] || { bad=1; echo "guest $name: $reports"; }
	done
	return $bad
}

# swap_space NAME MIB: sets disk, options for start, and swap, for its workload.  The debug
# kernel has no driver for the disk, and zram.
swap_space()
{
	disk=() swap=zram=$2
	[ -z "${BALLAST_GUESTS_DEBUG:-}" ] || return 0
	# behind the balloon
	mapfile -t disk < <(guest_swap_disk $scratch/$1.swap "$2" |
		sed 's/drive=swap/&,addr=0x10/')
	swap=swap=1
}
