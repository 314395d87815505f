/* test_fold.c: many small files become few packs; nothing is lost by it, whoever reads meanwhile and wherever it is killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/store/fold.h"

static char dir[] = "/tmp/trib-test-fold-XXXXXX";

#define OK(call)                                            \
	do {                                                \
		struct trib_err err;                        \
		if (call)                                   \
			fail_msg("%s: %s", #call, err.msg); \
	} while (0)

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

/* ---- objects whose content follows from their number ---- */

static size_t text_of(unsigned i, char ret[512])
{
	size_t n = (size_t)snprintf(ret, 512, "format tributary-manifest-1\nnode 520303002001\nseq %u\nprev ", i);
	for (unsigned k = 0; k < 200; k++)
		ret[n++] = (char)('a' + (i * 31 + k * k * (i + 7)) % 26);
	return n;
}

static struct trib_repo *repo(const char *name, char path[128])
{
	struct trib_repo *r = NULL;
	(void)snprintf(path, 128, "%s/%s", dir, name);
	OK(trib_repo_create(path, &r, &err));
	return r;
}

static void put(struct trib_repo *r, unsigned from, unsigned to)
{
	char text[512];
	uint8_t oid[TRIB_OID_LEN];
	for (unsigned i = from; i < to; i++)
		OK(trib_repo_write(r, TRIB_OBJ_BLOB, trib_span(text, text_of(i, text)), oid, &err));
}

/* Every one of them is there, and as it was. */
static void all_there(struct trib_repo *r, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		char text[512];
		git_oid id;
		size_t n = text_of(i, text);
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(512);
		assert_int_equal(git_odb_hash(&id, text, n, GIT_OBJECT_BLOB), 0);
		OK(trib_repo_read(r, id.id, TRIB_OBJ_BLOB, 512, &b, &err));
		assert_int_equal(b.len, n);
		assert_memory_equal(b.p, text, n);
	}
}

static void all_there_anew(const char *path, unsigned to)
{
	TRIB_AUTO(trib_repo) struct trib_repo *r = NULL;
	OK(trib_repo_open(path, false, &r, &err));
	all_there(r, 0, to);
}

/* How many files below objects/ end like this; packs=false: loose ones. */
static unsigned count(const char *path, bool packs)
{
	unsigned n = 0;
	for (unsigned i = 0; i <= 256; i++) {
		char sub[160];
		if (packs != (i == 256))
			continue;
		(void)snprintf(sub, sizeof(sub), i == 256 ? "%s/objects/pack" : "%s/objects/%02x", path, i);
		DIR *d = opendir(sub);
		for (const struct dirent *e; d && (e = readdir(d));)
			n += packs ? strstr(e->d_name, ".pack") != NULL : e->d_name[0] != '.';
		if (d)
			closedir(d);
	}
	return n;
}

/* A pack of the objects from..to, as a push leaves one. */
static void put_pack(const char *path, unsigned from, unsigned to)
{
	git_repository *git = NULL;
	git_packbuilder *pb = NULL;
	char text[512], packs[160];
	git_oid id;
	assert_int_equal(git_repository_open(&git, path), 0);
	assert_int_equal(git_packbuilder_new(&pb, git), 0);
	for (unsigned i = from; i < to; i++) {
		assert_int_equal(git_blob_create_from_buffer(&id, git, text, text_of(i, text)), 0);
		assert_int_equal(git_packbuilder_insert(pb, &id, NULL), 0);
	}
	(void)snprintf(packs, sizeof(packs), "%s/objects/pack", path);
	OK(trib_fs_mkdirs(packs, 0700, &err));
	assert_int_equal(git_packbuilder_write(pb, packs, 0444, NULL, NULL), 0);
	for (unsigned i = from; i < to; i++) {
		char hex[TRIB_OID_HEX + 1], loose[256];
		assert_int_equal(git_odb_hash(&id, text, text_of(i, text), GIT_OBJECT_BLOB), 0);
		trib_hex(hex, id.id, TRIB_OID_LEN);
		(void)snprintf(loose, sizeof(loose), "%s/objects/%.2s/%s", path, hex, hex + 2);
		(void)unlink(loose);
	}
	git_packbuilder_free(pb);
	git_repository_free(git);
}

static struct trib_fold fold(const char *path)
{
	struct trib_fold f;
	OK(trib_repo_fold(path, &f, &err));
	return f;
}

/* ---- tests ---- */

static void few_files_stay(void **state)
{
	(void)state;
	char path[128];
	TRIB_AUTO(trib_repo) struct trib_repo *r = repo("few.git", path);
	put(r, 0, 40);
	for (unsigned i = 0; i < TRIB_FOLD_PACKS - 1; i++)
		put_pack(path, 40 + i, 41 + i);
	struct trib_fold f = fold(path);
	assert_int_equal(f.objects, 0);
	assert_int_equal(count(path, false), 40);
	assert_int_equal(count(path, true), TRIB_FOLD_PACKS - 1);
}

static void loose_become_a_pack(void **state)
{
	(void)state;
	char path[128];
	TRIB_AUTO(trib_repo) struct trib_repo *r = repo("loose.git", path);
	put(r, 0, 500);
	all_there(r, 0, 500);
	struct trib_fold f = fold(path);
	assert_int_equal(f.loose, 500);
	assert_int_equal(f.objects, 500);
	assert_int_equal(count(path, false), 0);
	assert_int_equal(count(path, true), 1);
	all_there(r, 0, 500); /* with the handle opened before */
	all_there_anew(path, 500);
	put(r, 500, 510); /* and it goes on */
	all_there(r, 0, 510);
	assert_int_equal(fold(path).objects, 0);
}

static void packs_become_few_for_ever(void **state)
{
	(void)state;
	char path[128];
	unsigned most = 0, done = 0;
	size_t rewritten = 0;
	TRIB_AUTO(trib_repo) struct trib_repo *r = repo("packs.git", path);
	for (; done < 400; done += 4) {
		put_pack(path, done, done + 4);
		struct trib_fold f = fold(path);
		rewritten += f.objects;
		most = count(path, true) > most ? count(path, true) : most;
	}
	assert_in_range(most, 2, TRIB_FOLD_PACKS);
	assert_in_range(rewritten, done / 2, done * 8); /* log2(100 pushes) */
	all_there(r, 0, done);
	all_there_anew(path, done);
}

static void a_push_that_is_not_good_yet_is_left_alone(void **state)
{
	(void)state;
	char path[128], packs[160], first[256] = "", mark[300];
	trib_repo_free(repo("mark.git", path));
	put_pack(path, 0, 4);
	(void)snprintf(packs, sizeof(packs), "%s/objects/pack", path);
	DIR *d = opendir(packs);
	assert_non_null(d);
	for (const struct dirent *e; (e = readdir(d));)
		if (strstr(e->d_name, ".pack"))
			(void)snprintf(first, sizeof(first), "%s/%.45s", packs, e->d_name);
	closedir(d);
	(void)snprintf(mark, sizeof(mark), "%s.new-0000000000000000000000000000000000000000", first);
	OK(trib_fs_write(mark, trib_span_str(""), 0600, &err));
	for (unsigned i = 4; i < 104; i += 4)
		put_pack(path, i, i + 4);
	assert_int_not_equal(fold(path).packs, 0);
	(void)snprintf(mark, sizeof(mark), "%s.idx", first);
	assert_true(trib_fs_exists(mark));
	all_there_anew(path, 104);
}

static void a_damaged_object_is_named_and_stays(void **state)
{
	(void)state;
	char path[128], text[512], hex[TRIB_OID_HEX + 1], loose[256];
	git_oid id;
	TRIB_AUTO(trib_repo) struct trib_repo *r = repo("bad.git", path);
	put(r, 0, 500);
	assert_int_equal(git_odb_hash(&id, text, text_of(5, text), GIT_OBJECT_BLOB), 0);
	trib_hex(hex, id.id, TRIB_OID_LEN);
	(void)snprintf(loose, sizeof(loose), "%s/objects/%.2s/%s", path, hex, hex + 2);
	assert_int_equal(chmod(loose, 0600), 0);
	assert_int_equal(truncate(loose, 60), 0);
	struct trib_fold f;
	struct trib_err err;
	assert_int_equal(trib_repo_fold(path, &f, &err), -1);
	assert_int_equal(err.code, TRIB_E_VERIFY);
	assert_non_null(strstr(err.msg, hex + 2));
	assert_int_equal(count(path, false), 500);
	assert_int_equal(count(path, true), 0);
}

static void a_damaged_pack_is_named_and_stays(void **state)
{
	(void)state;
	char path[128], packs[160];
	trib_repo_free(repo("badpack.git", path));
	for (unsigned i = 0; i < 80; i += 4)
		put_pack(path, i, i + 4);
	(void)snprintf(packs, sizeof(packs), "%s/objects/pack", path);
	DIR *d = opendir(packs);
	assert_non_null(d);
	for (const struct dirent *e; (e = readdir(d));)
		if (strstr(e->d_name, ".pack")) {
			uint8_t b;
			char file[512];
			(void)snprintf(file, sizeof(file), "%s/%s", packs, e->d_name);
			assert_int_equal(chmod(file, 0600), 0);
			int fd = open(file, O_RDWR | O_CLOEXEC);
			assert_int_equal(pread(fd, &b, 1, 40), 1);
			b ^= 1;
			assert_int_equal(pwrite(fd, &b, 1, 40), 1);
			close(fd);
			break;
		}
	closedir(d);
	struct trib_fold f;
	struct trib_err err;
	assert_int_equal(trib_repo_fold(path, &f, &err), -1);
	assert_int_equal(count(path, true), 20);
}

/* Readers with handles of before, and with new ones, never miss an object while others come and are folded. */
static void readers_go_on(void **state)
{
	(void)state;
	char path[128];
	int stop[2];
	TRIB_AUTO(trib_repo) struct trib_repo *r = repo("readers.git", path);
	put_pack(path, 0, 4);
	put(r, 4, 100);
	assert_int_equal(pipe(stop), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) { /* libgit2 in a child of its own kind: only its own handles are used */
		close(stop[1]);
		assert_int_equal(fcntl(stop[0], F_SETFL, O_NONBLOCK), 0);
		for (char c; read(stop[0], &c, 1) != 0;) {
			TRIB_AUTO(trib_repo) struct trib_repo *own = NULL;
			struct trib_err err;
			if (trib_repo_open(path, false, &own, &err))
				_exit(2);
			for (unsigned k = 0; k < 3; k++)
				for (unsigned i = 0; i < 100; i++) {
					char text[512];
					git_oid id;
					TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(512);
					if (git_odb_hash(&id, text, text_of(i, text), GIT_OBJECT_BLOB) || trib_repo_read(own, id.id, TRIB_OBJ_BLOB, 512, &b, &err))
						_exit(3);
				}
		}
		_exit(0);
	}
	close(stop[0]);
	for (unsigned i = 100; i < 500; i += 8) {
		put_pack(path, i, i + 4);
		put(r, i + 4, i + 8);
		(void)fold(path);
	}
	close(stop[1]);
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* kill -9 at any moment: all is there, and the next fold comes to its end. */
static void killed_at_any_moment(void **state)
{
	(void)state;
	char path[128];
	TRIB_AUTO(trib_repo) struct trib_repo *r = repo("killed.git", path);
	unsigned done = 0;
	for (useconds_t us = 200; us < 60000; us *= 2) {
		put(r, done, done + 500);
		done += 500;
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			struct trib_fold f;
			struct trib_err err;
			_exit(trib_repo_fold(path, &f, &err) ? 1 : 0);
		}
		(void)usleep(us);
		(void)kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		all_there_anew(path, done);
		(void)fold(path);
		assert_int_equal(count(path, false), 0);
		all_there_anew(path, done);
		char stale[256];
		(void)snprintf(stale, sizeof(stale), "ls %s/objects/pack/*_git2_* 2>/dev/null", path);
		assert_int_not_equal(system(stale), 0);
	}
}

static void killed_between_pack_and_removal(void **state)
{
	(void)state;
	char path[128];
	TRIB_AUTO(trib_repo) struct trib_repo *r = repo("between.git", path);
	put(r, 0, 500);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct trib_fold f;
		struct trib_err err;
		(void)setenv("TRIBUTARY_CRASH_AT", "fold-written", 1);
		_exit(trib_repo_fold(path, &f, &err) ? 1 : 0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(count(path, false), 500); /* twice there, for now */
	assert_int_equal(count(path, true), 1);
	struct trib_fold f = fold(path);
	assert_int_equal(f.loose, 500);
	assert_int_equal(count(path, true), 1);
	all_there_anew(path, 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_files_stay),
		cmocka_unit_test(loose_become_a_pack),
		cmocka_unit_test(packs_become_few_for_ever),
		cmocka_unit_test(a_push_that_is_not_good_yet_is_left_alone),
		cmocka_unit_test(a_damaged_object_is_named_and_stays),
		cmocka_unit_test(a_damaged_pack_is_named_and_stays),
		cmocka_unit_test(readers_go_on),
		cmocka_unit_test(killed_at_any_moment),
		cmocka_unit_test(killed_between_pack_and_removal),
	};
	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
