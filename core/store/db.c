#include "core/store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>

int trib_db_fail(struct trib_err *err, sqlite3 *db, const char *what)
{
	int rc = db ? sqlite3_extended_errcode(db) : SQLITE_NOMEM;
	enum trib_code code = TRIB_E_DB;
	switch (rc & 0xff) {
	case SQLITE_FULL:
		code = TRIB_E_NO_SPACE;
		break;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		code = TRIB_E_LOCKED;
		break;
	case SQLITE_TOOBIG:
		code = TRIB_E_LIMIT;
		break;
	case SQLITE_NOMEM:
		code = TRIB_E_NOMEM;
		break;
	case SQLITE_IOERR:
		if (sqlite3_system_errno(db) == ENOSPC || sqlite3_system_errno(db) == EDQUOT)
			code = TRIB_E_NO_SPACE;
		break;
	default:
		break;
	}
	return trib_fail(err, code, "%s: %s", what, db ? sqlite3_errmsg(db) : "out of memory");
}

int trib_db_exec(sqlite3 *db, const char *sql, struct trib_err *err)
{
	if (sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK)
		return 0;
	char what[96];
	(void)snprintf(what, sizeof(what), "running \"%.80s\"", sql);
	return trib_db_fail(err, db, what);
}

int trib_db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct trib_err *err)
{
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK && st) {
		*ret = st;
		return 0;
	}
	sqlite3_finalize(st);
	char what[96];
	(void)snprintf(what, sizeof(what), "preparing \"%.80s\"", sql);
	return trib_db_fail(err, db, what);
}

int trib_db_keep(sqlite3 *db, const char *sql, sqlite3_stmt **kept, struct trib_err *err)
{
	if (!*kept)
		return trib_db_prepare(db, sql, kept, err);
	trib_rest_cleanup(kept);
	return 0;
}

int trib_db_step(sqlite3 *db, sqlite3_stmt *st, struct trib_err *err)
{
	switch (sqlite3_step(st)) {
	case SQLITE_ROW:
		return 1;
	case SQLITE_DONE:
		return 0;
	default:
		break;
	}
	const char *sql = sqlite3_sql(st);
	char what[96];
	(void)snprintf(what, sizeof(what), "running \"%.80s\"", sql ? sql : "");
	return trib_db_fail(err, db, what);
}

int trib_db_bytes(sqlite3_stmt *st, int col, const char *what, void *ret, size_t n, struct trib_err *err)
{
	if (sqlite3_column_type(st, col) != SQLITE_BLOB || (size_t)sqlite3_column_bytes(st, col) != n)
		return trib_fail(err, TRIB_E_VERIFY, "the database is damaged: %s is not what it must be", what);
	memcpy(ret, sqlite3_column_blob(st, col), n);
	return 0;
}

int trib_db_int(sqlite3 *db, const char *sql, int64_t none, int64_t *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db, sql, &st, err))
		return -1;
	int row = trib_db_step(db, st, err);
	if (row < 0)
		return -1;
	*ret = row && sqlite3_column_type(st, 0) != SQLITE_NULL ? sqlite3_column_int64(st, 0) : none;
	return 0;
}

static int set_option(sqlite3 *db, int option, int on, struct trib_err *err)
{
	int now = -1;
	if (sqlite3_db_config(db, option, on, &now) != SQLITE_OK || now != on)
		return trib_fail(err, TRIB_E_DB, "this SQLite does not know the connection option %d that protects us", option);
	return 0;
}

int trib_db_harden(sqlite3 *db, struct trib_err *err)
{
	/* A distrusted schema may not call json_valid() or json_extract(): SQLite 3.40 calls a file with them in an index or a generated column
	 * malformed. All functions here are SQLite's own and act on nothing outside; trib_schema_run has an authorizer besides. */
	if (set_option(db, SQLITE_DBCONFIG_DEFENSIVE, 1, err) || set_option(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 1, err) ||
	    set_option(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, err) || set_option(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, err) ||
	    set_option(db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, err))
		return -1;
	/* The longest statement we build names TRIB_COLUMNS_MAX columns a few times. */
	(void)sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, (int)TRIB_SCHEMA_MAX);
	(void)sqlite3_limit(db, SQLITE_LIMIT_COLUMN, TRIB_COLUMNS_MAX);
	(void)sqlite3_limit(db, SQLITE_LIMIT_WORKER_THREADS, 0);
	return trib_db_exec(db, "PRAGMA cell_size_check=ON", err);
}

static int open_db(const char *path, int flags, sqlite3 **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	if (sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_EXRESCODE, NULL) != SQLITE_OK) {
		char what[512];
		(void)snprintf(what, sizeof(what), "opening %.480s", path);
		return trib_db_fail(err, db, what);
	}
	(void)sqlite3_busy_timeout(db, TRIB_LOCK_WAIT_MS);
	if (set_option(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, err) || set_option(db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, err))
		return -1;
	*ret = db;
	db = NULL;
	return 0;
}

/* What we keep is personal data: the file, and so its journal and WAL, are for the owner alone. Only a
 * file that does not exist yet is opened here, because closing a descriptor drops SQLite's POSIX locks. */
static int create_private(const char *path, struct trib_err *err)
{
	if (!*path || strcmp(path, ":memory:") == 0)
		return 0;
	TRIB_AUTO(trib_fd) int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 && errno != EEXIST)
		return trib_fail_errno(err, "creating %s", path);
	return 0;
}

int trib_db_open_own(const char *path, bool wal, sqlite3 **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	if (create_private(path, err) || open_db(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &db, err))
		return -1;
	if (trib_db_exec(db, wal ? "PRAGMA journal_mode=WAL" : "PRAGMA journal_mode=DELETE", err) ||
	    trib_db_exec(db, "PRAGMA synchronous=FULL", err))
		return trib_ctx(err, "%s", path);
	*ret = db;
	db = NULL;
	return 0;
}

int trib_db_open_own_ro(const char *path, sqlite3 **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	if (open_db(path, SQLITE_OPEN_READONLY, &db, err))
		return -1;
	/* SQLite opens lazily: read once, so that a file that is no database is told here. */
	int64_t unused;
	if (trib_db_int(db, "PRAGMA schema_version", 0, &unused, err))
		return trib_ctx(err, "%s", path);
	*ret = db;
	db = NULL;
	return 0;
}

static int migrate_step(sqlite3 *db, const char *const *sql, size_t n, bool *ret_done, struct trib_err *err)
{
	/* Read inside the transaction: another process may have migrated while we waited for the lock. */
	int64_t at;
	if (trib_db_int(db, "PRAGMA user_version", 0, &at, err))
		return -1;
	if (at < 0 || (uint64_t)at > n)
		return trib_fail(err, TRIB_E_VERSION,
				 "the database is of version %lld, this program knows versions up to %zu; nothing was changed; install the newer program",
				 (long long)at, n);
	*ret_done = (uint64_t)at == n;
	if (*ret_done)
		return 0;
	char set[64];
	(void)snprintf(set, sizeof(set), "PRAGMA user_version=%lld", (long long)at + 1);
	if (trib_db_exec(db, sql[at], err) || trib_db_exec(db, set, err))
		return trib_ctx(err, "migration %lld", (long long)at + 1);
	return 0;
}

int trib_db_migrate(sqlite3 *db, const char *const *sql, size_t n, struct trib_err *err)
{
	for (size_t i = 0; i <= n; i++) {
		bool done = false;
		if (trib_db_exec(db, "BEGIN IMMEDIATE", err))
			return -1;
		if (migrate_step(db, sql, n, &done, err) || trib_db_exec(db, "COMMIT", err)) {
			(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
			return -1;
		}
		if (done)
			return 0;
	}
	return trib_fail(err, TRIB_E_DB, "the migrations do not come to an end");
}

void trib_sql_ident(struct trib_buf *b, const char *name)
{
	trib_buf_putc(b, '"');
	for (const char *p = name; *p; p++) {
		if (*p == '"')
			trib_buf_putc(b, '"');
		trib_buf_putc(b, (uint8_t)*p);
	}
	trib_buf_putc(b, '"');
}

int trib_value_bind(sqlite3_stmt *st, int i, const struct trib_value *v)
{
	/* A NULL pointer would bind NULL instead of empty text or an empty blob. */
	const void *p = v->s.p ? v->s.p : (const uint8_t *)"";
	int rc = SQLITE_MISUSE;
	switch (v->type) {
	case TRIB_INT:
		rc = sqlite3_bind_int64(st, i, v->i);
		break;
	case TRIB_REAL:
		if (isnan(v->r)) /* SQLite would store NULL */
			return -1;
		rc = sqlite3_bind_double(st, i, v->r);
		break;
	case TRIB_TEXT:
		rc = sqlite3_bind_text64(st, i, p, v->s.n, SQLITE_STATIC, SQLITE_UTF8);
		break;
	case TRIB_BLOB:
		rc = sqlite3_bind_blob64(st, i, p, v->s.n, SQLITE_STATIC);
		break;
	case TRIB_NULL:
		rc = sqlite3_bind_null(st, i);
		break;
	case TRIB_UNDEF:
		break;
	}
	return rc == SQLITE_OK ? 0 : -1;
}

void trib_value_column(sqlite3_stmt *st, int i, struct trib_value *ret)
{
	*ret = (struct trib_value){.type = TRIB_NULL};
	const void *p;
	switch (sqlite3_column_type(st, i)) {
	case SQLITE_INTEGER:
		ret->type = TRIB_INT;
		ret->i = sqlite3_column_int64(st, i);
		break;
	case SQLITE_FLOAT:
		ret->type = TRIB_REAL;
		ret->r = sqlite3_column_double(st, i);
		break;
	case SQLITE_TEXT:
		p = sqlite3_column_text(st, i);
		ret->type = p ? TRIB_TEXT : TRIB_UNDEF;
		ret->s = trib_span(p, p ? (size_t)sqlite3_column_bytes(st, i) : 0);
		break;
	case SQLITE_BLOB:
		p = sqlite3_column_blob(st, i);
		ret->type = TRIB_BLOB;
		ret->s = trib_span(p, p ? (size_t)sqlite3_column_bytes(st, i) : 0);
		if (!p && sqlite3_column_bytes(st, i) > 0)
			ret->type = TRIB_UNDEF;
		break;
	default:
		break;
	}
}

static void put_code_point(uint8_t *p, size_t *n, uint32_t c)
{
	if (c < 0x80) {
		p[(*n)++] = (uint8_t)c;
	} else if (c < 0x800) {
		p[(*n)++] = (uint8_t)(0xc0 | c >> 6);
		p[(*n)++] = (uint8_t)(0x80 | (c & 0x3f));
	} else if (c < 0x10000) {
		p[(*n)++] = (uint8_t)(0xe0 | c >> 12);
		p[(*n)++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		p[(*n)++] = (uint8_t)(0x80 | (c & 0x3f));
	} else {
		p[(*n)++] = (uint8_t)(0xf0 | c >> 18);
		p[(*n)++] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
		p[(*n)++] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		p[(*n)++] = (uint8_t)(0x80 | (c & 0x3f));
	}
}

int trib_utf16_put(struct trib_buf *b, const void *units, size_t bytes)
{
	/* At most three bytes a unit: a pair of units makes four. */
	size_t nunits = bytes / 2, room, start = b->len, n = 0;
	if (trib_mul_overflow(nunits, 3, &room))
		return -1;
	uint8_t *out = trib_buf_grow(b, room);
	if (!out)
		return -1;
	const uint8_t *in = units;
	for (size_t i = 0; i < nunits; i++) {
		uint16_t u, next = 0;
		memcpy(&u, in + 2 * i, 2);
		if (i + 1 < nunits)
			memcpy(&next, in + 2 * i + 2, 2);
		uint32_t c = u;
		if ((u & 0xfc00) == 0xd800 && (next & 0xfc00) == 0xdc00) {
			c = 0x10000 + ((uint32_t)(u & 0x3ff) << 10 | (next & 0x3ffu));
			i++;
		}
		put_code_point(out, &n, c);
	}
	b->len = start + n;
	if (b->p)
		b->p[b->len] = '\0';
	return 0;
}

int trib_value_column16(sqlite3_stmt *st, int i, struct trib_buf *scratch, struct trib_value *ret, struct trib_err *err)
{
	if (sqlite3_column_type(st, i) != SQLITE_TEXT) {
		trib_value_column(st, i, ret);
		return 0;
	}
	const void *p = sqlite3_column_text16(st, i);
	size_t bytes = p ? (size_t)sqlite3_column_bytes16(st, i) : 0, at = scratch->len;
	if (!p)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory reading text");
	if (trib_utf16_put(scratch, p, bytes))
		return trib_fail(err, scratch->nomem ? TRIB_E_NOMEM : TRIB_E_LIMIT, "text of %zu bytes is too long", bytes);
	*ret = (struct trib_value){.type = TRIB_TEXT};
	ret->s = trib_span(scratch->p + at, scratch->len - at);
	return 0;
}
