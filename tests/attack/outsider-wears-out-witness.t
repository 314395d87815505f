#!/bin/sh
# Strangers send a witness what it should not take, hold its connections, and replay what they saw: it cosigns for its logs as before.
. "$(dirname "$0")/../lib/attack.sh"

ok "a province witnesses the log" province_init
ok "(the log has come to rest)" at_rest
ok "and cosigns it" hub witness ask
post() { curl -s --max-time 20 -o "$dir/answer" -w '%{http_code}\n' --data-binary "@$1" "$province_url/add-checkpoint"; }
answers() { # answers STATUS FILE NAME
	ok "$3: $1" same "$(post "$2")" "$1"
}
kept() { find "$dir/province/logs" -type f ! -name '*.lock' | sort | xargs sha256sum | sha256sum; }
before=$(kept)
printf 'old 0\n\n' >"$dir/req" && cat "$dir/hub/checkpoint" >>"$dir/req"
answers 409 "$dir/req" "the log's own checkpoint, replayed by a stranger"
ok "it learns the size, no more" grep -qx '[0-9]*' "$dir/answer"
sed '4s/.*/999/' "$dir/req" >"$dir/bad"
answers 403 "$dir/bad" "another size under the same signature"
sed '3s/.*/elsewhere\/1/' "$dir/req" >"$dir/bad"
answers 404 "$dir/bad" "a log that it does not know"
printf 'old 7\n' >"$dir/bad"
answers 400 "$dir/bad" "half a request"
head -c 1000000 /dev/zero >"$dir/bad"
answers 413 "$dir/bad" "a megabyte"
ok "nothing of it is kept" same "$(kept)" "$before"
files() { same "$(ls "$dir/province/logs" | grep -c .)" 2; }
ok "and no file was made" files
cat >"$dir/hold.py" <<'END'
import socket, sys, time
host, port = sys.argv[1].split(":")
held = []
for i in range(60):
    s = socket.create_connection((host, int(port)))
    s.send(b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\n")
    held.append(s)
print("held", flush=True)
time.sleep(120)
END
python3 "$dir/hold.py" "${province_url#http://}" >"$dir/held" &
holder=$!
soon grep -q held "$dir/held"
bounded() { [ "$(pgrep -P "$province_pid" | wc -l)" -le 8 ]; }
ok "sixty half requests of one address hold eight processes at most" bounded
sql $a "INSERT INTO demand VALUES('d4','噪声','reported',4)"
ok "offices notice nothing" agent $a sync
kill $holder
wait $holder 2>/dev/null
nobody() { ! pgrep -P "$province_pid"; }
ok "those processes go with it" soon nobody # until then the hub, of the same address, is one too many
published
ok "the hub is cosigned" hub witness ask
ok "and all is proven" hub audit --witness "$province"
finish
