#!/bin/sh
# A node sends a commit whose signature has one changed letter.
. "$(dirname "$0")/../lib/attack.sh"

forged bad-signature "a signature with one changed letter" signature-flip
unharmed
finish
