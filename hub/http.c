#include "hub/http.h"

#include <stdarg.h>
#include <zlib.h>

#include "core/base/clock.h"

#define IN_SIZE (64 * TRIB_KIB)  /* at least TRIB_HTTP_HEAD_MAX */
#define OUT_SIZE (32 * TRIB_KIB) /* gathered before a write: TLS records are at most 16 KiB */
#define DRAIN_MAX ((uint64_t)2 * TRIB_PACK_MAX)

struct trib_http {
	struct trib_http_io io;
	int request_ms;
	uint8_t in[IN_SIZE];
	size_t at, end; /* unread bytes of `in` */
	struct trib_http_request req;
	bool in_request, answered, close, gone;
	bool continued;      /* 100 Continue was sent or is not needed */
	bool body_done;      /* no byte of the body is left on the wire */
	bool body_failed;
	enum trib_code failed_code;
	uint64_t wire;       /* body bytes taken, dechunked, not inflated */
	uint64_t left;       /* identity body */
	uint64_t out_total, out_max, drain_max;
	struct trib_http_chunks chunks;
	bool z_on, z_end;
	z_stream z;
	struct trib_span z_in; /* borrowed from `in` */
	int64_t deadline, body_start;
	bool streaming;
	struct trib_buf out;
};

struct trib_http *trib_http_new(struct trib_http_io io, int request_ms)
{
	struct trib_http *h = calloc(1, sizeof(*h));
	if (!h)
		return NULL;
	h->io = io;
	h->request_ms = request_ms;
	h->body_done = true;
	h->drain_max = DRAIN_MAX;
	h->out = TRIB_BUF(OUT_SIZE + 1024);
	return h;
}

static void end_inflate(struct trib_http *h)
{
	if (h->z_on)
		inflateEnd(&h->z);
	h->z_on = false;
}

void trib_http_free(struct trib_http *h)
{
	if (!h)
		return;
	end_inflate(h);
	trib_buf_release(&h->out);
	free(h);
}

bool trib_http_idle(const struct trib_http *h)
{
	bool over = !h->in_request || (h->answered && !h->streaming && h->body_done);
	return over && h->at == h->end;
}
bool trib_http_answered(const struct trib_http *h) { return h->answered; }
void trib_http_close_after(struct trib_http *h) { h->close = true; }
void trib_http_drain_max(struct trib_http *h, uint64_t max) { h->drain_max = max; }
void trib_http_body_max(struct trib_http *h, uint64_t max) { h->out_max = max; }

/* Reads more into `in`. 1, 0 at a clean end, -1. */
static int fill(struct trib_http *h, int timeout_ms, struct trib_err *err)
{
	if (h->at == h->end)
		h->at = h->end = 0;
	if (h->end == IN_SIZE && h->at) {
		memmove(h->in, h->in + h->at, h->end - h->at);
		h->end -= h->at;
		h->at = 0;
	}
	if (h->end == IN_SIZE)
		return trib_fail(err, TRIB_E_LIMIT, "an HTTP element is over %zu bytes", IN_SIZE);
	size_t n = 0;
	if (timeout_ms <= 0)
		return trib_fail(err, TRIB_E_UNREACHABLE, "the request took too long");
	if (h->io.read(h->io.ctx, h->in + h->end, IN_SIZE - h->end, timeout_ms, &n, err)) {
		h->gone = true;
		return -1;
	}
	if (n == 0) {
		h->gone = true;
		return 0;
	}
	h->end += n;
	return 1;
}

static int write_out(struct trib_http *h, struct trib_span bytes, struct trib_err *err)
{
	if (trib_mono_ms() > h->deadline) {
		h->gone = true;
		return trib_fail(err, TRIB_E_UNREACHABLE, "the request took longer than %d s; push or fetch less at a time", h->request_ms / 1000);
	}
	if (h->io.write(h->io.ctx, bytes, TRIB_IO_MS, err)) {
		h->gone = true;
		return -1;
	}
	return 0;
}

static int ms_until(int64_t deadline, int most)
{
	int64_t left = deadline - trib_mono_ms();
	return left <= 0 ? 0 : left < most ? (int)left : most;
}

static void start_request(struct trib_http *h, const struct trib_http_request *req)
{
	h->req = *req;
	h->in_request = true;
	h->answered = h->streaming = false;
	h->continued = !req->expect_continue;
	h->left = req->length;
	h->chunks = (struct trib_http_chunks){0};
	h->body_done = !req->chunked && req->length == 0;
	h->body_failed = false;
	h->wire = h->out_total = h->out_max = 0;
	h->z_end = false;
	h->z_in = trib_span(NULL, 0);
	h->body_start = trib_mono_ms();
	if (!req->keep_alive)
		h->close = true;
}

/* Finishes the request before: 1 when the connection can go on. */
static int finish_request(struct trib_http *h)
{
	struct trib_err ignored;
	if (!h->in_request)
		return !h->gone && !h->close;
	if (!h->answered || h->streaming || trib_http_drain(h, &ignored))
		h->close = true;
	end_inflate(h);
	h->in_request = false;
	return !h->gone && !h->close;
}

int trib_http_next(struct trib_http *h, int idle_ms, struct trib_http_request *ret, struct trib_err *err)
{
	if (!finish_request(h))
		return 0;
	int64_t now = trib_mono_ms();
	if (h->at == h->end) {
		int r = fill(h, idle_ms, err);
		/* Silence and a reset between two requests are how kept connections end. */
		if (r <= 0)
			return 0;
	}
	now = trib_mono_ms();
	h->deadline = now + h->request_ms;
	int64_t head_deadline = now + TRIB_HEAD_MS;
	for (;;) {
		struct trib_http_request req;
		size_t n;
		int status;
		int r = trib_http_head_parse(trib_span(h->in + h->at, h->end - h->at), &req, &n, &status, err);
		if (r == 1) {
			h->at += n;
			start_request(h, &req);
			*ret = req;
			return 1;
		}
		if (r < 0) {
			struct trib_err why = *err, second;
			h->in_request = true;
			h->answered = false;
			h->body_done = h->continued = true;
			h->close = true;
			if (trib_http_text(h, status, &second, "%s", why.msg))
				return -1;
			return -1;
		}
		r = fill(h, ms_until(head_deadline, TRIB_HEAD_MS), err);
		if (r == 0)
			return trib_fail(err, TRIB_E_UNREACHABLE, "the peer left inside a request head");
		if (r < 0)
			return -1;
	}
}

static int fail_body(struct trib_http *h, struct trib_err *err)
{
	h->body_failed = true;
	h->failed_code = err->code;
	return -1;
}

/* More wire bytes of a body, with the deadlines of a body. */
static int fill_body(struct trib_http *h, struct trib_err *err)
{
	if (!h->continued) {
		h->continued = true;
		if (write_out(h, trib_span_str("HTTP/1.1 100 Continue\r\n\r\n"), err))
			return -1;
	}
	int64_t late = trib_mono_ms() - h->body_start - TRIB_BODY_GRACE_MS;
	if (late > 0 && h->wire < (uint64_t)late * TRIB_BODY_RATE / 1000) {
		h->gone = true;
		return trib_fail(err, TRIB_E_UNREACHABLE, "the request body comes slower than %d bytes a second", TRIB_BODY_RATE);
	}
	int r = fill(h, ms_until(h->deadline, TRIB_IO_MS), err);
	if (r < 0) {
		h->gone = true;
		return -1;
	}
	if (r == 0)
		return trib_fail(err, TRIB_E_UNREACHABLE, "the peer left inside a request body");
	return 0;
}

/* The next piece of the body as it is on the wire, dechunked; borrowed from `in` until the next call. n = 0: the end. */
static int take_wire(struct trib_http *h, size_t most, struct trib_span *ret, struct trib_err *err)
{
	*ret = trib_span(NULL, 0);
	while (!h->body_done) {
		if (h->at == h->end && fill_body(h, err))
			return -1;
		struct trib_span in = trib_span(h->in + h->at, h->end - h->at);
		if (h->req.chunked) {
			struct trib_span window = in.n > most ? trib_span(in.p, most) : in;
			size_t before = window.n;
			int r = trib_http_chunks_take(&h->chunks, &window, ret, err);
			h->at += before - window.n;
			if (r < 0) {
				h->gone = true; /* the borders of requests are lost */
				return -1;
			}
			if (r == 0)
				h->body_done = true;
		} else {
			size_t k = in.n < most ? in.n : most;
			k = h->left < k ? (size_t)h->left : k;
			*ret = trib_span(in.p, k);
			h->at += k;
			h->left -= k;
			if (h->left == 0)
				h->body_done = true;
		}
		h->wire += ret->n;
		if (ret->n)
			return 0;
	}
	return 0;
}

static int too_big(struct trib_http *h, struct trib_err *err)
{
	return trib_fail(err, TRIB_E_LIMIT, "the request body is over %llu bytes", (unsigned long long)h->out_max);
}

/* Inflates up to n bytes. */
static int body_gzip(struct trib_http *h, uint8_t *p, size_t n, size_t *ret_n, struct trib_err *err)
{
	if (!h->z_on) {
		memset(&h->z, 0, sizeof(h->z));
		if (inflateInit2(&h->z, 31) != Z_OK)
			return trib_fail(err, TRIB_E_NOMEM, "starting zlib");
		h->z_on = true;
	}
	h->z.next_out = p;
	h->z.avail_out = n > UINT32_MAX ? UINT32_MAX : (uInt)n;
	uInt room = h->z.avail_out;
	while (h->z.avail_out == room && !h->z_end) {
		if (h->z_in.n == 0) {
			if (take_wire(h, IN_SIZE, &h->z_in, err))
				return -1;
			if (h->z_in.n == 0)
				return trib_fail(err, TRIB_E_FORMAT, "the gzip body is cut short");
			/* Empty blocks and header fields cost wire bytes and give none. */
			if (h->wire > h->out_max + IN_SIZE)
				return too_big(h, err);
		}
		h->z.next_in = (Bytef *)(uintptr_t)h->z_in.p;
		h->z.avail_in = (uInt)h->z_in.n;
		int z = inflate(&h->z, Z_NO_FLUSH);
		h->z_in = trib_span(h->z.next_in, h->z.avail_in);
		if (z == Z_STREAM_END)
			h->z_end = true;
		else if (z != Z_OK && z != Z_BUF_ERROR)
			return trib_fail(err, TRIB_E_FORMAT, "the gzip body is damaged");
	}
	*ret_n = room - h->z.avail_out;
	if (*ret_n || !h->z_end)
		return 0;
	/* After the member nothing may follow. */
	struct trib_span rest = h->z_in;
	if (rest.n == 0 && take_wire(h, IN_SIZE, &rest, err))
		return -1;
	if (rest.n)
		return trib_fail(err, TRIB_E_FORMAT, "bytes after the gzip body");
	return 0;
}

int trib_http_body(struct trib_http *h, void *p, size_t n, size_t *ret_n, struct trib_err *err)
{
	size_t got = 0;
	if (h->body_failed)
		return trib_fail(err, h->failed_code, "the request body has failed before");
	if (!h->req.gzip || (h->body_done && h->wire == 0)) {
		/* Refused before it is read when the length says so. */
		if (!h->req.chunked && h->req.length > h->out_max) {
			too_big(h, err);
			return fail_body(h, err);
		}
		struct trib_span s;
		if (take_wire(h, n, &s, err))
			return fail_body(h, err);
		if (s.n)
			memcpy(p, s.p, s.n);
		got = s.n;
	} else if (body_gzip(h, p, n, &got, err)) {
		return fail_body(h, err);
	}
	h->out_total += got;
	if (h->out_total > h->out_max) {
		too_big(h, err);
		return fail_body(h, err);
	}
	*ret_n = got;
	return 0;
}

int trib_http_body_all(struct trib_http *h, struct trib_buf *ret, struct trib_err *err)
{
	for (;;) {
		uint8_t chunk[16384];
		size_t n = 0;
		if (trib_http_body(h, chunk, sizeof(chunk), &n, err))
			return -1;
		if (n == 0)
			return 0;
		trib_buf_put(ret, chunk, n);
		if (trib_buf_check(ret, "the request body", err))
			return fail_body(h, err);
	}
}

int trib_http_drain(struct trib_http *h, struct trib_err *err)
{
	/* A peer that still waits for 100 Continue sends no body: it reads the answer instead. */
	if (!h->continued && !h->body_done) {
		h->close = true;
		return trib_fail(err, TRIB_E_REFUSED, "the body was not asked for");
	}
	while (!h->body_done && !h->gone) {
		struct trib_span s;
		if (h->wire > h->drain_max) {
			h->close = true;
			return trib_fail(err, TRIB_E_LIMIT, "the request body is too long to be read to its end");
		}
		if (take_wire(h, IN_SIZE, &s, err)) {
			h->close = true;
			return -1;
		}
	}
	if (h->gone)
		return trib_fail(err, TRIB_E_UNREACHABLE, "the peer left");
	return 0;
}

static const char *reason(int status)
{
	static const struct {
		int status;
		const char *text;
	} known[] = {
		{200, "OK"},
		{400, "Bad Request"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{409, "Conflict"},
		{411, "Length Required"},
		{413, "Content Too Large"},
		{422, "Unprocessable Content"},
		{414, "URI Too Long"},
		{415, "Unsupported Media Type"},
		{417, "Expectation Failed"},
		{422, "Unprocessable Entity"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{503, "Service Unavailable"},
		{505, "HTTP Version Not Supported"},
	};
	for (size_t i = 0; i < TRIB_COUNT(known); i++)
		if (known[i].status == status)
			return known[i].text;
	return "Answer";
}

static void put_head(struct trib_http *h, int status, const char *type)
{
	trib_buf_reset(&h->out);
	trib_buf_printf(&h->out, "HTTP/1.1 %d %s\r\nServer: tributary\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nContent-Type: %s\r\n",
			status, reason(status), type);
	if (status == 405)
		trib_buf_puts(&h->out, "Allow: GET, POST\r\n");
	if (h->close)
		trib_buf_puts(&h->out, "Connection: close\r\n");
}

int trib_http_answer(struct trib_http *h, int status, const char *type, struct trib_span body, struct trib_err *err)
{
	struct trib_err ignored;
	if (h->answered)
		return trib_fail(err, TRIB_E_FAILED, "a second answer to one request");
	if (trib_http_drain(h, &ignored))
		h->close = true;
	h->answered = true;
	put_head(h, status, type);
	trib_buf_printf(&h->out, "Content-Length: %zu\r\n\r\n", body.n);
	if (trib_buf_check(&h->out, "an answer's head", err))
		return -1;
	if (body.n <= OUT_SIZE - h->out.len) {
		trib_buf_put_span(&h->out, body);
		return write_out(h, trib_buf_span(&h->out), err);
	}
	if (write_out(h, trib_buf_span(&h->out), err))
		return -1;
	return write_out(h, body, err);
}

int trib_http_text(struct trib_http *h, int status, struct trib_err *err, const char *fmt, ...)
{
	char line[TRIB_ERR_MSG + 64];
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	size_t len = n < 0 ? 0 : (size_t)n < sizeof(line) - 1 ? (size_t)n : sizeof(line) - 2;
	line[len++] = '\n';
	return trib_http_answer(h, status, "text/plain; charset=utf-8", trib_span(line, len), err);
}

int trib_http_begin(struct trib_http *h, const char *type, struct trib_err *err)
{
	struct trib_err ignored;
	if (h->answered)
		return trib_fail(err, TRIB_E_FAILED, "a second answer to one request");
	if (trib_http_drain(h, &ignored))
		h->close = true;
	h->answered = h->streaming = true;
	put_head(h, 200, type);
	trib_buf_puts(&h->out, "Transfer-Encoding: chunked\r\n\r\n");
	if (trib_buf_check(&h->out, "an answer's head", err) || write_out(h, trib_buf_span(&h->out), err))
		return -1;
	trib_buf_reset(&h->out);
	return 0;
}

/* Sends what was gathered as one chunk. */
static int flush_chunk(struct trib_http *h, struct trib_err *err)
{
	char size[16];
	if (h->out.len == 0)
		return 0;
	int n = snprintf(size, sizeof(size), "%zx\r\n", h->out.len);
	trib_buf_puts(&h->out, "\r\n");
	if (trib_buf_check(&h->out, "an answer", err) || write_out(h, trib_span(size, (size_t)n), err) ||
	    write_out(h, trib_buf_span(&h->out), err))
		return -1;
	trib_buf_reset(&h->out);
	return 0;
}

int trib_http_send(struct trib_http *h, struct trib_span bytes, struct trib_err *err)
{
	if (!h->streaming)
		return trib_fail(err, TRIB_E_FAILED, "no streamed answer has begun");
	while (bytes.n) {
		size_t room = OUT_SIZE - h->out.len;
		size_t k = bytes.n < room ? bytes.n : room;
		trib_buf_put(&h->out, bytes.p, k);
		bytes.p += k;
		bytes.n -= k;
		if (h->out.len == OUT_SIZE && flush_chunk(h, err))
			return -1;
	}
	return trib_buf_check(&h->out, "an answer", err);
}

int trib_http_end(struct trib_http *h, struct trib_err *err)
{
	if (!h->streaming)
		return trib_fail(err, TRIB_E_FAILED, "no streamed answer has begun");
	if (flush_chunk(h, err) || write_out(h, trib_span_str("0\r\n\r\n"), err))
		return -1;
	h->streaming = false;
	return 0;
}
