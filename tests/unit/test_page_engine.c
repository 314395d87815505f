/* test_page_engine.c: each rule that comparing by pages needs, with a case that goes wrong without it. The full engine says what is right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/capture/baseline.h"
#include "tests/lib/edits.h"

static int setup(void **state)
{
	struct scratch *x = calloc(1, sizeof(*x));
	scratch_make(x);
	open_app(x, false);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	scratch_free(*state);
	free(*state);
	return 0;
}

struct seen { uint64_t rows, pages, full_tables; };

/* Captures what was done since the last time: both engines must agree, and the page engine call itself `engine`. */
static struct seen see(struct scratch *x, const char *engine)
{
	struct trib_capture page = {.delta.fd = -1}, full = {.delta.fd = -1};
	OK(trib_capture_run(&x->s, &trib_engine_page, &page, err));
	trib_delta_release(&page.delta);
	(void)scratch_commit(x, &full);
	same_capture(&full, &page);
	assert_string_equal(page.engine, engine);
	struct seen s = {page.rows_found, page.pages_changed, page.full_tables};
	trib_capture_release(&page);
	trib_capture_release(&full);
	return s;
}

/* The only change of the capture to come puts this text into column `col`. */
static void writes_text(struct scratch *x, size_t col, const char *want)
{
	struct trib_capture c = {.delta.fd = -1};
	struct trib_change ch;
	OK(trib_capture_run(&x->s, &trib_engine_page, &c, err));
	assert_string_equal(c.engine, "page");
	struct trib_cs_reader *r = trib_cs_reader_new(trib_buf_span(&c.parts[0].changeset));
	struct trib_err err = {0};
	assert_int_equal(trib_cs_next(r, &ch, &err), 1);
	assert_int_equal(ch.new[col].type, TRIB_TEXT);
	assert_int_equal(ch.new[col].s.n, strlen(want));
	assert_memory_equal(ch.new[col].s.p, want, strlen(want));
	trib_cs_reader_free(r);
	trib_capture_release(&c);
}

static void start(struct scratch *x, const char *sql)
{
	sql_run(x->app, sql);
	(void)see(x, "full");
}

#define ROWS(n) "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM s WHERE i < " #n ") "

static void write_blob(struct scratch *x, const char *table, const char *column, int64_t rowid, int at)
{
	sqlite3_blob *b = NULL;
	assert_int_equal(sqlite3_blob_open(x->app, "main", table, column, rowid, 1, &b), SQLITE_OK);
	assert_int_equal(sqlite3_blob_write(b, "!", 1, at), SQLITE_OK);
	assert_int_equal(sqlite3_blob_close(b), SQLITE_OK);
}

static void a_chain_may_change_under_an_identical_leaf(void **state)
{
	struct scratch *x = *state;
	start(x, "PRAGMA page_size=1024; CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE z(id INTEGER PRIMARY KEY, v);"
	      ROWS(50) "INSERT INTO a SELECT i, zeroblob(9000) FROM s; INSERT INTO z SELECT id, v FROM a");
	write_blob(x, "z", "v", 17, 8999);
	struct seen s = see(x, "page");
	assert_int_equal(s.rows, 1);
	assert_true(s.pages <= 2);
	/* The first page of the chain, and one in a table without integer key. */
	sql_run(x->app, "CREATE TABLE k(k TEXT PRIMARY KEY, v); INSERT INTO k SELECT 'k' || id, v FROM a");
	(void)see(x, "page");
	write_blob(x, "k", "v", 3, 1500);
	write_blob(x, "a", "v", 50, 4000);
	assert_int_equal(see(x, "page").rows, 2);
}

static void an_overflowing_index_entry_is_no_row(void **state)
{
	struct scratch *x = *state;
	start(x, "PRAGMA page_size=512; CREATE TABLE a(id INTEGER PRIMARY KEY, v TEXT); CREATE INDEX i ON a(v);" ROWS(40)
	      "INSERT INTO a SELECT i, printf('%04d', i) || substr(hex(zeroblob(2000)), 1, 3000) FROM s");
	sql_run(x->app, "UPDATE a SET v = v || 'x' WHERE id % 10 = 0");
	assert_int_equal(see(x, "page").rows, 4);
}

static void moved_chains_are_no_change(void **state)
{
	struct scratch *x = *state;
	start(x, "PRAGMA page_size=512; PRAGMA auto_vacuum=1; CREATE TABLE gone(v); INSERT INTO gone VALUES(zeroblob(60000));"
	      "CREATE TABLE a(id INTEGER PRIMARY KEY, v);" ROWS(30) "INSERT INTO a SELECT i, zeroblob(5000) FROM s");
	sql_run(x->app, "DROP TABLE gone"); /* pages of a's chains fill the gap */
	assert_int_equal(see(x, "page").rows, 1); /* the row of `gone` */
}

static void rows_lie_in_interior_pages_of_a_table_without_rowid(void **state)
{
	struct scratch *x = *state;
	start(x, "PRAGMA page_size=512; CREATE TABLE w(k TEXT PRIMARY KEY, v INT) WITHOUT ROWID;"
	      ROWS(3000) "INSERT INTO w SELECT 'key' || (i * 7919 % 3001), 1 FROM s");
	sql_run(x->app, "UPDATE w SET v = 2");
	assert_int_equal(see(x, "page").rows, 3000);
	sql_run(x->app, "DELETE FROM w WHERE rowid_of(k) % 3 = 0");
	assert_int_equal(see(x, "page").rows, 1000);
}

static void sql_rowid_of(sqlite3_context *ctx, int n, sqlite3_value **v)
{
	(void)n;
	sqlite3_result_int(ctx, (int)strtol((const char *)sqlite3_value_text(v[0]) + 3, NULL, 10));
}

static void tables_that_change_names_change_all_rows(void **state)
{
	struct scratch *x = *state;
	start(x, "CREATE TABLE \"a\"(id INTEGER PRIMARY KEY, v); CREATE TABLE \"b\"(id INTEGER PRIMARY KEY, v);"
	      ROWS(400) "INSERT INTO a SELECT i, 'a' FROM s; INSERT INTO b SELECT id, 'b' FROM a");
	sql_run(x->app, "ALTER TABLE a RENAME TO c; ALTER TABLE b RENAME TO a; ALTER TABLE c RENAME TO b");
	struct seen s = see(x, "page");
	assert_int_equal(s.rows, 800);
	assert_true(s.pages < 4);
}

static void columns_that_change_names_change_all_rows(void **state)
{
	struct scratch *x = *state;
	start(x, "CREATE TABLE a(id INTEGER PRIMARY KEY, x, y); CREATE TABLE b(id INTEGER PRIMARY KEY, x, y);"
	      ROWS(200) "INSERT INTO a SELECT i, 'x', 'y' FROM s; INSERT INTO b SELECT * FROM a");
	sql_run(x->app, "ALTER TABLE a RENAME x TO z; ALTER TABLE a RENAME y TO x; ALTER TABLE a RENAME z TO y; UPDATE b SET x = 1 WHERE id = 7");
	struct seen s = see(x, "page+full:schema");
	assert_int_equal(s.rows, 201);
	assert_int_equal(s.full_tables, 1); /* b is still compared by pages */
}

static void a_short_record_takes_the_default_as_it_reads(void **state)
{
	struct scratch *x = *state;
	start(x, "CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE w(k PRIMARY KEY, v) WITHOUT ROWID;"
	      ROWS(300) "INSERT INTO a SELECT i, i FROM s; INSERT INTO w SELECT id, v FROM a");
	sql_run(x->app, "ALTER TABLE a ADD COLUMN n INT DEFAULT 7.0; ALTER TABLE a ADD COLUMN r REAL DEFAULT 3; ALTER TABLE a ADD COLUMN t TEXT DEFAULT 5;"
		"ALTER TABLE w ADD COLUMN n INT DEFAULT 7.0; ALTER TABLE w ADD COLUMN b BLOB DEFAULT x'0102'");
	assert_int_equal(see(x, "page+full:schema").rows, 600);
	/* One old row is rewritten: its neighbours on the page are not. 7.0 becomes 7 by this. */
	sql_run(x->app, "UPDATE a SET v = -1 WHERE id = 100; UPDATE w SET v = -1 WHERE k = 100; DELETE FROM a WHERE id = 200; INSERT INTO a(id) VALUES(1000)");
	assert_int_equal(see(x, "page").rows, 4);
	/* Moving rows to other pages does not rewrite them. */
	sql_run(x->app, "VACUUM");
	assert_int_equal(see(x, "page").rows, 0);
}

static void whole_numbers_of_real_columns_are_reals(void **state)
{
	struct scratch *x = *state;
	start(x, "CREATE TABLE a(id INTEGER PRIMARY KEY, r REAL, f FLOAT, d \"double\", n NUMERIC, p \"FLOATING POINT\", c);" ROWS(100)
	      "INSERT INTO a SELECT i, i, i, i, i, i, i FROM s");
	sql_run(x->app, "UPDATE a SET c = 1.0 WHERE id < 4; UPDATE a SET r = r + 1, n = 2.0 WHERE id = 50; UPDATE a SET id = -id WHERE id = 60");
	assert_int_equal(see(x, "page").rows, 6);
}

/* The order of fields is not that of columns; some columns have no field, some have two; 0 and 1 have no bytes; an INTEGER key may be none. */
static void fields_are_found_where_they_lie(void **state)
{
	struct scratch *x = *state;
	start(x, "CREATE TABLE w(a, k TEXT COLLATE NOCASE, j REAL, b, PRIMARY KEY(k, j)) WITHOUT ROWID;"
	      "CREATE TABLE r(a, k, j, PRIMARY KEY(k, k COLLATE NOCASE, j DESC)) WITHOUT ROWID;"
	      "CREATE TABLE g(id INTEGER PRIMARY KEY, v AS (a), w AS (a || 'w') STORED, a INT, s AS (b) STORED, b);"
	      "CREATE TABLE d(a, id INTEGER PRIMARY KEY DESC, b); CREATE TABLE i(a, id INT PRIMARY KEY, b);"
	      ROWS(300) "INSERT INTO w SELECT i, 'k' || (i / 2), i % 2, i * 3 FROM s; INSERT INTO r SELECT a, k || a, j FROM w;"
	      "INSERT INTO g(id, a, b) SELECT a, a % 2, a % 3 FROM w; INSERT INTO d SELECT a % 2, a, 1 FROM w; INSERT INTO i SELECT a % 2, a, 0 FROM w");
	sql_run(x->app, "UPDATE w SET a = -1 WHERE a = 7; UPDATE r SET j = 5 WHERE a = 9; UPDATE g SET b = 'b' WHERE id = 3; UPDATE g SET a = 1 WHERE id = 4;"
		"UPDATE d SET b = 0 WHERE id = 5; UPDATE i SET b = 1 WHERE id = 6");
	struct seen s = see(x, "page");
	assert_int_equal(s.rows, 7); /* r's key has changed: two */
	assert_int_equal(s.full_tables, 0);
}

static void an_integer_key_is_the_rowid(void **state)
{
	struct scratch *x = *state;
	start(x, "CREATE TABLE a(v, id INTEGER PRIMARY KEY);" ROWS(300) "INSERT INTO a SELECT 'v', i * 1000000007 FROM s; INSERT INTO a VALUES('v', -1), ('v', 0)");
	sql_run(x->app, "UPDATE a SET v = 'w' WHERE id < 1000000008; UPDATE a SET id = id + 1 WHERE id = 20000000140");
	assert_int_equal(see(x, "page").rows, 5);
}

/* NULL in a key makes a row of the bag, its neighbours stay keyed rows. */
static void rows_without_a_key_are_told_one_by_one(void **state)
{
	struct scratch *x = *state;
	start(x, "CREATE TABLE k(a, b, v, PRIMARY KEY(a, b));" ROWS(300) "INSERT INTO k SELECT i, nullif(i % 10, 0), 'v' FROM s");
	sql_run(x->app, "UPDATE k SET v = 'w' WHERE a BETWEEN 95 AND 104; UPDATE k SET b = NULL WHERE a = 5; UPDATE k SET b = 1 WHERE a = 30");
	/* Nine keyed ones change; 100 goes and comes in the bag; 5 and 30 change sides. */
	assert_int_equal(see(x, "page").rows, 9 + 2 + 4);
}

/* schema.sql names a bag as long as it holds or held rows; that no such row changed does not mean that there are none. */
static void a_bag_is_named_while_it_holds_rows(void **state)
{
	struct scratch *x = *state;
	struct trib_capture c = {.delta.fd = -1};
	static const struct { const char *sql; bool named; } nights[] = {
		{"UPDATE k SET v = 1 WHERE a = 7", false}, {"INSERT INTO k VALUES(NULL, 2, 'n')", true}, {"UPDATE k SET v = 2 WHERE a = 7", true},
		{"DELETE FROM k WHERE a IS NULL", true}, {"UPDATE k SET v = 3 WHERE a = 7", false}, {"UPDATE k SET b = NULL WHERE a = 9; VACUUM", true},
		{"VACUUM; UPDATE k SET v = 4 WHERE a = 7", true}, {"UPDATE k SET b = 1 WHERE a = 9", true}, {"UPDATE k SET v = 5 WHERE a = 7", false},
		{"ALTER TABLE k ADD COLUMN w; INSERT INTO k VALUES(NULL, 3, 'n', 1)", true},
	};
	start(x, "CREATE TABLE k(a, b, v, PRIMARY KEY(a, b));" ROWS(300) "INSERT INTO k SELECT i, i, 'v' FROM s");
	for (size_t i = 0; i < TRIB_COUNT(nights); i++) {
		sql_run(x->app, nights[i].sql);
		OK(trib_capture_run(&x->s, &trib_engine_page, &c, err));
		for (size_t p = 0; p < c.nparts; p++)
			assert_int_equal(strstr(trib_buf_str(&c.parts[p].schema), "\n-- bag k ") != NULL, nights[i].named);
		assert_int_equal(c.nparts, 1);
		trib_capture_release(&c);
		(void)see(x, i + 1 < TRIB_COUNT(nights) ? "page" : "page+full:schema");
	}
}

/* Every page of two large tables moves or is rebuilt: only what was altered goes to the full engine. */
static void a_night_of_vacuum_and_rebuilds_is_compared_by_pages(void **state)
{
	struct scratch *x = *state;
	start(x, "PRAGMA page_size=1024; PRAGMA auto_vacuum=1; CREATE TABLE a(id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE \"b\"(k TEXT PRIMARY KEY, v) WITHOUT ROWID;"
	      "CREATE TABLE c(x, y); CREATE TABLE d(id INTEGER PRIMARY KEY, v INT); CREATE TABLE gone(v PRIMARY KEY);" ROWS(500)
	      "INSERT INTO a SELECT i, zeroblob(i) FROM s; INSERT INTO b SELECT 'k' || id, v FROM a; INSERT INTO c SELECT id, v FROM a; INSERT INTO d SELECT id, id FROM a");
	sql_run(x->app, "CREATE TABLE \"b2\"(k TEXT PRIMARY KEY, v) WITHOUT ROWID; INSERT INTO b2 SELECT * FROM b; DROP TABLE b; ALTER TABLE b2 RENAME TO \"b\";"
		"CREATE TABLE d2(id INTEGER PRIMARY KEY, v TEXT); INSERT INTO d2 SELECT * FROM d; DROP TABLE d; ALTER TABLE d2 RENAME TO d; DROP TABLE gone;"
		"CREATE TABLE come(k PRIMARY KEY, v); INSERT INTO come VALUES(1, 1); CREATE INDEX ci ON c(y); DELETE FROM c WHERE x = 9; UPDATE a SET v = 1 WHERE id = 8");
	struct seen s = see(x, "page+full:schema");
	assert_int_equal(s.full_tables, 1);
	assert_int_equal(s.rows, 1 /* come */ + 1 /* c */ + 1 /* a */ + 500 /* d: texts now */);
	sql_run(x->app, "PRAGMA page_size=4096; PRAGMA auto_vacuum=0; VACUUM; ALTER TABLE come RENAME v TO w");
	s = see(x, "page+full:schema");
	assert_int_equal(s.full_tables, 1);
	sql_run(x->app, "VACUUM; UPDATE a SET v = 2 WHERE id = 8");
	s = see(x, "page");
	assert_int_equal(s.full_tables, 0);
	assert_int_equal(s.rows, 1);
}

static void texts_of_utf16_files_travel_exactly(void **state)
{
	struct scratch *x = *state;
	static const uint16_t lone[] = {0x41, 0xd800, 0x42, 0xdc00, 0xd83d, 0xde00}, other[] = {0x41, 0xd801, 0x42, 0xdc00, 0xd83d, 0xde00};
	sqlite3_stmt *st = NULL;
	start(x, "PRAGMA encoding='UTF-16be'; CREATE TABLE a(id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID;"
	      ROWS(100) "INSERT INTO a SELECT i, '值' || i FROM s; INSERT INTO w SELECT v, id FROM a");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sqlite3_prepare_v2(x->app, "REPLACE INTO a VALUES(?1, ?2)", -1, &st, NULL), 0);
		sqlite3_bind_int(st, 1, 5);
		sqlite3_bind_text16(st, 2, i ? other : lone, sizeof(lone), SQLITE_STATIC);
		assert_int_equal(sqlite3_step(st), SQLITE_DONE);
		sqlite3_finalize(st);
		writes_text(x, 1, i ? "A\xed\xa0\x81" "B\xed\xb0\x80\xf0\x9f\x98\x80" : "A\xed\xa0\x80" "B\xed\xb0\x80\xf0\x9f\x98\x80");
		assert_int_equal(see(x, "page").rows, 1);
	}
	sql_run(x->app, "INSERT INTO w SELECT v, 0 FROM a WHERE id = 5");
	assert_int_equal(see(x, "page").rows, 1);
}

static void renumbered_and_moved_rows_are_no_change(void **state)
{
	struct scratch *x = *state;
	start(x, "CREATE TABLE k(k TEXT PRIMARY KEY, v); CREATE TABLE u(a, b); CREATE TABLE c(a, b, v, PRIMARY KEY(a, b));"
	      ROWS(900) "INSERT INTO k SELECT 'k' || i, i FROM s; INSERT INTO u SELECT v, k FROM k; INSERT INTO c SELECT v % 7, nullif(v % 50, 3), v FROM k GROUP BY 1, 2");
	sql_run(x->app, "DELETE FROM k WHERE v % 3 = 0; DELETE FROM u WHERE a % 3 = 0; DELETE FROM c WHERE v % 5 = 0");
	(void)see(x, "page");
	sql_run(x->app, "VACUUM"); /* gives new rowids */
	assert_int_equal(see(x, "page").rows, 0);
	sql_run(x->app, "CREATE TEMP TABLE keep AS SELECT * FROM main.u; DELETE FROM main.u; INSERT INTO main.u SELECT * FROM keep ORDER BY b DESC;"
		"REPLACE INTO k SELECT * FROM k WHERE v < 300; INSERT INTO k VALUES(NULL, 1), (NULL, 1), (NULL, 2)");
	assert_int_equal(see(x, "page").rows, 2);
}

static void another_page_size_is_no_change(void **state)
{
	struct scratch *x = *state;
	start(x, "PRAGMA page_size=512; CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE w(k PRIMARY KEY, v) WITHOUT ROWID;"
	      ROWS(300) "INSERT INTO a SELECT i, zeroblob(i * 9) FROM s; INSERT INTO w SELECT id, v FROM a");
	sql_run(x->app, "PRAGMA page_size=8192; PRAGMA auto_vacuum=2; VACUUM; UPDATE w SET v = 1 WHERE k = 9; DELETE FROM a WHERE id = 3");
	assert_int_equal(see(x, "page").rows, 2);
}

static void cells_of_free_pages_are_no_rows(void **state)
{
	struct scratch *x = *state;
	start(x, "PRAGMA page_size=512; PRAGMA secure_delete=0; CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE b(id INTEGER PRIMARY KEY, v);"
	      ROWS(500) "INSERT INTO a SELECT i, 'a' || i FROM s");
	sql_run(x->app, "DELETE FROM a WHERE id > 10"); /* leaves of a go to the freelist as they are */
	assert_int_equal(see(x, "page").rows, 490);
	sql_run(x->app, ROWS(400) "INSERT INTO b SELECT i, 'a' || i FROM s"); /* and become b's */
	assert_int_equal(see(x, "page").rows, 400);
}

/* ---- damaged files ---- */

static void poke(struct scratch *x, size_t at, const void *p, size_t n)
{
	struct trib_buf whole = TRIB_BUF(TRIB_MIB);
	sqlite3_close(x->app);
	x->app = NULL;
	OK(trib_fs_read(x->db, &whole, err));
	assert_true(at + n <= whole.len);
	memcpy(whole.p + at, p, n);
	OK(trib_fs_write(x->db, trib_buf_span(&whole), 0644, err));
	trib_buf_release(&whole);
}

/* SQLite itself keeps UTF-16 text even; a text of an odd length is what other programs, or disks, make. */
static void cut_text(struct scratch *x, const char *record, size_t n)
{
	struct trib_buf whole = TRIB_BUF(TRIB_MIB);
	OK(trib_fs_read(x->db, &whole, err));
	const uint8_t *at = memmem(whole.p, whole.len, record, n);
	assert_non_null(at);
	size_t page = (size_t)(at - whole.p) / 512 * 512 + 7;
	uint8_t lost = whole.p[page] + 1; /* the byte between two cells is counted, as SQLite does */
	poke(x, (size_t)(at - whole.p), "\x06\x03\x03\x00\x13", 5);
	poke(x, page, &lost, 1);
	trib_buf_release(&whole);
	open_app(x, false);
}

/* A row that cannot travel is counted in every commit, also when its page did not change. */
static void rows_left_out_are_counted_by_the_full_engine(void **state)
{
	struct scratch *x = *state;
	struct trib_capture c = {.delta.fd = -1};
	start(x, "PRAGMA encoding='UTF-16le'; PRAGMA page_size=512; CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE b(id INTEGER PRIMARY KEY, v);" ROWS(200)
	      "INSERT INTO a SELECT i, 'v' FROM s; INSERT INTO b SELECT * FROM a");
	sql_run(x->app, "UPDATE a SET v = 'QZ' WHERE id = 3; UPDATE b SET v = 2 WHERE id = 3");
	cut_text(x, "\x07\x03\x03\x00\x15Q\0Z", 8);
	struct seen s = see(x, "page+full:left-out");
	assert_int_equal(s.full_tables, 1);
	sql_run(x->app, "UPDATE a SET v = 'w' WHERE id = 200");
	OK(trib_capture_run(&x->s, &trib_engine_page, &c, err));
	assert_int_equal(c.nleft_out, 1);
	assert_int_equal(c.left_out[0].count, 1);
	trib_capture_release(&c);
	assert_int_equal(see(x, "page+full:left-out").rows, 1);
	sql_run(x->app, "UPDATE a SET v = 'x' WHERE id = 3");
	assert_int_equal(see(x, "page+full:left-out").rows, 1);
	sql_run(x->app, "UPDATE a SET v = 'y' WHERE id = 3");
	assert_int_equal(see(x, "page").rows, 1);
}

static void refused(struct scratch *x)
{
	struct trib_capture c = {.delta.fd = -1};
	struct trib_err err = {0};
	assert_int_equal(trib_capture_run(&x->s, &trib_engine_page, &c, &err), -1);
	assert_int_equal(err.code, TRIB_E_SCHEMA);
}

static void a_tree_that_leads_into_itself_is_refused(void **state)
{
	struct scratch *x = *state;
	uint8_t number[4];
	start(x, "PRAGMA page_size=512; CREATE TABLE a(id INTEGER PRIMARY KEY, v);" ROWS(2000) "INSERT INTO a SELECT i, 'v' || i FROM s");
	size_t root = scratch_root_of(x, "a");
	trib_put_be32(number, (uint32_t)root);
	poke(x, (root - 1) * 512 + 8, number, 4); /* its last child is itself */
	refused(x);
}

static void numbers_outside_the_file_are_refused(void **state)
{
	struct scratch *x = *state;
	uint8_t number[4];
	start(x, "PRAGMA page_size=512; CREATE TABLE a(id INTEGER PRIMARY KEY, v);" ROWS(2000) "INSERT INTO a SELECT i, 'v' || i FROM s");
	size_t root = scratch_root_of(x, "a");
	trib_put_be32(number, 0x7fffffff);
	poke(x, (root - 1) * 512 + 8, number, 4);
	refused(x);
}

/* Crafted pages, in the state before and in the one that comes: each is refused with a word, or both engines see the same. */
static const struct { const char *what; size_t at, n; uint8_t bytes[4]; } crafted[] = { /* in the root of a, an interior page */
	{"itself as last child", 8, 4, {0}}, {"page 0 as last child", 8, 4, {0, 0, 0, 0}}, {"a child far outside", 8, 4, {0x7f, 0xff, 0xff, 0xff}},
	{"the schema as last child", 8, 4, {0, 0, 0, 1}}, {"another kind", 0, 1, {2}}, {"no kind at all", 0, 1, {77}}, {"an index leaf", 0, 1, {10}},
	{"more cells than fit", 3, 2, {0xff, 0xff}}, {"cells outside the page", 12, 2, {0xff, 0xf0}}, {"a cell over the header", 12, 2, {0, 4}},
	{"the same cell twice", 12, 4, {1, 0xf8, 1, 0xf8}},
};

static void craft(struct scratch *x, size_t i, size_t root, uint8_t *to)
{
	(void)x;
	memcpy(to + (root - 1) * 512 + crafted[i].at, crafted[i].bytes, crafted[i].n);
	if (i == 0)
		trib_put_be32(to + (root - 1) * 512 + 8, (uint32_t)root);
}

/* With sums that fit, as if this had been the state that was captured. */
static void write_baseline(struct scratch *x, struct trib_span whole)
{
	char path[128];
	int fd = -1;
	(void)snprintf(path, sizeof(path), "%s/baseline", x->state);
	OK(trib_fs_write(path, whole, 0600, err));
	OK(trib_sums_open(&x->s, &fd, err));
	for (uint32_t i = 0; i < whole.n / 512; i++)
		OK(trib_sums_put(fd, i + 1, whole.p + i * 512, 512, err));
	OK(trib_sums_end(fd, x->s.tip.oid, 512, (uint32_t)(whole.n / 512), err));
	close(fd);
}

static void agree_or_refuse(struct scratch *x, const char *what)
{
	struct trib_capture full = {.delta.fd = -1}, page = {.delta.fd = -1};
	struct trib_err a = {0}, b = {0};
	int rc = trib_capture_run(&x->s, &trib_engine_full, &full, &a);
	trib_delta_release(&full.delta);
	if (rc != trib_capture_run(&x->s, &trib_engine_page, &page, &b))
		fail_msg("%s: the full engine says %s, the page engine %s", what, rc ? a.msg : "nothing", rc ? "nothing" : b.msg);
	if (rc && (a.code != TRIB_E_SCHEMA || b.code != TRIB_E_SCHEMA || !b.msg[0]))
		fail_msg("%s: %s / %s", what, a.msg, b.msg);
	if (!rc)
		same_capture(&full, &page);
	trib_capture_release(&full);
	trib_capture_release(&page);
}

static void crafted_trees_are_refused_or_seen_alike(void **state)
{
	struct scratch *x = *state;
	struct trib_buf good = TRIB_BUF(TRIB_MIB), next = TRIB_BUF(TRIB_MIB), bad = TRIB_BUF(TRIB_MIB);
	start(x, "PRAGMA page_size=512; CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE w(k PRIMARY KEY, v) WITHOUT ROWID;" ROWS(2000)
	      "INSERT INTO a SELECT i, 'v' || i FROM s; INSERT INTO w SELECT id, v FROM a");
	size_t roots[] = {scratch_root_of(x, "a"), scratch_root_of(x, "w")};
	OK(trib_fs_read(x->db, &good, err));
	sql_run(x->app, "UPDATE a SET v = 1 WHERE id % 100 = 0; UPDATE w SET v = 1 WHERE k % 100 = 0");
	sqlite3_close(x->app);
	x->app = NULL;
	OK(trib_fs_read(x->db, &next, err));
	for (size_t i = 0; i < 2 * TRIB_COUNT(crafted); i++)
		for (int old = 0; old < 2; old++) {
			const struct trib_buf *from = old ? &good : &next;
			trib_buf_reset(&bad);
			trib_buf_put_span(&bad, trib_buf_span(from));
			craft(x, i / 2, roots[i % 2], bad.p);
			OK(trib_fs_write(x->db, trib_buf_span(old ? &next : &bad), 0644, err));
			write_baseline(x, trib_buf_span(old ? &bad : &good));
			agree_or_refuse(x, crafted[i / 2].what);
		}
	trib_buf_release(&good);
	trib_buf_release(&next);
	trib_buf_release(&bad);
}

static uint8_t *page_at(struct trib_buf *whole, size_t pgno) { return whole->p + (pgno - 1) * 512; }

static void rows_out_of_order_are_refused(void **state)
{
	struct scratch *x = *state;
	struct trib_buf whole = TRIB_BUF(TRIB_MIB);
	start(x, "PRAGMA page_size=512; CREATE TABLE a(id INTEGER PRIMARY KEY, v);" ROWS(300) "INSERT INTO a SELECT i, 'v' || i FROM s");
	size_t root = scratch_root_of(x, "a");
	OK(trib_fs_read(x->db, &whole, err));
	uint32_t leaf = trib_be32(page_at(&whole, root) + 8);
	assert_int_equal(page_at(&whole, leaf)[0], 13);
	uint8_t *cells = page_at(&whole, leaf) + 8, two[4] = {cells[2], cells[3], cells[0], cells[1]};
	poke(x, (leaf - 1) * 512 + 8, two, 4);
	refused(x);
	agree_or_refuse(x, "two rows changed places");
	trib_buf_release(&whole);
}

/* SQLite's own limit: a tree of more levels than 20 cannot be. */
static void a_tree_too_deep_is_refused(void **state)
{
	struct scratch *x = *state;
	enum { LEVELS = 60 };
	uint8_t pages[LEVELS][512] = {{0}};
	start(x, "PRAGMA page_size=512; CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE z(v); INSERT INTO z VALUES(zeroblob(60000));" ROWS(300)
	      "INSERT INTO a SELECT i, 'v' || i FROM s");
	size_t root = scratch_root_of(x, "a"), first = scratch_root_of(x, "z") + 1;
	for (size_t i = 0; i < LEVELS; i++) {
		pages[i][0] = i + 1 < LEVELS ? 5 : 13;
		trib_put_be32(pages[i] + 8, (uint32_t)(first + i + 1));
	}
	uint8_t head[12] = {5};
	trib_put_be32(head + 8, (uint32_t)first);
	poke(x, (first - 1) * 512, pages, sizeof(pages));
	poke(x, (root - 1) * 512, head, sizeof(head));
	refused(x);
	agree_or_refuse(x, "60 levels");
}

/* A message that names what SQLite itself finds, and no commit. */
static void found_damaged(struct scratch *x, const char *what)
{
	struct trib_capture c = {.delta.fd = -1};
	struct trib_err err = {0};
	assert_int_equal(trib_capture_run(&x->s, &trib_engine_page, &c, &err), -1);
	assert_int_equal(err.code, TRIB_E_SCHEMA);
	if (!strstr(err.msg, what))
		fail_msg("%s: %s", what, err.msg);
}

/* SQLite reads both tables without a word; pages raise the doubt, and its check tells. */
static void a_leaf_of_two_trees_is_refused(void **state)
{
	struct scratch *x = *state;
	uint8_t number[4];
	struct trib_buf whole = TRIB_BUF(TRIB_MIB);
	start(x, "PRAGMA page_size=512; CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE b(id INTEGER PRIMARY KEY, v);"
	      ROWS(300) "INSERT INTO a SELECT i, 'a' || i FROM s; INSERT INTO b SELECT id, 'b' || id FROM a");
	size_t a = scratch_root_of(x, "a"), b = scratch_root_of(x, "b");
	OK(trib_fs_read(x->db, &whole, err));
	memcpy(number, whole.p + (b - 1) * 512 + 8, 4);
	trib_buf_release(&whole);
	poke(x, (a - 1) * 512 + 8, number, 4);
	found_damaged(x, "2nd reference to page");
}

/* Rows that are in order among the pages that differ, but not among all. */
static void a_page_in_a_wrong_place_is_refused(void **state)
{
	struct scratch *x = *state;
	struct trib_buf whole = TRIB_BUF(TRIB_MIB);
	start(x, "PRAGMA page_size=512; CREATE TABLE a(id INTEGER PRIMARY KEY, v);" ROWS(2000) "INSERT INTO a SELECT i, 'v' || i FROM s");
	size_t root = scratch_root_of(x, "a");
	OK(trib_fs_read(x->db, &whole, err));
	const uint8_t *r = page_at(&whole, root);
	assert_int_equal(r[0], 5);
	const uint8_t *inner = page_at(&whole, trib_be32(r + trib_be16(r + 12)));
	uint32_t leaves[4] = {0};
	if (inner[0] == 13) /* two levels */
		inner = r;
	for (size_t i = 0; i < 4; i++)
		leaves[i] = trib_be32(inner + trib_be16(inner + 12 + 2 * i));
	/* A leaf's bytes twice: the second time among its neighbour's. */
	poke(x, (leaves[2] - 1) * 512, page_at(&whole, leaves[0]), 512);
	found_damaged(x, "out of order");
	/* No leaf differs, but the key between two of them: rows of the one lie beyond it. */
	OK(trib_fs_write(x->db, trib_buf_span(&whole), 0644, err));
	size_t cell = (size_t)(inner - whole.p) + trib_be16(inner + 12);
	uint8_t key = whole.p[cell + 4];
	assert_true(key > 1 && key < 0x80);
	key--;
	poke(x, cell + 4, &key, 1);
	found_damaged(x, "out of order");
	/* Keys that fall. */
	OK(trib_fs_write(x->db, trib_buf_span(&whole), 0644, err));
	uint8_t swapped[4] = {inner[14], inner[15], inner[12], inner[13]};
	poke(x, (size_t)(inner - whole.p) + 12, swapped, 4);
	found_damaged(x, "out of order");
	trib_buf_release(&whole);
}

/* No row is in an index: only SQLite's own check, which the page's kind calls for, finds it. */
static void a_lost_page_of_an_index_is_refused(void **state)
{
	struct scratch *x = *state;
	static const uint8_t none[512];
	struct trib_buf whole = TRIB_BUF(TRIB_MIB);
	start(x, "PRAGMA page_size=512; CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE INDEX i ON a(v);" ROWS(500) "INSERT INTO a SELECT i, 'v' || i FROM s");
	size_t root = scratch_root_of(x, "i");
	OK(trib_fs_read(x->db, &whole, err));
	poke(x, (trib_be32(page_at(&whole, root) + 8) - 1) * 512, none, sizeof(none));
	found_damaged(x, "Page ");
	trib_buf_release(&whole);
}

/* A page that changed and belongs to nothing: a write that came half. */
static void a_page_of_nothing_is_refused(void **state)
{
	struct scratch *x = *state;
	struct trib_buf whole = TRIB_BUF(TRIB_MIB);
	uint8_t none[8] = {0};
	start(x, "PRAGMA page_size=512; CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE b(v);" ROWS(500) "INSERT INTO a SELECT i, 'v' || i FROM s;"
	      "INSERT INTO b SELECT v FROM a; DELETE FROM b WHERE rowid > 100");
	sql_run(x->app, "DELETE FROM b");
	OK(trib_fs_read(x->db, &whole, err));
	assert_true(trib_be32(whole.p + 32) > 0);
	poke(x, 32, none, sizeof(none)); /* the list of free pages is lost */
	found_damaged(x, "never used");
	trib_buf_release(&whole);
}

static int setup_rowid_of(void **state)
{
	(void)setup(state);
	return sqlite3_create_function(((struct scratch *)*state)->app, "rowid_of", 1, SQLITE_UTF8, NULL, sql_rowid_of, NULL, NULL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	struct trib_err err;
	if (trib_repo_lib_init(&err))
		return 1;
	const struct CMUnitTest tests[] = {
		T(a_chain_may_change_under_an_identical_leaf), T(an_overflowing_index_entry_is_no_row), T(moved_chains_are_no_change),
		cmocka_unit_test_setup_teardown(rows_lie_in_interior_pages_of_a_table_without_rowid, setup_rowid_of, teardown),
		T(tables_that_change_names_change_all_rows), T(columns_that_change_names_change_all_rows),
		T(a_short_record_takes_the_default_as_it_reads), T(whole_numbers_of_real_columns_are_reals), T(fields_are_found_where_they_lie),
		T(an_integer_key_is_the_rowid), T(rows_without_a_key_are_told_one_by_one), T(a_bag_is_named_while_it_holds_rows), T(a_night_of_vacuum_and_rebuilds_is_compared_by_pages), T(texts_of_utf16_files_travel_exactly),
		T(renumbered_and_moved_rows_are_no_change), T(another_page_size_is_no_change), T(cells_of_free_pages_are_no_rows),
		T(rows_left_out_are_counted_by_the_full_engine), T(a_tree_that_leads_into_itself_is_refused), T(numbers_outside_the_file_are_refused),
		T(crafted_trees_are_refused_or_seen_alike), T(rows_out_of_order_are_refused), T(a_tree_too_deep_is_refused),
		T(a_leaf_of_two_trees_is_refused), T(a_page_in_a_wrong_place_is_refused), T(a_lost_page_of_an_index_is_refused), T(a_page_of_nothing_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
