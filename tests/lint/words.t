#!/bin/sh
# Words that do not belong in a finished tree, and paths of somebody's machine.
cd "$(dirname "$0")/../.." || exit 1
. tests/lint/lib.sh

files | grep -vE '^tests/lint/words\.t$|^tests/fuzz/corpus/|^tests/data/|^LICENSE$' >"$dir/files"
some 'there are files' <"$dir/files"
look() { xargs grep -nIE "$1" /dev/null <"$dir/files"; }
look '\b(TODO|FIXME|HACK|XXX)\b|not (yet )?implemented|\b[Ss]tub\b|\b[Pp]laceholder\b' | none 'nothing is left to do'
look '(^|[^A-Za-z0-9_.])/(work|home|root|Users)/|bash_jobs|\bworktrees?\b' | none 'no path of a machine'
xargs grep -nIE '[ 	]+$' /dev/null <"$dir/files" | grep -E '^[^:]*\.(c|h|t|sh|md|sql):' | grep -vE '^[^:]*\.md:[0-9]+:.*  $' | none 'no blanks at the end of a line'
# Banned functions (STYLE: bounded copies, no shell, no locale-dependent surprises).
sources | xargs grep -nE '\b(strcpy|strcat|sprintf|vsprintf|gets|tmpnam|mktemp|strtok|atoi|atol|system|popen|alloca)[ ]*\(' /dev/null | none 'no banned function is called'
sources | xargs grep -nE '^[ \t]*//' /dev/null | none 'comments are of one kind'
plan
