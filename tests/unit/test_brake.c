/* test_brake.c: mass loss stops for a person (D4.9). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/scratch.h"

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

/* Commits a table t(k TEXT PRIMARY KEY, v) of n rows (and a small table u), then captures `change`: rows lost by t, 0 = not braked. */
static uint64_t lost(struct scratch *x, unsigned n, const char *change, size_t want_braked)
{
	struct trib_capture c = {.delta.fd = -1};
	char sql[512];
	(void)snprintf(sql, sizeof(sql), "DROP TABLE IF EXISTS t; DROP TABLE IF EXISTS t2; CREATE TABLE t(k TEXT PRIMARY KEY, v);"
		       "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<%u) INSERT INTO t SELECT 'k'||i, i FROM n;"
		       "CREATE TABLE IF NOT EXISTS u(a); INSERT INTO u VALUES(1)", n);
	sql_run(x->app, sql);
	(void)scratch_commit(x, &c);
	trib_capture_release(&c);
	sql_run(x->app, change);
	OK(trib_capture_run(&x->s, &trib_engine_full, &c, err));
	assert_int_equal(c.nbraked, want_braked);
	assert_true(c.changed && c.nparts); /* --accept-loss goes on with the same capture */
	uint64_t rows = 0;
	for (size_t i = 0; i < c.nbraked; i++)
		if (strcmp(c.braked[i].table, "t") == 0)
			rows = c.braked[i].lost;
	trib_capture_release(&c);
	return rows;
}

static void both_limits_must_be_passed(void **state)
{
	assert_int_equal(lost(*state, 400, "DELETE FROM t WHERE v<=100", 0), 0);   /* 100 rows: not more than 100 */
	assert_int_equal(lost(*state, 400, "DELETE FROM t WHERE v<=101", 1), 101); /* 25 % */
	assert_int_equal(lost(*state, 505, "DELETE FROM t WHERE v<=101", 0), 0);   /* 20 %: not more than 20 % */
	assert_int_equal(lost(*state, 504, "DELETE FROM t WHERE v<=101", 1), 101);
}

static void rows_that_come_again_are_not_lost(void **state)
{
	assert_int_equal(lost(*state, 300, "UPDATE t SET k='x'||k", 0), 0);
	assert_int_equal(lost(*state, 300, "ALTER TABLE t RENAME TO t2", 0), 0);
	assert_int_equal(lost(*state, 300, "ALTER TABLE t RENAME TO t2; DELETE FROM t2 WHERE v<=150", 1), 150);
	assert_int_equal(lost(*state, 300, "CREATE TABLE n(k, v INTEGER PRIMARY KEY); INSERT INTO n SELECT * FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t", 0), 0);
	assert_int_equal(lost(*state, 300, "UPDATE t SET k=NULL", 0), 0); /* to the bag and so still there */
	assert_int_equal(lost(*state, 300, "UPDATE t SET v=0", 0), 0);
}

static void a_drop_counts_whole(void **state)
{
	assert_int_equal(lost(*state, 101, "DROP TABLE t", 1), 101);
	assert_int_equal(lost(*state, 100, "DROP TABLE t", 0), 0);
}

static void a_file_without_tables_is_braked(void **state)
{
	assert_int_equal(lost(*state, 3, "DROP TABLE t; DROP TABLE u", 2), 3);
}

static void a_bag_loses_rows_by_its_counts(void **state)
{
	struct scratch *x = *state;
	struct trib_capture c = {.delta.fd = -1};
	sql_run(x->app, "CREATE TABLE b(a); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<300) INSERT INTO b SELECT 'same' FROM n");
	assert_true(scratch_commit(x, &c));
	assert_int_equal(c.nbraked, 0);
	trib_capture_release(&c);
	sql_run(x->app, "DELETE FROM b WHERE rowid>150");
	OK(trib_capture_run(&x->s, &trib_engine_full, &c, err));
	assert_int_equal(c.nbraked, 1);
	assert_string_equal(c.braked[0].table, "b");
	assert_int_equal(c.braked[0].lost, 150);
	trib_capture_release(&c);
}

int main(void)
{
	struct trib_err err;
	if (trib_repo_lib_init(&err))
		return 1;
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(both_limits_must_be_passed), T(rows_that_come_again_are_not_lost), T(a_drop_counts_whole), T(a_file_without_tables_is_braked),
		T(a_bag_loses_rows_by_its_counts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
