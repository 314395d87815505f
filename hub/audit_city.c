/* The city: derived again into scratch files by the merger's own code, stopping wherever something signed or real can be compared. */
#include "hub/audit_impl.h"

#include <fcntl.h>

static const char *text(sqlite3_stmt *st, int i)
{
	const char *s = (const char *)sqlite3_column_text(st, i);
	return s ? s : "";
}

static struct trib_city *find_made(struct trib_audit *a, const char *app)
{
	for (size_t i = 0; i < a->made.ncities; i++)
		if (strcmp(a->made.cities[i].app, app) == 0)
			return &a->made.cities[i];
	return NULL;
}

/* Every index at which a city commit was signed, and every one where a real file stands. */
static int list_stops(struct trib_audit *a, struct trib_err *err)
{
	if (trib_audit_exec(a->own, err, "CREATE TEMP TABLE stop(at INTEGER PRIMARY KEY)", "") ||
	    trib_audit_exec(a->own, err, "INSERT OR IGNORE INTO stop SELECT merged FROM cc WHERE seq > ?", "i", (int64_t)a->from_city))
		return -1;
	for (size_t i = 0; i < a->nfiles; i++)
		if (a->files[i].db && trib_audit_exec(a->own, err, "INSERT OR IGNORE INTO stop VALUES(?)", "i", (int64_t)a->files[i].upto))
			return -1;
	return 0;
}

/* A history that the derivation found damaged is walked now: the walk names commit and object. */
static int name_damaged(struct trib_audit *a, struct trib_err *err)
{
	for (size_t i = 0; i < a->made.ncities; i++) {
		TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
		struct trib_city *c = &a->made.cities[i];
		if (trib_db_prepare(c->db, "SELECT node FROM _t_history WHERE out_of_step = 'damaged'", &st, err))
			return -1;
		int row;
		while ((row = trib_db_step(c->db, st, err)) > 0) {
			TRIB_AUTO(trib_stmt) sqlite3_stmt *n = NULL;
			if (trib_audit_sql(a->own, &n, err, "SELECT walked FROM n WHERE node = ? AND app = ?", "ss", text(st, 0), c->app))
				return -1;
			int found = trib_db_step(a->own, n, err);
			if (found < 0 || (found && sqlite3_column_int(n, 0) == 0 && trib_audit_history(a, text(st, 0), c->app, err)))
				return -1;
		}
		if (row < 0)
			return -1;
	}
	return 0;
}

/* 1 the city's digest at `at` is `digest`, 0 not, 2 not provable, -1. A long report is told in several parts, each with a city commit of the same index and digest: what had
 * no verdict by the last of them was not merged. Of the newest index the last part may still be on its way. */
static int digest_is(struct trib_audit *a, uint64_t at, const uint8_t digest[TRIB_SHA256_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	uint8_t own[TRIB_SHA256_LEN];
	if (trib_audit_sql(a->own, &st, err, "SELECT max(log_size), ?1 = (SELECT max(merged) FROM cc) FROM cc WHERE merged = ?1", "i", (int64_t)at) ||
	    trib_db_step(a->own, st, err) < 0)
		return -1;
	int known = trib_audit_digest(a, at, (uint64_t)sqlite3_column_int64(st, 0), own, err);
	if (known <= 0)
		return known < 0 ? -1 : 2;
	if (memcmp(own, digest, sizeof(own)) == 0)
		return 1;
	if (!sqlite3_column_int(st, 1))
		return 0;
	known = trib_audit_digest(a, at, TRIB_AUDIT_TOLD, own, err);
	return known < 0 ? -1 : known && memcmp(own, digest, sizeof(own)) == 0;
}

static int check_commits(struct trib_audit *a, uint64_t at, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_audit_sql(a->own, &st, err, "SELECT seq, oid, digest FROM cc WHERE merged = ? AND seq > ? ORDER BY seq", "ii", (int64_t)at, (int64_t)a->from_city))
		return -1;
	int row;
	while ((row = trib_db_step(a->own, st, err)) > 0) {
		uint8_t oid[TRIB_OID_LEN], digest[TRIB_SHA256_LEN];
		struct trib_where w = {.seq = (uint64_t)sqlite3_column_int64(st, 0), .oid = oid};
		trib_audit_bytes(st, 1, oid, sizeof(oid));
		trib_audit_bytes(st, 2, digest, sizeof(digest));
		int is = digest_is(a, at, digest, err);
		if (is < 0)
			return -1;
		if (is != 1 && trib_audit_find(a, &w, err, is == 2 ? "city commit #%lld: its digest, at leaf %llu, is not provable while a history is damaged"
								  : "city commit #%lld: the city digest at leaf %llu is another one",
					       (long long)w.seq, (unsigned long long)at))
			return -1;
	}
	return row;
}

/* That a file with damaged pages cannot be read to its end is what is found, no trouble of our own. */
static int compare(struct trib_audit *a, struct trib_audit_file *f, struct trib_city *made, struct trib_err *err)
{
	uint64_t found = a->totals.findings;
	if (trib_audit_compare(a, f, made, err) == 0)
		return 0;
	if (err->code != TRIB_E_DB || a->totals.findings == found)
		return -1;
	return trib_audit_find(a, &(struct trib_where){.app = f->app}, err, "the city database cannot be compared to its end; try: tributary-hub rebuild");
}

static int check_files(struct trib_audit *a, uint64_t at, struct trib_err *err)
{
	for (size_t i = 0; i < a->nfiles; i++) {
		struct trib_audit_file *f = &a->files[i];
		struct trib_city *made = find_made(a, f->app);
		if (!f->db || f->compared || f->upto != at || !made)
			continue;
		f->compared = true;
		if (compare(a, f, made, err))
			return -1;
	}
	return 0;
}

/* The scratch city begins at `from`: a stop before it is as good as there, as long as no group came between. */
static int check_between(struct trib_audit *a, uint64_t at, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_where w = {0};
	if (trib_audit_sql(a->own, &st, err, "SELECT 1 FROM h WHERE part = parts AND idx >= ? AND idx < ? LIMIT 1", "ii", (int64_t)at, (int64_t)a->from))
		return -1;
	int row = trib_db_step(a->own, st, err);
	return row <= 0 ? row : trib_audit_find(a, &w, err, "the city stands at leaf %llu, before the end of the last audit", (unsigned long long)at);
}

static int stop_at(struct trib_audit *a, uint64_t at, struct trib_err *err)
{
	if (at < a->from ? check_between(a, at, err) : trib_merge_run(&a->made, &a->db, at, err))
		return -1;
	return (a->made.damaged && name_damaged(a, err)) || check_commits(a, at, err) || check_files(a, at, err) ? -1 : 0;
}

/* What an earlier audit has derived, and of its rows those that are asked for now. */
static int go_on(struct trib_audit *a, struct trib_err *err)
{
	for (size_t i = 0; a->from && i < a->made.ncities; i++)
		if (trib_audit_kept_city(a, &a->made.cities[i], err))
			return -1;
	return a->from ? trib_audit_undo(a, err) : 0;
}

static int derive(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *dir = a->city_dir ? strdup(a->city_dir) : trib_path(a->dir, "city");
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_progress p;
	trib_progress_init(&p, _("city"), a->quiet);
	if (!dir)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (list_stops(a, err) || trib_merge_open(a->hub, dir, &a->db, &a->made, err))
		return -1;
	for (size_t i = 0; i < a->made.ncities; i++)
		if (trib_db_exec(a->made.cities[i].db, "PRAGMA synchronous=OFF", err))
			return -1;
	if (go_on(a, err))
		return -1;
	a->made.progress = &p;
	a->made.ahead = a->ahead;
	a->made.judged = trib_audit_judged;
	a->made.judged_ctx = a;
	if (trib_audit_sql(a->own, &st, err, "SELECT at FROM stop WHERE at <= ? ORDER BY at", "i", (int64_t)a->size))
		return -1;
	int row;
	while ((row = trib_db_step(a->own, st, err)) > 0)
		if (stop_at(a, (uint64_t)sqlite3_column_int64(st, 0), err))
			return -1;
	trib_progress_done(&p);
	a->made.progress = NULL;
	return row;
}

/* What a real file lacks altogether. */
static int check_absent(struct trib_audit *a, struct trib_err *err)
{
	int64_t signed_to;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	/* A floor that is no city commit of this log (named by the chain step) has such ones before it. */
	if (trib_audit_sql(a->own, &st, err, "SELECT max(merged) FROM cc WHERE seq <= coalesce((SELECT seq FROM cc WHERE oid = ?), 9223372036854775807)", "b",
			   trib_span(a->city_floor, TRIB_OID_LEN)))
		return -1;
	int row = trib_db_step(a->own, st, err);
	if (row < 0)
		return -1;
	signed_to = a->has_city_floor ? sqlite3_column_int64(st, 0) : 0;
	for (size_t i = 0; i < a->nfiles; i++) {
		TRIB_AUTO(trib_stmt) sqlite3_stmt *lacks = NULL;
		struct trib_audit_file *f = &a->files[i];
		struct trib_where w = {.app = f->app};
		if (f->upto > a->size && trib_audit_find(a, &w, err, "the city database has taken in %llu leaves, the log has %llu", (unsigned long long)f->upto,
							 (unsigned long long)a->size))
			return -1;
		if (trib_audit_sql(a->own, &lacks, err, "SELECT count(*) FROM h WHERE app = ? AND part = parts AND idx >= ? AND idx < ?", "sii", f->app, (int64_t)f->upto,
				   signed_to))
			return -1;
		row = trib_db_step(a->own, lacks, err);
		if (row < 0)
			return -1;
		if (f->db || !f->compared) {
			int64_t n = sqlite3_column_int64(lacks, 0);
			if (n && trib_audit_find(a, &w, err, f->db ? "the city database stands before the last signed city commit, which has taken in %lld groups more; try: tributary-hub rebuild"
								   : "the city database is missing, though a signed city commit has taken in %lld groups of it; try: tributary-hub rebuild",
						 (long long)n))
				return -1;
		}
	}
	return 0;
}

/* A key longer than a leaf takes is cut there. */
static bool same_key(sqlite3_stmt *told, int i, sqlite3_stmt *derived, int k)
{
	struct trib_leaf *l = NULL;
	size_t n = (size_t)sqlite3_column_bytes(derived, k);
	return trib_span_eq(trib_span(sqlite3_column_blob(told, i), (size_t)sqlite3_column_bytes(told, i)),
			    trib_span(sqlite3_column_blob(derived, k), n < sizeof(l->key) ? n : sizeof(l->key)));
}

/* v: idx, merged, tbl, key, word of what the log told; st: a result as derived. */
static int check_verdict(struct trib_audit *a, const struct trib_where *w, sqlite3_stmt *v, sqlite3_stmt *st, struct trib_err *err)
{
	bool merged = sqlite3_column_type(st, 6) == SQLITE_NULL, told = sqlite3_column_int(v, 1) != 0;
	if (merged != told || (!merged && strcmp(text(v, 4), text(st, 6)) != 0))
		return trib_audit_find(a, w, err, "the log says %s, the derivation says %s", told ? "merged" : text(v, 4), merged ? "merged" : text(st, 6));
	if (!merged && (strcmp(text(v, 2), text(st, 4)) != 0 || !same_key(v, 3, st, 5)))
		return trib_audit_find(a, w, err, "log leaf %lld blames another row (table %.64s) than the derivation comes to", (long long)sqlite3_column_int64(v, 0), text(v, 2));
	return 0;
}

/* Verdicts: what the derivation came to is what the log told the communities, once, up to where the files stand. */
static int check_verdicts(struct trib_audit *a, struct trib_city *c, uint64_t upto, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *v = NULL;
	if (trib_db_prepare(c->db, "SELECT leaf, node, seq, manifest, tbl, key, reason FROM _t_result ORDER BY leaf", &st, err) ||
	    trib_db_prepare(a->own, "SELECT idx, merged, tbl, key, word FROM v WHERE node = ? AND app = ? AND seq = ? ORDER BY idx", &v, err))
		return -1;
	int row;
	while ((row = trib_db_step(c->db, st, err)) > 0) {
		struct trib_where w = {.node = text(st, 1), .app = c->app, .seq = (uint64_t)sqlite3_column_int64(st, 2), .table = text(st, 4)};
		if ((uint64_t)sqlite3_column_int64(st, 0) >= upto)
			break;
		sqlite3_reset(v);
		sqlite3_bind_text(v, 1, w.node, -1, SQLITE_TRANSIENT);
		sqlite3_bind_text(v, 2, w.app, -1, SQLITE_TRANSIENT);
		sqlite3_bind_int64(v, 3, (int64_t)w.seq);
		int found = trib_db_step(a->own, v, err);
		if (found < 0)
			return -1;
		if (!found)
			continue; /* still to be told: the file keeps it until the keeper has logged it */
		int64_t first = sqlite3_column_int64(v, 0);
		if (first < sqlite3_column_int64(st, 0) &&
		    trib_audit_find(a, &w, err, "log leaf %lld is a verdict on a commit that was held after it", (long long)first))
			return -1;
		if (check_verdict(a, &w, v, st, err))
			return -1;
		while ((found = trib_db_step(a->own, v, err)) > 0)
			if (trib_audit_find(a, &w, err, "log leaf %lld is a second verdict on it, after leaf %lld", (long long)sqlite3_column_int64(v, 0), (long long)first))
				return -1;
		if (found < 0)
			return -1;
	}
	return row < 0 ? -1 : 0;
}

/* Results lie by leaf and are asked for by commit from here on; trib_audit_seal takes the index away. */
static int index_results(struct trib_audit *a, struct trib_err *err)
{
	for (size_t i = 0; i < a->made.ncities; i++)
		if (trib_db_exec(a->made.cities[i].db, "CREATE INDEX _t_result_of ON _t_result(node, seq)", err))
			return -1;
	return 0;
}

/* A verdict in the log that nothing derives: of a history that is whole, and from below where all files stand. */
static int check_unfounded(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_audit_sql(a->own, &st, err, "SELECT v.node, v.app, v.seq, v.idx FROM v JOIN n USING(node, app) WHERE n.bad IS NULL AND v.idx >= ? ORDER BY v.idx", "i",
			   (int64_t)a->from))
		return -1;
	int row;
	while ((row = trib_db_step(a->own, st, err)) > 0) {
		struct trib_city *c = find_made(a, text(st, 1));
		struct trib_where w = {.node = text(st, 0), .app = text(st, 1), .seq = (uint64_t)sqlite3_column_int64(st, 2)};
		if (!c)
			continue;
		if (trib_db_keep(c->db, "SELECT 1 FROM _t_result WHERE node = ? AND seq = ?", &c->asked, err))
			return -1;
		TRIB_AUTO(trib_rest) sqlite3_stmt *r = c->asked;
		sqlite3_bind_text(r, 1, w.node, -1, SQLITE_TRANSIENT);
		sqlite3_bind_int64(r, 2, (int64_t)w.seq);
		int found = trib_db_step(c->db, r, err);
		if (found < 0 || (!found && trib_audit_find(a, &w, err, "log leaf %lld is a verdict that the derivation does not come to", (long long)sqlite3_column_int64(st, 3))))
			return -1;
	}
	return row;
}

int trib_audit_city(struct trib_audit *a, struct trib_err *err)
{
	if (derive(a, err) || check_absent(a, err))
		return -1;
	/* Verdicts in the log are younger than the groups they are about: derive up to the end of the log. */
	if (trib_merge_run(&a->made, &a->db, a->size, err) || (a->made.damaged && name_damaged(a, err)))
		return -1;
	for (size_t i = 0; i < a->made.ncities; i++)
		if (check_verdicts(a, &a->made.cities[i], a->size, err))
			return -1;
	return index_results(a, err) || check_unfounded(a, err) ? -1 : 0;
}

/* ---- the derived files as the real ones ---- */

static int drop_told(struct trib_audit *a, struct trib_city *c, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(a->own, "SELECT node, seq FROM v WHERE app = ?", &st, err) || trib_db_exec(c->db, "BEGIN IMMEDIATE", err))
		return -1;
	sqlite3_bind_text(st, 1, c->app, -1, SQLITE_STATIC);
	int row;
	while ((row = trib_db_step(a->own, st, err)) > 0)
		if (trib_audit_exec(c->db, err, "DELETE FROM _t_result WHERE node = ? AND seq = ?", "si", text(st, 0), sqlite3_column_int64(st, 1)))
			return -1;
	return row < 0 ? -1 : trib_db_exec(c->db, "DROP INDEX _t_result_of; COMMIT", err);
}

static int sync_file(const char *path, struct trib_err *err)
{
	TRIB_AUTO(trib_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fsync(fd))
		return trib_fail_errno(err, "fsync of %s", path);
	return 0;
}

int trib_audit_seal(struct trib_audit *a, uint8_t ret_digest[TRIB_SHA256_LEN], struct trib_err *err)
{
	if (trib_merge_digest(&a->made, ret_digest, err))
		return -1;
	for (size_t i = 0; i < a->made.ncities; i++)
		if (drop_told(a, &a->made.cities[i], err) || trib_db_exec(a->made.cities[i].db, "PRAGMA synchronous=FULL; PRAGMA wal_checkpoint(TRUNCATE)", err))
			return -1;
	for (size_t i = 0; i < a->made.ncities; i++) {
		TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/%s.db", a->made.dir, a->made.cities[i].app);
		if (!path)
			return trib_fail(err, TRIB_E_NOMEM, "out of memory");
		if (sync_file(path, err))
			return -1;
	}
	TRIB_AUTO(trib_mem) char *dir = strdup(a->made.dir);
	if (!dir)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	trib_merge_close(&a->made); /* removes the -wal files */
	return trib_fs_sync_dir(dir, err);
}
