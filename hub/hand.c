#include "hub/hand.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/fs.h"
#include "core/base/log.h"
#include "hub/worker.h"

#define NAME "by-hand"
#define CHUNK (64 * TRIB_KIB)
#define ANSWER_MS (TRIB_REQUEST_MS + TRIB_CONN_MS) /* judging included: the supervisor ends a worker before */

/* A socket's path holds 107 bytes, a state folder's may be longer: it is named through its folder's descriptor. */
static int address(const struct trib_hub *h, int *ret_dir, struct sockaddr_un *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *run = trib_hub_path(h, "run");
	if (!run)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	int dir = open(run, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return trib_fail_errno(err, "opening %s", run);
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	(void)snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/" NAME, dir);
	*ret_dir = dir;
	return 0;
}

int trib_hand_listen(const struct trib_hub *h, int *ret_fd, struct trib_err *err)
{
	TRIB_AUTO(trib_fd) int dir = -1, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un sa;
	if (fd < 0)
		return trib_fail_errno(err, "making a socket");
	if (address(h, &dir, &sa, err))
		return -1;
	trib_hand_remove(h);
	mode_t old = umask(0177);
	int rc = bind(fd, (struct sockaddr *)&sa, sizeof(sa));
	(void)umask(old);
	if (rc || listen(fd, 8))
		return trib_fail_errno(err, "listening on %s/run/" NAME, h->dir);
	*ret_fd = fd;
	fd = -1;
	return 0;
}

void trib_hand_remove(const struct trib_hub *h)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(h, "run/" NAME);
	if (path)
		(void)unlink(path);
}

int trib_hand_accept(int listen_fd)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);
	TRIB_AUTO(trib_fd) int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) || (peer.uid != 0 && peer.uid != geteuid()))
		return -1;
	int ret = fd;
	fd = -1;
	return ret;
}

/* ---- the worker ---- */

static int hand_read(void *ctx, void *p, size_t n, int timeout_ms, size_t *ret_n, struct trib_err *err)
{
	const int *fd = ctx;
	struct pollfd w = {.fd = *fd, .events = POLLIN};
	for (;;) {
		int ready = poll(&w, 1, timeout_ms);
		if (ready == 0)
			return trib_fail(err, TRIB_E_UNREACHABLE, "the bundle stopped coming");
		ssize_t got = ready < 0 ? -1 : read(*fd, p, n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return trib_fail_errno(err, "reading the bundle");
		*ret_n = (size_t)got;
		return 0;
	}
}

/* What a peer would be told in HTTP is told as one record at the end. */
static int hand_write(void *ctx, struct trib_span bytes, int timeout_ms, struct trib_err *err)
{
	(void)ctx;
	(void)bytes;
	(void)timeout_ms;
	(void)err;
	return 0;
}

static int take_hello(int fd, struct trib_ipc_hello *ret, struct trib_err *err)
{
	for (size_t have = 0; have < sizeof(*ret);) {
		size_t n;
		if (hand_read(&fd, (uint8_t *)ret + have, sizeof(*ret) - have, TRIB_HEAD_MS, &n, err))
			return -1;
		if (n == 0)
			return trib_fail(err, TRIB_E_UNREACHABLE, "it says nothing");
		have += n;
	}
	return 0;
}

int trib_hand_worker_main(const struct trib_hub *h, int conn_fd, int keeper_fd)
{
	struct trib_ipc_hello hello;
	struct trib_err err = {0};
	int rc = take_hello(conn_fd, &hello, &err) ||
				 trib_worker_push(h, keeper_fd, &hello, (struct trib_http_io){.ctx = &conn_fd, .read = hand_read, .write = hand_write}, &err)
			 ? -1
			 : 0;
	struct trib_ipc_result res = {.code = rc ? (int32_t)err.code : TRIB_OK};
	(void)snprintf(res.msg, sizeof(res.msg), "%s", err.msg);
	if (rc)
		trib_log(TRIB_LOG_INFO, "by hand: %s", err.msg);
	return send(conn_fd, &res, sizeof(res), MSG_NOSIGNAL) == (ssize_t)sizeof(res) ? 0 : 1;
}

/* ---- the other side ---- */

int trib_hand_connect(const struct trib_hub *h, int *ret_fd, struct trib_err *err)
{
	TRIB_AUTO(trib_fd) int dir = -1, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct timeval limit = {.tv_sec = ANSWER_MS / 1000};
	struct sockaddr_un sa;
	if (fd < 0)
		return trib_fail_errno(err, "making a socket");
	if (address(h, &dir, &sa, err))
		return -1;
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa))) {
		if (errno == ENOENT || errno == ECONNREFUSED || errno == EAGAIN)
			return trib_fail(err, TRIB_E_LOCKED, "the hub is starting, ending or busy; nothing was changed; try again in a minute");
		return trib_fail_errno(err, "speaking to the hub at %s/run/" NAME, h->dir);
	}
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)))
		return trib_fail_errno(err, "setting a time limit");
	*ret_fd = fd;
	fd = -1;
	return 0;
}

/* False: the worker takes no more, and has said why or is gone. */
static bool send_all(int fd, const void *p, size_t n)
{
	const uint8_t *at = p;
	while (n) {
		ssize_t put = send(fd, at, n, MSG_NOSIGNAL);
		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		at += put;
		n -= (size_t)put;
	}
	return true;
}

static int send_file(int fd, int file_fd, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) uint8_t *chunk = malloc(CHUNK);
	if (!chunk)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	for (;;) {
		ssize_t got = read(file_fd, chunk, CHUNK);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return trib_fail_errno(err, "reading the bundle");
		if (got == 0 || !send_all(fd, chunk, (size_t)got))
			return 0;
	}
}

int trib_hand_push(int fd, const struct trib_ipc_hello *hello, struct trib_span head, int file_fd, struct trib_ipc_result *ret, struct trib_err *err)
{
	struct trib_ipc_result res;
	size_t have = 0;
	if (send_all(fd, hello, sizeof(*hello)) && send_all(fd, head.p, head.n) && send_file(fd, file_fd, err))
		return -1;
	(void)shutdown(fd, SHUT_WR);
	while (have < sizeof(res)) {
		ssize_t n = recv(fd, (uint8_t *)&res + have, sizeof(res) - have, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return trib_fail(err, TRIB_E_LIMIT, "the process that judges the bundle ended without a word (memory or time over its limit, or the hub ended); "
							    "nothing of it was published, or all: the same command again tells");
		have += (size_t)n;
	}
	res.msg[sizeof(res.msg) - 1] = '\0';
	*ret = res;
	return 0;
}
