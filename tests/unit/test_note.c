#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/format/note.h"

static void base64_known_answers(void **state)
{
	(void)state;
	static const char *const pairs[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
					       {"foobar", "Zm9vYmFy"}, {"\xff\xfe\xfb", "//77"}}; /* RFC 4648 */
	for (size_t i = 0; i < TRIB_COUNT(pairs); i++) {
		TRIB_AUTO(trib_buf) struct trib_buf t = TRIB_BUF(64), r = TRIB_BUF(64);
		trib_base64(&t, (const uint8_t *)pairs[i][0], strlen(pairs[i][0]));
		assert_string_equal(trib_buf_str(&t), pairs[i][1]);
		assert_true(trib_unbase64(&r, trib_span_str(pairs[i][1])));
		assert_string_equal(trib_buf_str(&r), pairs[i][0]);
	}
	static const char *const wrong[] = {"Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm9v\n", "Zm 9", "Zm-_", "=Zg="};
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++) {
		TRIB_AUTO(trib_buf) struct trib_buf r = TRIB_BUF(64);
		assert_false(trib_unbase64(&r, trib_span_str(wrong[i])));
	}
	TRIB_AUTO(trib_buf) struct trib_buf tiny = TRIB_BUF(2);
	assert_false(trib_unbase64(&tiny, trib_span_str("Zm9v")));
}

static struct trib_buf note_of(size_t sigs)
{
	struct trib_buf b = TRIB_BUF(TRIB_NOTE_MAX);
	uint8_t root[TRIB_SHA256_LEN] = {7}, sig[64] = {9};
	trib_checkpoint_put_text(&b, "zunyi/1", 42, root);
	for (size_t i = 0; i < sigs; i++) {
		sig[63] = (uint8_t)i;
		trib_note_put_sig(&b, "zunyi/1", (const uint8_t[4]){1, 2, 3, 4}, sig);
	}
	return b;
}

static void checkpoints_round_trip(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_checkpoint c;
	TRIB_AUTO(trib_buf) struct trib_buf b = note_of(2);
	assert_int_equal(trib_checkpoint_parse(trib_buf_span(&b), &c, &err), 0);
	assert_true(trib_span_is(c.origin, "zunyi/1"));
	assert_int_equal(c.size, 42);
	assert_int_equal(c.root[0], 7);
	assert_int_equal(c.text.n, strlen("zunyi/1\n42\n") + 45);
	assert_int_equal(c.nsigs, 2);
	assert_true(trib_span_is(c.sigs[1].key_name, "zunyi/1"));
	assert_int_equal(c.sigs[1].key_id[3], 4);
	assert_int_equal(c.sigs[0].sig[0], 9);
	assert_int_equal(c.sigs[1].sig[63], 1);
	for (size_t n = 0; n < b.len; n++)
		if (trib_checkpoint_parse(trib_span(b.p, n), &c, &err) == 0)
			assert_int_equal(c.nsigs, 1); /* cut exactly between the signatures */
}

static void checkpoints_skip_other_signature_types_and_bound_ours(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_checkpoint c;
	TRIB_AUTO(trib_buf) struct trib_buf b = note_of(TRIB_NOTE_SIGS_MAX), more = note_of(TRIB_NOTE_SIGS_MAX + 1);
	trib_buf_puts(&b, "\xe2\x80\x94 witness AAAAAAA=\n");
	assert_int_equal(trib_checkpoint_parse(trib_buf_span(&b), &c, &err), 0);
	assert_int_equal(c.nsigs, TRIB_NOTE_SIGS_MAX);
	assert_int_equal(trib_checkpoint_parse(trib_buf_span(&more), &c, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
}

#define ROOT "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define SIG "\xe2\x80\x94 k AAAAAAA=\n"

static void checkpoints_refuse_every_other_shape(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_checkpoint c;
	static const char *const wrong[] = {
		"", "o\n", "\n1\n" ROOT "\n\n" SIG, "o o\n1\n" ROOT "\n\n" SIG, "o+\n1\n" ROOT "\n\n" SIG, "o\n01\n" ROOT "\n\n" SIG,
		"o\n-1\n" ROOT "\n\n" SIG, "o\n9223372036854775808\n" ROOT "\n\n" SIG, "o\n1\nAAAA\n\n" SIG, "o\n1\n" ROOT "=\n\n" SIG,
		"o\n1\n" ROOT "\nextension\n\n" SIG, "o\n1\n" ROOT "\n" SIG, "o\n1\n" ROOT "\n\n", "o\n1\n" ROOT "\n\n- k AAAAAAA=\n",
		"o\n1\n" ROOT "\n\n\xe2\x80\x94 k\n", "o\n1\n" ROOT "\n\n\xe2\x80\x94  AAAAAAA=\n", "o\n1\n" ROOT "\n\n\xe2\x80\x94 k AAAA\n",
		"o\n1\n" ROOT "\n\n\xe2\x80\x94 k AAAAAAA= \n", "o\n1\n" ROOT "\n\n" SIG "\n", "o\n1\n" ROOT "\n\n" SIG "x",
	};
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++) {
		assert_int_equal(trib_checkpoint_parse(trib_span_str(wrong[i]), &c, &err), -1);
		assert_int_equal(err.code, TRIB_E_FORMAT);
	}
	assert_int_equal(trib_checkpoint_parse(trib_span_str("o\n9223372036854775807\n" ROOT "\n\n" SIG), &c, &err), 0);
	TRIB_AUTO(trib_buf) struct trib_buf big = TRIB_BUF(SIZE_MAX / 2);
	trib_buf_puts(&big, "o\n1\n" ROOT "\n\n");
	while (big.len <= TRIB_NOTE_MAX)
		trib_buf_puts(&big, SIG);
	assert_int_equal(trib_checkpoint_parse(trib_buf_span(&big), &c, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
}

static void receipts_round_trip(void **state)
{
	(void)state;
	struct trib_err err;
	uint8_t proof[TRIB_PROOF_MAX_HASHES][TRIB_SHA256_LEN] = {{1}, {2}};
	struct trib_receipts rs;
	struct trib_receipt r;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_MIB);
	trib_receipts_begin(&b);
	trib_receipts_put(&b, 0, (const uint8_t (*)[TRIB_SHA256_LEN])proof, 0, trib_span_str("checkpoint 3\n"));
	trib_receipts_put(&b, 5, (const uint8_t (*)[TRIB_SHA256_LEN])proof, TRIB_PROOF_MAX_HASHES, trib_span_str("x"));
	trib_receipts_end(&b, trib_span_str("note\n"));
	assert_int_equal(trib_receipts_parse(trib_buf_span(&b), &rs, &err), 0);
	assert_true(trib_span_is(rs.checkpoint, "note\n"));
	assert_int_equal(trib_receipts_next(&rs, &r, &err), 1);
	assert_int_equal(r.index, 0);
	assert_int_equal(r.nproof, 0);
	assert_true(trib_span_is(r.leaf, "checkpoint 3\n"));
	assert_int_equal(trib_receipts_next(&rs, &r, &err), 1);
	assert_int_equal(r.index, 5);
	assert_int_equal(r.nproof, TRIB_PROOF_MAX_HASHES);
	assert_memory_equal(r.proof, proof, sizeof(proof));
	assert_int_equal(trib_receipts_next(&rs, &r, &err), 0);
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(trib_receipts_parse(trib_span(b.p, n), &rs, &err), -1);
	trib_buf_putc(&b, 'x');
	assert_int_equal(trib_receipts_parse(trib_buf_span(&b), &rs, &err), -1);
}

#define R "tributary-receipts-1\n"
#define C "checkpoint 1\nn"

static void receipts_refuse_every_other_shape(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_receipts rs;
	static const char *const wrong[] = {
		"", R, C, "tributary-receipts-2\n" C, R "checkpoint 0\n", R "checkpoint 01\nn", R "checkpoint 2\nn", R "receipt 1 0 0\n" C,
		R "receipt 1 0 1\na" "receipt 1 0 1\na" C, R "receipt 2 0 1\na" "receipt 1 0 1\na" C, R "receipt 1 1 1\na" C, R "receipt 1 0\na" C,
		R "receipt 01 0 1\na" C, R "receipt 1 0 100\na" C, R "receipt  1 0 1\na" C, R C C,
	};
	for (size_t i = 0; i < TRIB_COUNT(wrong); i++)
		assert_int_equal(trib_receipts_parse(trib_span_str(wrong[i]), &rs, &err), -1);
	assert_int_equal(trib_receipts_parse(trib_span_str(R C), &rs, &err), 0);
	assert_int_equal(trib_receipts_parse(trib_span_str(R "receipt 1 64 1\na" C), &rs, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
	assert_int_equal(trib_receipts_parse(trib_span_str(R "receipt 1 0 65536\na" C), &rs, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(base64_known_answers),
		cmocka_unit_test(checkpoints_round_trip),
		cmocka_unit_test(checkpoints_skip_other_signature_types_and_bound_ours),
		cmocka_unit_test(checkpoints_refuse_every_other_shape),
		cmocka_unit_test(receipts_round_trip),
		cmocka_unit_test(receipts_refuse_every_other_shape),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
