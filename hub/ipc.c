#include "hub/ipc.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "core/base/clock.h"

/* Waits for events until `deadline` (monotonic ms; < 0 = for ever). 1 ready, 0 deadline passed, -1. */
static int wait_for(int fd, short events, int64_t deadline, struct trib_err *err)
{
	for (;;) {
		int ms = -1;
		if (deadline >= 0) {
			int64_t left = deadline - trib_mono_ms();
			ms = left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
		}
		struct pollfd p = {.fd = fd, .events = events};
		int n = poll(&p, 1, ms);
		if (n > 0)
			return 1;
		if (n == 0)
			return 0;
		if (errno != EINTR)
			return trib_fail_errno(err, "waiting for another process of the hub");
	}
}

static void iov_skip(struct iovec *iov, size_t n, size_t done)
{
	for (size_t i = 0; i < n && done; i++) {
		size_t k = done < iov[i].iov_len ? done : iov[i].iov_len;
		iov[i].iov_base = (uint8_t *)iov[i].iov_base + k;
		iov[i].iov_len -= k;
		done -= k;
	}
}

int trib_ipc_send(int fd, enum trib_ipc_type type, struct trib_span a, struct trib_span b, struct trib_span c, struct trib_err *err)
{
	size_t total;
	if (trib_add_overflow(a.n, b.n, &total) || trib_add_overflow(total, c.n, &total) || total > TRIB_IPC_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "a message between the hub's processes is over %zu bytes", (size_t)TRIB_IPC_MAX);
	struct trib_ipc_head head = {.magic = TRIB_IPC_MAGIC, .type = (uint32_t)type, .len = total};
	struct iovec iov[4] = {
		{&head, sizeof(head)},
		{(void *)(uintptr_t)a.p, a.n},
		{(void *)(uintptr_t)b.p, b.n},
		{(void *)(uintptr_t)c.p, c.n},
	};
	size_t left = sizeof(head) + total;
	int64_t deadline = trib_mono_ms() + TRIB_IPC_REST_MS;
	while (left) {
		struct msghdr m = {.msg_iov = iov, .msg_iovlen = TRIB_COUNT(iov)};
		ssize_t n = sendmsg(fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n >= 0) {
			iov_skip(iov, TRIB_COUNT(iov), (size_t)n);
			left -= (size_t)n;
			continue;
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return trib_fail_errno(err, "sending to another process of the hub");
		int w = wait_for(fd, POLLOUT, deadline, err);
		if (w < 0)
			return -1;
		if (w == 0)
			return trib_fail(err, TRIB_E_IO, "another process of the hub took no message for %d s", TRIB_IPC_REST_MS / 1000);
	}
	return 0;
}

/* Reads exactly n bytes. 1, 0 when the stream ended before the first of them, -1. */
static int recv_all(int fd, uint8_t *p, size_t n, int64_t deadline, struct trib_err *err)
{
	size_t got = 0;
	while (got < n) {
		ssize_t k = recv(fd, p + got, n - got, MSG_DONTWAIT);
		if (k > 0) {
			got += (size_t)k;
			continue;
		}
		/* A peer that died with unread bytes resets the stream: the same as an end. */
		if (k == 0 || errno == ECONNRESET) {
			if (got == 0)
				return 0;
			return trib_fail(err, TRIB_E_IO, "a message between the hub's processes was cut after %zu of %zu bytes", got, n);
		}
		if (errno == EINTR)
			continue;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return trib_fail_errno(err, "receiving from another process of the hub");
		int w = wait_for(fd, POLLIN, deadline, err);
		if (w < 0)
			return -1;
		if (w == 0)
			return trib_fail(err, TRIB_E_IO, "another process of the hub did not answer in time");
	}
	return 1;
}

int trib_ipc_recv(int fd, int timeout_ms, enum trib_ipc_type *ret_type, struct trib_buf *ret, struct trib_err *err)
{
	trib_buf_reset(ret);
	struct trib_ipc_head head;
	uint8_t *raw = (uint8_t *)&head;
	int r = recv_all(fd, raw, 1, timeout_ms < 0 ? -1 : trib_mono_ms() + timeout_ms, err);
	if (r <= 0)
		return r;
	int64_t deadline = trib_mono_ms() + TRIB_IPC_REST_MS;
	r = recv_all(fd, raw + 1, sizeof(head) - 1, deadline, err);
	if (r < 0)
		return -1;
	if (r == 0)
		return trib_fail(err, TRIB_E_IO, "a message between the hub's processes was cut in its head");
	if (head.magic != TRIB_IPC_MAGIC || head.type < TRIB_IPC_HELLO || head.type > TRIB_IPC_LAST)
		return trib_fail(err, TRIB_E_FORMAT, "a message between the hub's processes has a wrong head");
	if (head.len > TRIB_IPC_MAX || head.len > ret->max)
		return trib_fail(err, TRIB_E_LIMIT, "a message between the hub's processes has %llu bytes, over its limit", (unsigned long long)head.len);
	/* Memory follows the bytes that really came, not the promise in the head. */
	for (uint64_t left = head.len; left;) {
		size_t k = left < 65536 ? (size_t)left : 65536;
		uint8_t *p = trib_buf_grow(ret, k);
		if (!p)
			return trib_buf_check(ret, "a message between the hub's processes", err);
		r = recv_all(fd, p, k, deadline, err);
		if (r == 0)
			trib_fail(err, TRIB_E_IO, "a message between the hub's processes was cut");
		if (r <= 0) {
			trib_buf_reset(ret);
			return -1;
		}
		left -= k;
	}
	*ret_type = (enum trib_ipc_type)head.type;
	return 1;
}

int trib_ipc_call(int fd, enum trib_ipc_type type, struct trib_span a, struct trib_span b, struct trib_span c, int timeout_ms,
		  enum trib_ipc_type want, struct trib_buf *ret, struct trib_err *err)
{
	if (trib_ipc_send(fd, type, a, b, c, err))
		return -1;
	enum trib_ipc_type got;
	int r = trib_ipc_recv(fd, timeout_ms, &got, ret, err);
	if (r < 0)
		return -1;
	if (r == 0)
		return trib_fail(err, TRIB_E_UNREACHABLE, "another process of the hub has ended; try again in a moment");
	if (got != want) {
		trib_buf_reset(ret);
		return trib_fail(err, TRIB_E_FORMAT, "another process of the hub answered %d instead of %d", (int)got, (int)want);
	}
	return 0;
}

int trib_ipc_send_fd(int sock, int fd, int64_t pid, struct trib_err *err)
{
	union {
		struct cmsghdr h;
		uint8_t space[CMSG_SPACE(sizeof(int))];
	} ctl;
	memset(&ctl, 0, sizeof(ctl));
	struct iovec iov = {&pid, sizeof(pid)};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.space, .msg_controllen = sizeof(ctl.space)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &fd, sizeof(int));
	int64_t deadline = trib_mono_ms() + TRIB_IPC_REST_MS;
	for (;;) {
		ssize_t n = sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n == (ssize_t)sizeof(pid)) /* a stream takes so few bytes whole or not at all */
			return 0;
		if (n < 0 && errno == EINTR)
			continue;
		/* ETOOMANYREFS: the receiver has not yet taken the descriptors in flight. */
		if (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK)
			return trib_fail_errno(err, "passing a descriptor to another process of the hub");
		int w = wait_for(sock, POLLOUT, deadline, err);
		if (w < 0)
			return -1;
		if (w == 0)
			return trib_fail(err, TRIB_E_IO, "another process of the hub took no descriptor for %d s", TRIB_IPC_REST_MS / 1000);
	}
}

/* Takes the one descriptor out of a control message; closes any others. -1 when there is none. */
static int take_fd(struct msghdr *m)
{
	int fd = -1;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int one;
			memcpy(&one, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (fd < 0)
				fd = one;
			else
				close(one);
		}
	}
	return fd;
}

int trib_ipc_recv_fd(int sock, int *ret_fd, int64_t *ret_pid, struct trib_err *err)
{
	union {
		struct cmsghdr h;
		uint8_t space[CMSG_SPACE(sizeof(int))];
	} ctl;
	int64_t pid = 0;
	for (;;) {
		struct iovec iov = {&pid, sizeof(pid)};
		struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = ctl.space, .msg_controllen = sizeof(ctl.space)};
		ssize_t n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			if (wait_for(sock, POLLIN, -1, err) < 0)
				return -1;
			continue;
		}
		if (n < 0 && errno == ECONNRESET)
			return 0;
		if (n < 0)
			return trib_fail_errno(err, "receiving a descriptor");
		if (n == 0)
			return 0;
		int fd = take_fd(&m);
		if (fd < 0)
			return trib_fail(err, TRIB_E_FORMAT, "a control message came without a descriptor");
		if (n != (ssize_t)sizeof(pid)) {
			close(fd);
			return trib_fail(err, TRIB_E_FORMAT, "a control message of %zd bytes", n);
		}
		*ret_fd = fd;
		*ret_pid = pid;
		return 1;
	}
}

int trib_ipc_pair(int ret[2], struct trib_err *err)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret))
		return trib_fail_errno(err, "making a socket pair");
	return 0;
}
