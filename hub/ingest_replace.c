/* Replacements take their places: first all is written and durable, then what is damaged is moved away. */
#include <dirent.h>

#include "core/base/clock.h"
#include "core/store/db.h"
#include "core/store/packidx.h"
#include "core/store/unpack.h"
#include "hub/ingest_impl.h"

/* DIR/damaged/TIME/NODE/APP/SUB; not below quarantine/, which `serve` clears. */
static char *aside(struct ingest *g, const char *sub, struct trib_err *err)
{
	char when[TRIB_TIME_LEN + 1];
	if (!g->aside) {
		trib_time_text(when, trib_now());
		g->aside = trib_pathf("%s/damaged/%s/%s/%s", g->hub->dir, when, g->in->node, g->in->app);
	}
	char *dir = g->aside ? trib_path(g->aside, sub) : NULL;
	if (!dir) {
		(void)trib_fail(err, TRIB_E_NOMEM, "out of memory");
		return NULL;
	}
	if (trib_fs_mkdirs(dir, 0700, err) == 0)
		return dir;
	free(dir);
	return NULL;
}

int trib_ingest_set_aside(struct ingest *g, const char *repo, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *objects = trib_path(repo, "objects");
	TRIB_AUTO(trib_mem) char *to = NULL;
	size_t n = 0;
	struct trib_err bad;
	if (!objects)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_packs_check(objects, &bad) == 0)
		return 0;
	if (!(to = aside(g, "pack", err)) || trib_packs_set_aside(objects, to, &n, err))
		return -1;
	g->in->packs_moved += n;
	return 0;
}

/* trib_repo_write renames over a damaged loose file; a second link keeps it for whoever wants to know what happened to the disk. */
static int keep_loose(struct ingest *g, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err)
{
	char hex[TRIB_OID_HEX + 1];
	TRIB_AUTO(trib_mem) char *dir = aside(g, "loose", err);
	TRIB_AUTO(trib_mem) char *from = trib_ingest_loose(g->repo, oid);
	if (!dir)
		return -1;
	trib_hex(hex, oid, TRIB_OID_LEN);
	TRIB_AUTO(trib_mem) char *to = trib_path(dir, hex);
	if (!from || !to)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	return trib_fs_rename(from, to, err);
}

static int replace_one(struct ingest *g, const uint8_t oid[TRIB_OID_LEN], enum trib_obj type, enum ingest_state state, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_OBJECT_MAX);
	uint8_t got[TRIB_OID_LEN];
	int have = trib_ingest_take(g, oid, type, &b, err);
	if (have <= 0)
		return have < 0 ? -1 : trib_fail(err, TRIB_E_FAILED, "an object has left the quarantine");
	if (state == OBJ_BAD_LOOSE && keep_loose(g, oid, err))
		return -1;
	if (trib_repo_write(g->repo, type, trib_buf_span(&b), got, err))
		return -1;
	return memcmp(got, oid, sizeof(got)) == 0 ? 0 : trib_fail(err, TRIB_E_VERIFY, "an object of the bundle does not hash to its id");
}

static int replace_all(struct ingest *g, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(g->own, "SELECT oid, type, state FROM o WHERE state <> 0 AND known = 1", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(g->own, st, err)) > 0) {
		uint8_t oid[TRIB_OID_LEN];
		memcpy(oid, sqlite3_column_blob(st, 0), TRIB_OID_LEN);
		if (replace_one(g, oid, (enum trib_obj)sqlite3_column_int(st, 1), (enum ingest_state)sqlite3_column_int(st, 2), err))
			return -1;
	}
	trib_repo_refresh(g->repo);
	return row;
}

/* ---- a damaged pack: its good objects become loose ones, then it goes ---- */

static int unpack_one(struct ingest *g, struct trib_repo *fresh, const uint8_t oid[TRIB_OID_LEN], enum trib_obj type, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_OBJECT_MAX);
	TRIB_AUTO(trib_mem) char *to = trib_ingest_loose(g->repo, oid);
	TRIB_AUTO(trib_mem) char *from = trib_ingest_loose(fresh, oid);
	uint8_t got[TRIB_OID_LEN];
	if (!to || !from)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_fs_exists(to))
		return 0;
	if (trib_repo_read(g->repo, oid, type, trib_pack_type_max((unsigned)type), &b, err) || trib_repo_write(fresh, type, trib_buf_span(&b), got, err))
		return -1;
	TRIB_AUTO(trib_mem) char *dir = strdup(to);
	if (!dir)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	*strrchr(dir, '/') = '\0';
	return trib_fs_mkdirs(dir, 0700, err) || trib_fs_rename(from, to, err) ? -1 : 0;
}

static int move_packs(struct ingest *g, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *from = trib_pathf("%s/objects/pack", trib_repo_path(g->repo));
	TRIB_AUTO(trib_mem) char *to = aside(g, "pack", err);
	if (!to)
		return -1;
	DIR *d = from ? opendir(from) : NULL;
	if (!d)
		return trib_fail_errno(err, "opening the packs");
	int rc = 0;
	for (const struct dirent *e; !rc && (e = readdir(d));) {
		if (e->d_name[0] == '.')
			continue;
		TRIB_AUTO(trib_mem) char *a = trib_path(from, e->d_name);
		TRIB_AUTO(trib_mem) char *b = trib_path(to, e->d_name);
		size_t n = strlen(e->d_name);
		rc = a && b ? trib_fs_rename(a, b, err) : trib_fail(err, TRIB_E_NOMEM, "out of memory");
		g->in->packs_moved += !rc && n > 5 && strcmp(e->d_name + n - 5, ".pack") == 0;
	}
	closedir(d);
	return rc;
}

static int drop_packs(struct ingest *g, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_path(g->dir, "fresh.git");
	TRIB_AUTO(trib_repo) struct trib_repo *fresh = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_repo_create(path, &fresh, err) || trib_db_prepare(g->own, "SELECT oid, type FROM o WHERE state = 0 OR known", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(g->own, st, err)) > 0) {
		uint8_t oid[TRIB_OID_LEN];
		memcpy(oid, sqlite3_column_blob(st, 0), TRIB_OID_LEN);
		if (unpack_one(g, fresh, oid, (enum trib_obj)sqlite3_column_int(st, 1), err))
			return -1;
	}
	if (row < 0 || move_packs(g, err))
		return -1;
	trib_repo_refresh(g->repo);
	return 0;
}

int trib_ingest_replace(struct ingest *g, struct trib_err *err)
{
	int64_t packed;
	if (replace_all(g, err) || trib_db_int(g->own, "SELECT count(*) FROM o WHERE state = 3", 0, &packed, err))
		return trib_ctx(err, "putting the replacements in place");
	/* While anything is lost, a pack stays: the next bundle may need what is left of it. */
	if (packed && !g->in->lost && !g->down_lost && drop_packs(g, err))
		return trib_ctx(err, "moving the damaged pack away");
	return 0;
}
