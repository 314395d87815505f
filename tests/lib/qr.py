"""Reads a QR code (ISO/IEC 18004, byte mode, level M, versions 1 to 20, undamaged) from a sheet or from terminal text, and writes its bytes.

    qr.py sheet FILE.svg | qr.py terminal FILE
A second implementation, written from the standard: no library of the program has a part in it."""
import re
import sys

# level M: check bytes a block, then blocks and data bytes of both groups
M = {1: (10, 1, 16, 0, 0), 2: (16, 1, 28, 0, 0), 3: (26, 1, 44, 0, 0), 4: (18, 2, 32, 0, 0), 5: (24, 2, 43, 0, 0), 6: (16, 4, 27, 0, 0), 7: (18, 4, 31, 0, 0),
     8: (22, 2, 38, 2, 39), 9: (22, 3, 36, 2, 37), 10: (26, 4, 43, 1, 44), 11: (30, 1, 50, 4, 51), 12: (22, 6, 36, 2, 37), 13: (22, 8, 37, 1, 38),
     14: (24, 4, 40, 5, 41), 15: (24, 5, 41, 5, 42), 16: (28, 7, 45, 3, 46), 17: (28, 10, 46, 1, 47), 18: (26, 9, 43, 4, 44), 19: (26, 3, 44, 11, 45), 20: (26, 3, 41, 13, 42)}
ALIGN = {1: [], 2: [6, 18], 3: [6, 22], 4: [6, 26], 5: [6, 30], 6: [6, 34], 7: [6, 22, 38], 8: [6, 24, 42], 9: [6, 26, 46], 10: [6, 28, 50], 11: [6, 30, 54],
         12: [6, 32, 58], 13: [6, 34, 62], 14: [6, 26, 46, 66], 15: [6, 26, 48, 70], 16: [6, 26, 50, 74], 17: [6, 30, 54, 78], 18: [6, 30, 56, 82], 19: [6, 30, 58, 86],
         20: [6, 34, 62, 90]}
MASKS = [lambda y, x: (y + x) % 2 == 0, lambda y, x: y % 2 == 0, lambda y, x: x % 3 == 0, lambda y, x: (y + x) % 3 == 0, lambda y, x: (y // 2 + x // 3) % 2 == 0,
         lambda y, x: y * x % 2 + y * x % 3 == 0, lambda y, x: (y * x % 2 + y * x % 3) % 2 == 0, lambda y, x: ((y + x) % 2 + y * x % 3) % 2 == 0]


def from_sheet(text):
    dots = [(int(a), int(b)) for a, b in re.findall(r"M(\d+) (\d+)h1v1h-1z", text)]
    x0, y0 = min(x for x, _ in dots), min(y for _, y in dots)
    n = max(x for x, _ in dots) - x0 + 1
    m = [[False] * n for _ in range(n)]
    for x, y in dots:
        m[y - y0][x - x0] = True
    return m


def from_terminal(text):
    rows = []
    for line in text.splitlines():
        line = re.sub(r"\033\[[0-9;]*m", "", line)
        if not line or set(line) - set(" \u2580\u2584\u2588"):
            continue
        rows.append([c not in "\u2580\u2588" for c in line])
        rows.append([c not in "\u2584\u2588" for c in line])
    rows = [r[2:-2] for r in rows[2:]]
    n = len(rows[0])
    return rows[:n]


def reserved(n, version):
    f = [[False] * n for _ in range(n)]

    def fill(y0, y1, x0, x1):
        for y in range(max(y0, 0), min(y1, n)):
            for x in range(max(x0, 0), min(x1, n)):
                f[y][x] = True

    fill(0, 9, 0, 9)
    fill(0, 9, n - 8, n)
    fill(n - 8, n, 0, 9)
    fill(6, 7, 0, n)
    fill(0, n, 6, 7)
    c = ALIGN[version]
    for y in c:
        for x in c:
            if (y, x) not in ((6, 6), (6, c[-1]), (c[-1], 6)):
                fill(y - 2, y + 3, x - 2, x + 3)
    if version >= 7:
        fill(0, 6, n - 11, n - 8)
        fill(n - 11, n - 8, 0, 6)
    return f


def decode(m):
    n = len(m)
    version = (n - 17) // 4
    assert n == 17 + 4 * version and all(len(r) == n for r in m), "no QR code: %d" % n
    bits = [m[8][x] for x in (0, 1, 2, 3, 4, 5, 7, 8)] + [m[7][8]] + [m[y][8] for y in (5, 4, 3, 2, 1, 0)]
    form = int("".join("01"[b] for b in bits), 2) ^ 0b101010000010010
    assert form >> 13 == 0, "not level M"
    mask = MASKS[form >> 10 & 7]
    f = reserved(n, version)
    stream, up, x = [], True, n - 1
    while x > 0:
        if x == 6:
            x -= 1
        for y in range(n - 1, -1, -1) if up else range(n):
            for c in (x, x - 1):
                if not f[y][c]:
                    stream.append(m[y][c] ^ mask(y, c))
        up, x = not up, x - 2
    check, b1, d1, b2, d2 = M[version]
    words = [int("".join("01"[b] for b in stream[i:i + 8]), 2) for i in range(0, len(stream) - 7, 8)]
    sizes = [d1] * b1 + [d2] * b2
    blocks, at = [[] for _ in sizes], 0
    for i in range(max(sizes)):
        for k, size in enumerate(sizes):
            if i < size:
                blocks[k].append(words[at])
                at += 1
    data = "".join(format(w, "08b") for b in blocks for w in b)
    assert data[:4] == "0100", "not byte mode"
    count = 8 if version < 10 else 16
    length = int(data[4:4 + count], 2)
    start = 4 + count
    return bytes(int(data[start + 8 * i:start + 8 * i + 8], 2) for i in range(length))


text = open(sys.argv[2], encoding="utf-8").read()
sys.stdout.buffer.write(decode(from_sheet(text) if sys.argv[1] == "sheet" else from_terminal(text)))
