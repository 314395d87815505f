#!/bin/sh
# A node breaks its own chain of manifests.
. "$(dirname "$0")/../lib/attack.sh"

forged out-of-sequence "a wrong previous manifest" field prev 1111111111111111111111111111111111111111111111111111111111111111
unharmed
finish
