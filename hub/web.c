#include "hub/web.h"

#include <errno.h>
#include <http_parser.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/net.h"

#define CONNECT_MS 10000

int trib_web_url_parse(const char *url, struct trib_web_url *ret, struct trib_err *err)
{
	struct http_parser_url u;
	struct trib_web_url w = {0};
	size_t n = strlen(url);
	http_parser_url_init(&u);
	bool https = strncmp(url, "https://", 8) == 0, http = strncmp(url, "http://", 7) == 0;
	for (const char *p = url; *p; p++)
		if (*p <= ' ' || *p > '~')
			https = http = false;
	if ((!https && !http) || n >= TRIB_WEB_URL_MAX || http_parser_parse_url(url, n, 0, &u) || !(u.field_set & 1 << UF_HOST) ||
	    (u.field_set & (1 << UF_QUERY | 1 << UF_FRAGMENT | 1 << UF_USERINFO)) || u.field_data[UF_HOST].len >= sizeof(w.host))
		return trib_fail(err, TRIB_E_USAGE, "%s is no address of a witness; it looks like https://witness.example/path", url);
	w.tls = https;
	memcpy(w.host, url + u.field_data[UF_HOST].off, u.field_data[UF_HOST].len);
	(void)snprintf(w.port, sizeof(w.port), "%u", u.field_set & 1 << UF_PORT ? u.port : https ? 443u : 80u);
	if (u.field_set & 1 << UF_PATH) {
		size_t len = u.field_data[UF_PATH].len;
		const char *path = url + u.field_data[UF_PATH].off;
		while (len && path[len - 1] == '/')
			len--;
		memcpy(w.path, path, len);
	}
	w.loopback = strcmp(w.host, "127.0.0.1") == 0 || strcmp(w.host, "::1") == 0 || strcmp(w.host, "localhost") == 0;
	*ret = w;
	return 0;
}

/* ---- the stream ---- */

struct stream { int fd; struct trib_tls *tls; int64_t deadline; };

static int left(const struct stream *s)
{
	int64_t ms = s->deadline - trib_mono_ms();
	return ms < 1 ? 0 : (int)ms;
}

static int wait_fd(const struct stream *s, short events, struct trib_err *err)
{
	struct pollfd p = {.fd = s->fd, .events = events};
	int n = poll(&p, 1, left(s));
	if (n > 0 || (n < 0 && errno == EINTR))
		return 0;
	return n == 0 ? trib_fail(err, TRIB_E_UNREACHABLE, "it did not answer in time") : trib_fail_errno(err, "waiting for it");
}

static int put(struct stream *s, struct trib_span bytes, struct trib_err *err)
{
	if (s->tls)
		return trib_tls_write(s->tls, bytes, left(s), err);
	while (bytes.n) {
		ssize_t n = send(s->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
		if (n > 0)
			bytes = trib_span(bytes.p + n, bytes.n - (size_t)n);
		else if (n < 0 && errno != EAGAIN && errno != EINTR)
			return trib_fail_errno(err, "sending");
		else if (left(s) == 0)
			return trib_fail(err, TRIB_E_UNREACHABLE, "it takes nothing");
		else if (wait_fd(s, POLLOUT, err))
			return -1;
	}
	return 0;
}

static int get(struct stream *s, void *p, size_t n, size_t *ret_n, struct trib_err *err)
{
	if (s->tls)
		return trib_tls_read(s->tls, p, n, left(s), ret_n, err);
	for (;;) {
		ssize_t got = recv(s->fd, p, n, 0);
		if (got >= 0) {
			*ret_n = (size_t)got;
			return 0;
		}
		if (errno != EAGAIN && errno != EINTR)
			return trib_fail_errno(err, "receiving");
		if (left(s) == 0)
			return trib_fail(err, TRIB_E_UNREACHABLE, "it did not answer in time");
		if (wait_fd(s, POLLIN, err))
			return -1;
	}
}

/* ---- the answer ---- */

struct reading { struct trib_web_answer *a; bool complete; };

static int on_body(http_parser *p, const char *at, size_t n)
{
	struct reading *r = p->data;
	trib_buf_put(&r->a->body, at, n);
	return r->a->body.failed;
}

static int on_complete(http_parser *p)
{
	((struct reading *)p->data)->complete = true;
	http_parser_pause(p, 1);
	return 0;
}

static int read_answer(struct stream *s, struct trib_web_answer *a, struct trib_err *err)
{
	static const http_parser_settings settings = {.on_body = on_body, .on_message_complete = on_complete};
	struct reading r = {.a = a};
	http_parser p;
	uint8_t chunk[4096];
	http_parser_init(&p, HTTP_RESPONSE);
	p.data = &r;
	while (!r.complete) {
		size_t n;
		if (get(s, chunk, sizeof(chunk), &n, err))
			return -1;
		(void)http_parser_execute(&p, &settings, (const char *)chunk, n);
		if (r.complete)
			break;
		if (HTTP_PARSER_ERRNO(&p) != HPE_OK || p.upgrade)
			return a->body.failed ? trib_buf_check(&a->body, "its answer", err) : trib_fail(err, TRIB_E_FORMAT, "its answer is not HTTP (%s)", http_errno_name(HTTP_PARSER_ERRNO(&p)));
		if (n == 0)
			return trib_fail(err, TRIB_E_UNREACHABLE, "it closed the connection before it answered");
	}
	a->status = p.status_code;
	return 0;
}

int trib_web_post(struct trib_tls_ctx *tls, const struct trib_web_url *url, const char *target, struct trib_span body, int timeout_ms, struct trib_web_answer *ret,
		  struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf head = TRIB_BUF(2048);
	struct stream s = {.fd = -1, .deadline = trib_mono_ms() + timeout_ms};
	bool v6 = strchr(url->host, ':') != NULL;
	trib_buf_printf(&head,
			"POST %s%s HTTP/1.1\r\nHost: %s%s%s:%s\r\nUser-Agent: tributary-hub/%s\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
			"Content-Length: %zu\r\n\r\n",
			url->path, target, v6 ? "[" : "", url->host, v6 ? "]" : "", url->port, TRIB_VERSION, body.n);
	ret->status = 0;
	if (trib_buf_check(&head, "request", err) || trib_net_connect(url->host, url->port, timeout_ms < CONNECT_MS ? timeout_ms : CONNECT_MS, &s.fd, err))
		return -1;
	int rc = url->tls ? trib_tls_connect(tls, s.fd, url->host, left(&s), &s.tls, err) : 0;
	if (!rc)
		rc = put(&s, trib_buf_span(&head), err) || put(&s, body, err) || read_answer(&s, ret, err) ? -1 : 0;
	if (s.tls)
		trib_tls_free(s.tls);
	else
		close(s.fd);
	return rc;
}
