/* test_page.c: random histories of larger databases, with everything that moves rows between pages. The full engine is the oracle of the page
 * engine: every capture's parts are equal byte for byte. PROPERTY_ROUNDS histories (150), from PROPERTY_SEED on (1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/edits.h"

/* Names are quoted, so that a rename leaves the same CREATE text behind as a table made under that name. */
static const char *const forms[] = {
	"(id INTEGER PRIMARY KEY, a INT, b REAL, c)",
	"(\"id\" INTEGER PRIMARY KEY AUTOINCREMENT, \"a\" TEXT, \"b\" BLOB, \"c\" NUMERIC)",
	"(a, id INTEGER PRIMARY KEY DESC, b)",
	"(k TEXT PRIMARY KEY, a, b INT)",
	"(a, b, c, PRIMARY KEY(b, a))",
	"(k PRIMARY KEY, a, b) WITHOUT ROWID",
	"(a, k TEXT COLLATE NOCASE, j REAL, b, PRIMARY KEY(k, j)) WITHOUT ROWID",
	"(a, k, j, PRIMARY KEY(k, k COLLATE NOCASE, j DESC)) WITHOUT ROWID",
	"(k REAL PRIMARY KEY, a DOUBLE, g AS (a || 1) STORED, b FLOAT, v AS (b)) WITHOUT ROWID",
	"(\"a\", \"b\" INT, \"c\" REAL)",
	"(id INTEGER PRIMARY KEY, v AS (a) , w AS (a||'w') STORED, a INT, b \"DOUBLE PRECISION\")",
	"(id INTEGER PRIMARY KEY, a TEXT, b ANY, c REAL) STRICT",
};

static void make_table(sqlite3 *db)
{
	char sql[256], name[16];
	uint32_t n = rnd(4);
	(void)snprintf(name, sizeof(name), "t%u", n);
	(void)snprintf(sql, sizeof(sql), "CREATE TABLE \"%s\"%s", name, forms[rnd(TRIB_COUNT(forms))]);
	try_sql(db, sql);
	(void)snprintf(sql, sizeof(sql), "CREATE INDEX IF NOT EXISTS i%u ON t%u(a)", n, n);
	if (rnd(2))
		try_sql(db, sql);
	insert_rows(db, name, 20 + rnd(400));
}

/* Values that fill pages and chains, and keys that are numbers enough to make trees deep. */
static void fill(sqlite3 *db, const char *table)
{
	char sql[400], col[64];
	bool key;
	if (!pick_column(db, table, col, sizeof(col), &key))
		return;
	if (key)
		(void)snprintf(sql, sizeof(sql), "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM s WHERE i < %u) INSERT OR IGNORE INTO \"%s\"(\"%s\") SELECT %s + i FROM s",
			       100 + rnd(900), table, col, rnd(2) ? "rnd(100000)" : "1000");
	else
		(void)snprintf(sql, sizeof(sql), "UPDATE \"%s\" SET \"%s\" = randomblob_of(%u) WHERE rnd(%u) = 0", table, col, 1 + rnd(rnd(3) ? 900 : 30000), 1 + rnd(40));
	try_sql(db, sql);
}

static void sql_blob(sqlite3_context *ctx, int n, sqlite3_value **v)
{
	(void)n;
	static uint8_t bytes[40000];
	int len = (int)rnd((uint32_t)sqlite3_value_int(v[0]));
	for (int i = 0; i < len; i += 1 + (int)rnd(64))
		bytes[i] = (uint8_t)rnd(256);
	if (rnd(3))
		sqlite3_result_blob(ctx, bytes, len, SQLITE_TRANSIENT);
	else
		sqlite3_result_text(ctx, (const char *)bytes, len, SQLITE_TRANSIENT);
}

/* Writes into a value where it lies: neither the row's leaf nor any index changes when it is in an overflow page. */
static void write_into(sqlite3 *db, const char *table)
{
	char col[64], sql[256];
	bool key;
	sqlite3_stmt *st = NULL;
	sqlite3_blob *b = NULL;
	if (!pick_column(db, table, col, sizeof(col), &key) || key)
		return;
	(void)snprintf(sql, sizeof(sql), "SELECT rowid FROM \"%s\" WHERE typeof(\"%s\") IN ('blob', 'text') ORDER BY length(\"%s\") * (rnd(4) > 0) DESC, rnd(50) LIMIT 3", table, col, col);
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK)
		while (sqlite3_step(st) == SQLITE_ROW) {
			if (sqlite3_blob_open(db, "main", table, col, sqlite3_column_int64(st, 0), 1, &b) == SQLITE_OK) {
				int n = sqlite3_blob_bytes(b);
				uint8_t byte = (uint8_t)(1 + rnd(100));
				if (n > 0)
					(void)sqlite3_blob_write(b, &byte, 1, rnd(2) ? n - 1 : (int)rnd((uint32_t)n));
			}
			sqlite3_blob_close(b);
			b = NULL;
		}
	sqlite3_finalize(st);
}

static void swap_tables(sqlite3 *db)
{
	char sql[200];
	uint32_t a = rnd(4), b = rnd(4);
	(void)snprintf(sql, sizeof(sql), "ALTER TABLE \"t%u\" RENAME TO \"swap\"; ALTER TABLE \"t%u\" RENAME TO \"t%u\"; ALTER TABLE \"swap\" RENAME TO \"t%u\"", a, b, a, b);
	if (a != b)
		try_sql(db, sql);
}

static void swap_columns(sqlite3 *db, const char *table)
{
	char a[64], b[64], sql[400];
	bool key;
	if (!pick_column(db, table, a, sizeof(a), &key) || !pick_column(db, table, b, sizeof(b), &key) || strcmp(a, b) == 0)
		return;
	(void)snprintf(sql, sizeof(sql), "ALTER TABLE \"%s\" RENAME COLUMN \"%s\" TO \"swap\"; ALTER TABLE \"%s\" RENAME COLUMN \"%s\" TO \"%s\"; ALTER TABLE \"%s\" RENAME COLUMN \"swap\" TO \"%s\"",
		       table, a, table, b, a, table, b);
	try_sql(db, sql);
}

static void one_edit(sqlite3 *db)
{
	char table[64], sql[300];
	uint32_t kind = rnd(32);
	if (!pick_table(db, table, sizeof(table)) || kind == 0) {
		make_table(db);
		return;
	}
	if (kind < 6) {
		insert_rows(db, table, 1 + rnd(30));
	} else if (kind < 11) {
		update_rows(db, table);
	} else if (kind < 14) {
		(void)snprintf(sql, sizeof(sql), "DELETE FROM \"%s\" WHERE rnd(%u) = 0", table, rnd(4) ? 2 + rnd(60) : 1);
		try_sql(db, sql);
	} else if (kind < 18) {
		fill(db, table);
	} else if (kind < 22) {
		write_into(db, table);
	} else if (kind == 22) {
		swap_tables(db);
	} else if (kind == 23) {
		swap_columns(db, table);
	} else if (kind < 26) {
		alter(db, table);
	} else if (kind == 26) {
		(void)snprintf(sql, sizeof(sql), "PRAGMA page_size=%u; PRAGMA auto_vacuum=%u; VACUUM", 512u << rnd(8), rnd(3));
		try_sql(db, sql);
	} else if (kind == 27) {
		try_sql(db, rnd(2) ? "VACUUM" : "PRAGMA incremental_vacuum(3)");
	} else if (kind == 28) {
		(void)snprintf(sql, sizeof(sql), "REPLACE INTO \"%s\" SELECT * FROM \"%s\" WHERE rnd(5) = 0", table, table);
		try_sql(db, sql);
	} else if (kind == 29) {
		(void)snprintf(sql, sizeof(sql), "DROP INDEX IF EXISTS i%u; CREATE INDEX IF NOT EXISTS j%u ON \"%s\"(a, b)", rnd(4), rnd(3), table);
		try_sql(db, sql);
	} else if (kind == 30) {
		(void)snprintf(sql, sizeof(sql), "DROP TABLE \"%s\"", table);
		try_sql(db, sql);
		make_table(db);
	} else {
		try_sql(db, rnd(2) ? "PRAGMA secure_delete=1" : "PRAGMA secure_delete=0");
	}
}

static void open_page_app(struct scratch *x, bool wal)
{
	open_app(x, wal);
	assert_int_equal(sqlite3_create_function(x->app, "randomblob_of", 1, SQLITE_UTF8, NULL, sql_blob, NULL, NULL), 0);
}

static void set_up(struct scratch *x, bool wal)
{
	static const char *const encodings[] = {"UTF-8", "UTF-8", "UTF-16le", "UTF-16be"};
	char sql[200];
	int reserve = rnd(4) ? 0 : (int)rnd(33);
	open_page_app(x, false);
	(void)sqlite3_file_control(x->app, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserve);
	(void)snprintf(sql, sizeof(sql), "PRAGMA encoding='%s'; PRAGMA page_size=%u; PRAGMA auto_vacuum=%u; PRAGMA secure_delete=%u", encodings[rnd(4)], 512u << rnd(rnd(2) ? 3 : 8), rnd(3),
		       rnd(2));
	sql_run(x->app, sql);
	for (uint32_t i = 0; i < 2 + rnd(3); i++)
		make_table(x->app);
	if (wal)
		sql_run(x->app, "PRAGMA journal_mode=WAL");
}

static void history(uint64_t seed, struct agreed *t)
{
	struct scratch x;
	rng_state = seed * 0x9e3779b97f4a7c15ull + 11;
	scratch_make(&x);
	bool wal = rnd(4) == 0;
	set_up(&x, wal);
	for (uint32_t i = 0, n = 3 + rnd(3); i < n; i++) {
		struct trib_capture c = {.delta.fd = -1};
		if (rnd(2))
			try_sql(x.app, "BEGIN");
		for (uint32_t e = 0; e < 1 + rnd(rnd(3) ? 3 : 10); e++)
			one_edit(x.app);
		for (uint32_t e = 0; e < (rnd(5) ? 0 : 1 + rnd(3)); e++) {
			char table[64];
			if (pick_table(x.app, table, sizeof(table)))
				alter(x.app, table);
			one_edit(x.app);
		}
		try_sql(x.app, "COMMIT");
		if (rnd(4) == 0) {
			sqlite3_close(x.app);
			open_page_app(&x, wal);
		}
		(void)agree_and_commit(&x, &c, t);
		trib_capture_release(&c);
	}
	scratch_free(&x);
}

static void both_engines_agree(void **state)
{
	(void)state;
	struct agreed t = {0};
	uint64_t rounds = number("PROPERTY_ROUNDS", 150), seed = number("PROPERTY_SEED", 1);
	for (uint64_t i = 0; i < rounds; i++) {
		if (getenv("PROPERTY_VERBOSE"))
			print_message("seed %llu\n", (unsigned long long)(seed + i));
		history(seed + i, &t);
	}
	print_message("captures by pages %llu, with altered tables %llu, first ones %llu, unchanged %llu; %llu changes\n", (unsigned long long)t.page,
		      (unsigned long long)t.schema, (unsigned long long)t.full, (unsigned long long)t.unchanged, (unsigned long long)t.rows);
	/* A sound database is never refused. */
	assert_int_equal(t.refused, 0);
	assert_true(rounds < 50 || (t.page > rounds && t.schema * 20 > rounds && t.rows > 100 * rounds));
}

int main(void)
{
	struct trib_err err;
	if (trib_repo_lib_init(&err))
		return 1;
	const struct CMUnitTest tests[] = {cmocka_unit_test(both_engines_agree)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
