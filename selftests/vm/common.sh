# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the scripts of the lab share: where things are cached, how cached
# things are made, and how to die.

# Built things that are costly and not part of the tree: debug kernels, boot
# images.  Everything in it can be deleted at any time.
# shellcheck disable=SC2034	# read by those who source this
cache_dir=${BALLAST_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/ballast}

die()
{
	echo "$(basename "$0"): $*" >&2
	exit 1
}

# name_of_content STRING...: a short name for what goes into a cached thing.
# Strings that name a readable file stand for the file's content.
name_of_content()
{
	local s
	for s in "$@"; do
		if [ -f "$s" ]; then cat "$s"; else printf '%s\n' "$s"; fi
	done | sha256sum | cut -c1-16
}

# file_versions FILE...: path, size and time of each file.  For what a package
# owns this tells versions apart as well as its content would, and needs no
# reading (which is dear in the lab host).
file_versions()
{
	stat -L -c '%n %s %Y' -- "$@"
}

# module_closure RELEASE MODULE...: the module files to load for MODULEs, in
# order, each once.  What the kernel has built in is left out.
module_closure()
{
	local release=$1 m
	shift
	for m in "$@"; do
		modprobe -S "$release" --show-depends "$m" 2>/dev/null ||
			die "kernel $release has no module $m"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

# unpack_modules DIR FILE...: copy module files, uncompressed, to DIR; prints
# their names there.
unpack_modules()
{
	local dir=$1 f base
	shift
	for f in "$@"; do
		base=$(basename "$f")
		case $f in
		*.xz) xz -dc "$f" >"$dir/${base%.xz}" ;;
		*.zst) zstd -qdc "$f" >"$dir/${base%.zst}" ;;
		*.gz) gzip -dc "$f" >"$dir/${base%.gz}" ;;
		*) cp "$f" "$dir/" ;;
		esac || die "cannot unpack $f"
		base=${base%.ko*}.ko
		echo "$base"
	done
}

# pack_initramfs DIR FILE: the tree DIR as a cpio archive; FILE appears whole
# or not at all.
pack_initramfs()
{
	local new
	new=$(mktemp "$2.XXXXXX") || die "cannot write beside $2"
	(cd "$1" && find . -mindepth 1 -print0 | sort -z |
		cpio --quiet -0 -o -H newc -R 0:0) >"$new" || die "cpio failed"
	chmod 644 "$new"
	mv "$new" "$2"
}

# boot_file IMAGE: what to give QEMU's -kernel for a bzImage: the ELF kernel
# inside it where QEMU can start that (PVH), from the cache; IMAGE itself where
# not.  Unpacking xz takes seconds under emulation and none out here.
boot_file()
{
	local image=$1 file sects offset length unpack
	file=$cache_dir/$(basename "$image")-$(name_of_content "$(file_versions "$image")").elf
	if [ ! -e "$file" ]; then
		# Documentation/arch/x86/boot.rst: setup_sects, payload_offset, _length
		sects=$(od -An -tu1 -j $((0x1f1)) -N 1 "$image")
		offset=$(od -An -tu4 -j $((0x248)) -N 4 "$image")
		length=$(od -An -tu4 -j $((0x24c)) -N 4 "$image")
		offset=$(((sects + 1) * 512 + offset))
		case $(od -An -tx1 -j $offset -N 4 "$image") in
		" fd 37 7a 58") unpack="xz -dc --single-stream" ;;
		" 28 b5 2f fd") unpack="zstd -dc" ;;
		" 1f 8b"*) unpack="gzip -dc" ;;
		*) echo "$image"; return ;;
		esac
		mkdir -p "$cache_dir"
		# The packed kernel is followed by its size: not an error.
		tail -c +$((offset + 1)) "$image" | head -c "$length" |
			$unpack >"$file.$$" 2>/dev/null
		# An ELF file with a note of Xen's type 18, the entry of PVH
		if ! grep -qs PVH "/boot/config-${image#*vmlinuz-}" ||
		   [ "$(head -c 4 "$file.$$" | od -An -tx1)" != " 7f 45 4c 46" ]; then
			rm -f "$file.$$"
			echo "$image"
			return
		fi
		mv "$file.$$" "$file"
	fi
	echo "$file"
}
