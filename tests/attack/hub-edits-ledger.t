#!/bin/sh
# The hub removes from the ledger that a change was not applied.
. "$(dirname "$0")/../lib/attack.sh"

cp -a "$dir/$a/state" "$dir/thief"
"$forge" "$dir/thief" old-value >/dev/null 2>&1
ok "a change that does not fit is held" office_git $a -C "$dir/thief/repo.git" push -q "$url/$a/community.git" main:refs/heads/main
ok "and in the ledger" eventually 1 community "SELECT count(*) FROM _t_ledger WHERE node='$a'"
hub_stop
ok "all is proven" hub audit
city_write "DELETE FROM _t_ledger"
audit_says "_t_ledger" "the missing line is named"
# Stock tools cannot see it: the ledger is the hub's own table, which nobody signs; only the audit derives it.
mended
finish
