#!/bin/sh
# Certificates that the city's own issuing key signed, but not in one of its forms: by a thief of the key, or another program that uses it. Each profile is
# checked on use, at both ends: use, role, CA bit, key usage, critical extensions, key type, time, city.
. "$(dirname "$0")/../lib/attack.sh"
command -v curl >/dev/null || { echo "1..0 # SKIP curl is not installed"; exit 0; }

ca=$dir/hub/ca
good_bc=basicConstraints=critical,CA:FALSE
good_ku=keyUsage=critical,digitalSignature
good_id=subjectAltName=URI:urn:tributary:node:$a/community
# issue NAME EKU LINE...: a certificate for $dir/x/NAME.key
issue() {
	name=$1
	shift
	mkdir -p "$dir/x"
	[ -e "$dir/x/$name.key" ] || openssl ecparam -name prime256v1 -genkey -noout -out "$dir/x/$name.key" || return 1
	printf '%s\n' "$@" >"$dir/x/ext"
	openssl req -new -key "$dir/x/$name.key" -subj "/CN=$name" -out "$dir/x/csr" &&
		openssl x509 -req -in "$dir/x/csr" -CA "$ca/issuing.crt" -CAkey "$ca/issuing.key" -set_serial "0x4f$(openssl rand -hex 15)" -sha256 -days "${days:-30}" \
			-extfile "$dir/x/ext" -out "$dir/x/$name.crt"
}
# try NAME: the status of a request with it; 000 when there was no handshake
try() { curl -sS --max-time 20 --cacert "$ca/root.crt" --cert "$dir/x/$1.crt" --key "$dir/x/$1.key" -o "$dir/answer" -w '%{http_code}\n' "$url/$a/community.git/info/refs?service=git-upload-pack" 2>/dev/null || echo cut; }
shut() { got=$(try "$1" | tail -n 1); [ "$got" = cut ] || { echo "answered $got"; cat "$dir/answer"; return 1; }; }

cli=extendedKeyUsage=clientAuth
ok "the right form, made by openssl" quiet issue right $good_bc $good_ku $cli "$good_id"
stranger() { same "$(try right)" 403 && grep -q "not one that this hub issued" "$dir/answer"; }
ok "passes the handshake, and is a stranger: the hub did not issue it" stranger
bad() { # bad NAME WORDS LINE...
	name=$1
	words=$2
	shift 2
	ok "$words" quiet issue "$name" "$@"
	ok "$words: shut out" shut "$name"
}
bad sign "one for signing" $good_bc $good_ku extendedKeyUsage=emailProtection "$good_id"
bad server "one for a server" $good_bc $good_ku extendedKeyUsage=serverAuth "$good_id"
bad two "one for two uses" $good_bc $good_ku extendedKeyUsage=clientAuth,emailProtection "$good_id"
bad any "one for every use" $good_bc $good_ku "$good_id"
bad norole "no role" $good_bc $good_ku $cli
bad other "a role that is none" $good_bc $good_ku $cli subjectAltName=URI:urn:tributary:mayor:a/b
bad roles "two roles" $good_bc $good_ku $cli "$good_id,URI:urn:tributary:auditor:x"
bad noapp "half an identity" $good_bc $good_ku $cli subjectAltName=URI:urn:tributary:node:$a
bad authority "an authority" basicConstraints=critical,CA:TRUE $good_ku $cli "$good_id"
bad noconstraint "no basic constraints" $good_ku $cli "$good_id"
bad usage "a key usage too many" $good_bc keyUsage=critical,digitalSignature,keyCertSign $cli "$good_id"
bad nousage "no key usage" $good_bc $cli "$good_id"
bad critical "a critical extension that nobody knows" $good_bc $good_ku $cli "$good_id" 1.2.3.4.5=critical,ASN1:UTF8String:x
rsa() { mkdir -p "$dir/x" && openssl genrsa -out "$dir/x/rsa.key" 2048 && issue rsa $good_bc $good_ku $cli "$good_id"; }
ok "another kind of key" quiet rsa
ok "another kind of key: shut out" shut rsa
elsewhere() { "$bin/tributary-hub" --state "$dir/fake" init --city 遵义 && ca=$dir/fake/ca && issue fake $good_bc $good_ku $cli "$good_id"; }
ok "another city of the same name" quiet elsewhere
ca=$dir/hub/ca
ok "another city of the same name: shut out" shut fake

# The other end: a hub with the right keys, and a certificate of another form.
hub_stop
cp -a "$dir/hub" "$dir/hub-good"
false_hub() { # false_hub NAME WORDS LINE...: our hub would not even start with most of them; another program does
	form=$1
	words=$2
	shift 2
	cp "$dir/hub-good/keys/hub-tls.key" "$dir/x/$form.key"
	ok "a hub with $words" quiet issue "$form" "$@"
	openssl s_server -accept "127.0.0.1:$port" -cert "$dir/x/$form.crt" -key "$dir/x/$form.key" -cert_chain "$dir/hub/ca/issuing.crt" -tls1_3 -quiet >"$dir/heard" 2>&1 &
	server=$!
	soon grep -qi ":$(printf %04X "$port") .* 0A " /proc/net/tcp # it listens
	refuses 12 "certificate" "the office does not talk to a hub with $words" agent $a sync
	kill $server 2>/dev/null
	wait $server 2>/dev/null
}
srv=extendedKeyUsage=serverAuth
host=IP:127.0.0.1,DNS:localhost
false_hub h-auditor "an auditor's role" $good_bc $good_ku $srv "subjectAltName=$host,URI:urn:tributary:auditor:hub"
false_hub h-norole "no role" $good_bc $good_ku $srv "subjectAltName=$host"
false_hub h-client "a client's use" $good_bc $good_ku $cli "subjectAltName=$host,URI:urn:tributary:hub:hub"
false_hub h-ca "an authority's bit" basicConstraints=critical,CA:TRUE $good_ku $srv "subjectAltName=$host,URI:urn:tributary:hub:hub"
restore() { cp "$dir/hub-good/keys/hub-tls.crt" "$dir/hub/keys/hub-tls.crt" && hub_start; }
ok "the right certificate again" restore
unharmed
finish
