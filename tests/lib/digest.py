#!/usr/bin/env python3
"""A second implementation of the state digest (docs/FORMAT.md F7), written from the format alone.

    digest.py database FILE SALT APP   digest of every table of an SQLite file; SALT is a file of 32 bytes or 64 hex digits
    digest.py vectors FILE             check the known answers
    digest.py fill FILE                print the known answers with every result computed anew

`database` prints "TABLE ROWS HEX64" a line (TABLE percent-encoded, bags too, empty bags of keyed tables not),
rising by folded name, then "digest HEX64". Python's standard library only.
"""
import hashlib
import hmac
import os
import sqlite3
import struct
import sys

LANES = 1024
BLOCKS = 2 * LANES // 64

# ChaCha20 (RFC 8439) over all 32 blocks at once: word w of every block stands in one big integer, a slot of 64 bits each.
SLOTS = sum(1 << (64 * i) for i in range(BLOCKS))
MASK = 0xFFFFFFFF * SLOTS
COUNTERS = sum(i << (64 * i) for i in range(BLOCKS))


def rotl(x, k):
    return ((x << k) | (x >> (32 - k))) & MASK


def quarter(s, a, b, c, d):
    s[a] = (s[a] + s[b]) & MASK
    s[d] = rotl(s[d] ^ s[a], 16)
    s[c] = (s[c] + s[d]) & MASK
    s[b] = rotl(s[b] ^ s[c], 12)
    s[a] = (s[a] + s[b]) & MASK
    s[d] = rotl(s[d] ^ s[a], 8)
    s[c] = (s[c] + s[d]) & MASK
    s[b] = rotl(s[b] ^ s[c], 7)


def chacha20(key):
    """2,048 bytes of key stream, counter and nonce zero."""
    words = list(struct.unpack("<4I", b"expand 32-byte k") + struct.unpack("<8I", key))
    start = [w * SLOTS for w in words] + [COUNTERS, 0, 0, 0]
    s = list(start)
    for _ in range(10):
        for i in range(4):
            quarter(s, i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    rows = [((x + y) & MASK).to_bytes(8 * BLOCKS, "little") for x, y in zip(s, start)]
    return b"".join(row[8 * b:8 * b + 4] for b in range(BLOCKS) for row in rows)


def lp(x):
    return struct.pack(">I", len(x)) + x


def fold(name):
    return bytes(c + 32 if 65 <= c <= 90 else c for c in name)


def pct(name):
    keep = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"
    return "".join(chr(c) if c in keep else "%%%02X" % c for c in name) or "%"


def unpct(field):
    if field == "%":
        return b""
    out, i = bytearray(), 0
    while i < len(field):
        if field[i] == "%":
            out.append(int(field[i + 1:i + 3], 16))
            i += 3
        else:
            out.append(ord(field[i]))
            i += 1
    return bytes(out)


class Text(bytes):
    """Text as its bytes, so that it is told from a blob."""


def varint(n):
    """SQLite's variable-length integer."""
    if n >= 1 << 56:
        out = [n & 0xFF]
        n >>= 8
        out += [0x80 | (n >> (7 * i)) & 0x7F for i in range(8)]
        return bytes(reversed(out))
    out = [n & 0x7F]
    n >>= 7
    while n:
        out.append(0x80 | n & 0x7F)
        n >>= 7
    return bytes(reversed(out))


def stored(v):
    """F2: a value as in a changeset, for keys."""
    if v is None:
        return b"\x05"
    if isinstance(v, int):
        return b"\x01" + struct.pack(">q", v)
    if isinstance(v, float):
        return b"\x02" + struct.pack(">d", v)
    return (b"\x03" if isinstance(v, Text) else b"\x04") + varint(len(v)) + v


def cell_value(v):
    """F7: a value in a cell element."""
    if isinstance(v, (int, float)):
        return stored(v)
    return (b"\x03" if isinstance(v, Text) else b"\x04") + lp(v)


def unstored(h):
    b = bytes.fromhex(h)
    if b[0] == 5:
        return None
    if b[0] == 1:
        return struct.unpack(">q", b[1:])[0]
    if b[0] == 2:
        return struct.unpack(">d", b[1:])[0]
    n, i = 0, 1
    while True:
        n = n << 7 | b[i] & 0x7F
        i += 1
        if b[i - 1] < 0x80:
            break
    assert len(b) == i + n and varint(n) == b[1:i]
    return Text(b[i:]) if b[0] == 3 else b[i:]


class Table:
    def __init__(self, salt, app, name, columns, key):
        """columns: folded names; key: their indexes in the order of the PRIMARY KEY."""
        self.salt, self.app, self.name, self.columns, self.key = salt, app, name, columns, key
        self.bag = name.startswith(b"sqlite_bag_")
        self.lanes = [0] * LANES
        self.rows = 0

    def element(self, data):
        vector = struct.unpack("<%dH" % LANES, chacha20(hmac.digest(self.salt, data, "sha256")))
        self.lanes = [(a + b) & 0xFFFF for a, b in zip(self.lanes, vector)]

    def add(self, row):
        head = lp(self.app) + lp(self.name) + lp(b"".join(stored(row[i]) for i in self.key))
        self.element(b"\x03" + head)
        for i, column in enumerate(self.columns):
            if i not in self.key and row[i] is not None:
                self.element(b"\x02" + head + lp(column) + cell_value(row[i]))
        self.rows += row[-1] if self.bag else 1

    def digest(self):
        return hashlib.sha256(struct.pack("<%dH" % LANES, *self.lanes)).hexdigest()


def overall(app, tables):
    text = "".join("%s %s %d %s\n" % (app.decode(), pct(t.name), t.rows, t.digest())
                   for t in sorted(tables, key=lambda t: t.name) if t.rows)
    return hashlib.sha256(text.encode()).hexdigest()


# --- an SQLite file ---

def quote(name):
    return '"' + name.replace('"', '""') + '"'


def read_rows(db, encoding, table, names):
    """Values exactly as stored; text of a UTF-16 file by the converter of F2, lone surrogates kept."""
    cols = ", ".join("typeof(%s), %s" % (quote(n), quote(n) if encoding == "UTF-8" else
                     "CASE typeof(%s) WHEN 'text' THEN CAST(%s AS BLOB) ELSE %s END" % ((quote(n),) * 3)) for n in names)
    for raw in db.execute("SELECT %s FROM main.%s" % (cols, quote(table))):
        row = []
        for kind, v in zip(raw[::2], raw[1::2]):
            if kind == b"text" and encoding != "UTF-8":
                codec = "utf-16-le" if encoding == "UTF-16le" else "utf-16-be"
                v = Text(bytes(v).decode(codec, "surrogatepass").encode("utf-8", "surrogatepass"))
            row.append(v)
        yield row


def database(path, salt, app):
    db = sqlite3.connect("file:%s?mode=ro" % path.replace("%", "%25").replace("?", "%3f").replace("#", "%23"), uri=True)
    encoding = db.execute("PRAGMA encoding").fetchone()[0]
    names = [r[1] for r in db.execute("PRAGMA main.table_list") if r[2] == "table" and not r[1].lower().startswith("sqlite_")]
    columns = {n: [r for r in db.execute("PRAGMA main.table_xinfo(%s)" % quote(n)) if r[6] == 0] for n in names}
    db.text_factory = Text
    tables = []
    for name in names:
        cols = [r[1].encode() for r in columns[name]]
        folded = [fold(c) for c in cols]
        pk = [i for _, i in sorted((r[5], i) for i, r in enumerate(columns[name]) if r[5])]
        keyed = Table(salt, app, fold(name.encode()), folded, pk)
        bag = Table(salt, app, b"sqlite_bag_" + fold(name.encode()), folded + [b"_count"], list(range(len(folded))))
        loose = {}
        for row in read_rows(db, encoding, name, [c.decode() for c in cols]):
            if pk and all(row[i] is not None for i in pk):
                keyed.add(row)
            else:
                at = b"".join(stored(v) for v in row)
                loose[at] = (row, loose.get(at, (row, 0))[1] + 1)
        for row, count in loose.values():
            bag.add(row + [count])
        tables += ([keyed] if pk else []) + ([bag] if bag.rows or not pk else [])
    return sorted(tables, key=lambda t: t.name)


# --- known answers ---

def vectors(path):
    """Yields (line as given, line as computed)."""
    salt = app = table = None
    tables = []
    for line in open(path, encoding="ascii"):
        line = line.rstrip("\n")
        w = line.split(" ")
        if not line or line.startswith("#"):
            yield line, line
            continue
        if w[0] == "chacha":
            w[2] = chacha20(bytes.fromhex(w[1]))[:64].hex()
        elif w[0] == "case":
            salt, app, tables = bytes.fromhex(w[2]), w[3].encode(), []
        elif w[0] == "element":
            seed = hmac.digest(salt, bytes.fromhex(w[1]), "sha256")
            w[2:] = [seed.hex(), chacha20(seed)[:16].hex(), hashlib.sha256(chacha20(seed)).hexdigest()]
        elif w[0] == "table":
            places = [(int(c.split(":")[1]), i) for i, c in enumerate(w[2:]) if ":" in c]
            table = Table(salt, app, unpct(w[1]), [unpct(c.split(":")[0]) for c in w[2:]], [i for _, i in sorted(places)])
            tables.append(table)
        elif w[0] == "row":
            table.add([unstored(h) for h in w[1:]])
        elif w[0] == "rows":
            w[1] = str(table.rows)
        elif w[0] == "lanes":
            w[1] = struct.pack("<8H", *table.lanes[:8]).hex()
        elif w[0] == "digest":
            w[1] = table.digest()
        elif w[0] == "overall":
            w[1] = overall(app, tables)
        else:
            raise SystemExit("%s: unknown line: %s" % (path, line))
        yield line, " ".join(w)


def main(args):
    if args[:1] == ["database"] and len(args) == 4:
        salt = open(args[2], "rb").read() if os.path.exists(args[2]) else bytes.fromhex(args[2])
        if len(salt) != 32:
            raise SystemExit("a salt has 32 bytes")
        tables = database(args[1], salt, args[3].encode())
        for t in tables:
            print(pct(t.name), t.rows, t.digest())
        print("digest", overall(args[3].encode(), tables))
        return 0
    if args[:1] == ["vectors"] and len(args) == 2:
        answers = bad = 0
        for given, computed in vectors(args[1]):
            answers += given.split(" ")[0] in ("chacha", "element", "rows", "lanes", "digest", "overall")
            if given != computed:
                bad += 1
                print("given    %s\ncomputed %s" % (given, computed))
        print("%d answers, %d wrong" % (answers, bad))
        return 0 if answers and not bad else 1
    if args[:1] == ["fill"] and len(args) == 2:
        for _, computed in vectors(args[1]):
            print(computed)
        return 0
    sys.stderr.write(__doc__)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
