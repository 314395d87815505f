#!/bin/sh
# A leaf of the bundle is changed: a night is received an hour earlier.
. "$(dirname "$0")/../lib/attack.sh"

take_bundle
awk '/^kind held$/ { n++ } n == 1 && /^time / { sub(/T[0-9][0-9]/, "T00"); n++ } { print }' "$dir/b/log/leaves" >"$dir/l" && ! cmp -s "$dir/l" "$dir/b/log/leaves" && cp "$dir/l" "$dir/b/log/leaves"
doctored "the leaves do not come to the root" "the root does not fit"
finish
