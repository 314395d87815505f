/* packscan.h: streaming pre-scanner of git packs, run before anything else looks at them (D8.4, D8.5).
 *
 * Why: a 357-byte pack makes libgit2 1.5.1 loop for ever, a 17 kB delta costs it 2 GB, it accepts wrong declared sizes and
 * object type 5 (docs/PROTOCOL.md). The scanner inflates every entry into a fixed window and keeps 32 bytes an entry. It checks
 * - the header, the declared count, and that exactly 20 bytes follow the last entry;
 * - types (commit, tree, blob, deltas; tags never), declared sizes against the inflated ones and the limits of core/base/limits.h,
 *   a tree's and a commit's own small limits included, and the sum of all inflated and resulting bytes;
 * - every delta's instructions: copies inside the base, exactly the result size, result within the limits;
 * - an OFS delta's base: the start of an earlier entry whose size the delta names, depth at most TRIB_PACK_DELTA_DEPTH.
 * Deltas are allowed because stock `git push` makes them, thin packs included. What only resolving can tell is left to
 * core/store/unpack.h, which resolves without libgit2: depth and bases of REF deltas, cycles among them, a result that
 * is in the pack already, and the trailer's SHA-1. Not thread-safe; one per upload. */
#ifndef TRIB_PACKSCAN_H
#define TRIB_PACKSCAN_H

#include "core/base/buf.h"
#include "core/base/limits.h"

/* Types as a pack numbers them. */
enum trib_pack_type {
	TRIB_PACK_COMMIT = 1,
	TRIB_PACK_TREE = 2,
	TRIB_PACK_BLOB = 3,
	TRIB_PACK_OFS_DELTA = 6,
	TRIB_PACK_REF_DELTA = 7,
};
/* The most bytes an object of this type may have; 0 for a type that no pack of ours holds. Deltas: their instructions. */
size_t trib_pack_type_max(unsigned type);

struct trib_packscan; /* opaque, a few KiB plus zlib's window and 32 bytes an entry */

/* NULL out of memory. */
struct trib_packscan *trib_packscan_new(void);
void trib_packscan_free(struct trib_packscan *s);
static inline void trib_packscan_cleanup(struct trib_packscan **s) { trib_packscan_free(*s); }
/* Feeds the next bytes. -1 with TRIB_E_FORMAT or TRIB_E_LIMIT at the first bad entry; later calls fail again. */
int trib_packscan_feed(struct trib_packscan *s, struct trib_span bytes, struct trib_err *err) TRIB_MUST_CHECK;
/* After the last byte: the pack must be complete. */
int trib_packscan_end(struct trib_packscan *s, uint64_t *ret_objects, struct trib_err *err) TRIB_MUST_CHECK;

#endif
