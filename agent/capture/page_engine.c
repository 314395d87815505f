/* page_engine.c: the engine that reads pages that differ (D4.2). Tables that are there in both states with the same CREATE text are compared by
 * pages; new, dropped and altered tables are read whole, as are tables for which the pages are refused (damaged, beyond a limit, rows left out). */
#include "agent/capture/page_match.h"

struct engine {
	struct trib_pages pages;
	struct trib_pair *pairs;
	size_t npairs;
	struct trib_capture *ret;
	const char *reason; /* the gravest why the full engine stepped in */
	sqlite3 *new_db;
	bool doubt;         /* pages are not as a sound file has them */
	bool asked;         /* SQLite was, of the whole file */
};

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

static void engine_cleanup(struct engine *e)
{
	for (size_t i = 0; i < e->npairs; i++) {
		trib_layout_release(&e->pairs[i].layout);
		trib_pglist_release(&e->pairs[i].pages[TRIB_OLD]);
		trib_pglist_release(&e->pairs[i].pages[TRIB_NEW]);
	}
	free(e->pairs);
	trib_pages_release(&e->pages);
}

/* Why an error means that the full engine must look, or NULL when it is an error for good. */
static const char *refusal(const struct trib_err *err)
{
	return err->code == TRIB_E_SCHEMA ? "damaged" : err->code == TRIB_E_LIMIT ? "limit" : NULL;
}

static const char *const reasons[][2] = { /* the gravest last */
	{"schema", "page+full:schema"}, {"left-out", "page+full:left-out"}, {"encoding", "page+full:encoding"}, {"limit", "page+full:limit"},
	{"damaged", "page+full:damaged"},
};

static size_t gravity(const char *reason)
{
	size_t i = TRIB_COUNT(reasons);
	while (i && strcmp(reason, reasons[i - 1][0]) != 0)
		i--;
	return i;
}

static const char *label(const char *reason) { return reason ? reasons[gravity(reason) - 1][1] : "page"; }

/* ---- pairs ---- */

/* Rows that were left out last time may lie in pages that did not change; only reading all of them counts them. */
static bool had_left_out(const struct trib_capture *c, const struct trib_table *t)
{
	for (size_t i = 0; i < c->nleft_out_before; i++)
		if (c->left_out_before[i].count && trib_fold_cmp(trib_span_str(c->left_out_before[i].name), trib_span_str(t->name)) == 0)
			return true;
	return false;
}

static const char *why_not(const struct engine *e, const struct trib_schema *old_s, const struct trib_table *o, const struct trib_schema *new_s,
			   const struct trib_table *n)
{
	if (strcmp(old_s->text.encoding, new_s->text.encoding) != 0)
		return "encoding";
	if (!o->sql || !n->sql || strcmp(o->sql, n->sql) != 0 || o->ncols != n->ncols || o->without_rowid != n->without_rowid)
		return "schema";
	return had_left_out(e->ret, o) ? "left-out" : NULL;
}

/* Before any table is read whole for what its pages are: a crafted one may have no end. */
static int ask(struct engine *e, struct trib_err *err)
{
	if (e->asked)
		return 0;
	e->asked = true;
	return trib_ask_sqlite(e->new_db, NULL, err);
}

static int make_pairs(struct engine *e, const struct trib_schema *old_s, const struct trib_schema *new_s, struct trib_err *err)
{
	if (!(e->pairs = calloc(new_s->ntables + 1, sizeof(*e->pairs))))
		return oom(err);
	for (size_t i = 0; i < new_s->ntables; i++) {
		const struct trib_table *n = &new_s->tables[i], *o = trib_schema_find(old_s, n->folded);
		const char *refused = o ? why_not(e, old_s, o, new_s, n) : "schema";
		if (refused && trib_ask_sqlite(e->new_db, n->name, err)) /* it is read whole, and its pages are not looked at */
			return -1;
		if (!o)
			continue;
		struct trib_pair *p = &e->pairs[e->npairs++];
		*p = (struct trib_pair){.old = o, .new = n, .refused = refused};
		if (!p->refused && trib_layout_read(e->new_db, new_s, n, &p->layout, err))
			return -1;
	}
	return 0;
}

static struct trib_pair *pair_of(struct engine *e, const char *folded)
{
	for (size_t i = 0; i < e->npairs; i++)
		if (strcmp(e->pairs[i].new->folded, folded) == 0)
			return &e->pairs[i];
	return NULL;
}

/* ---- walks ---- */

static int walk_root(struct engine *e, enum trib_side side, bool table, const char *name, int64_t root, struct trib_err *err)
{
	char folded[TRIB_NAME_MAX + 1];
	struct trib_pair *p = NULL;
	if (table && strlen(name) < sizeof(folded)) {
		(void)snprintf(folded, sizeof(folded), "%s", name);
		trib_fold((uint8_t *)folded, strlen(folded));
		p = pair_of(e, folded);
	}
	if (root < 1 || root > UINT32_MAX)
		return trib_fail(err, TRIB_E_SCHEMA, "a tree that begins outside the file");
	if (p && p->refused)
		p = NULL;
	if (!p)
		return side == TRIB_OLD ? 0 : trib_pages_walk(&e->pages, side, (uint32_t)root, TRIB_OWNER_OTHER, NULL, err);
	uint32_t owner = TRIB_OWNER_TABLE + (uint32_t)(p - e->pairs);
	return trib_pages_walk(&e->pages, side, (uint32_t)root, owner, &p->pages[side], err);
}

static int walk_side(struct engine *e, enum trib_side side, sqlite3 *db, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int row;
	if (side == TRIB_NEW && trib_pages_walk(&e->pages, side, 1, TRIB_OWNER_OTHER, NULL, err))
		return -1;
	if (trib_db_prepare(db, "SELECT type, name, rootpage FROM main.sqlite_schema WHERE rootpage > 0 AND type IN ('table', 'index')", &st, err))
		return -1;
	while ((row = trib_db_step(db, st, err)) == 1) {
		const char *type = (const char *)sqlite3_column_text(st, 0), *name = (const char *)sqlite3_column_text(st, 1);
		if (!type || !name)
			return oom(err);
		if (walk_root(e, side, strcmp(type, "table") == 0, name, sqlite3_column_int64(st, 2), err))
			return trib_ctx(err, "%s %.200s", type, name);
	}
	return row;
}

static int explain(struct engine *e, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) const struct trib_pglist **lists = calloc(e->npairs + 1, sizeof(*lists));
	size_t n = 0;
	if (!lists)
		return oom(err);
	for (size_t i = 0; i < e->npairs; i++)
		if (!e->pairs[i].refused)
			lists[n++] = &e->pairs[i].pages[TRIB_NEW];
	if (trib_pages_explain(&e->pages, lists, n, err))
		return -1;
	e->doubt = e->pages.unexplained && n == e->npairs; /* of tables that are read whole, unchanged pages were not asked */
	return 0;
}

static int look(struct engine *e, sqlite3 *old_db, sqlite3 *new_db, const struct trib_delta *d, struct trib_err *err)
{
	if (trib_pages_open(old_db, new_db, d, &e->pages, err) || walk_side(e, TRIB_OLD, old_db, err) || walk_side(e, TRIB_NEW, new_db, err))
		return -1;
	return explain(e, err);
}

/* Rows without a key are known to be none when none differ and there were none. */
static int tell_bagless(const struct engine *e, const struct trib_schema *new_s, struct trib_err *err)
{
	if (!(e->ret->bagless = calloc(new_s->ntables + 1, sizeof(*e->ret->bagless))))
		return oom(err);
	for (size_t i = 0; i < e->npairs; i++) {
		const struct trib_pair *p = &e->pairs[i];
		e->ret->bagless[p->new - new_s->tables] = !p->refused && p->looked && !p->bag;
	}
	return 0;
}

/* ---- the engine ---- */

static int match(void *ctx, const struct trib_table *old_t, const struct trib_table *new_t, enum trib_rows_part part, struct trib_gather *g,
		 struct trib_err *err)
{
	struct engine *e = ctx;
	struct trib_pair *p = pair_of(e, new_t->folded);
	struct trib_err why;
	if (!p || p->old != old_t)
		return 0;
	bool before = p->refused;
	if (!p->refused && trib_pair_match(&e->pages, p, part, g, &why)) {
		p->refused = refusal(&why);
		if (!p->refused) {
			*err = why;
			return -1;
		}
		if (ask(e, err))
			return -1;
	}
	if (!p->refused)
		return 1;
	if (!e->reason || gravity(p->refused) > gravity(e->reason))
		e->reason = p->refused;
	e->ret->full_tables += !before || !p->looked;
	p->looked = true;
	return 0;
}

static int compare(sqlite3 *old_db, const struct trib_schema *old_schema, sqlite3 *new_db, const struct trib_schema *new_schema,
		   const struct trib_delta *delta, struct trib_capture *ret, struct trib_err *err)
{
	__attribute__((cleanup(engine_cleanup))) struct engine e = {.ret = ret, .new_db = new_db};
	struct trib_matcher m = {.ctx = &e, .match = match};
	struct trib_err why;
	if (!delta->base_page_size) { /* the first capture: every row is new */
		ret->engine = trib_engine_full.name;
		if (ask(&e, err))
			return -1;
		return trib_compare_states(old_db, old_schema, new_db, new_schema, NULL, ret, err);
	}
	if (make_pairs(&e, old_schema, new_schema, err))
		return -1;
	if (look(&e, old_db, new_db, delta, &why)) {
		const char *reason = refusal(&why);
		if (!reason) {
			*err = why;
			return -1;
		}
		if (ask(&e, err))
			return -1;
		for (size_t i = 0; i < e.npairs; i++)
			e.pairs[i].refused = e.pairs[i].refused ? e.pairs[i].refused : reason;
		e.reason = reason;
	}
	int rc = trib_compare_states(old_db, old_schema, new_db, new_schema, &m, ret, err);
	ret->engine = label(e.reason);
	if (!rc && e.doubt)
		rc = ask(&e, err);
	return rc ? -1 : tell_bagless(&e, new_schema, err);
}

const struct trib_engine trib_engine_page = {"page", compare};
