#include "core/store/schema.h"

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory reading the schema"); }

static void table_release(struct trib_table *t)
{
	for (size_t i = 0; i < t->ncols; i++) {
		free(t->cols[i].name);
		free(t->cols[i].type);
	}
	for (size_t i = 0; i < t->nbeyond; i++) {
		free(t->beyond[i].name);
		free(t->beyond[i].type);
	}
	free(t->cols);
	free(t->beyond);
	free(t->name);
	free(t->folded);
	free(t->rowid_name);
	free(t->sql);
	*t = (struct trib_table){0};
}
static void table_cleanup(struct trib_table *t) { table_release(t); }

void trib_schema_release(struct trib_schema *s)
{
	for (size_t i = 0; i < s->ntables; i++)
		table_release(&s->tables[i]);
	for (size_t i = 0; i < s->nleft_out; i++)
		free(s->left_out[i].name);
	free(s->tables);
	free(s->left_out);
	trib_schematext_release(&s->text);
	trib_buf_release(&s->sql_text);
	*s = (struct trib_schema){0};
}

static char *fold_dup(const char *name)
{
	char *p = strdup(name);
	if (p)
		trib_fold((uint8_t *)p, strlen(p));
	return p;
}

static const char *text_at(sqlite3_stmt *st, int i)
{
	const char *p = (const char *)sqlite3_column_text(st, i);
	return p ? p : "";
}

static bool internal(const char *name) { return sqlite3_strnicmp(name, "sqlite_", 7) == 0; }

static int leave_out(struct trib_schema *s, const char *name, const char *reason, struct trib_err *err)
{
	/* A manifest line holds at most TRIB_NAME_MAX bytes; the beginning says enough. */
	TRIB_AUTO(trib_mem) char *cut = strndup(name, TRIB_NAME_MAX);
	if (!cut)
		return oom(err);
	for (size_t i = 0; i < s->nleft_out; i++)
		if (strcmp(s->left_out[i].name, cut) == 0)
			return 0;
	struct trib_left_out *grown = reallocarray(s->left_out, s->nleft_out + 1, sizeof(*grown));
	if (!grown)
		return oom(err);
	s->left_out = grown;
	s->left_out[s->nleft_out++] = (struct trib_left_out){cut, reason};
	cut = NULL;
	return 0;
}

static int add_column(struct trib_table *t, sqlite3_stmt *st, struct trib_err *err)
{
	if (sqlite3_column_int(st, 3) >= 2) { /* hidden: 2 virtual, 3 stored generated column */
		t->ngenerated++;
		return 0;
	}
	struct trib_column *grown = reallocarray(t->cols, t->ncols + 1, sizeof(*grown));
	if (!grown)
		return oom(err);
	t->cols = grown;
	struct trib_column *c = &t->cols[t->ncols++];
	*c = (struct trib_column){strdup(text_at(st, 0)), (unsigned)sqlite3_column_int(st, 2), strdup(text_at(st, 1))};
	if (!c->name || !c->type)
		return oom(err);
	t->npk += c->pk > 0;
	return 0;
}

/* PRIMARY KEY(a, a, b) is legal and numbers its places 1 and 3: close the gaps. */
static void close_key_gaps(struct trib_table *t)
{
	unsigned done = 0;
	for (unsigned k = 1; k <= t->npk; k++) {
		struct trib_column *next = NULL;
		for (size_t i = 0; i < t->ncols; i++)
			if (t->cols[i].pk > done && (!next || t->cols[i].pk < next->pk))
				next = &t->cols[i];
		if (!next)
			return;
		done = next->pk;
		next->pk = k;
	}
}

static const char *const rowid_names[] = {"rowid", "_rowid_", "oid"};

static int read_columns(sqlite3 *db, struct trib_table *t, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db, "SELECT name, type, pk, hidden FROM pragma_table_xinfo(?1, 'main')", &st, err))
		return -1;
	if (sqlite3_bind_text(st, 1, t->name, -1, SQLITE_STATIC))
		return trib_db_fail(err, db, "reading columns");
	bool taken[TRIB_COUNT(rowid_names)] = {false};
	int row;
	while ((row = trib_db_step(db, st, err)) == 1) {
		for (size_t i = 0; i < TRIB_COUNT(rowid_names); i++)
			taken[i] = taken[i] || sqlite3_stricmp(text_at(st, 0), rowid_names[i]) == 0;
		if (add_column(t, st, err))
			return -1;
	}
	if (row < 0)
		return -1;
	close_key_gaps(t);
	for (size_t i = 0; i < TRIB_COUNT(rowid_names) && !t->without_rowid && !t->rowid_name; i++)
		if (!taken[i] && !(t->rowid_name = strdup(rowid_names[i])))
			return oom(err);
	return 0;
}

static int read_key(sqlite3 *db, struct trib_table *t, struct trib_err *err)
{
	t->keyed = t->npk > 0;
	if (t->without_rowid || t->npk != 1)
		return 0;
	const struct trib_column *key = NULL;
	for (size_t i = 0; i < t->ncols && !key; i++)
		key = t->cols[i].pk ? &t->cols[i] : NULL;
	if (!key || sqlite3_stricmp(key->type, "INTEGER") != 0)
		return 0;
	/* INTEGER PRIMARY KEY DESC is no alias; only then there is an index for the key. */
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db, "SELECT 1 FROM pragma_index_list(?1, 'main') WHERE origin = 'pk'", &st, err))
		return -1;
	if (sqlite3_bind_text(st, 1, t->name, -1, SQLITE_STATIC))
		return trib_db_fail(err, db, "reading indexes");
	int row = trib_db_step(db, st, err);
	if (row < 0)
		return -1;
	t->rowid_key = row == 0;
	int autoinc = 0;
	if (t->rowid_key && sqlite3_table_column_metadata(db, "main", t->name, key->name, NULL, NULL, NULL, NULL, &autoinc))
		return trib_db_fail(err, db, "reading the key");
	t->autoincrement = autoinc != 0;
	return 0;
}

static bool names_too_long(const struct trib_table *t)
{
	if (strlen(t->name) > TRIB_NAME_MAX)
		return true;
	for (size_t i = 0; i < t->ncols; i++)
		if (strlen(t->cols[i].name) > TRIB_NAME_MAX)
			return true;
	return false;
}

/* The mirror of a table has more columns than the table: `_node`, and for rows without identity `_hash` and `_count`. Nor can more than 255 places
 * of a key be numbered (F3). */
static bool too_wide(const struct trib_table *t)
{
	bool bag = !t->rowid_key && !t->without_rowid; /* a key may be NULL there: such rows have no identity */
	return t->ncols + (bag ? 3 : 1) > TRIB_COLUMNS_MAX || t->npk > UINT8_MAX;
}

/* Whether SQLite has the collation: PRAGMA collation_list also lists names it has only heard of. 1, 0 or -1. */
static int collation_known(sqlite3 *db, const char *name, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(TRIB_SCHEMA_MAX);
	trib_buf_puts(&sql, "SELECT 'a' = 'b' COLLATE ");
	trib_sql_ident(&sql, name);
	if (trib_buf_check(&sql, "the name of a collation", err))
		return -1;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, trib_buf_str(&sql), -1, &st, NULL);
	if (rc != SQLITE_OK && (rc & 0xff) != SQLITE_ERROR)
		return trib_db_fail(err, db, "looking for a collation");
	return rc == SQLITE_OK;
}

/* Why a table could not be prepared: SQLite's own message ("no query solution") does not tell. */
static int unreadable_reason(sqlite3 *db, const struct trib_table *t, const char **ret, struct trib_err *err)
{
	static const char sql[] = "SELECT DISTINCT x.coll FROM pragma_index_list(?1, 'main') AS l, pragma_index_xinfo(l.name, 'main') AS x"
				  " WHERE x.coll IS NOT NULL";
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db, sql, &st, err))
		return -1;
	if (sqlite3_bind_text(st, 1, t->name, -1, SQLITE_STATIC))
		return trib_db_fail(err, db, "reading indexes");
	int row, known = 1;
	while (known == 1 && (row = trib_db_step(db, st, err)) != 0)
		known = row < 0 ? -1 : collation_known(db, text_at(st, 0), err);
	if (known < 0)
		return -1;
	*ret = known ? "unreadable" : "no-collation";
	return 0;
}

/* Whether the rows can be read at all: 1 yes, 0 no with *ret_reason, -1 the database failed. */
static int readable(sqlite3 *db, const struct trib_table *t, const char **ret_reason, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(4 * TRIB_MIB);
	trib_buf_puts(&sql, "SELECT ");
	for (size_t i = 0; i < t->ncols; i++) {
		trib_buf_puts(&sql, i ? "," : "");
		trib_sql_ident(&sql, t->cols[i].name);
	}
	trib_buf_puts(&sql, t->ncols ? " FROM main." : "1 FROM main.");
	trib_sql_ident(&sql, t->name);
	if (trib_buf_check(&sql, "a SELECT statement", err))
		return -1;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(db, trib_buf_str(&sql), -1, &st, NULL);
	if (rc == SQLITE_OK)
		return 1;
	if ((rc & 0xff) != SQLITE_ERROR)
		return trib_db_fail(err, db, "preparing to read a table");
	return unreadable_reason(db, t, ret_reason, err);
}

static int add_table(sqlite3 *db, struct trib_schema *s, sqlite3_stmt *row, struct trib_err *err)
{
	TRIB_AUTO(table) struct trib_table t = {.name = strdup(text_at(row, 0)), .folded = fold_dup(text_at(row, 0))};
	if (!t.name || !t.folded)
		return oom(err);
	t.without_rowid = sqlite3_column_int(row, 2) != 0;
	t.strict = sqlite3_column_int(row, 3) != 0;
	if (read_columns(db, &t, err) || read_key(db, &t, err))
		return trib_ctx(err, "table %.200s", t.name);
	const char *reason = "name-too-long";
	int ok = 0;
	if (too_wide(&t))
		reason = "too-many-columns";
	else if (!names_too_long(&t))
		ok = readable(db, &t, &reason, err);
	if (ok <= 0)
		return ok < 0 ? trib_ctx(err, "table %.200s", t.name) : leave_out(s, t.name, reason, err);
	if (s->ntables >= TRIB_TABLES_MAX)
		return trib_fail(err, TRIB_E_SCHEMA, "the database has more than %d tables; it is not captured", TRIB_TABLES_MAX);
	struct trib_table *grown = reallocarray(s->tables, s->ntables + 1, sizeof(*grown));
	if (!grown)
		return oom(err);
	s->tables = grown;
	s->has_autoincrement = s->has_autoincrement || t.autoincrement;
	s->tables[s->ntables++] = t;
	t = (struct trib_table){0};
	return 0;
}

static int by_folded(const void *a, const void *b)
{
	return strcmp(((const struct trib_table *)a)->folded, ((const struct trib_table *)b)->folded);
}
static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct trib_left_out *)a)->name, ((const struct trib_left_out *)b)->name);
}

/* SQLite's own: what they say is made again, or travels elsewhere. */
static int own_table(struct trib_schema *s, const char *name, struct trib_err *err)
{
	if (sqlite3_stricmp(name, "sqlite_schema") == 0 || sqlite3_stricmp(name, "sqlite_master") == 0)
		return 0;
	if (sqlite3_stricmp(name, "sqlite_sequence") == 0) {
		s->has_sequence = true;
		return 0;
	}
	return leave_out(s, name, sqlite3_strnicmp(name, "sqlite_stat", 11) == 0 ? "statistics" : "internal", err);
}

static int read_tables(sqlite3 *db, struct trib_schema *s, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db, "SELECT name, type, wr, strict FROM pragma_table_list WHERE schema = 'main' AND type <> 'view'", &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(db, st, err)) == 1) {
		const char *type = text_at(st, 1);
		int rc = 0;
		if (internal(text_at(st, 0)))
			rc = own_table(s, text_at(st, 0), err);
		else if (!*text_at(st, 0)) /* legal in SQLite; written as SQL writes it, for a line needs a name */
			rc = leave_out(s, "\"\"", "no-name", err);
		else if (strcmp(type, "virtual") == 0)
			rc = leave_out(s, text_at(st, 0), "virtual", err);
		else if (strcmp(type, "shadow") == 0)
			rc = leave_out(s, text_at(st, 0), "shadow", err);
		else
			rc = add_table(db, s, st, err);
		if (rc)
			return -1;
	}
	if (row < 0)
		return -1;
	if (s->ntables)
		qsort(s->tables, s->ntables, sizeof(*s->tables), by_folded);
	if (s->nleft_out)
		qsort(s->left_out, s->nleft_out, sizeof(*s->left_out), by_name);
	return 0;
}

/* The text that SQLite keeps may end inside a comment (of a view it drops the last line end): close it, or the semicolon is lost. */
static int put_statement(struct trib_buf *b, const char *sql, struct trib_err *err)
{
	static const char *const ends[] = {";", "\n;", "*/;"};
	size_t start = b->len;
	for (size_t i = 0; i < TRIB_COUNT(ends); i++) {
		b->len = start;
		trib_buf_puts(b, sql);
		trib_buf_puts(b, ends[i]);
		if (trib_buf_check(b, "the schema's SQL", err))
			return -1;
		if (sqlite3_complete((const char *)b->p + start)) {
			trib_buf_putc(b, '\n');
			return trib_buf_check(b, "the schema's SQL", err);
		}
	}
	return trib_fail(err, TRIB_E_SCHEMA, "a statement of the schema has no end: %.80s", sql);
}

static int keep_table_sql(struct trib_schema *s, const char *name, const char *sql, struct trib_err *err)
{
	for (size_t i = 0; i < s->ntables; i++)
		if (strcmp(s->tables[i].name, name) == 0 && !s->tables[i].sql)
			return (s->tables[i].sql = strdup(sql)) ? 0 : oom(err);
	return 0;
}

static int read_sql(sqlite3 *db, struct trib_schema *s, struct trib_err *err)
{
	/* Statements of virtual tables and of their shadow tables, with indexes and triggers on them, stay out. */
	static const char sql[] =
		"SELECT m.type, m.name, m.sql FROM main.sqlite_schema AS m WHERE m.sql IS NOT NULL"
		" AND m.type IN ('table', 'index', 'view', 'trigger') AND lower(substr(m.name, 1, 7)) <> 'sqlite_'"
		" AND lower(m.tbl_name) NOT IN (SELECT lower(name) FROM pragma_table_list WHERE schema = 'main' AND type IN ('virtual', 'shadow'))"
		" ORDER BY CASE m.type WHEN 'table' THEN 0 WHEN 'index' THEN 1 WHEN 'view' THEN 2 ELSE 3 END, m.rowid";
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db, sql, &st, err))
		return -1;
	int row;
	while ((row = trib_db_step(db, st, err)) == 1) {
		if (put_statement(&s->sql_text, text_at(st, 2), err))
			return -1;
		if (strcmp(text_at(st, 0), "table") == 0 && keep_table_sql(s, text_at(st, 1), text_at(st, 2), err))
			return -1;
	}
	return row;
}

static int pragma_u64(sqlite3 *db, const char *sql, uint64_t *ret, struct trib_err *err)
{
	int64_t v;
	if (trib_db_int(db, sql, 0, &v, err))
		return -1;
	*ret = v < 0 ? 0 : (uint64_t)v;
	return 0;
}

static int read_settings(sqlite3 *db, struct trib_schematext *t, struct trib_err *err)
{
	if (pragma_u64(db, "PRAGMA main.page_size", &t->page_size, err) ||
	    pragma_u64(db, "PRAGMA main.auto_vacuum", &t->auto_vacuum, err) ||
	    trib_db_int(db, "PRAGMA main.user_version", 0, &t->user_version, err) ||
	    trib_db_int(db, "PRAGMA main.application_id", 0, &t->application_id, err))
		return -1;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(db, "PRAGMA encoding", &st, err))
		return -1;
	if (trib_db_step(db, st, err) != 1)
		return trib_fail(err, TRIB_E_DB, "SQLite does not tell the encoding");
	(void)snprintf(t->encoding, sizeof(t->encoding), "%s", text_at(st, 0));
	return 0;
}

static int fill_text(struct trib_schema *s, struct trib_err *err)
{
	for (size_t i = 0; i < s->ntables; i++) {
		const struct trib_table *t = &s->tables[i];
		struct trib_st_table *line = trib_schematext_add(&s->text, t->name, false);
		if (!line)
			return oom(err);
		for (size_t c = 0; c < t->ncols; c++)
			if (trib_schematext_add_column(line, t->cols[c].name, t->cols[c].pk, err))
				return -1;
	}
	trib_schematext_sort(&s->text);
	s->text.sql = trib_buf_span(&s->sql_text);
	return 0;
}

static int read_all(sqlite3 *db, struct trib_schema *s, struct trib_err *err)
{
	if (read_settings(db, &s->text, err) || read_tables(db, s, err) || read_sql(db, s, err) || fill_text(s, err))
		return -1;
	return 0;
}

int trib_schema_read(sqlite3 *db, struct trib_schema *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_schema) struct trib_schema s = {0};
	trib_buf_init(&s.sql_text, TRIB_SCHEMA_MAX);
	/* One read transaction, whether or not the caller has one open. */
	int rc = trib_db_exec(db, "SAVEPOINT trib_schema_read", err);
	if (!rc) {
		rc = read_all(db, &s, err);
		(void)sqlite3_exec(db, "RELEASE trib_schema_read", NULL, NULL, NULL);
	}
	if (rc) {
		if (err->code == TRIB_E_DB || err->code == TRIB_E_LIMIT)
			err->code = TRIB_E_SCHEMA;
		return trib_ctx(err, "reading the schema");
	}
	*ret = s;
	s = (struct trib_schema){0};
	return 0;
}

const struct trib_table *trib_schema_find(const struct trib_schema *s, const char *folded)
{
	struct trib_table key = {.folded = (char *)(uintptr_t)folded};
	return s->ntables ? bsearch(&key, s->tables, s->ntables, sizeof(*s->tables), by_folded) : NULL;
}

static void put_lp(struct trib_buf *b, const char *s)
{
	size_t n = strlen(s);
	trib_buf_be32(b, (uint32_t)n);
	trib_buf_put(b, s, n);
}

void trib_schema_table_id(const struct trib_schema *s, const struct trib_table *t, struct trib_buf *ret)
{
	put_lp(ret, s->text.encoding);
	put_lp(ret, t->folded);
	trib_buf_be32(ret, (uint32_t)t->ncols);
	for (size_t i = 0; i < t->ncols; i++) {
		put_lp(ret, t->cols[i].name);
		put_lp(ret, t->cols[i].type);
		trib_buf_be32(ret, t->cols[i].pk);
	}
	put_lp(ret, t->sql ? t->sql : "");
}
