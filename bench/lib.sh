# shellcheck shell=sh
# lib.sh: what the benchmarks share: measured commands, medians with range, Markdown rows. Source it from the repository's top after `top` is set.
#
# Tables go to stdout, ready for docs/BENCHMARKS.md; what is going on goes to stderr. Nothing here judges: figures are printed, not asserted.
BUILD=${BUILD:-$top/build}
export BUILD
. "$top/tests/lib/harness.sh"
LC_ALL=C.UTF-8 # for ± and – in tables
export LC_ALL
mkdir "$dir/figures"

say() { printf '# %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }
machine() { # machine SETTINGS: the line under a table's title
	cpu=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
	printf '%s, %s CPUs (%s), load %s at the start, SQLite %s, git %s; commit %s; %s. Median (least–most).\n\n' "$(date -u +%Y-%m-%d)" "$(nproc)" "${cpu:-?}" \
		"$(cut -d' ' -f1 /proc/loadavg)" "$(sqlite3 --version | cut -d' ' -f1)" "$(git --version | cut -d' ' -f3)" \
		"$(git -C "$top" rev-parse --short HEAD 2>/dev/null || echo unknown)" "$1"
}

night_sql() { awk -v N="$1" -v D="$2" -v SEED="$3" -f "$top/bench/night.awk"; } # night_sql ROWS D SEED: a night of workload W

note() { echo "$2" >>"$dir/figures/$1"; } # note NAME NUMBER: one more figure of that name
has() { [ -s "$dir/figures/$1" ]; }
median() { # median NAME
	sort -n "$dir/figures/$1" 2>/dev/null | awk '{v[NR] = $1} END {if (!NR) print "nan"; else print (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'
}
cell() { # cell NAME: "median (least–most)", three significant digits
	sort -n "$dir/figures/$1" 2>/dev/null | awk 'function f(x) {return sprintf((x >= 100 || x == int(x)) ? "%.0f" : x >= 10 ? "%.1f" : "%.2f", x)}
		{v[NR] = $1}
		END {if (!NR) {print "-"; exit}
			m = (NR % 2) ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
			print ((NR > 1 && v[1] != v[NR]) ? f(m) " (" f(v[1]) "–" f(v[NR]) ")" : f(m))}'
}
div() { awk -v a="$1" -v b="$2" 'BEGIN {if (a == "nan" || b == "nan" || b == 0) print "-"; else printf (a / b < 0.095 ? "%.3f" : "%.2f"), a / b}'; }
over() { div "$(median "$1")" "$(median "$2")"; } # over A B: the ratio of their medians
row() { # row CELL...: one line of a table
	printf '|'
	printf ' %s |' "$@"
	printf '\n'
}
head_row() {
	row "$@"
	printf '|'
	for _ in "$@"; do printf -- '---|'; done
	printf '\n'
}

timed() { # timed NAME COMMAND...: NAME is wall time in ms, NAME.cpu its CPU time, NAME.rss peak memory in KiB
	what=$1
	shift
	"$bin/bench/measure" "$dir/measured" "$@" >"$dir/out" 2>&1 || { say_out >&2; die "$what failed: $*"; }
	read -r wall used rss <"$dir/measured"
	note "$what" "$wall"
	note "$what.cpu" "$used"
	note "$what.rss" "$rss"
}
