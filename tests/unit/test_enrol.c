/* The texts of enrolment (F11): each parser takes exactly what its writer makes, and nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/format/enrol.h"

#define CSR "-----BEGIN CERTIFICATE REQUEST-----\nAA==\n-----END CERTIFICATE REQUEST-----\n"

/* Every truncation, and every byte turned over, is refused or means something else that its own writer repeats. */
static void only_one_spelling(struct trib_span text, bool (*again)(struct trib_span, struct trib_buf *))
{
	TRIB_AUTO(trib_buf) struct trib_buf copy = TRIB_BUF(64 * TRIB_KIB), back = TRIB_BUF(64 * TRIB_KIB);
	assert_true(again(text, &back));
	assert_true(trib_span_eq(text, trib_buf_span(&back)));
	for (size_t n = 0; n < text.n; n++) {
		trib_buf_reset(&back);
		assert_false(again(trib_span(text.p, n), &back));
	}
	trib_buf_put_span(&copy, text);
	for (size_t i = 0; i < text.n; i++) {
		for (int bit = 0; bit < 8; bit++) {
			copy.p[i] ^= (uint8_t)(1 << bit);
			trib_buf_reset(&back);
			if (again(trib_buf_span(&copy), &back))
				assert_true(trib_span_eq(trib_buf_span(&copy), trib_buf_span(&back)));
			copy.p[i] ^= (uint8_t)(1 << bit);
		}
	}
	trib_buf_putc(&copy, '\n');
	trib_buf_reset(&back);
	assert_false(again(trib_buf_span(&copy), &back));
}

static bool slip_again(struct trib_span text, struct trib_buf *ret)
{
	struct trib_slip s;
	struct trib_err err;
	if (trib_slip_parse(text, &s, &err))
		return false;
	trib_slip_put(ret, &s);
	return true;
}

static void a_slip(void **state)
{
	(void)state;
	struct trib_slip s = {.url = "https://hub.example:8443", .node = "520303002001", .app = "community", .expires = 1790000000};
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(4096);
	struct trib_err err;
	uint8_t random[17];
	for (size_t i = 0; i < sizeof(random); i++)
		random[i] = (uint8_t)(i * 37);
	trib_code_text(s.code, random);
	memset(s.ca, 7, sizeof(s.ca));
	trib_slip_put(&b, &s);
	only_one_spelling(trib_buf_span(&b), slip_again);
	static const char plain[] = "format tributary-slip-1\nurl http://hub\nca 0\n";
	assert_int_equal(trib_slip_parse(trib_span_str(plain), &s, &err), -1);
	assert_int_equal(err.code, TRIB_E_FORMAT);
}

static bool renew_again(struct trib_span text, struct trib_buf *ret)
{
	struct trib_renew_request r;
	struct trib_err err;
	if (!trib_is_renew_request(text) || trib_renew_request_parse(text, &r, &err))
		return false;
	trib_renew_request_put(ret, &r);
	return true;
}

static bool rotate_again(struct trib_span text, struct trib_buf *ret)
{
	struct trib_rotate_request r;
	struct trib_err err;
	if (!trib_is_rotate_request(text) || trib_rotate_request_parse(text, &r, &err))
		return false;
	trib_rotate_request_put(ret, &r);
	return true;
}

static bool answer_again(struct trib_span text, struct trib_buf *ret)
{
	struct trib_renew_answer a;
	struct trib_err err;
	if (trib_renew_answer_parse(text, &a, &err))
		return false;
	trib_renew_answer_put(ret, &a);
	return true;
}

static void requests_of_a_machine_that_is_enrolled(void **state)
{
	(void)state;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(4096);
	struct trib_renew_request renew = {.node = "n", .app = "a", .tls_csr = trib_span_str(CSR)};
	trib_renew_request_put(&b, &renew);
	only_one_spelling(trib_buf_span(&b), renew_again);
	assert_false(trib_is_rotate_request(trib_buf_span(&b)));
	trib_buf_reset(&b);
	struct trib_rotate_request rotate = {.node = "n", .app = "a", .sign_csr = trib_span_str(CSR), .proof = trib_span_str("proof")};
	trib_rotate_request_put(&b, &rotate);
	only_one_spelling(trib_buf_span(&b), rotate_again);
	assert_false(trib_is_renew_request(trib_buf_span(&b)));
	for (int i = 0; i < 2; i++) {
		trib_buf_reset(&b);
		trib_renew_answer_put(&b, &(struct trib_renew_answer){.rotated = i, .cert = trib_span_str("certificate"), .chain = trib_span_str("chain")});
		only_one_spelling(trib_buf_span(&b), answer_again);
	}
}

static void a_request_has_an_end(void **state)
{
	(void)state;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MIB), csr = TRIB_BUF(TRIB_MIB);
	struct trib_rotate_request r;
	struct trib_err err;
	for (size_t i = 0; i < TRIB_ENROL_BODY_MAX; i++)
		trib_buf_putc(&csr, 'x');
	trib_rotate_request_put(&b, &(struct trib_rotate_request){.node = "n", .app = "a", .sign_csr = trib_buf_span(&csr), .proof = trib_span_str("p")});
	assert_int_equal(trib_rotate_request_parse(trib_buf_span(&b), &r, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_slip),
		cmocka_unit_test(requests_of_a_machine_that_is_enrolled),
		cmocka_unit_test(a_request_has_an_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
