#include "core/base/net.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/base/clock.h"

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

int trib_net_connect(const char *host, const char *port, int timeout_ms, int *ret_fd, struct trib_err *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	int rc = getaddrinfo(host, port, &hints, &list);
	if (rc)
		return trib_fail(err, TRIB_E_UNREACHABLE, "the name %s cannot be resolved (%s)", host, gai_strerror(rc));
	int fd = -1;
	errno = EHOSTUNREACH;
	for (const struct addrinfo *a = list; a && fd < 0; a = a->ai_next)
		fd = connect_one(a, timeout_ms);
	int saved = errno;
	freeaddrinfo(list);
	if (fd < 0) {
		char text[128];
		return trib_fail(err, TRIB_E_UNREACHABLE, "%s port %s does not answer (%s)", host, port, strerror_r(saved, text, sizeof(text)));
	}
	*ret_fd = fd;
	return 0;
}
