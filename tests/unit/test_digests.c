/* test_digests.c: the cache of what earlier commits looked like follows each commit, and can be made again (D4.9). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/capture/digests.h"
#include "agent/capture/prints.h"
#include "agent/outbox.h"
#include "tests/lib/scratch.h"

#define FILL "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<300) INSERT INTO t SELECT i, 'v'||i FROM n"

static void commit_now(struct scratch *x, const char *sql)
{
	struct trib_capture c = {.delta.fd = -1};
	struct trib_committed done;
	sql_run(x->app, sql);
	OK(trib_capture_run(&x->s, &trib_engine_full, &c, err));
	assert_true(c.changed);
	OK(trib_outbox_commit(&x->s, &c, NULL, &done, err));
	trib_prints_learn(&x->s, &c);
	trib_capture_release(&c);
}

static int setup(void **state)
{
	struct scratch *x = calloc(1, sizeof(*x));
	scratch_make(x);
	OK(trib_state_keys(&x->s, err));
	x->app = sql_open(x->db);
	commit_now(x, "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE u(id INTEGER PRIMARY KEY); CREATE TABLE b(a); INSERT INTO b VALUES(1),(1);" FILL);
	commit_now(x, "UPDATE t SET v='a'||id");
	commit_now(x, "INSERT INTO u VALUES(1)");
	commit_now(x, "UPDATE t SET v='v'||id; DELETE FROM b");
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	scratch_free(*state);
	free(*state);
	return 0;
}

/* What the file says, without any catching up. */
static void dump(struct scratch *x, struct trib_buf *b)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(&x->s, "digests.db");
	static const char *const sql[] = {"SELECT tbl||' '||rows||' '||hex(digest)||' '||seq||' '||hex(oid) FROM state ORDER BY 1",
					  "SELECT tbl||' '||hex(digest) FROM latest ORDER BY 1", "SELECT hex(oid) FROM upto"};
	sqlite3 *db = sql_open(path);
	trib_buf_reset(b);
	for (size_t i = 0; i < TRIB_COUNT(sql); i++) {
		sqlite3_stmt *st = NULL;
		assert_int_equal(sqlite3_prepare_v2(db, sql[i], -1, &st, NULL), SQLITE_OK);
		while (sqlite3_step(st) == SQLITE_ROW)
			trib_buf_printf(b, "%s\n", (const char *)sqlite3_column_text(st, 0));
		sqlite3_finalize(st);
	}
	sqlite3_close(db);
}

static uint64_t found(struct scratch *x, const char *table)
{
	sqlite3 *db = NULL;
	uint64_t seq = 99;
	uint8_t digest[TRIB_SHA256_LEN];
	const struct trib_lanes_table *t = trib_lanes_find(&x->s.tip.lanes, table);
	assert_non_null(t);
	trib_digest_table(t, digest);
	OK(trib_digests_open(&x->s, &db, err));
	OK(trib_digests_find(&x->s, db, table, t->rows, digest, &seq, err));
	sqlite3_close(db);
	return seq;
}

static void each_commit_is_noted_when_it_is_made(void **state)
{
	struct scratch *x = *state;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MIB);
	char hex[2 * TRIB_OID_LEN + 1];
	dump(x, &b);
	trib_hex(hex, x->s.tip.oid, TRIB_OID_LEN);
	for (char *p = hex; *p; p++)
		*p = (char)(*p >= 'a' ? *p - 32 : *p);
	assert_memory_equal(b.p + b.len - sizeof(hex), hex, sizeof(hex) - 1); /* upto is the tip: nothing is left to catch up with */
	assert_int_equal(found(x, "t"), 4); /* the last commit that brought it there, not the first */
	assert_int_equal(found(x, "u"), 3);
	assert_int_equal(found(x, "sqlite_bag_b"), 4);
}

static void it_is_the_same_when_made_again(void **state)
{
	struct scratch *x = *state;
	TRIB_AUTO(trib_buf) struct trib_buf a = TRIB_BUF(TRIB_MIB);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MIB);
	struct trib_committed done;
	OK(trib_outbox_report(&x->s, NULL, &done, err));
	dump(x, &a);
	trib_digests_drop(&x->s);
	assert_int_equal(found(x, "t"), 4);
	dump(x, &b);
	assert_true(trib_span_eq(trib_buf_span(&a), trib_buf_span(&b)));
	/* Behind by some commits, as when it could not be written. */
	TRIB_AUTO(trib_mem) char *path = trib_state_path(&x->s, "digests.db");
	TRIB_AUTO(trib_mem) char *kept = trib_pathf("%s.kept", path);
	assert_int_equal(rename(path, kept), 0);
	commit_now(x, "UPDATE t SET v='c'||id WHERE id<=100"); /* more would ask the cache */
	commit_now(x, "INSERT INTO u VALUES(2)");
	assert_int_equal(access(path, F_OK), -1); /* a commit does not read history for the cache's sake */
	assert_int_equal(rename(kept, path), 0);
	assert_int_equal(found(x, "t"), 6);
	dump(x, &a);
	trib_digests_drop(&x->s);
	assert_int_equal(found(x, "u"), 7);
	dump(x, &b);
	assert_true(trib_span_eq(trib_buf_span(&a), trib_buf_span(&b)));
}

static struct trib_print print_of(struct scratch *x, sqlite3 *db, const char *table, uint8_t digest[TRIB_SHA256_LEN])
{
	struct trib_print p = {0};
	bool known = false;
	trib_digest_table(trib_lanes_find(&x->s.tip.lanes, table), digest);
	OK(trib_print_find(db, table, digest, &p, &known, err));
	assert_true(known);
	return p;
}

/* Would the table, as `sql` leaves it, have its digest computed? */
static bool asked(struct scratch *x, const char *sql, const char *table, uint64_t rows)
{
	struct trib_capture c = {.delta.fd = -1};
	sqlite3 *db = NULL;
	uint8_t digest[TRIB_SHA256_LEN];
	bool maybe = false;
	OK(trib_digests_open(&x->s, &db, err));
	struct trib_print p = print_of(x, db, table, digest);
	sql_run(x->app, sql);
	OK(trib_capture_run(&x->s, &trib_engine_page, &c, err));
	for (size_t i = 0; i < c.nmoved; i++)
		p.sum += strcmp(c.moved[i].table, table) == 0 ? c.moved[i].sum : 0;
	OK(trib_digests_maybe(db, table, rows, digest, &p, &maybe, err));
	trib_capture_release(&c);
	sqlite3_close(db);
	return maybe;
}

static void prints_tell_states_apart(void **state)
{
	struct scratch *x = *state;
	sqlite3 *db = NULL;
	uint8_t digest[TRIB_SHA256_LEN];
	commit_now(x, "INSERT INTO b VALUES('x'),('x'),(NULL)");
	assert_true(asked(x, "UPDATE t SET v='a'||id", "t", 300));
	assert_false(asked(x, "UPDATE t SET v='b'||id", "t", 300));
	assert_false(asked(x, "UPDATE t SET v='a'||id; UPDATE t SET v=NULL WHERE id=7", "t", 300));
	assert_true(asked(x, "DELETE FROM t; " FILL "; UPDATE t SET v='a'||id", "t", 300)); /* whatever the way there */
	assert_false(asked(x, "UPDATE t SET v='v'||id; UPDATE b SET a='y' WHERE a='x'", "sqlite_bag_b", 3));
	/* A commit by other hands: its prints are not known, and the digest decides again. */
	commit_now(x, "UPDATE t SET v='c'||id");
	OK(trib_digests_open(&x->s, &db, err));
	(void)print_of(x, db, "t", digest);
	sql_run(db, "DELETE FROM print");
	sqlite3_close(db);
	commit_now(x, "UPDATE t SET v='d'||id");
	assert_true(asked(x, "UPDATE t SET v='e'||id", "t", 300));
	/* Commits made anew take what names commits, not what names states. */
	trib_digests_forget(&x->s);
	OK(trib_digests_open_kept(&x->s, &db, err));
	(void)print_of(x, db, "t", digest);
	sqlite3_close(db);
	assert_int_equal(found(x, "t"), x->s.tip.seq);
}

static void a_return_is_braked_and_named(void **state)
{
	struct scratch *x = *state;
	struct trib_capture c = {.delta.fd = -1};
	sql_run(x->app, "UPDATE t SET v='a'||id");
	OK(trib_capture_run(&x->s, &trib_engine_full, &c, err));
	assert_int_equal(c.nbraked, 1);
	assert_string_equal(c.braked[0].table, "t");
	assert_int_equal(c.braked[0].lost, 300);
	assert_int_equal(c.nreturned, 1);
	assert_string_equal(c.returned[0].table, "t");
	assert_int_equal(c.returned[0].seq, 2);
	trib_capture_release(&c);
	sql_run(x->app, "UPDATE t SET v='v'||id WHERE id<=200"); /* 100 rows differ from the tip, none from an older state */
	OK(trib_capture_run(&x->s, &trib_engine_full, &c, err));
	assert_int_equal(c.nbraked + c.nreturned, 0);
	trib_capture_release(&c);
	sql_run(x->app, "UPDATE t SET v='a'||id; INSERT INTO t VALUES(1000, NULL)"); /* one row more: no state that ever was */
	OK(trib_capture_run(&x->s, &trib_engine_full, &c, err));
	assert_int_equal(c.nbraked + c.nreturned, 0);
	trib_capture_release(&c);
}

static void a_loss_that_is_a_return_is_both(void **state)
{
	struct scratch *x = *state;
	struct trib_capture c = {.delta.fd = -1};
	commit_now(x, "INSERT INTO t SELECT id+1000, v FROM t");
	sql_run(x->app, "DELETE FROM t WHERE id>1000");
	OK(trib_capture_run(&x->s, &trib_engine_full, &c, err));
	assert_int_equal(c.nbraked, 1);
	assert_int_equal(c.braked[0].lost, 300);
	assert_int_equal(c.nreturned, 1);
	assert_int_equal(c.returned[0].seq, 4);
	trib_capture_release(&c);
}

static void an_answer_that_no_manifest_supports_is_refused(void **state)
{
	struct scratch *x = *state;
	struct trib_err e = {0};
	uint64_t seq = 7;
	uint8_t digest[TRIB_SHA256_LEN];
	const struct trib_lanes_table *t = trib_lanes_find(&x->s.tip.lanes, "t");
	sqlite3 *db = NULL;
	trib_digest_table(t, digest);
	OK(trib_digests_open(&x->s, &db, err));
	sql_run(db, "UPDATE state SET oid=(SELECT oid FROM state WHERE tbl='t' AND seq=2) WHERE tbl='t' AND seq=4");
	assert_int_equal(trib_digests_find(&x->s, db, "t", t->rows, digest, &seq, &e), -1);
	assert_int_equal(e.code, TRIB_E_VERIFY);
	assert_int_equal(seq, 7);
	sqlite3_close(db);
}

int main(void)
{
	struct trib_err err;
	if (trib_repo_lib_init(&err))
		return 1;
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(each_commit_is_noted_when_it_is_made), T(it_is_the_same_when_made_again), T(prints_tell_states_apart), T(a_return_is_braked_and_named), T(a_loss_that_is_a_return_is_both),
		T(an_answer_that_no_manifest_supports_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
