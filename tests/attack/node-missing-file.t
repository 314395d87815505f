#!/bin/sh
# A node leaves a file out of the tree of a commit.
. "$(dirname "$0")/../lib/attack.sh"

forged bad-tree "a missing file" missing-file
unharmed
finish
