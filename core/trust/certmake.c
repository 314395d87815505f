/* The making half of cert.h. Extensions are built as structures: no text of a peer ever reaches OpenSSL's configuration parser. */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "core/format/kv.h"
#include "core/trust/hash.h"
#include "core/trust/ossl.h"
#include "core/trust/pem.h"

#define CSR_LABEL "CERTIFICATE REQUEST"
#define SERIAL_LEN 16
#define YEAR ((int64_t)31557600) /* 365.25 days */
#define ROOT_LIFE (30 * YEAR)
#define ISSUING_LIFE (20 * YEAR)
#define BACKDATE 3600      /* a node's clock may run behind the hub's */
#define CN_CHARS 64        /* ub-common-name of RFC 5280 */
#define CA_CN_CHARS 48     /* leaves room for the suffix */
#define HOSTS_MAX 32
#define HOST_LEN_MAX 253   /* RFC 1035 */

struct trib_csr {
	X509_REQ *req;
};

/* What differs from profile to profile. */
struct profile {
	const char *subject;
	bool ca;
	bool pathlen0;
	const char *urn; /* NULL: no subjectAltName */
	const char *const *hosts;
	int eku; /* NID, or NID_undef */
	int64_t not_before, not_after;
};

/* How many bytes of `s` its first `chars` UTF-8 characters take. */
static size_t utf8_head(const char *s, size_t chars)
{
	size_t i = 0, n = 0;

	for (; s[i]; i++)
		if (((uint8_t)s[i] & 0xc0) != 0x80 && n++ == chars)
			break;
	return i;
}

static int set_cn(X509_NAME *name, const char *subject, struct trib_err *err)
{
	size_t n = utf8_head(subject, CN_CHARS);

	if (!X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, (const unsigned char *)subject, (int)n, -1, 0))
		return trib_ossl_fail(err, TRIB_E_CERT, "the name for the certificate is empty or not UTF-8");
	return 0;
}

static int set_serial(X509 *x, struct trib_err *err)
{
	uint8_t bytes[SERIAL_LEN];
	BIGNUM *bn;
	bool ok;

	if (trib_random(bytes, sizeof bytes, err))
		return -1;
	/* Positive and always 16 bytes long. */
	bytes[0] = (uint8_t)((bytes[0] & 0x7f) | 0x40);
	bn = BN_bin2bn(bytes, sizeof bytes, NULL);
	ok = bn && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(x));
	BN_free(bn);
	return ok ? 0 : trib_ossl_fail(err, TRIB_E_CRYPTO, "setting a serial number");
}

static bool add_constraints(X509 *x, const struct profile *p)
{
	BASIC_CONSTRAINTS *bc = BASIC_CONSTRAINTS_new();
	ASN1_BIT_STRING *usage = ASN1_BIT_STRING_new();
	bool ok = bc && usage;

	if (ok && p->ca) {
		bc->ca = 0xff;
		if (p->pathlen0)
			ok = (bc->pathlen = ASN1_INTEGER_new()) && ASN1_INTEGER_set(bc->pathlen, 0);
	}
	/* Bits of RFC 5280: 0 digitalSignature, 5 keyCertSign, 6 cRLSign. */
	if (ok)
		ok = p->ca ? ASN1_BIT_STRING_set_bit(usage, 5, 1) && ASN1_BIT_STRING_set_bit(usage, 6, 1) : ASN1_BIT_STRING_set_bit(usage, 0, 1);
	ok = ok && X509_add1_ext_i2d(x, NID_basic_constraints, bc, 1, X509V3_ADD_DEFAULT) == 1 &&
	     X509_add1_ext_i2d(x, NID_key_usage, usage, 1, X509V3_ADD_DEFAULT) == 1;
	BASIC_CONSTRAINTS_free(bc);
	ASN1_BIT_STRING_free(usage);
	return ok;
}

static bool add_eku(X509 *x, int nid)
{
	EXTENDED_KEY_USAGE *eku;
	bool ok;

	if (nid == NID_undef)
		return true;
	eku = sk_ASN1_OBJECT_new_null();
	ok = eku && sk_ASN1_OBJECT_push(eku, OBJ_nid2obj(nid)) && X509_add1_ext_i2d(x, NID_ext_key_usage, eku, 0, X509V3_ADD_DEFAULT) == 1;
	sk_ASN1_OBJECT_free(eku); /* OBJ_nid2obj's objects are static */
	return ok;
}

static bool push_name(GENERAL_NAMES *names, int type, const void *bytes, int n)
{
	GENERAL_NAME *g = GENERAL_NAME_new();
	ASN1_STRING *s = type == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();

	if (!g || !s || !ASN1_STRING_set(s, bytes, n)) {
		GENERAL_NAME_free(g);
		ASN1_STRING_free(s);
		return false;
	}
	GENERAL_NAME_set0_value(g, type, s);
	if (!sk_GENERAL_NAME_push(names, g)) {
		GENERAL_NAME_free(g);
		return false;
	}
	return true;
}

static int push_host(GENERAL_NAMES *names, const char *host, struct trib_err *err)
{
	uint8_t ip[16];
	size_t n = strlen(host);

	if (inet_pton(AF_INET, host, ip) == 1)
		return push_name(names, GEN_IPADD, ip, 4) ? 0 : trib_ossl_fail(err, TRIB_E_CRYPTO, "naming a host");
	if (inet_pton(AF_INET6, host, ip) == 1)
		return push_name(names, GEN_IPADD, ip, 16) ? 0 : trib_ossl_fail(err, TRIB_E_CRYPTO, "naming a host");
	if (!n || n > HOST_LEN_MAX || strspn(host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_*") != n)
		return trib_fail(err, TRIB_E_USAGE, "\"%.80s\" is neither a host name nor an IP address", host);
	return push_name(names, GEN_DNS, host, (int)n) ? 0 : trib_ossl_fail(err, TRIB_E_CRYPTO, "naming a host");
}

static int add_san(X509 *x, const struct profile *p, struct trib_err *err)
{
	GENERAL_NAMES *names;
	int r = 0;

	if (!p->urn)
		return 0;
	names = sk_GENERAL_NAME_new_null();
	if (!names || !push_name(names, GEN_URI, p->urn, (int)strlen(p->urn)))
		r = trib_ossl_fail(err, TRIB_E_CRYPTO, "naming a role");
	for (size_t i = 0; !r && p->hosts && p->hosts[i]; i++)
		r = i == HOSTS_MAX ? trib_fail(err, TRIB_E_LIMIT, "more than %d host names", HOSTS_MAX) : push_host(names, p->hosts[i], err);
	if (!r && X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) != 1)
		r = trib_ossl_fail(err, TRIB_E_CRYPTO, "adding subjectAltName");
	GENERAL_NAMES_free(names);
	return r;
}

/* Key identifiers by RFC 7093, method 1: the first 160 bits of the key's SHA-256. */
static bool add_key_ids(X509 *x, const X509 *issuer)
{
	uint8_t md[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	ASN1_OCTET_STRING *ski = ASN1_OCTET_STRING_new();
	AUTHORITY_KEYID *aki = AUTHORITY_KEYID_new();
	const ASN1_OCTET_STRING *from = issuer ? X509_get0_subject_key_id((X509 *)issuer) : ski;
	bool ok = ski && aki && from && X509_pubkey_digest(x, EVP_sha256(), md, &n) && n >= 20 && ASN1_OCTET_STRING_set(ski, md, 20);

	if (ok)
		ok = (aki->keyid = ASN1_OCTET_STRING_dup(from)) != NULL;
	ok = ok && X509_add1_ext_i2d(x, NID_subject_key_identifier, ski, 0, X509V3_ADD_DEFAULT) == 1 &&
	     X509_add1_ext_i2d(x, NID_authority_key_identifier, aki, 0, X509V3_ADD_DEFAULT) == 1;
	ASN1_OCTET_STRING_free(ski);
	AUTHORITY_KEYID_free(aki);
	return ok;
}

static int fill(X509 *x, const struct profile *p, EVP_PKEY *pub, const X509 *issuer, EVP_PKEY *signer, struct trib_err *err)
{
	if (p->not_before >= p->not_after)
		return trib_fail(err, TRIB_E_CERT, "the certificate would end before it begins");
	if (set_cn(X509_get_subject_name(x), p->subject, err) || set_serial(x, err))
		return -1;
	if (!X509_set_version(x, X509_VERSION_3) || !X509_set_issuer_name(x, issuer ? X509_get_subject_name(issuer) : X509_get_subject_name(x)) ||
	    !ASN1_TIME_set(X509_getm_notBefore(x), (time_t)p->not_before) || !ASN1_TIME_set(X509_getm_notAfter(x), (time_t)p->not_after) ||
	    !X509_set_pubkey(x, pub) || !trib_spki_is_p256(X509_get_X509_PUBKEY(x)))
		return trib_ossl_fail(err, TRIB_E_CERT, "the certificate cannot be filled in (only ECDSA P-256 keys are certified)");
	if (add_san(x, p, err))
		return -1;
	if (!add_constraints(x, p) || !add_eku(x, p->eku) || !add_key_ids(x, issuer))
		return trib_ossl_fail(err, TRIB_E_CRYPTO, "adding extensions to a certificate");
	if (!X509_sign(x, signer, EVP_sha256()))
		return trib_ossl_fail(err, TRIB_E_CRYPTO, "signing a certificate");
	return 0;
}

/* Makes, signs, and checks the signature of what was made. issuer NULL: self-signed. */
static int make(const struct profile *p, EVP_PKEY *pub, const struct trib_cert *issuer, EVP_PKEY *signer, struct trib_cert **ret,
		struct trib_err *err)
{
	X509 *parent = issuer ? trib_cert_x509(issuer) : NULL;
	X509 *x = X509_new();

	if (!x)
		return trib_ossl_fail(err, TRIB_E_NOMEM, "making a certificate");
	if (parent && X509_check_private_key(parent, signer) != 1) {
		X509_free(x);
		return trib_ossl_fail(err, TRIB_E_CERT, "the signing key does not belong to the issuer's certificate");
	}
	if (fill(x, p, pub, parent, signer, err)) {
		X509_free(x);
		return -1;
	}
	if (X509_verify(x, parent ? X509_get0_pubkey(parent) : pub) != 1) {
		X509_free(x);
		return trib_ossl_fail(err, TRIB_E_CRYPTO, "the certificate just made does not verify");
	}
	return trib_cert_wrap(x, "making a certificate", ret, err);
}

static int make_ca(const char *city, const char *suffix, int64_t now, int64_t life, const struct trib_cert *issuer, EVP_PKEY *pub,
		   EVP_PKEY *signer, struct trib_cert **ret, struct trib_err *err)
{
	char cn[CA_CN_CHARS * 4 + 16];
	int n = snprintf(cn, sizeof cn, "%.*s %s", (int)utf8_head(city, CA_CN_CHARS), city, suffix);
	struct profile p = {.subject = cn, .ca = true, .pathlen0 = issuer != NULL, .eku = NID_undef,
			    .not_before = now > BACKDATE ? now - BACKDATE : 0, .not_after = now + life};

	if (!*city || n < 0 || (size_t)n >= sizeof cn)
		return trib_fail(err, TRIB_E_USAGE, "a city needs a name in UTF-8");
	return make(&p, pub, issuer, signer, ret, err);
}

int trib_cert_make_root(const struct trib_key *k, const char *city, int64_t now, struct trib_cert **ret, struct trib_err *err)
{
	return make_ca(city, "root CA", now, ROOT_LIFE, NULL, trib_key_pkey(k), trib_key_pkey(k), ret, err);
}

static void numbered(char ret[32], const char *what, unsigned number)
{
	if (number > 1)
		(void)snprintf(ret, 32, "%s %u", what, number % 1000);
	else
		(void)snprintf(ret, 32, "%s", what);
}

int trib_cert_make_next_root(const struct trib_key *k, const char *city, const struct trib_key *older_key, const struct trib_cert *older, int64_t now,
			     struct trib_cert **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_cert) struct trib_cert *root = NULL, *link = NULL, *before = NULL;
	struct trib_cert_id id;
	unsigned number = 2;
	char suffix[32];

	for (const struct trib_cert *c = trib_roots_older(older); c; c = trib_roots_older(c))
		number++;
	if (number > TRIB_ROOTS_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "a city keeps at most %d roots", TRIB_ROOTS_MAX);
	numbered(suffix, "root CA", number);
	if (trib_cert_identity(older, &id, err) || trib_roots_copy(older, &before, err))
		return -1;
	struct profile p = {.ca = true, .eku = NID_undef, .not_before = now - BACKDATE, .not_after = id.not_after};
	if (make_ca(city, suffix, now, ROOT_LIFE, NULL, trib_key_pkey(k), trib_key_pkey(k), &root, err) || trib_cert_identity(root, &id, err))
		return -1;
	p.subject = id.subject;
	if (make(&p, trib_key_pkey(k), older, trib_key_pkey(older_key), &link, err))
		return -1;
	struct trib_cert *const list[] = {root, link, before};
	trib_cert_set_older(list[0], list[1], list[2]);
	*ret = root;
	root = link = before = NULL;
	return 0;
}

int trib_cert_make_issuing(const struct trib_key *k, const char *city, const struct trib_key *root_key, const struct trib_cert *root,
			   int64_t now, struct trib_cert **ret, struct trib_err *err)
{
	return trib_cert_make_issuing_again(k, city, 1, root_key, root, now, ret, err);
}

int trib_cert_make_issuing_again(const struct trib_key *k, const char *city, unsigned number, const struct trib_key *root_key, const struct trib_cert *root,
				 int64_t now, struct trib_cert **ret, struct trib_err *err)
{
	struct trib_cert_id id;
	char suffix[32];
	int64_t life = ISSUING_LIFE;

	numbered(suffix, "issuing CA", number);

	if (trib_cert_identity(root, &id, err))
		return -1;
	if (now + life > id.not_after)
		life = id.not_after - now;
	return make_ca(city, suffix, now, life, root, trib_key_pkey(k), trib_key_pkey(root_key), ret, err);
}

/* Builds the URN and refuses a role or id that our own reader would refuse. */
static int spec_profile(const struct trib_cert_spec *spec, struct trib_buf *urn, struct profile *ret, struct trib_err *err)
{
	static const int eku[] = {NID_email_protect, NID_client_auth, NID_server_auth};
	struct trib_cert_id id;
	const char *word = trib_role_word(spec->role);

	trib_buf_printf(urn, TRIB_URN "%s:%s", word ? word : "", spec->id);
	if (trib_buf_check(urn, "role", err))
		return -1;
	if (!word || !trib_role_parse(trib_span(urn->p + strlen(TRIB_URN), urn->len - strlen(TRIB_URN)), &id))
		return trib_fail(err, TRIB_E_USAGE, "\"%.140s\" is not a role and id that a certificate may carry", trib_buf_str(urn));
	*ret = (struct profile){.subject = spec->subject, .urn = trib_buf_str(urn), .hosts = spec->hosts, .eku = eku[spec->use],
				.not_before = spec->not_before > 0 ? spec->not_before : 0, .not_after = spec->not_after};
	return 0;
}

int trib_cert_issue(const struct trib_cert_spec *spec, const struct trib_csr *csr, const struct trib_key *own,
		    const struct trib_key *issuing_key, const struct trib_cert *issuing, struct trib_cert **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf urn = TRIB_BUF(1024);
	EVP_PKEY *pub = csr ? X509_REQ_get0_pubkey(csr->req) : own ? trib_key_pkey(own) : NULL;
	struct trib_cert_id ca;
	struct profile p;

	if (!pub)
		return trib_ossl_fail(err, TRIB_E_USAGE, "a certificate needs a request or a key");
	if (spec_profile(spec, &urn, &p, err) || trib_cert_identity(issuing, &ca, err))
		return -1;
	/* A leaf that outlives its issuer would only seem to be valid. */
	if (p.not_after > ca.not_after)
		p.not_after = ca.not_after;
	return make(&p, pub, issuing, trib_key_pkey(issuing_key), ret, err);
}

int trib_cert_make_self(const struct trib_cert_spec *spec, const struct trib_key *k, struct trib_cert **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf urn = TRIB_BUF(1024);
	struct profile p;

	if (spec_profile(spec, &urn, &p, err))
		return -1;
	return make(&p, trib_key_pkey(k), NULL, trib_key_pkey(k), ret, err);
}

static int fill_csr(X509_REQ *req, const char *node, const char *app, EVP_PKEY *key, struct trib_buf *ret_pem, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf cn = TRIB_BUF(TRIB_NODE_MAX + TRIB_APP_MAX + 1);
	unsigned char *der = NULL;
	int n;

	trib_buf_printf(&cn, "%s/%s", node, app);
	if (trib_buf_check(&cn, "node and app", err) || set_cn(X509_REQ_get_subject_name(req), trib_buf_str(&cn), err))
		return -1;
	if (!X509_REQ_set_version(req, X509_REQ_VERSION_1) || !X509_REQ_set_pubkey(req, key) || !X509_REQ_sign(req, key, EVP_sha256()))
		return trib_ossl_fail(err, TRIB_E_CRYPTO, "making a certificate request");
	n = i2d_X509_REQ(req, &der);
	if (n <= 0)
		return trib_ossl_fail(err, TRIB_E_CRYPTO, "writing a certificate request");
	trib_pem_put(ret_pem, CSR_LABEL, trib_span(der, (size_t)n), true);
	OPENSSL_free(der);
	return trib_buf_check(ret_pem, "certificate request", err);
}

int trib_csr_make(const struct trib_key *k, const char *node, const char *app, struct trib_buf *ret_pem, struct trib_err *err)
{
	X509_REQ *req = X509_REQ_new();
	int r;

	if (!req)
		return trib_ossl_fail(err, TRIB_E_NOMEM, "making a certificate request");
	r = fill_csr(req, node, app, trib_key_pkey(k), ret_pem, err);
	X509_REQ_free(req);
	return r;
}

static int check_csr(X509_REQ *req, struct trib_err *err)
{
	X509_PUBKEY *spki = X509_REQ_get_X509_PUBKEY(req);

	if (!trib_spki_is_p256(spki) || X509_REQ_get_signature_nid(req) != NID_ecdsa_with_SHA256) {
		ERR_clear_error();
		return trib_fail(err, TRIB_E_CERT, "certificate request: only ECDSA P-256 with SHA-256 is accepted");
	}
	if (X509_REQ_verify(req, X509_PUBKEY_get0(spki)) != 1) {
		ERR_clear_error();
		return trib_fail(err, TRIB_E_CERT, "certificate request: not signed by its own key");
	}
	return 0;
}

int trib_csr_parse(struct trib_span pem, struct trib_csr **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf der = TRIB_BUF(TRIB_SIGNER_MAX);
	const unsigned char *p;
	struct trib_csr *c;

	if (pem.n > TRIB_SIGNER_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "a certificate request of %zu bytes; at most %zu are read", pem.n, TRIB_SIGNER_MAX);
	if (trib_pem_take(&pem, CSR_LABEL, true, &der, err))
		return trib_ctx(err, "certificate request");
	if (pem.n)
		return trib_fail(err, TRIB_E_FORMAT, "certificate request: bytes behind it");
	c = calloc(1, sizeof *c);
	if (!c)
		return trib_fail(err, TRIB_E_NOMEM, "certificate request: out of memory");
	p = der.p;
	c->req = d2i_X509_REQ(NULL, &p, (long)der.len);
	if (!c->req || p != der.p + der.len) {
		trib_csr_free(c);
		return trib_ossl_fail(err, TRIB_E_CERT, "the certificate request cannot be read");
	}
	if (check_csr(c->req, err)) {
		trib_csr_free(c);
		return -1;
	}
	*ret = c;
	return 0;
}

void trib_csr_free(struct trib_csr *c)
{
	if (!c)
		return;
	X509_REQ_free(c->req);
	free(c);
}
