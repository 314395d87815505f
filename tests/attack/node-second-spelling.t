#!/bin/sh
# A node signs a number with a leading zero: two texts for one meaning.
. "$(dirname "$0")/../lib/attack.sh"

forged bad-format "a number with a leading zero" field policy 007
unharmed
finish
