/* The lanes of an ordinary database file, as capture sees it. */
#include "core/replay/replay.h"

#include "core/replay/measure.h"
#include "core/store/schema.h"

#define SQL_MAX (TRIB_MIB * 4)

/* Equal rows of a bag are counted in a temporary database, by their canonical bytes: memory stays bounded. */
struct bag {
	sqlite3 *db;
	sqlite3_stmt *add, *each;
};

struct scan {
	sqlite3 *db;
	trib_mirror_row fn;
	void *ctx;
	const struct trib_table *t;
	struct trib_buf bag_name;
	bool utf16;
	struct trib_digest_cols cols, bag_cols;
	struct trib_value *row;
	struct trib_buf text; /* converted text of one row */
	size_t *text_at;      /* where each column's text begins in it */
	struct trib_buf key;
	struct bag bag;
	bool bag_used;
};

static void bag_close(struct bag *b)
{
	sqlite3_finalize(b->add);
	sqlite3_finalize(b->each);
	sqlite3_close_v2(b->db);
	*b = (struct bag){0};
}

static int bag_open(struct bag *b, struct trib_err *err)
{
	/* The empty name: a private temporary file that SQLite removes. */
	if (sqlite3_open_v2("", &b->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK)
		return trib_db_fail(err, b->db, "opening a temporary database");
	if (trib_db_exec(b->db, "PRAGMA journal_mode=OFF", err) < 0 || trib_db_exec(b->db, "PRAGMA synchronous=OFF", err) < 0 ||
	    trib_db_exec(b->db, "CREATE TABLE bag(key BLOB PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID", err) < 0 ||
	    trib_db_exec(b->db, "BEGIN", err) < 0)
		return -1;
	if (trib_db_prepare(b->db, "INSERT INTO bag VALUES(?1, 1) ON CONFLICT DO UPDATE SET n = n + 1", &b->add, err) < 0)
		return -1;
	return trib_db_prepare(b->db, "SELECT key, n FROM bag ORDER BY key", &b->each, err);
}

static int bag_add(struct scan *s, struct trib_err *err)
{
	struct bag *b = &s->bag;
	int r;

	trib_buf_reset(&s->key);
	for (size_t i = 0; i < s->t->ncols; i++)
		trib_value_put(&s->key, &s->row[i]);
	if (trib_buf_check(&s->key, "row", err) < 0 || (!b->db && bag_open(b, err) < 0))
		return -1;
	if (sqlite3_bind_blob64(b->add, 1, s->key.p, s->key.len, SQLITE_STATIC) != SQLITE_OK)
		return trib_db_fail(err, b->db, "counting equal rows");
	r = trib_db_step(b->db, b->add, err);
	(void)sqlite3_reset(b->add);
	s->bag_used = true;
	return r < 0 ? -1 : 0;
}

static int bag_name(struct scan *s, struct trib_err *err)
{
	trib_buf_reset(&s->bag_name);
	trib_buf_puts(&s->bag_name, TRIB_BAG_PREFIX);
	trib_buf_puts(&s->bag_name, s->t->folded);
	return trib_buf_check(&s->bag_name, "table name", err);
}

/* Visits what was counted and empties the temporary table. */
static int bag_flush(struct scan *s, struct trib_err *err)
{
	int r;

	if (!s->bag_used)
		return 0;
	if (bag_name(s, err) < 0)
		return -1;
	while ((r = trib_db_step(s->bag.db, s->bag.each, err)) == 1) {
		struct trib_reader in = trib_reader(trib_span(sqlite3_column_blob(s->bag.each, 0), (size_t)sqlite3_column_bytes(s->bag.each, 0)));

		for (size_t i = 0; i < s->t->ncols; i++)
			if (trib_value_take(&in, false, &s->row[i], err) < 0)
				return -1;
		s->row[s->t->ncols] = (struct trib_value){.type = TRIB_INT, .i = sqlite3_column_int64(s->bag.each, 1)};
		if (s->fn(s->ctx, trib_buf_str(&s->bag_name), s->t->name, &s->bag_cols, s->row, err) < 0)
			return -1;
	}
	(void)sqlite3_reset(s->bag.each);
	s->bag_used = false;
	return r < 0 ? -1 : trib_db_exec(s->bag.db, "DELETE FROM bag", err);
}

static size_t encoded(const struct trib_value *v)
{
	size_t n = 1;

	if (v->type == TRIB_INT || v->type == TRIB_REAL)
		return 9;
	if (v->type != TRIB_TEXT && v->type != TRIB_BLOB)
		return 1;
	for (size_t len = v->s.n; len > 0x7f; len >>= 7)
		n++;
	return n + 1 + v->s.n;
}

static int read_row(struct scan *s, sqlite3_stmt *st, bool *ret_null_key, bool *ret_large, struct trib_err *err)
{
	size_t size = 0;

	*ret_null_key = !s->t->keyed;
	trib_buf_reset(&s->text);
	for (size_t i = 0; i < s->t->ncols; i++) {
		struct trib_value *v = &s->row[i];

		s->text_at[i] = s->text.len;
		if (!s->utf16)
			trib_value_column(st, (int)i, v);
		else if (trib_value_column16(st, (int)i, &s->text, v, err) < 0)
			return -1;
		if (v->type == TRIB_UNDEF)
			return trib_fail(err, TRIB_E_NOMEM, "out of memory for a row of %s", s->t->name);
		if (s->t->cols[i].pk && v->type == TRIB_NULL)
			*ret_null_key = true;
		size += encoded(v);
	}
	/* The buffer may have moved while it grew. */
	for (size_t i = 0; s->utf16 && i < s->t->ncols; i++)
		if (s->row[i].type == TRIB_TEXT)
			s->row[i].s.p = s->text.p + s->text_at[i];
	*ret_large = size + (*ret_null_key ? 9 : 0) > TRIB_ROW_MAX;
	return 0;
}

static int scan_rows(struct scan *s, sqlite3_stmt *st, struct trib_err *err)
{
	int r;

	if (s->fn(s->ctx, s->t->folded, s->t->name, &s->cols, NULL, err) < 0)
		return -1;
	while ((r = trib_db_step(s->db, st, err)) == 1) {
		bool null_key = false, large = false;

		if (read_row(s, st, &null_key, &large, err) < 0)
			return -1;
		if (large)
			continue;
		if (null_key) {
			if (bag_add(s, err) < 0)
				return -1;
			continue;
		}
		if (s->fn(s->ctx, s->t->folded, s->t->name, &s->cols, s->row, err) < 0)
			return -1;
	}
	return r < 0 ? -1 : bag_flush(s, err);
}

static int scan_columns(struct scan *s, const char **names, uint8_t *pk, uint8_t *bag_pk, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(SQL_MAX), folded = TRIB_BUF(SQL_MAX);
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	const struct trib_table *t = s->t;

	trib_buf_puts(&sql, "SELECT ");
	for (size_t i = 0; i < t->ncols; i++) {
		trib_buf_puts(&sql, i ? "," : "");
		trib_sql_ident(&sql, t->cols[i].name);
		trib_buf_puts(&folded, t->cols[i].name);
		trib_buf_putc(&folded, 0);
		pk[i] = (uint8_t)t->cols[i].pk;
		bag_pk[i] = 1;
	}
	trib_buf_puts(&sql, " FROM main.");
	trib_sql_ident(&sql, t->name);
	/* In the order of the b-tree: an index that covers the columns must not be read instead. */
	trib_buf_puts(&sql, " NOT INDEXED");
	if (trib_buf_check(&sql, "SQL statement", err) < 0 || trib_buf_check(&folded, "column names", err) < 0)
		return -1;
	trib_fold(folded.p, folded.len);
	for (size_t i = 0, at = 0; i < t->ncols; i++) {
		names[i] = (const char *)folded.p + at;
		at += strlen(names[i]) + 1;
	}
	names[t->ncols] = TRIB_BAG_COUNT;
	s->cols = (struct trib_digest_cols){.ncol = t->ncols, .names = names, .pk = pk};
	s->bag_cols = (struct trib_digest_cols){.ncol = t->ncols + 1, .names = names, .pk = bag_pk, .bag = true};
	if (trib_db_prepare(s->db, trib_buf_str(&sql), &st, err) < 0)
		return -1;
	return scan_rows(s, st, err);
}

static int scan_table(struct scan *s, struct trib_err *err)
{
	size_t n = s->t->ncols + 1;
	TRIB_AUTO(trib_mem) const char **names = calloc(n, sizeof(*names));
	TRIB_AUTO(trib_mem) uint8_t *pk = calloc(n, 2);
	TRIB_AUTO(trib_mem) struct trib_value *row = calloc(n, sizeof(*row));

	TRIB_AUTO(trib_mem) size_t *text_at = calloc(n, sizeof(*text_at));

	if (!names || !pk || !row || !text_at)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for table %s", s->t->name);
	s->row = row;
	s->text_at = text_at;
	if (scan_columns(s, names, pk, pk + n, err) < 0)
		return trib_ctx(err, "reading table %s", s->t->name);
	return 0;
}

static int scan_all(struct scan *s, const struct trib_schema *schema, struct trib_err *err)
{
	s->utf16 = strcmp(schema->text.encoding, "UTF-8") != 0;
	for (size_t i = 0; i < schema->ntables; i++) {
		s->t = &schema->tables[i];
		if (scan_table(s, err) < 0)
			return -1;
	}
	return 0;
}

int trib_scan_each(sqlite3 *db, trib_mirror_row fn, void *ctx, struct trib_err *err)
{
	TRIB_AUTO(trib_schema) struct trib_schema schema = {0};
	struct scan s = {.db = db, .fn = fn, .ctx = ctx, .text = TRIB_BUF(TRIB_CHANGESET_RAW_MAX), .key = TRIB_BUF(TRIB_CHANGESET_RAW_MAX),
			 .bag_name = TRIB_BUF(SQL_MAX)};
	int r;

	if (trib_schema_read(db, &schema, err) < 0)
		return -1;
	r = scan_all(&s, &schema, err);
	bag_close(&s.bag);
	trib_buf_release(&s.text);
	trib_buf_release(&s.key);
	trib_buf_release(&s.bag_name);
	return r;
}

static int measure_row(void *ctx, const char *folded_table, const char *table, const struct trib_digest_cols *cols, const struct trib_value *row,
		       struct trib_err *err)
{
	(void)table;
	return trib_measure_row(ctx, folded_table, cols, row, err);
}

int trib_scan_database(sqlite3 *db, const uint8_t salt[TRIB_SALT_LEN], const char *app, struct trib_lanes *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_measure) struct trib_measure *m = NULL;

	if (trib_measure_new(salt, app, &m, err) < 0 || trib_scan_each(db, measure_row, m, err) < 0)
		return -1;
	return trib_measure_end(m, ret, err);
}
