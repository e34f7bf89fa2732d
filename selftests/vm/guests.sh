# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Guests under real KVM, for tests that run in the lab host; to be sourced.
#
#   guest_start NAME [options]     boot one; returns at once
#     --memory MiB                 (128, of which 56 are left for the workload on 6.1, 70 on 6.12)
#     --cpus N                     (1)
#     --kernel VERSION             kernel it runs: stock (the lab's; 6.12 on debug), or debug
#     --backing anon|file:DIR      its memory: anonymous, or the file DIR/NAME, shared (anon)
#     --backing-option KEY=VALUE   one more property of the memory backend
#     --prealloc                   QEMU touches all memory first
#     --workload SPEC              what it does; see guest/init.c
#     --module NAME|FILE.ko        it loads: virtio_balloon, virtio_blk, or a file
#     --file FILE                  in its /modules, not loaded
#     --commands                   guest_command works
#     --program FILE               it runs that too, when it is ready: a static program, or
#                                  a script for busybox's sh, which is then in the guest, with
#                                  2 MiB less for the workload
#     --qemu-arg ARG               one more argument for QEMU
#     --no-drivers                 it loads no module for the devices of --qemu-arg
#     --append STRING              more kernel parameters
#   guest_swap_disk FILE MIB       prints --qemu-arg options for guest_start: a new
#                                  disk that --workload swap=1 swaps to
#   guest_wait_ready NAME [S]      its memory is filled
#   guest_check NAME [S]           fails if it died, found an error, or said
#                                  nothing for S seconds
#   guest_verify NAME [S]          waits until it has checked all its memory once
#                                  more, from now on
#   guest_save NAME FILE S         stops it and migrates it to FILE, within S seconds
#   guest_goes_on NAME             started with -incoming "exec:cat FILE", it has checked
#                                  all its memory again; for guests_wait_until
#   guest_stop NAME, guests_stop_all
#   guest_hmp NAME COMMAND...      one line for QEMU's monitor, e.g. balloon 64
#   guest_qmp NAME JSON            one QMP command; prints the answers
#   guest_command NAME COMMAND...  has it obey guest/commands.c; prints its answer,
#                                  fails if that is not "ok" (--commands)
#   guest_program NAME [S]         waits until its --program has ended; prints what it has said
#                                  and returns its status
#   guest_counter NAME KEY         last value it said: pass, verified_pages,
#                                  dirtied_pages, hot_reads, disk_checks, uptime_ms;
#                                  with swap=1 swap_in_pages, swap_out_pages, oom_kills
#   guest_said NAME              all it said, whole lines only
#   guest_pid NAME, guest_log NAME (path of its serial log), guests_list
#   guests_wait_until S FUNCTION...  until FUNCTION returns 0; fails with 1 after
#                                  S seconds, and with 2 as soon as FUNCTION does
#
# Every function that fails says why on stderr.  All waits are limits, not
# sleeps; on the debug kernel they are longer by themselves.

# BALLAST_GUESTS_ACCEL=tcg emulates guests instead, which needs no lab host.

guests_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
guests_dir=${BALLAST_GUESTS_DIR:-/run/ballast-guests}
guests_accel=(-accel kvm -cpu host)
# shellcheck disable=SC2054	# QEMU's arguments contain commas
[ "${BALLAST_GUESTS_ACCEL:-kvm}" = kvm ] || guests_accel=(-accel tcg,thread=single,tb-size=64 -cpu max)

# What is asked again and again starts no program: the lab has one CPU, on which the guest runs
# too, and a program costs a twentieth of a second.  So a wait is a read of nothing.
exec {guests_nothing}<> <(:)

# guests_seconds S: S, as long as it takes here
guests_seconds()
{
	echo $(($1 * (${BALLAST_LAB_DEBUG:-0} ? 8 : 1)))
}

# guests_wait_until S FUNCTION...: FUNCTION returns 0: it is so; 2: it will never
# be so, and it has said why; else: not yet.
guests_wait_until()
{
	local end=$((SECONDS + $(guests_seconds "$1"))) status
	shift
	while :; do
		status=0
		"$@" || status=$?
		case $status in 0|2) return $status ;; esac
		[ $SECONDS -lt $end ] || return 1
		read -r -t 0.2 _ <&"$guests_nothing" || :
	done
}

guests_error()
{
	local name=$1
	shift
	echo "guest $name: $*" >&2
	if [ -s "$guests_dir/$name/serial" ]; then
		tail -n 5 "$guests_dir/$name/serial" | tr -d '\r' | awk -v who="guest $name: | " '{ print who $0 }' >&2
	fi
	if [ -s "$guests_dir/$name/qemu.err" ]; then
		tail -n 5 "$guests_dir/$name/qemu.err" | sed "s/^/guest $name: qemu: /" >&2
	fi
	return 1
}

# guests_boot_files KERNEL: kernel and initramfs.  In the lab they stay what they are, and
# to find them again takes longer than QEMU's start.
guests_boot_files()
{
	local known=/run/ballast-guest.$1
	[ -n "${BALLAST_LAB:-}" ] || { "$guests_here/guest/build" "$1"; return; }
	[ -s "$known" ] || "$guests_here/guest/build" "$1" >"$known" || rm -f "$known"
	[ ! -s "$known" ] || echo "$(<"$known")"
}

# guests_pack DIRECTORY PROGRAM FILE...: a second archive, which adds to the first
guests_pack()
{
	local dir=$1 program=$2 line=''
	shift 2
	mkdir -p "$dir/modules" "$dir/bin"
	[ $# = 0 ] || cp -- "$@" "$dir/modules/"
	if [ -n "$program" ]; then
		install -m 755 "$program" "$dir/program"
		read -r line <"$program" 2>/dev/null || :
		if [[ $line == '#!'*sh* ]]; then
			cp "$(command -v busybox)" "$dir/bin/busybox"
			ln -s busybox "$dir/bin/sh"
		fi
	fi
	(cd "$dir" && find . -mindepth 1 | cpio --quiet -o -H newc)
}

guest_start()
{
	local name=$1 memory=128 cpus=1 kernel='' backing=anon backing_options=''
	local machine=pc prealloc=off workload='' append='' append_own='' program='' modules='' drivers='' no_drivers=''
	local extra=() files=() boot dir
	dir=$guests_dir/$name
	shift
	while [ $# -gt 0 ]; do
		case $1 in
		--memory) memory=$2; shift ;;
		--cpus) cpus=$2; shift ;;
		--kernel) kernel=$2; shift ;;
		--backing) backing=$2; shift ;;
		--backing-option) backing_options+=,$2; shift ;;
		--prealloc) prealloc=on ;;
		--workload) workload=$2; shift ;;
		--file) files+=("$2"); shift ;;
		--commands) append_own+=' ballast.commands=1'
			extra+=(-chardev "socket,id=commands,path=$dir/commands,server=on,wait=off"
				-serial chardev:commands) ;;
		--program) program=$2; append_own+=' ballast.program=1'; shift ;;
		--module) modules+=,${2##*/}; [ ! -f "$2" ] || files+=("$2"); shift ;;
		--qemu-arg)
			extra+=("$2")
			# devices a guest has no driver for are of no use to a test
			case $2 in
			# which driver has a balloon is the test's choice, if it makes one
			virtio-balloon*)
				drivers+=,virtio_pci
				case $modules in *balloon*) ;; *) drivers+=,virtio_balloon ;; esac ;;
			virtio-blk*) drivers+=,virtio_pci,virtio_blk ;;
			esac
			shift ;;
		--no-drivers) no_drivers=1 ;;
		--append) append=$2; shift ;;
		*) guests_error "$name" "guest_start: unknown option $1"; return 1 ;;
		esac
		shift
	done
	[ -n "$no_drivers" ] || modules=$drivers$modules
	if guest_pid "$name" >/dev/null 2>&1; then
		guests_error "$name" "is running already"
		return 1
	fi
	rm -rf "$dir"
	mkdir -p "$dir"

	if [ "$(nproc --all)" -gt 1 ] && [ "${guests_accel[1]}" = kvm ]; then
		echo "guest $name: this lab host has more than one CPU; its emulator may hang the guest (README.md)" >&2
	fi
	if [ -z "$kernel" ]; then
		kernel=${BALLAST_LAB_KERNEL:-6.12}
		[ -z "${BALLAST_LAB_DEBUG:-}" ] || kernel=6.12
	fi
	# the debug kernel has no interrupts on the older machine (README.md)
	[ "$kernel" != debug ] || machine=q35
	mapfile -t boot < <(guests_boot_files "$kernel")
	if [ "${#boot[@]}" != 2 ]; then
		guests_error "$name" "nothing to boot"
		return 1
	fi
	if [ "${#files[@]}" -gt 0 ] || [ -n "$program" ]; then
		guests_pack "$dir/extra" "$program" "${files[@]}" | cat "${boot[1]}" - >"$dir/initramfs"
		boot[1]=$dir/initramfs
	fi

	case $backing in
	anon) backing='memory-backend-ram,id=mem' ;;
	file:*) backing=memory-backend-file,id=mem,share=on,mem-path=${backing#file:}/$name ;;
	*) guests_error "$name" "unknown backing $backing"; return 1 ;;
	esac

	setsid qemu-system-x86_64 -name "$name" "${guests_accel[@]}" -nodefaults \
		-no-user-config -display none -no-reboot -m "$memory" -smp "$cpus" \
		-object "$backing,size=${memory}M,prealloc=$prealloc$backing_options" \
		-machine "$machine",memory-backend=mem,hpet=off,usb=off,vmport=off \
		-serial "file:$dir/serial" \
		-chardev "socket,id=hmp,path=$dir/hmp,server=on,wait=off" -mon chardev=hmp,mode=readline \
		-chardev "socket,id=qmp,path=$dir/qmp,server=on,wait=off" -mon chardev=qmp,mode=control \
		-kernel "${boot[0]}" -initrd "${boot[1]}" \
		-append "console=ttyS0 quiet panic=-1 norandmaps mitigations=off no_timer_check tsc=reliable random.trust_cpu=on pci=noearly \
cryptomgr.notests ballast.name=$name${workload:+ ballast.workload=$workload}\
${modules:+ ballast.modules=${modules#,}}$append_own $append" \
		"${extra[@]}" </dev/null >"$dir/qemu.out" 2>"$dir/qemu.err" 3>&- 4>&- &
	echo $! >"$dir/pid"
	date +%s >"$dir/started"
	disown
}

guest_swap_disk()
{
	rm -f "$1"
	truncate -s "${2}M" "$1" && mkswap "$1" >/dev/null || return 1
	printf -- '--qemu-arg\n%s\n' -drive "file=$1,if=none,id=swap,format=raw" \
		-device virtio-blk-pci,drive=swap
}

guest_log()
{
	echo "$guests_dir/$1/serial"
}

# guest_pid NAME: QEMU's process; fails when it is not running (any more).  One that has ended
# has no program any more, and one that becomes QEMU for a moment no command line.
guest_pid()
{
	local pid=''
	{ read -r pid <"$guests_dir/$1/pid"; } 2>/dev/null || return 1
	[ -e "/proc/${pid:-none}/exe" ] || return 1
	echo "$pid"
}

guests_list()
{
	local dir
	for dir in "$guests_dir"/*/; do
		[ -e "$dir/pid" ] && basename "$dir"
	done
	return 0
}

# guest_trouble NAME: fails and says so if the guest is not well.
guest_trouble()
{
	local name=$1 line
	line=$(grep -a -m1 -E 'BALLAST-GUEST [^ ]+ (MISMATCH|error)|Kernel panic|BUG: |Out of memory' \
		"$guests_dir/$name/serial" 2>/dev/null | tr -d '\r')
	if [ -n "$line" ]; then
		guests_error "$name" "$line"
		return 1
	fi
	guest_pid "$name" >/dev/null || guests_error "$name" "is not running"
}

guest_is_ready()
{
	! grep -aqs "^BALLAST-GUEST $1 ready" "$guests_dir/$1/serial" || return 0
	guest_trouble "$1" || return 2
	return 1
}

guest_wait_ready()
{
	local name=$1 limit=${2:-90} status=0
	guests_wait_until "$limit" guest_is_ready "$name" || status=$?
	case $status in
	0) guest_trouble "$name" ;;
	1) guests_error "$name" "not ready after $(guests_seconds "$limit") s" ;;
	*) return 1 ;;
	esac
}

guest_check()
{
	local name=$1 limit quiet
	limit=$(guests_seconds "${2:-30}")
	guest_trouble "$name" || return 1
	if ! grep -aqs "^BALLAST-GUEST $name ready" "$guests_dir/$name/serial"; then
		guests_error "$name" "has not become ready"
		return 1
	fi
	quiet=$(($(date +%s) - $(stat -c %Y "$guests_dir/$name/serial")))
	if [ "$quiet" -gt "$limit" ]; then
		guests_error "$name" "said nothing for $quiet s"
		return 1
	fi
}

# guest_said NAME: what it has said, whole lines only.  QEMU writes its log a
# few bytes at a time: the end of it may be half a line, or half a number.
guest_said()
{
	local serial=$guests_dir/$1/serial
	[ -e "$serial" ] || return 0
	head -n "$(wc -l <"$serial")" "$serial" | tr -d '\r'
}

# guests_read NAME: the same to the array guests_lines, with their ends.  A line that grows while
# it is read comes in two, of which the first has no end.
guests_read()
{
	guests_lines=()
	[ ! -e "$guests_dir/$1/serial" ] || mapfile guests_lines <"$guests_dir/$1/serial"
}

# guests_last_line NAME BEGINNING: sets guests_line to the last one after "BALLAST-GUEST NAME "
# that begins so, without that; fails if there is none.
guests_last_line()
{
	local i start="BALLAST-GUEST $1 $2"
	guests_read "$1"
	for ((i = ${#guests_lines[@]} - 1; i >= 0; i--)); do
		[[ ${guests_lines[i]} == "$start"*$'\n' ]] || continue
		guests_line=${guests_lines[i]#"$start"}
		guests_line=${guests_line%$'\n'}
		guests_line=${guests_line%$'\r'}
		return 0
	done
	return 1
}

guest_counter()
{
	if guests_last_line "$1" "ok" && [[ $guests_line =~ " $2="([0-9]+) ]]; then
		echo "${BASH_REMATCH[1]}"
	else
		guests_error "$1" "has not said '$2' yet"
	fi
}

# guest_has_passed NAME [PASS]: it has checked all its memory so often, or ever
guest_has_passed()
{
	local pass
	if pass=$(guest_counter "$1" pass 2>/dev/null) && [ "$pass" -ge "${2:-0}" ]; then
		return 0
	fi
	guest_check "$1" || return 2
	return 1
}

# The pass under way has begun before now and proves nothing about what it has
# behind it: the one after it counts.
guest_verify()
{
	local name=$1 limit=${2:-120} first status=0
	guests_wait_until "$limit" guest_has_passed "$name" || status=$?
	[ $status != 1 ] ||
		guests_error "$name" "no report in $(guests_seconds "$limit") s"
	[ $status = 0 ] || return 1
	first=$(guest_counter "$name" pass) || return 1
	# what it reported last may be two seconds old: one pass more
	guests_wait_until "$limit" guest_has_passed "$name" $((first + 3)) || status=$?
	[ $status != 1 ] ||
		guests_error "$name" "memory not checked in $(guests_seconds "$limit") s"
	[ $status = 0 ] || return 1
	guest_check "$name"
}

guest_program()
{
	local name=$1 limit=${2:-60} status=0
	guests_wait_until "$limit" guest_program_has_ended "$name" || status=$?
	guest_said "$name" | sed -n "s/^BALLAST-GUEST $name program //p"
	if [ $status != 0 ]; then
		guests_error "$name" "its program has not ended in $(guests_seconds "$limit") s"
		return 1
	fi
	return "$guests_line"
}

guest_program_has_ended()
{
	guests_last_line "$1" "program-ended " && return 0
	guest_trouble "$1" || return 2
	return 1
}

guest_hmp()
{
	local name=$1
	shift
	# QEMU reads a byte each time round, obeys at the line's end, and hangs up when it has
	# read the end of ours; hung up on earlier, it forgets what it had not read.  It
	# echoes what is typed, with terminal escapes.
	echo "$*" |
		socat -t "$(guests_seconds 30)" - "UNIX-CONNECT:$guests_dir/$name/hmp" |
		tr -d '\r' | sed -e 's/\x1b\[[0-9;]*[A-Za-z]//g' -e '/^QEMU .* monitor/d' -e '/^(qemu)/d'
}

guest_qmp()
{
	{ echo '{"execute":"qmp_capabilities"}'; echo "$2"; sleep 0.3; } |
		socat -t 2 - "UNIX-CONNECT:$guests_dir/$1/qmp" | tail -n +3
}

# A serial port takes a few bytes at a time, and QEMU drops the rest when the
# connection ends: it is kept until the answer is there.
guest_save()
{
	guest_hmp "$1" stop >/dev/null
	guest_hmp "$1" "migrate \"exec:cat > $2\"" >/dev/null
	guests_wait_until "$3" guest_is_saved "$1"
}

guest_is_saved()
{
	guest_hmp "$1" info migrate | grep -q 'Migration status: completed'
}

# Restored, it goes on where it was and never says "ready" again.
guest_goes_on()
{
	local first now
	guest_hmp "$1" cont >/dev/null
	first=$(guest_said "$1" | grep -a -m1 -o 'ok pass=[0-9]*') || return 1
	now=$(guest_said "$1" | grep -a -o 'ok pass=[0-9]*' | tail -n1)
	[ "${now#*=}" -ge $((${first#*=} + 2)) ]
}

guest_command()
{
	local name=$1 number limit=${GUEST_COMMAND_SECONDS:-60} answer status=0
	shift
	number=$(($(cat "$guests_dir/$name/answers" 2>/dev/null || echo 0) + 1))
	echo "$number" >"$guests_dir/$name/answers"
	{ echo "$number $*"; guests_wait_until "$limit" guest_has_answered "$name" "$number"; } |
		socat -u - "UNIX-CONNECT:$guests_dir/$name/commands"
	guest_has_answered "$name" "$number" || status=$?
	if [ $status != 0 ]; then
		guests_error "$name" "no answer to '$*' in $(guests_seconds "$limit") s"
		return 1
	fi
	answer=$guests_line
	case $answer in
	ok) ;;
	ok\ *) echo "${answer#ok }" ;;
	*) echo "$answer"; return 1 ;;
	esac
}

guest_has_answered()
{
	guests_last_line "$1" "answer $2 " && return 0
	guest_pid "$1" >/dev/null || return 2
	return 1
}

# Not before it is nobody's child any more: one that ends has no program.
guest_is_gone()
{
	[ ! -e "/proc/$1" ]
}

guest_stop()
{
	local pid
	pid=$(guest_pid "$1") || return 0
	kill -TERM "$pid" 2>/dev/null
	guests_wait_until 4 guest_is_gone "$pid" && return 0
	kill -KILL "$pid" 2>/dev/null
	guests_wait_until 10 guest_is_gone "$pid" && return 0
	guests_error "$1" "QEMU ($pid) cannot be killed"
}

guests_stop_all()
{
	local name status=0
	for name in $(guests_list); do
		guest_stop "$name" || status=1
	done
	return $status
}
