"""seek.py WORD PATH...: prints each WORD-xyz that is anywhere in these files and folders, sorted, one a line.

Looks at bytes as they are, at the HTTP bodies in them without chunk heads, at whatever zlib, gzip or raw deflate streams are anywhere in them (git objects, packs with their deltas,
changesets, zipped logs), again and again, and at base64, hex, UTF-16 and URL spellings. A word that lies across two SQLite pages is not seen here: dump those as well."""
import base64
import os
import re
import sys
import zlib

WORD = sys.argv[1].encode()
MAX = 64 << 20
found = set()


def spelled(word):
    yield word, lambda b: b
    yield word.hex().encode(), lambda b: bytes.fromhex(b.decode())
    yield word.hex().upper().encode(), lambda b: bytes.fromhex(b.decode())
    yield word.decode().encode("utf-16-le"), lambda b: b.replace(b"\0", b"")
    yield word.decode().encode("utf-16-be"), lambda b: b.replace(b"\0", b"")
    yield "".join(f"%{c:02X}" for c in word).encode(), lambda b: b
    for skip in range(3):  # where the word falls into base64's groups of three
        whole = base64.b64encode(b"\0" * skip + word)
        yield whole[(skip * 8 + 5) // 6: (skip + len(word)) * 8 // 6], lambda b: b


SPELLINGS = list(spelled(WORD))
NAME = re.compile(re.escape(WORD) + rb"-[a-z0-9]+")


def plain(data):
    found.update(NAME.findall(data))
    for text, _ in SPELLINGS[1:]:
        if text in data:
            at = data.index(text)
            found.add(WORD + b"-spelled:" + data[at: at + len(text)].hex().encode())


def dechunk(data):
    """All chunked bodies in a stream of HTTP messages, joined."""
    out, at = [], 0
    while (at := data.find(b"chunked", at)) >= 0:
        at = data.find(b"\r\n\r\n", at)
        if at < 0:
            break
        at += 4
        while m := re.compile(rb"([0-9a-fA-F]{1,8})[^\r\n]*\r\n").match(data, at):
            n = int(m[1], 16)
            out.append(data[m.end(): m.end() + n])
            at = m.end() + n + 2
            if n == 0:
                break
    return b"".join(out)


def inflate(data, at, wbits):
    d = zlib.decompressobj(wbits)
    try:
        text = d.decompress(data[at:], MAX)
    except zlib.error:
        return b"", 0
    return text, len(data) - at - len(d.unused_data)


STREAM = re.compile(rb"\x1f\x8b\x08|[\x08\x18\x28\x38\x48\x58\x68\x78].", re.S)


def look(data, depth=0):
    plain(data)
    if depth == 0 and (joined := dechunk(data)):
        look(joined, 1)
    if depth >= 4:
        return
    at = 0
    while m := STREAM.search(data, at):
        at = m.start() + 1
        if m[0][:1] != b"\x1f" and (m[0][0] << 8 | m[0][1]) % 31:
            continue
        text, used = inflate(data, m.start(), 31 if m[0][:1] == b"\x1f" else 15)
        if len(text) >= 4:
            look(text, depth + 1)
            at = m.start() + max(used, 1)


def each(path):
    if os.path.isdir(path):
        for folder, _, names in os.walk(path):
            found.update(NAME.findall(folder.encode()))
            for name in names:
                found.update(NAME.findall(name.encode()))
                yield os.path.join(folder, name)
    else:
        yield path


files = 0
for arg in sys.argv[2:]:
    for file in each(arg):
        if os.path.isfile(file):
            try:
                with open(file, "rb") as f:
                    look(f.read())
            except FileNotFoundError:  # a hub that runs puts files in place of others
                continue
            files += 1
if not files:
    sys.exit("seek: no file to look at")
for name in sorted(found):
    print(name.decode())
