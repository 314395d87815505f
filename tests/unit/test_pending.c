/* test_pending.c: a commit is there whole or not at all, wherever the agent is killed (D4.7). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "agent/capture/baseline.h"
#include "tests/lib/scratch.h"

#define MAIN_REF "refs/heads/main"

static int setup(void **state)
{
	struct scratch *x = calloc(1, sizeof(*x));
	struct trib_capture c = {.delta.fd = -1};
	scratch_make(x);
	x->app = sql_open(x->db);
	sql_run(x->app, "CREATE TABLE t(id INTEGER PRIMARY KEY, v); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<300)"
		" INSERT INTO t SELECT i, randomblob(100) FROM n");
	assert_true(scratch_commit(x, &c));
	trib_capture_release(&c);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	scratch_free(*state);
	free(*state);
	return 0;
}

static char *in_state(const struct scratch *x, const char *name)
{
	char *p = trib_path(x->state, name);
	assert_non_null(p);
	return p;
}

static void hash_of(const struct scratch *x, const char *name, uint8_t ret[TRIB_SHA256_LEN])
{
	TRIB_AUTO(trib_mem) char *path = in_state(x, name);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(64 * TRIB_MIB);
	OK(trib_fs_read(path, &b, err));
	trib_sha256(ret, trib_buf_span(&b));
}

/* Everything that a commit moves, as one text. */
static void whole_state(struct scratch *x, struct trib_buf *b)
{
	uint8_t oid[TRIB_OID_LEN], sum[TRIB_SHA256_LEN];
	static const char *const files[] = {"baseline", "baseline.sums", "tip", "own"};
	trib_buf_reset(b);
	OK(trib_repo_ref(x->s.repo, MAIN_REF, oid, err));
	trib_buf_hex(b, oid, sizeof(oid));
	trib_buf_hex(b, x->s.tip.oid, sizeof(oid));
	trib_buf_printf(b, " %llu", (unsigned long long)x->s.tip.seq);
	for (size_t i = 0; i < TRIB_COUNT(files); i++) {
		hash_of(x, files[i], sum);
		trib_buf_printf(b, " %s ", files[i]);
		trib_buf_hex(b, sum, sizeof(sum));
	}
}

static void baseline_equals_database(struct scratch *x)
{
	struct trib_capture c = {.delta.fd = -1};
	OK(trib_capture_run(&x->s, &trib_engine_full, &c, err));
	assert_false(c.changed);
	assert_int_equal(c.pages_changed, 0);
	trib_capture_release(&c);
}

/* A second commit in a child that is killed at `point`; the objects it wrote stay. Returns whether it died there. */
static bool commit_killed_at(struct scratch *x, const char *point)
{
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct scratch y = *x;
		struct trib_capture c = {.delta.fd = -1};
		trib_state_close(&x->s);
		setenv("TRIBUTARY_CRASH_AT", point, 1);
		y.s = (struct trib_state){.lock = TRIB_LOCK_INIT};
		scratch_state(&y, true);
		_exit(scratch_commit(&y, &c) ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) ? WEXITSTATUS(status) == 0 : WTERMSIG(status) == SIGKILL);
	return WIFSIGNALED(status);
}

static void a_kill_leaves_the_old_or_the_new_state(void **state)
{
	static const struct { const char *point; bool committed; } points[] = {
		{"pending-written", false}, {"pending-renamed", true}, {"ref-moved", true}, {"baseline-applied", true}, {"tip-saved", true},
	};
	struct scratch *x = *state;
	struct trib_buf old = TRIB_BUF(TRIB_MIB), after = TRIB_BUF(TRIB_MIB);
	for (size_t i = 0; i < TRIB_COUNT(points); i++) {
		char sql[128];
		uint64_t seq = x->s.tip.seq;
		whole_state(x, &old);
		(void)snprintf(sql, sizeof(sql), "UPDATE t SET v=%zu WHERE id %% 3 = 0; DELETE FROM t WHERE id=%zu; PRAGMA page_size=%u; VACUUM", i, i + 1,
			       i % 2 ? 4096 : 1024);
		sql_run(x->app, sql);
		trib_state_close(&x->s); /* the child takes the lock */
		assert_true(commit_killed_at(x, points[i].point));
		scratch_state(x, true);
		whole_state(x, &after);
		assert_int_equal(x->s.tip.seq, seq + points[i].committed);
		assert_true(strcmp(trib_buf_str(&old), trib_buf_str(&after)) == 0 ? !points[i].committed : points[i].committed);
		TRIB_AUTO(trib_mem) char *tmp = in_state(x, "pending.tmp");
		TRIB_AUTO(trib_mem) char *pending = in_state(x, "pending");
		assert_false(trib_fs_exists(tmp) || trib_fs_exists(pending));
		if (!points[i].committed) {
			struct trib_capture c = {.delta.fd = -1};
			assert_true(scratch_commit(x, &c));
			trib_capture_release(&c);
		}
		baseline_equals_database(x);
	}
	trib_buf_release(&old);
	trib_buf_release(&after);
}

/* A kill while rolling forward, again and again, ends in the new state. */
static void recovery_may_be_killed_too(void **state)
{
	static const char *const points[] = {"ref-moved", "baseline-applied", "tip-saved"};
	struct scratch *x = *state;
	sql_run(x->app, "UPDATE t SET v='new'");
	uint64_t seq = x->s.tip.seq;
	trib_state_close(&x->s);
	assert_true(commit_killed_at(x, "pending-renamed"));
	for (size_t i = 0; i < TRIB_COUNT(points); i++) {
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			struct trib_state s;
			struct trib_err err;
			setenv("TRIBUTARY_CRASH_AT", points[i], 1);
			_exit(trib_state_open(x->state, true, &s, &err) ? 1 : 0);
		}
		int status;
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
	}
	scratch_state(x, true);
	assert_int_equal(x->s.tip.seq, seq + 1);
	baseline_equals_database(x);
}

static void pending_in_place(struct scratch *x)
{
	sql_run(x->app, "UPDATE t SET v='new'");
	trib_state_close(&x->s);
	assert_true(commit_killed_at(x, "pending-renamed"));
}

static void open_fails(struct scratch *x, enum trib_code code, const char *word)
{
	struct trib_state s;
	struct trib_err err = {0};
	assert_int_equal(trib_state_open(x->state, true, &s, &err), -1);
	if (err.code != code || !strstr(err.msg, word))
		fail_msg("%s: %s", trib_code_name(err.code), err.msg);
}

static void a_ref_that_something_else_moved_is_told(void **state)
{
	struct scratch *x = *state;
	uint8_t other[TRIB_OID_LEN];
	struct trib_repo *repo = NULL;
	TRIB_AUTO(trib_mem) char *path = in_state(x, "repo.git");
	TRIB_AUTO(trib_mem) char *pending = in_state(x, "pending");
	scratch_commit_object(x, 99, other);
	pending_in_place(x);
	OK(trib_repo_open(path, false, &repo, err));
	OK(trib_repo_ref_set(repo, MAIN_REF, other, err));
	trib_repo_free(repo);
	open_fails(x, TRIB_E_VERIFY, "something else moved it");
	assert_true(trib_fs_exists(pending));
}

/* Every byte counts: one bit changed anywhere, or a cut, and nothing is applied. */
static void a_damaged_pending_is_not_applied(void **state)
{
	struct scratch *x = *state;
	TRIB_AUTO(trib_mem) char *pending = in_state(x, "pending");
	uint8_t was[TRIB_SHA256_LEN], is[TRIB_SHA256_LEN];
	struct stat st;
	pending_in_place(x);
	hash_of(x, "baseline", was);
	assert_int_equal(stat(pending, &st), 0);
	const off_t at[] = {0, 17, 22, 27, 31, 40, 60, 80, 119, 300, 513, 600, st.st_size / 2, st.st_size - 40, st.st_size - 1};
	TRIB_AUTO(trib_fd) int fd = open(pending, O_RDWR);
	assert_true(fd >= 0);
	for (size_t i = 0; i < TRIB_COUNT(at); i++) {
		uint8_t byte, bad;
		assert_int_equal(pread(fd, &byte, 1, at[i]), 1);
		bad = byte ^ 4;
		assert_int_equal(pwrite(fd, &bad, 1, at[i]), 1);
		open_fails(x, TRIB_E_VERIFY, "damaged");
		assert_int_equal(pwrite(fd, &byte, 1, at[i]), 1);
	}
	hash_of(x, "baseline", is);
	assert_memory_equal(was, is, sizeof(was));
	assert_int_equal(ftruncate(fd, st.st_size - 1), 0);
	open_fails(x, TRIB_E_VERIFY, "damaged");
	assert_int_equal(ftruncate(fd, 100), 0);
	open_fails(x, TRIB_E_VERIFY, "damaged");
}

static void a_report_commits_no_pages(void **state)
{
	struct scratch *x = *state;
	uint8_t oid[TRIB_OID_LEN], was[TRIB_SHA256_LEN], is[TRIB_SHA256_LEN], before[TRIB_OID_LEN];
	struct trib_tip tip = {0};
	struct trib_delta none = {0};
	hash_of(x, "baseline", was);
	memcpy(before, x->s.tip.oid, sizeof(before));
	scratch_commit_object(x, 50, oid);
	scratch_next_tip(x, NULL, oid, &tip);
	OK(trib_pending_commit(&x->s, &none, before, oid, &tip, err));
	OK(trib_pending_recover(&x->s, err));
	OK(trib_pending_recover(&x->s, err)); /* nothing to do */
	trib_delta_release(&none);
	hash_of(x, "baseline", is);
	assert_memory_equal(was, is, sizeof(was));
	assert_memory_equal(x->s.tip.oid, oid, sizeof(oid));
	assert_int_equal(x->s.tip.seq, 2);
	trib_tip_release(&tip);
	/* `own` lists both commits, oldest first, each once. */
	TRIB_AUTO(trib_mem) char *path = in_state(x, "own");
	TRIB_AUTO(trib_buf) struct trib_buf own = TRIB_BUF(TRIB_MIB);
	char want[2 * (TRIB_OID_HEX + 1) + 1];
	OK(trib_fs_read(path, &own, err));
	trib_hex(want, before, sizeof(before));
	trib_hex(want + TRIB_OID_HEX + 1, oid, sizeof(oid));
	want[TRIB_OID_HEX] = want[2 * TRIB_OID_HEX + 1] = '\n';
	want[sizeof(want) - 1] = '\0';
	assert_string_equal(trib_buf_str(&own), want);
}

/* The commits of these tests are no real ones, so nothing can be replayed: what is lost is told, and nothing is made up. */
static void a_lost_baseline_without_a_history_is_told(void **state)
{
	struct scratch *x = *state;
	struct trib_capture c = {.delta.fd = -1};
	struct trib_err err = {0};
	TRIB_AUTO(trib_mem) char *path = in_state(x, "baseline");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(trib_capture_run(&x->s, &trib_engine_full, &c, &err), -1);
	assert_int_equal(trib_exit_status(err.code), 15);
	assert_non_null(strstr(err.msg, "could not be made again"));
	assert_int_equal(access(path, F_OK), -1);
}

static const char *why_wrong(struct scratch *x, const struct trib_delta *d)
{
	const char *why = NULL;
	OK(trib_baseline_pages(&x->s, d, &why, err));
	return why;
}

static void flip(struct scratch *x, const char *name, off_t at)
{
	TRIB_AUTO(trib_mem) char *path = in_state(x, name);
	int fd = open(path, O_RDWR);
	uint8_t b;
	assert_int_equal(pread(fd, &b, 1, at), 1);
	b ^= 1;
	assert_int_equal(pwrite(fd, &b, 1, at), 1);
	close(fd);
}

static void every_page_has_its_sum(void **state)
{
	struct scratch *x = *state;
	uint32_t two[] = {2};
	struct trib_delta d = {.page_size = 4096, .page_count = 1000, .nchanged = 1, .pgno = two, .fd = -1, .path = x->db}; /* all but page 2 equal the live file */
	assert_null(why_wrong(x, NULL));
	flip(x, "baseline", 4096 + 4095);
	assert_non_null(why_wrong(x, NULL));
	assert_non_null(why_wrong(x, &d));
	flip(x, "baseline", 4096 + 4095);
	assert_null(why_wrong(x, NULL));
	flip(x, "baseline", 2 * 4096);
	assert_non_null(why_wrong(x, NULL));
	assert_null(why_wrong(x, &d)); /* equal to the live file: nobody asks the baseline */
	d.page_count = 2;              /* the live file ends before it */
	assert_non_null(why_wrong(x, &d));
	d.page_count = 1000;
	d.page_size = 512;             /* no page can be equal */
	assert_non_null(why_wrong(x, &d));
	struct trib_delta skipped = {.fd = -1}; /* the live file was not read */
	assert_null(why_wrong(x, &skipped));
	flip(x, "baseline", 2 * 4096);
	assert_null(why_wrong(x, &d));
	flip(x, "baseline.sums", 20); /* of another commit */
	const char *why = NULL;
	OK(trib_baseline_shape(&x->s, &why, err));
	assert_non_null(why);
	flip(x, "baseline.sums", 20);
	OK(trib_baseline_shape(&x->s, &why, err));
	assert_null(why);
}

int main(void)
{
	struct trib_err err;
	if (trib_repo_lib_init(&err))
		return 1;
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(a_kill_leaves_the_old_or_the_new_state), T(recovery_may_be_killed_too), T(a_ref_that_something_else_moved_is_told),
		T(a_damaged_pending_is_not_applied), T(a_report_commits_no_pages), T(a_lost_baseline_without_a_history_is_told),
		T(every_page_has_its_sum),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
