#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sys/resource.h>

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

static void sql_of(struct mkhub *h, const char *set)
{
	char sql[128];
	(void)snprintf(sql, sizeof(sql), "UPDATE _t_made SET %s", set);
	mkhub_sql(h->merge.cities[0].db, sql);
}

/* An office that brings ever new table names, or widens tables of all, stops itself and nobody else. */
static void what_an_office_adds_to_the_city_is_bounded(void **state)
{
	struct mkhub *h = *state;
	char set[64];
	for (size_t i = 0; i < MKHUB_NODES; i++)
		mkhub_commit(h, i, "CREATE TABLE t(k INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1, 'a')");
	mkhub_commit(h, 0, "CREATE TABLE w(k INTEGER PRIMARY KEY, v); CREATE TABLE x(k INTEGER PRIMARY KEY, v)");
	mkhub_merge(h);
	assert_int_equal(city(h, "SELECT tables FROM _t_made" " WHERE node = '" MK_NODE "'"), 3);
	assert_int_equal(city(h, "SELECT count(*) FROM _t_made"), 1); /* the second found the table there */
	(void)snprintf(set, sizeof(set), "tables = %d", TRIB_NODE_TABLES_MAX - 1);
	sql_of(h, set);
	mkhub_commit(h, 0, "CREATE TABLE last(k INTEGER PRIMARY KEY)"); /* empty, and at the limit */
	mkhub_merge(h);
	assert_int_equal(h->merge.out_of_step, 0);
	assert_int_equal(city(h, "SELECT count(*) FROM sqlite_schema WHERE name = 'last'"), 1);
	mkhub_commit(h, 0, "CREATE TABLE beyond(k INTEGER PRIMARY KEY)");
	mkhub_commit(h, 1, "INSERT INTO t VALUES(2, 'b')");
	mkhub_merge(h);
	assert_int_equal(h->merge.out_of_step, 1);
	assert_int_equal(city(h, "SELECT count(*) FROM _t_ledger WHERE reason = 'over-limit'"), 1);
	assert_int_equal(city(h, "SELECT count(*) FROM sqlite_schema WHERE name = 'beyond'"), 0);
	assert_int_equal(city(h, "SELECT count(*) FROM t WHERE _node = 'N2'"), 2);
	(void)snprintf(set, sizeof(set), "node = 'N2', tables = 0, columns = %d", TRIB_NODE_COLUMNS_MAX - 1);
	sql_of(h, set);
	mkhub_commit(h, 1, "CREATE TABLE w(k INTEGER PRIMARY KEY, v, more)");
	mkhub_merge(h);
	assert_int_equal(h->merge.out_of_step, 0);
	mkhub_commit(h, 1, "CREATE TABLE x(k INTEGER PRIMARY KEY, v, more)");
	mkhub_merge(h);
	assert_int_equal(h->merge.out_of_step, 1);
}

static int run(struct mkhub *h, struct trib_err *why)
{
	uint64_t size;
	HUB_OK(trib_log_size(&h->db, &size, err));
	return trib_merge_run(&h->merge, &h->db, size, why);
}

/* However few descriptors are left: either all is merged, or nothing happened and it is tried again. */
static void shortage_of_descriptors_is_no_damage(void **state)
{
	struct mkhub *h = *state;
	struct trib_err why;
	int hold[512], full = 0;
	struct rlimit was, low;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	low = was;
	low.rlim_cur = 256;
	mkhub_commit(h, 0, "CREATE TABLE t(k INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1, 'a')");
	mkhub_merge(h); /* the city's files are open */
	for (unsigned left = 0; left < 12; left++) {
		mkhub_commit(h, 0, "INSERT INTO t(v) VALUES('b')");
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
		int n = 0;
		while (n < 512 && (hold[n] = open("/dev/null", O_RDONLY)) >= 0)
			n++;
		for (unsigned i = 0; i < left; i++)
			close(hold[--n]);
		int rc = run(h, &why);
		while (n)
			close(hold[--n]);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
		assert_int_equal(h->merge.damaged, 0);
		if (rc) {
			full++;
			assert_true(trib_passing(why.code) || strstr(why.msg, "not in"));
		}
		assert_int_equal(city(h, "SELECT count(*) FROM _t_history WHERE out_of_step IS NOT NULL"), 0);
		mkhub_merge(h);
		assert_int_equal(city(h, "SELECT count(*) FROM t"), 2 + (int)left);
	}
	assert_true(full > 0);
}

static void files_that_cannot_be_read_have_patience(void **state)
{
	struct mkhub *h = *state;
	struct trib_err why;
	struct trib_patience patience = {.max = 2};
	char *path = trib_hub_repo_path(&h->hub, MK_NODE, MK_APP), *away = trib_pathf("%s.away", path);
	mkhub_commit(h, 0, "CREATE TABLE t(k INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1, 'a')");
	mkhub_commit(h, 1, "CREATE TABLE t(k INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1, 'a')");
	assert_int_equal(rename(path, away), 0); /* a mount that is gone */
	h->merge.patience = &patience;
	for (unsigned i = 0; i < patience.max; i++) {
		assert_int_equal(run(h, &why), -1);
		assert_int_equal(h->merge.damaged, 0);
	}
	assert_int_equal(rename(away, path), 0); /* it is back in time */
	HUB_OK(run(h, err));
	assert_int_equal(city(h, "SELECT count(*) FROM t"), 2);
	mkhub_commit(h, 0, "INSERT INTO t VALUES(2, 'b')");
	mkhub_commit(h, 1, "INSERT INTO t VALUES(2, 'b')");
	assert_int_equal(rename(path, away), 0);
	patience.tries = 0;
	for (unsigned i = 0; i < patience.max; i++)
		assert_int_equal(run(h, &why), -1);
	HUB_OK(run(h, err)); /* it stays away: the others go on without it */
	assert_int_equal(h->merge.damaged, 1);
	assert_int_equal(city(h, "SELECT count(*) FROM t WHERE _node = 'N2'"), 2);
	assert_int_equal(rename(away, path), 0);
	h->merge.patience = NULL;
	free(path);
	free(away);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_reset_ends_the_wait, start, stop),
		cmocka_unit_test_setup_teardown(what_an_office_adds_to_the_city_is_bounded, start, stop),
		cmocka_unit_test_setup_teardown(shortage_of_descriptors_is_no_damage, start, stop),
		cmocka_unit_test_setup_teardown(files_that_cannot_be_read_have_patience, start, stop),
		cmocka_unit_test_setup_teardown(half_a_reset_changes_nothing, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
