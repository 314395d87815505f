#!/bin/sh
# Stock git verifies signed commits without a line of our code: with gpgsm, and with openssl through certs/tributary-verify.
cd "$(dirname "$0")/../.." || exit 1
top=$PWD
maker=$top/${BUILD:-build}/tests/unit/test_sign
case ${BUILD:-} in /*) maker=$BUILD/tests/unit/test_sign ;; esac
dir=$(mktemp -d) || exit 1
GNUPGHOME=$dir/gnupg
export GNUPGHOME
trap 'gpgconf --kill all >/dev/null 2>&1; rm -rf "$dir"' EXIT
GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
export GIT_CONFIG_NOSYSTEM GIT_CONFIG_GLOBAL
unset TRIBUTARY_CA TRIBUTARY_AT

n=0
check() { # check NAME COMMAND...: one TAP line by the command's status
	n=$((n + 1))
	name=$1
	shift
	if "$@" >"$dir/out" 2>&1; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		sed 's/^/# /' "$dir/out"
	fi
}
refused() { # refused TEXT COMMAND...: exit 1 (a crash is no refusal), and it says so
	text=$1
	shift
	"$@" >"$dir/said" 2>&1
	rc=$?
	cat "$dir/said"
	[ $rc -eq 1 ] && grep -q "$text" "$dir/said"
}
wrapper() { git -C "$dir/repo" -c gpg.format=x509 -c gpg.x509.program="$top/certs/tributary-verify" "$@"; }
gpgsm_git() { git -C "$dir/repo" -c gpg.format=x509 -c gpg.x509.program=gpgsm "$@"; }
letter() { # letter LETTER WHO REF: %G? of the commit
	got=$("$2" log -1 --format=%G? "$3") || return 1
	echo "got $got"
	[ "$got" = "$1" ]
}

echo 1..21
check "a repository with good and bad commits is made" "$maker" --make-repo "$dir"
check "git fsck finds the objects well-formed" git -C "$dir/repo" fsck --strict
check "without a root the wrapper verifies nothing" refused "no root certificate" wrapper verify-commit main
git -C "$dir/repo" config tributary.ca "$dir/root.pem"

check "openssl: a good commit" wrapper verify-commit main
check "openssl: %G? is G" letter G wrapper main
signer() { [ "$(wrapper log -1 --format=%GS main)" = "urn:tributary:node:520303002001/resident 红花岗区某社区居委会" ]; }
check "openssl: git shows role and name of the signer" signer
check "openssl: a changed commit" refused "does not fit the commit" wrapper verify-commit tampered
check "openssl: %G? of a changed commit is B" letter B wrapper tampered
check "openssl: a key made for TLS" refused "unsuitable certificate purpose" wrapper verify-commit tls-key
check "openssl: a certificate of another city" refused "unable to get local issuer" wrapper verify-commit foreign
check "openssl: an author who is not the signer" refused "is not the signer" wrapper verify-commit other-author
check "openssl: at a time before the certificate" refused "not yet valid" env TRIBUTARY_AT=1600000000 \
	git -C "$dir/repo" -c gpg.format=x509 -c gpg.x509.program="$top/certs/tributary-verify" verify-commit main
nosign() { "$top/certs/tributary-verify" --status-fd=2 -bsau key </dev/null; [ $? -eq 2 ]; }
check "openssl: the wrapper does not sign" nosign
log() { [ "$(wrapper log --all --format='%G? %D' | sort | tr '\n' ';')" = "B foreign;B other-author;B tampered;B tls-key;G main;" ]; }
check "openssl: git log tells good from bad" log

check "gpgsm: a home is made from root and repository" "$top/certs/gpgsm-setup" "$GNUPGHOME" "$dir/root.pem" "$dir/repo"
check "gpgsm: a home in use is left alone" refused "not empty" "$top/certs/gpgsm-setup" "$GNUPGHOME" "$dir/root.pem"
check "gpgsm: a good commit" gpgsm_git verify-commit main
check "gpgsm: %G? is G" letter G gpgsm_git main
check "gpgsm: a changed commit" refused "message digest attribute does not match" gpgsm_git verify-commit tampered
check "gpgsm: %G? of a changed commit is B" letter B gpgsm_git tampered
check "gpgsm: a certificate of another city" refused "certificate not found\|Bad certificate chain" gpgsm_git verify-commit foreign
