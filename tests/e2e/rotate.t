#!/bin/sh
# A new signing key (D5.4): the old one hands over in a signed commit; hub, audit and stock tools follow; killed anywhere, the office goes on; a key
# without a hand-over is refused.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
LC_ALL=C.UTF-8
export LC_ALL
keys=$dir/$a/state/keys

ok "a city" city_init
ok "the hub listens" hub_start
ok "A captures" office $a community 洗马社区
refuses 12 "not enrolled" "before enrolment there is nobody to certify a new key" agent $a cert rotate
ok "A enrols" enrol $a community 洗马社区
ok "A syncs" agent $a sync

key_of() { openssl x509 -in "$keys/sign.crt" -noout -pubkey; }
first=$(key_of)
cp -a "$dir/$a/state" "$dir/before"
ok "A gets a new signing key" agent $a cert rotate
second=$(key_of)
changed() { [ "$1" != "$2" ]; }
ok "it is another key" changed "$first" "$second"
left() { same "$(ls "$keys")" "$(printf '%s\n' issuing.crt root.crt sign.crt sign.csr sign.key tls.crt tls.csr tls.key)"; }
ok "nothing of the change is left behind" left
sql $a "INSERT INTO demand VALUES('d9','停水','reported',9);"
ok "A syncs with it" agent $a sync
ok "what was typed is in the city" eventually 1 community "SELECT count(*) FROM demand WHERE id = 'd9'"
ok "the office's own check" agent $a check
ok "the audit proves the city" hub audit
in_log() { same "$(sqlite3 -readonly "$dir/hub/hub.db" "SELECT count(*) FROM leaf WHERE CAST(bytes AS TEXT) LIKE '%kind enrolled%'")" "$1"; }
ok "the log knows both signing certificates" in_log 2

signers() { office_git $a -C "$dir/$a/state/repo.git" log --format='%G?' main | sort -u; }
all_good() { same "$(signers)" G; }
ok "stock git with openssl verifies every commit" all_good
words() { git -C "$dir/$a/state/repo.git" log --format=%s main | grep -q "the signing key changes"; }
ok "people read it in the log" words
gpgsm_home() { certs/gpgsm-setup "$dir/gnupg" "$keys/root.crt" "$dir/$a/state/repo.git"; }
gpgsm_good() { same "$(GNUPGHOME=$dir/gnupg git -C "$dir/$a/state/repo.git" -c gpg.format=x509 -c gpg.x509.program=gpgsm log --format='%G?' main | sort -u)" G; }
ok "gpgsm takes the certificates" gpgsm_home
ok "gpgsm verifies every commit" gpgsm_good

# The folder from before, with the old key: a clone or an old backup.
old_key() { mv "$dir/$a/state" "$dir/now" && cp -a "$dir/before" "$dir/$a/state"; }
ok "the folder of before the change is put back" old_key
refuses 16 "old copy or a clone" "its key signs nothing more" agent $a sync
back() { rm -rf "$dir/$a/state" && mv "$dir/now" "$dir/$a/state"; }
ok "A goes on in the right folder" back
ok "A syncs" agent $a sync

# The hub has issued, and the folder comes back from a copy of before: nothing was committed in between, so it may try again.
cp -a "$dir/$a/state" "$dir/before-issue"
issue() { (TRIBUTARY_CRASH_AT=next-certificate; export TRIBUTARY_CRASH_AT; agent $a cert rotate); same $? 137; }
ok "a change is cut off when the hub has issued" issue
copy_back() { rm -rf "$dir/$a/state" && mv "$dir/before-issue" "$dir/$a/state"; }
ok "the folder comes back from a copy" copy_back
ok "the change can be asked for with the key that the city knows" agent $a cert rotate
ok "A syncs" agent $a sync

# A second time; the line is cut, or the power, at every step.
ok "a second change" agent $a cert rotate
k=9
for at in next-certificate objects-written group-judged rotate-committed signing-key-moved; do
	k=$((k + 1))
	was=$(key_of)
	TRIBUTARY_CRASH_AT=$at
	export TRIBUTARY_CRASH_AT
	agent $a cert rotate >"$dir/out" 2>&1
	status=$?
	unset TRIBUTARY_CRASH_AT
	ok "killed at $at (exit $status)" changed $status 0
	sql $a "INSERT INTO demand VALUES('e$k','停水','reported',9);"
	ok "A syncs" agent $a sync
	ok "and is in the city" eventually 1 community "SELECT count(*) FROM demand WHERE id = 'e$k'"
	case $at in
	next-certificate | objects-written | group-judged) ok "the change can be asked for again" agent $a cert rotate ;;
	esac
	ok "with another key than before" changed "$was" "$(key_of)"
done
# Something fails when the commit point is passed, a full disk, say: the key has changed, and the same command finishes it and changes no other.
was=$(key_of)
seq_was=$(agent $a log | wc -l)
mkdir -p "$dir/$a/state/repo.git/refs/heads/main.lock/x"
refuses 11 "the new signing key takes over" "a change that is cut off behind its commit point says so" agent $a cert rotate
rm -rf "$dir/$a/state/repo.git/refs/heads/main.lock"
refuses 0 "Commit #$((seq_was + 1)) hands over" "the same command finishes it" agent $a cert rotate
ok "with another key than before" changed "$was" "$(key_of)"
once() { same "$(agent $a log | wc -l)" $((seq_was + 2)); }
ok "and makes no second one" once
ok "nothing of the change is left behind" left
ok "the office's own check" agent $a check
ok "the audit proves the city" hub audit
hub_stop
ok "rebuild gives the same city" hub rebuild
refuses 13 "was not changed" "without the hub the key stays" agent $a cert rotate
ok "the hub is back" hub_start
ok "A syncs" agent $a sync
ok "stock git verifies every commit" all_good

# Ten changes within a day, not more. (The ones made so far become older, but for the last; rows of changes that never were stand for others.)
recent() { sqlite3 "$dir/hub/enrol.db" "SELECT count(*) FROM signing WHERE at > unixepoch() - 86000"; }
fill() {
	sqlite3 "$dir/hub/enrol.db" "UPDATE signing SET at = at - 200000 WHERE n < (SELECT max(n) FROM signing);
		INSERT INTO signing(node, app, incarnation, n, csr, cert, at) WITH RECURSIVE i(k) AS (SELECT 1 UNION ALL SELECT k + 1 FROM i WHERE k < $1 - 1)
		SELECT node, app, incarnation, -k, csr, cert, at FROM (SELECT * FROM signing ORDER BY n DESC LIMIT 1), i" && same "$(recent)" "$1"
}
ok "(nine changes)" fill 9
ok "the tenth is made" agent $a cert rotate
refuses 12 "10 times within a day" "one more is not" agent $a cert rotate
ok "A goes on with the key that it has" agent $a sync

# A thief with the disk of before: he asks with a key that was rotated away.
thief() { # the request of a new key, signed by the key in $dir/before
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/k" -subj /CN=x -out "$dir/csr" 2>/dev/null &&
		openssl cms -sign -binary -in "$dir/csr" -signer "$dir/before/keys/sign.crt" -inkey "$dir/before/keys/sign.key" -nocerts -nosmimecap -md sha256 -outform PEM \
			-out "$dir/p" && sed 's/ CMS-/ SIGNED MESSAGE-/' "$dir/p" | awk 'NR > 1 { printf "\n" } { printf "%s", $0 }' >"$dir/proof" || return 1
	{ printf 'format tributary-rotate-1\nnode %s\napp community\nsign-csr %s\nproof %s\n' $a "$(wc -c <"$dir/csr" | tr -d ' ')" "$(wc -c <"$dir/proof" | tr -d ' ')" &&
		cat "$dir/csr" "$dir/proof"; } >"$dir/body"
	curl -sS --cacert "$keys/root.crt" --cert "$keys/tls.crt" --key "$keys/tls.key" --data-binary "@$dir/body" "$url/renew"
}
no_certificate() { thief | grep -q "not signed by the present signing key"; }
command -v curl >/dev/null && ok "a key that was rotated away gets no certificate" no_certificate

revoke() { hub node revoke $a --app community --reason stolen; }
ok "A is revoked" revoke
refuses 12 "revoked" "a revoked office gets no new key" agent $a cert rotate
ok "the audit proves the city all the same" hub audit
finish
