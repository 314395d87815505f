# harness.sh: what end-to-end tests share: TAP lines, and real cities in a scratch folder. Source it from the repository's top.
#
#   plan_at_end; ok NAME COMMAND...; refuses STATUS TEXT NAME COMMAND...; finish
#   city_init; hub_start; hub_stop; office ID APP NAME; enrol ID APP NAME; agent ID ARGS...; hub ARGS...
#   soon COMMAND...; eventually VALUE APP SQL; published; at_rest: wait for a state
# Every process is real: hub and agents of $BUILD, stock git, sqlite3. The scratch folder and all processes go at exit.

top=${top:-$(cd "$(dirname "$0")/../.." && pwd)}
case ${BUILD:-build} in
/*) bin=$BUILD ;;
*) bin=$top/${BUILD:-build} ;;
esac
dir=$(mktemp -d) || exit 1
n=0
failed=0
hub_pid=
GIT_CONFIG_NOSYSTEM=1
GIT_CONFIG_GLOBAL=/dev/null
export GIT_CONFIG_NOSYSTEM GIT_CONFIG_GLOBAL
unset TRIBUTARY_STATE TRIBUTARY_CONFIG TRIBUTARY_CA TRIBUTARY_AT TRIBUTARY_CLOCK_OFFSET TRIBUTARY_CRASH_AT GIT_SSL_CAINFO

cleanup() {
	hub_stop
	province_stop
	[ -n "${KEEP_SCRATCH:-}" ] || rm -rf "$dir"
}
trap cleanup EXIT
trap 'exit 1' INT TERM HUP

say_out() { sed 's/^/# /' "$dir/out" | head -n 60; }

# ok NAME COMMAND...: passes when the command exits 0.
ok() {
	n=$((n + 1))
	name=$1
	shift
	if "$@" >"$dir/out" 2>&1; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name (exit $?)"
		failed=1
		say_out
	fi
}

# refuses STATUS TEXT NAME COMMAND...: passes when the command exits with exactly STATUS (a crash is no refusal) and says TEXT.
refuses() {
	n=$((n + 1))
	want=$1
	text=$2
	name=$3
	shift 3
	"$@" >"$dir/out" 2>&1
	got=$?
	if [ "$got" -eq "$want" ] && grep -q -e "$text" "$dir/out"; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name (exit $got instead of $want, or it does not say: $text)"
		failed=1
		say_out
	fi
}

# Other processes are at work on the same files: whoever is first to open a -wal, or last to close it, locks all others out for a moment.
# A program without patience, or one that is killed by its number, is `command sqlite3`.
sqlite3() { command sqlite3 -cmd '.timeout 30000' "$@"; }

same() { [ "$1" = "$2" ] || { echo "got:    $1"; echo "wanted: $2"; return 1; }; }

finish() {
	echo "1..$n"
	exit $failed
}

hub() { "$bin/tributary-hub" --state "$dir/hub" "$@"; }
agent() { # agent ID ARGS...
	who=$1
	shift
	"$bin/tributary-agent" --state "$dir/$who/state" "$@"
}

city_init() { hub init --city 遵义 --listen 127.0.0.1:0 --host localhost,127.0.0.1 >"$dir/init.out" 2>&1; }

# Starts the hub on a free port, or on the one that it had; waits until it listens (at most 60 s), sets $port.
hub_start() {
	hub_tries=0
	until hub_listens; do
		hub_tries=$((hub_tries + 1))
		# While this hub was down another test may have been given its port: that one ends.
		[ $hub_tries -lt 60 ] && [ -z "$hub_pid" ] && tail -n 5 "$dir/serve.log" | grep -q 'Address already in use' || { cat "$dir/serve.log"; return 1; }
		sleep 1
	done
	port=$(sed 's/.*://' "$dir/hub/run/listen")
	url=https://127.0.0.1:$port
}

hub_listens() { # without $hub_pid: it ended
	rm -f "$dir/hub/run/listen"
	"$bin/tributary-hub" --state "$dir/hub" serve --listen "127.0.0.1:${port:-0}" >"$dir/serve.out" 2>>"$dir/serve.log" &
	hub_pid=$!
	tries=0
	while [ ! -s "$dir/hub/run/listen" ]; do
		kill -0 "$hub_pid" 2>/dev/null || { hub_pid=; return 1; }
		tries=$((tries + 1))
		[ $tries -lt 600 ] || return 1
		sleep 0.1
	done
}

hub_stop() {
	[ -n "$hub_pid" ] || return 0
	kill "$hub_pid" 2>/dev/null
	wait "$hub_pid" 2>/dev/null
	hub_pid=
}

# The hub and all its processes die at once, as in a power cut.
hub_kill() {
	kill -STOP "$hub_pid" 2>/dev/null # it starts no other process meanwhile
	hub_all=$(pgrep -P "$hub_pid")
	# shellcheck disable=SC2086 # numbers
	kill -KILL "$hub_pid" $hub_all 2>/dev/null
	wait "$hub_pid" 2>/dev/null
	hub_pid=
	soon ended $hub_all
}
ended() { # ended PID...: a container may lack an init that reaps: Z has ended
	for p; do
		case $(cut -d' ' -f3 "/proc/$p/stat" 2>/dev/null) in '' | Z) ;; *) echo "$p still runs"; return 1 ;; esac
	done
}

# An outside witness of this city's log, asked by the hub: sets $province (its verifier key) and $province_url.
province_pid=
province_init() {
	hub witness init "$dir/province" province.example/w >"$dir/province.key" 2>/dev/null && province=$(cat "$dir/province.key") &&
		hub witness trust "$dir/province" "$(hub witness log-key)" && province_start && hub witness add "$province_url" "$province"
}
province_start() { # province_start [ARG...]
	rm -f "$dir/province.out" # what the one before said is not taken for its
	"$bin/tributary-hub" witness serve "$dir/province" --listen "127.0.0.1:${province_port:-0}" "$@" >"$dir/province.out" 2>>"$dir/province.log" &
	province_pid=$!
	tries=0
	while ! grep -qs listening "$dir/province.out"; do
		kill -0 "$province_pid" 2>/dev/null || { cat "$dir/province.log"; return 1; }
		tries=$((tries + 1))
		[ $tries -lt 600 ] || return 1
		sleep 0.1
	done
	province_url=$(sed -n 's/.* listening on //p' "$dir/province.out")
	province_port=${province_url##*:}
}
province_stop() {
	[ -n "$province_pid" ] || return 0
	kill "$province_pid" 2>/dev/null
	wait "$province_pid" 2>/dev/null
	province_pid=
}

# An office with a small database that a plain program (the sqlite3 shell) writes.
office() { # office ID APP NAME
	mkdir -p "$dir/$1"
	sqlite3 "$dir/$1/office.db" "
		CREATE TABLE demand(id TEXT PRIMARY KEY, title TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'reported', n INTEGER);
		CREATE TABLE points(id INTEGER PRIMARY KEY, person TEXT, points INTEGER, note BLOB);
		CREATE TABLE journal(line TEXT);
		INSERT INTO demand VALUES('d1','路灯不亮','reported',1),('d2','屋顶漏水','reported',NULL);
		INSERT INTO points VALUES(1,'王**',5,x'00ff'),(2,'李**',-3,NULL);
		INSERT INTO journal VALUES('同一行'),('同一行'),(NULL);"
	agent "$1" init "$dir/$1/office.db" --node "$1" --app "$2" --name "$3"
}

enrol() { # enrol ID APP NAME: with a slip that is approved in advance
	hub node add "$1" --app "$2" --name "$3" --url "$url" --slip "$dir/$1/slip" --approve &&
		agent "$1" enrol --slip "$dir/$1/slip"
}

sql() { # sql ID SQL: the application writes
	sqlite3 "$dir/$1/office.db" "$2"
}

city() { sqlite3 -readonly "$dir/hub/city/$1.db" "$2"; } # city APP SQL

# Waits for a state, not for a time: until the command exits 0, at most 60 s (SOON tenths of a second); then says what it said.
soon() { # soon COMMAND...
	tries=0
	until "$@" >"$dir/soon" 2>&1; do
		tries=$((tries + 1))
		[ $tries -lt "${SOON:-600}" ] || { cat "$dir/soon"; return 1; }
		sleep 0.1
	done
}

# Until the city database shows what is asked: eventually VALUE APP SQL.
eventually() { soon city_shows "$@"; }
city_shows() { same "$(city "$2" "$3")" "$1"; }

# Until the published log has every leaf: it follows within about two seconds.
published() { soon all_published; }
all_published() { same "$(sed -n 2p "$dir/hub/log/checkpoint")" "$(sqlite3 -readonly "$dir/hub/hub.db" "SELECT count(*) FROM leaf")"; }

# Until the hub has nothing left to do by itself: all is merged, its verdicts are logged and told, all leaves are published. What the city database
# shows is the first of these steps; hub.db, the repositories and the log follow.
at_rest() { soon nothing_to_do; }
nothing_to_do() {
	same "$(sqlite3 -readonly "$dir/hub/hub.db" "SELECT (SELECT count(*) FROM held WHERE merged_at IS NULL AND out_of_step IS NULL),
		(SELECT count(*) FROM due JOIN history USING(node, app)), (SELECT count(*) FROM leaf)")" "0|0|$(sed -n 2p "$dir/hub/log/checkpoint")"
}

# Stock git with an office's TLS certificate.
office_git() { # office_git ID GIT-ARGS...
	who=$1
	shift
	git -c http.sslCert="$dir/$who/state/keys/tls.crt" -c http.sslKey="$dir/$who/state/keys/tls.key" -c http.sslCAInfo="$dir/$who/state/keys/root.crt" \
		-c gpg.format=x509 -c gpg.x509.program="$top/certs/tributary-verify" -c tributary.ca="$dir/$who/state/keys/root.crt" "$@"
}
