# small-disk.sh: small file systems that tests fill. Source it after harness.sh; it skips the whole test where they cannot be made.
#
#   small MIB FOLDER; fill FOLDER KIB; room FOLDER
mounted=
# shellcheck disable=SC2154 # dir: harness.sh
if [ "$(id -u)" != 0 ] || ! mkdir "$dir/probe" || ! mount -t tmpfs -o size=64k tmpfs "$dir/probe" 2>/dev/null; then
	echo "1..0 # SKIP needs root, for small file systems"
	exit 0
fi
umount "$dir/probe"
rmdir "$dir/probe"
unmount_all() {
	for m in $mounted; do umount -l "$m" 2>/dev/null; done
}
trap 'hub_stop; unmount_all; cleanup' EXIT
small() { # a file system of its own
	mkdir -p "$2" && mount -t tmpfs -o "size=$1m,mode=700" tmpfs "$2" && mounted="$2 $mounted"
}
fill() { # so many KiB are left, to the page
	dd if=/dev/zero of="$1/filler" bs=64k >/dev/null 2>&1
	dd if=/dev/zero bs=4k >>"$1/filler" 2>/dev/null
	truncate -s "-${2}k" "$1/filler"
}
room() { rm -f "$1/filler"; }
