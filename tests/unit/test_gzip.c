#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <zlib.h>

#include "core/base/limits.h"
#include "core/format/gzip.h"

static const uint8_t head[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};

static void fill(uint8_t *p, size_t n, unsigned kinds)
{
	uint32_t x = 12345;
	for (size_t i = 0; i < n; i++) {
		x = x * 1664525 + 1013904223;
		p[i] = (uint8_t)((x >> 24) % kinds);
	}
}

static void what_goes_in_comes_out(void **state)
{
	(void)state;
	static const size_t sizes[] = {0, 1, 2, 100, 16383, 16384, 16385, 1000000};
	for (size_t i = 0; i < TRIB_COUNT(sizes) * 2; i++) {
		size_t n = sizes[i / 2];
		struct trib_err err;
		TRIB_AUTO(trib_mem) uint8_t *raw = malloc(n + 1);
		TRIB_AUTO(trib_buf) struct trib_buf gz = TRIB_BUF(4 * TRIB_MIB), back = TRIB_BUF(n + 1);
		fill(raw, n, i % 2 ? 256 : 3);
		assert_int_equal(trib_gzip(trib_span(raw, n), &gz, &err), 0);
		assert_memory_equal(gz.p, head, sizeof(head));
		trib_buf_putc(&back, '>');
		assert_int_equal(trib_gunzip(trib_buf_span(&gz), n, &back, &err), 0);
		assert_int_equal(back.len, n + 1);
		assert_true(trib_span_eq(trib_span(back.p + 1, n), trib_span(raw, n)));
		for (int d = -1; d <= 1; d += 2) {
			TRIB_AUTO(trib_buf) struct trib_buf other = TRIB_BUF(4 * TRIB_MIB);
			if (n == 0 && d < 0)
				continue;
			assert_int_equal(trib_gunzip(trib_buf_span(&gz), n + (size_t)d, &other, &err), -1);
			assert_int_equal(err.code, TRIB_E_FORMAT);
			assert_int_equal(other.len, 0);
		}
	}
}

/* gzip(1)'s own reader takes it: zlib with the gzip wrapper. */
static void stock_readers_take_it(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf gz = TRIB_BUF(1000);
	assert_int_equal(trib_gzip(trib_span_str("the river takes every brook"), &gz, &err), 0);
	z_stream z = {.next_in = gz.p, .avail_in = (uInt)gz.len};
	uint8_t out[100];
	z.next_out = out;
	z.avail_out = sizeof(out);
	assert_int_equal(inflateInit2(&z, 31), Z_OK);
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.total_out, 27);
	assert_memory_equal(out, "the river takes every brook", 27);
	inflateEnd(&z);
}

/* No damaged copy inflates to other bytes. A few bits mean nothing to deflate: padding, codes never used. */
static void damage_is_found(void **state)
{
	(void)state;
	struct trib_err err;
	char raw[300];
	fill((uint8_t *)raw, sizeof(raw), 7);
	TRIB_AUTO(trib_buf) struct trib_buf gz = TRIB_BUF(1000), out = TRIB_BUF(1000);
	assert_int_equal(trib_gzip(trib_span(raw, sizeof(raw)), &gz, &err), 0);
	unsigned passed = 0;
	for (size_t bit = 0; bit < gz.len * 8; bit++) {
		gz.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		trib_buf_reset(&out);
		if (trib_gunzip(trib_buf_span(&gz), sizeof(raw), &out, &err) == 0) {
			passed++;
			assert_in_range(bit / 8, sizeof(head), gz.len - 9);
			assert_memory_equal(out.p, raw, sizeof(raw));
		} else {
			assert_int_equal(err.code, TRIB_E_FORMAT);
			assert_int_equal(out.len, 0);
		}
		gz.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(passed < 40);
	for (size_t n = 0; n < gz.len; n++) {
		trib_buf_reset(&out);
		assert_int_equal(trib_gunzip(trib_span(gz.p, n), sizeof(raw), &out, &err), -1);
		assert_int_equal(err.code, TRIB_E_FORMAT);
	}
	trib_buf_reset(&out);
	assert_int_equal(trib_gunzip(trib_buf_span(&gz), sizeof(raw), &out, &err), 0);
}

static void nothing_may_follow(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf gz = TRIB_BUF(1000), out = TRIB_BUF(1000);
	assert_int_equal(trib_gzip(trib_span_str("member"), &gz, &err), 0);
	size_t one = gz.len;
	assert_int_equal(trib_gzip(trib_span_str("member"), &gz, &err), 0); /* appends a second member */
	assert_int_equal(trib_gunzip(trib_buf_span(&gz), 12, &out, &err), -1);
	assert_int_equal(trib_gunzip(trib_buf_span(&gz), 6, &out, &err), -1);
	assert_int_equal(err.code, TRIB_E_FORMAT);
	assert_int_equal(trib_gunzip(trib_span(gz.p, one + 1), 6, &out, &err), -1);
	/* Junk between the stream and a right trailer. */
	TRIB_AUTO(trib_buf) struct trib_buf junk = TRIB_BUF(1000);
	trib_buf_put(&junk, gz.p, one - 8);
	trib_buf_putc(&junk, 0);
	trib_buf_put(&junk, gz.p + one - 8, 8);
	assert_int_equal(trib_gunzip(trib_buf_span(&junk), 6, &out, &err), -1);
	assert_int_equal(out.len, 0);
}

static void limits_hold(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf gz = TRIB_BUF(1000), small = TRIB_BUF(5), big = TRIB_BUF(SIZE_MAX);
	assert_int_equal(trib_gzip(trib_span_str("member"), &gz, &err), 0);
	assert_int_equal(trib_gunzip(trib_buf_span(&gz), 6, &small, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
	trib_buf_reset(&small);
	assert_int_equal(trib_gzip(trib_span_str("member"), &small, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
	assert_int_equal(small.len, 0);
	/* A claimed length beyond deflate's ratio allocates nothing. */
	memcpy(gz.p + gz.len - 4, "\xff\xff\xff\x0b", 4);
	assert_int_equal(trib_gunzip(trib_buf_span(&gz), 0x0bffffff, &big, &err), -1);
	assert_int_equal(err.code, TRIB_E_FORMAT);
	assert_int_equal(big.cap, 0);
	/* The best ratio that deflate has passes. */
	TRIB_AUTO(trib_mem) uint8_t *zeros = calloc(1, 8 * TRIB_MIB);
	TRIB_AUTO(trib_buf) struct trib_buf z = TRIB_BUF(TRIB_MIB), back = TRIB_BUF(8 * TRIB_MIB);
	assert_int_equal(trib_gzip(trib_span(zeros, 8 * TRIB_MIB), &z, &err), 0);
	assert_int_equal(trib_gunzip(trib_buf_span(&z), 8 * TRIB_MIB, &back, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_goes_in_comes_out), cmocka_unit_test(stock_readers_take_it),
		cmocka_unit_test(damage_is_found),        cmocka_unit_test(nothing_may_follow),
		cmocka_unit_test(limits_hold),
	};
	return cmocka_run_group_tests_name("gzip", tests, NULL, NULL);
}
