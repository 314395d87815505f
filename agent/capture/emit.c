#include "agent/capture/emit.h"

#include "core/format/gzip.h"

enum { ADD_OLD, ADD_NEW, DELETES, UPDATES, INSERTS, BAG_ADD, BAG_SETTLE, BAG_LEFT, BAG_COUNT, BAG_DELETES, BAG_UPDATES, BAG_INSERTS, NSQL };

#define STORE_SQL_CACHE "PRAGMA cache_size=-65536" /* TRIB_LEFTOVER_MEM in KiB */
_Static_assert(TRIB_LEFTOVER_MEM == 65536 * TRIB_KIB, "the cache is the limit");

static const char *const store_sql[NSQL] = {
	[ADD_OLD] = "INSERT OR IGNORE INTO o(k, r) VALUES(?1, ?2)",
	[ADD_NEW] = "INSERT OR IGNORE INTO n(k, r) VALUES(?1, ?2)",
	[DELETES] = "SELECT o.r, NULL FROM o LEFT JOIN n ON n.k = o.k WHERE n.k IS NULL ORDER BY o.k",
	[UPDATES] = "SELECT o.r, n.r FROM o CROSS JOIN n ON n.k = o.k WHERE o.r <> n.r ORDER BY o.k",
	[INSERTS] = "SELECT NULL, n.r FROM n LEFT JOIN o ON o.k = n.k WHERE o.k IS NULL ORDER BY n.k",
	[BAG_ADD] = "INSERT INTO b(k, old, new, base) VALUES(?1, ?2, ?3, 0) ON CONFLICT(k) DO UPDATE SET old = old + ?2, new = new + ?3",
	[BAG_SETTLE] = "DELETE FROM b WHERE old = new",
	[BAG_LEFT] = "SELECT 1 FROM b LIMIT 1",
	[BAG_COUNT] = "UPDATE b SET base = base + 1 WHERE k = ?1",
	[BAG_DELETES] = "SELECT k, base, 0 FROM b WHERE base - old + new = 0 ORDER BY k",
	[BAG_UPDATES] = "SELECT k, base, base - old + new FROM b WHERE base > 0 AND base - old + new > 0 ORDER BY k",
	[BAG_INSERTS] = "SELECT k, 0, base - old + new FROM b WHERE base = 0 ORDER BY k",
};

struct trib_store {
	sqlite3 *db;
	sqlite3_stmt *st[NSQL];
};

void trib_store_free(struct trib_store *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < NSQL; i++)
		sqlite3_finalize(s->st[i]);
	sqlite3_close(s->db);
	free(s);
}

int trib_store_new(struct trib_store **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_store) struct trib_store *s = calloc(1, sizeof(*s));
	if (!s)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	/* The empty name: a file of its own in the temporary folder, made only when the cache is full and gone when closed. */
	if (sqlite3_open_v2("", &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL))
		return trib_db_fail(err, s->db, "opening temporary space");
	if (trib_db_exec(s->db, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; " STORE_SQL_CACHE "; BEGIN;"
			 "CREATE TABLE o(k BLOB PRIMARY KEY, r BLOB) WITHOUT ROWID; CREATE TABLE n(k BLOB PRIMARY KEY, r BLOB) WITHOUT ROWID;"
			 "CREATE TABLE b(k BLOB PRIMARY KEY, old INT, new INT, base INT) WITHOUT ROWID", err))
		return -1;
	for (size_t i = 0; i < NSQL; i++)
		if (trib_db_prepare(s->db, store_sql[i], &s->st[i], err))
			return -1;
	*ret = s;
	s = NULL;
	return 0;
}

int trib_store_reset(struct trib_store *s, struct trib_err *err)
{
	for (size_t i = 0; i < NSQL; i++)
		sqlite3_reset(s->st[i]);
	return trib_db_exec(s->db, "DELETE FROM o; DELETE FROM n; DELETE FROM b", err);
}

static int bind_blob(struct trib_store *s, sqlite3_stmt *st, int i, struct trib_span v, struct trib_err *err)
{
	if (sqlite3_bind_blob64(st, i, v.p ? v.p : (const void *)"", v.n, SQLITE_STATIC))
		return trib_db_fail(err, s->db, "comparing");
	return 0;
}

static int run(struct trib_store *s, sqlite3_stmt *st, struct trib_err *err)
{
	int rc = trib_db_step(s->db, st, err);
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return rc < 0 ? -1 : 0;
}

int trib_store_row(struct trib_store *s, enum trib_side side, struct trib_span key, struct trib_span row, bool *ret_twice, struct trib_err *err)
{
	sqlite3_stmt *st = s->st[side == TRIB_OLD ? ADD_OLD : ADD_NEW];
	if (bind_blob(s, st, 1, key, err) || bind_blob(s, st, 2, row, err) || run(s, st, err))
		return -1;
	*ret_twice = sqlite3_changes(s->db) == 0;
	return 0;
}

int trib_store_bag(struct trib_store *s, enum trib_side side, struct trib_span row, struct trib_err *err)
{
	sqlite3_stmt *st = s->st[BAG_ADD];
	if (bind_blob(s, st, 1, row, err) || sqlite3_bind_int(st, 2, side == TRIB_OLD) || sqlite3_bind_int(st, 3, side == TRIB_NEW))
		return trib_db_fail(err, s->db, "comparing");
	return run(s, st, err);
}

int trib_store_bag_settle(struct trib_store *s, bool *ret_left, struct trib_err *err)
{
	if (run(s, s->st[BAG_SETTLE], err))
		return -1;
	int rc = trib_db_step(s->db, s->st[BAG_LEFT], err);
	sqlite3_reset(s->st[BAG_LEFT]);
	if (rc < 0)
		return -1;
	*ret_left = rc == 1;
	return 0;
}

int trib_store_bag_count(struct trib_store *s, struct trib_span row, struct trib_err *err)
{
	return bind_blob(s, s->st[BAG_COUNT], 1, row, err) ? -1 : run(s, s->st[BAG_COUNT], err);
}

/* ---- writing ---- */

struct writer {
	struct trib_emit *e;
	const struct trib_emit_table *t;
	bool header;                    /* of this table, in the part being filled */
	struct trib_value *old, *new;   /* ncol each */
};

static int new_part(struct trib_emit *e, struct trib_err *err)
{
	struct trib_capture *c = e->ret;
	if (c->nparts >= TRIB_PARTS_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "the capture needs more than %d parts", TRIB_PARTS_MAX);
	struct trib_part *p = reallocarray(c->parts, c->nparts + 1, sizeof(*p));
	if (!p)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	c->parts = p;
	e->cur = &p[c->nparts++];
	*e->cur = (struct trib_part){.schema = TRIB_BUF(TRIB_SCHEMA_MAX), .changeset = TRIB_BUF(TRIB_CHANGESET_RAW_MAX)};
	e->gz = e->gz_at = 0;
	trib_buf_put_span(&e->cur->schema, e->schema);
	return trib_buf_check(&e->cur->schema, "schema.sql", err);
}

int trib_emit_empty(struct trib_emit *e, struct trib_err *err) { return new_part(e, err); }

#define GZ_STEP (8 * TRIB_MIB)

/* Compresses what came since the last look, to guess the whole. */
static int guess_gz(struct trib_emit *e, struct trib_err *err)
{
	if (e->cur->changeset.len - e->gz_at < GZ_STEP)
		return 0;
	TRIB_AUTO(trib_buf) struct trib_buf gz = TRIB_BUF(TRIB_CHANGESET_GZ_MAX);
	if (trib_gzip(trib_span(e->cur->changeset.p + e->gz_at, e->cur->changeset.len - e->gz_at), &gz, err))
		return -1;
	e->gz += gz.len;
	e->gz_at = e->cur->changeset.len;
	return 0;
}

/* Before each change: a part to write to, and the table's header in it. */
static int ready(struct writer *w, struct trib_err *err)
{
	struct trib_emit *e = w->e;
	if (e->cur && guess_gz(e, err))
		return -1;
	if (!e->cur || e->cur->changeset.len >= TRIB_PART_RAW_TARGET || e->gz >= TRIB_PART_GZ_TARGET) {
		if (new_part(e, err))
			return -1;
		w->header = false;
	}
	if (!w->header)
		trib_cs_put_table(&e->cur->changeset, w->t->name, w->t->ncol, w->t->pk);
	w->header = true;
	return 0;
}

static int decode(sqlite3_stmt *st, int col, struct trib_value *v, size_t n, struct trib_err *err)
{
	const void *p = sqlite3_column_blob(st, col);
	struct trib_reader r = trib_reader(trib_span(p, (size_t)sqlite3_column_bytes(st, col)));
	for (size_t i = 0; i < n; i++)
		if (trib_value_take(&r, false, &v[i], err))
			return trib_ctx(err, "temporary space");
	return r.rest.n ? trib_fail(err, TRIB_E_DB, "temporary space gave back another row") : 0;
}

static int write_row(struct writer *w, sqlite3_stmt *st, enum trib_op op, bool bag, struct trib_err *err)
{
	const struct trib_emit_table *t = w->t;
	size_t n = bag ? t->ncol - 1 : t->ncol;
	struct trib_buf *b;
	if ((op != TRIB_INSERT && decode(st, 0, w->old, n, err)) ||
	    (op != TRIB_DELETE && decode(st, bag ? 0 : 1, w->new, n, err)) || ready(w, err))
		return -1;
	if (bag) {
		w->old[n] = (struct trib_value){.type = TRIB_INT, .i = sqlite3_column_int64(st, 1)};
		w->new[n] = (struct trib_value){.type = TRIB_INT, .i = sqlite3_column_int64(st, 2)};
	}
	b = &w->e->cur->changeset;
	if (op == TRIB_DELETE)
		trib_cs_put_delete(b, t->ncol, w->old);
	else if (op == TRIB_INSERT)
		trib_cs_put_insert(b, t->ncol, w->new);
	else if (!trib_cs_put_update(b, t->ncol, t->pk, w->old, w->new))
		return trib_fail(err, TRIB_E_DB, "an update that changes nothing");
	w->e->ret->rows_found++;
	return trib_buf_check(b, "changeset", err);
}

static int write_all(struct writer *w, struct trib_store *s, int sql, enum trib_op op, bool bag, struct trib_err *err)
{
	sqlite3_stmt *st = s->st[sql];
	int rc = 0, row;
	/* A bag's count is in columns 1 and 2, and its row is the key in column 0 on both sides. */
	while (!rc && (row = trib_db_step(s->db, st, err)) != 0)
		rc = row < 0 || write_row(w, st, op, bag, err) ? -1 : 0;
	sqlite3_reset(st);
	return rc;
}

int trib_emit_store(struct trib_emit *e, struct trib_store *s, const struct trib_emit_table *t, bool bag, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) struct trib_value *old = calloc(t->ncol, sizeof(*old)), *new_row = NULL;
	struct writer w = {.e = e, .t = t, .old = old, .new = new_row = calloc(t->ncol, sizeof(*new_row))};
	if (!old || !new_row)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (write_all(&w, s, bag ? BAG_DELETES : DELETES, TRIB_DELETE, bag, err) ||
	    write_all(&w, s, bag ? BAG_UPDATES : UPDATES, TRIB_UPDATE, bag, err))
		return -1;
	return write_all(&w, s, bag ? BAG_INSERTS : INSERTS, TRIB_INSERT, bag, err);
}
