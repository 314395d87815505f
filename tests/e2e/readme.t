#!/bin/sh
# The walk through an office and a hub in both READMEs, run as it stands there: only the folder and the port are others.
cd "$(dirname "$0")/../.." || exit 1
top=$PWD
BUILD=${BUILD:-$top/build}
dir=$(mktemp -d) || exit 1
hub=''
trap '[ -z "$hub" ] || kill "$hub" 2>/dev/null; wait; rm -rf "$dir"' EXIT
n=0
# A port that is free, and not of those that the kernel gives to others meanwhile.
port() {
	"${PYTHON:-python3}" -c '
import random, socket
while True:
    s, p = socket.socket(), random.randrange(12000, 32000)
    try:
        s.bind(("127.0.0.1", p))
    except OSError:
        continue
    print(p)
    break'
}

# The indented blocks between the second and the third heading, one command a line.
commands() { awk '/^## / { part++ } part == 2 && /^    / { sub(/^    /, ""); print }' "$1"; }

run_line() { # run_line LINE: 0 when its exit status is the one that the line promises
	want=0
	case $1 in *'# exit 3'* | *'返回 3'*) want=3 ;; esac
	case $1 in
	*'serve &'*)
		tributary-hub --state hub serve >hub.log 2>&1 &
		hub=$!
		i=0
		until grep -q 'listening\|serving\|ready' hub.log || [ $i -ge 600 ]; do
			sleep 0.1
			i=$((i + 1))
		done
		kill -0 "$hub"
		;;
	*hub/city/*) # the merger works on its own time
		i=0
		until eval "$1" || [ $i -ge 600 ]; do
			sleep 0.1
			i=$((i + 1))
		done
		[ $i -lt 600 ]
		;;
	*) eval "$1" ;;
	esac
	got=$?
	[ $got -eq $want ] || { echo "exit status $got instead of $want"; return 1; }
}

for readme in README.md README.zh-CN.md; do
	mkdir "$dir/$readme"
	cd "$dir/$readme" || exit 1
	PATH=$BUILD:$PATH
	p=$(port)
	commands "$top/$readme" | sed -e '/^PATH=/d' -e "s/127\.0\.0\.1:8443/127.0.0.1:$p/g" >"$dir/lines"
	[ "$(wc -l <"$dir/lines")" -gt 15 ] || { echo "Bail out! $readme has no walk"; exit 1; }
	while IFS= read -r line <&3; do
		n=$((n + 1))
		if run_line "$line" >"$dir/out" 2>&1; then
			echo "ok $n - $readme: ${line%%#*}" | tr '#' ' '
		else
			echo "not ok $n - $readme: ${line%%#*}"
			sed 's/^/# /' "$dir/out"
			tail -n 5 hub.log 2>/dev/null | sed 's/^/# hub: /'
		fi
	done 3<"$dir/lines"
	n=$((n + 1))
	i=0
	until [ "$(tributary-hub --json --state hub status | tr -d ' ' | grep -o '"waiting":[0-9]*')" = '"waiting":0' ] || [ $i -ge 600 ]; do
		sleep 0.1
		i=$((i + 1))
	done
	rows=$(sqlite3 -cmd '.timeout 30000' hub/city/main.db "SELECT _node, id, name FROM resident" | tr '\n' ' ')
	if [ "$rows" = '520303002001|1|张三 520303002001|2|李思 520303002001|3|王五 ' ]; then
		echo "ok $n - $readme: the city has the office's rows"
	else
		echo "not ok $n - $readme: the city has the office's rows"
		echo "# $rows"
	fi
	kill "$hub"
	wait "$hub"
	hub=''
	cd "$top" || exit 1
done
echo "1..$n"
