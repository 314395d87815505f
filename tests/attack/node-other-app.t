#!/bin/sh
# A node writes into another application's history.
. "$(dirname "$0")/../lib/attack.sh"

forged out-of-sequence "another application" field app other
unharmed
finish
