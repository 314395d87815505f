/* What the kept receipts of earlier epochs prove, and whether it is all in the histories again. */
#include <dirent.h>
#include <errno.h>

#include "core/store/repo.h"
#include "core/trust/hash.h"
#include "hub/audit_impl.h"
#include "hub/oldlog.h"
#include "hub/restore.h"

/* e: epochs that this log opened, `idx` the leaf that did, `at` its time. c: checkpoints, `lost`: not a state of this log. f: leaves that this log lost or has otherwise.
 * k: of each epoch that was shown in two versions the first leaf known to differ. h: histories. x: findings. */
static const char own_schema[] = "CREATE TABLE e(n INTEGER PRIMARY KEY, idx INTEGER, at INTEGER) STRICT;"
				 "CREATE TABLE c(epoch INTEGER, size INTEGER, root BLOB, node TEXT, app TEXT, lost INTEGER, PRIMARY KEY(epoch, size, root)) STRICT;"
				 "CREATE TABLE k(epoch INTEGER PRIMARY KEY, idx INTEGER, node TEXT, app TEXT) STRICT;"
				 "CREATE TABLE f(epoch INTEGER, idx INTEGER, hash BLOB, node TEXT, app TEXT, held INTEGER, seq INTEGER, oid BLOB, raw BLOB, "
				 "PRIMARY KEY(epoch, idx, hash)) STRICT;"
				 "CREATE TABLE h(node TEXT, app TEXT, expected INTEGER, enrolled INTEGER, reported INTEGER DEFAULT 0, omitted INTEGER DEFAULT 0, "
				 "missing INTEGER DEFAULT 0, PRIMARY KEY(node, app)) STRICT;"
				 "CREATE TABLE x(what INTEGER, node TEXT, app TEXT, epoch INTEGER, idx INTEGER, seq INTEGER, oid BLOB, text TEXT) STRICT;";

struct trib_oldlog {
	struct trib_hubdb *h;
	sqlite3 *own;
	uint64_t epoch; /* the present one */
	uint8_t log_key[32];
	struct trib_oldlog_totals totals;
	/* of the file at hand */
	const struct trib_old_receipts *file;
};

void trib_oldlog_free(struct trib_oldlog *o)
{
	if (o)
		sqlite3_close_v2(o->own);
	free(o);
}

const struct trib_oldlog_totals *trib_oldlog_totals(const struct trib_oldlog *o) { return &o->totals; }

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

static int find(struct trib_oldlog *o, const struct trib_oldlog_finding *f, struct trib_err *err)
{
	o->totals.findings++;
	return trib_audit_exec(o->own, err, "INSERT INTO x VALUES(?,?,?,?,?,?,?,?)", "issiiibs", (int64_t)f->what, f->node, f->app, (int64_t)f->epoch, (int64_t)f->index,
			       (int64_t)f->seq, trib_span(f->oid, sizeof(f->oid)), f->text ? f->text : "");
}

static int one_int(struct trib_oldlog *o, const char *sql, int64_t arg, int64_t none, int64_t *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_audit_sql(o->own, &st, err, sql, "i", arg))
		return -1;
	int row = trib_db_step(o->own, st, err);
	if (row < 0)
		return -1;
	*ret = row && sqlite3_column_type(st, 0) != SQLITE_NULL ? sqlite3_column_int64(st, 0) : none;
	return 0;
}

/* Leaves before this index are the copy's own; from it on what epoch `n` said is lost. */
static int lost_from(struct trib_oldlog *o, uint64_t n, int64_t *ret, struct trib_err *err)
{
	return one_int(o, "SELECT min(idx) FROM e WHERE n > ?", (int64_t)n, INT64_MAX, ret, err);
}

/* ---- the epochs of this log, and whom the copy knew ---- */

static int note_epoch(struct trib_oldlog *o, uint64_t index, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_LEAF_MAX);
	struct trib_leaf leaf;
	size_t prefix;
	uint64_t n;
	if (trib_log_leaf(o->h, index, &b, err) || trib_leaf_parse(trib_buf_span(&b), &leaf, err))
		return -1;
	if (leaf.kind != TRIB_LEAF_EPOCH || !trib_origin_split(leaf.origin, &prefix, &n))
		return trib_fail(err, TRIB_E_VERIFY, "leaf %llu opens no epoch, though hub.db says so; try: tributary-hub audit", (unsigned long long)index);
	memcpy(o->log_key, leaf.sha256, sizeof(o->log_key)); /* one key for all: only such a leaf is followed */
	o->epoch = n;
	return trib_audit_exec(o->own, err, "INSERT INTO e VALUES(?,?,?)", "iii", (int64_t)n, (int64_t)index, leaf.time);
}

/* hub.db names the last one; earlier ones are looked for only when there are any. */
static int load_epochs(struct trib_oldlog *o, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf at = TRIB_BUF(64);
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	uint64_t last;
	int row;
	if (trib_hubdb_meta(o->h, "epoch-leaf", &at, err))
		return -1;
	if (at.len != sizeof(last))
		return 0;
	memcpy(&last, at.p, sizeof(last));
	o->totals.opened = true;
	if (note_epoch(o, last, err))
		return -1;
	if (o->epoch <= 2)
		return 0;
	if (trib_audit_sql(o->h->db, &st, err, "SELECT idx FROM leaf WHERE idx < ? AND substr(bytes, 1, 35) = CAST('format tributary-leaf-1' || char(10) || 'kind epoch' || char(10) AS BLOB) "
			   "ORDER BY idx", "i", (int64_t)last))
		return -1;
	const uint64_t present = o->epoch;
	while ((row = trib_db_step(o->h->db, st, err)) > 0)
		if (note_epoch(o, (uint64_t)sqlite3_column_int64(st, 0), err))
			return -1;
	o->epoch = present;
	return row;
}

static int load_histories(struct trib_oldlog *o, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int64_t opened, at;
	int row;
	if (one_int(o, "SELECT max(idx) FROM e WHERE n <= ?", INT64_MAX, 0, &opened, err) ||
	    one_int(o, "SELECT at FROM e WHERE idx = ?", opened, 0, &at, err) ||
	    trib_audit_sql(o->h->db, &st, err,
			   "SELECT n.node, n.app, EXISTS(SELECT 1 FROM held h WHERE h.node = n.node AND h.app = n.app AND h.idx < ?1), "
			   "n.added_at < ?2 FROM node n WHERE n.status = 'enrolled'",
			   "ii", opened, at))
		return -1;
	while ((row = trib_db_step(o->h->db, st, err)) > 0)
		if (trib_audit_exec(o->own, err, "INSERT INTO h(node, app, expected, enrolled) VALUES(?,?,?,?)", "ssii", (const char *)sqlite3_column_text(st, 0),
				    (const char *)sqlite3_column_text(st, 1), sqlite3_column_int64(st, 2), sqlite3_column_int64(st, 3)))
			return -1;
	return row;
}

/* ---- the files ---- */

/* A copy that is served before `recover` goes on otherwise than the log that was lost; so does one that is recovered twice under one number. Which commits
 * that cost is asked of the histories, so this alone is no finding. */
static int fork_at(struct trib_oldlog *o, uint64_t epoch, uint64_t index, const char *node, const char *app, struct trib_err *err)
{
	return trib_audit_exec(o->own, err,
			       "INSERT INTO k VALUES(?,?,?,?) ON CONFLICT(epoch) DO UPDATE SET idx = excluded.idx, node = excluded.node, app = excluded.app "
			       "WHERE excluded.idx < idx", "iiss", (int64_t)epoch, (int64_t)index, node, app);
}

static int fact_checkpoint(struct trib_oldlog *o, const struct trib_old_fact *f, int64_t from, struct trib_err *err)
{
	uint8_t root[TRIB_SHA256_LEN];
	const struct trib_checkpoint *cp = f->checkpoint;
	bool lost = cp->size > (uint64_t)from;
	if (!lost) {
		if (trib_log_root(o->h, cp->size, root, err))
			return -1;
		lost = memcmp(root, cp->root, sizeof(root)) != 0;
		if (lost && fork_at(o, f->epoch, cp->size - 1, o->file->node, o->file->app, err))
			return -1;
	}
	return trib_audit_exec(o->own, err, "INSERT OR IGNORE INTO c VALUES(?,?,?,?,?,?)", "iibssi", (int64_t)f->epoch, (int64_t)cp->size, trib_span(cp->root, sizeof(cp->root)),
			       o->file->node, o->file->app, (int64_t)lost);
}

/* 1: this log has the leaf as the receipt says, 0 it has another in its place. */
static int is_own(struct trib_oldlog *o, const struct trib_old_fact *f, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf own = TRIB_BUF(TRIB_LEAF_MAX);
	if (trib_log_leaf(o->h, f->index, &own, err))
		return -1;
	return trib_span_eq(trib_buf_span(&own), f->bytes);
}

static int fact(void *ctx, const struct trib_old_fact *f, struct trib_err *err)
{
	struct trib_oldlog *o = ctx;
	uint8_t hash[TRIB_SHA256_LEN];
	int64_t from;
	if (lost_from(o, f->epoch, &from, err))
		return -1;
	if (!f->leaf)
		return fact_checkpoint(o, f, from, err);
	if (f->index < (uint64_t)from) {
		int own = is_own(o, f, err);
		if (own)
			return own < 0 ? -1 : 0;
		if (fork_at(o, f->epoch, f->index, o->file->node, o->file->app, err))
			return -1;
	}
	bool held = f->leaf->kind == TRIB_LEAF_HELD;
	trib_merkle_leaf(hash, f->bytes);
	return trib_audit_exec(o->own, err, "INSERT OR IGNORE INTO f VALUES(?,?,?,?,?,?,?,?,?)", "iibssiibb", (int64_t)f->epoch, (int64_t)f->index, trib_span(hash, sizeof(hash)),
			       o->file->node, o->file->app, (int64_t)held, (int64_t)f->leaf->seq, trib_span(f->leaf->oid, TRIB_OID_LEN),
			       trib_span(f->leaf->commit, TRIB_SHA256_LEN));
}

static int judge_file(struct trib_oldlog *o, const char *path, const char *node, const char *app, const char *name, struct trib_old_receipts *ret, struct trib_buf *b,
		      struct trib_err *err)
{
	struct trib_old_judge j = {.origin = o->h->hub->origin, .log_key = o->log_key, .root = o->h->hub->root};
	char hex[TRIB_SHA256_HEX + 1];
	if (trib_fs_read(path, b, err))
		return -1;
	trib_sha256_hex(hex, trib_buf_span(b));
	if (strcmp(hex, name) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "its bytes are not those that its name says");
	if (trib_old_receipts_parse(trib_buf_span(b), ret, err))
		return -1;
	if (strcmp(ret->node, node) != 0 || strcmp(ret->app, app) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "it is of %s/%s", ret->node, ret->app);
	return trib_old_receipts_judge(ret, &j, err);
}

/* Judged whole first, so that of a file that is not good nothing counts. */
static int load_file(struct trib_oldlog *o, const char *path, uint64_t epoch, const char *node, const char *app, const char *name, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_OLD_RECEIPTS_MAX);
	struct trib_old_judge j = {.origin = o->h->hub->origin, .log_key = o->log_key, .root = o->h->hub->root, .fact = fact, .ctx = o};
	struct trib_old_receipts file;
	struct trib_err why;
	if (judge_file(o, path, node, app, name, &file, &b, &why)) {
		struct trib_oldlog_finding f = {.what = TRIB_OLDLOG_BAD_FILE, .node = node, .app = app, .epoch = epoch};
		if (TRIB_OWN_TROUBLE(why.code)) {
			*err = why;
			return -1;
		}
		(void)trib_ctx(&why, "%s", path);
		f.text = why.msg;
		return find(o, &f, err);
	}
	o->file = &file;
	return trib_old_receipts_judge(&file, &j, err) ||
			       trib_audit_exec(o->own, err,
					       "INSERT INTO h(node, app, expected, enrolled, reported, omitted) VALUES(?1,?2,0,0,?3,?4) ON CONFLICT(node, app) DO UPDATE SET "
					       "reported = max(reported, excluded.reported), omitted = max(omitted, excluded.omitted)",
					       "ssii", node, app, (int64_t)(file.report && epoch == o->epoch), (int64_t)file.omitted)
		       ? -1
		       : 0;
}

/* Walks one level of DIR/old-receipts/EPOCH/NODE/APP/SHA256; `part` holds the names above. */
struct level { struct trib_oldlog *o; const char *part[4]; unsigned depth; };

static int enter(struct level *l, const char *path, const char *name, struct trib_err *err);

static int walk(struct level *l, const char *dir, struct trib_err *err)
{
	DIR *d = opendir(dir);
	if (!d)
		return errno == ENOENT ? 0 : trib_fail_errno(err, "opening %s", dir);
	int rc = 0;
	for (const struct dirent *e; !rc && (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		TRIB_AUTO(trib_mem) char *path = trib_path(dir, e->d_name);
		rc = path ? enter(l, path, e->d_name, err) : oom(err);
	}
	closedir(d);
	return rc;
}

static int enter(struct level *l, const char *path, const char *name, struct trib_err *err)
{
	struct level below = *l;
	below.part[below.depth++] = name;
	if (below.depth < TRIB_COUNT(below.part))
		return walk(&below, path, err);
	uint64_t epoch = strtoull(below.part[0], NULL, 10);
	return load_file(l->o, path, epoch, below.part[1], below.part[2], name, err);
}

static int load_files(struct trib_oldlog *o, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *dir = trib_hub_path(o->h->hub, "old-receipts");
	struct level top = {.o = o};
	return dir ? walk(&top, dir, err) : oom(err);
}

/* ---- what follows ---- */

/* Receipts may also contradict each other beyond the leaves that this log has. */
static int compare_offices(struct trib_oldlog *o, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int row;
	int64_t n;
	if (trib_db_prepare(o->own,
			    "SELECT epoch, idx, max(node), max(app) FROM f GROUP BY epoch, idx HAVING count(*) > 1 UNION ALL "
			    "SELECT epoch, size - 1, max(node), max(app) FROM c GROUP BY epoch, size HAVING count(*) > 1", &st, err))
		return -1;
	while ((row = trib_db_step(o->own, st, err)) > 0)
		if (fork_at(o, (uint64_t)sqlite3_column_int64(st, 0), (uint64_t)sqlite3_column_int64(st, 1), (const char *)sqlite3_column_text(st, 2),
			    (const char *)sqlite3_column_text(st, 3), err))
			return -1;
	if (row < 0 || trib_db_int(o->own, "SELECT count(*) FROM k", 0, &n, err))
		return -1;
	o->totals.forks = (uint64_t)n;
	return 0;
}

/* 1: the commit of these bytes is held and readable, 0 not, -1. *ret_other: the history has another one of this number. */
static int is_back(struct trib_oldlog *o, struct trib_repo *repo, const struct trib_oldlog_finding *f, const uint8_t raw[TRIB_SHA256_LEN], bool *ret_other, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_COMMIT_MAX);
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_leaf leaf;
	struct trib_err why;
	uint8_t oid[TRIB_OID_LEN], sha[TRIB_SHA256_LEN];
	if (trib_audit_sql(o->h->db, &st, err, "SELECT oid FROM held WHERE node = ? AND app = ? AND seq = ?", "ssi", f->node, f->app, (int64_t)f->seq))
		return -1;
	int row = trib_db_step(o->h->db, st, err);
	if (row <= 0)
		return row;
	*ret_other = !trib_audit_bytes(st, 0, oid, sizeof(oid)) || memcmp(oid, f->oid, sizeof(oid)) != 0;
	if (*ret_other || !repo || trib_hub_held_leaf(o->h, oid, &leaf, &why) || memcmp(leaf.commit, raw, sizeof(leaf.commit)) != 0 ||
	    trib_repo_read(repo, oid, TRIB_OBJ_COMMIT, TRIB_COMMIT_MAX, &b, &why))
		return 0;
	trib_sha256(sha, trib_buf_span(&b));
	return memcmp(sha, raw, sizeof(sha)) == 0;
}

static int check_commit(struct trib_oldlog *o, struct trib_repo *repo, sqlite3_stmt *st, struct trib_err *err)
{
	struct trib_oldlog_finding f = {.what = TRIB_OLDLOG_MISSING, .node = (const char *)sqlite3_column_text(st, 0), .app = (const char *)sqlite3_column_text(st, 1),
					.seq = (uint64_t)sqlite3_column_int64(st, 2), .epoch = (uint64_t)sqlite3_column_int64(st, 5),
					.index = (uint64_t)sqlite3_column_int64(st, 6)};
	uint8_t raw[TRIB_SHA256_LEN];
	bool other = false;
	(void)!trib_audit_bytes(st, 3, f.oid, sizeof(f.oid));
	(void)!trib_audit_bytes(st, 4, raw, sizeof(raw));
	int back = is_back(o, repo, &f, raw, &other, err);
	o->totals.commits++;
	if (back)
		return back < 0 ? -1 : 0;
	o->totals.missing++;
	if (other)
		f.what = TRIB_OLDLOG_OTHER;
	return find(o, &f, err) || trib_audit_exec(o->own, err, "UPDATE h SET missing = missing + 1 WHERE node = ? AND app = ?", "ss", f.node, f.app) ? -1 : 0;
}

static int check_commits(struct trib_oldlog *o, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	char node[TRIB_NODE_MAX + 1] = "", app[TRIB_APP_MAX + 1] = "";
	struct trib_err why;
	int row;
	if (trib_db_prepare(o->own, "SELECT node, app, seq, oid, raw, min(epoch), idx FROM f WHERE held GROUP BY node, app, seq, oid, raw", &st, err))
		return -1;
	while ((row = trib_db_step(o->own, st, err)) > 0) {
		const char *n = (const char *)sqlite3_column_text(st, 0), *a = (const char *)sqlite3_column_text(st, 1);
		if (strcmp(n, node) != 0 || strcmp(a, app) != 0) {
			TRIB_AUTO(trib_mem) char *path = trib_hub_repo_path(o->h->hub, n, a);
			trib_repo_free(repo);
			repo = NULL;
			if (!path)
				return oom(err);
			(void)snprintf(node, sizeof(node), "%s", n);
			(void)snprintf(app, sizeof(app), "%s", a);
			if (trib_repo_open(path, false, &repo, &why))
				repo = NULL; /* all that it should have is missing */
		}
		if (check_commit(o, repo, st, err))
			return -1;
	}
	return row;
}

static int count_state(void *ctx, const struct trib_oldlog_history *h, struct trib_err *err)
{
	struct trib_oldlog_totals *t = ctx;
	(void)err;
	t->waiting += h->state == TRIB_OLDLOG_WAITING;
	t->complete += h->state == TRIB_OLDLOG_COMPLETE;
	t->lacking += h->state == TRIB_OLDLOG_LACKS;
	t->unknown += h->state == TRIB_OLDLOG_UNKNOWN;
	return 0;
}

int trib_oldlog_check(struct trib_hubdb *h, struct trib_oldlog **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_oldlog) struct trib_oldlog *o = calloc(1, sizeof(*o));
	if (!o)
		return oom(err);
	o->h = h;
	if (sqlite3_open_v2(":memory:", &o->own, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) != SQLITE_OK)
		return trib_db_fail(err, o->own, "opening a database in memory");
	if (trib_db_exec(o->own, own_schema, err) || load_epochs(o, err))
		return -1;
	if (o->totals.opened && (load_histories(o, err) || load_files(o, err) || compare_offices(o, err) || check_commits(o, err) ||
				 trib_oldlog_histories(o, count_state, &o->totals, err)))
		return trib_ctx(err, "what the receipts of earlier epochs prove");
	*ret = o;
	o = NULL;
	return 0;
}

/* ---- reading the result ---- */

int trib_oldlog_epochs(struct trib_oldlog *o, int (*each)(void *ctx, const struct trib_oldlog_epoch *e, struct trib_err *err), void *ctx, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int row;
	if (trib_db_prepare(o->own, "SELECT epoch, max(size), (SELECT min(idx) FROM (SELECT idx FROM e WHERE n > c.epoch UNION ALL SELECT idx FROM k WHERE k.epoch = c.epoch)), "
			    "(SELECT count(DISTINCT idx) FROM f WHERE f.epoch = c.epoch) FROM c WHERE lost GROUP BY epoch",
			    &st, err))
		return -1;
	while ((row = trib_db_step(o->own, st, err)) > 0) {
		struct trib_oldlog_epoch e = {.epoch = (uint64_t)sqlite3_column_int64(st, 0), .from = (uint64_t)sqlite3_column_int64(st, 2),
					      .upto = (uint64_t)sqlite3_column_int64(st, 1), .proven = (uint64_t)sqlite3_column_int64(st, 3)};
		if (e.upto > e.from && each(ctx, &e, err))
			return -1;
	}
	return row;
}

int trib_oldlog_forks(struct trib_oldlog *o, int (*each)(void *ctx, const struct trib_oldlog_fork *f, struct trib_err *err), void *ctx, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int row;
	if (trib_db_prepare(o->own, "SELECT epoch, idx, node, app FROM k ORDER BY epoch", &st, err))
		return -1;
	while ((row = trib_db_step(o->own, st, err)) > 0) {
		struct trib_oldlog_fork f = {.epoch = (uint64_t)sqlite3_column_int64(st, 0), .index = (uint64_t)sqlite3_column_int64(st, 1),
					     .node = (const char *)sqlite3_column_text(st, 2), .app = (const char *)sqlite3_column_text(st, 3)};
		if (each(ctx, &f, err))
			return -1;
	}
	return row;
}

int trib_oldlog_histories(struct trib_oldlog *o, int (*each)(void *ctx, const struct trib_oldlog_history *h, struct trib_err *err), void *ctx, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int row;
	if (trib_db_prepare(o->own,
			    "SELECT h.node, h.app, h.expected, h.enrolled, h.reported, h.omitted, h.missing, (SELECT count(*) FROM f WHERE f.node = h.node AND f.app = h.app), "
			    "(SELECT count(*) FROM f WHERE f.node = h.node AND f.app = h.app AND f.held) FROM h ORDER BY h.node, h.app",
			    &st, err))
		return -1;
	while ((row = trib_db_step(o->own, st, err)) > 0) {
		bool expected = sqlite3_column_int(st, 2), enrolled = sqlite3_column_int(st, 3), reported = sqlite3_column_int(st, 4);
		struct trib_oldlog_history h = {.node = (const char *)sqlite3_column_text(st, 0), .app = (const char *)sqlite3_column_text(st, 1),
						.omitted = (uint64_t)sqlite3_column_int64(st, 5), .missing = (uint64_t)sqlite3_column_int64(st, 6),
						.receipts = (uint64_t)sqlite3_column_int64(st, 7), .commits = (uint64_t)sqlite3_column_int64(st, 8)};
		if (!reported && !expected && !enrolled && h.receipts == 0)
			continue; /* it came later */
		h.state = h.missing ? TRIB_OLDLOG_LACKS : reported ? TRIB_OLDLOG_COMPLETE : expected ? TRIB_OLDLOG_WAITING : TRIB_OLDLOG_UNKNOWN;
		if (each(ctx, &h, err))
			return -1;
	}
	return row;
}

int trib_oldlog_findings(struct trib_oldlog *o, int (*each)(void *ctx, const struct trib_oldlog_finding *f, struct trib_err *err), void *ctx, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int row;
	if (trib_db_prepare(o->own, "SELECT what, node, app, epoch, idx, seq, oid, text FROM x ORDER BY node, app, what, seq, epoch, idx", &st, err))
		return -1;
	while ((row = trib_db_step(o->own, st, err)) > 0) {
		struct trib_oldlog_finding f = {.what = (enum trib_oldlog_what)sqlite3_column_int(st, 0), .node = (const char *)sqlite3_column_text(st, 1),
						.app = (const char *)sqlite3_column_text(st, 2), .epoch = (uint64_t)sqlite3_column_int64(st, 3),
						.index = (uint64_t)sqlite3_column_int64(st, 4), .seq = (uint64_t)sqlite3_column_int64(st, 5),
						.text = (const char *)sqlite3_column_text(st, 7)};
		(void)!trib_audit_bytes(st, 6, f.oid, sizeof(f.oid));
		if (each(ctx, &f, err))
			return -1;
	}
	return row;
}

int trib_oldlog_unproven(struct trib_oldlog *o, const struct trib_oldlog_epoch *e, int (*each)(void *ctx, uint64_t first, uint64_t last, struct trib_err *err), void *ctx,
			 struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	uint64_t next = e->from;
	int row;
	if (trib_audit_sql(o->own, &st, err, "SELECT DISTINCT idx FROM f WHERE epoch = ? ORDER BY idx", "i", (int64_t)e->epoch))
		return -1;
	while ((row = trib_db_step(o->own, st, err)) > 0) {
		uint64_t idx = (uint64_t)sqlite3_column_int64(st, 0);
		if (idx > next && each(ctx, next, idx - 1, err))
			return -1;
		next = idx + 1;
	}
	return row || (next < e->upto && each(ctx, next, e->upto - 1, err)) ? -1 : 0;
}
