#!/bin/sh
# A node signs a time that no clock shows.
. "$(dirname "$0")/../lib/attack.sh"

forged bad-format "an impossible time" field captured-at 2026-13-45T99:99:99Z
unharmed
finish
