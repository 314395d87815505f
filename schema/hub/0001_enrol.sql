-- enrol.db: slips, requests and what was issued. Written by the enrolment process and by `node` commands.
CREATE TABLE slip(
  code_sha256 BLOB PRIMARY KEY CHECK(length(code_sha256) = 32), -- the code itself is only on the slip
  node TEXT NOT NULL, app TEXT NOT NULL,
  expires_at INTEGER NOT NULL,
  approved INTEGER NOT NULL DEFAULT 0 CHECK(approved IN(0,1)),
  rejected INTEGER NOT NULL DEFAULT 0 CHECK(rejected IN(0,1)),
  replaces INTEGER NOT NULL DEFAULT 0 CHECK(replaces IN(0,1)),  -- a new machine of an enrolled office
  made_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE request(
  code_sha256 BLOB PRIMARY KEY REFERENCES slip,                 -- single use: one request a slip
  sign_csr BLOB NOT NULL, tls_csr BLOB NOT NULL,
  at INTEGER NOT NULL,
  answer BLOB) STRICT, WITHOUT ROWID;                           -- NULL while waiting for approval
