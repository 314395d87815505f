#include "core/store/schema.h"

/* Running the SQL part of a schema text. The text is a peer's: it is first cut into statements by a scanner of our own, each
 * statement must begin as one of five CREATE forms, and SQLite compiles it under an authorizer that knows nothing else. */


static bool word_byte(uint8_t c) { return c >= 0x80 || c == '_' || c == '$' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); }
static bool blank(uint8_t c) { return c == ' ' || c == '\t' || c == '\n' || c == '\f' || c == '\r'; }

/* Length of a quoted name or string, of a comment or of a run of blanks; the rest of the text when it has no end. */
static size_t until(struct trib_span s, size_t skip, const char *end)
{
	size_t n = strlen(end);
	const void *at = s.n > skip ? memmem(s.p + skip, s.n - skip, end, n) : NULL;
	return at ? (size_t)((const uint8_t *)at - s.p) + n : s.n;
}

static size_t gap_len(struct trib_span s)
{
	size_t n = 0;
	while (n < s.n && blank(s.p[n]))
		n++;
	if (n || s.n < 2)
		return n;
	if (s.p[0] == '-' && s.p[1] == '-')
		return until(s, 2, "\n");
	return s.p[0] == '/' && s.p[1] == '*' ? until(s, 2, "*/") : 0;
}

static void skip(struct trib_span *s, size_t n)
{
	s->p += n;
	s->n -= n;
}

static bool is_word(struct trib_span w, const char *word)
{
	return w.n == strlen(word) && sqlite3_strnicmp((const char *)w.p, word, (int)w.n) == 0;
}

/* Takes one token: a word, a quoted name or string, or one other byte. Empty at the end. Blanks and comments before it are passed over. */
static struct trib_span take_token(struct trib_span *s)
{
	for (size_t gap; (gap = gap_len(*s)) > 0;)
		skip(s, gap);
	if (!s->n)
		return *s;
	uint8_t c = s->p[0];
	size_t n = 1;
	if (c == '\'' || c == '"' || c == '`')
		n = until(*s, 1, c == '\'' ? "'" : c == '"' ? "\"" : "`");
	else if (c == '[')
		n = until(*s, 1, "]");
	else if (word_byte(c))
		while (n < s->n && word_byte(s->p[n]))
			n++;
	struct trib_span token = trib_span(s->p, n);
	skip(s, n);
	return token;
}

enum kind { KIND_TABLE, KIND_INDEX, KIND_VIEW, KIND_TRIGGER, KIND_OTHER };

struct statement {
	struct trib_span text; /* without the semicolon */
	enum kind kind;
};

static enum kind kind_of(struct trib_span text)
{
	if (!is_word(take_token(&text), "CREATE"))
		return KIND_OTHER;
	struct trib_span word = take_token(&text);
	if (is_word(word, "UNIQUE"))
		return is_word(take_token(&text), "INDEX") ? KIND_INDEX : KIND_OTHER;
	return is_word(word, "TABLE")	? KIND_TABLE :
	       is_word(word, "INDEX")	? KIND_INDEX :
	       is_word(word, "VIEW")	? KIND_VIEW :
	       is_word(word, "TRIGGER") ? KIND_TRIGGER :
					  KIND_OTHER;
}

/* Takes one statement: 1, 0 at the end, -1 when it does not end with a semicolon. A trigger ends at "; END ;" as for sqlite3_complete. */
static int take_statement(struct trib_span *s, struct statement *ret)
{
	for (size_t gap; (gap = gap_len(*s)) > 0;)
		skip(s, gap);
	if (!s->n)
		return 0;
	struct trib_span start = *s, token;
	enum kind kind = kind_of(start);
	bool semi = false, end_after_semi = false;
	while ((token = take_token(s)).n) {
		bool is_semi = token.p[0] == ';';
		if (is_semi && (kind != KIND_TRIGGER || end_after_semi)) {
			*ret = (struct statement){trib_span(start.p, (size_t)(token.p - start.p)), kind};
			return 1;
		}
		end_after_semi = semi && is_word(token, "END");
		semi = is_semi;
	}
	return -1;
}

/* What CREATE TABLE, INDEX, VIEW and TRIGGER need: to add rows to the schema table, and to look at columns in constraints. No SELECT, so
 * nothing can be read with it. */
static int allow(void *unused, int action, const char *a, const char *b, const char *database, const char *trigger)
{
	(void)unused;
	(void)b;
	(void)trigger;
	bool main_db = database && strcmp(database, "main") == 0;
	bool master = a && (strcmp(a, "sqlite_master") == 0 || strcmp(a, "sqlite_schema") == 0);
	switch (action) {
	case SQLITE_CREATE_TABLE:
	case SQLITE_CREATE_INDEX:
	case SQLITE_CREATE_VIEW:
	case SQLITE_CREATE_TRIGGER:
	case SQLITE_REINDEX:
	case SQLITE_READ:
		return main_db ? SQLITE_OK : SQLITE_DENY;
	case SQLITE_INSERT:
	case SQLITE_UPDATE:
		return main_db && master ? SQLITE_OK : SQLITE_DENY;
	case SQLITE_FUNCTION: /* in CHECK, defaults, generated columns, indexes: deterministic ones only, SQLite sees to it */
		return SQLITE_OK;
	default:
		return SQLITE_DENY;
	}
}

static int fail_at(struct trib_err *err, const struct statement *st, const char *why)
{
	return trib_fail(err, TRIB_E_SCHEMA, "%s: %.*s", why, st->text.n > 80 ? 80 : (int)st->text.n, (const char *)st->text.p);
}

static int fail_db(struct trib_err *err, const struct statement *st, sqlite3 *db)
{
	trib_db_fail(err, db, "running the schema");
	if (err->code != TRIB_E_DB)
		return -1;
	char why[256];
	(void)snprintf(why, sizeof(why), "the schema cannot be made (%.200s)", sqlite3_errmsg(db));
	return fail_at(err, st, why);
}

/* ---- what only the application has ---- */

static void note(struct trib_buf *names, const char *name)
{
	if (names && names->len)
		trib_buf_puts(names, ", ");
	for (; names && *name; name++) /* people read it */
		trib_buf_putc(names, (uint8_t)*name < ' ' || *name == 0x7f ? '?' : (uint8_t)*name);
}

static int compare_bytes(void *unused, int n, const void *a, int m, const void *b)
{
	(void)unused;
	int c = memcmp(a, b, (size_t)(n < m ? n : m));
	return c ? c : n - m;
}

/* A collation of the application's own: its columns take any order, its indexes are another one's until the application makes them anew. */
static void need_collation(void *names, sqlite3 *db, int encoding, const char *name)
{
	(void)encoding;
	if (sqlite3_create_collation_v2(db, name, SQLITE_UTF8, NULL, compare_bytes, NULL) == SQLITE_OK)
		note(names, name);
}

void trib_schema_stand_ins(sqlite3 *db, struct trib_buf *names) { (void)sqlite3_collation_needed(db, names, need_collation); }

static int run_one(sqlite3 *db, const struct statement *s, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	const char *tail = NULL, *text = (const char *)s->text.p;
	if (sqlite3_prepare_v2(db, text, (int)s->text.n, &st, &tail) != SQLITE_OK)
		return fail_db(err, s, db);
	/* SQLite must see the same one statement that our scanner saw. */
	if (!st || tail != text + s->text.n)
		return fail_at(err, s, "the schema holds a statement that is read in two ways");
	if (sqlite3_step(st) != SQLITE_DONE)
		return fail_db(err, s, db);
	return 0;
}

static int run_all(sqlite3 *db, struct trib_span sql, char which, struct trib_err *err)
{
	struct statement s;
	int more;
	while ((more = take_statement(&sql, &s)) == 1) {
		if (s.kind == KIND_OTHER)
			return fail_at(err, &s, "the schema holds a statement other than CREATE TABLE, INDEX, VIEW or TRIGGER");
		if ((s.kind == KIND_TABLE) == (which == 't') && run_one(db, &s, err))
			return -1;
	}
	if (more < 0)
		return trib_fail(err, TRIB_E_SCHEMA, "the last statement of the schema does not end with a semicolon");
	return 0;
}

int trib_schema_run(sqlite3 *db, struct trib_span sql, char which, struct trib_buf *stand_ins, struct trib_err *err)
{
	if (which != 't' && which != 'r')
		return trib_fail(err, TRIB_E_USAGE, "which part of a schema to run must be 't' or 'r'");
	if (sql.n > TRIB_SCHEMA_MAX || (sql.n && memchr(sql.p, 0, sql.n)))
		return trib_fail(err, TRIB_E_SCHEMA, "the schema is too long or holds a NUL byte");
	if (trib_db_exec(db, "SAVEPOINT trib_schema_run", err))
		return -1;
	(void)sqlite3_set_authorizer(db, allow, NULL);
	trib_schema_stand_ins(db, stand_ins);
	int rc = run_all(db, sql, which, err);
	(void)sqlite3_collation_needed(db, NULL, NULL);
	(void)sqlite3_set_authorizer(db, NULL, NULL);
	if (rc) {
		(void)sqlite3_exec(db, "ROLLBACK TO trib_schema_run", NULL, NULL, NULL);
		(void)sqlite3_exec(db, "RELEASE trib_schema_run", NULL, NULL, NULL);
		return -1;
	}
	return trib_db_exec(db, "RELEASE trib_schema_run", err);
}

int trib_schema_of_sql(struct trib_span sql, struct trib_schema *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	if (sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE, NULL) != SQLITE_OK)
		return trib_db_fail(err, db, "opening an empty database");
	return trib_db_harden(db, err) || trib_schema_run(db, sql, 't', NULL, err) ? -1 : trib_schema_read(db, ret, err);
}

/* ---- columns whose values are absent ---- */

/* The name that a token stands for, without its quotes. */
static void unquote(struct trib_span token, struct trib_buf *ret)
{
	trib_buf_reset(ret);
	uint8_t open = token.n ? token.p[0] : 0, close = open == '[' ? ']' : open;
	if (token.n < 2 || !strchr("\"'`[", open)) {
		trib_buf_put_span(ret, token);
		return;
	}
	for (size_t i = 1; i + 1 < token.n; i++) {
		trib_buf_putc(ret, token.p[i]);
		i += token.p[i] == close && open != '[';
	}
}

struct relax {
	trib_schema_missing missing;
	void *ctx;
	struct trib_span text; /* of the statement */
	uint8_t *copy;         /* the same bytes, to be changed */
	struct trib_buf table, column;
};

static void blank_out(struct relax *r, struct trib_span token) { memset(r->copy + (token.p - r->text.p), ' ', token.n); }

/* Takes the tokens of one column or constraint, up to the comma or closing parenthesis, which is returned. */
static struct trib_span relax_item(struct relax *r, struct trib_span *rest)
{
	struct trib_span token = take_token(rest), before = {0};
	unquote(token, &r->column);
	bool missing = r->missing(r->ctx, trib_buf_span(&r->table), trib_buf_span(&r->column));
	int on_conflict = 0; /* tokens of ON CONFLICT x that may still follow */
	for (size_t depth = 0; token.n; token = take_token(rest)) {
		if (depth == 0 && (token.p[0] == ',' || token.p[0] == ')'))
			return token;
		depth += token.p[0] == '(';
		depth -= token.p[0] == ')';
		if (missing && depth == 0 && on_conflict > 0) {
			bool goes_on = on_conflict == 1 || is_word(token, on_conflict == 3 ? "ON" : "CONFLICT");
			on_conflict = goes_on ? on_conflict - 1 : 0;
			if (goes_on)
				blank_out(r, token);
		}
		if (missing && depth == 0 && is_word(token, "NULL") && is_word(before, "NOT")) {
			blank_out(r, before);
			blank_out(r, token);
			on_conflict = 3;
		}
		before = token;
	}
	return token;
}

static void relax_table(struct relax *r)
{
	struct trib_span rest = r->text, token;
	(void)take_token(&rest);
	(void)take_token(&rest); /* CREATE TABLE */
	unquote(take_token(&rest), &r->table);
	token = take_token(&rest);
	while (token.n && (token.p[0] == '(' || token.p[0] == ','))
		token = relax_item(r, &rest);
}

int trib_schema_relax(struct trib_span sql, trib_schema_missing missing, void *ctx, struct trib_buf *ret, struct trib_err *err)
{
	struct relax r = {.missing = missing, .ctx = ctx, .table = TRIB_BUF(TRIB_SCHEMA_MAX), .column = TRIB_BUF(TRIB_SCHEMA_MAX)};
	struct statement s;
	size_t start = ret->len;
	struct trib_span rest = sql;
	int more;
	trib_buf_put_span(ret, sql);
	while (!ret->failed && (more = take_statement(&rest, &s)) == 1) {
		if (s.kind != KIND_TABLE)
			continue;
		r.text = s.text;
		r.copy = ret->p + start + (s.text.p - sql.p);
		relax_table(&r);
	}
	int rc = trib_buf_check(&r.table, "table name", err) || trib_buf_check(&r.column, "column name", err) ? -1 : 0;
	trib_buf_release(&r.table);
	trib_buf_release(&r.column);
	return rc ? -1 : trib_buf_check(ret, "schema.sql", err);
}
