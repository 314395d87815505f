#!/bin/sh
# Enrolment by slip: the CA is pinned before the code is sent, a code serves one machine, and the city allows or rejects.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
b=520303001011
c=520302004004

for bad in nonsense 127.0.0.1 127.0.0.1: 127.0.0.1:x 127.0.0.1:70000 ::1:8443 "a b:1"; do
	refuses 2 "HOST:PORT" "no city is made to listen on '$bad'" hub init --city 遵义 --listen "$bad"
done
setup() { city_init && hub_start && office $a community 洗马社区 && office $b community 南京路社区 && office $c community 兰家堡社区; }
ok "a city, and three offices that work alone" setup
slip() { hub node add "$1" --app community --name "$2" --url "$url" --slip "$dir/$1/slip"; }
ok "the city makes a slip that waits for approval" slip $a 洗马社区
code=$(sed -n 's/^code //p' "$dir/$a/slip")
only_hash() { ! grep -rqa "$code" "$dir/hub"; }
ok "the hub keeps no code, only its hash" only_hash

# The pin: a slip that names another CA is never sent to this hub.
sed 's/^ca ..../ca 0000/' "$dir/$a/slip" >"$dir/$a/wrong-ca"
refuses 12 "" "another city's pin stops the office before it sends its code" agent $a enrol --slip "$dir/$a/wrong-ca"
nothing_asked() { hub node show $a --app community --json | grep -q '"state": "unused"'; }
ok "and the code is still unused" nothing_asked
sed "s/^code ....../code 000000/" "$dir/$a/slip" >"$dir/$a/wrong-code"
refuses 12 "slip" "an unknown code is refused" agent $a enrol --slip "$dir/$a/wrong-code"
refuses 2 "this slip is for" "a slip of another office is not even sent" agent $b enrol --slip "$dir/$a/slip"

refuses 3 "approv\|wait" "the request waits" agent $a enrol --slip "$dir/$a/slip"
words() { grep -o 'request [0-9a-f][0-9a-f ]*' "$1" | head -n 1 | sed 's/ *$//'; }
compared() { agent $a enrol --slip "$dir/$a/slip" >"$dir/office" || [ $? -eq 3 ] && hub node show $a --app community >"$dir/city" && [ -n "$(words "$dir/office")" ] && same "$(words "$dir/city")" "$(words "$dir/office")"; }
ok "office and city see the same words to compare" compared
asked() { same "$(sqlite3 -readonly "$dir/hub/hub.db" "SELECT bytes FROM leaf" | grep -cx 'what node-ask')" 1; }
ok "that a machine asked is in the log, once" asked
listed() { hub node list | grep -q "^$1 .* $2 " && hub node list --json | grep -A3 "\"node\": \"$1\"" | grep -q "\"status\": \"$2\"" || { hub node list; return 1; }; }
ok "the list of offices has it as waiting" listed $a waiting
screen() { hub status >"$dir/screen" && grep -A2 "^Waiting for approval" "$dir/screen" | grep "node approve $a --app community --request '$(words "$dir/office" | sed 's/request //')'"; }
ok "the first screen has it, with the command to try" screen
json() { hub status --json | sed -n '/"requests": \[/,/\]/p' | grep -q "\"request\": \"$(words "$dir/office" | sed 's/request //')\""; }
ok "to a program too" json
refuses 12 "enrol" "nothing is pushed before that" agent $a push
# A thief with a copy of the slip, and keys of its own.
mkdir -p "$dir/thief" && sqlite3 "$dir/thief/office.db" 'CREATE TABLE t(id INTEGER PRIMARY KEY)'
ok "a thief makes a folder of the same name" agent thief init "$dir/thief/office.db" --node $a --app community
refuses 12 "once" "a slip serves one machine" agent thief enrol --slip "$dir/$a/slip"
ok "the city allows the request" hub node approve $a --app community
before=$(git -C "$dir/$a/state/repo.git" rev-parse main)
off() { by=$(($1 * 86400)); shift; TRIBUTARY_CLOCK_OFFSET=$by "$@"; }
refuses 12 "not yet valid; this computer's clock says .*look at the clock first" "a computer whose clock is years behind is told so" off -3285 agent $a enrol --slip "$dir/$a/slip"
refuses 19 "but this computer's clock says" "so is one whose clock is a year ahead" off 365 agent $a enrol --slip "$dir/$a/slip"
ok "the office asks again and is enrolled" agent $a enrol --slip "$dir/$a/slip"
refuses 0 "is enrolled with .* already, with this slip" "who asks once more, for the answer was cut off, is told that it is done" agent $a enrol --slip "$dir/$a/slip"
resigned() { [ "$before" != "$(git -C "$dir/$a/state/repo.git" rev-parse main)" ] && agent $a check --read-data; }
ok "commits made before are signed anew and check out" resigned
ok "and sync" agent $a sync
quiet() { hub status >"$dir/screen" && ! grep -q "^Waiting" "$dir/screen" && hub status --json | grep -q '"requests": \[\]'; }
ok "nothing waits on the first screen" quiet
ok "the list has it as enrolled" listed $a enrolled
reported() { sed -n '/^Reported/,$p' "$dir/screen" | grep -q "^  $a "; }
ok "it has reported" reported
braked() { sqlite3 "$dir/hub/hub.db" "UPDATE node SET braked = $1 WHERE node = '$a'" && hub status >"$dir/screen"; }
ok "(were it braked)" braked 1
only_braked() { same "$(grep "^  $a " "$dir/screen" | awk '{ print $5 }')" braked; }
ok "it is named as that alone" only_braked
ok "(it is not)" braked 0
refuses 12 "once" "the thief is still refused" agent thief enrol --slip "$dir/$a/slip"

ok "a slip for B" slip $b 南京路社区
refuses 3 "approv\|wait" "B asks" agent $b enrol --slip "$dir/$b/slip"
ok "the city rejects B" hub node reject $b --app community
refuses 12 "reject" "B is told" agent $b enrol --slip "$dir/$b/slip"

expired() { hub node add $c --app community --name 兰家堡社区 --url "$url" --slip "$dir/$c/slip" --approve --expires 1; }
ok "a slip for one hour" expired
late() { TRIBUTARY_CLOCK_OFFSET=7200 agent $c enrol --slip "$dir/$c/slip"; }
refuses 12 "expired" "two hours later it is worth nothing" late

# A new machine of the same office: new incarnation, signed and visible; the old machine is stopped.
replace() { hub node replace $a --app community --name 洗马社区 --url "$url" --slip "$dir/$a/slip2" --approve; }
ok "the city makes a replacement slip for A" replace
refuses 2 "enrolled already.*new folder" "it is not for the folder of the old machine" agent $a enrol --slip "$dir/$a/slip2"
refuses 2 "enrolled" "a plain slip for an enrolled office is refused" slip $a 洗马社区
# Two ask for one office, and only one of them was on the telephone.
leaves() { sqlite3 -readonly "$dir/hub/hub.db" "SELECT replace(CAST(bytes AS TEXT), char(10), ';') FROM leaf"; }
machine() { # machine NAME ID: a folder with keys of its own
	mkdir "$dir/$1" && sqlite3 "$dir/$1/office.db" 'CREATE TABLE t(id INTEGER PRIMARY KEY)' && agent "$1" init "$dir/$1/office.db" --node "$2" --app community
}
make_slip() { to=$1 && shift && hub node "$@" --app community --url "$url" --slip "$dir/$to"; }
code_of() { printf %s "$(sed -n 's/^code //p' "$dir/$1")" | sha256sum | cut -d' ' -f1; }
act() { leaves | grep -q ";what $1;.*;object $(code_of "$2");detail $(printf %s "${3:-%}" | sed 's/ /%20/g');"; } # act WHAT SLIP DETAIL: the log has it
slips() { same "$(hub node show "$1" --app community --json | sed -n 's/.*"state": "\(.*\)".*/\1/p' | sort | uniq -c | awk '{ printf "%s:%s ", $2, $1 }')" "$2"; }
ok "a slip for B, without a name" make_slip s1 add $b
named() { leaves | grep ";what node-add;.*;node $b;" | sed 's/.*;detail //' | sort | uniq -c | awk '$1 != 2 { bad = 1 } END { exit bad || NR != 1 }'; }
ok "it has the name that the city knows" named
ok "the next one" make_slip s2 add $b
ok "makes it void, for nobody had used it" slips $b "rejected:1 unused:1 void:1 "
ok "that is in the log" act node-void s1
refuses 12 "void" "it brings nobody in" agent $b enrol --slip "$dir/s1"
ok "a thief's machine" machine thief-b $b
refuses 3 "wait" "asks with the second" agent thief-b enrol --slip "$dir/s2"
ok "a third slip" make_slip s3 add $b
refuses 3 "wait" "B asks with that" agent $b enrol --slip "$dir/s3"
agent $b enrol --slip "$dir/s3" >"$dir/office"
sum=$(words "$dir/office" | sed 's/request //')
refuses 16 "2 requests .* are waiting" "Allow is refused: nobody said which" hub node approve $b --app community
refuses 16 "request $sum of 2" "the sums of both are listed" hub node approve $b --app community
refuses 16 "2 requests .* are waiting" "so is Reject" hub node reject $b --app community
refuses 1 "no request 0000 .* is waiting" "and a sum that none has" hub node approve $b --app community --request "0000 0000 0000 0000"
ok "the city allows the one of B" hub node approve $b --app community --request "$sum"
ok "the log says which" act node-approve s3 "$sum"
refuses 3 "wait" "the thief still waits" agent thief-b enrol --slip "$dir/s2"
ok "B is enrolled" agent $b enrol --slip "$dir/s3"
refuses 12 "void" "that shuts the thief out" agent thief-b enrol --slip "$dir/s2"
by_hub() { leaves | grep -q ";what node-void;by $b;.*;object $(code_of s2);detail ....[^;]*;"; }
ok "by an act of the hub" by_hub

# Revoke means: nobody comes in as this office any more, whatever is out.
ok "a replacement slip for B, allowed in advance" make_slip r1 replace $b --approve
revoke() { hub node revoke "$1" --app community --reason stolen; }
cut_off() { TRIBUTARY_CRASH_AT=slip-logged revoke $b; [ $? -eq 137 ]; }
ok "B is revoked, by a command that is killed when it is half done" cut_off
refuses 0 "1 slips that nobody has used" "once more makes the slip void" revoke $b
refuses 12 "void" "it brings nobody in" agent thief-b enrol --slip "$dir/r1"
ok "that is in the log" act node-void r1
refuses 1 "nothing of .* is in force" "there is nothing left to revoke, and it says so" revoke $b
ok "the list of offices has it as revoked" listed $b revoked
gone() { hub status >"$dir/screen" && sed -n '/^Revoked/,/^[^ ]/p' "$dir/screen" | grep -q "^  $b " && same "$(grep -c "^  $b " "$dir/screen")" 1 && grep "^Not among them: 1 that are revoked" "$dir/screen"; }
ok "so has the first screen, there and nowhere else, and counts it apart" gone
ok "another slip" make_slip r2 replace $b
refuses 3 "wait" "with which a machine asks" agent thief-b enrol --slip "$dir/r2"
refuses 0 "1 requests that were not answered" "is revoked with the request" revoke $b
refuses 1 "no request" "which nobody can allow any more" hub node approve $b --app community
refuses 12 "void" "the machine is told" agent thief-b enrol --slip "$dir/r2"

ok "a slip for C" make_slip c1 add $c --approve
refuses 0 "no certificate that could be revoked" "C never enrolled" revoke $c
refuses 12 "void" "its slip is void all the same" agent $c enrol --slip "$dir/c1"
ok "a slip that is lost" make_slip c2 add $c --approve
refuses 0 "1 unused slips .* are void" "can be made void" hub node reject $c --app community
ok "that is in the log" act node-reject c2
refuses 12 "void" "whoever finds it" agent $c enrol --slip "$dir/c2"
refuses 1 "no request" "and only once" hub node reject $c --app community

# The slip for people. A second implementation reads the codes (tests/lib/qr.py); each step so far is in the log.
py=$(command -v "${PYTHON:-python3}")
d=520302004005
on_paper() { hub node add $d --app community --name '天池<&社区' --url "$url" --slip "$dir/slip-d" --sheet "$dir/d.svg" --qr --expires 5 >"$dir/d.txt"; }
ok "a slip on paper, and on the screen" on_paper
sheet() { "$py" "$top/tests/lib/qr.py" sheet "$dir/d.svg" >"$dir/d.scan" && cmp "$dir/d.scan" "$dir/slip-d"; }
ok "what a scanner reads from the sheet is the slip" sheet
screen() { "$py" "$top/tests/lib/qr.py" terminal "$dir/d.txt" >"$dir/d.scan" && cmp "$dir/d.scan" "$dir/slip-d"; }
ok "and from the screen" screen
well() { "$py" -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' "$dir/d.svg" && grep -q '天池&#60;&#38;社区' "$dir/d.svg" && same "$(stat -c %a "$dir/d.svg")" 600; }
ok "the sheet is well formed, whatever the name is, and for nobody else" well
groups() { grep -q "$(sed -n 's/^code \(.....\)\(.....\).*/\1 \2/p' "$dir/slip-d")" "$dir/d.svg" && grep -q "$(sed -n 's/^ca \(........\)\(........\).*/\1 \2/p' "$dir/slip-d")" "$dir/d.svg"; }
ok "code and fingerprint are there in groups, for a voice on the telephone" groups
steps() { for w in node-add node-ask node-approve node-reject node-replace; do sqlite3 -readonly "$dir/hub/hub.db" "SELECT bytes FROM leaf" | grep -qx "what $w" || { echo "no $w"; return 1; }; done; }
ok "slips, Allow and Reject are in the log" steps
kept() { grep -rqaE 'PRIVATE KEY' "$dir/hub/repos" "$dir/hub/enrol.db" "$dir/hub/hub.db" && return 1; return 0; }
ok "no office's key ever came to the hub" kept
enrolments() { same "$(leaves | grep ';kind enrolled;' | sed 's/.*;node \([^;]*\);.*/\1/' | sort | tr '\n' ' ')" "$b $a "; }
ok "each enrolment is in the log, once" enrolments
ok "the audit proves the city" hub audit
finish
