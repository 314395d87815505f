#!/bin/sh
# A node sends a commit without a signature.
. "$(dirname "$0")/../lib/attack.sh"

forged bad-signature "an unsigned commit" unsigned
unharmed
finish
