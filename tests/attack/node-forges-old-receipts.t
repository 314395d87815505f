#!/bin/sh
# After the hub came back, an office "proves" with made-up receipts that the hub held what it never held.
. "$(dirname "$0")/../lib/attack.sh"

ok "an administrator" hub user add li --role administrator --out "$dir/admin"
hub_stop
rm -rf "$dir/hub" && cp -a "$dir/hub-night1" "$dir/hub"
ok "the hub comes back from an old copy" hub recover --admin-key "$dir/admin/sign.key"
ok "and starts" hub_start
ok "A comes back" agent $a sync
ok "B comes back" agent $b sync
ok "all is complete" hub recover --check
kept_files() { soon swept >/dev/null; find "$dir/hub/old-receipts" "$dir/hub/quarantine" -type f | sort | xargs sha256sum; }
before=$(kept_files)

# send NAME PYTHON: A's own receipts with something changed, sent over A's own line
send() {
	python3 -c 'import re, sys; b = open(sys.argv[1], "rb").read(); n = eval(sys.argv[3]); assert n != b; open(sys.argv[2], "wb").write(n)' "$dir/$a/state/old-receipts" "$dir/forged" "$2" || return 1
	as $a -X POST --data-binary @"$dir/forged" "$url/$a/community.git/old-receipts" && cat "$dir/answer"
}
# forged_receipt CODE NAME PYTHON
forged_receipt() {
	ok "$2: sent" send "$2" "$3"
	said() { send "$2" "$3" | grep -q '^422' && grep -q "$1" "$dir/answer"; }
	ok "  refused as $1" said "$@"
	ok "  nothing of it stays" same "$(kept_files)" "$before"
	ok "  the refusal is on record" on_record "$1"
}
forged_receipt verification-failed "a commit that never was" 're.sub(rb"\ncommit ([0-9a-f])", lambda m: b"\ncommit " + (b"1" if m[1] == b"0" else b"0"), b, count=1)'
forged_receipt verification-failed "another number" 're.sub(rb"\nseq (\d)", lambda m: b"\nseq %d" % (int(m[1]) + 1), b, count=1)'
forged_receipt bad-signature "a larger log" 're.sub(rb"/1\n(\d+)\n", lambda m: b"/1\n%d\n" % (int(m[1]) + 1), b)'
forged_receipt bad-format "cut short" 'b[:-50]'
forged_receipt refused "in another office's name" 'b.replace(b"node '$a'", b"node '$b'", 1)'
forged_receipt verification-failed "of the present epoch" 're.sub(rb"file \d+\n.*", lambda m: b"file %d\n" % len(r) + r, b, flags=re.S) if (r := open("'"$dir/$a"'/state/receipts/2", "rb").read()) else b'
refuses 0 "^422" "another office's receipts are refused" sh -c "curl -sS --cacert '$dir/$b/state/keys/root.crt' --cert '$dir/$b/state/keys/tls.crt' --key '$dir/$b/state/keys/tls.key' -o '$dir/answer' -w '%{http_code}\n' --data-binary @'$dir/$a/state/old-receipts' '$url/$b/community.git/old-receipts'"
refuses 0 "^403" "and to another office's address nobody sends any" as $b -X POST --data-binary @"$dir/$a/state/old-receipts" "$url/$a/community.git/old-receipts"
ok "nothing of it stays" same "$(kept_files)" "$before"
ok "status names the refusals" sh -c "'$bin/tributary-hub' --state '$dir/hub' status | grep -q '$a/community \[verification-failed\].*old receipts'"
ok "what is true is complete as before" hub recover --check
unharmed
finish
