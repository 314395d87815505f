#!/bin/sh
# The bundle is of an older log than a community has a checkpoint of.
. "$(dirname "$0")/../lib/attack.sh"

take_bundle
sql $a "INSERT INTO demand VALUES('n2','夜','reported',1)"
ok "another night" agent $a sync
cp "$dir/$a/state/checkpoint" "$dir/b/older-checkpoint"
doctored "this log is older than the checkpoint that was kept" "the kept checkpoint convicts it"
finish
