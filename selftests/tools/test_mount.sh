#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# shellcheck disable=SC2016,SC2317	# run_tests calls the functions; words are not expanded
#
# mount.ballastfs hands all options on, whatever is in them.
#
#	[SUBSTRING...]	default: all tests
#
# Run by selftests/tools/run.  What the kernel makes of the options is for the lab.

here=$(cd "$(dirname "$0")" && pwd -P)
# shellcheck source=selftests/vm/ktap.sh
. "$here/../vm/ktap.sh"
# shellcheck source=selftests/tools/common.sh
. "$here/common.sh"

# a mount that says what it was called with, a word a line
helper()
{
	scene
	mkdir "$work/bin" "$work/guests"
	printf '#!/bin/sh\nprintf "%%s\\n" "$@"\n' >"$work/bin/mount"
	chmod +x "$work/bin/mount"
	PATH=$work/bin:$PATH
}

# passes OPTIONS: as they are, with name= if there was none; $name is what it was
passes()
{
	local options
	expect 0 "$tools_root/tools/mount.ballastfs" none "$work/guests" -o "$1"
	options=$(grep -A1 -x -- -o "$work/said" | tail -n 1)
	name=${options##*,name=}
	[ "$options" = "$1" ] || [ "$options" = "$1,name=$name" ] ||
		{ echo "$1 became $options"; return 1; }
	[ "$(tail -n 2 "$work/said")" = "none
$work/guests" ]
}

test_options_of_the_store()
{
	helper
	passes rw,size=64G,compress=zstd,swap=/var/lib/ballast/web.swap,swapsize=128G
	[ -n "$name" ]
	passes rw,compress=off,name=web
	passes rw,swap=/dev/disk/by-id/nvme-1
	# mount(8) quotes what has a comma
	passes 'rw,swap="/srv/a b,c $x",swapsize=1g'
	passes 'rw,remount,size=1g,swap=/x'
}

test_no_options()
{
	helper
	expect 0 "$tools_root/tools/mount.ballastfs" none "$work/guests" -n -s
	said '^-n$'
	said '^name='
}

ktap_suite mount
run_tests "$@"
ktap_end
