#include "agent/capture/page_rows.h"

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

/* ---- defaults ---- */

/* Puts a record of one field into an empty leaf, the shortest that there is: a table is made with a column at least. */
static bool plant(uint8_t *page, size_t size)
{
	static const uint8_t table_cell[4] = {2, 1, 2, 0} /* size, rowid, header: its size, NULL */, index_cell[4] = {2, 2, 0, 0};
	size_t at = size - sizeof(table_cell);
	if ((page[0] != 13 && page[0] != 10) || page[3] || page[4])
		return false;
	memcpy(page + at, page[0] == 13 ? table_cell : index_cell, sizeof(table_cell));
	page[4] = 1;
	page[5] = (uint8_t)(at >> 8);
	page[6] = (uint8_t)at;
	page[8] = (uint8_t)(at >> 8);
	page[9] = (uint8_t)at;
	return true;
}

static int plant_in(sqlite3 *db, uint8_t *file, size_t n, struct trib_err *err)
{
	size_t size = n > 100 ? trib_be16(file + 16) : 0;
	int64_t root = 0;
	if (trib_db_int(db, "SELECT rootpage FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'", 0, &root, err))
		return -1;
	if (size < TRIB_PAGE_MIN || root < 2 || (size_t)root > n / size || !plant(file + ((size_t)root - 1) * size, size))
		return trib_fail(err, TRIB_E_DB, "a new table is not an empty page");
	return 0;
}

static int open_memory(sqlite3 **ret, struct trib_err *err)
{
	if (sqlite3_open_v2(":memory:", ret, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL))
		return trib_db_fail(err, *ret, "opening temporary space");
	return 0;
}

/* A database with this table alone and one such record in it: what SQLite reads from it are the defaults. */
static int make_scratch(const struct trib_layout *l, sqlite3 *to, struct trib_err *err)
{
	static const char *const encodings[] = {"UTF-8", "PRAGMA encoding='UTF-8'", "UTF-16le", "PRAGMA encoding='UTF-16le'", "UTF-16be", "PRAGMA encoding='UTF-16be'"};
	TRIB_AUTO(trib_buf) struct trib_buf sql = TRIB_BUF(TRIB_SCHEMA_MAX);
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	sqlite3_int64 n = 0;
	if (open_memory(&db, err))
		return -1;
	for (size_t i = 0; i < TRIB_COUNT(encodings); i += 2)
		if (strcmp(l->s->text.encoding, encodings[i]) == 0 && trib_db_exec(db, encodings[i + 1], err))
			return -1;
	trib_buf_puts(&sql, l->t->sql ? l->t->sql : "");
	trib_buf_puts(&sql, "\n;\n");
	if (trib_buf_check(&sql, "a CREATE TABLE", err) || trib_db_exec(db, "PRAGMA page_size=4096", err) ||
	    trib_schema_run(db, trib_buf_span(&sql), 't', NULL, err))
		return -1;
	uint8_t *file = sqlite3_serialize(db, "main", &n, 0);
	if (!file)
		return oom(err);
	if (plant_in(db, file, (size_t)n, err)) {
		sqlite3_free(file);
		return -1;
	}
	/* Into a connection that has not settled on an encoding yet. */
	return sqlite3_deserialize(to, "main", file, n, n, SQLITE_DESERIALIZE_FREEONCLOSE) ? trib_db_fail(err, to, "reading defaults") : 0;
}

static int read_defaults(struct trib_layout *l, struct trib_err *err)
{
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	TRIB_AUTO(trib_rows) struct trib_rows r = {0};
	if (open_memory(&db, err) || make_scratch(l, db, err) || trib_rows_open(db, l->s, l->t, TRIB_ROWS_ALL, TRIB_ORDER_ANY, &r, err))
		return trib_ctx(err, "defaults of table %s", l->t->name);
	if (trib_rows_next(&r, err) != 1)
		return trib_fail(err, TRIB_E_SCHEMA, "the defaults of table %s cannot be read", l->t->name);
	TRIB_AUTO(trib_mem) struct trib_value *v = calloc(l->t->ncols + 1, sizeof(*v));
	if (!v)
		return oom(err);
	if (trib_rows_raw(&r, err))
		return -1;
	l->bytes = TRIB_BUF(TRIB_ROW_MAX);
	for (size_t i = 0; i < l->t->ncols; i++) {
		v[i] = r.v[i];
		if (v[i].type == TRIB_TEXT || v[i].type == TRIB_BLOB)
			trib_buf_put_span(&l->bytes, v[i].s);
	}
	if (trib_buf_check(&l->bytes, "defaults", err))
		return -1;
	size_t at = 0;
	for (size_t i = 0; i < l->t->ncols; i++) {
		if (v[i].type != TRIB_TEXT && v[i].type != TRIB_BLOB)
			continue;
		v[i].s.p = l->bytes.p ? l->bytes.p + at : (const uint8_t *)"";
		at += v[i].s.n;
	}
	l->missing = v;
	v = NULL;
	return 0;
}

/* ---- layout ---- */

void trib_layout_release(struct trib_layout *l)
{
	free(l->column);
	free(l->real);
	free(l->missing);
	trib_buf_release(&l->bytes);
	*l = (struct trib_layout){0};
}

/* SQLite's rules of affinity (datatype3.html, 3.1), in the way it scans a type's letters. */
static bool is_real(const char *type)
{
	enum { NUMERIC, BLOB, REAL, OTHER } is = NUMERIC;
	uint32_t h = 0;
	for (; *type; type++) {
		uint8_t c = (uint8_t)*type;
		h = h << 8 | (c >= 'A' && c <= 'Z' ? (uint32_t)c + 32 : c);
		if ((h & 0xffffff) == 0x696e74) /* int */
			return false;
		if (h == 0x63686172 || h == 0x636c6f62 || h == 0x74657874) /* char, clob, text */
			is = OTHER;
		else if (h == 0x626c6f62 && (is == NUMERIC || is == REAL)) /* blob */
			is = BLOB;
		else if ((h == 0x7265616c || h == 0x666c6f61 || h == 0x646f7562) && is == NUMERIC) /* real, floa, doub */
			is = REAL;
	}
	return is == REAL;
}

struct spot { /* one column of pragma_table_xinfo, by cid */
	int column; /* of the table, -1 generated */
	bool stored;
};

static int read_spots(sqlite3 *db, const struct trib_table *t, struct spot **ret, size_t *ret_n, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_mem) struct spot *list = calloc(t->ncols + t->ngenerated + 1, sizeof(*list));
	size_t n = 0;
	int row, next = 0;
	if (!list)
		return oom(err);
	if (trib_db_prepare(db, "SELECT hidden FROM pragma_table_xinfo(?1, 'main') ORDER BY cid", &st, err))
		return -1;
	if (sqlite3_bind_text(st, 1, t->name, -1, SQLITE_STATIC))
		return trib_db_fail(err, db, "reading columns");
	while ((row = trib_db_step(db, st, err)) == 1) {
		int hidden = sqlite3_column_int(st, 0);
		if (n == t->ncols + t->ngenerated)
			return trib_fail(err, TRIB_E_SCHEMA, "table %s has changed its columns", t->name);
		list[n++] = (struct spot){hidden < 2 ? next++ : -1, hidden != 2};
	}
	if (row < 0)
		return -1;
	if ((size_t)next != t->ncols)
		return trib_fail(err, TRIB_E_SCHEMA, "table %s has changed its columns", t->name);
	*ret = list;
	list = NULL;
	*ret_n = n;
	return 0;
}

/* Fields of a WITHOUT ROWID table: the key's columns, then the others. */
static int read_index_order(sqlite3 *db, struct trib_layout *l, const struct spot *spots, size_t nspots, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int row;
	if (trib_db_prepare(db, "SELECT x.cid FROM pragma_index_list(?1, 'main') AS l, pragma_index_xinfo(l.name, 'main') AS x"
			    " WHERE l.origin = 'pk' ORDER BY x.seqno", &st, err))
		return -1;
	if (sqlite3_bind_text(st, 1, l->t->name, -1, SQLITE_STATIC))
		return trib_db_fail(err, db, "reading the key");
	while ((row = trib_db_step(db, st, err)) == 1) {
		int cid = sqlite3_column_int(st, 0);
		/* A column may be there twice, with two collations. */
		if (cid < 0 || (size_t)cid >= nspots || l->nfields >= 2 * nspots)
			return trib_fail(err, TRIB_E_SCHEMA, "table %s: no order of its fields", l->t->name);
		l->column[l->nfields++] = spots[cid].column;
	}
	return row;
}

int trib_layout_read(sqlite3 *db, const struct trib_schema *s, const struct trib_table *t, struct trib_layout *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_layout) struct trib_layout l = {.s = s, .t = t, .alias = -1};
	TRIB_AUTO(trib_mem) struct spot *spots = NULL;
	size_t n = 0;
	if (read_spots(db, t, &spots, &n, err))
		return -1;
	l.column = calloc(2 * n + 1, sizeof(*l.column));
	l.real = calloc(t->ncols + 1, sizeof(*l.real));
	if (!l.column || !l.real)
		return oom(err);
	for (size_t i = 0; i < t->ncols; i++) {
		l.real[i] = is_real(t->cols[i].type);
		if (t->rowid_key && t->cols[i].pk)
			l.alias = (int)i;
	}
	for (size_t i = 0; i < n && !t->without_rowid; i++)
		if (spots[i].stored)
			l.column[l.nfields++] = spots[i].column;
	if (t->without_rowid && read_index_order(db, &l, spots, n, err))
		return -1;
	*ret = l;
	l = (struct trib_layout){0};
	return 0;
}

int trib_layout_decode(struct trib_layout *l, struct trib_span payload, int64_t rowid, struct trib_value *v, struct trib_err *err)
{
	struct trib_record r;
	struct trib_value got;
	size_t i = 0;
	int row = 1;
	if (trib_record_open(payload, &r, err))
		return -1;
	for (size_t c = 0; c < l->t->ncols; c++)
		v[c].type = TRIB_UNDEF;
	for (; i < l->nfields && (row = trib_record_next(&r, &got, err)) == 1; i++) {
		int c = l->column[i];
		if (c < 0 || v[c].type != TRIB_UNDEF)
			continue;
		if (got.type == TRIB_INT && l->real[c])
			got = (struct trib_value){.type = TRIB_REAL, .r = (double)got.i};
		v[c] = got;
	}
	if (row < 0 || (i < l->nfields && !l->missing && read_defaults(l, err)))
		return -1;
	for (size_t c = 0; c < l->t->ncols; c++)
		if (v[c].type == TRIB_UNDEF) /* a short record */
			v[c] = l->missing ? l->missing[c] : (struct trib_value){.type = TRIB_NULL};
	if (l->alias >= 0)
		v[l->alias] = (struct trib_value){.type = TRIB_INT, .i = rowid};
	return 0;
}
