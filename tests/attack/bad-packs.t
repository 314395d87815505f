#!/bin/sh
# Hostile packs and requests straight at the hub, with a valid certificate: each is refused in bounded time and memory, nothing stays, the hub serves on.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001

setup() { city_init && hub_start && office $a community 洗马社区 && enrol $a community 洗马社区 && agent $a sync; }
ok "a city with one office" setup
at_rest # the city's word of the first night is among the files
honest=$(git -C "$dir/$a/state/repo.git" rev-parse main)
files() { find "$dir/hub/repos/$a" "$dir/hub/quarantine" -type f | sort | sha256sum; }
before=$(files)
peer() { # peer CURL-ARGS...: with A's certificate
	curl -sS --max-time 60 --cacert "$dir/$a/state/keys/root.crt" --cert "$dir/$a/state/keys/tls.crt" --key "$dir/$a/state/keys/tls.key" "$@"
}
push() { peer -H 'Content-Type: application/x-git-receive-pack-request' --data-binary "@$dir/body" "$url/$a/community.git/git-receive-pack" | tr -d '\000'; }
swept() { [ -z "$(find "$dir/hub/quarantine" -mindepth 1)" ]; } # the worker's folder goes right after its last word
refused() { # refused KIND CODE
	"$bin/tests/tool/badpack" "$1" "$honest" 7777777777777777777777777777777777777777 >"$dir/body" || return 9
	start=$(date +%s)
	push >"$dir/answer"
	took=$(($(date +%s) - start))
	cat "$dir/answer"
	grep -q -e "ng refs/heads/main.*$2" -e "unpack .*$2" "$dir/answer" || { echo "not refused as $2"; return 1; }
	[ "$took" -lt 40 ] || { echo "it took $took s"; return 1; }
	soon swept || return 1
	same "$(git -C "$dir/hub/repos/$a/community.git" rev-parse main) $(files)" "$honest $before"
}
ok "a pack with an impossible object type" refused bad-type bad-format
ok "an object that says 8 GB" refused size-too-large over-limit
ok "an object that says less than it is" refused size-too-small bad-format
ok "2 GB of zeros in 2 MB" refused bomb over-limit
ok "1 GB of zeros that say 100 bytes" refused hidden-bomb bad-format
ok "a delta that makes 3 GB" refused delta-bomb over-limit
ok "a delta without its base" refused missing-base bad-format
ok "the pack that makes libgit2 loop for ever" refused loop bad-format
ok "4,294,967,280 objects" refused count over-limit
ok "a pack cut short" refused truncated bad-format
ok "junk behind the pack" refused trailing bad-format
ok "a pack without the commit it names" refused unknown-tip .

raw() { # raw TEXT BODY-FILE...: an HTTP request that ends in a clear refusal
	want=$1
	shift
	soon swept || return 1 # an office has so many connections, and a worker ends after its last word
	peer -o "$dir/answer" -w '%{http_code}\n' "$@" >"$dir/code"
	cat "$dir/code" "$dir/answer"
	same "$(cat "$dir/code")" "$want"
}
ok "a path outside of the repositories" raw 404 --path-as-is "$url/../../etc/passwd"
ok "a history that is not its own" raw 403 "$url/520303001011/community.git/info/refs?service=git-upload-pack"
ok "an unknown service" raw 404 "$url/$a/community.git/info/refs?service=git-evil"
ok "a method that nobody needs" raw 405 -X DELETE "$url/$a/community.git/info/refs"
ok "a head of 20 kB" raw 431 -H "X-Long: $(head -c 20000 /dev/zero | tr '\0' a)" "$url/"
printf 'nonsense' >"$dir/body"
ok "a body that is no pkt-line" raw 400 -H 'Content-Type: application/x-git-receive-pack-request' --data-binary "@$dir/body" "$url/$a/community.git/git-receive-pack"
enrol_post() { curl -sS --cacert "$dir/$a/state/keys/root.crt" -o "$dir/answer" -w '%{http_code}' --data-binary "@$dir/body" "$url/enrol"; }
no_enrol() { c=$(enrol_post); cat "$dir/answer"; case $c in 400 | 403) ;; *) same "$c" "400 or 403" ;; esac; }
ok "an enrolment that is nonsense" no_enrol
soon swept
ok "the hub still serves the honest office" agent $a sync
ok "no quarantine is left behind" soon swept
ok "and proves all" hub audit
finish
