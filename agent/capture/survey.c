#include "agent/capture/survey.h"

#include <time.h>

#include "agent/capture/capture.h"
#include "agent/capture/rows.h"
#include "agent/capture/source.h"
#include "core/base/clock.h"
#include "core/base/i18n.h"

#define SQL_MAX (8 * TRIB_MIB)
#define CELL_MIN 4    /* bytes that a row takes in a page at least */
#define PART_MS 100   /* so long a database in rollback mode is read at a stretch */
#define REST_MS 20    /* and then its writers come first */
#define TIMES 3       /* that a database is looked at when it changes meanwhile */

struct look {
	struct trib_source *src;
	const struct trib_schema *s;
	const struct trib_table *t;
	struct trib_survey_table *out;
	struct trib_row_fit sizes, text; /* by lengths alone, and by the text itself */
	struct trib_spent spent;
	bool utf16, all;           /* the values' sizes count; else only whether a key holds NULL */
	int64_t version;           /* of the schema */
	int *cols; size_t ncols;   /* columns that are looked at */
	struct trib_value *v;
	const char *rowid;         /* SQL that is the rowid; NULL: rows are counted instead */
	struct trib_buf quoted;    /* that of a key, when nothing shorter is */
	bool any;
	int64_t at;                /* the last row: its rowid */
	uint64_t passed, room;     /* rows read, and that the file can hold at most */
};

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

void trib_survey_release(struct trib_survey *s)
{
	for (size_t i = 0; i < s->n; i++)
		for (size_t k = 0; k < s->tables[i].nlarge; k++)
			free(s->tables[i].large[k]);
	free(s->tables);
	*s = (struct trib_survey){0};
}

static void table_end(struct look *k)
{
	free(k->cols);
	free(k->v);
	trib_buf_release(&k->quoted);
	k->cols = NULL;
	k->v = NULL;
	k->rowid = NULL;
}

static void look_cleanup(struct look *k)
{
	table_end(k);
	trib_row_fit_release(&k->sizes);
	trib_row_fit_release(&k->text);
}

static int fail(const struct look *k, struct trib_err *err)
{
	int rc = sqlite3_errcode(k->src->db) & 0xff;
	if (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB)
		trib_damaged(err, trib_span_str(sqlite3_errmsg(k->src->db)));
	else
		trib_db_fail(err, k->src->db, "reading");
	return trib_ctx(err, "table %s", k->t->name);
}

static int damaged(const struct look *k, struct trib_err *err)
{
	trib_damaged(err, trib_span_str("rows out of order"));
	return trib_ctx(err, "table %s", k->t->name);
}

static bool nulls_possible(const struct trib_table *t) { return t->keyed && !t->rowid_key && !t->without_rowid; }

/* ---- statements ---- */

static void put_column(struct trib_buf *b, const struct trib_table *t, size_t i)
{
	trib_buf_puts(b, "t.");
	trib_sql_ident(b, t->cols[i].name);
}

/* NULL; -1 a number; 2 n a blob, 2 n + 1 a text, of n bytes. typeof() and length() of a blob read no content. */
static void put_size(struct trib_buf *b, const struct look *k, size_t i)
{
	trib_buf_puts(b, "CASE typeof(");
	put_column(b, k->t, i);
	trib_buf_puts(b, ") WHEN 'null' THEN NULL ");
	if (k->all) {
		trib_buf_puts(b, "WHEN 'blob' THEN 2*length(");
		put_column(b, k->t, i);
		trib_buf_puts(b, ") WHEN 'text' THEN 2*length(CAST(");
		put_column(b, k->t, i);
		trib_buf_puts(b, " AS BLOB))+1 ");
	}
	trib_buf_puts(b, "ELSE -1 END");
}

static void put_from(struct trib_buf *b, const struct look *k)
{
	trib_buf_puts(b, " FROM main.");
	trib_sql_ident(b, k->t->name);
	trib_buf_puts(b, " AS t NOT INDEXED");
}

/* Of one row, ?1, as `place` gives it. */
static void put_one(struct trib_buf *b, const struct look *k)
{
	put_from(b, k);
	trib_buf_puts(b, k->rowid ? " WHERE t." : " LIMIT 1 OFFSET ?1");
	trib_buf_puts(b, k->rowid ? k->rowid : "");
	trib_buf_puts(b, k->rowid ? " = ?1" : "");
}

static int prepare(const struct look *k, const struct trib_buf *sql, int64_t first, sqlite3_stmt **ret, struct trib_err *err)
{
	if (trib_buf_check(sql, "a SELECT statement", err))
		return -1;
	if (sqlite3_prepare_v2(k->src->db, trib_buf_str(sql), -1, ret, NULL) || sqlite3_bind_int64(*ret, 1, first))
		return fail(k, err);
	return 0;
}

/* From the first row that was not read yet, in the order of the file: of the table itself, never of an index. */
static int prepare_rest(const struct look *k, sqlite3_stmt **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(SQL_MAX);
	trib_buf_puts(&sql, "SELECT ");
	if (k->rowid)
		trib_buf_puts(&sql, "t.");
	trib_buf_puts(&sql, k->rowid ? k->rowid : "0");
	for (size_t i = 0; i < k->ncols; i++) {
		trib_buf_puts(&sql, ",");
		put_size(&sql, k, (size_t)k->cols[i]);
	}
	put_from(&sql, k);
	if (!k->rowid)
		trib_buf_puts(&sql, " LIMIT -1 OFFSET ?1");
	else {
		trib_buf_puts(&sql, " WHERE t.");
		trib_buf_puts(&sql, k->rowid);
		trib_buf_puts(&sql, " >= ?1 ORDER BY t.");
		trib_buf_puts(&sql, k->rowid);
	}
	return prepare(k, &sql, !k->rowid ? (int64_t)k->passed : k->any ? k->at + 1 : INT64_MIN, ret, err);
}

/* A statement never brings a text into memory that makes its row too large by itself: then it ends with SQLITE_TOOBIG. */
static int step(const struct look *k, sqlite3_stmt *st)
{
	int was = sqlite3_limit(k->src->db, SQLITE_LIMIT_LENGTH, (int)(k->utf16 ? 2 * TRIB_ROW_MAX : TRIB_ROW_MAX));
	int rc = sqlite3_step(st);
	(void)sqlite3_limit(k->src->db, SQLITE_LIMIT_LENGTH, was);
	return rc & 0xff;
}

/* ---- one row ---- */

/* Appends `NAME = VALUE`; false when the value cannot be shown: NULL, or too large itself. */
static int put_key(const struct look *k, size_t i, int64_t place, struct trib_buf *b, bool *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(SQL_MAX);
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	trib_buf_puts(&sql, "SELECT quote(CASE WHEN typeof(");
	put_column(&sql, k->t, i);
	trib_buf_puts(&sql, ") IN ('text', 'blob') THEN substr(");
	put_column(&sql, k->t, i);
	trib_buf_puts(&sql, ", 1, 40) ELSE ");
	put_column(&sql, k->t, i);
	trib_buf_puts(&sql, " END)");
	put_one(&sql, k);
	if (prepare(k, &sql, place, &st, err))
		return -1;
	int rc = step(k, st);
	if (rc != SQLITE_ROW && rc != SQLITE_TOOBIG && rc != SQLITE_DONE)
		return fail(k, err);
	const char *text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
	*ret = text && strcmp(text, "NULL") != 0;
	if (*ret)
		trib_buf_printf(b, "%s%s = %s", b->len ? ", " : "", k->t->cols[i].name, text);
	return trib_buf_check(b, "the name of a row", err);
}

/* By its key if it has one, else by what leads to it. */
static int name_row(const struct look *k, int64_t place, char **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MIB);
	bool shown = k->t->keyed;
	for (unsigned at = 1; shown && at <= k->t->npk; at++)
		for (size_t i = 0; shown && i < k->t->ncols; i++)
			if (k->t->cols[i].pk == at && put_key(k, i, place, &b, &shown, err))
				return -1;
	if (!shown) {
		trib_buf_reset(&b);
		trib_buf_printf(&b, k->rowid ? "rowid = %lld" : "#%lld", (long long)(k->rowid ? place : place + 1));
	}
	*ret = strdup(trib_buf_str(&b));
	return *ret ? 0 : oom(err);
}

static int note_large(struct look *k, int64_t place, struct trib_err *err)
{
	k->out->too_large++;
	if (k->out->nlarge == TRIB_SURVEY_NAMED)
		return 0;
	if (name_row(k, place, &k->out->large[k->out->nlarge], err))
		return -1;
	k->out->nlarge++;
	return 0;
}

/* As the file has it: UTF-16 stays what it is. */
static struct trib_value raw_value(sqlite3_stmt *st, int i)
{
	int type = sqlite3_column_type(st, i);
	if (type != SQLITE_TEXT && type != SQLITE_BLOB)
		return (struct trib_value){.type = type == SQLITE_NULL ? TRIB_NULL : TRIB_INT};
	const void *p = sqlite3_column_blob(st, i);
	int n = sqlite3_column_bytes(st, i);
	return (struct trib_value){.type = type == SQLITE_TEXT ? TRIB_TEXT : TRIB_BLOB, .s = trib_span(p ? p : "", n > 0 ? (size_t)n : 0)};
}

/* Only the text itself tells how long it is in UTF-8. */
static int read_texts(struct look *k, int64_t place, size_t room, const char **ret_why, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(SQL_MAX);
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	for (size_t i = 0; i < k->ncols; i++) {
		trib_buf_puts(&sql, i ? "," : "SELECT ");
		put_column(&sql, k->t, (size_t)k->cols[i]);
	}
	put_one(&sql, k);
	if (prepare(k, &sql, place, &st, err))
		return -1;
	int rc = step(k, st);
	if (rc != SQLITE_ROW && rc != SQLITE_TOOBIG)
		return fail(k, err);
	*ret_why = "row-too-large";
	if (rc == SQLITE_TOOBIG)
		return 0;
	for (size_t i = 0; i < k->ncols; i++)
		k->v[i] = raw_value(st, (int)i);
	return trib_row_fit(&k->text, k->v, k->ncols, room, ret_why, err);
}

/* What a row of these sizes comes to when each two bytes of UTF-16 become so many of UTF-8: 1 to 3. */
static int fit_sizes(struct look *k, sqlite3_stmt *st, size_t bytes, size_t room, bool *ret_odd, const char **ret_why, struct trib_err *err)
{
	for (size_t i = 0; i < k->ncols; i++) {
		int at = (int)i + 1;
		int64_t n = sqlite3_column_int64(st, at);
		bool text = n >= 0 && n % 2;
		k->v[i] = (struct trib_value){.type = sqlite3_column_type(st, at) == SQLITE_NULL ? TRIB_NULL : n < 0 ? TRIB_INT : TRIB_BLOB};
		n = n > 0 ? n / 2 : 0;
		*ret_odd = *ret_odd || (text && k->utf16 && n % 2);
		k->v[i].s.n = !text || !k->utf16 ? (size_t)n : n % 2 ? 0 : (size_t)n / 2 * bytes;
	}
	return trib_row_fit(&k->sizes, k->v, k->ncols, room, ret_why, err);
}

static bool key_has_null(const struct look *k, sqlite3_stmt *st)
{
	for (size_t i = 0; i < k->ncols; i++)
		if (k->t->cols[k->cols[i]].pk && sqlite3_column_type(st, (int)i + 1) == SQLITE_NULL)
			return true;
	return false;
}

static int spend(struct look *k, sqlite3_stmt *st, struct trib_err *err)
{
	uint64_t bytes = 0;
	for (size_t i = 0; i < k->ncols; i++) {
		int64_t n = sqlite3_column_int64(st, (int)i + 1);
		bytes += n > 0 ? (uint64_t)n / 2 : 0;
	}
	return trib_spend(&k->spent, bytes, err) ? trib_ctx(err, "table %s", k->t->name) : 0;
}

/* The row on which the statement stands. */
static int judge(struct look *k, sqlite3_stmt *st, int64_t place, struct trib_err *err)
{
	bool null = nulls_possible(k->t) && key_has_null(k, st), odd = false;
	const char *why = NULL;
	if (k->all) {
		size_t room = trib_row_room(!k->t->keyed ? TRIB_ROWS_ALL : null ? TRIB_ROWS_BAG : TRIB_ROWS_KEYED);
		if (spend(k, st, err) || fit_sizes(k, st, 1, room, &odd, &why, err))
			return -1;
		const char *most = NULL;
		if (!why && k->utf16 && fit_sizes(k, st, 3, room, &odd, &most, err))
			return -1;
		if (most && read_texts(k, place, room, &why, err))
			return -1;
	}
	if (why && strcmp(why, "row-too-large") == 0)
		return note_large(k, place, err);
	k->out->no_text += odd;
	k->out->null_keys += null && !odd;
	return 0;
}

/* ---- one table ---- */

/* The row at which SQLITE_TOOBIG ended: the next one. */
static int pass_large(struct look *k, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(SQL_MAX);
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int64_t place = (int64_t)k->passed;
	if (k->rowid) {
		trib_buf_puts(&sql, "SELECT min(t.");
		trib_buf_puts(&sql, k->rowid);
		trib_buf_puts(&sql, ")");
		put_from(&sql, k);
		trib_buf_puts(&sql, " WHERE t.");
		trib_buf_puts(&sql, k->rowid);
		trib_buf_puts(&sql, " >= ?1");
		if (prepare(k, &sql, k->any ? k->at + 1 : INT64_MIN, &st, err))
			return -1;
		if (step(k, st) != SQLITE_ROW)
			return fail(k, err);
		if (sqlite3_column_type(st, 0) != SQLITE_INTEGER)
			return damaged(k, err);
		place = sqlite3_column_int64(st, 0);
	}
	if (k->passed >= k->room)
		return damaged(k, err);
	if (note_large(k, place, err))
		return -1;
	k->any = true;
	k->at = place;
	k->passed++;
	return 0;
}

static bool in_order(struct look *k, int64_t rowid)
{
	bool rises = !k->rowid || !k->any || rowid > k->at;
	k->any = true;
	k->at = rowid;
	return rises && k->passed++ < k->room;
}

/* 1: there is more, 0: the end, -1. */
static int read_part(struct look *k, bool holds, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int64_t end = trib_mono_ms() + PART_MS;
	int rc;
	if (k->any && k->at == INT64_MAX)
		return 0;
	if (prepare_rest(k, &st, err))
		return -1;
	while ((rc = step(k, st)) == SQLITE_ROW) {
		int64_t id = sqlite3_column_int64(st, 0), place = k->rowid ? id : (int64_t)k->passed;
		if (!in_order(k, id))
			return damaged(k, err);
		if (judge(k, st, place, err))
			return -1;
		if (holds && k->passed % 64 == 0 && trib_mono_ms() >= end)
			return 1;
	}
	if (rc == SQLITE_TOOBIG)
		return pass_large(k, err) ? -1 : 1;
	return rc == SQLITE_DONE ? 0 : fail(k, err);
}

/* Lets the program write that owns the database. *ret_moved: it changed its tables. */
static int let_write(struct look *k, bool *ret_moved, struct trib_err *err)
{
	const struct timespec rest = {.tv_nsec = REST_MS * 1000000L};
	int64_t now = 0, pages = 0;
	trib_source_pause(k->src);
	(void)nanosleep(&rest, NULL);
	if (trib_source_resume(k->src, err) || trib_db_int(k->src->db, "PRAGMA main.schema_version", 0, &now, err) ||
	    trib_db_int(k->src->db, "PRAGMA main.page_count", 0, &pages, err))
		return -1;
	*ret_moved = now != k->version;
	uint64_t room = (uint64_t)pages * k->s->text.page_size / CELL_MIN + k->passed;
	k->room = room > k->room ? room : k->room;
	return 0;
}

static int choose_columns(struct look *k, struct trib_err *err)
{
	const struct trib_table *t = k->t;
	k->cols = calloc(t->ncols + 1, sizeof(*k->cols));
	k->v = calloc(t->ncols + 1, sizeof(*k->v));
	if (!k->cols || !k->v)
		return oom(err);
	k->ncols = 0;
	for (size_t i = 0; i < t->ncols; i++)
		if (k->all || t->cols[i].pk)
			k->cols[k->ncols++] = (int)i;
	k->quoted = TRIB_BUF(4 * TRIB_NAME_MAX);
	k->rowid = t->rowid_name;
	for (size_t i = 0; i < t->ncols && !k->rowid && t->rowid_key; i++)
		if (t->cols[i].pk) {
			trib_sql_ident(&k->quoted, t->cols[i].name);
			k->rowid = trib_buf_str(&k->quoted);
		}
	return trib_buf_check(&k->quoted, "a name", err);
}

static int look_at_table(struct look *k, bool *ret_moved, struct trib_err *err)
{
	int64_t pages = 0;
	int more;
	bool holds = !k->src->immutable && !k->src->wal;
	if (choose_columns(k, err) || trib_db_int(k->src->db, "PRAGMA main.page_count", 0, &pages, err))
		return -1;
	k->any = false;
	k->passed = 0;
	k->room = (uint64_t)pages * k->s->text.page_size / CELL_MIN;
	/* Rows without a rowid can only be counted from the first one: the table is read in one go. */
	while ((more = read_part(k, holds && k->rowid, err)) == 1 && !*ret_moved)
		if (holds && k->rowid && let_write(k, ret_moved, err))
			return -1;
	return more < 0 ? -1 : 0;
}

/* Could a row of this file be too large at all? Numbers take 9 bytes in a changeset and may take none in the file; default values stand in the schema. */
static bool large_possible(const struct look *k, uint64_t pages)
{
	uint64_t most = pages * k->s->text.page_size + k->s->sql_text.len + (uint64_t)10 * TRIB_COLUMNS_MAX;
	return most > trib_row_room(TRIB_ROWS_ALL);
}

static int look_at_all(struct look *k, struct trib_survey *out, bool *ret_moved, struct trib_err *err)
{
	int64_t pages = 0;
	if (trib_db_int(k->src->db, "PRAGMA main.schema_version", 0, &k->version, err) || trib_db_int(k->src->db, "PRAGMA main.page_count", 0, &pages, err) ||
	    trib_spent_init(k->src->db, k->s->text.page_size, false, &k->spent, err))
		return -1;
	k->utf16 = strcmp(k->s->text.encoding, "UTF-8") != 0;
	k->all = k->utf16 || large_possible(k, (uint64_t)pages);
	trib_row_fit_init(&k->sizes, "UTF-8");
	trib_row_fit_init(&k->text, k->s->text.encoding);
	for (size_t i = 0; i < k->s->ntables && !*ret_moved; i++) {
		k->t = &k->s->tables[i];
		k->out = &out->tables[i];
		int rc = k->all || nulls_possible(k->t) ? look_at_table(k, ret_moved, err) : 0;
		table_end(k);
		if (rc)
			return -1;
	}
	return 0;
}

static int survey(struct trib_source *src, const struct trib_schema *s, struct trib_survey *ret, bool *ret_moved, struct trib_err *err)
{
	TRIB_AUTO(trib_survey) struct trib_survey out = {.tables = calloc(s->ntables + 1, sizeof(*out.tables)), .n = s->ntables};
	TRIB_AUTO(look) struct look k = {.src = src, .s = s};
	if (!out.tables) {
		out.n = 0;
		return oom(err);
	}
	if (look_at_all(&k, &out, ret_moved, err))
		return -1;
	*ret = out;
	out = (struct trib_survey){0};
	return 0;
}

int trib_survey_memory(sqlite3 *db, const struct trib_schema *s, struct trib_survey *ret, struct trib_err *err)
{
	struct trib_source src = {.db = db, .immutable = true}; /* nobody else writes it; still the caller's */
	bool moved = false;
	return survey(&src, s, ret, &moved, err);
}

int trib_capture_survey(const char *db_path, struct trib_schema *ret_schema, struct trib_survey *ret, struct trib_err *err)
{
	for (int i = 0; i < TIMES; i++) {
		TRIB_AUTO(trib_source) struct trib_source src = TRIB_SOURCE_INIT;
		TRIB_AUTO(trib_schema) struct trib_schema s = {0};
		TRIB_AUTO(trib_survey) struct trib_survey found = {0};
		bool moved = false;
		if (trib_source_open(db_path, TRIB_SOURCE_BUSY_MS, &src, err))
			return -1;
		int rc = trib_db_harden(src.db, err) || trib_schema_read(src.db, &s, err) || (ret && survey(&src, &s, &found, &moved, err)) ? -1 : 0;
		if (moved || trib_source_moved(&src))
			continue;
		if (rc)
			return trib_ctx(err, _("database %s"), db_path);
		*ret_schema = s;
		s = (struct trib_schema){0};
		if (ret)
			*ret = found;
		found = (struct trib_survey){0};
		return 0;
	}
	return trib_fail(err, TRIB_E_LOCKED, _("database %s: written to again and again while it was read; nothing was changed; try again later"), db_path);
}

int trib_capture_inspect(const char *db_path, struct trib_schema *ret, struct trib_err *err) { return trib_capture_survey(db_path, ret, NULL, err); }
