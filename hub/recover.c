#include "hub/recover.h"

#include <dirent.h>

#include "core/format/down.h"
#include "core/store/repo.h"
#include "hub/audit.h"
#include "hub/tiles.h"
#include "hub/witnesses.h"

/* Newest epoch leaf: its origin and index; the first leaf's when there is none. */
static int log_origin(struct trib_hubdb *h, char *ret, size_t size, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_LEAF_MAX), bytes = TRIB_BUF(TRIB_LEAF_MAX);
	struct trib_leaf leaf;
	if (trib_hubdb_meta(h, "origin", &b, err))
		return -1;
	if (b.len) {
		(void)snprintf(ret, size, "%.*s", (int)b.len, (const char *)b.p);
		return 0;
	}
	if (trib_log_leaf(h, 0, &bytes, err) || trib_leaf_parse(trib_buf_span(&bytes), &leaf, err))
		return -1;
	(void)snprintf(ret, size, "%s", leaf.origin);
	return 0;
}

/* The note at DIR/name against hub.db. An unreadable one is left to the audit. */
static int check_note(struct trib_hubdb *h, const char *name, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(h->hub, name);
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	struct trib_checkpoint cp;
	struct trib_err why;
	uint64_t size;
	uint8_t root[TRIB_SHA256_LEN];
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_fs_read(path, &note, &why) || trib_checkpoint_parse(trib_buf_span(&note), &cp, &why))
		return 0;
	if (trib_log_size(h, &size, err))
		return -1;
	if (cp.size > size)
		return trib_fail(err, TRIB_E_VERIFY, "%s names %llu leaves, hub.db has %llu: hub.db is an older copy; nothing was signed; try: tributary-hub recover", path,
				 (unsigned long long)cp.size, (unsigned long long)size);
	if (trib_log_root(h, cp.size, root, err))
		return -1;
	return memcmp(root, cp.root, sizeof(root)) == 0
		       ? 0
		       : trib_fail(err, TRIB_E_VERIFY, "%s is of another log than hub.db; nothing was signed; try: tributary-hub audit, then tributary-hub recover", path);
}

int trib_hub_not_older(struct trib_hubdb *h, struct trib_err *err)
{
	char origin[TRIB_TITLE_MAX + 32];
	uint64_t steps;
	if (log_origin(h, origin, sizeof(origin), err))
		return -1;
	bool same = strcmp(origin, h->hub->origin) == 0;
	if (!same && trib_origin_follows(origin, h->hub->origin, &steps))
		return trib_fail(err, TRIB_E_VERIFY, "hub.conf says %s, hub.db is of %s: hub.db is an older copy; nothing was signed; try: tributary-hub recover", h->hub->origin, origin);
	if (!same)
		return trib_fail(err, TRIB_E_VERIFY, "the log goes on as %s, hub.conf says %s: recovering was cut off; run it again: tributary-hub recover", origin, h->hub->origin);
	return check_note(h, "checkpoint", err) || check_note(h, "log/checkpoint", err) ? -1 : 0;
}

/* ---- the number of the next epoch ---- */

static void saw(const char *origin, const char *its, uint64_t *steps)
{
	uint64_t n;
	if (trib_origin_follows(origin, its, &n) && n > *steps)
		*steps = n;
}

static int saw_note(const struct trib_hub *hub, const char *origin, const char *name, uint64_t *steps, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, name);
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	char its[TRIB_TITLE_MAX + 32];
	struct trib_err no;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_fs_read(path, &note, &no) == 0 && trib_note_origin(trib_buf_span(&note), its, sizeof(its), &no) == 0)
		saw(origin, its, steps);
	return 0;
}

/* Receipts are kept under the number of the epoch in which they came. */
static int saw_receipts(const struct trib_hub *hub, uint64_t epoch, uint64_t *steps, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, "old-receipts");
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	DIR *d = opendir(path);
	for (const struct dirent *e; d && (e = readdir(d));) {
		uint64_t n = strtoull(e->d_name, NULL, 10);
		if (n > epoch && n < INT64_MAX && n - epoch > *steps)
			*steps = n - epoch;
	}
	if (d)
		closedir(d);
	return 0;
}

/* How far beyond `origin` this log is known to have been: an epoch that is opened a second time under one number locks out whoever saw the first. */
static int known_steps(const struct trib_hub *hub, const char *origin, uint64_t epoch, uint64_t *ret, struct trib_err *err)
{
	struct trib_witness_peer all[TRIB_WITNESSES_MAX];
	struct trib_err no;
	size_t n = 0;
	uint64_t steps = 0;
	saw(origin, hub->origin, &steps);
	if (saw_note(hub, origin, "checkpoint", &steps, err) || saw_note(hub, origin, "log/checkpoint", &steps, err) || saw_receipts(hub, epoch, &steps, err))
		return -1;
	if (trib_witnesses_load(hub->dir, all, &n, &no))
		n = 0;
	for (size_t i = 0; i < n; i++) {
		char name[64];
		(void)snprintf(name, sizeof(name), "witness/%s/cosigned", all[i].id);
		if (saw_note(hub, origin, name, &steps, err))
			return -1;
	}
	*ret = steps;
	return 0;
}

/* Behind `origin`: number `want`, or when that is 0 the one after all that are known here. */
static int next_origin(const struct trib_hub *hub, const char *origin, uint64_t want, char *ret, size_t size, struct trib_err *err)
{
	size_t prefix;
	uint64_t epoch, steps;
	if (!trib_origin_split(origin, &prefix, &epoch))
		return trib_fail(err, TRIB_E_FORMAT, "the log's origin %s does not end in the number of its epoch", origin);
	if (known_steps(hub, origin, epoch, &steps, err))
		return -1;
	if (want && want <= epoch + steps)
		return trib_fail(err, TRIB_E_USAGE, "epoch %llu of this log is known already; nothing was changed; the next is %llu", (unsigned long long)(epoch + steps),
				 (unsigned long long)(epoch + steps + 1));
	return trib_hub_origin(hub->city, want ? want : epoch + steps + 1, ret, size, err);
}

/* ---- opening it ---- */

static int last_time(struct trib_hubdb *h, uint64_t size, int64_t *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_LEAF_MAX);
	struct trib_leaf leaf;
	if (trib_log_leaf(h, size - 1, &b, err) || trib_leaf_parse(trib_buf_span(&b), &leaf, err))
		return -1;
	*ret = leaf.time;
	return 0;
}

/* The leaf, and that every history is due it; an office that has sent nothing yet gets it with its first receipt. */
static int put_epoch(struct trib_hubdb *h, const struct trib_key *log_key, const struct trib_key *key, const struct trib_cert *cert, const struct trib_cert *issuing,
		     int64_t now, uint64_t want, struct trib_recovered *r, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_LEAF_MAX);
	TRIB_AUTO(trib_stmt) sqlite3_stmt *due = NULL;
	struct trib_leaf facts = {.kind = TRIB_LEAF_EPOCH}, leaf;
	char old[TRIB_TITLE_MAX + 32];
	uint64_t index;
	int64_t n;
	if (log_origin(h, old, sizeof(old), err) || next_origin(h->hub, old, want, r->origin, sizeof(r->origin), err) || trib_log_size(h, &r->leaves, err))
		return -1;
	if (r->leaves == 0)
		return trib_fail(err, TRIB_E_VERIFY, "the log is empty; nothing was changed; bring hub.db back from a backup");
	memcpy(facts.origin, r->origin, sizeof(facts.origin));
	facts.number = r->leaves;
	if (last_time(h, r->leaves, &r->last, err) || trib_log_time(h, now, &facts.time, err) ||
	    trib_log_root(h, r->leaves, facts.manifest, err) || trib_key_ed25519_public(log_key, facts.sha256, err) ||
	    trib_epoch_sign(&facts, key, cert, issuing, &text, err) || trib_leaf_parse(trib_buf_span(&text), &leaf, err) ||
	    trib_epoch_verify(&leaf, h->hub->root, &r->admin, err) || trib_log_append(h, &leaf, &index, err) ||
	    trib_hubdb_meta_set(h, "origin", trib_span_str(r->origin), err) || trib_hubdb_meta_set(h, "epoch-leaf", trib_span(&index, sizeof(index)), err) ||
	    trib_db_prepare(h->db, "INSERT INTO due(idx, node, app) SELECT ?1, node, app FROM history UNION SELECT ?1, node, app FROM node WHERE status = 'enrolled'", &due, err))
		return -1;
	sqlite3_bind_int64(due, 1, (int64_t)index);
	if (trib_db_step(h->db, due, err) < 0 || trib_db_int(h->db, "SELECT count(*) FROM history", 0, &n, err))
		return -1;
	r->histories = (uint64_t)n;
	return 0;
}

/* The last step: as long as hub.conf has the old origin, `serve` signs nothing, and `recover` knows that it was cut off. */
static int save_origin(const struct trib_hub *hub, struct trib_err *err)
{
	struct trib_hub_conf conf;
	if (trib_hub_conf_load(hub->dir, &conf, err))
		return -1;
	memcpy(conf.origin, hub->origin, sizeof(conf.origin));
	return trib_hub_conf_save(hub->dir, &conf, err);
}

/* What the lost state left beside the copy: an audit of leaves that the log no longer has. */
static int drop_later(const struct trib_hub *hub, uint64_t size, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, "audited");
	struct trib_audited old;
	struct trib_err why;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	return trib_audited_load(hub, &old, &why) == 0 && old.size > size ? trib_fs_remove(path, err) : 0;
}

/* 1: the city commit is of the log as this copy has it, 0 of a later or another one, -1. */
static int city_fits(struct trib_hubdb *h, struct trib_repo *repo, const uint8_t oid[TRIB_OID_LEN], uint64_t leaves, struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	struct trib_city_manifest m;
	uint8_t root[TRIB_SHA256_LEN];
	if (trib_commit_read(repo, oid, &c, err) || trib_city_manifest_parse(trib_buf_span(&c.manifest), &m, err))
		return -1;
	if (m.log_size > leaves)
		return 0;
	if (trib_log_root(h, m.log_size, root, err))
		return -1;
	return memcmp(root, m.log_root, sizeof(root)) == 0;
}

/* A city history that is newer than hub.db names leaves that this log does not have; it could never be proven again. It goes on behind the last commit that
 * fits; what came after keeps a ref. One that cannot be read is left as it is: the audit names it. */
static int set_city_back(struct trib_hubdb *h, struct trib_recovered *r, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(h->hub, "city.git");
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	uint8_t tip[TRIB_OID_LEN], at[TRIB_OID_LEN], before[TRIB_OID_LEN];
	struct trib_err no;
	uint64_t n = 0;
	size_t prefix;
	uint64_t epoch;
	int fits;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!trib_fs_exists(path) || trib_repo_open(path, false, &repo, &no) || trib_repo_ref(repo, "refs/heads/main", tip, &no) || !trib_origin_split(r->origin, &prefix, &epoch))
		return 0;
	memcpy(at, tip, sizeof(at));
	while ((fits = city_fits(h, repo, at, r->leaves, &no)) == 0) {
		n++;
		int more = trib_repo_parent(repo, at, before, &no);
		if (more <= 0) {
			fits = more;
			break;
		}
		memcpy(at, before, sizeof(at));
	}
	if (fits < 0 || n == 0)
		return 0;
	(void)snprintf(r->city_ref, sizeof(r->city_ref), "refs/tributary/before-%llu", (unsigned long long)epoch);
	r->city_commits = n;
	return trib_repo_ref_set(repo, r->city_ref, tip, err) ||
			       trib_repo_ref_cas(repo, "refs/heads/main", tip, fits ? at : NULL, err)
		       ? trib_ctx(err, "setting the city history back")
		       : 0;
}

/* 1: the leaf is there already, only what follows it was cut off. */
static int resume(struct trib_hubdb *h, struct trib_recovered *r, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_LEAF_MAX);
	struct trib_leaf leaf;
	TRIB_AUTO(trib_buf) struct trib_buf at = TRIB_BUF(TRIB_LEAF_MAX);
	uint64_t index = 0, steps;
	int64_t n;
	if (log_origin(h, r->origin, sizeof(r->origin), err) || trib_hubdb_meta(h, "epoch-leaf", &at, err))
		return -1;
	if (!trib_origin_follows(h->hub->origin, r->origin, &steps) || steps == 0)
		return 0;
	if (at.len == sizeof(index))
		memcpy(&index, at.p, sizeof(index));
	if (trib_log_leaf(h, index, &b, err) || trib_leaf_parse(trib_buf_span(&b), &leaf, err) || trib_epoch_verify(&leaf, h->hub->root, &r->admin, err) ||
	    last_time(h, index, &r->last, err) || trib_db_int(h->db, "SELECT count(*) FROM history", 0, &n, err))
		return trib_ctx(err, "the log goes on as %s", r->origin);
	r->leaves = index;
	r->histories = (uint64_t)n;
	return 1;
}

int trib_recover(struct trib_hub *hub, const struct trib_key *key, const struct trib_cert *cert, const struct trib_cert *issuing, int64_t now,
		 uint64_t epoch, struct trib_recovered *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, "keys/log.key");
	TRIB_AUTO(trib_hubdb) struct trib_hubdb h = {0};
	TRIB_AUTO(trib_key) struct trib_key *log_key = NULL;
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	struct trib_recovered r = {0};
	uint64_t size;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_key_load(path, &log_key, err) || trib_hubdb_open(hub, true, &h, err))
		return -1;
	int done = resume(&h, &r, err);
	if (done < 0)
		return -1;
	if (!done) {
		if (trib_hubdb_begin(&h, err))
			return -1;
		if (put_epoch(&h, log_key, key, cert, issuing, now, epoch, &r, err) || trib_hubdb_commit(&h, err)) {
			trib_hubdb_rollback(&h);
			return -1;
		}
	}
	trib_crash_point("epoch-opened");
	memcpy(hub->origin, r.origin, sizeof(hub->origin));
	if (drop_later(hub, r.leaves, err) || set_city_back(&h, &r, err) || trib_log_checkpoint(&h, log_key, &note, &size, err) ||
	    trib_tiles_remake(&h, log_key, err) || save_origin(hub, err))
		return trib_ctx(err, "the new epoch is in the log; run recover again to end it");
	*ret = r;
	return 0;
}
