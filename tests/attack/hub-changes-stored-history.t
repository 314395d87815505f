#!/bin/sh
# A byte of a stored history changes.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
pack=$(find "$(repo $a)/objects/pack" -name '*.pack' | head -n 1)
chmod u+w "$pack"
printf 'X' | dd of="$pack" bs=1 seek=$(($(wc -c <"$pack") / 2)) conv=notrunc 2>/dev/null
audit_says "not provable from #" "community and first commit are named"
refuses 15 "^$a/community:" "under its community" hub audit
stock_says "$a/community: the log holds commits of a community whose history is not here; the hub says: " "stock tools name it"
fsck() { ! git -C "$(repo $a)" fsck --full --strict; }
ok "stock git fsck sees it too" fsck
ok "stock git makes a bundle at the office" git -C "$dir/$a/state/repo.git" bundle create -q "$dir/a.bundle" main
ok "ingest mends it" hub ingest "$dir/a.bundle"
ok "and all is proven" hub audit
finish
