#!/bin/sh
# The demonstration runs to its end, shows what it claims, and leaves nothing behind.
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
BUILD=${BUILD:-$PWD/build}
case $BUILD in /*) ;; *) BUILD=$PWD/$BUILD ;; esac
LC_ALL=C.UTF-8 TMPDIR=$dir
export BUILD LC_ALL TMPDIR
unset KEEP
out=$dir/out

n=0
check() { # check NAME COMMAND...: one TAP line by the command's status
	n=$((n + 1))
	name=$1
	shift
	if "$@" >"$dir/said" 2>&1; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		sed 's/^/# /' "$dir/said"
	fi
}
run() { sh demo/run >"$out" 2>&1 || { rc=$?; tail -n 60 "$out"; return $rc; }; }
part() { sed -n "/^==== $1\\. /,/^==== /p" "$out"; }
part_says() { # part_says N TEXT...: each stands in that section
	part "$1" >"$dir/part"
	shift
	for text in "$@"; do
		grep -qF -- "$text" "$dir/part" || { echo "not there: $text"; cat "$dir/part"; return 1; }
	done
}

echo 1..13
check "it ends with status 0" run
# On a machine that does nothing else: of the processors' time, since CI's runs other tests beside it; it sleeps for less than twenty seconds.
times >"$dir/times"
quick() { awk 'NR == 2 {gsub(/[ms]/, " "); print $1 * 60 + $2 + $3 * 60 + $4; exit $1 * 60 + $2 + $3 * 60 + $4 >= 100}' "$dir/times"; }
check "in under two minutes" quick
check "three communities of Zunyi under their codes and names" part_says 2 "洗马社区 (520303002001/community)" "南京路社区 (520303001011/community)" "兰家堡社区 (520302004004/community)"
check "the certificate store of NSS is captured as it is" part_says 3 "nssPublic" "captured"
check "every office has reported" part_says 5 "communities have reported"
check "the city shows rows of all three" part_says 6 洗马社区 南京路社区 兰家堡社区
good() { part 7 | grep -q '^G [0-9a-f]* .*urn:tributary:node:520303002001/community' && ! part 7 | grep -q '^[BEUXYRN] [0-9a-f]\{7,\} '; }
check "stock git calls every commit good" good
check "the audit proves all" sh -c "sed -n '/^==== 8\\. /,/^==== 9\\. /p' '$out' | grep -q '(exit status 0)'"
check "a changed byte of a history is named, and mended" part_says 9 "verifying commit" 520303001011 changeset.gz "(exit status 15)" "(exit status 0)"
check "a changed row of the city is named, and rebuilt" part_says 10 520303002001 demand "(exit status 15)" "(exit status 0)"
check "the restored community is that of the first night" part_says 11 "equal: every row of every table is as it was"
scratch=$(sed -n 's/^Scratch folder [^:]*: //p' "$out")
alone() { # no process works in the scratch folder
	[ -n "$scratch" ] || return 1
	for p in /proc/[0-9]*; do
		case $(readlink "$p/cwd" 2>/dev/null) in "$scratch"*)
			tr '\0' ' ' <"$p/cmdline"
			return 1
			;;
		esac
	done
}
ended() { # what was told to end needs a moment
	tries=0
	until alone; do
		tries=$((tries + 1))
		[ $tries -lt 200 ] || return 1
		sleep 0.1
	done
}
check "no process is left" ended
gone() { [ -n "$scratch" ] && [ ! -e "$scratch" ]; }
check "no file is left" gone
