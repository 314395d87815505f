/* test_squash.c: captures of `watch` become one commit that says the same; the history before is the oracle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <sys/wait.h>

#include "agent/held.h"
#include "agent/outbox.h"
#include "core/format/gzip.h"
#include "tests/lib/edits.h"

#define MAIN_REF "refs/heads/main"

static int setup(void **state)
{
	struct scratch *x = calloc(1, sizeof(*x));
	scratch_make(x);
	OK(trib_state_keys(&x->s, err));
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

/* True when something changed. */
static bool capture(struct scratch *x, const char *sql, const char *text)
{
	struct trib_capture c = {.delta.fd = -1};
	struct trib_committed done;
	if (sql)
		sql_run(x->app, sql);
	OK(trib_capture_run(&x->s, &trib_engine_page, &c, err));
	bool changed = c.changed;
	if (changed)
		OK(trib_outbox_commit(&x->s, &c, text, &done, err));
	trib_capture_release(&c);
	return changed;
}

static bool watch(struct scratch *x, const char *sql) { return capture(x, sql, TRIB_WATCH_TEXT); }

static void squash(struct scratch *x, size_t captures, size_t commits)
{
	struct trib_squashed done;
	OK(trib_outbox_squash(&x->s, NULL, &done, err));
	assert_int_equal(done.captures, captures);
	assert_int_equal(done.commits, commits);
}

/* Judges everything; ref, tip file and walk agree. Returns the number of commits. */
static size_t prove(struct scratch *x)
{
	struct trib_held_list held = {0};
	struct trib_tip tip = {0};
	uint8_t ref[TRIB_OID_LEN], a[TRIB_SHA256_LEN], b[TRIB_SHA256_LEN];
	OK(trib_held_load(&x->s, true, &held, err));
	struct trib_history h = trib_own_history(&x->s, &held);
	OK(trib_history_walk(&h, NULL, &tip, NULL, NULL, err));
	OK(trib_repo_ref(x->s.repo, MAIN_REF, ref, err));
	assert_memory_equal(ref, x->s.tip.oid, TRIB_OID_LEN);
	assert_memory_equal(ref, tip.oid, TRIB_OID_LEN);
	trib_digest_overall(&tip.lanes, "desk", a);
	trib_digest_overall(&x->s.tip.lanes, "desk", b);
	assert_memory_equal(a, b, sizeof(a));
	size_t n = tip.seq;
	trib_tip_release(&tip);
	trib_held_release(&held);
	return n;
}

/* The file that the history replays to, and its digest. */
static void replay(struct scratch *x, struct trib_buf *ret, uint8_t digest[TRIB_SHA256_LEN])
{
	struct trib_held_list held = {0};
	struct trib_restored done = {0};
	char to[256];
	(void)snprintf(to, sizeof(to), "%s/replayed.db", x->dir);
	OK(trib_held_load(&x->s, false, &held, err));
	struct trib_history h = trib_own_history(&x->s, &held);
	OK(trib_replay_to_file(&h, x->s.tip.oid, NULL, to, &done, err));
	trib_buf_reset(ret);
	OK(trib_fs_read(to, ret, err));
	memcpy(digest, done.digest, TRIB_SHA256_LEN);
	assert_int_equal(unlink(to), 0);
	trib_restored_release(&done);
	trib_held_release(&held);
}

static void last_commit(struct scratch *x, struct trib_commit *c, struct trib_manifest *m)
{
	OK(trib_commit_read(x->s.repo, x->s.tip.oid, c, err));
	OK(trib_manifest_parse(trib_buf_span(&c->manifest), m, err));
}

static void last_changeset(struct scratch *x, struct trib_buf *ret)
{
	struct trib_commit c = {0};
	struct trib_manifest m = {0};
	struct trib_buf gz = TRIB_BUF(TRIB_CHANGESET_GZ_MAX);
	last_commit(x, &c, &m);
	trib_buf_reset(ret);
	if (m.gz_len) {
		OK(trib_commit_blob(x->s.repo, &c, "changeset.gz", TRIB_CHANGESET_GZ_MAX, &gz, err));
		OK(trib_gunzip(trib_buf_span(&gz), (size_t)m.raw_len, ret, err));
	}
	trib_buf_release(&gz);
	trib_manifest_release(&m);
	trib_commit_release(&c);
}

/* ---- directed ---- */

static void a_day_becomes_one_commit(void **state)
{
	struct scratch *x = *state;
	struct trib_commit c = {0};
	struct trib_manifest m = {0};
	uint64_t in, up, out;
	capture(x, "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b); CREATE TABLE bag(a, b); INSERT INTO t VALUES(1, 'a', 1), (2, 'b', 2), (3, 'c', 3);"
		   "INSERT INTO bag VALUES(1, 1), (1, 1), (2, 2)", NULL);
	watch(x, "INSERT INTO t VALUES(4, 'd', 4), (5, 'e', 5); INSERT INTO bag VALUES(1, 1), (3, 3)");
	watch(x, "DELETE FROM t WHERE id = 4; UPDATE t SET a = 'x' WHERE id = 1; UPDATE t SET b = 9 WHERE id = 2; DELETE FROM t WHERE id = 3; DELETE FROM bag WHERE a = 3");
	watch(x, "UPDATE t SET b = 7 WHERE id = 1; UPDATE t SET b = 2 WHERE id = 2; INSERT INTO t VALUES(3, 'c', 4); UPDATE t SET a = 'E' WHERE id = 5");
	int64_t at = x->s.tip.captured_at;
	squash(x, 3, 1);
	assert_int_equal(prove(x), 2);
	last_commit(x, &c, &m);
	trib_manifest_counts(&m, &in, &up, &out);
	assert_int_equal(in, 1);  /* 5 */
	assert_int_equal(up, 3);  /* 1 in two columns, 3 deleted and put back, and a bag row's count; 2 came back */
	assert_int_equal(out, 0); /* 4 came and went */
	assert_int_equal(m.captured_at, at);
	trib_manifest_release(&m);
	trib_commit_release(&c);
	squash(x, 0, 0);
	assert_false(watch(x, NULL)); /* the baseline is still this state */
}

static void what_comes_back_is_nothing(void **state)
{
	struct scratch *x = *state;
	struct trib_buf cs = TRIB_BUF(TRIB_CHANGESET_RAW_MAX);
	capture(x, "CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES(1, 'a')", NULL);
	watch(x, "UPDATE t SET a = 'b'; INSERT INTO t VALUES(2, 'x')");
	watch(x, "UPDATE t SET a = 'a' WHERE id = 1; DELETE FROM t WHERE id = 2");
	squash(x, 2, 1);
	assert_int_equal(prove(x), 2);
	last_changeset(x, &cs);
	assert_int_equal(cs.len, 0);
	trib_buf_release(&cs);
}

static void only_rows_of_watch_are_squashed(void **state)
{
	struct scratch *x = *state;
	capture(x, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)", NULL);
	watch(x, "INSERT INTO t VALUES(1, 1)");
	watch(x, "INSERT INTO t VALUES(2, 1)");
	capture(x, "INSERT INTO t VALUES(3, 1)", NULL); /* the night's: ends the row and belongs to it */
	watch(x, "INSERT INTO t VALUES(4, 1)");
	capture(x, "INSERT INTO t VALUES(5, 1)", "before the audit"); /* a person wanted this one */
	watch(x, "INSERT INTO t VALUES(6, 1)");
	watch(x, "ALTER TABLE t ADD COLUMN b; UPDATE t SET b = 1");
	watch(x, "INSERT INTO t VALUES(7, 1, 1)");
	watch(x, "INSERT INTO t VALUES(8, 1, 1)");
	capture(x, "INSERT INTO t VALUES(9, 1, 1)", NULL);
	capture(x, "INSERT INTO t VALUES(10, 1, 1)", NULL); /* the next night's, alone */
	size_t before = prove(x);
	squash(x, 6, 2); /* 1 to 3, and 7 to 9: a change of schema stands for itself */
	assert_int_equal(prove(x), before - 4);
	squash(x, 0, 0);
}

static void what_was_offered_stays(void **state)
{
	struct scratch *x = *state;
	uint8_t offered[TRIB_OID_LEN], at[TRIB_OID_LEN];
	uint8_t (*chain)[TRIB_OID_LEN] = NULL;
	size_t n;
	capture(x, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)", NULL);
	watch(x, "INSERT INTO t VALUES(1, 1)");
	watch(x, "INSERT INTO t VALUES(2, 1)");
	memcpy(offered, x->s.tip.oid, sizeof(offered));
	OK(trib_repo_ref_set(x->s.repo, TRIB_REF_PUSH, offered, err));
	OK(trib_outbox_note_held(&x->s, err));
	watch(x, "INSERT INTO t VALUES(3, 1)");
	watch(x, "INSERT INTO t VALUES(4, 1)");
	squash(x, 2, 1);
	assert_int_equal(prove(x), 4);
	OK(trib_repo_chain(x->s.repo, x->s.tip.oid, NULL, 100, &chain, &n, err));
	memcpy(at, chain[2], sizeof(at));
	assert_memory_equal(at, offered, sizeof(at));
	free(chain);
	/* A kept state that is damaged, or of another commit, only costs a walk. */
	TRIB_AUTO(trib_mem) char *held = trib_state_path(&x->s, "held-tip");
	for (int i = 0; i < 2; i++) {
		OK(trib_fs_write(held, trib_span_str(i ? "rubbish" : ""), 0600, err));
		watch(x, i ? "INSERT INTO t VALUES(5, 1)" : "INSERT INTO t VALUES(50, 1)");
		watch(x, i ? "INSERT INTO t VALUES(6, 1)" : "INSERT INTO t VALUES(60, 1)");
		squash(x, 3, 1); /* the one of before, too */
		assert_int_equal(prove(x), 4);
	}
}

static void a_false_kept_state_changes_nothing(void **state)
{
	struct scratch *x = *state;
	uint8_t was[TRIB_OID_LEN];
	struct trib_squashed done;
	capture(x, "CREATE TABLE t(id INTEGER PRIMARY KEY, a); INSERT INTO t VALUES(100, 1)", NULL);
	OK(trib_repo_ref_set(x->s.repo, TRIB_REF_PUSH, x->s.tip.oid, err));
	OK(trib_outbox_note_held(&x->s, err));
	TRIB_AUTO(trib_mem) char *held = trib_state_path(&x->s, "held-tip");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MIB);
	OK(trib_fs_read(held, &b, err));
	b.p[b.len - 100] ^= 1; /* in the lanes */
	OK(trib_fs_write(held, trib_buf_span(&b), 0600, err));
	watch(x, "INSERT INTO t VALUES(1, 1)");
	watch(x, "INSERT INTO t VALUES(2, 1)");
	memcpy(was, x->s.tip.oid, sizeof(was));
	struct trib_err err;
	assert_int_equal(trib_outbox_squash(&x->s, NULL, &done, &err), -1);
	assert_int_equal(err.code, TRIB_E_VERIFY);
	assert_memory_equal(was, x->s.tip.oid, sizeof(was));
	assert_int_equal(prove(x), 3);
}

static void where_the_hub_stands_is_asked(void **state)
{
	struct scratch *x = *state;
	uint8_t hub[TRIB_OID_LEN], strange[TRIB_OID_LEN] = {7};
	struct trib_squashed done;
	capture(x, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)", NULL);
	watch(x, "INSERT INTO t VALUES(1, 1)");
	watch(x, "INSERT INTO t VALUES(2, 1)");
	memcpy(hub, x->s.tip.oid, sizeof(hub)); /* somebody pushed with stock git: no ref here tells */
	watch(x, "INSERT INTO t VALUES(3, 1)");
	watch(x, "INSERT INTO t VALUES(4, 1)");
	OK(trib_outbox_squash(&x->s, strange, &done, err));
	assert_int_equal(done.captures, 0); /* a fork is told by others */
	OK(trib_outbox_squash(&x->s, hub, &done, err));
	assert_int_equal(done.captures, 2);
	assert_int_equal(prove(x), 4);
}

/* ---- killed ---- */

static void squash_in_child(const char *state_dir, const char *point)
{
	struct trib_state s;
	struct trib_err err;
	struct trib_squashed done;
	setenv("TRIBUTARY_CRASH_AT", point, 1);
	if (trib_state_open(state_dir, true, &s, &err) || trib_state_keys(&s, &err) || trib_outbox_squash(&s, NULL, &done, &err))
		_exit(1);
	_exit(0);
}

static void a_kill_while_squashing_leaves_one_whole_history(void **state)
{
	static const char *const points[] = {"objects-written", "own-widened", "pending-written", "pending-renamed", "ref-moved", "tip-saved", "history-moved"};
	struct scratch *x = *state;
	uint64_t key = 1;
	size_t have = 1;
	capture(x, "CREATE TABLE t(id INTEGER PRIMARY KEY, a)", NULL);
	for (size_t i = 0; i < TRIB_COUNT(points); i++) {
		char sql[80];
		int status = 0;
		struct trib_squashed done;
		OK(trib_repo_ref_set(x->s.repo, TRIB_REF_PUSH, x->s.tip.oid, err));
		for (int k = 0; k < 3; k++, key++) {
			(void)snprintf(sql, sizeof(sql), "INSERT INTO t VALUES(%llu, %d)", (unsigned long long)key, k);
			watch(x, sql);
		}
		trib_state_close(&x->s);
		pid_t pid = fork();
		if (pid == 0)
			squash_in_child(x->state, points[i]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (!WIFSIGNALED(status))
			fail_msg("not killed at %s", points[i]);
		scratch_state(x, true); /* rolls forward what was begun */
		OK(trib_state_keys(&x->s, err));
		size_t n = prove(x);
		assert_true(n == have + 3 || n == have + 1);
		OK(trib_outbox_squash(&x->s, NULL, &done, err));
		assert_int_equal(prove(x), ++have);
		assert_false(watch(x, NULL));
	}
}

/* ---- random ---- */

static void copy_db(struct scratch *from, struct scratch *to)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(256 * TRIB_MIB);
	OK(trib_fs_read(from->db, &b, err));
	OK(trib_fs_write(to->db, trib_buf_span(&b), 0600, err));
}

/* Returns how many captures were squashed. */
static size_t one_history(uint64_t seed, bool alone)
{
	struct scratch x, y;
	struct trib_squashed done;
	struct trib_buf was = TRIB_BUF(256 * TRIB_MIB), is = TRIB_BUF(256 * TRIB_MIB), one = TRIB_BUF(TRIB_CHANGESET_RAW_MAX), two = TRIB_BUF(TRIB_CHANGESET_RAW_MAX);
	uint8_t d1[TRIB_SHA256_LEN], d2[TRIB_SHA256_LEN];
	char table[64], sql[256];
	rng_state = seed * 0x9e3779b97f4a7c15u + 1;
	scratch_make(&x);
	OK(trib_state_keys(&x.s, err));
	open_app(&x, false);
	for (int i = 0; i < 8; i++)
		edit(x.app);
	capture(&x, NULL, NULL);
	if (alone) {
		scratch_make(&y);
		OK(trib_state_keys(&y.s, err));
		copy_db(&x, &y);
		capture(&y, NULL, NULL);
	}
	for (int i = 0; i < 6; i++) {
		for (uint32_t k = rnd(4); k < 4; k++) {
			if (!alone)
				edit(x.app);
			else if (pick_table(x.app, table, sizeof(table))) {
				if (rnd(3) == 0)
					insert_rows(x.app, table, 1 + rnd(20));
				else if (rnd(2))
					update_rows(x.app, table);
				else {
					(void)snprintf(sql, sizeof(sql), "DELETE FROM \"%s\" WHERE rnd(%u) = 0", table, 2 + rnd(5));
					try_sql(x.app, sql);
				}
			}
		}
		capture(&x, NULL, !alone && rnd(6) == 0 ? NULL : TRIB_WATCH_TEXT);
	}
	replay(&x, &was, d1);
	size_t before = prove(&x);
	OK(trib_outbox_squash(&x.s, NULL, &done, err));
	size_t after = prove(&x);
	if (after > before || (done.captures && after >= before) || (!done.captures && after != before))
		fail_msg("seed %llu: %zu commits became %zu", (unsigned long long)seed, before, after);
	replay(&x, &is, d2);
	assert_memory_equal(d1, d2, sizeof(d1));
	if (!trib_span_eq(trib_buf_span(&was), trib_buf_span(&is)))
		fail_msg("seed %llu: the history replays to another file", (unsigned long long)seed);
	assert_false(watch(&x, NULL));
	if (alone && after == 2) { /* one capture of the whole way has the very same bytes */
		copy_db(&x, &y);
		if (capture(&y, NULL, NULL)) {
			last_changeset(&x, &one);
			last_changeset(&y, &two);
			if (!trib_span_eq(trib_buf_span(&one), trib_buf_span(&two)))
				fail_msg("seed %llu: composed %zu bytes, captured at once %zu, and they differ", (unsigned long long)seed, one.len, two.len);
		}
	}
	if (alone)
		scratch_free(&y);
	scratch_free(&x);
	trib_buf_release(&was);
	trib_buf_release(&is);
	trib_buf_release(&one);
	trib_buf_release(&two);
	return done.captures;
}

static void random_histories_say_the_same(void **state)
{
	uint64_t first = number("SEED", 1), n = number("HISTORIES", 12);
	size_t squashed = 0;
	(void)state;
	for (uint64_t i = 0; i < n; i++)
		squashed += one_history(first + i, i % 2);
	if (n > 8)
		assert_true(squashed > n);
}

int main(void)
{
	struct trib_err err;
	if (trib_repo_lib_init(&err))
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_day_becomes_one_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(what_comes_back_is_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(only_rows_of_watch_are_squashed, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_offered_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(a_false_kept_state_changes_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(where_the_hub_stands_is_asked, setup, teardown),
		cmocka_unit_test_setup_teardown(a_kill_while_squashing_leaves_one_whole_history, setup, teardown),
		cmocka_unit_test(random_histories_say_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
