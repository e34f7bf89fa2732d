# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# KTAP for tests in bash; to be sourced.
#
#   ktap_suite NAME              first: names the suite, prints the header
#   ktap_plan N                  optional: N results will follow
#   ktap_pass NAME
#   ktap_fail NAME [REASON]
#   ktap_skip NAME [REASON]
#   ktap_run NAME FUNCTION...    run FUNCTION in a subshell under "set -e": pass
#                                if it returns 0, skip if 4; its output is shown
#                                when it fails; ten seconds and more are said after it
#   ktap_on VERSION NAME...      of the two kernels of a short run (BALLAST_SHORT) that one is
#                                enough for the tests of these names
#   skip REASON                  in such a function: leave it as skipped
#   lacks REASON                 the same where it is not the lab, which has what it is
#                                about on each of its kernels: there it is a failure
#   ktap_end                     last: prints the totals and exits: 0, 1 if
#                                anything failed, 4 if all was skipped
#
# KTAP_VERBOSE=1 shows the output of every test, while it runs.

ktap_name=${0##*/}
ktap_planned=
ktap_passed=0
ktap_failed=0
ktap_skipped=0
declare -A ktap_kernels=()

ktap_count()
{
	echo $((ktap_passed + ktap_failed + ktap_skipped))
}

ktap_suite()
{
	ktap_name=$1
	echo "KTAP version 1"
}

ktap_plan()
{
	ktap_planned=$1
	echo "1..$1"
}

ktap_pass()
{
	ktap_passed=$((ktap_passed + 1))
	echo "ok $(ktap_count) $1"
}

ktap_fail()
{
	ktap_failed=$((ktap_failed + 1))
	[ -z "${2:-}" ] || printf '%s\n' "$2" | sed 's/^/# /'
	echo "not ok $(ktap_count) $1"
}

ktap_skip()
{
	ktap_skipped=$((ktap_skipped + 1))
	echo "ok $(ktap_count) $1 # SKIP${2:+ $2}"
}

skip()
{
	echo "SKIP $*"
	exit 4
}

lacks()
{
	[ -z "${BALLAST_LAB:-}" ] || { echo "in the lab: $*"; exit 1; }
	skip "$@"
}

# Leave at the first command that fails, and say where.  Into a file: a test's output
# may be what it compares.
ktap_strictly()
{
	set -eE
	trap 'ktap_failed_at "$BASH_COMMAND"' ERR
}

# ktap_failed_at COMMAND: and who called whom, the innermost first.  Not what fails
# where bash does not leave for it: in $(...), or after "set +e".
ktap_failed_at()
{
	local i where=
	[[ $- == *e* ]] || return 0
	for ((i = 1; i < ${#FUNCNAME[@]}; i++)); do
		[ "${FUNCNAME[i]}" != ktap_run ] || break
		where+=" ${BASH_SOURCE[i]##*/}:${BASH_LINENO[i - 1]}"
	done
	echo " $1 at$where" >>"$ktap_where"
}

ktap_on()
{
	local version=$1 name
	shift
	for name in "$@"; do
		ktap_kernels[$name]=$version
	done
}

# ktap_left NAME: to the other kernel; says so
ktap_left()
{
	local on=${ktap_kernels[$1]:-}
	[ "${BALLAST_SHORT:-}" ] && [ "$on" ] && [ "$on" != "$BALLAST_SHORT" ] || return 1
	ktap_skip "$1" "on $on, or with make check-all"
}

ktap_run()
{
	local name=$1 log status reason took_s=$SECONDS
	shift
	# Inside "if", "!", "&&" and "||" bash ignores errexit, in subshells
	# too: a test run there could only pass.
	(set -e; false; exit 99)
	if [ $? = 99 ]; then
		ktap_fail "$name" "ktap_run called where bash ignores errexit (if, &&, ||, !)"
		return
	fi
	! ktap_left "$name" || return 0
	log=$(mktemp)
	ktap_where=$log.where
	: >"$ktap_where"
	local errexit=+e
	[[ $- != *e* ]] || errexit=-e
	set +e
	if [ -n "${KTAP_VERBOSE:-}" ]; then
		(ktap_strictly; "$@") 2>&1 </dev/null | tee "$log" | sed -u 's/^/# /'
		status=${PIPESTATUS[0]}
	else
		(ktap_strictly; "$@") >"$log" 2>&1 </dev/null
		status=$?
	fi
	set $errexit
	case $status in
	0) ktap_pass "$name" ;;
	4)
		reason=$(sed -n 's/^SKIP //p' "$log" | tail -n 1)
		ktap_skip "$name" "$reason" ;;
	*)
		[ -n "${KTAP_VERBOSE:-}" ] || awk '{ print "# " $0 }' "$log"
		ktap_fail "$name" "(status $status)$(tail -n 1 "$ktap_where")" ;;
	esac
	took_s=$((SECONDS - took_s))
	[ "$took_s" -lt 10 ] || echo "# $took_s s: $name"
	rm -f "$log" "$ktap_where"
}

ktap_end()
{
	local count
	count=$(ktap_count)
	[ -n "$ktap_planned" ] || echo "1..$count"
	if [ -n "$ktap_planned" ] && [ "$ktap_planned" != "$count" ]; then
		ktap_fail "plan" "planned $ktap_planned tests, ran $count"
	fi
	echo "# $ktap_name: $ktap_passed passed, $ktap_failed failed, $ktap_skipped skipped"
	[ "$ktap_failed" = 0 ] || exit 1
	[ "$ktap_passed" != 0 ] || exit 4
	exit 0
}
