#!/bin/sh
# A community was told something else than the log of the bundle says.
. "$(dirname "$0")/../lib/attack.sh"

take_bundle
# The hub runs on, and tells A of a night that this bundle's log does not have at that place: the newer down chain goes into the older bundle.
sql $b "INSERT INTO demand VALUES('n1','夜','reported',1)"
ok "another night of B" agent $b sync
sql $a "INSERT INTO demand VALUES('n2','夜','reported',1)"
ok "and of A" agent $a sync
newer() { git -C "$(repo $a)" bundle create -q "$dir/newer" main down && git clone -q --mirror "$dir/newer" "$dir/n.git" 2>/dev/null && git -C "$dir/n.git" update-ref refs/heads/main main~1 && git -C "$dir/n.git" bundle create -q "$dir/b/histories/$a/community.bundle" main down; }
ok "the newer word of the hub in the older bundle" newer
doctored "$a/community was told a log of [0-9]* leaves that is not this one" "the community is named"
finish
