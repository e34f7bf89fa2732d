#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2016,SC2317	# ktap_run calls the functions; conditions are evaluated
# Whatever the host's kernel: 6.12
#
# ballastd and ballastctl with the real module, a real libvirtd and a real guest
# whose memory lies on ballastfs.

here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/vm/guests.sh
. "$here/../vm/guests.sh"
# shellcheck source=selftests/tools/lab.sh
. "$here/lab.sh"

mount=/run/ballast/vms
serial=/tmp/web.serial
disk=/tmp/web.disk		# what QEMU backs up; the guest has no driver for it

pid_of()
{
	cat "/run/libvirt/qemu/$1.pid" 2>/dev/null
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

# memtest: it has touched all its memory, so that what its balloon takes was there
define_domain()
{
	local boot
	truncate -s 1M "$disk" /tmp/mute.disk
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
	    <cmdline>console=ttyS0 quiet panic=-1 no_timer_check tsc=reliable random.trust_cpu=on pci=noearly memtest=1 cryptomgr.notests ballast.name=web ballast.workload=identical=8 ballast.modules=virtio_pci,virtio_balloon</cmdline>
	  </os>
	  <cpu mode='host-passthrough'/>
	  <on_reboot>destroy</on_reboot>
	  <devices>
	    <emulator>/usr/bin/qemu-system-x86_64</emulator>
	    <disk type='file' device='disk'>
	      <driver name='qemu' type='raw'/>
	      <source file='$disk'/>
	      <target dev='vda' bus='virtio'/>
	    </disk>
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
	"$tools/ballastctl" adopt web --yes --mount "$mount"
	virsh dumpxml web --inactive | grep -q "<source type='file'/>"
	virsh -q start web
	until_true 180 grep -aqs "^BALLAST-GUEST web ready" "$serial"
	find "$mount" -type f -name pc.ram | grep .
	is web pool vms
	[ "$(pool vms used_bytes)" -gt $((32 * mib)) ]
}

test_domain_is_managed_by_its_metadata()
{
	until_true 60 is web balloon_state ok
	is web shares 2000
	is web min_bytes $((16 * mib))
	virsh dumpxml web | grep -q "<stats period='2'/>"
	# a change of the metadata arrives
	"$tools/ballastctl" set web shares=3000 --save
	virsh dumpxml web --inactive | grep -q "shares=.3000. "
	is web shares 3000
	virsh -q metadata web https://ballast.dev/xmlns/vm/1 --key ballast --live \
		--set "<memory shares='4000'/>"
	until_true 30 is web shares 4000
	until_true 30 is web min_bytes 0
}

# Free are 3 to 4 MiB, and memory is short until about 20 are, whatever the pool's
# size.
pool_is_short()
{
	local size=$(($(pool vms used_bytes) / mib + 4)) share
	share=$((20 * 10000 / size))
	[ "$share" -le 5000 ] || share=5000
	mount -o "remount,size=${size}m" "$mount"
	knob policy/high_bp "$share"
	knob policy/soft_bp $((share - 100))
}

pool_is_roomy()
{
	knob policy/soft_bp 400
	knob policy/high_bp 600
	mount -o remount,size=512m "$mount"
}

test_balloon_follows_the_target()
{
	local used
	used=$(pool vms used_bytes)
	pool_is_short
	knob policy/mode enforce
	until_true 60 eval '[ "$(pool vms state)" != high ]'
	until_true 60 over web balloon_target_bytes 0
	until_true 120 over web balloon_bytes $((8 * mib))
	# what it gave back is what the pool was short of
	until_true 120 has_enough vms
	until_true 60 holds_what_is_wanted web vms
	echo "used: $used before, $(pool vms used_bytes) after; balloon $(value web balloon_bytes)"
	[ "$(pool vms used_bytes)" -lt $((used - 8 * mib)) ]
	# what the module was told is what libvirt says
	until_true 30 eval '[ "$(value web balloon_bytes)" = $((128 * mib - $(present_kib) * 1024)) ]'
	"$tools/ballastctl" explain web
}

# most_left LINE: the most that ballastd has left the guest since that line of its log
most_left()
{
	tail -n "+$1" "$daemon_log" | sed -n 's/.*web: leave \([0-9]*\) of .*/\1/p' |
		sort -n | tail -n 1
}

test_libvirtd_goes_and_comes_back()
{
	local present line before most
	present=$(($(present_kib) * 1024))
	line=$(wc -l <"$daemon_log")
	before=$(managed web)
	libvirt_stop
	until_true 60 grep -q "libvirt is gone" "$daemon_log"
	libvirt_start
	until_true 90 eval "[ \$(managed web) -gt $before ]"
	until_true 30 is web balloon_state ok
	until_true 30 eval '[ "$(value web balloon_bytes)" = $((128 * mib - $(present_kib) * 1024)) ]'
	# memory is as short as before: nothing has been given back because it went
	most=$(most_left "$((line + 1))")
	[ "${most:-0}" -le $((present + 4 * mib)) ]
	[ "$(present_kib)" -le $(((present + 4 * mib) / 1024)) ]
	pool_is_roomy
	until_true 120 is web balloon_bytes 0
	[ "$(present_kib)" = $((128 * 1024)) ]
}

test_suspended_domain_is_frozen()
{
	virsh -q suspend web
	until_true 30 is web balloon_state frozen
	virsh -q resume web
	until_true 30 is web balloon_state ok
}

# A pull backup is a job that lasts until somebody ends it.
test_backup_leaves_the_balloon_free()
{
	cat >/tmp/backup.xml <<-END
	<domainbackup mode='pull'>
	  <server transport='unix' socket='/tmp/backup.socket'/>
	  <disks>
	    <disk name='vda' backup='yes' type='file'><scratch file='/tmp/web.scratch'/></disk>
	  </disks>
	</domainbackup>
	END
	virsh -q backup-begin web /tmp/backup.xml
	pool_is_short
	until_true 120 over web balloon_bytes $((4 * mib))
	is web balloon_state ok
	virsh domjobinfo web | grep "Operation: *Backup"
	virsh -q domjobabort web
	pool_is_roomy
	until_true 120 is web balloon_bytes 0
}

# A QEMU that hangs: libvirt waits for it without end, and ballastd waits for nobody.
test_hanging_qemu_holds_up_nobody()
{
	local before
	# another domain, of which nothing but QEMU is needed
	sed "s|<name>web</name>|<name>mute</name>|; s|$serial|/tmp/mute.serial|; s|$disk|/tmp/mute.disk|; /<memoryBacking>/d" \
		/tmp/web.xml >/tmp/mute.xml
	virsh -q define /tmp/mute.xml
	before=$(managed mute)
	virsh -q start mute
	until_true 60 eval "[ \$(managed mute) -gt $before ]"
	kill -STOP "$(pid_of mute)"
	until_true 30 grep -q "libvirt has no answer about mute" "$daemon_log"
	# the others' balloons go on moving, also what libvirt reports of them
	pool_is_short
	until_true 120 over web balloon_bytes $((4 * mib))
	pool_is_roomy
	until_true 120 is web balloon_bytes 0
	virsh -q suspend web
	until_true 30 is web balloon_state frozen
	virsh -q resume web
	until_true 30 is web balloon_state ok
	# and it is asked again when it answers
	kill -CONT "$(pid_of mute)"
	printf '[daemon]\nstats_period_s = 3\n' >/tmp/ballastd.conf
	daemon_reload
	until_true 60 eval 'virsh dumpxml mute | grep -q "<stats period=.3./>"'
	until_true 60 eval 'virsh dumpxml web | grep -q "<stats period=.3./>"'
	virsh -q destroy mute
	virsh -q undefine mute
}

# pressed YES-OR-NO: if whatever its statistics say is taken as a guest's want of memory
pressed()
{
	{
		printf '[daemon]\nstats_period_s = 3\n[pressure]\nhold_s = 1\ndecay_bp_per_min = 10000\n'
		[ "$1" = no ] || echo 'available_low_bp = 10000'
	} >/tmp/ballastd.conf
	daemon_reload
}

# As libvirt hands them over: a guest that says it is short of memory has a floor, and keeps
# what it has however short its pool is; until it no longer says so.
test_statistics_make_a_floor()
{
	pool_is_short
	until_true 120 over web balloon_bytes $((4 * mib))
	pressed yes
	until_true 60 over web floor_bytes $((16 * mib))
	pool_is_roomy
	until_true 120 is web balloon_bytes 0
	until_true 60 over web floor_bytes $((127 * mib))
	pool_is_short
	until_true 60 eval '[ "$(pool vms state)" != high ]'
	# several times as long as it takes to make a target
	sleep 5
	is web balloon_target_bytes 0
	is web balloon_bytes 0
	pressed no
	until_true 120 over web balloon_bytes $((4 * mib))
	pool_is_roomy
	until_true 120 is web balloon_bytes 0
}

test_doctor_knows_libvirt()
{
	"$tools/ballastctl" doctor >/tmp/doctor || true
	cat /tmp/doctor
	for line in "ok       libvirt          memory_backing_dir is $mount" \
		"ok       stats            web sends statistics every 3 s" "ok       balloon"; do
		grep -q "^$line" /tmp/doctor
	done
}

# is_refused PATTERN: web does not start, and libvirt says that
is_refused()
{
	if virsh -q start web >/tmp/refused 2>&1; then
		echo "the domain has started"
		return 1
	fi
	cat /tmp/refused
	grep -q "$1" /tmp/refused
}

# Before QEMU runs, with the bytes that are missing; once they are there it starts.
test_hook_refuses_what_does_not_fit()
{
	local starts=/var/log/libvirt/qemu/web.log before most
	virsh -q destroy web
	until_true 30 eval '[ "$(pool vms promised_bytes)" = 0 ]'
	before=$(grep -c "starting up" "$starts")
	knob pools/vms/admission 1
	truncate -s $(($(pool vms admissible_bytes) - 100 * mib)) "$mount/other"
	is_refused "ballast: pool vms has no room for web: $((28 * mib)) bytes of memory or swap"
	[ "$(grep -c "starting up" "$starts")" = "$before" ]
	rm "$mount/other"
	knob pools/vms/admission 0
	most=$(pool vms min_admissible_bytes)
	virsh -q metadata web https://ballast.dev/xmlns/vm/1 --key b --config \
		--set "<memory min='$((most + 4096))'/>"
	is_refused "ballast: pool vms cannot keep the min of web: 4096 bytes of memory are missing"
	virsh -q metadata web https://ballast.dev/xmlns/vm/1 --key b --config \
		--set "<memory min='$most'/>"
	virsh -q start web
	[ "$(grep -c "starting up" "$starts")" = $((before + 1)) ]
}

test_released_domain_is_as_before()
{
	virsh -q destroy web
	until_true 30 grep -q "has left the module" "$daemon_log"
	virsh -q metadata web https://ballast.dev/xmlns/vm/1 --key b --config \
		--set "<memory shares='2000' min='16M'/>"
	"$tools/ballastctl" release web --yes
	virsh dumpxml web --inactive >/tmp/after.xml
	diff /tmp/before.xml /tmp/after.xml
}

say_more()
{
	tail -n 5 "$serial" /var/log/libvirt/libvirtd.log
}

# shellcheck disable=SC2317	# called by trap
the_end()
{
	virsh -q destroy web >/dev/null 2>&1
	daemon_end TERM
	umount "$mount"
}

if [ -z "${BALLAST_LAB:-}" ] || [ ! -e /dev/kvm ]; then
	echo "1..0 # SKIP needs the lab host (selftests/vm/run)"
	exit 4
fi
# Six minutes a boot, and what the kernel does here it does for kvm/lab_policy.sh too.
if [ -n "${BALLAST_LAB_DEBUG:-}" ]; then
	echo "1..0 # SKIP on the stock kernels"
	exit 4
fi
"$here/build" || { echo "1..0 # SKIP the tools cannot be built"; exit 4; }
module_load
mkdir -p "$mount"
mount -t ballastfs -o size=512m,name=vms none "$mount"
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
memory_backing_dir = "$mount"
END
# libvirtd looks for its hooks when it starts
install -D "$tools/ballast-qemu-hook" /etc/libvirt/hooks/qemu
virtlogd -d
libvirt_start || { echo "not ok 1 libvirtd_starts"; exit 1; }
printf '[daemon]\nstats_period_s = 2\n' >/tmp/ballastd.conf
: >"$daemon_log"
daemon_start
trap the_end EXIT
# What it finds to share would be given back while a test looks at what a balloon does.
knob sharing/run 0
ktap_suite libvirt
ktap_plan 11
ktap_run adopted_domain_lies_on_ballastfs test_adopted_domain_lies_on_ballastfs
ktap_run domain_is_managed_by_its_metadata test_domain_is_managed_by_its_metadata
ktap_run balloon_follows_the_target test_balloon_follows_the_target
ktap_run libvirtd_goes_and_comes_back test_libvirtd_goes_and_comes_back
ktap_run suspended_domain_is_frozen test_suspended_domain_is_frozen
ktap_run backup_leaves_the_balloon_free test_backup_leaves_the_balloon_free
ktap_run hanging_qemu_holds_up_nobody test_hanging_qemu_holds_up_nobody
ktap_run statistics_make_a_floor test_statistics_make_a_floor
ktap_run doctor_knows_libvirt test_doctor_knows_libvirt
ktap_run hook_refuses_what_does_not_fit test_hook_refuses_what_does_not_fit
ktap_run released_domain_is_as_before test_released_domain_is_as_before
ktap_end
