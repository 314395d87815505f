#!/bin/sh
# Sizes: a file over 800 lines is split; a function over 70 is shown, over 100 refused.
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/lib.sh

files | grep -E '\.(c|h|sh|py)$|^tests/.*\.t$' >"$dir/files"
some 'there are files' <"$dir/files"
xargs awk '{ n[FILENAME]++ } END { for (f in n) if (n[f] > 800) print f ": " n[f] " lines" }' <"$dir/files" | sort | none 'no file is longer than 800 lines'
grep '\.c$' "$dir/files" | xargs awk '
FNR == 1 { at = 0 }
/^{/ { at = FNR; name = before }
/^}/ && at { if (FNR - at - 1 > 70) print FNR - at - 1, FILENAME ":" at ": " name; at = 0 }
{ before = $0 }' | sort -rn >"$dir/long"
sed 's/^/# longer than 70 lines: /' "$dir/long"
awk '$1 > 100' "$dir/long" | none 'no function is longer than 100 lines'
sources | xargs awk '{ s = $0; gsub(/\t/, "        ", s); if (length(s) > 180 && s !~ /"/) print FILENAME ":" FNR ": " length(s) " columns" }' | none 'no line of code is wider than 180 columns (texts apart)'
plan
