/* full.c: from two states to parts, for all engines, and the engine that compares everything (D4.3). Both states are streamed in one order and rows
 * that are equal at the same place cancel; what is left is paired by key bytes in the store. The order only saves work: no result depends on it. */
#include "agent/capture/compare.h"
#include "core/base/i18n.h"

enum what {
	WIPE,  /* old rows go: dropped table, changed key (part one) */
	BLANK, /* cells of dropped columns become NULL (part one) */
	MATCH, /* old and new rows are compared (part two) */
	FILL,  /* new rows come (part two) */
};

struct unit { /* one table of the changeset */
	enum what what;
	bool bag;
	const struct trib_table *old, *new; /* as `what` needs */
	struct trib_buf name;               /* folded name in the changeset */
};

struct full {
	sqlite3 *db[2];
	const struct trib_schema *s[2];
	struct trib_store *store;
	struct trib_emit emit;
	struct trib_capture *ret;
	struct trib_emit_table head;
	struct trib_value row[TRIB_COLUMNS_MAX];
	int map[TRIB_COLUMNS_MAX];   /* of the table's columns to those of the other state */
	struct trib_buf key_bytes, row_bytes;
	const struct trib_matcher *matcher; /* NULL: everything is read */
	struct trib_spent spent[2];
};

struct trib_gather {
	struct full *f;
	const struct unit *u;
};

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

/* ---- what to do ---- */

static int column_of(const struct trib_table *t, const char *name)
{
	for (size_t i = 0; i < t->ncols; i++)
		if (trib_fold_cmp(trib_span_str(t->cols[i].name), trib_span_str(name)) == 0)
			return (int)i;
	return -1;
}

static bool same_key(const struct trib_table *a, const struct trib_table *b)
{
	if (a->npk != b->npk || a->keyed != b->keyed)
		return false;
	for (size_t i = 0; i < a->ncols; i++) {
		int j = a->cols[i].pk ? column_of(b, a->cols[i].name) : 0;
		if (a->cols[i].pk && (j < 0 || b->cols[j].pk != a->cols[i].pk))
			return false;
	}
	return true;
}

static bool may_have_bag(const struct trib_table *t) { return !t->no_bag && (!t->keyed || (!t->rowid_key && !t->without_rowid)); }
static bool has_rows(const struct trib_table *t) { return t->keyed && !t->no_rows; }

/* A bag's key is all columns in their order, so any change of them makes another bag. */
static bool same_bag(const struct trib_table *a, const struct trib_table *b)
{
	bool same = a->ncols == b->ncols && same_key(a, b) && may_have_bag(a) && may_have_bag(b);
	for (size_t i = 0; same && i < a->ncols; i++)
		same = trib_fold_cmp(trib_span_str(a->cols[i].name), trib_span_str(b->cols[i].name)) == 0;
	return same;
}

static bool drops_column(const struct trib_table *a, const struct trib_table *b)
{
	for (size_t i = 0; i < a->ncols; i++)
		if (column_of(b, a->cols[i].name) < 0)
			return true;
	return false;
}

struct plan {
	struct unit *units;
	size_t n;
};

static void plan_release(struct plan *p)
{
	for (size_t i = 0; i < p->n; i++)
		trib_buf_release(&p->units[i].name);
	free(p->units);
	*p = (struct plan){0};
}
static void plan_cleanup(struct plan *p) { plan_release(p); }

static int add_unit(struct plan *p, enum what what, bool bag, const struct trib_table *o, const struct trib_table *n, struct trib_err *err)
{
	struct unit *u = reallocarray(p->units, p->n + 1, sizeof(*u));
	if (!u)
		return oom(err);
	p->units = u;
	u += p->n++;
	*u = (struct unit){what, bag, o, n, TRIB_BUF(TRIB_NAME_MAX + sizeof(TRIB_BAG_PREFIX))};
	trib_buf_puts(&u->name, bag ? TRIB_BAG_PREFIX : "");
	trib_buf_puts(&u->name, n ? n->folded : o->folded);
	return trib_buf_check(&u->name, "table name", err);
}

static int by_name(const void *a, const void *b)
{
	const struct unit *x = a, *y = b;
	return trib_span_cmp(trib_buf_span(&x->name), trib_buf_span(&y->name));
}

/* Part one, under the old schema: what the new one has no place for. */
static int plan_one(const struct full *f, struct plan *p, struct trib_err *err)
{
	for (size_t i = 0; i < f->s[TRIB_OLD]->ntables; i++) {
		const struct trib_table *o = &f->s[TRIB_OLD]->tables[i], *n = trib_schema_find(f->s[TRIB_NEW], o->folded);
		bool same = n && same_key(o, n);
		if (has_rows(o) && !same && add_unit(p, WIPE, false, o, NULL, err))
			return -1;
		if (has_rows(o) && same && drops_column(o, n) && add_unit(p, BLANK, false, o, n, err))
			return -1;
		if (may_have_bag(o) && !(n && same_bag(o, n)) && add_unit(p, WIPE, true, o, NULL, err))
			return -1;
	}
	if (p->n)
		qsort(p->units, p->n, sizeof(*p->units), by_name);
	return 0;
}

static int plan_two(const struct full *f, struct plan *p, struct trib_err *err)
{
	for (size_t i = 0; i < f->s[TRIB_NEW]->ntables; i++) {
		const struct trib_table *n = &f->s[TRIB_NEW]->tables[i], *o = trib_schema_find(f->s[TRIB_OLD], n->folded);
		bool same = o && same_key(o, n), bag = o && same_bag(o, n);
		if (has_rows(n) && add_unit(p, same ? MATCH : FILL, false, same ? o : NULL, n, err))
			return -1;
		if (may_have_bag(n) && add_unit(p, bag ? MATCH : FILL, true, bag ? o : NULL, n, err))
			return -1;
	}
	if (p->n)
		qsort(p->units, p->n, sizeof(*p->units), by_name);
	return 0;
}

/* ---- gathering one table ---- */

static int count_left_out(struct trib_capture *c, const char *table, const char *reason, struct trib_err *err)
{
	for (size_t i = 0; i < c->nleft_out; i++)
		if (strcmp(c->left_out[i].name, table) == 0 && strcmp(c->left_out[i].reason, reason) == 0) {
			c->left_out[i].count++;
			return 0;
		}
	struct trib_mf_left_out *grown = reallocarray(c->left_out, c->nleft_out + 1, sizeof(*grown));
	if (!grown)
		return oom(err);
	c->left_out = grown;
	struct trib_mf_left_out lo = {.name = strdup(table), .count = 1};
	if (!lo.name)
		return oom(err);
	(void)snprintf(lo.reason, sizeof(lo.reason), "%s", reason);
	c->left_out[c->nleft_out++] = lo;
	return 0;
}

/* One row in the layout of the table that is written. */
static int put(struct full *f, const struct unit *u, enum trib_side side, const struct trib_table *t, const struct trib_value *v, bool *ret_twice,
	       struct trib_err *err)
{
	*ret_twice = false;
	trib_buf_reset(&f->row_bytes);
	for (size_t i = 0; i < t->ncols; i++)
		trib_value_put(&f->row_bytes, &v[i]);
	if (trib_buf_check(&f->row_bytes, "row", err))
		return -1;
	if (u->bag)
		return trib_store_bag(f->store, side, trib_buf_span(&f->row_bytes), err);
	trib_buf_reset(&f->key_bytes);
	trib_key_put(&f->key_bytes, t->ncols, f->head.pk, v);
	if (trib_buf_check(&f->key_bytes, "key", err))
		return -1;
	return trib_store_row(f->store, side, trib_buf_span(&f->key_bytes), trib_buf_span(&f->row_bytes), ret_twice, err);
}

int trib_gather_put(struct trib_gather *g, enum trib_side side, const struct trib_value *v, bool *ret_twice, struct trib_err *err)
{
	if (put(g->f, g->u, side, side == TRIB_OLD ? g->u->old : g->u->new, v, ret_twice, err))
		return -1;
	return trib_spend(&g->f->spent[side], g->f->row_bytes.len, err);
}

static int put_counted(struct full *f, const struct unit *u, enum trib_side side, const struct trib_table *t, const struct trib_value *v, struct trib_err *err)
{
	bool twice;
	if (put(f, u, side, t, v, &twice, err))
		return -1;
	return twice && side == TRIB_NEW ? count_left_out(f->ret, t->name, "key-collision", err) : 0;
}

/* The current row of one side goes to the store, unless it is left out. */
static int put_current(struct full *f, const struct unit *u, enum trib_side side, struct trib_rows *r, struct trib_err *err)
{
	const char *why = NULL;
	const struct trib_table *t = u->new ? u->new : u->old;
	if (trib_rows_values(r, &why, err))
		return -1;
	if (why)
		return side == TRIB_NEW ? count_left_out(f->ret, r->t->name, why, err) : 0;
	if (r->t == t)
		return put_counted(f, u, side, t, r->v, err);
	for (size_t i = 0; i < t->ncols; i++)
		f->row[i] = f->map[i] < 0 ? (struct trib_value){.type = TRIB_NULL} : r->v[f->map[i]];
	return put_counted(f, u, side, t, f->row, err);
}

static enum trib_rows_part part_of(const struct unit *u, const struct trib_table *t)
{
	return !u->bag ? TRIB_ROWS_KEYED : t->keyed ? TRIB_ROWS_BAG : TRIB_ROWS_ALL;
}

static int open_side(struct full *f, const struct unit *u, enum trib_side side, enum trib_rows_order order, struct trib_rows *ret, struct trib_err *err)
{
	const struct trib_table *t = side == TRIB_OLD ? u->old : u->new;
	if (trib_rows_open(f->db[side], f->s[side], t, part_of(u, t), order, ret, err))
		return -1;
	ret->spent = &f->spent[side];
	return 0;
}

static int gather_all(struct full *f, const struct unit *u, enum trib_side side, struct trib_err *err)
{
	TRIB_AUTO(trib_rows) struct trib_rows r = {0};
	int row;
	if (open_side(f, u, side, TRIB_ORDER_ANY, &r, err))
		return -1;
	while ((row = trib_rows_next(&r, err)) == 1)
		if (put_current(f, u, side, &r, err))
			return -1;
	return row;
}

/* Old rows, and the same rows with NULL in the columns that the new table (u->new) lacks. */
static int gather_blank(struct full *f, const struct unit *u, struct trib_err *err)
{
	TRIB_AUTO(trib_rows) struct trib_rows r = {0};
	const struct trib_table *o = u->old;
	int row;
	if (open_side(f, u, TRIB_OLD, TRIB_ORDER_ANY, &r, err))
		return -1;
	for (size_t i = 0; i < o->ncols; i++)
		f->map[i] = column_of(u->new, o->cols[i].name);
	while ((row = trib_rows_next(&r, err)) == 1) {
		const char *why = NULL;
		bool blank = false;
		if (trib_rows_values(&r, &why, err))
			return -1;
		for (size_t i = 0; !why && i < o->ncols; i++) {
			f->row[i] = f->map[i] < 0 ? (struct trib_value){.type = TRIB_NULL} : r.v[i];
			blank = blank || (f->map[i] < 0 && r.v[i].type != TRIB_NULL);
		}
		if (blank && (put_counted(f, u, TRIB_OLD, o, r.v, err) || put_counted(f, u, TRIB_NEW, o, f->row, err)))
			return -1;
	}
	return row;
}

static enum trib_rows_order order_of(const struct unit *u)
{
	if (u->old->rowid_name && u->new->rowid_name)
		return TRIB_ORDER_ROWID;
	return u->bag ? TRIB_ORDER_ANY : TRIB_ORDER_KEY;
}

static int merge(struct full *f, const struct unit *u, struct trib_rows *a, struct trib_rows *b, struct trib_err *err)
{
	int has_a = trib_rows_next(a, err), has_b = has_a < 0 ? -1 : trib_rows_next(b, err);
	while (has_a > 0 || has_b > 0) {
		if (has_a < 0 || has_b < 0)
			return -1;
		int c = !has_a ? 1 : !has_b ? -1 : trib_rows_cmp(a, b);
		if (c == 0 && trib_rows_same(a, b, f->map)) {
			has_a = trib_rows_next(a, err);
			has_b = has_a < 0 ? -1 : trib_rows_next(b, err);
			continue;
		}
		if ((c <= 0 && put_current(f, u, TRIB_OLD, a, err)) || (c >= 0 && put_current(f, u, TRIB_NEW, b, err)))
			return -1;
		if (c <= 0)
			has_a = trib_rows_next(a, err);
		if (c >= 0 && has_a >= 0)
			has_b = trib_rows_next(b, err);
	}
	return has_a < 0 || has_b < 0 ? -1 : 0;
}

static int gather_match(struct full *f, const struct unit *u, struct trib_err *err)
{
	TRIB_AUTO(trib_rows) struct trib_rows a = {0};
	TRIB_AUTO(trib_rows) struct trib_rows b = {0};
	struct trib_gather g = {f, u};
	int done = f->matcher ? f->matcher->match(f->matcher->ctx, u->old, u->new, part_of(u, u->new), &g, err) : 0;
	if (done)
		return done < 0 ? -1 : 0;
	if (f->matcher && trib_store_reset(f->store, err))
		return -1;
	for (size_t i = 0; i < u->new->ncols; i++)
		f->map[i] = column_of(u->old, u->new->cols[i].name);
	if (order_of(u) == TRIB_ORDER_ANY)
		return gather_all(f, u, TRIB_OLD, err) || gather_all(f, u, TRIB_NEW, err) ? -1 : 0;
	if (open_side(f, u, TRIB_OLD, order_of(u), &a, err) || open_side(f, u, TRIB_NEW, order_of(u), &b, err))
		return -1;
	return merge(f, u, &a, &b, err);
}

/* Contents whose number changed need the whole number: rows that cancelled were never counted. */
static int count_bag(struct full *f, const struct unit *u, struct trib_err *err)
{
	TRIB_AUTO(trib_rows) struct trib_rows r = {0};
	bool left = false;
	int row;
	if (trib_store_bag_settle(f->store, &left, err))
		return -1;
	if (!left || !u->old)
		return 0;
	if (open_side(f, u, TRIB_OLD, TRIB_ORDER_ANY, &r, err))
		return -1;
	while ((row = trib_rows_next(&r, err)) == 1) {
		const char *why = NULL;
		if (trib_rows_values(&r, &why, err))
			return -1;
		if (why)
			continue;
		trib_buf_reset(&f->row_bytes);
		for (size_t i = 0; i < r.t->ncols; i++)
			trib_value_put(&f->row_bytes, &r.v[i]);
		if (trib_buf_check(&f->row_bytes, "row", err) || trib_store_bag_count(f->store, trib_buf_span(&f->row_bytes), err))
			return -1;
	}
	return row;
}

static int do_unit(struct full *f, const struct unit *u, struct trib_err *err)
{
	const struct trib_table *t = u->what == BLANK || !u->new ? u->old : u->new;
	TRIB_AUTO(trib_buf) struct trib_buf name = TRIB_BUF(TRIB_NAME_MAX + sizeof(TRIB_BAG_PREFIX));
	trib_buf_puts(&name, u->bag ? TRIB_BAG_PREFIX : "");
	trib_buf_puts(&name, t->name);
	if (trib_buf_check(&name, "table name", err) || trib_store_reset(f->store, err))
		return -1;
	f->head.name = trib_buf_span(&name);
	f->head.ncol = t->ncols + u->bag;
	for (size_t i = 0; i < t->ncols; i++)
		f->head.pk[i] = u->bag ? 1 : (uint8_t)t->cols[i].pk;
	f->head.pk[t->ncols] = 0;
	int rc = u->what == MATCH ? gather_match(f, u, err) : u->what == BLANK ? gather_blank(f, u, err) :
		 gather_all(f, u, u->what == WIPE ? TRIB_OLD : TRIB_NEW, err);
	if (!rc && u->bag)
		rc = count_bag(f, u, err);
	return rc ? -1 : trib_emit_store(&f->emit, f->store, &f->head, u->bag, err);
}

static int do_part(struct full *f, enum trib_side side, struct trib_err *err)
{
	TRIB_AUTO(plan) struct plan p = {0};
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_SCHEMA_MAX);
	trib_schematext_put(&text, &f->s[side]->text);
	if (trib_buf_check(&text, "schema.sql", err) || (side == TRIB_OLD ? plan_one(f, &p, err) : plan_two(f, &p, err)))
		return -1;
	f->emit = (struct trib_emit){.ret = f->ret, .schema = trib_buf_span(&text), .before = side == TRIB_OLD};
	for (size_t i = 0; i < p.n; i++)
		if (do_unit(f, &p.units[i], err))
			return trib_ctx(err, _("comparing table %s"), trib_buf_str(&p.units[i].name));
	return 0;
}

static int check_keys(const struct trib_schema *s, struct trib_err *err)
{
	for (size_t i = 0; i < s->ntables; i++)
		if (s->tables[i].npk > UINT8_MAX || s->tables[i].ncols > TRIB_COLUMNS_MAX)
			return trib_fail(err, TRIB_E_SCHEMA, "table %s: more than %d key columns or %d columns", s->tables[i].name, UINT8_MAX,
					 TRIB_COLUMNS_MAX);
	return 0;
}

int trib_compare_states(sqlite3 *old_db, const struct trib_schema *old_schema, sqlite3 *new_db, const struct trib_schema *new_schema,
			const struct trib_matcher *matcher, struct trib_capture *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) struct full *f = calloc(1, sizeof(*f));
	if (!f)
		return oom(err);
	if (check_keys(old_schema, err) || check_keys(new_schema, err) || trib_spent_init(old_db, old_schema->text.page_size, false, &f->spent[TRIB_OLD], err) ||
	    trib_spent_init(new_db, new_schema->text.page_size, true, &f->spent[TRIB_NEW], err) || trib_store_new(TRIB_LEFTOVER_MEM, &f->store, err))
		return -1;
	f->matcher = matcher;
	f->db[TRIB_OLD] = old_db;
	f->db[TRIB_NEW] = new_db;
	f->s[TRIB_OLD] = old_schema;
	f->s[TRIB_NEW] = new_schema;
	f->ret = ret;
	/* A record is limited, and with one encoded value more than the limit it is seen to be too large. */
	f->row_bytes = f->key_bytes = TRIB_BUF(TRIB_ROW_MAX + 16);
	int rc = do_part(f, TRIB_OLD, err) || do_part(f, TRIB_NEW, err) ? -1 : 0;
	trib_store_free(f->store);
	trib_buf_release(&f->row_bytes);
	trib_buf_release(&f->key_bytes);
	return rc;
}

static int compare(sqlite3 *old_db, const struct trib_schema *old_schema, sqlite3 *new_db, const struct trib_schema *new_schema,
		   const struct trib_delta *delta, struct trib_capture *ret, struct trib_err *err)
{
	(void)delta; /* which pages differ is of no interest here */
	if (trib_ask_sqlite(new_db, NULL, err))
		return -1;
	return trib_compare_states(old_db, old_schema, new_db, new_schema, NULL, ret, err);
}

const struct trib_engine trib_engine_full = {"full", compare};
