#!/bin/sh
# `make install` puts everything in its place, and what is installed works; `make deps` asks apt for what is missing and nothing else.
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-$PWD/build}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
n=0
check() { # check NAME COMMAND...: one TAP line by the command's status
	n=$((n + 1))
	name=$1
	shift
	if "$@" >"$dir/out" 2>&1; then
		echo "ok $n - $name"
	else
		echo "not ok $n - $name"
		sed 's/^/# /' "$dir/out"
	fi
}
says() { # says TEXT COMMAND...: succeeds and says so
	text=$1
	shift
	"$@" >"$dir/said" 2>&1 || { cat "$dir/said"; return 1; }
	grep -qF -- "$text" "$dir/said" || { cat "$dir/said"; return 1; }
}

# PREFIX stays what the build has: another one would make programs anew that other tests are running.
built=$(cat "$BUILD/prefix")
to=$dir/root$built
check 'make install' make install BUILD="$BUILD" DESTDIR="$dir/root" PREFIX="$built"
for f in bin/tributary-agent bin/tributary-hub bin/tributary-verify share/tributary/gpgsm-setup; do
	check "$f may be run" test -x "$to/$f"
done
for f in share/man/man1/tributary-agent.1 share/man/man8/tributary-hub.8 share/locale/zh_CN/LC_MESSAGES/tributary.mo; do
	check "$f is there" test -s "$to/$f"
done
check 'nothing of it is writable by others' test -z "$(find "$dir/root" -type f -perm /022)"
for p in tributary-agent tributary-hub; do
	check "$p tells its version" says '0.1.0' "$to/bin/$p" --version
	check "$p speaks English" says 'options of every command' env LANG=C.UTF-8 LC_ALL= LC_MESSAGES= "$to/bin/$p" --help
	check "$p speaks Chinese where the locale is not installed" \
		says '每条命令都有的选项' env TRIBUTARY_LOCALEDIR="$to/share/locale" LANG=zh_CN.UTF-8 LC_ALL= LC_MESSAGES= "$to/bin/$p" --help
	check "$p speaks Chinese from the build folder" says '每条命令都有的选项' "$BUILD/$p" --lang zh_CN --help
done

# apt, dpkg and sudo as a machine without two packages has them.
mkdir "$dir/bin"
cat >"$dir/bin/dpkg-query" <<'END'
#!/bin/sh
for p; do :; done
case $p in
present) echo installed ;;
removed) [ -e "$DIR/installed" ] && echo installed || echo config-files ;;
*) [ -e "$DIR/installed" ] && { echo installed; exit 0; }; exit 1 ;;
esac
END
cat >"$dir/bin/apt-get" <<'END'
#!/bin/sh
echo "apt-get $*" >>"$DIR/log"
[ -z "${BROKEN:-}" ] || exit 100
case $1 in
update) : >"$DIR/updated" ;;
install) [ -e "$DIR/updated" ] || exit 100; : >"$DIR/installed" ;;
esac
END
cat >"$dir/bin/sudo" <<'END'
#!/bin/sh
exec "$@"
END
chmod +x "$dir/bin/dpkg-query" "$dir/bin/apt-get" "$dir/bin/sudo"
deps() {
	env PATH="$dir/bin:$PATH" DIR="$dir" ${BROKEN:+BROKEN=1} sh tests/deps "$@"
}
: >"$dir/log"
check 'deps: nothing is missing' says 'nothing is missing' deps present
check 'deps: then apt is not touched' test ! -s "$dir/log"
check 'deps: what is missing is installed' deps present absent removed
printf '%s\n' 'apt-get install -y -q --no-install-recommends absent removed' 'apt-get update -q' \
	'apt-get install -y -q --no-install-recommends absent removed' >"$dir/want"
check 'deps: only that, with a fresh list when the old one does not do' cmp "$dir/want" "$dir/log"
: >"$dir/log"
check 'deps: the second time does nothing' says 'nothing is missing' deps present absent removed
check 'deps: really nothing' test ! -s "$dir/log"
rm -f "$dir/installed"
fails() { if BROKEN=1 deps present absent; then return 1; fi; }
check 'deps: when apt fails it fails' fails
echo "1..$n"
