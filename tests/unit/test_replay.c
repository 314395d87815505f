#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/lib/mkhistory.h"

#include "core/store/schema.h"

#define SCHEMA \
	"CREATE TABLE resident(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL COLLATE NOCASE, age, w REAL, up GENERATED ALWAYS AS (age+1));" \
	"CREATE TABLE note(body TEXT, n);"                                                              \
	"CREATE TABLE ledger(a TEXT, b INT, points REAL, PRIMARY KEY(b, a)) WITHOUT ROWID;"             \
	"CREATE TABLE tag(k TEXT PRIMARY KEY, v ANY, CHECK(v <> 'never')) STRICT;"                          \
	"CREATE TABLE \"we\"\"ird \"(\"_node\" TEXT PRIMARY KEY, \"a b\" BLOB, \"_count\" INT);"        \
	"CREATE INDEX by_age ON resident(age) WHERE age > 1;"                                           \
	"CREATE VIEW adults AS SELECT * FROM resident WHERE age >= 18;"                                 \
	"CREATE TRIGGER r AFTER INSERT ON resident BEGIN INSERT INTO note VALUES('made', new.id); END;" \
	"PRAGMA user_version=-7; PRAGMA application_id=1234;"

static const char *strict_schema(void)
{
	return "CREATE TABLE tag(k TEXT PRIMARY KEY, v ANY) STRICT;";
}

static char *path_in(struct mk *mk, const char *name)
{
	char *p = trib_path(mk->dir, name);

	assert_non_null(p);
	return p;
}

/* The restored file holds exactly the application's rows and schema. */
static void compare_dump(sqlite3 *a, sqlite3 *b)
{
	uint8_t salt[TRIB_SALT_LEN] = {1};
	TRIB_AUTO(trib_lanes) struct trib_lanes x = {0}, y = {0};
	TRIB_AUTO(trib_schema) struct trib_schema s = {0}, t = {0};
	TRIB_AUTO(trib_buf) struct trib_buf p = TRIB_BUF(TRIB_MIB), q = TRIB_BUF(TRIB_MIB);
	uint8_t dx[32], dy[32];
	struct trib_err err;

	assert_int_equal(trib_scan_database(a, salt, "x", &x, &err), 0);
	assert_int_equal(trib_scan_database(b, salt, "x", &y, &err), 0);
	trib_digest_overall(&x, "x", dx);
	trib_digest_overall(&y, "x", dy);
	assert_memory_equal(dx, dy, 32);
	assert_int_equal(trib_schema_read(a, &s, &err), 0);
	assert_int_equal(trib_schema_read(b, &t, &err), 0);
	trib_schematext_put(&p, &s.text);
	trib_schematext_put(&q, &t.text);
	assert_string_equal(trib_buf_str(&p), trib_buf_str(&q));
}

static void no_scratch_left(struct mk *mk)
{
	static const char *const names[] = {"out.db.tributary-scratch", "out.db.tributary-scratch-journal", "out.db.tributary-new", "out.db.tributary-new-journal", "out.db-journal"};

	for (size_t i = 0; i < TRIB_COUNT(names); i++) {
		TRIB_AUTO(trib_mem) char *p = path_in(mk, names[i]);

		assert_false(trib_fs_exists(p));
	}
}

static void restore(struct mk *mk, const uint8_t *oid, const char *table, struct trib_restored *ret, sqlite3 **ret_db)
{
	TRIB_AUTO(trib_mem) char *to = path_in(mk, "out.db");
	struct trib_history h = mk_history(mk);
	struct trib_err err;

	if (trib_replay_to_file(&h, oid, table, to, ret, &err) < 0)
		fail_msg("%s", err.msg);
	no_scratch_left(mk);
	assert_int_equal(sqlite3_open(to, ret_db), SQLITE_OK);
	assert_int_equal(unlink(to), 0);
}

static void check_now(struct mk *mk)
{
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	TRIB_AUTO(trib_restored) struct trib_restored r = {0};
	uint8_t want[32];

	restore(mk, mk->tip.oid, NULL, &r, &db);
	compare_dump(mk->app, db);
	trib_digest_overall(&mk->tip.lanes, MK_APP, want);
	assert_memory_equal(r.digest, want, 32);
	assert_int_equal(r.seq, mk->tip.seq);
	assert_string_equal(r.signer.node, MK_NODE);
}

static void every_night_comes_back(void **state)
{
	static const char *const nights[] = {
		SCHEMA "INSERT INTO resident(name, age, w) VALUES('张三',40,1),('b',NULL,2.5),('c','text',-0.0);"
		"INSERT INTO note VALUES('x',1),('x',1),('x',1.0),(NULL,NULL),(NULL,NULL);"
		"INSERT INTO ledger VALUES('x',1,10),('X',1,0.5),('',-9223372036854775808,1e300);"
		"INSERT INTO \"we\"\"ird \" VALUES('k',x'00',1),(NULL,'bag',2),(NULL,'bag',2)",
		"UPDATE resident SET age=41, name='ZHANG' WHERE id=1; DELETE FROM note WHERE rowid<=2; UPDATE ledger SET points=11 WHERE b=1",
		"INSERT INTO resident(id, name) VALUES(100,'gone'); DELETE FROM resident WHERE id=100",
		"UPDATE resident SET name='zhang' WHERE id=1; UPDATE ledger SET points=points+0.25; UPDATE \"we\"\"ird \" SET \"a b\"='t' WHERE \"_node\"='k'",
		"UPDATE note SET n=2 WHERE body='x'; INSERT INTO note VALUES(CAST(x'ff80' AS TEXT), CAST(x'6100620a' AS TEXT))",
		"ALTER TABLE note ADD COLUMN extra",
		"CREATE TABLE late(a PRIMARY KEY, b DEFAULT 5) WITHOUT ROWID; INSERT INTO late(a) VALUES(1),('1'),(x'31'),(1.5)",
		"DELETE FROM ledger; DELETE FROM late; DELETE FROM note; DELETE FROM resident; DELETE FROM \"we\"\"ird \"",
	};
	struct mk mk;
	uint8_t oids[TRIB_COUNT(nights)][TRIB_OID_LEN];
	sqlite3 *copies[TRIB_COUNT(nights)];

	(void)state;
	mk_init(&mk, true, "PRAGMA page_size=1024; PRAGMA auto_vacuum=1");
	for (size_t i = 0; i < TRIB_COUNT(nights); i++) {
		if (strstr(nights[i], "ADD COLUMN")) {
			/* A column more in a table without key: its bag is dropped and added. */
			mk_keep(&mk);
			mk_part(&mk, "CREATE TEMP TABLE o AS SELECT * FROM note; DELETE FROM note", TRIB_KIND_CHANGE, 1, 2);
			mk_part(&mk, "ALTER TABLE note ADD COLUMN extra; INSERT INTO note SELECT *, NULL FROM o; DROP TABLE o", TRIB_KIND_CHANGE, 2, 2);
		} else {
			mk_commit(&mk, nights[i]);
		}
		memcpy(oids[i], mk.tip.oid, TRIB_OID_LEN);
		mk_keep(&mk);
		copies[i] = mk.kept_app;
		mk.kept_app = NULL;
		check_now(&mk);
	}
	for (size_t i = 0; i < TRIB_COUNT(nights); i++) {
		TRIB_AUTO(trib_db) sqlite3 *db = NULL;
		TRIB_AUTO(trib_restored) struct trib_restored r = {0};

		restore(&mk, oids[i], NULL, &r, &db);
		compare_dump(copies[i], db);
		sqlite3_close(copies[i]);
	}
	mk_free(&mk);
}

static void the_counter_of_deleted_rows_stays(void **state)
{
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	TRIB_AUTO(trib_restored) struct trib_restored r = {0};
	struct trib_err err;
	struct mk mk;
	int64_t seq = 0;

	(void)state;
	mk_init(&mk, true, NULL);
	mk_commit(&mk, "CREATE TABLE T(id INTEGER PRIMARY KEY AUTOINCREMENT, x); CREATE TABLE u(id INTEGER PRIMARY KEY AUTOINCREMENT);"
		       "INSERT INTO t VALUES(5,1),(90,2); DELETE FROM t WHERE id=90; INSERT INTO u VALUES(7); DELETE FROM u");
	restore(&mk, mk.tip.oid, NULL, &r, &db);
	assert_int_equal(trib_db_int(db, "SELECT seq FROM sqlite_sequence WHERE name='T'", -1, &seq, &err), 0);
	assert_int_equal(seq, 90);
	assert_int_equal(trib_db_int(db, "SELECT seq FROM sqlite_sequence WHERE name='u'", -1, &seq, &err), 0);
	assert_int_equal(seq, 7);
	mk_free(&mk);
}

static void utf16_files_come_back(void **state)
{
	static const char *const encodings[] = {"PRAGMA encoding='UTF-16le'", "PRAGMA encoding='UTF-16be'"};

	(void)state;
	for (size_t i = 0; i < TRIB_COUNT(encodings); i++) {
		static const uint16_t odd[] = {0xd83d, 'x', 0xde00, 0xde00, 0xd83d}, mark[] = {0xfeff, 'a'}, swapped[] = {0xfffe, 0xfeff};
		static const struct { const uint16_t *p; int n; } texts[] = {{odd, 5}, {mark, 2}, {swapped, 2}, {mark, 1}, {odd, 1}, {odd, 0}};
		struct mk mk;

		mk_init(&mk, true, encodings[i]);
		mk_commit(&mk, "CREATE TABLE t(k TEXT PRIMARY KEY, v, w); CREATE TABLE b(x); INSERT INTO t VALUES('洗马',1.5,x'00'),('😀',NULL,-1)");
		for (size_t k = 0; k < TRIB_COUNT(texts); k++) {
			sqlite3_stmt *st = NULL;
			uint16_t buf[8] = {0xfeff};

			memcpy(buf + 1, texts[k].p, (size_t)texts[k].n * 2);
			assert_int_equal(sqlite3_prepare_v2(mk.app, "INSERT INTO t VALUES(?1, ?1, ?2)", -1, &st, NULL), SQLITE_OK);
			assert_int_equal(sqlite3_bind_text64(st, 1, (const char *)buf, (size_t)texts[k].n * 2 + 2, SQLITE_STATIC, SQLITE_UTF16), SQLITE_OK);
			sqlite3_bind_int(st, 2, (int)k);
			assert_int_equal(sqlite3_step(st), SQLITE_DONE);
			sqlite3_finalize(st);
		}
		mk_commit(&mk, "INSERT INTO b SELECT v FROM t");
		check_now(&mk);
		mk_commit(&mk, "UPDATE t SET v=w WHERE w=1; DELETE FROM t WHERE w=2");
		check_now(&mk);
		mk_free(&mk);
	}
}

static void a_voided_group_leaves_nothing(void **state)
{
	struct mk mk;

	(void)state;
	mk_init(&mk, true, NULL);
	mk_commit(&mk, "CREATE TABLE t(id INTEGER PRIMARY KEY, x); INSERT INTO t VALUES(1,1),(2,2)");
	mk_keep(&mk);
	mk_part(&mk, "DELETE FROM t", TRIB_KIND_CHANGE, 1, 3);
	mk_part(&mk, "CREATE TABLE u(a PRIMARY KEY); INSERT INTO u VALUES(1)", TRIB_KIND_CHANGE, 2, 3);
	mk_back(&mk);
	mk_commit(&mk, "UPDATE t SET x='one' WHERE id=1");
	check_now(&mk);
	mk_part(&mk, "DELETE FROM t WHERE id=1", TRIB_KIND_CHANGE, 1, 2);
	/* Inside a group nothing can be restored. */
	TRIB_AUTO(trib_mem) char *to = path_in(&mk, "out.db");
	TRIB_AUTO(trib_restored) struct trib_restored r = {0};
	struct trib_history h = mk_history(&mk);
	struct trib_err err;
	assert_int_equal(trib_replay_to_file(&h, mk.tip.oid, NULL, to, &r, &err), -1);
	assert_int_equal(err.code, TRIB_E_NOT_FOUND);
	assert_false(trib_fs_exists(to));
	no_scratch_left(&mk);
	mk_part(&mk, "CREATE TABLE u(a PRIMARY KEY, b) WITHOUT ROWID; INSERT INTO u VALUES(1,2)", TRIB_KIND_CHANGE, 2, 2);
	check_now(&mk);
	mk_free(&mk);
}

static void a_reset_starts_from_nothing(void **state)
{
	struct mk mk;

	(void)state;
	mk_init(&mk, true, NULL);
	mk_commit(&mk, "CREATE TABLE t(id INTEGER PRIMARY KEY, x); CREATE TABLE b(y); INSERT INTO t VALUES(1,1),(2,2); INSERT INTO b VALUES(1),(1)");
	mk.salt[0] ^= 1;
	mk_part(&mk, "DELETE FROM t WHERE id=1; INSERT INTO t VALUES(3,3); DELETE FROM b WHERE rowid=1", TRIB_KIND_RESET, 1, 1);
	check_now(&mk);
	mk_free(&mk);
}

static void one_table_alone(void **state)
{
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	TRIB_AUTO(trib_restored) struct trib_restored r = {0};
	struct trib_err err;
	struct mk mk;
	int64_t n = 0;
	uint8_t want[32];

	(void)state;
	mk_init(&mk, true, NULL);
	mk_commit(&mk, SCHEMA "INSERT INTO resident(name, age, w) VALUES('a',1,1),('b',2,2); INSERT INTO ledger VALUES('x',1,10)");
	restore(&mk, mk.tip.oid, "RESIDENT", &r, &db);
	assert_int_equal(r.rows, 2);
	assert_int_equal(r.tables, 1);
	trib_digest_table(trib_lanes_find(&mk.tip.lanes, "resident"), want);
	assert_memory_equal(r.digest, want, 32);
	assert_int_equal(trib_db_int(db, "SELECT count(*) FROM sqlite_schema WHERE type='table' AND name NOT LIKE 'sqlite%'", 0, &n, &err), 0);
	assert_int_equal(n, 1);
	assert_int_equal(trib_db_int(db, "SELECT count(*) FROM sqlite_schema WHERE name='by_age'", 0, &n, &err), 0);
	assert_int_equal(n, 1);
	assert_non_null(strstr(trib_buf_str(&r.absent), "ledger not-asked-for\n"));
	TRIB_AUTO(trib_mem) char *to = path_in(&mk, "out.db");
	struct trib_history h = mk_history(&mk);
	TRIB_AUTO(trib_restored) struct trib_restored none = {0};
	assert_int_equal(trib_replay_to_file(&h, mk.tip.oid, "nowhere", to, &none, &err), -1);
	assert_int_equal(err.code, TRIB_E_NOT_FOUND);
	mk_free(&mk);
}

static void never_over_a_file(void **state)
{
	TRIB_AUTO(trib_restored) struct trib_restored r = {0};
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(64);
	struct trib_err err;
	struct mk mk;

	(void)state;
	mk_init(&mk, true, NULL);
	mk_commit(&mk, "CREATE TABLE t(id INTEGER PRIMARY KEY)");
	TRIB_AUTO(trib_mem) char *to = path_in(&mk, "out.db");
	struct trib_history h = mk_history(&mk);
	assert_int_equal(trib_fs_write(to, trib_span_str("mine"), 0600, &err), 0);
	assert_int_equal(trib_replay_to_file(&h, mk.tip.oid, NULL, to, &r, &err), -1);
	assert_int_equal(trib_fs_read(to, &b, &err), 0);
	assert_string_equal(trib_buf_str(&b), "mine");
	mk_free(&mk);
}

/* A value that the column's affinity would change cannot be written by INSERT: the proof says which row, and no file is handed over. */
static void names_the_row_that_cannot_come_back(void **state)
{
	TRIB_AUTO(trib_restored) struct trib_restored r = {0};
	struct trib_err err;
	struct mk mk;

	(void)state;
	mk_init(&mk, true, NULL);
	mk_commit(&mk, "CREATE TABLE t(id INTEGER PRIMARY KEY, x BLOB); INSERT INTO t VALUES(1,'a'),(2,'42'),(3,'b');"
		       "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql='CREATE TABLE t(id INTEGER PRIMARY KEY, x INTEGER)' WHERE name='t';"
		       "PRAGMA writable_schema=RESET");
	TRIB_AUTO(trib_mem) char *to = path_in(&mk, "out.db");
	struct trib_history h = mk_history(&mk);
	assert_int_equal(trib_replay_to_file(&h, mk.tip.oid, NULL, to, &r, &err), -1);
	assert_int_equal(err.code, TRIB_E_VERIFY);
	assert_non_null(strstr(err.msg, "table t"));
	assert_non_null(strstr(err.msg, "id=2"));
	assert_false(trib_fs_exists(to));
	no_scratch_left(&mk);
	mk_free(&mk);
}

/* The judge cannot see that an update's old value is false when the sum is made to fit; the mirror does. */
static void a_change_that_does_not_fit_is_out_of_step(void **state)
{
	TRIB_AUTO(trib_restored) struct trib_restored r = {0};
	struct trib_err err;
	struct mk mk;

	(void)state;
	mk_init(&mk, true, NULL);
	mk_commit(&mk, "CREATE TABLE t(id INTEGER PRIMARY KEY, x); INSERT INTO t VALUES(1,1)");
	/* The baseline that the node compares with is not what it sent. */
	assert_int_equal(trib_db_exec(mk.state, "UPDATE state SET row=x'010000000000000001010000000000000009'", &err), 0);
	struct mk_draft d;
	uint8_t oid[TRIB_OID_LEN];
	mk_draft(&mk, "UPDATE t SET x=2", TRIB_KIND_CHANGE, 1, 1, &d);
	mk_seal(&mk, &d, oid);
	assert_int_equal(mk_judge(&mk, oid, &err), -1);
	assert_int_equal(err.code, TRIB_E_DIGEST);
	/* A node that lies consistently: digest = previous + changes, though no such row was there. */
	TRIB_AUTO(trib_lanes) struct trib_lanes lanes = {0};
	TRIB_AUTO(trib_schematext) struct trib_schematext st = {0};
	TRIB_AUTO(trib_digester) struct trib_digester *dg = trib_digester_new(mk.salt, MK_APP);
	assert_int_equal(trib_lanes_copy(&mk.tip.lanes, &lanes, &err), 0);
	assert_int_equal(trib_schematext_parse(trib_buf_span(&d.schema), &st, &err), 0);
	assert_int_equal(trib_digest_changeset(dg, &lanes, &st, trib_buf_span(&d.raw), NULL, &err), 0);
	trib_digest_table(lanes.tables[0], d.m.tables[0].digest);
	trib_digest_overall(&lanes, MK_APP, d.m.digest);
	mk_seal(&mk, &d, oid);
	assert_int_equal(mk_judge(&mk, oid, &err), 0);
	mk_draft_release(&d);
	TRIB_AUTO(trib_mem) char *to = path_in(&mk, "out.db");
	struct trib_history h = mk_history(&mk);
	assert_int_equal(trib_replay_to_file(&h, mk.tip.oid, NULL, to, &r, &err), -1);
	assert_int_equal(err.code, TRIB_E_OUT_OF_STEP);
	assert_false(trib_fs_exists(to));
	no_scratch_left(&mk);
	mk_free(&mk);
}

/* A restore does not add up the nights, so the end must show that a signed digest is false. */
static void a_false_digest_gives_no_file(void **state)
{
	TRIB_AUTO(trib_restored) struct trib_restored r = {0};
	struct trib_err err;
	struct mk_draft d;
	struct mk mk;
	uint8_t oid[TRIB_OID_LEN];

	(void)state;
	mk_init(&mk, true, NULL);
	mk_commit(&mk, "CREATE TABLE t(id INTEGER PRIMARY KEY, x); INSERT INTO t VALUES(1,1)");
	mk_draft(&mk, "UPDATE t SET x=2", TRIB_KIND_CHANGE, 1, 1, &d);
	d.m.tables[0].digest[0] ^= 1;
	mk_seal(&mk, &d, oid);
	mk_draft_release(&d);
	assert_int_equal(trib_repo_ref_set(mk.repo, "refs/heads/main", oid, &err), 0);
	TRIB_AUTO(trib_mem) char *to = path_in(&mk, "out.db");
	struct trib_history h = mk_history(&mk);
	assert_int_equal(trib_replay_to_file(&h, oid, NULL, to, &r, &err), -1);
	assert_int_equal(err.code, TRIB_E_VERIFY);
	assert_false(trib_fs_exists(to));
	no_scratch_left(&mk);
	mk_free(&mk);
}

static int count(void *ctx, const struct trib_judged *j, const struct trib_tip *tip, bool complete, struct trib_err *err)
{
	unsigned *n = ctx;

	(void)err;
	assert_int_equal(j->manifest.seq, tip->seq);
	n[complete]++;
	return 0;
}

static int time_of(void *ctx, const uint8_t oid[TRIB_OID_LEN], int64_t *ret, struct trib_err *err)
{
	(void)oid;
	(void)err;
	*ret = *(int64_t *)ctx;
	return 0;
}

static void walks_and_judges_at_the_time_of_receipt(void **state)
{
	struct trib_err err;
	struct mk mk;
	unsigned n[2] = {0, 0};
	int64_t t = MK_TIME + 5;

	(void)state;
	mk_init(&mk, true, NULL);
	mk_commit(&mk, "CREATE TABLE t(id INTEGER PRIMARY KEY)");
	uint8_t first[TRIB_OID_LEN];
	memcpy(first, mk.tip.oid, sizeof(first));
	mk_part(&mk, "INSERT INTO t VALUES(1)", TRIB_KIND_CHANGE, 1, 2);
	mk_part(&mk, "INSERT INTO t VALUES(2)", TRIB_KIND_CHANGE, 2, 2);
	struct trib_history h = mk_history(&mk);
	h.trust.at = MK_TIME + INT64_C(86400) * 9999; /* long expired now, valid when it was received */
	assert_int_equal(trib_history_walk(&h, NULL, NULL, NULL, NULL, &err), -1);
	assert_int_equal(err.code, TRIB_E_CERT);
	h.time_of = time_of;
	h.time_ctx = &t;
	assert_int_equal(trib_history_walk(&h, NULL, NULL, count, n, &err), 0);
	assert_int_equal(n[0], 1);
	assert_int_equal(n[1], 2);
	assert_int_equal(trib_history_walk(&h, first, NULL, count, n, &err), 0);
	assert_int_equal(n[1], 3);
	first[0] ^= 1;
	assert_int_equal(trib_history_walk(&h, first, NULL, NULL, NULL, &err), -1);
	assert_int_equal(err.code, TRIB_E_NOT_FOUND);
	mk_free(&mk);
}

/* Enough rows for the helper thread, in three tables, one of them a bag: the scan gives what row by row addition gives. */
static int add_row(void *ctx, const char *folded, const char *name, const struct trib_digest_cols *cols, const struct trib_value *row, struct trib_err *err)
{
	void **c = ctx;

	(void)name;
	return row ? trib_digest_row(c[0], trib_lanes_get(c[1], folded), cols, row, 1, err) : 0;
}

static void two_threads_measure_the_same(void **state)
{
	static const uint8_t salt[TRIB_SALT_LEN] = {9};
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	TRIB_AUTO(trib_lanes) struct trib_lanes a = {0}, b = {0};
	TRIB_AUTO(trib_digester) struct trib_digester *d = trib_digester_new(salt, "app");
	void *ctx[2] = {d, &b};
	struct trib_err err;
	uint8_t x[TRIB_SHA256_LEN], y[TRIB_SHA256_LEN];

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(trib_db_exec(db, "CREATE TABLE a(id INTEGER PRIMARY KEY, t TEXT, b BLOB); CREATE TABLE m(x, y); CREATE TABLE z(k TEXT PRIMARY KEY, v);"
		"INSERT INTO a WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<6000) SELECT i, 'text '||i, zeroblob(i%700) FROM c;"
		"INSERT INTO m SELECT id%900, b FROM a; INSERT INTO z SELECT t, id FROM a; INSERT INTO a VALUES(-1, NULL, zeroblob(3000000));", &err), 0);
	assert_int_equal(trib_scan_database(db, salt, "app", &a, &err), 0);
	assert_int_equal(trib_scan_each(db, add_row, ctx, &err), 0);
	trib_digest_overall(&a, "app", x);
	trib_digest_overall(&b, "app", y);
	assert_memory_equal(x, y, sizeof(x));
	assert_int_equal(trib_lanes_find(&a, "a")->rows, 6001);
	assert_int_equal(trib_lanes_find(&a, "sqlite_bag_m")->rows, 6000);
	assert_int_equal(trib_lanes_find(&a, "m")->rows, 0);
}

static void strict_tables_come_back(void **state)
{
	struct mk mk;

	(void)state;
	mk_init(&mk, false, NULL);
	mk_commit(&mk, strict_schema());
	mk_commit(&mk, "INSERT INTO tag VALUES('a','1'),('b',1),('c',1.0),('d',x'31'),('e',NULL)");
	check_now(&mk);
	mk_free(&mk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_night_comes_back),
		cmocka_unit_test(the_counter_of_deleted_rows_stays),
		cmocka_unit_test(utf16_files_come_back),
		cmocka_unit_test(two_threads_measure_the_same),
		cmocka_unit_test(strict_tables_come_back),
		cmocka_unit_test(a_voided_group_leaves_nothing),
		cmocka_unit_test(a_reset_starts_from_nothing),
		cmocka_unit_test(one_table_alone),
		cmocka_unit_test(never_over_a_file),
		cmocka_unit_test(names_the_row_that_cannot_come_back),
		cmocka_unit_test(a_change_that_does_not_fit_is_out_of_step),
		cmocka_unit_test(a_false_digest_gives_no_file),
		cmocka_unit_test(walks_and_judges_at_the_time_of_receipt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
