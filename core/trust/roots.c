/* The roots of a city: cert.h. */
#include <openssl/err.h>

#include "core/trust/ossl.h"

#define CERTS_MAX (2 * TRIB_ROOTS_MAX - 1)

static bool signed_by(const struct trib_cert *c, const struct trib_cert *by)
{
	EVP_PKEY *key = X509_get0_pubkey(trib_cert_x509(by));
	bool ok = key && X509_verify(trib_cert_x509(c), key) == 1;

	ERR_clear_error();
	return ok;
}

const struct trib_cert *trib_roots_signer(const struct trib_cert *roots, const struct trib_cert *issuing)
{
	for (const struct trib_cert *r = roots; r && trib_roots_older(roots); r = trib_roots_older(r))
		if (signed_by(issuing, r))
			return r;
	return roots;
}

bool trib_roots_have(const struct trib_cert *roots, const uint8_t sha256[TRIB_SHA256_LEN])
{
	struct trib_cert_id id;
	struct trib_err ignored;

	for (; roots; roots = trib_roots_older(roots))
		if (!trib_cert_identity(roots, &id, &ignored) && !memcmp(id.sha256, sha256, TRIB_SHA256_LEN))
			return true;
	return false;
}

static int check_root(const struct trib_cert *c, struct trib_err *err)
{
	struct trib_cert_id id;

	if (trib_cert_identity(c, &id, err) || trib_cert_check_ca(c, "the root", err))
		return -1;
	return id.self_signed ? 0 : trib_fail(err, TRIB_E_CERT, "the root certificate is not signed by its own key");
}

/* `link` says in the name of `older` that the key of `newer` is the city's. */
static int check_link(const struct trib_cert *newer, const struct trib_cert *link, const struct trib_cert *older, struct trib_err *err)
{
	uint8_t a[TRIB_SHA256_LEN], b[TRIB_SHA256_LEN], o[TRIB_SHA256_LEN];

	if (trib_cert_check_ca(link, "the linking", err) || trib_cert_spki_sha256(newer, a, err) || trib_cert_spki_sha256(link, b, err) ||
	    trib_cert_spki_sha256(older, o, err))
		return -1;
	if (memcmp(a, b, sizeof a) || !memcmp(a, o, sizeof a) || X509_NAME_cmp(X509_get_subject_name(trib_cert_x509(newer)), X509_get_subject_name(trib_cert_x509(link))) ||
	    X509_NAME_cmp(X509_get_issuer_name(trib_cert_x509(link)), X509_get_subject_name(trib_cert_x509(older))) || !signed_by(link, older))
		return trib_fail(err, TRIB_E_CERT, "the new root is not certified by the one before");
	return 0;
}

static int check_roots(struct trib_cert *const *certs, size_t n, struct trib_err *err)
{
	if (!(n % 2) || n > CERTS_MAX)
		return trib_fail(err, TRIB_E_CERT, "%zu certificates are no list of at most %d roots with the links between them", n, TRIB_ROOTS_MAX);
	for (size_t i = 0; i < n; i += 2)
		if (check_root(certs[i], err) || (i && check_link(certs[i - 2], certs[i - 1], certs[i], err)))
			return -1;
	return 0;
}

int trib_roots_wrap(struct trib_cert *const *certs, size_t n, struct trib_cert **ret, struct trib_err *err)
{
	if (check_roots(certs, n, err)) {
		for (size_t i = 0; i < n; i++)
			trib_cert_free(certs[i]);
		return -1;
	}
	for (size_t i = 0; i + 2 < n; i += 2)
		trib_cert_set_older(certs[i], certs[i + 1], certs[i + 2]);
	*ret = certs[0];
	return 0;
}

int trib_roots_parse_pem(struct trib_span pem, struct trib_cert **ret, struct trib_err *err)
{
	struct trib_cert *certs[CERTS_MAX] = {NULL};
	size_t n = 0;

	if (trib_certs_parse_pem(pem, certs, CERTS_MAX, &n, err))
		return -1;
	return trib_roots_wrap(certs, n, ret, err);
}

int trib_roots_load(const char *path, struct trib_cert **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_SIGNER_MAX);

	if (trib_fs_read(path, &text, err))
		return -1;
	return trib_roots_parse_pem(trib_buf_span(&text), ret, err) ? trib_ctx(err, "%s", path) : 0;
}

int trib_roots_pem(const struct trib_cert *roots, struct trib_buf *ret, struct trib_err *err)
{
	for (const struct trib_cert *r = roots; r; r = trib_roots_older(r))
		if (trib_cert_pem(r, ret, err) || (trib_cert_link(r) && trib_cert_pem(trib_cert_link(r), ret, err)))
			return -1;
	return 0;
}

int trib_roots_copy(const struct trib_cert *roots, struct trib_cert **ret, struct trib_err *err)
{
	struct trib_cert *certs[CERTS_MAX] = {NULL};
	size_t n = 0;
	int r = 0;

	for (const struct trib_cert *c = roots; c && !r; c = trib_roots_older(c)) {
		const struct trib_cert *two[] = {c, trib_cert_link(c)};

		for (size_t i = 0; i < 2 && two[i] && !r; i++) {
			X509_up_ref(trib_cert_x509(two[i]));
			r = n == CERTS_MAX ? trib_fail(err, TRIB_E_LIMIT, "more than %d roots", TRIB_ROOTS_MAX)
					   : trib_cert_wrap(trib_cert_x509(two[i]), "keeping a root", &certs[n], err);
			n += !r;
		}
	}
	if (r) {
		for (size_t i = 0; i < n; i++)
			trib_cert_free(certs[i]);
		return -1;
	}
	for (size_t i = 0; i + 2 < n; i += 2)
		trib_cert_set_older(certs[i], certs[i + 1], certs[i + 2]);
	*ret = certs[0];
	return 0;
}

int trib_chain_parse_pem(struct trib_span pem, struct trib_cert **ret_issuing, struct trib_cert **ret_roots, struct trib_err *err)
{
	struct trib_cert *certs[CERTS_MAX + 1] = {NULL};
	size_t n = 0;

	if (trib_certs_parse_pem(pem, certs, CERTS_MAX + 1, &n, err))
		return trib_ctx(err, "certificate chain");
	if (n < 2) {
		trib_cert_free(certs[0]);
		return trib_fail(err, TRIB_E_CERT, "the certificate chain has no root");
	}
	if (trib_roots_wrap(certs + 1, n - 1, ret_roots, err)) {
		trib_cert_free(certs[0]);
		return trib_ctx(err, "certificate chain");
	}
	*ret_issuing = certs[0];
	return 0;
}

static bool same(const struct trib_cert *a, const struct trib_cert *b) { return X509_cmp(trib_cert_x509(a), trib_cert_x509(b)) == 0; }

int trib_roots_follow(const struct trib_cert *known, const struct trib_cert *offered, int64_t at, struct trib_err *err)
{
	const struct trib_cert *o = offered, *k = known;

	/* The links were judged when the roots were read; here only their time. */
	for (; o && !same(o, known); o = trib_roots_older(o)) {
		struct trib_cert_id link;

		if (!trib_cert_link(o))
			return trib_fail(err, TRIB_E_CERT, "the root certificate is not that of this city, nor certified by it");
		if (trib_cert_identity(trib_cert_link(o), &link, err))
			return -1;
		if (at < link.not_before || at > link.not_after)
			return trib_fail(err, TRIB_E_CERT, "the certificate by which the root before certifies the new one is not valid now");
	}
	for (; k && o && same(k, o); k = trib_roots_older(k), o = trib_roots_older(o))
		;
	return !k && !o ? 0 : trib_fail(err, TRIB_E_CERT, "the root certificates before the present one are not those that are known");
}
