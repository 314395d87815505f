/* receipts.h: what the hub sends down, judged, and what of it the agent keeps (D7.5, F9).
 *
 * Parsing, judging and keeping are apart: trib_down_judge says whether a down commit is the hub's right next one; only its result can be
 * kept. The node keeps every receipt, the last checkpoint, and how far it is held and merged. */
#ifndef TRIB_AGENT_RECEIPTS_H
#define TRIB_AGENT_RECEIPTS_H

#include "agent/link.h"
#include "core/format/down.h"
#include "core/format/note.h"
#include "core/trust/receipt.h"

/* Where the kept down chain and log stand; zero = nothing yet. */
struct trib_down_tip {
	bool exists;
	uint8_t oid[TRIB_OID_LEN], manifest_sha256[TRIB_SHA256_LEN];
	uint64_t seq;
	uint64_t size;                 /* of the last checkpoint kept */
	uint8_t root[TRIB_SHA256_LEN];
	char origin[TRIB_TITLE_MAX + 32]; /* of the log that the chain's last commit was made under */
};
int trib_down_tip_load(struct trib_state *s, struct trib_down_tip *ret, struct trib_err *err) TRIB_MUST_CHECK;

struct trib_down_judged { /* made only by trib_down_judge */
	struct trib_down manifest;
	struct trib_buf receipts; /* the blob: every receipt in it is proven against its checkpoint */
	uint8_t oid[TRIB_OID_LEN], manifest_sha256[TRIB_SHA256_LEN];
	uint64_t size;
	uint8_t root[TRIB_SHA256_LEN];
	char origin[TRIB_TITLE_MAX + 32];
	/* What the pinned witness cosigned of this very log (pin.h); cosigned_at 0: nothing is shown. */
	struct trib_buf cosigned; /* the note */
	uint64_t cosigned_size;
	uint8_t cosigned_root[TRIB_SHA256_LEN];
	int64_t cosigned_at;
};
void trib_down_judged_release(struct trib_down_judged *j);
static inline void trib_down_judged_cleanup(struct trib_down_judged *j) { trib_down_judged_release(j); }
/* Judges commit `oid` as the next after *tip: hub's signature and role, chain, hashes, city, node, app, checkpoint signature, a log that only grew, every
 * receipt's proof, and that a held receipt is about a commit this folder has, byte for byte.
 * A log that goes on under the next origin is right when the commit brings the leaf that opens it (core/trust/epoch.h). */
int trib_down_judge(struct trib_state *s, const struct trib_down_tip *tip, const uint8_t oid[TRIB_OID_LEN], struct trib_down_judged *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Keeps it: receipts/SEQ, checkpoint, merged, own; then moves refs/heads/down. Idempotent. Adds to *p. */
int trib_down_keep(struct trib_state *s, const struct trib_down_tip *tip, const struct trib_down_judged *j, struct trib_pulled *p, struct trib_err *err) TRIB_MUST_CHECK;
/* When the folder receipts/ is gone: makes it, and writes each receipt again that the kept chain brought. */
int trib_down_receipts_again(struct trib_state *s, const struct trib_down_tip *tip, struct trib_err *err) TRIB_MUST_CHECK;
/* The fetched chain does not continue the kept one: follows it to a new epoch, else refuses (TRIB_E_VERIFY). *ret says how far the hub holds this
 * office's commits now; what it lacks keeps its old receipts and is to be pushed again. (epoch.c) */
int trib_down_switch(struct trib_state *s, const struct trib_down_tip *kept, const uint8_t fetched[TRIB_OID_LEN], struct trib_pulled *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The kept receipt of one commit, judged again: for `check`. TRIB_E_NOT_FOUND when there is none. */
int trib_receipt_check(struct trib_state *s, uint64_t seq, struct trib_leaf *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
