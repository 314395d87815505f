#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/lib/mkhub.h"

static int start(void **state)
{
	struct mkhub *h = calloc(1, sizeof(*h));
	assert_non_null(h);
	mkhub_init(h);
	*state = h;
	return 0;
}

static int stop(void **state)
{
	mkhub_free(*state);
	free(*state);
	return 0;
}

static int64_t city(struct mkhub *h, const char *sql)
{
	int64_t n = -1;
	assert_int_equal(h->merge.ncities, 1);
	HUB_OK(trib_db_int(h->merge.cities[0].db, sql, -1, &n, err));
	return n;
}

static void reset(struct mkhub *h, uint64_t part, uint64_t parts)
{
	struct mk_draft d;
	uint8_t oid[TRIB_OID_LEN];
	mk_draft(&h->node[0], "SELECT 1", TRIB_KIND_RESET, part, parts, &d);
	mk_seal(&h->node[0], &d, oid);
	mk_draft_release(&d);
	mkhub_publish(h, 0, oid);
}

#define NODE0 " WHERE _node = '" MK_NODE "'"

static void out_of_step(struct mkhub *h)
{
	for (size_t i = 0; i < MKHUB_NODES; i++)
		mkhub_commit(h, i, "CREATE TABLE t(k INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1, 'a'),(2, 'b')");
	mkhub_merge(h);
	mkhub_sql(h->merge.cities[0].db, "UPDATE t SET v = 'edited'" NODE0 " AND k = 1");
	mkhub_commit(h, 0, "UPDATE t SET v = 'c' WHERE k = 1");
	mkhub_commit(h, 1, "UPDATE t SET v = 'c' WHERE k = 1");
	mkhub_merge(h);
	assert_int_equal(h->merge.out_of_step, 1);
	assert_int_equal(city(h, "SELECT count(*) FROM t WHERE v = 'c'"), 1); /* the other office goes on */
	mkhub_commit(h, 0, "INSERT INTO t VALUES(3, 'd')");
	mkhub_merge(h);
	assert_int_equal(city(h, "SELECT count(*) FROM t" NODE0), 2);
	assert_int_equal(city(h, "SELECT count(*) FROM _t_ledger WHERE reason = 'waits-for-reset'"), 1);
}

static void a_reset_ends_the_wait(void **state)
{
	struct mkhub *h = *state;
	out_of_step(h);
	reset(h, 1, 1);
	mkhub_merge(h);
	assert_int_equal(h->merge.merged, 1);
	assert_int_equal(city(h, "SELECT count(*) FROM t" NODE0), 3);
	assert_int_equal(city(h, "SELECT count(*) FROM t WHERE v = 'edited'"), 0);
	assert_int_equal(city(h, "SELECT out_of_step IS NULL FROM _t_history" " WHERE node = '" MK_NODE "'"), 1);
	mkhub_commit(h, 0, "DELETE FROM t WHERE k = 3");
	mkhub_merge(h);
	assert_int_equal(city(h, "SELECT count(*) FROM t" NODE0), 2);
}

static void half_a_reset_changes_nothing(void **state)
{
	struct mkhub *h = *state;
	out_of_step(h);
	mk_keep(&h->node[0]);
	reset(h, 1, 2);
	mkhub_merge(h);
	assert_int_equal(city(h, "SELECT count(*) FROM t" NODE0), 2);
	mk_back(&h->node[0]);
	mkhub_commit(h, 0, "INSERT INTO t VALUES(4, 'e')"); /* gives the reset up */
	mkhub_merge(h);
	assert_int_equal(city(h, "SELECT count(*) FROM t" NODE0), 2);
	assert_int_equal(city(h, "SELECT count(*) FROM _t_ledger WHERE reason = 'waits-for-reset'"), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_reset_ends_the_wait, start, stop),
		cmocka_unit_test_setup_teardown(half_a_reset_changes_nothing, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
