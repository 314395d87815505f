-- hub.db: the hub's enduring state. Written by the keeper, and by administrative commands in the same
-- way (BEGIN IMMEDIATE). What can be made again from the log and the histories says so.
CREATE TABLE meta(                    -- single values: log size, checkpoint, city chain
  key TEXT PRIMARY KEY,
  value BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE node(                    -- who is expected to report
  node TEXT NOT NULL, app TEXT NOT NULL,
  name TEXT NOT NULL,
  incarnation INTEGER NOT NULL DEFAULT 0,
  status TEXT NOT NULL DEFAULT 'expected' CHECK(status IN('expected','enrolled','closed')),
  added_at INTEGER NOT NULL,
  seen_at INTEGER,                    -- last contact of any kind
  reported_at INTEGER,                -- last commit held
  braked INTEGER NOT NULL DEFAULT 0,  -- tables held back by the brake in the last commit
  PRIMARY KEY(node, app)) STRICT, WITHOUT ROWID;
CREATE TABLE cert(                    -- every certificate issued to a peer
  sha256 BLOB PRIMARY KEY CHECK(length(sha256) = 32),
  node TEXT NOT NULL, app TEXT NOT NULL,
  usage TEXT NOT NULL CHECK(usage IN('sign','tls')),
  incarnation INTEGER NOT NULL,
  not_after INTEGER NOT NULL,
  revoked_at INTEGER) STRICT, WITHOUT ROWID;
CREATE TABLE leaf(                    -- the log; idx counts from 0
  idx INTEGER PRIMARY KEY,
  bytes BLOB NOT NULL) STRICT;
CREATE TABLE subtree(                 -- hashes of complete subtrees; a cache of `leaf`
  level INTEGER NOT NULL, idx INTEGER NOT NULL,
  hash BLOB NOT NULL CHECK(length(hash) = 32),
  PRIMARY KEY(level, idx)) STRICT, WITHOUT ROWID;
CREATE TABLE history(                 -- published tip of each history, and its down chain
  node TEXT NOT NULL, app TEXT NOT NULL,
  oid BLOB NOT NULL CHECK(length(oid) = 20),
  seq INTEGER NOT NULL,
  tip BLOB NOT NULL,                  -- serialised trib_tip: lanes and open group
  down_oid BLOB, down_seq INTEGER NOT NULL DEFAULT 0, down_manifest BLOB, down_size INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY(node, app)) STRICT, WITHOUT ROWID;
CREATE TABLE held(                    -- one row a published commit; a cache of the log
  idx INTEGER PRIMARY KEY,            -- its leaf
  node TEXT NOT NULL, app TEXT NOT NULL,
  seq INTEGER NOT NULL, part INTEGER NOT NULL, parts INTEGER NOT NULL,
  incarnation INTEGER NOT NULL,
  oid BLOB NOT NULL, manifest BLOB NOT NULL, signer BLOB NOT NULL,
  captured_at INTEGER NOT NULL, held_at INTEGER NOT NULL,
  inserted INTEGER NOT NULL, updated INTEGER NOT NULL, deleted INTEGER NOT NULL, braked INTEGER NOT NULL,
  merged_at INTEGER, out_of_step TEXT,
  UNIQUE(node, app, seq), UNIQUE(oid)) STRICT;
CREATE TABLE due(                     -- leaves that a node has not been sent yet
  idx INTEGER PRIMARY KEY,
  node TEXT NOT NULL, app TEXT NOT NULL) STRICT;
CREATE INDEX due_node ON due(node, app);
CREATE TABLE refusal(                 -- last refusal of each kind, so that a storm is one leaf
  node TEXT NOT NULL, app TEXT NOT NULL, code TEXT NOT NULL,
  object BLOB NOT NULL, msg TEXT NOT NULL, at INTEGER NOT NULL, times INTEGER NOT NULL DEFAULT 1,
  PRIMARY KEY(node, app, code)) STRICT, WITHOUT ROWID;
