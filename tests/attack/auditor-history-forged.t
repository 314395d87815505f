#!/bin/sh
# A commit of the bundle is another one, signed by another key.
. "$(dirname "$0")/../lib/attack.sh"

take_bundle
rm -rf "$dir/thief"
cp -a "$dir/$a/state" "$dir/thief"
git -C "$dir/thief/repo.git" update-ref refs/heads/main main
ok "a forged third night" "$forge" "$dir/thief" unknown-ca
forged_bundle() { git -C "$dir/thief/repo.git" bundle create -q "$dir/b/histories/$a/community.bundle" main down; }
ok "in the bundle" forged_bundle
doctored "$a/community: commit [0-9a-f]* is not what the log holds as #3" "it is named"
finish
