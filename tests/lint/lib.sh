# lib.sh: what the checks of tests/lint share; sourced with the top directory as the working directory.
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
LC_ALL=C.UTF-8
export LC_ALL

# Our files: what git tracks; without git (a source archive) whatever is there but the builds.
files() {
	git ls-files 2>/dev/null || find . -type f ! -path './build*' ! -path './.git/*' | sed 's,^\./,,'
}
sources() { files | grep -E '^(core|agent|hub)/.*\.[ch]$'; }

# The checks stand at the end of pipes, in subshells: the number of tests is kept in a file.
: >"$dir/n"
next() {
	echo >>"$dir/n"
	n=$(($(wc -l <"$dir/n")))
}
# none NAME: good when nothing comes on stdin; each line that comes is a finding.
none() {
	next
	cat >"$dir/found"
	if [ -s "$dir/found" ]; then
		echo "not ok $n - $1"
		sed 's/^/# /' "$dir/found"
	else
		echo "ok $n - $1"
	fi
}
# some NAME: good when something comes: a check that looked at nothing is no check.
some() {
	next
	if [ "$(wc -l)" -gt 0 ]; then echo "ok $n - $1"; else echo "not ok $n - $1"; fi
}
plan() { echo "1..$(($(wc -l <"$dir/n")))"; }
