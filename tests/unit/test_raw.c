/* test_raw.c: the raw comparison finds exactly the pages that the backup API finds, sees one state, and notices every writer (D4.1, D4.2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "agent/capture/kept.h"
#include "agent/capture/raw.h"
#include "tests/lib/scratch.h"

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

/* Runs sql in a process of its own; it closes the database, or stays with it open. */
static pid_t program(const struct scratch *x, const char *sql, bool stay)
{
	int ready[2], status = 0;
	char c = 0;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test does not stop it */
		sqlite3 *db = NULL;
		if (sqlite3_open(x->db, &db) || sqlite3_exec(db, sql, NULL, NULL, NULL))
			_exit(1);
		if (!stay)
			_exit(sqlite3_close(db) != SQLITE_OK);
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	if (stay)
		assert_int_equal(read(ready[0], &c, 1), 1);
	close(ready[0]);
	if (!stay) {
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	return pid;
}

static void stop(pid_t pid)
{
	int status;
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void commit(struct scratch *x)
{
	struct trib_capture c = {.delta.fd = -1};
	assert_true(scratch_commit(x, &c));
	trib_capture_release(&c);
}

/* What a snapshot kept, in memory: the next one uses the same pages file. */
struct kept {
	uint32_t page_size, page_count, n;
	uint32_t *pgno;
	uint8_t *pages;
	const char *way;
};

static struct kept take(struct scratch *x, enum trib_way way)
{
	struct trib_delta d = {.fd = -1};
	struct trib_snapshot_opts opts = {.way = way};
	uint64_t pages;
	OK(trib_snapshot_by(&x->s, &opts, &d, &pages, err));
	struct kept k = {.page_size = d.page_size, .page_count = d.page_count, .n = d.nchanged, .way = d.way, .pgno = calloc(d.nchanged + 1, sizeof(*k.pgno)),
			 .pages = calloc(d.nchanged + 1, d.page_size)};
	assert_non_null(k.pgno);
	assert_non_null(k.pages);
	assert_int_equal(pages, d.page_count);
	for (uint32_t i = 0; i < k.n; i++) {
		k.pgno[i] = d.pgno[i];
		OK(trib_kept_read(&d, i, 0, k.page_size, k.pages + (size_t)i * k.page_size, err));
	}
	trib_delta_release(&d);
	return k;
}

static void kept_free(struct kept *k)
{
	free(k->pgno);
	free(k->pages);
}

static void same_kept(const struct kept *a, const struct kept *b)
{
	assert_int_equal(a->page_size, b->page_size);
	assert_int_equal(a->page_count, b->page_count);
	assert_int_equal(a->n, b->n);
	for (uint32_t i = 0; i < a->n; i++) {
		size_t at = (size_t)i * a->page_size;
		assert_int_equal(a->pgno[i], b->pgno[i]);
		if (!trib_same_page(a->pgno[i], a->pages + at, b->pages + at, a->page_size))
			fail_msg("page %u: %s and %s differ", a->pgno[i], a->way, b->way);
	}
}

#define FILL(n, size) "INSERT INTO t(v) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<" #n ") SELECT randomblob(" #size ") FROM n;"

/* One night, kept in the -wal by a program that is still there, then the same night in a closed rollback file: five readings, one page set. */
static void one_page_set(struct scratch *x, const char *make, const char *night)
{
	static const enum trib_way wal[] = {TRIB_WAY_AUTO, TRIB_WAY_WAL, TRIB_WAY_BACKUP};
	static const enum trib_way plain[] = {TRIB_WAY_AUTO, TRIB_WAY_OPTIMISTIC, TRIB_WAY_LOCKED, TRIB_WAY_BACKUP};
	char sql[1024];
	program(x, make, false);
	commit(x);
	(void)snprintf(sql, sizeof(sql), "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; %s", night);
	pid_t pid = program(x, sql, true);
	struct kept first = take(x, TRIB_WAY_WAL);
	assert_true(first.n > 1);
	for (size_t i = 0; i < TRIB_COUNT(wal); i++) {
		struct kept k = take(x, wal[i]);
		same_kept(&first, &k);
		assert_string_equal(k.way, wal[i] == TRIB_WAY_BACKUP ? "backup" : "wal-raw");
		kept_free(&k);
	}
	stop(pid);
	program(x, "PRAGMA wal_checkpoint(TRUNCATE)", false);
	struct kept closed = take(x, TRIB_WAY_AUTO); /* WAL format without -wal */
	assert_string_equal(closed.way, "optimistic");
	same_kept(&first, &closed);
	program(x, "PRAGMA journal_mode=DELETE", false);
	for (size_t i = 0; i < TRIB_COUNT(plain); i++) {
		static const char *const words[] = {"optimistic", "optimistic", "locked", "backup"};
		struct kept k = take(x, plain[i]);
		same_kept(&first, &k);
		assert_string_equal(k.way, words[i]);
		kept_free(&k);
	}
	kept_free(&closed);
	kept_free(&first);
}

static void small_pages_and_a_growing_file(void **state)
{
	one_page_set(*state, "PRAGMA page_size=512; CREATE TABLE t(id INTEGER PRIMARY KEY, v);" FILL(300, 400),
		     "UPDATE t SET v='new' WHERE id%7=0;" FILL(200, 900));
}

static void a_file_for_two_threads(void **state)
{
	one_page_set(*state, "CREATE TABLE t(id INTEGER PRIMARY KEY, v);" FILL(9000, 900), "UPDATE t SET v=randomblob(900) WHERE id%50=0;" FILL(2000, 900));
}

static void huge_pages_and_a_shrinking_file(void **state)
{
	one_page_set(*state, "PRAGMA page_size=65536; PRAGMA auto_vacuum=FULL; CREATE TABLE t(id INTEGER PRIMARY KEY, v);" FILL(9000, 900),
		     "DELETE FROM t WHERE id>2000; UPDATE t SET v='x' WHERE id=5; UPDATE t SET v='y' WHERE id=900");
}

static void no_page_counts_as_equal_after_a_change_of_page_size(void **state)
{
	struct scratch *x = *state;
	program(x, "CREATE TABLE t(id INTEGER PRIMARY KEY, v);" FILL(3000, 900), false);
	commit(x);
	program(x, "PRAGMA page_size=1024; VACUUM", false);
	struct kept a = take(x, TRIB_WAY_OPTIMISTIC), b = take(x, TRIB_WAY_BACKUP);
	assert_int_equal(a.n, a.page_count);
	same_kept(&a, &b);
	kept_free(&a);
	kept_free(&b);
}

static void ways_that_do_not_fit_are_refused(void **state)
{
	struct scratch *x = *state;
	struct trib_snapshot_opts wal = {.way = TRIB_WAY_WAL}, locked = {.way = TRIB_WAY_LOCKED};
	struct trib_delta d = {.fd = -1};
	struct trib_err err;
	uint64_t pages;
	program(x, "CREATE TABLE t(v)", false);
	assert_int_equal(trib_snapshot_by(&x->s, &wal, &d, &pages, &err), -1);
	assert_int_equal(err.code, TRIB_E_USAGE);
	pid_t pid = program(x, "PRAGMA journal_mode=WAL; INSERT INTO t VALUES(1)", true);
	assert_int_equal(trib_snapshot_by(&x->s, &locked, &d, &pages, &err), -1);
	assert_int_equal(err.code, TRIB_E_USAGE);
	stop(pid);
}

/* ---- one state ---- */

static struct trib_source opened(struct scratch *x)
{
	struct trib_source src = TRIB_SOURCE_INIT;
	OK(trib_source_open(x->db, 2000, &src, err));
	return src;
}

static struct trib_delta pages_file(struct scratch *x)
{
	struct trib_delta d = {.fd = -1, .path = trib_state_path(&x->s, "pending.tmp")};
	assert_non_null(d.path);
	d.fd = open(d.path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(d.fd >= 0);
	return d;
}

static void holds(struct scratch *x, const struct trib_delta *d, const char *want)
{
	sqlite3 *db = NULL;
	sqlite3_stmt *st = NULL;
	OK(trib_delta_open_new(&x->s, d, &db, err));
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT group_concat(v) FROM t", -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(st, 0), want);
	sqlite3_finalize(st);
	sqlite3_close(db);
}

/* Reads after a program wrote `sql`, from a transaction pinned before. */
static void pinned_state(struct scratch *x, const char *make, const char *sql, const char *want)
{
	TRIB_AUTO(trib_base) struct trib_base base = {.fd = -1};
	struct trib_walhdr h;
	enum trib_raw_end end;
	pid_t pid = program(x, make, true);
	struct trib_source src = opened(x);
	assert_true(src.wal);
	OK(trib_raw_wal_pin(&src, &h, &end, err));
	assert_int_equal(end, TRIB_RAW_DONE);
	assert_true(h.frames > 0);
	pid_t other = program(x, sql, true);
	struct trib_delta d = pages_file(x);
	OK(trib_raw_wal(&src, &h, &base, &d, &end, err));
	assert_int_equal(end, TRIB_RAW_DONE);
	holds(x, &d, want);
	trib_delta_release(&d);
	trib_source_close(&src);
	stop(pid);
	stop(other);
}

static void later_frames_do_not_count(void **state)
{
	pinned_state(*state, "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(v); INSERT INTO t VALUES('a'),('b')",
		     "INSERT INTO t VALUES('later'); UPDATE t SET v='z' WHERE v='a'; PRAGMA wal_checkpoint(PASSIVE)", "a,b");
}

/* Everything is in the file, so the reader is on mark 0 and a writer may begin the -wal anew: our frame numbers then mean other pages. */
static void a_wal_begun_anew_under_the_reader(void **state)
{
	pinned_state(*state, "PRAGMA journal_mode=WAL; CREATE TABLE t(v); INSERT INTO t VALUES('a'),('b'); PRAGMA wal_checkpoint(PASSIVE)",
		     "INSERT INTO t VALUES('later'); CREATE TABLE u(v); UPDATE t SET v='z' WHERE v='a'", "a,b");
}

/* ---- the second look ---- */

/* Every page of the live file is the one kept, or the baseline's; and the pages file has one slot for each page kept. */
static void is_the_file(struct scratch *x, const struct trib_base *base, struct trib_delta *d)
{
	TRIB_AUTO(trib_buf) struct trib_buf file = TRIB_BUF(64 * TRIB_MIB);
	uint8_t page[65536], head[4];
	uint32_t k = 0, slots = 0;
	OK(trib_fs_read(x->db, &file, err));
	assert_int_equal(file.len, (size_t)d->page_size * d->page_count);
	for (uint32_t pgno = 1; pgno <= d->page_count; pgno++) {
		bool kept = k < d->nchanged && d->pgno[k] == pgno;
		assert_true(kept || pgno <= base->page_count);
		OK(kept ? trib_kept_read(d, k, 0, d->page_size, page, err) :
			  trib_fs_pread_all(base->fd, page, d->page_size, (off_t)((uint64_t)(pgno - 1) * d->page_size), err));
		k += kept;
		assert_true(trib_same_page(pgno, page, file.p + (size_t)(pgno - 1) * d->page_size, d->page_size));
	}
	assert_int_equal(k, d->nchanged);
	OK(trib_kept_flush(d, err));
	off_t end = lseek(d->fd, 0, SEEK_END), step = (off_t)(TRIB_SLOT_HEAD + d->page_size);
	for (off_t at = TRIB_PENDING_HEAD; at < end; at += step) {
		OK(trib_fs_pread_all(d->fd, head, sizeof(head), at, err));
		slots += trib_be32(head) != 0;
	}
	assert_int_equal(slots, d->nchanged);
}

struct interrupted {
	struct scratch *x;
	struct trib_source *src;
	const char *sql;
};

/* A program writes between the two looks. */
static int write_then_look(void *ctx, struct trib_raw *ret_from, enum trib_raw_end *ret, struct trib_err *ret_err)
{
	struct interrupted *i = ctx;
	uint8_t head[100];
	(void)ret;
	program(i->x, i->sql, false);
	if (trib_source_resume(i->src, ret_err))
		return -1;
	*ret_from = (struct trib_raw){.file = trib_source_file(i->src)};
	assert_int_equal(ret_from->file->pMethods->xRead(ret_from->file, head, sizeof(head), 0), SQLITE_OK);
	ret_from->page_size = trib_be16(head + 16) == 1 ? 65536 : trib_be16(head + 16);
	ret_from->page_count = trib_be32(head + 28);
	return 0;
}

static void look_over(void *ctx)
{
	struct interrupted *i = ctx;
	trib_source_pause(i->src);
}

static enum trib_raw_end two_looks(struct scratch *x, const char *make, const char *night, const char *between)
{
	struct trib_base base = {.fd = -1};
	enum trib_raw_end end;
	program(x, make, false);
	commit(x);
	program(x, night, false);
	OK(trib_base_open(&x->s, &base, err));
	struct trib_source src = opened(x);
	struct interrupted i = {x, &src, between};
	const struct trib_raw_window w = {write_then_look, look_over, &i};
	uint8_t head[100];
	struct trib_raw from = {.file = trib_source_file(&src)};
	assert_int_equal(from.file->pMethods->xRead(from.file, head, sizeof(head), 0), SQLITE_OK);
	from.page_size = trib_be16(head + 16) == 1 ? 65536 : trib_be16(head + 16);
	from.page_count = trib_be32(head + 28);
	trib_source_pause(&src);
	struct trib_delta d = pages_file(x);
	OK(trib_raw_scan(&from, &base, &d, &end, err));
	assert_int_equal(end, TRIB_RAW_DONE);
	assert_true(d.nchanged > 0);
	OK(trib_raw_again(&w, &base, &d, &end, err));
	if (end == TRIB_RAW_DONE)
		is_the_file(x, &base, &d);
	trib_delta_release(&d);
	trib_source_close(&src);
	trib_base_cleanup(&base);
	return end;
}

#define MANY "CREATE TABLE t(id INTEGER PRIMARY KEY, v);" /* then FILL */

static void a_second_look_has_what_came_between(void **state)
{
	assert_int_equal(two_looks(*state, MANY FILL(300, 900), "UPDATE t SET v=zeroblob(900) WHERE id % 3 = 0",
				   "UPDATE t SET v=randomblob(900) WHERE id % 7 = 0; INSERT INTO t(v) SELECT randomblob(900) FROM t LIMIT 90"), TRIB_RAW_DONE);
}

static void a_second_look_at_a_file_for_two_threads(void **state)
{
	assert_int_equal(two_looks(*state, MANY FILL(9000, 900), "UPDATE t SET v=zeroblob(900) WHERE id % 30 = 0",
				   "UPDATE t SET v=randomblob(900) WHERE id % 70 = 0; DELETE FROM t WHERE id BETWEEN 200 AND 300"), TRIB_RAW_DONE);
}

static void a_second_look_takes_back_what_was_taken_back(void **state)
{
	assert_int_equal(two_looks(*state, MANY FILL(300, 900), "UPDATE t SET v=zeroblob(900) WHERE id=7; INSERT INTO t(v) SELECT zeroblob(900) FROM t",
				   "UPDATE t SET v=zeroblob(901) WHERE id=7; DELETE FROM t WHERE id > 20; VACUUM"), TRIB_RAW_DONE);
}

/* More pages than memory keeps: the slots of both looks go on in the file. */
static void a_second_look_at_much(void **state)
{
	assert_int_equal(two_looks(*state, "PRAGMA page_size=65536; CREATE TABLE t(id INTEGER PRIMARY KEY, v);", FILL(600, 60000),
				   "UPDATE t SET v=randomblob(60000) WHERE id % 50 = 0; INSERT INTO t(v) VALUES(randomblob(60000))"), TRIB_RAW_DONE);
}

static void a_second_look_at_other_pages_is_none(void **state)
{
	assert_int_equal(two_looks(*state, MANY FILL(300, 900), "UPDATE t SET v=zeroblob(900) WHERE id=7", "PRAGMA page_size=2048; VACUUM"), TRIB_RAW_MOVED);
}

/* ---- every writer is noticed ---- */

static enum trib_raw_end overtaken_by(struct scratch *x, const char *sql, bool *ret_counter_stands)
{
	TRIB_AUTO(trib_base) struct trib_base base = {.fd = -1};
	struct trib_mark before, after;
	enum trib_raw_end end;
	struct trib_source src = opened(x);
	trib_source_mark(&src, NULL, 0, &before);
	trib_source_leave_tick(before.mtime_s, before.mtime_ns);
	trib_source_pause(&src);
	if (sql)
		program(x, sql, false);
	OK(trib_source_resume(&src, err));
	trib_source_mark(&src, NULL, 0, &after);
	*ret_counter_stands = before.counter == after.counter;
	struct trib_delta d = pages_file(x);
	OK(trib_raw_optimistic(&src, &before, &base, &d, &end, err));
	trib_delta_release(&d);
	trib_source_close(&src);
	return end;
}

static void a_scan_without_lock_notices_writers(void **state)
{
	struct scratch *x = *state;
	bool stands;
	program(x, "CREATE TABLE t(v);" FILL(200, 900), false);
	assert_int_equal(overtaken_by(x, NULL, &stands), TRIB_RAW_DONE);
	assert_int_equal(overtaken_by(x, "INSERT INTO t VALUES(1)", &stands), TRIB_RAW_MOVED);
	assert_false(stands);
	/* Spilled into the file and rolled back: the change counter does not tell. */
	assert_int_equal(overtaken_by(x, "PRAGMA cache_size=1; BEGIN; UPDATE t SET v=randomblob(900); INSERT INTO t SELECT randomblob(900) FROM t; ROLLBACK",
				      &stands), TRIB_RAW_MOVED);
	assert_true(stands);
}

static void a_file_put_in_its_place_is_noticed(void **state)
{
	struct scratch *x = *state;
	struct trib_mark m;
	char other[128];
	program(x, "CREATE TABLE t(v)", false);
	struct trib_source src = opened(x);
	trib_source_mark(&src, NULL, 0, &m);
	assert_true(m.set);
	(void)snprintf(other, sizeof(other), "%s.old", x->db);
	assert_int_equal(rename(x->db, other), 0);
	program(x, "CREATE TABLE t(v)", false);
	trib_source_mark(&src, NULL, 0, &m);
	assert_false(m.set);
	trib_source_close(&src);
}

/* ---- the mark ---- */

static const char *way_with(struct scratch *x, struct trib_mark *m)
{
	struct trib_known known = {.mark = *m};
	struct trib_snapshot_opts opts = {.known = &known};
	struct trib_delta d = {.fd = -1};
	uint64_t pages;
	OK(trib_snapshot_by(&x->s, &opts, &d, &pages, err));
	*m = d.mark;
	const char *way = d.way;
	assert_true(strcmp(way, "skipped") != 0 || (pages == 0 && d.nchanged == 0));
	trib_delta_release(&d);
	return way;
}

static void only_an_untouched_file_is_skipped(void **state)
{
	struct scratch *x = *state;
	struct trib_mark m = {0};
	struct timespec back[2];
	struct stat st;
	char base[128];
	program(x, "CREATE TABLE t(v); INSERT INTO t VALUES('a')", false);
	assert_string_equal(way_with(x, &m), "optimistic"); /* there is no baseline yet */
	assert_string_equal(way_with(x, &m), "optimistic");
	commit(x);
	assert_string_equal(way_with(x, &m), "skipped");
	program(x, "UPDATE t SET v='b'", false);
	assert_string_equal(way_with(x, &m), "optimistic");
	assert_string_equal(way_with(x, &m), "skipped");
	/* Written by something that sets the time of writing back: the time of change cannot be set. */
	assert_int_equal(stat(x->db, &st), 0);
	program(x, "PRAGMA user_version=5", false);
	back[0] = st.st_atim;
	back[1] = st.st_mtim;
	assert_int_equal(utimensat(AT_FDCWD, x->db, back, 0), 0);
	assert_string_equal(way_with(x, &m), "optimistic");
	pid_t pid = program(x, "PRAGMA journal_mode=WAL; INSERT INTO t VALUES('c')", true);
	assert_string_equal(way_with(x, &m), "wal-raw");
	assert_string_equal(way_with(x, &m), "skipped");
	program(x, "INSERT INTO t VALUES('d')", false); /* into the same -wal: only the number of frames tells */
	assert_string_equal(way_with(x, &m), "wal-raw");
	assert_string_equal(way_with(x, &m), "skipped");
	stop(pid);
	(void)snprintf(base, sizeof(base), "%s/baseline", x->state);
	assert_int_equal(unlink(base), 0);
	assert_string_equal(way_with(x, &m), "wal-raw"); /* without a baseline the mark means nothing */
}

static void what_memory_does_not_hold_is_in_the_file(void **state)
{
	struct scratch *x = *state;
	struct trib_delta d = {.fd = -1};
	uint64_t pages;
	program(x, "CREATE TABLE t(id INTEGER PRIMARY KEY, v);" FILL(40000, 900), false);
	struct kept a = take(x, TRIB_WAY_LOCKED), b = take(x, TRIB_WAY_BACKUP);
	same_kept(&a, &b);
	OK(trib_snapshot(&x->s, &d, &pages, err));
	assert_true(d.nmem > 0 && d.nmem < d.nchanged);
	assert_true((size_t)d.nmem * d.page_size <= TRIB_KEPT_MAX);
	OK(trib_kept_flush(&d, err));
	for (uint32_t i = 0; i < d.nchanged; i++) {
		uint8_t slot[TRIB_SLOT_HEAD + 4096];
		OK(trib_fs_pread_all(d.fd, slot, sizeof(slot), (off_t)d.offset[i] - TRIB_SLOT_HEAD, err));
		assert_int_equal(trib_be32(slot), d.pgno[i]);
		assert_memory_equal(slot + TRIB_SLOT_HEAD, a.pages + (size_t)i * a.page_size, a.page_size);
	}
	trib_delta_release(&d);
	kept_free(&a);
	kept_free(&b);
}

static void a_full_disk_is_told_by_either_thread(void **state)
{
	struct scratch *x = *state;
	struct rlimit was, small;
	char tmp[128];
	program(x, "CREATE TABLE t(id INTEGER PRIMARY KEY, v);" FILL(40000, 900), false); /* more than is kept in memory */
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	small = (struct rlimit){.rlim_cur = 1 << 20, .rlim_max = was.rlim_max};
	(void)signal(SIGXFSZ, SIG_IGN);
	struct trib_delta d = {.fd = -1};
	struct trib_err err = {0};
	uint64_t pages;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	int rc = trib_snapshot(&x->s, &d, &pages, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_int_equal(rc, -1);
	assert_non_null(strstr(err.msg, "pending.tmp"));
	(void)snprintf(tmp, sizeof(tmp), "%s/pending.tmp", x->state);
	assert_false(trib_fs_exists(tmp));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
int main(void)
{
	struct trib_err err;
	if (trib_repo_lib_init(&err))
		return 1;
	const struct CMUnitTest tests[] = {
		T(small_pages_and_a_growing_file),
		T(a_file_for_two_threads),
		T(huge_pages_and_a_shrinking_file),
		T(no_page_counts_as_equal_after_a_change_of_page_size),
		T(ways_that_do_not_fit_are_refused),
		T(later_frames_do_not_count),
		T(a_wal_begun_anew_under_the_reader),
		T(a_second_look_has_what_came_between),
		T(a_second_look_at_a_file_for_two_threads),
		T(a_second_look_takes_back_what_was_taken_back),
		T(a_second_look_at_much),
		T(a_second_look_at_other_pages_is_none),
		T(a_scan_without_lock_notices_writers),
		T(a_file_put_in_its_place_is_noticed),
		T(only_an_untouched_file_is_skipped),
		T(what_memory_does_not_hold_is_in_the_file),
		T(a_full_disk_is_told_by_either_thread),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
