/* Rows of hub.db that repeat what leaves say: held commits, verdicts, certificates. */
#include "hub/audit_impl.h"

static const char *text(sqlite3_stmt *st, int i)
{
	const char *s = (const char *)sqlite3_column_text(st, i);
	return s ? s : "";
}

/* Column i of two rows, by class and bytes. */
static bool same(sqlite3_stmt *x, sqlite3_stmt *y, int i)
{
	struct trib_value p, q;
	trib_value_column(x, i, &p);
	trib_value_column(y, i, &q);
	return trib_value_eq(&p, &q);
}

static int compare_held(struct trib_audit *a, sqlite3_stmt *leaf, sqlite3_stmt *held, struct trib_err *err)
{
	static const char *const names[] = {"idx", "node", "app", "seq", "part", "parts", "incarnation", "oid", "manifest", "signer", "held_at", "merged_at", "out_of_step",
					    "captured_at", "inserted", "updated", "deleted", "braked"};
	enum { OF_LEAF = 13 };
	uint8_t oid[TRIB_OID_LEN];
	bool has = trib_audit_bytes(leaf, 7, oid, sizeof(oid));
	struct trib_where w = {.node = text(leaf, 1), .app = text(leaf, 2), .seq = (uint64_t)sqlite3_column_int64(leaf, 3), .oid = has ? oid : NULL};
	/* The manifest's are known of commits that an earlier audit has judged; of others the judge tells. */
	int n = sqlite3_column_type(leaf, OF_LEAF) == SQLITE_NULL ? OF_LEAF : (int)TRIB_COUNT(names);
	for (int i = 0; i < n; i++)
		if (!same(leaf, held, i) && trib_audit_find(a, &w, err, "hub.db: %s of the held commit is not what log leaf %lld says%s; try: tributary-hub rebuild", names[i],
							    (long long)sqlite3_column_int64(leaf, 0), i < OF_LEAF ? "" : ", or its manifest"))
			return -1;
	return 0;
}

/* The verdict of a group counts for all its parts; the first one counts. */
static int spread_verdicts(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *up = NULL;
	if (trib_audit_sql(a->own, &st, err,
			    "SELECT v.idx, v.node, v.app, v.seq, v.merged, v.word, v.at, h.parts, h.manifest IS v.manifest FROM v LEFT JOIN h ON h.node = v.node AND h.app = "
			    "v.app AND h.seq = v.seq WHERE v.idx >= ? ORDER BY v.idx",
			    "i", (int64_t)a->from) ||
	    trib_db_prepare(a->own,
			    "UPDATE h SET merged_at = CASE WHEN ?5 IS NULL THEN ?6 END, step = ?5 WHERE node = ?1 AND app = ?2 AND merged_at IS NULL AND seq <= ?3 AND seq "
			    "> ?3 - ?4",
			    &up, err))
		return -1;
	int row;
	while ((row = trib_db_step(a->own, st, err)) > 0) {
		struct trib_where w = {.node = text(st, 1), .app = text(st, 2), .seq = (uint64_t)sqlite3_column_int64(st, 3)};
		bool known = sqlite3_column_type(st, 7) != SQLITE_NULL;
		if (!known || !sqlite3_column_int(st, 8)) {
			if (trib_audit_find(a, &w, err, "log leaf %lld is a verdict on %s", (long long)sqlite3_column_int64(st, 0),
					    known ? "another manifest than the one held" : "a commit that the log does not hold"))
				return -1;
			continue;
		}
		sqlite3_reset(up);
		sqlite3_clear_bindings(up);
		sqlite3_bind_text(up, 1, w.node, -1, SQLITE_TRANSIENT);
		sqlite3_bind_text(up, 2, w.app, -1, SQLITE_TRANSIENT);
		sqlite3_bind_int64(up, 3, (int64_t)w.seq);
		sqlite3_bind_int64(up, 4, sqlite3_column_int64(st, 7));
		if (!sqlite3_column_int(st, 4))
			sqlite3_bind_text(up, 5, text(st, 5), -1, SQLITE_TRANSIENT);
		sqlite3_bind_int64(up, 6, sqlite3_column_int64(st, 6));
		if (trib_db_step(a->own, up, err) < 0)
			return -1;
	}
	return row;
}

#define HELD_COLUMNS "idx, node, app, seq, part, parts, incarnation, oid, manifest, signer, "
#define MANIFEST_COLUMNS ", captured_at, inserted, updated, deleted, braked"

static int check_held(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *leaf = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *held = NULL;
	if (trib_db_prepare(a->own, "SELECT " HELD_COLUMNS "at, merged_at, step" MANIFEST_COLUMNS " FROM h ORDER BY idx", &leaf, err) ||
	    trib_db_prepare(a->db.db, "SELECT " HELD_COLUMNS "held_at, merged_at, out_of_step" MANIFEST_COLUMNS " FROM held ORDER BY idx", &held, err))
		return -1;
	int l = trib_db_step(a->own, leaf, err), h = l < 0 ? -1 : trib_db_step(a->db.db, held, err);
	while (l > 0 || h > 0) {
		int64_t li = l > 0 ? sqlite3_column_int64(leaf, 0) : INT64_MAX, hi = h > 0 ? sqlite3_column_int64(held, 0) : INT64_MAX;
		sqlite3_stmt *st = li <= hi ? leaf : held;
		struct trib_where w = {.node = text(st, 1), .app = text(st, 2), .seq = (uint64_t)sqlite3_column_int64(st, 3)};
		if (li == hi ? compare_held(a, leaf, held, err)
			     : trib_audit_find(a, &w, err, li < hi ? "hub.db does not list a commit that log leaf %lld holds; try: tributary-hub rebuild"
								   : "hub.db lists a held commit at leaf %lld, where the log has none; try: tributary-hub rebuild",
					       (long long)(li < hi ? li : hi)))
			return -1;
		if (li <= hi)
			l = trib_db_step(a->own, leaf, err);
		if (l >= 0 && hi <= li)
			h = trib_db_step(a->db.db, held, err);
		if (l < 0 || h < 0)
			return -1;
	}
	return l < 0 || h < 0 ? -1 : 0;
}

/* Two commits of one sequence number: the log itself has forked. */
static int check_twice(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(a->own, "SELECT node, app, seq, count(*) FROM h GROUP BY node, app, seq HAVING count(*) > 1", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(a->own, st, err)) > 0) {
		struct trib_where w = {.node = text(st, 0), .app = text(st, 1), .seq = (uint64_t)sqlite3_column_int64(st, 2)};
		if (trib_audit_find(a, &w, err, "the log holds %d commits of this sequence number", sqlite3_column_int(st, 3)))
			return -1;
	}
	return row;
}

/* The leaf that revokes a certificate says when: also of a renewed TLS certificate, which no other leaf names. st: a row of hub.db's, whose revoked_at is column 5. */
static int check_revocation(struct trib_audit *a, sqlite3_stmt *st, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *rv = NULL;
	struct trib_where w = {.node = text(st, 1), .app = text(st, 2)};
	if (trib_audit_sql(a->own, &rv, err, "SELECT at FROM rv WHERE sha256 = ?", "b", trib_span(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0))))
		return -1;
	int row = trib_db_step(a->own, rv, err);
	bool none = sqlite3_column_type(st, 5) == SQLITE_NULL;
	if (row < 0 || (row ? !none && sqlite3_column_int64(rv, 0) == sqlite3_column_int64(st, 5) : none))
		return row < 0 ? -1 : 0;
	return trib_audit_find(a, &w, err, "hub.db: revoked_at of a %s certificate is not what the log says", text(st, 3));
}

/* One that is revoked and not in hub.db may come in by the back door. */
static int check_revoked_there(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *rv = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *cert = NULL;
	if (trib_db_prepare(a->own, "SELECT sha256, node, app FROM rv WHERE node IS NOT NULL AND sha256 NOT IN (SELECT sha256 FROM c) ORDER BY sha256", &rv, err) ||
	    trib_db_prepare(a->db.db, "SELECT 1 FROM cert WHERE sha256 = ? AND node = ? AND app = ?", &cert, err))
		return -1;
	int row;
	while ((row = trib_db_step(a->own, rv, err)) > 0) {
		struct trib_where w = {.node = text(rv, 1), .app = text(rv, 2)};
		sqlite3_reset(cert);
		for (int i = 0; i < 3; i++)
			if (sqlite3_bind_value(cert, i + 1, sqlite3_column_value(rv, i)) != SQLITE_OK)
				return trib_db_fail(err, a->db.db, "binding");
		int there = trib_db_step(a->db.db, cert, err);
		if (there < 0 || (!there && trib_audit_find(a, &w, err, "hub.db lacks a certificate that the log says was revoked")))
			return -1;
	}
	return row;
}

/* Certificates: every one that a leaf names is in hub.db as the leaf says; every signing one in hub.db has its leaf. */
static int check_certs(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *leaf = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *cert = NULL;
	if (trib_db_prepare(a->own, "SELECT sha256, node, app, usage, incarnation, revoked_at, not_after, serial FROM c ORDER BY sha256", &leaf, err) ||
	    trib_db_prepare(a->db.db, "SELECT sha256, node, app, usage, incarnation, revoked_at, not_after, serial FROM cert ORDER BY sha256", &cert, err))
		return -1;
	int l = trib_db_step(a->own, leaf, err), h = l < 0 ? -1 : trib_db_step(a->db.db, cert, err);
	while (l > 0 || h > 0) {
		int c = l <= 0 ? 1 : h <= 0 ? -1 : trib_span_cmp(trib_span(sqlite3_column_blob(leaf, 0), (size_t)sqlite3_column_bytes(leaf, 0)),
								 trib_span(sqlite3_column_blob(cert, 0), (size_t)sqlite3_column_bytes(cert, 0)));
		sqlite3_stmt *st = c <= 0 ? leaf : cert;
		struct trib_where w = {.node = text(st, 1), .app = text(st, 2)};
		bool sign = strcmp(text(st, 3), "sign") == 0;
		if (c < 0 && trib_audit_find(a, &w, err, "hub.db lacks a certificate that the log says was issued"))
			return -1;
		/* Renewed TLS certificates are not in the log: nothing is signed with them. */
		if (c > 0 && sign && trib_audit_find(a, &w, err, "hub.db lists a signing certificate that no leaf of the log names"))
			return -1;
		if (c > 0 && check_revocation(a, cert, err))
			return -1;
		/* What the certificate itself says is known once a commit that it signed was judged. */
		for (int i = 1, n = sqlite3_column_type(leaf, 6) == SQLITE_NULL ? 6 : 8; c == 0 && i < n; i++)
			if (!same(leaf, cert, i) && trib_audit_find(a, &w, err, "hub.db: %s of a %s certificate is not what the log says", sqlite3_column_name(cert, i), text(st, 3)))
				return -1;
		if (c <= 0)
			l = trib_db_step(a->own, leaf, err);
		if (l >= 0 && c >= 0)
			h = trib_db_step(a->db.db, cert, err);
		if (l < 0 || h < 0)
			return -1;
	}
	return l < 0 || h < 0 ? -1 : 0;
}

/* A history's incarnation is that of its newest certificate in the log. */
static int check_incarnations(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *node = NULL;
	if (trib_db_prepare(a->db.db, "SELECT node, app, incarnation FROM node ORDER BY node, app", &node, err))
		return -1;
	int row;
	while ((row = trib_db_step(a->db.db, node, err)) > 0) {
		TRIB_AUTO(trib_stmt) sqlite3_stmt *leaf = NULL;
		struct trib_where w = {.node = text(node, 0), .app = text(node, 1)};
		if (trib_audit_sql(a->own, &leaf, err, "SELECT coalesce(max(incarnation), 0) FROM c WHERE node = ? AND app = ?", "ss", w.node, w.app) ||
		    trib_db_step(a->own, leaf, err) < 0)
			return -1;
		if (sqlite3_column_int64(leaf, 0) != sqlite3_column_int64(node, 2) &&
		    trib_audit_find(a, &w, err, "hub.db says incarnation %lld, the log %lld", (long long)sqlite3_column_int64(node, 2),
				    (long long)sqlite3_column_int64(leaf, 0)))
			return -1;
	}
	return row;
}

int trib_audit_held(struct trib_audit *a, struct trib_err *err)
{
	return spread_verdicts(a, err) || check_twice(a, err) || check_held(a, err) || check_certs(a, err) || check_revoked_there(a, err) || check_incarnations(a, err) ? -1 : 0;
}
