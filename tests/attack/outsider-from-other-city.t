#!/bin/sh
# Another city's office, with that city's good certificate.
. "$(dirname "$0")/../lib/attack.sh"

ok "another city" sh -c '"$1"/tributary-hub --state "$2/hub2" init --city 贵阳 --listen 127.0.0.1:0 --host localhost,127.0.0.1' - "$bin" "$dir"
here=$dir/hub
mv "$dir/hub" "$dir/hub1" && hub_stop
mv "$dir/hub2" "$dir/hub"
port1=$port
port=0
hub_start
mkdir "$dir/other" && ok "an office there" office other community 贵阳社区
ok "enrols there" enrol other community 贵阳社区
hub_stop
mv "$dir/hub" "$dir/hub2" && mv "$dir/hub1" "$dir/hub"
port=$port1
ok "our city's hub" hub_start
before="$(tip $a) $(kept) $(leaves)"
foreign() { # with the other city's certificate, trusting our root
	git -c http.sslCert="$dir/other/state/keys/tls.crt" -c http.sslKey="$dir/other/state/keys/tls.key" -c http.sslCAInfo="$dir/$a/state/keys/root.crt" "$@"
}
refuses 128 "$shut_out" "its certificate reads nothing" foreign clone -q "$url/$a/community.git" "$dir/stolen"
refuses 128 "$shut_out" "and writes nothing" foreign -C "$dir/other/state/repo.git" push --force "$url/$a/community.git" main:refs/heads/main
ok "nothing changed" same "$(tip $a) $(kept) $(leaves)" "$before"
unharmed
: "$here"
finish
