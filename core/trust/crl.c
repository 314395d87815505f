#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "core/trust/crl.h"
#include "core/trust/ossl.h"
#include "core/trust/pem.h"

#define CRL_LABEL "X509 CRL"

struct trib_crl {
	X509_CRL *x;
	uint64_t number;
};

void trib_crl_free(struct trib_crl *c)
{
	if (!c)
		return;
	X509_CRL_free(c->x);
	free(c);
}

uint64_t trib_crl_number(const struct trib_crl *c) { return c->number; }

size_t trib_crl_size(const struct trib_crl *c)
{
	int n = sk_X509_REVOKED_num(X509_CRL_get_REVOKED(c->x));
	return n > 0 ? (size_t)n : 0;
}

/* ---- making ---- */

static bool add_issuer(X509_REVOKED *r, const char *cn)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	GENERAL_NAME *g = GENERAL_NAME_new();
	X509_NAME *name = X509_NAME_new();
	bool ok = names && g && name && X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0);

	if (ok) {
		GENERAL_NAME_set0_value(g, GEN_DIRNAME, name);
		name = NULL;
		ok = sk_GENERAL_NAME_push(names, g);
		if (ok)
			g = NULL;
	}
	ok = ok && X509_REVOKED_add1_ext_i2d(r, NID_certificate_issuer, names, 1, X509V3_ADD_DEFAULT) == 1;
	X509_NAME_free(name);
	GENERAL_NAME_free(g);
	GENERAL_NAMES_free(names);
	return ok;
}

static bool add_entry(X509_CRL *x, const struct trib_crl_entry *e)
{
	X509_REVOKED *r = X509_REVOKED_new();
	ASN1_INTEGER *serial = NULL;
	ASN1_TIME *at = ASN1_TIME_set(NULL, (time_t)e->at);
	BIGNUM *bn = NULL;
	bool ok = r && at && BN_hex2bn(&bn, e->serial) == (int)strlen(e->serial) && (serial = BN_to_ASN1_INTEGER(bn, NULL)) &&
		  X509_REVOKED_set_serialNumber(r, serial) && X509_REVOKED_set_revocationDate(r, at) && (!e->issuer[0] || add_issuer(r, e->issuer));

	ok = ok && X509_CRL_add0_revoked(x, r);
	if (!ok)
		X509_REVOKED_free(r);
	BN_free(bn);
	ASN1_INTEGER_free(serial);
	ASN1_TIME_free(at);
	return ok;
}

static bool add_extensions(X509_CRL *x, const X509 *issuing, uint64_t number, bool indirect)
{
	AUTHORITY_KEYID *aki = AUTHORITY_KEYID_new();
	ISSUING_DIST_POINT *idp = ISSUING_DIST_POINT_new();
	ASN1_INTEGER *n = ASN1_INTEGER_new();
	const ASN1_OCTET_STRING *key = X509_get0_subject_key_id((X509 *)issuing);
	bool ok = aki && idp && n && key && (aki->keyid = ASN1_OCTET_STRING_dup(key)) && ASN1_INTEGER_set_uint64(n, number);

	ok = ok && X509_CRL_add1_ext_i2d(x, NID_authority_key_identifier, aki, 0, X509V3_ADD_DEFAULT) == 1 &&
	     X509_CRL_add1_ext_i2d(x, NID_crl_number, n, 0, X509V3_ADD_DEFAULT) == 1;
	if (ok && indirect) {
		idp->indirectCRL = 0xff;
		ok = X509_CRL_add1_ext_i2d(x, NID_issuing_distribution_point, idp, 1, X509V3_ADD_DEFAULT) == 1;
	}
	AUTHORITY_KEYID_free(aki);
	ISSUING_DIST_POINT_free(idp);
	ASN1_INTEGER_free(n);
	return ok;
}

/* A list is good until the next one, or the end of its authority: how fresh it is, the log tells. */
static bool fill(X509_CRL *x, X509 *issuing, uint64_t number, const struct trib_crl_entry *entries, size_t n, int64_t now)
{
	ASN1_TIME *at = ASN1_TIME_set(NULL, (time_t)now);
	bool indirect = false;
	bool ok = at && X509_CRL_set_version(x, X509_CRL_VERSION_2) && X509_CRL_set_issuer_name(x, X509_get_subject_name(issuing)) &&
		  X509_CRL_set1_lastUpdate(x, at) && X509_CRL_set1_nextUpdate(x, X509_get0_notAfter(issuing));

	for (size_t i = 0; ok && i < n; i++) {
		ok = add_entry(x, &entries[i]);
		indirect |= entries[i].issuer[0] != '\0';
	}
	ASN1_TIME_free(at);
	return ok && add_extensions(x, issuing, number, indirect);
}

int trib_crl_make(const struct trib_key *issuing_key, const struct trib_cert *issuing, uint64_t number, const struct trib_crl_entry *entries, size_t n,
		  int64_t now, struct trib_buf *ret, struct trib_err *err)
{
	X509_CRL *x = X509_CRL_new();
	unsigned char *der = NULL;
	int len = 0;
	int r = 0;

	if (trib_cert_matches(issuing, issuing_key, err)) {
		X509_CRL_free(x);
		return -1;
	}
	if (!x || !fill(x, trib_cert_x509(issuing), number, entries, n, now) || !X509_CRL_sign(x, trib_key_pkey(issuing_key), EVP_sha256()) ||
	    X509_CRL_verify(x, X509_get0_pubkey(trib_cert_x509(issuing))) != 1 || (len = i2d_X509_CRL(x, &der)) <= 0)
		r = trib_ossl_fail(err, TRIB_E_CRYPTO, "making a list of revoked certificates");
	if (!r) {
		trib_pem_put(ret, CRL_LABEL, trib_span(der, (size_t)len), true);
		r = trib_cert_pem(issuing, ret, err);
	}
	OPENSSL_free(der);
	X509_CRL_free(x);
	return r;
}

/* ---- reading ---- */

static int parse_der(struct trib_span der, X509_CRL **ret, struct trib_err *err)
{
	const unsigned char *p = der.p;
	unsigned char *again = NULL;
	X509_CRL *x = d2i_X509_CRL(NULL, &p, (long)der.n);
	int n = x ? i2d_X509_CRL(x, &again) : -1;
	bool same = x && p == der.p + der.n && n > 0 && trib_span_eq(trib_span(again, (size_t)n), der);

	OPENSSL_free(again);
	if (!same) {
		X509_CRL_free(x);
		ERR_clear_error();
		return trib_fail(err, TRIB_E_CERT, "the list of revoked certificates cannot be read");
	}
	*ret = x;
	return 0;
}

static int read_number(const X509_CRL *x, uint64_t *ret, struct trib_err *err)
{
	ASN1_INTEGER *n = X509_CRL_get_ext_d2i(x, NID_crl_number, NULL, NULL);
	bool ok = n && ASN1_INTEGER_get_uint64(ret, n);

	ASN1_INTEGER_free(n);
	ERR_clear_error();
	return ok ? 0 : trib_fail(err, TRIB_E_CERT, "the list of revoked certificates has no number");
}

static int judge(X509_CRL *x, const struct trib_cert *issuing, const struct trib_cert *roots, struct trib_err *err)
{
	const struct trib_cert *root = trib_roots_signer(roots, issuing);
	bool ok = X509_verify(trib_cert_x509(issuing), X509_get0_pubkey(trib_cert_x509(root))) == 1 &&
		  X509_CRL_verify(x, X509_get0_pubkey(trib_cert_x509(issuing))) == 1 &&
		  X509_NAME_cmp(X509_CRL_get_issuer(x), X509_get_subject_name(trib_cert_x509(issuing))) == 0;

	ERR_clear_error();
	if (trib_cert_check_ca(issuing, "the issuing", err))
		return -1;
	return ok ? 0 : trib_fail(err, TRIB_E_CERT, "the list of revoked certificates is not signed by an issuing authority of the city");
}

int trib_crl_parse(struct trib_span text, const struct trib_cert *roots, struct trib_crl **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf der = TRIB_BUF(TRIB_CRL_MAX);
	TRIB_AUTO(trib_cert) struct trib_cert *issuing = NULL;
	struct trib_crl *c = calloc(1, sizeof *c);
	size_t n;

	if (!c)
		return trib_fail(err, TRIB_E_NOMEM, "out of memory");
	if (trib_pem_take(&text, CRL_LABEL, true, &der, err) || trib_certs_parse_pem(text, &issuing, 1, &n, err) || parse_der(trib_buf_span(&der), &c->x, err) ||
	    read_number(c->x, &c->number, err) || judge(c->x, issuing, roots, err)) {
		trib_crl_free(c);
		return trib_ctx(err, "list of revoked certificates");
	}
	*ret = c;
	return 0;
}

bool trib_crl_has(const struct trib_crl *c, const char *serial, int64_t *ret_at)
{
	STACK_OF(X509_REVOKED) *all = X509_CRL_get_REVOKED(c->x);

	for (int i = 0; i < sk_X509_REVOKED_num(all); i++) {
		const X509_REVOKED *r = sk_X509_REVOKED_value(all, i);
		const ASN1_INTEGER *s = X509_REVOKED_get0_serialNumber(r);
		char hex[2 * 20 + 1];
		struct tm tm = {0};
		int n = ASN1_STRING_length(s);

		if (n < 1 || n > 20)
			continue;
		trib_hex(hex, ASN1_STRING_get0_data(s), (size_t)n);
		if (strcmp(hex, serial) != 0)
			continue;
		*ret_at = ASN1_TIME_to_tm(X509_REVOKED_get0_revocationDate(r), &tm) ? timegm(&tm) : 0;
		return true;
	}
	return false;
}
