/* What a first capture is said to take comes from the database itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/capture/measure.h"
#include "core/store/db.h"
#include "core/base/fs.h"

static int setup(void **state)
{
	char *dir = strdup(access("/dev/shm", W_OK) ? "/tmp/trib-measure-XXXXXX" : "/dev/shm/trib-measure-XXXXXX");
	*state = dir ? mkdtemp(dir) : NULL;
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	struct trib_err err;
	int rc = trib_fs_remove_tree(*state, &err);
	free(*state);
	return rc;
}

static void make(const char *path, const char *sql)
{
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
}

/* Text of blanks compresses far; random bytes do not. */
static void test_says_sizes_of_the_file(void **state)
{
	struct trib_err err;
	struct trib_measure small, large, noise;
	TRIB_AUTO(trib_mem) char *a = trib_path(*state, "a.db"), *b = trib_path(*state, "b.db"), *c = trib_path(*state, "c.db");
	make(a, "PRAGMA page_size=1024; CREATE TABLE t(x); INSERT INTO t VALUES(1)");
	make(b, "CREATE TABLE t(x); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<300) INSERT INTO t SELECT printf('%30000s', i) FROM c");
	make(c, "CREATE TABLE t(x); INSERT INTO t VALUES(randomblob(2000000))");
	assert_int_equal(trib_capture_measure(a, &small, &err), 0);
	assert_int_equal(small.page_size, 1024);
	assert_int_equal(small.bytes, 2048);
	assert_int_equal(small.sampled, 2048);
	assert_int_equal(small.seconds, 1 + small.sample_us * 3 / 1000000); /* whatever the machine did meanwhile */
	assert_int_equal(trib_capture_measure(b, &large, &err), 0);
	assert_true(large.bytes > 9000000 && large.bytes == large.pages * large.page_size);
	assert_true(large.sampled <= TRIB_MEASURE_BYTES && large.sampled > TRIB_MEASURE_BYTES / 2);
	assert_true(large.history_bytes < large.bytes / 20);
	assert_int_equal(trib_capture_measure(c, &noise, &err), 0);
	assert_true(noise.history_bytes > noise.bytes * 9 / 10);
}

static void test_a_database_in_memory_is_measured_as_the_file_that_it_would_be(void **state)
{
	static const char sql[] = "CREATE TABLE t(x); WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<300) INSERT INTO t SELECT printf('%3000s', i) FROM c";
	struct trib_err err;
	struct trib_measure file, memory;
	TRIB_AUTO(trib_mem) char *path = trib_path(*state, "m.db");
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	make(path, sql);
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(trib_capture_measure(path, &file, &err), 0);
	assert_int_equal(trib_measure_memory(db, &memory, &err), 0);
	assert_true(memory.bytes == file.bytes && memory.pages == file.pages && memory.page_size == file.page_size);
	assert_int_equal(memory.sampled, memory.bytes);
	assert_true(memory.history_bytes > 0 && memory.history_bytes < memory.bytes / 20);
	assert_int_equal(memory.seconds, 1 + memory.sample_us * 3 / 1000000);
}

static void test_counts_what_is_still_in_the_wal(void **state)
{
	struct trib_err err;
	struct trib_measure m;
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	TRIB_AUTO(trib_mem) char *path = trib_path(*state, "wal.db");
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(x); INSERT INTO t VALUES(zeroblob(1000000))", NULL, NULL,
				      NULL), SQLITE_OK);
	assert_int_equal(trib_capture_measure(path, &m, &err), 0);
	assert_true(m.bytes > 1000000);
	assert_true(m.sampled < 100000); /* the file itself is still small */
}

static void test_refuses_what_is_no_database(void **state)
{
	struct trib_err err;
	struct trib_measure m;
	TRIB_AUTO(trib_mem) char *path = trib_path(*state, "text"), *none = trib_path(*state, "none");
	assert_int_equal(trib_fs_write(path, trib_span_str("this is a text and no database, and long enough to be one: ........................................."), 0600, &err), 0);
	assert_int_equal(trib_capture_measure(path, &m, &err), -1);
	assert_int_equal(err.code, TRIB_E_SCHEMA);
	assert_int_equal(trib_capture_measure(none, &m, &err), -1);
	assert_int_equal(err.code, TRIB_E_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_says_sizes_of_the_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_database_in_memory_is_measured_as_the_file_that_it_would_be, setup, teardown),
		cmocka_unit_test_setup_teardown(test_counts_what_is_still_in_the_wal, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refuses_what_is_no_database, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
