/* keeper_fold.c: housekeeping in the histories when the hub is idle: many small packs and files become few (core/store/fold.h). */
#include <limits.h>

#include "core/base/log.h"
#include "core/store/fold.h"
#include "hub/keeper.h"

void trib_keeper_fold_again(struct trib_keeper_fold *f)
{
	f->again = f->running;
	f->running = true;
}

int trib_keeper_fold_ms(const struct trib_keeper_fold *f) { return f->running ? TRIB_FOLD_IDLE_MS : INT_MAX; }

/* Whoever copies the histories holds the lock meanwhile (docs/OPERATIONS.md, Backup). */
static int fold(const struct trib_hub *hub, const char *path, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *lock = trib_hub_path(hub, "run/fold.lock");
	__attribute__((cleanup(trib_lock_cleanup))) struct trib_lock held = TRIB_LOCK_INIT;
	struct trib_fold done;
	if (!lock)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_lock_take(&held, lock, 0, err) || trib_repo_fold(path, &done, err))
		return -1;
	if (done.objects)
		trib_log(TRIB_LOG_INFO, "%s: %zu packs and %zu loose objects are now one pack", path, done.packs, done.loose);
	return 0;
}

/* The next history after the last one looked at; then the city's own. */
static char *next(const struct trib_hubdb *h, struct trib_keeper_fold *f, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(h->db, "SELECT node, app FROM node WHERE (node, app) > (?1, ?2) ORDER BY node, app LIMIT 1", &st, err))
		return NULL;
	sqlite3_bind_text(st, 1, f->node, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(st, 2, f->app, -1, SQLITE_TRANSIENT);
	int row = trib_db_step(h->db, st, err);
	if (row < 0)
		return NULL;
	(void)snprintf(f->node, sizeof(f->node), "%s", row ? (const char *)sqlite3_column_text(st, 0) : "");
	(void)snprintf(f->app, sizeof(f->app), "%s", row ? (const char *)sqlite3_column_text(st, 1) : "");
	if (!row) { /* once around */
		f->running = f->again;
		f->again = false;
	}
	char *path = row ? trib_hub_repo_path(h->hub, f->node, f->app) : trib_hub_path(h->hub, "city.git");
	if (!path)
		(void)trib_fail(err, TRIB_E_NOMEM, "out of memory");
	return path;
}

void trib_keeper_fold_turn(const struct trib_hubdb *h, struct trib_keeper_fold *f)
{
	struct trib_err err;
	TRIB_AUTO(trib_mem) char *path = next(h, f, &err);
	if (!path)
		f->running = false;
	/* Nothing depends on it: the next round tries again, and what is damaged the audit names. */
	if (!path || (fold(h->hub, path, &err) && err.code != TRIB_E_LOCKED))
		trib_log(TRIB_LOG_WARN, "%s; nothing was removed; try: tributary-hub audit", err.msg);
}
