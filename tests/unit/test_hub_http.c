#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <zlib.h>

#include "core/base/clock.h"
#include "core/format/pktline.h"
#include "hub/http.h"
#include "hub/smart_push.h"
#include "hub/worker.h"

/* Heads */

static int head_status(const char *text)
{
	struct trib_err err;
	struct trib_http_request r;
	size_t n;
	int status = 0;
	int got = trib_http_head_parse(trib_span_str(text), &r, &n, &status, &err);
	if (got == 1) {
		assert_int_equal(n, strlen(text));
		return 200;
	}
	return got < 0 ? status : 0;
}

#define HOST "Host: hub\r\n"

static void heads_that_readers_could_take_differently_are_refused(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int status;
	} cases[] = {
		{"GET / HTTP/1.1\r\n" HOST "\r\n", 200},
		{"\r\nGET / HTTP/1.1\r\n" HOST "\r\n", 200},
		{"POST /x HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 200},
		{"POST /x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 200},
		{"GET / HTTP/1.1\r\n" HOST "\r", 0},
		{"\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400},
		{"POST /x HTTP/1.1\r\n" HOST "\r\n", 411},
		{"POST /x HTTP/1.1\r\n" HOST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{"POST /x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", 400},
		{"POST /x HTTP/1.1\r\n" HOST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400},
		{"POST /x HTTP/1.1\r\n" HOST "Content-Length: 5, 5\r\n\r\n", 400},
		{"POST /x HTTP/1.1\r\n" HOST "Content-Length: +5\r\n\r\n", 400},
		{"POST /x HTTP/1.1\r\n" HOST "Content-Length: 0x5\r\n\r\n", 400},
		{"POST /x HTTP/1.1\r\n" HOST "Content-Length:\r\n\r\n", 400},
		{"POST /x HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n", 400},
		{"POST /x HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
		{"POST /x HTTP/1.1\r\n" HOST "Transfer-Encoding: identity\r\n\r\n", 501},
		{"POST /x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
		{"POST /x HTTP/1.1\r\n" HOST "Content-Length: 1\r\nContent-Encoding: br\r\n\r\n", 415},
		{"POST /x HTTP/1.1\r\n" HOST "Content-Length: 1\r\nExpect: tea\r\n\r\n", 417},
		{"GET / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n", 400},
		{"GET / HTTP/1.1\n" HOST "\r\n", 400},
		{"GET / HTTP/1.1\r\nHost: hub\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "A: b\r\n c\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "A: b\rc\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "A : b\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "A: b\x01\r\n\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "A@: b\r\n\r\n", 400},
		{"GET / HTTP/1.0\r\n" HOST "\r\n", 505},
		{"GET / HTTP/2.0\r\n" HOST "\r\n", 505},
		{"PUT / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", 405},
		{"HEAD / HTTP/1.1\r\n" HOST "\r\n", 405},
		{"BREW / HTTP/1.1\r\n" HOST "\r\n", 501},
		{"GET http://hub/ HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET * HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET /a#b HTTP/1.1\r\n" HOST "\r\n", 400},
		{"GET / HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", 400},
	};
	for (size_t i = 0; i < TRIB_COUNT(cases); i++)
		if (head_status(cases[i].text) != cases[i].status)
			fail_msg("case %zu: %d instead of %d: %s", i, head_status(cases[i].text), cases[i].status, cases[i].text);
}

static void a_nul_in_a_head_is_refused(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_http_request r;
	size_t n;
	int status;
	static const char text[] = "GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n";
	assert_int_equal(trib_http_head_parse(trib_span(text, sizeof(text) - 1), &r, &n, &status, &err), -1);
}

static void a_head_is_read_into_its_parts(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_http_request r;
	size_t n;
	int status;
	const char *text = "POST /1/a.git/git-upload-pack?x=1 HTTP/1.1\r\nHOST: h\r\nContent-Type: Application/X-Git-Upload-Pack-Request; q=1\r\n"
			   "content-encoding: GZIP\r\nExpect: 100-Continue\r\nContent-Length: 12 \r\nConnection: close\r\n\r\nrest";
	assert_int_equal(trib_http_head_parse(trib_span_str(text), &r, &n, &status, &err), 1);
	assert_int_equal(n, strlen(text) - 4);
	assert_int_equal(r.method, TRIB_HTTP_POST);
	assert_string_equal(r.path, "/1/a.git/git-upload-pack");
	assert_string_equal(r.query, "x=1");
	assert_string_equal(r.content_type, "application/x-git-upload-pack-request");
	assert_true(r.gzip && r.expect_continue && !r.keep_alive && !r.chunked);
	assert_int_equal(r.length, 12);
}

static void a_head_ends_at_its_limit(void **state)
{
	(void)state;
	char *text = malloc(TRIB_HTTP_HEAD_MAX + 2);
	assert_non_null(text);
	for (int over = 0; over < 2; over++) {
		size_t n = TRIB_HTTP_HEAD_MAX + (size_t)over;
		int k = snprintf(text, n, "GET / HTTP/1.1\r\n" HOST "A: ");
		memset(text + k, 'x', n - (size_t)k);
		memcpy(text + n - 4, "\r\n\r\n", 5);
		assert_int_equal(head_status(text), over ? 431 : 200);
	}
	for (int over = 0; over < 2; over++) {
		size_t n = TRIB_HTTP_TARGET_MAX + (size_t)over;
		memset(text, '/', n + 4);
		memcpy(text, "GET ", 4);
		memcpy(text + 4 + n, " HTTP/1.1\r\n" HOST "\r\n", sizeof(" HTTP/1.1\r\n" HOST "\r\n"));
		assert_int_equal(head_status(text), over ? 414 : 200);
	}
	free(text);
}

/* Chunks */

static int dechunk(const char *wire, size_t step, struct trib_buf *ret, size_t *ret_rest)
{
	struct trib_err err;
	struct trib_http_chunks c = {0};
	size_t n = strlen(wire), at = 0;
	while (at < n) {
		size_t k = n - at < step ? n - at : step;
		struct trib_span in = trib_span((const uint8_t *)wire + at, k), piece;
		while (in.n) {
			int r = trib_http_chunks_take(&c, &in, &piece, &err);
			if (r < 0)
				return -1;
			trib_buf_put_span(ret, piece);
			if (r == 0) {
				*ret_rest = n - at - k + in.n;
				return 0;
			}
		}
		at += k;
	}
	return 1;
}

static void chunks_give_the_body_in_any_cutting(void **state)
{
	(void)state;
	const char *wire = "3\r\nabc\r\n00A\r\n0123456789\r\n0\r\n\r\nGET ";
	for (size_t step = 1; step < strlen(wire) + 1; step++) {
		size_t rest = 0;
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(100);
		assert_int_equal(dechunk(wire, step, &b, &rest), 0);
		assert_true(trib_span_is(trib_buf_span(&b), "abc0123456789"));
		assert_int_equal(rest, 4);
	}
}

static void damaged_chunks_are_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"\r\n",           "x\r\n",       "3;a=b\r\nabc\r\n0\r\n\r\n", "3 \r\nabc",   "-1\r\n",  "3\nabc",       "3\r\nabcd\r\n",
		"3\r\nabc\n",     "0\r\nA: b\r\n\r\n", "000000003\r\nabc",    "100000000\r\n", "3\r\r\n", "3\r\nabc\r\r",
	};
	for (size_t i = 0; i < TRIB_COUNT(bad); i++) {
		size_t rest;
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(100);
		if (dechunk(bad[i], 100, &b, &rest) != -1)
			fail_msg("accepted: %s", bad[i]);
	}
}

/* Connections: a real socket pair; the client's bytes are written first, the server then runs over them. */

struct line { int client, server; };

static int sock_read(void *ctx, void *p, size_t n, int timeout_ms, size_t *ret_n, struct trib_err *err)
{
	struct line *l = ctx;
	struct pollfd f = {.fd = l->server, .events = POLLIN};
	if (poll(&f, 1, timeout_ms) != 1)
		return trib_fail(err, TRIB_E_UNREACHABLE, "silence");
	ssize_t k = read(l->server, p, n);
	if (k < 0)
		return trib_fail_errno(err, "read");
	*ret_n = (size_t)k;
	return 0;
}

static int sock_write(void *ctx, struct trib_span bytes, int timeout_ms, struct trib_err *err)
{
	(void)timeout_ms;
	return trib_fs_write_all(((struct line *)ctx)->server, bytes, err);
}

struct talk { struct line l; struct trib_http *h; };

static void talk_open(struct talk *t, struct trib_span bytes, bool end, int request_ms)
{
	int s[2];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, s), 0);
	t->l = (struct line){s[0], s[1]};
	assert_int_equal(write(s[0], bytes.p, bytes.n), (int)bytes.n);
	if (end)
		assert_int_equal(shutdown(s[0], SHUT_WR), 0);
	t->h = trib_http_new((struct trib_http_io){.ctx = &t->l, .read = sock_read, .write = sock_write}, request_ms);
	assert_non_null(t->h);
}

static void talk_text(struct talk *t, const char *text) { talk_open(t, trib_span_str(text), true, TRIB_REQUEST_MS); }

/* Everything the server said. */
static void talk_close(struct talk *t, struct trib_buf *ret)
{
	trib_http_free(t->h);
	close(t->l.server);
	char chunk[4096];
	ssize_t n;
	while ((n = read(t->l.client, chunk, sizeof(chunk))) > 0)
		trib_buf_put(ret, chunk, (size_t)n);
	close(t->l.client);
}

static bool said(const struct trib_buf *b, const char *text) { return strstr(trib_buf_str(b), text) != NULL; }

static void kept_connection_serves_one_request_after_the_other(void **state)
{
	(void)state;
	struct talk t;
	struct trib_err err;
	struct trib_http_request q;
	TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(65536);
	TRIB_AUTO(trib_buf) struct trib_buf body = TRIB_BUF(100);
	talk_text(&t, "POST /a HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabcPOST /b HTTP/1.1\r\n" HOST
		      "Transfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\nGET /c HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(trib_http_next(t.h, 1000, &q, &err), 1);
	trib_http_body_max(t.h, 3);
	assert_int_equal(trib_http_body_all(t.h, &body, &err), 0);
	assert_true(trib_span_is(trib_buf_span(&body), "abc"));
	assert_int_equal(trib_http_text(t.h, 200, &err, "one"), 0);
	assert_int_equal(trib_http_next(t.h, 1000, &q, &err), 1);
	assert_string_equal(q.path, "/b");
	/* The body is not read: the next request must still be found behind it. */
	assert_int_equal(trib_http_text(t.h, 403, &err, "two"), 0);
	assert_int_equal(trib_http_next(t.h, 1000, &q, &err), 1);
	assert_string_equal(q.path, "/c");
	assert_int_equal(trib_http_begin(t.h, "x/y", &err), 0);
	assert_int_equal(trib_http_send(t.h, trib_span_str("three"), &err), 0);
	assert_int_equal(trib_http_end(t.h, &err), 0);
	assert_int_equal(trib_http_next(t.h, 1000, &q, &err), 0);
	talk_close(&t, &out);
	assert_true(said(&out, "HTTP/1.1 200 OK\r\n"));
	assert_true(said(&out, "\r\n\r\none\n"));
	assert_true(said(&out, "HTTP/1.1 403 Forbidden\r\n"));
	assert_true(said(&out, "Transfer-Encoding: chunked\r\n\r\n5\r\nthree\r\n0\r\n\r\n"));
	assert_false(said(&out, "Connection: close"));
}

static void smuggled_request_never_surfaces(void **state)
{
	(void)state;
	struct talk t;
	struct trib_err err;
	struct trib_http_request q;
	TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(65536);
	talk_text(&t, "POST /a HTTP/1.1\r\n" HOST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /secret HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(trib_http_next(t.h, 1000, &q, &err), -1);
	assert_int_equal(trib_http_next(t.h, 1000, &q, &err), 0);
	talk_close(&t, &out);
	assert_true(said(&out, "HTTP/1.1 400 Bad Request\r\n"));
	assert_true(said(&out, "Connection: close\r\n"));
}

static void body_over_its_maximum_is_refused_and_drained(void **state)
{
	(void)state;
	static const char *const wires[] = {
		"POST /a HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nabcdeGET /b HTTP/1.1\r\n" HOST "\r\n",
		"POST /a HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\nGET /b HTTP/1.1\r\n" HOST "\r\n",
	};
	for (size_t i = 0; i < TRIB_COUNT(wires); i++)
		for (uint64_t max = 4; max <= 5; max++) {
			struct talk t;
			struct trib_err err;
			struct trib_http_request q;
			TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(65536);
			TRIB_AUTO(trib_buf) struct trib_buf body = TRIB_BUF(100);
			talk_text(&t, wires[i]);
			assert_int_equal(trib_http_next(t.h, 1000, &q, &err), 1);
			trib_http_body_max(t.h, max);
			int r = trib_http_body_all(t.h, &body, &err);
			assert_int_equal(r, max == 5 ? 0 : -1);
			if (r) {
				size_t n;
				uint8_t byte;
				assert_int_equal(err.code, TRIB_E_LIMIT);
				assert_int_equal(trib_http_body(t.h, &byte, 1, &n, &err), -1); /* sticky */
			}
			assert_int_equal(trib_http_text(t.h, 413, &err, "no"), 0);
			assert_int_equal(trib_http_next(t.h, 1000, &q, &err), 1);
			assert_string_equal(q.path, "/b");
			talk_close(&t, &out);
		}
}

static void continue_is_sent_only_when_the_body_is_wanted(void **state)
{
	(void)state;
	const char *head = "POST /a HTTP/1.1\r\n" HOST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n";
	for (int wanted = 0; wanted < 2; wanted++) {
		struct talk t;
		struct trib_err err;
		struct trib_http_request q;
		TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(65536);
		talk_open(&t, trib_span_str(head), false, TRIB_REQUEST_MS);
		assert_int_equal(trib_http_next(t.h, 1000, &q, &err), 1);
		trib_http_body_max(t.h, 3);
		if (wanted) {
			char byte[3];
			size_t n;
			assert_int_equal(write(t.l.client, "abc", 3), 3);
			assert_int_equal(trib_http_body(t.h, byte, 3, &n, &err), 0);
			assert_int_equal(n, 3);
		}
		assert_int_equal(trib_http_text(t.h, 403, &err, "no"), 0);
		assert_int_equal(shutdown(t.l.client, SHUT_WR), 0);
		assert_int_equal(trib_http_next(t.h, 1000, &q, &err), 0);
		talk_close(&t, &out);
		assert_int_equal(said(&out, "HTTP/1.1 100 Continue\r\n\r\n"), wanted);
		/* The body may or may not come: the connection cannot be kept. */
		assert_int_equal(said(&out, "Connection: close"), !wanted);
	}
}

static size_t gz(uint8_t *to, size_t room, const void *p, size_t n)
{
	z_stream z = {0};
	assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
	z.next_in = (Bytef *)(uintptr_t)p;
	z.avail_in = (uInt)n;
	z.next_out = to;
	z.avail_out = (uInt)room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	size_t got = room - z.avail_out;
	deflateEnd(&z);
	return got;
}

static int gzip_body(const uint8_t *bytes, size_t n, uint64_t max, struct trib_buf *body, struct trib_err *err)
{
	struct talk t;
	struct trib_http_request q;
	TRIB_AUTO(trib_buf) struct trib_buf in = TRIB_BUF(1 << 20);
	TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(65536);
	trib_buf_printf(&in, "POST /a HTTP/1.1\r\n" HOST "Content-Encoding: gzip\r\nContent-Length: %zu\r\n\r\n", n);
	trib_buf_put(&in, bytes, n);
	talk_open(&t, trib_buf_span(&in), true, TRIB_REQUEST_MS);
	assert_int_equal(trib_http_next(t.h, 1000, &q, err), 1);
	trib_http_body_max(t.h, max);
	int r = trib_http_body_all(t.h, body, err);
	talk_close(&t, &out);
	return r;
}

static void gzip_bodies_are_inflated_up_to_their_maximum(void **state)
{
	(void)state;
	struct trib_err err;
	uint8_t packed[20000];
	size_t n = gz(packed, sizeof(packed), "hello hello hello", 17);
	TRIB_AUTO(trib_buf) struct trib_buf body = TRIB_BUF(TRIB_MIB);
	assert_int_equal(gzip_body(packed, n, 17, &body, &err), 0);
	assert_true(trib_span_is(trib_buf_span(&body), "hello hello hello"));
	trib_buf_reset(&body);
	assert_int_equal(gzip_body(packed, n, 16, &body, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
	/* cut, damaged, something behind, a second member */
	trib_buf_reset(&body);
	assert_int_equal(gzip_body(packed, n - 1, 1000, &body, &err), -1);
	packed[n] = 'x';
	assert_int_equal(gzip_body(packed, n + 1, 1000, &body, &err), -1);
	memcpy(packed + n, packed, n);
	assert_int_equal(gzip_body(packed, 2 * n, 1000, &body, &err), -1);
	packed[n - 6] ^= 1;
	assert_int_equal(gzip_body(packed, n, 1000, &body, &err), -1);
	assert_int_equal(err.code, TRIB_E_FORMAT);
}

static void a_gzip_bomb_costs_no_more_than_its_maximum(void **state)
{
	(void)state;
	struct trib_err err;
	size_t zeros = 8 * TRIB_MIB;
	uint8_t *big = calloc(1, zeros), *packed = malloc(20000);
	assert_non_null(big);
	assert_non_null(packed);
	size_t n = gz(packed, 20000, big, zeros);
	TRIB_AUTO(trib_buf) struct trib_buf body = TRIB_BUF(TRIB_MIB);
	assert_int_equal(gzip_body(packed, n, 65536, &body, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
	assert_in_range(body.len, 0, 65536);
	free(big);
	free(packed);
}

static void a_slow_request_ends_at_its_deadline(void **state)
{
	(void)state;
	struct talk t;
	struct trib_err err;
	struct trib_http_request q;
	uint8_t byte[8];
	size_t n;
	TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(65536);
	talk_open(&t, trib_span_str("POST /a HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\na"), false, 100);
	assert_int_equal(trib_http_next(t.h, 1000, &q, &err), 1);
	trib_http_body_max(t.h, 3);
	assert_int_equal(trib_http_body(t.h, byte, sizeof(byte), &n, &err), 0);
	int64_t start = trib_mono_ms();
	assert_int_equal(trib_http_body(t.h, byte, sizeof(byte), &n, &err), -1);
	assert_int_equal(err.code, TRIB_E_UNREACHABLE); /* the line's fault, no verdict on the push */
	assert_in_range(trib_mono_ms() - start, 50, 20000); /* a full machine is slow; without a deadline it never ends */
	assert_int_equal(trib_http_next(t.h, 1000, &q, &err), 0);
	talk_close(&t, &out);
}

static void an_idle_connection_may_be_stopped_and_a_busy_one_not(void **state)
{
	(void)state;
	struct talk t;
	struct trib_err err;
	struct trib_http_request q;
	TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(65536);
	talk_text(&t, "GET / HTTP/1.1\r\n" HOST "\r\n");
	assert_true(trib_http_idle(t.h));
	assert_int_equal(trib_http_next(t.h, 1000, &q, &err), 1);
	assert_false(trib_http_idle(t.h));
	assert_int_equal(trib_http_begin(t.h, "x/y", &err), 0);
	assert_false(trib_http_idle(t.h));
	assert_int_equal(trib_http_end(t.h, &err), 0);
	assert_true(trib_http_idle(t.h));
	talk_close(&t, &out);
}

static void an_answer_left_unfinished_closes_the_connection(void **state)
{
	(void)state;
	struct talk t;
	struct trib_err err;
	struct trib_http_request q;
	TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(65536);
	talk_text(&t, "GET / HTTP/1.1\r\n" HOST "\r\nGET / HTTP/1.1\r\n" HOST "\r\n");
	assert_int_equal(trib_http_next(t.h, 1000, &q, &err), 1);
	assert_int_equal(trib_http_begin(t.h, "x/y", &err), 0);
	assert_int_equal(trib_http_next(t.h, 1000, &q, &err), 0);
	talk_close(&t, &out);
}

/* Routes */

static int route(const char *path, const char *query, const struct trib_ipc_who *who)
{
	struct trib_route r;
	char why[256] = "";
	trib_route_parse(path, query, &r);
	int status = trib_route_allowed(&r, who, why, sizeof(why));
	if (status)
		assert_true(why[0] != '\0');
	return status;
}

static void routes_name_one_history(void **state)
{
	(void)state;
	struct trib_route r;
	trib_route_parse("/5203/a.b.git/info/refs", "service=git-receive-pack", &r);
	assert_int_equal(r.kind, TRIB_ROUTE_REFS);
	assert_true(r.push);
	assert_string_equal(r.node, "5203");
	assert_string_equal(r.app, "a.b");
	static const char *const nothing[][2] = {
		{"//a.git/info/refs", "service=git-upload-pack"},      {"/../a.git/info/refs", "service=git-upload-pack"},
		{"/n/../a.git/info/refs", "service=git-upload-pack"},  {"/n/a.git/info/refs", ""},
		{"/n/a.git/info/refs", "service=git-upload-archive"},  {"/n/a.git/HEAD", ""},
		{"/n/a.git/objects/info/packs", ""},                   {"/n/.a.git/git-upload-pack", ""},
		{"/n/a.git/git-upload-pack", "x"},                     {"/n/a%2e.git/git-upload-pack", ""},
		{"/n/a/git-upload-pack", ""},                          {"/n/a.git/git-upload-pack/", ""},
		{"/n/.git/git-upload-pack", ""},                       {"/enrol", "x"},
		{"", ""},                                              {"/enrol/", ""},
	};
	for (size_t i = 0; i < TRIB_COUNT(nothing); i++) {
		trib_route_parse(nothing[i][0], nothing[i][1], &r);
		if (r.kind != TRIB_ROUTE_NONE)
			fail_msg("%s?%s is a route", nothing[i][0], nothing[i][1]);
	}
}

static void everybody_goes_only_where_their_role_allows(void **state)
{
	(void)state;
	struct trib_ipc_who nobody = {.role = TRIB_ROLE_NONE}, node = {.known = true, .role = TRIB_ROLE_NODE, .node = "n", .app = "a"};
	struct trib_ipc_who expired = node, auditor = {.known = true, .role = TRIB_ROLE_AUDITOR}, none = {.known = true, .role = TRIB_ROLE_NONE};
	expired.expired = true;
	const char *up = "service=git-upload-pack", *rp = "service=git-receive-pack";
	assert_int_equal(route("/", "", &nobody), 0);
	assert_int_equal(route("/enrol", "", &nobody), 0);
	assert_int_equal(route("/checkpoint", "", &nobody), 403);
	assert_int_equal(route("/n/a.git/info/refs", up, &nobody), 403);
	assert_int_equal(route("/n/a.git/git-receive-pack", "", &expired), 403);
	assert_int_equal(route("/checkpoint", "", &expired), 403);
	assert_int_equal(route("/checkpoint", "", &node), 0);
	assert_int_equal(route("/n/a.git/info/refs", rp, &node), 0);
	assert_int_equal(route("/n/a.git/git-receive-pack", "", &node), 0);
	assert_int_equal(route("/n/a.git/old-receipts", "", &node), 0);
	assert_int_equal(route("/n/a.git/old-receipts", "x", &node), 404);
	assert_int_equal(route("/n/b.git/old-receipts", "", &node), 403);
	assert_int_equal(route("/n/a.git/old-receipts", "", &expired), 403);
	assert_int_equal(route("/n/a.git/old-receipts", "", &auditor), 403);
	assert_int_equal(route("/n/a.git/old-receipts", "", &nobody), 403);
	assert_int_equal(route("/n/a.git/forked", "", &node), 0);
	assert_int_equal(route("/n/a.git/forked", "x", &node), 404);
	assert_int_equal(route("/n/b.git/forked", "", &node), 403);
	assert_int_equal(route("/n/a.git/forked", "", &expired), 403);
	assert_int_equal(route("/n/a.git/forked", "", &auditor), 403);
	assert_int_equal(route("/n/a.git/forked", "", &nobody), 403);
	assert_int_equal(route("/n/b.git/git-upload-pack", "", &node), 403);
	assert_int_equal(route("/m/a.git/git-receive-pack", "", &node), 403);
	assert_int_equal(route("/m/a.git/git-upload-pack", "", &auditor), 0);
	assert_int_equal(route("/m/a.git/info/refs", rp, &auditor), 403);
	assert_int_equal(route("/m/a.git/git-receive-pack", "", &auditor), 403);
	assert_int_equal(route("/m/a.git/git-upload-pack", "", &none), 403);
	assert_int_equal(route("/nowhere", "", &node), 404);
	static const char named[] = "/named/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
	assert_int_equal(route("/tile/0/x001/234", "", &nobody), 403);
	assert_int_equal(route("/tile/0/x001/234", "", &expired), 403);
	assert_int_equal(route("/tile/0/x001/234", "", &node), 0);
	assert_int_equal(route("/tile/1/000.p/7", "", &auditor), 0);
	assert_int_equal(route("/tile/entries/000", "", &node), 403);
	assert_int_equal(route("/tile/entries/000", "", &none), 403);
	assert_int_equal(route("/tile/entries/000", "", &auditor), 0);
	assert_int_equal(route(named, "", &node), 403);
	assert_int_equal(route(named, "", &auditor), 0);
	assert_int_equal(route("/tile/0/000", "x", &auditor), 404);
	assert_int_equal(route("/tile/0/0", "", &auditor), 404);
	assert_int_equal(route("/named/0123", "", &auditor), 404);
}

static void a_refusal_is_one_line_with_its_stable_name_first(void **state)
{
	(void)state;
	struct trib_push_request q = {.ncmds = 1, .report_status = true};
	(void)snprintf(q.cmds[0].ref, sizeof(q.cmds[0].ref), "refs/heads/main");
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(4096);
	trib_push_report(&b, &q, TRIB_E_SIGNATURE, "commit 3f2a:\nwrong\x1b key");
	assert_string_equal(trib_buf_str(&b), "000eunpack ok\n003eng refs/heads/main bad-signature: commit 3f2a: wrong  key\n0000");
	trib_buf_reset(&b);
	trib_push_report(&b, &q, TRIB_OK, "");
	assert_string_equal(trib_buf_str(&b), "000eunpack ok\n0017ok refs/heads/main\n0000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(heads_that_readers_could_take_differently_are_refused),
		cmocka_unit_test(a_nul_in_a_head_is_refused),
		cmocka_unit_test(a_head_is_read_into_its_parts),
		cmocka_unit_test(a_head_ends_at_its_limit),
		cmocka_unit_test(chunks_give_the_body_in_any_cutting),
		cmocka_unit_test(damaged_chunks_are_refused),
		cmocka_unit_test(kept_connection_serves_one_request_after_the_other),
		cmocka_unit_test(smuggled_request_never_surfaces),
		cmocka_unit_test(body_over_its_maximum_is_refused_and_drained),
		cmocka_unit_test(continue_is_sent_only_when_the_body_is_wanted),
		cmocka_unit_test(gzip_bodies_are_inflated_up_to_their_maximum),
		cmocka_unit_test(a_gzip_bomb_costs_no_more_than_its_maximum),
		cmocka_unit_test(a_slow_request_ends_at_its_deadline),
		cmocka_unit_test(an_idle_connection_may_be_stopped_and_a_busy_one_not),
		cmocka_unit_test(an_answer_left_unfinished_closes_the_connection),
		cmocka_unit_test(routes_name_one_history),
		cmocka_unit_test(everybody_goes_only_where_their_role_allows),
		cmocka_unit_test(a_refusal_is_one_line_with_its_stable_name_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
