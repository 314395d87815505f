#!/bin/sh
# The operator of the hub brings a root of his own: without a word in the log; and one that the city's root never certified.
. "$(dirname "$0")/../lib/attack.sh"

hub_stop
cp -a "$dir/hub" "$dir/hub-good"
ok "a new root, made with a stolen root key" quiet hub ca renew-root --new-root-key "$dir/new.key"
silent() { cp "$dir/hub/ca/root.crt" "$dir/two.crt" && rm -rf "$dir/hub" && cp -a "$dir/hub-good" "$dir/hub" && cp "$dir/two.crt" "$dir/hub/ca/root.crt"; }
ok "of which the log does not know" silent
audit_says "root certificate (.*root CA 2) that the log does not know" "the audit names it"
stock_says "the root certificate [0-9a-f]* is neither the log's nor announced in it" "stock tools name it"

# Another root, of another city of the same name, in front of ours, with a link that ours did not sign.
other() {
	"$bin/tributary-hub" --state "$dir/fake" init --city 遵义 && "$bin/tributary-hub" --state "$dir/fake" ca renew-root --new-root-key "$dir/fake.key" &&
		awk '/BEGIN/ { n++ } n < 3' "$dir/fake/ca/root.crt" >"$dir/false.crt" && cat "$dir/hub-good/ca/root.crt" >>"$dir/false.crt"
}
ok "a root that ours never certified" quiet other
put() { rm -rf "$dir/hub" && cp -a "$dir/hub-good" "$dir/hub" && cp "$dir/false.crt" "$dir/hub/ca/root.crt"; }
ok "is put before ours" put
refuses 12 "not certified by the one before" "no program of ours goes by it" hub audit

# The whole false city at the hub's address, with a chain that ends in our root.
whole() { rm -rf "$dir/hub" && cp -a "$dir/fake" "$dir/hub" && hub_start; }
ok "a false hub at the city's address" whole
sql $a "INSERT INTO demand VALUES('d7','x','reported',7)"
refuses 12 "not issued\|root\|issuing" "the office does not talk to it" agent $a sync
hub_stop
restore() { rm -rf "$dir/hub" && cp -a "$dir/hub-good" "$dir/hub" && hub_start; }
ok "the right hub is back" restore
ok "the office knows one root, as before" same "$(grep -c BEGIN "$dir/$a/state/keys/root.crt")" 1
unharmed
finish
