#!/bin/sh
# The hub takes in a commit whose manifest names another changeset than the tree holds, and one with a file that no manifest names.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
ok "the hub takes in a commit that names another changeset" accepts "" field "blob changeset.gz" 0000000000000000000000000000000000000000000000000000000000000000
found 3 "file changeset.gz is not the one that the manifest names \[bad-tree\]" "the audit names it"
convicted "$a/community #3: changeset.gz is not the file that the manifest names" "and so do stock tools"
ok "it takes in one with a file too many" accepts "" extra-file
found 3 "the tree holds a file \"extra\", which no commit may have \[bad-tree\]" "the audit names it"
convicted "$a/community #3: its files are not those that the manifest names" "and so do stock tools"
finish
