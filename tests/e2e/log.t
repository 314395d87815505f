#!/bin/sh
# The log as outsiders see it: files for auditors and administrators, what administrators do, who was silent in a night.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001

as() { # as USER CURL-ARGS...
	who=$1
	shift
	curl -sS --cacert "$dir/$who/root.crt" --cert "$dir/$who/tls.crt" --key "$dir/$who/tls.key" "$@"
}
status_is() {
	want=$1
	shift
	same "$("$@" -o /dev/null -w '%{http_code}')" "$want"
}
# The leaves as an auditor reads them: bundles only.
leaves() {
	as auditor "$url/checkpoint" >"$dir/note" || return 1
	size=$(sed -n 2p "$dir/note")
	as auditor "$url/tile/entries/000.p/$size" >"$dir/bundle" || return 1
	python3 -c '
import sys
b = open(sys.argv[1], "rb").read()
while b:
    n = b[0] << 8 | b[1]
    sys.stdout.write(b[2:2 + n].decode() + "\n")
    b = b[2 + n:]' "$dir/bundle" >"$dir/leaves"
}
published() { # waits until a leaf that matches is published
	tries=0
	until leaves && grep -q "$1" "$dir/leaves"; do
		tries=$((tries + 1))
		[ $tries -lt 600 ] || { cat "$dir/leaves"; return 1; }
		sleep 0.1
	done
}

ok "a city is made" city_init
ok "an auditor" hub user add wang --role auditor --out "$dir/auditor"
ok "an administrator" hub user add li --role administrator --out "$dir/admin"
refuses 2 "already" "no folder is written over" hub user add wang --role auditor --out "$dir/auditor"
refuses 2 "role" "another role is refused" hub user add x --role mayor --out "$dir/x"
openssl ecparam -name prime256v1 -genkey -noout -out "$dir/own.key" 2>/dev/null
openssl req -new -key "$dir/own.key" -subj /CN=x -out "$dir/own.csr" 2>/dev/null
ok "a key of one's own" hub user add zhao --role auditor --out "$dir/own" --csr "$dir/own.csr"
no_key() { [ ! -e "$dir/own/tls.key" ] && cp "$dir/own.key" "$dir/own/tls.key"; }
ok "never comes to the hub" no_key
ok "the hub listens" hub_start
ok "office A" office $a community 洗马社区
ok "enrols" enrol $a community 洗马社区
ok "and syncs" agent $a sync

repo=$url/$a/community.git
ok "the auditor reads the checkpoint" status_is 200 as auditor "$url/checkpoint"
ok "and every history" status_is 200 as auditor "$repo/info/refs?service=git-upload-pack"
ok "and pushes to none" status_is 403 as auditor "$repo/info/refs?service=git-receive-pack"
ok "so does the administrator" status_is 403 as admin "$repo/info/refs?service=git-receive-pack"
ok "the one with an own key too" status_is 200 as own "$repo/info/refs?service=git-upload-pack"
ok "stock git clones with an auditor's certificate" git -c http.sslCert="$dir/auditor/tls.crt" -c http.sslKey="$dir/auditor/tls.key" -c http.sslCAInfo="$dir/auditor/root.crt" \
	clone -q --bare "$repo" "$dir/clone.git"
refuses 0 "only an office" "a person does not renew" as auditor --data x "$url/renew"

ok "the leaves reach the auditor" published '^kind merged'
every_kind() {
	for k in log-open policy person enrolled held merged act; do grep -q "^kind $k\$" "$dir/leaves" || { echo "no $k"; return 1; }; done
}
ok "of every kind that had a cause" every_kind
ok "the policy that a leaf names is served" status_is 200 as auditor "$url/named/$(sed -n '/^kind policy/,/^$/s/^sha256 //p' "$dir/leaves")"
ok "a text that nothing names is not" status_is 404 as auditor "$url/named/$(printf %064d 7)"
acts() { same "$(grep '^what ' "$dir/leaves" | tr '\n' ' ')" "what user-add what user-add what user-add what node-add what node-ask "; }
ok "administrators' acts are in the log" acts

ok "restoring" hub restore --node $a --app community --at latest --to "$dir/restored.db"
ok "is in the log" published '^what restore'
ok "revoking the auditor" hub user revoke wang --reason left-office
revoked() { hub user list | grep wang | grep -q revoked; }
ok "is listed" revoked
ok "acts at once" status_is 403 as auditor "$url/checkpoint"
ok "and on no other" status_is 200 as own "$url/checkpoint"
rm -rf "$dir/auditor" && mv "$dir/own" "$dir/auditor"
ok "and is in the log" published '^kind person-revoked'
hub_stop
before() { rm -rf "$dir/log" && cp -r "$dir/hub/log" "$dir/log"; }
ok "rebuilding" hub rebuild
ok "keeps what is published" before
rm -rf "$dir/hub/log/tile" "$dir/hub/log/checkpoint"
ok "rebuilding after the files are gone" hub rebuild
# The signed checkpoint itself
cp "$dir/hub/checkpoint" "$dir/signed"
shown() { same "$(hub checkpoint show | sed -n 2p)" "$(sed -n 2p "$dir/hub/log/checkpoint")"; }
mends() { # mends NAME: it is signed anew, and all is proven
	ok "$1: rebuild signs it anew" hub rebuild
	ok "$1: and all is proven" hub audit
}
rm "$dir/hub/checkpoint"
refuses 15 "the signed checkpoint" "the checkpoint is lost: the audit says so" hub audit
mends "lost"
head -c 40 "$dir/signed" >"$dir/hub/checkpoint"
mends "cut"
echo xyz >"$dir/hub/checkpoint"
ok "garbled: the published one is shown" shown
echo xyz >"$dir/hub/log/checkpoint"
refuses 15 "tributary-hub rebuild" "both are: there is nothing to show" hub checkpoint show
refuses 15 "tributary-hub recover" "and nothing to rebuild by" hub rebuild
cp "$dir/signed" "$dir/hub/checkpoint"
ok "an older one is good enough" hub rebuild
rm "$dir/hub/log/named/$(sha256sum "$dir/hub/policy.conf" | cut -c 1-64)"
ok "the policy's text is lost" hub rebuild
ok "rebuild writes it again" hub audit
prefix() { # the leaves of before are a beginning of those of now
	python3 - "$dir/log" "$dir/hub/log" <<'END'
import glob, sys
old, new = (open(glob.glob(d + "/tile/entries/000.p/*")[0], "rb").read() for d in sys.argv[1:3])
sys.exit(not (new.startswith(old) and new != old))
END
}
ok "gives the same files, and the act" prefix
ok "all is proven" hub audit
finish
