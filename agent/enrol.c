/* enrol.c: the office's side of enrolment (D7.3, F11): the CA is pinned before the code is sent; keys are made here and never leave. */
#include "agent/enrol_impl.h"
#include "agent/https.h"
#include "core/base/clock.h"
#include "core/base/i18n.h"
#include "core/trust/hash.h"
#include "core/format/enrol.h"

static int oom(struct trib_err *err) { return trib_fail(err, TRIB_E_NOMEM, "out of memory"); }

/* The TLS key, made on first use. */
static int tls_key(struct trib_state *s, struct trib_key **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "keys/tls.key");
	if (!path)
		return oom(err);
	if (trib_fs_exists(path))
		return trib_key_load(path, ret, err);
	return trib_key_make(TRIB_KEY_P256, ret, err) || trib_key_save(*ret, path, err) ? -1 : 0;
}

/* A request is kept: asked again after a lost answer it must be the same bytes, for a slip serves one pair of keys. */
static int csr(struct trib_state *s, const char *name, const struct trib_key *key, struct trib_buf *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, name);
	if (!path)
		return oom(err);
	if (trib_fs_exists(path))
		return trib_fs_read(path, ret, err);
	if (trib_csr_make(key, s->node.node, s->node.app, ret, err) || trib_buf_check(ret, "certificate request", err))
		return -1;
	return trib_fs_write(path, trib_buf_span(ret), 0600, err);
}

/* The hub's own sentence, in one line. */
int trib_enrol_refused(unsigned status, struct trib_buf *answer, struct trib_err *err)
{
	for (size_t i = 0; i < answer->len; i++)
		if (answer->p[i] < 0x20 || answer->p[i] == 0x7f)
			answer->p[i] = ' ';
	size_t n = answer->len;
	while (n && answer->p[n - 1] == ' ')
		n--;
	return trib_fail(err, status == 403 ? TRIB_E_CERT : TRIB_E_REFUSED, "the hub answers %u: %.*s", status, (int)(n < 600 ? n : 600), trib_buf_str(answer));
}

int trib_enrol_in_time(const struct trib_cert *made, struct trib_err *err)
{
	struct trib_cert_id id;
	int64_t now = trib_now();
	char here[17], from[17], until[17];
	if (trib_cert_identity(made, &id, err))
		return -1;
	if (now >= id.not_before && now < id.not_after)
		return 0;
	trib_time_city(here, now);
	trib_time_city(from, id.not_before);
	trib_time_city(until, id.not_after);
	return trib_fail(err, TRIB_E_CLOCK, _("the city has made a certificate that is good from %s to %s, but this computer's clock says %s: set the clock right, then run the same command "
					      "again; nothing is lost"), from, until, here);
}

/* By which slip this folder asks: a hash, for whoever finds the folder shall not find the code. */
static int slip_mark(const struct trib_state *s, const struct trib_slip *slip, char **ret_path, char ret[TRIB_SHA256_HEX + 1], struct trib_err *err)
{
	uint8_t sha[TRIB_SHA256_LEN];
	if (!(*ret_path = trib_state_path(s, "slip")))
		return oom(err);
	trib_sha256(sha, trib_span_str(slip->code));
	trib_hex(ret, sha, sizeof(sha));
	return 0;
}

static int keep_slip(const struct trib_state *s, const struct trib_slip *slip, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = NULL;
	char mark[TRIB_SHA256_HEX + 1];
	return slip_mark(s, slip, &path, mark, err) || trib_fs_write(path, trib_span_str(mark), 0600, err) ? -1 : 0;
}

/* The slip that made this folder what it is, once more: its answer was cut off, or somebody is not sure. Nothing needs to be sent. */
static bool was_it(const struct trib_state *s, const struct trib_slip *slip)
{
	TRIB_AUTO(trib_mem) char *path = NULL;
	TRIB_AUTO(trib_buf) struct trib_buf kept = TRIB_BUF(TRIB_SHA256_HEX);
	char mark[TRIB_SHA256_HEX + 1];
	struct trib_err none;
	return !slip_mark(s, slip, &path, mark, &none) && !trib_fs_read(path, &kept, &none) && trib_span_eq(trib_buf_span(&kept), trib_span_str(mark));
}

static int ask(struct trib_state *s, const struct trib_slip *slip, const char *url_text, struct trib_buf *ret_answer, struct trib_key **ret_tls, struct trib_err *err)
{
	struct trib_url url;
	struct trib_tls_ctx *ctx = NULL;
	TRIB_AUTO(trib_buf) struct trib_buf sign = TRIB_BUF(TRIB_ENROL_BODY_MAX), tls = TRIB_BUF(TRIB_ENROL_BODY_MAX), body = TRIB_BUF(TRIB_ENROL_BODY_MAX);
	unsigned status;
	if (trib_url_parse(url_text, &url, err) || trib_state_keys(s, err) || tls_key(s, ret_tls, err) || csr(s, "keys/sign.csr", s->sign_key, &sign, err) ||
	    csr(s, "keys/tls.csr", *ret_tls, &tls, err) || trib_tls_client_ctx(NULL, NULL, NULL, NULL, slip->ca, &ctx, err))
		return -1;
	struct trib_enrol_request r = {.sign_csr = trib_buf_span(&sign), .tls_csr = trib_buf_span(&tls)};
	memcpy(r.node, slip->node, sizeof(r.node));
	memcpy(r.app, slip->app, sizeof(r.app));
	memcpy(r.code, slip->code, sizeof(r.code));
	trib_enrol_request_put(&body, &r);
	int rc = trib_buf_check(&body, "enrolment request", err);
	if (!rc)
		rc = trib_https_request(ctx, &url, "/enrol", trib_buf_span(&body), &status, ret_answer, NULL, err);
	trib_tls_ctx_free(ctx);
	if (rc)
		return -1;
	if (status == 200)
		return 0;
	return trib_enrol_refused(status, ret_answer, err);
}

struct issued {
	struct trib_cert *sign, *tls, *issuing, *root;
};

static void issued_release(struct issued *c)
{
	trib_cert_free(c->sign);
	trib_cert_free(c->tls);
	trib_cert_free(c->issuing);
	trib_cert_free(c->root);
}

/* The answer is judged whole before anything is kept: the root is the pinned one, both leaves are for our keys, our node, our use. */
static int judge(struct trib_state *s, const struct trib_slip *slip, const struct trib_enrol_answer *a, const struct trib_key *tls, struct issued *ret, struct trib_err *err)
{
	size_t one;
	struct trib_cert_id sign, tls_id;
	if (trib_chain_parse_pem(a->chain, &ret->issuing, &ret->root, err))
		return -1;
	if (trib_certs_parse_pem(a->sign_cert, &ret->sign, 1, &one, err) || trib_certs_parse_pem(a->tls_cert, &ret->tls, 1, &one, err))
		return -1;
	if (!trib_roots_have(ret->root, slip->ca))
		return trib_fail(err, TRIB_E_CERT, "the city's root certificate is not the one on the slip");
	int64_t now = trib_now();
	if (trib_enrol_in_time(ret->sign, err) || trib_enrol_in_time(ret->tls, err))
		return -1;
	if (trib_cert_verify(ret->sign, ret->issuing, ret->root, TRIB_USE_SIGN, now, false, &sign, err) ||
	    trib_cert_verify(ret->tls, ret->issuing, ret->root, TRIB_USE_TLS_CLIENT, now, false, &tls_id, err) || trib_cert_matches(ret->sign, s->sign_key, err) ||
	    trib_cert_matches(ret->tls, tls, err))
		return -1;
	const struct trib_cert_id *ids[] = {&sign, &tls_id};
	for (size_t i = 0; i < 2; i++)
		if (ids[i]->role != TRIB_ROLE_NODE || strcmp(ids[i]->node, s->node.node) != 0 || strcmp(ids[i]->app, s->node.app) != 0)
			return trib_fail(err, TRIB_E_CERT, "the certificate is for %s, not for %s/%s", ids[i]->id, s->node.node, s->node.app);
	return 0;
}

static int save_pem(struct trib_state *s, const char *name, const struct trib_cert *c, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, name);
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX);
	if (!path)
		return oom(err);
	return trib_roots_pem(c, &pem, err) || trib_buf_check(&pem, "certificate", err) ? -1 : trib_fs_write(path, trib_buf_span(&pem), 0644, err);
}

/* Certificates first, the node file last: a folder killed in between is not enrolled and asks again, with the same requests. */
static int keep(struct trib_state *s, const char *url, const struct trib_enrol_answer *a, const struct issued *c, struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *policy = trib_state_path(s, "policy.conf");
	char *hub = strdup(url);
	if (!policy || !hub || save_pem(s, "keys/tls.crt", c->tls, err) || save_pem(s, "keys/issuing.crt", c->issuing, err) ||
	    save_pem(s, "keys/root.crt", c->root, err) || save_pem(s, "keys/sign.crt", c->sign, err) || trib_fs_write(policy, a->policy_file, 0644, err)) {
		free(hub);
		return policy && hub ? -1 : oom(err);
	}
	trib_crash_point("enrol-certificates");
	struct trib_node *n = &s->node;
	free(n->hub_url);
	n->hub_url = hub;
	memcpy(n->city, a->city, sizeof(n->city));
	memcpy(n->name, a->name, sizeof(n->name));
	memcpy(n->origin, a->origin, sizeof(n->origin));
	memcpy(n->log_key, a->log_key, sizeof(n->log_key));
	n->incarnation = a->incarnation;
	n->policy = a->policy;
	n->enrolled = true;
	if (trib_state_save_node(s, err))
		return -1;
	/* The opened folder now speaks with the new certificates. */
	trib_state_forget_keys(s);
	return trib_state_keys(s, err);
}

int trib_link_enrol(struct trib_state *s, const char *url_or_null, struct trib_span slip_text, bool *ret_issued, struct trib_err *err)
{
	struct trib_slip slip;
	struct trib_enrol_answer a;
	struct issued certs = {0};
	TRIB_AUTO(trib_buf) struct trib_buf answer = TRIB_BUF(TRIB_ENROL_ANSWER_MAX);
	TRIB_AUTO(trib_key) struct trib_key *tls = NULL;
	if (trib_slip_parse(slip_text, &slip, err))
		return -1;
	if (strcmp(slip.node, s->node.node) != 0 || strcmp(slip.app, s->node.app) != 0)
		return trib_fail(err, TRIB_E_USAGE, "this slip is for %s/%s, and this folder is %s/%s; nothing was sent", slip.node, slip.app, s->node.node, s->node.app);
	if (s->node.enrolled && was_it(s, &slip)) {
		*ret_issued = true;
		return 0;
	}
	if (s->node.enrolled)
		return trib_fail(err, TRIB_E_USAGE, "this folder is enrolled already with %s; nothing was sent. A replacement slip is for a new folder: move this one away, then tributary-agent init and enrol again",
				 s->node.city);
	/* A slip that this folder has used already serves it beyond its end: the answer may have been lost, or cut off by a power cut. */
	TRIB_AUTO(trib_mem) char *asked = trib_state_path(s, "keys/tls.csr");
	if (!asked)
		return oom(err);
	char here[17];
	trib_time_city(here, trib_now());
	if (slip.expires < trib_now() && !trib_fs_exists(asked))
		return trib_fail(err, TRIB_E_CERT, _("the slip has expired; nothing was sent. This computer's clock says %s: if that is right, ask the city for a new slip"), here);
	const char *url = url_or_null ? url_or_null : slip.url;
	if (keep_slip(s, &slip, err) || ask(s, &slip, url, &answer, &tls, err) || trib_enrol_answer_parse(trib_buf_span(&answer), &a, err))
		return trib_ctx(err, "enrolling %s/%s", s->node.node, s->node.app);
	if (!a.issued) {
		*ret_issued = false;
		return 0;
	}
	int rc = judge(s, &slip, &a, tls, &certs, err) || keep(s, url, &a, &certs, err) ? trib_ctx(err, "enrolling %s/%s", s->node.node, s->node.app) : 0;
	issued_release(&certs);
	if (!rc)
		*ret_issued = true;
	return rc;
}

int trib_link_request_sum(struct trib_state *s, char ret[TRIB_REQUEST_SUM + 1], struct trib_err *err)
{
	TRIB_AUTO(trib_mem) char *path = trib_state_path(s, "keys/sign.csr");
	TRIB_AUTO(trib_buf) struct trib_buf csr = TRIB_BUF(TRIB_ENROL_BODY_MAX);
	uint8_t sha[TRIB_SHA256_LEN];
	if (!path)
		return oom(err);
	if (trib_fs_read(path, &csr, err))
		return -1;
	trib_sha256(sha, trib_buf_span(&csr));
	trib_request_sum(ret, sha);
	return 0;
}
