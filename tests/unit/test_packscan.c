/* What of the scanner is not shown together with the unpacker in test_unpack.c: its limits, stickiness and streaming. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/format/packscan.h"
#include "tests/lib/packmaker.h"

static enum trib_code scan(const struct trib_buf *pack, uint64_t *ret_n)
{
	struct trib_err err = {0};
	TRIB_AUTO(trib_packscan) struct trib_packscan *s = trib_packscan_new();
	assert_non_null(s);
	if (trib_packscan_feed(s, trib_buf_span(pack), &err) < 0 || trib_packscan_end(s, ret_n, &err) < 0)
		return err.code;
	return TRIB_OK;
}

static void a_failure_stays(void **state)
{
	(void)state;
	struct trib_err err = {0};
	uint64_t n;
	TRIB_AUTO(trib_packscan) struct trib_packscan *s = trib_packscan_new();
	assert_int_equal(trib_packscan_feed(s, trib_span_str("PACK"), &err), 0);
	assert_int_equal(trib_packscan_feed(s, trib_span("\0\0\0\3\0\0\0\0", 8), &err), -1);
	assert_int_equal(err.code, TRIB_E_FORMAT);
	err = (struct trib_err){0};
	assert_int_equal(trib_packscan_feed(s, trib_span_str("12345678901234567890"), &err), -1);
	assert_int_equal(err.code, TRIB_E_FORMAT);
	assert_int_equal(trib_packscan_end(s, &n, &err), -1);
	assert_int_equal(trib_packscan_feed(s, trib_span(NULL, 0), &err), -1);
	trib_packscan_free(NULL);
}

static void takes_the_pack_byte_by_byte(void **state)
{
	(void)state;
	struct trib_err err;
	uint64_t n = 0;
	TRIB_AUTO(trib_buf) struct trib_buf p = TRIB_BUF(SIZE_MAX / 2), big = TRIB_BUF(TRIB_MIB);
	TRIB_AUTO(trib_packscan) struct trib_packscan *s = trib_packscan_new();
	for (uint32_t k = 0; k < 50000; k++) /* more than the window, in and out */
		trib_buf_be32(&big, k * 2654435761u);
	pk_begin(&p, 2);
	pk_object(&p, 3, trib_buf_span(&big));
	pk_object(&p, 2, trib_span_str(""));
	pk_end(&p);
	for (size_t i = 0; i < p.len; i++) {
		assert_int_equal(trib_packscan_feed(s, trib_span(p.p + i, 1), &err), 0);
	}
	assert_int_equal(trib_packscan_end(s, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_int_equal(trib_packscan_feed(s, trib_span_str("x"), &err), -1);
}

static void holds_the_limit_of_the_whole_pack(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_packscan) struct trib_packscan *s = trib_packscan_new(), *t = trib_packscan_new();
	assert_int_equal(trib_packscan_feed(s, trib_span("P", TRIB_PACK_MAX + 1), &err), -1); /* refused before a byte is read */
	assert_int_equal(err.code, TRIB_E_LIMIT);
	assert_int_equal(trib_packscan_feed(t, trib_span_str("P"), &err), 0);
	assert_int_equal(trib_packscan_feed(t, trib_span("A", TRIB_PACK_MAX), &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
}

static void holds_the_limit_of_deltas_by_id(void **state)
{
	(void)state;
	static const uint8_t oid[TRIB_OID_LEN] = {1};
	TRIB_AUTO(trib_buf) struct trib_buf d = TRIB_BUF(64);
	pk_delta(&d, 1, 1);
	pk_insert(&d, "x");
	for (uint32_t more = 0; more < 2; more++) {
		uint64_t n = 0;
		TRIB_AUTO(trib_buf) struct trib_buf p = TRIB_BUF(SIZE_MAX / 2);
		pk_begin(&p, TRIB_PACK_REF_DELTAS_MAX + more);
		for (uint32_t i = 0; i < TRIB_PACK_REF_DELTAS_MAX + more; i++)
			pk_ref_delta(&p, oid, trib_buf_span(&d));
		pk_end(&p);
		assert_int_equal(scan(&p, &n), more ? TRIB_E_LIMIT : TRIB_OK);
		assert_int_equal(n, more ? 0 : TRIB_PACK_REF_DELTAS_MAX);
	}
}

static void holds_the_limits_of_sizes(void **state)
{
	(void)state;
	static const struct { unsigned type; size_t max; } kinds[] = {
		{1, TRIB_COMMIT_MAX}, {2, TRIB_KIB}, {3, TRIB_OBJECT_MAX}, {6, TRIB_PACK_DELTA_MAX}, {7, TRIB_PACK_DELTA_MAX},
	};
	for (size_t i = 0; i < TRIB_COUNT(kinds); i++) {
		assert_int_equal(trib_pack_type_max(kinds[i].type), kinds[i].max);
		for (size_t more = 0; more < 2; more++) {
			struct trib_err err = {0};
			TRIB_AUTO(trib_buf) struct trib_buf p = TRIB_BUF(256);
			TRIB_AUTO(trib_packscan) struct trib_packscan *s = trib_packscan_new();
			pk_begin(&p, 1);
			pk_head(&p, kinds[i].type, kinds[i].max + more);
			assert_int_equal(trib_packscan_feed(s, trib_buf_span(&p), &err), more ? -1 : 0);
			assert_int_equal(err.code, more ? TRIB_E_LIMIT : TRIB_OK);
		}
	}
	for (unsigned t = 0; t < 8; t++)
		if (t == 0 || t == 4 || t == 5)
			assert_int_equal(trib_pack_type_max(t), 0);
}

static void holds_the_limit_of_all_objects_together(void **state)
{
	(void)state;
	TRIB_AUTO(trib_buf) struct trib_buf p = TRIB_BUF(SIZE_MAX / 2), d = TRIB_BUF(64 * TRIB_KIB), base = TRIB_BUF(64 * TRIB_KIB);
	uint64_t n = 0, result = 128 * TRIB_MIB;
	memset(trib_buf_grow(&base, 0x10000 - 1), 'x', 0x10000 - 1);
	pk_delta(&d, base.len, result);
	for (uint64_t made = 0; made < result;) {
		uint32_t len = result - made < base.len ? (uint32_t)(result - made) : (uint32_t)base.len;
		pk_copy(&d, 0, len);
		made += len;
	}
	pk_begin(&p, 9); /* eight times 128 MiB is the limit, and the base and the deltas come on top */
	size_t at = pk_object(&p, 3, trib_buf_span(&base));
	for (int i = 0; i < 8; i++)
		pk_ofs_delta(&p, p.len - at, trib_buf_span(&d));
	pk_end(&p);
	assert_int_equal(scan(&p, &n), TRIB_E_LIMIT);
	TRIB_AUTO(trib_buf) struct trib_buf q = TRIB_BUF(SIZE_MAX / 2);
	pk_begin(&q, 8);
	at = pk_object(&q, 3, trib_buf_span(&base));
	for (int i = 0; i < 7; i++)
		pk_ofs_delta(&q, q.len - at, trib_buf_span(&d));
	pk_end(&q);
	assert_int_equal(scan(&q, &n), TRIB_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failure_stays),
		cmocka_unit_test(takes_the_pack_byte_by_byte),
		cmocka_unit_test(holds_the_limit_of_the_whole_pack),
		cmocka_unit_test(holds_the_limit_of_deltas_by_id),
		cmocka_unit_test(holds_the_limits_of_sizes),
		cmocka_unit_test(holds_the_limit_of_all_objects_together),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
