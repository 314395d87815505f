#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/base/fs.h"
#include "core/format/commitraw.h"

#define OID1 "1111111111111111111111111111111111111111"
#define OID2 "2222222222222222222222222222222222222222"
#define SHA "abababababababababababababababababababababababababababababababab"
#define WHO "Shi Yi <520303002001/register@tributary> 1764097200 +0000\n"
#define HEAD "tree " OID1 "\nparent " OID2 "\nauthor " WHO "committer " WHO
#define SIG "gpgsig -----BEGIN SIGNED MESSAGE-----\n MIIB/+==\n AAAA\n -----END SIGNED MESSAGE-----\n"
#define PEM "-----BEGIN SIGNED MESSAGE-----\nMIIB/+==\nAAAA\n-----END SIGNED MESSAGE-----"
#define TRAILER "Tributary-Manifest-SHA256: " SHA "\n"

static enum trib_code parse(const char *text, struct trib_commitraw *ret)
{
	struct trib_err err = {0};
	struct trib_commitraw c;
	return trib_commitraw_parse(trib_span_str(text), ret ? ret : &c, &err) < 0 ? err.code : TRIB_OK;
}

static void reads_a_signed_commit_and_takes_it_apart(void **state)
{
	(void)state;
	static const char raw[] = HEAD SIG "\nNight of 25 November\n\n3 rows\nin 2 tables\n\n" TRAILER;
	struct trib_commitraw c;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_COMMIT_MAX), again = TRIB_BUF(TRIB_COMMIT_MAX), pem = TRIB_BUF(TRIB_SIG_MAX);
	assert_int_equal(parse(raw, &c), TRIB_OK);
	assert_true(c.has_parent);
	assert_int_equal(c.tree[19], 0x11);
	assert_int_equal(c.parent[0], 0x22);
	assert_int_equal(c.time, 1764097200);
	assert_int_equal(c.manifest_sha256[31], 0xab);
	assert_true(trib_span_is(c.author_name, "Shi Yi"));
	assert_true(trib_span_is(c.author_email, "520303002001/register@tributary"));
	assert_true(trib_span_is(c.subject, "Night of 25 November"));
	trib_commitraw_pem(&c, &pem);
	assert_string_equal(trib_buf_str(&pem), PEM);
	trib_commitraw_payload(trib_span_str(raw), &c, &b);
	assert_string_equal(trib_buf_str(&b), HEAD "\nNight of 25 November\n\n3 rows\nin 2 tables\n\n" TRAILER);
	trib_commitraw_sign(&again, trib_buf_span(&b), trib_buf_span(&pem));
	assert_string_equal(trib_buf_str(&again), raw);
	assert_int_equal(parse(trib_buf_str(&b), &c), TRIB_OK);
	assert_int_equal(c.signature.n, 0);
}

static void writes_what_it_reads_whatever_the_names_hold(void **state)
{
	(void)state;
	static const uint8_t tree[TRIB_OID_LEN] = {1}, sha[TRIB_SHA256_LEN] = {2};
	struct trib_commitraw c;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_COMMIT_MAX);
	trib_commitraw_put(&b, tree, NULL, "A<B>\nC", "n o/a@tributary>\n", 0, "Tributary-x\nsecond", "\n\ntext\nTributary-y\n\n", sha);
	assert_int_equal(parse(trib_buf_str(&b), &c), TRIB_OK);
	assert_false(c.has_parent);
	assert_true(trib_span_is(c.author_name, "ABC"));
	assert_true(trib_span_is(c.author_email, "no/a@tributary"));
	assert_true(trib_span_is(c.subject, " Tributary-x"));
	assert_non_null(strstr(trib_buf_str(&b), "\n\ntext\n Tributary-y\n\nTributary-Manifest-SHA256: 02"));
	trib_buf_reset(&b);
	trib_commitraw_put(&b, tree, tree, "", "", 253402300799, "", "", sha);
	assert_int_equal(parse(trib_buf_str(&b), &c), TRIB_OK);
	assert_int_equal(c.time, 253402300799);
}

static void refuses_every_other_shape(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"", "\n", "tree " OID1, HEAD, HEAD "\n",
		HEAD "\nS\n" TRAILER, /* no empty line */
		HEAD "\n\n\n" TRAILER, /* no subject */
		HEAD "\nS\n\nT\n" TRAILER, /* text without its empty line */
		HEAD "\nS\n\n\n" TRAILER, HEAD "\nS\n\n\n\n" TRAILER, HEAD "\nS\n\nT\n\n\n" TRAILER, HEAD "\nS\n\n\nT\n\n" TRAILER,
		HEAD "\nS\n\n" TRAILER TRAILER, HEAD "\nS\n\n" TRAILER "\n", HEAD "\nS\n\n" TRAILER "x", HEAD "\nS\n\nTributary-X: 1\n\n" TRAILER,
		HEAD "\nTributary-X: 1\n\n" TRAILER, HEAD "\nS\n\nTributary-Manifest-SHA256: AB\n",
		HEAD "\nS\n\nTributary-Manifest-SHA256: " SHA, HEAD "\nS\n\ntributary-Manifest-SHA256: " SHA "\n",
		HEAD "encoding UTF-8\n\nS\n\n" TRAILER, HEAD "mergetag x\n\nS\n\n" TRAILER,
		HEAD "gpgsig x\n\nS\n\n" TRAILER,
		HEAD "gpgsig -----BEGIN PGP SIGNATURE-----\n AAAA\n -----END PGP SIGNATURE-----\n\nS\n\n" TRAILER,
		HEAD "gpgsig -----BEGIN SIGNED MESSAGE-----\n -----END SIGNED MESSAGE-----\n\nS\n\n" TRAILER,
		HEAD "gpgsig -----BEGIN SIGNED MESSAGE-----\n AAAA\n\nS\n\n" TRAILER,
		HEAD "gpgsig -----BEGIN SIGNED MESSAGE-----\n AAAA\n \n -----END SIGNED MESSAGE-----\n\nS\n\n" TRAILER,
		HEAD "gpgsig -----BEGIN SIGNED MESSAGE-----\n AA A\n -----END SIGNED MESSAGE-----\n\nS\n\n" TRAILER,
		HEAD SIG " more\n\nS\n\n" TRAILER, HEAD SIG SIG "\nS\n\n" TRAILER,
		"parent " OID2 "\ntree " OID1 "\nauthor " WHO "committer " WHO "\nS\n\n" TRAILER,
		"tree " OID1 "0\nauthor " WHO "committer " WHO "\nS\n\n" TRAILER, "tree  " OID1 "\nauthor " WHO "committer " WHO "\nS\n\n" TRAILER,
		"tree " OID1 "\ncommitter " WHO "author " WHO "\nS\n\n" TRAILER,
		"tree " OID1 "\nauthor " WHO "committer Other <a> 1764097200 +0000\n\nS\n\n" TRAILER,
	};
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++)
		assert_string_equal(trib_code_name(parse(wrong[i], NULL)), "bad-format");
	assert_int_equal(parse("tree " OID1 "\nparent " OID2 "\nparent " OID1 "\nauthor " WHO "committer " WHO "\nS\n\n" TRAILER, NULL), TRIB_E_CHAIN);
	assert_int_equal(parse(HEAD "\nS\n\n" TRAILER, NULL), TRIB_OK);
	struct trib_err err;
	struct trib_commitraw c;
	assert_int_equal(trib_commitraw_parse(trib_span(HEAD "\nS\0\n\n" TRAILER, sizeof(HEAD "\nS\0\n\n" TRAILER) - 1), &c, &err), -1);
}

static void refuses_other_spellings_of_the_author(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"A <b> 1 +0100", "A <b> 1 -0000", "A <b> 01 +0000", "A <b> -1 +0000", "A <b>  1 +0000", "A <b> 1  +0000", "A <b>1 +0000",
		"A <b> 253402300800 +0000", "A <b> 9999999999999 +0000", "A <b> +0000", "A <> 1 +0000", "A<b> 1 +0000", " <b> 1 +0000",
		"<b> 1 +0000", "A <b c> 1 +0000", "A <b<c> 1 +0000", "A >b< 1 +0000", "A <b> 1 +0000 ", "A <b> 1",
	};
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++) {
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(4096);
		trib_buf_printf(&b, "tree " OID1 "\nauthor %s\ncommitter %s\n\nS\n\n" TRAILER, wrong[i], wrong[i]);
		assert_string_equal(trib_code_name(parse(trib_buf_str(&b), NULL)), "bad-format");
	}
}

static void holds_its_limits(void **state)
{
	(void)state;
	static const uint8_t tree[TRIB_OID_LEN] = {1}, sha[TRIB_SHA256_LEN] = {2};
	size_t room = TRIB_MESSAGE_MAX - strlen("S\n\n\n\n" TRAILER);
	for (size_t more = 0; more < 2; more++) {
		TRIB_AUTO(trib_mem) char *text = malloc(room + more + 1);
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_COMMIT_MAX);
		assert_non_null(text);
		memset(text, 'x', room + more);
		text[room + more] = '\0';
		trib_commitraw_put(&b, tree, NULL, "n", "e", 1, "S", text, sha);
		assert_int_equal(parse(trib_buf_str(&b), NULL), more ? TRIB_E_LIMIT : TRIB_OK);
	}
	size_t line = strlen(" ") + 64 + 1, frame = strlen(PEM) - strlen("MIIB/+==\nAAAA\n");
	for (size_t more = 0; more < 2; more++) {
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_COMMIT_MAX);
		size_t left = TRIB_SIG_MAX - frame - 1 + more; /* the blank before the last line counts too */
		trib_buf_puts(&b, HEAD "gpgsig -----BEGIN SIGNED MESSAGE-----\n");
		while (left > 0) {
			size_t n = left >= 2 * line ? line : left > line ? left - line : left;
			trib_buf_printf(&b, " %.*s\n", (int)n - 2, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
			left -= n;
		}
		trib_buf_puts(&b, " -----END SIGNED MESSAGE-----\n\nS\n\n" TRAILER);
		assert_int_equal(parse(trib_buf_str(&b), NULL), more ? TRIB_E_LIMIT : TRIB_OK);
	}
	TRIB_AUTO(trib_buf) struct trib_buf big = TRIB_BUF(SIZE_MAX / 2);
	trib_buf_puts(&big, HEAD);
	memset(trib_buf_grow(&big, TRIB_COMMIT_MAX), 'x', TRIB_COMMIT_MAX);
	assert_int_equal(parse(trib_buf_str(&big), NULL), TRIB_E_LIMIT);
}

static void trees_hold_regular_files_of_known_names_only(void **state)
{
	(void)state;
	struct trib_tree_entry e[TRIB_TREE_MAX] = {{"a", {1}}, {"manifest", {2}}, {"salt", {3}}}, got[TRIB_TREE_MAX];
	struct trib_err err;
	size_t n = 0;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(4096);
	trib_tree_put(&b, e, 3);
	assert_int_equal(trib_tree_parse(trib_buf_span(&b), got, &n, &err), 0);
	assert_int_equal(n, 3);
	assert_memory_equal(got, e, 3 * sizeof(e[0]));
	for (size_t cut = 0; cut < b.len; cut++) {
		int whole = cut == 29 || cut == 65;
		assert_int_equal(trib_tree_parse(trib_span(b.p, cut), got, &n, &err), whole && cut ? 0 : -1);
		assert_true(whole || err.code == TRIB_E_TREE);
	}
	static const char *const wrong[] = {"100755 a", "40000 a", "120000 a", "160000 a", "0100644 a", "100644 .git", "100644 ..", "100644 A",
					    "100644 a/b", "100644 ", "100644 a b", "100644 abcdefghijklmnopqrstuvwxyzabcdef"};
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++) {
		trib_buf_reset(&b);
		trib_buf_put(&b, wrong[i], strlen(wrong[i]) + 1);
		trib_buf_put(&b, e[0].oid, TRIB_OID_LEN);
		assert_int_equal(trib_tree_parse(trib_buf_span(&b), got, &n, &err), -1);
		assert_int_equal(err.code, TRIB_E_TREE);
	}
	static const char *const order[][2] = {{"b", "a"}, {"a", "a"}};
	for (size_t i = 0; i < TRIB_COUNT(order); i++) {
		struct trib_tree_entry two[2] = {0};
		memcpy(two[0].name, order[i][0], 2);
		memcpy(two[1].name, order[i][1], 2);
		trib_buf_reset(&b);
		trib_tree_put(&b, two, 2);
		assert_int_equal(trib_tree_parse(trib_buf_span(&b), got, &n, &err), -1);
	}
	for (size_t k = TRIB_TREE_MAX; k <= TRIB_TREE_MAX + 1; k++) {
		trib_buf_reset(&b);
		for (size_t i = 0; i < k; i++)
			trib_tree_put(&b, &(struct trib_tree_entry){{(char)('a' + i)}, {0}}, 1);
		assert_int_equal(trib_tree_parse(trib_buf_span(&b), got, &n, &err), k == TRIB_TREE_MAX ? 0 : -1);
	}
}

/* git itself must find nothing wrong with our objects. */
static void git_accepts_our_objects(void **state)
{
	(void)state;
	struct trib_err err;
	char dir[] = "/tmp/trib-commit-XXXXXX";
	assert_non_null(mkdtemp(dir));
	TRIB_AUTO(trib_mem) char *commit = trib_path(dir, "commit"), *tree = trib_path(dir, "tree");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(4096), t = TRIB_BUF(4096), s = TRIB_BUF(8192);
	struct trib_tree_entry e[] = {{"manifest", {2}}, {"signer.pem", {3}}};
	trib_tree_put(&t, e, 2);
	trib_commitraw_put(&b, e[0].oid, NULL, "", "n/a@tributary", 1764097200, "S", "text", (const uint8_t[TRIB_SHA256_LEN]){1});
	trib_commitraw_sign(&s, trib_buf_span(&b), trib_span_str(PEM "\n"));
	assert_int_equal(trib_fs_write(commit, trib_buf_span(&s), 0600, &err), 0);
	assert_int_equal(trib_fs_write(tree, trib_buf_span(&t), 0600, &err), 0);
	TRIB_AUTO(trib_mem) char *cmd = trib_pathf("cd '%s' && exec >/dev/null 2>&1 && git init -q r && cd r && git hash-object -t tree ../tree && "
						   "git hash-object -t commit ../commit", dir);
	assert_int_equal(system(cmd), 0);
	assert_int_equal(trib_fs_remove_tree(dir, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_a_signed_commit_and_takes_it_apart),
		cmocka_unit_test(writes_what_it_reads_whatever_the_names_hold),
		cmocka_unit_test(refuses_every_other_shape),
		cmocka_unit_test(refuses_other_spellings_of_the_author),
		cmocka_unit_test(holds_its_limits),
		cmocka_unit_test(trees_hold_regular_files_of_known_names_only),
		cmocka_unit_test(git_accepts_our_objects),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
