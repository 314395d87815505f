#!/bin/sh
# The whole way with real processes: two offices, a hub, stock git beside them.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
b=520303001011

ok "a city is made" city_init
ok "the hub listens" hub_start
ok "office A captures its database before it knows any hub" office $a community 洗马社区
ok "office B too" office $b community 南京路社区
ok "office A enrols with its slip" enrol $a community 洗马社区
ok "office B enrols with its slip" enrol $b community 南京路社区
ok "office A syncs" agent $a sync
ok "office B syncs" agent $b sync
ok "A's rows are in the city under its code" eventually "d1|路灯不亮|reported|1" community "SELECT id,title,status,n FROM demand WHERE _node='$a' AND id='d1'"
ok "B's rows stand beside them" eventually 4 community "SELECT count(*) FROM demand"
ok "storage classes survive" eventually "blob|00FF|null" community "SELECT typeof(note), hex(note), (SELECT typeof(note) FROM points WHERE _node='$a' AND id=2) FROM points WHERE _node='$a' AND id=1"
ok "a keyless table is a bag with counts" eventually "1|2" community "SELECT min(_count), max(_count) FROM _bag_journal WHERE _node='$a'"

sql $a "UPDATE demand SET status='closed' WHERE id='d1'; DELETE FROM demand WHERE id='d2'; INSERT INTO demand VALUES('d3','停水','reported',3); INSERT INTO journal VALUES('同一行');"
ok "a night's changes reach the city" agent $a sync
ok "an update" eventually closed community "SELECT status FROM demand WHERE _node='$a' AND id='d1'"
ok "a delete" eventually 0 community "SELECT count(*) FROM demand WHERE _node='$a' AND id='d2'"
ok "an insert" eventually 停水 community "SELECT title FROM demand WHERE _node='$a' AND id='d3'"
ok "a bag's count" eventually 3 community "SELECT _count FROM _bag_journal WHERE _node='$a' AND line='同一行'"
ok "B's rows are untouched" eventually reported community "SELECT status FROM demand WHERE _node='$b' AND id='d1'"

status_says() { agent $a status | grep -q "$1"; }
ok "status says in one sentence that all is well" status_says "at the city hub"
held_all() { hub status --json | grep -q '"waiting": 0'; }
ok "nothing waits at the hub" soon held_all
ok "the checkpoint agrees with the log" hub checkpoint verify

# Stock git reads, and may write what our rules allow.
ok "stock git clones A's history with A's certificate" office_git $a clone -q "$url/$a/community.git" "$dir/clone"
ok "git fsck finds it whole" git -C "$dir/clone" fsck --strict --full
all_good() { v=$(office_git $a -C "$dir/clone" log --format=%G? | sort | uniq -c | tr -d ' 0-9\n'); same "$v" G; }
ok "stock git verifies every signature with openssl alone" all_good
refuses 128 "403" "A's certificate does not open B's history" office_git $a clone -q "$url/$b/community.git" "$dir/clone-b"
refuses 128 "." "no certificate, no history" git -c http.sslCAInfo="$dir/$a/state/keys/root.crt" clone -q "$url/$a/community.git" "$dir/clone-c"
without_cert() { curl -sS --cacert "$dir/$a/state/keys/root.crt" "$url/$a/community.git/info/refs?service=git-upload-pack"; }
says_enrol() { without_cert | grep -q "enrol"; }
command -v curl >/dev/null && ok "without a certificate the answer says what to do" says_enrol

sql $a "INSERT INTO demand VALUES('d4','噪声','reported',4);"
ok "A commits" agent $a commit
ok "stock git pushes it" office_git $a -C "$dir/$a/state/repo.git" push -q "$url/$a/community.git" main:refs/heads/main
ok "and it is merged" eventually 噪声 community "SELECT title FROM demand WHERE _node='$a' AND id='d4'"
ok "A pulls the receipts of what stock git pushed" agent $a pull
ok "stock git fetches what is new" office_git $a -C "$dir/clone" fetch -q
newest() { same "$(git -C "$dir/clone" rev-parse origin/main)" "$(git -C "$dir/$a/state/repo.git" rev-parse main)"; }
ok "up to the newest commit" newest
refuses 1 "rejected" "stock git may not delete a history" office_git $a -C "$dir/$a/state/repo.git" push "$url/$a/community.git" :refs/heads/main
refuses 1 "." "nor push another branch" office_git $a -C "$dir/$a/state/repo.git" push "$url/$a/community.git" main:refs/heads/other
evil() {
	rm -rf "$dir/evil" && git clone -q "$dir/$a/state/repo.git" "$dir/evil" && cd "$dir/evil" || return 9
	git -c user.name=x -c user.email=x@x commit -q --allow-empty -m "unsigned" && office_git $a push "$url/$a/community.git" main:refs/heads/main
}
refuses 1 "bad-" "stock git may not push an unsigned commit" evil
ok "the hub still stands where it stood" eventually 3 community "SELECT count(*) FROM demand WHERE _node='$a'"

ok "the audit proves the city" hub audit
ok "A checks its own history, values included" agent $a check --read-data

revoke() { hub node revoke $b --app community --reason stolen; }
ok "B is revoked" revoke
sql $b "INSERT INTO demand VALUES('d9','x','reported',9);"
refuses 12 "revoked" "a revoked office is told so" agent $b sync
ok "its history stays provable" hub audit
ok "the hub ends when asked" hub_stop
finish
