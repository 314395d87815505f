#!/bin/sh
# A node changes a file of the tree after it was hashed.
. "$(dirname "$0")/../lib/attack.sh"

forged bad-tree "a changed file" changed-file
unharmed
finish
