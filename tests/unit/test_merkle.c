/* RFC 6962 trees: reference vectors, and every proof of every tree up to 65 leaves, true and tampered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/trust/hash.h"
#include "core/trust/merkle.h"

#define H TRIB_SHA256_LEN
#define N 65
#define LEVELS 8

typedef uint8_t hash[H];

/* A store that knows which subtrees were put: a get of anything else, or a second put, is a defect. */
struct store {
	hash h[LEVELS][N];
	bool have[LEVELS][N];
	size_t puts;
};

static int get(void *ctx, unsigned level, uint64_t index, uint8_t ret[H], struct trib_err *err)
{
	struct store *s = ctx;
	if (level >= LEVELS || index >= N || !s->have[level][index])
		return trib_fail(err, TRIB_E_NOT_FOUND, "no subtree %u/%llu", level, (unsigned long long)index);
	memcpy(ret, s->h[level][index], H);
	return 0;
}

static int put(void *ctx, unsigned level, uint64_t index, const uint8_t h[H], struct trib_err *err)
{
	struct store *s = ctx;
	if (level >= LEVELS || index >= N || s->have[level][index])
		return trib_fail(err, TRIB_E_FAILED, "bad put %u/%llu", level, (unsigned long long)index);
	memcpy(s->h[level][index], h, H);
	s->have[level][index] = true;
	s->puts++;
	return 0;
}

/* RFC 6962's definition of MTH, word by word: the oracle. */
static void mth(const hash *leaves, size_t n, uint8_t ret[H])
{
	if (n == 0) {
		trib_sha256(ret, trib_span(NULL, 0));
		return;
	}
	if (n == 1) {
		memcpy(ret, leaves[0], H);
		return;
	}
	size_t k = 1;
	while (k * 2 < n)
		k *= 2;
	uint8_t both[1 + 2 * H] = {1};
	mth(leaves, k, both + 1);
	mth(leaves + k, n - k, both + 1 + H);
	trib_sha256(ret, trib_span(both, sizeof(both)));
}

static struct store full;
static hash leaves[N], roots[N + 1];

static int make_tree(void **state)
{
	(void)state;
	struct trib_err err;
	memset(&full, 0, sizeof(full));
	mth(leaves, 0, roots[0]);
	for (size_t i = 0; i < N; i++) {
		uint8_t leaf[2] = {(uint8_t)i, 0x5a};
		trib_merkle_leaf(leaves[i], trib_span(leaf, 2));
		if (trib_merkle_append(i, leaves[i], get, put, &full, &err))
			return -1;
		mth(leaves, i + 1, roots[i + 1]);
	}
	return 0;
}

static void roots_follow_the_definition(void **state)
{
	(void)state;
	struct trib_err err;
	hash r;
	for (size_t n = 0; n <= N; n++) {
		assert_int_equal(trib_merkle_root(n, get, &full, r, &err), 0);
		assert_memory_equal(r, roots[n], H);
	}
	/* Complete subtrees only: 65 leaves hold 65+32+16+8+4+2+1. */
	assert_int_equal(full.puts, 65 + 32 + 16 + 8 + 4 + 2 + 1);
}

/* A proof must fail when any hash of it is touched, cut, lengthened, or used for another place. */
static void tamper_inclusion(size_t i, size_t n, hash *proof, size_t len)
{
	struct trib_err err;
	for (size_t t = 0; t < len; t++) {
		proof[t][(i + t) % H] ^= 0x10;
		assert_int_equal(trib_merkle_verify_inclusion(leaves[i], i, n, (const hash *)proof, len, roots[n], &err), -1);
		assert_int_equal(err.code, TRIB_E_VERIFY);
		proof[t][(i + t) % H] ^= 0x10;
	}
	if (len)
		assert_int_equal(trib_merkle_verify_inclusion(leaves[i], i, n, (const hash *)proof, len - 1, roots[n], &err), -1);
	memcpy(proof[len], leaves[0], H);
	assert_int_equal(trib_merkle_verify_inclusion(leaves[i], i, n, (const hash *)proof, len + 1, roots[n], &err), -1);
	for (size_t j = 0; j <= n; j++)
		if (j != i)
			assert_int_equal(trib_merkle_verify_inclusion(leaves[i], j, n, (const hash *)proof, len, roots[n], &err), -1);
	assert_int_equal(trib_merkle_verify_inclusion(leaves[(i + 1) % N], i, n, (const hash *)proof, len, roots[n], &err), -1);
	assert_int_equal(trib_merkle_verify_inclusion(leaves[i], i, n, (const hash *)proof, len, roots[n - 1], &err), -1);
}

static void every_inclusion_proof(void **state)
{
	(void)state;
	struct trib_err err;
	hash proof[TRIB_PROOF_MAX_HASHES + 1];
	size_t len;
	for (size_t n = 1; n <= N; n++) {
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(trib_merkle_inclusion(i, n, get, &full, proof, &len, &err), 0);
			assert_true(len <= 7);
			assert_int_equal(trib_merkle_verify_inclusion(leaves[i], i, n, (const hash *)proof, len, roots[n], &err), 0);
			tamper_inclusion(i, n, proof, len);
		}
		assert_int_equal(trib_merkle_inclusion(n, n, get, &full, proof, &len, &err), -1);
	}
}

static void tamper_consistency(size_t a, size_t b, hash *proof, size_t len)
{
	struct trib_err err;
	for (size_t t = 0; t < len; t++) {
		proof[t][(a + t) % H] ^= 1;
		assert_int_equal(trib_merkle_verify_consistency(a, roots[a], b, roots[b], (const hash *)proof, len, &err), -1);
		assert_int_equal(err.code, TRIB_E_VERIFY);
		proof[t][(a + t) % H] ^= 1;
	}
	if (len)
		assert_int_equal(trib_merkle_verify_consistency(a, roots[a], b, roots[b], (const hash *)proof, len - 1, &err), -1);
	memcpy(proof[len], leaves[0], H);
	assert_int_equal(trib_merkle_verify_consistency(a, roots[a], b, roots[b], (const hash *)proof, len + 1, &err), -1);
	hash other;
	memcpy(other, roots[a], H);
	other[31] ^= 1;
	assert_int_equal(trib_merkle_verify_consistency(a, other, b, roots[b], (const hash *)proof, len, &err), -1);
	if (a == 0)
		return; /* whatever follows is consistent with an empty log */
	memcpy(other, roots[b], H);
	other[0] ^= 1;
	assert_int_equal(trib_merkle_verify_consistency(a, roots[a], b, other, (const hash *)proof, len, &err), -1);
	if (a + 1 <= b)
		assert_int_equal(trib_merkle_verify_consistency(a + 1, roots[a], b, roots[b], (const hash *)proof, len, &err), -1);
	assert_int_equal(trib_merkle_verify_consistency(b + 1, roots[a], b, roots[b], (const hash *)proof, len, &err), -1);
}

static void every_consistency_proof(void **state)
{
	(void)state;
	struct trib_err err;
	hash proof[TRIB_PROOF_MAX_HASHES + 2];
	size_t len;
	for (size_t b = 0; b <= N; b++) {
		for (size_t a = 0; a <= b; a++) {
			assert_int_equal(trib_merkle_consistency(a, b, get, &full, proof, &len, &err), 0);
			assert_true(len <= 8);
			assert_int_equal(trib_merkle_verify_consistency(a, roots[a], b, roots[b], (const hash *)proof, len, &err), 0);
			tamper_consistency(a, b, proof, len);
		}
		assert_int_equal(trib_merkle_consistency(b + 1, b, get, &full, proof, &len, &err), -1);
	}
}

static void limits_and_store_errors_are_reported(void **state)
{
	(void)state;
	struct trib_err err;
	hash proof[TRIB_PROOF_MAX_HASHES + 1], r;
	size_t len = 77;
	memset(r, 7, H);
	assert_int_equal(trib_merkle_root((uint64_t)INT64_MAX + 1, get, &full, r, &err), -1);
	assert_int_equal(err.code, TRIB_E_LIMIT);
	assert_int_equal(trib_merkle_root(N + 1, get, &full, r, &err), -1);
	assert_int_equal(err.code, TRIB_E_NOT_FOUND);
	assert_int_equal(r[0], 7); /* outputs only on success */
	assert_int_equal(trib_merkle_inclusion(0, (uint64_t)INT64_MAX + 1, get, &full, proof, &len, &err), -1);
	assert_int_equal(trib_merkle_inclusion(0, 100, get, &full, proof, &len, &err), -1);
	assert_int_equal(trib_merkle_consistency(1, 100, get, &full, proof, &len, &err), -1);
	assert_int_equal(trib_merkle_append((uint64_t)INT64_MAX, leaves[0], get, put, &full, &err), -1);
	assert_int_equal(len, 77);
}

static int get_any(void *ctx, unsigned level, uint64_t index, uint8_t ret[H], struct trib_err *err)
{
	(void)ctx;
	(void)err;
	memset(ret, 0, H);
	ret[0] = (uint8_t)level;
	trib_put_be64(ret + 8, index);
	return 0;
}

static void the_largest_log_fits_the_proof_buffers(void **state)
{
	(void)state;
	struct trib_err err;
	hash proof[TRIB_PROOF_MAX_HASHES + 1], r, r1;
	size_t len;
	uint64_t n = INT64_MAX;
	assert_int_equal(trib_merkle_root(n, get_any, NULL, r, &err), 0);
	uint64_t at[] = {0, 1, 12345, n / 2, n / 2 + 1, n - 1};
	for (size_t i = 0; i < TRIB_COUNT(at); i++) {
		hash leaf;
		assert_int_equal(trib_merkle_inclusion(at[i], n, get_any, NULL, proof, &len, &err), 0);
		assert_true(len <= TRIB_PROOF_MAX_HASHES);
		assert_int_equal(get_any(NULL, 0, at[i], leaf, &err), 0);
		/* The made-up inner hashes do not join up below, so only the top leaf's proof, whose path has no inner node, holds. */
		if (at[i] == n - 1)
			assert_int_equal(trib_merkle_verify_inclusion(leaf, at[i], n, (const hash *)proof, len, r, &err), 0);
	}
	assert_int_equal(trib_merkle_consistency(1, n, get_any, NULL, proof, &len, &err), 0);
	assert_true(len <= TRIB_PROOF_MAX_HASHES + 1);
	assert_int_equal(trib_merkle_consistency(n - 1, n, get_any, NULL, proof, &len, &err), 0);
	assert_true(len <= TRIB_PROOF_MAX_HASHES + 1);
	assert_int_equal(trib_merkle_root(n - 1, get_any, NULL, r1, &err), 0);
	assert_int_equal(trib_merkle_verify_consistency(n - 1, r1, n, r, (const hash *)proof, len, &err), 0);
}

static size_t hashes(char **save, hash *ret)
{
	size_t n = 0;
	char *w;
	while ((w = strtok_r(NULL, " \n", save))) {
		assert_true(n < TRIB_PROOF_MAX_HASHES);
		assert_true(trib_unhex(ret[n++], H, trib_span_str(w)));
	}
	return n;
}

struct vectors {
	struct store s;
	hash leaf[16], root[17];
	size_t n, checked;
};

static void vector_line(struct vectors *v, char *line)
{
	struct trib_err err;
	hash want[TRIB_PROOF_MAX_HASHES], got[TRIB_PROOF_MAX_HASHES + 1];
	size_t len;
	char *save, *word = strtok_r(line, " \n", &save);
	if (!word || word[0] == '#')
		return;
	v->checked++;
	if (strcmp(word, "empty") == 0) {
		assert_int_equal(hashes(&save, want), 1);
		trib_merkle_empty(got[0]);
		assert_memory_equal(got[0], want[0], H);
	} else if (strcmp(word, "leaf") == 0) {
		const char *hex = strtok_r(NULL, " \n", &save);
		uint8_t bytes[64];
		size_t n = strcmp(hex, "-") == 0 ? 0 : strlen(hex) / 2;
		assert_true(n == 0 || trib_unhex(bytes, n, trib_span_str(hex)));
		trib_merkle_leaf(v->leaf[v->n], trib_span(bytes, n));
		assert_int_equal(trib_merkle_append(v->n, v->leaf[v->n], get, put, &v->s, &err), 0);
		v->n++;
	} else if (strcmp(word, "root") == 0) {
		size_t size = strtoul(strtok_r(NULL, " \n", &save), NULL, 10);
		assert_int_equal(hashes(&save, want), 1);
		assert_int_equal(trib_merkle_root(size, get, &v->s, v->root[size], &err), 0);
		assert_memory_equal(v->root[size], want[0], H);
	} else {
		size_t a = strtoul(strtok_r(NULL, " \n", &save), NULL, 10), b = strtoul(strtok_r(NULL, " \n", &save), NULL, 10);
		size_t n = hashes(&save, want);
		if (strcmp(word, "inclusion") == 0) {
			assert_int_equal(trib_merkle_inclusion(a, b, get, &v->s, got, &len, &err), 0);
			assert_int_equal(trib_merkle_verify_inclusion(v->leaf[a], a, b, (const hash *)want, n, v->root[b], &err), 0);
		} else {
			assert_string_equal(word, "consistency");
			assert_int_equal(trib_merkle_consistency(a, b, get, &v->s, got, &len, &err), 0);
			assert_int_equal(trib_merkle_verify_consistency(a, v->root[a], b, v->root[b], (const hash *)want, n, &err), 0);
		}
		assert_int_equal(len, n);
		assert_memory_equal(got, want, n * H);
	}
}

static void reference_vectors(void **state)
{
	(void)state;
	static struct vectors v;
	TRIB_AUTO(trib_file) FILE *f = fopen("tests/data/merkle-vectors.txt", "r");
	assert_non_null(f);
	char line[1024];
	while (fgets(line, sizeof(line), f))
		vector_line(&v, line);
	assert_int_equal(v.checked, 26);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reference_vectors),
		cmocka_unit_test(roots_follow_the_definition),
		cmocka_unit_test(every_inclusion_proof),
		cmocka_unit_test(every_consistency_proof),
		cmocka_unit_test(limits_and_store_errors_are_reported),
		cmocka_unit_test(the_largest_log_fits_the_proof_buffers),
	};
	return cmocka_run_group_tests(tests, make_tree, NULL);
}
