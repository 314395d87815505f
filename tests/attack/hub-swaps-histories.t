#!/bin/sh
# The hub puts the repository of one community in the place of another.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
mv "$(repo $a)" "$dir/t" && mv "$(repo $b)" "$(repo $a)" && mv "$dir/t" "$(repo $b)"
audit_says "not provable from #1" "no commit of either is where it was held"
audit_says "NOT proven.*0 commits of 2 communities are" "nothing is proven"
stock_says "$b/community: commit [0-9a-f]* is not what the log holds as #1" "stock tools name community and commit"
mv "$(repo $a)" "$dir/t" && mv "$(repo $b)" "$(repo $a)" && mv "$dir/t" "$(repo $b)"
ok "put back, all is proven" hub audit
finish
