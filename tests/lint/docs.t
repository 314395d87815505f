#!/bin/sh
# The documents: links lead somewhere, man pages name every command and every exit status, both READMEs are alike.
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/lib.sh

files | grep '\.md$' >"$dir/docs"
some 'there are documents' <"$dir/docs"
while read -r f; do
	grep -oE '\]\([^)# ]+' "$f" | sed 's/^](//' | grep -vE '^(https?|mailto):' | while read -r to; do
		[ -e "$(dirname "$f")/$to" ] || echo "$f: $to does not exist"
	done
	# Paths in backquotes that begin with a folder of ours.
	grep -oE '`(core|agent|hub|schema|certs|tests|bench|demo|docs|po)/[A-Za-z0-9_./-]+`' "$f" | tr -d '`' | sort -u | while read -r to; do
		[ -e "$to" ] || echo "$f: $to does not exist"
	done
done <"$dir/docs" | none 'what the documents point to exists'
# Commands: the first member of each entry of the tables of struct trib_cmd.
commands() { grep -hoE '^[ 	]*\{"[a-z]+( [a-z-]+)?", "[^"]*", N_\(' "$1"/*.c 2>/dev/null | sed -E 's/^[^"]*"([^"]*)".*/\1/'; commands_named "$1"; }
commands_named() { grep -hoE '^[ 	]*\{?\.name = "[a-z]+( [a-z-]+)?", \.(args|help)' "$1"/*.c 2>/dev/null | sed -E 's/.*"([^"]*)".*/\1/'; }
for side in agent:docs/man/tributary-agent.1 hub:docs/man/tributary-hub.8; do
	commands "${side%%:*}" | sort -u >"$dir/commands"
	some "${side%%:*} has commands" <"$dir/commands"
	while read -r c; do
		grep -qE "^\.(B|SS|It Nm|It|BI|BR) .*\b$c\b" "${side#*:}" || echo "$c"
	done <"$dir/commands" | none "${side#*:} names every command"
	sed -nE 's/^\.SS "([a-z]+( [a-z-]+)?).*/\1/p' "${side#*:}" | while read -r c; do
		grep -qxF -- "$c" "$dir/commands" || grep -qxF -- "${c%% *}" "$dir/commands" || echo "$c"
	done | none "${side#*:} names no command that does not exist"
done
# Options: the long names in the tables of struct trib_opt.
for side in agent:docs/man/tributary-agent.1 hub:docs/man/tributary-hub.8; do
	grep -hoE "^[ 	{]*\{\"[a-z-]+\", ('.'|0), (NULL|\"[^\"]*\"), N_\(" "${side%%:*}"/*.c | sed -E 's/^[^"]*"([^"]*)".*/\1/' | sort -u >"$dir/options"
	some "${side%%:*} has options" <"$dir/options"
	tr -d '\\' <"${side#*:}" >"$dir/man"
	while read -r o; do
		grep -qE -e "--$o\b" "$dir/man" || echo "--$o"
	done <"$dir/options" | none "${side#*:} names every option"
done
sed -n 's/.*X(TRIB_E_[A-Z_]*, \([0-9]*\),.*/\1/p' core/base/err.h | sort -un >"$dir/codes"
some 'there are exit statuses' <"$dir/codes"
for man in docs/man/tributary-agent.1 docs/man/tributary-hub.8; do
	while read -r c; do
		grep -qE "^\.B $c\$|^\.It $c\b" "$man" || echo "$c"
	done <"$dir/codes" | none "$man names every exit status"
done
grep -c '^## ' README.md >"$dir/en"
grep -c '^## ' README.zh-CN.md >"$dir/zh"
diff "$dir/en" "$dir/zh" | none 'README.md and README.zh-CN.md have the same sections'
plan
