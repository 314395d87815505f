/* Verification from a table: what it confirms, libcrypto accepts; what libcrypto refuses, it never confirms. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/ec.h>
#include <openssl/err.h>

#include "core/replay/signer.h"
#include "core/trust/hash.h"
#include "core/trust/ossl.h"
#include "core/trust/sign.h"

#define NOW ((int64_t)1795600000)
/* The order of P-256. */
#define ORDER "FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551"

static struct trib_key *key;
static struct trib_cert *cert;
static struct trib_p256 *fast;

static int start(void **state)
{
	struct trib_cert_spec spec = {.role = TRIB_ROLE_NODE, .id = "n/app", .subject = "n", .use = TRIB_USE_SIGN, .not_before = NOW - 60, .not_after = NOW + 60};
	struct trib_err err;

	(void)state;
	if (trib_key_make(TRIB_KEY_P256, &key, &err) || trib_cert_make_self(&spec, key, &cert, &err))
		return -1;
	fast = trib_p256_new(cert);
	return fast ? 0 : -1;
}

static int stop(void **state)
{
	(void)state;
	trib_p256_free(fast);
	trib_cert_free(cert);
	trib_key_free(key);
	return 0;
}

static bool libcrypto_accepts(const uint8_t hash[TRIB_SHA256_LEN], struct trib_span sig)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(trib_key_pkey(key), NULL);
	assert_true(c && EVP_PKEY_verify_init(c) == 1);
	bool ok = EVP_PKEY_verify(c, sig.p, sig.n, hash, TRIB_SHA256_LEN) == 1;
	EVP_PKEY_CTX_free(c);
	ERR_clear_error();
	return ok;
}

static bool agree(const uint8_t hash[TRIB_SHA256_LEN], struct trib_span sig)
{
	bool ok = libcrypto_accepts(hash, sig);
	assert_int_equal(trib_p256_confirms(fast, hash, sig), ok);
	assert_int_equal(ERR_peek_error(), 0);
	return ok;
}

static size_t sign(const uint8_t hash[TRIB_SHA256_LEN], uint8_t ret[80])
{
	size_t n = 80;
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(trib_key_pkey(key), NULL);
	assert_true(c && EVP_PKEY_sign_init(c) == 1 && EVP_PKEY_sign(c, ret, &n, hash, TRIB_SHA256_LEN) == 1);
	EVP_PKEY_CTX_free(c);
	return n;
}

static void right_ones_are_confirmed_and_changed_ones_are_not(void **state)
{
	uint8_t hash[TRIB_SHA256_LEN] = {0}, sig[80], all[80];

	(void)state;
	for (unsigned i = 0; i < 60; i++) {
		size_t n = sign(hash, sig);
		assert_true(agree(hash, trib_span(sig, n)));
		for (unsigned k = 0; k < 6; k++) {
			size_t bit = (i * 131 + k * 97) % (8 * n);
			memcpy(all, sig, n);
			all[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_false(agree(hash, trib_span(all, n)));
		}
		assert_false(agree(hash, trib_span(sig, n - 1)));
		assert_false(agree(hash, trib_span(sig, n + 1))); /* a byte behind it */
		hash[i % TRIB_SHA256_LEN] ^= (uint8_t)(1 << i % 8);
		assert_false(agree(hash, trib_span(sig, n)));
		trib_sha256(hash, trib_span(hash, sizeof(hash)));
	}
	memset(hash, 0, sizeof(hash)); /* nothing of the generator in the sum */
	assert_true(agree(hash, trib_span(sig, sign(hash, sig))));
	memset(hash, 0xff, sizeof(hash)); /* above the order */
	assert_true(agree(hash, trib_span(sig, sign(hash, sig))));
	assert_false(agree(hash, trib_span(sig, 0)));
}

static bool agree_on(const uint8_t hash[TRIB_SHA256_LEN], const BIGNUM *r, const BIGNUM *s)
{
	ECDSA_SIG *sig = ECDSA_SIG_new();
	unsigned char *der = NULL;
	assert_true(sig && ECDSA_SIG_set0(sig, BN_dup(r), BN_dup(s)) == 1);
	int n = i2d_ECDSA_SIG(sig, &der);
	assert_true(n > 0);
	bool ok = agree(hash, trib_span(der, (size_t)n));
	OPENSSL_free(der);
	ECDSA_SIG_free(sig);
	return ok;
}

static void numbers_at_the_edges_are_judged_as_libcrypto_does(void **state)
{
	uint8_t hash[TRIB_SHA256_LEN] = {7}, der[80];
	const unsigned char *p = der;
	BIGNUM *order = NULL, *zero = BN_new(), *one = BN_new(), *x = BN_new();

	(void)state;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)sign(hash, der));
	assert_true(sig && zero && one && x && BN_hex2bn(&order, ORDER) && BN_one(one));
	BN_zero(zero);
	const BIGNUM *r = ECDSA_SIG_get0_r(sig), *s = ECDSA_SIG_get0_s(sig);
	assert_true(agree_on(hash, r, s));
	assert_true(BN_sub(x, order, s) && agree_on(hash, r, x)); /* the other of the two that fit */
	assert_true(BN_sub(x, order, r));
	assert_false(agree_on(hash, x, s));
	assert_true(BN_add(x, order, r)); /* the same modulo the order */
	assert_false(agree_on(hash, x, s));
	assert_true(BN_add(x, order, s));
	assert_false(agree_on(hash, r, x));
	assert_false(agree_on(hash, s, r));
	const BIGNUM *const edges[] = {zero, one, order};
	for (size_t i = 0; i < TRIB_COUNT(edges); i++)
		for (size_t j = 0; j < TRIB_COUNT(edges); j++) {
			assert_false(agree_on(hash, edges[i], edges[j]));
			assert_false(agree_on(hash, r, edges[j]));
			assert_false(agree_on(hash, edges[i], s));
		}
	/* -1 and -1, which libcrypto does not even write. */
	assert_false(agree(hash, trib_span("\x30\x06\x02\x01\xff\x02\x01\xff", 8)));
	BN_free(order);
	BN_free(zero);
	BN_free(one);
	BN_free(x);
	ECDSA_SIG_free(sig);
}

static void only_p256_has_tables(void **state)
{
	TRIB_AUTO(trib_key) struct trib_key *other = NULL;
	X509 *x = X509_dup(trib_cert_x509(cert));
	TRIB_AUTO(trib_cert) struct trib_cert *odd = NULL;
	struct trib_err err;

	(void)state;
	assert_int_equal(trib_key_make(TRIB_KEY_ED25519, &other, &err), 0);
	assert_int_equal(X509_set_pubkey(x, trib_key_pkey(other)), 1);
	assert_int_equal(trib_cert_wrap(x, "test", &odd, &err), 0);
	assert_null(trib_p256_new(odd));
	assert_int_equal(ERR_peek_error(), 0);
}

/* A signer's cache makes the table when it pays; before and after, the same is accepted and the same refused. */
static void a_signer_with_a_long_history_gets_a_table(void **state)
{
	TRIB_AUTO(trib_signer_cache) struct trib_signer_cache cache = {0};
	TRIB_AUTO(trib_buf) struct trib_buf pem = TRIB_BUF(TRIB_SIGNER_MAX), sig = TRIB_BUF(TRIB_SIG_MAX);
	struct trib_trust trust = {.city = "-", .node = "n", .app = "app", .self_signed = true, .at = NOW};
	uint8_t hash[TRIB_SHA256_LEN];
	struct trib_err err;

	(void)state;
	assert_int_equal(trib_cert_pem(cert, &pem, &err), 0);
	assert_int_equal(trib_sign(trib_span_str("text"), key, cert, NOW, &sig, &err), 0);
	trib_sha256(hash, trib_buf_span(&pem));
	for (unsigned i = 0; i < TRIB_SIGNER_FAST_AFTER + 8; i++) {
		const struct trib_signer *who = NULL;
		assert_int_equal(trib_signer_judge(&cache, &trust, trib_buf_span(&pem), hash, &who, &err), 0);
		assert_int_equal(trib_signer_verify(&cache, who, trib_span_str("text"), trib_buf_span(&sig), &err), 0);
		assert_int_equal(who->fast != NULL, i + 1 >= TRIB_SIGNER_FAST_AFTER);
	}
	assert_int_equal(cache.nfast, 1);
	const struct trib_signer *who = NULL;
	assert_int_equal(trib_signer_judge(&cache, &trust, trib_buf_span(&pem), hash, &who, &err), 0);
	assert_int_equal(trib_signer_verify(&cache, who, trib_span_str("texu"), trib_buf_span(&sig), &err), -1);
	assert_int_equal(err.code, TRIB_E_SIGNATURE);
	sig.p[200] = sig.p[200] == 'A' ? 'B' : 'A';
	assert_int_equal(trib_signer_verify(&cache, who, trib_span_str("text"), trib_buf_span(&sig), &err), -1);
	assert_int_equal(err.code, TRIB_E_SIGNATURE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_ones_are_confirmed_and_changed_ones_are_not),
		cmocka_unit_test(numbers_at_the_edges_are_judged_as_libcrypto_does),
		cmocka_unit_test(only_p256_has_tables),
		cmocka_unit_test(a_signer_with_a_long_history_gets_a_table),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
