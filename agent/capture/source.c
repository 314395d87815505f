#include "agent/capture/source.h"

#include <errno.h>
#include <limits.h>

#include "agent/capture/vfs.h"
#include "core/base/clock.h"
#include "core/base/i18n.h"

#define PAUSE_MS 20
#define TICK_MS 20     /* longer than a tick of file times (4 or 10 ms) */
#define QUIET_MS 60    /* a program that was silent so long will mostly be so for as long as a reading takes; a tick or a full processor is shorter */
#define END_MS 30      /* a transaction that is not over by then is a long one, or has no -journal that comes and goes */
#define WHOLE_MS 2100  /* file systems that keep whole seconds (ext4 with small inodes), or even ones (FAT) */
#define CLOSING_MS 200 /* a program that is just closing removes -wal and -shm */

/* What a failed look asks for. */
enum again { NO, SOON, UNTIL_DEADLINE };

void trib_source_close(struct trib_source *s)
{
	sqlite3_close(s->db);
	free(s->path);
	*s = TRIB_SOURCE_INIT;
}

static bool side(const char *path, const char *suffix, off_t *ret_size)
{
	struct stat st;
	TRIB_AUTO(trib_mem) char *p = trib_pathf("%s%s", path, suffix);
	if (!p || stat(p, &st))
		return false;
	*ret_size = st.st_size;
	return true;
}

static void pause_ms(int64_t ms)
{
	struct timespec ts = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
	nanosleep(&ts, NULL);
}

sqlite3_file *trib_source_file(const struct trib_source *s)
{
	sqlite3_file *f = NULL;
	return sqlite3_file_control(s->db, "main", SQLITE_FCNTL_FILE_POINTER, &f) || !f || !f->pMethods ? NULL : f;
}

void trib_source_pause(struct trib_source *s)
{
	(void)sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}

bool trib_mark_same(const struct trib_mark *a, const struct trib_mark *b)
{
	return a->set && b->set && a->wal == b->wal && a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->mtime_s == b->mtime_s &&
	       a->mtime_ns == b->mtime_ns && a->ctime_s == b->ctime_s && a->ctime_ns == b->ctime_ns && a->counter == b->counter &&
	       memcmp(a->salts, b->salts, sizeof(a->salts)) == 0 && a->frames == b->frames;
}

void trib_source_mark(const struct trib_source *s, const uint8_t *salts, uint32_t frames, struct trib_mark *ret)
{
	struct stat st;
	uint8_t head[100];
	int moved = 1;
	sqlite3_file *f = trib_source_file(s);
	*ret = (struct trib_mark){0};
	/* The name must still mean the file that is open. */
	if (!f || sqlite3_file_control(s->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) || moved || stat(s->path, &st) ||
	    f->pMethods->xRead(f, head, sizeof(head), 0))
		return;
	*ret = (struct trib_mark){
		.set = true, .wal = salts, .dev = (uint64_t)st.st_dev, .ino = (uint64_t)st.st_ino, .size = st.st_size, .mtime_s = st.st_mtim.tv_sec,
		.mtime_ns = st.st_mtim.tv_nsec, .ctime_s = st.st_ctim.tv_sec, .ctime_ns = st.st_ctim.tv_nsec, .counter = trib_be32(head + 24),
		.frames = frames,
	};
	if (salts)
		memcpy(ret->salts, salts, sizeof(ret->salts));
}

void trib_source_leave_tick(int64_t mtime_s, int64_t mtime_ns)
{
	struct timespec now;
	int64_t tick = mtime_ns ? TICK_MS : WHOLE_MS;
	clock_gettime(CLOCK_REALTIME, &now);
	int64_t age = (now.tv_sec - mtime_s) * 1000 + (now.tv_nsec - mtime_ns) / 1000000;
	if (age < tick)
		pause_ms(age > 0 ? tick - age : tick);
}

static int64_t age_ms(const struct timespec *t)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (now.tv_sec - t->tv_sec) * 1000 + (now.tv_nsec - t->tv_nsec) / 1000000;
}

void trib_source_await_pause(const char *path, int64_t deadline)
{
	TRIB_AUTO(trib_mem) char *journal = trib_pathf("%s-journal", path);
	struct stat st;
	off_t wal = 0;
	while (journal && trib_mono_ms() < deadline && !side(path, "-wal", &wal) && !stat(path, &st)) {
		int64_t age = age_ms(&st.st_mtim), other = stat(journal, &st) ? INT64_MAX : age_ms(&st.st_mtim);
		age = other < age ? other : age;
		if (age < 0 || age >= QUIET_MS) /* or a time to come, which says nothing */
			return;
		pause_ms(QUIET_MS + 1 - age);
	}
}

void trib_source_await_end(const char *path)
{
	const struct timespec nap = {.tv_nsec = 200000};
	int64_t start = trib_mono_ms();
	off_t size;
	for (bool seen = false; trib_mono_ms() < start + END_MS; nanosleep(&nap, NULL)) {
		size = 0;
		bool now = side(path, "-journal", &size) && size > 0;
		if (seen && !now)
			return;
		seen = seen || now;
	}
}

static bool same_stat(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

bool trib_source_moved(const struct trib_source *s)
{
	struct stat st;
	off_t wal = 0;
	if (!s->immutable)
		return false;
	return stat(s->path, &st) || !same_stat(&st, &s->st) || (side(s->path, "-wal", &wal) && wal > 0);
}

static int open_db(const char *path, bool immutable, sqlite3 **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf uri = TRIB_BUF(4 * PATH_MAX);
	trib_buf_puts(&uri, "file:");
	for (const char *p = path; *p; p++) {
		if (strchr("?#%", *p) || (unsigned char)*p >= 0x80)
			trib_buf_printf(&uri, "%%%02X", (unsigned)(unsigned char)*p);
		else
			trib_buf_putc(&uri, (uint8_t)*p);
	}
	if (immutable)
		trib_buf_puts(&uri, "?immutable=1");
	if (trib_buf_check(&uri, path, err))
		return -1;
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(trib_buf_str(&uri), &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, TRIB_VFS_SOURCE);
	if (rc) {
		if (db && sqlite3_system_errno(db) == EACCES)
			trib_fail(err, TRIB_E_IO, _("this user may not read it; nothing was changed; run the agent as the owner of the database"));
		else
			trib_fail(err, TRIB_E_IO, "%s", db ? sqlite3_errmsg(db) : "out of memory");
		sqlite3_close(db);
		return -1;
	}
	sqlite3_extended_result_codes(db, 1);
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
	*ret = db;
	return 0;
}

/* The file's first 100 bytes, through SQLite's own file object. */
static int read_head(sqlite3 *db, uint8_t head[100], struct trib_err *err)
{
	sqlite3_file *f = NULL;
	if (sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &f) || !f || !f->pMethods)
		return trib_fail(err, TRIB_E_DB, "SQLite gave no file object");
	int rc = f->pMethods->xRead(f, head, 100, 0);
	if (rc == SQLITE_IOERR_SHORT_READ)
		return trib_fail(err, TRIB_E_SCHEMA, _("not a SQLite database: shorter than the header of one; nothing was changed"));
	if (rc)
		return trib_fail(err, TRIB_E_IO, "cannot be read");
	if (memcmp(head, "SQLite format 3", 16) != 0)
		return trib_fail(err, TRIB_E_SCHEMA, _("not a SQLite database (or an encrypted one); nothing was changed"));
	return 0;
}

/* Starts the read transaction. *ret_again: is it worth another look. */
static int begin(sqlite3 *db, enum again *ret_again, struct trib_err *err)
{
	int rc = sqlite3_exec(db, "BEGIN; PRAGMA main.schema_version", NULL, NULL, NULL); /* reads page 1 and nothing else */
	if (rc == SQLITE_OK)
		return 0;
	(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL); /* takes sqlite3_errmsg with it */
	*ret_again = NO;
	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		*ret_again = UNTIL_DEADLINE;
		return trib_fail(err, TRIB_E_LOCKED, _("a program holds it locked; nothing was changed; open and close the program once, then try again"));
	case SQLITE_PROTOCOL: /* a race for the -wal's locks */
		*ret_again = SOON;
		return trib_fail(err, TRIB_E_LOCKED, _("programs opening and closing it left no moment to read; nothing was changed; try again later"));
	case SQLITE_READONLY:
		if (rc != SQLITE_READONLY_ROLLBACK)
			return trib_fail(err, TRIB_E_LOCKED, _("its -shm file may not be written by this user; nothing was changed; run the agent as the owner of the database"));
		return trib_fail(err, TRIB_E_LOCKED, _("a program was killed in the middle of writing (hot journal); nothing was changed; open and close the program once, then try again"));
	case SQLITE_CANTOPEN:
		*ret_again = SOON;
		return trib_fail(err, TRIB_E_LOCKED, "%s", sqlite3_system_errno(db) == EACCES ? _("its -wal or -shm file may not be read by this user; nothing was "
				 "changed; run the agent as the owner of the database") : _("its -wal or -shm file is missing, and reading would create one; nothing was changed; open and close the program once, then try again"));
	case SQLITE_NOTADB:
		return trib_fail(err, TRIB_E_SCHEMA, _("not a SQLite database (or an encrypted one); nothing was changed"));
	case SQLITE_CORRUPT:
		return trib_fail(err, TRIB_E_SCHEMA, _("damaged or cut short (%s); nothing was changed; bring back its last good state with `tributary-agent restore`"), sqlite3_errstr(rc));
	case SQLITE_NOMEM:
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	default:
		return trib_fail(err, TRIB_E_IO, "%s", sqlite3_errstr(rc));
	}
}

static bool is_wal(const uint8_t head[100]) { return head[18] == 2 || head[19] == 2; }

static int whole_pages(const uint8_t head[100], off_t size, struct trib_err *err)
{
	unsigned page = trib_be16(head + 16);
	page = page == 1 ? 65536 : page;
	if (page < 512 || page & (page - 1))
		return trib_fail(err, TRIB_E_SCHEMA, _("not a SQLite database (page size %u); nothing was changed"), page);
	/* What lies behind the pages that a believed header counts, SQLite leaves alone. */
	bool longer = memcmp(head + 24, head + 92, 4) == 0 && trib_be32(head + 28) && (off_t)trib_be32(head + 28) * page <= size;
	if (size % page && !longer)
		return trib_fail(err, TRIB_E_SCHEMA, _("cut short: %lld bytes are no whole number of pages of %u; nothing was changed; bring back its last good state with `tributary-agent restore`"), (long long)size, page);
	return 0;
}

/* WAL format, but neither -wal nor anything that uses one: the file is whole. */
static int open_quiet(const char *path, const struct stat *st, struct trib_source *ret, bool *ret_wal, enum again *ret_again, struct trib_err *err)
{
	uint8_t head[100];
	off_t journal;
	sqlite3 *db = NULL;
	if (open_db(path, true, &db, err))
		return -1;
	int rc = read_head(db, head, err);
	*ret_wal = !rc && is_wal(head) && !(side(path, "-journal", &journal) && journal > 0);
	if (!rc && *ret_wal)
		trib_source_leave_tick(st->st_mtim.tv_sec, st->st_mtim.tv_nsec);
	if (!rc && *ret_wal && (whole_pages(head, st->st_size, err) || begin(db, ret_again, err)))
		rc = -1;
	if (rc || !*ret_wal) {
		sqlite3_close(db);
		return rc;
	}
	ret->db = db;
	ret->immutable = true;
	ret->wal = false;
	ret->st = *st;
	return 0;
}

static int try_open(const char *path, int64_t deadline, struct trib_source *ret, enum again *ret_again, struct trib_err *err)
{
	struct stat st;
	off_t wal = 0, shm = 0;
	bool quiet = false;
	*ret_again = NO;
	if (stat(path, &st))
		return trib_fail_errno(err, "cannot be read");
	bool has_wal = side(path, "-wal", &wal), has_shm = side(path, "-shm", &shm);
	if (st.st_size && (!has_wal || (wal == 0 && !has_shm))) {
		if (open_quiet(path, &st, ret, &quiet, ret_again, err))
			return -1;
		if (quiet)
			return 0;
	}
	sqlite3 *db = NULL;
	if (open_db(path, false, &db, err))
		return -1;
	int64_t left = deadline - trib_mono_ms();
	sqlite3_busy_timeout(db, left > 0 ? (int)left : 1);
	int rc = begin(db, ret_again, err);
	uint8_t head[100];
	if (!rc && !stat(path, &st) && st.st_size) {
		rc = read_head(db, head, err) || (!has_wal && whole_pages(head, st.st_size, err)) ? -1 : 0;
		ret->wal = !rc && is_wal(head);
	}
	if (rc) {
		sqlite3_close(db);
		return -1;
	}
	ret->db = db;
	ret->immutable = false;
	return 0;
}

/* Is it worth a pause and another look? */
static bool look_again(enum again again, int64_t start, int busy_ms)
{
	if (again == NO || trib_mono_ms() >= start + (again == SOON && busy_ms > CLOSING_MS ? CLOSING_MS : busy_ms))
		return false;
	pause_ms(PAUSE_MS);
	return true;
}

int trib_source_resume(struct trib_source *s, struct trib_err *err)
{
	int64_t start = trib_mono_ms();
	enum again again;
	do {
		int64_t left = start + s->busy_ms - trib_mono_ms();
		sqlite3_busy_timeout(s->db, left > 0 ? (int)left : 1);
		if (!begin(s->db, &again, err))
			return 0;
	} while (look_again(again, start, s->busy_ms));
	return trib_ctx(err, _("database %s"), s->path);
}

int trib_source_open(const char *path, int busy_ms, struct trib_source *ret, struct trib_err *err)
{
	struct trib_source s = TRIB_SOURCE_INIT;
	struct stat st;
	if (trib_capture_vfs_register(err))
		return -1;
	s.path = realpath(path, NULL); /* side files stand beside the file that a symbolic link means */
	if (!s.path || stat(s.path, &st)) {
		bool gone = errno == ENOENT || errno == ENOTDIR;
		trib_fail_errno(err, _("database %s"), path);
		if (gone)
			trib_fail(err, TRIB_E_NOT_FOUND, _("database %s is not there: moved, renamed, or on a disk that is not mounted; nothing was changed; put it back, "
				  "then try again"), path);
		free(s.path);
		return -1;
	}
	if (!S_ISREG(st.st_mode)) {
		free(s.path);
		return trib_fail(err, TRIB_E_SCHEMA, _("database %s: not a file; nothing was changed"), path);
	}
	int64_t start = trib_mono_ms();
	s.busy_ms = busy_ms;
	for (;;) {
		enum again again;
		if (!try_open(s.path, start + busy_ms, &s, &again, err))
			break;
		if (look_again(again, start, busy_ms))
			continue;
		trib_ctx(err, _("database %s"), path);
		trib_source_close(&s);
		return -1;
	}
	*ret = s;
	return 0;
}
