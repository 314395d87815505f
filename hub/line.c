#include "hub/line.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "core/base/clock.h"

#define TURN_MAX TRIB_MIB /* of one line in one turn: the others are heard in between */

void trib_line_init(struct trib_line *l, int fd, int64_t pid, size_t max)
{
	*l = (struct trib_line){.fd = fd, .pid = pid, .in = TRIB_BUF(max), .out = TRIB_BUF(TRIB_IPC_MAX + sizeof(struct trib_ipc_head))};
}

void trib_line_release(struct trib_line *l)
{
	trib_fd_cleanup(&l->fd);
	trib_buf_release(&l->in);
	trib_buf_release(&l->out);
}

short trib_line_events(const struct trib_line *l) { return l->sent < l->out.len ? POLLOUT : POLLIN; }

/* Sends what the socket takes. */
static int flush(struct trib_line *l, struct trib_err *err)
{
	while (l->sent < l->out.len) {
		ssize_t n = send(l->fd, l->out.p + l->sent, l->out.len - l->sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0) {
			l->sent += (size_t)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		return trib_fail_errno(err, "answering a worker");
	}
	trib_buf_release(&l->out);
	l->sent = 0;
	l->since = 0;
	return 0;
}

/* 1 and up to n bytes, 0 nothing there, -1. */
static int take(struct trib_line *l, void *p, size_t n, size_t *ret_n, struct trib_err *err)
{
	for (;;) {
		ssize_t k = recv(l->fd, p, n, MSG_DONTWAIT);
		if (k > 0) {
			*ret_n = (size_t)k;
			if (!l->since)
				l->since = trib_mono_ms();
			return 1;
		}
		if (k < 0 && errno == EINTR)
			continue;
		if (k < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		/* A worker that died with unread bytes resets the stream: the same as an end. */
		if ((k == 0 || errno == ECONNRESET) && l->nhead == 0)
			return trib_fail(err, TRIB_E_NOT_FOUND, "the worker has ended");
		if (k == 0 || errno == ECONNRESET)
			return trib_fail(err, TRIB_E_IO, "a worker ended inside a message");
		return trib_fail_errno(err, "reading from a worker");
	}
}

static int take_head(struct trib_line *l, size_t max, struct trib_err *err)
{
	while (l->nhead < sizeof(l->head)) {
		size_t n;
		int r = take(l, (uint8_t *)&l->head + l->nhead, sizeof(l->head) - l->nhead, &n, err);
		if (r <= 0)
			return r;
		l->nhead += n;
	}
	if (l->head.magic != TRIB_IPC_MAGIC || l->head.type < TRIB_IPC_HELLO || l->head.type > TRIB_IPC_LAST)
		return trib_fail(err, TRIB_E_FORMAT, "a worker's message has a wrong head");
	if (l->head.len > max || l->head.len > l->in.max)
		return trib_fail(err, TRIB_E_LIMIT, "a worker's message has %llu bytes, over its limit", (unsigned long long)l->head.len);
	return 1;
}

int trib_line_turn(struct trib_line *l, size_t max, enum trib_ipc_type *ret_type, struct trib_buf *ret, struct trib_err *err)
{
	if (l->sent < l->out.len)
		return flush(l, err) ? -1 : 0;
	int r = take_head(l, max, err);
	if (r <= 0)
		return r;
	/* Memory follows the bytes that really came, not the promise in the head. */
	for (size_t turn = 0; l->in.len < l->head.len;) {
		uint8_t chunk[65536];
		size_t left = (size_t)l->head.len - l->in.len, n;
		if (turn >= TURN_MAX)
			return 0;
		r = take(l, chunk, left < sizeof(chunk) ? left : sizeof(chunk), &n, err);
		if (r <= 0)
			return r;
		trib_buf_put(&l->in, chunk, n);
		if (trib_buf_check(&l->in, "a worker's message", err))
			return -1;
		turn += n;
	}
	*ret_type = (enum trib_ipc_type)l->head.type;
	trib_buf_release(ret);
	*ret = l->in;
	l->in = TRIB_BUF(ret->max);
	l->nhead = 0;
	l->since = 0;
	return 1;
}

int trib_line_answer(struct trib_line *l, enum trib_ipc_type type, struct trib_span a, struct trib_span b, struct trib_err *err)
{
	size_t n;
	if (l->sent < l->out.len)
		return trib_fail(err, TRIB_E_FAILED, "a second answer before the first has gone");
	if (trib_add_overflow(a.n, b.n, &n) || n > TRIB_IPC_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "an answer to a worker is over %zu bytes", (size_t)TRIB_IPC_MAX);
	struct trib_ipc_head head = {.magic = TRIB_IPC_MAGIC, .type = (uint32_t)type, .len = n};
	trib_buf_put(&l->out, &head, sizeof(head));
	trib_buf_put_span(&l->out, a);
	trib_buf_put_span(&l->out, b);
	if (trib_buf_check(&l->out, "an answer to a worker", err))
		return -1;
	l->since = trib_mono_ms();
	return flush(l, err);
}

int64_t trib_line_due(const struct trib_line *l) { return l->since ? l->since + TRIB_IPC_REST_MS : INT64_MAX; }

size_t trib_lines_excess(struct trib_line *const *lines, size_t n, int64_t now)
{
	size_t sum = 0, oldest = n;
	for (size_t i = 0; i < n; i++) {
		const struct trib_line *l = lines[i];
		if (trib_line_due(l) <= now)
			return i;
		sum += l->in.len + l->out.len;
		if (l->since && (oldest == n || l->since < lines[oldest]->since))
			oldest = i;
	}
	return sum > TRIB_LINES_MEM ? oldest : n;
}
