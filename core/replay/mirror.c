#include "core/replay/mirror.h"

#include <math.h>

#include "core/replay/shape.h"
#include "core/trust/hash.h"

#define SQL_MAX (TRIB_MIB * 4)
#define SHAPES_MAX 1024  /* tables times schemas in use at once; all are dropped beyond */
#define UPDATES_MAX 64   /* statements kept, one for each form of update */
#define SCHEMAS_MAX 16   /* schemas remembered; one more costs a look at each of its tables */
#define CONDITIONS_MAX 400 /* SQLite bounds an expression at 1,000 levels: a wider update looks at the old row first */

/* The form of an update, a byte a column. */
#define CHANGED 1
#define INTEGER 2 /* the old or key value is one: `=` alone would take 1.0 for 1 */
#define REAL 4

/* One table under one schema, with its statements. */
struct entry {
	struct trib_buf id;   /* what the shape was made from: equal bytes, equal shape */
	struct trib_shape s;
	sqlite3_stmt *select, *insert, *del;
	bool others;          /* the table has mirrors of other key shapes */
};

struct update {
	const struct entry *e;
	uint8_t *form;        /* ncol bytes */
	sqlite3_stmt *st;
	uint64_t used;
};

struct trib_mirror {
	sqlite3 *db;
	const char *node;     /* whose commit is being applied */
	bool shared, fixed;
	struct entry **entries;
	size_t nentries;
	struct update updates[UPDATES_MAX];
	uint64_t clock;
	struct trib_buf id;   /* scratch */
	uint8_t known[SCHEMAS_MAX][TRIB_SHA256_LEN]; /* schemas whose tables all have a mirror */
	uint64_t nknown;
};

/* ---- lifecycle ---- */

static void entry_free(struct entry *e)
{
	if (!e)
		return;
	sqlite3_finalize(e->select);
	sqlite3_finalize(e->insert);
	sqlite3_finalize(e->del);
	trib_shape_release(&e->s);
	trib_buf_release(&e->id);
	free(e);
}

static void update_release(struct update *u)
{
	sqlite3_finalize(u->st);
	free(u->form);
	*u = (struct update){0};
}

static void drop_entries(struct trib_mirror *m)
{
	for (size_t i = 0; i < UPDATES_MAX; i++)
		update_release(&m->updates[i]);
	for (size_t i = 0; i < m->nentries; i++)
		entry_free(m->entries[i]);
	m->nentries = 0;
}

void trib_mirror_forget(struct trib_mirror *m)
{
	drop_entries(m);
	m->nknown = 0;
}

int trib_mirror_new(sqlite3 *db, struct trib_mirror **ret, struct trib_err *err)
{
	struct trib_mirror *m;

	if (trib_shape_init(db, err) < 0)
		return -1;
	m = calloc(1, sizeof(*m));
	if (m)
		m->entries = calloc(SHAPES_MAX, sizeof(struct entry *));
	if (!m || !m->entries) {
		free(m);
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for a mirror");
	}
	m->db = db;
	trib_buf_init(&m->id, TRIB_SCHEMA_MAX);
	*ret = m;
	return 0;
}

void trib_mirror_free(struct trib_mirror *m)
{
	if (!m)
		return;
	drop_entries(m);
	free(m->entries);
	trib_buf_release(&m->id);
	free(m);
}

void trib_mirror_shared(struct trib_mirror *m) { m->shared = true; }
void trib_mirror_fixed(struct trib_mirror *m) { m->fixed = true; }

sqlite3 *trib_mirror_db(const struct trib_mirror *m)
{
	return m->db;
}

/* ---- statements ---- */

static int prepare(struct trib_mirror *m, struct trib_buf *sql, sqlite3_stmt **ret, struct trib_err *err)
{
	if (trib_buf_check(sql, "SQL statement", err) < 0)
		return -1;
	int rc = sqlite3_prepare_v3(m->db, trib_buf_str(sql), -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);
	if (rc == SQLITE_OK)
		return 0;
	/* The text is ours and the tables are there: what SQLite refuses is a size, of one node's making. */
	if ((rc & 0xff) == SQLITE_ERROR)
		return trib_fail(err, TRIB_E_LIMIT, "the table is wider than SQLite allows: %s", sqlite3_errmsg(m->db));
	return trib_db_fail(err, m->db, "preparing a change of the mirror");
}

static int prepare_entry(struct trib_mirror *m, struct entry *e, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf sel = TRIB_BUF(SQL_MAX), ins = TRIB_BUF(SQL_MAX), del = TRIB_BUF(SQL_MAX);

	trib_buf_puts(&sel, "SELECT ");
	trib_shape_sql_columns(&sel, &e->s);
	trib_buf_puts(&sel, " FROM ");
	trib_sql_ident(&sel, e->s.mirror);
	trib_buf_puts(&sel, " WHERE ");
	trib_shape_sql_key(&sel, &e->s);
	trib_buf_puts(&del, "DELETE FROM ");
	trib_sql_ident(&del, e->s.mirror);
	trib_buf_puts(&del, " WHERE ");
	trib_shape_sql_key(&del, &e->s);
	trib_buf_puts(&ins, "INSERT INTO ");
	trib_sql_ident(&ins, e->s.mirror);
	trib_buf_puts(&ins, e->s.bag ? "(\"_node\",\"_hash\"," : "(\"_node\",");
	trib_shape_sql_columns(&ins, &e->s);
	trib_buf_puts(&ins, e->s.bag ? ") VALUES(?1,?2" : ") VALUES(?1");
	for (size_t i = 0; i < e->s.ncol; i++)
		trib_buf_puts(&ins, ",?");
	trib_buf_putc(&ins, ')');
	if (prepare(m, &sel, &e->select, err) < 0 || prepare(m, &ins, &e->insert, err) < 0 || prepare(m, &del, &e->del, err) < 0)
		return trib_ctx(err, "table %s", e->s.name);
	return 0;
}

static bool is_wide(const struct trib_shape *s, const uint8_t *form)
{
	size_t n = 0;

	for (size_t i = 0; i < s->ncol; i++)
		n += form[i] ? 2 : 0;
	return n > CONDITIONS_MAX;
}

/* UPDATE of the changed columns, only where key and old values are what they were: ?1 node, key, then for each changed column its new
 * value, then for each its old one. Text, blob and NULL are told apart by IS itself; numbers need their class named. A wide one has the key alone as
 * its condition. */
static void update_sql(struct trib_buf *sql, const struct trib_shape *s, const uint8_t *form)
{
	const char *sep = " SET ";
	size_t nkey = trib_shape_nkey(s), param = nkey + 2;

	trib_buf_puts(sql, "UPDATE ");
	trib_sql_ident(sql, s->mirror);
	for (size_t i = 0; i < s->ncol; i++) {
		if (!(form[i] & CHANGED))
			continue;
		trib_buf_puts(sql, sep);
		trib_sql_ident(sql, s->city[i]);
		trib_buf_printf(sql, "=?%zu", param++);
		sep = ",";
	}
	trib_buf_puts(sql, " WHERE ");
	trib_shape_sql_key(sql, s);
	if (is_wide(s, form))
		return;
	for (size_t i = 0; i < s->ncol; i++) {
		if (form[i] & CHANGED) {
			trib_buf_puts(sql, " AND ");
			trib_sql_ident(sql, s->city[i]);
			trib_buf_printf(sql, " IS ?%zu", param++);
		}
		if (form[i] & (INTEGER | REAL)) {
			trib_buf_puts(sql, " AND typeof(");
			trib_sql_ident(sql, s->city[i]);
			trib_buf_puts(sql, form[i] & INTEGER ? ")='integer'" : ")='real'");
		}
	}
}

static int get_update(struct trib_mirror *m, const struct entry *e, const uint8_t *form, sqlite3_stmt **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(SQL_MAX);
	struct update *oldest = &m->updates[0];

	for (size_t i = 0; i < UPDATES_MAX; i++) {
		struct update *u = &m->updates[i];

		if (u->e == e && memcmp(u->form, form, e->s.ncol) == 0) {
			u->used = ++m->clock;
			*ret = u->st;
			return 0;
		}
		if (u->used < oldest->used)
			oldest = u;
	}
	update_release(oldest);
	update_sql(&sql, &e->s, form);
	if (prepare(m, &sql, &oldest->st, err) < 0)
		return trib_ctx(err, "table %s", e->s.name);
	oldest->form = malloc(e->s.ncol);
	if (!oldest->form) {
		update_release(oldest);
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for a statement");
	}
	memcpy(oldest->form, form, e->s.ncol);
	oldest->e = e;
	oldest->used = ++m->clock;
	*ret = oldest->st;
	return 0;
}

/* ---- tables ---- */

static int has_others(struct trib_mirror *m, const struct trib_shape *s, bool *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int r;

	if (trib_db_prepare(m->db, "SELECT 1 FROM \"_t_mirror\" WHERE name=?1 AND mirror<>?2", &st, err) < 0)
		return -1;
	if (sqlite3_bind_text(st, 1, s->name, -1, SQLITE_STATIC) != SQLITE_OK || sqlite3_bind_text(st, 2, s->mirror, -1, SQLITE_STATIC) != SQLITE_OK)
		return trib_db_fail(err, m->db, "binding a table name");
	r = trib_db_step(m->db, st, err);
	if (r < 0)
		return -1;
	*ret = r == 1;
	return 0;
}

/* The columns must be the schema's: values go by name, and the header has only places. */
static int check_header(const struct trib_cs_table *t, const struct trib_st_table *st, struct trib_err *err)
{
	bool ok = t->bag == st->bag && t->ncol == st->ncols + (st->bag ? 1 : 0);

	for (size_t i = 0; ok && i < st->ncols; i++)
		ok = st->bag || t->pk[i] == st->cols[i].pk;
	return ok ? 0 : trib_fail(err, TRIB_E_SCHEMA, "table %s: the changeset's columns are not the schema's", st->name);
}

static int make_id(struct trib_buf *b, const struct trib_st_table *t, struct trib_err *err)
{
	trib_buf_reset(b);
	trib_buf_putc(b, t->bag);
	trib_buf_puts(b, t->name);
	for (size_t i = 0; i < t->ncols; i++) {
		trib_buf_putc(b, 0);
		trib_buf_putc(b, (uint8_t)t->cols[i].pk);
		trib_buf_puts(b, t->cols[i].name);
	}
	return trib_buf_check(b, "table description", err);
}

/* What a node may add to the city's files, ever: empty tables and columns cost it nothing, and all others their time. */
static int count_made(struct trib_mirror *m, int64_t tables, int64_t columns, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;

	if (trib_db_prepare(m->db, "INSERT INTO \"_t_made\"(node, tables, columns) VALUES(?1, ?2, ?3) ON CONFLICT(node) DO UPDATE SET tables=tables+?2,"
				   " columns=columns+?3 RETURNING tables, columns", &st, err) < 0)
		return -1;
	if (sqlite3_bind_text(st, 1, m->node, -1, SQLITE_STATIC) != SQLITE_OK || sqlite3_bind_int64(st, 2, tables) != SQLITE_OK ||
	    sqlite3_bind_int64(st, 3, columns) != SQLITE_OK)
		return trib_db_fail(err, m->db, "binding a node");
	if (trib_db_step(m->db, st, err) < 0)
		return -1;
	if (m->shared && sqlite3_column_int64(st, 0) > TRIB_NODE_TABLES_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "%s has brought more than %d tables into the city over time", m->node, TRIB_NODE_TABLES_MAX);
	if (m->shared && sqlite3_column_int64(st, 1) > TRIB_NODE_COLUMNS_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "%s has added more than %d columns to tables of the city over time", m->node, TRIB_NODE_COLUMNS_MAX);
	return 0;
}

static int make_entry(struct trib_mirror *m, const struct trib_st_table *st, struct entry *e, struct trib_err *err)
{
	bool found = false;

	trib_buf_init(&e->id, TRIB_SCHEMA_MAX);
	trib_buf_put_span(&e->id, trib_buf_span(&m->id));
	if (trib_buf_check(&e->id, "table description", err) < 0)
		return -1;
	if (trib_shape_resolve(m->db, st, false, &e->s, &found, err) < 0)
		return -1;
	size_t missing = found ? trib_shape_missing(&e->s) : 0;
	if (!found || missing) {
		trib_shape_release(&e->s);
		if (m->fixed)
			return trib_fail(err, TRIB_E_SCHEMA, "there is no table %s with these columns", st->name);
		if (count_made(m, !found, (int64_t)missing, err) < 0 || trib_shape_resolve(m->db, st, true, &e->s, &found, err) < 0)
			return -1;
	}
	if (has_others(m, &e->s, &e->others, err) < 0)
		return -1;
	return prepare_entry(m, e, err);
}

static int entry_of(struct trib_mirror *m, const struct trib_st_table *st, struct entry **ret, struct trib_err *err)
{
	struct entry *e;

	if (make_id(&m->id, st, err) < 0)
		return -1;
	for (size_t i = 0; i < m->nentries; i++) {
		if (trib_span_eq(trib_buf_span(&m->entries[i]->id), trib_buf_span(&m->id))) {
			*ret = m->entries[i];
			return 0;
		}
	}
	if (m->nentries == SHAPES_MAX)
		drop_entries(m);
	e = calloc(1, sizeof(*e));
	if (!e)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for a table");
	if (make_entry(m, st, e, err) < 0) {
		entry_free(e);
		return -1;
	}
	/* A new mirror may be the second one of tables that are cached as having one. */
	for (size_t i = 0; i < m->nentries; i++)
		if (strcmp(m->entries[i]->s.name, e->s.name) == 0 && strcmp(m->entries[i]->s.mirror, e->s.mirror) != 0)
			m->entries[i]->others = e->others = true;
	m->entries[m->nentries++] = e;
	*ret = e;
	return 0;
}

static int find_entry(struct trib_mirror *m, const struct trib_schematext *schema, const struct trib_cs_table *t, struct entry **ret,
		      struct trib_err *err)
{
	const struct trib_st_table *st = trib_schematext_find(schema, t->name);

	if (!st)
		return trib_fail(err, TRIB_E_SCHEMA, "the changeset holds a table that the schema does not list");
	return check_header(t, st, err) < 0 ? -1 : entry_of(m, st, ret, err);
}

/* Empty tables too: a report that asks for one must find no rows, not no table. Most communities share few schemas. */
static int make_tables(struct trib_mirror *m, const struct trib_judged *j, struct trib_err *err)
{
	const struct trib_mf_blob *b = trib_manifest_blob(&j->manifest, "schema.sql");
	struct entry *e;

	if (!b)
		return 0;
	for (uint64_t i = 0; i < m->nknown && i < SCHEMAS_MAX; i++)
		if (memcmp(m->known[i], b->sha256, TRIB_SHA256_LEN) == 0)
			return 0;
	for (size_t i = 0; i < j->schema.ntables; i++)
		if (!j->schema.tables[i].bag && entry_of(m, &j->schema.tables[i], &e, err) < 0)
			return -1;
	memcpy(m->known[m->nknown++ % SCHEMAS_MAX], b->sha256, TRIB_SHA256_LEN);
	return 0;
}

/* ---- changes ---- */

struct apply {
	struct trib_mirror *m;
	const char *node;
	struct entry *e;
	const struct trib_change *c;
	struct trib_mismatch *why;
	uint8_t form[TRIB_COLUMNS_MAX + 1];
};

static int out_of_step(const struct apply *a, const char *reason, struct trib_err *err)
{
	size_t n = a->c->key.n < sizeof(a->why->key) ? a->c->key.n : sizeof(a->why->key);

	memset(a->why, 0, sizeof(*a->why));
	snprintf(a->why->table, sizeof(a->why->table), "%s", a->e->s.name);
	snprintf(a->why->reason, sizeof(a->why->reason), "%s", reason);
	if (n)
		memcpy(a->why->key, a->c->key.p, n);
	a->why->key_len = n;
	char hex[2 * 24 + 1];
	trib_hex(hex, a->why->key, n < 24 ? n : 24);
	return trib_fail(err, TRIB_E_OUT_OF_STEP, "table %s, row %s%s: %s", a->e->s.name, hex, n > 24 ? "..." : "", reason);
}

static int bind_fail(const struct apply *a, struct trib_err *err)
{
	return trib_fail(err, TRIB_E_DB, "table %s: a value cannot be bound: %s", a->e->s.name, sqlite3_errmsg(a->m->db));
}

/* Binds ?1 (node) and the key. A bag's is the hash of its canonical row; `hash` must live until the statement is reset. */
static int bind_key(const struct apply *a, sqlite3_stmt *st, const struct trib_value *row, uint8_t hash[TRIB_SHA256_LEN], struct trib_err *err)
{
	const struct trib_shape *s = &a->e->s;

	if (sqlite3_bind_text(st, 1, a->node, -1, SQLITE_STATIC) != SQLITE_OK)
		return bind_fail(a, err);
	if (s->bag) {
		trib_sha256(hash, a->c->key);
		return sqlite3_bind_blob(st, 2, hash, TRIB_SHA256_LEN, SQLITE_STATIC) == SQLITE_OK ? 0 : bind_fail(a, err);
	}
	for (size_t i = 0; i < s->ncol; i++)
		if (s->pk[i] && trib_value_bind(st, s->pk[i] + 1, &row[i]) < 0)
			return bind_fail(a, err);
	return 0;
}

static int run(const struct apply *a, sqlite3_stmt *st, struct trib_err *err)
{
	int r = trib_db_step(a->m->db, st, err);

	(void)sqlite3_reset(st);
	return r < 0 ? -1 : 0;
}

/* Compares the row as it stands with the old record, by class and bytes. */
static int check_old(const struct apply *a, struct trib_err *err)
{
	sqlite3_stmt *st = a->e->select;
	uint8_t hash[TRIB_SHA256_LEN];
	int r;

	if (bind_key(a, st, a->c->old, hash, err) < 0)
		return -1;
	r = trib_db_step(a->m->db, st, err);
	if (r == 0)
		r = out_of_step(a, "row-missing", err);
	for (size_t i = 0; r == 1 && i < a->e->s.ncol; i++) {
		struct trib_value v;

		if (a->c->old[i].type == TRIB_UNDEF)
			continue;
		trib_value_column(st, (int)i, &v);
		if (!trib_value_eq(&v, &a->c->old[i]))
			r = out_of_step(a, "old-value-differs", err);
	}
	(void)sqlite3_reset(st);
	return r < 0 ? -1 : 0;
}

static int apply_delete(const struct apply *a, struct trib_err *err)
{
	uint8_t hash[TRIB_SHA256_LEN];

	if (check_old(a, err) < 0 || bind_key(a, a->e->del, a->c->old, hash, err) < 0)
		return -1;
	return run(a, a->e->del, err);
}

static int apply_insert(const struct apply *a, struct trib_err *err)
{
	const struct trib_shape *s = &a->e->s;
	sqlite3_stmt *st = a->e->insert;
	uint8_t hash[TRIB_SHA256_LEN];
	int first = s->bag ? 3 : 2, rc;

	if (sqlite3_bind_text(st, 1, a->node, -1, SQLITE_STATIC) != SQLITE_OK)
		return bind_fail(a, err);
	if (s->bag) {
		trib_sha256(hash, a->c->key);
		if (sqlite3_bind_blob(st, 2, hash, sizeof(hash), SQLITE_STATIC) != SQLITE_OK)
			return bind_fail(a, err);
	}
	for (size_t i = 0; i < s->ncol; i++)
		if (trib_value_bind(st, first + (int)i, &a->c->new[i]) < 0)
			return bind_fail(a, err);
	rc = sqlite3_step(st);
	if (rc == SQLITE_DONE) {
		(void)sqlite3_reset(st);
		return 0;
	}
	bool exists = (rc & 0xff) == SQLITE_CONSTRAINT;
	if (!exists)
		(void)trib_db_fail(err, a->m->db, "inserting into the mirror");
	(void)sqlite3_reset(st);
	return exists ? out_of_step(a, "row-exists", err) : -1;
}

static int bind_update(const struct apply *a, sqlite3_stmt *st, uint8_t hash[TRIB_SHA256_LEN], struct trib_err *err)
{
	const struct trib_shape *s = &a->e->s;
	int param = (int)trib_shape_nkey(s) + 2;

	if (bind_key(a, st, a->c->old, hash, err) < 0)
		return -1;
	for (size_t i = 0; i < s->ncol; i++)
		if ((a->form[i] & CHANGED) && trib_value_bind(st, param++, &a->c->new[i]) < 0)
			return bind_fail(a, err);
	if (is_wide(s, a->form))
		return 0;
	for (size_t i = 0; i < s->ncol; i++)
		if ((a->form[i] & CHANGED) && trib_value_bind(st, param++, &a->c->old[i]) < 0)
			return bind_fail(a, err);
	return 0;
}

static uint8_t form_of(const struct trib_value *old, bool changed, bool key)
{
	uint8_t class = old->type == TRIB_INT ? INTEGER : old->type == TRIB_REAL ? REAL : 0;

	return (uint8_t)((changed ? CHANGED : 0) | (changed || key ? class : 0));
}

/* One statement checks and writes. Zeros are looked at first, since 0.0 IS -0.0 for SQL; a miss is looked at after, for the reason. */
static int apply_update(struct apply *a, struct trib_err *err)
{
	const struct trib_shape *s = &a->e->s;
	uint8_t hash[TRIB_SHA256_LEN];
	sqlite3_stmt *st = NULL;
	bool look = false;

	for (size_t i = 0; i < s->ncol; i++) {
		const struct trib_value *old = &a->c->old[i];

		a->form[i] = form_of(old, a->c->new[i].type != TRIB_UNDEF, s->pk[i] && !s->bag);
		look |= old->type == TRIB_REAL && fpclassify(old->r) == FP_ZERO;
	}
	look |= is_wide(s, a->form);
	if (look && check_old(a, err) < 0)
		return -1;
	if (get_update(a->m, a->e, a->form, &st, err) < 0 || bind_update(a, st, hash, err) < 0 || run(a, st, err) < 0)
		return -1;
	if (sqlite3_changes(a->m->db) == 1)
		return 0;
	if (check_old(a, err) < 0)
		return -1;
	return trib_fail(err, TRIB_E_DB, "table %s: an update that fits changed no row", s->name);
}

/* A node whose key shape changed has emptied the table before: rows under another key would stand there twice. */
static int check_others(struct apply *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int r;

	if (!a->e->others)
		return 0;
	if (trib_db_prepare(a->m->db, "SELECT mirror FROM \"_t_mirror\" WHERE name=?1 AND mirror<>?2", &st, err) < 0)
		return -1;
	if (sqlite3_bind_text(st, 1, a->e->s.name, -1, SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_bind_text(st, 2, a->e->s.mirror, -1, SQLITE_STATIC) != SQLITE_OK)
		return bind_fail(a, err);
	while ((r = trib_db_step(a->m->db, st, err)) == 1) {
		TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(SQL_MAX);
		TRIB_AUTO(trib_stmt) sqlite3_stmt *any = NULL;
		const char *mirror = (const char *)sqlite3_column_text(st, 0);
		int found;

		trib_buf_puts(&sql, "SELECT 1 FROM ");
		trib_sql_ident(&sql, mirror ? mirror : "");
		trib_buf_puts(&sql, " WHERE \"_node\"=?1 LIMIT 1");
		if (trib_buf_check(&sql, "SQL statement", err) < 0 || trib_db_prepare(a->m->db, trib_buf_str(&sql), &any, err) < 0)
			return -1;
		if (sqlite3_bind_text(any, 1, a->node, -1, SQLITE_STATIC) != SQLITE_OK)
			return bind_fail(a, err);
		found = trib_db_step(a->m->db, any, err);
		if (found < 0)
			return -1;
		if (found)
			return out_of_step(a, "other-key-has-rows", err);
	}
	return r;
}

static int apply_change(struct apply *a, struct trib_err *err)
{
	switch (a->c->op) {
	case TRIB_DELETE:
		return apply_delete(a, err);
	case TRIB_INSERT:
		return apply_insert(a, err);
	default:
		return apply_update(a, err);
	}
}

int trib_mirror_apply(struct trib_mirror *m, const char *node, const struct trib_schematext *schema, struct trib_span changeset,
		      struct trib_mismatch *ret_why, struct trib_err *err)
{
	TRIB_AUTO(trib_cs_reader) struct trib_cs_reader *r = trib_cs_reader_new(changeset);
	TRIB_AUTO(trib_mem) struct apply *a = calloc(1, sizeof(*a));
	const uint8_t *header = NULL;
	struct trib_change c;
	int got;

	if (!r || !a)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for a changeset");
	m->node = node;
	*a = (struct apply){.m = m, .node = node, .c = &c, .why = ret_why};
	while ((got = trib_cs_next(r, &c, err)) == 1) {
		if (c.table->name.p != header) {
			header = c.table->name.p;
			if (find_entry(m, schema, c.table, &a->e, err) < 0 || check_others(a, err) < 0)
				return -1;
		}
		if (apply_change(a, err) < 0)
			return -1;
	}
	return got;
}

/* ---- a reset ---- */

static int clear_node(struct trib_mirror *m, const char *node, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int r;

	if (trib_db_prepare(m->db, "SELECT mirror FROM \"_t_mirror\" ORDER BY mirror", &st, err) < 0)
		return -1;
	while ((r = trib_db_step(m->db, st, err)) == 1) {
		TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(SQL_MAX);
		TRIB_AUTO(trib_stmt) sqlite3_stmt *del = NULL;
		const char *mirror = (const char *)sqlite3_column_text(st, 0);

		trib_buf_puts(&sql, "DELETE FROM ");
		trib_sql_ident(&sql, mirror ? mirror : "");
		trib_buf_puts(&sql, " WHERE \"_node\"=?1");
		if (trib_buf_check(&sql, "SQL statement", err) < 0 || trib_db_prepare(m->db, trib_buf_str(&sql), &del, err) < 0)
			return -1;
		if (sqlite3_bind_text(del, 1, node, -1, SQLITE_STATIC) != SQLITE_OK)
			return trib_db_fail(err, m->db, "binding a node");
		if (trib_db_step(m->db, del, err) < 0)
			return -1;
	}
	return r;
}

int trib_mirror_apply_judged(struct trib_mirror *m, const struct trib_judged *j, struct trib_mismatch *ret_why, struct trib_err *err)
{
	if (j->manifest.kind == TRIB_KIND_RESET && j->manifest.part == 1 && clear_node(m, j->manifest.node, err) < 0)
		return trib_ctx(err, "resetting %s", j->manifest.node);
	m->node = j->manifest.node;
	if (make_tables(m, j, err) < 0)
		return trib_ctx(err, "making the tables of %s", j->manifest.node);
	if (j->changeset.len == 0)
		return 0;
	if (trib_mirror_apply(m, j->manifest.node, &j->schema, trib_buf_span(&j->changeset), ret_why, err) < 0)
		return trib_ctx(err, "applying #%llu of %s", (unsigned long long)j->manifest.seq, j->manifest.node);
	return 0;
}

/* ---- the way back ---- */

struct back {
	struct apply to, from;
	sqlite3_stmt *taken;
	struct trib_change c;
	struct trib_value old[TRIB_COLUMNS_MAX + 1], new[TRIB_COLUMNS_MAX + 1];
};

/* The change that takes `c` back. */
static void invert(struct back *b, const struct trib_change *c, struct trib_change *ret)
{
	*ret = *c;
	ret->old = c->new;
	ret->new = c->old;
	ret->op = c->op == TRIB_DELETE ? TRIB_INSERT : c->op == TRIB_INSERT ? TRIB_DELETE : TRIB_UPDATE;
	if (c->op != TRIB_UPDATE)
		return;
	for (size_t i = 0; i < c->table->ncol; i++) {
		bool changed = c->new[i].type != TRIB_UNDEF;

		b->old[i] = changed ? c->new[i] : c->old[i];
		b->new[i] = changed ? c->old[i] : (struct trib_value){.type = TRIB_UNDEF};
	}
	ret->old = b->old;
	ret->new = b->new;
}

/* 1 the row was not taken before, 0 it was, -1. */
static int first_time(struct back *b, struct trib_err *err)
{
	sqlite3 *db = b->to.m->db;

	(void)sqlite3_reset(b->taken);
	if (sqlite3_bind_text(b->taken, 1, b->to.node, -1, SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_bind_text(b->taken, 2, b->to.e->s.mirror, -1, SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_bind_blob(b->taken, 3, b->to.c->key.n ? (const void *)b->to.c->key.p : "", (int)b->to.c->key.n, SQLITE_STATIC) != SQLITE_OK)
		return trib_db_fail(err, db, "binding a key");
	return trib_db_step(db, b->taken, err) < 0 ? -1 : sqlite3_changes(db);
}

/* Copies the row as it stands in `from`, when there is one. */
static int take_row(struct back *b, const struct trib_value *key, struct trib_err *err)
{
	sqlite3_stmt *look = b->from.e->select, *put = b->to.e->insert;
	uint8_t hash[TRIB_SHA256_LEN];
	int first = b->to.e->s.bag ? 3 : 2, r;

	if (bind_key(&b->from, look, key, hash, err) < 0)
		return -1;
	r = trib_db_step(b->from.m->db, look, err);
	if (r == 1) {
		int rc = sqlite3_bind_text(put, 1, b->to.node, -1, SQLITE_STATIC);

		if (rc == SQLITE_OK && b->to.e->s.bag)
			rc = sqlite3_bind_blob(put, 2, hash, sizeof(hash), SQLITE_STATIC);
		for (size_t i = 0; rc == SQLITE_OK && i < b->to.e->s.ncol; i++)
			rc = sqlite3_bind_value(put, first + (int)i, sqlite3_column_value(look, (int)i));
		r = rc == SQLITE_OK ? run(&b->to, put, err) : bind_fail(&b->to, err);
	}
	(void)sqlite3_reset(look);
	return r < 0 ? -1 : 0;
}

static int back_change(struct back *b, const struct trib_change *c, bool undo, struct trib_err *err)
{
	b->to.c = b->from.c = c;
	int first = first_time(b, err);

	if (first < 0 || (first && take_row(b, c->op == TRIB_INSERT ? c->new : c->old, err) < 0))
		return -1;
	if (!undo)
		return 0;
	invert(b, c, &b->c);
	b->to.c = &b->c;
	return apply_change(&b->to, err);
}

static int back_table(struct back *b, const struct trib_schematext *schema, const struct trib_cs_table *t, struct trib_err *err)
{
	/* Names are equal, so columns have the same order on both sides. */
	return find_entry(b->to.m, schema, t, &b->to.e, err) < 0 || find_entry(b->from.m, schema, t, &b->from.e, err) < 0 ? -1 : 0;
}

int trib_mirror_back(struct trib_mirror *m, struct trib_mirror *from, const char *node, const struct trib_schematext *schema, struct trib_span changeset,
		     bool undo, struct trib_mismatch *ret_why, struct trib_err *err)
{
	TRIB_AUTO(trib_cs_reader) struct trib_cs_reader *r = trib_cs_reader_new(changeset);
	TRIB_AUTO(trib_mem) struct back *b = calloc(1, sizeof(*b));
	TRIB_AUTO(trib_stmt) sqlite3_stmt *taken = NULL;
	const uint8_t *header = NULL;
	struct trib_change c;
	int got;

	if (!r || !b)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for a changeset");
	if (trib_db_exec(m->db, "CREATE TEMP TABLE IF NOT EXISTS taken(node TEXT, mirror TEXT, key BLOB, PRIMARY KEY(node, mirror, key)) WITHOUT ROWID", err) < 0 ||
	    trib_db_prepare(m->db, "INSERT OR IGNORE INTO taken(node, mirror, key) VALUES(?1, ?2, ?3)", &taken, err) < 0)
		return -1;
	m->node = from->node = node;
	b->taken = taken;
	b->to = (struct apply){.m = m, .node = node, .why = ret_why};
	b->from = (struct apply){.m = from, .node = node, .why = ret_why};
	while ((got = trib_cs_next(r, &c, err)) == 1) {
		if (c.table->name.p != header) {
			header = c.table->name.p;
			if (back_table(b, schema, c.table, err) < 0)
				return -1;
		}
		if (back_change(b, &c, undo, err) < 0)
			return -1;
	}
	return got;
}
