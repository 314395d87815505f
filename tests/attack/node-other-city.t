#!/bin/sh
# A commit of another city.
. "$(dirname "$0")/../lib/attack.sh"

forged out-of-sequence "another city" field city Guiyang
unharmed
finish
