# attack.sh: what attack scripts share, on top of harness.sh: a city with two offices and two nights, every step of it real.
#
# A script is one threat by one actor (docs/THREATS.md). It shows that all is proven before, attacks, and asserts the exact finding and exit status.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
b=520303001011
forge=$bin/tests/tool/forge
LC_ALL=C.UTF-8
export LC_ALL

quiet() { "$@" >"$dir/quiet" 2>&1 || { cat "$dir/quiet"; return 1; }; }

# An audit with one thread and one with four: the same words and the same status.
audit_twice() {
	hub audit --jobs 1 >"$dir/alone" 2>&1
	alone=$?
	hub audit --jobs 4 >"$dir/four" 2>&1
	four=$?
	cat "$dir/four"
	cmp -s "$dir/alone" "$dir/four" && [ $alone = $four ] || { echo "with one thread it ends with $alone and says:"; cat "$dir/alone"; return 99; }
	return $four
}

# The same beside a running hub, which has nothing left to do: between the two nothing comes.
proven_at_rest() { at_rest && audit_twice; }

# The scripts of one run of tests/run share one city, made by the first that needs it: each has a copy, with its own paths, and its hub on a port of its own.
# At 00:00 UTC a hub writes the list of the night into its log: what begins after that has a city made after that.
# Leaves $dir/$a/night1 and $dir/$b/night1 behind: the offices' folders as they were after the first night; and $dir/hub-night1, the hub's.
two_offices() {
	[ -n "${FIXTURES:-}" ] || { make_two_offices; return; }
	made=$FIXTURES/two-offices.$(date -u +%F)
	(
		flock 9 && [ ! -d "$made" ] || exit 0
		dir=$FIXTURES/making
		rm -rf "$dir" && mkdir "$dir" && make_two_offices && hub_stop && mv "$dir" "$made" || { hub_stop; exit 1; }
	) 9>"$FIXTURES/lock" && cp -a "$made/." "$dir" && quiet hub_start || return 1
	for o in $a $b; do
		path=$(printf %s "$dir/$o/office.db" | sed 's,/,%2F,g')
		sed -i "s,^db-path .*,db-path $path,; s,^hub-url .*,hub-url https%3A%2F%2F127.0.0.1%3A$port," "$dir/$o/state/node" "$dir/$o/night1/node" && sed -i "s,^url .*,url $url," "$dir/$o/slip" || return 1
	done
}
make_two_offices() {
	quiet city_init && quiet hub_start || return 1
	for o in $a $b; do
		quiet office $o community "社区 $o" && quiet enrol $o community "社区 $o" && quiet agent $o sync && cp -a "$dir/$o/state" "$dir/$o/night1" && cp "$dir/$o/office.db" "$dir/$o/night1.db" || return 1
	done
	# What is merged after the hub stopped is merged when it starts: the copy is one of a hub at rest.
	eventually 4 community "SELECT count(*) FROM demand" && at_rest && hub_stop && cp -a "$dir/hub" "$dir/hub-night1" && quiet hub_start || return 1
	for o in $a $b; do
		sql $o "UPDATE demand SET status='closed' WHERE id='d1'; INSERT INTO demand VALUES('d3','停水','reported',3);" && quiet agent $o sync || return 1
	done
	eventually 6 community "SELECT count(*) FROM demand" && at_rest && quiet audit_twice
}
ok "a city of two offices after two nights, all proven" two_offices

repo() { echo "$dir/hub/repos/$1/community.git"; }
tip() { git -C "$(repo $1)" rev-parse main; }
head_of() { git -C "$dir/$1/state/repo.git" rev-parse main; }
leaves() { sqlite3 -readonly "$dir/hub/hub.db" "SELECT count(*) FROM leaf"; }
hubsql() { sqlite3 "$dir/hub/hub.db" "$1"; }
# Every byte that the hub keeps of A's and B's histories.
kept() { # a worker's folder goes right after its last word
	soon swept >/dev/null
	find "$(repo $a)" "$(repo $b)" "$dir/hub/quarantine" -type f | grep -v -e /down -e '/logs/' | sort | xargs sha256sum | sha256sum
}
swept() { [ -z "$(find "$dir/hub/quarantine" -type f)" ]; }

# as ID CURL-ARGS...: a raw request with an office's TLS certificate; prints the status of the answer, its body is in $dir/answer
as() {
	who=$1
	shift
	curl -sS --max-time 60 --cacert "$dir/$who/state/keys/root.crt" --cert "$dir/$who/state/keys/tls.crt" --key "$dir/$who/state/keys/tls.key" -o "$dir/answer" -w '%{http_code}\n' "$@"
}

# What stock git says of a hub that answers 403, or ends the handshake.
shut_out='403\|unknown ca\|certificate\|alert\|SSL\|not connected\|Broken pipe\|reset by peer'

# The honest offices go on, and the city proves all: nothing of the attack stayed.
unharmed() {
	for o in $a $b; do
		sql $o "INSERT INTO demand VALUES('later','以后','reported',9)"
		ok "office $o goes on" agent $o sync
	done
	ok "both are in the city" eventually 2 community "SELECT count(*) FROM demand WHERE id='later'"
	ok "and all is proven" hub audit
}

# forged CODE NAME KIND [ARG...]: a thief with A's disk makes a wrong commit with A's keys; stock git pushes it. Refused as CODE; nothing of it stays.
forged() {
	code=$1
	what=$2
	shift 2
	rm -rf "$dir/thief"
	before="$(tip $a) $(kept)"
	cp -a "$dir/$a/state" "$dir/thief"
	ok "$what: forged" "$forge" "$dir/thief" "$@"
	refuses 1 "$code" "$what: refused as $code" office_git $a -C "$dir/thief/repo.git" push "$url/$a/community.git" main:refs/heads/main
	ok "$what: nothing stays" same "$(tip $a) $(kept)" "$before"
	ok "$what: the refusal is on record" on_record "$code"
}
on_record() { sqlite3 -readonly "$dir/hub/hub.db" "SELECT code FROM refusal" | grep -qx -e "$1"; }

# The operator of the hub is the attacker: he works on the folder while the hub is stopped, with every key that lies there.
city_write() { sqlite3 "$dir/hub/city/community.db" "$1"; }
# audit_says TEXT NAME: the audit ends with status 15 and names it, with any number of threads.
audit_says() { refuses 15 "$1" "$2" audit_twice; }
# What two_offices proved is kept. since_says TEXT NAME: an audit that goes on from it makes a full one by itself, and that one names it.
since_says() {
	refuses 15 "$1" "$2" hub audit --since last
	cp "$dir/out" "$dir/said"
	ok "by a full audit" grep -q "^All was judged anew: " "$dir/said"
}
# A third night of both offices.
third_night() {
	for o in $a $b; do
		sql $o "UPDATE demand SET status='done' WHERE id='d3'; INSERT INTO demand VALUES('d4','垃圾','reported',4);" && quiet agent $o sync || return 1
	done
	eventually 8 community "SELECT count(*) FROM demand" && at_rest
}
mended() { ok "rebuild mends it" quiet hub rebuild && ok "and all is proven again" hub audit; }

# An auditor's bundle, and what its README's own commands say of it after it was doctored: doctored TEXT NAME.
take_bundle() { ok "an auditor's bundle" hub audit --bundle "$dir/b"; }
# Under a sanitizer (SAN=1) stock tools are not asked: it sees none of them.
asks_stock() { [ -z "${SAN:-}" ]; }
doctored() {
	asks_stock || return 0
	steps_of
	refuses 1 "NOT PROVEN: .*$1" "$2" stock_steps
}
# Whoever has every key of the city doctors a bundle (tests/tool/doctor.py) that stock tools proved: falsified TEXT NAME ARG... asserts the finding, word for word.
keep_bundle() { take_bundle && ok "stock tools prove it" stock_proves && cp -a "$dir/b" "$dir/whole-bundle"; }
doctor() { python3 "$top/tests/tool/doctor.py" "$dir/b" "$dir/hub" "$@"; }
undoctored() { rm -rf "$dir/b" && cp -a "$dir/whole-bundle" "$dir/b"; }
falsified() {
	text=$1
	what=$2
	shift 2
	tried "$what" || return 0
	undoctored
	ok "$what" doctor "$@"
	steps_of
	refuses 1 "^NOT PROVEN: $text\$" "  and stock tools say so" stock_steps
}
# Of a script's cases each costs a run of all the README's commands, over a thousand processes: `make check` tries the first of every four, `make attack` all (ATTACK_EVERY=1).
cases=0
tried() { # tried NAME
	cases=$((cases + 1))
	[ $(((cases - 1) % ${ATTACK_EVERY:-4})) -eq 0 ] || { echo "# left to make attack: $1"; return 1; }
}
named() { # named TEXT
	tried "$1" || return 0
	steps_of
	refuses 1 "^NOT PROVEN: $1\$" "  and stock tools say so" stock_steps
}
# stock_says TEXT NAME [CHECKPOINT]: so do stock tools alone, of what the hub as it is now gives an auditor, who may have a checkpoint that was kept.
stock_says() {
	rm -rf "$dir/b"
	hub audit --bundle "$dir/b" >"$dir/ours" 2>&1
	[ -z "${3:-}" ] || cp "$3" "$dir/b/older-checkpoint"
	doctored "$1" "$2"
}
# stock_proves: the same commands prove the bundle as it is.
stock_proves() {
	sed -n '/^```sh$/,/^```$/p' "$dir/b/README.md" | grep -v '^```' >"$dir/steps"
	stock_steps >"$dir/proof" 2>&1
	rc=$?
	cat "$dir/proof"
	[ $rc -eq 0 ] && [ "$(tail -n 1 "$dir/proof")" = PROVEN ]
}
stock_steps() { (cd "$dir/b" && env -i PATH=/usr/bin:/bin HOME="$dir" GIT_CONFIG_NOSYSTEM=1 sh "$dir/steps"); }
# rebundle NODE MAIN-REV: the history once more, up to another commit
rebundle() {
	g=$dir/re.git
	rm -rf "$g"
	git clone -q --mirror "$dir/b/histories/$1/community.bundle" "$g" 2>/dev/null && git -C "$g" update-ref refs/heads/main "$2" && git -C "$g" bundle create -q "$dir/b/histories/$1/community.bundle" main down
}

# The hub itself takes a commit in that it should have refused: its operator is the attacker, and with its keys he makes all else to match (tests/tool/accept.c).
# accepts "OPTION..." KIND [ARG...]: $bad is the commit, forged with A's keys; the hub is stopped and as it was before, the honest A knows nothing of it.
accepts() {
	how=$1
	shift
	rm -rf "$dir/thief" "$dir/b"
	[ -d "$dir/before" ] || cp -a "$dir/hub" "$dir/before"
	rm -rf "$dir/hub"
	cp -a "$dir/before" "$dir/hub" && cp -a "$dir/$a/state" "$dir/thief" && bad=$("$forge" "$dir/thief" "$@") && takes "$dir/thief/repo.git" $bad "$how"
}
takes() { git -C "$(repo $a)" fetch -q "$1" main && "$bin/tests/tool/accept" "$dir/hub" $a community "$2" $3; } # takes REPO COMMIT "OPTION..."
# The same with a right commit shows that nothing else of it differs.
accepts_good() {
	ok "a hub that takes in a right commit without a look" accepts "" honest
	ok "differs in nothing" audit_twice
	ok "gives a bundle away" gives_bundle
	ok "and is proven by stock tools" stock_steps
}
# found SEQ TEXT NAME: the audit names that commit of A, its number and the reason.
found() { audit_says "#$1 $(echo "$bad" | cut -c 1-12) .*$2" "$3"; }
gives_bundle() {
	rm -rf "$dir/b"
	hub audit --bundle "$dir/b" >"$dir/said" 2>&1
	[ -f "$dir/b/README.md" ] && steps_of
}
steps_of() { sed -n '/^```sh$/,/^```$/p' "$dir/b/README.md" | grep -v '^```' >"$dir/steps"; }
convicted() { # convicted TEXT NAME: the README of the hub's own bundle says it
	ok "the hub gives a bundle away" gives_bundle
	asks_stock || return 0
	refuses 1 "^NOT PROVEN: .*$1" "$2" stock_steps
}
# Of the same bundle all that the log and the histories say, by stock tools: the program does not pack everything.
gives_all() {
	cp "$dir/hub/checkpoint" "$dir/b/checkpoint" && sqlite3 -readonly -newline '' "$dir/hub/hub.db" "SELECT CAST(bytes AS TEXT) FROM leaf ORDER BY idx" >"$dir/b/log/leaves" &&
		git -C "$dir/hub/city.git" bundle create -q "$dir/b/city.bundle" main && rm -f "$dir/b/city/community.db" &&
		sqlite3 -readonly "$dir/hub/city/community.db" "VACUUM INTO '$dir/b/city/community.db'" && for o in $a $b; do
			git -C "$(repo $o)" bundle create -q "$dir/b/histories/$o/community.bundle" main down || return 1
		done
}
