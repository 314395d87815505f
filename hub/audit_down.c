/* Down chains: what the hub has told each community, under its signature, is this log and no other (a split view is named here). */
#include "core/format/down.h"
#include "core/trust/hash.h"
#include "hub/audit_impl.h"

#define COMMITS_MAX ((size_t)4 * 1024 * 1024)

struct down {
	struct trib_audit *a;
	const char *node, *app;
	struct trib_repo *repo;
	uint64_t seq, size;
	uint64_t kept_seq; /* where an earlier audit left it; 0: it has seen none */
	uint8_t kept_oid[TRIB_OID_LEN];
	uint8_t oid[TRIB_OID_LEN], manifest[TRIB_SHA256_LEN];
};

static const char *text(sqlite3_stmt *st, int i)
{
	const char *s = (const char *)sqlite3_column_text(st, i);
	return s ? s : "";
}

/* Every file of the tree but the manifest is named in it by its hash, and no other. */
static int check_blobs(const struct down *w, const struct trib_commit *c, const struct trib_down *m, struct trib_err *err)
{
	if (c->nentries != m->nblobs + 1)
		return trib_fail(err, TRIB_E_TREE, "its tree holds %zu files, its manifest names %zu", c->nentries, m->nblobs);
	for (size_t i = 0; i < m->nblobs; i++) {
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_RECEIPTS_MAX);
		uint8_t sha[TRIB_SHA256_LEN];
		if (trib_commit_blob(w->repo, c, m->blobs[i].name, TRIB_RECEIPTS_MAX, &b, err))
			return -1;
		trib_sha256(sha, trib_buf_span(&b));
		if (memcmp(sha, m->blobs[i].sha256, sizeof(sha)) != 0)
			return trib_fail(err, TRIB_E_TREE, "%s is not the file that the manifest names", m->blobs[i].name);
		if (strcmp(m->blobs[i].name, "witnessed") == 0 && trib_audit_witnessed(w->a, trib_buf_span(&b), err))
			return -1;
	}
	return 0;
}

/* Receipts against this log: checkpoint signed and of our root, each leaf the one we have. */
static int check_receipts(struct down *w, const struct trib_commit *c, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf file = TRIB_BUF(TRIB_RECEIPTS_MAX);
	struct trib_receipts r;
	struct trib_receipt one;
	struct trib_checkpoint cp;
	uint8_t root[TRIB_SHA256_LEN];
	int more;
	if (trib_commit_blob(w->repo, c, "receipts", TRIB_RECEIPTS_MAX, &file, err) || trib_receipts_parse(trib_buf_span(&file), &r, err) ||
	    trib_audit_note(w->a, r.checkpoint, &cp, err))
		return -1;
	if (cp.size < w->size)
		return trib_fail(err, TRIB_E_CHAIN, "its checkpoint of %llu leaves is older than the one before", (unsigned long long)cp.size);
	if (cp.size > w->a->size)
		return trib_fail(err, TRIB_E_VERIFY, "the community was told of %llu leaves, the log has %llu", (unsigned long long)cp.size, (unsigned long long)w->a->size);
	if (trib_audit_root(w->a, cp.size, root, err))
		return -1;
	if (memcmp(root, cp.root, sizeof(root)) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "the community was told of another log: its first %llu leaves are not these", (unsigned long long)cp.size);
	while ((more = trib_receipts_next(&r, &one, err)) > 0) {
		TRIB_AUTO(trib_buf) struct trib_buf leaf = TRIB_BUF(TRIB_LEAF_MAX);
		if (one.index >= cp.size || trib_log_leaf(&w->a->db, one.index, &leaf, err))
			return one.index >= cp.size ? trib_fail(err, TRIB_E_VERIFY, "a receipt is for a leaf beyond its checkpoint") : -1;
		if (!trib_span_eq(trib_buf_span(&leaf), one.leaf))
			return trib_fail(err, TRIB_E_VERIFY, "its receipt for leaf %llu is not what the log says there", (unsigned long long)one.index);
		struct trib_leaf parsed;
		if (trib_receipt_verify(&one, &cp, &parsed, err) ||
		    trib_audit_exec(w->a->own, err, "INSERT OR IGNORE INTO rc(node, app, idx) VALUES(?,?,?)", "ssi", w->node, w->app, (int64_t)one.index))
			return -1;
	}
	w->size = cp.size;
	return more;
}

static int judge(struct down *w, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX);
	struct trib_down m;
	uint8_t sha[TRIB_SHA256_LEN];
	if (trib_commit_read(w->repo, oid, &c, err) || trib_down_parse(trib_buf_span(&c.manifest), &m, err) ||
	    trib_commit_blob(w->repo, &c, "signer.pem", TRIB_SIGNER_MAX, &pem, err))
		return -1;
	trib_sha256(sha, trib_buf_span(&c.manifest));
	if (memcmp(sha, c.c.manifest_sha256, sizeof(sha)) != 0)
		return trib_fail(err, TRIB_E_TREE, "the commit names another manifest than its tree holds");
	if (c.c.has_parent != (w->seq != 0) || (w->seq && memcmp(c.c.parent, w->oid, TRIB_OID_LEN) != 0) || m.seq != w->seq + 1 ||
	    memcmp(m.prev, w->manifest, sizeof(m.prev)) != 0)
		return trib_fail(err, TRIB_E_CHAIN, "it does not follow down commit #%llu", (unsigned long long)w->seq);
	if (strcmp(m.city, w->a->hub->city) != 0 || strcmp(m.node, w->node) != 0 || strcmp(m.app, w->app) != 0)
		return trib_fail(err, TRIB_E_CHAIN, "it is for %s/%s of %s", m.node, m.app, m.city);
	if (trib_audit_hub_signed(w->a, &c, trib_buf_span(&pem), m.time, err) || check_blobs(w, &c, &m, err) || check_receipts(w, &c, err))
		return -1;
	if (m.seq == w->kept_seq && memcmp(oid, w->kept_oid, TRIB_OID_LEN) != 0)
		return trib_fail(err, TRIB_E_CHAIN, "it is not the one that the last audit has proven");
	w->seq = m.seq;
	memcpy(w->oid, oid, TRIB_OID_LEN);
	memcpy(w->manifest, sha, sizeof(sha));
	return 0;
}

/* Where an earlier audit left the chain; the beginning, when its files are others now. */
static int kept(struct down *w, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (!w->a->from)
		return 0;
	if (trib_audit_sql(w->a->own, &st, err, "SELECT d.seq, d.size, d.oid, d.manifest, n.again FROM d JOIN n USING(node, app) WHERE node = ? AND app = ?", "ss", w->node, w->app))
		return -1;
	int row = trib_db_step(w->a->own, st, err);
	if (row <= 0)
		return row;
	w->kept_seq = (uint64_t)sqlite3_column_int64(st, 0);
	trib_audit_bytes(st, 2, w->kept_oid, sizeof(w->kept_oid));
	if (sqlite3_column_int(st, 4))
		return 0;
	w->seq = w->kept_seq;
	w->size = (uint64_t)sqlite3_column_int64(st, 1);
	trib_audit_bytes(st, 2, w->oid, sizeof(w->oid));
	trib_audit_bytes(st, 3, w->manifest, sizeof(w->manifest));
	return 0;
}

/* A community is told of each commit held, of each verdict, and of a new epoch: its receipt is in the chain, or due. */
static int check_told(struct down *w, struct trib_err *err)
{
	static const char sql[] =
		"SELECT idx, seq FROM (SELECT idx, seq FROM h WHERE node = ?1 AND app = ?2 UNION ALL SELECT idx, seq FROM v WHERE node = ?1 AND app = ?2 UNION ALL "
		"SELECT idx, 0 FROM ep WHERE idx > (SELECT min(idx) FROM h WHERE node = ?1 AND app = ?2)) l "
		"WHERE NOT EXISTS(SELECT 1 FROM rc WHERE node = ?1 AND app = ?2 AND idx = l.idx) AND NOT EXISTS(SELECT 1 FROM due WHERE node = ?1 AND app = ?2 AND idx = l.idx) ORDER BY idx";
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_where at = {.node = w->node, .app = w->app};
	int64_t n = 0, first = 0;
	if (trib_audit_sql(w->a->own, &st, err, sql, "ss", w->node, w->app))
		return -1;
	int row;
	while ((row = trib_db_step(w->a->own, st, err)) > 0) {
		if (n++)
			continue;
		first = sqlite3_column_int64(st, 0);
		at.seq = (uint64_t)sqlite3_column_int64(st, 1);
	}
	return row < 0 || (n && trib_audit_find(w->a, &at, err, "%lld leaves of the log about it, the first is leaf %lld, were neither told to the community nor wait to be: what it was told was taken back, "
						"or is withheld", (long long)n, (long long)first))
		       ? -1
		       : 0;
}

/* st: down_oid, down_seq, down_manifest, down_size of the history. */
static int walk(struct down *w, sqlite3_stmt *st, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_repo_path(w->a->hub, w->node, w->app);
	TRIB_AUTO(trib_mem) uint8_t(*oids)[TRIB_OID_LEN] = NULL;
	uint8_t tip[TRIB_OID_LEN], manifest[TRIB_SHA256_LEN];
	struct trib_where at = {.node = w->node, .app = w->app};
	struct trib_err why;
	size_t n = 0;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (kept(w, err))
		return -1;
	if (!trib_audit_bytes(st, 2, tip, sizeof(tip)))
		return w->kept_seq ? trib_audit_find(w->a, &at, err, "hub.db: the down chain that the last audit has proven is gone") : check_told(w, err);
	if (trib_repo_open(path, false, &w->repo, &why) || trib_repo_chain(w->repo, tip, w->seq ? w->oid : NULL, COMMITS_MAX, &oids, &n, &why))
		return trib_audit_find(w->a, &at, err, "the down chain: %s", why.msg);
	for (size_t i = 0; i < n; i++) {
		if (judge(w, oids[i], &why) == 0)
			continue;
		if (TRIB_OWN_TROUBLE(why.code)) {
			*err = why;
			return -1;
		}
		at.oid = oids[i];
		return trib_audit_find(w->a, &at, err, "down commit #%llu: %s [%s]", (unsigned long long)w->seq + 1, why.msg, trib_code_name(why.code));
	}
	trib_audit_bytes(st, 4, manifest, sizeof(manifest));
	if (sqlite3_column_int64(st, 3) != (int64_t)w->seq || memcmp(manifest, w->manifest, sizeof(manifest)) != 0 || sqlite3_column_int64(st, 5) != (int64_t)w->size)
		return trib_audit_find(w->a, &at, err, "hub.db: number, manifest or log size of the last down commit are not its own");
	return check_told(w, err);
}

/* What waits to be told. */
static int load_due(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *from = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *to = NULL;
	return trib_db_exec(a->own, "CREATE TEMP TABLE due(node TEXT, app TEXT, idx INTEGER, PRIMARY KEY(node, app, idx)) WITHOUT ROWID", err) ||
			       trib_db_prepare(a->db.db, "SELECT node, app, idx FROM due", &from, err) ||
			       trib_db_prepare(a->own, "INSERT OR IGNORE INTO due(node, app, idx) VALUES(?,?,?)", &to, err) || trib_audit_copy(a->db.db, from, a->own, to, 1, err)
		       ? -1
		       : 0;
}

int trib_audit_down(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_progress p;
	uint64_t done = 0;
	trib_progress_init(&p, _("receipts"), a->quiet);
	if (!a->has_pub)
		return 0; /* a log without its first leaf is named already */
	if (load_due(a, err) || trib_db_prepare(a->db.db, "SELECT node, app, down_oid, down_seq, down_manifest, down_size FROM history ORDER BY node, app", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(a->db.db, st, err)) > 0) {
		struct down w = {.a = a, .node = text(st, 0), .app = text(st, 1)};
		int rc = walk(&w, st, err);
		trib_repo_free(w.repo);
		if (rc)
			return -1;
		trib_progress_step(&p, ++done, 0);
	}
	trib_progress_done(&p);
	return row;
}
