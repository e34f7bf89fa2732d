# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# /sys/kernel/ballast of the running module, against its document.

# shellcheck source=selftests/fs/common.sh
. "${BASH_SOURCE[0]%/*}/common.sh"

document=$here/../../Documentation/ABI/testing/sysfs-kernel-ballast

test_sysfs_is_readable()
{
	local paths path lines
	mount_pool sysfs size=8m
	echo hello >$work/sysfs/file
	mapfile -t paths < <(find $sys -type f)
	for path in "${paths[@]}"; do
		mapfile lines <"$path"
		equal "${#lines[@]}" 1 "lines of $path"
		# a number, or one of few words
		case ${lines[0]} in
		off$'\n'|vm$'\n'|pool$'\n'|file$'\n') ;;
		high$'\n'|soft$'\n'|hard$'\n'|low$'\n') ;;
		observe$'\n'|classic$'\n'|fault$'\n') ;;
		*[!0-9]*$'\n'|$'\n') echo "$path: ${lines[0]}"; return 1 ;;
		*[0-9]$'\n') ;;
		*) echo "$path: ${lines[0]}"; return 1 ;;
		esac
	done
	[ "${#paths[@]}" -gt 40 ]
}

# Paths as the document has them.
running_paths()
{
	find $sys -type f | sed -E '\|/pools/host/|!s|/pools/[^/]+/|/pools/<pool>/|
		s|/files/[0-9]+/|/files/<inode>/|' | sort -u
}

# Those of a VM are compared where there is one: kvm/lab_vms.sh.
documented_paths()
{
	sed -n 's/^What:[ \t]*//p' "$document" | grep -v '/$\|/vms/<pid>/' | sort -u
}

test_sysfs_is_documented()
{
	[ -e "$document" ] || { echo "no $document"; return 1; }
	mount_pool abi size=8m
	touch $work/abi/file
	running_paths >$work/scratch/running
	documented_paths >$work/scratch/documented
	echo "only in the module:"
	comm -23 $work/scratch/running $work/scratch/documented
	echo "only in the document:"
	comm -13 $work/scratch/running $work/scratch/documented
	cmp $work/scratch/running $work/scratch/documented
}

# refused NAME VALUE: EINVAL, nothing changes
refused()
{
	local before said
	read -r before <$sys/sharing/"$1"
	if printf '%s' "$2" 2>$work/fails >$sys/sharing/"$1"; then
		echo "$1 took '$2'"
		return 1
	fi
	mapfile said <$work/fails
	case ${said[0]} in
	*"Invalid argument"*) ;;
	*) echo "$1, '$2': ${said[0]}"; return 1 ;;
	esac
	reads $sys/sharing/"$1" "$before"
}

test_sysfs_refuses_bad_values()
{
	local name
	for name in $tunables; do
		refused "$name" -1
		refused "$name" x
		refused "$name" 1x
		refused "$name" "1 1"
		refused "$name" 0x1
		refused "$name" $'\n'
		refused "$name" 99999999999999999999
		refused "$name" 4294967297
	done
	refused run 3
	refused cpu_percent 0
	refused cpu_percent 101
	refused pass_min_ms 86400001
	refused rate_pages_per_s 1073741825
	refused vm_rate_pages_per_s 1073741825
	refused smart_scan 2
}

test_sysfs_takes_good_values()
{
	local name value
	while read -r name value; do
		echo "$value" >$sys/sharing/"$name"
		reads $sys/sharing/"$name" "$value"
	done <<-END
		cpu_percent 1
		cpu_percent 100
		pass_min_ms 0
		pass_min_ms 86400000
		rate_pages_per_s 0
		rate_pages_per_s 1073741824
		vm_rate_pages_per_s 0
		vm_rate_pages_per_s 1073741824
		smart_scan 0
		smart_scan 1
		run 0
		run 2
		run 1
	END
}

test_sysfs_read_only_files()
{
	local path others
	mount_pool readonly size=8m
	touch $work/readonly/file
	find $sys -type f | grep -Ev "/sharing/(${tunables// /|})$|/(policy|sampling)/|/host/limit_bytes$|/pools/[^/]*/(admission|compressed_max_bp)$" \
		>$work/scratch/read-only
	others=$(xargs stat -c %a <$work/scratch/read-only | sort -u)
	equal "$others" 444 "modes of files that are not tunables"
	while read -r path; do
		if { echo 0 >"$path"; } 2>/dev/null; then
			echo "$path was written"
			return 1
		fi
	done <$work/scratch/read-only
	# nobody but root changes a tunable; everybody may read
	fails as_nobody sh -c "echo 0 >$sys/sharing/run"
	as_nobody cat $sys/sharing/run $sys/pools/readonly/used_bytes >/dev/null
}

# name_is NAME SHOWN: of a file that is named so
name_is()
{
	local inode lines
	touch "$work/odd/$1"
	inode=$(stat -c %i "$work/odd/$1")
	mapfile lines <"$sys/pools/odd/files/$inode/name"
	equal "${#lines[@]}" 1 "lines of the name $2"
	equal "${lines[0]}" "$2"$'\n' "name"
}

test_sysfs_of_odd_names()
{
	local long
	mount_pool odd size=8m
	name_is $'two\nlines' 'two\012lines'
	name_is $'\n' '\012'
	name_is 'with space' 'with\040space'
	name_is $'tab\tstop' 'tab\011stop'
	name_is 'back\012slash' 'back\134012slash'
	name_is '#%"quoted"' '#%"quoted"'
	name_is "ünïcode" "ünïcode"
	long=$(printf '%255s' '')
	name_is "$long" "${long// /\\040}"
}

test_sysfs_of_a_file()
{
	local inode dir
	mount_pool files size=8m,sharing=off
	printf x | dd of=$work/files/vm1 bs=1 seek=100000 status=none
	inode=$(stat -c %i $work/files/vm1)
	dir=$sys/pools/files/files/$inode
	equal "$(cat "$dir"/{name,size_bytes,private_bytes,shared_bytes,zero_bytes} | tr '\n' ' ')" \
		"vm1 100001 4096 0 0 "
	mv $work/files/vm1 $work/files/vm2
	reads "$dir/name" vm2
	mkdir $work/files/directory
	ln -s x $work/files/link
	equal "$(ls $sys/pools/files/files)" "$inode" "only files are listed"
	rm $work/files/vm2
	[ ! -e "$dir" ]
}
