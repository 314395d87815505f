/* What a clean audit has proven is kept, and the next one goes on from there: scratch.db itself, with its facts of all leaves, and for each city file all
 * but the rows. It is kept as DIR/audited.HEX.db, named by its SHA-256, which the small record DIR/audited holds: whoever keeps a copy of the record
 * elsewhere need not trust the hub for the file. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "core/base/clock.h"
#include "core/trust/hash.h"
#include "hub/audit_impl.h"

/* Raised whenever an audit judges, derives or keeps in another way than before. */
#define RULES 3

static const char *const city_tables[] = {"_t_mirror", "_t_column", "_t_made", "_t_view", "_t_history", "_t_digest", "_t_ledger", "_t_result", "_t_merged", "_t_node"};

static const char *text(sqlite3_stmt *st, int i)
{
	const char *s = (const char *)sqlite3_column_text(st, i);
	return s ? s : "";
}

/* ---- DIR/audited ---- */

int trib_audited_parse(struct trib_span bytes, struct trib_audited *ret, struct trib_err *err)
{
	struct trib_kv kv = trib_kv(bytes);
	struct trib_span format;
	struct trib_audited a = {0};
	if (trib_kv_take(&kv, "format", 1, &format, err))
		return -1;
	a.has_state = trib_span_is(format, "tributary-audited-2");
	if (!a.has_state && !trib_span_is(format, "tributary-audited-1"))
		return trib_fail(err, TRIB_E_FORMAT, "line 1: not a record of an audit");
	if (trib_kv_take_time(&kv, "time", &a.time, err) || trib_kv_take_u64(&kv, "size", &a.size, err) || trib_kv_take_hex(&kv, "root", a.root, sizeof(a.root), err) ||
	    (a.has_state && trib_kv_take_hex(&kv, "state", a.state, sizeof(a.state), err)) || trib_kv_end(&kv, err))
		return -1;
	*ret = a;
	return 0;
}

int trib_audited_load(const struct trib_hub *hub, struct trib_audited *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, "audited");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(4096);
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_fs_read(path, &b, err))
		return -1;
	return trib_audited_parse(trib_buf_span(&b), ret, err) ? trib_ctx(err, "%s", path) : 0;
}

int trib_audited_save(const struct trib_hub *hub, const struct trib_audited *a, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, "audited");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(4096);
	char when[TRIB_TIME_LEN + 1];
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	trib_time_text(when, a->time);
	trib_buf_printf(&b, "format tributary-audited-%d\ntime %s\nsize %llu\nroot ", a->has_state ? 2 : 1, when, (unsigned long long)a->size);
	trib_buf_hex(&b, a->root, sizeof(a->root));
	if (a->has_state) {
		trib_buf_puts(&b, "\nstate ");
		trib_buf_hex(&b, a->state, sizeof(a->state));
	}
	trib_buf_putc(&b, '\n');
	if (trib_buf_check(&b, "audited", err))
		return -1;
	return trib_fs_write(path, trib_buf_span(&b), 0600, err);
}

/* ---- the file ---- */

static void state_name(char ret[32], const struct trib_audited *a)
{
	char hex[2 * 8 + 1];
	trib_hex(hex, a->state, 8);
	(void)snprintf(ret, 32, "audited.%s.db", hex);
}

/* Reads `from` to its end; into `to` as well when it is not NULL. */
static int hash_file(const char *from, const char *to, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_fd) int in = open(from, O_RDONLY | O_CLOEXEC);
	TRIB_AUTO(trib_fd) int out = in >= 0 && to ? open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600) : -1;
	if (in < 0 || (to && out < 0))
		return trib_fail_errno(err, "opening %s", in < 0 ? from : to);
	TRIB_AUTO(trib_mem) uint8_t *block = malloc(TRIB_MIB);
	if (!block)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	struct trib_sha256_ctx *sha = trib_sha256_new();
	ssize_t n;
	int rc = 0;
	while (!rc && (n = read(in, block, TRIB_MIB)) > 0) {
		trib_sha256_add(sha, trib_span(block, (size_t)n));
		rc = to ? trib_fs_write_all(out, trib_span(block, (size_t)n), err) : 0;
	}
	if (!rc && n < 0)
		rc = trib_fail_errno(err, "reading %s", from);
	trib_sha256_end(sha, ret);
	return rc;
}

static int read_kept(struct trib_audit *a, const struct trib_audited *last, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	uint8_t root[TRIB_SHA256_LEN];
	if (trib_db_prepare(a->own,
			    "SELECT rules, program, city, size, root, log_pub, first_origin, origin, opened, crl, night_to, night_first, city_seq, city_merged, city_log, city_oid, "
			    "city_manifest, policy, policy_sha FROM kept",
			    &st, err))
		return -1;
	int row = trib_db_step(a->own, st, err);
	if (row < 0)
		return -1;
	if (!row || sqlite3_column_int(st, 0) != RULES || strcmp(text(st, 1), TRIB_VERSION) != 0)
		return trib_fail(err, TRIB_E_VERSION, "it was made by another version of this program (%s)", row ? text(st, 1) : "-");
	trib_audit_bytes(st, 4, root, sizeof(root));
	if (strcmp(text(st, 2), a->hub->city) != 0 || (uint64_t)sqlite3_column_int64(st, 3) != last->size || memcmp(root, last->root, sizeof(root)) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "it is of %s, %lld leaves: not of this city's last audit", text(st, 2), (long long)sqlite3_column_int64(st, 3));
	a->has_pub = trib_audit_bytes(st, 5, a->log_pub, sizeof(a->log_pub));
	(void)snprintf(a->first_origin, sizeof(a->first_origin), "%s", text(st, 6));
	(void)snprintf(a->origin, sizeof(a->origin), "%s", text(st, 7));
	a->opened = sqlite3_column_int64(st, 8);
	a->from_crl = a->crl_number = (uint64_t)sqlite3_column_int64(st, 9);
	a->at = (struct trib_audit_at){.night_to = sqlite3_column_int64(st, 10), .night_first = (uint64_t)sqlite3_column_int64(st, 11),
				       .city_seq = (uint64_t)sqlite3_column_int64(st, 12), .city_merged = (uint64_t)sqlite3_column_int64(st, 13),
				       .city_log = (uint64_t)sqlite3_column_int64(st, 14)};
	trib_audit_bytes(st, 15, a->at.city_oid, sizeof(a->at.city_oid));
	trib_audit_bytes(st, 16, a->at.city_manifest, sizeof(a->at.city_manifest));
	a->policy = (uint64_t)sqlite3_column_int64(st, 17);
	trib_audit_bytes(st, 18, a->policy_sha, sizeof(a->policy_sha));
	a->from_city = a->at.city_seq;
	memcpy(a->from_city_oid, a->at.city_oid, TRIB_OID_LEN);
	a->from = last->size;
	return 0;
}

/* The file that the record names: beside it, or the hub's own. */
static char *state_file(const struct trib_hub *hub, const struct trib_audited *last, const char *beside)
{
	char name[32];
	state_name(name, last);
	char *near = beside ? trib_path(beside, name) : NULL;
	if ((beside && !near) || (near && trib_fs_exists(near)))
		return near;
	free(near);
	return trib_hub_path(hub, name);
}

int trib_audit_kept_open(struct trib_audit *a, const char *path, const struct trib_audited *last, const char *beside, struct trib_err *err)
{
	uint8_t hash[TRIB_SHA256_LEN];
	if (!last->has_state)
		return trib_fail(err, TRIB_E_NOT_FOUND, "the last audit kept nothing to go on from");
	TRIB_AUTO(trib_mem) char *from = state_file(a->hub, last, beside);
	if (!from)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!trib_fs_exists(from))
		return trib_fail(err, TRIB_E_NOT_FOUND, "%s is not there", from);
	if (hash_file(from, path, hash, err))
		return -1;
	if (memcmp(hash, last->state, sizeof(hash)) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "%s is not the file that the last audit wrote: it was changed since, or is another one", from);
	if (trib_db_open_own(path, false, &a->own, err) || read_kept(a, last, err))
		return trib_ctx(err, "%s", from);
	return 0;
}

/* ---- the hub's own chains, of a record that nothing could go on from ---- */

/* `w` names the chain. A ref of ours that is gone is named already. */
static int check_chain(struct trib_audit *a, const struct trib_where *w, const char *path, const uint8_t *down, const uint8_t was[TRIB_OID_LEN], struct trib_err *err)
{
	uint8_t tip[TRIB_OID_LEN];
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	TRIB_AUTO(trib_mem) uint8_t(*oids)[TRIB_OID_LEN] = NULL;
	size_t n = 0;
	struct trib_err why;
	if (trib_repo_open(path, false, &repo, &why) || (!down && trib_repo_ref(repo, "refs/heads/main", tip, &why)))
		return 0;
	if (trib_repo_chain(repo, down ? down : tip, was, SIZE_MAX, &oids, &n, &why) == 0)
		return 0;
	return trib_audit_find(a, w, err, w->node ? "what the community had been told by the last audit was taken back: the down chain does not go on from there: %s"
						  : "the city history does not go on from where the last audit left it: %s; was it brought back from a backup? try: tributary-hub audit", why.msg);
}

static int check_down_chains(struct trib_audit *a, sqlite3 *kept, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_err why;
	int row;
	if (trib_db_prepare(kept, "SELECT node, app, oid FROM d ORDER BY node, app", &st, &why))
		return 0; /* of a form that this program does not know */
	while ((row = trib_db_step(kept, st, err)) > 0) {
		TRIB_AUTO(trib_stmt) sqlite3_stmt *now = NULL;
		TRIB_AUTO(trib_mem) char *path = trib_hub_repo_path(a->hub, text(st, 0), text(st, 1));
		struct trib_where w = {.node = text(st, 0), .app = text(st, 1)};
		uint8_t was[TRIB_OID_LEN], tip[TRIB_OID_LEN];
		if (!path)
			return trib_fail(err, TRIB_E_NOMEM, "out of memory");
		trib_audit_bytes(st, 2, was, sizeof(was));
		if (trib_audit_sql(a->db.db, &now, err, "SELECT down_oid FROM history WHERE node = ? AND app = ?", "ss", w.node, w.app))
			return -1;
		int there = trib_db_step(a->db.db, now, err);
		if (there < 0)
			return -1;
		bool has = there && trib_audit_bytes(now, 0, tip, sizeof(tip));
		if (has ? check_chain(a, &w, path, tip, was, err)
			: trib_audit_find(a, &w, err, "what the community had been told by the last audit was taken back: hub.db has no down chain"))
			return -1;
	}
	return row;
}

static int check_city_chain(struct trib_audit *a, sqlite3 *kept, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(a->hub, "city.git");
	struct trib_where w = {0};
	struct trib_err why;
	uint8_t was[TRIB_OID_LEN];
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_db_prepare(kept, "SELECT city_oid FROM kept WHERE city_seq > 0", &st, &why))
		return 0;
	int row = trib_db_step(kept, st, err);
	if (row <= 0)
		return row;
	trib_audit_bytes(st, 0, was, sizeof(was));
	return check_chain(a, &w, path, NULL, was, err);
}

int trib_audit_kept_chains(struct trib_audit *a, const struct trib_audited *last, const char *beside, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *copy = trib_path(a->dir, "kept.db");
	TRIB_AUTO(trib_mem) char *from = NULL;
	TRIB_AUTO(trib_db) sqlite3 *kept = NULL;
	uint8_t hash[TRIB_SHA256_LEN];
	struct trib_err why;
	if (!copy || (last->has_state && !(from = state_file(a->hub, last, beside))))
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!from || !trib_fs_exists(from))
		return 0;
	if (hash_file(from, copy, hash, &why))
		return TRIB_OWN_TROUBLE(why.code) ? (*err = why, -1) : 0;
	/* Another file than the record names is a finding of its own. */
	if (memcmp(hash, last->state, sizeof(hash)) != 0)
		return trib_fs_remove(copy, err);
	if (trib_db_open_own(copy, false, &kept, &why))
		return 0;
	return check_down_chains(a, kept, err) || check_city_chain(a, kept, err) || trib_fs_remove(copy, err) ? -1 : 0;
}

/* ---- rows from file to file ---- */

/* Every row of `from`, bound to the parameters of `to` from number `first` on. */
int trib_audit_copy(sqlite3 *from_db, sqlite3_stmt *from, sqlite3 *to_db, sqlite3_stmt *to, int first, struct trib_err *err)
{
	int row;
	while ((row = trib_db_step(from_db, from, err)) > 0) {
		(void)sqlite3_reset(to);
		for (int i = 0; i < sqlite3_column_count(from); i++)
			if (sqlite3_bind_value(to, first + i, sqlite3_column_value(from, i)) != SQLITE_OK)
				return trib_db_fail(err, to_db, "copying a row");
		if (trib_db_step(to_db, to, err) < 0)
			return -1;
	}
	return row;
}

/* "k_t_NAME": the copy in scratch.db of a table of a city file, with the application in front. */
static void copy_name(struct trib_buf *b, const char *table)
{
	char name[64];
	(void)snprintf(name, sizeof(name), "k%s", table);
	trib_sql_ident(b, name);
}

static int run_on_copy(sqlite3 *db, const char *head, const char *table, const char *tail, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(TRIB_MIB);
	trib_buf_puts(&sql, head);
	copy_name(&sql, table);
	trib_buf_puts(&sql, tail);
	return trib_buf_check(&sql, "SQL statement", err) || trib_db_exec(db, trib_buf_str(&sql), err) ? -1 : 0;
}

/* Its columns, and as many parameters. */
static int list_columns(sqlite3 *city, const char *table, struct trib_buf *cols, struct trib_buf *marks, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_audit_sql(city, &st, err, "SELECT name FROM pragma_table_info(?) ORDER BY cid", "s", table))
		return -1;
	int row;
	for (int i = 0; (row = trib_db_step(city, st, err)) > 0; i++) {
		trib_buf_puts(cols, i ? "," : "");
		trib_sql_ident(cols, text(st, 0));
		trib_buf_puts(marks, i ? ",?" : "?");
	}
	return row < 0 || trib_buf_check(cols, "SQL statement", err) || trib_buf_check(marks, "SQL statement", err) ? -1 : 0;
}

static void table_name(struct trib_buf *b, const char *table, bool copy)
{
	if (copy)
		copy_name(b, table);
	else
		trib_sql_ident(b, table);
}

/* From the city file to the copy, or back. */
static int copy_sql(const char *table, bool save, const char *cols, const char *marks, struct trib_buf *select, struct trib_buf *insert, struct trib_err *err)
{
	trib_buf_puts(select, "SELECT ");
	trib_buf_puts(select, cols);
	trib_buf_puts(select, " FROM ");
	table_name(select, table, !save);
	trib_buf_puts(select, save ? "" : " WHERE app = ?");
	trib_buf_puts(insert, "INSERT INTO ");
	table_name(insert, table, save);
	trib_buf_puts(insert, save ? "(app," : "(");
	trib_buf_puts(insert, cols);
	trib_buf_puts(insert, save ? ") VALUES(?," : ") VALUES(");
	trib_buf_puts(insert, marks);
	trib_buf_putc(insert, ')');
	return trib_buf_check(select, "SQL statement", err) || trib_buf_check(insert, "SQL statement", err) ? -1 : 0;
}

static int copy_table(struct trib_audit *a, struct trib_city *c, const char *table, bool save, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf cols = TRIB_BUF(TRIB_MIB), marks = TRIB_BUF(TRIB_MIB), tail = TRIB_BUF(TRIB_MIB);
	TRIB_AUTO(trib_buf) struct trib_buf select = TRIB_BUF(TRIB_MIB), insert = TRIB_BUF(TRIB_MIB);
	TRIB_AUTO(trib_stmt) sqlite3_stmt *from = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *to = NULL;
	sqlite3 *from_db = save ? c->db : a->own, *to_db = save ? a->own : c->db;
	if (list_columns(c->db, table, &cols, &marks, err) || copy_sql(table, save, trib_buf_str(&cols), trib_buf_str(&marks), &select, &insert, err))
		return -1;
	trib_buf_puts(&tail, "(app,");
	trib_buf_put_span(&tail, trib_buf_span(&cols));
	trib_buf_putc(&tail, ')');
	if (trib_buf_check(&tail, "SQL statement", err) || run_on_copy(a->own, "CREATE TABLE IF NOT EXISTS ", table, trib_buf_str(&tail), err))
		return -1;
	return trib_audit_sql(from_db, &from, err, trib_buf_str(&select), save ? "" : "s", c->app) ||
			       trib_audit_sql(to_db, &to, err, trib_buf_str(&insert), save ? "s" : "", c->app) ||
			       trib_audit_copy(from_db, from, to_db, to, save ? 2 : 1, err)
		       ? -1
		       : 0;
}

/* ---- the scratch city as it was derived ---- */

static int has(sqlite3 *db, const char *name, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_audit_sql(db, &st, err, "SELECT 1 FROM sqlite_schema WHERE name = ?", "s", name))
		return -1;
	return trib_db_step(db, st, err);
}

static int make_schema(struct trib_audit *a, struct trib_city *c, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_audit_sql(a->own, &st, err, "SELECT name, sql FROM ks WHERE app = ? ORDER BY n", "s", c->app))
		return -1;
	int row;
	while ((row = trib_db_step(a->own, st, err)) > 0) {
		int there = has(c->db, text(st, 0), err);
		if (there < 0 || (!there && trib_db_exec(c->db, text(st, 1), err)))
			return -1;
	}
	return row;
}

int trib_audit_kept_city(struct trib_audit *a, struct trib_city *c, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_audit_sql(a->own, &st, err, "SELECT 1 FROM ks WHERE app = ? LIMIT 1", "s", c->app))
		return -1;
	int known = trib_db_step(a->own, st, err);
	if (known <= 0)
		return known; /* an application that is new since */
	if (trib_db_exec(c->db, "BEGIN IMMEDIATE", err) || make_schema(a, c, err))
		return -1;
	/* All other tables are made empty. */
	if (trib_db_exec(c->db, "DELETE FROM _t_merged", err))
		return -1;
	for (size_t i = 0; i < TRIB_COUNT(city_tables); i++)
		if (copy_table(a, c, city_tables[i], false, err))
			return trib_ctx(err, "going on from the last audit");
	trib_mirror_forget(c->mirror);
	return trib_db_exec(c->db, "COMMIT", err);
}

static int keep_city(struct trib_audit *a, struct trib_city *c, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *from = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *to = NULL;
	if (trib_db_prepare(c->db,
			    "SELECT row_number() OVER (ORDER BY type = 'view', rowid), name, sql FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%'", &from, err) ||
	    trib_audit_sql(a->own, &to, err, "INSERT INTO ks(app, n, name, sql) VALUES(?,?,?,?)", "s", c->app) || trib_audit_copy(c->db, from, a->own, to, 2, err))
		return -1;
	for (size_t i = 0; i < TRIB_COUNT(city_tables); i++)
		if (copy_table(a, c, city_tables[i], true, err))
			return -1;
	return 0;
}

/* ---- keeping ---- */

static int keep_cities(struct trib_audit *a, struct trib_err *err)
{
	for (size_t i = 0; i < TRIB_COUNT(city_tables); i++)
		if (run_on_copy(a->own, "DROP TABLE IF EXISTS ", city_tables[i], "", err))
			return -1;
	if (trib_db_exec(a->own, "DELETE FROM ks", err))
		return -1;
	for (size_t i = 0; i < a->made.ncities; i++)
		if (keep_city(a, &a->made.cities[i], err))
			return -1;
	/* What the log has said is not waited for any more. */
	return a->made.ncities ? trib_db_exec(a->own, "DELETE FROM k_t_result WHERE EXISTS(SELECT 1 FROM v WHERE v.node = k_t_result.node AND v.app = k_t_result.app AND v.seq = k_t_result.seq)",
					      err)
			       : 0;
}

static int keep_down(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *from = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *to = NULL;
	return trib_db_exec(a->own, "DELETE FROM d", err) ||
			       trib_db_prepare(a->db.db, "SELECT node, app, down_seq, down_size, down_oid, down_manifest FROM history WHERE down_oid IS NOT NULL", &from, err) ||
			       trib_db_prepare(a->own, "INSERT INTO d(node, app, seq, size, oid, manifest) VALUES(?,?,?,?,?,?)", &to, err) ||
			       trib_audit_copy(a->db.db, from, a->own, to, 1, err)
		       ? -1
		       : 0;
}

static int keep_place(struct trib_audit *a, struct trib_err *err)
{
	return trib_db_exec(a->own, "DELETE FROM kept", err) ||
			       trib_audit_exec(a->own, err,
					       "INSERT INTO kept(rules, program, city, size, root, log_pub, first_origin, origin, opened, crl, night_to, night_first, city_seq, city_merged, city_log, "
					       "city_oid, city_manifest, policy, policy_sha) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
					       "issibbssiiiiiiibbib", (int64_t)RULES, TRIB_VERSION, a->hub->city, (int64_t)a->size, trib_span(a->totals.root, TRIB_SHA256_LEN),
					       trib_span(a->log_pub, sizeof(a->log_pub)), a->first_origin, a->origin, a->opened, (int64_t)a->crl_number, a->at.night_to,
					       (int64_t)a->at.night_first, (int64_t)a->at.city_seq, (int64_t)a->at.city_merged, (int64_t)a->at.city_log,
					       trib_span(a->at.city_oid, TRIB_OID_LEN), trib_span(a->at.city_manifest, TRIB_SHA256_LEN), (int64_t)a->policy,
					       trib_span(a->policy_sha, TRIB_SHA256_LEN))
		       ? -1
		       : 0;
}

/* Files of earlier audits, and those that a kill left behind. */
static int sweep(const struct trib_hub *hub, const char *keep, struct trib_err *err)
{
	DIR *d = opendir(hub->dir);
	if (!d)
		return trib_fail_errno(err, "opening %s", hub->dir);
	int rc = 0;
	for (const struct dirent *e; !rc && (e = readdir(d));) {
		size_t n = strlen(e->d_name);
		if (strncmp(e->d_name, "audited.", 8) != 0 || n < 11 || strcmp(e->d_name + n - 3, ".db") != 0 || strcmp(e->d_name, keep) == 0)
			continue;
		TRIB_AUTO(trib_mem) char *path = trib_path(hub->dir, e->d_name);
		rc = path ? trib_fs_remove(path, err) : trib_fail(err, TRIB_E_NOMEM, "out of memory");
	}
	closedir(d);
	return rc;
}

static int close_own(struct trib_audit *a, struct trib_err *err)
{
	sqlite3_finalize(a->mark);
	sqlite3_finalize(a->sub);
	a->mark = a->sub = NULL;
	if (trib_db_exec(a->own, "DELETE FROM line; DELETE FROM nn; COMMIT", err))
		return -1;
	sqlite3_close_v2(a->own);
	a->own = NULL;
	return 0;
}

int trib_audit_keep(struct trib_audit *a, int64_t now, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_path(a->dir, "scratch.db");
	struct trib_audited done = {.time = now, .size = a->size, .has_state = true};
	char name[32];
	memcpy(done.root, a->totals.root, sizeof(done.root));
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (a->totals.findings || a->city_dir)
		return trib_fail(err, TRIB_E_VERIFY, "only what is proven is kept");
	if (keep_cities(a, err) || keep_down(a, err) || trib_audit_files_note(a, err) || keep_place(a, err) || close_own(a, err) || hash_file(path, NULL, done.state, err))
		return trib_ctx(err, "keeping what the audit has proven");
	state_name(name, &done);
	TRIB_AUTO(trib_mem) char *to = trib_hub_path(a->hub, name);
	TRIB_AUTO(trib_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (!to)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (fd < 0 || fsync(fd))
		return trib_fail_errno(err, "fsync of %s", path);
	/* The file first, then the record that names it: a kill between leaves the old pair. */
	return trib_fs_rename(path, to, err) || trib_audited_save(a->hub, &done, err) || sweep(a->hub, name, err) ? -1 : 0;
}
