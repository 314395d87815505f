#!/bin/sh
# The bundle lacks a whole community.
. "$(dirname "$0")/../lib/attack.sh"

take_bundle
rm -r "$dir/b/histories/$b"
doctored "the log holds commits of a community whose history is not here" "it is noticed"
finish
