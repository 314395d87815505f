/* hide.h: a capture becomes two: what may leave, and what never does (D4.8); internal to agent/capture.
 *
 * The comparison is made once, and each changed row is split. Only when what is private changed since the last commit (or the private
 * half was lost) both halves are compared anew, each under its own schema, so that a column that became private is a dropped one for the public
 * history and an added one for the private. What was private is read from the last commit's own lines. */
#ifndef TRIB_CAPTURE_HIDE_H
#define TRIB_CAPTURE_HIDE_H

#include "agent/capture/capture.h"

/* Nothing private, now or before: c stays as it is. Else c's parts, sequences and left-out lines are split: *ret_split. */
int trib_capture_hide(struct trib_state *s, sqlite3 *old_db, sqlite3 *new_db, struct trib_capture *c, bool *ret_split, struct trib_err *err) TRIB_MUST_CHECK;
/* Of run.c. */
int trib_capture_bag_lines(sqlite3 *old_db, sqlite3 *new_db, struct trib_capture *c, struct trib_err *err) TRIB_MUST_CHECK;
int trib_capture_sequences(sqlite3 *old_db, sqlite3 *new_db, struct trib_capture *c, bool *ret_changed, struct trib_err *err) TRIB_MUST_CHECK;
int trib_capture_left_out(struct trib_capture *c, struct trib_err *err) TRIB_MUST_CHECK;
void trib_capture_sort_left_out(struct trib_capture *c);
void trib_hidden_release(struct trib_hidden *h);

#endif
