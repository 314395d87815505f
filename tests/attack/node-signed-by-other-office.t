#!/bin/sh
# A stolen TLS key with a wrong signing key: a commit for A, signed by office B.
. "$(dirname "$0")/../lib/attack.sh"

forged certificate "a commit signed by another office" other-office "$dir/$b/state"
unharmed
finish
