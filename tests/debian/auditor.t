#!/bin/sh
# The auditor's README on a machine that has nothing but Debian and the packages that the README itself names: it proves an honest bundle, and not a doctored one.
# `make debian`; needs root, debootstrap and a Debian mirror (DEBIAN_MIRROR), so it is no part of `make check`: tests/e2e/stock-audit.t runs the same commands in a PATH of the named tools.
. "$(dirname "$0")/../lib/attack.sh"
root=$dir/debian
if [ "$(id -u)" -ne 0 ] || ! command -v debootstrap >/dev/null 2>&1; then
	echo "1..0 # SKIP needs root and debootstrap"
	exit 0
fi
bare() {
	debootstrap --variant=minbase bookworm "$root" "${DEBIAN_MIRROR:-http://deb.debian.org/debian}" >"$dir/debootstrap.log" 2>&1 || { tail -n 5 "$dir/debootstrap.log"; return 1; }
	cp -a /etc/apt/apt.conf.d/. "$root/etc/apt/apt.conf.d/" # a proxy, where this machine has one
	cp /etc/resolv.conf /etc/hosts "$root/etc/"
}
on_it() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/srv DEBIAN_FRONTEND=noninteractive "$@"; }
named_packages() { # those of the line "On Debian: `apt-get install ...`"
	packages=$(sed -n 's/^On Debian: `apt-get install \([^`]*\)`.*/\1/p' "$dir/b/README.md")
	# shellcheck disable=SC2086 # a list of names
	[ -n "$packages" ] && on_it apt-get update -qq && on_it apt-get install -y -qq --no-install-recommends $packages
}
# The line that the README tells the auditor to run.
proves() {
	rm -rf "$root/srv/b"
	cp -R "$dir/b" "$root/srv/b"
	line=$(sed -n 's/^Run all steps in one shell, in this folder: `\(sed .* | sh\)`\..*/\1/p' "$dir/b/README.md")
	[ -n "$line" ] && on_it sh -c "cd /srv/b && $line"
}
proven() { proves >"$dir/proof" 2>&1 || { cat "$dir/proof"; return 1; }; cat "$dir/proof"; [ "$(tail -n 1 "$dir/proof")" = PROVEN ]; }
none_of_ours() { ! find "$root" -name '*tributary*' -not -path "$root/proc/*" | grep .; }

sql $a "INSERT INTO demand VALUES('d9','新','reported',9)"
ok "A has one night more" agent $a sync
ok "it is merged" eventually 1 community "SELECT count(*) FROM demand WHERE id='d9'"
published
take_bundle
ok "a machine with nothing but Debian" bare
ok "and the packages that the README names" named_packages
ok "nothing of this project is on it" none_of_ours
ok "the README's line proves the bundle there" proven
sed 's/^/# /' "$dir/proof"
sqlite3 "$dir/b/city/community.db" "UPDATE demand SET title='改' WHERE id='d9'"
refuses 1 "NOT PROVEN: $a/community: the rows of table demand in the city are not those that the community signed" "and finds a row of the city that was edited" proves
finish
