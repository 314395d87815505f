#!/bin/sh
# A full disk under the office's folder, at every step of a commit: exit 18 with a sentence, nothing torn, and when there is room the next run is
# right (I1, I5).
. "$(dirname "$0")/../lib/harness.sh"
. "$(dirname "$0")/../lib/small-disk.sh"
a=520303002001
st=$dir/$a/state
LC_ALL=C.UTF-8
export LC_ALL
whole() { # the history gives the office's file, every row of it
	agent $a check --read-data >"$dir/said" 2>&1 || { cat "$dir/said"; return 1; }
	rm -f "$dir/r.db"
	agent $a restore --at HEAD --to "$dir/r.db" >/dev/null || return 1
	for t in demand points journal; do
		sqlite3 "$dir/$a/office.db" "SELECT * FROM $t" | sort >"$dir/x"
		sqlite3 "$dir/r.db" "SELECT * FROM $t" | sort | diff "$dir/x" - || return 1
	done
}
nothing_left() {
	for left in "$st"/*.tmp "$st"/pending* "$st"/*rebuilt*; do
		[ ! -e "$left" ] || { echo "left behind: $left"; return 1; }
	done
}
row=0
full=0
fine=0
: >"$dir/places"
round() { # round KIB: one night with so much room
	row=$((row + 1))
	sql $a "INSERT INTO points VALUES(100 + $row, 'r$row', $row, randomblob(60000))" || return 9
	fill "$st" "$1"
	agent $a commit >"$dir/said" 2>&1
	got=$?
	room "$st"
	cat "$dir/said"
	case $got in
	0) fine=$((fine + 1)) ;;
	18)
		full=$((full + 1))
		grep -q "nothing that was committed is lost" "$dir/said" || return 1
		grep -o -e "commit #" -e "pending.tmp" -e "refs/heads/main" -e "state/baseline" -e "tip.tmp" "$dir/said" | head -n 1 >>"$dir/places"
		;;
	*) return 1 ;;
	esac
	agent $a commit >"$dir/next" 2>&1 || { echo "then:"; cat "$dir/next"; return 1; }
	nothing_left && same "$(agent $a log | wc -l)" $((row + 1)) && git -C "$st/repo.git" fsck --strict 2>&1
}
mkdir -p "$dir/$a"
ok "a small disk under the office's folder" small 12 "$st"
ok "an office" office $a desk 洗马社区
for k in 0 4 8 40 64 68 72 76 100 128 136 140 144 148 152 156 160 168 192 204 208 212 220 400; do
	ok "a commit with $k KiB of room" round $k
done
ok "all of it is in the history, once" whole
often() { [ $full -ge 12 ] && [ $fine -ge 1 ] && [ "$(sort -u "$dir/places" | wc -l)" -ge 4 ] || { echo "full $full times, fine $fine times, at:"; sort "$dir/places" | uniq -c; return 1; }; }
ok "they met a full disk before, at and after the commit point" often

rm -f "$st/baseline"
row=$((row + 1))
sql $a "INSERT INTO points VALUES(100 + $row, 'r$row', $row, NULL)"
fill "$st" 300
refuses 18 "nothing that was committed is lost" "a baseline that there is no room to make again" agent $a commit
room "$st"
ok "with room it is made again" agent $a commit
ok "and the history is whole" whole
left() { nothing_left && same "$(agent $a log | wc -l)" $((row + 1)); }
ok "nothing is left behind" left

rm -rf "${st:?}"/* "$dir/second"
fill "$st" 100
no_init() {
	"$bin/tributary-agent" --state "$st/new" init "$dir/$a/office.db" --node $a
	got=$?
	ls "$st"
	same $got 18 && same "$(ls "$st")" filler
}
ok "an init without room: 18, and it takes back what it made" no_init

# What init -n says of the room, with a state folder named in each way: the disk of the folder where it will be made counts.
told() { # told ENOUGH FOLDER-TO-STAND-IN STATE
	(cd "$2" && "$bin/tributary-agent" --state "$3" init "$dir/$a/office.db" --node $a -n --json) >"$dir/needs" 2>&1 || { cat "$dir/needs"; return 1; }
	(cd "$2" && "$bin/tributary-agent" --state "$3" init "$dir/$a/office.db" --node $a -n) >"$dir/said" 2>&1 && cat "$dir/said" || return 1
	python3 - "$dir/needs" "$1" "$(df -B1 --output=avail "$2" | tail -n 1)" <<'END' || return 1
import json, sys
m = json.load(open(sys.argv[1]))
print(m)
assert m["enough"] is (sys.argv[2] == "yes") and isinstance(m["free_bytes"], int) and not isinstance(m["free_bytes"], bool), m
assert m["enough"] is (2 * m["baseline_bytes"] + m["history_bytes"] <= m["free_bytes"]), m
assert abs(m["free_bytes"] - int(sys.argv[3])) <= (1 << 30 if sys.argv[2] == "yes" else 0), (m, sys.argv[3]) # others write to the large one
END
	case $1 in
	yes) grep -q "^free there: [0-9.]* MiB$" "$dir/said" ;;
	*) grep -q "^free there: 0.1 MiB: that is too little$" "$dir/said" ;;
	esac
}
for state in new new/er ./new new/ "$st/new"; do
	ok "init -n says that there is too little room for ${state#"$dir"}" told no "$st" "$state"
done
mkdir "$dir/roomy"
for state in new new/er "$dir/roomy/new"; do
	ok "and enough for ${state#"$dir"}" told yes "$dir/roomy" "$state"
done
finish
