#!/bin/sh
# The city's policy changes while a push is on its way, and between two requests of one connection: nothing is taken by a policy that is not in force any more.
. "$(dirname "$0")/../lib/attack.sh"
policy=$dir/hub/policy.conf
is_logged() { same "$(hubsql "SELECT CAST(bytes AS TEXT) FROM leaf" | grep -a -A3 '^kind policy$' | sed -n 's/^sha256 //p' | tail -n 1)" "$(sha256sum <"$policy" | cut -d' ' -f1)"; }
# body ID: what stock git would send of an office's newest commit, in $dir/body
body() {
	printf '%s\n^%s\n' "$(head_of $1)" "$(git -C "$(repo $1)" rev-parse main)" | git -C "$dir/$1/state/repo.git" pack-objects -q --revs --stdout >"$dir/pack" &&
		python3 -c 'import sys
line = b"%s %s refs/heads/main\0 report-status" % (sys.argv[1].encode(), sys.argv[2].encode())
sys.stdout.buffer.write(b"%04x%s0000" % (len(line) + 4, line) + open(sys.argv[3], "rb").read())' "$(git -C "$(repo $1)" rev-parse main)" "$(head_of $1)" "$dir/pack" >"$dir/body" && [ -s "$dir/pack" ]
}

# On its way: the hub has read the head of the request and a part of the pack.
sql $b "INSERT INTO points VALUES(100, 'x', 1, randomblob(400000))"
ok "B commits" agent $b commit
ok "what it would push" body $b
size=$(wc -c <"$dir/body")
cp "$policy" "$dir/policy1"
arrives() { [ -n "$(find "$dir/hub/quarantine" -type f -size +64k)" ]; }
in_flight() {
	{
		head -c $((size / 2)) "$dir/body"
		soon arrives >"$dir/arrived" && printf '[table "nowhere"]\n\tprivate = x\n' >>"$policy" && soon is_logged >>"$dir/arrived" && touch "$dir/changed"
		tail -c +$((size / 2 + 1)) "$dir/body"
	} | as $b -H 'Content-Type: application/x-git-receive-pack-request' -H 'Transfer-Encoding: chunked' -H 'Expect:' -X POST -T - "$url/$b/community.git/git-receive-pack" >"$dir/status"
	cat "$dir/arrived" "$dir/status"
	tr -d '\000' <"$dir/answer"
	[ -e "$dir/changed" ] && grep -aq "the city's policy changed while this push was judged; nothing was changed; push again" "$dir/answer"
}
before="$(git -C "$(repo $b)" rev-parse main) $(kept)"
ok "the policy changes while B's push is on its way: it is told to push again" in_flight
ok "nothing of it stays" same "$(git -C "$(repo $b)" rev-parse main) $(kept)" "$before"
ok "B pushes again" agent $b sync
ok "and is in the city" eventually 1 community "SELECT count(*) FROM points WHERE _node='$b' AND id=100"
after_policy() { [ "$(hubsql "SELECT max(idx) FROM leaf WHERE CAST(bytes AS TEXT) LIKE '%kind policy%'")" -lt "$(hubsql "SELECT max(idx) FROM held")" ]; }
ok "its leaf is after the policy's" after_policy

# One connection: the first request under one policy, the second under the next. Nobody but this request makes the hub look.
sql $a "INSERT INTO demand VALUES('d5','秘密','reported',5)"
ok "A commits" agent $a commit
ok "what it would push" body $a
answers() { [ "$(grep -a -c 'HTTP/1.1 200' "$dir/kept.out")" -ge "$1" ]; }
kept_alive() {
	rm -f "$dir/kept.out"
	{
		printf 'GET /%s/community.git/info/refs?service=git-receive-pack HTTP/1.1\r\nHost: hub\r\n\r\n' $a
		soon answers 1 >/dev/null
		printf '[table "demand"]\n\tprivate = title\n' >>"$policy"
		printf 'POST /%s/community.git/git-receive-pack HTTP/1.1\r\nHost: hub\r\nConnection: close\r\nContent-Type: application/x-git-receive-pack-request\r\nContent-Length: %s\r\n\r\n' $a "$(wc -c <"$dir/body")"
		cat "$dir/body"
		soon answers 2 >/dev/null
		soon grep -a -q 'ng refs/heads/main' "$dir/kept.out"
	} | openssl s_client -connect "127.0.0.1:$port" -quiet -CAfile "$dir/$a/state/keys/root.crt" -cert "$dir/$a/state/keys/tls.crt" -key "$dir/$a/state/keys/tls.key" >"$dir/kept.out" 2>/dev/null
	tr -d '\000' <"$dir/kept.out"
	answers 2 && grep -aq "shows demand.title, which is private by the city's policy" "$dir/kept.out"
}
before="$(tip $a)"
ok "the next request of a kept connection is judged by the new policy" kept_alive
ok "nothing was taken" same "$(tip $a)" "$before"
ok "the new policy is logged" is_logged
sha=$(sha256sum "$policy" | cut -c 1-64)
rm "$dir/hub/log/named/$sha"
ok "its text is lost, and the hub writes it again" soon test -f "$dir/hub/log/named/$sha"
ok "A does what it is told" agent $a config set private demand.title
ok "and is heard" agent $a sync
ok "all is proven" proven_at_rest
finish
