/* test_sound.c: files that are damaged, or crafted so that reading them has no end, are refused by each engine, on a first capture and later. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/capture/sound.h"
#include "tests/lib/edits.h"
#include "tests/lib/pages.h"

static int setup(void **state)
{
	struct scratch *x = calloc(1, sizeof(*x));
	scratch_make(x);
	open_app(x, false);
	sql_run(x->app, "PRAGMA page_size=512; PRAGMA journal_mode=DELETE");
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	scratch_free(*state);
	free(*state);
	return 0;
}

static void start(struct scratch *x)
{
	struct trib_capture c = {.delta.fd = -1};
	(void)scratch_commit(x, &c);
	trib_capture_release(&c);
}

static void refuses(struct scratch *x, enum trib_code code, const char *what)
{
	const struct trib_engine *const engines[] = {&trib_engine_page, &trib_engine_full};
	for (size_t i = 0; i < TRIB_COUNT(engines); i++) {
		struct trib_capture c = {.delta.fd = -1};
		struct trib_err err = {0};
		if (!trib_capture_run(&x->s, engines[i], &c, &err))
			fail_msg("the %s engine took it", engines[i]->name);
		if (!strstr(err.msg, what))
			fail_msg("the %s engine: not \"%s\": %s", engines[i]->name, what, err.msg);
		assert_int_equal(err.code, code);
	}
}

/* Opens the file that no connection has open; page `number` of 512 bytes is given to `change`. */
static void craft(struct scratch *x, uint32_t number, void (*change)(uint8_t *page, uint32_t arg), uint32_t arg)
{
	struct trib_buf whole = TRIB_BUF(16 * TRIB_MIB);
	sqlite3_close(x->app);
	x->app = NULL;
	OK(trib_fs_read(x->db, &whole, err));
	assert_true(number * (size_t)512 <= whole.len);
	change(whole.p + (number - 1) * (size_t)512, arg);
	OK(trib_fs_write(x->db, trib_buf_span(&whole), 0644, err));
	trib_buf_release(&whole);
}

static void share_chain(uint8_t *page, uint32_t copies) { leaf_share_chain(page, 512, copies); }

static const char one_row[] = "CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB); INSERT INTO t VALUES(1, zeroblob(203234))" /* the least of it lies in the cell */;

static void one_chain_of_many_rows_is_refused_at_once(void **state)
{
	struct scratch *x = *state;
	sql_run(x->app, one_row);
	craft(x, scratch_root_of(x, "t"), share_chain, 9);
	refuses(x, TRIB_E_SCHEMA, "2nd reference to page");
}

static void and_in_a_night(void **state)
{
	struct scratch *x = *state;
	sql_run(x->app, one_row);
	start(x);
	craft(x, scratch_root_of(x, "t"), share_chain, 9);
	refuses(x, TRIB_E_SCHEMA, "2nd reference to page");
}

static void point_elsewhere(uint8_t *page, uint32_t other) { trib_put_be32(page + 8, other); }

static void a_leaf_of_two_trees_is_refused_by_the_first_capture(void **state)
{
	struct scratch *x = *state;
	sql_run(x->app, "CREATE TABLE a(id INTEGER PRIMARY KEY, v); CREATE TABLE b(id INTEGER PRIMARY KEY, v);"
			"WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM s WHERE i < 300) INSERT INTO a SELECT i, 'a' || i FROM s; INSERT INTO b SELECT id, 'b' || id FROM a");
	struct trib_buf whole = TRIB_BUF(TRIB_MIB);
	uint32_t a = scratch_root_of(x, "a"), b = scratch_root_of(x, "b");
	OK(trib_fs_read(x->db, &whole, err));
	uint32_t right = trib_be32(whole.p + (b - 1) * (size_t)512 + 8);
	trib_buf_release(&whole);
	craft(x, a, point_elsewhere, right);
	refuses(x, TRIB_E_SCHEMA, "2nd reference to page");
}

static void miscount(uint8_t *page, uint32_t bytes) { page[7] = (uint8_t)bytes; }

/* SQLite reads such a page without a word; of tables that are read whole no page is looked at. */
static void a_damaged_table_that_is_read_whole_is_refused(void **state)
{
	struct scratch *x = *state;
	sql_run(x->app, "CREATE TABLE a(id INTEGER PRIMARY KEY, v); INSERT INTO a VALUES(1, 'a'), (2, 'b')");
	start(x);
	sql_run(x->app, "CREATE TABLE b(id INTEGER PRIMARY KEY, v); INSERT INTO b VALUES(1, 'a')");
	craft(x, scratch_root_of(x, "b"), miscount, 9);
	refuses(x, TRIB_E_SCHEMA, "free space corruption");
}

static void and_one_whose_text_changed(void **state)
{
	struct scratch *x = *state;
	sql_run(x->app, "CREATE TABLE a(id INTEGER PRIMARY KEY, v); INSERT INTO a VALUES(1, 'a'), (2, 'b')");
	start(x);
	sql_run(x->app, "ALTER TABLE a ADD COLUMN w");
	craft(x, scratch_root_of(x, "a"), miscount, 9);
	refuses(x, TRIB_E_SCHEMA, "Fragmentation of");
}

/* A file of a few pages; its rows give gigabytes. */
static void defaults_may_not_give_any_number_of_bytes(void **state)
{
	struct scratch *x = *state;
	sql_run(x->app, "CREATE TABLE a(id INTEGER PRIMARY KEY, v);"
			"WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM s WHERE i < 2000) INSERT INTO a SELECT i, i FROM s");
	start(x);
	char *sql = sqlite3_mprintf("ALTER TABLE a ADD COLUMN w TEXT DEFAULT '%0500000d'", 7);
	sql_run(x->app, sql);
	sqlite3_free(sql);
	refuses(x, TRIB_E_LIMIT, "default values");
}

/* A check of the application's own would take any time, and says nothing about pages. */
static void checks_are_not_run(void **state)
{
	struct scratch *x = *state;
	sql_run(x->app, "PRAGMA ignore_check_constraints=ON; CREATE TABLE a(id INTEGER PRIMARY KEY, v CHECK(length(hex(zeroblob(600000000))) < v)); INSERT INTO a VALUES(1, 1), (2, 2);"
			"PRAGMA ignore_check_constraints=OFF");
	OK(trib_ask_sqlite(x->app, NULL, err));
	int64_t ignored = 0;
	OK(trib_db_int(x->app, "PRAGMA ignore_check_constraints", 0, &ignored, err));
	assert_int_equal(ignored, 1);
}

static void at_the_limit_and_one_beyond(void **state)
{
	struct scratch *x = *state;
	struct trib_spent s;
	sql_run(x->app, "CREATE TABLE a(v)");
	OK(trib_spent_init(x->app, 512, true, &s, err));
	assert_int_equal(s.limit, TRIB_READ_FLOOR + TRIB_READ_TIMES * 2 * 512);
	OK(trib_spend(&s, 2 * 4 * 512, err));
	assert_ptr_equal(s.db, x->app);
	OK(trib_spend(&s, 1, err));
	assert_null(s.db); /* asked once */
	OK(trib_spend(&s, s.limit - s.bytes, err));
	struct trib_err err = {0};
	assert_int_equal(trib_spend(&s, 1, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	struct trib_err err;
	if (trib_repo_lib_init(&err))
		return 1;
	const struct CMUnitTest tests[] = {
		T(one_chain_of_many_rows_is_refused_at_once), T(and_in_a_night), T(a_leaf_of_two_trees_is_refused_by_the_first_capture),
		T(a_damaged_table_that_is_read_whole_is_refused), T(and_one_whose_text_changed), T(defaults_may_not_give_any_number_of_bytes), T(checks_are_not_run),
		T(at_the_limit_and_one_beyond),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
