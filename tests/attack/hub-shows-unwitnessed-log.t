#!/bin/sh
# The hub rewrites its log and shows the new one to an office that has never seen the old: only somebody outside can tell.
. "$(dirname "$0")/../lib/attack.sh"

ok "a province witnesses the log" province_init
at_rest
ok "and cosigns it" hub witness ask
cosigned=$(ls "$dir"/hub/witness/*/cosigned)
hub_stop
cp -a "$dir/hub" "$dir/one" && cp -a "$dir/hub" "$dir/fork" && cp -a "$dir/province" "$dir/province.one"
fork() { "$bin/tributary-hub" --state "$dir/fork" "$@"; }
ok "a second hub with its keys goes on otherwise" quiet fork node add 520303009009 --app community --name 别处 --url "$url" --slip "$dir/fork.slip"
ok "publishes that" quiet fork rebuild
ok "and has it witnessed" quiet fork witness ask
rm -rf "$dir/hub/witness" && cp -a "$dir/fork/witness" "$dir/hub/witness"
audit_says "the witness province.example/w has cosigned another log: one of [0-9]* leaves that is not this one, which has $(leaves)" "the audit says that it is not this log"
rm -rf "$dir/hub" && mv "$dir/one" "$dir/hub"
province_stop
rm -rf "$dir/province" && mv "$dir/province.one" "$dir/province"
ok "the province has not seen that" province_start
hubsql "UPDATE leaf SET bytes=CAST(replace(CAST(bytes AS TEXT),'incarnation 1','incarnation 7') AS BLOB) WHERE idx=(SELECT idx FROM held WHERE node='$a' AND seq=1)"
ok "all hashes fit the changed leaf" python3 "$top/tests/tool/relog.py" "$dir/hub/hub.db"
rm -rf "$dir/hub/audited" "$dir/hub/checkpoint" "$dir/hub/log/checkpoint" "$dir/hub/log/tile"
ok "the hub starts, and signs it" hub_start
published
refuses 3 "was the hub restored or rewritten" "the witness does not cosign another log of the same size" hub witness ask
witness_says() { hub witness show "$dir/province"; }
refuses 15 "THIS LOG HAS SIGNED TWO HISTORIES" "and keeps what convicts the hub" witness_says
c=520303001012
ok "a new office" office $c community 新
ok "enrols" enrol $c community 新
published
refuses 3 "was the hub restored or rewritten" "nor one that goes on from there" hub witness ask
refuses 15 "failing since" "the hub's status names it, and that the log was rewritten" sh -c '"$0" --state "$1" status; "$0" --state "$1" audit' "$bin/tributary-hub" "$dir/hub"
refuses 15 "the witness province.example/w has cosigned another log: its first" "the audit convicts the hub by what was cosigned" hub audit
stock_says "names a checkpoint of [0-9]* leaves, which is of another log" "stock tools do by what the communities signed"
pin() { agent $c config set witness "$province"; }
ok "the new office pins the province" pin
ok "its first night: nothing cosigned is shown, and the day is young" agent $c sync
ok "the second night" sh -c "sqlite3 '$dir/$c/office.db' \"INSERT INTO demand VALUES('z','乙','reported',1)\""
ok "is a commit" agent $c commit
ok "sent by stock git" office_git $c -C "$dir/$c/state/repo.git" push "$url/$c/community.git" main:refs/heads/main
ok "it is in the city" eventually 1 community "SELECT count(*) FROM demand WHERE id='z'"
at_rest
hub_stop
ok "the hub shows the office what was cosigned of the old log" "$bin/tests/tool/forgedown" "$dir/hub" $c community note "$cosigned"
ok "the hub starts" hub_start
refuses 15 "has cosigned another log than the hub shows this office (split view)" "the office refuses it" agent $c pull
ok "the hub shows nothing instead" sh -c "kill $hub_pid; while kill -0 $hub_pid 2>/dev/null; do sleep 0.1; done; '$bin/tests/tool/forgedown' '$dir/hub' $c community none"
TRIBUTARY_CLOCK_OFFSET=$((37 * 3600))
export TRIBUTARY_CLOCK_OFFSET
ok "37 hours later" hub_start
refuses 15 "has cosigned nothing of the city's log since" "the office raises the alarm" agent $c pull
unset TRIBUTARY_CLOCK_OFFSET
finish
