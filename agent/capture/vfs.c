#include "agent/capture/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define WINDOW (256 * TRIB_KIB)

int trib_base_open(const struct trib_state *s, struct trib_base *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "baseline");
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	TRIB_AUTO(trib_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT) {
		*ret = (struct trib_base){.fd = -1};
		return 0;
	}
	if (fd < 0)
		return trib_fail_errno(err, "opening %s", path);
	struct stat st;
	uint8_t head[100];
	if (fstat(fd, &st))
		return trib_fail_errno(err, "reading %s", path);
	if (st.st_size < (off_t)sizeof(head) || trib_fs_pread_all(fd, head, sizeof(head), 0, err))
		return trib_fail(err, TRIB_E_VERIFY, "%s is too short to be a database; the history in repo.git is safe", path);
	uint32_t size = (uint32_t)trib_be16(head + 16);
	size = size == 1 ? 65536 : size;
	if (size < 512 || size & (size - 1) || st.st_size % size || st.st_size / size > UINT32_MAX)
		return trib_fail(err, TRIB_E_VERIFY, "%s is damaged (page size %u, %lld bytes); the history in repo.git is safe", path,
				 size, (long long)st.st_size);
	*ret = (struct trib_base){.fd = fd, .page_size = size, .page_count = (uint32_t)(st.st_size / size)};
	fd = -1;
	return 0;
}

/* ---- methods that do nothing, for files that exist only as a view ---- */

struct view {
	sqlite3_file file; /* first: SQLite's base class */
	struct trib_sink *sink;
	struct trib_overlay *overlay;
};

static int none_int(sqlite3_file *f, int x) { (void)f; (void)x; return SQLITE_OK; }
static int none_size(sqlite3_file *f, sqlite3_int64 x) { (void)f; (void)x; return SQLITE_OK; }
static int no_reserved(sqlite3_file *f, int *ret) { (void)f; *ret = 0; return SQLITE_OK; }
static int sector(sqlite3_file *f) { (void)f; return 4096; }
static int no_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	(void)f; (void)p; (void)n; (void)at;
	return SQLITE_READONLY;
}

/* ---- sink ---- */

void trib_sink_release(struct trib_sink *k)
{
	free(k->place);
	free(k->window);
	k->place = NULL;
	k->window = NULL;
	k->nplace = 0;
}

static int sink_fail(struct trib_sink *k)
{
	k->failed = true;
	return k->err.code == TRIB_E_NO_SPACE ? SQLITE_FULL : SQLITE_IOERR_WRITE;
}

/* The baseline's page, through the read-ahead window; NULL when it cannot be read (k->err). */
static const uint8_t *base_page(struct trib_sink *k, uint32_t pgno)
{
	uint64_t at = (uint64_t)(pgno - 1) * k->page_size, all = (uint64_t)k->base->page_count * k->page_size;
	if (!k->window && !(k->window = malloc(WINDOW))) {
		trib_fail(&k->err, TRIB_E_NOMEM, "out of memory");
		return NULL;
	}
	if (at < k->window_at || at + k->page_size > k->window_at + k->window_len) {
		size_t n = all - at < WINDOW ? (size_t)(all - at) : WINDOW;
		k->window_len = 0;
		if (trib_fs_pread_all(k->base->fd, k->window, n, (off_t)at, &k->err))
			return NULL;
		k->window_at = at;
		k->window_len = n;
	}
	return k->window + (at - k->window_at);
}

bool trib_same_page(uint32_t pgno, const uint8_t *a, const uint8_t *b, size_t n)
{
	if (pgno != 1)
		return memcmp(a, b, n) == 0;
	return memcmp(a, b, 18) == 0 && memcmp(a + 20, b + 20, 4) == 0 && memcmp(a + 28, b + 28, 12) == 0 &&
	       memcmp(a + 44, b + 44, 48) == 0 && memcmp(a + 100, b + 100, n - 100) == 0;
}

static int sink_room(struct trib_sink *k, uint32_t pgno)
{
	if (pgno < k->nplace)
		return 0;
	size_t want = k->nplace ? k->nplace * 2 : 1024, bytes;
	if (want <= pgno)
		want = (size_t)pgno + 1;
	uint64_t *p = trib_mul_overflow(want, sizeof(*p), &bytes) ? NULL : realloc(k->place, bytes);
	if (!p)
		return trib_fail(&k->err, TRIB_E_NOMEM, "out of memory");
	memset(p + k->nplace, 0, (want - k->nplace) * sizeof(*p));
	k->place = p;
	k->nplace = want;
	return 0;
}

static int sink_keep(struct trib_sink *k, uint32_t pgno, const void *page)
{
	uint8_t head[TRIB_SLOT_HEAD] = {0};
	trib_put_be32(head, pgno);
	if (k->place[pgno] > 1)
		return trib_fs_pwrite_all(k->fd, page, k->page_size, (off_t)k->place[pgno], &k->err);
	if (trib_fs_pwrite_all(k->fd, head, sizeof(head), (off_t)k->end, &k->err) ||
	    trib_fs_pwrite_all(k->fd, page, k->page_size, (off_t)k->end + TRIB_SLOT_HEAD, &k->err))
		return -1;
	k->place[pgno] = k->end + TRIB_SLOT_HEAD;
	k->end += TRIB_SLOT_HEAD + k->page_size;
	return 0;
}

/* A page that became equal again leaves its slot behind, marked unused by page number 0. */
static int sink_drop(struct trib_sink *k, uint32_t pgno)
{
	static const uint8_t unused[TRIB_SLOT_HEAD];
	uint64_t at = k->place[pgno];
	k->place[pgno] = 1;
	if (at <= 1)
		return 0;
	return trib_fs_pwrite_all(k->fd, unused, sizeof(unused), (off_t)at - TRIB_SLOT_HEAD, &k->err);
}

static int sink_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
	struct trib_sink *k = ((struct view *)f)->sink;
	if (!k || k->failed)
		return SQLITE_IOERR_WRITE;
	if (!k->page_size && n >= 512 && n <= 65536 && !(n & (n - 1)))
		k->page_size = (uint32_t)n;
	if ((uint32_t)n != k->page_size || at % n || at / n >= UINT32_MAX) {
		trib_fail(&k->err, TRIB_E_DB, "the copy wrote %d bytes at %lld, not a page", n, (long long)at);
		return sink_fail(k);
	}
	uint32_t pgno = (uint32_t)(at / n) + 1;
	if (sink_room(k, pgno))
		return sink_fail(k);
	if (k->base->page_size == k->page_size && pgno <= k->base->page_count) {
		const uint8_t *was = base_page(k, pgno);
		if (!was)
			return sink_fail(k);
		if (trib_same_page(pgno, was, p, (size_t)n))
			return sink_drop(k, pgno) ? sink_fail(k) : SQLITE_OK;
	}
	return sink_keep(k, pgno, p) ? sink_fail(k) : SQLITE_OK;
}

/* SQLite's cache may have spilled a page and ask for it again. */
static int sink_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	struct trib_sink *k = ((struct view *)f)->sink;
	memset(p, 0, (size_t)n);
	if (!k || !k->page_size || at < 0)
		return SQLITE_IOERR_SHORT_READ;
	uint64_t pgno = (uint64_t)at / k->page_size + 1, in = (uint64_t)at % k->page_size;
	if (pgno >= k->nplace || !k->place[pgno] || in + (uint64_t)n > k->page_size)
		return SQLITE_IOERR_SHORT_READ;
	struct trib_err err;
	int fd = k->place[pgno] > 1 ? k->fd : k->base->fd;
	uint64_t from = k->place[pgno] > 1 ? k->place[pgno] : (pgno - 1) * k->page_size;
	return trib_fs_pread_all(fd, p, (size_t)n, (off_t)(from + in), &err) ? SQLITE_IOERR_READ : SQLITE_OK;
}

static int sink_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	struct trib_sink *k = ((struct view *)f)->sink;
	size_t last = k ? k->nplace : 0;
	while (last > 1 && !k->place[last - 1])
		last--;
	*ret = last > 1 ? (sqlite3_int64)(last - 1) * k->page_size : 0;
	return SQLITE_OK;
}

static int sink_truncate(sqlite3_file *f, sqlite3_int64 size)
{
	struct trib_sink *k = ((struct view *)f)->sink;
	if (!k || !k->page_size)
		return SQLITE_OK;
	for (size_t i = (size_t)size / k->page_size + 1; i < k->nplace; i++) {
		if (k->place[i] && sink_drop(k, (uint32_t)i))
			return sink_fail(k);
		k->place[i] = 0;
	}
	return SQLITE_OK;
}

static int sink_control(sqlite3_file *f, int op, void *arg)
{
	if (op != TRIB_FCNTL_SINK)
		return SQLITE_NOTFOUND;
	((struct view *)f)->sink = arg;
	return SQLITE_OK;
}

static int sink_close(sqlite3_file *f)
{
	((struct view *)f)->sink = NULL;
	return SQLITE_OK;
}

static int sink_traits(sqlite3_file *f) { (void)f; return 0; }

static const sqlite3_io_methods sink_methods = {
	.iVersion = 1, .xClose = sink_close, .xRead = sink_read, .xWrite = sink_write, .xTruncate = sink_truncate,
	.xSync = none_int, .xFileSize = sink_size, .xLock = none_int, .xUnlock = none_int, .xCheckReservedLock = no_reserved,
	.xFileControl = sink_control, .xSectorSize = sector, .xDeviceCharacteristics = sink_traits,
};

/* ---- overlay ---- */

static bool find_kept(const struct trib_delta *d, uint32_t pgno, uint32_t *ret)
{
	uint32_t lo = 0, hi = d ? d->nchanged : 0;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		if (d->pgno[mid] < pgno)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!d || lo == d->nchanged || d->pgno[lo] != pgno)
		return false;
	*ret = lo;
	return true;
}

/* A database as a plain file: rollback format (no -wal is looked for) and a size field that SQLite believes. */
static void patch_header(uint8_t *page, uint32_t page_count)
{
	page[18] = page[19] = 1;
	trib_put_be32(page + 28, page_count);
	memcpy(page + 92, page + 24, 4);
}

static int overlay_bytes(const struct trib_overlay *o, uint32_t pgno, size_t in, size_t n, uint8_t *p)
{
	struct trib_err err;
	uint32_t kept;
	if (find_kept(o->delta, pgno, &kept))
		return trib_kept_read(o->delta, kept, in, n, p, &err) ? SQLITE_IOERR_READ : SQLITE_OK;
	if (o->base.page_size == o->page_size && pgno <= o->base.page_count)
		return trib_fs_pread_all(o->base.fd, p, n, (off_t)((uint64_t)(pgno - 1) * o->page_size + in), &err) ? SQLITE_IOERR_READ : SQLITE_OK;
	if ((uint64_t)(pgno - 1) * o->page_size > TRIB_LOCK_BYTE_AT || (uint64_t)pgno * o->page_size <= TRIB_LOCK_BYTE_AT)
		return SQLITE_IOERR_READ;
	memset(p, 0, n);
	return SQLITE_OK;
}

/* n bytes at `in` of one page. */
static int overlay_part(const struct trib_overlay *o, uint32_t pgno, size_t in, size_t n, uint8_t *p)
{
	uint8_t head[100];
	int rc = overlay_bytes(o, pgno, in, n, p);
	if (rc || pgno != 1 || in >= sizeof(head))
		return rc;
	if ((rc = overlay_bytes(o, pgno, 0, sizeof(head), head)))
		return rc;
	patch_header(head, o->page_count);
	memcpy(p, head + in, n < sizeof(head) - in ? n : sizeof(head) - in);
	return SQLITE_OK;
}

static int overlay_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
	const struct trib_overlay *o = ((struct view *)f)->overlay;
	uint8_t *to = p;
	size_t left = n > 0 ? (size_t)n : 0;
	uint64_t size = o ? (uint64_t)o->page_size * o->page_count : 0, pos = (uint64_t)at;
	while (left && pos < size) {
		size_t in = (size_t)(pos % o->page_size), part = o->page_size - in;
		if (part > left)
			part = left;
		int rc = overlay_part(o, (uint32_t)(pos / o->page_size) + 1, in, part, to);
		if (rc)
			return rc;
		to += part;
		pos += part;
		left -= part;
	}
	memset(to, 0, left);
	return left ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
}

static int overlay_size(sqlite3_file *f, sqlite3_int64 *ret)
{
	const struct trib_overlay *o = ((struct view *)f)->overlay;
	*ret = o ? (sqlite3_int64)o->page_size * o->page_count : 0;
	return SQLITE_OK;
}

static int overlay_control(sqlite3_file *f, int op, void *arg)
{
	if (op != TRIB_FCNTL_OVERLAY)
		return SQLITE_NOTFOUND;
	((struct view *)f)->overlay = arg;
	return SQLITE_OK;
}

static int overlay_close(sqlite3_file *f)
{
	struct view *v = (struct view *)f;
	if (v->overlay) {
		trib_base_cleanup(&v->overlay->base);
		free(v->overlay);
		v->overlay = NULL;
	}
	return SQLITE_OK;
}

/* Not SQLITE_IOCAP_IMMUTABLE: that would freeze the size before the context arrives. Nothing ever locks or changes it anyway. */
static int overlay_traits(sqlite3_file *f) { (void)f; return 0; }

static const sqlite3_io_methods overlay_methods = {
	.iVersion = 1, .xClose = overlay_close, .xRead = overlay_read, .xWrite = no_write, .xTruncate = none_size,
	.xSync = none_int, .xFileSize = overlay_size, .xLock = none_int, .xUnlock = none_int, .xCheckReservedLock = no_reserved,
	.xFileControl = overlay_control, .xSectorSize = sector, .xDeviceCharacteristics = overlay_traits,
};

/* ---- the VFS objects ---- */

static sqlite3_vfs *base_vfs(sqlite3_vfs *v) { return v->pAppData; }

static int view_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *ret_flags,
		     const sqlite3_io_methods *methods)
{
	if (!name) /* sorter and temporary files go to the system */
		return base_vfs(v)->xOpen(base_vfs(v), name, f, flags, ret_flags);
	f->pMethods = NULL;
	if (!(flags & SQLITE_OPEN_MAIN_DB))
		return SQLITE_CANTOPEN;
	struct view *w = (struct view *)f;
	*w = (struct view){.file.pMethods = methods};
	if (ret_flags)
		*ret_flags = flags;
	return SQLITE_OK;
}

static int sink_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
	return view_open(v, name, f, flags, ret_flags, &sink_methods);
}

static int overlay_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
	return view_open(v, name, f, flags, ret_flags, &overlay_methods);
}

static int view_delete(sqlite3_vfs *v, const char *name, int sync)
{
	(void)v; (void)name; (void)sync;
	return SQLITE_OK;
}

/* There is no journal and no -wal beside a view. */
static int view_access(sqlite3_vfs *v, const char *name, int flags, int *ret)
{
	(void)v; (void)name; (void)flags;
	*ret = 0;
	return SQLITE_OK;
}

static int view_path(sqlite3_vfs *v, const char *name, int size, char *ret)
{
	(void)v;
	sqlite3_snprintf(size, ret, "%s", name);
	return SQLITE_OK;
}

static int view_random(sqlite3_vfs *v, int n, char *p) { return base_vfs(v)->xRandomness(base_vfs(v), n, p); }
static int view_sleep(sqlite3_vfs *v, int us) { return base_vfs(v)->xSleep(base_vfs(v), us); }
static int view_time(sqlite3_vfs *v, double *t) { return base_vfs(v)->xCurrentTime(base_vfs(v), t); }
static int view_error(sqlite3_vfs *v, int n, char *p) { (void)v; (void)n; (void)p; return 0; }

/* A -wal is opened only when it and its -shm are there already. The caller holds SHARED on the database then, so no other
 * connection can be deleting them: a read-only open that finds none would create both and leave them behind. */
static int source_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
	(void)v;
	sqlite3_vfs *sys = sqlite3_vfs_find("unix");
	if (name && flags & SQLITE_OPEN_WAL) {
		size_t n = strlen(name);
		TRIB_AUTO(trib_mem) char *shm = strdup(name);
		f->pMethods = NULL;
		if (!shm || n < 4 || strcmp(shm + n - 4, "-wal") != 0)
			return SQLITE_CANTOPEN;
		memcpy(shm + n - 4, "-shm", 4);
		if (!trib_fs_exists(name) || !trib_fs_exists(shm))
			return SQLITE_CANTOPEN;
		flags &= ~SQLITE_OPEN_CREATE;
	}
	return sys->xOpen(sys, name, f, flags, ret_flags);
}

static int source_delete(sqlite3_vfs *v, const char *name, int sync)
{
	(void)v; (void)name; (void)sync;
	return SQLITE_READONLY;
}

static int add_view(const char *name, sqlite3_vfs *sys,
		    int (*open_fn)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *), struct trib_err *err)
{
	if (sqlite3_vfs_find(name))
		return 0;
	sqlite3_vfs *v = calloc(1, sizeof(*v)); /* lives as long as the process: SQLite keeps the pointer */
	if (!v)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	*v = (sqlite3_vfs){
		.iVersion = 1, .szOsFile = sys->szOsFile > (int)sizeof(struct view) ? sys->szOsFile : (int)sizeof(struct view),
		.mxPathname = sys->mxPathname, .zName = name, .pAppData = sys, .xOpen = open_fn, .xDelete = view_delete,
		.xAccess = view_access, .xFullPathname = view_path, .xRandomness = view_random, .xSleep = view_sleep,
		.xCurrentTime = view_time, .xGetLastError = view_error,
	};
	if (sqlite3_vfs_register(v, 0)) {
		free(v);
		return trib_fail(err, TRIB_E_DB, "SQLite refused the VFS %s", name);
	}
	return 0;
}

static int add_source(sqlite3_vfs *sys, struct trib_err *err)
{
	if (sqlite3_vfs_find(TRIB_VFS_SOURCE))
		return 0;
	sqlite3_vfs *v = malloc(sizeof(*v));
	if (!v)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	*v = *sys;
	v->pNext = NULL;
	v->zName = TRIB_VFS_SOURCE;
	v->xOpen = source_open;
	v->xDelete = source_delete;
	if (sqlite3_vfs_register(v, 0)) {
		free(v);
		return trib_fail(err, TRIB_E_DB, "SQLite refused the VFS %s", TRIB_VFS_SOURCE);
	}
	return 0;
}

int trib_capture_vfs_register(struct trib_err *err)
{
	if (sqlite3_initialize())
		return trib_fail(err, TRIB_E_DB, "SQLite could not start");
	sqlite3_vfs *sys = sqlite3_vfs_find("unix");
	if (!sys)
		return trib_fail(err, TRIB_E_DB, "SQLite has no VFS named unix");
	if (add_source(sys, err) || add_view(TRIB_VFS_SINK, sys, sink_open, err))
		return -1;
	return add_view(TRIB_VFS_OVERLAY, sys, overlay_open, err);
}
