#include "core/format/schematext.h"

#include "core/format/changeset.h"

static void release_table(struct trib_st_table *t)
{
	for (size_t i = 0; i < t->ncols; i++)
		free(t->cols[i].name);
	free(t->cols);
	free(t->name);
}

void trib_schematext_release(struct trib_schematext *s)
{
	for (size_t i = 0; i < s->ntables; i++)
		release_table(&s->tables[i]);
	free(s->tables);
	*s = (struct trib_schematext){0};
}

/* Makes room for one more element. Capacities are the powers of two, so none is stored. */
static bool room(void **array, size_t n, size_t size)
{
	if (n & (n - 1))
		return true;
	void *p = realloc(*array, (n ? 2 * n : 1) * size);
	if (p)
		*array = p;
	return p != NULL;
}

struct trib_st_table *trib_schematext_add(struct trib_schematext *s, const char *name, bool bag)
{
	if (!room((void **)&s->tables, s->ntables, sizeof(s->tables[0])))
		return NULL;
	char *own = strdup(name);
	if (!own)
		return NULL;
	struct trib_st_table *t = &s->tables[s->ntables++];
	*t = (struct trib_st_table){.name = own, .bag = bag};
	return t;
}

int trib_schematext_add_column(struct trib_st_table *t, const char *name, unsigned pk, struct trib_err *err)
{
	if (t->ncols >= TRIB_COLUMNS_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "table %s: more columns than the limit of %d", t->name, TRIB_COLUMNS_MAX);
	if (strlen(name) > TRIB_NAME_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "table %s: a column name longer than the limit of %d bytes", t->name,
				 TRIB_NAME_MAX);
	char *own = NULL;
	if (!room((void **)&t->cols, t->ncols, sizeof(t->cols[0])) || !(own = strdup(name)))
		return trib_fail(err, TRIB_E_NOMEM, "table %s: out of memory", t->name);
	t->cols[t->ncols++] = (struct trib_st_column){own, pk};
	return 0;
}

static int table_cmp(const void *a, const void *b)
{
	const struct trib_st_table *x = a, *y = b;
	if (x->bag != y->bag)
		return x->bag ? 1 : -1;
	return trib_fold_cmp(trib_span_str(x->name), trib_span_str(y->name));
}

void trib_schematext_sort(struct trib_schematext *s)
{
	if (s->ntables)
		qsort(s->tables, s->ntables, sizeof(s->tables[0]), table_cmp);
}

const struct trib_st_table *trib_schematext_find(const struct trib_schematext *s, struct trib_span name)
{
	bool bag = trib_is_bag(name);
	if (bag)
		name = trib_span(name.p + strlen(TRIB_BAG_PREFIX), name.n - strlen(TRIB_BAG_PREFIX));
	for (size_t i = 0; i < s->ntables; i++)
		if (s->tables[i].bag == bag && trib_fold_cmp(trib_span_str(s->tables[i].name), name) == 0)
			return &s->tables[i];
	return NULL;
}

/* ---- parser ---- */

struct lines {
	struct trib_span rest;
	unsigned line; /* number of the line last taken */
};

static int bad(const struct lines *in, const char *why, struct trib_err *err)
{
	return trib_fail(err, TRIB_E_FORMAT, "schema.sql line %u: %s", in->line, why);
}

/* Takes one line without its LF. */
static int take_line(struct lines *in, struct trib_span *ret, struct trib_err *err)
{
	in->line++;
	const uint8_t *lf = in->rest.n ? memchr(in->rest.p, '\n', in->rest.n) : NULL;
	if (!lf)
		return bad(in, "the text ends within the comment lines", err);
	size_t n = (size_t)(lf - in->rest.p);
	*ret = trib_span(in->rest.p, n);
	in->rest = trib_span(lf + 1, in->rest.n - n - 1);
	return 0;
}

/* Takes the line "-- KEY VALUE" and returns VALUE. */
static int take_value(struct lines *in, const char *prefix, struct trib_span *ret, struct trib_err *err)
{
	struct trib_span l;
	if (take_line(in, &l, err))
		return -1;
	size_t n = strlen(prefix);
	if (!trib_span_starts(l, prefix) || l.n == n)
		return trib_fail(err, TRIB_E_FORMAT, "schema.sql line %u: expected \"%s\"", in->line, prefix);
	*ret = trib_span(l.p + n, l.n - n);
	return 0;
}

static int take_number(struct lines *in, const char *prefix, bool is_signed, uint64_t max, int64_t *ret, struct trib_err *err)
{
	struct trib_span f;
	uint64_t v;
	if (take_value(in, prefix, &f, err))
		return -1;
	bool minus = is_signed && f.p[0] == '-';
	if (minus)
		f = trib_span(f.p + 1, f.n - 1);
	const struct trib_kv at = {.line = in->line};
	if (trib_kv_u64(&at, f, prefix + 3, &v, err))
		return trib_ctx(err, "schema.sql");
	if (v > max + (minus ? 1 : 0) || (minus && v == 0))
		return bad(in, "a number out of its range", err);
	*ret = minus ? -(int64_t)v : (int64_t)v;
	return 0;
}

static int take_head(struct lines *in, struct trib_schematext *s, struct trib_err *err)
{
	static const char *const encodings[] = {"UTF-8", "UTF-16le", "UTF-16be"};
	struct trib_span f;
	int64_t page_size, auto_vacuum;
	if (take_value(in, "-- tributary-schema ", &f, err))
		return -1;
	if (!trib_span_is(f, "1"))
		return bad(in, "not version 1", err);
	if (take_value(in, "-- encoding ", &f, err))
		return -1;
	for (size_t i = 0; i < TRIB_COUNT(encodings); i++)
		if (trib_span_is(f, encodings[i]))
			(void)snprintf(s->encoding, sizeof(s->encoding), "%s", encodings[i]);
	if (!s->encoding[0])
		return bad(in, "an encoding that SQLite does not have", err);
	if (take_number(in, "-- page_size ", false, 65536, &page_size, err))
		return -1;
	if (page_size < 512 || (page_size & (page_size - 1)))
		return bad(in, "a page size that SQLite does not have", err);
	if (take_number(in, "-- auto_vacuum ", false, 2, &auto_vacuum, err) ||
	    take_number(in, "-- user_version ", true, INT32_MAX, &s->user_version, err) ||
	    take_number(in, "-- application_id ", true, INT32_MAX, &s->application_id, err))
		return -1;
	s->page_size = (uint64_t)page_size;
	s->auto_vacuum = (uint64_t)auto_vacuum;
	return 0;
}

/* Decodes a name into a C string. */
static int take_name(const struct lines *in, struct trib_span f, char ret[TRIB_NAME_MAX + 1], struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_SCHEMA_MAX);
	const struct trib_kv at = {.line = in->line};
	if (trib_kv_name(&at, f, "name", TRIB_NAME_MAX, &b, err))
		return trib_ctx(err, "schema.sql");
	if (b.len && memchr(b.p, 0, b.len))
		return bad(in, "NUL in a name", err);
	memcpy(ret, trib_buf_str(&b), b.len + 1);
	return 0;
}

/* Takes the next field of *line and the blank before it. */
static bool take_field(struct trib_span *line, struct trib_span *ret)
{
	if (line->n < 2 || line->p[0] != ' ')
		return false;
	size_t n = 1;
	while (n < line->n && line->p[n] != ' ')
		n++;
	*ret = trib_span(line->p + 1, n - 1);
	*line = trib_span(line->p + n, line->n - n);
	return n > 1;
}

static int take_column(const struct lines *in, struct trib_st_table *t, struct trib_span f, struct trib_err *err)
{
	char name[TRIB_NAME_MAX + 1];
	uint64_t pk = 0;
	const uint8_t *colon = t->bag ? NULL : memchr(f.p, ':', f.n);
	size_t n = colon ? (size_t)(colon - f.p) : f.n;
	const struct trib_kv at = {.line = in->line};
	if (colon && trib_kv_u64(&at, trib_span(colon + 1, f.n - n - 1), "key place", &pk, err))
		return trib_ctx(err, "schema.sql");
	if (colon && (pk < 1 || pk > TRIB_COLUMNS_MAX))
		return bad(in, "a key place out of its range", err);
	if (take_name(in, trib_span(f.p, n), name, err))
		return -1;
	if (trib_schematext_add_column(t, name, (unsigned)pk, err))
		return trib_ctx(err, "schema.sql line %u", in->line);
	return 0;
}

static int name_cmp(const void *a, const void *b)
{
	return trib_fold_cmp(trib_span_str(*(char *const *)a), trib_span_str(*(char *const *)b));
}

/* Columns are unique, and key places are 1 to n, each once. */
static int check_columns(const struct lines *in, const struct trib_st_table *t, struct trib_err *err)
{
	const char *names[TRIB_COLUMNS_MAX];
	bool seen[TRIB_COLUMNS_MAX + 1] = {false};
	size_t npk = 0;
	if (t->ncols == 0)
		return bad(in, "a table without columns", err);
	for (size_t i = 0; i < t->ncols; i++) {
		names[i] = t->cols[i].name;
		npk += t->cols[i].pk != 0;
	}
	for (size_t i = 0; i < t->ncols; i++) {
		unsigned pk = t->cols[i].pk;
		if (pk > npk || (pk && seen[pk]))
			return bad(in, "key places are not 1 to n, each once", err);
		seen[pk] = true;
	}
	qsort(names, t->ncols, sizeof(names[0]), name_cmp);
	for (size_t i = 1; i < t->ncols; i++)
		if (name_cmp(&names[i - 1], &names[i]) == 0)
			return bad(in, "two columns of one name", err);
	return 0;
}

static int take_table(const struct lines *in, struct trib_span line, bool bag, struct trib_schematext *s, struct trib_err *err)
{
	struct trib_span f;
	char name[TRIB_NAME_MAX + 1];
	if (s->ntables >= TRIB_TABLES_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "schema.sql line %u: more tables than the limit of %d", in->line,
				 TRIB_TABLES_MAX);
	if (!take_field(&line, &f))
		return bad(in, "a table without name", err);
	if (take_name(in, f, name, err))
		return -1;
	/* SQLite keeps this prefix for itself; a table of that name could pass for a bag. */
	if (strlen(name) >= 7 && trib_fold_cmp(trib_span(name, 7), trib_span_str("sqlite_")) == 0)
		return bad(in, "a table name that begins with sqlite_", err);
	struct trib_st_table *t = trib_schematext_add(s, name, bag);
	if (!t)
		return trib_fail(err, TRIB_E_NOMEM, "schema.sql: out of memory");
	if (s->ntables > 1 && table_cmp(t - 1, t) >= 0)
		return bad(in, "tables are not rising by folded name", err);
	while (line.n) {
		if (!take_field(&line, &f))
			return bad(in, "fields without single blanks between", err);
		if (take_column(in, t, f, err))
			return -1;
	}
	return check_columns(in, t, err);
}

int trib_schematext_parse(struct trib_span text, struct trib_schematext *ret, struct trib_err *err)
{
	if (text.n > TRIB_SCHEMA_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "schema.sql: larger than the limit of %zu bytes", TRIB_SCHEMA_MAX);
	struct lines in = {.rest = text};
	TRIB_AUTO(trib_schematext) struct trib_schematext s = {0};
	if (take_head(&in, &s, err))
		return -1;
	for (;;) {
		struct trib_span l;
		if (take_line(&in, &l, err))
			return -1;
		if (l.n == 0)
			break;
		bool bag = trib_span_starts(l, "-- bag ");
		if (!bag && !trib_span_starts(l, "-- table "))
			return bad(&in, "neither a table, a bag nor the empty line", err);
		size_t skip = bag ? strlen("-- bag") : strlen("-- table");
		if (take_table(&in, trib_span(l.p + skip, l.n - skip), bag, &s, err))
			return -1;
	}
	s.sql = in.rest;
	if (s.sql.n && (s.sql.n < 2 || memcmp(s.sql.p + s.sql.n - 2, ";\n", 2) != 0 || memchr(s.sql.p, 0, s.sql.n)))
		return trib_fail(err, TRIB_E_FORMAT, "schema.sql: the SQL part holds a NUL or does not end with a semicolon and LF");
	*ret = s;
	s = (struct trib_schematext){0};
	return 0;
}

void trib_schematext_put(struct trib_buf *b, const struct trib_schematext *s)
{
	trib_buf_printf(b,
			"-- tributary-schema 1\n-- encoding %s\n-- page_size %llu\n-- auto_vacuum %llu\n-- user_version %lld\n"
			"-- application_id %lld\n",
			s->encoding, (unsigned long long)s->page_size, (unsigned long long)s->auto_vacuum,
			(long long)s->user_version, (long long)s->application_id);
	for (size_t i = 0; i < s->ntables; i++) {
		const struct trib_st_table *t = &s->tables[i];
		trib_buf_puts(b, t->bag ? "-- bag " : "-- table ");
		trib_pct(b, trib_span_str(t->name));
		for (size_t k = 0; k < t->ncols; k++) {
			trib_buf_putc(b, ' ');
			trib_pct(b, trib_span_str(t->cols[k].name));
			if (t->cols[k].pk && !t->bag)
				trib_buf_printf(b, ":%u", t->cols[k].pk);
		}
		trib_buf_putc(b, '\n');
	}
	trib_buf_putc(b, '\n');
	trib_buf_put_span(b, s->sql);
}
