"""relog.py HUB.DB: computes the cached subtree hashes of the log again from its leaves (RFC 6962), as an attacker who rewrites leaves would."""
import hashlib
import sqlite3
import sys

db = sqlite3.connect(sys.argv[1])
level = [hashlib.sha256(b"\0" + row[0]).digest() for row in db.execute("SELECT bytes FROM leaf ORDER BY idx")]
db.execute("DELETE FROM subtree")
n = 0
while level:
    db.executemany("INSERT INTO subtree(level, idx, hash) VALUES(?,?,?)", [(n, i, h) for i, h in enumerate(level)])
    level = [hashlib.sha256(b"\1" + level[i] + level[i + 1]).digest() for i in range(0, len(level) - 1, 2)]
    n += 1
db.commit()
