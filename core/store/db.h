/* db.h: SQLite connections with the settings this project needs, and small helpers over them.
 *
 * SQL is constant text with bound parameters (STYLE habit 16); the few statements that must name an
 * application's tables are built by trib_sql_* with every identifier quoted by trib_sql_ident. */
#ifndef TRIB_DB_H
#define TRIB_DB_H

#ifndef SQLITE_ENABLE_SESSION
#define SQLITE_ENABLE_SESSION 1
#endif
#ifndef SQLITE_ENABLE_PREUPDATE_HOOK
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#endif
#include <sqlite3.h>

#include "core/base/buf.h"
#include "core/base/limits.h"
#include "core/format/changeset.h"

static inline void trib_db_cleanup(sqlite3 **db)
{
	sqlite3_close_v2(*db);
	*db = NULL;
}
static inline void trib_stmt_cleanup(sqlite3_stmt **st)
{
	sqlite3_finalize(*st);
	*st = NULL;
}

/* Fills err from the connection: NO_SPACE for SQLITE_FULL, LOCKED for BUSY/LOCKED, else DB. Always -1. */
int trib_db_fail(struct trib_err *err, sqlite3 *db, const char *what);
/* Our own databases (hub.db, city, scratch): read-write, created, WAL or not by `wal`, synchronous=FULL,
 * busy_timeout, foreign keys on, trusted_schema off. */
int trib_db_open_own(const char *path, bool wal, sqlite3 **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Our own database, read-only. */
int trib_db_open_own_ro(const char *path, sqlite3 **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Hardens a connection that will see someone else's schema or data: DEFENSIVE, no extensions, triggers and views off; trusted_schema
 * on, because real schemas call json_extract() in indexes; cell_size_check on, limits on SQL length and columns. */
int trib_db_harden(sqlite3 *db, struct trib_err *err) TRIB_MUST_CHECK;
int trib_db_exec(sqlite3 *db, const char *sql, struct trib_err *err) TRIB_MUST_CHECK;
int trib_db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret, struct trib_err *err) TRIB_MUST_CHECK;
/* A statement that is asked again and again: *kept is prepared the first time, and ready to be bound afterwards. Its owner finalizes it; whoever asks lets it rest, for
 * a statement that stands on a row holds a lock. */
int trib_db_keep(sqlite3 *db, const char *sql, sqlite3_stmt **kept, struct trib_err *err) TRIB_MUST_CHECK;
static inline void trib_rest_cleanup(sqlite3_stmt **st)
{
	sqlite3_reset(*st);
	sqlite3_clear_bindings(*st);
}
/* sqlite3_step: 1 row, 0 done, -1 error. */
int trib_db_step(sqlite3 *db, sqlite3_stmt *st, struct trib_err *err) TRIB_MUST_CHECK;
/* Runs numbered migrations: applies sql[i] for every i >= PRAGMA user_version, each in its own transaction. */
int trib_db_migrate(sqlite3 *db, const char *const *sql, size_t n, struct trib_err *err) TRIB_MUST_CHECK;
/* One integer of one row; `none` when there is no row or NULL. */
int trib_db_int(sqlite3 *db, const char *sql, int64_t none, int64_t *ret, struct trib_err *err) TRIB_MUST_CHECK;

/* The bytes of a column that must be a BLOB of exactly n bytes: TRIB_E_VERIFY names `what` when it is not, as in a file that a disk damaged. */
int trib_db_bytes(sqlite3_stmt *st, int col, const char *what, void *ret, size_t n, struct trib_err *err) TRIB_MUST_CHECK;

/* Appends a quoted identifier. */
void trib_sql_ident(struct trib_buf *b, const char *name);
/* Binds a value as parameter i (1-based); bytes are borrowed until the statement is reset (SQLITE_STATIC). -1 for TRIB_UNDEF and
 * for NaN, which SQLite would store as NULL. */
int trib_value_bind(sqlite3_stmt *st, int i, const struct trib_value *v);
/* Reads column i of the current row exactly (storage class and bytes); text and blob bytes are borrowed until the next step.
 * Out of memory gives TRIB_UNDEF, which no insert or delete record accepts. For files in UTF-8. */
void trib_value_column(sqlite3_stmt *st, int i, struct trib_value *ret);
/* As trib_value_column, for UTF-16 files: SQLite's own conversion pairs any two units that look like surrogates and so loses
 * text; ours (F2) appends UTF-8 to *scratch, a lone surrogate as three bytes. The value borrows from *scratch: it is valid until
 * *scratch grows again, so read rows of several columns by resolving offsets, or one scratch a column. */
int trib_value_column16(sqlite3_stmt *st, int i, struct trib_buf *scratch, struct trib_value *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Appends UTF-16 in native byte order as UTF-8, by the same rule. -1 when the buffer refuses. */
int trib_utf16_put(struct trib_buf *b, const void *units, size_t bytes) TRIB_MUST_CHECK;

#endif
