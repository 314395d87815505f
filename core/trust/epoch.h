/* epoch.h: log epochs (D7.6). A hub that came back from an old copy would fork its log; it goes on under a new origin instead, CITY/N+1. The tree
 * continues: the leaf that opens the epoch stands right behind the leaves that the copy had, names their number and root, and is signed by an
 * administrator under the city's root. Offices leave the old origin only for such a leaf. */
#ifndef TRIB_EPOCH_H
#define TRIB_EPOCH_H

#include "core/trust/cert.h"
#include "core/trust/receipt.h"

/* "PREFIX/N": N from 1, without leading zeros; *ret_prefix its length. False for anything else. */
bool trib_origin_split(const char *origin, size_t *ret_prefix, uint64_t *ret_epoch);
/* 0 and *ret: `later` is the same city's log, so many epochs after `earlier` (0: the same). False: another city, or an earlier epoch. */
bool trib_origin_follows(const char *earlier, const char *later, uint64_t *ret_steps);
/* The origin that a note bears, as a C string; nothing is verified. */
int trib_note_origin(struct trib_span note, char *ret, size_t size, struct trib_err *err) TRIB_MUST_CHECK;
/* A checkpoint of this city's log at or before the epoch of `origin`. */
int trib_checkpoint_verify_upto(struct trib_span note, const char *origin, const uint8_t pub[32], struct trib_checkpoint *ret, struct trib_err *err) TRIB_MUST_CHECK;

/* Signs: `facts` has time, origin, number (leaves before), manifest (their root), sha256 (log key). Appends the leaf's text. */
int trib_epoch_sign(const struct trib_leaf *facts, const struct trib_key *key, const struct trib_cert *admin, const struct trib_cert *issuing,
		    struct trib_buf *ret_leaf, struct trib_err *err) TRIB_MUST_CHECK;
/* Judges an epoch leaf: certificate of an administrator under `root`, good at the leaf's time, and its signature. */
int trib_epoch_verify(const struct trib_leaf *leaf, const struct trib_cert *root, struct trib_cert_id *ret_admin, struct trib_err *err) TRIB_MUST_CHECK;

#endif
