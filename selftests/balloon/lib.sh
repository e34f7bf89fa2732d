# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
# shellcheck disable=SC2086,SC2154	# names are plain; in-lab sets what they share
#
# What the parts of the balloon's test share; sourced by in-lab.

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
	"$built/qmp-balloon" "$guests_dir/$1/qmp" move "$2" "$(guests_seconds "${3:-120}")" ||
		explain "$1"
}

move()
{
	move_bytes "$1" $(($2 * mib)) ${3:-}
}

arrives()
{
	"$built/qmp-balloon" "$guests_dir/$1/qmp" wait $(($2 * mib)) "$(guests_seconds "${3:-120}")" ||
		explain "$1"
}

target()
{
	local guest=$1
	shift
	"$built/qmp-balloon" "$guests_dir/$guest/qmp" set "$@"
}

actual()
{
	"$built/qmp-balloon" "$guests_dir/$1/qmp" get
}

# value GUEST NAME: from the guest's sysfs
value()
{
	guest_command "$1" read $driver/virtio0/balloon/"$2"
}

# host_mib GUEST: anonymous memory of QEMU, which is the guest's and a little of its own
host_mib()
{
	awk '/^RssAnon/ { print int($2 / 1024) }' "/proc/$(guest_pid "$1")/status"
}

# guest_mib GUEST NAME: number from its /proc/meminfo, in MiB
guest_mib()
{
	guest_command "$1" read /proc/meminfo | tr '|' '\n' |
		awk -v name="$2:" '$1 == name { print int($2 / 1024) }' | grep .
}

start()
{
	local name=$1 device=$2
	shift 2
	guest_start "$name" --memory $memory --commands --module virtio_pci \
		--append "$low_floor" \
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
