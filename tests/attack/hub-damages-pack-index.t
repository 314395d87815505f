#!/bin/sh
# An offset in the index of a pack is changed so that it points outside: libgit2 alone would read beyond the file.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
idx=$(find "$(repo $a)/objects/pack" -name '*.idx' | head -n 1)
entries=$(od -An -tu1 -j1028 -N4 "$idx" | awk '{print (($1*256+$2)*256+$3)*256+$4}')
at=$((8 + 1024 + entries * 24)) # the first offset
chmod u+w "$idx"
printf '\377' | dd of="$idx" bs=1 seek="$at" conv=notrunc 2>/dev/null
audit_says "is damaged, so its pack is not read" "the audit names it"
refuses 15 "^$a/community:" "under its community, and does not crash" hub audit
stock_says "$a/community: the log holds commits of a community whose history is not here; the hub says: the index .* is damaged" "stock tools name it"
ok "stock git makes a bundle at the office" git -C "$dir/$a/state/repo.git" bundle create -q "$dir/a.bundle" main down
ok "ingest mends it" hub ingest "$dir/a.bundle"
aside() { test -n "$(find "$dir/hub/damaged" -name '*.idx')"; }
ok "what was damaged is kept aside" aside
ok "the hub starts" hub_start
unharmed
finish
