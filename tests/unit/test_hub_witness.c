/* The witness's one rule: it cosigns what continues the log it saw, and nothing else, whatever is sent and whenever it is killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/wait.h>

#include "core/trust/hash.h"
#include "core/trust/merkle.h"
#include "core/trust/receipt.h"
#include "hub/witness.h"
#include "hub/witnesses.h"

#define ORIGIN "zunyi/1"
#define NOW 1764097200

/* A log of made-up leaves; `salt` makes another history. */
struct tree { uint8_t node[6][32][TRIB_SHA256_LEN]; uint8_t root[33][TRIB_SHA256_LEN]; };
static struct tree honest, other;
static struct trib_key *log_key, *false_key;
static struct trib_vkey log_vkey;
static char dir[] = "/tmp/trib-witness-XXXXXX";
static struct trib_witness w;

static int get(void *ctx, unsigned level, uint64_t index, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err)
{
	struct tree *t = ctx;
	if (level >= 6 || index >= 32)
		return trib_fail(err, TRIB_E_NOT_FOUND, "no such subtree");
	memcpy(ret, t->node[level][index], TRIB_SHA256_LEN);
	return 0;
}

static int put(void *ctx, unsigned level, uint64_t index, const uint8_t h[TRIB_SHA256_LEN], struct trib_err *err)
{
	(void)err;
	memcpy(((struct tree *)ctx)->node[level][index], h, TRIB_SHA256_LEN);
	return 0;
}

/* Both agree in their first five leaves. */
static void grow(struct tree *t, const char *salt)
{
	struct trib_err err;
	trib_merkle_empty(t->root[0]);
	for (uint64_t i = 0; i < 32; i++) {
		char leaf[32];
		uint8_t h[TRIB_SHA256_LEN];
		(void)snprintf(leaf, sizeof(leaf), "leaf %llu%s", (unsigned long long)i, i < 5 ? "" : salt);
		trib_merkle_leaf(h, trib_span_str(leaf));
		assert_int_equal(trib_merkle_append(i, h, get, put, t, &err), 0);
		assert_int_equal(trib_merkle_root(i + 1, get, t, t->root[i + 1], &err), 0);
	}
}

static int setup(void **state)
{
	struct trib_err err;
	uint8_t pub[32];
	(void)state;
	assert_non_null(mkdtemp(dir));
	grow(&honest, "");
	grow(&other, " other");
	assert_int_equal(trib_key_make(TRIB_KEY_ED25519, &log_key, &err), 0);
	assert_int_equal(trib_key_make(TRIB_KEY_ED25519, &false_key, &err), 0);
	assert_int_equal(trib_key_ed25519_public(log_key, pub, &err), 0);
	assert_int_equal(trib_vkey_make(ORIGIN, TRIB_VKEY_LOG, pub, &log_vkey, &err), 0);
	return 0;
}

static int teardown(void **state)
{
	struct trib_err err;
	(void)state;
	trib_key_free(log_key);
	trib_key_free(false_key);
	return trib_fs_remove_tree(dir, &err);
}

/* A fresh witness that trusts the log. */
static int fresh(void **state)
{
	struct trib_err err;
	(void)state;
	assert_int_equal(trib_fs_remove_tree(dir, &err), 0);
	assert_int_equal(trib_witness_create(dir, "province.example/w", &w, &err), 0);
	assert_int_equal(trib_witness_trust(&w, &log_vkey, &err), 0);
	return 0;
}

static int done(void **state)
{
	(void)state;
	trib_witness_close(&w);
	return 0;
}

static void request(struct trib_buf *b, struct tree *t, uint64_t old, uint64_t from, uint64_t size, const char *origin, const struct trib_key *key)
{
	struct trib_err err;
	uint8_t proof[TRIB_PROOF_MAX_HASHES + 1][TRIB_SHA256_LEN];
	size_t n = 0;
	TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
	if (from && from < size)
		assert_int_equal(trib_merkle_consistency(from, size, get, t, proof, &n, &err), 0);
	assert_int_equal(trib_checkpoint_sign(origin, size, t->root[size], key, &note, &err), 0);
	trib_buf_reset(b);
	trib_add_checkpoint_put(b, old, (const uint8_t(*)[TRIB_SHA256_LEN])proof, n, trib_buf_span(&note));
}

/* The status of an answer; its body is kept in `last`. */
static char last[512];
static int send_bytes(struct trib_span body)
{
	struct trib_err err;
	struct trib_witness_answer a = TRIB_WITNESS_ANSWER;
	(void)!trib_witness_add(&w, body, NOW, &a, &err);
	(void)snprintf(last, sizeof(last), "%s", trib_buf_str(&a.body));
	trib_buf_release(&a.body);
	return a.status;
}

static int send(struct tree *t, uint64_t old, uint64_t from, uint64_t size)
{
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_ADD_CHECKPOINT_MAX);
	request(&b, t, old, from, size, ORIGIN, log_key);
	return send_bytes(trib_buf_span(&b));
}

static int find(void *ctx, const struct trib_witness_log *l, struct trib_err *err)
{
	(void)err;
	*(struct trib_witness_log *)ctx = *l;
	return 0;
}

static struct trib_witness_log seen(void)
{
	struct trib_err err;
	struct trib_witness_log l = {0};
	assert_int_equal(trib_witness_logs(&w, find, &l, &err), 0);
	return l;
}

static void growth_is_cosigned(void **state)
{
	(void)state;
	assert_int_equal(send(&honest, 0, 0, 3), 200);
	for (uint64_t from = 3; from <= 29; from += 13) {
		struct trib_err err;
		struct trib_checkpoint cp;
		int64_t at;
		TRIB_AUTO(trib_buf) struct trib_buf note = TRIB_BUF(TRIB_NOTE_MAX);
		assert_int_equal(send(&honest, from, from, from + 3), 200);
		/* What comes back is one line that stands under the very text, and verifies. */
		assert_int_equal(trib_checkpoint_sign(ORIGIN, from + 3, honest.root[from + 3], log_key, &note, &err), 0);
		trib_buf_puts(&note, last);
		assert_int_equal(trib_checkpoint_parse(trib_buf_span(&note), &cp, &err), 0);
		assert_int_equal(cp.ncosigs, 1);
		assert_int_equal(trib_cosig_verify(&cp, &w.self, &at, &err), 1);
		assert_int_equal(at, NOW);
		assert_int_equal(send(&honest, from + 3, 0, from + 3), 200); /* again: the same word at a later time */
		if (from < 29)
			assert_int_equal(send(&honest, from + 3, from + 3, from + 13), 200);
	}
	assert_int_equal(seen().size, 32);
}

static void the_empty_log_is_a_log(void **state)
{
	(void)state;
	assert_int_equal(send(&honest, 0, 0, 0), 200);
	assert_int_equal(send(&honest, 0, 0, 1), 200);
}

static void a_fork_is_refused_and_kept(void **state)
{
	(void)state;
	assert_int_equal(send(&honest, 0, 0, 8), 200);
	assert_int_equal(send(&other, 8, 8, 12), 422); /* its own proof is right, but leads from other leaves */
	assert_false(seen().refused);
	assert_int_equal(send(&other, 8, 0, 8), 409); /* the same size, another root: two histories signed */
	assert_string_equal(last, "8\n");
	assert_true(seen().refused);
	assert_int_equal(send(&other, 5, 5, 12), 409); /* from where both agree: not the size cosigned last */
	assert_string_equal(last, "8\n");
	assert_int_equal(send(&other, 0, 0, 12), 409);
	assert_int_equal(send(&honest, 8, 8, 12), 200); /* the honest log goes on */
	struct trib_witness_log l = seen();
	assert_int_equal(l.size, 12);
	assert_memory_equal(l.root, honest.root[12], TRIB_SHA256_LEN);
}

static void smaller_and_stale_sizes_conflict(void **state)
{
	(void)state;
	assert_int_equal(send(&honest, 0, 0, 8), 200);
	assert_int_equal(send(&honest, 0, 0, 8), 409);
	assert_string_equal(last, "8\n");
	assert_int_equal(send(&honest, 3, 3, 9), 409);
	assert_int_equal(send(&honest, 3, 3, 6), 409); /* rolled back */
	assert_int_equal(send(&honest, 9, 0, 8), 400); /* old beyond the checkpoint */
	assert_int_equal(send(&honest, 9, 9, 12), 409);
	assert_int_equal(seen().size, 8);
}

static void proofs_must_be_exact(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_ADD_CHECKPOINT_MAX);
	assert_int_equal(send(&honest, 0, 3, 8), 422); /* none from zero */
	assert_int_equal(send(&honest, 0, 0, 6), 200);
	assert_int_equal(send(&honest, 6, 0, 9), 422); /* missing */
	assert_int_equal(send(&honest, 6, 5, 9), 422); /* from elsewhere */
	request(&b, &honest, 6, 6, 9, ORIGIN, log_key);
	b.p[10] ^= 1; /* within the first hash */
	int s = send_bytes(trib_buf_span(&b));
	assert_true(s == 422 || s == 400);
	assert_int_equal(seen().size, 6);
	assert_int_equal(send(&honest, 6, 6, 9), 200);
	(void)err;
}

static void strangers_get_nothing(void **state)
{
	(void)state;
	struct trib_err err;
	TRIB_AUTO(trib_buf) struct trib_buf b = TRIB_BUF(TRIB_ADD_CHECKPOINT_MAX);
	request(&b, &honest, 0, 0, 8, "elsewhere/1", log_key);
	assert_int_equal(send_bytes(trib_buf_span(&b)), 404);
	request(&b, &honest, 0, 0, 8, ORIGIN, false_key);
	assert_int_equal(send_bytes(trib_buf_span(&b)), 403);
	request(&b, &honest, 0, 0, 8, ORIGIN, log_key);
	for (size_t n = 0; n < b.len; n++) { /* cut anywhere */
		int s = send_bytes(trib_span(b.p, n));
		assert_true(s == 400 || s == 403);
	}
	for (size_t n = 0; n < b.len; n++) { /* any bit flipped */
		b.p[n] ^= 4;
		int s = send_bytes(trib_buf_span(&b));
		assert_true(s == 400 || s == 403 || s == 404 || s == 409 || s == 422);
		b.p[n] ^= 4;
	}
	assert_int_equal(seen().size, 0);
	/* Another key for a known origin is another log. */
	struct trib_vkey k = log_vkey;
	uint8_t pub[32];
	assert_int_equal(trib_key_ed25519_public(false_key, pub, &err), 0);
	assert_int_equal(trib_vkey_make(ORIGIN, TRIB_VKEY_LOG, pub, &k, &err), 0);
	assert_int_equal(trib_witness_trust(&w, &k, &err), -1);
	assert_int_equal(err.code, TRIB_E_REFUSED);
	assert_int_equal(trib_witness_trust(&w, &log_vkey, &err), 0);
}

/* Killed between any two steps, it has cosigned nothing that it would contradict. */
static void a_kill_loses_no_word(void **state)
{
	(void)state;
	static const struct { const char *at; uint64_t size; } cases[] = {{"witness-judged", 8}, {"witness-kept", 12}};
	assert_int_equal(send(&honest, 0, 0, 8), 200);
	for (size_t i = 0; i < TRIB_COUNT(cases); i++) {
		struct trib_err err;
		int status;
		pid_t pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			setenv("TRIBUTARY_CRASH_AT", cases[i].at, 1);
			(void)send(&honest, 8, 8, 12);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		trib_witness_close(&w);
		assert_int_equal(trib_witness_open(dir, &w, &err), 0);
		assert_int_equal(seen().size, cases[i].size);
		assert_int_equal(send(&other, 8, 8, 12), cases[i].size == 8 ? 422 : 409);
	}
	assert_int_equal(send(&honest, 12, 12, 20), 200);
}

/* A damaged record is never taken for "nothing cosigned yet". */
static void a_damaged_record_cosigns_nothing(void **state)
{
	(void)state;
	struct trib_err err;
	char hex[TRIB_SHA256_HEX + 1], path[256];
	assert_int_equal(send(&honest, 0, 0, 8), 200);
	trib_sha256_hex(hex, trib_span_str(ORIGIN));
	(void)snprintf(path, sizeof(path), "%s/logs/%s", dir, hex);
	assert_int_equal(trib_fs_write(path, trib_span_str("format tributary-witnessed-log-1\n"), 0600, &err), 0);
	assert_int_equal(send(&other, 0, 0, 8), 500);
	assert_int_equal(trib_witness_create(dir, "again", &w, &err), -1);
	assert_int_equal(err.code, TRIB_E_USAGE);
}

static void a_time_to_come_is_as_good_as_none(void **state)
{
	(void)state;
	const int64_t now = 1800000000;
	struct trib_witness_peer p = {.added = now - TRIB_FRESH_S - 1, .time = now + TRIB_COSIG_AHEAD_S};
	assert_false(trib_cosig_ahead(p.time, now));
	assert_false(trib_witness_stale(&p, now));
	p.time++;
	assert_true(trib_cosig_ahead(p.time, now));
	assert_true(trib_witness_stale(&p, now));
	p.added = now - 1; /* it has not been asked for long */
	assert_false(trib_witness_stale(&p, now));
	assert_false(trib_cosig_stale(now - TRIB_FRESH_S, now));
	assert_true(trib_cosig_stale(now - TRIB_FRESH_S - 1, now));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_time_to_come_is_as_good_as_none),
		cmocka_unit_test_setup_teardown(growth_is_cosigned, fresh, done),
		cmocka_unit_test_setup_teardown(the_empty_log_is_a_log, fresh, done),
		cmocka_unit_test_setup_teardown(a_fork_is_refused_and_kept, fresh, done),
		cmocka_unit_test_setup_teardown(smaller_and_stale_sizes_conflict, fresh, done),
		cmocka_unit_test_setup_teardown(proofs_must_be_exact, fresh, done),
		cmocka_unit_test_setup_teardown(strangers_get_nothing, fresh, done),
		cmocka_unit_test_setup_teardown(a_kill_loses_no_word, fresh, done),
		cmocka_unit_test_setup_teardown(a_damaged_record_cosigns_nothing, fresh, done),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
