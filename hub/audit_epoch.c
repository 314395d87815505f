/* Log epochs, and the checkpoints that commits name: what an office had seen when it signed must be a state of this log. */
#include "core/trust/epoch.h"
#include "hub/audit_impl.h"

int trib_audit_epoch(struct trib_audit *a, uint64_t idx, const struct trib_leaf *l, struct trib_err *err)
{
	struct trib_where w = {0};
	struct trib_cert_id admin;
	struct trib_err why;
	uint64_t steps = 0;
	uint8_t root[TRIB_SHA256_LEN];
	if (idx == 0 || l->number != idx)
		return trib_audit_find(a, &w, err, "leaf %llu opens an epoch behind %llu leaves: it stands at the wrong place", (unsigned long long)idx, (unsigned long long)l->number);
	if (trib_audit_root(a, idx, root, err))
		return -1;
	if (memcmp(root, l->manifest, sizeof(root)) != 0)
		return trib_audit_find(a, &w, err, "leaf %llu opens an epoch behind another log than this one", (unsigned long long)idx);
	if (trib_epoch_verify(l, a->hub->root, &admin, &why))
		return trib_audit_find(a, &w, err, "leaf %llu: %s", (unsigned long long)idx, why.msg);
	if (!trib_origin_follows(a->origin, l->origin, &steps) || steps == 0 || memcmp(l->sha256, a->log_pub, sizeof(l->sha256)) != 0)
		return trib_audit_find(a, &w, err, "leaf %llu opens %s, which does not follow %s under the same key", (unsigned long long)idx, l->origin, a->origin);
	memcpy(a->origin, l->origin, sizeof(a->origin));
	return trib_audit_exec(a->own, err, "INSERT INTO ep(idx, origin) VALUES(?,?)", "is", (int64_t)idx, l->origin);
}

int trib_audit_note(struct trib_audit *a, struct trib_span note, struct trib_checkpoint *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	struct trib_checkpoint cp;
	if (trib_checkpoint_parse(note, &cp, err) ||
	    trib_audit_sql(a->own, &st, err, "SELECT origin FROM ep WHERE idx < ? ORDER BY idx DESC LIMIT 1", "i", cp.size < INT64_MAX ? (int64_t)cp.size : INT64_MAX))
		return -1;
	int row = trib_db_step(a->own, st, err);
	if (row < 0)
		return -1;
	/* Of a log that is shorter than the note nothing is known: its origin is the present one, and the caller names the rest. */
	const char *origin = cp.size > a->size ? a->hub->origin : row ? (const char *)sqlite3_column_text(st, 0) : a->first_origin;
	return trib_checkpoint_verify(note, origin, a->log_pub, ret, err);
}

/* An office that had not heard of a new epoch yet names what it saw of the old one; what that lost cannot be looked up. */
static int before_epoch(struct trib_audit *a, uint64_t idx, uint64_t seen, bool *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_audit_sql(a->own, &st, err, "SELECT max(idx) FROM ep WHERE idx < ?", "i", (int64_t)idx))
		return -1;
	if (trib_db_step(a->own, st, err) < 0)
		return -1;
	*ret = sqlite3_column_type(st, 0) != SQLITE_NULL && seen <= (uint64_t)sqlite3_column_int64(st, 0);
	return 0;
}

struct seen {
	struct trib_where at;
	uint64_t idx, size; /* the commit's leaf; leaves of the checkpoint it names */
	uint8_t root[TRIB_SHA256_LEN];
};

static int check_seen(struct trib_audit *a, const struct seen *s, uint64_t *most, struct trib_err *err)
{
	uint8_t root[TRIB_SHA256_LEN];
	const char *what = NULL;
	bool old = false;
	if (s->size > s->idx) {
		what = "which was not there yet when the commit was held";
	} else {
		if (trib_audit_root(a, s->size, root, err))
			return -1;
		if (memcmp(root, s->root, sizeof(root)) != 0)
			what = "which is of another log: its office was shown one that is not this";
		else if (s->size < *most)
			what = "older than the one that the commit before names";
		else
			*most = s->size;
	}
	if (!what)
		return 0;
	if (before_epoch(a, s->idx, *most, &old, err))
		return -1;
	return old ? 0 : trib_audit_find(a, &s->at, err, "it names a checkpoint of %llu leaves, %s", (unsigned long long)s->size, what);
}

/* What the histories had seen by the last commit before. */
static int load_most(struct trib_audit *a, const char *node, const char *app, uint64_t *most, int64_t *machine, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	*most = 0;
	*machine = 0;
	if (!a->from)
		return 0;
	if (trib_audit_sql(a->own, &st, err, "SELECT most, machine FROM n WHERE node = ? AND app = ?", "ss", node, app))
		return -1;
	int row = trib_db_step(a->own, st, err);
	if (row > 0) {
		*most = (uint64_t)sqlite3_column_int64(st, 0);
		*machine = sqlite3_column_int64(st, 1);
	}
	return row < 0 ? -1 : 0;
}

static int save_most(struct trib_audit *a, const char *node, const char *app, uint64_t most, int64_t machine, struct trib_err *err)
{
	return trib_audit_exec(a->own, err, "UPDATE n SET most = ?, machine = ? WHERE node = ? AND app = ?", "iiss", (int64_t)most, machine, node, app);
}

int trib_audit_seen(struct trib_audit *a, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	char node[TRIB_NODE_MAX + 1] = "", app[TRIB_APP_MAX + 1] = "";
	uint64_t most = 0;
	int64_t machine = 0;
	if (trib_audit_sql(a->own, &st, err, "SELECT node, app, seq, idx, oid, incarnation, seen, seen_root FROM h WHERE judged AND idx >= ? AND idx < ? ORDER BY node, app, seq, idx", "ii",
			   (int64_t)a->from, (int64_t)a->size))
		return -1;
	int row;
	while ((row = trib_db_step(a->own, st, err)) > 0) {
		const char *n = (const char *)sqlite3_column_text(st, 0), *p = (const char *)sqlite3_column_text(st, 1);
		uint8_t oid[TRIB_OID_LEN];
		if (strcmp(n, node) != 0 || strcmp(p, app) != 0) {
			if (save_most(a, node, app, most, machine, err) || load_most(a, n, p, &most, &machine, err))
				return -1;
			(void)snprintf(node, sizeof(node), "%s", n);
			(void)snprintf(app, sizeof(app), "%s", p);
		}
		/* A new machine of an office has seen nothing yet. */
		if (machine != sqlite3_column_int64(st, 5))
			most = 0;
		machine = sqlite3_column_int64(st, 5);
		struct seen s = {.at = {.node = node, .app = app, .seq = (uint64_t)sqlite3_column_int64(st, 2), .oid = oid}, .idx = (uint64_t)sqlite3_column_int64(st, 3),
				 .size = (uint64_t)sqlite3_column_int64(st, 6)};
		trib_audit_bytes(st, 4, oid, sizeof(oid));
		trib_audit_bytes(st, 7, s.root, sizeof(s.root));
		if (check_seen(a, &s, &most, err))
			return -1;
	}
	return row < 0 ? -1 : save_most(a, node, app, most, machine, err);
}
