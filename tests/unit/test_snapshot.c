/* test_snapshot.c: the live database is read exactly and left exactly as it was (D4.1). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include "agent/capture/raw.h"
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
	assert_true(ms >= 290 && ms < 20000);
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

/* ---- ways that are not granted ---- */

/* The system's VFS, on a file system that maps shared memory once: SQLite itself keeps what it was given, a second asker gets nothing. */
static struct {
	sqlite3_vfs *unix_vfs;
	int (*open)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);
	int (*shm_map)(sqlite3_file *, int, int, int, void volatile **);
	sqlite3_io_methods methods;
	int asked, refused;
} shy;

static int shy_shm_map(sqlite3_file *f, int region, int size, int extend, void volatile **ret)
{
	if (region == 0 && shy.asked++ > 0) {
		shy.refused++;
		return SQLITE_IOERR_SHMMAP;
	}
	return shy.shm_map(f, region, size, extend, ret);
}

static int shy_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags, int *ret_flags)
{
	int rc = shy.open(v, name, f, flags, ret_flags);
	if (rc || !(flags & SQLITE_OPEN_MAIN_DB))
		return rc;
	shy.methods = *f->pMethods;
	shy.shm_map = shy.methods.xShmMap;
	shy.methods.xShmMap = shy_shm_map;
	shy.asked = 0;
	f->pMethods = &shy.methods;
	return SQLITE_OK;
}

/* The whole new state, page for page. */
static void whole(struct scratch *x, struct trib_delta *d, struct trib_buf *ret)
{
	sqlite3 *db = NULL;
	sqlite3_int64 n = 0;
	OK(trib_delta_open_new(&x->s, d, &db, err));
	uint8_t *p = sqlite3_serialize(db, "main", &n, 0);
	assert_non_null(p);
	trib_buf_reset(ret);
	trib_buf_put(ret, p, (size_t)n);
	OK(trib_buf_check(ret, "a file", err));
	sqlite3_free(p);
	sqlite3_close(db);
}

static int shy_snapshot(struct scratch *x, enum trib_way way, struct trib_delta *d, struct trib_err *ret_why)
{
	const struct trib_snapshot_opts opts = {.way = way};
	uint64_t pages;
	shy.unix_vfs = sqlite3_vfs_find("unix");
	assert_non_null(shy.unix_vfs);
	shy.open = shy.unix_vfs->xOpen;
	shy.refused = 0;
	shy.unix_vfs->xOpen = shy_open;
	int rc = trib_snapshot_by(&x->s, &opts, d, &pages, ret_why);
	shy.unix_vfs->xOpen = shy.open;
	return rc;
}

static void a_way_that_is_not_granted_is_replaced_by_the_backup(void **state)
{
	struct scratch *x = *state;
	struct trib_delta raw = {.fd = -1}, copy = {.fd = -1};
	struct trib_buf a = TRIB_BUF(8 * TRIB_MIB), b = TRIB_BUF(8 * TRIB_MIB);
	struct trib_err why = {0};
	uint64_t pages;
	pid_t pid = program(x, "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=40;" MAKE "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL"
			    " SELECT i+1 FROM n WHERE i<300) SELECT randomblob(900) FROM n; UPDATE t SET v='c' WHERE rowid%50=0", STAY);
	OK(trib_snapshot(&x->s, &raw, &pages, err));
	assert_string_equal(raw.way, "wal-raw");
	whole(x, &raw, &a);
	trib_delta_release(&raw);
	OK(shy_snapshot(x, TRIB_WAY_AUTO, &copy, err));
	assert_true(shy.refused > 0);
	assert_string_equal(copy.way, "backup");
	assert_false(copy.mark.set); /* frames that are not known cannot be told from later ones */
	whole(x, &copy, &b);
	trib_delta_release(&copy);
	assert_true(a.len == b.len && a.len > 60 * 4096 && a.len % 4096 == 0);
	for (size_t i = 0; i < a.len / 4096; i++)
		assert_true(trib_same_page((uint32_t)i + 1, a.p + i * 4096, b.p + i * 4096, 4096));
	/* A caller's own choice is not replaced. */
	assert_int_equal(shy_snapshot(x, TRIB_WAY_WAL, &copy, &why), -1);
	assert_int_equal(why.code, TRIB_E_USAGE);
	assert_non_null(strstr(why.msg, "it cannot be read by the way wal-raw"));
	stop(pid);
	trib_buf_release(&a);
	trib_buf_release(&b);
}

/* What statfs says of every path in this program, when set. */
static uint32_t fs_type;
static bool fs_untold;
int statfs(const char *path, struct statfs *ret)
{
	if (fs_untold)
		return -1;
	int rc = (int)syscall(SYS_statfs, path, ret);
	if (!rc && fs_type)
		ret->f_type = (__fsword_t)fs_type;
	return rc;
}

static void times_of_far_file_systems_prove_nothing(void **state)
{
	struct scratch *x = *state;
	static const struct { uint32_t type; bool near; } types[] = {
		{0xef53, true} /* ext4 */, {0x58465342, true} /* XFS */, {0x9123683e, true} /* Btrfs */, {0x01021994, true} /* tmpfs */,
		{0x6969, false} /* NFS */, {0x517b, false} /* SMB */, {0xff534d42, false} /* CIFS */, {0xfe534d42, false} /* SMB2 */,
		{0x65735546, false} /* FUSE */, {0x01021997, false} /* 9P */, {0x00c36400, false} /* Ceph */, {0x5346414f, false} /* AFS */,
	};
	program(x, MAKE, CLOSE);
	for (size_t i = 0; i <= TRIB_COUNT(types); i++) {
		struct trib_delta d = {.fd = -1};
		uint64_t pages;
		fs_untold = i == TRIB_COUNT(types);
		fs_type = fs_untold ? 0 : types[i].type;
		if (!fs_untold)
			assert_int_equal(trib_fs_type_is_near(fs_type), types[i].near);
		OK(trib_snapshot(&x->s, &d, &pages, err));
		assert_string_equal(d.way, !fs_untold && types[i].near ? "optimistic" : "locked");
		trib_delta_release(&d);
	}
	fs_untold = false;
	fs_type = 0;
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
		T(a_way_that_is_not_granted_is_replaced_by_the_backup), T(times_of_far_file_systems_prove_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
