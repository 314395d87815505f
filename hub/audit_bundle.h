/* audit_bundle.h: what an auditor takes away (D11): histories, log, certificates, the city, and the stock commands that prove them.
 *
 * One moment: the log up to the signed checkpoint, of each history what that log holds, and the city database. certs/audit/README.md says how it is verified
 * with nothing of ours; a test runs precisely that. */
#ifndef TRIB_HUB_AUDIT_BUNDLE_H
#define TRIB_HUB_AUDIT_BUNDLE_H

#include "hub/hubdb.h"

/* What was written; and what should be there and is not, one line a part: `NAME: REASON` (the file `absent`). */
struct trib_audit_bundle { uint64_t leaves, histories, commits; struct trib_buf absent; };
static inline void trib_audit_bundle_cleanup(struct trib_audit_bundle *b) { trib_buf_release(&b->absent); }
/* Makes the folder `dir`, which must not exist; it appears whole or not at all. `serve` may go on. What a broken hub has lost is named and left out: the evidence is
 * in what there is. Errors are the own trouble of writing. */
int trib_audit_bundle_write(const struct trib_hub *hub, const char *dir, struct trib_audit_bundle *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
