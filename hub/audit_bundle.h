/* audit_bundle.h: what an auditor takes away (D11): histories, log, certificates, the city, and the stock commands that prove them.
 *
 * One moment: the log up to the signed checkpoint, of each history what that log holds, and the city database. certs/audit/README.md says how it is verified
 * with nothing of ours; a test runs precisely that. */
#ifndef TRIB_HUB_AUDIT_BUNDLE_H
#define TRIB_HUB_AUDIT_BUNDLE_H

#include "hub/hubdb.h"

struct trib_audit_bundle { uint64_t leaves, histories, commits; };
/* Makes the folder `dir`, which must not exist; it appears whole or not at all. `serve` may go on. */
int trib_audit_bundle_write(const struct trib_hub *hub, const char *dir, struct trib_audit_bundle *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
