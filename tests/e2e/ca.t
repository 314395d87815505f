#!/bin/sh
# The certificate authority over the years (D7.1): the root key goes offline; a new issuing certificate, a new root; offices follow by themselves, old
# histories stay good, and the audit proves across it.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
b=520303001011
c=520303001012
LC_ALL=C.UTF-8
export LC_ALL

night() { sql $1 "INSERT INTO demand VALUES('$2','夜','reported',9);" && agent $1 sync && eventually 1 community "SELECT count(*) FROM demand WHERE _node = '$1' AND id = '$2'"; }
roots() { same "$(grep -c BEGIN "$dir/$1/state/keys/root.crt")" "$2"; }
issuer() { openssl x509 -in "$1" -noout -issuer -nameopt utf8 | grep -q "$2"; }
all_good() { same "$(office_git $1 -C "$dir/$1/state/repo.git" log --format='%G?' main | sort -u)" G; }
slip() { hub node add $1 --app community --name "社区 $1" --url "$url" --slip "$dir/slip-$1" --approve; }

ok "a city" city_init
says_how() { grep -q "ca export-root" "$dir/init.out"; }
ok "init says how the root key goes offline" says_how
ok "the hub listens" hub_start
for o in $a $b; do
	ok "$o captures" office $o community "社区 $o"
	ok "$o enrols" enrol $o community "社区 $o"
	ok "$o syncs" agent $o sync
done

stick=$dir/stick
mkdir "$stick"
touch "$stick/other"
ok "the root key goes to a stick" hub ca export-root "$stick/root.key"
gone() { [ ! -e "$dir/hub/ca/root.key" ] && openssl pkey -in "$stick/root.key" -noout && same "$(stat -c %a "$stick/root.key")" 600; }
ok "and is nowhere else" gone
refuses 1 "taken away before" "a second time there is nothing to export" hub ca export-root "$stick/again.key"
refuses 2 "bring the stick" "without it there is no new issuing certificate" hub ca renew-issuing
refuses 11 "stop the hub first" "nor beside a running hub" hub ca renew-issuing --root-key "$stick/root.key"
hub_stop
refuses 12 "does not belong" "nor with another key" hub ca renew-issuing --root-key "$dir/hub/ca/issuing.key"

# The power goes at any step: the same command, run again, ends what was begun, and all in use belongs together.
cp -a "$dir/hub" "$dir/hub.before"
before() { rm -rf "$dir/hub" && cp -a "$dir/hub.before" "$dir/hub" && rm -f "$stick/root2.key"; }
cut_off() { # cut_off AT COMMAND...
	at=$1
	shift
	(TRIBUTARY_CRASH_AT=$at; export TRIBUTARY_CRASH_AT; hub "$@" >"$dir/cut" 2>&1)
	same $? 137
}
whole() {
	same "$(find "$dir/hub" -name '*.new')" "" && same "$(openssl pkey -in "$dir/hub/ca/issuing.key" -pubout)" "$(openssl x509 -in "$dir/hub/ca/issuing.crt" -noout -pubkey)" || return 1
	for crt in hub-sign hub-tls; do
		openssl verify -CAfile "$dir/hub/ca/root.crt" -no-CApath -no-CAstore -untrusted "$dir/hub/ca/issuing.crt" "$dir/hub/keys/$crt.crt" || return 1
	done
}
roots_of_hub() { same "$(hub ca show | grep -c '^root')" "$1"; }
for at in ca-announced ca-file-in-place:1 ca-file-in-place:2 ca-file-in-place:3; do
	before
	ok "renew-issuing is cut off at $at" cut_off $at ca renew-issuing --root-key "$stick/root.key"
	ok "run again it ends" hub ca renew-issuing --root-key "$stick/root.key"
	ok "with number 2, whole" eval 'whole && issuer "$dir/hub/keys/hub-tls.crt" "issuing CA 2"'
done
set -- ca renew-root --root-key "$stick/root.key" --new-root-key "$stick/root2.key"
for at in ca-root-saved ca-announced ca-file-in-place:1 ca-file-in-place:2 ca-file-in-place:3 ca-file-in-place:4 ca-file-in-place:5; do
	before
	ok "renew-root is cut off at $at" cut_off $at "$@"
	ok "run again it ends" hub "$@"
	ok "with one new root, whole" eval 'whole && roots_of_hub 2'
done
ok "once more it says that it is done" hub "$@"
ok "and does nothing" roots_of_hub 2
refuses 12 "a root before" "the old key makes no third root" hub ca renew-root --root-key "$stick/root.key" --new-root-key "$stick/root3.key"
before
ok "renew-root is cut off" cut_off ca-file-in-place "$@"
refuses 3 "run the command again" "the key that nobody asked for is not made" hub ca renew-root --root-key "$stick/root2.key" --new-root-key "$stick/root3.key"
ok "what was announced is whole" whole
before
ok "renew-issuing is cut off" cut_off ca-file-in-place ca renew-issuing --root-key "$stick/root.key"
rm "$dir/hub/ca/issuing.crt.new"
refuses 12 "renew-issuing --root-key" "with a file lost the hub does not start, and says how it is mended" hub serve
ok "which mends it" hub ca renew-issuing --root-key "$stick/root.key"
ok "it is whole" whole

before
ok "renew-issuing is cut off" cut_off ca-file-in-place:2 ca renew-issuing --root-key "$stick/root.key"
ok "the hub's start finishes it" hub_start
said() { grep -q "it is finished now" "$dir/serve.log" && whole; }
ok "and says so" said
ok "A goes on" night $a n1
ok "there is an auditor" hub user add li --role auditor --out "$dir/li"
ok "the audit proves the city" hub audit
ok "A renews" agent $a cert renew
ok "under the new one" issuer "$dir/$a/state/keys/tls.crt" "issuing CA [2-9]"
ok "A goes on with it" night $a n2
clone() { office_git $a clone -q "$url/$a/community.git" "$dir/clone-$1"; }
ok "stock git reads with it" clone 1
ok "A changes its signing key" agent $a cert rotate
ok "under the new one" issuer "$dir/$a/state/keys/sign.crt" "issuing CA [2-9]"
ok "A goes on with both" night $a n3
ok "B has its old ones, and goes on" night $b n1
ok "stock git verifies all of A" all_good $a
ok "the audit proves the city" hub audit
ok "C gets its slip" slip $c

hub_stop
refuses 2 "new-root-key" "a new root needs a place for its key" hub ca renew-root --root-key "$stick/root.key"
refuses 1 "nothing was changed" "which is not over another file" hub ca renew-root --root-key "$stick/root.key" --new-root-key "$stick/other"
ok "a new root" hub ca renew-root --root-key "$stick/root.key" --new-root-key "$stick/root2.key"
ok "the hub listens" hub_start
asks() { curl -sS --cert "$dir/li/tls.crt" --key "$dir/li/tls.key" --cacert "$1" "$url/checkpoint"; }
refuses 60 "certificate" "an auditor with the root of before" asks "$dir/li/root.crt"
ok "with the new one" asks "$dir/hub/ca/root.crt"
shows() { hub ca show | grep -q "root CA 2" && hub ca show | grep -q "root before"; }
ok "it shows both" shows
ok "A goes on" night $a n4
ok "A knows the new root, which the old one certified" roots $a 3
ok "A renews" agent $a cert renew
ok "A goes on" night $a n5
ok "B did not hear of it for a summer" hub_stop
TRIBUTARY_CLOCK_OFFSET=$((250 * 86400))
export TRIBUTARY_CLOCK_OFFSET
ok "the hub listens" hub_start
ok "B renews its expired certificate and goes on" night $b n2
ok "B knows the new root" roots $b 3
unset TRIBUTARY_CLOCK_OFFSET
hub_stop
ok "the hub listens" hub_start
ok "C captures" office $c community "社区 $c"
ok "C enrols with the slip of before" agent $c enrol --slip "$dir/slip-$c"
ok "C goes on" night $c n1
ok "C knows both roots" roots $c 3
ok "A changes its signing key" agent $a cert rotate
ok "A goes on" night $a n6
ok "A's own check" agent $a check
ok "stock git verifies all of A, over three issuing certificates and two roots" all_good $a
gpgsm_home() { certs/gpgsm-setup "$dir/gnupg" "$dir/$a/state/keys/root.crt" "$dir/$a/state/repo.git"; }
gpgsm_good() { same "$(GNUPGHOME=$dir/gnupg git -C "$dir/$a/state/repo.git" -c gpg.format=x509 -c gpg.x509.program=gpgsm log --format='%G?' main | sort -u)" G; }
ok "gpgsm takes both roots" gpgsm_home
ok "gpgsm verifies all of A" gpgsm_good
ok "stock git reads" clone 2
ok "the audit proves the city" hub audit
hub_stop
ok "rebuild gives the same city" hub rebuild
in_years() { (TRIBUTARY_CLOCK_OFFSET=$(($1 * 86400)); export TRIBUTARY_CLOCK_OFFSET; hub status); }
named() { in_years $1 | grep -c "Certificate \"hub, [signngTLS]*\" .*renew-issuing"; }
ok "status says nothing of certificates 61 days before they end" same "$(named 3589)" 0
ok "and names both of the hub 59 days before" same "$(named 3591)" 2
ok "and when they ended" same "$(in_years 3660 | grep -c "of this hub ended")" 2
ok "and the issuing one and the root in their time" same "$(in_years $((29 * 365 + 340)) | grep -c "Certificate.*ca renew-")" 4
finish
