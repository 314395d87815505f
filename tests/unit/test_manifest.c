#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/format/manifest.h"

#define HEX(c) c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c
#define OID "0123456789abcdef0123456789abcdef01234567"
#define TAB(name) "table " name " 1 2 3 40 " HEX("d") "\n"

static const char full[] = "format tributary-manifest-1\n"
			   "city %E9%81%B5%E4%B9%89\n"
			   "node 520303002001\n"
			   "app resident\n"
			   "incarnation 2\n"
			   "seq 7\n"
			   "prev " HEX("a") "\n"
			   "kind adopt\n"
			   "part 2/3\n"
			   "captured-at 2026-11-25T19:00:00Z\n"
			   "checkpoint 12 " HEX("b") "\n"
			   "policy 4\n"
			   "broadcast 5\n"
			   "adopts " OID "\n"
			   "blob changeset.gz " HEX("1") "\n"
			   "blob salt " HEX("2") "\n"
			   "blob schema.sql " HEX("3") "\n"
			   "blob signer.pem " HEX("4") "\n"
			   "changeset 1000 300\n"
			   TAB("%") TAB("a%20b") TAB("sqlite_bag_x") TAB("%E5%9F%8E")
			   "sequence a%20b 17\n"
			   "sequence c 0\n"
			   "renamed - Old New\n"
			   "renamed a%20b From To\n"
			   "renamed a%20b Ga To\n"
			   "braked c 1000\n"
			   "left-out Fts virtual 1\n"
			   "left-out t row-too-large 2\n"
			   "left-out t text-not-convertible 3\n"
			   "digest " HEX("e") "\n";

/* The full text with the first `from` replaced. */
static void changed(struct trib_buf *ret, const char *from, const char *to)
{
	const char *at = strstr(full, from);
	if (!at)
		fail_msg("no %s", from);
	trib_buf_reset(ret);
	trib_buf_put(ret, full, (size_t)(at - full));
	trib_buf_puts(ret, to);
	trib_buf_puts(ret, at + strlen(from));
}

static bool same_again(struct trib_span text, struct trib_err *err)
{
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MANIFEST_MAX);
	if (trib_manifest_parse(text, &m, err)) {
		assert_true(m.tables == NULL && m.seq == 0); /* nothing is left of a refused one */
		return false;
	}
	trib_manifest_put(&b, &m);
	assert_true(trib_span_eq(trib_buf_span(&b), text));
	return true;
}

static void text_and_struct_are_inverse(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {0};
	if (trib_manifest_parse(trib_span_str(full), &m, &err))
		fail_msg("%s", err.msg);
	assert_string_equal(m.city, "遵义");
	assert_string_equal(m.node, "520303002001");
	assert_int_equal(m.kind, TRIB_KIND_ADOPT);
	assert_true(m.part == 2 && m.parts == 3 && m.captured_at == 1795633200 && m.has_adopts && m.raw_len == 1000);
	assert_int_equal(m.ntables, 4);
	assert_string_equal(m.tables[0].name, "");
	assert_string_equal(m.tables[3].name, "城");
	assert_true(m.tables[1].inserted == 1 && m.tables[1].updated == 2 && m.tables[1].deleted == 3 && m.tables[1].rows == 40);
	assert_true(m.nsequences == 2 && m.sequences[0].value == 17);
	assert_true(m.nrenamed == 3 && !m.renamed[0].table && strcmp(m.renamed[1].table, "a b") == 0);
	assert_true(m.nbraked == 1 && m.braked[0].lost == 1000);
	assert_true(m.nleft_out == 3 && strcmp(m.left_out[2].reason, "text-not-convertible") == 0);
	assert_non_null(trib_manifest_blob(&m, "salt"));
	assert_null(trib_manifest_blob(&m, "next.pem"));
	uint64_t i, u, d;
	trib_manifest_counts(&m, &i, &u, &d);
	assert_true(i == 4 && u == 8 && d == 12);
	m.tables[0].inserted = m.tables[1].inserted = UINT64_MAX;
	trib_manifest_counts(&m, &i, &u, &d);
	assert_true(i == UINT64_MAX);
	assert_true(same_again(trib_span_str(full), &err));
}

static void a_report_without_options_parses(void **state)
{
	(void)state;
	struct trib_err err;
	const char *text = "format tributary-manifest-1\ncity -\nnode n\napp a\nincarnation 0\nseq 1\nprev " HEX(
		"0") "\nkind closed\npart 1/1\ncaptured-at 2026-11-25T19:00:00Z\ncheckpoint 0 " HEX("0") "\npolicy 0\nbroadcast 0\nchangeset 0 0\ndigest " HEX("0") "\n";
	assert_true(same_again(trib_span_str(text), &err));
}

static void other_texts_are_refused(void **state)
{
	(void)state;
	static const char *const wrong[][2] = {
		{"manifest-1", "manifest-2"},
		{"seq 7", "seq 0"},
		{"seq 7", "seq 07"},
		{"kind adopt", "kind other"},
		{"kind adopt", "kind change"}, /* adopts in another kind */
		{"part 2/3", "part 0/3"},
		{"part 2/3", "part 4/3"},
		{"part 2/3", "part 2"},
		{"part 2/3", "part 2/03"},
		{"part 2/3", "part /3"},
		{"node 520303002001", "node .x"},
		{"app resident", "app a/b"},
		{"city %E9", "city %00%E9"},
		{"city %E9", "city %e9"},
		{"blob salt", "blob bait"},       /* not rising */
		{"blob salt", "blob schema.sql"}, /* twice */
		{"blob salt", "blob salt2"},
		{"blob changeset.gz " HEX("1") "\n", ""},
		{"changeset 1000 300", "changeset 0 0"},
		{"changeset 1000 300", "changeset 1000 0"},
		{"changeset 1000 300", "changeset 0 300"},
		{"table a%20b", "table sqlite_bag_x"},
		{"table a%20b", "table sqlite_bag_y"},
		{"table a%20b", "table A%20b"},
		{"table a%20b", "table a%00b"},
		{"table a%20b 1 2 3 40 ", "table a%20b 1 2 3 "},
		{"table a%20b 1 ", "table a%20b -1 "},
		{"sequence a%20b", "sequence c"},
		{"sequence a%20b", "sequence A"},
		{"renamed - Old New\n", "renamed - Old New\nrenamed - Old Newer\n"},
		{"renamed - Old New\n", "renamed z Old New\n"},
		{"renamed a%20b From", "renamed a%20b Hb"},
		{"braked c 1000\n", "braked c 1000\nbraked c 1001\n"},
		{"left-out t row-too-large 2", "left-out t row_too_large 2"},
		{"left-out t row-too-large 2", "left-out t aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 2"},
		{"left-out t row-too-large 2", "left-out t x 2"},
		{"left-out t row-too-large 2\n", "left-out t virtual 2\nleft-out t virtual 2\n"},
		{"braked c 1000\n", "braked c 1000\nsequence d 1\n"},
		{"policy 4\n", ""},
		{"policy 4\n", "policy 4\npolicy 4\n"},
		{"policy 4\nbroadcast 5\n", "broadcast 5\npolicy 4\n"},
		{"digest " HEX("e") "\n", "digest " HEX("e") "\n\n"},
		{"digest " HEX("e") "\n", "digest " HEX("e")},
		{"digest " HEX("e") "\n", "digest " HEX("E") "\n"},
	};
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MANIFEST_MAX);
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++) {
		struct trib_err err;
		changed(&b, wrong[i][0], wrong[i][1]);
		if (same_again(trib_buf_span(&b), &err))
			fail_msg("accepted: %s", wrong[i][1]);
		assert_int_equal(err.code, TRIB_E_FORMAT);
		assert_true(strncmp(err.msg, "manifest: line ", 15) == 0);
	}
}

static void cuts_and_flips_are_judged(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_mem) char *copy = strdup(full);
	for (size_t n = 0; n < sizeof(full) - 1; n++)
		assert_false(same_again(trib_span(full, n), &err));
	for (size_t bit = 0; bit < (sizeof(full) - 1) * 8; bit++) {
		copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
		(void)same_again(trib_span(copy, sizeof(full) - 1), &err);
		copy[bit / 8] = (char)(copy[bit / 8] ^ 1 << bit % 8);
	}
}

static void limits_hold(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(2 * TRIB_MANIFEST_MAX), t = TRIB_BUF(2 * TRIB_MANIFEST_MAX);
	changed(&b, "part 2/3", "part 65535/65535");
	assert_true(same_again(trib_buf_span(&b), &err));
	changed(&b, "part 2/3", "part 1/65536");
	assert_false(same_again(trib_buf_span(&b), &err));
	assert_int_equal(err.code, TRIB_E_LIMIT);
	changed(&b, "changeset 1000 300", "changeset 209715200 209715200");
	assert_true(same_again(trib_buf_span(&b), &err));
	changed(&b, "changeset 1000 300", "changeset 209715201 300");
	assert_false(same_again(trib_buf_span(&b), &err));
	assert_int_equal(err.code, TRIB_E_LIMIT);
	for (unsigned extra = 0; extra < 2; extra++) {
		trib_buf_reset(&t);
		for (unsigned i = 0; i < TRIB_TABLES_MAX - 4 + extra; i++)
			trib_buf_printf(&t, "table a%04u 1 2 3 40 " HEX("d") "\n", i);
		changed(&b, TAB("sqlite_bag_x"), "@");
		char *at = memchr(b.p, '@', b.len);
		size_t head = (size_t)(at - (char *)b.p);
		TRIB_AUTO(trib_buf) struct trib_buf all = TRIB_BUF(2 * TRIB_MANIFEST_MAX);
		trib_buf_put(&all, b.p, head);
		trib_buf_put_span(&all, trib_buf_span(&t));
		trib_buf_puts(&all, TAB("sqlite_bag_x"));
		trib_buf_puts(&all, at + 1);
		assert_int_equal(same_again(trib_buf_span(&all), &err), !extra);
	}
	assert_int_equal(err.code, TRIB_E_LIMIT);
	char name[300];
	for (size_t extra = 0; extra < 2; extra++) {
		memset(name, 'b', sizeof(name));
		memcpy(name, "table ", 6);
		name[6 + TRIB_NAME_MAX + 11 + extra] = '\0';
		changed(&b, "table sqlite_bag_x", name);
		assert_int_equal(same_again(trib_buf_span(&b), &err), !extra);
	}
	assert_int_equal(err.code, TRIB_E_LIMIT);
	trib_buf_reset(&b);
	trib_buf_grow(&b, TRIB_MANIFEST_MAX + 1);
	memset(b.p, ' ', b.len);
	assert_false(same_again(trib_buf_span(&b), &err));
	assert_int_equal(err.code, TRIB_E_LIMIT);
	assert_false(same_again(trib_span(b.p, TRIB_MANIFEST_MAX), &err));
	assert_int_equal(err.code, TRIB_E_FORMAT);
}

static void what_is_added_is_sorted(void **state)
{
	(void)state;
	struct trib_err err;
	const uint8_t sha[TRIB_SHA256_LEN] = {1};
	TRIB_AUTO(trib_manifest) struct trib_manifest m = {.city = "c", .node = "n", .app = "a", .seq = 1, .part = 1, .parts = 1};
	static const char *const names[] = {"Zeta", "b", "城", "A"};
	for (size_t i = 0; i < TRIB_COUNT(names); i++) {
		char own[16];
		(void)snprintf(own, sizeof(own), "%s", names[i]);
		assert_int_equal(trib_manifest_add_table(&m, &(struct trib_mf_table){.name = own, .rows = i}, &err), 0);
		assert_int_equal(trib_manifest_add_sequence(&m, own, i, &err), 0);
		assert_int_equal(trib_manifest_add_renamed(&m, i % 2 ? own : NULL, own, "to", &err), 0);
		assert_int_equal(trib_manifest_add_braked(&m, own, i, &err), 0);
		assert_int_equal(trib_manifest_add_left_out(&m, own, "virtual", i, &err), 0);
		assert_int_equal(trib_manifest_add_left_out(&m, own, "shadow", i, &err), 0);
		memset(own, '!', sizeof(own)); /* names were copied */
	}
	assert_int_equal(trib_manifest_add_left_out(&m, "x", "Bad word", 1, &err), -1);
	assert_int_equal(trib_manifest_add_blob(&m, "schema.sql", sha, &err), 0);
	assert_int_equal(trib_manifest_add_blob(&m, "salt", sha, &err), 0);
	assert_int_equal(trib_manifest_add_blob(&m, "a/b", sha, &err), -1);
	assert_int_equal(trib_manifest_add_blob(&m, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", sha, &err), -1);
	trib_manifest_sort(&m);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MANIFEST_MAX);
	trib_manifest_put(&b, &m);
	if (!same_again(trib_buf_span(&b), &err))
		fail_msg("%s\n%s", err.msg, trib_buf_str(&b));
	assert_string_equal(m.tables[0].name, "a"); /* and folded */
	assert_true(m.tables[0].rows == 3);
	for (int i = 0; i < 6; i++)
		assert_int_equal(trib_manifest_add_blob(&m, "x", sha, &err), 0);
	assert_int_equal(trib_manifest_add_blob(&m, "x", sha, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_and_struct_are_inverse),
		cmocka_unit_test(a_report_without_options_parses),
		cmocka_unit_test(other_texts_are_refused),
		cmocka_unit_test(cuts_and_flips_are_judged),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(what_is_added_is_sorted),
	};
	return cmocka_run_group_tests_name("manifest", tests, NULL, NULL);
}
