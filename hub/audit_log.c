/* The log: every leaf read and hashed, the tree built anew, and what the leaves say kept for the later steps. */
#include "core/base/clock.h"
#include "hub/audit_impl.h"

struct tree {
	struct trib_audit *a;
	sqlite3_stmt *put, *cache;
	uint64_t idx;                      /* of the leaf under way */
	uint8_t last[64][2][TRIB_SHA256_LEN]; /* of each level, the newest left and right complete subtree */
	uint64_t differ;                   /* cached hashes that are not these */
	unsigned bad_level;
	uint64_t bad_index;
};

/* Appending asks only for the newest left subtree of a level. */
static int get_last(void *ctx, unsigned level, uint64_t index, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err)
{
	struct tree *t = ctx;
	if (level >= 64)
		return trib_fail(err, TRIB_E_LIMIT, "the log is too large");
	memcpy(ret, t->last[level][index & 1], TRIB_SHA256_LEN);
	return 0;
}

static int put_sub(void *ctx, unsigned level, uint64_t index, const uint8_t hash[TRIB_SHA256_LEN], struct trib_err *err)
{
	struct tree *t = ctx;
	if (level >= 64)
		return trib_fail(err, TRIB_E_LIMIT, "the log is too large");
	memcpy(t->last[level][index & 1], hash, TRIB_SHA256_LEN);
	if (t->idx < t->a->from) /* kept, and compared by check_kept_cache */
		return 0;
	sqlite3_reset(t->put);
	sqlite3_bind_int64(t->put, 1, level);
	sqlite3_bind_int64(t->put, 2, (int64_t)index);
	sqlite3_bind_blob(t->put, 3, hash, TRIB_SHA256_LEN, SQLITE_STATIC);
	sqlite3_reset(t->cache);
	sqlite3_bind_int64(t->cache, 1, level);
	sqlite3_bind_int64(t->cache, 2, (int64_t)index);
	if (trib_db_step(t->a->own, t->put, err) < 0)
		return -1;
	int row = trib_db_step(t->a->db.db, t->cache, err);
	if (row < 0)
		return -1;
	uint8_t cached[TRIB_SHA256_LEN];
	if (row && trib_audit_bytes(t->cache, 0, cached, sizeof(cached)) && memcmp(cached, hash, sizeof(cached)) == 0)
		return 0;
	if (t->differ++ == 0) {
		t->bad_level = level;
		t->bad_index = index;
	}
	return 0;
}

static int get_sub(void *ctx, unsigned level, uint64_t index, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err)
{
	struct trib_audit *a = ctx;
	if (!a->sub && trib_db_prepare(a->own, "SELECT hash FROM sub WHERE level = ? AND idx = ?", &a->sub, err))
		return -1;
	sqlite3_bind_int64(a->sub, 1, level);
	sqlite3_bind_int64(a->sub, 2, (int64_t)index);
	int row = trib_db_step(a->own, a->sub, err);
	bool good = row > 0 && trib_audit_bytes(a->sub, 0, ret, TRIB_SHA256_LEN);
	sqlite3_reset(a->sub);
	if (row < 0)
		return -1;
	if (!good)
		return trib_fail(err, TRIB_E_VERIFY, "the log has no subtree %u/%llu", level, (unsigned long long)index);
	return 0;
}

int trib_audit_root(struct trib_audit *a, uint64_t size, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err)
{
	return trib_merkle_root(size, get_sub, a, ret, err);
}

int trib_audit_grown(struct trib_audit *a, uint64_t size, const uint8_t root[TRIB_SHA256_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb now = {0};
	uint8_t is[TRIB_SHA256_LEN];
	uint64_t has;
	struct trib_err why;
	if (trib_hubdb_open(a->hub, false, &now, err) || trib_log_size(&now, &has, err))
		return -1;
	if (has < size)
		return 0;
	if (trib_log_root(&now, size, is, &why))
		return TRIB_OWN_TROUBLE(why.code) ? (*err = why, -1) : 0;
	return memcmp(is, root, sizeof(is)) == 0;
}

/* ---- what a leaf says ---- */

static int keep_root(struct trib_audit *a, const uint8_t sha[TRIB_SHA256_LEN], struct trib_err *err)
{
	return trib_audit_exec(a->own, err, "INSERT OR IGNORE INTO ra(sha256) VALUES(?)", "b", trib_span(sha, TRIB_SHA256_LEN));
}

static int keep_open(struct trib_audit *a, uint64_t idx, const struct trib_leaf *l, struct trib_err *err)
{
	struct trib_where w = {0};
	if (idx != 0)
		return trib_audit_find(a, &w, err, "leaf %llu opens the log a second time", (unsigned long long)idx);
	memcpy(a->log_pub, l->sha256, sizeof(a->log_pub));
	a->has_pub = true;
	a->opened = l->time;
	memcpy(a->first_origin, l->origin, sizeof(a->first_origin));
	memcpy(a->origin, l->origin, sizeof(a->origin));
	if (strcmp(l->name, a->hub->city) != 0)
		return trib_audit_find(a, &w, err, "the log was opened for %s, this hub is %s", l->name, a->hub->city);
	if (!trib_roots_have(a->hub->root, l->cert))
		return trib_audit_find(a, &w, err, "the log was opened under another root certificate than ca/root.crt");
	return keep_root(a, l->cert, err);
}

static int keep_cert(struct trib_audit *a, const struct trib_leaf *l, const uint8_t sha[TRIB_SHA256_LEN], const char *usage, struct trib_err *err)
{
	return trib_audit_exec(a->own, err, "INSERT OR REPLACE INTO c(sha256, node, app, usage, incarnation) VALUES(?,?,?,?,?)", "bsssi", trib_span(sha, TRIB_SHA256_LEN),
			       l->node, l->app, usage, (int64_t)l->incarnation);
}

/* Expected from the first leaf that says so: a slip was made, or a machine enrolled. */
static int keep_expected(struct trib_audit *a, uint64_t idx, const struct trib_leaf *l, struct trib_err *err)
{
	return trib_audit_exec(a->own, err, "INSERT OR IGNORE INTO x(node, app, since) VALUES(?,?,?)", "ssi", l->node, l->app, (int64_t)idx);
}

static int keep_act(struct trib_audit *a, uint64_t idx, const struct trib_leaf *l, struct trib_err *err)
{
	if (strcmp(l->word, "ca-root") == 0)
		return keep_root(a, l->sha256, err);
	if (strcmp(l->word, "node-add") != 0 || !l->node[0] || !l->app[0])
		return 0;
	return keep_expected(a, idx, l, err) || trib_audit_keep_name(a, l, err) ? -1 : 0;
}

static int keep_night(struct trib_audit *a, uint64_t idx, const struct trib_leaf *l, struct trib_err *err)
{
	return trib_audit_exec(a->own, err, "INSERT INTO ng(idx, at, from_at, to_at, expected, reported, silent, sha256) VALUES(?,?,?,?,?,?,?,?)", "iiiiiiib", (int64_t)idx, l->time,
			       l->from, l->to, (int64_t)l->expected, (int64_t)l->reported, (int64_t)l->silent, trib_span(l->sha256, TRIB_SHA256_LEN));
}

static int keep_revoked(struct trib_audit *a, uint64_t idx, const struct trib_leaf *l, struct trib_err *err)
{
	if (trib_audit_exec(a->own, err, "INSERT OR IGNORE INTO rv(sha256, idx, at) VALUES(?,?,?)", "bii", trib_span(l->cert, TRIB_SHA256_LEN), (int64_t)idx, l->time))
		return -1;
	return l->kind == TRIB_LEAF_REVOKED ? trib_audit_exec(a->own, err, "UPDATE rv SET node = ?, app = ? WHERE sha256 = ? AND idx = ?", "ssbi", l->node, l->app,
							      trib_span(l->cert, TRIB_SHA256_LEN), (int64_t)idx)
					    : 0;
}

static int keep_held(struct trib_audit *a, uint64_t idx, const struct trib_leaf *l, struct trib_err *err)
{
	if (trib_audit_held_crl(a, idx, l, err))
		return -1;
	return trib_audit_exec(a->own, err, "INSERT INTO h(idx, node, app, seq, part, parts, incarnation, oid, manifest, raw, signer, at, crl) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
			       "issiiiibbbbii", (int64_t)idx, l->node, l->app, (int64_t)l->seq, (int64_t)l->part, (int64_t)l->parts, (int64_t)l->incarnation,
			       trib_span(l->oid, TRIB_OID_LEN), trib_span(l->manifest, TRIB_SHA256_LEN), trib_span(l->commit, TRIB_SHA256_LEN),
			       trib_span(l->signer, TRIB_SHA256_LEN), l->time, (int64_t)l->crl);
}

static int keep_verdict(struct trib_audit *a, uint64_t idx, const struct trib_leaf *l, struct trib_err *err)
{
	bool merged = l->kind == TRIB_LEAF_MERGED;
	return trib_audit_exec(a->own, err, "INSERT INTO v(idx, node, app, seq, merged, manifest, tbl, key, word, at) VALUES(?,?,?,?,?,?,?,?,?,?)", "issiibsbsi", (int64_t)idx,
			       l->node, l->app, (int64_t)l->seq, (int64_t)merged, trib_span(l->manifest, TRIB_SHA256_LEN), l->name, trib_span(l->key, l->key_len), l->word,
			       l->time);
}

static int keep_leaf(struct trib_audit *a, uint64_t idx, const struct trib_leaf *l, struct trib_err *err)
{
	struct trib_where w = {0};
	if (idx == 0 && l->kind != TRIB_LEAF_LOG_OPEN && trib_audit_find(a, &w, err, "the log does not begin with a log-open leaf"))
		return -1;
	switch (l->kind) {
	case TRIB_LEAF_LOG_OPEN:
		return keep_open(a, idx, l, err);
	case TRIB_LEAF_ENROLLED:
		return trib_audit_keep_machine(a, idx, l, err) || keep_expected(a, idx, l, err) || trib_audit_keep_name(a, l, err) || keep_cert(a, l, l->cert, "sign", err) || keep_cert(a, l, l->cert2, "tls", err) ? -1 : 0;
	case TRIB_LEAF_CRL:
		return trib_audit_keep_crl(a, idx, l, err);
	case TRIB_LEAF_POLICY:
		return trib_audit_keep_policy(a, idx, l, err);
	case TRIB_LEAF_PERSON:
		return trib_audit_keep_person(a, l, err);
	case TRIB_LEAF_PERSON_REVOKED:
		return keep_revoked(a, idx, l, err) || trib_audit_keep_person(a, l, err) ? -1 : 0;
	case TRIB_LEAF_REVOKED:
		if (keep_revoked(a, idx, l, err))
			return -1;
		return trib_audit_exec(a->own, err, "UPDATE c SET revoked_at = ? WHERE sha256 = ? AND revoked_at IS NULL", "ib", l->time, trib_span(l->cert, TRIB_SHA256_LEN));
	case TRIB_LEAF_REFUSED:
		return trib_audit_keep_refused(a, idx, l, err);
	case TRIB_LEAF_EPOCH:
		return trib_audit_epoch(a, idx, l, err);
	case TRIB_LEAF_ACT:
		return keep_act(a, idx, l, err);
	case TRIB_LEAF_NIGHT:
		return keep_night(a, idx, l, err);
	case TRIB_LEAF_HELD:
		return keep_held(a, idx, l, err);
	case TRIB_LEAF_MERGED:
	case TRIB_LEAF_OUT_OF_STEP:
		return keep_verdict(a, idx, l, err);
	default:
		return 0;
	}
}

/* ---- the walk ---- */

/* The leaves before are those that the earlier audit has judged: their bytes were hashed again, and come to its root. */
static int check_kept_root(struct tree *t, struct trib_err *err)
{
	uint8_t is[TRIB_SHA256_LEN], was[TRIB_SHA256_LEN];
	struct trib_where w = {0};
	if (trib_merkle_root(t->a->from, get_last, t, is, err) || trib_audit_root(t->a, t->a->from, was, err))
		return -1;
	return memcmp(is, was, sizeof(is)) == 0 ? 0 : trib_audit_find(t->a, &w, err, "the first %llu leaves are not those that the last audit has proven",
								      (unsigned long long)t->a->from);
}

/* hub.db's cached hashes of these leaves, side by side with the kept ones. */
static int check_kept_cache(struct tree *t, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *own = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *hub = NULL;
	if (!t->a->from)
		return 0;
	if (trib_db_prepare(t->a->own, "SELECT level, idx, hash FROM sub ORDER BY level, idx", &own, err) ||
	    trib_db_prepare(t->a->db.db, "SELECT level, idx, hash FROM subtree ORDER BY level, idx", &hub, err))
		return -1;
	int o, h = 1;
	while ((o = trib_db_step(t->a->own, own, err)) > 0) {
		int64_t level = sqlite3_column_int64(own, 0), idx = sqlite3_column_int64(own, 1);
		do
			h = h > 0 ? trib_db_step(t->a->db.db, hub, err) : h;
		while (h > 0 && (sqlite3_column_int64(hub, 0) < level || (sqlite3_column_int64(hub, 0) == level && sqlite3_column_int64(hub, 1) < idx)));
		if (h < 0)
			return -1;
		if (h && sqlite3_column_int64(hub, 0) == level && sqlite3_column_int64(hub, 1) == idx &&
		    trib_span_eq(trib_span(sqlite3_column_blob(own, 2), (size_t)sqlite3_column_bytes(own, 2)),
				 trib_span(sqlite3_column_blob(hub, 2), (size_t)sqlite3_column_bytes(hub, 2))))
			continue;
		t->differ++;
		t->bad_level = (unsigned)level;
		t->bad_index = (uint64_t)idx;
		return 0;
	}
	return o;
}

/* The hub writes none that is older than the one before: leaf times that fall are a log whose order is not that of its receipts. */
static int check_time(struct trib_audit *a, uint64_t idx, const struct trib_leaf *l, struct trib_err *err)
{
	struct trib_where w = {0};
	char was[TRIB_TIME_LEN + 1], is[TRIB_TIME_LEN + 1];
	int64_t before = a->leaf_time;
	a->leaf_time = l->time;
	if (idx == 0 || l->time >= before)
		return 0;
	trib_time_text(was, before);
	trib_time_text(is, l->time);
	return trib_audit_find(a, &w, err, "the times of the log fall: leaf %llu says %s, leaf %llu after it %s", (unsigned long long)idx - 1, was, (unsigned long long)idx, is);
}

static int one_leaf(struct tree *t, uint64_t idx, struct trib_span bytes, struct trib_err *err)
{
	struct trib_leaf leaf;
	struct trib_err why;
	uint8_t hash[TRIB_SHA256_LEN];
	trib_merkle_leaf(hash, bytes);
	t->idx = idx;
	if (trib_merkle_append(idx, hash, get_last, put_sub, t, err))
		return -1;
	if (idx + 1 < t->a->from)
		return 0;
	if (trib_leaf_parse(bytes, &leaf, &why)) {
		struct trib_where w = {0};
		return trib_audit_find(t->a, &w, err, "log leaf %llu: %s", (unsigned long long)idx, why.msg);
	}
	if (idx < t->a->from) { /* the last of them: the next one is not older */
		t->a->leaf_time = leaf.time;
		return check_kept_root(t, err);
	}
	return check_time(t->a, idx, &leaf, err) || keep_leaf(t->a, idx, &leaf, err) ? -1 : 0;
}

static int walk(struct tree *t, struct trib_err *err)
{
	struct trib_audit *a = t->a;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_progress p;
	uint64_t next = 0;
	trib_progress_init(&p, _("log"), a->quiet);
	if (trib_db_prepare(a->db.db, "SELECT idx, bytes FROM leaf ORDER BY idx", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(a->db.db, st, err)) > 0) {
		uint64_t idx = (uint64_t)sqlite3_column_int64(st, 0);
		if (idx != next) {
			struct trib_where w = {0};
			if (trib_audit_find(a, &w, err, "the log lacks leaves %llu to %llu: no later leaf is provable", (unsigned long long)next, (unsigned long long)idx - 1))
				return -1;
			break;
		}
		if (one_leaf(t, idx, trib_span(sqlite3_column_blob(st, 1), (size_t)sqlite3_column_bytes(st, 1)), err))
			return -1;
		next++;
		trib_progress_step(&p, next, a->size);
	}
	trib_progress_done(&p);
	if (row < 0)
		return -1;
	a->size = next;
	if (next < a->from) {
		struct trib_where w = {0};
		return trib_audit_find(a, &w, err, "the last audit has proven %llu leaves, the log has %llu: leaves were taken away", (unsigned long long)a->from,
				       (unsigned long long)next);
	}
	return check_kept_cache(t, err);
}

static int check_note(struct trib_audit *a, struct trib_err *err)
{
	struct trib_where w = {0};
	struct trib_checkpoint cp;
	struct trib_err why;
	uint8_t root[TRIB_SHA256_LEN];
	if (!a->note.len || !a->has_pub)
		return 0; /* named already */
	if (trib_audit_note(a, trib_buf_span(&a->note), &cp, &why))
		return trib_audit_find(a, &w, err, "the signed checkpoint: %s", why.msg);
	if (cp.size > a->size)
		return trib_audit_find(a, &w, err, "the log has %llu leaves, its signed checkpoint names %llu: this hub is an older copy; try: tributary-hub recover",
				       (unsigned long long)a->size, (unsigned long long)cp.size);
	if (trib_audit_root(a, cp.size, root, err))
		return -1;
	if (memcmp(root, cp.root, sizeof(root)) != 0)
		return trib_audit_find(a, &w, err, "the first %llu leaves are not those that the checkpoint signed", (unsigned long long)cp.size);
	return 0;
}

/* What an earlier audit has proven must still be the beginning of the log. */
static int check_audited(struct trib_audit *a, struct trib_err *err)
{
	struct trib_where w = {0};
	struct trib_audited old;
	struct trib_err why;
	uint8_t root[TRIB_SHA256_LEN];
	if (trib_audited_load(a->hub, &old, &why))
		return why.code == TRIB_E_NOT_FOUND ? 0 : trib_audit_find(a, &w, err, "the record of the last audit: %s", why.msg);
	if (old.size > a->size)
		return trib_audit_find(a, &w, err, "the last audit has proven %llu leaves, the log has %llu: leaves were taken away", (unsigned long long)old.size,
				       (unsigned long long)a->size);
	if (trib_audit_root(a, old.size, root, err))
		return -1;
	if (memcmp(root, old.root, sizeof(root)) != 0)
		return trib_audit_find(a, &w, err, "the first %llu leaves are not those that the last audit has proven", (unsigned long long)old.size);
	return 0;
}

/* Every root that this hub goes by is in the log: the first one, or announced by an administrator's act. */
static int check_roots(struct trib_audit *a, struct trib_err *err)
{
	struct trib_where w = {0};
	for (const struct trib_cert *r = a->hub->root; r && a->has_pub; r = trib_roots_older(r)) {
		TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
		struct trib_cert_id id;
		if (trib_cert_identity(r, &id, err) || trib_audit_sql(a->own, &st, err, "SELECT 1 FROM ra WHERE sha256 = ?", "b", trib_span(id.sha256, TRIB_SHA256_LEN)))
			return -1;
		int row = trib_db_step(a->own, st, err);
		if (row < 0 || (!row && trib_audit_find(a, &w, err, "ca/root.crt holds a root certificate (%s) that the log does not know", id.subject)))
			return -1;
	}
	return 0;
}

int trib_audit_log(struct trib_audit *a, struct trib_err *err)
{
	struct tree *t = calloc(1, sizeof(*t));
	if (!t)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	t->a = a;
	int rc = trib_db_prepare(a->own, "INSERT INTO sub(level, idx, hash) VALUES(?,?,?)", &t->put, err) ||
				 trib_db_prepare(a->db.db, "SELECT hash FROM subtree WHERE level = ? AND idx = ?", &t->cache, err) || walk(t, err)
			 ? -1
			 : 0;
	struct trib_where w = {0};
	if (!rc && t->differ)
		rc = trib_audit_find(a, &w, err, "%llu cached hashes are not those of the leaves, the first is subtree %u/%llu; try: tributary-hub rebuild",
				     (unsigned long long)t->differ, t->bad_level, (unsigned long long)t->bad_index);
	if (!rc && a->size == 0)
		rc = trib_audit_find(a, &w, err, "the log is empty");
	if (!rc && a->has_pub && strcmp(a->origin, a->hub->origin) != 0)
		rc = trib_audit_find(a, &w, err, "the log is %s, hub.conf says %s", a->origin, a->hub->origin);
	sqlite3_finalize(t->put);
	sqlite3_finalize(t->cache);
	free(t);
	return rc || check_roots(a, err) || check_note(a, err) || check_audited(a, err) ? -1 : 0;
}
