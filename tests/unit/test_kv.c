#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/format/kv.h"

static void lines_are_taken_in_order(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_span f[8];
	struct trib_kv kv = trib_kv(trib_span_str("a 1\nbb x y ~!\nc a b c d e f g h\n"));
	uint64_t n = 0;
	assert_true(trib_kv_at(&kv, "a"));
	assert_false(trib_kv_at(&kv, "b"));
	assert_int_equal(trib_kv_take_u64(&kv, "a", &n, &err), 0);
	assert_int_equal(n, 1);
	assert_int_equal(trib_kv_end(&kv, &err), -1);
	assert_false(trib_kv_at(&kv, "b"));
	assert_int_equal(trib_kv_take(&kv, "bb", 3, f, &err), 0);
	assert_true(trib_span_is(f[2], "~!"));
	assert_int_equal(trib_kv_take(&kv, "c", 8, f, &err), 0);
	assert_true(trib_span_is(f[7], "h"));
	assert_int_equal(kv.line, 3);
	assert_int_equal(trib_kv_end(&kv, &err), 0);
	assert_int_equal(trib_kv_take(&kv, "d", 1, f, &err), -1);
	assert_non_null(strstr(err.msg, "line 4"));
}

static void other_lines_are_refused_with_their_number(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t n, nfields;
	} wrong[] = {
#define L(s, k) {s, sizeof(s) - 1, k}
		L("", 1),           L("k", 1),           L("k ", 1),          L("k \n", 1),         L("k v", 1),
		L("k  v\n", 1),     L("k v \n", 1),      L("k v\r\n", 1),     L("k v w\n", 1),      L("k v\n", 2),
		L("k v  w\n", 2),   L("k v\tw\n", 1),    L("k v\0\n", 1),     L("k \x7f\n", 1),     L("k \x80\n", 1),
		L(" k v\n", 1),     L("K v\n", 1),       L("kk v\n", 1),      L("k\nv\n", 1),       L("k a b c d e f g h i\n", 9),
		L("k v\n", 0),
	};
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++) {
		struct trib_err err;
		struct trib_span f[9] = {{0}};
		struct trib_kv kv = trib_kv(trib_span(wrong[i].text, wrong[i].n));
		assert_int_equal(trib_kv_take(&kv, "k", wrong[i].nfields, f, &err), -1);
		assert_int_equal(err.code, TRIB_E_FORMAT);
		assert_non_null(strstr(err.msg, "line 1"));
		assert_null(f[0].p);
		assert_int_equal(kv.rest.n, wrong[i].n);
	}
}

static void numbers_are_canonical(void **state)
{
	(void)state;
	static const char *const wrong[] = {"00", "01", "+1", "-1", "1a", "0x1", "9223372036854775808", "99999999999999999999", "18446744073709551617"};
	const struct trib_kv kv = {.line = 7};
	struct trib_err err;
	uint64_t n = 5;
	assert_int_equal(trib_kv_u64(&kv, trib_span_str("0"), "n", &n, &err), 0);
	assert_true(n == 0);
	assert_int_equal(trib_kv_u64(&kv, trib_span_str("9223372036854775807"), "n", &n, &err), 0);
	assert_true(n == INT64_MAX);
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++) {
		n = 5;
		assert_int_equal(trib_kv_u64(&kv, trib_span_str(wrong[i]), "count", &n, &err), -1);
		assert_int_equal(err.code, TRIB_E_FORMAT);
		assert_non_null(strstr(err.msg, "line 7: count"));
		assert_true(n == 5);
	}
	assert_int_equal(trib_kv_u64(&kv, trib_span("", 0), "n", &n, &err), -1);
}

static void fields_of_other_kinds(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_kv kv = trib_kv(trib_span_str("h 0aff\nt 2026-11-25T19:00:00Z\ni n-1\nis v\nis w\nh 0aFF\nt x\n"));
	uint8_t h[2];
	int64_t t = 0;
	char id[65];
	assert_int_equal(trib_kv_take_hex(&kv, "h", h, 2, &err), 0);
	assert_int_equal(h[1], 0xff);
	assert_int_equal(trib_kv_take_time(&kv, "t", &t, &err), 0);
	assert_true(t == 1795633200);
	assert_int_equal(trib_kv_take_id(&kv, "i", id, sizeof(id), &err), 0);
	assert_string_equal(id, "n-1");
	assert_int_equal(trib_kv_take_is(&kv, "is", "v", &err), 0);
	assert_int_equal(trib_kv_take_is(&kv, "is", "v", &err), -1);
	assert_non_null(strstr(err.msg, "line 5"));
	assert_int_equal(trib_kv_take_hex(&kv, "h", h, 2, &err), -1);
	assert_int_equal(trib_kv_take_time(&kv, "t", &t, &err), -1);
	assert_int_equal(err.code, TRIB_E_FORMAT);
	assert_non_null(strstr(err.msg, "line 7: t"));
	assert_int_equal(trib_kv_id(&kv, trib_span_str("abcd"), "id", id, 4, &err), -1);
	assert_int_equal(trib_kv_id(&kv, trib_span_str("abcd"), "id", id, 5, &err), 0);
}

static void ids_have_an_alphabet_and_a_length(void **state)
{
	(void)state;
	char id[66];
	memset(id, 'a', 65);
	id[65] = '\0';
	assert_true(trib_id_valid(trib_span(id, 64)));
	assert_false(trib_id_valid(trib_span(id, 65)));
	assert_false(trib_id_valid(trib_span(id, 0)));
	assert_true(trib_id_valid(trib_span_str("_x.Z-9")));
	assert_false(trib_id_valid(trib_span_str(".x")));
	assert_false(trib_id_valid(trib_span_str("-x")));
	assert_false(trib_id_valid(trib_span_str("..")));
	assert_false(trib_id_valid(trib_span_str("a/b")));
	assert_false(trib_id_valid(trib_span_str("a\xc3\xa9")));
	assert_false(trib_id_valid(trib_span("a\0b", 3)));
}

static void every_byte_has_one_percent_form(void **state)
{
	(void)state;
	for (unsigned c = 0; c < 256; c++) {
		TRIB_AUTO(trib_buf) struct trib_buf enc = TRIB_BUF(16), dec = TRIB_BUF(16);
		uint8_t byte = (uint8_t)c;
		trib_pct(&enc, trib_span(&byte, 1));
		bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' || c == '_' || c == '-';
		assert_int_equal(enc.len, plain ? 1 : 3);
		assert_true(trib_unpct(&dec, trib_buf_span(&enc)));
		assert_int_equal(dec.len, 1);
		assert_int_equal(dec.p[0], c);
		char other[8];
		(void)snprintf(other, sizeof(other), "%%%02x", c); /* lower case, or not needed */
		trib_buf_reset(&dec);
		if (!trib_span_is(trib_buf_span(&enc), other))
			assert_false(trib_unpct(&dec, trib_span_str(other)));
	}
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(64);
	trib_pct(&b, trib_span("", 0));
	trib_pct(&b, trib_span_str("城 a"));
	assert_string_equal(trib_buf_str(&b), "%%E5%9F%8E%20a");
}

static void percent_refuses(void **state)
{
	(void)state;
	static const char *const wrong[] = {"", "%2", "a%", "%2g", "%G0", "%41", "a b", "a/b", "%2f", "%%"};
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++) {
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(64);
		assert_false(trib_unpct(&b, trib_span_str(wrong[i])));
	}
	const struct trib_kv kv = {.line = 3};
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(64);
	trib_buf_puts(&b, "x");
	assert_int_equal(trib_kv_name(&kv, trib_span_str("%20abc"), "name", 4, &b, &err), 0);
	assert_string_equal(trib_buf_str(&b), "x abc");
	assert_int_equal(trib_kv_name(&kv, trib_span_str("%20abc"), "name", 3, &b, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
	assert_int_equal(b.len, 5);
	assert_int_equal(trib_kv_name(&kv, trib_span_str("%20%"), "name", 3, &b, &err), -1);
	assert_int_equal(err.code, TRIB_E_FORMAT);
	assert_int_equal(b.len, 5);
	assert_int_equal(trib_kv_name(&kv, trib_span_str("%"), "name", 0, &b, &err), 0);
	assert_int_equal(b.len, 5);
}

static void folding_lowers_ascii_alone(void **state)
{
	(void)state;
	char s[] = "@AZ[`az{\xc3\x89";
	trib_fold((uint8_t *)s, strlen(s));
	assert_string_equal(s, "@az[`az{\xc3\x89");
	assert_int_equal(trib_fold_cmp(trib_span_str("AbC"), trib_span_str("aBc")), 0);
	assert_true(trib_fold_cmp(trib_span_str("B"), trib_span_str("a")) > 0);
	assert_true(trib_fold_cmp(trib_span_str("_"), trib_span_str("A")) < 0); /* 'a', not 'A', is compared */
	assert_true(trib_fold_cmp(trib_span_str("\xff"), trib_span_str("A")) > 0);
	assert_true(trib_fold_cmp(trib_span_str("ab"), trib_span_str("ABC")) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_taken_in_order),
		cmocka_unit_test(other_lines_are_refused_with_their_number),
		cmocka_unit_test(numbers_are_canonical),
		cmocka_unit_test(fields_of_other_kinds),
		cmocka_unit_test(ids_have_an_alphabet_and_a_length),
		cmocka_unit_test(every_byte_has_one_percent_form),
		cmocka_unit_test(percent_refuses),
		cmocka_unit_test(folding_lowers_ascii_alone),
	};
	return cmocka_run_group_tests_name("kv", tests, NULL, NULL);
}
