#!/bin/sh
# A hub that came back from an old copy calls itself whole, though a night that it had given a receipt for is not there any more; or it loses the proof.
. "$(dirname "$0")/../lib/attack.sh"

ok "an administrator" hub user add li --role administrator --out "$dir/admin"
hub_stop
rm -rf "$dir/hub" && cp -a "$dir/hub-night1" "$dir/hub"
ok "the hub comes back from an old copy" hub recover --admin-key "$dir/admin/sign.key"
cp -a "$dir/hub" "$dir/hub-epoch2"
ok "and starts" hub_start
refuses 3 "$a .*WAITING" "as long as nobody has reported it does not say that it is whole" hub recover --check
ok "B comes back" agent $b sync
cp -a "$dir/$a/state" "$dir/$a/late"
cp "$dir/$a/state/receipts/2" "$dir/receipt"
# A's computer is put back to the first night as well, so the second one is nowhere.
rm -rf "${dir:?}/$a/state" && cp -a "$dir/$a/night1" "$dir/$a/state" && cp "$dir/$a/night1.db" "$dir/$a/office.db"
ok "A comes back without its second night" agent $a sync
ok "the audit of what is there finds nothing wrong" hub audit
ok "a receipt on paper, or a stick" hub recover --receipts "$dir/receipt"
refuses 15 "$a/community #2 .*is missing" "names the night" hub recover --check
refuses 15 "$a/community #2 is missing" "every morning" hub status

# A makes another second night: that is not the one.
sql $a "INSERT INTO demand VALUES('d9','别的','reported',9)"
ok "another second night" agent $a sync
refuses 15 "another commit of this number" "is not taken for it" hub recover --check

# The operator removes the proof, or the rows that it convicts.
cp -a "$dir/hub/old-receipts" "$dir/proofs"
rm -rf "$dir/hub/old-receipts"
refuses 3 "WAITING" "without the proofs nothing is called complete" hub recover --check
rm -rf "$dir/hub/old-receipts" && cp -a "$dir/proofs" "$dir/hub/old-receipts"
f=$(find "$dir/hub/old-receipts" -path "*$a*" -type f | head -n 1)
printf x >>"$f"
refuses 15 "proves nothing" "a proof that was changed is named" hub recover --check
finish
