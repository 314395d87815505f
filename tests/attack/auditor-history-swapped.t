#!/bin/sh
# The bundle shows one community the history of another.
. "$(dirname "$0")/../lib/attack.sh"

take_bundle
cp "$dir/b/histories/$b/community.bundle" "$dir/b/histories/$a/community.bundle"
doctored "$a/community: commit [0-9a-f]* is not what the log holds as #1" "community and commit are named"
finish
