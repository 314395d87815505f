#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "core/format/kv.h"
#include "core/trust/ossl.h"
#include "core/trust/pem.h"

#define CERT_LABEL "CERTIFICATE"
#define CERTS_MAX 16 /* in one text; two in practice */
#define SERIAL_BYTES_MAX 20 /* RFC 5280, section 4.1.2.2 */

struct trib_cert {
	X509 *x;
	struct trib_cert *link, *older; /* of a root: roots.c */
};

void trib_cert_free(struct trib_cert *c)
{
	while (c) { /* a few: TRIB_ROOTS_MAX */
		struct trib_cert *older = c->older;
		if (c->link) {
			X509_free(c->link->x);
			free(c->link);
		}
		X509_free(c->x);
		free(c);
		c = older;
	}
}

void trib_cert_set_older(struct trib_cert *root, struct trib_cert *link, struct trib_cert *older)
{
	root->link = link;
	root->older = older;
}

const struct trib_cert *trib_cert_link(const struct trib_cert *root) { return root->link; }
const struct trib_cert *trib_roots_older(const struct trib_cert *root) { return root->older; }

X509 *trib_cert_x509(const struct trib_cert *c)
{
	return c->x;
}

int trib_cert_wrap(X509 *x, const char *what, struct trib_cert **ret, struct trib_err *err)
{
	struct trib_cert *c;

	if (!x)
		return trib_ossl_fail(err, TRIB_E_CERT, what);
	c = calloc(1, sizeof *c);
	if (!c) {
		X509_free(x);
		return trib_fail(err, TRIB_E_NOMEM, "%s: out of memory", what);
	}
	c->x = x;
	*ret = c;
	return 0;
}

/* Exactly one DER certificate that encodes back to the same bytes, so that its hash names its content. */
static int parse_der(struct trib_span der, struct trib_cert **ret, struct trib_err *err)
{
	const unsigned char *p = der.p;
	unsigned char *again = NULL;
	X509 *x = d2i_X509(NULL, &p, (long)der.n);
	bool same;
	int n;

	if (!x)
		return trib_ossl_fail(err, TRIB_E_CERT, "the certificate cannot be read");
	n = i2d_X509(x, &again);
	same = p == der.p + der.n && n > 0 && trib_span_eq(trib_span(again, (size_t)n), der);
	OPENSSL_free(again);
	if (!same) {
		X509_free(x);
		ERR_clear_error();
		return trib_fail(err, TRIB_E_CERT, "the certificate is not in DER or has bytes behind it");
	}
	return trib_cert_wrap(x, "reading a certificate", ret, err);
}

int trib_certs_parse_pem(struct trib_span pem, struct trib_cert **ret, size_t max, size_t *ret_n, struct trib_err *err)
{
	struct trib_cert *certs[CERTS_MAX] = {NULL};
	size_t n = 0;
	int r = 0;

	if (pem.n > TRIB_SIGNER_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "certificates of %zu bytes; at most %zu are read", pem.n, TRIB_SIGNER_MAX);
	if (max > CERTS_MAX)
		max = CERTS_MAX;
	do {
		TRIB_AUTO(trib_buf) struct trib_buf der = TRIB_BUF(TRIB_SIGNER_MAX);

		if (n == max)
			r = trib_fail(err, TRIB_E_LIMIT, "more than %zu certificates", max);
		else
			r = trib_pem_take(&pem, CERT_LABEL, true, &der, err);
		if (!r)
			r = parse_der(trib_buf_span(&der), &certs[n], err);
		if (!r)
			n++;
	} while (!r && pem.n);
	if (r) {
		for (size_t i = 0; i < n; i++)
			trib_cert_free(certs[i]);
		return -1;
	}
	memcpy(ret, certs, n * sizeof *ret);
	*ret_n = n;
	return 0;
}

int trib_cert_load(const char *path, struct trib_cert **ret, struct trib_err *err)
{
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_SIGNER_MAX);
	size_t n;

	if (trib_fs_read(path, &text, err))
		return -1;
	if (trib_certs_parse_pem(trib_buf_span(&text), ret, 1, &n, err))
		return trib_ctx(err, "%s (one certificate in PEM is expected; `openssl x509 -in FILE` writes that form)", path);
	return 0;
}

int trib_cert_pem(const struct trib_cert *c, struct trib_buf *ret, struct trib_err *err)
{
	unsigned char *der = NULL;
	int n = i2d_X509(c->x, &der);

	if (n <= 0)
		return trib_ossl_fail(err, TRIB_E_CRYPTO, "writing a certificate");
	trib_pem_put(ret, CERT_LABEL, trib_span(der, (size_t)n), true);
	OPENSSL_free(der);
	return trib_buf_check(ret, "certificate", err);
}

const char *trib_role_word(enum trib_role role)
{
	static const char *const words[] = {"node", "hub", "auditor", "administrator"};

	return (unsigned)role < TRIB_COUNT(words) ? words[role] : NULL;
}

static bool parse_node(struct trib_span id, struct trib_cert_id *ret)
{
	const uint8_t *slash = memchr(id.p, '/', id.n);
	struct trib_span node, app;

	if (!slash)
		return false;
	node = trib_span(id.p, (size_t)(slash - id.p));
	app = trib_span(slash + 1, id.n - node.n - 1);
	if (!trib_id_valid(node) || !trib_id_valid(app))
		return false;
	memcpy(ret->node, node.p, node.n);
	ret->node[node.n] = 0;
	memcpy(ret->app, app.p, app.n);
	ret->app[app.n] = 0;
	return true;
}

bool trib_role_parse(struct trib_span s, struct trib_cert_id *ret)
{
	for (enum trib_role role = TRIB_ROLE_NODE; role < TRIB_ROLE_NONE; role++) {
		size_t n = strlen(trib_role_word(role));
		struct trib_span id;

		if (!trib_span_starts(s, trib_role_word(role)) || s.n <= n || s.p[n] != ':')
			continue;
		id = trib_span(s.p + n + 1, s.n - n - 1);
		if (id.n >= sizeof ret->id || memchr(id.p, 0, id.n))
			return false;
		if (role == TRIB_ROLE_NODE ? !parse_node(id, ret) : !trib_id_valid(id))
			return false;
		if (role == TRIB_ROLE_HUB && !trib_span_is(id, "hub"))
			return false;
		memcpy(ret->id, id.p, id.n);
		ret->id[id.n] = 0;
		ret->role = role;
		return true;
	}
	return false;
}

/* Finds the one URI of ours. Letter case of the prefix is compared loosely, so that no second spelling hides a role. */
static int read_role(X509 *x, struct trib_cert_id *ret, struct trib_err *err)
{
	int crit = -1, found = 0, bad = 0;
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, &crit, NULL);

	ret->role = TRIB_ROLE_NONE;
	if (!names) {
		ERR_clear_error();
		return crit == -1 ? 0 : trib_fail(err, TRIB_E_CERT, "the certificate's subjectAltName is malformed or there are two");
	}
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
		struct trib_span uri;

		if (g->type != GEN_URI)
			continue;
		uri = trib_span(ASN1_STRING_get0_data(g->d.ia5), (size_t)ASN1_STRING_length(g->d.ia5));
		if (uri.n < strlen(TRIB_URN) || strncasecmp((const char *)uri.p, TRIB_URN, strlen(TRIB_URN)))
			continue;
		found++;
		bad |= !trib_span_starts(uri, TRIB_URN) ||
		       !trib_role_parse(trib_span(uri.p + strlen(TRIB_URN), uri.n - strlen(TRIB_URN)), ret);
	}
	GENERAL_NAMES_free(names);
	if (bad)
		return trib_fail(err, TRIB_E_CERT, "the certificate's role (" TRIB_URN "...) is not one that is known");
	if (found > 1)
		return trib_fail(err, TRIB_E_CERT, "the certificate has %d roles; exactly one is allowed", found);
	return 0;
}

static int read_time(const ASN1_TIME *t, int64_t *ret, struct trib_err *err)
{
	struct tm tm = {0};

	if (!t || !ASN1_TIME_to_tm(t, &tm))
		return trib_ossl_fail(err, TRIB_E_CERT, "the certificate's validity cannot be read");
	*ret = timegm(&tm);
	return 0;
}

static int read_subject(X509 *x, struct trib_cert_id *ret, struct trib_err *err)
{
	const X509_NAME *name = X509_get_subject_name(x);
	int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	unsigned char *utf8 = NULL;
	int n;

	ret->subject[0] = 0;
	if (at < 0)
		return 0;
	n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	if (n < 0 || (size_t)n > TRIB_TITLE_MAX || memchr(utf8, 0, (size_t)n)) {
		OPENSSL_free(utf8);
		ERR_clear_error();
		return trib_fail(err, TRIB_E_CERT, "the certificate's common name is longer than %d bytes or not text", TRIB_TITLE_MAX);
	}
	memcpy(ret->subject, utf8, (size_t)n);
	ret->subject[n] = 0;
	OPENSSL_free(utf8);
	return 0;
}

static int read_serial(X509 *x, struct trib_cert_id *ret, struct trib_err *err)
{
	const ASN1_INTEGER *s = X509_get0_serialNumber(x);
	int n = ASN1_STRING_length(s);

	if (n < 1 || n > SERIAL_BYTES_MAX || ASN1_STRING_type(s) != V_ASN1_INTEGER)
		return trib_fail(err, TRIB_E_CERT, "the certificate's serial number is not positive or longer than %d bytes", SERIAL_BYTES_MAX);
	trib_hex(ret->serial, ASN1_STRING_get0_data(s), (size_t)n);
	return 0;
}

int trib_cert_identity(const struct trib_cert *c, struct trib_cert_id *ret, struct trib_err *err)
{
	struct trib_cert_id id = {.role = TRIB_ROLE_NONE};
	unsigned n = 0;

	if (X509_get_extension_flags(c->x) & EXFLAG_INVALID)
		return trib_ossl_fail(err, TRIB_E_CERT, "an extension of the certificate is malformed");
	if (read_role(c->x, &id, err) || read_subject(c->x, &id, err) || read_serial(c->x, &id, err) ||
	    read_time(X509_get0_notBefore(c->x), &id.not_before, err) || read_time(X509_get0_notAfter(c->x), &id.not_after, err))
		return -1;
	if (!X509_digest(c->x, EVP_sha256(), id.sha256, &n) || n != sizeof id.sha256)
		return trib_ossl_fail(err, TRIB_E_CRYPTO, "hashing a certificate");
	id.self_signed = X509_self_signed(c->x, 1) == 1;
	ERR_clear_error();
	*ret = id;
	return 0;
}

bool trib_spki_is_p256(X509_PUBKEY *spki)
{
	ASN1_OBJECT *alg = NULL;
	X509_ALGOR *algor = NULL;
	const unsigned char *point = NULL;
	const void *param = NULL;
	int len = 0, type = 0;

	if (!spki || !X509_PUBKEY_get0_param(&alg, &point, &len, &algor, spki))
		return false;
	X509_ALGOR_get0(NULL, &type, &param, algor);
	return OBJ_obj2nid(alg) == NID_X9_62_id_ecPublicKey && type == V_ASN1_OBJECT &&
	       OBJ_obj2nid(param) == NID_X9_62_prime256v1 && len == 65 && point[0] == 4 && X509_PUBKEY_get0(spki);
}

static int check_algorithms(X509 *x, const char *which, struct trib_err *err)
{
	bool good = trib_spki_is_p256(X509_get_X509_PUBKEY(x));

	ERR_clear_error();
	if (!good || X509_get_signature_nid(x) != NID_ecdsa_with_SHA256)
		return trib_fail(err, TRIB_E_CERT, "%s certificate: only ECDSA P-256 with SHA-256 is accepted", which);
	return 0;
}

static int check_ca(X509 *x, const char *which, struct trib_err *err)
{
	uint32_t flags = X509_get_extension_flags(x);

	if (check_algorithms(x, which, err))
		return -1;
	if (!(flags & EXFLAG_BCONS) || !(flags & EXFLAG_CA) || !(flags & EXFLAG_KUSAGE) || !(X509_get_key_usage(x) & KU_KEY_CERT_SIGN))
		return trib_fail(err, TRIB_E_CERT, "%s certificate may not sign certificates", which);
	return 0;
}

int trib_cert_check_ca(const struct trib_cert *c, const char *which, struct trib_err *err) { return check_ca(c->x, which, err); }

static int check_leaf(X509 *x, enum trib_cert_use use, struct trib_err *err)
{
	static const struct {
		uint32_t eku;
		const char *name;
	} uses[] = {{XKU_SMIME, "signing (emailProtection)"}, {XKU_SSL_CLIENT, "a TLS client"}, {XKU_SSL_SERVER, "a TLS server"}};
	uint32_t flags = X509_get_extension_flags(x);

	if (check_algorithms(x, "the", err))
		return -1;
	if (!(flags & EXFLAG_BCONS) || flags & EXFLAG_CA)
		return trib_fail(err, TRIB_E_CERT, "the certificate is not an end certificate");
	if (flags & EXFLAG_CRITICAL)
		return trib_fail(err, TRIB_E_CERT, "the certificate has a critical extension that is not known");
	if (!(flags & EXFLAG_KUSAGE) || X509_get_key_usage(x) != KU_DIGITAL_SIGNATURE)
		return trib_fail(err, TRIB_E_CERT, "the certificate's key usage is not digitalSignature alone");
	if (!(flags & EXFLAG_XKUSAGE) || X509_get_extended_key_usage(x) != uses[use].eku)
		return trib_fail(err, TRIB_E_CERT, "the certificate is not made for %s", uses[use].name);
	return 0;
}

/* X509_verify_cert calls this for every finding; only a leaf past its time may be let through. */
static int on_finding(int ok, X509_STORE_CTX *ctx)
{
	const bool *expired_ok = X509_STORE_CTX_get_app_data(ctx);

	if (!ok && *expired_ok && X509_STORE_CTX_get_error(ctx) == X509_V_ERR_CERT_HAS_EXPIRED &&
	    X509_STORE_CTX_get_error_depth(ctx) == 0) {
		X509_STORE_CTX_set_error(ctx, X509_V_OK);
		return 1;
	}
	return ok;
}

static int run_chain(X509_STORE_CTX *ctx, X509_STORE *store, STACK_OF(X509) *middle, X509 *const x[3], int64_t at, bool expired_ok,
		     struct trib_err *err)
{
	X509_VERIFY_PARAM *param;
	STACK_OF(X509) *chain;

	if (!sk_X509_push(middle, x[1]) || !X509_STORE_add_cert(store, x[2]) || !X509_STORE_CTX_init(ctx, store, x[0], middle))
		return trib_ossl_fail(err, TRIB_E_CRYPTO, "preparing to verify a certificate");
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_time(param, (time_t)at);
	X509_VERIFY_PARAM_set_depth(param, 1);
	X509_VERIFY_PARAM_set_auth_level(param, 2);
	if (!X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_ANY) || !X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT))
		return trib_ossl_fail(err, TRIB_E_CRYPTO, "preparing to verify a certificate");
	X509_STORE_CTX_set_app_data(ctx, &expired_ok);
	X509_STORE_CTX_set_verify_cb(ctx, on_finding);
	if (X509_verify_cert(ctx) != 1) {
		int e = X509_STORE_CTX_get_error(ctx), depth = X509_STORE_CTX_get_error_depth(ctx);

		ERR_clear_error();
		return trib_fail(err, TRIB_E_CERT, "%s certificate: %s",
				 depth == 0 ? "the" : depth == 1 ? "the issuing" : "the root", X509_verify_cert_error_string(e));
	}
	chain = X509_STORE_CTX_get0_chain(ctx);
	if (sk_X509_num(chain) != 3 || X509_cmp(sk_X509_value(chain, 1), x[1]) || X509_cmp(sk_X509_value(chain, 2), x[2]))
		return trib_fail(err, TRIB_E_CERT, "the certificate was not issued by this issuing certificate under this root");
	return 0;
}

static int verify_chain(X509 *const x[3], int64_t at, bool expired_ok, struct trib_err *err)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_STORE *store = X509_STORE_new();
	STACK_OF(X509) *middle = sk_X509_new_null();
	int r;

	if (ctx && store && middle)
		r = run_chain(ctx, store, middle, x, at, expired_ok, err);
	else
		r = trib_fail(err, TRIB_E_NOMEM, "verifying a certificate: out of memory");
	X509_STORE_CTX_free(ctx);
	sk_X509_free(middle);
	X509_STORE_free(store);
	return r;
}

int trib_cert_verify(const struct trib_cert *leaf, const struct trib_cert *issuing, const struct trib_cert *root, enum trib_cert_use use,
		     int64_t at, bool expired_ok, struct trib_cert_id *ret, struct trib_err *err)
{
	struct trib_cert_id id;

	if (!leaf || !issuing || !root)
		return trib_fail(err, TRIB_E_CERT, "the certificate, its issuing certificate or the root is missing");
	root = trib_roots_signer(root, issuing);
	if (trib_cert_identity(leaf, &id, err) || check_leaf(leaf->x, use, err) || check_ca(issuing->x, "the issuing", err) ||
	    check_ca(root->x, "the root", err))
		return -1;
	if (id.role == TRIB_ROLE_NONE)
		return trib_fail(err, TRIB_E_CERT, "the certificate names no role (" TRIB_URN "...)");
	if (verify_chain((X509 *const[]){leaf->x, issuing->x, root->x}, at, expired_ok, err))
		return -1;
	*ret = id;
	return 0;
}

int trib_cert_verify_self(const struct trib_cert *leaf, struct trib_cert_id *ret, struct trib_err *err)
{
	struct trib_cert_id id;

	if (trib_cert_identity(leaf, &id, err) || check_leaf(leaf->x, TRIB_USE_SIGN, err))
		return -1;
	if (id.role != TRIB_ROLE_NODE)
		return trib_fail(err, TRIB_E_CERT, "a self-signed certificate must have the role node");
	if (!id.self_signed)
		return trib_fail(err, TRIB_E_CERT, "the certificate is not signed by its own key");
	*ret = id;
	return 0;
}

int trib_cert_matches(const struct trib_cert *c, const struct trib_key *k, struct trib_err *err)
{
	EVP_PKEY *pub = X509_get0_pubkey(c->x);
	bool same = pub && EVP_PKEY_eq(pub, trib_key_pkey(k)) == 1;

	ERR_clear_error();
	return same ? 0 : trib_fail(err, TRIB_E_CERT, "the private key does not belong to the certificate");
}
