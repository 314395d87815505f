#!/bin/sh
# The bundle lacks the last commits of the city history.
. "$(dirname "$0")/../lib/attack.sh"

take_bundle
cut() { git clone -q --mirror "$dir/b/city.bundle" "$dir/c.git" 2>/dev/null && git -C "$dir/c.git" update-ref refs/heads/main main~1 && git -C "$dir/c.git" bundle create -q "$dir/b/city.bundle" main; }
ok "one is taken out" cut
doctored "its last commits were left out" "it is noticed"
finish
