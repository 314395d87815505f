/* exactdump: exactdump FILE: everything that a restore must bring back, one line each, sorted, so that two databases are compared by `cmp`.
 *
 *   pragma NAME VALUE    schema TYPE NAME SQL    seq TABLE N    row TABLE VALUE...
 *
 * A value is its storage class and its bytes: n, i-12, f and the eight bytes of the double, t and b and the hex of what is stored. Rowids are not
 * printed: a rowid without an INTEGER PRIMARY KEY identifies nothing. Virtual tables, their shadow tables and what hangs on them are printed as
 * `absent NAME`, so is everything that begins with sqlite_ but the sequences. This program uses nothing of the library that it tests. */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct lines { char **kept; size_t n, room; };

static void die(const char *what)
{
	(void)fprintf(stderr, "exactdump: %s\n", what);
	exit(1);
}

static sqlite3_stmt *query(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *st = NULL;
	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
		die(sqlite3_errmsg(db));
	return st;
}

static bool step(sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		die(sqlite3_errmsg(sqlite3_db_handle(st)));
	return rc == SQLITE_ROW;
}

/* Takes the line over. */
static void keep(struct lines *l, char *line)
{
	if (!line)
		die("out of memory");
	if (l->n == l->room) {
		l->room = l->room ? 2 * l->room : 1024;
		l->kept = reallocarray(l->kept, l->room, sizeof(*l->kept));
		if (!l->kept)
			die("out of memory");
	}
	l->kept[l->n++] = line;
}

__attribute__((format(printf, 2, 3))) static void keepf(struct lines *l, const char *format, ...)
{
	va_list ap;
	char *line = NULL;
	va_start(ap, format);
	if (vasprintf(&line, format, ap) < 0)
		line = NULL;
	va_end(ap);
	keep(l, line);
}

static void put_hex(FILE *f, const unsigned char *p, int n)
{
	for (int i = 0; i < n; i++)
		(void)fprintf(f, "%02x", p[i]);
}

/* Text comes cast to a blob in the file's own encoding, beside its typeof: no conversion hides a byte. */
static void put_value(FILE *f, sqlite3_stmt *st, int type, int value)
{
	const char *t = (const char *)sqlite3_column_text(st, type);
	double d;
	uint64_t bits;
	switch (t ? t[0] : '?') {
	case 'n':
		(void)fputs(" n", f);
		break;
	case 'i':
		(void)fprintf(f, " i%" PRId64, (int64_t)sqlite3_column_int64(st, value));
		break;
	case 'r':
		d = sqlite3_column_double(st, value);
		memcpy(&bits, &d, sizeof(bits));
		(void)fprintf(f, " f%016" PRIx64, bits);
		break;
	default:
		(void)fprintf(f, " %c", t ? t[0] : '?');
		put_hex(f, sqlite3_column_blob(st, value), sqlite3_column_bytes(st, value));
	}
}

/* SELECT typeof(c), CASE WHEN it is text THEN its bytes ELSE c END, ... of the columns that are stored. */
static char *select_of(sqlite3 *db, const char *table, int *ret_columns)
{
	sqlite3_stmt *st = query(db, "SELECT name FROM pragma_table_xinfo(?1) WHERE hidden = 0 ORDER BY cid");
	sqlite3_str *sql = sqlite3_str_new(db);
	*ret_columns = 0;
	sqlite3_bind_text(st, 1, table, -1, SQLITE_STATIC);
	sqlite3_str_appendall(sql, "SELECT ");
	for (; step(st); (*ret_columns)++) {
		const char *c = (const char *)sqlite3_column_text(st, 0);
		sqlite3_str_appendf(sql, "%stypeof(\"%w\"), CASE typeof(\"%w\") WHEN 'text' THEN CAST(\"%w\" AS BLOB) ELSE \"%w\" END", *ret_columns ? ", " : "", c, c,
				    c, c);
	}
	sqlite3_str_appendf(sql, " FROM main.\"%w\"", table);
	sqlite3_finalize(st);
	return sqlite3_str_finish(sql);
}

static void dump_rows(sqlite3 *db, const char *table, struct lines *l)
{
	int columns;
	char *sql = select_of(db, table, &columns);
	sqlite3_stmt *st = query(db, sql);
	while (step(st)) {
		char *line = NULL;
		size_t n = 0;
		FILE *f = open_memstream(&line, &n);
		if (!f)
			die("out of memory");
		(void)fprintf(f, "row %s", table);
		for (int i = 0; i < columns; i++)
			put_value(f, st, 2 * i, 2 * i + 1);
		if (fclose(f))
			die("out of memory");
		keep(l, line);
	}
	sqlite3_finalize(st);
	sqlite3_free(sql);
}

static void dump_schema(sqlite3 *db, struct lines *l)
{
	static const char *const pragmas[] = {"encoding", "page_size", "auto_vacuum", "user_version", "application_id"};
	for (size_t i = 0; i < sizeof(pragmas) / sizeof(pragmas[0]); i++) {
		char sql[64];
		(void)snprintf(sql, sizeof(sql), "PRAGMA %s", pragmas[i]);
		sqlite3_stmt *st = query(db, sql);
		if (step(st))
			keepf(l, "pragma %s %s", pragmas[i], (const char *)sqlite3_column_text(st, 0));
		sqlite3_finalize(st);
	}
	sqlite3_stmt *st = query(db, "SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND lower(tbl_name) NOT IN "
				     "(SELECT lower(name) FROM pragma_table_list WHERE schema = 'main' AND type IN ('virtual', 'shadow'))");
	while (step(st))
		keepf(l, "schema %s %s %s", (const char *)sqlite3_column_text(st, 0), (const char *)sqlite3_column_text(st, 1),
		      (const char *)sqlite3_column_text(st, 2));
	sqlite3_finalize(st);
}

static void dump_tables(sqlite3 *db, struct lines *l, struct lines *absent)
{
	sqlite3_stmt *st = query(db, "SELECT name, type FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual', 'shadow') AND "
				     "name NOT LIKE 'sqlite\\_%' ESCAPE '\\'");
	while (step(st)) {
		const char *name = (const char *)sqlite3_column_text(st, 0);
		if (strcmp((const char *)sqlite3_column_text(st, 1), "table") == 0)
			dump_rows(db, name, l);
		else
			keepf(absent, "absent %s", name);
	}
	sqlite3_finalize(st);
	st = query(db, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'sqlite\\_%' ESCAPE '\\' AND name <> 'sqlite_sequence'");
	while (step(st))
		keepf(absent, "absent %s", (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	st = query(db, "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'");
	bool sequences = step(st);
	sqlite3_finalize(st);
	if (!sequences)
		return;
	st = query(db, "SELECT name, seq FROM sqlite_sequence");
	while (step(st))
		keepf(l, "seq %s %s", (const char *)sqlite3_column_text(st, 0), (const char *)sqlite3_column_text(st, 1));
	sqlite3_finalize(st);
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void print(struct lines *l)
{
	if (l->n)
		qsort(l->kept, l->n, sizeof(*l->kept), by_text);
	for (size_t i = 0; i < l->n; i++) {
		(void)puts(l->kept[i]);
		free(l->kept[i]);
	}
	free(l->kept);
}

/* What a restored file cannot have: --absent prints only that. */
int main(int argc, char **argv)
{
	bool only_absent = argc == 3 && strcmp(argv[1], "--absent") == 0;
	struct lines l = {0}, absent = {0};
	sqlite3 *db = NULL;
	if (argc != 2 && !only_absent)
		die("usage: exactdump [--absent] FILE");
	if (sqlite3_open_v2(argv[argc - 1], &db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
		die(sqlite3_errmsg(db));
	if (sqlite3_exec(db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
		die(sqlite3_errmsg(db));
	dump_schema(db, &l);
	dump_tables(db, &l, &absent);
	sqlite3_close(db);
	print(only_absent ? &absent : &l);
	struct lines *other = only_absent ? &l : &absent;
	for (size_t i = 0; i < other->n; i++)
		free(other->kept[i]);
	free(other->kept);
	return fflush(stdout) || ferror(stdout) ? 1 : 0;
}
