# One night of D changes of workload W (DESIGN section 15) as SQL: in each transaction of 20 rows 12 inserts, 7 updates of one to three columns, a delete, over all six tables.
# Three quarters of the updates fall on the newest fifth of a table. N: rows that bench/workload.sql made; SEED: another night.
#   awk -v N=100000 -v D=1000 -v SEED=1 -f bench/night.awk | sqlite3 office.db
function any(rows) { return 1 + int(rand() * rows) }
function recent(rows) { return rand() < 0.75 ? rows - int(rand() * rows / 5) : any(rows) }
function entry(i) { return "person=" i % (N / 10) " AND rule='r" i % 7 "' AND at='" i "'" } # the key that the i-th row of points was made with
BEGIN {
	srand(SEED)
	households = N / 10; residents = N * 3 / 10; tickets = N / 10; entries = N * 2 / 10; activities = N / 10; visits = N * 2 / 10
	split("已派单 待复核 已办结 转街道 退回补充", state, " ")
	for (t = 0; t < D / 20; t++) {
		now = sprintf("2025-03-01 %02d:%02d:%02d", 18 + t / 3600 % 6, t / 60 % 60, t % 60)
		print "BEGIN;"
		for (i = 0; i < 3; i++) {
			printf "INSERT INTO ticket(resident,title,body,status,at) VALUES(%d,'夜间诉求%d','停水%d小时，请告知恢复时间。联系电话139%08d','open','%s');\n", recent(residents), any(1e6), any(9), any(1e8), now
			printf "INSERT INTO visit(household,at,note) VALUES(%d,'%s','走访第%d户');\n", recent(households), now, any(1e5)
			printf "INSERT INTO points VALUES(%d,'r%d','%s/%d',%d);\n", any(households), any(9), now, SEED * 1e7 + t * 20 + i, any(9)
		}
		printf "INSERT INTO household(community,address,moved_on) VALUES('52030300%d','红花岗区第%d号楼','2025-03-01');\n", any(9), any(1e6)
		printf "INSERT INTO resident(household,name,born,phone,photo) VALUES(%d,'居民%d',%d,'139%08d',randomblob(48));\n", recent(households), any(1e7), 1940 + any(80), any(1e8)
		printf "INSERT INTO activity VALUES(hex(randomblob(8)),'活动%d','广场',%d);\n", any(1e5), any(50)
		printf "UPDATE ticket SET status='%s' WHERE id=%d;\n", state[any(5)], recent(tickets)
		printf "UPDATE ticket SET status='closed', at='%s', title='回访%d' WHERE id=%d;\n", now, any(1e5), recent(tickets)
		printf "UPDATE resident SET phone='139%08d', household=%d WHERE id=%d;\n", any(1e8), recent(households), recent(residents)
		printf "UPDATE household SET moved_on='%s' WHERE id=%d;\n", now, recent(households)
		printf "UPDATE points SET n=n+1 WHERE %s;\n", entry(recent(entries))
		printf "UPDATE activity SET quota=quota+1, place='社区活动室%d' WHERE rowid=%d;\n", any(9), recent(activities)
		printf "UPDATE visit SET note='复访%d' WHERE id=%d;\n", any(1e5), recent(visits)
		if ((t + SEED) % 4 == 0) printf "DELETE FROM ticket WHERE id=%d;\n", any(tickets)
		else if ((t + SEED) % 4 == 1) printf "DELETE FROM visit WHERE id=%d;\n", any(visits)
		else if ((t + SEED) % 4 == 2) printf "DELETE FROM points WHERE %s;\n", entry(any(entries))
		else printf "DELETE FROM activity WHERE rowid=%d;\n", any(activities)
		print "COMMIT;"
	}
}
