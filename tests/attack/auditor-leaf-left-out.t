#!/bin/sh
# A leaf of the bundle is missing.
. "$(dirname "$0")/../lib/attack.sh"

take_bundle
awk '/^format tributary-leaf-1$/ { n++ } n != 5 { print }' "$dir/b/log/leaves" >"$dir/l" && cp "$dir/l" "$dir/b/log/leaves"
doctored "another number of leaves" "the number does not fit"
finish
