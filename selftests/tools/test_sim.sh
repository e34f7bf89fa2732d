#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# ballast-sim on small traces, with results that can be worked out by hand.
#
# Run by selftests/tools/run, which says where the program is.

# shellcheck disable=SC2317	# the tests are called by name
set -u
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
sim=${BALLAST_TOOLS:?run by selftests/tools/run}/ballast-sim
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1

mib=1048576
header=tick,vm,size_bytes,shares,min_bytes,max_bytes,active_bp,tax_bp,floor_bytes,held_bytes
no_thresholds=(--threshold-bp "0,0,0,0")

# The ESX paper, section 5.4: two VMs of 256 MB, the first idle.
cat >paper.csv <<END
$header
0,1,268435456,1000,0,0,0,7500,0,0
0,2,268435456,1000,0,0,10000,7500,0,0
END

# expect TEXT COMMAND...: prints exactly that.
expect()
{
	local want=$1
	shift
	"$@" >said
	diff <(printf '%s\n' "$want") said
}

# targets ARGUMENT...: "tick vm MiB reason" a line.
targets()
{
	"$sim" "$@" >out
	awk -F, -v mib="$mib" 'NR > 1 { print $1, $2, $3 / mib, $5 }' out
}

# balloon VM: "tick MiB state" a line, of what was told to it; the output is in out.
balloon()
{
	awk -F, -v mib="$mib" -v vm="$1" '$2 == vm { print $1, $6 / mib, $7 }' out
}

# refuses STATUS TEXT ARGUMENT...: the trace is on stdin.
refuses()
{
	local want=$1 text=$2 status=0
	shift 2
	"$sim" "$@" >out 2>err || status=$?
	cat err
	[ "$status" = "$want" ]
	grep -qF -- "$text" err
	[ "$(wc -l <err)" = 1 ]
}

golden()
{
	expect "tick,vm,target_bytes,rho,reason,balloon_target_bytes,state
0,1,106954752,0.009574,tax,0,high
0,2,268435456,0.015258,at-max,0,high" \
		"$sim" --pool-bytes 358M "${no_thresholds[@]}" paper.csv
}

paper_without_tax()
{
	expect "0 1 179 shares
0 2 179 shares" targets --pool-bytes 358M --tax-bp 0 "${no_thresholds[@]}" paper.csv
}

# High at 6 %: 400 - 24 MiB to divide; free is 0, so a step of the balloon.
balloons_and_states()
{
	expect "tick,vm,target_bytes,rho,reason,balloon_target_bytes,state
0,1,125829120,0.008138,tax,26841088,low
0,2,268435456,0.015258,at-max,0,low" "$sim" --pool-bytes 400M paper.csv
}

# The balloon of the first VM goes on from tick to tick, in steps of 64 MiB, to
# 256 - 120 MiB; the other VM does not change.
balloons_through_time()
{
	for tick in 0 1 2 3; do
		sed "1d; s/^0,/$tick,/" paper.csv
	done | cat <(echo "$header") - >ticks.csv
	"$sim" --pool-bytes 400M --step-bp 2500 ticks.csv >out
	expect "0 64 low
1 128 low
2 136 soft
3 136 high" balloon 1
}

# One that was away for a tick begins without a balloon.
a_vm_that_was_away_is_new()
{
	{
		cat paper.csv
		echo 1,2,268435456,1000,0,0,10000,7500,0,0
		sed '1d; s/^0,/2,/' paper.csv
	} >ticks.csv
	"$sim" --pool-bytes 400M --step-bp 2500 ticks.csv >out
	expect "0 64 low
2 64 low" balloon 1
}

# 8 MiB are free: between hard and soft.
recorded_balloons_count()
{
	cat >recorded.csv <<-END
		$header,balloon_bytes,balloon_state
		0,1,268435456,1000,0,0,0,7500,0,0,125829120,ok
		0,2,268435456,1000,0,0,10000,7500,0,0,,
	END
	"$sim" --pool-bytes 400M recorded.csv >out
	expect "0 136 soft" balloon 1
	expect "0 0 soft" balloon 2
	"$sim" --pool-bytes 400M --own-balloons --step-bp 2500 recorded.csv >out
	expect "0 64 low" balloon 1
}

# Not movable: what it has is held.  Movable: what its balloon must leave it is.
what_is_held_and_why()
{
	cat >held.csv <<-END
		$header,balloon_state,resident_bytes
		0,1,104857600,0,0,0,0,0,0,0,none,52428800
		0,2,104857600,0,0,0,0,0,0,0,frozen,31457280
		0,3,104857600,0,0,0,0,0,0,0,ok,52428800
		0,4,104857600,0,0,0,0,0,0,83886080,ok,52428800
		0,5,104857600,0,0,0,0,0,0,0,unknown,73400320
		0,6,104857600,0,0,0,0,0,73400320,0,ok,
	END
	expect "0 1 50 no-balloon
0 2 30 frozen
0 3 35 balloon-limit
0 4 80 pinned
0 5 35 balloon-limit
0 6 70 pressure" targets --pool-bytes 1G "${no_thresholds[@]}" held.csv
	expect "0 5 70 no-balloon" grep '^0 5' \
		<(targets --enforce --pool-bytes 1G "${no_thresholds[@]}" held.csv)
}

# The file's order of columns is its own; some lines say nothing.
columns_in_any_order()
{
	printf '%s\r\n' '# a comment' '' \
		held_bytes,floor_bytes,tax_bp,active_bp,max_bytes,min_bytes,shares,size_bytes,vm,tick,pool_bytes \
		0,0,7500,0,0,0,1000,268435456,1,0,375390208 '# another' \
		0,0,7500,10000,0,0,1000,268435456,2,0, >order.csv
	"$sim" --pool-bytes 358M "${no_thresholds[@]}" paper.csv >want
	diff want <("$sim" "${no_thresholds[@]}" order.csv)
	diff want <("$sim" "${no_thresholds[@]}" - <order.csv)
	diff want <("$sim" "${no_thresholds[@]}" <order.csv)
}

what_if_a_vm_came()
{
	# 3 * 80 = 240; at this price the active ones are far from their size
	expect "0 1 40 tax
0 2 160 shares
0 9223372036854775808 40 tax
0 77 60 at-min" targets --pool-bytes 300M "${no_thresholds[@]}" --balloon-max-bp 10000 \
		--add-vm size=256M,shares=1000,active_bp=0 \
		--add-vm vm=77,size=256M,shares=0,active_bp=0,min=60M paper.csv
}

# Twice the VMs in twice the pool: each has what it had.
what_if_there_were_more()
{
	expect "0 1 102 tax
0 2 256 at-max
0 4294967297 102 tax
0 4294967298 256 at-max" targets --pool-bytes 716M "${no_thresholds[@]}" --scale-vms 2 paper.csv
}

# A run as a recorder would see it comes to the same targets and balloons.  The
# sum of targets is as good as what there was to divide: sysfs has it.
a_record_replays()
{
	local pool=100
	"$sim" --generate 20,40,5 >trace.csv
	"$sim" --pool-bytes "${pool}G" trace.csv >first
	awk -F, -v OFS=, -v pool="$pool" '
	FNR == 1 { file++; header = $0; next }
	file == 1 { told[$1, $2] = $6; sum[$1] += $3; next }
	file == 2 { used[$1] += $3 - told[$1 - 1, $2]; next }
	FNR == 2 { print header, "balloon_bytes", "balloon_state", "pool_bytes", "free_bytes", "available_bytes" }
	{
		pool_bytes = pool * 2 ^ 30
		free = pool_bytes - used[$1]
		if (free < 0)
			free = 0
		printf "%s,%.0f,ok,%.0f,%.0f,%.0f\n", $0, told[$1 - 1, $2], pool_bytes, free, sum[$1]
	}' first trace.csv trace.csv >record.csv
	"$sim" record.csv >second
	diff first second
	# the trace was worth it
	[ "$(cut -d, -f7 first | sort -u | wc -l)" -ge 4 ]
	awk -F, '$6 > 0 { n++ } END { exit n < 50 }' first
}

generated_by_chance_but_not_by_luck()
{
	"$sim" --generate 50,30,7 >a
	"$sim" --generate 50,30,7 >b
	"$sim" --generate 50,30,8 >c
	diff a b
	run cmp -s a c
	[ "$status" = 1 ]
	[ "$(head -n 1 a)" = "$header" ]
	# they come and go
	awk -F, 'NR > 1 { n[$1]++ } END { exit n[0] >= 50 || n[0] < 15 || n[29] < 15 }' a
}

# run COMMAND...: its status in $status, whatever it is.
run()
{
	status=0
	"$@" || status=$?
}

bad_traces()
{
	local row=0,1,4096,1,0,0,0,0,0,0
	refuses 1 'standard input: is empty' </dev/null
	refuses 1 'no-such.csv: No such file' no-such.csv
	refuses 1 'input:1: "vms" is no column' <<<tick,vms
	refuses 1 'input:1: column vm is named twice' <<<tick,vm,vm
	refuses 1 'input:1: there is no column held_bytes' <<<"${header%,held_bytes}"
	refuses 1 'input:3: shares: "x" is no whole number' <<<"$header
$row
0,2,4096,x,0,0,0,0,0,0"
	refuses 1 'input:2: shares: "" is no whole number' <<<"$header
0,2,4096,,0,0,0,0,0,0"
	refuses 1 'input:2: shares: "-1" is no whole number' <<<"$header
0,2,4096,-1,0,0,0,0,0,0"
	refuses 1 'input:2: shares: 4294967296 is above 4294967295' <<<"$header
0,2,4096,4294967296,0,0,0,0,0,0"
	refuses 1 'input:2: vm: "18446744073709551616" is no whole number that fits' <<<"$header
0,18446744073709551616,4096,1,0,0,0,0,0,0"
	refuses 1 'input:2: active_bp: 10001 is above 10000' <<<"$header
0,2,4096,1,0,0,10001,0,0,0"
	refuses 1 'input:2: 9 fields, there are 10 columns' <<<"$header
${row%,0}"
	refuses 1 'input:2: more fields than the 10 columns' <<<"$header
$row,0"
	refuses 1 'input:2: balloon_state: "o" is none' <<<"$header,balloon_state
$row,o"
	refuses 1 'input:4: tick 0 after tick 1' --pool-bytes 1M <<<"$header
$row
1${row#0}
$row"
	refuses 1 'tick 0: VM 1 is there twice' --pool-bytes 1M <<<"$header
$row
$row"
	refuses 1 'tick 0: how large is the pool?' <<<"$header
$row"
	refuses 1 'a zero byte' < <(printf '%s\n0\0,' "$header")
	refuses 1 'VM 4294967296: only ids below' --pool-bytes 1M --scale-vms 2 <<<"$header
0,4294967296,4096,1,0,0,0,0,0,0"
	refuses 1 'more than 65536 VMs in tick 0' --pool-bytes 1M --scale-vms 40000 <paper.csv
}

bad_usage()
{
	refuses 2 '--pool-bytes: "x" is no whole number' --pool-bytes x
	refuses 2 '--pool-bytes: "1Q" is no number' --pool-bytes 1Q
	refuses 2 '--pool-bytes: "99999999T" is too large' --pool-bytes 99999999T
	refuses 2 '--tax-bp: 9901 is above 9900' --tax-bp 9901
	refuses 2 '--threshold-bp: takes 4 numbers' --threshold-bp 1,1
	refuses 2 '--threshold-bp: 2 after 1' --threshold-bp 1,2,1,1
	refuses 2 '--add-vm: shares= is missing' --add-vm size=1G,active_bp=0
	refuses 2 '--add-vm: there is no key "colour"' --add-vm colour=1
	refuses 2 '--add-vm: "size" is not KEY=NUMBER' --add-vm size
	refuses 2 '--scale-vms: at least 1' --scale-vms 0
	refuses 2 '--generate: takes 3 numbers' --generate 1,2
	refuses 2 '--generate: 1 to 65536 VMs' --generate 0,2,3
	refuses 2 'one trace at a time' a b
	run "$sim" --bogus
	[ "$status" = 2 ]
}

output_that_cannot_be_written()
{
	run "$sim" --pool-bytes 358M paper.csv >/dev/full
	[ "$status" = 1 ]
}

# Every option of the program is in its help and its manual, and no other.
help_and_manual()
{
	local option options
	"$sim" --help >help
	options=$(grep -oE '^  --[a-z-]+' help | tr -d ' ')
	[ "$(wc -l <<<"$options")" -ge 12 ]
	for option in $options; do
		# known: it fails for want of its argument, or is taken
		run "$sim" "$option" </dev/null >out 2>&1
		run grep -q unrecognized out
		[ "$status" = 1 ]
		grep -qF "\\-\\-${option#--}" <(sed 's/\([a-z]\)\\-/\1-/g' \
			"$here/../../Documentation/man/ballast-sim.1")
	done
	for column in ${header//,/ } resident_bytes balloon_bytes balloon_state pool_bytes \
		free_bytes available_bytes; do
		grep -q "^\.B $column\$" "$here/../../Documentation/man/ballast-sim.1"
	done
}

ktap_suite tools/sim
for test in golden paper_without_tax balloons_and_states balloons_through_time \
	a_vm_that_was_away_is_new recorded_balloons_count what_is_held_and_why \
	columns_in_any_order what_if_a_vm_came what_if_there_were_more \
	a_record_replays generated_by_chance_but_not_by_luck bad_traces bad_usage \
	output_that_cannot_be_written help_and_manual; do
	ktap_run "$test" "$test"
done
ktap_end
