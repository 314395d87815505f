#!/bin/sh
# A node sends a changeset that is cut short.
. "$(dirname "$0")/../lib/attack.sh"

forged bad-format "a changeset cut short" changeset-cut
unharmed
finish
