#!/bin/sh
# The hub edits what the last audit kept, or brings another city's: so that the next one, which goes on from it, does not look.
. "$(dirname "$0")/../lib/attack.sh"

ok "an auditor takes the record of the audit home" cp "$dir/hub/audited" "$dir/record"
ok "a third night" third_night
hub_stop
kept=$(find "$dir/hub" -maxdepth 1 -name 'audited.*.db')
ok "one file was kept" test -s "$kept"
cp "$kept" "$dir/kept.db"
rm -f "$dir/hub/city/community.db-wal" "$dir/hub/city/community.db-shm"
city_write "UPDATE demand SET title='改' WHERE _node='$b' AND id='d2'"
# The false row's digest in place of the right one: whatever he writes, the file is another.
sqlite3 "$kept" "UPDATE k_t_digest SET digest=zeroblob(32); UPDATE n SET rows=0"
since_says "is not the file that the last audit wrote: it was changed since, or is another one" "the edited file is named"
since_says "demand \[id='d2'\] column title is '改' in the city" "and the row that it was to hide"

# Record and file to match: he owns the hub. The auditor's own record still tells.
sum=$(sha256sum "$kept" | cut -d ' ' -f 1)
mv "$kept" "$dir/hub/audited.$(echo "$sum" | cut -c 1-16).db"
sed -i "s/^state .*/state $sum/" "$dir/hub/audited"
refuses 15 "demand \[id='d2'\] column title is '改' in the city" "by the record that the auditor kept, all is judged anew" hub audit --since "$dir/record"
city_write "UPDATE demand SET title='屋顶漏水' WHERE _node='$b' AND id='d2'"

# Another city's record and file.
mkdir "$dir/other"
city_of() { "$bin/tributary-hub" --state "$dir/other/hub" init --city 别处 --listen 127.0.0.1:0 --host localhost && "$bin/tributary-hub" --state "$dir/other/hub" audit; }
ok "another city, proven" city_of
rm -f "$dir"/hub/audited*
cp "$dir"/other/hub/audited* "$dir/hub/"
since_says "leaves are not those that the last audit has proven" "another city's audit is not this one's"
rm -f "$dir"/hub/audited*
cp "$dir/record" "$dir/hub/audited"
cp "$dir/kept.db" "$dir/hub/$(basename "$kept")"
went_on() { hub audit --since last >"$dir/said" && grep -q "^Since the audit of " "$dir/said"; }
ok "with what the audit kept, the next one goes on from there" went_on
finish
