#!/bin/sh
# A node lies about the hash of its changeset.
. "$(dirname "$0")/../lib/attack.sh"

forged bad-tree "a false blob hash" field blob "changeset.gz 0000000000000000000000000000000000000000000000000000000000000000"
unharmed
finish
