#!/bin/sh
# A node lies about the length of its changeset.
. "$(dirname "$0")/../lib/attack.sh"

forged "bad-format\|bad-tree" "a false changeset length" field changeset "1 1"
unharmed
finish
