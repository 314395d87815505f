#include "core/replay/materialise.h"

#include <fcntl.h>

#include "core/replay/halves.h"
#include "core/store/utf16.h"

#define SQL_MAX (TRIB_MIB * 4)
/* Equal rows of a bag: a signed claim of more would only fill the disk. */
#define EQUAL_ROWS_MAX ((int64_t)1 << 32)

bool trib_material_wants(const struct trib_material *m, const char *name)
{
	return !m->table || trib_fold_cmp(trib_span_str(name), trib_span_str(m->table)) == 0;
}

/* ---- the empty file ---- */

static int pragma(sqlite3 *db, const char *name, long long value, struct trib_err *err)
{
	char sql[96];

	snprintf(sql, sizeof(sql), "PRAGMA %s=%lld", name, value);
	return trib_db_exec(db, sql, err);
}

/* What must be said before the first page is written. Page size and the like were checked in form by the schema parser; the proof
 * compares them with the finished file. */
static int set_up(sqlite3 *db, const struct trib_schematext *s, struct trib_err *err)
{
	const char *encoding = strcmp(s->encoding, "UTF-16le") == 0 ? "PRAGMA encoding='UTF-16le'"
			       : strcmp(s->encoding, "UTF-16be") == 0 ? "PRAGMA encoding='UTF-16be'" : "PRAGMA encoding='UTF-8'";

	if (pragma(db, "page_size", (long long)s->page_size, err) < 0 || pragma(db, "auto_vacuum", (long long)s->auto_vacuum, err) < 0 ||
	    trib_db_exec(db, encoding, err) < 0)
		return -1;
	/* A file that fails is thrown away, so nothing is journalled; one that succeeds is fsynced at the end. */
	if (trib_db_exec(db, "PRAGMA journal_mode=OFF", err) < 0 || trib_db_exec(db, "PRAGMA synchronous=OFF", err) < 0 ||
	    trib_db_exec(db, "PRAGMA locking_mode=EXCLUSIVE", err) < 0 || trib_db_exec(db, "PRAGMA cache_size=-65536", err) < 0 ||
	    trib_db_exec(db, "PRAGMA foreign_keys=OFF", err) < 0 || trib_db_exec(db, "PRAGMA ignore_check_constraints=ON", err) < 0)
		return -1;
	return trib_db_harden(db, err);
}

static int open_file(const char *path, sqlite3 **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0)
		return trib_fail_errno(err, "creating %s", path);
	if (sqlite3_open_v2(path, ret, SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE, NULL) != SQLITE_OK)
		return trib_db_fail(err, *ret, "opening the new file");
	return 0;
}

/* ---- rows ---- */

struct fill {
	sqlite3 *db;
	sqlite3_stmt *st;
	const struct trib_st_table *t;
	bool utf16;
	struct trib_buf text;   /* UTF-16 of one row */
	size_t *at;             /* where each column's text begins in it */
};

/* SQLite takes a byte order mark at the beginning of bound UTF-16 as a mark; one that is text needs another before it. */
static int convert(struct fill *f, const struct trib_value *v, struct trib_err *err)
{
	static const uint16_t mark = 0xfeff;
	size_t at = f->text.len;
	uint16_t first = 0;

	if (!trib_wtf8_to_utf16(v->s, &f->text))
		return trib_fail(err, TRIB_E_VERIFY, "table %s holds text that no UTF-16 file can hold", f->t->name);
	if (!f->text.failed && f->text.len - at >= 2)
		memcpy(&first, f->text.p + at, 2);
	if (first == 0xfeff || first == 0xfffe) {
		f->text.len = at;
		trib_buf_put(&f->text, &mark, sizeof(mark));
		(void)trib_wtf8_to_utf16(v->s, &f->text);
	}
	return trib_buf_check(&f->text, "text of one row", err);
}

static int bind_row(struct fill *f, const struct trib_value *row, struct trib_err *err)
{
	trib_buf_reset(&f->text);
	for (size_t i = 0; i < f->t->ncols; i++) {
		f->at[i] = f->text.len;
		if (f->utf16 && row[i].type == TRIB_TEXT) {
			if (convert(f, &row[i], err) < 0)
				return -1;
		} else if (trib_value_bind(f->st, (int)i + 1, &row[i]) < 0) {
			return trib_fail(err, TRIB_E_DB, "table %s: a value cannot be bound: %s", f->t->name, sqlite3_errmsg(f->db));
		}
	}
	f->at[f->t->ncols] = f->text.len;
	for (size_t i = 0; f->utf16 && i < f->t->ncols; i++) {
		const void *p = f->text.p ? (const void *)(f->text.p + f->at[i]) : "\0";

		if (row[i].type == TRIB_TEXT && sqlite3_bind_text64(f->st, (int)i + 1, p, f->at[i + 1] - f->at[i], SQLITE_STATIC,
								   SQLITE_UTF16) != SQLITE_OK)
			return trib_fail(err, TRIB_E_DB, "table %s: text cannot be bound: %s", f->t->name, sqlite3_errmsg(f->db));
	}
	return 0;
}

static int fill_row(void *ctx, const char *folded_table, const char *mirror, const struct trib_digest_cols *cols, const struct trib_value *row,
		    struct trib_err *err)
{
	struct fill *f = ctx;
	int64_t n = cols->bag ? row[cols->ncol - 1].i : 1;

	(void)folded_table;
	(void)mirror;
	if (n > EQUAL_ROWS_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "table %s claims %lld equal rows", f->t->name, (long long)n);
	if (bind_row(f, row, err) < 0)
		return -1;
	for (int64_t i = 0; i < n; i++) {
		int r = trib_db_step(f->db, f->st, err);

		(void)sqlite3_reset(f->st);
		if (r < 0)
			return trib_ctx(err, "filling table %s", f->t->name);
	}
	return 0;
}

/* Values of the line's columns, and NULL in those whose values no history here has. */
static int prepare_fill(const struct trib_material *m, sqlite3 *db, const struct trib_st_table *t, struct fill *f, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(SQL_MAX);
	const struct trib_table *whole = trib_whole_table(m->whole, t->name);
	const bool *absent = whole ? m->whole->absent[whole - m->whole->schema.tables] : NULL;

	*f = (struct fill){.db = db, .t = t, .at = calloc(t->ncols + 1, sizeof(*f->at)), .text = TRIB_BUF(2 * TRIB_ROW_MAX + 64 * TRIB_KIB),
			   .utf16 = strcmp(m->schema->encoding, "UTF-8") != 0};
	if (!f->at)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for table %s", t->name);
	trib_buf_puts(&sql, "INSERT INTO main.");
	trib_sql_ident(&sql, t->name);
	for (size_t i = 0; i < t->ncols; i++) {
		trib_buf_puts(&sql, i ? "," : "(");
		trib_sql_ident(&sql, t->cols[i].name);
	}
	for (size_t i = 0; absent && i < whole->ncols; i++)
		if (absent[i]) {
			trib_buf_putc(&sql, ',');
			trib_sql_ident(&sql, whole->cols[i].name);
		}
	for (size_t i = 0; i < t->ncols; i++)
		trib_buf_puts(&sql, i ? ",?" : ") VALUES(?");
	for (size_t i = 0; absent && i < whole->ncols; i++)
		trib_buf_puts(&sql, absent[i] ? ",NULL" : "");
	trib_buf_putc(&sql, ')');
	if (trib_buf_check(&sql, "SQL statement", err) < 0 || trib_db_prepare(db, trib_buf_str(&sql), &f->st, err) < 0)
		return trib_ctx(err, "table %s", t->name);
	return 0;
}

static void fill_release(struct fill *f)
{
	sqlite3_finalize(f->st);
	free(f->at);
	trib_buf_release(&f->text);
}

static int fill_joined(void *ctx, const struct trib_value *row, struct trib_err *err)
{
	struct fill *f = ctx;
	int r;

	if (bind_row(f, row, err) < 0)
		return -1;
	r = trib_db_step(f->db, f->st, err);
	(void)sqlite3_reset(f->st);
	return r < 0 ? trib_ctx(err, "filling table %s", f->t->name) : 0;
}

/* A table that has columns in both halves is filled from both at once. */
static bool is_joined(const struct trib_material *m, const struct trib_st_table *t)
{
	return !t->bag && m->other && trib_line_of(m->other->schema, t->name, false);
}

static int fill_table(const struct trib_material *m, sqlite3 *db, const struct trib_st_table *t, struct trib_err *err)
{
	const struct trib_table *whole = is_joined(m, t) ? trib_whole_table(m->whole, t->name) : NULL;
	struct fill f;
	int r = prepare_fill(m, db, whole ? trib_line_of(&m->whole->schema.text, t->name, false) : t, &f, err);

	if (r == 0)
		r = whole ? trib_join_table(m, whole, fill_joined, &f, err) : trib_mirror_table(m->mirror, m->node, t, fill_row, &f, err);
	fill_release(&f);
	return r;
}

/* ---- the rest ---- */

/* AUTOINCREMENT counters: at least what the manifest says, so that ids of deleted rows are not given again. */
static int set_sequence(sqlite3 *db, const struct trib_mf_sequence *q, struct trib_err *err)
{
	static const char *const sql[] = {
		"UPDATE sqlite_sequence SET seq=?2 WHERE name=?1 COLLATE NOCASE AND seq<?2",
		"INSERT INTO sqlite_sequence(name, seq) SELECT name, ?2 FROM sqlite_schema WHERE type='table' AND name=?1 COLLATE NOCASE"
		" AND NOT EXISTS(SELECT 1 FROM sqlite_sequence WHERE name=?1 COLLATE NOCASE)",
	};

	for (size_t i = 0; i < TRIB_COUNT(sql); i++) {
		TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;

		if (trib_db_prepare(db, sql[i], &st, err) < 0)
			return -1;
		if (sqlite3_bind_text(st, 1, q->table, -1, SQLITE_STATIC) != SQLITE_OK ||
		    sqlite3_bind_int64(st, 2, (int64_t)q->value) != SQLITE_OK)
			return trib_db_fail(err, db, "setting a counter");
		if (trib_db_step(db, st, err) < 0)
			return trib_ctx(err, "counter of table %s", q->table);
	}
	return 0;
}

static int set_sequences(const struct trib_material *m, sqlite3 *db, struct trib_err *err)
{
	int64_t have = 0;

	if (trib_db_int(db, "SELECT count(*) FROM sqlite_schema WHERE name='sqlite_sequence'", 0, &have, err) < 0)
		return -1;
	for (size_t i = 0; have && i < m->manifest->nsequences; i++)
		if (trib_material_wants(m, m->manifest->sequences[i].table) && set_sequence(db, &m->manifest->sequences[i], err) < 0)
			return -1;
	return 0;
}

/* Drops what was not asked for, one object at a time: `sql` gives type and name of the next one. */
static int drop_rest(const struct trib_material *m, sqlite3 *db, struct trib_err *err)
{
	static const char next[] = "SELECT type, name FROM sqlite_schema WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!' AND (type IN ('view','trigger')"
				   " OR (type='table' AND name<>?1 COLLATE NOCASE)) ORDER BY type='table', rowid LIMIT 1";

	for (;;) {
		TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(SQL_MAX);
		TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
		int r;

		if (trib_db_prepare(db, next, &st, err) < 0)
			return -1;
		if (sqlite3_bind_text(st, 1, m->table, -1, SQLITE_STATIC) != SQLITE_OK)
			return trib_db_fail(err, db, "binding a table name");
		r = trib_db_step(db, st, err);
		if (r <= 0)
			return r;
		const char *type = (const char *)sqlite3_column_text(st, 0), *name = (const char *)sqlite3_column_text(st, 1);
		trib_buf_puts(&sql, type && strcmp(type, "view") == 0 ? "DROP VIEW main." : type && strcmp(type, "trigger") == 0
			      ? "DROP TRIGGER main." : "DROP TABLE main.");
		trib_sql_ident(&sql, name ? name : "");
		(void)sqlite3_reset(st);
		if (trib_buf_check(&sql, "SQL statement", err) < 0 || trib_db_exec(db, trib_buf_str(&sql), err) < 0)
			return -1;
	}
}

/* What the private half has alone: whole tables, and rows without identity. */
static int fill_private(const struct trib_material *m, sqlite3 *db, struct trib_err *err)
{
	struct trib_material half = *m->other;

	half.whole = m->whole;
	half.table = m->table;
	for (size_t i = 0; i < half.schema->ntables; i++) {
		const struct trib_st_table *t = &half.schema->tables[i];

		if (trib_material_wants(m, t->name) && (t->bag || !trib_line_of(m->schema, t->name, false)) && fill_table(&half, db, t, err) < 0)
			return -1;
	}
	return set_sequences(&half, db, err);
}

static int fill_all(const struct trib_material *m, sqlite3 *db, struct trib_err *err)
{
	const struct trib_schematext *s = m->schema;

	if (trib_schema_run(db, m->whole->run, 't', m->stand_ins, err) < 0 || trib_db_exec(db, "BEGIN", err) < 0)
		return -1;
	for (size_t i = 0; i < s->ntables; i++)
		if (trib_material_wants(m, s->tables[i].name) && fill_table(m, db, &s->tables[i], err) < 0)
			return -1;
	if ((m->other && fill_private(m, db, err) < 0) || set_sequences(m, db, err) < 0 || trib_db_exec(db, "COMMIT", err) < 0)
		return -1;
	if (trib_schema_run(db, s->sql, 'r', m->stand_ins, err) < 0 || (m->table && drop_rest(m, db, err) < 0))
		return -1;
	if (m->unmet && trib_material_unmet(m, db, m->unmet, err) < 0)
		return -1;
	return pragma(db, "user_version", s->user_version, err) < 0 ? -1 : pragma(db, "application_id", s->application_id, err);
}

static int sync_file(const char *path, struct trib_err *err)
{
	TRIB_AUTO(trib_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fsync(fd) < 0)
		return trib_fail_errno(err, "making %s durable", path);
	return 0;
}

static int make(const struct trib_material *m, const char *path, struct trib_err *err)
{
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;

	if (open_file(path, &db, err) < 0 || set_up(db, m->schema, err) < 0)
		return -1;
	return fill_all(m, db, err);
}

int trib_materialise(const struct trib_material *m, const char *path, struct trib_lanes *ret_lanes, struct trib_err *err)
{
	/* Proven as it lies in the file, after SQLite has let go of it. */
	if (make(m, path, err) < 0 || sync_file(path, err) < 0)
		return -1;
	return trib_material_prove(m, path, ret_lanes, err);
}
