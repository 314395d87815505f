/* test_survey.c: what of the rows is left out or has no key is said before the first capture as that capture then finds it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/capture/survey.h"
#include "tests/lib/scratch.h"

static int setup(void **state)
{
	struct scratch *x = calloc(1, sizeof(*x));
	scratch_make(x);
	x->app = sql_open(x->db);
	sql_run(x->app, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF"); /* much is written, and nothing is lost */
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	scratch_free(*state);
	free(*state);
	return 0;
}

struct seen {
	struct trib_schema s;
	struct trib_survey v;
};
static void seen_cleanup(struct seen *n)
{
	trib_survey_release(&n->v);
	trib_schema_release(&n->s);
}

static struct seen look(struct scratch *x, const char *sql)
{
	struct seen n = {0};
	sql_run(x->app, sql);
	OK(trib_capture_survey(x->db, &n.s, &n.v, err));
	assert_int_equal(n.v.n, n.s.ntables);
	return n;
}

static const struct trib_survey_table *of(const struct seen *n, const char *table)
{
	const struct trib_table *t = trib_schema_find(&n->s, table);
	assert_non_null(t);
	return &n->v.tables[t - n->s.tables];
}

/* ---- what the capture does ---- */

static uint64_t left_out(const struct trib_capture *c, const char *table, const char *reason)
{
	for (size_t i = 0; i < c->nleft_out; i++)
		if (strcmp(c->left_out[i].name, table) == 0 && strcmp(c->left_out[i].reason, reason) == 0)
			return c->left_out[i].count;
	return 0;
}

static uint64_t in_bag(const struct trib_capture *c, const struct trib_table *t)
{
	char name[TRIB_NAME_MAX + 20];
	struct trib_err err;
	uint64_t rows = 0;
	(void)snprintf(name, sizeof(name), TRIB_BAG_PREFIX "%s", t->name);
	for (size_t i = 0; i < c->nparts && t->keyed; i++) {
		struct trib_change ch;
		if (!c->parts[i].changeset.len)
			continue;
		struct trib_cs_reader *r = trib_cs_reader_new(trib_buf_span(&c->parts[i].changeset));
		while (trib_cs_next(r, &ch, &err) == 1)
			if (trib_span_is(ch.table->name, name))
				rows += (uint64_t)ch.new[ch.table->ncol - 1].i;
		trib_cs_reader_free(r);
	}
	return rows;
}

static void as_captured(struct scratch *x, const struct seen *n)
{
	struct trib_capture c = {.delta.fd = -1};
	OK(trib_capture_run(&x->s, &trib_engine_full, &c, err));
	for (size_t i = 0; i < n->s.ntables; i++) {
		const struct trib_table *t = &n->s.tables[i];
		const struct trib_survey_table *v = &n->v.tables[i];
		assert_int_equal(v->too_large, left_out(&c, t->name, "row-too-large"));
		assert_int_equal(v->no_text, left_out(&c, t->name, "text-not-convertible"));
		assert_int_equal(v->null_keys, in_bag(&c, t));
	}
	trib_delta_release(&c.delta);
	trib_capture_release(&c);
}

/* ---- the tests ---- */

static void rows_with_null_in_the_key_are_counted(void **state)
{
	TRIB_AUTO(seen) struct seen n = look(*state,
		"CREATE TABLE txt(k TEXT PRIMARY KEY, v); INSERT INTO txt VALUES('a',1),(NULL,1),(NULL,1),(NULL,2);"
		"CREATE TABLE two(a, v, b, PRIMARY KEY(b, a)); INSERT INTO two VALUES(1,0,1),(NULL,NULL,1),(2,0,NULL),(3,NULL,3);"
		"CREATE TABLE num(id INTEGER PRIMARY KEY, v); INSERT INTO num VALUES(1,NULL);"
		"CREATE TABLE down(id INTEGER PRIMARY KEY DESC, v); INSERT INTO down VALUES(NULL,1),(1,1);"
		"CREATE TABLE wr(k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO wr VALUES('a',NULL);"
		"CREATE TABLE bag(a, b); INSERT INTO bag VALUES(NULL,NULL);"
		"CREATE TABLE hid(rowid, _rowid_, oid, PRIMARY KEY(rowid)); INSERT INTO hid VALUES(1,1,1),(NULL,2,2),(NULL,3,3);");
	assert_int_equal(of(&n, "txt")->null_keys, 3);
	assert_int_equal(of(&n, "two")->null_keys, 2);
	assert_int_equal(of(&n, "down")->null_keys, 1);
	assert_int_equal(of(&n, "hid")->null_keys, 2);
	assert_int_equal(of(&n, "num")->null_keys + of(&n, "wr")->null_keys + of(&n, "bag")->null_keys, 0);
	as_captured(*state, &n);
}

#define LIMIT ((size_t)TRIB_ROW_MAX)

/* A row is its encoded values: 9 bytes a number, 1 a NULL, 1 + 4 + n such a blob; a row of a bag has 9 more. */
static void the_limit_is_that_of_a_capture(void **state)
{
	char sql[1024];
	(void)snprintf(sql, sizeof(sql),
		       "CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1,zeroblob(%zu)),(2,zeroblob(%zu)),(3,'s');"
		       "CREATE TABLE b(k TEXT PRIMARY KEY, v); INSERT INTO b VALUES(NULL,zeroblob(%zu)),(NULL,zeroblob(%zu))",
		       LIMIT - 14, LIMIT - 13, LIMIT - 15, LIMIT - 14);
	TRIB_AUTO(seen) struct seen n = look(*state, sql);
	assert_int_equal(of(&n, "t")->too_large, 1);
	assert_int_equal(of(&n, "t")->nlarge, 1);
	assert_string_equal(of(&n, "t")->large[0], "id = 2");
	assert_int_equal(of(&n, "b")->too_large, 1);
	assert_int_equal(of(&n, "b")->null_keys, 1);
	assert_string_equal(of(&n, "b")->large[0], "rowid = 2");
}

/* 23 million characters are 69 million bytes. The rows behind such a one are read, too. */
static void bytes_count_not_characters(void **state)
{
	TRIB_AUTO(seen) struct seen n = look(*state,
		"CREATE TABLE r(id INTEGER PRIMARY KEY, v); INSERT INTO r VALUES(-9223372036854775808,'x'),(0,printf('%.*c',23000000,'汉')),(9223372036854775807,NULL);"
		"CREATE TABLE w(a, b, v, PRIMARY KEY(b, a)) WITHOUT ROWID; INSERT INTO w SELECT 2,'it''s',v FROM r WHERE id = 0;"
		"INSERT INTO w VALUES(3,'a','v'),(4,x'00ff','v')");
	assert_int_equal(of(&n, "r")->too_large, 1);
	assert_string_equal(of(&n, "r")->large[0], "id = 0");
	assert_int_equal(of(&n, "w")->too_large, 1);
	assert_string_equal(of(&n, "w")->large[0], "b = 'it''s', a = 2");
}

static void values_count_together_and_generated_ones_do_not(void **state)
{
	TRIB_AUTO(seen) struct seen n = look(*state,
		"CREATE TABLE t(a, b, c AS (a), d AS (b)); INSERT INTO t(a, b) VALUES(printf('%.*c',12000000,'汉'),zeroblob(34000000)),"
		"(zeroblob(34000000),'y');"
		"CREATE TABLE hid(rowid, _rowid_, oid); INSERT INTO hid VALUES(1,1,1),(zeroblob(34000000),zeroblob(34000000),1)");
	assert_int_equal(of(&n, "t")->too_large, 1);
	assert_string_equal(of(&n, "t")->large[0], "rowid = 1");
	assert_string_equal(of(&n, "hid")->large[0], "#2");
	as_captured(*state, &n);
}

static void no_more_rows_are_named_than_the_limit(void **state)
{
	TRIB_AUTO(seen) struct seen n = look(*state,
		"CREATE TABLE t(id INTEGER PRIMARY KEY, v); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<6)"
		" INSERT INTO t SELECT i, zeroblob(67200000) FROM c");
	assert_int_equal(of(&n, "t")->too_large, 6);
	assert_int_equal(of(&n, "t")->nlarge, TRIB_SURVEY_NAMED);
	assert_string_equal(of(&n, "t")->large[4], "id = 5");
}

/* Neither a blob nor a text beyond the limit comes into memory. */
static void large_values_are_not_loaded(void **state)
{
	struct scratch *x = *state;
	sql_run(x->app, "CREATE TABLE t(k TEXT PRIMARY KEY, v); INSERT INTO t VALUES('blob',zeroblob(67200000)),('small','v'),('fits',zeroblob(67000000));"
			"INSERT INTO t VALUES('text',printf('%.*c',67200000,'x'))");
	(void)sqlite3_memory_highwater(1);
	sqlite3_int64 before = sqlite3_memory_used();
	TRIB_AUTO(seen) struct seen n = look(x, "");
	assert_int_equal(of(&n, "t")->too_large, 2);
	assert_string_equal(of(&n, "t")->large[0], "k = 'blob'");
	assert_string_equal(of(&n, "t")->large[1], "k = 'text'");
	assert_true(sqlite3_memory_highwater(0) - before < (sqlite3_int64)(8 * TRIB_MIB));
}

/* The same characters are 1, 2 or 3 bytes in UTF-8 and always 2 here; which only its bytes tell. */
static void utf16_counts_as_it_travels(void **state)
{
	TRIB_AUTO(seen) struct seen n = look(*state,
		"PRAGMA encoding='UTF-16le'; CREATE TABLE t(k TEXT PRIMARY KEY, v);"
		"INSERT INTO t VALUES('ascii',printf('%.*c',36000000,'x')),('han',printf('%.*c',24000000,'汉'));"
		"INSERT INTO t VALUES(NULL,CAST(x'61006200' AS TEXT)),('blob',x'61')");
	assert_int_equal(of(&n, "t")->too_large, 1);
	assert_string_equal(of(&n, "t")->large[0], "k = 'han'");
	assert_int_equal(of(&n, "t")->null_keys, 1);
	assert_int_equal(of(&n, "t")->no_text, 0);
}

/* SQL writes no such text; files have them. */
static void make_odd_text(struct scratch *x)
{
	static const uint8_t blob[] = {0x03, 0x00, 0x12, 0xa1, 0xb2, 0xc3}, text = 0x13; /* a record: its header, NULL for the key, a blob of 3 bytes */
	TRIB_AUTO(trib_buf) struct trib_buf file = TRIB_BUF(TRIB_MIB);
	OK(trib_fs_read(x->db, &file, err));
	uint8_t *p = memmem(file.p, file.len, blob, sizeof(blob));
	assert_non_null(p);
	FILE *f = fopen(x->db, "r+b");
	assert_non_null(f);
	assert_int_equal(fseek(f, p - file.p + 2, SEEK_SET), 0);
	assert_int_equal(fwrite(&text, 1, 1, f), 1);
	assert_int_equal(fclose(f), 0);
}

static void text_that_is_none_is_counted(void **state)
{
	struct scratch *x = *state;
	sql_run(x->app, "PRAGMA encoding='UTF-16be'; CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1,x'a1b2c3'),(2,'b')");
	make_odd_text(x);
	TRIB_AUTO(seen) struct seen n = look(x, "");
	assert_int_equal(of(&n, "t")->no_text, 1);
	as_captured(x, &n);
}

static void a_database_in_memory_is_looked_at(void **state)
{
	(void)state;
	TRIB_AUTO(seen) struct seen n = {0};
	TRIB_AUTO(trib_db) sqlite3 *db = sql_open(":memory:");
	sql_run(db, "CREATE TABLE t(k TEXT PRIMARY KEY, v); INSERT INTO t VALUES(NULL,1),('a',1)");
	OK(trib_schema_read(db, &n.s, err));
	OK(trib_survey_memory(db, &n.s, &n.v, err));
	assert_int_equal(of(&n, "t")->null_keys, 1);
	sql_run(db, "INSERT INTO t VALUES('b',1)"); /* it is still the caller's */
}

/* A tree that leads into itself has no end. */
static void a_damaged_file_is_refused(void **state)
{
	struct scratch *x = *state;
	struct seen n = {0};
	struct trib_err err;
	sql_run(x->app, "PRAGMA page_size=512; VACUUM; CREATE TABLE t(k TEXT PRIMARY KEY, v); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<2000)"
			" INSERT INTO t SELECT NULL, printf('%040d', i) FROM c");
	uint32_t root = scratch_root_of(x, "t");
	sqlite3_close(x->app);
	x->app = NULL;
	FILE *f = fopen(x->db, "r+b");
	uint8_t page[512];
	assert_non_null(f);
	/* Every child of the root is the same one. */
	assert_int_equal(fseek(f, (long)(root - 1) * 512, SEEK_SET), 0);
	assert_int_equal(fread(page, 1, 512, f), 512);
	assert_int_equal(page[0], 5);
	for (size_t i = 0; i < (size_t)(page[3] << 8 | page[4]); i++)
		memcpy(page + (page[12 + 2 * i] << 8 | page[13 + 2 * i]), page + 8, 4);
	assert_int_equal(fseek(f, (long)(root - 1) * 512, SEEK_SET), 0);
	assert_int_equal(fwrite(page, 1, 512, f), 512);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(trib_capture_survey(x->db, &n.s, &n.v, &err), -1);
	assert_int_equal(err.code, TRIB_E_SCHEMA);
	assert_non_null(strstr(err.msg, "damaged"));
}

int main(void)
{
	struct trib_err err;
	if (trib_repo_lib_init(&err))
		return 1;
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(rows_with_null_in_the_key_are_counted), T(the_limit_is_that_of_a_capture), T(bytes_count_not_characters),
		T(values_count_together_and_generated_ones_do_not), T(no_more_rows_are_named_than_the_limit), T(large_values_are_not_loaded),
		T(utf16_counts_as_it_travels), T(text_that_is_none_is_counted), T(a_database_in_memory_is_looked_at), T(a_damaged_file_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
