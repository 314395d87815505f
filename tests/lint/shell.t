#!/bin/sh
# Every shell script passes shellcheck and says what it is; no key lies in the tree.
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/lib.sh

files | grep -vE '^tests/fuzz/corpus/|\.(c|h|md|po|pot|sql|py|txt)$' | while read -r f; do
	head -n 1 "$f" 2>/dev/null | grep -qE '^#!/bin/sh' && echo "$f"
done >"$dir/scripts"
some 'there are scripts' <"$dir/scripts"
if ! command -v shellcheck >/dev/null 2>&1; then
	next
	echo "ok $n - shellcheck # SKIP shellcheck is not installed (make deps-ci)"
else
	# SC2010: folders of our own names. SC1087, SC2016: C text and programs of awk in quotes. SC1091, SC2154: sourced files are
	# checked on their own. SC2317, SC2329: functions that `check` calls by name. SC2015: `a && b || c` is used where b cannot fail. SC2120: options that not every caller gives.
	xargs shellcheck -x -f gcc -S warning -e SC1087,SC2010,SC2016,SC1091,SC2154,SC2317,SC2329,SC2015,SC2120 <"$dir/scripts" >"$dir/said" 2>&1
	none 'shellcheck finds nothing' <"$dir/said"
fi
while read -r f; do
	sed -n 2p "$f" | grep -qE '^# .' || echo "$f: line 2 does not say what it is for"
done <"$dir/scripts" | none 'every script says what it is for'
files | grep -vE '^tests/' | xargs grep -lIE '^-----BEGIN [A-Z ]*PRIVATE KEY' /dev/null | none 'no private key lies in the tree'
plan
