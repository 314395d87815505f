#include "core/trust/epoch.h"

#include "core/trust/pem.h"
#include "core/trust/sign.h"

#define DER_MAX 8192

bool trib_origin_split(const char *origin, size_t *ret_prefix, uint64_t *ret_epoch)
{
	const char *slash = strrchr(origin, '/');
	uint64_t n = 0;
	if (!slash || slash == origin || slash[1] < '1' || slash[1] > '9' || strlen(slash + 1) > 18)
		return false;
	for (const char *p = slash + 1; *p; p++) {
		if (*p < '0' || *p > '9')
			return false;
		n = n * 10 + (uint64_t)(*p - '0');
	}
	*ret_prefix = (size_t)(slash - origin);
	*ret_epoch = n;
	return true;
}

bool trib_origin_follows(const char *earlier, const char *later, uint64_t *ret_steps)
{
	size_t a, b;
	uint64_t n, m;
	if (!trib_origin_split(earlier, &a, &n) || !trib_origin_split(later, &b, &m) || a != b || memcmp(earlier, later, a) != 0 || m < n)
		return false;
	*ret_steps = m - n;
	return true;
}

int trib_note_origin(struct trib_span note, char *ret, size_t size, struct trib_err *err)
{
	struct trib_checkpoint cp;
	if (trib_checkpoint_parse(note, &cp, err))
		return -1;
	if (cp.origin.n >= size || memchr(cp.origin.p, 0, cp.origin.n))
		return trib_fail(err, TRIB_E_LIMIT, "a log origin of %zu bytes", cp.origin.n);
	memcpy(ret, cp.origin.p, cp.origin.n);
	ret[cp.origin.n] = '\0';
	return 0;
}

int trib_checkpoint_verify_upto(struct trib_span note, const char *origin, const uint8_t pub[32], struct trib_checkpoint *ret, struct trib_err *err)
{
	char its[TRIB_TITLE_MAX + 32];
	uint64_t steps;
	if (trib_note_origin(note, its, sizeof(its), err))
		return -1;
	return trib_checkpoint_verify(note, trib_origin_follows(its, origin, &steps) ? its : origin, pub, ret, err);
}

/* One block of PEM as one line of base64. */
static int put_base64(struct trib_buf *b, struct trib_span pem, const char *label, bool lf, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf der = TRIB_BUF(DER_MAX);
	if (trib_pem_take(&pem, label, lf, &der, err))
		return -1;
	trib_base64(b, der.p, der.len);
	return trib_buf_check(b, label, err);
}

static int put_cert(struct trib_buf *b, const struct trib_cert *c, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX);
	if (trib_cert_pem(c, &pem, err) || trib_buf_check(&pem, "certificate", err))
		return -1;
	return put_base64(b, trib_buf_span(&pem), "CERTIFICATE", true, err);
}

int trib_epoch_sign(const struct trib_leaf *facts, const struct trib_key *key, const struct trib_cert *admin, const struct trib_cert *issuing,
		    struct trib_buf *ret_leaf, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf admin_b = TRIB_BUF(DER_MAX), issuing_b = TRIB_BUF(DER_MAX), sig_b = TRIB_BUF(DER_MAX), text = TRIB_BUF(TRIB_LEAF_MAX),
					    pem = TRIB_BUF(TRIB_SIG_MAX);
	struct trib_leaf leaf = *facts;
	leaf.kind = TRIB_LEAF_EPOCH;
	if (put_cert(&admin_b, admin, err) || put_cert(&issuing_b, issuing, err))
		return -1;
	leaf.admin_cert = trib_buf_span(&admin_b);
	leaf.issuing_cert = trib_buf_span(&issuing_b);
	trib_leaf_put_signed(&text, &leaf);
	if (trib_buf_check(&text, "epoch leaf", err) || trib_sign(trib_buf_span(&text), key, admin, leaf.time, &pem, err) ||
	    trib_buf_check(&pem, "signature", err) || put_base64(&sig_b, trib_buf_span(&pem), "SIGNED MESSAGE", false, err))
		return trib_ctx(err, "signing the new epoch");
	leaf.signature = trib_buf_span(&sig_b);
	trib_leaf_put(ret_leaf, &leaf);
	return trib_buf_check(ret_leaf, "epoch leaf", err);
}

static int take_pem(struct trib_span base64, const char *label, bool lf, struct trib_buf *ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf der = TRIB_BUF(DER_MAX);
	if (!trib_unbase64(&der, base64))
		return trib_fail(err, TRIB_E_FORMAT, "no base64 of a %s", label);
	trib_pem_put(ret, label, trib_buf_span(&der), lf);
	return trib_buf_check(ret, label, err);
}

static int take_cert(struct trib_span base64, struct trib_cert **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX);
	size_t n;
	return take_pem(base64, "CERTIFICATE", true, &pem, err) || trib_certs_parse_pem(trib_buf_span(&pem), ret, 1, &n, err) ? -1 : 0;
}

int trib_epoch_verify(const struct trib_leaf *leaf, const struct trib_cert *root, struct trib_cert_id *ret_admin, struct trib_err *err)
{
	TRIB_AUTO(trib_cert) struct trib_cert *admin = NULL, *issuing = NULL;
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_LEAF_MAX), pem = TRIB_BUF(TRIB_SIG_MAX);
	struct trib_cert_id id;
	if (leaf->kind != TRIB_LEAF_EPOCH)
		return trib_fail(err, TRIB_E_FORMAT, "not a leaf that opens an epoch");
	trib_leaf_put_signed(&text, leaf);
	if (trib_buf_check(&text, "epoch leaf", err) || take_cert(leaf->admin_cert, &admin, err) || take_cert(leaf->issuing_cert, &issuing, err) ||
	    trib_cert_verify(admin, issuing, root, TRIB_USE_SIGN, leaf->time, false, &id, err))
		return trib_ctx(err, "the administrator's certificate in %s", leaf->origin);
	if (id.role != TRIB_ROLE_ADMIN)
		return trib_fail(err, TRIB_E_CERT, "%s was not opened by an administrator, but by %s", leaf->origin, id.id);
	if (take_pem(leaf->signature, "SIGNED MESSAGE", false, &pem, err) || trib_sign_verify(trib_buf_span(&text), trib_buf_span(&pem), admin, err))
		return trib_ctx(err, "the signature that opens %s", leaf->origin);
	*ret_admin = id;
	return 0;
}
