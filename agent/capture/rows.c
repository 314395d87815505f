#include "agent/capture/rows.h"

#include "core/store/utf16.h"

#define SQL_MAX (4 * TRIB_MIB)
#define CELL_MIN 4        /* bytes that a row takes in a page at least */

static int fail(struct trib_err *err, sqlite3 *db, const struct trib_table *t, const char *what)
{
	int rc = sqlite3_errcode(db) & 0xff;
	if (rc == SQLITE_CORRUPT || rc == SQLITE_NOTADB)
		trib_damaged(err, trib_span_str(sqlite3_errmsg(db)));
	else
		trib_db_fail(err, db, what);
	return trib_ctx(err, "table %s", t->name);
}

static void put_null_test(struct trib_buf *b, const struct trib_table *t)
{
	const char *sep = " WHERE ";
	for (size_t i = 0; i < t->ncols; i++) {
		if (!t->cols[i].pk)
			continue;
		trib_buf_puts(b, sep);
		trib_buf_puts(b, "t.");
		trib_sql_ident(b, t->cols[i].name);
		trib_buf_puts(b, " IS NULL");
		sep = " OR ";
	}
}

/* Columns of the key in its order; false when memory is short. */
static bool find_key(struct trib_rows *r)
{
	r->key = calloc(r->t->npk + 1, sizeof(*r->key));
	for (unsigned k = 1; r->key && k <= r->t->npk; k++)
		for (size_t i = 0; i < r->t->ncols; i++)
			if (r->t->cols[i].pk == k)
				r->key[r->nkey++] = (int)i;
	return r->key;
}

/* Every scan is of the table itself, never of an index that may be damaged, except the two that need one for speed. */
static void put_select(struct trib_buf *b, const struct trib_rows *r)
{
	const struct trib_table *t = r->t;
	trib_buf_puts(b, "SELECT ");
	if (r->order == TRIB_ORDER_ROWID)
		trib_buf_printf(b, "t.%s,", t->rowid_name);
	for (size_t i = 0; i < t->ncols; i++) {
		trib_buf_puts(b, i ? ",t." : "t.");
		trib_sql_ident(b, t->cols[i].name);
	}
	for (size_t i = 0; i < t->nbeyond; i++) {
		trib_buf_puts(b, ",t.");
		trib_sql_ident(b, t->beyond[i].name);
	}
	trib_buf_puts(b, " FROM main.");
	trib_sql_ident(b, t->name);
	trib_buf_puts(b, " AS t");
	if (r->part == TRIB_ROWS_BAG)
		put_null_test(b, t);
	else if (r->order != TRIB_ORDER_KEY)
		trib_buf_puts(b, " NOT INDEXED");
	if (r->order == TRIB_ORDER_ROWID)
		trib_buf_printf(b, " ORDER BY t.%s", t->rowid_name);
	for (size_t i = 0; r->order == TRIB_ORDER_KEY && i < r->nkey; i++) {
		trib_buf_puts(b, i ? ",t." : " ORDER BY t.");
		trib_sql_ident(b, t->cols[r->key[i]].name);
		trib_buf_puts(b, " COLLATE BINARY");
	}
}

void trib_row_fit_init(struct trib_row_fit *f, const char *encoding)
{
	const uint16_t one = 1;
	bool little = *(const uint8_t *)&one == 1;
	*f = (struct trib_row_fit){.utf16 = strcmp(encoding, "UTF-8") != 0, .text = TRIB_BUF(TRIB_ROW_MAX + 3), .units = TRIB_BUF(2 * TRIB_ROW_MAX)};
	f->swap = f->utf16 && (strcmp(encoding, "UTF-16le") == 0) != little;
}

void trib_row_fit_release(struct trib_row_fit *f)
{
	trib_buf_release(&f->text);
	trib_buf_release(&f->units);
}

int trib_rows_open(sqlite3 *db, const struct trib_schema *s, const struct trib_table *t, enum trib_rows_part part, enum trib_rows_order order,
		   struct trib_rows *ret, struct trib_err *err)
{
	int64_t pages = 0;
	if (order == TRIB_ORDER_ANY && part != TRIB_ROWS_BAG && t->rowid_name)
		order = TRIB_ORDER_ROWID;
	TRIB_AUTO(trib_rows) struct trib_rows r = {.db = db, .t = t, .part = part, .order = order};
	TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(SQL_MAX);
	trib_row_fit_init(&r.fit, s->text.encoding);
	r.first = order == TRIB_ORDER_ROWID;
	r.v = calloc(t->ncols + t->nbeyond + 1, sizeof(*r.v));
	if (!r.v || !find_key(&r))
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_db_int(db, "PRAGMA main.page_count", 0, &pages, err))
		return -1;
	r.room = (uint64_t)pages * s->text.page_size / CELL_MIN;
	put_select(&sql, &r);
	if (trib_buf_check(&sql, "a SELECT statement", err))
		return -1;
	if (sqlite3_prepare_v2(db, trib_buf_str(&sql), -1, &r.st, NULL))
		return fail(err, db, t, "preparing to read");
	*ret = r;
	r = (struct trib_rows){0};
	return 0;
}

void trib_rows_close(struct trib_rows *r)
{
	sqlite3_finalize(r->st);
	free(r->key);
	free(r->v);
	trib_row_fit_release(&r->fit);
	*r = (struct trib_rows){0};
}

static bool key_has_null(const struct trib_rows *r)
{
	for (size_t i = 0; i < r->nkey; i++)
		if (sqlite3_column_type(r->st, r->first + r->key[i]) == SQLITE_NULL)
			return true;
	return false;
}

/* SQLite does not look whether a table's tree leads into itself. */
static bool in_order(struct trib_rows *r)
{
	if (r->room-- == 0)
		return false;
	if (r->order != TRIB_ORDER_ROWID)
		return true;
	int64_t id = sqlite3_column_int64(r->st, 0);
	bool rises = !r->any || id > r->rowid;
	r->any = true;
	r->rowid = id;
	return rises;
}

/* Text or blob exactly as the file has it. */
static struct trib_span raw(const struct trib_rows *r, size_t col)
{
	const void *p = sqlite3_column_blob(r->st, r->first + (int)col);
	int n = sqlite3_column_bytes(r->st, r->first + (int)col);
	return trib_span(p ? p : "", n > 0 ? (size_t)n : 0);
}

static int class_of(int type) { return type == SQLITE_NULL ? 0 : type == SQLITE_TEXT ? 2 : type == SQLITE_BLOB ? 3 : 1; }

/* Every column was read, also of a row that is passed over. */
static int count_bytes(struct trib_rows *r, struct trib_err *err)
{
	uint64_t n = 0;
	for (size_t i = 0; i < r->t->ncols + r->t->nbeyond; i++)
		if (class_of(sqlite3_column_type(r->st, r->first + (int)i)) > 1)
			n += raw(r, i).n;
	return trib_spend(r->spent, n, err) ? trib_ctx(err, "table %s", r->t->name) : 0;
}

int trib_rows_next(struct trib_rows *r, struct trib_err *err)
{
	for (;;) {
		int rc = sqlite3_step(r->st);
		if (rc == SQLITE_DONE)
			return 0;
		if (rc != SQLITE_ROW)
			return fail(err, r->db, r->t, "reading");
		if (!in_order(r)) {
			trib_damaged(err, trib_span_str("rows out of order"));
			return trib_ctx(err, "table %s", r->t->name);
		}
		if (r->spent && count_bytes(r, err))
			return -1;
		if (r->part != TRIB_ROWS_KEYED || r->t->rowid_key || !key_has_null(r))
			return 1;
	}
}

/* Appends the UTF-8 form of a UTF-16 text; false when it has none. */
static bool convert(struct trib_row_fit *f, struct trib_span s)
{
	if (!f->swap || s.n % 2)
		return trib_utf16_to_wtf8(s, &f->text);
	trib_buf_reset(&f->units);
	uint8_t *to = trib_buf_grow(&f->units, s.n);
	for (size_t i = 0; to && i < s.n; i += 2) {
		to[i] = s.p[i + 1];
		to[i + 1] = s.p[i];
	}
	return to && trib_utf16_to_wtf8(trib_buf_span(&f->units), &f->text);
}

static size_t varint_len(uint64_t n)
{
	size_t len = 1;
	while (n >>= 7)
		len++;
	return len;
}

/* One value; text of a UTF-16 file lies in f->text (which may still move). False: its text does not convert. */
static bool fit_value(struct trib_row_fit *f, struct trib_value *v, size_t *size)
{
	*size += 1;
	if (v->type == TRIB_NULL)
		return true;
	if (v->type == TRIB_INT || v->type == TRIB_REAL) {
		*size += 8;
		return true;
	}
	if (v->type == TRIB_TEXT && f->utf16) {
		size_t start = f->text.len;
		if (v->s.n <= 2 * TRIB_ROW_MAX && !convert(f, v->s))
			return false;
		v->s = trib_span(NULL, v->s.n > 2 * TRIB_ROW_MAX ? v->s.n : f->text.len - start);
	}
	*size += varint_len(v->s.n) + v->s.n;
	return true;
}

int trib_row_fit(struct trib_row_fit *f, struct trib_value *v, size_t n, size_t room, const char **ret_why, struct trib_err *err)
{
	size_t size = 0, at = 0;
	bool fits = true;
	trib_buf_reset(&f->text);
	for (size_t i = 0; i < n && size <= room; i++)
		fits = fit_value(f, &v[i], &size) && fits;
	if (f->text.nomem || f->units.nomem)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (size > room || f->text.failed) {
		*ret_why = "row-too-large";
		return 0;
	}
	*ret_why = fits ? NULL : "text-not-convertible";
	for (size_t i = 0; fits && f->utf16 && i < n; i++) {
		if (v[i].type != TRIB_TEXT)
			continue;
		v[i].s.p = f->text.p ? f->text.p + at : (const uint8_t *)"";
		at += v[i].s.n;
	}
	return 0;
}

static struct trib_value raw_value(const struct trib_rows *r, size_t i)
{
	int at = r->first + (int)i, type = sqlite3_column_type(r->st, at);
	if (type == SQLITE_INTEGER)
		return (struct trib_value){.type = TRIB_INT, .i = sqlite3_column_int64(r->st, at)};
	if (type == SQLITE_FLOAT)
		return (struct trib_value){.type = TRIB_REAL, .r = sqlite3_column_double(r->st, at)};
	if (type == SQLITE_NULL)
		return (struct trib_value){.type = TRIB_NULL};
	return (struct trib_value){.type = type == SQLITE_TEXT ? TRIB_TEXT : TRIB_BLOB, .s = raw(r, i)};
}

int trib_rows_raw(struct trib_rows *r, struct trib_err *err)
{
	for (size_t i = 0; i < r->t->ncols + r->t->nbeyond; i++)
		r->v[i] = raw_value(r, i);
	return sqlite3_errcode(r->db) == SQLITE_NOMEM ? trib_fail(err, TRIB_E_NOMEM, "table %s: out of memory", r->t->name) : 0;
}

int trib_rows_values(struct trib_rows *r, const char **ret_why, struct trib_err *err)
{
	if (trib_rows_raw(r, err))
		return -1;
	return trib_row_fit(&r->fit, r->v, r->t->ncols + r->t->nbeyond, trib_row_room(r->part), ret_why, err) ? trib_ctx(err, "table %s", r->t->name) : 0;
}

static int cmp_column(const struct trib_rows *a, size_t i, const struct trib_rows *b, size_t j)
{
	int ai = a->first + (int)i, bi = b->first + (int)j, at = sqlite3_column_type(a->st, ai), bt = sqlite3_column_type(b->st, bi);
	int ac = class_of(at), bc = class_of(bt);
	if (ac != bc)
		return ac < bc ? -1 : 1;
	if (ac == 0)
		return 0;
	if (ac > 1)
		return trib_span_cmp(raw(a, i), raw(b, j));
	if (at == SQLITE_INTEGER && bt == SQLITE_INTEGER) {
		int64_t x = sqlite3_column_int64(a->st, ai), y = sqlite3_column_int64(b->st, bi);
		return (x > y) - (x < y);
	}
	double x = sqlite3_column_double(a->st, ai), y = sqlite3_column_double(b->st, bi);
	return (x > y) - (x < y);
}

int trib_rows_cmp(const struct trib_rows *a, const struct trib_rows *b)
{
	if (a->order == TRIB_ORDER_ROWID) {
		int64_t x = sqlite3_column_int64(a->st, 0), y = sqlite3_column_int64(b->st, 0);
		return (x > y) - (x < y);
	}
	int c = 0;
	for (size_t i = 0; !c && i < a->nkey && i < b->nkey; i++)
		c = cmp_column(a, (size_t)a->key[i], b, (size_t)b->key[i]);
	return c;
}

static bool same_value(const struct trib_rows *a, size_t i, const struct trib_rows *b, size_t j, size_t *size)
{
	int ai = a->first + (int)i, bi = b->first + (int)j, type = sqlite3_column_type(b->st, bi);
	if (sqlite3_column_type(a->st, ai) != type)
		return false;
	if (type == SQLITE_NULL)
		return true;
	if (type == SQLITE_INTEGER)
		return sqlite3_column_int64(a->st, ai) == sqlite3_column_int64(b->st, bi);
	if (type == SQLITE_FLOAT) {
		double x = sqlite3_column_double(a->st, ai), y = sqlite3_column_double(b->st, bi);
		return memcmp(&x, &y, sizeof(x)) == 0;
	}
	if (type == SQLITE_TEXT && (a->fit.utf16 != b->fit.utf16 || a->fit.swap != b->fit.swap))
		return false;
	struct trib_span x = raw(a, i), y = raw(b, j);
	*size += x.n;
	return trib_span_eq(x, y) && !(type == SQLITE_TEXT && a->fit.utf16 && x.n % 2);
}

/* Bytes of the columns that belong to the other half. */
static size_t size_beyond(const struct trib_rows *r)
{
	size_t size = 0;
	for (size_t i = r->t->ncols; i < r->t->ncols + r->t->nbeyond; i++)
		if (class_of(sqlite3_column_type(r->st, r->first + (int)i)) > 1)
			size += raw(r, i).n + 10;
	return size;
}

/* Of half a table: does the other half hold text? Then this row may be one that is left out on one side only. */
static bool same_beyond(const struct trib_rows *a, const struct trib_rows *b)
{
	return !a->fit.utf16 || (!a->t->nbeyond && !b->t->nbeyond);
}

bool trib_rows_same(const struct trib_rows *a, const struct trib_rows *b, const int *map)
{
	size_t size = size_beyond(a) + size_beyond(b), columns = a->t->ncols + b->t->ncols;
	if (!same_beyond(a, b))
		return false;
	for (size_t i = 0; i < b->t->ncols; i++) {
		if (map[i] < 0 ? sqlite3_column_type(b->st, b->first + (int)i) != SQLITE_NULL : !same_value(a, (size_t)map[i], b, i, &size))
			return false;
	}
	/* A large row may be one that is left out, in one schema and not in the other: look at it closely. */
	for (size_t i = 0; a->t->ncols != b->t->ncols && i < a->t->ncols; i++)
		if (class_of(sqlite3_column_type(a->st, a->first + (int)i)) > 1)
			size += raw(a, i).n;
	return size + 10 * columns < TRIB_ROW_MAX / 4;
}

int trib_rows_has_bag(sqlite3 *db, const struct trib_table *t, bool *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(SQL_MAX);
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (!t->keyed || t->rowid_key || t->without_rowid) {
		*ret = !t->keyed;
		return 0;
	}
	trib_buf_puts(&sql, "SELECT 1 FROM main.");
	trib_sql_ident(&sql, t->name);
	trib_buf_puts(&sql, " AS t");
	put_null_test(&sql, t);
	trib_buf_puts(&sql, " LIMIT 1");
	if (trib_buf_check(&sql, "a SELECT statement", err))
		return -1;
	int rc = sqlite3_prepare_v2(db, trib_buf_str(&sql), -1, &st, NULL);
	if (!rc)
		rc = sqlite3_step(st);
	if (rc != SQLITE_ROW && rc != SQLITE_DONE)
		return fail(err, db, t, "reading");
	*ret = rc == SQLITE_ROW;
	return 0;
}

int trib_rows_count(sqlite3 *db, const struct trib_table *t, uint64_t *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(SQL_MAX);
	int64_t n;
	trib_buf_puts(&sql, "SELECT count(*) FROM main.");
	trib_sql_ident(&sql, t->name);
	if (trib_buf_check(&sql, "a SELECT statement", err) || trib_db_int(db, trib_buf_str(&sql), 0, &n, err))
		return -1;
	*ret = n > 0 ? (uint64_t)n : 0;
	return 0;
}
