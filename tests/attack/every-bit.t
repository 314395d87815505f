#!/bin/sh
# Every single-bit flip and every cut of a small hub (repository, city history, log, city database): detected, or harmless; no crash, none over 5 s.
# ATTACK_STRIDE: every how many-th bit (1: all, which takes hours; default: a sample). A flip is harmless when the audit proves all, and what the databases say is as before.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
stride=${ATTACK_STRIDE:-6007}

small_city() {
	city_init && hub_start && mkdir "$dir/$a" && sqlite3 "$dir/$a/office.db" "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES(1,'一'),(2,'二')" &&
		agent $a init "$dir/$a/office.db" --node $a --app c && enrol $a c 洗马社区 && agent $a sync && sql $a "UPDATE t SET v='三' WHERE id=2" && agent $a sync &&
		eventually 三 c "SELECT v FROM t WHERE id=2" && hub_stop
}
small_city >"$dir/made" 2>&1 || { sed 's/^/# /' "$dir/made"; echo "Bail out! no city"; exit 1; }
for db in hub.db city/c.db; do sqlite3 "$dir/hub/$db" "PRAGMA wal_checkpoint(TRUNCATE); VACUUM; PRAGMA wal_checkpoint(TRUNCATE)" >/dev/null; done
rm -f "$dir/hub"/*-wal "$dir/hub"/*-shm "$dir/hub/city"/*-wal "$dir/hub/city"/*-shm
hub audit >"$dir/made" 2>&1 || { sed 's/^/# /' "$dir/made"; echo "Bail out! not proven"; exit 1; }

# What the audit reads. Keys and certificates are not part of the proof of a hub's own disk, and samples and descriptions of git mean nothing.
mkdir "$dir/rotting"
mv "$dir/hub/repos" "$dir/hub/city" "$dir/hub/city.git" "$dir/hub/hub.db" "$dir/hub/checkpoint" "$dir/rotting"
for f in repos city city.git hub.db checkpoint; do ln -s "$dir/rotting/$f" "$dir/hub/$f"; done
find "$dir/rotting" \( -name '*.sample' -o -name description -o -name exclude \) -exec rm {} +
rm -f "$dir/rotting"/*-wal "$dir/rotting"/*-shm "$dir/rotting/city"/*-wal "$dir/rotting/city"/*-shm
# Data, not the comments in the text of a schema. No proof rests on, and no leaf says: when an office was last in contact, how it is called on screens (nor how the table of
# those names is called), until when a TLS certificate is good, its serial number and issuer, what was refused last, and the hub's own marks.
cat >"$dir/content" <<'EOF'
{ sqlite3 -readonly "$1/city/c.db" .dump; sqlite3 -readonly "$1/hub.db" .dump; } 2>&1 |
	grep -a -v -e 'INSERT INTO node' -e 'INSERT INTO _t_node' -e "'洗马社区'" -e 'INSERT INTO meta' -e 'INSERT INTO refusal' |
	sed -E 's/^(INSERT INTO cert VALUES\(([^,]*,){5})[0-9]+,([^,]*),.*/\1\3/' | grep -a -e ^INSERT -e ^Error | sha256sum
EOF
"$bin/tests/tool/rot" "$dir/rotting" "$stride" "${ATTACK_START:-7}" "sh $dir/content $dir/rotting" "$bin/tributary-hub" --state "$dir/hub" audit
