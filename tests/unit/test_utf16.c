#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "core/store/utf16.h"

static void check_pair(const uint16_t *units, size_t n, const char *utf8, size_t utf8_n)
{
	TRIB_AUTO(trib_buf) struct trib_buf a = TRIB_BUF(64), b = TRIB_BUF(64);

	assert_true(trib_utf16_to_wtf8(trib_span(units, n * 2), &a));
	assert_int_equal(a.len, utf8_n);
	if (utf8_n)
		assert_memory_equal(a.p, utf8, utf8_n);
	assert_true(trib_wtf8_to_utf16(trib_span(utf8, utf8_n), &b));
	assert_int_equal(b.len, n * 2);
	if (n)
		assert_memory_equal(b.p, units, n * 2);
}

static void known_answers(void **state)
{
	(void)state;
	check_pair(NULL, 0, "", 0);
	check_pair((const uint16_t[]){'A', 0, 0x7f}, 3, "A\0\x7f", 3);
	check_pair((const uint16_t[]){0x80, 0x7ff}, 2, "\xc2\x80\xdf\xbf", 4);
	check_pair((const uint16_t[]){0x6d17, 0xfeff, 0xffff}, 3, "\xe6\xb4\x97\xef\xbb\xbf\xef\xbf\xbf", 9);
	check_pair((const uint16_t[]){0xd83d, 0xde00}, 2, "\xf0\x9f\x98\x80", 4);
	check_pair((const uint16_t[]){0xdbff, 0xdfff}, 2, "\xf4\x8f\xbf\xbf", 4);
	check_pair((const uint16_t[]){0xd83d}, 1, "\xed\xa0\xbd", 3);
	check_pair((const uint16_t[]){0xde00, 0xd83d}, 2, "\xed\xb8\x80\xed\xa0\xbd", 6);
	check_pair((const uint16_t[]){0xd83d, 0xd83d, 0xde00}, 3, "\xed\xa0\xbd\xf0\x9f\x98\x80", 7);
	check_pair((const uint16_t[]){0xd83d, 'x', 0xde00}, 3, "\xed\xa0\xbdx\xed\xb8\x80", 7);
}

static void every_unit_round_trips(void **state)
{
	(void)state;
	for (uint32_t u = 0; u < 0x10000; u++) {
		TRIB_AUTO(trib_buf) struct trib_buf a = TRIB_BUF(16), b = TRIB_BUF(16);
		uint16_t in[2] = {(uint16_t)u, (uint16_t)(0xffff - u)};

		assert_true(trib_utf16_to_wtf8(trib_span(in, 4), &a));
		assert_true(trib_wtf8_to_utf16(trib_buf_span(&a), &b));
		assert_int_equal(b.len, 4);
		assert_memory_equal(b.p, in, 4);
	}
}

static void refuses_what_it_would_not_write(void **state)
{
	static const struct trib_span bad[] = {
		{(const uint8_t *)"\x80", 1},                     /* a continuation first */
		{(const uint8_t *)"a\xc1\xbf", 3},                /* overlong */
		{(const uint8_t *)"\xe0\x9f\xbf", 3},             /* overlong */
		{(const uint8_t *)"\xf0\x8f\xbf\xbf", 4},         /* overlong */
		{(const uint8_t *)"\xf4\x90\x80\x80", 4},         /* beyond U+10FFFF */
		{(const uint8_t *)"\xe6\xb4", 2},                 /* cut short */
		{(const uint8_t *)"\xe6\xb4" "a", 3},
		{(const uint8_t *)"\xff", 1},
		{(const uint8_t *)"\xed\xa0\xbd\xed\xb8\x80", 6}, /* a pair in two parts */
	};
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(64);

	(void)state;
	trib_buf_puts(&b, "keep");
	for (size_t i = 0; i < TRIB_COUNT(bad); i++) {
		assert_false(trib_wtf8_to_utf16(bad[i], &b));
		assert_string_equal(trib_buf_str(&b), "keep");
	}
	assert_false(trib_utf16_to_wtf8(trib_span("abc", 3), &b));
	assert_string_equal(trib_buf_str(&b), "keep");
}

static void stays_within_the_buffer(void **state)
{
	TRIB_AUTO(trib_buf) struct trib_buf at = TRIB_BUF(6), beyond = TRIB_BUF(5);
	static const uint16_t two[] = {0x6d17, 0x6d17};

	(void)state;
	assert_true(trib_utf16_to_wtf8(trib_span(two, 4), &at));
	assert_false(at.failed);
	trib_utf16_to_wtf8(trib_span(two, 4), &beyond);
	assert_true(beyond.failed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_answers),
		cmocka_unit_test(every_unit_round_trips),
		cmocka_unit_test(refuses_what_it_would_not_write),
		cmocka_unit_test(stays_within_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
