/* link.h: the agent's side of the hub connection (D8): enrolment, push, fetch, over libgit2's smart transport and our TLS stream. */
#ifndef TRIB_LINK_H
#define TRIB_LINK_H

#include "agent/outbox.h"

/* POST /enrol with a slip's bytes (F11). *ret_issued false: still waiting for approval (try again). On success the state folder holds
 * certificates, city, name, hub URL; commits are then signed anew by the caller (trib_outbox_resign). A folder that this slip enrolled before: success, nothing is sent. */
int trib_link_enrol(struct trib_state *s, const char *url_or_null, struct trib_span slip, bool *ret_issued, struct trib_err *err) TRIB_MUST_CHECK;
/* The words by which the city can tell this folder's request from another's (trib_request_sum); after trib_link_enrol. */
int trib_link_request_sum(struct trib_state *s, char ret[20], struct trib_err *err) TRIB_MUST_CHECK;
/* What a person does about a fork (D5.6). */
#define TRIB_FORK_WORDS "it is an old copy or a clone; nothing was changed. Call the city. If only this machine works as this office: tributary-agent reset. If another does, " \
			"too: ask for a replacement slip (tributary-hub node replace)"
struct trib_pushed {
	uint64_t commits, bytes;
	bool up_to_date;
	size_t apart; /* commits that were made anew because they held what is private by now */
	struct trib_squashed squashed;
	char not_squashed[TRIB_ERR_MSG]; /* why captures of `watch` went one by one; "" */
	char new_epoch[TRIB_TITLE_MAX + 32];
	enum trib_code not_reported; /* why receipts of an earlier epoch were not taken; TRIB_OK: they were, or there are none */
	char not_reported_why[TRIB_ERR_MSG];
};
/* Puts captures of `watch` together first, unless this office wants them fine (a failure keeps nothing back).
 * Pushes refs/heads/main in bounded steps through refs/tributary/push; then fetches (trib_link_pull) so that receipts arrive. A refusal is
 * the hub's code and sentence. After a change of epoch the receipts of the old one follow (oldlog.h); that they are not taken is no error. */
int trib_link_push(struct trib_state *s, bool quiet, struct trib_pushed *ret, struct trib_err *err) TRIB_MUST_CHECK;
struct trib_pulled { uint64_t held_seq, merged_seq; uint64_t new_receipts; uint64_t checkpoint_size; char problem[256]; /* out-of-step word, "" */
		      int64_t fresh_at; /* when a checkpoint came that is newer than all before; 0: never */
		      char new_epoch[TRIB_TITLE_MAX + 32]; /* the log went on under this origin in this run, "" */ };
/* Where the hub stands beside this folder, fetched under TRIB_REF_OTHER: with `forked` at a commit that this folder never made; with `heir` at the last one of the
 * machine that this one replaces, which is no fork: its first push goes on from there. */
struct trib_stand { bool forked, heir; uint8_t oid[TRIB_OID_LEN]; uint64_t seq; };
int trib_link_stand(struct trib_state *s, struct trib_stand *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* Fetches refs/heads/down, judges its chain, keeps receipts and the checkpoint (never a smaller one: TRIB_E_VERIFY). */
int trib_link_pull(struct trib_state *s, struct trib_pulled *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* The same with a down chain whose objects are in the repository already: brought by hand. Of one that is refused nothing is kept. */
int trib_link_take(struct trib_state *s, const uint8_t down[TRIB_OID_LEN], struct trib_pulled *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* What the kept receipts say: highest held and merged sequence, 0 when none. */
int trib_link_progress(struct trib_state *s, struct trib_pulled *ret, struct trib_err *err) TRIB_MUST_CHECK;

/* Renews the TLS certificate when two thirds of its life are over; push and pull call it. An error only when the old one is no longer good; until then it is recorded
 * (TRIB_DEED_RENEWAL) and tried again. */
int trib_link_renew(struct trib_state *s, struct trib_err *err) TRIB_MUST_CHECK;
int trib_link_renew_now(struct trib_state *s, struct trib_err *err) TRIB_MUST_CHECK;
/* Makes a new signing key (or takes the one made before and not used yet) and asks the hub for its certificate, by a request that the present signing key
 * signs. *ret_next has the form of signer.pem; it is kept as keys/sign.next.crt. The key has its turn after trib_outbox_rotate. */
int trib_link_rotate(struct trib_state *s, struct trib_buf *ret_next, struct trib_err *err) TRIB_MUST_CHECK;

#endif
