#include "hub/supervise.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "hub/hand.h"
#include "hub/ipc.h"
#include "hub/sandbox.h"
#include "hub/slots.h"
#include "hub/witnesses.h"

#define DRAIN_MS 10000       /* what a running request gets after SIGTERM */
#define CORE_STOP_MS 15000   /* the merger may be inside a batch */
#define RESTART_MS 300
#define WITNESS_FIRST_MS 1000
#define WITNESS_MS 180000    /* a whole round: four witnesses that are silent */
#define DEATHS_MAX 5
#define DEATHS_MS 10000
#define FIXED 3              /* descriptors that are waited for besides the workers' */

struct super {
	const struct trib_hub *h;
	struct trib_tls_ctx *tls;
	struct trib_lock lock;
	int listen_fd, hand_fd, signal_fd;
	struct trib_core core;
	bool core_up, stopping;
	int64_t restart_at, drain_until;
	int64_t deaths[DEATHS_MAX]; /* times of the last deaths, oldest overwritten */
	unsigned ndeaths;
	struct trib_slots slots;
	pid_t witness;                       /* asks the outside witnesses now; 0: none */
	int64_t witness_at, witness_until;   /* the next round; when the present one must have ended */
};

static void forget_tls(void *ctx)
{
	struct super *s = ctx;
	/* Keeper, enrolment and merger have no use for the TLS key. */
	trib_tls_ctx_free(s->tls);
	s->tls = NULL;
}

static int load_tls(const struct trib_hub *h, struct trib_tls_ctx **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *key_path = trib_hub_path(h, "keys/hub-tls.key");
	TRIB_AUTO(trib_mem) char *crt_path = trib_hub_path(h, "keys/hub-tls.crt");
	TRIB_AUTO(trib_key) struct trib_key *key = NULL;
	TRIB_AUTO(trib_cert) struct trib_cert *crt = NULL;
	if (!key_path || !crt_path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	/* Read again and not taken from `h`: SIGHUP must see a renewed certificate. */
	if (trib_key_load(key_path, &key, err) || trib_cert_load(crt_path, &crt, err) || trib_cert_matches(crt, key, err))
		return trib_ctx(err, "the hub's TLS certificate");
	return trib_tls_server_ctx(crt, h->issuing, h->root, key, ret, err);
}

static void reload_tls(struct super *s)
{
	struct trib_err err;
	struct trib_tls_ctx *fresh = NULL;
	if (load_tls(s->h, &fresh, &err)) {
		trib_log(TRIB_LOG_ERROR, "the old TLS certificate stays in use: %s", err.msg);
		return;
	}
	trib_tls_ctx_free(s->tls);
	s->tls = fresh;
	trib_log(TRIB_LOG_INFO, "TLS certificate read again");
}

static int remove_quarantine(const struct super *s, const char *name, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_pathf("%s/quarantine/%s", s->h->dir, name);
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	return trib_fs_remove_tree(path, err);
}

/* Nothing in quarantine outlives its worker: at start everything there is garbage (D8.4). */
static int sweep_quarantine(const struct super *s, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *dir = trib_hub_path(s->h, "quarantine");
	if (!dir)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_fs_mkdirs(dir, 0700, err))
		return -1;
	DIR *d = opendir(dir);
	if (!d)
		return trib_fail_errno(err, "opening %s", dir);
	int rc = 0;
	for (struct dirent *e; rc == 0 && (e = readdir(d));)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			rc = remove_quarantine(s, e->d_name, err);
	closedir(d);
	return rc;
}

static void run_worker(struct super *s, int conn, int keeper, int enrol, int known)
{
	const int keep[] = {conn, keeper, enrol, known};
	trib_child_clean(keep, TRIB_COUNT(keep));
	/* Without its supervisor nobody would end a hanging worker. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	trib_log_as("hub/worker");
	int status = trib_worker_main(s->h, s->tls, conn, keeper, enrol, known);
	(void)fflush(NULL);
	_exit(status);
}

/* A bundle instead of a peer: nothing of TLS is wanted. */
static void run_hand_worker(struct super *s, int conn, int keeper)
{
	const int keep[] = {conn, keeper};
	forget_tls(s);
	trib_child_clean(keep, TRIB_COUNT(keep));
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGTERM, SIG_IGN); /* it has one request, and ends after it, or with the time for that */
	trib_log_as("hub/worker");
	int status = trib_hand_worker_main(s->h, conn, keeper);
	(void)fflush(NULL);
	_exit(status);
}

/* A worker with a line of its own to the keeper and to enrolment. `hand`: a connection of run/by-hand. */
static int start_worker(struct super *s, const struct trib_queued *q, bool hand, struct trib_err *err)
{
	int keeper[2] = {-1, -1}, enrol[2] = {-1, -1}, said[2] = {-1, -1};
	int rc = trib_ipc_pair(keeper, err);
	if (!rc)
		rc = trib_ipc_pair(enrol, err);
	if (!rc && pipe2(said, O_CLOEXEC | O_NONBLOCK))
		rc = trib_fail_errno(err, "making a pipe");
	pid_t pid = -1;
	if (!rc) {
		(void)fflush(NULL);
		pid = fork();
		if (pid == 0 && hand)
			run_hand_worker(s, q->fd, keeper[1]);
		if (pid == 0)
			run_worker(s, q->fd, keeper[1], enrol[1], said[1]);
		if (pid < 0)
			rc = trib_fail_errno(err, "starting a worker");
	}
	if (!rc) {
		s->slots.at[s->slots.n++] = (struct trib_slot){.pid = pid, .said = said[0], .from = q->from, .started = trib_mono_ms(), .known = hand};
		said[0] = -1;
		/* Whose line it is they hear from here, not from the worker. One that they never hear of finds its line closed and ends. */
		rc = trib_ipc_send_fd(s->core.keeper_ctl, keeper[0], pid, err);
		if (!rc)
			rc = trib_ipc_send_fd(s->core.enrol_ctl, enrol[0], pid, err);
	}
	for (int i = 0; i < 2; i++) {
		trib_fd_cleanup(&keeper[i]);
		trib_fd_cleanup(&enrol[i]);
		trib_fd_cleanup(&said[i]);
	}
	return rc;
}

/* Workers for all that may have one; the stranger that must go for another is ended. */
static void serve_queue(struct super *s)
{
	struct trib_err err;
	struct trib_queued q;
	size_t end;
	int64_t now = trib_mono_ms();
	for (int fd; (fd = trib_slots_stale(&s->slots, now)) >= 0;)
		close(fd);
	while (trib_slots_next(&s->slots, now, &q, &end)) {
		if (start_worker(s, &q, false, &err))
			trib_log(TRIB_LOG_ERROR, "a connection was dropped: %s", err.msg);
		close(q.fd);
	}
	if (end == SIZE_MAX)
		return;
	trib_log(TRIB_LOG_DEBUG, "worker %ld makes room: its peer has shown no certificate, and others wait", (long)s->slots.at[end].pid);
	kill(s->slots.at[end].pid, SIGKILL);
	s->slots.at[end].killed = true;
}

static void accept_one(struct super *s)
{
	int one = 1;
	struct sockaddr_storage sa = {0};
	socklen_t len = sizeof(sa);
	int conn = accept4(s->listen_fd, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (conn < 0) {
		/* The peer left again, or the system is short of descriptors: then the socket stays readable, and without a pause this would spin. */
		struct timespec t = {.tv_nsec = 20 * 1000 * 1000};
		if (errno != EAGAIN && errno != ECONNABORTED)
			nanosleep(&t, NULL);
		return;
	}
	/* Answers are written whole; waiting for more to send would only add 40 ms. */
	(void)setsockopt(conn, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(conn, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	int closed = trib_slots_arrive(&s->slots, conn, trib_from_address(&sa), trib_mono_ms());
	trib_fd_cleanup(&closed);
}

/* By hand there is one at a time, and it waits for nobody: the queue is the network's. */
static void accept_hand(struct super *s)
{
	struct trib_err err;
	struct trib_queued q = {.fd = trib_hand_accept(s->hand_fd), .since = trib_mono_ms()};
	if (q.fd < 0)
		return;
	if (s->slots.n >= TRIB_WORKERS_MAX)
		trib_log(TRIB_LOG_WARN, "a bundle was sent away: all workers are busy");
	else if (start_worker(s, &q, true, &err))
		trib_log(TRIB_LOG_ERROR, "a bundle was sent away: %s", err.msg);
	close(q.fd);
}

/* A worker has said that its peer is known, or has closed its end. */
static void hear_worker(struct trib_slot *w)
{
	char byte;
	ssize_t n = read(w->said, &byte, 1);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	w->known = w->known || n == 1;
	trib_fd_cleanup(&w->said);
}

static void worker_ended(struct super *s, size_t i, int status)
{
	struct trib_err err;
	char name[32];
	struct trib_slot *w = &s->slots.at[i];
	pid_t pid = w->pid;
	(void)snprintf(name, sizeof(name), "w%ld", (long)pid);
	if (WIFSIGNALED(status))
		trib_log(w->killed && !w->known ? TRIB_LOG_DEBUG : TRIB_LOG_WARN, "worker %ld was ended by signal %d%s; its push, if any, is refused and nothing of it stays", (long)pid, WTERMSIG(status),
			 WTERMSIG(status) == SIGXCPU ? " (CPU limit)" : w->killed ? " (time limit)" : "");
	if (remove_quarantine(s, name, &err))
		trib_log(TRIB_LOG_WARN, "%s", err.msg);
	trib_fd_cleanup(&w->said);
	*w = s->slots.at[--s->slots.n];
}

/* True when they die too fast to go on. */
static bool note_death(struct super *s)
{
	int64_t now = trib_mono_ms();
	s->deaths[s->ndeaths++ % DEATHS_MAX] = now;
	if (s->ndeaths < DEATHS_MAX)
		return false;
	return now - s->deaths[s->ndeaths % DEATHS_MAX] < DEATHS_MS; /* the slot to be overwritten next is the oldest of five */
}

/* One of the three has ended: the other two are ended too, and all start again after a pause. */
static int core_ended(struct super *s, const char *name, int status, struct trib_err *err)
{
	if (WIFSIGNALED(status))
		trib_log(TRIB_LOG_ERROR, "%s was ended by signal %d; starting again", name, WTERMSIG(status));
	else
		trib_log(TRIB_LOG_ERROR, "%s ended with status %d; starting again", name, WEXITSTATUS(status));
	s->core_up = false;
	trib_core_stop(&s->core, CORE_STOP_MS);
	if (note_death(s))
		return trib_fail(err, TRIB_E_FAILED, "%s and its siblings ended %d times within %d s; the messages above say why; nothing that was held is lost", name,
				 DEATHS_MAX, DEATHS_MS / 1000);
	s->restart_at = trib_mono_ms() + RESTART_MS;
	return 0;
}

/* Asking the outside witnesses is a process of its own, without keys: whatever they do, it keeps nobody waiting. */
static void start_witness(struct super *s)
{
	(void)fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		forget_tls(s);
		trib_child_clean(NULL, 0);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		trib_log_as("hub/witness");
		int status = trib_witnesses_main(s->h);
		(void)fflush(NULL);
		_exit(status);
	}
	if (pid < 0)
		trib_log(TRIB_LOG_ERROR, "the witnesses are not asked now: %s", strerror(errno));
	else
		s->witness = pid;
	s->witness_until = trib_mono_ms() + WITNESS_MS;
}

/* When it must be looked at again. */
static int64_t witness_turn(struct super *s, int64_t now)
{
	if (s->witness) {
		if (now < s->witness_until)
			return s->witness_until;
		kill(s->witness, SIGKILL);
		return now + 1000;
	}
	if (now < s->witness_at)
		return s->witness_at;
	s->witness_at = now + TRIB_WITNESS_ROUND_MS;
	if (trib_witnesses_any(s->h->dir))
		start_witness(s);
	return s->witness ? s->witness_until : s->witness_at;
}

static int reap(struct super *s, struct trib_err *err)
{
	int status;
	pid_t pid;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		size_t i = 0;
		if (pid == s->witness) {
			s->witness = 0;
			continue;
		}
		while (i < s->slots.n && s->slots.at[i].pid != pid)
			i++;
		if (i < s->slots.n) {
			worker_ended(s, i, status);
			continue;
		}
		const char *name = trib_core_reaped(&s->core, pid);
		if (name && s->core_up && core_ended(s, name, status, err))
			return -1;
	}
	return 0;
}

static void begin_drain(struct super *s)
{
	s->stopping = true;
	s->drain_until = trib_mono_ms() + DRAIN_MS;
	trib_fd_cleanup(&s->listen_fd);
	trib_fd_cleanup(&s->hand_fd);
	while (s->slots.nqueue)
		close(s->slots.queue[--s->slots.nqueue].fd);
	for (size_t i = 0; i < s->slots.n; i++)
		kill(s->slots.at[i].pid, SIGTERM);
	trib_log(TRIB_LOG_INFO, "ending; %zu connections finish their request", s->slots.n);
}

static int on_signals(struct super *s, struct trib_err *err)
{
	struct signalfd_siginfo si;
	while (read(s->signal_fd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		switch ((int)si.ssi_signo) {
		case SIGTERM:
		case SIGINT:
			if (!s->stopping)
				begin_drain(s);
			break;
		case SIGHUP:
			reload_tls(s);
			break;
		default:
			break;
		}
	}
	return reap(s, err);
}

/* Ends workers over their time; starts the core again when it is due. The milliseconds until there is something to do. */
static int on_time(struct super *s, int *ret_ms, struct trib_err *err)
{
	int64_t now = trib_mono_ms(), next = now + 60000;
	if (!s->core_up && !s->stopping && now >= s->restart_at) {
		if (trib_core_start(s->h, s->lock.fd, forget_tls, s, &s->core, err))
			return -1;
		s->core_up = true;
	}
	if (!s->core_up && !s->stopping && s->restart_at < next)
		next = s->restart_at;
	if (!s->stopping) {
		int64_t witness = witness_turn(s, now);
		next = witness < next ? witness : next;
	}
	int64_t queue = trib_slots_due(&s->slots, now);
	next = queue < next ? queue : next;
	for (size_t i = 0; i < s->slots.n; i++) {
		struct trib_slot *w = &s->slots.at[i];
		int64_t deadline = trib_slot_deadline(w);
		deadline = s->stopping && s->drain_until < deadline ? s->drain_until : deadline;
		if (w->killed)
			continue;
		if (now >= deadline) {
			kill(w->pid, SIGKILL);
			w->killed = true;
		} else if (deadline < next) {
			next = deadline;
		}
	}
	*ret_ms = next <= now ? 0 : (int)(next - now);
	return 0;
}

static int loop(struct super *s, struct trib_err *err)
{
	while (!s->stopping || s->slots.n) {
		int ms;
		if (on_time(s, &ms, err))
			return -1;
		bool room = s->listen_fd >= 0 && s->core_up && trib_slots_open(&s->slots);
		struct pollfd p[FIXED + TRIB_WORKERS_MAX] = {{.fd = s->signal_fd, .events = POLLIN},
							     {.fd = room ? s->listen_fd : -1, .events = POLLIN},
							     {.fd = s->core_up ? s->hand_fd : -1, .events = POLLIN}};
		size_t n = s->slots.n;
		for (size_t i = 0; i < n; i++)
			p[FIXED + i] = (struct pollfd){.fd = s->slots.at[i].said, .events = POLLIN};
		if (poll(p, (nfds_t)(FIXED + n), ms + 1) < 0 && errno != EINTR)
			return trib_fail_errno(err, "waiting for connections");
		for (size_t i = 0; i < n; i++)
			if (p[FIXED + i].revents)
				hear_worker(&s->slots.at[i]);
		/* Always: a signal may have been merged with another of its kind. */
		if (on_signals(s, err))
			return -1;
		if (p[1].revents && s->listen_fd >= 0 && s->core_up)
			accept_one(s);
		if (p[2].revents && s->hand_fd >= 0 && s->core_up)
			accept_hand(s);
		if (s->core_up && !s->stopping)
			serve_queue(s);
	}
	return 0;
}

static int take_signals(struct super *s, struct trib_err *err)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return trib_fail_errno(err, "blocking signals");
	s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s->signal_fd < 0)
		return trib_fail_errno(err, "making a signal descriptor");
	return 0;
}

static int write_listen(const struct super *s, const char *name, struct trib_err *err)
{
	char line[160];
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(s->h, "run/listen");
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	int n = snprintf(line, sizeof(line), "%s\n", name);
	if (trib_fs_write(path, trib_span(line, (size_t)n), 0644, err))
		return -1;
	if (printf("listening on https://%s\n", name) < 0 || fflush(stdout))
		return trib_fail_errno(err, "writing to the standard output");
	trib_log(TRIB_LOG_INFO, "listening on https://%s", name);
	return 0;
}

static int start(struct super *s, const char *listen_addr, struct trib_err *err)
{
	char name[160];
	TRIB_AUTO(trib_mem) char *run = trib_hub_path(s->h, "run");
	TRIB_AUTO(trib_mem) char *repos = trib_hub_path(s->h, "repos");
	TRIB_AUTO(trib_mem) char *lock = trib_hub_path(s->h, "run/serve.lock");
	if (!run || !repos || !lock)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_fs_mkdirs(run, 0755, err) || trib_fs_mkdirs(repos, 0700, err))
		return -1;
	if (trib_lock_take(&s->lock, lock, 5000, err))
		return err->code == TRIB_E_LOCKED ? trib_ctx(err, "another hub serves this folder") : -1;
	/* Once and loud: without it a worker that a peer took over could read every file of the hub's user, its keys too. */
	if (!trib_sandbox_has_landlock())
		trib_log(TRIB_LOG_WARN, "this kernel has no Landlock: workers are held by their user's rights alone; enable it (boot with lsm=landlock,...)");
	if (sweep_quarantine(s, err) || load_tls(s->h, &s->tls, err) || trib_listen(listen_addr, &s->listen_fd, name, sizeof(name), err) ||
	    trib_hand_listen(s->h, &s->hand_fd, err) || take_signals(s, err))
		return -1;
	if (trib_core_start(s->h, s->lock.fd, forget_tls, s, &s->core, err))
		return -1;
	s->core_up = true;
	s->witness_at = trib_mono_ms() + WITNESS_FIRST_MS;
	return write_listen(s, name, err);
}

/* Whatever way the loop ended: no worker and no sibling is left behind. */
static void finish(struct super *s)
{
	trib_fd_cleanup(&s->listen_fd);
	trib_fd_cleanup(&s->hand_fd);
	while (s->slots.nqueue)
		close(s->slots.queue[--s->slots.nqueue].fd);
	for (size_t i = 0; i < s->slots.n; i++)
		kill(s->slots.at[i].pid, SIGKILL);
	while (s->slots.n) {
		int status = 0;
		pid_t pid = waitpid(s->slots.at[0].pid, &status, 0);
		if (pid < 0 && errno == EINTR)
			continue;
		worker_ended(s, 0, status);
	}
	if (s->witness > 0 && kill(s->witness, SIGKILL) == 0)
		(void)waitpid(s->witness, NULL, 0);
	trib_core_stop(&s->core, CORE_STOP_MS);
	/* Nobody listens there any more; whoever finds the file may believe it. */
	TRIB_AUTO(trib_mem) char *listen_file = trib_hub_path(s->h, "run/listen");
	if (listen_file && s->lock.fd >= 0)
		(void)unlink(listen_file);
	if (s->lock.fd >= 0)
		trib_hand_remove(s->h);
	trib_fd_cleanup(&s->signal_fd);
	trib_tls_ctx_free(s->tls);
	trib_lock_drop(&s->lock);
}

int trib_supervise(const struct trib_hub *h, const char *listen_addr, struct trib_err *err)
{
	struct super s = {.h = h, .lock = TRIB_LOCK_INIT, .listen_fd = -1, .hand_fd = -1, .signal_fd = -1, .core = TRIB_CORE_INIT};
	int rc = start(&s, listen_addr, err);
	if (rc == 0)
		rc = loop(&s, err);
	finish(&s);
	if (rc)
		return trib_exit_status(err->code);
	trib_log(TRIB_LOG_INFO, "ended");
	return 0;
}
