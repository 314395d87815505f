#!/bin/sh
# The bundle lacks the whole city database of an application: of one of two, and of the only one.
. "$(dirname "$0")/../lib/attack.sh"

take_bundle
rm "$dir/b/city/community.db"
doctored "city/community.db is not here, though commits of 2 communities are merged into it" "of one application: it is named"
rm -r "$dir/b"

clinic() { quiet office 520303001012 clinic 卫生院 && quiet enrol 520303001012 clinic 卫生院 && quiet agent 520303001012 sync && eventually 2 clinic "SELECT count(*) FROM demand" && at_rest; }
ok "a second application" clinic
take_bundle
ok "with both databases all is proven" stock_proves
cp "$dir/b/city/community.db" "$dir/whole"
rm "$dir/b/city/clinic.db"
doctored "city/clinic.db is not here, though commits of 1 communities are merged into it" "without the second it is named, though the first is whole"
ok "the first database under its name" cp "$dir/whole" "$dir/b/city/clinic.db"
doctored "city/clinic.db holds rows of '$b', of which nothing is merged" "is none"
finish
