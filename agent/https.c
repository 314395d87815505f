#include "agent/https.h"

#include <errno.h>
#include <fcntl.h>
#include <http_parser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "core/base/clock.h"

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

/* Waits for a non-blocking connect. 0, or -1 with errno. */
static int finish_connect(int fd, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int64_t end = trib_mono_ms() + timeout_ms;
	for (;;) {
		int64_t left = end - trib_mono_ms();
		int n = poll(&p, 1, left > 0 ? (int)left : 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ETIMEDOUT;
		if (n <= 0)
			return -1;
		break;
	}
	int so = 0;
	socklen_t len = sizeof(so);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &so, &len))
		return -1;
	errno = so;
	return so ? -1 : 0;
}

static int connect_one(const struct addrinfo *a, int timeout_ms)
{
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
	if (fd < 0)
		return -1;
	/* A push is many small writes and one answer: waiting for full segments would cost a round trip each. */
	int one = 1;
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0 &&
	    (connect(fd, a->ai_addr, a->ai_addrlen) == 0 || (errno == EINPROGRESS && finish_connect(fd, timeout_ms) == 0)))
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int trib_https_connect(struct trib_tls_ctx *tls, const struct trib_url *url, int timeout_ms, struct trib_tls **ret, struct trib_err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	int rc = getaddrinfo(url->host, url->port, &hints, &list);
	if (rc)
		return trib_fail(err, TRIB_E_UNREACHABLE, "the hub's name %s cannot be resolved (%s); nothing was sent; check the network, then try again", url->host,
				 gai_strerror(rc));
	int fd = -1;
	errno = EHOSTUNREACH;
	for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
		fd = connect_one(a, timeout_ms);
	int saved = errno;
	freeaddrinfo(list);
	if (fd < 0) {
		char text[128];
		return trib_fail(err, TRIB_E_UNREACHABLE, "the hub at %s port %s does not answer (%s); nothing was sent; the next run tries again", url->host, url->port,
				 strerror_r(saved, text, sizeof(text)));
	}
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
		if (HTTP_PARSER_ERRNO(p) != HPE_OK || p->upgrade || used != n)
			return a->body->failed ? trib_buf_check(a->body, "the hub's answer", err)
					       : trib_fail(err, TRIB_E_FORMAT, "the hub's answer is not HTTP (%s)", http_errno_name(HTTP_PARSER_ERRNO(p)));
		if (n == 0 && !a->complete)
			return trib_fail(err, TRIB_E_UNREACHABLE, "the hub closed the connection before it answered");
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
