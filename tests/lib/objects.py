"""objects.py REPO...: every object of these git repositories, one after the other: its bytes, and what a changeset or another gzip file holds."""
import gzip
import subprocess
import sys
import zlib

for repo in sys.argv[1:]:
    cat = subprocess.Popen(["git", "-C", repo, "cat-file", "--batch-all-objects", "--batch"], stdout=subprocess.PIPE)
    seen = 0
    while head := cat.stdout.readline():
        data = cat.stdout.read(int(head.split()[2]))
        cat.stdout.read(1)
        sys.stdout.buffer.write(data + b"\n")
        seen += 1
        if data.startswith(b"\x1f\x8b"):
            try:
                sys.stdout.buffer.write(gzip.decompress(data) + b"\n")
            except (OSError, EOFError, zlib.error):
                pass
    if cat.wait() != 0 or not seen:
        sys.exit(f"objects: nothing in {repo}")
