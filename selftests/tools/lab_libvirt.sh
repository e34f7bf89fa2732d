#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2016,SC2317	# ktap_run calls the functions; conditions are evaluated
#
# ballastd and ballastctl with the real module, a real libvirtd and a real guest
# whose memory lies on ballastfs.

here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/vm/guests.sh
. "$here/../vm/guests.sh"

mib=1048576
top=/sys/kernel/ballast
tools=$here/../../.build/tools
pool=/run/ballast/vms
serial=/tmp/web.serial

vm_pid()
{
	cat /run/libvirt/qemu/web.pid 2>/dev/null
}

value()
{
	cat "$top/vms/$(vm_pid)/$1" 2>/dev/null
}

is()
{
	[ "$(value "$1")" = "$2" ]
}

# until_true SECONDS COMMAND...
until_true()
{
	local limit end
	limit=$(guests_seconds "$1")
	end=$((SECONDS + limit))
	shift
	until "$@"; do
		if [ "$SECONDS" -ge "$end" ]; then
			echo "never true in $limit s: $*"
			"$tools/ballastctl" status
			tail -n 20 /tmp/ballastd.log
			tail -n 5 "$serial" /var/log/libvirt/libvirtd.log
			return 1
		fi
		sleep 0.3
	done
}

libvirt_start()
{
	libvirtd -d >>/tmp/libvirtd.log 2>&1
	until_true 60 eval 'virsh -q list >/dev/null 2>&1'
}

libvirt_stop()
{
	local pid
	pid=$(cat /run/libvirtd.pid)
	kill -TERM "$pid"
	until_true 60 eval "! kill -0 $pid 2>/dev/null"
}

present_kib()
{
	virsh -q dommemstat web | awk '$1 == "actual" { print $2 }'
}

define_domain()
{
	local boot
	mapfile -t boot < <("$guests_here/guest/build" "${BALLAST_LAB_KERNEL:-6.12}")
	cat >/tmp/web.xml <<-END
	<domain type='kvm'>
	  <name>web</name>
	  <metadata>
	    <b:memory xmlns:b='https://ballast.dev/xmlns/vm/1' shares='2000' min='16M'/>
	  </metadata>
	  <memory unit='MiB'>128</memory>
	  <memoryBacking><locked/></memoryBacking>
	  <vcpu>1</vcpu>
	  <os>
	    <type arch='x86_64' machine='pc'>hvm</type>
	    <kernel>${boot[0]}</kernel>
	    <initrd>${boot[1]}</initrd>
	    <cmdline>console=ttyS0 quiet panic=-1 no_timer_check tsc=reliable random.trust_cpu=on pci=noearly cryptomgr.notests ballast.name=web ballast.workload=identical=8 ballast.modules=virtio_pci,virtio_balloon</cmdline>
	  </os>
	  <cpu mode='host-passthrough'/>
	  <on_reboot>destroy</on_reboot>
	  <devices>
	    <emulator>/usr/bin/qemu-system-x86_64</emulator>
	    <serial type='file'><source path='$serial'/></serial>
	    <memballoon model='virtio'/>
	  </devices>
	</domain>
	END
	virsh -q define /tmp/web.xml
}

test_adopted_domain_lies_on_ballastfs()
{
	define_domain
	virsh dumpxml web --inactive >/tmp/before.xml
	"$tools/ballastctl" adopt web --yes --mount "$pool"
	virsh dumpxml web --inactive | grep -q "<source type='file'/>"
	virsh -q start web
	until_true 180 grep -aqs "^BALLAST-GUEST web ready" "$serial"
	find "$pool" -type f -name pc.ram | grep .
	is pool vms
	[ "$(cat "$top/pools/vms/used_bytes")" -gt $((32 * mib)) ]
}

test_domain_is_managed_by_its_metadata()
{
	until_true 60 is balloon_state ok
	is shares 2000
	is min_bytes $((16 * mib))
	virsh dumpxml web | grep -q "<stats period='2'/>"
	# a change of the metadata arrives
	"$tools/ballastctl" set web shares=3000 --save
	virsh dumpxml web --inactive | grep -q "shares=.3000. "
	is shares 3000
	virsh -q metadata web https://ballast.dev/xmlns/vm/1 --key ballast --live \
		--set "<memory shares='4000'/>"
	until_true 30 is shares 4000
	until_true 30 is min_bytes 0
}

test_balloon_follows_the_target()
{
	local used
	used=$(cat "$top/pools/vms/used_bytes")
	echo enforce >"$top/policy/mode"
	# hardly more than it uses: no free memory, and its target is below its size
	mount -o remount,size=$((used / mib + 2))m "$pool"
	until_true 120 eval '[ "$(value balloon_bytes)" -gt $((8 * mib)) ] 2>/dev/null'
	# what the module was told is what libvirt says
	until_true 30 eval '[ "$(value balloon_bytes)" = $((128 * mib - $(present_kib) * 1024)) ]'
	echo "used: $used before, $(cat "$top/pools/vms/used_bytes") after"
	"$tools/ballastctl" explain web
}

test_libvirtd_goes_and_comes_back()
{
	local held
	held=$(value balloon_bytes)
	libvirt_stop
	until_true 60 grep -q "libvirt is gone" /tmp/ballastd.log
	libvirt_start
	until_true 90 eval 'grep -c "web .* is managed" /tmp/ballastd.log | grep -qx 2'
	until_true 30 is balloon_state ok
	[ "$(value balloon_bytes)" -ge $((held / 2)) ]
	mount -o remount,size=512m "$pool"
	until_true 120 is balloon_bytes 0
	[ "$(present_kib)" = $((128 * 1024)) ]
}

test_suspended_domain_is_frozen()
{
	virsh -q suspend web
	until_true 30 is balloon_state frozen
	virsh -q resume web
	until_true 30 is balloon_state ok
}

test_doctor_knows_libvirt()
{
	"$tools/ballastctl" doctor >/tmp/doctor || true
	cat /tmp/doctor
	for line in "ok       libvirt          memory_backing_dir is $pool" \
		"ok       stats            web sends statistics every 2 s" "ok       balloon"; do
		grep -q "^$line" /tmp/doctor
	done
}

test_released_domain_is_as_before()
{
	virsh -q destroy web
	until_true 30 grep -q "has left the module" /tmp/ballastd.log
	virsh -q metadata web https://ballast.dev/xmlns/vm/1 --key b --config \
		--set "<memory shares='2000' min='16M'/>"
	"$tools/ballastctl" release web --yes
	virsh dumpxml web --inactive >/tmp/after.xml
	diff /tmp/before.xml /tmp/after.xml
}

# shellcheck disable=SC2317	# called by trap
the_end()
{
	virsh -q destroy web >/dev/null 2>&1
	kill "$daemon" 2>/dev/null
	wait "$daemon" 2>/dev/null
	umount "$pool"
}

if [ -z "${BALLAST_LAB:-}" ] || [ ! -e /dev/kvm ]; then
	echo "1..0 # SKIP needs the lab host (selftests/vm/run)"
	exit 4
fi
"$here/build" || { echo "1..0 # SKIP the tools cannot be built"; exit 4; }
modprobe ballast
mkdir -p "$pool"
mount -t ballastfs -o size=512m,name=vms none "$pool"
mkdir -p /etc/libvirt /var/log/libvirt/qemu /var/lib/libvirt/qemu
# libvirtd looks for its usual user before it reads which one to take; another
# package of Debian makes that one
if ! getent passwd libvirt-qemu >/dev/null; then
	echo 'libvirt-qemu:x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin' >>/etc/passwd
	echo 'libvirt-qemu:x:64055:' >>/etc/group
fi
cat >/etc/libvirt/qemu.conf <<END
security_driver = "none"
user = "root"
group = "root"
namespaces = []
cgroup_controllers = []
memory_backing_dir = "$pool"
END
virtlogd -d
libvirt_start || { echo "not ok 1 libvirtd_starts"; exit 1; }
printf '[daemon]\nstats_period_s = 2\n' >/tmp/ballastd.conf
"$tools/ballastd" -v -v --config /tmp/ballastd.conf 2>/tmp/ballastd.log &
daemon=$!
trap the_end EXIT
echo 1000 >"$top/policy/balance_period_ms"
ktap_suite libvirt
ktap_plan 7
ktap_run adopted_domain_lies_on_ballastfs test_adopted_domain_lies_on_ballastfs
ktap_run domain_is_managed_by_its_metadata test_domain_is_managed_by_its_metadata
ktap_run balloon_follows_the_target test_balloon_follows_the_target
ktap_run libvirtd_goes_and_comes_back test_libvirtd_goes_and_comes_back
ktap_run suspended_domain_is_frozen test_suspended_domain_is_frozen
ktap_run doctor_knows_libvirt test_doctor_knows_libvirt
ktap_run released_domain_is_as_before test_released_domain_is_as_before
ktap_end
