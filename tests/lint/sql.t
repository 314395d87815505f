#!/bin/sh
# SQL is constant text; identifiers go in by trib_sql_ident, values by binding. Exceptions are named in tests/lint/sql.allow.
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/lib.sh

sources >"$dir/sources"
some 'there are sources' <"$dir/sources"
allowed() { # takes out findings that hold a line of the allow list (FILE, blank, text)
	awk '
	NR == FNR { if ($0 !~ /^#/ && NF > 1) { file[++n] = $1; text[n] = substr($0, length($1) + 2) } next }
	{ for (i = 1; i <= n; i++) if (index($0, file[i] ":") == 1 && index($0, text[i])) next; print }' tests/lint/sql.allow -
}
xargs grep -nE '\bsqlite3_v?(mprintf|snprintf)[ ]*\(|\bsqlite3_str_v?appendf[ ]*\(|\bsqlite3_(exec|get_table)[ ]*\([^,]*,[ ]*[^" ]' /dev/null <"$dir/sources" | allowed |
	none 'no SQL is formatted or run by the library functions that invite it'
xargs grep -nE '"[ \t(]*(SELECT|INSERT INTO|INSERT OR|UPDATE|DELETE FROM|CREATE (TABLE|INDEX|VIEW|TRIGGER|TEMP)|DROP (TABLE|INDEX|VIEW)|ALTER TABLE|PRAGMA|ATTACH|REPLACE INTO)\b[^"]*%[-0-9.*]*(s|d|u|i|l|z|j|c|x)' /dev/null <"$dir/sources" | allowed |
	none 'no statement is built by printf'
# An entry that allows nothing any more goes.
while read -r file text; do
	case $file in '#'* | '') continue ;; esac
	grep -qF -- "$text" "$file" || echo "$file $text"
done <tests/lint/sql.allow | none 'every exception still exists'
plan
