#!/bin/sh
# A node's clock lies, ten years ahead and then ten years back: order and receipts have the hub's time, and the operator sees whose clock is wrong.
. "$(dirname "$0")/../lib/attack.sh"

lie() { # lie ID NAME SECONDS
	cp -a "$dir/$1/state" "$dir/$1/liar"
	ok "$2: forged" env TRIBUTARY_CLOCK_OFFSET="$3" "$forge" "$dir/$1/liar" report
	ok "$2: it is signed and in sequence, so it is held" office_git $1 -C "$dir/$1/liar/repo.git" push "$url/$1/community.git" main:refs/heads/main
}
named() { hub status >"$dir/status" && grep -A2 '^Clock wrong' "$dir/status" | grep "$1 .*says $2"; }
all_right() { hub status >"$dir/status" && ! grep -q '^Clock wrong' "$dir/status"; }
ok "no clock is wrong before" all_right
lie $a "ten years ahead" 315360000
ok "the operator sees it" named $a 2036
lie $b "ten years back" -315360000
ok "and that" named $b 2016
json() { hub status --json | grep -o '"captured_at": "20[13]6' | wc -l | grep -qx 2; }
ok "in JSON too" json
receipts() { for o in $a $b; do hub log --node $o --app community --json | grep -m1 '"held_at": "'"$(date -u +%Y)" || return 1; done; }
ok "the receipts have the hub's time" receipts
ok "all is proven: no time of theirs decides anything" hub audit
finish
