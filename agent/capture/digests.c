#include "agent/capture/digests.h"

#include "agent/capture/prints.h"
#include "core/replay/judge.h"

#define CHAIN_MAX ((size_t)16 * 1024 * 1024)

static const char *const schema[] = {
	"CREATE TABLE state(tbl TEXT NOT NULL, rows INTEGER NOT NULL, digest BLOB NOT NULL, seq INTEGER NOT NULL, oid BLOB NOT NULL,"
	" PRIMARY KEY(tbl, rows, digest)) WITHOUT ROWID;"
	"CREATE TABLE latest(tbl TEXT PRIMARY KEY, digest BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE upto(id INTEGER PRIMARY KEY CHECK(id = 1), oid BLOB NOT NULL)",
	"CREATE TABLE print(tbl TEXT NOT NULL, digest BLOB NOT NULL, origin INTEGER NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY(tbl, digest)) WITHOUT ROWID",
};

void trib_digests_drop(const struct trib_state *s)
{
	static const char *const names[] = {"digests.db", "digests.db-journal"};
	for (size_t i = 0; i < TRIB_COUNT(names); i++) {
		TRIB_AUTO(trib_mem) char *path = trib_state_path(s, names[i]);
		if (path)
			(void)unlink(path); /* no fsync: it is a cache, and what it says is checked */
	}
}

#define FORGET "DELETE FROM state; DELETE FROM latest; DELETE FROM upto"

int trib_digests_open_kept(const struct trib_state *s, sqlite3 **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "digests.db");
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	/* Not synced: after a power cut it may be damaged, and is then made again. */
	if (trib_db_open_own(path, false, &db, err) || trib_db_exec(db, "PRAGMA synchronous=OFF", err) || trib_db_migrate(db, schema, TRIB_COUNT(schema), err))
		return -1;
	*ret = db;
	db = NULL;
	return 0;
}

void trib_digests_forget(const struct trib_state *s)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "digests.db");
	struct trib_err err;
	sqlite3 *db = NULL;
	if (!path || !trib_fs_exists(path))
		return;
	int rc = trib_digests_open_kept(s, &db, &err) || trib_db_exec(db, FORGET, &err) ? -1 : 0;
	sqlite3_close(db);
	if (rc)
		trib_digests_drop(s);
}

/* The commit that the cache stands at; *ret_any false: none. */
static int get_upto(sqlite3 *db, uint8_t ret[TRIB_OID_LEN], bool *ret_any, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db, "SELECT oid FROM upto WHERE length(oid) = 20", &st, err))
		return -1;
	int row = trib_db_step(db, st, err);
	*ret_any = row == 1;
	if (row == 1)
		memcpy(ret, sqlite3_column_blob(st, 0), TRIB_OID_LEN);
	return row < 0 ? -1 : 0;
}

static int run(sqlite3 *db, sqlite3_stmt *st, struct trib_err *err)
{
	int row = trib_db_step(db, st, err);
	(void)sqlite3_reset(st);
	return row < 0 ? -1 : 0;
}

static int set_upto(sqlite3 *db, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db, "INSERT OR REPLACE INTO upto(id, oid) VALUES(1, ?1)", &st, err))
		return -1;
	sqlite3_bind_blob(st, 1, oid, TRIB_OID_LEN, SQLITE_STATIC);
	return run(db, st, err);
}

struct writer {
	sqlite3 *db;
	sqlite3_stmt *same, *state, *latest;
};

static void writer_cleanup(struct writer *w)
{
	sqlite3_finalize(w->same);
	sqlite3_finalize(w->state);
	sqlite3_finalize(w->latest);
}

static int writer_init(struct writer *w, sqlite3 *db, struct trib_err *err)
{
	*w = (struct writer){.db = db};
	return trib_db_prepare(db, "SELECT 1 FROM latest WHERE tbl = ?1 AND digest = ?2", &w->same, err) ||
	       trib_db_prepare(db, "INSERT OR REPLACE INTO state(tbl, digest, rows, seq, oid) VALUES(?1, ?2, ?3, ?4, ?5)", &w->state, err) ||
	       trib_db_prepare(db, "INSERT OR REPLACE INTO latest(tbl, digest) VALUES(?1, ?2)", &w->latest, err) ? -1 : 0;
}

/* A table whose state is the one it had before costs one look. */
static int put(struct writer *w, const char *table, uint64_t rows, const uint8_t digest[TRIB_SHA256_LEN], uint64_t seq, const uint8_t oid[TRIB_OID_LEN],
	       struct trib_err *err)
{
	sqlite3_stmt *all[] = {w->same, w->state, w->latest};
	for (size_t i = 0; i < TRIB_COUNT(all); i++) {
		sqlite3_bind_text(all[i], 1, table, -1, SQLITE_STATIC);
		sqlite3_bind_blob(all[i], 2, digest, TRIB_SHA256_LEN, SQLITE_STATIC);
	}
	int row = trib_db_step(w->db, w->same, err);
	(void)sqlite3_reset(w->same);
	if (row)
		return row < 0 ? -1 : 0;
	sqlite3_bind_int64(w->state, 3, (int64_t)rows);
	sqlite3_bind_int64(w->state, 4, (int64_t)seq);
	sqlite3_bind_blob(w->state, 5, oid, TRIB_OID_LEN, SQLITE_STATIC);
	return run(w->db, w->state, err) || run(w->db, w->latest, err) ? -1 : 0;
}

/* ---- one commit further ---- */

static int note(const struct trib_state *s, sqlite3 *db, const uint8_t *was, struct trib_err *err)
{
	__attribute__((cleanup(writer_cleanup))) struct writer w = {0};
	uint8_t at[TRIB_OID_LEN];
	bool any = false;
	if (trib_db_exec(db, "BEGIN IMMEDIATE", err) || get_upto(db, at, &any, err))
		return -1;
	if (any ? !was || memcmp(at, was, TRIB_OID_LEN) != 0 : was != NULL)
		return 0; /* done already, or behind: trib_digests_open sees to it */
	if (writer_init(&w, db, err))
		return -1;
	for (size_t i = 0; i < s->tip.lanes.ntables; i++) {
		const struct trib_lanes_table *t = s->tip.lanes.tables[i];
		uint8_t digest[TRIB_SHA256_LEN];
		trib_digest_table(t, digest);
		if (put(&w, t->name, t->rows, digest, s->tip.seq, s->tip.oid, err))
			return -1;
	}
	return set_upto(db, s->tip.oid, err) || trib_db_exec(db, "COMMIT", err) ? -1 : 0;
}

void trib_digests_note(const struct trib_state *s, const uint8_t *was)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "digests.db");
	struct trib_err err;
	sqlite3 *db = NULL;
	if (!path || (was && !trib_fs_exists(path)))
		return;
	int rc = trib_digests_open_kept(s, &db, &err) || note(s, db, was, &err) ? -1 : 0;
	sqlite3_close(db); /* rolls back what was not committed */
	if (rc)
		trib_digests_drop(s);
}

/* ---- from the manifests ---- */

static int put_manifest(struct trib_state *s, struct writer *w, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	if (trib_commit_read(s->repo, oid, &c, err) || trib_manifest_parse(trib_buf_span(&c.manifest), &m, err))
		return -1;
	for (size_t i = 0; i < m.ntables && m.part == m.parts; i++)
		if (put(w, m.tables[i].name, m.tables[i].rows, m.tables[i].digest, m.seq, oid, err))
			return -1;
	return 0;
}

static int catch_up(struct trib_state *s, sqlite3 *db, struct trib_err *err)
{
	__attribute__((cleanup(writer_cleanup))) struct writer w = {0};
	TRIB_AUTO(trib_mem) uint8_t (*chain)[TRIB_OID_LEN] = NULL;
	uint8_t at[TRIB_OID_LEN];
	bool any = false;
	size_t n = 0;
	if (get_upto(db, at, &any, err))
		return -1;
	if (any && memcmp(at, s->tip.oid, TRIB_OID_LEN) == 0)
		return 0;
	if (trib_db_exec(db, "BEGIN IMMEDIATE", err))
		return -1;
	if (any && trib_repo_chain(s->repo, s->tip.oid, at, CHAIN_MAX, &chain, &n, err)) {
		if (err->code != TRIB_E_CHAIN || trib_db_exec(db, FORGET, err))
			return -1;
		any = false;
	}
	if (!any && trib_repo_chain(s->repo, s->tip.oid, NULL, CHAIN_MAX, &chain, &n, err))
		return -1;
	if (writer_init(&w, db, err))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (put_manifest(s, &w, chain[i], err))
			return -1;
	return set_upto(db, s->tip.oid, err) || trib_db_exec(db, "COMMIT", err) ? -1 : 0;
}

static int try_open(struct trib_state *s, sqlite3 **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	if (trib_digests_open_kept(s, &db, err) || catch_up(s, db, err))
		return -1;
	*ret = db;
	db = NULL;
	return 0;
}

int trib_digests_open(struct trib_state *s, sqlite3 **ret, struct trib_err *err)
{
	if (!try_open(s, ret, err))
		return 0;
	if (err->code != TRIB_E_DB && err->code != TRIB_E_VERSION)
		return trib_ctx(err, "what earlier commits looked like (digests.db)");
	trib_digests_drop(s);
	return try_open(s, ret, err) ? trib_ctx(err, "what earlier commits looked like (digests.db)") : 0;
}

/* ---- asked ---- */

int trib_digests_maybe(sqlite3 *db, const char *table, uint64_t rows, const uint8_t now[TRIB_SHA256_LEN], const struct trib_print *print, bool *ret,
		       struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db, "SELECT 1 FROM state AS s LEFT JOIN print AS p ON p.tbl = s.tbl AND p.digest = s.digest WHERE s.tbl = ?1 AND s.rows = ?2 AND s.digest <> ?3"
			    " AND (p.origin = ?4 AND p.sum <> ?5) IS NOT 1 LIMIT 1", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, (int64_t)rows);
	sqlite3_bind_blob(st, 3, now, TRIB_SHA256_LEN, SQLITE_STATIC);
	if (print) {
		sqlite3_bind_int64(st, 4, (int64_t)print->origin);
		sqlite3_bind_int64(st, 5, (int64_t)print->sum);
	}
	int row = trib_db_step(db, st, err);
	*ret = row == 1;
	return row < 0 ? -1 : 0;
}

static int says_so(struct trib_state *s, const uint8_t oid[TRIB_OID_LEN], uint64_t seq, const char *table, const uint8_t digest[TRIB_SHA256_LEN],
		   struct trib_err *err)
{
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	bool found = false;
	if (trib_commit_read(s->repo, oid, &c, err) || trib_manifest_parse(trib_buf_span(&c.manifest), &m, err))
		return -1;
	for (size_t i = 0; i < m.ntables; i++)
		found = found || (strcmp(m.tables[i].name, table) == 0 && memcmp(m.tables[i].digest, digest, TRIB_SHA256_LEN) == 0);
	return found && m.seq == seq ? 0 : trib_fail(err, TRIB_E_VERIFY, "digests.db names #%llu for table %s, whose manifest says otherwise", (unsigned long long)seq, table);
}

int trib_digests_find(struct trib_state *s, sqlite3 *db, const char *table, uint64_t rows, const uint8_t digest[TRIB_SHA256_LEN], uint64_t *ret_seq,
		      struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db, "SELECT seq, oid FROM state WHERE tbl = ?1 AND rows = ?2 AND digest = ?3 AND length(oid) = 20", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 2, (int64_t)rows);
	sqlite3_bind_blob(st, 3, digest, TRIB_SHA256_LEN, SQLITE_STATIC);
	int row = trib_db_step(db, st, err);
	if (row <= 0) {
		*ret_seq = 0;
		return row;
	}
	uint64_t seq = (uint64_t)sqlite3_column_int64(st, 0);
	if (says_so(s, sqlite3_column_blob(st, 1), seq, table, digest, err))
		return -1;
	*ret_seq = seq;
	return 0;
}
