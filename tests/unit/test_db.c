/* test_db.c: connections, migrations and exact values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <sys/stat.h>

#include "core/base/fs.h"
#include "core/store/db.h"

static char dir[] = "/tmp/trib-test-db-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}
static int drop_dir(void **state)
{
	(void)state;
	struct trib_err err;
	return trib_fs_remove_tree(dir, &err);
}

static sqlite3 *open_own(const char *name, bool wal)
{
	struct trib_err err;
	sqlite3 *db = NULL;
	TRIB_AUTO(trib_mem) char *path = *name == ':' ? strdup(name) : trib_path(dir, name);
	if (trib_db_open_own(path, wal, &db, &err))
		fail_msg("%s", err.msg);
	return db;
}

static int64_t int_of(sqlite3 *db, const char *sql)
{
	struct trib_err err;
	int64_t v = -99;
	if (trib_db_int(db, sql, -1, &v, &err))
		fail_msg("%s", err.msg);
	return v;
}

static void own_databases_are_private_and_durable(void **state)
{
	(void)state;
	TRIB_AUTO(trib_db) sqlite3 *db = open_own("own.db", true);
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, "own.db");
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(int_of(db, "PRAGMA synchronous"), 2);
	assert_int_equal(int_of(db, "PRAGMA foreign_keys"), 1);
	assert_int_equal(int_of(db, "PRAGMA trusted_schema"), 0);
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st2 = NULL;
	struct trib_err err;
	assert_int_equal(trib_db_prepare(db, "PRAGMA journal_mode", &st2, &err), 0);
	assert_int_equal(trib_db_step(db, st2, &err), 1);
	assert_string_equal((const char *)sqlite3_column_text(st2, 0), "wal");
}

static void a_read_only_connection_does_not_write(void **state)
{
	(void)state;
	struct trib_err err;
	{
		TRIB_AUTO(trib_db) sqlite3 *db = open_own("ro.db", false);
		assert_int_equal(trib_db_exec(db, "CREATE TABLE t(x)", &err), 0);
	}
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, "ro.db");
	TRIB_AUTO(trib_mem) char *none = trib_path(dir, "none.db");
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	assert_int_equal(trib_db_open_own_ro(path, &db, &err), 0);
	assert_int_equal(int_of(db, "SELECT count(*) FROM t"), 0);
	assert_int_equal(trib_db_exec(db, "INSERT INTO t VALUES(1)", &err), -1);
	assert_int_equal(err.code, TRIB_E_DB);
	sqlite3 *missing = NULL;
	assert_int_equal(trib_db_open_own_ro(none, &missing, &err), -1);
	assert_false(trib_fs_exists(none));
}

static void a_file_that_is_no_database_is_told_at_once(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, "text");
	assert_int_equal(trib_fs_write(path, trib_span_str("this is a text, long enough to be taken for a header of a database, but none at all"), 0600, &err), 0);
	sqlite3 *db = NULL;
	assert_int_equal(trib_db_open_own_ro(path, &db, &err), -1);
	assert_int_equal(err.code, TRIB_E_DB);
	assert_null(db);
}

static void a_busy_database_is_locked(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_db) sqlite3 *a = open_own("busy.db", false);
	TRIB_AUTO(trib_db) sqlite3 *b = open_own("busy.db", false);
	(void)sqlite3_busy_timeout(b, 0);
	assert_int_equal(trib_db_exec(a, "BEGIN EXCLUSIVE", &err), 0);
	assert_int_equal(trib_db_exec(b, "CREATE TABLE t(x)", &err), -1);
	assert_int_equal(err.code, TRIB_E_LOCKED);
}

static void a_full_database_is_no_space(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_db) sqlite3 *db = open_own(":memory:", false);
	assert_int_equal(trib_db_exec(db, "PRAGMA max_page_count=2; CREATE TABLE t(x)", &err), 0);
	assert_int_equal(trib_db_exec(db, "INSERT INTO t VALUES(randomblob(100000))", &err), -1);
	assert_int_equal(err.code, TRIB_E_NO_SPACE);
}

static void migrations_run_once_and_whole(void **state)
{
	(void)state;
	struct trib_err err;
	static const char *const good[] = {"CREATE TABLE a(x); INSERT INTO a VALUES(1)", "CREATE TABLE b(x)"};
	static const char *const bad[] = {"CREATE TABLE a(x)", "CREATE TABLE b(x)", "CREATE TABLE c(x); INSERT INTO nowhere VALUES(1)"};
	TRIB_AUTO(trib_db) sqlite3 *db = open_own("migrate.db", false);
	assert_int_equal(trib_db_migrate(db, good, 1, &err), 0);
	assert_int_equal(int_of(db, "PRAGMA user_version"), 1);
	assert_int_equal(trib_db_migrate(db, good, 2, &err), 0);
	assert_int_equal(trib_db_migrate(db, good, 2, &err), 0);
	assert_int_equal(int_of(db, "SELECT count(*) FROM a"), 1);
	assert_int_equal(trib_db_migrate(db, bad, 3, &err), -1);
	assert_non_null(strstr(err.msg, "migration 3"));
	assert_int_equal(int_of(db, "PRAGMA user_version"), 2);
	assert_int_equal(int_of(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'c'"), 0);
	assert_int_equal(sqlite3_get_autocommit(db), 1);
	assert_int_equal(trib_db_migrate(db, good, 1, &err), -1);
	assert_int_equal(err.code, TRIB_E_VERSION);
}

static void a_hardened_connection_runs_no_triggers_views_or_schema_writes(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_db) sqlite3 *db = open_own(":memory:", false);
	assert_int_equal(trib_db_exec(db,
				      "CREATE TABLE t(x); CREATE TABLE log(x); CREATE VIEW v AS SELECT x FROM t;"
				      "CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO log VALUES(new.x); END",
				      &err),
			 0);
	assert_int_equal(trib_db_harden(db, &err), 0);
	assert_int_equal(trib_db_exec(db, "INSERT INTO t VALUES(1)", &err), 0);
	assert_int_equal(int_of(db, "SELECT count(*) FROM log"), 0);
	assert_int_equal(trib_db_exec(db, "SELECT * FROM v", &err), -1);
	(void)sqlite3_exec(db, "PRAGMA writable_schema=ON", NULL, NULL, NULL);
	assert_int_equal(trib_db_exec(db, "UPDATE sqlite_schema SET sql = 'x'", &err), -1);
	assert_int_equal(int_of(db, "PRAGMA cell_size_check"), 1);
}

static void a_schema_with_json_functions_is_read_and_filled(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, "json.db");
	for (int again = 0; again < 2; again++) { /* made, then read from the file */
		TRIB_AUTO(trib_db) sqlite3 *db = NULL;
		assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
		assert_int_equal(trib_db_harden(db, &err), 0);
		if (!again) {
			assert_int_equal(trib_db_exec(db, "CREATE TABLE t(a TEXT CHECK(json_valid(a)), x AS (json_extract(a, '$.x')))", &err), 0);
			assert_int_equal(trib_db_exec(db, "CREATE INDEX i ON t(json_extract(a, '$.y'))", &err), 0);
			assert_int_equal(trib_db_exec(db, "INSERT INTO t(a) VALUES('{\"x\":7}')", &err), 0);
		}
		assert_int_equal(int_of(db, "SELECT x FROM t"), 7);
	}
}

static void int_tells_null_and_no_row(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_db) sqlite3 *db = open_own(":memory:", false);
	int64_t v;
	assert_int_equal(trib_db_int(db, "SELECT NULL", 7, &v, &err), 0);
	assert_int_equal(v, 7);
	assert_int_equal(trib_db_int(db, "SELECT 1 WHERE 0", 8, &v, &err), 0);
	assert_int_equal(v, 8);
	assert_int_equal(trib_db_int(db, "SELECT nonsense", 8, &v, &err), -1);
	assert_non_null(strstr(err.msg, "nonsense"));
}

static void identifiers_are_quoted(void **state)
{
	(void)state;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(64);
	trib_sql_ident(&b, "a\"b; --");
	assert_string_equal(trib_buf_str(&b), "\"a\"\"b; --\"");
}

static void values_survive_the_database_exactly(void **state)
{
	(void)state;
	struct trib_err err;
	const struct trib_value v[] = {
		{.type = TRIB_INT, .i = INT64_MIN},
		{.type = TRIB_REAL, .r = -0.0},
		{.type = TRIB_REAL, .r = HUGE_VAL},
		{.type = TRIB_TEXT, .s = trib_span("", 0)},
		{.type = TRIB_TEXT, .s = trib_span("a\0b\xff\xfe", 5)},
		{.type = TRIB_TEXT, .s = {NULL, 0}},
		{.type = TRIB_BLOB, .s = {NULL, 0}},
		{.type = TRIB_BLOB, .s = trib_span("\0\1", 2)},
		{.type = TRIB_NULL},
		{.type = TRIB_REAL, .r = 1.0},
	};
	TRIB_AUTO(trib_db) sqlite3 *db = open_own(":memory:", false);
	TRIB_AUTO(trib_stmt) sqlite3_stmt *put = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *get = NULL;
	assert_int_equal(trib_db_exec(db, "CREATE TABLE t(i INTEGER PRIMARY KEY, v)", &err), 0);
	assert_int_equal(trib_db_prepare(db, "INSERT INTO t VALUES(?1, ?2)", &put, &err), 0);
	for (size_t i = 0; i < TRIB_COUNT(v); i++) {
		assert_int_equal(sqlite3_bind_int64(put, 1, (int64_t)i), SQLITE_OK);
		assert_int_equal(trib_value_bind(put, 2, &v[i]), 0);
		assert_int_equal(trib_db_step(db, put, &err), 0);
		(void)sqlite3_reset(put);
	}
	assert_int_equal(trib_db_prepare(db, "SELECT v FROM t ORDER BY i", &get, &err), 0);
	for (size_t i = 0; i < TRIB_COUNT(v); i++) {
		struct trib_value got;
		assert_int_equal(trib_db_step(db, get, &err), 1);
		trib_value_column(get, 0, &got);
		assert_int_equal(got.type, v[i].type);
		if (v[i].type == TRIB_REAL)
			assert_memory_equal(&got.r, &v[i].r, sizeof(got.r));
		else if (v[i].type == TRIB_INT)
			assert_true(got.i == v[i].i);
		else
			assert_true(trib_span_eq(got.s, v[i].s));
	}
	assert_int_equal(trib_db_step(db, get, &err), 0);
}

static void what_sqlite_would_change_is_not_bound(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_db) sqlite3 *db = open_own(":memory:", false);
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	assert_int_equal(trib_db_prepare(db, "SELECT ?1", &st, &err), 0);
	assert_int_equal(trib_value_bind(st, 1, &(struct trib_value){.type = TRIB_REAL, .r = (double)NAN}), -1);
	assert_int_equal(trib_value_bind(st, 1, &(struct trib_value){.type = TRIB_UNDEF}), -1);
	assert_int_equal(trib_value_bind(st, 2, &(struct trib_value){.type = TRIB_NULL}), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(own_databases_are_private_and_durable),
		cmocka_unit_test(a_read_only_connection_does_not_write),
		cmocka_unit_test(a_file_that_is_no_database_is_told_at_once),
		cmocka_unit_test(a_busy_database_is_locked),
		cmocka_unit_test(a_full_database_is_no_space),
		cmocka_unit_test(migrations_run_once_and_whole),
		cmocka_unit_test(a_hardened_connection_runs_no_triggers_views_or_schema_writes),
		cmocka_unit_test(a_schema_with_json_functions_is_read_and_filled),
		cmocka_unit_test(int_tells_null_and_no_row),
		cmocka_unit_test(identifiers_are_quoted),
		cmocka_unit_test(values_survive_the_database_exactly),
		cmocka_unit_test(what_sqlite_would_change_is_not_bound),
	};
	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
