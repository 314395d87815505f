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

/* ---- what changed, table by table ---- */

void trib_tally_release(struct trib_tally *v)
{
	free(v->t);
	*v = (struct trib_tally){0};
}

/* The place of the table in the list. */
static int place(struct trib_tally *v, const struct trib_lanes *was, struct trib_span name, size_t *ret, struct trib_err *err)
{
	for (size_t i = 0; i < v->n; i++)
		if (trib_fold_cmp(trib_span_str(v->t[i].m.table), name) == 0) {
			*ret = i;
			return 0;
		}
	struct trib_touched *grown = name.n <= TRIB_LANES_NAME_MAX ? reallocarray(v->t, v->n + 1, sizeof(*grown)) : NULL;
	if (!grown)
		return oom(err);
	v->t = grown;
	struct trib_touched *t = &grown[v->n];
	*t = (struct trib_touched){0};
	memcpy(t->m.table, name.p, name.n);
	trib_fold((uint8_t *)t->m.table, name.n);
	const struct trib_lanes_table *l = trib_lanes_find(was, t->m.table);
	t->m.rows = l ? l->rows : 0;
	t->m.was = l != NULL;
	if (l)
		trib_digest_table(l, t->m.digest);
	*ret = v->n++;
	return 0;
}

static uint64_t weight(const struct trib_change *ch, const struct trib_value *row)
{
	return !row ? 0 : !ch->table->bag ? 1 : (uint64_t)row[ch->table->ncol - 1].i;
}

static void touch(struct trib_touched *t, const struct trib_change *ch)
{
	t->m.inserted += ch->op == TRIB_INSERT;
	t->m.updated += ch->op == TRIB_UPDATE;
	t->m.deleted += ch->op == TRIB_DELETE;
	if (ch->op == TRIB_UPDATE && !ch->table->bag) {
		t->changed++;
		return;
	}
	uint64_t gone = weight(ch, ch->op == TRIB_INSERT ? NULL : ch->old), come = weight(ch, ch->op == TRIB_DELETE ? NULL : ch->new);
	t->gone += gone;
	t->come += come;
	t->changed += gone > come ? gone - come : come - gone;
	t->m.rows += come - gone;
}

static int tally_part(struct trib_tally *v, const struct trib_state *s, const struct trib_part *p, struct trib_err *err)
{
	TRIB_AUTO(trib_schematext) struct trib_schematext st = {0};
	TRIB_AUTO(trib_mem) struct trib_printer *print = NULL;
	TRIB_AUTO(trib_cs_reader) struct trib_cs_reader *r = NULL;
	const uint8_t *header = NULL; /* where the current table's name stands */
	struct trib_change ch;
	size_t at = 0;
	int rc;
	if (!(print = calloc(1, sizeof(*print))) || !(r = trib_cs_reader_new(trib_buf_span(&p->changeset))))
		return oom(err);
	if (trib_schematext_parse(trib_buf_span(&p->schema), &st, err))
		return -1;
	print->seed = trib_print_seed(s);
	print->schema = &st;
	while ((rc = trib_cs_next(r, &ch, err)) == 1) {
		if (ch.table->name.p != header && place(v, &s->tip.lanes, ch.table->name, &at, err))
			return -1;
		header = ch.table->name.p;
		if (s->tip.exists && trib_print_change(print, &ch, &v->t[at].m.sum, err))
			return -1;
		touch(&v->t[at], &ch);
	}
	return rc;
}

int trib_tally_parts(const struct trib_state *s, const struct trib_capture *c, struct trib_tally *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_tally) struct trib_tally v = {0};
	for (size_t i = 0; i < c->nparts; i++)
		if (c->parts[i].changeset.len && tally_part(&v, s, &c->parts[i], err))
			return trib_ctx(err, "the captured changes are not in their one form");
	*ret = v;
	v = (struct trib_tally){0};
	return 0;
}

/* ---- the brake ---- */

/* Rows of a table, its bag included. */
static void moved_of(const struct trib_tally *v, const char *name, uint64_t *ret_gone, uint64_t *ret_come)
{
	*ret_gone = *ret_come = 0;
	for (size_t i = 0; i < v->n; i++) {
		const char *table = v->t[i].m.table;
		if (trib_is_bag(trib_span_str(table)))
			table += strlen(TRIB_BAG_PREFIX);
		if (trib_fold_cmp(trib_span_str(table), trib_span_str(name)) == 0) {
			*ret_gone += v->t[i].gone;
			*ret_come += v->t[i].come;
		}
	}
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
static uint64_t come_elsewhere(const struct trib_capture *c, const struct trib_tally *v, const struct trib_table *o)
{
	uint64_t gone, come;
	for (size_t i = 0; i < c->nrenamed; i++) {
		if (c->renamed[i].table || strcmp(c->renamed[i].from, o->name) != 0)
			continue;
		moved_of(v, c->renamed[i].to, &gone, &come);
		return come;
	}
	return 0;
}

static int brake_table(sqlite3 *old_db, struct trib_capture *c, const struct trib_tally *v, const struct trib_table *o, bool all, struct trib_err *err)
{
	uint64_t had = 0, gone, come;
	moved_of(v, o->folded, &gone, &come);
	uint64_t back = come + come_elsewhere(c, v, o), lost = gone > back ? gone - back : 0;
	if (all)
		return add_braked(c, o->folded, lost, err);
	if (lost <= TRIB_BRAKE_ROWS)
		return 0;
	if (trib_rows_count(old_db, o, &had, err))
		return -1;
	return lost * 100 > had * TRIB_BRAKE_PERCENT ? add_braked(c, o->folded, lost, err) : 0;
}

int trib_brake(sqlite3 *old_db, struct trib_capture *c, const struct trib_tally *v, struct trib_err *err)
{
	bool all = c->old_schema.ntables && !c->new_schema.ntables; /* not a table is left */
	for (size_t i = 0; i < c->old_schema.ntables; i++)
		if (brake_table(old_db, c, v, &c->old_schema.tables[i], all, err))
			return -1;
	return 0;
}

/* ---- a return to an old state ---- */

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

static int add_returned(struct trib_capture *c, const struct trib_touched *t, uint64_t seq, struct trib_err *err)
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

static int maybe(sqlite3 *db, struct trib_touched *t, struct trib_err *err)
{
	struct trib_print print = {0};
	bool known = false;
	if (t->m.was && trib_print_find(db, t->m.table, t->m.digest, &print, &known, err))
		return -1;
	print.sum += known ? t->m.sum : 0;
	return trib_digests_maybe(db, t->m.table, t->m.rows, t->m.digest, known ? &print : NULL, &t->maybe, err);
}

/* Digests are only computed when an older commit had as many rows in a table that changed much. */
static int look_back(struct trib_state *s, struct trib_capture *c, sqlite3 *db, struct trib_tally *v, struct trib_err *err)
{
	TRIB_AUTO(trib_lanes) struct trib_lanes after = {0};
	bool any = false;
	for (size_t i = 0; i < v->n; i++) {
		struct trib_touched *t = &v->t[i];
		if (t->changed > TRIB_BRAKE_ROWS && t->m.rows && maybe(db, t, err))
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

int trib_brake_returned(struct trib_state *s, struct trib_capture *c, struct trib_tally *v, struct trib_err *err)
{
	bool much = false;
	if (v->n && !(c->moved = calloc(v->n, sizeof(*c->moved))))
		return oom(err);
	for (size_t i = 0; i < v->n; i++)
		c->moved[c->nmoved++] = v->t[i].m;
	for (size_t i = 0; i < v->n; i++)
		much = much || (v->t[i].changed > TRIB_BRAKE_ROWS && v->t[i].m.rows);
	for (int tries = 0; much; tries++) {
		TRIB_AUTO(trib_db) sqlite3 *db = NULL;
		if (trib_digests_open(s, &db, err))
			return -1;
		if (!look_back(s, c, db, v, err))
			break;
		if (tries || (err->code != TRIB_E_DB && err->code != TRIB_E_VERIFY))
			return trib_ctx(err, "looking for a return to an old state");
		trib_digests_drop(s); /* a damaged cache: once more, from the manifests */
	}
	if (c->nbraked)
		qsort(c->braked, c->nbraked, sizeof(*c->braked), by_braked);
	return 0;
}
