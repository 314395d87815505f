#!/bin/sh
# A node brings a certificate of its own making.
. "$(dirname "$0")/../lib/attack.sh"

forged certificate "a commit signed under an unknown CA" unknown-ca
unharmed
finish
