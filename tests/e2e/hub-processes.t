#!/bin/sh
# The hub's processes and its wire: who may do what, what a killed process leaves, how the hub starts and ends.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
ca=$dir/$a/state/keys/root.crt

as_a() { curl -sS --cacert "$ca" --cert "$dir/$a/state/keys/tls.crt" --key "$dir/$a/state/keys/tls.key" "$@"; }
anybody() { curl -sS --cacert "$ca" "$@"; }
status_is() { # status_is CODE COMMAND...
	want=$1
	shift
	same "$("$@" -o /dev/null -w '%{http_code}')" "$want"
}
children() { pgrep -P "$hub_pid"; }

mkdir -p "$dir/hub"
rmdir "$dir/hub"
ok "a city is made" city_init
mkdir -p "$dir/hub/quarantine/w1/pack" && echo x >"$dir/hub/quarantine/w1/pack/left"
ok "the hub listens" hub_start
swept() { same "$(ls "$dir/hub/quarantine")" ""; }
ok "what an earlier life left in quarantine is gone" swept
refuses 11 "serves this folder" "a second hub on the same folder is refused" hub serve --listen 127.0.0.1:0
ok "office A" office $a community 洗马社区
ok "enrols" enrol $a community 洗马社区
ok "and syncs" agent $a sync
repo=$url/$a/community.git

# Routes
ok "anybody may read the first page" status_is 200 anybody "$url/"
ok "nobody without a certificate reads a history" status_is 403 anybody "$repo/info/refs?service=git-upload-pack"
ok "nor the checkpoint" status_is 403 anybody "$url/checkpoint"
ok "an office reads the checkpoint" status_is 200 as_a "$url/checkpoint"
tile_root() { # the leaf hashes, hashed up by other hands, are the root that the checkpoint signs
	as_a "$url/checkpoint" >"$dir/note" && size=$(sed -n 2p "$dir/note") && as_a "$url/tile/0/000.p/$size" >"$dir/tile" &&
		same "$(python3 -c '
import hashlib, sys
h = open(sys.argv[1], "rb").read()
def root(l):
    if len(l) == 1: return l[0]
    k = 1
    while k * 2 < len(l): k *= 2
    return hashlib.sha256(b"\1" + root(l[:k]) + root(l[k:])).digest()
import base64
print(base64.b64encode(root([h[i:i+32] for i in range(0, len(h), 32)])).decode())' "$dir/tile")" "$(sed -n 3p "$dir/note")"
}
ok "(all is published)" at_rest
ok "an office proves the checkpoint from the hash tiles" tile_root
ok "but does not read the leaves" status_is 403 as_a "$url/tile/entries/000.p/1"
ok "nobody reads a tile without a certificate" status_is 403 anybody "$url/tile/0/000.p/1"
ok "a log ends where it ends" status_is 404 as_a "$url/tile/0/000"
ok "an office reads its own history" status_is 200 as_a "$repo/info/refs?service=git-upload-pack"
ok "and no other" status_is 403 as_a "$url/$a/other.git/info/refs?service=git-upload-pack"
ok "there is nothing else" status_is 404 as_a "$repo/HEAD"
ok "a path has one name" status_is 404 as_a --path-as-is "$url/$a/x/../community.git/info/refs?service=git-upload-pack"
ok "another method is refused" status_is 405 as_a -X DELETE "$url/"
ok "both lengths are refused" status_is 400 as_a -H 'Transfer-Encoding: chunked' -H 'Content-Length: 4' --data 0000 "$repo/git-receive-pack"
too_large() { head -c 40000 /dev/zero | anybody --data-binary @- "$url/enrol"; }
refuses 0 "over-limit" "a large enrolment is refused with its reason" too_large
pack_type='Content-Type: application/x-git-receive-pack-request'
probe() { as_a -H "$pack_type" --data 0000 "$repo/git-receive-pack" -o "$dir/probe" -w '%{http_code}' && same "$(wc -c <"$dir/probe")" 0; }
refuses 0 200 "git's probe gets an empty answer" probe
wild_want() {
	printf '0032want 1234567890123456789012345678901234567890\n00000009done\n' |
		as_a -H 'Content-Type: application/x-git-upload-pack-request' --data-binary @- "$repo/git-upload-pack"
}
refuses 0 "not our ref" "only advertised commits are served" wild_want

# A worker, seen from outside: an open connection that says nothing.
soon swept
(sleep 30 | openssl s_client -connect "127.0.0.1:$port" -quiet >/dev/null 2>&1) &
idle=$!
has_worker() { [ -n "$(ls "$dir/hub/quarantine")" ]; }
soon has_worker
worker=$(ls "$dir/hub/quarantine" | sed 's/^w//')
held_down() { grep -q '^NoNewPrivs:.*1' "/proc/$worker/status" && { [ -n "${ASAN_OPTIONS:-}" ] || grep -q '^Seccomp:.*2' "/proc/$worker/status"; }; }
ok "a worker has no new privileges and a filter" soon held_down
own_place() { [ -d "$dir/hub/quarantine/w$worker" ]; }
ok "a worker has its own quarantine" own_place
kill -KILL "$worker"
ok "a killed worker leaves nothing" soon swept
kill "$idle" 2>/dev/null

# Keeper, enrolment, merger: each death is mended.
serves_now() { as_a "$repo/info/refs?service=git-upload-pack" -o /dev/null -w '%{http_code}' 2>/dev/null | grep -q 200; }
serves() { soon serves_now; }
three() { same "$(children | wc -l)" 3; }
dies() { # dies N: of the three, in the order in which they were started; all three are started again
	soon three && victim=$(children | sort -n | sed -n "$1p") && kill -KILL "$victim" && soon ended "$victim" && serves
}
for i in 1 2 3; do
	ok "the hub goes on after the death of process $i of 3" dies $i
done
ok "three lasting processes run" soon three
sql $a "INSERT INTO demand VALUES('d3','停水','reported',3);"
ok "and the office still syncs" agent $a sync
ok "into the city" eventually 停水 community "SELECT title FROM demand WHERE id='d3'"

# Certificates of the hub
kill -HUP "$hub_pid"
ok "the TLS certificate is read again" serves
cp "$dir/hub/keys/hub-tls.crt" "$dir/kept.crt"
echo "no certificate" >"$dir/hub/keys/hub-tls.crt"
kill -HUP "$hub_pid"
old_kept() { grep -q "old TLS certificate stays" "$dir/serve.log"; }
ok "a damaged one is told" soon old_kept
ok "and leaves the old one in use" serves
cp "$dir/kept.crt" "$dir/hub/keys/hub-tls.crt"

# One connection, a revocation between two requests.
printf 'GET /%s/community.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: hub\r\n\r\n' $a >"$dir/get"
{
	cat "$dir/get"
	soon grep -a -q 'HTTP/1.1 200' "$dir/kept.out"
	hub node revoke $a --app community --reason stolen >"$dir/revoke.out" 2>&1
	cat "$dir/get"
	soon grep -a -q 'HTTP/1.1 403' "$dir/kept.out"
} | openssl s_client -connect "127.0.0.1:$port" -quiet -CAfile "$ca" -cert "$dir/$a/state/keys/tls.crt" -key "$dir/$a/state/keys/tls.key" >"$dir/kept.out" 2>/dev/null
revoked_midway() { same "$(grep -a -o 'HTTP/1.1 [0-9]*' "$dir/kept.out" | tr '\n' ' ')" "HTTP/1.1 200 HTTP/1.1 403 "; }
ok "a revocation acts at the next request of a kept connection" revoked_midway

# -q and -v reach every process. (The rest of the tests reads its messages of the ordinary level.)
words_of() { # words_of LEVEL-OPTION: what a hub says that starts, is asked once, and ends
	mkdir "$dir/quiet" && "$bin/tributary-hub" --state "$dir/quiet" init --city 静 --listen 127.0.0.1:0 --host 127.0.0.1 >/dev/null 2>&1 || return 1
	"$bin/tributary-hub" --state "$dir/quiet" $1 serve >/dev/null 2>"$dir/quiet.log" &
	quiet_pid=$!
	soon test -s "$dir/quiet/run/listen"
	echo | openssl s_client -connect "$(cat "$dir/quiet/run/listen")" -quiet >/dev/null 2>&1
	printf 'no TLS at all' | timeout 2 curl -s --data-binary @- "telnet://$(cat "$dir/quiet/run/listen")" >/dev/null 2>&1
	soon only_three # their workers have said what they have to say, and ended
	kill "$quiet_pid"
	wait "$quiet_pid" 2>/dev/null
	rm -rf "$dir/quiet"
	cat "$dir/quiet.log"
}
only_three() { same "$(pgrep -P "$quiet_pid" | wc -l)" 3; }
is_quiet() { words_of -q && ! grep -e ' info: ' -e ' debug: ' "$dir/quiet.log"; }
ok "a quiet hub's children are quiet" is_quiet
is_plain() { words_of "" >/dev/null && grep -q 'hub/worker info: ' "$dir/quiet.log"; }
ok "they speak by default" is_plain

# The end
soon swept
(sleep 30 | openssl s_client -connect "127.0.0.1:$port" -quiet >/dev/null 2>&1) &
idle=$!
soon has_worker
worker=$(ls "$dir/hub/quarantine" | sed 's/^w//')
kill -TERM "$hub_pid"
wait "$hub_pid"
rc=$?
hub_pid=
kill "$idle" 2>/dev/null
ok "SIGTERM ends the hub with status 0" same $rc 0
# It ends by itself. One that does not is killed when a running request's time is over, and the hub's log says so.
undelayed() { [ -n "$worker" ] && grep -q 'ending; 1 connections' "$dir/serve.log" && ! grep "worker $worker was ended by signal" "$dir/serve.log"; }
ok "an idle connection does not delay it" undelayed
gone() { [ ! -e "$dir/hub/run/listen" ]; }
ok "no address is left that nobody serves" gone
ok "nothing is left in quarantine" swept
ok "the hub starts again" hub_start
finish
