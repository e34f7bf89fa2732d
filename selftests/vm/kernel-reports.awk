# SPDX-License-Identifier: GPL-2.0
#
# Reads a kernel log and prints the reports in it that say the kernel is
# broken: warnings, oopses, and what lockdep, KASAN, UBSAN and the watchdogs
# find.  Prints nothing when all is well.

# Said by a healthy machine, as narrowly as possible and each with its reason.
function benign(line)
{
	# selftests of the kernel's own lock checker announce themselves
	return line ~ /Locking API testsuite/
}

function report(line)
{
	return line ~ /(^|[^A-Za-z])WARNING: / ||
	       line ~ /(^|[^A-Za-z])BUG: / || line ~ /(^|[^A-Za-z])BUG [a-zA-Z0-9_-]+ \(/ ||
	       line ~ /kernel BUG at / || line ~ /Oops: / ||
	       line ~ /general protection fault/ || line ~ /double fault: / ||
	       line ~ /Kernel panic/ || line ~ /KASAN: / || line ~ /KFENCE: / ||
	       line ~ /UBSAN: / || line ~ /INFO: task .* blocked for more than/ ||
	       line ~ /INFO: (possible|inconsistent|suspicious|trying to register)/ ||
	       line ~ /possible (circular|recursive|irq lock)/ ||
	       line ~ /inconsistent lock state/ || line ~ /suspicious RCU usage/ ||
	       line ~ /rcu.*(self-detected stall|detected stalls|detected expedited stalls)/ ||
	       line ~ /rcu.*kthread starved/ ||
	       line ~ /[Bb]ad page (state|map|cache)/ || line ~ /Bad rss-counter/ ||
	       line ~ /sleeping function called from invalid/ ||
	       line ~ /scheduling while atomic/ ||
	       line ~ /(list_add|list_del) corruption/ ||
	       line ~ /refcount_t: / || line ~ /ODEBUG: / ||
	       line ~ /unregister_netdevice: waiting/
}

{ sub(/\r$/, "") }
report($0) && !benign($0) { left = 60; found++ }
left > 0 && lines < 400 { print; left--; lines++ }
