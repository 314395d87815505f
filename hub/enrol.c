/* enrol.c: the process that holds the issuing key (D8.5, D7.3). It is given the body of POST /enrol, which a worker has
 * parsed in form already and which is parsed again here, and answers with certificates or "pending". */
#include <errno.h>
#include <poll.h>

#include "core/base/clock.h"
#include "core/base/log.h"
#include "core/format/enrol.h"
#include "core/store/db.h"
#include "core/trust/hash.h"
#include "hub/enrol_impl.h"
#include "hub/line.h"
#include "hub/policy.h"
#include "hub/tiles.h"

#define SIGN_LIFE (10 * 365 * 86400LL)  /* long-lived on purpose: history must verify for years (D7.4) */
#define TLS_LIFE (90 * 86400LL)
#define BACKDATE 3600LL                 /* office clocks are often a little behind */
#define SLIP_VOID "the city rejected this request, or made its slip void; ask it for a new slip"

struct slip_row {
	bool approved, replaces;
	int64_t expires;
	char node[TRIB_NODE_MAX + 1], app[TRIB_APP_MAX + 1];
	uint8_t code[TRIB_SHA256_LEN];
};

static int read_slip(struct enroller *e, const uint8_t code[TRIB_SHA256_LEN], struct slip_row *ret, struct trib_err *err)
{
	*ret = (struct slip_row){0};
	memcpy(ret->code, code, sizeof(ret->code));
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(e->db, "SELECT node, app, expires_at, approved, rejected, replaces FROM slip WHERE code_sha256 = ?", &st, err))
		return -1;
	sqlite3_bind_blob(st, 1, ret->code, TRIB_SHA256_LEN, SQLITE_STATIC);
	int row = trib_db_step(e->db, st, err);
	if (row < 0)
		return -1;
	if (!row)
		return trib_fail(err, TRIB_E_CERT, "no slip has this code; ask the city for a new slip");
	(void)snprintf(ret->node, sizeof(ret->node), "%s", (const char *)sqlite3_column_text(st, 0));
	(void)snprintf(ret->app, sizeof(ret->app), "%s", (const char *)sqlite3_column_text(st, 1));
	ret->expires = sqlite3_column_int64(st, 2);
	ret->approved = sqlite3_column_int(st, 3) != 0;
	ret->replaces = sqlite3_column_int(st, 5) != 0;
	return sqlite3_column_int(st, 4) ? trib_fail(err, TRIB_E_CERT, SLIP_VOID) : 0;
}

static int find_slip(struct enroller *e, const struct trib_enrol_request *r, struct slip_row *ret, struct trib_err *err)
{
	uint8_t code[TRIB_SHA256_LEN];
	trib_sha256(code, trib_span_str(r->code));
	if (read_slip(e, code, ret, err))
		return -1;
	if (strcmp(ret->node, r->node) != 0 || strcmp(ret->app, r->app) != 0)
		return trib_fail(err, TRIB_E_CERT, "this slip is for %s/%s, not for %s/%s", ret->node, ret->app, r->node, r->app);
	return 0;
}

/* The display name and next incarnation, from hub.db (read only: the keeper writes it). */
static int node_facts(struct enroller *e, const struct slip_row *s, char *name, size_t size, uint64_t *ret_incarnation, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(e->hub, "hub.db");
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_db_open_own_ro(path, &db, err) ||
	    trib_db_prepare(db, "SELECT name, incarnation, status FROM node WHERE node = ? AND app = ?", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, s->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, s->app, -1, SQLITE_STATIC);
	int row = trib_db_step(db, st, err);
	if (row < 0)
		return -1;
	if (!row || strcmp((const char *)sqlite3_column_text(st, 2), "closed") == 0)
		return trib_fail(err, TRIB_E_CERT, "the city does not expect %s/%s", s->node, s->app);
	uint64_t have = (uint64_t)sqlite3_column_int64(st, 1);
	if (have > 0 && !s->replaces)
		return trib_fail(err, TRIB_E_CERT, "%s/%s is enrolled already; for a new machine the city makes a slip with: tributary-hub node replace", s->node, s->app);
	(void)snprintf(name, size, "%s", (const char *)sqlite3_column_text(st, 0));
	*ret_incarnation = have + 1;
	return 0;
}

int trib_enroller_leaf(struct enroller *e, const char *node, const char *app, const char *name, struct trib_span csr_pem, enum trib_cert_use use, int64_t now,
		       struct trib_buf *ret_pem, struct trib_cert_id *ret_id, struct trib_err *err)
{
	char id[TRIB_NODE_MAX + TRIB_APP_MAX + 2];
	(void)snprintf(id, sizeof(id), "%s/%s", node, app);
	struct trib_cert_spec spec = {.role = TRIB_ROLE_NODE, .id = id, .subject = name, .use = use, .not_before = now - BACKDATE,
				      .not_after = now + (use == TRIB_USE_SIGN ? SIGN_LIFE : TLS_LIFE)};
	struct trib_csr *csr = NULL;
	TRIB_AUTO(trib_cert) struct trib_cert *cert = NULL;
	if (trib_csr_parse(csr_pem, &csr, err))
		return trib_ctx(err, use == TRIB_USE_SIGN ? "signing request" : "TLS request");
	int rc = trib_cert_issue(&spec, csr, NULL, e->issuing_key, e->hub->issuing, &cert, err);
	trib_csr_free(csr);
	if (rc || trib_cert_pem(cert, ret_pem, err) || trib_buf_check(ret_pem, "certificate", err))
		return -1;
	return trib_cert_identity(cert, ret_id, err);
}

static int tell(struct enroller *e, enum trib_ipc_type what, struct trib_span record, struct trib_err *err)
{
	enum trib_ipc_type type;
	TRIB_AUTO(trib_buf) struct trib_buf in = TRIB_BUF(64 * TRIB_KIB);
	struct trib_ipc_result r;
	if (trib_ipc_send(e->keeper_fd, what, record, (struct trib_span){0}, (struct trib_span){0}, err))
		return -1;
	int got = trib_ipc_recv(e->keeper_fd, TRIB_IO_MS, &type, &in, err);
	if (got < 0)
		return -1;
	if (!got || type != TRIB_IPC_PUBLISHED || in.len != sizeof(r))
		return trib_fail(err, TRIB_E_FAILED, "the keeper did not answer; try again");
	memcpy(&r, in.p, sizeof(r));
	r.msg[sizeof(r.msg) - 1] = '\0';
	return r.code == TRIB_OK ? 0 : trib_fail(err, (enum trib_code)r.code, "%s", r.msg);
}

int trib_enroller_tell(struct enroller *e, const struct trib_ipc_enrolled *en, struct trib_err *err)
{
	return tell(e, TRIB_IPC_CERTS, trib_span(en, sizeof(*en)), err);
}

/* In the log first: one leaf for each slip that is used, whoever used it, and for each that an enrolment makes void. */
static int tell_slip(struct enroller *e, const struct slip_row *s, bool is_void, const uint8_t code[TRIB_SHA256_LEN], const char *request, struct trib_err *err)
{
	struct trib_ipc_asked a = {.is_void = is_void};
	memcpy(a.node, s->node, sizeof(a.node));
	memcpy(a.app, s->app, sizeof(a.app));
	memcpy(a.code, code, sizeof(a.code));
	(void)snprintf(a.request, sizeof(a.request), "%s", request);
	return tell(e, TRIB_IPC_ASKED, trib_span(&a, sizeof(a)), err);
}

static int tell_asked(struct enroller *e, const struct trib_enrol_request *r, const struct slip_row *s, struct trib_err *err)
{
	char sum[TRIB_REQUEST_SUM + 1];
	uint8_t sha[TRIB_SHA256_LEN];
	trib_sha256(sha, r->sign_csr);
	trib_request_sum(sum, sha);
	return tell_slip(e, s, false, s->code, sum, err);
}

/* The request of a slip: made on first use; a second one with other keys is refused (single use). *ret_answer is filled when it was
 * answered before: a lost answer is given again. */
static int claim(struct enroller *e, const struct trib_enrol_request *r, const struct slip_row *s, int64_t now, struct trib_buf *ret_answer, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *ins = NULL;
	if (trib_db_prepare(e->db, "SELECT sign_csr, tls_csr, answer FROM request WHERE code_sha256 = ?", &st, err))
		return -1;
	sqlite3_bind_blob(st, 1, s->code, TRIB_SHA256_LEN, SQLITE_STATIC);
	int row = trib_db_step(e->db, st, err);
	if (row < 0)
		return -1;
	if (row) {
		struct trib_span sign = trib_span(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
		struct trib_span tls = trib_span(sqlite3_column_blob(st, 1), (size_t)sqlite3_column_bytes(st, 1));
		if (!trib_span_eq(sign, r->sign_csr) || !trib_span_eq(tls, r->tls_csr))
			return trib_fail(err, TRIB_E_CERT, "this slip was used already by another machine; a slip serves once: ask the city for a new one");
		trib_buf_put(ret_answer, sqlite3_column_blob(st, 2), (size_t)sqlite3_column_bytes(st, 2));
		return trib_buf_check(ret_answer, "enrolment answer", err);
	}
	if (s->expires < now)
		return trib_fail(err, TRIB_E_CERT, "this slip has expired; ask the city for a new one");
	if (tell_asked(e, r, s, err) || trib_db_prepare(e->db, "INSERT INTO request(code_sha256, sign_csr, tls_csr, at) VALUES(?,?,?,?)", &ins, err))
		return -1;
	sqlite3_bind_blob(ins, 1, s->code, TRIB_SHA256_LEN, SQLITE_STATIC);
	sqlite3_bind_blob(ins, 2, r->sign_csr.p, (int)r->sign_csr.n, SQLITE_STATIC);
	sqlite3_bind_blob(ins, 3, r->tls_csr.p, (int)r->tls_csr.n, SQLITE_STATIC);
	sqlite3_bind_int64(ins, 4, now);
	return trib_db_step(e->db, ins, err) < 0 ? -1 : 0;
}

/* One slip brings in one machine, and an office has one: what else is out for it would only put another in its place. */
static int void_others(struct enroller *e, const struct slip_row *s, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) struct trib_open_slip *open = NULL;
	size_t n;
	if (trib_slips_open(e->db, s->node, s->app, &open, &n, err))
		return -1;
	for (size_t i = 0; i < n; i++)
		if (tell_slip(e, s, true, open[i].code, open[i].request, err) || trib_slip_void(e->db, open[i].code, err))
			return -1;
	return 0;
}

/* The city may have made the slip void since we looked. */
static int put_answer(struct enroller *e, const struct slip_row *s, struct trib_span answer, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(e->db, "UPDATE request SET answer = ?1 WHERE code_sha256 = ?2 AND EXISTS(SELECT 1 FROM slip WHERE code_sha256 = ?2 AND rejected = 0)", &st, err))
		return -1;
	sqlite3_bind_blob(st, 1, answer.p, (int)answer.n, SQLITE_STATIC);
	sqlite3_bind_blob(st, 2, s->code, TRIB_SHA256_LEN, SQLITE_STATIC);
	if (trib_db_step(e->db, st, err) < 0)
		return -1;
	return sqlite3_changes(e->db) ? 0 : trib_fail(err, TRIB_E_CERT, SLIP_VOID);
}

static int store_answer(struct enroller *e, const struct slip_row *s, struct trib_span answer, struct trib_err *err)
{
	if (trib_enroldb_begin(e->db, err))
		return -1;
	if (put_answer(e, s, answer, err) || void_others(e, s, err) || trib_enroldb_commit(e->db, err)) {
		trib_enroldb_rollback(e->db);
		return -1;
	}
	return 0;
}

int trib_enroller_chain(struct enroller *e, struct trib_buf *ret, struct trib_err *err)
{
	return trib_cert_pem(e->hub->issuing, ret, err) || trib_roots_pem(e->hub->root, ret, err) ? -1 : 0;
}

/* What the log names as policy: an office is told nothing that is not in force. */
static int policy_text(struct enroller *e, uint64_t *ret_number, struct trib_buf *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(e->hub, "policy.conf");
	struct trib_policy p;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_hubdb_open(e->hub, false, &db, err) || trib_policy_in_force(&db, &p, err))
		return -1;
	*ret_number = p.number ? p.number : e->hub->policy_version;
	return p.number ? trib_named_read(e->hub->dir, p.sha256, ret, err) : trib_fs_read(path, ret, err);
}

/* Makes both certificates and stores the answer; the slip is spent from here on. */
static int issue(struct enroller *e, const struct trib_enrol_request *r, const struct slip_row *s, int64_t now, struct trib_buf *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf sign = TRIB_BUF(TRIB_SIGNER_MAX), tls = TRIB_BUF(TRIB_SIGNER_MAX), chain = TRIB_BUF(TRIB_SIGNER_MAX),
					    policy = TRIB_BUF(TRIB_ENROL_ANSWER_MAX / 2);
	struct trib_cert_id sign_id, tls_id;
	struct trib_enrol_answer a = {.issued = true};
	if (node_facts(e, s, a.name, sizeof(a.name), &a.incarnation, err) ||
	    trib_enroller_leaf(e, s->node, s->app, a.name, r->sign_csr, TRIB_USE_SIGN, now, &sign, &sign_id, err) ||
	    trib_enroller_leaf(e, s->node, s->app, a.name, r->tls_csr, TRIB_USE_TLS_CLIENT, now, &tls, &tls_id, err) ||
	    trib_enroller_chain(e, &chain, err) || policy_text(e, &a.policy, &policy, err))
		return -1;
	(void)snprintf(a.city, sizeof(a.city), "%s", e->hub->city);
	(void)snprintf(a.origin, sizeof(a.origin), "%s", e->hub->origin);
	memcpy(a.log_key, e->log_pub, sizeof(a.log_key));
	a.sign_cert = trib_buf_span(&sign);
	a.tls_cert = trib_buf_span(&tls);
	a.chain = trib_buf_span(&chain);
	a.policy_file = trib_buf_span(&policy);
	trib_enrol_answer_put(ret, &a);
	if (trib_buf_check(ret, "enrolment answer", err))
		return -1;
	return store_answer(e, s, trib_buf_span(ret), err);
}

int trib_enroller_identity(struct trib_span pem, struct trib_cert_id *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_cert) struct trib_cert *cert = NULL;
	size_t n;
	if (trib_certs_parse_pem(pem, &cert, 1, &n, err))
		return -1;
	return trib_cert_identity(cert, ret, err);
}

/* The log must know the certificates before the office does; told twice, it changes nothing. */
static int announce(struct enroller *e, const struct slip_row *s, struct trib_span answer, struct trib_err *err)
{
	struct trib_enrol_answer a;
	struct trib_cert_id sign, tls;
	if (trib_enrol_answer_parse(answer, &a, err) || trib_enroller_identity(a.sign_cert, &sign, err) || trib_enroller_identity(a.tls_cert, &tls, err))
		return -1;
	struct trib_ipc_enrolled en = {.incarnation = a.incarnation, .sign_not_after = sign.not_after, .tls_not_after = tls.not_after};
	memcpy(en.node, s->node, sizeof(en.node));
	memcpy(en.app, s->app, sizeof(en.app));
	memcpy(en.name, a.name, sizeof(en.name));
	memcpy(en.sign_sha256, sign.sha256, sizeof(en.sign_sha256));
	memcpy(en.tls_sha256, tls.sha256, sizeof(en.tls_sha256));
	memcpy(en.sign_serial, sign.serial, sizeof(en.sign_serial));
	memcpy(en.tls_serial, tls.serial, sizeof(en.tls_serial));
	/* A revocation comes before this, and has made the slip void, or after it, and ends the certificates: locked, so that it does not come between. */
	struct slip_row now;
	if (trib_enroldb_begin(e->db, err))
		return -1;
	int rc = read_slip(e, s->code, &now, err) || trib_enroller_tell(e, &en, err) ? -1 : 0;
	trib_enroldb_rollback(e->db); /* nothing was written */
	return rc;
}

static int handle(struct enroller *e, struct trib_span body, struct trib_buf *ret, struct trib_err *err)
{
	if (trib_is_renew_request(body))
		return trib_enroller_renew(e, body, ret, err);
	if (trib_is_rotate_request(body))
		return trib_enroller_rotate(e, body, ret, err);
	struct trib_enrol_request r;
	struct slip_row s;
	int64_t now = trib_now();
	if (trib_enrol_request_parse(body, &r, err) || find_slip(e, &r, &s, err) || claim(e, &r, &s, now, ret, err))
		return -1;
	if (ret->len)
		return announce(e, &s, trib_buf_span(ret), err);
	if (!s.approved) {
		trib_enrol_answer_put(ret, &(struct trib_enrol_answer){.issued = false});
		trib_log(TRIB_LOG_INFO, "%s/%s waits for approval; try: tributary-hub node approve %s --app %s", s.node, s.app, s.node, s.app);
		return trib_buf_check(ret, "enrolment answer", err);
	}
	return issue(e, &r, &s, now, ret, err) || announce(e, &s, trib_buf_span(ret), err) ? -1 : 0;
}

/* What a worker's line brings. -1 drops the connection. */
static int serve(struct enroller *e, struct trib_line *l, struct trib_buf *in)
{
	struct trib_err err = {0};
	enum trib_ipc_type type;
	int got = trib_line_turn(l, TRIB_ENROL_BODY_MAX, &type, in, &err);
	if (got <= 0)
		return got;
	if (type != TRIB_IPC_ENROL)
		return -1;
	TRIB_AUTO(trib_buf) struct trib_buf out = TRIB_BUF(TRIB_ENROL_ANSWER_MAX);
	struct trib_ipc_result r = {.code = TRIB_OK};
	if (handle(e, trib_buf_span(in), &out, &err)) {
		r.code = (int32_t)err.code;
		(void)snprintf(r.msg, sizeof(r.msg), "%s", err.msg);
		trib_log(TRIB_LOG_WARN, "enrolment refused: %s", err.msg);
		trib_buf_reset(&out);
	}
	return trib_line_answer(l, TRIB_IPC_ENROL_IS, trib_span(&r, sizeof(r)), trib_buf_span(&out), &err);
}

/* Drops lines that are late; tells how long until the next could be. */
static int drop_late(struct trib_line *lines, size_t *n)
{
	int64_t now = trib_mono_ms(), next = now + 60000;
	for (size_t i = *n; i > 0; i--) {
		int64_t due = trib_line_due(&lines[i - 1]);
		if (due <= now) {
			trib_line_release(&lines[i - 1]);
			lines[i - 1] = lines[--*n];
		} else if (due < next) {
			next = due;
		}
	}
	return (int)(next - now);
}

static int loop(struct enroller *e, int control_fd)
{
	struct trib_line lines[TRIB_LINES_MAX];
	size_t n = 0;
	TRIB_AUTO(trib_buf) struct trib_buf in = TRIB_BUF(TRIB_ENROL_BODY_MAX);
	for (;;) {
		struct pollfd p[1 + TRIB_LINES_MAX];
		int ms = drop_late(lines, &n);
		p[0] = (struct pollfd){.fd = control_fd, .events = POLLIN};
		for (size_t i = 0; i < n; i++)
			p[1 + i] = (struct pollfd){.fd = lines[i].fd, .events = trib_line_events(&lines[i])};
		if (poll(p, (nfds_t)(1 + n), ms) < 0) {
			if (errno == EINTR)
				continue;
			return 1;
		}
		for (size_t i = n; i > 0; i--)
			if (p[i].revents && serve(e, &lines[i - 1], &in)) {
				trib_line_release(&lines[i - 1]);
				lines[i - 1] = lines[--n];
			}
		if (!p[0].revents)
			continue;
		struct trib_err err;
		int64_t pid;
		int fd, got = trib_ipc_recv_fd(control_fd, &fd, &pid, &err);
		if (got <= 0)
			return 0;
		if (n == TRIB_LINES_MAX)
			close(fd);
		else
			trib_line_init(&lines[n++], fd, pid, TRIB_ENROL_BODY_MAX);
	}
}

int trib_enrol_main(const struct trib_hub *h, int control_fd, int keeper_fd)
{
	struct enroller e = {.hub = h, .keeper_fd = keeper_fd};
	struct trib_err err;
	TRIB_AUTO(trib_mem) char *key = trib_hub_path(h, "ca/issuing.key");
	TRIB_AUTO(trib_mem) char *log = trib_hub_path(h, "keys/log.key");
	TRIB_AUTO(trib_key) struct trib_key *log_key = NULL;
	int status = 0;
	TRIB_AUTO(trib_mem) char *db = trib_hub_path(h, "enrol.db");
	if (db && !trib_fs_exists(db))
		trib_log(TRIB_LOG_ERROR, "%s is missing; a new one is made, but slips that were handed out are void and offices cannot renew: bring it back from a backup", db);
	/* Of the log's key only the public half is needed here: the private one goes at once. */
	if (!key || !log || trib_enroldb_open(h, &e.db, &err) || trib_key_load(key, &e.issuing_key, &err) || trib_key_load(log, &log_key, &err) ||
	    trib_key_ed25519_public(log_key, e.log_pub, &err)) {
		trib_log(TRIB_LOG_ERROR, "enrolment cannot start: %s", err.msg);
		status = trib_exit_status(err.code);
	} else {
		trib_key_free(log_key);
		log_key = NULL;
		status = loop(&e, control_fd);
	}
	trib_key_free(e.issuing_key);
	sqlite3_close_v2(e.db);
	return status;
}
