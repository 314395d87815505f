/* Lists of hub.db that repeat what leaves say: communities, people, nightly lists, single values; and what it repeats of signing certificates. What has no
 * leaf (when an office was last in contact or added, how often it was refused and why, until when a TLS certificate is good) is for screens. */
#include "hub/audit_impl.h"

static const char *text(sqlite3_stmt *st, int i)
{
	const char *s = (const char *)sqlite3_column_text(st, i);
	return s ? s : "";
}

int trib_audit_keep_person(struct trib_audit *a, const struct trib_leaf *l, struct trib_err *err)
{
	if (l->kind == TRIB_LEAF_PERSON)
		return trib_audit_exec(a->own, err, "INSERT OR REPLACE INTO pe(sha256, name, role, usage) VALUES(?,?,?,?)", "bsss", trib_span(l->cert, TRIB_SHA256_LEN), l->name,
				       l->word, l->usage);
	return trib_audit_exec(a->own, err, "UPDATE pe SET revoked_at = ? WHERE sha256 = ? AND revoked_at IS NULL", "ib", l->time, trib_span(l->cert, TRIB_SHA256_LEN));
}

/* The slip gives the name; of a log that has no leaf about the slip the enrolment does. */
int trib_audit_keep_name(struct trib_audit *a, const struct trib_leaf *l, struct trib_err *err)
{
	if (trib_audit_exec(a->own, err, "INSERT OR IGNORE INTO na(node, app, name) VALUES(?,?,?)", "sss", l->node, l->app, l->name))
		return -1;
	return trib_audit_exec(a->own, err, l->kind == TRIB_LEAF_ACT ? "INSERT OR REPLACE INTO nm(node, app, name) VALUES(?,?,?)" : "INSERT OR IGNORE INTO nm(node, app, name) VALUES(?,?,?)",
			       "sss", l->node, l->app, l->name);
}

/* Two queries, one of the leaves and one of hub.db, must give the same rows in the same order; `node_col`: the column with the node, the next one its
 * app; -1: none. The first difference is named. */
static int compare(struct trib_audit *a, const char *what, const char *leaves, const char *rows, int node_col, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *x = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *y = NULL;
	if (trib_db_prepare(a->own, leaves, &x, err) || trib_db_prepare(a->db.db, rows, &y, err))
		return -1;
	for (;;) {
		int l = trib_db_step(a->own, x, err), h = l < 0 ? -1 : trib_db_step(a->db.db, y, err);
		if (l < 0 || h < 0)
			return -1;
		sqlite3_stmt *st = l ? x : y;
		struct trib_where w = {.node = node_col < 0 || !(l + h) ? NULL : text(st, node_col), .app = node_col < 0 || !(l + h) ? NULL : text(st, node_col + 1)};
		if (l != h)
			return trib_audit_find(a, &w, err, l ? "hub.db: the list of %s lacks what a leaf of the log says" : "hub.db: the list of %s has what no leaf of the log says", what);
		if (!l)
			return 0;
		for (int i = 0; i < sqlite3_column_count(x); i++) {
			struct trib_value p, q;
			trib_value_column(x, i, &p);
			trib_value_column(y, i, &q);
			if (!trib_value_eq(&p, &q))
				return trib_audit_find(a, &w, err, "hub.db: %s in the list of %s is not what the log says", sqlite3_column_name(y, i), what);
		}
	}
}

/* Held commits were compared with the log: what repeats them is compared with them. */
static int check_reported(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(a->db.db,
			    "SELECT node, app, reported_at IS h.held_at, n.braked = coalesce(h.braked, 0) FROM node n LEFT JOIN (SELECT node, app, held_at, braked, max(seq) FROM held GROUP "
			    "BY node, app) h USING(node, app) ORDER BY node, app",
			    &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(a->db.db, st, err)) > 0) {
		struct trib_where w = {.node = text(st, 0), .app = text(st, 1)};
		for (int i = 2; i < 4; i++)
			if (!sqlite3_column_int(st, i) && trib_audit_find(a, &w, err, "hub.db: %s is not that of its last held commit", i == 2 ? "when it reported" : "what the brake held back"))
				return -1;
	}
	return row;
}

int trib_audit_meta(struct trib_audit *a, const char *key, struct trib_span value, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf is = TRIB_BUF(TRIB_MIB);
	struct trib_where w = {0};
	struct trib_err why;
	if (trib_hubdb_meta(&a->db, key, &is, &why))
		return trib_audit_find(a, &w, err, "hub.db: %s: %s", key, why.msg);
	return trib_span_eq(trib_buf_span(&is), value) ? 0 : trib_audit_find(a, &w, err, "hub.db: %s is not what the log says", key);
}

static int check_meta(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *crl = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *epoch = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *other = NULL;
	struct trib_where w = {0};
	char number[32];
	if (trib_db_prepare(a->own, "SELECT number, sha256 FROM rl ORDER BY number DESC LIMIT 1", &crl, err) || trib_db_prepare(a->own, "SELECT max(idx) FROM ep", &epoch, err) ||
	    trib_db_prepare(a->db.db, "SELECT key FROM meta WHERE key NOT IN('crl-number', 'crl-sha256', 'policy-number', 'policy-sha256', 'origin', 'epoch-leaf', 'merge-trouble')", &other, err))
		return -1;
	int lists = trib_db_step(a->own, crl, err), row = trib_db_step(a->own, epoch, err), unknown = trib_db_step(a->db.db, other, err);
	if (lists < 0 || row < 0 || unknown < 0)
		return -1;
	if (unknown && trib_audit_find(a, &w, err, "hub.db: no program of ours writes a value called '%.64s'", text(other, 0)))
		return -1;
	(void)snprintf(number, sizeof(number), "%lld", lists ? (long long)sqlite3_column_int64(crl, 0) : 0);
	if (trib_audit_meta(a, "crl-number", trib_span_str(lists ? number : ""), err) ||
	    trib_audit_meta(a, "crl-sha256", trib_span(lists ? sqlite3_column_blob(crl, 1) : "", lists ? (size_t)sqlite3_column_bytes(crl, 1) : 0), err))
		return -1;
	bool epochs = sqlite3_column_type(epoch, 0) != SQLITE_NULL;
	uint64_t at = (uint64_t)sqlite3_column_int64(epoch, 0);
	return trib_audit_meta(a, "origin", trib_span_str(epochs ? a->origin : ""), err) || trib_audit_meta(a, "epoch-leaf", trib_span(&at, epochs ? sizeof(at) : 0), err) ? -1 : 0;
}

/* Who issued the certificates that hub.db lists: the issuing certificate, or one of those before. */
static int check_issuers(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_cert_id id;
	int row;
	if (trib_cert_identity(a->hub->issuing, &id, err) || trib_audit_exec(a->own, err, "INSERT OR IGNORE INTO ia(name) VALUES(?)", "s", id.subject))
		return -1;
	for (unsigned n = 1;; n++) {
		TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/ca/old/issuing-%u.crt", a->hub->dir, n);
		TRIB_AUTO(trib_cert) struct trib_cert *old = NULL;
		struct trib_where w = {0};
		struct trib_err why;
		if (!path)
			return trib_fail(err, TRIB_E_NOMEM, "out of memory");
		if (!trib_fs_exists(path))
			break;
		if (trib_cert_load(path, &old, &why) || trib_cert_identity(old, &id, &why)) {
			if (trib_audit_find(a, &w, err, "ca/old/issuing-%u.crt: %s", n, why.msg))
				return -1;
		} else if (trib_audit_exec(a->own, err, "INSERT OR IGNORE INTO ia(name) VALUES(?)", "s", id.subject)) {
			return -1;
		}
	}
	if (trib_db_prepare(a->db.db, "SELECT node, app, issuer, serial IS NULL FROM cert UNION ALL SELECT '-', '-', issuer, serial IS NULL FROM person", &st, err))
		return -1;
	while ((row = trib_db_step(a->db.db, st, err)) > 0) {
		TRIB_AUTO(trib_stmt) sqlite3_stmt *known = NULL;
		struct trib_where w = {.node = text(st, 0), .app = text(st, 1)};
		if (trib_audit_sql(a->own, &known, err, "SELECT 1 FROM ia WHERE name = ?", "s", text(st, 2)))
			return -1;
		bool none = sqlite3_column_type(st, 2) == SQLITE_NULL;
		int is = none ? sqlite3_column_int(st, 3) : trib_db_step(a->own, known, err);
		if (is < 0 || (!is && trib_audit_find(a, &w, err, "hub.db: no certificate of this hub issues as '%.64s'", text(st, 2))))
			return -1;
	}
	return row;
}

int trib_audit_lists(struct trib_audit *a, struct trib_err *err)
{
	return compare(a, "communities", "SELECT node, app, name, CASE WHEN EXISTS(SELECT 1 FROM c WHERE c.node = nm.node AND c.app = nm.app) THEN 'enrolled' ELSE 'expected' END FROM nm "
					 "ORDER BY node, app", "SELECT node, app, name, status FROM node ORDER BY node, app", 0, err) ||
			       compare(a, "people", "SELECT sha256, name, role, usage, revoked_at FROM pe ORDER BY sha256", "SELECT sha256, name, role, usage, revoked_at FROM person ORDER BY sha256",
				       -1, err) ||
			       compare(a, "nightly lists", "SELECT idx, from_at, to_at, expected, reported, silent, sha256 FROM ng ORDER BY idx",
				       "SELECT idx, from_at, to_at, expected, reported, silent, sha256 FROM night ORDER BY idx", -1, err) ||
			       check_reported(a, err) || check_meta(a, err) || trib_audit_policy(a, err) || check_issuers(a, err)
		       ? -1
		       : 0;
}

int trib_audit_signer(struct trib_audit *a, const struct trib_where *at, const struct trib_cert_id *id, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (memcmp(a->signer_seen, id->sha256, sizeof(a->signer_seen)) == 0)
		return 0;
	memcpy(a->signer_seen, id->sha256, sizeof(a->signer_seen));
	if (trib_audit_sql(a->db.db, &st, err, "SELECT not_after, serial FROM cert WHERE sha256 = ?", "b", trib_span(id->sha256, TRIB_SHA256_LEN)))
		return -1;
	int row = trib_db_step(a->db.db, st, err);
	if (row <= 0)
		return row; /* it is named by the log step */
	if (sqlite3_column_int64(st, 0) == id->not_after && (sqlite3_column_type(st, 1) == SQLITE_NULL || strcmp(text(st, 1), id->serial) == 0))
		return trib_audit_exec(a->own, err, "UPDATE c SET not_after = ?1, serial = CASE WHEN ?2 <> '' THEN ?2 END WHERE sha256 = ?3", "isb", id->not_after, text(st, 1),
				       trib_span(id->sha256, TRIB_SHA256_LEN));
	return trib_audit_find(a, at, err, "hub.db: serial number or end of the signing certificate are not what the certificate says");
}
