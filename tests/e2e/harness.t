#!/bin/sh
# tests/run counts every kind of failure as one: what is counted wrong here would make all other tests worthless.
cd "$(dirname "$0")/../.." || exit 1
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
n=0

# expect NAME PASSED FAILED STATUS TEXT: runs the script on stdin under tests/run.
expect() {
	n=$((n + 1))
	cat >"$dir/case.t"
	BUILD=$dir/build TEST_TIMEOUT=${limit:-120} sh tests/run "$dir/case.t" >"$dir/said" 2>&1
	rc=$?
	last=$(tail -n 1 "$dir/said")
	case $last in
	"$2 passed, $3 failed" | "$2 passed, $3 failed, "*" skipped") good=1 ;;
	*) good=0 ;;
	esac
	if [ $good -eq 1 ] && [ $rc -eq "$4" ] && grep -qF -- "$5" "$dir/said"; then
		echo "ok $n - $1"
	else
		echo "not ok $n - $1"
		sed 's/^/# /' "$dir/said"
	fi
}

expect 'good tests are counted' 2 0 0 '2 passed' <<'END'
echo 1..2; echo "ok 1 - a"; echo "ok 2 - b"
END
expect 'a failed test is counted and shown with what it said' 1 1 1 '# because' <<'END'
echo "ok 1 - a"; echo "not ok 2 - b"; echo "# because"; echo 1..2; exit 1
END
expect 'a program that fails without a failed test' 1 1 1 'exit status 3' <<'END'
echo 1..1; echo "ok 1 - a"; exit 3
END
expect 'a program that dies' 1 1 1 'died of signal 11' <<'END'
echo 1..1; echo "ok 1 - a"; kill -SEGV $$
END
limit=6
expect 'a program that hangs' 1 1 1 'took longer than 6 s' <<'END'
echo 1..1; echo "ok 1 - a"; sleep 60
END
limit=
expect 'a program that prints nothing' 0 2 1 'no TAP plan' <<'END'
exit 0
END
expect 'a program without a plan' 1 1 1 'no TAP plan' <<'END'
echo "ok 1 - a"
END
expect 'a plan of no test' 0 1 1 'ran no test' <<'END'
echo 1..0
END
expect 'a plan that is not kept' 1 1 1 'planned 2 tests, ran 1' <<'END'
echo 1..2; echo "ok 1 - a"
END
expect 'a bail out' 1 2 1 'Bail out! no disk' <<'END'
echo 1..2; echo "ok 1 - a"; echo "Bail out! no disk"
END
expect 'a skipped test is neither good nor bad, and is shown' 1 0 0 'ok 2 - b # SKIP no tool' <<'END'
echo 1..2; echo "ok 1 - a"; echo "ok 2 - b # SKIP no tool"
END
expect 'a report of a sanitizer, from any process' 1 1 1 'a sanitizer reported' <<'END'
echo 1..1; echo "ok 1 - a"; echo "ERROR: AddressSanitizer" >"${ASAN_OPTIONS##*log_path=}.123"
END
expect 'TMPDIR is there, empty, and BUILD is absolute' 1 0 0 '1 passed' <<'END'
[ -d "$TMPDIR" ] && [ -z "$(ls -A "$TMPDIR")" ] && case $BUILD in /*) echo "ok 1 - places" ;; esac
echo "$TMPDIR" >"$BUILD/place"; mkdir "$TMPDIR/deep"; echo 1..1
END
n=$((n + 1))
place=$(cat "$dir/build/place")
if [ -n "$place" ] && [ ! -e "$place" ]; then echo "ok $n - TMPDIR is gone afterwards"; else echo "not ok $n - TMPDIR is gone afterwards"; fi
expect 'what a program left running ends with it' 1 0 0 '1 passed' <<'END'
sleep 300 & echo $! >"$BUILD/left"; echo 1..1; echo "ok 1 - a"
END
n=$((n + 1))
left=$(cat "$dir/build/left")
for _ in $(seq 200); do
	state=$(cut -d' ' -f3 "/proc/$left/stat" 2>/dev/null) # a container may lack an init that reaps: Z has ended
	case $state in '' | Z) break ;; esac
	sleep 0.1
done
if [ -n "$left" ] && { [ -z "$state" ] || [ "$state" = Z ]; }; then echo "ok $n - and it did end"; else echo "not ok $n - and it did end"; fi
n=$((n + 1))
BUILD=$dir/build sh tests/run >"$dir/said" 2>&1
if [ $? -eq 1 ] && [ "$(tail -n 1 "$dir/said")" = "0 passed, 1 failed" ]; then echo "ok $n - a run of nothing fails"; else echo "not ok $n - a run of nothing fails"; fi
echo "1..$n"
