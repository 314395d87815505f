/* Reading mirrors: visits, comparisons and the lanes of one node. */
#include "core/replay/mirror.h"

#include "core/replay/measure.h"
#include "core/replay/shape.h"

#define SQL_MAX (TRIB_MIB * 4)

struct trib_mirror_cursor {
	sqlite3 *db;
	sqlite3_stmt *st; /* NULL: no mirror holds the table */
	struct trib_value *row;
	size_t ncol;
};

void trib_mirror_cursor_free(struct trib_mirror_cursor *c)
{
	if (!c)
		return;
	sqlite3_finalize(c->st);
	free(c->row);
	free(c);
}

/* Reads the rows of `node` in one mirror, in key order. */
static int prepare(sqlite3 *db, const char *node, const struct trib_shape *s, struct trib_mirror_cursor *c, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(SQL_MAX);

	c->row = calloc(s->ncol ? s->ncol : 1, sizeof(*c->row));
	c->ncol = s->ncol;
	if (!c->row)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for a row");
	trib_buf_puts(&sql, "SELECT ");
	for (size_t i = 0; i < s->ncol; i++) {
		trib_buf_puts(&sql, i ? "," : "");
		/* A column that the mirror never had holds NULL in every row. */
		if (s->city[i])
			trib_sql_ident(&sql, s->city[i]);
		else
			trib_buf_puts(&sql, "NULL");
	}
	trib_buf_puts(&sql, " FROM ");
	trib_sql_ident(&sql, s->mirror);
	trib_buf_puts(&sql, " WHERE \"_node\"=?1");
	if (trib_buf_check(&sql, "SQL statement", err) < 0 || trib_db_prepare(db, trib_buf_str(&sql), &c->st, err) < 0)
		return -1;
	if (sqlite3_bind_text(c->st, 1, node, -1, SQLITE_TRANSIENT) != SQLITE_OK)
		return trib_db_fail(err, db, "binding a node");
	return 0;
}

int trib_mirror_cursor_next(struct trib_mirror_cursor *c, const struct trib_value **ret, struct trib_err *err)
{
	int r = c->st ? trib_db_step(c->db, c->st, err) : 0;

	if (r != 1)
		return r;
	for (size_t i = 0; i < c->ncol; i++)
		trib_value_column(c->st, (int)i, &c->row[i]);
	*ret = c->row;
	return 1;
}

int trib_mirror_cursor_new(struct trib_mirror *m, const char *node, const struct trib_st_table *table, struct trib_mirror_cursor **ret,
			   struct trib_err *err)
{
	TRIB_AUTO(trib_shape) struct trib_shape s = {0};
	TRIB_AUTO(trib_mirror_cursor) struct trib_mirror_cursor *c = calloc(1, sizeof(*c));
	bool found = false;

	if (!c)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for reading a table");
	c->db = trib_mirror_db(m);
	if (trib_shape_resolve(c->db, table, false, &s, &found, err) < 0 || (found && prepare(c->db, node, &s, c, err) < 0))
		return -1;
	*ret = c;
	c = NULL;
	return 0;
}

/* Visits the rows of `node` in one mirror, in key order. */
static int visit(sqlite3 *db, const char *node, const struct trib_shape *s, trib_mirror_row fn, void *ctx, struct trib_err *err)
{
	TRIB_AUTO(trib_mirror_cursor) struct trib_mirror_cursor *c = calloc(1, sizeof(*c));
	struct trib_digest_cols cols = {.ncol = s->ncol, .names = (const char *const *)s->cols, .pk = s->pk, .bag = s->bag};
	const struct trib_value *row;
	int r;

	if (!c)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for reading a table");
	c->db = db;
	if (prepare(db, node, s, c, err) < 0)
		return -1;
	while ((r = trib_mirror_cursor_next(c, &row, err)) == 1)
		if (fn(ctx, s->name, s->mirror, &cols, row, err) < 0)
			return -1;
	return r;
}

int trib_mirror_table(struct trib_mirror *m, const char *node, const struct trib_st_table *table, trib_mirror_row fn, void *ctx,
		      struct trib_err *err)
{
	TRIB_AUTO(trib_shape) struct trib_shape s = {0};
	sqlite3 *db = trib_mirror_db(m);
	bool found = false;

	if (trib_shape_resolve(db, table, false, &s, &found, err) < 0)
		return -1;
	return found ? visit(db, node, &s, fn, ctx, err) : 0;
}

int trib_mirror_name(struct trib_mirror *m, const struct trib_st_table *table, char **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_shape) struct trib_shape s = {0};
	bool found = false;

	if (trib_shape_resolve(trib_mirror_db(m), table, false, &s, &found, err) < 0)
		return -1;
	*ret = NULL;
	if (found) {
		*ret = s.mirror;
		s.mirror = NULL;
	}
	return 0;
}

int trib_mirror_each(struct trib_mirror *m, const char *node, trib_mirror_row fn, void *ctx, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	sqlite3 *db = trib_mirror_db(m);
	int r;

	if (trib_db_prepare(db, "SELECT name, mirror FROM \"_t_mirror\" ORDER BY name, mirror", &st, err) < 0)
		return -1;
	while ((r = trib_db_step(db, st, err)) == 1) {
		TRIB_AUTO(trib_shape) struct trib_shape s = {0};
		const char *name = (const char *)sqlite3_column_text(st, 0), *mirror = (const char *)sqlite3_column_text(st, 1);

		if (trib_shape_load(db, name ? name : "", mirror ? mirror : "", &s, err) < 0 || visit(db, node, &s, fn, ctx, err) < 0)
			return -1;
	}
	return r;
}

struct scan {
	struct trib_digester *d;
	struct trib_lanes *lanes;
	struct trib_lanes_table *t; /* of the row before */
};

static int scan_row(void *ctx, const char *folded_table, const char *mirror, const struct trib_digest_cols *cols, const struct trib_value *row,
		    struct trib_err *err)
{
	struct scan *s = ctx;

	(void)mirror;
	if (!s->t || strcmp(s->t->name, folded_table) != 0)
		s->t = trib_lanes_get(s->lanes, folded_table);
	if (!s->t)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for the digest of %s", folded_table);
	return trib_digest_row(s->d, s->t, cols, row, 1, err);
}

int trib_mirror_scan(struct trib_mirror *m, const char *node, struct trib_digester *d, struct trib_lanes *ret, struct trib_err *err)
{
	struct trib_lanes lanes = {0};
	struct scan s = {.d = d, .lanes = &lanes};

	if (trib_mirror_each(m, node, scan_row, &s, err) < 0) {
		trib_lanes_release(&lanes);
		return trib_ctx(err, "scanning the mirrors of %s", node);
	}
	*ret = lanes;
	return 0;
}

/* ---- by two threads ---- */

struct halves {
	struct trib_measure *m;
	char mirror[2 * TRIB_NAME_MAX + 64]; /* of the row before; each has its own columns */
};

static int measure_row(void *ctx, const char *folded_table, const char *mirror, const struct trib_digest_cols *cols, const struct trib_value *row,
		       struct trib_err *err)
{
	struct halves *h = ctx;

	if (strcmp(h->mirror, mirror) != 0) {
		if (strlen(mirror) >= sizeof(h->mirror))
			return trib_fail(err, TRIB_E_LIMIT, "the name of mirror %s is too long", mirror);
		if (trib_measure_turn(h->m, err) < 0)
			return -1;
		memcpy(h->mirror, mirror, strlen(mirror) + 1);
	}
	return trib_measure_row(h->m, folded_table, cols, row, err);
}

/* Which row is named of several that have no digest depends on the threads: then nothing is known. */
static bool scan_halves(struct trib_mirror *m, const char *node, const uint8_t salt[TRIB_SALT_LEN], const char *app, struct trib_lanes *ret)
{
	TRIB_AUTO(trib_measure) struct trib_measure *measure = NULL;
	struct trib_err ignored;

	if (trib_measure_new(salt, app, &measure, &ignored) < 0)
		return false;
	struct halves h = {.m = measure};
	return trib_mirror_each(m, node, measure_row, &h, &ignored) == 0 && trib_measure_end(measure, ret, &ignored) == 0;
}

int trib_mirror_scan_by(struct trib_mirror *m, const char *node, const uint8_t salt[TRIB_SALT_LEN], const char *app, bool two_threads, struct trib_lanes *ret,
			struct trib_err *err)
{
	if (two_threads && scan_halves(m, node, salt, app, ret))
		return 0;
	TRIB_AUTO(trib_digester) struct trib_digester *d = trib_digester_new(salt, app);
	if (!d)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	return trib_mirror_scan(m, node, d, ret, err);
}
