/* test_sync.c: files made durable as a group: nothing has its name too early, nothing is left behind, and a ref moves with its group. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <sys/stat.h>

#include "core/store/repo.h"

static char dir[] = "/tmp/trib-test-sync-XXXXXX";

static int make_dir(void **state)
{
	(void)state;
	struct trib_err err;
	return mkdtemp(dir) && trib_repo_lib_init(&err) == 0 ? 0 : -1;
}
static int drop_dir(void **state)
{
	(void)state;
	struct trib_err err;
	return trib_fs_remove_tree(dir, &err);
}

#define OK(call)                                                 \
	do {                                                     \
		if (call)                                        \
			fail_msg("%s: %s", #call, err.msg);      \
	} while (0)
#define FAILS(call, want)                                                                        \
	do {                                                                                     \
		if ((call) == 0)                                                                 \
			fail_msg("%s succeeded", #call);                                         \
		if (err.code != (want))                                                          \
			fail_msg("%s: %s (%s)", #call, trib_code_name(err.code), err.msg);       \
	} while (0)

static void holds(const char *path, const char *want)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(4096);
	struct trib_err err;
	OK(trib_fs_read(path, &b, &err));
	assert_true(trib_span_eq(trib_buf_span(&b), trib_span_str(want)));
}

static void files_take_their_names_together(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_syncs) struct trib_syncs g = {0};
	TRIB_AUTO(trib_mem) char *a = trib_path(dir, "a"), *b = trib_path(dir, "b"), *tmp = trib_path(dir, "b.tmp");
	struct stat st;
	OK(trib_fs_write(a, trib_span_str("before"), 0600, &err));
	OK(trib_syncs_write(&g, a, trib_span_str("after"), 0600, NULL, &err));
	OK(trib_syncs_write(&g, b, trib_span_str("new"), 0640, NULL, &err));
	holds(a, "before");
	assert_false(trib_fs_exists(b));
	assert_true(trib_fs_exists(tmp));
	assert_int_equal(g.ndirs, 1); /* one folder, whatever the number of names */
	OK(trib_syncs_files(&g, &err));
	holds(a, "after");
	holds(b, "new");
	assert_int_equal(stat(b, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(g.nfiles, 0);
	assert_int_equal(g.ndirs, 1); /* still to be synced */
	OK(trib_syncs_end(&g, &err));
	assert_int_equal(g.ndirs, 0);
}

static void a_group_given_up_leaves_nothing(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_syncs g = {0};
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, "given-up"), *tmp = trib_path(dir, "given-up.tmp");
	OK(trib_syncs_write(&g, path, trib_span_str("x"), 0600, NULL, &err));
	trib_syncs_release(&g);
	assert_false(trib_fs_exists(path));
	assert_false(trib_fs_exists(tmp));
}

/* Content that cannot be synced: not one name of the group appears. */
static void a_failure_gives_no_names(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_syncs g = {0};
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, "never"), *gone = trib_path(dir, "not-there"), *tmp = trib_path(dir, "never.tmp");
	OK(trib_syncs_write(&g, path, trib_span_str("x"), 0600, NULL, &err));
	OK(trib_syncs_file(&g, gone, &err));
	OK(trib_syncs_file(&g, gone, &err));
	assert_int_equal(g.nfiles, 2);
	FAILS(trib_syncs_end(&g, &err), TRIB_E_IO);
	assert_false(trib_fs_exists(path));
	trib_syncs_release(&g);
	assert_false(trib_fs_exists(tmp));
}

static void commit_of(struct trib_repo *r, const char *subject, uint8_t ret[TRIB_OID_LEN])
{
	TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(4096);
	const struct trib_blob_in blob = {"manifest", trib_span_str("m")};
	uint8_t tree[TRIB_OID_LEN];
	char hex[TRIB_OID_HEX + 1];
	struct trib_err err;
	OK(trib_repo_write_tree(r, &blob, 1, tree, &err));
	trib_hex(hex, tree, TRIB_OID_LEN);
	trib_buf_printf(&raw, "tree %s\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\n%s\n", hex, subject);
	OK(trib_repo_write(r, TRIB_OBJ_COMMIT, trib_buf_span(&raw), ret, &err));
}

static void is_at(struct trib_repo *r, const uint8_t *oid)
{
	uint8_t at[TRIB_OID_LEN];
	struct trib_err err;
	OK(trib_repo_ref(r, "refs/heads/main", at, &err));
	assert_memory_equal(at, oid, sizeof(at));
}

static void objects_and_ref_move_with_their_group(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_repo) struct trib_repo *r = NULL;
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, "r.git"), *lock = trib_path(path, "refs/heads/main.lock");
	TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(4096);
	struct trib_syncs g = {0};
	uint8_t one[TRIB_OID_LEN], two[TRIB_OID_LEN];
	OK(trib_repo_create(path, &r, &err));
	trib_repo_group(r, &g);
	commit_of(r, "one", one);
	FAILS(trib_repo_read(r, one, TRIB_OBJ_COMMIT, 4096, &raw, &err), TRIB_E_NOT_FOUND);
	OK(trib_syncs_files(&g, &err));
	OK(trib_repo_read(r, one, TRIB_OBJ_COMMIT, 4096, &raw, &err));
	trib_repo_group(r, NULL);
	commit_of(r, "two", two);
	OK(trib_repo_ref_cas_in(r, &g, "refs/heads/main", NULL, one, NULL, &err));
	FAILS(trib_repo_ref_cas_in(r, &g, "refs/heads/main", NULL, two, NULL, &err), TRIB_E_LOCKED);
	OK(trib_syncs_end(&g, &err));
	is_at(r, one);
	FAILS(trib_repo_ref_cas_in(r, &g, "refs/heads/main", NULL, two, NULL, &err), TRIB_E_CHAIN);
	FAILS(trib_repo_ref_cas_in(r, &g, "refs/heads/main", two, one, NULL, &err), TRIB_E_CHAIN);
	FAILS(trib_repo_ref_cas_in(r, &g, "refs/tags/main", one, two, NULL, &err), TRIB_E_USAGE);
	assert_false(trib_fs_exists(lock));
	OK(trib_repo_ref_cas_in(r, &g, "refs/heads/main", one, two, NULL, &err));
	is_at(r, one);
	trib_syncs_release(&g);
	assert_false(trib_fs_exists(lock));
	OK(trib_repo_ref_cas_in(r, &g, "refs/heads/main", one, two, NULL, &err));
	OK(trib_syncs_end(&g, &err));
	is_at(r, two);
	OK(trib_repo_ref_cas(r, "refs/heads/main", two, one, &err)); /* and libgit2 moves it on */
	is_at(r, one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_take_their_names_together), cmocka_unit_test(a_group_given_up_leaves_nothing),
		cmocka_unit_test(a_failure_gives_no_names), cmocka_unit_test(objects_and_ref_move_with_their_group),
	};
	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
