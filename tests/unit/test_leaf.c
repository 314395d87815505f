#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/format/leaf.h"

#define H64(d) d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d d
#define T "time 2026-11-25T19:00:00Z\n"
#define NA "node 520303002001\napp register\n"
#define F "format tributary-leaf-1\n"

/* One of each kind, as docs/FORMAT.md F8 lists them. */
static const char *const every[] = {
	F "kind log-open\n" T "origin zunyi%2F1\ncity %E9%81%B5%E4%B9%89\nroot " H64("01") "\nhub " H64("02") "\nlog-key " H64("03") "\n",
	F "kind enrolled\n" T NA "incarnation 2\nname Shi%20Yi\nsign-cert " H64("04") "\ntls-cert " H64("05") "\n",
	F "kind revoked\n" T "cert " H64("06") "\n" NA "reason key-compromise\n",
	F "kind crl\n" T "number 7\nsha256 " H64("07") "\n",
	F "kind policy\n" T "version 8\nsha256 " H64("08") "\n",
	F "kind held\n" T NA "incarnation 1\nseq 9223372036854775807\npart 2/3\nmanifest " H64("09") "\ncommit " H64("0a")
	"\noid 0123456789abcdef0123456789abcdef01234567\nsigner " H64("0b") "\ncrl 0\n",
	F "kind merged\n" T NA "seq 1\nmanifest " H64("0c") "\n",
	F "kind out-of-step\n" T NA "seq 1\nmanifest " H64("0d") "\ntable %\nkey 01ff\nreason missing-row\n",
	F "kind refused\n" T NA "code bad-signature\nobject " H64("0e") "\n",
	F "kind person\n" T "role auditor\nname Wang\nusage tls\ncert " H64("0f") "\n",
	F "kind person-revoked\n" T "cert " H64("10") "\nname Wang\nreason left-office\n",
	F "kind act\n" T "what node-add\nby %E7%8E%8B\nnode n1\napp -\nobject " H64("11") "\ndetail %\n",
	F "kind night\n" T "from 2026-11-25T00:00:00Z\nto 2026-11-26T00:00:00Z\nexpected 3\nreported 2\nsilent 1\nsha256 " H64("12") "\n",
	F "kind epoch\n" T "origin zunyi%2F2\nsize 17\nroot " H64("13") "\nlog-key " H64("14") "\nadmin-cert YWI=\nissuing-cert YWJj\nsignature YQ==\n",
};

static int parse(const char *text, struct trib_leaf *ret, struct trib_err *err)
{
	return trib_leaf_parse(trib_span_str(text), ret, err);
}

static void every_kind_round_trips(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_leaf leaf;
	for (size_t i = 0; i < TRIB_COUNT(every); i++) {
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_LEAF_MAX);
		assert_int_equal(parse(every[i], &leaf, &err), 0);
		assert_int_equal(leaf.kind, i);
		trib_leaf_put(&b, &leaf);
		assert_string_equal(trib_buf_str(&b), every[i]);
		for (size_t n = 0; n < b.len; n++)
			assert_int_equal(trib_leaf_parse(trib_span(b.p, n), &leaf, &err), -1);
		trib_buf_puts(&b, "more 1\n");
		assert_int_equal(trib_leaf_parse(trib_buf_span(&b), &leaf, &err), -1);
	}
}

static void members_land_in_their_places(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_leaf l;
	assert_int_equal(parse(every[TRIB_LEAF_LOG_OPEN], &l, &err), 0);
	assert_string_equal(l.origin, "zunyi/1");
	assert_string_equal(l.name, "遵义");
	assert_int_equal(l.time, 1795633200);
	assert_true(l.cert[0] == 1 && l.cert2[0] == 2 && l.sha256[31] == 3);
	assert_int_equal(parse(every[TRIB_LEAF_ENROLLED], &l, &err), 0);
	assert_string_equal(l.name, "Shi Yi");
	assert_true(l.incarnation == 2 && l.cert[0] == 4 && l.cert2[0] == 5 && l.origin[0] == 0);
	assert_int_equal(parse(every[TRIB_LEAF_POLICY], &l, &err), 0);
	assert_int_equal(l.number, 8);
	assert_int_equal(parse(every[TRIB_LEAF_HELD], &l, &err), 0);
	assert_true(l.seq == INT64_MAX && l.part == 2 && l.parts == 3 && l.manifest[0] == 9 && l.commit[0] == 10 && l.signer[0] == 11);
	assert_true(l.oid[0] == 1 && l.oid[19] == 0x67);
	assert_string_equal(l.node, "520303002001");
	assert_string_equal(l.app, "register");
	assert_int_equal(parse(every[TRIB_LEAF_OUT_OF_STEP], &l, &err), 0);
	assert_true(l.key_len == 2 && l.key[1] == 0xff && l.name[0] == '\0');
	assert_string_equal(l.word, "missing-row");
	assert_int_equal(parse(every[TRIB_LEAF_REFUSED], &l, &err), 0);
	assert_string_equal(l.word, "bad-signature");
	assert_int_equal(l.sha256[5], 14);
	assert_int_equal(parse(every[TRIB_LEAF_PERSON], &l, &err), 0);
	assert_string_equal(l.word, "auditor");
	assert_string_equal(l.name, "Wang");
	assert_string_equal(l.usage, "tls");
	assert_int_equal(l.cert[0], 15);
	assert_int_equal(parse(every[TRIB_LEAF_ACT], &l, &err), 0);
	assert_string_equal(l.origin, "王");
	assert_string_equal(l.node, "n1");
	assert_true(l.app[0] == '\0' && l.name[0] == '\0' && l.sha256[0] == 17);
	assert_int_equal(parse(every[TRIB_LEAF_NIGHT], &l, &err), 0);
	assert_true(l.to - l.from == 86400 && l.expected == 3 && l.reported == 2 && l.silent == 1 && l.sha256[0] == 18);
	assert_int_equal(parse(every[TRIB_LEAF_EPOCH], &l, &err), 0);
	assert_true(l.number == 17 && l.manifest[0] == 19 && l.sha256[0] == 20 && trib_span_is(l.admin_cert, "YWI=") && trib_span_is(l.signature, "YQ=="));
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_LEAF_MAX);
	trib_leaf_put_signed(&b, &l);
	trib_buf_puts(&b, "signature YQ==\n");
	assert_string_equal(trib_buf_str(&b), every[TRIB_LEAF_EPOCH]);
}

static void a_leaf_may_mean_no_row(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_leaf l;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_LEAF_MAX);
	static const char text[] = F "kind out-of-step\n" T NA "seq 1\nmanifest " H64("0d") "\ntable t\nkey -\nreason r\n";
	assert_int_equal(parse(text, &l, &err), 0);
	assert_int_equal(l.key_len, 0);
	trib_leaf_put(&b, &l);
	assert_string_equal(trib_buf_str(&b), text);
}

static void other_values_are_refused(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_leaf l;
	static const char *const wrong[] = {
		"", F, F "kind other\n" T, "format tributary-leaf-2\nkind crl\n" T "number 7\nsha256 " H64("07") "\n",
		F "kind crl\n" T "number 07\nsha256 " H64("07") "\n", F "kind crl\n" T "sha256 " H64("07") "\nnumber 7\n",
		F "kind crl\n" T "number 7\nsha256 " H64("0A") "\n", F "kind crl\ntime 2026-02-30T00:00:00Z\nnumber 7\nsha256 " H64("07") "\n",
		F "kind refused\n" T NA "code Bad\nobject " H64("0e") "\n", F "kind refused\n" T NA "code a b\nobject " H64("0e") "\n",
		F "kind refused\n" T "node .x\napp a\ncode a\nobject " H64("0e") "\n",
		F "kind out-of-step\n" T NA "seq 1\nmanifest " H64("0d") "\ntable a%00b\nkey 01\nreason r\n",
		F "kind out-of-step\n" T NA "seq 1\nmanifest " H64("0d") "\ntable t\nkey 1\nreason r\n",
		F "kind out-of-step\n" T NA "seq 1\nmanifest " H64("0d") "\ntable t\nkey 010\nreason r\n",
	};
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++)
		assert_int_equal(parse(wrong[i], &l, &err), -1);
	static const char *const codes[] = {"YWI", "YWI=\nx 1", "YW I=", "YWJ=", "*", "YWI=YWI=", "="};
	for (size_t i = 0; i < TRIB_COUNT(codes); i++) {
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_LEAF_MAX);
		const char *at = strstr(every[TRIB_LEAF_EPOCH], "YWI=");
		trib_buf_put(&b, every[TRIB_LEAF_EPOCH], (size_t)(at - every[TRIB_LEAF_EPOCH]));
		trib_buf_puts(&b, codes[i]);
		trib_buf_puts(&b, at + 4);
		assert_int_equal(trib_leaf_parse(trib_buf_span(&b), &l, &err), -1);
	}
	static const char *const parts[] = {"0/1", "2/1", "1", "1/", "/1", "1/1/1", "1/65536", "01/1"};
	for (size_t i = 0; i < TRIB_COUNT(parts); i++) {
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_LEAF_MAX);
		const char *at = strstr(every[TRIB_LEAF_HELD], "2/3");
		trib_buf_put(&b, every[TRIB_LEAF_HELD], (size_t)(at - every[TRIB_LEAF_HELD]));
		trib_buf_puts(&b, parts[i]);
		trib_buf_puts(&b, at + 3);
		assert_int_equal(trib_leaf_parse(trib_buf_span(&b), &l, &err), -1);
	}
}

static void keys_names_and_words_hold_their_limits(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_leaf l;
	for (size_t more = 0; more < 2; more++) {
		TRIB_AUTO(trib_buf) struct trib_buf k = TRIB_BUF(TRIB_LEAF_MAX), n = TRIB_BUF(TRIB_LEAF_MAX), w = TRIB_BUF(TRIB_LEAF_MAX);
		trib_buf_puts(&k, F "kind out-of-step\n" T NA "seq 1\nmanifest " H64("0d") "\ntable t\nkey ");
		for (size_t i = 0; i < 256 + more; i++)
			trib_buf_puts(&k, "ab");
		trib_buf_puts(&k, "\nreason r\n");
		assert_int_equal(trib_leaf_parse(trib_buf_span(&k), &l, &err), more ? -1 : 0);
		trib_buf_puts(&n, F "kind out-of-step\n" T NA "seq 1\nmanifest " H64("0d") "\ntable ");
		for (size_t i = 0; i < TRIB_TITLE_MAX + more; i++)
			trib_buf_puts(&n, "%20");
		trib_buf_puts(&n, "\nkey -\nreason r\n");
		assert_int_equal(trib_leaf_parse(trib_buf_span(&n), &l, &err), more ? -1 : 0);
		trib_buf_printf(&w, F "kind refused\n" T NA "code %.*s\nobject " H64("0e") "\n", (int)(63 + more),
				"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
		assert_int_equal(trib_leaf_parse(trib_buf_span(&w), &l, &err), more ? -1 : 0);
	}
	TRIB_AUTO(trib_buf) struct trib_buf big = TRIB_BUF(SIZE_MAX / 2);
	memset(trib_buf_grow(&big, TRIB_LEAF_MAX + 1), 'x', TRIB_LEAF_MAX + 1);
	assert_int_equal(trib_leaf_parse(trib_buf_span(&big), &l, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_round_trips),
		cmocka_unit_test(members_land_in_their_places),
		cmocka_unit_test(a_leaf_may_mean_no_row),
		cmocka_unit_test(other_values_are_refused),
		cmocka_unit_test(keys_names_and_words_hold_their_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
