/* schema.h: what a database contains and what of it can be captured (D4.5). */
#ifndef TRIB_SCHEMA_H
#define TRIB_SCHEMA_H

#include "core/format/schematext.h"
#include "core/store/db.h"

struct trib_column {
	char *name;       /* as spelled */
	unsigned pk;      /* 0 or 1-based place in the PRIMARY KEY */
	char *type;       /* declared type, "" when none */
};

struct trib_table {
	char *name;          /* as spelled */
	char *folded;
	bool without_rowid, strict;
	bool keyed;          /* has a PRIMARY KEY: identity row by row; else all rows are bag rows */
	bool rowid_key;      /* INTEGER PRIMARY KEY alias of the rowid: NULL keys cannot occur */
	bool autoincrement;
	char *rowid_name;    /* a name that reaches the rowid ("rowid", "_rowid_" or "oid"), NULL for WITHOUT ROWID or when all are taken by columns */
	struct trib_column *cols; /* without generated ones, in table order */
	size_t ncols, npk;
	size_t ngenerated;
	char *sql;           /* its CREATE TABLE text as SQLite keeps it */
	/* Of a table that is half of another (veil.h): columns of the other half. They count for whether a row can travel, and for nothing else. */
	struct trib_column *beyond;
	size_t nbeyond;
	bool no_bag, no_rows; /* rows with NULL in the key, or the others, are not of this half */
};

/* Rising by name; `reason` is static: "virtual", "shadow", "no-collation", "name-too-long", "no-name", "too-many-columns", "unreadable", "statistics" (what
 * ANALYZE counted), "internal". */
struct trib_left_out { char *name; const char *reason; };

struct trib_schema {
	struct trib_table *tables; size_t ntables; /* captured ones, rising by folded name */
	struct trib_left_out *left_out; size_t nleft_out;
	struct trib_schematext text; /* F4, with `sql` pointing into sql_text; bag lines are the caller's to add */
	struct trib_buf sql_text;
	bool has_autoincrement;
	bool has_sequence; /* there is a sqlite_sequence; it says something when has_autoincrement */
};

/* Reads the schema of database "main" of an open connection. TRIB_E_SCHEMA when it cannot be (with the reason). */
int trib_schema_read(sqlite3 *db, struct trib_schema *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_schema_release(struct trib_schema *s);
static inline void trib_schema_cleanup(struct trib_schema *s) { trib_schema_release(s); }
const struct trib_table *trib_schema_find(const struct trib_schema *s, const char *folded);
/* SHA-256-able identity of one table: its folded name, columns, key and CREATE text. Equal bytes = nothing changed. */
void trib_schema_table_id(const struct trib_schema *s, const struct trib_table *t, struct trib_buf *ret);
/* Runs the SQL part of a schema text on an empty database under an authorizer that allows only CREATE TABLE, INDEX, VIEW, TRIGGER;
 * which = 't' tables only, 'r' the rest (indexes, views, triggers). Sets nothing else. A statement that fails is TRIB_E_SCHEMA. Collations that
 * only the application has get a stand-in on this connection (bytes in order), and their names go to `stand_ins` (NULL: not wanted): indexes that are
 * made with one are right again after the application's own REINDEX. */
int trib_schema_run(sqlite3 *db, struct trib_span sql, char which, struct trib_buf *stand_ins, struct trib_err *err) TRIB_MUST_CHECK;
/* The schema of an empty database that the tables of such a text make. TRIB_E_SCHEMA as trib_schema_run. */
int trib_schema_of_sql(struct trib_span sql, struct trib_schema *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The same stand-ins on a connection that reads such a file. `names` must live as long. */
void trib_schema_stand_ins(sqlite3 *db, struct trib_buf *names);
/* Appends the same statements, except that in CREATE TABLE the columns for which `missing` says yes have no NOT NULL: their values are absent, and
 * everything else of the table stays. Constraints of the table are asked for, too, by their first word; that does no harm. */
typedef bool (*trib_schema_missing)(void *ctx, struct trib_span table, struct trib_span column);
int trib_schema_relax(struct trib_span sql, trib_schema_missing missing, void *ctx, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
