#include "agent/capture/compose.h"

#include "agent/capture/emit.h"
#include "core/base/limits.h"
#include "core/store/db.h"

#define ROW_ROOM (2 * TRIB_ROW_MAX + TRIB_MIB)
#define STORE_SQL_CACHE "PRAGMA cache_size=-65536" /* TRIB_LEFTOVER_MEM in KiB */
_Static_assert(TRIB_LEFTOVER_MEM == 65536 * TRIB_KIB, "the cache is the limit");

enum { FIND, PUT, DROP, ALL, NSQL };

/* t: the table's place in the list; k: canonical key; o, n: the row before and after, NULL = there is none. A row that was only updated has just the key and
 * the columns that were touched. */
static const char *const compose_sql[NSQL] = {
	[FIND] = "SELECT o, n FROM m WHERE t = ?1 AND k = ?2",
	[PUT] = "REPLACE INTO m(t, k, o, n) VALUES(?1, ?2, ?3, ?4)",
	[DROP] = "DELETE FROM m WHERE t = ?1 AND k = ?2",
	[ALL] = "SELECT k, o, n FROM m WHERE t = ?1",
};

struct table {
	char *folded, *name;
	size_t ncol;
	uint8_t pk[TRIB_COLUMNS_MAX + 1];
};

struct trib_compose {
	sqlite3 *db;
	sqlite3_stmt *st[NSQL];
	struct table *tables;
	size_t ntables;
	struct trib_buf before, after; /* the row being composed, encoded */
	struct trib_value o[TRIB_COLUMNS_MAX + 1], n[TRIB_COLUMNS_MAX + 1];
};

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

void trib_compose_free(struct trib_compose *c)
{
	if (!c)
		return;
	for (size_t i = 0; i < NSQL; i++)
		sqlite3_finalize(c->st[i]);
	sqlite3_close(c->db);
	for (size_t i = 0; i < c->ntables; i++) {
		free(c->tables[i].folded);
		free(c->tables[i].name);
	}
	free(c->tables);
	trib_buf_release(&c->before);
	trib_buf_release(&c->after);
	free(c);
}

int trib_compose_new(struct trib_compose **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_compose) struct trib_compose *c = calloc(1, sizeof(*c));
	if (!c)
		return oom(err);
	trib_buf_init(&c->before, ROW_ROOM);
	trib_buf_init(&c->after, ROW_ROOM);
	if (sqlite3_open_v2("", &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL))
		return trib_db_fail(err, c->db, "opening temporary space");
	if (trib_db_exec(c->db, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; " STORE_SQL_CACHE "; BEGIN;"
			 "CREATE TABLE m(t INT, k BLOB, o BLOB, n BLOB, PRIMARY KEY(t, k)) WITHOUT ROWID", err))
		return -1;
	for (size_t i = 0; i < NSQL; i++)
		if (trib_db_prepare(c->db, compose_sql[i], &c->st[i], err))
			return -1;
	*ret = c;
	c = NULL;
	return 0;
}

/* The place of the table in the list. */
static int place(struct trib_compose *c, const struct trib_cs_table *t, size_t *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *folded = strndup((const char *)t->name.p, t->name.n);
	if (!folded)
		return oom(err);
	trib_fold((uint8_t *)folded, t->name.n);
	for (size_t i = 0; i < c->ntables; i++)
		if (strcmp(c->tables[i].folded, folded) == 0) {
			*ret = i;
			return c->tables[i].ncol == t->ncol && memcmp(c->tables[i].pk, t->pk, t->ncol) == 0
				       ? 0 : trib_fail(err, TRIB_E_VERIFY, "table %s has other columns in one of the changesets", folded);
		}
	struct table *grown = reallocarray(c->tables, c->ntables + 1, sizeof(*grown));
	if (!grown)
		return oom(err);
	c->tables = grown;
	struct table new_table = {.folded = folded, .name = strndup((const char *)t->name.p, t->name.n), .ncol = t->ncol};
	if (!new_table.name)
		return oom(err);
	memcpy(new_table.pk, t->pk, t->ncol);
	folded = NULL;
	*ret = c->ntables;
	grown[c->ntables++] = new_table;
	return 0;
}

static int decode(sqlite3_stmt *st, int col, struct trib_value *v, size_t n, struct trib_err *err)
{
	struct trib_reader r = trib_reader(trib_span(sqlite3_column_blob(st, col), (size_t)sqlite3_column_bytes(st, col)));
	for (size_t i = 0; i < n; i++)
		if (trib_value_take(&r, true, &v[i], err))
			return trib_ctx(err, "temporary space");
	return r.rest.n ? trib_fail(err, TRIB_E_DB, "temporary space gave back another row") : 0;
}

/* Values that `to` does not have yet, or with `over` all that `from` has. */
static void lay(struct trib_value *to, const struct trib_value *from, size_t n, bool over)
{
	for (size_t i = 0; i < n; i++)
		if (from[i].type != TRIB_UNDEF && (over || to[i].type == TRIB_UNDEF))
			to[i] = from[i];
}

static int follow(struct trib_compose *c, const struct trib_change *ch, bool known, bool *had_old, bool *has_new, struct trib_err *err)
{
	const struct trib_cs_table *t = ch->table;
	size_t n = t->ncol;
	if (known && *has_new == (ch->op == TRIB_INSERT))
		return trib_fail(err, TRIB_E_VERIFY, "a row of %.*s is %s although it is %s", (int)(t->name.n < 100 ? t->name.n : 100), (const char *)t->name.p,
				 ch->op == TRIB_INSERT ? "inserted" : "changed", ch->op == TRIB_INSERT ? "there" : "not there");
	if (!known) {
		memset(c->o, 0, n * sizeof(c->o[0]));
		memset(c->n, 0, n * sizeof(c->n[0]));
		*had_old = ch->op != TRIB_INSERT;
	}
	if (*had_old && ch->op != TRIB_INSERT) /* what is known from before stays: it is older */
		lay(c->o, ch->old, n, false);
	*has_new = ch->op != TRIB_DELETE;
	if (*has_new)
		lay(c->n, ch->new, n, true);
	for (size_t i = 0; ch->op == TRIB_UPDATE && i < n; i++) /* the key is given once */
		if (t->pk[i])
			c->n[i] = ch->old[i];
	return 0;
}

static void encode(struct trib_buf *b, const struct trib_value *v, size_t n)
{
	trib_buf_reset(b);
	for (size_t i = 0; i < n; i++)
		trib_value_put(b, &v[i]);
}

static int bind(struct trib_compose *c, sqlite3_stmt *st, size_t table, struct trib_span key, struct trib_err *err)
{
	if (sqlite3_bind_int64(st, 1, (int64_t)table) || sqlite3_bind_blob64(st, 2, key.n ? (const void *)key.p : "", key.n, SQLITE_STATIC))
		return trib_db_fail(err, c->db, "composing");
	return 0;
}

static int keep(struct trib_compose *c, size_t table, struct trib_span key, bool had_old, bool has_new, struct trib_err *err)
{
	sqlite3_stmt *st = c->st[had_old || has_new ? PUT : DROP];
	int rc = bind(c, st, table, key, err);
	if (!rc && had_old && sqlite3_bind_blob64(st, 3, c->before.p, c->before.len, SQLITE_STATIC))
		rc = trib_db_fail(err, c->db, "composing");
	if (!rc && has_new && sqlite3_bind_blob64(st, 4, c->after.p, c->after.len, SQLITE_STATIC))
		rc = trib_db_fail(err, c->db, "composing");
	rc = rc || trib_db_step(c->db, st, err) < 0 ? -1 : 0;
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return rc;
}

static int add_change(struct trib_compose *c, const struct trib_change *ch, struct trib_err *err)
{
	size_t table, n = ch->table->ncol;
	sqlite3_stmt *st = c->st[FIND];
	bool had_old = false, has_new = false;
	if (place(c, ch->table, &table, err))
		return -1;
	int row = bind(c, st, table, ch->key, err) ? -1 : trib_db_step(c->db, st, err);
	int rc = row < 0 ? -1 : 0;
	if (row == 1) {
		memset(c->o, 0, n * sizeof(c->o[0]));
		memset(c->n, 0, n * sizeof(c->n[0]));
		had_old = sqlite3_column_type(st, 0) != SQLITE_NULL;
		has_new = sqlite3_column_type(st, 1) != SQLITE_NULL;
		rc = (had_old && decode(st, 0, c->o, n, err)) || (has_new && decode(st, 1, c->n, n, err)) ? -1 : 0;
	}
	if (!rc)
		rc = follow(c, ch, row == 1, &had_old, &has_new, err);
	if (!rc) {
		encode(&c->before, c->o, n);
		encode(&c->after, c->n, n);
	}
	sqlite3_reset(st); /* what was decoded is encoded again */
	sqlite3_clear_bindings(st);
	if (rc || trib_buf_check(&c->before, "row", err) || trib_buf_check(&c->after, "row", err))
		return -1;
	return keep(c, table, ch->key, had_old, has_new, err);
}

int trib_compose_add(struct trib_compose *c, struct trib_span changeset, struct trib_err *err)
{
	TRIB_AUTO(trib_cs_reader) struct trib_cs_reader *r = trib_cs_reader_new(changeset);
	struct trib_change ch;
	int row;
	if (!r)
		return oom(err);
	while ((row = trib_cs_next(r, &ch, err)) == 1)
		if (add_change(c, &ch, err))
			return -1;
	return row;
}

static int emit_table(struct trib_compose *c, size_t table, struct trib_store *store, struct trib_emit *e, struct trib_err *err)
{
	const struct table *t = &c->tables[table];
	struct trib_emit_table head = {.name = trib_span_str(t->name), .ncol = t->ncol, .partial = true};
	sqlite3_stmt *st = c->st[ALL];
	int row = 0, rc = trib_store_reset(store, err);
	memcpy(head.pk, t->pk, t->ncol);
	sqlite3_bind_int64(st, 1, (int64_t)table);
	while (!rc && (row = trib_db_step(c->db, st, err)) == 1) {
		struct trib_span key = trib_span(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
		for (int side = 0; side < 2 && !rc; side++) {
			bool twice = false;
			if (sqlite3_column_type(st, 1 + side) == SQLITE_NULL)
				continue;
			struct trib_span bytes = trib_span(sqlite3_column_blob(st, 1 + side), (size_t)sqlite3_column_bytes(st, 1 + side));
			rc = trib_store_row(store, side ? TRIB_NEW : TRIB_OLD, key, bytes, &twice, err);
		}
	}
	sqlite3_reset(st);
	return rc || row < 0 ? -1 : trib_emit_store(e, store, &head, false, err);
}

int trib_compose_emit(struct trib_compose *c, struct trib_span schema, struct trib_capture *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_store) struct trib_store *store = NULL;
	TRIB_AUTO(trib_mem) size_t *order = calloc(c->ntables + 1, sizeof(*order));
	struct trib_emit e = {.ret = ret, .schema = schema};
	if (!order)
		return oom(err);
	for (size_t i = 0; i < c->ntables; i++) { /* by folded name: few tables, so by insertion */
		size_t j = i;
		for (; j > 0 && strcmp(c->tables[order[j - 1]].folded, c->tables[i].folded) > 0; j--)
			order[j] = order[j - 1];
		order[j] = i;
	}
	if (trib_store_new(TRIB_LEFTOVER_MEM, &store, err))
		return -1;
	for (size_t i = 0; i < c->ntables; i++)
		if (emit_table(c, order[i], store, &e, err))
			return -1;
	if (!ret->nparts)
		return trib_emit_empty(&e, err);
	for (size_t i = 0; i < ret->nparts; i++)
		if (trib_cs_check(trib_buf_span(&ret->parts[i].changeset), NULL, err))
			return trib_ctx(err, "the composed changes are not in their one form");
	return 0;
}
