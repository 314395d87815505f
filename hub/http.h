/* http.h: the hub's HTTP/1.1 (RFC 9112), as little of it as git and the agent need.
 *
 * Two pure parsers (request head, chunked body) and one connection object over an abstract stream, so that tests and the fuzzer need no
 * TLS. Strict on purpose: whatever two implementations could read differently is refused (both lengths, two lengths, another transfer coding
 * than chunked, bare line feeds, folded headers, chunk extensions, trailers). Memory is two fixed buffers; bodies are streamed.
 *
 * Every wait has a deadline: TRIB_HEAD_MS for a head once it has begun, TRIB_IO_MS of silence, a whole-request limit, and a minimum rate
 * for bodies. One object serves one connection in one process. */
#ifndef TRIB_HUB_HTTP_H
#define TRIB_HUB_HTTP_H

#include "core/base/buf.h"
#include "core/base/limits.h"

enum trib_http_method { TRIB_HTTP_GET, TRIB_HTTP_POST };

struct trib_http_request {
	enum trib_http_method method;
	char path[TRIB_HTTP_TARGET_MAX + 1];  /* before '?', as sent: never percent-decoded, so that one resource has one name */
	char query[TRIB_HTTP_TARGET_MAX + 1]; /* after '?', "" when none */
	char content_type[96];                /* lower-cased, without parameters; "" when none */
	bool chunked, gzip, expect_continue, keep_alive;
	uint64_t length; /* of the body, not chunked; 0 when none */
};

/* Parses the head at the start of `in` (up to and with the empty line). 1 and *ret_len; 0 when `in` holds no whole head yet; -1 with *ret_status, the
 * HTTP status that says why (400, 405, 411, 414, 415, 417, 431, 501, 505). */
int trib_http_head_parse(struct trib_span in, struct trib_http_request *ret, size_t *ret_len, int *ret_status, struct trib_err *err) TRIB_MUST_CHECK;

/* Streaming decoder of the chunked coding. Zero-initialise. */
struct trib_http_chunks { int state; unsigned digits; uint64_t left; };
/* Consumes from *in. 1 and the next piece of the body (borrowed from `in`; empty: more bytes are needed), 0 when the body has ended (the rest of
 * *in belongs to the next request), -1 TRIB_E_FORMAT. */
int trib_http_chunks_take(struct trib_http_chunks *c, struct trib_span *in, struct trib_span *ret, struct trib_err *err) TRIB_MUST_CHECK;

/* The byte stream below. read: *ret_n = 0 at a clean end. Timeouts are for silence. */
struct trib_http_io {
	void *ctx;
	int (*read)(void *ctx, void *p, size_t n, int timeout_ms, size_t *ret_n, struct trib_err *err);
	int (*write)(void *ctx, struct trib_span bytes, int timeout_ms, struct trib_err *err);
};

struct trib_http; /* one connection, server side */
/* request_ms: the limit for one whole request, from its first byte to the end of the answer. NULL out of memory. */
struct trib_http *trib_http_new(struct trib_http_io io, int request_ms);
void trib_http_free(struct trib_http *h);
static inline void trib_http_cleanup(struct trib_http **h) { trib_http_free(*h); }

/* Waits at most idle_ms for the next request. 1; 0 when the peer has left, was idle too long, or the connection must close; -1 after a
 * bad head (an answer with its status was sent already) or a broken stream. What was unread of the request before is drained first. */
int trib_http_next(struct trib_http *h, int idle_ms, struct trib_http_request *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* True while nothing of a next request has come: the process may be stopped without cutting anybody off. Async-signal-safe. */
bool trib_http_idle(const struct trib_http *h);

/* Sets how many decoded bytes the body may have; 0 until called. */
void trib_http_body_max(struct trib_http *h, uint64_t max);
/* The next 1..n bytes of the body, dechunked and inflated; *ret_n = 0 at its end. Sends "100 Continue" when the peer waits for it.
 * TRIB_E_LIMIT over the maximum, TRIB_E_FORMAT, TRIB_E_UNREACHABLE when the peer left or is too slow: the line's fault is no verdict on what it
 * carried. Errors are sticky. */
int trib_http_body(struct trib_http *h, void *p, size_t n, size_t *ret_n, struct trib_err *err) TRIB_MUST_CHECK;
/* The whole body, appended to *ret (whose max must be at least the body maximum). */
int trib_http_body_all(struct trib_http *h, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Reads the rest of the body and throws it away without inflating it: a peer that still writes would not read an early answer. 0 also when there
 * is nothing to drain; -1 when it is too long or too slow: the connection then closes after the answer. */
int trib_http_drain(struct trib_http *h, struct trib_err *err);

/* Bytes of a body that are drained at most before the connection is given up; two packs until called. */
void trib_http_drain_max(struct trib_http *h, uint64_t max);

/* A whole answer; drains the request first. `type` is a media type. */
int trib_http_answer(struct trib_http *h, int status, const char *type, struct trib_span body, struct trib_err *err) TRIB_MUST_CHECK;
/* text/plain answer of one formatted line; git shows it as "remote: ...". */
int trib_http_text(struct trib_http *h, int status, struct trib_err *err, const char *fmt, ...) TRIB_PRINTF(4, 5) TRIB_MUST_CHECK;
/* A streamed 200 answer in the chunked coding: begin, any number of sends, end. After a failure in between only close. */
int trib_http_begin(struct trib_http *h, const char *type, struct trib_err *err) TRIB_MUST_CHECK;
int trib_http_send(struct trib_http *h, struct trib_span bytes, struct trib_err *err) TRIB_MUST_CHECK;
int trib_http_end(struct trib_http *h, struct trib_err *err) TRIB_MUST_CHECK;
/* No further request on this connection: the answer says Connection: close. Call before answering. */
void trib_http_close_after(struct trib_http *h);
/* True when an answer to the current request has begun. */
bool trib_http_answered(const struct trib_http *h);

#endif
