#include "core/replay/signer.h"

static void forget(struct trib_signer_cache *c, struct trib_signer **s)
{
	if (*s) {
		trib_cert_free((*s)->leaf);
		c->nfast -= (*s)->fast != NULL;
		trib_p256_free((*s)->fast);
	}
	free(*s);
	*s = NULL;
}

void trib_signer_cache_release(struct trib_signer_cache *c)
{
	for (size_t i = 0; c->slots && i < TRIB_SIGNERS; i++)
		forget(c, &c->slots[i]);
	free(c->slots);
	*c = (struct trib_signer_cache){0};
}

int trib_signer_owner(const struct trib_trust *trust, const struct trib_cert_id *who, struct trib_err *err)
{
	if (who->role != TRIB_ROLE_NODE)
		return trib_fail(err, TRIB_E_CERT, "the certificate of \"%s\" is not a node's", who->subject);
	if (strcmp(who->node, trust->node) != 0 || strcmp(who->app, trust->app) != 0)
		return trib_fail(err, TRIB_E_CERT, "the certificate belongs to %s, not to %s/%s", who->id, trust->node, trust->app);
	return 0;
}

static void narrow(struct trib_signer *c, const struct trib_cert_id *id)
{
	/* The ends themselves are left to the full check. */
	if (id->not_before >= c->from)
		c->from = id->not_before + 1;
	if (id->not_after <= c->to)
		c->to = id->not_after - 1;
}

static int check_chain(struct trib_signer *c, const struct trib_trust *t, struct trib_cert *const certs[2], size_t n, struct trib_err *err)
{
	struct trib_cert_id issuing, root;

	c->from = INT64_MIN;
	c->to = INT64_MAX;
	if (t->self_signed) {
		if (n != 1)
			return trib_fail(err, TRIB_E_CERT, "signer.pem holds %zu certificates; before enrolment it is one", n);
		return trib_cert_verify_self(certs[0], &c->id, err);
	}
	if (n != 2)
		return trib_fail(err, TRIB_E_CERT, "signer.pem holds no issuing certificate of the city");
	if (trib_cert_verify(certs[0], certs[1], t->root, TRIB_USE_SIGN, t->at, false, &c->id, err) < 0 ||
	    trib_cert_identity(certs[1], &issuing, err) < 0 || trib_cert_identity(trib_roots_signer(t->root, certs[1]), &root, err) < 0)
		return -1;
	narrow(c, &c->id);
	narrow(c, &issuing);
	narrow(c, &root);
	return 0;
}

static int fill(struct trib_signer *c, const struct trib_trust *t, struct trib_span pem, struct trib_err *err)
{
	struct trib_cert *certs[2] = {NULL, NULL};
	size_t n = 0;
	int r = trib_certs_parse_pem(pem, certs, 2, &n, err);

	if (r < 0)
		return trib_ctx(err, "signer.pem");
	r = check_chain(c, t, certs, n, err);
	if (r == 0)
		r = trib_cert_spki_sha256(certs[0], c->spki, err);
	trib_cert_free(certs[1]);
	if (r < 0) {
		trib_cert_free(certs[0]);
		return -1;
	}
	c->leaf = certs[0];
	c->root = t->root;
	c->self_signed = t->self_signed;
	return 0;
}

int trib_signer_judge(struct trib_signer_cache *c, const struct trib_trust *t, struct trib_span pem, const uint8_t pem_sha256[TRIB_SHA256_LEN],
		      const struct trib_signer **ret, struct trib_err *err)
{
	if (!c->slots && !(c->slots = calloc(TRIB_SIGNERS, sizeof(struct trib_signer *))))
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	struct trib_signer **slot = &c->slots[(pem_sha256[0] << 8 | pem_sha256[1]) % TRIB_SIGNERS], *s = *slot;
	bool known = s && memcmp(s->pem_sha256, pem_sha256, TRIB_SHA256_LEN) == 0 && s->root == t->root && s->self_signed == t->self_signed &&
		     t->at >= s->from && t->at <= s->to;

	if (!known) {
		forget(c, slot);
		s = calloc(1, sizeof(*s));
		if (!s)
			return trib_fail(err, TRIB_E_NOMEM, "out of memory");
		if (fill(s, t, pem, err) < 0) {
			free(s);
			return -1;
		}
		memcpy(s->pem_sha256, pem_sha256, TRIB_SHA256_LEN);
		*slot = s;
	}
	*ret = s;
	if (trib_signer_owner(t, &s->id, err) < 0)
		return -1;
	return t->cert_ok ? t->cert_ok(t->ctx, &s->id, err) : 0;
}

int trib_signer_verify(struct trib_signer_cache *c, const struct trib_signer *who, struct trib_span payload, struct trib_span pem, struct trib_err *err)
{
	struct trib_signer *s = c->slots[(who->pem_sha256[0] << 8 | who->pem_sha256[1]) % TRIB_SIGNERS];

	if (s->seen < TRIB_SIGNER_FAST_AFTER && ++s->seen == TRIB_SIGNER_FAST_AFTER && c->nfast < TRIB_SIGNER_FAST_MAX)
		c->nfast += (s->fast = trib_p256_new(s->leaf)) != NULL;
	return trib_sign_verify_fast(payload, pem, s->leaf, s->fast, err);
}
