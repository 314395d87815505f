#include "hub/hubdb.h"

#include "core/base/clock.h"
#include "core/base/embed.h"

/* Up to version `to`, or to the newest. */
static int migrate(sqlite3 *db, size_t to, struct trib_err *err)
{
	const char *sql[] = {(const char *)trib_embed("schema/hub/0001_hub.sql").p, (const char *)trib_embed("schema/hub/0002_log.sql").p,
			     (const char *)trib_embed("schema/hub/0003_epoch.sql").p, (const char *)trib_embed("schema/hub/0004_serial.sql").p,
			     (const char *)trib_embed("schema/hub/0005_open.sql").p, (const char *)trib_embed("schema/hub/0006_revoked.sql").p};
	return trib_db_migrate(db, sql, to < TRIB_COUNT(sql) ? to : TRIB_COUNT(sql), err) ? trib_ctx(err, "hub.db") : 0;
}

int trib_hubdb_empty(int64_t version, sqlite3 **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	if (sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK)
		return trib_db_fail(err, db, "opening an empty database");
	if (migrate(db, version > 0 ? (size_t)version : SIZE_MAX, err))
		return -1;
	*ret = db;
	db = NULL;
	return 0;
}

static int open_db(const struct trib_hub *hub, const char *path, bool write, struct trib_hubdb *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	if (write ? trib_db_open_own(path, true, &db, err) : trib_db_open_own_ro(path, &db, err))
		return trib_ctx(err, "opening hub.db");
	if (write && migrate(db, SIZE_MAX, err))
		return -1;
	ret->db = db;
	ret->hub = hub;
	db = NULL;
	return 0;
}

int trib_hubdb_create(const struct trib_hub *hub, struct trib_hubdb *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, "hub.db");
	return path ? open_db(hub, path, true, ret, err) : trib_fail(err, TRIB_E_NOMEM, "out of memory");
}

int trib_hubdb_open(const struct trib_hub *hub, bool write, struct trib_hubdb *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, "hub.db");
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	/* An empty one in place of a lost one would be a log that forgot everything. */
	if (!trib_fs_exists(path))
		return trib_fail(err, TRIB_E_NOT_FOUND, "%s is missing; nothing was changed; bring it back from a backup, then: tributary-hub rebuild", path);
	return open_db(hub, path, write, ret, err);
}

void trib_hubdb_close(struct trib_hubdb *h)
{
	sqlite3_finalize(h->peer);
	sqlite3_finalize(h->leaf_of);
	sqlite3_close_v2(h->db);
	h->peer = h->leaf_of = NULL;
	h->db = NULL;
}

int trib_hubdb_begin(struct trib_hubdb *h, struct trib_err *err) { return trib_db_exec(h->db, "BEGIN IMMEDIATE", err); }
int trib_hubdb_commit(struct trib_hubdb *h, struct trib_err *err) { return trib_db_exec(h->db, "COMMIT", err); }

void trib_hubdb_rollback(struct trib_hubdb *h)
{
	struct trib_err ignored;
	if (!sqlite3_get_autocommit(h->db) && trib_db_exec(h->db, "ROLLBACK", &ignored))
		return; /* the connection is unusable; its close rolls back */
}

int trib_log_size(struct trib_hubdb *h, uint64_t *ret, struct trib_err *err)
{
	int64_t n;
	if (trib_db_int(h->db, "SELECT max(idx) + 1 FROM leaf", 0, &n, err))
		return -1;
	*ret = (uint64_t)n;
	return 0;
}

int trib_log_subtree(void *ctx, unsigned level, uint64_t index, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err)
{
	struct trib_hubdb *h = ctx;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db, "SELECT hash FROM subtree WHERE level = ? AND idx = ?", &st, err))
		return -1;
	sqlite3_bind_int64(st, 1, level);
	sqlite3_bind_int64(st, 2, (int64_t)index);
	int row = trib_db_step(h->db, st, err);
	if (row < 0)
		return -1;
	if (!row)
		return trib_fail(err, TRIB_E_VERIFY, "the log lacks the hash of subtree %u/%llu; try: tributary-hub rebuild", level,
				 (unsigned long long)index);
	return trib_db_bytes(st, 0, "a hash of the log", ret, TRIB_SHA256_LEN, err) ? trib_ctx(err, "hub.db; try: tributary-hub rebuild") : 0;
}

static int put_subtree(void *ctx, unsigned level, uint64_t index, const uint8_t hash[TRIB_SHA256_LEN], struct trib_err *err)
{
	struct trib_hubdb *h = ctx;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db, "INSERT INTO subtree(level, idx, hash) VALUES(?, ?, ?)", &st, err))
		return -1;
	sqlite3_bind_int64(st, 1, level);
	sqlite3_bind_int64(st, 2, (int64_t)index);
	sqlite3_bind_blob(st, 3, hash, TRIB_SHA256_LEN, SQLITE_STATIC);
	return trib_db_step(h->db, st, err) < 0 ? -1 : 0;
}

static int time_after(struct trib_hubdb *h, uint64_t size, int64_t at, int64_t *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf bytes = TRIB_BUF(TRIB_LEAF_MAX);
	struct trib_leaf last = {.time = INT64_MIN};
	if (size && (trib_log_leaf(h, size - 1, &bytes, err) || trib_leaf_parse(trib_buf_span(&bytes), &last, err)))
		return trib_ctx(err, "the last leaf of the log; nothing was added; try: tributary-hub audit");
	*ret = last.time > at ? last.time : at;
	return 0;
}

int trib_log_time(struct trib_hubdb *h, int64_t at, int64_t *ret, struct trib_err *err)
{
	uint64_t size;
	return trib_log_size(h, &size, err) || time_after(h, size, at, ret, err) ? -1 : 0;
}

int trib_log_append(struct trib_hubdb *h, struct trib_leaf *leaf, uint64_t *ret_index, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf bytes = TRIB_BUF(TRIB_LEAF_MAX);
	uint64_t index;
	int64_t at;
	if (trib_log_size(h, &index, err) || time_after(h, index, leaf->time, &at, err))
		return -1;
	if (at != leaf->time && leaf->kind == TRIB_LEAF_EPOCH)
		return trib_fail(err, TRIB_E_VERIFY, "the signed leaf is older than the log's last one");
	leaf->time = at;
	trib_leaf_put(&bytes, leaf);
	if (trib_buf_check(&bytes, "log leaf", err))
		return -1;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db, "INSERT INTO leaf(idx, bytes) VALUES(?, ?)", &st, err))
		return -1;
	sqlite3_bind_int64(st, 1, (int64_t)index);
	sqlite3_bind_blob(st, 2, bytes.p, (int)bytes.len, SQLITE_STATIC);
	uint8_t hash[TRIB_SHA256_LEN];
	trib_merkle_leaf(hash, trib_buf_span(&bytes));
	if (trib_db_step(h->db, st, err) < 0 || trib_merkle_append(index, hash, trib_log_subtree, put_subtree, h, err))
		return trib_ctx(err, "appending to the log");
	if (ret_index)
		*ret_index = index;
	return 0;
}

int trib_log_leaf(struct trib_hubdb *h, uint64_t index, struct trib_buf *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db, "SELECT bytes FROM leaf WHERE idx = ?", &st, err))
		return -1;
	sqlite3_bind_int64(st, 1, (int64_t)index);
	int row = trib_db_step(h->db, st, err);
	if (row < 0)
		return -1;
	if (!row)
		return trib_fail(err, TRIB_E_NOT_FOUND, "the log has no leaf %llu", (unsigned long long)index);
	trib_buf_put(ret, sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
	return trib_buf_check(ret, "log leaf", err);
}

int trib_log_root(struct trib_hubdb *h, uint64_t size, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err)
{
	return trib_merkle_root(size, trib_log_subtree, h, ret, err);
}

int trib_log_checkpoint(struct trib_hubdb *h, const struct trib_key *log_key, struct trib_buf *ret_note, uint64_t *ret_size, struct trib_err *err)
{
	uint64_t size;
	uint8_t root[TRIB_SHA256_LEN];
	if (trib_log_size(h, &size, err) || trib_log_root(h, size, root, err) ||
	    trib_checkpoint_sign(h->hub->origin, size, root, log_key, ret_note, err))
		return trib_ctx(err, "signing a checkpoint");
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(h->hub, "checkpoint");
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_fs_write(path, trib_buf_span(ret_note), 0644, err))
		return -1;
	*ret_size = size;
	return 0;
}

int trib_hubdb_meta(struct trib_hubdb *h, const char *key, struct trib_buf *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db, "SELECT value FROM meta WHERE key = ?", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
	int row = trib_db_step(h->db, st, err);
	if (row < 0)
		return -1;
	trib_buf_reset(ret);
	if (row)
		trib_buf_put(ret, sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
	return trib_buf_check(ret, key, err);
}

int trib_hubdb_meta_set(struct trib_hubdb *h, const char *key, struct trib_span value, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db, "INSERT INTO meta(key, value) VALUES(?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, key, -1, SQLITE_STATIC);
	sqlite3_bind_blob(st, 2, value.n ? (const void *)value.p : "", (int)value.n, SQLITE_STATIC);
	return trib_db_step(h->db, st, err) < 0 ? -1 : 0;
}

static void column_text(sqlite3_stmt *st, int i, char *ret, size_t size)
{
	const char *s = (const char *)sqlite3_column_text(st, i);
	(void)snprintf(ret, size, "%s", s ? s : "");
}

static int find_person(struct trib_hubdb *h, const uint8_t cert[TRIB_SHA256_LEN], struct trib_peer *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db, "SELECT name, role = 'administrator', not_after, coalesce(revoked_at, 0) FROM person WHERE sha256 = ?", &st, err))
		return -1;
	sqlite3_bind_blob(st, 1, cert, TRIB_SHA256_LEN, SQLITE_STATIC);
	int row = trib_db_step(h->db, st, err);
	if (row <= 0)
		return row;
	*ret = (struct trib_peer){.role = sqlite3_column_int(st, 1) ? TRIB_ROLE_ADMIN : TRIB_ROLE_AUDITOR, .current = true};
	column_text(st, 0, ret->name, sizeof(ret->name));
	ret->not_after = sqlite3_column_int64(st, 2);
	ret->revoked_at = sqlite3_column_int64(st, 3);
	return 1;
}

int trib_hubdb_peer(struct trib_hubdb *h, const uint8_t cert[TRIB_SHA256_LEN], struct trib_peer *ret, struct trib_err *err)
{
	if (trib_db_keep(h->db,
			 "SELECT c.node, c.app, n.name, c.incarnation, c.not_after, coalesce(c.revoked_at, 0), c.incarnation = n.incarnation "
			 "FROM cert c JOIN node n ON n.node = c.node AND n.app = c.app WHERE c.sha256 = ?",
			 &h->peer, err))
		return -1;
	TRIB_AUTO(trib_rest) sqlite3_stmt *st = h->peer;
	sqlite3_bind_blob(st, 1, cert, TRIB_SHA256_LEN, SQLITE_STATIC);
	int row = trib_db_step(h->db, st, err);
	if (row <= 0)
		return row < 0 ? -1 : find_person(h, cert, ret, err);
	*ret = (struct trib_peer){.role = TRIB_ROLE_NODE};
	column_text(st, 0, ret->node, sizeof(ret->node));
	column_text(st, 1, ret->app, sizeof(ret->app));
	column_text(st, 2, ret->name, sizeof(ret->name));
	ret->incarnation = (uint64_t)sqlite3_column_int64(st, 3);
	ret->not_after = sqlite3_column_int64(st, 4);
	ret->revoked_at = sqlite3_column_int64(st, 5);
	ret->current = sqlite3_column_int(st, 6) != 0;
	return 1;
}

int trib_hubdb_leaf_of(struct trib_hubdb *h, const uint8_t oid[TRIB_OID_LEN], struct trib_leaf *ret, struct trib_err *err)
{
	if (trib_db_keep(h->db, "SELECT l.bytes FROM held h JOIN leaf l ON l.idx = h.idx WHERE h.oid = ?", &h->leaf_of, err))
		return -1;
	TRIB_AUTO(trib_rest) sqlite3_stmt *st = h->leaf_of;
	sqlite3_bind_blob(st, 1, oid, TRIB_OID_LEN, SQLITE_STATIC);
	int row = trib_db_step(h->db, st, err);
	if (row < 0)
		return -1;
	if (!row)
		return trib_fail(err, TRIB_E_VERIFY, "the log holds no leaf for this commit");
	if (trib_leaf_parse(trib_span(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0)), ret, err))
		return trib_ctx(err, "log leaf");
	if (ret->kind != TRIB_LEAF_HELD || memcmp(ret->oid, oid, TRIB_OID_LEN) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "the log's leaf is about another commit");
	return 0;
}

int trib_hubdb_tip(struct trib_hubdb *h, const char *node, const char *app, struct trib_tip *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db, "SELECT tip FROM history WHERE node = ? AND app = ?", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, app, -1, SQLITE_STATIC);
	int row = trib_db_step(h->db, st, err);
	if (row <= 0)
		return row;
	if (trib_tip_parse(trib_span(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0)), ret, err))
		return trib_ctx(err, "hub.db: tip of %s/%s", node, app);
	return 1;
}

int trib_hubdb_cert_ok(void *ctx, const struct trib_cert_id *id, struct trib_err *err)
{
	const struct trib_cert_gate *gate = ctx;
	struct trib_peer peer;
	int found = trib_hubdb_peer(gate->db, id->sha256, &peer, err);
	if (found < 0)
		return -1;
	if (!found || peer.role != TRIB_ROLE_NODE)
		return trib_fail(err, TRIB_E_CERT, "the signing certificate is not one that this hub issued to an office; enrol first");
	if (strcmp(peer.node, gate->node) != 0 || strcmp(peer.app, gate->app) != 0)
		return trib_fail(err, TRIB_E_CERT, "the signing certificate belongs to %s/%s, not to %s/%s", peer.node, peer.app, gate->node, gate->app);
	/* What was held in the second of the revocation came before it: after it the keeper takes none, whatever the clock says, and leaf times never fall. The audit
	 * goes by the order of the leaves instead. */
	if (peer.revoked_at && peer.revoked_at < gate->at)
		return trib_fail(err, TRIB_E_CERT, "the signing certificate was revoked; ask the city for a new enrolment slip");
	/* A machine that was replaced signs nothing more, whatever its commits call themselves. */
	if (peer.incarnation != gate->incarnation)
		return trib_fail(err, TRIB_E_CERT, "the signing certificate is of incarnation %llu of this office, the commit of %llu", (unsigned long long)peer.incarnation,
				 (unsigned long long)gate->incarnation);
	return 0;
}
