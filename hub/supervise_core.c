/* The lasting processes: starting them together, ending them together; and the listening socket. */
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "hub/ipc.h"
#include "hub/supervise.h"

#define BACKLOG 256

static int split_address(const char *address, char *host, size_t host_size, char *port, size_t port_size, struct trib_err *err)
{
	const char *colon = strrchr(address, ':');
	if (!colon)
		return trib_fail(err, TRIB_E_USAGE, "%s is no address to listen on; write HOST:PORT", address);
	const char *from = address, *to = colon;
	if (to > from && from[0] == '[' && to[-1] == ']') {
		from++;
		to--;
	}
	if ((size_t)(to - from) >= host_size || strlen(colon + 1) >= port_size || colon[1] == '\0')
		return trib_fail(err, TRIB_E_USAGE, "%s is no address to listen on; write HOST:PORT", address);
	memcpy(host, from, (size_t)(to - from));
	host[to - from] = '\0';
	(void)snprintf(port, port_size, "%s", colon + 1);
	return 0;
}

int trib_listen_check(const char *address, struct trib_err *err)
{
	static const char letters[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_", v6[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-_:%",
			  digits[] = "0123456789";
	char host[TRIB_HOST_MAX + 1], port[16];
	if (split_address(address, host, sizeof(host), port, sizeof(port), err))
		return -1;
	/* An IPv6 address without its brackets would lose its last group to the port. */
	size_t good = strspn(host, address[0] == '[' ? v6 : letters);
	if (host[good] == '\0' && strspn(port, digits) == strlen(port) && strtol(port, NULL, 10) <= 65535)
		return 0;
	return trib_fail(err, TRIB_E_USAGE, "%s is no address to listen on; write HOST:PORT", address);
}

static int real_name(int fd, char *ret, size_t size, struct trib_err *err)
{
	struct sockaddr_storage sa;
	socklen_t n = sizeof(sa);
	char host[INET6_ADDRSTRLEN + 32], port[8];
	if (getsockname(fd, (struct sockaddr *)&sa, &n))
		return trib_fail_errno(err, "reading the listening address");
	if (getnameinfo((struct sockaddr *)&sa, n, host, sizeof(host), port, sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
		return trib_fail(err, TRIB_E_IO, "reading the listening address");
	(void)snprintf(ret, size, sa.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return 0;
}

int trib_listen(const char *address, int *ret_fd, char *ret_name, size_t size, struct trib_err *err)
{
	char host[TRIB_HOST_MAX + 1], port[16];
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *list = NULL;
	if (split_address(address, host, sizeof(host), port, sizeof(port), err))
		return -1;
	int rc = getaddrinfo(host[0] ? host : NULL, port, &hints, &list);
	if (rc)
		return trib_fail(err, TRIB_E_USAGE, "listening on %s: %s", address, gai_strerror(rc));
	TRIB_AUTO(trib_fd) int fd = -1;
	trib_fail(err, TRIB_E_IO, "listening on %s: no address", address);
	for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
		int one = 1, s = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (s < 0 || setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) || bind(s, a->ai_addr, a->ai_addrlen) || listen(s, BACKLOG)) {
			trib_fail_errno(err, "listening on %s", address);
			if (s >= 0)
				close(s);
			continue;
		}
		fd = s;
	}
	freeaddrinfo(list);
	if (fd < 0 || real_name(fd, ret_name, size, err))
		return -1;
	*ret_fd = fd;
	fd = -1;
	return 0;
}

static int by_number(const void *a, const void *b)
{
	int x, y;
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return (x > y) - (x < y);
}

void trib_child_clean(const int *keep, size_t n)
{
	int order[8];
	size_t k = 0;
	for (size_t i = 0; i < n && k < TRIB_COUNT(order); i++)
		if (keep[i] > 2)
			order[k++] = keep[i];
	qsort(order, k, sizeof(order[0]), by_number);
	unsigned from = 3;
	for (size_t i = 0; i < k; i++) {
		unsigned fd = (unsigned)order[i];
		if (fd > from)
			(void)close_range(from, fd - 1, 0);
		if (fd >= from)
			from = fd + 1;
	}
	(void)close_range(from, ~0u, 0);
	static const int caught[] = {SIGCHLD, SIGHUP, SIGTERM};
	for (size_t i = 0; i < TRIB_COUNT(caught); i++)
		signal(caught[i], SIG_DFL);
	/* Ctrl-C reaches the whole group; the supervisor alone decides how it ends. */
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

struct sockets { int keeper[2], enrol[2], merge[2], certs[2]; };

static void close_sockets(struct sockets *s)
{
	int *all[] = {s->keeper, s->enrol, s->merge, s->certs};
	for (size_t i = 0; i < TRIB_COUNT(all); i++)
		for (int k = 0; k < 2; k++)
			trib_fd_cleanup(&all[i][k]);
}

enum core_kind { CORE_KEEPER, CORE_ENROL, CORE_MERGER };

struct start {
	const struct trib_hub *h;
	int keep_fd;
	void (*before)(void *ctx);
	void *ctx;
	struct sockets s;
};

static int core_main(const struct start *st, enum core_kind kind)
{
	const struct sockets *s = &st->s;
	const int keep[][4] = {
		{s->keeper[1], s->merge[0], s->certs[0], st->keep_fd},
		{s->enrol[1], s->certs[1], -1, st->keep_fd},
		{s->merge[1], -1, -1, st->keep_fd},
	};
	static const char *const names[] = {"hub/keeper", "hub/enrol", "hub/merger"};
	if (st->before)
		st->before(st->ctx);
	trib_child_clean(keep[kind], 4);
	/* They end when their socket closes, after the transaction at hand; a service manager's SIGTERM to all must not cut it. */
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	trib_log_as(names[kind]);
	switch (kind) {
	case CORE_KEEPER:
		return trib_keeper_main(st->h, s->keeper[1], s->merge[0], s->certs[0]);
	case CORE_ENROL:
		return trib_enrol_main(st->h, s->enrol[1], s->certs[1]);
	case CORE_MERGER:
		return trib_merger_main(st->h, s->merge[1]);
	}
	return 1;
}

static int spawn(const struct start *st, enum core_kind kind, pid_t *ret, struct trib_err *err)
{
	(void)fflush(NULL);
	pid_t pid = fork();
	if (pid < 0)
		return trib_fail_errno(err, "starting a process of the hub");
	if (pid == 0) {
		int status = core_main(st, kind);
		(void)fflush(NULL);
		_exit(status);
	}
	*ret = pid;
	return 0;
}

int trib_core_start(const struct trib_hub *h, int keep_fd, void (*before)(void *ctx), void *ctx, struct trib_core *ret, struct trib_err *err)
{
	struct start st = {.h = h, .keep_fd = keep_fd, .before = before, .ctx = ctx, .s = {{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}}};
	struct trib_core c = TRIB_CORE_INIT;
	int rc = trib_ipc_pair(st.s.keeper, err);
	if (!rc)
		rc = trib_ipc_pair(st.s.enrol, err);
	if (!rc)
		rc = trib_ipc_pair(st.s.merge, err);
	if (!rc)
		rc = trib_ipc_pair(st.s.certs, err);
	if (!rc)
		rc = spawn(&st, CORE_KEEPER, &c.keeper, err);
	if (!rc)
		rc = spawn(&st, CORE_ENROL, &c.enrol, err);
	if (!rc)
		rc = spawn(&st, CORE_MERGER, &c.merger, err);
	if (!rc) {
		c.keeper_ctl = st.s.keeper[0];
		c.enrol_ctl = st.s.enrol[0];
		st.s.keeper[0] = st.s.enrol[0] = -1;
	}
	close_sockets(&st.s);
	if (rc) {
		trib_core_stop(&c, 1000);
		return -1;
	}
	*ret = c;
	return 0;
}

const char *trib_core_reaped(struct trib_core *c, pid_t pid)
{
	if (pid == c->keeper) {
		c->keeper = 0;
		return "keeper";
	}
	if (pid == c->enrol) {
		c->enrol = 0;
		return "enrolment";
	}
	if (pid == c->merger) {
		c->merger = 0;
		return "merger";
	}
	return NULL;
}

void trib_core_stop(struct trib_core *c, int wait_ms)
{
	int64_t deadline = trib_mono_ms() + wait_ms;
	bool killed = false;
	trib_fd_cleanup(&c->keeper_ctl);
	trib_fd_cleanup(&c->enrol_ctl);
	while (c->keeper || c->enrol || c->merger) {
		pid_t *pids[] = {&c->keeper, &c->enrol, &c->merger};
		for (size_t i = 0; i < TRIB_COUNT(pids); i++) {
			pid_t r = *pids[i] ? waitpid(*pids[i], NULL, WNOHANG) : 0;
			if (r > 0 || (r < 0 && errno == ECHILD))
				*pids[i] = 0;
		}
		if (!killed && trib_mono_ms() >= deadline) {
			for (size_t i = 0; i < TRIB_COUNT(pids); i++)
				if (*pids[i])
					kill(*pids[i], SIGKILL);
			killed = true;
		}
		if (c->keeper || c->enrol || c->merger) {
			struct timespec t = {.tv_nsec = 10 * 1000 * 1000};
			nanosleep(&t, NULL);
		}
	}
}
