#include "hub/rebuild.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "core/base/clock.h"
#include "core/base/i18n.h"
#include "core/trust/hash.h"
#include "hub/audit.h"
#include "hub/chain.h"
#include "hub/night.h"
#include "hub/policy.h"

int trib_hub_stopped(const struct trib_hub *hub, struct trib_lock *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *run = trib_hub_path(hub, "run");
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, "run/serve.lock");
	if (!run || !path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_fs_mkdirs(run, 0700, err))
		return -1;
	if (trib_lock_take(ret, path, 0, err))
		return err->code == TRIB_E_LOCKED ? trib_fail(err, TRIB_E_LOCKED, _("the hub is running; nothing was changed; stop the hub first")) : -1;
	return 0;
}

/* ---- caches of hub.db ---- */

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

/* Histories that were read last stay open: opening one reads the index of all its packs. */
#define OPEN_MAX 64
struct caches {
	struct trib_hubdb *h;
	struct { char *path; struct trib_repo *repo; } open[OPEN_MAX];
	size_t next; /* is closed next */
};
static void caches_cleanup(struct caches *k)
{
	for (size_t i = 0; i < OPEN_MAX; i++) {
		trib_repo_free(k->open[i].repo);
		free(k->open[i].path);
	}
}

static struct trib_repo *open_history(struct caches *k, const struct trib_leaf *leaf, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_repo_path(k->h->hub, leaf->node, leaf->app);
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	for (size_t i = 0; path && i < OPEN_MAX; i++)
		if (k->open[i].path && strcmp(k->open[i].path, path) == 0)
			return k->open[i].repo;
	if (!path)
		(void)trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!path || trib_repo_open(path, false, &repo, err))
		return NULL;
	size_t at = k->next++ % OPEN_MAX;
	trib_repo_free(k->open[at].repo);
	free(k->open[at].path);
	k->open[at].path = path;
	k->open[at].repo = repo;
	path = NULL;
	repo = NULL;
	return k->open[at].repo;
}

/* Times and counts that only the manifest has. */
static int read_manifest(struct caches *k, const struct trib_leaf *leaf, struct trib_manifest *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	uint8_t sha[TRIB_SHA256_LEN];
	struct trib_repo *repo = open_history(k, leaf, err);
	if (!repo || trib_commit_read(repo, leaf->oid, &c, err))
		return trib_ctx(err, "%s/%s #%llu; try: tributary-hub ingest", leaf->node, leaf->app, (unsigned long long)leaf->seq);
	trib_sha256(sha, trib_buf_span(&c.manifest));
	if (memcmp(sha, leaf->manifest, sizeof(sha)) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "%s/%s #%llu is not what the log says it is", leaf->node, leaf->app, (unsigned long long)leaf->seq);
	return trib_manifest_parse(trib_buf_span(&c.manifest), ret, err);
}

struct facts { int64_t captured_at, n[3], braked; };

/* A damaged manifest costs only these columns: what hub.db said of them before stays. */
static int old_facts(struct trib_hubdb *h, uint64_t idx, const struct trib_leaf *leaf, const struct trib_err *why, struct facts *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db, "SELECT captured_at, inserted, updated, deleted, braked FROM was_held WHERE idx = ? AND oid = ?", &st, err))
		return -1;
	sqlite3_bind_int64(st, 1, (int64_t)idx);
	sqlite3_bind_blob(st, 2, leaf->oid, TRIB_OID_LEN, SQLITE_STATIC);
	int row = trib_db_step(h->db, st, err);
	if (row < 0)
		return -1;
	if (!row) {
		*err = *why;
		return -1;
	}
	*ret = (struct facts){sqlite3_column_int64(st, 0), {sqlite3_column_int64(st, 1), sqlite3_column_int64(st, 2), sqlite3_column_int64(st, 3)}, sqlite3_column_int64(st, 4)};
	return 0;
}

static int facts_of(struct caches *k, uint64_t idx, const struct trib_leaf *leaf, struct facts *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	struct trib_err why;
	uint64_t n[3];
	if (read_manifest(k, leaf, &m, &why))
		return old_facts(k->h, idx, leaf, &why, ret, err);
	trib_manifest_counts(&m, &n[0], &n[1], &n[2]);
	*ret = (struct facts){m.captured_at, {(int64_t)n[0], (int64_t)n[1], (int64_t)n[2]}, (int64_t)m.nbraked};
	return 0;
}

static int held_row(struct caches *k, uint64_t idx, const struct trib_leaf *leaf, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct facts f;
	if (facts_of(k, idx, leaf, &f, err) ||
	    trib_db_prepare(k->h->db,
			    "INSERT INTO held(idx, node, app, seq, part, parts, incarnation, oid, manifest, signer, captured_at, held_at, inserted, updated, deleted, braked) "
			    "VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
			    &st, err))
		return -1;
	const int64_t ints[] = {[1] = (int64_t)idx, [4] = (int64_t)leaf->seq, [5] = (int64_t)leaf->part, [6] = (int64_t)leaf->parts, [7] = (int64_t)leaf->incarnation,
				[11] = f.captured_at, [12] = leaf->time, [13] = f.n[0], [14] = f.n[1], [15] = f.n[2], [16] = f.braked};
	for (int i = 1; i <= 16; i++)
		sqlite3_bind_int64(st, i, ints[i]);
	sqlite3_bind_text(st, 2, leaf->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, leaf->app, -1, SQLITE_STATIC);
	sqlite3_bind_blob(st, 8, leaf->oid, TRIB_OID_LEN, SQLITE_STATIC);
	sqlite3_bind_blob(st, 9, leaf->manifest, TRIB_SHA256_LEN, SQLITE_STATIC);
	sqlite3_bind_blob(st, 10, leaf->signer, TRIB_SHA256_LEN, SQLITE_STATIC);
	return trib_db_step(k->h->db, st, err) < 0 ? -1 : 0;
}

/* The first verdict of a group counts, for all its parts (as the keeper writes it). */
static int verdict(struct trib_hubdb *h, const struct trib_leaf *leaf, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db,
			    "UPDATE held SET merged_at = CASE WHEN ?4 IS NULL THEN ?5 END, out_of_step = ?4 WHERE node = ?1 AND app = ?2 AND merged_at IS NULL AND "
			    "seq <= ?3 AND seq > ?3 - (SELECT parts FROM held WHERE node = ?1 AND app = ?2 AND seq = ?3)",
			    &st, err))
		return -1;
	sqlite3_bind_text(st, 1, leaf->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, leaf->app, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, (int64_t)leaf->seq);
	if (leaf->kind == TRIB_LEAF_OUT_OF_STEP)
		sqlite3_bind_text(st, 4, leaf->word, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 5, leaf->time);
	return trib_db_step(h->db, st, err) < 0 ? -1 : 0;
}

static int night_row(struct trib_hubdb *h, uint64_t idx, const struct trib_leaf *leaf, struct trib_err *err)
{
	struct trib_night n = {.from = leaf->from, .to = leaf->to, .end = idx, .expected = leaf->expected, .reported = leaf->reported, .silent = leaf->silent};
	return trib_night_row(h, &n, leaf->sha256, err);
}

static int one_leaf(struct caches *k, uint64_t idx, struct trib_span bytes, uint8_t pub[32], struct trib_err *err)
{
	struct trib_hubdb *h = k->h;
	struct trib_leaf leaf;
	uint8_t hash[TRIB_SHA256_LEN];
	trib_merkle_leaf(hash, bytes);
	if (trib_leaf_parse(bytes, &leaf, err))
		return trib_ctx(err, "log leaf %llu", (unsigned long long)idx);
	if (trib_merkle_append(idx, hash, trib_log_subtree, put_subtree, h, err))
		return -1;
	if (idx == 0 && leaf.kind == TRIB_LEAF_LOG_OPEN)
		memcpy(pub, leaf.sha256, 32);
	if (leaf.kind == TRIB_LEAF_HELD)
		return held_row(k, idx, &leaf, err);
	if (leaf.kind == TRIB_LEAF_NIGHT)
		return night_row(h, idx, &leaf, err);
	return leaf.kind == TRIB_LEAF_MERGED || leaf.kind == TRIB_LEAF_OUT_OF_STEP ? verdict(h, &leaf, err) : 0;
}

/* Its size and root. */
static int read_note(const struct trib_hub *hub, const char *name, const uint8_t pub[32], struct trib_checkpoint *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, name);
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	struct trib_checkpoint cp;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_fs_read(path, &note, err) || trib_checkpoint_verify(trib_buf_span(&note), hub->origin, pub, &cp, err))
		return -1;
	ret->size = cp.size;
	memcpy(ret->root, cp.root, sizeof(cp.root));
	return 0;
}

/* Lost, or no checkpoint any more. One that somebody else signed is another matter: it is not written over. */
static bool is_damage(enum trib_code code) { return code == TRIB_E_NOT_FOUND || code == TRIB_E_FORMAT || code == TRIB_E_LIMIT; }

/* The log must still be the one that was signed, else its caches are no use. */
static int check_note(struct trib_hubdb *h, uint64_t size, const uint8_t pub[32], bool *ret_lost, struct trib_err *err)
{
	struct trib_checkpoint cp = {0};
	uint8_t root[TRIB_SHA256_LEN];
	struct trib_err no;
	*ret_lost = false;
	if (read_note(h->hub, "checkpoint", pub, &cp, err)) {
		if (!is_damage(err->code))
			return trib_ctx(err, "the signed checkpoint");
		if (read_note(h->hub, "log/checkpoint", pub, &cp, &no))
			return trib_ctx(err, "neither the signed checkpoint nor the published one can be read, so nothing says that hub.db is the newest; nothing was changed; if it is, "
					     "tributary-hub serve signs them anew; if it is an older copy: tributary-hub recover");
		*ret_lost = true;
	}
	if (cp.size > size)
		return trib_fail(err, TRIB_E_VERIFY, "the log has %llu leaves, its signed checkpoint names %llu; nothing was changed; try: tributary-hub recover",
				 (unsigned long long)size, (unsigned long long)cp.size);
	if (trib_log_root(h, cp.size, root, err))
		return -1;
	return memcmp(root, cp.root, sizeof(root)) == 0
		       ? 0
		       : trib_fail(err, TRIB_E_VERIFY, "the log is not the one that the checkpoint signed; nothing was changed; bring hub.db back from a backup");
}

static int caches(struct trib_hubdb *h, struct trib_rebuilt *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	__attribute__((cleanup(caches_cleanup))) struct caches k = {.h = h};
	uint8_t pub[32] = {0};
	uint64_t next = 0;
	int64_t n[2];
	if (trib_db_exec(h->db,
			 "CREATE TEMP TABLE was_sub AS SELECT * FROM subtree; CREATE TEMP TABLE was_held AS SELECT * FROM held; DELETE FROM subtree; DELETE FROM held; "
			 "DELETE FROM night", err) ||
	    trib_db_prepare(h->db, "SELECT idx, bytes FROM leaf ORDER BY idx", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(h->db, st, err)) > 0) {
		if ((uint64_t)sqlite3_column_int64(st, 0) != next)
			return trib_fail(err, TRIB_E_VERIFY, "the log lacks leaf %llu; nothing was changed; bring hub.db back from a backup", (unsigned long long)next);
		if (one_leaf(&k, next, trib_span(sqlite3_column_blob(st, 1), (size_t)sqlite3_column_bytes(st, 1)), pub, err))
			return -1;
		next++;
	}
	if (row < 0 || check_note(h, next, pub, &ret->signed_anew, err) || trib_db_int(h->db, "SELECT count(*) FROM (SELECT * FROM subtree EXCEPT SELECT * FROM was_sub)", 0, &n[0], err) ||
	    trib_db_int(h->db, "SELECT count(*) FROM (SELECT * FROM held EXCEPT SELECT * FROM was_held)", 0, &n[1], err))
		return -1;
	ret->leaves = next;
	ret->subtrees = (uint64_t)n[0];
	ret->flags = (uint64_t)n[1];
	return trib_db_exec(h->db, "DROP TABLE was_sub; DROP TABLE was_held", err);
}

static int rebuild_caches(const struct trib_hub *hub, struct trib_rebuilt *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb h = {0};
	if (trib_hubdb_open(hub, true, &h, err) || trib_hubdb_begin(&h, err))
		return -1;
	if (caches(&h, ret, err) || trib_hubdb_commit(&h, err)) {
		trib_hubdb_rollback(&h);
		return trib_ctx(err, "rebuilding the caches of hub.db");
	}
	return trib_policy_mend(&h, err);
}

/* What the audit of the derived city asks for. */
static int sign_anew(const struct trib_hub *hub, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, "keys/log.key");
	TRIB_AUTO(trib_key) struct trib_key *key = NULL;
	TRIB_AUTO(trib_hubdb) struct trib_hubdb h = {0};
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	uint64_t size;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	return trib_key_load(path, &key, err) || trib_hubdb_open(hub, true, &h, err) || trib_log_checkpoint(&h, key, &note, &size, err) ? -1 : 0;
}

/* ---- the city files ---- */

/* Only the newest set of old files is kept. */
static int remove_older(const struct trib_hub *hub, const char *keep, struct trib_err *err)
{
	DIR *d = opendir(hub->dir);
	if (!d)
		return trib_fail_errno(err, "opening %s", hub->dir);
	int rc = 0;
	for (const struct dirent *e; !rc && (e = readdir(d));) {
		if (strncmp(e->d_name, "city.old-", 9) != 0 || strcmp(e->d_name, keep) == 0)
			continue;
		TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, e->d_name);
		rc = path ? trib_fs_remove_tree(path, err) : trib_fail(err, TRIB_E_NOMEM, "out of memory");
	}
	closedir(d);
	return rc;
}

/* One step: a crash leaves the old or the new files under `city`, whole. */
static int swap(const struct trib_hub *hub, const char *fresh, struct trib_rebuilt *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *city = trib_hub_path(hub, "city");
	char when[TRIB_TIME_LEN + 1];
	trib_time_text(when, trib_now());
	(void)snprintf(ret->kept, sizeof(ret->kept), "city.old-%s", when);
	TRIB_AUTO(trib_mem) char *old = trib_hub_path(hub, ret->kept);
	if (!city || !old)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!trib_fs_exists(city)) {
		ret->kept[0] = '\0';
		return trib_fs_rename(fresh, city, err);
	}
	if (trib_fs_remove_tree(old, err))
		return -1;
	if (renameat2(AT_FDCWD, fresh, AT_FDCWD, city, RENAME_EXCHANGE))
		return trib_fail_errno(err, "exchanging %s and %s", fresh, city);
	trib_crash_point("rebuild-swapped");
	return trib_fs_rename(fresh, old, err) || remove_older(hub, ret->kept, err) ? -1 : 0;
}

/* Findings: which say that the derived rows may not be all. */
struct found { struct trib_rebuilt *r; bool rows; };

static int finding(void *ctx, const struct trib_finding *f, struct trib_err *err)
{
	struct found *l = ctx;
	(void)err;
	bool rows = f->seq > 0 || strcmp(f->node, "-") != 0 || strcmp(f->app, "-") != 0;
	/* Those are named first. */
	if (!l->r->damage[0] || (rows && !l->rows))
		(void)snprintf(l->r->damage, sizeof(l->r->damage), "%s/%s: %s", f->node, f->app, f->what);
	l->rows = l->rows || rows;
	return 0;
}

/* Whether the present files can serve: each is there, and its pages are in order. */
static int city_sound(const struct trib_hub *hub, bool *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb h = {0};
	TRIB_AUTO(trib_stmt) sqlite3_stmt *apps = NULL;
	struct trib_err why;
	int row;
	*ret = true;
	if (trib_hubdb_open(hub, false, &h, err) || trib_db_prepare(h.db, "SELECT DISTINCT app FROM history", &apps, err))
		return -1;
	while (*ret && (row = trib_db_step(h.db, apps, err)) != 0) {
		TRIB_AUTO(trib_mem) char *path = row > 0 ? trib_pathf("%s/city/%s.db", hub->dir, (const char *)sqlite3_column_text(apps, 0)) : NULL;
		TRIB_AUTO(trib_db) sqlite3 *db = NULL;
		TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
		if (!path)
			return row < 0 ? -1 : trib_fail(err, TRIB_E_NOMEM, "out of memory");
		*ret = trib_fs_exists(path) && trib_db_open_own_ro(path, &db, &why) == 0 && trib_db_prepare(db, "PRAGMA integrity_check(1)", &st, &why) == 0 &&
		       trib_db_step(db, st, &why) > 0 && strcmp((const char *)sqlite3_column_text(st, 0), "ok") == 0;
	}
	return 0;
}

/* A city history that ends before the log's verdicts: nothing is left to be merged, so that `serve` would add the commit only after the next push. */
static int chain_on(const struct trib_hub *hub, const uint8_t digest[TRIB_SHA256_LEN], struct trib_err *err)
{
	__attribute__((cleanup(trib_hub_signer_cleanup))) struct trib_hub_signer s = {0};
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, "city.git");
	TRIB_AUTO(trib_hubdb) struct trib_hubdb h = {0};
	uint64_t size;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!trib_fs_exists(path))
		return 0;
	return trib_hub_signer_load(hub, &s, err) || trib_hubdb_open(hub, true, &h, err) || trib_log_size(&h, &size, err) || trib_chain_city(&h, &s, size, digest, err) ? -1 : 0;
}

int trib_rebuild(const struct trib_hub *hub, bool quiet, struct trib_rebuilt *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_audit) struct trib_audit *a = NULL;
	TRIB_AUTO(trib_mem) char *fresh = trib_hub_path(hub, "city.new");
	struct found f = {.r = ret};
	struct trib_audit_totals t;
	bool sound;
	*ret = (struct trib_rebuilt){0};
	if (!fresh)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_fs_remove_tree(fresh, err) || rebuild_caches(hub, ret, err) || (ret->signed_anew && sign_anew(hub, err)) || city_sound(hub, &sound, err) ||
	    trib_audit_derive(hub, fresh, &(struct trib_audit_how){.quiet = quiet}, &a, err))
		return -1;
	trib_audit_totals(a, &t);
	ret->commits = t.commits;
	ret->findings = t.findings;
	if (trib_audit_findings(a, finding, &f, err) || trib_audit_seal(a, ret->digest, err))
		return -1;
	/* Files that still serve may be all that is left of what a history lost; such as do not serve help nobody, and are kept aside. */
	ret->replaced = !f.rows || !sound;
	if (!ret->replaced)
		return trib_fs_remove_tree(fresh, err);
	if (swap(hub, fresh, ret, err))
		return -1;
	if (f.rows || !ret->findings)
		return 0;
	struct trib_err ignored; /* one that is damaged is named already */
	(void)!chain_on(hub, ret->digest, &ignored);
	return 0;
}
