-- enrol.db: the TLS certificate that an office was given last by a renewal: asked again soon, it gets the same (one row an office, for the table is no history).
CREATE TABLE renewal(
  node TEXT NOT NULL, app TEXT NOT NULL, incarnation INTEGER NOT NULL,
  issuer BLOB NOT NULL,               -- SHA-256 of the certificate that issued it
  cert BLOB NOT NULL,                 -- PEM
  at INTEGER NOT NULL,
  PRIMARY KEY(node, app)) STRICT, WITHOUT ROWID;
