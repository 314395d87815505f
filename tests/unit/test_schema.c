/* test_schema.c: what of a database can be captured, and running a peer's schema. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/store/schema.h"

static sqlite3 *database(const char *sql)
{
	struct trib_err err;
	sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	if (trib_db_exec(db, sql, &err))
		fail_msg("%s", err.msg);
	return db;
}

static struct trib_schema schema_of(sqlite3 *db)
{
	struct trib_err err;
	struct trib_schema s = {0};
	if (trib_schema_read(db, &s, &err))
		fail_msg("%s", err.msg);
	return s;
}

static const char *reason_of(const struct trib_schema *s, const char *name)
{
	for (size_t i = 0; i < s->nleft_out; i++)
		if (strcmp(s->left_out[i].name, name) == 0)
			return s->left_out[i].reason;
	return "captured";
}

static void keys_are_told_apart(void **state)
{
	(void)state;
	TRIB_AUTO(trib_db) sqlite3 *db = database(
		"CREATE TABLE Alias(id INTEGER PRIMARY KEY, v);"
		"CREATE TABLE auto(id INTEGER PRIMARY KEY AUTOINCREMENT, v);"
		"CREATE TABLE descending(id INTEGER PRIMARY KEY DESC, v);"
		"CREATE TABLE short(id INT PRIMARY KEY, v);"
		"CREATE TABLE wide(a, b, c, PRIMARY KEY(c, a)) WITHOUT ROWID;"
		"CREATE TABLE odd(a, b, PRIMARY KEY(b, b, a));"
		"CREATE TABLE bag(a, b);"
		"CREATE TABLE strict(a INTEGER PRIMARY KEY, b TEXT) STRICT");
	TRIB_AUTO(trib_schema) struct trib_schema s = schema_of(db);
	assert_int_equal(s.ntables, 8);
	assert_true(s.has_autoincrement);
	const struct trib_table *t = trib_schema_find(&s, "alias");
	assert_non_null(t);
	assert_string_equal(t->name, "Alias");
	assert_true(t->rowid_key && t->keyed && !t->autoincrement);
	assert_true(trib_schema_find(&s, "auto")->autoincrement);
	assert_false(trib_schema_find(&s, "descending")->rowid_key);
	assert_true(trib_schema_find(&s, "descending")->keyed);
	assert_false(trib_schema_find(&s, "short")->rowid_key);
	t = trib_schema_find(&s, "wide");
	assert_true(t->without_rowid && !t->rowid_key && !t->rowid_name);
	assert_int_equal(t->cols[0].pk, 2);
	assert_int_equal(t->cols[1].pk, 0);
	assert_int_equal(t->cols[2].pk, 1);
	t = trib_schema_find(&s, "odd");
	assert_int_equal(t->npk, 2);
	assert_int_equal(t->cols[0].pk, 2);
	assert_int_equal(t->cols[1].pk, 1);
	assert_false(trib_schema_find(&s, "bag")->keyed);
	assert_true(trib_schema_find(&s, "strict")->strict);
	assert_null(trib_schema_find(&s, "sqlite_sequence"));
}

static void generated_columns_and_taken_rowid_names(void **state)
{
	(void)state;
	TRIB_AUTO(trib_db) sqlite3 *db = database(
		"CREATE TABLE g(a TEXT, b AS (a || 'x'), rowid, c AS (1) STORED, d BLOB);"
		"CREATE TABLE h(rowid, _ROWID_ AS (1), oid)");
	TRIB_AUTO(trib_schema) struct trib_schema s = schema_of(db);
	const struct trib_table *t = trib_schema_find(&s, "g");
	assert_int_equal(t->ncols, 3);
	assert_int_equal(t->ngenerated, 2);
	assert_string_equal(t->cols[2].name, "d");
	assert_string_equal(t->cols[2].type, "BLOB");
	assert_string_equal(t->cols[1].type, "");
	assert_string_equal(t->rowid_name, "_rowid_");
	assert_null(trib_schema_find(&s, "h")->rowid_name);
}

static void virtual_and_shadow_tables_are_left_out_and_named(void **state)
{
	(void)state;
	TRIB_AUTO(trib_db) sqlite3 *db = database(
		"CREATE TABLE t(x); CREATE VIRTUAL TABLE f USING fts5(body); CREATE INDEX i ON t(x);"
		"CREATE INDEX hidden ON f_content(c0); CREATE VIEW v AS SELECT nofunction(x) FROM t;"
		"CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO f VALUES(new.x); END");
	TRIB_AUTO(trib_schema) struct trib_schema s = schema_of(db);
	assert_int_equal(s.ntables, 1);
	assert_string_equal(reason_of(&s, "f"), "virtual");
	assert_string_equal(reason_of(&s, "f_content"), "shadow");
	assert_string_equal(trib_buf_str(&s.sql_text),
			    "CREATE TABLE t(x);\nCREATE INDEX i ON t(x);\nCREATE VIEW v AS SELECT nofunction(x) FROM t;\n"
			    "CREATE TRIGGER g AFTER INSERT ON t BEGIN INSERT INTO f VALUES(new.x); END;\n");
}

static void tables_of_sqlite_itself_are_named(void **state)
{
	(void)state;
	TRIB_AUTO(trib_db) sqlite3 *db = database("CREATE TABLE t(x); CREATE INDEX i ON t(x); INSERT INTO t VALUES(1); ANALYZE");
	TRIB_AUTO(trib_schema) struct trib_schema s = schema_of(db);
	assert_string_equal(reason_of(&s, "sqlite_stat1"), "statistics");
	assert_int_equal(s.ntables, 1);
	assert_false(s.has_sequence);
	TRIB_AUTO(trib_db) sqlite3 *other = database("CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT)");
	TRIB_AUTO(trib_schema) struct trib_schema o = schema_of(other);
	assert_int_equal(o.nleft_out, 0); /* sqlite_sequence travels in the manifest */
	assert_true(o.has_sequence && o.has_autoincrement);
}

static int any_order(void *ctx, int n, const void *a, int m, const void *b)
{
	(void)ctx;
	return trib_span_cmp(trib_span(a, (size_t)n), trib_span(b, (size_t)m));
}

static void tables_that_cannot_be_read_are_left_out(void **state)
{
	(void)state;
	char path[] = "/tmp/trib-test-schema-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	char over[TRIB_NAME_MAX + 2] = "", longest[TRIB_NAME_MAX + 1] = "";
	memset(over, 'n', TRIB_NAME_MAX + 1);
	memset(longest, 'n', TRIB_NAME_MAX);
	TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(2000);
	trib_buf_printf(&sql, "CREATE TABLE %s(x); CREATE TABLE col(%s); CREATE TABLE %s(x);", over, over, longest);
	trib_buf_puts(&sql, "CREATE TABLE key(k TEXT COLLATE pinyin PRIMARY KEY, v) WITHOUT ROWID;"
			    "CREATE TABLE plain(k TEXT COLLATE pinyin PRIMARY KEY, v);");
	{
		TRIB_AUTO(trib_db) sqlite3 *db = NULL;
		assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
		assert_int_equal(sqlite3_create_collation(db, "pinyin", SQLITE_UTF8, NULL, any_order), SQLITE_OK);
		assert_int_equal(sqlite3_exec(db, trib_buf_str(&sql), NULL, NULL, NULL), SQLITE_OK);
	}
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	TRIB_AUTO(trib_schema) struct trib_schema s = schema_of(db);
	(void)unlink(path);
	assert_string_equal(reason_of(&s, "key"), "no-collation");
	assert_string_equal(reason_of(&s, "plain"), "captured");
	assert_string_equal(reason_of(&s, "col"), "name-too-long");
	assert_string_equal(reason_of(&s, longest), "name-too-long"); /* cut to TRIB_NAME_MAX */
	assert_int_equal(s.nleft_out, 3);
	assert_int_equal(s.ntables, 2);
	assert_non_null(trib_schema_find(&s, longest));
}

static void settings_and_utf16_names(void **state)
{
	(void)state;
	TRIB_AUTO(trib_db) sqlite3 *db = database(
		"PRAGMA encoding='UTF-16le'; PRAGMA page_size=8192; PRAGMA auto_vacuum=2; PRAGMA user_version=-5; PRAGMA application_id=77;"
		"CREATE TABLE \"居民\"(\"姓名\" TEXT PRIMARY KEY); CREATE TABLE Beta(x); CREATE TABLE alpha(x)");
	TRIB_AUTO(trib_schema) struct trib_schema s = schema_of(db);
	assert_string_equal(s.text.encoding, "UTF-16le");
	assert_int_equal(s.text.page_size, 8192);
	assert_int_equal(s.text.auto_vacuum, 2);
	assert_int_equal(s.text.user_version, -5);
	assert_int_equal(s.text.application_id, 77);
	assert_string_equal(s.tables[0].name, "alpha");
	assert_string_equal(s.tables[1].name, "Beta");
	assert_string_equal(s.tables[2].name, "居民");
	assert_string_equal(s.tables[2].cols[0].name, "姓名");
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_SCHEMA_MAX);
	TRIB_AUTO(trib_schematext) struct trib_schematext parsed = {0};
	struct trib_err err;
	trib_schematext_put(&text, &s.text);
	if (trib_schematext_parse(trib_buf_span(&text), &parsed, &err))
		fail_msg("%s", err.msg);
	assert_int_equal(parsed.ntables, 3);
	assert_true(trib_span_eq(parsed.sql, trib_buf_span(&s.sql_text)));
}

static void reading_leaves_the_transaction_as_it_was(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_db) sqlite3 *db = database("CREATE TABLE t(x)");
	TRIB_AUTO(trib_schema) struct trib_schema a = schema_of(db);
	assert_int_equal(a.ntables, 1);
	assert_int_equal(sqlite3_get_autocommit(db), 1);
	assert_int_equal(trib_db_exec(db, "BEGIN", &err), 0);
	TRIB_AUTO(trib_schema) struct trib_schema b = schema_of(db);
	assert_int_equal(b.ntables, 1);
	assert_int_equal(sqlite3_get_autocommit(db), 0);
}

static void id_differs(const char *before, const char *change, bool differs)
{
	struct trib_err err;
	TRIB_AUTO(trib_db) sqlite3 *db = database(before);
	TRIB_AUTO(trib_schema) struct trib_schema a = schema_of(db);
	if (trib_db_exec(db, change, &err))
		fail_msg("%s", err.msg);
	TRIB_AUTO(trib_schema) struct trib_schema b = schema_of(db);
	TRIB_AUTO(trib_buf) struct trib_buf x = TRIB_BUF(4096);
	TRIB_AUTO(trib_buf) struct trib_buf y = TRIB_BUF(4096);
	trib_schema_table_id(&a, trib_schema_find(&a, "t"), &x);
	trib_schema_table_id(&b, trib_schema_find(&b, "t"), &y);
	assert_true(x.len > 0);
	assert_int_equal(!trib_span_eq(trib_buf_span(&x), trib_buf_span(&y)), differs);
}

static void a_table_id_changes_with_its_definition_only(void **state)
{
	(void)state;
	id_differs("CREATE TABLE t(a, b)", "ALTER TABLE t ADD COLUMN c", true);
	id_differs("CREATE TABLE t(a, b)", "ALTER TABLE t RENAME COLUMN a TO z", true);
	id_differs("CREATE TABLE t(a, b)", "DROP TABLE t; CREATE TABLE t(a, b DEFAULT 1)", true);
	id_differs("CREATE TABLE t(a, b)", "CREATE TABLE u(x); CREATE INDEX i ON t(a); INSERT INTO t VALUES(1, 2)", false);
}

/* What is read from one database makes an equal one. */
static void runs_again(const char *sql, bool exact)
{
	struct trib_err err;
	TRIB_AUTO(trib_db) sqlite3 *a = database(sql);
	TRIB_AUTO(trib_schema) struct trib_schema s = schema_of(a);
	TRIB_AUTO(trib_db) sqlite3 *b = database("");
	assert_int_equal(trib_db_harden(b, &err), 0);
	if (trib_schema_run(b, s.text.sql, 't', NULL, &err) || trib_schema_run(b, s.text.sql, 'r', NULL, &err))
		fail_msg("%s", err.msg);
	TRIB_AUTO(trib_schema) struct trib_schema again = schema_of(b);
	if (exact)
		assert_string_equal(trib_buf_str(&again.sql_text), trib_buf_str(&s.sql_text));
	assert_int_equal(again.ntables, s.ntables);
}
static void round_trip(const char *sql) { runs_again(sql, true); }

static void schemas_run_again(void **state)
{
	(void)state;
	round_trip("CREATE TABLE t(a INTEGER PRIMARY KEY AUTOINCREMENT, b TEXT CHECK (length(b) < 9), c AS (upper(b)), UNIQUE(b));"
		   "CREATE UNIQUE INDEX i ON t(lower(b)) WHERE a > 3; CREATE TABLE \"odd;name\"\"'\"(x DEFAULT 'a;b''c');"
		   "CREATE VIEW v AS SELECT a, ';' FROM t; CREATE TRIGGER g AFTER UPDATE ON t WHEN new.a IS NOT NULL BEGIN"
		   " UPDATE t SET b = CASE WHEN new.a > 1 THEN 'END;' ELSE '' END; DELETE FROM t WHERE a = 1; END;"
		   "CREATE TRIGGER vi INSTEAD OF INSERT ON v BEGIN SELECT 1; END; CREATE TABLE [br ack](x /* ; */, y -- ; not here\n);"
		   "CREATE TABLE r(id REFERENCES t(a) ON DELETE CASCADE, k INT, PRIMARY KEY(k)) WITHOUT ROWID;"
		   "CREATE TABLE s(k INTEGER PRIMARY KEY, v BLOB) STRICT");
	/* SQLite keeps a comment before the semicolon, of a view without the line's end. */
	round_trip("CREATE TABLE a(x) -- the last; word\n; CREATE VIEW v AS SELECT 1 -- the last; word\n; CREATE TABLE z(x)");
	/* A schema that was edited by hand may end inside a comment, which SQLite then drops. */
	runs_again("CREATE TABLE a(x); PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = sql || ' /* no end'", false);
	runs_again("CREATE TABLE a(x); PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = sql || ' -- no end'", false);
	round_trip("CREATE TABLE a(x) /* an end */");
	round_trip("");
}

static void refused(const char *sql, char which, const char *why)
{
	struct trib_err err;
	TRIB_AUTO(trib_db) sqlite3 *db = database("CREATE TABLE old(x); INSERT INTO old VALUES(1)");
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_SCHEMA_MAX);
	trib_buf_puts(&text, "CREATE TABLE fine(x);\n");
	trib_buf_puts(&text, sql);
	if (which == 'r') { /* the table of the first line must exist */
		assert_int_equal(trib_db_exec(db, "CREATE TABLE fine(x)", &err), 0);
	}
	if (trib_schema_run(db, trib_buf_span(&text), which, NULL, &err) == 0)
		fail_msg("accepted: %s", sql);
	assert_int_equal(err.code, TRIB_E_SCHEMA);
	if (!strstr(err.msg, why))
		fail_msg("%s: said \"%s\", not \"%s\"", sql, err.msg, why);
	/* Nothing was made, and the authorizer is gone. */
	int64_t n;
	assert_int_equal(trib_db_int(db, "SELECT count(*) FROM sqlite_schema", 0, &n, &err), 0);
	assert_int_equal(n, which == 'r' ? 2 : 1);
	assert_int_equal(trib_db_exec(db, "DELETE FROM old", &err), 0);
}

static void hostile_schemas_are_refused_and_leave_nothing(void **state)
{
	(void)state;
	static const char *const other[] = {
		"ATTACH '/tmp/trib-never' AS x;", "PRAGMA writable_schema=ON;", "SELECT 1;", "DROP TABLE old;", "INSERT INTO old VALUES(2);",
		"CREATE VIRTUAL TABLE f USING fts5(x);", "CREATE TEMP TABLE t(x);", "CREATE TEMPORARY VIEW t AS SELECT 1;", "VACUUM;", "BEGIN;",
		"WITH a AS (SELECT 1) SELECT * FROM a;", "EXPLAIN CREATE TABLE t(x);", "ALTER TABLE old ADD COLUMN y;", "CREATE;",
		"CREATE UNIQUE TABLE t(x);", "junk;", "'CREATE' TABLE t(x);",
	};
	for (size_t i = 0; i < TRIB_COUNT(other); i++) {
		refused(other[i], 't', "other than");
		refused(other[i], 'r', "other than");
	}
	refused("CREATE TABLE t AS SELECT * FROM old;", 't', "not authorized");
	refused("CREATE TABLE temp.t(x);", 't', "not authorized");
	refused("CREATE TABLE sqlite_t(x);", 't', "reserved");
	refused("CREATE TABLE t(x CHECK (nofunction(x)));", 't', "nofunction");
	refused("CREATE TABLE t(x", 't', "semicolon");
	refused("CREATE TABLE t(x) -- ;", 't', "semicolon");
	refused("CREATE TABLE t(x 'unclosed;", 't', "semicolon");
	refused(";", 't', "other than");
	refused("CREATE TABLE t(x);CREATE TABLE T(y);", 't', "CREATE TABLE T(y)");
	refused("CREATE INDEX i ON fine(nofunction(x));", 'r', "CREATE INDEX i ON fine");
	refused("CREATE TRIGGER g AFTER INSERT ON fine BEGIN SELECT 1;", 'r', "semicolon");
	refused("CREATE TRIGGER g AFTER INSERT ON fine BEGIN SELECT 1; END extra; END;", 'r', "CREATE TRIGGER g");
}

static void a_nul_byte_hides_nothing(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_db) sqlite3 *db = database("");
	assert_int_equal(trib_schema_run(db, trib_span("CREATE TABLE t(x);\0DROP TABLE t;", 32), 't', NULL, &err), -1);
	assert_int_equal(err.code, TRIB_E_SCHEMA);
}

static void parts_run_separately(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_db) sqlite3 *db = database("");
	struct trib_span sql = trib_span_str("CREATE TABLE t(x);\nCREATE INDEX i ON t(x);\nCREATE VIEW v AS SELECT nofunction(x) FROM t;\n");
	int64_t n = 0;
	assert_int_equal(trib_schema_run(db, sql, 't', NULL, &err), 0);
	assert_int_equal(trib_db_int(db, "SELECT count(*) FROM sqlite_schema", 0, &n, &err), 0);
	assert_int_equal(n, 1);
	assert_int_equal(trib_schema_run(db, sql, 'r', NULL, &err), 0);
	assert_int_equal(trib_db_int(db, "SELECT count(*) FROM sqlite_schema", 0, &n, &err), 0);
	assert_int_equal(n, 3);
	assert_int_equal(trib_schema_run(db, sql, 'z', NULL, &err), -1);
	assert_int_equal(err.code, TRIB_E_USAGE);
}

/* A collation of the application's own: the schema can still be made, and its name is told. */
static void an_unknown_collation_gets_a_stand_in(void **state)
{
	(void)state;
	static const char text[] = "CREATE TABLE t(k TEXT COLLATE pinyin PRIMARY KEY, v);\nCREATE INDEX i ON t(v COLLATE other);\n";
	struct trib_err err = {0};
	sqlite3 *db = NULL;
	struct trib_buf names = TRIB_BUF(1024);
	assert_int_equal(sqlite3_open(":memory:", &db), 0);
	assert_int_equal(trib_schema_run(db, trib_span_str(text), 't', &names, &err), 0);
	assert_int_equal(trib_schema_run(db, trib_span_str(text), 'r', &names, &err), 0);
	assert_string_equal(trib_buf_str(&names), "pinyin, other");
	assert_int_equal(sqlite3_exec(db, "INSERT INTO t VALUES('b', 1), ('a', 2)", NULL, NULL, NULL), 0);
	sqlite3_close(db);
	trib_buf_release(&names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_told_apart),
		cmocka_unit_test(generated_columns_and_taken_rowid_names),
		cmocka_unit_test(virtual_and_shadow_tables_are_left_out_and_named),
		cmocka_unit_test(tables_of_sqlite_itself_are_named),
		cmocka_unit_test(tables_that_cannot_be_read_are_left_out),
		cmocka_unit_test(settings_and_utf16_names),
		cmocka_unit_test(reading_leaves_the_transaction_as_it_was),
		cmocka_unit_test(a_table_id_changes_with_its_definition_only),
		cmocka_unit_test(schemas_run_again),
		cmocka_unit_test(hostile_schemas_are_refused_and_leave_nothing),
		cmocka_unit_test(a_nul_byte_hides_nothing),
		cmocka_unit_test(parts_run_separately),
		cmocka_unit_test(an_unknown_collation_gets_a_stand_in),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
