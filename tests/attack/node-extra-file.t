#!/bin/sh
# A node smuggles a file into the tree of a commit.
. "$(dirname "$0")/../lib/attack.sh"

forged bad-tree "an extra file" extra-file
unharmed
finish
