/* edits.h: random schemas and edits of an application's database, and the proof that both engines of capture see the same. For property tests;
 * include after cmocka.h. */
#ifndef TRIB_TEST_EDITS_H
#define TRIB_TEST_EDITS_H

#include <math.h>

#include "core/store/utf16.h"
#include "tests/lib/scratch.h"

TRIB_UNUSED static uint64_t rng_state; /* of the running history */

TRIB_UNUSED static uint32_t rnd(uint32_t n)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return n ? (uint32_t)((rng_state >> 11) % n) : 0;
}

TRIB_UNUSED static void sql_rnd(sqlite3_context *ctx, int n, sqlite3_value **v)
{
	(void)n;
	sqlite3_result_int(ctx, (int)rnd((uint32_t)sqlite3_value_int(v[0])));
}

/* ---- values ---- */

TRIB_UNUSED static void bind_random(sqlite3_stmt *st, int i, bool key)
{
	static const char *const words[] = {"a", "A", "a ", "b", "B", "", "\xe6\xb4\x97\xe9\xa9\xac", "z", "1", "1.0", "\xff\xfe", "\xc0\x80x", "\xf0\x9f\x98\x80"};
	uint8_t bytes[3000];
	uint32_t kind = rnd(key ? 12 : 16);
	uint16_t units[8];
	for (size_t k = 0; k < TRIB_COUNT(units); k++)
		units[k] = (uint16_t)(rnd(3) ? 0x41 + rnd(4) : 0xd7f0 + rnd(0x820));
	if (kind < 5)
		sqlite3_bind_int64(st, i, (int64_t)rnd(30) - 3);
	else if (kind < 8)
		sqlite3_bind_text(st, i, words[rnd(TRIB_COUNT(words))], -1, SQLITE_STATIC);
	else if (kind == 8)
		sqlite3_bind_double(st, i, rnd(2) ? (double)rnd(9) : rnd(2) ? -0.0 : rnd(2) ? (double)INFINITY : (double)rnd(100) / 7);
	else if (kind == 9)
		sqlite3_bind_null(st, i);
	else if (kind == 10)
		sqlite3_bind_text16(st, i, units, 2 * (int)rnd(8), SQLITE_TRANSIENT);
	else if (kind == 11)
		sqlite3_bind_text(st, i, "nul\0in", 6, SQLITE_STATIC);
	else if (kind == 12)
		sqlite3_bind_int64(st, i, INT64_MIN + (int64_t)rnd(3));
	else {
		uint32_t n = rnd(rnd(4) ? 40 : sizeof(bytes));
		for (uint32_t k = 0; k < n; k++)
			bytes[k] = (uint8_t)rnd(256);
		if (kind == 13)
			sqlite3_bind_text(st, i, (const char *)bytes, (int)n, SQLITE_TRANSIENT);
		else
			sqlite3_bind_blob(st, i, bytes, (int)n, SQLITE_TRANSIENT);
	}
}

/* ---- random schemas and edits ---- */

static const char *const shapes[] = {
	"(id INTEGER PRIMARY KEY, a INT, b REAL, c)",
	"(id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT, b BLOB, c NUMERIC)",
	"(a, id INTEGER PRIMARY KEY DESC, b)",
	"(k TEXT PRIMARY KEY, a, b INT)",
	"(a, k TEXT PRIMARY KEY COLLATE NOCASE, b REAL)",
	"(a, b, c, PRIMARY KEY(b, a))",
	"(a TEXT COLLATE NOCASE, b TEXT, c, d, PRIMARY KEY(b COLLATE RTRIM, a DESC))",
	"(k PRIMARY KEY, a, b) WITHOUT ROWID",
	"(a, k TEXT COLLATE NOCASE, j REAL, b, PRIMARY KEY(k, j)) WITHOUT ROWID",
	"(k REAL PRIMARY KEY, a) WITHOUT ROWID",
	"(a, b INT, c REAL)",
	"(rowid, oid, _rowid_, a)",
	"(rowid TEXT PRIMARY KEY, oid, _rowid_ INT)",
	"(id INTEGER PRIMARY KEY, a INT, v AS (a) , w AS (a||'w') STORED, b TEXT)",
	"(a INT, g AS (a+1) STORED, k PRIMARY KEY)",
	"(id INTEGER PRIMARY KEY, a TEXT, b ANY) STRICT",
};

TRIB_UNUSED static void try_sql(sqlite3 *db, const char *sql) { (void)sqlite3_exec(db, sql, NULL, NULL, NULL); }

TRIB_UNUSED static void new_table(sqlite3 *db)
{
	char sql[256];
	(void)snprintf(sql, sizeof(sql), "CREATE TABLE \"%s%u\"%s", rnd(2) ? "t" : "T ", rnd(4), shapes[rnd(TRIB_COUNT(shapes))]);
	try_sql(db, sql);
	if (rnd(3) == 0)
		try_sql(db, "CREATE INDEX IF NOT EXISTS i1 ON t1(a)");
}

/* A random table's name, or false. */
TRIB_UNUSED static bool pick_table(sqlite3 *db, char *ret, size_t size)
{
	sqlite3_stmt *st = NULL;
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT name FROM sqlite_schema WHERE type='table' AND name NOT LIKE 'sqlite_%' ORDER BY rnd(1000)+0, name LIMIT 1", -1, &st, NULL), 0);
	bool found = sqlite3_step(st) == SQLITE_ROW;
	if (found)
		(void)snprintf(ret, size, "%s", (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	return found;
}

/* A random ordinary column. */
TRIB_UNUSED static bool pick_column(sqlite3 *db, const char *table, char *ret, size_t size, bool *ret_key)
{
	sqlite3_stmt *st = NULL;
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT name, pk FROM pragma_table_xinfo(?1) WHERE hidden=0 ORDER BY rnd(1000)+0, name LIMIT 1", -1, &st, NULL), 0);
	sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
	bool found = sqlite3_step(st) == SQLITE_ROW;
	if (found) {
		(void)snprintf(ret, size, "%s", (const char *)sqlite3_column_text(st, 0));
		*ret_key = sqlite3_column_int(st, 1) > 0;
	}
	sqlite3_finalize(st);
	return found;
}

TRIB_UNUSED static void insert_rows(sqlite3 *db, const char *table, uint32_t n)
{
	struct trib_buf cols = TRIB_BUF(4096), sql = TRIB_BUF(8192);
	sqlite3_stmt *st = NULL;
	bool key[64];
	int ncol = 0;
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT name, pk FROM pragma_table_xinfo(?1) WHERE hidden=0", -1, &st, NULL), 0);
	sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
	while (sqlite3_step(st) == SQLITE_ROW) {
		trib_buf_puts(&cols, ncol ? "," : "");
		trib_sql_ident(&cols, (const char *)sqlite3_column_text(st, 0));
		key[ncol++] = sqlite3_column_int(st, 1) > 0;
	}
	sqlite3_finalize(st);
	trib_buf_printf(&sql, "INSERT OR %s INTO ", rnd(3) ? "REPLACE" : "IGNORE");
	trib_sql_ident(&sql, table);
	trib_buf_printf(&sql, "(%s) VALUES(", trib_buf_str(&cols));
	for (int i = 0; i < ncol; i++)
		trib_buf_puts(&sql, i ? ",?" : "?");
	trib_buf_puts(&sql, ")");
	if (sqlite3_prepare_v2(db, trib_buf_str(&sql), -1, &st, NULL) == SQLITE_OK)
		for (uint32_t r = 0; r < n; r++) {
			for (int i = 0; i < ncol; i++)
				bind_random(st, i + 1, key[i]);
			(void)sqlite3_step(st); /* STRICT and INTEGER columns refuse some values */
			sqlite3_reset(st);
		}
	sqlite3_finalize(st);
	trib_buf_release(&cols);
	trib_buf_release(&sql);
}

TRIB_UNUSED static void update_rows(sqlite3 *db, const char *table)
{
	char col[64];
	bool key;
	struct trib_buf sql = TRIB_BUF(4096);
	sqlite3_stmt *st = NULL;
	if (!pick_column(db, table, col, sizeof(col), &key))
		return;
	trib_buf_printf(&sql, "UPDATE OR %s ", rnd(2) ? "REPLACE" : "IGNORE");
	trib_sql_ident(&sql, table);
	trib_buf_puts(&sql, " SET ");
	trib_sql_ident(&sql, col);
	trib_buf_printf(&sql, " = ?1 WHERE rnd(%u) = 0", 1 + rnd(8));
	if (sqlite3_prepare_v2(db, trib_buf_str(&sql), -1, &st, NULL) == SQLITE_OK) {
		bind_random(st, 1, key);
		(void)sqlite3_step(st);
	}
	sqlite3_finalize(st);
	trib_buf_release(&sql);
}

/* SQLite's own way to change what ALTER TABLE cannot (lang_altertable.html): a new table, filled, put in the old one's place. Sometimes types change,
 * sometimes nothing does. */
TRIB_UNUSED static void rebuild_table(sqlite3 *db, const char *table)
{
	static const char *const types[][2] = {{" INT", " TEXT"}, {" REAL", " INT"}, {" TEXT", " BLOB"}, {" INT,", ","}, {" REAL", " NUMERIC"}, {" INT)", " REAL)"}};
	struct trib_buf sql = TRIB_BUF(16384), cols = TRIB_BUF(4096);
	sqlite3_stmt *st = NULL;
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT substr(sql, instr(sql, '(')), (SELECT group_concat('\"' || name || '\"') FROM pragma_table_xinfo(?1) WHERE hidden=0)"
					    " FROM sqlite_schema WHERE type='table' AND name = ?1", -1, &st, NULL), 0);
	sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
	if (sqlite3_step(st) == SQLITE_ROW && sqlite3_column_text(st, 1)) {
		const char *body = (const char *)sqlite3_column_text(st, 0), *const *type = types[rnd(TRIB_COUNT(types))];
		const char *at = rnd(3) ? strstr(body, type[0]) : NULL;
		trib_buf_puts(&cols, (const char *)sqlite3_column_text(st, 1));
		trib_buf_puts(&sql, "SAVEPOINT rebuild; CREATE TABLE \"rebuilt\"");
		trib_buf_put(&sql, body, at ? (size_t)(at - body) : strlen(body));
		trib_buf_puts(&sql, at ? type[1] : "");
		trib_buf_puts(&sql, at ? at + strlen(type[0]) : "");
		trib_buf_printf(&sql, "; INSERT OR IGNORE INTO \"rebuilt\"(%s) SELECT %s FROM \"%s\"; DROP TABLE \"%s\"; ALTER TABLE \"rebuilt\" RENAME TO \"%s\"; RELEASE rebuild",
				trib_buf_str(&cols), trib_buf_str(&cols), table, table, table);
	}
	sqlite3_finalize(st);
	if (sqlite3_exec(db, trib_buf_str(&sql), NULL, NULL, NULL))
		try_sql(db, "ROLLBACK TO rebuild; RELEASE rebuild");
	trib_buf_release(&sql);
	trib_buf_release(&cols);
}

TRIB_UNUSED static void alter(sqlite3 *db, const char *table)
{
	static const char *const defaults[] = {"", " INT DEFAULT 7.0", " DEFAULT 'd'", " REAL DEFAULT 3", " TEXT COLLATE NOCASE DEFAULT x'00'", " AS (1)"};
	char col[64], sql[512];
	bool key;
	uint32_t kind = rnd(7);
	if (kind > 4) {
		rebuild_table(db, table);
		return;
	}
	if (kind == 0)
		(void)snprintf(sql, sizeof(sql), "ALTER TABLE \"%s\" ADD COLUMN n%u%s", table, rnd(9), defaults[rnd(TRIB_COUNT(defaults))]);
	else if (kind == 3)
		(void)snprintf(sql, sizeof(sql), "ALTER TABLE \"%s\" RENAME TO \"t%u\"", table, rnd(6));
	else if (kind == 4)
		(void)snprintf(sql, sizeof(sql), "CREATE TABLE tmp AS SELECT * FROM \"%s\"; DROP TABLE \"%s\"; ALTER TABLE tmp RENAME TO \"%s\"", table, table, table);
	else if (!pick_column(db, table, col, sizeof(col), &key))
		return;
	else if (kind == 1)
		(void)snprintf(sql, sizeof(sql), "ALTER TABLE \"%s\" DROP COLUMN \"%s\"", table, col);
	else
		(void)snprintf(sql, sizeof(sql), "ALTER TABLE \"%s\" RENAME COLUMN \"%s\" TO \"%s%u\"", table, col, rnd(2) ? "r" : "R", rnd(5));
	try_sql(db, sql);
}

TRIB_UNUSED static void edit(sqlite3 *db)
{
	char table[64], sql[256];
	uint32_t kind = rnd(40);
	if (!pick_table(db, table, sizeof(table)) || kind == 0) {
		new_table(db);
		return;
	}
	if (kind < 14) {
		insert_rows(db, table, 1 + rnd(rnd(5) ? 12 : 120));
	} else if (kind < 22) {
		update_rows(db, table);
	} else if (kind < 28) {
		(void)snprintf(sql, sizeof(sql), "DELETE FROM \"%s\" WHERE rnd(%u) = 0", table, 1 + rnd(6));
		try_sql(db, sql);
	} else if (kind < 33) {
		alter(db, table);
	} else if (kind == 33) {
		(void)snprintf(sql, sizeof(sql), "DROP TABLE \"%s\"", table);
		try_sql(db, sql);
	} else if (kind == 34) {
		(void)snprintf(sql, sizeof(sql), "PRAGMA page_size=%u; PRAGMA auto_vacuum=%u; VACUUM", 512u << rnd(5), rnd(3));
		try_sql(db, sql);
	} else if (kind == 35) {
		try_sql(db, rnd(2) ? "VACUUM" : "PRAGMA incremental_vacuum");
	} else if (kind == 36) { /* wiped and filled again */
		(void)snprintf(sql, sizeof(sql), "CREATE TEMP TABLE k AS SELECT * FROM main.\"%s\"; DELETE FROM main.\"%s\";"
			       "INSERT INTO main.\"%s\" SELECT * FROM k ORDER BY rnd(99)", table, table, table);
		try_sql(db, sql);
		try_sql(db, "DROP TABLE IF EXISTS temp.k");
	} else if (kind == 37) {
		try_sql(db, "PRAGMA user_version=7");
	} else if (kind == 38) {
		(void)snprintf(sql, sizeof(sql), "INSERT OR IGNORE INTO \"%s\" SELECT * FROM \"%s\"", table, table);
		try_sql(db, sql);
	} else {
		new_table(db);
	}
}

TRIB_UNUSED static void open_app(struct scratch *x, bool wal)
{
	x->app = sql_open(x->db);
	assert_int_equal(sqlite3_create_function(x->app, "rnd", 1, SQLITE_UTF8, NULL, sql_rnd, NULL, NULL), 0);
	sql_run(x->app, "PRAGMA synchronous=OFF");
	if (wal)
		sql_run(x->app, rnd(2) ? "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=3" : "PRAGMA journal_mode=WAL");
}

TRIB_UNUSED static uint64_t number(const char *name, uint64_t none)
{
	const char *v = getenv(name);
	return v && *v ? strtoull(v, NULL, 10) : none;
}

/* ---- both engines ---- */

struct agreed { /* how captures went */
	uint64_t page, schema, refused, full, unchanged, rows;
};

/* Tables that are there in both states under another CREATE text: these alone may be compared row by row. */
TRIB_UNUSED static uint64_t altered_tables(const struct trib_capture *c)
{
	uint64_t n = 0;
	for (size_t i = 0; i < c->new_schema.ntables; i++) {
		const struct trib_table *t = &c->new_schema.tables[i], *o = trib_schema_find(&c->old_schema, t->folded);
		n += o && (!o->sql || !t->sql || strcmp(o->sql, t->sql) != 0);
	}
	return n;
}

TRIB_UNUSED static void same_capture(const struct trib_capture *full, const struct trib_capture *page)
{
	if (full->changed != page->changed || full->nparts != page->nparts || full->nleft_out != page->nleft_out)
		fail_msg("%s engine: changed %d, %zu parts, %zu left out; the full one: %d, %zu, %zu", page->engine, page->changed, page->nparts, page->nleft_out,
			 full->changed, full->nparts, full->nleft_out);
	for (size_t i = 0; i < full->nparts; i++) {
		assert_true(trib_span_eq(trib_buf_span(&full->parts[i].schema), trib_buf_span(&page->parts[i].schema)));
		if (!trib_span_eq(trib_buf_span(&full->parts[i].changeset), trib_buf_span(&page->parts[i].changeset)))
			fail_msg("%s engine: part %zu of %zu has %zu bytes, the full one's %zu, and they differ", page->engine, i + 1, full->nparts,
				 page->parts[i].changeset.len, full->parts[i].changeset.len);
	}
	for (size_t i = 0; i < full->nleft_out; i++)
		if (strcmp(full->left_out[i].name, page->left_out[i].name) != 0 || strcmp(full->left_out[i].reason, page->left_out[i].reason) != 0 ||
		    full->left_out[i].count != page->left_out[i].count)
			fail_msg("%s engine: left out %s %s %llu, the full one %s %s %llu", page->engine, page->left_out[i].name, page->left_out[i].reason,
				 (unsigned long long)page->left_out[i].count, full->left_out[i].name, full->left_out[i].reason,
				 (unsigned long long)full->left_out[i].count);
	assert_int_equal(full->rows_found, page->rows_found);
}

/* Captures the database with both engines, compares them byte for byte and commits; *ret_full as scratch_commit's. */
TRIB_UNUSED static bool agree_and_commit(struct scratch *x, struct trib_capture *ret_full, struct agreed *t)
{
	struct trib_capture page = {.delta.fd = -1};
	OK(trib_capture_run(&x->s, &trib_engine_page, &page, err));
	trib_delta_release(&page.delta); /* both would keep their pages in one file */
	bool changed = scratch_commit(x, ret_full);
	same_capture(ret_full, &page);
	uint64_t altered = altered_tables(&page);
	if (strcmp(page.engine, "full") != 0 && (page.full_tables > altered || (!altered && strcmp(page.engine, "page") != 0 && !page.nleft_out)))
		fail_msg("%s: %llu tables compared row by row, %llu have another definition", page.engine, (unsigned long long)page.full_tables,
			 (unsigned long long)altered);
	if (t) {
		t->unchanged += !changed;
		t->page += changed && strcmp(page.engine, "page") == 0;
		t->full += changed && strcmp(page.engine, "full") == 0;
		t->schema += strcmp(page.engine, "page+full:schema") == 0;
		t->refused += strcmp(page.engine, "page+full:damaged") == 0 || strcmp(page.engine, "page+full:limit") == 0;
		t->rows += page.rows_found;
	}
	trib_capture_release(&page);
	return changed;
}

#endif
