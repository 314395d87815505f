#include "hub/worker.h"

#include <signal.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/format/enrol.h"
#include "hub/oldlog.h"
#include "hub/policy.h"
#include "hub/sandbox.h"
#include "hub/smart_fetch.h"
#include "hub/smart_push.h"
#include "hub/tiles.h"

#define WHO_MS 30000   /* the keeper may be in the middle of another peer's publication */
#define ENROL_MS 30000
#define HELLO_FRESH_MS 1000    /* the keeper's word from the handshake holds for a first request that follows at once */
#define STRANGER_DRAIN TRIB_MIB /* what a peer without a certificate may send in vain before the line is cut */
/* A new request must still have its full time before the supervisor's end of the connection. */
#define KEEP_ALIVE_MS (TRIB_CONN_MS - TRIB_REQUEST_MS)
_Static_assert(KEEP_ALIVE_MS > 0, "a connection lives longer than a request");

/* Set by SIGTERM: end after the request at hand; at once when there is none. */
static volatile sig_atomic_t stopping;
static volatile sig_atomic_t waiting;

static void on_term(int sig)
{
	(void)sig;
	stopping = 1;
	if (waiting)
		_exit(0);
}

static int tls_read(void *ctx, void *p, size_t n, int timeout_ms, size_t *ret_n, struct trib_err *err)
{
	int rc = trib_tls_read(ctx, p, n, timeout_ms, ret_n, err);
	waiting = 0; /* something came: not idle any more */
	return rc;
}

static int tls_write(void *ctx, struct trib_span bytes, int timeout_ms, struct trib_err *err)
{
	return trib_tls_write(ctx, bytes, timeout_ms, err);
}

/* Asks the keeper who the peer is, by its certificate's hash: at first and before each request of a kept connection, so that a revocation
 * acts at the next request (D7.3). */
static int hello(struct trib_worker *w, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf in = TRIB_BUF(8192);
	if (trib_ipc_call(w->keeper_fd, TRIB_IPC_HELLO, trib_span(&w->hello, sizeof(w->hello)), trib_span(NULL, 0), trib_span(NULL, 0), WHO_MS, TRIB_IPC_WHO,
			  &in, err))
		return -1;
	if (in.len != sizeof(w->who))
		return trib_fail(err, TRIB_E_FORMAT, "the keeper's answer has %zu bytes instead of %zu", in.len, sizeof(w->who));
	memcpy(&w->who, in.p, sizeof(w->who));
	w->who.node[sizeof(w->who.node) - 1] = '\0';
	w->who.app[sizeof(w->who.app) - 1] = '\0';
	w->who.name[sizeof(w->who.name) - 1] = '\0';
	w->who.reason[sizeof(w->who.reason) - 1] = '\0';
	return 0;
}

/* The policy that the keeper's last word named: the log has it already. An office's pushes wait rather than be judged without it. */
static int load_policy(struct trib_worker *w, struct trib_err *err)
{
	if (!w->who.known || memcmp(w->policy, w->who.policy, sizeof(w->policy)) == 0)
		return 0;
	trib_private_release(&w->private);
	if (trib_policy_private(w->hub, w->who.policy, &w->private, err))
		return -1;
	memcpy(w->policy, w->who.policy, sizeof(w->policy));
	return 0;
}

/* Form only: the enrolment process decides about the code. Both requests must prove possession of a P-256 key before they reach the process that
 * holds the issuing key. */
static int check_enrolment(struct trib_span body, bool renew, struct trib_err *err)
{
	struct trib_enrol_request r;
	struct trib_renew_request n;
	struct trib_rotate_request o;
	struct trib_csr *csr = NULL;
	if (renew && trib_is_rotate_request(body)) {
		if (trib_rotate_request_parse(body, &o, err) || trib_csr_parse(o.sign_csr, &csr, err))
			return -1;
		trib_csr_free(csr);
		return 0;
	}
	if (renew) {
		if (trib_renew_request_parse(body, &n, err) || trib_csr_parse(n.tls_csr, &csr, err))
			return -1;
		trib_csr_free(csr);
		return 0;
	}
	if (trib_enrol_request_parse(body, &r, err))
		return -1;
	if (trib_csr_parse(r.sign_csr, &csr, err))
		return trib_ctx(err, "the signing key's request");
	trib_csr_free(csr);
	csr = NULL;
	if (trib_csr_parse(r.tls_csr, &csr, err))
		return trib_ctx(err, "the TLS key's request");
	trib_csr_free(csr);
	return 0;
}

static int serve_enrol(struct trib_worker *w, bool renew, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf body = TRIB_BUF(TRIB_ENROL_BODY_MAX);
	TRIB_AUTO(trib_buf) struct trib_buf in = TRIB_BUF(TRIB_ENROL_ANSWER_MAX + sizeof(struct trib_ipc_result));
	struct trib_ipc_result res;
	struct trib_err why;
	trib_http_body_max(w->http, TRIB_ENROL_BODY_MAX);
	if (trib_http_body_all(w->http, &body, &why))
		return trib_http_text(w->http, why.code == TRIB_E_LIMIT ? 413 : 400, err, "%s: %s", trib_code_name(why.code), why.msg);
	if (check_enrolment(trib_buf_span(&body), renew, &why))
		return trib_http_text(w->http, 400, err, "%s: %s", trib_code_name(why.code), why.msg);
	if (trib_ipc_call(w->enrol_fd, TRIB_IPC_ENROL, trib_buf_span(&body), trib_span(NULL, 0), trib_span(NULL, 0), ENROL_MS, TRIB_IPC_ENROL_IS, &in, &why) ||
	    in.len < sizeof(res)) {
		trib_log(TRIB_LOG_ERROR, "enrolment: %s", in.len ? "a short answer" : why.msg);
		return trib_http_text(w->http, 503, err, "the hub cannot enrol now; the slip stays valid, try again in a minute");
	}
	memcpy(&res, in.p, sizeof(res));
	res.msg[sizeof(res.msg) - 1] = '\0';
	if (res.code != TRIB_OK)
		return trib_http_text(w->http, 403, err, "%s: %s", trib_code_name((enum trib_code)res.code), res.msg);
	return trib_http_answer(w->http, 200, "text/plain; charset=utf-8", trib_span(in.p + sizeof(res), in.len - sizeof(res)), err);
}

static int serve_checkpoint(struct trib_worker *w, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(w->hub, "log/checkpoint");
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	struct trib_err why;
	if (path && trib_fs_read(path, &note, &why) == 0)
		return trib_http_answer(w->http, 200, "text/plain; charset=utf-8", trib_buf_span(&note), err);
	return trib_http_text(w->http, path && why.code == TRIB_E_NOT_FOUND ? 404 : 503, err, "there is no checkpoint to be read now");
}

static int serve_log_file(struct trib_worker *w, const struct trib_route *r, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_BUNDLE_LEAVES_MAX);
	struct trib_err why;
	if (r->kind == TRIB_ROUTE_TILE ? trib_tiles_read(w->hub->dir, &r->tile, &b, &why) : trib_named_read(w->hub->dir, r->sha256, &b, &why)) {
		if (why.code == TRIB_E_NOT_FOUND)
			return trib_http_text(w->http, 404, err, "the published log has nothing there");
		trib_log(TRIB_LOG_ERROR, "reading the published log: %s", why.msg);
		return trib_http_text(w->http, 500, err, "the hub cannot read this part of its log");
	}
	return trib_http_answer(w->http, 200, "application/octet-stream", trib_buf_span(&b), err);
}

/* 0, or an answer (405, 415) was given: 1; -1. */
static int check_method(struct trib_worker *w, const struct trib_route *r, const struct trib_http_request *q, struct trib_err *err)
{
	bool post = r->kind == TRIB_ROUTE_ENROL || r->kind == TRIB_ROUTE_RENEW || r->kind == TRIB_ROUTE_FETCH || r->kind == TRIB_ROUTE_PUSH || r->kind == TRIB_ROUTE_OLD ||
		    r->kind == TRIB_ROUTE_FORKED;
	if (post != (q->method == TRIB_HTTP_POST))
		return trib_http_text(w->http, 405, err, "this address wants %s", post ? "POST" : "GET") ? -1 : 1;
	const char *type = r->kind == TRIB_ROUTE_FETCH ? TRIB_GIT_TYPE("upload-pack", "request")
			   : r->kind == TRIB_ROUTE_PUSH ? TRIB_GIT_TYPE("receive-pack", "request")
							: NULL;
	if (type && strcmp(type, q->content_type) != 0)
		return trib_http_text(w->http, 415, err, "this address wants Content-Type: %s", type) ? -1 : 1;
	return 0;
}

static int dispatch(struct trib_worker *w, const struct trib_http_request *q, struct trib_err *err)
{
	struct trib_route r;
	char why[256];
	trib_route_parse(q->path, q->query, &r);
	int status = trib_route_allowed(&r, &w->who, why, sizeof(why));
	if (status) {
		return trib_http_text(w->http, status, err, "%s", why);
	}
	int m = check_method(w, &r, q, err);
	if (m)
		return m < 0 ? -1 : 0;
	switch (r.kind) {
	case TRIB_ROUTE_HOME:
		return trib_http_text(w->http, 200, err, "Tributary hub of %s. Histories are at /NODE/APP.git; a certificate of the city is needed.",
				      w->hub->city);
	case TRIB_ROUTE_ENROL:
	case TRIB_ROUTE_RENEW:
		return serve_enrol(w, r.kind == TRIB_ROUTE_RENEW, err);
	case TRIB_ROUTE_CHECKPOINT:
		return serve_checkpoint(w, err);
	case TRIB_ROUTE_TILE:
	case TRIB_ROUTE_NAMED:
		return serve_log_file(w, &r, err);
	case TRIB_ROUTE_REFS:
		return r.push ? trib_push_refs(w, &r, err) : trib_fetch_refs(w, &r, err);
	case TRIB_ROUTE_FETCH:
		return trib_fetch_serve(w, &r, err);
	case TRIB_ROUTE_PUSH:
		return trib_push_serve(w, &r, err);
	case TRIB_ROUTE_OLD:
		return trib_oldlog_serve(w, &r, err);
	case TRIB_ROUTE_FORKED:
		return trib_forked_serve(w, &r, err);
	case TRIB_ROUTE_NONE:
		break;
	}
	return trib_http_text(w->http, 404, err, "there is nothing here");
}

/* Requests until the connection ends. */
static int serve(struct trib_worker *w, struct trib_err *err)
{
	bool first = true;
	while (!stopping) {
		struct trib_http_request q;
		waiting = trib_http_idle(w->http);
		if (waiting && stopping) /* the signal came before the line above */
			return 0;
		int got = trib_http_next(w->http, first ? TRIB_HEAD_MS : TRIB_IO_MS, &q, err);
		waiting = 0;
		if (got <= 0)
			return got;
		if ((!first || trib_mono_ms() - w->started > HELLO_FRESH_MS) && (hello(w, err) || load_policy(w, err)))
			return -1;
		first = false;
		if (!w->who.known || stopping || trib_mono_ms() - w->started > KEEP_ALIVE_MS)
			trib_http_close_after(w->http);
		if (trib_sandbox_cpu(err) || dispatch(w, &q, err))
			return -1;
	}
	return 0;
}

static int make_quarantine(struct trib_worker *w, struct trib_err *err)
{
	(void)snprintf(w->quarantine_name, sizeof(w->quarantine_name), "w%ld", (long)getpid());
	w->quarantine = trib_pathf("%s/quarantine/%s", w->hub->dir, w->quarantine_name);
	if (!w->quarantine)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	/* A worker of an earlier life with this number may have left something. */
	if (trib_fs_remove_tree(w->quarantine, err))
		return -1;
	return trib_fs_mkdirs(w->quarantine, 0700, err);
}

static int enter_sandbox(struct trib_worker *w, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *repos = trib_hub_path(w->hub, "repos");
	TRIB_AUTO(trib_mem) char *log = trib_hub_path(w->hub, "log");
	if (!repos || !log)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	struct trib_sandbox s = {.read_dir = repos, .read_more = log, .write_dir = w->quarantine};
	struct trib_sandbox_state st;
	if (trib_sandbox_enter(&s, &st, err))
		return -1;
	if (!st.landlock)
		trib_log(TRIB_LOG_DEBUG, "this kernel has no Landlock: the worker is held by its user's rights alone");
	return 0;
}

static void take_certificate(struct trib_worker *w, struct trib_err *err)
{
	struct trib_cert_id id;
	struct trib_cert *peer = trib_tls_peer(w->tls);
	if (peer && trib_cert_identity(peer, &id, err) == 0) {
		w->hello.has_cert = true;
		memcpy(w->hello.cert_sha256, id.sha256, sizeof(id.sha256));
	}
	trib_cert_free(peer);
}

/* Order matters: the key is gone and the sandbox is shut before the first byte of HTTP is read. */
static int run(struct trib_worker *w, struct trib_tls_ctx *tls, int conn_fd, struct trib_err *err)
{
	if (trib_sandbox_limits(err) || trib_sandbox_cpu(err) || trib_tls_accept(tls, conn_fd, TRIB_HANDSHAKE_MS, &w->tls, err)) {
		close(conn_fd);
		return -1;
	}
	trib_tls_ctx_wipe_key(tls);
	take_certificate(w, err);
	if (hello(w, err) || make_quarantine(w, err) || trib_repo_lib_init(err) || load_policy(w, err) || enter_sandbox(w, err))
		return -1;
	if (w->who.known) /* best effort: untold, it is ended like a stranger's */
		(void)!write(w->known_fd, "1", 1);
	trib_fd_cleanup(&w->known_fd);
	int request_ms = w->who.known ? TRIB_REQUEST_MS : TRIB_ANON_MS;
	w->http = trib_http_new((struct trib_http_io){.ctx = w->tls, .read = tls_read, .write = tls_write}, request_ms);
	if (!w->http)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (!w->who.known)
		trib_http_drain_max(w->http, STRANGER_DRAIN);
	return serve(w, err);
}

int trib_worker_main(const struct trib_hub *h, struct trib_tls_ctx *tls, int conn_fd, int keeper_fd, int enrol_fd, int known_fd)
{
	struct trib_worker w = {.hub = h, .keeper_fd = keeper_fd, .enrol_fd = enrol_fd, .known_fd = known_fd, .started = trib_mono_ms()};
	struct trib_err err = {0}, later;
	struct sigaction term = {.sa_handler = on_term, .sa_flags = SA_RESTART};
	sigaction(SIGTERM, &term, NULL);
	int rc = run(&w, tls, conn_fd, &err);
	if (rc)
		trib_log(TRIB_LOG_INFO, "connection ended: %s", err.msg);
	trib_http_free(w.http);
	trib_tls_free(w.tls);
	trib_private_release(&w.private);
	/* The directory itself is the supervisor's to remove: the sandbox lets us empty it only. */
	if (w.quarantine && trib_fs_remove_tree(w.quarantine, &later))
		trib_log(TRIB_LOG_DEBUG, "%s", later.msg);
	free(w.quarantine);
	return rc ? 1 : 0;
}

static int push_by_hand(struct trib_worker *w, struct trib_http_io io, struct trib_err *err)
{
	struct trib_http_request q;
	struct trib_route r;
	char why[256];
	if (trib_sandbox_limits(err) || trib_sandbox_cpu(err) || hello(w, err))
		return -1;
	if (!w->who.known)
		return trib_fail(err, w->who.busy ? TRIB_E_LOCKED : TRIB_E_CERT, "%s", w->who.reason);
	if (make_quarantine(w, err) || trib_repo_lib_init(err) || load_policy(w, err) || enter_sandbox(w, err))
		return -1;
	w->http = trib_http_new(io, TRIB_REQUEST_MS);
	if (!w->http)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_http_next(w->http, TRIB_HEAD_MS, &q, err) <= 0)
		return trib_ctx(err, "reading the request");
	trib_route_parse(q.path, q.query, &r);
	if (r.kind != TRIB_ROUTE_PUSH || trib_route_allowed(&r, &w->who, why, sizeof(why)))
		return trib_fail(err, TRIB_E_REFUSED, "%s", r.kind == TRIB_ROUTE_PUSH ? why : "only a push is taken here");
	struct trib_err said; /* nobody hears the answer; what counts is the verdict */
	if (trib_push_serve(w, &r, &said) && w->verdict.code == TRIB_OK)
		w->verdict = said;
	*err = w->verdict;
	return err->code == TRIB_OK ? 0 : -1;
}

int trib_worker_push(const struct trib_hub *h, int keeper_fd, const struct trib_ipc_hello *hello_is, struct trib_http_io io, struct trib_err *err)
{
	struct trib_worker w = {.hub = h, .keeper_fd = keeper_fd, .enrol_fd = -1, .known_fd = -1, .hello = *hello_is, .started = trib_mono_ms()};
	struct trib_err later;
	int rc = push_by_hand(&w, io, err);
	trib_http_free(w.http);
	if (w.quarantine && trib_fs_remove_tree(w.quarantine, &later))
		trib_log(TRIB_LOG_DEBUG, "%s", later.msg);
	free(w.quarantine);
	return rc;
}
