#!/bin/sh
# The hub puts an old copy of the city database back.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
rm -f "$dir/hub/city/community.db-wal" "$dir/hub/city/community.db-shm"
cp "$dir/hub-night1/city/community.db" "$dir/hub/city/community.db"
audit_says "stands before the last signed city commit, which has taken in 2 groups more" "how far it is behind is named"
stock_says "the rows of table demand in the city are not those that the community signed" "stock tools name the table"
mended

# With its key the hub signs another last city commit: one of a log that is yet to come, by which no database is behind.
hub_stop
cp -a "$dir/hub" "$dir/whole"
again() { rm -rf "$dir/hub" && cp -a "$dir/whole" "$dir/hub"; }
signs() { # signs EDIT...
	rm -rf "$dir/b" && mkdir "$dir/b" && git -C "$dir/hub/city.git" bundle create -q "$dir/b/city.bundle" main &&
		doctor commit city "$dir/hub/keys/hub-sign.key" "$@" && git -C "$dir/hub/city.git" fetch -q "$dir/b/city.bundle" +main:main
}
ok "a city commit of the future" signs "manifest:^log .*=log 1000000000 $(printf %064d 1)"
rm -f "$dir/hub/city/"*
cp "$dir/hub-night1/city/community.db" "$dir/hub/city/community.db"
audit_says "signs a log of 1000000000 leaves that is not this one, which has $(leaves)" "is named"
audit_says "stands before the last signed city commit, which has taken in 1 groups more" "and so is how far the database is behind the one before it"
since_says "signs a log of 1000000000 leaves that is not this one" "an audit that goes on says so"
again
ok "a city commit under a policy that never was" signs "manifest:^policy .*=policy 77"
audit_says "city commit #4 names policy 77, policy 1 was in force" "is named"
finish
