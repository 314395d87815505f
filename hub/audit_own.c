/* The hub's own things under the audit: is hub.db a sound database of the shape that this program makes, are the hub's certificates good. */
#include "hub/audit_impl.h"

#define TOLD_MAX "8" /* of what SQLite finds in one file */

int trib_audit_pages(struct trib_audit *a, sqlite3 *db, const struct trib_where *w, const char *what, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_err why;
	int row;
	if (trib_db_prepare(db, "PRAGMA integrity_check(" TOLD_MAX ")", &st, &why))
		return trib_audit_find(a, w, err, "%s cannot be read: %s", what, why.msg);
	while ((row = trib_db_step(db, st, &why)) > 0) {
		const char *is = (const char *)sqlite3_column_text(st, 0);
		if (is && strcmp(is, "ok") == 0)
			return 0;
		if (trib_audit_find(a, w, err, "%s is damaged: %s", what, is ? is : "?"))
			return -1;
	}
	return row < 0 ? trib_audit_find(a, w, err, "%s cannot be read: %s", what, why.msg) : 0;
}

/* A rule of the schema that is gone, or another, lets in what no rule would: the text is compared to the letter. */
static int check_schema(struct trib_audit *a, struct trib_err *err)
{
	static const char mark[] = "PRAGMA application_id";
	static const char all[] = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name", version[] = "PRAGMA user_version";
	TRIB_AUTO(trib_db) sqlite3 *made = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *x = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *y = NULL;
	struct trib_where w = {0};
	struct trib_err why;
	int64_t is, should;
	if (trib_db_int(a->db.db, version, 0, &is, &why) || trib_db_prepare(a->db.db, all, &x, &why))
		return trib_audit_find(a, &w, err, "hub.db cannot be read: %s", why.msg);
	/* An older hub.db, which the next `serve` brings up to date, is as its version was; a newer one belongs to a newer program. */
	if (trib_hubdb_empty(is, &made, err) || trib_db_int(made, version, 0, &should, err) || trib_db_prepare(made, all, &y, err))
		return -1;
	if (is != should)
		return trib_audit_find(a, &w, err, "hub.db is of version %lld, this program makes version %lld", (long long)is, (long long)should);
	if (trib_db_int(a->db.db, mark, 0, &is, &why) || is != 0)
		return trib_audit_find(a, &w, err, "hub.db is marked as the file of another application");
	int m, r;
	do {
		m = trib_db_step(made, y, err);
		r = m < 0 ? 0 : trib_db_step(a->db.db, x, &why);
		bool same = m == r;
		for (int i = 0; same && m > 0 && i < 4; i++) {
			struct trib_value p, q;
			trib_value_column(x, i, &p);
			trib_value_column(y, i, &q);
			same = trib_value_eq(&p, &q);
		}
		if (m >= 0 && !same)
			return trib_audit_find(a, &w, err, "hub.db: the schema is not the one that this program makes, from %s on",
					       m > 0 ? (const char *)sqlite3_column_text(y, 1) : "its end");
	} while (m > 0);
	return m;
}

static int check_cert(struct trib_audit *a, const struct trib_cert *c, enum trib_cert_use use, const char *file, struct trib_err *err)
{
	struct trib_where w = {0};
	struct trib_cert_id id;
	struct trib_err why;
	int rc = trib_cert_identity(c, &id, &why);
	if (!rc) /* an hour after its beginning: whether it is still valid today is for `status` */
		rc = trib_cert_verify(c, a->hub->issuing, a->hub->root, use, id.not_before + 3600, false, &id, &why);
	if (!rc && id.role != TRIB_ROLE_HUB)
		rc = trib_fail(&why, TRIB_E_CERT, "it is not a hub's");
	return rc ? trib_audit_find(a, &w, err, "%s: %s", file, why.msg) : 0;
}

int trib_audit_own(struct trib_audit *a, struct trib_err *err)
{
	struct trib_where w = {0};
	return trib_audit_pages(a, a->db.db, &w, "hub.db", err) || check_schema(a, err) || check_cert(a, a->hub->sign_cert, TRIB_USE_SIGN, "keys/hub-sign.crt", err) ||
			       check_cert(a, a->hub->tls_cert, TRIB_USE_TLS_SERVER, "keys/hub-tls.crt", err)
		       ? -1
		       : 0;
}
