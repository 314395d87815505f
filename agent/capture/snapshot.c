#include <errno.h>
#include <fcntl.h>
#include <sys/vfs.h>
#include <time.h>

#include "agent/capture/kept.h"
#include "agent/capture/raw.h"
#include "agent/capture/rows.h"
#include "core/base/clock.h"
#include "core/base/i18n.h"

#define TRIES 20          /* of a read that was overtaken by a writer, when no time is left for more */
#define PATIENCE_MS 20000 /* waiting for a pause of the program; less than another run waits for this one (TRIB_LOCK_WAIT_MS) */
#define RESIDENT_MS 500   /* the same for `watch`, which looks again soon */
#define PAUSE_MS 10

void trib_delta_release(struct trib_delta *d)
{
	if (d->path) {
		trib_fd_cleanup(&d->fd);
		(void)unlink(d->path); /* not committed: nothing needs it */
	}
	free(d->path);
	trib_kept_forget(d);
	*d = (struct trib_delta){.fd = -1};
}

static void pause_ms(int64_t ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	nanosleep(&ts, NULL);
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
		return trib_damaged(err, trib_span_str(sqlite3_errstr(rc)));
	if ((rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED)
		return trib_fail(err, TRIB_E_LOCKED, _("a program holds it locked; nothing was changed; try again later"));
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
	d->page_count = d->nread = pages;
	return 0;
}

static int backup(struct trib_source *src, const struct trib_base *base, struct trib_delta *d, struct trib_err *err)
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

/* ---- which way ---- */

struct look {
	struct trib_state *s;
	const struct trib_base *base;
	const struct trib_snapshot_opts *opts;
	int64_t locked_after; /* no scan without a lock begins later */
};

bool trib_fs_type_is_near(uint32_t type)
{
	static const uint32_t far[] = {0x6969 /* NFS */, 0x517b /* SMB */, 0xff534d42 /* CIFS */, 0xfe534d42 /* SMB2 */, 0x65735546 /* FUSE */,
				       0x01021997 /* 9P */, 0x00c36400 /* Ceph */, 0x5346414f /* AFS */};
	for (size_t i = 0; i < TRIB_COUNT(far); i++)
		if (type == far[i])
			return false;
	return true;
}

static bool times_are_true(const char *path)
{
	struct statfs fs;
	return !statfs(path, &fs) && trib_fs_type_is_near((uint32_t)fs.f_type);
}

static enum trib_way choose(const struct look *l, const struct trib_source *src, const struct trib_mark *m)
{
	if (l->opts->way != TRIB_WAY_AUTO)
		return l->opts->way;
	if (src->wal)
		return TRIB_WAY_WAL;
	if (src->immutable)
		return TRIB_WAY_OPTIMISTIC; /* a lock would not keep writers out */
	if (!m->set || !times_are_true(src->path) || trib_mono_ms() >= l->locked_after)
		return TRIB_WAY_LOCKED;
	return TRIB_WAY_OPTIMISTIC;
}

static bool fits(enum trib_way way, const struct trib_source *src)
{
	return way == TRIB_WAY_WAL ? src->wal : way == TRIB_WAY_BACKUP || (!src->wal && (way == TRIB_WAY_OPTIMISTIC || !src->immutable));
}

/* A way that SQLite does not grant here is replaced by the backup API; only when the caller left the choice. */
static int read_by(const struct look *l, enum trib_way way, struct trib_source *src, const struct trib_walhdr *h, struct trib_delta *d,
		   enum trib_raw_end *ret, struct trib_err *err)
{
	static const char *const words[] = {[TRIB_WAY_WAL] = "wal-raw", [TRIB_WAY_OPTIMISTIC] = "optimistic", [TRIB_WAY_LOCKED] = "locked",
					    [TRIB_WAY_BACKUP] = "backup"};
	int rc = 0;
	*ret = TRIB_RAW_REFUSED;
	if (way == TRIB_WAY_WAL && h && l->opts->known) {
		rc = trib_raw_wal_list(src, h, &l->opts->known->listed, l->base, d, ret, err);
		d->way = "wal-list";
		if (rc || *ret == TRIB_RAW_DONE)
			return rc;
	}
	if (way == TRIB_WAY_WAL && h)
		rc = trib_raw_wal(src, h, l->base, d, ret, err);
	else if (way == TRIB_WAY_OPTIMISTIC)
		rc = trib_raw_optimistic(src, &d->mark, l->base, d, ret, err);
	else if (way == TRIB_WAY_LOCKED)
		rc = trib_raw_locked(src, l->base, d, ret, err);
	if (rc || *ret == TRIB_RAW_MOVED)
		return rc;
	if (*ret == TRIB_RAW_REFUSED) {
		if (l->opts->way != TRIB_WAY_AUTO && way != TRIB_WAY_BACKUP)
			return trib_fail(err, TRIB_E_USAGE, "it cannot be read by the way %s", words[way]);
		way = TRIB_WAY_BACKUP;
		trib_kept_forget(d);
		rc = backup(src, l->base, d, err);
		*ret = TRIB_RAW_DONE;
	}
	d->way = words[way];
	return rc;
}

/* One attempt. *ret is MOVED when a writer was faster. */
static int attempt(struct look *l, struct trib_source *src, struct trib_delta *d, enum trib_raw_end *ret, struct trib_err *err)
{
	struct trib_walhdr h;
	enum trib_raw_end pinned = TRIB_RAW_REFUSED;
	struct trib_mark mark;
	if (src->wal && trib_raw_wal_pin(src, &h, &pinned, err))
		return -1;
	bool has_hdr = pinned == TRIB_RAW_DONE;
	trib_source_mark(src, has_hdr ? h.salts : NULL, has_hdr ? h.frames : 0, &mark);
	mark.set = mark.set && (has_hdr || !src->wal); /* a -wal that cannot be told apart has no mark */
	if (has_hdr) {
		memcpy(mark.sums, h.sums, sizeof(mark.sums));
		mark.backfill = h.backfill;
	}
	*ret = TRIB_RAW_DONE;
	if (l->opts->known && l->base->fd >= 0 && trib_mark_same(&l->opts->known->mark, &mark)) {
		trib_source_pause(src); /* no lock while the file goes */
		trib_delta_release(d);
		*d = (struct trib_delta){.fd = -1, .page_size = l->base->page_size, .page_count = l->base->page_count, .base_page_size = l->base->page_size,
					 .base_page_count = l->base->page_count, .way = "skipped", .mark = mark};
		return 0;
	}
	enum trib_way way = choose(l, src, &mark);
	if (!fits(way, src))
		return trib_fail(err, TRIB_E_USAGE, "it cannot be read that way now");
	d->mark = mark;
	return read_by(l, way, src, has_hdr ? &h : NULL, d, ret, err);
}

int trib_snapshot_by(struct trib_state *s, const struct trib_snapshot_opts *opts, struct trib_delta *ret, uint64_t *ret_pages_read,
		     struct trib_err *err)
{
	static const struct trib_snapshot_opts any;
	TRIB_AUTO(trib_base) struct trib_base base = {.fd = -1};
	if (trib_capture_vfs_register(err) || trib_base_open(s, &base, err))
		return -1;
	int64_t start = trib_mono_ms();
	struct look l = {.s = s, .base = &base, .opts = opts ? opts : &any};
	l.locked_after = start + (l.opts->patience_ms ? l.opts->patience_ms : s->resident ? RESIDENT_MS : PATIENCE_MS);
	TRIB_AUTO(trib_mem) char *real = realpath(s->node.db_path, NULL); /* the -journal is beside the file that a link means */
	bool wait = real && l.opts->way == TRIB_WAY_AUTO && times_are_true(real);
	for (int i = 0, late = 0; late < TRIES; i++) {
		late += trib_mono_ms() >= l.locked_after || !wait;
		if (i > 0) /* programs often write in bursts */
			pause_ms(PAUSE_MS << (i < 5 ? i - 1 : 4));
		if (wait)
			trib_source_await_pause(real, l.locked_after);
		/* The pages file is made before the source is read, and goes after it: both may wait for the disk, and a lock must not. Nor is one held in the pause. */
		TRIB_AUTO(trib_delta) struct trib_delta d = {.fd = -1};
		TRIB_AUTO(trib_source) struct trib_source src = TRIB_SOURCE_INIT;
		enum trib_raw_end end;
		if (open_pages(s, &base, &d, err) || trib_source_open(s->node.db_path, TRIB_SOURCE_BUSY_MS, &src, err))
			return -1;
		int rc = attempt(&l, &src, &d, &end, err);
		if (trib_source_moved(&src) || (!rc && end == TRIB_RAW_MOVED))
			continue; /* also when it failed: a file in motion may look damaged */
		if (rc)
			return trib_ctx(err, _("database %s"), s->node.db_path);
		*ret = d;
		*ret_pages_read = d.path ? d.nread : 0;
		d = (struct trib_delta){.fd = -1};
		return 0;
	}
	return trib_fail(err, TRIB_E_LOCKED, _("database %s: written to again and again while it was read; nothing was changed; try again later"),
			 s->node.db_path);
}

int trib_snapshot(struct trib_state *s, struct trib_delta *ret, uint64_t *ret_pages_read, struct trib_err *err)
{
	return trib_snapshot_by(s, NULL, ret, ret_pages_read, err);
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
