#!/bin/sh
# A node invents a kind of commit.
. "$(dirname "$0")/../lib/attack.sh"

forged bad-format "an unknown kind" field kind nonsense
unharmed
finish
