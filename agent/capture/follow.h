/* follow.h: a name on the private list that a program changed (ALTER TABLE ... RENAME, a rebuild, a copy beside it) stays private (D4.8); internal to agent/capture.
 *
 * Lists go by name, and nobody is asked before a capture: so what may hold the values of something private is private until a person says otherwise.
 *   - a table that is new and has every private column of one that is gone, or every column of one that has private ones and is still there (a copy), is private as that is;
 *   - a column that is new in a table where a private one is gone is private. */
#ifndef TRIB_CAPTURE_FOLLOW_H
#define TRIB_CAPTURE_FOLLOW_H

#include "core/store/veil.h"

/* Adds such names to both lists; `ret` has these alone. */
int trib_follow_private(const struct trib_schema *old, const struct trib_schema *new, struct trib_private_list *list, struct trib_private_list *ret,
			struct trib_err *err) TRIB_MUST_CHECK;

#endif
