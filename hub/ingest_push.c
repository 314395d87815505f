/* New commits of a bundle, by the way of every push: a sandboxed worker judges, the keeper publishes; both are forked here while the hub is stopped. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/base/log.h"
#include "core/format/pktline.h"
#include "hub/hand.h"
#include "hub/ingest.h"
#include "hub/supervise.h"
#include "hub/worker.h"

#define HEAD_ROOM 4096

/* The request: its head from memory, the pack from the file. */
struct feed { struct trib_buf head; size_t at; int fd; };

static int feed_read(void *ctx, void *p, size_t n, int timeout_ms, size_t *ret_n, struct trib_err *err)
{
	struct feed *f = ctx;
	(void)timeout_ms;
	if (f->at < f->head.len) {
		size_t left = f->head.len - f->at;
		*ret_n = left < n ? left : n;
		memcpy(p, f->head.p + f->at, *ret_n);
		f->at += *ret_n;
		return 0;
	}
	ssize_t got;
	do
		got = read(f->fd, p, n);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		return trib_fail_errno(err, "reading the bundle");
	*ret_n = (size_t)got;
	return 0;
}

static int feed_write(void *ctx, struct trib_span bytes, int timeout_ms, struct trib_err *err)
{
	(void)ctx;
	(void)bytes;
	(void)timeout_ms;
	(void)err;
	return 0;
}

static int feed_open(struct feed *f, const char *bundle, const struct trib_ingest *in, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf cmd = TRIB_BUF(HEAD_ROOM);
	char from[TRIB_OID_HEX + 1], to[TRIB_OID_HEX + 1];
	struct stat st;
	f->fd = open(bundle, O_RDONLY | O_CLOEXEC);
	if (f->fd < 0 || fstat(f->fd, &st) || lseek(f->fd, (off_t)in->head_len, SEEK_SET) < 0)
		return trib_fail_errno(err, "opening %s", bundle);
	if (!S_ISREG(st.st_mode) || (size_t)st.st_size <= in->head_len)
		return trib_fail(err, TRIB_E_FORMAT, "%s changed while it was read", bundle);
	trib_hex(from, in->old_tip, TRIB_OID_LEN); /* zeros: the first push */
	trib_hex(to, in->new_tip, TRIB_OID_LEN);
	trib_pkt_printf(&cmd, "%s %s refs/heads/main%c report-status\n", from, to, '\0');
	trib_pkt_flush(&cmd);
	trib_buf_printf(&f->head,
			"POST /%s/%s.git/git-receive-pack HTTP/1.1\r\nHost: by-hand\r\nContent-Type: application/x-git-receive-pack-request\r\n"
			"Content-Length: %llu\r\nConnection: close\r\n\r\n",
			in->node, in->app, (unsigned long long)(cmd.len + (size_t)st.st_size - in->head_len));
	trib_buf_put_span(&f->head, trib_buf_span(&cmd));
	return trib_buf_check(&f->head, "the head of a push", err);
}

/* The certificate that signs this history now; when all are revoked any of them, and the keeper says so. */
static int find_cert(const struct trib_hub *hub, const struct trib_ingest *in, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_hubdb_open(hub, false, &db, err) ||
	    trib_db_prepare(db.db,
			    "SELECT c.sha256 FROM cert c JOIN node n ON n.node = c.node AND n.app = c.app WHERE c.node = ? AND c.app = ? AND c.usage = 'sign' "
			    "ORDER BY c.incarnation = n.incarnation DESC, c.revoked_at IS NULL DESC, c.not_after DESC, c.sha256 LIMIT 1",
			    &st, err))
		return -1;
	sqlite3_bind_text(st, 1, in->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, in->app, -1, SQLITE_STATIC);
	int row = trib_db_step(db.db, st, err);
	if (row <= 0)
		return row < 0 ? -1
			       : trib_fail(err, TRIB_E_CERT, "%s/%s is not enrolled in this city, so its bundle is not taken; nothing was changed; try: tributary-hub node add", in->node,
					   in->app);
	return trib_db_bytes(st, 0, "a certificate's hash", ret, TRIB_SHA256_LEN, err) ? trib_ctx(err, "hub.db; try: tributary-hub audit") : 0;
}

struct run {
	const struct trib_hub *hub;
	int lock_fd;
	int control[2], line[2], said[2];
	pid_t keeper, worker;
	struct feed feed;
	struct trib_ipc_hello hello;
};

static void run_cleanup(struct run *r)
{
	int *fds[] = {&r->control[0], &r->control[1], &r->line[0], &r->line[1], &r->said[0], &r->said[1], &r->feed.fd};
	for (size_t i = 0; i < TRIB_COUNT(fds); i++)
		trib_fd_cleanup(fds[i]);
	trib_buf_release(&r->feed.head);
	/* With its lines closed each of them ends. */
	if (r->worker > 0)
		(void)waitpid(r->worker, NULL, 0);
	if (r->keeper > 0)
		(void)waitpid(r->keeper, NULL, 0);
}

static void keeper_main(struct run *r)
{
	const int keep[] = {r->control[1], r->lock_fd}; /* while it lives no second hub starts */
	trib_child_clean(keep, TRIB_COUNT(keep));
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	trib_log_open("hub/keeper", TRIB_LOG_ERROR);
	_exit(trib_keeper_main(r->hub, r->control[1], -1, -1));
}

static void worker_main(struct run *r)
{
	struct trib_err err = {0};
	const int keep[] = {r->line[1], r->said[1], r->feed.fd};
	trib_child_clean(keep, TRIB_COUNT(keep));
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	trib_log_open("hub/worker", TRIB_LOG_ERROR);
	int rc = trib_worker_push(r->hub, r->line[1], &r->hello, (struct trib_http_io){.ctx = &r->feed, .read = feed_read, .write = feed_write}, &err);
	struct trib_ipc_result res = {.code = rc ? (int32_t)err.code : TRIB_OK};
	(void)snprintf(res.msg, sizeof(res.msg), "%s", err.msg);
	_exit(write(r->said[1], &res, sizeof(res)) == (ssize_t)sizeof(res) ? 0 : 1);
}

static int start(struct run *r, struct trib_err *err)
{
	if (trib_ipc_pair(r->control, err) || trib_ipc_pair(r->line, err))
		return -1;
	if (pipe2(r->said, O_CLOEXEC))
		return trib_fail_errno(err, "making a pipe");
	(void)fflush(NULL);
	r->keeper = fork();
	if (r->keeper == 0)
		keeper_main(r);
	if (r->keeper > 0)
		r->worker = fork();
	if (r->worker == 0 && r->keeper > 0)
		worker_main(r);
	if (r->keeper < 0 || r->worker < 0)
		return trib_fail_errno(err, "starting a process of the hub");
	trib_fd_cleanup(&r->control[1]);
	trib_fd_cleanup(&r->line[1]);
	trib_fd_cleanup(&r->said[1]);
	int rc = trib_ipc_send_fd(r->control[0], r->line[0], r->worker, err);
	trib_fd_cleanup(&r->line[0]);
	return rc;
}

static int verdict(const struct trib_ipc_result *res, struct trib_err *err)
{
	if (res->code == TRIB_OK)
		return 0;
	return trib_fail(err, res->code > 0 && res->code < TRIB_CODE_COUNT ? (enum trib_code)res->code : TRIB_E_FAILED, "the bundle's new commits were refused, none was taken: %s",
			 res->msg);
}

/* The worker's word; a worker that says nothing was ended by a limit of its sandbox. */
static int hear(struct run *r, struct trib_err *err)
{
	struct trib_ipc_result res;
	size_t have = 0;
	while (have < sizeof(res)) {
		ssize_t n = read(r->said[0], (char *)&res + have, sizeof(res) - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return trib_fail(err, TRIB_E_LIMIT, "the process that judges the bundle ended without a word (memory or time over its limit); nothing was published");
		have += (size_t)n;
	}
	res.msg[sizeof(res.msg) - 1] = '\0';
	return verdict(&res, err);
}

/* In a running hub the office may have sent more since: what counts is the bundle's last commit. */
static int count_taken(const struct trib_hub *hub, struct trib_ingest *in, struct trib_err *err)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_hubdb_open(hub, false, &db, err) || trib_db_prepare(db.db, "SELECT seq FROM held WHERE node = ? AND app = ? AND oid = ?", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, in->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, in->app, -1, SQLITE_STATIC);
	sqlite3_bind_blob(st, 3, in->new_tip, TRIB_OID_LEN, SQLITE_STATIC);
	int row = trib_db_step(db.db, st, err);
	if (row <= 0)
		return row < 0 ? -1 : trib_fail(err, TRIB_E_FAILED, "the commits were taken and are not published; try: tributary-hub audit");
	in->last_seq = (uint64_t)sqlite3_column_int64(st, 0);
	in->taken = in->last_seq - in->old_seq;
	return 0;
}

/* A keeper that died may have published first: what is in hub.db is taken, whatever was heard. */
static int settle(const struct trib_hub *hub, struct trib_ingest *in, int rc, struct trib_err *err)
{
	struct trib_err ignored;
	return count_taken(hub, in, rc ? &ignored : err) ? -1 : 0;
}

/* By the running hub's own processes. */
static int push_to_running(struct run *r, struct trib_err *err)
{
	TRIB_AUTO(trib_fd) int fd = -1;
	struct trib_ipc_result res;
	if (trib_hand_connect(r->hub, &fd, err) || trib_hand_push(fd, &r->hello, trib_buf_span(&r->feed.head), r->feed.fd, &res, err))
		return -1;
	return verdict(&res, err);
}

int trib_ingest_push(const struct trib_hub *hub, const char *bundle, const struct trib_lock *lock, struct trib_ingest *in, struct trib_err *err)
{
	__attribute__((cleanup(run_cleanup))) struct run r = {.hub = hub, .lock_fd = lock ? lock->fd : -1, .control = {-1, -1}, .line = {-1, -1}, .said = {-1, -1}};
	struct trib_err ignored;
	r.feed = (struct feed){.head = TRIB_BUF(HEAD_ROOM), .fd = -1};
	r.hello.has_cert = 1;
	if (find_cert(hub, in, r.hello.cert_sha256, err) || feed_open(&r.feed, bundle, in, err))
		return -1;
	int rc = !lock ? push_to_running(&r, err) : start(&r, err);
	if (!lock)
		return settle(hub, in, rc, err);
	if (rc)
		return -1;
	rc = hear(&r, err);
	(void)waitpid(r.worker, NULL, 0);
	/* The sandbox lets a worker empty its folder only. */
	TRIB_AUTO(trib_mem) char *left = trib_pathf("%s/quarantine/w%ld", hub->dir, (long)r.worker);
	if (left)
		(void)!trib_fs_remove_tree(left, &ignored);
	r.worker = 0;
	trib_fd_cleanup(&r.control[0]);
	(void)waitpid(r.keeper, NULL, 0);
	r.keeper = 0;
	return settle(hub, in, rc, err);
}
