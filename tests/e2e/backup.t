#!/bin/sh
# The backup of a running hub, by the very lines of docs/OPERATIONS.md, while offices push between its steps and during them; then the disk is lost and the hub comes back
# from it: everything that any office has a receipt of is there again, and proven.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
b=520303001011
n_pushes=0 # of B

says() { text=$1; shift; "$@" >"$dir/said" 2>&1; rc=$?; cat "$dir/said"; [ $rc -eq 0 ] && grep -q -e "$text" "$dir/said"; }
sed -n '/^\*\*Backup\*\*/,/^```$/p' "$top/docs/OPERATIONS.md" | sed -n '/^```sh$/,/^```$/p' | grep -v '^```' >"$dir/recipe"
push() { # push NAME: one commit of A, merged
	sql $a "INSERT INTO demand VALUES('$1','夜','reported',1)" && agent $a sync && eventually 1 community "SELECT count(*) FROM demand WHERE id = '$1'"
}
# Between the steps: each sqlite3 and flock of the recipe pushes first and afterwards.
steps() {
	mkdir "$dir/path" || return 1
	for c in sqlite3 flock; do
		cat >"$dir/path/$c" <<-END || return 1
			#!/bin/sh
			echo >>"$dir/between" && "$dir/push-one" "$c" </dev/null >>"$dir/pushes" 2>&1
			PATH=$PATH $c "\$@"
			rc=\$?
			"$dir/push-one" "$c" </dev/null >>"$dir/pushes" 2>&1 || exit 9
			exit \$rc
		END
		chmod +x "$dir/path/$c"
	done
	cat >"$dir/push-one" <<-END
		#!/bin/sh
		PATH=$PATH
		sqlite3 "$dir/$a/office.db" "INSERT INTO demand VALUES('\$1-' || hex(randomblob(8)),'夜','reported',1)" &&
			"$bin/tributary-agent" --state "$dir/$a/state" sync && sleep 0.3
	END
	chmod +x "$dir/push-one"
}
# During them: B pushes all the time.
busy() {
	while [ ! -e "$dir/enough" ]; do
		n_pushes=$((n_pushes + 1))
		sql $b "INSERT INTO demand VALUES('busy-$n_pushes','昼','reported',1)" && agent $b sync || touch "$dir/failed"
	done
}
backup() {
	busy >"$dir/busy" 2>&1 &
	busy_pid=$!
	sleep 0.3
	env PATH="$dir/path:$PATH" HUB="$dir/hub" COPY="$dir/copy" sh "$dir/recipe"
	rc=$?
	touch "$dir/enough"
	wait $busy_pid
	tail -5 "$dir/pushes" "$dir/busy" "$dir/copy/cp.err"
	[ ! -e "$dir/failed" ] && [ "$(wc -l <"$dir/between")" -eq 4 ] && return $rc
}
leaves() { sqlite3 -readonly "$1/hub.db" "SELECT count(*) FROM leaf"; }

ok "the recipe is in the manual" test -s "$dir/recipe"
made() { city_init && hub user add li --role administrator --out "$dir/admin" && hub_start && for o in $a $b; do office $o community "社区$o" && enrol $o community "社区$o" && agent $o sync || return 1; done; }
ok "a city of two offices" made
ok "a night" push n1
ok "a backup beside the running hub, while offices push" steps
ok "goes through" backup
all=$(sqlite3 "$dir/$a/office.db" "SELECT count(*) FROM demand"),$(sqlite3 "$dir/$b/office.db" "SELECT count(*) FROM demand")
in_city() { eventually "$all" community "SELECT sum(_node = '$a') || ',' || sum(_node = '$b') FROM demand"; }
ok "a last push" push n2
all=$(sqlite3 "$dir/$a/office.db" "SELECT count(*) FROM demand"),${all#*,}
ok "the city has all" in_city
hub_stop
ok "and proves it" hub audit
older() { [ "$(leaves "$dir/copy")" -lt "$(leaves "$dir/hub")" ]; }
ok "the backup is older" older
mv "$dir/hub" "$dir/lost"
mv "$dir/copy" "$dir/hub"
ok "the disk is lost; the backup and a new epoch" hub recover --admin-key "$dir/admin/sign.key"
# A merge fell between the copies of city.git and hub.db: the manual says what rebuild says then.
derived() { hub rebuild >"$dir/said" 2>&1; rc=$?; cat "$dir/said"; [ $rc = 0 ] || { [ $rc = 15 ] && grep -q "1 findings.*its last commits are missing" "$dir/said"; }; }
ok "the city's databases are derived again, or by serve" derived
ok "the hub starts" hub_start
ok "and proves what the backup holds" soon hub audit
offices() { agent $a sync && agent $b sync; }
ok "offices follow and send again what it lacks" offices
ok "by their receipts nothing is missing" says "^Complete" hub recover --check
ok "the city has all again" in_city
ok "they go on" push n3
hub_stop
ok "and all is proven" hub audit
finish
