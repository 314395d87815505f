/* test_snapshot.c: the live database is read exactly and left exactly as it was (D4.1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "agent/capture/source.h"
#include "core/base/clock.h"
#include "tests/lib/scratch.h"

/* Name, time and content hash of every file beside the database; the state folder apart. */
static void witness(const struct scratch *x, bool shm_too, struct trib_buf *b)
{
	struct dirent **list = NULL;
	int n = scandir(x->dir, &list, NULL, alphasort);
	trib_buf_reset(b);
	assert_true(n >= 0);
	for (int i = 0; i < n; i++) {
		char path[512];
		struct stat st;
		TRIB_AUTO(trib_buf) struct trib_buf bytes = TRIB_BUF(64 * TRIB_MIB);
		uint8_t sum[TRIB_SHA256_LEN];
		(void)snprintf(path, sizeof(path), "%s/%s", x->dir, list[i]->d_name);
		assert_int_equal(lstat(path, &st), 0);
		size_t len = strlen(path);
		bool shm = len > 4 && strcmp(path + len - 4, "-shm") == 0;
		if (S_ISREG(st.st_mode)) {
			OK(trib_fs_read(path, &bytes, err));
			trib_sha256(sum, trib_buf_span(&bytes));
			trib_buf_printf(b, "%s %o", list[i]->d_name, st.st_mode);
			if (shm_too || !shm)
				trib_buf_printf(b, " %lld.%09ld ", (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
			if (shm_too || !shm)
				trib_buf_hex(b, sum, 8);
			trib_buf_putc(b, '\n');
		}
		free(list[i]);
	}
	free(list);
}

static int setup(void **state)
{
	struct scratch *x = calloc(1, sizeof(*x));
	scratch_make(x);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	scratch_free(*state);
	free(*state);
	return 0;
}

/* Runs sql in a process of its own, which then dies as told: POSIX locks and killed programs are between processes. */
enum end { CLOSE, KILL, STAY };
static pid_t program(const struct scratch *x, const char *sql, enum end end)
{
	int ready[2];
	char c;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		sqlite3 *db = NULL;
		if (sqlite3_open(x->db, &db) || sqlite3_exec(db, sql, NULL, NULL, NULL))
			_exit(1);
		if (end == CLOSE)
			_exit(sqlite3_close(db) != SQLITE_OK);
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		if (end == KILL)
			kill(getpid(), SIGKILL);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (end != CLOSE)
		assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	int status;
	if (end != STAY)
		assert_int_equal(waitpid(pid, &status, 0), pid);
	if (end == CLOSE)
		assert_int_equal(status, 0);
	return pid;
}

static void stop(pid_t pid)
{
	int status;
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

/* Captures; checks that nothing beside the state folder changed, and returns SELECT group_concat(v) of the new state. */
static char *read_untouched(struct scratch *x, bool shm_too)
{
	struct trib_buf before = TRIB_BUF(TRIB_MIB), after = TRIB_BUF(TRIB_MIB);
	struct trib_delta d = {.fd = -1};
	uint64_t pages = 0;
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	witness(x, shm_too, &before);
	OK(trib_snapshot(&x->s, &d, &pages, err));
	witness(x, shm_too, &after);
	assert_string_equal(trib_buf_str(&before), trib_buf_str(&after));
	assert_int_equal(pages, d.page_count);
	OK(trib_delta_open_new(&x->s, &d, &db, err));
	assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(st, 0), "ok");
	sqlite3_finalize(st);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT group_concat(v) FROM (SELECT v FROM t ORDER BY rowid)", -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	char *got = strdup((const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
	sqlite3_close(db);
	trib_delta_release(&d);
	trib_buf_release(&before);
	trib_buf_release(&after);
	return got;
}

static void reads(struct scratch *x, bool shm_too, const char *want)
{
	TRIB_AUTO(trib_mem) char *got = read_untouched(x, shm_too);
	assert_string_equal(got, want);
}

/* The code and the words of a refusal, which changes nothing either. */
static void refused(struct scratch *x, enum trib_code code, const char *word)
{
	struct trib_buf before = TRIB_BUF(TRIB_MIB), after = TRIB_BUF(TRIB_MIB);
	struct trib_delta d = {.fd = -1};
	struct trib_err err = {0};
	uint64_t pages;
	char tmp[128];
	witness(x, true, &before);
	assert_int_equal(trib_snapshot(&x->s, &d, &pages, &err), -1);
	witness(x, true, &after);
	if (err.code != code || !strstr(err.msg, word))
		fail_msg("%s: %s", trib_code_name(err.code), err.msg);
	assert_string_equal(trib_buf_str(&before), trib_buf_str(&after));
	(void)snprintf(tmp, sizeof(tmp), "%s/pending.tmp", x->state);
	assert_false(trib_fs_exists(tmp));
	trib_buf_release(&before);
	trib_buf_release(&after);
}

#define MAKE "CREATE TABLE t(v); INSERT INTO t VALUES('a'),('b');"

static void a_closed_rollback_file(void **state)
{
	program(*state, MAKE, CLOSE);
	reads(*state, true, "a,b");
}

static void a_closed_wal_file_gets_no_side_files(void **state)
{
	program(*state, "PRAGMA journal_mode=WAL;" MAKE, CLOSE);
	reads(*state, true, "a,b");
}

static void a_wal_with_a_live_writer(void **state)
{
	pid_t pid = program(*state, "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;" MAKE, STAY);
	reads(*state, false, "a,b");
	stop(pid);
	reads(*state, false, "a,b"); /* left hot: -wal and -shm are still there */
}

static void a_wal_with_an_open_transaction(void **state)
{
	pid_t pid = program(*state, "PRAGMA journal_mode=WAL;" MAKE "BEGIN IMMEDIATE; INSERT INTO t VALUES('not yet')", STAY);
	reads(*state, false, "a,b");
	stop(pid);
}

static void a_wal_without_shm_is_refused(void **state)
{
	struct scratch *x = *state;
	char shm[128];
	program(x, "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;" MAKE, KILL);
	(void)snprintf(shm, sizeof(shm), "%s-shm", x->db);
	assert_int_equal(unlink(shm), 0);
	refused(x, TRIB_E_LOCKED, "open and close the program once");
}

static void a_writer_with_a_reserved_lock_does_not_matter(void **state)
{
	pid_t pid = program(*state, MAKE "BEGIN IMMEDIATE; INSERT INTO t VALUES('not yet')", STAY);
	reads(*state, true, "a,b");
	stop(pid);
}

static void an_exclusive_lock_is_waited_for_and_told(void **state)
{
	struct scratch *x = *state;
	pid_t pid = program(x, MAKE "BEGIN EXCLUSIVE", STAY);
	struct trib_source src;
	struct trib_err err;
	int64_t start = trib_mono_ms();
	assert_int_equal(trib_source_open(x->db, 300, &src, &err), -1);
	int64_t ms = trib_mono_ms() - start;
	assert_int_equal(err.code, TRIB_E_LOCKED);
	assert_non_null(strstr(err.msg, "a program holds it locked"));
	assert_true(ms >= 290 && ms < 3000);
	stop(pid);
	reads(x, true, "a,b");
}

static void a_hot_journal_is_not_ours_to_roll_back(void **state)
{
	struct scratch *x = *state;
	/* A tiny cache makes the transaction spill into the database file before it is killed. */
	program(x, "PRAGMA cache_size=1; CREATE TABLE t(v); CREATE TABLE u(v); BEGIN;"
		"INSERT INTO t VALUES('a'); INSERT INTO u WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<500) SELECT randomblob(900) FROM n",
		KILL);
	refused(x, TRIB_E_LOCKED, "open and close the program once");
}

static void not_there_and_not_a_database(void **state)
{
	struct scratch *x = *state;
	refused(x, TRIB_E_NOT_FOUND, x->db);
	OK(trib_fs_write(x->db, trib_span_str("this is a text file and longer than one hundred bytes, so that it could hold the header of a database, "
					      "and then some"), 0644, err));
	refused(x, TRIB_E_SCHEMA, "not a SQLite database");
	assert_int_equal(truncate(x->db, 40), 0);
	refused(x, TRIB_E_SCHEMA, "shorter");
	assert_int_equal(unlink(x->db), 0);
	assert_int_equal(mkdir(x->db, 0700), 0);
	refused(x, TRIB_E_SCHEMA, "not a file");
}

static void files_cut_short_are_refused(void **state)
{
	struct scratch *x = *state;
	struct stat st;
	program(x, MAKE "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<50) SELECT randomblob(900) FROM n", CLOSE);
	assert_int_equal(stat(x->db, &st), 0);
	assert_int_equal(truncate(x->db, st.st_size - 100), 0);
	refused(x, TRIB_E_SCHEMA, "cut short");
	assert_int_equal(truncate(x->db, st.st_size - 4096), 0);
	refused(x, TRIB_E_SCHEMA, "cut short");
}

static void an_empty_file_is_an_empty_database(void **state)
{
	struct scratch *x = *state;
	struct trib_capture c = {.delta.fd = -1};
	OK(trib_fs_write(x->db, trib_span_str(""), 0644, err));
	OK(trib_capture_run(&x->s, &trib_engine_full, &c, err));
	assert_true(c.changed);
	assert_int_equal(c.new_schema.ntables, 0);
	assert_int_equal(c.nparts, 1);
	trib_capture_release(&c);
}

static void odd_names_and_links(void **state)
{
	struct scratch *x = *state;
	char odd[128];
	(void)snprintf(odd, sizeof(odd), "%s/a?b#c%%20 \xe6\xb4\x97.db", x->dir);
	program(x, "PRAGMA journal_mode=WAL;" MAKE, CLOSE);
	assert_int_equal(rename(x->db, odd), 0);
	assert_int_equal(symlink(odd, x->db), 0);
	reads(x, true, "a,b");
}

static void commit(struct scratch *x)
{
	struct trib_capture c = {.delta.fd = -1};
	(void)scratch_commit(x, &c);
	trib_capture_release(&c);
}

static uint32_t changed_pages(struct scratch *x)
{
	struct trib_delta d = {.fd = -1};
	uint64_t pages;
	OK(trib_snapshot(&x->s, &d, &pages, err));
	uint32_t n = d.nchanged;
	trib_delta_release(&d);
	return n;
}

static void only_differing_pages_are_kept(void **state)
{
	struct scratch *x = *state;
	program(x, MAKE "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<2000) SELECT randomblob(900) FROM n", CLOSE);
	commit(x);
	assert_int_equal(changed_pages(x), 0);
	program(x, "UPDATE t SET v='x' WHERE rowid=1; UPDATE t SET v='a' WHERE rowid=1", CLOSE);
	assert_int_equal(changed_pages(x), 0); /* only the change counter moved */
	program(x, "UPDATE t SET v='A' WHERE rowid=1", CLOSE);
	assert_int_equal(changed_pages(x), 1);
	commit(x);
	assert_int_equal(changed_pages(x), 0);
	program(x, "PRAGMA page_size=1024; VACUUM", CLOSE);
	assert_true(changed_pages(x) > 1700);
	commit(x);
	assert_int_equal(changed_pages(x), 0);
	program(x, "DELETE FROM t WHERE rowid>3; VACUUM", CLOSE);
	commit(x);
	char base[128];
	struct stat a, b;
	(void)snprintf(base, sizeof(base), "%s/baseline", x->state);
	assert_int_equal(stat(base, &a), 0);
	assert_int_equal(stat(x->db, &b), 0);
	assert_int_equal(a.st_size, b.st_size);
	assert_int_equal(a.st_mode & 0777, 0600);
}

static void captures_beside_a_busy_writer_are_consistent(void **state)
{
	struct scratch *x = *state;
	sqlite3_stmt *st = NULL;
	program(x, "CREATE TABLE t(id INTEGER PRIMARY KEY, v INT); INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<500)"
		" SELECT i, 100 FROM n", CLOSE);
	for (int wal = 0; wal < 2; wal++) {
		if (wal)
			program(x, "PRAGMA journal_mode=WAL", CLOSE);
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) { /* moves 1 from one row to another, for ever */
			sqlite3 *db = NULL;
			if (sqlite3_open(x->db, &db))
				_exit(1);
			sqlite3_busy_timeout(db, 5000);
			(void)sqlite3_exec(db, "PRAGMA synchronous=OFF", NULL, NULL, NULL);
			for (;;)
				(void)sqlite3_exec(db, "BEGIN IMMEDIATE; UPDATE t SET v=v-1 WHERE id=1+abs(random())%500;"
						   "UPDATE t SET v=v+1 WHERE id=1+abs(random())%500; COMMIT", NULL, NULL, NULL);
		}
		for (int i = 0; i < 12; i++) {
			struct trib_delta d = {.fd = -1};
			uint64_t pages;
			sqlite3 *db = NULL;
			const struct trib_snapshot_opts opts = {.patience_ms = 20}; /* this program never rests */
			OK(trib_snapshot_by(&x->s, &opts, &d, &pages, err));
			OK(trib_delta_open_new(&x->s, &d, &db, err));
			assert_int_equal(sqlite3_prepare_v2(db, "SELECT sum(v) FROM t", -1, &st, NULL), SQLITE_OK);
			assert_int_equal(sqlite3_step(st), SQLITE_ROW);
			assert_int_equal(sqlite3_column_int(st, 0), 50000);
			sqlite3_finalize(st);
			sqlite3_close(db);
			trib_delta_release(&d);
		}
		stop(pid);
		if (!wal) /* the killed writer may have left a hot journal */
			program(x, "SELECT count(*) FROM t; UPDATE t SET v=v", CLOSE);
	}
}

static void an_unlocked_read_notices_a_writer(void **state)
{
	struct scratch *x = *state;
	struct trib_source src;
	program(x, "PRAGMA journal_mode=WAL;" MAKE, CLOSE);
	OK(trib_source_open(x->db, 300, &src, err));
	assert_true(src.immutable);
	assert_false(trib_source_moved(&src));
	pid_t pid = program(x, "INSERT INTO t VALUES('c')", STAY);
	assert_true(trib_source_moved(&src)); /* -wal appeared */
	stop(pid);
	trib_source_close(&src);
	program(x, "INSERT INTO t VALUES('d')", CLOSE);
	OK(trib_source_open(x->db, 300, &src, err));
	assert_true(src.immutable);
	program(x, "UPDATE t SET v='e' WHERE v='d'", CLOSE);
	assert_true(trib_source_moved(&src)); /* -wal came and went, the time of the file moved */
	trib_source_close(&src);
	reads(x, true, "a,b,c,e");
}

static void inspecting_leaves_no_trace(void **state)
{
	struct scratch *x = *state;
	struct trib_buf before = TRIB_BUF(TRIB_MIB), after = TRIB_BUF(TRIB_MIB);
	TRIB_AUTO(trib_schema) struct trib_schema s = {0};
	program(x, "PRAGMA journal_mode=WAL;" MAKE, CLOSE);
	witness(x, true, &before);
	OK(trib_capture_inspect(x->db, &s, err));
	witness(x, true, &after);
	assert_string_equal(trib_buf_str(&before), trib_buf_str(&after));
	assert_int_equal(s.ntables, 1);
	trib_buf_release(&before);
	trib_buf_release(&after);
}

int main(void)
{
	struct trib_err err;
	if (trib_repo_lib_init(&err))
		return 1;
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(a_closed_rollback_file), T(a_closed_wal_file_gets_no_side_files), T(a_wal_with_a_live_writer),
		T(a_wal_with_an_open_transaction), T(a_wal_without_shm_is_refused), T(a_writer_with_a_reserved_lock_does_not_matter),
		T(an_exclusive_lock_is_waited_for_and_told), T(a_hot_journal_is_not_ours_to_roll_back), T(not_there_and_not_a_database),
		T(files_cut_short_are_refused), T(an_empty_file_is_an_empty_database), T(odd_names_and_links),
		T(only_differing_pages_are_kept), T(captures_beside_a_busy_writer_are_consistent), T(an_unlocked_read_notices_a_writer), T(inspecting_leaves_no_trace),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
