# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the tests of ballastfs share; to be sourced after vm/ktap.sh.  Tests run
# under errexit, each by "test_in_lab", which cleans up behind it.
#
# A program costs a twentieth of a second in the lab, or more, to start, and one
# of busybox a hundredth.  So much is done here by the shell itself, and most of
# what is left by busybox; "command" before a name is for the usual one.

work=/run/ballast-fs		# mount points, and scratch in memory
sys=/sys/kernel/ballast
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
bin=$here/../../.build/selftests/fs

# On the debug kernel long loops are shorter, and what is waited for may take longer.
# shellcheck disable=SC2034	# for those who source this
if [ -n "${BALLAST_LAB_DEBUG:-}" ]; then
	scale=10
	patience=4
else
	scale=1
	patience=1
fi

export LC_ALL=C
for applet in awk cat cmp dd dmesg find grep ls mkdir mkfifo mktemp rm rmdir sed sort \
	stat sync touch truncate umount; do
	eval "$applet() { busybox $applet \"\$@\"; }"
done

# ---- clean before, clean behind

tunables="run cpu_percent pass_min_ms rate_pages_per_s vm_rate_pages_per_s smart_scan"
declare -A tunable

save_tunables()
{
	local name
	for name in $tunables; do
		read -r "tunable[$name]" <$sys/sharing/"$name"
	done
}

restore_tunables()
{
	local name value
	for name in $tunables; do
		read -r value <$sys/sharing/"$name"
		[ "$value" = "${tunable[$name]}" ] ||
			echo "${tunable[$name]}" >$sys/sharing/"$name"
	done
}

# Those under $work, last mounted first.
mount_points()
{
	local point list=()
	while read -r _ point _; do
		case $point in
		$work/*) list=("$point" "${list[@]}") ;;
		esac
	done </proc/mounts
	points=("${list[@]}")
}

clean_up()
{
	local pids points
	jobs -p >$work/jobs
	mapfile -t pids <$work/jobs
	if [ "${#pids[@]}" -gt 0 ]; then
		kill -9 "${pids[@]}"
		wait
	fi
	cd /
	[ -z "${probes:-}" ] || probes_end
	mount_points
	[ "${#points[@]}" = 0 ] || umount "${points[@]}" || umount -l "${points[@]}"
	rm -rf ${work:?}/scratch/*
	restore_tunables
}

# test_in_lab FUNCTION ARGUMENT...: for ktap_run.
test_in_lab()
{
	trap 'set +e; clean_up >/dev/null 2>&1' EXIT
	"$@"
}

# ---- assertions: under errexit, who returns 1 fails the test

# equal FOUND WANTED WHAT
equal()
{
	[ "$1" = "$2" ] || { echo "${3:-value}: '$1', not '$2'"; return 1; }
}

# reads FILE WANTED: one line
reads()
{
	local value=
	read -r value <"$1" || true
	equal "$value" "$2" "$1"
}

# fails COMMAND...: it must; what it says is in $work/fails
fails()
{
	local said
	if "$@" 2>$work/fails; then
		echo "succeeded: $*"
		return 1
	fi
	mapfile said <$work/fails
	printf '%s' "${said[@]}"
}

# nap SECONDS: a sleep without a process
nap()
{
	read -rt "$1" _ <&"$nap_from" || true
}

# A pipe that nobody writes to.
prepare()
{
	mkdir -p $work/scratch
	mkfifo $work/never
	exec {nap_from}<>$work/never
	save_tunables
}

# wait_until SECONDS COMMAND...
wait_until()
{
	local tries=$(($1 * 20 * patience))
	shift
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || { echo "did not come true: $*"; return 1; }
		nap 0.05
	done
}

gone()
{
	[ ! -e "$1" ]
}

# dmesg_lines PATTERN: how many there are so far
dmesg_lines()
{
	dmesg | grep -c -- "$1" || true
}

# ---- pools

# mount_pool NAME OPTIONS: at $work/NAME.  Nothing is compressed: a full pool is full
mount_pool()
{
	[ -d "$work/$1" ] || mkdir "$work/$1"
	busybox mount -t ballastfs -o "name=$1,compress=off,$2" none "$work/$1"
}

umount_pool()
{
	umount "$work/$1"
}

# pool NAME FILE: what sysfs says
pool()
{
	local value
	read -r value <"$sys/pools/$1/$2"
	echo "$value"
}

# pool_is NAME FILE VALUE: is it?
pool_is()
{
	local value
	read -r value <"$sys/pools/$1/$2"
	[ "$value" = "$3" ]
}

# pool_must NAME FILE VALUE [WHEN]
pool_must()
{
	local value
	read -r value <"$sys/pools/$1/$2"
	equal "$value" "$3" "$1/$2${4:+ $4}"
}

# pool_has NAME FILE NUMBER: or more
pool_has()
{
	local value
	read -r value <"$sys/pools/$1/$2"
	[ "$value" -ge "$3" ]
}

is_mounted()
{
	local point
	while read -r _ point _; do
		[ "$point" != "$work/$1" ] || return 0
	done </proc/mounts
	return 1
}

# program PROGRAM CASE ARGUMENT...: in a pool of its own, which is empty and can
# be unmounted afterwards.  $options: more mount options
program()
{
	mount_pool t "size=96m,sharing=off${options:+,$options}"
	BALLAST_TEST_POOL=t "$bin/$1" "$2," $work/t "${@:3}"
	umount_pool t
}

# The scanner as fast as it can.
flat_out()
{
	echo 100 >$sys/sharing/cpu_percent
	echo 0 >$sys/sharing/pass_min_ms
	echo 0 >$sys/sharing/rate_pages_per_s
	echo 0 >$sys/sharing/vm_rate_pages_per_s
	echo 1 >$sys/sharing/run
}

# random_file FILE MIB
random_file()
{
	dd if=/dev/urandom of="$1" bs=1M count="$2" status=none
}
