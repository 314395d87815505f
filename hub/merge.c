#include "hub/merge.h"

#include <fcntl.h>

#include "core/base/clock.h"
#include "core/base/embed.h"
#include "core/trust/hash.h"

#define BATCH TRIB_TIPS_MAX /* groups in one transaction: bounds the journal and what a kill repeats */

struct held {
	uint64_t index, seq, parts;
	char node[TRIB_NODE_MAX + 1];
	uint8_t oid[TRIB_OID_LEN];
	int64_t held_at;
};

static int open_city(struct trib_merge *m, const char *app, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/%s.db", m->dir, app);
	struct trib_city *grown = realloc(m->cities, (m->ncities + 1) * sizeof(*grown));
	if (!path || !grown)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	m->cities = grown;
	struct trib_city *c = &m->cities[m->ncities];
	*c = (struct trib_city){0};
	(void)snprintf(c->app, sizeof(c->app), "%s", app);
	const char *sql = (const char *)trib_embed("schema/hub/0001_city.sql").p;
	if (trib_db_open_own(path, true, &c->db, err))
		return trib_ctx(err, "opening the city database of %s", app);
	m->ncities++;
	if (trib_db_migrate(c->db, &sql, 1, err) || trib_mirror_new(c->db, &c->mirror, err))
		return trib_ctx(err, "opening the city database of %s", app);
	trib_mirror_shared(c->mirror);
	return 0;
}

static struct trib_city *find_city(struct trib_merge *m, const char *app)
{
	for (size_t i = 0; i < m->ncities; i++)
		if (strcmp(m->cities[i].app, app) == 0)
			return &m->cities[i];
	return NULL;
}

static int open_cities(struct trib_merge *m, struct trib_hubdb *h, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db, "SELECT DISTINCT app FROM node ORDER BY app", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(h->db, st, err)) > 0) {
		const char *app = (const char *)sqlite3_column_text(st, 0);
		if (!app)
			return trib_fail(err, TRIB_E_VERIFY, "hub.db is damaged: a community without an application; nothing was changed; bring hub.db back from a backup");
		if (!find_city(m, app) && open_city(m, app, err))
			return -1;
	}
	return row;
}

int trib_merge_open(const struct trib_hub *hub, const char *dir, struct trib_hubdb *h, struct trib_merge *ret, struct trib_err *err)
{
	*ret = (struct trib_merge){.hub = hub, .dir = strdup(dir)};
	if (!ret->dir)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_fs_mkdirs(dir, 0700, err) || open_cities(ret, h, err)) {
		trib_merge_close(ret);
		return -1;
	}
	return 0;
}

void trib_merge_close(struct trib_merge *m)
{
	for (size_t i = 0; i < m->ncities; i++) {
		trib_tips_drop(&m->cities[i].tips);
		trib_mirror_free(m->cities[i].mirror);
		sqlite3_finalize(m->cities[i].result);
		sqlite3_finalize(m->cities[i].asked);
		sqlite3_close_v2(m->cities[i].db);
	}
	sqlite3_finalize(m->feed.st);
	trib_signer_cache_release(&m->signers);
	free(m->cities);
	free(m->dir);
	*m = (struct trib_merge){0};
}

static int put_ledger(struct trib_city *c, const struct held *g, const char *table, struct trib_span key, const char *reason, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(c->db, "INSERT INTO _t_ledger(leaf, node, seq, tbl, key, reason, at) VALUES(?,?,?,?,?,?,?)", &st, err))
		return -1;
	sqlite3_bind_int64(st, 1, (int64_t)g->index);
	sqlite3_bind_text(st, 2, g->node, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, (int64_t)g->seq);
	sqlite3_bind_text(st, 4, table, -1, SQLITE_STATIC);
	sqlite3_bind_blob(st, 5, key.n ? (const void *)key.p : "", (int)key.n, SQLITE_STATIC);
	sqlite3_bind_text(st, 6, reason, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 7, g->held_at); /* not the clock: the ledger must derive from the leaves alone (D9.3) */
	return trib_db_step(c->db, st, err) < 0 ? -1 : 0;
}

static int put_result(struct trib_city *c, const struct held *g, const uint8_t manifest[TRIB_SHA256_LEN], const struct trib_mismatch *why, struct trib_err *err)
{
	if (trib_db_keep(c->db, "INSERT INTO _t_result(leaf, node, seq, manifest, tbl, key, reason) VALUES(?,?,?,?,?,?,?)", &c->result, err))
		return -1;
	TRIB_AUTO(trib_rest) sqlite3_stmt *st = c->result;
	sqlite3_bind_int64(st, 1, (int64_t)g->index);
	sqlite3_bind_text(st, 2, g->node, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, (int64_t)g->seq);
	sqlite3_bind_blob(st, 4, manifest, TRIB_SHA256_LEN, SQLITE_STATIC);
	if (why) {
		sqlite3_bind_text(st, 5, why->table, -1, SQLITE_STATIC);
		sqlite3_bind_blob(st, 6, why->key, (int)why->key_len, SQLITE_STATIC);
		sqlite3_bind_text(st, 7, why->reason, -1, SQLITE_STATIC);
	}
	return trib_db_step(c->db, st, err) < 0 ? -1 : 0;
}

/* ---- judging and applying one complete group ---- */

struct group {
	struct trib_merge *m;
	struct trib_city *city;
	struct trib_hubdb *hub;
	const struct held *g;
	const char *path;        /* of its history */
	struct trib_repo *repo;  /* NULL until something must be read */
	struct trib_city_tip *at; /* where the history stands before the group */
	struct trib_tip tip;
	uint8_t manifest[TRIB_SHA256_LEN];
	struct trib_mismatch why;
};

static int open_history(struct group *w, struct trib_err *err)
{
	if (!w->at->repo && trib_repo_open(w->path, false, &w->at->repo, err))
		return -1;
	w->repo = w->at->repo;
	return 0;
}

/* What other threads know of it. */
static struct trib_fore *take_fore(struct group *w, const uint8_t oid[TRIB_OID_LEN])
{
	return w->m->ahead ? trib_ahead_take(w->m->ahead, w->g->node, w->city->app, oid) : NULL;
}

static int judge_one(struct group *w, const uint8_t oid[TRIB_OID_LEN], struct trib_fore *fore, struct trib_judged *ret, struct trib_err *err)
{
	struct trib_leaf leaf;
	char hex[TRIB_OID_HEX + 1];
	trib_hex(hex, oid, TRIB_OID_LEN);
	/* When the hub received it; and the log binds exactly these bytes. */
	if (trib_hubdb_leaf_of(w->hub, oid, &leaf, err))
		return trib_ctx(err, "commit %.12s of %s", hex, w->g->node);
	struct trib_cert_gate gate = {.db = w->hub, .node = w->g->node, .app = w->city->app, .at = leaf.time, .incarnation = leaf.incarnation};
	struct trib_trust trust = {.city = w->hub->hub->city, .node = w->g->node, .app = w->city->app, .root = w->hub->hub->root, .at = leaf.time,
				   .incarnation = UINT64_MAX, .signers = &w->m->signers, .cert_ok = trib_hubdb_cert_ok, .ctx = &gate};
	if (trib_judge_fore(w->repo, oid, &trust, fore, &w->tip, ret, err))
		return -1;
	if (memcmp(ret->commit_sha256, leaf.commit, TRIB_SHA256_LEN) != 0 || memcmp(ret->manifest_sha256, leaf.manifest, TRIB_SHA256_LEN) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "commit %.12s of %s is not what the log says it is", hex, w->g->node);
	return w->m->judged ? w->m->judged(w->m->judged_ctx, w->g->node, w->city->app, ret, &leaf, err) : 0;
}

/* What cannot stand in a city database at all (too many columns, too large a row) is the node's alone, like a row that does not fit:
 * taken for our own trouble it would hold up everybody. */
static int apply_one(struct group *w, const struct trib_judged *j, struct trib_err *err)
{
	if (trib_mirror_apply_judged(w->city->mirror, j, &w->why, err) == 0)
		return 0;
	if (err->code == TRIB_E_LIMIT || err->code == TRIB_E_SCHEMA) {
		w->why = (struct trib_mismatch){.table = "-", .reason = "over-limit"};
		if (err->code == TRIB_E_SCHEMA)
			(void)snprintf(w->why.reason, sizeof(w->why.reason), "schema");
		err->code = TRIB_E_OUT_OF_STEP;
	}
	return -1;
}

static int judge_and_apply_one(struct group *w, const uint8_t oid[TRIB_OID_LEN], struct trib_fore *fore, bool apply, struct trib_err *err)
{
	TRIB_AUTO(trib_judged) struct trib_judged j = {0};
	if ((!fore && open_history(w, err)) || judge_one(w, oid, fore, &j, err))
		return -1;
	memcpy(w->manifest, j.manifest_sha256, TRIB_SHA256_LEN);
	return apply ? apply_one(w, &j, err) : 0;
}

/* Judges every commit after the tip; applies the last `parts` of them, which are the group. */
static int judge_and_apply_chain(struct group *w, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) uint8_t(*chain)[TRIB_OID_LEN] = NULL;
	size_t n;
	if (open_history(w, err) || trib_repo_chain(w->repo, w->g->oid, w->tip.exists ? w->tip.oid : NULL, SIZE_MAX, &chain, &n, err))
		return -1;
	if (n < w->g->parts)
		return trib_fail(err, TRIB_E_CHAIN, "the group of %llu parts is not whole", (unsigned long long)w->g->parts);
	for (size_t i = 0; i < n; i++) {
		TRIB_AUTO(trib_fore) struct trib_fore *fore = take_fore(w, chain[i]);
		if (judge_and_apply_one(w, chain[i], fore, i + w->g->parts >= n, err))
			return -1;
	}
	return 0;
}

/* Does it stand right behind the tip? */
static bool is_next(const struct group *w, const struct trib_fore *fore)
{
	const struct trib_commitraw *c = trib_fore_commit(fore);
	return w->tip.exists ? c->has_parent && memcmp(c->parent, w->tip.oid, TRIB_OID_LEN) == 0 : !c->has_parent;
}

static int judge_and_apply(struct group *w, struct trib_err *err)
{
	TRIB_AUTO(trib_fore) struct trib_fore *fore = w->g->parts == 1 ? take_fore(w, w->g->oid) : NULL;
	return fore && is_next(w, fore) ? judge_and_apply_one(w, w->g->oid, fore, true, err) : judge_and_apply_chain(w, err);
}

static int stop_node(struct trib_merge *m, struct group *w, struct trib_err *why, struct trib_err *err)
{
	bool step = why->code == TRIB_E_OUT_OF_STEP;
	if (step) {
		m->out_of_step++;
		if (put_ledger(w->city, w->g, w->why.table, trib_span(w->why.key, w->why.key_len), w->why.reason, err) ||
		    put_result(w->city, w->g, w->manifest, &w->why, err))
			return -1;
	} else {
		/* Bytes that were right at receipt are not right now: a damaged disk or a forger, not the node's doing. No leaf blames the
		 * node; the audit names it, `ingest` brings the bytes back, `rebuild` merges them. */
		m->damaged++;
		(void)snprintf(m->damage, sizeof(m->damage), "%s/%s: %s", w->g->node, w->city->app, why->msg);
		if (put_ledger(w->city, w->g, "-", (struct trib_span){0}, "damaged", err))
			return -1;
	}
	(void)snprintf(w->at->stopped, sizeof(w->at->stopped), "%s", step ? "out-of-step" : "damaged");
	w->at->moved = true;
	return 0;
}

/* A rollback may have taken back tables and columns that the mirror had cached. */
static int fresh_mirror(struct trib_city *c, struct trib_err *err)
{
	trib_mirror_free(c->mirror);
	c->mirror = NULL;
	if (trib_mirror_new(c->db, &c->mirror, err))
		return -1;
	trib_mirror_shared(c->mirror);
	return 0;
}

/* A reset starts from nothing, so it ends any stop (D6.3). The commits that waited before it are judged with it, their rows skipped. */
static int is_reset(struct group *w, bool *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	if (trib_commit_read(w->repo, w->g->oid, &c, err) || trib_manifest_parse(trib_buf_span(&c.manifest), &m, err))
		return -1;
	*ret = m.kind == TRIB_KIND_RESET;
	return 0;
}

/* Of a stopped history: does this group wait? Bytes that cannot be read, wait. */
static bool waits(struct group *w)
{
	struct trib_err ignored;
	bool reset = false;
	return open_history(w, &ignored) || is_reset(w, &reset, &ignored) || !reset;
}

/* libgit2 says "not found" of an object whose pack it could not open. */
static bool short_of_descriptors(void)
{
	int fds[16];
	size_t n = 0;
	while (n < TRIB_COUNT(fds) && (fds[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
		n++;
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
	return n < TRIB_COUNT(fds);
}

/* Is `why` trouble of our own rather than of the group's bytes? Then the batch is tried again later. What is read and found wrong is damage at once;
 * what cannot be read may be a disk or a mount that comes back, for a while. */
static bool passes(struct trib_merge *m, const struct held *g, const struct trib_err *why)
{
	if (why->code == TRIB_E_OUT_OF_STEP)
		return false;
	if (trib_passing(why->code) || short_of_descriptors())
		return true;
	if (why->code != TRIB_E_IO && why->code != TRIB_E_GIT && why->code != TRIB_E_NOT_FOUND)
		return false;
	struct trib_patience *p = m->patience;
	if (!p)
		return false;
	if (p->group != g->index)
		p->tries = 0;
	p->group = g->index;
	return p->tries++ < p->max;
}

static int merge_group(struct trib_merge *m, struct trib_city *c, struct trib_hubdb *h, const struct held *g, struct trib_err *err)
{
	struct group w = {.m = m, .city = c, .hub = h, .g = g};
	TRIB_AUTO(trib_mem) char *path = trib_hub_repo_path(m->hub, g->node, c->app);
	int rc = -1;
	w.path = path;
	if (trib_tips_get(&c->tips, c->db, g->node, &w.at, err) || trib_tip_copy(&w.at->tip, &w.tip, err))
		goto out;
	if (w.at->stopped[0] && (!path || waits(&w))) { /* out of step: later commits wait, visibly, until a reset */
		if (m->ahead)
			trib_ahead_pass(m->ahead, g->node, c->app, g->oid);
		rc = put_ledger(c, g, "-", (struct trib_span){0}, "waits-for-reset", err);
		goto out;
	}
	struct trib_err why;
	if (!path)
		trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!path || trib_db_exec(c->db, "SAVEPOINT one", err))
		goto out;
	if (judge_and_apply(&w, &why)) {
		if (passes(m, g, &why)) {
			*err = why;
			trib_ctx(err, "%s/%s", g->node, c->app);
			goto out;
		}
		rc = trib_db_exec(c->db, "ROLLBACK TO one; RELEASE one", err) || fresh_mirror(c, err) || stop_node(m, &w, &why, err) ? -1 : 0;
		goto out;
	}
	m->merged++;
	rc = trib_db_exec(c->db, "RELEASE one", err) || put_result(c, g, w.manifest, NULL, err) ? -1 : 0;
	trib_tip_release(&w.at->tip);
	w.at->tip = w.tip;
	w.tip = (struct trib_tip){0};
	w.at->stopped[0] = '\0';
	w.at->moved = w.at->merged = true;
out:
	trib_tip_release(&w.tip);
	return rc;
}

/* ---- batches ---- */

static int set_upto(struct trib_city *c, uint64_t upto, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(c->db, "UPDATE _t_merged SET upto = ?", &st, err))
		return -1;
	sqlite3_bind_int64(st, 1, (int64_t)upto);
	return trib_db_step(c->db, st, err) < 0 ? -1 : 0;
}

static int name_nodes(struct trib_city *c, struct trib_hubdb *h, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *ins = NULL;
	if (trib_db_prepare(h->db, "SELECT node, name FROM node WHERE app = ?", &st, err) ||
	    trib_db_prepare(c->db, "INSERT INTO _t_node(node, name) VALUES(?,?) ON CONFLICT(node) DO UPDATE SET name = excluded.name WHERE name <> excluded.name", &ins, err))
		return -1;
	sqlite3_bind_text(st, 1, c->app, -1, SQLITE_STATIC);
	int row;
	while ((row = trib_db_step(h->db, st, err)) > 0) {
		sqlite3_reset(ins);
		sqlite3_bind_text(ins, 1, (const char *)sqlite3_column_text(st, 0), -1, SQLITE_TRANSIENT);
		sqlite3_bind_text(ins, 2, (const char *)sqlite3_column_text(st, 1), -1, SQLITE_TRANSIENT);
		if (trib_db_step(c->db, ins, err) < 0)
			return -1;
	}
	return row;
}

/* Next complete groups of one app: at most BATCH. A group takes its last part's place in the order. */
static int next_groups(struct trib_hubdb *h, const char *app, uint64_t from, uint64_t size, struct held ret[BATCH], size_t *ret_n, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db, "SELECT idx, node, seq, parts, oid, held_at FROM held WHERE app = ? AND idx >= ? AND idx < ? AND part = parts ORDER BY idx LIMIT 256", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, app, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, (int64_t)from);
	sqlite3_bind_int64(st, 3, (int64_t)size);
	size_t n = 0;
	int row;
	while ((row = trib_db_step(h->db, st, err)) > 0 && n < BATCH) {
		struct held *g = &ret[n++];
		g->index = (uint64_t)sqlite3_column_int64(st, 0);
		(void)snprintf(g->node, sizeof(g->node), "%s", (const char *)sqlite3_column_text(st, 1));
		g->seq = (uint64_t)sqlite3_column_int64(st, 2);
		g->parts = (uint64_t)sqlite3_column_int64(st, 3);
		if (sqlite3_column_bytes(st, 4) != TRIB_OID_LEN)
			return trib_fail(err, TRIB_E_VERIFY, "hub.db: held %llu has no commit id; try: tributary-hub audit", (unsigned long long)g->index);
		memcpy(g->oid, sqlite3_column_blob(st, 4), TRIB_OID_LEN);
		g->held_at = sqlite3_column_int64(st, 5);
	}
	if (row < 0)
		return -1;
	*ret_n = n;
	return 0;
}

/* ---- what comes next, for other threads ---- */

/* Trouble here is the ordered reading's too, which tells it. */
static bool next_held(void *ctx, struct trib_ahead_job *ret)
{
	struct trib_merge *m = ctx;
	sqlite3_stmt *st = m->feed.st;
	const char *app = m->cities[m->feed.city].app;
	if (sqlite3_step(st) != SQLITE_ROW || sqlite3_column_bytes(st, 1) != TRIB_OID_LEN || !sqlite3_column_text(st, 0))
		return false;
	(void)snprintf(ret->node, sizeof(ret->node), "%s", (const char *)sqlite3_column_text(st, 0));
	(void)snprintf(ret->app, sizeof(ret->app), "%s", app);
	memcpy(ret->oid, sqlite3_column_blob(st, 1), TRIB_OID_LEN);
	ret->at = sqlite3_column_int64(st, 2);
	ret->repo = trib_hub_repo_path(m->hub, ret->node, app);
	return ret->repo != NULL;
}

/* One city alone is fed to the end of the log: runs follow each other. Of several, each to the end of its run. */
static int feed(struct trib_merge *m, size_t city, struct trib_hubdb *h, uint64_t from, uint64_t size, struct trib_err *err)
{
	uint64_t upto = m->ncities == 1 ? INT64_MAX : size;
	if (!m->ahead || (m->feed.on && m->feed.city == city && m->feed.upto == upto))
		return 0;
	trib_ahead_from(m->ahead, NULL, NULL);
	sqlite3_finalize(m->feed.st);
	m->feed = (struct trib_feed){.city = city, .upto = upto, .on = true};
	if (trib_db_prepare(h->db, "SELECT node, oid, held_at FROM held WHERE app = ? AND idx >= ? AND idx < ? ORDER BY idx", &m->feed.st, err))
		return -1;
	sqlite3_bind_text(m->feed.st, 1, m->cities[city].app, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(m->feed.st, 2, (int64_t)from);
	sqlite3_bind_int64(m->feed.st, 3, (int64_t)upto);
	trib_ahead_from(m->ahead, next_held, m);
	return 0;
}

static int merge_batch(struct trib_merge *m, struct trib_city *c, struct trib_hubdb *h, uint64_t size, bool *ret_more, struct trib_err *err)
{
	struct held groups[BATCH];
	size_t n = 0;
	int64_t from = 0;
	if (trib_db_int(c->db, "SELECT upto FROM _t_merged", 0, &from, err) || next_groups(h, c->app, (uint64_t)from, size, groups, &n, err))
		return -1;
	*ret_more = n == BATCH;
	if (n == 0 && (uint64_t)from == size)
		return 0;
	if (n && feed(m, (size_t)(c - m->cities), h, (uint64_t)from, size, err))
		return -1;
	if (trib_db_exec(c->db, "BEGIN IMMEDIATE", err))
		return -1;
	if (name_nodes(c, h, err))
		goto fail;
	for (size_t i = 0; i < n; i++) {
		if (merge_group(m, c, h, &groups[i], err))
			goto fail;
		if (m->progress)
			trib_progress_step(m->progress, groups[i].index, size);
	}
	if (trib_tips_flush(&c->tips, c->db, c->app, err) || set_upto(c, *ret_more ? groups[n - 1].index + 1 : size, err))
		goto fail;
	trib_crash_point("merge-before-commit");
	if (trib_db_exec(c->db, "COMMIT", err))
		goto fail;
	trib_crash_point("merge-committed");
	return 0;
fail:
	trib_tips_drop(&c->tips);
	if (!sqlite3_get_autocommit(c->db)) {
		struct trib_err ignored;
		if (trib_db_exec(c->db, "ROLLBACK", &ignored) || fresh_mirror(c, &ignored))
			return -1;
	}
	return trib_ctx(err, "merging into the city database of %s", c->app);
}

int trib_merge_run(struct trib_merge *m, struct trib_hubdb *h, uint64_t size, struct trib_err *err)
{
	m->merged = m->out_of_step = m->damaged = 0;
	if (open_cities(m, h, err))
		return -1;
	for (size_t i = 0; i < m->ncities; i++) {
		bool more = true;
		while (more)
			if (merge_batch(m, &m->cities[i], h, size, &more, err))
				return -1;
	}
	return 0;
}

/* ---- the city digest (F7) ---- */

static int cmp_line(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

struct lines { char **p; size_t n, cap; };

static int put_lines(struct trib_city *c, struct lines *l, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(c->db, "SELECT node, digest FROM _t_digest", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(c->db, st, err)) > 0) {
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(1024);
		trib_buf_printf(&b, "%s %s ", (const char *)sqlite3_column_text(st, 0), c->app);
		trib_buf_hex(&b, sqlite3_column_blob(st, 1), (size_t)sqlite3_column_bytes(st, 1));
		trib_buf_putc(&b, '\n');
		if (l->n == l->cap) {
			size_t cap = l->cap ? 2 * l->cap : 64;
			char **p = realloc(l->p, cap * sizeof(*p));
			if (!p)
				return trib_fail(err, TRIB_E_NOMEM, "out of memory");
			l->p = p;
			l->cap = cap;
		}
		if (trib_buf_check(&b, "digest line", err) || !(l->p[l->n] = strdup(trib_buf_str(&b))))
			return trib_fail(err, TRIB_E_NOMEM, "out of memory");
		l->n++;
	}
	return row;
}

int trib_merge_digest(struct trib_merge *m, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err)
{
	struct lines l = {0};
	int rc = 0;
	for (size_t i = 0; i < m->ncities && !rc; i++)
		rc = put_lines(&m->cities[i], &l, err);
	if (!rc) {
		if (l.n)
			qsort(l.p, l.n, sizeof(*l.p), cmp_line);
		struct trib_sha256_ctx *sha = trib_sha256_new();
		for (size_t i = 0; i < l.n; i++)
			trib_sha256_add(sha, trib_span_str(l.p[i]));
		trib_sha256_end(sha, ret);
	}
	for (size_t i = 0; i < l.n; i++)
		free(l.p[i]);
	free(l.p);
	return rc;
}
