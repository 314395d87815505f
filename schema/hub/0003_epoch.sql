-- hub.db: a leaf may be due to many nodes: the one that opens an epoch is due to all.
CREATE TABLE due_all(
  idx INTEGER NOT NULL,
  node TEXT NOT NULL, app TEXT NOT NULL,
  PRIMARY KEY(node, app, idx)) STRICT, WITHOUT ROWID;
INSERT INTO due_all(idx, node, app) SELECT idx, node, app FROM due;
DROP TABLE due;
ALTER TABLE due_all RENAME TO due;
