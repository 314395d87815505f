#!/bin/sh
# Many nights, few files: an office and the hub fold loose objects and packs by themselves, and nothing of the history is lost or read otherwise.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
repo=$dir/$a/state/repo.git
there=$dir/hub/repos/$a/community.git

files() { find "$1/objects" -type f -path '*/objects/??/*' | wc -l; }
packs() { find "$1/objects/pack" -name '*.pack' | wc -l; }
history() { git -C "$1" rev-list --objects "$2" | sort | sha256sum; }
night() { sql $a "INSERT INTO points VALUES(NULL, '夜', $1, x'00')"; }

# A folded repository has fewer loose objects after a commit than before it.
until_folded() {
	before=0
	for i in $(seq 1 200); do
		night "$i" && agent $a commit >/dev/null || return 1
		now=$(files "$repo")
		[ "$now" -ge "$before" ] || return 0
		before=$now
	done
	echo "never folded: $before loose objects"
	return 1
}
sync_nights() { for i in $(seq 1 "$1"); do night "$i" && agent $a sync || return 1; done; }
few_packs() { # the hub folds when it is idle
	tries=0
	while [ "$(packs "$there")" -gt 8 ]; do
		tries=$((tries + 1))
		[ $tries -lt 600 ] || { packs "$there"; return 1; }
		sleep 0.1
	done
}

ok "a city" city_init
ok "the hub listens" hub_start
ok "an office" office $a community 洗马社区
first=$(git -C "$repo" rev-parse main)
ok "it commits until its loose objects are folded" until_folded
ok "into one pack" same "$(packs "$repo")" 1
ok "the chain holds" agent $a check
ok "stock git agrees" git -C "$repo" fsck --full --strict
ok "the first state is restored from it" agent $a restore --at "$first" --to "$dir/first.db"
ok "and is that state" same "$(sqlite3 "$dir/first.db" "SELECT count(*) FROM points")" 2
ok "the office joins" enrol $a community 洗马社区
ok "and sends all" agent $a sync
ok "twenty nights, a push each" sync_nights 20
ok "the hub made few packs of them" few_packs
ok "the same history on both sides" same "$(history "$there" main)" "$(history "$repo" main)"
ok "one more night" sync_nights 1
ok "all is in the city" eventually "$(sqlite3 "$dir/$a/office.db" "SELECT count(*) FROM points")" community "SELECT count(*) FROM points"
ok "the audit proves it" hub audit
ok "stock git agrees at the hub" git -C "$there" fsck --full --strict
# Whoever copies the histories holds the lock meanwhile.
exec 9>"$dir/hub/run/fold.lock"
flock 9
ok "nights under the lock" sync_nights 17
held=$(packs "$there")
ok "under the lock nothing is folded" test "$held" -ge 17
flock -u 9
ok "a night after it" sync_nights 1
ok "then it is" few_packs
finish
