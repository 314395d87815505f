#include "core/replay/halves.h"

#include "core/replay/measure.h"

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

static bool same_name(const char *a, const char *b) { return trib_fold_cmp(trib_span_str(a), trib_span_str(b)) == 0; }

const struct trib_st_table *trib_line_of(const struct trib_schematext *s, const char *name, bool bag)
{
	for (size_t i = 0; i < s->ntables; i++)
		if (s->tables[i].bag == bag && same_name(s->tables[i].name, name))
			return &s->tables[i];
	return NULL;
}

static int column_of(const struct trib_st_table *line, const char *name)
{
	for (size_t i = 0; line && i < line->ncols; i++)
		if (same_name(line->cols[i].name, name))
			return (int)i;
	return -1;
}

/* ---- the whole ---- */

void trib_whole_release(struct trib_whole *w)
{
	for (size_t i = 0; w->absent && i < w->schema.ntables; i++)
		free(w->absent[i]);
	free(w->absent);
	free(w->table);
	trib_buf_release(&w->sql);
	trib_schema_release(&w->schema);
	*w = (struct trib_whole){0};
}

const struct trib_table *trib_whole_table(const struct trib_whole *w, const char *name)
{
	for (size_t i = 0; i < w->schema.ntables; i++)
		if (same_name(w->schema.tables[i].name, name))
			return &w->schema.tables[i];
	return NULL;
}

/* Has one of the two histories this column, for the rows with a key or without one? */
static bool present(const struct trib_material *m, const struct trib_table *t, const char *column)
{
	const struct trib_material *halves[] = {m, m->other};

	for (size_t i = 0; i < TRIB_COUNT(halves); i++)
		if (halves[i] && column_of(trib_line_of(halves[i]->schema, t->name, !t->keyed), column) >= 0)
			return true;
	return false;
}

static int find_absent(const struct trib_material *m, struct trib_whole *w, struct trib_err *err)
{
	w->absent = calloc(w->schema.ntables + 1, sizeof(*w->absent));
	w->table = calloc(w->schema.ntables + 1, sizeof(*w->table));
	if (!w->absent || !w->table)
		return oom(err);
	for (size_t i = 0; i < w->schema.ntables; i++) {
		const struct trib_table *t = &w->schema.tables[i];
		size_t n = 0;

		if (!(w->absent[i] = calloc(t->ncols + 1, sizeof(bool))))
			return oom(err);
		for (size_t c = 0; c < t->ncols; c++) {
			w->absent[i][c] = !present(m, t, t->cols[c].name);
			n += w->absent[i][c];
		}
		w->table[i] = n == t->ncols;
		w->any = w->any || n;
	}
	return 0;
}

/* A table with absent columns: everything that is not surely there may be NULL, generated columns included. */
static bool missing(void *ctx, struct trib_span table, struct trib_span column)
{
	const struct trib_whole *w = ctx;

	for (size_t i = 0; i < w->schema.ntables; i++) {
		const struct trib_table *t = &w->schema.tables[i];
		bool some = false, here = false;

		if (w->table[i] || trib_fold_cmp(trib_span_str(t->name), table) != 0)
			continue;
		for (size_t c = 0; c < t->ncols; c++) {
			some = some || w->absent[i][c];
			here = here || (!w->absent[i][c] && trib_fold_cmp(trib_span_str(t->cols[c].name), column) == 0);
		}
		return some && !here;
	}
	return false;
}

int trib_whole_make(const struct trib_material *m, struct trib_whole *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_whole) struct trib_whole w = {.sql = TRIB_BUF(TRIB_SCHEMA_MAX), .run = m->schema->sql};

	if (trib_schema_of_sql(m->schema->sql, &w.schema, err) < 0 || find_absent(m, &w, err) < 0)
		return -1;
	if (w.any && trib_schema_relax(m->schema->sql, missing, &w, &w.sql, err) < 0)
		return -1;
	if (w.any)
		w.run = trib_buf_span(&w.sql);
	*ret = w;
	w = (struct trib_whole){0};
	return 0;
}

/* Not there for a reason of its own, which the manifest tells. */
static bool is_left_out(const struct trib_manifest *m, const char *table)
{
	for (size_t i = 0; i < m->nleft_out; i++)
		if (!m->left_out[i].count && trib_fold_cmp(trib_span_str(m->left_out[i].name), trib_span_str(table)) == 0)
			return true;
	return false;
}

void trib_whole_list(const struct trib_whole *w, const struct trib_material *m, struct trib_buf *b)
{
	for (size_t i = 0; i < w->schema.ntables; i++) {
		const struct trib_table *t = &w->schema.tables[i];

		if (!trib_material_wants(m, t->name) || is_left_out(m->manifest, t->name))
			continue;
		if (w->table[i])
			trib_buf_printf(b, "%s private\n", t->name);
		for (size_t c = 0; !w->table[i] && c < t->ncols; c++)
			if (w->absent[i][c])
				trib_buf_printf(b, "%s.%s private\n", t->name, t->cols[c].name);
	}
}

/* ---- side by side ---- */

struct side {
	struct trib_mirror_cursor *cursor;
	const struct trib_st_table *line;
	const struct trib_value *row;
	struct trib_buf key;
	uint8_t pk[TRIB_COLUMNS_MAX];
	int map[TRIB_COLUMNS_MAX]; /* of the whole table's columns to those of this half */
};

static int side_open(struct side *s, const struct trib_material *m, const struct trib_table *t, struct trib_err *err)
{
	s->line = trib_line_of(m->schema, t->name, false);
	s->key = TRIB_BUF(TRIB_ROW_MAX + 16);
	for (size_t i = 0; i < s->line->ncols; i++)
		s->pk[i] = (uint8_t)s->line->cols[i].pk;
	for (size_t i = 0; i < t->ncols; i++)
		s->map[i] = column_of(s->line, t->cols[i].name);
	return trib_mirror_cursor_new(m->mirror, m->node, s->line, &s->cursor, err);
}

static int side_next(struct side *s, struct trib_err *err)
{
	int r = trib_mirror_cursor_next(s->cursor, &s->row, err);

	if (r != 1)
		return r;
	trib_buf_reset(&s->key);
	trib_key_put(&s->key, s->line->ncols, s->pk, s->row);
	return trib_buf_check(&s->key, "key", err) < 0 ? -1 : 1;
}

static void side_close(struct side *s)
{
	trib_mirror_cursor_free(s->cursor);
	trib_buf_release(&s->key);
}

static int join(struct side s[2], const struct trib_table *t, struct trib_value *row, trib_joined_row fn, void *ctx, struct trib_err *err)
{
	for (;;) {
		int a = side_next(&s[0], err), b = a < 0 ? -1 : side_next(&s[1], err);

		if (a < 0 || b < 0)
			return -1;
		if (a != b || (a && !trib_span_eq(trib_buf_span(&s[0].key), trib_buf_span(&s[1].key))))
			return trib_fail(err, TRIB_E_VERIFY, "table %s: the public and the private history do not have the same rows", t->name);
		if (!a)
			return 0;
		for (size_t i = 0; i < t->ncols; i++)
			row[i] = s[0].map[i] >= 0 ? s[0].row[s[0].map[i]] : s[1].map[i] >= 0 ? s[1].row[s[1].map[i]] : (struct trib_value){.type = TRIB_NULL};
		if (fn(ctx, row, err) < 0)
			return -1;
	}
}

int trib_join_table(const struct trib_material *m, const struct trib_table *t, trib_joined_row fn, void *ctx, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) struct side *s = calloc(2, sizeof(*s));
	TRIB_AUTO(trib_mem) struct trib_value *row = calloc(t->ncols + 1, sizeof(*row));

	if (!s || !row)
		return oom(err);
	int r = side_open(&s[0], m, t, err) < 0 || side_open(&s[1], m->other, t, err) < 0 ? -1 : join(s, t, row, fn, ctx, err);
	side_close(&s[0]);
	side_close(&s[1]);
	return r;
}

/* ---- measuring ---- */

struct lens { /* one half while one table is read */
	struct trib_measure *m;
	const struct trib_schematext *lines;
	const struct trib_st_table *line;
	struct trib_digest_cols cols;
	const char *names[TRIB_COLUMNS_MAX + 1];
	uint8_t pk[TRIB_COLUMNS_MAX + 1];
	size_t from[TRIB_COLUMNS_MAX + 1];
	struct trib_value row[TRIB_COLUMNS_MAX + 1];
};

struct lenses {
	struct lens *l;
	size_t n;
	struct trib_buf name; /* of the table at hand */
};

static void focus(struct lens *l, const char *name, const struct trib_digest_cols *cols)
{
	size_t n = 0;

	l->line = trib_schematext_find(l->lines, trib_span_str(name));
	for (size_t i = 0; l->line && i < cols->ncol; i++) {
		if (column_of(l->line, cols->names[i]) < 0 && !(cols->bag && i + 1 == cols->ncol))
			continue;
		l->names[n] = cols->names[i];
		l->pk[n] = cols->pk[i];
		l->from[n++] = i;
	}
	l->cols = (struct trib_digest_cols){.ncol = n, .names = l->names, .pk = l->pk, .bag = cols->bag};
}

static int see(struct lens *l, const char *name, const struct trib_value *row, struct trib_err *err)
{
	for (size_t i = 0; row && i < l->cols.ncol; i++)
		l->row[i] = row[l->from[i]];
	return trib_measure_row(l->m, name, &l->cols, row ? l->row : NULL, err);
}

static int see_row(void *ctx, const char *name, const char *table, const struct trib_digest_cols *cols, const struct trib_value *row, struct trib_err *err)
{
	struct lenses *all = ctx;
	bool known = false;

	(void)table;
	/* Every table is announced by a call without a row; its bag follows it under a name of its own. */
	if (!row || strcmp(trib_buf_str(&all->name), name) != 0) {
		trib_buf_reset(&all->name);
		trib_buf_puts(&all->name, name);
		if (trib_buf_check(&all->name, "table name", err) < 0)
			return -1;
		for (size_t i = 0; i < all->n; i++)
			focus(&all->l[i], name, cols);
	}
	for (size_t i = 0; i < all->n; i++) {
		if (!all->l[i].line)
			continue;
		known = true;
		if (see(&all->l[i], name, row, err) < 0)
			return -1;
	}
	return known || !row ? 0 : trib_fail(err, TRIB_E_VERIFY, "the file has rows in table %s that the history does not know", name);
}

int trib_scan_halves(sqlite3 *db, const char *app, struct trib_scan_half *halves, size_t n, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) struct lens *l = calloc(n, sizeof(*l));
	struct lenses all = {.l = l, .n = n, .name = TRIB_BUF(TRIB_MIB)};
	int r = 0;

	if (!l)
		return oom(err);
	for (size_t i = 0; i < n && r == 0; i++) {
		l[i].lines = halves[i].lines;
		r = trib_measure_new(halves[i].salt, app, &l[i].m, err);
	}
	if (r == 0)
		r = trib_scan_each(db, see_row, &all, err);
	for (size_t i = 0; i < n; i++) {
		if (r == 0)
			r = trib_measure_end(l[i].m, &halves[i].lanes, err);
		trib_measure_free(l[i].m);
	}
	trib_buf_release(&all.name);
	for (size_t i = 0; i < n && r < 0; i++)
		trib_lanes_release(&halves[i].lanes);
	return r;
}
