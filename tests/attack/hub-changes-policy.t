#!/bin/sh
# The hub changes what is private without saying so: a policy acts only once the log names it, and the audit holds policy.conf, hub.db and the texts against the log.
. "$(dirname "$0")/../lib/attack.sh"
policy=$dir/hub/policy.conf
of_log() { sqlite3 -readonly "$dir/hub/hub.db" "SELECT bytes FROM leaf" | grep -a -A3 '^kind policy$' | sed -n "s/^$1 //p"; } # version or sha256 of each
newest() { of_log "$1" | tail -n 1; }
sum() { sha256sum <"$1" | cut -d' ' -f1; }
is_logged() { same "$(newest sha256)" "$(sum "$policy")"; }

# Nobody asks: the running hub looks by itself.
cp "$policy" "$dir/policy1"
printf '[table "demand"]\n\tprivate = title\n' >>"$policy"
cp "$policy" "$dir/policy2"
ok "an edited policy is logged by the running hub" soon is_logged
ok "as policy 2" same "$(of_log version | tr '\n' ' ')" "1 2 "
ok "its text is kept beside the log" cmp "$policy" "$dir/hub/log/named/$(newest sha256)"
ok "and all is proven" proven_at_rest
hub_stop
ok "it takes in what it should have refused" accepts "" honest
audit_says "it shows demand.title, which was private by policy 2 when it was held: the hub should have refused it" "the audit names it"
rm -rf "$dir/hub" && mv "$dir/before" "$dir/hub"
ok "the hub is as it was" hub_start
sql $a "INSERT INTO demand VALUES('d5','秘密','reported',5)"
refuses 14 "shows demand.title, which is private by the city's policy" "a commit that shows it is refused" agent $a sync
ok "the office does what it is told" agent $a config set private demand.title
ok "and is heard" agent $a sync

# An office asks in the same moment: the leaf comes before the commit, not after some seconds.
cp "$dir/policy1" "$policy"
sql $b "INSERT INTO demand VALUES('d6','公开','reported',6)"
ok "the policy changes while an office syncs" agent $b sync
ok "the policy is logged" is_logged
before_held() {
	p=$(sqlite3 -readonly "$dir/hub/hub.db" "SELECT max(idx) FROM leaf WHERE CAST(bytes AS TEXT) LIKE '%kind policy%'")
	h=$(sqlite3 -readonly "$dir/hub/hub.db" "SELECT max(idx) FROM held")
	[ "$p" -lt "$h" ] || { echo "policy is leaf $p, the commit leaf $h"; return 1; }
}
ok "before the commit" before_held
ok "all is proven" proven_at_rest

# What cannot be read is not taken up; offices wait, and nothing is judged by an older policy meanwhile.
printf '[table\n' >"$policy"
sql $b "INSERT INTO demand VALUES('d7','公开','reported',7)"
refuses 13 "the city's policy file cannot be read just now; nothing is lost" "a policy that cannot be read: offices wait" agent $b sync
ok "the hub says why" soon grep -q "policy file .*policy.conf.*offices wait until that file is mended" "$dir/serve.log"
rm "$policy"
refuses 13 "the city's policy file cannot be read just now" "a policy that is gone: offices wait" agent $b sync
cp "$dir/policy2" "$policy"
ok "the city mends it" soon is_logged
ok "B does what it is told" agent $b config set private demand.title
ok "and is heard again" agent $b sync
ok "policies are numbered without a gap" same "$(of_log version | tr '\n' ' ')" "1 2 3 4 "
ok "all is proven" proven_at_rest
hub_stop

# The operator's own ways, with the hub stopped.
cp "$dir/policy1" "$policy"
audit_says "policy.conf is not policy 4, the last one in the log" "policy.conf changed, no leaf"
since_says "policy.conf is not policy 4, the last one in the log" "an audit that goes on says so"
rm "$policy"
audit_says "policy.conf: .*No such file" "policy.conf taken away"
cp "$dir/policy2" "$policy"
ok "put back: proven" audit_twice
was=$(hubsql "SELECT hex(value) FROM meta WHERE key = 'policy-sha256'")
hubsql "UPDATE meta SET value = x'$(sum "$dir/policy1")' WHERE key = 'policy-sha256'"
audit_says "hub.db: policy-sha256 is not what the log says" "another policy in force than the log's"
hubsql "UPDATE meta SET value = x'$was' WHERE key = 'policy-sha256'; UPDATE meta SET value = CAST('9' AS BLOB) WHERE key = 'policy-number'"
audit_says "hub.db: policy-number is not what the log says" "another number"
hubsql "UPDATE meta SET value = CAST('4' AS BLOB) WHERE key = 'policy-number'"
named=$dir/hub/log/named/$(sum "$dir/policy2")
chmod u+w "$named" && cp "$dir/policy1" "$named"
audit_says "policy 4: .* is not the text that the log names" "the text that the log names exchanged"
ok "the hub starts" hub_start
ok "and writes the text again from policy.conf, which has the right hash" cmp "$named" "$dir/policy2"
sql $b "INSERT INTO demand VALUES('d8','公开','reported',8)"
ok "B is judged by it" agent $b sync
unharmed
finish
