/* renew.c: certificates of an office that is enrolled (D7.3, D5.4): the connection's inside the nightly run, at two thirds of life (an expired one is
 * still good for that), and one for a new signing key. */
#include "agent/enrol_impl.h"
#include "agent/https.h"
#include "agent/record.h"
#include "core/base/clock.h"
#include "core/trust/sign.h"

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

static int ask(struct trib_state *s, struct trib_buf *body, struct trib_buf *ret_answer, struct trib_err *err)
{
	struct trib_url url;
	struct trib_tls_ctx *ctx = NULL;
	unsigned status = 0;
	if (!s->node.enrolled || !s->node.hub_url)
		return trib_fail(err, TRIB_E_NOT_INIT, "this office is not enrolled; try: tributary-agent enrol --slip FILE");
	if (trib_buf_check(body, "request", err) || trib_url_parse(s->node.hub_url, &url, err) ||
	    trib_tls_client_ctx(s->tls_cert, s->tls_issuing, s->tls_key, s->root, NULL, &ctx, err))
		return -1;
	int rc = trib_https_request(ctx, &url, "/renew", trib_buf_span(body), &status, ret_answer, NULL, err);
	trib_tls_ctx_free(ctx);
	if (rc || status == 200)
		return rc;
	return trib_enrol_refused(status, ret_answer, err);
}

static int ask_renewal(struct trib_state *s, struct trib_buf *ret_answer, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf csr = TRIB_BUF(TRIB_ENROL_BODY_MAX), body = TRIB_BUF(TRIB_ENROL_BODY_MAX);
	if (trib_csr_make(s->tls_key, s->node.node, s->node.app, &csr, err) || trib_buf_check(&csr, "certificate request", err))
		return -1;
	struct trib_renew_request r = {.tls_csr = trib_buf_span(&csr)};
	memcpy(r.node, s->node.node, sizeof(r.node));
	memcpy(r.app, s->node.app, sizeof(r.app));
	trib_renew_request_put(&body, &r);
	return ask(s, &body, ret_answer, err);
}

/* The answer is judged whole before anything is kept: our key, our node, our use, under the root that we know. The file gets the certificate and the
 * one that issued it. */
static int take(struct trib_state *s, struct trib_span answer, enum trib_cert_use use, const struct trib_key *key, const char *file, struct trib_buf *ret_pem, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, file);
	TRIB_AUTO(trib_cert) struct trib_cert *cert = NULL, *issuing = NULL, *root = NULL;
	struct trib_renew_answer a;
	struct trib_cert_id id;
	bool fresh;
	size_t n;
	if (!path)
		return oom(err);
	if (trib_renew_answer_parse(answer, &a, err))
		return -1;
	if (a.rotated != (use == TRIB_USE_SIGN))
		return trib_fail(err, TRIB_E_FORMAT, "the hub answers another question than the one asked");
	if (trib_certs_parse_pem(a.cert, &cert, 1, &n, err) || trib_chain_parse_pem(a.chain, &issuing, &root, err) || trib_state_learn_roots(s, root, &fresh, err))
		return -1;
	if (trib_enrol_in_time(cert, err) || trib_cert_verify(cert, issuing, s->root, use, trib_now(), false, &id, err) || trib_cert_matches(cert, key, err))
		return -1;
	if (id.role != TRIB_ROLE_NODE || strcmp(id.node, s->node.node) != 0 || strcmp(id.app, s->node.app) != 0)
		return trib_fail(err, TRIB_E_CERT, "the new certificate is for %s", id.id);
	if (trib_cert_pem(cert, ret_pem, err) || trib_cert_pem(issuing, ret_pem, err) || trib_buf_check(ret_pem, "certificate", err))
		return -1;
	return trib_fs_write(path, trib_buf_span(ret_pem), 0644, err);
}

int trib_link_renew_now(struct trib_state *s, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf answer = TRIB_BUF(TRIB_ENROL_ANSWER_MAX), pem = TRIB_BUF(TRIB_SIGNER_MAX);
	if (trib_state_keys(s, err) || ask_renewal(s, &answer, err) || take(s, trib_buf_span(&answer), TRIB_USE_TLS_CLIENT, s->tls_key, "keys/tls.crt", &pem, err))
		return trib_ctx(err, "renewing the connection's certificate");
	trib_record_success(s, TRIB_DEED_RENEWAL);
	trib_state_forget_keys(s);
	return trib_state_keys(s, err);
}

int trib_link_renew(struct trib_state *s, struct trib_err *err)
{
	struct trib_cert_id id;
	int64_t now = trib_now();
	if (trib_state_keys(s, err) || trib_cert_identity(s->tls_cert, &id, err))
		return -1;
	if (now < id.not_before + (id.not_after - id.not_before) / 3 * 2)
		return 0;
	struct trib_err why;
	if (trib_link_renew_now(s, &why) == 0)
		return 0;
	if (now >= id.not_after) {
		*err = why;
		return -1;
	}
	/* While the old one is good, a failed renewal is tried again the next night, and told. A bad line is told by what comes after. */
	if (why.code != TRIB_E_UNREACHABLE)
		trib_record_failure(s, TRIB_DEED_RENEWAL, &why);
	return 0;
}

/* ---- a new signing key ---- */

/* Key and request are kept until the new key has its turn: asked again after a lost answer it must be the same request. */
static int next_key(struct trib_state *s, struct trib_key **ret, struct trib_buf *ret_csr, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "keys/sign.next.key");
	TRIB_AUTO(trib_mem) char *csr = trib_state_path(s, "keys/sign.next.csr");
	if (!path || !csr)
		return oom(err);
	bool known = trib_fs_exists(path);
	if (known ? trib_key_load(path, ret, err) : trib_key_make(TRIB_KEY_P256, ret, err) || trib_key_save(*ret, path, err))
		return -1;
	if (known && trib_fs_exists(csr))
		return trib_fs_read(csr, ret_csr, err);
	if (trib_csr_make(*ret, s->node.node, s->node.app, ret_csr, err) || trib_buf_check(ret_csr, "certificate request", err))
		return -1;
	return trib_fs_write(csr, trib_buf_span(ret_csr), 0600, err);
}

int trib_link_rotate(struct trib_state *s, struct trib_buf *ret_next, struct trib_err *err)
{
	TRIB_AUTO(trib_key) struct trib_key *key = NULL;
	TRIB_AUTO(trib_buf) struct trib_buf csr = TRIB_BUF(TRIB_ENROL_BODY_MAX), proof = TRIB_BUF(TRIB_SIG_MAX), body = TRIB_BUF(TRIB_ENROL_BODY_MAX),
					    answer = TRIB_BUF(TRIB_ENROL_ANSWER_MAX);
	if (trib_state_keys(s, err) || next_key(s, &key, &csr, err) || trib_sign(trib_buf_span(&csr), s->sign_key, s->sign_cert, trib_now(), &proof, err))
		return -1;
	struct trib_rotate_request r = {.sign_csr = trib_buf_span(&csr), .proof = trib_buf_span(&proof)};
	memcpy(r.node, s->node.node, sizeof(r.node));
	memcpy(r.app, s->node.app, sizeof(r.app));
	trib_rotate_request_put(&body, &r);
	if (ask(s, &body, &answer, err) || take(s, trib_buf_span(&answer), TRIB_USE_SIGN, key, "keys/sign.next.crt", ret_next, err))
		return trib_ctx(err, "asking for a certificate of the new signing key");
	trib_crash_point("next-certificate");
	return 0;
}
