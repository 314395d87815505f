/* test_full_engine.c: which changes a capture finds, and how it writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/scratch.h"

/* A capture in words: one line a change, "part op table old -> new"; NULL, 1, 1.5, 'text', x'00', - for undefined. */
static void put_values(struct trib_buf *b, const struct trib_value *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		trib_buf_putc(b, i ? ',' : '(');
		if (v[i].type == TRIB_UNDEF)
			trib_buf_putc(b, '-');
		else if (v[i].type == TRIB_NULL)
			trib_buf_puts(b, "NULL");
		else if (v[i].type == TRIB_INT)
			trib_buf_printf(b, "%lld", (long long)v[i].i);
		else if (v[i].type == TRIB_REAL)
			trib_buf_printf(b, "%.1f", v[i].r);
		else if (v[i].type == TRIB_TEXT)
			trib_buf_printf(b, "'%.*s'", (int)v[i].s.n, (const char *)v[i].s.p);
		else {
			trib_buf_puts(b, "x'");
			trib_buf_hex(b, v[i].s.p, v[i].s.n);
			trib_buf_putc(b, '\'');
		}
	}
	trib_buf_putc(b, ')');
}

static void words(const struct trib_capture *c, struct trib_buf *b)
{
	struct trib_err err;
	trib_buf_reset(b);
	for (size_t i = 0; i < c->nparts; i++) {
		struct trib_change ch;
		int rc;
		if (!c->parts[i].changeset.len)
			continue;
		struct trib_cs_reader *r = trib_cs_reader_new(trib_buf_span(&c->parts[i].changeset));
		while ((rc = trib_cs_next(r, &ch, &err)) == 1) {
			trib_buf_printf(b, "%zu %s %.*s ", i + 1, ch.op == TRIB_INSERT ? "ins" : ch.op == TRIB_DELETE ? "del" : "upd",
					(int)ch.table->name.n, (const char *)ch.table->name.p);
			if (ch.op != TRIB_INSERT)
				put_values(b, ch.old, ch.table->ncol);
			if (ch.op != TRIB_DELETE)
				put_values(b, ch.new, ch.table->ncol);
			trib_buf_putc(b, '\n');
		}
		trib_cs_reader_free(r);
		assert_int_equal(rc, 0);
	}
}

static int setup(void **state)
{
	struct scratch *x = calloc(1, sizeof(*x));
	scratch_make(x);
	x->app = sql_open(x->db);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	scratch_free(*state);
	free(*state);
	return 0;
}

/* Commits `before`, then expects the capture of `after` to read `want`. */
static void expect(struct scratch *x, const char *before, const char *after, const char *want)
{
	struct trib_capture c = {.delta.fd = -1};
	struct trib_buf b = TRIB_BUF(TRIB_MIB);
	if (before) {
		sql_run(x->app, before);
		(void)scratch_commit(x, &c);
		trib_capture_release(&c);
	}
	sql_run(x->app, after);
	(void)scratch_commit(x, &c);
	words(&c, &b);
	assert_string_equal(trib_buf_str(&b), want);
	trib_buf_release(&b);
	trib_capture_release(&c);
}

static void first_capture_takes_every_row(void **state)
{
	expect(*state, NULL, "CREATE TABLE b(id INTEGER PRIMARY KEY, v); CREATE TABLE A(k TEXT PRIMARY KEY, v);"
	       "INSERT INTO b VALUES(2,'two'),(-1,x'00'); INSERT INTO A VALUES('z',NULL),('y',1.5)",
	       "1 ins A ('y',1.5)\n1 ins A ('z',NULL)\n1 ins b (2,'two')\n1 ins b (-1,x'00')\n");
}

static void classes_and_bytes_decide(void **state)
{
	expect(*state, "CREATE TABLE t(k TEXT PRIMARY KEY COLLATE NOCASE, v); INSERT INTO t VALUES('a',1),('b','x'),('c',0.0),('d','k'),('e',1)",
	       "UPDATE t SET v=1.0 WHERE k='a'; UPDATE t SET v='x ' WHERE k='b'; UPDATE t SET v=-0.0 WHERE k='c'; UPDATE t SET k='D' WHERE k='d';"
	       "UPDATE t SET v=v WHERE k='e'",
	       "1 del t ('d','k')\n1 upd t ('a',1)(-,1.0)\n1 upd t ('b','x')(-,'x ')\n1 upd t ('c',0.0)(-,-0.0)\n1 ins t ('D','k')\n");
}

static void rows_found_again_elsewhere_are_no_change(void **state)
{
	expect(*state, "CREATE TABLE t(k TEXT PRIMARY KEY, v); INSERT INTO t VALUES('a',1),('b',2),('c',3); CREATE TABLE u(a,b); INSERT INTO u VALUES(1,2),(3,4)",
	       "DELETE FROM t; INSERT INTO t VALUES('c',3),('b',2),('a',4); DELETE FROM u; INSERT INTO u VALUES(3,4),(1,2); VACUUM",
	       "1 upd t ('a',1)(-,4)\n");
}

static void bags_count_equal_rows(void **state)
{
	expect(*state, "CREATE TABLE u(a,b); INSERT INTO u VALUES(1,2),(1,2),(3,4),(5,6),(1,2)",
	       "DELETE FROM u WHERE a=5; INSERT INTO u VALUES(7,8),(7,8),(1,2)",
	       "1 del sqlite_bag_u (5,6,1)\n1 upd sqlite_bag_u (1,2,3)(-,-,4)\n1 ins sqlite_bag_u (7,8,2)\n");
}

static void null_keys_go_to_the_bag(void **state)
{
	expect(*state, "CREATE TABLE p(a,b,v,PRIMARY KEY(b,a)); INSERT INTO p VALUES(1,1,'x'),(NULL,1,'y'),(NULL,1,'y'),(2,NULL,NULL)",
	       "UPDATE p SET a=5 WHERE rowid=2; UPDATE p SET v='z' WHERE rowid=1; DELETE FROM p WHERE rowid=4",
	       "1 upd p (1,1,'x')(-,-,'z')\n1 ins p (5,1,'y')\n1 del sqlite_bag_p (2,NULL,NULL,1)\n1 upd sqlite_bag_p (NULL,1,'y',2)(-,-,-,1)\n");
}

static void a_table_that_can_have_no_bag_any_more_empties_it(void **state)
{
	expect(*state, "CREATE TABLE t(k PRIMARY KEY, v); INSERT INTO t VALUES(1,2),(NULL,3)",
	       "CREATE TABLE n(k PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO n SELECT * FROM t WHERE k NOT NULL; DROP TABLE t; ALTER TABLE n RENAME TO t",
	       "1 del sqlite_bag_t (NULL,3,1)\n");
}

static void dropped_cells_and_tables_come_first(void **state)
{
	expect(*state, "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); INSERT INTO t VALUES(1,10,20),(2,11,NULL),(3,12,22); CREATE TABLE d(k TEXT PRIMARY KEY);"
	       "INSERT INTO d VALUES('q')",
	       "ALTER TABLE t DROP COLUMN b; DROP TABLE d; ALTER TABLE t ADD COLUMN c DEFAULT 7.5; DELETE FROM t WHERE id=3",
	       "1 del d ('q')\n1 upd t (1,-,20)(-,-,NULL)\n1 upd t (3,-,22)(-,-,NULL)\n"
	       "2 del t (3,12,NULL)\n2 upd t (1,-,NULL)(-,-,7.5)\n2 upd t (2,-,NULL)(-,-,7.5)\n");
}

static void another_key_is_drop_and_add(void **state)
{
	expect(*state, "CREATE TABLE t(a PRIMARY KEY, b); INSERT INTO t VALUES(1,2)",
	       "CREATE TABLE n(a, b, PRIMARY KEY(b)); INSERT INTO n SELECT * FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t",
	       "1 del t (1,2)\n2 ins t (1,2)\n");
}

static void a_rebuild_is_no_change(void **state)
{
	struct scratch *x = *state;
	struct trib_capture c = {.delta.fd = -1};
	expect(x, "CREATE TABLE t(a PRIMARY KEY, b); INSERT INTO t VALUES(1,2),(3,4)",
	       "CREATE TABLE n(a PRIMARY KEY, b); INSERT INTO n SELECT * FROM t ORDER BY a DESC; DROP TABLE t; ALTER TABLE n RENAME TO t", "");
	sql_run(x->app, "VACUUM; PRAGMA page_size=8192; VACUUM");
	OK(trib_capture_run(&x->s, &trib_engine_full, &c, err));
	assert_true(c.changed); /* page_size stands in the schema text */
	assert_int_equal(c.nparts, 1);
	assert_int_equal(c.parts[0].changeset.len, 0);
	trib_capture_release(&c);
}

static void generated_columns_do_not_travel(void **state)
{
	expect(*state, "CREATE TABLE g(a TEXT, v AS (a||'!'), k INTEGER PRIMARY KEY, s AS (k*2) STORED, z); INSERT INTO g(a,k,z) VALUES('x',1,2)",
	       "UPDATE g SET a='y'", "1 upd g ('x',1,-)('y',-,-)\n");
}

static void nothing_changed_is_said(void **state)
{
	struct scratch *x = *state;
	struct trib_capture c = {.delta.fd = -1};
	sql_run(x->app, "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, v); INSERT INTO t(v) VALUES('a')");
	assert_true(scratch_commit(x, &c));
	assert_int_equal(c.nsequences, 1);
	assert_string_equal(c.sequences[0].table, "t");
	assert_int_equal(c.sequences[0].value, 1);
	trib_capture_release(&c);
	sql_run(x->app, "UPDATE t SET v='b'; UPDATE t SET v='a'");
	assert_false(scratch_commit(x, &c));
	assert_int_equal(c.nparts, 0);
	trib_capture_release(&c);
	sql_run(x->app, "INSERT INTO t(v) VALUES('z'); DELETE FROM t WHERE v='z'");
	assert_true(scratch_commit(x, &c)); /* the sequence moved */
	assert_int_equal(c.nparts, 1);
	assert_int_equal(c.parts[0].changeset.len, 0);
	assert_int_equal(c.sequences[0].value, 2);
	trib_capture_release(&c);
}

static void renames_are_told(void **state)
{
	struct scratch *x = *state;
	struct trib_capture c = {.delta.fd = -1};
	sql_run(x->app, "CREATE TABLE \"a (1)\"(id INTEGER PRIMARY KEY, v); CREATE TABLE t(id INTEGER PRIMARY KEY, first TEXT, second TEXT);"
		"INSERT INTO \"a (1)\" VALUES(1,2); INSERT INTO t VALUES(1,'x','y')");
	assert_true(scratch_commit(x, &c));
	assert_int_equal(c.nrenamed, 0);
	trib_capture_release(&c);
	sql_run(x->app, "ALTER TABLE \"a (1)\" RENAME TO other; ALTER TABLE t RENAME COLUMN second TO third");
	assert_true(scratch_commit(x, &c));
	assert_int_equal(c.nrenamed, 2);
	assert_null(c.renamed[0].table);
	assert_string_equal(c.renamed[0].from, "a (1)");
	assert_string_equal(c.renamed[0].to, "other");
	assert_string_equal(c.renamed[1].table, "t");
	assert_string_equal(c.renamed[1].from, "second");
	assert_string_equal(c.renamed[1].to, "third");
	trib_capture_release(&c);
}

static void odd_utf16_and_virtual_tables_are_named(void **state)
{
	struct scratch *x = *state;
	struct trib_capture c = {.delta.fd = -1};
	struct trib_buf b = TRIB_BUF(TRIB_MIB);
	sql_run(x->app, "PRAGMA encoding='UTF-16le'; CREATE TABLE t(id INTEGER PRIMARY KEY, v);"
		"INSERT INTO t VALUES(1,'\xe6\xb4\x97'),(2,'ok'); CREATE VIRTUAL TABLE f USING fts5(x)");
	assert_true(scratch_commit(x, &c));
	words(&c, &b);
	assert_string_equal(trib_buf_str(&b), "1 ins t (1,'\xe6\xb4\x97')\n1 ins t (2,'ok')\n");
	assert_true(c.nleft_out >= 2);
	assert_string_equal(c.left_out[0].name, "f");
	assert_string_equal(c.left_out[0].reason, "virtual");
	assert_string_equal(c.left_out[1].reason, "shadow");
	trib_buf_release(&b);
	trib_capture_release(&c);
}

/* The file is made anew in another encoding: text is compared as text, and bytes that look alike are not mistaken for it. */
static void another_encoding_is_no_change_of_text(void **state)
{
	struct scratch *x = *state;
	struct trib_capture c = {.delta.fd = -1}, page = {.delta.fd = -1};
	struct trib_buf b = TRIB_BUF(TRIB_MIB);
	sql_run(x->app, "CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1,'\xe6\xb4\x97'),(2,'a'||char(0)),(3,'x')");
	assert_true(scratch_commit(x, &c));
	trib_capture_release(&c);
	sqlite3_close(x->app);
	assert_int_equal(unlink(x->db), 0);
	x->app = sql_open(x->db);
	sql_run(x->app, "PRAGMA encoding='UTF-16le'; CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1,'\xe6\xb4\x97'),(2,'a'),(3,'x')");
	OK(trib_capture_run(&x->s, &trib_engine_page, &page, err));
	trib_delta_release(&page.delta);
	assert_string_equal(page.engine, "page+full:encoding");
	assert_int_equal(page.rows_found, 1);
	assert_int_equal(page.full_tables, 1);
	assert_true(scratch_commit(x, &c));
	assert_true(trib_span_eq(trib_buf_span(&c.parts[c.nparts - 1].changeset), trib_buf_span(&page.parts[page.nparts - 1].changeset)));
	trib_capture_release(&page);
	words(&c, &b);
	assert_int_equal(c.rows_found, 1);
	assert_non_null(strstr(trib_buf_str(&b), "(-,'a')\n"));
	trib_buf_release(&b);
	trib_capture_release(&c);
}

static void rows_beyond_the_limit_are_left_out(void **state)
{
	struct scratch *x = *state;
	struct trib_capture c = {.delta.fd = -1};
	struct trib_buf b = TRIB_BUF(TRIB_MIB);
	/* A row is its encoded values: 9 bytes for the key, 1 + 4 + n for a blob of that size. */
	char sql[256];
	(void)snprintf(sql, sizeof(sql), "CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1,zeroblob(%zu)),(2,zeroblob(%zu)),(3,'s')",
		       (size_t)TRIB_ROW_MAX - 14, (size_t)TRIB_ROW_MAX - 13);
	sql_run(x->app, sql);
	assert_true(scratch_commit(x, &c));
	assert_int_equal(c.rows_found, 2);
	assert_int_equal(c.nleft_out, 1);
	assert_string_equal(c.left_out[0].name, "t");
	assert_string_equal(c.left_out[0].reason, "row-too-large");
	assert_int_equal(c.left_out[0].count, 1);
	trib_capture_release(&c);
	sql_run(x->app, "UPDATE t SET v='small' WHERE id=2");
	assert_true(scratch_commit(x, &c));
	words(&c, &b);
	assert_string_equal(trib_buf_str(&b), "1 ins t (2,'small')\n");
	assert_int_equal(c.nleft_out, 0);
	trib_buf_release(&b);
	trib_capture_release(&c);
}

static void large_captures_are_cut_into_parts(void **state)
{
	struct scratch *x = *state;
	struct trib_capture c = {.delta.fd = -1};
	sql_run(x->app, "CREATE TABLE t(id INTEGER PRIMARY KEY, v); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<70)"
		" INSERT INTO t SELECT i, randomblob(200000) FROM n");
	assert_true(scratch_commit(x, &c)); /* 14 MB that do not compress: cut by the estimate */
	assert_true(c.nparts >= 2);
	assert_int_equal(c.rows_found, 70);
	for (size_t i = 0; i < c.nparts; i++)
		assert_true(c.parts[i].changeset.len > 0 && c.parts[i].changeset.len < 10 * TRIB_MIB);
	trib_capture_release(&c);
}

int main(void)
{
	struct trib_err err;
	if (trib_repo_lib_init(&err))
		return 1;
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(first_capture_takes_every_row), T(classes_and_bytes_decide), T(rows_found_again_elsewhere_are_no_change),
		T(bags_count_equal_rows), T(null_keys_go_to_the_bag), T(a_table_that_can_have_no_bag_any_more_empties_it), T(dropped_cells_and_tables_come_first), T(another_key_is_drop_and_add),
		T(a_rebuild_is_no_change), T(generated_columns_do_not_travel), T(nothing_changed_is_said), T(renames_are_told),
		T(odd_utf16_and_virtual_tables_are_named), T(another_encoding_is_no_change_of_text), T(rows_beyond_the_limit_are_left_out), T(large_captures_are_cut_into_parts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
