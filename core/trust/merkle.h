/* merkle.h: RFC 6962 Merkle trees (SHA-256), proofs made from a store of complete subtrees and checked from bytes. */
#ifndef TRIB_MERKLE_H
#define TRIB_MERKLE_H

#include "core/base/buf.h"
#include "core/base/limits.h"

/* F8: the hash of a leaf, of a node over its two children, of the empty tree. */
void trib_merkle_leaf(uint8_t ret[TRIB_SHA256_LEN], struct trib_span leaf);
void trib_merkle_node(uint8_t ret[TRIB_SHA256_LEN], const uint8_t l[TRIB_SHA256_LEN], const uint8_t r[TRIB_SHA256_LEN]);
void trib_merkle_empty(uint8_t ret[TRIB_SHA256_LEN]);

/* Reads the hash of the complete subtree of 2^level leaves that starts at index << level. Provided by the caller
 * (hub.db); 0 or -1. */
typedef int (*trib_merkle_get)(void *ctx, unsigned level, uint64_t index, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err);

/* After appending leaf number `index` (from 0) with `leaf_hash`: calls put for every subtree that became complete, the leaf
 * itself (level 0) first. */
typedef int (*trib_merkle_put)(void *ctx, unsigned level, uint64_t index, const uint8_t hash[TRIB_SHA256_LEN], struct trib_err *err);
int trib_merkle_append(uint64_t index, const uint8_t leaf_hash[TRIB_SHA256_LEN], trib_merkle_get get, trib_merkle_put put,
		       void *ctx, struct trib_err *err) TRIB_MUST_CHECK;
int trib_merkle_root(uint64_t size, trib_merkle_get get, void *ctx, uint8_t ret[TRIB_SHA256_LEN], struct trib_err *err) TRIB_MUST_CHECK;
/* Inclusion proof of leaf `index` in the tree of `size` leaves, leaf to root order. */
int trib_merkle_inclusion(uint64_t index, uint64_t size, trib_merkle_get get, void *ctx,
			  uint8_t (*ret)[TRIB_SHA256_LEN], size_t *ret_n, struct trib_err *err) TRIB_MUST_CHECK;
/* Consistency proof from `first` to `second` leaves (RFC 6962 section 2.1.2). ret holds TRIB_PROOF_MAX_HASHES + 1. */
int trib_merkle_consistency(uint64_t first, uint64_t second, trib_merkle_get get, void *ctx,
			    uint8_t (*ret)[TRIB_SHA256_LEN], size_t *ret_n, struct trib_err *err) TRIB_MUST_CHECK;
/* Verification: pure; TRIB_E_VERIFY when the proof does not lead to the root. */
int trib_merkle_verify_inclusion(const uint8_t leaf_hash[TRIB_SHA256_LEN], uint64_t index, uint64_t size,
				 const uint8_t (*proof)[TRIB_SHA256_LEN], size_t n, const uint8_t root[TRIB_SHA256_LEN], struct trib_err *err) TRIB_MUST_CHECK;
int trib_merkle_verify_consistency(uint64_t first, const uint8_t first_root[TRIB_SHA256_LEN], uint64_t second,
				   const uint8_t second_root[TRIB_SHA256_LEN], const uint8_t (*proof)[TRIB_SHA256_LEN], size_t n, struct trib_err *err) TRIB_MUST_CHECK;

#endif
