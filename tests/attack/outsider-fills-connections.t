#!/bin/sh
# Somebody opens connections, more than the hub has workers, and says nothing, or one byte now and then.
. "$(dirname "$0")/../lib/attack.sh"

# drip.py PORT ADDRESS N: holds N connections from an address open until it is killed and drips bytes into them; what the hub closes is opened again.
cat >"$dir/drip.py" <<'PY'
import socket, sys, time
port, address, n = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
held = []
while True:
    while len(held) < n:
        s = socket.socket()
        s.setblocking(False)
        s.bind((address, 0))
        s.connect_ex(("127.0.0.1", port))
        held.append([s, b"\x16\x03\x01\x02\x00\x01"])
    for c in list(held):
        try:
            if c[1]:
                c[0].send(c[1][:1])
                c[1] = c[1][1:]
            elif c[0].recv(1) == b"":
                raise OSError
        except BlockingIOError:
            pass
        except OSError:
            held.remove(c)
    time.sleep(0.2)
PY
hold() {
	python3 "$dir/drip.py" "$port" "$@" >/dev/null 2>&1 &
	drip=$!
	soon crowded
}
let_go() {
	kill "$drip" 2>/dev/null
	wait "$drip" 2>/dev/null
	soon alone # those that stood in the queue are dead connections now, but each has its turn
}
crowded() { [ "$(workers)" -ge 16 ]; }
alone() { [ "$(workers)" -le 3 ]; }
workers() { pgrep -c -P "$hub_pid"; }
bounded() { # 16 strangers of one address; keeper, enrolment, merger; A. Those whose time is over go all at once, and others come in their place.
	soon many || return 1
	w=$(workers)
	[ "$w" -le 20 ] || { echo "$w workers"; return 1; }
}
many() { [ "$(workers)" -ge 10 ]; }
# As long as it took when nobody disturbed it, ten times; five seconds at least: a stranger's time is longer.
begun=$(date +%s)
ok "A syncs undisturbed" agent $a sync
patience=$((5 + 10 * ($(date +%s) - begun)))
hold 127.0.0.2 400
ok "connections stand open, and one address has no more than its share" bounded
sql $a "INSERT INTO demand VALUES('d4','噪声','reported',4)"
ok "A syncs meanwhile, without delay" timeout $patience "$bin/tributary-agent" --state "$dir/$a/state" sync
let_go
hold 127.0.0.1 40
sql $a "INSERT INTO demand VALUES('d5','垃圾','reported',5)"
ok "behind the same address too, in its turn" timeout 60 "$bin/tributary-agent" --state "$dir/$a/state" sync
ok "still one address's share" bounded
let_go
unharmed
finish
