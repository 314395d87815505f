#!/bin/sh
# A node sends 100 MB of zeros as a small changeset.
. "$(dirname "$0")/../lib/attack.sh"

forged bad-format "a gzip bomb" bomb
unharmed
finish
