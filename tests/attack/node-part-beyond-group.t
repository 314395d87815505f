#!/bin/sh
# A node sends part 3 of 2.
. "$(dirname "$0")/../lib/attack.sh"

forged "bad-format\|out-of-sequence" "a part beyond its group" field part 3/2
unharmed
finish
