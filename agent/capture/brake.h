/* brake.h: what a person should see before a capture is committed: renames, mass loss and a return to an old state (D4.9); internal to agent/capture. */
#ifndef TRIB_CAPTURE_BRAKE_H
#define TRIB_CAPTURE_BRAKE_H

#include "agent/capture/capture.h"

/* What the parts of a capture do to each table, a bag apart: one walk, which is also the proof that every part is canonical, whatever engine made it. */
struct trib_touched {
	struct trib_moved m;
	uint64_t gone, come; /* rows */
	uint64_t changed;
	bool maybe;          /* look_back's */
};
struct trib_tally {
	struct trib_touched *t;
	size_t n;
};
int trib_tally_parts(const struct trib_state *s, const struct trib_capture *c, struct trib_tally *ret, struct trib_err *err) TRIB_MUST_CHECK;
void trib_tally_release(struct trib_tally *v);
static inline void trib_tally_cleanup(struct trib_tally *v) { trib_tally_release(v); }

/* Fills c->renamed: tables that went and came with the same columns and the same text or root page; columns that changed only their name. */
int trib_find_renames(sqlite3 *old_db, sqlite3 *new_db, struct trib_capture *c, struct trib_err *err) TRIB_MUST_CHECK;
/* Fills c->braked from the tally of the whole capture. Rows that a table gets back in the same capture, or that its new name has, are not lost. */
int trib_brake(sqlite3 *old_db, struct trib_capture *c, const struct trib_tally *v, struct trib_err *err) TRIB_MUST_CHECK;
/* From the tally of the public half. Fills c->moved, c->returned, and c->braked for tables that are not there yet: more than TRIB_BRAKE_ROWS rows changed, and
 * what came out is the state of an older commit: somebody put an old copy back. An empty table is no state to return to. Call it after trib_brake. */
int trib_brake_returned(struct trib_state *s, struct trib_capture *c, struct trib_tally *v, struct trib_err *err) TRIB_MUST_CHECK;

#endif
