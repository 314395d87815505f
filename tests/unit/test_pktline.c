#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/format/pktline.h"

#define Z "0000000000000000000000000000000000000000"
#define A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void takes_lines_one_by_one(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_span in = trib_span_str("0009hello000Ahello\n00040005\n0000000"), data;
	enum trib_pkt kind;
	static const char *const want[] = {"hello", "hello", "", ""};
	for (size_t i = 0; i < TRIB_COUNT(want); i++) {
		assert_int_equal(trib_pkt_take(&in, &kind, &data, &err), 1);
		assert_int_equal(kind, TRIB_PKT_DATA);
		assert_true(trib_span_is(data, want[i]));
	}
	assert_int_equal(trib_pkt_take(&in, &kind, &data, &err), 1);
	assert_int_equal(kind, TRIB_PKT_FLUSH);
	assert_int_equal(trib_pkt_take(&in, &kind, &data, &err), 0);
	assert_true(trib_span_is(in, "000"));
}

static void refuses_lengths_that_git_does_not_know(void **state)
{
	(void)state;
	static const char *const wrong[] = {"0001", "0002", "0003", "g", "00-1", "+004", " 005", "0x04", "fff1", "ffff", "PACK"};
	struct trib_err err;
	enum trib_pkt kind;
	struct trib_span data;
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++) {
		struct trib_span in = trib_span_str(wrong[i]);
		assert_int_equal(trib_pkt_take(&in, &kind, &data, &err), -1);
		assert_int_equal(err.code, TRIB_E_FORMAT);
	}
	struct trib_span in = trib_span_str("fff0");
	assert_int_equal(trib_pkt_take(&in, &kind, &data, &err), 0);
}

static void writes_lines_bands_and_flushes(void **state)
{
	(void)state;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MIB), big = TRIB_BUF(TRIB_MIB);
	trib_pkt_put(&b, trib_span_str("a"));
	trib_pkt_printf(&b, "%s %d\n", "ok", 7);
	trib_pkt_band(&b, 1, trib_span_str("xy"));
	trib_pkt_band(&b, 1, trib_span_str(""));
	trib_pkt_flush(&b);
	assert_string_equal(trib_buf_str(&b), "0005a0009ok 7\n0007\001xy0000");
	memset(trib_buf_grow(&big, 100000), 'x', 100000);
	trib_buf_reset(&b);
	trib_pkt_band(&b, 2, trib_buf_span(&big));
	assert_int_equal(b.len, 100000 + 2 * 5);
	assert_memory_equal(b.p, "fff0\002x", 6);
	struct trib_err err;
	struct trib_span in = trib_buf_span(&b), data;
	enum trib_pkt kind;
	assert_int_equal(trib_pkt_take(&in, &kind, &data, &err), 1);
	assert_int_equal(data.n, TRIB_PKT_MAX - 4);
	assert_int_equal(trib_pkt_take(&in, &kind, &data, &err), 1);
	assert_int_equal(in.n, 0);
	trib_buf_reset(&b);
	trib_pkt_put(&b, trib_span(big.p, TRIB_PKT_MAX - 4));
	assert_false(b.failed);
	trib_pkt_put(&b, trib_span(big.p, TRIB_PKT_MAX - 3));
	assert_true(b.failed);
}

static struct trib_buf push_of(const char *const *lines, size_t n)
{
	struct trib_buf b = TRIB_BUF(TRIB_MIB);
	for (size_t i = 0; i < n; i++) {
		const char *caps = strchr(lines[i], '|'); /* stands for NUL */
		trib_buf_printf(&b, "%04zx%s", strlen(lines[i]) + 4, lines[i]);
		if (caps)
			b.p[b.len - strlen(caps)] = '\0';
	}
	trib_pkt_flush(&b);
	return b;
}

static int push_parse(const char *const *lines, size_t n, struct trib_push_request *r, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = push_of(lines, n);
	return trib_push_request_parse(trib_buf_span(&b), r, err);
}

static void reads_a_stock_push(void **state)
{
	(void)state;
	static const char *const lines[] = {Z " " A " refs/heads/main| report-status side-band-64k object-format=sha1 agent=git/2.39.5\n",
					    A " " B " refs/heads/other\n"};
	struct trib_err err;
	struct trib_push_request r;
	TRIB_AUTO(trib_buf) struct trib_buf b = push_of(lines, 2);
	size_t head = b.len;
	for (size_t n = 0; n < head; n++)
		assert_int_equal(trib_push_request_parse(trib_span(b.p, n), &r, &err), 0);
	trib_buf_puts(&b, "PACK....");
	assert_int_equal(trib_push_request_parse(trib_buf_span(&b), &r, &err), 1);
	assert_int_equal(r.head_len, head);
	assert_int_equal(r.ncmds, 2);
	assert_true(r.report_status && r.side_band_64k);
	assert_string_equal(r.cmds[0].ref, "refs/heads/main");
	assert_int_equal(r.cmds[0].old_oid[0], 0);
	assert_int_equal(r.cmds[1].old_oid[0], 0xaa);
	assert_int_equal(r.cmds[1].new_oid[19], 0xbb);
	assert_int_equal(trib_push_request_parse(trib_span_str("0000"), &r, &err), 1);
	assert_int_equal(r.ncmds, 0);
	assert_int_equal(r.head_len, 4);
}

static void refuses_odd_pushes(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"", "x", A " " B, A " " B " ", A " " B "  refs/heads/main", A B " refs/heads/main", A " " B " refs/heads/a b", A " " B " refs/\tx",
		"shallow " A, "push-cert|x", A " " B " r| push-options", A " " B " r| push-cert=x", A " " B " r| object-format=sha256",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA " B " r",
	};
	struct trib_err err;
	struct trib_push_request r;
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++) {
		assert_int_equal(push_parse(&wrong[i], 1, &r, &err), -1);
		assert_int_equal(err.code, TRIB_E_FORMAT);
	}
	static const char *const twice[] = {A " " B " r", A " " B " r"}, *const late[] = {A " " B " r", A " " B " s| report-status"};
	assert_int_equal(push_parse(twice, 2, &r, &err), -1);
	assert_int_equal(push_parse(late, 2, &r, &err), -1);
	static const char *const five[] = {A " " B " 1", A " " B " 2", A " " B " 3", A " " B " 4", A " " B " 5"};
	assert_int_equal(push_parse(five, TRIB_PUSH_COMMANDS_MAX, &r, &err), 1);
	assert_int_equal(push_parse(five, TRIB_PUSH_COMMANDS_MAX + 1, &r, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
	for (size_t n = 127; n <= 128; n++) {
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(1024);
		trib_buf_printf(&b, A " " B " %0*d", (int)n, 0);
		const char *const line[] = {trib_buf_str(&b)};
		assert_int_equal(push_parse(line, 1, &r, &err), n == 127 ? 1 : -1);
	}
}

static int fetch_parse(const char *const *lines, size_t n, struct trib_fetch_request *r, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(8 * TRIB_MIB);
	for (size_t i = 0; i < n; i++) {
		if (lines[i])
			trib_pkt_put(&b, trib_span_str(lines[i]));
		else
			trib_pkt_flush(&b);
	}
	return trib_fetch_request_parse(trib_buf_span(&b), r, err);
}

static void reads_stock_fetches(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_fetch_request r;
	static const char *const clone[] = {"want " A " multi_ack_detailed no-done side-band-64k thin-pack no-progress ofs-delta agent=git/2\n",
					    "want " B "\n", NULL, "done\n"};
	assert_int_equal(fetch_parse(clone, 4, &r, &err), 0);
	assert_int_equal(r.nwants, 2);
	assert_int_equal(r.nhaves, 0);
	assert_int_equal(r.wants[1][0], 0xbb);
	assert_true(r.done && r.multi_ack_detailed && r.no_done && r.side_band_64k && r.ofs_delta && r.no_progress);
	trib_fetch_request_release(&r);
	static const char *const negotiate[] = {"want " A, NULL, "have " B "\n", "have " A "\n", NULL, "have " A "\n", NULL};
	assert_int_equal(fetch_parse(negotiate, 7, &r, &err), 0);
	assert_int_equal(r.nhaves, 3);
	assert_int_equal(r.haves[0][0], 0xbb);
	assert_false(r.done || r.multi_ack_detailed || r.side_band_64k);
	trib_fetch_request_release(&r);
	static const char *const probe[] = {NULL};
	assert_int_equal(fetch_parse(probe, 1, &r, &err), 0);
	assert_int_equal(r.nwants, 0);
}

static void refuses_odd_fetches(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_fetch_request r;
	static const char *const wrong[][3] = {
		{"want " A}, {"have " A, NULL}, {"deepen 1", NULL}, {"shallow " A, NULL}, {"want " A, "filter blob:none", NULL},
		{"want " A, NULL, "want " B}, {"want x", NULL}, {"want " A "x", NULL}, {NULL, "have " A}, {NULL, "done"}, {"want " A, "done", NULL},
	};
	static const size_t counts[] = {1, 2, 2, 2, 3, 3, 2, 2, 2, 2, 3};
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++) {
		assert_int_equal(fetch_parse(wrong[i], counts[i], &r, &err), -1);
		assert_int_equal(err.code, TRIB_E_FORMAT);
	}
	static const char *const after[] = {"want " A, NULL, "done", "have " A};
	assert_int_equal(fetch_parse(after, 4, &r, &err), -1);
	assert_int_equal(trib_fetch_request_parse(trib_span_str("00000"), &r, &err), -1);
	assert_int_equal(trib_fetch_request_parse(trib_span_str(""), &r, &err), -1);
}

static void holds_the_limits_of_wants_and_haves(void **state)
{
	(void)state;
	for (size_t more = 0; more < 2; more++) {
		struct trib_err err;
		struct trib_fetch_request r;
		TRIB_AUTO(trib_buf) struct trib_buf w = TRIB_BUF(TRIB_MIB), h = TRIB_BUF(8 * TRIB_MIB);
		for (size_t i = 0; i < TRIB_WANTS_MAX + more; i++)
			trib_pkt_put(&w, trib_span_str("want " A));
		trib_pkt_flush(&w);
		trib_pkt_put(&h, trib_span_str("want " A));
		trib_pkt_flush(&h);
		for (size_t i = 0; i < TRIB_HAVES_MAX + more; i++)
			trib_pkt_put(&h, trib_span_str("have " A));
		const struct trib_buf *both[] = {&w, &h};
		for (size_t k = 0; k < 2; k++) {
			int rc = trib_fetch_request_parse(trib_buf_span(both[k]), &r, &err);
			assert_int_equal(rc, more ? -1 : 0);
			if (rc < 0)
				assert_int_equal(err.code, TRIB_E_LIMIT);
			else
				trib_fetch_request_release(&r);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_lines_one_by_one),
		cmocka_unit_test(refuses_lengths_that_git_does_not_know),
		cmocka_unit_test(writes_lines_bands_and_flushes),
		cmocka_unit_test(reads_a_stock_push),
		cmocka_unit_test(refuses_odd_pushes),
		cmocka_unit_test(reads_stock_fetches),
		cmocka_unit_test(refuses_odd_fetches),
		cmocka_unit_test(holds_the_limits_of_wants_and_haves),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
