#include "hub/tips.h"

void trib_tips_drop(struct trib_tips *t)
{
	for (size_t i = 0; i < t->n; i++) {
		trib_tip_release(&t->all[i]->tip);
		trib_repo_free(t->all[i]->repo);
		free(t->all[i]);
	}
	t->n = 0;
}

static int load(sqlite3 *db, struct trib_city_tip *one, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db, "SELECT tip, out_of_step FROM _t_history WHERE node = ?", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, one->node, -1, SQLITE_STATIC);
	int row = trib_db_step(db, st, err);
	if (row <= 0)
		return row;
	if (sqlite3_column_type(st, 1) != SQLITE_NULL)
		(void)snprintf(one->stopped, sizeof(one->stopped), "%s", (const char *)sqlite3_column_text(st, 1));
	size_t n = (size_t)sqlite3_column_bytes(st, 0);
	return n ? trib_tip_parse(trib_span(sqlite3_column_blob(st, 0), n), &one->tip, err) : 0;
}

int trib_tips_get(struct trib_tips *t, sqlite3 *db, const char *node, struct trib_city_tip **ret, struct trib_err *err)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->all[i]->node, node) == 0) {
			*ret = t->all[i];
			return 0;
		}
	if (t->n == TRIB_TIPS_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "a batch of more than %d histories", TRIB_TIPS_MAX);
	struct trib_city_tip *one = calloc(1, sizeof(*one));
	if (!one)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	(void)snprintf(one->node, sizeof(one->node), "%s", node);
	if (load(db, one, err)) {
		free(one);
		return trib_ctx(err, "where %s stands in the city", node);
	}
	*ret = t->all[t->n++] = one;
	return 0;
}

static int save(sqlite3 *db, sqlite3_stmt *tip, sqlite3_stmt *digest, const char *app, const struct trib_city_tip *one, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf bytes = TRIB_BUF(2 * TRIB_LANES_MAX + TRIB_MIB);
	uint8_t sum[TRIB_SHA256_LEN];
	if (one->tip.exists)
		trib_tip_put(&bytes, &one->tip);
	if (trib_buf_check(&bytes, "tip", err))
		return -1;
	sqlite3_reset(tip);
	sqlite3_bind_text(tip, 1, one->node, -1, SQLITE_STATIC);
	sqlite3_bind_blob(tip, 2, bytes.len ? (const void *)bytes.p : "", (int)bytes.len, SQLITE_STATIC);
	if (one->stopped[0])
		sqlite3_bind_text(tip, 3, one->stopped, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(tip, 3);
	int rc = trib_db_step(db, tip, err);
	if (rc < 0 || !one->merged)
		return rc < 0 ? -1 : 0;
	trib_digest_overall(&one->tip.lanes, app, sum);
	sqlite3_reset(digest);
	sqlite3_bind_text(digest, 1, one->node, -1, SQLITE_STATIC);
	sqlite3_bind_blob(digest, 2, sum, sizeof(sum), SQLITE_STATIC);
	return trib_db_step(db, digest, err) < 0 ? -1 : 0;
}

int trib_tips_flush(struct trib_tips *t, sqlite3 *db, const char *app, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *tip = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *digest = NULL;
	if (trib_db_prepare(db,
			    "INSERT INTO _t_history(node, tip, out_of_step) VALUES(?1,?2,?3) ON CONFLICT(node) DO UPDATE SET tip = excluded.tip, out_of_step = excluded.out_of_step",
			    &tip, err) ||
	    trib_db_prepare(db, "INSERT INTO _t_digest(node, digest) VALUES(?1,?2) ON CONFLICT(node) DO UPDATE SET digest = excluded.digest", &digest, err))
		return -1;
	for (size_t i = 0; i < t->n; i++)
		if (t->all[i]->moved && save(db, tip, digest, app, t->all[i], err))
			return -1;
	trib_tips_drop(t);
	return 0;
}
