/* The hub's own chain in a history, refs/heads/down. What was added to it last may be lost with the disk before the office has fetched it: then nobody can bring
 * it back, and the chain goes on from what the office holds. All that it said later is said again, for the log has it. */
#include "core/format/down.h"
#include "core/trust/hash.h"
#include "core/trust/sign.h"
#include "hub/ingest_impl.h"

#define DOWN_REF "refs/heads/down"

static int walk(struct ingest *g, const uint8_t tip[TRIB_OID_LEN], uint64_t most, struct trib_err *err)
{
	uint8_t oid[TRIB_OID_LEN], parent[TRIB_OID_LEN] = {0};
	bool more = true;
	memcpy(oid, tip, TRIB_OID_LEN);
	for (; more && most > 0; most--) {
		if (trib_ingest_commit(g, 0, oid, &more, parent, err))
			return -1;
		memcpy(oid, parent, TRIB_OID_LEN);
	}
	return 0;
}

/* Where hub.db says that the chain ends: 1, 0 when nothing was sent yet, -1. */
static int recorded(struct ingest *g, uint8_t ret[TRIB_OID_LEN], uint64_t *ret_seq, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(g->db.db, "SELECT down_oid, down_seq FROM history WHERE node = ? AND app = ?", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, g->in->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, g->in->app, -1, SQLITE_STATIC);
	int row = trib_db_step(g->db.db, st, err);
	if (row <= 0 || sqlite3_column_bytes(st, 0) != TRIB_OID_LEN)
		return row < 0 ? -1 : 0;
	memcpy(ret, sqlite3_column_blob(st, 0), TRIB_OID_LEN);
	*ret_seq = (uint64_t)sqlite3_column_int64(st, 1);
	return 1;
}

/* ---- is it ours? ---- */

static int hub_signed(struct ingest *g, const struct trib_commit *c, struct trib_span pem, int64_t at, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf payload = TRIB_BUF(TRIB_COMMIT_MAX), sig = TRIB_BUF(TRIB_SIG_MAX);
	struct trib_cert *certs[2] = {0};
	struct trib_cert_id id;
	size_t n = 0;
	if (c->c.signature.n == 0)
		return trib_fail(err, TRIB_E_SIGNATURE, "it is not signed");
	trib_commitraw_payload(trib_buf_span(&c->raw), &c->c, &payload);
	trib_commitraw_pem(&c->c, &sig);
	if (trib_buf_check(&payload, "commit", err) || trib_buf_check(&sig, "signature", err) || trib_certs_parse_pem(pem, certs, 2, &n, err))
		return -1;
	int rc = n != 2 ? trib_fail(err, TRIB_E_CERT, "signer.pem holds no issuing certificate") : 0;
	if (!rc)
		rc = trib_cert_verify(certs[0], certs[1], g->hub->root, TRIB_USE_SIGN, at, false, &id, err);
	if (!rc && id.role != TRIB_ROLE_HUB)
		rc = trib_fail(err, TRIB_E_CERT, "it is signed by %s, not by the hub", id.id);
	if (!rc)
		rc = trib_sign_verify(trib_buf_span(&payload), trib_buf_span(&sig), certs[0], err);
	trib_cert_free(certs[0]);
	trib_cert_free(certs[1]);
	return rc;
}

/* Its receipts are of this log: after `recover` offices hold chains of the one that was cut off. */
static int of_this_log(struct trib_hubdb *db, struct trib_span file, struct ingest_down_end *ret, struct trib_err *err)
{
	struct trib_receipts r;
	struct trib_receipt one;
	struct trib_checkpoint cp;
	uint8_t root[TRIB_SHA256_LEN];
	uint64_t size;
	int more;
	if (trib_receipts_parse(file, &r, err) || trib_checkpoint_parse(r.checkpoint, &cp, err) || trib_log_size(db, &size, err))
		return -1;
	if (cp.size > size)
		return trib_fail(err, TRIB_E_VERIFY, "it tells of %llu leaves, the log has %llu", (unsigned long long)cp.size, (unsigned long long)size);
	if (trib_log_root(db, cp.size, root, err))
		return -1;
	if (memcmp(root, cp.root, sizeof(root)) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "it tells of another log than this one");
	ret->size = cp.size;
	while ((more = trib_receipts_next(&r, &one, err)) > 0)
		ret->last = one.index;
	return more;
}

static int need(struct ingest *g, const uint8_t oid[TRIB_OID_LEN], enum trib_obj type, struct trib_buf *ret, struct trib_err *err)
{
	int have = trib_ingest_read(g, oid, type, ret, err);
	return have ? have < 0 ? -1 : 0 : trib_fail(err, TRIB_E_NOT_FOUND, "a part of it is not in the bundle");
}

static int need_blob(struct ingest *g, const struct trib_commit *c, const char *name, struct trib_buf *ret, struct trib_err *err)
{
	for (size_t i = 0; i < c->nentries; i++)
		if (strcmp(c->entries[i].name, name) == 0)
			return need(g, c->entries[i].oid, TRIB_OBJ_BLOB, ret, err);
	return trib_fail(err, TRIB_E_TREE, "it has no %s", name);
}

/* As trib_commit_read, of objects that may be in the quarantine. */
static int read_commit(struct ingest *g, const uint8_t oid[TRIB_OID_LEN], struct trib_commit *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf tree = TRIB_BUF(TRIB_COMMIT_MAX);
	ret->raw = TRIB_BUF(TRIB_COMMIT_MAX);
	ret->manifest = TRIB_BUF(TRIB_MANIFEST_MAX);
	return need(g, oid, TRIB_OBJ_COMMIT, &ret->raw, err) || trib_commitraw_parse(trib_buf_span(&ret->raw), &ret->c, err) ||
			       need(g, ret->c.tree, TRIB_OBJ_TREE, &tree, err) || trib_tree_parse(trib_buf_span(&tree), ret->entries, &ret->nentries, err) ||
			       need_blob(g, ret, "manifest", &ret->manifest, err)
		       ? -1
		       : 0;
}

/* The hub's signature is on its last commit; by their hashes that names all the others. */
static int judge(struct ingest *g, struct ingest_down_end *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX), file = TRIB_BUF(TRIB_RECEIPTS_MAX);
	struct trib_down m;
	*ret = (struct ingest_down_end){0};
	if (read_commit(g, g->offered, &c, err) || trib_down_parse(trib_buf_span(&c.manifest), &m, err) || need_blob(g, &c, "signer.pem", &pem, err) ||
	    need_blob(g, &c, "receipts", &file, err))
		return -1;
	trib_sha256(ret->manifest, trib_buf_span(&c.manifest));
	ret->seq = m.seq;
	if (memcmp(ret->manifest, c.c.manifest_sha256, sizeof(ret->manifest)) != 0)
		return trib_fail(err, TRIB_E_TREE, "it names another manifest than its tree holds");
	if (strcmp(m.city, g->hub->city) != 0 || strcmp(m.node, g->in->node) != 0 || strcmp(m.app, g->in->app) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "it is for %s/%s of %s", m.node, m.app, m.city);
	return hub_signed(g, &c, trib_buf_span(&pem), m.time, err) || of_this_log(&g->db, trib_buf_span(&file), ret, err) ? -1 : 0;
}

int trib_ingest_down_look(struct ingest *g, struct trib_err *err)
{
	const uint8_t *offered = NULL;
	struct trib_err why;
	uint64_t seq = 0;
	int has = recorded(g, g->down, &seq, err);
	if (has < 0 || (has && walk(g, g->down, seq, err)))
		return -1;
	g->has_down = has > 0;
	for (size_t i = 0; i < g->head.nrefs && g->published; i++)
		if (strcmp(g->head.refs[i].name, DOWN_REF) == 0)
			offered = g->head.refs[i].oid;
	int known = offered ? trib_ingest_seen(g, offered, err) : 1;
	if (known < 0 || !offered || (known && !g->down_lost))
		return known < 0 ? -1 : 0;
	/* Ours cannot be read to its end, or does not lead to what the office holds. Of what is not the hub's nothing is kept. */
	memcpy(g->offered, offered, TRIB_OID_LEN);
	if (judge(g, &g->end, &why)) {
		if (trib_passing(why.code)) {
			*err = why;
			return -1;
		}
		(void)snprintf(g->in->down_why, sizeof(g->in->down_why), "%s", why.msg);
		return 0;
	}
	bool lost = g->down_lost;
	g->down_lost = false;
	if (walk(g, offered, g->end.seq, err))
		return -1;
	g->down_offered = !g->down_lost;
	g->down_lost = lost && !g->down_offered;
	return 0;
}

/* ---- the chain goes on from there ---- */

static int again(struct trib_hubdb *db, const struct ingest *g, uint64_t after, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *due = NULL;
	if (trib_db_prepare(db->db, "SELECT idx, bytes FROM leaf WHERE idx > ? ORDER BY idx", &st, err) ||
	    trib_db_prepare(db->db, "INSERT OR IGNORE INTO due(idx, node, app) VALUES(?,?,?)", &due, err))
		return -1;
	sqlite3_bind_int64(st, 1, (int64_t)after);
	int row;
	while ((row = trib_db_step(db->db, st, err)) > 0) {
		struct trib_leaf leaf;
		if (trib_leaf_parse(trib_span(sqlite3_column_blob(st, 1), (size_t)sqlite3_column_bytes(st, 1)), &leaf, err))
			return -1;
		bool own = (leaf.kind == TRIB_LEAF_HELD || leaf.kind == TRIB_LEAF_MERGED || leaf.kind == TRIB_LEAF_OUT_OF_STEP) && strcmp(leaf.node, g->in->node) == 0 &&
			   strcmp(leaf.app, g->in->app) == 0;
		if (!own && leaf.kind != TRIB_LEAF_EPOCH)
			continue;
		sqlite3_reset(due);
		sqlite3_bind_int64(due, 1, sqlite3_column_int64(st, 0));
		sqlite3_bind_text(due, 2, g->in->node, -1, SQLITE_STATIC);
		sqlite3_bind_text(due, 3, g->in->app, -1, SQLITE_STATIC);
		if (trib_db_step(db->db, due, err) < 0)
			return -1;
	}
	return row;
}

static int record(struct ingest *g, const struct ingest_down_end *d, struct trib_err *err)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	TRIB_AUTO(trib_stmt) sqlite3_stmt *up = NULL;
	if (trib_hubdb_open(g->hub, true, &db, err) || trib_hubdb_begin(&db, err))
		return -1;
	if (trib_db_prepare(db.db, "UPDATE history SET down_oid = ?, down_seq = ?, down_manifest = ?, down_size = ? WHERE node = ? AND app = ?", &up, err))
		goto fail;
	sqlite3_bind_blob(up, 1, g->offered, TRIB_OID_LEN, SQLITE_STATIC);
	sqlite3_bind_int64(up, 2, (int64_t)d->seq);
	sqlite3_bind_blob(up, 3, d->manifest, TRIB_SHA256_LEN, SQLITE_STATIC);
	sqlite3_bind_int64(up, 4, (int64_t)d->size);
	sqlite3_bind_text(up, 5, g->in->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(up, 6, g->in->app, -1, SQLITE_STATIC);
	if (trib_db_step(db.db, up, err) < 0 || again(&db, g, d->last, err) || trib_hubdb_commit(&db, err))
		goto fail;
	return 0;
fail:
	trib_hubdb_rollback(&db);
	return -1;
}

/* `serve` sets it otherwise; but an audit may come first. */
static void set_ref(struct ingest *g, const uint8_t oid[TRIB_OID_LEN])
{
	struct trib_err ignored;
	(void)!trib_repo_ref_set(g->repo, DOWN_REF, oid, &ignored);
}

int trib_ingest_down_take(struct ingest *g, struct trib_err *err)
{
	struct trib_ingest *in = g->in;
	in->down_lost = g->down_lost;
	in->down_seq = g->down_offered ? g->end.seq : 0;
	if (!g->repo || in->dry_run)
		return 0;
	if (g->down_offered && record(g, &g->end, err))
		return trib_ctx(err, "letting the receipts of %s/%s go on from what the office has", in->node, in->app);
	if (g->down_offered || (g->has_down && !g->down_lost))
		set_ref(g, g->down_offered ? g->offered : g->down);
	return 0;
}
