/* anew.h: making commits without receipt anew, shared by resign.c and squash.c; not for others. Crash safety: resign.c. */
#ifndef TRIB_AGENT_ANEW_H
#define TRIB_AGENT_ANEW_H

#include "agent/held.h"
#include "agent/outbox_impl.h"

#define TRIB_ANEW_CHAIN_MAX ((size_t)16 * 1024 * 1024)

struct trib_anew {
	struct trib_state *s;
	uint8_t (*back)[TRIB_OID_LEN]; /* the history, newest first, as far back as anybody asked */
	size_t nback;
	size_t n;     /* all its commits; they are numbered from 0 below */
	size_t base;  /* commits that stay */
	bool heir;    /* the last of them is of the machine before */
	size_t from;  /* the first to make anew; less than base when an open group is begun again */
	struct trib_maker k, p; /* of both halves; p.s NULL: the private one stays */
};
void trib_anew_release(struct trib_anew *a);
static inline void trib_anew_cleanup(struct trib_anew *a) { trib_anew_release(a); }

/* Finds `base`: reads back to the newest commit that has a receipt, and no further. */
int trib_anew_load(struct trib_anew *a, struct trib_err *err) TRIB_MUST_CHECK;
/* The id of commit i. Cost: its distance from the tip, once. */
int trib_anew_oid(struct trib_anew *a, size_t i, uint8_t ret[TRIB_OID_LEN], struct trib_err *err) TRIB_MUST_CHECK;
/* Do all commits after `base` carry the present certificate, city, incarnation and policy? */
int trib_anew_all_current(struct trib_anew *a, bool *ret, struct trib_err *err) TRIB_MUST_CHECK;
int trib_anew_judge_base(struct trib_anew *a, struct trib_tip *tip, struct trib_err *err) TRIB_MUST_CHECK;
int trib_anew_make_one(struct trib_anew *a, size_t i, bool reset, struct trib_err *err) TRIB_MUST_CHECK;
/* The new ones follow the first `stay` commits. */
int trib_anew_finish(struct trib_anew *a, size_t stay, struct trib_err *err) TRIB_MUST_CHECK;
/* The same for new ones that follow a commit which is none of them. */
int trib_anew_finish_after(struct trib_anew *a, const uint8_t *after, struct trib_err *err) TRIB_MUST_CHECK;

/* apart.c: would the commits after `base` show what is private by now? */
int trib_anew_shows(struct trib_anew *a, bool *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* One group with the last state takes the place of all commits after `base`. */
int trib_anew_take_apart(struct trib_anew *a, struct trib_err *err) TRIB_MUST_CHECK;

/* Commit i. *ret_c and *ret_m zeroed. */
int trib_anew_read(struct trib_anew *a, size_t i, struct trib_commit *ret_c, struct trib_manifest *ret_m, struct trib_err *err) TRIB_MUST_CHECK;
/* The text between subject and trailer, as a malloc'd string. */
char *trib_anew_text(const struct trib_commit *c);

#endif
