#include "hub/audit_impl.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>

#include "core/base/clock.h"
#include "core/trust/epoch.h"

static const char own_schema[] =
	"CREATE TABLE finding(id INTEGER PRIMARY KEY, node TEXT, app TEXT, seq INTEGER, oid TEXT, tbl TEXT, key TEXT, what TEXT);"
	"CREATE INDEX finding_node ON finding(node, app, id);"
	/* hashes of complete subtrees, as recomputed */
	"CREATE TABLE sub(level INTEGER, idx INTEGER, hash BLOB, PRIMARY KEY(level, idx)) WITHOUT ROWID;"
	/* what the leaves say: held commits, verdicts, certificates */
	"CREATE TABLE h(idx INTEGER PRIMARY KEY, node TEXT, app TEXT, seq INTEGER, part INTEGER, parts INTEGER, incarnation INTEGER, oid BLOB, manifest BLOB,"
	" raw BLOB, signer BLOB, crl INTEGER, at INTEGER, merged_at INTEGER, step TEXT, judged INTEGER DEFAULT 0, seen INTEGER, seen_root BLOB,"
	" captured_at INTEGER, inserted INTEGER, updated INTEGER, deleted INTEGER, braked INTEGER, reset INTEGER);" /* as its manifest says, once it was judged */
	"CREATE INDEX h_seq ON h(node, app, seq);"
	"CREATE TABLE v(idx INTEGER PRIMARY KEY, node TEXT, app TEXT, seq INTEGER, merged INTEGER, manifest BLOB, tbl TEXT, key BLOB, word TEXT, at INTEGER);"
	"CREATE INDEX v_seq ON v(node, app, seq);"
	"CREATE TABLE c(sha256 BLOB PRIMARY KEY, node TEXT, app TEXT, usage TEXT, incarnation INTEGER, revoked_at INTEGER,"
	" not_after INTEGER, serial TEXT) WITHOUT ROWID;" /* these two once a commit that it signed was judged */
	/* histories: bad = first sequence number that is not proven */
	"CREATE TABLE n(node TEXT, app TEXT, commits INTEGER DEFAULT 0, proven INTEGER DEFAULT 0, rows INTEGER DEFAULT 0, walked INTEGER DEFAULT 0, bad INTEGER,"
	" tip BLOB, most INTEGER DEFAULT 0, machine INTEGER DEFAULT 0, again INTEGER DEFAULT 0, PRIMARY KEY(node, app)) WITHOUT ROWID;"
	/* What the next audit goes on from (audit_kept.c): the place, down chains, files, and the schema of each city file; tables k_t_* hold its other rows. */
	"CREATE TABLE kept(rules INTEGER, program TEXT, city TEXT, size INTEGER, root BLOB, log_pub BLOB, first_origin TEXT, origin TEXT, opened INTEGER, crl INTEGER,"
	" night_to INTEGER, night_first INTEGER, city_seq INTEGER, city_merged INTEGER, city_log INTEGER, city_oid BLOB, city_manifest BLOB, policy INTEGER, policy_sha BLOB);"
	"CREATE TABLE d(node TEXT, app TEXT, seq INTEGER, size INTEGER, oid BLOB, manifest BLOB, PRIMARY KEY(node, app)) WITHOUT ROWID;"
	"CREATE TABLE rc(node TEXT, app TEXT, idx INTEGER, PRIMARY KEY(node, app, idx)) WITHOUT ROWID;" /* leaves that it was given a receipt for */
	"CREATE TABLE f(path TEXT PRIMARY KEY, sha256 BLOB) WITHOUT ROWID;"
	"CREATE TABLE ks(app TEXT, n INTEGER, name TEXT, sql TEXT, PRIMARY KEY(app, n)) WITHOUT ROWID;"
	/* city commits whose signature and place are right */
	"CREATE TABLE cc(seq INTEGER PRIMARY KEY, oid BLOB, log_size INTEGER, merged INTEGER, digest BLOB);"
	"CREATE TABLE po(idx INTEGER PRIMARY KEY, number INTEGER, sha256 BLOB);" /* policies */
	"CREATE TABLE ep(idx INTEGER PRIMARY KEY, origin TEXT);" /* epochs of the log */
	/* expected histories, from and until which leaf; nightly lists; one night as derived */
	"CREATE TABLE x(node TEXT, app TEXT, since INTEGER, until INTEGER, PRIMARY KEY(node, app)) WITHOUT ROWID;"
	"CREATE TABLE ng(idx INTEGER PRIMARY KEY, at INTEGER, from_at INTEGER, to_at INTEGER, expected INTEGER, reported INTEGER, silent INTEGER, sha256 BLOB);"
	"CREATE TABLE nn(node TEXT, app TEXT, reported INTEGER, listed INTEGER, PRIMARY KEY(node, app)) WITHOUT ROWID;"
	/* roots that the log knows: the one that it was opened under, and those that came later */
	"CREATE TABLE ra(sha256 BLOB PRIMARY KEY) WITHOUT ROWID;"
	/* lists of revoked certificates; certificates that leaves revoke */
	"CREATE TABLE rl(number INTEGER PRIMARY KEY, idx INTEGER, sha256 BLOB);"
	"CREATE TABLE rv(sha256 BLOB PRIMARY KEY, idx INTEGER, at INTEGER, node TEXT, app TEXT) WITHOUT ROWID;" /* node NULL: a person's */
	"CREATE TABLE tl(node TEXT, app TEXT, seq INTEGER);" /* commits that were held too late: after their signer was revoked */
	/* what leaves say of people and of names of communities; who issues certificates */
	"CREATE TABLE pe(sha256 BLOB PRIMARY KEY, name TEXT, role TEXT, usage TEXT, revoked_at INTEGER) WITHOUT ROWID;"
	"CREATE TABLE fo(idx INTEGER PRIMARY KEY, node TEXT, app TEXT, forked INTEGER);" /* refusals of a fork, and the machines that ended one */
	"CREATE TABLE nm(node TEXT, app TEXT, name TEXT, PRIMARY KEY(node, app)) WITHOUT ROWID;"
	"CREATE TABLE na(node TEXT, app TEXT, name TEXT, PRIMARY KEY(node, app, name)) WITHOUT ROWID;" /* every name that a community ever had */
	"CREATE TABLE ia(name TEXT PRIMARY KEY) WITHOUT ROWID;"
	"CREATE TABLE line(text BLOB PRIMARY KEY) WITHOUT ROWID;";

/* ---- small SQL ---- */

static int bind_all(sqlite3 *db, sqlite3_stmt *st, const char *types, va_list ap, struct trib_err *err)
{
	int rc = SQLITE_OK;
	for (int i = 0; types[i] && rc == SQLITE_OK; i++) {
		const char *s;
		struct trib_span b;
		switch (types[i]) {
		case 's':
			s = va_arg(ap, const char *);
			rc = sqlite3_bind_text(st, i + 1, s, -1, SQLITE_TRANSIENT);
			break;
		case 'b':
			b = va_arg(ap, struct trib_span);
			rc = sqlite3_bind_blob(st, i + 1, b.n ? (const void *)b.p : "", (int)b.n, SQLITE_TRANSIENT);
			break;
		default:
			rc = sqlite3_bind_int64(st, i + 1, va_arg(ap, int64_t));
		}
	}
	return rc == SQLITE_OK ? 0 : trib_db_fail(err, db, "binding");
}

int trib_audit_sql(sqlite3 *db, sqlite3_stmt **ret, struct trib_err *err, const char *sql, const char *types, ...)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db, sql, &st, err))
		return -1;
	va_list ap;
	va_start(ap, types);
	int rc = bind_all(db, st, types, ap, err);
	va_end(ap);
	if (rc)
		return -1;
	*ret = st;
	st = NULL;
	return 0;
}

int trib_audit_exec(sqlite3 *db, struct trib_err *err, const char *sql, const char *types, ...)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db, sql, &st, err))
		return -1;
	va_list ap;
	va_start(ap, types);
	int rc = bind_all(db, st, types, ap, err);
	va_end(ap);
	return rc || trib_db_step(db, st, err) < 0 ? -1 : 0;
}

bool trib_audit_bytes(sqlite3_stmt *st, int col, uint8_t *ret, size_t n)
{
	memset(ret, 0, n);
	if (sqlite3_column_type(st, col) != SQLITE_BLOB || (size_t)sqlite3_column_bytes(st, col) != n)
		return false;
	memcpy(ret, sqlite3_column_blob(st, col), n);
	return true;
}

/* ---- findings ---- */

int trib_audit_find(struct trib_audit *a, const struct trib_where *w, struct trib_err *err, const char *fmt, ...)
{
	char what[TRIB_ERR_MSG + 256], hex[TRIB_OID_HEX + 1] = "-";
	va_list ap;
	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (w->oid)
		trib_hex(hex, w->oid, TRIB_OID_LEN);
	a->totals.findings++;
	if (a->from) { /* a full audit will name it */
		a->fell = true;
		return trib_fail(err, TRIB_E_VERIFY, "%s%s%s%s%s", w->node ? w->node : "", w->node ? "/" : "", w->app ? w->app : "", w->app ? ": " : "", what);
	}
	return trib_audit_exec(a->own, err, "INSERT INTO finding(node, app, seq, oid, tbl, key, what) VALUES(?,?,?,?,?,?,?)", "ssissss", w->node ? w->node : "-",
			       w->app ? w->app : "-", (int64_t)w->seq, hex, w->table && *w->table ? w->table : "-", w->key && *w->key ? w->key : "-", what);
}

static const char *text(sqlite3_stmt *st, int i)
{
	const char *s = (const char *)sqlite3_column_text(st, i);
	return s ? s : "";
}

int trib_audit_findings(struct trib_audit *a, int (*fn)(void *, const struct trib_finding *, struct trib_err *), void *ctx, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(a->own, "SELECT node, app, seq, oid, tbl, key, what FROM finding ORDER BY node, app, id", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(a->own, st, err)) > 0) {
		struct trib_finding f = {.node = text(st, 0), .app = text(st, 1), .seq = (uint64_t)sqlite3_column_int64(st, 2), .commit = text(st, 3),
					 .table = text(st, 4), .key = text(st, 5), .what = text(st, 6)};
		if (fn(ctx, &f, err))
			return -1;
	}
	return row;
}

int trib_audit_nodes(struct trib_audit *a, int (*fn)(void *, const struct trib_audit_node *, struct trib_err *), void *ctx, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(a->own,
			    "SELECT node, app, commits, proven, rows, (SELECT count(*) FROM finding f WHERE f.node = n.node AND f.app = n.app) FROM n ORDER BY node, app", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(a->own, st, err)) > 0) {
		struct trib_audit_node n = {.node = text(st, 0), .app = text(st, 1), .commits = (uint64_t)sqlite3_column_int64(st, 2),
					    .proven = (uint64_t)sqlite3_column_int64(st, 3), .rows = (uint64_t)sqlite3_column_int64(st, 4),
					    .findings = (uint64_t)sqlite3_column_int64(st, 5)};
		if (fn(ctx, &n, err))
			return -1;
	}
	return row;
}

void trib_audit_totals(const struct trib_audit *a, struct trib_audit_totals *ret) { *ret = a->totals; }

/* ---- the snapshot ---- */

/* A file that cannot be opened at all is a finding; `upto` then stays 0. */
static int open_file(struct trib_audit *a, const char *app, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/city/%s.db", a->hub->dir, app);
	struct trib_audit_file *grown = realloc(a->files, (a->nfiles + 1) * sizeof(*grown));
	if (grown)
		a->files = grown;
	if (!path || !grown)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	struct trib_audit_file *f = &a->files[a->nfiles++];
	*f = (struct trib_audit_file){0};
	(void)snprintf(f->app, sizeof(f->app), "%s", app);
	if (!trib_fs_exists(path))
		return 0; /* right as long as nothing was merged: the city step tells */
	int64_t upto;
	struct trib_err why;
	if (trib_db_open_own_ro(path, &f->db, &why) || trib_db_exec(f->db, "BEGIN", &why) || trib_db_int(f->db, "SELECT upto FROM _t_merged", 0, &upto, &why) ||
	    trib_mirror_new(f->db, &f->mirror, &why)) {
		struct trib_where w = {.app = app};
		sqlite3_close_v2(f->db);
		f->db = NULL;
		f->compared = true;
		return trib_audit_find(a, &w, err, "the city database cannot be read: %s", why.msg);
	}
	f->upto = (uint64_t)upto;
	return 0;
}

static int open_files(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(a->db.db, "SELECT DISTINCT app FROM node ORDER BY app", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(a->db.db, st, err)) > 0)
		if (open_file(a, text(st, 0), err))
			return -1;
	return row;
}

static int city_tip(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(a->hub, "city.git");
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!trib_fs_exists(path))
		return 0;
	/* What is wrong with it, the chain step names. */
	struct trib_err why;
	a->has_city_floor = trib_repo_open(path, false, &repo, &why) == 0 && trib_repo_ref(repo, "refs/heads/main", a->city_floor, &why) == 0;
	return 0;
}

/* The city commit and the checkpoint before the files, the files before hub.db: each later one is at least as new. */
static int snapshot(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *note = trib_hub_path(a->hub, "checkpoint");
	struct trib_err why;
	if (!note)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	int rc = trib_fs_read(note, &a->note, &why);
	if (rc || !a->note.len) {
		struct trib_where w = {0};
		if (!rc)
			(void)trib_fail(&why, TRIB_E_FORMAT, "the file is empty");
		trib_buf_reset(&a->note);
		if (trib_audit_find(a, &w, err, "the signed checkpoint: %s", why.msg))
			return -1;
	}
	if (city_tip(a, err) || trib_hubdb_open(a->hub, false, &a->db, err) || (!a->city_dir && open_files(a, err)) || trib_db_exec(a->db.db, "BEGIN", err) ||
	    trib_log_size(&a->db, &a->size, err))
		return trib_ctx(err, "taking a snapshot");
	return 0;
}

/* A killed audit leaves its folder behind; its number says whether it still runs. */
static int sweep(const struct trib_hub *hub, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *run = trib_hub_path(hub, "run");
	DIR *d = run ? opendir(run) : NULL;
	if (!run)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!d)
		return errno == ENOENT ? 0 : trib_fail_errno(err, "opening %s", run);
	int rc = 0;
	for (const struct dirent *e; !rc && (e = readdir(d));) {
		long pid = strncmp(e->d_name, "audit-", 6) == 0 ? strtol(e->d_name + 6, NULL, 10) : 0;
		if (pid <= 0 || kill((pid_t)pid, 0) == 0 || errno != ESRCH)
			continue;
		TRIB_AUTO(trib_mem) char *path = trib_path(run, e->d_name);
		rc = path ? trib_fs_remove_tree(path, err) : trib_fail(err, TRIB_E_NOMEM, "out of memory");
	}
	closedir(d);
	return rc;
}

struct start { const struct trib_audited *last; const char *beside; bool forged; }; /* last NULL: a full audit */

static int open_scratch(struct trib_audit *a, const char *path, struct start *s, struct trib_err *err)
{
	static const char pragmas[] = "PRAGMA synchronous=OFF; PRAGMA journal_mode=OFF; PRAGMA temp_store=FILE";
	if (s->last) {
		int rc = trib_audit_kept_open(a, path, s->last, s->beside, err);
		s->forged = rc && err->code == TRIB_E_VERIFY;
		return rc || trib_db_exec(a->own, pragmas, err) ? -1 : 0;
	}
	return trib_db_open_own(path, false, &a->own, err) || trib_db_exec(a->own, pragmas, err) || trib_db_exec(a->own, own_schema, err) ? -1 : 0;
}

static int open_own(struct trib_audit *a, struct start *s, struct trib_err *err)
{
	a->dir = trib_pathf("%s/run/audit-%ld", a->hub->dir, (long)getpid());
	TRIB_AUTO(trib_mem) char *path = a->dir ? trib_path(a->dir, "scratch.db") : NULL;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (sweep(a->hub, err) || trib_fs_remove_tree(a->dir, err) || trib_fs_mkdirs(a->dir, 0700, err))
		return trib_ctx(err, "making the audit's scratch folder");
	if (open_scratch(a, path, s, err))
		return -1;
	return trib_db_exec(a->own, "BEGIN", err);
}

void trib_audit_free(struct trib_audit *a)
{
	if (!a)
		return;
	struct trib_err ignored;
	sqlite3_finalize(a->counts);
	sqlite3_finalize(a->mark);
	trib_merge_close(&a->made);
	trib_ahead_free(a->ahead);
	trib_signer_cache_release(&a->signers);
	trib_cert_free(a->hub_signer.leaf);
	for (size_t i = 0; i < a->nfiles; i++) {
		trib_mirror_free(a->files[i].mirror);
		sqlite3_close_v2(a->files[i].db);
	}
	free(a->files);
	trib_audit_private_free(a);
	sqlite3_finalize(a->sub);
	sqlite3_close_v2(a->own);
	trib_hubdb_close(&a->db);
	trib_buf_release(&a->note);
	if (a->dir && trib_fs_remove_tree(a->dir, &ignored))
		a->dir[0] = '\0'; /* the next audit sweeps it away */
	free(a->dir);
	free(a);
}

static int totals(struct trib_audit *a, struct trib_err *err)
{
	int64_t commits, nodes, rows;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_int(a->own, "SELECT sum(proven) FROM n", 0, &commits, err) || trib_db_int(a->own, "SELECT count(*) FROM n", 0, &nodes, err) ||
	    trib_db_int(a->own, "SELECT sum(rows) FROM n", 0, &rows, err))
		return -1;
	if (trib_audit_sql(a->own, &st, err, "SELECT count(*) FROM h WHERE idx < ?", "i", (int64_t)a->from) || trib_db_step(a->own, st, err) < 0)
		return -1;
	a->totals.kept = (uint64_t)sqlite3_column_int64(st, 0);
	a->totals.full = a->from == 0;
	a->totals.leaves = a->size;
	a->totals.commits = (uint64_t)commits;
	a->totals.communities = (uint64_t)nodes;
	a->totals.rows = (uint64_t)rows;
	return trib_audit_root(a, a->size, a->totals.root, err);
}

static int start_threads(struct trib_audit *a, unsigned jobs, struct trib_err *err)
{
	struct trib_trust trust = {.city = a->hub->city, .root = a->hub->root};
	if (jobs == 0)
		jobs = trib_jobs_default();
	return jobs > 1 ? trib_ahead_new(jobs, &trust, &a->ahead, err) : 0;
}

static int run(const struct trib_hub *hub, const char *city_dir, const struct trib_audit_how *how, struct start *from, struct trib_audit **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_audit) struct trib_audit *a = calloc(1, sizeof(*a));
	if (!a)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	a->hub = hub;
	a->quiet = how->quiet;
	a->city_dir = city_dir;
	a->note = TRIB_BUF(TRIB_NOTE_MAX);
	if (start_threads(a, how->jobs, err))
		return trib_ctx(err, "auditing");
	if (open_own(a, from, err) || snapshot(a, err) || trib_audit_own(a, err) || (a->from && trib_audit_files_same(a, err)) || trib_audit_log(a, err) ||
	    trib_audit_nights(a, err) || trib_audit_crls(a, err) || trib_audit_revoked(a, err) || trib_audit_held(a, err) || trib_audit_lists(a, err) ||
	    trib_audit_histories(a, err) || trib_audit_chain(a, err) || trib_audit_city(a, err) || trib_audit_rest(a, err) || trib_audit_seen(a, err) ||
	    (!city_dir && (trib_audit_forked(a, err) || trib_audit_strays(a, err) || trib_audit_down(a, err) || trib_audit_published(a, err) || trib_audit_witnesses(a, err))) ||
	    totals(a, err))
		return from->last ? -1 : trib_ctx(err, "auditing");
	if (a->fell)
		return trib_fail(err, TRIB_E_VERIFY, "something differs");
	a->from = 0; /* what is asked on top is answered as of a full one */
	*ret = a;
	a = NULL;
	return 0;
}

int trib_audit_run(const struct trib_hub *hub, const struct trib_audit_how *how, struct trib_audit **ret, struct trib_err *err)
{
	return run(hub, NULL, how, &(struct start){0}, ret, err);
}

/* A record that somebody keeps elsewhere is held against the log in a full audit, too. */
int trib_audit_record(struct trib_audit *a, const struct trib_audited *last, struct trib_err *err)
{
	struct trib_where w = {0};
	uint8_t root[TRIB_SHA256_LEN];
	if (last->size > a->size)
		return trib_audit_find(a, &w, err, "the audit of which a record was kept has proven %llu leaves, the log has %llu: leaves were taken away",
				       (unsigned long long)last->size, (unsigned long long)a->size);
	if (trib_audit_root(a, last->size, root, err))
		return -1;
	return memcmp(root, last->root, sizeof(root)) == 0 ? 0 : trib_audit_find(a, &w, err, "the first %llu leaves are not those of the kept record", (unsigned long long)last->size);
}

int trib_audit_run_since(const struct trib_hub *hub, const struct trib_audit_how *how, const struct trib_audited *last, const char *beside, struct trib_audit **ret,
			struct trib_err *err)
{
	TRIB_AUTO(trib_audit) struct trib_audit *a = NULL;
	struct trib_where w = {0};
	struct start from = {.last = last, .beside = beside};
	struct trib_err why;
	if (run(hub, NULL, how, &from, ret, &why) == 0) {
		(*ret)->totals.since = *last;
		return 0;
	}
	/* Whatever it was: judged anew, all of it is named as it is. A kept file that is not the one that was written is a finding of its own. */
	if (run(hub, NULL, how, &(struct start){0}, &a, err) || (from.forged && trib_audit_find(a, &w, err, "%s", why.msg)) || (beside && trib_audit_record(a, last, err)) ||
	    trib_audit_kept_chains(a, last, beside, err))
		return -1;
	(void)snprintf(a->totals.fell_back, sizeof(a->totals.fell_back), "%s", why.msg);
	*ret = a;
	a = NULL;
	return 0;
}

int trib_audit_since(struct trib_audit *a, struct trib_span note, struct trib_err *err)
{
	struct trib_where w = {0};
	struct trib_checkpoint cp;
	uint8_t root[TRIB_SHA256_LEN];
	if (!a->has_pub || trib_checkpoint_verify_upto(note, a->hub->origin, a->log_pub, &cp, err))
		return a->has_pub ? trib_ctx(err, "the kept checkpoint is not this log's") : trib_audit_find(a, &w, err, "without its first leaf the log has no key");
	if (cp.size > a->size)
		return trib_audit_find(a, &w, err, "the kept checkpoint has %llu leaves, the log has %llu: this hub is an older copy; try: tributary-hub recover",
				       (unsigned long long)cp.size, (unsigned long long)a->size);
	if (trib_audit_root(a, cp.size, root, err))
		return -1;
	return memcmp(root, cp.root, sizeof(root)) == 0 ? 0
							 : trib_audit_find(a, &w, err, "the first %llu leaves are not those of the kept checkpoint: the log was rewritten, or two are shown",
									   (unsigned long long)cp.size);
}

int trib_audit_derive(const struct trib_hub *hub, const char *dir, const struct trib_audit_how *how, struct trib_audit **ret, struct trib_err *err)
{
	return run(hub, dir, how, &(struct start){0}, ret, err);
}
