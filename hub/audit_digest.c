/* The city digest as the log says it must be. */
#include "core/trust/hash.h"
#include "hub/audit_impl.h"

static const char *text(sqlite3_stmt *st, int i)
{
	const char *s = (const char *)sqlite3_column_text(st, i);
	return s ? s : "";
}

static int put_line(struct trib_audit *a, const char *node, const char *app, const uint8_t digest[TRIB_SHA256_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(1024);
	trib_buf_printf(&b, "%s %s ", node, app);
	trib_buf_hex(&b, digest, TRIB_SHA256_LEN);
	trib_buf_putc(&b, '\n');
	if (trib_buf_check(&b, "digest line", err))
		return -1;
	return trib_audit_exec(a->own, err, "INSERT OR REPLACE INTO line(text) VALUES(?)", "b", trib_buf_span(&b));
}

/* Histories whose last complete group below `merged` had no verdict in a log of `log_size` (TRIB_AUDIT_TOLD: all had), or that are damaged now. */
static int list_late(struct trib_audit *a, uint64_t merged, uint64_t log_size, struct trib_err *err)
{
	return trib_db_exec(a->own, "CREATE TEMP TABLE IF NOT EXISTS late(node TEXT, app TEXT, seq INTEGER, PRIMARY KEY(node, app)) WITHOUT ROWID; DELETE FROM late", err) ||
			       trib_audit_exec(a->own, err,
					       "INSERT INTO late SELECT node, app, (SELECT max(v.seq) FROM v WHERE v.node = x.node AND v.app = x.app AND v.merged = 1 AND (?2 < 0 OR v.idx < ?2)) FROM "
					       "(SELECT h.node, h.app, max(h.seq) AS seq, n.bad AS bad FROM h JOIN n USING(node, app) WHERE h.part = h.parts AND h.idx < ?1 GROUP BY h.node, "
					       "h.app) x WHERE x.bad IS NOT NULL OR (?2 >= 0 AND NOT EXISTS(SELECT 1 FROM v WHERE v.node = x.node AND v.app = x.app AND v.seq = x.seq AND v.idx < ?2))",
					       "ii", (int64_t)merged, (int64_t)log_size)
		       ? -1
		       : 0;
}

static int is_late(struct trib_audit *a, const char *node, const char *app, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_audit_sql(a->own, &st, err, "SELECT 1 FROM late WHERE node = ? AND app = ?", "ss", node, app))
		return -1;
	return trib_db_step(a->own, st, err);
}

static int put_city(struct trib_audit *a, struct trib_city *c, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(c->db, "SELECT node, digest FROM _t_digest", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(c->db, st, err)) > 0) {
		uint8_t digest[TRIB_SHA256_LEN];
		int late = is_late(a, text(st, 0), c->app, err);
		if (late < 0)
			return -1;
		trib_audit_bytes(st, 1, digest, sizeof(digest));
		if (!late && put_line(a, text(st, 0), c->app, digest, err))
			return -1;
	}
	return row;
}

/* 1 put, 0 the manifest's bytes are not there, -1. */
static int put_manifest(struct trib_audit *a, const char *node, const char *app, const uint8_t oid[TRIB_OID_LEN], const uint8_t sha[TRIB_SHA256_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_repo_path(a->hub, node, app);
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	TRIB_AUTO(trib_commit) struct trib_commit c = {0};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	struct trib_err why;
	uint8_t real[TRIB_SHA256_LEN];
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_repo_open(path, false, &repo, &why) || trib_commit_read(repo, oid, &c, &why))
		return 0;
	trib_sha256(real, trib_buf_span(&c.manifest));
	if (memcmp(real, sha, sizeof(real)) != 0 || trib_manifest_parse(trib_buf_span(&c.manifest), &m, &why))
		return 0;
	return put_line(a, node, app, m.digest, err) ? -1 : 1;
}

static int put_late(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(a->own, "SELECT l.node, l.app, h.oid, h.manifest FROM late l JOIN h ON h.node = l.node AND h.app = l.app AND h.seq = l.seq", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(a->own, st, err)) > 0) {
		uint8_t oid[TRIB_OID_LEN], sha[TRIB_SHA256_LEN];
		if (!trib_audit_bytes(st, 2, oid, sizeof(oid)) || !trib_audit_bytes(st, 3, sha, sizeof(sha)))
			return 0;
		int put = put_manifest(a, text(st, 0), text(st, 1), oid, sha, err);
		if (put <= 0)
			return put;
	}
	return row < 0 ? -1 : 1;
}

int trib_audit_digest(struct trib_audit *a, uint64_t merged, uint64_t log_size, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_exec(a->own, "DELETE FROM line", err) || list_late(a, merged, log_size, err))
		return -1;
	for (size_t i = 0; i < a->made.ncities; i++)
		if (put_city(a, &a->made.cities[i], err))
			return -1;
	int known = put_late(a, err);
	if (known <= 0)
		return known;
	if (trib_db_prepare(a->own, "SELECT text FROM line ORDER BY text", &st, err))
		return -1;
	struct trib_sha256_ctx *sha = trib_sha256_new();
	int row;
	while ((row = trib_db_step(a->own, st, err)) > 0)
		trib_sha256_add(sha, trib_span(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0)));
	trib_sha256_end(sha, ret);
	return row < 0 ? -1 : 1;
}
