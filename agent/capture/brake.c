#include "agent/capture/brake.h"

#include "agent/capture/digests.h"
#include "agent/capture/prints.h"
#include "agent/capture/rows.h"

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

/* ---- renames ---- */

static int add_renamed(struct trib_capture *c, const char *table, const char *from, const char *to, struct trib_err *err)
{
	struct trib_mf_renamed *grown = reallocarray(c->renamed, c->nrenamed + 1, sizeof(*grown));
	if (!grown)
		return oom(err);
	c->renamed = grown;
	struct trib_mf_renamed *r = &grown[c->nrenamed++];
	*r = (struct trib_mf_renamed){table ? strdup(table) : NULL, strdup(from), strdup(to)};
	return (table && !r->table) || !r->from || !r->to ? oom(err) : 0;
}

/* What stands after the name in "CREATE TABLE name(...)"; SQLite keeps the text from CREATE TABLE on in this form. */
static const char *body_of(const char *sql)
{
	static const char start[] = "CREATE TABLE ";
	if (!sql || sqlite3_strnicmp(sql, start, sizeof(start) - 1) != 0)
		return NULL;
	const char *p = sql + sizeof(start) - 1;
	char close = *p == '[' ? ']' : *p == '"' || *p == '`' || *p == '\'' ? *p : '\0';
	if (!close)
		return p + strcspn(p, " (\t\r\n");
	for (p++; *p && !(*p == close && p[1] != close); p++)
		p += *p == close;
	return *p ? p + 1 : NULL;
}

static int root_page(sqlite3 *db, const char *table, int64_t *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db, "SELECT rootpage FROM main.sqlite_schema WHERE type = 'table' AND name = ?1", &st, err))
		return -1;
	if (sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC))
		return trib_db_fail(err, db, "looking for renamed tables");
	int row = trib_db_step(db, st, err);
	if (row < 0)
		return -1;
	*ret = row ? sqlite3_column_int64(st, 0) : 0;
	return 0;
}

static bool same_columns(const struct trib_table *a, const struct trib_table *b)
{
	bool same = a->ncols == b->ncols;
	for (size_t i = 0; same && i < a->ncols; i++)
		same = a->cols[i].pk == b->cols[i].pk && trib_fold_cmp(trib_span_str(a->cols[i].name), trib_span_str(b->cols[i].name)) == 0;
	return same;
}

static int is_rename(sqlite3 *old_db, const struct trib_table *o, sqlite3 *new_db, const struct trib_table *n, bool *ret, struct trib_err *err)
{
	int64_t was = 0, is = 0;
	const char *a = body_of(o->sql), *b = body_of(n->sql);
	*ret = false;
	if (!same_columns(o, n))
		return 0;
	if (root_page(old_db, o->name, &was, err) || root_page(new_db, n->name, &is, err))
		return -1;
	*ret = (was && was == is) || (a && b && strcmp(a, b) == 0);
	return 0;
}

static int renamed_columns(struct trib_capture *c, const struct trib_table *o, const struct trib_table *n, struct trib_err *err)
{
	bool differs = o->ncols != n->ncols;
	for (size_t i = 0; !differs && i < o->ncols; i++)
		differs = strcmp(o->cols[i].type, n->cols[i].type) != 0 || o->cols[i].pk != n->cols[i].pk;
	for (size_t i = 0; !differs && i < o->ncols; i++) {
		struct trib_span was = trib_span_str(o->cols[i].name), is = trib_span_str(n->cols[i].name);
		bool kept = trib_fold_cmp(was, is) == 0, known = false;
		for (size_t j = 0; !kept && j < o->ncols; j++)
			known = known || trib_fold_cmp(was, trib_span_str(n->cols[j].name)) == 0 ||
				trib_fold_cmp(is, trib_span_str(o->cols[j].name)) == 0;
		if (!kept && !known && add_renamed(c, n->folded, o->cols[i].name, n->cols[i].name, err))
			return -1;
	}
	return 0;
}

static int by_renamed(const void *a, const void *b)
{
	const struct trib_mf_renamed *x = a, *y = b;
	if (!x->table != !y->table)
		return x->table ? 1 : -1;
	int c = x->table ? strcmp(x->table, y->table) : 0;
	c = c ? c : strcmp(x->from, y->from);
	return c ? c : strcmp(x->to, y->to);
}

static bool taken(const struct trib_capture *c, const char *to)
{
	for (size_t i = 0; i < c->nrenamed; i++)
		if (!c->renamed[i].table && strcmp(c->renamed[i].to, to) == 0)
			return true;
	return false;
}

int trib_find_renames(sqlite3 *old_db, sqlite3 *new_db, struct trib_capture *c, struct trib_err *err)
{
	for (size_t i = 0; i < c->old_schema.ntables; i++) {
		const struct trib_table *o = &c->old_schema.tables[i], *n = trib_schema_find(&c->new_schema, o->folded);
		if (n && renamed_columns(c, o, n, err))
			return -1;
		bool found = false;
		for (size_t j = 0; !n && !found && j < c->new_schema.ntables; j++) {
			const struct trib_table *to = &c->new_schema.tables[j];
			if (trib_schema_find(&c->old_schema, to->folded) || taken(c, to->name))
				continue;
			if (is_rename(old_db, o, new_db, to, &found, err) || (found && add_renamed(c, NULL, o->name, to->name, err)))
				return -1;
		}
	}
	if (c->nrenamed)
		qsort(c->renamed, c->nrenamed, sizeof(*c->renamed), by_renamed);
	return 0;
}

/* ---- the brake ---- */

struct moved { /* rows of one table, its bag included */
	char *folded;
	uint64_t gone, come;
};

struct moves {
	struct moved *m;
	size_t n;
};
static void moves_cleanup(struct moves *v)
{
	for (size_t i = 0; i < v->n; i++)
		free(v->m[i].folded);
	free(v->m);
}

static struct moved *moved_of(struct moves *v, struct trib_span name)
{
	if (trib_is_bag(name))
		name = trib_span(name.p + strlen(TRIB_BAG_PREFIX), name.n - strlen(TRIB_BAG_PREFIX));
	for (size_t i = 0; i < v->n; i++)
		if (trib_fold_cmp(trib_span_str(v->m[i].folded), name) == 0)
			return &v->m[i];
	struct moved *grown = reallocarray(v->m, v->n + 1, sizeof(*grown));
	if (!grown)
		return NULL;
	v->m = grown;
	struct moved *m = &grown[v->n];
	*m = (struct moved){.folded = strndup((const char *)name.p, name.n)};
	if (!m->folded)
		return NULL;
	trib_fold((uint8_t *)m->folded, strlen(m->folded));
	v->n++;
	return m;
}

static uint64_t weight(const struct trib_change *ch, const struct trib_value *row)
{
	return !row ? 0 : !ch->table->bag ? 1 : (uint64_t)row[ch->table->ncol - 1].i;
}

static int add_part(struct moves *v, const struct trib_part *p, struct trib_err *err)
{
	TRIB_AUTO(trib_cs_reader) struct trib_cs_reader *r = NULL;
	struct trib_change ch;
	int rc;
	if (!p->changeset.len)
		return 0;
	if (!(r = trib_cs_reader_new(trib_buf_span(&p->changeset))))
		return oom(err);
	while ((rc = trib_cs_next(r, &ch, err)) == 1) {
		if (ch.op == TRIB_UPDATE && !ch.table->bag)
			continue;
		struct moved *m = moved_of(v, ch.table->name);
		if (!m)
			return oom(err);
		m->gone += weight(&ch, ch.op == TRIB_INSERT ? NULL : ch.old);
		m->come += weight(&ch, ch.op == TRIB_DELETE ? NULL : ch.new);
	}
	return rc;
}

static int add_braked(struct trib_capture *c, const char *folded, uint64_t lost, struct trib_err *err)
{
	struct trib_mf_braked *grown = reallocarray(c->braked, c->nbraked + 1, sizeof(*grown));
	if (!grown)
		return oom(err);
	c->braked = grown;
	char *name = strdup(folded);
	if (!name)
		return oom(err);
	grown[c->nbraked++] = (struct trib_mf_braked){name, lost};
	return 0;
}

/* Rows that came under the table's new name. */
static uint64_t come_elsewhere(const struct trib_capture *c, struct moves *v, const struct trib_table *o)
{
	for (size_t i = 0; i < c->nrenamed; i++) {
		if (c->renamed[i].table || strcmp(c->renamed[i].from, o->name) != 0)
			continue;
		struct trib_span to = trib_span_str(c->renamed[i].to);
		for (size_t j = 0; j < v->n; j++)
			if (trib_fold_cmp(trib_span_str(v->m[j].folded), to) == 0)
				return v->m[j].come;
	}
	return 0;
}

static int brake_table(sqlite3 *old_db, struct trib_capture *c, struct moves *v, const struct trib_table *o, bool all, struct trib_err *err)
{
	struct moved *m = moved_of(v, trib_span_str(o->folded));
	uint64_t had = 0;
	if (!m)
		return oom(err);
	uint64_t back = m->come + come_elsewhere(c, v, o), lost = m->gone > back ? m->gone - back : 0;
	if (all)
		return add_braked(c, o->folded, lost, err);
	if (lost <= TRIB_BRAKE_ROWS)
		return 0;
	if (trib_rows_count(old_db, o, &had, err))
		return -1;
	return lost * 100 > had * TRIB_BRAKE_PERCENT ? add_braked(c, o->folded, lost, err) : 0;
}

int trib_brake(sqlite3 *old_db, struct trib_capture *c, struct trib_err *err)
{
	TRIB_AUTO(moves) struct moves v = {0};
	bool all = c->old_schema.ntables && !c->new_schema.ntables; /* not a table is left */
	for (size_t i = 0; i < c->nparts; i++)
		if (add_part(&v, &c->parts[i], err))
			return trib_ctx(err, "weighing the changes");
	for (size_t i = 0; i < c->old_schema.ntables; i++)
		if (brake_table(old_db, c, &v, &c->old_schema.tables[i], all, err))
			return -1;
	return 0;
}

/* ---- a return to an old state ---- */

struct touched { /* as digests have them: a table and its bag apart */
	struct trib_moved m;
	uint64_t changed, rows;
	bool maybe;
};

struct touches {
	struct touched *t;
	size_t n;
};
static void touches_cleanup(struct touches *v) { free(v->t); }

static struct touched *touched_of(struct touches *v, const struct trib_lanes *was, struct trib_span name)
{
	for (size_t i = 0; i < v->n; i++)
		if (trib_fold_cmp(trib_span_str(v->t[i].m.table), name) == 0)
			return &v->t[i];
	struct touched *grown = name.n <= TRIB_LANES_NAME_MAX ? reallocarray(v->t, v->n + 1, sizeof(*grown)) : NULL;
	if (!grown)
		return NULL;
	v->t = grown;
	struct touched *t = &grown[v->n++];
	*t = (struct touched){0};
	memcpy(t->m.table, name.p, name.n);
	trib_fold((uint8_t *)t->m.table, name.n);
	const struct trib_lanes_table *l = trib_lanes_find(was, t->m.table);
	t->rows = l ? l->rows : 0;
	t->m.was = l != NULL;
	if (l)
		trib_digest_table(l, t->m.digest);
	return t;
}

static int touch_part(struct touches *v, const struct trib_state *s, const struct trib_part *p, struct trib_err *err)
{
	TRIB_AUTO(trib_schematext) struct trib_schematext st = {0};
	TRIB_AUTO(trib_mem) struct trib_printer *print = NULL;
	TRIB_AUTO(trib_cs_reader) struct trib_cs_reader *r = NULL;
	struct trib_change ch;
	int rc;
	if (!p->changeset.len)
		return 0;
	if (!(print = calloc(1, sizeof(*print))) || !(r = trib_cs_reader_new(trib_buf_span(&p->changeset))))
		return oom(err);
	if (trib_schematext_parse(trib_buf_span(&p->schema), &st, err))
		return -1;
	print->seed = trib_print_seed(s);
	print->schema = &st;
	while ((rc = trib_cs_next(r, &ch, err)) == 1) {
		struct touched *t = touched_of(v, &s->tip.lanes, ch.table->name);
		if (!t)
			return oom(err);
		if (trib_print_change(print, &ch, &t->m.sum, err))
			return -1;
		if (ch.op == TRIB_UPDATE && !ch.table->bag) {
			t->changed++;
			continue;
		}
		uint64_t gone = weight(&ch, ch.op == TRIB_INSERT ? NULL : ch.old), come = weight(&ch, ch.op == TRIB_DELETE ? NULL : ch.new);
		t->changed += gone > come ? gone - come : come - gone;
		t->rows += come - gone;
	}
	return rc;
}

static int lanes_after(const struct trib_state *s, const struct trib_capture *c, struct trib_lanes *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_digester) struct trib_digester *d = trib_digester_new(s->salt, s->node.app);
	if (!d)
		return oom(err);
	if (trib_lanes_copy(&s->tip.lanes, ret, err))
		return -1;
	for (size_t i = 0; i < c->nparts; i++) {
		TRIB_AUTO(trib_schematext) struct trib_schematext st = {0};
		const struct trib_part *p = &c->parts[i];
		if (trib_schematext_parse(trib_buf_span(&p->schema), &st, err) ||
		    (p->changeset.len && trib_digest_changeset(d, ret, &st, trib_buf_span(&p->changeset), NULL, err)))
			return -1;
	}
	return 0;
}

static int add_returned(struct trib_capture *c, const struct touched *t, uint64_t seq, struct trib_err *err)
{
	const char *table = t->m.table + (trib_is_bag(trib_span_str(t->m.table)) ? strlen(TRIB_BAG_PREFIX) : 0);
	bool known = false;
	for (size_t i = 0; i < c->nreturned; i++)
		if (strcmp(c->returned[i].table, table) == 0)
			return 0;
	for (size_t i = 0; i < c->nbraked; i++)
		known = known || strcmp(c->braked[i].table, table) == 0;
	struct trib_returned *grown = reallocarray(c->returned, c->nreturned + 1, sizeof(*grown));
	if (!grown)
		return oom(err);
	c->returned = grown;
	grown[c->nreturned] = (struct trib_returned){strdup(table), seq};
	if (!grown[c->nreturned].table)
		return oom(err);
	c->nreturned++;
	return known ? 0 : add_braked(c, table, t->changed, err);
}

static int maybe(sqlite3 *db, struct touched *t, struct trib_err *err)
{
	struct trib_print print = {0};
	bool known = false;
	if (t->m.was && trib_print_find(db, t->m.table, t->m.digest, &print, &known, err))
		return -1;
	print.sum += known ? t->m.sum : 0;
	return trib_digests_maybe(db, t->m.table, t->rows, t->m.digest, known ? &print : NULL, &t->maybe, err);
}

/* Digests are only computed when an older commit had as many rows in a table that changed much. */
static int look_back(struct trib_state *s, struct trib_capture *c, sqlite3 *db, struct touches *v, struct trib_err *err)
{
	TRIB_AUTO(trib_lanes) struct trib_lanes after = {0};
	bool any = false;
	for (size_t i = 0; i < v->n; i++) {
		struct touched *t = &v->t[i];
		if (t->changed > TRIB_BRAKE_ROWS && t->rows && maybe(db, t, err))
			return -1;
		any = any || t->maybe;
	}
	if (!any)
		return 0;
	if (lanes_after(s, c, &after, err))
		return -1;
	for (size_t i = 0; i < v->n; i++) {
		const struct trib_lanes_table *now = trib_lanes_find(&after, v->t[i].m.table), *was = trib_lanes_find(&s->tip.lanes, v->t[i].m.table);
		uint8_t digest[TRIB_SHA256_LEN];
		uint64_t seq = 0;
		if (!v->t[i].maybe || !now || (was && memcmp(now->lanes, was->lanes, sizeof(now->lanes)) == 0))
			continue;
		trib_digest_table(now, digest);
		if (trib_digests_find(s, db, v->t[i].m.table, now->rows, digest, &seq, err) || (seq && add_returned(c, &v->t[i], seq, err)))
			return -1;
	}
	return 0;
}

static int by_braked(const void *a, const void *b)
{
	return strcmp(((const struct trib_mf_braked *)a)->table, ((const struct trib_mf_braked *)b)->table);
}

int trib_brake_returned(struct trib_state *s, struct trib_capture *c, struct trib_err *err)
{
	__attribute__((cleanup(touches_cleanup))) struct touches v = {0};
	bool much = false;
	if (!s->tip.exists)
		return 0;
	for (size_t i = 0; i < c->nparts; i++)
		if (touch_part(&v, s, &c->parts[i], err))
			return trib_ctx(err, "weighing the changes");
	if (v.n && !(c->moved = calloc(v.n, sizeof(*c->moved))))
		return oom(err);
	for (size_t i = 0; i < v.n; i++)
		c->moved[c->nmoved++] = v.t[i].m;
	for (size_t i = 0; i < v.n; i++)
		much = much || (v.t[i].changed > TRIB_BRAKE_ROWS && v.t[i].rows);
	for (int tries = 0; much; tries++) {
		TRIB_AUTO(trib_db) sqlite3 *db = NULL;
		if (trib_digests_open(s, &db, err))
			return -1;
		if (!look_back(s, c, db, &v, err))
			break;
		if (tries || (err->code != TRIB_E_DB && err->code != TRIB_E_VERIFY))
			return trib_ctx(err, "looking for a return to an old state");
		trib_digests_drop(s); /* a damaged cache: once more, from the manifests */
	}
	if (c->nbraked)
		qsort(c->braked, c->nbraked, sizeof(*c->braked), by_braked);
	return 0;
}
