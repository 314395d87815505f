#!/bin/sh
# embed.sh FILE...: prints a C file that holds the files and trib_embed() (core/base/embed.h).
set -eu
echo '#include "core/base/embed.h"'
n=0
for f in "$@"; do
	echo "static const uint8_t file_$n[] = {"
	od -An -v -tu1 "$f" | sed 's/  *\([0-9][0-9]*\)/\1,/g'
	echo '0};'
	n=$((n + 1))
done
echo 'struct trib_span trib_embed(const char *path)'
echo '{'
n=0
for f in "$@"; do
	echo "	if (strcmp(path, \"$f\") == 0)"
	echo "		return trib_span(file_$n, sizeof(file_$n) - 1);"
	n=$((n + 1))
done
echo '	return trib_span(NULL, 0);'
echo '}'
