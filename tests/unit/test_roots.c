/* A city's roots (cert.h): which lists hang together, which may follow which, and which root judges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/trust/cert.h"

#define NOW 1790000000
#define YEAR 31557600LL

struct city {
	struct trib_key *key[3], *issuing_key, *leaf_key;
	struct trib_cert *root[3]; /* 0: one root; 1: two; 2: three */
};

static void make(struct city *c, const char *name)
{
	struct trib_err err;
	for (int i = 0; i < 3; i++)
		assert_int_equal(trib_key_make(TRIB_KEY_P256, &c->key[i], &err), 0);
	assert_int_equal(trib_key_make(TRIB_KEY_P256, &c->issuing_key, &err), 0);
	assert_int_equal(trib_key_make(TRIB_KEY_P256, &c->leaf_key, &err), 0);
	assert_int_equal(trib_cert_make_root(c->key[0], name, NOW, &c->root[0], &err), 0);
	assert_int_equal(trib_cert_make_next_root(c->key[1], name, c->key[0], c->root[0], NOW + 10 * YEAR, &c->root[1], &err), 0);
	assert_int_equal(trib_cert_make_next_root(c->key[2], name, c->key[1], c->root[1], NOW + 20 * YEAR, &c->root[2], &err), 0);
}

static void drop(struct city *c)
{
	for (int i = 0; i < 3; i++) {
		trib_key_free(c->key[i]);
		trib_cert_free(c->root[i]);
	}
	trib_key_free(c->issuing_key);
	trib_key_free(c->leaf_key);
}

static void text_of(const struct trib_cert *roots, struct trib_buf *b)
{
	struct trib_err err;
	trib_buf_reset(b);
	assert_int_equal(trib_roots_pem(roots, b, &err), 0);
}

static void a_list_reads_as_it_was_written(void **state)
{
	struct city c = {0};
	TRIB_AUTO(trib_buf) struct trib_buf a = TRIB_BUF(TRIB_SIGNER_MAX), b = TRIB_BUF(TRIB_SIGNER_MAX);
	struct trib_err err;
	(void)state;
	make(&c, "a");
	for (int i = 0; i < 3; i++) {
		TRIB_AUTO(trib_cert) struct trib_cert *back = NULL, *copy = NULL;
		text_of(c.root[i], &a);
		assert_int_equal(trib_roots_parse_pem(trib_buf_span(&a), &back, &err), 0);
		assert_int_equal(trib_roots_copy(back, &copy, &err), 0);
		text_of(copy, &b);
		assert_true(trib_span_eq(trib_buf_span(&a), trib_buf_span(&b)));
	}
	drop(&c);
}

/* Certificate number `i` of a text. */
static struct trib_span nth(const struct trib_buf *b, int i)
{
	static const char end[] = "-----END CERTIFICATE-----\n";
	struct trib_span s = trib_buf_span(b);
	for (;; i--) {
		const uint8_t *e = memmem(s.p, s.n, end, sizeof(end) - 1);
		assert_non_null(e);
		size_t n = (size_t)(e - s.p) + sizeof(end) - 1;
		if (i == 0)
			return trib_span(s.p, n);
		s = trib_span(s.p + n, s.n - n);
	}
}

static void other_lists_are_refused(void **state)
{
	struct city c = {0}, d = {0};
	TRIB_AUTO(trib_buf) struct trib_buf ours = TRIB_BUF(TRIB_SIGNER_MAX), theirs = TRIB_BUF(TRIB_SIGNER_MAX);
	struct trib_err err;
	/* Positive: of ours (0 root 3, 1 link, 2 root 2, 3 link, 4 root 1); from 10 on: of a city of the same name. */
	static const int lists[][6] = {
		{1, -1}, {0, 1, -1}, {0, 2, -1}, {0, 1, 4, -1}, {0, 3, 4, -1}, {0, 2, 4, -1}, {2, 1, 0, -1}, {2, 3, 14, -1}, {12, 3, 4, -1}, {2, 13, 4, -1}, {12, 13, 4, -1}, {0, 1, 2, 3, -1},
		{4, 4, 4, -1},
	};
	(void)state;
	make(&c, "a");
	make(&d, "a");
	text_of(c.root[2], &ours);
	text_of(d.root[2], &theirs);
	for (size_t i = 0; i < TRIB_COUNT(lists); i++) {
		TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_SIGNER_MAX);
		struct trib_cert *got = NULL;
		for (int j = 0; lists[i][j] >= 0; j++)
			trib_buf_put_span(&b, lists[i][j] < 10 ? nth(&ours, lists[i][j]) : nth(&theirs, lists[i][j] - 10));
		if (trib_roots_parse_pem(trib_buf_span(&b), &got, &err) == 0)
			fail_msg("list %zu was taken", i);
		assert_int_equal(err.code, TRIB_E_CERT);
		assert_null(got);
	}
	drop(&c);
	drop(&d);
}

static void only_what_the_known_root_certified_follows(void **state)
{
	struct city c = {0}, d = {0};
	struct trib_err err;
	(void)state;
	make(&c, "a");
	make(&d, "a");
	for (int known = 0; known < 3; known++)
		for (int offered = 0; offered < 3; offered++) {
			assert_int_equal(trib_roots_follow(c.root[known], c.root[offered], NOW + 21 * YEAR, &err), offered >= known ? 0 : -1);
			assert_int_equal(trib_roots_follow(c.root[known], d.root[offered], NOW + 21 * YEAR, &err), -1);
			assert_int_equal(err.code, TRIB_E_CERT);
		}
	/* A link has its time: not before it was made, not after the root that signed it. */
	assert_int_equal(trib_roots_follow(c.root[0], c.root[1], NOW, &err), -1);
	assert_int_equal(trib_roots_follow(c.root[0], c.root[1], NOW + 29 * YEAR, &err), 0);
	assert_int_equal(trib_roots_follow(c.root[0], c.root[1], NOW + 31 * YEAR, &err), -1);
	drop(&c);
	drop(&d);
}

/* What stands under an old root stands for as long as that root: the list judges as each root alone, and for nobody else. */
static void each_root_judges_its_own(void **state)
{
	struct city c = {0}, d = {0};
	struct trib_err err;
	struct trib_cert_id id;
	(void)state;
	make(&c, "a");
	make(&d, "a");
	for (int i = 0; i < 3; i++) {
		TRIB_AUTO(trib_cert) struct trib_cert *issuing = NULL, *leaf = NULL;
		int64_t now = NOW + i * 10 * YEAR + YEAR;
		struct trib_cert_spec spec = {.role = TRIB_ROLE_NODE, .id = "n/a", .subject = "n", .use = TRIB_USE_SIGN, .not_before = now, .not_after = now + 90 * YEAR};
		assert_int_equal(trib_cert_make_issuing_again(c.issuing_key, "a", (unsigned)i + 1, c.key[i], c.root[i], now, &issuing, &err), 0);
		assert_int_equal(trib_cert_issue(&spec, NULL, c.leaf_key, c.issuing_key, issuing, &leaf, &err), 0);
		for (int j = 0; j < 3; j++)
			assert_int_equal(trib_cert_verify(leaf, issuing, c.root[j], TRIB_USE_SIGN, now + 1, false, &id, &err), j >= i ? 0 : -1);
		assert_int_equal(trib_cert_verify(leaf, issuing, c.root[2], TRIB_USE_SIGN, now + 31 * YEAR, false, &id, &err), -1);
		assert_int_equal(trib_cert_verify(leaf, issuing, d.root[2], TRIB_USE_SIGN, now + 1, false, &id, &err), -1);
	}
	drop(&c);
	drop(&d);
}

static void there_is_an_end_to_roots(void **state)
{
	struct city c = {0};
	TRIB_AUTO(trib_cert) struct trib_cert *four = NULL, *five = NULL;
	struct trib_err err;
	(void)state;
	make(&c, "a");
	assert_int_equal(trib_cert_make_next_root(c.key[0], "a", c.key[2], c.root[2], NOW + 25 * YEAR, &four, &err), 0);
	assert_int_equal(trib_cert_make_next_root(c.key[1], "a", c.key[0], four, NOW + 26 * YEAR, &five, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
	/* Nor is one made with a key that is not the present root's. */
	assert_int_equal(trib_cert_make_next_root(c.key[2], "a", c.key[1], c.root[0], NOW, &five, &err), -1);
	assert_null(five);
	drop(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_reads_as_it_was_written), cmocka_unit_test(other_lists_are_refused),
		cmocka_unit_test(only_what_the_known_root_certified_follows), cmocka_unit_test(each_root_judges_its_own),
		cmocka_unit_test(there_is_an_end_to_roots),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
