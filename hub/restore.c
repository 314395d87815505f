#include "hub/restore.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "core/base/clock.h"
#include "core/base/i18n.h"

int trib_hub_held_leaf(struct trib_hubdb *db, const uint8_t oid[TRIB_OID_LEN], struct trib_leaf *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db->db, "SELECT l.bytes FROM held h JOIN leaf l ON l.idx = h.idx WHERE h.oid = ?", &st, err))
		return -1;
	sqlite3_bind_blob(st, 1, oid, TRIB_OID_LEN, SQLITE_STATIC);
	int row = trib_db_step(db->db, st, err);
	if (row < 0)
		return -1;
	if (!row)
		return trib_fail(err, TRIB_E_VERIFY, "the log holds no leaf for this commit");
	if (trib_leaf_parse(trib_span(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0)), ret, err))
		return trib_ctx(err, "log leaf");
	if (ret->kind != TRIB_LEAF_HELD || memcmp(ret->oid, oid, TRIB_OID_LEN) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "the log's leaf is about another commit");
	return 0;
}

/* Also sets the time at which the certificate must not have been revoked, and whose it must be. */
static int time_of(void *ctx, const uint8_t oid[TRIB_OID_LEN], int64_t *ret, struct trib_err *err)
{
	struct trib_hub_history *h = ctx;
	struct trib_leaf leaf;
	char hex[TRIB_OID_HEX + 1];
	trib_hex(hex, oid, TRIB_OID_LEN);
	if (trib_hub_held_leaf(h->db, oid, &leaf, err))
		return trib_ctx(err, "commit %.12s of %s", hex, h->node);
	h->gate.at = *ret = leaf.time;
	h->gate.incarnation = leaf.incarnation;
	return 0;
}

int trib_hub_history_open(struct trib_hubdb *db, const char *node, const char *app, struct trib_hub_history *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_repo_path(db->hub, node, app);
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	uint8_t tip[TRIB_OID_LEN];
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!trib_fs_exists(path))
		return trib_fail(err, TRIB_E_NOT_FOUND, "the hub holds no history of %s/%s; try: tributary-hub node list", node, app);
	if (trib_repo_open(path, false, &repo, err) || trib_repo_ref(repo, "refs/heads/main", tip, err))
		return trib_ctx(err, "opening the history of %s/%s", node, app);
	*ret = (struct trib_hub_history){.db = db, .repo = repo};
	repo = NULL;
	(void)snprintf(ret->node, sizeof(ret->node), "%s", node);
	(void)snprintf(ret->app, sizeof(ret->app), "%s", app);
	ret->gate = (struct trib_cert_gate){.db = db, .node = ret->node, .app = ret->app};
	ret->h = (struct trib_history){.repo = ret->repo, .ref = "refs/heads/main", .time_of = time_of, .time_ctx = ret};
	ret->h.trust = (struct trib_trust){.city = db->hub->city, .node = ret->node, .app = ret->app, .root = db->hub->root, .incarnation = UINT64_MAX,
					   .cert_ok = trib_hubdb_cert_ok, .ctx = &ret->gate};
	return 0;
}

void trib_hub_history_release(struct trib_hub_history *h)
{
	trib_repo_free(h->repo);
	h->repo = NULL;
}

int trib_hub_restore(struct trib_hub_history *h, const uint8_t oid[TRIB_OID_LEN], const char *table, const char *to, bool force, struct trib_restored *ret,
		     struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *fresh = trib_pathf("%s.restored", to);
	if (!fresh)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_restore_target(to, force, h->db->hub->dir, err))
		return -1;
	bool over = trib_fs_exists(to);
	if ((over && trib_fs_remove(fresh, err)) || trib_replay_to_file(&h->h, oid, table, over ? fresh : to, ret, err))
		return -1;
	return over ? trib_fs_rename(fresh, to, err) : 0;
}

int trib_hub_restore_note(const struct trib_hub *hub, const struct trib_hub_history *h, const char *as_of, const char *table, const char *to,
			  const struct trib_restored *r, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(hub, "restores.log");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(64 * TRIB_KIB);
	char when[TRIB_TIME_LEN + 1];
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	trib_time_text(when, trib_now());
	trib_buf_printf(&b, "time %s uid %ld node %s app %s at ", when, (long)getuid(), h->node, h->app);
	trib_pct(&b, trib_span_str(as_of));
	trib_buf_puts(&b, " table ");
	trib_pct(&b, trib_span_str(table ? table : "*"));
	trib_buf_puts(&b, " to ");
	trib_pct(&b, trib_span_str(to));
	trib_buf_puts(&b, " digest ");
	if (r)
		trib_buf_hex(&b, r->digest, TRIB_SHA256_LEN);
	else
		trib_buf_puts(&b, "failed");
	trib_buf_putc(&b, '\n');
	TRIB_AUTO(trib_fd) int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (trib_buf_check(&b, "restores.log", err))
		return -1;
	if (fd < 0)
		return trib_fail_errno(err, "opening %s", path);
	if (trib_fs_write_all(fd, trib_buf_span(&b), err))
		return trib_ctx(err, "%s", path);
	if (fsync(fd))
		return trib_fail_errno(err, "fsync of %s", path);
	return 0;
}
