/* outbox.h: a capture becomes signed commits (D5). */
#ifndef TRIB_OUTBOX_H
#define TRIB_OUTBOX_H

#include "agent/capture/capture.h"

struct trib_committed {
	size_t ncommits;
	uint64_t first_seq, last_seq;
	uint8_t oid[TRIB_OID_LEN];
	uint64_t inserted, updated, deleted;
	size_t nprivate;        /* commits of private.git; ncommits may then be 0, and oid is that of the commit before */
	uint64_t private_rows;  /* changes in them */
};
/* Writes one commit per part (a group), both halves, judges each one it made before the commit point, then trib_pending_commit and roll-forward. */
int trib_outbox_commit(struct trib_state *s, struct trib_capture *c, const char *text, struct trib_committed *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* What trib_outbox_commit would say, without writing anything: one table line a table with its counts over all parts and its rows afterwards, added to
 * *ret; and the number of changes that would stay in the private half. */
int trib_outbox_preview(struct trib_state *s, const struct trib_capture *c, struct trib_manifest *ret, uint64_t *ret_private, struct trib_err *err) TRIB_MUST_CHECK;
/* The public half of a capture from nothing (trib_capture_afresh) as commits of kind `reset`: digest from zero, all rows. The private half stays. */
int trib_outbox_reset(struct trib_state *s, struct trib_capture *c, struct trib_committed *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Where another folder of this office went on, as the hub holds it, and its history; `reset` fetches it. */
#define TRIB_REF_OTHER "refs/tributary/other"
/* Where this folder stood when a stick showed that the hub went on by another one. Gone when a word of the city is taken again, or the folder has followed. */
#define TRIB_REF_FORKED "refs/tributary/forked"
int trib_outbox_unforked(struct trib_state *s, struct trib_err *err) TRIB_MUST_CHECK; /* takes it away */
#define TRIB_FOLLOW_PRIVATE "this office has a private half, which does not fit another folder's history; nothing was changed; ask the city for a replacement slip " \
			    "(tributary-hub node replace)"
/* The same after `oid`, which this folder did not make (D5.6): its history is here under TRIB_REF_OTHER, is judged, and becomes this folder's. The commits of
 * this folder that it lacks stay under the ref *ret_aside. TRIB_E_FORK when this folder cannot go on so: an office with a private half, whose numbers are its
 * own, or another machine's history. */
int trib_outbox_follow(struct trib_state *s, const uint8_t oid[TRIB_OID_LEN], struct trib_capture *c, char ret_aside[64], struct trib_committed *ret,
		       struct trib_err *err) TRIB_MUST_CHECK;
/* A commit without rows: the daily report (D5.7), with `braked` lines when the capture had some (may be NULL). */
int trib_outbox_report(struct trib_state *s, const struct trib_capture *braked, struct trib_committed *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The commit by which the present signing key hands over to keys/sign.next.key (D5.4), and a report that the new key signs, under one commit point; `next` has
 * the form of signer.pem. Then trib_state_take_turn. ret->first_seq is the hand-over's. */
#define TRIB_ROTATE_WORDS "the signing key changes"
int trib_outbox_rotate(struct trib_state *s, const struct trib_buf *next, struct trib_committed *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Makes every commit without receipt anew on top of the last receipted one, with the current certificate, city, incarnation and policy (D5.6); captured-at kept. */
int trib_outbox_resign(struct trib_state *s, size_t *ret_n, struct trib_err *err) TRIB_MUST_CHECK;
/* The last commit of the machine that this one replaced, once its history was fetched. */
#define TRIB_REF_BEFORE "refs/tributary/before"
/* A new machine of an office: puts all commits of this folder, of which none may have a receipt, after `oid`, the last one of the machine before;
 * its history is in the repository already, under TRIB_REF_BEFORE. The first group becomes a reset (D6.3): all rows of this machine's database. TRIB_E_BRAKE
 * when the city would lose so many rows by it that a person should look first, unless `accept_loss`; nothing was changed then. */
int trib_outbox_succeed(struct trib_state *s, const uint8_t oid[TRIB_OID_LEN], bool accept_loss, struct trib_err *err) TRIB_MUST_CHECK;
/* What was ever offered to the hub ends here: it is never made anew by squashing, with or without a receipt. Set before commits leave this folder. */
#define TRIB_REF_PUSH "refs/tributary/push"
/* Captures of `watch` carry this text. A row of them that was never offered becomes one commit (squash.c). `hub_tip`: where the hub says that it stands,
 * NULL = it has nothing; when that is none of our commits, nothing is done. TRIB_E_VERIFY when the result would not be the same state; every error leaves
 * the history as it was. */
#define TRIB_WATCH_TEXT "captured by watch"
struct trib_squashed { size_t captures, commits; }; /* so many captures became so many commits */
int trib_outbox_squash(struct trib_state *s, const uint8_t *hub_tip, struct trib_squashed *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Commits that were not sent and show what became private since then are made anew without it: as one group with the last state, after a held commit
 * of kind `reset`. `hub_tip`: as above; with `by_hand` nobody was asked, and what was ever offered stays. *ret_n: commits whose place it takes, 0 = none. */
int trib_outbox_take_apart(struct trib_state *s, const uint8_t *hub_tip, bool by_hand, size_t *ret_n, struct trib_err *err) TRIB_MUST_CHECK;
/* Keeps the state of the tip, which the hub holds by now: the next squashing starts from it. A cache: without it the history is judged up to there. */
int trib_outbox_note_held(struct trib_state *s, struct trib_err *err) TRIB_MUST_CHECK;
/* True when the last commit has no receipt and was made under another certificate, city, incarnation or policy than those of now: an enrolment
 * that was cut off before trib_outbox_resign. */
int trib_outbox_stale(struct trib_state *s, bool *ret, struct trib_err *err) TRIB_MUST_CHECK;

#endif
