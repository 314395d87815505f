#!/bin/sh
# A false hub on the way: it has a certificate, but not of this city.
. "$(dirname "$0")/../lib/attack.sh"

openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$dir/m.key" -out "$dir/m.crt" -days 9 -subj "/CN=localhost" -addext "subjectAltName=DNS:localhost,IP:127.0.0.1" 2>/dev/null
hub_stop
openssl s_server -accept "127.0.0.1:$port" -cert "$dir/m.crt" -key "$dir/m.key" -tls1_3 -quiet >"$dir/heard" 2>/dev/null &
false_hub=$!
soon grep -qi ":$(printf %04X "$port") .* 0A " /proc/net/tcp # it listens
sql $a "INSERT INTO demand VALUES('d4','噪声','reported',4)"
refuses 12 "certificate" "A says that this is not the city, and sends nothing" agent $a sync
# A new office with a slip: the CA is pinned before the code is sent.
mkdir "$dir/new" && sqlite3 "$dir/new/office.db" "CREATE TABLE t(id INTEGER PRIMARY KEY)"
ok "a new office" agent new init "$dir/new/office.db" --node 520302004004 --app community
slip() { hub node add 520302004004 --app community --name 兰家堡社区 --url "https://127.0.0.1:$port" --slip "$dir/slip" --approve; }
ok "has a slip" slip
refuses 12 "certificate" "it says the same" agent new enrol --slip "$dir/slip"
code=$(sed -n 's/^code //p' "$dir/slip")
unheard() { [ -n "$code" ] && ! grep -qa "$code" "$dir/heard"; }
ok "and the code was not sent" unheard
kill $false_hub 2>/dev/null
wait $false_hub 2>/dev/null
ok "the hub itself is back" hub_start
ok "the slip is still good" agent new enrol --slip "$dir/slip"
unharmed
finish
