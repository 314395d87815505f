#!/bin/sh
# A node signs row counts that its changes do not give.
. "$(dirname "$0")/../lib/attack.sh"

forged "false-digest\|bad-format" "a false row count" field table "demand 1 0 0 77 0000000000000000000000000000000000000000000000000000000000000000"
unharmed
finish
