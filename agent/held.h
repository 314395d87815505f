/* held.h: the receipts that this folder keeps, as a list: which commits are held, and when the hub received them (D7.4).
 *
 * Every receipt is judged when it is loaded: checkpoint signed by the log key, inclusion proven. A list of all of them costs the length of the history: only for what
 * reads all of that anyway. */
#ifndef TRIB_AGENT_HELD_H
#define TRIB_AGENT_HELD_H

#include "agent/state.h"
#include "core/replay/replay.h"

struct trib_held { uint8_t oid[TRIB_OID_LEN]; uint64_t seq; int64_t time; };
struct trib_held_list {
	struct trib_held *kept; size_t n; /* rising by oid */
	int64_t now; /* when commits without a receipt are judged; set by trib_own_history */
};

/* The receipt of commit #seq, whose id is `oid`: 1 with *ret; 0 when this folder has none that proves it. -1: out of memory. */
int trib_held_one(const struct trib_state *s, const uint8_t oid[TRIB_OID_LEN], uint64_t seq, struct trib_held *ret, struct trib_err *err) TRIB_MUST_CHECK;
/* `strict`: a file that does not prove itself is TRIB_E_VERIFY naming it; else it counts for nothing. */
int trib_held_load(const struct trib_state *s, bool strict, struct trib_held_list *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_held_release(struct trib_held_list *r);
static inline void trib_held_list_cleanup(struct trib_held_list *r) { trib_held_release(r); }
/* The receipt of a commit, or NULL. */
const struct trib_held *trib_held_find(const struct trib_held_list *r, const uint8_t oid[TRIB_OID_LEN]);
/* This folder's history for core/replay: receipt times where there are any. `r` and `s` must outlive it; keys are loaded. */
struct trib_history trib_own_history(const struct trib_state *s, struct trib_held_list *r);

#endif
