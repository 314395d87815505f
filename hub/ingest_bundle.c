/* A bundle's objects, scanned and resolved by ourselves, into the quarantine's own database. */
#include "core/store/bundlefile.h"
#include "core/store/db.h"
#include "hub/ingest_impl.h"

int trib_ingest_take(struct ingest *g, const uint8_t oid[TRIB_OID_LEN], enum trib_obj type, struct trib_buf *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(g->own, "SELECT bytes FROM q WHERE oid = ? AND type = ?", &st, err))
		return -1;
	sqlite3_bind_blob(st, 1, oid, TRIB_OID_LEN, SQLITE_STATIC);
	sqlite3_bind_int(st, 2, (int)type);
	int row = trib_db_step(g->own, st, err);
	if (row <= 0)
		return row;
	trib_buf_put(ret, sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
	return trib_buf_check(ret, "object", err) ? -1 : 1;
}

/* Bases of a bundle that leans on what the hub has. */
static int read_base(void *ctx, const uint8_t oid[TRIB_OID_LEN], enum trib_pack_type *ret_type, struct trib_buf *ret, struct trib_err *err)
{
	struct ingest *g = ctx;
	enum trib_obj type;
	if (g->repo && trib_repo_read_any(g->repo, oid, &type, ret, err) == 0) {
		*ret_type = (enum trib_pack_type)type;
		return 0;
	}
	if (g->repo && trib_passing(err->code))
		return -1;
	return trib_fail(err, TRIB_E_NOT_FOUND, "the bundle leans on an object that the hub has not or only damaged; say whose it is (--node ID --app NAME), or, at the office, make a whole one: tributary-agent bundle create FILE --whole");
}

static int put(void *ctx, enum trib_pack_type type, struct trib_span bytes, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	struct ingest *g = ctx;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(g->own, "INSERT OR IGNORE INTO q(oid, type, bytes) VALUES(?,?,?)", &st, err))
		return -1;
	sqlite3_bind_blob(st, 1, oid, TRIB_OID_LEN, SQLITE_STATIC);
	sqlite3_bind_int(st, 2, (int)type);
	sqlite3_bind_blob(st, 3, bytes.n ? (const void *)bytes.p : "", (int)bytes.n, SQLITE_STATIC);
	return trib_db_step(g->own, st, err) < 0 ? -1 : 0;
}

static int begin(void *ctx, const struct trib_bundle *head, struct trib_err *err)
{
	struct ingest *g = ctx;
	(void)head;
	return trib_db_exec(g->own, "BEGIN", err);
}

int trib_ingest_bundle(struct ingest *g, const char *path, struct trib_err *err)
{
	/* The sink is a quarantine: what comes before an error is dropped with it. */
	const struct trib_bundle_reader r = {.head = begin, .base = read_base, .put = put, .ctx = g};
	return trib_bundle_read(path, &r, &g->head, err) || trib_db_exec(g->own, "COMMIT", err) ? -1 : 0;
}
