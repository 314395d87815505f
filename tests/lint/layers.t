#!/bin/sh
# The direction of includes: a file includes its own layer or a lower one, and each library has its home (docs/ARCHITECTURE.md).
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/lib.sh

# layer, then the folders whose headers it may include
cat >"$dir/layers" <<'END'
core/base    core/base
core/format  core/base core/format
core/trust   core/base core/format core/trust
core/store   core/base core/format core/trust core/store
core/replay  core/base core/format core/trust core/store core/replay
agent        core/base core/format core/trust core/store core/replay agent
hub          core/base core/format core/trust core/store core/replay hub
END
# header, then the places that may include it
cat >"$dir/homes" <<'END'
sqlite3.h      core/store/ core/replay/ agent/ hub/
git2           core/store/ agent/stream agent/https agent/link agent/child
openssl/       core/trust/
zlib.h         core/format/ core/store/ hub/
http_parser.h  hub/ agent/
seccomp.h      hub/sandbox
jansson.h      core/base/ agent/ hub/
libsmartcols   core/base/ agent/ hub/
qrencode.h     hub/slip
END
sources >"$dir/sources"
some 'there are sources' <"$dir/sources"
xargs grep -nE '^[ \t]*#[ \t]*include' /dev/null <"$dir/sources" >"$dir/includes"
some 'they include something' <"$dir/includes"

awk '
NR == FNR { layer = $1; for (i = 2; i <= NF; i++) may[layer, $i] = 1; known[layer] = 1; next }
/"/ {
	split($0, part, ":"); file = part[1]
	split($0, quoted, "\""); target = quoted[2]
	of = file; sub(/\/[^\/]*$/, "", of); if (of !~ /^core\//) sub(/\/.*/, "", of)
	to = target; sub(/\/[^\/]*$/, "", to); if (to !~ /^core\//) sub(/\/.*/, "", to)
	if (!(of in known)) print file ": no layer; name it in tests/lint/layers.t"
	else if (target !~ /\//) print file ":" part[2] ": \"" target "\" is not named from the top directory"
	else if (!((of, to) in may)) print file ":" part[2] ": " of " may not include " target
}' "$dir/layers" "$dir/includes" | none 'every include points to the same layer or a lower one'

awk '
NR == FNR { heads[++n] = $1; for (i = 2; i <= NF; i++) home[n, i - 1] = $i; count[n] = NF - 1; next }
/</ {
	split($0, part, ":"); file = part[1]
	split($0, angled, "<"); target = angled[2]
	for (h = 1; h <= n; h++) {
		if (index(target, heads[h]) != 1) continue
		good = 0
		for (i = 1; i <= count[h]; i++) if (index(file, home[h, i]) == 1) good = 1
		if (!good) print file ":" part[2] ": " heads[h] " has its home elsewhere"
	}
}' "$dir/homes" "$dir/includes" | none 'each library is used only in its home'

grep -E '"(tests|bench|demo)/' "$dir/includes" | none 'nothing includes tests, bench or demo'
# Two aborts are meant: a digest that cannot be computed, and one that would come back over less than everything.
files | grep -E '^core/.*\.[ch]$' | xargs grep -nE '\b(trib_log|printf|fprintf|puts|exit|abort|_exit)[ ]*\(' /dev/null |
	grep -vE '^core/trust/(hash|lanes)\.c:[0-9]+:[ 	]*abort\(\);' |
	grep -vE '^core/base/(log|cmd|progress|fs|i18n)\.[ch]:|:[ \t]*(/\*|\*|//)|format\(printf' |
	none 'the library neither logs, prints nor exits'
plan
