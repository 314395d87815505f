#!/bin/sh
# A node makes its history branch: a commit with two parents.
. "$(dirname "$0")/../lib/attack.sh"

forged out-of-sequence "a second parent" second-parent
unharmed
finish
