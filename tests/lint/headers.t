#!/bin/sh
# A newcomer reads headers only: each opens with its purpose, and each function of core has a comment above its group.
# `_init _release _free _cleanup` need none: these verbs mean the same everywhere.
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/lib.sh

sources | grep '\.h$' >"$dir/headers"
some 'there are headers' <"$dir/headers"
while read -r f; do
	name=${f##*/}
	sed -n 1p "$f" | grep -qF "/* $name: " || echo "$f: line 1 is not \"/* $name: purpose\""
	guard=$(sed -n 's/^#ifndef \(TRIB_[A-Z0-9_]*_H\)$/\1/p' "$f" | head -n 1)
	[ -n "$guard" ] || echo "$f: no include guard TRIB_..._H"
done <"$dir/headers" | none 'every header says its purpose and has a guard'
grep '^core/' "$dir/headers" | xargs awk '
FNR == 1 { said = 0; comment = 0 }
/^$/ { said = 0 }
/\/\*/ { said = 1 }
/^[a-z].*[ *]trib_[a-z0-9_]+\(/ && !/^(static|typedef|struct [a-z_]+ \{)/ && !/_(init|release|free|cleanup)\(/ {
	if (!said) { f = $0; sub(/\(.*/, "", f); sub(/.*[ *]/, "", f); print FILENAME ":" FNR ": " f }
}' | none 'every function of core has a comment above its group'
plan
