/* Which offices `status` calls forked: those of whom the log has a refusal `fork`, and since then neither a new machine nor a reset. */
#include "hub/audit_impl.h"

int trib_audit_keep_refused(struct trib_audit *a, uint64_t idx, const struct trib_leaf *l, struct trib_err *err)
{
	if (strcmp(l->word, "fork") != 0)
		return 0;
	return trib_audit_exec(a->own, err, "INSERT INTO fo(idx, node, app, forked) VALUES(?,?,?,1)", "iss", (int64_t)idx, l->node, l->app);
}

/* A new machine; a machine that changes its key stays the one that it was. Comes before the leaf's certificates are kept. */
int trib_audit_keep_machine(struct trib_audit *a, uint64_t idx, const struct trib_leaf *l, struct trib_err *err)
{
	return trib_audit_exec(a->own, err, "INSERT INTO fo(idx, node, app, forked) SELECT ?1, ?2, ?3, 0 WHERE ?4 > coalesce((SELECT max(incarnation) FROM c WHERE node = ?2 AND app = ?3), 0)",
			       "issi", (int64_t)idx, l->node, l->app, (int64_t)l->incarnation);
}

static const char *text(sqlite3_stmt *st, int i)
{
	const char *s = (const char *)sqlite3_column_text(st, i);
	return s ? s : "";
}

/* The last word of the leaves about each history, resets among them. Of a history that is not provable it is not known whether it began anew. */
static const char derived[] =
	"CREATE TEMP TABLE forked AS SELECT node, app, forked, max(idx) FROM (SELECT idx, node, app, forked FROM fo UNION ALL SELECT idx, node, app, 0 FROM h WHERE reset) "
	"WHERE (node, app) NOT IN (SELECT node, app FROM n WHERE bad IS NOT NULL) GROUP BY node, app";

/* Every row of hub.db has its leaf. */
static int check_listed(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(a->db.db, "SELECT node, app FROM refusal WHERE code = 'fork' ORDER BY node, app", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(a->db.db, st, err)) > 0) {
		TRIB_AUTO(trib_stmt) sqlite3_stmt *is = NULL;
		struct trib_where w = {.node = text(st, 0), .app = text(st, 1)};
		if (trib_audit_sql(a->own, &is, err,
				   "SELECT 1 FROM forked WHERE node = ?1 AND app = ?2 AND forked UNION ALL SELECT 1 FROM n WHERE node = ?1 AND app = ?2 AND bad IS NOT NULL", "ss", w.node, w.app))
			return -1;
		int has = trib_db_step(a->own, is, err);
		if (has < 0 || (!has && trib_audit_find(a, &w, err, "hub.db: the office is listed as forked, the log does not say so")))
			return -1;
		if (trib_audit_exec(a->own, err, "DELETE FROM forked WHERE node = ? AND app = ?", "ss", w.node, w.app))
			return -1;
	}
	return row;
}

int trib_audit_forked(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_exec(a->own, derived, err) || check_listed(a, err) || trib_db_prepare(a->own, "SELECT node, app FROM forked WHERE forked ORDER BY node, app", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(a->own, st, err)) > 0) {
		struct trib_where w = {.node = text(st, 0), .app = text(st, 1)};
		if (trib_audit_find(a, &w, err, "hub.db: the office is not listed as forked, the log says that it is"))
			return -1;
	}
	return row;
}
