# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=bash
#
# What the checks share.
#
# A check is a script check-NAME [TREE] that defines check() and ends with
# "conclude".  It works in TREE (default: the tree it belongs to; another one
# is how it is tested), prints a line per finding and "# ..." lines for what is
# only worth knowing, and exits 1 if it found anything or could not look.

set -u -o pipefail
# shellcheck disable=SC2034	# read by those who source this
lint_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# enter [TREE]: work there.
enter()
{
	tree=$(cd "${1:-$lint_dir/../..}" && pwd) && cd "$tree" || exit 1
}

# The files of the tree, as git sees them: new ones too, ignored ones not.  A
# tree without git (a release, a fixture) is taken whole.
files()
{
	local file
	if [ -e .git ]; then
		git ls-files --cached --others --exclude-standard | sort -u
	else
		find . -path ./.build -prune -o -type f -printf '%P\n' | sort
	fi | while read -r file; do
		# deleted, not yet committed
		[ ! -f "$file" ] || printf '%s\n' "$file"
	done
}

# matching PATTERN: those whose path matches the extended regular expression.
matching()
{
	files | awk -v pattern="$1" '$0 ~ pattern'
}

# over_files COMMAND...: the paths on stdin as further arguments; nothing if
# there are none.
over_files()
{
	xargs -r -d '\n' "$@"
}

# awk's output is the findings; a check that broke is a finding too.
conclude()
{
	local said status
	said=$(check)
	status=$?
	[ -z "$said" ] || printf '%s\n' "$said"
	if [ $status -ne 0 ]; then
		echo "the check itself failed (status $status)"
		exit 1
	fi
	! grep -q '^[^#]' <<<"$said"
}
