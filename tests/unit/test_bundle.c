#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/base/fs.h"
#include "core/format/bundle.h"
#include "core/store/bundlefile.h"

#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define V2 "# v2 git bundle\n"

static void headers_round_trip(void **state)
{
	(void)state;
	static const char text[] = V2 "-" A "\n" B " refs/heads/main\n" A " HEAD\n\n";
	struct trib_err err;
	struct trib_bundle h;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MIB);
	trib_buf_puts(&b, text);
	trib_buf_puts(&b, "PACK");
	assert_int_equal(trib_bundle_parse(trib_buf_span(&b), &h, &err), 0);
	assert_int_equal(h.head_len, strlen(text));
	assert_true(h.nprerequisites == 1 && h.prerequisites[0][0] == 0xaa && h.nrefs == 2 && h.refs[0].oid[0] == 0xbb);
	assert_string_equal(h.refs[0].name, "refs/heads/main");
	assert_string_equal(h.refs[1].name, "HEAD");
	for (size_t n = 0; n < h.head_len; n++)
		assert_int_equal(trib_bundle_parse(trib_span(b.p, n), &(struct trib_bundle){0}, &err), -1);
	trib_buf_reset(&b);
	trib_bundle_put_header(&b, &h);
	assert_string_equal(trib_buf_str(&b), text);
}

static void other_headers_are_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"", "\n", V2 "\n", V2 "-" A "\n\n", "# v3 git bundle\n" A " r\n\n", V2 A "\n\n", V2 A " \n\n", V2 A "  r\n\n", V2 A " a b\n\n",
		V2 A " r\n-" B "\n\n", V2 "-" A "x\n" A " r\n\n", V2 "-x\n" A " r\n\n", V2 A " r\n" A " r\n\n", V2 "@object-format=sha1\n" A " r\n\n",
		V2 A " r\n",
	};
	struct trib_err err;
	struct trib_bundle h;
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++)
		assert_int_equal(trib_bundle_parse(trib_span_str(wrong[i]), &h, &err), -1);
	for (size_t k = TRIB_BUNDLE_REFS_MAX; k <= TRIB_BUNDLE_REFS_MAX + 1; k++) {
		TRIB_AUTO(trib_buf) struct trib_buf r = TRIB_BUF(TRIB_MIB), p = TRIB_BUF(TRIB_MIB), n = TRIB_BUF(TRIB_MIB);
		trib_buf_puts(&r, V2);
		trib_buf_puts(&p, V2);
		for (size_t i = 0; i < k; i++) {
			trib_buf_printf(&r, A " r%zu\n", i);
			trib_buf_puts(&p, "-" A " a subject\n");
		}
		trib_buf_puts(&r, "\n");
		trib_buf_puts(&p, A " r\n\n");
		trib_buf_printf(&n, V2 A " %0*d\n\n", (int)(127 + k - TRIB_BUNDLE_REFS_MAX), 0);
		const struct trib_buf *all[] = {&r, &p, &n};
		for (size_t i = 0; i < TRIB_COUNT(all); i++) {
			assert_int_equal(trib_bundle_parse(trib_buf_span(all[i]), &h, &err), k == TRIB_BUNDLE_REFS_MAX ? 0 : -1);
			if (k > TRIB_BUNDLE_REFS_MAX)
				assert_int_equal(err.code, TRIB_E_LIMIT);
		}
	}
	TRIB_AUTO(trib_buf) struct trib_buf big = TRIB_BUF(TRIB_MIB);
	trib_buf_puts(&big, V2 "-" A " ");
	memset(trib_buf_grow(&big, 70000), 'x', 70000);
	trib_buf_puts(&big, "\n" A " r\n\n");
	assert_int_equal(trib_bundle_parse(trib_buf_span(&big), &h, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
}

/* Both directions against git: it lists what our header says, and we read what it makes. */
static void git_reads_ours_and_we_read_gits(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_bundle h;
	char dir[] = "/tmp/trib-bundle-XXXXXX";
	assert_non_null(mkdtemp(dir));
	TRIB_AUTO(trib_mem) char *script = trib_pathf(
		"cd '%s' && export HOME=\"$PWD\" GIT_CONFIG_NOSYSTEM=1 && exec 2>/dev/null >/dev/null && git init -q -b main . && git config user.name n && "
		"git config user.email e && for i in 1 2 3; do echo $i > f && git add f && git commit -qm \"number $i\"; done && "
		"git bundle create -q --version=2 git.bundle main ^main~1 && printf 'main\\n^main~1\\n' | git pack-objects --revs --thin --stdout -q > pack", dir);
	assert_int_equal(system(script), 0);
	TRIB_AUTO(trib_mem) char *theirs = trib_path(dir, "git.bundle"), *pack = trib_path(dir, "pack"), *ours = trib_path(dir, "our.bundle");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MIB), o = TRIB_BUF(TRIB_MIB);
	assert_int_equal(trib_fs_read(theirs, &b, &err), 0);
	assert_int_equal(trib_bundle_parse(trib_buf_span(&b), &h, &err), 0);
	assert_true(h.nprerequisites == 1 && h.nrefs == 1);
	assert_string_equal(h.refs[0].name, "refs/heads/main");
	assert_memory_equal(b.p + h.head_len, "PACK", 4);
	trib_bundle_put_header(&o, &h);
	assert_int_equal(trib_fs_read(pack, &o, &err), 0);
	assert_int_equal(trib_fs_write(ours, trib_buf_span(&o), 0600, &err), 0);
	TRIB_AUTO(trib_mem) char *verify = trib_pathf("cd '%s' && git bundle verify -q our.bundle >/dev/null 2>&1 && git bundle list-heads our.bundle | grep -q refs/heads/main", dir);
	assert_int_equal(system(verify), 0);
	assert_int_equal(trib_fs_remove_tree(dir, &err), 0);
}

/* ---- into a repository ---- */

static size_t objects(const char *repo)
{
	TRIB_AUTO(trib_mem) char *cmd = trib_pathf("exit $(find '%s/objects' -type f | wc -l)", repo);
	return (size_t)(system(cmd) >> 8);
}

static void shell(const char *dir, const char *script)
{
	TRIB_AUTO(trib_mem) char *cmd = trib_pathf("cd '%s' && export HOME=\"$PWD\" GIT_CONFIG_NOSYSTEM=1 && exec >/dev/null 2>&1 && %s", dir, script);
	assert_int_equal(system(cmd), 0);
}

/* What a refused bundle brought goes again; what was there before stays, though the bundle brings it too. */
static void a_loaded_bundle_can_be_taken_away_again(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_bundle h;
	char dir[] = "/tmp/trib-bundle-XXXXXX";
	assert_non_null(mkdtemp(dir));
	assert_int_equal(trib_repo_lib_init(&err), 0);
	shell(dir, "git init -q -b main src && cd src && git config user.name n && git config user.email e && for i in 1 2 3; do echo $i > f && git add f && git commit -qm $i; done && "
		   "git branch b main~1 && git bundle create -q --version=2 ../first.bundle b && "
		   "git bundle create -q --version=2 ../all.bundle main && git bundle create -q --version=2 ../thin.bundle b..main && head -c -30 ../all.bundle > ../cut.bundle");
	TRIB_AUTO(trib_mem) char *path = trib_path(dir, "into.git"), *first = trib_path(dir, "first.bundle"), *all = trib_path(dir, "all.bundle"), *thin = trib_path(dir, "thin.bundle"),
				       *cut = trib_path(dir, "cut.bundle");
	TRIB_AUTO(trib_repo) struct trib_repo *into = NULL;
	TRIB_AUTO(trib_bundle_loaded) struct trib_bundle_loaded one = {0}, two = {0}, three = {0};
	assert_int_equal(trib_repo_create(path, &into, &err), 0);
	assert_int_equal(trib_bundle_load(cut, into, &h, &one, &err), -1);
	assert_int_equal(trib_bundle_load(thin, into, &h, &one, &err), -1);
	assert_int_equal(err.code, TRIB_E_NOT_FOUND);
	assert_int_equal(objects(path), 0);
	assert_int_equal(trib_bundle_load(first, into, &h, &one, &err), 0);
	assert_int_equal(one.n, 6);
	assert_int_equal(trib_bundle_load(all, into, &h, &two, &err), 0);
	assert_int_equal(two.n, 3);
	assert_int_equal(objects(path), 9);
	assert_int_equal(trib_bundle_unload(into, &two, &err), 0);
	assert_int_equal(objects(path), 6);
	for (size_t i = 0; i < one.n; i++)
		assert_true(trib_repo_has(into, one.oid[i]));
	for (size_t i = 0; i < two.n; i++)
		assert_false(trib_repo_has(into, two.oid[i]));
	assert_int_equal(trib_bundle_load(thin, into, &h, &three, &err), 0);
	assert_int_equal(three.n, 3);
	assert_int_equal(trib_bundle_unload(into, &three, &err) || trib_bundle_unload(into, &one, &err), 0);
	assert_int_equal(objects(path), 0);
	assert_int_equal(trib_fs_remove_tree(dir, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers_round_trip),
		cmocka_unit_test(other_headers_are_refused),
		cmocka_unit_test(git_reads_ours_and_we_read_gits),
		cmocka_unit_test(a_loaded_bundle_can_be_taken_away_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
