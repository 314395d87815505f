#!/bin/sh
# A byte of a history in the bundle is changed.
. "$(dirname "$0")/../lib/attack.sh"

take_bundle
f=$dir/b/histories/$a/community.bundle
printf 'X' | dd of="$f" bs=1 seek=$(($(wc -c <"$f") / 2)) conv=notrunc 2>/dev/null
doctored "$a" "the history is named"
finish
