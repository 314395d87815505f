/* The two pure parsers of http.h. http_parser splits the head; what it tolerates and we do not is checked around it. */
#include <ctype.h>
#include <http_parser.h>
#include <strings.h>

#include "hub/http.h"

#define FIELDS_MAX 64 /* curl and libgit2 send about ten */

enum field { FIELD_OTHER, FIELD_HOST, FIELD_LENGTH, FIELD_CODING, FIELD_EXPECT, FIELD_ENCODING, FIELD_TYPE, FIELD_UPGRADE, FIELD_COUNT };

static const struct {
	const char *name;
	enum field field;
} FIELDS[] = {
	{"host", FIELD_HOST},         {"content-length", FIELD_LENGTH},     {"transfer-encoding", FIELD_CODING}, {"expect", FIELD_EXPECT},
	{"upgrade", FIELD_UPGRADE},   {"content-encoding", FIELD_ENCODING}, {"content-type", FIELD_TYPE},
};

struct head {
	struct trib_http_request *req;
	struct trib_err *err;
	int status; /* first complaint, 0 when none */
	struct trib_span url, name, value;
	bool in_value, whole;
	unsigned fields, seen[FIELD_COUNT];
};

static int complain(struct head *h, int status, const char *what)
{
	if (!h->status) {
		h->status = status;
		trib_fail(h->err, status == 414 || status == 431 ? TRIB_E_LIMIT : TRIB_E_FORMAT, "HTTP request: %s", what);
	}
	return 1; /* stops http_parser */
}

/* The head is parsed from one buffer in one call, so pieces of one token are adjacent. */
static void extend(struct trib_span *s, const char *at, size_t n)
{
	if (!s->p)
		s->p = (const uint8_t *)at;
	s->n += n;
}

static bool is_word(struct trib_span s, const char *w)
{
	return s.n == strlen(w) && strncasecmp((const char *)s.p, w, s.n) == 0;
}

static int take_length(struct head *h, struct trib_span v)
{
	if (v.n == 0 || v.n > 18)
		return complain(h, 400, "Content-Length is not a number we accept");
	uint64_t n = 0;
	for (size_t i = 0; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9')
			return complain(h, 400, "Content-Length is not a number");
		n = n * 10 + (uint64_t)(v.p[i] - '0');
	}
	h->req->length = n;
	return 0;
}

static int take_type(struct head *h, struct trib_span v)
{
	size_t n = 0;
	while (n < v.n && v.p[n] != ';' && v.p[n] != ' ')
		n++;
	if (n >= sizeof(h->req->content_type))
		return complain(h, 415, "Content-Type is too long");
	for (size_t i = 0; i < n; i++)
		h->req->content_type[i] = (char)tolower(v.p[i]);
	h->req->content_type[n] = '\0';
	return 0;
}

/* Names are tokens (RFC 9110 5.6.2), values have no control bytes: the library is laxer. */
static bool plain_field(struct trib_span name, struct trib_span v)
{
	for (size_t i = 0; i < name.n; i++)
		if (!isalnum(name.p[i]) && !strchr("!#$%&'*+-.^_`|~", name.p[i]))
			return false;
	for (size_t i = 0; i < v.n; i++)
		if ((v.p[i] < 0x20 && v.p[i] != '\t') || v.p[i] == 0x7f)
			return false;
	return name.n > 0;
}

/* One whole header field. */
static int take_field(struct head *h)
{
	struct trib_span name = h->name, v = h->value;
	h->name = h->value = trib_span(NULL, 0);
	h->in_value = false;
	if (++h->fields > FIELDS_MAX)
		return complain(h, 431, "too many header fields");
	if (!plain_field(name, v))
		return complain(h, 400, "a header field with bytes that do not belong there");
	while (v.n && (v.p[v.n - 1] == ' ' || v.p[v.n - 1] == '\t'))
		v.n--;
	enum field f = FIELD_OTHER;
	for (size_t i = 0; i < TRIB_COUNT(FIELDS); i++)
		if (is_word(name, FIELDS[i].name))
			f = FIELDS[i].field;
	if (f != FIELD_OTHER && ++h->seen[f] > 1)
		return complain(h, 400, "a header field that may come once comes twice");
	switch (f) {
	case FIELD_LENGTH:
		return take_length(h, v);
	case FIELD_CODING:
		if (!is_word(v, "chunked"))
			return complain(h, 501, "a transfer coding other than chunked");
		h->req->chunked = true;
		return 0;
	case FIELD_EXPECT:
		if (!is_word(v, "100-continue"))
			return complain(h, 417, "an expectation other than 100-continue");
		h->req->expect_continue = true;
		return 0;
	case FIELD_ENCODING:
		if (is_word(v, "gzip") || is_word(v, "x-gzip"))
			h->req->gzip = true;
		else if (!is_word(v, "identity"))
			return complain(h, 415, "a content coding other than gzip");
		return 0;
	case FIELD_TYPE:
		return take_type(h, v);
	case FIELD_UPGRADE:
	case FIELD_HOST:
	case FIELD_OTHER:
	case FIELD_COUNT:
		break;
	}
	return 0;
}

static int on_url(http_parser *p, const char *at, size_t n)
{
	struct head *h = p->data;
	extend(&h->url, at, n);
	return 0;
}

static int on_name(http_parser *p, const char *at, size_t n)
{
	struct head *h = p->data;
	if (h->in_value && take_field(h))
		return 1;
	extend(&h->name, at, n);
	return 0;
}

static int on_value(http_parser *p, const char *at, size_t n)
{
	struct head *h = p->data;
	h->in_value = true;
	extend(&h->value, at, n);
	return 0;
}

static int take_target(struct head *h)
{
	struct trib_span u = h->url;
	if (u.n > TRIB_HTTP_TARGET_MAX)
		return complain(h, 414, "the target is too long");
	if (u.n == 0 || u.p[0] != '/')
		return complain(h, 400, "the target is not a path");
	for (size_t i = 0; i < u.n; i++)
		if (u.p[i] <= 0x20 || u.p[i] >= 0x7f || u.p[i] == '#')
			return complain(h, 400, "the target has a byte that does not belong there");
	const uint8_t *q = memchr(u.p, '?', u.n);
	size_t path = q ? (size_t)(q - u.p) : u.n;
	memcpy(h->req->path, u.p, path);
	h->req->path[path] = '\0';
	size_t rest = q ? u.n - path - 1 : 0;
	if (rest)
		memcpy(h->req->query, q + 1, rest);
	h->req->query[rest] = '\0';
	return 0;
}

static int on_head(http_parser *p)
{
	struct head *h = p->data;
	if (h->name.p && take_field(h))
		return -1;
	if (p->http_major != 1 || p->http_minor != 1)
		return complain(h, 505, "only HTTP/1.1 is spoken here"), -1;
	if (p->method != HTTP_GET && p->method != HTTP_POST)
		return complain(h, 405, "only GET and POST are served"), -1;
	if (take_target(h))
		return -1;
	if (h->seen[FIELD_HOST] != 1)
		return complain(h, 400, "a request needs one Host field"), -1;
	if (h->seen[FIELD_LENGTH] && h->seen[FIELD_CODING])
		return complain(h, 400, "both Content-Length and Transfer-Encoding"), -1;
	if (p->method == HTTP_POST && !h->seen[FIELD_LENGTH] && !h->seen[FIELD_CODING])
		return complain(h, 411, "a POST needs Content-Length or the chunked coding"), -1;
	if (p->method == HTTP_GET && (h->req->chunked || h->req->length))
		return complain(h, 400, "a GET with a body"), -1;
	h->req->method = p->method == HTTP_POST ? TRIB_HTTP_POST : TRIB_HTTP_GET;
	h->req->keep_alive = http_should_keep_alive(p) != 0;
	h->whole = true;
	return 1; /* we read the body ourselves */
}

/* The length of the head with its empty line; 0 when it is not whole yet; -1 for line ends that other readers take differently. */
static int find_end(struct trib_span in, size_t *ret)
{
	for (size_t i = 0; i < in.n; i++) {
		uint8_t c = in.p[i];
		if (c == '\n' && (i == 0 || in.p[i - 1] != '\r'))
			return -1;
		if (c == '\r' && i + 1 < in.n && in.p[i + 1] != '\n')
			return -1;
		if (c == '\0')
			return -1;
		if (c != '\n')
			continue;
		if (i >= 3 && in.p[i - 2] == '\n') {
			*ret = i + 1;
			return 1;
		}
		if (i + 1 < in.n && (in.p[i + 1] == ' ' || in.p[i + 1] == '\t'))
			return -1; /* folded header */
	}
	return 0;
}

int trib_http_head_parse(struct trib_span in, struct trib_http_request *ret, size_t *ret_len, int *ret_status, struct trib_err *err)
{
	size_t n = 0;
	*ret_status = 400;
	int r = find_end(trib_span(in.p, in.n < TRIB_HTTP_HEAD_MAX ? in.n : TRIB_HTTP_HEAD_MAX), &n);
	if (r < 0)
		return trib_fail(err, TRIB_E_FORMAT, "HTTP request: a line end, folded line or NUL that is not allowed");
	if (r == 0 && in.n >= TRIB_HTTP_HEAD_MAX) {
		*ret_status = 431;
		return trib_fail(err, TRIB_E_LIMIT, "HTTP request: the head is over %zu bytes", TRIB_HTTP_HEAD_MAX);
	}
	if (r == 0)
		return 0;
	struct trib_http_request req = {0};
	struct head h = {.req = &req, .err = err};
	http_parser p;
	http_parser_init(&p, HTTP_REQUEST);
	p.data = &h;
	http_parser_settings s;
	http_parser_settings_init(&s);
	s.on_url = on_url;
	s.on_header_field = on_name;
	s.on_header_value = on_value;
	s.on_headers_complete = on_head;
	size_t done = http_parser_execute(&p, &s, (const char *)in.p, n);
	if (h.status) {
		*ret_status = h.status;
		return -1;
	}
	enum http_errno e = HTTP_PARSER_ERRNO(&p);
	if (e == HPE_INVALID_METHOD)
		*ret_status = 501;
	if (e != HPE_OK)
		return trib_fail(err, TRIB_E_FORMAT, "HTTP request: %s", http_errno_description(e));
	/* Empty lines before a request are skipped by http_parser: without a request there is no head. */
	if (done != n || !h.whole || p.upgrade || h.seen[FIELD_UPGRADE])
		return trib_fail(err, TRIB_E_FORMAT, "HTTP request: an upgrade, or bytes that are no head");
	*ret = req;
	*ret_len = n;
	return 1;
}

enum { C_SIZE, C_SIZE_LF, C_DATA, C_DATA_CR, C_DATA_LF, C_END_CR, C_END_LF, C_DONE };

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* One byte of framing. False when it does not belong. */
static bool chunk_byte(struct trib_http_chunks *c, uint8_t b)
{
	int d;
	switch (c->state) {
	case C_SIZE:
		d = hex_digit(b);
		if (d >= 0 && c->digits < 8) {
			c->left = c->left << 4 | (uint64_t)d;
			c->digits++;
			return true;
		}
		if (b != '\r' || c->digits == 0)
			return false;
		c->state = C_SIZE_LF;
		return true;
	case C_SIZE_LF:
		c->digits = 0;
		c->state = c->left ? C_DATA : C_END_CR;
		return b == '\n';
	case C_DATA_CR:
		c->state = C_DATA_LF;
		return b == '\r';
	case C_DATA_LF:
		c->state = C_SIZE;
		return b == '\n';
	case C_END_CR:
		c->state = C_END_LF;
		return b == '\r';
	case C_END_LF:
		c->state = C_DONE;
		return b == '\n';
	default:
		return false;
	}
}

int trib_http_chunks_take(struct trib_http_chunks *c, struct trib_span *in, struct trib_span *ret, struct trib_err *err)
{
	*ret = trib_span(NULL, 0);
	while (c->state != C_DONE && in->n) {
		if (c->state == C_DATA) {
			size_t k = c->left < in->n ? (size_t)c->left : in->n;
			*ret = trib_span(in->p, k);
			in->p += k;
			in->n -= k;
			c->left -= k;
			if (c->left == 0)
				c->state = C_DATA_CR;
			return 1;
		}
		if (!chunk_byte(c, in->p[0])) {
			c->state = -1; /* stays bad */
			return trib_fail(err, TRIB_E_FORMAT, "HTTP body: damaged chunked coding (extensions and trailers are not accepted)");
		}
		in->p++;
		in->n--;
	}
	return c->state == C_DONE ? 0 : 1;
}
