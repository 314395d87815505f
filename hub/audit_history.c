/* Histories: every commit that the log holds is there, follows from the one before, and was signed while valid. The derivation of the city judges them; what it does not
 * come to (a damaged history, one that is out of step, a group that is not whole) is walked here. */
#include "core/base/clock.h"
#include "hub/audit_impl.h"

#define REF_TRIES 20 /* the keeper sets the ref just after it publishes */

struct walk {
	struct trib_audit *a;
	const char *node, *app;
	struct trib_repo *repo;
	struct trib_tip tip;
	sqlite3_stmt *counts;
};

static const char *text(sqlite3_stmt *st, int i)
{
	const char *s = (const char *)sqlite3_column_text(st, i);
	return s ? s : "";
}

/* hub.db's columns that repeat the manifest. */
static int check_counts(struct trib_audit *a, sqlite3_stmt *counts, const struct trib_where *at, const struct trib_manifest *m, struct trib_err *err)
{
	uint64_t ins, upd, del;
	trib_manifest_counts(m, &ins, &upd, &del);
	sqlite3_reset(counts);
	sqlite3_bind_blob(counts, 1, at->oid, TRIB_OID_LEN, SQLITE_STATIC);
	int row = trib_db_step(a->db.db, counts, err);
	if (row <= 0)
		return row; /* a missing row is named by the log step */
	if (sqlite3_column_int64(counts, 0) == m->captured_at && sqlite3_column_int64(counts, 1) == (int64_t)ins && sqlite3_column_int64(counts, 2) == (int64_t)upd &&
	    sqlite3_column_int64(counts, 3) == (int64_t)del && sqlite3_column_int64(counts, 4) == (int64_t)m->nbraked)
		return 0;
	return trib_audit_find(a, at, err, "hub.db: time or counts of the held commit are not those of its manifest");
}

/* What of a judged commit is not what its leaf says of it; NULL: all is. Commit and manifest are compared by whoever has judged. */
static const char *differs(const struct trib_judged *j, uint64_t seq, uint64_t part, uint64_t parts, uint64_t incarnation, const uint8_t signer[TRIB_SHA256_LEN])
{
	return memcmp(j->signer.sha256, signer, TRIB_SHA256_LEN) != 0    ? "signer"
	       : j->manifest.seq != seq                                  ? "sequence number"
	       : j->manifest.part != part || j->manifest.parts != parts  ? "part"
	       : j->manifest.incarnation != incarnation                  ? "incarnation"
									  : NULL;
}

#define BY_DERIVATION 1
#define BY_WALK 2

/* It is judged, names this checkpoint (trib_audit_seen), and what hub.db repeats of it is kept for the next audit (audit_held.c). */
static int mark(struct trib_audit *a, const struct trib_where *at, const struct trib_manifest *m, int how, struct trib_err *err)
{
	uint64_t ins, upd, del;
	a->totals.judged++;
	trib_manifest_counts(m, &ins, &upd, &del);
	if (!a->mark && trib_db_prepare(a->own,
					"UPDATE h SET judged = ?7, seen = ?5, seen_root = ?6, captured_at = ?8, inserted = ?9, updated = ?10, deleted = ?11, braked = ?12, reset = ?13 WHERE node = ?1 AND app = ?2 AND seq = ?3 AND oid = ?4", &a->mark, err))
		return -1;
	sqlite3_reset(a->mark);
	sqlite3_bind_text(a->mark, 1, at->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(a->mark, 2, at->app, -1, SQLITE_STATIC);
	sqlite3_bind_int64(a->mark, 3, (int64_t)at->seq);
	sqlite3_bind_blob(a->mark, 4, at->oid, TRIB_OID_LEN, SQLITE_STATIC);
	sqlite3_bind_int64(a->mark, 5, m->checkpoint_size < INT64_MAX ? (int64_t)m->checkpoint_size : INT64_MAX);
	sqlite3_bind_blob(a->mark, 6, m->checkpoint_root, TRIB_SHA256_LEN, SQLITE_STATIC);
	sqlite3_bind_int(a->mark, 7, how);
	const int64_t says[] = {m->captured_at, (int64_t)ins, (int64_t)upd, (int64_t)del, (int64_t)m->nbraked, m->kind == TRIB_KIND_RESET};
	for (int i = 0; i < (int)TRIB_COUNT(says); i++)
		sqlite3_bind_int64(a->mark, 8 + i, says[i]);
	return trib_db_step(a->own, a->mark, err) < 0 ? -1 : 0;
}

/* The derivation has judged a commit. A disagreement of leaf and commit is damage to it, so that the walk names it. */
int trib_audit_judged(void *ctx, const char *node, const char *app, const struct trib_judged *j, const struct trib_leaf *leaf, struct trib_err *err)
{
	struct trib_audit *a = ctx;
	struct trib_where at = {.node = node, .app = app, .seq = leaf->seq, .oid = j->commit.oid};
	const char *what = differs(j, leaf->seq, leaf->part, leaf->parts, leaf->incarnation, leaf->signer);
	if (what)
		return trib_fail(err, TRIB_E_VERIFY, "its %s is not the one that the log holds", what);
	if (!a->counts && trib_db_prepare(a->db.db, "SELECT captured_at, inserted, updated, deleted, braked FROM held WHERE oid = ?", &a->counts, err))
		return -1;
	return mark(a, &at, &j->manifest, BY_DERIVATION, err) || check_counts(a, a->counts, &at, &j->manifest, err) || trib_audit_signer(a, &at, &j->signer, err) ||
			       trib_audit_private(a, &at, j, err)
		       ? -1
		       : 0;
}

/* st: idx, seq, part, parts, incarnation, oid, manifest, raw, signer, at, judged. 0 proven, 1 not (named), -1. */
static int judge(struct walk *w, sqlite3_stmt *st, struct trib_err *err)
{
	uint8_t oid[TRIB_OID_LEN], manifest[TRIB_SHA256_LEN], raw[TRIB_SHA256_LEN], signer[TRIB_SHA256_LEN];
	trib_audit_bytes(st, 5, oid, sizeof(oid));
	trib_audit_bytes(st, 6, manifest, sizeof(manifest));
	trib_audit_bytes(st, 7, raw, sizeof(raw));
	trib_audit_bytes(st, 8, signer, sizeof(signer));
	struct trib_where at = {.node = w->node, .app = w->app, .seq = (uint64_t)sqlite3_column_int64(st, 1), .oid = oid};
	struct trib_cert_gate gate = {.db = &w->a->db, .node = w->node, .app = w->app, .at = sqlite3_column_int64(st, 9),
				      .incarnation = (uint64_t)sqlite3_column_int64(st, 4)};
	struct trib_trust trust = {.city = w->a->hub->city, .node = w->node, .app = w->app, .root = w->a->hub->root, .at = gate.at, .incarnation = UINT64_MAX,
				   .signers = &w->a->signers, .cert_ok = trib_hubdb_cert_ok, .ctx = &gate};
	TRIB_AUTO(trib_judged) struct trib_judged j = {0};
	struct trib_err why;
	if (trib_judge(w->repo, oid, &trust, &w->tip, &j, &why)) {
		if (TRIB_OWN_TROUBLE(why.code)) {
			*err = why;
			return -1;
		}
		return trib_audit_find(w->a, &at, err, "%s [%s]; not provable from #%llu on; try: tributary-hub ingest", why.msg, trib_code_name(why.code),
				       (unsigned long long)at.seq)
			       ? -1
			       : 1;
	}
	const char *what = differs(&j, at.seq, (uint64_t)sqlite3_column_int64(st, 2), (uint64_t)sqlite3_column_int64(st, 3), (uint64_t)sqlite3_column_int64(st, 4), signer);
	if (memcmp(j.manifest_sha256, manifest, sizeof(manifest)) != 0)
		what = "manifest";
	else if (memcmp(j.commit_sha256, raw, sizeof(raw)) != 0)
		what = "commit";
	if (what)
		return trib_audit_find(w->a, &at, err, "the %s is not the one that log leaf %lld holds", what, (long long)sqlite3_column_int64(st, 0)) ? -1 : 1;
	if (sqlite3_column_int(st, 10))
		return 0;
	return mark(w->a, &at, &j.manifest, BY_WALK, err) || check_counts(w->a, w->counts, &at, &j.manifest, err) || trib_audit_signer(w->a, &at, &j.signer, err) ||
			       trib_audit_private(w->a, &at, &j, err)
		       ? -1
		       : 0;
}

/* Where an earlier audit left the history; the beginning, when it is not kept. */
static int kept_tip(struct walk *w, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (!w->a->from)
		return 0;
	if (trib_audit_sql(w->a->own, &st, err, "SELECT tip FROM n WHERE node = ? AND app = ? AND tip IS NOT NULL", "ss", w->node, w->app))
		return -1;
	int row = trib_db_step(w->a->own, st, err);
	return row <= 0 ? row : trib_tip_parse(trib_span(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0)), &w->tip, err);
}

/* All held commits, oldest first, as the log orders them: no commit object has to be trusted for the order. */
static int judge_all(struct walk *w, uint64_t *ret_proven, bool *ret_whole, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (kept_tip(w, err) ||
	    trib_audit_sql(w->a->own, &st, err,
			   "SELECT idx, seq, part, parts, incarnation, oid, manifest, raw, signer, at, judged FROM h WHERE node = ? AND app = ? AND seq > ? ORDER BY seq, idx", "ssi",
			   w->node, w->app, (int64_t)w->tip.seq))
		return -1;
	int row, bad = 0;
	*ret_proven = w->tip.seq;
	while (!bad && (row = trib_db_step(w->a->own, st, err)) > 0) {
		bad = judge(w, st, err);
		if (bad < 0)
			return -1;
		*ret_proven += !bad;
		if (bad && trib_audit_exec(w->a->own, err, "UPDATE n SET bad = ? WHERE node = ? AND app = ?", "iss", sqlite3_column_int64(st, 1), w->node, w->app))
			return -1;
	}
	*ret_whole = !bad;
	return bad ? 0 : row;
}

/* The published tip: where the judge stands at the end. `bytes`: that state, serialised. */
static int check_tip(struct walk *w, const struct trib_where *at, struct trib_span bytes, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	uint8_t oid[TRIB_OID_LEN];
	if (trib_audit_sql(w->a->db.db, &st, err, "SELECT oid, seq, tip FROM history WHERE node = ? AND app = ?", "ss", w->node, w->app))
		return -1;
	int row = trib_db_step(w->a->db.db, st, err);
	if (row < 0)
		return -1;
	if (!row)
		return trib_audit_find(w->a, at, err, "the log holds commits, hub.db has no history of them");
	trib_audit_bytes(st, 0, oid, sizeof(oid));
	if (memcmp(oid, at->oid, sizeof(oid)) != 0 || sqlite3_column_int64(st, 1) != (int64_t)at->seq)
		return trib_audit_find(w->a, at, err, "the published tip is not the last commit that the log holds, #%llu", (unsigned long long)at->seq);
	if (!trib_span_eq(bytes, trib_span(sqlite3_column_blob(st, 2), (size_t)sqlite3_column_bytes(st, 2))))
		return trib_audit_find(w->a, at, err, "hub.db: the running state of the history is not what its commits come to");
	return 0;
}

static int check_walked_tip(struct walk *w, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf tip = TRIB_BUF(2 * TRIB_LANES_MAX + TRIB_MIB);
	struct trib_where at = {.node = w->node, .app = w->app, .seq = w->tip.seq, .oid = w->tip.oid};
	trib_tip_put(&tip, &w->tip);
	if (trib_buf_check(&tip, "tip", err) || check_tip(w, &at, trib_buf_span(&tip), err))
		return -1;
	return w->tip.exists ? trib_audit_exec(w->a->own, err, "UPDATE n SET tip = ? WHERE node = ? AND app = ?", "bss", trib_buf_span(&tip), w->node, w->app) : 0;
}

/* 1 the ref points to the commit that hub.db says, or none is due; 0 not, for `why`; -1. */
static int ref_is(struct walk *w, sqlite3 *db, const char *ref_name, const char *sql, struct trib_err *why, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	uint8_t ref[TRIB_OID_LEN], oid[TRIB_OID_LEN];
	if (trib_audit_sql(db, &st, err, sql, "ss", w->node, w->app))
		return -1;
	int row = trib_db_step(db, st, err);
	if (row <= 0 || !trib_audit_bytes(st, 0, oid, sizeof(oid)))
		return row < 0 ? -1 : 1; /* a missing row is named by check_tip */
	if (trib_repo_ref(w->repo, ref_name, ref, why))
		return 0;
	return memcmp(ref, oid, sizeof(ref)) == 0 || trib_fail(why, TRIB_E_CHAIN, "it points to another commit than the published one") == 0;
}

/* A ref may run ahead of the snapshot, or come after it: then the present hub.db and the ref must meet. `sql` gives the commit that hub.db says; NULL: no
 * ref is due. */
static int check_ref(struct walk *w, const char *ref_name, const char *sql, struct trib_err *err)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb now = {0};
	struct trib_where at = {.node = w->node, .app = w->app};
	struct trib_err why = {0};
	int is = ref_is(w, w->a->db.db, ref_name, sql, &why, err);
	if (is)
		return is < 0 ? -1 : 0;
	if (trib_hubdb_open(w->a->hub, false, &now, err))
		return -1;
	for (int i = 0; i < REF_TRIES; i++) {
		struct timespec t = {.tv_nsec = 50 * 1000 * 1000};
		is = ref_is(w, now.db, ref_name, sql, &why, err);
		if (is)
			return is < 0 ? -1 : 0;
		nanosleep(&t, NULL);
	}
	return trib_audit_find(w->a, &at, err, "%s: %s; it is set again when `serve` starts", ref_name, why.msg);
}

static int check_refs(struct walk *w, struct trib_err *err)
{
	return check_ref(w, "refs/heads/main", "SELECT oid FROM history WHERE node = ? AND app = ?", err) ||
			       check_ref(w, "refs/heads/down", "SELECT down_oid FROM history WHERE node = ? AND app = ?", err)
		       ? -1
		       : 0;
}

static int open_and_walk(struct walk *w, uint64_t *ret_proven, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_repo_path(w->a->hub, w->node, w->app);
	struct trib_where at = {.node = w->node, .app = w->app, .seq = 1};
	struct trib_err why;
	bool whole = false;
	*ret_proven = 0;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_repo_open(path, false, &w->repo, &why))
		return trib_audit_find(w->a, &at, err, "%s; not provable; try: tributary-hub ingest", why.msg) ||
				       trib_audit_exec(w->a->own, err, "UPDATE n SET bad = 1 WHERE node = ? AND app = ?", "ss", w->node, w->app)
			       ? -1
			       : 0;
	if (judge_all(w, ret_proven, &whole, err) || check_refs(w, err))
		return -1;
	return whole ? check_walked_tip(w, err) : 0;
}

int trib_audit_history(struct trib_audit *a, const char *node, const char *app, struct trib_err *err)
{
	struct walk w = {.a = a, .node = node, .app = app};
	uint64_t proven = 0;
	int rc = trib_db_prepare(a->db.db, "SELECT captured_at, inserted, updated, deleted, braked FROM held WHERE oid = ?", &w.counts, err);
	if (!rc)
		rc = open_and_walk(&w, &proven, err);
	sqlite3_finalize(w.counts);
	trib_repo_free(w.repo);
	trib_tip_release(&w.tip);
	return rc || trib_audit_exec(a->own, err, "UPDATE n SET proven = ?, walked = 1 WHERE node = ? AND app = ?", "iss", (int64_t)proven, node, app) ? -1 : 0;
}

/* What a derived history still needs: its published tip, and its refs. `bytes`: its state as derived. */
static int glance(struct trib_audit *a, const struct trib_where *at, struct trib_span bytes, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_repo_path(a->hub, at->node, at->app);
	struct walk w = {.a = a, .node = at->node, .app = at->app};
	struct trib_err why;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (check_tip(&w, at, bytes, err))
		return -1;
	if (a->city_dir) /* for `rebuild` refs do not matter: `serve` sets them again */
		return 0;
	if (trib_repo_open(path, false, &w.repo, &why))
		return trib_audit_find(a, at, err, "%s; try: tributary-hub ingest", why.msg);
	int rc = check_refs(&w, err);
	trib_repo_free(w.repo);
	return rc;
}

/* Every history that hub.db or the log knows. */
int trib_audit_histories(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_exec(a->own,
			 "UPDATE n SET walked = 0; INSERT INTO n(node, app, commits) SELECT node, app, count(*) FROM h WHERE true GROUP BY node, app ON CONFLICT(node, app) DO UPDATE SET "
			 "commits = excluded.commits",
			 err) ||
	    trib_db_prepare(a->db.db, "SELECT node, app FROM history", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(a->db.db, st, err)) > 0)
		if (trib_audit_exec(a->own, err, "INSERT OR IGNORE INTO n(node, app) VALUES(?,?)", "ss", text(st, 0), text(st, 1)))
			return -1;
	return row;
}

/* 1 the derivation has judged all commits of the history and stands at the last one; 0 not, -1. */
static int derived(struct trib_audit *a, const char *node, const char *app, struct trib_where *at, uint8_t oid[TRIB_OID_LEN], sqlite3_stmt **ret_tip, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *last = NULL;
	struct trib_city *c = NULL;
	for (size_t i = 0; i < a->made.ncities; i++)
		if (strcmp(a->made.cities[i].app, app) == 0)
			c = &a->made.cities[i];
	if (!c)
		return 0;
	if (trib_audit_sql(a->own, &last, err, "SELECT oid, seq, (SELECT min(judged) = 1 AND max(judged) = 1 FROM h g WHERE g.node = h.node AND g.app = h.app) FROM h WHERE node = ? AND app = ? ORDER BY seq DESC LIMIT 1",
			   "ss", node, app))
		return -1;
	int row = trib_db_step(a->own, last, err);
	if (row <= 0 || !sqlite3_column_int(last, 2))
		return row < 0 ? -1 : 0;
	trib_audit_bytes(last, 0, oid, TRIB_OID_LEN);
	*at = (struct trib_where){.node = node, .app = app, .seq = (uint64_t)sqlite3_column_int64(last, 1), .oid = oid};
	if (trib_audit_sql(c->db, ret_tip, err, "SELECT tip FROM _t_history WHERE node = ? AND out_of_step IS NULL", "s", node))
		return -1;
	return trib_db_step(c->db, *ret_tip, err);
}

/* After the derivation: those that it covers need a glance, the others a walk. */
int trib_audit_rest(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_progress p;
	uint64_t done = 0;
	int64_t all;
	trib_progress_init(&p, _("histories"), a->quiet);
	if (trib_db_int(a->own, "SELECT count(*) FROM n", 0, &all, err) || trib_db_prepare(a->own, "SELECT node, app, walked FROM n ORDER BY node, app", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(a->own, st, err)) > 0) {
		TRIB_AUTO(trib_stmt) sqlite3_stmt *tip = NULL;
		char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1];
		struct trib_where at;
		(void)snprintf(node, sizeof(node), "%s", text(st, 0));
		(void)snprintf(app, sizeof(app), "%s", text(st, 1));
		trib_progress_step(&p, ++done, (uint64_t)all);
		if (sqlite3_column_int(st, 2))
			continue;
		uint8_t oid[TRIB_OID_LEN];
		int is = derived(a, node, app, &at, oid, &tip, err);
		if (is < 0)
			return -1;
		if (is ? glance(a, &at, trib_span(sqlite3_column_blob(tip, 0), (size_t)sqlite3_column_bytes(tip, 0)), err) ||
				 trib_audit_exec(a->own, err, "UPDATE n SET proven = commits, tip = NULL WHERE node = ? AND app = ?", "ss", node, app)
		       : trib_audit_history(a, node, app, err))
			return -1;
	}
	trib_progress_done(&p);
	/* From a commit on that came too late nothing is proven. */
	return row < 0 ? -1 : trib_db_exec(a->own, "UPDATE n SET proven = min(proven, (SELECT min(seq) - 1 FROM tl WHERE tl.node = n.node AND tl.app = n.app)) WHERE (node, app) IN (SELECT node, app FROM tl)", err);
}
