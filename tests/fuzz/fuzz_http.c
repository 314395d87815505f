/* fuzz_http.c: request heads, the chunked coding, and whole connections over them (hub/http.h). */
#include "tests/fuzz/fuzz.h"

#include "hub/http.h"

#define BODY_MAX 65536

struct wire { struct trib_span rest; size_t step, written; };

static int wire_read(void *ctx, void *p, size_t n, int timeout_ms, size_t *ret_n, struct trib_err *err)
{
	struct wire *w = ctx;
	(void)timeout_ms;
	(void)err;
	size_t k = w->rest.n < w->step ? w->rest.n : w->step;
	k = k < n ? k : n;
	if (k)
		memcpy(p, w->rest.p, k);
	w->rest.p += k;
	w->rest.n -= k;
	*ret_n = k;
	return 0;
}

static int wire_write(void *ctx, struct trib_span bytes, int timeout_ms, struct trib_err *err)
{
	struct wire *w = ctx;
	(void)timeout_ms;
	(void)err;
	w->written += bytes.n;
	return 0;
}

/* Decodes with cuts every `step` bytes: 0 ended, 1 needs more, -1; *ret_used tells how far it read. */
static int dechunk(struct trib_span wire, size_t step, struct trib_buf *ret, size_t *ret_used)
{
	struct trib_err err;
	struct trib_http_chunks c = {0};
	size_t at = 0;
	while (at < wire.n) {
		struct trib_span in = trib_span(wire.p + at, wire.n - at < step ? wire.n - at : step), piece;
		size_t before = in.n;
		int r = trib_http_chunks_take(&c, &in, &piece, &err);
		at += before - in.n;
		*ret_used = at;
		if (r <= 0)
			return r;
		if (before == in.n)
			abort(); /* no progress: a loop without end */
		trib_buf_put_span(ret, piece);
	}
	return 1;
}

/* However the line cuts the bytes, the body is the same. */
static void same_in_any_cutting(struct trib_span s)
{
	TRIB_AUTO(trib_buf) struct trib_buf a = TRIB_BUF(s.n + 1);
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(s.n + 1);
	size_t ua = 0, ub = 0;
	int ra = dechunk(s, SIZE_MAX, &a, &ua), rb = dechunk(s, 3, &b, &ub);
	if (ra != rb || (ra == 0 && ua != ub) || !trib_span_eq(trib_buf_span(&a), trib_buf_span(&b)))
		abort();
}

static void whole_connection(struct trib_span s, size_t step)
{
	struct trib_err err;
	struct trib_http_request q;
	struct wire w = {.rest = s, .step = step};
	struct trib_http *h = trib_http_new((struct trib_http_io){.ctx = &w, .read = wire_read, .write = wire_write}, TRIB_REQUEST_MS);
	if (!h)
		return;
	for (int i = 0; i < 100 && trib_http_next(h, 1000, &q, &err) == 1; i++) {
		TRIB_AUTO(trib_buf) struct trib_buf body = TRIB_BUF(BODY_MAX);
		trib_http_body_max(h, BODY_MAX);
		/* Every second body is left unread, so that draining runs too. */
		if (i % 2 == 0 && trib_http_body_all(h, &body, &err) == 0 && !q.gzip && !q.chunked && body.len != q.length)
			abort();
		if (trib_http_text(h, 200, &err, "x"))
			break;
	}
	trib_http_free(h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trib_span s = trib_span(data, size);
	struct trib_err err;
	struct trib_http_request q;
	size_t n = 0;
	int status = 0;
	int r = trib_http_head_parse(s, &q, &n, &status, &err);
	if (r == 1 && (n == 0 || n > size || n > TRIB_HTTP_HEAD_MAX || q.path[0] != '/' || (q.chunked && q.length)))
		abort();
	if (r < 0 && (status < 400 || status > 505))
		abort();
	same_in_any_cutting(r == 1 ? trib_span(data + n, size - n) : s);
	whole_connection(s, SIZE_MAX);
	whole_connection(s, 7);
	return 0;
}
