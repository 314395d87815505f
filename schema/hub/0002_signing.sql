-- enrol.db: the signing keys that came after the one of the enrolment (D5.4). The last row of an incarnation is the key
-- whose turn it is, or comes when the office hands over to it.
CREATE TABLE signing(
  node TEXT NOT NULL, app TEXT NOT NULL, incarnation INTEGER NOT NULL,
  n INTEGER NOT NULL,                 -- 1, 2, 3 ...
  csr BLOB NOT NULL,                  -- of the new key: asked again after a lost answer it is the same
  cert BLOB NOT NULL,                 -- PEM
  at INTEGER NOT NULL,
  PRIMARY KEY(node, app, incarnation, n)) STRICT, WITHOUT ROWID;
