#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/format/oldreceipts.h"

static struct trib_buf note(void)
{
	struct trib_buf b = TRIB_BUF(TRIB_NOTE_MAX);
	uint8_t root[TRIB_SHA256_LEN] = {7}, sig[64] = {9};
	trib_checkpoint_put_text(&b, "zunyi/1", 42, root);
	trib_note_put_sig(&b, "zunyi/1", (const uint8_t[4]){1, 2, 3, 4}, sig);
	return b;
}

/* A receipts file with `n` receipts. */
static struct trib_buf receipts(size_t n)
{
	struct trib_buf b = TRIB_BUF(TRIB_RECEIPTS_MAX);
	TRIB_AUTO(trib_buf) struct trib_buf end = note();
	const uint8_t proof[2][TRIB_SHA256_LEN] = {{1}, {2}};
	trib_receipts_begin(&b);
	for (size_t i = 0; i < n; i++)
		trib_receipts_put(&b, i, proof, 2, trib_span_str("leaf"));
	trib_receipts_end(&b, trib_buf_span(&end));
	return b;
}

static void what_is_written_is_read(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_OLD_RECEIPTS_MAX), one = receipts(1), three = receipts(3), none = receipts(0);
	struct trib_old_receipts o;
	struct trib_receipts r;
	struct trib_receipt e;
	const struct trib_buf *files[] = {&one, &three, &none};
	trib_old_receipts_begin(&b, "520303002001", "community", true, 5);
	for (size_t i = 0; i < TRIB_COUNT(files); i++)
		trib_old_receipts_put(&b, trib_buf_span(files[i]));
	assert_int_equal(trib_old_receipts_parse(trib_buf_span(&b), &o, &err), 0);
	assert_string_equal(o.node, "520303002001");
	assert_string_equal(o.app, "community");
	assert_true(o.report);
	assert_int_equal(o.omitted, 5);
	static const size_t want[] = {1, 3, 0};
	for (size_t i = 0; i < TRIB_COUNT(want); i++) {
		assert_int_equal(trib_old_receipts_next(&o, &r, &err), 1);
		for (size_t k = 0; k < want[i]; k++)
			assert_int_equal(trib_receipts_next(&r, &e, &err), 1);
		assert_int_equal(trib_receipts_next(&r, &e, &err), 0);
	}
	assert_int_equal(trib_old_receipts_next(&o, &r, &err), 0);
	size_t whole = 0;
	for (size_t n = 0; n < b.len; n++)
		whole += trib_old_receipts_parse(trib_span(b.p, n), &o, &err) == 0;
	assert_int_equal(whole, 2); /* cut exactly between two files */
}

static void other_forms_are_refused(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_old_receipts o;
	TRIB_AUTO(trib_buf) struct trib_buf one = receipts(1);
	static const char *const heads[] = {
		"format tributary-old-receipts-2\nnode a\napp b\nreport yes\nomitted 0\n",
		"format tributary-old-receipts-1\nnode ../a\napp b\nreport yes\nomitted 0\n",
		"format tributary-old-receipts-1\nnode a\napp b\nreport maybe\nomitted 0\n",
		"format tributary-old-receipts-1\nnode a\napp b\nreport yes\nomitted 00\n",
		"format tributary-old-receipts-1\nnode a\napp b\nomitted 0\nreport yes\n",
		"format tributary-old-receipts-1\nnode a\nreport yes\nomitted 0\n",
		"",
	};
	for (size_t i = 0; i < TRIB_COUNT(heads); i++) {
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_OLD_RECEIPTS_MAX);
		trib_buf_puts(&b, heads[i]);
		trib_old_receipts_put(&b, trib_buf_span(&one));
		assert_int_equal(trib_old_receipts_parse(trib_buf_span(&b), &o, &err), -1);
		assert_int_equal(err.code, TRIB_E_FORMAT);
	}
	static const char *const files[] = {"", "file 0\n", "file 5\nabc", "file 3\nabc", "files 3\nabc", "file -1\n", "file 18446744073709551615\n"};
	for (size_t i = 0; i < TRIB_COUNT(files); i++) {
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_OLD_RECEIPTS_MAX);
		trib_old_receipts_begin(&b, "a", "b", true, 0);
		trib_buf_puts(&b, files[i]);
		assert_int_equal(trib_old_receipts_parse(trib_buf_span(&b), &o, &err), -1);
		assert_int_equal(err.code, TRIB_E_FORMAT);
	}
}

static void limits_hold(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_old_receipts o;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_OLD_RECEIPTS_MAX + 1), none = receipts(0);
	trib_old_receipts_begin(&b, "a", "b", true, 0);
	for (size_t i = 0; i < TRIB_OLD_FILES_MAX; i++)
		trib_old_receipts_put(&b, trib_buf_span(&none));
	assert_int_equal(trib_old_receipts_parse(trib_buf_span(&b), &o, &err), 0);
	trib_old_receipts_put(&b, trib_buf_span(&none));
	assert_int_equal(trib_old_receipts_parse(trib_buf_span(&b), &o, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
	while (b.len <= TRIB_OLD_RECEIPTS_MAX)
		trib_buf_putc(&b, 'x');
	assert_int_equal(trib_old_receipts_parse(trib_buf_span(&b), &o, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(other_forms_are_refused),
		cmocka_unit_test(limits_hold),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
