#!/bin/sh
# After a proven audit the hub moves a tip back, and then takes files of old commits away.
. "$(dirname "$0")/../lib/attack.sh"

ok "a third night" third_night
hub_stop
right=$(tip $a)
git -C "$(repo $a)" update-ref refs/heads/main main~2
since_says "refs/heads/main: it points to another commit than the published one" "the tip that was moved back is named"
git -C "$(repo $a)" update-ref refs/heads/main "$right"
first=$(git -C "$(repo $a)" rev-list main | tail -n 1)
holds() { git show-index <"$1" | grep -q " $first "; }
for idx in "$(repo $a)"/objects/pack/*.idx; do
	if holds "$idx"; then rm -f "$idx" "${idx%.idx}.pack"; fi
done
since_says "#1 $(echo "$first" | cut -c 1-12) .*not provable from #1 on" "the old commit that is gone is named"
stock_says "$a/community: the log holds commits of a community whose history is not here; the hub says: " "stock tools name the community"
ok "stock git makes a bundle at the office" git -C "$dir/$a/state/repo.git" bundle create -q "$dir/a.bundle" main
ok "ingest mends it" hub ingest "$dir/a.bundle"
ok "and all is proven" hub audit --since last
finish
