#!/bin/sh
# Somebody guesses slip codes.
. "$(dirname "$0")/../lib/attack.sh"

slip() { hub node add 520302004004 --app community --name 兰家堡社区 --url "$url" --slip "$dir/slip" --approve; }
ok "a slip is out" slip
mkdir "$dir/new" && sqlite3 "$dir/new/office.db" "CREATE TABLE t(id INTEGER PRIMARY KEY)"
ok "a thief's folder" agent new init "$dir/new/office.db" --node 520302004004 --app community
guess() { sed "s/^code ....../code $1/" "$dir/slip" >"$dir/guess" && agent new enrol --slip "$dir/guess"; }
for i in 111111 222222 333333; do refuses 12 slip "guess $i is refused" guess $i; done
hashed() { code=$(sed -n 's/^code //p' "$dir/slip") && [ -n "$code" ] && ! grep -rqa "$code" "$dir/hub"; }
ok "the code itself is nowhere at the hub" hashed
ok "the office with the slip enrols" agent new enrol --slip "$dir/slip"
refuses 12 once "and the slip is used up" sh -c 'rm -rf "$1/thief" && mkdir "$1/thief" && cp "$1/new/office.db" "$1/thief/office.db" && "$2" --state "$1/thief/state" init "$1/thief/office.db" --node 520302004004 --app community >/dev/null && "$2" --state "$1/thief/state" enrol --slip "$1/slip"' - "$dir" "$bin/tributary-agent"
unharmed
finish
