#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/format/config.h"

static int collect(void *ctx, const char *key, const char *value, struct trib_err *err)
{
	trib_buf_printf(ctx, "%s=%s;", key, value);
	return strcmp(key, "wrong") == 0 ? trib_fail(err, TRIB_E_USAGE, "no such key") : 0;
}

static const char *read_text(const char *text, struct trib_buf *b, struct trib_err *err)
{
	trib_buf_reset(b);
	return trib_config_parse(trib_span_str(text), collect, b, err) ? NULL : trib_buf_str(b);
}

static void lines_are_told_in_their_order(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MIB);
	assert_string_equal(read_text("", &b, &err), "");
	assert_string_equal(read_text("# nothing\n\n  \t\n   # as before", &b, &err), "");
	assert_string_equal(read_text("state /srv/a b/城市\nserve.listen\t 0.0.0.0:8443  \n\n  lang zh_CN", &b, &err), "state=/srv/a b/城市;serve.listen=0.0.0.0:8443;lang=zh_CN;");
	assert_string_equal(read_text("node-add.url https://h:1 # no comment\n", &b, &err), "node-add.url=https://h:1 # no comment;");
}

static void other_lines_are_refused_with_their_number(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MIB);
	static const char *const wrong[] = {"a 1\nstate\n", "a 1\nstate \n", "a 1\nState x\n", "a 1\nstate=x\n", "a 1\n= x\n", "a 1\nb c\001\n", "a 1\nb c\r\n", "a 1\na 2\n", "a 1\nwrong x\n"};
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++) {
		assert_null(read_text(wrong[i], &b, &err));
		assert_non_null(strstr(err.msg, "line 2: "));
	}
	assert_int_equal(trib_config_parse(trib_span("a b\0c", 5), collect, &b, &err), -1);
}

static void limits_hold(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(8 * TRIB_MIB), text = TRIB_BUF(TRIB_MIB);
	for (int i = 0; i < TRIB_CONFIG_LINES_MAX; i++)
		trib_buf_printf(&text, "k%d v\n", i);
	assert_non_null(read_text(trib_buf_str(&text), &b, &err));
	trib_buf_puts(&text, "more v\n");
	assert_null(read_text(trib_buf_str(&text), &b, &err));
	assert_int_equal(err.code, TRIB_E_LIMIT);
	static const struct { size_t key, value; bool good; } sizes[] = {
		{TRIB_CONFIG_KEY_MAX, 1, true}, {TRIB_CONFIG_KEY_MAX + 1, 1, false}, {1, TRIB_CONFIG_VALUE_MAX, true}, {1, TRIB_CONFIG_VALUE_MAX + 1, false}};
	for (size_t i = 0; i < TRIB_COUNT(sizes); i++) {
		trib_buf_reset(&text);
		for (size_t k = 0; k < sizes[i].key; k++)
			trib_buf_putc(&text, 'k');
		trib_buf_putc(&text, ' ');
		for (size_t k = 0; k < sizes[i].value; k++)
			trib_buf_putc(&text, 'v');
		assert_int_equal(read_text(trib_buf_str(&text), &b, &err) != NULL, sizes[i].good);
		if (!sizes[i].good)
			assert_int_equal(err.code, TRIB_E_LIMIT);
	}
	trib_buf_reset(&text);
	while (text.len < TRIB_CONFIG_MAX)
		trib_buf_putc(&text, '\n');
	assert_non_null(read_text(trib_buf_str(&text), &b, &err));
	trib_buf_putc(&text, '\n');
	assert_null(read_text(trib_buf_str(&text), &b, &err));
	assert_int_equal(err.code, TRIB_E_LIMIT);
}

static void a_missing_file_is_named(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MIB);
	assert_int_equal(trib_config_read("/nonexistent/tributary.conf", collect, &b, &err), -1);
	assert_int_equal(err.code, TRIB_E_NOT_FOUND);
	assert_non_null(strstr(err.msg, "/nonexistent/tributary.conf"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_told_in_their_order),
		cmocka_unit_test(other_lines_are_refused_with_their_number),
		cmocka_unit_test(limits_hold),
		cmocka_unit_test(a_missing_file_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
