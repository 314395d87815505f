/* The rows that new commits touch, as they were before: found in the real city file and taken back change by change, from the newest commit to the oldest. Nothing
 * of this is trusted: the strict derivation goes forward from them, its digests begin with those that the earlier audit has proven, and in the end they must be
 * those of all rows of the real file. A false row would have to be one that the digest does not tell from the right one. */
#include "core/format/gzip.h"
#include "hub/audit_impl.h"

struct undo {
	struct trib_audit *a;
	struct trib_audit_file *real;
	struct trib_city *made;
	sqlite3 *db;                /* undo.db: only the rows touched */
	struct trib_mirror *mirror; /* in it */
	struct trib_repo *repo;     /* of `node` */
	char node[TRIB_NODE_MAX + 1];
};

static const char *text(sqlite3_stmt *st, int i)
{
	const char *s = (const char *)sqlite3_column_text(st, i);
	return s ? s : "";
}

/* ---- one commit ---- */

struct changes {
	struct trib_commit commit;
	struct trib_manifest manifest;
	struct trib_schematext schema;
	struct trib_buf schema_bytes, gz, raw;
};

static void changes_release(struct changes *c)
{
	trib_commit_release(&c->commit);
	trib_manifest_release(&c->manifest);
	trib_schematext_release(&c->schema);
	trib_buf_release(&c->schema_bytes);
	trib_buf_release(&c->gz);
	trib_buf_release(&c->raw);
}

/* The commit's rows, in form only: the derivation judges it. */
static int read_changes(struct trib_repo *repo, const uint8_t oid[TRIB_OID_LEN], struct changes *c, struct trib_err *err)
{
	c->schema_bytes = TRIB_BUF(TRIB_SCHEMA_MAX);
	c->gz = TRIB_BUF(TRIB_CHANGESET_GZ_MAX);
	c->raw = TRIB_BUF(TRIB_CHANGESET_RAW_MAX);
	if (trib_commit_read(repo, oid, &c->commit, err) || trib_manifest_parse(trib_buf_span(&c->commit.manifest), &c->manifest, err) ||
	    trib_commit_blob(repo, &c->commit, "schema.sql", TRIB_SCHEMA_MAX, &c->schema_bytes, err) ||
	    trib_schematext_parse(trib_buf_span(&c->schema_bytes), &c->schema, err))
		return -1;
	if (c->manifest.gz_len == 0)
		return 0;
	if (c->manifest.raw_len == 0 || c->manifest.raw_len > TRIB_CHANGESET_RAW_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "an impossible length");
	return trib_commit_blob(repo, &c->commit, "changeset.gz", TRIB_CHANGESET_GZ_MAX, &c->gz, err) ||
			       trib_gunzip(trib_buf_span(&c->gz), (size_t)c->manifest.raw_len, &c->raw, err) || trib_cs_check(trib_buf_span(&c->raw), NULL, err)
		       ? -1
		       : 0;
}

static int open_repo(struct undo *u, const char *node, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_repo_path(u->a->hub, node, u->made->app);
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (u->repo && strcmp(u->node, node) == 0)
		return 0;
	trib_repo_free(u->repo);
	u->repo = NULL;
	(void)snprintf(u->node, sizeof(u->node), "%s", node);
	return trib_repo_open(path, false, &u->repo, err);
}

static int back_commit(struct undo *u, const uint8_t oid[TRIB_OID_LEN], bool merged, struct trib_err *err)
{
	struct changes c = {0};
	struct trib_mismatch why;
	int rc = read_changes(u->repo, oid, &c, err);
	if (!rc && c.manifest.kind == TRIB_KIND_RESET)
		rc = trib_fail(err, TRIB_E_VERIFY, "#%llu begins anew with all rows", (unsigned long long)c.manifest.seq);
	if (!rc && c.raw.len)
		rc = trib_mirror_back(u->mirror, u->real->mirror, u->node, &c.schema, trib_buf_span(&c.raw), merged, &why, err);
	changes_release(&c);
	return rc;
}

/* ---- all of one city file, newest first ---- */

/* 1 the real file has taken the group in, 0 not, -1: as the log says, or the file's own note of what is still to be said. */
static int is_merged(struct undo *u, uint64_t idx, const char *node, int64_t seq, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *v = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *r = NULL;
	if (idx >= u->real->upto)
		return 0;
	if (trib_audit_sql(u->a->own, &v, err, "SELECT merged FROM v WHERE node = ? AND app = ? AND seq = ? ORDER BY idx LIMIT 1", "ssi", node, u->made->app, seq))
		return -1;
	int row = trib_db_step(u->a->own, v, err);
	if (row)
		return row < 0 ? -1 : sqlite3_column_int(v, 0);
	if (trib_audit_sql(u->real->db, &r, err, "SELECT 1 FROM _t_result WHERE leaf = ? AND reason IS NULL", "i", (int64_t)idx))
		return -1;
	return trib_db_step(u->real->db, r, err);
}

/* st: idx, node, seq, parts of a complete group. */
static int back_group(struct undo *u, sqlite3_stmt *st, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *part = NULL;
	int64_t seq = sqlite3_column_int64(st, 2);
	struct trib_where w = {.node = text(st, 1), .app = u->made->app, .seq = (uint64_t)seq};
	struct trib_err why;
	int merged = is_merged(u, (uint64_t)sqlite3_column_int64(st, 0), w.node, seq, err);
	if (merged < 0 || trib_audit_sql(u->a->own, &part, err, "SELECT oid FROM h WHERE node = ? AND app = ? AND seq <= ? AND seq > ? ORDER BY seq DESC", "ssii", w.node, w.app, seq,
					 seq - sqlite3_column_int64(st, 3)))
		return -1;
	if (open_repo(u, w.node, &why))
		return trib_audit_find(u->a, &w, err, "%s", why.msg);
	int row;
	while ((row = trib_db_step(u->a->own, part, err)) > 0) {
		uint8_t oid[TRIB_OID_LEN];
		trib_audit_bytes(part, 0, oid, sizeof(oid));
		if (back_commit(u, oid, merged != 0, &why))
			return trib_audit_find(u->a, &w, err, "%s", why.msg);
	}
	return row;
}

static int back_groups(struct undo *u, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_audit_sql(u->a->own, &st, err, "SELECT idx, node, seq, parts FROM h WHERE app = ? AND part = parts AND idx >= ? ORDER BY idx DESC", "si", u->made->app,
			   (int64_t)u->a->from))
		return -1;
	int row;
	while ((row = trib_db_step(u->a->own, st, err)) > 0)
		if (back_group(u, st, err))
			return -1;
	return row;
}

/* ---- into the scratch city ---- */

/* Columns that both tables have; a value in any other is one that the mirror could not have held then. */
static int give_sql(struct undo *u, const char *from, const char *to, struct trib_buf *select, struct trib_buf *insert, struct trib_buf *extra, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_buf) struct trib_buf cols = TRIB_BUF(TRIB_MIB), marks = TRIB_BUF(TRIB_MIB);
	if (trib_audit_sql(u->db, &st, err, "SELECT name FROM pragma_table_info(?) ORDER BY cid", "s", from))
		return -1;
	int row;
	while ((row = trib_db_step(u->db, st, err)) > 0) {
		TRIB_AUTO(trib_stmt) sqlite3_stmt *has = NULL;
		if (trib_audit_sql(u->made->db, &has, err, "SELECT 1 FROM pragma_table_info(?) WHERE name = ? COLLATE NOCASE", "ss", to, text(st, 0)))
			return -1;
		int there = trib_db_step(u->made->db, has, err);
		if (there < 0)
			return -1;
		struct trib_buf *b = there ? &cols : extra;
		trib_buf_puts(b, b->len == 0 ? "" : there ? "," : " OR ");
		trib_sql_ident(b, text(st, 0));
		trib_buf_puts(there ? &marks : extra, !there ? " IS NOT NULL" : marks.len ? ",?" : "?");
	}
	if (row < 0 || trib_buf_check(&cols, "SQL statement", err) || trib_buf_check(&marks, "SQL statement", err))
		return -1;
	trib_buf_puts(select, "SELECT ");
	trib_buf_put_span(select, trib_buf_span(&cols));
	trib_buf_puts(select, " FROM ");
	trib_sql_ident(select, from);
	trib_buf_puts(insert, "INSERT INTO ");
	trib_sql_ident(insert, to);
	trib_buf_printf(insert, "(%s) VALUES(%s)", trib_buf_str(&cols), trib_buf_str(&marks));
	return trib_buf_check(select, "SQL statement", err) || trib_buf_check(insert, "SQL statement", err) || trib_buf_check(extra, "SQL statement", err) ? -1 : 0;
}

/* Is there a row in undo.db's table, where the condition (none: any row) holds? */
static int any_row(struct undo *u, const char *table, const char *where, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(2 * TRIB_MIB);
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	trib_buf_puts(&sql, "SELECT 1 FROM ");
	trib_sql_ident(&sql, table);
	trib_buf_printf(&sql, " WHERE %s LIMIT 1", where);
	if (trib_buf_check(&sql, "SQL statement", err) || trib_db_prepare(u->db, trib_buf_str(&sql), &st, err))
		return -1;
	return trib_db_step(u->db, st, err);
}

static int give_table(struct undo *u, const char *from, const char *to, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf select = TRIB_BUF(2 * TRIB_MIB), insert = TRIB_BUF(2 * TRIB_MIB), extra = TRIB_BUF(2 * TRIB_MIB);
	TRIB_AUTO(trib_stmt) sqlite3_stmt *f = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *t = NULL;
	struct trib_where w = {.app = u->made->app, .table = from};
	if (give_sql(u, from, to, &select, &insert, &extra, err))
		return -1;
	int more = extra.len ? any_row(u, from, trib_buf_str(&extra), err) : 0;
	if (more)
		return more < 0 ? -1 : trib_audit_find(u->a, &w, err, "a row had values in a column before the city had the column");
	return trib_db_prepare(u->db, trib_buf_str(&select), &f, err) || trib_db_prepare(u->made->db, trib_buf_str(&insert), &t, err) ||
			       trib_audit_copy(u->db, f, u->made->db, t, 1, err)
		       ? -1
		       : 0;
}

static int give_rows(struct undo *u, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(u->db, "SELECT name, shape, mirror FROM _t_mirror ORDER BY mirror", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(u->db, st, err)) > 0) {
		TRIB_AUTO(trib_stmt) sqlite3_stmt *m = NULL;
		struct trib_where w = {.app = u->made->app, .table = text(st, 0)};
		if (trib_audit_sql(u->made->db, &m, err, "SELECT mirror FROM _t_mirror WHERE name = ? AND shape = ?", "ss", text(st, 0), text(st, 1)))
			return -1;
		int there = trib_db_step(u->made->db, m, err), any = there ? 0 : any_row(u, text(st, 2), "true", err);
		if (there < 0 || any < 0)
			return -1;
		if (any)
			return trib_audit_find(u->a, &w, err, "there were rows before the city had the table");
		if (there && give_table(u, text(st, 2), text(m, 0), err))
			return -1;
	}
	return row;
}

/* ---- each city file ---- */

static int count(struct trib_audit *a, const char *app, uint64_t from, int64_t *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_audit_sql(a->own, &st, err, "SELECT count(*) FROM h WHERE app = ? AND part = parts AND idx >= ? AND idx < ?", "sii", app, (int64_t)from, (int64_t)a->from) ||
	    trib_db_step(a->own, st, err) < 0)
		return -1;
	*ret = sqlite3_column_int64(st, 0);
	return 0;
}

static int undo_file(struct undo *u, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/undo-%s.db", u->a->dir, u->made->app);
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	trib_mirror_fixed(u->real->mirror);
	if (trib_db_open_own(path, false, &u->db, err) || trib_db_exec(u->db, "PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF; BEGIN", err) || trib_mirror_new(u->db, &u->mirror, err) ||
	    back_groups(u, err) || trib_db_exec(u->made->db, "BEGIN IMMEDIATE", err) || give_rows(u, err))
		return -1;
	return trib_db_exec(u->made->db, "COMMIT", err);
}

int trib_audit_undo(struct trib_audit *a, struct trib_err *err)
{
	for (size_t i = 0; i < a->made.ncities; i++) {
		struct undo u = {.a = a, .made = &a->made.cities[i]};
		struct trib_where w = {.app = u.made->app};
		int64_t behind;
		for (size_t k = 0; k < a->nfiles; k++)
			if (strcmp(a->files[k].app, u.made->app) == 0 && a->files[k].db)
				u.real = &a->files[k];
		/* What the earlier audit has derived and the file does not hold yet cannot be taken back from it. */
		if (count(a, u.made->app, u.real ? u.real->upto : 0, &behind, err))
			return -1;
		if (behind)
			return trib_audit_find(a, &w, err, u.real ? "the city database stands before the end of the last audit" : "the city database is missing");
		int rc = u.real ? undo_file(&u, err) : 0;
		trib_mirror_free(u.mirror);
		sqlite3_close_v2(u.db);
		trib_repo_free(u.repo);
		if (rc)
			return -1;
	}
	return 0;
}
