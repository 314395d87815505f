/* Revoked signers: no commit is held after the leaf that revoked its signer. And the lists of revoked certificates, by number: each is there, signed, and was in
 * force where the log says so; no held commit is signed by one listed. What came first is told by the order of the leaves, never by clocks. */
#include "core/trust/crl.h"
#include "hub/audit_impl.h"
#include "hub/crl.h"
#include "hub/tiles.h"

int trib_audit_keep_crl(struct trib_audit *a, uint64_t idx, const struct trib_leaf *l, struct trib_err *err)
{
	struct trib_where w = {0};
	if (l->number != a->crl_number + 1 &&
	    trib_audit_find(a, &w, err, "log leaf %llu names list %llu of revoked certificates after list %llu", (unsigned long long)idx, (unsigned long long)l->number,
			    (unsigned long long)a->crl_number))
		return -1;
	a->crl_number = l->number;
	return trib_audit_exec(a->own, err, "INSERT OR IGNORE INTO rl(number, idx, sha256) VALUES(?,?,?)", "iib", (int64_t)l->number, (int64_t)idx,
			       trib_span(l->sha256, TRIB_SHA256_LEN));
}

int trib_audit_held_crl(struct trib_audit *a, uint64_t idx, const struct trib_leaf *l, struct trib_err *err)
{
	struct trib_where w = {.node = l->node, .app = l->app, .seq = l->seq, .oid = l->oid};
	if (l->crl == a->crl_number)
		return 0;
	return trib_audit_find(a, &w, err, "log leaf %llu names list %llu of revoked certificates, in force was %llu", (unsigned long long)idx, (unsigned long long)l->crl,
			       (unsigned long long)a->crl_number);
}

static int load(struct trib_audit *a, const uint8_t sha[TRIB_SHA256_LEN], struct trib_crl **ret, struct trib_err *why)
{
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_CRL_MAX);
	return trib_named_read(a->hub->dir, sha, &text, why) || trib_crl_parse(trib_buf_span(&text), a->hub->root, ret, why) ? -1 : 0;
}

/* Is a signing certificate of a held commit in the list that was in force then? Joined by serial number, which hub.db repeats. */
static int check_signers(struct trib_audit *a, int64_t number, const struct trib_crl *list, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_audit_sql(a->own, &st, err, "SELECT node, app, seq, oid, signer, min(idx) FROM h WHERE crl = ? AND idx >= ? GROUP BY signer", "ii", number, (int64_t)a->from))
		return -1;
	int row;
	while ((row = trib_db_step(a->own, st, err)) > 0) {
		TRIB_AUTO(trib_stmt) sqlite3_stmt *cert = NULL;
		uint8_t signer[TRIB_SHA256_LEN], oid[TRIB_OID_LEN];
		int64_t since;
		struct trib_where w = {.node = (const char *)sqlite3_column_text(st, 0), .app = (const char *)sqlite3_column_text(st, 1),
				       .seq = (uint64_t)sqlite3_column_int64(st, 2), .oid = trib_audit_bytes(st, 3, oid, sizeof(oid)) ? oid : NULL};
		trib_audit_bytes(st, 4, signer, sizeof(signer));
		if (trib_audit_sql(a->db.db, &cert, err, "SELECT serial FROM cert WHERE sha256 = ? AND serial IS NOT NULL", "b", trib_span(signer, sizeof(signer))))
			return -1;
		int found = trib_db_step(a->db.db, cert, err);
		if (found < 0)
			return -1;
		if (found && trib_crl_has(list, (const char *)sqlite3_column_text(cert, 0), &since) &&
		    trib_audit_find(a, &w, err, "the signing certificate was revoked by list %lld, which was in force when the commit was held", (long long)number))
			return -1;
	}
	return row;
}

/* A signer's first commit that was held too late, and how many there are. */
int trib_audit_revoked(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_audit_sql(a->own, &st, err,
			   "SELECT h.node, h.app, h.seq, h.oid, min(h.idx), rv.idx, count(*) FROM h JOIN rv ON rv.sha256 = h.signer WHERE h.idx > rv.idx AND h.idx >= ? GROUP BY "
			   "h.node, h.app, h.signer ORDER BY 5",
			   "i", (int64_t)a->from))
		return -1;
	int row;
	while ((row = trib_db_step(a->own, st, err)) > 0) {
		uint8_t oid[TRIB_OID_LEN];
		struct trib_where w = {.node = (const char *)sqlite3_column_text(st, 0), .app = (const char *)sqlite3_column_text(st, 1),
				       .seq = (uint64_t)sqlite3_column_int64(st, 2), .oid = trib_audit_bytes(st, 3, oid, sizeof(oid)) ? oid : NULL};
		if (trib_audit_exec(a->own, err, "INSERT INTO tl(node, app, seq) VALUES(?,?,?)", "ssi", w.node, w.app, (int64_t)w.seq) ||
		    trib_audit_find(a, &w, err, "log leaf %lld holds a commit whose signing certificate leaf %lld had revoked before; such commits: %lld",
				    (long long)sqlite3_column_int64(st, 4), (long long)sqlite3_column_int64(st, 5), (long long)sqlite3_column_int64(st, 6)))
			return -1;
	}
	return row;
}

static int list_time(struct trib_audit *a, int64_t idx, int64_t *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf bytes = TRIB_BUF(TRIB_LEAF_MAX);
	struct trib_leaf l;
	if (trib_log_leaf(&a->db, (uint64_t)idx, &bytes, err) || trib_leaf_parse(trib_buf_span(&bytes), &l, err))
		return -1;
	*ret = l.time;
	return 0;
}

/* Is a revoked certificate in the list? 1 it is, 0 it may be left out, 2 it may not, -1. One that hub.db has no serial number of was never in a list. */
static int listed(struct trib_audit *a, const uint8_t sha[TRIB_SHA256_LEN], const struct trib_crl *list, int64_t at, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int64_t since;
	if (trib_audit_sql(a->db.db, &st, err,
			   "SELECT serial, usage = 'tls' AND not_after < ?2 FROM cert WHERE sha256 = ?1 AND serial IS NOT NULL UNION ALL "
			   "SELECT serial, usage = 'tls' AND not_after < ?2 FROM person WHERE sha256 = ?1 AND serial IS NOT NULL",
			   "bi", trib_span(sha, TRIB_SHA256_LEN), at - TRIB_CRL_EXPIRED_FOR))
		return -1;
	int found = trib_db_step(a->db.db, st, err);
	if (found <= 0)
		return found;
	if (trib_crl_has(list, (const char *)sqlite3_column_text(st, 0), &since))
		return 1;
	return sqlite3_column_int(st, 1) ? 0 : 2;
}

/* What a list holds is what was revoked before it: as many as leaves say, and hub.db's serial numbers. Expired TLS certificates may be there or not: lists of before
 * have them. */
static int check_content(struct trib_audit *a, int64_t number, int64_t idx, const struct trib_crl *list, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_where w = {0};
	uint64_t n = 0;
	int64_t at;
	if (list_time(a, idx, &at, err) || trib_audit_sql(a->own, &st, err, "SELECT sha256 FROM rv WHERE idx < ?", "i", idx))
		return -1;
	int row;
	while ((row = trib_db_step(a->own, st, err)) > 0) {
		uint8_t sha[TRIB_SHA256_LEN];
		trib_audit_bytes(st, 0, sha, sizeof(sha));
		int is = listed(a, sha, list, at, err);
		if (is < 0)
			return -1;
		if (is == 2)
			return trib_audit_find(a, &w, err, "list %lld of revoked certificates leaves one out that the log says was revoked before", (long long)number);
		n += (uint64_t)is;
	}
	if (row < 0)
		return -1;
	return n == trib_crl_size(list) ? 0
					: trib_audit_find(a, &w, err, "list %lld of revoked certificates holds %zu, the log says %llu", (long long)number, trib_crl_size(list),
							  (unsigned long long)n);
}

int trib_audit_crls(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_audit_sql(a->own, &st, err, "SELECT number, idx, sha256 FROM rl WHERE number > ?1 OR number IN (SELECT crl FROM h WHERE idx >= ?2) ORDER BY number", "ii",
			   (int64_t)a->from_crl, (int64_t)a->from))
		return -1;
	int row;
	while ((row = trib_db_step(a->own, st, err)) > 0) {
		TRIB_AUTO(trib_crl) struct trib_crl *list = NULL;
		struct trib_where w = {0};
		struct trib_err why = {0};
		uint8_t sha[TRIB_SHA256_LEN];
		int64_t number = sqlite3_column_int64(st, 0);
		trib_audit_bytes(st, 2, sha, sizeof(sha));
		if (load(a, sha, &list, &why) == 0 && trib_crl_number(list) != (uint64_t)number)
			(void)trib_fail(&why, TRIB_E_VERIFY, "it has number %llu", (unsigned long long)trib_crl_number(list));
		if (TRIB_OWN_TROUBLE(why.code)) {
			*err = why;
			return -1;
		}
		if (why.code != TRIB_OK) {
			if (trib_audit_find(a, &w, err, "list %lld of revoked certificates: %s", (long long)number, why.msg))
				return -1;
			continue;
		}
		if (check_content(a, number, sqlite3_column_int64(st, 1), list, err) || check_signers(a, number, list, err))
			return -1;
	}
	return row;
}
