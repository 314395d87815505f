/* test_page_list.c: what frames of the -wal list is all that changed, or the list is not used; a look at every page is the oracle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>

#include "agent/outbox.h"
#include "agent/record.h"
#include "tests/lib/edits.h"

static int setup(void **state)
{
	struct scratch *x = calloc(1, sizeof(*x));
	scratch_make(x);
	OK(trib_state_keys(&x->s, err));
	x->app = sql_open(x->db);
	sql_run(x->app, "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(id INTEGER PRIMARY KEY, v);"
			"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 2000) INSERT INTO t SELECT i, 'row ' || i FROM c");
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	scratch_free(*state);
	free(*state);
	return 0;
}

/* Captures with what is known, then with both engines and every page read: all must say the same. Commits, notes, returns how the first one read. */
static const char *capture(struct scratch *x, bool commit)
{
	struct trib_last_capture room;
	struct trib_capture quick = {.delta.fd = -1}, all = {.delta.fd = -1};
	struct trib_committed done;
	OK(trib_capture_run_known(&x->s, &trib_engine_page, trib_record_known(&x->s, &room), &quick, err));
	const char *way = quick.snapshot;
	trib_delta_release(&quick.delta); /* both would keep their pages in one file */
	OK(trib_capture_run(&x->s, &trib_engine_full, &all, err));
	if (strcmp(way, "skipped") == 0)
		assert_false(all.changed);
	else
		same_capture(&all, &quick);
	trib_capture_release(&quick);
	trib_capture_release(&all);
	OK(trib_capture_run_known(&x->s, &trib_engine_page, trib_record_known(&x->s, &room), &quick, err));
	if (commit) {
		if (quick.changed)
			OK(trib_outbox_commit(&x->s, &quick, NULL, &done, err));
		OK(trib_record_capture(&x->s, &quick, quick.changed ? "committed" : "unchanged", err));
	}
	trib_capture_release(&quick);
	return way;
}

static const char *after(struct scratch *x, const char *sql)
{
	if (sql)
		sql_run(x->app, sql);
	return capture(x, true);
}

static void the_list_is_used_while_the_wal_goes_on(void **state)
{
	struct scratch *x = *state;
	assert_string_equal(after(x, NULL), "wal-raw");
	assert_string_equal(after(x, NULL), "skipped");
	assert_string_equal(after(x, "UPDATE t SET v = 'x' WHERE id = 7"), "wal-list");
	assert_string_equal(after(x, "INSERT INTO t SELECT id + 5000, v FROM t"), "wal-list"); /* the file grows */
	assert_string_equal(after(x, "PRAGMA wal_checkpoint(PASSIVE); UPDATE t SET v = 'y' WHERE id = 8"), "wal-raw"); /* all was copied: the -wal began anew */
	assert_string_equal(after(x, "UPDATE t SET v = 'z' WHERE id = 9"), "wal-list");
	assert_string_equal(after(x, "PRAGMA wal_checkpoint(TRUNCATE); UPDATE t SET v = 'z' WHERE id = 10"), "wal-raw");
	assert_string_equal(after(x, "CREATE TABLE u(a, b); INSERT INTO u VALUES(1, 2); ALTER TABLE t ADD COLUMN w"), "wal-list");
	assert_string_equal(after(x, "DELETE FROM t WHERE id > 100; VACUUM"), "wal-list"); /* the file shrinks */
	assert_string_equal(after(x, "PRAGMA journal_mode=DELETE; UPDATE t SET v = 'q' WHERE id = 1"), "optimistic");
	assert_string_equal(after(x, "PRAGMA journal_mode=WAL; UPDATE t SET v = 'r' WHERE id = 1"), "wal-raw");
}

static void a_checkpoint_beside_a_reader_keeps_the_list(void **state)
{
	struct scratch *x = *state;
	(void)after(x, NULL);
	sqlite3 *reader = sql_open(x->db);
	sql_run(reader, "BEGIN; SELECT count(*) FROM t");
	assert_string_equal(after(x, "UPDATE t SET v = 'x' WHERE id = 7"), "wal-list");
	/* What the reader sees is copied into the file, the rest stays: the -wal goes on. */
	assert_string_equal(after(x, "PRAGMA wal_checkpoint(PASSIVE); UPDATE t SET v = 'y' WHERE id = 8"), "wal-list");
	sqlite3_close(reader);
}

/* Pages that changed without a changed row are not in the baseline: the next list must begin before them. */
static void pages_without_rows_stay_on_the_list(void **state)
{
	struct scratch *x = *state;
	(void)after(x, NULL);
	assert_string_equal(after(x, "INSERT INTO t SELECT id + 5000, v FROM t"), "wal-list");
	assert_string_equal(after(x, "CREATE TABLE tmp AS SELECT * FROM t; DROP TABLE tmp; INSERT INTO t SELECT id + 20000, v FROM t; DELETE FROM t WHERE id > 20000"), "wal-list");
	assert_string_equal(after(x, NULL), "skipped");
	assert_string_equal(after(x, "INSERT INTO t SELECT id + 20000, 'new ' || v FROM t WHERE id < 500"), "wal-list");
	assert_string_equal(after(x, "UPDATE t SET v = 'y' WHERE id = 8"), "wal-list");
}

static void a_file_that_a_stranger_wrote_is_read_whole(void **state)
{
	struct scratch *x = *state;
	(void)after(x, NULL);
	assert_string_equal(after(x, "UPDATE t SET v = 'x' WHERE id = 7"), "wal-list");
	int fd = open(x->db, O_WRONLY | O_CLOEXEC); /* times alone */
	assert_true(fd >= 0);
	assert_int_equal(futimens(fd, NULL), 0);
	assert_int_equal(close(fd), 0);
	sqlite3_close(x->app); /* close() took its locks away */
	x->app = sql_open(x->db);
	sql_run(x->app, "PRAGMA wal_autocheckpoint=0");
	assert_string_not_equal(after(x, "UPDATE t SET v = 'y' WHERE id = 8"), "wal-list");
}

/* As a loss of power would leave it: the last frames never reached the disk, and others take their places under the same salts. */
static void a_wal_that_lost_its_end_is_read_whole(void **state)
{
	struct scratch *x = *state;
	char wal[128], shm[128];
	struct stat st;
	sql_run(x->app, "PRAGMA wal_checkpoint(TRUNCATE); UPDATE t SET v = 'a' WHERE id = 1");
	(void)after(x, NULL);
	(void)snprintf(wal, sizeof(wal), "%s-wal", x->db);
	assert_int_equal(stat(wal, &st), 0);
	off_t whole = st.st_size;
	assert_string_equal(after(x, "UPDATE t SET v = 'b' WHERE id = 1999"), "wal-list"); /* these frames get lost */
	assert_int_equal(sqlite3_db_config(x->app, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL), 0); /* the file itself stays untouched */
	sqlite3_close(x->app);
	(void)snprintf(shm, sizeof(shm), "%s-shm", x->db);
	(void)unlink(shm);
	assert_int_equal(truncate(wal, whole), 0);
	x->app = sql_open(x->db);
	sql_run(x->app, "PRAGMA wal_autocheckpoint=0; UPDATE t SET v = 'c' WHERE id = 900; UPDATE t SET v = 'd' WHERE id = 100; UPDATE t SET v = 'e' WHERE id = 1200");
	struct trib_last_capture room;
	const struct trib_known *k = trib_record_known(&x->s, &room);
	assert_non_null(k);
	assert_true(k->listed.set && k->listed.frames > 0);
	assert_string_equal(after(x, NULL), "wal-raw"); /* the oracle inside agrees that 1999 went back */
}

/* ---- random ---- */

static void one_history(uint64_t seed, unsigned *lists, unsigned *reads)
{
	struct scratch x;
	rng_state = seed * 0x9e3779b97f4a7c15u + 1;
	scratch_make(&x);
	OK(trib_state_keys(&x.s, err));
	open_app(&x, true);
	if (rnd(2))
		sql_run(x.app, rnd(2) ? "PRAGMA wal_autocheckpoint=0" : "PRAGMA wal_autocheckpoint=40");
	for (int i = 0; i < 8; i++)
		edit(x.app);
	for (int i = 0; i < 12; i++) {
		for (uint32_t k = rnd(4); k > 0; k--)
			edit(x.app);
		if (rnd(8) == 0)
			try_sql(x.app, rnd(2) ? "PRAGMA wal_checkpoint(PASSIVE)" : "PRAGMA wal_checkpoint(RESTART)");
		const char *way = capture(&x, rnd(6) > 0);
		*lists += strcmp(way, "wal-list") == 0;
		*reads += strcmp(way, "skipped") != 0;
	}
	scratch_free(&x);
}

static void random_histories_miss_nothing(void **state)
{
	uint64_t first = number("SEED", 1), n = number("HISTORIES", 6);
	unsigned lists = 0, reads = 0;
	(void)state;
	for (uint64_t i = 0; i < n; i++)
		one_history(first + i, &lists, &reads);
	print_message("# %u of %u reads by the list\n", lists, reads);
	assert_true(lists > 0);
}

int main(void)
{
	struct trib_err err;
	if (trib_repo_lib_init(&err))
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_list_is_used_while_the_wal_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(a_checkpoint_beside_a_reader_keeps_the_list, setup, teardown),
		cmocka_unit_test_setup_teardown(pages_without_rows_stay_on_the_list, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_a_stranger_wrote_is_read_whole, setup, teardown),
		cmocka_unit_test_setup_teardown(a_wal_that_lost_its_end_is_read_whole, setup, teardown),
		cmocka_unit_test(random_histories_miss_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
