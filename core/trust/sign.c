#include <openssl/cms.h>
#include <openssl/err.h>

#include "core/trust/hash.h"
#include "core/trust/ossl.h"
#include "core/trust/pem.h"
#include "core/trust/sign.h"

#define SIG_LABEL "SIGNED MESSAGE"
#define FLAGS (CMS_DETACHED | CMS_BINARY | CMS_NOSMIMECAP | CMS_NOCERTS)

static bool add_time(CMS_SignerInfo *si, int64_t now)
{
	/* UTCTime until 2049, then GeneralizedTime (RFC 5652, section 11.3). */
	ASN1_TIME *t = ASN1_TIME_set(NULL, (time_t)now);
	bool ok = t && CMS_signed_add1_attr_by_NID(si, NID_pkcs9_signingTime, ASN1_STRING_type(t), t, -1);

	ASN1_TIME_free(t);
	return ok;
}

static int make(struct trib_span payload, X509 *x, EVP_PKEY *key, int64_t now, struct trib_buf *ret_pem, struct trib_err *err)
{
	BIO *in = BIO_new_mem_buf(payload.p, (int)payload.n);
	CMS_ContentInfo *cms = CMS_sign(NULL, NULL, NULL, NULL, FLAGS | CMS_PARTIAL);
	CMS_SignerInfo *si = in && cms ? CMS_add1_signer(cms, x, key, EVP_sha256(), FLAGS) : NULL;
	unsigned char *der = NULL;
	int n = -1;

	if (si && add_time(si, now) && CMS_final(cms, in, NULL, FLAGS))
		n = i2d_CMS_ContentInfo(cms, &der);
	CMS_ContentInfo_free(cms);
	BIO_free(in);
	if (n <= 0)
		return trib_ossl_fail(err, TRIB_E_CRYPTO, "signing");
	trib_pem_put(ret_pem, SIG_LABEL, trib_span(der, (size_t)n), false);
	OPENSSL_free(der);
	return trib_buf_check(ret_pem, "signature", err);
}

int trib_sign(struct trib_span payload, const struct trib_key *key, const struct trib_cert *cert, int64_t now,
	      struct trib_buf *ret_pem, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIG_MAX);

	if (payload.n > TRIB_COMMIT_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "a text of %zu bytes is too long to be signed", payload.n);
	if (trib_cert_matches(cert, key, err) || make(payload, trib_cert_x509(cert), trib_key_pkey(key), now, &pem, err) ||
	    trib_sign_verify(payload, trib_buf_span(&pem), cert, err))
		return trib_ctx(err, "signing");
	trib_buf_put_span(ret_pem, trib_buf_span(&pem));
	return trib_buf_check(ret_pem, "signature", err);
}

/* One DER element with a short tag and a minimal definite length; its content becomes *ret. */
static bool der_take(struct trib_reader *r, uint8_t tag, struct trib_span *ret)
{
	size_t n = 0;
	uint8_t t = trib_read_u8(r), l = trib_read_u8(r);

	if (r->failed || t != tag)
		return false;
	if (l < 0x80) {
		n = l;
	} else if (l == 0x81) {
		n = trib_read_u8(r);
		if (n < 0x80)
			return false;
	} else if (l == 0x82) {
		n = (size_t)trib_read_u8(r) << 8;
		n |= trib_read_u8(r);
		if (n < 0x100)
			return false;
	} else {
		return false; /* TRIB_SIG_MAX is below 64 KiB */
	}
	*ret = trib_read(r, n);
	return !r->failed;
}

/* sid: the certificate's issuer and serial number, byte for byte. */
static bool names_cert(struct trib_span sid, X509 *x)
{
	const unsigned char *name = NULL;
	unsigned char *serial = NULL;
	size_t name_n = 0;
	int n = i2d_ASN1_INTEGER(X509_get0_serialNumber(x), &serial);
	bool same = X509_NAME_get0_der(X509_get_issuer_name(x), &name, &name_n) && n > 0 && sid.n == name_n + (size_t)n &&
		    memcmp(sid.p, name, name_n) == 0 && memcmp(sid.p + name_n, serial, (size_t)n) == 0;

	OPENSSL_free(serial);
	return same;
}

#define OID_SHA256 "\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01"
#define OID_ECDSA_SHA256 "\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"
#define OID_DATA "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"
#define OID_SIGNED_DATA "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"
#define OID_CONTENT_TYPE "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03"
#define OID_MESSAGE_DIGEST "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x04"
#define OID_SIGNING_TIME "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x05"

/* An element whose content is exactly `bytes`. */
static bool der_is(struct trib_reader *r, uint8_t tag, const char *bytes, size_t n)
{
	struct trib_span s;

	return der_take(r, tag, &s) && trib_span_eq(s, trib_span(bytes, n));
}
#define DER_IS(r, tag, lit) der_is(r, tag, lit, sizeof(lit) - 1)

/* What verification needs of a signature. */
struct parts {
	struct trib_span sid, attrs, sig;
};

static bool signer_ok(struct trib_span info, struct parts *ret)
{
	struct trib_reader r = trib_reader(info);

	return DER_IS(&r, 0x02, "\x01") && der_take(&r, 0x30, &ret->sid) && DER_IS(&r, 0x30, OID_SHA256) && der_take(&r, 0xa0, &ret->attrs) &&
	       DER_IS(&r, 0x30, OID_ECDSA_SHA256) && der_take(&r, 0x04, &ret->sig) && !r.rest.n;
}

/* The outline of RFC 5652's SignedData, version 1: no certificates, CRLs, content or unsigned attributes; one signer by issuer
 * and serial; SHA-256 and ECDSA without parameters. */
static bool outline_ok(struct trib_span der, struct parts *ret)
{
	struct trib_reader r = trib_reader(der);
	struct trib_span s;

	if (!der_take(&r, 0x30, &s) || r.rest.n)
		return false;
	r = trib_reader(s);
	s = trib_read(&r, sizeof OID_SIGNED_DATA - 1);
	if (!trib_span_eq(s, trib_span(OID_SIGNED_DATA, sizeof OID_SIGNED_DATA - 1)) || !der_take(&r, 0xa0, &s) || r.rest.n)
		return false;
	r = trib_reader(s);
	if (!der_take(&r, 0x30, &s) || r.rest.n)
		return false;
	r = trib_reader(s);
	if (!DER_IS(&r, 0x02, "\x01") || !DER_IS(&r, 0x31, "\x30\x0b" OID_SHA256) || !DER_IS(&r, 0x30, OID_DATA) ||
	    !der_take(&r, 0x31, &s) || r.rest.n)
		return false;
	r = trib_reader(s);
	return der_take(&r, 0x30, &s) && !r.rest.n && signer_ok(s, ret);
}

static unsigned two_digits(const uint8_t *p) { return (unsigned)(p[0] - '0') * 10 + (unsigned)(p[1] - '0'); }

/* UTCTime until 2049, then GeneralizedTime; to the second, in UTC (RFC 5652, section 11.3). */
static bool time_ok(struct trib_span s)
{
	struct trib_reader r = trib_reader(s);
	struct trib_span t;
	bool utc = s.n && s.p[0] == 0x17;

	if (!der_take(&r, utc ? 0x17 : 0x18, &t) || r.rest.n || t.n != (utc ? 13 : 15) || t.p[t.n - 1] != 'Z')
		return false;
	for (size_t i = 0; i + 1 < t.n; i++)
		if (t.p[i] < '0' || t.p[i] > '9')
			return false;
	if (!utc && two_digits(t.p) * 100 + two_digits(t.p + 2) < 2050)
		return false;
	const uint8_t *p = t.p + t.n - 11; /* MMDDhhmmssZ */
	unsigned month = two_digits(p), day = two_digits(p + 2);
	return month >= 1 && month <= 12 && day >= 1 && day <= 31 && two_digits(p + 4) < 24 && two_digits(p + 6) < 60 && two_digits(p + 8) < 60;
}

/* One attribute of one value: the value as it stands in its SET. */
static bool attribute(struct trib_reader *r, const char *oid, size_t oid_n, struct trib_span *ret)
{
	struct trib_span s;

	if (!der_take(r, 0x30, &s))
		return false;
	struct trib_reader in = trib_reader(s);
	return trib_span_eq(trib_read(&in, oid_n), trib_span(oid, oid_n)) && !in.failed && der_take(&in, 0x31, ret) && !in.rest.n;
}
#define ATTRIBUTE(r, oid, ret) attribute(r, oid, sizeof(oid) - 1, ret)

#define ATTRS_MAX 127 /* the three are 105 or 107 bytes long */

/* The signed attributes, which the DER of a SET OF puts in this order: contentType data, signingTime, messageDigest. */
static bool attributes_ok(struct trib_span attrs, struct trib_span *ret_digest)
{
	struct trib_reader r = trib_reader(attrs);
	struct trib_span type, time, digest;

	if (attrs.n > ATTRS_MAX || !ATTRIBUTE(&r, OID_CONTENT_TYPE, &type) || !ATTRIBUTE(&r, OID_SIGNING_TIME, &time) ||
	    !ATTRIBUTE(&r, OID_MESSAGE_DIGEST, &digest) || r.rest.n)
		return false;
	if (!trib_span_eq(type, trib_span(OID_DATA, sizeof OID_DATA - 1)) || !time_ok(time))
		return false;
	r = trib_reader(digest);
	return der_take(&r, 0x04, ret_digest) && !r.rest.n && ret_digest->n == TRIB_SHA256_LEN;
}

/* What is signed is the attributes' SET OF with its own tag in place of [0] (RFC 5652, section 5.4). OpenSSL takes only the DER of an ECDSA signature. */
static bool signature_ok(const struct parts *s, X509 *x, struct trib_p256 *fast)
{
	uint8_t set[2 + ATTRS_MAX], hash[TRIB_SHA256_LEN];
	set[0] = 0x31;
	set[1] = (uint8_t)s->attrs.n;
	memcpy(set + 2, s->attrs.p, s->attrs.n);
	trib_sha256(hash, trib_span(set, 2 + s->attrs.n));
	if (fast && trib_p256_confirms(fast, hash, s->sig))
		return true;
	EVP_PKEY *key = X509_get0_pubkey(x);
	EVP_PKEY_CTX *c = key && trib_spki_is_p256(X509_get_X509_PUBKEY(x)) ? EVP_PKEY_CTX_new(key, NULL) : NULL;
	bool ok = c && EVP_PKEY_verify_init(c) == 1 && EVP_PKEY_verify(c, s->sig.p, s->sig.n, hash, sizeof(hash)) == 1;
	EVP_PKEY_CTX_free(c);
	ERR_clear_error();
	return ok;
}

/* The one shape of F6 is read here, byte for byte, rather than by libcrypto: its parser would also take BER, does not look at what is not signed, and hides
 * some kinds of embedded certificates; and it costs as much again as a sixth of the bare verification. Nothing else is accepted. */
int trib_sign_verify_fast(struct trib_span payload, struct trib_span pem, const struct trib_cert *cert, struct trib_p256 *fast, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf der = TRIB_BUF(TRIB_SIG_MAX);
	uint8_t hash[TRIB_SHA256_LEN];
	struct trib_span digest;
	struct parts parts;

	if (pem.n > TRIB_SIG_MAX)
		return trib_fail(err, TRIB_E_SIGNATURE, "a signature of %zu bytes; at most %zu are read", pem.n, TRIB_SIG_MAX);
	if (payload.n > TRIB_COMMIT_MAX)
		return trib_fail(err, TRIB_E_SIGNATURE, "a signed text of %zu bytes; at most %zu are read", payload.n, TRIB_COMMIT_MAX);
	if (trib_pem_take(&pem, SIG_LABEL, false, &der, err)) {
		err->code = TRIB_E_SIGNATURE;
		return -1;
	}
	if (!outline_ok(trib_buf_span(&der), &parts))
		return trib_fail(err, TRIB_E_SIGNATURE, "the signature is not a detached CMS of one ECDSA signer without certificates");
	if (!names_cert(parts.sid, trib_cert_x509(cert)))
		return trib_fail(err, TRIB_E_SIGNATURE, "the signature names another certificate as its signer");
	if (!attributes_ok(parts.attrs, &digest))
		return trib_fail(err, TRIB_E_SIGNATURE, "the signature's attributes are not contentType, signingTime and messageDigest alone");
	trib_sha256(hash, payload);
	if (memcmp(hash, digest.p, sizeof(hash)) != 0 || !signature_ok(&parts, trib_cert_x509(cert), fast))
		return trib_fail(err, TRIB_E_SIGNATURE, "the signature does not fit the signed text and the certificate");
	return 0;
}

int trib_sign_verify(struct trib_span payload, struct trib_span pem, const struct trib_cert *cert, struct trib_err *err)
{
	return trib_sign_verify_fast(payload, pem, cert, NULL, err);
}
