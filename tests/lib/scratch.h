/* scratch.h: a scratch folder with an application's database and an agent's state folder beside it, for tests of capture.
 * Include after cmocka.h. Header only, so that tests of the hub do not link the agent. */
#ifndef TRIB_TEST_SCRATCH_H
#define TRIB_TEST_SCRATCH_H

#include <dirent.h>
#include <sys/stat.h>

#include "agent/capture/capture.h"
#include "core/trust/hash.h"

struct scratch {
	char dir[64];
	char db[96], state[96];
	struct trib_state s;
	sqlite3 *app; /* the application's own connection, or NULL */
};

#define OK(call) do { struct trib_err e_ = {0}; struct trib_err *err = &e_; if (call) fail_msg("%s:%d: %s", __FILE__, __LINE__, err->msg); } while (0)

TRIB_UNUSED static void sql_run(sqlite3 *db, const char *sql)
{
	char *msg = NULL;
	if (sqlite3_exec(db, sql, NULL, NULL, &msg))
		fail_msg("%s: %s", sql, msg ? msg : sqlite3_errmsg(db));
}

TRIB_UNUSED static sqlite3 *sql_open(const char *path)
{
	sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 2000);
	return db;
}

/* Where the table of the application begins. */
TRIB_UNUSED static uint32_t scratch_root_of(struct scratch *x, const char *table)
{
	sqlite3_stmt *st = NULL;
	assert_int_equal(sqlite3_prepare_v2(x->app, "SELECT rootpage FROM sqlite_schema WHERE name = ?1", -1, &st, NULL), 0);
	sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	uint32_t root = (uint32_t)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return root;
}

TRIB_UNUSED static void scratch_state(struct scratch *x, bool write)
{
	OK(trib_state_open(x->state, write, &x->s, err));
}

TRIB_UNUSED static void scratch_make(struct scratch *x)
{
	*x = (struct scratch){0};
	/* In memory where that is possible: these tests fsync thousands of times. */
	(void)snprintf(x->dir, sizeof(x->dir), "%s/trib-capture-XXXXXX", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
	assert_non_null(mkdtemp(x->dir));
	(void)snprintf(x->db, sizeof(x->db), "%s/app.db", x->dir);
	(void)snprintf(x->state, sizeof(x->state), "%s/state", x->dir);
	struct trib_node n = {.node = "520303002001", .app = "desk", .db_path = x->db};
	OK(trib_state_create(x->state, &n, 1764000000, err));
	scratch_state(x, true);
}

TRIB_UNUSED static void scratch_free(struct scratch *x)
{
	sqlite3_close(x->app);
	trib_state_close(&x->s);
	OK(trib_fs_remove_tree(x->dir, err));
}

/* A commit object that nothing judges: capture only needs a chain, and what `c` (or NULL) left out. */
TRIB_UNUSED static void scratch_commit_of(struct scratch *x, unsigned n, const struct trib_capture *c, uint8_t ret[TRIB_OID_LEN])
{
	uint8_t tree[TRIB_OID_LEN], zero[TRIB_SHA256_LEN] = {0};
	struct trib_manifest m = {.city = "-", .incarnation = 1, .seq = n, .part = 1, .parts = 1, .captured_at = 1764000000};
	struct trib_buf raw = TRIB_BUF(TRIB_COMMIT_MAX), text = TRIB_BUF(TRIB_MANIFEST_MAX);
	(void)snprintf(m.node, sizeof(m.node), "%s", x->s.node.node);
	(void)snprintf(m.app, sizeof(m.app), "%s", x->s.node.app);
	for (size_t i = 0; c && i < c->nleft_out; i++)
		OK(trib_manifest_add_left_out(&m, c->left_out[i].name, c->left_out[i].reason, c->left_out[i].count, err));
	trib_manifest_put(&text, &m);
	trib_manifest_release(&m);
	struct trib_blob_in blobs[2] = {{"manifest", trib_buf_span(&text)}};
	if (c && c->nparts)
		blobs[1] = (struct trib_blob_in){"schema.sql", trib_buf_span(&c->parts[c->nparts - 1].schema)};
	OK(trib_repo_write_tree(x->s.repo, blobs, c && c->nparts ? 2 : 1, tree, err));
	trib_commitraw_put(&raw, tree, x->s.tip.exists ? x->s.tip.oid : NULL, "n", "n/a@tributary", 1, "test", "", zero);
	OK(trib_repo_write(x->s.repo, TRIB_OBJ_COMMIT, trib_buf_span(&raw), ret, err));
	trib_buf_release(&raw);
	trib_buf_release(&text);
}

TRIB_UNUSED static void scratch_commit_object(struct scratch *x, unsigned n, uint8_t ret[TRIB_OID_LEN]) { scratch_commit_of(x, n, NULL, ret); }

/* The tip that a commit of `c` leads to: lanes advanced by every part. */
TRIB_UNUSED static void scratch_next_tip(struct scratch *x, const struct trib_capture *c, const uint8_t oid[TRIB_OID_LEN], struct trib_tip *ret)
{
	OK(trib_tip_copy(&x->s.tip, ret, err));
	struct trib_digester *d = trib_digester_new(x->s.salt, x->s.node.app);
	assert_non_null(d);
	for (size_t i = 0; c && i < c->nparts; i++) {
		struct trib_schematext st = {0};
		OK(trib_schematext_parse(trib_buf_span(&c->parts[i].schema), &st, err));
		if (c->parts[i].changeset.len)
			OK(trib_digest_changeset(d, &ret->lanes, &st, trib_buf_span(&c->parts[i].changeset), NULL, err));
		trib_schematext_release(&st);
	}
	trib_digester_free(d);
	ret->exists = true;
	ret->seq++;
	ret->part = ret->parts = 1;
	memcpy(ret->oid, oid, TRIB_OID_LEN);
}

/* Captures and commits; *ret_c is the caller's to release (its delta is spent). Returns whether anything changed. */
TRIB_UNUSED static bool scratch_commit(struct scratch *x, struct trib_capture *ret_c)
{
	uint8_t oid[TRIB_OID_LEN], was[TRIB_OID_LEN];
	struct trib_tip tip = {0};
	bool had = x->s.tip.exists;
	OK(trib_capture_run(&x->s, &trib_engine_full, ret_c, err));
	if (!ret_c->changed)
		return false;
	memcpy(was, x->s.tip.oid, sizeof(was));
	scratch_commit_of(x, (unsigned)x->s.tip.seq + 1, ret_c, oid);
	scratch_next_tip(x, ret_c, oid, &tip);
	OK(trib_pending_commit(&x->s, &ret_c->delta, had ? was : NULL, oid, &tip, err));
	OK(trib_pending_recover(&x->s, err));
	trib_tip_release(&tip);
	return true;
}

#endif
