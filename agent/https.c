#include "agent/https.h"

#include <http_parser.h>

#include "core/base/clock.h"
#include "core/base/net.h"

int trib_url_parse(const char *url, struct trib_url *ret, struct trib_err *err)
{
	struct http_parser_url u;
	http_parser_url_init(&u);
	size_t n = strlen(url);
	if (n > 512 || http_parser_parse_url(url, n, 0, &u) || !(u.field_set & 1 << UF_HOST) || strncmp(url, "https://", 8) != 0 ||
	    (u.field_set & (1 << UF_QUERY | 1 << UF_FRAGMENT | 1 << UF_USERINFO)) ||
	    ((u.field_set & 1 << UF_PATH) && u.field_data[UF_PATH].len > 1) || u.field_data[UF_HOST].len >= sizeof(ret->host))
		return trib_fail(err, TRIB_E_USAGE, "%s is no hub address; it looks like https://hub.example:8443", url);
	memset(ret, 0, sizeof(*ret));
	memcpy(ret->host, url + u.field_data[UF_HOST].off, u.field_data[UF_HOST].len);
	(void)snprintf(ret->port, sizeof(ret->port), "%u", u.field_set & 1 << UF_PORT ? u.port : 443u);
	return 0;
}

int trib_https_connect(struct trib_tls_ctx *tls, const struct trib_url *url, int timeout_ms, struct trib_tls **ret, struct trib_err *err)
{
	struct trib_err why;
	int fd;
	if (trib_net_connect(url->host, url->port, timeout_ms, &fd, &why))
		return trib_fail(err, TRIB_E_UNREACHABLE, "the hub: %.300s; nothing was sent; check the network, the next run tries again", why.msg);
	if (trib_tls_connect(tls, fd, url->host, timeout_ms, ret, err)) {
		close(fd);
		return trib_ctx(err, "TLS with %s port %s", url->host, url->port);
	}
	return 0;
}

/* ---- one answer, parsed by http_parser into a bounded buffer ---- */

struct answer {
	struct trib_buf *body;
	bool complete;
};

static int on_body(http_parser *p, const char *at, size_t n)
{
	struct answer *a = p->data;
	trib_buf_put(a->body, at, n);
	return a->body->failed;
}

static int on_complete(http_parser *p)
{
	((struct answer *)p->data)->complete = true;
	return 0;
}

static int read_answer(struct trib_tls *t, http_parser *p, struct answer *a, struct trib_err *err)
{
	static const http_parser_settings settings = {.on_body = on_body, .on_message_complete = on_complete};
	uint8_t chunk[16384];
	int64_t end = trib_mono_ms() + TRIB_REQUEST_MS;
	while (!a->complete) {
		size_t n;
		if (trib_mono_ms() > end)
			return trib_fail(err, TRIB_E_UNREACHABLE, "the hub took too long to answer");
		if (trib_tls_read(t, chunk, sizeof(chunk), TRIB_IO_MS, &n, err))
			return -1;
		size_t used = http_parser_execute(p, &settings, (const char *)chunk, n);
		if (n == 0 && !a->complete)
			return trib_fail(err, TRIB_E_UNREACHABLE, "the hub closed the connection before it answered");
		if (HTTP_PARSER_ERRNO(p) != HPE_OK || p->upgrade || used != n)
			return a->body->failed ? trib_buf_check(a->body, "the hub's answer", err)
					       : trib_fail(err, TRIB_E_FORMAT, "the hub's answer is not HTTP (%s)", http_errno_name(HTTP_PARSER_ERRNO(p)));
	}
	return 0;
}

int trib_https_request(struct trib_tls_ctx *tls, const struct trib_url *url, const char *target, struct trib_span body, unsigned *ret_status,
		       struct trib_buf *ret_body, struct trib_tls **ret_conn, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf head = TRIB_BUF(4096);
	struct trib_tls *t = NULL;
	if (trib_https_connect(tls, url, TRIB_HANDSHAKE_MS, &t, err))
		return -1;
	trib_buf_printf(&head, "%s %s HTTP/1.1\r\nHost: %s%s%s:%s\r\nUser-Agent: tributary-agent/%s\r\nConnection: close\r\n", body.n ? "POST" : "GET", target,
			strchr(url->host, ':') ? "[" : "", url->host, strchr(url->host, ':') ? "]" : "", url->port, TRIB_VERSION);
	if (body.n)
		trib_buf_printf(&head, "Content-Type: application/octet-stream\r\nContent-Length: %zu\r\n", body.n);
	trib_buf_puts(&head, "\r\n");
	struct answer a = {.body = ret_body};
	http_parser p;
	http_parser_init(&p, HTTP_RESPONSE);
	p.data = &a;
	if (trib_buf_check(&head, "request", err) || trib_tls_write(t, trib_buf_span(&head), TRIB_IO_MS, err) ||
	    (body.n && trib_tls_write(t, body, TRIB_IO_MS, err)) || read_answer(t, &p, &a, err)) {
		trib_tls_free(t);
		return -1;
	}
	*ret_status = p.status_code;
	if (ret_conn)
		*ret_conn = t;
	else
		trib_tls_free(t);
	return 0;
}
