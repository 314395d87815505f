#!/bin/sh
# What an auditor takes away is proven by the commands of its own README, with stock tools alone: nothing of ours is in the path.
. "$(dirname "$0")/../lib/attack.sh"
# What a digest could get wrong: every storage class, long keys, folded and Chinese names, bags of several columns, columns and tables come and gone.
sql $a "CREATE TABLE \"大表\"(\"键\" TEXT, X, \"a 'b\" BLOB, y, PRIMARY KEY(X, \"键\")) WITHOUT ROWID;
	INSERT INTO \"大表\" VALUES('k', 1, x'00', -0.0), ('k', 1.5, NULL, 1e300), (printf('%.300c','长'), -9223372036854775808, x'', ''), ('', 'x''y', zeroblob(70000), printf('%.40000c','z'));
	INSERT INTO journal VALUES(7), (7.0), (x'37'), ('7'), (NULL); ALTER TABLE demand ADD COLUMN \"Due\" TEXT DEFAULT '2026-12-01'; CREATE TABLE Pairs(A, b); INSERT INTO pairs VALUES(1, NULL), (1, NULL), ('1', 2);"
ok "A has a night of odd values" agent $a sync
sql $a "ALTER TABLE points DROP COLUMN note; INSERT INTO pairs VALUES(3, 4)"
ok "and one with a column less" agent $a sync
ok "A changes its signing key" agent $a cert rotate
ok "and syncs" agent $a sync
ok "all is in the city" eventually 4 community "SELECT sum(_count) FROM _bag_pairs"
ok "a province witnesses the log" province_init
hub_stop
ok "the city changes its root" hub ca renew-root --new-root-key "$dir/root2.key"
ok "and goes on" hub_start
sql $b "INSERT INTO demand VALUES('d4','新','reported',4)"
ok "B under the new root" agent $b sync
ok "is merged" eventually 1 community "SELECT count(*) FROM demand WHERE id='d4'"
gone=520303001012
ok "a third office" office $gone community 走了
ok "enrols" enrol $gone community 走了
ok "syncs" agent $gone sync
ok "is merged" eventually 3 community "SELECT count(DISTINCT _node) FROM demand"
ok "and is revoked" hub node revoke $gone --app community --reason key-lost
sql $b "INSERT INTO demand VALUES('d5','又','reported',5)"
ok "B goes on" agent $b sync
ok "is merged" eventually 1 community "SELECT count(*) FROM demand WHERE id='d5'"
at_rest
ok "the province cosigns what there is" hub witness ask
# No receipt is due for it: the published checkpoint alone covers it, and an auditor keeps that one.
ok "an administrator's act" hub user add zhao --role auditor --out "$dir/zhao"
at_rest
cp "$dir/hub/log/checkpoint" "$dir/kept"
larger() { [ "$(sed -n 2p "$dir/kept")" -gt "$(sed -n 2p "$dir/hub/checkpoint")" ]; }
ok "is published, and in no receipt" larger
shown() { same "$(hub checkpoint show | head -n 3)" "$(head -n 3 "$dir/kept")"; }
ok "checkpoint show shows it, too" shown
ok "the audit writes the bundle" hub audit --bundle "$dir/b"
refuses 2 "exists" "and not over another" hub audit --bundle "$dir/b"
# A folder with links to the programs that the README names, and to no other: as on a machine that has only the packages it names.
named_tools() {
	mkdir "$dir/path" && sed -n '/^`sh` /p' "$dir/b/README.md" | tr -d '`' | tr ' ' '\n' >"$dir/tools" || return 1
	while read -r t; do ln -s "$(unset -f sqlite3; command -v "$t")" "$dir/path/$t" || return 1; done <"$dir/tools"
	[ "$(wc -l <"$dir/tools")" -gt 30 ]
}
# Each is of a package that every Debian has, or of one that the README names.
from_packages() {
	command -v dpkg-query >/dev/null || return 0
	asked=$(sed -n 's/^On Debian: `apt-get install \([a-z0-9 -]*\)`.*/\1/p' "$dir/b/README.md")
	while read -r t; do
		real=$(readlink -f "$dir/path/$t")
		p=$(dpkg-query -S "$real" 2>/dev/null || dpkg-query -S "${real#/usr}") || return 1
		p=${p%%:*}
		case " $asked gpgconf " in # gpgsm depends on gpgconf
		*" $p "*) continue ;;
		esac
		dpkg-query -W -f '${Essential} ${Priority}\n' "$p" | grep -q "^yes \|required" || { echo "$t is in $p"; return 1; }
	done <"$dir/tools"
}
stock() { # precisely the line that the README gives, in its folder
	line=$(sed -n 's/^Run all steps in one shell, in this folder: `\(.*\)`\. Each.*/\1/p' "$dir/b/README.md")
	[ -n "$line" ] && (cd "$dir/b" && env -i PATH="$dir/path" HOME="$dir" GIT_CONFIG_NOSYSTEM=1 "$dir/path/sh" -c "$line")
}
none_of_ours() { # no program in the bundle, none of ours called, no path to one
	sed -n '/^```sh$/,/^```$/p' "$dir/b/README.md" >"$dir/steps"
	! grep -o 'tributary-[a-z]*' "$dir/steps" | grep -vx -e tributary-leaf -e 'tributary-' && ! grep -q '/usr\|/bin' "$dir/steps" && [ -z "$(find "$dir/b" -type f -perm /111)" ] &&
		[ -z "$(find "$dir/path" -name 'tributary*')" ]
}
proven() { stock >"$dir/proof"; rc=$?; cat "$dir/proof"; [ $rc -eq 0 ] && [ "$(tail -n 1 "$dir/proof")" = PROVEN ]; }
cp "$dir/kept" "$dir/b/older-checkpoint"
ok "its README names the tools" named_tools
ok "which every Debian has, or the packages that it names" from_packages
ok "its README's commands prove it, with the published checkpoint that was kept" proven
ok "without a program of ours" none_of_ours
cosigned() { grep -qF "7. province.example/w cosigned" "$dir/proof" && grep -qF "if this is its key: $province" "$dir/proof"; }
ok "the province's cosignature is among it, proven by openssl" cosigned
same_commands() { sed -n '/^```sh$/,/^```$/p' "$dir/b/README.zh-CN.md" >"$dir/zh" && sed -n '/^```sh$/,/^```$/p' "$dir/b/README.md" | cmp - "$dir/zh"; }
ok "the Chinese README has the same commands" same_commands
gpgsm_too() { grep -q "^8. gpgsm says the same of the last commits of 3 communities" "$dir/proof"; }
ok "gpgsm says the same" gpgsm_too
no_agent() { ! find "$dir" -name 'S.gpg-agent*' | grep .; }
ok "and leaves nothing behind" no_agent
finger() { grep -q "$(sed -n 's/^ca //p' "$dir/$a/slip")" "$dir/proof"; }
ok "the fingerprint is one of those, of the slips" finger
flip() { printf "\\$(printf %03o $((($(od -An -tu1 -j "$2" -N 1 "$1") + 1) % 256)))" | dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null; }
# damaged FILE TEXT: one byte of it is another, and the README's commands say so.
damaged() {
	cp "$dir/b/$1" "$dir/whole"
	ok "a byte of $1 is another" flip "$dir/b/$1" $(($(wc -c <"$dir/whole") / 2))
	doctored "$2" "  and is named"
	cp "$dir/whole" "$dir/b/$1"
}
damaged certs/root.crt "certs/root.crt"
damaged certs/issuing.crt "certs/issuing.crt"
damaged log.pem "log.pem"
damaged log/leaves "the leaves do not come to the root"
damaged checkpoint "the checkpoint"
damaged "histories/$b/community.bundle" "histories/$b/community.bundle\|$b/community"
damaged "log/named/$(awk '/^kind crl$/ { k = 1 } /^sha256 / && k { print $2; exit }' "$dir/b/log/leaves")" "log/named/"
damaged city.bundle "city"
# The witnesses' step needs only the first three before it.
by_witness() { awk '/^## / { on = $2 ~ /^[0127]\./ } /^```sh$/ { c = 1; next } /^```$/ { c = 0 } on && c' "$dir/b/README.md" >"$dir/steps" && stock_steps; }
note=$(cd "$dir/b" && ls witness/*.note)
witness_damaged() { # FILE TEXT: as damaged, by those steps alone
	cp "$dir/b/$1" "$dir/whole"
	ok "a byte of $1 is another" flip "$dir/b/$1" $(($(wc -c <"$dir/whole") / 2))
	refuses 1 "NOT PROVEN: .*$2" "  and is named" by_witness
	cp "$dir/whole" "$dir/b/$1"
}
witness_damaged "${note%.note}.vkey" "cosigned\|cosignature"
witness_damaged "$note" "cosigned\|cosignature"
other() { cp "$dir/b/$note" "$dir/whole" && sed -i '$s/ [^ ]*$/ pzTGtQAAAABrB6b9E99C5ImY+AJWFAGbrnZNFn1Z0N8wgysBuuCI2dM+W1pjPKI+xQQ411UOzktmB3q2hXEQQHWv\/3DMynOk654vBw==/' "$dir/b/$note"; }
ok "a cosignature of another key under its name" other
refuses 1 "has no cosignature of province.example/w" "  is none" by_witness
cp "$dir/whole" "$dir/b/$note"
value() { cp "$dir/b/city/community.db" "$dir/whole" && sqlite3 "$dir/b/city/community.db" "UPDATE demand SET title='改' WHERE _node='$b' AND id='d2'"; }
ok "a value of the city database is another" value
doctored "$b/community: the rows of table demand in the city are not those that the community signed" "community and table are named"
cp "$dir/whole" "$dir/b/city/community.db"
keys() { ! grep -rqa "PRIVATE KEY" "$dir/b"; }
ok "no private key is in it" keys
ok "the hub goes on" agent $a sync
ok "while it serves, the bundle is one moment" hub audit --bundle "$dir/b2"
finish
