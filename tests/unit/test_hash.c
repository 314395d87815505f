/* SHA-256, git object ids and randomness against published answers (FIPS 180-4, git hash-object). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/trust/hash.h"

static void assert_hex(const uint8_t *got, size_t n, const char *want)
{
	char hex[129];
	trib_hex(hex, got, n);
	assert_string_equal(hex, want);
}

static void sha256_known_answers(void **state)
{
	(void)state;
	uint8_t h[TRIB_SHA256_LEN];
	trib_sha256(h, trib_span(NULL, 0));
	assert_hex(h, 32, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	trib_sha256(h, trib_span_str("abc"));
	assert_hex(h, 32, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	char hex[TRIB_SHA256_HEX + 1];
	trib_sha256_hex(hex, trib_span_str("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"));
	assert_string_equal(hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

static void incremental_equals_one_call(void **state)
{
	(void)state;
	uint8_t bytes[1000], one[TRIB_SHA256_LEN], many[TRIB_SHA256_LEN];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 7);
	trib_sha256(one, trib_span(bytes, sizeof(bytes)));
	for (size_t step = 1; step < 200; step += 33) {
		struct trib_sha256_ctx *c = trib_sha256_new();
		for (size_t at = 0; at < sizeof(bytes); at += step)
			trib_sha256_add(c, trib_span(bytes + at, sizeof(bytes) - at < step ? sizeof(bytes) - at : step));
		trib_sha256_add(c, trib_span(NULL, 0));
		trib_sha256_end(c, many);
		assert_memory_equal(one, many, sizeof(one));
	}
}

static void git_object_ids(void **state)
{
	(void)state;
	uint8_t oid[TRIB_OID_LEN];
	trib_git_oid(oid, "blob", trib_span(NULL, 0));
	assert_hex(oid, 20, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
	trib_git_oid(oid, "tree", trib_span(NULL, 0));
	assert_hex(oid, 20, "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
	trib_git_oid(oid, "blob", trib_span_str("hello world\n"));
	assert_hex(oid, 20, "3b18e512dba79e4c8300dd08aeb37f8e728b8dad");
}

static void random_fills_and_differs(void **state)
{
	(void)state;
	struct trib_err err;
	static uint8_t a[70000], b[70000];
	assert_int_equal(trib_random(a, sizeof(a), &err), 0);
	assert_int_equal(trib_random(b, sizeof(b), &err), 0);
	assert_memory_not_equal(a, b, sizeof(a));
	/* Both ends of the buffer were reached: 16 zero bytes have a chance of 2^-128. */
	static const uint8_t zero[16];
	assert_memory_not_equal(a, zero, 16);
	assert_memory_not_equal(a + sizeof(a) - 16, zero, 16);
	assert_int_equal(trib_random(a, 0, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sha256_known_answers),
		cmocka_unit_test(incremental_equals_one_call),
		cmocka_unit_test(git_object_ids),
		cmocka_unit_test(random_fills_and_differs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
