/* brake.h: what a person should see before a capture is committed: renames, mass loss and a return to an old state (D4.9); internal to agent/capture. */
#ifndef TRIB_CAPTURE_BRAKE_H
#define TRIB_CAPTURE_BRAKE_H

#include "agent/capture/capture.h"

/* Fills c->renamed: tables that went and came with the same columns and the same text or root page; columns that changed only their name. */
int trib_find_renames(sqlite3 *old_db, sqlite3 *new_db, struct trib_capture *c, struct trib_err *err) TRIB_MUST_CHECK;
/* Fills c->braked from the captured parts, whatever engine made them. Rows that a table gets back in the same capture, or that its new name has,
 * are not lost. */
int trib_brake(sqlite3 *old_db, struct trib_capture *c, struct trib_err *err) TRIB_MUST_CHECK;
/* Fills c->returned, and c->braked for tables that are not there yet: more than TRIB_BRAKE_ROWS rows changed, and what came out is the state of an
 * older commit: somebody put an old copy back. An empty table is no state to return to. Call it after trib_brake. */
int trib_brake_returned(struct trib_state *s, struct trib_capture *c, struct trib_err *err) TRIB_MUST_CHECK;

#endif
