#include "core/replay/shape.h"

/* The longest statement names every column of a wide table three times, quoted. */
#define SQL_MAX (TRIB_MIB * 4)
#define NAME_TRIES 64
#define MIRROR_COLUMNS_MAX 2000 /* SQLite's own limit, `_node` and `_hash` included */

/* ---- names ---- */

static bool starts_folded(struct trib_span s, const char *prefix)
{
	size_t n = strlen(prefix);

	return s.n >= n && trib_fold_cmp(trib_span(s.p, n), trib_span_str(prefix)) == 0;
}

static bool is_folded(struct trib_span s, const char *name)
{
	return trib_fold_cmp(s, trib_span_str(name)) == 0;
}

static bool reserved(struct trib_span name)
{
	struct trib_span bare = name;

	while (bare.n && bare.p[0] == '_') {
		bare.p++;
		bare.n--;
	}
	if (starts_folded(bare, "sqlite_"))
		return true;
	if (bare.n == name.n)
		return false;
	return is_folded(bare, "node") || is_folded(bare, "count") || is_folded(bare, "hash") || starts_folded(bare, "bag_") ||
	       starts_folded(bare, "t_");
}

void trib_city_name(struct trib_buf *b, struct trib_span name)
{
	if (reserved(name))
		trib_buf_putc(b, '_');
	trib_buf_put_span(b, name);
}

static int name_taken(sqlite3 *db, const char *name, bool *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int r;

	if (trib_db_prepare(db, "SELECT 1 FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE", &st, err) < 0)
		return -1;
	if (sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC) != SQLITE_OK)
		return trib_db_fail(err, db, "looking for a table name");
	r = trib_db_step(db, st, err);
	if (r < 0)
		return -1;
	*ret = r == 1;
	return 0;
}

/* Puts `_` in front until nothing in the file has the name: the city's own tables live beside the mirrors. */
static int free_name(sqlite3 *db, struct trib_buf *name, struct trib_err *err)
{
	for (int i = 0; i < NAME_TRIES; i++) {
		TRIB_AUTO(trib_buf) struct trib_buf old = TRIB_BUF(SQL_MAX);
		bool taken = false;

		if (trib_buf_check(name, "table name", err) < 0 || name_taken(db, trib_buf_str(name), &taken, err) < 0)
			return -1;
		if (!taken)
			return 0;
		trib_buf_put_span(&old, trib_buf_span(name));
		trib_buf_reset(name);
		trib_buf_putc(name, '_');
		trib_buf_put_span(name, trib_buf_span(&old));
	}
	return trib_fail(err, TRIB_E_SCHEMA, "no free name for the mirror of %s", trib_buf_str(name));
}

/* ---- the struct ---- */

void trib_shape_release(struct trib_shape *s)
{
	for (size_t i = 0; s->cols && i < s->ncol; i++)
		free(s->cols[i]);
	for (size_t i = 0; s->city && i < s->ncol; i++)
		free(s->city[i]);
	free(s->cols);
	free(s->city);
	free(s->pk);
	free(s->name);
	free(s->mirror);
	*s = (struct trib_shape){0};
}

static int alloc_columns(struct trib_shape *s, size_t ncol, struct trib_err *err)
{
	s->ncol = ncol;
	s->cols = calloc(ncol ? ncol : 1, sizeof(*s->cols));
	s->city = calloc(ncol ? ncol : 1, sizeof(*s->city));
	s->pk = calloc(ncol ? ncol : 1, 1);
	if (!s->cols || !s->city || !s->pk)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for a table of %zu columns", ncol);
	return 0;
}

static char *folded(const char *prefix, const char *name)
{
	char *s = NULL;

	if (asprintf(&s, "%s%s", prefix, name) < 0)
		return NULL;
	trib_fold((uint8_t *)s, strlen(s));
	return s;
}

/* Everything but the city names. */
static int describe(const struct trib_st_table *t, struct trib_shape *s, struct trib_err *err)
{
	if (t->ncols == 0 || t->ncols > TRIB_COLUMNS_MAX)
		return trib_fail(err, TRIB_E_SCHEMA, "table %s has %zu columns", t->name, t->ncols);
	if (alloc_columns(s, t->ncols + (t->bag ? 1 : 0), err) < 0)
		return -1;
	s->bag = t->bag;
	s->name = folded(t->bag ? TRIB_BAG_PREFIX : "", t->name);
	for (size_t i = 0; i < t->ncols; i++) {
		s->cols[i] = folded("", t->cols[i].name);
		s->pk[i] = t->bag ? 1 : (uint8_t)t->cols[i].pk;
		if (!s->cols[i])
			return trib_fail(err, TRIB_E_NOMEM, "out of memory for a column name");
	}
	if (t->bag) {
		s->cols[t->ncols] = strdup(TRIB_BAG_COUNT);
		s->city[t->ncols] = strdup(TRIB_BAG_COUNT);
	}
	if (!s->name || (t->bag && (!s->cols[t->ncols] || !s->city[t->ncols])))
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for a table name");
	return 0;
}

size_t trib_shape_nkey(const struct trib_shape *s)
{
	size_t n = 0;

	if (s->bag)
		return 1;
	for (size_t i = 0; i < s->ncol; i++)
		n += s->pk[i] != 0;
	return n;
}

/* The column that is number `place` (from 1) of the key; ncol when there is none. */
static size_t key_column(const struct trib_shape *s, size_t place)
{
	size_t i = 0;

	while (i < s->ncol && s->pk[i] != place)
		i++;
	return i;
}

/* The text by which mirrors are told apart. */
static void shape_text(struct trib_buf *b, const struct trib_shape *s)
{
	size_t n = s->bag ? s->ncol - 1 : trib_shape_nkey(s);

	trib_buf_puts(b, s->bag ? "bag" : "key");
	for (size_t i = 0; i < n; i++) {
		size_t c = s->bag ? i : key_column(s, i + 1);

		trib_buf_putc(b, ' ');
		if (c < s->ncol)
			trib_pct(b, trib_span_str(s->cols[c]));
	}
}

/* ---- SQL pieces ---- */

void trib_shape_sql_columns(struct trib_buf *b, const struct trib_shape *s)
{
	for (size_t i = 0; i < s->ncol; i++) {
		if (i)
			trib_buf_putc(b, ',');
		trib_sql_ident(b, s->city[i]);
	}
}

void trib_shape_sql_key(struct trib_buf *b, const struct trib_shape *s)
{
	size_t n = trib_shape_nkey(s);

	trib_buf_puts(b, "\"_node\"=?1");
	if (s->bag) {
		trib_buf_puts(b, " AND \"_hash\"=?2");
		return;
	}
	for (size_t i = 0; i < n; i++) {
		size_t c = key_column(s, i + 1);

		if (c == s->ncol)
			continue;
		trib_buf_puts(b, " AND ");
		trib_sql_ident(b, s->city[c]);
		trib_buf_printf(b, "=?%zu", i + 2);
	}
}

static int run(sqlite3 *db, struct trib_buf *sql, struct trib_err *err)
{
	if (trib_buf_check(sql, "SQL statement", err) < 0)
		return -1;
	return trib_db_exec(db, trib_buf_str(sql), err);
}

/* Runs a statement of text parameters and at most one row of one text column; *ret_text may be NULL. */
static int run_text(sqlite3 *db, const char *sql, const char *const *args, size_t n, char **ret_text, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int r;

	if (trib_db_prepare(db, sql, &st, err) < 0)
		return -1;
	for (size_t i = 0; i < n; i++)
		if (sqlite3_bind_text(st, (int)i + 1, args[i], -1, SQLITE_STATIC) != SQLITE_OK)
			return trib_db_fail(err, db, "binding a name of the catalogue");
	r = trib_db_step(db, st, err);
	if (r < 0)
		return -1;
	if (r == 1 && ret_text) {
		const char *text = (const char *)sqlite3_column_text(st, 0);

		*ret_text = strdup(text ? text : "");
		if (!*ret_text)
			return trib_fail(err, TRIB_E_NOMEM, "out of memory for a name of the catalogue");
	}
	return r;
}

int trib_shape_init(sqlite3 *db, struct trib_err *err)
{
	static const char sql[] =
		"CREATE TABLE IF NOT EXISTS \"_t_mirror\"(name TEXT NOT NULL, tbl TEXT NOT NULL, shape TEXT NOT NULL,"
		" mirror TEXT NOT NULL UNIQUE, PRIMARY KEY(name, shape)) WITHOUT ROWID;"
		"CREATE TABLE IF NOT EXISTS \"_t_column\"(mirror TEXT NOT NULL, col TEXT NOT NULL, city_col TEXT NOT NULL,"
		" pk INTEGER NOT NULL, place INTEGER NOT NULL, PRIMARY KEY(mirror, city_col)) WITHOUT ROWID;"
		"CREATE TABLE IF NOT EXISTS \"_t_view\"(name TEXT NOT NULL PRIMARY KEY, view TEXT NOT NULL) WITHOUT ROWID;"
		"CREATE TABLE IF NOT EXISTS \"_t_made\"(node TEXT NOT NULL PRIMARY KEY, tables INTEGER NOT NULL, columns INTEGER NOT NULL) WITHOUT ROWID;";

	return trib_db_exec(db, sql, err);
}

/* ---- finding ---- */

static int find_mirror(sqlite3 *db, struct trib_shape *s, bool *ret_found, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf shape = TRIB_BUF(SQL_MAX);
	int r;

	shape_text(&shape, s);
	if (trib_buf_check(&shape, "key shape", err) < 0)
		return -1;
	r = run_text(db, "SELECT mirror FROM \"_t_mirror\" WHERE name=?1 AND shape=?2",
		     (const char *const[]){s->name, trib_buf_str(&shape)}, 2, &s->mirror, err);
	if (r < 0)
		return -1;
	*ret_found = r == 1;
	return 0;
}

/* Looks the city names of the columns up; those not in the mirror stay NULL. A bag may have an application's own column `_count` (a key)
 * beside the bag's. */
static int find_columns(sqlite3 *db, struct trib_shape *s, struct trib_err *err)
{
	for (size_t i = 0; i < s->ncol; i++) {
		if (s->city[i])
			continue;
		if (run_text(db, "SELECT city_col FROM \"_t_column\" WHERE mirror=?1 AND col=?2 ORDER BY pk DESC",
			     (const char *const[]){s->mirror, s->cols[i]}, 2, &s->city[i], err) < 0)
			return -1;
	}
	return 0;
}

/* ---- making ---- */

static int name_columns(const struct trib_st_table *t, struct trib_shape *s, struct trib_err *err)
{
	for (size_t i = 0; i < t->ncols; i++) {
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(SQL_MAX);

		if (s->city[i])
			continue;
		trib_city_name(&b, trib_span_str(t->cols[i].name));
		if (trib_buf_check(&b, "column name", err) < 0)
			return -1;
		s->city[i] = strdup(trib_buf_str(&b));
		if (!s->city[i])
			return trib_fail(err, TRIB_E_NOMEM, "out of memory for a column name");
	}
	return 0;
}

static int note_column(sqlite3 *db, const struct trib_shape *s, size_t i, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;

	if (trib_db_prepare(db, "INSERT INTO \"_t_column\"(mirror, col, city_col, pk, place) VALUES(?1, ?2, ?3, ?4,"
				" (SELECT count(*) FROM \"_t_column\" WHERE mirror=?1))", &st, err) < 0)
		return -1;
	if (sqlite3_bind_text(st, 1, s->mirror, -1, SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_bind_text(st, 2, s->cols[i], -1, SQLITE_STATIC) != SQLITE_OK ||
	    sqlite3_bind_text(st, 3, s->city[i], -1, SQLITE_STATIC) != SQLITE_OK || sqlite3_bind_int(st, 4, s->pk[i]) != SQLITE_OK)
		return trib_db_fail(err, db, "binding a column of the catalogue");
	return trib_db_step(db, st, err) < 0 ? -1 : 0;
}

/* The first mirror of a table has the table's own name; further ones are `_t_NAME_k2` and so on. */
static int choose_mirror_name(sqlite3 *db, const struct trib_st_table *t, struct trib_shape *s, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf name = TRIB_BUF(SQL_MAX);
	TRIB_AUTO(trib_mem) char *count = NULL;

	if (run_text(db, "SELECT count(*) FROM \"_t_mirror\" WHERE name=?1", (const char *const[]){s->name}, 1, &count, err) < 0)
		return -1;
	unsigned long n = strtoul(count, NULL, 10);
	if (n)
		trib_buf_puts(&name, "_t_");
	if (t->bag) {
		trib_buf_puts(&name, "_bag_");
		trib_buf_puts(&name, t->name);
	} else {
		trib_city_name(&name, trib_span_str(t->name));
	}
	if (n)
		trib_buf_printf(&name, "_k%lu", n + 1);
	if (free_name(db, &name, err) < 0)
		return -1;
	s->mirror = strdup(trib_buf_str(&name));
	return s->mirror ? 0 : trib_fail(err, TRIB_E_NOMEM, "out of memory for a table name");
}

static void create_sql(struct trib_buf *sql, const struct trib_shape *s)
{
	trib_buf_puts(sql, "CREATE TABLE ");
	trib_sql_ident(sql, s->mirror);
	trib_buf_puts(sql, s->bag ? "(\"_node\",\"_hash\"," : "(\"_node\",");
	trib_shape_sql_columns(sql, s);
	trib_buf_puts(sql, ",PRIMARY KEY(\"_node\"");
	if (s->bag)
		trib_buf_puts(sql, ",\"_hash\"");
	for (size_t i = 0, n = s->bag ? 0 : trib_shape_nkey(s); i < n; i++) {
		size_t c = key_column(s, i + 1);

		if (c == s->ncol)
			continue;
		trib_buf_putc(sql, ',');
		trib_sql_ident(sql, s->city[c]);
	}
	trib_buf_puts(sql, ")) WITHOUT ROWID");
}

/* `ncol` as of struct trib_shape. All nodes with this key share the mirror, so the union of their columns counts. */
static int check_width(const struct trib_st_table *t, size_t ncol, bool bag, struct trib_err *err)
{
	if (ncol + (bag ? 2 : 1) <= MIRROR_COLUMNS_MAX)
		return 0;
	return trib_fail(err, TRIB_E_LIMIT, "table %s: its mirror would have more than %d columns", t->name, MIRROR_COLUMNS_MAX);
}

static int make_mirror(sqlite3 *db, const struct trib_st_table *t, struct trib_shape *s, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(SQL_MAX), shape = TRIB_BUF(SQL_MAX);

	if (check_width(t, s->ncol, s->bag, err) < 0 || choose_mirror_name(db, t, s, err) < 0 || name_columns(t, s, err) < 0)
		return -1;
	create_sql(&sql, s);
	shape_text(&shape, s);
	if (trib_buf_check(&shape, "key shape", err) < 0 || run(db, &sql, err) < 0)
		return trib_ctx(err, "making the mirror of table %s", t->name);
	if (run_text(db, "INSERT INTO \"_t_mirror\"(name, tbl, shape, mirror) VALUES(?1, ?2, ?3, ?4)",
		     (const char *const[]){s->name, t->name, trib_buf_str(&shape), s->mirror}, 4, NULL, err) < 0)
		return -1;
	for (size_t i = 0; i < s->ncol; i++)
		if (note_column(db, s, i, err) < 0)
			return -1;
	return 0;
}

static int check_room(sqlite3 *db, const struct trib_st_table *t, const struct trib_shape *s, size_t nfresh, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *have = NULL;

	if (nfresh == 0)
		return 0;
	if (run_text(db, "SELECT count(*) FROM \"_t_column\" WHERE mirror=?1", (const char *const[]){s->mirror}, 1, &have, err) < 0)
		return -1;
	return check_width(t, strtoul(have, NULL, 10) + nfresh, s->bag, err);
}

static int add_column(sqlite3 *db, const struct trib_st_table *t, const struct trib_shape *s, size_t i, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(SQL_MAX);

	trib_buf_puts(&sql, "ALTER TABLE ");
	trib_sql_ident(&sql, s->mirror);
	trib_buf_puts(&sql, " ADD COLUMN ");
	trib_sql_ident(&sql, s->city[i]);
	if (run(db, &sql, err) < 0 || note_column(db, s, i, err) < 0)
		return trib_ctx(err, "adding column %s to the mirror of %s", t->cols[i].name, t->name);
	return 0;
}

static int add_columns(sqlite3 *db, const struct trib_st_table *t, struct trib_shape *s, bool *ret_added, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) bool *fresh = calloc(s->ncol, sizeof(bool));
	size_t nfresh = 0;

	if (!fresh)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory for a table of %zu columns", s->ncol);
	for (size_t i = 0; i < s->ncol; i++)
		nfresh += fresh[i] = !s->city[i];
	if (check_room(db, t, s, nfresh, err) < 0 || name_columns(t, s, err) < 0)
		return -1;
	for (size_t i = 0; i < s->ncol; i++) {
		if (!fresh[i])
			continue;
		if (add_column(db, t, s, i, err) < 0)
			return -1;
		*ret_added = true;
	}
	return 0;
}

/* ---- the view over several mirrors ---- */

/* One SELECT of the union: the mirror's own columns by name, NULL for those it lacks. ?1 = name, ?2 = mirror. */
static int view_arm(sqlite3 *db, const char *name, const char *mirror, bool bag, struct trib_buf *sql, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int r;

	if (trib_db_prepare(db, "SELECT min(c.city_col), max(c.mirror=?2) FROM \"_t_column\" c JOIN \"_t_mirror\" m USING(mirror)"
				" WHERE m.name=?1 GROUP BY c.city_col COLLATE NOCASE ORDER BY c.city_col COLLATE NOCASE", &st, err) < 0)
		return -1;
	if (sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC) != SQLITE_OK || sqlite3_bind_text(st, 2, mirror, -1, SQLITE_STATIC) != SQLITE_OK)
		return trib_db_fail(err, db, "binding a mirror's name");
	trib_buf_puts(sql, bag ? "SELECT \"_node\",\"_hash\"" : "SELECT \"_node\"");
	while ((r = trib_db_step(db, st, err)) == 1) {
		const char *city = (const char *)sqlite3_column_text(st, 0);

		trib_buf_puts(sql, sqlite3_column_int(st, 1) ? "," : ",NULL AS ");
		trib_sql_ident(sql, city ? city : "");
	}
	trib_buf_puts(sql, " FROM ");
	trib_sql_ident(sql, mirror);
	return r;
}

static int view_name(sqlite3 *db, const struct trib_shape *s, struct trib_buf *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *known = NULL;
	TRIB_AUTO(trib_buf) struct trib_buf drop = TRIB_BUF(SQL_MAX);
	int r = run_text(db, "SELECT view FROM \"_t_view\" WHERE name=?1", (const char *const[]){s->name}, 1, &known, err);

	if (r < 0)
		return -1;
	if (r == 1) {
		trib_buf_puts(ret, known);
		trib_buf_puts(&drop, "DROP VIEW IF EXISTS ");
		trib_sql_ident(&drop, known);
		return run(db, &drop, err);
	}
	trib_buf_puts(ret, "_t_v_");
	trib_buf_puts(ret, s->name);
	if (free_name(db, ret, err) < 0)
		return -1;
	return run_text(db, "INSERT INTO \"_t_view\"(name, view) VALUES(?1, ?2)", (const char *const[]){s->name, trib_buf_str(ret)}, 2,
			NULL, err);
}

/* Makes the view anew when the table has more than one mirror. */
static int refresh_view(sqlite3 *db, const struct trib_shape *s, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(SQL_MAX), name = TRIB_BUF(SQL_MAX), arms = TRIB_BUF(SQL_MAX);
	size_t n = 0;
	int r;

	if (trib_db_prepare(db, "SELECT mirror FROM \"_t_mirror\" WHERE name=?1 ORDER BY mirror", &st, err) < 0)
		return -1;
	if (sqlite3_bind_text(st, 1, s->name, -1, SQLITE_STATIC) != SQLITE_OK)
		return trib_db_fail(err, db, "binding a table name");
	while ((r = trib_db_step(db, st, err)) == 1) {
		const char *mirror = (const char *)sqlite3_column_text(st, 0);

		if (n++)
			trib_buf_puts(&arms, " UNION ALL ");
		if (view_arm(db, s->name, mirror ? mirror : "", s->bag, &arms, err) < 0)
			return -1;
	}
	/* SQLite bounds the arms of a compound SELECT at 500. */
	if (r < 0 || n < 2 || n > 400)
		return r;
	(void)sqlite3_reset(st);
	if (view_name(db, s, &name, err) < 0)
		return -1;
	trib_buf_puts(&sql, "CREATE VIEW ");
	trib_sql_ident(&sql, trib_buf_str(&name));
	trib_buf_puts(&sql, " AS ");
	trib_buf_put_span(&sql, trib_buf_span(&arms));
	return run(db, &sql, err);
}

static int resolve(sqlite3 *db, const struct trib_st_table *t, bool create, struct trib_shape *s, bool *ret_found, struct trib_err *err)
{
	bool found = false, changed = false;

	if (describe(t, s, err) < 0 || find_mirror(db, s, &found, err) < 0)
		return -1;
	if (!found && !create) {
		*ret_found = false;
		return 0;
	}
	if (found) {
		if (find_columns(db, s, err) < 0 || (create && add_columns(db, t, s, &changed, err) < 0))
			return -1;
	} else {
		if (make_mirror(db, t, s, err) < 0)
			return -1;
		changed = true;
	}
	if (changed && refresh_view(db, s, err) < 0)
		return trib_ctx(err, "joining the mirrors of %s", t->name);
	*ret_found = true;
	return 0;
}

int trib_shape_resolve(sqlite3 *db, const struct trib_st_table *t, bool create, struct trib_shape *ret, bool *ret_found, struct trib_err *err)
{
	struct trib_shape s = {0};
	bool found = false;

	if (resolve(db, t, create, &s, &found, err) < 0) {
		trib_shape_release(&s);
		return -1;
	}
	if (!found)
		trib_shape_release(&s);
	*ret = s;
	*ret_found = found;
	return 0;
}

static int load_columns(sqlite3 *db, struct trib_shape *s, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int64_t n = 0;
	int r = 0;

	if (trib_db_prepare(db, "SELECT col, city_col, pk, count(*) OVER () FROM \"_t_column\" WHERE mirror=?1 ORDER BY place", &st, err) < 0)
		return -1;
	if (sqlite3_bind_text(st, 1, s->mirror, -1, SQLITE_STATIC) != SQLITE_OK)
		return trib_db_fail(err, db, "binding a mirror's name");
	for (int64_t i = 0; (r = trib_db_step(db, st, err)) == 1; i++) {
		const char *col = (const char *)sqlite3_column_text(st, 0), *city = (const char *)sqlite3_column_text(st, 1);

		n = sqlite3_column_int64(st, 3);
		if (i == 0 && alloc_columns(s, (size_t)n, err) < 0)
			return -1;
		s->cols[i] = strdup(col ? col : "");
		s->city[i] = strdup(city ? city : "");
		s->pk[i] = (uint8_t)sqlite3_column_int(st, 2);
		if (!s->cols[i] || !s->city[i])
			return trib_fail(err, TRIB_E_NOMEM, "out of memory for a column name");
	}
	return r;
}

int trib_shape_load(sqlite3 *db, const char *name, const char *mirror, struct trib_shape *ret, struct trib_err *err)
{
	struct trib_shape s = {.name = strdup(name), .mirror = strdup(mirror), .bag = trib_is_bag(trib_span_str(name))};

	if (!s.name || !s.mirror || load_columns(db, &s, err) < 0) {
		if (!s.name || !s.mirror)
			(void)trib_fail(err, TRIB_E_NOMEM, "out of memory for a table name");
		trib_shape_release(&s);
		return -1;
	}
	*ret = s;
	return 0;
}
