-- hub.db: people who may look into the log (D7.2). A person revoked stays in the list.
CREATE TABLE person(                  -- every certificate issued to an auditor or administrator
  sha256 BLOB PRIMARY KEY CHECK(length(sha256) = 32),
  name TEXT NOT NULL,
  role TEXT NOT NULL CHECK(role IN('auditor','administrator')),
  usage TEXT NOT NULL CHECK(usage IN('sign','tls')),
  not_after INTEGER NOT NULL,
  revoked_at INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE night(                   -- one row a nightly list; a cache of the log
  idx INTEGER PRIMARY KEY,            -- its leaf
  from_at INTEGER NOT NULL, to_at INTEGER NOT NULL,
  expected INTEGER NOT NULL, reported INTEGER NOT NULL, silent INTEGER NOT NULL,
  sha256 BLOB NOT NULL CHECK(length(sha256) = 32)) STRICT;
