#!/bin/sh
# The application's database comes back from an old copy; the agent is the same.
. "$(dirname "$0")/../lib/attack.sh"

many() { sql $a "WITH RECURSIVE c(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM c WHERE i < 400) INSERT INTO points SELECT i, '居民' || i, i, NULL FROM c"; }
ok "300 rows more" many
ok "held" agent $a sync
cp "$dir/$a/night1.db" "$dir/$a/office.db"
refuses 16 "points" "the loss is held back, with its count" agent $a commit
braked() { agent $a sync; git -C "$(repo $a)" cat-file blob main:manifest | grep -q '^braked points 30'; }
ok "the day's report says so to the city" braked
sees() { hub status | grep -q "$a"; }
ok "and the operator sees it" sees
ok "the city keeps the rows" eventually 303 community "SELECT count(*) FROM points WHERE _node='$a'"
ok "all is proven" hub audit
finish
