/* test_repo.c: objects, refs, chains and packs, with damage done on purpose. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <zlib.h>

#include "core/format/packscan.h"
#include "core/store/repo.h"
#include "core/trust/hash.h"

typedef uint8_t oid_t[TRIB_OID_LEN];

static char dir[] = "/tmp/trib-test-repo-XXXXXX";

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

static struct trib_repo *repo(const char *name)
{
	struct trib_err err;
	struct trib_repo *r = NULL;
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, name);
	OK(trib_repo_create(path, &r, &err));
	return r;
}

static char *object_path(const struct trib_repo *r, const uint8_t *oid)
{
	char hex[TRIB_OID_HEX + 1];
	trib_hex(hex, oid, TRIB_OID_LEN);
	return trib_pathf("%s/objects/%.2s/%s", trib_repo_path(r), hex, hex + 2);
}

/* A commit with a manifest of its own and a salt that stays; `n` goes into the manifest. */
static void commit(struct trib_repo *r, const uint8_t *parent, unsigned n, uint8_t *ret)
{
	struct trib_err err;
	char text[64];
	oid_t tree;
	uint8_t sum[TRIB_SHA256_LEN];
	(void)snprintf(text, sizeof(text), "seq %u\n", n);
	trib_sha256(sum, trib_span_str(text));
	const struct trib_blob_in blobs[] = {{"manifest", trib_span_str(text)}, {"salt", trib_span_str("the salt that never changes")}};
	OK(trib_repo_write_tree(r, blobs, TRIB_COUNT(blobs), tree, &err));
	TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(TRIB_COMMIT_MAX);
	trib_commitraw_put(&raw, tree, parent, "洗马社区", "n/app@tributary", 1700000000 + n, "subject", "", sum);
	OK(trib_repo_write(r, TRIB_OBJ_COMMIT, trib_buf_span(&raw), ret, &err));
}

static void chain(struct trib_repo *r, oid_t *ret, size_t n)
{
	for (size_t i = 0; i < n; i++)
		commit(r, i ? ret[i - 1] : NULL, (unsigned)i + 1, ret[i]);
}

static int git(const char *const *argv)
{
	pid_t pid = fork();
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		(void)dup2(null, 1);
		(void)dup2(null, 2);
		(void)setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
		(void)setenv("HOME", dir, 1);
		execvp("git", (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	int status = 0;
	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int fsck(const char *path)
{
	const char *const argv[] = {"git", "-C", path, "fsck", "--full", "--strict", "--no-dangling", NULL};
	return git(argv);
}

static void objects_round_trip(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_repo) struct trib_repo *r = repo("objects.git");
	TRIB_AUTO(trib_buf) struct trib_buf big = TRIB_BUF(TRIB_MIB);
	for (unsigned i = 0, x = 1; i < 300000; i++, x = x * 1103515245 + 12345)
		trib_buf_putc(&big, (uint8_t)(x >> 16));
	const struct trib_span in[] = {trib_span("", 0), trib_span_str("text"), trib_buf_span(&big), trib_span("\x1f\x8b\x08 gz", 6)};
	for (size_t i = 0; i < TRIB_COUNT(in); i++) {
		oid_t oid, again, want;
		OK(trib_repo_write(r, TRIB_OBJ_BLOB, in[i], oid, &err));
		OK(trib_repo_write(r, TRIB_OBJ_BLOB, in[i], again, &err));
		trib_git_oid(want, "blob", in[i]);
		assert_memory_equal(oid, want, sizeof(oid));
		assert_memory_equal(oid, again, sizeof(oid));
		TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(TRIB_MIB);
		trib_buf_puts(&out, "before");
		OK(trib_repo_read(r, oid, TRIB_OBJ_BLOB, in[i].n, &out, &err));
		assert_true(trib_span_eq(trib_span(out.p + 6, out.len - 6), in[i]));
		if (in[i].n)
			FAILS(trib_repo_read(r, oid, TRIB_OBJ_BLOB, in[i].n - 1, &out, &err), TRIB_E_LIMIT);
		FAILS(trib_repo_read(r, oid, TRIB_OBJ_COMMIT, in[i].n, &out, &err), TRIB_E_VERIFY);
		assert_int_equal(out.len, 6 + in[i].n); /* failures append nothing */
	}
	oid_t none = {1};
	TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(10);
	FAILS(trib_repo_read(r, none, TRIB_OBJ_BLOB, 10, &out, &err), TRIB_E_NOT_FOUND);
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, "objects.git");
	assert_int_equal(fsck(path), 0);
}

static void put_deflated(const char *path, struct trib_span bytes, size_t cut)
{
	struct trib_err err;
	uint8_t out[512];
	uLongf n = sizeof(out);
	assert_int_equal(compress(out, &n, bytes.p, bytes.n), Z_OK);
	OK(trib_fs_write(path, trib_span(out, n - cut), 0444, &err));
}

static void damaged_objects_are_told_and_mended(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_repo) struct trib_repo *r = repo("damaged.git");
	oid_t oid;
	struct trib_span text = trib_span_str("hello, hello, hello");
	OK(trib_repo_write(r, TRIB_OBJ_BLOB, text, oid, &err));
	TRIB_AUTO(trib_mem) char *path = object_path(r, oid);
	TRIB_AUTO(trib_buf) struct trib_buf file = TRIB_BUF(4096);
	TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(4096);
	OK(trib_fs_read(path, &file, &err));
	for (size_t n = 0; n < file.len; n++) { /* cut anywhere: never a hang, never accepted */
		OK(trib_fs_write(path, trib_span(file.p, n), 0444, &err));
		FAILS(trib_repo_read(r, oid, TRIB_OBJ_BLOB, 100, &out, &err), TRIB_E_VERIFY);
	}
	for (size_t n = 0; n < file.len; n++) { /* one bit turned: the zlib header may still read, then it is the same object */
		file.p[n] ^= 4;
		OK(trib_fs_write(path, trib_buf_span(&file), 0444, &err));
		file.p[n] ^= 4;
		if (trib_repo_read(r, oid, TRIB_OBJ_BLOB, 100, &out, &err) == 0)
			assert_true(trib_span_eq(trib_buf_span(&out), text));
		else
			assert_true(err.code == TRIB_E_VERIFY || err.code == TRIB_E_LIMIT);
		trib_buf_reset(&out);
	}
	trib_buf_putc(&file, 0);
	OK(trib_fs_write(path, trib_buf_span(&file), 0444, &err)); /* a byte after the end */
	FAILS(trib_repo_read(r, oid, TRIB_OBJ_BLOB, 100, &out, &err), TRIB_E_VERIFY);
	static const struct { const char *bytes; size_t n; } bad[] = {
		{"blob 19\0hello, hello, hellO", 27}, {"blob 20\0hello, hello, hello", 27},	{"blob 18\0hello, hello, hello", 27},
		{"blob 019\0hello, hello, hello", 28}, {"blob -1\0hello, hello, hello", 27},	{"blob \0hello", 11},
		{"blob 99999999999999999999999\0x", 30}, {"tree 19\0hello, hello, hello", 27}, {"blob 19hello, hello, hello without any NUL", 42},
	};
	for (size_t i = 0; i < TRIB_COUNT(bad); i++) {
		put_deflated(path, trib_span(bad[i].bytes, bad[i].n), 0);
		FAILS(trib_repo_read(r, oid, TRIB_OBJ_BLOB, 100, &out, &err), TRIB_E_VERIFY);
	}
	put_deflated(path, trib_span("blob 999999\0x", 13), 0); /* the claim alone is enough */
	FAILS(trib_repo_read(r, oid, TRIB_OBJ_BLOB, 100, &out, &err), TRIB_E_LIMIT);
	OK(trib_repo_write(r, TRIB_OBJ_BLOB, text, oid, &err)); /* writing again mends */
	OK(trib_repo_read(r, oid, TRIB_OBJ_BLOB, 100, &out, &err));
	assert_true(trib_span_eq(trib_buf_span(&out), text));
}

static void refs_move_only_from_where_they_are(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_repo) struct trib_repo *r = repo("refs.git");
	oid_t c[3], at, none = {7};
	chain(r, c, 3);
	FAILS(trib_repo_ref(r, "refs/heads/main", at, &err), TRIB_E_NOT_FOUND);
	FAILS(trib_repo_ref_cas(r, "refs/heads/main", c[0], c[1], &err), TRIB_E_CHAIN);
	FAILS(trib_repo_ref_cas(r, "refs/heads/main", NULL, none, &err), TRIB_E_NOT_FOUND);
	OK(trib_repo_ref_cas(r, "refs/heads/main", NULL, c[0], &err));
	FAILS(trib_repo_ref_cas(r, "refs/heads/main", NULL, c[1], &err), TRIB_E_CHAIN);
	FAILS(trib_repo_ref_cas(r, "refs/heads/main", c[1], c[2], &err), TRIB_E_CHAIN);
	OK(trib_repo_ref(r, "refs/heads/main", at, &err));
	assert_memory_equal(at, c[0], sizeof(at));
	OK(trib_repo_ref_cas(r, "refs/heads/main", c[0], c[1], &err));
	OK(trib_repo_ref_set(r, "refs/tributary/deep/push", c[0], &err));
	OK(trib_repo_ref_set(r, "refs/tributary/deep/push", c[2], &err));
	OK(trib_repo_ref(r, "refs/tributary/deep/push", at, &err));
	assert_memory_equal(at, c[2], sizeof(at));
	FAILS(trib_repo_ref_cas(r, "refs/tributary/deep/push", c[0], NULL, &err), TRIB_E_CHAIN);
	OK(trib_repo_ref_cas(r, "refs/tributary/deep/push", c[2], NULL, &err));
	FAILS(trib_repo_ref(r, "refs/tributary/deep/push", at, &err), TRIB_E_NOT_FOUND);
	static const char *const bad[] = {"HEAD", "refs/heads/../../config", "refs/heads/a..b", "main", "refs/heads/a.lock", "refs/"};
	for (size_t i = 0; i < TRIB_COUNT(bad); i++) {
		FAILS(trib_repo_ref_set(r, bad[i], c[0], &err), TRIB_E_USAGE);
		FAILS(trib_repo_ref(r, bad[i], at, &err), TRIB_E_USAGE);
	}
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, "refs.git");
	assert_int_equal(fsck(path), 0);
}

static void locks_of_the_dead_are_removed_when_asked(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, "locks.git");
	oid_t c[1];
	static const char *const left[] = {"refs/heads/main.lock", "packed-refs.lock", "HEAD.lock", "config.lock", "objects/tmp_obj_abcdef"};
	{
		TRIB_AUTO(trib_repo) struct trib_repo *r = repo("locks.git");
		chain(r, c, 1);
		for (size_t i = 0; i < TRIB_COUNT(left); i++) {
			TRIB_AUTO(trib_mem) char *file = trib_path(path, left[i]);
			OK(trib_fs_write(file, trib_span_str(""), 0600, &err));
		}
		FAILS(trib_repo_ref_cas(r, "refs/heads/main", NULL, c[0], &err), TRIB_E_LOCKED);
	}
	TRIB_AUTO(trib_repo) struct trib_repo *polite = NULL;
	OK(trib_repo_open(path, false, &polite, &err));
	FAILS(trib_repo_ref_cas(polite, "refs/heads/main", NULL, c[0], &err), TRIB_E_LOCKED);
	TRIB_AUTO(trib_repo) struct trib_repo *r = NULL;
	OK(trib_repo_open(path, true, &r, &err));
	for (size_t i = 0; i < TRIB_COUNT(left); i++) {
		TRIB_AUTO(trib_mem) char *file = trib_path(path, left[i]);
		assert_false(trib_fs_exists(file));
	}
	OK(trib_repo_ref_cas(r, "refs/heads/main", NULL, c[0], &err));
}

static void creating_again_opens(void **state)
{
	(void)state;
	struct trib_err err;
	oid_t c[1], at;
	{
		TRIB_AUTO(trib_repo) struct trib_repo *r = repo("again.git");
		chain(r, c, 1);
		OK(trib_repo_ref_cas(r, "refs/heads/main", NULL, c[0], &err));
	}
	TRIB_AUTO(trib_mem) char *config = trib_pathf("%s/again.git/config", dir);
	OK(trib_fs_remove(config, &err)); /* as a crash during the set-up leaves it */
	TRIB_AUTO(trib_repo) struct trib_repo *r = repo("again.git");
	OK(trib_repo_ref(r, "refs/heads/main", at, &err));
	assert_memory_equal(at, c[0], sizeof(at));
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(4096);
	OK(trib_fs_read(config, &text, &err));
	assert_non_null(strstr(trib_buf_str(&text), "deltaCacheSize = 1"));
	assert_non_null(strstr(trib_buf_str(&text), "bare = true"));
	TRIB_AUTO(trib_mem) char *head = trib_pathf("%s/again.git/HEAD", dir);
	trib_buf_reset(&text);
	OK(trib_fs_read(head, &text, &err));
	assert_string_equal(trib_buf_str(&text), "ref: refs/heads/main\n");
	struct trib_repo *none = NULL;
	TRIB_AUTO(trib_mem) char *missing = trib_path(dir, "missing.git");
	FAILS(trib_repo_open(missing, true, &none, &err), TRIB_E_NOT_FOUND);
}

static void commits_are_read_whole(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_repo) struct trib_repo *r = repo("commit.git");
	oid_t c[2], tree, bad;
	chain(r, c, 2);
	TRIB_AUTO(trib_commit) struct trib_commit one = {0};
	OK(trib_commit_read(r, c[1], &one, &err));
	assert_memory_equal(one.oid, c[1], sizeof(c[1]));
	assert_true(one.c.has_parent);
	assert_memory_equal(one.c.parent, c[0], sizeof(c[0]));
	assert_int_equal(one.nentries, 2);
	assert_string_equal(trib_buf_str(&one.manifest), "seq 2\n");
	TRIB_AUTO(trib_buf) struct trib_buf salt = TRIB_BUF(100);
	OK(trib_commit_blob(r, &one, "salt", 100, &salt, &err));
	assert_string_equal(trib_buf_str(&salt), "the salt that never changes");
	FAILS(trib_commit_blob(r, &one, "salt", 5, &salt, &err), TRIB_E_LIMIT);
	FAILS(trib_commit_blob(r, &one, "changeset.gz", 100, &salt, &err), TRIB_E_NOT_FOUND);
	/* a tree without a manifest */
	const struct trib_blob_in blobs[] = {{"salt", trib_span_str("x")}};
	uint8_t sum[TRIB_SHA256_LEN] = {0};
	OK(trib_repo_write_tree(r, blobs, 1, tree, &err));
	TRIB_AUTO(trib_buf) struct trib_buf raw = TRIB_BUF(TRIB_COMMIT_MAX);
	trib_commitraw_put(&raw, tree, NULL, "n", "n/a@tributary", 1, "s", "", sum);
	OK(trib_repo_write(r, TRIB_OBJ_COMMIT, trib_buf_span(&raw), bad, &err));
	TRIB_AUTO(trib_commit) struct trib_commit two = {0};
	FAILS(trib_commit_read(r, bad, &two, &err), TRIB_E_TREE);
	assert_null(two.raw.p);
	const struct trib_blob_in unsorted[] = {{"salt", trib_span_str("x")}, {"manifest", trib_span_str("y")}};
	FAILS(trib_repo_write_tree(r, unsorted, 2, tree, &err), TRIB_E_TREE);
}

static void chains_are_listed_oldest_first(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_repo) struct trib_repo *r = repo("chain.git");
	oid_t c[5], stranger, *list = NULL;
	size_t n = 99;
	chain(r, c, 5);
	commit(r, NULL, 77, stranger);
	OK(trib_repo_chain(r, c[4], NULL, 5, &list, &n, &err));
	assert_int_equal(n, 5);
	for (size_t i = 0; i < n; i++)
		assert_memory_equal(list[i], c[i], sizeof(c[i]));
	free(list);
	OK(trib_repo_chain(r, c[4], c[1], 3, &list, &n, &err));
	assert_int_equal(n, 3);
	assert_memory_equal(list[0], c[2], sizeof(c[2]));
	free(list);
	OK(trib_repo_chain(r, c[4], c[4], 0, &list, &n, &err));
	assert_int_equal(n, 0);
	free(list);
	list = NULL;
	FAILS(trib_repo_chain(r, c[4], NULL, 4, &list, &n, &err), TRIB_E_LIMIT);
	FAILS(trib_repo_chain(r, c[4], stranger, 9, &list, &n, &err), TRIB_E_CHAIN);
	FAILS(trib_repo_chain(r, c[1], c[4], 9, &list, &n, &err), TRIB_E_CHAIN);
	assert_null(list);
}

static int to_buf(void *ctx, struct trib_span bytes, struct trib_err *err)
{
	trib_buf_put_span(ctx, bytes);
	return trib_buf_check(ctx, "the pack", err);
}

static uint64_t scan(const struct trib_buf *pack)
{
	struct trib_err err;
	uint64_t n = 0;
	struct trib_packscan *s = trib_packscan_new();
	assert_non_null(s);
	OK(trib_packscan_feed(s, trib_buf_span(pack), &err));
	OK(trib_packscan_end(s, &n, &err));
	trib_packscan_free(s);
	return n;
}

/* Objects in the pack of want without hide; the pack's bytes when `ret` is given. */
static uint64_t pack_of(struct trib_repo *r, const uint8_t *want, const oid_t *hide, size_t nhide, struct trib_buf *ret)
{
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf pack = TRIB_BUF(TRIB_MIB);
	oid_t w;
	memcpy(w, want, sizeof(w));
	OK(trib_repo_pack(r, (const uint8_t(*)[TRIB_OID_LEN]) & w, 1, hide, nhide, to_buf, &pack, &err));
	if (ret)
		trib_buf_put_span(ret, trib_buf_span(&pack));
	return scan(&pack);
}

static void packs_hold_what_is_missing_and_no_more(void **state)
{
	(void)state;
	TRIB_AUTO(trib_repo) struct trib_repo *r = repo("pack.git");
	oid_t c[6], other[1], none[1] = {{9}};
	chain(r, c, 6);
	commit(r, c[2], 50, other[0]); /* a fork after the third */
	/* a commit brings itself, a tree and a manifest; the salt is there once */
	assert_int_equal(pack_of(r, c[5], NULL, 0, NULL), 6 * 3 + 1);
	assert_int_equal(pack_of(r, c[5], (const oid_t *)&c[3], 1, NULL), 2 * 3);
	assert_int_equal(pack_of(r, c[5], (const oid_t *)&c[5], 1, NULL), 0);
	assert_int_equal(pack_of(r, c[2], (const oid_t *)&c[5], 1, NULL), 0); /* the other side is ahead */
	assert_int_equal(pack_of(r, c[5], (const oid_t *)other, 1, NULL), 3 * 3);
	assert_int_equal(pack_of(r, c[5], (const oid_t *)none, 1, NULL), 6 * 3 + 1);
	assert_int_equal(pack_of(r, c[5], (const oid_t *)c, 6, NULL), 0);
	assert_int_equal(pack_of(r, other[0], (const oid_t *)c, 6, NULL), 3);
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf pack = TRIB_BUF(TRIB_MIB);
	FAILS(trib_repo_pack(r, (const uint8_t(*)[TRIB_OID_LEN])none, 1, NULL, 0, to_buf, &pack, &err), TRIB_E_NOT_FOUND);
	TRIB_AUTO(trib_buf) struct trib_buf small = TRIB_BUF(100);
	FAILS(trib_repo_pack(r, (const uint8_t(*)[TRIB_OID_LEN])&c[5], 1, NULL, 0, to_buf, &small, &err), TRIB_E_LIMIT);
}

static void write_file(const char *path, const struct trib_buf *b)
{
	struct trib_err err;
	OK(trib_fs_write(path, trib_buf_span(b), 0600, &err));
}

static void packs_arrive_through_quarantine(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_repo) struct trib_repo *from = repo("from.git");
	TRIB_AUTO(trib_repo) struct trib_repo *to = repo("to.git");
	oid_t c[4], at;
	chain(from, c, 4);
	TRIB_AUTO(trib_buf) struct trib_buf first = TRIB_BUF(TRIB_MIB);
	TRIB_AUTO(trib_buf) struct trib_buf rest = TRIB_BUF(TRIB_MIB);
	(void)pack_of(from, c[1], NULL, 0, &first);
	(void)pack_of(from, c[3], (const oid_t *)&c[1], 1, &rest);
	TRIB_AUTO(trib_mem) char *file = trib_path(dir, "in.pack");
	TRIB_AUTO(trib_mem) char *own = trib_path(trib_repo_path(to), "objects/pack");
	TRIB_AUTO(trib_mem) char *q = trib_path(trib_repo_path(to), "objects/incoming-1");
	TRIB_AUTO(trib_mem) char *qpack = trib_path(q, "pack");
	char name[TRIB_OID_HEX + 1];
	/* a pack whose history starts with what is not here is refused */
	write_file(file, &rest);
	FAILS(trib_repo_index_pack(to, file, own, name, &err), TRIB_E_FORMAT);
	write_file(file, &first);
	OK(trib_repo_index_pack(to, file, own, name, &err));
	trib_repo_refresh(to);
	OK(trib_repo_ref_cas(to, "refs/heads/main", NULL, c[1], &err));
	write_file(file, &rest);
	OK(trib_repo_index_pack(to, file, qpack, name, &err));
	/* visible in the quarantine view, not outside */
	TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(TRIB_COMMIT_MAX);
	FAILS(trib_repo_read(to, c[3], TRIB_OBJ_COMMIT, TRIB_COMMIT_MAX, &out, &err), TRIB_E_NOT_FOUND);
	TRIB_AUTO(trib_repo) struct trib_repo *view = NULL;
	OK(trib_repo_open_quarantine(trib_repo_path(to), q, &view, &err));
	oid_t *list = NULL;
	size_t n = 0;
	OK(trib_repo_chain(view, c[3], NULL, 10, &list, &n, &err));
	assert_int_equal(n, 4);
	free(list);
	TRIB_AUTO(trib_commit) struct trib_commit tip = {0};
	OK(trib_commit_read(view, c[3], &tip, &err));
	FAILS(trib_repo_write(view, TRIB_OBJ_BLOB, trib_span_str("x"), at, &err), TRIB_E_USAGE);
	FAILS(trib_repo_ref_set(view, "refs/heads/main", c[3], &err), TRIB_E_USAGE);
	/* published by renaming */
	static const char *const ends[] = {"pack", "idx"};
	for (size_t i = 0; i < TRIB_COUNT(ends); i++) {
		TRIB_AUTO(trib_mem) char *a = trib_pathf("%s/pack-%s.%s", qpack, name, ends[i]);
		TRIB_AUTO(trib_mem) char *b = trib_pathf("%s/pack-%s.%s", own, name, ends[i]);
		OK(trib_fs_rename(a, b, &err));
	}
	trib_repo_refresh(to);
	OK(trib_repo_ref_cas(to, "refs/heads/main", c[1], c[3], &err));
	OK(trib_repo_read(to, c[3], TRIB_OBJ_COMMIT, TRIB_COMMIT_MAX, &out, &err));
	oid_t oid;
	OK(trib_repo_write(to, TRIB_OBJ_COMMIT, trib_buf_span(&out), oid, &err)); /* packed already: no loose copy */
	TRIB_AUTO(trib_mem) char *loose = object_path(to, oid);
	assert_false(trib_fs_exists(loose));
	assert_int_equal(fsck(trib_repo_path(to)), 0);
}

/* Two copies of everything, one in a pack: either may be damaged, and what is whole is read. */
static void a_copy_that_is_whole_is_read(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_repo *r = repo("twice.git"), *again = NULL; /* freed early: libgit2 shares open packs within a process */
	oid_t c[3];
	chain(r, c, 3);
	TRIB_AUTO(trib_buf) struct trib_buf pack = TRIB_BUF(TRIB_MIB);
	(void)pack_of(r, c[2], NULL, 0, &pack);
	TRIB_AUTO(trib_mem) char *file = trib_path(dir, "twice.pack");
	TRIB_AUTO(trib_mem) char *own = trib_path(trib_repo_path(r), "objects/pack");
	char name[TRIB_OID_HEX + 1];
	write_file(file, &pack);
	TRIB_AUTO(trib_repo) struct trib_repo *empty = repo("empty.git");
	OK(trib_repo_index_pack(empty, file, own, name, &err));
	/* the loose copy of one is damaged */
	TRIB_AUTO(trib_mem) char *loose = object_path(r, c[1]);
	assert_int_equal(chmod(loose, 0600), 0);
	put_deflated(loose, trib_span_str("commit 3"), 0);
	OK(trib_repo_open(trib_repo_path(r), false, &again, &err));
	trib_repo_free(r);
	TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(TRIB_COMMIT_MAX);
	OK(trib_repo_read(again, c[1], TRIB_OBJ_COMMIT, TRIB_COMMIT_MAX, &out, &err));
	/* and now all of the pack's objects */
	TRIB_AUTO(trib_mem) char *packed = trib_pathf("%s/pack-%s.pack", own, name);
	assert_int_equal(chmod(packed, 0600), 0);
	for (size_t i = 12 + 8; i < pack.len - 20; i += 16)
		pack.p[i] ^= 0x5a;
	write_file(packed, &pack);
	TRIB_AUTO(trib_repo) struct trib_repo *third = NULL;
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, "twice.git");
	trib_repo_free(again);
	OK(trib_repo_open(path, false, &third, &err));
	trib_buf_reset(&out);
	OK(trib_repo_read(third, c[0], TRIB_OBJ_COMMIT, TRIB_COMMIT_MAX, &out, &err));
	OK(trib_repo_read(third, c[2], TRIB_OBJ_COMMIT, TRIB_COMMIT_MAX, &out, &err));
	size_t before = out.len;
	FAILS(trib_repo_read(third, c[1], TRIB_OBJ_COMMIT, TRIB_COMMIT_MAX, &out, &err), TRIB_E_VERIFY);
	assert_int_equal(unlink(loose), 0);
	FAILS(trib_repo_read(third, c[1], TRIB_OBJ_COMMIT, TRIB_COMMIT_MAX, &out, &err), TRIB_E_VERIFY);
	assert_int_equal(out.len, before);
}

/* Files that stay are kept from commit to commit: by their id, and only what was read right. */
static void files_that_stay_are_kept_by_their_id(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_repo) struct trib_repo *r = repo("kept.git");
	const char *const salts[] = {"first", "second", "first", "third, which is longer", "second"};
	struct trib_commit c[TRIB_COUNT(salts)] = {0};
	for (size_t i = 0; i < TRIB_COUNT(salts); i++) {
		(void)snprintf(c[i].entries[0].name, sizeof(c[i].entries[0].name), "salt");
		OK(trib_repo_write(r, TRIB_OBJ_BLOB, trib_span_str(salts[i]), c[i].entries[0].oid, &err));
		c[i].nentries = 1;
	}
	for (size_t i = 0; i < 2 * TRIB_COUNT(salts); i++) {
		size_t k = i / 2; /* each twice */
		TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(100);
		trib_buf_puts(&out, "-");
		OK(trib_commit_blob(r, &c[k], "salt", 100, &out, &err));
		assert_string_equal(trib_buf_str(&out) + 1, salts[k]);
		FAILS(trib_commit_blob(r, &c[k], "salt", 3, &out, &err), TRIB_E_LIMIT);
		TRIB_AUTO(trib_buf) struct trib_buf small = TRIB_BUF(3);
		FAILS(trib_commit_blob(r, &c[k], "salt", 100, &small, &err), TRIB_E_LIMIT);
	}
	/* one that is damaged is not kept */
	struct trib_commit bad = {.entries = {{.name = "salt"}}, .nentries = 1};
	OK(trib_repo_write(r, TRIB_OBJ_BLOB, trib_span_str("damaged"), bad.entries[0].oid, &err));
	TRIB_AUTO(trib_mem) char *path = object_path(r, bad.entries[0].oid);
	assert_int_equal(chmod(path, 0600), 0);
	put_deflated(path, trib_span("blob 7\0dAmaged", 14), 0);
	TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(100);
	FAILS(trib_commit_blob(r, &bad, "salt", 100, &out, &err), TRIB_E_VERIFY);
	FAILS(trib_commit_blob(r, &bad, "salt", 100, &out, &err), TRIB_E_VERIFY);
	assert_int_equal(out.len, 0);
}

static void a_damaged_pack_is_told(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_repo) struct trib_repo *from = repo("whole.git");
	oid_t c[1];
	chain(from, c, 1);
	TRIB_AUTO(trib_buf) struct trib_buf pack = TRIB_BUF(TRIB_MIB);
	(void)pack_of(from, c[0], NULL, 0, &pack);
	TRIB_AUTO(trib_mem) char *file = trib_path(dir, "bad.pack");
	TRIB_AUTO(trib_mem) char *q = trib_path(dir, "bad/pack");
	char name[TRIB_OID_HEX + 1];
	pack.p[pack.len - 1] ^= 1;
	write_file(file, &pack);
	TRIB_AUTO(trib_repo) struct trib_repo *to = repo("rot.git");
	FAILS(trib_repo_index_pack(to, file, q, name, &err), TRIB_E_FORMAT);
	pack.p[pack.len - 1] ^= 1;
	/* indexed when whole, then one byte of the tip changes on the disk */
	TRIB_AUTO(trib_mem) char *own = trib_path(trib_repo_path(to), "objects/pack");
	write_file(file, &pack);
	OK(trib_repo_index_pack(to, file, own, name, &err));
	TRIB_AUTO(trib_mem) char *kept = trib_pathf("%s/pack-%s.pack", own, name);
	pack.p[30] ^= 1;
	OK(trib_fs_write(kept, trib_buf_span(&pack), 0444, &err));
	TRIB_AUTO(trib_repo) struct trib_repo *again = NULL;
	OK(trib_repo_open(trib_repo_path(to), true, &again, &err));
	TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(TRIB_COMMIT_MAX);
	FAILS(trib_repo_read(again, c[0], TRIB_OBJ_COMMIT, TRIB_COMMIT_MAX, &out, &err), TRIB_E_VERIFY);
	assert_int_equal(out.len, 0);
}

static void stock_git_reads_what_we_write(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_repo) struct trib_repo *r = repo("stock.git");
	oid_t c[3], at;
	chain(r, c, 3);
	OK(trib_repo_ref_cas(r, "refs/heads/main", NULL, c[2], &err));
	const char *const gc[] = {"git", "-C", trib_repo_path(r), "repack", "-adq", NULL};
	assert_int_equal(git(gc), 0);
	const char *const refs[] = {"git", "-C", trib_repo_path(r), "pack-refs", "--all", NULL};
	assert_int_equal(git(refs), 0);
	assert_int_equal(fsck(trib_repo_path(r)), 0);
	trib_repo_refresh(r);
	OK(trib_repo_ref(r, "refs/heads/main", at, &err));
	assert_memory_equal(at, c[2], sizeof(at));
	TRIB_AUTO(trib_commit) struct trib_commit tip = {0};
	OK(trib_commit_read(r, c[0], &tip, &err)); /* now out of git's own pack, deltas and all */
	OK(trib_repo_ref_cas(r, "refs/heads/main", c[2], c[1], &err));
	FAILS(trib_repo_ref_cas(r, "refs/heads/main", c[2], c[0], &err), TRIB_E_CHAIN);
}

/* 1: the start of libgit2 in a process of its own opened the file, or another process did just then. */
static int start_opens(const char *path)
{
	char event[4096];
	int status = -1, watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	assert_true(watch >= 0 && inotify_add_watch(watch, path, IN_OPEN) >= 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		const char *const argv[] = {"/proc/self/exe", "start", NULL};
		execv(argv[0], (char *const *)argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	bool opened = read(watch, event, sizeof(event)) > 0;
	close(watch);
	return opened;
}

static void the_start_reads_no_certificates(void **state)
{
	(void)state;
	static const char bundle[] = "/etc/ssl/certs/ca-certificates.crt";
	if (access(bundle, R_OK))
		skip();
	bool always = true;
	for (int i = 0; i < 20 && always; i++)
		always = start_opens(bundle);
	assert_false(always);
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "start") == 0) { /* the_start_reads_no_certificates */
		struct trib_err err;
		return trib_repo_lib_init(&err) ? 1 : 0;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_start_reads_no_certificates),
		cmocka_unit_test(objects_round_trip),
		cmocka_unit_test(damaged_objects_are_told_and_mended),
		cmocka_unit_test(refs_move_only_from_where_they_are),
		cmocka_unit_test(locks_of_the_dead_are_removed_when_asked),
		cmocka_unit_test(creating_again_opens),
		cmocka_unit_test(commits_are_read_whole),
		cmocka_unit_test(chains_are_listed_oldest_first),
		cmocka_unit_test(packs_hold_what_is_missing_and_no_more),
		cmocka_unit_test(packs_arrive_through_quarantine),
		cmocka_unit_test(a_damaged_pack_is_told),
		cmocka_unit_test(a_copy_that_is_whole_is_read),
		cmocka_unit_test(files_that_stay_are_kept_by_their_id),
		cmocka_unit_test(stock_git_reads_what_we_write),
	};
	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
