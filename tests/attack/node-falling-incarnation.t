#!/bin/sh
# A node goes back to an incarnation that was.
. "$(dirname "$0")/../lib/attack.sh"

forged "out-of-sequence\|certificate\|bad-format" "a falling incarnation" field incarnation 0
unharmed
finish
