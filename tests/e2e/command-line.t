#!/bin/sh
# The command line as a stranger meets it: with --json one document whatever happens, no success without an answer, every name of a command that
# a message gives exists, odd names travel, and a mistake is told with what to do next.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
LC_ALL=C.UTF-8
export LC_ALL
A="$bin/tributary-agent --state $dir/$a/state"
H="$bin/tributary-hub --state $dir/hub"

ok "a city" city_init
ok "the hub listens" hub_start
ok "an office" office $a community 洗马社区
ok "enrols" enrol $a community 洗马社区
ok "and syncs" agent $a sync

# --json: every command, right and wrong.
cat >"$dir/documents" <<PY
import json, shlex, subprocess, sys
dir, bin, node = sys.argv[1:]
agent = '''init|init x|init {dir}/none.db --node X|commit|commit extra|commit --engine nope|commit -m|commit -n|status|status x|log|log --limit x|log -t nope|show|show HEAD|show nope
show HEAD~99|show #1|show HEAD --rows 3|changeset|changeset HEAD|changeset nope|check|check --read-data|enrol|enrol --slip /nonexistent|enrol --slip /etc/hostname|push|pull|sync|sync --if-due
restore|restore --at HEAD|restore --at HEAD --to /nonexistent/x|restore --at nope --to {dir}/x.db|restore --at HEAD --to {dir}/{node}/office.db|restore --at HEAD --to {dir}/r.db|bundle|bundle create
bundle create {dir}/b1|bundle create {dir}/b1|bundle create {dir}/b2 --since nope|bundle apply|bundle apply /nonexistent|cert|cert show|cert renew -n|cert rotate -n|config|config list|config get|config get x
config set|config set x y|doctor|nope||--nope|commit --nope|commit --json=1|restore --at|cert nope|status -q|status -v|--lang|--state'''
hub = '''init|init --city X|init --city|serve --listen x|node|node add|node add X/Y|node add 5203 --app c --name n --url https://h --slip {dir}/s1|node add {node} --app community --url https://h
node list|node show|node show {node} --app community|node show nope|node approve|node approve nope|node reject nope|node replace nope --url https://h|node revoke nope|node close {node}|user|user list|user add
user add x --role king --out {dir}/u1|user add x --role auditor --out {dir}/u1|user revoke nope|status|status x|checkpoint|checkpoint show|checkpoint verify|checkpoint verify /etc/hostname|audit
audit --since /nonexistent|log|log --node {node} --app community|log --nights|show|show HEAD|show HEAD --node {node} --app community|restore|restore --node {node} --app community --at HEAD --to {dir}/h.db
restore --node {node} --app community --at nope --to {dir}/h2.db|rebuild|bundle|bundle create|ingest|ingest /nonexistent|nope||--nope'''
bad = 0
for program, state, verbs in (("tributary-agent", f"{dir}/{node}/state", agent), ("tributary-hub", f"{dir}/hub", hub)):
    for verb in verbs.replace("\n", "|").format(dir=dir, node=node).split("|"):
        r = subprocess.run([f"{bin}/{program}", "--json", "--state", state] + shlex.split(verb), capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
        try:
            d = json.loads(r.stdout)
            wrong = d["exit_code"] != r.returncode or not 0 <= r.returncode <= 20 or ("error" in d) != (r.returncode not in (0, 3)) or not d["schema"].startswith(program)
        except (ValueError, KeyError):
            wrong = True
        if wrong:
            bad = 1
            print(program, verb, r.returncode, r.stdout[:200], r.stderr[:200])
sys.exit(bad)
PY
ok "with --json stdout is one document, whatever happens" python3 "$dir/documents" "$dir" "$bin" $a

# No answer, no success.
mute() { # mute PROGRAM...: each verb on a full device and on a closed standard output
	for v in $verbs; do
		v=$(echo "$v" | tr , ' ')
		"$@" $v >/dev/full 2>/dev/null && { echo "$v: exit 0 on a full device"; return 1; }
		"$@" $v >&- 2>/dev/null && { echo "$v: exit 0 on a closed output"; return 1; }
	done
	return 0
}
verbs="status log show,HEAD check cert,show config,list doctor --help --version status,--json commit,-n changeset,HEAD"
ok "an answer that cannot be written is a failure" mute $A
verbs="status node,list checkpoint,show audit log,--nights user,list --help status,--json"
ok "of the hub too" mute $H
cut_off() { # into a pipe whose reader has gone before
	mkfifo "$dir/pipe" || return 1
	: <"$dir/pipe" &
	exec 9>"$dir/pipe"
	wait $!
	$A log >&9 2>/dev/null
	rc=$?
	exec 9>&-
	same $rc 1
}
ok "a reader that leaves is no crash" cut_off
closed() { $A status <&- >"$dir/said" && [ -s "$dir/said" ]; }
ok "a closed standard input does not matter" closed

# Messages name commands that exist.
exist() {
	grep -rhoE 'tributary-(hub|agent) [a-z][a-z-]+( [a-z][a-z-]+)?' "$top/hub" "$top/agent" "$top/core" --include='*.c' --include='*.h' | sort -u >"$dir/named"
	while read -r p v w; do
		"$bin/$p" $v $w --help >/dev/null 2>&1 || "$bin/$p" $v --help >/dev/null 2>&1 || { echo "no such command: $p $v $w"; return 1; }
	done <"$dir/named"
}
ok "every command that a message names exists" exist
refuses 2 "there are: node add, node list" "half a command says what there is" hub node
refuses 2 "node clos is no command" "and a wrong one" hub node clos x
refuses 1 "is no enrolment slip" "a slip that is none" agent $a enrol --slip /nonexistent
refuses 15 "is no checkpoint of this log" "a checkpoint that is none" hub checkpoint verify /etc/hostname
refuses 10 "not a hub's folder" "a file where a folder should be" "$bin/tributary-hub" --state "$dir/$a/office.db" status
refuses 2 "UTF-8" "a name that is no text" hub node add X --url https://h --name "$(printf 'a\377')"
refuses 2 "UTF-8" "of an office too" agent new init "$dir/$a/office.db" --node X --name "$(printf 'a\377')"
refuses 1 "no commit knows a table nope" "a table that nobody knows" agent $a log -t nope
refuses 1 "this commit knows no table nope" "nor that commit" agent $a show HEAD -t nope
ok "an app's table in other letters" agent $a show HEAD -t DEMAND
sql $a "CREATE TABLE quiet(id INTEGER PRIMARY KEY, v); CREATE VIRTUAL TABLE found USING fts5(v)"
ok "(a table without rows, and one that is left out)" agent $a commit
for t in quiet found; do
	refuses 0 "no commit changed a table $t" "$t is none that nobody knows" agent $a log -t $t
done
ok "(it goes)" sql $a "DROP TABLE quiet"
ok "(from the next commit on)" agent $a commit
refuses 0 "no commit changed a table quiet" "one that is gone is in the commits before" agent $a log -t quiet
refuses 1 "this commit knows no table quiet" "and not in the last" agent $a show HEAD -t quiet
ok "config set private" agent $a config set private demand.title
ok "config get private" same "$(agent $a config get private)" demand.title
listed() { agent $a config list | grep -qx "private=demand.title" && agent $a config list --json | tr -d ' \n' | grep -q '"private":\["demand.title"\]'; }
ok "config list has it" listed
ok "config set public" agent $a config set public demand.title
chmod 644 "$dir/$a/state/keys/sign.key"
step_by_step() {
	agent $a doctor >"$dir/said"
	same $? 3 && for w in "WRONG .*state folder is private.*chmod" "WRONG .*keys and certificates can be used" "ok .*database can be read" "ok .*office is enrolled"; do
		grep -q "^$w" "$dir/said" || { echo "not: $w"; cat "$dir/said"; return 1; }
	done
}
ok "a key that others may read does not stop the doctor" step_by_step
chmod 600 "$dir/$a/state/keys/sign.key"
ok "and is content then" agent $a doctor
refuses 1 "slip could not be written" "a slip that cannot be written" hub node add 77 --url https://h --slip /nonexistent/slip
if [ "$(id -u)" = 0 ] && setpriv --reuid=65534 --regid=65534 --clear-groups true 2>/dev/null; then
	chmod 711 "$dir" "$dir/$a"
	other() { (cd / && setpriv --reuid=65534 --regid=65534 --clear-groups "$@"); }
	refuses 1 "belongs to root: run this as that user" "the wrong user is told whose it is" other $A status
	refuses 1 "belongs to root: run this as that user" "at the hub too" other $H status
fi

# Files that are gone.
gone() { # gone FILE COMMAND...: the command without that file of a copied state folder
	rm -rf "$dir/copy" && cp -a "$dir/$a/state" "$dir/copy" && rm -r "$dir/copy/$1" && shift && "$@"
}
for f in salt tip repo.git keys/sign.key keys/tls.crt node; do
	for v in status commit; do
		gone $f "$bin/tributary-agent" --state "$dir/copy" $v >"$dir/said" 2>&1
		rc=$?
		said() { [ $rc -ne 0 ] && [ $rc -le 20 ] && grep -q "database itself is untouched.*node replace" "$dir/said"; }
		ok "$v without $f says what is safe and what to do" said
	done
done
hub_gone() { # hub_gone FILE: a hub that starts without it ends, says so, and makes none in its place
	rm -rf "$dir/hub2" && cp -a "$dir/hub" "$dir/hub2" && rm -f "$dir/hub2/run"/* "$dir/hub2/$1" "$dir/hub2/$1"-* && ! timeout 30 "$bin/tributary-hub" --state "$dir/hub2" serve --listen 127.0.0.1:0 >"$dir/said" 2>&1 &&
		grep -q "bring it back from a backup" "$dir/said" && [ ! -e "$dir/hub2/$1" ]
}
ok "(the hub is at rest: its folder is copied)" at_rest
for f in hub.db hub.conf keys/hub-sign.crt ca/root.crt; do
	ok "the hub does not start without $f" hub_gone $f
done
strayed() { # a hub without a standard error: what it would say there must not land in a file of its own
	rm -rf "$dir/hub2" && cp -a "$dir/hub" "$dir/hub2" && rm -f "$dir/hub2/run"/*
	"$bin/tributary-hub" --state "$dir/hub2" serve --listen 127.0.0.1:0 >/dev/null 2>&- &
	mute_hub=$!
	tries=0
	while [ ! -s "$dir/hub2/run/listen" ] && [ $tries -lt 600 ]; do
		tries=$((tries + 1))
		sleep 0.1
	done
	kill $mute_hub
	wait $mute_hub
	! grep -rlE 'hub (info|error)' "$dir/hub2"
}
ok "messages of a program without standard error land nowhere" strayed
rm -rf "$dir/hub2" "$dir/copy"

# Names that people and programs give.
odd="$dir/o d"
mkdir "$odd"
db="$odd/数据 '\"库.db"
make_odd() {
	printf '%b' 'CREATE TABLE "bad\0377name"(x PRIMARY KEY, "col\0200" TEXT); INSERT INTO "bad\0377name" VALUES(1, 2);' | sqlite3 "$db" &&
		sqlite3 "$db" '
		CREATE TABLE "a b"("k 1" INTEGER PRIMARY KEY, "quote""d" TEXT, "it'"'"'s" TEXT, "列" TEXT, "-dash", "%s%n", "new
line");
		INSERT INTO "a b" VALUES(1, 1, 2, 3, 4, 5, 6);
		CREATE TABLE "-n"(x PRIMARY KEY); INSERT INTO "-n" VALUES(1);
		CREATE TABLE "tab	le"(x); INSERT INTO "tab	le" VALUES(1);
		CREATE TABLE ""(x PRIMARY KEY); INSERT INTO "" VALUES(1);
		CREATE TABLE nocol("" PRIMARY KEY, b); INSERT INTO nocol VALUES(1, 2);'
}
ok "a database with odd names" make_odd
O="$bin/tributary-agent"
odd_agent() { "$O" --state "$odd/sta 'te" "$@"; }
ok "is taken under care" odd_agent init "$db" --node 5-._X --app app.1 --name "名 字 \"q' -x"
ok "its slip" hub node add 5-._X --app app.1 --name "名 字 \"q' -x" --url "$url" --slip "$odd/sl ip" --approve
ok "enrols" odd_agent enrol --slip "$odd/sl ip"
ok "and syncs" odd_agent sync
no_name() { odd_agent status | grep -q '"" (no name)'; }
ok "a table without a name is left out and named" no_name
rows() { odd_agent --json show HEAD --rows 50 | python3 -c '
import json, sys
d = json.load(sys.stdin)
print([r["table"] for r in d["rows"]])
sys.exit(len(d["rows"]) != 5 or len(d["tables"]) != 5)'; }
ok "no row is missing in a document because of its table's name" rows
listed() { odd_agent --json log | python3 -c 'import json, sys; sys.exit(len(json.load(sys.stdin)["commits"]) < 1)'; }
ok "nor a commit because of its subject" listed
one_line() { same "$(odd_agent show HEAD --rows 50 | grep -c '^  + ')" 5 && ! odd_agent show HEAD --rows 50 | grep -q '^line='; }
ok "a line end in a name makes no second line" one_line
ok "all of it is restored" odd_agent restore --at HEAD --to "$odd/-re sto'red.db"
ok "one table with a leading dash" odd_agent restore --at HEAD --table=-n --to "$odd/one.db"
ok "and proven at the hub" hub audit
finish
