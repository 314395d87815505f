#!/bin/sh
# A node sends a changeset with one flipped bit, hashed and signed.
. "$(dirname "$0")/../lib/attack.sh"

forged "bad-format\|false-digest" "a changeset with one flipped bit" changeset-flip
unharmed
finish
