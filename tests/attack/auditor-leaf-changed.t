#!/bin/sh
# A leaf of the bundle is changed: a night is received in another hour.
. "$(dirname "$0")/../lib/attack.sh"

differs() { ! cmp -s "$dir/l" "$dir/b/log/leaves" && cp "$dir/l" "$dir/b/log/leaves"; }
take_bundle
awk '/^kind held$/ { n++ } n == 1 && /^time / { sub(/T[0-9][0-9]/, /T00/ ? "T01" : "T00"); n++ } { print }' "$dir/b/log/leaves" >"$dir/l"
ok "another hour in a leaf" differs
doctored "the leaves do not come to the root" "the root does not fit"
finish
