/* Lists of revoked certificates: made and judged, and no other bytes are one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/trust/crl.h"

#define NOW 1790000000

struct ca {
	struct trib_key *root_key, *key;
	struct trib_cert *root, *issuing;
};

static void make(struct ca *c)
{
	struct trib_err err;
	assert_int_equal(trib_key_make(TRIB_KEY_P256, &c->root_key, &err), 0);
	assert_int_equal(trib_key_make(TRIB_KEY_P256, &c->key, &err), 0);
	assert_int_equal(trib_cert_make_root(c->root_key, "a", NOW, &c->root, &err), 0);
	assert_int_equal(trib_cert_make_issuing(c->key, "a", c->root_key, c->root, NOW, &c->issuing, &err), 0);
}

static void drop(struct ca *c)
{
	trib_key_free(c->root_key);
	trib_key_free(c->key);
	trib_cert_free(c->root);
	trib_cert_free(c->issuing);
}

static const struct trib_crl_entry some[] = {
	{.serial = "4f00000000000000000000000000000a", .at = NOW - 100}, {.serial = "4f00000000000000000000000000000b", .at = NOW - 50},
	{.serial = "4f00000000000000000000000000000c", .issuer = "a issuing CA", .at = NOW - 10},
};

static void a_list_says_who_and_since_when(void **state)
{
	struct ca c = {0};
	struct trib_err err;
	int64_t at = 0;
	(void)state;
	make(&c);
	for (size_t n = 0; n <= TRIB_COUNT(some); n++) {
		TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_CRL_MAX);
		TRIB_AUTO(trib_crl) struct trib_crl *list = NULL;
		assert_int_equal(trib_crl_make(c.key, c.issuing, 70000 + n, some, n, NOW, &text, &err), 0);
		assert_int_equal(trib_crl_parse(trib_buf_span(&text), c.root, &list, &err), 0);
		assert_int_equal(trib_crl_number(list), 70000 + n);
		assert_int_equal(trib_crl_size(list), n);
		for (size_t i = 0; i < TRIB_COUNT(some); i++) {
			assert_int_equal(trib_crl_has(list, some[i].serial, &at), i < n);
			if (i < n)
				assert_int_equal(at, some[i].at);
		}
		assert_false(trib_crl_has(list, "4f0000000000000000000000000000", &at));
		assert_false(trib_crl_has(list, "", &at));
	}
	drop(&c);
}

static void only_the_citys_authority_makes_one(void **state)
{
	struct ca c = {0}, d = {0};
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_CRL_MAX);
	struct trib_crl *list = NULL;
	(void)state;
	make(&c);
	make(&d);
	assert_int_equal(trib_crl_make(d.key, c.issuing, 1, some, 3, NOW, &text, &err), -1); /* a key that is not the authority's */
	trib_buf_reset(&text);
	assert_int_equal(trib_crl_make(d.key, d.issuing, 1, some, 3, NOW, &text, &err), 0);
	assert_int_equal(trib_crl_parse(trib_buf_span(&text), c.root, &list, &err), -1); /* another city's, of the same names */
	assert_int_equal(err.code, TRIB_E_CERT);
	assert_null(list);
	drop(&c);
	drop(&d);
}

static void no_other_bytes_are_a_list(void **state)
{
	struct ca c = {0};
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf text = TRIB_BUF(TRIB_CRL_MAX);
	struct trib_crl *list = NULL;
	(void)state;
	make(&c);
	assert_int_equal(trib_crl_make(c.key, c.issuing, 1, some, 3, NOW, &text, &err), 0);
	for (size_t n = 0; n < text.len; n += 7)
		assert_int_equal(trib_crl_parse(trib_span(text.p, n), c.root, &list, &err), -1);
	for (size_t i = 0; i < text.len; i += 3) {
		text.p[i] ^= 1;
		if (trib_crl_parse(trib_buf_span(&text), c.root, &list, &err) == 0)
			fail_msg("byte %zu may be changed", i);
		text.p[i] ^= 1;
	}
	trib_buf_putc(&text, '\n');
	assert_int_equal(trib_crl_parse(trib_buf_span(&text), c.root, &list, &err), -1);
	assert_null(list);
	drop(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_says_who_and_since_when),
		cmocka_unit_test(only_the_citys_authority_makes_one),
		cmocka_unit_test(no_other_bytes_are_a_list),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
