/* keeper_refs.c: refs follow hub.db (D8.4): what a crash, a full disk or damage left behind is set again (keeper.h). */
#include <limits.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/store/repo.h"
#include "hub/keeper.h"

#define PAUSE_MS 60000 /* opening a repository hashes the index of each of its packs: one that stays damaged must not cost that at every turn */

/* `want`: of refs/heads/main and refs/heads/down, NULL for none. True: one could not be set, but may be later. */
static bool redo(const struct trib_hub *hub, const char *node, const char *app, const void *const want[2])
{
	static const char *const refs[] = {"refs/heads/main", "refs/heads/down"};
	TRIB_AUTO(trib_mem) char *path = trib_hub_repo_path(hub, node, app);
	TRIB_AUTO(trib_repo) struct trib_repo *repo = NULL;
	uint8_t now[TRIB_OID_LEN];
	struct trib_err err;
	bool behind = false;
	if (!path || !trib_fs_exists(path)) {
		trib_log(TRIB_LOG_ERROR, "the repository of %s/%s is missing; try: tributary-hub audit, then tributary-hub ingest", node, app);
		return false;
	}
	if (trib_repo_open(path, true, &repo, &err)) { /* one damaged repository does not keep the hub from serving the others */
		trib_log(TRIB_LOG_ERROR, "%s; try: tributary-hub audit, then tributary-hub ingest", err.msg);
		return false;
	}
	for (size_t i = 0; i < TRIB_COUNT(refs); i++) {
		if (!want[i] || (trib_repo_ref(repo, refs[i], now, &err) == 0 && memcmp(now, want[i], TRIB_OID_LEN) == 0))
			continue;
		if (trib_repo_ref_set(repo, refs[i], want[i], &err) == 0)
			continue;
		behind = true;
		trib_log(TRIB_LOG_ERROR, "setting %s of %s/%s again: %s; try: tributary-hub audit", refs[i], node, app, err.msg);
	}
	return behind;
}

static size_t find(const struct trib_keeper_refs *r, const char *node, const char *app)
{
	size_t i = 0;
	while (i < r->n && (strcmp(r->behind[i].node, node) != 0 || strcmp(r->behind[i].app, app) != 0))
		i++;
	return i;
}

void trib_keeper_refs_behind(struct trib_keeper_refs *r, const char *node, const char *app)
{
	if (find(r, node, app) < r->n)
		return;
	struct trib_ipc_history *grown = reallocarray(r->behind, r->n + 1, sizeof(*grown));
	if (!grown) {
		trib_log(TRIB_LOG_ERROR, "out of memory; refs of %s/%s are set again when the hub starts", node, app);
		return;
	}
	if (r->n == 0) { /* what has just failed would fail again now */
		r->at = trib_mono_ms() + PAUSE_MS;
		r->next = 0;
	}
	r->behind = grown;
	r->behind[r->n] = (struct trib_ipc_history){0};
	(void)snprintf(r->behind[r->n].node, sizeof(grown->node), "%s", node);
	(void)snprintf(r->behind[r->n].app, sizeof(grown->app), "%s", app);
	r->n++;
}

int trib_keeper_refs_start(struct trib_hubdb *h, struct trib_keeper_refs *r, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db, "SELECT node, app, oid, down_oid FROM history", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(h->db, st, err)) > 0) {
		const char *node = (const char *)sqlite3_column_text(st, 0), *app = (const char *)sqlite3_column_text(st, 1);
		const void *const want[2] = {sqlite3_column_blob(st, 2), sqlite3_column_blob(st, 3)};
		if (redo(h->hub, node, app, want))
			trib_keeper_refs_behind(r, node, app);
	}
	return row;
}

/* Tries the i-th of those behind again; what can be helped no more is forgotten here: the audit names it. */
static int again(struct trib_hubdb *h, struct trib_keeper_refs *r, size_t i, bool *ret_behind, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	const struct trib_ipc_history *one = &r->behind[i];
	if (trib_db_prepare(h->db, "SELECT oid, down_oid FROM history WHERE node = ? AND app = ?", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, one->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, one->app, -1, SQLITE_STATIC);
	int row = trib_db_step(h->db, st, err);
	if (row < 0)
		return -1;
	const void *const want[2] = {row ? sqlite3_column_blob(st, 0) : NULL, row ? sqlite3_column_blob(st, 1) : NULL};
	*ret_behind = row && redo(h->hub, one->node, one->app, want);
	if (!*ret_behind)
		r->behind[i] = r->behind[--r->n];
	return 0;
}

int trib_keeper_refs_now(struct trib_hubdb *h, struct trib_keeper_refs *r, const char *node, const char *app, struct trib_err *err)
{
	bool behind;
	size_t i = find(r, node, app);
	return i < r->n ? again(h, r, i, &behind, err) : 0;
}

int trib_keeper_refs_turn(struct trib_hubdb *h, struct trib_keeper_refs *r)
{
	struct trib_err err;
	bool behind = true;
	int64_t now = trib_mono_ms();
	if (r->n == 0)
		return INT_MAX;
	if (now < r->at)
		return (int)(r->at - now);
	if (r->next < r->n && again(h, r, r->next, &behind, &err))
		trib_log(TRIB_LOG_ERROR, "%s", err.msg);
	r->next += behind;
	if (r->next < r->n)
		return 0; /* one a round: workers are heard in between */
	r->next = 0;
	r->at = now + PAUSE_MS;
	return r->n ? PAUSE_MS : INT_MAX;
}
