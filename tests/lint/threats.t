#!/bin/sh
# docs/THREATS.md and tests/attack say the same: each row has its script, each script its row, and there are at least 60.
cd "$(dirname "$0")/../.." || exit 1
n=0
failed=0
t() { # t NAME TEXT: passes when TEXT is empty
	n=$((n + 1))
	if [ -z "$2" ]; then echo "ok $n - $1"; else
		echo "not ok $n - $1"
		printf '%s\n' "$2" | sed 's/^/# /'
		failed=1
	fi
}
rows=$(sed -n 's/^| .* | \([a-z0-9-]*\) |$/\1/p' docs/THREATS.md | sort)
scripts=$(find tests/attack -name '*.t' -exec basename {} .t \; | sort)
t "each row names a script that exists" "$(printf '%s\n' "$rows" | grep -vxF "$scripts" | grep -vx test)"
t "each script has its row" "$(printf '%s\n' "$scripts" | grep -vxF "$rows")"
t "no script serves two rows" "$(printf '%s\n' "$rows" | uniq -d | grep -vx test)"
[ "$(printf '%s\n' "$scripts" | wc -l)" -ge 60 ] && few="" || few="only $(printf '%s\n' "$scripts" | wc -l)"
t "there are at least 60" "$few"
echo "1..$n"
exit $failed
