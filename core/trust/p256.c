/* libcrypto 3 has no other way to a table of multiples than these functions of before. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "core/trust/p256.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/err.h>

#include "core/trust/hash.h"
#include "core/trust/ossl.h"

#define CHECKS 2 /* multiplications by which a new table is tried */
#define POINT_MAX 65 /* an uncompressed point */

struct trib_p256 {
	EC_GROUP *curve;       /* P-256 */
	EC_GROUP *by_key;      /* the same with the key as its generator, of which it has the table */
	EC_POINT *a, *b;
	BIGNUM *e, *w, *u1, *u2, *x;
	BN_CTX *ctx;
};

void trib_p256_free(struct trib_p256 *k)
{
	if (!k)
		return;
	EC_POINT_free(k->a);
	EC_POINT_free(k->b);
	EC_GROUP_free(k->curve);
	EC_GROUP_free(k->by_key);
	BIGNUM *const numbers[] = {k->e, k->w, k->u1, k->u2, k->x};
	for (size_t i = 0; i < TRIB_COUNT(numbers); i++)
		BN_free(numbers[i]);
	BN_CTX_free(k->ctx);
	free(k);
}

static bool make_table(struct trib_p256 *k, const EC_POINT *key)
{
	return EC_GROUP_set_generator(k->by_key, key, EC_GROUP_get0_order(k->curve), EC_GROUP_get0_cofactor(k->curve)) == 1 &&
	       EC_GROUP_precompute_mult(k->by_key, k->ctx) == 1 && EC_GROUP_have_precompute_mult(k->by_key) == 1;
}

/* The table multiplies as libcrypto does without it. */
static bool try_table(struct trib_p256 *k, const EC_POINT *key, struct trib_span point)
{
	uint8_t by[TRIB_SHA256_LEN];
	trib_sha256(by, point);
	for (int i = 0; i < CHECKS; i++) {
		if (!BN_bin2bn(by, sizeof(by), k->e) || EC_POINT_mul(k->by_key, k->a, k->e, NULL, NULL, k->ctx) != 1 ||
		    EC_POINT_mul(k->curve, k->b, NULL, key, k->e, k->ctx) != 1 || EC_POINT_cmp(k->curve, k->a, k->b, k->ctx) != 0)
			return false;
		trib_sha256(by, trib_span(by, sizeof(by)));
	}
	return true;
}

static bool fill(struct trib_p256 *k, struct trib_span point)
{
	k->curve = EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1);
	k->by_key = k->curve ? EC_GROUP_dup(k->curve) : NULL;
	k->ctx = BN_CTX_new();
	k->e = BN_new();
	k->w = BN_new();
	k->u1 = BN_new();
	k->u2 = BN_new();
	k->x = BN_new();
	if (!k->by_key || !k->ctx || !k->e || !k->w || !k->u1 || !k->u2 || !k->x || !(k->a = EC_POINT_new(k->curve)) || !(k->b = EC_POINT_new(k->curve)))
		return false;
	EC_POINT *key = EC_POINT_new(k->curve);
	bool ok = key && EC_POINT_oct2point(k->curve, key, point.p, point.n, k->ctx) == 1 && make_table(k, key) && try_table(k, key, point);
	EC_POINT_free(key);
	return ok;
}

struct trib_p256 *trib_p256_new(const struct trib_cert *cert)
{
	uint8_t point[POINT_MAX];
	size_t n = 0;
	X509 *x = trib_cert_x509(cert);
	EVP_PKEY *pkey = X509_get0_pubkey(x);
	if (!pkey || !trib_spki_is_p256(X509_get_X509_PUBKEY(x)) ||
	    EVP_PKEY_get_octet_string_param(pkey, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point), &n) != 1) {
		ERR_clear_error();
		return NULL;
	}
	struct trib_p256 *k = calloc(1, sizeof(*k));
	if (k && fill(k, trib_span(point, n)))
		return k;
	ERR_clear_error();
	trib_p256_free(k);
	return NULL;
}

/* A DER signature in its one form, as libcrypto demands too; both numbers from 1 to n - 1. */
static ECDSA_SIG *parse(const struct trib_p256 *k, struct trib_span der)
{
	const unsigned char *p = der.p;
	unsigned char *again = NULL;
	ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)der.n);
	const BIGNUM *order = EC_GROUP_get0_order(k->curve);
	int n = s ? i2d_ECDSA_SIG(s, &again) : -1;
	bool ok = n > 0 && p == der.p + der.n && trib_span_eq(trib_span(again, (size_t)n), der);
	const BIGNUM *const both[] = {ok ? ECDSA_SIG_get0_r(s) : NULL, ok ? ECDSA_SIG_get0_s(s) : NULL};
	for (size_t i = 0; ok && i < TRIB_COUNT(both); i++)
		ok = !BN_is_zero(both[i]) && !BN_is_negative(both[i]) && BN_ucmp(both[i], order) < 0;
	OPENSSL_free(again);
	if (ok)
		return s;
	ECDSA_SIG_free(s);
	return NULL;
}

/* FIPS 186-4, section 6.4: w = 1/s, and x of (hash w) G + (r w) Q is r, modulo the order. */
static bool right(struct trib_p256 *k, const uint8_t hash[TRIB_SHA256_LEN], const ECDSA_SIG *s)
{
	const BIGNUM *order = EC_GROUP_get0_order(k->curve), *r = ECDSA_SIG_get0_r(s);
	return BN_bin2bn(hash, TRIB_SHA256_LEN, k->e) && BN_mod_inverse(k->w, ECDSA_SIG_get0_s(s), order, k->ctx) &&
	       BN_mod_mul(k->u1, k->e, k->w, order, k->ctx) == 1 && BN_mod_mul(k->u2, r, k->w, order, k->ctx) == 1 &&
	       EC_POINT_mul(k->curve, k->a, k->u1, NULL, NULL, k->ctx) == 1 && EC_POINT_mul(k->by_key, k->b, k->u2, NULL, NULL, k->ctx) == 1 &&
	       EC_POINT_add(k->curve, k->a, k->a, k->b, k->ctx) == 1 && !EC_POINT_is_at_infinity(k->curve, k->a) &&
	       EC_POINT_get_affine_coordinates(k->curve, k->a, k->x, NULL, k->ctx) == 1 && BN_nnmod(k->x, k->x, order, k->ctx) == 1 && BN_cmp(k->x, r) == 0;
}

bool trib_p256_confirms(struct trib_p256 *k, const uint8_t hash[TRIB_SHA256_LEN], struct trib_span sig)
{
	ECDSA_SIG *s = parse(k, sig);
	bool yes = s && right(k, hash, s);
	ECDSA_SIG_free(s);
	ERR_clear_error();
	return yes;
}
