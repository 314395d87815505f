#!/bin/sh
# A node signs a digest that its changes do not give.
. "$(dirname "$0")/../lib/attack.sh"

forged false-digest "a false overall digest" field digest 0000000000000000000000000000000000000000000000000000000000000000
unharmed
finish
