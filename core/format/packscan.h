/* packscan.h: streaming pre-scanner of git packs, run before libgit2's indexer (D8.4, D8.5).
 *
 * Why: a 357-byte pack makes libgit2 1.5.1 loop for ever, a 17 kB delta costs it 2 GB, it accepts wrong declared sizes and
 * object type 5 (docs/PROTOCOL.md). The scanner inflates every entry with bounded output, checks declared sizes,
 * types, delta headers, bases and depth, the count and the SHA-1 trailer, and refuses a delta whose result or base is suspicious:
 * our agents and stock git pushing our trees need none, so all delta entries may be refused by policy. */
#ifndef TRIB_PACKSCAN_H
#define TRIB_PACKSCAN_H

#include "core/base/buf.h"
#include "core/base/limits.h"

struct trib_packscan; /* opaque, a few KiB plus zlib's window */

struct trib_packscan *trib_packscan_new(void);
void trib_packscan_free(struct trib_packscan *s);
/* Feeds the next bytes. -1 with TRIB_E_FORMAT or TRIB_E_LIMIT at the first bad entry; later calls fail again. */
int trib_packscan_feed(struct trib_packscan *s, struct trib_span bytes, struct trib_err *err) TRIB_MUST_CHECK;
/* After the last byte: the pack must be complete with a right trailer. */
int trib_packscan_end(struct trib_packscan *s, uint64_t *ret_objects, struct trib_err *err) TRIB_MUST_CHECK;

#endif
