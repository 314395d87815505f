/* Checkpoints and receipts: made, judged, and refused when anything in them is not the log's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/trust/hash.h"
#include "core/trust/receipt.h"

#define ORIGIN "zunyi/1"
#define LEAVES 7

static struct trib_key *log_key;
static uint8_t pub[32];
static struct trib_buf leaf[LEAVES];
static uint8_t node[4][8][TRIB_SHA256_LEN]; /* level, index */
static uint8_t root[TRIB_SHA256_LEN];

static int get(void *ctx, unsigned level, uint64_t index, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err)
{
	(void)ctx;
	if (level >= 4 || index >= 8)
		return trib_fail(err, TRIB_E_NOT_FOUND, "no such subtree");
	memcpy(ret, node[level][index], TRIB_SHA256_LEN);
	return 0;
}

static int put(void *ctx, unsigned level, uint64_t index, const uint8_t h[TRIB_SHA256_LEN], struct trib_err *err)
{
	(void)ctx;
	(void)err;
	memcpy(node[level][index], h, TRIB_SHA256_LEN);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	struct trib_err err;
	if (trib_key_make(TRIB_KEY_ED25519, &log_key, &err) || trib_key_ed25519_public(log_key, pub, &err))
		return -1;
	for (uint64_t i = 0; i < LEAVES; i++) {
		struct trib_leaf l = {.kind = TRIB_LEAF_MERGED, .time = 1764097200, .node = "520303002001", .app = "xiaoma", .seq = i + 1};
		uint8_t h[TRIB_SHA256_LEN];
		leaf[i] = TRIB_BUF(TRIB_LEAF_MAX);
		trib_leaf_put(&leaf[i], &l);
		trib_merkle_leaf(h, trib_buf_span(&leaf[i]));
		if (trib_merkle_append(i, h, get, put, NULL, &err))
			return -1;
	}
	return trib_merkle_root(LEAVES, get, NULL, root, &err);
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < LEAVES; i++)
		trib_buf_release(&leaf[i]);
	trib_key_free(log_key);
	return 0;
}

static void key_id_is_that_of_signed_notes(void **state)
{
	(void)state;
	/* The verifier key of golang.org/x/mod/sumdb/note's documentation: PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW */
	TRIB_AUTO(trib_buf) struct trib_buf k = TRIB_BUF(64);
	uint8_t id[4], want[4] = {0xc7, 0x4f, 0x20, 0xa3};
	assert_true(trib_unbase64(&k, trib_span_str("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")));
	assert_int_equal(k.len, 33);
	assert_int_equal(k.p[0], 1);
	trib_note_key_id(id, "PeterNeumann", k.p + 1);
	assert_memory_equal(id, want, 4);
}

static void a_published_note_verifies(void **state)
{
	(void)state;
	/* Same source: text "If you think cryptography is the answer to your problem, ..." signed by PeterNeumann. */
	static const char text[] = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
	TRIB_AUTO(trib_buf) struct trib_buf k = TRIB_BUF(64);
	TRIB_AUTO(trib_buf) struct trib_buf sig = TRIB_BUF(128);
	struct trib_err err;
	assert_true(trib_unbase64(&k, trib_span_str("ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")));
	assert_true(trib_unbase64(&sig, trib_span_str("x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=")));
	assert_int_equal(sig.len, 68);
	assert_int_equal(trib_ed25519_verify(k.p + 1, trib_span_str(text), sig.p + 4, &err), 0);
}

static void a_signed_checkpoint_verifies(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_checkpoint cp;
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	TRIB_AUTO(trib_buf) struct trib_buf want = TRIB_BUF(TRIB_NOTE_MAX);
	trib_buf_puts(&note, "before"); /* appends */
	assert_int_equal(trib_checkpoint_sign(ORIGIN, LEAVES, root, log_key, &note, &err), 0);
	struct trib_span s = trib_span(note.p + 6, note.len - 6);
	assert_memory_equal(note.p, "before", 6);
	trib_buf_puts(&want, ORIGIN "\n7\n");
	trib_base64(&want, root, sizeof(root));
	trib_buf_puts(&want, "\n\n\xe2\x80\x94 " ORIGIN " ");
	assert_true(trib_span_starts(s, trib_buf_str(&want)));
	assert_int_equal(trib_checkpoint_verify(s, ORIGIN, pub, &cp, &err), 0);
	assert_int_equal(cp.size, LEAVES);
	assert_memory_equal(cp.root, root, sizeof(root));
}

static void every_changed_byte_of_a_checkpoint_is_refused(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_checkpoint cp;
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	assert_int_equal(trib_checkpoint_sign(ORIGIN, LEAVES, root, log_key, &note, &err), 0);
	for (size_t i = 0; i < note.len; i++) {
		note.p[i] ^= 1;
		assert_int_equal(trib_checkpoint_verify(trib_buf_span(&note), ORIGIN, pub, &cp, &err), -1);
		note.p[i] ^= 1;
	}
	for (size_t n = 0; n < note.len; n++)
		assert_int_equal(trib_checkpoint_verify(trib_span(note.p, n), ORIGIN, pub, &cp, &err), -1);
}

static void another_log_or_key_is_refused(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_checkpoint cp;
	TRIB_AUTO(trib_key) struct trib_key *thief = NULL;
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	assert_int_equal(trib_key_make(TRIB_KEY_ED25519, &thief, &err), 0);
	assert_int_equal(trib_checkpoint_sign(ORIGIN, LEAVES, root, thief, &note, &err), 0);
	assert_int_equal(trib_checkpoint_verify(trib_buf_span(&note), ORIGIN, pub, &cp, &err), -1);
	assert_int_equal(err.code, TRIB_E_SIGNATURE);
	trib_buf_reset(&note);
	assert_int_equal(trib_checkpoint_sign("zunyi/2", LEAVES, root, log_key, &note, &err), 0);
	assert_int_equal(trib_checkpoint_verify(trib_buf_span(&note), ORIGIN, pub, &cp, &err), -1);
	assert_int_equal(err.code, TRIB_E_SIGNATURE);
	/* The right text under the wrong name of a signer. */
	uint8_t id[4], sig[64];
	trib_buf_reset(&note);
	trib_checkpoint_put_text(&note, ORIGIN, LEAVES, root);
	assert_int_equal(trib_ed25519_sign(log_key, trib_buf_span(&note), sig, &err), 0);
	trib_note_key_id(id, "zunyi/2", pub);
	trib_note_put_sig(&note, "zunyi/2", id, sig);
	assert_int_equal(trib_checkpoint_verify(trib_buf_span(&note), ORIGIN, pub, &cp, &err), -1);
	assert_int_equal(err.code, TRIB_E_SIGNATURE);
}

static void a_witness_signature_beside_ours_is_passed_over(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_checkpoint cp;
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	TRIB_AUTO(trib_buf) struct trib_buf line = TRIB_BUF(TRIB_NOTE_MAX);
	assert_int_equal(trib_checkpoint_sign(ORIGIN, LEAVES, root, log_key, &note, &err), 0);
	uint8_t sig[64] = {9}, id[4] = {1, 2, 3, 4};
	trib_note_put_sig(&line, "witness", id, sig);
	assert_int_equal(line.p[0], '\n');
	trib_buf_put(&note, line.p + 1, line.len - 1);
	assert_int_equal(trib_checkpoint_verify(trib_buf_span(&note), ORIGIN, pub, &cp, &err), 0);
	assert_int_equal(cp.nsigs, 2);
}

static void bad_origins_and_keys_are_not_signed(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_key) struct trib_key *p256 = NULL;
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	assert_int_equal(trib_key_make(TRIB_KEY_P256, &p256, &err), 0);
	assert_int_equal(trib_checkpoint_sign(ORIGIN, LEAVES, root, p256, &note, &err), -1);
	assert_int_equal(trib_checkpoint_sign("two\nlines", LEAVES, root, log_key, &note, &err), -1);
	assert_int_equal(trib_checkpoint_sign("", LEAVES, root, log_key, &note, &err), -1);
	assert_int_equal(note.len, 0);
}

static struct trib_receipt receipt_of(uint64_t i)
{
	struct trib_err err;
	struct trib_receipt r = {.index = i, .leaf = trib_buf_span(&leaf[i])};
	uint8_t proof[TRIB_PROOF_MAX_HASHES + 1][TRIB_SHA256_LEN];
	assert_int_equal(trib_merkle_inclusion(i, LEAVES, get, NULL, proof, &r.nproof, &err), 0);
	memcpy(r.proof, proof, sizeof(r.proof));
	return r;
}

static void receipts_lead_to_the_checkpoint(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_checkpoint cp = {.size = LEAVES};
	memcpy(cp.root, root, sizeof(root));
	for (uint64_t i = 0; i < LEAVES; i++) {
		struct trib_receipt r = receipt_of(i);
		struct trib_leaf l;
		assert_int_equal(trib_receipt_verify(&r, &cp, &l, &err), 0);
		assert_int_equal(l.kind, TRIB_LEAF_MERGED);
		assert_int_equal(l.seq, i + 1);
		r.index = (i + 1) % LEAVES;
		assert_int_equal(trib_receipt_verify(&r, &cp, &l, &err), -1);
		assert_int_equal(err.code, TRIB_E_VERIFY);
		r.index = i;
		r.leaf = trib_buf_span(&leaf[(i + 1) % LEAVES]);
		assert_int_equal(trib_receipt_verify(&r, &cp, &l, &err), -1);
		r.leaf = trib_buf_span(&leaf[i]);
		r.proof[0][0] ^= 1;
		assert_int_equal(trib_receipt_verify(&r, &cp, &l, &err), -1);
		r.proof[0][0] ^= 1;
		cp.size = i; /* a checkpoint from before the leaf */
		assert_int_equal(trib_receipt_verify(&r, &cp, &l, &err), -1);
		cp.size = LEAVES;
		cp.root[5] ^= 1;
		assert_int_equal(trib_receipt_verify(&r, &cp, &l, &err), -1);
		cp.root[5] ^= 1;
	}
}

static void a_logged_leaf_that_is_no_leaf_is_refused(void **state)
{
	(void)state;
	struct trib_err err;
	struct trib_leaf l;
	struct trib_receipt r = {.leaf = trib_span_str("format tributary-leaf-1\nkind nonsense\n")};
	struct trib_checkpoint cp = {.size = 1};
	trib_merkle_leaf(cp.root, r.leaf);
	assert_int_equal(trib_receipt_verify(&r, &cp, &l, &err), -1);
	assert_int_equal(err.code, TRIB_E_FORMAT);
	static uint8_t large[TRIB_LEAF_MAX + 1];
	r.leaf = trib_span(large, sizeof(large));
	trib_merkle_leaf(cp.root, r.leaf);
	assert_int_equal(trib_receipt_verify(&r, &cp, &l, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
}

static void a_receipts_file_is_judged_from_end_to_end(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf file = TRIB_BUF(TRIB_RECEIPTS_MAX);
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	assert_int_equal(trib_checkpoint_sign(ORIGIN, LEAVES, root, log_key, &note, &err), 0);
	trib_receipts_begin(&file);
	for (uint64_t i = 1; i < LEAVES; i += 2) {
		struct trib_receipt r = receipt_of(i);
		trib_receipts_put(&file, i, (const uint8_t (*)[TRIB_SHA256_LEN])r.proof, r.nproof, r.leaf);
	}
	trib_receipts_end(&file, trib_buf_span(&note));
	struct trib_receipts walk;
	struct trib_receipt r;
	struct trib_checkpoint cp;
	struct trib_leaf l;
	assert_int_equal(trib_receipts_parse(trib_buf_span(&file), &walk, &err), 0);
	assert_int_equal(trib_checkpoint_verify(walk.checkpoint, ORIGIN, pub, &cp, &err), 0);
	size_t n = 0;
	int got;
	while ((got = trib_receipts_next(&walk, &r, &err)) == 1) {
		assert_int_equal(trib_receipt_verify(&r, &cp, &l, &err), 0);
		assert_int_equal(l.seq, r.index + 1);
		n++;
	}
	assert_int_equal(got, 0);
	assert_int_equal(n, 3);
}

/* The example of C2SP's tlog-checkpoint. */
static void the_checkpoint_of_the_specification_parses(void **state)
{
	(void)state;
	static const char note[] = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
				   "\xe2\x80\x94 example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
	struct trib_checkpoint cp;
	struct trib_err err;
	struct trib_buf b = TRIB_BUF(1000);
	assert_int_equal(trib_checkpoint_parse(trib_span_str(note), &cp, &err), 0);
	assert_true(trib_span_is(cp.origin, "example.com/behind-the-sofa"));
	assert_int_equal(cp.size, 20852163);
	assert_int_equal(cp.nsigs, 1);
	assert_memory_equal(cp.sigs[0].key_id, "\x03\x3d\xe0\xae", 4);
	trib_checkpoint_put_text(&b, "example.com/behind-the-sofa", cp.size, cp.root);
	trib_note_put_sig(&b, "example.com/behind-the-sofa", cp.sigs[0].key_id, cp.sigs[0].sig);
	assert_string_equal(trib_buf_str(&b), note);
	trib_buf_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_id_is_that_of_signed_notes),
		cmocka_unit_test(a_published_note_verifies),
		cmocka_unit_test(the_checkpoint_of_the_specification_parses),
		cmocka_unit_test(a_signed_checkpoint_verifies),
		cmocka_unit_test(every_changed_byte_of_a_checkpoint_is_refused),
		cmocka_unit_test(another_log_or_key_is_refused),
		cmocka_unit_test(a_witness_signature_beside_ours_is_passed_over),
		cmocka_unit_test(bad_origins_and_keys_are_not_signed),
		cmocka_unit_test(receipts_lead_to_the_checkpoint),
		cmocka_unit_test(a_logged_leaf_that_is_no_leaf_is_refused),
		cmocka_unit_test(a_receipts_file_is_judged_from_end_to_end),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
