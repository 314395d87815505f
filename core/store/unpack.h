/* unpack.h: resolves a whole git pack by ourselves, so that libgit2's indexer never sees a peer's pack (D8.5).
 *
 * libgit2 1.5.1 loops for ever on a delta whose result is in the pack already. Here every entry is resolved at most once, from its base
 * outwards: first what stands on whole objects of the pack, then what stands on objects of the repository (thin packs).
 * What is then left has no base, or only itself: refused. No recursion; chains at most TRIB_PACK_DELTA_DEPTH deep;
 * memory at most the largest base, delta and result, plus UNPACK_CACHE and about 80 bytes an entry; all bytes inflated or made
 * count against TRIB_UNPACK_WORK_MAX, so rebuilding a base again and again ends too.
 * The pack is judged from scratch (trailer included): packscan.h may run before, to refuse while bytes still arrive. */
#ifndef TRIB_UNPACK_H
#define TRIB_UNPACK_H

#include "core/format/packscan.h"

/* Reads an object of the repository whose type is not known: appends its bytes to *ret (whose max is the most allowed) and tells the type
 * (commit, tree or blob; the numbers are those of enum trib_obj). TRIB_E_NOT_FOUND when there is none; other errors end the unpacking.
 * May be called again for the same id. */
typedef int (*trib_unpack_base)(void *ctx, const uint8_t oid[TRIB_OID_LEN], enum trib_pack_type *ret_type, struct trib_buf *ret, struct trib_err *err);
/* Receives each object of the pack once, whole and hashed, in no promised order. Objects arrive before the end of the pack is
 * judged: write them into a quarantine and drop that when trib_unpack fails. */
typedef int (*trib_unpack_put)(void *ctx, enum trib_pack_type type, struct trib_span bytes, const uint8_t oid[TRIB_OID_LEN], struct trib_err *err);

/* `pack` is the whole file, mapped or read. *ret_objects (may be NULL): how many objects were put. TRIB_E_FORMAT for a pack that is
 * malformed, has a wrong trailer, a delta without base, or one object twice; TRIB_E_LIMIT. */
int trib_unpack(struct trib_span pack, trib_unpack_base base, void *base_ctx, trib_unpack_put put, void *put_ctx,
		uint64_t *ret_objects, struct trib_err *err) TRIB_MUST_CHECK;

/* Applies one git delta: appends the result to *ret. TRIB_E_FORMAT when the delta names another base size, copies from outside of the
 * base, or makes another number of bytes than it says. */
int trib_delta_apply(struct trib_span base, struct trib_span delta, struct trib_buf *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
