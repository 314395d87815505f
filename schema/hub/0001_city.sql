-- city/APP.db: the merger's own tables beside the mirrors (core/replay/mirror.h makes `_t_mirror` and `_t_column`).
CREATE TABLE _t_merged(one INTEGER PRIMARY KEY CHECK(one = 1), upto INTEGER NOT NULL) STRICT; -- leaves taken in
INSERT INTO _t_merged VALUES(1, 0);
CREATE TABLE _t_history(              -- how far each node's chain is in this file
  node TEXT PRIMARY KEY,
  tip BLOB NOT NULL,                  -- serialised trib_tip of the last commit judged
  out_of_step TEXT) STRICT, WITHOUT ROWID;
CREATE TABLE _t_node(node TEXT PRIMARY KEY, name TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE _t_ledger(               -- every change that was not applied, for good
  id INTEGER PRIMARY KEY,
  leaf INTEGER NOT NULL, node TEXT NOT NULL, seq INTEGER NOT NULL,
  tbl TEXT NOT NULL, key BLOB NOT NULL, reason TEXT NOT NULL,
  at INTEGER NOT NULL) STRICT;
CREATE TABLE _t_result(               -- verdicts the keeper has not logged yet
  leaf INTEGER PRIMARY KEY,
  node TEXT NOT NULL, seq INTEGER NOT NULL, manifest BLOB NOT NULL,
  tbl TEXT, key BLOB, reason TEXT) STRICT;
CREATE TABLE _t_digest(               -- the overall digest that each node's last merged commit signed: lines of the city digest (F7)
  node TEXT PRIMARY KEY,
  digest BLOB NOT NULL) STRICT, WITHOUT ROWID;
