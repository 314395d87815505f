#!/bin/sh
# A node writes in the name of another.
. "$(dirname "$0")/../lib/attack.sh"

forged out-of-sequence "another node" field node $b
unharmed
finish
