#!/bin/sh
# A hub that was taken over, with all its keys, sends without end, to fill the disk of whoever fetches from it.
. "$(dirname "$0")/../lib/attack.sh"

small=$dir/small
trap 'kill $false_hub 2>/dev/null; hub_stop; umount -l "$small" 2>/dev/null; cleanup' EXIT
hub_stop
mkdir "$dir/work"
python3 "$top/tests/lib/endless.py" "$dir/hub" "$port" "$dir/work" >"$dir/endless" 2>&1 &
false_hub=$!
ok "the false hub listens" soon grep -q up "$dir/endless"
held() { find "$1" -type f -name '*pack*' -path '*/objects/*' -printf '%s %p\n' | sort; }
before=$(held "$dir/$a/state")
refuses 14 "more than the 256 MiB .* nothing of it is kept" "A ends the transfer at what a night can have" agent $a pull
ok "and keeps nothing of it" same "$(held "$dir/$a/state")" "$before"
if [ "$(id -u)" = 0 ] && mkdir "$small" && mount -t tmpfs -o size=100m tmpfs "$small" 2>/dev/null; then
	cp -a "$dir/$a/state" "$small/state"
	dd if=/dev/zero of="$small/filler" bs=1M count=$(($(df -m --output=avail "$small" | tail -n 1) - 19)) 2>/dev/null
	before=$(held "$small/state")
	refuses 18 "must stay" "on a small disk sooner: some room must stay" "$bin/tributary-agent" --state "$small/state" pull
	ok "and keeps nothing there either" same "$(held "$small/state")" "$before"
fi
kill $false_hub 2>/dev/null
wait $false_hub 2>/dev/null
ok "the hub itself is back" hub_start
ok "A syncs" agent $a sync
unharmed
finish
