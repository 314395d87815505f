#!/bin/sh
# Somebody with an account on the machine looks into the folders.
. "$(dirname "$0")/../lib/attack.sh"

closed() { # closed DIR: nothing of keys and data is open to others
	find "$1" \( -name '*.key' -o -name baseline -o -name pending -o -name salt -o -name '*.db' \) -type f -perm /077 | grep . && return 1
	return 0
}
ok "no key and no data of the office is readable" closed "$dir/$a/state"
ok "nor of the hub" closed "$dir/hub"
outside() { test -z "$(find "$1" -maxdepth 0 -perm /077)"; }
ok "the office's folder is closed" outside "$dir/$a/state"
ok "the hub's folder is closed" outside "$dir/hub"
chmod 644 "$dir/$a/state/keys/sign.key"
sql $a "INSERT INTO demand VALUES('d4','x','reported',4)"
refuses 12 "has mode 0644.*run: chmod 600" "a key that was opened to others is not used" agent $a commit
chmod 600 "$dir/$a/state/keys/sign.key"
unharmed
finish
