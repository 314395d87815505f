-- One night of about :D changes: 60 % insert, 35 % update of two columns, 5 % delete. bench/run replaces :D.
BEGIN;
WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM s WHERE i < :D*3/10)
INSERT INTO ticket(resident, title, body, status, at) SELECT i, '夜间诉求' || i, '停水两小时，请告知恢复时间。', 'open', '2025-03-01 20:00:00' FROM s;
WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM s WHERE i < :D*3/10)
INSERT INTO visit(household, at, note) SELECT i, '2025-03-01 10:00:00', '走访' FROM s;
UPDATE resident SET phone = '139' || id, born = born + 1
  WHERE id IN (SELECT 1 + abs(random() % (SELECT max(id) FROM resident)) FROM visit LIMIT :D*35/100);
DELETE FROM visit WHERE id IN (SELECT 1 + abs(random() % (SELECT max(id) FROM visit)) FROM ticket LIMIT :D*5/100);
COMMIT;
