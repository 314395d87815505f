#!/bin/sh
# A night is dropped: the sequence has a gap.
. "$(dirname "$0")/../lib/attack.sh"

forged out-of-sequence "a gap in the sequence" field seq 99
unharmed
finish
