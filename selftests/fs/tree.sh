# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# Names, permissions, statistics, and copies made by the usual programs.

# shellcheck source=selftests/fs/common.sh
. "${BASH_SOURCE[0]%/*}/common.sh"

test_names()
{
	local long
	mount_pool names size=8m
	cd $work/names || return
	mkdir -p a/b/c
	echo one >a/b/file
	echo two >a/other
	ln a/b/file hard
	equal "$(stat -c %h a/b/file)" 2 "links of a file"
	equal "$(stat -c %h a)" 3 "links of a directory"
	ln -s a/b/file soft
	ln -s nowhere dangling
	equal "$(cat soft hard)" "$(printf 'one\none')"
	equal "$(readlink dangling)" nowhere
	fails cat dangling
	fails rmdir a/b
	fails mkdir a
	fails rm -r a/b/file/x
	fails unlink a
	fails mv a a/b/c
	mv a/b d
	equal "$(stat -c %h a d)" "$(printf '2\n3')" "links of directories"
	echo three >>d/file
	equal "$(cat hard)" "$(printf 'one\nthree')"
	rm soft hard d/file
	rmdir d/c d
	mkdir x y
	touch y/file
	fails mv -T x y
	mv -T y x
	[ -e x/file ]
	long=$(printf 'l%.0s' {1..255})
	touch "$long" "with space" $'two\nlines' "ünïcode"
	fails touch "${long}l"
	equal "$(command find . -mindepth 1 -printf '%y %p\0' | sort -z | tr '\0\n' '|?')" \
		"$(printf '%s|' "d ./a" "d ./x" "f ./$long" "f ./a/other" "f ./two?lines" \
			"f ./with space" "f ./x/file" "f ./ünïcode" "l ./dangling" |
			tr '|' '\n' | sort | tr '\n' '|')"
	rm -r ./*
	cd /
	equal "$(stat -c %h $work/names)" 2 "links of the root"
	umount_pool names
}

test_rename_over()
{
	mount_pool over size=16m,sharing=off
	random_file $work/over/old 4
	random_file $work/over/new 2
	cp $work/over/new $work/scratch/new
	mv $work/over/new $work/over/old
	cmp $work/over/old $work/scratch/new
	equal "$(ls $work/over)" old
	pool_must over used_bytes 2097152
	# exchanging and not replacing need renameat2
	touch $work/over/third
	mv -n $work/over/third $work/over/old
	cmp $work/over/old $work/scratch/new
}

as_nobody()
{
	setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
}

test_permissions()
{
	mount_pool perm size=8m,mode=755
	cat >$work/scratch/nobody <<-'END'
		umask 027
		fails busybox touch mine
		fails busybox cat root
		fails eval 'echo x >root'
		fails busybox truncate -s 0 root
		fails busybox rm -f root
		fails busybox chown 0 suid
		fails busybox chmod 600 suid
		fails busybox rm -f tmp/roots
		fails busybox mv tmp/roots tmp/x
		echo hello >tmp/mine
		echo hello >tmp/kept
		busybox chmod 600 tmp/mine
		busybox rm tmp/mine
		busybox mkdir tmp/dir
		busybox touch shared/file
		echo y >>suid
	END
	cd $work/perm || return
	echo secret >root
	chmod 600 root
	mkdir -m 1777 tmp
	echo x >tmp/roots
	# set-group-ID directories pass their group on
	mkdir shared
	chown 0:1234 shared
	chmod 2777 shared
	# who writes to a set-user-ID file takes that from it
	echo x >suid
	chmod 4777 suid
	as_nobody bash -c "$(declare -f fails); work=$PWD/shared; set -e; . \$0" $work/scratch/nobody
	fails as_nobody mount -o remount,size=16m $work/perm
	equal "$(stat -c %a:%u:%g tmp/kept)" 640:65534:65534
	equal "$(stat -c %a:%u:%g tmp/dir)" 750:65534:65534
	equal "$(stat -c %g shared/file)" 1234
	equal "$(stat -c %a suid)" 777 "mode of a set-user-ID file written to"
	reads root secret
	cd /
}

make_file()
{
	: 2>/dev/null >"$1"
}

# 256 pages, and as many files; one that goes makes room once the kernel has let go
test_many_files()
{
	mount_pool many size=1m
	for ((i = 0; i < 256; i++)); do
		make_file $work/many/$i
	done
	fails make_file $work/many/more
	rm $work/many/7
	wait_until 10 make_file $work/many/more
	fails make_file $work/many/again
	mount -o remount,size=2m $work/many
	make_file $work/many/again
	# more than a smaller pool may have
	mount -o remount,size=1m $work/many
	fails make_file $work/many/beyond
}

test_statfs()
{
	mount_pool df size=16m,sharing=off
	equal "$(stat -f -c '%t %S %b %f %a %l' $work/df)" "62616c61 4096 4096 4096 4096 255"
	random_file $work/df/file 4
	equal "$(stat -f -c '%b %f %a' $work/df)" "4096 3072 3072"
	equal "$(df -k --output=size,used,avail $work/df | tail -n 1 | xargs)" "16384 4096 12288"
	pool_must df free_bytes 12582912
	pool_must df private_bytes 4194304
}

test_sparse_stat()
{
	mount_pool sparse size=8m,sharing=off
	cd $work/sparse || return
	truncate -s 1G file
	equal "$(stat -c %s:%b:%B file)" 1073741824:0:512
	printf x | dd of=file bs=1 seek=700000000 conv=notrunc status=none
	equal "$(stat -c %s:%b file)" 1073741824:8
	# two pages for four bytes
	printf abcd | dd of=file bs=1 seek=8190 conv=notrunc status=none
	equal "$(stat -c %s:%b file)" 1073741824:24
	equal "$(du -k file)" $'12\tfile'
	pool_must sparse used_bytes 12288
	fallocate --punch-hole --offset 4096 --length 4096 file
	equal "$(stat -c %b file)" 16
	equal "$(dd if=file bs=1 skip=8188 count=6 status=none | tr '\0' .)" "....cd"
	cd /
}

# Layouts with holes in front, between and behind.
make_sparse()
{
	random_file "$1" 1
	truncate -s 3000001 "$1"
	fallocate --punch-hole --offset 100000 --length 500000 "$1"
	dd if=/dev/urandom of="$1" bs=4096 seek=600 count=20 conv=notrunc status=none
}

test_cp()
{
	mount_pool cp size=64m,sharing=off
	make_sparse $work/scratch/file
	for how in auto never always; do
		cp --sparse=$how $work/scratch/file $work/cp/$how
		cmp $work/scratch/file $work/cp/$how
		cp --sparse=$how $work/cp/$how $work/cp/again
		cmp $work/scratch/file $work/cp/again
		cp --sparse=$how $work/cp/again $work/scratch/back
		cmp $work/scratch/file $work/scratch/back
		rm $work/cp/again
	done
	# cp finds holes by SEEK_DATA
	equal "$(stat -c %b $work/cp/never)" $((733 * 8)) "blocks of a full copy"
	[ "$(stat -c %b $work/cp/auto)" -lt $((160 * 8)) ]
	cp -a --reflink=never $work/cp $work/scratch/tree
	diff -r $work/cp $work/scratch/tree
	rm -r $work/scratch/tree
}

test_dd_odd_offsets()
{
	local bs seek skip count
	mount_pool dd size=32m,sharing=off
	random_file $work/scratch/source 1
	while read -r bs seek skip count; do
		for to in $work/scratch/reference $work/dd/file; do
			command dd if=$work/scratch/source of="$to" bs="$bs" seek="$seek" skip="$skip" \
				count="$count" conv=notrunc status=none
		done
		cmp $work/scratch/reference $work/dd/file
		command dd if=$work/dd/file of=$work/scratch/part bs="$bs" skip="$seek" \
			count="$count" status=none
		dd if=$work/scratch/reference of=$work/scratch/part2 bs="$bs" skip="$seek" \
			count="$count" status=none
		cmp $work/scratch/part $work/scratch/part2
	done <<-END
		3	1365	7	3
		1000	1	3	200
		4097	100	0	300
		65537	15	2	4
		511	9000	0	111
		524287	3	0	1
	END
	cat $work/scratch/source >>$work/dd/file
	cat $work/scratch/source >>$work/scratch/reference
	cmp $work/scratch/reference $work/dd/file
}
