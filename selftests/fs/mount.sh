# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Mount options and remount.

# shellcheck source=selftests/fs/common.sh
. "${BASH_SOURCE[0]%/*}/common.sh"

# Those that were mounted; "host" is always there.
mounted_pools()
{
	local pool
	for pool in "$sys"/pools/*/; do
		pool=${pool%/}
		[ "${pool##*/}" = host ] || echo "${pool##*/}"
	done
}

no_pools()
{
	equal "$(mounted_pools)" "" pools
}

test_size_units()
{
	local size bytes
	while read -r size bytes; do
		mount_pool size "size=$size"
		pool_must size size_bytes "$bytes"
		umount_pool size
	done <<-END
		12288k		12582912
		8m		8388608
		1g		1073741824
		1t		1099511627776
		5000		4096
	END
	no_pools
}

ram_kib()
{
	awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo
}

# Of RAM, rounded down to pages.
share_of_ram()
{
	local pages=$(($(ram_kib) / 4))
	pages=$((pages * $1 / 100))
	echo $((pages * 4096))
}

test_size_percent()
{
	mount_pool percent size=25%
	pool_must percent size_bytes "$(share_of_ram 25)"
	umount_pool percent
	mount_pool percent size=100%
	pool_must percent size_bytes "$(share_of_ram 100)"
	grep "$work/percent" /proc/mounts | grep -q size=100%
}

test_size_default_is_half_of_ram()
{
	mount_pool default rw
	pool_must default size_bytes "$(share_of_ram 50)"
	pool_must default sharing vm
	equal "$(stat -c %a:%u:%g $work/default)" 755:0:0 "default mode and owner"
}

test_bad_options_mount_nothing()
{
	local long
	long=$(printf 'n%.0s' {1..64})
	mkdir -p $work/bad
	"$bin/refused" $work/bad size=0 size=-1 size=5x size=5kk size= size=k size=% size=0% \
		size=101% size=50%% size=1k% size=1 size=4095 size=8e size=16e \
		sharing=foo sharing= name=a/b name= name=. name=.. name=host "name=$long" \
		'name=a b' name=$'a\nb' uid=-1 uid=x gid=4294967295 mode=9 mode=10000 \
		unknown=1 unknown size name sharing \
		name=good,size=8m,sharing=foo size=0,name=good
	# and mount(8) says so
	fails mount -t ballastfs -o size=0 none $work/bad
	fails is_mounted bad
}

# Numbers that do not fit where they are kept.
test_absurd_sizes()
{
	mkdir -p $work/bad
	"$bin/refused" $work/bad size=17e size=99999999999999999999t size=18446744073709551617m \
		size=18446744073709551620% size=4294967297%
}

test_long_and_odd_names()
{
	local name
	for name in "$(printf 'n%.0s' {1..63})" a.b-c_d:e+F0 ...; do
		mount_pool "$name" size=1m
		[ -d "$sys/pools/$name/files" ]
		umount_pool "$name"
	done
	no_pools
}

test_duplicate_name()
{
	mount_pool twice size=8m
	echo hello >$work/twice/file
	mkdir -p $work/second
	fails mount -t ballastfs -o name=twice,size=16m none $work/second
	fails is_mounted second
	pool_must twice size_bytes 8388608
	reads $work/twice/file hello
	umount_pool twice
	no_pools
	mount -t ballastfs -o name=twice,size=16m none $work/second
	pool_must twice size_bytes 16777216
}

test_default_names_are_unique()
{
	local names
	mkdir -p $work/{one,two,three}
	mount -t ballastfs -o size=1m none $work/one
	mount -t ballastfs -o size=2m none $work/two
	umount $work/one
	mount -t ballastfs -o size=3m none $work/three
	names=$(mounted_pools)
	equal "$(wc -l <<<"$names")" 2 "pools: $names"
	equal "$(grep -c '^pool-[0-9]*$' <<<"$names")" 2 "default names: $names"
}

# What is given out next may be taken by who chose it.
test_default_name_is_taken()
{
	local name n
	mkdir -p $work/{one,two,three}
	mount -t ballastfs -o size=1m none $work/one
	name=$(mounted_pools)
	n=${name#pool-}
	for i in 1 2 4; do
		mount_pool "pool-$((n + i))" size=1m
	done
	mount -t ballastfs -o size=2m none $work/two
	mount -t ballastfs -o size=2m none $work/three
	equal "$(mounted_pools | wc -l)" 6 pools
	# a name that was asked for is not made another
	mkdir -p $work/four
	fails mount -t ballastfs -o "size=1m,name=pool-$((n + 1))" none $work/four
	fails is_mounted four
}

test_owner_and_mode()
{
	mount_pool owner size=8m,uid=1000,gid=1001,mode=1770
	equal "$(stat -c %a:%u:%g $work/owner)" 1770:1000:1001
	touch $work/owner/file
	equal "$(stat -c %u:%g $work/owner/file)" 0:0 "owner of a file"
}

# mount_options NAME: as /proc/mounts shows them
mount_options()
{
	awk -v point="$work/$1" '$2 == point { print $4 }' /proc/mounts
}

test_shown_options_mount_again()
{
	local options shown
	mkdir -p $work/shown
	for options in size=12m,sharing=pool,name=shown,uid=1000,gid=1001,mode=1770 \
		size=20%,sharing=off,mode=000 sharing=vm,name=a.b:c+d \
		ro,noexec,size=1t,uid=4294967294; do
		mount -t ballastfs -o "$options" none $work/shown
		shown=$(mount_options shown)
		umount $work/shown
		mount -t ballastfs -o "$shown" none $work/shown
		equal "$(mount_options shown)" "$shown" "mounted with $options"
		for option in ${options//,/ }; do
			case $option in
			size=12m) option=size=12288k ;;
			size=1t) option=size=1073741824k ;;
			mode=000) option=mode=0 ;;
			esac
			case ,$shown, in
			*,"$option",*) ;;
			*) echo "$option is not shown: $shown"; return 1 ;;
			esac
		done
		umount $work/shown
	done
}

test_remount_size()
{
	local before
	mount_pool size size=8m
	random_file $work/size/file 7
	mount -o remount,size=16m $work/size
	pool_must size size_bytes 16777216
	equal "$(stat -f -c %b $work/size)" 4096 "blocks of statfs"
	random_file $work/size/more 5
	before=$(mount_options size)
	dmesg -c >/dev/null
	fails mount -o remount,size=8m $work/size
	grep -q busy $work/fails
	equal "$(dmesg_lines "size=: 8192 KiB asked, 12288 KiB in use")" 1 \
		"lines with what is used"
	pool_must size size_bytes 16777216
	equal "$(mount_options size)" "$before" "options after a refused remount"
	mount -o remount,size=12m $work/size
	pool_must size size_bytes 12582912
	pool_must size free_bytes 0
	fails dd if=/dev/zero of=$work/size/third bs=4k count=1 status=none
	mount -o remount,size=50% $work/size
	grep -q 'size=50%' <<<"$(mount_options size)"
	pool_must size size_bytes "$(share_of_ram 50)"
}

test_remount_refusals()
{
	local before
	mount_pool fixed size=8m,sharing=pool
	echo hello >$work/fixed/file
	before=$(mount_options fixed)
	fails mount -o remount,name=other $work/fixed
	fails mount -o remount,sharing=foo $work/fixed
	fails mount -o remount,size=16m,sharing=foo $work/fixed
	fails mount -o remount,sharing=off,size=0 $work/fixed
	fails mount -o remount,size=101% $work/fixed
	fails mount -o remount,unknown $work/fixed
	equal "$(mount_options fixed)" "$before" "options after refused remounts"
	pool_must fixed size_bytes 8388608
	pool_must fixed sharing pool
	reads $work/fixed/file hello
	# what is already so may be said again
	mount -o remount,name=fixed,sharing=pool,size=8m $work/fixed
	equal "$(mount_options fixed)" "$before"
}

test_remount_read_only()
{
	mount_pool ro size=8m
	echo hello >$work/ro/file
	mount -o remount,ro $work/ro
	fails touch $work/ro/new
	fails dd if=/dev/zero of=$work/ro/file count=1 status=none
	fails rm $work/ro/file
	reads $work/ro/file hello
	mount -o remount,rw $work/ro
	echo world >$work/ro/file
	reads $work/ro/file world
}

# share_two_files NAME: $work/NAME/a and /b are equal, 4 MiB, and share it
share_two_files()
{
	random_file $work/scratch/content 4
	cp $work/scratch/content $work/"$1"/a
	cp $work/scratch/content $work/"$1"/b
	flat_out
	wait_until 60 pool_is "$1" sharing_slots 2048
	pool_must "$1" used_bytes 4194304
}

check_two_files()
{
	cmp $work/scratch/content $work/"$1"/a
	cmp $work/scratch/content $work/"$1"/b
}

test_remount_sharing()
{
	mount_pool mode size=16m,sharing=pool
	share_two_files mode
	# between two files, which sharing=vm forbids
	mount -o remount,sharing=vm $work/mode
	pool_must mode sharing vm
	pool_must mode sharing_slots 0
	pool_must mode used_bytes 8388608
	check_two_files mode
	mount -o remount,sharing=pool $work/mode
	wait_until 60 pool_is mode sharing_slots 2048
	mount -o remount,sharing=off $work/mode
	pool_must mode sharing off
	pool_must mode sharing_slots 0
	pool_must mode shared_frames 0
	check_two_files mode
}

test_remount_sharing_without_room()
{
	mount_pool room size=8m,sharing=pool
	share_two_files room
	echo 0 >$sys/sharing/run
	random_file $work/room/third 3
	fails mount -o remount,sharing=off $work/room
	fails mount -o remount,sharing=vm $work/room
	pool_must room sharing pool
	pool_must room sharing_slots 2048
	check_two_files room
	# with room made in the same step
	mount -o remount,sharing=off,size=11m $work/room
	pool_must room sharing_slots 0
	pool_must room free_bytes 0
	check_two_files room
}

# helped DIR OPTIONS NAME: mounted as "make install" has it, it has this name
helped()
{
	mkdir -p "$1"
	command mount -t ballastfs -o "$2" none "$1"
	equal "$(cat "$sys/pools/$3/size_bytes")" 8388608 "size of $3, mounted at $1"
}

# tools/mount.ballastfs makes a name of the mount point
test_mount_helper()
{
	local long pool_of_work=${work#/}
	pool_of_work=${pool_of_work//\//-}
	[ ${#pool_of_work} -lt 40 ] || skip "the path of the tests is long"
	long=$(printf 'n%.0s' {1..80})
	(
		trap 'rm -f /sbin/mount.ballastfs; umount /host 2>/dev/null; rmdir /host' EXIT
		install -m 755 "${BASH_SOURCE[0]%/*}/../../tools/mount.ballastfs" /sbin/mount.ballastfs
		helped "$work/web" size=8m "$pool_of_work-web"
		helped "$work/web b" size=8m "$pool_of_work-web-b"
		helped "$work/named" size=8m,name=mine mine
		command mount -o remount,size=16m "$work/web"
		equal "$(cat "$sys/pools/$pool_of_work-web/size_bytes")" 16777216 "size after a remount"
		# only their beginnings differ
		helped "$work/1$long" size=8m "${long:0:60}"
		helped "$work/2$long" size=8m "${long:0:60}-2"
		helped /host size=8m host-pool
		for dir in "$work"/{web,"web b",named,1$long,2$long}; do
			umount "$dir"
		done
	)
	no_pools
}

# The size has been set and pages have been made private when it ends: more of
# them than the old size has room for.
test_remount_interrupted()
{
	local before mib
	mount_pool whole size=96m,sharing=pool
	mib=$(($(share_of_ram 1) >> 20))
	random_file $work/whole/a $mib
	cp $work/whole/a $work/scratch/content
	cp $work/whole/a $work/whole/b
	flat_out
	wait_until 60 pool_is whole sharing_slots $((mib * 512))
	echo 0 >$sys/sharing/run
	mount -o remount,size=1% $work/whole
	before=$(mount_options whole)
	"$bin/interrupt" $work/whole size=96m,sharing=off
	equal "$(mount_options whole)" "$before" "options after an interrupted remount"
	pool_must whole size_bytes "$(share_of_ram 1)"
	pool_must whole sharing pool
	pool_must whole free_bytes 0
	check_two_files whole
	fails dd if=/dev/zero of=$work/whole/third bs=4k count=1 status=none
	# what was broken is shared again, and all is as before
	flat_out
	wait_until 60 pool_is whole sharing_slots $((mib * 512))
	pool_must whole used_bytes $((mib << 20))
	check_two_files whole
}
