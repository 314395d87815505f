#!/bin/sh
# --config FILE: defaults of options; the command line and the environment win; what is wrong in it is named, and nothing is done.
. "$(dirname "$0")/../lib/harness.sh"
LC_ALL=C.UTF-8
export LC_ALL
hub_c() { "$bin/tributary-hub" --config "$dir/hub.conf" "$@"; }
agent_c() { "$bin/tributary-agent" --config "$dir/agent.conf" "$@"; }
says() { text=$1; shift; "$@" >"$dir/said" 2>&1; rc=$?; cat "$dir/said"; [ $rc -eq 0 ] && grep -q -e "$text" "$dir/said"; }

mkdir "$dir/with a blank"
cat >"$dir/hub.conf" <<-END
	# the hub of Zunyi
	state $dir/with a blank/hub

	init.listen 127.0.0.1:0
	init.host localhost,127.0.0.1
	node-add.app community
END
ok "a city is made where the file says, blanks and all" hub_c init --city 遵义
ok "it is there" test -f "$dir/with a blank/hub/hub.conf"
hosts() { grep -qx 'listen 127.0.0.1:0' "$dir/with a blank/hub/hub.conf" && grep -qx 'host localhost' "$dir/with a blank/hub/hub.conf"; }
ok "with the file's listen and host" hosts
ok "a community is expected, with the file's app" says 'n1/community' hub_c node add n1 --name N1 --url https://localhost:1 --slip "$dir/slip"
ok "the command line wins" says 'n2/points' hub_c node add n2 --app points --name N2 --url https://localhost:1 --slip "$dir/slip2"
ok "TRIBUTARY_CONFIG names it as well" env TRIBUTARY_CONFIG="$dir/hub.conf" "$bin/tributary-hub" status
refuses 10 "not a hub" "--state wins" hub_c --state "$dir/elsewhere" status
refuses 10 "not a hub" "so does TRIBUTARY_STATE" env TRIBUTARY_STATE="$dir/elsewhere" "$bin/tributary-hub" --config "$dir/hub.conf" status
printf 'state %s/with a blank/hub\nlang zh_CN\njson yes\n' "$dir" >"$dir/hub.conf"
ok "json yes" says '"schema": "tributary-hub.status/1"' hub_c status
printf 'state %s/with a blank/hub\nlang zh_CN\n' "$dir" >"$dir/hub.conf"
ok "lang zh_CN" says '遵义\|社区\|日志' hub_c status
ok "--lang wins" says "Held: 0 commits" hub_c --lang en status
printf 'state %s/with a blank/hub\nquiet yes\n' "$dir" >"$dir/hub.conf"
quiet() { hub_c status >"$dir/said" 2>&1 && [ ! -s "$dir/said" ]; }
ok "quiet yes" quiet

sqlite3 "$dir/app.db" "CREATE TABLE t(id INTEGER PRIMARY KEY)"
printf 'state %s/office\ninit.node n1\ninit.app community\ncommit.engine full\n' "$dir" >"$dir/agent.conf"
ok "the agent has one as well" agent_c init "$dir/app.db"
ok "and uses it" says "n1/community" agent_c status

# wrong TEXT LINES
wrong() {
	printf "$2" >"$dir/hub.conf"
	refuses 2 "$1" "refused: $1" hub_c init --city X
}
wrong "line 1: serve.listne is no option" 'serve.listne 1\n'
wrong "line 2: init.city stands there twice" 'init.city a\ninit.city b\n'
wrong "line 1: it is not KEY" 'state\n'
wrong "line 1: quiet takes yes or no" 'quiet maybe\n'
wrong "line 1: force is no option" 'force yes\n'
wrong "line 1: dry-run is no option" 'dry-run yes\n'
wrong "line 3: it holds a control character" '# a\n# b\nstate a\001\n'
rm "$dir/hub.conf"
refuses 2 "hub.conf" "a file that is not there" hub_c status
mkdir "$dir/hub.conf"
refuses 2 "hub.conf" "a folder" hub_c status
json() { "$bin/tributary-hub" --json --config "$dir/hub.conf" status 2>/dev/null | python3 -c 'import json,sys; d=json.load(sys.stdin); assert d["exit_code"] == 2 and d["error"]["code"] == "usage", d'; }
ok "and says so in JSON" json
ok "--help needs none" hub_c status --help
finish
