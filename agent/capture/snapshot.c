#include <errno.h>
#include <fcntl.h>

#include "agent/capture/source.h"
#include "agent/capture/vfs.h"
#include "core/base/clock.h"

#define TRIES 20 /* of an immutable read that was overtaken by a writer */

void trib_delta_release(struct trib_delta *d)
{
	if (d->path) {
		trib_fd_cleanup(&d->fd);
		(void)unlink(d->path); /* not committed: nothing needs it */
	}
	free(d->path);
	free(d->pgno);
	free(d->offset);
	*d = (struct trib_delta){.fd = -1};
}

static int open_sink(struct trib_sink *k, sqlite3 **ret, struct trib_err *err)
{
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2("trib-sink", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, TRIB_VFS_SINK);
	if (!rc)
		rc = sqlite3_file_control(db, "main", TRIB_FCNTL_SINK, k);
	if (!rc)
		rc = sqlite3_exec(db, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA cache_size=-2000", NULL, NULL, NULL);
	if (rc) {
		trib_fail(err, TRIB_E_DB, "opening the copy: %s", sqlite3_errstr(rc));
		sqlite3_close(db);
		return -1;
	}
	*ret = db;
	return 0;
}

/* One step: with a busy writer, a backup in several steps starts over again and again and does not end. */
static int copy(sqlite3 *from, sqlite3 *to, struct trib_sink *k, uint32_t *ret_pages, struct trib_err *err)
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
	if (!b)
		return trib_fail(err, TRIB_E_DB, "copying: %s", sqlite3_errmsg(to));
	int rc = sqlite3_backup_step(b, -1);
	int pages = sqlite3_backup_pagecount(b);
	(void)sqlite3_backup_finish(b);
	if (k->failed) {
		*err = k->err;
		return trib_ctx(err, "copying");
	}
	if ((rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB)
		return trib_fail(err, TRIB_E_SCHEMA, "damaged: %s", sqlite3_errstr(rc));
	if ((rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED)
		return trib_fail(err, TRIB_E_LOCKED, "a program holds it locked; nothing was changed; try again later");
	if (rc != SQLITE_DONE)
		return trib_fail(err, TRIB_E_IO, "copying: %s", sqlite3_errstr(rc));
	*ret_pages = pages > 0 ? (uint32_t)pages : 1; /* an empty file becomes one empty page */
	return 0;
}

/* From the sink's places to the delta's rising arrays; every page must have come. */
static int collect(const struct trib_sink *k, uint32_t pages, struct trib_delta *d, struct trib_err *err)
{
	uint32_t lock_page = (uint32_t)(TRIB_LOCK_BYTE_AT / k->page_size) + 1, n = 0;
	for (uint32_t i = 1; i <= pages; i++) {
		if (i != lock_page && (i >= k->nplace || !k->place[i]))
			return trib_fail(err, TRIB_E_DB, "page %u of %u did not arrive in the copy", i, pages);
		n += i < k->nplace && k->place[i] > 1;
	}
	d->pgno = malloc((n + 1) * sizeof(*d->pgno));
	d->offset = malloc((n + 1) * sizeof(*d->offset));
	if (!d->pgno || !d->offset)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	for (uint32_t i = 1; i <= pages && i < k->nplace; i++) {
		if (k->place[i] <= 1)
			continue;
		d->pgno[d->nchanged] = i;
		d->offset[d->nchanged++] = k->place[i];
	}
	d->page_size = k->page_size;
	d->page_count = pages;
	return 0;
}

static int take(struct trib_source *src, const struct trib_base *base, struct trib_delta *d, struct trib_err *err)
{
	TRIB_AUTO(trib_sink) struct trib_sink k = {.base = base, .fd = d->fd, .end = TRIB_PENDING_HEAD};
	sqlite3 *to = NULL;
	uint32_t pages = 0;
	if (ftruncate(d->fd, 0) || ftruncate(d->fd, TRIB_PENDING_HEAD))
		return trib_fail_errno(err, "emptying %s", d->path);
	if (open_sink(&k, &to, err))
		return -1;
	int rc = copy(src->db, to, &k, &pages, err);
	sqlite3_close(to);
	if (!rc && k.failed) {
		*err = k.err;
		rc = -1;
	}
	return rc ? -1 : collect(&k, pages, d, err);
}

static int open_pages(const struct trib_state *s, const struct trib_base *base, struct trib_delta *d, struct trib_err *err)
{
	*d = (struct trib_delta){.fd = -1, .base_page_size = base->page_size, .base_page_count = base->page_count};
	d->path = trib_state_path(s, "pending.tmp");
	if (!d->path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	d->fd = open(d->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (d->fd < 0)
		return trib_fail_errno(err, "creating %s", d->path);
	return 0;
}

int trib_snapshot(struct trib_state *s, struct trib_delta *ret, uint64_t *ret_pages_read, struct trib_err *err)
{
	TRIB_AUTO(trib_base) struct trib_base base = {.fd = -1};
	if (trib_capture_vfs_register(err) || trib_base_open(s, &base, err))
		return -1;
	int64_t deadline = trib_mono_ms() + TRIB_SOURCE_BUSY_MS;
	for (int i = 0; i < TRIES && (i == 0 || trib_mono_ms() < deadline); i++) {
		TRIB_AUTO(trib_source) struct trib_source src = TRIB_SOURCE_INIT;
		TRIB_AUTO(trib_delta) struct trib_delta d = {.fd = -1};
		if (trib_source_open(s->node.db_path, TRIB_SOURCE_BUSY_MS, &src, err) || open_pages(s, &base, &d, err))
			return -1;
		int rc = take(&src, &base, &d, err);
		if (trib_source_moved(&src))
			continue; /* also when it failed: a file in motion may look damaged */
		if (rc)
			return trib_ctx(err, "database %s", s->node.db_path);
		*ret = d;
		*ret_pages_read = d.page_count;
		d = (struct trib_delta){.fd = -1};
		return 0;
	}
	return trib_fail(err, TRIB_E_LOCKED, "database %s: written to again and again while it was read; nothing was changed; try again later",
			 s->node.db_path);
}

static int open_overlay(struct trib_state *s, const struct trib_delta *d, sqlite3 **ret, struct trib_err *err)
{
	struct trib_overlay *o = calloc(1, sizeof(*o));
	sqlite3 *db = NULL;
	if (!o)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_capture_vfs_register(err) || trib_base_open(s, &o->base, err)) {
		free(o);
		return -1;
	}
	o->delta = d;
	o->page_size = d ? d->page_size : o->base.page_size;
	o->page_count = d ? d->page_count : o->base.page_count;
	int rc = sqlite3_open_v2("trib-overlay", &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, TRIB_VFS_OVERLAY);
	if (!rc)
		rc = sqlite3_file_control(db, "main", TRIB_FCNTL_OVERLAY, o);
	if (rc) {
		trib_fail(err, TRIB_E_DB, "opening the overlay: %s", sqlite3_errstr(rc));
		sqlite3_close(db);
		trib_base_cleanup(&o->base);
		free(o);
		return -1;
	}
	sqlite3_extended_result_codes(db, 1);
	/* SQLite looked at the file before it had its context: only a first read tells it page size and auto_vacuum. */
	if (trib_db_harden(db, err) || trib_db_exec(db, "PRAGMA main.schema_version", err)) {
		sqlite3_close(db);
		return -1;
	}
	*ret = db;
	return 0;
}

int trib_delta_open_old(struct trib_state *s, sqlite3 **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_base) struct trib_base base = {.fd = -1};
	if (trib_base_open(s, &base, err))
		return -1;
	if (base.fd >= 0)
		return open_overlay(s, NULL, ret, err);
	sqlite3 *db = NULL;
	if (sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL) || trib_db_harden(db, err)) {
		sqlite3_close(db);
		return trib_fail(err, TRIB_E_DB, "opening an empty database");
	}
	*ret = db;
	return 0;
}

int trib_delta_open_new(struct trib_state *s, const struct trib_delta *d, sqlite3 **ret, struct trib_err *err)
{
	return open_overlay(s, d, ret, err);
}
