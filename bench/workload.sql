-- Workload W (DESIGN section 15): six tables, six indexes, :N rows in all. bench/run replaces :N.
PRAGMA journal_mode=WAL;
CREATE TABLE household(id INTEGER PRIMARY KEY, community TEXT NOT NULL, address TEXT NOT NULL, moved_on TEXT);
CREATE TABLE resident(id INTEGER PRIMARY KEY, household INTEGER REFERENCES household, name TEXT NOT NULL, born INTEGER, phone TEXT, photo BLOB);
CREATE TABLE ticket(id INTEGER PRIMARY KEY, resident INTEGER, title TEXT NOT NULL, body TEXT NOT NULL, status TEXT NOT NULL, at TEXT NOT NULL);
CREATE TABLE points(person INTEGER, rule TEXT, at TEXT, n INTEGER NOT NULL, PRIMARY KEY(person, rule, at)) WITHOUT ROWID;
CREATE TABLE activity(id TEXT PRIMARY KEY, title TEXT NOT NULL, place TEXT, quota INTEGER);
CREATE TABLE visit(id INTEGER PRIMARY KEY, household INTEGER, at TEXT NOT NULL, note TEXT);
BEGIN;
WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM s WHERE i < :N/10)
INSERT INTO household SELECT i, '52030300' || (i % 9), '红花岗区第' || i || '号楼', '2024-0' || (1 + i % 9) || '-15' FROM s;
WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM s WHERE i < :N*3/10)
INSERT INTO resident SELECT i, 1 + i % (:N/10), '居民' || i, 1940 + i % 80, '138' || (10000000 + i), CASE WHEN i % 4 = 0 THEN randomblob(48) END FROM s;
WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM s WHERE i < :N/10)
INSERT INTO ticket SELECT i, 1 + (i * 7) % (:N*3/10), '诉求' || i, '小区楼道照明损坏多日，夜间出行不便，请社区协调物业尽快维修处理。编号' || i, CASE i % 3 WHEN 0 THEN 'open' WHEN 1 THEN 'closed' ELSE 'claimed' END, '2025-01-01 08:00:00' FROM s;
WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM s WHERE i < :N*2/10)
INSERT INTO points SELECT i % (:N/10), 'r' || (i % 7), i, 1 + i % 5 FROM s;
WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM s WHERE i < :N/10)
INSERT INTO activity SELECT hex(randomblob(8)) || i, '活动' || i, '广场', i % 50 FROM s;
WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM s WHERE i < :N*2/10)
INSERT INTO visit SELECT i, 1 + i % (:N/10), '2025-02-03 09:30:00', CASE WHEN i % 5 = 0 THEN '入户走访，情况正常' END FROM s;
CREATE INDEX resident_household ON resident(household);
CREATE INDEX resident_phone ON resident(phone);
CREATE INDEX ticket_status ON ticket(status, at);
CREATE INDEX ticket_resident ON ticket(resident);
CREATE INDEX points_at ON points(at);
CREATE INDEX visit_household ON visit(household);
COMMIT;
