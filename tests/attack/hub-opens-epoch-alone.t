#!/bin/sh
# The hub forgets a night and calls its log a new epoch, without an administrator.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
rm -rf "$dir/hub" && cp -a "$dir/hub-night1" "$dir/hub"
refuses 12 "administrator" "its own signing key opens no epoch" sh -c "cp '$dir/hub/keys/hub-sign.key' '$dir/own.key'; cat '$dir/hub/keys/hub-sign.crt' '$dir/hub/ca/issuing.crt' >'$dir/own.crt'
	'$bin/tributary-hub' --state '$dir/hub' recover --admin-key '$dir/own.key'"
sed -i 's,^\(origin .*2F\)1$,\12,' "$dir/hub/hub.conf"
hubsql "INSERT INTO meta(key, value) SELECT 'origin', CAST('$(sed -n 's/^origin //p' "$dir/hub/hub.conf" | sed 's/%2F/\//; s/%25/%/g')' AS BLOB)"
rm -rf "$dir/hub/checkpoint" "$dir/hub/log/checkpoint" "$dir/hub/log/tile"
ok "it calls itself the second epoch" hub_start
sql $a "INSERT INTO demand VALUES('d4','噪声','reported',4)"
refuses 15 "old copy" "A does not follow it" agent $a sync
kept_here() { agent $a check --read-data; }
ok "and keeps its whole history, and its receipts" kept_here
hub_stop
audit_says "the log is .*/1, hub.conf says .*/2" "the audit names it"
stock_says "the checkpoint bears another name than the log" "stock tools find that no leaf opens the epoch" "$dir/$a/state/checkpoint"
finish
