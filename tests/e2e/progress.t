#!/bin/sh
# The line of progress: on a terminal, and nowhere else; -q and --json silence it.
. "$(dirname "$0")/../lib/harness.sh"
a=520303002001
LC_ALL=C.UTF-8
TERM=xterm
export LC_ALL TERM

# on_tty COMMAND...: standard error is a terminal of its own, its bytes go to $dir/tty; standard output goes to $dir/stdout.
on_tty() {
	python3 - "$dir" "$@" <<-'PY'
		import os, pty, subprocess, sys
		d, argv = sys.argv[1], sys.argv[2:]
		ours, theirs = pty.openpty()
		with open(d + "/stdout", "wb") as out, open(d + "/tty", "wb") as tty:
		    p = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=theirs)
		    os.close(theirs)
		    while True:
		        try:
		            b = os.read(ours, 65536)
		        except OSError: # the last one has closed it
		            break
		        if not b:
		            break
		        tty.write(b)
		sys.exit(p.wait())
	PY
}
audit() { on_tty "$bin/tributary-hub" --state "$dir/hub" audit "$@"; }
# What stays on the screen: each "\r" goes to the line's beginning, "ESC[K" clears the rest of it.
screen() { python3 -c 'import re,sys; s=open(sys.argv[1],"rb").read().decode(); print("".join(re.split("\r(?!\n)", l)[-1].replace("\x1b[K", "") for l in s.split("\n")), end="")' "$dir/tty"; }
shows() { audit "$@" || return 1; cat -v "$dir/tty"; for step in "log [0-9]" "city [0-9]" "receipts [0-9]"; do cat -v "$dir/tty" | grep -q "\^M$step" || { echo "no line of: $step"; return 1; }; done; }
stays() { same "$(screen)" ""; }
answers() { cat "$dir/stdout"; grep -q '^Proven: ' "$dir/stdout" && ! grep -q "$(printf '\r')" "$dir/stdout"; }
silent() { audit "$@" || return 1; cat -v "$dir/tty"; [ ! -s "$dir/tty" ]; }
is_json() { python3 -m json.tool "$dir/stdout" >/dev/null; }
made() { city_init && hub_start && office $a community x && enrol $a community x && agent $a sync && eventually 2 community "SELECT count(*) FROM demand" && hub_stop; }
ok "a city with an office" made
ok "an audit on a terminal shows how far it is" shows
ok "nothing of it stays on the screen" stays
ok "the answer is on standard output, without it" answers
ok "-q silences it" silent -q
ok "--json silences it" silent --json
ok "and standard output is JSON alone" is_json
TERM=dumb
ok "a terminal that cannot clear a line is spared" silent
TERM=xterm
piped() { "$bin/tributary-hub" --state "$dir/hub" audit 2>"$dir/err" >/dev/null && cat "$dir/err" && [ ! -s "$dir/err" ]; }
ok "no terminal: nothing" piped
ok "an audit that goes on from the last one shows it too" audit --since last
since() { cat -v "$dir/tty"; cat -v "$dir/tty" | grep -q "\^Mfiles [0-9]" && stays; }
ok "its files" since
finish
