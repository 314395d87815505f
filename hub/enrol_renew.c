/* enrol_renew.c: certificates for machines that are enrolled (D7.3, D5.4). Whoever can sign the request with the key that the city knows is the machine
 * that was enrolled, whatever a worker says. */
#include "core/base/clock.h"
#include "core/trust/sign.h"
#include "hub/enrol_impl.h"
#include "hub/hubdb.h"

/* A renewal is made once in this time, and given again to who asks again: after a lost answer, or every night by an office whose clock is wrong. Each certificate is
 * an entry in the list of the revoked if the office is ever revoked, and that list has an end. An office asks at two thirds of ninety days. */
#define RENEW_AGAIN (7 * 86400LL)
/* New signing keys of one machine in this time: each is a leaf, and an entry in that list for ten years. */
#define ROTATE_TIME 86400LL
#define ROTATE_MAX 10

/* The answer by which the office's present machine was enrolled. */
static int enrolled_answer(struct enroller *e, const char *node, const char *app, uint64_t incarnation, struct trib_buf *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(e->db, "SELECT r.answer FROM request r JOIN slip s USING(code_sha256) WHERE s.node = ? AND s.app = ? AND r.answer IS NOT NULL ORDER BY r.at DESC", &st,
			    err))
		return -1;
	sqlite3_bind_text(st, 1, node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, app, -1, SQLITE_STATIC);
	int row;
	while ((row = trib_db_step(e->db, st, err)) > 0) {
		struct trib_span bytes = trib_span(sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
		struct trib_enrol_answer a;
		if (trib_enrol_answer_parse(bytes, &a, err))
			return trib_ctx(err, "enrol.db");
		if (a.incarnation != incarnation)
			continue;
		trib_buf_put_span(ret, bytes);
		return trib_buf_check(ret, "enrolment answer", err);
	}
	return row < 0 ? -1 : trib_fail(err, TRIB_E_CERT, "%s/%s was never enrolled here", node, app);
}

/* Is a machine of the office in order? *ret_incarnation is the office's present one. */
static int present_incarnation(struct enroller *e, const char *node, const char *app, uint64_t *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_hub_path(e->hub, "hub.db");
	TRIB_AUTO(trib_db) sqlite3 *db = NULL;
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (!path)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_db_open_own_ro(path, &db, err) ||
	    trib_db_prepare(db,
			    "SELECT incarnation, EXISTS(SELECT 1 FROM cert c WHERE c.node = n.node AND c.app = n.app AND c.incarnation = n.incarnation AND revoked_at IS NOT "
			    "NULL) FROM node n WHERE node = ? AND app = ? AND status = 'enrolled'",
			    &st, err))
		return -1;
	sqlite3_bind_text(st, 1, node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, app, -1, SQLITE_STATIC);
	int row = trib_db_step(db, st, err);
	if (row < 0)
		return -1;
	if (!row || sqlite3_column_int(st, 1))
		return trib_fail(err, TRIB_E_CERT, "the certificates of %s/%s were revoked; ask the city for a new enrolment slip", node, app);
	*ret = (uint64_t)sqlite3_column_int64(st, 0);
	return 0;
}

/* What the city knows of the office's present machine. Release with known_release. */
struct known {
	uint64_t incarnation;
	struct trib_buf stored; /* the answer of its enrolment */
	struct trib_enrol_answer a; /* points into it */
	struct trib_buf last_csr, last_cert; /* of the last rotation, or the one asked for; empty: none */
	uint64_t issued; /* rotations, all that were issued */
};

static void known_cleanup(struct known *k)
{
	trib_buf_release(&k->stored);
	trib_buf_release(&k->last_csr);
	trib_buf_release(&k->last_cert);
}

/* Rotation number `n` of the machine; 0: the last. Leaves the buffers empty when there is none. */
static int rotation(struct enroller *e, const char *node, const char *app, struct known *k, uint64_t n, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(e->db, "SELECT n, csr, cert FROM signing WHERE node = ?1 AND app = ?2 AND incarnation = ?3 AND (?4 = 0 OR n = ?4) ORDER BY n DESC LIMIT 1", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, app, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, (int64_t)k->incarnation);
	sqlite3_bind_int64(st, 4, (int64_t)n);
	trib_buf_reset(&k->last_csr);
	trib_buf_reset(&k->last_cert);
	int row = trib_db_step(e->db, st, err);
	if (row <= 0)
		return row;
	if (!n)
		k->issued = (uint64_t)sqlite3_column_int64(st, 0);
	trib_buf_put(&k->last_csr, sqlite3_column_blob(st, 1), (size_t)sqlite3_column_bytes(st, 1));
	trib_buf_put(&k->last_cert, sqlite3_column_blob(st, 2), (size_t)sqlite3_column_bytes(st, 2));
	return trib_buf_check(&k->last_csr, "request", err) || trib_buf_check(&k->last_cert, "certificate", err) ? -1 : 0;
}

static int load_known(struct enroller *e, const char *node, const char *app, struct known *k, struct trib_err *err)
{
	k->stored = TRIB_BUF(TRIB_ENROL_ANSWER_MAX);
	k->last_csr = TRIB_BUF(TRIB_ENROL_BODY_MAX);
	k->last_cert = TRIB_BUF(TRIB_SIGNER_MAX);
	return present_incarnation(e, node, app, &k->incarnation, err) || enrolled_answer(e, node, app, k->incarnation, &k->stored, err) ||
			       trib_enrol_answer_parse(trib_buf_span(&k->stored), &k->a, err) || rotation(e, node, app, k, 0, err)
		       ? -1
		       : 0;
}

/* What the keeper is told: `sign` and `tls` are the machine's present certificates. */
static int tell(struct enroller *e, const char *node, const char *app, const struct known *k, const struct trib_cert_id *sign, const struct trib_cert_id *tls,
		const struct trib_cert_id *before, struct trib_err *err)
{
	struct trib_ipc_enrolled en = {.incarnation = k->incarnation, .sign_not_after = sign->not_after, .tls_not_after = tls->not_after, .rotation = before != NULL};
	(void)snprintf(en.node, sizeof(en.node), "%s", node);
	(void)snprintf(en.app, sizeof(en.app), "%s", app);
	memcpy(en.name, k->a.name, sizeof(en.name));
	memcpy(en.sign_sha256, sign->sha256, sizeof(en.sign_sha256));
	memcpy(en.tls_sha256, tls->sha256, sizeof(en.tls_sha256));
	memcpy(en.sign_serial, sign->serial, sizeof(en.sign_serial));
	memcpy(en.tls_serial, tls->serial, sizeof(en.tls_serial));
	if (before)
		memcpy(en.before_sha256, before->sha256, sizeof(en.before_sha256));
	return trib_enroller_tell(e, &en, err);
}

static int put_answer(struct enroller *e, bool rotated, struct trib_span cert, struct trib_buf *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf chain = TRIB_BUF(TRIB_SIGNER_MAX);
	if (trib_enroller_chain(e, &chain, err) || trib_buf_check(&chain, "certificate chain", err))
		return -1;
	trib_renew_answer_put(ret, &(struct trib_renew_answer){.rotated = rotated, .cert = cert, .chain = trib_buf_span(&chain)});
	return trib_buf_check(ret, "renewal answer", err);
}

/* The last renewal, when it is young enough to be given again: of this machine, and by the certificate that issues now. 1, 0, -1. */
static int renewed_before(struct enroller *e, const struct trib_renew_request *r, uint64_t incarnation, const uint8_t issuer[TRIB_SHA256_LEN], struct trib_buf *ret_pem,
			  struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	int64_t now = trib_now();
	/* Not one that a clock which was ahead has made for later. */
	if (trib_db_prepare(e->db, "SELECT cert FROM renewal WHERE node = ? AND app = ? AND incarnation = ? AND issuer = ? AND at > ? AND at <= ?", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, r->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, r->app, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, (int64_t)incarnation);
	sqlite3_bind_blob(st, 4, issuer, TRIB_SHA256_LEN, SQLITE_STATIC);
	sqlite3_bind_int64(st, 5, now - RENEW_AGAIN);
	sqlite3_bind_int64(st, 6, now);
	int row = trib_db_step(e->db, st, err);
	if (row <= 0)
		return row;
	trib_buf_put(ret_pem, sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0));
	return trib_buf_check(ret_pem, "certificate", err) ? -1 : 1;
}

static int store_renewal(struct enroller *e, const struct trib_renew_request *r, uint64_t incarnation, const uint8_t issuer[TRIB_SHA256_LEN], struct trib_span pem,
			 struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(e->db, "INSERT OR REPLACE INTO renewal(node, app, incarnation, issuer, cert, at) VALUES(?,?,?,?,?,?)", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, r->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, r->app, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, (int64_t)incarnation);
	sqlite3_bind_blob(st, 4, issuer, TRIB_SHA256_LEN, SQLITE_STATIC);
	sqlite3_bind_blob(st, 5, pem.p, (int)pem.n, SQLITE_STATIC);
	sqlite3_bind_int64(st, 6, trib_now());
	return trib_db_step(e->db, st, err) < 0 ? -1 : 0;
}

/* A certificate for the key of the request, which must be the one that the machine was enrolled with. */
static int make_renewal(struct enroller *e, const struct trib_renew_request *r, const struct known *k, struct trib_buf *ret_pem, struct trib_cert_id *ret_id, struct trib_err *err)
{
	TRIB_AUTO(trib_cert) struct trib_cert *old = NULL, *made = NULL;
	uint8_t was[TRIB_SHA256_LEN], is[TRIB_SHA256_LEN];
	size_t n;
	if (trib_enroller_leaf(e, r->node, r->app, k->a.name, r->tls_csr, TRIB_USE_TLS_CLIENT, trib_now(), ret_pem, ret_id, err) ||
	    trib_certs_parse_pem(k->a.tls_cert, &old, 1, &n, err) || trib_certs_parse_pem(trib_buf_span(ret_pem), &made, 1, &n, err) ||
	    trib_cert_spki_sha256(old, was, err) || trib_cert_spki_sha256(made, is, err))
		return -1;
	return memcmp(was, is, sizeof(was)) == 0 ? 0 : trib_fail(err, TRIB_E_CERT, "the request is not by the key that %s/%s was enrolled with", r->node, r->app);
}

/* The TLS key stays; only its certificate is new. What is made is kept before the keeper hears of it: a crash in between is mended when the office asks again. */
int trib_enroller_renew(struct enroller *e, struct trib_span body, struct trib_buf *ret, struct trib_err *err)
{
	TRIB_AUTO(known) struct known k = {0};
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX), again = TRIB_BUF(TRIB_SIGNER_MAX);
	struct trib_renew_request r;
	struct trib_cert_id sign, tls, issuer;
	if (trib_renew_request_parse(body, &r, err) || load_known(e, r.node, r.app, &k, err) || trib_enroller_identity(k.a.sign_cert, &sign, err) ||
	    trib_cert_identity(e->hub->issuing, &issuer, err) || make_renewal(e, &r, &k, &pem, &tls, err))
		return -1;
	int before = renewed_before(e, &r, k.incarnation, issuer.sha256, &again, err);
	if (before < 0 || (before ? trib_enroller_identity(trib_buf_span(&again), &tls, err) : store_renewal(e, &r, k.incarnation, issuer.sha256, trib_buf_span(&pem), err)))
		return -1;
	return put_answer(e, false, trib_buf_span(before ? &again : &pem), ret, err) || tell(e, r.node, r.app, &k, &sign, &tls, NULL, err) ? -1 : 0;
}

/* ---- rotation ---- */

static int store(struct enroller *e, const struct trib_rotate_request *r, const struct known *k, uint64_t n, struct trib_span pem, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(e->db, "INSERT INTO signing(node, app, incarnation, n, csr, cert, at) VALUES(?,?,?,?,?,?,?)", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, r->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, r->app, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, (int64_t)k->incarnation);
	sqlite3_bind_int64(st, 4, (int64_t)n);
	sqlite3_bind_blob(st, 5, r->sign_csr.p, (int)r->sign_csr.n, SQLITE_STATIC);
	sqlite3_bind_blob(st, 6, pem.p, (int)pem.n, SQLITE_STATIC);
	sqlite3_bind_int64(st, 7, trib_now());
	return trib_db_step(e->db, st, err) < 0 ? -1 : 0;
}

/* The key whose turn it is by the history that the hub holds. *ret_any false: no commit of this machine is there yet. */
static int turn_by_history(struct enroller *e, const char *node, const char *app, uint64_t incarnation, bool *ret_any, uint8_t ret_spki[TRIB_SHA256_LEN], struct trib_err *err)
{
	TRIB_AUTO(trib_hubdb) struct trib_hubdb db = {0};
	TRIB_AUTO(trib_tip) struct trib_tip t = {0};
	int found = trib_hubdb_open(e->hub, false, &db, err) ? -1 : trib_hubdb_tip(&db, node, app, &t, err);
	if (found < 0)
		return -1;
	*ret_any = found && t.exists && t.incarnation == incarnation;
	memcpy(ret_spki, t.has_next ? t.next_spki : t.signer_spki, TRIB_SHA256_LEN);
	return 0;
}

/* Its certificate, of the rotations 1 to `last`, becomes k->last_cert; empty: it is that of the enrolment. */
static int known_by_history(struct enroller *e, const struct trib_rotate_request *r, struct known *k, uint64_t last, struct trib_err *err)
{
	uint8_t turn[TRIB_SHA256_LEN], is[TRIB_SHA256_LEN];
	bool any;
	size_t got;
	if (turn_by_history(e, r->node, r->app, k->incarnation, &any, turn, err))
		return -1;
	for (uint64_t n = any ? last : 0; n; n--) {
		TRIB_AUTO(trib_cert) struct trib_cert *c = NULL;
		if (rotation(e, r->node, r->app, k, n, err) || trib_certs_parse_pem(trib_buf_span(&k->last_cert), &c, 1, &got, err) || trib_cert_spki_sha256(c, is, err))
			return -1;
		if (memcmp(is, turn, sizeof(is)) == 0)
			return 0;
	}
	trib_buf_reset(&k->last_cert);
	return 0;
}

static int signed_by_last(const struct trib_rotate_request *r, const struct known *k, struct trib_cert_id *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_cert) struct trib_cert *c = NULL;
	size_t n;
	return trib_certs_parse_pem(k->last_cert.len ? trib_buf_span(&k->last_cert) : k->a.sign_cert, &c, 1, &n, err) || trib_cert_identity(c, ret, err) ||
			       trib_sign_verify(r->sign_csr, r->proof, c, err)
		       ? -1
		       : 0;
}

/* The request must be signed by the key whose turn it is: one that was rotated away gets nothing. That is the key last issued, or, as long as no commit that
 * the hub holds hands over to it, the one that the history knows: the office may have lost the new key, by an old copy of its folder in which nothing that
 * was committed is missing. A lost answer is given again, and then it is the turn of the key before. *ret_n: the number that this rotation has; *ret_again:
 * it was issued, *ret_pem is the certificate. */
static int whose_turn(struct enroller *e, const struct trib_rotate_request *r, struct known *k, uint64_t *ret_n, bool *ret_again, struct trib_buf *ret_pem,
		      struct trib_cert_id *ret_before, struct trib_err *err)
{
	struct trib_err why;
	*ret_again = k->last_csr.len && trib_span_eq(trib_buf_span(&k->last_csr), r->sign_csr);
	*ret_n = k->issued + !*ret_again;
	if (*ret_again) {
		trib_buf_put_span(ret_pem, trib_buf_span(&k->last_cert));
		trib_buf_reset(&k->last_cert);
		if (trib_buf_check(ret_pem, "certificate", err) || (k->issued > 1 && rotation(e, r->node, r->app, k, k->issued - 1, err)))
			return -1;
	}
	if (signed_by_last(r, k, ret_before, &why) == 0)
		return 0;
	if (known_by_history(e, r, k, *ret_n - 1, err))
		return -1;
	if (signed_by_last(r, k, ret_before, &why) == 0)
		return 0;
	return trib_fail(err, TRIB_E_CERT, "the request is not signed by the present signing key of %s/%s", r->node, r->app);
}

static int check_rate(struct enroller *e, const struct trib_rotate_request *r, const struct known *k, struct trib_err *err)
{
	TRIB_AUTO(trib_stmt) sqlite3_stmt *st = NULL;
	if (trib_db_prepare(e->db, "SELECT count(*) FROM signing WHERE node = ? AND app = ? AND incarnation = ? AND at > ?", &st, err))
		return -1;
	sqlite3_bind_text(st, 1, r->node, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, r->app, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, (int64_t)k->incarnation);
	sqlite3_bind_int64(st, 4, trib_now() - ROTATE_TIME);
	if (trib_db_step(e->db, st, err) < 0)
		return -1;
	return sqlite3_column_int64(st, 0) < ROTATE_MAX ? 0
							: trib_fail(err, TRIB_E_LIMIT, "%s/%s has changed its signing key %d times within a day; the present key stays good, try again tomorrow",
								    r->node, r->app, ROTATE_MAX);
}

/* A signing certificate for a key that is known already would be no rotation. */
static int check_fresh(struct trib_span pem, const struct known *k, struct trib_err *err)
{
	const struct trib_span others[] = {k->a.sign_cert, k->a.tls_cert, k->last_cert.len ? trib_buf_span(&k->last_cert) : k->a.sign_cert};
	TRIB_AUTO(trib_cert) struct trib_cert *made = NULL;
	uint8_t is[TRIB_SHA256_LEN], was[TRIB_SHA256_LEN];
	size_t n;
	if (trib_certs_parse_pem(pem, &made, 1, &n, err) || trib_cert_spki_sha256(made, is, err))
		return -1;
	for (size_t i = 0; i < TRIB_COUNT(others); i++) {
		TRIB_AUTO(trib_cert) struct trib_cert *c = NULL;
		if (trib_certs_parse_pem(others[i], &c, 1, &n, err) || trib_cert_spki_sha256(c, was, err))
			return -1;
		if (memcmp(was, is, sizeof(was)) == 0)
			return trib_fail(err, TRIB_E_CERT, "the new signing key is one that this machine has used already");
	}
	return 0;
}

int trib_enroller_rotate(struct enroller *e, struct trib_span body, struct trib_buf *ret, struct trib_err *err)
{
	TRIB_AUTO(known) struct known k = {0};
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX);
	struct trib_rotate_request r;
	struct trib_cert_id sign, tls, before;
	bool again = false;
	uint64_t n = 0;
	if (trib_rotate_request_parse(body, &r, err) || load_known(e, r.node, r.app, &k, err) || whose_turn(e, &r, &k, &n, &again, &pem, &before, err) ||
	    trib_enroller_identity(k.a.tls_cert, &tls, err))
		return -1;
	if (again ? trib_enroller_identity(trib_buf_span(&pem), &sign, err)
		  : check_rate(e, &r, &k, err) || trib_enroller_leaf(e, r.node, r.app, k.a.name, r.sign_csr, TRIB_USE_SIGN, trib_now(), &pem, &sign, err) ||
			    check_fresh(trib_buf_span(&pem), &k, err) || store(e, &r, &k, n, trib_buf_span(&pem), err))
		return -1;
	return put_answer(e, true, trib_buf_span(&pem), ret, err) || tell(e, r.node, r.app, &k, &sign, &tls, &before, err) ? -1 : 0;
}
