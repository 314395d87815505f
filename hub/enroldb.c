#include "core/base/clock.h"
#include "core/base/embed.h"
#include "core/trust/hash.h"
#include "hub/enrol.h"

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

int trib_enroldb_open(const struct trib_hub *hub, sqlite3 **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, "enrol.db");
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	const char *sql[] = {(const char *)trib_embed("schema/hub/0001_enrol.sql").p, (const char *)trib_embed("schema/hub/0002_signing.sql").p,
			     (const char *)trib_embed("schema/hub/0003_renewal.sql").p};
	if (!path)
		return oom(err);
	if (trib_db_open_own(path, true, &db, err) || trib_db_migrate(db, sql, TRIB_COUNT(sql), err))
		return trib_ctx(err, "opening enrol.db");
	*ret = db;
	db = NULL;
	return 0;
}

int trib_enroldb_open_ro(const struct trib_hub *hub, sqlite3 **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, "enrol.db");
	if (!path)
		return oom(err);
	if (!trib_fs_exists(path)) {
		*ret = NULL;
		return 0;
	}
	return trib_db_open_own_ro(path, ret, err) ? trib_ctx(err, "opening enrol.db") : 0;
}

int trib_enroldb_begin(sqlite3 *db, struct trib_err *err) { return trib_db_exec(db, "BEGIN IMMEDIATE", err); }
int trib_enroldb_commit(sqlite3 *db, struct trib_err *err) { return trib_db_exec(db, "COMMIT", err); }

void trib_enroldb_rollback(sqlite3 *db)
{
	struct trib_err ignored;
	if (!sqlite3_get_autocommit(db) && trib_db_exec(db, "ROLLBACK", &ignored))
		return; /* the connection is unusable; its close rolls back */
}

static void column(sqlite3_stmt *st, int i, char *ret, size_t size) { (void)snprintf(ret, size, "%s", (const char *)sqlite3_column_text(st, i)); }

static int read_slip(sqlite3_stmt *st, struct trib_open_slip *ret, struct trib_err *err)
{
	uint8_t sha[TRIB_SHA256_LEN];
	*ret = (struct trib_open_slip){.expires = sqlite3_column_int64(st, 3), .approved = sqlite3_column_int(st, 4) != 0, .asked_at = sqlite3_column_int64(st, 5)};
	column(st, 0, ret->node, sizeof(ret->node));
	column(st, 1, ret->app, sizeof(ret->app));
	if (trib_db_bytes(st, 2, "a slip's code", ret->code, sizeof(ret->code), err))
		return trib_ctx(err, "enrol.db");
	if (!ret->asked_at)
		return 0;
	trib_sha256(sha, trib_span(sqlite3_column_blob(st, 6), (size_t)sqlite3_column_bytes(st, 6)));
	trib_request_sum(ret->request, sha);
	return 0;
}

int trib_slips_open(sqlite3 *db, const char *node, const char *app, struct trib_open_slip **ret, size_t *ret_n, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_mem) struct trib_open_slip *list = NULL;
	size_t n = 0, room = 0;
	if (trib_db_prepare(db,
			    "SELECT s.node, s.app, s.code_sha256, s.expires_at, s.approved, coalesce(r.at, 0), r.sign_csr FROM slip s LEFT JOIN request r USING(code_sha256) "
			    "WHERE (?1 IS NULL OR (s.node = ?1 AND s.app = ?2)) AND s.rejected = 0 AND r.answer IS NULL AND (r.at IS NOT NULL OR s.expires_at >= ?3) "
			    "ORDER BY s.node, s.app, s.made_at, s.code_sha256",
			    &st, err))
		return -1;
	sqlite3_bind_text(st, 1, node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, app, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, trib_now());
	int row;
	while ((row = trib_db_step(db, st, err)) > 0) {
		if (n == room) {
			room = room ? 2 * room : 16;
			struct trib_open_slip *more = realloc(list, room * sizeof(*list));
			if (!more)
				return oom(err);
			list = more;
		}
		if (read_slip(st, &list[n], err))
			return -1;
		n++;
	}
	if (row < 0)
		return -1;
	*ret = list;
	list = NULL;
	*ret_n = n;
	return 0;
}

int trib_slip_void(sqlite3 *db, const uint8_t code[TRIB_SHA256_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db, "UPDATE slip SET rejected = 1 WHERE code_sha256 = ?", &st, err))
		return -1;
	sqlite3_bind_blob(st, 1, code, TRIB_SHA256_LEN, SQLITE_STATIC);
	return trib_db_step(db, st, err) < 0 ? -1 : 0;
}
