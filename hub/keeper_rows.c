/* keeper_rows.c: what the keeper writes into hub.db besides publications: enrolments, refusals, verdicts of the merge (keeper.h). */
#include "core/base/clock.h"
#include "hub/keeper.h"

#define REFUSALS_FREE 20 /* refusals of one history and code that are leaves in any case; after them a pause is needed */
#define REFUSAL_PAUSE_S 60

static int insert_cert(struct trib_hubdb *h, const struct trib_ipc_enrolled *e, const uint8_t sha[TRIB_SHA256_LEN], const char *use, int64_t not_after,
		       const char *serial, struct trib_err *err)
{
	struct trib_cert_id issuing;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_cert_identity(h->hub->issuing, &issuing, err) ||
	    trib_db_prepare(h->db, "INSERT INTO cert(sha256, node, app, usage, incarnation, not_after, serial, issuer) VALUES(?,?,?,?,?,?,?,?)", &st, err))
		return -1;
	sqlite3_bind_blob(st, 1, sha, TRIB_SHA256_LEN, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, e->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, e->app, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 4, use, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 5, (int64_t)e->incarnation);
	sqlite3_bind_int64(st, 6, not_after);
	if (serial[0]) {
		sqlite3_bind_text(st, 7, serial, -1, SQLITE_STATIC);
		sqlite3_bind_text(st, 8, issuing.subject, -1, SQLITE_STATIC);
	}
	return trib_db_step(h->db, st, err) < 0 ? -1 : 0;
}

/* A TLS certificate signs nothing that lasts: it is a row, not a leaf. */
static int renewed_row(struct trib_hubdb *h, const struct trib_ipc_enrolled *e, const struct trib_peer *known, struct trib_err *err)
{
	struct trib_peer tls;
	int found = trib_hubdb_peer(h, e->tls_sha256, &tls, err);
	if (found)
		return found < 0 ? -1 : 0;
	if (strcmp(known->node, e->node) != 0 || strcmp(known->app, e->app) != 0 || known->incarnation != e->incarnation || !known->current || known->revoked_at)
		return trib_fail(err, TRIB_E_CERT, "the certificates of %s/%s were revoked or replaced; ask the city for a new slip", e->node, e->app);
	return insert_cert(h, e, e->tls_sha256, "tls", e->tls_not_after, e->tls_serial, err);
}

/* Certificates made before a later machine was enrolled, but told only now, must not bring the office back to the machine before. */
static int check_incarnation(struct trib_hubdb *h, const struct trib_ipc_enrolled *e, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db, "SELECT incarnation FROM node WHERE node = ? AND app = ?", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, e->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, e->app, -1, SQLITE_STATIC);
	int row = trib_db_step(h->db, st, err);
	if (row < 0)
		return -1;
	if (!row || e->incarnation != (uint64_t)sqlite3_column_int64(st, 0) + 1)
		return trib_fail(err, TRIB_E_CERT, "another machine of %s/%s was enrolled meanwhile; ask the city for a new slip", e->node, e->app);
	return 0;
}

/* The machine whose signing key changes is the office's, and not revoked. */
static int check_before(struct trib_hubdb *h, const struct trib_ipc_enrolled *e, struct trib_err *err)
{
	struct trib_peer before;
	int found = trib_hubdb_peer(h, e->before_sha256, &before, err);
	if (found < 0)
		return -1;
	if (!found || before.role != TRIB_ROLE_NODE || strcmp(before.node, e->node) != 0 || strcmp(before.app, e->app) != 0 || before.incarnation != e->incarnation ||
	    !before.current || before.revoked_at)
		return trib_fail(err, TRIB_E_CERT, "the certificates of %s/%s were revoked or replaced; ask the city for a new slip", e->node, e->app);
	return 0;
}

static int append_enrolled(struct trib_hubdb *h, const struct trib_ipc_enrolled *e, struct trib_err *err)
{
	struct trib_leaf leaf = {.kind = TRIB_LEAF_ENROLLED, .time = trib_now(), .incarnation = e->incarnation};
	memcpy(leaf.node, e->node, sizeof(leaf.node));
	memcpy(leaf.app, e->app, sizeof(leaf.app));
	memcpy(leaf.name, e->name, sizeof(leaf.name));
	memcpy(leaf.cert, e->sign_sha256, sizeof(leaf.cert));
	memcpy(leaf.cert2, e->tls_sha256, sizeof(leaf.cert2));
	return trib_log_append(h, &leaf, NULL, err);
}

int trib_keeper_enrolled(struct trib_hubdb *h, const struct trib_ipc_enrolled *e, struct trib_err *err)
{
	struct trib_peer known;
	int found = trib_hubdb_peer(h, e->sign_sha256, &known, err);
	if (found > 0 && known.role != TRIB_ROLE_NODE)
		return trib_fail(err, TRIB_E_CERT, "that certificate is a person's");
	if (found) /* told before: the enrolment process was killed after we logged it, or the TLS certificate was renewed */
		return found < 0 ? -1 : renewed_row(h, e, &known, err);
	if (e->rotation)
		return check_before(h, e, err) || insert_cert(h, e, e->sign_sha256, "sign", e->sign_not_after, e->sign_serial, err) || append_enrolled(h, e, err) ? -1 : 0;
	if (check_incarnation(h, e, err))
		return -1;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (insert_cert(h, e, e->sign_sha256, "sign", e->sign_not_after, e->sign_serial, err) || insert_cert(h, e, e->tls_sha256, "tls", e->tls_not_after, e->tls_serial, err) ||
	    trib_db_prepare(h->db, "UPDATE node SET incarnation = ?, status = 'enrolled' WHERE node = ? AND app = ?", &st, err))
		return -1;
	sqlite3_bind_int64(st, 1, (int64_t)e->incarnation);
	sqlite3_bind_text(st, 2, e->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, e->app, -1, SQLITE_STATIC);
	if (trib_db_step(h->db, st, err) < 0)
		return -1;
	return append_enrolled(h, e, err) || trib_keeper_fork_over(h, e->node, e->app, err) ? -1 : 0;
}

/* The merger was killed after we logged this verdict: it tells it again. 1 known, 0 new, -1. */
static int already_told(struct trib_hubdb *h, const struct trib_ipc_merge_result *r, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db, "SELECT 1 FROM held WHERE node = ? AND app = ? AND seq = ? AND (merged_at IS NOT NULL OR out_of_step IS NOT NULL)", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, r->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, r->app, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, (int64_t)r->seq);
	return trib_db_step(h->db, st, err);
}

int trib_keeper_verdict(struct trib_hubdb *h, const struct trib_ipc_merge_result *r, struct trib_err *err)
{
	struct trib_leaf leaf = {.kind = r->merged ? TRIB_LEAF_MERGED : TRIB_LEAF_OUT_OF_STEP, .time = trib_now(), .seq = r->seq};
	memcpy(leaf.node, r->node, sizeof(leaf.node));
	memcpy(leaf.app, r->app, sizeof(leaf.app));
	memcpy(leaf.manifest, r->manifest, sizeof(leaf.manifest));
	if (!r->merged) {
		memcpy(leaf.name, r->table, sizeof(r->table));
		leaf.key_len = r->key_len <= sizeof(leaf.key) ? r->key_len : sizeof(leaf.key);
		memcpy(leaf.key, r->key, leaf.key_len);
		memcpy(leaf.word, r->reason, sizeof(leaf.word));
	}
	uint64_t index;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *due = NULL;
	int told = already_told(h, r, err);
	if (told)
		return told < 0 ? -1 : 0;
	if (trib_log_append(h, &leaf, &index, err) ||
	    trib_db_prepare(h->db,
			    "UPDATE held SET merged_at = CASE WHEN ?4 IS NULL THEN ?5 END, out_of_step = ?4 WHERE node = ?1 AND app = ?2 AND merged_at IS NULL AND "
			    "seq <= ?3 AND seq > ?3 - (SELECT parts FROM held WHERE node = ?1 AND app = ?2 AND seq = ?3)",
			    &st, err) ||
	    trib_db_prepare(h->db, "INSERT INTO due(idx, node, app) VALUES(?,?,?)", &due, err))
		return -1;
	sqlite3_bind_text(st, 1, r->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, r->app, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, (int64_t)r->seq);
	if (!r->merged)
		sqlite3_bind_text(st, 4, r->reason, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 5, leaf.time);
	sqlite3_bind_int64(due, 1, (int64_t)index);
	sqlite3_bind_text(due, 2, r->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(due, 3, r->app, -1, SQLITE_STATIC);
	return trib_db_step(h->db, st, err) < 0 || trib_db_step(h->db, due, err) < 0 ? -1 : 0;
}

/* An office that makes a new bad commit every second fills no log either: the table counts, the log gets the first ones and, after a
 * pause, the next. 1, 0, -1. */
static int refusal_worth_a_leaf(struct trib_hubdb *h, const struct trib_leaf *leaf, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db, "SELECT times, at FROM refusal WHERE node = ? AND app = ? AND code = ?", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, leaf->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, leaf->app, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 3, leaf->word, -1, SQLITE_STATIC);
	int row = trib_db_step(h->db, st, err);
	if (row <= 0)
		return row < 0 ? -1 : 1;
	return sqlite3_column_int64(st, 0) < REFUSALS_FREE || sqlite3_column_int64(st, 1) <= leaf->time - REFUSAL_PAUSE_S;
}

static int refusal_rows(struct trib_hubdb *h, const struct trib_ipc_refusal *r, struct trib_leaf *leaf, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *again = NULL;
	/* One leaf for one object and code: a client that tries again every minute fills no log. */
	if (trib_db_prepare(h->db, "UPDATE refusal SET times = times + 1, at = ?4 WHERE node = ?1 AND app = ?2 AND code = ?3 AND object = ?5", &again, err) ||
	    trib_db_prepare(h->db,
			    "INSERT INTO refusal(node, app, code, at, object, msg) VALUES(?1,?2,?3,?4,?5,?6) ON CONFLICT(node, app, code) DO UPDATE SET at = "
			    "excluded.at, object = excluded.object, msg = excluded.msg, times = times + 1",
			    &st, err))
		return -1;
	sqlite3_stmt *both[] = {again, st};
	for (size_t i = 0; i < 2; i++) {
		sqlite3_bind_text(both[i], 1, leaf->node, -1, SQLITE_STATIC);
		sqlite3_bind_text(both[i], 2, leaf->app, -1, SQLITE_STATIC);
		sqlite3_bind_text(both[i], 3, leaf->word, -1, SQLITE_STATIC);
		sqlite3_bind_int64(both[i], 4, leaf->time);
		sqlite3_bind_blob(both[i], 5, r->object, TRIB_SHA256_LEN, SQLITE_STATIC);
	}
	sqlite3_bind_text(st, 6, r->msg, -1, SQLITE_STATIC);
	if (trib_db_step(h->db, again, err) < 0)
		return -1;
	if (sqlite3_changes(h->db) > 0)
		return 0;
	int worth = refusal_worth_a_leaf(h, leaf, err);
	return worth < 0 || trib_db_step(h->db, st, err) < 0 || (worth && trib_log_append(h, leaf, NULL, err)) ? -1 : 0;
}

int trib_keeper_refused(struct trib_hubdb *h, const struct trib_ipc_refusal *r, int64_t now, struct trib_err *err)
{
	struct trib_leaf leaf = {.kind = TRIB_LEAF_REFUSED, .time = now};
	(void)snprintf(leaf.node, sizeof(leaf.node), "%s", r->node);
	(void)snprintf(leaf.app, sizeof(leaf.app), "%s", r->app);
	(void)snprintf(leaf.word, sizeof(leaf.word), "%s", trib_code_name((enum trib_code)r->code));
	memcpy(leaf.sha256, r->object, sizeof(leaf.sha256));
	if (trib_hubdb_begin(h, err))
		return -1;
	if (trib_log_time(h, now, &leaf.time, err) || refusal_rows(h, r, &leaf, err) || trib_hubdb_commit(h, err)) {
		trib_hubdb_rollback(h);
		return -1;
	}
	return 0;
}

int trib_keeper_fork_over(struct trib_hubdb *h, const char *node, const char *app, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db, "DELETE FROM refusal WHERE node = ? AND app = ? AND code = 'fork'", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, app, -1, SQLITE_STATIC);
	return trib_db_step(h->db, st, err) < 0 ? -1 : 0;
}

int trib_keeper_trouble(struct trib_hubdb *h, const char *msg, int64_t now, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf old = TRIB_BUF(2 * TRIB_ERR_MSG), text = TRIB_BUF(2 * TRIB_ERR_MSG);
	if (!msg)
		return trib_db_exec(h->db, "DELETE FROM meta WHERE key = 'merge-trouble'", err);
	if (trib_hubdb_meta(h, "merge-trouble", &old, err))
		return -1;
	/* Trouble that stands already began earlier. */
	long long since = old.len ? strtoll(trib_buf_str(&old), NULL, 10) : (long long)now;
	trib_buf_printf(&text, "%lld %s", since, msg);
	return trib_buf_check(&text, "the merge's trouble", err) ? -1 : trib_hubdb_meta_set(h, "merge-trouble", trib_buf_span(&text), err);
}
