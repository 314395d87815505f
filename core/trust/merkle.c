#include "core/trust/merkle.h"

#include "core/trust/hash.h"

#define H TRIB_SHA256_LEN

void trib_merkle_leaf(uint8_t ret[H], struct trib_span leaf)
{
	struct trib_sha256_ctx *c = trib_sha256_new();
	trib_sha256_add(c, trib_span("\0", 1));
	trib_sha256_add(c, leaf);
	trib_sha256_end(c, ret);
}

void trib_merkle_node(uint8_t ret[H], const uint8_t l[H], const uint8_t r[H])
{
	uint8_t both[1 + 2 * H];
	both[0] = 1;
	memcpy(both + 1, l, H);
	memcpy(both + 1 + H, r, H);
	trib_sha256(ret, trib_span(both, sizeof(both)));
}

void trib_merkle_empty(uint8_t ret[H]) { trib_sha256(ret, trib_span(NULL, 0)); }

/* The largest power of two below n (n >= 2): RFC 6962's k. */
static uint64_t split(uint64_t n) { return (uint64_t)1 << (63 - __builtin_clzll(n - 1)); }

static int check_size(uint64_t size, struct trib_err *err)
{
	if (size > INT64_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "a log of %llu leaves is beyond 2^63-1", (unsigned long long)size);
	return 0;
}

/* MTH(D[begin : begin + n]), n > 0. `begin` is a multiple of the power of two that covers n, as in every step of
 * RFC 6962's recursions, so the range is a row of complete subtrees, joined from the smallest, on the right. */
static int range_root(uint64_t begin, uint64_t n, trib_merkle_get get, void *ctx, uint8_t ret[H], struct trib_err *err)
{
	uint8_t h[H];
	bool first = true;
	for (unsigned level = 0; level < 63; level++) {
		if (!(n >> level & 1))
			continue;
		uint64_t at = begin + (n >> (level + 1) << (level + 1));
		uint8_t sub[H];
		if (get(ctx, level, at >> level, sub, err))
			return -1;
		if (first)
			memcpy(h, sub, H);
		else
			trib_merkle_node(h, sub, h);
		first = false;
	}
	memcpy(ret, h, H);
	return 0;
}

int trib_merkle_append(uint64_t index, const uint8_t leaf_hash[H], trib_merkle_get get, trib_merkle_put put, void *ctx, struct trib_err *err)
{
	if (index >= INT64_MAX)
		return trib_fail(err, TRIB_E_LIMIT, "the log is full");
	uint8_t h[H];
	memcpy(h, leaf_hash, H);
	if (put(ctx, 0, index, h, err))
		return -1;
	for (unsigned level = 0; index & 1; level++) {
		uint8_t left[H];
		if (get(ctx, level, index - 1, left, err))
			return -1;
		trib_merkle_node(h, left, h);
		index >>= 1;
		if (put(ctx, level + 1, index, h, err))
			return -1;
	}
	return 0;
}

int trib_merkle_root(uint64_t size, trib_merkle_get get, void *ctx, uint8_t ret[H], struct trib_err *err)
{
	if (check_size(size, err))
		return -1;
	if (size == 0) {
		trib_merkle_empty(ret);
		return 0;
	}
	return range_root(0, size, get, ctx, ret, err);
}

static void reverse(uint8_t (*p)[H], size_t n)
{
	for (size_t i = 0; i < n / 2; i++) {
		uint8_t t[H];
		memcpy(t, p[i], H);
		memcpy(p[i], p[n - 1 - i], H);
		memcpy(p[n - 1 - i], t, H);
	}
}

int trib_merkle_inclusion(uint64_t index, uint64_t size, trib_merkle_get get, void *ctx, uint8_t (*ret)[H], size_t *ret_n, struct trib_err *err)
{
	if (check_size(size, err))
		return -1;
	if (index >= size)
		return trib_fail(err, TRIB_E_NOT_FOUND, "leaf %llu is not in a log of %llu leaves", (unsigned long long)index,
				 (unsigned long long)size);
	size_t n = 0;
	uint64_t begin = 0, m = index, len = size;
	while (len > 1) {
		uint64_t k = split(len);
		bool left = m < k;
		if (range_root(left ? begin + k : begin, left ? len - k : k, get, ctx, ret[n], err))
			return -1;
		n++;
		if (left) {
			len = k;
		} else {
			begin += k;
			m -= k;
			len -= k;
		}
	}
	reverse(ret, n);
	*ret_n = n;
	return 0;
}

int trib_merkle_consistency(uint64_t first, uint64_t second, trib_merkle_get get, void *ctx, uint8_t (*ret)[H], size_t *ret_n, struct trib_err *err)
{
	if (check_size(second, err))
		return -1;
	if (first > second)
		return trib_fail(err, TRIB_E_NOT_FOUND, "the log has %llu leaves, fewer than the %llu asked for", (unsigned long long)second,
				 (unsigned long long)first);
	size_t n = 0;
	uint64_t begin = 0, m = first, len = second;
	while (first > 0 && m != len) {
		uint64_t k = split(len);
		bool left = m <= k;
		if (range_root(left ? begin + k : begin, left ? len - k : k, get, ctx, ret[n], err))
			return -1;
		n++;
		if (left) {
			len = k;
		} else {
			begin += k;
			m -= k;
			len -= k;
		}
	}
	/* The old tree itself is known to the verifier; a subtree of it is not. */
	if (begin > 0) {
		if (range_root(begin, len, get, ctx, ret[n], err))
			return -1;
		n++;
	}
	reverse(ret, n);
	*ret_n = n;
	return 0;
}

/* Verification follows RFC 9162 sections 2.1.3.2 and 2.1.4.2 (same trees, algorithms written out). */

struct walk {
	uint64_t fn, sn;
};

/* True when the next hash of the proof stands on the left. */
static bool on_left(const struct walk *w) { return (w->fn & 1) || w->fn == w->sn; }

static void climb(struct walk *w, bool was_left)
{
	while (was_left && !(w->fn & 1) && w->fn) {
		w->fn >>= 1;
		w->sn >>= 1;
	}
	w->fn >>= 1;
	w->sn >>= 1;
}

int trib_merkle_verify_inclusion(const uint8_t leaf_hash[H], uint64_t index, uint64_t size, const uint8_t (*proof)[H], size_t n,
				 const uint8_t root[H], struct trib_err *err)
{
	if (check_size(size, err))
		return -1;
	if (index >= size)
		return trib_fail(err, TRIB_E_VERIFY, "leaf %llu is outside a log of %llu leaves", (unsigned long long)index,
				 (unsigned long long)size);
	struct walk w = {index, size - 1};
	uint8_t r[H];
	memcpy(r, leaf_hash, H);
	for (size_t i = 0; i < n; i++) {
		if (w.sn == 0)
			return trib_fail(err, TRIB_E_VERIFY, "the inclusion proof of leaf %llu is too long", (unsigned long long)index);
		bool left = on_left(&w);
		if (left)
			trib_merkle_node(r, proof[i], r);
		else
			trib_merkle_node(r, r, proof[i]);
		climb(&w, left);
	}
	if (w.sn != 0)
		return trib_fail(err, TRIB_E_VERIFY, "the inclusion proof of leaf %llu is too short", (unsigned long long)index);
	if (memcmp(r, root, H) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "the inclusion proof of leaf %llu does not lead to the log's root", (unsigned long long)index);
	return 0;
}

/* Cases without a walk: 1 = go on, 0 = consistent, -1 = not. */
static int verify_trivial(uint64_t first, const uint8_t first_root[H], uint64_t second, const uint8_t second_root[H], size_t n, struct trib_err *err)
{
	uint8_t empty[H];
	trib_merkle_empty(empty);
	if (check_size(second, err))
		return -1;
	if (first > second)
		return trib_fail(err, TRIB_E_VERIFY, "the log shrank from %llu to %llu leaves", (unsigned long long)first, (unsigned long long)second);
	if (first == second || first == 0) {
		if (n != 0)
			return trib_fail(err, TRIB_E_VERIFY, "the consistency proof is too long");
		if (first == 0 && memcmp(first_root, empty, H) != 0)
			return trib_fail(err, TRIB_E_VERIFY, "the root of the empty log is not the empty tree's");
		if (first == second && memcmp(first_root, second_root, H) != 0)
			return trib_fail(err, TRIB_E_VERIFY, "two roots are claimed for one log of %llu leaves", (unsigned long long)first);
		return 0;
	}
	if (n == 0)
		return trib_fail(err, TRIB_E_VERIFY, "the consistency proof is empty");
	return 1;
}

int trib_merkle_verify_consistency(uint64_t first, const uint8_t first_root[H], uint64_t second, const uint8_t second_root[H],
				   const uint8_t (*proof)[H], size_t n, struct trib_err *err)
{
	int go = verify_trivial(first, first_root, second, second_root, n, err);
	if (go <= 0)
		return go;
	struct walk w = {first - 1, second - 1};
	while (w.fn & 1) {
		w.fn >>= 1;
		w.sn >>= 1;
	}
	/* A first tree that is complete is itself the first hash; it is not sent. */
	size_t i = 0;
	const uint8_t *seed = (first & (first - 1)) == 0 ? first_root : proof[i++];
	uint8_t fr[H], sr[H];
	memcpy(fr, seed, H);
	memcpy(sr, seed, H);
	for (; i < n; i++) {
		if (w.sn == 0)
			return trib_fail(err, TRIB_E_VERIFY, "the consistency proof is too long");
		bool left = on_left(&w);
		if (left) {
			trib_merkle_node(fr, proof[i], fr);
			trib_merkle_node(sr, proof[i], sr);
		} else {
			trib_merkle_node(sr, sr, proof[i]);
		}
		climb(&w, left);
	}
	if (w.sn != 0)
		return trib_fail(err, TRIB_E_VERIFY, "the consistency proof is too short");
	if (memcmp(fr, first_root, H) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "the log of %llu leaves is not the one that was seen before", (unsigned long long)first);
	if (memcmp(sr, second_root, H) != 0)
		return trib_fail(err, TRIB_E_VERIFY, "the consistency proof does not lead to the root of %llu leaves", (unsigned long long)second);
	return 0;
}
