#!/bin/sh
# The hub takes in a commit of A that another office of the city signed, with its own good certificate.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
ok "the hub takes in a commit of A that B signed" accepts "" other-office "$dir/$b/state"
found 3 "the certificate belongs to $b/community, not to $a/community \[certificate\]" "the audit names it"
convicted "$a/community #3: the signer's certificate was unknown when the hub received the commit" "and so do stock tools"
finish
