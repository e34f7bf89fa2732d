#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2016,SC2317	# run_tests calls the functions; conditions are evaluated
#
# libvirt's hook against a directory that stands for sysfs, with domains of all kinds.
#
#	[SUBSTRING...]	default: all tests
#
# Run by selftests/tools/run, which says where the programs are.  That libvirt calls it
# when it is to be called, and refuses the start then, this cannot show; nor that its files
# are as large as is counted here.

here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/tools/common.sh
. "$here/common.sh"

hook=$tools_bin/ballast-qemu-hook
gib=$((1024 * mib))
shared_file='<source type="file"/><access mode="shared"/>'

# a pool "web" that can promise 1 GiB more, where libvirt puts guest memory
host_with_pool()
{
	scene
	mkdir -p "$work"/host/{etc/libvirt,proc/self} "$sysfs/pools/web"
	echo 'memory_backing_dir = "/run/ballast/web"' >"$work/host/etc/libvirt/qemu.conf"
	cat >"$work/host/proc/self/mounts" <<-END
		/dev/sda / ext4 rw 0 0
		none /run/ballast/other ballastfs rw,size=1024k,sharing=vm,name=other 0 0
		none /run/ballast/web ballastfs rw,size=4194304k,sharing=vm,name=web,mode=755 0 0
	END
	put pools/web/admission 1
	put pools/web/admissible_bytes "$gib"
	put pools/web/min_admissible_bytes $((gib / 2))
}

# domain MEMORY-ELEMENT [BACKING [MORE]]
domain()
{
	printf '<domain type="kvm"><name>vm</name>%s<memoryBacking>%s</memoryBacking>%s</domain>' \
		"$1" "${2-$shared_file}" "${3-}"
}

# asks STATUS [NAME]: a start of the domain on standard input ends so, and in time
asks()
{
	local status=0 begin=${EPOCHREALTIME/[.,]/}
	"$hook" "${2:-vm}" prepare begin - >"$work/said" 2>&1 || status=$?
	[ $((${EPOCHREALTIME/[.,]/} - begin)) -lt 5000000 ] || { echo "slow"; return 1; }
	[ "$status" = "$1" ] || { echo "status $status, not $1:"; cat "$work/said"; return 1; }
}

# fits [DOMAIN-ARGUMENT...]: and nothing is said
fits()
{
	asks 0 < <(domain "$@")
	[ ! -s "$work/said" ] || { cat "$work/said"; return 1; }
}

# lacks BYTES [DOMAIN-ARGUMENT...]: one line says so
lacks()
{
	local missing=$1
	shift
	asks 1 < <(domain "$@")
	[ "$(wc -l <"$work/said")" = 1 ] || { cat "$work/said"; return 1; }
	said "^ballast: pool web has no room for vm: $missing bytes of memory or swap are missing "
}

test_to_the_page()
{
	host_with_pool
	fits '<memory unit="KiB">1048576</memory>'
	# which is started with whole MiB
	lacks 1048576 '<memory unit="KiB">1048577</memory>'
	said "\(it takes $((gib + mib)), $gib are left\)"
	put pools/web/admissible_bytes $((gib - 4096))
	lacks 4096 '<memory unit="KiB">1048576</memory>'
	put pools/web/admissible_bytes 0
	lacks 1048576 '<memory unit="b">1</memory>'
	fits '<memory>0</memory>'
}

test_units()
{
	host_with_pool
	fits '<memory>1048576</memory>'
	fits '<memory unit="MiB">1024</memory>'
	fits '<memory unit="GiB">1</memory>'
	fits '<memory unit="GB">1</memory>'
	fits '<memory unit="bytes"> 1073741824 </memory>'
	lacks 1048576 '<memory unit="M">1025</memory>'
	lacks "$gib" '<memory unit="GiB">2</memory>'
	lacks "$gib" '<memory unit="g">2</memory>'
	# GB are powers of ten
	lacks $((1908 * mib - gib)) '<memory unit="GB">2</memory>'
	lacks $((1024 * gib - gib)) '<memory unit="TiB">1</memory>'
}

test_huge_numbers()
{
	host_with_pool
	lacks $(((1 << 60) - gib)) '<memory unit="EiB">1</memory>'
	asks 1 < <(domain '<memory unit="EiB">16</memory>')
	asks 1 < <(domain '<memory>18446744073709551615</memory>')
	asks 1 < <(domain '<memory unit="b">99999999999999999999999</memory>')
}

# what may be plugged in later has no file yet
test_max_memory_does_not_count()
{
	host_with_pool
	fits '<maxMemory slots="16" unit="GiB">64</maxMemory><memory unit="MiB">512</memory>
		<currentMemory unit="MiB">256</currentMemory>'
}

numa()
{
	echo "<cpu><numa>$1</numa></cpu>"
}

test_numa_cells()
{
	local cells='<cell id="0" cpus="0" memory="786432" unit="KiB"/><cell id="1" cpus="1" memory="786432"/>'
	local file='<source type="file"/>' huge='<hugepages><page size="2" unit="M" nodeset="1"/></hugepages>'
	host_with_pool
	lacks $((gib / 2)) '<memory>1572864</memory>' "$file" "$(numa "$cells")"
	# without <memory>
	lacks $((gib / 2)) '' "$file" "$(numa "$cells")"
	# one of them in huge pages, the other named by a list
	fits '' "$file$huge" "$(numa "$cells")"
	fits '' "$file${huge/\"1\"/\"0-5,^0\"}" "$(numa "$cells")"
	lacks $((gib / 2)) '' "$file${huge/\"1\"/\"2,nonsense\"}" "$(numa "$cells")"
	# pages of the usual size are no huge pages
	lacks $((gib / 2)) '' "$file<hugepages><page size='4' unit='KiB'/></hugepages>" "$(numa "$cells")"
	# one cell alone is shared, hence in a file
	fits '' '' "$(numa "${cells/unit/memAccess=\"shared\" unit}")"
	put pools/web/admissible_bytes 0
	lacks $((768 * mib)) '' '' "$(numa "${cells/unit/memAccess=\"shared\" unit}")"
}

device()
{
	echo "<memory model='$1'>$3<target><size unit='MiB'>$2</size><node>0</node></target></memory>"
}

# <memory> counts the devices; an nvdimm has a file of its own
test_memory_devices()
{
	local file='<source type="file"/>' cells='<cell id="0" memory="1048576"/>'
	host_with_pool
	cells=$(numa "$cells")
	fits '' "$file" "$cells<devices>$(device nvdimm 512)</devices>"
	fits '' "$file" "$cells<devices>$(device virtio-pmem 512)</devices>"
	lacks $((512 * mib)) '' "$file" "$cells<devices>$(device dimm 512)</devices>"
	# in whole 2 MiB
	lacks $((512 * mib)) '' "$file" "$cells<devices>$(device dimm 511)</devices>"
	lacks $((640 * mib)) '' "$file" "$cells<devices>$(device dimm 512)$(device virtio-mem 128)</devices>"
	fits '' "$file" "$cells<devices>$(device dimm 512 '<source><pagesize unit="MiB">2</pagesize></source>')</devices>"
	fits '<memory unit="MiB">1536</memory>' "$file" "<devices>$(device nvdimm 512)</devices>"
	lacks 1048576 '<memory unit="MiB">1537</memory>' "$file" "<devices>$(device nvdimm 512)</devices>"
}

test_memory_elsewhere()
{
	local large='<memory unit="GiB">64</memory>'
	host_with_pool
	fits "$large" ''
	asks 0 < <(echo "<domain><name>x</name>$large</domain>")
	[ ! -s "$work/said" ]
	fits "$large" '<source type="anonymous"/>'
	fits "$large" '<source type="memfd"/><access mode="shared"/>'
	fits "$large" '<hugepages/>'
	fits "$large" '<source type="file"/><hugepages><page size="1" unit="G"/></hugepages>'
	# said to be shared: libvirt takes a file
	lacks $((63 * gib)) "$large" '<access mode="shared"/>'
}

test_which_pool()
{
	local large='<memory unit="GiB">2</memory>'
	host_with_pool
	lacks "$gib" "$large"
	# a directory in it; but not one beside it whose name begins so
	echo "memory_backing_dir = '/run/ballast/web/here'" >"$work/host/etc/libvirt/qemu.conf"
	lacks "$gib" "$large"
	echo 'memory_backing_dir = "/run/ballast/web2"' >"$work/host/etc/libvirt/qemu.conf"
	fits "$large"
	# of several libvirt takes the first
	printf 'memory_backing_dir = "%s"\n' /run/ballast/web /tmp >"$work/host/etc/libvirt/qemu.conf"
	lacks "$gib" "$large"
	printf 'memory_backing_dir = "%s"\n' /tmp /run/ballast/web >"$work/host/etc/libvirt/qemu.conf"
	fits "$large"
	# another mount on top
	echo 'memory_backing_dir = "/run/ballast/web"' >"$work/host/etc/libvirt/qemu.conf"
	echo 'tmpfs /run/ballast/web tmpfs rw 0 0' >>"$work/host/proc/self/mounts"
	fits "$large"
	# a pool of another name, that this kernel says nothing of
	echo 'none /run/ballast/web ballastfs rw,name=new 0 0' >>"$work/host/proc/self/mounts"
	fits "$large"
	# libvirt's own directory, where qemu.conf says nothing, or is not there
	echo 'none /var/lib/libvirt/qemu/ram ballastfs rw,name=web 0 0' >>"$work/host/proc/self/mounts"
	echo '#memory_backing_dir = "/tmp"' >"$work/host/etc/libvirt/qemu.conf"
	lacks "$gib" "$large"
	rm "$work/host/etc/libvirt/qemu.conf"
	lacks "$gib" "$large"
	echo 'memory_backing_dir = "/srv/gäste ram"' >"$work/host/etc/libvirt/qemu.conf"
	printf 'none /srv/gäste\\040ram ballastfs rw,swap=/s/name=x,name=web 0 0\n' >>"$work/host/proc/self/mounts"
	lacks "$gib" "$large"
	rm "$work/host/proc/self/mounts"
	fits "$large"
}

# with_min BYTES [BACKING]: a domain of 1 GiB whose metadata has that min
with_min()
{
	domain '<memory unit="GiB">1</memory>' "${2-$shared_file}" "<metadata><b:memory
		xmlns:b='https://ballast.dev/xmlns/vm/1' shares='2000' min='$1'/></metadata>"
}

# settings MIN...: what ballastd.conf says of "vm", and of another
settings()
{
	mkdir -p "$work/host/etc/ballast"
	printf '[vm other]\nmin = 64G\n[vm vm]\n%s\n' "$*" >"$work/host/etc/ballast/ballastd.conf"
}

test_min()
{
	local what="^ballast: pool web cannot keep the min of vm: "
	host_with_pool
	asks 0 < <(with_min $((gib / 2)))
	[ ! -s "$work/said" ]
	asks 1 < <(with_min $((gib / 2 + 4096)))
	said "${what}4096 bytes of memory are missing \(it is $((gib / 2 + 4096)), $((gib / 2)) are left\)"
	asks 1 < <(with_min 16T)
	said "$what$((16 * 1024 * gib - gib / 2)) bytes of memory are missing "
	# what is not the pool's has nothing of it
	asks 0 < <(with_min 16T '<source type="memfd"/>')
	# one that has just ended, and whose min goes in a moment
	put pools/web/min_admissible_bytes 0
	(sleep 0.1; put pools/web/min_admissible_bytes $((gib / 2))) &
	asks 0 < <(with_min $((gib / 2)))
	[ ! -s "$work/said" ]
	wait $!
	# a pool without admission holds to mins all the same
	put pools/web/admission 0
	asks 1 < <(with_min 1G)
	said "$what"
	# ballastd's file wins
	settings 'min = 512M'
	asks 0 < <(with_min 1G)
	settings 'min = default'
	asks 0 < <(with_min 1G)
	settings 'shares = 1000'
	asks 1 < <(with_min 1G)
	settings 'min = 513M'
	asks 1 < <(with_min 1M)
	said "$what$mib bytes"
	asks 1 < <(domain '<memory unit="GiB">1</memory>')
	said "$what$mib bytes"
	# a file that ballastd would not use
	settings $'min = 513M\nnonsense'
	asks 0 < <(with_min 1M)
	[ ! -s "$work/said" ]
	# a module that does not say
	rm "$sysfs/pools/web/min_admissible_bytes"
	asks 0 < <(with_min 1G)
	[ ! -s "$work/said" ]
}

test_nothing_to_judge()
{
	local large='<memory unit="GiB">64</memory>' words
	host_with_pool
	for words in "vm start begin -" "vm started begin -" "vm stopped end -" "vm release end -" \
		"vm migrate begin -" "vm prepare end -" "vm reconnect begin -" "vm prepare" "vm" ""; do
		# shellcheck disable=SC2086	# words
		domain "$large" | expect 0 "$hook" $words
		[ ! -s "$work/said" ]
	done
	put pools/web/admission 0
	fits "$large"
	put pools/web/admission nonsense
	fits "$large"
	rm "$sysfs/pools/web/admission"
	fits "$large"
	put pools/web/admission 1
	rm "$sysfs/pools/web/admissible_bytes"
	fits "$large"
	module_unload
	fits "$large"
}

# refused is only what is understood; what is not is said
test_broken_xml()
{
	local text
	host_with_pool
	for text in '' '<domain>' 'no XML' '<network><memory unit="GiB">64</memory></network>' \
		"$(domain '<memory unit="parsec">64</memory>')" "$(domain '<memory unit="Kibi">64</memory>')" \
		"$(domain '<memory>-1</memory>')" "$(domain '<memory>much</memory>')" "$(domain '')" \
		"$(domain '<memory>1</memory>' '<source type="file"/>' '<devices><memory model="dimm"/></devices>')" \
		"$(domain '' '' '<cpu><numa><cell id="0"/></numa></cpu>')"; do
		asks 0 < <(printf %s "$text")
		said "^ballast: vm: its memory cannot be read"
	done
	# no entity is followed, nothing grows without end
	asks 0 < <(printf '<!DOCTYPE d [<!ENTITY m SYSTEM "file:///etc/hostname">]><domain><memory>&m;</memory></domain>')
	asks 0 < <(head -c 40000000 /dev/zero | tr '\0' '<')
	said "cannot be read"
	# a large one that is well
	asks 1 < <(domain '<memory unit="GiB">2</memory>' '<source type="file"/>' "<!-- $(head -c 3000000 /dev/zero | tr '\0' x) -->")
}

test_odd_names()
{
	local name
	host_with_pool
	for name in 'a b' "it's" '$(reboot)' '%s%n' 'größe' "$(printf 'x%.0s' {1..200})"; do
		asks 1 "$name" < <(domain '<memory unit="GiB">2</memory>')
		grep -qF -- "no room for $name: " "$work/said"
		[ "$(wc -l <"$work/said")" = 1 ]
	done
	asks 1 $'two\nlines' < <(domain '<memory unit="GiB">2</memory>')
	[ "$(wc -l <"$work/said")" = 1 ]
}

# it may not so much as load libvirt, and does not write for the journal
test_calls_nobody()
{
	host_with_pool
	if ldd "$hook" | grep -q libvirt; then
		return 1
	fi
	JOURNAL_STREAM=8:1 lacks "$gib" '<memory unit="GiB">2</memory>'
}

ktap_suite hook
run_tests "$@"
ktap_end
