/* test_page_reasons.c: why the full engine steps in, each reason by its label and its count, and rules of comparing by pages that concern the file as a
 * whole: its encoding, page size, reserved bytes. The full engine says what is right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/capture/baseline.h"
#include "agent/commands.h"
#include "agent/record.h"
#include "tests/lib/edits.h"
#include "tests/lib/pages.h"

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

/* Captures what was done since the last time, and notes it as `commit` does: both engines must agree, and the page engine call itself `engine`. */
static struct seen see(struct scratch *x, const char *engine)
{
	struct trib_capture page = {.delta.fd = -1}, full = {.delta.fd = -1};
	OK(trib_capture_run(&x->s, &trib_engine_page, &page, err));
	trib_delta_release(&page.delta);
	(void)scratch_commit(x, &full);
	same_capture(&full, &page);
	assert_string_equal(page.engine, engine);
	OK(trib_record_capture(&x->s, &page, "committed", err));
	struct seen s = {page.rows_found, page.pages_changed, page.full_tables};
	trib_capture_release(&page);
	trib_capture_release(&full);
	return s;
}

static void start(struct scratch *x, const char *sql)
{
	sql_run(x->app, sql);
	(void)see(x, "full");
}

#define ROWS(n) "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM s WHERE i < " #n ") "

/* What `status` is told: how many captures by pages there were, and in how many of them the full engine stepped in for this reason (and no other). */
static void counted(struct scratch *x, const char *reason, uint64_t times, uint64_t runs, uint64_t tables)
{
	struct trib_last_capture l;
	assert_true(trib_record_last_capture(&x->s, &l));
	assert_int_equal(l.runs, runs);
	assert_int_equal(l.nstepped, 1);
	assert_string_equal(l.stepped[0].reason, reason);
	assert_int_equal(l.stepped[0].times, times);
	assert_int_equal(l.full_tables, tables);
	assert_string_not_equal(agent_reason(reason), reason); /* there is a text for people */
}

static void read_file(struct scratch *x, struct trib_buf *ret)
{
	sqlite3_close(x->app);
	x->app = NULL;
	trib_buf_reset(ret);
	OK(trib_fs_read(x->db, ret, err));
}

static void write_file(struct scratch *x, const struct trib_buf *b)
{
	sqlite3_close(x->app); /* none may have the file open while it is written over */
	OK(trib_fs_write(x->db, trib_buf_span(b), 0644, err));
	open_app(x, false);
}

/* ---- reasons ---- */

static void another_encoding_is_compared_as_text(void **state)
{
	struct scratch *x = *state;
	start(x, "CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID;" ROWS(60)
	      "INSERT INTO a SELECT i, '洗马 ' || i FROM s; INSERT INTO w SELECT v, id FROM a");
	sqlite3_close(x->app);
	assert_int_equal(unlink(x->db), 0);
	open_app(x, false);
	sql_run(x->app, "PRAGMA encoding='UTF-16le'; CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE w(k TEXT PRIMARY KEY, v) WITHOUT ROWID;" ROWS(60)
		"INSERT INTO a SELECT i, '洗马 ' || i FROM s; INSERT INTO w SELECT v, id FROM a; UPDATE a SET v = 'x' WHERE id = 7; DELETE FROM w WHERE v = 9");
	struct seen s = see(x, "page+full:encoding");
	assert_int_equal(s.rows, 2);
	assert_int_equal(s.full_tables, 2);
	counted(x, "encoding", 1, 1, 2);
	sql_run(x->app, "UPDATE a SET v = 'y' WHERE id = 7");
	s = see(x, "page"); /* both states are in it now */
	assert_int_equal(s.rows, 1);
	counted(x, "encoding", 1, 2, 0);
}

static void write_baseline(struct scratch *x, struct trib_span whole)
{
	char path[128];
	int fd = -1;
	(void)snprintf(path, sizeof(path), "%s/baseline", x->state);
	OK(trib_fs_write(path, whole, 0600, err));
	OK(trib_sums_open(&x->s, &fd, err));
	for (uint32_t i = 0; i < whole.n / 512; i++)
		OK(trib_sums_put(fd, i + 1, whole.p + (size_t)i * 512, 512, err));
	OK(trib_sums_end(fd, x->s.tip.oid, 512, (uint32_t)(whole.n / 512), err));
	close(fd);
}

static const char long_chain[] = "PRAGMA page_size=512; CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE b(id INTEGER PRIMARY KEY, v); CREATE TABLE c(k TEXT PRIMARY KEY);"
	"INSERT INTO a VALUES(1, zeroblob(50834)); INSERT INTO b VALUES(1, 'b'); INSERT INTO c VALUES('k')";

/* In the state before, ten rows have one long chain: more steps than a sound file of its size has. SQLite reads them without a word; the file has the same rows and
 * is sound, so that its own check has nothing to say. */
static void more_than_the_limit_is_read_whole(void **state)
{
	struct scratch *x = *state;
	struct trib_buf b = TRIB_BUF(TRIB_MIB);
	sql_run(x->app, long_chain);
	uint32_t root = scratch_root_of(x, "a");
	read_file(x, &b);
	leaf_share_chain(b.p + (size_t)(root - 1) * 512, 512, 10);
	open_app(x, false);
	start(x, ROWS(10) "INSERT INTO a SELECT i, zeroblob(50834) FROM s WHERE i > 1");
	write_baseline(x, trib_buf_span(&b));
	sql_run(x->app, "UPDATE b SET v = 'c'; ALTER TABLE c ADD COLUMN w DEFAULT 1");
	struct seen s = see(x, "page+full:limit"); /* the graver of two reasons */
	assert_int_equal(s.rows, 1 + 1);
	assert_int_equal(s.full_tables, 2); /* b is compared by pages */
	counted(x, "limit", 1, 1, 2);
	trib_buf_release(&b);
}

/* The same in the file is refused: it is not read whole before SQLite was asked. */
static void a_file_beyond_the_limit_is_asked_about_first(void **state)
{
	struct scratch *x = *state;
	struct trib_buf b = TRIB_BUF(TRIB_MIB);
	struct trib_capture c = {.delta.fd = -1};
	struct trib_err err = {0};
	start(x, long_chain);
	uint32_t root = scratch_root_of(x, "a");
	read_file(x, &b);
	leaf_share_chain(b.p + (size_t)(root - 1) * 512, 512, 10);
	write_file(x, &b);
	assert_int_equal(trib_capture_run(&x->s, &trib_engine_page, &c, &err), -1);
	assert_int_equal(err.code, TRIB_E_SCHEMA);
	assert_non_null(strstr(err.msg, "2nd reference to page"));
	trib_buf_release(&b);
}

/* The state before has a leaf in two trees, which SQLite reads without a word; the file is sound, so that its own check has nothing to say. */
static void pages_that_are_not_in_order_are_read_by_rows(void **state)
{
	struct scratch *x = *state;
	struct trib_buf b = TRIB_BUF(TRIB_MIB);
	start(x, "PRAGMA page_size=512; CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE b(id INTEGER PRIMARY KEY, v);"
	      ROWS(300) "INSERT INTO a SELECT i, 'a' || i FROM s; INSERT INTO b SELECT id, 'b' || id FROM a");
	uint32_t roots[] = {scratch_root_of(x, "a"), scratch_root_of(x, "b")};
	read_file(x, &b);
	memcpy(b.p + (roots[0] - 1) * 512 + 8, b.p + (roots[1] - 1) * 512 + 8, 4);
	write_baseline(x, trib_buf_span(&b));
	open_app(x, false);
	struct seen s = see(x, "page+full:damaged");
	assert_true(s.rows > 0 && s.rows < 100); /* those of that leaf */
	assert_int_equal(s.full_tables, 2);
	counted(x, "damaged", 1, 1, 2);
	trib_buf_release(&b);
}

static void rows_that_cannot_travel_are_counted_each_time(void **state)
{
	struct scratch *x = *state;
	char sql[128];
	start(x, "CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE b(id INTEGER PRIMARY KEY, v); INSERT INTO a VALUES(1, 'v'); INSERT INTO b VALUES(1, 'v')");
	(void)snprintf(sql, sizeof(sql), "INSERT INTO a VALUES(2, zeroblob(%zu)); UPDATE b SET v = 'w'", (size_t)TRIB_ROW_MAX);
	sql_run(x->app, sql);
	assert_int_equal(see(x, "page+full:left-out").full_tables, 1);
	counted(x, "left-out", 1, 1, 1);
	sql_run(x->app, "UPDATE a SET v = 'w' WHERE id = 1; UPDATE b SET v = 'x'");
	assert_int_equal(see(x, "page+full:left-out").rows, 2);
	counted(x, "left-out", 2, 2, 1);
}

static void another_definition_is_read_by_rows(void **state)
{
	struct scratch *x = *state;
	start(x, "CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE b(id INTEGER PRIMARY KEY, v); INSERT INTO a VALUES(1, 'v'); INSERT INTO b VALUES(1, 'v')");
	sql_run(x->app, "ALTER TABLE a ADD COLUMN w; UPDATE b SET v = 'w'");
	assert_int_equal(see(x, "page+full:schema").full_tables, 1);
	counted(x, "schema", 1, 1, 1);
}

/* ---- rules ---- */

/* Of a page's end, a number of bytes may belong to an extension: no cell goes there, and a chain's pages hold less. */
static void reserve(struct scratch *x, int bytes)
{
	assert_int_equal(sqlite3_file_control(x->app, "main", SQLITE_FCNTL_RESERVE_BYTES, &bytes), SQLITE_OK);
	sql_run(x->app, "VACUUM");
}

static int reserved(struct scratch *x)
{
	struct trib_buf b = TRIB_BUF(8 * TRIB_MIB);
	read_file(x, &b);
	int n = b.p[20];
	trib_buf_release(&b);
	open_app(x, false);
	return n;
}

static void reserved_bytes_are_no_content(void **state)
{
	struct scratch *x = *state;
	struct trib_buf before = TRIB_BUF(8 * TRIB_MIB);
	static const int bytes[] = {4, 32, 255};
	start(x, "PRAGMA page_size=1024; CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE w(k PRIMARY KEY, v) WITHOUT ROWID; CREATE TABLE u(a, b);"
	      "CREATE INDEX i ON u(b);" ROWS(200) "INSERT INTO a SELECT i, zeroblob(i * 15) FROM s; INSERT INTO w SELECT id, v FROM a; INSERT INTO u SELECT id, v FROM a");
	read_file(x, &before);
	write_file(x, &before);
	for (size_t i = 0; i < TRIB_COUNT(bytes); i++) { /* another number than in the state before, and a row */
		char sql[64];
		sqlite3_blob *last = NULL;
		reserve(x, bytes[i]);
		(void)snprintf(sql, sizeof(sql), "UPDATE a SET v = %zu WHERE id = 3", i);
		sql_run(x->app, sql);
		assert_int_equal(see(x, "page").rows, 1);
		assert_int_equal(reserved(x), bytes[i]);
		/* The same number: a chain alone, under an identical leaf; rows of all kinds. */
		assert_int_equal(sqlite3_blob_open(x->app, "main", "a", "v", 200, 1, &last), SQLITE_OK);
		assert_int_equal(sqlite3_blob_write(last, i % 2 ? "?" : "!", 1, 2999), SQLITE_OK);
		assert_int_equal(sqlite3_blob_close(last), SQLITE_OK);
		assert_int_equal(see(x, "page").rows, 1);
		(void)snprintf(sql, sizeof(sql), "UPDATE w SET v = zeroblob(%zu) WHERE k = 8", 700 + i);
		sql_run(x->app, sql);
		assert_int_equal(see(x, "page").rows, 1);
	}
	sql_run(x->app, "DELETE FROM u WHERE a = 7; INSERT INTO u VALUES(7, 'again')");
	assert_int_equal(see(x, "page").rows, 2);
	/* As it was in the beginning, without any: three rows and those two are others. */
	write_file(x, &before);
	assert_int_equal(see(x, "page").rows, 5);
	assert_int_equal(reserved(x), 0);
	trib_buf_release(&before);
}

/* SQLite reads a NaN as NULL; it never writes one, other programs and disks may. */
static void a_nan_reads_as_null(void **state)
{
	static const uint8_t nans[][8] = {{0x7f, 0xf8}, {0xff, 0xf8, 0, 0, 0, 0, 0, 1}, {0x7f, 0xf0, 0, 0, 0, 0, 0, 1}};
	static const uint8_t number[8] = {0x40, 0x5e, 0xdd, 0x2f, 0x1a, 0x9f, 0xbe, 0x77}; /* 123.456 */
	struct scratch *x = *state;
	struct trib_buf b = TRIB_BUF(TRIB_MIB);
	for (size_t i = 0; i < TRIB_COUNT(nans); i++) {
		if (!i)
			start(x, "CREATE TABLE a(id INTEGER PRIMARY KEY, r REAL, v); CREATE TABLE k(r PRIMARY KEY, v); INSERT INTO a VALUES(1, 123.456, 1), (2, 2, 2);"
			      "INSERT INTO k VALUES(1, 1)");
		read_file(x, &b);
		uint8_t *at = memmem(b.p, b.len, number, sizeof(number));
		assert_non_null(at);
		memcpy(at, nans[i], 8);
		write_file(x, &b);
		assert_int_equal(see(x, "page").rows, 1); /* 123.456 became NULL */
		sql_run(x->app, "UPDATE a SET r = NULL, v = v WHERE id = 1");
		struct seen s = see(x, "page");
		assert_int_equal(s.rows, 0);
		assert_true(s.pages > 0);
		sql_run(x->app, "UPDATE a SET r = 123.456 WHERE id = 1");
		assert_int_equal(see(x, "page").rows, 1);
	}
	trib_buf_release(&b);
}

/* Records that were written before a column was added lack it. Written again with what it reads as, they are longer, and the same rows. */
static void a_short_record_that_is_written_whole_is_no_change(void **state)
{
	struct scratch *x = *state;
	start(x, "PRAGMA page_size=512; CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE w(k PRIMARY KEY, v) WITHOUT ROWID; CREATE TABLE u(v);"
	      ROWS(300) "INSERT INTO a SELECT i, i FROM s; INSERT INTO w SELECT id, v FROM a; INSERT INTO u SELECT v FROM a");
	sql_run(x->app, "ALTER TABLE a ADD COLUMN n INT DEFAULT 7; ALTER TABLE a ADD COLUMN t TEXT DEFAULT 'text'; ALTER TABLE a ADD COLUMN none;"
		"ALTER TABLE w ADD COLUMN r REAL DEFAULT 3; ALTER TABLE u ADD COLUMN b DEFAULT x'0102'");
	assert_int_equal(see(x, "page+full:schema").full_tables, 2); /* u's rows are others: there is nothing to compare */
	sql_run(x->app, "UPDATE a SET n = n; UPDATE w SET r = r; UPDATE u SET b = b");
	struct seen s = see(x, "page");
	assert_int_equal(s.rows, 0);
	assert_true(s.pages > 20);
	sql_run(x->app, "UPDATE a SET n = 8 WHERE id = 5; UPDATE w SET r = 4 WHERE k = 6; UPDATE u SET b = NULL WHERE v = 7");
	assert_int_equal(see(x, "page").rows, 4);
}

static void another_page_size_and_other_names_in_one_night(void **state)
{
	struct scratch *x = *state;
	start(x, "PRAGMA page_size=512; CREATE TABLE a(id INTEGER PRIMARY KEY, x, y); CREATE TABLE b(id INTEGER PRIMARY KEY, x, y);"
	      "CREATE TABLE c(k PRIMARY KEY, x, y) WITHOUT ROWID;" ROWS(200) "INSERT INTO a SELECT i, 'x', 'y' FROM s; INSERT INTO b SELECT * FROM a; INSERT INTO c SELECT * FROM a");
	sql_run(x->app, "ALTER TABLE a RENAME x TO z; ALTER TABLE a RENAME y TO x; ALTER TABLE a RENAME z TO y;"
		"ALTER TABLE c RENAME x TO z; ALTER TABLE c RENAME y TO x; ALTER TABLE c RENAME z TO y; UPDATE b SET x = 1 WHERE id = 7; PRAGMA page_size=4096; VACUUM");
	struct seen s = see(x, "page+full:schema");
	assert_int_equal(s.rows, 200 + 200 + 1);
	assert_int_equal(s.full_tables, 2); /* b is compared by pages */
}

/* ---- headers: what SQLite reads as sound is compared by pages ---- */

/* The file's bytes at `at` become others while no program has it open. */
static void patch(struct scratch *x, size_t at, uint32_t value)
{
	struct trib_buf b = TRIB_BUF(8 * TRIB_MIB);
	read_file(x, &b);
	trib_put_be32(b.p + at, value);
	write_file(x, &b);
	trib_buf_release(&b);
}

static uint32_t header(struct scratch *x, size_t at)
{
	struct trib_buf b = TRIB_BUF(8 * TRIB_MIB);
	read_file(x, &b);
	uint32_t v = trib_be32(b.p + at);
	trib_buf_release(&b);
	open_app(x, false);
	return v;
}

static void an_encoding_counts_by_its_two_bits(void **state)
{
	struct scratch *x = *state;
	static const uint32_t fields[] = {0x101, 5, 0xfffffffd, 4, 0, 1}; /* each of them UTF-8 */
	start(x, "CREATE TABLE a(id INTEGER PRIMARY KEY, v);" ROWS(60) "INSERT INTO a SELECT i, '洗马 ' || i FROM s");
	for (size_t i = 0; i < TRIB_COUNT(fields); i++) {
		char sql[64];
		(void)snprintf(sql, sizeof(sql), "UPDATE a SET v = 'x%zu' WHERE id = 7", i);
		sql_run(x->app, sql);
		patch(x, 56, fields[i]);
		assert_int_equal(see(x, "page").rows, 1);
	}
}

/* Programs with an SQLite before 3.7.0 advance the change counter and leave the page count, and what it is valid for, as they were. */
static void a_page_count_that_was_left_behind_is_not_believed(void **state)
{
	struct scratch *x = *state;
	static const uint32_t counts[] = {0, 1, 3, 100000, UINT32_MAX};
	start(x, "PRAGMA page_size=512; CREATE TABLE a(id INTEGER PRIMARY KEY, v);" ROWS(60) "INSERT INTO a SELECT i, zeroblob(100) FROM s");
	for (size_t i = 0; i < TRIB_COUNT(counts); i++) {
		sql_run(x->app, "INSERT INTO a(v) VALUES(zeroblob(2000))");
		patch(x, 92, 1);
		patch(x, 28, counts[i]);
		assert_int_equal(header(x, 28), counts[i]);
		assert_int_equal(see(x, "page").rows, 1);
	}
}

/* Bytes behind the last page that the header counts are nothing; without a header that is believed, the file was cut inside a page. */
static void what_lies_behind_the_pages_is_left_alone(void **state)
{
	struct scratch *x = *state;
	struct trib_buf b = TRIB_BUF(8 * TRIB_MIB);
	struct trib_capture c = {.delta.fd = -1};
	struct trib_err err = {0};
	static const char *const modes[] = {"PRAGMA journal_mode=WAL", "PRAGMA journal_mode=DELETE"};
	start(x, "PRAGMA page_size=512; CREATE TABLE a(id INTEGER PRIMARY KEY, v);" ROWS(60) "INSERT INTO a SELECT i, zeroblob(100) FROM s");
	for (size_t i = 0; i < TRIB_COUNT(modes); i++) {
		sql_run(x->app, modes[i]);
		sql_run(x->app, "INSERT INTO a(v) VALUES(zeroblob(2000))");
		read_file(x, &b);
		memset(trib_buf_grow(&b, 100), 0xee, 100);
		write_file(x, &b);
		assert_int_equal(see(x, "page").rows, 1);
	}
	patch(x, 92, 1);
	assert_int_equal(trib_capture_run(&x->s, &trib_engine_page, &c, &err), -1);
	assert_int_equal(err.code, TRIB_E_SCHEMA);
	assert_non_null(strstr(err.msg, "cut short"));
	trib_buf_release(&b);
}

/* Down to a file without free pages. */
static void files_that_shrink_and_grow(void **state)
{
	struct scratch *x = *state;
	static const unsigned sizes[] = {512, 4096, 65536};
	for (size_t i = 0; i < TRIB_COUNT(sizes); i++) {
		char sql[384];
		unsigned size = sizes[i];
		(void)snprintf(sql, sizeof(sql), "PRAGMA page_size=%u; PRAGMA auto_vacuum=%s; VACUUM; CREATE TABLE IF NOT EXISTS a(id INTEGER PRIMARY KEY, v);"
			       "DELETE FROM a;" ROWS(12) "INSERT INTO a SELECT i, zeroblob(%u) FROM s", size, i == 1 ? "full" : "incremental", 3 * size);
		sql_run(x->app, sql);
		if (!i)
			(void)see(x, "full");
		else
			assert_true(see(x, "page").rows >= 12);
		sql_run(x->app, "DELETE FROM a WHERE id % 3 = 1");
		assert_int_equal(see(x, "page").rows, 4);
		sql_run(x->app, "PRAGMA incremental_vacuum(2)");
		assert_int_equal(see(x, "page").rows, 0);
		sql_run(x->app, "DELETE FROM a; PRAGMA incremental_vacuum");
		assert_int_equal(see(x, "page").rows, 8);
	}
	assert_int_equal(header(x, 36), 0);
}

static void a_file_that_is_empty_and_has_tables_later(void **state)
{
	struct scratch *x = *state;
	struct trib_buf none = TRIB_BUF(TRIB_MIB);
	start(x, "PRAGMA user_version");
	sql_run(x->app, "CREATE TABLE a(id INTEGER PRIMARY KEY, v); INSERT INTO a VALUES(1, 'v')");
	assert_int_equal(see(x, "page").rows, 1);
	read_file(x, &none);
	none.len = 0;
	write_file(x, &none);
	assert_int_equal(see(x, "page").rows, 1);
	sql_run(x->app, "CREATE TABLE a(id INTEGER PRIMARY KEY, v); INSERT INTO a VALUES(1, 'v')");
	assert_int_equal(see(x, "page").rows, 1);
	trib_buf_release(&none);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	struct trib_err err;
	if (trib_repo_lib_init(&err))
		return 1;
	const struct CMUnitTest tests[] = {
		T(another_encoding_is_compared_as_text), T(more_than_the_limit_is_read_whole), T(a_file_beyond_the_limit_is_asked_about_first), T(pages_that_are_not_in_order_are_read_by_rows),
		T(rows_that_cannot_travel_are_counted_each_time), T(another_definition_is_read_by_rows), T(reserved_bytes_are_no_content), T(a_nan_reads_as_null),
		T(a_short_record_that_is_written_whole_is_no_change), T(another_page_size_and_other_names_in_one_night),
		T(an_encoding_counts_by_its_two_bits), T(a_page_count_that_was_left_behind_is_not_believed), T(what_lies_behind_the_pages_is_left_alone), T(files_that_shrink_and_grow), T(a_file_that_is_empty_and_has_tables_later),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
