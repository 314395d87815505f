/* witness_serve.c: the witness on the network (witness.h): one process for each connection, shut in before it reads a byte, bounded in number, per address, in
 * time and in size. Whoever is no trusted log costs a signature check and leaves nothing on the disk. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/trust/tls.h"
#include "hub/http.h"
#include "hub/sandbox.h"
#include "hub/slots.h"
#include "hub/supervise.h"
#include "hub/witness.h"

#define CONNS_MAX 32
#define CONNS_ADDRESS_MAX 8 /* of one address: one hub needs one */
#define CONN_MS 60000       /* a whole connection */
#define REQUEST_MS 20000
#define IDLE_MS 10000
#define REQUESTS_MAX 64     /* on one connection */

struct one { pid_t pid; struct trib_from from; int64_t until; };
struct server {
	const struct trib_witness *w;
	struct trib_tls_ctx *tls;
	int listen_fd;
	struct one conns[CONNS_MAX];
	size_t n;
};

static volatile sig_atomic_t stopping;
static void on_term(int sig)
{
	(void)sig;
	stopping = 1;
}

/* ---- one connection ---- */

struct stream { int fd; struct trib_tls *tls; };

static int wait_fd(int fd, short events, int timeout_ms, struct trib_err *err)
{
	struct pollfd p = {.fd = fd, .events = events};
	int n = poll(&p, 1, timeout_ms);
	if (n > 0)
		return 0;
	return n == 0 ? trib_fail(err, TRIB_E_UNREACHABLE, "the peer is silent") : trib_fail_errno(err, "waiting for the peer");
}

static int stream_read(void *ctx, void *p, size_t n, int timeout_ms, size_t *ret_n, struct trib_err *err)
{
	struct stream *s = ctx;
	if (s->tls)
		return trib_tls_read(s->tls, p, n, timeout_ms, ret_n, err);
	for (;;) {
		ssize_t got = recv(s->fd, p, n, 0);
		if (got >= 0) {
			*ret_n = (size_t)got;
			return 0;
		}
		if (errno != EAGAIN && errno != EINTR)
			return trib_fail_errno(err, "reading");
		if (wait_fd(s->fd, POLLIN, timeout_ms, err))
			return -1;
	}
}

static int stream_write(void *ctx, struct trib_span bytes, int timeout_ms, struct trib_err *err)
{
	struct stream *s = ctx;
	if (s->tls)
		return trib_tls_write(s->tls, bytes, timeout_ms, err);
	while (bytes.n) {
		ssize_t put = send(s->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
		if (put > 0)
			bytes = trib_span(bytes.p + put, bytes.n - (size_t)put);
		else if (put < 0 && errno != EAGAIN && errno != EINTR)
			return trib_fail_errno(err, "writing");
		else if (wait_fd(s->fd, POLLOUT, timeout_ms, err))
			return -1;
	}
	return 0;
}

static int answer_add(const struct trib_witness *w, struct trib_http *h, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf body = TRIB_BUF(TRIB_ADD_CHECKPOINT_MAX);
	struct trib_witness_answer a = TRIB_WITNESS_ANSWER;
	struct trib_err why;
	trib_http_drain_max(h, 2 * TRIB_ADD_CHECKPOINT_MAX);
	trib_http_body_max(h, TRIB_ADD_CHECKPOINT_MAX);
	if (trib_http_body_all(h, &body, &why))
		return trib_http_text(h, why.code == TRIB_E_LIMIT ? 413 : 400, err, "%s", why.msg);
	if (trib_witness_add(w, trib_buf_span(&body), trib_now(), &a, &why))
		trib_log(TRIB_LOG_ERROR, "%s", why.msg);
	else
		trib_log(a.status == 200 ? TRIB_LOG_INFO : TRIB_LOG_WARN, "add-checkpoint: %d %.*s", a.status, (int)(a.body.len ? a.body.len - 1 : 0), trib_buf_str(&a.body));
	int rc = trib_http_answer(h, a.status, a.type, trib_buf_span(&a.body), err);
	trib_buf_release(&a.body);
	return rc;
}

static int answer(const struct trib_witness *w, struct trib_http *h, const struct trib_http_request *q, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf key = TRIB_BUF(TRIB_VKEY_TEXT_MAX);
	if (strcmp(q->path, "/add-checkpoint") == 0 && q->query[0] == '\0')
		return q->method == TRIB_HTTP_POST ? answer_add(w, h, err) : trib_http_text(h, 405, err, "this address wants POST");
	if (strcmp(q->path, "/") != 0)
		return trib_http_text(h, 404, err, "there is nothing here; a witness takes POST /add-checkpoint");
	trib_vkey_put(&key, &w->self);
	return trib_http_text(h, 200, err, "%s", trib_buf_str(&key));
}

static void talk(const struct trib_witness *w, struct trib_http *h)
{
	struct trib_http_request q;
	struct trib_err err;
	for (int i = 0; i < REQUESTS_MAX; i++) {
		if (i == REQUESTS_MAX - 1)
			trib_http_close_after(h);
		int got = trib_http_next(h, IDLE_MS, &q, &err);
		if (got > 0 && trib_sandbox_cpu(&err) == 0 && answer(w, h, &q, &err) == 0)
			continue;
		if (got)
			trib_log(TRIB_LOG_DEBUG, "%s", err.msg);
		return;
	}
}

/* The child: TLS first, then shut in, then the first byte of HTTP. */
static int serve_one(const struct server *s, int fd)
{
	TRIB_AUTO(trib_mem) char *logs = trib_path(s->w->dir, "logs");
	struct stream st = {.fd = fd};
	struct trib_sandbox box = {.read_dir = logs, .write_dir = logs};
	struct trib_sandbox_state state;
	struct trib_err err;
	if (!logs || trib_sandbox_limits(&err))
		return 1;
	if (s->tls && trib_tls_accept(s->tls, fd, TRIB_HANDSHAKE_MS, &st.tls, &err)) {
		trib_log(TRIB_LOG_DEBUG, "%s", err.msg);
		return 1;
	}
	if (trib_sandbox_enter(&box, &state, &err)) {
		trib_log(TRIB_LOG_ERROR, "%s", err.msg);
		return 1;
	}
	struct trib_http *h = trib_http_new((struct trib_http_io){.ctx = &st, .read = stream_read, .write = stream_write}, REQUEST_MS);
	if (h)
		talk(s->w, h);
	trib_http_free(h);
	if (st.tls)
		trib_tls_free(st.tls);
	else
		close(fd);
	return 0;
}

/* ---- the listening process ---- */

static size_t of_address(const struct server *s, const struct trib_from *from)
{
	size_t n = 0;
	for (size_t i = 0; i < s->n; i++)
		n += memcmp(&s->conns[i].from, from, sizeof(*from)) == 0;
	return n;
}

static void accept_one(struct server *s)
{
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof(sa);
	TRIB_AUTO(trib_fd) int fd = accept4(s->listen_fd, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0) {
		struct timespec t = {.tv_nsec = 20 * 1000 * 1000}; /* short of descriptors: do not spin */
		if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
			nanosleep(&t, NULL);
		return;
	}
	struct trib_from from = trib_from_address(&sa);
	if (of_address(s, &from) >= CONNS_ADDRESS_MAX)
		return;
	(void)fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		const int keep[] = {fd};
		trib_child_clean(keep, 1);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		int status = serve_one(s, fd);
		(void)fflush(NULL);
		_exit(status);
	}
	if (pid < 0)
		trib_log(TRIB_LOG_ERROR, "a connection was dropped: %s", strerror(errno));
	else
		s->conns[s->n++] = (struct one){.pid = pid, .from = from, .until = trib_mono_ms() + CONN_MS};
}

static void reap(struct server *s, bool all)
{
	int64_t now = trib_mono_ms();
	for (size_t i = 0; i < s->n;) {
		if (all || now >= s->conns[i].until)
			kill(s->conns[i].pid, SIGKILL);
		pid_t r = waitpid(s->conns[i].pid, NULL, all ? 0 : WNOHANG);
		if (r == s->conns[i].pid || (r < 0 && errno == ECHILD))
			s->conns[i] = s->conns[--s->n];
		else
			i++;
	}
}

static void on_child(int sig) { (void)sig; } /* wakes the poll */

static void take_signals(void)
{
	struct sigaction term = {.sa_handler = on_term}, child = {.sa_handler = on_child, .sa_flags = SA_NOCLDSTOP};
	sigemptyset(&term.sa_mask);
	sigemptyset(&child.sa_mask);
	sigaction(SIGTERM, &term, NULL);
	sigaction(SIGINT, &term, NULL);
	sigaction(SIGCHLD, &child, NULL);
}

int trib_witness_serve(const struct trib_witness *w, const char *listen_addr, struct trib_tls_ctx *tls, struct trib_err *err)
{
	__attribute__((cleanup(trib_lock_cleanup))) struct trib_lock lock = TRIB_LOCK_INIT;
	TRIB_AUTO(trib_mem) char *path = trib_path(w->dir, "serve.lock");
	struct server s = {.w = w, .tls = tls, .listen_fd = -1};
	char name[160];
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_lock_take(&lock, path, 0, err) || trib_listen(listen_addr, &s.listen_fd, name, sizeof(name), err))
		return -1;
	take_signals();
	if (printf("witness %s listening on %s://%s\n", w->self.name, tls ? "https" : "http", name) < 0 || fflush(stdout)) {
		close(s.listen_fd);
		return trib_fail_errno(err, "writing to the standard output");
	}
	if (!trib_sandbox_has_landlock())
		trib_log(TRIB_LOG_WARN, "this kernel has no Landlock: connections are held by their user's rights alone");
	while (!stopping) {
		struct pollfd p = {.fd = s.n < CONNS_MAX ? s.listen_fd : -1, .events = POLLIN};
		int got = poll(&p, 1, 1000);
		reap(&s, false);
		if (got > 0 && p.revents && s.n < CONNS_MAX)
			accept_one(&s);
	}
	close(s.listen_fd);
	reap(&s, true);
	return 0;
}
