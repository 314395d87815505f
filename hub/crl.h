/* crl.h: the hub's lists of revoked certificates (D7.4): a new one with each revocation, kept for good in `named/` by its hash, its number in the log; the
 * newest also as DIR/ca/crl.pem for stock tools. */
#ifndef TRIB_HUB_CRL_H
#define TRIB_HUB_CRL_H

#include "hub/hubdb.h"

/* Number of the list in force; 0: none yet. */
int trib_crl_in_force(struct trib_hubdb *h, uint64_t *ret, struct trib_err *err) TRIB_MUST_CHECK;
#define TRIB_CRL_EXPIRED_FOR 86400 /* seconds; clocks of those who read a list may be behind */
/* Inside the caller's transaction, after the revocations: makes the next list of all that is revoked, but for TLS certificates that have expired for
 * TRIB_CRL_EXPIRED_FOR, stores it, and appends its leaf. */
int trib_crl_issue(struct trib_hubdb *h, struct trib_err *err) TRIB_MUST_CHECK;
/* The same; when no list can be made *ret_why says why (else its code is TRIB_OK) and the revocation counts all the same: it acts by hub.db, and the next list
 * that can be made holds it. -1: hub.db cannot be written. */
int trib_crl_try(struct trib_hubdb *h, struct trib_err *ret_why, struct trib_err *err) TRIB_MUST_CHECK;
/* After the commit: DIR/ca/crl.pem. A cache: missing, it is made by the next revocation. */
int trib_crl_publish(struct trib_hubdb *h, struct trib_err *err) TRIB_MUST_CHECK;

#endif
